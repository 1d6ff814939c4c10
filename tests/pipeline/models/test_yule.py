"""The Yule process grows with age, ends at the observed total, and has zeta (n + delta)/gamma."""

import math
from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT, AttachmentCalibration
from baimo.pipeline.models.base import Sampler, values_of
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.registry import FILE_MODELS
from baimo.pipeline.models.yule import Yule, YuleIncrements, yule_at
from baimo.pipeline.variables import LIKES, N_COHORTS
from baimo.simulation.attachment.simon_yule import YuleParams
from tests.pipeline.synthetic import N_OLD, day_of, results_of_a_day


def test_as_many_items_as_the_data_in_every_cohort(
    draws: dict[tuple[str, str], Sampler], seen: dict[str, CohortSample]
) -> None:
    drawn = draws["Yule", "likes"](np.random.default_rng(1))
    assert {c: k.n_obs for c, k in drawn.items()} == {c: k.n_obs for c, k in seen["likes"].items()}


def test_yule_means_grow_with_age(
    draws: dict[tuple[str, str], Sampler], attachment: AttachmentCalibration
) -> None:
    params = attachment.yule_likes.params
    assert params is not None
    cut = attachment.cohorts
    ages = np.repeat(cut.ages, cut.n_items)
    rng = np.random.default_rng(3)
    runs = 40
    drawn = [draws["Yule", "likes"](rng) for _ in range(runs)]
    for c in range(N_COHORTS):
        growth = np.expm1(params.gamma * ages[(cut.edges[c] <= ages) & (ages < cut.edges[c + 1])])
        mean, variance = params.a * growth, params.a * growth * (1 + growth)
        total = np.mean([one[c].total for one in drawn])
        assert abs(total - mean.sum()) < 4 * math.sqrt(variance.sum() / runs)
    old = params.a * math.expm1(params.gamma * attachment.entry.horizon)
    spread = old + old**2 / params.a  # the undated are as old as the history
    found = np.mean([one[UNDATED].total for one in drawn]) / N_OLD
    assert abs(found - old) < 4 * math.sqrt(spread / N_OLD / runs)


def test_a_yule_is_at_its_estimates(day: Day, attachment: AttachmentCalibration) -> None:
    found = Yule().parameters(day, LIKES)
    assert found is not None
    fit, entry = attachment.yule_likes, attachment.entry
    assert found == {
        "entry_rate": Estimate(value=entry.rate, std_error=entry.std_error),
        "yule_gamma": fit.estimates()["gamma"],
        "yule_a": fit.estimates()["a"],
    }
    assert yule_at(attachment, values_of(found)) == fit.params
    other = yule_at(attachment, {"entry_rate": 1.0, "yule_gamma": 0.4, "yule_a": 3.0})
    assert other == YuleParams(entry_plus_exit=1.0, gamma=0.4, a=3.0)


def test_a_yule_without_an_optimum_is_tuned_to_zeta_and_total(
    attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> None:
    failed = replace(attachment, yule_likes=replace(attachment.yule_likes, converged=False))
    assert failed.yule_likes.params is None
    tail = replace(demand["likes"], zeta=1.25, std_error=0.1)
    day = day_of(
        {**results_of_a_day(), ATTACHMENT_FIT: failed, DEMAND_FIT: {**demand, "likes": tail}}
    )
    found = Yule().parameters(day, LIKES)
    assert found is not None
    assert found.keys() == {"entry_rate", "ces_zeta", "log_total"}
    assert found["ces_zeta"] == Estimate(value=1.25, std_error=0.1)
    params = yule_at(failed, values_of(found))
    assert params.zeta == pytest.approx(1.25, rel=1e-12)
    expected = np.sum(params.a * np.expm1(params.gamma * attachment.ages) * attachment.n_models)
    assert expected == pytest.approx(attachment.simon_likes.total, rel=1e-12)


def test_zeta_is_that_of_the_fit_or_the_one_that_it_was_tuned_to(
    day: Day, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> None:
    fit = attachment.yule_likes
    found = Yule().predict(day, LIKES)
    assert found.zeta == pytest.approx(attachment.entry.rate / fit.gamma, rel=1e-12)
    assert found.remark == ""
    failed = replace(fit, converged=False, notes=("no optimum",))
    other = {**results_of_a_day(), ATTACHMENT_FIT: replace(attachment, yule_likes=failed)}
    tuned = Yule().predict(day_of(other), LIKES)
    assert tuned.zeta == demand["likes"].zeta
    assert tuned.remark == "gamma and a tuned to zeta and the total; no optimum"


def test_without_growth_of_entry_nothing_is_drawn(attachment: AttachmentCalibration) -> None:
    still = replace(attachment, entry=replace(attachment.entry, rate=-0.1))
    day = day_of({**results_of_a_day(), ATTACHMENT_FIT: still})
    assert Yule().parameters(day, LIKES) is None


def test_gains_are_negative_binomial_births(
    day: Day, kernel: KernelCalibration, attachment: AttachmentCalibration
) -> None:
    values = values_of(Yule().parameters(day, LIKES) or {})
    measured = Yule().increments(day, LIKES, values)
    assert measured is not None
    assert measured(np.random.default_rng(1))["theta"] == pytest.approx(1.0, abs=0.1)
    without = day_of({**results_of_a_day(), KERNEL_FIT: None})
    assert Yule().increments(without, LIKES, values) is None
    params = attachment.yule_likes.params
    assert params is not None
    weight = kernel.items * (kernel.stock + params.a)
    growth = kernel.total_gain / float(weight.sum())
    draw, runs = YuleIncrements(weight, growth), 200
    drawn = np.array([draw(np.random.default_rng([3, i])) for i in range(runs)])
    mean, variance = weight * growth, weight * growth * (1 + growth)
    totals = drawn.sum(axis=1)
    assert abs(totals.mean() - kernel.total_gain) < 4 * math.sqrt(variance.sum() / runs)
    # the sum of squared deviations in units of the variance; its spread by the draws themselves
    squares = np.sum((drawn - mean) ** 2 / variance, axis=1)
    assert abs(squares.mean() - weight.size) < 4 * squares.std(ddof=1) / math.sqrt(runs)


def test_the_file_holds_a_yule_population() -> None:
    n, values = 20_000, {"gamma": 0.8, "a": 2.0, "entry_growth_plus_exit": 1.3, "horizon": 3.0}
    rows = FILE_MODELS["yule"].sample(values, n, np.random.default_rng(5))
    assert rows.columns == ["likes", "age"]
    likes, growth = rows["likes"].to_numpy(), np.expm1(0.8 * rows["age"].to_numpy())
    assert rows.height == n
    assert rows["age"].max() < 3.0  # type: ignore[operator]
    variance = 2.0 * growth * (1 + growth)
    assert abs(likes.sum() - 2.0 * growth.sum()) < 4 * math.sqrt(variance.sum())
    squares = (likes - 2.0 * growth) ** 2 / variance
    assert abs(squares.mean() - 1) < 4 * squares.std(ddof=1) / math.sqrt(n)
