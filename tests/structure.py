"""The structure of the code, counted from its own imports and definitions.

`uv run python -m tests.structure` prints the counts; the architecture tests hold some of them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "baimo"
PARTS = ("pipeline", "estimation", "simulation")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the project.

    Parameters
    ----------
    name
        Dotted, without the package: `estimation.tails.power_law`; a folder's `__init__` is the
        folder.
    text
        What the file holds.
    is_folder
        Whether it is the `__init__` of a folder.
    """

    name: str
    text: str
    is_folder: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def folder(self) -> str:
        return self.name if self.is_folder else self.name.rpartition(".")[0]

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]

    def functions(self) -> Iterator[Function]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@dataclass(frozen=True)
class Import:
    """A name that one module takes from another."""

    importer: str
    module: str  # of ours without the package; of others as it stands
    name: str  # empty for the module itself
    ours: bool


def read_modules(root: Path = ROOT, parts: Iterable[str] = PARTS) -> dict[str, Module]:
    """Return every module of the project by name."""
    found = {}
    for part in parts:
        for path in sorted((root / part).rglob("*.py")):
            dotted = ".".join(path.relative_to(root).with_suffix("").parts)
            name = dotted.removesuffix(".__init__")
            found[name] = Module(name, path.read_text(encoding="utf-8"), name != dotted)
    return found


def imports_of(module: Module, names: Iterable[str], package: str = PACKAGE) -> list[Import]:
    """Return what a module imports, anywhere in it: lazily and for type checkers too.

    `from package.a import b` is an import of the module `a.b` where there is one (`names`).
    """
    known = set(names)
    out = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                ours, target = _own(alias.name, package)
                out.append(Import(module.name, target, "", ours))
        elif isinstance(node, ast.ImportFrom):
            given = "." * node.level + (node.module or "")
            ours, target = _own(given, package)
            for alias in node.names:
                inner = f"{target}.{alias.name}".lstrip(".") if ours else ""
                if inner in known:
                    out.append(Import(module.name, inner, "", True))
                else:
                    out.append(Import(module.name, target, alias.name, ours))
    return out


def _own(module: str, package: str) -> tuple[bool, str]:
    """Return whether a dotted name is of the project, and its name without the package."""
    if not package:
        return module.partition(".")[0] in PARTS, module
    if module == package or module.startswith(package + "."):
        return True, module.removeprefix(package).lstrip(".")
    return False, module


@dataclass(frozen=True)
class House:
    """All modules and the arrows between them."""

    modules: Mapping[str, Module]
    package: str = PACKAGE
    imports: list[Import] = field(init=False)

    def __post_init__(self) -> None:
        found = [
            i for m in self.modules.values() for i in imports_of(m, self.modules, self.package)
        ]
        object.__setattr__(self, "imports", found)

    def folder_of(self, name: str) -> str:
        """Return the folder of a module, or of a name that stands in one."""
        if name in self.modules:
            return self.modules[name].folder
        return name

    def module_arrows(self) -> set[tuple[str, str]]:
        """Return (importer, imported) between modules."""
        return {
            (i.importer, i.module)
            for i in self.imports
            if i.ours and i.module in self.modules and i.module != i.importer
        }

    def folder_arrows(self) -> set[tuple[str, str]]:
        """Return (importer, imported) between folders; a file at a part's top is a room itself."""
        pairs = {(self.room(a), self.room(b)) for a, b in self.module_arrows()}
        return {(a, b) for a, b in pairs if a != b}

    def room(self, name: str) -> str:
        """Return the folder of a module; a file that lies at the top of a part stands for
        itself."""
        module = self.modules[name]
        return name if not module.is_folder and module.folder in PARTS else module.folder


