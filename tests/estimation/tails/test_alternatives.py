"""Rivals of the power law: normalised masses, true optima, Vuong's algebra."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special, stats

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import (
    ALTERNATIVES,
    Comparison,
    chi_square_mixture_sf,
    compare_tail,
    judge_support,
    preferred_model,
)
from baimo.estimation.tails.bootstrap import GoodnessOfFit
from baimo.estimation.tails.power_law import TailFit, fit_tail, sample_tail

Floats = NDArray[np.float64]


@cache
def zeta_table(alpha: float, x_min: float) -> tuple[Floats, Floats]:
    k = np.arange(x_min, x_min + 400_000)
    return k, np.cumsum(k**-alpha) / special.zeta(alpha, x_min)


def zeta_sample(alpha: float, x_min: float, n: int, seed: int) -> Floats:
    """Return counts from an exact zeta law by inversion of a long table."""
    k, cumulative = zeta_table(alpha, x_min)
    u = np.random.default_rng(seed).random(n) * cumulative[-1]
    return k[np.searchsorted(cumulative, u)]


# --- independent likelihoods of the reported parameters ------------------------------------


def truncated_sum(alpha: float, rate: float, x_min: float) -> float:
    """Return sum_{x >= x_min} (x/x_min)^-alpha exp(-rate (x - x_min)), a Lerch transcendent.

    Twenty thousand terms one by one, the rest by Euler-Maclaurin about an incomplete gamma
    integral; without cut-off the Hurwitz zeta function.
    """
    if rate * x_min < 1e-18:
        with mp.workdps(30):
            return float(mp.mpf(x_min) ** alpha * mp.zeta(alpha, x_min))
    head = np.arange(x_min, x_min + 20_000)
    total = math.fsum(np.exp(-alpha * np.log(head / x_min) - rate * (head - x_min)))
    q = x_min + 20_000
    with mp.workdps(30):
        a, r, m = mp.mpf(alpha), mp.mpf(rate), mp.mpf(x_min)
        first = (q / m) ** -a * mp.exp(-r * (q - m))
        integral = m**a * mp.exp(r * m) * r ** (a - 1) * mp.gammainc(1 - a, r * q)
        return total + float(integral + first / 2 + first * (a / q + r) / 12)


def truncated_integral(alpha: float, rate: float) -> float:
    """Return Int_1^inf y^-alpha exp(-rate (y - 1)) dy."""
    if rate < 1e-18:
        return 1 / (alpha - 1)
    with mp.workdps(30):
        a, r = mp.mpf(alpha), mp.mpf(rate)
        return float(mp.exp(r) * r ** (a - 1) * mp.gammainc(1 - a, r))


def log_survival(name: str, p: dict[str, float], q: Floats) -> Floats:
    if name == "lognormal":
        return special.log_ndtr(-(np.log(q) - p["mu"]) / p["sigma"])
    if name == "stretched_exponential":
        return -p["rate"] * q ** p["beta"]
    return -p["rate"] * q


def log_mass(name: str, p: dict[str, float], x: Floats, x_min: float) -> Floats:
    """Return log P(X = x | X >= x_min) on counts: S(x - 1/2) - S(x + 1/2), normalised."""
    if name == "truncated_power_law":
        constant = math.log(truncated_sum(p["alpha"], p["rate"], x_min))
        return -p["alpha"] * np.log(x / x_min) - p["rate"] * (x - x_min) - constant
    upper, lower = (log_survival(name, p, x + h) for h in (-0.5, 0.5))
    start = log_survival(name, p, np.array([x_min - 0.5]))[0]
    return upper - start + np.log(-np.expm1(lower - upper))


def log_density(name: str, p: dict[str, float], x: Floats, x_min: float) -> Floats:
    """Return the log density on sizes x >= x_min, by scipy's distributions."""
    if name == "truncated_power_law":
        constant = math.log(x_min * truncated_integral(p["alpha"], p["rate"] * x_min))
        return -p["alpha"] * np.log(x / x_min) - p["rate"] * (x - x_min) - constant
    if name == "lognormal":
        logs = stats.norm.logpdf(np.log(x), p["mu"], p["sigma"]) - np.log(x)
    elif name == "exponential":
        logs = math.log(p["rate"]) - p["rate"] * x
    else:
        logs = math.log(p["rate"] * p["beta"]) + (p["beta"] - 1) * np.log(x)
        logs = logs - p["rate"] * x ** p["beta"]
    return logs - log_survival(name, p, np.array([x_min]))[0]


