"""Benchmark of the panels across days: seconds and peak memory against the number of days.

    uv run python tests/benchmarks/panels.py [--rows 3000000] [--days 60] [--scratch FOLDER]
        [--keep] [--pictures FOLDER]

A scratch lake is filled with simulated days of the Hub (a Yule population, then daily entry,
likes and downloads by preferential attachment, removals, renames), in the layout of published
snapshots; one that is kept is used again. A panel of n days joins n + 1 snapshots. Each figure is
the median of three runs, each in a process of its own, whose peak memory the operating system
tells. Snapshots may be in the page cache; other work on the machine shows in the load, and in
seconds that exceed processor seconds over cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIRST = date(2026, 9, 1)  # after the last change of the counting rules
SPANS = (1, 5, 10, 20, 30, 60)
BLOCK_ROWS = 100_000  # as published snapshots have
BYTES_PER_ROW = 50  # on disk, of a snapshot and of the daily panel that is written
RUNS = 3
AIM_SPAN, AIM_SECONDS, AIM_GB = 30, 20.0, 4.0
PANELS = {
    "ends": "first day against last, written to Parquet",
    "sums": "each day against the next, summed as it streams",
    "daily": "each day against the next, written to Parquet",
}


# --- the simulated Hub -----------------------------------------------------------------------

ENTRY, EXIT = 0.26, 0.07  # a year; 2.43 to 2.96 million models in January-August 2026
LIKES_ZETA, LIKES_SHIFT = 1.3, 0.1
DOWNLOADS_ZETA, DOWNLOADS_SHIFT = 0.7, 0.3
DOWNLOADS_EACH = 100  # whoever downloads a model does so often
RENAMED, RECOUNTED, UNLIKED = 1e-5, 1e-5, 1e-4  # of the models, a day
NOT_DATED = 0.01  # models without downloads_all_time
WINDOW = 30


@dataclass(eq=False)
class Hub:
    """The state of the simulated Hub: fixed columns, and counts in the same order."""

    fixed: Any
    likes: Any
    flows: Any  # downloads of each of the last 30 days, (30, n)
    downloads: Any
    all_time: Any


def hub_ids(created: Any, rng: Any) -> list[str]:
    """Return ids like MongoDB's: four bytes of time, eight at random, in hex."""
    import numpy as np

    raw = np.empty((created.size, 12), dtype=np.uint8)
    raw[:, :4] = created.astype(">u4").view(np.uint8).reshape(-1, 4)
    raw[:, 4:] = rng.integers(0, 256, (created.size, 8), dtype=np.uint8)
    text = raw.tobytes().hex()
    return [text[i : i + 24] for i in range(0, len(text), 24)]


def new_rows(created: Any, rng: Any) -> Any:
    """Return what does not change of models created at these seconds, sorted by hub_id."""
    import numpy as np
    import polars as pl

    n = created.size

    def pick(values: list[Any], weights: list[float]) -> Any:
        at = rng.choice(len(values), n, p=np.array(weights) / sum(weights))
        return pl.Series(values)[at]

    authors = np.minimum(rng.zipf(1.6, n), 200_000)
    bases = [f"org{i % 90}/base-{i}" for i in range(2000)]
    numbers = pl.Series(rng.integers(0, 10**6, n))
    frame = pl.DataFrame({"hub_id": hub_ids(created, rng), "seconds": created}).with_columns(
        author=pl.format("user-{}", pl.Series(authors)),
        pipeline_tag=pick(["text-generation", "text-to-image", None], [4, 1, 5]),
        library_name=pick(["transformers", "diffusers", "peft", None], [5, 1, 2, 4]),
        license=pick(["apache-2.0", "mit", "other", None], [3, 1, 1, 6]),
        base_model=pick([None, *bases], [4000, *[1] * 2000]),
        base_relation=pick(["finetune", "adapter", "quantized", None], [2, 2, 1, 8]),
        gated=pick(["false", "auto", "manual"], [97, 2, 1]),
        inference=pick([None, "warm"], [99, 1]),
        parameters=pick([None, 494_032_768, 7_241_732_096, 8_030_261_248], [6, 1, 1, 1]),
        n_spaces=pl.Series(np.where(rng.random(n) < 0.98, 0, rng.geometric(0.3, n))),
        without=pl.Series(rng.random(n) < NOT_DATED),
    )
    created_at = (pl.col("seconds") * 10**6).cast(pl.Datetime("us", "UTC"))
    return (
        frame.with_columns(
            model_id=pl.format("{}/model-{}", "author", numbers),
            created_at=created_at,
            last_modified=created_at.dt.offset_by("3d"),
            n_children=pl.lit(0, pl.Int64),
            private=pl.lit(False),
            disabled=pl.lit(False),
            trending_score=pl.lit(0.0),
            source=pl.lit("simulated"),
        )
        .drop("seconds")
        .sort("hub_id")
    )


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def begin(n: int, rng: Any) -> Hub:
    """Return n models created since the floor at a growing rate, their sizes a Yule draw."""
    import numpy as np

    from baimo.pipeline.variables import HUB_FLOOR
    from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule

    oldest = (FIRST - HUB_FLOOR).days / 365.25
    growth = 0.9  # of entry over the Hub's first years
    share = rng.random(n) * -np.expm1(-growth * oldest)
    ages = -np.log1p(-share) / growth
    fixed = new_rows(midnight(FIRST) - (ages * 365.25 * 86400).astype(np.int64), rng)
    ages = np.sort(ages)[::-1]  # ids begin with the time
    likes_law = YuleParams(entry_plus_exit=growth, gamma=growth / LIKES_ZETA, a=LIKES_SHIFT)
    flow_law = YuleParams(entry_plus_exit=growth, gamma=growth / DOWNLOADS_ZETA, a=DOWNLOADS_SHIFT)
    likes = simulate_yule(likes_law, ages, rng)
    rate = simulate_yule(flow_law, ages, rng) * DOWNLOADS_EACH
    flows = np.empty((WINDOW, n), dtype=np.int32)
    for row in flows:
        row[:] = rng.poisson(rate / WINDOW)
    downloads = flows.sum(axis=0, dtype=np.int64)
    before = rng.poisson(rate * np.maximum(ages * 365.25 / WINDOW - 1, 0))
    return Hub(fixed, likes, flows, downloads, downloads + before)


