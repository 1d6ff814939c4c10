"""Growth by period: on made-up protocols with a known path, and as measured on the recordings."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.datasets.external import read_companion, tabulate_companions
from baimo.pipeline.datasets.growth_periods import (
    BY_ID,
    BY_NAME,
    DATES,
    SURVIVORS,
    WEEKS,
    tabulate_periods,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import TVL_GROWTH_PERIODS
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.settings import reference_dir

LAST = date(2025, 12, 17)
DRIFTS = (-1.5, -0.5, 0.5, -0.8)
SIGMA = 1.0
N = 3_000


def made_up(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return protocols by id on the four dates, all renamed half-way, and by name on a last."""
    rng = np.random.default_rng(seed)
    log_size = rng.normal(17.0, 1.5, N)
    names = ["RWA", "CEX", *(f"c{k}" for k in range(14))]
    category = rng.choice(names, N, p=[0.25, 0.25, *[0.5 / 14] * 14])
    parts = []
    for i, day in enumerate(DATES):
        if i:
            years = (day - DATES[i - 1]).days / 365.25
            log_size += DRIFTS[i - 1] * years + SIGMA * math.sqrt(years) * rng.standard_normal(N)
        parts.append(
            pl.DataFrame(
                {
                    "observed_on": [day] * N,
                    "id": [str(k) for k in range(N)],
                    "name": [f"{'old' if i < 2 else 'new'} {k}" for k in range(N)],
                    # the last date tells no category: those of earlier dates stand in
                    "category": category if i < 3 else pl.Series([None] * N, dtype=pl.String),
                    "listed_at": [DATES[k % 4] - timedelta(days=k % 91) for k in range(N)],
                    "tvl_usd": np.exp(log_size),
                }
            )
        )
    by_id = pl.concat(parts)
    years = (LAST - DATES[-1]).days / 365.25
    log_size += DRIFTS[-1] * years + SIGMA * math.sqrt(years) * rng.standard_normal(N)
    later = parts[-1].with_columns(
        observed_on=pl.lit(LAST), tvl_usd=np.exp(log_size), category=pl.Series(category)
    )
    return by_id, later.drop("id", "listed_at")


def weekly(seed: int, items: int = 30) -> pl.DataFrame:
    """Return a panel with drift +2 in 2020 and -1 in 2021, with a market of every week."""
    rng = np.random.default_rng(seed)
    weeks = [date(2020, 1, 4) + timedelta(weeks=k) for k in range(104)]
    drift = np.array([2.0 if w.year == 2020 else -1.0 for w in weeks]) * 7 / 365.25
    market = 0.1 * rng.standard_normal(len(weeks))
    growth = drift + market + 0.05 * rng.standard_normal((items, len(weeks)))
    return pl.DataFrame(
        {
            "protocol_number": np.repeat(np.arange(items), len(weeks)),
            "week": weeks * items,
            "log_growth": growth.ravel(),
            "age_weeks": np.tile(np.arange(len(weeks)) + 9, items),
        }
    )


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return tabulate_periods(*made_up(1), weekly(2))


def test_it_fits_its_table_with_a_row_for_each_period_and_definition(table: pl.DataFrame) -> None:
    assert validate(table, TVL_GROWTH_PERIODS).quarantine.is_empty()
    for name in ("broad", "defillama"):
        rows = table.filter(population=name)
        assert rows["before_on"].to_list() == list(DATES)
        assert rows["after_on"].to_list() == [*DATES[1:], LAST]
        assert rows["joined_by"].to_list() == [BY_ID] * 3 + [BY_NAME]
    broad, own = (table.filter(population=n)["n_grown"].to_numpy() for n in ("broad", "defillama"))
    assert np.all(own < broad)  # without RWA
    assert np.all(broad < 0.8 * N)  # without CEX, on every date


def test_a_recording_by_id_gives_it_with_the_main_ones(table: pl.DataFrame, tmp_path: Path) -> None:
    by_id, later = made_up(1)
    by_id.write_parquet(path := tmp_path / "protocols.parquet")
    found = read_companion(path)
    assert found is not None
    models = pl.DataFrame(schema={"model_id": pl.String, "likes": pl.Int64, "created_at": pl.Date})
    before = later.with_columns(observed_on=pl.lit(DATES[2]), tvl_usd=1.0)
    main = {
        "hub_models": models,
        "defillama_protocols": pl.concat([before, later]),
        "tvl_weekly": weekly(2),
    }
    assert tabulate_companions([found], main, LAST)["tvl_growth_periods"].equals(table)


