"""Models of the whole sample: oracles, known limits, recovery, boundaries, refusals."""

import dataclasses
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.distributions import fit as whole_sample
from baimo.estimation.distributions._models import COUNT_MODELS, MODELS, SIZE_MODELS, model_of
from baimo.estimation.distributions.fit import (
    WholeSampleComparison,
    WholeSampleFit,
    compare_whole_sample,
    fit_whole_sample,
    law_influence,
)
from baimo.estimation.errors import ConvergenceError, ConvergenceWarning, DataError
from baimo.estimation.results import from_dict, to_dict
from baimo.estimation.samples.counts import Counts

Rng = np.random.Generator
Sample = NDArray[np.float64]


def negative_binomial(rng: Rng, n: int, mean: float, dispersion: float) -> Sample:
    return rng.poisson(rng.gamma(1 / dispersion, mean * dispersion, n)).astype(float)


def poisson_lognormal(rng: Rng, n: int, mu: float, sigma: float) -> Sample:
    return rng.poisson(np.exp(rng.normal(mu, sigma, n))).astype(float)


def lognormal(rng: Rng, n: int, mu: float, sigma: float) -> Sample:
    return np.exp(rng.normal(mu, sigma, n))


def double_pareto(rng: Rng, n: int, mu: float, sigma: float, alpha: float, beta: float) -> Sample:
    up, down = rng.exponential(1 / alpha, n), rng.exponential(1 / beta, n)
    return np.exp(rng.normal(mu, sigma, n) + up - down)


def rounded(sample: Sample) -> Sample:
    return np.floor(sample + 0.5)


def inflated(rng: Rng, sample: Sample, pi: float) -> Sample:
    return np.where(rng.random(sample.size) < pi, 0.0, sample)


# --- fits against statsmodels ------------------------------------------------------------------


def test_negative_binomial_fit_is_statsmodels() -> None:
    from statsmodels.discrete.discrete_model import NegativeBinomial

    x = negative_binomial(np.random.default_rng(4), 400, 5.0, 1.7)
    theirs = NegativeBinomial(x, np.ones(400)).fit(disp=0, method="bfgs", gtol=1e-9, maxiter=500)
    fit = fit_whole_sample(x, "negative_binomial")
    assert fit.log_likelihood == pytest.approx(theirs.llf, abs=1e-7)
    assert fit.parameters["mean"] == pytest.approx(x.mean(), rel=1e-7)  # the MLE of the mean
    assert fit.parameters["dispersion"] == pytest.approx(theirs.params[1], rel=1e-4)
    assert fit.std_errors["dispersion"] == pytest.approx(theirs.bse[1], rel=1e-4)
    assert fit.std_errors["mean"] == pytest.approx(theirs.bse[0] * x.mean(), rel=1e-4)
    assert fit.aic == pytest.approx(theirs.aic, abs=1e-6)
    assert fit.bic == pytest.approx(theirs.bic, abs=1e-6)


