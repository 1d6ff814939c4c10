"""Urns with any kernel: exact limits, the exact law of small urns, a naive urn, and refusals."""

import math
from collections import Counter

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special, stats

from baimo.simulation.attachment.kernel import KernelParams, simulate_increments, simulate_kernel
from baimo.simulation.attachment.simon_yule import SimonParams, simulate_simon
from baimo.simulation.errors import ParameterError
from baimo.simulation.numba_kernels import fenwick_add, fenwick_find

Floats = NDArray[np.float64]


# --- limits of large urns --------------------------------------------------------------------


def waring(k: Floats, zeta: float, a: float) -> Floats:
    """Return P(X = k) of items that enter at 0 with offset a, under linear attachment.

    From f_k (1 + c(k + a)) = c(k - 1 + a) f_{k-1} with 1/c = zeta.
    """
    return np.asarray(np.exp(special.betaln(k + a, zeta + 1.0) - special.betaln(a, zeta)))


def urns(
    params: KernelParams, p: float, *, n: int, events: int, seed: int, entrant_size: int = 0
) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return [
        simulate_kernel(params, events, p, rng, entrant_size=entrant_size).sizes for _ in range(n)
    ]


def test_waring_sums_to_one_and_has_the_mean_of_the_urn() -> None:
    k = np.arange(4_000_000.0)
    a, p = 2.0, 0.2
    zeta = 1.0 + a * p / (1.0 - p)
    assert waring(k, 3.0, a).sum() == pytest.approx(1, rel=1e-10)
    assert (k * waring(k, 3.0, a)).sum() == pytest.approx(a / 2.0, rel=1e-5)  # a/(zeta - 1)
    assert a / (zeta - 1.0) == pytest.approx((1.0 - p) / p, rel=1e-12)  # events an entrant


@pytest.mark.parametrize(
    ("p", "offset", "entrant_size"),
    [(0.2, 1.0, 0), (0.4, 2.5, 0), (0.1, 0.3, 0), (0.3, 0.0, 1), (0.25, 0.5, 2)],
    ids=lambda v: f"{v:g}",
)
def test_linear_kernels_have_the_waring_law(p: float, offset: float, entrant_size: int) -> None:
    params = KernelParams(offset=offset)
    drawn = urns(params, p, n=24, events=40_000, seed=61, entrant_size=entrant_size)
    zeta = params.zeta(p, entrant_size)
    assert zeta is not None
    k = np.arange(30)
    law = waring(k.astype(float), zeta, offset + entrant_size)
    found = np.array([np.bincount(s - entrant_size, minlength=30)[:30] / s.size for s in drawn])
    error = found.std(axis=0, ddof=1) / math.sqrt(24)
    # 30 probabilities, t with 23 degrees: 5.5 is passed by chance once in 2,500 tests; the urn's
    # finite size shifts each by at most one item in all.
    n_items = min(s.size for s in drawn)
    assert np.all(np.abs(found.mean(axis=0) - law) < 5.5 * error + 1.0 / n_items)


@pytest.mark.parametrize(
    ("p", "offset"), [(0.2, 1.0), (0.2, 4.0), (0.05, 2.0)], ids=lambda v: f"{v:g}"
)
def test_zeta_is_one_plus_offset_over_events_an_entrant(p: float, offset: float) -> None:
    params = KernelParams(offset=offset)
    zeta = params.zeta(p)
    assert zeta == pytest.approx(1.0 + offset / ((1.0 - p) / p), rel=1e-14)
    # Maximum likelihood of zeta from the tail alone: P(X >= k) = B(k + a, zeta)/B(a, zeta).
    low = 5

    def fit(sizes: NDArray[np.int64]) -> float:
        tail = sizes[sizes >= low].astype(float)

        def cost(z: float) -> float:
            terms = special.betaln(tail + offset, z + 1.0) - special.betaln(low + offset, z)
            return -float(terms.mean())

        return float(optimize.minimize_scalar(cost, bounds=(0.2, 8.0), method="bounded").x)

    found = np.array([fit(s) for s in urns(params, p, n=24, events=50_000, seed=62)])
    bias = zeta**2 / 600  # of a maximum over 600 tail items and more; the cut of finite size
    assert abs(found.mean() - zeta) < 4.0 * found.std(ddof=1) / math.sqrt(24) + bias


