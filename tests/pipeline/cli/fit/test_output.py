"""What a mechanism's fit prints: a row a parameter, its error and unit, what to know below."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest

from baimo.estimation.attachment.cross_section import fit_simon
from baimo.estimation.errors import ConvergenceWarning
from baimo.estimation.results import Estimate, FitResult
from baimo.pipeline.cli.fit._output import print_results, quietly
from tests.pipeline.cli.round_trip import parsed


@dataclass(frozen=True, eq=False, kw_only=True)
class Made(FitResult):
    """A fit of made-up parameters."""

    title: ClassVar[str] = "Made up"
    found: dict[str, Estimate]

    def estimates(self) -> dict[str, Estimate]:
        """Return what it was made of."""
        return self.found


def made(converged: bool = True, *notes: str, **found: Estimate) -> Made:
    return Made(n_obs=9, n_used=7, converged=converged, notes=notes, found=found)


GROWTH = made(
    True,
    "seven of nine",
    mu=Estimate(value=0.25, std_error=0.125, interval=(0.0, 0.5), unit="1/yr"),
    sigma=Estimate(value=2.0),
    none=Estimate(value=None),
)


def test_a_row_a_parameter_with_error_interval_and_unit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_results("gbm", [GROWTH], ["said beside"], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["estimate", "std", "error", "95", "%", "unit"],
        ["gbm_mu", "0.25", "0.125", "[0,", "0.5]", "1/yr"],
        ["gbm_sigma", "2", "-", "-"],
        ["gbm_none", "-", "-", "-"],
        ["note:", "seven", "of", "nine"],
        ["note:", "said", "beside"],
    ]
    assert len({line.index(cell) for line, cell in zip(lines, ("unit", "1/yr"), strict=False)}) == 1


def test_the_first_result_that_has_a_parameter_has_it_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = made(mu=Estimate(value=99.0), theta=Estimate(value=1.5))
    print_results("gbm", [GROWTH, other], [], as_json=False)
    shown = capsys.readouterr().out
    assert shown.count("gbm_mu") == 1
    assert "99" not in shown
    assert "gbm_theta" in shown


def test_a_doubtful_optimum_stands_above_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_results("gbm", [made(converged=False, mu=Estimate(value=1.0))], [], as_json=False)
    assert capsys.readouterr().out.startswith("Made up: DID NOT CONVERGE\n")
    print_results("gbm", [GROWTH], [], as_json=False)
    assert "CONVERGE" not in capsys.readouterr().out


def test_json_holds_the_same_numbers_and_each_note_once(capsys: pytest.CaptureFixture[str]) -> None:
    wild = made(True, "seven of nine", x=Estimate(value=float("nan"), std_error=float("inf")))
    print_results("gbm", [GROWTH, wild], ["seven of nine", "more"], as_json=True)
    found = parsed(capsys.readouterr().out)
    assert (found["n_obs"], found["n_used"], found["converged"]) == (9, 7, True)
    assert (found["gbm_mu"], found["gbm_mu_interval"]) == (0.25, [0.0, 0.5])
    assert found["gbm_x"] is found["gbm_x_std_error"] is None
    assert found["notes"] == ["seven of nine", "more"]


def test_a_model_of_its_own_name_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_results("pa", [fit_simon([1, 1, 2, 4])], [], as_json=True)
    assert parsed(capsys.readouterr().out)["pa_simon_p"] == 0.5


def test_only_doubts_about_an_optimum_are_kept_from_the_terminal() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quietly():
            warnings.warn("flat", ConvergenceWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
        warnings.warn("flat again", ConvergenceWarning, stacklevel=1)
    assert [str(w.message) for w in heard] == ["something else", "flat again"]
