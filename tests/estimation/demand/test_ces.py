"""From the tail of demand to taste exponents: band, measured sigma, two measures, recovery."""

import math

import numpy as np
import pytest
import statsmodels.api as sm

from baimo.estimation.demand.ces import (
    RHO_BAND,
    CommonShare,
    DemandFit,
    TwoMeasures,
    common_share,
    fit_demand,
    two_measures,
)
from baimo.estimation.demand.cost_elasticity import CostElasticityFit, fit_cost_elasticity
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, from_dict
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.demand.ces import DemandParams, simulate_demand

SAMPLE = Counts.from_pairs([0, 1, 2, 3, 5, 9, 40], [9, 40, 14, 8, 5, 2, 1])


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.9])
def test_alpha_is_zeta_kappa(rho: float) -> None:
    tail = fit_tail(SAMPLE)
    fit = fit_demand(SAMPLE, tail, rho_band=(rho,))
    kappa = rho / (1 - rho)
    found = fit.estimates()[f"alpha_rho_{rho:g}"]
    assert found.value == pytest.approx(tail.zeta * kappa, rel=1e-14)
    assert found.std_error == pytest.approx(tail.std_error * kappa, rel=1e-14)


def test_every_rho_of_the_band_has_the_same_tail() -> None:
    tail = fit_tail(SAMPLE)
    fit = fit_demand(SAMPLE, tail)
    assert fit.rho_band == RHO_BAND
    for rho in RHO_BAND:
        assert fit.params(rho).rho == rho
        assert fit.params(rho).zeta == pytest.approx(tail.zeta, rel=1e-12)
    assert fit.params().rho == RHO_BAND[1]


def test_clustered_errors_carry_over() -> None:
    wide = fit_demand(SAMPLE, fit_tail(SAMPLE, design_effect=4.0))
    plain = fit_demand(SAMPLE, fit_tail(SAMPLE))
    assert wide.std_error == pytest.approx(2 * plain.std_error, rel=1e-14)


def test_totals_and_notes() -> None:
    fit = fit_demand(SAMPLE, fit_tail(SAMPLE))
    assert fit.total == 40 + 28 + 24 + 25 + 18 + 40
    assert fit.n_obs == SAMPLE.n_obs
    assert any("assumed, not estimated" in note for note in fit.notes)


def test_recovery_of_zeta_and_of_alpha_at_the_true_rho() -> None:
    # 40 markets of 4,000 items: tail fitted at the 90 % quantile of demand, where Poisson noise
    # is small; z over the markets.
    truth = DemandParams(alpha=2.1, rho=0.6)
    rng = np.random.default_rng(37)
    z = []
    for _ in range(40):
        sample = Counts.from_sample(simulate_demand(truth, 4000, 10**9, rng))
        tail = fit_tail(sample, x_min=sample.quantile(0.9))
        found = fit_demand(sample, tail, rho_band=(truth.rho,)).estimates()["alpha_rho_0.6"]
        assert found.value is not None
        assert found.std_error is not None
        z.append((found.value - truth.alpha) / found.std_error)
    assert abs(np.mean(z)) < 4 / math.sqrt(40)
    assert abs(np.std(z, ddof=1) - 1) < 4 / math.sqrt(2 * 39)


@pytest.mark.parametrize("band", [(), (0.0,), (0.5, 1.0), (-0.1, 0.5)], ids=str)
def test_bands_outside_zero_and_one(band: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="rho_band"):
        fit_demand(SAMPLE, fit_tail(SAMPLE), rho_band=band)


# --- with a measured sigma -----------------------------------------------------------------------

# sigma = log(49/17)/log(2) = 1.527
COSTED = fit_cost_elasticity([30, 10, 7, 1, 12, 6], [1.0, 2.0] * 3, [1, 1, 2, 2, 3, 3])
BELOW_ONE = fit_cost_elasticity([30, 29, 8, 7, 5, 6], [1.0, 2.0] * 3, [1, 1, 2, 2, 3, 3])


def test_without_costs_alpha_is_unknown() -> None:
    found = fit_demand(SAMPLE, fit_tail(SAMPLE)).estimates()
    assert list(found)[:4] == ["zeta", "sigma", "rho", "alpha"]
    assert [found[name].value for name in ("sigma", "rho", "alpha")] == [None] * 3
    assert [found[name].std_error for name in ("sigma", "rho", "alpha")] == [None] * 3
    assert list(found)[4:] == ["alpha_rho_0.3", "alpha_rho_0.6", "alpha_rho_0.9"]


