"""Invented Hub models: rows with every field, and pages of millions of rows in no time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

END_DAY = date(2026, 9, 1)
FLOOR = datetime(2022, 3, 2, 23, 29, 4, tzinfo=UTC)  # the creation of what is older
FLOOR_SHARE = 0.03

_MAKERS = ("harbor", "quietlab", "noon", "tessel", "ovid", "umbra", "fjordnet", "kiln", "pico9")
_NOUNS = ("sparrow", "granite", "willow", "comet", "lantern", "otter", "basalt", "meridian")
_KINDS = ("base", "instruct", "lora", "gguf", "int4", "merged", "v2", "distilled", "chat")
_TASKS = ("text-generation", "text-classification", "fill-mask", "text-to-image", None, None)
_LIBRARIES = ("transformers", "diffusers", "peft", "gguf", None)
_RELATIONS = ("finetune", "adapter", "quantized", "merge")
_TAGS = (
    "safetensors", "pytorch", "onnx", "llama", "bert", "conversational", "en", "fr", "multilingual",
    "custom_code", "arxiv:0001.00001", "arxiv:0002.00002", "dataset:harbor/tides",
    "text-generation-inference", "autotrain_compatible", "endpoints_compatible", "4-bit",
    "generated_from_trainer", "model-index", "license:apache-2.0", "license:mit",
)  # fmt: skip


def stamp(moment: datetime) -> str:
    """Return a moment as the Hub writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def heavy(rng: random.Random, exponent: float, zeros: float = 0.5, top: int = 700_000_000) -> int:
    """Return 0 or a count with a Pareto tail."""
    if rng.random() < zeros:
        return 0
    return int(min(top, (1.0 - rng.random()) ** (-1.0 / exponent)))


def synthetic_models(n: int, seed: int = 0, end_day: date = END_DAY) -> list[dict[str, Any]]:
    """Return `n` rows with all fields that a crawl expands, in no particular order.

    `_id` begins with the second of creation; some percent of `createdAt` share the floor.
    """
    rng = random.Random(seed)
    end = datetime(end_day.year, end_day.month, end_day.day, tzinfo=UTC)
    span = int((end - FLOOR).total_seconds()) - 1
    rows: list[dict[str, Any]] = []
    for i in range(n):
        at_floor = rng.random() < FLOOR_SHARE
        created = FLOOR + timedelta(seconds=0 if at_floor else int(span * rng.random() ** 0.5))
        rows.append(_model(rng, i, created, end, rows))
    rng.shuffle(rows)
    return rows


