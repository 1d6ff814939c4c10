"""Design effects: closed forms, and the spread of estimates in a clustered design."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.samples.clusters import (
    cluster_notes,
    effective_number,
    jackknife_covariance,
    sum_clusters,
)
from baimo.estimation.tails.bootstrap import bootstrap_tail
from baimo.estimation.tails.power_law import fit_tail, tail_cluster_sums
from baimo.estimation.tails.rank_size import fit_zipf, zipf_cluster_sums
from baimo.estimation.tails.tail_index import (
    fit_hill,
    fit_kernel,
    fit_moment,
    fit_pickands,
    index_cluster_sums,
    index_influence,
)


def design_effect(influence: np.ndarray, clusters: np.ndarray) -> float:
    return sum_clusters(influence, clusters, "the sample").design_effect


def pareto(n: int, seed: int) -> np.ndarray:
    return (1 - np.random.default_rng(seed).random(n)) ** (-1 / 1.5)


def test_by_hand() -> None:
    # clusters {1, 2}, {3}, {-4, 1}: (9 + 9 + 9)/(1 + 4 + 9 + 16 + 1)
    influence = np.array([1.0, 2.0, 3.0, -4.0, 1.0])
    assert design_effect(influence, np.array([0, 0, 1, 7, 7])) == pytest.approx(27 / 31)


def test_shares_and_the_error_of_the_mean_by_hand() -> None:
    # Sums 3, 3, -3 over 2, 1 and 2 items: equal shares; moves 3/3, 3/4 and 3/3 of five items.
    influence = np.array([1.0, 2.0, 3.0, -4.0, 1.0])
    found = sum_clusters(influence, np.array([0, 0, 1, 7, 7]), "the sample")
    assert found.n_clusters == 3
    assert found.effective_clusters == pytest.approx(3.0)
    assert found.jackknife_error == pytest.approx(math.sqrt(2 / 3 * (1 + 9 / 16 + 1)))
    assert effective_number(np.array([3.0, 1.0])) == pytest.approx(100 / 82)
    assert effective_number(np.array([1e6, 1.0])) == pytest.approx(1.0)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30).filter(lambda x: max(x) > 1))
@settings(deadline=None, derandomize=True)
def test_singletons_and_duplicates(values: list[float]) -> None:
    x = np.array(values)
    assert design_effect(x, np.arange(x.size)) == pytest.approx(1, rel=1e-12)
    for m in (2, 5):
        copies = np.repeat(x, m)
        assert design_effect(copies, np.repeat(np.arange(x.size), m)) == pytest.approx(m, rel=1e-12)


@given(st.integers(0, 10_000))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_labels_are_only_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, c = rng.normal(size=40), rng.integers(0, 7, 40)
    relabelled = rng.permutation(1000)[:7][c]
    assert design_effect(x, relabelled) == pytest.approx(design_effect(x, c), rel=1e-12)


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_tail_of_singletons_and_of_duplicates(discrete: bool) -> None:
    sizes = np.ceil(5 * pareto(400, 1)) if discrete else pareto(400, 1)
    x_min = 10.0 if discrete else 1.5
    fit = fit_tail(sizes, discrete=discrete, x_min=x_min)
    found = tail_cluster_sums(sizes, np.arange(400), fit)
    deff, n = found.design_effect, found.n_clusters
    assert deff == pytest.approx(1, rel=1e-12)
    assert n == fit.n_tail
    m = 4
    copies = np.repeat(sizes, m)
    fit_m = fit_tail(copies, discrete=discrete, x_min=x_min)
    found = tail_cluster_sums(copies, np.repeat(np.arange(400), m), fit_m)
    deff, n = found.design_effect, found.n_clusters
    assert deff == pytest.approx(m, rel=1e-12)
    assert n == fit.n_tail
    # variance of m copies is that of one: the clustered error of the copies is the plain error
    clustered = fit_m.std_error * math.sqrt(deff)
    assert clustered == pytest.approx(fit.std_error, rel=1e-8)


def test_tail_scores_sum_to_zero_at_the_maximum() -> None:
    # Two clusters: their summed scores are s and -s, so that deff is 2 s^2 / sum of squares.
    sizes = 3 * pareto(300, 2)
    fit = fit_tail(sizes, x_min=4, discrete=False)
    labels = np.arange(300) % 2
    scores = 1 / fit.zeta - np.log(sizes[sizes >= 4] / 4)
    s = scores[labels[sizes >= 4] == 0].sum()
    found = tail_cluster_sums(sizes, labels, fit)
    deff, n = found.design_effect, found.n_clusters
    assert deff == pytest.approx(2 * s**2 / np.sum(scores**2), rel=1e-9)
    assert n == 2


def test_one_cluster_is_refused() -> None:
    # The scores of a single cluster sum to zero at the maximum: a "design effect" of 0.
    sizes, one = np.ceil(3 * pareto(300, 2)), np.zeros(300, dtype=int)
    fit, line = fit_tail(sizes, x_min=4), fit_zipf(sizes, k=50)
    hill = fit_hill(sizes, k=50)
    for call in (
        lambda: tail_cluster_sums(sizes, one, fit),
        lambda: zipf_cluster_sums(sizes, one, line),
        lambda: index_cluster_sums(sizes, one, hill),
        lambda: fit_tail(sizes, x_min=4, clusters=one),
        lambda: bootstrap_tail(sizes, fit_tail(sizes), clusters=one, n_replications=5),
    ):
        with pytest.raises(DataError, match="items of the tail are in one cluster"):
            call()
    # one cluster in the tail is refused even where others lie below it
    with pytest.raises(DataError, match="one cluster"):
        fit_tail(sizes, x_min=4, clusters=np.where(sizes >= 4, 0, np.arange(300)))


def test_few_clusters_are_noted() -> None:
    assert cluster_notes(30) == ()
    assert "only 29 clusters" in cluster_notes(29)[0]


INDEX = {"hill": fit_hill, "moment": fit_moment, "kernel": fit_kernel}


@pytest.mark.parametrize("method", INDEX)
def test_influence_has_the_variance_of_the_estimator(method: str) -> None:
    # Exponential quantiles with mean gamma: the mean square of the influence is the asymptotic
    # variance times k: gamma^2 (Hill), 1 + gamma^2 (moment), 10/7 gamma^2 (biweight kernel).
    k, gamma = 200_000, 0.8
    logs = -gamma * np.log((np.arange(1, k + 1) - 0.5) / k)
    truth = {"hill": gamma**2, "moment": 1 + gamma**2, "kernel": 10 / 7 * gamma**2}
    influence = index_influence(logs, method)
    assert np.mean(influence**2) == pytest.approx(truth[method], rel=5e-3)
    assert influence.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("method", INDEX)
def test_index_of_singletons_and_of_duplicates(method: str) -> None:
    sizes, m = pareto(600, 3), 5
    fit = INDEX[method](sizes, k=300, discrete=False)
    found = index_cluster_sums(sizes, np.arange(600), fit)
    assert (found.design_effect, found.n_clusters) == (pytest.approx(1, rel=1e-12), 300)
    copies, labels = np.repeat(sizes, m), np.repeat(np.arange(600), m)
    fit = INDEX[method](copies, k=300 * m, discrete=False)
    found = index_cluster_sums(copies, labels, fit)
    assert (found.design_effect, found.n_clusters) == (pytest.approx(m, rel=1e-9), 300)


def test_pickands_has_no_design_effect() -> None:
    sizes = pareto(600, 3)
    with pytest.raises(DataError, match="independent"):
        index_cluster_sums(sizes, np.arange(600), fit_pickands(sizes, k=300, discrete=False))


def test_zipf_of_singletons_and_of_duplicates() -> None:
    sizes = pareto(600, 3)
    fit = fit_zipf(sizes, k=300)
    found = zipf_cluster_sums(sizes, np.arange(600), fit)
    assert found.design_effect == pytest.approx(1, rel=1e-12)
    assert found.n_clusters == 300
    m = 5
    copies = np.repeat(sizes, m)
    labels = np.repeat(np.arange(600), m)
    found = zipf_cluster_sums(copies, labels, fit_zipf(copies, k=300 * m))
    # Copies have neighbouring ranks, not equal ones: the influence differs within a cluster by
    # O(1/k) in the bulk and by O(1) for the few largest.
    assert found.design_effect == pytest.approx(m, rel=10 * m / (300 * m))
    assert found.n_clusters == 300


ESTIMATORS = {
    "slope": (lambda sizes, k, **how: fit_zipf(sizes, k=k, **how), "slope"),
    **{
        name: (lambda sizes, k, fit=fit, **how: fit(sizes, k=k, discrete=False, **how), "zeta")
        for name, fit in INDEX.items()
    },
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_error_is_that_of_leaving_out_one_cluster_at_a_time(name: str) -> None:
    # A tenth of the tail in one cluster, the others of 1 to 6 items; refitted without each.
    rng = np.random.default_rng(31)
    n_items = np.append(rng.integers(1, 7, 150), 55)
    labels = np.repeat(np.arange(151), n_items)
    shared = rng.standard_normal(151)[labels]
    z = np.sqrt(0.3) * shared + np.sqrt(0.7) * rng.standard_normal(labels.size)
    sizes = stats.norm.sf(z) ** (-1 / 1.2)
    fitted, value = ESTIMATORS[name]
    fit = fitted(sizes, 400, clusters=labels)
    threshold = fit.threshold if name != "slope" else np.sort(sizes)[-401]
    inside = sizes > threshold
    moved = []
    for label in np.unique(labels[inside]):
        rest = sizes[labels != label]
        again = fitted(rest, int(np.sum(rest > threshold)))
        moved.append(getattr(again, value) - getattr(fit, value))
    g = len(moved)
    exact = math.sqrt((g - 1) / g * float(np.sum(np.square(moved))))
    assert fit.n_clusters == g
    # small clusters are left out to first order, and with the threshold as it is
    assert fit.cluster_error == pytest.approx(exact, rel=0.01 if name == "slope" else 0.05)
    assert fit.std_error_clustered == max(fit.std_error, fit.cluster_error)
    error = fit.conf_int()[value]
    assert error is not None
    assert (error[1] - error[0]) / (2 * 1.959964) == pytest.approx(fit.std_error_clustered)


def test_corrected_hill_has_the_error_of_hill_times_its_factor() -> None:
    rng = np.random.default_rng(32)
    sizes, labels = pareto(600, 3), rng.integers(0, 100, 600)
    hill = fit_hill(sizes, k=300, discrete=False, clusters=labels)
    corrected = fit_hill(sizes, k=300, discrete=False, bias_corrected=True, clusters=labels)
    assert corrected.design_effect == pytest.approx(hill.design_effect, rel=1e-9)
    factor = corrected.zeta / hill.zeta
    assert corrected.cluster_error == pytest.approx(hill.cluster_error * factor, rel=1e-9)


def clustered_sizes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of 1 to 6 items; each item copies its cluster's draw with probability 0.7.

    Every size is Pareto(1.5) on its own, so alpha and the slope have known targets.
    """
    m = rng.integers(1, 7, size=400)
    labels = np.repeat(np.arange(400), m)
    own = (1 - rng.random(labels.size)) ** (-1 / 1.5)
    shared = ((1 - rng.random(400)) ** (-1 / 1.5))[labels]
    return np.where(rng.random(labels.size) < 0.7, shared, own), labels


