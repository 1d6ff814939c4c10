"""Bootstrap: exact draws, p by any route and number of threads, resampled and clustered fits."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails import _numba_sampling
from baimo.estimation.tails.bootstrap import GoodnessOfFit, bootstrap_tail, goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, sample_power_law


def state(seed: int) -> NDArray[np.uint64]:
    return np.random.SeedSequence(seed).generate_state(4, np.uint64)


def chi_square_p(seen: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Pool the cells from both ends until ten are expected in each, then compare."""
    edges = [0]
    total = 0.0
    for i, e in enumerate(expected):
        total += e
        if total >= 10:
            edges.append(i + 1)
            total = 0.0
    edges[-1] = expected.size
    a = np.add.reduceat(seen, edges[:-1])
    b = np.add.reduceat(expected, edges[:-1])
    return float(stats.chisquare(a, b * a.sum() / b.sum()).pvalue)


# --- draws -----------------------------------------------------------------------------------


def test_uniforms_are_uniform_and_open() -> None:
    s = state(1)
    u = np.array([_numba_sampling.uniform(s) for _ in range(20_000)])
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / math.sqrt(u.size)


@pytest.mark.parametrize(
    ("n", "p"),
    [(5, 0.3), (40, 0.02), (40, 0.9), (99, 0.1), (100, 0.1), (1000, 0.45), (10**6, 1e-5),
     (10**6, 0.2), (3_000_000, 0.999), (50, 0.5), (10**9, 1e-8), (10**9, 0.3)],
    ids=lambda v: f"{v:g}",
)  # fmt: skip
def test_binomials_have_their_distribution(n: int, p: float) -> None:
    s = state(2)
    draws = np.array([_numba_sampling.binomial(n, p, s) for _ in range(20_000)])
    centre, spread = n * p, math.sqrt(n * p * (1 - p))
    # Exact cells of the width of about a tenth of the standard deviation.
    width = max(1, int(spread / 10))
    low = max(0, int(centre - 8 * spread))
    edges = np.arange(low, min(n, int(centre + 8 * spread + 2)) + width, width)
    mass = np.diff(np.concatenate([[0.0], stats.binom.cdf(edges[:-1], n, p), [1.0]]))
    cells = np.searchsorted(edges[:-1], draws, side="left")
    seen = np.bincount(cells, minlength=mass.size)
    assert chi_square_p(seen, mass * draws.size) > 1e-3


@pytest.mark.parametrize("top", [math.inf, 90.0], ids=["endless", "cut"])
@pytest.mark.parametrize(("alpha", "x_min"), [(1.5, 1.0), (2.0, 50.0), (3.5, 2.0), (12.0, 30.0)])
def test_compressed_tails_have_their_distribution(alpha: float, x_min: float, top: float) -> None:
    values, times = _numba_sampling.sample_counts(200_000, alpha, x_min, top, state(3))
    assert times.sum() == 200_000
    assert np.all(np.diff(values) > 0)
    assert values[0] >= x_min
    assert values[-1] <= top
    whole = np.arange(x_min, min(top, 100_000.0) + 1)
    total = special.zeta(alpha, x_min) - (special.zeta(alpha, top + 1) if top < math.inf else 0.0)
    mass = whole**-alpha / total
    seen = np.zeros(whole.size + 1)
    place = np.minimum(values - x_min, whole.size).astype(int)
    np.add.at(seen, place, times)
    rest = max(0.0, 1.0 - mass.sum())
    expected = np.append(mass, rest) * 200_000
    assert chi_square_p(seen.astype(np.int64), expected) > 1e-3


@pytest.mark.parametrize("top", [math.inf, 9.0], ids=["endless", "cut"])
def test_sizes_drawn_in_order_have_their_distribution(top: float) -> None:
    values = _numba_sampling.sample_sizes(20_000, 2.4, 3.0, top, state(4))
    assert np.all(np.diff(values) > 0)
    lost = (top / 3.0) ** -1.4
    found = stats.kstest(values, lambda x: (1 - (x / 3.0) ** -1.4) / (1 - lost))
    assert found.pvalue > 1e-3


