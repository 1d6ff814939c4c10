"""The report's sentences and table cells, made from figures only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from baimo.estimation.tails.alternatives import preferred_model
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.kernels import FIRST_DAYS
from baimo.pipeline.analysis.populations import POPULATIONS, CompanionFits
from baimo.pipeline.analysis.sizes import JudgedTail, SizeFits
from baimo.pipeline.claims.claim import Kind, TestedClaim, Verdict
from baimo.pipeline.claims.robustness import growth_of_downloads, other_tvl
from baimo.pipeline.datasets.load import Provenance
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GrowthCalibration
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.text import (
    cutoff_title,
    items_words,
    joined,
    short_outcome_words,
    threshold_words,
)
from baimo.pipeline.variables import DOWNLOADS, TVL, VARIABLES, Variable

TABLE_HEADER = (
    "measure",
    "N",
    "x_min",
    "n_tail",
    "zeta",
    "95 %",
    "slope",
    "95 %",
    "model",
    "predicted",
    "simulated",
    "verdict",
)


TAIL_HEADER = (
    "tail of",
    "zeta",
    "p",
    "p indep.",
    "support",
    "lowest AIC",
    "Hill",
    "corrected",
    "moment",
    "kernel",
    "rank-1/2",
    "UMPU p",
    "UMPU indep.",
    "open (indep.)",
)


def number(value: float | None, digits: int = 3) -> str:
    """Format a number of ordinary size, '-' when unknown."""
    return "-" if value is None else f"{value:.{digits}f}"


def p_value(value: float | None) -> str:
    """Format a p-value: three decimals, never a bare zero."""
    return "-" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def size(value: float) -> str:
    """Format a size: thousands separated, no decimals."""
    return f"{value:,.0f}"


def interval(low: float | None, high: float | None) -> str:
    """Format a confidence interval."""
    return "-" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def table_rows(comparison: pl.DataFrame) -> list[tuple[str, ...]]:
    """Return the headline table as text cells; a size is named on its first row only."""
    rows: list[tuple[str, ...]] = []
    last = ""
    for r in comparison.iter_rows(named=True):
        first = (
            VARIABLES[r["measure"]].title,
            size(r["n_obs"]),
            size(r["x_min"]),
            size(r["n_tail"]),
            number(r["zeta"]),
            interval(r["zeta_low"], r["zeta_high"]),
            number(r["slope"]) + ("*" if r["measure"] == TVL.name else ""),
            interval(r["slope_low"], r["slope_high"]),
        )
        model = (
            r["model"],
            number(r["predicted_zeta"]),
            number(r["simulated_zeta"]),
            short_outcome_words(r["outcome"], r["reasons"]),
        )
        rows.append((*(first if r["measure"] != last else ("",) * len(first)), *model))
        last = r["measure"]
    return rows


def mechanism_rows(comparison: pl.DataFrame) -> list[tuple[str, ...]]:
    """Return size, model, verdict and what it rests on as cells."""
    return [
        (VARIABLES[r["measure"]].title, r["model"], r["verdict"], r["evidence"])
        for r in comparison.iter_rows(named=True)
    ]


def tail_rows(
    fits: Mapping[str, SizeFits], measures: Mapping[str, Variable] = VARIABLES
) -> list[tuple[str, ...]]:
    """Return verdict and tail index of every size as cells.

    Below each stands the same without its largest item, and without the owner who moves it most.
    """
    rows: list[tuple[str, ...]] = []
    for name, fit in fits.items():
        label = measures[name].headline_cutoff
        found = {n: i.zeta for n, i in fit.index.get(label, {}).items() if i.zeta is not None}
        if label in fit.zipf:
            found["slope"] = fit.zipf[label].slope
        path, trimmed = fit.pareto_lognormal, fit.judged_without_largest
        where = "-" if path.lowest_k is None else f"top {path.lowest_k:,}"
        rows.append(
            (
                measures[name].title,
                *_judged_cells(fit.judged),
                *_index_cells(found),
                *_umpu_cells(fit.judged),
                where,
            )
        )
        others = _index_cells(fit.without_item.get(label, {}))
        cells = (*_judged_cells(trimmed), *others, *_umpu_cells(trimmed), "")
        rows.append(("  without the largest", *cells))
        if (rest := fit.tail_without_owner) is not None:
            others = _index_cells(fit.without_owner.get(label, {}))
            ps = (p_value(rest.umpu_p), p_value(rest.umpu_p_independent))
            cells = (p_value(rest.p_value), p_value(rest.p_independent), "", "", *others, *ps, "")
            rows.append(("  without one owner", number(rest.zeta), *cells))
    return rows


def _index_cells(found: Mapping[str, float]) -> tuple[str, ...]:
    """Return zeta by each method, and by the rank-size slope."""
    methods = ("hill", "hill_corrected", "moment", "kernel")
    slope = found.get("slope")
    return (*(number(found.get(m)) for m in methods), number(None if slope is None else -slope))


def undated(cohorts: Mapping[str, CohortsFit], fits: Mapping[str, SizeFits]) -> str:
    """Say how much of each tail the cohorts leave out, for want of an age."""
    parts = []
    for name, fit in cohorts.items():
        tail, dated = fits[name].tail, int(fit.n_tail.sum())
        parts.append(
            f"{tail.n_tail - dated:,} of the {tail.n_tail:,} of the tail of {name} (zeta with them "
            f"{tail.zeta:.2f}, without {fit.pooled_zeta:.2f})"
        )
    return (
        "models from before 2 March 2022, whose age is not known, are in none: "
        + ", ".join(parts)
        + "."
    )


def kernel_text(found: KernelCalibration | None) -> str:
    """Say what the kernel was measured on."""
    if found is None or found.kernel is None:
        return ""
    who = "All models of known age" if found.whole else _who_else(found)
    return (
        f"{who}. {found.kernel.n_used:,} models, {found.before_on} to {found.after_on}. Attachment "
        "without ageing has theta 1, phi 0; constant rates that differ from birth have theta near "
        "1, phi near -1: they need no attachment."
    )


def _who_else(found: KernelCalibration) -> str:
    """Say of whom a kernel is that is not of the whole Hub."""
    other = "two days of the lake (baimo run --source lake) tell it of all"
    if found.median_age_days > FIRST_DAYS:
        return f"Not the models of the whole Hub of the day: {other}"
    return (
        f"Not the models of the whole Hub of the day, but newly made ones in their first days "
        f"(median age {found.median_age_days:.1f} days, {found.share_without:.0%} without a like): "
        f"{other}"
    )


def populations_text(populations: CompanionFits) -> str:
    """Say when the other populations were taken, and what equal cut-offs and two windows show."""
    dates = ", ".join(
        f"{POPULATIONS[name].title} {day}"
        for name, day in populations.taken_on.items()
        if name in populations.sizes
    )
    found = joined([f"Taken on: {dates}", other_tvl(populations), growth_of_downloads(populations)])
    return joined([found, *populations.notes]) + "."


def _judged_cells(judged: JudgedTail) -> tuple[str, ...]:
    return (
        number(judged.tail.zeta),
        p_value(judged.goodness.p_value if judged.clustered_p is None else judged.clustered_p),
        "-" if judged.clustered_p is None else p_value(judged.goodness.p_value),
        judged.support.level,
        preferred_model(judged.comparisons),
    )


def _umpu_cells(judged: JudgedTail) -> tuple[str, str]:
    if judged.umpu is None:
        return "-", "-"
    return p_value(judged.umpu.p_value), p_value(judged.umpu.p_independent)


def whole_rows(fits: SizeFits) -> list[tuple[str, ...]]:
    """Return the models of the whole sample as cells, the lowest BIC first."""
    best = fits.whole.best.bic
    return [
        (
            m.model.replace("_", " "),
            f"{m.bic - best:,.0f}",
            number(m.ks_distance, 4),
            "-" if m.expected_zeros is None else f"{m.expected_zeros:.1%}",
            number(m.tail_exponent),
            "; ".join(m.notes),
        )
        for m in fits.whole.fits
    ]


_PLURAL = {
    Verdict.HOLDS: "hold",
    Verdict.PART: "hold in part",
    Verdict.FAILS: "fail",
    Verdict.UNTOLD: "cannot be told",
}


def lead(claims: Sequence[TestedClaim]) -> str:
    """Say how the claims fared: those that are measured, and those of algebra."""
    return " ".join(
        f"Of {len(of)} claims {words}, {_fared(of)}."
        for kind, words in ((Kind.MEASURED, "tested on data"), (Kind.ALGEBRA, "that are algebra"))
        if (of := [c for c in claims if c.kind is kind])
    )


def _fared(claims: Sequence[TestedClaim]) -> str:
    counted = [(v, sum(c.verdict is v for c in claims)) for v in Verdict]
    return ", ".join(f"{n} {v if n == 1 else _PLURAL[v]}" for v, n in counted if n)


def section_text(measure: Variable, fits: SizeFits) -> str:
    """Describe one size in plain words."""
    tail, held = fits.tail, fits.concentration
    ci = tail.conf_int()["zeta"]
    zeros = f", {tail.n_zero / tail.n_obs:.1%} of them zero" if tail.n_zero else ""
    clustered = " (author-clustered)" if tail.design_effect else ""
    trimmed = fits.tail_without_largest
    return (
        f"{tail.n_obs:,} items{zeros}. The power law fits best from {size(tail.x_min)} "
        f"{measure.unit} on: {tail.n_tail:,} items ({tail.n_tail / tail.n_obs:.2%}) on "
        f"{tail.n_distinct:,} distinct values, "
        f"zeta {tail.zeta:.3f} {interval(*ci) if ci else ''}{clustered}. "
        f"{_support_text(fits)} {_thresholds_text(fits)} The largest 1 % hold "
        f"{held.top_1pct:.1%} of the total, the single largest {held.largest_share:.1%}; without "
        f"it zeta is {trimmed.zeta:.3f} and the top 1 % hold "
        f"{fits.concentration_without_largest.top_1pct:.1%}."
    )


def _support_text(fits: SizeFits) -> str:
    judged, trimmed = fits.judged, fits.judged_without_largest
    p = judged.goodness
    alone = f"p {p_value(p.p_value)} from {p.n_replications:,} replications"
    if judged.clustered_p is not None:
        alone = (
            f"p {p_value(judged.clustered_p)} with the items of one owner as a cluster, "
            f"{p_value(p.p_value)} if every item were independent"
        )
    return (
        f"Support for the power law: {judged.support.level} ({alone}); without the largest item: "
        f"{trimmed.support.level}."
    )


def _thresholds_text(fits: SizeFits) -> str:
    taken = items_words(fits.threshold_spread is not None)
    return (
        "Other x_min fit about as well (their distance exceeds the smallest by no more than its "
        f"sampling error, {taken}): {threshold_words(fits.thresholds)}."
    )


def rival_rows(fits: SizeFits) -> list[tuple[str, ...]]:
    """Return a row for each other law: likelihood ratio, Vuong's z, p-values, AIC, verdict."""
    return [
        (
            c.alternative.replace("_", " "),
            number(c.log_likelihood_ratio, 2),
            number(c.vuong, 2),
            p_value(c.p_value),
            p_value(c.p_variance),
            p_value(c.p_nested),
            number(c.aic_difference, 1),
            c.verdict + (" (at its boundary)" if c.at_boundary else ""),
        )
        for c in fits.comparisons
    ]


