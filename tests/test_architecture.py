"""The house rules that a machine can hold: arrows, privacy, sizes, names, equations, packages."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.structure import (
    PARTS,
    ROOT,
    House,
    Module,
    circles,
    imports_of,
    length_without_docstring,
    n_parameters,
    read_modules,
)

MODULES = read_modules()
HOUSE = House(MODULES)
TOP = {
    "pyproject.toml", "README.md", "LICENSE", "constraints.txt",
    "pipeline", "estimation", "simulation", "data", "tests",
}  # fmt: skip

# --- arrows -----------------------------------------------------------------------------------

OTHERS_OF = {
    "simulation": {"numpy", "scipy", "numba"},
    "estimation": {"numpy", "scipy", "statsmodels"},
}
# What every room of a part may use: types, errors, records, words, the description of tables.
GROUND = {
    "simulation": "arrays errors numba_kernels",
    "estimation": "arrays errors laws results",
    "pipeline": "errors settings variables statistics text schema",
}
# Beside the ground: which rooms of its own part a room may use.
ALLOWED = {
    "estimation.laws": "",
    "estimation.results": "",
    "estimation.samples": "",
    "estimation.attachment": "samples",
    "estimation.distributions": "samples",
    "estimation.heterogeneity": "distributions",
    "estimation.tails": "samples",
    "estimation.predictive": "tails samples",
    "estimation.shapes": "predictive samples",
    "estimation.demand": "tails samples",
    "estimation.growth": "tails samples",
    "simulation.attachment": "",
    "simulation.demand": "",
    "simulation.growth": "",
    "simulation.heterogeneity": "",
    "pipeline.settings": "",
    "pipeline.variables": "",
    "pipeline.text": "",
    "pipeline.schema": "",
    "pipeline.lake": "",
    "pipeline.sources": "",
    "pipeline.sources.hub": "lake sources",
    "pipeline.sources.defillama": "lake sources",
    "pipeline.datasets": "lake sources sources.defillama",
    "pipeline.ingest": "datasets lake sources sources.hub sources.defillama",
    "pipeline.analysis": "datasets lake",
    "pipeline.models": "analysis datasets lake",
    "pipeline.predictive": "models analysis lake",
    "pipeline.figures": "predictive models analysis lake",
    "pipeline.claims": "figures models analysis lake",
    "pipeline.report": "claims figures predictive models analysis datasets lake",
    "pipeline.defs": "report claims figures predictive models analysis ingest datasets lake "
    "sources",
    "pipeline.definitions": "defs",
    "pipeline.run": "definitions claims analysis datasets sources lake",
    "pipeline.console": "sources.hub lake",
    "pipeline.cli.fit": "console",
    "pipeline.cli": "cli.fit console run report claims figures predictive models analysis ingest "
    "datasets sources lake",
}
# The rooms of the pipeline that measure or simulate; the others handle rows and files only.
MEASURING = {
    "pipeline.analysis", "pipeline.models", "pipeline.predictive", "pipeline.figures",
    "pipeline.claims", "pipeline.report", "pipeline.cli.fit", "pipeline.datasets",
}  # fmt: skip
RECORDS_ONLY = {  # may know records, errors, samples: not how they are estimated
    "pipeline.lake", "pipeline.schema", "pipeline.defs", "pipeline.run", "pipeline.console",
    "pipeline.cli", "pipeline.text", "pipeline.variables",
}  # fmt: skip
RECORDS = {
    "estimation.errors", "estimation.results", "estimation.arrays", "estimation.samples",
    "estimation.predictive", "estimation.tails", "simulation.errors",
}  # fmt: skip


def is_allowed(importer: str, imported: str) -> bool:
    """Say whether the table lets one room use another."""
    part, other = importer.partition(".")[0], imported.partition(".")[0]
    rank = {"simulation": 0, "estimation": 1, "pipeline": 2}
    if other != part:
        if rank[other] > rank[part]:
            return False
        if part == "pipeline":
            return importer in MEASURING or (importer in RECORDS_ONLY and imported in RECORDS)
        return True
    name = imported.removeprefix(part + ".")
    if name in GROUND[part].split():
        ground = GROUND[part].split()
        here = importer.removeprefix(part + ".")
        return here not in ground or here != name
    return name in ALLOWED.get(importer, "").split()


def test_every_arrow_between_folders_is_in_the_table() -> None:
    wrong = sorted(f"{a} -> {b}" for a, b in HOUSE.folder_arrows() if not is_allowed(a, b))
    assert wrong == []


def test_every_room_is_in_the_table_and_every_entry_is_used() -> None:
    rooms = {HOUSE.room(name) for name, m in MODULES.items() if not m.is_folder}
    ground = {f"{part}.{name}" for part, names in GROUND.items() for name in names.split()}
    assert rooms <= set(ALLOWED) | ground
    used = HOUSE.folder_arrows()
    for importer, names in ALLOWED.items():
        part = importer.partition(".")[0]
        for name in names.split():
            assert (importer, f"{part}.{name}") in used, f"{importer} no longer uses {name}"


def test_there_are_no_circles() -> None:
    assert circles(HOUSE.module_arrows()) == []
    assert circles(HOUSE.folder_arrows()) == []


@pytest.mark.parametrize("part", sorted(OTHERS_OF))
def test_theory_and_measurement_use_few_libraries(part: str) -> None:
    assert foreign(MODULES.values(), part) <= OTHERS_OF[part]


def foreign(modules: Iterable[Module], part: str) -> set[str]:
    """Return the libraries beyond the standard one that a part of the house imports."""
    names = set()
    for module in modules:
        if module.name.partition(".")[0] == part:
            found = imports_of(module, MODULES)
            names |= {i.module.partition(".")[0] for i in found if not i.ours}
    return names - set(sys.stdlib_module_names)


def test_nothing_imports_a_part_without_the_package() -> None:
    tests = (Module("t", p.read_text("utf-8")) for p in sorted((ROOT / "tests").rglob("*.py")))
    for module in (*MODULES.values(), *tests):
        bare = {i.module for i in imports_of(module, MODULES) if not i.ours}
        assert not {name.partition(".")[0] for name in bare} & set(PARTS), module.name


FILES_AND_CLOCKS = {"os", "pathlib", "time", "datetime", "logging", "socket", "io"}


@pytest.mark.parametrize("part", ["estimation", "simulation"])
def test_theory_and_measurement_touch_no_file_clock_or_environment(part: str) -> None:
    for module in MODULES.values():
        if module.name.partition(".")[0] == part:
            names = {i.module.partition(".")[0] for i in imports_of(module, MODULES)}
            assert not names & FILES_AND_CLOCKS, module.name
            assert not called(module) & {"print", "open", "input"}, module.name


def called(module: Module) -> set[str]:
    """Return the plain names that a module calls."""
    return {
        node.func.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_what_begins_with_an_underscore_stays_in_its_folder() -> None:
    assert list(trespasses(HOUSE)) == []


def trespasses(house: House) -> Iterator[str]:
    """Give the imports of private modules from other folders, and of private names at all."""
    for i in house.imports:
        if not i.ours or i.module not in house.modules:
            continue
        hidden = house.modules[i.module].leaf.startswith("_")
        if hidden and house.folder_of(i.importer) != house.folder_of(i.module):
            yield f"{i.importer} imports {i.module}"
        if i.name.startswith("_") and not i.name.startswith("__"):
            yield f"{i.importer} imports {i.name} of {i.module}"


# --- planted violations: the rules above see them -----------------------------------------------


def planted(text: str, importer: str = "simulation.planted") -> House:
    """Return the house with one more module."""
    return House({**MODULES, importer: Module(importer, text)})


@pytest.mark.parametrize(
    ("importer", "text"),
    [
        ("simulation.growth.planted", "from baimo.estimation.results import Estimate"),
        ("simulation.growth.planted", "def f():\n    import baimo.estimation.tails.power_law as t"),
        ("simulation.growth.planted", "from baimo.simulation.demand.ces import ces_demand"),
        ("estimation.samples.planted", "from baimo.estimation.tails import power_law"),
        ("estimation.tails.planted", "from baimo.pipeline.lake.store import Lake"),
        ("pipeline.lake.planted", "from baimo.pipeline.claims.claim import AUDIT"),
        ("pipeline.analysis.planted", "from baimo.pipeline.ingest import refresh"),
        ("pipeline.sources.planted", "from baimo.pipeline.sources.hub.crawl import Walk"),
        ("pipeline.lake.planted", "from baimo.estimation.growth.panel import Steps"),
        (
            "pipeline.analysis.planted",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
            "    from baimo.pipeline.models.base import FittedModel",
        ),
    ],
)
def test_a_planted_arrow_is_seen(importer: str, text: str) -> None:
    arrows = planted(text, importer).folder_arrows() - HOUSE.folder_arrows()
    assert len(arrows) == 1
    assert not any(is_allowed(a, b) for a, b in arrows)


@pytest.mark.parametrize(
    "text",
    ["import pandas", "from polars import DataFrame", "def f():\n    import dagster as dg",
     "from pipeline.lake import Lake", "import estimation"],
)  # fmt: skip
def test_a_planted_library_is_seen(text: str) -> None:
    modules = planted(text, "estimation.planted").modules.values()
    assert not foreign(modules, "estimation") <= OTHERS_OF["estimation"]


def test_a_planted_circle_is_seen() -> None:
    house = planted("from baimo.simulation.growth.gbm import GrowthParams", "simulation.arrays")
    assert circles(house.module_arrows())
    assert circles(house.folder_arrows())


@pytest.mark.parametrize(
    "text",
    ["from baimo.estimation.tails import _numba",
     "from baimo.estimation.tails._numba import ccdf",
     "from baimo.pipeline.models.gbm import _shown"],
)  # fmt: skip
def test_a_planted_trespass_is_seen(text: str) -> None:
    assert len(list(trespasses(planted(text, "pipeline.claims.planted")))) == 1


# --- what is loaded ------------------------------------------------------------------------------


def loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded after some code, in a process of its own."""
    run = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