def test_alpha_and_its_error_by_hand() -> None:
    tail = fit_tail(SAMPLE)
    fit = fit_demand(SAMPLE, tail, cost_elasticity=COSTED)
    found = fit.estimates()
    kappa = COSTED.sigma - 1
    assert COSTED.std_error is not None
    assert found["alpha"].value == pytest.approx(tail.zeta * kappa, rel=1e-14)
    assert found["alpha"].std_error == pytest.approx(
        math.sqrt((kappa * tail.std_error) ** 2 + (tail.zeta * COSTED.std_error) ** 2), rel=1e-14
    )
    assert found["rho"].value == pytest.approx(1 - 1 / COSTED.sigma, rel=1e-14)
    assert found["rho"].std_error == pytest.approx(COSTED.std_error / COSTED.sigma**2, rel=1e-14)
    assert found["sigma"].conf_int() == COSTED.interval
    # the measured rho is the one to simulate with, unless another is asked for
    assert fit.params().rho == found["rho"].value
    assert fit.params().alpha == pytest.approx(found["alpha"].value, rel=1e-12)
    assert fit.params().zeta == pytest.approx(tail.zeta, rel=1e-12)
    assert fit.params(0.5).rho == 0.5
    # the band stays
    assert found["alpha_rho_0.3"].value == pytest.approx(tail.zeta * 3 / 7, rel=1e-14)


def test_sigma_below_one_leaves_rho_and_alpha_unknown() -> None:
    fit = fit_demand(SAMPLE, fit_tail(SAMPLE), cost_elasticity=BELOW_ONE)
    found = fit.estimates()
    assert found["sigma"].value == BELOW_ONE.sigma < 1
    assert found["rho"].value is None
    assert found["alpha"].value is None
    assert fit.params().rho == RHO_BAND[1]
    assert any("not above 1" in note for note in fit.notes)


def test_an_unknown_error_of_sigma_leaves_that_of_alpha_unknown() -> None:
    lone = fit_cost_elasticity([30, 10, 4], [1.0, 2.0, 4.0], [1, 1, 1])
    found = fit_demand(SAMPLE, fit_tail(SAMPLE), cost_elasticity=lone).estimates()
    assert found["alpha"].value is not None
    assert found["alpha"].std_error is None
    assert found["rho"].std_error is None
    assert found["alpha"].conf_int() is None


@pytest.mark.parametrize("cost", [None, COSTED, BELOW_ONE], ids=["none", "above", "below"])
def test_record(cost: CostElasticityFit | None) -> None:
    fit = fit_demand(SAMPLE, fit_tail(SAMPLE), cost_elasticity=cost)
    assert DemandFit.from_dict(fit.to_dict()).summary() == fit.summary()


def test_records_written_before_sigma_was_known_still_read() -> None:
    payload = fit_demand(SAMPLE, fit_tail(SAMPLE)).to_dict()
    old = {key: value for key, value in payload.items() if not key.startswith("sigma")}
    assert from_dict(old).estimates() == fit_demand(SAMPLE, fit_tail(SAMPLE)).estimates()


MENU = np.array([4.0, 2.0, 1.0, 0.5])  # GB of four variants, the same in every family
TRUTH = DemandParams(alpha=1.8, rho=0.5)  # sigma 2, kappa 1, zeta 1.8
# A fifth of families is above it: 4000 q/E[q] at P(Q > q) = 1/5. Given, not an order statistic,
# which would double the bias of zeta.
X_MIN = math.ceil(4000 * 0.2 ** (-1 / 1.8) / 2.25)


def market(rng: np.random.Generator, n: int, spread: float) -> tuple[np.ndarray, ...]:
    """Return family totals and (demand, cost, family) of their variants.

    Totals are Pareto by a common taste; the split is Dirichlet around tau^-sigma, so that the
    errors of zeta and sigma are independent as the formula has it. `spread` is 1/(1 + sum of the
    Dirichlet parameters): the part of the largest variance that it reaches.
    """
    totals = simulate_demand(TRUTH, n, 4000 * n, rng)
    share = MENU**-TRUTH.sigma / np.sum(MENU**-TRUTH.sigma)
    split = rng.gamma(share * (1 / spread - 1), 1.0, (n, MENU.size))
    split = rng.multinomial(totals, split / split.sum(axis=1, keepdims=True))
    return totals, split.ravel(), np.tile(MENU, n), np.repeat(np.arange(n), MENU.size)


