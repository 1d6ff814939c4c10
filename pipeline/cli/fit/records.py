"""Results as flat records of plain values by snake_case name: what `baimo fit --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from baimo.estimation.distributions.fit import WholeSampleComparison
from baimo.estimation.results import Result
from baimo.estimation.tails.alternatives import Comparison, Support
from baimo.estimation.tails.bootstrap import GoodnessOfFit
from baimo.estimation.tails.clustered import ClusteredGoodnessOfFit
from baimo.estimation.tails.power_law import TailFit
from baimo.estimation.tails.rank_size import ZipfFit
from baimo.estimation.tails.tail_index import IndexFit, IndexTest
from baimo.estimation.tails.thresholds import ThresholdRange

Record = dict[str, Any]
MODELS = {"SimonFit": "simon_"}  # results whose parameters bear the model's name too


def tail_record(found: TailFit) -> Record:
    """Return a tail fit: ends, exponents with intervals, distance, items."""
    low, high = found.interval()
    record: Record = {
        "x_min": found.x_min,
        "alpha": found.alpha,
        "alpha_interval": (low, high),
        "zeta": found.zeta,
        "zeta_interval": (low - 1.0, high - 1.0),
        **_errors(found),
        "ks": found.ks,
        "n_tail": found.n_tail,
        "n_distinct": found.n_distinct,
        "n_obs": found.n_obs,
        "n_zero": found.n_zero,
        "discrete": found.discrete,
        "log_likelihood": found.log_likelihood,
    }
    if found.x_max is not None:
        record["x_max"] = found.x_max
    if found.n_clusters is not None:
        record["effective_clusters"] = found.effective_clusters
        record["n_clusters"] = found.n_clusters
    return record


def near_minimal_record(found: ThresholdRange) -> Record:
    """Return from where to where x_min, n_tail and zeta go where the KS distance is near-minimal.

    Values of estimates, not intervals.
    """
    return {
        "zeta": (found.zeta_lowest, found.zeta_highest),
        "x_min": (found.x_min_lowest, found.x_min_highest),
        "n_tail": (found.n_tail_lowest, found.n_tail_highest),
        "share": found.share,
    }


def _errors(found: TailFit | ZipfFit | IndexFit) -> Record:
    """Return the error that the interval has; beside one of clusters that of independent items."""
    record: Record = {"std_error": found.std_error_clustered}
    if found.design_effect is not None:
        record["std_error_naive"] = found.std_error
        record["design_effect"] = found.design_effect
    if not isinstance(found, TailFit) and found.n_clusters is not None:
        record["effective_clusters"] = found.effective_clusters
        record["n_clusters"] = found.n_clusters
    return record


def p_record(goodness: GoodnessOfFit, clustered: ClusteredGoodnessOfFit | None = None) -> Record:
    """Return p with its Monte Carlo error, and whether the power law is rejected: null if open.

    That which knows clusters comes first, and the other is named independent.
    """
    alone = _p_record(goodness)
    if clustered is None:
        return alone
    return {
        **_p_record(clustered),
        "p_value_conditional_on_x_min": clustered.x_min,
        "p_value_independent": alone["p_value"],
        "rejected_independent": alone["rejected"],
    }


def _p_record(goodness: GoodnessOfFit) -> Record:
    return {
        "p_value": goodness.p_value,
        "p_value_mc_error": goodness.mc_error,
        "p_value_mc_interval": goodness.monte_carlo_interval(),
        "n_replications": goodness.n_replications,
        "stopped_early": goodness.stopped_early,
        "rejected": goodness.rejected if goodness.decided else None,
    }


def zipf_record(line: ZipfFit) -> Record:
    """Return a rank-size regression."""
    return {
        "slope": line.slope,
        "slope_interval": line.conf_int()["slope"],
        "zeta": -line.slope,
        **_errors(line),
        "k": line.k,
        "threshold": line.threshold,
        "r_squared": line.r_squared,
        "n_obs": line.n_obs,
    }


def index_record(found: IndexFit | ZipfFit) -> Record:
    """Return one estimate of the tail index."""
    return {
        "k": found.k,
        "threshold": found.threshold,
        "zeta": -found.slope if isinstance(found, ZipfFit) else found.zeta,
        **_errors(found),
        "zeta_interval": found.conf_int()["zeta"],
    }


def index_test_record(found: IndexTest) -> Record:
    """Return one test on the largest items."""
    record: Record = {
        "k": found.k,
        "threshold": found.threshold,
        "statistic": found.statistic,
        "p_value": found.p_value,
    }
    if found.n_clusters is not None:
        record["p_value_independent"] = found.p_independent
        record["effective_clusters"] = found.effective_clusters
        record["n_clusters"] = found.n_clusters
    return record


def support_record(support: Support, rivals: Sequence[Comparison]) -> Record:
    """Return the verdict and, by name, the rivals it rests on."""
    return {
        "support": {"level": support.level, "reason": support.reason},
        "rivals": {c.alternative: vars(c) | {"prefers": c.verdict} for c in rivals},
    }


def exported_name(prefix: str, result: Result, name: str) -> str:
    """Return the name under which a parameter of a mechanism is exported: pa_theta."""
    return f"{prefix}_{MODELS.get(type(result).__name__, '')}{name}"


def model_record(prefix: str, results: Sequence[Result]) -> Record:
    """Return the estimates of a mechanism, each with its error and 95 % interval."""
    record: Record = {
        "n_obs": getattr(results[0], "n_obs", None),
        "n_used": getattr(results[0], "n_used", None),
        "converged": all(getattr(r, "converged", True) for r in results),
    }
    for result in results:
        for name, e in result.estimates().items():
            exported = exported_name(prefix, result, name)
            if exported in record:
                continue  # two results speak of one parameter: the first has it
            record[exported] = e.value
            record[f"{exported}_std_error"] = e.std_error
            record[f"{exported}_interval"] = e.conf_int()
    return record


def whole_record(models: WholeSampleComparison) -> Mapping[str, Record]:
    """Return the models of the whole sample by name, lowest BIC first."""
    return {
        m.model: {
            "parameters": m.parameters,
            "std_errors": m.std_errors,
            "log_likelihood": m.log_likelihood,
            "aic": m.aic,
            "bic": m.bic,
            "ks": m.ks_distance,
            "converged": m.converged,
            "verdict": models.verdict(m),
            "notes": list(m.notes),
        }
        for m in models.fits
    }