ESTIMATORS = "import baimo.estimation.growth.cce, baimo.estimation.shapes.compare"
SIMULATORS = "import baimo.simulation.demand.consumers, baimo.simulation.growth.paths"


@pytest.mark.parametrize("code", [ESTIMATORS, SIMULATORS], ids=["estimation", "simulation"])
def test_estimators_and_simulators_load_nothing_of_the_running_system(code: str) -> None:
    heavy = {"baimo.pipeline", "dagster", "polars", "matplotlib", "click", "scipy.stats", "pandas"}
    assert not loaded_by(code) & heavy


def test_help_of_the_command_loads_no_estimator_and_no_table() -> None:
    found = loaded_by(
        "from click.testing import CliRunner\nfrom baimo.pipeline.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    )
    assert not found & {"numpy", "scipy", "polars", "dagster", "matplotlib", "numba"}


def test_a_fit_on_the_command_line_loads_neither_dagster_nor_matplotlib(tmp_path: Path) -> None:
    path = tmp_path / "ten.txt"
    path.write_text("\n".join(map(str, range(1, 11))))
    found = loaded_by(
        "from click.testing import CliRunner\nfrom baimo.pipeline.cli.main import main\n"
        f"assert CliRunner().invoke(main, ['fit', 'tail', {str(path)!r}]).exit_code == 0"
    )
    assert "polars" in found
    assert not found & {"dagster", "matplotlib", "scipy.stats", "statsmodels", "huggingface_hub"}


def test_the_code_location_loads_what_draws_only_when_it_draws() -> None:
    found = loaded_by("import baimo.pipeline.definitions")
    assert "dagster" in found
    assert not found & {"matplotlib", "statsmodels", "powerlaw", "huggingface_hub", "scipy.stats"}


# --- sizes and names -----------------------------------------------------------------------------

FILE_LINES, FUNCTION_LINES, PARAMETERS = 700, 70, 8


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_file_is_one_noun_of_bearable_length(name: str) -> None:
    module = MODULES[name]
    assert len(module.text.splitlines()) <= FILE_LINES
    assert module.leaf not in {"utils", "helpers", "common", "shared", "misc"}
    for function in module.functions():
        assert length_without_docstring(function) <= FUNCTION_LINES, function.name
        if not may_be_wide(module, function):
            assert n_parameters(function) <= PARAMETERS, function.name


def may_be_wide(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function may have many parameters: a command, a compiled loop, options."""
    decorators = {ast.unparse(d).partition("(")[0] for d in function.decorator_list}
    if decorators & {"jit", "one_line_errors"}:
        return True
    positional = len(function.args.posonlyargs) + len(function.args.args)
    is_estimator = module.name.startswith("estimation") and not function.name.startswith("_")
    return is_estimator and positional <= 3  # the rest are options, given by name


@pytest.mark.parametrize("name", sorted(n for n, m in MODULES.items() if m.is_folder))
def test_a_folder_says_what_it_holds_and_exports_nothing(name: str) -> None:
    tree = MODULES[name].tree
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


IN_HOUSE = {"told", "beside", "answers", "spoken", "gist"}


def test_names_are_of_the_field() -> None:
    for module in MODULES.values():
        for function in module.functions():
            words = set(function.name.strip("_").split("_"))
            assert not words & IN_HOUSE, f"{module.name}.{function.name}"
            assert not function.name.startswith("draw_"), f"{module.name}.{function.name}"


# --- documents -----------------------------------------------------------------------------------

DOCUMENTS = sorted(
    p for p in ROOT.rglob("*.md") if not p.relative_to(ROOT).parts[0].startswith(".")
)
TEXTS = [
    *(p for part in PARTS for p in sorted((ROOT / part).rglob("*.py"))),
    *sorted((ROOT / "tests").rglob("*.py")),
    *DOCUMENTS,
]
DOTTED = re.compile(r"\bbaimo\.(?:pipeline|estimation|simulation)(?:\.\w+)+")
PATHED = re.compile(r"(?<![\w./-])(?:pipeline|estimation|simulation|tests)/[\w./-]*\w\.(?:py|md)\b")


OF_RECIPES = {
    "baimo.pipeline.schema.catalogue",
    "baimo.pipeline.sources.catalogue.api",
    "baimo.pipeline.ingest.refresh_catalogue",
}


def resolves(dotted: str) -> bool:
    """Say whether a dotted name is a module, a name that one defines, or one that a recipe adds."""
    if dotted in OF_RECIPES:
        return True
    parts = dotted.split(".")[1:]
    for end in range(len(parts), 0, -1):
        module = MODULES.get(".".join(parts[:end]))
        if module is not None:
            rest = parts[end:]
            return not rest or re.search(rf"\b{re.escape(rest[0])}\b", module.text) is not None
    return False


def test_names_of_modules_in_documents_and_docstrings_resolve() -> None:
    assert not resolves("baimo.pipeline.lake.nowhere")
    here = Path(__file__).resolve()
    for path in TEXTS:
        if path == here:
            continue
        text = path.read_text(encoding="utf-8")
        for name in DOTTED.findall(text):
            assert resolves(name), f"{path.relative_to(ROOT)}: {name}"
        for name in PATHED.findall(text) if path.suffix == ".md" else ():
            near = (ROOT / name, path.parent / name)
            assert any(p.exists() for p in near), f"{path.relative_to(ROOT)}: {name}"


TESTED_WITH_ANOTHER = {
    "pipeline/cli/__main__.py": "only starts cli/main.py, in the tests of whole commands",
    "pipeline/schema/raw.py": "names of types",
    "estimation/arrays.py": "names of types",
    "simulation/arrays.py": "names of types",
    "estimation/errors.py": "classes without code, raised in every room's tests",
    "simulation/errors.py": "classes without code, raised in every room's tests",
    "estimation/attachment/_likelihood.py": "its values are those of test_kernel.py",
    "estimation/distributions/_likelihood.py": "its values are those of test_fit.py",
    "estimation/distributions/_models.py": "its densities are those of test_densities.py",
    "estimation/samples/_numba.py": "compiled loops behind test_counts.py",
    "estimation/shapes/_numba.py": "compiled loops behind test_curves.py",
    "estimation/shapes/_pairs.py": "the cells behind test_compare.py",
    "estimation/tails/_numba_sampling.py": "compiled draws behind test_bootstrap.py",
}


def test_every_module_has_the_test_of_its_name() -> None:
    untested = {
        path.relative_to(ROOT).as_posix()
        for room in ("estimation", "simulation", "pipeline")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "__init__.py"
        and not (
            ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name.removeprefix('_')}")
        ).exists()
    }
    assert untested == set(TESTED_WITH_ANOTHER)


def test_no_text_cites_a_document_that_is_not_here() -> None:
    pattern = re.compile(r"\b(?:THEORY|TAILS|SOURCES|HOUSE|LAYOUT)\b(?:\.md| [A-Z]\d?\b)")
    for path in TEXTS:
        if path != Path(__file__).resolve():
            found = pattern.findall(path.read_text(encoding="utf-8"))
            assert found == [], path.relative_to(ROOT)


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


# --- packaging -----------------------------------------------------------------------------------

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_constraints_file_equals_the_constraints_of_the_project() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins == PROJECT["tool"]["uv"]["constraint-dependencies"]


def test_the_build_lists_every_package() -> None:
    folders = {f"baimo.{name}" for name, m in MODULES.items() if m.is_folder}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted({"baimo", "baimo._reference", *folders})
