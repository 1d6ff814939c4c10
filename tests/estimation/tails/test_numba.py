"""The compiled loops against mpmath and against plain loops."""

import math

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.tails import _numba

DIGITS = 60


def scaled_hurwitz(a: float, q: float, x: float) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Return sum ((q + k)/x)^-a with its two derivatives in a, to many digits."""
    # Many more digits than are compared: zeta(a, q) is of the order of x^-a.
    with mp.workdps(DIGITS + min(400, int(a * math.log10(x)) + 1)):
        A, Q, X = mp.mpf(a), mp.mpf(q), mp.mpf(x)
        z, d1, d2 = (mp.zeta(A, Q, k) for k in range(3))
        log, scale = mp.log(X), X**A
        return (
            scale * z,
            scale * (log * z + d1),
            scale * (log * log * z + 2 * log * d1 + d2),
        )


def relative(got: float, exact: mp.mpf) -> float:
    with mp.workdps(DIGITS):
        return float(abs(mp.mpf(got) / exact - 1))


ALPHAS = (1.05, 1.2, 1.5, 2.0, 2.5, 3.5, 5.0, 8.0, 12.0, 20.0)
STARTS = (1.0, 2.0, 7.0, 11.0, 12.0, 13.0, 20.0, 40.0, 1e3, 1e6, 1e9)


@pytest.mark.parametrize("x_min", STARTS, ids=lambda v: f"x_min={v:g}")
@pytest.mark.parametrize("alpha", ALPHAS, ids=lambda v: f"alpha={v:g}")
def test_hurwitz_at_x_min(alpha: float, x_min: float) -> None:
    exact = scaled_hurwitz(alpha, x_min, x_min)
    got = _numba.hurwitz(alpha, x_min, x_min)
    assert [relative(g, e) < 1e-12 for g, e in zip(got, exact, strict=True)] == [True] * 3
    assert relative(_numba.hurwitz_value(alpha, x_min, x_min), exact[0]) < 1e-12


@pytest.mark.parametrize(
    ("alpha", "q", "x"),
    [
        (1.05, 1e9, 1.0),
        (1.5, 17.0, 3.0),
        (2.0, 1.0, 1.0),
        (2.5, 1e5, 50.0),
        (3.0, 1e9, 1e6),
        (7.0, 30.0, 12.0),
        (20.0, 1e4, 1.0),
        (20.0, 25.0, 20.0),
    ],
    ids=str,
)
def test_hurwitz_above_x_min(alpha: float, q: float, x: float) -> None:
    exact = scaled_hurwitz(alpha, q, x)
    got = _numba.hurwitz(alpha, q, x)
    assert [relative(g, e) < 1e-12 for g, e in zip(got, exact, strict=True)] == [True] * 3
    assert relative(_numba.hurwitz_value(alpha, q, x), exact[0]) < 1e-12


def test_hurwitz_closed_forms() -> None:
    # zeta(2) = pi^2/6, zeta(4) = pi^4/90, and H(a, 2, 1) = H(a, 1, 1) - 1.
    assert _numba.hurwitz_value(2.0, 1.0, 1.0) == pytest.approx(math.pi**2 / 6, rel=1e-15)
    assert _numba.hurwitz_value(4.0, 1.0, 1.0) == pytest.approx(math.pi**4 / 90, rel=1e-15)
    assert _numba.hurwitz_value(3.3, 2.0, 1.0) == pytest.approx(
        _numba.hurwitz_value(3.3, 1.0, 1.0) - 1.0, rel=1e-14
    )


@pytest.mark.parametrize("x_min", [1.0, 3.0, 15.0, 60.0, 1e4, 1e9], ids=lambda v: f"x_min={v:g}")
@pytest.mark.parametrize("alpha", [1.0001, 1.01, 50.0, 300.0, 999.0], ids=lambda v: f"alpha={v:g}")
def test_hurwitz_at_extremes_is_finite_and_right(alpha: float, x_min: float) -> None:
    # The likelihood search accepts alpha up to 1000, so that far the sum has to hold.
    z, d1, d2 = _numba.hurwitz(alpha, x_min, x_min)
    assert all(map(math.isfinite, (z, d1, d2)))
    assert z >= 1.0
    assert d1 <= 0.0 <= d2
    exact, _, _ = scaled_hurwitz(alpha, x_min, x_min)
    assert relative(z, exact) < 1e-12
    assert relative(_numba.hurwitz_value(alpha, x_min, x_min), exact) < 1e-12


def solve_alpha(mean_log: float, x_min: float, guess: float) -> float:
    """Return the root of d/da log H + mean_log = 0 by mpmath."""
    with mp.workdps(40):
        X, L = mp.mpf(x_min), mp.mpf(mean_log)
        return float(
            mp.findroot(
                lambda a: mp.zeta(a, X, 1) / mp.zeta(a, X) + mp.log(X) + L,
                (mp.mpf(guess) * 0.98 + 0.02, mp.mpf(guess) * 1.02),
                solver="secant",
                tol=1e-30,
            )
        )


@pytest.mark.parametrize(
    "x_min", [1.0, 2.0, 7.0, 12.0, 100.0, 1e5, 1e9], ids=lambda v: f"x_min={v:g}"
)
@pytest.mark.parametrize(
    "alpha", [1.05, 1.1, 1.5, 2.0, 2.5, 3.5, 6.0, 15.0, 20.0], ids=lambda v: f"alpha={v:g}"
)
def test_discrete_mle_solves_the_likelihood_equation(alpha: float, x_min: float) -> None:
    z, d1, d2 = scaled_hurwitz(alpha, x_min, x_min)
    mean_log = float(-d1 / z)
    start = _numba.discrete_start(mean_log, x_min)
    found, information, steps = _numba.discrete_mle(mean_log, x_min, start)
    # quadratic convergence from a start that is right to O(1/x_min^2)
    assert 0 < steps < 20
    assert found == pytest.approx(solve_alpha(mean_log, x_min, alpha), rel=1e-11)
    assert information == pytest.approx(float(d2 / z - (d1 / z) ** 2), rel=1e-8)


@pytest.mark.parametrize("start", [1.0 + 1e-9, 1.3, 2.0, 9.0, 400.0], ids=lambda v: f"start={v:g}")
@pytest.mark.parametrize("mean_log", [1e-3, 0.1, 0.8, 5.0, 50.0], ids=lambda v: f"mean={v:g}")
def test_discrete_mle_does_not_depend_on_the_start(mean_log: float, start: float) -> None:
    x_min = 1.0
    usual = _numba.discrete_mle(mean_log, x_min, _numba.discrete_start(mean_log, x_min))[0]
    assert _numba.discrete_mle(mean_log, x_min, start)[0] == pytest.approx(usual, rel=1e-12)


@pytest.mark.parametrize(
    ("x_min", "up", "above", "at"),
    [(1, 2, 1, 10_000), (12, 13, 1, 100), (20, 21, 1, 1000), (50, 51, 1, 1000), (400, 401, 2, 9)],
    ids=lambda v: str(v),
)
def test_discrete_mle_of_a_very_steep_tail(x_min: int, up: int, above: int, at: int) -> None:
    # `at` items at x_min and `above` one step higher: alpha lies between 10 and 1000.
    mean_log = above * math.log(up / x_min) / (at + above)
    with mp.workdps(40):
        guess = math.log(at / above) / math.log(up / x_min)
        exact = solve_alpha(mean_log, float(x_min), guess)
    assert 10 < exact < 1000
    start = _numba.discrete_start(mean_log, float(x_min))
    found, _, steps = _numba.discrete_mle(mean_log, float(x_min), start)
    assert steps > 0
    assert found == pytest.approx(exact, rel=1e-10)


def test_discrete_mle_reports_alpha_beyond_a_thousand() -> None:
    # One item in ten thousand at 1001, the others at 1000: (1001/1000)^-alpha is about 1e-4,
    # alpha about 9,200.
    x_min = 1000.0
    mean_log = math.log(1.001) / 10_000
    start = _numba.discrete_start(mean_log, x_min)
    assert _numba.discrete_mle(mean_log, x_min, start)[2] == -1


def packed(values: NDArray[np.float64], times: NDArray[np.int64]) -> _numba.Sample:
    above = np.append(np.cumsum(times[::-1])[::-1], 0).astype(np.int64)
    return values, np.log(values), above


def distance(
    sample: _numba.Sample, start: int, alpha: float, top: float, discrete: bool, kind: int,
    limit: float = math.inf, hint: int = -1,
) -> float:  # fmt: skip
    law = _numba.law_at(alpha, sample[0][start], top, discrete)
    stack = np.empty((64, 6))
    return _numba.ks_distance(sample, start, law, discrete, kind, limit, hint, stack)[0]


def brute_ks(
    sample: NDArray[np.float64], alpha: float, top: float, discrete: bool, kind: int
) -> float:
    """The definitions, item by item or number by number; sample sorted, all of the tail."""
    x_min, n = sample[0], sample.size
    if discrete:
        whole = np.arange(x_min, sample[-1] + 1)
        with mp.workdps(30):
            beyond = mp.zeta(alpha, int(top) + 1) if top < math.inf else mp.mpf(0)
            total = mp.zeta(alpha, int(x_min)) - beyond
            mass = [mp.mpf(int(v)) ** -alpha / total for v in whole]
            cdf = [float(mp.fsum(mass[: i + 1])) for i in range(len(mass))]
    else:
        lost = (top / x_min) ** (1 - alpha)
        whole = np.unique(sample)
        cdf = (1 - (whole / x_min) ** (1 - alpha)) / (1 - lost)
    seen = np.array([np.mean(sample <= v) for v in whole])
    before = np.array([np.mean(sample < v) for v in whole])
    below = np.concatenate([[0.0], cdf[:-1]]) if discrete else np.asarray(cdf)  # P(X < v)
    at = np.isin(whole, sample)
    if kind == _numba.LEFT:
        return float(np.max(np.abs(before - below)[at]))
    if kind == _numba.TWO_SIDED:  # the supremum over every whole number, or both sides of a step
        return float(max(np.max(np.abs(seen - cdf)), np.max(np.abs(before - below))))
    if discrete:
        return float(np.max(np.abs(seen - cdf)[at]))
    each = (1 - (sample / x_min) ** (1 - alpha)) / (1 - lost)
    return float(np.max(np.abs(each - np.arange(n) / n)))


KINDS = pytest.mark.parametrize(
    "kind", [_numba.CSN, _numba.TWO_SIDED, _numba.LEFT], ids=["csn", "two-sided", "left"]
)


@KINDS
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("top", [math.inf, 64.0], ids=["endless", "cut"])
@pytest.mark.parametrize("alpha", [1.4, 2.5, 5.0], ids=lambda v: f"alpha={v:g}")
def test_ks_conventions(alpha: float, top: float, discrete: bool, kind: int) -> None:
    rng = np.random.default_rng(11)
    for _ in range(6):
        values = np.unique(rng.integers(2, 60, size=12)).astype(float)
        times = rng.integers(1, 9, size=values.size)
        sample = packed(values, times)
        for start in range(values.size):
            items = np.repeat(values[start:], times[start:])
            expected = brute_ks(items, alpha, top, discrete, kind)
            assert distance(sample, start, alpha, top, discrete, kind) == pytest.approx(
                expected, abs=1e-13
            )


@KINDS
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_blocks_left_out_never_hold_the_maximum(discrete: bool, kind: int) -> None:
    # Evaluated at every value (a block of two has no inside) against the search by halves.
    rng = np.random.default_rng(12)
    for alpha in (1.3, 2.0, 3.0):
        values = np.unique(np.floor(3.0 * rng.random(400) ** (-1.0 / 1.1)))
        times = rng.integers(1, 40, size=values.size)
        sample = packed(values, times)
        law = _numba.law_at(alpha, values[0], math.inf, discrete)
        n = float(times.sum())
        every = max(_numba.gap_at(sample, n, i, law, discrete, kind)[0] for i in range(values.size))
        for hint in (-1, 5, values.size - 1):
            found = distance(sample, 0, alpha, math.inf, discrete, kind, hint=hint)
            assert found == every


@KINDS
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_abandoned_ks_is_above_its_limit(discrete: bool, kind: int) -> None:
    sample = packed(np.array([1.0, 2.0, 3.0, 50.0]), np.array([40, 10, 10, 40]))
    full = distance(sample, 0, 2.5, math.inf, discrete, kind)
    assert 0.05 < distance(sample, 0, 2.5, math.inf, discrete, kind, limit=0.05) <= full
    assert distance(sample, 0, 2.5, math.inf, discrete, kind, limit=full) == full


@pytest.mark.parametrize("x_min", [1.0, 30.0], ids=lambda v: f"x_min={v:g}")
@pytest.mark.parametrize("alpha", [1.2, 2.0, 3.5], ids=lambda v: f"alpha={v:g}")
def test_cut_tails_solve_their_likelihood_equations(alpha: float, x_min: float) -> None:
    top = 40.0 * x_min
    whole = np.arange(x_min, top + 1)
    weights = whole**-alpha
    logs = np.log(whole / x_min)
    mean = float(np.sum(logs * weights) / np.sum(weights))
    variance = float(np.sum((logs - mean) ** 2 * weights) / np.sum(weights))
    assert _numba.log_moments(alpha, x_min, top, True) == pytest.approx((mean, variance), rel=1e-9)
    found, exists = _numba.mle_at(mean, x_min, 0.0, top, True)
    assert exists
    assert found == pytest.approx(alpha, rel=1e-9)
    with mp.workdps(30):
        norm = mp.quad(lambda y: y**-alpha, [1, 5, 40])
        mean = float(mp.quad(lambda y: mp.log(y) * y**-alpha, [1, 5, 40]) / norm)
        square = float(mp.quad(lambda y: mp.log(y) ** 2 * y**-alpha, [1, 5, 40]) / norm)
    expected = (mean, square - mean**2)
    assert _numba.log_moments(alpha, x_min, top, False) == pytest.approx(expected, rel=1e-10)
    found, exists = _numba.mle_at(mean, x_min, 0.0, top, False)
    assert exists
    assert found == pytest.approx(alpha, rel=1e-12)


def test_a_cut_tail_that_falls_too_slowly_has_no_alpha() -> None:
    # A mean log of half the reach is alpha = 1: at or above it nothing fits.
    reach = math.log(40.0)
    assert not _numba.mle_at(0.5 * reach, 1.0, 0.0, 40.0, False)[1]
    assert not _numba.mle_at(0.6 * reach, 10.0, 0.0, 400.0, True)[1]