def test_multinomials_have_their_moments() -> None:
    weights = np.array([5, 1, 20, 100, 3], dtype=np.int64)
    s, draws = state(5), np.empty((4000, 5), dtype=np.int64)
    for row in draws:
        _numba_sampling.multinomial(1000, weights, s, row)
    assert np.all(draws.sum(axis=1) == 1000)
    p = weights / weights.sum()
    errors = np.sqrt(1000 * p * (1 - p) / 4000)
    assert np.all(np.abs(draws.mean(axis=0) - 1000 * p) < 4 * errors)
    covariance = 1000 * (np.diag(p) - np.outer(p, p))
    assert np.allclose(np.cov(draws.T), covariance, atol=4 * covariance.max() * (2 / 4000) ** 0.5)


# --- goodness of fit -------------------------------------------------------------------------


def test_p_is_the_same_for_the_same_seed() -> None:
    sample = sample_power_law(2.2, 2.0, 400, np.random.default_rng(4))
    fit = fit_tail(sample)
    a = goodness_of_fit(sample, fit, n_replications=40, seed=9, keep_distances=True)
    b = goodness_of_fit(
        sample, fit, n_replications=40, seed=np.random.SeedSequence(9), keep_distances=True
    )
    assert a.ks_replicates.tobytes() == b.ks_replicates.tobytes()
    other = goodness_of_fit(sample, fit, n_replications=40, seed=10, keep_distances=True)
    assert not np.array_equal(a.ks_replicates, other.ks_replicates)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    sample = sample_power_law(2.2, 2.0, 400, np.random.default_rng(4))
    fit = fit_tail(sample)
    seen: list[tuple[int, int]] = []
    few = goodness_of_fit(sample, fit, n_replications=15, seed=9, keep_distances=True)
    many = goodness_of_fit(
        sample,
        fit,
        n_replications=45,
        seed=9,
        keep_distances=True,
        progress=lambda i, n: seen.append((i, n)),
    )
    assert few.ks_replicates is not None
    assert many.ks_replicates is not None
    assert np.array_equal(few.ks_replicates, many.ks_replicates[:15])
    assert seen == [(45, 45)]
    assert many.p_value == float(np.mean(many.ks_replicates >= fit.ks))


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_a_clear_lognormal_is_rejected(discrete: bool) -> None:
    # All items in the tail, n = 1,500: a power law from x_min = 1 is far from a lognormal.
    sample = np.exp(np.random.default_rng(6).normal(3.0, 0.7, 1500))
    sample = np.round(sample) if discrete else sample
    x_min = float(np.floor(sample.min()))
    fit = fit_tail(sample[sample > 0], discrete=discrete, x_min=max(x_min, 1.0))
    found = goodness_of_fit(sample, fit, n_replications=50, seed=1, keep_distances=True)
    assert found.p_value == 0.0
    assert found.mc_error == pytest.approx(1 / 50)
    assert np.all(found.ks_replicates > 0)


def test_p_is_not_small_under_the_power_law() -> None:
    # The test is conservative: its size at nominal .1 is below .1. With 60 samples the count of
    # p < .1 exceeds a binomial(60, .1) bound of four standard errors only if it is not.
    rng = np.random.default_rng(31)
    low = 0
    for i in range(60):
        sample = sample_power_law(2.5, 1.0, 300, rng)
        fit = fit_tail(sample)
        low += goodness_of_fit(sample, fit, n_replications=40, seed=i).p_value < 0.1
    assert low <= 60 * 0.1 + 4 * math.sqrt(60 * 0.09)


def test_replications_must_be_positive() -> None:
    sample = [1, 1, 2, 3, 5, 8, 13]
    with pytest.raises(DataError, match="n_replications"):
        goodness_of_fit(sample, fit_tail(sample), n_replications=0)


def test_replicates_of_a_tail_without_body() -> None:
    # Every item in the tail: no body is drawn, and the replicates have the size of the tail.
    sample = sample_power_law(2.5, 3.0, 200, np.random.default_rng(1))
    fit = replace(fit_tail(sample, x_min=3), ks=1.0)
    found = goodness_of_fit(sample, fit, n_replications=10, seed=2, keep_distances=True)
    assert found.p_value == 0.0
    assert found.ks_replicates is not None
    assert found.n_replications == found.ks_replicates.size == 10