def replicated(runs: int, n: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return (bias in standard deviations, coverage of 95 %) of zeta, sigma and alpha."""
    rng = np.random.default_rng(seed)
    truth = {"zeta": TRUTH.zeta, "sigma": TRUTH.sigma, "alpha": TRUTH.alpha}
    found: dict[str, list[float]] = {name: [] for name in truth}
    inside = dict.fromkeys(truth, 0)
    for _ in range(runs):
        totals, demand, cost, family = market(rng, n, 0.1)
        counts = Counts.from_sample(totals)
        fit = fit_demand(
            counts,
            fit_tail(counts, x_min=X_MIN),
            cost_elasticity=fit_cost_elasticity(demand, cost, family),
        )
        for name, value in truth.items():
            e = fit.estimates()[name]
            interval = e.conf_int()
            assert e.value is not None
            assert interval is not None
            found[name].append(e.value)
            inside[name] += interval[0] <= value <= interval[1]
    return {
        name: (float((np.mean(v) - truth[name]) / np.std(v, ddof=1)), inside[name] / runs)
        for name, v in found.items()
    }


def test_recovery_of_zeta_sigma_and_alpha_quick() -> None:
    runs = 200
    for name, (bias, coverage) in replicated(runs, 500, 51).items():
        # the maximum-likelihood exponent of k = 100 items is 1/k of itself too high: .1 SE
        assert abs(bias) < 0.1 + 3 / math.sqrt(runs), name
        assert abs(coverage - 0.95) < 3 * math.sqrt(0.95 * 0.05 / runs), name


@pytest.mark.full
@pytest.mark.parametrize("n", [2500, 10_000])
def test_recovery_of_zeta_sigma_and_alpha(n: int) -> None:
    runs = 1000
    found = replicated(runs, n, 52)
    print(f"\n{n} families: (bias/sd, coverage) {found}")
    for name, (bias, coverage) in found.items():
        assert abs(bias) <= max(3 / math.sqrt(runs), 0.1), name
        assert abs(coverage - 0.95) <= 0.03, name


# --- two measures of one demand ------------------------------------------------------------------


def pair(rng: np.random.Generator, n: int, ratio: float, noise: tuple[float, float]) -> tuple:
    """Return sizes (D, L) with log D = ratio log L but for noise in both."""
    log_q = rng.exponential(1.0, n)
    d = np.exp(5 + ratio * log_q + noise[0] * rng.standard_normal(n))
    return d, np.exp(5 + log_q + noise[1] * rng.standard_normal(n))


def test_two_measures_against_plain_regressions() -> None:
    rng = np.random.default_rng(53)
    d, e = pair(rng, 300, 1.6, (0.6, 0.4))
    fit = two_measures(Estimate(value=1.0, std_error=0.1), Estimate(value=1.6, std_error=0.2), d, e)
    x, y = np.log(e), np.log(d)
    assert fit.ols == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-10)
    assert fit.inverse == pytest.approx(1 / np.polyfit(y, x, 1)[0], rel=1e-10)
    assert fit.rma == pytest.approx(np.std(y) / np.std(x), rel=1e-10)
    assert fit.rma == pytest.approx(math.sqrt(fit.ols * fit.inverse), rel=1e-12)
    robust = sm.OLS(y, sm.add_constant(x)).fit(cov_type="HC0").bse[1] * math.sqrt(300 / 299)
    assert fit.ols_std_error == pytest.approx(robust, rel=1e-10)
    assert fit.tail_ratio == pytest.approx(1.6, rel=1e-14)
    assert fit.tail_ratio_std_error == pytest.approx(1.6 * math.hypot(0.1, 0.125), rel=1e-14)
    assert fit.bracketed
    assert TwoMeasures.from_dict(fit.to_dict()).summary() == fit.summary()
    bare = two_measures(1.0, 9.0, d, e)
    assert bare.tail_ratio_std_error is None
    assert not bare.bracketed


def test_two_measures_bracket_the_ratio_of_kappas() -> None:
    # Moments are exact: Var log q = 1, so OLS tends to r/(1 + s_L^2), inverse to r + s_D^2/r.
    rng = np.random.default_rng(54)
    r, s_d, s_l = 1.6, 0.8, 0.6
    fit = two_measures(1.0, r, *pair(rng, 100_000, r, (s_d, s_l)), floor=1e-9)
    for value, error, limit in (
        (fit.ols, fit.ols_std_error, r / (1 + s_l**2)),
        (fit.inverse, fit.inverse_std_error, r + s_d**2 / r),
        (fit.rma, fit.rma_std_error, math.sqrt((r**2 + s_d**2) / (1 + s_l**2))),
    ):
        assert abs(value - limit) < 4 * error
    assert fit.ols < r < fit.inverse


def test_errors_of_two_measures_cover() -> None:
    rng = np.random.default_rng(55)
    runs, r, s = 400, 1.6, 0.7
    limits = {
        "kappa_ratio_ols": r / (1 + s**2),
        "kappa_ratio_rma": math.sqrt((r**2 + s**2) / (1 + s**2)),
        "kappa_ratio_inverse": r + s**2 / r,
    }
    inside = dict.fromkeys(limits, 0)
    for _ in range(runs):
        found = two_measures(1.0, r, *pair(rng, 1000, r, (s, s)), floor=1e-9).conf_int()
        for name, limit in limits.items():
            interval = found[name]
            assert interval is not None
            inside[name] += interval[0] <= limit <= interval[1]
    for name, hits in inside.items():
        assert abs(hits / runs - 0.95) < 3 * math.sqrt(0.95 * 0.05 / runs), name


def test_common_share_of_tastes() -> None:
    # Two windows share log q (variance 1) and have noise of variance .5 each: share 2/3.
    rng = np.random.default_rng(56)
    runs, inside = 300, 0
    for _ in range(runs):
        log_q = rng.exponential(1.0, 800)
        a, b = (np.exp(9 + log_q + math.sqrt(0.5) * rng.standard_normal(800)) for _ in range(2))
        fit = common_share(a, b)
        interval = fit.conf_int()["common_share"]
        assert interval is not None
        inside += interval[0] <= 2 / 3 <= interval[1]
    assert abs(inside / runs - 0.95) < 3 * math.sqrt(0.95 * 0.05 / runs)
    assert fit.covariance == pytest.approx(1.0, abs=4 * fit.covariance_std_error)
    assert CommonShare.from_dict(fit.to_dict()).summary() == fit.summary()


def test_common_share_of_one_window_with_itself_is_one() -> None:
    a = np.exp(np.random.default_rng(57).normal(5, 1, 50))
    fit = common_share(a, a)
    assert fit.share == pytest.approx(1.0, rel=1e-12)
    assert fit.std_error == pytest.approx(0.0, abs=1e-9)


def test_clusters_of_copies_widen_the_errors_as_they_should() -> None:
    rng = np.random.default_rng(58)
    d, e = pair(rng, 400, 1.6, (0.5, 0.5))
    plain = two_measures(1.0, 1.6, d, e)
    copies = two_measures(
        1.0, 1.6, np.repeat(d, 4), np.repeat(e, 4), clusters=np.repeat(np.arange(400), 4)
    )
    assert copies.ols == pytest.approx(plain.ols, rel=1e-10)
    assert copies.ols_std_error == pytest.approx(plain.ols_std_error, rel=1e-10)


def test_items_below_the_floor_are_left_out() -> None:
    rng = np.random.default_rng(59)
    d, e = pair(rng, 100, 1.6, (0.5, 0.5))
    fit = two_measures(1.0, 1.6, np.append(d, [0, 5, 0]), np.append(e, [3, 0, 0]))
    assert (fit.n_obs, fit.n_used) == (103, 100)
    assert fit.ols == two_measures(1.0, 1.6, d, e).ols


@pytest.mark.parametrize(
    ("d", "e", "zetas", "says"),
    [
        ([1, 2, 3], [1, 2], (1, 1), "give pairs"),
        ([1, 2, math.nan], [1, 2, 3], (1, 1), "missing"),
        ([0, 2, 3], [1, 2, 3], (1, 1), "lower the floor"),
        ([1, 2, 3], [3, 2, 1], (1, 1), "do not rise together"),
        ([1, 2, 3], [1, 2, 3], (0, 1), "must be positive"),
        ([1, 2, 3], [1, 2, 3], (1, Estimate(value=None)), "must be positive"),
    ],
    ids=lambda v: str(v)[:24],
)
def test_two_measures_refused(d: list, e: list, zetas: tuple, says: str) -> None:
    with pytest.raises(DataError, match=says):
        two_measures(*zetas, d, e)
