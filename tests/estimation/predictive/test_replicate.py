"""Fit, simulate, refit: standardised differences, verdicts, and reproducible replicates."""

import math

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.replicate import compare_replicates, measure_sizes, replicate
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail, sample_tail
from baimo.estimation.tails.tail_index import fit_hill
from baimo.simulation.attachment.simon_yule import SimonParams, simulate_simon
from baimo.simulation.demand.ces import DemandParams, simulate_demand


def draw_simon(rng: np.random.Generator) -> Counts:
    return Counts.from_sample(simulate_simon(SimonParams(p=0.3), 2000, rng))


def content(counts: Counts) -> bytes:
    return counts.values.tobytes() + counts.multiplicities.tobytes()


def test_z_by_hand() -> None:
    replicates = [{"zeta": v} for v in (1.0, 2.0, 3.0, 6.0)]
    (found,) = compare_replicates({"zeta": 5.0}, replicates).values()
    assert found.mean == 3.0
    assert found.sd == pytest.approx(math.sqrt(14 / 3), rel=1e-14)
    assert found.z == pytest.approx(2 / math.sqrt(14 / 3), rel=1e-14)
    assert (found.observed, found.n_replications) == (5.0, 4)


def test_every_statistic_keeps_its_name_and_order() -> None:
    replicates = [{"b": 1.0, "a": 2.0, "extra": 0.0}, {"b": 3.0, "a": 2.5, "extra": 0.0}]
    found = compare_replicates({"b": 2.0, "a": 2.0}, replicates)
    assert list(found) == ["b", "a"]
    assert found["b"].z == 0.0


def test_one_replicate_gives_no_spread() -> None:
    found = compare_replicates({"zeta": 5.0}, [{"zeta": 1.0}])["zeta"]
    assert (found.mean, found.sd, found.z) == (1.0, None, None)


@pytest.mark.parametrize("value", [0.0, 0.5, 0.1, 1 / 3], ids=lambda v: f"{v:g}")
def test_constant_replicates_give_no_z(value: float) -> None:
    # The same number three times has no spread, whatever its binary digits.
    found = compare_replicates({"share": value + 0.2}, [{"share": value}] * 3)["share"]
    assert found.mean == pytest.approx(value, rel=1e-15)
    assert found.z is None


def test_failed_replicates_are_left_out_and_counted() -> None:
    replicates = [{"zeta": v} for v in (1.0, math.nan, 3.0, math.inf)]
    found = compare_replicates({"zeta": 2.0}, replicates)["zeta"]
    assert (found.mean, found.n_replications) == (2.0, 2)
    # Young cohorts of some draws have no tail: the statistic is then not in the record at all.
    found = compare_replicates({"zeta": 2.0}, [{}, {"zeta": 1.0}, {"zeta": 3.0}])["zeta"]
    assert (found.mean, found.n_replications) == (2.0, 2)


def test_what_the_model_or_the_data_never_have_is_not_compared() -> None:
    replicates = [{"zeta": math.nan, "gini": 0.5}, {"zeta": math.nan, "gini": 0.7}]
    found = compare_replicates({"zeta": 2.0, "gini": 0.6, "top": 0.1}, replicates)
    assert list(found) == ["gini"]
    assert compare_replicates({"gini": math.nan}, replicates) == {}


@pytest.mark.parametrize(
    ("observed", "p"),
    [(0.0, 2 / 6), (1.0, 4 / 6), (2.5, 1.0), (3.0, 1.0), (9.0, 2 / 6), (5.0, 4 / 6)],
)
def test_predictive_p_by_hand(observed: float, p: float) -> None:
    # Of 1, 2, 3, 4, 5: as far out as the data on the nearer side, itself counted, twice.
    drawn = [{"s": v} for v in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert compare_replicates({"s": observed}, drawn)["s"].p_predictive == pytest.approx(p)


def test_predictive_p_is_rarely_small_when_the_model_is_true() -> None:
    # Ranks are uniform: P(p <= k/20) = k/20 for 39 replicates, k even steps of two tails.
    rng = np.random.default_rng(83)
    runs = 2_000
    p = []
    for _ in range(runs):
        v = rng.standard_normal(40)
        p.append(compare_replicates({"s": v[0]}, [{"s": x} for x in v[1:]])["s"].p_predictive)
    for level in (0.05, 0.1, 0.5):
        share = np.mean(np.array(p) <= level + 1e-12)
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / runs)


