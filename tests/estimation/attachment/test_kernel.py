"""The kernel from two dates: exact cases, against statsmodels, recovery, and refusals."""

import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize

from baimo.estimation.attachment.kernel import fit_attachment_kernel
from baimo.estimation.errors import ConvergenceWarning, DataError
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

Floats = NDArray[np.float64]
NAN = math.nan


# --- kernel: exact cases -----------------------------------------------------------------------


def test_two_stocks_have_a_closed_form_negative_gains_included() -> None:
    # With two stocks the mean is free in each: theta = log(m2/m1)/log((L2 + a)/(L1 + a)).
    stock = np.repeat([1.0, 9.0], 6)
    gains = np.array([1.0, 0, 2, -1, 0, 1, 4, 0, 9, -1, 3, 6])
    fit = fit_attachment_kernel(stock, stock + gains, offset=1.0)
    reach = math.log(10.0 / 2.0)
    m1, m2 = 0.5, 3.5
    assert fit.theta == pytest.approx(math.log(m2 / m1) / reach, rel=1e-9)
    assert fit.n_negative == 2
    assert any("2 of 12 gains are negative" in note for note in fit.notes)
    assert fit.expected([1.0, 9.0]) == pytest.approx([m1, m2], rel=1e-9)
    # HC3 of log m is sum e^2/((n - 1) m)^2, times (N - 1)/N
    squares = [np.sum((gains[:6] - m1) ** 2), np.sum((gains[6:] - m2) ** 2)]
    variance = sum(s / (5 * m) ** 2 for s, m in zip(squares, (m1, m2), strict=True)) * 11 / 12
    error = fit.estimates()["theta"].std_error
    assert error == pytest.approx(math.sqrt(variance) / reach, rel=1e-8)
    # dispersion: Pearson over 10 degrees of freedom
    assert fit.dispersion == pytest.approx((squares[0] / m1 + squares[1] / m2) / 10, rel=1e-9)