LAWS = [
    ("lognormal", {"mu": 1.0, "sigma": 1.2}),
    ("exponential", {"rate": 0.03}),
    ("exponential", {"rate": 2.0}),
    ("stretched_exponential", {"rate": 1.5, "beta": 0.5}),
    ("stretched_exponential", {"rate": 0.4, "beta": 0.8}),
    ("truncated_power_law", {"alpha": 2.2, "rate": 0.01}),
    ("truncated_power_law", {"alpha": 0.0, "rate": 0.002}),
]


@pytest.mark.parametrize("x_min", [1.0, 7.0, 300.0], ids=lambda v: f"x_min={v:g}")
@pytest.mark.parametrize(("name", "p"), LAWS, ids=str)
def test_the_masses_compared_against_sum_to_one(
    name: str, p: dict[str, float], x_min: float
) -> None:
    # Summed over two million values; beyond them the lognormal keeps less than 1e-12.
    x = np.arange(x_min, x_min + 2_000_000)
    with np.errstate(divide="ignore"):
        assert np.sum(np.exp(log_mass(name, p, x, x_min))) == pytest.approx(1, abs=1e-9)


# --- optima ------------------------------------------------------------------------------


def log_likelihood(fit: TailFit, found: Comparison) -> float:
    """Log-likelihood of the rival."""
    return fit.log_likelihood - found.log_likelihood_ratio


def samples() -> dict[str, tuple[Floats, float]]:
    rng = np.random.default_rng(101)
    lognormal = np.round(np.exp(rng.normal(3.0, 1.0, 3000)))
    stretched = np.round(40 * rng.weibull(0.5, 3000)) + 1
    cut = zeta_sample(1.6, 4.0, 6000, 3)
    cut = cut[rng.random(cut.size) < np.exp(-0.01 * (cut - 4.0))]
    return {
        "lognormal": (lognormal, 10.0),
        "stretched_exponential": (stretched, 3.0),
        "exponential": (rng.geometric(0.08, 2000) + 4.0, 5.0),
        "truncated_power_law": (cut, 4.0),
    }


SAMPLES = samples()


def check_maximum(
    name: str, found: Comparison, got: float, likelihood: Callable[[dict[str, float]], float]
) -> None:
    """The reported parameters have the reported likelihood, and none near them has more."""
    best = likelihood(found.parameters)
    assert best == pytest.approx(got, abs=1e-5)
    rng = np.random.default_rng(1)
    for scale in (1e-4, 1e-2, 0.3):
        for _ in range(30):
            # shifts of the location, factors of scales; a cut-off may not rise with x
            near = {
                key: value + scale * rng.normal()
                if key == "mu"
                else value * math.exp(scale * rng.normal())
                for key, value in found.parameters.items()
            }
            with np.errstate(all="ignore"):
                other = likelihood(near)
            assert not other > best + 1e-5


@pytest.mark.parametrize("data", sorted(SAMPLES))
@pytest.mark.parametrize("name", ALTERNATIVES)
def test_count_rivals_are_at_their_maximum(name: str, data: str) -> None:
    sample, x_min = SAMPLES[data]
    fit = fit_tail(sample, x_min=x_min)
    (found,) = compare_tail(sample, fit, (name,))
    tail = Counts.from_sample(sample).at_least(x_min)

    def likelihood(p: dict[str, float]) -> float:
        return float(log_mass(name, p, tail.values, x_min) @ tail.multiplicities)

    check_maximum(name, found, log_likelihood(fit, found), likelihood)


