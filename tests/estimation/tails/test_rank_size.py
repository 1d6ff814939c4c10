"""Rank-size regression (Gabaix & Ibragimov 2011): algebra, limits, and its standard error."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import fit_zipf, share_to_k


@given(
    st.lists(st.integers(1, 500), min_size=4, max_size=60).filter(lambda x: len(set(x)) > 1),
    st.integers(0, 10),
)
@settings(deadline=None, derandomize=True)
def test_slope_is_least_squares(sample: list[int], zeros: int) -> None:
    k = len(sample)
    x = np.sort(np.array(sample, dtype=float))[::-1]
    design = np.column_stack([np.ones(k), np.log(x)])
    log_rank = np.log(np.arange(1, k + 1) - 0.5)
    (intercept, slope), residual, *_ = np.linalg.lstsq(design, log_rank, rcond=None)
    fit = fit_zipf(sample + [0] * zeros, k=k)
    assert fit.slope == pytest.approx(slope, rel=1e-8)
    assert fit.intercept == pytest.approx(intercept, rel=1e-8, abs=1e-9)
    total = np.sum((log_rank - log_rank.mean()) ** 2)
    assert fit.r_squared == pytest.approx(1 - residual[0] / total, abs=1e-9)
    assert fit.std_error == pytest.approx(abs(fit.slope) * math.sqrt(2 / k), rel=1e-14)
    assert (fit.n_obs, fit.n_used, fit.threshold) == (k + zeros, k, x[-1])


@pytest.mark.parametrize("zeta", [0.5, 1.0, 2.5])
def test_exact_quantiles_give_the_exponent(zeta: float) -> None:
    # x_r = ((r - 1/2)/n)^(-1/zeta): log(r - 1/2) is exactly linear in log x.
    n = 1000
    x = ((np.arange(1, n + 1) - 0.5) / n) ** (-1 / zeta)
    fit = fit_zipf(x, k=n)
    assert fit.slope == pytest.approx(-zeta, rel=1e-10)
    assert fit.intercept == pytest.approx(math.log(n), rel=1e-10)
    assert fit.r_squared == pytest.approx(1, abs=1e-12)
    assert fit.estimates()["zeta"].value == -fit.slope


@given(st.floats(1e-3, 1e6), st.integers(0, 1000))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_slope_does_not_depend_on_the_unit(unit: float, seed: int) -> None:
    x = np.random.default_rng(seed).pareto(1.2, 80) + 1
    assert fit_zipf(x * unit, k=50).slope == pytest.approx(fit_zipf(x, k=50).slope, rel=1e-8)


@pytest.mark.parametrize(("zeta", "k"), [(1.0, 100), (0.6, 400), (2.0, 400)])
def test_recovery_and_standard_error(zeta: float, k: int) -> None:
    # The half shifts the rank so that the bias is o(1/k); the spread is zeta sqrt(2/k).
    runs = 1500
    rng = np.random.default_rng(13)
    slopes = np.array(
        [fit_zipf((1 - rng.random(k)) ** (-1 / zeta), k=k).slope for _ in range(runs)]
    )
    spread = slopes.std(ddof=1)
    assert abs(slopes.mean() + zeta) < 4 * spread / math.sqrt(runs) + 2 * zeta / k
    # log of the ratio of a sample sd to its target: error 1/sqrt(2(runs - 1)), and the
    # asymptotic formula itself is off by O(log(k)/k) for finite k
    ratio = spread / (zeta * math.sqrt(2 / k))
    assert abs(ratio - 1) < 4 / math.sqrt(2 * (runs - 1)) + math.log(k) / k


def test_least_squares_error_is_far_too_small() -> None:
    # The reason for |b| sqrt(2/k): ordinary least squares takes correlated ranks as independent.
    from statsmodels.api import OLS, add_constant

    x = np.sort((1 - np.random.default_rng(2).random(500)) ** -1.0)[::-1]
    ols = OLS(np.log(np.arange(1, 501) - 0.5), add_constant(np.log(x))).fit()
    assert fit_zipf(x, k=500).std_error > 5 * ols.bse[1]


def test_only_the_k_largest_matter() -> None:
    x = np.random.default_rng(5).pareto(1.0, 200) + 1
    kept = np.sort(x)[::-1][:40]
    assert fit_zipf(x, k=40).slope == pytest.approx(fit_zipf(kept, k=40).slope, rel=1e-12)
    pairs = Counts.from_pairs(x, np.ones(200, dtype=int))
    assert fit_zipf(pairs, k=40).slope == fit_zipf(x, k=40).slope


@pytest.mark.parametrize(
    ("sample", "k", "says"),
    [
        ([3, 2, 1], 2, "at least 3"),
        ([3, 2, 1], 4, "k = 4"),
        ([3, 2, 1, 0, 0], 4, "only 3 items are positive"),
        ([5, 5, 5, 1], 3, "all equal"),
    ],
    ids=["too-few", "too-many", "zeros", "equal"],
)
def test_refusals(sample: list[int], k: int, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_zipf(sample, k=k)


@pytest.mark.parametrize(
    ("n", "share", "k"),
    [(760_000, 0.01, 7600), (760_000, 0.001, 760), (2415, 0.1, 242), (50, 0.001, 1), (7, 1.0, 7)],
)
def test_share_to_k(n: int, share: float, k: int) -> None:
    assert share_to_k(n, share) == k


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, math.nan])
def test_share_outside_its_range(share: float) -> None:
    with pytest.raises(DataError, match="share"):
        share_to_k(100, share)


def test_design_effect_widens_the_interval() -> None:
    x = np.random.default_rng(5).pareto(1.0, 200) + 1
    plain, wide = fit_zipf(x, k=100), fit_zipf(x, k=100, design_effect=9.0)
    assert wide.std_error_clustered == pytest.approx(3 * plain.std_error, rel=1e-14)
    assert plain.std_error_clustered == plain.std_error
    assert wide.estimates()["slope"].std_error == wide.std_error_clustered
