"""Results: there and back through real JSON, intervals, and what a summary says first."""

import dataclasses
import json
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy import stats

import baimo.estimation as estimation
from baimo.estimation import results
from baimo.estimation.attachment.births import BirthsFit, fit_births
from baimo.estimation.attachment.cross_section import SimonFit, YuleFit, fit_simon, fit_yule
from baimo.estimation.attachment.entry import EntryFit, fit_entry
from baimo.estimation.attachment.inflow import InflowFit, fit_inflow
from baimo.estimation.attachment.kernel import KernelFit, fit_attachment_kernel
from baimo.estimation.attachment.kernel_bins import KernelBinsFit, fit_kernel_bins
from baimo.estimation.attachment.noise import NoiseFit, fit_noise
from baimo.estimation.demand.ces import (
    CommonShare,
    DemandFit,
    TwoMeasures,
    common_share,
    fit_demand,
    two_measures,
)
from baimo.estimation.demand.cost_elasticity import CostElasticityFit, fit_cost_elasticity
from baimo.estimation.demand.counts import DemandTail, fit_demand_tail
from baimo.estimation.distributions.fit import (
    WholeSampleComparison,
    WholeSampleFit,
    WholeSampleVuong,
    compare_whole_sample,
)
from baimo.estimation.errors import DataError
from baimo.estimation.growth.asymptotic_zeta import ZetaBootstrap
from baimo.estimation.growth.bootstrap import GrowthBootstrap, bootstrap_growth
from baimo.estimation.growth.cce import SizeSlopeFit, fit_size_slope_cce
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.entry import EntryTrendFit, fit_entry_growth
from baimo.estimation.growth.later_size import LaterSize
from baimo.estimation.growth.loadings import LoadingsFit, fit_loadings
from baimo.estimation.growth.mixture_drift import MixtureDriftFit, fit_mixture_drift
from baimo.estimation.growth.size_dependence import SizeDependenceFit, fit_size_dependence
from baimo.estimation.growth.size_exponent import SizeExponent, fit_size_exponent
from baimo.estimation.growth.survivors import PanelGrowthFit, fit_panel_growth
from baimo.estimation.growth.two_dates import PopulationGrowthFit, fit_population_growth
from baimo.estimation.growth.two_windows import SizeSlope, TwoWindowsFit, fit_two_windows
from baimo.estimation.growth.volatility import GrowthPathsFit, fit_growth_paths
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit, fit_poisson_rates
from baimo.estimation.predictive.joint import Agreement, Contrast, JointVerdict, judge_jointly
from baimo.estimation.predictive.replicate import Replicated
from baimo.estimation.results import Estimate, FitResult, decode, encode, from_dict, to_dict
from baimo.estimation.samples.concentration import Concentration, measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes.compare import (
    ShapeComparison,
    ShapeComparisons,
    compare_many,
    compare_shapes,
)
from baimo.estimation.tails.alternatives import Comparison, Support, compare_tail
from baimo.estimation.tails.bootstrap import (
    GoodnessOfFit,
    TailBootstrap,
    bootstrap_tail,
    goodness_of_fit,
)
from baimo.estimation.tails.choose_k import KChoice, choose_k
from baimo.estimation.tails.clustered import ClusteredGoodnessOfFit, clustered_goodness_of_fit
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.estimation.tails.power_law import TailFit, TailPath, fit_tail, tail_path
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.estimation.tails.tail_index import (
    IndexFit,
    IndexPath,
    IndexTest,
    LognormalPath,
    fit_hill,
    index_path,
    pareto_lognormal_path,
    zipf_lm_test,
)
from baimo.estimation.tails.thresholds import ThresholdRange, threshold_range
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule

SAMPLE = [0, 1, 1, 1, 1, 2, 2, 3, 3, 5, 8, 13, 40]


def yule() -> YuleFit:
    rng = np.random.default_rng(3)
    ages = rng.exponential(1.0, 2000)
    ages = ages[ages < 4]
    sizes = simulate_yule(YuleParams(entry_plus_exit=1.0, gamma=1.0, a=0.5), ages, rng)
    return fit_yule(ages, sizes, entry=fit_entry(ages, horizon=4.0))


