"""Inflow and entry between two dates are gains and new items a day, by hand and from one crawl."""

import math

import numpy as np
import pytest

from baimo.estimation.attachment.inflow import fit_inflow, stock_before
from baimo.estimation.attachment.kernel import fit_attachment_kernel
from baimo.estimation.errors import DataError
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

NAN = math.nan


def test_inflow_by_hand() -> None:
    # Four items on both dates gain 3, 0, 5, -1; two are new with 2 and 4; one is gone.
    before = [1.0, 2.0, 0.0, 4.0, NAN, NAN, 7.0]
    after = [4.0, 2.0, 5.0, 3.0, 2.0, 4.0, NAN]
    fit = fit_inflow(before, after, days=2.0)
    assert fit.eta == 3.5
    assert fit.eta_std_error == pytest.approx(math.sqrt(1.25**2 + 1.75**2 + 3.25**2 + 2.75**2) / 2)
    assert fit.entry == 1.0
    assert fit.entry_std_error == pytest.approx(math.sqrt(2) / 2)
    assert (fit.entrant_size, fit.n_new, fit.n_removed) == (3.0, 2, 1)
    assert (fit.n_obs, fit.n_used) == (7, 4)
    # entry founds 3 a day, incumbents get 3.5
    assert fit.simon_p == pytest.approx(3.0 / 6.5)
    found = fit.estimates()
    assert found["simon_zeta"].value == pytest.approx(6.5 / 3.5)
    assert found["eta"].unit == found["entry"].unit == "1/day"


def test_inflow_clusters_by_hand() -> None:
    before, after = [0.0, 0.0, 0.0, 0.0], [3.0, 0.0, 5.0, -0.0]
    fit = fit_inflow(before, after, days=1.0, clusters=["a", "a", "b", "c"])
    # deviations from the mean 2: a 1 - 2, b 3, c -2
    assert fit.eta_std_error == pytest.approx(math.sqrt(1 + 9 + 4))
    alone = fit_inflow(before, after, days=1.0, clusters=["a", "b", "c", "d"])
    assert alone.eta_std_error == pytest.approx(fit_inflow(before, after, days=1.0).eta_std_error)


def test_nothing_new_and_nothing_gained_give_no_urn() -> None:
    still = fit_inflow([1.0, 2.0], [2.0, 2.0], days=1.0)
    assert still.simon_p is None
    assert still.estimates()["entry"].std_error is None
    assert still.estimates()["entrant_size"].value is None
    assert any("no item is new" in note for note in still.notes)
    lost = fit_inflow([1.0, 2.0, NAN], [1.0, 1.0, 5.0], days=1.0)
    assert lost.eta < 0
    assert lost.simon_p is None
    empty = fit_inflow([1.0, 2.0, NAN], [2.0, 3.0, 0.0], days=1.0)  # entrants of size 0
    assert empty.simon_p is None


@pytest.mark.parametrize(
    ("before", "after", "days", "says"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0, "days = 0 must be positive"),
        ([1.0, 2.0], [1.0, 2.0], NAN, "days = nan must be positive"),
        ([1.0, NAN], [1.0, 2.0], 1.0, "fewer than two items"),
        ([1.0, 2.0], [1.0], 1.0, "must match"),
    ],
    ids=["days", "nan", "one", "lengths"],
)
def test_inflow_refusals(
    before: list[float], after: list[float], days: float, says: str
) -> None:  # fmt: skip
    with pytest.raises(DataError, match=says):
        fit_inflow(before, after, days=days)


def test_stock_before_by_hand() -> None:
    before, now, left_out = stock_before([10.0, 5.0, 3.0], [4.0, 5.0, 8.0])
    assert before[:2].tolist() == [6.0, 0.0]
    assert math.isnan(before[2])  # a counter that was reset
    assert now.tolist() == [10.0, 5.0, 3.0]
    assert left_out == 1


def test_one_crawl_gives_the_kernel_and_the_sum_on_both_sides_does_not() -> None:
    # The flow belongs on the stock before, never on the stock that contains it.
    rng = np.random.default_rng(46)
    n = 20_000
    stock = rng.poisson(rng.gamma(0.7, 10.0, n)).astype(float)
    flow = simulate_increments(KernelParams(theta=0.8), stock, 6.0 * n, rng, fitness_sd=1.0)
    before, now, left_out = stock_before(stock + flow, flow)
    assert left_out == 0
    assert np.array_equal(before, stock)
    fit = fit_attachment_kernel(before, now, offset=1.0)
    error = fit.estimates()["theta"].std_error or 0.0
    assert abs(fit.theta - 0.8) < 4 * error
    wrong = fit_attachment_kernel(now, now + flow, offset=1.0)
    assert wrong.theta > 0.8 + 10 * error