def test_simons_urn_is_the_case_of_entrants_of_one_without_offset() -> None:
    # Two samplers that share no code: sizes of 12 urns each, two-sample chi-square by size.
    p, events = 0.3, 30_000
    mine = np.concatenate(
        urns(KernelParams(offset=0.0), p, n=12, events=events - 1, seed=63, entrant_size=1)
    )
    rng = np.random.default_rng(64)
    theirs = np.concatenate([simulate_simon(SimonParams(p=p), events, rng) for _ in range(12)])
    table = [np.bincount(np.minimum(s, 25), minlength=26)[1:] for s in (mine, theirs)]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    rho = 1.0 / (1.0 - p)
    assert KernelParams(offset=0.0).zeta(p, 1) == pytest.approx(rho, rel=1e-14)
    k = np.arange(1.0, 8.0)
    assert waring(k - 1.0, rho, 1.0) == pytest.approx(rho * special.beta(k, rho + 1.0), rel=1e-12)


def limit_law(theta: float, offset: float, p: float, n: int) -> Floats:
    """Return the limit of P(X = k), k < n, for theta <= 1 (Krapivsky & Redner 2001).

    f_k (1 + c A_k) = c A_{k-1} f_{k-1} with A_k = (k + a)^theta; c is what the mean asks for.
    """
    kernel = (np.arange(n) + offset) ** theta

    def law(c: float) -> Floats:
        logs = np.log(c * kernel[:-1]) - np.log1p(c * kernel[1:])
        return np.asarray(np.exp(np.concatenate([[0.0], np.cumsum(logs)])) / (1 + c * kernel[0]))

    mean = (1.0 - p) / p
    c = optimize.brentq(lambda c: float(np.arange(n) @ law(c)) - mean, 1e-4, 1e2)
    return law(float(c))


@pytest.mark.parametrize("theta", [0.0, 0.5, 0.8], ids=lambda v: f"theta={v:g}")
def test_theta_below_one_has_a_light_tail(theta: float) -> None:
    p, offset, events, n = 0.2, 1.0, 60_000, 24
    params = KernelParams(theta=theta, offset=offset)
    assert params.zeta(p) is None
    drawn = urns(params, p, n=n, events=events, seed=65)
    law = limit_law(theta, offset, p, 30_000)
    assert law.sum() == pytest.approx(1, abs=1e-9)
    found = np.array([np.bincount(s, minlength=3_000)[:15] / s.size for s in drawn])
    error = found.std(axis=0, ddof=1) / math.sqrt(n)
    assert np.all(np.abs(found.mean(axis=0) - law[:15]) < 5.5 * error + 5e-4)
    # The law says how large the largest of all items is; under theta = 1 it would be far larger.
    above = 1.0 - np.cumsum(law)
    items = sum(s.size for s in drawn)
    top = float(np.searchsorted(-above, -1e-3 / items))
    largest = max(int(s.max()) for s in drawn)
    assert largest < top
    linear = urns(KernelParams(offset=offset), p, n=4, events=events, seed=66)
    assert min(int(s.max()) for s in linear) > 3 * largest


def test_theta_above_one_condenses() -> None:
    drawn = urns(KernelParams(theta=1.5), 0.2, n=20, events=50_000, seed=67)
    assert min(s.max() / s.sum() for s in drawn) > 0.5
    linear = urns(KernelParams(), 0.2, n=20, events=50_000, seed=67)
    assert max(s.max() / s.sum() for s in linear) < 0.5


# --- small urns ------------------------------------------------------------------------------