def _model(
    rng: random.Random, i: int, created: datetime, end: datetime, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    author = f"{rng.choice(_MAKERS)}{rng.randrange(400)}"
    name = f"{author}/{rng.choice(_NOUNS)}-{rng.choice(_KINDS)}-{i}"
    downloads, task = heavy(rng, 0.7), rng.choice(_TASKS)
    library, used = rng.choice(_LIBRARIES), heavy(rng, 1.2, zeros=0.9, top=5)
    tags = rng.sample(_TAGS, rng.randrange(1, 6))
    tags = [*([library] if library else []), *tags, *([task] if task else []), "region:us"]
    row: dict[str, Any] = {
        "_id": f"{int(created.timestamp()):08x}{rng.getrandbits(40):010x}{i:06x}",
        "id": name,
        "author": author,
        "childrenModelCount": heavy(rng, 1.0, zeros=0.85, top=50_000),
        "createdAt": stamp(created),
        "disabled": False,
        "downloads": downloads,
        "downloadsAllTime": downloads + heavy(rng, 0.6, top=1_500_000_000),
        "gated": rng.choices((False, "auto", "manual"), (95, 3, 2))[0],
        "lastModified": stamp(created + (end - created) * rng.random() ** 3),
        "likes": heavy(rng, 1.0, zeros=0.75, top=12_000),
        "private": False,
        "tags": tags,
        "trendingScore": heavy(rng, 1.0, zeros=0.95, top=900),
    }
    if task:
        row["pipeline_tag"] = task
    if library:
        row["library_name"] = library
    if rng.random() < 0.02:
        row["inference"] = "warm"
    if rng.random() < 0.4:
        total = int(10 ** rng.uniform(6, 11))
        row["safetensors"] = {"parameters": {rng.choice(("F32", "BF16")): total}, "total": total}
    if used:
        row["spaces"] = [f"{rng.choice(_MAKERS)}/room-{rng.randrange(10**5)}" for _ in range(used)]
    if earlier and rng.random() < 0.3:
        parent, relation = rng.choice(earlier), rng.choice(_RELATIONS)
        row["baseModels"] = {
            "relation": relation,
            "models": [{"_id": parent["_id"], "id": parent["id"]}],
        }
        tags += [f"base_model:{parent['id']}", f"base_model:{relation}:{parent['id']}"]
    return row


# --- in bulk ---------------------------------------------------------------------------------

_MIX = np.uint64(0x9E3779B97F4A7C15)
_TEMPLATES = 64
_DAY = 86_400


class BulkRows:
    """`n` rows sorted by createdAt and _id, both descending; any slice at any time, as bytes.

    A row depends on the seed and its place alone. Numbers come from NumPy, text from templates.
    """

    def __init__(self, n: int, seed: int = 0, end_day: date = END_DAY) -> None:
        self.n, self.seed = n, np.uint64(seed)
        self._floor = int(FLOOR.timestamp())
        end = datetime(end_day.year, end_day.month, end_day.day, tzinfo=UTC)
        self._span = int(end.timestamp()) - 1 - self._floor
        self._templates = _templates(seed)
        self._clock = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}.000Z" for s in range(_DAY)]
        first = date(1970, 1, 1)
        self._days = {
            d: (first + timedelta(days=d)).isoformat() + "T"
            for d in range(self._floor // _DAY, int(end.timestamp()) // _DAY + 1)
        }

    def render(self, start: int, stop: int) -> bytes:
        """Return rows `start` to `stop` as the JSON list of one page."""
        at = np.arange(start, min(stop, self.n), dtype=np.uint64)
        seconds = self._seconds(at)
        downloads = _counts(self._uniform(at, 1), 0.7, 0.5, 7e8)
        total = downloads + _counts(self._uniform(at, 2), 0.6, 0.5, 1.5e9)
        likes = _counts(self._uniform(at, 3), 1.0, 0.75, 12_000)
        children = _counts(self._uniform(at, 4), 1.0, 0.85, 50_000)
        kinds = (self._uniform(at, 5) * len(self._templates)).astype(np.int64)
        marks = np.empty((len(at), 3), dtype=">u4")  # time, constant, place: as 24 hex digits
        marks[:, 0], marks[:, 1], marks[:, 2] = seconds, 0xC0FFEE, self.n - at
        hexed = marks.tobytes().hex()
        columns = (
            range(0, 24 * len(at), 24),
            map(self._templates.__getitem__, kinds.tolist()),
            map(str, range(self.n - start, self.n - start - len(at), -1)),
            map(self._days.__getitem__, (seconds // _DAY).tolist()),
            map(self._clock.__getitem__, (seconds % _DAY).tolist()),
            children.tolist(),
            downloads.tolist(),
            total.tolist(),
            likes.tolist(),
        )
        rows = [
            f'{{"_id":"{hexed[h : h + 24]}","id":"{name}{i}","childrenModelCount":{c},'
            f'"createdAt":"{day}{clock}","downloads":{d},"downloadsAllTime":{t},'
            f'"lastModified":"{day}{clock}","likes":{k},{rest}{i}"}}'
            for h, (name, rest), i, day, clock, c, d, t, k in zip(*columns, strict=True)
        ]
        return f"[{','.join(rows)}]".encode()

    def _seconds(self, at: np.ndarray) -> np.ndarray:
        """Return when the rows were created: denser in later years, the last ones at the floor."""
        age = (self.n - 1 - at.astype(np.int64)) / max(1, self.n - 1)  # 1 for the newest
        above = np.maximum(0.0, (age - FLOOR_SHARE) / (1.0 - FLOOR_SHARE))
        return self._floor + (self._span * np.sqrt(above)).astype(np.int64)

    def _uniform(self, at: np.ndarray, stream: int) -> np.ndarray:
        """Return numbers in [0, 1) that depend on seed, stream and place (SplitMix64)."""
        with np.errstate(over="ignore"):
            z = (at + (self.seed << np.uint64(40)) + (np.uint64(stream) << np.uint64(34))) * _MIX
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def _counts(u: np.ndarray, exponent: float, zeros: float, top: float) -> np.ndarray:
    tail = np.maximum((1.0 - u) / (1.0 - zeros), 1e-12) ** (-1.0 / exponent)
    return np.where(u < zeros, 0.0, np.minimum(tail, top)).astype(np.int64)


def _templates(seed: int) -> list[tuple[str, str]]:
    """Return pairs of text: the name up to its number, and the fields of `BulkRows` that repeat."""
    varying = {
        "_id", "id", "childrenModelCount", "createdAt", "downloads", "downloadsAllTime",
        "lastModified", "likes",
    }  # fmt: skip
    pattern = sorted(synthetic_models(400, seed), key=lambda row: "baseModels" in row)
    chosen = pattern[:: len(pattern) // _TEMPLATES]
    pairs = []
    for row in chosen:
        name = row["id"].rpartition("-")[0] + "-"
        rest = {key: value for key, value in row.items() if key not in varying}
        body = json.dumps(rest, separators=(",", ":"))[1:-1]
        pairs.append((name, f'{body},"modelId":"{name}'))
    return pairs


def synthetic_pages(n_rows: int, page: int = 1000, seed: int = 0) -> Iterator[bytes]:
    """Yield the bodies of the pages of `n_rows` invented models, one at a time."""
    rows = BulkRows(n_rows, seed)
    for start in range(0, n_rows, page):
        yield rows.render(start, start + page)
