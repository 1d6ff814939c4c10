"""The scatter of gains grows with the stock to the power psi: known kinds and least squares."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.attachment.kernel import fit_attachment_kernel
from baimo.estimation.attachment.kernel_bins import fit_kernel_bins
from baimo.estimation.attachment.noise import around_kernel, fit_noise
from baimo.estimation.errors import DataError
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

Floats = NDArray[np.float64]
NAN = math.nan


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


# --- around a fitted kernel --------------------------------------------------------------


def test_bins_and_noise_around_a_kernel_take_age_out_and_use_its_items() -> None:
    rng = np.random.default_rng(15)
    n = 4_000
    before = np.floor(np.exp(rng.uniform(0.0, math.log(2_000.0), n)))
    ages, authors = rng.uniform(0.2, 5.0, n), rng.integers(0, n // 4, n)
    params = KernelParams(theta=0.8, offset=1.0, phi=-0.6)
    gains = simulate_increments(
        params, before, 40.0 * n, rng, ages=ages, fitness_sd=0.5, clusters=authors
    )
    after = before + gains
    kernel = fit_attachment_kernel(before, after, ages=ages, offset=1.0, clusters=authors)
    shape, noise, notes = around_kernel(kernel, before, after, ages=ages, clusters=authors)
    assert notes == []
    assert shape is not None
    assert noise is not None
    # the kernel by bins is that of gains over ages to the power phi
    by_hand = fit_kernel_bins(
        [(before, after)], exposure=ages**kernel.phi, offset=1.0, clusters=authors
    )
    assert shape.kernel == pytest.approx(by_hand.kernel, rel=1e-12)
    assert abs(shape.theta - 0.8) < 4 * (kernel.estimates()["theta"].std_error or 0.0)
    # luck of its own scatters every item in proportion to what it is expected to gain
    large = fit_noise(before, after, kernel.expected(before, ages), smallest=200.0)
    assert abs(large.psi - 0.8) < 4 * large.std_error
    mean = np.exp(kernel.values[0]) * (before + 1.0) ** kernel.theta * ages**kernel.phi
    direct = fit_noise(before, after, mean, clusters=authors)
    assert (noise.psi, noise.n_used) == (pytest.approx(direct.psi, rel=1e-9), direct.n_used)


def test_items_without_an_age_are_in_neither() -> None:
    rng = np.random.default_rng(16)
    before = np.floor(np.exp(rng.uniform(0.0, math.log(500.0), 400)))
    after, ages = before + rng.poisson(0.5 * before + 1.0), rng.uniform(0.2, 5.0, 400)
    ages[::8] = NAN
    kernel = fit_attachment_kernel(before, after, ages=ages, offset=1.0)
    shape, noise, _ = around_kernel(kernel, before, after, ages=ages)
    seen = np.isfinite(ages)
    kept = around_kernel(kernel, before[seen], after[seen], ages=ages[seen])
    assert shape is not None
    assert noise is not None
    assert kept[0] is not None
    assert kept[1] is not None
    assert shape.n_items.sum() == kept[0].n_items.sum() <= 350
    assert shape.kernel == pytest.approx(kept[0].kernel, rel=1e-12)
    assert noise.psi == kept[1].psi


def test_what_the_data_refuse_is_none_and_said() -> None:
    before = np.arange(12.0)  # stocks below ten, all but two
    after = 2 * before + 1
    kernel = fit_attachment_kernel(before, after, offset=1.0)
    shape, noise, notes = around_kernel(kernel, before, after)
    assert shape is not None
    assert noise is None
    assert len(notes) == 1
    assert notes[0].startswith("noise: only ")
