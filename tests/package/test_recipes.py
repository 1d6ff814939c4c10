"""The recipes of `pipeline/README.md`, done as written in a copy of the package."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.servers.server import Loopback, Reply, Request
from tests.structure import PARTS, ROOT

TEXT = (ROOT / "pipeline" / "README.md").read_text(encoding="utf-8")


def written_for(name: str) -> str:
    """Return the block of code that stands behind the first mention of a file."""
    found = re.search(rf"`{re.escape(name)}`.*?```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found is not None, name
    return found[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder whose `baimo` is a copy of the package."""
    package = tmp_path / "baimo"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / ".baimo", package)
    for part in PARTS:
        shutil.copytree(ROOT / part, package / part, ignore=ignored)
    return tmp_path


def run(code: str, copy: Path, **environment: str) -> str:
    """Run code with the copy before the installed package."""
    prepared = f"import sys; sys.path.insert(0, {str(copy)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", prepared], cwd=copy, env=os.environ | environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_claim_is_one_file(copy: Path) -> None:
    (copy / "baimo/pipeline/claims/most_unliked.py").write_text(
        written_for("claims/most_unliked.py")
    )
    code = """
from baimo.pipeline.claims.registry import ALL_CLAIMS
claim = ALL_CLAIMS["most_unliked"]
print(list(ALL_CLAIMS).index("most_unliked"), claim.criterion)
import datetime as dt
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.lake.results import Day
for n_zero in (60, 40):
    likes = object.__new__(SizeFits)
    counts = Counts.from_sample([0] * n_zero + [1] * (100 - n_zero))
    object.__setattr__(likes, "counts", counts)
    found = claim.test(Day.of_values(dt.date(2026, 9, 1), {"likes_tail": likes}))
    print(found.verdict.value, found.evidence)
"""
    assert run(code, copy).splitlines() == [
        "3 holds if the share exceeds 50 %",
        "holds 60.0% of 100 models",
        "fails 40.0% of 100 models",
    ]


def test_a_model_is_one_file(copy: Path) -> None:
    (copy / "baimo/pipeline/models/geometric.py").write_text(written_for("models/geometric.py"))
    code = """
from click.testing import CliRunner
from baimo.pipeline.cli.main import main
from baimo.pipeline.models.registry import MODELS
print([m.label for m in MODELS if m.name == "geometric"])
asked = ["simulate", "geometric", "--n", "4000", "--seed", "1", "--set", "mean=2", "--out", "g.csv"]
done = CliRunner().invoke(main, asked)
assert done.exit_code == 0, done.output
import polars as pl
print(pl.read_csv("g.csv")["size"].mean())
"""
    labels, mean = run(code, copy).splitlines()
    assert labels == "['geometric']"
    # The variance of a geometric count of mean m is m (1 + m).
    assert abs(float(mean) - 2.0) < 4 * (2.0 * 3.0 / 4_000) ** 0.5


class Catalogue(Loopback):
    """A server with a list of items, one of them not valid."""

    def answer(self, request: Request) -> Reply:
        assert request.target == "/items"
        rows = [{"item_id": f"i{n}", "downloads": n} for n in range(400)]
        return Reply.json([*rows, {"item_id": "odd", "downloads": -1}])


def test_a_source_is_published_as_written(copy: Path) -> None:
    pipeline = copy / "baimo/pipeline"
    (pipeline / "sources/catalogue").mkdir()
    (pipeline / "sources/catalogue/__init__.py").write_text('"""The catalogue."""\n')
    for name in ("schema/catalogue.py", "sources/catalogue/api.py", "ingest/refresh_catalogue.py"):
        (pipeline / name).write_text(written_for(name))
    catalog = pipeline / "schema/catalog.py"
    listed = catalog.read_text().replace("        HUB_MODELS,\n", "        HUB_MODELS,\n        "
                                         "CATALOGUE_ITEMS,\n", 1)  # fmt: skip
    first = "from baimo.pipeline.schema.defillama import ("
    catalog.write_text(
        listed.replace(
            first, f"from baimo.pipeline.schema.catalogue import CATALOGUE_ITEMS\n{first}", 1
        )
    )
    code = """
import datetime as dt, json, os
from pathlib import Path
from baimo.pipeline.ingest.refresh_catalogue import refresh_catalogue
from baimo.pipeline.lake.receipts import read_receipt
from baimo.pipeline.lake.store import Lake
lake, day = Lake(Path("lake")), dt.date(2026, 9, 1)
for _ in range(2):
    refresh_catalogue(lake, os.environ["CATALOGUE"], day)
receipt = read_receipt(lake, "catalogue_items", day)
print(json.dumps([receipt.outcome, receipt.rows, lake.read_table("catalogue_items", day).height]))
"""
    with Catalogue() as server:
        said = json.loads(run(code, copy, CATALOGUE=server.url))
        assert len(server.requests) == 1
    assert said == ["published", 400, 400]
