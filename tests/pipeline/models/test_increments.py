"""Likes gained between two days under each model, measured as the data are."""

import math
import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.models.attachment import (
    ATTACHMENT_FIT,
    AttachmentCalibration,
    calibrate_attachment,
)
from baimo.pipeline.models.base import FittedModel, IncrementSampler, values_of
from baimo.pipeline.models.ces import DEMAND_FIT, Ces, DemandIncrements
from baimo.pipeline.models.poisson_rates import RATES_FIT, PoissonRates, RateIncrements
from baimo.pipeline.models.simon import Simon
from baimo.pipeline.models.yule import Yule
from baimo.pipeline.variables import DOWNLOADS, LIKES, hub_counts
from tests.pipeline.synthetic import (
    A_MONTH_BEFORE,
    DAY,
    N_INCREMENTS,
    NO_EFFECTS,
    day_of,
    demand_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    return hub_frequency(N_INCREMENTS, 3)


@pytest.fixture(scope="module")
def proportional(frequency: pl.DataFrame) -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), frequency)


@pytest.fixture(scope="module")
def attachment(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrate_attachment(
        frequency, hub_counts(frequency, DOWNLOADS), hub_counts(frequency, LIKES), NO_EFFECTS, DAY
    )


@pytest.fixture(scope="module")
def demand(frequency: pl.DataFrame) -> dict[str, DemandFit]:
    return {"likes": demand_of(hub_counts(frequency, LIKES))}


RATES = PoissonRatesFit(
    n_obs=1, n_used=1, mu=0.5, sigma=1.5, phi=0.6, covariance=np.eye(3), log_likelihood=0.0
)


def likes_increments(
    c: KernelCalibration | None, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> dict[tuple[str, str], IncrementSampler]:
    """Return the draws of all models of likes."""
    day = day_of(
        {
            KERNEL_FIT: c, ATTACHMENT_FIT: attachment, DEMAND_FIT: demand,
            RATES_FIT: {"likes": RATES},
        }
    )  # fmt: skip
    found: dict[tuple[str, str], IncrementSampler] = {}
    models: tuple[FittedModel, ...] = (Simon(), Yule(), Ces(), PoissonRates())
    for model in models:
        sampler = model.increments(day, LIKES, values_of(model.parameters(day, LIKES) or {}))
        if sampler is not None:
            found[model.label, LIKES.name] = sampler
    return found


def drawn(
    c: KernelCalibration, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and its error of each statistic over 12 draws, by model."""
    out = {}
    for (model, _), draw in likes_increments(c, attachment, demand).items():
        found = [draw(np.random.default_rng([7, i])) for i in range(12)]
        out[model] = {
            name: (
                float(np.mean([f[name] for f in found])),
                float(np.std([f[name] for f in found], ddof=1)) / math.sqrt(12),
            )
            for name in found[0]
        }
    return out


def test_attachment_gives_theta_one_and_no_ageing(
    proportional: KernelCalibration,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
) -> None:
    found = drawn(proportional, attachment, demand)
    for model in ("Simon", "Yule"):
        for name, truth in (("theta", 1.0), ("phi", 0.0)):
            mean, error = found[model][name]
            assert abs(mean - truth) < 5.0 * error + 1e-3, (model, name)
    # what differs from birth gains with its age the less: most of its likes are behind it
    assert found["fitness"]["phi"][0] < -0.5
    assert abs(found["CES"]["phi"][0]) < 5.0 * found["CES"]["phi"][1] + 0.02


def cell(stock: float, age: float, items: int, total: float) -> KernelCalibration:
    """Return two cells, one of which tells the scale: the gains of the other are shared out."""
    inflow = kernel_of(likes_of_two_days(1.0, 0.0, n=100), hub_frequency(100, 3)).inflow
    return KernelCalibration(
        before_on=A_MONTH_BEFORE.isoformat(),
        after_on=DAY.isoformat(),
        whole=True,
        inflow=inflow,
        kernel=None,
        noise=None,
        shape=None,
        without_largest=None,
        stock=np.array([stock, 5.0]),
        age=np.array([age, 1.0]),
        items=np.array([items, items]),
        total_gain=total,
    )


def rate_given_likes(stock: float, age: float) -> float:
    """Return E[rate so far | likes, age] of lognormal rates by quadrature."""

    def weight(z: float) -> float:
        rate = math.exp(RATES.mu + RATES.phi * math.log(age) + RATES.sigma * z)
        return float(stats.poisson.pmf(stock, rate) * stats.norm.pdf(z))

    def moment(z: float) -> float:
        return math.exp(RATES.mu + RATES.phi * math.log(age) + RATES.sigma * z) * weight(z)

    top, bottom = (integrate.quad(f, -9, 9, limit=400)[0] for f in (moment, weight))
    return top / bottom


@pytest.mark.parametrize(("stock", "age"), [(0.0, 0.2), (3.0, 2.0), (9.0, 0.05)])
def test_rates_are_drawn_from_what_likes_and_age_leave_of_them(stock: float, age: float) -> None:
    c = cell(stock, age, 2_000, 1e6)
    onward = [
        rate_given_likes(s, a) * ((1 + c.years / a) ** RATES.phi - 1)
        for s, a in ((stock, age), (5.0, 1.0))
    ]
    share = onward[0] / sum(onward)
    draws = [RateIncrements.of(c, RATES)(np.random.default_rng(i)) for i in range(60)]
    shares = np.array([d[0] / d.sum() for d in draws])
    assert abs(shares.mean() - share) < 4.0 * shares.std(ddof=1) / math.sqrt(60)


@pytest.mark.parametrize("stock", [0.0, 2.0, 40.0])
def test_pareto_rates_are_drawn_from_what_likes_leave_of_them(
    stock: float,
) -> None:
    c = cell(stock, 1.0, 2_000, 1e6)
    zeta, least = 1.3, 0.4

    def moment(s: float, power: int) -> float:
        def density(x: float) -> float:
            return math.exp((s - zeta + power) * x - math.exp(x) - math.lgamma(s + 1))

        mode = math.log(s + 1.0)
        return float(integrate.quad(density, math.log(least), 12.0, limit=800, points=[mode])[0])

    means = [moment(s, 1) / moment(s, 0) for s in (stock, 5.0)]
    draw, found = DemandIncrements(c, zeta, math.log(least)), []
    for i in range(40):
        gains = draw(np.random.default_rng(i))
        found.append(gains[0] / gains.sum())
    gap = np.array(found) - means[0] / sum(means)
    assert abs(gap.mean()) < 4.0 * gap.std(ddof=1) / math.sqrt(40)


def test_nothing_is_drawn_for_another_population(
    proportional: KernelCalibration,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
) -> None:
    part = replace(proportional, whole=False)
    assert likes_increments(part, attachment, demand) == {}
    assert likes_increments(None, attachment, demand) == {}


def test_every_draw_can_be_sent_to_another_process(
    proportional: KernelCalibration,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
) -> None:
    for draw in likes_increments(proportional, attachment, demand).values():
        again = pickle.loads(pickle.dumps(draw))
        assert again(np.random.default_rng(1)) == draw(np.random.default_rng(1))
