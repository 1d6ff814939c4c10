"""Compression: every way in, every refusal, and order statistics against numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.samples.counts import Counts, as_counts, merge

small_counts = st.lists(st.integers(0, 30), min_size=1, max_size=80)
wide_counts = st.lists(st.integers(0, 2**53), min_size=1, max_size=40)


def same(a: Counts, b: Counts) -> bool:
    return np.array_equal(a.values, b.values) and np.array_equal(a.multiplicities, b.multiplicities)


def test_a_small_sample_by_hand() -> None:
    counts = Counts.from_sample([3, 0, 1, 3, 0, 3])
    assert counts.values.tolist() == [0.0, 1.0, 3.0]
    assert counts.multiplicities.tolist() == [2, 1, 3]
    assert (counts.n_obs, counts.n_zero, counts.n_unique, counts.total) == (6, 2, 3, 10.0)
    assert counts.exceedances().tolist() == [6, 4, 3]
    assert counts.positive().values.tolist() == [1.0, 3.0]
    assert counts.at_least(1.5).values.tolist() == [3.0]


@given(small_counts | wide_counts)
@settings(deadline=None, derandomize=True)
def test_integer_path_equals_float_path(sample: list[int]) -> None:
    integers = Counts.from_sample(np.array(sample, dtype=np.int64))
    floats = Counts.from_sample(np.array(sample, dtype=np.float64))
    assert same(integers, floats)
    assert integers.multiplicities.dtype == floats.multiplicities.dtype == np.int64
    assert integers.values.dtype == floats.values.dtype == np.float64


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
)
def test_every_integer_type_compresses_alike(dtype: type) -> None:
    sample = np.array([5, 0, 127, 5, 3], dtype=dtype)
    assert same(Counts.from_sample(sample), Counts.from_sample(sample.astype(np.float64)))


def test_values_beyond_the_dense_table_are_kept_apart() -> None:
    sample = np.array([2**16 - 1, 2**16, 2**16 + 1, 2**16, 2**53, 2**53 - 1])
    counts = Counts.from_sample(sample)
    assert counts.values.tolist() == [65535.0, 65536.0, 65537.0, 2.0**53 - 1, 2.0**53]
    assert counts.multiplicities.tolist() == [1, 2, 1, 1, 1]
    assert counts.is_integer


@given(small_counts, st.randoms(use_true_random=False))
@settings(deadline=None, derandomize=True)
def test_pairs_merge_in_any_order(sample: list[int], random) -> None:
    shuffled = sample.copy()
    random.shuffle(shuffled)
    assert same(Counts.from_pairs(shuffled, np.ones(len(sample), int)), Counts.from_sample(sample))


def test_pairs_may_carry_whole_floats_as_multiplicities() -> None:
    counts = Counts.from_pairs([2.0, 1.0, 2.0], [3.0, 1.0, 4.0])
    assert counts.multiplicities.tolist() == [1, 7]
    assert counts.multiplicities.dtype == np.int64


def test_merge_pools() -> None:
    a, b = Counts.from_sample([0, 1, 2]), Counts.from_sample([2, 2, 5])
    assert same(merge([a, b]), Counts.from_sample([0, 1, 2, 2, 2, 5]))
    assert same(merge(iter([a])), a)


def test_as_counts_leaves_counts_alone() -> None:
    counts = Counts.from_sample([1, 2])
    assert as_counts(counts) is counts


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ([], "empty"),
        ([1.0, np.nan], "NaN"),
        ([1.0, np.inf], "infinite"),
        ([3, -1], "negative"),
        ([3.0, -0.5], "negative"),
        (["a", "b"], "real numbers"),
        (np.array([1, None], dtype=object), "real numbers"),
        ([True, False], "real numbers"),
        ([1 + 2j], "real numbers"),
        ([[1, 2], [3, 4]], "flat"),
        (5.0, "flat"),
        (np.array([2**53 + 2]), "2\\^53"),
        (np.array([2**64 - 1], dtype=np.uint64), "2\\^53"),
    ],
    ids=[
        "empty",
        "nan",
        "inf",
        "negative-int",
        "negative-float",
        "text",
        "object",
        "bool",
        "complex",
        "two-dimensional",
        "scalar",
        "beyond-2^53",
        "beyond-2^53-unsigned",
    ],
)
def test_samples_that_are_refused(sample: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Counts.from_sample(sample)  # type: ignore[arg-type]


def test_the_first_integer_that_float64_cannot_hold_is_refused() -> None:
    assert float(2**53 + 1) == float(2**53)
    assert Counts.from_sample(np.array([2**53])).values[0] == 2**53
    with pytest.raises(DataError, match="2\\^53"):
        Counts.from_sample(np.array([1, 2**53 + 1]))


def test_pairs_refuse_integers_that_float64_cannot_hold() -> None:
    with pytest.raises(DataError):
        Counts.from_pairs(np.array([1, 2**53 + 1]), [1, 1])


@pytest.mark.parametrize(
    ("values", "multiplicities", "says"),
    [
        ([1, 2], [1], "one for each"),
        ([1, 2], [1, 0], "at least 1"),
        ([1, 2], [1, -3], "at least 1"),
        ([1, 2], [1, 1.5], "whole numbers"),
        ([1, 2], [1, np.nan], "whole numbers"),
        ([1, 2], [1, np.inf], "whole numbers"),
        ([], [], "empty"),
        ([1, -2], [1, 1], "negative"),
        ([1, np.nan], [1, 1], "NaN"),
        ([1, 2], ["a", "b"], "multiplicities"),
    ],
    ids=[
        "lengths",
        "zero",
        "negative",
        "fraction",
        "nan",
        "infinite",
        "empty",
        "negative-value",
        "nan-value",
        "text",
    ],
)
def test_pairs_that_are_refused(values: list, multiplicities: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Counts.from_pairs(values, multiplicities)


@pytest.mark.parametrize(
    ("values", "multiplicities"),
    [
        ([2.0, 1.0], [1, 1]),
        ([1.0, 1.0], [1, 1]),
        ([-1.0, 1.0], [1, 1]),
        ([1.0, np.inf], [1, 1]),
        ([1.0, 2.0], [1, 0]),
        ([], []),
        ([1.0, 2.0], [1]),
        ([[1.0, 2.0]], [[1, 1]]),
    ],
    ids=["descending", "repeated", "negative", "inf", "zero-times", "empty", "lengths", "2-d"],
)
def test_direct_construction_that_is_refused(values: list, multiplicities: list) -> None:
    with pytest.raises(DataError):
        Counts(
            values=np.array(values, dtype=np.float64),
            multiplicities=np.array(multiplicities, dtype=np.int64),
        )


def test_errors_are_both_named_and_value_errors() -> None:
    assert issubclass(DataError, EstimationError)
    assert issubclass(DataError, ValueError)


@given(small_counts, st.data())
@settings(deadline=None, derandomize=True)
def test_largest_is_the_end_of_the_sorted_sample(sample: list[int], data) -> None:
    k = data.draw(st.integers(1, len(sample)))
    expected = np.sort(np.array(sample))[::-1][:k]
    assert Counts.from_sample(sample).largest(k).tolist() == expected.tolist()


@pytest.mark.parametrize("k", [0, -1, 7])
def test_largest_outside_the_sample(k: int) -> None:
    with pytest.raises(DataError, match=f"k = {k}"):
        Counts.from_sample([1, 2, 2, 3, 3, 3]).largest(k)


@given(small_counts)
@settings(deadline=None, derandomize=True)
def test_exceedances_count_the_items_at_least_as_large(sample: list[int]) -> None:
    counts = Counts.from_sample(sample)
    x = np.array(sample)
    assert counts.exceedances().tolist() == [int((x >= v).sum()) for v in counts.values]


@given(small_counts, st.floats(0.001, 1.0))
@settings(deadline=None, derandomize=True)
def test_quantile_is_numpys_inverted_cdf(sample: list[int], p: float) -> None:
    expected = np.quantile(np.array(sample, dtype=float), p, method="inverted_cdf")
    assert Counts.from_sample(sample).quantile(p) == expected


@given(small_counts)
@settings(deadline=None, derandomize=True)
def test_quantile_holds_the_share_it_promises(sample: list[int]) -> None:
    x = np.array(sample)
    for p in (0.25, 0.5, 0.75, 1.0):  # dyadic shares: p n is exact
        q = Counts.from_sample(sample).quantile(p)
        assert (x <= q).sum() >= p * x.size
        assert (x < q).sum() < p * x.size


@given(st.lists(st.integers(0, 20), min_size=2, max_size=40))
@settings(deadline=None, derandomize=True)
def test_without_largest_drops_one_item(sample: list[int]) -> None:
    expected = Counts.from_sample(sorted(sample)[:-1])
    assert same(Counts.from_sample(sample).without_largest(), expected)


def test_without_largest_of_a_single_item_leaves_nothing_to_return() -> None:
    with pytest.raises(DataError, match="empty"):
        Counts.from_sample([4]).without_largest()


def test_positive_refuses_a_column_of_zeros() -> None:
    with pytest.raises(DataError, match="all values are zero"):
        Counts.from_sample([0, 0]).positive()


def test_at_least_refuses_a_bound_above_the_sample() -> None:
    with pytest.raises(DataError, match="no value reaches"):
        Counts.from_sample([1, 2]).at_least(2.5)


@pytest.mark.parametrize(
    ("sample", "whole"),
    [([1.0, 2.0], True), ([1.0, 2.5], False), ([2.0**53], True), ([2.0**53 + 2], False)],
    ids=["whole", "fraction", "2^53", "beyond-2^53"],
)
def test_is_integer(sample: list[float], whole: bool) -> None:
    assert Counts.from_sample(sample).is_integer is whole


@pytest.mark.parametrize(
    ("values", "says"),
    [([1.0, 2.5], "not whole numbers"), ([1.0, 2.0**53 + 2], "beyond 2\\^53"), ([1e300], "beyond")],
)
def test_what_is_no_count(values: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Counts.from_sample(values).refuse_fractions()


def test_counts_up_to_the_limit_pass() -> None:
    counts = Counts.from_sample([0.0, 1.0, 2.0**53])
    counts.refuse_fractions()  # raises nothing
    assert counts.values.max() == 2.0**53
