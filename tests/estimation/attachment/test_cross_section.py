"""Preferential attachment, measured: hand examples, recovery, and refusals."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from baimo.estimation.attachment.cross_section import fit_simon, fit_yule
from baimo.estimation.attachment.entry import fit_entry
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.simulation.attachment.simon_yule import (
    SimonParams,
    YuleParams,
    simulate_simon,
    simulate_yule,
)
from tests.estimation.attachment.ages import draw_ages

Floats = NDArray[np.float64]


# --- Simon -------------------------------------------------------------------------------


def test_simon_by_hand() -> None:
    # Sizes 3, 1, 1 after five events, three of which founded an item; zeros do not count.
    fit = fit_simon([0, 3, 0, 1, 1])
    assert fit.p == 0.6
    assert fit.std_error == pytest.approx(math.sqrt(0.6 * 0.4 / 5), rel=1e-15)
    assert (fit.n_obs, fit.n_used) == (5, 3)
    zeta = fit.estimates()["zeta"]
    assert zeta.value == pytest.approx(2.5, rel=1e-15)
    assert zeta.std_error == pytest.approx(2.5**2 * fit.std_error, rel=1e-12)  # d zeta/dp = zeta^2
    assert fit.params == SimonParams(p=0.6)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.8])
def test_simon_recovers_p_with_its_error(p: float) -> None:
    n, runs = 5000, 400
    rng = np.random.default_rng(21)
    fits = [fit_simon(simulate_simon(SimonParams(p=p), n, rng)) for _ in range(runs)]
    found = np.array([f.p for f in fits])
    spread = found.std(ddof=1)
    # the first event founds an item for sure: bias (1 - p)/n
    assert abs(found.mean() - p - (1 - p) / n) < 4 * spread / math.sqrt(runs)
    assert abs(spread / fits[0].std_error - 1) < 4 / math.sqrt(2 * runs) + 0.5 * abs(
        fits[0].p / p - 1
    )


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ([1.5, 2.0], "whole-number"),
        ([0, 0], "all values are zero"),
        ([0, 1, 1], "every positive count is 1"),
    ],
    ids=["fractions", "zeros", "ones"],
)
def test_simon_refusals(sample: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_simon(sample)


# --- Yule --------------------------------------------------------------------------------

TRUTH = YuleParams(entry_plus_exit=1.2, gamma=1.0, a=0.6)
HORIZON = 4.0


def draw_yule(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    ages = draw_ages(TRUTH.entry_plus_exit, HORIZON, n, rng)
    return ages, simulate_yule(TRUTH, ages, rng).astype(float)


@pytest.fixture(scope="module")
def yule_runs() -> dict[str, Floats]:
    rng = np.random.default_rng(24)
    rows = []
    for _ in range(120):
        ages, sizes = draw_yule(1500, rng)
        fit = fit_yule(ages, sizes, entry=fit_entry(ages, horizon=HORIZON))
        assert fit.converged
        found = fit.estimates()
        rows.append(
            [v for k in ("gamma", "a", "zeta") for v in (found[k].value, found[k].std_error)]
        )
    names = ("gamma", "gamma_error", "a", "a_error", "zeta", "zeta_error")
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


@pytest.mark.parametrize(
    ("name", "truth"), [("gamma", TRUTH.gamma), ("a", TRUTH.a), ("zeta", TRUTH.zeta)]
)
def test_yule_recovery(name: str, truth: float, yule_runs: dict[str, Floats]) -> None:
    found, stated = yule_runs[name], yule_runs[f"{name}_error"]
    runs, spread = found.size, found.std(ddof=1)
    assert abs(found.mean() - truth) < 4 * spread / math.sqrt(runs)
    assert abs(spread / stated.mean() - 1) < 4 / math.sqrt(2 * (runs - 1))


def test_yule_likelihood_is_negative_binomial() -> None:
    ages, sizes = draw_yule(400, np.random.default_rng(25))
    fit = fit_yule(ages, sizes, entry=fit_entry(ages, horizon=HORIZON))

    def log_likelihood(gamma: float, a: float) -> float:
        return float(stats.nbinom(a, np.exp(-gamma * ages)).logpmf(sizes).sum())

    best = log_likelihood(fit.gamma, fit.a)
    assert fit.log_likelihood == pytest.approx(best, rel=1e-9)
    rng = np.random.default_rng(0)
    for scale in (1e-3, 0.03, 0.5):
        for _ in range(20):
            gamma, a = np.array([fit.gamma, fit.a]) * np.exp(scale * rng.normal(size=2))
            assert log_likelihood(gamma, a) <= best + 1e-4
    # covariance: inverse of the numerical Hessian in the parameters themselves
    h = 1e-4
    steps = np.eye(2) * h
    theta = np.array([fit.gamma, fit.a])
    hessian = np.array(
        [
            [
                (
                    log_likelihood(*(theta + steps[i] + steps[j]))
                    - log_likelihood(*(theta + steps[i] - steps[j]))
                    - log_likelihood(*(theta - steps[i] + steps[j]))
                    + log_likelihood(*(theta - steps[i] - steps[j]))
                )
                / (4 * h * h)
                for j in range(2)
            ]
            for i in range(2)
        ]
    )
    assert fit.covariance is not None
    assert fit.covariance == pytest.approx(np.linalg.inv(-hessian), rel=0.01)


def test_yule_weights_are_repetitions() -> None:
    ages, sizes = draw_yule(300, np.random.default_rng(26))
    entry = fit_entry(ages, horizon=HORIZON)
    weights = np.random.default_rng(1).integers(1, 4, size=300)
    a = fit_yule(ages, sizes, weights, entry=entry)
    b = fit_yule(np.repeat(ages, weights), np.repeat(sizes, weights), entry=entry)
    assert a.n_obs == b.n_obs == weights.sum()
    assert a.gamma == pytest.approx(b.gamma, rel=1e-4)
    assert a.a == pytest.approx(b.a, rel=1e-4)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-9)


def test_yule_leaves_items_of_age_zero_out() -> None:
    ages, sizes = draw_yule(300, np.random.default_rng(27))
    entry = fit_entry(ages, horizon=HORIZON)
    with_newborn = fit_yule(np.append(ages, [0.0, 0.0]), np.append(sizes, [0.0, 0.0]), entry=entry)
    plain = fit_yule(ages, sizes, entry=entry)
    assert (with_newborn.gamma, with_newborn.a) == (plain.gamma, plain.a)


def test_yule_does_not_converge_on_heterogeneity_at_birth() -> None:
    # With taste drawn at birth, zeta = 1 in every age cohort, age explains nothing and
    # the likelihood runs to explosive growth.
    rng = np.random.default_rng(28)
    ages = draw_ages(1.0, HORIZON, 8000, rng)
    sizes = np.floor(0.1 * (1 - rng.random(8000)) ** (-1 / 1.0))
    fit = fit_yule(ages, sizes, entry=fit_entry(ages, horizon=HORIZON))
    assert not fit.converged
    assert fit.params is None
    assert fit.estimates()["zeta"].value is None
    assert "DID NOT CONVERGE" in fit.summary().splitlines()[0]
    assert any("no Yule prediction" in note for note in fit.notes)


def test_yule_mean_ratio_is_expected_over_observed() -> None:
    ages, sizes = draw_yule(1000, np.random.default_rng(29))
    fit = fit_yule(ages, sizes, entry=fit_entry(ages, horizon=HORIZON))
    old = ages >= np.quantile(ages, 0.8, method="inverted_cdf")
    expected = np.sum(fit.a * np.expm1(fit.gamma * ages[old])) / sizes[old].sum()
    assert fit.mean_ratio == pytest.approx(expected, rel=1e-9)
    assert fit.params == YuleParams(entry_plus_exit=fit.entry_plus_exit, gamma=fit.gamma, a=fit.a)


@pytest.mark.parametrize(
    ("ages", "sizes", "says"),
    [
        ([1.0, 2.0], [1.0], "2 ages, 1 sizes"),
        ([1.0, 2.0], [1.0, -1.0], "whole numbers"),
        ([1.0, 2.0], [1.0, 0.5], "whole numbers"),
        ([0.0, 2.0], [1.0, 1.0], "age 0"),
        ([1.0, 2.0], [0.0, 0.0], "all sizes are zero"),
    ],
    ids=["lengths", "negative", "fraction", "newborn-with-success", "zeros"],
)
def test_yule_refusals(ages: list[float], sizes: list[float], says: str) -> None:
    entry = fit_entry([0.5, 1.0], horizon=2.0)
    with pytest.raises(DataError, match=says):
        fit_yule(ages, sizes, entry=entry)


def test_simon_p_of_a_table_equals_that_of_the_sample() -> None:
    sample = [0, 1, 1, 2, 9]
    table = Counts.from_pairs([9, 1, 0, 2], [1, 2, 1, 1])
    assert fit_simon(table).p == fit_simon(sample).p == 4 / 13


def test_beta_function_identity_behind_simon() -> None:
    # Share of ones in the Yule-Simon law is rho/(rho + 1); simulated sizes agree.
    rng = np.random.default_rng(30)
    sizes = simulate_simon(SimonParams(p=0.25), 400_000, rng)
    rho = fit_simon(sizes).params.zeta
    expected = rho * special.beta(1, rho + 1)
    assert expected == pytest.approx(rho / (rho + 1), rel=1e-12)
    error = math.sqrt(expected * (1 - expected) / sizes.size)
    assert abs(np.mean(sizes == 1) - expected) < 4 * error
