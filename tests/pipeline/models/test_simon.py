"""Simon's urn has the events of the data, its old items are the large, and its law is known."""

import math

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, pooled
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import Sampler, values_of
from baimo.pipeline.models.registry import FILE_MODELS
from baimo.pipeline.models.simon import Simon, SimonIncrements, yule_simon_ccdf
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES


def test_simons_urn_has_the_events_of_the_data_and_the_oldest_first(
    draws: dict[tuple[str, str], Sampler],
    attachment: AttachmentCalibration,
    seen: dict[str, CohortSample],
) -> None:
    rng = np.random.default_rng(2)
    drawn = [draws["Simon", "likes"](rng) for _ in range(40)]
    fit = attachment.simon_likes
    positive = {c: k.n_obs - k.n_zero for c, k in seen["likes"].items()}
    for one in drawn:
        every = pooled(one)
        assert every.total == fit.total
        assert every.n_zero == 0
        for c, n in positive.items():  # cohorts in the proportions of the data
            assert abs(one[c].n_obs - n / sum(positive.values()) * every.n_obs) <= 1
    # each event founds an item with chance p, and all else is given
    numbers = np.array([pooled(one).n_obs for one in drawn])
    error = math.sqrt(fit.p * (1 - fit.p) * fit.total)
    assert abs(numbers.mean() - fit.p * fit.total) < 4 * error / math.sqrt(40)
    assert abs(numbers.std(ddof=1) / error - 1) < 4 / math.sqrt(2 * 39)
    # first comers are larger: mean size falls from the undated to the young
    means = [
        np.mean([one[c].total / one[c].n_obs for one in drawn]) for c in (UNDATED, 4, 3, 2, 1, 0)
    ]
    assert np.all(np.diff(means) < 0)


def test_parameters_are_those_of_the_fit_and_a_draw_is_at_those_that_are_given(
    day: Day, attachment: AttachmentCalibration
) -> None:
    for variable in HUB:
        fit = attachment.simon(variable)
        found = Simon().parameters(day, variable)
        assert found["simon_p"] == Estimate(value=fit.p, std_error=fit.std_error)
        assert values_of(found) == {"simon_p": fit.p, "log_total": math.log(fit.total)}
        assert found["log_total"].std_error is None  # known from owners alone
    given = {"simon_p": 0.4, "log_total": math.log(5_000.0)}
    drawn = pooled(Simon().sampler(day, LIKES, given)(np.random.default_rng(1)))
    assert drawn.total == 5_000
    assert abs(drawn.n_obs - 2_000) < 4 * math.sqrt(5_000 * 0.4 * 0.6)
    # a chance beyond its ends is brought back: two items at least are founded on average
    least = pooled(Simon().sampler(day, LIKES, given | {"simon_p": -1.0})(np.random.default_rng(1)))
    assert (least.total, least.n_obs < 20) == (5_000, True)


def test_gains_are_poisson_in_proportion_to_the_stock(kernel: KernelCalibration) -> None:
    draw, runs = SimonIncrements(kernel), 200
    drawn = np.array([draw(np.random.default_rng([3, i])) for i in range(runs)])
    expected = kernel.total_gain * kernel.items * kernel.stock / (kernel.items @ kernel.stock)
    found, reachable = drawn.mean(axis=0), expected > 0
    assert np.all(found[~reachable] == 0)
    # each cell's mean of Poisson draws has variance expected/runs; their squares add to chi-square
    squares = (found - expected)[reachable] ** 2 / (expected[reachable] / runs)
    n = int(reachable.sum())
    assert abs(squares.sum() - n) < 4 * math.sqrt(2 * n + np.sum(1 / (runs * expected[reachable])))


def test_what_comes_next_is_said_of_likes_alone(day: Day) -> None:
    increments = Simon().increments(day, LIKES, {})
    assert increments is not None
    assert increments(np.random.default_rng(1))["theta"] == pytest.approx(1.0, abs=0.1)
    assert Simon().increments(day, DOWNLOADS, {}) is None


def test_zeta_is_one_over_the_chance_of_attachment(
    day: Day, attachment: AttachmentCalibration
) -> None:
    for variable in HUB:
        p = attachment.simon(variable).p
        assert Simon().predict(day, variable).zeta == pytest.approx(1 / (1 - p), rel=1e-12)


def test_the_predicted_curve_is_the_yule_simon_law_of_scipy(day: Day) -> None:
    x, y = yule_simon_ccdf(1.3, 0.25, 5_000.0)
    assert (x[0], x[-1], y[0]) == (1.0, 5_000.0, pytest.approx(0.25))
    assert y == pytest.approx(0.25 * stats.yulesimon(1.3).sf(x - 1), rel=1e-9)
    for variable in HUB:
        counts = day.read(TAILS[variable.name]).counts
        zeta = Simon().predict(day, variable).zeta
        assert zeta is not None
        x, y = Simon().predicted_ccdf(day, variable)
        law = stats.yulesimon(zeta).sf(x - 1)
        assert x[-1] == counts.values[-1]
        assert y == pytest.approx((1 - counts.n_zero / counts.n_obs) * law, rel=1e-9)


def test_the_file_holds_an_urn_of_about_so_many_items() -> None:
    rows = FILE_MODELS["simon"].sample({"simon_p": 0.25}, 4_000, np.random.default_rng(4))
    assert rows.columns == ["likes"]
    assert rows["likes"].sum() == 16_000  # events: items over p
    assert abs(rows.height - 4_000) < 4 * math.sqrt(16_000 * 0.25 * 0.75)
    assert rows["likes"].min() == 1
    law = stats.yulesimon(4 / 3)
    for k in (1, 2, 3):
        share = (rows["likes"] == k).mean()
        assert abs(share - law.pmf(k)) < 4 * math.sqrt(
            law.pmf(k) * (1 - law.pmf(k)) / rows.height
        ), k
