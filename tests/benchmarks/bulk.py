"""Benchmark of a past day of the Hub: a bulk file of millions of models, read and published.

    uv run python tests/benchmarks/bulk.py [--rows 3000000] [--group-rows 122880]
        [--scratch FOLDER]

A file with the columns of `cfahlgren1/hub-stats` is generated in random order and served from this
process on loopback; `backfill_hub` runs in a process of its own, on one core and one thread, whose
time and peak memory the operating system tells. The server's time is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 9, 1)
GROUP_ROWS = 122_880  # DuckDB's
REVISION = "c" * 40
ONE_THREAD = dict.fromkeys(
    ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "ARROW_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)


# --- the file --------------------------------------------------------------------------------


def bulk_rows(n: int, rng: Any) -> Any:
    """Return `n` invented rows in the columns of the file."""
    import numpy as np
    import polars as pl

    end = int(datetime(2026, 9, 1, 4, tzinfo=UTC).timestamp())
    created = end - (rng.random(n) ** 2 * 4.4 * 365 * 86_400).astype(np.int64)
    raw = np.empty((n, 12), dtype=np.uint8)
    raw[:, :4] = created.astype(">u4").view(np.uint8).reshape(-1, 4)
    raw[:, 4:] = rng.integers(0, 256, (n, 8), dtype=np.uint8)
    text = raw.tobytes().hex()
    downloads = np.where(rng.random(n) < 0.6, 0, (1 - rng.random(n)) ** (-1 / 0.7)).astype(np.int64)
    owner = rng.integers(0, max(2, n // 4), n)
    word = rng.integers(0, 2000, n)
    numbers = pl.DataFrame(
        {
            "_id": [text[i : i + 24] for i in range(0, len(text), 24)],
            "owner": owner,
            "word": word,
            "number": rng.integers(0, 10**6, n),
            "parent": rng.integers(0, 10**5, n),
            "kind": rng.integers(0, 10, n),
            "createdAt": created,
            "lastModified": np.minimum(end, created + rng.integers(0, 10**7, n)),
            "downloads": np.minimum(downloads, 10**8),
            "downloadsAllTime": np.minimum(downloads * 9, 10**9),
            "likes": np.where(rng.random(n) < 0.8, 0, rng.geometric(0.1, n)),
            "total": rng.integers(10**6, 10**11, n),
        }
    )
    return numbers.select(*_columns())


def _columns() -> list[Any]:
    import polars as pl

    def of(values: list[str | None], by: str = "kind") -> Any:
        return pl.lit(pl.Series(values, dtype=pl.String)).gather(pl.col(by) % len(values))

    task = of(["text-generation", None, "text-classification", "text-to-image", None])
    library = of(["transformers", "peft", None, "diffusers", "gguf", "transformers", None])
    name = pl.format("maker-{}/model-{}-{}", "owner", "word", "number")
    parent = pl.format("maker-{}/base-{}", pl.col("parent") // 7, "parent")
    relation = of(["finetune", "adapter", "quantized", "merge"], "number")
    common = (
        "safetensors;arxiv:2307.09288;text-generation-inference;endpoints_compatible;en;region:us"
    )
    tags = pl.format(
        f"{common};license:{{}};dataset:set-{{}}", of(["mit", "apache-2.0", "other"]), "word"
    )
    based = pl.format(";base_model:{};base_model:{}:{}", parent, relation, parent)
    derived = pl.col("kind") < 5
    tags = pl.concat_str(tags, pl.when(derived).then(based).otherwise(pl.lit("")))
    moment = pl.Datetime("us", "UTC")
    return [
        "_id",
        name.alias("id"),
        pl.format("maker-{}", "owner").alias("author"),
        (pl.col("createdAt") * 1_000_000).cast(moment).alias("createdAt"),
        (pl.col("lastModified") * 1_000_000).cast(moment).alias("lastModified"),
        "downloads",
        "downloadsAllTime",
        "likes",
        (pl.col("likes") % 7).cast(pl.Float64).alias("trendingScore"),
        tags.str.split(";").alias("tags"),
        task.alias("pipeline_tag"),
        library.alias("library_name"),
        pl.when(derived)
        .then(pl.struct(relation=relation, models=pl.concat_list(pl.struct(_id="_id", id=parent))))
        .alias("baseModels"),
        (pl.col("kind") // 8).alias("childrenModelCount"),
        pl.when(pl.col("kind") % 3 == 0)
        .then(pl.struct(parameters=pl.struct(BF16="total"), total="total"))
        .alias("safetensors"),
        pl.when(pl.col("kind") == 1)
        .then(pl.concat_list(pl.format("maker-{}/room", "owner")))
        .otherwise(pl.lit([], dtype=pl.List(pl.String)))
        .alias("spaces"),
        pl.lit(False).alias("disabled"),
        pl.lit(False).alias("private"),
        pl.format('{{"architectures":["Word{}ForCausalLM"]}}', "word").alias("config"),
    ]


def write_file(path: Path, n: int, group_rows: int) -> None:
    """Write the file in row groups."""
    import numpy as np
    import pyarrow.parquet as pq

    rng = np.random.default_rng(20260901)
    writer = None
    for start in range(0, n, group_rows):
        table = bulk_rows(min(group_rows, n - start), rng).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=group_rows)
    assert writer is not None
    writer.close()


# --- the client ------------------------------------------------------------------------------


def peak_kb() -> int:
    """Return the peak memory of this process; ru_maxrss would begin with that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM")))


