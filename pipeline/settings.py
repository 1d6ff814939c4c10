"""Where things lie and what the defaults are; nothing else reads the environment."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

REFERENCE_DAY = date(2024, 7, 11)
FIRST_DAY = REFERENCE_DAY
SEED = 20240711
N_REPLICATIONS = 20  # simulated samples of each model
P_REPLICATIONS = 2500  # bootstrap replicates of each p-value; CSN: p to .01

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent


def reference_dir() -> Path:
    """Return the bundled reference tables: beside the packages, or inside the wheel."""
    beside = _CHECKOUT / "data" / "reference"
    return beside if (beside / "manifest.json").exists() else _PACKAGE / "_reference"


def home_dir() -> Path:
    """Return the folder that holds data/: the checkout, or the current folder for a wheel."""
    return _CHECKOUT if (_CHECKOUT / "pyproject.toml").exists() else Path.cwd()


def lake_dir() -> Path:
    """Return the lake: BAIMO_LAKE, else data/lake."""
    given = os.environ.get("BAIMO_LAKE")
    return Path(given).expanduser() if given else home_dir() / "data" / "lake"


def out_dir(day: date) -> Path:
    """Return the default output folder of one day."""
    return home_dir() / "data" / "out" / day.isoformat()


def dagster_home() -> Path:
    """Return DAGSTER_HOME, else data/dagster_home."""
    given = os.environ.get("DAGSTER_HOME")
    return Path(given).expanduser() if given else home_dir() / "data" / "dagster_home"