def exact_law(
    params: KernelParams, p: float, events: int, entrant_size: int
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Return the exact law of (sizes, births), event by event."""
    law = {((entrant_size,), (0,)): 1.0}
    for event in range(events):
        now = event + 1
        after: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
        for (sizes, births), mass in law.items():
            after[(*sizes, entrant_size), (*births, now)] += mass * p
            weights = [
                (s + params.offset) ** params.theta * (now - b + 1.0) ** params.phi
                for s, b in zip(sizes, births, strict=True)
            ]
            for i, size in enumerate(sizes):
                grown = (*sizes[:i], size + 1, *sizes[i + 1 :])
                after[grown, births] += mass * (1 - p) * weights[i] / sum(weights)
        law = dict(after)
    return law


@pytest.mark.parametrize(
    ("params", "entrant_size"),
    [
        (KernelParams(theta=1.0, offset=1.0), 0),
        (KernelParams(theta=0.5, offset=0.3), 0),
        (KernelParams(theta=1.7, offset=0.5, phi=-1.0), 0),
        (KernelParams(theta=1.0, offset=0.0, phi=-2.0), 1),
        (KernelParams(theta=-0.5, offset=2.0, phi=-0.5), 0),
    ],
    ids=["linear", "sublinear", "ageing", "simon-ageing", "negative"],
)
def test_small_urns_have_their_exact_law(params: KernelParams, entrant_size: int) -> None:
    p, events, runs = 0.35, 5, 12_000
    law = exact_law(params, p, events, entrant_size)
    assert sum(law.values()) == pytest.approx(1, rel=1e-12)
    rng = np.random.default_rng(68)
    seen: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for _ in range(runs):
        urn = simulate_kernel(params, events, p, rng, entrant_size=entrant_size)
        seen[tuple(urn.sizes.tolist()), tuple(urn.births.tolist())] += 1
    assert set(seen) <= set(law)
    frequent = [state for state, mass in law.items() if mass * runs >= 5]
    observed = [seen[s] for s in frequent]
    expected = [law[s] * runs for s in frequent]
    observed.append(runs - sum(observed))
    expected.append(max(runs - sum(expected), 1e-9))
    if expected[-1] < 5:
        observed[-2:], expected[-2:] = [sum(observed[-2:])], [sum(expected[-2:])]
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@numba.njit
def naive_urn(  # type: ignore[no-untyped-def]
    events: int, p: float, theta: float, offset: float, phi: float, sd: float, rng
):
    """Return the sizes of an urn whose weights are all computed anew at every event."""
    sizes, births = np.zeros(events + 1), np.zeros(events + 1)
    fitness = np.ones(events + 1)
    fitness[0] = np.exp(sd * rng.standard_normal())
    n = 1
    for event in range(events):
        now = event + 1
        if rng.random() < p:
            births[n] = now
            fitness[n] = np.exp(sd * rng.standard_normal())
            n += 1
            continue
        age = now - births[:n] + 1.0
        weights = np.cumsum(fitness[:n] * (sizes[:n] + offset) ** theta * age**phi)
        sizes[np.searchsorted(weights, rng.random() * weights[-1])] += 1
    return sizes[:n]


@pytest.mark.parametrize(
    ("params", "sd"),
    [
        (KernelParams(theta=1.0, offset=1.0, phi=-1.0), 0.0),
        (KernelParams(theta=0.6, offset=0.5, phi=-0.4), 1.0),
        (KernelParams(theta=1.3, offset=1.0), 0.5),
    ],
    ids=["ageing", "fitness-and-ageing", "superlinear"],
)
def test_urns_of_some_hundred_events_are_those_of_a_naive_urn(
    params: KernelParams, sd: float
) -> None:
    # 300 events pass four rebuilds of the tree. Chi-square between 1,200 urns of each kind: size of
    # the first item and of the largest, number of zeros, what the younger half holds.
    events, p, runs = 300, 0.3, 1_200
    rng = np.random.default_rng(69)
    rows: list[list[list[float]]] = [[], []]
    for _ in range(runs):
        mine = simulate_kernel(params, events, p, rng, fitness_sd=sd).sizes
        theirs = naive_urn(events, p, params.theta, params.offset, params.phi, sd, rng)
        for kind, sizes in enumerate((mine, theirs)):
            young = sizes[sizes.size // 2 :].sum()
            rows[kind].append([sizes[0], sizes.max(), (sizes == 0).sum(), young])
    for a, b in zip(np.array(rows[0]).T, np.array(rows[1]).T, strict=True):
        cuts = np.unique(np.quantile(np.concatenate([a, b]), np.linspace(0.0, 1.0, 13)[1:-1]))
        table = [np.bincount(np.searchsorted(cuts, v), minlength=cuts.size + 1) for v in (a, b)]
        table = np.array(table)[:, np.sum(table, axis=0) > 0]  # type: ignore[assignment]
        assert stats.chi2_contingency(table).pvalue > 1e-4


def test_every_event_is_an_item_or_a_success() -> None:
    rng = np.random.default_rng(70)
    urn = simulate_kernel(KernelParams(phi=-0.5), 5_000, 0.1, rng, entrant_size=3)
    assert urn.sizes.sum() - 3 * urn.sizes.size + urn.sizes.size - 1 == 5_000
    assert urn.births[0] == 0
    assert np.all(np.diff(urn.births) > 0)
    assert abs(urn.sizes.size - 1 - 500) < 4 * math.sqrt(5_000 * 0.1 * 0.9)
    empty = simulate_kernel(KernelParams(), 0, 0.1, rng)
    assert (empty.sizes.tolist(), empty.births.tolist()) == ([0], [0])


def test_the_seed_decides() -> None:
    def sizes(seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        return simulate_kernel(KernelParams(phi=-1.0), 400, 0.2, rng).sizes.tolist()

    assert sizes(1) == sizes(1)
    assert sizes(1) != sizes(2)


# --- the tree --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100])
def test_fenwick_tree_against_running_sums(n: int) -> None:
    rng = np.random.default_rng(n)
    weights = rng.integers(0, 5, n).astype(float)  # whole numbers: sums are exact
    weights[rng.integers(n)] += 1.0
    tree, top = np.zeros(n + 1), 1
    while top * 2 <= n:
        top *= 2
    for i, weight in enumerate(weights):
        fenwick_add(tree, i, weight)
    for _ in range(20):
        i, change = int(rng.integers(n)), float(rng.integers(0, 4))
        fenwick_add(tree, i, change)
        weights[i] += change
    sums = np.cumsum(weights)
    for target in np.arange(0.0, sums[-1], 0.5):
        expected = int(np.searchsorted(sums, target, side="right"))
        assert fenwick_find(tree, float(target), top) == expected


# --- gains over an interval --------------------------------------------------------------------


def test_gains_are_poisson_at_rates_in_proportion_to_the_kernel() -> None:
    stock, ages = np.array([0.0, 1.0, 4.0, 30.0]), np.array([0.5, 1.0, 2.0, 4.0])
    params = KernelParams(theta=0.7, offset=2.0, phi=-0.5)
    rate = (stock + 2.0) ** 0.7 * ages**-0.5
    rate *= 50.0 / rate.sum()
    rng = np.random.default_rng(71)
    runs = 20_000
    drawn = np.array(
        [simulate_increments(params, stock, 50.0, rng, ages=ages) for _ in range(runs)]
    )
    for i, mean in enumerate(rate):
        k = np.arange(int(stats.poisson(mean).ppf(1e-4)), int(stats.poisson(mean).ppf(1 - 1e-4)))
        observed = np.array([np.sum(drawn[:, i] == v) for v in k], dtype=float)
        expected = stats.poisson(mean).pmf(k) * runs
        good = expected >= 5
        rest = runs - observed[good].sum(), runs - expected[good].sum()
        p = stats.chisquare(np.append(observed[good], rest[0]), np.append(expected[good], rest[1]))
        assert p.pvalue > 1e-3


def test_fitness_has_mean_one_and_is_shared_within_clusters() -> None:
    n, sd = 100_000, 0.8
    stock, clusters = np.full(2 * n, 3.0), np.repeat(np.arange(n), 2)
    rng = np.random.default_rng(72)
    pair = simulate_increments(
        KernelParams(), stock, 40.0 * n, rng, fitness_sd=sd, clusters=clusters
    ).reshape(n, 2)
    spread = 20.0**2 * math.expm1(sd**2)  # Var of the rate of 20 times a lognormal of mean one
    error = math.sqrt((spread + 20.0) / n)
    assert abs(pair.mean() - 20.0) < 4 * error
    product = (pair[:, 0] - 20.0) * (pair[:, 1] - 20.0)  # of mean Cov = Var of the rate
    assert abs(product.mean() - spread) < 4 * product.std() / math.sqrt(n)
    alone = simulate_increments(KernelParams(), stock, 40.0 * n, rng, fitness_sd=sd).reshape(n, 2)
    product = (alone[:, 0] - 20.0) * (alone[:, 1] - 20.0)
    assert abs(product.mean()) < 4 * product.std() / math.sqrt(n)


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"theta": math.nan}, "theta must be finite"),
        ({"offset": math.inf}, "offset must be finite"),
        ({"phi": -math.inf}, "phi must be finite"),
        ({"offset": -0.1}, "offset = -0.1 must not be negative"),
    ],
    ids=["theta", "offset", "phi", "negative"],
)
def test_kernel_refusals(options: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        KernelParams(**options)


@pytest.mark.parametrize(
    ("params", "options", "says"),
    [
        ({}, {"p": 0.0}, "p = 0 must lie"),
        ({}, {"p": 1.0}, "p = 1 must lie"),
        ({}, {"n_events": -1}, "must not be negative"),
        ({}, {"entrant_size": -1}, "must not be negative"),
        ({"offset": 0.0}, {}, "give an offset or an entrant_size"),
        ({"phi": 0.5}, {}, "phi = 0.5: only ageing"),
        ({}, {"fitness_sd": -1.0}, "fitness_sd = -1"),
        ({}, {"fitness_sd": math.nan}, "fitness_sd = nan"),
        ({"theta": 200.0}, {}, "lower theta, phi or fitness_sd"),
        ({"theta": -200.0}, {}, "lower theta, phi or fitness_sd"),
        ({"phi": -300.0}, {}, "lower theta, phi or fitness_sd"),
        ({}, {"fitness_sd": 900.0}, "lower theta, phi or fitness_sd"),
    ],
    ids=["p0", "p1", "events", "entrant", "lost", "phi", "sd", "nan", "huge", "tiny", "old", "fit"],
)
def test_urn_refusals(params: dict[str, float], options: dict[str, float], says: str) -> None:
    given = {"n_events": 100, "p": 0.2} | options
    with pytest.raises(ParameterError, match=says):
        simulate_kernel(KernelParams(**params), rng=np.random.default_rng(0), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "stock", "total", "ages", "says"),
    [
        ({}, [1.0, -1.0], 5.0, None, "must not be negative"),
        ({}, [1.0, math.nan], 5.0, None, "must not be negative"),
        ({}, [1.0, 2.0], -5.0, None, "must not be negative"),
        ({}, [], 5.0, None, "give a stock or an offset"),
        ({"offset": 0.0}, [0.0, 0.0], 5.0, None, "give a stock or an offset"),
        ({"phi": -1.0}, [1.0, 2.0], 5.0, None, "give the ages"),
        ({"phi": -1.0}, [1.0, 2.0], 5.0, [1.0, 0.0], "positive and finite"),
        ({"phi": -1.0}, [1.0, 2.0], 5.0, [1.0], "ages must be 2 numbers"),
    ],
    ids=["negative", "nan", "total", "empty", "nothing", "no-ages", "age-zero", "lengths"],
)
def test_gain_refusals(
    params: dict[str, float], stock: list[float], total: float, ages: list[float] | None, says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        simulate_increments(
            KernelParams(**params), stock, total, np.random.default_rng(0), ages=ages
        )