def test_drifts_are_recovered_through_renames(table: pl.DataFrame) -> None:
    rows = table.filter(population="broad")
    for found, drift in zip(rows.iter_rows(named=True), DRIFTS, strict=True):
        # the floor on both dates shifts the mean of those far above it by less than its error
        assert abs(found["log_drift"] - drift) < 4 * found["log_drift_std_error"]
        assert abs(found["sigma"] - SIGMA) < 0.06
        assert abs(found["size_exponent"] - 1.0) < 4 * found["size_exponent_std_error"]
        assert found["exit_share"] < 0.02
    # a quarter of them is listed in the 91 days to each date
    assert rows["n_entrants"].to_numpy() == pytest.approx(np.full(4, 0.75 * N / 4), rel=0.1)
    assert rows["log_entry_mean"][0] == pytest.approx(17.0, abs=4 * 1.5 / math.sqrt(500))


def test_what_vanishes_or_falls_below_the_threshold_is_an_exit() -> None:
    by_id, later = made_up(3)
    second = pl.col("observed_on") == DATES[1]
    number = pl.col("id").cast(pl.Int64)
    fewer = by_id.filter(~(second & (number % 10 == 0))).with_columns(
        tvl_usd=pl.when(second & (number % 10 == 1)).then(5_000.0).otherwise("tvl_usd")
    )
    first = tabulate_periods(fewer, later, weekly(2)).filter(population="broad").row(0, named=True)
    untouched = tabulate_periods(by_id, later, weekly(2)).filter(population="broad")
    expected = 0.2 + 0.8 * untouched["exit_share"][0]
    error = math.sqrt(0.16 / first["n_at_risk"])
    assert abs(first["exit_share"] - expected) < 4 * error
    assert first["exit_std_error"] == pytest.approx(error, rel=0.1)


def test_the_panel_has_a_row_a_year_and_knows_that_weeks_are_shared(table: pl.DataFrame) -> None:
    rows = table.filter(population=SURVIVORS)
    assert rows["joined_by"].unique().to_list() == [WEEKS]
    assert rows["before_on"].to_list() == [date(2020, 1, 1), date(2021, 1, 1)]
    assert rows["n_grown"].to_list() == [30, 30]
    for found, drift in zip(rows.iter_rows(named=True), (2.0, -1.0), strict=True):
        clustered = found["log_drift_std_error_clustered"]
        assert abs(found["log_drift"] - drift) < 4 * clustered
        # 52 weeks of a market of .1 and 30 protocols of .05 a week
        exact = 365.25 / 7 * math.sqrt((0.1**2 + 0.05**2 / 30) / 52)
        assert clustered == pytest.approx(exact, rel=0.35)
        assert clustered > 3 * found["log_drift_std_error"]


def test_few_protocols_make_no_year_and_a_date_that_is_not_there_is_refused() -> None:
    by_id, later = made_up(1)
    few = tabulate_periods(by_id, later, weekly(2, items=9))
    assert few.filter(population=SURVIVORS).is_empty()
    with pytest.raises(SourceError, match="no protocols by id of 2022-01-10"):
        tabulate_periods(by_id.filter(pl.col("observed_on") > DATES[0]), later, weekly(2))


def test_the_bundled_table_holds_what_was_measured() -> None:
    """Drift, its error, and exits of every period, as found independently.

    By name to 2025-12 the drift is that of 2024-03 on. Of the panel's 2022 another reading of its
    weeks gave -1.16; its clustered error is .65.
    """
    table = pl.read_parquet(reference_dir() / "tvl_growth_periods.parquet")
    broad = table.filter(population="broad")
    half = 0.0051  # of the last digit that was told
    assert broad["log_drift"].to_list() == pytest.approx([-1.84, -1.05, 0.11, -0.76], abs=half)
    assert broad["log_drift_std_error"].to_list() == pytest.approx(
        [0.06, 0.07, 0.05, 0.02], abs=half
    )
    assert broad["exit_share"].round(3).to_list() == [0.179, 0.082, 0.083, 0.316]
    exponents = broad.select("size_exponent", "size_exponent_std_error").rows()
    assert [(round(b, 2), round(s, 2)) for b, s in exponents] == [
        (1.01, 0.06), (1.05, 0.05), (0.89, 0.09), (0.96, 0.13)
    ]  # fmt: skip
    panel = table.filter(population=SURVIVORS)["log_drift"].round(2).to_list()
    assert panel == [4.15, 2.23, -1.09]
