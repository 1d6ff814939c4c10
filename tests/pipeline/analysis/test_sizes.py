"""What is measured on a size is what direct calls of the estimators give on the same items."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.distributions.fit import compare_whole_sample
from baimo.estimation.results import decode, encode
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import compare_tail, judge_support
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, tail_path
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.estimation.tails.tail_index import (
    fit_hill,
    fit_kernel,
    fit_moment,
    pareto_lognormal_path,
    pareto_lognormal_test,
)
from baimo.estimation.tails.thresholds import threshold_range
from baimo.pipeline.analysis.sizes import (
    TAILS,
    WHOLE_MODELS,
    SizeFits,
    fit_sizes,
    judge_tail,
    read_tails,
)
from baimo.pipeline.schema.derived import HUB_THRESHOLD_SPREADS
from baimo.pipeline.settings import SEED, reference_dir
from baimo.pipeline.sources.reference import load_ready
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL, VARIABLES, cutoffs
from tests.pipeline.synthetic import day_of, fits_of

CUTOFFS = ("top10pct_all", "top10pct_positive", "top1pct_all", "top100")


def test_the_tail_is_the_scan_of_all_items(counts: Counts, likes: SizeFits) -> None:
    direct = fit_tail(counts)
    tail = likes.tail
    assert likes.measure == "likes"
    assert likes.counts is counts
    assert (tail.alpha, tail.x_min, tail.n_tail) == (direct.alpha, direct.x_min, direct.n_tail)
    assert tail.std_error == direct.std_error
    assert tail.discrete


def test_lines_and_indices_are_those_of_every_cut_off_that_exists(
    counts: Counts, likes: SizeFits
) -> None:
    chosen = cutoffs(counts)
    assert tuple(chosen) == tuple(likes.zipf) == tuple(likes.index) == CUTOFFS
    for label, k in chosen.items():
        line = fit_zipf(counts, k=k)
        found = likes.zipf[label]
        assert (found.slope, found.k, found.threshold) == (line.slope, k, line.threshold)
        direct = {
            "hill": fit_hill(counts, k=k),
            "hill_corrected": fit_hill(counts, k=k, bias_corrected=True),
            "moment": fit_moment(counts, k=k),
            "kernel": fit_kernel(counts, k=k),
        }
        assert likes.index[label].keys() == direct.keys()
        for method, fit in direct.items():
            index = likes.index[label][method]
            assert (index.zeta, index.k, index.std_error) == (fit.zeta, fit.k, fit.std_error)


def test_without_the_largest_one_item_less_is_fitted(counts: Counts, likes: SizeFits) -> None:
    rest = counts.without_largest()
    direct, found = fit_tail(rest), likes.tail_without_largest
    assert (found.alpha, found.x_min) == (direct.alpha, direct.x_min)
    assert found.n_obs == likes.tail.n_obs - 1 == 3_999
    assert found.alpha > likes.tail.alpha
    assert likes.concentration == measure_concentration(counts)
    assert likes.concentration_without_largest == measure_concentration(rest)


def test_the_verdict_rests_on_the_bootstrap_of_a_seed_of_its_own(
    counts: Counts, likes: SizeFits
) -> None:
    seed = np.random.SeedSequence((SEED, *b"likes"))
    for judged, sample in (
        (likes.judged, counts),
        (likes.judged_without_largest, counts.without_largest()),
    ):
        goodness = goodness_of_fit(sample, judged.tail, n_replications=50, seed=seed)
        assert 0 < judged.goodness.p_value < 1
        assert judged.goodness.p_value == goodness.p_value
        rivals = compare_tail(sample, judged.tail)
        assert [(r.alternative, r.vuong) for r in judged.comparisons] == [
            (r.alternative, r.vuong) for r in rivals
        ]
        assert judged.support == judge_support(judged.tail, goodness, rivals)
    assert likes.comparisons is likes.judged.comparisons


def test_other_thresholds_and_the_test_at_x_min_are_those_of_direct_calls(
    counts: Counts, likes: SizeFits
) -> None:
    assert likes.thresholds == threshold_range(tail_path(counts, fit_tail(counts)))
    for judged, sample in (
        (likes.judged, counts),
        (likes.judged_without_largest, counts.without_largest()),
    ):
        direct = pareto_lognormal_test(sample, discrete=True, threshold=judged.tail.x_min)
        assert judged.umpu == direct
        assert direct.k == judged.tail.n_tail


def spreads(*rows: tuple[str, float, int, float]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=HUB_THRESHOLD_SPREADS.schema, orient="row")


def test_other_thresholds_know_owners_where_the_spread_is_known(counts: Counts) -> None:
    tail = fit_tail(counts)
    path = tail_path(counts, tail)
    longest = int(path.n_tail.max())
    known = spreads(
        ("likes", 400.0, 20, 3.0), ("likes", tail.x_min, tail.n_tail, 1.0),
        ("likes", float(path.x_min.min()), longest, 2.0), ("downloads", 1.0, 90, 9.0),
    )  # fmt: skip
    fits = fit_sizes(counts, LIKES, None, spreads=known, n_replications=2)
    found = fits.threshold_spread
    assert found is not None
    assert found[path.x_min == tail.x_min].tolist() == [1.0]
    assert np.isnan(found[path.n_tail < 20]).all()
    between = (path.n_tail > 20) & (path.n_tail < tail.n_tail)
    share = np.log(path.n_tail[between] / 20) / math.log(tail.n_tail / 20)
    assert between.any()
    assert found[between] == pytest.approx(3.0 - 2.0 * share)
    assert fits.thresholds == threshold_range(path, spread=found)
    alone = fit_sizes(counts, LIKES, None, n_replications=2)
    assert fits.thresholds.share > alone.thresholds.share


@pytest.mark.parametrize("shift", [(0.0, 1), (1.0, 0)])
def test_spreads_of_other_items_are_not_used(counts: Counts, shift: tuple[float, int]) -> None:
    tail = fit_tail(counts)
    other = spreads(("likes", tail.x_min + shift[0], tail.n_tail + shift[1], 9.0))
    fits = fit_sizes(counts, LIKES, None, spreads=other, n_replications=2)
    assert fits.threshold_spread is None
    assert fits.thresholds == threshold_range(tail_path(counts, tail))


def test_a_tail_too_short_for_the_test_has_none() -> None:
    sample = Counts.from_sample(np.array([1, 1, 2, 3, 5, 8]))
    assert judge_tail(sample, fit_tail(sample), LIKES, 20).umpu is None


def test_the_p_of_pareto_or_lognormal_that_knows_owners_comes_first() -> None:
    """On the bundled tables: likes, and the p of independent items that the table holds beside."""
    table = load_ready()["hub_clustered_tests"]
    hub = pl.read_parquet(reference_dir() / "hub_frequency.parquet")
    counts = Counts.from_pairs(hub["likes"].to_numpy(), hub["n_models"].to_numpy())
    tests = {
        row["test"]: row
        for row in table.filter(measure="likes", left_out="none").iter_rows(named=True)
    }
    judged = judge_tail(counts, fit_tail(counts), LIKES, 20, tests)
    umpu, row = judged.umpu, tests["umpu"]
    assert umpu is not None
    assert umpu.p_value == row["p_value"]
    assert umpu.p_independent == row["p_independent"]
    alone = pareto_lognormal_test(counts, discrete=True, threshold=judged.tail.x_min)
    assert alone.p_value == pytest.approx(row["p_independent"], rel=1e-4)
    assert (umpu.n_clusters, umpu.effective_clusters) == (
        row["n_clusters"], row["effective_clusters"],
    )  # fmt: skip
    assert umpu.p_value > umpu.p_independent > 0
    others = {name: test for name, test in tests.items() if name != "umpu"}
    without = judge_tail(counts, fit_tail(counts), LIKES, 20, others)
    assert without.umpu == alone


def test_errors_of_owners_are_those_of_exactly_these_items(likes: SizeFits) -> None:
    assert likes.tail.design_effect == 4.0
    assert likes.tail.std_error_clustered == pytest.approx(0.4)
    assert (likes.tail.n_clusters, likes.tail.effective_clusters) == (10, 3.0)
    assert likes.tail_without_largest.design_effect == 4.0  # of the sample with it
    assert {label: line.design_effect for label, line in likes.zipf.items()} == {
        "top10pct_all": None, "top10pct_positive": None, "top1pct_all": None, "top100": 9.0,
    }  # fmt: skip
    assert likes.zipf["top100"].std_error_clustered == pytest.approx(0.9)
    for label, methods in likes.index.items():
        for name, fit in methods.items():  # each has its own, and none that of the slope
            of_its_own = (label, name) == ("top100", "hill")
            assert fit.design_effect == (16.0 if of_its_own else None)
            assert fit.cluster_error == (pytest.approx(1.6) if of_its_own else None)


def test_slopes_and_indices_stand_without_one_owner_and_without_one_item(
    counts: Counts, likes: SizeFits
) -> None:
    assert likes.without_owner["top100"] == {"slope": 0.8, "hill": 0.8}
    rest = counts.without_largest()
    for label, k in cutoffs(counts).items():
        found = likes.without_item[label]
        assert found["slope"] == fit_zipf(rest, k=k - 1).slope
        assert found["hill"] == fit_hill(rest, k=k - 1).zeta
        assert found["kernel"] == fit_kernel(rest, k=k - 1).zeta


def test_without_design_effects_items_count_as_independent(
    counts: Counts, likes: SizeFits, effects: pl.DataFrame
) -> None:
    plain = fit_sizes(counts, LIKES, None, n_replications=10)
    other = fit_sizes(counts, DOWNLOADS, effects, n_replications=10)
    assert plain.tail.design_effect is other.tail.design_effect is None
    assert plain.tail.alpha == other.tail.alpha == likes.tail.alpha
    assert {line.design_effect for line in plain.zipf.values()} == {None}
    assert other.zipf["top1pct_all"].design_effect == 49.0  # the row of downloads


def test_models_of_the_whole_sample_count_the_zeros(counts: Counts, likes: SizeFits) -> None:
    direct = compare_whole_sample(counts, discrete=True, models=WHOLE_MODELS)
    assert {fit.model for fit in likes.whole.fits} == set(WHOLE_MODELS)
    assert [(f.model, f.parameters) for f in likes.whole.fits] == [
        (f.model, f.parameters) for f in direct.fits
    ]
    assert {f.n_used for f in likes.whole.fits} == {4_000}
    path = pareto_lognormal_path(counts, discrete=True)
    assert np.array_equal(likes.pareto_lognormal.k, path.k)
    assert np.array_equal(likes.pareto_lognormal.p_value, path.p_value, equal_nan=True)


def test_sizes_have_the_continuous_likelihood_and_lose_their_zeros() -> None:
    sizes = np.append(np.exp(np.random.default_rng(2).normal(12.0, 3.0, 600)), [0.0] * 50)
    found = fits_of(sizes, TVL)
    direct = fit_tail(sizes, discrete=False)
    assert not found.tail.discrete
    assert (found.tail.alpha, found.tail.x_min) == (direct.alpha, direct.x_min)
    assert found.index["top100"]["hill"].zeta == fit_hill(sizes, k=100, discrete=False).zeta
    assert {f.n_used for f in found.whole.fits} == {600}
    assert not {f.model for f in found.whole.fits} & set(WHOLE_MODELS)


def test_the_fits_come_back_from_their_record(likes: SizeFits) -> None:
    again = decode(encode(likes))
    assert isinstance(again, SizeFits)
    assert encode(again) == encode(likes)
    assert again.tail.alpha == likes.tail.alpha


def test_the_fits_of_a_day_are_read_by_the_name_of_the_size(likes: SizeFits) -> None:
    assert {name: tail.name for name, tail in TAILS.items()} == {
        name: f"{name}_tail" for name in VARIABLES
    }
    downloads = replace(likes, measure="downloads")
    day = day_of({TAILS["likes"]: likes, TAILS["downloads"]: downloads})
    assert read_tails(day, ("downloads", "likes")) == {"downloads": downloads, "likes": likes}
    assert read_tails(day, ("likes",)) == {"likes": likes}
