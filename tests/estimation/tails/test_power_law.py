"""Power-law tails: brute-force scans, exact laws, seeded recovery, invariances."""

import dataclasses
import math
import warnings

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.typing import NDArray
from scipy import optimize, special, stats

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail, sample_power_law, tail_ccdf

Floats = NDArray[np.float64]


# --- independent oracle ------------------------------------------------------------------


def brute_alpha(tail: Floats, x_min: float, discrete: bool) -> float:
    mean_log = float(np.mean(np.log(tail / x_min)))
    if not discrete:
        return 1 + 1 / mean_log

    def cost(a: float) -> float:
        return math.log(special.zeta(a, x_min)) + a * (mean_log + math.log(x_min))

    return float(
        optimize.minimize_scalar(
            cost, bounds=(1.0001, 40.0), method="bounded", options={"xatol": 1e-12}
        ).x
    )


def brute_ks(tail: Floats, x_min: float, alpha: float, discrete: bool) -> float:
    """CSN's distance: at distinct values for counts, i/n per observation otherwise."""
    tail = np.sort(tail)
    if discrete:
        v = np.unique(tail)
        model = 1 - special.zeta(alpha, v + 1) / special.zeta(alpha, x_min)
        return float(np.max(np.abs(model - np.searchsorted(tail, v, side="right") / tail.size)))
    model = 1 - (tail / x_min) ** (1 - alpha)
    return float(np.max(np.abs(model - np.arange(tail.size) / tail.size)))


def brute_scan(sample: Floats, discrete: bool, n_tail_min: int) -> tuple[float, float, float]:
    best = (math.nan, math.nan, math.inf)
    for x_min in np.unique(sample[sample > 0])[:-1]:
        tail = sample[sample >= x_min]
        if tail.size < n_tail_min:
            break
        alpha = brute_alpha(tail, x_min, discrete)
        ks = brute_ks(tail, x_min, alpha, discrete)
        if ks < best[2]:
            best = (float(x_min), alpha, ks)
    return best


def random_sample(kind: str, rng: np.random.Generator) -> Floats:
    if kind == "pareto":
        return np.floor(2 * (1 - rng.random(150)) ** (-1 / 1.3))
    if kind == "lognormal-ties":
        return np.round(np.exp(rng.normal(1.5, 1.2, 200)))
    if kind == "few-values":
        return rng.choice([0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 30.0], size=120)
    return np.exp(rng.normal(0.0, 1.5, 120)) + np.where(rng.random(120) < 0.3, 4.0, 0.0)


@pytest.mark.parametrize("n_tail_min", [2, 25])
@pytest.mark.parametrize(
    ("kind", "discrete"),
    [
        ("pareto", True),
        ("lognormal-ties", True),
        ("few-values", True),
        ("pareto", False),
        ("lognormal-ties", False),
        ("few-values", False),
        ("smooth", False),
    ],
    ids=lambda v: {True: "discrete", False: "continuous"}.get(v, v),
)
def test_scan_is_the_brute_force_scan(kind: str, discrete: bool, n_tail_min: int) -> None:
    rng = np.random.default_rng(5)
    for _ in range(6):
        sample = random_sample(kind, rng)
        x_min, alpha, ks = brute_scan(sample, discrete, n_tail_min)
        fit = fit_tail(sample, discrete=discrete, n_tail_min=n_tail_min)
        assert fit.x_min == x_min
        assert fit.alpha == pytest.approx(alpha, rel=1e-6)
        assert fit.ks == pytest.approx(ks, abs=1e-7)
        assert fit.n_tail == int((sample >= x_min).sum())


def test_scan_of_a_steep_sample_is_the_brute_force_scan() -> None:
    # Values between 12 and 20 that fall by 3 a step: alpha about 14 to 20.
    values = np.arange(12.0, 18.0)
    sample = np.repeat(values, [1458, 486, 162, 54, 18, 6])
    x_min, alpha, ks = brute_scan(sample, True, 2)
    fit = fit_tail(sample)
    assert fit.x_min == x_min
    assert fit.alpha == pytest.approx(alpha, rel=1e-6)
    assert fit.ks == pytest.approx(ks, abs=1e-7)