@pytest.mark.parametrize(
    ("alpha", "rate", "x_min"),
    [(0.0, 0.3, 1), (0.7, 0.01, 1), (1.0, 1e-3, 7), (1.5, 1e-4, 2), (2.5, 1e-6, 30), (2.5, 0.2, 5)],
    ids=str,
)
def test_normaliser_of_the_law_with_cut_off(alpha: float, rate: float, x_min: int) -> None:
    # Samples from every corner of the family: the likelihood of the fit has to be that of the
    # reported parameters under a normaliser computed another way.
    k = np.arange(x_min, x_min + 300_000, dtype=float)
    mass = np.exp(-alpha * np.log(k / x_min) - rate * (k - x_min))
    rng = np.random.default_rng(33)
    cumulative = np.cumsum(mass)
    sample = k[np.searchsorted(cumulative, rng.random(3000) * cumulative[-1])]
    fit = fit_tail(sample, x_min=x_min)
    (found,) = compare_tail(sample, fit, ("truncated_power_law",))
    expected = log_mass("truncated_power_law", found.parameters, sample, float(x_min)).sum()
    assert log_likelihood(fit, found) == pytest.approx(expected, abs=1e-4)
    # the truth cannot be more likely than the maximum
    truth = {"alpha": alpha, "rate": rate}
    assert log_likelihood(fit, found) > (
        log_mass("truncated_power_law", truth, sample, float(x_min)).sum() - 1e-4
    )


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_the_true_family_is_recovered(name: str) -> None:
    # Three thousand items from each rival: it beats the power law decisively.
    sample, x_min = SAMPLES[name]
    fit = fit_tail(sample, x_min=x_min)
    (found,) = compare_tail(sample, fit, (name,))
    assert found.log_likelihood_ratio < 0
    assert found.verdict == name.replace("_", " ")


def test_exponential_of_counts_is_the_closed_form() -> None:
    sample, x_min = SAMPLES["exponential"]
    fit = fit_tail(sample, x_min=x_min)
    (found,) = compare_tail(sample, fit, ("exponential",))
    mean = float(sample[sample >= x_min].mean()) - x_min
    assert found.parameters["rate"] == pytest.approx(math.log1p(1 / mean), rel=1e-6)


@pytest.mark.parametrize("alpha", [1.6, 2.5, 4.5])
def test_a_nested_rival_never_fits_worse_on_counts(alpha: float) -> None:
    sample = zeta_sample(alpha, 3.0, 2000, 7)
    fit = fit_tail(sample, x_min=3)
    (found,) = compare_tail(sample, fit, ("truncated_power_law",))
    assert found.log_likelihood_ratio < 1e-4
    assert found.p_nested is not None
    assert 0 <= found.p_nested <= 1


# --- continuous --------------------------------------------------------------------------


def continuous_optimum(name: str, x: Floats, x_min: float) -> float:
    """Return the maximal log-likelihood of a rival on continuous x >= x_min, by scipy."""
    y = x / x_min
    logs = np.log(y)

    def lognormal(t: Floats) -> float:
        mu, sigma = t[0], math.exp(t[1])
        density = -0.5 * ((logs - mu) / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi))
        return float(np.sum(density - logs) - y.size * special.log_ndtr(mu / sigma))

    def exponential(t: Floats) -> float:
        return float(np.sum(t[0] - math.exp(t[0]) * (y - 1)))

    def stretched(t: Floats) -> float:
        b, beta = math.exp(t[0]), math.exp(t[1])
        return float(np.sum(t[0] + t[1] + (beta - 1) * logs - b * np.expm1(beta * logs)))

    def truncated(t: Floats) -> float:
        a, rate = t[0], math.exp(t[1])
        grid = np.linspace(0.0, math.log1p(60.0 / rate), 4001)
        z = np.trapezoid(np.exp((1 - a) * grid - rate * np.expm1(grid)), grid)
        return float(np.sum(-a * logs - rate * (y - 1)) - y.size * math.log(z))

    target, starts = {
        "lognormal": (lognormal, [[0.0, 0.0], [-8.0, 1.0], [-20.0, 1.5]]),
        "exponential": (exponential, [[-math.log(y.mean() - 1)]]),
        "stretched_exponential": (stretched, [[0.0, -0.7], [2.0, -2.0], [5.0, -4.0]]),
        "truncated_power_law": (truncated, [[2.0, -6.0], [1.0, -3.0], [4.0, -6.0]]),
    }[name]
    # The family with cut-off is that of decreasing densities: alpha >= 0, as for counts.
    bounds = [(0.0, None), (None, None)] if name == "truncated_power_law" else None
    best = max(
        -optimize.minimize(
            lambda t: -target(t),
            start,
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-8, "fatol": 1e-8, "maxiter": 4000},
        ).fun
        for start in starts
    )
    return best - y.size * math.log(x_min)