def sample(
    theta: float, n: int, seed: int, *, phi: float = 0.0, offset: float = 1.0, sd: float = 0.6
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Return (before, after, ages, authors): stocks negative binomial, luck by author."""
    rng = np.random.default_rng(seed)
    stock = rng.poisson(rng.gamma(0.7, 10.0, n)).astype(float)
    ages, authors = 0.1 + rng.exponential(1.0, n), rng.integers(0, n // 4, n)
    params = KernelParams(theta=theta, offset=offset, phi=phi)
    gains = simulate_increments(
        params, stock, 4.0 * n, rng, ages=ages, fitness_sd=sd, clusters=authors
    )
    return stock, stock + gains, ages, authors


def glm(y: Floats, x: Floats, **options: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single step does not converge, and should not
        return sm.GLM(y, x, family=sm.families.Poisson()).fit(**options)


def test_against_statsmodels_with_the_offset_given() -> None:
    before, after, ages, authors = sample(0.9, 4_000, 5, phi=-0.5)
    fit = fit_attachment_kernel(before, after, ages=ages, offset=1.0, clusters=authors)
    x = np.column_stack([np.ones(before.size), np.log(before + 1.0), np.log(ages)])
    plain = sm.GLM(after - before, x, family=sm.families.Poisson())
    oracle = plain.fit(tol=1e-12, cov_type="cluster", cov_kwds={"groups": authors})
    assert fit.names == ("constant", "theta", "phi")
    assert fit.values == pytest.approx(oracle.params, abs=1e-6)
    # Theirs is CR1, ours CR3: of a thousand small clusters alike, CR3 the larger by a percent.
    ratio = np.sqrt(np.diag(fit.covariance)) / oracle.bse
    assert np.all((ratio > 1.0) & (ratio < 1.03))
    # Errors of a Poisson, which they are not, are several times smaller.
    assert np.all(np.sqrt(np.diag(fit.covariance)) > 1.5 * plain.fit().bse)
    assert fit.n_clusters == np.unique(authors).size


@pytest.mark.parametrize("labelled", [True, False], ids=["clusters", "items"])
def test_covariance_is_the_jackknife_in_one_step(labelled: bool) -> None:
    # Oracle: statsmodels without one cluster, a single step of Newton from the full optimum.
    before, after, ages, authors = sample(1.0, 160, 6, phi=-0.5)
    labels = authors if labelled else np.arange(before.size)
    fit = fit_attachment_kernel(
        before, after, ages=ages, offset=2.0, clusters=authors if labelled else None
    )  # fmt: skip
    x = np.column_stack([np.ones(before.size), np.log(before + 2.0), np.log(ages)])
    moves = []
    for label in np.unique(labels):
        kept = labels != label
        one = glm((after - before)[kept], x[kept], start_params=fit.values, maxiter=1)
        moves.append(one.params - fit.values)  # type: ignore[attr-defined]
    n = len(moves)
    expected = np.array(moves).T @ np.array(moves) * (n - 1) / n
    assert fit.covariance == pytest.approx(expected, rel=1e-6, abs=1e-12)


def cost(p: Floats, before: Floats, after: Floats, log_age: Floats) -> float:
    eta = p[0] + p[1] * np.log(before + math.exp(p[2])) + p[3] * log_age
    return float(np.sum(np.exp(eta) - (after - before) * eta))


@pytest.mark.parametrize("seed", range(4))
def test_the_free_offset_against_a_numerical_optimum(seed: int) -> None:
    before, after, ages, _ = sample(0.8, 1_500, 20 + seed, phi=-0.3, offset=3.0)
    fit = fit_attachment_kernel(before, after, ages=ages)
    theirs = optimize.minimize(
        cost, [0.0, 0.5, 0.0, 0.0], (before, after, np.log(ages)), method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-9, "maxiter": 10_000, "maxfev": 10_000},
    )  # fmt: skip
    mine = np.array([fit.values[0], fit.theta, math.log(fit.offset), fit.values[3]])
    assert cost(mine, before, after, np.log(ages)) <= theirs.fun + 1e-6
    assert mine == pytest.approx(theirs.x, abs=2e-4)
    # covariance of the offset itself, not of its logarithm: delta method on the numerical Hessian
    assert fit.names == ("constant", "theta", "offset", "phi")


def test_small_samples_with_a_free_offset_settle_or_say_so() -> None:
    # Fisher scoring crawled here and one fit in thirty was refused with its optimum in sight; the
    # check by a negative binomial must not change what is said of the fit itself.
    held = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        stock = rng.geometric(0.02, 60).astype(float)
        gains = simulate_increments(
            KernelParams(theta=0.8, offset=3), stock, 600, rng, fitness_sd=1.0
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            fit = fit_attachment_kernel(stock, stock + gains)
        assert fit.values.shape == (len(fit.names),)
        assert fit.covariance.shape == (len(fit.names),) * 2
        if "offset" in fit.names:
            assert fit.offset == fit.values[fit.names.index("offset")]
            assert not said
        else:
            held += 1
            low, high = 1e-3 * stock.min(), 1e2 * stock.mean()
            assert fit.offset in (pytest.approx(low), pytest.approx(high))
            assert fit.converged is (fit.offset < 1)
            assert [w.category for w in said] == [ConvergenceWarning]
            assert any("held at" in note for note in fit.notes)
        residual = stock + gains - stock - fit.expected(stock)
        assert abs(residual.sum()) < 1e-3 * gains.sum()  # the moment condition of the constant
    assert 0 < held < 60


@pytest.mark.parametrize("unit", [1e6, 1e-3])
def test_theta_does_not_depend_on_the_unit(unit: float) -> None:
    before, after, ages, _ = sample(0.9, 20_000, 5, phi=-0.3, offset=1.0)
    one = fit_attachment_kernel(before, after, ages=ages)
    other = fit_attachment_kernel(before * unit, after * unit, ages=ages)
    assert other.theta == pytest.approx(one.theta, rel=1e-6)
    assert other.phi == pytest.approx(one.phi, rel=1e-6)
    assert other.offset == pytest.approx(one.offset * unit, rel=1e-6)


@pytest.mark.parametrize("offset", [200.0, 5_000.0, 100_000.0])
def test_an_offset_in_the_thousands_is_found(offset: float) -> None:
    rng = np.random.default_rng(4)
    stock = np.round(np.exp(rng.normal(9.6, 1.0, 20_000)))
    gains = simulate_increments(KernelParams(theta=0.9, offset=offset), stock, 400_000, rng)
    fit = fit_attachment_kernel(stock, stock + gains)
    for name, truth in (("theta", 0.9), ("offset", offset)):
        e = fit.estimates()[name]
        assert e.std_error is not None
        assert e.value == pytest.approx(truth, abs=4 * e.std_error)


# --- kernel: recovery --------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [0.6, 1.0, 1.2], ids=lambda v: f"theta={v:g}")
def test_recovery_and_why_least_squares_of_logs_is_wrong(theta: float) -> None:
    before, after, ages, authors = sample(theta, 40_000, 31, phi=-0.4, offset=2.0)
    fit = fit_attachment_kernel(before, after, ages=ages, clusters=authors)
    for name, truth in (("theta", theta), ("offset", 2.0), ("phi", -0.4)):
        found = fit.estimates()[name]
        assert found.std_error is not None
        assert found.value is not None
        assert abs(found.value - truth) < 4 * found.std_error, name
        assert found.std_error < 0.1 * max(abs(truth), 1.0)
    assert fit.dispersion > 2
    assert fit.params == KernelParams(theta=fit.theta, offset=fit.offset, phi=fit.phi or 0.0)
    # With the weights of a negative binomial theta is the same but for noise.
    error = fit.estimates()["theta"].std_error or 0.0
    assert fit.nb2_theta is not None
    assert abs(fit.nb2_theta - theta) < 6 * error
    # Least squares on log(1 + gain), offset and age known: many of its own errors off.
    x = np.column_stack([np.ones(before.size), np.log(before + 2.0), np.log(ages)])
    logs = sm.OLS(np.log1p(after - before), x).fit(cov_type="cluster", cov_kwds={"groups": authors})
    assert logs.params[1] < theta - 10 * logs.bse[1]
    assert logs.params[1] < theta - 0.05


def test_heterogeneity_without_attachment_looks_like_attachment_that_ages() -> None:
    # L ~ Poisson(q age), q ~ Gamma(r, rate b), success breeds none. Yet exactly
    # E[gain | L, age] = h (L + r)/(age + b): theta 1 and phi -1 in (L + r, age + b).
    r, b, h, n = 0.8, 0.5, 0.2, 60_000
    rng = np.random.default_rng(41)
    rate, ages = rng.gamma(r, 1 / b, n), 0.2 + rng.exponential(2.0, n)
    stock = rng.poisson(rate * ages).astype(float)
    after = stock + rng.poisson(rate * h)
    for low, high in ((0, 0), (1, 2), (5, 9)):
        chosen = (stock >= low) & (stock <= high) & (ages > 1) & (ages < 2)
        gains = (after - stock)[chosen]
        expected = h * (stock[chosen] + r) / (ages[chosen] + b)
        assert abs(np.sum(gains - expected)) < 4 * math.sqrt(np.sum((gains - expected) ** 2))
    fit = fit_attachment_kernel(stock, after, ages=ages + b)
    for name, truth in (("theta", 1.0), ("offset", r), ("phi", -1.0)):
        found = fit.estimates()[name]
        assert abs((found.value or 0) - truth) < 4 * (found.std_error or 0), name
    assert math.exp(fit.values[0]) == pytest.approx(h, rel=0.1)
    # Without age the same data give a theta below one (.6 to .86), which no offset mends.
    alone = fit_attachment_kernel(stock, after, offset=1.0)
    assert 0.55 < alone.theta < 0.9


def test_linear_attachment_gives_one_and_zero() -> None:
    # A Yule process: each item gains at gamma (L + a) whatever its age.
    rng = np.random.default_rng(42)
    n, a, gamma, h = 40_000, 0.7, 0.8, 0.1
    ages = rng.exponential(1.2, n)
    stock = rng.poisson(rng.gamma(a, np.expm1(gamma * ages))).astype(float)
    grown = rng.poisson(rng.gamma(stock + a, np.expm1(gamma * h))).astype(float)  # exact step
    fit = fit_attachment_kernel(stock, stock + grown, ages=ages)
    for name, truth in (("theta", 1.0), ("offset", a), ("phi", 0.0)):
        found = fit.estimates()[name]
        assert abs((found.value or 0) - truth) < 4 * (found.std_error or 0), name


def test_units_of_age_and_time_move_the_constant_only() -> None:
    before, after, ages, _ = sample(0.9, 2_000, 43, phi=-0.5)
    years = fit_attachment_kernel(before, after, ages=ages, offset=1.0)
    days = fit_attachment_kernel(before, after, ages=ages * 365.25, offset=1.0)
    assert days.values[1:] == pytest.approx(years.values[1:], abs=1e-8)
    shift = years.values[2] * math.log(365.25)
    assert days.values[0] == pytest.approx(years.values[0] - shift, abs=1e-7)


def test_items_without_both_dates_or_an_age_are_left_out() -> None:
    before, after, ages, authors = sample(0.9, 500, 44)
    plain = fit_attachment_kernel(before, after, ages=ages, offset=1.0, clusters=authors)
    wide = fit_attachment_kernel(
        np.append(before, [NAN, 5.0, 7.0]), np.append(after, [3.0, NAN, 90.0]),
        ages=np.append(ages, [1.0, 1.0, NAN]), offset=1.0,
        clusters=np.append(authors, [0, 1, 2]),
    )  # fmt: skip
    assert wide.values == pytest.approx(plain.values, rel=1e-10)
    assert wide.covariance == pytest.approx(plain.covariance, rel=1e-8)
    assert (wide.n_obs, wide.n_used, plain.n_used) == (503, 500, 500)
    assert np.isnan(wide.expected([3.0], [NAN])[0])


def test_an_offset_that_runs_away_is_held_and_said() -> None:
    # Gains in proportion to the stock exactly: the offset runs to zero.
    stock = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 10)
    with pytest.warns(ConvergenceWarning, match="held at 0.001"):
        fit = fit_attachment_kernel(stock, 2 * stock)
    assert fit.offset == 1e-3
    assert fit.names == ("constant", "theta")
    assert fit.estimates()["offset"].std_error is None
    assert fit.theta == pytest.approx(1.0, abs=1e-3)
    assert fit.nb2_alpha is None  # no scatter, no excess variance


def test_an_item_that_holds_most_of_the_information_is_pointed_out() -> None:
    # With offset and two parameters, theta's information is that of weighted least squares: the
    # share of item i is mean_i (x_i - xbar)^2 over the sum, xbar weighted by the means.
    rng = np.random.default_rng(47)
    stock = np.append(rng.poisson(5.0, 400).astype(float), 20_000.0)
    gains = rng.poisson(0.2 * (stock + 1.0)).astype(float)
    fit = fit_attachment_kernel(stock, stock + gains, offset=1.0)
    mean, x = fit.expected(stock), np.log(stock + 1.0)
    parts = mean * (x - np.average(x, weights=mean)) ** 2
    share = parts.max() / parts.sum()
    assert 0.1 < share < 0.9
    assert f"one item (or cluster) holds {share:.0%} of what is known of theta" in fit.notes[0]
    assert not fit_attachment_kernel(stock[:-1], (stock + gains)[:-1], offset=1.0).notes


# --- refusals --------------------------------------------------------------------------------

GOOD = (np.arange(12.0), np.arange(12.0) * 2 + 1)


@pytest.mark.parametrize(
    ("before", "after", "options", "says"),
    [
        (GOOD[0], GOOD[1][:5], {}, "before and after must match"),
        (-GOOD[0], GOOD[1], {}, "not negative; NaN marks"),
        (GOOD[0] + math.inf, GOOD[1], {}, "finite and not negative"),
        (GOOD[0][:5], GOOD[1][:5], {}, "only 5 items are there on both dates"),
        (GOOD[1], GOOD[0], {}, "gained nothing in sum"),
        (GOOD[0] * 0 + 3, GOOD[1] + 3, {}, "all items have the same stock"),
        (GOOD[0] % 2, GOOD[1] + 3, {}, "two values only.*give the offset"),
        (*GOOD, {"ages": [1.0]}, "12 items but 1 ages"),
        (*GOOD, {"ages": GOOD[0]}, "ages must be positive"),
        (*GOOD, {"ages": np.ones(12)}, "all items have the same age.*leave ages out"),
        (*GOOD, {"offset": 0.0}, "offset = 0 must be positive"),
        (*GOOD, {"offset": NAN}, "offset = nan must be positive"),
        (*GOOD, {"days": 0.0}, "days = 0 must be positive: give two different dates"),
        (*GOOD, {"clusters": [1, 2]}, "12 items but 2 cluster labels"),
        (*GOOD, {"clusters": [None] * 12}, "12 of 12 cluster labels are missing"),
        (*GOOD, {"clusters": ["a"] * 12, "offset": 1.0}, "in one cluster.*leave the clusters out"),
    ],
    ids=["lengths", "negative", "infinite", "few", "nothing", "stock", "two", "ages", "age-zero",
         "age-equal", "offset", "offset-nan", "days", "labels", "missing", "one-cluster"],
)  # fmt: skip
def test_kernel_refusals(before: Floats, after: Floats, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says) as raised:
        fit_attachment_kernel(before, after, **options)
    assert "\n" not in str(raised.value)


def test_expected_gains_of_a_kernel_with_age_need_ages() -> None:
    before, after, ages, _ = sample(0.9, 300, 45)
    with pytest.raises(DataError, match="give the ages"):
        fit_attachment_kernel(before, after, ages=ages, offset=1.0).expected([1.0])
