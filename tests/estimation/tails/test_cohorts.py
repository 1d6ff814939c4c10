"""Tails of age cohorts: the test by hand, its size, clusters, and two mechanisms of growth."""

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.tails.cohorts import fit_cohorts
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule
from baimo.simulation.growth.gbm import GrowthParams, simulate_growth

Floats = NDArray[np.float64]


def paretos(zetas: list[float], n: int, seed: int) -> tuple[Floats, Floats]:
    """Return n items of each cohort, sizes above one; cohort c has ages c to c + 1."""
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([(1.0 - rng.random(n)) ** (-1.0 / z) for z in zetas])
    return sizes, np.repeat(np.arange(len(zetas)), n) + rng.random(sizes.size)


def test_by_hand() -> None:
    sizes, ages = paretos([1.0, 1.2, 1.5], 200, 1)
    fit = fit_cohorts(sizes, ages, edges=[0, 1, 2, 3], x_min=1.0, discrete=False)
    # Hill by cohort: zeta = n/Sum log x, error zeta/sqrt n
    cohorts = [sizes[i * 200 : (i + 1) * 200] for i in range(3)]
    zeta = np.array([200 / np.log(c).sum() for c in cohorts])
    assert fit.zeta == pytest.approx(zeta, rel=1e-9)
    assert fit.std_error == pytest.approx(zeta / math.sqrt(200), rel=1e-9)
    # Wald with independent cohorts is Cochran's Q: squared gaps from the weighted mean
    weights = 200 / zeta**2
    mean = np.average(zeta, weights=weights)
    q = float(weights @ (zeta - mean) ** 2)
    assert fit.chi2 == pytest.approx(q, rel=1e-9)
    assert fit.df == 2
    assert fit.p_value == pytest.approx(stats.chi2(2).sf(q), rel=1e-9)
    # trend: weighted least squares on log mean age
    x = np.log([ages[i * 200 : (i + 1) * 200].mean() for i in range(3)])
    line = sm.WLS(zeta, sm.add_constant(x), weights=weights).fit()
    assert fit.slope == pytest.approx(line.params[1], rel=1e-9)
    assert fit.slope_std_error == pytest.approx(line.bse[1] / math.sqrt(line.scale), rel=1e-9)
    assert fit.pooled_zeta == pytest.approx(600 / np.log(sizes).sum(), rel=1e-9)
    assert fit.n_items.tolist() == fit.n_tail.tolist() == [200] * 3
    assert fit.mean_age == pytest.approx(np.exp(x))
    found = fit.estimates()
    assert found["zeta_cohort_3"].value == fit.zeta[2]
    assert found["homogeneity_p_value"].value == fit.p_value


def test_two_cohorts_are_a_z_test() -> None:
    sizes, ages = paretos([1.0, 1.3], 300, 2)
    fit = fit_cohorts(sizes, ages, edges=[0, 1, 2], x_min=1.0, discrete=False)
    z = (fit.zeta[1] - fit.zeta[0]) / math.hypot(*fit.std_error)
    assert fit.chi2 == pytest.approx(z**2, rel=1e-9)
    assert fit.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_joint_covariance_of_clusters_by_hand() -> None:
    # An author's items, with sum s of (1/zeta - log x) zeta^2, left out: zeta moves by s/(n - m).
    sizes, ages = paretos([1.0, 1.2], 200, 3)
    authors = np.random.default_rng(4).integers(0, 60, 400)
    fit = fit_cohorts(sizes, ages, edges=[0, 1, 2], x_min=1.0, discrete=False, clusters=authors)
    moves, scores = np.zeros((60, 2)), np.zeros((60, 2))
    pooled = 400 / np.sum(np.log(sizes))
    for c, zeta in enumerate(fit.zeta):
        x, owner = sizes[200 * c : 200 * c + 200], authors[200 * c : 200 * c + 200]
        g = np.unique(owner).size
        for a in np.unique(owner):
            of_author = owner == a
            moved = np.sum(1 / zeta - np.log(x[of_author])) * zeta**2
            moves[a, c] = moved / (200 - of_author.sum()) * math.sqrt((g - 1) / g)
            scores[a, c] = np.sum(1 / pooled - np.log(x[of_author])) * pooled**2 / 200
        alone = fit_tail(x, x_min=1.0, discrete=False, clusters=owner)
        assert fit.std_error[c] == pytest.approx(alone.cluster_error, rel=1e-9)
    assert fit.covariance == pytest.approx(moves.T @ moves, rel=1e-8)
    # The test looks from the pooled exponent: the mean scores of the two, and the authors' sums.
    gaps = scores[:, 1] - scores[:, 0]
    assert fit.chi2 == pytest.approx(gaps.sum() ** 2 / np.sum(gaps**2), rel=1e-8)