def test_z_is_standard_normal_when_the_model_is_true() -> None:
    # Observed and 400 replicates from one normal law: z over many comparisons has mean 0, sd 1.
    rng = np.random.default_rng(81)
    runs = 500
    z = []
    for _ in range(runs):
        drawn = rng.normal(3.0, 2.0, 401)
        found = compare_replicates({"s": drawn[0]}, [{"s": v} for v in drawn[1:]])["s"]
        z.append(found.z)
    assert abs(np.mean(z)) < 4 / math.sqrt(runs)
    assert abs(np.std(z, ddof=1) - 1) < 4 / math.sqrt(2 * runs)


# --- replicates --------------------------------------------------------------------------


def test_same_seed_same_bytes() -> None:
    a = replicate(draw_simon, n_replications=4, seed=(7, 1))
    b = replicate(draw_simon, n_replications=4, seed=[7, 1])
    assert [content(x) for x in a] == [content(x) for x in b]
    c = replicate(draw_simon, n_replications=4, seed=(7, 2))
    assert content(a[0]) != content(c[0])


def test_a_replicate_does_not_depend_on_how_many_there_are() -> None:
    few = replicate(draw_simon, n_replications=2, seed=(3,))
    many = replicate(draw_simon, n_replications=6, seed=(3,))
    assert [content(x) for x in few] == [content(x) for x in many[:2]]
    assert len({content(x) for x in many}) == 6


def test_replicates_must_be_positive() -> None:
    with pytest.raises(DataError, match="n_replications"):
        replicate(draw_simon, n_replications=0, seed=(1,))


def test_the_number_of_threads_changes_nothing() -> None:
    one = replicate(draw_simon, n_replications=5, seed=(4,), n_threads=1)
    many = replicate(draw_simon, n_replications=5, seed=(4,), n_threads=4)
    assert [content(x) for x in one] == [content(x) for x in many]


# --- one measure for data and model ------------------------------------------------------


def test_measured_sizes_are_those_of_the_parts() -> None:
    sample = Counts.from_pairs([0, 1, 2, 3, 5, 9, 40], [9, 40, 14, 8, 5, 2, 1])
    found = measure_sizes(sample, discrete=True)
    tail = fit_tail(sample)
    held = measure_concentration(sample.positive())
    assert found["zeta_scanned"] == tail.zeta
    assert (found["x_min"], found["n_tail"]) == (tail.x_min, tail.n_tail)
    assert found["gini"] == held.gini
    positive = np.repeat([1, 2, 3, 5, 9, 40], [40, 14, 8, 5, 2, 1])
    assert found["effective_number"] == pytest.approx(positive.sum() ** 2 / np.sum(positive**2))


def test_tail_indices_are_those_of_the_largest() -> None:
    # A hundred items, 1 % and 5 % of the positive ones; too few of them give none.
    sizes = np.concatenate([np.zeros(500), 1.0 / ((np.arange(4_000) + 0.5) / 4_000)])
    counts = Counts.from_sample(sizes)
    found = measure_sizes(counts, discrete=False)
    for name, k in (("zeta_top100", 100), ("zeta_top1pct", 40), ("zeta_top5pct", 200)):
        assert found[name] == fit_hill(counts, k=k, discrete=False).zeta
        assert abs(found[name] - 1.0) < 3 / math.sqrt(k)
    few = measure_sizes(Counts.from_sample([0, 1, 1, 2, 3, 9]), discrete=True)
    assert math.isnan(few["zeta_top100"])
    assert math.isnan(few["zeta_top1pct"])