def step(hub: Hub, day: date, rng: Any) -> None:
    """Let a day pass: exit, entry, likes and downloads in proportion to size, renames, recounts."""
    import numpy as np
    import polars as pl

    stay = rng.random(hub.fixed.height) >= EXIT / 365.25
    n_new = int(rng.poisson((ENTRY + EXIT) / 365.25 * stay.sum()))
    seconds = np.sort(midnight(day) - rng.integers(1, 86400, n_new))
    hub.fixed = pl.concat([hub.fixed.filter(pl.Series(stay)), new_rows(seconds, rng)], rechunk=True)

    def moved(x: Any) -> Any:
        return np.concatenate([x[..., stay], np.zeros((*x.shape[:-1], n_new), x.dtype)], axis=-1)

    hub.likes, hub.flows, hub.downloads, hub.all_time = (
        moved(x) for x in (hub.likes, hub.flows, hub.downloads, hub.all_time)
    )
    n = hub.fixed.height
    hub.likes += rng.poisson((hub.likes + LIKES_SHIFT) * ENTRY / 365.25)
    hub.likes -= (hub.likes > 0) & (rng.random(n) < UNLIKED)
    flow = rng.poisson((hub.downloads + DOWNLOADS_SHIFT) / WINDOW)
    oldest = day.toordinal() % WINDOW
    hub.downloads += flow - hub.flows[oldest]
    hub.flows[oldest] = flow
    hub.all_time += flow
    spam = rng.random(n) < RECOUNTED
    hub.all_time[spam] //= 2
    renamed = pl.Series(rng.random(n) < RENAMED)
    name = pl.col("model_id")
    hub.fixed = hub.fixed.with_columns(pl.when(renamed).then(name + "-v2").otherwise(name))


def write_day(hub: Hub, root: Path, day: date) -> None:
    import polars as pl

    from baimo.pipeline.ingest.publish import write_blocks
    from baimo.pipeline.lake.store import Lake
    from baimo.pipeline.schema.hub import HUB_MODELS

    counts = {"likes": hub.likes, "downloads": hub.downloads, "downloads_all_time": hub.all_time}
    frame = hub.fixed.with_columns(pl.Series(k, v) for k, v in counts.items()).with_columns(
        downloads_all_time=pl.when(~pl.col("without")).then("downloads_all_time")
    )
    frame = frame.select(pl.col(k).cast(v) for k, v in HUB_MODELS.schema.items())
    path = Lake(root).path(HUB_MODELS.name, day)
    write_blocks(path, HUB_MODELS.name, frame.iter_slices(BLOCK_ROWS))


def generate(root: Path, rows: int, n_days: int) -> None:
    """Fill the scratch lake: the initial population and `n_days` days after it."""
    import numpy as np

    rng = np.random.default_rng(1)
    start = time.perf_counter()
    hub = begin(rows, rng)
    write_day(hub, root, FIRST)
    print(f"population of {rows:,} models: {time.perf_counter() - start:.1f} s", flush=True)
    for n in range(1, n_days + 1):
        start = time.perf_counter()
        step(hub, FIRST + timedelta(days=n), rng)
        write_day(hub, root, FIRST + timedelta(days=n))
        if n in SPANS:
            print(f"day {n}: {time.perf_counter() - start:.1f} s", flush=True)
    (root / MADE).write_text(json.dumps([rows, n_days]))