@pytest.mark.parametrize(
    ("value", "times"),
    [(12, 100), (20, 1000), (50, 1000), (200, 50)],
    ids=lambda v: str(v),
)
def test_a_block_with_one_item_above_it(value: int, times: int) -> None:
    # mpmath solves the likelihood equation; the fit must neither miss the root nor call it
    # infinite while it lies below 1000.
    with mp.workdps(60):
        mean = mp.log(mp.mpf(value + 1) / value) / (times + 1)
        exact = mp.findroot(
            lambda a: mp.zeta(a, value, 1) / mp.zeta(a, value) + mp.log(value) + mean,
            (mp.log(times) / mp.log(mp.mpf(value + 1) / value)) * mp.mpf("1.02"),
        )
    assert exact < 1000
    fit = fit_tail(Counts.from_pairs([value, value + 1], [times, 1]), x_min=value)
    assert fit.alpha == pytest.approx(float(exact), rel=1e-8)


# --- the fit at a given x_min ------------------------------------------------------------


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("x_min", [4.0, 9.0, 21.0])
def test_x_min_that_does_not_occur_in_the_data(x_min: float, discrete: bool) -> None:
    rng = np.random.default_rng(3)
    sample = np.floor(3 * (1 - rng.random(400)) ** (-1 / 1.1))
    sample = sample[sample != x_min]
    fit = fit_tail(sample, discrete=discrete, x_min=x_min)
    tail = sample[sample >= x_min]
    assert fit.x_min == x_min
    assert fit.n_tail == tail.size
    assert fit.alpha == pytest.approx(brute_alpha(tail, x_min, discrete), rel=1e-6)
    assert fit.ks == pytest.approx(brute_ks(tail, x_min, fit.alpha, discrete), abs=1e-9)


def test_ks_of_a_perfect_sample_at_an_x_min_that_does_not_occur() -> None:
    # Pareto quantiles at (i + 1/2)/n: every |F(x_i) - i/n| is 1/(2n) up to the error of alpha,
    # about .13/n; a spurious point at x_min itself would give 1/n.
    n = 4000
    sample = (1 - (np.arange(n) + 0.5) / n) ** (-1 / 1.5)
    fit = fit_tail(sample, discrete=False, x_min=1.0)
    expected = brute_ks(sample, 1.0, fit.alpha, False)
    assert expected < 0.7 / n
    assert fit.ks == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_log_likelihood_and_std_error_are_those_of_the_density(discrete: bool) -> None:
    sample = sample_power_law(2.3, 5.0, 3000, np.random.default_rng(2), discrete=discrete)
    fit = fit_tail(sample, discrete=discrete, x_min=5.0)

    def log_likelihood(a: float) -> float:
        if discrete:
            return float(np.sum(-a * np.log(sample) - math.log(special.zeta(a, 5.0))))
        return float(np.sum(stats.pareto.logpdf(sample, a - 1, scale=5.0)))

    assert fit.log_likelihood == pytest.approx(log_likelihood(fit.alpha), rel=1e-10)
    h = 1e-3
    curvature = (
        log_likelihood(fit.alpha + h)
        - 2 * log_likelihood(fit.alpha)
        + log_likelihood(fit.alpha - h)
    ) / h**2
    assert fit.std_error == pytest.approx(1 / math.sqrt(-curvature), rel=1e-4)


def test_continuous_std_error_is_csn_equation_3_2() -> None:
    sample = 2 * (1 - np.random.default_rng(1).random(900)) ** -1.0
    fit = fit_tail(sample, discrete=False, x_min=2.0)
    assert fit.std_error == pytest.approx((fit.alpha - 1) / 30, rel=1e-12)


