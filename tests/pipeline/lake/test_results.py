"""A day gives what was declared, once and only when asked, and never a thing of another class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.estimation.results import Estimate, encode
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.tail_index import IndexFit, fit_hill
from baimo.pipeline.errors import LakeError, PipelineError
from baimo.pipeline.lake import results
from baimo.pipeline.lake.results import Day, Stored, UndeclaredError, load_stored, names_of
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.table import Column, Table

DAY = date(2026, 9, 1)
SIZES = Table("sizes", "Sizes.", ("size",), (Column("size", pl.Float64, "size"),))
FRAME = pl.DataFrame({"size": [9.0, 4.0, 2.0, 1.0]})


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the names of these tests apart from those of the project."""
    monkeypatch.setattr(results, "_TYPES", {})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def counting(values: dict[str, Any], asked: Counter[str]) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        asked[name] += 1
        return values[name]

    return load


# --- what may be read ------------------------------------------------------------------------


def test_what_is_not_declared_is_refused_by_name_with_what_is() -> None:
    hill, other = Stored[Estimate]("hill", Estimate), Stored[Estimate]("other", Estimate)
    day = Day.of_values(DAY, {"hill": Estimate(value=1.0), "sizes": FRAME})
    with pytest.raises(UndeclaredError, match=r"^other is read but not declared; .* hill, sizes$"):
        day.read(other)
    assert day.read(hill).value == 1.0
    with pytest.raises(UndeclaredError, match=r"^sizes is read .* of which there are none$"):
        day.only([]).table(SIZES)
    assert issubclass(UndeclaredError, PipelineError)


def test_what_is_not_declared_is_not_even_loaded() -> None:
    asked: Counter[str] = Counter()
    day = Day(DAY, counting({"other": Estimate(value=1.0)}, asked), frozenset({"hill"}))
    with pytest.raises(UndeclaredError):
        day.read(Stored("other", Estimate))
    assert asked == Counter()


def test_only_gives_less_and_never_more() -> None:
    a, b, c = (Stored[Estimate](name, Estimate) for name in "abc")
    day = Day.of_values(DAY, {name: Estimate(value=1.0) for name in "ab"})
    less = day.only([b, c])
    assert (less.date, less.needs) == (DAY, frozenset({"b"}))
    assert less.read(b).value == 1.0
    for undeclared in (a, c):
        with pytest.raises(UndeclaredError, match=undeclared.name):
            less.read(undeclared)


def test_names_are_those_of_tables_and_results() -> None:
    assert names_of([SIZES, Stored("hill", IndexFit), SIZES]) == {"sizes", "hill"}


# --- when it is read -------------------------------------------------------------------------


def test_each_thing_is_loaded_once_and_only_when_it_is_asked_for(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    values = {"a": Estimate(value=1.0), "b": Estimate(value=2.0)}
    load = counting(values, asked)
    monkeypatch.setattr(results, "load_stored", lambda _, name, day: load(name))
    a, b = (Stored[Estimate](name, Estimate) for name in "ab")
    day = Day.of_lake(lake, DAY, [a, b])
    assert asked == Counter()
    assert day.read(a) is day.read(a)
    assert asked == {"a": 1}
    assert day.only([a]).read(a) is values["a"]  # a smaller reader shares what was read
    day.only([b]).read(b)
    day.read(b)
    assert asked == {"a": 1, "b": 1}


def test_a_reader_of_a_lake_without_the_day_fails_only_when_it_is_asked(lake: Lake) -> None:
    hill = Stored[IndexFit]("hill", IndexFit)
    day = Day.of_lake(lake, DAY, [hill])
    with pytest.raises(LakeError, match="hill of 2026-09-01 is not in the lake"):
        day.read(hill)


# --- what it is of ---------------------------------------------------------------------------


def test_a_result_of_another_class_is_refused_with_the_remedy() -> None:
    day = Day.of_values(DAY, {"hill": Estimate(value=1.0)})
    with pytest.raises(
        LakeError,
        match=r"hill of 2026-09-01 holds a Estimate: measure the day again .*\(baimo run\)",
    ):
        day.read(Stored("hill", IndexFit))


def test_a_result_may_be_of_any_of_the_classes_that_were_stated() -> None:
    either = Stored[Estimate | tuple[Estimate, ...]]("either", Estimate, tuple)
    for value in (Estimate(value=1.0), (Estimate(value=1.0), Estimate(value=2.0))):
        assert Day.of_values(DAY, {"either": value}).read(either) == value
    with pytest.raises(LakeError, match="holds a float"):
        Day.of_values(DAY, {"either": 1.0}).read(either)


def test_one_name_holds_one_kind_of_result() -> None:
    assert Stored("hill", IndexFit) == Stored("hill", IndexFit)
    with pytest.raises(
        ValueError, match=r"hill is stored as .*IndexFit.*: give .*Estimate.* anoth"
    ):
        Stored("hill", Estimate)
    with pytest.raises(ValueError, match="another name"):
        Stored("hill", IndexFit, Estimate)
    assert Stored("other", Estimate).types == (Estimate,)


# --- there and back --------------------------------------------------------------------------


def test_a_fitted_result_and_a_table_come_back_from_the_lake(lake: Lake) -> None:
    fit = fit_hill([100.0, 41.0, 30.0, 22.0, 9.0], k=4, discrete=False)
    lake.write_record("hill", DAY, encode(fit))
    lake.write_table("sizes", DAY, FRAME)
    hill = Stored[IndexFit]("hill", IndexFit)
    day = Day.of_lake(lake, DAY, [hill, SIZES])
    again = day.read(hill)
    assert (again.zeta, again.std_error, again.n_obs) == (fit.zeta, fit.std_error, 5)
    assert again.to_dict() == fit.to_dict()
    assert day.table(SIZES).equals(FRAME)
    other = Day.of_values(DAY, {"sizes": FRAME.head(1)})
    assert other.table(SIZES).height == 1


def test_arrays_and_several_results_of_one_name_come_back(lake: Lake) -> None:
    counts = Counts.from_sample([3.0, 1.0, 1.0])
    lake.write_record("both", DAY, encode({"a": counts, "b": (Estimate(value=None),)}))
    found = load_stored(lake, "both", DAY)
    assert found["a"].values.tolist() == [1.0, 3.0]
    assert found["a"].multiplicities.tolist() == [2, 1]
    assert found["b"] == (Estimate(value=None),)


def test_where_there_is_no_record_there_is_a_table_or_nothing(lake: Lake) -> None:
    lake.write_table("sizes", DAY, FRAME)
    assert load_stored(lake, "sizes", DAY).equals(FRAME)
    with pytest.raises(LakeError, match="sizes of 2026-09-02 is not in the lake"):
        load_stored(lake, "sizes", date(2026, 9, 2))
