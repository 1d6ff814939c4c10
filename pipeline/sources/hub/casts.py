"""How each column of a bulk file of Hub models is read, from the type that it has there.

Files of different years hold the same thing as numbers or text, as moments or text, as structs or
JSON. A reader turns a column of one type into values of `hub_models`, null where there is none or
an odd one; a type that nothing is known of has no reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from baimo.pipeline.schema.table import UTC
from baimo.pipeline.sources.hub.rows import GATED

Read = Callable[[pl.DataFrame], pl.Series]
Make = Callable[[pl.DataType], Read | None]

_KINDS = ("adapter", "finetune", "merge", "quantized")
_TIMES = ("%Y-%m-%dT%H:%M:%S%.fZ", "%+", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")
_FARTHEST = 2.0**62  # what lies beyond is as much above the bounds as this


def _get(raw: str, turn: Callable[[pl.Series], pl.Series]) -> Read:
    return lambda frame: turn(frame[raw])


def _is_text(dtype: pl.DataType) -> bool:
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _text(raw: str) -> Make:
    return lambda dtype: _get(raw, lambda s: s.cast(pl.String)) if _is_text(dtype) else None


def _count(raw: str) -> Make:
    def make(dtype: pl.DataType) -> Read | None:
        turn = _count_of(dtype)
        return _get(raw, turn) if turn else None

    return make


def whole_numbers(values: pl.Series) -> pl.Series:
    """Return numbers as Int64; null for what is no whole number."""
    turn = _count_of(values.dtype)
    return turn(values) if turn else values.cast(pl.Int64, strict=False)


def _count_of(dtype: pl.DataType) -> Callable[[pl.Series], pl.Series] | None:
    if dtype.is_integer():
        return lambda s: s.cast(pl.Int64, strict=False)
    if dtype.is_float() or dtype.is_decimal():
        return _whole
    if _is_text(dtype):  # a whole column of digits is another way to write it, not an odd row
        return lambda s: _whole(s.cast(pl.String).cast(pl.Float64, strict=False))
    return None


def _whole(values: pl.Series) -> pl.Series:
    values = values.cast(pl.Float64)
    whole = values.is_finite() & (values == values.floor())
    near = values.clip(-_FARTHEST, _FARTHEST)
    return emptied(near, ~whole).cast(pl.Int64)


def emptied(values: pl.Series, bad: pl.Series) -> pl.Series:
    """Return the values, but for nulls where `bad` is true."""
    return pl.select(pl.when(bad).then(None).otherwise(values).alias(values.name)).to_series()


def _time(raw: str) -> Make:
    def make(dtype: pl.DataType) -> Read | None:
        if isinstance(dtype, pl.Datetime):
            return _get(raw, _moments)
        if dtype == pl.Date:
            return _get(raw, lambda s: _moments(s.cast(pl.Datetime("us"))))
        return _get(raw, parsed_times) if _is_text(dtype) else None

    return make


def _moments(values: pl.Series) -> pl.Series:
    values = values.dt.cast_time_unit("us")
    zone = values.dtype.time_zone if isinstance(values.dtype, pl.Datetime) else None
    if zone is None:
        return values.dt.replace_time_zone("UTC")
    return values if zone == "UTC" else values.dt.convert_time_zone("UTC")


def parsed_times(values: pl.Series) -> pl.Series:
    """Return the moments in texts, whatever usual form they have; null for what is none."""
    texts = values.cast(pl.String)
    found = pl.Series(values.name, [None] * len(texts), dtype=UTC)
    for form in _TIMES:
        if found.null_count() == texts.null_count():
            break
        found = found.fill_null(
            texts.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        )
    return found


def _truth(raw: str) -> Make:
    def make(dtype: pl.DataType) -> Read | None:
        if dtype == pl.Boolean:
            return _get(raw, lambda s: s)
        known = {"true": True, "false": False}
        return _get(raw, lambda s: _mapped(s, known, pl.Boolean())) if _is_text(dtype) else None

    return make


def _gated(dtype: pl.DataType) -> Read | None:
    known: Mapping[str, object] = {word: word for word in GATED}
    if dtype == pl.Boolean:
        known = {"false": "false"}
    elif not _is_text(dtype):
        return None
    return _get("gated", lambda s: _mapped(s, known, pl.String()))


def _mapped(values: pl.Series, known: Mapping[str, object], dtype: pl.DataType) -> pl.Series:
    texts = values.cast(pl.String).str.to_lowercase()
    return texts.replace_strict(known, default=None, return_dtype=dtype)


def _number(dtype: pl.DataType) -> Read | None:
    if not dtype.is_numeric():
        return None

    def turn(values: pl.Series) -> pl.Series:
        numbers = values.cast(pl.Float64)
        return emptied(numbers, ~numbers.is_finite())

    return _get("trendingScore", turn)


def _length(dtype: pl.DataType) -> Read | None:
    if isinstance(dtype, pl.List):
        return _get("spaces", lambda s: s.list.len().cast(pl.Int64))
    return _get("spaces", lambda s: s.cast(pl.Int64)) if dtype.is_integer() else None


def _children(dtype: pl.DataType) -> Read | None:
    if not isinstance(dtype, pl.Struct):
        return _count("childrenModelCount")(dtype)
    kinds = [f.name for f in dtype.fields if f.name in _KINDS and _count_of(f.dtype)]  # type: ignore[arg-type]

    def turn(values: pl.Series) -> pl.Series:
        parts = values.struct.unnest().select(pl.col(kinds).cast(pl.Int64, strict=False))
        total = parts.select(total=pl.sum_horizontal(kinds))["total"]
        return emptied(total, values.is_null())

    return _get("childrenModelCount", turn) if kinds else None


def _total(dtype: pl.DataType) -> Read | None:
    if isinstance(dtype, pl.Struct):
        fields = {f.name: f.dtype for f in dtype.fields}
        turn = _count_of(fields["total"]) if "total" in fields else None  # type: ignore[arg-type]
        return _get("safetensors", lambda s: turn(s.struct.field("total"))) if turn else None
    if not _is_text(dtype):
        return None
    return _get(
        "safetensors", lambda s: _whole(_in_json(s, "total").cast(pl.Float64, strict=False))
    )


def _in_json(values: pl.Series, name: str) -> pl.Series:
    """Return a member of JSON objects as text; what is no JSON has none."""
    return values.cast(pl.String).str.extract(rf'"{name}"\s*:\s*"?([^",}}\]]+)')


def _relation(dtype: pl.DataType) -> Read | None:
    if isinstance(dtype, pl.Struct) and any(f.name == "relation" for f in dtype.fields):
        return _get("baseModels", lambda s: s.struct.field("relation").cast(pl.String))
    return _get("baseModels", lambda s: _in_json(s, "relation")) if _is_text(dtype) else None


def _parents(dtype: pl.DataType) -> Read | None:
    """Read the names of the models that a model derives from, joined by commas."""
    if _is_text(dtype):
        return _get("baseModels", lambda s: _joined(_ids_in_json(s.cast(pl.String))))
    fields = {f.name: f.dtype for f in dtype.fields} if isinstance(dtype, pl.Struct) else {}
    models = fields.get("models")
    if not isinstance(models, pl.List):
        return None
    if models.inner == pl.String:
        return _get("baseModels", lambda s: _joined(s.struct.field("models")))
    if not (isinstance(models.inner, pl.Struct) and "id" in {f.name for f in models.inner.fields}):
        return None
    ids = pl.element().struct.field("id")
    return _get("baseModels", lambda s: _joined(s.struct.field("models").list.eval(ids)))


def _ids_in_json(texts: pl.Series) -> pl.Series:
    pairs = texts.str.extract_all(r'"id"\s*:\s*"[^"]+"')
    return pairs.list.eval(pl.element().str.extract(r':\s*"([^"]+)"'))


def _joined(lists: pl.Series) -> pl.Series:
    return emptied(lists.list.join(","), lists.list.len() == 0)


def _tags(dtype: pl.DataType) -> Read | None:
    """Read the tags, one a line."""
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        return _get("tags", lambda s: s.list.join("\n"))
    if not _is_text(dtype):
        return None
    return _get(
        "tags",
        lambda s: (
            s.cast(pl.String).str.replace_all(r"""[\[\]"']""", "").str.replace_all(r",\s*", "\n")
        ),
    )