def test_continuous_fit_agrees_with_powerlaw() -> None:
    import powerlaw

    sample = 3 * (1 - np.random.default_rng(8).random(500)) ** (-1 / 1.2)
    ours = fit_tail(sample, discrete=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the package
        theirs = powerlaw.Fit(sample, discrete=False, verbose=0)
    at_theirs = fit_tail(sample, discrete=False, x_min=float(theirs.xmin))
    assert at_theirs.alpha == pytest.approx(theirs.alpha, rel=1e-4)
    assert ours.ks <= at_theirs.ks + 1e-12


ALPHAS = [1.5, 2.0, 2.5, 3.5]


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("alpha", ALPHAS, ids=lambda v: f"alpha={v:g}")
def test_recovery_at_a_fixed_x_min(alpha: float, discrete: bool) -> None:
    # n = 2,000: the bias of the maximum, about (alpha - 1)/n, is a fortieth of one error.
    n, runs = 2000, 60
    rng = np.random.default_rng(41)
    fits = [
        fit_tail(
            sample_power_law(alpha, 3.0, n, rng, discrete=discrete), discrete=discrete, x_min=3.0
        )
        for _ in range(runs)
    ]
    found = np.array([f.alpha for f in fits])
    z = (found.mean() - alpha) / (found.std(ddof=1) / math.sqrt(runs))
    assert abs(z) < 4
    # the spread is the stated error: sd of a sample sd is sd/sqrt(2(runs - 1))
    stated = np.mean([f.std_error for f in fits])
    assert abs(found.std(ddof=1) / stated - 1) < 4 / math.sqrt(2 * (runs - 1))


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_interval_covers_at_a_fixed_x_min(discrete: bool) -> None:
    runs = 600
    rng = np.random.default_rng(17)
    hits = 0
    for _ in range(runs):
        sample = sample_power_law(2.2, 6.0, 500, rng, discrete=discrete)
        fit = fit_tail(sample, discrete=discrete, x_min=6.0)
        low, high = fit.conf_int()["alpha"] or (math.nan, math.nan)
        hits += low < 2.2 < high
    assert abs(hits / runs - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)


def test_scan_recovers_alpha_above_a_body() -> None:
    # CSN section 3.4: a body that is no power law below x_min = 20, an exact tail above. The
    # scan may start the tail later; alpha stays within its own error there.
    runs = 40
    rng = np.random.default_rng(29)
    errors = []
    for _ in range(runs):
        tail = sample_power_law(2.5, 20.0, 3000, rng)
        body = rng.integers(1, 20, size=9000).astype(float)
        fit = fit_tail(np.concatenate([tail, body]))
        assert fit.x_min >= 17
        errors.append((fit.alpha - 2.5) / fit.std_error)
    assert abs(np.mean(errors)) < 4 * np.std(errors, ddof=1) / math.sqrt(runs)


# --- invariances -------------------------------------------------------------------------

counts_lists = st.lists(st.integers(0, 200), min_size=6, max_size=60)


def assert_same_fit(a: TailFit, b: TailFit, *, rel: float = 0.0) -> None:
    assert a.n_tail == b.n_tail
    assert a.x_min == pytest.approx(b.x_min, rel=rel, abs=0)
    assert a.alpha == pytest.approx(b.alpha, rel=max(rel, 1e-15))
    assert a.ks == pytest.approx(b.ks, rel=max(rel, 1e-15), abs=rel)


def usable(sample: list[int]) -> bool:
    return len({v for v in sample if v > 0}) >= 3


@given(counts_lists, st.randoms(use_true_random=False), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_order_does_not_matter(sample: list[int], random, discrete: bool) -> None:
    assume(usable(sample))
    shuffled = sample.copy()
    random.shuffle(shuffled)
    assert_same_fit(fit_tail(sample, discrete=discrete), fit_tail(shuffled, discrete=discrete))


@given(counts_lists, st.integers(-30, 30))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_continuous_fit_does_not_depend_on_the_unit(sample: list[int], power: int) -> None:
    assume(usable(sample))
    x = np.array(sample, dtype=float)
    plain = fit_tail(x, discrete=False)
    # Two candidates may tie up to rounding; then the unit may choose between them.
    scaled = fit_tail(x * 2.0**power, discrete=False, x_min=plain.x_min * 2.0**power)
    assert scaled.alpha == pytest.approx(plain.alpha, rel=1e-12)
    assert scaled.ks == pytest.approx(plain.ks, rel=1e-9, abs=1e-12)
    rescanned = fit_tail(x * 2.0**power, discrete=False)
    assert rescanned.ks == pytest.approx(plain.ks, rel=1e-9, abs=1e-12)


@given(counts_lists, st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_counted_input_is_the_sample(sample: list[int], discrete: bool) -> None:
    assume(usable(sample))
    pairs = Counts.from_pairs(sample[::-1], np.ones(len(sample), dtype=int))
    assert_same_fit(fit_tail(pairs, discrete=discrete), fit_tail(sample, discrete=discrete))


@given(counts_lists, st.integers(1, 50), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_zeros_stay_outside_the_tail(sample: list[int], zeros: int, discrete: bool) -> None:
    assume(usable(sample))
    plain = fit_tail(sample, discrete=discrete)
    padded = fit_tail(sample + [0] * zeros, discrete=discrete)
    assert_same_fit(plain, padded)
    assert padded.n_obs == plain.n_obs + zeros
    assert padded.n_zero == plain.n_zero + zeros
    assert padded.log_likelihood == plain.log_likelihood


@given(counts_lists, st.integers(2, 5), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=40)
def test_repeating_every_item_keeps_alpha(sample: list[int], times: int, discrete: bool) -> None:
    assume(usable(sample))
    x_min = float(sorted({v for v in sample if v > 0})[0])
    once = fit_tail(sample, discrete=discrete, x_min=x_min)
    often = fit_tail(sample * times, discrete=discrete, x_min=x_min)
    assert often.alpha == pytest.approx(once.alpha, rel=1e-12)
    assert often.std_error == pytest.approx(once.std_error / math.sqrt(times), rel=1e-10)
    assert often.log_likelihood == pytest.approx(times * once.log_likelihood, rel=1e-10)


# --- refusals and reports ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "options", "says"),
    [
        ([0, 0, 0], {}, "all values are zero"),
        ([0, 5, 5, 5], {}, "at least two distinct"),
        ([1.5, 2.0, 3.0], {}, "whole numbers"),
        ([1.0, 2.0**53 + 2], {}, "beyond 2\\^53"),
        ([5], {}, "only positive value is 5"),
        ([1, 2, 3], {"x_min": 2.5}, "whole number"),
        ([1, 2, 3], {"x_min": 0}, "positive"),
        ([1, 2, 3], {"x_min": -1.0}, "positive"),
        ([1, 2, 3], {"x_min": math.nan}, "positive"),
        ([1, 2, 3], {"x_min": math.inf}, "positive"),
        ([1, 2, 3], {"x_min": 4}, "no value reaches"),
        ([1, 2, 3, 3], {"x_min": 3}, "are equal"),
        ([1, 2, 3], {"n_tail_min": 10}, "n_tail_min"),
        ([1, 2, 3], {"n_tail_min": 0}, "n_tail_min = 0 must be at least 2"),
        ([1, 2, 3], {"n_tail_min": 2.5}, "whole number"),
        ([1, 2, 3], {"x_min": "a"}, "x_min = 'a' must be a number"),
        ([1, 2, 3], {"x_max": "a"}, "x_max = 'a' must be a number"),
        ([1, 2, 3], {"discrete": "yes"}, "discrete = 'yes' must be True or False"),
        ([1000] * 9999 + [1001], {"x_min": 1000}, "no power law"),
        ([], {}, "empty"),
    ],
    ids=[
        "zeros",
        "one-value",
        "fractions",
        "beyond-2^53",
        "one-item",
        "x_min-fraction",
        "x_min-zero",
        "x_min-negative",
        "x_min-nan",
        "x_min-inf",
        "x_min-too-high",
        "x_min-at-the-top",
        "tail-too-short",
        "n_tail_min-zero",
        "n_tail_min-fraction",
        "x_min-text",
        "x_max-text",
        "discrete-text",
        "no-spread",
        "empty",
    ],
)
def test_samples_without_a_tail(sample: list, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_tail(sample, **options)


def test_notes_name_zeros_and_short_tails() -> None:
    fit = fit_tail([0, 0, 1, 2, 3, 9])
    assert any("2 of 6 items are zero" in note for note in fit.notes)
    assert any("hardly determined" in note for note in fit.notes)
    sample = sample_power_law(2.5, 1.0, 500, np.random.default_rng(0))
    assert fit_tail(sample, x_min=1).notes == ()


def test_design_effect_widens_the_interval() -> None:
    sample = sample_power_law(2.5, 1.0, 500, np.random.default_rng(0))
    plain, wide = fit_tail(sample), fit_tail(sample, design_effect=4.0)
    assert wide.std_error == plain.std_error
    assert wide.std_error_clustered == pytest.approx(2 * plain.std_error, rel=1e-15)
    # four times the drop of the log-likelihood at one end, by the definition of the profile
    narrow, broad = plain.profile_interval(), wide.profile_interval()
    for end, times in ((narrow[1], 1.0), (broad[1], 4.0), (narrow[0], 1.0), (broad[0], 4.0)):
        tail = sample[sample >= plain.x_min]
        at = float(np.sum(-end * np.log(tail) - math.log(special.zeta(end, plain.x_min))))
        drop = plain.log_likelihood - at
        assert drop == pytest.approx(times * 0.5 * stats.chi2.ppf(0.95, 1), rel=1e-6)


# --- the fitted law ----------------------------------------------------------------------


def known(*, discrete: bool) -> TailFit:
    """Return a fit with alpha 2.4 from 7 on."""
    fit = fit_tail([7, 8, 9, 11, 30], discrete=discrete, x_min=7.0)
    return dataclasses.replace(fit, alpha=2.4)


def test_discrete_ccdf_is_the_hurwitz_ratio() -> None:
    fit = known(discrete=True)
    x = np.array([7, 8, 20, 1000, 10**6])
    expected = [float(mp.zeta(2.4, int(v)) / mp.zeta(2.4, 7)) for v in x]
    assert tail_ccdf(fit, x) == pytest.approx(expected, rel=1e-12)
    # P(X >= 7.5) is P(X >= 8) for whole numbers
    assert tail_ccdf(fit, [7.5])[0] == tail_ccdf(fit, [8.0])[0]


def test_continuous_ccdf_is_paretos() -> None:
    x = np.array([7.0, 7.5, 100.0])
    assert tail_ccdf(known(discrete=False), x) == pytest.approx(
        stats.pareto.sf(x, 1.4, scale=7.0), rel=1e-14
    )


@pytest.mark.parametrize(
    ("alpha", "x_min"), [(1.3, 1.0), (2.0, 1.0), (2.5, 7.0), (4.0, 3.0), (8.0, 1.0), (3.0, 500.0)]
)
def test_discrete_draws_follow_the_zeta_law(alpha: float, x_min: float) -> None:
    n = 200_000
    draws = sample_power_law(alpha, x_min, n, np.random.default_rng(19))
    assert draws.size == n
    assert np.all(draws == np.floor(draws))
    assert draws.min() >= x_min
    # cells with at least 20 expected draws; everything beyond in the last one
    edges = np.unique(np.floor(x_min * np.geomspace(1.0, 1e6, 60)))
    below = np.array([float(mp.zeta(alpha, int(e)) / mp.zeta(alpha, int(x_min))) for e in edges])
    kept = [0]
    for i in range(1, edges.size):
        if n * (below[kept[-1]] - below[i]) >= 20 and n * below[i] >= 20:
            kept.append(i)
    expected = n * -np.diff(np.append(below[kept], 0.0))
    observed = np.histogram(draws, bins=np.append(edges[kept], np.inf))[0]
    assert len(kept) >= 3
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [1.3, 2.0, 5.0])
def test_continuous_draws_follow_paretos_law(alpha: float) -> None:
    draws = sample_power_law(alpha, 2.5, 50_000, np.random.default_rng(23), discrete=False)
    assert stats.kstest(draws, stats.pareto(alpha - 1, scale=2.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"alpha": 1.0}, "alpha = 1 must be above 1"),
        ({"alpha": math.nan}, "alpha = nan"),
        ({"x_min": 0.0}, "x_min = 0 must be positive"),
        ({"x_max": 2.0}, "below x_max = 2"),
        ({"x_min": 2.5}, "whole numbers"),
        ({"size": -1}, "size = -1"),
    ],
)
def test_no_draws_from_no_law(arguments: dict[str, float], says: str) -> None:
    given = {"alpha": 2.0, "x_min": 3.0, "size": 5} | arguments
    with pytest.raises(DataError, match=says):
        sample_power_law(**given, rng=np.random.default_rng(0))  # type: ignore[arg-type]