def panel() -> PanelGrowthFit:
    rng = np.random.default_rng(5)
    items, weeks = np.meshgrid(np.arange(4), np.arange(60), indexing="ij")
    return fit_panel_growth(items.ravel(), weeks.ravel(), rng.normal(size=240))


def population() -> PopulationGrowthFit:
    rng = np.random.default_rng(6)
    before = np.exp(rng.normal(12, 1, 60))
    after = before * np.exp(rng.normal(0, 1, 60))
    after[:3] = np.nan
    return fit_population_growth(before, after, years=2.0)


def births() -> BirthsFit:
    rng = np.random.default_rng(8)
    ages = rng.integers(1, 5, 400) / 2.0
    return fit_births(ages, rng.negative_binomial(0.6, np.exp(-0.8 * ages)), theta=1.0)


def censored() -> CensoredGrowthFit:
    rng = np.random.default_rng(6)
    before = np.exp(rng.normal(12, 1, 60))
    after = before * np.exp(rng.normal(0, 1, 60))
    after[:3] = np.nan
    return fit_censored_growth(before, after, years=2.0, floor=1.0)


RNG = np.random.default_rng(7)
STOCK = RNG.poisson(RNG.gamma(0.7, 60.0, 300)).astype(float)
GAINS = RNG.poisson(2.0 * (STOCK + 1.0)).astype(float)
AUTHORS = np.arange(300) // 3
AGES = RNG.exponential(1.0, 300) + 0.1
WEEKS = np.meshgrid(np.arange(8), np.arange(40), indexing="ij")
PATHS = np.exp(np.cumsum(RNG.normal(0.0, 0.1, (8, 40)), axis=1))


# Twelve items on a common market, loadings .5 to 1.5.
MARKET = RNG.normal(0.0, 0.1, 60)
LOADS = np.linspace(0.5, 1.5, 12)[:, None]
LOADED = tuple(
    part.ravel()
    for part in (
        *np.meshgrid(np.arange(12), np.arange(60) / 52.0, indexing="ij"),
        np.exp(np.cumsum(LOADS * MARKET + RNG.normal(0.0, 0.03, (12, 60)), axis=1)),
    )
)


def size_dependence() -> SizeDependenceFit:
    before, growth = np.log(PATHS[:, :-1]), np.diff(np.log(PATHS), axis=1)
    items, weeks = (g[:, 1:].ravel() for g in WEEKS)
    return fit_size_dependence(items, weeks, before.ravel(), growth.ravel())


def joint() -> JointVerdict:
    contrast = Contrast(
        names=("zeta",),
        observed=np.array([1.0]),
        draws=np.linspace(0.98, 1.04, 20)[:, None],
        covariance=np.array([[0.02**2]]),
    )
    return judge_jointly(contrast, {"zeta": 0.1})


FRECHET = np.random.default_rng(4).exponential(size=3000) ** -1.0


@cache
def whole_sample() -> WholeSampleComparison:
    models = ("negative_binomial", "discretised_lognormal")
    return compare_whole_sample([0, 0, *SAMPLE], models=models)


def two_windows() -> TwoWindowsFit:
    before = RNG.integers(0, 400, 300)
    return fit_two_windows(before, np.maximum(before - 5, 0) * 2, years=2.0, seed=1)