@pytest.fixture(scope="module")
def clustered_runs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(77)
    rows = []
    for _ in range(500):
        sizes, labels = clustered_sizes(rng)
        tail = fit_tail(sizes, discrete=False, x_min=1.0)
        zipf = fit_zipf(sizes, k=sizes.size)
        rows.append(
            (
                tail.alpha,
                tail.std_error,
                tail_cluster_sums(sizes, labels, tail).design_effect,
                zipf.slope,
                zipf.std_error,
                zipf_cluster_sums(sizes, labels, zipf).design_effect,
            )
        )
    names = ("alpha", "alpha_error", "alpha_deff", "slope", "slope_error", "slope_deff")
    return dict(zip(names, np.array(rows).T, strict=True))


@pytest.mark.parametrize("name", ["alpha", "slope"])
def test_clustered_error_is_the_spread_of_the_estimates(
    name: str, clustered_runs: dict[str, np.ndarray]
) -> None:
    runs = clustered_runs[name].size
    spread = clustered_runs[name].std(ddof=1)
    stated = clustered_runs[f"{name}_error"] * np.sqrt(clustered_runs[f"{name}_deff"])
    error = spread / math.sqrt(2 * (runs - 1))
    assert abs(spread - stated.mean()) < 4 * error
    # while the error for independent items is too small beyond doubt
    assert spread - clustered_runs[f"{name}_error"].mean() > 4 * error


