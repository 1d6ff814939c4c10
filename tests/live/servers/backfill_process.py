"""A backfill in a process of its own, to be killed: says when it starts and when it is done."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path


def main() -> None:
    """Fill the lake of the first argument from the second to the third day."""
    import pyarrow.parquet  # noqa: F401
    from huggingface_hub.utils import build_hf_headers, get_session  # noqa: F401

    from baimo.pipeline.ingest.backfill import backfill_hub
    from baimo.pipeline.lake.store import Lake

    lake, days = Lake(Path(sys.argv[1])), [date.fromisoformat(text) for text in sys.argv[2:4]]
    print("ready", flush=True)
    receipts = backfill_hub(lake, *days, now=lambda: datetime(2026, 9, 10, 6, tzinfo=UTC))
    print(*(f"{r.outcome}:{r.sha256}" for r in receipts), flush=True)


if __name__ == "__main__":
    main()
