"""Lognormal rates are found where they made the counts, and what they draw grows with age."""

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.summary_statistics import CohortSample, pooled
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import Sampler, values_of
from baimo.pipeline.models.poisson_rates import (
    RATES_FIT,
    PoissonRates,
    RateIncrements,
    fit_rates,
)
from baimo.pipeline.models.registry import CALIBRATIONS, FILE_MODELS
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.variables import DOWNLOADS, LIKES, N_COHORTS
from tests.pipeline.synthetic import DAY, day_of

Draws = dict[tuple[str, str], Sampler]


def liked_at_lognormal_rates() -> pl.DataFrame:
    """Return 3,000 models whose likes come at a lognormal rate for as long as they are there."""
    rng = np.random.default_rng(8)
    days = rng.integers(1, 60, 3_000) * 10
    rate = np.exp(0.7 + 0.8 * rng.standard_normal(3_000))
    return pl.DataFrame(
        {
            "created_on": [DAY - timedelta(days=int(d)) for d in days],
            "downloads": 0,
            "likes": rng.poisson(rate * (days + 0.5) / 365.25),
            "n_models": 1,
        }
    )


def test_as_many_items_as_the_data_in_every_cohort(
    draws: Draws, seen: dict[str, CohortSample]
) -> None:
    drawn = draws["fitness", "likes"](np.random.default_rng(1))
    assert {c: k.n_obs for c, k in drawn.items()} == {c: k.n_obs for c, k in seen["likes"].items()}


def test_fitness_means_grow_with_age(draws: Draws) -> None:
    rng = np.random.default_rng(4)
    grown = [draws["fitness", "likes"](rng) for _ in range(20)]
    means = [np.mean([one[c].total / one[c].n_obs for one in grown]) for c in range(N_COHORTS)]
    assert np.all(np.diff(means) > 0)


def test_rates_are_fitted_where_there_is_something_to_fit() -> None:
    found = fit_rates(liked_at_lognormal_rates(), DAY)
    assert set(found) == {"likes"}  # downloads are all zero
    for name, truth in (("mu", 0.7), ("sigma", 0.8), ("phi", 1.0)):
        e = found["likes"].estimates()[name]
        assert abs((e.value or 0) - truth) < 4 * (e.std_error or 0), name


def test_the_asset_is_the_fit_of_the_days_table_and_exports_it() -> None:
    table = liked_at_lognormal_rates()[:500]
    calibration = next(c for c in CALIBRATIONS if c.stored is RATES_FIT)
    fits = calibration.fit(day_of({HUB_FREQUENCY: table}))
    rows = {row["name"]: row["value"] for row in calibration.parameters(fits)}
    fit = fit_rates(table, DAY)["likes"]
    expected = {"mu": fit.mu, "sigma": fit.sigma, "phi": fit.phi}
    assert rows == {f"fitness_hub_likes_{name}": value for name, value in expected.items()}
    assert calibration.shown(fits) == {f"likes_{name}": value for name, value in expected.items()}


def test_gains_are_drawn_of_likes_alone_and_at_the_observed_total(
    day: Day, kernel: KernelCalibration
) -> None:
    values = values_of(PoissonRates().parameters(day, LIKES) or {})
    measured = PoissonRates().increments(day, LIKES, values)
    assert measured is not None
    assert measured(np.random.default_rng(1)).keys() == {"theta", "phi", "psi"}
    assert PoissonRates().increments(day, DOWNLOADS, values) is None
    draw = RateIncrements.of(kernel, day.read(RATES_FIT)["likes"].params)
    totals = [draw(np.random.default_rng(i)).sum() for i in range(20)]
    assert abs(np.mean(totals) - kernel.total_gain) < 4 * math.sqrt(kernel.total_gain / 20)


def test_no_exponent_is_predicted_and_nothing_drawn_where_nothing_was_fitted(day: Day) -> None:
    model = PoissonRates()
    assert model.predict(day, LIKES).zeta is None
    assert model.parameters(day, DOWNLOADS) is None  # fitted to likes alone


def test_rates_are_drawn_at_the_parameters_that_are_given(
    day: Day, seen: dict[str, CohortSample]
) -> None:
    model, fit = PoissonRates(), day.read(RATES_FIT)["likes"]
    found = model.parameters(day, LIKES)
    assert found is not None
    assert found == {f"fitness_{name}": fit.estimates()[name] for name in ("mu", "sigma", "phi")}
    # without spread and without growth every item has a Poisson count at e^mu
    given = {"fitness_mu": 1.2, "fitness_sigma": 0.0, "fitness_phi": 0.0}
    drawn = pooled(model.sampler(day, LIKES, given)(np.random.default_rng(2)))
    rate, n = math.exp(1.2), pooled(seen["likes"]).n_obs
    assert drawn.n_obs == n
    assert abs(drawn.total - n * rate) < 4 * math.sqrt(n * rate)
    p_zero = math.exp(-rate)
    assert abs(drawn.n_zero - n * p_zero) < 4 * math.sqrt(n * p_zero * (1 - p_zero))


def test_the_file_holds_counts_at_lognormal_rates() -> None:
    n = 40_000
    given = {"mu": 0.3, "sigma": 0.5, "phi": 0.7, "entry_growth_plus_exit": 1.2, "horizon": 4.0}
    rows = FILE_MODELS["fitness"].sample(given, n, np.random.default_rng(9))
    assert rows.columns == ["likes", "age"]
    assert rows["age"].max() < 4.0  # type: ignore[operator]
    likes, age = rows["likes"].to_numpy(), rows["age"].to_numpy()
    # E = e^(mu + sigma^2/2) age^phi; Var = E + E^2 (e^(sigma^2) - 1)
    mean = math.exp(0.3 + 0.125) * age**0.7
    variance = mean + mean**2 * math.expm1(0.25)
    for young in (age < 0.5, age >= 0.5):
        gap = likes[young].sum() - mean[young].sum()
        assert abs(gap) < 4 * math.sqrt(variance[young].sum())
    squares = (likes - mean) ** 2 / variance
    assert squares.mean() == pytest.approx(1.0, abs=4 * squares.std(ddof=1) / math.sqrt(n))
