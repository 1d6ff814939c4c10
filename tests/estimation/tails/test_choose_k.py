"""The size of the tail: the double bootstrap by its formulas and on known laws, and the scan."""

import math

import numpy as np
import pytest

from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails import _tail_index as index_statistics
from baimo.estimation.tails.choose_k import choose_k, scan_k
from baimo.estimation.tails.power_law import fit_tail, sample_power_law
from baimo.estimation.tails.tail_index import fit_hill
from tests.estimation.tails.laws import LAWS, pareto


@pytest.mark.parametrize("law", LAWS)
def test_double_bootstrap_finds_a_usable_k(law: str) -> None:
    # The docstring: on 7,000 items zeta is within 25 % in 95 % of samples (median off by 4 to
    # 10 %); here the median of five samples must be within 20 %, and k neither end.
    zeta, draw = LAWS[law]
    found = [
        choose_k(draw(np.random.default_rng(s), 7000), discrete=False, n_replications=120, seed=s)
        for s in range(5)
    ]
    assert abs(np.median([f.zeta for f in found]) / zeta - 1) < 0.2
    for f in found:
        assert 10 <= f.k0 < 7000
        assert f.k1 > f.k2
        assert f.rho < 0
        assert f.n2 == pytest.approx(f.n1**2 / 7000, rel=0.01)
        assert f.criterion[f.n1] == min(f.criterion.values())


def test_double_bootstrap_formula_and_seed() -> None:
    x = LAWS["frechet"][1](np.random.default_rng(1), 3000)
    a, b = (choose_k(x, discrete=False, n_replications=60, seed=4) for _ in range(2))
    assert a.to_dict() == b.to_dict()
    assert choose_k(x, discrete=False, n_replications=60, seed=5).to_dict() != a.to_dict()
    log_n, log_k = math.log(a.n1), math.log(a.k1)
    k0 = a.k1**2 / a.k2 * ((log_k / (2 * log_n - log_k)) ** 2) ** ((log_n - log_k) / log_n)
    assert a.k0 == round(k0)  # no ties: every k is an end
    assert a.rho == pytest.approx(log_k / (-2 * log_n + 2 * log_k), rel=1e-14)
    fit = fit_hill(x, k=a.k0, discrete=False)
    assert a.threshold == fit.threshold
    assert (a.zeta, a.std_error) == pytest.approx((fit.zeta, fit.std_error), rel=1e-13)
    pairs, minima = index_statistics.double_bootstrap(index_statistics.TieEnds(x, False), 60, 4)
    assert len(pairs) == len(a.criterion) > 1
    for pair in pairs:
        r = minima[pair.n1][1] ** 2 / minima[pair.n2][1]
        assert a.criterion[pair.n1] == pytest.approx(r, rel=1e-13)


def test_double_bootstrap_without_an_interior_minimum() -> None:
    # Exact Pareto down to its smallest item: the error falls in k to the end.
    # Many such samples fail, this one among them; the minima found are carried.
    x = pareto(1.0, 1500, 6)
    with pytest.raises(ConvergenceError, match="give k yourself") as caught:
        choose_k(x, discrete=False, n_replications=60, seed=6)
    assert len(caught.value.last) > 0
    assert all(10 <= k < 1500 for k in caught.value.last.values())
    # the scan takes such a sample whole, or nearly: every size but the smallest
    assert scan_k(x, discrete=False) == fit_tail(x, discrete=False, n_tail_min=50).n_tail


@pytest.mark.parametrize("discrete", [True, False])
def test_scan_k_is_the_tail_of_the_scan(discrete: bool) -> None:
    # A tail from 40 on over a flat body: k is what fit_tail keeps, at an end of ties.
    rng = np.random.default_rng(7)
    tail = sample_power_law(2.2, 40.0, 500, rng, discrete=discrete)
    x = np.concatenate([tail, rng.integers(1, 40, 1500)])
    k = scan_k(x, discrete=discrete)
    assert k == fit_tail(x, discrete=discrete, n_tail_min=50).n_tail
    assert k in index_statistics.TieEnds(x, discrete).k
    assert 400 < k < 700


def test_scan_k_leaves_out_coarse_counts() -> None:
    # Zeta counts from 1 on: the scan takes all 20,000, where Hill with v - 1/2 is a quarter off.
    x = sample_power_law(2.2, 1.0, 20_000, np.random.default_rng(3))
    k = scan_k(x, discrete=True)
    assert k == np.sum(x >= 10)
    fit = fit_hill(x, k=k)
    assert abs((fit.zeta or 0.0) - 1.2) < 3 * (fit.std_error or 0.0)
    assert abs((fit_hill(x, k=20_000).zeta or 0.0) - 1.2) > 0.2


def test_scan_k_of_few_items() -> None:
    # Of 12 items at least half; the smallest size has no threshold below it.
    x = pareto(1.0, 12, 2)
    assert 6 <= scan_k(x, discrete=False) <= 11


def test_double_bootstrap_on_counts() -> None:
    x = np.ceil(LAWS["frechet"][1](np.random.default_rng(2), 20_000) * 20)
    found = choose_k(Counts.from_sample(x), discrete=True, n_replications=100)
    assert found.k0 in index_statistics.TieEnds(x, True).k
    assert found.zeta == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize(
    ("n", "options", "says"),
    [
        (49, {}, "49 positive items"),
        (99, {}, "the double bootstrap needs 100"),
        (199, {"n_replications": 1}, "1 replications"),
    ],
    ids=["few", "one-short", "one-replication"],
)
def test_too_few_items_or_replications_are_refused(n: int, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        choose_k(np.arange(1, n + 1), discrete=True, **options)


@pytest.mark.parametrize("discrete", [True, False])
def test_one_value_has_no_tail_to_scan(discrete: bool) -> None:
    with pytest.raises(DataError, match="distinct"):
        scan_k([7] * 200, discrete=discrete)