def continuous_samples() -> dict[str, tuple[Floats, float]]:
    rng = np.random.default_rng(202)
    return {
        "pareto-1.8": (7 * (1 - rng.random(1500)) ** (-1 / 0.8), 7.0),
        "pareto-2.5": (7 * (1 - rng.random(1500)) ** (-1 / 1.5), 7.0),
        "pareto-3.5": (7 * (1 - rng.random(1500)) ** (-1 / 2.5), 7.0),
        "pareto-5": (0.02 * (1 - rng.random(1500)) ** (-1 / 4.0), 0.02),
        "lognormal": (np.exp(rng.normal(2.0, 1.0, 1500)), 3.0),
        "weibull": (300 * rng.weibull(0.6, 1500), 50.0),
        "exponential": (5e4 + rng.exponential(2e5, 1500), 5e4),
    }


CONTINUOUS = continuous_samples()


@pytest.mark.parametrize("data", list(CONTINUOUS))
@pytest.mark.parametrize("name", ALTERNATIVES)
def test_continuous_rivals_are_at_their_maximum(name: str, data: str) -> None:
    sample, x_min = CONTINUOUS[data]
    fit = fit_tail(sample, discrete=False, x_min=x_min)
    (found,) = compare_tail(sample, fit, (name,))
    expected = continuous_optimum(name, sample[sample >= x_min], x_min)
    got = log_likelihood(fit, found)
    tail = sample[sample >= x_min]
    density = float(log_density(name, found.parameters, tail, x_min).sum())
    assert got == pytest.approx(density, abs=1e-3)
    # A tenth of a unit of support: flat ridges (lognormal and stretched exponential imitating a
    # power law) may stop that early, a wrong optimum is farther away.
    assert got == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("alpha", [1.6, 2.5, 3.5, 5.0], ids=lambda v: f"alpha={v:g}")
def test_a_nested_rival_never_fits_worse_on_sizes(alpha: float) -> None:
    # The truncated law holds the power law as its edge (rate 0): the ratio cannot be positive.
    sample = 2 * (1 - np.random.default_rng(11).random(2000)) ** (-1 / (alpha - 1))
    fit = fit_tail(sample, discrete=False, x_min=2.0)
    (found,) = compare_tail(sample, fit, ("truncated_power_law",))
    assert found.log_likelihood_ratio < 1e-3