def test_size_where_one_author_holds_half_of_a_cohort() -> None:
    authors = np.repeat(np.arange(203), [200, 60, 40, *[2] * 200])
    cohort = np.repeat([0, 1, 0, *[0, 1] * 100], [200, 60, 40, *[2] * 200]).astype(float)
    rng, p = np.random.default_rng(11), []
    for _ in range(300):
        z = math.sqrt(0.4) * rng.standard_normal(203)[authors]
        z += math.sqrt(0.6) * rng.standard_normal(authors.size)
        sizes = stats.norm.sf(z) ** (-1.0 / 1.2)
        fit = fit_cohorts(
            sizes, cohort + 0.5, edges=range(3), x_min=1.0, discrete=False, clusters=authors
        )
        p.append(fit.p_value)
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 300)


def test_equal_cohorts_give_uniform_p_values() -> None:
    rng = np.random.default_rng(5)
    p = []
    for _ in range(250):
        sizes = np.floor(9.5 * (1.0 - rng.random(1_500)) ** (-1.0 / 1.2) + 0.5)
        p.append(fit_cohorts(sizes, rng.random(1_500), x_min=10.0).p_value)
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_different_cohorts_are_told_apart() -> None:
    fit = fit_cohorts(*paretos([1.0, 1.0, 1.0, 1.0, 1.3], 1_000, 6), edges=range(6), x_min=1.0,
                      discrete=False)  # fmt: skip
    # expected gap .3, errors .032 and .041/2: z about 7
    assert fit.p_value < 1e-6
    assert fit.slope > 0


def test_items_copied_within_a_cohort_double_the_error() -> None:
    # Each author has four equal items of one age: a quarter as much is known.
    sizes, ages = paretos([1.0, 1.2], 200, 7)
    options = {"edges": [0, 1, 2], "x_min": 1.0, "discrete": False}
    plain = fit_cohorts(sizes, ages, **options, clusters=np.arange(400))
    copied = fit_cohorts(
        np.repeat(sizes, 4), np.repeat(ages, 4), **options, clusters=np.repeat(np.arange(400), 4)
    )
    assert copied.zeta == pytest.approx(plain.zeta, rel=1e-9)
    assert copied.covariance == pytest.approx(plain.covariance, rel=1e-9)
    independent = fit_cohorts(np.repeat(sizes, 4), np.repeat(ages, 4), **options)
    # independent: zeta/sqrt(4 n); clustered: the same luck in 400 draws
    assert np.all(np.abs(copied.std_error / independent.std_error / 2 - 1) < 0.35)


def test_authors_across_cohorts_widen_the_pooled_error_and_narrow_the_gaps() -> None:
    # An author's items share luck (correlation .8 of the normal scores) and stand in all cohorts:
    # what is common raises the error of every level, and cancels from the differences.
    rng = np.random.default_rng(8)
    authors = np.repeat(np.arange(400), 5)
    z = math.sqrt(0.8) * rng.standard_normal(400)[authors]
    z += math.sqrt(0.2) * rng.standard_normal(2_000)
    sizes = stats.norm.sf(z) ** (-1.0 / 1.2)
    ages = np.tile(np.arange(5), 400) + 0.5
    options = {"edges": range(6), "x_min": 1.0, "discrete": False}
    plain = fit_cohorts(sizes, ages, **options)
    joint = fit_cohorts(sizes, ages, **options, clusters=authors)
    assert joint.pooled_std_error > 1.6 * plain.pooled_std_error  # sqrt(1 + 4 x .6) or so
    correlation = joint.covariance / np.outer(joint.std_error, joint.std_error)
    assert np.all(correlation > 0.4)
    assert joint.chi2 > 1.5 * plain.chi2
    assert joint.slope_std_error < 0.8 * plain.slope_std_error


