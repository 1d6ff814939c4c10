"""Recordings on disk: a file, or a folder searched with its subfolders.

Tables are recognised by their columns, in the API's field names or ours: a Hub model listing,
DeFiLlama `/protocols` answers (with a date in the file name, or an `observed_at` column), a
daily TVL history, first commits of DeFiLlama's adapters. The newest full model listing is taken,
and the earliest and the latest protocol table; of protocol tables less than 30 days apart the later
one stands for all. What a recording lacks is taken from the bundled reference, and said; without
adapters, protocols that have no listing date stay without a date.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.raw import RawRows
from baimo.pipeline.sources.adapters import ADAPTERS, COLUMNS, date_by_adapter, read_adapters
from baimo.pipeline.sources.reference import earliest, load_reference
from baimo.pipeline.sources.snapshot import RECORDINGS, Input, Snapshots
from baimo.pipeline.sources.weekly import weekly_growth
from baimo.pipeline.variables import HUB_FLOOR

SUFFIXES = (".parquet", ".csv", ".json", ".jsonl", ".ndjson")
SOURCE = "recording"
SAME_OBSERVATION = timedelta(days=30)
_DATE = re.compile(r"(20\d\d-[01]\d-[0-3]\d)")

MODEL_NAMES = {
    "_id": "hub_id",
    "id": "model_id",
    "modelId": "model_id",
    "createdAt": "created_at",
    "baseModels": "base_model",
}
PROTOCOL_NAMES = {
    "id": "protocol_id",
    "tvl": "tvl_usd",
    "listedAt": "listed_at",
    "observed_at": "observed_on",
    "parentProtocol": "parent_protocol",
    "excludeTvlFromParent": "outside_parent",
    "deadFrom": "dead_from",
}
HISTORY_NAMES = {"Date": "date", "name": "protocol", "tvl": "tvl_usd"}


@dataclass(frozen=True, eq=False)
class Found:
    """A recognised file, by the name under which it is reported."""

    path: Path
    name: str
    kind: str
    day: date | None
    frame: pl.DataFrame
    rows: int
    note: str = ""


def load_recordings(*sources: str) -> Snapshots:
    """Load recordings from files or folders.

    Raises
    ------
    SourceError
        Nothing there, nothing recognised, or a recognised file without a date.
    """
    found: list[Found] = []
    ignored: list[str] = []
    for source in sources:
        if not source.strip():
            raise SourceError("the source is empty; give a path, or 'reference'")
        root = Path(source).expanduser()
        if not root.exists():
            raise SourceError(f"{source}: no such file or folder; give a path, or 'reference'")
        for path in [root] if root.is_file() else _search(root):
            name = path.name if root.is_file() else path.relative_to(root).as_posix()
            try:
                result = _recognise(path, name)
            except SourceError as error:
                if root.is_file():
                    raise
                ignored.append(str(error))
                continue
            if isinstance(result, str):
                ignored.append(f"{name}: {result}")
            else:
                found.append(result)
    if all(f.kind == ADAPTERS for f in found):
        why = f" ({'; '.join(ignored[:3])})" if ignored else ""
        raise SourceError(
            f"{', '.join(sources)}: no model listing, protocol table or TVL history "
            f"recognised{why}; pipeline/README.md names the columns"
        )
    return _assemble(found, ignored)


def _search(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


_PASSED_OVER = {
    "hub_models": "a newer or fuller model listing was taken",
    "defillama_protocols": "a table of an earlier or later date stands for it",
    "tvl_weekly": "a longer history was taken",
    ADAPTERS: "a longer list was taken",
}


def _assemble(found: list[Found], ignored: list[str]) -> Snapshots:
    frames: dict[str, pl.DataFrame] = {}
    inputs: list[Input] = []
    rules: dict[str, Callable[[list[Found]], list[Found]]] = {
        "hub_models": _newest_full_listing,
        "defillama_protocols": _earliest_and_latest,
        "tvl_weekly": _longest,
        ADAPTERS: _longest,
    }
    day: date | None = None
    for table, rule in rules.items():
        candidates = [f for f in found if f.kind == table]
        chosen = rule(candidates)
        ignored += [f"{f.name}: {_PASSED_OVER[table]}" for f in candidates if f not in chosen]
        if table == "defillama_protocols" and len(chosen) == 1:
            ignored.append(f"{chosen[0].name}: one date only; growth needs two, 30 days apart")
            continue
        if chosen:
            frames[table] = pl.concat([f.frame for f in chosen], how="diagonal_relaxed")
            inputs += [_input(f) for f in chosen]
            ignored += [f"{f.name}: {f.note}" for f in chosen if f.note]
        if chosen and table == "hub_models":
            day = chosen[0].day
    adapters = frames.pop(ADAPTERS, None)
    if "defillama_protocols" in frames:
        frames["defillama_protocols"] = _dated(frames["defillama_protocols"], adapters)
    elif adapters is not None:
        ignored += [f"{i.name}: no protocols to date" for i in inputs if i.table == ADAPTERS]
        inputs = [i for i in inputs if i.table != ADAPTERS]
    return _completed(frames, inputs, ignored, day)


def _dated(protocols: pl.DataFrame, adapters: pl.DataFrame | None) -> pl.DataFrame:
    """Date protocols by their modules, for which alone these are read."""
    if adapters is not None and "module" in protocols.columns:
        protocols = date_by_adapter(protocols, adapters)
    return protocols.drop("module", strict=False)


def _completed(
    frames: dict[str, pl.DataFrame], inputs: list[Input], ignored: list[str], day: date | None
) -> Snapshots:
    """Take what the recordings lack from the bundled reference, and say so."""
    missing = {"hub_models", "defillama_protocols", "tvl_weekly"} - set(frames)
    if missing:
        reference = load_reference()
        for table in sorted(missing):
            frames[table] = reference.frames[table]
            ignored.append(f"no {table} among the recordings: the bundled reference stands in")
        origin = {"hub_models": "hub_", "defillama_protocols": "defi_", "tvl_weekly": "tvl_"}
        prefixes = tuple(origin[table] for table in missing)
        inputs = inputs + [i for i in reference.inputs if i.table.startswith(prefixes)]
        if "hub_models" in missing:
            day = reference.day
    if day is None:
        raise SourceError("the model listing has no usable created_at; put a date in its name")
    frames["defi_day"] = earliest(frames["defillama_protocols"])
    return Snapshots(
        day=day, source=RECORDINGS, frames=frames, inputs=tuple(inputs), ignored=tuple(ignored)
    )


def _newest_full_listing(candidates: list[Found]) -> list[Found]:
    if not candidates:
        return []
    largest = max(f.frame.height for f in candidates)
    full = [f for f in candidates if 2 * f.frame.height >= largest]
    return [max(full, key=lambda f: (f.day or date.min, f.frame.height))]


def _earliest_and_latest(candidates: list[Found]) -> list[Found]:
    dated = sorted((f for f in candidates if f.day), key=lambda f: (f.day, f.frame.height))
    spaced: list[Found] = []
    for table in dated:
        if spaced and table.day - spaced[-1].day < SAME_OBSERVATION:  # type: ignore[operator]
            spaced.pop()
        spaced.append(table)
    return [spaced[0], spaced[-1]] if len(spaced) > 1 else spaced


def _longest(candidates: list[Found]) -> list[Found]:
    return [max(candidates, key=lambda f: f.frame.height)] if candidates else []


def _input(found: Found) -> Input:
    with found.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    day = found.day.isoformat() if found.day else "unknown"
    return Input(found.kind, found.name, digest, found.rows, found.frame.height, day)


# --- reading and recognising -----------------------------------------------------------------


def _recognise(path: Path, name: str) -> Found | str:
    """Return a recognised file, or the reason why it is none."""
    columns, read = _open(path)
    if isinstance(columns, str):
        return columns
    names = set(columns)
    if names >= COLUMNS:
        return _adapters(path, name, read())
    if {"downloads", "likes"} <= names and names & {"created_at", "createdAt"}:
        if not names & {"hub_id", "_id", "model_id", "id", "modelId"}:
            return "counts without an id: no model listing"
        return _models(path, name, read())
    if {"name", "category"} <= names and names & {"tvl", "tvl_usd"}:
        return _protocols(path, name, read())
    if (
        {"protocol"} <= names
        and names & {"date", "Date"}
        and (names & {"tvl", "tvl_usd", "tvl_musd"})
    ):
        return _history(path, name, read())
    if {"downloads", "likes"} & names and names & {"hub_id", "_id", "model_id", "id", "modelId"}:
        wanted = {"downloads", "likes"} - names
        if not names & {"created_at", "createdAt"}:
            wanted.add("created_at")
        return f"no full model listing: {', '.join(sorted(wanted))} missing"
    return "columns not recognised"


def _open(path: Path) -> tuple[list[str] | str, Callable[[], pl.DataFrame]]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            return scan.collect_schema().names(), scan.collect
        if suffix == ".csv":
            scan = pl.scan_csv(path, infer_schema=False)
            return scan.collect_schema().names(), scan.collect
        rows = _json_rows(path)
        if isinstance(rows, str):
            return rows, pl.DataFrame
        return sorted({key for row in rows for key in row}), lambda: _from_json(rows)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path}: cannot be read ({first}); check the file") from error


def _json_rows(path: Path) -> RawRows | str:
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() == ".json":
        data = json.loads(text)
    else:
        data = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not isinstance(data, list) or not data:
        return "no list of records"
    rows = [row for row in data if isinstance(row, dict)]
    return rows or "no list of records"


_JSON_KEYS = {
    *MODEL_NAMES,
    *MODEL_NAMES.values(),
    *PROTOCOL_NAMES,
    *PROTOCOL_NAMES.values(),
    *HISTORY_NAMES,
    *HISTORY_NAMES.values(),
    "downloads",
    "likes",
    "pipeline_tag",
    "author",
    "library_name",
    "license",
    "tags",
    "name",
    "slug",
    "category",
    "tvl_musd",
    "doublecounted",
    "deprecated",
    "rugged",
    "module",
    *COLUMNS,
}


def _from_json(rows: RawRows) -> pl.DataFrame:
    keys = sorted({key for row in rows for key in row} & _JSON_KEYS)
    return pl.DataFrame([_series(key, [row.get(key) for row in rows]) for key in keys])


def _series(name: str, values: list[Any]) -> pl.Series:
    """Build a column from JSON values; mixed or nested ones become text for the validation."""
    kinds = {type(v) for v in values if v is not None}
    if name == "tags":
        tags = [v if isinstance(v, list) else [] for v in values]
        return pl.Series(name, [[t for t in ts if isinstance(t, str)] for ts in tags])
    if kinds <= {int} and all(v is None or abs(v) < 2**63 for v in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)
    texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
    return pl.Series(name, texts, dtype=pl.String)


def _renamed(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    for old, new in names.items():
        if old in frame.columns and new not in frame.columns:
            frame = frame.rename({old: new})
    return frame


def _models(path: Path, name: str, frame: pl.DataFrame) -> Found | str:
    if frame.height == 0:
        return "a model listing without rows"
    frame = _renamed(frame, MODEL_NAMES)
    if "hub_id" not in frame.columns:
        frame = frame.with_columns(hub_id="model_id")
    if "model_id" not in frame.columns:
        frame = frame.with_columns(model_id="hub_id")
    frame = frame.with_columns(pl.col("hub_id", "model_id").cast(pl.String, strict=False))
    if "author" not in frame.columns:
        owner = pl.col("model_id").str.extract(r"^([^/]+)/")
        frame = frame.with_columns(author=owner)
    if "tags" in frame.columns and frame.schema["tags"] == pl.List(pl.String):
        frame = _from_tags(frame)
    frame = frame.with_columns(source=pl.lit(SOURCE))
    return Found(path, name, "hub_models", _listing_day(path, frame), frame, frame.height)


_RELATIONS = "finetune|adapter|merge|quantized"


def _from_tags(frame: pl.DataFrame) -> pl.DataFrame:
    joined = pl.col("tags").list.join("\n")
    wanted = {
        "license": joined.str.extract(r"(?m)^license:(.+)$"),
        "base_model": joined.str.extract(rf"(?m)^base_model:(?:(?:{_RELATIONS}):)?(.+)$"),
    }
    new = {name: rule for name, rule in wanted.items() if name not in frame.columns}
    return frame.with_columns(**new).drop("tags")


def _listing_day(path: Path, frame: pl.DataFrame) -> date | None:
    named = _DATE.search(path.name)
    if named:
        return date.fromisoformat(named[1])
    created = frame["created_at"]
    if created.dtype == pl.String:
        created = created.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    elif created.dtype != pl.Date and created.dtype.is_temporal():
        created = created.dt.date()
    newest = created.max()
    return newest if isinstance(newest, date) and newest >= HUB_FLOOR else None


def _protocols(path: Path, name: str, frame: pl.DataFrame) -> Found | str:
    frame, rows, note = _renamed(frame, PROTOCOL_NAMES), frame.height, ""
    if "observed_on" in frame.columns:
        when = frame["observed_on"]
        if when.dtype == pl.String:
            frame = frame.with_columns(pl.col("observed_on").str.slice(0, 19))
        latest = frame.filter(pl.col("observed_on") == pl.col("observed_on").max())
        if latest.height < rows:
            earlier = frame["observed_on"].n_unique() - 1
            note = f"{rows - latest.height:,} rows of {earlier} earlier snapshots not used"
        frame = latest.with_columns(
            pl.col("observed_on")
            .cast(pl.String)
            .str.slice(0, 10)
            .str.to_date("%Y-%m-%d", strict=False)
        )
        day = frame["observed_on"].first()
    else:
        named = _DATE.search(path.name)
        day = date.fromisoformat(named[1]) if named else None
        frame = frame.with_columns(observed_on=pl.lit(day, dtype=pl.Date))
    if not isinstance(day, date):
        return "a protocol table without a date: put YYYY-MM-DD in the file's name"
    if "protocol_id" not in frame.columns:
        frame = frame.with_columns(protocol_id="name")
    for column in ("listed_at", "dead_from"):
        if column not in frame.columns:
            continue
        frame = frame.with_columns(_epoch_or_date(column, frame.schema[column]))
    return Found(
        path,
        name,
        "defillama_protocols",
        day,
        frame.with_columns(_zero_where_null(frame.schema["tvl_usd"]), source=pl.lit(SOURCE)),
        rows,
        note,
    )


def _adapters(path: Path, name: str, frame: pl.DataFrame) -> Found | str:
    dated = read_adapters(frame)
    if dated.is_empty():
        return "adapters without a first commit"
    last = dated["first_commit"].max()
    day = last if isinstance(last, date) else None
    return Found(path, name, ADAPTERS, day, dated, frame.height)


def _zero_where_null(dtype: pl.DataType) -> pl.Expr:
    """Take a missing TVL as zero, as DeFiLlama does."""
    return pl.col("tvl_usd").fill_null("0" if dtype == pl.String else 0.0)


def _epoch_or_date(column: str, dtype: pl.DataType) -> pl.Expr:
    """Read seconds since 1970, as numbers or as text; leave dates as they are."""
    value = pl.col(column)
    if dtype.is_numeric():
        return pl.from_epoch(value.cast(pl.Int64, strict=False)).dt.date().alias(column)
    if dtype != pl.String:
        return value
    seconds = value.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    day = pl.from_epoch(seconds).dt.date().cast(pl.String)
    return pl.when(value.str.contains(r"^[0-9.]+$")).then(day).otherwise(value).alias(column)


def _history(path: Path, name: str, frame: pl.DataFrame) -> Found | str:
    frame = _renamed(frame, HISTORY_NAMES)
    scale = 1.0
    if "tvl_usd" not in frame.columns:
        frame, scale = frame.rename({"tvl_musd": "tvl_usd"}), 1e6
    when = pl.col("date")
    if frame.schema["date"] == pl.String:
        when = when.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    daily = frame.select(
        date=when.cast(pl.Date),
        protocol=pl.col("protocol").cast(pl.String),
        tvl_usd=pl.col("tvl_usd").cast(pl.Float64, strict=False) * scale,
    )
    total = int((daily["protocol"] == "Total").sum())
    clean = daily.filter((pl.col("protocol") != "Total") & pl.col("tvl_usd").is_finite())
    clean = clean.drop_nulls().filter(pl.col("tvl_usd") >= 0)
    lost = daily.height - total - clean.height
    if 2 * lost > daily.height:
        return f"{lost:,} of {daily.height:,} values are missing or no sizes"
    if clean.select("date", "protocol").is_duplicated().any():
        return "a protocol has two values on one day: remove the duplicates"
    weekly = weekly_growth(clean)
    if weekly.is_empty():
        return "a TVL history without two values a week apart"
    notes = [
        f"{total:,} rows of the column total left out" if total else "",
        f"{lost:,} values missing or no sizes: gaps in their weeks" if lost else "",
    ]
    last = clean["date"].max()
    return Found(
        path,
        name,
        "tvl_weekly",
        last if isinstance(last, date) else None,
        weekly,
        frame.height,
        "; ".join(note for note in notes if note),
    )
