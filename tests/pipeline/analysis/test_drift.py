"""An estimate has drifted if it left the band of the thirty days before; noise is borne."""

import math
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.analysis.drift import Drift, _drift, measure_drift, watched
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.variables import LIKES, TVL
from tests.pipeline.synthetic import DAY

X_MIN, ZETA, SHARE = watched(LIKES)


def test_drift_waits_for_five_days_and_bears_noise() -> None:
    assert not _drift("z", 9.0, [1.0] * 4).drifted
    assert not _drift("z", 1.049, [1.0] * 5).drifted
    assert _drift("z", 1.06, [1.0] * 5).drifted
    # Spread: median absolute deviation of 1, 2, 3, 4, 5 is 1; four times 1.4826.
    assert not _drift("z", 8.93, [1.0, 2.0, 3.0, 4.0, 5.0]).drifted
    assert _drift("z", 8.94, [1.0, 2.0, 3.0, 4.0, 5.0]).drifted


def parameters(x_min: float, zeta: float | None, share: float = 0.5) -> pl.DataFrame:
    values = {X_MIN: x_min, ZETA: zeta, SHARE: share, "tail_hub_likes_ks": 9.0}
    return pl.DataFrame({"name": list(values), "value": list(values.values())})


def lake_of(root: Path, days: dict[date, pl.DataFrame]) -> Lake:
    lake = Lake(root)
    for day, table in days.items():
        lake.write_table("parameters", day, table)
    return lake


def before(days: int) -> date:
    return DAY - timedelta(days=days)


def test_watched_are_x_min_zeta_and_the_top_of_a_size() -> None:
    assert watched(LIKES) == (
        "tail_hub_likes_x_min", "tail_hub_likes_zeta", "shape_hub_likes_top1pct_share",
    )  # fmt: skip
    assert watched(TVL)[1] == "tail_defi_tvl_zeta"


def test_a_day_is_held_against_the_thirty_days_before_it(tmp_path: Path) -> None:
    old = {before(31): parameters(1e9, 99.0)}
    month = {before(n): parameters(20.0, 1.0 + n / 1e3) for n in (1, 2, 5, 29, 30)}
    today = {DAY: parameters(1e9, 99.0), before(-1): parameters(1e9, 99.0)}
    lake = lake_of(tmp_path, old | month | today)
    x_min, zeta, share = measure_drift(lake, parameters(22.0, 1.2), DAY, LIKES)
    assert (x_min.name, zeta.name, share.name) == (X_MIN, ZETA, SHARE)
    assert {d.n_days for d in (x_min, zeta, share)} == {5}
    assert zeta.value == 1.2
    assert zeta.median == pytest.approx(1.005)
    # deviations from 1.005: .004, .003, 0, .024, .025
    assert zeta.limit == pytest.approx(max(4 * 1.4826 * 0.004, 0.05 * 1.005))
    assert zeta.drifted
    # x_min in logs: 22 against 20, within 5 % of log 20
    assert x_min.value == pytest.approx(math.log(22.0))
    assert x_min.median == pytest.approx(math.log(20.0))
    assert x_min.limit == pytest.approx(0.05 * math.log(20.0))
    assert not x_min.drifted
    assert not share.drifted
    assert measure_drift(lake, parameters(24.0, 1.2), DAY, LIKES)[0].drifted


def test_a_month_that_is_noisy_widens_the_band(tmp_path: Path) -> None:
    month = {before(n): parameters(20.0, 1.0 + 0.1 * n) for n in (1, 2, 3, 4, 5)}
    zeta = measure_drift(lake_of(tmp_path, month), parameters(20.0, 1.8), DAY, LIKES)[1]
    assert zeta.median == pytest.approx(1.3)
    assert zeta.limit == pytest.approx(4 * 1.4826 * 0.1)
    assert not zeta.drifted


def test_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    month = {before(n): parameters(20.0, None if n == 3 else 1.0) for n in range(1, 6)}
    month[before(4)] = month[before(4)].filter(pl.col("name") != SHARE)
    lake = lake_of(tmp_path, month)
    x_min, zeta, share = measure_drift(lake, parameters(20.0, 9.0), DAY, LIKES)
    assert (x_min.n_days, zeta.n_days, share.n_days) == (5, 4, 4)
    assert (zeta.median, zeta.limit, zeta.drifted) == (None, None, False)  # four days are too few
    named = [d.name for d in measure_drift(lake, parameters(20.0, None), DAY, LIKES)]
    assert named == [X_MIN, SHARE]
    assert measure_drift(lake, parameters(20.0, 1.0), DAY, TVL) == []


def test_a_first_day_has_nothing_to_be_held_against(tmp_path: Path) -> None:
    found = measure_drift(Lake(tmp_path), parameters(20.0, 1.0), DAY, LIKES)
    assert found[1] == Drift(ZETA, 1.0, None, None, 0)
    assert not any(d.drifted for d in found)