def test_a_given_covariance_is_used_as_far_as_it_is_known() -> None:
    sizes, ages = paretos([1.0, 1.2, 1.4], 200, 9)
    options = {"edges": range(4), "x_min": 1.0, "discrete": False}
    plain = fit_cohorts(sizes, ages, **options)
    wide = fit_cohorts(sizes, ages, **options, covariance=4.0 * plain.covariance)
    assert wide.std_error == pytest.approx(2 * plain.std_error, rel=1e-12)
    assert wide.chi2 == pytest.approx(plain.chi2 / 4, rel=1e-9)
    assert wide.slope_std_error == pytest.approx(2 * plain.slope_std_error, rel=1e-9)
    known = np.diag([np.nan, 0.04, 0.09])
    known[1, 2] = known[2, 1] = 0.01
    partly = fit_cohorts(sizes, ages, **options, covariance=known)
    assert partly.std_error == pytest.approx([plain.std_error[0], 0.2, 0.3], rel=1e-12)
    assert partly.covariance[1, 2] == 0.01
    # it belongs to cohorts, not to their places: a small first one is left out with its own
    few = ages >= 0.9
    cut = fit_cohorts(sizes[few], ages[few], **options, covariance=known)
    assert cut.std_error == pytest.approx([0.2, 0.3], rel=1e-12)
    assert cut.number.tolist() == [2, 3]
    assert list(cut.estimates())[:2] == ["zeta_cohort_2", "zeta_cohort_3"]
    difference = cut.zeta[0] - cut.zeta[1]  # Wald's statistic of two that hang together
    assert cut.chi2 == pytest.approx(difference**2 / (0.04 + 0.09 - 0.02), rel=1e-9)
    assert cut.notes == ("1 cohorts with fewer than 50 items in the tail left out",)
    assert cut.low.tolist() == [1, 2]
    with pytest.raises(DataError, match="for 3 cohorts"):
        fit_cohorts(sizes, ages, **options, covariance=np.eye(2))
    with pytest.raises(DataError, match="not both"):
        fit_cohorts(sizes, ages, **options, covariance=np.eye(3), clusters=np.arange(ages.size))


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(10)
    sizes, ages = rng.zipf(2.0, 800).astype(float), rng.integers(1, 9, 800).astype(float)
    weights = rng.integers(1, 4, 800)
    a = fit_cohorts(sizes, ages, weights, n_cohorts=3, x_min=2.0)
    b = fit_cohorts(np.repeat(sizes, weights), np.repeat(ages, weights), n_cohorts=3, x_min=2.0)
    for name in ("zeta", "covariance", "low", "high", "mean_age", "n_items", "n_tail"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9), name
    assert (a.chi2, a.n_obs, a.n_used) == (pytest.approx(b.chi2), b.n_obs, b.n_used)


def test_cohorts_of_about_equal_numbers_at_the_x_min_of_all() -> None:
    sizes, ages = paretos([1.2] * 5, 400, 11)
    fit = fit_cohorts(np.append(sizes, 5.0), np.append(ages, math.nan), discrete=False)
    assert fit.n_obs == 2_001
    assert fit.n_used == 2_000
    assert np.all(np.abs(fit.n_items - 400) <= 1)
    assert fit.x_min == fit_tail(sizes, discrete=False).x_min
    assert fit.low[0] == ages.min()
    assert fit.high[-1] == ages.max()  # the oldest item is in the last cohort
    assert fit.n_items.sum() == 2_000
    assert np.all(np.diff(fit.mean_age) > 0)


# --- mechanisms ------------------------------------------------------------------------------


