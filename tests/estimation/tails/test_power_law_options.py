"""Options of the tail fit: an upper end, KS conventions, clusters, a smallest tail, the path."""

import math

import igraph
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import (
    KS_KINDS,
    fit_tail,
    sample_power_law,
    tail_ccdf,
    tail_cluster_sums,
    tail_path,
)

Floats = NDArray[np.float64]
COUNTS_OR_SIZES = pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])


# --- an independent program ------------------------------------------------------------------


@COUNTS_OR_SIZES
@pytest.mark.parametrize("x_min", [1.0, 4.0, 30.0, 1000.0], ids=lambda v: f"x_min={v:g}")
@pytest.mark.parametrize("alpha", [1.5, 2.2, 6.0], ids=lambda v: f"alpha={v:g}")
def test_igraph_finds_the_same_alpha_and_distance(
    alpha: float, x_min: float, discrete: bool
) -> None:
    # Its distance for counts is that of the left limits. Its search for a steep discrete alpha
    # stops a millionth short; there mpmath decides (test_kernels).
    sample = sample_power_law(alpha, x_min, 1500, np.random.default_rng(8), discrete=discrete)
    sample = sample[sample < 1e12]
    method = "discrete" if discrete else "continuous"
    theirs = igraph.power_law_fit(sample.tolist(), xmin=x_min, method=method, p_precision=0.49)
    ours = fit_tail(sample, discrete=discrete, x_min=x_min, ks="left")
    within = 2e-6 if discrete and alpha > 5 else 1e-9
    assert abs(theirs.alpha - ours.alpha) < within
    assert abs(theirs.D - ours.ks) < within


# --- an upper end ----------------------------------------------------------------------------


@COUNTS_OR_SIZES
@pytest.mark.parametrize("alpha", [1.3, 2.0, 3.0], ids=lambda v: f"alpha={v:g}")
def test_alpha_below_an_upper_end(alpha: float, discrete: bool) -> None:
    rng = np.random.default_rng(2)
    sample = sample_power_law(alpha, 5.0, 6000, rng, discrete=discrete, x_max=200.0)
    assert sample.max() <= 200
    fit = fit_tail(sample, discrete=discrete, x_min=5.0, x_max=200.0)
    assert abs(fit.alpha - alpha) < 4 * fit.std_error
    # Without knowing the end the estimate is wrong: the upper end matters here.
    if alpha < 2.5:
        blind = fit_tail(sample, discrete=discrete, x_min=5.0)
        assert blind.alpha - alpha > 4 * blind.std_error
    assert tail_ccdf(fit, [5.0])[0] == pytest.approx(1.0)
    assert tail_ccdf(fit, [201.0])[0] == pytest.approx(0.0, abs=1e-12)


@COUNTS_OR_SIZES
def test_a_far_upper_end_is_none(discrete: bool) -> None:
    sample = sample_power_law(2.5, 2.0, 2000, np.random.default_rng(3), discrete=discrete)
    free = fit_tail(sample, discrete=discrete)
    far = fit_tail(sample, discrete=discrete, x_max=1e15)
    assert far.x_min == free.x_min
    assert far.alpha == pytest.approx(free.alpha, rel=1e-12)
    assert far.ks == pytest.approx(free.ks, rel=1e-9)
    assert far.profile_interval() == pytest.approx(free.profile_interval(), rel=1e-9)


def test_what_lies_above_the_end_is_left_out_and_said() -> None:
    sample = sample_power_law(2.0, 1.0, 3000, np.random.default_rng(4))
    inside = sample[sample <= 100]
    fit = fit_tail(sample, x_max=100)
    alone = fit_tail(inside, x_max=100)
    assert (fit.alpha, fit.x_min, fit.n_tail, fit.ks) == (
        alone.alpha, alone.x_min, alone.n_tail, alone.ks,
    )  # fmt: skip
    assert any(f"{sample.size - inside.size:,} items above x_max" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"x_max": 0.0}, "positive"),
        ({"x_max": 0.5}, "choose a higher x_max"),
        ({"x_max": 1.0}, "all 4 positive values equal 1"),
        ({"x_min": 1, "x_max": 9.0}, "no alpha above 1"),
        ({"ks": "anderson"}, "choose from"),
        ({"clusters": [1, 2]}, "one label for each"),
        ({"clusters": range(13), "design_effect": 2.0}, "not both"),
    ],
    ids=lambda v: str(v)[:30],
)
def test_refusals(options: dict, says: str) -> None:
    sample = [1, 1, 1, 1, 9, 9, 9, 9, 9, 8, 8, 8, 7]
    with pytest.raises(DataError, match=says):
        fit_tail(sample, **options)