def client(lake: Path) -> None:
    """Publish the day and print what it took."""
    from baimo.pipeline.ingest.backfill import backfill_hub
    from baimo.pipeline.lake.store import Lake

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    (receipt,) = backfill_hub(Lake(lake), DAY, DAY, now=lambda: datetime(2026, 9, 3, tzinfo=UTC))
    after = resource.getrusage(resource.RUSAGE_SELF)
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = {
        "outcome": receipt.outcome,
        "why": receipt.why,
        "rows": receipt.rows,
        "cpu_seconds": round(took, 1),
        "wall_seconds": round(time.monotonic() - began, 1),
        "rows_per_cpu_second": round(receipt.rows / took),
        "peak_gb": round(peak_kb() / 1e6, 3),
        "published_mb": round(Lake(lake).path("hub_models", DAY).stat().st_size / 1e6),
    }
    print(json.dumps(told))


def main() -> None:
    """Generate, serve, run the client, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--group-rows", type=int, default=GROUP_ROWS)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--client", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        client(given.client)
        return
    scratch = Path(tempfile.mkdtemp(prefix="baimo-bulk-", dir=given.scratch))
    try:
        run(scratch, given.rows, given.group_rows)
    finally:
        shutil.rmtree(scratch)


def run(scratch: Path, rows: int, group_rows: int) -> None:
    """Serve a file of so many rows and let a client publish it."""
    sys.path.insert(0, str(ROOT))
    from tests.live.servers.hub import HubDataset, HubServer

    path = scratch / "models.parquet"
    write_file(path, rows, group_rows)
    when = datetime(2026, 9, 1, 5, tzinfo=UTC)
    earlier = ("b" * 40, when - timedelta(days=1), {"models.parquet": b"another file"})
    commits = [earlier, (REVISION, when, {"models.parquet": path.read_bytes()})]
    print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB; load {os.getloadavg()}")
    with HubServer(datasets=[HubDataset("cfahlgren1/hub-stats", commits)]) as hub:
        subprocess.run(
            [sys.executable, __file__, "--client", str(scratch / "lake")],
            env=os.environ
            | ONE_THREAD
            | {
                "HF_ENDPOINT": hub.url,
                "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
                "PYTHONPATH": str(ROOT),
            },
            check=True,
            cwd=ROOT,
        )
        sent = sum(r.path.startswith("/cdn/") for r in hub.requests)
        print(f"{len(hub.requests)} requests, {sent} for parts of the file")
    print(f"load {os.getloadavg()}")


if __name__ == "__main__":
    main()
