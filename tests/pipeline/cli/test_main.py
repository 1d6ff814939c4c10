"""`baimo`: every command by name, none of their code before it is called."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from baimo.pipeline.cli.main import main
from tests.pipeline.command import baimo

COMMANDS = {"audit", "backfill", "fit", "lake", "refresh", "run", "simulate", "tabulate", "ui"}
HEAVY = ("dagster", "matplotlib", "numpy", "polars", "requests", "scipy")


def test_help_names_every_command() -> None:
    text = baimo("--help").stdout
    for command in ("run", "ui", "tabulate", "fit"):
        assert f"\n  {command} " in text


def test_every_command_has_a_line_and_a_help_of_its_own() -> None:
    listed = baimo("-h").stdout.split("Commands:\n")[1].splitlines()
    assert {line.split()[0] for line in listed} == COMMANDS == set(main.commands)
    assert all(len(line.split()) > 2 for line in listed)
    for name in COMMANDS:
        told = baimo(name, "--help")
        assert told.exit_code == 0
        assert told.stdout.startswith(f"Usage: main {name} ")


def test_every_estimator_stands_under_fit() -> None:
    listed = baimo("fit", "--help").stdout.split("Commands:\n")[1].splitlines()
    assert {line.split()[0] for line in listed} == {
        "attachment", "compare", "demand", "growth", "index", "shapes", "tail", "zipf"
    }  # fmt: skip


def test_the_version_is_that_of_the_package() -> None:
    assert baimo("--version").stdout.endswith(f" {version('baimo')}\n")


def test_a_command_that_is_none_is_a_wrong_call() -> None:
    told = baimo("burn")
    assert told.exit_code == 2
    assert "No such command 'burn'" in told.stderr


@pytest.mark.parametrize("call", [["--help"], ["fit", "tail", "--help"], ["refresh", "--help"]])
def test_help_loads_none_of_what_computes(call: list[str]) -> None:
    code = (
        "import sys\nfrom baimo.pipeline.cli.main import main\n"
        f"main({call!r}, standalone_mode=False)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == "[]\n"