@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("ks", ["csn", "two-sided", "left"])
def test_p_alone_is_the_p_of_all_distances(discrete: bool, ks: str) -> None:
    rng = np.random.default_rng(8)
    body = rng.uniform(1, 6, 400)
    sample = np.concatenate([body, sample_power_law(2.2, 6.0, 300, rng, discrete=False)])
    sample = np.floor(sample) if discrete else sample
    fit = fit_tail(sample, discrete=discrete, ks=ks)
    short = goodness_of_fit(sample, fit, n_replications=150, seed=3)
    whole = goodness_of_fit(sample, fit, n_replications=150, seed=3, keep_distances=True)
    assert short.p_value == whole.p_value
    assert 0 < short.p_value < 1
    assert short.ks_replicates is None


def test_p_does_not_depend_on_the_number_of_threads() -> None:
    sample = sample_power_law(2.2, 2.0, 400, np.random.default_rng(4))
    fit = fit_tail(sample)
    found = [
        goodness_of_fit(sample, fit, n_replications=230, n_threads=n, keep_distances=True)
        for n in (1, 2, 5)
    ]
    assert np.array_equal(found[0].ks_replicates, found[1].ks_replicates)
    assert np.array_equal(found[0].ks_replicates, found[2].ks_replicates)


def test_the_same_seed_sequence_twice_gives_the_same_p() -> None:
    sample = sample_power_law(2.2, 2.0, 400, np.random.default_rng(4))
    fit, seed = fit_tail(sample), np.random.SeedSequence(5)
    first = goodness_of_fit(sample, fit, n_replications=60, seed=seed, keep_distances=True)
    again = goodness_of_fit(sample, fit, n_replications=60, seed=seed, keep_distances=True)
    assert np.array_equal(first.ks_replicates, again.ks_replicates)


def test_replicates_follow_the_options_of_the_fit() -> None:
    # The same replicates with one candidate x_min and with all of them: more candidates can
    # only lower the smallest distance, and somewhere do.
    sample = sample_power_law(2.5, 4.0, 300, np.random.default_rng(9), discrete=False)
    whole = fit_tail(sample, discrete=False, n_tail_min=300)
    assert whole.n_tail == 300
    free = replace(whole, n_tail_min=2)
    one = goodness_of_fit(sample, whole, n_replications=300, keep_distances=True)
    many = goodness_of_fit(sample, free, n_replications=300, keep_distances=True)
    assert one.ks_replicates is not None
    assert many.ks_replicates is not None
    assert np.all(many.ks_replicates <= one.ks_replicates)
    assert np.mean(many.ks_replicates < one.ks_replicates) > 0.5


def test_a_given_x_min_has_the_null_distribution_of_stephens() -> None:
    # Log sizes above a known x_min are exponential with unknown rate: the 90 % and 95 % points
    # of sqrt(n) D are .995 and 1.094 (Stephens 1974, JASA 69, Table 1, case 3 of exponential:
    # (D - .2/n)(sqrt(n) + .26 + .5/sqrt(n)) = .990 and 1.094).
    n = 200
    sample = sample_power_law(2.5, 1.0, n, np.random.default_rng(2), discrete=False)
    fit = fit_tail(sample, discrete=False, x_min=1.0, ks="two-sided")
    found = goodness_of_fit(sample, fit, n_replications=4000, keep_distances=True)
    assert found.ks_replicates is not None
    modified = (found.ks_replicates - 0.2 / n) * (math.sqrt(n) + 0.26 + 0.5 / math.sqrt(n))
    for point, share in ((0.990, 0.10), (1.094, 0.05)):
        error = math.sqrt(share * (1 - share) / 4000)
        assert abs(np.mean(modified > point) - share) < 4 * error


def test_early_stop_agrees_and_says_so() -> None:
    rng = np.random.default_rng(12)
    good = sample_power_law(2.2, 2.0, 500, rng)
    bad = np.round(np.exp(rng.normal(3.0, 0.7, 1500)))
    for sample, x_min, rejected in ((good, None, False), (bad, 1.0, True)):
        fit = fit_tail(sample, x_min=x_min)
        found = goodness_of_fit(sample, fit, n_replications=2500, stop_early=True)
        assert found.stopped_early
        assert found.n_replications < 500
        assert found.rejected is rejected
        full = goodness_of_fit(sample, fit, n_replications=1000)
        assert not full.stopped_early
        assert full.rejected is rejected


