"""From a bulk file of Hub models, whatever its age, to rows of `hub_models`.

`plan` looks at a file's schema once: which leaves to read, how each column is read from the type
it has there, and what the file lacks. `read_block` then reads many rows at a time, with the rules
of `rows.read_page`: a row whose identity, name, counts or date of creation is not valid goes
to quarantine with its reason; an odd value of a column that may be empty is left empty and
counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import COUNT_MAX
from baimo.pipeline.sources.hub.casts import READERS, Read, emptied
from baimo.pipeline.sources.hub.rows import FIRST_CREATION

_TAGS = {
    "license": r"(?m)^license:(.+)$",
    "base_model": r"(?m)^base_model:(?:(?:finetune|adapter|merge|quantized):)?(.+)$",
    # The first tag names the model alone, the second says how it was made from it.
    "base_relation": r"(?m)^base_model:(finetune|adapter|merge|quantized):",
}
_SHOWN_ROW = 4000  # characters of a row kept in quarantine
# What an odd value of a column is said to be; in the others none is odd by itself.
_CHECKED = {
    "created_at": "not a date",
    "last_modified": "not a date",
    "downloads": "not a whole number",
    "likes": "not a whole number",
    "downloads_all_time": "not a whole number",
    "gated": "neither false, auto nor manual",
    "private": "not true or false",
    "disabled": "not true or false",
    "trending_score": "not a number",
}
_COLUMNS = {c.name: c for c in HUB_MODELS.columns}
RAW_COLUMNS = tuple(dict.fromkeys(raw for raw, _, _ in READERS.values()))
"""The columns of the files that are looked at."""


class ColumnsError(SourceError):
    """A file has not the columns that are needed."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a part of a file.

    Parameters
    ----------
    good
        Rows under the columns of `hub_models`, in the order of the file.
    odd
        Rows for quarantine: reason, kept (False), row (as text).
    emptied
        How many odd values were left empty, by reason.
    n_rows
        Rows of the part as it came.
    """

    good: pl.DataFrame
    odd: pl.DataFrame
    emptied: dict[str, int]
    n_rows: int


@dataclass(frozen=True, eq=False)
class Plan:
    """How a file is read: leaves of its Parquet schema, readers by column, what it lacks."""

    leaves: list[str]
    readers: dict[str, Read]
    lacks: dict[str, str]
    source: str


def plan(leaves: Sequence[str], schema: pl.Schema, source: str) -> Plan:
    """Plan the reading of a file.

    Parameters
    ----------
    leaves
        Paths of all leaves of its Parquet schema.
    schema
        Those of its columns that are among `RAW_COLUMNS`, as Polars reads them.
    source
        What goes into the column `source`.

    Raises
    ------
    ColumnsError
        A column that every row must have is missing, or of a type that cannot be read.
    """
    readers: dict[str, Read] = {}
    lacks: dict[str, str] = {}
    used: set[str] = set()
    for name, (raw, kind, make) in READERS.items():
        dtype = schema.get(raw)
        read = make(dtype) if dtype is not None else None
        if read is not None:
            readers[name] = read
            used.add(raw)
        elif dtype is None or dtype == pl.Null:
            lacks[name] = f"the file of that day has no {raw}"
        else:
            lacks[name] = f"{raw} of that day's file is {dtype}, not {kind}"
    needed = [w for name, w in lacks.items() if name in _COLUMNS and not _COLUMNS[name].nullable]
    if needed:
        found = ", ".join(dict.fromkeys(leaf.split(".")[0] for leaf in leaves))
        raise ColumnsError(
            f"{'; '.join(needed)}; found {found or 'nothing'}: the day cannot be read from this "
            "source, take another"
        )
    for name in _TAGS:
        if name in readers or "tags" in readers:
            lacks.pop(name, None)
    lacks.pop("author", None)  # the owner stands in the name
    lacks.pop("tags", None)
    return Plan([leaf for leaf in leaves if _wanted(leaf, used)], readers, lacks, source)


def read_block(raw: pl.DataFrame, plan: Plan, latest: datetime) -> Block:
    """Read many rows; `latest` bounds the dates of creation."""
    found = {name: read(raw) for name, read in plan.readers.items()}
    tags = found.pop("tags", None)
    _add_derived(found, tags)
    lost: dict[str, int] = {}
    reasons: list[pl.Expr] = []
    marks: dict[str, pl.Series] = {}
    for name, values in found.items():
        raw_name = READERS[name][0] if name in READERS else name
        for reason, bad in _faults(name, raw_name, values, raw, latest):
            if not bad.any():
                continue
            if _COLUMNS[name].nullable:
                found[name] = emptied(found[name], bad)
                lost[f"{reason}: left empty"] = int(bad.sum())
            else:
                mark = f"mark_{len(marks)}"
                marks[mark] = bad.fill_null(False)
                reasons.append(pl.when(pl.col(mark)).then(pl.lit(reason)))
    frame = _frame(found, plan.source, raw.height)
    if not reasons:
        return Block(frame, _no_odd(), lost, raw.height)
    why = pl.DataFrame(marks).select(reason=pl.coalesce(reasons))["reason"]
    bad = why.is_not_null()
    return Block(frame.filter(~bad), _odd_rows(raw, why, bad), lost, raw.height)


def _frame(found: dict[str, pl.Series], source: str, height: int) -> pl.DataFrame:
    made = []
    for c in HUB_MODELS.columns:
        if c.name == "source":
            made.append(pl.repeat(source, height, dtype=pl.String, eager=True).alias("source"))
        elif c.name in found:
            made.append(found[c.name].cast(c.dtype).alias(c.name))
        else:
            made.append(pl.repeat(None, height, dtype=c.dtype, eager=True).alias(c.name))
    return pl.DataFrame(made)


def _no_odd() -> pl.DataFrame:
    return pl.DataFrame(schema={"reason": pl.String, "kept": pl.Boolean, "row": pl.String})


def _odd_rows(raw: pl.DataFrame, why: pl.Series, bad: pl.Series) -> pl.DataFrame:
    texts = [str(row)[:_SHOWN_ROW] for row in raw.filter(bad).iter_rows(named=True)]
    rows = pl.Series("row", texts, dtype=pl.String)
    return pl.DataFrame([why.filter(bad), rows]).select(
        "reason", pl.lit(False).alias("kept"), "row"
    )


def _faults(
    name: str, raw_name: str, values: pl.Series, raw: pl.DataFrame, latest: datetime
) -> Iterable[tuple[str, pl.Series]]:
    """Yield what may be wrong with a column and where, the gravest first."""
    column = _COLUMNS[name]
    empty = values.null_count()
    given = raw[raw_name].null_count() if raw_name in raw.columns else empty
    if name in _CHECKED and empty > given:
        yield f"{raw_name} is {_CHECKED[name]}", values.is_null() & raw[raw_name].is_not_null()
    if not column.nullable:
        if empty:
            yield f"{raw_name} is missing", values.is_null()
        if column.dtype == pl.String:
            yield f"{raw_name} is missing", values == ""
    if name == "created_at":
        yield "createdAt is out of range", ~values.is_between(FIRST_CREATION, latest)
    if column.dtype == pl.Int64 and len(values) > empty:
        low, high = values.min(), values.max()
        assert isinstance(low, int)
        assert isinstance(high, int)
        if low < 0:
            yield f"{raw_name} is negative", values < 0
        if high > COUNT_MAX:
            yield f"{raw_name} is above 2^53", values > COUNT_MAX


def _add_derived(found: dict[str, pl.Series], tags: pl.Series | None) -> None:
    """Add what tags and names tell."""
    owner = found["model_id"].str.extract(r"^([^/]+)/")
    author = found.get("author")
    found["author"] = owner if author is None else author.fill_null(owner)
    if tags is None:
        return
    for name, pattern in _TAGS.items():
        stated, own = tags.str.extract(pattern), found.get(name)
        found[name] = stated if own is None else own.fill_null(stated)


def _wanted(leaf: str, used: set[str]) -> bool:
    """Say whether a leaf is needed: of large structs only the parts that are read."""
    top, *inner = leaf.split(".")
    if top not in used:
        return False
    if top == "safetensors":
        return inner in ([], ["total"])
    return top != "baseModels" or inner[-1:] != ["_id"]
