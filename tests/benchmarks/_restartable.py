"""Studies of many independent jobs that can be stopped and taken up again.

Each finished job is a line of a file; a run with the same file does only what is not there yet.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Job = tuple[Any, ...]
"""What a job is given, as JSON has it; its seed among them."""
Found = dict[str, Any]
"""What it found, as JSON has it."""
Line = dict[str, Any]
"""job, found, and seconds of a processor."""


def finished(jobs: Sequence[Job], file: Path | None) -> dict[Job, Line]:
    """Return the lines of those jobs that a file holds; one that was cut short does not count."""
    if file is None or not file.exists():
        return {}
    asked, lines = set(jobs), {}
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            line: Line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if tuple(line["job"]) in asked:
            lines[tuple(line["job"])] = line
    return lines


def run(
    jobs: Sequence[Job], work: Callable[[Job], Found], *, processes: int, file: Path | None
) -> Iterator[Line]:
    """Yield the lines of all jobs, those that are done first.

    With one process all is done in this one.
    """
    done = finished(jobs, file)
    yield from (done[job] for job in jobs if job in done)
    left = [job for job in jobs if job not in done]
    timed = partial(_timed, work)
    if processes == 1:
        yield from _kept(map(timed, left), file)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from _kept(pool.map(timed, left), file)


def _timed(work: Callable[[Job], Found], job: Job) -> Line:
    start = time.process_time()
    found = work(job)
    return {"job": list(job), "found": found, "seconds": time.process_time() - start}


def _kept(lines: Iterator[Line], file: Path | None) -> Iterator[Line]:
    """Write each line as it comes, after one that was cut short if there is one."""
    for line in lines:
        if file is not None:
            with file.open("a", encoding="utf-8") as out:
                if out.tell() and not file.read_bytes().endswith(b"\n"):
                    out.write("\n")
                out.write(json.dumps(line) + "\n")
        yield line


def with_error(share: float, n: int) -> str:
    """Return a share of n with its Monte Carlo error."""
    return f"{share:.3f} ({math.sqrt(max(share * (1 - share), 1 / n) / n):.3f})"
