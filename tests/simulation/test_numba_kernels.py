"""The compiled urn, and the compiled draws that it rests on."""

import math

import numba
import numpy as np
import pytest
from scipy import stats

from baimo.simulation.numba_kernels import split_urn


@numba.njit
def many_binomials(rng: np.random.Generator, n: int, p: float, size: int) -> np.ndarray:
    out = np.empty(size, dtype=np.int64)
    for i in range(size):
        out[i] = rng.binomial(n, p)
    return out


@pytest.mark.parametrize(
    ("n", "p"), [(10, 0.3), (50, 0.9), (1000, 0.4), (10**6, 0.5), (10**9, 1e-8), (10**9, 0.02)]
)
def test_compiled_binomial_draws(n: int, p: float) -> None:
    # Compiled code has its own binomial sampler: 40 equiprobable cells, chi-square.
    size = 100_000
    drawn = many_binomials(np.random.default_rng(15), n, p, size)
    law = stats.binom(n, p)
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 41)[1:-1]))
    expected = size * np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    observed = np.bincount(np.searchsorted(edges, drawn), minlength=edges.size + 1)
    kept = expected > 5
    assert (
        stats.chisquare(
            observed[kept], expected[kept] * observed[kept].sum() / expected[kept].sum()
        ).pvalue
        > 1e-3
    )
    assert abs(drawn.mean() - n * p) < 4 * law.std() / math.sqrt(size)


@pytest.mark.parametrize(("birth", "n_events"), [(2, 30), (11, 60), (200, 5000)])
def test_two_items_share_as_polyas_urn(birth: int, n_events: int) -> None:
    # Item 1 starts with one ball among birth: beta-binomial(n - birth, 1, birth - 1).
    runs = 20_000
    rng = np.random.default_rng(16)
    births = np.array([1, birth], dtype=np.int64)
    late = np.array([split_urn(births, n_events, rng)[1] for _ in range(runs)]) - 1
    law = stats.betabinom(n_events - birth, 1, birth - 1)
    top = int(law.ppf(1 - 50 / runs))
    expected = runs * np.append(law.pmf(np.arange(top)), law.sf(top - 1))
    observed = np.bincount(np.minimum(late, top), minlength=top + 1)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_expected_sizes_of_many_items() -> None:
    # Given the births b_1 = 1 < b_2 < ..., a ball present at time t has E[descendants] n/t if no
    # further item is founded; each founding event at b takes one event away from growth:
    # E[s_j] = prod over events t > b_j that found nothing of (1 + 1/(t - 1)).
    births = np.array([1, 3, 4, 9, 20, 21], dtype=np.int64)
    n_events, runs = 60, 40_000
    rng = np.random.default_rng(17)
    total = np.zeros(births.size)
    square = np.zeros(births.size)
    for _ in range(runs):
        sizes = split_urn(births, n_events, rng)
        assert sizes.sum() == n_events
        total += sizes
        square += sizes**2
    mean = total / runs
    error = np.sqrt((square / runs - mean**2) / runs)
    for j, born in enumerate(births):
        grown = [t for t in range(born + 1, n_events + 1) if t not in births]
        expected = math.prod(1 + 1 / (t - 1) for t in grown)
        assert abs(mean[j] - expected) < 4 * error[j]


def test_one_item_takes_all() -> None:
    births = np.array([1], dtype=np.int64)
    assert split_urn(births, 10**12, np.random.default_rng(0)).tolist() == [10**12]


def test_an_item_founded_last_has_one() -> None:
    births = np.array([1, 7], dtype=np.int64)
    assert split_urn(births, 7, np.random.default_rng(0)).tolist() == [6, 1]


def test_billions_of_events() -> None:
    # Share of a late item: Beta(1, b - 1), mean 1/b; sizes are integers that do not overflow.
    n_events, born, runs = 4 * 10**12, 10**6, 4000
    births = np.array([1, born], dtype=np.int64)
    rng = np.random.default_rng(18)
    share = np.array([split_urn(births, n_events, rng)[1] / n_events for _ in range(runs)])
    law = stats.beta(1, born - 1)
    assert stats.kstest(share, law.cdf).pvalue > 1e-3