@pytest.mark.parametrize("gap", [None, math.nan], ids=["None", "NaN"])
def test_missing_labels_are_refused(gap: object) -> None:
    labels = np.array(["a", gap, "b", "c"], dtype=object)
    with pytest.raises(DataError, match="1 of 4 cluster labels are missing"):
        fit_tail([1, 1, 2, 3], clusters=labels)


@pytest.mark.parametrize("effect", [-4.0, 0.0, math.nan, math.inf])
def test_impossible_design_effects(effect: float) -> None:
    with pytest.raises(DataError, match="design_effect"):
        fit_tail([1, 1, 2, 3], design_effect=effect)


def test_the_upper_end_of_counts_is_a_whole_number() -> None:
    sample = sample_power_law(1.8, 1.0, 3000, np.random.default_rng(4))
    whole, fraction = (fit_tail(sample, x_min=1, x_max=x) for x in (100.0, 100.9))
    assert fraction.alpha == whole.alpha
    assert fraction.x_max == 100
    assert tail_ccdf(fraction, [101.0])[0] == pytest.approx(0.0, abs=1e-12)
    assert fit_tail(sample, x_max=math.inf).x_max is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (np.ma.array([1, 2, 3, 10**6], mask=[0, 0, 0, 1]), "masked"),
        (np.array([1, 2, 3], "m8[s]"), "timedelta"),
    ],
    ids=["masked", "durations"],
)
def test_what_is_no_plain_number(data: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_tail(data)  # type: ignore[arg-type]


def test_labels_need_items() -> None:
    with pytest.raises(DataError, match="one by one"):
        fit_tail(Counts.from_sample([1, 1, 2, 3]), clusters=[1, 2, 3, 4])


# --- conventions -----------------------------------------------------------------------------


@COUNTS_OR_SIZES
@pytest.mark.parametrize("ks", sorted(KS_KINDS))
def test_the_scan_minimises_its_own_distance(ks: str, discrete: bool) -> None:
    rng = np.random.default_rng(5)
    sample = np.concatenate([rng.integers(1, 9, 150), sample_power_law(2.1, 8.0, 150, rng)])
    found = fit_tail(sample, discrete=discrete, ks=ks)
    candidates = np.unique(sample)[:-1]
    each = [fit_tail(sample, discrete=discrete, ks=ks, x_min=x) for x in candidates]
    best = min(each, key=lambda fit: fit.ks)
    assert found.ks == pytest.approx(best.ks, abs=1e-12)
    assert found.x_min == best.x_min


def test_two_sided_is_the_largest_and_conventions_meet_without_ties() -> None:
    sample = sample_power_law(2.5, 1.0, 500, np.random.default_rng(6), discrete=False)
    one, two, left = (
        fit_tail(sample, discrete=False, x_min=1.0, ks=k).ks for k in ("csn", "two-sided", "left")
    )
    assert one == left  # i/n from 0 is the left limit where no item is tied
    assert one <= two <= one + 1 / 500 + 1e-15


# --- smallest tail ---------------------------------------------------------------------------


@COUNTS_OR_SIZES
@settings(max_examples=40, deadline=None)
@given(
    sample=st.lists(st.integers(1, 60), min_size=8, max_size=60).filter(lambda s: len(set(s)) > 2),
    smallest=st.integers(2, 8),
)
def test_a_larger_smallest_tail_only_removes_candidates(
    discrete: bool, sample: list[int], smallest: int
) -> None:
    def distance(n: int) -> tuple[float, int]:
        try:
            fit = fit_tail(sample, discrete=discrete, n_tail_min=n)
        except DataError:
            return math.inf, len(sample)
        return fit.ks, fit.n_tail

    loose, strict = distance(2), distance(smallest)
    assert strict[0] >= loose[0]
    assert strict[1] >= smallest
    if loose[1] >= smallest:
        assert strict == loose


# --- clusters --------------------------------------------------------------------------------


@COUNTS_OR_SIZES
def test_copies_in_clusters_give_back_the_error_of_the_originals(discrete: bool) -> None:
    sample = sample_power_law(2.5, 2.0, 800, np.random.default_rng(7), discrete=discrete)
    once = fit_tail(sample, discrete=discrete, x_min=2.0, clusters=np.arange(800))
    copies, owner = np.repeat(sample, 5), np.repeat(np.arange(800), 5)
    fit = fit_tail(copies, discrete=discrete, x_min=2.0, clusters=owner)
    assert fit.design_effect == pytest.approx(5.0, rel=1e-9)
    assert fit.n_clusters == 800
    assert fit.effective_clusters == pytest.approx(once.effective_clusters, rel=1e-9)
    assert fit.cluster_error == pytest.approx(once.cluster_error, rel=1e-9)
    assert fit.std_error_clustered == fit.cluster_error  # above that of independent items
    assert np.mean(fit.interval()) == pytest.approx(once.alpha, rel=1e-9)


@COUNTS_OR_SIZES
def test_the_error_is_that_of_refits_without_one_cluster(discrete: bool) -> None:
    rng = np.random.default_rng(8)
    sample = sample_power_law(2.3, 3.0, 1_500, rng, discrete=discrete)
    owner = np.repeat(np.arange(101), [200] + [13] * 100)
    fit = fit_tail(sample, discrete=discrete, x_min=3.0, clusters=owner)
    without = np.array(
        [fit_tail(sample[owner != c], discrete=discrete, x_min=3.0).alpha for c in range(101)]
    )
    jackknife = np.sqrt(100 / 101 * np.sum((without - fit.alpha) ** 2))
    # One Newton step: off by the square of the largest move, here .03 of alpha - 1.
    assert fit.cluster_error == pytest.approx(jackknife, rel=0.03)
    low, high = fit.interval(0.9)
    assert (low + high) / 2 == pytest.approx(fit.alpha, rel=1e-12)
    assert high - low == pytest.approx(2 * 1.6448536 * fit.std_error_clustered, rel=1e-7)
    assert fit.conf_int(0.9)["zeta"] == (low - 1.0, high - 1.0)


def test_an_interval_of_clusters_ends_where_the_law_does() -> None:
    sample = np.array([1.0] * 5 + [10.0, 1e3, 1e6, 1e8, 1e9])
    fit = fit_tail(sample, discrete=False, x_min=1.0, clusters=[0] * 5 + [1, 1, 1, 2, 2])
    assert fit.interval(0.999999)[0] == 1.0


def test_luck_of_few_clusters_narrows_nothing() -> None:
    rng = np.random.default_rng(9)
    sample = np.sort(sample_power_law(2.3, 3.0, 400, rng, discrete=False))
    owner = np.minimum(np.arange(400), 399 - np.arange(400))  # a small one beside a large one
    fit = fit_tail(sample, discrete=False, x_min=3.0, clusters=owner)
    assert fit.cluster_error is not None
    assert fit.cluster_error < fit.std_error == fit.std_error_clustered


def test_labels_may_be_text_and_few_are_said() -> None:
    sample = sample_power_law(2.5, 2.0, 200, np.random.default_rng(7))
    owner = np.array([f"author {i % 7}" for i in range(200)])
    fit = fit_tail(sample, clusters=owner)
    sums = tail_cluster_sums(sample, owner, fit)
    assert (fit.design_effect, fit.n_clusters) == (sums.design_effect, sums.n_clusters)
    assert any("only 7 clusters" in note for note in fit.notes)


# --- path ------------------------------------------------------------------------------------


@COUNTS_OR_SIZES
def test_the_path_holds_the_fits_at_its_candidates(discrete: bool) -> None:
    rng = np.random.default_rng(9)
    sample = np.concatenate([rng.integers(1, 9, 300), sample_power_law(2.1, 8.0, 300, rng)])
    fit = fit_tail(sample, discrete=discrete)
    path = tail_path(sample, fit)
    assert fit.x_min in path.x_min
    for i in range(0, path.x_min.size, 5):
        there = fit_tail(sample, discrete=discrete, x_min=float(path.x_min[i]))
        assert path.alpha[i] == pytest.approx(there.alpha, rel=1e-10)
        assert path.std_error[i] == pytest.approx(there.std_error, rel=1e-8)
        assert path.ks[i] == pytest.approx(there.ks, abs=1e-12)
        assert path.n_tail[i] == there.n_tail


def test_the_path_of_many_values_is_short() -> None:
    sample = sample_power_law(1.9, 1.0, 30_000, np.random.default_rng(1), discrete=False)
    path = tail_path(sample, fit_tail(sample, discrete=False), n_points=200)
    assert 100 < path.x_min.size <= 201
    assert np.all(np.diff(path.x_min) > 0)
