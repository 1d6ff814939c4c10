"""Rank-size slopes and concentration of recorded snapshots, as their README states them.

The Hub on 2024-07-11 (760,000 models, shares of all rows) and DeFiLlama on 2023-06-27 (2,415
protocols with positive TVL outside CEX and Chain, shares of these).
"""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import fit_zipf, share_to_k

Recording = Callable[[str], Path]
HUB = "hub/models_2024-07-11.parquet"
TVL = "defillama/protocols_2023-06-27.json"


@cache
def hub(path: Path, column: str) -> Counts:
    return Counts.from_sample(pl.read_parquet(path, columns=[column])[column].to_numpy())


@cache
def tvl(path: Path) -> Counts:
    rows = json.loads(path.read_text())
    kept = [r["tvl"] for r in rows if r["category"] not in ("CEX", "Chain") and r["tvl"]]
    return Counts.from_sample(np.array([v for v in kept if v > 0]))


@pytest.mark.parametrize(
    ("column", "k", "slope", "digits"),
    [
        ("downloads", 76_000, -0.471, 3),
        ("downloads", 7_600, -0.641, 3),
        ("downloads", 760, -0.800, 3),
        ("downloads", 100, -1.02, 2),
        ("likes", 7_600, -1.009, 3),
        ("likes", 760, -1.329, 3),
        ("likes", 100, -1.82, 2),
    ],
    ids=lambda value: str(value),
)
def test_hub_slopes(column: str, k: int, slope: float, digits: int, recording: Recording) -> None:
    fit = fit_zipf(hub(recording(HUB), column), k=k)
    assert round(fit.slope, digits) == slope
    assert fit.std_error == pytest.approx(abs(fit.slope) * math.sqrt(2 / k), rel=1e-12)


@pytest.mark.parametrize(
    ("share", "slope", "digits"), [(0.1, -0.752, 3), (0.5, -0.505, 3), (0.01, -1.08, 2)]
)
def test_tvl_slopes(share: float, slope: float, digits: int, recording: Recording) -> None:
    sizes = tvl(recording(TVL))
    assert sizes.n_obs == 2_415
    fit = fit_zipf(sizes, k=share_to_k(sizes.n_obs, share))
    assert round(fit.slope, digits) == slope


@pytest.mark.parametrize(
    ("column", "largest", "share_zero", "n_unique", "top_1pct"),
    [("downloads", 680_847_003, 0.495, 8_613, 0.989), ("likes", 11_000, 0.906, 593, 0.807)],
    ids=["downloads", "likes"],
)
def test_hub_concentration(
    column: str,
    largest: int,
    share_zero: float,
    n_unique: int,
    top_1pct: float,
    recording: Recording,
) -> None:
    sizes = hub(recording(HUB), column)
    held = measure_concentration(sizes)
    assert sizes.n_obs == 760_000
    assert sizes.values[-1] == largest
    assert sizes.n_unique == n_unique
    assert round(held.share_zero, 3) == share_zero
    assert round(held.top_1pct, 3) == top_1pct


def test_one_model_holds_over_a_third_of_all_downloads(recording: Recording) -> None:
    sizes = hub(recording(HUB), "downloads")
    assert round(measure_concentration(sizes).largest_share, 2) == 0.37
    without = sizes.without_largest()
    assert without.n_obs == sizes.n_obs - 1
    assert without.total == sizes.total - 680_847_003
    # Herfindahl with the outlier .143, without it .015
    assert round(measure_concentration(sizes).hhi, 3) == 0.143
    assert round(measure_concentration(without).hhi, 3) == 0.015