def test_alpha_is_unbiased_under_clusters(clustered_runs: dict[str, np.ndarray]) -> None:
    alpha = clustered_runs["alpha"]
    # the maximum is biased by zeta deff/n, about 1.5 * 2.5/1400
    bias = 1.5 * clustered_runs["alpha_deff"].mean() / 1400
    assert abs(alpha.mean() - 2.5 - bias) < 4 * alpha.std(ddof=1) / math.sqrt(alpha.size)


def test_labels_must_match() -> None:
    with pytest.raises(DataError, match="3 influence values but 2"):
        design_effect(np.ones(3), np.array([0, 1]))


# --- the jackknife over clusters -----------------------------------------------------------


def regression(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), rng.pareto(2.0, n)])
    y = design @ [1.0, 2.0] + rng.normal(size=n)
    return design, y, rng.integers(0, 12, n)


def least_squares(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(design, y, rcond=None)[0]


def test_of_least_squares_it_is_the_delete_a_cluster_jackknife() -> None:
    design, y, codes = regression(80, 1)
    beta = least_squares(design, y)
    found = jackknife_covariance(design, 1.0, y - design @ beta, codes)
    moves = np.array([least_squares(design[codes != c], y[codes != c]) - beta for c in range(12)])
    np.testing.assert_allclose(found, moves.T @ moves * 11 / 12, rtol=1e-9)


def test_with_a_cluster_for_each_item_it_is_hc3() -> None:
    import statsmodels.api as sm

    design, y, _ = regression(50, 2)
    residual = y - design @ least_squares(design, y)
    found = jackknife_covariance(design, 1.0, residual, np.arange(50))
    oracle = sm.OLS(y, design).fit(cov_type="HC3").cov_params()
    np.testing.assert_allclose(found, oracle * 49 / 50, rtol=1e-9)


def test_one_cluster_and_one_that_holds_all_the_spread_are_refused() -> None:
    design, y, codes = regression(30, 3)
    with pytest.raises(DataError, match="one cluster"):
        jackknife_covariance(design, 1.0, y, np.zeros(30, dtype=int))
    alone = design.copy()
    alone[:, 1] = codes == 3  # the regressor varies through one cluster only
    with pytest.raises(DataError, match="without one cluster"):
        jackknife_covariance(alone, 1.0, y, codes)
