"""baimo: measure how open AI models and DeFi protocols grow, and test the theories that say why.

>>> import baimo
>>> fit = baimo.fit_tail([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9])
>>> print(fit.summary())  # doctest: +SKIP

Everything listed here is loaded when it is first used. Estimators (`fit_`, `compare_`,
`bootstrap_`) take arrays and return frozen results with `.summary()`, `.estimates()`,
`.conf_int()`, `.to_dict()`; simulators (`simulate_`) take the `Params` that those results hold and
a `numpy.random.Generator`; `load_parameters` reads what a run exported. The packages below say
more:

baimo.estimation    measurement: arrays in, frozen results out
baimo.simulation    theory: parameters in, arrays out
baimo.pipeline      the running system: sources, lake, graph, claims, report, command line
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baimo.estimation.attachment.births import (
        fit_births as fit_births,
        fit_unequal_births as fit_unequal_births,
    )
    from baimo.estimation.attachment.cross_section import (
        fit_simon as fit_simon,
        fit_yule as fit_yule,
    )
    from baimo.estimation.attachment.entry import fit_entry as fit_entry
    from baimo.estimation.attachment.inflow import fit_inflow as fit_inflow
    from baimo.estimation.attachment.kernel import fit_attachment_kernel as fit_attachment_kernel
    from baimo.estimation.attachment.kernel_bins import fit_kernel_bins as fit_kernel_bins
    from baimo.estimation.attachment.noise import fit_noise as fit_noise
    from baimo.estimation.demand.ces import fit_demand as fit_demand
    from baimo.estimation.demand.cost_elasticity import fit_cost_elasticity as fit_cost_elasticity
    from baimo.estimation.demand.counts import fit_demand_tail as fit_demand_tail
    from baimo.estimation.distributions.fit import (
        compare_whole_sample as compare_whole_sample,
        fit_whole_sample as fit_whole_sample,
    )
    from baimo.estimation.errors import (
        ConvergenceError as ConvergenceError,
        ConvergenceWarning as ConvergenceWarning,
        DataError as DataError,
        EstimationError as EstimationError,
    )
    from baimo.estimation.growth.bootstrap import bootstrap_growth as bootstrap_growth
    from baimo.estimation.growth.cce import fit_size_slope_cce as fit_size_slope_cce
    from baimo.estimation.growth.censored import fit_censored_growth as fit_censored_growth
    from baimo.estimation.growth.later_size import fit_later_size as fit_later_size
    from baimo.estimation.growth.loadings import fit_loadings as fit_loadings
    from baimo.estimation.growth.on_size import fit_growth_on_size as fit_growth_on_size
    from baimo.estimation.growth.size_dependence import (
        fit_gibrat as fit_gibrat,
        fit_size_dependence as fit_size_dependence,
    )
    from baimo.estimation.growth.survivors import fit_panel_growth as fit_panel_growth
    from baimo.estimation.growth.two_dates import fit_population_growth as fit_population_growth
    from baimo.estimation.growth.two_windows import fit_two_windows as fit_two_windows
    from baimo.estimation.growth.volatility import fit_growth_paths as fit_growth_paths
    from baimo.estimation.heterogeneity.poisson_rates import fit_poisson_rates as fit_poisson_rates
    from baimo.estimation.predictive.joint import (
        Contrast as Contrast,
        judge_jointly as judge_jointly,
    )
    from baimo.estimation.predictive.replicate import (
        compare_replicates as compare_replicates,
        replicate as replicate,
    )
    from baimo.estimation.results import (
        Estimate as Estimate,
        from_dict as from_dict,
        to_dict as to_dict,
    )
    from baimo.estimation.samples.concentration import (
        measure_concentration as measure_concentration,
    )
    from baimo.estimation.samples.counts import Counts as Counts
    from baimo.estimation.samples.diversity import hill_number as hill_number
    from baimo.estimation.shapes.compare import compare_shapes as compare_shapes
    from baimo.estimation.tails.alternatives import (
        compare_tail as compare_tail,
        judge_support as judge_support,
    )
    from baimo.estimation.tails.bootstrap import (
        bootstrap_tail as bootstrap_tail,
        goodness_of_fit as goodness_of_fit,
    )
    from baimo.estimation.tails.choose_k import choose_k as choose_k
    from baimo.estimation.tails.clustered import (
        clustered_goodness_of_fit as clustered_goodness_of_fit,
    )
    from baimo.estimation.tails.cohorts import fit_cohorts as fit_cohorts
    from baimo.estimation.tails.power_law import (
        TailFit as TailFit,
        fit_tail as fit_tail,
        sample_power_law as sample_power_law,
        sample_tail as sample_tail,
        tail_path as tail_path,
    )
    from baimo.estimation.tails.rank_size import fit_zipf as fit_zipf
    from baimo.estimation.tails.tail_index import (
        fit_hill as fit_hill,
        fit_kernel as fit_kernel,
        fit_moment as fit_moment,
        fit_pickands as fit_pickands,
        index_path as index_path,
        pareto_lognormal_test as pareto_lognormal_test,
        zipf_lm_test as zipf_lm_test,
    )
    from baimo.estimation.tails.thresholds import (
        clustered_spread as clustered_spread,
        near_minimal as near_minimal,
        threshold_range as threshold_range,
    )
    from baimo.pipeline.errors import SourceError as SourceError
    from baimo.pipeline.report.parameters import load_parameters as load_parameters
    from baimo.simulation.attachment.births import (
        BirthParams as BirthParams,
        birth_chances as birth_chances,
        simulate_births as simulate_births,
    )
    from baimo.simulation.attachment.kernel import (
        KernelParams as KernelParams,
        simulate_increments as simulate_increments,
        simulate_kernel as simulate_kernel,
    )
    from baimo.simulation.attachment.simon_yule import (
        SimonParams as SimonParams,
        YuleParams as YuleParams,
        simulate_simon as simulate_simon,
        simulate_yule as simulate_yule,
    )
    from baimo.simulation.demand.ces import (
        DemandParams as DemandParams,
        ces_demand as ces_demand,
        simulate_counts as simulate_counts,
        simulate_demand as simulate_demand,
    )
    from baimo.simulation.errors import ParameterError as ParameterError
    from baimo.simulation.growth.gbm import (
        GrowthParams as GrowthParams,
        simulate_growth as simulate_growth,
    )
    from baimo.simulation.growth.paths import (
        PathParams as PathParams,
        simulate_paths as simulate_paths,
    )
    from baimo.simulation.heterogeneity.poisson_rates import (
        PoissonRateParams as PoissonRateParams,
        simulate_poisson_rates as simulate_poisson_rates,
    )
    from baimo.simulation.heterogeneity.static_sizes import (
        StaticSizeParams as StaticSizeParams,
        simulate_static_counts as simulate_static_counts,
        simulate_static_sizes as simulate_static_sizes,
    )

_WHERE = {
    "estimation.attachment.births": "fit_births fit_unequal_births",
    "estimation.attachment.cross_section": "fit_simon fit_yule",
    "estimation.attachment.entry": "fit_entry",
    "estimation.attachment.inflow": "fit_inflow",
    "estimation.attachment.kernel": "fit_attachment_kernel",
    "estimation.attachment.kernel_bins": "fit_kernel_bins",
    "estimation.attachment.noise": "fit_noise",
    "estimation.demand.ces": "fit_demand",
    "estimation.demand.cost_elasticity": "fit_cost_elasticity",
    "estimation.demand.counts": "fit_demand_tail",
    "estimation.distributions.fit": "compare_whole_sample fit_whole_sample",
    "estimation.errors": "ConvergenceError ConvergenceWarning DataError EstimationError",
    "estimation.growth.bootstrap": "bootstrap_growth",
    "estimation.growth.cce": "fit_size_slope_cce",
    "estimation.growth.later_size": "fit_later_size",
    "estimation.growth.loadings": "fit_loadings",
    "estimation.growth.on_size": "fit_growth_on_size",
    "estimation.growth.size_dependence": "fit_gibrat fit_size_dependence",
    "estimation.growth.survivors": "fit_panel_growth",
    "estimation.growth.censored": "fit_censored_growth",
    "estimation.growth.two_dates": "fit_population_growth",
    "estimation.growth.two_windows": "fit_two_windows",
    "estimation.growth.volatility": "fit_growth_paths",
    "estimation.heterogeneity.poisson_rates": "fit_poisson_rates",
    "estimation.predictive.joint": "Contrast judge_jointly",
    "estimation.predictive.replicate": "compare_replicates replicate",
    "estimation.results": "Estimate from_dict to_dict",
    "estimation.samples.concentration": "measure_concentration",
    "estimation.samples.counts": "Counts",
    "estimation.samples.diversity": "hill_number",
    "estimation.shapes.compare": "compare_shapes",
    "estimation.tails.alternatives": "compare_tail judge_support",
    "estimation.tails.bootstrap": "bootstrap_tail goodness_of_fit",
    "estimation.tails.choose_k": "choose_k",
    "estimation.tails.clustered": "clustered_goodness_of_fit",
    "estimation.tails.cohorts": "fit_cohorts",
    "estimation.tails.power_law": "TailFit fit_tail sample_power_law sample_tail tail_path",
    "estimation.tails.rank_size": "fit_zipf",
    "estimation.tails.tail_index": "fit_hill fit_kernel fit_moment "
    "fit_pickands index_path pareto_lognormal_test zipf_lm_test",
    "estimation.tails.thresholds": "clustered_spread near_minimal threshold_range",
    "pipeline.errors": "SourceError",
    "pipeline.report.parameters": "load_parameters",
    "simulation.attachment.births": "BirthParams birth_chances simulate_births",
    "simulation.attachment.kernel": "KernelParams simulate_increments simulate_kernel",
    "simulation.attachment.simon_yule": "SimonParams YuleParams simulate_simon simulate_yule",
    "simulation.demand.ces": "DemandParams ces_demand simulate_counts simulate_demand",
    "simulation.errors": "ParameterError",
    "simulation.growth.gbm": "GrowthParams simulate_growth",
    "simulation.growth.paths": "PathParams simulate_paths",
    "simulation.heterogeneity.poisson_rates": "PoissonRateParams simulate_poisson_rates",
    "simulation.heterogeneity.static_sizes": "StaticSizeParams "
    "simulate_static_counts simulate_static_sizes",
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names.split()}
__all__ = ["__version__", *sorted(_MODULE)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("baimo")
    if name in _MODULE:
        return getattr(import_module(f"baimo.{_MODULE[name]}"), name)
    raise AttributeError(f"module 'baimo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