def test_continuous_comparisons_agree_with_powerlaw() -> None:
    # On a benign sample, to the accuracy of that package's optimiser.
    import powerlaw

    sample, x_min = CONTINUOUS["lognormal"]
    fit = fit_tail(sample, discrete=False, x_min=x_min)
    found = {c.alternative: c for c in compare_tail(sample, fit, ("lognormal", "exponential"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = powerlaw.Fit(sample, xmin=x_min, discrete=False, verbose=0)
        for name, comparison in found.items():
            ratio, _ = theirs.distribution_compare("power_law", name)
            assert comparison.log_likelihood_ratio == pytest.approx(ratio, abs=0.01)
            vuong, p = theirs.distribution_compare("power_law", name, normalized_ratio=True)
            assert comparison.vuong == pytest.approx(vuong, abs=0.01)
            assert comparison.p_value == pytest.approx(p, abs=0.01)


# --- Vuong's test ------------------------------------------------------------------------


def test_vuong_by_hand() -> None:
    sample, x_min = SAMPLES["lognormal"]
    fit = fit_tail(sample, x_min=x_min)
    (found,) = compare_tail(sample, fit, ("exponential",))
    x = sample[sample >= x_min]
    ours = -fit.alpha * np.log(x) - math.log(special.zeta(fit.alpha, x_min))
    rate = found.parameters["rate"]
    gaps = ours - (math.log(-math.expm1(-rate)) - rate * (x - x_min))
    assert found.log_likelihood_ratio == pytest.approx(gaps.sum(), rel=1e-9)
    vuong = gaps.sum() / math.sqrt(x.size * gaps.var())
    assert found.vuong == pytest.approx(vuong, rel=1e-9)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(vuong)), rel=1e-9)
    assert found.n_tail == fit.n_tail == x.size


def test_vuong_of_clusters() -> None:
    x = zeta_sample(2.2, 5.0, 900, 4)
    labels = np.random.default_rng(5).integers(0, 60, 900)
    fit = fit_tail(x, x_min=5.0)
    alone = compare_tail(x, fit)
    for one, known in zip(alone, compare_tail(x, fit, clusters=labels), strict=True):
        assert (known.vuong_independent, known.p_independent) == (one.vuong, one.p_value)
        assert known.log_likelihood_ratio == one.log_likelihood_ratio
        gaps = -fit.alpha * np.log(x) - math.log(special.zeta(fit.alpha, 5.0))
        gaps -= log_mass(known.alternative, known.parameters, x, 5.0)
        sums = np.bincount(labels, weights=gaps - gaps.mean())
        assert known.n_clusters == 60
        assert known.effective_clusters == pytest.approx(
            np.sum(sums**2) ** 2 / np.sum(sums**4), rel=1e-3
        )
        # The mean gap without one cluster of n_c items moves by its sum over 900 - n_c.
        moves = sums / (900 - np.bincount(labels))
        error = 900 * math.sqrt(59 / 60 * np.sum(moves**2))
        assert known.vuong == pytest.approx(gaps.sum() / error, rel=1e-3)
        assert known.p_value == pytest.approx(2 * stats.norm.sf(abs(known.vuong or 0.0)))
        assert "p, items independent" in known.summary()


def test_clusters_of_one_and_of_copies() -> None:
    x = zeta_sample(2.2, 5.0, 900, 4)
    fit, copied = fit_tail(x, x_min=5.0), fit_tail(np.repeat(x, 3), x_min=5.0)
    once = compare_tail(x, fit, clusters=np.arange(900))
    copies = compare_tail(np.repeat(x, 3), copied, clusters=np.repeat(np.arange(900), 3))
    for one, three in zip(once, copies, strict=True):
        # n - 1 items left, and 899/900 of the squares: the error grows by the root of 900/899.
        assert one.vuong == pytest.approx((one.vuong_independent or 0) * (899 / 900) ** 0.5)
        assert three.vuong == pytest.approx(one.vuong, rel=1e-3)
        assert three.vuong_independent == pytest.approx(math.sqrt(3) * (one.vuong or 0), rel=2e-3)
        if one.p_variance is not None:  # its weights know that copies tell nothing new
            assert three.p_variance == pytest.approx(one.p_variance, abs=0.01)
    with pytest.raises(DataError, match="in one cluster"):
        compare_tail(x, fit, clusters=np.zeros(900))


def test_half_chi_square_under_the_power_law() -> None:
    # P(p < level) = level for levels below 1/2. At alpha = 5: the limit law needs a finite
    # variance of x, the score of the cut-off, hence alpha > 3.
    runs = 80
    p = []
    for seed in range(runs):
        sample = zeta_sample(5.0, 2.0, 1000, seed)
        (found,) = compare_tail(sample, fit_tail(sample, x_min=2), ("truncated_power_law",))
        assert found.p_nested is not None
        p.append(found.p_nested)
    for level in (0.1, 0.4):
        low = np.mean(np.array(p) < level)
        assert abs(low - level) < 4 * math.sqrt(level * (1 - level) / runs)


def comparison(**changes: object) -> Comparison:
    fields: dict[str, object] = {
        "alternative": "stretched_exponential",
        "parameters": {"rate": 1.0, "beta": 0.5},
        "std_errors": {"rate": None, "beta": None},
        "log_likelihood": -200.0,
        "p_variance": None,
        "aic_difference": -8.0,
        "bic_difference": -5.4,
        "log_likelihood_ratio": -5.0,
        "vuong": -2.0,
        "p_value": 0.045,
        "p_nested": None,
        "n_tail": 100,
        "at_boundary": False,
    }
    return Comparison(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "stretched exponential"),
        ({"log_likelihood_ratio": 5.0, "vuong": 2.0}, "power law"),
        ({"p_value": 0.1}, "cannot tell"),
        ({"p_value": None, "vuong": None}, "cannot tell"),
        ({"at_boundary": True}, "cannot tell"),
        ({"alternative": "truncated_power_law", "p_nested": 0.02}, "truncated power law"),
        (
            {"alternative": "truncated_power_law", "p_value": 0.15, "p_nested": 0.075},
            "cannot tell",
        ),
    ],
    ids=["rival", "power-law", "undecided", "identical", "boundary", "cut-off", "no-cut-off"],
)
def test_verdicts(changes: dict, verdict: str) -> None:
    assert comparison(**changes).verdict == verdict


