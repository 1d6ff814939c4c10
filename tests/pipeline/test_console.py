"""On a terminal: aligned tables, refusals of one line, strict JSON, and progress on stderr."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from baimo.estimation.errors import ConvergenceError, DataError
from baimo.pipeline import console
from baimo.pipeline.console import (
    JSON,
    Bar,
    ProgressLine,
    aligned,
    existing_lake,
    lake_option,
    one_line_errors,
    open_lake,
    options,
    print_json,
    print_notes,
    refusing_with,
    report_step,
    shown_interval,
    shown_number,
)
from baimo.pipeline.errors import LakeError, SourceError
from baimo.pipeline.sources.hub.crawl import Progress
from baimo.simulation.errors import ParameterError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Return what makes stderr a terminal; it is called within a test, after its capture."""

    def put() -> Terminal:
        found = Terminal()
        monkeypatch.setattr(sys, "stderr", found)
        return found

    return put


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Return a clock that stands still at `now`."""
    found = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: found.now))
    return found


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [DataError("a\n  b"), ConvergenceError("a b"), SourceError("a b"), ParameterError("a  b")],
    ids=lambda error: type(error).__name__,
)
def test_what_the_project_refuses_is_one_line_and_an_exit_code(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise error

    for guard, code in ((one_line_errors, 2), (refusing_with(1), 1)):
        with pytest.raises(SystemExit) as left:
            guard(refuse)()
        assert left.value.code == code
        assert capsys.readouterr() == ("", "baimo: a b\n")


def test_a_command_keeps_its_name_arguments_and_other_errors() -> None:
    seen: list[tuple[int, str]] = []

    @one_line_errors
    def command(a: int, *, b: str) -> None:
        """Do it."""
        seen.append((a, b))
        if b == "mistake":
            raise ZeroDivisionError

    command(1, b="x")
    with pytest.raises(ZeroDivisionError):
        command(2, b="mistake")
    assert seen == [(1, "x"), (2, "mistake")]
    assert (command.__name__, command.__doc__) == ("command", "Do it.")


# --- tables and numbers --------------------------------------------------------------------------


def test_names_are_aligned_left_and_numbers_right() -> None:
    rows: list[tuple[str, ...]] = [
        ("model", "zeta", "n"),
        ("GBM", "1.05", "12,000"),
        ("a longer name", "-", "7"),
    ]
    assert aligned(rows).splitlines() == [
        "model          zeta       n",
        "GBM            1.05  12,000",
        "a longer name     -       7",
    ]


def test_the_columns_to_the_left_can_be_chosen_and_lines_end_without_blanks() -> None:
    assert aligned([("a", "b"), ("ccc", "ddd")], left=(1,)).splitlines() == ["  a  b", "ccc  ddd"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (1234567.0, "1,234,567"), (0.123456789, "0.123457"), (-2.0, "-2"),
     (1.5e-9, "1.5e-09")],
)  # fmt: skip
def test_numbers_are_shown_for_a_reader(value: float | None, text: str) -> None:
    assert shown_number(value) == text


def test_intervals_are_shown_with_both_ends_or_as_a_dash() -> None:
    assert shown_interval((0.123456, 1.5), 3) == "[0.123, 1.5]"
    assert shown_interval(None) == "-"


def test_json_is_strict_and_unknown_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [math.inf, 1.5], "c": {"d": None}, "λ": "x"})
    out = capsys.readouterr().out

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(out, parse_constant=refuse) == {
        "a": None, "b": [None, 1.5], "c": {"d": None}, "λ": "x"
    }  # fmt: skip


def test_every_record_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(2):
        print_json({"n": n})
    assert capsys.readouterr().out == '{\n "n": 0\n}\n{\n "n": 1\n}\n'


def test_notes_are_printed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_notes(["few items", "zeros left out"])
    assert capsys.readouterr().out == "note: few items\nnote: zeros left out\n"


# --- options -------------------------------------------------------------------------------------


def test_options_come_in_the_order_in_which_they_are_given() -> None:
    @click.command
    @options(click.argument("path"), *JSON, click.option("--k", type=int, default=3, help="Items."))
    def command(path: str, as_json: bool, k: int) -> None:
        click.echo(f"{path} {as_json} {k}")

    assert [p.name for p in command.params] == ["path", "as_json", "k"]
    assert CliRunner().invoke(command, ["x", "--k", "5", "--json"]).output == "x True 5\n"
    assert CliRunner().invoke(command, ["x"]).output == "x False 3\n"


# --- the lake ------------------------------------------------------------------------------------


def test_the_lake_is_the_one_given_or_that_of_the_environment(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(own_home))
    assert open_lake(None).root == own_home / "lake"
    assert open_lake(Path("~/other")).root == own_home / "other"
    assert open_lake(own_home / "third").root == own_home / "third"


def test_a_lake_that_must_be_there_is_there_or_says_what_to_do(tmp_path: Path) -> None:
    assert existing_lake(tmp_path).root == tmp_path
    with pytest.raises(LakeError, match=r"no lake at .*nowhere yet; make one: baimo refresh"):
        existing_lake(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"file is a file; give the folder of the lake"):
        existing_lake(tmp_path / "file")


def test_the_option_of_the_lake_takes_folders_only(tmp_path: Path) -> None:
    @click.command
    @lake_option
    def command(lake_path: Path | None) -> None:
        click.echo(repr(lake_path))

    (tmp_path / "file").write_text("")
    assert CliRunner().invoke(command, []).output == "None\n"
    assert CliRunner().invoke(command, ["--lake", str(tmp_path)]).output == f"{tmp_path!r}\n"
    assert CliRunner().invoke(command, ["--lake", str(tmp_path / "file")]).exit_code == 2


# --- progress ------------------------------------------------------------------------------------


def test_a_bar_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(10, "replicates") as advance:
        advance(5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_goes_to_its_end(on_terminal: Callable[[], Terminal]) -> None:
    terminal = on_terminal()
    with Bar(10, "replicates") as advance:
        for done in (1, 4, 10):
            advance(done, 10)
    assert "replicates" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def at(rows: int, resumed: int = 0, left: int | None = None, seconds: float = 60.0) -> Progress:
    return Progress(rows, rows // 1000, left, seconds, resumed)


def test_in_a_pipe_a_line_comes_now_and_then(
    clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    show = ProgressLine().progress(None)
    for seconds in (10, 29, 30, 40, 59, 60):
        clock.now = 1000.0 + seconds
        show(at(seconds * 1000))
    assert capsys.readouterr().err.splitlines() == [
        "hub: 30,000 rows, 30 pages", "hub: 60,000 rows, 60 pages"
    ]  # fmt: skip


def test_a_terminal_has_one_line_that_is_written_over(
    clock: SimpleNamespace, on_terminal: Callable[[], Terminal]
) -> None:
    terminal = on_terminal()
    line = ProgressLine()
    show = line.progress(None)
    show(at(1000))
    show(at(2000, left=7))
    assert terminal.getvalue() == (
        "\r\x1b[Khub: 1,000 rows, 1 pages"
        "\r\x1b[Khub: 2,000 rows, 2 pages, 7 requests left in this window"
    )
    line.notice("waiting 8 s")
    line.end()
    line.end()
    assert terminal.getvalue().endswith("in this window\nwaiting 8 s\n")


@pytest.mark.parametrize(
    ("progress", "to_go"),
    [
        (at(500_000), ", about 1 min to go"),  # as much again in as long
        (at(500_000, resumed=250_000), ", about 2 min to go"),  # at the pace of this process
        (at(500_000, resumed=500_000), ""),  # nothing yet to tell the pace by
        (at(1_000_000), ""),
    ],
)
def test_the_time_to_go_is_that_of_the_rows_that_are_left(
    progress: Progress, to_go: str, on_terminal: Callable[[], Terminal]
) -> None:
    terminal = on_terminal()
    ProgressLine().progress(1_000_000)(progress)
    assert terminal.getvalue().partition(" pages")[2] == to_go


def test_any_state_can_be_shown(on_terminal: Callable[[], Terminal]) -> None:
    terminal = on_terminal()
    line = ProgressLine()
    line.every(lambda state: f"day {state}")("2026-09-01")
    line.end()
    assert terminal.getvalue() == "\r\x1b[Kday 2026-09-01\n"


def test_a_step_is_said_with_its_seconds_where_they_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_step("hub_models", 12.345)
    report_step("hub_models", None)
    assert capsys.readouterr().err == f"  {'hub models':<24}  12.3 s\n"
