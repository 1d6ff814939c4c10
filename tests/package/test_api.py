"""What a user finds under `import baimo`: complete, lazy, typed, and what the modules define."""

import ast
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

import baimo
from tests.structure import ROOT

SOURCE = ast.parse((ROOT / ".baimo" / "__init__.py").read_text(encoding="utf-8"))


def test_every_name_is_there_and_says_what_it_is() -> None:
    assert len(baimo.__all__) > 50
    for name in baimo.__all__:
        found = getattr(baimo, name)
        if callable(found):
            assert found.__doc__, name
            assert found.__module__.startswith("baimo."), name
    assert set(baimo.__all__) <= set(dir(baimo))


def test_type_checkers_are_told_the_same_names_from_the_same_modules() -> None:
    stated = {
        alias.name: node.module
        for node in ast.walk(SOURCE)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("baimo.")
        for alias in node.names
    }
    lazily = {name: f"baimo.{module}" for name, module in baimo._MODULE.items()}
    assert stated == lazily


def test_importing_it_loads_nothing_else() -> None:
    code = "import sys, baimo; print(sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert not loaded & {"numpy", "scipy", "polars", "dagster", "matplotlib", "numba", "click"}


def test_the_version_is_that_of_the_installed_package() -> None:
    assert baimo.__version__ == version("baimo")


def test_an_unknown_name_is_refused_as_any_module_refuses_it() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fit_tale'"):
        baimo.fit_tale  # noqa: B018


def test_what_is_fitted_can_be_simulated_without_an_adapter() -> None:
    likes = baimo.simulate_simon(baimo.SimonParams(p=0.2), 20_000, np.random.default_rng(1))
    fit = baimo.fit_simon(likes)
    assert abs(fit.p - 0.2) < 4 * fit.std_error
    again = baimo.simulate_simon(fit.params, 20_000, np.random.default_rng(2))
    assert abs(baimo.fit_simon(again).p - fit.p) < 4 * fit.std_error * 2**0.5
