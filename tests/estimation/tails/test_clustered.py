"""Goodness of fit with clusters: the process by its definition, its null, its size and power."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from baimo.estimation.errors import DataError
from baimo.estimation.results import from_dict, to_dict
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.clustered import ClusteredGoodnessOfFit, clustered_goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, sample_power_law

Floats = NDArray[np.float64]
COUNTS_OR_SIZES = pytest.mark.parametrize("discrete", [True, False], ids=["counts", "sizes"])


def owned(
    owners: list[int], share: float, seed: int, quantile: Callable[[Floats], Floats]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return items at quantiles that an owner's items have in common, and their owners."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(owners)), owners)
    common = rng.standard_normal(len(owners))[labels]
    own = rng.standard_normal(labels.size)
    return quantile(special.ndtr(share**0.5 * common + (1 - share) ** 0.5 * own)), labels


def pareto(u: Floats) -> Floats:
    return np.asarray((1.0 - u) ** (-1 / 1.2))


def lognormal(u: Floats) -> Floats:
    return np.asarray(np.exp(special.ndtri(0.5 + 0.5 * u)))


# --- by definition ---------------------------------------------------------------------------


def by_definition(
    x: Floats, labels: NDArray[np.int64], alpha: float, x_min: float, discrete: bool
) -> list[float]:
    """Return the distance under each set of signs, item by item and point by point."""

    def cdf(point: float, a: float) -> float:
        if discrete:
            return float(1.0 - special.zeta(a, point + 1.0) / special.zeta(a, x_min))
        return float(1.0 - (point / x_min) ** (1.0 - a))

    def log_mean(a: float) -> float:
        if not discrete:
            return 1.0 / (a - 1.0)
        h = 1e-6
        up, down = (np.log(special.zeta(a + s * h, x_min)) for s in (1, -1))
        return float(-(up - down) / (2 * h) - np.log(x_min))

    information = -(log_mean(alpha + 1e-4) - log_mean(alpha - 1e-4)) / 2e-4
    psi = (log_mean(alpha) - np.log(x / x_min)) / information
    points = [(v, below) for v in np.unique(x) for below in ((False,) if discrete else (0, 1))]
    found = []
    for signs in itertools.product((-1.0, 1.0), repeat=int(labels.max()) + 1):
        farthest = 0.0
        for v, below in points:
            f = cdf(v, alpha)
            slope = (cdf(v, alpha + 1e-5) - cdf(v, alpha - 1e-5)) / 2e-5
            inside = x < v if below else x <= v
            farthest = max(farthest, abs(sum(
                signs[c] * (float(i) - f - slope * p)
                for i, c, p in zip(inside, labels, psi, strict=True)
            )))  # fmt: skip
        found.append(farthest / x.size)
    return found


@COUNTS_OR_SIZES
def test_the_process_by_its_definition(discrete: bool) -> None:
    x = sample_power_law(2.2, 2.0, 40, np.random.default_rng(1), discrete=discrete)
    labels = np.arange(40) % 5 % 4  # 16, 8, 8 and 8 items
    fit = fit_tail(x, discrete=discrete, x_min=2.0)
    expected = by_definition(x, labels, fit.alpha, 2.0, discrete)
    found = clustered_goodness_of_fit(x, fit, labels, n_replications=4000, keep_distances=True)
    assert found.ks_replicates is not None
    drawn, times = np.unique(np.round(found.ks_replicates, 9), return_counts=True)
    exact, weight = np.unique(np.round(expected, 9), return_counts=True)
    assert drawn == pytest.approx(exact, abs=1e-7)
    # Every set of signs is as likely: multinomial counts, within five standard errors.
    share = weight / 16
    assert np.all(np.abs(times / 4000 - share) < 5 * np.sqrt(share * (1 - share) / 4000))
    hits = np.count_nonzero(found.ks_replicates >= found.statistic * (1 - 1e-9))
    assert found.p_value == (1 + hits) / 4001
    assert found.hits == hits


@pytest.mark.parametrize(
    ("discrete", "ks"),
    [(True, "csn"), (True, "two-sided"), (True, "left"), (False, "two-sided"), (False, "left")],
)
def test_the_distance_is_that_of_the_fit(discrete: bool, ks: str) -> None:
    x = sample_power_law(2.2, 2.0, 300, np.random.default_rng(2), discrete=discrete)
    fit = fit_tail(x, discrete=discrete, ks=ks, x_max=500)
    found = clustered_goodness_of_fit(x, fit, np.arange(300), n_replications=10)
    assert found.statistic == pytest.approx(fit.ks, rel=1e-9)


def test_sizes_by_the_usual_convention_are_looked_at_from_both_sides() -> None:
    x = sample_power_law(2.2, 2.0, 300, np.random.default_rng(2), discrete=False)
    fit = fit_tail(x, discrete=False, x_min=2.0)
    found = clustered_goodness_of_fit(x, fit, np.arange(300), n_replications=10)
    both = fit_tail(x, discrete=False, x_min=2.0, ks="two-sided").ks
    assert found.statistic == pytest.approx(both, rel=1e-9)
    assert 0 <= found.statistic - fit.ks <= 1 / 300


# --- what must not matter --------------------------------------------------------------------


@COUNTS_OR_SIZES
def test_copies_change_nothing(discrete: bool) -> None:
    x = sample_power_law(2.4, 3.0, 200, np.random.default_rng(3), discrete=discrete)
    once = clustered_goodness_of_fit(
        x, fit_tail(x, discrete=discrete, x_min=3.0, ks="left"), np.arange(200), n_replications=300
    )
    copies, labels = np.repeat(x, 4), np.repeat(np.arange(200), 4)
    fit = fit_tail(copies, discrete=discrete, x_min=3.0, ks="left")
    again = clustered_goodness_of_fit(copies, fit, labels, n_replications=300)
    assert again.p_value == once.p_value
    assert again.effective_clusters == pytest.approx(once.effective_clusters, rel=1e-9)
    assert again.statistic == pytest.approx(once.statistic, rel=1e-9)


def test_neither_order_nor_the_words_of_labels_matter() -> None:
    x, labels = owned([30] + [2] * 60, 0.4, 4, lambda u: np.floor(10 * pareto(u)))
    fit = fit_tail(x, x_min=20.0)
    one = clustered_goodness_of_fit(x, fit, labels, n_replications=500, seed=7)
    order = np.random.default_rng(5).permutation(x.size)
    words = np.array([f"{c:04d}" for c in labels])
    two = clustered_goodness_of_fit(x[order], fit, words[order], n_replications=500, seed=7)
    assert one.p_value == two.p_value
    other = clustered_goodness_of_fit(x, fit, labels, n_replications=500, seed=8)
    assert abs(one.p_value - other.p_value) < 5 * np.hypot(one.mc_error, other.mc_error)


# --- the null, and what is none ---------------------------------------------------------------


@COUNTS_OR_SIZES
def test_without_clusters_it_is_the_parametric_bootstrap(discrete: bool) -> None:
    x = sample_power_law(2.3, 5.0, 2_000, np.random.default_rng(6), discrete=discrete)
    fit = fit_tail(x, discrete=discrete, x_min=5.0, ks="two-sided")
    drawn = goodness_of_fit(x, fit, n_replications=2_000, keep_distances=True)
    signs = clustered_goodness_of_fit(
        x, fit, np.arange(2_000), n_replications=2_000, keep_distances=True
    )
    assert drawn.ks_replicates is not None
    assert signs.ks_replicates is not None
    # 2.4 standard errors of the two-sample distance at .0001, as much again for one sample's luck.
    gap = stats.ks_2samp(drawn.ks_replicates, signs.ks_replicates).statistic
    assert gap < 2 * 2.23 * np.sqrt(2 / 2_000)


OWNERS = [120, 60, 30, *[10] * 20, *[2] * 60, *[1] * 200]


def test_size_where_owners_differ_and_the_other_p_fails() -> None:
    known, alone = [], []
    for seed in range(200):
        x, labels = owned(OWNERS, 0.4, seed, pareto)
        fit = fit_tail(x, discrete=False, x_min=1.0)
        found = clustered_goodness_of_fit(x, fit, labels, n_replications=199, seed=seed)
        known.append(found.p_value)
        if seed < 60:
            alone.append(goodness_of_fit(x, fit, n_replications=99, n_threads=1).p_value)
    # Nominal .05 and .2 of 200 samples: three standard errors.
    assert abs(np.mean(np.array(known) <= 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200)
    assert abs(np.mean(np.array(known) <= 0.2) - 0.2) < 3 * np.sqrt(0.2 * 0.8 / 200)
    assert np.mean(np.array(alone) <= 0.05) > 0.4


def test_a_lognormal_is_rejected_and_p_is_never_nothing() -> None:
    x, labels = owned([5] * 400, 0.3, 1, lognormal)
    fit = fit_tail(x, discrete=False, x_min=float(x.min()))
    found = clustered_goodness_of_fit(x, fit, labels, n_replications=499)
    assert found.hits == 0
    assert found.p_value == 1 / 500
    assert found.rejected
    assert found.decided
    assert found.monte_carlo_interval()[0] == 0.0


def test_one_owner_who_is_most_of_the_variance_leaves_little_to_reject_with() -> None:
    effective, known, alone = [], [], []
    for seed in range(60):
        x, labels = owned([200, *[1] * 500], 0.6, seed, pareto)
        fit = fit_tail(x, discrete=False, x_min=1.0)
        found = clustered_goodness_of_fit(x, fit, labels, n_replications=199)
        effective.append(found.effective_clusters)
        known.append(found.p_value <= 0.05)
        alone.append(goodness_of_fit(x, fit, n_replications=99, n_threads=1).p_value <= 0.05)
    assert found.n_clusters == 501
    assert np.median(effective) < 1.5
    assert np.mean(known) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(alone) > 0.5


def test_a_cluster_of_more_than_a_third_is_named() -> None:
    x, labels = owned([50, *[1] * 60], 0.3, 1, pareto)
    fit = fit_tail(x, discrete=False, x_min=1.0, clusters=labels)
    found = clustered_goodness_of_fit(x, fit, labels, n_replications=9)
    assert found.notes[0].startswith("one cluster holds 45% of the tail")
    assert found.notes[0] in fit.notes
    x, labels = owned([50, *[1] * 101], 0.3, 1, pareto)
    fit = fit_tail(x, discrete=False, x_min=1.0, clusters=labels)
    assert not fit.notes


# --- what it says -----------------------------------------------------------------------------


def test_it_says_on_what_it_is_conditional_and_comes_back() -> None:
    x, labels = owned([3] * 20, 0.3, 2, lambda u: np.floor(10 * pareto(u)))
    given = clustered_goodness_of_fit(x, fit_tail(x, x_min=12.0), labels, n_replications=99)
    assert given.condition == "p is conditional on x_min = 12, given"
    scanned = clustered_goodness_of_fit(x, fit_tail(x), labels, n_replications=99)
    assert scanned.condition.endswith("chosen by the scan, which is not repeated")
    text = scanned.summary()
    assert scanned.condition in text
    assert "effective_clusters" in text
    assert "note: only " in text  # fewer than thirty clusters
    again = ClusteredGoodnessOfFit.from_dict(scanned.to_dict())
    assert to_dict(again) == scanned.to_dict()
    assert isinstance(from_dict(scanned.to_dict()), ClusteredGoodnessOfFit)
    assert scanned.conf_int()["p_value"] == scanned.monte_carlo_interval()


def test_progress_counts_to_the_end() -> None:
    x, labels = owned([3] * 20, 0.3, 2, lambda u: np.floor(10 * pareto(u)))
    calls: list[tuple[int, int]] = []
    clustered_goodness_of_fit(
        x, fit_tail(x), labels, n_replications=30, progress=lambda *c: calls.append(c)
    )
    assert calls[-1] == (30, 30)


X = np.array([2.0, 2, 3, 4, 5, 9, 20, 30])


@pytest.mark.parametrize(
    ("data", "labels", "options", "says"),
    [
        (X, np.zeros(8), {}, "in one cluster"),
        (X, np.arange(7), {}, "one label for each"),
        (X, [None, *range(7)], {}, "missing"),
        (Counts.from_sample(X), np.arange(8), {}, "one by one"),
        (X[:7], np.arange(7), {}, "not the data of this fit"),
        (X, np.arange(8), {"n_replications": 0}, "at least 1"),
        (X, np.arange(8), {"seed": -1}, "must not be negative"),
    ],
)
def test_refusals(data: object, labels: object, options: dict[str, int], says: str) -> None:
    fit = fit_tail(X, x_min=2.0)
    with pytest.raises(DataError, match=says):
        clustered_goodness_of_fit(data, fit, labels, **options)  # type: ignore[arg-type]
