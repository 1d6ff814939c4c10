"""Where things lie and what the defaults are; nothing else reads the environment."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from baimo.pipeline.errors import SourceError

REFERENCE_DAY = date(2024, 7, 11)
FIRST_DAY = REFERENCE_DAY
SEED = 20240711
N_REPLICATIONS = 200  # simulated samples of each model
RETRY_SECONDS = 300.0  # before the first new try of a source that was down
REFRESH_CRON = "0 6 * * *"  # when the daily job starts, in UTC
DEADLINE_HOUR = 9  # UTC; by then the day is expected
P_REPLICATIONS = 2500  # bootstrap replicates of each p-value; CSN: p to .01

_CHECKOUT = Path(__file__).resolve().parents[1]  # or, in a wheel, the package baimo itself


def reference_dir() -> Path:
    """Return the bundled reference tables: of the checkout, or beside this package in a wheel."""
    tracked = _CHECKOUT / "data" / "reference"
    return tracked if (tracked / "manifest.json").exists() else _CHECKOUT / "_reference"


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


def hub_endpoint() -> str:
    """Return the Hub's address: HF_ENDPOINT, else https://huggingface.co."""
    return _address("HF_ENDPOINT", "https://huggingface.co")


def defillama_url() -> str:
    """Return DeFiLlama's address: BAIMO_DEFILLAMA_URL, else https://api.llama.fi."""
    return _address("BAIMO_DEFILLAMA_URL", "https://api.llama.fi")


def _address(name: str, default: str) -> str:
    """Return an address from the environment.

    Raises
    ------
    SourceError
        It is none.
    """
    given = os.environ.get(name) or default
    try:
        parts = urlsplit(given)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise SourceError(f"{name} is no address; it looks like {default}")  # may hold a key
    return given.rstrip("/")


def hub_token() -> str | None:
    """Return the token from the usual places of the Hub: HF_TOKEN, or the file of a login."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import get_token

    return get_token()


def webhook() -> str | None:
    """Return where failed runs are told of: BAIMO_WEBHOOK, else nowhere."""
    return os.environ.get("BAIMO_WEBHOOK") or None
