"""A weekly panel of survivors: item by item, and the volatilities and factor it was drawn with."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.survivors import MIN_OVERLAP, WEEKS_PER_YEAR, fit_panel_growth
from tests.estimation.recovery import check_recovery

Floats = NDArray[np.float64]


ITEMS, WEEKS = 20, 150


SIGMA_OWN, SIGMA_COMMON, DRIFT = 0.9, 0.6, 0.3


def draw_panel(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """One common factor with equal loadings, independent Gaussian noise of its own."""
    factor = SIGMA_COMMON * rng.standard_normal(WEEKS)
    own = SIGMA_OWN * rng.standard_normal((ITEMS, WEEKS))
    growth = (factor + own) / math.sqrt(WEEKS_PER_YEAR) + DRIFT / WEEKS_PER_YEAR
    items, weeks = np.meshgrid(np.arange(ITEMS), np.arange(WEEKS), indexing="ij")
    return items.ravel(), weeks.ravel(), growth.ravel()


@pytest.fixture(scope="module", params=["full", "gaps"])
def panel_runs(request: pytest.FixtureRequest) -> dict[str, Floats]:
    rng = np.random.default_rng(68)
    rows = []
    for _ in range(150):
        items, weeks, growth = draw_panel(rng)
        if request.param == "gaps":
            kept = rng.random(growth.size) < 0.7
            items, weeks, growth = items[kept], weeks[kept], growth[kept]
        fit = fit_panel_growth(items, weeks, growth)
        rows.append(
            (
                fit.sigma_idiosyncratic,
                fit.sigma_idiosyncratic_std_error,
                fit.sigma_total,
                fit.mean_correlation,
                fit.factor_share,
                fit.drift_survivors,
                fit.excess_kurtosis,
                fit.drift_survivors_std_error,
                growth.size / (ITEMS * WEEKS),
            )
        )
    names = (
        "own", "own_error", "total", "correlation", "share", "drift", "kurtosis", "drift_error",
        "kept",
    )  # fmt: skip
    return dict(zip(names, np.array(rows).T, strict=True))


def test_panel_recovers_idiosyncratic_sigma(panel_runs: dict[str, Floats]) -> None:
    check_recovery(panel_runs["own"], panel_runs["own_error"], SIGMA_OWN)


def test_the_error_of_the_drift_knows_that_weeks_are_common(panel_runs: dict[str, Floats]) -> None:
    check_recovery(panel_runs["drift"], panel_runs["drift_error"], DRIFT)
    # the spread of the items' drifts over the root of their number would be a third of it
    years, n = WEEKS / WEEKS_PER_YEAR, len(panel_runs["drift"])
    kept = panel_runs["kept"].mean()
    truth = math.sqrt((SIGMA_COMMON**2 + SIGMA_OWN**2 / (ITEMS * kept)) / years)
    spread = panel_runs["drift_error"].std() / math.sqrt(n)
    assert abs(panel_runs["drift_error"].mean() - truth) < 4 * spread


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("total", math.hypot(SIGMA_OWN, SIGMA_COMMON)),
        ("correlation", SIGMA_COMMON**2 / (SIGMA_COMMON**2 + SIGMA_OWN**2)),
        ("drift", DRIFT),
        ("kurtosis", 0.0),
    ],
)
def test_panel_recovers(name: str, truth: float, panel_runs: dict[str, Floats]) -> None:
    # Ratios of moments over T weeks are biased by O(1/T): at most 6/(T + 1) for the kurtosis
    # (gaps: 70 % of T), 2/T for the others.
    weeks = 0.7 * WEEKS
    bias = {"kurtosis": 6 / weeks, "correlation": 1 / weeks, "total": 1 / weeks}.get(name, 0.0)
    found = panel_runs[name]
    assert abs(found.mean() - truth) < 4 * found.std(ddof=1) / math.sqrt(found.size) + bias


def test_panel_factor_share_is_the_first_eigenvalue(panel_runs: dict[str, Floats]) -> None:
    # Equal correlations r: the largest eigenvalue is 1 + (N - 1) r; sampling adds noise
    # eigenvalues of order N/T, so compare with the mean correlation of the same samples.
    r = panel_runs["correlation"].mean()
    assert panel_runs["share"].mean() == pytest.approx((1 + (ITEMS - 1) * r) / ITEMS, rel=0.05)
    assert np.all(panel_runs["share"] > panel_runs["correlation"])


def test_panel_by_brute_force() -> None:
    rng = np.random.default_rng(69)
    items, weeks, growth = draw_panel(rng)
    kept = rng.random(growth.size) < 0.8
    items, weeks, growth = items[kept] * 7 + 3, weeks[kept], growth[kept]
    shuffle = rng.permutation(growth.size)
    fit = fit_panel_growth(items[shuffle], weeks[shuffle], growth[shuffle])
    table = {i: dict(zip(weeks[items == i], growth[items == i], strict=True)) for i in set(items)}
    names = sorted(table)
    assert fit.items.tolist() == names
    own_variances = []
    for i, drift, sigma in zip(names, fit.item_drift, fit.item_sigma, strict=True):
        rates = np.array(list(table[i].values()))
        assert drift == pytest.approx(rates.mean() * WEEKS_PER_YEAR, rel=1e-10)
        assert sigma == pytest.approx(rates.std(ddof=1) * math.sqrt(WEEKS_PER_YEAR), rel=1e-10)
        residuals = []
        for w, rate in table[i].items():
            others = [table[j][w] for j in names if w in table[j]]
            p = len(others)
            residuals.append((rate - np.mean(others)) * math.sqrt(p / (p - 1)))
        own_variances.append(np.var(residuals, ddof=1) * WEEKS_PER_YEAR)
    assert fit.sigma_idiosyncratic == pytest.approx(math.sqrt(np.mean(own_variances)), rel=1e-10)
    correlations = []
    for a, i in enumerate(names):
        for j in names[:a]:
            common = sorted(set(table[i]) & set(table[j]))
            x, y = ([table[k][w] for w in common] for k in (i, j))
            correlations.append(np.corrcoef(x, y)[0, 1])
    assert fit.mean_correlation == pytest.approx(np.mean(correlations), rel=1e-8)
    assert (fit.n_items, fit.n_weeks) == (ITEMS, WEEKS)
    assert fit.drift_survivors == pytest.approx(np.mean(fit.item_drift), rel=1e-12)


def test_panel_without_a_factor_has_no_correlation() -> None:
    rng = np.random.default_rng(70)
    items, weeks = (v.ravel() for v in np.meshgrid(np.arange(30), np.arange(200), indexing="ij"))
    fit = fit_panel_growth(items, weeks, rng.standard_normal(items.size))
    # mean of 435 nearly independent correlations of error 1/sqrt(200)
    assert abs(fit.mean_correlation) < 4 / math.sqrt(200 * 435)


def test_panel_missing_rows_and_nan_are_the_same_gap() -> None:
    items, weeks, growth = draw_panel(np.random.default_rng(71))
    gap = np.random.default_rng(1).random(growth.size) < 0.2
    dropped = fit_panel_growth(items[~gap], weeks[~gap], growth[~gap])
    as_nan = fit_panel_growth(items, weeks, np.where(gap, np.nan, growth))
    assert as_nan.sigma_idiosyncratic == pytest.approx(dropped.sigma_idiosyncratic, rel=1e-12)
    assert as_nan.mean_correlation == pytest.approx(dropped.mean_correlation, rel=1e-12)
    assert as_nan.n_used == dropped.n_used


def test_panel_leaves_short_histories_out() -> None:
    items, weeks, growth = draw_panel(np.random.default_rng(72))
    short = (items < 4) & (weeks >= 20)
    fit = fit_panel_growth(items[~short], weeks[~short], growth[~short])
    assert fit.n_items == ITEMS - 4
    assert any(note.startswith("4 items with fewer than 26 weeks") for note in fit.notes)
    kept = fit_panel_growth(items[~short], weeks[~short], growth[~short], min_weeks=10)
    assert kept.n_items == ITEMS


@pytest.mark.parametrize(
    ("items", "weeks", "growth", "says"),
    [
        ([1, 2], [1, 1], [0.1], "one length"),
        ([1, 1], [5, 5], [0.1, 0.2], "two growth rates in one week"),
        ([1] * 30 + [2] * 30, list(range(30)) * 2, [0.1] * 60, "fewer than 3 items"),
        ([1, 2, 3], [1, 1, 1], [0.1, 0.2, 0.3], "fewer than 3 items"),
    ],
    ids=["lengths", "duplicate-week", "two-items", "short"],
)
def test_panel_refusals(items: list, weeks: list, growth: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_panel_growth(items, weeks, growth)


def test_panel_cd_is_pesarans_where_every_overlap_is_the_smallest() -> None:
    # CD = sqrt(2 T/(N (N - 1))) times the sum of the correlations of all pairs.
    n, t = 9, MIN_OVERLAP
    items, weeks = (v.ravel() for v in np.indices((n, t)))
    growth = np.random.default_rng(74).standard_normal((n, t)) + 0.4 * np.sin(np.arange(t))
    fit = fit_panel_growth(items, weeks, growth.ravel())
    correlations = np.corrcoef(growth)[np.triu_indices(n, 1)]
    cd = math.sqrt(2 * t / (n * (n - 1))) * correlations.sum()
    assert fit.cd_at_least == pytest.approx(cd, rel=1e-9)
