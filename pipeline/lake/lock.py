"""One process at a time fills a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baimo.pipeline.errors import BusyError, LakeError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder of the lake; another process that wants it is told so.

    Raises
    ------
    BusyError
        Another process holds it.
    LakeError
        The folder cannot be made or locked.
    """
    from filelock import FileLock, Timeout

    lock = folder.parent / f".{folder.name}.lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        hold = FileLock(lock, timeout=0)
        hold.acquire()
    except Timeout:
        raise BusyError(
            f"another process is filling {folder.name} of this lake (a refresh, a backfill or a "
            "run of the daily job); wait for it to end"
        ) from None
    except OSError as error:
        raise LakeError(
            f"cannot lock {lock}: {error.strerror or error}; choose another lake"
        ) from error
    try:
        yield
    finally:
        hold.release()
