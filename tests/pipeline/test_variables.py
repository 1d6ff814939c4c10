"""What is measured: cut-offs, frequency tables written out."""

import polars as pl

from baimo.estimation.samples.counts import Counts
from baimo.pipeline.variables import cutoffs, expand


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
