"""Estimated parameters as JSON and CSV, under names that say model and measure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.results import Estimate, FitResult
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.lake.atomic import write_atomically, write_text
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.gbm import GrowthCalibration
from baimo.pipeline.schema.results import PARAMETERS
from baimo.pipeline.variables import MEASURES, SHARES

SCHEMA_VERSION = 1
DIGITS = 10  # what every machine and thread count agrees on

Row = dict[str, Any]


def collect_parameters(
    fits: dict[str, SizeFits],
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
    growth: GrowthCalibration,
    comparison: pl.DataFrame,
    cohorts: Mapping[str, CohortsFit],
    rates: Mapping[str, PoissonRatesFit],
    kernel: KernelCalibration | None,
    beside: CompanionFits,
) -> pl.DataFrame:
    """Return every exported parameter, one row each; unknown is null."""
    rows: list[Row] = []
    for name, fit in fits.items():
        rows += _tail_rows(MEASURES[name].prefix, fit)
        rows += _verdict_rows(MEASURES[name].prefix, fit)
        rows += _zipf_rows(MEASURES[name].prefix, fit)
        rows += _index_rows(MEASURES[name].prefix, fit)
        rows += _shape_rows(MEASURES[name].prefix, fit)
    rows += _attachment_rows(attachment)
    for name, demand_fit in demand.items():
        rows += _demand_rows(name, demand_fit)
    rows += _growth_rows(growth)
    rows += _birth_rows(cohorts, rates)
    rows += _kernel_rows(kernel)
    rows += _beside_rows(beside)
    rows += _simulated_rows(comparison, fits)
    return pl.DataFrame(rows, schema=PARAMETERS.schema).with_columns(
        pl.col(pl.Float64).round_sig_figs(DIGITS)
    )


def export_parameters(
    out: Path, parameters: pl.DataFrame, provenance: dict[str, Any]
) -> tuple[Path, Path]:
    """Write parameters.json and parameters.csv and return their paths."""
    stated = {
        "baimo": version("baimo"),
        "source": provenance["source"],
        "day": provenance["day"],
        "seed": provenance["seed"],
        "n_replications": provenance["n_replications"],
        "inputs": [dict(i) for i in provenance["inputs"]],
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "provenance": stated,
        "parameters": parameters.to_dicts(),
    }
    as_json, as_csv = out / "parameters.json", out / "parameters.csv"
    write_text(as_json, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_atomically(as_csv, lambda path: parameters.write_csv(path))
    return as_json, as_csv


def _row(name: str, e: Estimate, fit: FitResult, method: str, equation: str, note: str = "") -> Row:
    interval = e.conf_int() or (None, None)
    return {
        "name": name,
        "value": e.value,
        "std_error": e.std_error,
        "ci_low": interval[0],
        "ci_high": interval[1],
        "unit": e.unit,
        "method": method,
        "equation": equation,
        "n_obs": fit.n_obs,
        "n_used": fit.n_used,
        "converged": fit.converged,
        "notes": "; ".join(part for part in (note, *fit.notes) if part),
    }


def _clustered(effect: float | None) -> str:
    if effect is None:
        return "items taken as independent"
    return f"author-clustered, design effect {effect:.3g}"


def _tail_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    kind = "discrete" if fit.tail.discrete else "continuous"
    method = f"CSN maximum likelihood, {kind}"
    for name, e in fit.tail.estimates().items():
        note = _clustered(fit.tail.design_effect) if e.std_error is not None else ""
        yield _row(f"tail_{prefix}_{name}", e, fit.tail, method, "18-19, 39", note)
    trimmed = fit.tail_without_largest
    yield _row(
        f"tail_{prefix}_zeta_without_largest",
        trimmed.estimates()["zeta"],
        trimmed,
        method,
        "18-19, 39",
        f"the largest item left out; {_clustered(trimmed.design_effect)}",
    )


def _verdict_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    views = (("", fit.judged), ("_without_largest", fit.judged_without_largest))
    for suffix, judged in views:
        goodness = judged.goodness
        p = Estimate(value=goodness.p_value, std_error=goodness.mc_error)
        method = f"CSN bootstrap, {goodness.n_replications} replications; error is Monte Carlo"
        note = f"support: {judged.support.level} ({judged.support.reason})"
        yield _row(f"tail_{prefix}_p_value{suffix}", p, judged.tail, method, "18-19, 39", note) | {
            "ci_low": None,
            "ci_high": None,
        }


def _index_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    for label, methods in fit.index.items():
        for name, found in methods.items():
            note = f"k = {found.k}, threshold {found.threshold:g}"
            yield _row(
                f"index_{prefix}_{name}_{label}",
                found.estimates()["zeta"],
                found,
                f"tail index, {name.replace('_', ' ')}",
                "18-19, 39",
                f"{note}; {_clustered(found.design_effect)}",
            )
    for model in fit.whole.fits:
        for name, e in model.estimates().items():
            yield _row(
                f"whole_{prefix}_{model.model}_{name}",
                e,
                model,
                "maximum likelihood, all items",
                "",
            )


def _zipf_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    labels = [f"{s}_{base}" for s in SHARES for base in ("all", "positive")] + ["top100"]
    for label in labels:
        name = f"zipf_{prefix}_logrank_slope_{label}"
        line = fit.zipf.get(label)
        method = "OLS of log(rank - 1/2) on log(size), Gabaix-Ibragimov error"
        if line is None:
            note = "not defined here: the cut-off reaches the zeros or holds under 20 items"
            empty = Estimate(value=None)
            row = _row(name, empty, fit.tail, method, "section 1", note)
            yield {**row, "n_used": None, "converged": None, "notes": note}
        else:
            note = f"k = {line.k}, threshold {line.threshold:g}; {_clustered(line.design_effect)}"
            yield _row(name, line.estimates()["slope"], line, method, "section 1", note)


def _shape_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    held = fit.concentration
    values = {
        "share_zero": held.share_zero,
        "gini": held.gini,
        "top1pct_share": held.top_1pct,
        "hhi": held.hhi,
        "largest_share": held.largest_share,
    }
    for name, value in values.items():
        row = _row(f"shape_{prefix}_{name}", Estimate(value=value), fit.tail, "all items", "")
        yield row | {"n_used": fit.tail.n_obs, "notes": ""}
    for rival in fit.comparisons:
        name = f"tail_{prefix}_vuong_{rival.alternative}"
        method = "Vuong statistic, power law against rival; positive favours the power law"
        note = "items taken as independent" + ("; rival at its boundary" * rival.at_boundary)
        yield _row(name, Estimate(value=rival.vuong), fit.tail, method, "18-19, 39", note)


def _simulated_rows(comparison: pl.DataFrame, fits: dict[str, SizeFits]) -> Iterator[Row]:
    for r in comparison.drop_nulls("simulated_zeta").iter_rows(named=True):
        name = (
            f"simulated_{r['model'].lower().replace(' ', '_')}_{MEASURES[r['measure']].prefix}_zeta"
        )
        spread = "-" if r["simulated_sd"] is None else f"{r['simulated_sd']:.3g}"
        note = f"mean over refitted samples, spread of one {spread}; {r['verdict']}"
        row = _row(
            name,
            Estimate(value=r["simulated_zeta"]),
            fits[r["measure"]].tail,
            "simulated at full size, refitted by the code of the data",
            "",
            note,
        )
        yield row | {"n_used": None, "notes": note}


def _attachment_rows(fit: AttachmentCalibration) -> Iterator[Row]:
    yield _row(
        "pa_entry_growth_plus_exit",
        fit.entry.estimates()["entry_growth_plus_exit"],
        fit.entry,
        "truncated-exponential likelihood of ages, floor day left out",
        "19 with entry",
        _clustered(fit.entry.design_effect),
    )
    for name, e in fit.yule_likes.estimates().items():
        yield _row(
            f"pa_yule_likes_{name}", e, fit.yule_likes, "NB likelihood of likes over ages", "19"
        )
    for measure, simon in (("downloads", fit.simon_downloads), ("likes", fit.simon_likes)):
        for name, e in simon.estimates().items():
            yield _row(f"pa_simon_{measure}_{name}", e, simon, "items over total", "19 with entry")


def _demand_rows(measure: str, fit: DemandFit) -> Iterator[Row]:
    rows, central = fit.estimates(), fit.params()
    method = "alpha = zeta rho/(1 - rho) from the CSN tail"
    prefix = "ces_" if measure == "downloads" else f"ces_{measure}_"
    for name, e in rows.items():
        note = ""
        if fit.rho is None and name in ("alpha", "rho"):  # not measured: the central case
            e = (
                rows[f"alpha_rho_{central.rho:g}"]
                if name == "alpha"
                else Estimate(value=central.rho)
            )
            note = f"rho = {central.rho:g} assumed"
        yield _row(f"{prefix}{name}", e, fit, method, "22, 24 corrected", note)


def _birth_rows(
    cohorts: Mapping[str, CohortsFit], rates: Mapping[str, PoissonRatesFit]
) -> Iterator[Row]:
    for measure, cohort_fit in cohorts.items():
        note = "; ".join(
            ("disjoint cohorts above the x_min of all, young to old", *cohort_fit.notes)
        )
        for name, e in cohort_fit.estimates().items():
            row = _row(f"cohorts_hub_{measure}_{name}", e, cohort_fit, "CSN by age cohort", "")
            yield row | {"notes": note}
    for measure, rate_fit in rates.items():
        for name, e in rate_fit.estimates().items():
            method = "Poisson counts at lognormal rates, maximum likelihood over ages"
            yield _row(f"fitness_hub_{measure}_{name}", e, rate_fit, method, "")


def _kernel_rows(found: KernelCalibration | None) -> Iterator[Row]:
    if found is None:
        return
    who = "the whole Hub" if found.whole else "not the whole Hub of the day"
    note = f"{found.before_on} to {found.after_on}, {who}"
    method = "Poisson pseudo maximum likelihood of gains, author-clustered (CR3, Student's t)"
    if found.kernel is not None:
        for name, e in found.kernel.estimates().items():
            yield _row(f"pa_{name}", e, found.kernel, method, "19 with entry", note)
    if found.noise is not None:
        e = found.noise.estimates()["psi"]
        yield _row("pa_psi", e, found.noise, "log |residual| on log likes", "19", note)
    if found.whole:  # of others the days between are not the time that passed
        for name, e in found.inflow.estimates().items():
            yield _row(f"pa_{name}", e, found.inflow, "gains and entry of two days", "19", note)


def _beside_rows(beside: CompanionFits) -> Iterator[Row]:
    for name, fit in beside.sizes.items():
        for row in (*_tail_rows(name, fit), *_verdict_rows(name, fit), *_zipf_rows(name, fit)):
            taken = f"taken on {beside.taken_on[name]}"
            yield row | {"notes": "; ".join(part for part in (taken, row["notes"]) if part)}
    for date, tails in beside.equal_cutoffs.items():
        for tail in tails:
            e = tail.estimates()["zeta"]
            name = f"tail_{date}_zeta_from_{tail.x_min:.2g}".replace("+", "")
            yield _row(name, e, tail, "CSN maximum likelihood, x_min given", "39")
    if beside.waves is not None:
        method = f"two windows of 30 days, {beside.taken_on['waves']}"
        for name, e in beside.waves.estimates().items():
            yield _row(f"waves_hub_downloads_{name}", e, beside.waves, method, "")


def _growth_rows(fit: GrowthCalibration) -> Iterator[Row]:
    used = f"above {fit.alive.exit_threshold:,.0f} USD on both dates; what the simulations use"
    for name in ("mu", "sigma", "log_drift", "size_slope"):
        e = fit.alive.estimates()[name]
        yield _row(f"gbm_{name}", e, fit.alive, "matched population, two dates", "36", used)
    names = {
        "mu": "gbm_mu_all_positive",
        "sigma": "gbm_sigma_all_positive",
        "sigma_robust": "gbm_sigma_robust_all_positive",
        "log_drift": "gbm_log_drift_all_positive",
        "log_drift_median": "gbm_log_drift_median_all_positive",
        "size_slope": "gbm_size_slope_all_positive",
        "exit_rate": "gbm_exit_rate",
    }
    for name, e in fit.population.estimates().items():
        row = _row(names[name], e, fit.population, "matched population, two dates", "36-38")
        if name == "exit_rate":
            n = fit.population.n_at_risk
            row |= {"n_obs": n, "n_used": n, "notes": fit.population.notes[-1]}
        yield row
    for name, e in fit.panel.estimates().items():
        yield _row(
            "gbm_sigma_idiosyncratic" if name == "sigma_idiosyncratic" else f"gbm_panel_{name}",
            e,
            fit.panel,
            "weekly panel of survivors",
            "36",
        )
    if fit.entry is not None:
        e = fit.entry.estimates()["entry_growth"]
        yield _row("gbm_entry_growth", e, fit.entry, "Poisson trend of listings", "39")
    for name, ks in (("growth", fit.ks_growth), ("entry_only", fit.ks_entry_only)):
        row = _row(
            f"gbm_ks_{name}",
            Estimate(value=ks),
            fit.alive,
            "distance of the positive TVL from the lognormal mixture, or from entry sizes alone",
            "39",
        )
        yield row | {"n_obs": fit.ages.size, "n_used": fit.ages.size, "notes": ""}
    yield _row(
        "gbm_zeta_asymptotic",
        fit.zeta,
        fit.alive,
        "root of the corrected eq 39, delta method",
        "39 corrected",
        "holds only for a long history; entrants' sizes taken as not growing",
    )
    if (drawn := fit.zeta_bootstrap) is not None:
        yield _row(
            "gbm_zeta_asymptotic_bootstrap",
            Estimate(value=fit.zeta.value, interval=(drawn.low, drawn.high)),
            fit.alive,
            "the same, protocols resampled by category",
            "39 corrected",
            f"of resamples with a tail; {drawn.without_tail:.0%} have none: turnover of ages "
            "not above zero",
        )