MAKERS: dict[type, Callable[[], Any]] = {
    TailFit: lambda: fit_tail(SAMPLE),
    GoodnessOfFit: lambda: goodness_of_fit(SAMPLE, fit_tail(SAMPLE), n_replications=5),
    ClusteredGoodnessOfFit: lambda: clustered_goodness_of_fit(
        SAMPLE, fit_tail(SAMPLE), range(len(SAMPLE)), n_replications=5
    ),
    TailPath: lambda: tail_path(SAMPLE, fit_tail(SAMPLE)),
    ThresholdRange: lambda: threshold_range(tail_path(SAMPLE, fit_tail(SAMPLE))),
    TailBootstrap: lambda: bootstrap_tail(SAMPLE, fit_tail(SAMPLE), n_replications=20),
    IndexFit: lambda: fit_hill(SAMPLE, k=6),
    IndexPath: lambda: index_path(SAMPLE, discrete=True),
    IndexTest: lambda: zipf_lm_test(SAMPLE, k=6, discrete=True),
    KChoice: lambda: choose_k(FRECHET, discrete=False, n_replications=40),
    LognormalPath: lambda: pareto_lognormal_path(SAMPLE, discrete=True),
    WholeSampleFit: lambda: whole_sample().best,
    WholeSampleVuong: lambda: whole_sample().tests[0],
    WholeSampleComparison: lambda: whole_sample(),
    Support: lambda: Support(level="none", reason="rejected"),
    ZipfFit: lambda: fit_zipf(SAMPLE, k=6, design_effect=2.0),
    Comparison: lambda: compare_tail(SAMPLE, fit_tail(SAMPLE), ("truncated_power_law",))[0],
    SimonFit: lambda: fit_simon(SAMPLE),
    EntryFit: lambda: fit_entry([0.1, 0.5, 1.0], horizon=2.0),
    YuleFit: yule,
    DemandFit: lambda: fit_demand(SAMPLE, fit_tail(SAMPLE)),
    ShapeComparison: lambda: compare_shapes(PATHS[0], FRECHET, power=True, n_replications=19),
    ShapeComparisons: lambda: compare_many(
        {"paths": PATHS.ravel(), "frechet": FRECHET}, n_replications=40
    ),
    DemandTail: lambda: fit_demand_tail(SAMPLE * 3, x_min=2),
    PanelGrowthFit: panel,
    PopulationGrowthFit: population,
    CensoredGrowthFit: censored,
    BirthsFit: births,
    EntryTrendFit: lambda: fit_entry_growth([3, 5, 4, 9, 12], step_years=0.25),
    InflowFit: lambda: fit_inflow([1.0, 2.0, math.nan], [2.0, 2.0, 4.0], days=1.5),
    KernelFit: lambda: fit_attachment_kernel(
        STOCK, STOCK + GAINS, ages=AGES, offset=1.0, clusters=AUTHORS
    ),
    KernelBinsFit: lambda: fit_kernel_bins([(STOCK, STOCK + GAINS)], clusters=AUTHORS),
    NoiseFit: lambda: fit_noise(STOCK, STOCK + GAINS, 2.0 * (STOCK + 1.0)),
    CohortsFit: lambda: fit_cohorts(FRECHET, np.arange(3000.0), x_min=1.0, discrete=False),
    PoissonRatesFit: lambda: fit_poisson_rates(np.ceil(4 * AGES), STOCK),
    Agreement: lambda: joint().agreements[0],
    JointVerdict: joint,
    GrowthPathsFit: lambda: fit_growth_paths(
        WEEKS[0].ravel(), WEEKS[1].ravel() / 52.0, PATHS.ravel()
    ),
    SizeDependenceFit: size_dependence,
    LoadingsFit: lambda: fit_loadings(*LOADED),
    SizeSlopeFit: lambda: fit_size_slope_cce(*LOADED),
    GrowthBootstrap: lambda: bootstrap_growth(*LOADED, n_replications=100),
    CostElasticityFit: lambda: fit_cost_elasticity(GAINS, np.exp(RNG.normal(size=300)), AUTHORS),
    TwoMeasures: lambda: two_measures(1.0, 1.6, GAINS + 1.0, STOCK + 1.0),
    CommonShare: lambda: common_share(GAINS + 1.0, STOCK + 1.0),
    TwoWindowsFit: two_windows,
    SizeExponent: lambda: fit_size_exponent(GAINS + 1.0, STOCK + 1.0),
    MixtureDriftFit: lambda: fit_mixture_drift(
        np.exp(RNG.normal(12.0, 2.0, 300)),
        AGES,
        RNG.normal(12.0, 2.0, 60),
        sigma=1.0,
        clusters=np.arange(300),
        entry_clusters=1_000 + np.arange(60),
    ),
    SizeSlope: lambda: next(iter(two_windows().slopes.values())),
    LaterSize: lambda: two_windows().slopes["positive"].later,
    ZetaBootstrap: lambda: ZetaBootstrap(low=0.5, high=1.5, without_tail=0.25),
    Concentration: lambda: measure_concentration(SAMPLE),
    Replicated: lambda: Replicated(observed=1.0, mean=2.0, sd=None, z=None, n_replications=1),
    Counts: lambda: Counts.from_sample(SAMPLE),
    Estimate: lambda: Estimate(value=1.0, interval=(0.5, 2.5), unit="1/yr"),
}


