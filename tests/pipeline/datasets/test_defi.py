"""DeFi's listings: counted by what is fitted, joined over two dates, cut into categories."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from baimo.pipeline.datasets.defi import (
    FEWEST_CATEGORIES,
    category_rows,
    is_dated_by_adapter,
    is_listed,
    join_population,
    list_protocols,
    protocol_ages,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import DEFI_LISTING, DEFI_POPULATION
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.variables import (
    ADAPTER_FLOOR,
    AS_DEFILLAMA,
    BROAD,
    DEFI_START,
    LISTING_FLOOR,
)

EARLY, LATE = date(2023, 1, 1), date(2025, 1, 1)
Row = tuple[date, str, str | None, float, date | None]


def protocols(
    *rows: Row, names: list[str] | None = None, adapters: list[date | None] | None = None
) -> pl.DataFrame:
    """Return protocols: observed on, id, category, TVL, listed at; called by their id."""
    frame = pl.DataFrame(
        list(rows),
        schema={"observed_on": pl.Date, "protocol_id": pl.String, "category": pl.String,
                "tvl_usd": pl.Float64, "listed_at": pl.Date},
        orient="row",
    )  # fmt: skip
    called = [f"named {k}" for k in frame["protocol_id"]] if names is None else names
    return frame.with_columns(
        name=pl.Series(called), adapter_at=pl.Series(adapters or [None] * len(rows), dtype=pl.Date)
    )


class TestListing:
    def test_protocols_that_share_all_that_is_fitted_are_counted_together(self) -> None:
        table = list_protocols(
            protocols(
                (EARLY, "1", "Dexes", 5.0, date(2022, 2, 3)),
                (EARLY, "2", "Dexes", 5.0, date(2022, 3, 31)),  # the same quarter
                (EARLY, "3", "Dexes", 5.0, date(2022, 4, 1)),
                (EARLY, "4", None, 0.0, None),
            )
        )
        assert table.select("category", "listed_on", "tvl_usd", "n_protocols").rows() == [
            ("Dexes", date(2022, 1, 1), 5.0, 2),
            ("Dexes", date(2022, 4, 1), 5.0, 1),
            (None, None, 0.0, 1),
        ]
        assert validate(table, DEFI_LISTING).quarantine.is_empty()

    def test_how_a_protocol_is_dated_is_told_by_the_quarter(self) -> None:
        rows = [(EARLY, str(k), None, 5.0, date(2022, 2, 3) if k == 0 else None) for k in range(5)]
        began = [None, date(2021, 5, 31), date(2020, 12, 1), ADAPTER_FLOOR, None]
        table = list_protocols(protocols(*rows, adapters=began))
        assert table.select("listed_on", "adapter_on").rows() == [
            (date(2022, 1, 1), None),
            (None, date(2020, 10, 1)),
            (None, ADAPTER_FLOOR),  # before that day, not in its quarter
            (None, date(2021, 4, 1)),
            (None, None),
        ]
        by_adapter = table.select(is_dated_by_adapter()).to_series().to_list()
        assert by_adapter == [False, True, False, True, False]
        assert table.select(is_listed()).to_series().to_list() == [True, *[False] * 4]

    @pytest.mark.parametrize("category", BROAD.without)
    def test_what_is_no_protocol_is_not_listed(self, category: str) -> None:
        rows = protocols((EARLY, "1", category, 5.0, None), (EARLY, "2", "Dexes", 1.0, None))
        assert list_protocols(rows)["tvl_usd"].to_list() == [1.0]

    def test_each_definition_has_its_own_listing(self) -> None:
        names = ["CEX", "Bridge", "RWA", "Dexs", None]
        rows = protocols(*((EARLY, str(k), c, k + 1.0, None) for k, c in enumerate(names)))
        assert list_protocols(rows, BROAD)["tvl_usd"].sum() == 14.0
        assert list_protocols(rows, AS_DEFILLAMA)["tvl_usd"].sum() == 9.0

    def test_dates_stay_apart_and_order_does_not_matter(self) -> None:
        rows = protocols((LATE, "1", "Dexes", 1.0, None), (EARLY, "1", "Dexes", 1.0, None))
        table = list_protocols(rows)
        assert table["observed_on"].to_list() == [EARLY, LATE]
        assert list_protocols(rows.reverse()).equals(table)


class TestPopulation:
    def test_excluded_categories_leave_both_sides(self) -> None:
        joined = join_population(
            protocols(
                (EARLY, "a", "Dexes", 1.0, date(2022, 2, 3)),
                (EARLY, "b", "CEX", 2.0, None),
                (EARLY, "c", "Lending", 3.0, None),
                (LATE, "a", "Dexes", 4.0, None),
                (LATE, "b", "CEX", 5.0, None),
                (LATE, "d", "Canonical Bridge", 6.0, None),
            )
        )
        assert joined.select("tvl_before", "tvl_after", "unmatched", "entrant").rows() == [
            (1.0, 4.0, False, False),
            (3.0, None, True, False),
        ]
        assert joined["listed_on"].to_list() == [date(2022, 1, 1), None]

    def test_a_narrower_definition_takes_from_a_wider_one(self) -> None:
        names = ("Bridge", "Dexs", "CEX", "Lending")
        rows = protocols(
            *((day, str(k), c, k + 1.0, None) for day in (EARLY, LATE) for k, c in enumerate(names))
        )
        wide, narrow = (join_population(rows, d) for d in (BROAD, AS_DEFILLAMA))
        assert wide.filter(AS_DEFILLAMA.holds()).equals(narrow)
        assert narrow["category"].to_list() == ["Dexs", "Lending"]

    def test_who_comes_and_goes_is_marked_and_the_dates_are_said(self) -> None:
        joined = join_population(
            protocols(
                (EARLY, "gone", "Dexes", 1.0, None),
                (date(2024, 1, 1), "between", "Dexes", 9.0, None),
                (LATE, "new", "Lending", 2.0, date(2024, 5, 5)),
            )
        )
        columns = ("category", "tvl_before", "tvl_after", "entrant", "unmatched")
        assert joined.select(columns).rows() == [
            ("Dexes", 1.0, None, False, True),
            ("Lending", None, 2.0, True, False),
        ]
        assert joined.select("before_on", "after_on").unique().rows() == [(EARLY, LATE)]
        assert joined["listed_on"].to_list() == [None, None]  # that of the earlier date
        assert joined.schema == pl.Schema(DEFI_POPULATION.schema)

    def test_the_adapter_of_the_earlier_date_counts(self) -> None:
        began = [date(2021, 5, 31), None, date(2021, 8, 1)]
        rows = ((EARLY, "1", None, 1.0, None), (LATE, "1", None, 2.0, None),
                (LATE, "2", None, 3.0, None))  # fmt: skip
        joined = join_population(protocols(*rows, adapters=began))
        assert joined.select("tvl_after", "adapter_on").rows() == [
            (2.0, date(2021, 4, 1)), (3.0, None)
        ]  # fmt: skip

    def test_a_renamed_protocol_is_joined_by_its_id(self) -> None:
        rows = protocols(
            (EARLY, "1", "Dexes", 1.0, None), (EARLY, "2", "Dexes", 2.0, None),
            (LATE, "1", "Dexes", 3.0, None), (LATE, "2", "Dexes", 4.0, None),
            names=["old", "b", "new", "b"],
        )  # fmt: skip
        joined = join_population(rows)
        assert joined.select("tvl_before", "tvl_after").rows() == [(1.0, 3.0), (2.0, 4.0)]

    def test_without_ids_a_name_that_two_protocols_share_is_left_out(self) -> None:
        rows = protocols(
            *((EARLY, k, "Dexes", float(i + 1), None) for i, k in enumerate("123")),
            *((LATE, k, "Dexes", float(i + 4), None) for i, k in enumerate("abc")),
            names=["a", "a", "b", "a", "b", "c"],
        )
        joined = join_population(rows)
        assert joined.select("tvl_before", "tvl_after").rows() == [
            (3.0, 5.0), (None, 4.0), (None, 6.0)
        ]  # fmt: skip

    def test_protocols_of_equal_values_are_counted_together(self) -> None:
        rows = [(day, str(k), "Dexes", 7.0, None) for day in (EARLY, LATE) for k in range(3)]
        joined = join_population(protocols(*rows))
        assert joined.select("tvl_before", "tvl_after", "n_protocols").rows() == [(7.0, 7.0, 3)]

    def test_one_date_is_no_growth(self) -> None:
        with pytest.raises(SourceError, match="needs protocol tables of two dates"):
            join_population(protocols((EARLY, "1", "Dexes", 1.0, None)))


class TestAges:
    DAY = date(2023, 6, 27)

    def ages(self, *known: tuple[date | None, date | None]) -> list[float]:
        frame = pl.DataFrame(
            list(known), schema={"listed_on": pl.Date, "adapter_on": pl.Date}, orient="row"
        ).with_columns(observed_on=pl.lit(self.DAY))
        return [days * 365.25 for days in protocol_ages(frame)]

    def test_the_middle_of_the_quarter_of_listing_comes_first(self) -> None:
        quarter, other = date(2022, 7, 1), date(2021, 4, 1)
        assert self.ages((quarter, None), (quarter, other), (None, other)) == pytest.approx(
            [(self.DAY - day).days - 45 for day in (quarter, quarter, other)]
        )

    def test_without_a_date_it_is_the_middle_of_the_time_that_is_left(self) -> None:
        old, unknown = self.ages((None, ADAPTER_FLOOR), (None, None))
        for age, end in ((old, ADAPTER_FLOOR), (unknown, LISTING_FLOOR)):
            after_start = (self.DAY - DEFI_START).days - age
            assert after_start == pytest.approx((end - DEFI_START).days / 2, abs=0.5)

    def test_the_youngest_are_a_day_old(self) -> None:
        assert self.ages((date(2023, 7, 1), None)) == pytest.approx([1.0])


class TestCategories:
    def test_rows_of_each_category_those_without_one_together(self) -> None:
        names = [f"c{k}" for k in range(FEWEST_CATEGORIES - 1)]
        frame = pl.DataFrame({"category": [*names, None, "c0", None]})
        found = {tuple(rows.tolist()) for rows in category_rows(frame)}
        n = len(names)
        assert found == {(0, n + 1), (n, n + 2), *((k,) for k in range(1, n))}

    def test_of_few_categories_each_protocol_is_its_own(self) -> None:
        frame = pl.DataFrame({"category": ["a", "b", "a", None]})
        assert [rows.tolist() for rows in category_rows(frame)] == [[0], [1], [2], [3]]
