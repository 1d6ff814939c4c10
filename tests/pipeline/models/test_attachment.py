"""Preferential attachment calibrated on made-up models whose truth is known."""

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.models.attachment import ATTACHMENT_FIT, calibrate_attachment
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_DESIGN_EFFECTS, HUB_FREQUENCY
from baimo.pipeline.variables import DOWNLOADS, HUB_FLOOR, LIKES, hub_ages, hub_counts
from tests.pipeline.synthetic import DAY, NO_EFFECTS, day_of, hub_frequency


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    return hub_frequency(20_000, 3)


def test_a_yule_population_is_recovered(frequency: pl.DataFrame) -> None:
    counts = {m.name: hub_counts(frequency, m) for m in (DOWNLOADS, LIKES)}
    fit = calibrate_attachment(frequency, counts["downloads"], counts["likes"], NO_EFFECTS, DAY)
    yule = fit.yule_likes
    assert yule.converged
    assert yule.covariance is not None
    errors = np.sqrt(np.diag(yule.covariance))
    assert abs(yule.gamma - 0.8) < 4 * errors[0]
    assert abs(yule.a - 2.0) < 4 * errors[1]
    assert abs(fit.entry.rate - 1.3) < 4 * fit.entry.std_error


def test_floor_day_models_are_left_out_and_counted(frequency: pl.DataFrame) -> None:
    floor = pl.DataFrame(
        {"created_on": [HUB_FLOOR], "downloads": [5], "likes": [1], "n_models": [300]}
    )
    both = pl.concat([frequency, floor])
    dated, horizon = hub_ages(both, DAY)
    assert dated["n_models"].sum() == frequency["n_models"].sum()
    assert horizon == pytest.approx(((DAY - HUB_FLOOR).days + 0.5) / 365.25)
    fit = calibrate_attachment(
        both, hub_counts(both, DOWNLOADS), hub_counts(both, LIKES), NO_EFFECTS, DAY
    )
    assert fit.entry.n_obs - fit.entry.n_used == 300
    assert "300 models" in fit.entry.notes[0]


def test_the_asset_is_the_fit_of_the_days_tables_and_exports_it() -> None:
    table = hub_frequency(2_000, 3)
    calibration = next(c for c in CALIBRATIONS if c.stored is ATTACHMENT_FIT)
    fit = calibration.fit(day_of({HUB_FREQUENCY: table, HUB_DESIGN_EFFECTS: NO_EFFECTS}))
    rows = {row["name"]: row for row in calibration.parameters(fit)}
    assert rows["pa_simon_likes_p"]["value"] == fit.simon(LIKES).p == fit.simon_likes.p
    assert rows["pa_simon_downloads_p"]["value"] == fit.simon_downloads.p
    assert rows["pa_entry_growth_plus_exit"]["value"] == fit.entry.rate
    assert fit.simon_likes.n_obs == table["n_models"].sum() == fit.cohorts.n_all
