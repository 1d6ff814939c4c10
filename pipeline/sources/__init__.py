"""Where snapshots come from: the bundled reference, recordings on disk, the live sources.

Every source gives the same thing, `Snapshots`: raw rows under the names of `baimo.pipeline.tables`,
not yet validated, with a word on each file taken or ignored.
"""

from __future__ import annotations

from datetime import date

from baimo.pipeline.sources.published import load_published
from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.sources.reference import load_reference
from baimo.pipeline.sources.snapshots import LAKE, REFERENCE, Input, Snapshots

__all__ = ["LAKE", "REFERENCE", "Input", "Snapshots", "load_snapshots"]


def load_snapshots(source: str, day: date | None = None) -> Snapshots:
    """Load the bundled reference ("reference"), the lake's `day` ("lake"), or recordings."""
    if source == LAKE:
        return load_published(day)
    return load_reference() if source == REFERENCE else load_recordings(source)
