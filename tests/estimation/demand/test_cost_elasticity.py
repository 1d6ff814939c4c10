"""Cost elasticity within families: closed form, statsmodels, invariances, coverage, refusals."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.discrete.conditional_models import ConditionalPoisson

from baimo.estimation.demand.cost_elasticity import CostElasticityFit, fit_cost_elasticity
from baimo.estimation.errors import DataError
from baimo.estimation.results import from_dict
from baimo.simulation.demand.ces import DemandParams, sample_log_tastes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIGMA = 1.8
STEPS = np.log([2.0, 1.0, 0.5, 0.25])  # quantised variants: bytes over those of the base model


def families(
    rng: np.random.Generator,
    n: int,
    *,
    zeta: float | None = None,
    noise: float = 0.0,
    quality: float = 0.0,
    on_size: float = SIGMA,
    mean: float = 50.0,
) -> tuple[Ints, Floats, Ints]:
    """Return (demand, cost, family) of `n` families of four variants.

    Totals are Pareto(zeta) (lognormal when None) where `on_size` equals sigma, and rise with the
    size of the base model beyond it; `noise` is the variance of a gamma factor per item,
    `quality` the elasticity of quality to cost within a family.
    """
    m = STEPS.size
    family = np.repeat(np.arange(n), m)
    size = rng.normal(1.0, 1.1, n)
    log_cost = size[family] + np.tile(STEPS, n) + rng.normal(0, 0.2, n * m)
    level = rng.normal(0, 0.7, n) if zeta is None else rng.exponential(1 / zeta, n)
    inside = log_cost - size[family]
    log_mean = (level + on_size * size)[family] - SIGMA * log_cost + (SIGMA - 1) * quality * inside
    mu = np.exp(log_mean)
    mu *= rng.gamma(1 / noise, noise, n * m) if noise else 1.0
    return rng.poisson(mu * mean * mu.size / mu.sum()), np.exp(log_cost), family


# --- against closed forms and other programs -----------------------------------------------------


def test_two_variants_in_closed_form() -> None:
    # All families alike in cost ratio: the split is binomial, sigma = log(odds)/log(1/ratio).
    demand = np.array([30, 10, 7, 1, 12, 6])
    cost = np.array([1.0, 2.0, 5.0, 10.0, 0.3, 0.6])
    fit = fit_cost_elasticity(demand, cost, [1, 1, 2, 2, 3, 3])
    assert fit.sigma == pytest.approx(math.log(49 / 17) / math.log(2), rel=1e-10)
    # score of a family: its excess over the common split, in units of log 2
    share = 49 / 66
    scores = (np.array([30, 7, 12]) - share * np.array([40, 8, 18])) * math.log(2)
    info = np.array([40, 8, 18]) * share * (1 - share) * math.log(2) ** 2
    assert fit.std_error_sandwich == pytest.approx(
        math.sqrt(3 / 2 * np.sum(scores**2)) / info.sum(), rel=1e-8
    )
    assert fit.std_error == pytest.approx(
        math.sqrt(2 / 3 * np.sum((scores / (info.sum() - info)) ** 2)), rel=1e-8
    )
    assert fit.n_effective == pytest.approx(info.sum() ** 2 / np.sum(info**2), rel=1e-8)


def oracle_sample() -> tuple[Ints, Floats, Ints, Floats]:
    rng = np.random.default_rng(41)
    y, cost, family = families(rng, 40, noise=0.3, mean=6)
    return y, cost, family, rng.normal(size=(y.size, 2))


def test_against_conditional_poisson() -> None:
    y, cost, family, Z = oracle_sample()
    X = np.column_stack([np.log(cost), Z])
    fit = fit_cost_elasticity(y, cost, family, controls=Z, control_names=("age", "rank"))
    other = ConditionalPoisson(y, X, groups=family).fit(disp=0, maxiter=500)
    assert -fit.sigma == pytest.approx(other.params[0], abs=1e-4)
    assert fit.control_slopes == pytest.approx(other.params[1:], abs=1e-4)
    assert list(fit.estimates())[-2:] == ["slope_age", "slope_rank"]


def test_against_poisson_with_dummies_and_clustered_errors() -> None:
    y, cost, family, Z = oracle_sample()
    keep = np.bincount(family, weights=y)[family] > 0
    y, cost, family, Z = y[keep], cost[keep], family[keep], Z[keep]
    codes = np.unique(family, return_inverse=True)[1]
    X = np.column_stack([np.log(cost), Z, np.eye(codes.max() + 1)[codes]])
    groups = codes.max() + 1
    other = sm.GLM(y, X, family=sm.families.Poisson()).fit(
        tol=1e-12, maxiter=200, cov_type="cluster",
        cov_kwds={"groups": codes, "use_correction": False},
    )  # fmt: skip
    fit = fit_cost_elasticity(y, cost, family, controls=Z)
    assert -fit.sigma == pytest.approx(other.params[0], abs=1e-7)
    assert fit.control_slopes == pytest.approx(other.params[1:3], abs=1e-7)
    assert fit.std_error_sandwich == pytest.approx(
        other.bse[0] * math.sqrt(groups / (groups - 1)), rel=1e-5
    )
    line = sm.GLM(y, sm.add_constant(X[:, :3]), family=sm.families.Poisson()).fit(tol=1e-12)
    assert -fit.sigma_pooled == pytest.approx(line.params[1], abs=1e-7)


def test_jackknife_error_against_refits() -> None:
    y, cost, family, _ = oracle_sample()
    fit = fit_cost_elasticity(y, cost, family)
    without = []
    for f in np.unique(family):
        if y[family == f].sum() > 0:
            rest = family != f
            without.append(fit_cost_elasticity(y[rest], cost[rest], family[rest]).sigma)
    n = len(without)
    refitted = math.sqrt((n - 1) / n * np.sum((np.array(without) - fit.sigma) ** 2))
    assert fit.std_error == pytest.approx(refitted, rel=0.03)  # one step against all the way


def test_what_must_not_matter() -> None:
    y, cost, family, Z = oracle_sample()
    fit = fit_cost_elasticity(y, cost, family, controls=Z)
    order = np.random.default_rng(3).permutation(y.size)
    named = np.array([f"org/model-{f}" for f in family])
    for other in (
        fit_cost_elasticity(y[order], cost[order], family[order], controls=Z[order]),
        fit_cost_elasticity(y, 1e9 * cost, family, controls=Z),  # bytes for GB
        fit_cost_elasticity(1000 * y, cost, family, controls=Z),
        fit_cost_elasticity(y, cost * np.exp(family % 7), family, controls=Z),
        fit_cost_elasticity(y, cost, named, controls=Z),
        fit_cost_elasticity(y, cost, family, controls=Z, clusters=named),
        fit_cost_elasticity(y, cost, family, controls=100 * Z + 5),
    ):
        assert other.sigma == pytest.approx(fit.sigma, rel=1e-7)
        assert other.std_error == pytest.approx(fit.std_error, rel=1e-6)
        assert other.std_error_sandwich == pytest.approx(fit.std_error_sandwich, rel=1e-6)


# --- what is left out, and what is said ----------------------------------------------------------


def test_families_left_out_are_counted() -> None:
    y, cost, family, _ = oracle_sample()
    plain = fit_cost_elasticity(y, cost, family)
    more = fit_cost_elasticity(
        np.append(y, [9, 0, 0, 4, 8, 2, 2]),
        np.append(cost, [1, 1, 2, 3, 3, 5, 5 * (1 + 1e-13)]),
        np.append(family, [900, 901, 901, 902, 902, 903, 903]),
    )
    assert more.sigma == pytest.approx(plain.sigma, rel=1e-12)
    assert more.sigma_pooled == pytest.approx(plain.sigma_pooled, rel=1e-12)
    assert (more.n_obs, more.n_used) == (y.size + 7, plain.n_used)
    assert more.n_families == plain.n_families
    assert more.families_single == 1
    assert more.families_without_demand == plain.families_without_demand + 1
    assert more.families_without_variation == 2


def test_sigma_below_one_is_reported_with_a_note() -> None:
    fit = fit_cost_elasticity([30, 29, 8, 7, 5, 6], [1.0, 2.0] * 3, [1, 1, 2, 2, 3, 3])
    assert fit.converged
    assert fit.sigma < 1
    assert fit.rho is None
    assert fit.estimates()["rho"].value is None
    assert any("needs sigma above 1" in note for note in fit.notes)


def test_few_effective_families_are_noted_and_widen_the_interval() -> None:
    rng = np.random.default_rng(42)
    y, cost, family = families(rng, 100, zeta=0.8)
    fit = fit_cost_elasticity(y, cost, family)
    assert fit.n_effective < 30
    assert any("effective clusters" in note for note in fit.notes)
    assert fit.interval is not None
    assert fit.std_error is not None
    assert fit.interval[1] - fit.interval[0] > 2 * 1.96 * fit.std_error


def test_one_cluster_leaves_the_error_unknown() -> None:
    fit = fit_cost_elasticity([30, 10, 4], [1.0, 2.0, 4.0], [1, 1, 1])
    assert fit.std_error is None
    assert fit.std_error_sandwich is None
    assert fit.interval is None
    assert fit.estimates()["sigma"].conf_int() is None
    assert any("one cluster" in note for note in fit.notes)


def test_clusters_wider_and_narrower_than_families() -> None:
    rng = np.random.default_rng(43)
    y, cost, family = families(rng, 200, noise=0.3)
    fit = fit_cost_elasticity(y, cost, family)
    wide = fit_cost_elasticity(y, cost, family, clusters=family // 4)
    assert (fit.n_clusters, wide.n_clusters) == (200, 50)
    assert wide.sigma == fit.sigma
    assert not any("cut through" in note for note in wide.notes)
    author = rng.integers(0, 40, y.size)
    crossing = fit_cost_elasticity(y, cost, family, clusters=author)
    assert any("cut through" in note for note in crossing.notes)


def test_record() -> None:
    y, cost, family, Z = oracle_sample()
    fit = fit_cost_elasticity(y, cost, family, controls=Z)
    again = CostElasticityFit.from_dict(fit.to_dict())
    assert again.summary() == fit.summary()
    assert np.array_equal(again.covariance, fit.covariance)
    lone = fit_cost_elasticity([30, 10, 4], [1.0, 2.0, 4.0], [1, 1, 1])
    assert from_dict(lone.to_dict()).summary() == lone.summary()


# --- bias, bounds, coverage ----------------------------------------------------------------------


def test_pooled_slope_confounds_cost_with_quality() -> None:
    # -1.80 (.018) within families where pooled gives -0.19.
    rng = np.random.default_rng(44)
    y, cost, family = families(rng, 4000, on_size=2.15, noise=0.1)
    fit = fit_cost_elasticity(y, cost, family)
    assert fit.std_error is not None
    assert abs(fit.sigma - SIGMA) < 3.5 * fit.std_error
    assert fit.std_error < 0.03
    assert fit.sigma_pooled == pytest.approx(0.19, abs=0.15)


@pytest.mark.parametrize("g", [0.25, 0.5, -0.3])
def test_bound_for_quality_that_follows_cost(g: float) -> None:
    rng = np.random.default_rng(45)
    y, cost, family = families(rng, 2000, quality=g)
    fit = fit_cost_elasticity(y, cost, family)
    # the slope alone is off by (sigma - 1) g
    assert fit.sigma == pytest.approx(SIGMA - (SIGMA - 1) * g, abs=0.03)
    bound = fit.sigma_at(g)
    assert bound.value is not None
    assert bound.std_error is not None
    assert abs(bound.value - SIGMA) < 4 * bound.std_error


def test_bounds_by_hand() -> None:
    fit = fit_cost_elasticity([30, 10, 7, 1, 12, 6], [1.0, 2.0] * 3, [1, 1, 2, 2, 3, 3])
    assert fit.sigma > 1
    found = fit.estimates()
    assert found["sigma_quality_0.5"].value == pytest.approx(2 * fit.sigma - 1, rel=1e-12)
    assert fit.sigma_at(0.0).value == fit.sigma
    assert fit.sigma_at(0.0).interval == pytest.approx(fit.interval)
    assert found["rho"].value == pytest.approx(1 - 1 / fit.sigma, rel=1e-12)
    with pytest.raises(DataError, match="below 1"):
        fit.sigma_at(1.0)


def test_equal_weights_hold_where_shares_follow_the_model() -> None:
    # Overdispersed Pareto totals: weighing families alike is far sharper than counts are.
    rng = np.random.default_rng(46)
    y, cost, family = families(rng, 1000, zeta=1.1, mean=400)
    fit = fit_cost_elasticity(y, cost, family)
    assert fit.sigma_equal_families is not None
    assert fit.equal_families_std_error is not None
    assert abs(fit.sigma_equal_families - SIGMA) < 4 * fit.equal_families_std_error


def replicated(runs: int, seed: int, n: int, zeta: float, noise: float) -> dict[str, float]:
    """Return bias in standard deviations with its error, and coverage of both intervals."""
    rng = np.random.default_rng(seed)
    found, inside, usual = [], 0, 0
    for _ in range(runs):
        fit = fit_cost_elasticity(*families(rng, n, zeta=zeta, noise=noise))
        assert fit.interval is not None
        assert fit.std_error_sandwich is not None
        found.append(fit.sigma)
        inside += fit.interval[0] <= SIGMA <= fit.interval[1]
        usual += abs(fit.sigma - SIGMA) <= 1.959964 * fit.std_error_sandwich
    sd = float(np.std(found, ddof=1))
    return {
        "bias": (float(np.mean(found)) - SIGMA) / sd,
        "sd": sd,
        "coverage": inside / runs,
        "sandwich": usual / runs,
    }


def test_coverage_quick() -> None:
    runs = 250
    found = replicated(runs, 47, 200, 2.0, 0.3)
    assert abs(found["bias"]) < 3 / math.sqrt(runs)
    assert abs(found["coverage"] - 0.95) < 3 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.full
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("zeta", [3.0, 1.5, 1.0])
@pytest.mark.parametrize("n", [200, 1000])
def test_coverage(n: int, zeta: float, noise: float) -> None:
    runs = 1000
    found = replicated(runs, 48, n, zeta, noise)
    print(f"\nsigma, {n} families, zeta {zeta}, noise {noise}: {found}")
    assert abs(found["bias"]) <= max(3 / math.sqrt(runs), 0.1)
    assert abs(found["coverage"] - 0.95) <= 0.03


# --- refusals ------------------------------------------------------------------------------------

PAIR = ([3.0, 1.0], [1.0, 2.0], [1, 1])


@pytest.mark.parametrize(
    ("demand", "cost", "family", "says"),
    [
        ([3.0, -1.0], *PAIR[1:], "1 of 2 values of demand"),
        ([3.0, math.nan], *PAIR[1:], "1 of 2 values of demand"),
        (PAIR[0], [0.0, 2.0], PAIR[2], "1 of 2 values of cost"),
        (PAIR[0], [math.inf, 2.0], PAIR[2], "1 of 2 values of cost"),
        (PAIR[0], [1.0], PAIR[2], "one of each"),
        ([], [], [], "one of each"),
        (*PAIR[:2], [1], "one label for each"),
        (*PAIR[:2], [1.0, math.nan], "labels are missing"),
        (PAIR[0], [2.0, 2.0], PAIR[2], "none of 1 families .* at one cost 1"),
        ([0.0, 0.0], *PAIR[1:], "none of 1 families .* without demand 1"),
        (*PAIR[:2], [1, 2], "none of 2 families .*single 2"),
        ([3.0, 0.0], *PAIR[1:], "smallest log cost"),
        ([0.0, 3.0], *PAIR[1:], "largest log cost"),
    ],
    ids=lambda v: str(v)[:28],
)
def test_refused(demand: list[float], cost: list[float], family: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_cost_elasticity(demand, cost, family)


def test_refused_controls() -> None:
    y, cost, family, Z = oracle_sample()
    for controls, names, says in (
        (Z[:5], None, "one row each"),
        (np.full(y.size, math.nan), None, "must be finite"),
        (Z, ("a",), "a name of its own"),
        (Z, ("a", "a"), "a name of its own"),
        (np.log(cost), None, "say the same"),
        (family.astype(float), None, "say the same"),
        ((y > 0).astype(float), None, "largest control_1"),
    ):
        with pytest.raises(DataError, match=says):
            fit_cost_elasticity(y, cost, family, controls=controls, control_names=names)


def test_separation_by_a_combination_is_refused() -> None:
    # Neither regressor separates alone; their sum does: demand sits where x + z is largest.
    x = np.array([0, 2, 1, 0, 1, 2, 1, 0, -1, 2, 1.5, -1])
    z = np.array([1, 0, -1, 2, 1.5, -1, 0, 2, 1, 0, 1, 2])
    family = np.repeat(np.arange(4), 3)
    y = np.zeros(12)
    y[[1, 4, 7, 10]] = 10
    with pytest.raises(DataError, match="grow without end"):
        fit_cost_elasticity(y, np.exp(x), family, controls=z)


def test_extreme_totals_stay_finite() -> None:
    rng = np.random.default_rng(49)
    log_q = sample_log_tastes(DemandParams(alpha=0.3, rho=0.5), 50, rng)
    cost = np.tile([1e-6, 1.0, 1e6], 50)
    family = np.repeat(np.arange(50), 3)
    mu = np.exp(log_q - log_q.max())[family] * 1e12 * cost**-0.4
    fit = fit_cost_elasticity(np.round(mu), cost, family)
    assert fit.sigma == pytest.approx(0.4, rel=1e-3)
