"""A refresh in a process of its own, to be killed: says when it starts and when it is done."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path


def main() -> None:
    """Refresh the lake of the first argument from the source of the second."""
    import pyarrow.parquet  # noqa: F401
    from huggingface_hub.utils import build_hf_headers, get_session  # noqa: F401

    from baimo.pipeline.ingest.refresh import refresh_defillama, refresh_hub
    from baimo.pipeline.lake.store import Lake

    lake, source = Lake(Path(sys.argv[1])), sys.argv[2]
    refresh = {"hub": refresh_hub, "defillama": refresh_defillama}[source]
    print("ready", flush=True)
    refreshed = refresh(lake, now=lambda: datetime(2026, 9, 1, 6, tzinfo=UTC))
    print(refreshed.outcome, refreshed.receipt.sha256, flush=True)


if __name__ == "__main__":
    main()
