"""Views on the protocols: which rows stay, families merged, totals, against plain Python."""

import math
from collections import defaultdict
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st
from polars.testing import assert_frame_equal

from baimo.pipeline.datasets.views import COUNTED_TWICE, VIEWS, merge_parents, totals
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.variables import AS_DEFILLAMA, BROAD

DAY = date(2026, 9, 1)
Row = dict[str, Any]


def protocols(rows: list[Row]) -> pl.DataFrame:
    base: Row = {
        "observed_on": DAY,
        "name": "x",
        "category": "Lending",
        "tvl_usd": 1.0,
        "tvl_is_null": False,
        "listed_at": date(2024, 1, 1),
        "source": "test",
    }
    full = [{"protocol_id": str(i), **base, **row} for i, row in enumerate(rows)]
    return pl.DataFrame(full, schema=DEFILLAMA_PROTOCOLS.schema, orient="row")


def kept(view: str, *categories: str | None) -> list[str | None]:
    frame = protocols([{"category": c} for c in categories])
    return VIEWS[view](frame)["category"].to_list()


class TestViews:
    def test_all_keeps_every_row(self) -> None:
        given_ = ("CEX", "Chain", "Bridge", None, "Dexs")
        assert kept("all", *given_) == list(given_)

    def test_broad_is_without_exchanges_chains_and_their_bridges(self) -> None:
        found = kept("broad", "CEX", "Chain", "Canonical Bridge", "Bridge", "Dexs")
        assert found == ["Bridge", "Dexs"]

    def test_defi_is_what_the_source_counts(self) -> None:
        assert kept("defi", *AS_DEFILLAMA.without, "Dexs", "Restaking") == ["Dexs", "Restaking"]
        assert len(AS_DEFILLAMA.without) == 9
        assert str(AS_DEFILLAMA.read_on) in VIEWS["defi"].meaning

    @pytest.mark.parametrize(
        ("mark", "alive", "netted"),
        [
            ({}, True, True),
            ({"rugged": True}, False, True),
            ({"deprecated": True}, False, True),
            ({"dead_from": DAY}, False, True),
            ({"dead_from": date(2026, 9, 2)}, True, True),  # tomorrow
            ({"doublecounted": True}, True, False),
            ({"doublecounted": False, "rugged": False, "deprecated": False}, True, True),
        ],
    )
    def test_marks_leave_a_row_out_where_they_are_there(
        self, mark: Row, alive: bool, netted: bool
    ) -> None:
        frame = protocols([mark])
        assert VIEWS["alive"](frame).height == alive
        assert VIEWS["netted"](frame).height == netted
        assert VIEWS["defi"](frame).height == 1

    def test_tables_from_before_the_marks_were_read_have_all_views(self) -> None:
        marks = ("doublecounted", "outside_parent", "dead_from", "deprecated", "rugged")
        old = protocols([{"parent_protocol": "p"}, {"parent_protocol": "p"}]).drop(marks)
        for view in VIEWS.values():
            assert view(old).height == view(old.lazy()).collect().height == 2
        assert merge_parents(old)["n_children"].to_list() == [2]

    @pytest.mark.parametrize("view", VIEWS)
    def test_a_row_without_category_stays(self, view: str) -> None:
        assert kept(view, None, "Dexs") == [None, "Dexs"]

    def test_netted_is_without_what_is_counted_twice(self) -> None:
        found = kept("netted", *AS_DEFILLAMA.without, *COUNTED_TWICE, "Dexs", "Yield", "Lending")
        assert found == ["Dexs", "Yield", "Lending"]

    @pytest.mark.parametrize(
        "spelled", ["Liquidity manager", "OnChain Capital Allocator", " cex ", "BRIDGE"]
    )
    def test_spelling_by_capitals_and_blanks_does_not_matter(self, spelled: str) -> None:
        assert kept("netted", spelled) == []

    def test_a_name_within_a_name_is_another_category(self) -> None:
        assert kept("netted", "Chain Bribes", "Stablecoin") == ["Chain Bribes", "Stablecoin"]

    def test_narrower_views_lie_within_wider_ones(self) -> None:
        rows: list[Row] = [{"category": c} for c in (*AS_DEFILLAMA.without, *COUNTED_TWICE, None)]
        frame = protocols([*rows, {"rugged": True}, {"doublecounted": True}])
        found = {name: set(view(frame)["protocol_id"]) for name, view in VIEWS.items()}
        assert found["alive"] < found["defi"] < found["broad"] < found["all"]
        assert found["netted"] < found["defi"]

    def test_every_view_and_every_category_left_out_has_a_reason(self) -> None:
        assert list(VIEWS) == ["all", "broad", "defi", "alive", "netted"]
        assert all(v.meaning and "\n" not in v.meaning for v in VIEWS.values())
        assert all(COUNTED_TWICE.values())
        assert not set(COUNTED_TWICE) & set(BROAD.without)

    def test_lazy_and_eager_frames_give_the_same(self) -> None:
        frame = protocols([{"category": c} for c in ("CEX", "Dexs", None)])
        for view in VIEWS.values():
            assert_frame_equal(view(frame.lazy()).collect(engine="streaming"), view(frame))
        assert_frame_equal(merge_parents(frame.lazy()).collect(), merge_parents(frame))

    def test_columns_stay_as_they_are(self) -> None:
        frame = protocols([{}])
        assert all(view(frame).schema == frame.schema for view in VIEWS.values())


