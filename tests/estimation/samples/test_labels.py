"""Labels become numbers from 0: equal where the labels are, in their order, none missing."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from baimo.estimation.errors import DataError
from baimo.estimation.samples.labels import label_codes


@given(st.one_of(st.lists(st.integers(-9, 9), min_size=1), st.lists(st.text(), min_size=1)))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_items_share_a_code_where_they_share_a_label(labels: list[Any]) -> None:
    codes = label_codes(labels, len(labels))
    assert codes is not None
    assert codes.dtype == np.int64
    assert set(codes.tolist()) == set(range(len(set(np.asarray(labels).tolist()))))
    pairs = set(zip(np.asarray(labels).tolist(), codes.tolist(), strict=True))
    assert len(pairs) == codes.max() + 1
    in_order = [code for _, code in sorted(pairs)]
    assert in_order == list(range(len(pairs)))


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        (["b", "a", "b", "c"], [1, 0, 1, 2]),
        ([7, 7, -1], [1, 1, 0]),
        (np.array(["x", "y", "x"], dtype=object), [0, 1, 0]),
        ([2.5], [0]),
        ([], []),
    ],
    ids=["text", "numbers", "objects", "one", "none"],
)
def test_codes_by_hand(labels: Any, codes: list[int]) -> None:
    found = label_codes(labels, len(labels))
    assert found is not None
    assert found.tolist() == codes


def test_without_labels_there_are_no_codes() -> None:
    assert label_codes(None, 5) is None


@pytest.mark.parametrize(
    ("labels", "n", "says"),
    [
        ([1, 2], 3, "3 items but 2 cluster labels; give one label for each"),
        ([], 1, "1 items but 0 cluster labels"),
        (np.array(["a", None, "b"], dtype=object), 3, "1 of 3 cluster labels are missing"),
        ([1.0, math.nan, math.nan], 3, "2 of 3 cluster labels are missing"),
    ],
    ids=["few", "none", "missing", "nan"],
)
def test_labels_that_do_not_match_the_items_are_refused(labels: Any, n: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        label_codes(labels, n)
