"""The kernel by bins and the noise against size: by hand, fixed point, recovery, refusals."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize

from baimo.estimation.attachment.kernel_bins import fit_kernel_bins, stock_bins
from baimo.estimation.attachment.noise import fit_noise
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


# --- noise -----------------------------------------------------------------------------------


def scattered(psi: float, n: int, seed: int) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    stock = np.exp(rng.uniform(math.log(20.0), math.log(2e5), n))
    authors = rng.integers(0, n // 4, n)
    scale = np.exp(0.5 * rng.standard_normal(n // 4))[authors]
    mean = 40.0 * stock
    return stock, stock + mean + scale * stock**psi * rng.standard_normal(n), mean, authors


@pytest.mark.parametrize("psi", [0.0, 0.5, 1.0], ids=lambda v: f"psi={v:g}")
def test_noise_of_each_kind(psi: float) -> None:
    before, after, mean, authors = scattered(psi, 8_000, 11)
    fit = fit_noise(before, after, mean, clusters=authors)
    assert abs(fit.psi - psi) < 4 * fit.std_error
    assert fit.std_error < 0.02
    # the picture: root mean square residual of each bin, e^{.25} d^psi for this luck
    expected = math.exp(0.25) * fit.middle**psi
    assert np.all(np.abs(np.log(fit.scatter / expected)) < 0.5)


def test_counts_scatter_with_the_root() -> None:
    # Poisson gains of mean ten and more: the shape of the residual is nearly normal at every size.
    rng = np.random.default_rng(12)
    before = np.exp(rng.uniform(math.log(100.0), math.log(1e6), 10_000))
    mean = 0.3 * before
    fit = fit_noise(before, before + rng.poisson(mean), mean)
    assert abs(fit.psi - 0.5) < 4 * fit.std_error
    # with luck of its own every item scatters in proportion, once counting is small beside it
    lucky = before + rng.poisson(mean * rng.gamma(4.0, 0.25, before.size))
    one = fit_noise(before, lucky, mean, smallest=1_000.0)
    assert abs(one.psi - 1.0) < 4 * one.std_error + 0.01


def test_noise_is_a_regression_of_logs() -> None:
    before, after, mean, authors = scattered(0.7, 300, 13)
    fit = fit_noise(before, after, mean)
    x, y = np.log(before), np.log(np.abs(after - before - mean))
    slope, level = np.polyfit(x, y, 1)
    assert fit.psi == pytest.approx(slope, rel=1e-10)
    centred, residual = x - x.mean(), y - level - slope * x
    robust = math.sqrt(np.sum((centred * residual) ** 2) * 300 / 298) / np.sum(centred**2)
    assert fit.std_error == pytest.approx(robust, rel=1e-9)
    sums = np.bincount(authors, weights=centred * residual)
    g = np.unique(authors).size
    clustered = math.sqrt(np.sum(sums**2) * g / (g - 1) * 299 / 298) / np.sum(centred**2)
    assert fit_noise(before, after, mean, clusters=authors).std_error == pytest.approx(
        clustered, rel=1e-9
    )


def test_small_stocks_and_small_expectations_are_left_out() -> None:
    before, after, mean, _ = scattered(0.5, 200, 14)
    plain = fit_noise(before, after, mean)
    more = fit_noise(
        np.append(before, [5.0, 50.0, NAN, 60.0]), np.append(after, [9.0, 50.0, 3.0, 63.0]),
        np.append(mean, [40.0, 0.5, 3.0, 3.0]),
    )  # fmt: skip
    assert more.psi == plain.psi  # too small, too little expected, not there, no residual
    assert (more.n_obs, more.n_used, plain.n_used) == (204, 200, 200)


@pytest.mark.parametrize(
    ("before", "options", "says"),
    [
        (np.full(50, 2.0), {}, "only 0 items of stock 10 and more"),
        (np.full(50, 20.0), {}, "all items have the same stock"),
        (np.arange(20.0, 70.0), {"clusters": np.zeros(50)}, "in one cluster"),
        (np.arange(20.0, 70.0), {"clusters": [1]}, "50 items but 1 cluster labels"),
    ],
    ids=["small", "equal", "one-cluster", "labels"],
)
def test_noise_refusals(before: Floats, options: dict, says: str) -> None:
    gains = np.random.default_rng(1).poisson(9.0, before.size)
    with pytest.raises(DataError, match=says):
        fit_noise(before, before + gains, np.full(before.size, 9.5), **options)
