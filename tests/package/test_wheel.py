"""The wheel holds what an installation needs and nothing a user's own modules could hide."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.structure import PARTS, ROOT, read_modules

BUILD = "from setuptools.build_meta import build_wheel; build_wheel('dist')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built without isolation or network from a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in (*PARTS, ".baimo", "data/reference"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=copy, check=True, capture_output=True)
    return next((copy / "dist").glob("baimo-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the wheel's files, as an installation would."""
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with modules of a user's own under the names of our folders."""
    for name in ("pipeline", "estimation", "simulation", "data"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the module of a user')\n")
    return tmp_path


def run(code: str, installed: Path, home: Path) -> str:
    """Run code in the user's folder with the installation before everything else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BAIMO_")}
    environment = kept | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_holds_every_module_and_the_data_and_nothing_at_the_top(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for module in read_modules().values():
        path = "baimo/" + module.name.replace(".", "/")
        assert (f"{path}/__init__.py" if module.is_folder else f"{path}.py") in names
    for name in ("py.typed", "_reference/manifest.json", "_reference/hub_frequency.parquet",
                 "pipeline/report/page.html", "pipeline/report/references.bib",
                 "simulation/NOTATION.md", "__init__.py"):  # fmt: skip
        assert f"baimo/{name}" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"baimo"}


def test_modules_of_a_users_own_do_not_stand_in_the_way(installed: Path, home: Path) -> None:
    code = (
        "import baimo, baimo.pipeline.definitions\n"
        "fit = baimo.fit_tail([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])\n"
        "print(baimo.__file__); print(fit.n_obs)"
    )
    where, n = run(code, installed, home).splitlines()
    assert Path(where) == installed / "baimo" / "__init__.py"
    assert n == "10"


def test_the_reference_is_found_beside_the_package_and_data_go_where_the_user_is(
    installed: Path, home: Path
) -> None:
    code = (
        "from baimo.pipeline.settings import lake_dir, reference_dir\n"
        "from baimo.pipeline.sources.reference import load_ready, read_manifest\n"
        "print(reference_dir()); print(lake_dir()); print(read_manifest()['day'])\n"
        "print(load_ready()['hub_totals'].height > 0)"
    )
    reference, lake, day, found = run(code, installed, home).splitlines()
    assert Path(reference) == installed / "baimo" / "_reference"
    assert Path(lake) == home / "data" / "lake"
    assert (day, found) == ("2024-07-11", "True")


@pytest.mark.full
def test_the_whole_run_passes_from_the_wheel(installed: Path, home: Path) -> None:
    code = (
        "from click.testing import CliRunner\nfrom baimo.pipeline.cli.main import main\n"
        "done = CliRunner().invoke(main, ['run', '--replications', '2'])\n"
        "assert done.exit_code == 0, done.output\nprint(done.stdout.splitlines()[-3])"
    )
    assert run(code, installed, home).endswith("report.html")
    assert (home / "data" / "out" / "2024-07-11" / "report.html").stat().st_size > 100_000