def test_preferred_model_has_the_lowest_aic() -> None:
    cut = comparison(alternative="truncated_power_law", aic_difference=-3.0)
    other = comparison(aic_difference=-2.0)
    assert preferred_model([other, cut]) == "truncated power law"
    assert preferred_model([comparison(aic_difference=0.1)]) == "power law"


def goodness(p: float) -> GoodnessOfFit:
    return GoodnessOfFit(p_value=p, mc_error=0.01, n_replications=2500)


BETTER = {"vuong": -2.0, "p_value": 0.045}
PLAUSIBLE = {"aic_difference": 2.0, "log_likelihood_ratio": 0.5, "vuong": 0.3, "p_value": 0.76}
BEATEN = {"aic_difference": 20.0, "log_likelihood_ratio": 9.0, "vuong": 3.0, "p_value": 0.003}
CUT = {
    "alternative": "truncated_power_law",
    "p_value": 0.02,
    "p_nested": 0.01,
    "aic_difference": -9.0,
}
NO_CUT = {
    "alternative": "truncated_power_law",
    "p_value": 0.4,
    "p_nested": 0.2,
    "aic_difference": 1.0,
}


@pytest.mark.parametrize(
    ("p", "n_tail", "rivals", "level"),
    [
        (0.05, 500, [PLAUSIBLE, NO_CUT], "none"),
        (0.05, 500, [BEATEN, CUT], "with cut-off"),
        (0.5, 500, [PLAUSIBLE, CUT], "with cut-off"),
        (0.05, 500, [BETTER | {"aic_difference": -20.0}, CUT], "none"),
        (0.5, 500, [BETTER | {"aic_difference": -20.0}, CUT], "weak"),
        (0.5, 500, [BETTER, NO_CUT], "weak"),
        (0.5, 49, [BEATEN, NO_CUT], "weak"),
        (0.5, 500, [BEATEN, PLAUSIBLE, NO_CUT], "moderate"),
        (0.5, 500, [BEATEN, NO_CUT], "good"),
        (0.5, 500, [BEATEN, PLAUSIBLE | {"at_boundary": True}], "good"),
        (0.12, 500, [BEATEN], "good"),
        (0.1, 500, [BEATEN], "cannot tell"),
        (0.095, 49, [BETTER, NO_CUT], "cannot tell"),
        (0.1, 500, [BEATEN, CUT], "with cut-off"),
    ],
)
def test_support(p: float, n_tail: int, rivals: list[dict], level: str) -> None:
    sample, x_min = SAMPLES["lognormal"]
    fit = replace(fit_tail(sample, x_min=x_min), n_tail=n_tail)
    found = judge_support(fit, goodness(p), [comparison(**changes) for changes in rivals])
    assert found.level == level
    assert f"{p:.2g}" in found.reason


def test_few_replications_settle_nothing() -> None:
    # 1 of 20: exact binomial interval [.0013, .249] around .1; 0 of 20 is not p = 0
    fit = fit_tail(SAMPLES["lognormal"][0])
    few = GoodnessOfFit(p_value=0.05, mc_error=0.05, n_replications=20)
    found = judge_support(fit, few, [comparison(**BEATEN)])
    assert found.level == "cannot tell"
    assert "more replications" in found.reason
    none = GoodnessOfFit(p_value=0.0, mc_error=0.001, n_replications=1000)
    assert "p <0.001" in judge_support(fit, none, [comparison(**BEATEN)]).reason


