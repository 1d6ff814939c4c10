"""CES demand has the purchases of the data, an uncertain zeta, and gains for those with likes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.demand.ces import DemandFit, fit_demand
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import CohortSample, pooled
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import Sampler
from baimo.pipeline.models.ces import DEMAND_FIT, Ces, DemandIncrements
from baimo.pipeline.models.increments import MeasuredIncrements
from baimo.pipeline.models.registry import CALIBRATIONS, FILE_MODELS
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES
from tests.pipeline.synthetic import day_of, draws_of, fits_of, results_of_a_day


def test_as_many_items_as_the_data_in_every_cohort(
    draws: dict[tuple[str, str], Sampler], seen: dict[str, CohortSample]
) -> None:
    drawn = draws["CES", "likes"](np.random.default_rng(1))
    assert {c: k.n_obs for c, k in drawn.items()} == {c: k.n_obs for c, k in seen["likes"].items()}


def test_demand_has_the_purchases_of_the_data_and_an_uncertain_zeta(
    attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> None:
    def spread(error: float) -> float:
        fits = {k: replace(fit, zeta=1.5, std_error=error) for k, fit in demand.items()}
        draw = draws_of(day_of({**results_of_a_day(), DEMAND_FIT: fits}))
        drawn = [pooled(draw["CES", "likes"](np.random.default_rng(i))) for i in range(40)]
        assert {d.total for d in drawn} == {attachment.simon_likes.total}
        zetas = [math.log(d.values[-1] / np.quantile(d.values, 0.5)) for d in drawn]
        return float(np.std(zetas, ddof=1))

    assert spread(0.4) > spread(1e-9)


def test_zeta_is_the_fitted_one(day: Day, demand: dict[str, DemandFit]) -> None:
    for variable in HUB:
        assert Ces().predict(day, variable).zeta == demand[variable.name].zeta
    assert demand["likes"].zeta != demand["downloads"].zeta


def test_gains_are_those_of_the_fit_and_of_the_whole_cross_section(
    kernel: KernelCalibration, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> None:
    simon = attachment.simon_likes
    fit = replace(demand["likes"], zeta=1.3, std_error=0.05)
    day = day_of({**results_of_a_day(), DEMAND_FIT: {**demand, "likes": fit}})
    measured = Ces().increments(day, LIKES)
    assert isinstance(measured, MeasuredIncrements)
    gains = measured.sample(np.random.default_rng(1))
    alike = DemandIncrements(kernel, 1.3, 0.05, simon.n_obs, simon.total)
    assert np.array_equal(gains, alike(np.random.default_rng(1)))
    assert not np.array_equal(gains, alike(np.random.default_rng(2)))
    # rates are brought to the observed total, gains are Poisson around them
    assert abs(gains.sum() - kernel.total_gain) < 4 * math.sqrt(kernel.total_gain)
    # whoever has many likes has a high rate, and who has none has some
    few, many = kernel.stock == 0, kernel.stock >= 50
    per_item = [gains[cells].sum() / kernel.items[cells].sum() for cells in (few, many)]
    assert 0 < 10 * per_item[0] < per_item[1]
    assert Ces().increments(day, DOWNLOADS) is None


@pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")
def test_the_asset_is_the_fit_of_both_tails_and_exports_the_central_case() -> None:
    rng = np.random.default_rng(7)
    tails = {v: fits_of(rng.zipf(z, 2_000), v) for v, z in zip(HUB, (2.0, 2.6), strict=True)}
    calibration = next(c for c in CALIBRATIONS if c.stored is DEMAND_FIT)
    fits = calibration.fit(day_of({TAILS[v.name]: found for v, found in tails.items()}))
    rows = {row["name"]: row for row in calibration.parameters(fits)}
    for variable, prefix in ((DOWNLOADS, "ces_"), (LIKES, "ces_likes_")):
        tail, counts = tails[variable].tail, tails[variable].counts
        assert fits[variable.name].zeta == fit_demand(counts, tail).zeta == tail.zeta
        assert fits[variable.name].total == counts.total
        assert rows[f"{prefix}zeta"]["value"] == tail.zeta
        assert (rows[f"{prefix}rho"]["value"], rows[f"{prefix}rho"]["std_error"]) == (0.6, None)
        # alpha = zeta rho/(1 - rho), error alike
        alpha = rows[f"{prefix}alpha"]
        assert alpha["value"] == pytest.approx(1.5 * tail.zeta, rel=1e-12)
        assert alpha["std_error"] == pytest.approx(1.5 * tail.std_error_clustered, rel=1e-12)
        assert alpha["notes"].startswith("rho = 0.6 assumed; ")
        assert rows[f"{prefix}alpha_rho_0.9"]["value"] == pytest.approx(9 * tail.zeta, rel=1e-12)
    assert calibration.shown(fits)["alpha_likes"] == pytest.approx(1.5 * tails[LIKES].tail.zeta)


class TestFile:
    VALUES = FILE_MODELS["ces"].defaults

    def test_purchases_are_as_many_as_asked_for_and_tastes_are_of_families(self) -> None:
        given = {**self.VALUES, "mean_demand": 50.0, "family_size": 4.0, "cost_sd": 0.3}
        rows = FILE_MODELS["ces"].sample(given, 2_002, np.random.default_rng(8))
        assert rows.columns == ["demand", "cost", "family"]
        assert rows["demand"].sum() == 50 * 2_002
        assert rows["family"].to_list() == [i // 4 for i in range(2_002)]
        costs = np.log(rows["cost"].to_numpy())
        assert stats.kstest(costs, "norm", (0.0, 0.3)).pvalue > 1e-3

    def test_demand_at_equal_cost_has_the_exponent_of_tastes_and_substitution(self) -> None:
        # alpha 1.2, rho 1/3: zeta = alpha (1 - rho)/rho = 2.4; the largest of n Pareto sizes.
        given = {**self.VALUES, "alpha": 1.2, "rho": 1 / 3, "cost_sd": 0.0, "family_size": 1.0}
        rows = FILE_MODELS["ces"].sample(
            {**given, "mean_demand": 1e5}, 20_000, np.random.default_rng(9)
        )
        top = np.sort(rows["demand"].to_numpy())[-2_000:].astype(float)
        zeta = 1 / np.log(top / top[0])[1:].mean()
        assert abs(zeta - 2.4) < 4 * 2.4 / math.sqrt(2_000)

    def test_a_family_without_items_is_refused(self) -> None:
        with pytest.raises(SourceError, match="family_size must be at least 1"):
            FILE_MODELS["ces"].sample(
                {**self.VALUES, "family_size": 0.4}, 10, np.random.default_rng(1)
            )