@pytest.mark.parametrize("sample", [[1] * 50 + [2], [1] * 20 + [2] * 3], ids=str)
def test_ties_and_degenerate_replicates_count_alike(sample: list[int]) -> None:
    # The same fit, x_min found or given, no body, ones in every replicate: the same law. Those
    # equal to the data, and those without any fit, are no better than the data in both.
    found, given = fit_tail(sample), fit_tail(sample, x_min=min(sample))
    assert found.alpha == given.alpha
    p = [goodness_of_fit(sample, f, n_replications=2000).p_value for f in (found, given)]
    assert p[0] == pytest.approx(p[1], abs=5 * (0.5 / 2000) ** 0.5)


def test_an_interrupt_is_not_delayed_by_what_is_queued() -> None:
    sample = sample_power_law(2.2, 2.0, 400, np.random.default_rng(4))
    asked: list[int] = []

    def stop(done: int, total: int) -> None:
        asked.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        goodness_of_fit(sample, fit_tail(sample), n_replications=20_000, progress=stop)
    assert asked == [50]


@pytest.mark.parametrize("alpha", [1.02, 1.3])
@pytest.mark.parametrize("x_min", [1.0, 1e9])
def test_draws_beyond_two_to_the_63(alpha: float, x_min: float) -> None:
    draws = sample_power_law(alpha, x_min, 4000, np.random.default_rng(1))
    assert np.all(draws >= x_min)
    assert draws.max() > 2.0**63 or alpha > 1.2
    if x_min > 1:  # nearly continuous: the share beyond a far point, within four errors
        share = 1e10 ** (1 - alpha)
        error = math.sqrt(share * (1 - share) / 4000)
        assert abs(np.mean(draws > x_min * 1e10) - share) < 4 * error


def test_a_fit_of_other_data_is_refused() -> None:
    rng = np.random.default_rng(1)
    sample = sample_power_law(2.5, 3.0, 200, rng)
    with pytest.raises(DataError, match="not the data of this fit"):
        goodness_of_fit(sample[:150], fit_tail(sample))


# --- resampled fits --------------------------------------------------------------------------


def test_resampling_gives_the_error_of_alpha_where_x_min_is_sure() -> None:
    # All mass at or above x_min = 1 and one candidate by n_tail_min: the bootstrap error is the
    # information's, up to its own Monte Carlo error of 1/sqrt(2 r) and sampling error.
    sample = sample_power_law(2.5, 5.0, 2000, np.random.default_rng(3), discrete=False)
    fit = fit_tail(sample, discrete=False, n_tail_min=1990)
    found = bootstrap_tail(sample, replace(fit, n_tail_min=1900), n_replications=1000)
    error = found.estimates()["alpha"].std_error
    assert error == pytest.approx(fit.std_error, rel=4 * (1 / 2000) ** 0.5 + 0.06)


def test_zeros_are_resampled_too() -> None:
    sample = sample_power_law(2.5, 1.0, 400, np.random.default_rng(3))
    padded = np.concatenate([sample, np.zeros(3600)])
    fit = fit_tail(padded, n_tail_min=300)
    found = bootstrap_tail(padded, replace(fit, n_tail_min=2), n_replications=800)
    everyone = found.n_tail[found.x_min == 1]
    # The number of positive items is binomial(4000, .1).
    assert everyone.std() == pytest.approx(math.sqrt(4000 * 0.1 * 0.9), rel=0.25)


def test_each_item_its_own_cluster_is_no_cluster() -> None:
    sample = sample_power_law(2.2, 3.0, 600, np.random.default_rng(5))
    fit = fit_tail(sample)
    plain = bootstrap_tail(sample, fit, n_replications=1500)
    single = bootstrap_tail(sample, fit, clusters=np.arange(600), n_replications=1500, seed=1)
    assert single.clustered
    assert stats.ks_2samp(plain.alpha, single.alpha).pvalue > 1e-3
    assert stats.ks_2samp(plain.n_tail, single.n_tail).pvalue > 1e-3