def slope_rows(fits: SizeFits) -> list[tuple[str, ...]]:
    """Return the rank-size regressions as cells, also without one owner and without one item."""
    rows: list[tuple[str, ...]] = []
    for label, line in fits.zipf.items():
        if not fits.tail.n_zero and label.endswith("_all"):
            continue  # the same items as `_positive`
        ci = line.conf_int()["slope"]
        rows.append(
            (
                cutoff_title(label),
                f"{line.k:,}",
                size(line.threshold),
                number(line.slope),
                interval(*ci) if ci else "-",
                number(fits.without_owner.get(label, {}).get("slope")),
                number(fits.without_item.get(label, {}).get("slope")),
            )
        )
    return rows


def calibration_rows(day: Day) -> list[tuple[str, ...]]:
    """Return the calibrated parameters as cells: model, parameter, value, interval, unit."""
    rows: list[tuple[str, ...]] = []
    for calibration in CALIBRATIONS:
        for title, estimates in calibration.estimates(day.read(calibration.stored)):
            for i, (name, e) in enumerate(estimates.items()):
                ci = e.conf_int()
                shown = "none" if e.value is None else f"{e.value:.5g}"
                bounds = f"[{ci[0]:.5g}, {ci[1]:.5g}]" if ci else "-"
                unit = "" if e.unit == "1" else e.unit
                rows.append((title if i == 0 else "", name.replace("_", " "), shown, bounds, unit))
    return rows