def same(a: Any, b: Any) -> bool:
    """Compare field by field: records that hold arrays have no equality of their own."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def test_every_registered_result_is_tried() -> None:
    found = [m.name for m in pkgutil.walk_packages(estimation.__path__, "baimo.estimation.")]
    assert "baimo.estimation.growth.cce" in found  # or folders are not walked, and nothing is tried
    for module in found:
        import_module(module)
    ours = {c for c in results._REGISTRY.values() if c.__module__.startswith("baimo.estimation")}
    assert ours == set(MAKERS)


@pytest.mark.parametrize("cls", list(MAKERS), ids=lambda c: c.__name__)
def test_there_and_back(cls: type) -> None:
    result = MAKERS[cls]()
    assert type(result) is cls
    payload = to_dict(result)
    assert payload["type"] == results._NAMES[cls]
    assert payload["schema_version"] == results.SCHEMA_VERSION
    restored = from_dict(through_json(payload))
    # numpy scalars become plain numbers; on the second trip nothing changes any more
    assert same(restored, from_dict(through_json(to_dict(restored))))
    for field in dataclasses.fields(cls):
        before, after = getattr(result, field.name), getattr(restored, field.name)
        plain = before.item() if isinstance(before, np.generic) else before
        assert same(plain, after), field.name


@pytest.mark.parametrize("cls", [c for c in MAKERS if issubclass(c, FitResult)])
def test_restored_fits_print_alike(cls: type[FitResult]) -> None:
    result = MAKERS[cls]()
    restored = cls.from_dict(through_json(result.to_dict()))
    assert restored.summary() == result.summary()
    assert restored.conf_int() == result.conf_int()
    assert list(restored.estimates()) == list(result.estimates())


@pytest.mark.parametrize("cls", [c for c in MAKERS if issubclass(c, FitResult)])
def test_results_carry_no_numpy_scalars_in_their_record(cls: type[FitResult]) -> None:
    record = to_dict(MAKERS[cls]())
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        "text",
        math.inf,
        -math.inf,
        math.nan,
        (),
        (1, (2.5, None), "x"),
        {"a": 1, "b": (1, 2)},
        {(1, "x"): 2.0, (2, "y"): math.inf},
        {1: {"nested": np.array([1.5, math.nan, math.inf])}},
        {},
        np.arange(6).reshape(2, 3),
        np.array([[1.0, math.inf], [math.nan, -0.0]]),
        np.array([], dtype=np.int64),
        np.array([True, False]),
        np.array([1.5], dtype=np.float32),
        (Estimate(value=None), Estimate(value=math.inf, std_error=0.5)),
        {"map": 1, "array": 2, "float": 3, "type": 4},
    ],
    ids=lambda v: repr(v)[:30],
)
def test_encode_and_decode(value: Any) -> None:
    assert same(decode(through_json(encode(value))), value)


def test_numpy_scalars_become_plain() -> None:
    assert encode(np.float64(1.5)) == 1.5
    assert type(encode(np.int64(3))) is int
    assert type(encode(np.bool_(True))) is bool
    assert encode(np.float64(math.inf)) == {"float": "inf"}


def test_lists_come_back_as_tuples() -> None:
    assert decode(encode([1, [2]])) == (1, (2,))


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "NoSuchFit", "schema_version": 1},
        {"type": "Estimate", "schema_version": 999, "value": 1.0},
        {"type": "Estimate", "value": 1.0},
        {"schema_version": 1},
        {},
    ],
    ids=["type", "schema", "no-schema", "no-type", "empty"],
)
def test_unreadable_records(payload: dict) -> None:
    with pytest.raises(DataError, match="cannot read"):
        from_dict(payload)


def test_a_record_of_another_kind_is_refused() -> None:
    payload = fit_tail(SAMPLE).to_dict()
    with pytest.raises(DataError, match="holds a TailFit, not a ZipfFit"):
        ZipfFit.from_dict(payload)


def test_unknown_fields_are_ignored() -> None:
    payload = to_dict(Estimate(value=1.0)) | {"added_later": 5}
    assert from_dict(payload) == Estimate(value=1.0)


# --- intervals and summaries -------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_normal_interval(level: float) -> None:
    low, high = Estimate(value=2.0, std_error=0.3).conf_int(level) or (0.0, 0.0)
    assert (low, high) == pytest.approx(stats.norm(2.0, 0.3).interval(level), rel=1e-12)


def test_given_interval_holds_at_95_percent_only() -> None:
    both = Estimate(value=2.0, std_error=0.5, interval=(1.0, 4.0))
    assert both.conf_int() == (1.0, 4.0)
    assert both.conf_int(0.9) == pytest.approx(stats.norm(2.0, 0.5).interval(0.9))
    assert Estimate(value=2.0, interval=(1.0, 4.0)).conf_int(0.9) is None


@pytest.mark.parametrize(
    "estimate", [Estimate(value=None), Estimate(value=1.0), Estimate(value=None, std_error=1.0)]
)
def test_unknown_errors_give_no_interval(estimate: Estimate) -> None:
    assert estimate.conf_int() is None


@results.registered("Toy")
@dataclass(frozen=True, eq=False, kw_only=True)
class Toy(FitResult):
    """A result with one known, one unknown estimate."""

    def estimates(self) -> dict[str, Estimate]:
        return {
            "slope": Estimate(value=1.25, std_error=0.5),
            "level": Estimate(value=None),
        }


def test_summary_says_first_that_it_did_not_converge() -> None:
    doubtful = Toy(n_obs=12_345, n_used=10, converged=False, notes=("mind the gap",))
    lines = doubtful.summary().splitlines()
    assert lines[0] == "Fit: DID NOT CONVERGE"
    assert lines[-1] == "note: mind the gap"
    assert "12,345" in lines[1]
    assert Toy(n_obs=2, n_used=2).summary().splitlines()[0] == "Fit"


def test_summary_rows() -> None:
    lines = Toy(n_obs=2, n_used=2).summary().splitlines()
    assert [line.split()[0] for line in lines[4:]] == ["slope", "level"]
    low, high = stats.norm(1.25, 0.5).interval(0.95)
    assert lines[4].split(None, 1)[1].split() == ["1.25", "0.5", f"[{low:.5g},", f"{high:.5g}]"]
    assert lines[5].split()[1:] == ["-", "-", "-"]
    assert len({len(line) for line in lines[3:6]}) == 1


def test_conf_int_of_a_fit_has_every_parameter() -> None:
    found = Toy(n_obs=2, n_used=2).conf_int(0.9)
    assert found["slope"] == pytest.approx(stats.norm(1.25, 0.5).interval(0.9))
    assert found["level"] is None


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit_tail(SAMPLE).alpha = 3.0  # type: ignore[misc]


# --- numbers for readers and for JSON ------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (1_036_650.0, "1,036,650"),
        (21_220_123, "21,220,123"),
        (9325.5, "9325.5"),
        (-0.756312345, "-0.756312"),
        (1e11, "1e+11"),
        (7.6e290, "7.6e+290"),
        (math.inf, "inf"),
    ],
)
def test_shown(value: float | None, text: str) -> None:
    assert results.shown(value) == text


def test_plain_has_null_for_what_json_lacks() -> None:
    value = {
        "a": math.inf,
        "b": (1.5, math.nan, np.float64(2.0)),
        "c": {"d": np.int64(3)},
        "e": None,
    }
    found = results.plain(value)
    assert found == {"a": None, "b": [1.5, None, 2.0], "c": {"d": 3}, "e": None}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("cls", [GoodnessOfFit, ClusteredGoodnessOfFit, Comparison])
def test_tests_answer_like_estimators(cls: type[results.Result]) -> None:
    result = MAKERS[cls]()
    restored = cls.from_dict(through_json(result.to_dict()))
    assert restored.summary() == result.summary()
    assert restored.conf_int() == result.conf_int()
    assert set(result.conf_int()) == set(result.estimates())
