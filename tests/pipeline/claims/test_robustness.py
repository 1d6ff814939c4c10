"""Other cuts and populations are said with the numbers that direct fits of them give."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.growth.two_windows import TwoWindowsFit
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.robustness import (
    growth_of_downloads,
    other_tvl,
    slope_words,
    slopes_cut_otherwise,
    slopes_of_datasets,
    slopes_of_families,
    slopes_without_largest,
    tvl_cut_otherwise,
)
from baimo.pipeline.variables import DEFINITIONS, DOWNLOADS, HEADLINE, LIKES
from tests.pipeline.claims.evidence import ZIPF, variants_of
from tests.pipeline.synthetic import NO_POPULATIONS

# The 3,000 largest of a Zipf sample, and 1,000 zeros: 1 % is 40 items, 0.1 % too few.
FAMILIES = np.concatenate([ZIPF[:3_000], np.zeros(1_000)])
TVL_SIZES = 2e8 * (1 - np.random.default_rng(3).random(400)) ** -0.8


def test_slopes_are_said_by_cutoff() -> None:
    lines = [
        (label, fit_zipf(FAMILIES, k=k)) for label, k in (("top1pct_all", 40), ("top100", 100))
    ]
    one, hundred = (line.slope for _, line in lines)
    assert slope_words(lines) == f"top 1 % {one:.3f}, top 100 {hundred:.3f}"
    assert slope_words([]) == ""


def test_without_the_largest_item_as_many_are_left_in_every_regression(
    zipf_downloads: SizeFits,
) -> None:
    others = np.sort(ZIPF)[:-1]
    one, tenth, hundred = (fit_zipf(others, k=k).slope for k in (400, 40, 100))
    assert slopes_without_largest(zipf_downloads) == (
        f"without the largest item: top 1 % {one:.3f}, top 0.1 % {tenth:.3f}, top 100 {hundred:.3f}"
    )
    assert fit_zipf(ZIPF, k=40).slope > tenth + 0.1  # the largest of 40 is seen


def test_a_cutoff_that_reaches_into_the_zeros_without_the_largest_is_left_out(
    zipf_downloads: SizeFits,
) -> None:
    sizes = np.concatenate([ZIPF[:100], np.zeros(3_900)])
    lines = {"top1pct_all": fit_zipf(sizes, k=40), "top100": fit_zipf(sizes, k=100)}
    fits = replace(zipf_downloads, counts=Counts.from_sample(sizes), zipf=lines)
    slope = fit_zipf(ZIPF[1:100], k=40).slope
    assert slopes_without_largest(fits) == f"without the largest item: top 1 % {slope:.3f}"
    assert slopes_without_largest(replace(fits, zipf={"top100": lines["top100"]})) == ""
    assert slopes_without_largest(replace(fits, zipf={})) == ""


def test_families_have_the_slopes_of_their_own_cutoffs() -> None:
    table = variants_of(downloads_families=FAMILIES, likes_families=np.arange(1.0, 500.0))
    one, hundred = (fit_zipf(FAMILIES, k=k).slope for k in (40, 100))
    assert slopes_of_families(table, DOWNLOADS) == (
        f"families merged with their base model (4,000): top 1 % {one:.3f}, top 100 {hundred:.3f}"
    )
    likes = fit_zipf(np.arange(1.0, 500.0), k=100).slope
    assert slopes_of_families(table, LIKES) == (
        f"families merged with their base model (499): top 100 {likes:.3f}"
    )
    only_likes = table.filter(pl.col("population") == "likes_families")
    assert slopes_of_families(only_likes, DOWNLOADS) == ""


def test_datasets_have_the_slopes_that_were_fitted_to_them(
    companions: CompanionFits, thin_downloads: SizeFits
) -> None:
    one, tenth, hundred = (
        thin_downloads.zipf[label].slope for label in ("top1pct_all", "top0.1pct_all", "top100")
    )
    assert slopes_of_datasets(companions, DOWNLOADS) == (
        f"the Hub's datasets on 2024-01-02: top 1 % {one:.3f}, top 0.1 % {tenth:.3f}, top 100 "
        f"{hundred:.3f}"
    )
    assert "2024-01-03: top 1 % -0.999" in slopes_of_datasets(companions, LIKES)
    assert slopes_of_datasets(NO_POPULATIONS, DOWNLOADS) == ""


def test_all_that_there_is_to_say_of_slopes_is_joined(
    zipf_downloads: SizeFits, companions: CompanionFits
) -> None:
    table = variants_of(downloads_families=FAMILIES)
    assert slopes_cut_otherwise(zipf_downloads, table, companions, DOWNLOADS) == "; ".join(
        (
            slopes_without_largest(zipf_downloads),
            slopes_of_families(table, DOWNLOADS),
            slopes_of_datasets(companions, DOWNLOADS),
        )
    )
    nothing_else = slopes_cut_otherwise(zipf_downloads, table[:0], NO_POPULATIONS, DOWNLOADS)
    assert nothing_else == slopes_without_largest(zipf_downloads)


def test_tvl_with_exchanges_and_by_parent_has_the_tail_of_a_direct_fit() -> None:
    with_exchanges = np.append(TVL_SIZES, [3e12, 1.5e13])
    merged = np.append(TVL_SIZES[20:], TVL_SIZES[:20].sum())
    table = variants_of(tvl_families=merged, tvl_with_exchanges=with_exchanges)
    a, b = (fit_tail(sizes, discrete=False) for sizes in (with_exchanges, merged))
    assert tvl_cut_otherwise(table) == (
        f"with centralised exchanges (402): zeta {a.zeta:.2f} ({a.std_error:.2f}) from "
        f"{a.x_min / 1e6:,.0f} million on; protocols of one parent merged (381): zeta "
        f"{b.zeta:.2f} ({b.std_error:.2f}) from {b.x_min / 1e6:,.0f} million on"
    )
    assert a.zeta == pytest.approx(1.25, abs=0.2)
    assert f"{a.zeta:.2f}" != f"{b.zeta:.2f}"


def test_tvl_without_a_tail_says_why() -> None:
    table = variants_of(tvl_with_exchanges=np.array([2e8, 2e8]), tvl_families=TVL_SIZES)
    refused, fitted = tvl_cut_otherwise(table).split("; protocols of one parent")
    assert refused.startswith("with centralised exchanges: no tail (")
    assert fitted.startswith(" merged (400): zeta 1.")
    assert tvl_cut_otherwise(table[:0]) == ""


def test_the_later_date_and_chains_are_said_with_their_tails(
    companions: CompanionFits, pareto_tvl: SizeFits, lognormal_tvl: SizeFits
) -> None:
    def words(fits: SizeFits) -> str:
        t = fits.tail
        return (
            f"zeta {t.zeta:.2f} ({t.std_error:.2f}) from {t.x_min / 1e6:,.0f} million USD on, "
            f"{t.n_tail:,} of 3,000, support {fits.judged.support.level}"
        )

    fits_only = replace(companions, equal_cutoffs={})
    assert other_tvl(fits_only) == (
        f"DeFi on 2025-12-17: {words(pareto_tvl)}; chains on 2024-01-04: {words(lognormal_tvl)}"
    )
    chains = {"chains_tvl": lognormal_tvl}
    assert other_tvl(replace(fits_only, sizes=chains)).startswith("chains on 2024-01-04")
    assert other_tvl(NO_POPULATIONS) == ""


def test_the_other_definition_of_defi_is_said_on_both_dates(companions: CompanionFits) -> None:
    tail = fit_tail(TVL_SIZES, discrete=False)
    names = [f"{side}_{d.name}" for side in ("tvl", "tvl_later") for d in DEFINITIONS]
    found = replace(
        companions,
        sizes={},
        equal_cutoffs={},
        definitions=dict.fromkeys(names, tail),
        totals_usd=dict.fromkeys(names, 1.25e9),
    )
    other = next(d for d in DEFINITIONS if d is not HEADLINE)
    fitted = (
        f"1.2 billion USD, zeta {tail.zeta:.2f} ({tail.std_error:.2f}) from "
        f"{tail.x_min / 1e6:,.0f} million on"
    )
    assert other_tvl(found) == f"{other.words}: {fitted}; {other.words} on 2025-12-17: {fitted}"


def test_equal_cutoffs_are_those_of_direct_fits_on_both_dates(
    companions: CompanionFits, protocols: pl.DataFrame
) -> None:
    parts = []
    for day, column in (("2023-06-27", "tvl_before"), ("2025-12-17", "tvl_after")):
        sizes = protocols[column].to_numpy()
        low, high = (fit_tail(sizes, discrete=False, x_min=x) for x in (21e6, 1.2e9))
        parts.append(
            f"zeta at equal cut-offs, {day}: {low.zeta:.2f} ({low.std_error:.2f}) from 21 million "
            f"on, {high.zeta:.2f} ({high.std_error:.2f}) from 1,200 million on"
        )
    assert other_tvl(replace(companions, sizes={})) == "; ".join(parts)
    assert other_tvl(companions).endswith("; ".join(parts))


def test_growth_of_downloads_is_said_by_which_models(
    companions: CompanionFits, waves: TwoWindowsFit
) -> None:
    assert growth_of_downloads(replace(companions, waves={})) == ""
    said = growth_of_downloads(companions)
    lead, _, rest = said.partition(" in logs: ")
    assert lead == (
        "downloads of the Hub's models, 2022-07-02 to 2024-07-02, slope a year, owners as clusters "
        "[power of the earlier count], without window noise of 0.77"
    )
    parts = []
    for name, s in waves.slopes.items():
        assert s.later is not None
        parts.append(
            f"{s.value:+.3f} ({s.std_error:.3f}) of {s.n_models:,} {name.replace('_', ' ')} "
            f"[as size^{s.later.exponent:.2f} ({s.later.std_error:.2f})], without noise "
            f"{waves.without_noise(name, 0.77):+.3f}"
        )
    assert rest == ", ".join(parts)
    assert rest.startswith("+0.0")
    assert "of 2,000 positive" in rest


def test_growth_of_several_populations_is_said_of_each(
    companions: CompanionFits, waves: TwoWindowsFit
) -> None:
    slope = replace(waves.slopes["positive"], later=None)
    datasets = replace(waves, slopes={"positive": slope})
    both = replace(
        companions,
        waves={"models": replace(waves, slopes={}), "datasets": datasets},
        taken_on={"waves_models": "then", "waves_datasets": "2023-03-16 to 2024-07-09"},
    )
    said = growth_of_downloads(both)
    assert said.startswith("downloads of the Hub's datasets, 2023-03-16 to 2024-07-09, ")
    assert "as size" not in said