def test_a_comparison_prints_and_comes_back() -> None:
    found = comparison(**CUT)
    assert list(found.conf_int()) == list(found.parameters)
    assert "the tail prefers: truncated power law" in found.summary()
    assert Comparison.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_an_exponential_beyond_any_usual_scale() -> None:
    # Closed form: rate 1/(mean - x_min), log-likelihood -n (1 + log(mean - x_min)).
    x = np.array([1.0, 2.5, 7.0, 1e180, 3e299])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fit = fit_tail(x, discrete=False, x_min=1.0)
        found = {c.alternative: c for c in compare_tail(x, fit)}
    excess = float(np.mean(x / 5) * 5) - 1.0
    rival = found["exponential"]
    assert rival.parameters["rate"] * excess == pytest.approx(1.0, rel=1e-6)
    assert rival.log_likelihood == pytest.approx(-5 * (1 + math.log(excess)), rel=1e-9)
    assert found["truncated_power_law"].log_likelihood_ratio < 1e-3  # the power law is inside


def test_errors_of_an_exponential_rate() -> None:
    # Sizes: the rate's error is rate / sqrt(n). Counts: geometric with q = exp(-rate), whose
    # information on the rate is q / (1 - q)^2 per item.
    rng = np.random.default_rng(14)
    sizes = 3.0 + rng.exponential(2.0, 4000)
    (found,) = compare_tail(sizes, fit_tail(sizes, discrete=False, x_min=3.0), ("exponential",))
    assert found.std_errors["rate"] == pytest.approx(
        found.parameters["rate"] / math.sqrt(found.n_tail), rel=1e-4
    )
    counts = 2.0 + rng.geometric(0.2, 4000)
    (found,) = compare_tail(counts, fit_tail(counts, x_min=3), ("exponential",))
    q = math.exp(-found.parameters["rate"])
    assert found.std_errors["rate"] == pytest.approx(
        (1 - q) / math.sqrt(q * found.n_tail), rel=1e-4
    )


@pytest.mark.parametrize("name", ["lognormal", "stretched_exponential", "truncated_power_law"])
def test_errors_are_the_spread_of_the_estimates(name: str) -> None:
    # Fifty samples of one law: the mean error against the spread, both to 4/sqrt(2 * 50).
    truth = {
        "lognormal": lambda rng: np.exp(rng.normal(2.0, 0.8, 2000)),
        "stretched_exponential": lambda rng: 5.0 * rng.weibull(0.7, 2000),
        "truncated_power_law": lambda rng: rng.gamma(0.4, 8.0, 6_000),
    }[name]
    values: list[list[float]] = []
    errors: list[list[float]] = []
    for seed in range(50):
        sample = truth(np.random.default_rng(seed))
        sample = sample[sample >= 1.0]
        fit = fit_tail(sample, discrete=False, x_min=1.0)
        (found,) = compare_tail(sample, fit, (name,))
        assert not found.at_boundary
        values.append(list(found.parameters.values()))
        errors.append([e for e in found.std_errors.values() if e is not None])
    spread = np.std(values, axis=0, ddof=1)
    assert np.mean(errors, axis=0) == pytest.approx(spread, rel=4 / math.sqrt(100))


@pytest.mark.parametrize("scale", [1e4, 1e6, 1e9, 1e12])
def test_large_counts_are_compared_like_sizes(scale: float) -> None:
    # The mass at a large count is the density there up to 1/x^2: ratios and errors agree.
    sample = np.floor(scale * np.random.default_rng(3).lognormal(0.0, 1.2, 2000))
    x_min = float(np.floor(np.median(sample)))
    names = ("lognormal", "stretched_exponential")
    counts, sizes = (
        compare_tail(sample, fit_tail(sample, discrete=d, x_min=x_min), names)
        for d in (True, False)
    )
    for a, b in zip(counts, sizes, strict=True):
        assert a.log_likelihood_ratio == pytest.approx(b.log_likelihood_ratio, abs=0.05)
        for name, error in b.std_errors.items():
            if name != "rate":  # its unit has the scale in it
                assert a.std_errors[name] == pytest.approx(error, rel=0.02)
        assert a.p_variance == pytest.approx(b.p_variance, abs=0.01)


