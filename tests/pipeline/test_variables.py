"""What is measured: cut-offs, frequency tables written out."""

import polars as pl
import pytest

from baimo.estimation.samples.counts import Counts
from baimo.pipeline.variables import (
    AS_DEFILLAMA,
    BROAD,
    DEFINITIONS,
    HEADLINE,
    Definition,
    cutoffs,
    expand,
)


def test_cut_offs_that_reach_the_zeros_do_not_exist() -> None:
    counts = Counts.from_pairs([0, 1, 2, 3], [9_000, 600, 300, 100])
    found = cutoffs(counts)
    assert found["top10pct_all"] == 1_000
    assert found["top10pct_positive"] == 100
    assert "top0.1pct_all" not in found  # ten items are too few
    assert "top10pct_all" not in cutoffs(Counts.from_pairs([0, 1, 2], [9_900, 60, 40]))


def test_expand_writes_a_frequency_table_out() -> None:
    table = pl.DataFrame({"a": [1, 2], "n": [2, 3]})
    assert expand(table, "n")["a"].to_list() == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.name)
def test_a_row_counts_unless_its_category_is_left_out_however_it_is_spelled(
    definition: Definition,
) -> None:
    left_out = [w for name in definition.without for w in (name, name.upper(), f" {name.lower()} ")]
    kept = [None, "", "Dexs", "Chain Bribes", "RWA Lending"]
    frame = pl.DataFrame({"category": [*left_out, *kept]}, schema={"category": pl.String})
    assert frame.filter(definition.holds())["category"].to_list() == kept


def test_the_sources_definition_is_the_narrower_and_says_when_it_was_read() -> None:
    assert set(BROAD.without) < set(AS_DEFILLAMA.without)
    assert AS_DEFILLAMA.read_on is not None
    assert HEADLINE in DEFINITIONS
    assert len({d.name for d in DEFINITIONS}) == len(DEFINITIONS)
