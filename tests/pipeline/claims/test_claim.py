"""A claim is entered under the name of its file, reads what it declares, and is stored as said."""

import json
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from baimo.estimation.results import decode, encode, from_dict, to_dict
from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.claims import claim as module
from baimo.pipeline.claims.claim import AUDIT, Claim, Finding, Kind, Number, Paper, Verdict, entered
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day, Named, UndeclaredError
from baimo.pipeline.schema.derived import HUB_AUTHORS
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART
from tests.pipeline.synthetic import DAY, day_of

AUTHORS = pl.DataFrame({"n_models": [1, 2], "n_authors": [5, 3]})
NUMBERS = (
    Number(name="slope", value=-1.5, std_error=0.25, interval=(-2.0, -1.0), held_against=-1.0),
    Number(name="unknown", value=None),
)
FOUND = Finding(PART, "slope -1.50", "without the largest -1.40", NUMBERS)


@pytest.fixture(autouse=True)
def _nothing_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test enter claims that no other test sees."""
    monkeypatch.setattr(module, "_CLAIMS", [])


def enter(
    test: Callable[[Day], Finding],
    *,
    file: str = "claims.made_up",
    order: int = 10,
    needs: tuple[Named, ...] = (),
) -> Claim:
    """Enter a claim as a file of the folder would, and return it."""
    test.__module__ = file
    module.claim(
        order=order,
        paper=Paper.ZHANG,
        where="section 3",
        text="The sky is blue.",
        statistic="its colour",
        criterion="holds if blue",
        needs=needs,
        figure=VERDICTS,
    )(test)
    return [c for c in entered() if c.test is test][-1]


def test_a_claim_has_the_name_of_its_file_and_all_that_was_said_of_it() -> None:
    def blue(_: Day) -> Finding:
        return FOUND

    made = enter(blue, file="claims.colour_of_sky", order=40, needs=(COHORTS,))
    assert made.name == "colour_of_sky"
    assert (made.order, made.paper, made.where) == (40, Paper.ZHANG, "section 3")
    assert (made.text, made.statistic) == ("The sky is blue.", "its colour")
    assert made.criterion == "holds if blue"
    assert made.needs == (COHORTS,)
    assert made.figure is VERDICTS


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    def blue(_: Day) -> Finding:
        return FOUND

    decorate = module.claim(
        order=1, paper=Paper.RUAN, where="", text="", statistic="", criterion=""
    )
    assert decorate(blue) is blue
    (made,) = entered()
    assert made.test is blue
    assert (made.needs, made.figure) == ((), None)


def test_a_claim_is_measured_unless_its_test_is_marked_as_algebra() -> None:
    def measured(_: Day) -> Finding:
        return FOUND

    def by_algebra(_: Day) -> Finding:
        return FOUND

    assert module.algebra(by_algebra) is by_algebra
    kinds = [enter(test).tested(day_of({})).kind for test in (measured, by_algebra)]
    assert kinds == [Kind.MEASURED, Kind.ALGEBRA]
    record = json.loads(json.dumps(to_dict(enter(by_algebra).tested(day_of({})))))
    assert record["kind"] == "algebra"
    back = from_dict(record)
    assert isinstance(back, module.TestedClaim)
    assert back.kind is Kind.ALGEBRA
    with pytest.raises(ValueError, match="'logic' is not a valid Kind"):
        from_dict(record | {"kind": "logic"})


def test_claims_are_in_order_whatever_the_order_of_their_files() -> None:
    for order in (30, 10, 20):
        enter(lambda _: FOUND, file=f"claims.of_{order}", order=order)
    assert [c.name for c in entered()] == ["of_10", "of_20", "of_30"]


def test_a_claim_that_reads_what_it_does_not_declare_is_refused() -> None:
    def reads_both(day: Day) -> Finding:
        n = day.table(HUB_AUTHORS).height + len(day.read(COHORTS))
        return Finding(HOLDS, f"{n} rows")

    day = day_of({HUB_AUTHORS: AUTHORS, COHORTS: {}})
    with pytest.raises(UndeclaredError, match="cohorts is read but not declared"):
        enter(reads_both, needs=(HUB_AUTHORS,)).tested(day)
    with pytest.raises(UndeclaredError, match="hub_authors is read but not declared"):
        enter(reads_both, needs=(COHORTS,)).tested(day)
    with pytest.raises(UndeclaredError, match="of which there are none"):
        enter(reads_both).tested(day)


def test_a_claim_reads_what_it_declares() -> None:
    def reads_both(day: Day) -> Finding:
        n = day.table(HUB_AUTHORS).height + len(day.read(COHORTS))
        return Finding(HOLDS, f"{n} rows on {day.date}")

    day = day_of({HUB_AUTHORS: AUTHORS, COHORTS: {}})
    tested = enter(reads_both, needs=(HUB_AUTHORS, COHORTS)).tested(day)
    assert tested.evidence == f"2 rows on {DAY}"


def test_a_claim_asks_a_day_for_no_more_than_it_reads() -> None:
    def load(name: str) -> pl.DataFrame:
        assert name == "hub_authors"
        return AUTHORS

    day = Day(DAY, load, frozenset({"hub_authors", "cohorts"}))
    made = enter(
        lambda d: Finding(HOLDS, str(d.table(HUB_AUTHORS).height)), needs=(HUB_AUTHORS, COHORTS)
    )
    assert made.tested(day).evidence == "2"


def test_a_tested_claim_says_what_the_claim_says_and_what_was_found() -> None:
    made = enter(lambda _: FOUND)
    tested = made.tested(day_of({}))
    assert (tested.name, tested.text, tested.where) == (made.name, made.text, made.where)
    assert (tested.statistic, tested.criterion) == (made.statistic, made.criterion)
    assert tested.paper is Paper.ZHANG
    assert tested.verdict is PART
    assert (tested.evidence, tested.sensitivity) == (FOUND.evidence, FOUND.sensitivity)
    assert tested.numbers == NUMBERS


def test_the_stored_text_of_a_verdict_becomes_the_verdict_again() -> None:
    tested = enter(lambda _: FOUND).tested(day_of({}))
    record = json.loads(json.dumps(to_dict(tested)))
    assert record["verdict"] == "holds in part"
    back = from_dict(record)
    assert isinstance(back, module.TestedClaim)
    assert back == tested
    assert back.verdict is PART
    assert back.paper is Paper.ZHANG
    assert back.numbers == NUMBERS
    other = from_dict(record | {"verdict": "fails"})
    assert isinstance(other, module.TestedClaim)
    assert other.verdict is FAILS


def test_the_text_of_no_verdict_and_of_no_paper_is_refused() -> None:
    record = to_dict(enter(lambda _: FOUND).tested(day_of({})))
    with pytest.raises(ValueError, match="'true' is not a valid Verdict"):
        from_dict(record | {"verdict": "true"})
    with pytest.raises(ValueError, match="'Zhang' is not a valid Paper"):
        from_dict(record | {"paper": "Zhang"})


def test_the_verdicts_of_a_day_are_read_back_in_order() -> None:
    made = enter(lambda _: FOUND).tested(day_of({}))
    tested = tuple(replace(made, name=v.name.lower(), verdict=v) for v in Verdict)
    stored = decode(json.loads(json.dumps(encode(tested))))
    assert day_of({AUDIT: stored}).read(AUDIT) == tested
    assert [t.verdict.value for t in tested] == [
        "holds", "holds in part", "fails", "cannot be told",
    ]  # fmt: skip