MADE = "made.json"


# --- the measured work -----------------------------------------------------------------------


def measure(root: Path, kind: str, span: int) -> None:
    """Print seconds, processor seconds, peak memory in GB and rows of one panel, as JSON."""
    import polars as pl

    from baimo.pipeline.datasets.panels import increments
    from baimo.pipeline.lake.store import Lake

    out = root / "panel.parquet"
    start = time.perf_counter()
    last = FIRST + timedelta(days=span)
    panel = increments(Lake(root), FIRST, last, step=None if kind == "ends" else 1)
    if kind == "sums":
        sums = panel.select(pl.len(), pl.col("d_likes", "d_downloads_all_time").sum())
        rows = sums.collect(engine="streaming").item(0, 0)
    else:
        panel.sink_parquet(out, compression_level=1, engine="streaming")
        rows = pl.scan_parquet(out).select(pl.len()).collect().item()
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    out.unlink(missing_ok=True)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps([seconds, cpu, used.ru_maxrss * 1024 / 1e9, rows]))


def run_self(root: Path, *arguments: str, quiet: bool = False) -> str:
    """Run this file in a process of its own.

    Heavy imports stay out of this one: a child's peak memory begins with its parent's.
    """
    done = subprocess.run(
        [sys.executable, __file__, "--scratch", str(root), *arguments],
        check=True,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return done.stdout or ""


def report(root: Path, n_days: int) -> dict[str, list[float]]:
    """Print a line for each number of days; return what the picture needs."""
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        f"{'days':>5}{'rows':>14}"
        + "".join(f"{k + ' s':>11}{'cpu s':>7}{'GB':>6}" for k in PANELS),
        end="",
    )
    print(f"{'load':>7}")
    series: dict[str, list[float]] = {"days": []}
    verdicts = []
    for span in (s for s in SPANS if s <= n_days):
        line, rows = "", 0
        for kind in PANELS:
            ask = ("--measure", kind, "--span", str(span))
            runs = [json.loads(run_self(root, *ask, quiet=True)) for _ in range(RUNS)]
            seconds, cpu, peak, rows = (
                statistics.median(figures) for figures in zip(*runs, strict=True)
            )
            line += f"{seconds:>11.2f}{cpu:>7.1f}{peak:>6.2f}"
            series.setdefault(f"{kind} cpu", []).append(cpu)
            series.setdefault(f"{kind} GB", []).append(peak)
            if span == AIM_SPAN:
                met = "met" if seconds < AIM_SECONDS and peak < AIM_GB else "missed"
                verdicts.append(f"{kind} {met}")
        series["days"].append(span)
        print(f"{span:>5}{int(rows):>14,}{line}{os.getloadavg()[0]:>7.1f}", flush=True)
    print("\n".join(f"{kind}: {meaning}" for kind, meaning in PANELS.items()))
    if verdicts:
        aim = f"{AIM_SPAN} days under {AIM_SECONDS:g} s and {AIM_GB:g} GB"
        print(f"aim of {aim}: {', '.join(verdicts)}")
    return series


def draw_cost(series: dict[str, list[float]], n_rows: int, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.8), layout="constrained")
    labels = {"cpu": "processor seconds", "GB": "peak memory, GB"}  # seconds tell of the load
    for axes, (unit, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        for kind, meaning in PANELS.items():
            axes.plot(series["days"], series[f"{kind} {unit}"], "o-", label=meaning)
        axes.set_xlabel(f"days of {n_rows / 1e6:g} million models")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    lines, meanings = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, meanings, loc="outside lower center", fontsize="small")
    figure.savefig(folder / "panel_cost.svg", metadata={"Date": None})


def fill(root: Path, rows: int, n_days: int) -> None:
    """Simulate the days, unless the scratch lake holds them already."""
    made = root / MADE
    if made.exists() and json.loads(made.read_text()) == [rows, n_days]:
        print(f"{root} holds these days already")
        return
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise SystemExit(f"{root} holds something else: give an empty folder")
    needed = rows * (n_days + 1) * BYTES_PER_ROW
    free = shutil.disk_usage(root).free
    if free < needed:
        raise SystemExit(f"{needed / 1e9:.1f} GB needed in {root}, {free / 1e9:.1f} GB free")
    run_self(root, "--generate", "--rows", str(rows), "--days", str(n_days))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder too")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=PANELS, help=argparse.SUPPRESS)
    parser.add_argument("--span", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate:
        generate(options.scratch, options.rows, options.days)
        return
    if options.measure:
        measure(options.scratch, options.measure, options.span)
        return
    root = options.scratch or Path(tempfile.mkdtemp(prefix="baimo-panels-"))
    try:
        fill(root, options.rows, options.days)
        series = report(root, options.days)
        if options.pictures:
            draw_cost(series, options.rows, options.pictures)
    finally:
        if not (options.scratch or options.keep):
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