def test_refitting_the_true_model_matches() -> None:
    # Data and replicates from one urn: every statistic within four standard deviations, and the
    # fitted zeta of the data inside the 95 % band of the model at least nine times in ten.
    observed = [
        measure_sizes(draw_simon(np.random.default_rng(900 + i)), discrete=True) for i in range(30)
    ]
    simulated = [
        measure_sizes(r, discrete=True)
        for r in replicate(draw_simon, n_replications=100, seed=(5,))
    ]
    z = np.array([compare_replicates(o, simulated)["gini"].z for o in observed], dtype=float)
    # mean of 30 z against 100 replicates: error sqrt(1/30 + 1/100)
    assert abs(z.mean()) < 4 * math.sqrt(1 / 30 + 1 / 100)
    assert np.all(np.abs(z) < 5)


def test_another_model_with_the_same_tail_is_told_apart() -> None:
    # zeta alone never discriminates. CES demand and Simon's urn, both with zeta = 1.43
    # and equal totals: an urn has no item without an event, demand leaves some without purchase.
    demand = DemandParams(alpha=1 / 0.7, rho=0.5)
    assert demand.zeta == pytest.approx(SimonParams(p=0.3).zeta, rel=1e-12)

    def draw_demand(rng: np.random.Generator) -> Counts:
        return Counts.from_sample(simulate_demand(demand, 600, 2000, rng))

    observed = measure_sizes(draw_simon(np.random.default_rng(1)), discrete=True)
    simulated = [
        measure_sizes(r, discrete=True)
        for r in replicate(draw_demand, n_replications=60, seed=(6,))
    ]
    compared = compare_replicates(observed, simulated)
    zeta = compared["zeta_scanned"]
    assert zeta.sd is not None
    assert abs(zeta.observed - zeta.mean) < 4 * zeta.sd
    assert draw_simon(np.random.default_rng(1)).n_zero == 0
    zeros = [draw_demand(np.random.default_rng(i)).n_zero for i in range(20)]
    assert min(zeros) > 0


def test_replicates_of_a_tail_recover_its_exponent() -> None:
    # The whole loop on an exact law: replicates of the fit have the zeta of the fit on average.
    rng = np.random.default_rng(82)
    sample = np.floor(2 * (1 - rng.random(800)) ** (-1 / 1.4))
    fit = fit_tail(sample, x_min=4)

    def draw(generator: np.random.Generator) -> Counts:
        return Counts.from_sample(sample_tail(fit, fit.n_tail, generator))

    zetas = [fit_tail(r, x_min=4).zeta for r in replicate(draw, n_replications=300, seed=(8,))]
    compared = compare_replicates({"zeta": fit.zeta}, [{"zeta": z} for z in zetas])["zeta"]
    assert compared.sd is not None
    bias = fit.zeta / fit.n_tail  # of the maximum
    assert abs(compared.mean - bias - fit.zeta) < 4 * compared.sd / math.sqrt(300)
    assert abs(compared.sd / fit.std_error - 1) < 4 / math.sqrt(2 * 299)


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("n", [60, 300, 20_000])
def test_the_tail_index_needs_only_the_largest(discrete: bool, n: int) -> None:
    from baimo.estimation.tails.tail_index import fit_hill

    sample = np.random.default_rng(n).pareto(1.1, n) * 3
    counts = Counts.from_sample(np.floor(sample) if discrete else sample)
    found = measure_sizes(counts, discrete=discrete)
    positive = counts.positive().n_obs
    for name, k in (("top100", 100), ("top1pct", positive // 100), ("top5pct", positive // 20)):
        value = found[f"zeta_{name}"]
        try:
            whole = fit_hill(counts, k=k, discrete=discrete).zeta
        except DataError:
            assert math.isnan(value)
        else:
            assert value == pytest.approx(whole, rel=1e-12)