class TestMergeParents:
    def test_children_are_added_up_under_their_parent(self) -> None:
        frame = protocols(
            [
                {"name": "V2", "parent_protocol": "parent#a", "tvl_usd": 5.0, "category": "Dexs",
                 "listed_at": date(2022, 5, 1)},
                {"name": "V3", "parent_protocol": "parent#a", "tvl_usd": 7.0,
                 "listed_at": date(2023, 5, 1)},
                {"name": "alone", "tvl_usd": 2.0, "listed_at": None},
            ]
        )  # fmt: skip
        assert merge_parents(frame).rows(named=True) == [
            {"observed_on": DAY, "protocol_id": "2", "name": "alone", "category": "Lending",
             "tvl_usd": 2.0, "tvl_is_null": False, "listed_at": None, "n_children": 0},
            {"observed_on": DAY, "protocol_id": "parent#a", "name": "V3", "category": "Lending",
             "tvl_usd": 12.0, "tvl_is_null": False, "listed_at": date(2022, 5, 1),
             "n_children": 2},
        ]  # fmt: skip

    def test_a_child_kept_out_of_its_parent_stands_alone(self) -> None:
        rows: list[Row] = [
            {"parent_protocol": "p", "tvl_usd": 3.0, "outside_parent": out}
            for out in (None, False, True)
        ]
        merged = merge_parents(protocols(rows))
        assert merged.select("protocol_id", "tvl_usd", "n_children").rows() == [
            ("2", 3.0, 0), ("p", 6.0, 2)
        ]  # fmt: skip
        assert totals(protocols(rows))["n_families"].unique().to_list() == [2]

    def test_a_child_listed_before_the_floor_makes_the_family_so(self) -> None:
        rows: list[Row] = [{"parent_protocol": "p", "listed_at": d} for d in (None, DAY)]
        assert merge_parents(protocols(rows))["listed_at"].to_list() == [None]

    def test_an_only_child_is_a_family_of_one_and_an_empty_parent_is_none(self) -> None:
        rows: list[Row] = [{"parent_protocol": "p"}, {"parent_protocol": ""}]
        merged = merge_parents(protocols(rows))
        assert dict(zip(merged["protocol_id"], merged["n_children"], strict=True)) == {
            "p": 1,
            "1": 0,
        }

    def test_dates_are_kept_apart(self) -> None:
        rows: list[Row] = [
            {"parent_protocol": "p", "protocol_id": "1", "observed_on": date(2026, 9, n)}
            for n in (1, 2)
        ]
        assert merge_parents(protocols(rows))["n_children"].to_list() == [1, 1]

    def test_no_tvl_only_where_no_child_has_one(self) -> None:
        rows: list[Row] = [
            {"parent_protocol": "p", "tvl_is_null": True, "tvl_usd": 0.0},
            {"parent_protocol": "p", "tvl_is_null": False},
            {"parent_protocol": "q", "tvl_is_null": True, "tvl_usd": 0.0},
        ]
        assert merge_parents(protocols(rows))["tvl_is_null"].to_list() == [False, True]

    def test_nothing_merges_to_nothing(self) -> None:
        assert merge_parents(protocols([])).is_empty()


