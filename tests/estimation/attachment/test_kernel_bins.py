"""The kernel by bins: by hand, fixed point, recovery, refusals."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize

from baimo.estimation.attachment.kernel_bins import fit_kernel_bins, stock_bins
from baimo.estimation.errors import DataError
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

Floats = NDArray[np.float64]
NAN = math.nan


def test_bins_are_single_counts_then_six_a_decade() -> None:
    ends = stock_bins(1e6)
    assert ends[:9].tolist() == list(range(9))
    assert ends[-2] <= 1e6 < ends[-1]
    assert np.all(np.diff(ends) >= 1)
    wide = ends[ends >= 50]
    assert np.all(wide[1:] / wide[:-1] <= 10 ** (1 / 6))
    assert np.all(wide[1:] / wide[:-1] > 10 ** (1 / 6) * (1 - 1 / 50))
    assert stock_bins(0).tolist() == list(range(9))


def test_one_interval_is_gains_over_items() -> None:
    # Jeong, Neda & Barabasi: A_k = m_k/n_k, here scaled so that the mean of the items is one.
    before = np.array([0, 0, 0, 1, 1, 2, 2, 2, 40, 41], dtype=float)
    gains = np.array([1, 0, 0, 2, 1, 3, 0, 0, 9, 11], dtype=float)
    fit = fit_kernel_bins([(before, before + gains)])
    raw = np.array([1 / 3, 3 / 2, 1.0, 10.0])
    n = np.array([3, 2, 3, 2])
    assert fit.kernel == pytest.approx(raw / (n @ raw / n.sum()), rel=1e-9)
    assert fit.n_items.tolist() == n.tolist()
    assert fit.gains.tolist() == [1, 3, 3, 20]
    assert fit.middle.tolist() == [0, 1, 2, 40.5]
    assert fit.low[:3].tolist() == fit.high[:3].tolist() == [0, 1, 2]
    assert fit.low[3] <= 40
    assert fit.high[3] >= 41
    assert (fit.n_obs, fit.n_used) == (10, 10)
    # error of the first: sum of squared residuals 2/3 is less than its one count
    scale = fit.kernel[0] * 3 / 1.0
    assert fit.std_error[0] == pytest.approx(1.0 * scale / 3, rel=1e-9)
    # third: residuals 2, -1, -1, more than its three counts
    assert fit.std_error[2] == pytest.approx(math.sqrt(6.0) * scale / 3, rel=1e-9)
    # slope over stocks of one and more, weights (A/error)^2
    x, y = np.log(fit.middle[1:]), np.log(fit.kernel[1:])
    line = sm.WLS(y, sm.add_constant(x), weights=(fit.kernel[1:] / fit.std_error[1:]) ** 2).fit()
    assert fit.theta == pytest.approx(line.params[1], rel=1e-9)
    assert fit.theta_std_error == pytest.approx(line.bse[1] / math.sqrt(line.scale), rel=1e-9)


def grown(n: int, totals: tuple[float, ...], theta: float, seed: int) -> list[tuple]:
    rng = np.random.default_rng(seed)
    stock = np.floor(2.0 * ((1.0 - rng.random(n)) ** (-1.0 / 1.5) - 1.0)).clip(0, 1e5)
    intervals = []
    for total in totals:
        gains = simulate_increments(KernelParams(theta=theta), stock, total, rng)
        intervals.append((stock, stock + gains))
        stock = stock + gains
    return intervals


def counted(intervals: list[tuple], ends: Floats) -> tuple[Floats, Floats]:
    items, gains = [], []
    for before, after in intervals:
        where = np.searchsorted(ends, before, side="right") - 1
        items.append(np.bincount(where, minlength=ends.size - 1))
        gains.append(np.bincount(where, weights=after - before, minlength=ends.size - 1))
    return np.array(items, dtype=float), np.array(gains)


def test_several_intervals_satisfy_the_fixed_point() -> None:
    intervals = grown(3_000, (2_000.0, 30_000.0, 5_000.0), 0.8, 1)
    fit = fit_kernel_bins(intervals)
    ends = np.append(fit.low, np.inf)
    items, gains = counted(intervals, ends)
    kept = items.sum(axis=0) > 0
    items, gains = items[:, kept], gains[:, kept]
    # A_k = Sum_t m_k(t) / Sum_t [m(t) n_k(t)/Sum_j A_j n_j(t)] up to the common factor
    shares = gains.sum(axis=1) / (items @ fit.kernel)
    right = gains.sum(axis=0) / (shares @ items)
    assert right / right.mean() == pytest.approx(fit.kernel / fit.kernel.mean(), rel=1e-7)

    # and it is a maximum of the likelihood of which item gains
    def likelihood(kernel: Floats) -> float:
        return float(np.sum(gains.sum(axis=0) * np.log(kernel))) - float(
            gains.sum(axis=1) @ np.log(items @ kernel)
        )

    best = likelihood(fit.kernel)
    rng = np.random.default_rng(2)
    for scale in (1e-3, 0.1, 1.0):
        for _ in range(20):
            tried = fit.kernel * np.exp(scale * rng.standard_normal(fit.kernel.size))
            assert likelihood(tried) <= best + 1e-9

    # that a general optimiser finds from a flat kernel
    def cost(logs: Floats) -> tuple[float, Floats]:
        kernel = np.exp(logs)
        slope = gains.sum(axis=0) - kernel * ((gains.sum(axis=1) / (items @ kernel)) @ items)
        return -likelihood(kernel) / 1e4, -slope / 1e4

    found = optimize.minimize(
        cost, np.zeros(fit.kernel.size), jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    free = np.exp(found.x)
    assert free / free.mean() == pytest.approx(fit.kernel / fit.kernel.mean(), rel=1e-4)


def test_one_interval_cut_in_two_by_items_changes_nothing() -> None:
    ((before, after),) = grown(2_000, (8_000.0,), 0.8, 3)
    whole = fit_kernel_bins([(before, after)])
    # Two copies of the same interval double items and gains alike.
    twice = fit_kernel_bins([(before, after)] * 2)
    assert twice.kernel == pytest.approx(whole.kernel, rel=1e-8)
    # An interval in which no item is there tells nothing.
    empty = np.full(before.size, NAN)
    assert fit_kernel_bins([(before, after), (empty, empty)]).kernel == pytest.approx(
        whole.kernel, rel=1e-8
    )


def test_recovery_of_a_kernel_of_four_fifths() -> None:
    fit = fit_kernel_bins(grown(60_000, (60_000.0, 200_000.0, 60_000.0), 0.8, 4), offset=1.0)
    # Bins are wide, their logarithms bend: a hundredth is what that may cost.
    assert abs(fit.theta - 0.8) < 4 * fit.theta_std_error + 0.01
    assert fit.theta_std_error < 0.02
    # Without the offset the slope over stocks of one and more is that of (d + 1)^.8: too flat.
    flat = fit_kernel_bins(grown(60_000, (60_000.0, 200_000.0, 60_000.0), 0.8, 4))
    assert flat.theta < 0.8 - 4 * flat.theta_std_error


def test_errors_cover() -> None:
    # Ratio of A_3 to A_0 is (4/1)^.7: the error of its log is that of two independent bins.
    runs, inside, ratios, stated = 250, 0, [], []
    rng = np.random.default_rng(5)
    stock = rng.poisson(rng.gamma(0.7, 5.0, 3_000)).astype(float)
    authors = rng.integers(0, 1_000, 3_000)
    for _ in range(runs):
        gains = simulate_increments(
            KernelParams(theta=0.7), stock, 6_000.0, rng, fitness_sd=0.7, clusters=authors
        )
        fit = fit_kernel_bins([(stock, stock + gains)], clusters=authors)
        gap = math.log(fit.kernel[3] / fit.kernel[0])
        error = math.hypot(*(fit.std_error[[0, 3]] / fit.kernel[[0, 3]]))
        ratios.append(gap)
        stated.append(error)
        inside += abs(gap - 0.7 * math.log(4.0)) < 1.96 * error
    spread = float(np.std(ratios, ddof=1))
    assert abs(np.mean(ratios) - 0.7 * math.log(4.0)) < 4 * spread / math.sqrt(runs) + 0.1 * spread
    assert abs(inside / runs - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)
    # stated errors hold what authors share within bins, not between: the ratio errs a little less
    assert 0.85 < spread / np.mean(stated) < 1.15


def test_exposure_stands_for_what_else_is_known() -> None:
    # Twice the exposure, twice the rate: the kernel is that of gains over exposure.
    before = np.array([0, 0, 0, 5, 5, 5], dtype=float)
    gains = np.array([1, 2, 3, 4, 8, 12], dtype=float)
    fit = fit_kernel_bins([(before, before + gains)], exposure=[1, 2, 3, 1, 2, 3])
    assert fit.kernel[1] / fit.kernel[0] == pytest.approx(4.0, rel=1e-9)
    # nothing but counting is left of the scatter
    assert fit.std_error / fit.kernel == pytest.approx(1 / np.sqrt(fit.gains), rel=1e-9)
    left = fit_kernel_bins([(before, before + gains)], exposure=[1, 2, NAN, 1, 2, 3])
    assert left.n_items.tolist() == [2, 3]


def test_bins_that_gain_nothing_are_left_out_and_said() -> None:
    before = np.array([0, 0, 1, 1, 2, 2, 3, 3], dtype=float)
    gains = np.array([1, 2, 0, 0, 3, 3, -2, 1], dtype=float)
    fit = fit_kernel_bins([(before, before + gains)])
    assert fit.low.tolist() == [0, 2]
    assert fit.kernel[1] / fit.kernel[0] == pytest.approx(2.0, rel=1e-9)
    assert fit.notes == ("4 items in bins without a net gain left out",)
    assert (fit.n_obs, fit.n_used) == (8, 4)
    # what they lost is not taken from the others: two intervals, the same fixed point
    two = fit_kernel_bins([(before, before + gains)] * 2)
    assert two.kernel == pytest.approx(fit.kernel, rel=1e-8)
    assert two.std_error == pytest.approx(fit.std_error / math.sqrt(2), rel=1e-8)


X = np.array([0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("intervals", "options", "says"),
    [
        ([], {}, "no interval"),
        ([(X, X)], {}, "fewer than two bins"),
        ([(X * 0, X)], {}, "fewer than two bins"),
        ([(X, X - 0.5)], {}, "not negative"),
        ([(X, X[:2])], {}, "must match"),
        ([(X, X + 1), (X[:2], X[:2] + 1)], {}, "every interval must hold the same items"),
        ([(X, X + 1)], {"exposure": [1.0]}, "exposure must hold 4 numbers"),
        ([(X, X + 1)], {"exposure": -X}, "not negative"),
        ([(X, X + 1)], {"clusters": [1]}, "4 items but 1 cluster labels"),
    ],
    ids=[
        "none",
        "no-gain",
        "one-bin",
        "negative",
        "lengths",
        "items",
        "exposure",
        "below",
        "labels",
    ],
)
def test_shape_refusals(intervals: list[tuple], options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_kernel_bins(intervals, **options)