def test_copies_in_a_cluster_bring_nothing() -> None:
    # Nine copies of each item, one cluster each: the distribution of the single items.
    sample = sample_power_law(2.2, 3.0, 400, np.random.default_rng(6), discrete=False)
    fit = fit_tail(sample, discrete=False, n_tail_min=200)
    once = bootstrap_tail(sample, fit, n_replications=1000)
    copies, owner = np.repeat(sample, 9), np.repeat(np.arange(400), 9)
    nine = fit_tail(copies, discrete=False, n_tail_min=1800)
    many = bootstrap_tail(
        copies, nine, clusters=[f"author {c}" for c in owner], n_replications=1000, seed=2
    )
    ratio = many.alpha.std() / once.alpha.std()
    assert ratio == pytest.approx(1.0, abs=4 * (2 / 2000) ** 0.5)
    naive = bootstrap_tail(copies, nine, n_replications=1000, seed=3)
    assert naive.alpha.std() / once.alpha.std() < 0.5


def test_bootstrap_round_trip_and_levels() -> None:
    sample = sample_power_law(2.2, 3.0, 300, np.random.default_rng(7))
    found = bootstrap_tail(sample, fit_tail(sample), n_replications=100)
    again = type(found).from_dict(found.to_dict())
    assert again.summary() == found.summary()
    wide, narrow = found.conf_int(0.99)["alpha"], found.conf_int(0.5)["alpha"]
    assert wide is not None
    assert narrow is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_replications": 1}, "at least 2"), ({"clusters": [1, 2]}, "one label for each")],
    ids=["one replicate", "too few labels"],
)
def test_bootstrap_refuses(options: dict[str, object], message: str) -> None:
    sample = sample_power_law(2.2, 3.0, 100, np.random.default_rng(7))
    with pytest.raises(DataError, match=message):
        bootstrap_tail(sample, fit_tail(sample), **options)  # type: ignore[arg-type]


def test_bootstrap_refuses_what_was_not_chosen() -> None:
    sample = sample_power_law(2.2, 3.0, 100, np.random.default_rng(7))
    with pytest.raises(DataError, match="x_min was given"):
        bootstrap_tail(sample, fit_tail(sample, x_min=3))
    counts = Counts.from_sample(sample)
    with pytest.raises(DataError, match="one by one"):
        bootstrap_tail(counts, fit_tail(sample), clusters=np.arange(100))


@pytest.mark.parametrize(
    ("wrong", "says"), [({"seed": -1}, "seed = -1"), ({"n_threads": 0}, "n_threads = 0")]
)
def test_no_threads_and_negative_seeds_are_refused_by_name(
    wrong: dict[str, int], says: str
) -> None:
    sample = [1, 1, 2, 3, 5, 8, 13]
    fit = fit_tail(sample)
    with pytest.raises(DataError, match=says):
        goodness_of_fit(sample, fit, n_replications=10, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=says):
        bootstrap_tail(sample, fit, n_replications=10, **wrong)  # type: ignore[arg-type]


# --- what p is worth -------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (1, 20), (11, 50), (250, 2500), (20, 20)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_monte_carlo_interval_is_the_exact_binomial_one(hits: int, n: int, level: float) -> None:
    found = GoodnessOfFit(p_value=hits / n, mc_error=0.1, n_replications=n)
    truth = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    assert found.monte_carlo_interval(level) == pytest.approx((truth.low, truth.high), abs=1e-10)
    assert found.conf_int(level) == {"p_value": found.monte_carlo_interval(level)}


@pytest.mark.parametrize(
    ("hits", "n", "decided"),
    # no hit in n: the upper end is 1 - .025^(1/n), below .1 from n = 36 on
    [(0, 35, False), (0, 36, True), (1, 20, False), (250, 2500, False), (200, 2500, True),
     (10, 20, True)],
)  # fmt: skip
def test_the_verdict_stands_where_its_limit_is_outside(hits: int, n: int, decided: bool) -> None:
    found = GoodnessOfFit(p_value=hits / n, mc_error=0.1, n_replications=n)
    assert found.decided is decided
    assert ("cannot tell at this number" in found.summary()) is not decided


def test_no_hit_is_not_a_p_of_zero() -> None:
    none = GoodnessOfFit(p_value=0.0, mc_error=0.05, n_replications=20)
    assert none.shown == "<0.05"
    assert GoodnessOfFit(p_value=0.25, mc_error=0.1, n_replications=20).shown == "0.25"


def test_an_early_stop_is_decided() -> None:
    sample = sample_power_law(2.2, 3.0, 500, np.random.default_rng(7))
    found = goodness_of_fit(sample, fit_tail(sample), stop_early=True)
    assert found.stopped_early
    assert found.decided
