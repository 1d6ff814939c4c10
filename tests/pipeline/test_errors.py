"""Whatever the pipeline refuses is one kind of error, and each refusal is told from the others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from baimo.pipeline import errors
from baimo.pipeline.console import one_line_errors
from baimo.pipeline.errors import (
    BusyError,
    IncompleteError,
    LakeError,
    PipelineError,
    SourceError,
    TableError,
)
from tests.structure import read_modules

KINDS = (SourceError, TableError, LakeError, BusyError, IncompleteError)
# Raised and caught inside the sources: a point, a row or an attempt that is not what it should be.
INNER = {"AttemptError", "OddError", "UnreadableError"}


def raised(kind: type[PipelineError]) -> None:
    raise kind(f"what it is\n  where; what to do about {kind.__name__}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_refusal_is_one_line_and_exit_code_two(
    kind: type[PipelineError], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        one_line_errors(lambda: raised(kind))()
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        f"baimo: what it is where; what to do about {kind.__name__}\n"
    )


def test_a_mistake_in_the_code_is_no_refusal() -> None:
    def mistaken() -> None:
        raise KeyError("downloads")

    with pytest.raises(KeyError):
        one_line_errors(mistaken)()


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_is_taken_for_another(kind: type[PipelineError]) -> None:
    caught = [other for other in KINDS if issubclass(kind, other)]
    assert caught == [kind]


def test_these_are_all_kinds() -> None:
    defined = {v for v in vars(errors).values() if isinstance(v, type)}
    assert defined == {PipelineError, *KINDS}
    assert all(kind.__doc__ for kind in defined)


def error_classes() -> Iterator[tuple[str, str, set[str]]]:
    """Give module, name and bases of every error that the pipeline defines for others."""
    for name, module in read_modules(parts=["pipeline"]).items():
        for error, bases in re.findall(r"^class (\w+Error)\((.*)\):", module.text, re.MULTILINE):
            if not error.startswith("_"):
                yield name, error, set(bases.split(", "))


def test_every_error_that_leaves_the_pipeline_is_one_of_them() -> None:
    known = {"PipelineError", *(kind.__name__ for kind in KINDS)}
    found = list(error_classes())
    assert len(found) > len(known)
    for module, name, bases in found:
        if name not in {*INNER, "PipelineError"}:
            assert bases & known, f"{module}.{name} derives from {bases}"
