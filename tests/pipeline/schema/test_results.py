"""Published tables hold what a run found, one row a thing, and unknown is null, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from baimo.estimation.results import Estimate, FitResult
from baimo.pipeline.schema import results
from baimo.pipeline.schema.results import PARAMETERS, parameter_row
from baimo.pipeline.schema.table import Table
from baimo.pipeline.schema.validate import validate
from tests.pipeline.schema.planted import Row, assert_key_holds, left_out, reads_back

ROWS: dict[str, tuple[Table, Row, tuple[str, ...]]] = {
    "comparison": (
        results.COMPARISON,
        {"measure": "likes", "n_obs": 900, "x_min": 3.0, "n_tail": 90, "zeta": 1.1,
         "zeta_low": 1.0, "zeta_high": 1.2, "slope_cutoff": "top1pct_all", "slope": -1.0,
         "slope_low": -1.1, "slope_high": -0.9, "model": "GBM", "predicted_zeta": 1.0,
         "simulated_zeta": 1.05, "simulated_sd": 0.1, "scanned_zeta": 1.0,
         "scanned_sd": 0.2, "verdict": "explains zeta",
         "evidence": "zeta 1.1 / 1.05", "outcome": "explains", "reasons": ["zeta"],
         "p_value": 0.4, "p_equal": 0.2, "p_without_largest": 0.5, "absent": ["share_zero"]},
        ("measure", "model"),
    ),
    "verdicts": (
        results.VERDICTS,
        {"measure": "likes", "model": "GBM", "statistic": "zeta", "observed": 1.1,
         "simulated": 1.05, "simulated_sd": 0.1, "n_replications": 200, "judged": True,
         "in_sample": False, "decides": True, "margin": 0.1, "std_error": 0.0,
         "difference_low": -0.1, "difference_high": 0.2, "agrees": "unclear",
         "distance_share": 0.6, "detectable": 0.3},
        ("measure", "model", "statistic"),
    ),
    "claims": (
        results.CLAIMS,
        {"claim": "likes_zipf", "paper": "A", "where": "section 3", "text": "It is said.",
         "statistic": "slope", "criterion": "near -1", "kind": "measured", "verdict": "fails",
         "evidence": "-0.8", "sensitivity": "the same"},
        ("claim",),
    ),
    "claim_numbers": (
        results.CLAIM_NUMBERS,
        {"claim": "likes_zipf", "number": "slope", "value": -0.8, "std_error": 0.01,
         "ci_low": -0.82, "ci_high": -0.78, "held_against": -1.0},
        ("claim", "number"),
    ),
    "parameters": (
        PARAMETERS,
        {"name": "hub_likes_zeta", "value": 1.1, "std_error": 0.1, "ci_low": 0.9, "ci_high": 1.3,
         "unit": "1", "method": "Hill", "equation": "", "n_obs": 900, "n_used": 90,
         "converged": True, "notes": ""},
        ("name",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_comes_back_in_its_types(name: str) -> None:
    table, row, _ = ROWS[name]
    assert table.name == name
    assert reads_back(table, row)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_share_the_whole_key_are_refused(name: str) -> None:
    assert_key_holds(*ROWS[name])


@pytest.mark.parametrize(
    ("name", "column", "wrong", "reason"),
    [
        ("comparison", "reasons", None, "reasons is missing"),
        ("comparison", "absent", None, "absent is missing"),
        ("comparison", "p_value", float("nan"), "p_value is not finite"),
        ("comparison", "n_obs", 0, "n_obs is below 1"),
        ("comparison", "n_tail", 0, "n_tail is below 1"),
        ("comparison", "zeta", None, "zeta is missing"),
        ("verdicts", "observed", None, "observed is missing"),
        ("verdicts", "observed", float("nan"), "observed is not finite"),
        ("verdicts", "simulated", float("inf"), "simulated is not finite"),
        ("verdicts", "n_replications", 0, "n_replications is below 1"),
        ("verdicts", "judged", None, "judged is missing"),
        ("verdicts", "decides", None, "decides is missing"),
        ("verdicts", "difference_low", float("-inf"), "difference_low is not finite"),
        ("verdicts", "detectable", float("inf"), "detectable is not finite"),
        ("claims", "paper", None, "paper is missing"),
        ("claims", "verdict", None, "verdict is missing"),
        ("claims", "evidence", None, "evidence is missing"),
        ("claim_numbers", "number", None, "number is missing"),
        ("claim_numbers", "value", "much", "value is not a number"),
        ("claim_numbers", "ci_low", float("-inf"), "ci_low is not finite"),
        ("parameters", "unit", None, "unit is missing"),
        ("parameters", "value", float("nan"), "value is not finite"),
        ("parameters", "n_used", "some", "n_used is not a whole number"),
    ],
)
def test_a_wrong_value_leaves_its_row_out(name: str, column: str, wrong: Any, reason: str) -> None:
    table, row, _ = ROWS[name]
    assert left_out(table, row, **{column: wrong}) == [reason]


def test_what_is_not_known_of_an_estimate_is_empty() -> None:
    table, row, _ = ROWS["parameters"]
    unknown = ("value", "std_error", "ci_low", "ci_high", "n_obs", "n_used", "converged")
    assert left_out(table, row, **dict.fromkeys(unknown)) == []


# --- an estimate as a row ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted(FitResult):
    """A fit of nothing."""


FIT = Fitted(n_obs=900, n_used=90, converged=False, notes=("flat optimum", ""))


def test_an_estimate_becomes_a_row_with_what_is_known_of_its_fit() -> None:
    estimate = Estimate(value=1.1, std_error=0.1, interval=(0.95, 1.4), unit="USD")
    row = parameter_row("tvl_zeta", estimate, FIT, "Hill", "eq 3", "of survivors")
    assert row == {
        "name": "tvl_zeta", "value": 1.1, "std_error": 0.1, "ci_low": 0.95, "ci_high": 1.4,
        "unit": "USD", "method": "Hill", "equation": "eq 3", "n_obs": 900, "n_used": 90,
        "converged": False, "notes": "of survivors; flat optimum",
    }  # fmt: skip
    assert reads_back(PARAMETERS, row)


def test_without_an_interval_of_its_own_it_is_normal() -> None:
    row = parameter_row("x", Estimate(value=1.0, std_error=0.1), FIT, "m", "")
    assert row["ci_low"] == pytest.approx(1.0 - 1.959964 * 0.1)
    assert row["ci_high"] == pytest.approx(1.0 + 1.959964 * 0.1)
    assert row["notes"] == "flat optimum"


def test_an_estimate_that_the_data_do_not_give_has_nulls_and_no_zero() -> None:
    row = parameter_row("x", Estimate(value=None), FIT, "m", "")
    unknown = ("value", "std_error", "ci_low", "ci_high")
    assert [row[name] for name in unknown] == [None] * 4
    frame = pl.DataFrame([row], schema=PARAMETERS.schema)
    assert validate(frame, PARAMETERS).quarantine.is_empty()