def mechanism(name: str, n: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    ages = rng.exponential(1.0, n)
    if name == "yule":  # zeta 1/0.9 of all
        params = YuleParams(entry_plus_exit=1.0, gamma=0.9, a=1.0)
        return simulate_yule(params, ages, rng).astype(float), ages
    if name == "gbm":
        growth = GrowthParams(mu=0.6, sigma=0.8, exit_rate=1.0)
        return simulate_growth(growth, [0.0], ages, rng), ages
    return (1.0 - rng.random(n)) ** (-1.0 / 1.1), ages  # taste


@pytest.mark.parametrize("name", ["yule", "gbm"])
def test_growth_from_equal_starts_has_light_cohorts(name: str) -> None:
    # the tail of all comes from mixing ages. Hill of the top .5 % in five bins of age
    # was 2.7 to 4.8 (Yule) and 3.5 falling to 1.7 (GBM), of all 1.10 and 1.17.
    sizes, ages = mechanism(name, 300_000, 12)
    everyone = fit_tail(sizes, discrete=name == "yule", x_min=np.floor(np.quantile(sizes, 0.995)))
    ends = np.quantile(ages, [0, 0.2, 0.4, 0.6, 0.8, 0.95])
    zetas = []
    for low, high in itertools.pairwise(ends):
        inside = sizes[(ages >= low) & (ages < high)]
        top = np.floor(np.quantile(inside, 0.995) * 100) / 100
        start = np.floor(top) if name == "yule" else top
        zetas.append(fit_tail(inside, discrete=name == "yule", x_min=start).zeta)
    assert everyone.zeta < 1.4
    assert min(zetas) > everyone.zeta + 0.4
    # At a common x_min deep in the tail of all the young have nobody there; this one they reach.
    fit = fit_cohorts(sizes, ages, edges=ends.tolist(), x_min=3.0, discrete=name == "yule")
    assert fit.p_value < 1e-12
    assert np.all(np.diff(fit.zeta) < 0)
    assert fit.slope < -6 * fit.slope_std_error  # the old have the heavier tail


def test_differences_at_birth_have_equal_cohorts() -> None:
    sizes, ages = mechanism("taste", 100_000, 13)
    fit = fit_cohorts(sizes, ages, x_min=50.0, discrete=False)
    assert fit.p_value > 1e-3
    assert abs(fit.slope) < 4 * fit.slope_std_error
    assert np.all(np.abs(fit.zeta - 1.1) < 4 * fit.std_error)


# --- refusals --------------------------------------------------------------------------------

SIZES, AGES = paretos([1.0, 1.0], 100, 14)


@pytest.mark.parametrize(
    ("sizes", "ages", "options", "says"),
    [
        (SIZES, AGES[:9], {}, "200 sizes, 9 ages, 200 weights"),
        (SIZES, AGES, {"weights": np.ones(200, int), "clusters": AGES}, "weights or clusters"),
        (SIZES, AGES * math.nan, {}, "no item has a known age"),
        (SIZES, AGES, {"n_cohorts": 1}, "n_cohorts = 1.*at least 2"),
        (SIZES, AGES * 0 + 1, {}, "fewer than two cohorts of different age"),
        (SIZES, AGES, {"edges": [0, 2]}, "fewer than two cohorts of different age"),
        (SIZES, AGES, {"edges": [0, 2, 1]}, "fewer than two cohorts of different age"),
        (SIZES, AGES, {"n_cohorts": 20}, "take fewer cohorts or a lower x_min"),
        (SIZES, AGES, {"x_min": 100.0}, "0 of 5 cohorts.*lower x_min"),
        (SIZES, AGES, {"n_cohorts": 2, "covariance": np.eye(1)}, "for 2 cohorts: give one row"),
        (SIZES, AGES, {"clusters": [1.0]}, "200 items but 1 cluster labels"),
        (SIZES, AGES, {"n_cohorts": 2, "clusters": np.zeros(200)}, "cohort 1 are in one cluster"),
        (SIZES, AGES, {"n_cohorts": 2, "clusters": np.arange(200) % 2}, "take fewer cohorts"),
    ],
    ids=["lengths", "both", "undated", "one", "equal", "edges", "order", "many", "x_min",
         "covariance", "labels", "one-cluster", "two-clusters"],
)  # fmt: skip
def test_refusals(sizes: Floats, ages: Floats, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_cohorts(sizes, ages, **({"x_min": 1.0, "discrete": False} | options))