def test_zero_inflated_negative_binomial_fit_is_statsmodels() -> None:
    from statsmodels.discrete.count_model import ZeroInflatedNegativeBinomialP

    rng = np.random.default_rng(5)
    x = inflated(rng, negative_binomial(rng, 600, 6.0, 0.8), 0.35)
    fit = fit_whole_sample(x, "zero_inflated_negative_binomial")
    pi, mean, dispersion = (fit.parameters[k] for k in ("pi", "mean", "dispersion"))
    model = ZeroInflatedNegativeBinomialP(x, np.ones(600), p=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = [math.log(pi / (1 - pi)) + 0.1, math.log(mean) - 0.1, dispersion]
        theirs = model.fit(start_params=start, disp=0, method="bfgs", gtol=1e-8, maxiter=500)
    assert fit.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    jacobian = np.array([pi * (1 - pi), mean, 1.0])
    ours = [fit.std_errors[k] for k in ("pi", "mean", "dispersion")]
    np.testing.assert_allclose(ours, theirs.bse * jacobian, rtol=1e-4)


def test_truncated_negative_binomial_fit_is_statsmodels() -> None:
    from statsmodels.discrete.truncated_model import TruncatedLFNegativeBinomialP

    x = negative_binomial(np.random.default_rng(6), 900, 3.0, 0.7)
    x = x[x > 0]
    fit = fit_whole_sample(x, "negative_binomial")
    assert fit.zero_truncated
    assert fit.expected_zeros is None
    assert fit.notes == ("no zeros in the data: the model is that of the positive counts",)
    mean, dispersion = fit.parameters["mean"], fit.parameters["dispersion"]
    model = TruncatedLFNegativeBinomialP(x, np.ones(x.size), truncation=0)
    theirs = model.fit(start_params=[math.log(mean) + 0.05, dispersion - 0.05], disp=0, maxiter=500)
    assert fit.log_likelihood == pytest.approx(theirs.llf, abs=1e-5)
    assert fit.log_likelihood >= theirs.llf - 1e-8
    jacobian = np.array([mean, 1.0])
    ours = [fit.std_errors[k] for k in ("mean", "dispersion")]
    np.testing.assert_allclose(ours, theirs.bse * jacobian, rtol=2e-3)


# --- counts without zeros -----------------------------------------------------------------------

POSITIVE = {
    "negative_binomial": (6.0, 3.0),
    "poisson_lognormal": (-2.0, 2.5),
    "discretised_lognormal": (-1.0, 1.5),
    "discretised_double_pareto_lognormal": (0.5, 0.7, 1.4, 0.6),
}


@pytest.mark.parametrize("name", sorted(POSITIVE))
def test_truncated_probabilities_are_those_given_a_positive_count(name: str) -> None:
    x, theta = np.arange(0.0, 4000.0), POSITIVE[name]
    whole, positive = model_of(name), model_of(name, zero_truncated=True)
    p, q = (np.exp(m.log_probability(theta, x)) for m in (whole, positive))
    assert q[0] == 0.0
    np.testing.assert_allclose(q[1:], p[1:] / (1.0 - p[0]), rtol=1e-9)
    np.testing.assert_allclose(positive.cdf(theta, x), np.cumsum(q), atol=1e-9)


@pytest.mark.parametrize(
    ("model", "n"),
    [
        ("negative_binomial", 20_000),
        ("poisson_lognormal", 20_000),
        ("discretised_double_pareto_lognormal", 6000),
    ],
)
def test_recovery_from_positive_counts_alone(model: str, n: int) -> None:
    # The same draws as above, without their zeros: the parameters are those of all the same.
    truth, draw = TRUTHS[model]
    sample = draw(np.random.default_rng(12), n)
    fit = fit_whole_sample(sample[sample > 0], model)
    assert fit.zero_truncated
    for name, value in truth.items():
        error = fit.std_errors[name]
        assert error is not None
        assert abs(fit.parameters[name] - value) < 3 * error, name
    assert fit.ks_distance < 1.63 / fit.n_used**0.5


def test_logarithmic_series_is_the_edge_of_the_positive_negative_binomial() -> None:
    # Zipf's law without zeros: the truncated negative binomial ends in P(x) ~ q^x / x (Fisher).
    x = np.floor(2e4 / (np.arange(1, 20_001) - 0.5))
    with pytest.warns(ConvergenceWarning, match="dispersion ran to the edge"):
        fit = fit_whole_sample(x, "negative_binomial")
    assert not fit.converged
    q = 1.0 - 1.0 / (1.0 + fit.parameters["mean"] * fit.parameters["dispersion"])
    series = x * math.log(q) - np.log(x) - math.log(-math.log1p(-q))
    assert fit.log_likelihood == pytest.approx(series.sum(), abs=1.0)


def test_no_zeros_say_nothing_of_extra_zeros() -> None:
    with pytest.raises(DataError, match="leave the zero-inflated models out"):
        fit_whole_sample([1, 1, 2, 3, 9], "zero_inflated_negative_binomial")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # twelve items identify little
        found = compare_whole_sample([1, 1, 1, 1, 1, 2, 2, 3, 3, 9, 30, 31])
    assert not [fit.model for fit in found.fits if "zero_inflated" in fit.model]


# --- recovery -----------------------------------------------------------------------------------

TRUTHS: dict[str, tuple[dict[str, float], Callable[[Rng, int], Sample]]] = {
    "negative_binomial": (
        {"mean": 40.0, "dispersion": 6.0},
        lambda r, n: negative_binomial(r, n, 40.0, 6.0),
    ),
    "zero_inflated_negative_binomial": (
        {"mean": 40.0, "dispersion": 1.0, "pi": 0.3},
        lambda r, n: inflated(r, negative_binomial(r, n, 40.0, 1.0), 0.3),
    ),
    "poisson_lognormal": (
        {"mu": -1.0, "sigma": 2.5},
        lambda r, n: poisson_lognormal(r, n, -1.0, 2.5),
    ),
    "zero_inflated_poisson_lognormal": (
        {"mu": 2.0, "sigma": 1.2, "pi": 0.4},
        lambda r, n: inflated(r, poisson_lognormal(r, n, 2.0, 1.2), 0.4),
    ),
    "discretised_lognormal": (
        {"mu": -1.0, "sigma": 2.5},
        lambda r, n: rounded(lognormal(r, n, -1.0, 2.5)),
    ),
    "discretised_double_pareto_lognormal": (
        {"mu": 2.0, "sigma": 0.6, "alpha": 1.2, "beta": 0.8},
        lambda r, n: rounded(double_pareto(r, n, 2.0, 0.6, 1.2, 0.8)),
    ),
    "lognormal": ({"mu": 14.0, "sigma": 3.0}, lambda r, n: lognormal(r, n, 14.0, 3.0)),
    "double_pareto_lognormal": (
        {"mu": 14.0, "sigma": 1.0, "alpha": 0.9, "beta": 0.5},
        lambda r, n: double_pareto(r, n, 14.0, 1.0, 0.9, 0.5),
    ),
}


@pytest.mark.parametrize("model", [*COUNT_MODELS, *SIZE_MODELS])
def test_recovery_within_three_standard_errors(model: str) -> None:
    truth, draw = TRUTHS[model]
    discrete = model in COUNT_MODELS
    sample = draw(np.random.default_rng(11), 6000)
    fit = fit_whole_sample(sample, model, discrete=discrete)
    assert fit.converged
    assert not fit.at_boundary
    assert fit.notes == ()
    for name, value in truth.items():
        error = fit.std_errors[name]
        assert error is not None
        assert abs(fit.parameters[name] - value) < 3 * error, name
        interval = fit.intervals[name]
        assert interval is not None
        assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert sum(fit.observed_shares) == pytest.approx(1)
    assert sum(fit.expected_shares) == pytest.approx(1)
    np.testing.assert_allclose(fit.expected_shares, fit.observed_shares, atol=4 * 0.5 / 6000**0.5)
    assert fit.ks_distance < 1.63 / 6000**0.5  # 1 % point for given parameters
    assert (fit.tail_exponent is None) == ("alpha" not in truth)
    if discrete:
        assert fit.observed_zeros == np.mean(sample == 0)
        assert fit.expected_zeros == pytest.approx(fit.observed_zeros, abs=0.02)


def test_lognormal_sizes_have_the_closed_form() -> None:
    x = lognormal(np.random.default_rng(1), 300, 10.0, 2.0)
    fit = fit_whole_sample(np.concatenate([x, np.zeros(50)]), "lognormal", discrete=False)
    y = np.log(x)
    assert fit.parameters["mu"] == pytest.approx(y.mean(), rel=1e-7)
    assert fit.parameters["sigma"] == pytest.approx(y.std(), rel=1e-6)
    assert fit.std_errors["mu"] == pytest.approx(y.std() / 300**0.5, rel=1e-5)
    assert fit.std_errors["sigma"] == pytest.approx(y.std() / 600**0.5, rel=1e-4)
    assert (fit.n_obs, fit.n_used, fit.observed_zeros) == (350, 300, 1 / 7)
    assert fit.expected_zeros is None
    assert "50 zeros (14.3%) are left out" in fit.notes[0]
    z = stats.kstest(y, stats.norm(y.mean(), y.std()).cdf).statistic
    assert fit.ks_distance == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize("model", ["negative_binomial", "discretised_lognormal"])
def test_standard_errors_are_the_spread_over_samples(model: str) -> None:
    truth, draw = TRUTHS[model]
    runs = 60
    fits = [fit_whole_sample(draw(np.random.default_rng([3, i]), 1000), model) for i in range(runs)]
    for name in truth:
        spread = np.std([f.parameters[name] for f in fits], ddof=1)
        mean_error = np.mean([f.std_errors[name] for f in fits])
        # the sd of `runs` draws is off by 1/sqrt(2 (runs - 1)), here 9 %
        assert abs(mean_error / spread - 1) < 3 / math.sqrt(2 * (runs - 1)), name


@pytest.mark.full
@pytest.mark.parametrize("n", [500, 2000])
@pytest.mark.parametrize(
    "model",
    ["discretised_lognormal", "lognormal", *(m for m in TRUTHS if "inflated" in m)],
)
def test_coverage_of_the_wider_models(model: str, n: int) -> None:
    runs = 1000
    truth, draw = TRUTHS[model]
    hits = dict.fromkeys(truth, 0)
    for i in range(runs):
        sample = draw(np.random.default_rng([77, i]), n)
        fit = fit_whole_sample(sample, model, discrete=model in COUNT_MODELS)
        for name, value in truth.items():
            interval = fit.intervals[name]
            hits[name] += interval is not None and interval[0] <= value <= interval[1]
    for name, hit in hits.items():
        assert abs(hit / runs - 0.95) < 3 * math.sqrt(0.95 * 0.05 / runs), name


@pytest.mark.full
@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize(
    ("model", "theta", "draw"),
    [
        ("negative_binomial", {"mean": 5.0, "dispersion": 2.0}, negative_binomial),
        ("negative_binomial", {"mean": 100.0, "dispersion": 15.0}, negative_binomial),
        ("poisson_lognormal", {"mu": 0.0, "sigma": 2.0}, poisson_lognormal),
        ("poisson_lognormal", {"mu": -3.0, "sigma": 3.0}, poisson_lognormal),
    ],
)
def test_coverage(model: str, theta: dict[str, float], draw: Callable[..., Sample], n: int) -> None:
    runs = 1000
    hits = dict.fromkeys(theta, 0)
    for i in range(runs):
        fit = fit_whole_sample(draw(np.random.default_rng([77, i]), n, *theta.values()), model)
        for name, value in theta.items():
            interval = fit.intervals[name]
            hits[name] += interval is not None and interval[0] <= value <= interval[1]
    for name, hit in hits.items():
        assert 0.92 < hit / runs < 0.975, name


# --- invariance and records ---------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 300), min_size=5, max_size=40).filter(lambda x: np.var(x) > np.mean(x)),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, derandomize=True, max_examples=15)
def test_order_and_merging_do_not_matter(sample: list[int], random: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = fit_whole_sample(sample, "negative_binomial")
        shuffled = sorted(sample, key=lambda _: random.random())  # type: ignore[attr-defined]
        two = fit_whole_sample(shuffled, "negative_binomial")
        three = fit_whole_sample(Counts.from_pairs(sample, [1] * len(sample)), "negative_binomial")
    assert one.to_dict() == two.to_dict() == three.to_dict()


def test_every_item_twice_is_the_same_fit_with_smaller_errors() -> None:
    x = negative_binomial(np.random.default_rng(9), 500, 3.0, 2.0)
    one = fit_whole_sample(x, "negative_binomial")
    two = fit_whole_sample(np.concatenate([x, x]), "negative_binomial")
    for name, value in one.parameters.items():
        assert two.parameters[name] == pytest.approx(value, rel=1e-5)
        assert two.std_errors[name] == pytest.approx(one.std_errors[name] / 2**0.5, rel=1e-4)
    assert two.log_likelihood == pytest.approx(2 * one.log_likelihood, rel=1e-9)


def test_unit_of_sizes_moves_only_the_location() -> None:
    x = double_pareto(np.random.default_rng(2), 800, 5.0, 0.8, 1.2, 0.7)
    one = fit_whole_sample(x, "double_pareto_lognormal", discrete=False)
    two = fit_whole_sample(1000 * x, "double_pareto_lognormal", discrete=False)
    assert two.parameters["mu"] - one.parameters["mu"] == pytest.approx(math.log(1000), abs=1e-3)
    assert two.tail_exponent == pytest.approx(one.tail_exponent, rel=1e-3)
    shift = 800 * math.log(1000)
    assert two.log_likelihood == pytest.approx(one.log_likelihood - shift, abs=1e-5)


def test_records_come_back() -> None:
    x = poisson_lognormal(np.random.default_rng(3), 300, 0.0, 1.0)
    models = ("negative_binomial", "poisson_lognormal", "zero_inflated_poisson_lognormal")
    comparison = compare_whole_sample(x, models=models)
    for record in (comparison, comparison.best, comparison.tests[0]):
        again = from_dict(json.loads(json.dumps(to_dict(record))))
        assert dataclasses.asdict(again) == dataclasses.asdict(record)
    fit = comparison.best
    restored = WholeSampleFit.from_dict(json.loads(json.dumps(fit.to_dict())))
    np.testing.assert_array_equal(restored.log_probability([0, 3]), fit.log_probability([0, 3]))
    assert list(fit.estimates())[-1] == "expected_zeros"
    assert fit.estimates()["mu"].conf_int() == fit.intervals["mu"]
    assert fit.summary().startswith("Model of the whole sample\n")
    table = comparison.summary().splitlines()
    assert len(table) == 1 + 3 + 1 + 1 + 3
    assert "lowest BIC" in table[1]


# --- boundaries, tests, refusals ----------------------------------------------------------------


def test_a_sample_without_overdispersion_is_poisson() -> None:
    x = np.array([0.0, 1, 1, 2, 0, 1, 2, 1])
    for model, name in (("negative_binomial", "dispersion"), ("poisson_lognormal", "sigma")):
        fit = fit_whole_sample(x, model)
        assert fit.converged
        assert fit.at_boundary
        assert (fit.parameters[name], fit.std_errors[name], fit.intervals[name]) == (0, None, None)
        truth = stats.poisson.logpmf(x, x.mean()).sum()
        assert fit.log_likelihood == pytest.approx(truth, abs=1e-4)
        assert f"{name} is at its limit 0" in fit.notes[0]
        other = fit.std_errors["mean" if name == "dispersion" else "mu"]
        mean_error = math.sqrt(x.mean() / 8)
        expected = mean_error if name == "dispersion" else mean_error / x.mean()
        assert other == pytest.approx(expected, rel=1e-3)


def test_no_extra_zeros_is_the_base_model() -> None:
    x = negative_binomial(np.random.default_rng(8), 2000, 30.0, 1.0)
    x = np.concatenate([x[x > 0], np.zeros(20)])  # fewer zeros than the base expects
    found = compare_whole_sample(x, models=COUNT_MODELS[:2])
    base, wide = found.fits
    assert (base.model, wide.parameters["pi"], wide.std_errors["pi"]) == (COUNT_MODELS[0], 0, None)
    assert wide.log_likelihood == pytest.approx(base.log_likelihood, abs=1e-5)
    assert wide.std_errors["mean"] == pytest.approx(base.std_errors["mean"], rel=1e-3)
    assert found.tests[0].p_nested == 1.0
    assert found.tests[0].vuong is None
    assert found.tests[0].verdict == "negative_binomial suffices"


def test_a_lognormal_sample_has_no_pareto_tail() -> None:
    x = lognormal(np.random.default_rng(21), 1500, 3.0, 1.0)
    found = compare_whole_sample(x, discrete=False)
    assert found.best.model == "lognormal"
    assert found.tests[0].p_nested > 0.05
    wide = found.fits[1]
    if wide.parameters["alpha"] == math.inf:
        assert wide.tail_exponent is None
        assert np.isfinite(wide.log_probability([1.0, 1e9])).all()


def test_vuong_by_hand_and_the_right_winner() -> None:
    x = rounded(double_pareto(np.random.default_rng(6), 4000, 1.0, 0.5, 1.0, 1.5))
    found = compare_whole_sample(x)
    assert isinstance(found, WholeSampleComparison)
    assert found.best.model == "discretised_double_pareto_lognormal"
    assert found.best.tail_exponent == pytest.approx(1.0, abs=0.15)
    assert [f.bic for f in found.fits] == sorted(f.bic for f in found.fits)
    test = next(t for t in found.tests if t.rival == "negative_binomial")
    rival = next(f for f in found.fits if f.model == test.rival)
    gap = found.best.log_probability(x) - rival.log_probability(x)
    by_hand = gap.sum() / math.sqrt(x.size) / gap.std()
    assert test.vuong == pytest.approx(by_hand, rel=1e-6)
    assert test.p_value == pytest.approx(2 * stats.norm.sf(by_hand), rel=1e-5)
    assert test.verdict == found.best.model
    nested = next(t for t in found.tests if t.rival == "discretised_lognormal")
    assert nested.p_value is None
    expected = stats.chi2.sf(2 * nested.log_likelihood_ratio, 2)
    assert nested.p_nested == pytest.approx(expected)


def test_extra_zeros_are_found_with_half_a_chi_square() -> None:
    rng = np.random.default_rng(12)
    x = inflated(rng, poisson_lognormal(rng, 1500, 2.0, 1.0), 0.3)
    found = compare_whole_sample(x, models=COUNT_MODELS[2:4])
    assert found.best.model == "zero_inflated_poisson_lognormal"
    gained = 2 * (found.fits[0].log_likelihood - found.fits[1].log_likelihood)
    assert found.tests[0].p_nested == pytest.approx(0.5 * stats.chi2.sf(gained, 1))
    assert found.tests[0].verdict == found.best.model


def test_ks_and_shares_by_hand() -> None:
    x = np.array([0, 0, 0, 1, 4, 4, 50, 1200] * 10, dtype=float)
    fit = fit_whole_sample(x, "discretised_lognormal")
    every = np.arange(0, 1300.0)
    ecdf = np.searchsorted(np.sort(x), every, side="right") / x.size
    assert fit.ks_distance == pytest.approx(np.abs(fit.cdf(every) - ecdf).max(), abs=1e-12)
    assert fit.classes == ("0", "1", "2-9", "10-99", "100-999", ">= 1000")
    assert fit.observed_shares == pytest.approx((3 / 8, 1 / 8, 2 / 8, 1 / 8, 0, 1 / 8))
    pmf = np.exp(fit.log_probability(every))
    assert fit.expected_shares[2] == pytest.approx(pmf[2:10].sum(), rel=1e-9)
    assert fit.expected_shares[5] == pytest.approx(1 - pmf[:1000].sum(), rel=1e-9)


def test_what_the_data_do_not_identify_has_no_error() -> None:
    # Two cells, two parameters and a ridge: any sigma fits if mu follows.
    for model in COUNT_MODELS[4:]:
        with pytest.warns(ConvergenceWarning, match="do not identify"):
            fit = fit_whole_sample([0] * 30 + [1] * 5, model)
        assert not fit.converged
        assert "DID NOT CONVERGE" in fit.summary().splitlines()[0]
        assert None in fit.std_errors.values()
        assert 0 not in fit.std_errors.values()
        assert fit.log_likelihood == pytest.approx(30 * math.log(6 / 7) + 5 * math.log(1 / 7))


def test_a_wider_model_is_never_worse_than_the_one_inside() -> None:
    # A few huge values among zeros once left the tails in a local optimum.
    found = compare_whole_sample([0] * 1000 + [10**6] * 5 + [1])
    best = {f.model: f.log_likelihood for f in found.fits}
    for model, value in best.items():
        inside = MODELS[model].nested
        assert inside is None or value >= best[inside] - 1e-4


def test_a_hopeless_search_raises_with_its_last_point(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = dataclasses.replace(
        MODELS["negative_binomial"], log_probability=lambda p, x: np.full_like(x, -np.inf)
    )
    monkeypatch.setitem(MODELS, "negative_binomial", nowhere)
    with pytest.raises(ConvergenceError, match="check the data") as caught:
        fit_whole_sample([0, 1, 5], "negative_binomial")
    assert caught.value.last["mean"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("sample", "model", "discrete", "says"),
    [
        ([0, 0, 0], "negative_binomial", True, "all values are zero.*check the column"),
        ([0.0, 0.0], "lognormal", False, "all values are zero.*check the column"),
        ([4, 4, 4], "poisson_lognormal", True, "equal to 4; give a sample that varies"),
        ([0.0, 4.5, 4.5], "lognormal", False, "equal to 4.5; give a sample that varies"),
        ([0, 1.5, 2], "negative_binomial", True, "round them, or fit them as continuous"),
        ([0, 1, 2.0**60], "negative_binomial", True, "beyond 2\\^53.*rescale the data"),
        ([0, 1, 2**60], "negative_binomial", True, "beyond 2\\^53.*rescale the data"),
        ([0, 1, -2], "negative_binomial", True, "negative.*drop or correct them"),
        ([0, 1, math.nan], "negative_binomial", True, "drop or fill them"),
        ([], "negative_binomial", True, "give at least two"),
        ([0, 1, 2], "lognormal", True, "unknown model.*choose from"),
        ([0, 1, 2], "negative_binomial", False, "unknown model.*choose from"),
    ],
)
def test_refusals(sample: list[float], model: str, discrete: bool, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_whole_sample(sample, model, discrete=discrete)


def test_an_empty_list_of_models_is_refused() -> None:
    with pytest.raises(DataError, match="choose from"):
        compare_whole_sample([0, 1, 2], models=())


@pytest.mark.parametrize(
    ("column", "models"),
    [("likes", COUNT_MODELS), ("downloads", (COUNT_MODELS[0], COUNT_MODELS[2], COUNT_MODELS[4]))],
)
def test_hub_snapshot(
    column: str,
    models: tuple[str, ...],
    recording: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import polars as pl

    table = pl.read_parquet(recording("hub/models_2024-07-11.parquet"), columns=[column])
    counts = Counts.from_sample(table[column].to_numpy())
    found = compare_whole_sample(counts, models=models)
    assert found.best.model == "discretised_lognormal"
    for fit in found.fits:
        assert fit.converged
        assert math.isfinite(fit.log_likelihood)
        assert all(error is None or 0 < error < math.inf for error in fit.std_errors.values())
    assert found.fits[-1].model.endswith("negative_binomial")  # no thin tail will do
    assert found.best.expected_zeros == pytest.approx(found.best.observed_zeros, abs=0.02)
    assert capsys.readouterr() == ("", "")


# --- ties under a density, scale, what the comparison says ----------------------------------------


def tied(n: int, n_tied: int) -> np.ndarray:
    x = np.exp(np.random.default_rng(5).normal(3.0, 1.0, n))
    x[:n_tied] = 1.0
    return x


def test_ties_refute_every_density() -> None:
    # A jump of s in the ECDF is at least s/2 away from any continuous cdf.
    x = np.floor((1 - np.random.default_rng(3).random(3000)) ** (-1 / 1.2))
    share = np.mean(x == 1)
    with pytest.warns(ConvergenceWarning, match=r"of the items equal 1: a density has no such"):
        found = compare_whole_sample(x, discrete=False)
    assert share > 0.5
    for fit in found.fits:
        assert fit.refuted_by_ties
        assert not fit.converged
        assert fit.ks_distance >= share / 2
    assert found.tests == ()
    assert "lowest BIC" not in found.summary()
    assert found.summary().count("excluded: a density on ties") == 2
    assert "note: double_pareto_lognormal did not converge: 5" in found.summary()


@pytest.mark.parametrize(("n_tied", "converged"), [(1, True), (65, True), (66, False)])
def test_ties_within_chance_are_borne(n_tied: int, converged: bool) -> None:
    # 400 items: s/2 > 1.63/20 from 66 equal ones on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = fit_whole_sample(tied(400, n_tied), "lognormal", discrete=False)
    assert fit.converged is converged


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e25, 1e30, 1e100, 1e300])
def test_a_lognormal_of_any_scale_is_its_closed_form(scale: float) -> None:
    # mu and sigma are mean and standard deviation of the logs; the density scales by 1/scale.
    x = tied(500, 0) * scale
    logs = np.log(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_whole_sample(x, "lognormal", discrete=False)
    assert fit.converged
    assert fit.parameters["mu"] == pytest.approx(logs.mean(), abs=1e-6)
    assert fit.parameters["sigma"] == pytest.approx(logs.std(), rel=1e-6)
    top = stats.norm(logs.mean(), logs.std()).logpdf(logs).sum() - logs.sum()
    assert fit.log_likelihood == pytest.approx(top, abs=1e-6 + 1e-10 * abs(top))
    assert fit.ks_distance < 0.06


def test_size_classes_stay_few() -> None:
    x = 10.0 ** np.random.default_rng(2).uniform(-200, 200, 300)
    fit = fit_whole_sample(x, "lognormal", discrete=False)
    assert fit.converged
    assert fit.parameters["sigma"] == pytest.approx(np.log(x).std(), rel=1e-6)  # closed form
    assert 3 < len(fit.classes) <= 10
    assert sum(fit.observed_shares) == pytest.approx(1.0)


def test_a_fit_refuted_by_ties_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = [0, 0, 1, 1, 2, 2, 3, 5, 8, 13, 21]
    names = ("negative_binomial", "discretised_lognormal")
    before = compare_whole_sample(sample, models=names)
    real = whole_sample._fit

    def doubtful(name: str, *given: Counts) -> WholeSampleFit:
        fit = real(name, *given)
        return replace(fit, refuted_by_ties=True) if name == before.best.model else fit

    monkeypatch.setattr(whole_sample, "_fit", doubtful)
    found = compare_whole_sample(sample, models=names)
    assert found.best.model == before.fits[1].model
    assert found.tests == ()
    assert found.verdict(found.best) == "lowest BIC"
    assert found.verdict(found.fits[1]) == "excluded: a density on ties"


def test_a_search_that_stopped_early_stays_in_the_ranking() -> None:
    # Its likelihood is too low, if anything: the lowest BIC even so is the lowest.
    names = ("negative_binomial", "discretised_lognormal")
    found = compare_whole_sample([0, 0, 1, 1, 2, 2, 3, 5, 8, 13, 21], models=names)
    best, other = (replace(fit, converged=False) for fit in found.fits)
    found = replace(found, fits=(best, other))
    assert found.verdict(best) == "lowest BIC (did not converge)"
    assert found.verdict(other).endswith(" (did not converge)")


def test_no_row_names_itself() -> None:
    # The likelihood ratio may prefer the larger model where BIC does not.
    names = ("discretised_lognormal", "discretised_double_pareto_lognormal")
    sample = rounded(lognormal(np.random.default_rng(8), 1000, 1.0, 1.5))
    found = compare_whole_sample(sample, models=names)
    test = replace(found.tests[0], p_nested=0.01)
    found = replace(found, tests=(test,))
    assert test.verdict == names[1]
    assert found.best.model == names[0]
    assert found.verdict(found.fits[1]) == "preferred by the test, not by BIC"


def test_the_shares_say_of_which_items_they_are() -> None:
    x = tied(300, 0)
    with_zeros = compare_whole_sample(np.append(x, np.zeros(100)), discrete=False).summary()
    assert "share of positive items in" in with_zeros
    assert "share of items in" in compare_whole_sample(x, discrete=False).summary()


@pytest.mark.parametrize(
    "name", ["discretised_lognormal", "discretised_double_pareto_lognormal", "negative_binomial"]
)
def test_the_influence_of_an_item_is_what_leaving_it_out_moves(name: str) -> None:
    rng = np.random.default_rng(31)
    logs = 2.0 + 0.6 * rng.standard_normal(3_000)
    logs += rng.standard_exponential(3_000) / 1.2 - rng.standard_exponential(3_000) / 0.8
    sample = np.rint(np.exp(logs))
    values, n = np.unique(sample, return_counts=True)
    fit = fit_whole_sample(sample, name)
    influence = law_influence(fit, values, n.astype(float))
    assert influence.keys() == {p for p, error in fit.std_errors.items() if error}
    groups = [(0, 3), (int(np.searchsorted(values, 20)), 1), (values.size - 1, 1)]
    for parameter, moves in influence.items():
        assert float(moves @ n) == pytest.approx(0.0, abs=1e-6)
        error = fit.std_errors[parameter]
        assert error is not None
        for place, items in groups:
            fewer = n.copy()
            fewer[place] -= items
            kept = fewer > 0
            counts = Counts.from_pairs(values[kept], fewer[kept])
            moved = fit_whole_sample(counts, name).parameters[parameter] - fit.parameters[parameter]
            # one step: right to the second order of what is left out
            assert -items * moves[place] == pytest.approx(moved, rel=0.1, abs=0.005 * error)
