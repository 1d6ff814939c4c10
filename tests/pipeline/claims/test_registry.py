"""Every claim of the folder is there once, is tested on a day, and is published as tables."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import baimo.pipeline.claims as folder
from baimo.estimation.results import from_dict, to_dict
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims import claim as module, mirror
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, entered
from baimo.pipeline.claims.registry import (
    ALL_CLAIMS,
    NEEDS,
    audit,
    claims_table,
    numbers_table,
)
from baimo.pipeline.lake.results import Day, UndeclaredError, names_of
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS
from baimo.pipeline.variables import DOWNLOADS
from tests.pipeline.claims.evidence import FAILS, PART, UNTOLD, Evidence
from tests.pipeline.synthetic import DAY, day_of

Tested = tuple[module.TestedClaim, ...]
NO_CLAIMS = {"claim", "registry", "robustness"}
FILES = {
    path.stem
    for path in Path(folder.__path__[0]).glob("*.py")
    if not path.stem.startswith("_") and path.stem not in NO_CLAIMS
}


def test_every_file_enters_exactly_one_claim_of_its_name() -> None:
    assert Counter(c.name for c in entered()) == Counter(FILES)
    for name, claim in ALL_CLAIMS.items():
        assert claim.name == name
        assert claim.test.__module__ == f"baimo.pipeline.claims.{name}"
    assert set(ALL_CLAIMS) == FILES


def test_orders_are_distinct_and_the_claims_stand_in_them() -> None:
    orders = [claim.order for claim in ALL_CLAIMS.values()]
    assert len(set(orders)) == len(FILES)
    assert orders == sorted(orders)
    assert next(iter(ALL_CLAIMS)) == "downloads_zipf"
    assert list(ALL_CLAIMS)[-1] == "mirror"


def test_every_claim_says_where_it_is_from_and_what_would_follow() -> None:
    for claim in ALL_CLAIMS.values():
        assert claim.text.endswith("."), claim.name
        assert re.match(r"sections? \d", claim.where), claim.name
        assert re.match(r"(holds|fails) if ", claim.criterion), claim.name
        assert claim.statistic, claim.name
    texts = Counter(claim.text for claim in ALL_CLAIMS.values())
    assert set(texts.values()) == {1}


def test_all_needs_together_are_those_of_the_claims() -> None:
    assert names_of(NEEDS) == frozenset().union(*(names_of(c.needs) for c in ALL_CLAIMS.values()))
    assert {"downloads_tail", "likes_tail", "tvl_tail", "comparison"} < names_of(NEEDS)


@pytest.mark.parametrize("name", sorted(ALL_CLAIMS))
def test_a_claim_reads_what_it_declares_and_nothing_else(
    name: str, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "REPLICATIONS", 19)
    values = {what.name: value for what, value in evidence.items()}
    read: set[str] = set()

    def load(what: str) -> Any:
        read.add(what)
        return values[what]

    ALL_CLAIMS[name].tested(Day(DAY, load, frozenset(values)))
    assert read == names_of(ALL_CLAIMS[name].needs)


def test_a_day_without_what_a_claim_needs_is_refused(evidence: Evidence) -> None:
    kept = {what: value for what, value in evidence.items() if what.name != "downloads_tail"}
    with pytest.raises(UndeclaredError, match="downloads_tail"):
        audit(day_of(kept))


def test_every_claim_is_told_with_its_criterion(audited: Tested) -> None:
    assert [c.name for c in audited] == list(ALL_CLAIMS)
    for tested in audited:
        claim = ALL_CLAIMS[tested.name]
        assert isinstance(tested.verdict, Verdict)
        assert tested.evidence, tested.name
        assert (tested.text, tested.where, tested.paper) == (claim.text, claim.where, claim.paper)
        assert (tested.statistic, tested.criterion) == (claim.statistic, claim.criterion)
        assert from_dict(to_dict(tested)) == tested
    verdicts = {c.name: c.verdict for c in audited}
    assert verdicts["downloads_zipf"] is UNTOLD  # the top 4,000 hold no decade that can be told
    assert verdicts["likes_zipf"] is FAILS
    assert verdicts["likes_fatter"] is FAILS
    assert verdicts["printed_equation"] is FAILS
    assert verdicts["number_of_models"] is FAILS
    assert verdicts["attachment_kernel"] is UNTOLD  # one day has no increments
    assert verdicts["contributions"] is UNTOLD  # one number of models is no distribution


def test_verdicts_and_their_numbers_are_published_as_tables(
    audited: Tested, evidence: Evidence
) -> None:
    table, numbers = claims_table(audited), numbers_table(audited)
    assert table.schema == pl.Schema(CLAIMS.schema)
    assert numbers.schema == pl.Schema(CLAIM_NUMBERS.schema)
    assert table["claim"].to_list() == list(ALL_CLAIMS)
    assert table["verdict"].to_list() == [c.verdict.value for c in audited]
    slopes = numbers.filter(pl.col("claim") == "downloads_zipf")
    lines = evidence[TAILS[DOWNLOADS.name]].zipf
    wanted = ("top10pct_all", "top1pct_all", "top0.1pct_all", "top100")
    assert slopes["value"].to_list()[:4] == [lines[label].slope for label in wanted]
    kinds = dict(zip(table["claim"], table["kind"], strict=True))
    assert {name for name, kind in kinds.items() if kind == "algebra"} == {
        "printed_equation", "rho_substitution", "demand_index",
    }  # fmt: skip
    assert set(kinds.values()) == {"algebra", "measured"}
    assert set(slopes["held_against"]) == {-1.0}
    assert numbers.select("claim", "number").is_duplicated().sum() == 0


MADE_UP: Tested = tuple(
    module.TestedClaim(
        name=name,
        text=f"text of {name}",
        where="section 2",
        statistic="what is measured",
        criterion="what follows",
        verdict=found.verdict,
        evidence=found.evidence,
        sensitivity=found.sensitivity,
        paper=Paper.ZHANG,
        numbers=found.numbers,
    )
    for name, found in {
        "first": Finding(
            PART,
            "so it is",
            "otherwise not",
            (
                Number(name="a", value=2.0, std_error=0.5, interval=(1.0, 4.0), held_against=3.0),
                Number(name="b", value=None),
            ),
        ),
        "second": Finding(UNTOLD, "nothing to see"),
    }.items()
)


def test_the_table_of_claims_has_every_word_of_them() -> None:
    first, second = claims_table(MADE_UP).iter_rows(named=True)
    assert first == {
        "claim": "first",
        "paper": Paper.ZHANG.value,
        "where": "section 2",
        "text": "text of first",
        "statistic": "what is measured",
        "criterion": "what follows",
        "kind": "measured",
        "verdict": "holds in part",
        "evidence": "so it is",
        "sensitivity": "otherwise not",
    }
    assert (second["claim"], second["verdict"], second["sensitivity"]) == (
        "second",
        "cannot be told",
        "",
    )


def test_the_table_of_numbers_has_a_row_for_each_and_nulls_for_what_is_unknown() -> None:
    assert numbers_table(MADE_UP).rows() == [
        ("first", "a", 2.0, 0.5, 1.0, 4.0, 3.0),
        ("first", "b", None, None, None, None, None),
    ]
    assert numbers_table(MADE_UP[1:]).rows() == []