_COUNT, _DATE = "a whole number", "a date"
# Column of hub_models (and tags) -> column of the files, what it should hold, how it is read.
# In the order in which the faults of a row are named.
READERS: dict[str, tuple[str, str, Make]] = {
    "created_at": ("createdAt", _DATE, _time("createdAt")),
    "hub_id": ("_id", "text", _text("_id")),
    "model_id": ("id", "text", _text("id")),
    "downloads": ("downloads", _COUNT, _count("downloads")),
    "likes": ("likes", _COUNT, _count("likes")),
    "downloads_all_time": ("downloadsAllTime", _COUNT, _count("downloadsAllTime")),
    "last_modified": ("lastModified", _DATE, _time("lastModified")),
    "author": ("author", "text", _text("author")),
    "pipeline_tag": ("pipeline_tag", "text", _text("pipeline_tag")),
    "library_name": ("library_name", "text", _text("library_name")),
    "tags": ("tags", "a list of texts", _tags),
    "license": ("tags", "a list of texts", lambda _: None),
    "base_model": ("baseModels", "of the known shape", _parents),
    "base_relation": ("baseModels", "of the known shape", _relation),
    "n_children": ("childrenModelCount", _COUNT, _children),
    "gated": ("gated", "false, auto or manual", _gated),
    "private": ("private", "true or false", _truth("private")),
    "disabled": ("disabled", "true or false", _truth("disabled")),
    "inference": ("inference", "text", _text("inference")),
    "parameters": ("safetensors", "of the known shape", _total),
    "n_spaces": ("spaces", "a list", _length),
    "trending_score": ("trendingScore", "a number", _number),
}