def totals_rows(totals: pl.DataFrame) -> list[tuple[str, ...]]:
    """Return models, downloads and likes by licence family as cells."""
    families = totals.filter(pl.col("kind") == "licence_family").sort("n_models", descending=True)
    return [
        (r["name"], f"{r['n_models']:,}", f"{r['downloads']:,}", f"{r['likes']:,}")
        for r in families.iter_rows(named=True)
    ]


def distrust(
    fits: dict[str, SizeFits], growth: GrowthCalibration, provenance: Provenance
) -> list[str]:
    """Say what a careful reader should not take on trust."""
    downloads = fits[DOWNLOADS.name]
    hhi = downloads.concentration.hhi
    hhi_trimmed = downloads.concentration_without_largest.hhi
    lines = [
        "A tail exponent alone tells no mechanism apart: several models can be tuned to any zeta. "
        "Zeros, the top 1 %, the size of the tail and its age decide with it; how single items "
        "grow (the kernel of attachment) needs two days.",
        f"One model holds {downloads.concentration.largest_share:.0%} of all downloads; without "
        f"it the Herfindahl index falls from {hhi:.3f} to {hhi_trimmed:.3f}.",
        "Downloads are a rolling 30-day flow of file requests, machines included; a model without "
        "the files that are counted shows zero whatever its use.",
        "Creation dates before 2 March 2022 are floored at that day: those ages are left out.",
        "One author's models are not independent: intervals for the Hub are clustered by author "
        + (
            f"(variance times {downloads.tail.design_effect:.0f} for downloads at x_min)."
            if downloads.tail.design_effect
            else "where authors are known."
        ),
        "TVL in dollars moves with token prices and is not netted across protocols.",
        "The weekly TVL panel holds winners only; it shows noise and its common factor, no drift. "
        "The population drift is that of protocols alive on both dates, and a renamed protocol "
        "counts as an exit.",
        f"{growth.n_age_by_adapter + growth.n_age_assumed} of {growth.ages.size} protocols have no "
        f"listing date: for {growth.n_age_by_adapter} that of their adapter's first commit stands "
        f"in; {growth.n_age_assumed} got the middle of the time before such dates began.",
        "The x_min of a fit is chosen by the data; intervals hold it fixed. Where owners are "
        "not known, tests between the power law and its rivals take items as independent.",
        "The growth of protocols is that of the years after the TVL snapshot, applied to the years "
        "before it; entrants' sizes are taken as not growing. The lognormal mixture misses the "
        f"observed TVL by a Kolmogorov-Smirnov distance of {growth.ks_growth:.3f}, the entry sizes "
        f"alone, as if nothing had grown, by {growth.ks_entry_only:.3f}.",
    ]
    lines += [note for note in provenance["notes"] if note]
    return lines
