"""Files written whole or not at all, and read with errors that name them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, then put it in the place of `path`.

    Raises
    ------
    LakeError
        The folder cannot be written or the disk is full; `path` is left as it was.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:  # Polars renames a full disk
        why = (isinstance(error, OSError) and error.strerror) or str(error).splitlines()[0]
        raise LakeError(
            f"cannot write {path}: {why}; choose another folder or make room, nothing was changed"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def present(path: Path) -> bool:
    """Return whether a file or folder is there.

    Raises
    ------
    LakeError
        One may not look: what cannot be read is not taken for missing.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unseen(path, error) from error
    return True


def listed(folder: Path, pattern: str) -> list[Path]:
    """Return what lies in a folder under names of a pattern, sorted; errors as in `present`."""
    try:
        return sorted(Path(e.path) for e in os.scandir(folder) if fnmatch(e.name, pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unseen(folder, error) from error


def _unseen(path: Path, error: OSError) -> LakeError:
    return LakeError(f"{path}: {error.strerror or error}; ask for the right to read it")


def sweep(folder: Path) -> int:
    """Remove what killed writers left half done in `folder`; return how many files."""
    left = listed(folder, ".*.tmp")
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_parquet(path: Path, frame: pl.DataFrame, *, level: int = 3) -> None:
    """Write a Parquet file (zstd) atomically."""
    write_atomically(
        path,
        lambda temporary: frame.write_parquet(
            temporary, compression="zstd", compression_level=level, statistics=True
        ),
    )


def read_file(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Read one Parquet file of the lake, as it is: its path is no pattern and adds no column."""
    try:
        return pl.read_parquet(path, columns=columns, hive_partitioning=False, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).splitlines()[0]
        raise LakeError(f"{path} cannot be read ({why}); baimo lake verify tells more") from error


def open_parquet(path: Path) -> Any:
    """Open one Parquet file of the lake, to look at its footer and single row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise LakeError(f"{path} cannot be read ({why}); baimo lake verify tells more") from error


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a hidden folder beside the results; its files move into `folder` only at the end.

    A failure inside leaves `folder` as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staged-", dir=folder) as name:
        stage = Path(name)
        yield stage
        files = sorted(p for p in stage.rglob("*") if p.is_file())
        targets = [folder / p.relative_to(stage) for p in files]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        for path, target in zip(files, targets, strict=True):
            path.replace(target)


def check_writable(folder: Path) -> None:
    """Raise LakeError now rather than at the end of a long run if `folder` cannot be written."""
    probe = folder / ".baimo-probe"
    write_text(probe, "")
    probe.unlink(missing_ok=True)
