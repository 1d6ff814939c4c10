"""The report's cells and sentences hold the numbers of the fits, and say what is not known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.cohorts import fit_cohorts
from baimo.pipeline.analysis.populations import POPULATIONS
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, TailWithoutOwner
from baimo.pipeline.claims import claim as claims
from baimo.pipeline.claims.claim import Kind, Verdict
from baimo.pipeline.models.gbm import GROWTH_FIT
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.report import tables
from baimo.pipeline.report.needs import NEEDS
from baimo.pipeline.report.tables import TABLE_HEADER, TAIL_HEADER
from baimo.pipeline.schema.derived import HUB_TOTALS
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.text import threshold_words
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL
from tests.pipeline.report.measured import measured_day, values
from tests.pipeline.synthetic import (
    NO_POPULATIONS,
    fits_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


@pytest.fixture(scope="module")
def likes() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 20_000) - 1)


@pytest.fixture(scope="module")
def tvl() -> SizeFits:
    return fits_of(1e5 * (1 - np.random.default_rng(2).random(2_000)) ** -1.2, TVL)


class TestWords:
    @pytest.mark.parametrize(
        ("value", "shown"), [(None, "-"), (0.0004, "<0.001"), (0.001, "0.001"), (0.5, "0.500")]
    )
    def test_a_p_value_is_never_a_bare_zero(self, value: float | None, shown: str) -> None:
        assert tables.p_value(value) == shown

    def test_numbers(self) -> None:
        assert tables.number(None) == "-"
        assert tables.number(1.23456) == "1.235"
        assert tables.number(1.23456, 1) == "1.2"
        assert tables.size(21_220_000.4) == "21,220,000"
        assert tables.interval(0.5, 1.25) == "[0.50, 1.25]"
        assert tables.interval(None, 1.0) == tables.interval(1.0, None) == "-"


def judged(*verdicts: Verdict, kind: Kind = Kind.MEASURED) -> list[claims.TestedClaim]:
    return [
        claims.TestedClaim(
            name="n", text="t", where="w", statistic="s", criterion="c", verdict=v, evidence="e",
            kind=kind,
        )
        for v in verdicts
    ]  # fmt: skip


class TestLead:
    def test_one_holds_and_two_hold(self) -> None:
        holds, fails = Verdict.HOLDS, Verdict.FAILS
        assert tables.lead(judged(holds, fails, fails)) == (
            "Of 3 claims tested on data, 1 holds, 2 fail."
        )
        assert tables.lead(judged(holds, holds, Verdict.UNTOLD, Verdict.PART)) == (
            "Of 4 claims tested on data, 2 hold, 1 holds in part, 1 cannot be told."
        )

    def test_claims_that_are_algebra_are_counted_apart(self) -> None:
        algebra = judged(Verdict.FAILS, Verdict.FAILS, kind=Kind.ALGEBRA)
        assert tables.lead([*judged(Verdict.HOLDS), *algebra]) == (
            "Of 1 claims tested on data, 1 holds. Of 2 claims that are algebra, 2 fail."
        )


class TestHeadline:
    COMPARED = pl.DataFrame(
        [
            {"measure": measure, "n_obs": 760_000, "x_min": 9_326.0, "n_tail": 3_926,
             "zeta": 0.683, "zeta_low": 0.56, "zeta_high": 0.83, "slope_cutoff": "top1pct_all",
             "slope": -0.641, "slope_low": -0.72, "slope_high": None, "model": model,
             "predicted_zeta": 1.0, "simulated_zeta": None, "simulated_sd": None, "verdict": "v",
             "evidence": "e", "outcome": outcome, "reasons": reasons}
            for measure, model, outcome, reasons in (
                ("downloads", "Simon", "contradicted", ["zeta", "top_1pct"]),
                ("downloads", "CES", None, []),
                ("tvl", "GBM", "explains", ["zeta"]),
            )
        ],
        schema=COMPARISON.schema,
    )  # fmt: skip

    def test_a_size_is_named_on_its_first_row_with_all_its_numbers(self) -> None:
        first, second, third = tables.table_rows(self.COMPARED)
        assert len(TABLE_HEADER) == len(first) == len(second) == len(third)
        assert first == (
            "Hub downloads (30 days)", "760,000", "9,326", "3,926", "0.683", "[0.56, 0.83]",
            "-0.641", "-", "Simon", "1.000", "-", "contradicted by zeta + 1",
        )  # fmt: skip
        assert second == ("",) * 8 + ("CES", "1.000", "-", "no prediction")
        assert third[0] == "DeFi TVL"
        assert third[6] == "-0.641*"  # of the positive ones
        assert third[-1] == "explains zeta"

    def test_mechanisms_carry_verdict_and_evidence(self) -> None:
        rows = tables.mechanism_rows(self.COMPARED)
        assert rows[0] == ("Hub downloads (30 days)", "Simon", "v", "e")
        assert [r[1] for r in rows] == ["Simon", "CES", "GBM"]


def cells_of(row: tuple[str, ...]) -> dict[str, str]:
    """Return a row of the table of tails by column."""
    return dict(zip(TAIL_HEADER, row, strict=True))


class TestOneSize:
    def test_a_tail_has_two_rows_one_without_its_largest(self, likes: SizeFits) -> None:
        first, second = (cells_of(row) for row in tables.tail_rows({"likes": likes}))
        cut, index = likes.zipf["top1pct_all"], likes.index["top1pct_all"]
        assert first["tail of"] == "Hub likes"
        assert first["zeta"] == f"{likes.tail.zeta:.3f}"
        assert first["p"] == tables.p_value(likes.judged.goodness.p_value)
        assert first["p indep."] == "-"  # owners are not known: the p is that of independent items
        assert first["support"] == likes.judged.support.level
        names = {"Hill": "hill", "corrected": "hill_corrected", "moment": "moment",
                 "kernel": "kernel"}  # fmt: skip
        others = likes.without_item["top1pct_all"]
        for column, method in names.items():
            assert first[column] == f"{index[method].zeta:.3f}"
            assert second[column] == f"{others[method]:.3f}"
        assert first["rank-1/2"] == f"{-cut.slope:.3f}"
        assert second["rank-1/2"] == f"{-others['slope']:.3f}"
        assert second["tail of"] == "  without the largest"
        assert second["zeta"] == f"{likes.tail_without_largest.zeta:.3f}"
        assert second["p"] == tables.p_value(likes.judged_without_largest.goodness.p_value)
        for cells, judged in ((first, likes.judged), (second, likes.judged_without_largest)):
            assert judged.umpu is not None
            assert cells["UMPU p"] == tables.p_value(judged.umpu.p_value)
            assert cells["UMPU indep."] == "-"
        assert first["open (indep.)"] == f"top {likes.pareto_lognormal.lowest_k:,}"
        assert second["open (indep.)"] == ""

    def test_where_owners_are_known_a_third_row_is_without_one(self, likes: SizeFits) -> None:
        rest = TailWithoutOwner(
            zeta=0.618, std_error=0.03, n_tail=3_274, p_value=0.26, p_independent=0.0004,
            umpu_p=0.0015, umpu_p_independent=None,
        )  # fmt: skip
        known = replace(
            likes,
            tail_without_owner=rest,
            without_owner={"top1pct_all": {"slope": -0.6123, "kernel": 0.71}},
        )
        rows = tables.tail_rows({"likes": known})
        assert len(rows) == 3
        third = cells_of(rows[2])
        assert third == {
            "tail of": "  without one owner", "zeta": "0.618", "p": "0.260", "p indep.": "<0.001",
            "support": "", "lowest AIC": "", "Hill": "-", "corrected": "-", "moment": "-",
            "kernel": "0.710", "rank-1/2": "0.612", "UMPU p": "0.002", "UMPU indep.": "-",
            "open (indep.)": "",
        }  # fmt: skip

    def test_a_p_that_knows_owners_stands_before_the_other(self, likes: SizeFits) -> None:
        known = replace(likes, judged=replace(likes.judged, clustered_p=0.0448))
        first, second = (cells_of(row) for row in tables.tail_rows({"likes": known}))
        alone = tables.p_value(likes.judged.goodness.p_value)
        assert (first["p"], first["p indep."]) == ("0.045", alone)
        assert second["p indep."] == "-"

    def test_a_test_that_knows_owners_stands_before_the_other(self, likes: SizeFits) -> None:
        assert likes.judged.umpu is not None
        umpu = replace(likes.judged.umpu, p_value=0.2484, p_independent=0.0116)
        known = replace(likes, judged=replace(likes.judged, umpu=umpu))
        first, _ = (cells_of(row) for row in tables.tail_rows({"likes": known}))
        assert (first["UMPU p"], first["UMPU indep."]) == ("0.248", "0.012")
        short = replace(likes, judged=replace(likes.judged, umpu=None))
        first, _ = (cells_of(row) for row in tables.tail_rows({"likes": short}))
        assert (first["UMPU p"], first["UMPU indep."]) == ("-", "-")

    def test_a_cut_off_that_does_not_exist_leaves_dashes(self, likes: SizeFits) -> None:
        without = replace(likes, zipf={}, index={}, without_item={})
        for cells in (cells_of(row) for row in tables.tail_rows({"likes": without})):
            assert {cells[c] for c in ("Hill", "corrected", "moment", "kernel", "rank-1/2")} == {
                "-"
            }

    def test_other_populations_bear_their_own_titles(self, likes: SizeFits) -> None:
        first, _ = tables.tail_rows({"datasets_likes": likes}, POPULATIONS)
        assert first[0] == "Hub datasets, likes"

    def test_slopes_at_every_cut_off_once(self, likes: SizeFits, tvl: SizeFits) -> None:
        rows = tables.slope_rows(likes)
        assert [r[0] for r in rows[:2]] == ["top 10 %", "top 10 % of positive"]
        assert len(rows) == len(likes.zipf)
        assert rows[-1][:2] == ("top 100", "100")
        assert rows[-1][3] == f"{likes.zipf['top100'].slope:.3f}"
        assert rows[-1][5:] == ("-", f"{likes.without_item['top100']['slope']:.3f}")
        of_tvl = [r[0] for r in tables.slope_rows(tvl)]  # without zeros all are positive
        assert of_tvl == ["top 10 % of positive", "top 1 % of positive", "top 100"]

    def test_rivals_with_the_one_each_prefers(self, likes: SizeFits) -> None:
        rows = tables.rival_rows(likes)
        assert [r[0] for r in rows] == [c.alternative.replace("_", " ") for c in likes.comparisons]
        for cells, found in zip(rows, likes.comparisons, strict=True):
            assert cells[1] == f"{found.log_likelihood_ratio:.2f}"
            assert cells[6] == f"{found.aic_difference:.1f}"
            assert cells[7].startswith(found.verdict)
            assert cells[7].endswith("(at its boundary)") is found.at_boundary

    def test_laws_of_all_items_from_the_best_on(self, likes: SizeFits) -> None:
        rows = tables.whole_rows(likes)
        assert len(rows) == len(likes.whole.fits)
        differences = [float(r[1].replace(",", "")) for r in rows]
        assert min(differences) == 0.0
        assert "_" not in "".join(r[0] for r in rows)

    def test_a_size_in_words(self, likes: SizeFits, tvl: SizeFits) -> None:
        text = tables.section_text(LIKES, likes)
        tail = likes.tail
        assert text.startswith(f"20,000 items, {tail.n_zero / 20_000:.1%} of them zero.")
        assert f"from {tail.x_min:,.0f} likes on: {tail.n_tail:,} items" in text
        assert f"zeta {tail.zeta:.3f} [" in text
        assert f"hold {likes.concentration.top_1pct:.1%} of the total" in text
        assert f"without it zeta is {likes.tail_without_largest.zeta:.3f}" in text
        assert likes.judged.support.level in text
        assert f"as independent): {threshold_words(likes.thresholds)}. The largest 1 %" in text
        assert "clustered" not in text
        assert "zero" not in tables.section_text(TVL, tvl)
        clustered = replace(likes.judged, tail=replace(tail, design_effect=4.0))
        text = tables.section_text(LIKES, replace(likes, judged=clustered))
        assert "(author-clustered)" in text
        assert "sampling error, items as independent): zeta " in text
        known = replace(likes, threshold_spread=np.ones(3))
        assert "sampling error, owners as clusters): zeta " in tables.section_text(LIKES, known)


def test_what_the_cohorts_leave_out(likes: SizeFits) -> None:
    sizes = np.random.default_rng(3).zipf(2.0, 5_000)
    ages = np.random.default_rng(4).uniform(0.1, 3.0, 5_000)
    cohorts = fit_cohorts(sizes, ages, x_min=likes.tail.x_min)
    n_out = likes.tail.n_tail - int(cohorts.n_tail.sum())
    assert tables.undated({"likes": cohorts}, {"likes": likes}) == (
        "models from before 2 March 2022, whose age is not known, are in none: "
        f"{n_out:,} of the {likes.tail.n_tail:,} of the tail of likes (zeta with them "
        f"{likes.tail.zeta:.2f}, without {cohorts.pooled_zeta:.2f})."
    )


def test_the_kernel_says_on_what_it_was_measured() -> None:
    found = kernel_of(likes_of_two_days(1.0, 0.0, n=4_000), hub_frequency(300, 1))
    assert found.kernel is not None
    text = tables.kernel_text(replace(found, whole=True))
    assert text.startswith(f"All models of known age. {found.kernel.n_used:,} models, ")
    assert f"{found.before_on} to {found.after_on}." in text
    assert tables.kernel_text(replace(found, whole=False)).startswith("Not the models of the whole")
    young = replace(found, whole=False, age=np.full_like(found.age, 3.1 / 365.25))
    assert "newly made ones in their first days (median age 3.1 days, " in tables.kernel_text(young)
    assert tables.kernel_text(replace(found, kernel=None)) == tables.kernel_text(None) == ""


def test_other_populations_in_words(likes: SizeFits) -> None:
    found = replace(
        NO_POPULATIONS,
        sizes={"datasets_likes": likes},
        taken_on={"datasets_likes": "2024-07-09", "chains_tvl": "2023-01-01"},
        notes=("TVL of chains: too few",),
    )
    text = tables.populations_text(found)
    assert text == "Taken on: Hub datasets, likes 2024-07-09; TVL of chains: too few."


def test_totals_of_licences_the_most_used_first() -> None:
    totals = pl.DataFrame(
        [("licence_family", "few", 20, 5, 1), ("licence_family", "many", 2_000, 9_000, 12),
         ("pipeline_tag", "text", 2_020, 9_005, 13)],
        schema=HUB_TOTALS.schema, orient="row",
    )  # fmt: skip
    assert tables.totals_rows(totals) == [("many", "2,000", "9,000", "12"), ("few", "20", "5", "1")]


def test_every_calibrated_parameter_has_a_row_under_the_title_of_its_model() -> None:
    rows = tables.calibration_rows(measured_day().only(NEEDS))
    expected = [
        (title if i == 0 else "", name.replace("_", " "))
        for c in CALIBRATIONS
        for title, estimates in c.estimates(values()[c.stored])
        for i, name in enumerate(estimates)
    ]
    assert [row[:2] for row in rows] == expected
    assert len(expected) > 10
    assert all(value == "none" or math.isfinite(float(value)) for _, _, value, _, _ in rows)
    assert all(bounds == "-" or bounds[0] + bounds[-1] == "[]" for *_, bounds, _ in rows)


def test_distrust_names_the_largest_and_repeats_what_the_source_lacks() -> None:
    fits = {name: values()[stored] for name, stored in TAILS.items()}
    downloads, growth = fits[DOWNLOADS.name], values()[GROWTH_FIT]
    lines = tables.distrust(fits, growth, {"notes": ["left empty: author", ""]})
    held, trimmed = downloads.concentration, downloads.concentration_without_largest
    assert any(
        f"One model holds {held.largest_share:.0%} of all downloads" in line
        and f"falls from {held.hhi:.3f} to {trimmed.hhi:.3f}" in line
        for line in lines
    )
    by_adapter, assumed = growth.n_age_by_adapter, growth.n_age_assumed
    assert any(
        f"{by_adapter + assumed} of {growth.ages.size} protocols have no listing date" in line
        and f"for {by_adapter} that of their adapter" in line
        and f"{assumed} got the middle of the time" in line
        for line in lines
    )
    assert lines[-1] == "left empty: author"
    tail = replace(downloads.judged.tail, design_effect=40.1)
    clustered = replace(downloads, judged=replace(downloads.judged, tail=tail))
    lines = tables.distrust(fits | {DOWNLOADS.name: clustered}, growth, {"notes": []})
    assert any("(variance times 40 for downloads at x_min)" in line for line in lines)