def test_a_cut_off_without_a_power_law_is_no_imitation() -> None:
    # Exponential counts: the truncated power law ends at alpha = 0, the edge away from the
    # power law, and is preferred to it.
    sample = np.random.default_rng(5).geometric(0.02, 3000)
    found = {c.alternative: c for c in compare_tail(sample, fit_tail(sample, x_min=1))}
    cut = found["truncated_power_law"]
    assert cut.parameters["alpha"] == pytest.approx(0.0, abs=0.05)
    assert not cut.at_boundary
    assert cut.verdict == "truncated power law"


@pytest.mark.parametrize(
    "sample",
    [[5, 9], [1, 1, 1000], [1] * 1000 + [2], [100, 100, 100, 101]],
    ids=["two", "far", "steep", "near"],
)
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_tiny_tails_are_compared_without_a_crash(sample: list[int], discrete: bool) -> None:
    fit = fit_tail(sample, discrete=discrete)
    for found in compare_tail(sample, fit):
        assert math.isfinite(found.log_likelihood_ratio)
        assert found.verdict


def test_a_fit_of_other_data_is_refused() -> None:
    sample, x_min = SAMPLES["lognormal"]
    with pytest.raises(DataError, match="not the data of this fit"):
        compare_tail(sample[:500], fit_tail(sample, x_min=x_min))


def test_criteria_count_the_parameters() -> None:
    sample, x_min = SAMPLES["lognormal"]
    fit = fit_tail(sample, x_min=x_min)
    for found in compare_tail(sample, fit):
        d = len(found.parameters)
        aic = 2 * d - 2 * found.log_likelihood - (2 - 2 * fit.log_likelihood)
        assert found.aic_difference == pytest.approx(aic, abs=1e-6)
        bic = (d - 1) * math.log(fit.n_tail) + 2 * (fit.log_likelihood - found.log_likelihood)
        assert found.bic_difference == pytest.approx(bic, abs=1e-6)
        assert found.log_likelihood == pytest.approx(log_likelihood(fit, found), abs=1e-6)


@pytest.mark.parametrize("x", [1e-3, 0.3, 2.0, 9.0, 25.0])
def test_chi_square_mixtures_in_closed_form(x: float) -> None:
    assert chi_square_mixture_sf(x, np.array([1.0])) == pytest.approx(stats.chi2.sf(x, 1), abs=2e-4)
    for d in (2, 3, 5):
        exact = stats.chi2.sf(x / 0.7, d)
        assert chi_square_mixture_sf(x, np.full(d, 0.7)) == pytest.approx(exact, abs=1e-6)
    # two pairs of weights: a hypoexponential distribution
    a, b = 2.0, 0.5
    exact = (a * math.exp(-x / (2 * a)) - b * math.exp(-x / (2 * b))) / (a - b)
    assert chi_square_mixture_sf(x, np.array([a, a, b, b])) == pytest.approx(exact, abs=1e-6)


def test_variance_test_tells_far_models_apart_and_near_ones_not() -> None:
    # A power law against the exponential is separated by any sample; against a lognormal that
    # imitates it, n omega^2 stays of the order of its weights.
    sample = sample_tail(fit_tail([2, 2, 2, 3, 4, 5, 9, 30]), 800, np.random.default_rng(2))
    fit = fit_tail(sample, x_min=float(sample.min()))
    found = {c.alternative: c for c in compare_tail(sample, fit)}
    assert found["exponential"].p_variance is not None
    assert found["exponential"].p_variance < 1e-3
    assert found["lognormal"].p_variance is not None
    assert found["lognormal"].p_variance > 0.01


def test_a_tail_with_an_upper_end_is_not_compared() -> None:
    sample, x_min = SAMPLES["lognormal"]
    with pytest.raises(DataError, match="without x_max"):
        compare_tail(sample, fit_tail(sample, x_min=x_min, x_max=200.0))


def test_unknown_rival() -> None:
    sample = sample_tail(
        fit_tail(SAMPLES["exponential"][0], x_min=5), 100, np.random.default_rng(0)
    )
    with pytest.raises(DataError, match="gamma"):
        compare_tail(sample, fit_tail(sample), ("gamma",))
