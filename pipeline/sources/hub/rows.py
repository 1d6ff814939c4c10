"""From a page of `/api/models` to rows: columns by Polars, odd rows one by one.

A page whose every row is in order is read by Polars alone. Whatever Polars would bend on the way
(a fraction or a truth value taken for a count, a broken surrogate, a value of another shape)
sends the page to the careful reader, which judges each row: it is in the table with the right
types, or in quarantine with a reason. An odd value of a column that may be empty costs the value,
not the row, and is kept in quarantine too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

import polars as pl

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.raw import RawRow, RawRows
from baimo.pipeline.schema.table import COUNT_MAX, Dtype
from baimo.pipeline.sources.http import UnreadableError

EXPAND = (
    "author",
    "baseModels",
    "childrenModelCount",
    "createdAt",
    "disabled",
    "downloads",
    "downloadsAllTime",
    "gated",
    "inference",
    "lastModified",
    "library_name",
    "likes",
    "pipeline_tag",
    "private",
    "safetensors",
    "spaces",
    "tags",
    "trendingScore",
)
GATED = ("false", "auto", "manual")
FIRST_CREATION = datetime(2015, 1, 1, tzinfo=UTC)
SOURCE = "hub"
V = TypeVar("V")

_KINDS = ("adapter", "finetune", "merge", "quantized")
_RAW: dict[str, Dtype] = {
    "_id": pl.String,
    "id": pl.String,
    "downloads": pl.Float64,
    "downloadsAllTime": pl.Float64,
    "likes": pl.Float64,
    "createdAt": pl.String,
    "lastModified": pl.String,
    "author": pl.String,
    "pipeline_tag": pl.String,
    "library_name": pl.String,
    "tags": pl.List(pl.String),
    "baseModels": pl.Struct(
        {"relation": pl.String, "models": pl.List(pl.Struct({"id": pl.String}))}
    ),
    "childrenModelCount": pl.Struct(dict.fromkeys(_KINDS, pl.Int64)),
    "gated": pl.String,
    "private": pl.Boolean,
    "disabled": pl.Boolean,
    "inference": pl.String,
    "safetensors": pl.Struct({"total": pl.Int64}),
    "spaces": pl.List(pl.String),
    "trendingScore": pl.Float64,
}
_COUNTS = ("downloads", "downloadsAllTime", "likes")
_NUMBERS = (*_COUNTS, "trendingScore")
# Texts that could have been a number or a truth value before Polars made them text.
_TEXTS = ("_id", "id", "author", "pipeline_tag", "library_name", "inference")
_SCALAR = r"^(true|false|-?[0-9][0-9.eE+-]*)$"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_TIME = "%Y-%m-%dT%H:%M:%S%.fZ"


@dataclass(frozen=True, eq=False)
class Page:
    """Rows of one page.

    Parameters
    ----------
    good
        Rows under the columns of `hub_models`, in the order of the page.
    odd
        Records for quarantine: reason, kept (the row is in `good`, one of its values is not),
        row (JSON text; of a kept row its `_id` and that value).
    n_rows
        Rows of the page as it came.
    """

    good: pl.DataFrame
    odd: RawRows
    n_rows: int


def read_page(body: bytes, now: datetime) -> Page:
    """Read a page; `now` bounds the dates of creation.

    Raises
    ------
    UnreadableError
        Not JSON, or no list: the page as a whole is not what was asked for.
    """
    latest = now + timedelta(days=1)
    quick = _read_quickly(body, latest)
    return _read_carefully(body, latest) if quick is None else Page(quick, [], quick.height)


def _read_quickly(body: bytes, latest: datetime) -> pl.DataFrame | None:
    """Return the rows of a page in order, None when a row needs a closer look."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"[":
        return None
    if b"\\u" in body and _SURROGATE.search(body):
        return None
    read = _parsed(body)
    if read is None:
        return None
    raw, children = read
    good = raw.select(_columns(children))
    undated = good["last_modified"].null_count() > raw["lastModified"].null_count()
    return good if not undated and _in_order(good, latest) else None


def _parsed(body: bytes) -> tuple[pl.DataFrame, Dtype] | None:
    """Read the raw columns; the number of children comes by kind, or as one number."""
    kinds: Dtype = _RAW["childrenModelCount"]
    likely = b'"childrenModelCount":{' in body
    for children in (kinds, pl.Int64) if likely else (pl.Int64, kinds):
        try:
            raw = pl.read_json(body, schema=_RAW | {"childrenModelCount": children})
            return (raw, children) if _unbent(body, raw) else None
        except pl.exceptions.PolarsError:
            continue
    return None


def _unbent(body: bytes, raw: pl.DataFrame) -> bool:
    """Say whether nothing was bent: no fraction cut, no number or truth value made text or count.

    Read as a number, a truth value is 0 or 1. When the body has no more of these words than the
    columns that may hold them, no count is one; else it is read again, as text.
    """
    whole, texts, n_truths = raw.select(_raw_checks()).row(0)
    if not (whole and texts):
        return False
    if body.count(b"true") + body.count(b"false") == n_truths:
        return True
    as_text = pl.read_json(body, schema=dict.fromkeys(_NUMBERS, pl.String))
    return not any(as_text[name].is_in(("true", "false")).any() for name in _NUMBERS)


@cache
def _raw_checks() -> list[pl.Expr]:
    counts = [pl.col(name) for name in _COUNTS]
    whole = [((c == c.floor()) & (c >= 0) & (c < COUNT_MAX)).all() for c in counts]
    texts = [~pl.col(name).str.contains(_SCALAR).any() for name in _TEXTS]
    truths = [pl.col(name).is_not_null().sum() for name in ("private", "disabled")]
    return [
        pl.all_horizontal(whole).alias("whole"),
        pl.all_horizontal(texts).alias("texts"),
        pl.sum_horizontal(*truths, (pl.col("gated") == "false").sum()).alias("truths"),
    ]


@cache
def _columns(children: Dtype) -> list[pl.Expr]:
    tags = pl.col("tags").list.join("\n")
    typed = r"(?m)^base_model:(finetune|adapter|merge|quantized):"
    named_by_tag = tags.str.extract(
        r"(?m)^base_model:(?:(?:finetune|adapter|merge|quantized):)?(.+)$"
    )
    named = pl.col("baseModels").struct.field("models").list.eval(pl.element().struct.field("id"))
    parent = pl.when(named.list.len() > 0).then(named.list.join(","))
    count = pl.col("childrenModelCount")
    if children != pl.Int64:
        count = pl.sum_horizontal(count.struct.field(kind) for kind in _KINDS)
        count = pl.when(pl.col("childrenModelCount").is_not_null()).then(count)
    found = {
        "hub_id": pl.col("_id"),
        "model_id": pl.col("id"),
        "downloads": pl.col("downloads").cast(pl.Int64),
        "downloads_all_time": pl.col("downloadsAllTime").cast(pl.Int64),
        "likes": pl.col("likes").cast(pl.Int64),
        "created_at": _moment("createdAt"),
        "last_modified": _moment("lastModified"),
        "author": pl.coalesce(pl.col("author"), pl.col("id").str.extract(r"^([^/]+)/")),
        "pipeline_tag": pl.col("pipeline_tag"),
        "library_name": pl.col("library_name"),
        "license": tags.str.extract(r"(?m)^license:(.+)$"),
        "base_model": pl.coalesce(parent, named_by_tag),
        "base_relation": pl.coalesce(
            pl.col("baseModels").struct.field("relation"), tags.str.extract(typed)
        ),
        "n_children": count,
        "gated": pl.col("gated"),
        "private": pl.col("private"),
        "disabled": pl.col("disabled"),
        "inference": pl.col("inference"),
        "parameters": pl.col("safetensors").struct.field("total"),
        "n_spaces": pl.col("spaces").list.len().cast(pl.Int64),
        "trending_score": pl.col("trendingScore"),
        "source": pl.lit(SOURCE),
    }
    return [found[c.name].alias(c.name) for c in HUB_MODELS.columns]


def _moment(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime(_TIME, time_unit="us", time_zone="UTC", strict=False)


def _in_order(frame: pl.DataFrame, latest: datetime) -> bool:
    """Say whether every row and every value would pass the careful reader unchanged."""
    created = frame["created_at"].is_between(FIRST_CREATION, latest)
    return bool(created.all()) and all(frame.select(_order_checks()).row(0))


@cache
def _order_checks() -> list[pl.Expr]:
    checks: list[pl.Expr] = []
    for c in HUB_MODELS.columns:
        value = pl.col(c.name)
        if not c.nullable:
            checks.append(value.is_not_null().all())
        if c.low is not None:
            checks.append((value >= c.low).all())
        if c.high is not None:
            checks.append((value <= c.high).all())
    checks += [
        (pl.col("hub_id") != "").all(),
        (pl.col("model_id") != "").all(),
        pl.col("gated").is_in(GATED).all(),
    ]
    return [check.alias(str(i)) for i, check in enumerate(checks)]


class _OddError(Exception):
    """A value that is not what its column holds."""


def _read_carefully(body: bytes, latest: datetime) -> Page:
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("the page is not JSON") from error
    if not isinstance(rows, list):
        raise UnreadableError(f"the page is {_kind(rows)}, not a list of models")
    good: RawRows = []
    odd: RawRows = []
    for row in rows:
        try:
            found, lost = _read_row(row, latest)
        except _OddError as error:
            text = json.dumps(row, separators=(",", ":"))
            odd.append({"reason": str(error), "row": text, "kept": False})
            continue
        good.append(found)
        odd += lost
    frame = pl.DataFrame(good, schema=HUB_MODELS.schema, orient="row")
    return Page(frame, odd, len(rows))


def _read_row(row: object, latest: datetime) -> tuple[RawRow, RawRows]:
    if not isinstance(row, dict):
        raise _OddError(f"the row is {_kind(row)}, not a model")
    created = _time(row, "createdAt")
    if created is None:
        raise _OddError("createdAt is missing")
    if not FIRST_CREATION <= created <= latest:
        raise _OddError(f"createdAt is out of range ({created:%Y-%m-%d})")
    found = {
        "hub_id": _required(_text, row, "_id"),
        "model_id": _required(_text, row, "id"),
        "downloads": _required(_count, row, "downloads"),
        "likes": _required(_count, row, "likes"),
        "created_at": created,
        "source": SOURCE,
    }
    lost: RawRows = []

    def may(read: Callable[[RawRow, str], V | None], name: str) -> V | None:
        try:
            return read(row, name)
        except _OddError as error:
            value = json.dumps({"_id": row["_id"], name: row[name]}, separators=(",", ":"))
            lost.append({"reason": f"{error}: left empty", "row": value, "kept": True})
            return None

    tags = "\n".join(may(_texts, "tags") or [])
    base = may(_base, "baseModels") or (None, None)
    tagged = re.search(r"(?m)^base_model:(?:(?:finetune|adapter|merge|quantized):)?(.+)$", tags)
    typed = re.search(r"(?m)^base_model:(finetune|adapter|merge|quantized):", tags)
    licence = re.search(r"(?m)^license:(.+)$", tags)
    owner = re.match(r"([^/]+)/", str(found["model_id"]))
    spaces = may(_texts, "spaces")
    found |= {
        "downloads_all_time": may(_count, "downloadsAllTime"),
        "last_modified": may(_time, "lastModified"),
        "author": may(_text, "author") or (owner[1] if owner else None),
        "pipeline_tag": may(_text, "pipeline_tag"),
        "library_name": may(_text, "library_name"),
        "license": licence[1] if licence else None,
        "base_model": base[1] or (tagged[1] if tagged else None),
        "base_relation": base[0] or (typed[1] if typed else None),
        "n_children": may(_children, "childrenModelCount"),
        "gated": may(_gated, "gated"),
        "private": may(_truth, "private"),
        "disabled": may(_truth, "disabled"),
        "inference": may(_text, "inference"),
        "parameters": may(_total, "safetensors"),
        "n_spaces": None if spaces is None else len(spaces),
        "trending_score": may(_number, "trendingScore"),
    }
    return found, lost


def _required(read: Callable[[RawRow, str], V | None], row: RawRow, name: str) -> V:
    value = read(row, name)
    if value is None or value == "":
        raise _OddError(f"{name} is missing")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def _text(row: RawRow, name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _OddError(f"{name} is {_kind(value)}, not text")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise _OddError(f"{name} is not valid Unicode")
    return value


def _texts(row: RawRow, name: str) -> list[str] | None:
    value = row.get(name)
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]  # one stands for a list of one
    if any(isinstance(v, dict | list) for v in values):
        raise _OddError(f"{name} is not a list of texts")
    return [_text({name: v if isinstance(v, str) else json.dumps(v)}, name) or "" for v in values]


def _count(row: RawRow, name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _OddError(f"{name} is {_kind(value)}, not a whole number")
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        raise _OddError(f"{name} is not a whole number")
    if value < 0:
        raise _OddError(f"{name} is negative")
    if value > COUNT_MAX:
        raise _OddError(f"{name} is above 2^53")
    return int(value)


def _number(row: RawRow, name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise _OddError(f"{name} is not a number")
    return float(value)


def _truth(row: RawRow, name: str) -> bool | None:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _OddError(f"{name} is {_kind(value)}, not true or false")


def _time(row: RawRow, name: str) -> datetime | None:
    value = _text(row, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _OddError(f"{name} is not a date") from None


def _gated(row: RawRow, name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if value is False:
        return "false"
    if value in GATED:
        return str(value)
    raise _OddError(f"{name} is neither false, auto nor manual")


def _base(row: RawRow, name: str) -> tuple[str | None, str | None] | None:
    """Return (relation, names joined by commas)."""
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("models") or [], list):
        raise _OddError(f"{name} has another shape")
    parents = value.get("models") or []
    if not all(isinstance(p, dict) and isinstance(p.get("id"), str) for p in parents):
        raise _OddError(f"{name} has another shape")
    names = ",".join(_text(p, "id") or "" for p in parents)
    return _text(value, "relation"), names or None


def _children(row: RawRow, name: str) -> int | None:
    value = row.get(name)
    if isinstance(value, dict):
        return sum(_inner(value, name, kind) or 0 for kind in _KINDS)
    return _count(row, name)


def _total(row: RawRow, name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _OddError(f"{name} has another shape")
    return _inner(value, name, "total")


def _inner(value: RawRow, name: str, part: str) -> int | None:
    try:
        return _count(value, part)
    except _OddError as error:
        raise _OddError(f"{name} {error}") from None
