"""Likes of two days: the kernel in the data, under each mechanism, and in the audit."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.demand.ces import DemandFit, fit_demand
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.results import decode, encode
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.increments import KernelCalibration, calibrate_gains
from baimo.pipeline.claims._evidence import FAILS, HOLDS, UNTOLD, Evidence, attachment_kernel
from baimo.pipeline.models.attachment import AttachmentCalibration, calibrate_attachment
from baimo.pipeline.models.registry import draw_gains
from baimo.pipeline.schema.derived import HUB_INCREMENTS
from baimo.pipeline.variables import DOWNLOADS, LIKES, hub_counts
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments
from tests.pipeline.synthetic import DAY, NO_EFFECTS, hub_frequency

BEFORE = DAY - timedelta(days=30)
N = 20_000


def increments(theta: float, phi: float, after_on: date = DAY, n: int = N) -> pl.DataFrame:
    """Return likes of two days under a kernel of attachment (offset 1), 500 authors."""
    rng = np.random.default_rng(5)
    stock = rng.poisson(rng.gamma(0.5, 30.0, n))
    age = np.ceil(rng.random(n) * 700) / 365.0
    gains = simulate_increments(KernelParams(theta=theta, phi=phi), stock, 3.0 * n, rng, ages=age)
    return pl.DataFrame(
        {
            "author": rng.integers(0, 2_000, n),
            "age": age,
            "likes_before": stock,
            "likes_after": stock + gains,
            "before_on": BEFORE,
            "after_on": after_on,
            "n_models": 1,
        },
        schema=HUB_INCREMENTS.schema,
    )


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    return hub_frequency(N, 3)


def calibrated(table: pl.DataFrame, frequency: pl.DataFrame) -> KernelCalibration:
    found = calibrate_gains(table, frequency, DAY)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def proportional(frequency: pl.DataFrame) -> KernelCalibration:
    return calibrated(increments(1.0, 0.0), frequency)


@pytest.fixture(scope="module")
def attachment(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrate_attachment(
        frequency, hub_counts(frequency, DOWNLOADS), hub_counts(frequency, LIKES), NO_EFFECTS, DAY
    )


@pytest.fixture(scope="module")
def demand(frequency: pl.DataFrame) -> dict[str, DemandFit]:
    likes = hub_counts(frequency, LIKES)
    return {"likes": fit_demand(likes, fit_tail(likes))}


RATES = PoissonRatesFit(
    n_obs=1, n_used=1, mu=0.5, sigma=1.5, phi=0.6, covariance=np.eye(3), log_likelihood=0.0
)


# --- the data ----------------------------------------------------------------------------


def test_the_kernel_of_the_data_is_found(proportional: KernelCalibration) -> None:
    found, errors = proportional.statistics()
    for name, truth in (("theta", 1.0), ("phi", 0.0), ("psi", 0.5)):
        assert abs(found[name] - truth) < 4.0 * errors[name], name
    assert proportional.whole
    assert (proportional.days, proportional.before_on) == (30, BEFORE.isoformat())
    assert proportional.inflow.eta == pytest.approx(proportional.total_gain / 30, rel=1e-12)
    assert proportional.without_largest is not None
    assert proportional.without_largest.n_used < N


def test_cells_hold_every_model_once_and_give_the_fit_of_the_models(
    proportional: KernelCalibration,
) -> None:
    c = proportional
    assert c.items.sum() == N
    assert c.stock.size < N
    table = increments(1.0, 0.0)
    gain = (table["likes_after"] - table["likes_before"]).to_numpy()
    keys = {key: i for i, key in enumerate(zip(c.stock, c.age, strict=True))}
    small = table["likes_before"].to_numpy() < 10
    sums = np.zeros(c.stock.size)
    for key, g in zip(
        zip(table["likes_before"].to_numpy()[small], table["age"].to_numpy()[small], strict=True),
        gain[small],
        strict=True,
    ):
        sums[keys[key]] += g
    sums[c.stock >= 10] = gain[~small]  # one by one, in the order of the rows
    assert c.kernel is not None
    theta, offset, phi = kernel_point(c.stock, c.age, sums, c.items.astype(float))
    assert theta == pytest.approx(c.kernel.theta, abs=1e-7)
    assert phi == pytest.approx(c.kernel.phi, abs=1e-7)
    assert offset == pytest.approx(c.kernel.offset, rel=1e-6)


def test_models_without_author_or_age_or_second_day(frequency: pl.DataFrame) -> None:
    table = increments(1.0, 0.0).with_row_index()
    some = pl.col("index") % 10
    odd = table.with_columns(
        author=pl.when(some == 0).then(None).otherwise("author"),
        age=pl.when(some == 1).then(None).otherwise("age"),
        likes_after=pl.when(some == 2).then(None).otherwise("likes_after"),
        likes_before=pl.when(some == 3).then(None).otherwise("likes_before"),
    ).drop("index")
    found = calibrated(odd, frequency)
    assert found.kernel is not None
    assert found.kernel.n_used == 0.7 * N
    assert (found.inflow.n_new, found.inflow.n_removed) == (0.1 * N, 0.1 * N)
    named = odd["author"].drop_nulls().n_unique()
    assert named < (found.kernel.n_clusters or 0) <= named + 0.1 * N


def test_another_population_is_not_the_whole(frequency: pl.DataFrame) -> None:
    assert not calibrated(increments(1.0, 0.0, DAY + timedelta(days=700)), frequency).whole
    assert not calibrated(increments(1.0, 0.0, n=N // 2), frequency).whole
    assert calibrate_gains(pl.DataFrame(schema=HUB_INCREMENTS.schema), frequency, DAY) is None


def test_what_the_data_refuse_is_said_and_stops_nothing(frequency: pl.DataFrame) -> None:
    table = increments(1.0, 0.0)
    still = table.with_columns(likes_after=pl.col("likes_before"))
    found = calibrated(still, frequency)
    assert found.kernel is None
    assert any("gained nothing" in note for note in found.notes)
    assert found.statistics() == ({}, {})


def test_it_survives_the_lake(proportional: KernelCalibration) -> None:
    again = decode(encode(proportional))
    assert again.statistics() == proportional.statistics()
    np.testing.assert_array_equal(again.items, proportional.items)


# --- the mechanisms ----------------------------------------------------------------------


def drawn(
    c: KernelCalibration, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and its error of each statistic over 12 draws, by model."""
    out = {}
    for (model, _), draw in draw_gains(c, attachment, demand, {"likes": RATES}).items():
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
    inflow = calibrated(increments(1.0, 0.0, n=100), hub_frequency(100, 3)).inflow
    return KernelCalibration(
        before_on=BEFORE.isoformat(),
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
    from baimo.pipeline.models.poisson_rates import sample_rate_increments

    c = cell(stock, age, 2_000, 1e6)
    onward = [
        rate_given_likes(s, a) * ((1 + c.years / a) ** RATES.phi - 1)
        for s, a in ((stock, age), (5.0, 1.0))
    ]
    share = onward[0] / sum(onward)
    draws = [sample_rate_increments(c, RATES)(np.random.default_rng(i)) for i in range(60)]
    shares = np.array([d[0] / d.sum() for d in draws])
    assert abs(shares.mean() - share) < 4.0 * shares.std(ddof=1) / math.sqrt(60)


@pytest.mark.parametrize("stock", [0.0, 2.0, 40.0])
def test_pareto_rates_are_drawn_from_what_likes_leave_of_them(
    stock: float, attachment: AttachmentCalibration, demand: dict[str, DemandFit]
) -> None:
    from baimo.pipeline.models.ces import sample_demand_increments

    c = cell(stock, 1.0, 2_000, 1e6)
    zeta = 1.3
    fixed = replace(demand["likes"], zeta=zeta, std_error=0.0)

    def moment(s: float, power: int, least: float) -> float:
        def density(x: float) -> float:
            return math.exp((s - zeta + power) * x - math.exp(x) - math.lgamma(s + 1))

        mode = math.log(s + 1.0)
        return float(integrate.quad(density, math.log(least), 12.0, limit=800, points=[mode])[0])

    def share(least: float) -> float:
        means = [moment(s, 1, least) / moment(s, 0, least) for s in (stock, 5.0)]
        return means[0] / sum(means)

    n, total = attachment.simon_likes.n_obs, attachment.simon_likes.total
    found, expected = [], []
    for i in range(40):
        rng = np.random.default_rng(i)
        gains = sample_demand_increments(c, fixed, attachment)(rng)
        # the draw begins with zeta (one normal of spread 0), then tastes
        again = np.random.default_rng(i)
        again.normal(zeta, 0.0)
        tastes = np.exp(again.standard_exponential(n) / zeta)
        found.append(gains[0] / gains.sum())
        expected.append(share(total / float(tastes.sum())))
    gap = np.array(found) - np.array(expected)
    assert abs(gap.mean()) < 4.0 * gap.std(ddof=1) / math.sqrt(40)


def test_nothing_is_drawn_for_another_population(
    proportional: KernelCalibration,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
) -> None:
    part = replace(proportional, whole=False)
    assert draw_gains(part, attachment, demand, {}) == {}
    assert draw_gains(None, attachment, demand, {}) == {}


# --- the claim ---------------------------------------------------------------------------


def evidence(kernel: KernelCalibration | None, attachment: AttachmentCalibration) -> Evidence:
    return Evidence(
        fits={}, attachment=attachment, growth=None, day=DAY, printed=None, cohorts={},  # type: ignore[arg-type]
        comparison=pl.DataFrame(), authors=pl.DataFrame(), kernel=kernel,
    )  # fmt: skip


def test_the_claim_holds_fails_or_waits(
    proportional: KernelCalibration, attachment: AttachmentCalibration, frequency: pl.DataFrame
) -> None:
    assert attachment_kernel(evidence(proportional, attachment))[0] == HOLDS
    ageing = calibrated(increments(1.0, -1.0), frequency)
    verdict, shown, kept = attachment_kernel(evidence(ageing, attachment))
    assert verdict == FAILS
    assert "phi -1." in shown or "phi -0.9" in shown
    assert "without the three authors" in kept
    part = replace(proportional, whole=False)
    verdict, shown, _ = attachment_kernel(evidence(part, attachment))
    assert verdict == UNTOLD
    assert "Of another population" in shown
    assert "baimo run --source lake" in shown
    assert attachment_kernel(evidence(None, attachment))[0] == UNTOLD
