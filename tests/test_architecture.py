"""The house rules that a machine can hold: arrows, sizes, names, equations, constraints."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "estimation", "simulation")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
MAY_IMPORT = {
    "simulation": {"baimo.simulation", "numpy", "scipy", "numba"},
    "estimation": {"baimo.estimation", "baimo.simulation", "numpy", "scipy", "statsmodels"},
}
TOP = {
    "pyproject.toml", "README.md", "LICENSE", "constraints.txt",
    "pipeline", "estimation", "simulation", "data", "tests",
}  # fmt: skip


def imported(text: str) -> set[str]:
    """Return what a file imports: the package, of our own `baimo.` and the subpackage."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {_package(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found = (f"{module}.{alias.name}" for alias in node.names)
            names |= {_package(name) for name in (found if module == "baimo" else [module])}
    return names


def _package(module: str) -> str:
    return ".".join(module.split(".")[: 2 if module.startswith("baimo.") else 1])


@pytest.mark.parametrize(
    ("planted", "seen"),
    [
        ("from baimo.pipeline.lake.store import Lake", "baimo.pipeline"),
        ("def f():\n    import baimo.estimation.tails.power_law as t", "baimo.estimation"),
        ("from baimo import pipeline", "baimo.pipeline"),
        ("import baimo", "baimo"),
        ("from pipeline.lake.store import Lake", "pipeline"),
        ("import os.path", "os"),
        ("from . import lake", ""),
    ],
)
def test_a_planted_import_is_seen(planted: str, seen: str) -> None:
    assert imported(planted) == {seen}
    assert not imported(planted) <= MAY_IMPORT["simulation"]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_run_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | set(sys.stdlib_module_names)
    for path in (ROOT / package).rglob("*.py"):
        assert imported(path.read_text(encoding="utf-8")) <= allowed, path


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_theory_and_measurement_touch_no_file_clock_or_environment(package: str) -> None:
    forbidden = {"os", "pathlib", "time", "datetime", "logging", "socket", "io"}
    for path in (ROOT / package).rglob("*.py"):
        assert not imported(path.read_text(encoding="utf-8")) & forbidden, path
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"print", "open", "input"}, path


def test_importing_an_estimator_loads_neither_pipeline_nor_dagster() -> None:
    code = (
        "import sys, baimo.estimation.tails.power_law, baimo.estimation.growth.two_dates,"
        "baimo.simulation.demand.ces;"
        "print([m for m in ('pipeline', 'dagster', 'polars', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
    assert out.stderr == ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_file_grows_beyond_700_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 700
    assert path.stem not in {"utils", "helpers", "common"}


def test_the_top_holds_only_what_belongs_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    tops = {name.split("/")[0] for name in listed}
    assert {t for t in tops if not t.startswith(".")} <= TOP
    assert "uv.lock" not in tops


def test_every_equation_has_code_and_a_test() -> None:
    text = (ROOT / "simulation" / "NOTATION.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*?\| `([^`]+)` \| `([^`]+)` \|$", text, flags=re.MULTILINE)
    assert {int(number) for number, _, _ in rows} == {*range(18, 25), *range(36, 40)}
    for number, code, test in rows:
        source = (ROOT / code).read_text(encoding="utf-8")
        cited = {
            n
            for low, high in re.findall(r"eq (\d+)(?:-(\d+))?", source.lower())
            for n in range(int(low), int(high or low) + 1)
        }
        assert code.startswith("estimation/") or int(number) in cited, f"eq {number} not in {code}"
        assert "def test_" in (ROOT / test).read_text(encoding="utf-8"), test


def test_constraints_file_equals_the_constraints_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins == project["tool"]["uv"]["constraint-dependencies"]