def circles(arrows: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the groups of more than one node in which each reaches each (Tarjan)."""
    graph: dict[str, set[str]] = {}
    for a, b in arrows:
        graph.setdefault(a, set()).add(b)
        graph.setdefault(b, set())
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(tuple(sorted(group)))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def floors(arrows: Iterable[tuple[str, str]]) -> int:
    """Return the longest chain of arrows, plus one; circles count once."""
    pairs = list(arrows)
    inside = {node: group[0] for group in circles(pairs) for node in group}
    below: dict[str, set[str]] = {}
    for a, b in pairs:
        a, b = inside.get(a, a), inside.get(b, b)
        if a != b:
            below.setdefault(a, set()).add(b)
    depth: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((height(b) for b in below.get(node, ())), default=0)
        return depth[node]

    return max((height(node) for node in list(below)), default=1)


def length_without_docstring(function: Function) -> int:
    """Return the lines of a function, its docstring not counted."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def n_parameters(function: Function) -> int:
    """Return the number of parameters; `self`, `cls` and a decorator's context do not count."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return sum(name not in ("self", "cls") for name in names)


def shared_strings(modules: Mapping[str, Module], least: int = 4) -> dict[str, set[str]]:
    """Return the identifiers written as strings in two modules or more: text -> modules.

    Docstrings, names of columns in calls of Polars and type names are not told apart: the number
    is for comparison, before and after.
    """
    found: dict[str, set[str]] = {}
    for module in modules.values():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and len(node.value) >= least
                and re.fullmatch(r"[A-Za-z][\w ]*", node.value)
            ):
                found.setdefault(node.value, set()).add(module.name)
    return {text: names for text, names in found.items() if len(names) > 1}


def places_of(word: str, modules: Mapping[str, Module]) -> list[str]:
    """Return the modules that name a thing, in code or as a string (docstrings left out)."""
    pattern = re.compile(rf"\b{re.escape(word)}\b")
    return [
        m.name for m in modules.values() if pattern.search(ast.unparse(_without_docstrings(m.text)))
    ]


def _without_docstrings(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return tree


def lines_with_any(modules: Mapping[str, Module]) -> int:
    """Return the lines of the pipeline that speak of `Any`, imports of it left out."""
    return sum(
        1
        for m in modules.values()
        if m.name.startswith("pipeline")
        for line in m.text.splitlines()
        if re.search(r"\bAny\b", line) and not line.lstrip().startswith(("from typing", "import"))
    )


def report(root: Path = ROOT, package: str = PACKAGE) -> list[str]:
    """Return the counts as lines."""
    house = House(read_modules(root), package)
    modules = house.modules
    lines: list[str] = []
    folders: dict[str, list[Module]] = {}
    for module in modules.values():
        folders.setdefault(module.folder, []).append(module)
    for folder, found in sorted(folders.items()):
        n = sum(len(m.text.splitlines()) for m in found)
        lines.append(f"{folder:<34}{len(found):>4} files {n:>6,} lines")
    arrows = house.folder_arrows()
    rooms = {room for arrow in arrows for room in arrow}
    functions = [(m, f) for m in modules.values() for f in m.functions()]
    longest = max(functions, key=lambda x: length_without_docstring(x[1]))
    widest = max(functions, key=lambda x: n_parameters(x[1]))
    lines += [
        f"files                 {len(modules)}, the longest "
        f"{max(len(m.text.splitlines()) for m in modules.values())} lines",
        f"arrows between files  {len(house.module_arrows())}, "
        f"circles {len(circles(house.module_arrows()))}, floors {floors(house.module_arrows())}",
        f"rooms (folders)       {len(rooms)}, arrows {len(arrows)}, "
        f"circles {len(circles(arrows))}, floors {floors(arrows)}",
        f"longest function      {longest[0].name}.{longest[1].name}: "
        f"{length_without_docstring(longest[1])} lines without docstring",
        f"most parameters       {widest[0].name}.{widest[1].name}: {n_parameters(widest[1])}",
        f"lines with Any        {lines_with_any(modules)} in pipeline",
        f"strings shared        {len(shared_strings(modules))}",
    ]
    for word in ("fitness", "poisson_rates", "Yule", "yule", "GBM", "likes_fatter", "mirror"):
        lines.append(f"places of {word:<14}{len(places_of(word, modules))}")
    return lines


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    package = sys.argv[2] if len(sys.argv) > 2 else PACKAGE
    print("\n".join(report(root, "" if package == "-" else package)))
