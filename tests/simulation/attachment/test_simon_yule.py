"""Simon's urn and the Yule process (eq 19), against exact laws and brute force."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import special, stats

from baimo.estimation.tails import _numba
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.attachment.simon_yule import (
    SimonParams,
    YuleParams,
    simulate_simon,
    simulate_yule,
)
from baimo.simulation.errors import ParameterError


def simon_law(p: float, n_events: int) -> dict[tuple[int, ...], float]:
    """Return the exact law of the sizes in order of birth, event by event."""
    law = {(1,): 1.0}
    for total in range(1, n_events):
        after: Counter[tuple[int, ...]] = Counter()
        for sizes, mass in law.items():
            after[(*sizes, 1)] += mass * p
            for i, size in enumerate(sizes):
                grown = (*sizes[:i], size + 1, *sizes[i + 1 :])
                after[grown] += mass * (1 - p) * size / total
        law = dict(after)
    return law


@pytest.mark.parametrize(("p", "n_events"), [(0.3, 5), (0.15, 8), (0.7, 6)])
def test_simon_against_the_exact_law_of_small_urns(p: float, n_events: int) -> None:
    law = simon_law(p, n_events)
    assert sum(law.values()) == pytest.approx(1, rel=1e-12)
    runs = 20_000
    rng = np.random.default_rng(8)
    params = SimonParams(p=p)
    seen = Counter(tuple(simulate_simon(params, n_events, rng).tolist()) for _ in range(runs))
    assert set(seen) <= set(law)
    common = [s for s, mass in law.items() if runs * mass >= 5]
    expected = [runs * law[s] for s in common]
    observed = [seen[s] for s in common]
    if len(common) < len(law):
        expected.append(runs - sum(expected))
        observed.append(runs - sum(observed))
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("n_events", [1, 2, 3, 1000, 10**9])
def test_simon_spends_every_event(n_events: int) -> None:
    params = SimonParams(p=0.4 if n_events < 10**6 else 1e-6)
    sizes = simulate_simon(params, n_events, np.random.default_rng(1))
    assert sizes.dtype == np.int64
    assert sizes.sum() == n_events
    assert sizes.min() >= 1


def test_simon_founds_binomially_many_items() -> None:
    # The first event founds an item for sure, every later one with probability p.
    n, p, runs = 500, 0.2, 2000
    rng = np.random.default_rng(2)
    items = np.array([simulate_simon(SimonParams(p=p), n, rng).size for _ in range(runs)])
    law = stats.binom(n - 1, p)
    assert abs(items.mean() - 1 - law.mean()) < 4 * law.std() / math.sqrt(runs)
    assert abs(items.var() / law.var() - 1) < 4 * math.sqrt(2 / runs)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_simon_approaches_the_yule_simon_law(p: float) -> None:
    # pmf rho B(k, rho + 1), rho = 1/(1 - p); averaged over 20 urns, |error| < 1e-3 (the
    # Monte Carlo error of the average is below 4e-4 for these sizes).
    n, runs = 1_000_000, 20
    rho = 1 / (1 - p)
    assert SimonParams(p=p).zeta == pytest.approx(rho, rel=1e-15)
    rng = np.random.default_rng(3)
    k = np.arange(1, 13)
    shares = np.zeros(k.size)
    for _ in range(runs):
        sizes = simulate_simon(SimonParams(p=p), n, rng)
        shares += np.bincount(sizes, minlength=13)[1:13] / sizes.size / runs
    assert np.max(np.abs(shares - rho * special.beta(k, rho + 1))) < 1e-3


def test_simon_large_urn_has_the_tail_of_its_zeta() -> None:
    # zeta = 1/(1 - p) = 1.25 from x_min = 30 on, where the Yule-Simon law is a power law up to
    # relative corrections of order rho/x_min; z pooled over independent urns.
    rng = np.random.default_rng(12)
    params = SimonParams(p=0.2)
    fits = [fit_tail(simulate_simon(params, 2_000_000, rng), x_min=30) for _ in range(20)]
    zeta = np.array([f.zeta for f in fits])
    error = max(zeta.std(ddof=1), fits[0].std_error) / math.sqrt(20)
    # exact exponent of the Yule-Simon law at x_min: maximise its expected log-likelihood
    k = np.arange(30, 3_000_000, dtype=float)
    mass = special.beta(k, 2.25)
    mean_log = float(np.sum(np.log(k / 30) * mass) / mass.sum())
    target = _numba.discrete_mle(mean_log, 30.0, _numba.discrete_start(mean_log, 30.0))[0] - 1
    assert target == pytest.approx(1.25, abs=0.02)
    assert abs(zeta.mean() - target) < 4 * error


def test_simon_is_determined_by_its_generator() -> None:
    a = simulate_simon(SimonParams(p=0.3), 10_000, np.random.default_rng(5))
    b = simulate_simon(SimonParams(p=0.3), 10_000, np.random.default_rng(5))
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("p", [0.0, 1.0, -0.2, 1.4, math.nan])
def test_simon_refuses_p(p: float) -> None:
    with pytest.raises(ParameterError, match="p = "):
        SimonParams(p=p)


def test_simon_needs_an_event() -> None:
    with pytest.raises(ParameterError, match="n_events"):
        simulate_simon(SimonParams(p=0.5), 0, np.random.default_rng(0))


# --- Yule --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gamma", "a", "age"), [(1.0, 1.0, 1.0), (2.0, 0.3, 1.5), (0.5, 4.0, 3.0), (3.0, 0.05, 0.2)]
)
def test_yule_sizes_are_negative_binomial(gamma: float, a: float, age: float) -> None:
    n = 100_000
    params = YuleParams(entry_plus_exit=1.0, gamma=gamma, a=a)
    sizes = simulate_yule(params, np.full(n, age), np.random.default_rng(4))
    law = stats.nbinom(a, math.exp(-gamma * age))
    mean = a * math.expm1(gamma * age)
    variance = mean * math.exp(gamma * age)
    assert law.mean() == pytest.approx(mean)
    assert law.var() == pytest.approx(variance)
    assert abs(sizes.mean() - mean) < 4 * math.sqrt(variance / n)
    kurtosis = float(law.stats("k"))
    assert abs(sizes.var() / variance - 1) < 4 * math.sqrt((kurtosis + 2) / n)
    top = int(law.ppf(1 - 20 / n))
    expected = n * np.append(law.pmf(np.arange(top)), law.sf(top - 1))
    observed = np.bincount(np.minimum(sizes, top), minlength=top + 1)
    kept = expected >= 5
    expected, observed = (
        np.append(v[kept], v[~kept].sum()) if not kept.all() else v for v in (expected, observed)
    )
    positive = expected > 0
    assert stats.chisquare(observed[positive], expected[positive]).pvalue > 1e-3


def test_yule_is_the_birth_process() -> None:
    # Brute force: births at rate gamma (size + a), from zero, by exponential waiting times.
    gamma, a, age, n = 1.2, 0.7, 1.1, 20_000
    rng = np.random.default_rng(6)
    size, clock = np.zeros(n), np.zeros(n)
    alive = np.ones(n, dtype=bool)
    while alive.any():
        clock[alive] += rng.exponential(1 / (gamma * (size[alive] + a)))
        alive &= clock < age
        size[alive] += 1
    exact = simulate_yule(YuleParams(entry_plus_exit=1.0, gamma=gamma, a=a), np.full(n, age), rng)
    top = 8
    table = [np.bincount(np.minimum(v, top).astype(int), minlength=top + 1) for v in (size, exact)]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_yule_at_age_zero_is_zero() -> None:
    params = YuleParams(entry_plus_exit=1.0, gamma=1.0)
    assert simulate_yule(params, [0.0, 0.0], np.random.default_rng(0)).tolist() == [0, 0]


def test_yule_with_exponential_ages_has_its_zeta() -> None:
    # Ages exponential at rate n + delta: with a = 1 the size is geometric given age, and
    # P(L >= k) = Int r e^(-r t) (1 - e^(-gamma t))^k dt = zeta B(zeta, k + 1).
    params = YuleParams(entry_plus_exit=1.5, gamma=1.2, a=1.0)
    n = 400_000
    rng = np.random.default_rng(7)
    sizes = simulate_yule(params, rng.exponential(1 / 1.5, n), rng)
    for k in (1, 5, 50, 500):
        p = params.zeta * special.beta(params.zeta, k + 1)
        assert abs(np.mean(sizes >= k) - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert params.zeta == 1.25


@pytest.mark.parametrize("bad", [{"gamma": 0.0}, {"entry_plus_exit": -1.0}, {"a": math.inf}])
def test_yule_refuses_parameters(bad: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(bad))):
        YuleParams(**{"entry_plus_exit": 1.0, "gamma": 1.0, "a": 1.0, **bad})


@pytest.mark.parametrize("ages", [[-0.1], [math.nan], [math.inf]])
def test_yule_refuses_ages(ages: list[float]) -> None:
    with pytest.raises(ParameterError, match="ages"):
        simulate_yule(YuleParams(entry_plus_exit=1.0, gamma=1.0), ages, np.random.default_rng(0))
