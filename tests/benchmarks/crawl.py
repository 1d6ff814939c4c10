"""A crawl of the whole Hub at full size, against `HfApi.list_models` in the same run.

    uv run python tests/benchmarks/crawl.py [--rows 3000000] [--peer-rows 300000]

A server in a process of its own renders pages of 1,000 rows of about 550 bytes, tags included;
the client is a process of its own too. Its time is CPU time (user and system, all threads), which
leaves out waiting for the network; its memory is the largest resident set. "Walk" fetches,
validates and saves every page; "publish" removes repeats, checks, sorts and writes the snapshot.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_baimo(scratch: str) -> dict[str, float]:
    """Crawl and publish in this process."""
    import pyarrow.parquet  # noqa: F401

    from baimo.pipeline.ingest import refresh
    from baimo.pipeline.lake.store import Lake

    marks: dict[str, float] = {}
    publish = refresh.publish_models

    def timed(*given: Any) -> Any:
        marks["cpu_walk"], marks["wall_walk"] = cpu() - began, time.monotonic() - start
        return publish(*given)

    refresh.publish_models = timed
    began, start = cpu(), time.monotonic()
    refreshed = refresh.refresh_hub(Lake(Path(scratch)))
    return {
        **marks,
        "rows": refreshed.receipt.rows,
        "cpu": cpu() - began,
        "wall": time.monotonic() - start,
        "mb_file": Path(refreshed.path).stat().st_size / 1e6,
    }


def run_peer(limit: int) -> dict[str, float]:
    """Walk with HfApi.list_models, which makes an object a row, and keep what baimo keeps."""
    from huggingface_hub import HfApi

    from baimo.pipeline.sources.hub.rows import EXPAND

    began, start, rows = cpu(), time.monotonic(), 0
    for model in HfApi().list_models(sort="created_at", limit=limit, expand=list(EXPAND)):
        rows += model.downloads is not None
    return {"rows": rows, "cpu": cpu() - began, "wall": time.monotonic() - start}


def in_a_process(url: str, *given: str) -> dict[str, float]:
    environment = os.environ | {"HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1",
                                "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, *given], cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(name: str, found: dict[str, float], cpu_seconds: float) -> None:
    print(
        f"{name:<26}{found['rows']:>10,.0f} rows {cpu_seconds:8.1f} s of CPU "
        f"{found['rows'] / cpu_seconds:>10,.0f} rows/s {found['mb']:>8,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--peer-rows", type=int, default=300_000)
    parser.add_argument("--baimo", help=argparse.SUPPRESS)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.baimo or given.peer:
        found = run_baimo(given.baimo) if given.baimo else run_peer(given.peer)
        found["mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps(found))
        return
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.live.servers.hub", "--models", str(given.rows)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        found_url = re.search(r"http://[\d.:]+", server.stdout.readline())
        assert found_url is not None
        url = found_url[0]
        print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        with tempfile.TemporaryDirectory() as scratch:
            ours = in_a_process(url, "--baimo", scratch)
        peer = in_a_process(url, "--peer", str(min(given.peer_rows, given.rows)))
    finally:
        server.kill()
    report("baimo, walk", ours, ours["cpu_walk"])
    report("baimo, walk and publish", ours, ours["cpu"])
    report("HfApi.list_models", peer, peer["cpu"])
    ratio = (ours["rows"] / ours["cpu"]) / (peer["rows"] / peer["cpu"])
    print(f"rows a second of CPU, walk and publish, over HfApi.list_models: {ratio:.1f}")
    print(f"wall: walk {ours['wall_walk']:.0f} s, all {ours['wall']:.0f} s, the server included;")
    per_row = 1e6 * ours["mb_file"] / ours["rows"]
    print(f"snapshot: {ours['mb_file']:.0f} MB, {per_row:.1f} bytes a row")


if __name__ == "__main__":
    main()
