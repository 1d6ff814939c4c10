"""CES demand has the tail of the data, and gains for those with likes."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.demand.counts import fit_demand_tail, log_ccdf, log_smallest_demand
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import CohortSample, pooled
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import Sampler, values_of
from baimo.pipeline.models.ces import DEMAND_FIT, Ces, DemandIncrements
from baimo.pipeline.models.increments import MeasuredIncrements
from baimo.pipeline.models.registry import CALIBRATIONS, FILE_MODELS
from baimo.pipeline.schema.derived import HUB_SAMPLING
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES
from tests.pipeline.synthetic import day_of, fits_of, results_of_a_day


def test_as_many_items_as_the_data_in_every_cohort(
    draws: dict[tuple[str, str], Sampler], seen: dict[str, CohortSample]
) -> None:
    drawn = draws["CES", "likes"](np.random.default_rng(1))
    assert {c: k.n_obs for c, k in drawn.items()} == {c: k.n_obs for c, k in seen["likes"].items()}


def test_demand_has_the_tail_of_the_data(
    draws: dict[tuple[str, str], Sampler], demand: dict[str, DemandFit]
) -> None:
    fit, runs = demand["downloads"], 60
    drawn = [pooled(draws["CES", "downloads"](np.random.default_rng(i))) for i in range(runs)]
    assert {one.n_obs for one in drawn} == {fit.n_obs}
    for x in (fit.x_min, 10 * fit.x_min):
        share = (
            fit.n_tail / fit.n_obs * math.exp(log_ccdf(x, fit.zeta) - log_ccdf(fit.x_min, fit.zeta))
        )
        expected, variance = fit.n_obs * share, fit.n_obs * share * (1 - share)
        found = [one.multiplicities[one.values >= x].sum() for one in drawn]
        assert abs(np.mean(found) - expected) < 4 * math.sqrt(variance / runs), x
        # parameters do not scatter: the number is binomial
        assert abs(np.var(found, ddof=1) / variance - 1) < 4 * math.sqrt(2 / (runs - 1)), x


def test_demand_is_drawn_at_the_parameters_that_are_given(
    day: Day, demand: dict[str, DemandFit]
) -> None:
    fit = demand["downloads"]
    found = Ces().parameters(day, DOWNLOADS)
    assert found["ces_zeta"] == Estimate(value=fit.zeta, std_error=fit.std_error)
    assert values_of(found) == {
        "ces_zeta": fit.zeta, "ces_log10_tail": math.log10(1 + fit.n_tail),
    }  # fmt: skip
    given = {"ces_zeta": 1.5, "ces_log10_tail": math.log10(1 + 1_000)}
    rng = np.random.default_rng(3)
    drawn = [pooled(Ces().sampler(day, DOWNLOADS, given)(rng)) for _ in range(10)]
    tails = [fit_demand_tail(one, x_min=fit.x_min) for one in drawn]
    error = math.sqrt(sum(t.std_error**2 for t in tails)) / 10
    assert abs(np.mean([t.zeta for t in tails]) - 1.5) < 4 * error
    assert abs(np.mean([t.n_tail for t in tails]) - 1_000) < 4 * math.sqrt(1_000 / 10)


def test_zeta_is_the_fitted_one(day: Day, demand: dict[str, DemandFit]) -> None:
    for variable in HUB:
        assert Ces().predict(day, variable).zeta == demand[variable.name].zeta
    assert demand["likes"].zeta != demand["downloads"].zeta


def test_gains_are_those_of_the_fit_and_of_the_whole_cross_section(
    kernel: KernelCalibration, demand: dict[str, DemandFit]
) -> None:
    fit = replace(demand["likes"], zeta=1.3, std_error=0.05)
    day = day_of({**results_of_a_day(), DEMAND_FIT: {**demand, "likes": fit}})
    values = values_of(Ces().parameters(day, LIKES))
    measured = Ces().increments(day, LIKES, values)
    assert isinstance(measured, MeasuredIncrements)
    gains = measured.sample(np.random.default_rng(1))
    least = log_smallest_demand(1.3, fit.x_min, fit.n_tail / fit.n_obs)
    alike = DemandIncrements(kernel, 1.3, least)
    assert np.array_equal(gains, alike(np.random.default_rng(1)))
    assert not np.array_equal(gains, alike(np.random.default_rng(2)))
    # rates are brought to the observed total, gains are Poisson around them
    assert abs(gains.sum() - kernel.total_gain) < 4 * math.sqrt(kernel.total_gain)
    # whoever has many likes has a high rate, and who has none has some
    few, many = kernel.stock == 0, kernel.stock >= 50
    per_item = [gains[cells].sum() / kernel.items[cells].sum() for cells in (few, many)]
    assert 0 < 10 * per_item[0] < per_item[1]
    assert Ces().increments(day, DOWNLOADS, values) is None


@pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")
def test_the_asset_is_the_fit_of_both_tails_and_exports_the_central_case() -> None:
    rng = np.random.default_rng(7)
    sizes = {v: fits_of(rng.zipf(z, 2_000), v) for v, z in zip(HUB, (2.0, 2.6), strict=True)}
    calibration = next(c for c in CALIBRATIONS if c.stored is DEMAND_FIT)
    # owners of likes are known, of downloads they are not
    known = pl.DataFrame(
        [("likes", "ces_zeta", 1.6, 0.25, 9.0, 40.0, 1.7, 0.2),
         ("likes", "zeta", 1.6, 0.75, 9.0, 40.0, 1.7, 0.2)],
        schema=HUB_SAMPLING.schema, orient="row",
    )  # fmt: skip
    fits = calibration.fit(
        day_of({HUB_SAMPLING: known, **{TAILS[v.name]: found for v, found in sizes.items()}})
    )
    rows = {row["name"]: row for row in calibration.parameters(fits)}
    for variable, prefix in ((DOWNLOADS, "ces_"), (LIKES, "ces_likes_")):
        counts, fit = sizes[variable].counts, fits[variable.name]
        tail = fit_demand_tail(counts)
        assert (fit.zeta, fit.x_min, fit.n_tail) == (tail.zeta, tail.x_min, tail.n_tail)
        assert fit.std_error == (tail.std_error if variable is DOWNLOADS else 0.25)
        assert fit.total == counts.total
        assert rows[f"{prefix}zeta"]["value"] == tail.zeta
        assert (rows[f"{prefix}rho"]["value"], rows[f"{prefix}rho"]["std_error"]) == (0.6, None)
        # alpha = zeta rho/(1 - rho), error alike
        alpha = rows[f"{prefix}alpha"]
        assert alpha["value"] == pytest.approx(1.5 * tail.zeta, rel=1e-12)
        assert alpha["std_error"] == pytest.approx(1.5 * fit.std_error, rel=1e-12)
        assert alpha["notes"].startswith("rho = 0.6 assumed; ")
        assert rows[f"{prefix}alpha_rho_0.9"]["value"] == pytest.approx(9 * tail.zeta, rel=1e-12)
    assert calibration.shown(fits)["alpha_likes"] == pytest.approx(1.5 * fits["likes"].zeta)


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
