"""Where snapshots come from: the bundled reference and recordings on disk.

Every source gives the same thing, `Snapshots`: raw rows under the names of `pipeline.tables`,
not yet validated, with a word on each file taken or ignored.
"""

from __future__ import annotations

from pipeline.sources.recordings import load_recordings
from pipeline.sources.reference import load_reference
from pipeline.sources.snapshots import REFERENCE, Input, Snapshots

__all__ = ["REFERENCE", "Input", "Snapshots", "load_snapshots"]


def load_snapshots(source: str) -> Snapshots:
    """Load the bundled reference ("reference") or the recordings at a path."""
    return load_reference() if source == REFERENCE else load_recordings(source)