rows_of_protocols = st.lists(
    st.fixed_dictionaries(
        {
            "observed_on": st.sampled_from([date(2026, 9, 1), date(2026, 9, 2)]),
            "category": st.sampled_from(["CEX", "Bridge", "Dexs", "Risk Curators", None]),
            "tvl_usd": st.one_of(st.just(0.0), st.floats(0, 1e12)),
            "parent_protocol": st.sampled_from(["parent#a", "parent#b", None]),
            "listed_at": st.one_of(st.none(), st.dates(date(2021, 10, 12), date(2026, 9, 1))),
        }
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(rows_of_protocols, st.randoms(use_true_random=False))
def test_families_and_totals_equal_plain_python_in_any_order(rows: list[Row], random: Any) -> None:
    frame = protocols(rows)
    families: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for i, row in enumerate(rows):
        families[row["observed_on"], row["parent_protocol"] or str(i)].append(row)
    merged = merge_parents(frame)
    assert merged.select("observed_on", "protocol_id").rows() == sorted(families)
    for row in merged.iter_rows(named=True):
        children = families[row["observed_on"], row["protocol_id"]]
        listed = [c["listed_at"] for c in children]
        assert math.isclose(row["tvl_usd"], math.fsum(c["tvl_usd"] for c in children))
        assert row["listed_at"] == (None if None in listed else min(listed))
        assert row["n_children"] == sum(c["parent_protocol"] is not None for c in children)

    found = totals(frame)
    gone: dict[str, set[str | None]] = {
        "all": set(),
        "broad": {"CEX"},
        "defi": {"CEX", "Bridge"},
        "alive": {"CEX", "Bridge"},
        "netted": {"CEX", "Bridge", "Risk Curators"},
    }
    expected = {}
    for view, left_out in gone.items():
        for day in sorted({r["observed_on"] for r in rows}):
            here = [
                (i, r)
                for i, r in enumerate(rows)
                if r["observed_on"] == day and r["category"] not in left_out
            ]
            if here:
                expected[view, day] = (
                    len(here),
                    sum(r["tvl_usd"] > 0 for _, r in here),
                    len({r["parent_protocol"] or str(i) for i, r in here}),
                    math.fsum(r["tvl_usd"] for _, r in here),
                )
    assert [row[:2] for row in found.iter_rows()] == list(expected)
    for row in found.iter_rows():
        assert row[2:5] == expected[row[:2]][:3]
        assert math.isclose(row[5], expected[row[:2]][3])

    shuffled = frame.sample(fraction=1, shuffle=True, seed=random.randrange(2**32))
    assert_frame_equal(merge_parents(shuffled), merged, rel_tol=1e-12)
    assert_frame_equal(totals(shuffled), found, rel_tol=1e-12)


def test_merging_parents_changes_no_total() -> None:
    frame = protocols([{"parent_protocol": p, "tvl_usd": 1.5} for p in ("a", "a", "b", None)])
    row = totals(frame).row(0, named=True)
    assert row["tvl_usd"] == merge_parents(frame)["tvl_usd"].sum() == 6.0
    assert row["n_families"] == merge_parents(frame).height == 3
