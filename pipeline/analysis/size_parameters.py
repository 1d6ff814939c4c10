"""What is measured on one size, as rows of the exported parameters."""

from __future__ import annotations

from collections.abc import Iterator

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.sizes import JudgedTail, SizeFits
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.text import clustered_words, items_words, joined, threshold_words
from baimo.pipeline.variables import SHARES


def size_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return everything that is exported of one size."""
    for rows in (tail_rows, verdict_rows, zipf_rows, index_rows, shape_rows):
        yield from rows(prefix, fit)


def tail_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return the CSN fit, zeta without the largest item, and zeta over near-minimal x_min."""
    kind = "discrete" if fit.tail.discrete else "continuous"
    method = f"CSN maximum likelihood, {kind}"
    for name, e in fit.tail.estimates().items():
        note = clustered_words(fit.tail.design_effect) if e.std_error is not None else ""
        yield parameter_row(f"tail_{prefix}_{name}", e, fit.tail, method, "18-19, 39", note)
    trimmed = fit.tail_without_largest
    yield parameter_row(
        f"tail_{prefix}_zeta_without_largest",
        trimmed.estimates()["zeta"],
        trimmed,
        method,
        "18-19, 39",
        f"the largest item left out; {clustered_words(trimmed.design_effect)}",
    )
    yield from _without_owner(prefix, fit)
    near = fit.thresholds
    for end, value in (("lowest", near.zeta_lowest), ("highest", near.zeta_highest)):
        yield parameter_row(
            f"tail_{prefix}_zeta_near_{end}",
            Estimate(value=value),
            fit.tail,
            f"{method}, {end} over near-minimal x_min",
            "18-19, 39",
            joined((threshold_words(near), items_words(fit.threshold_spread is not None))),
        )


def _without_owner(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return zeta and its p without the owner who moves it most, nothing without owners."""
    rest = fit.tail_without_owner
    if rest is None:
        return
    note = "the owner who moves zeta most left out, x_min as with all"
    found = {
        "zeta": Estimate(value=rest.zeta, std_error=rest.std_error),
        "p_value": Estimate(value=rest.p_value),
        "p_value_independent": Estimate(value=rest.p_independent),
        "umpu_p": Estimate(value=rest.umpu_p),
        "umpu_p_independent": Estimate(value=rest.umpu_p_independent),
    }
    for name, e in found.items():
        base = name.removesuffix("_independent")
        full = f"tail_{prefix}_{base}_without_largest_owner{name.removeprefix(base)}"
        row = parameter_row(full, e, fit.tail, "as with it", "18-19, 39")
        yield row | {"n_used": rest.n_tail, "notes": note}


def _others(prefix: str, statistic: str, label: str, fit: SizeFits) -> Iterator[Row]:
    """Return a slope or index without one owner and without one item, as far as they exist."""
    for suffix, left_out, known in (
        ("_without_largest_owner", "the owner who moves it most", fit.without_owner),
        ("_without_largest", "the largest item", fit.without_item),
    ):
        value = known.get(label, {}).get(statistic)
        if value is not None:
            row = parameter_row(
                f"{prefix}_{label}{suffix}", Estimate(value=value), fit.tail, "as with it", ""
            )
            yield row | {"n_used": None, "converged": None, "notes": f"{left_out} left out"}


def verdict_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return the p-values of the power law."""
    views = (("", fit.judged), ("_without_largest", fit.judged_without_largest))
    for suffix, judged in views:
        goodness, name = judged.goodness, f"tail_{prefix}_p_value{suffix}"
        found = {name: Estimate(value=goodness.p_value, std_error=goodness.mc_error)}
        methods = {
            name: f"CSN bootstrap, {goodness.n_replications} replications; error is Monte Carlo"
        }
        if judged.clustered_p is not None:
            alone = f"{name}_independent"
            found = {name: Estimate(value=judged.clustered_p), alone: found[name]}
            methods = {
                name: "multiplier bootstrap over owners, x_min as given",
                alone: f"{methods[name]}; items as independent",
            }
        note = f"support: {judged.support.level} ({judged.support.reason})"
        for each, p in found.items():
            row = parameter_row(each, p, judged.tail, methods[each], "18-19, 39", note)
            yield row | {"ci_low": None, "ci_high": None}
        yield from _umpu_rows(f"tail_{prefix}_umpu_p{suffix}", judged)


def _umpu_rows(name: str, judged: JudgedTail) -> Iterator[Row]:
    """Return p of Pareto against lognormal above x_min, that which knows owners first."""
    umpu = judged.umpu
    if umpu is None:
        return
    found = {name: umpu.p_value}
    words = {name: clustered_words(None)}
    if umpu.p_independent is not None:
        found[f"{name}_independent"] = umpu.p_independent
        words = {
            name: f"items of one owner as a cluster, {umpu.effective_clusters:.3g} effective of "
            f"{umpu.n_clusters:,}",
            f"{name}_independent": clustered_words(None),
        }
    for each, p in found.items():
        method = "UMPU test of Pareto against lognormal above x_min; small p for the lognormal"
        yield parameter_row(each, Estimate(value=p), judged.tail, method, "18-19, 39", words[each])


def index_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return the tail indices, and the laws of the whole sample."""
    for label, methods in fit.index.items():
        for name, found in methods.items():
            note = f"k = {found.k}, threshold {found.threshold:g}"
            yield parameter_row(
                f"index_{prefix}_{name}_{label}",
                found.estimates()["zeta"],
                found,
                f"tail index, {name.replace('_', ' ')}",
                "18-19, 39",
                f"{note}; {clustered_words(found.design_effect)}",
            )
            yield from _others(f"index_{prefix}_{name}", name, label, fit)
    for model in fit.whole.fits:
        for name, e in model.estimates().items():
            yield parameter_row(
                f"whole_{prefix}_{model.model}_{name}",
                e,
                model,
                "maximum likelihood, all items",
                "",
            )


def zipf_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return the rank-size slopes at every cut-off; null where one does not exist."""
    labels = [f"{s}_{base}" for s in SHARES for base in ("all", "positive")] + ["top100"]
    for label in labels:
        name = f"zipf_{prefix}_logrank_slope_{label}"
        line = fit.zipf.get(label)
        method = "OLS of log(rank - 1/2) on log(size), Gabaix-Ibragimov error"
        if line is None:
            note = "not defined here: the cut-off reaches the zeros or holds under 20 items"
            empty = Estimate(value=None)
            row = parameter_row(name, empty, fit.tail, method, "section 1", note)
            yield {**row, "n_used": None, "converged": None, "notes": note}
        else:
            note = (
                f"k = {line.k}, threshold {line.threshold:g}; {clustered_words(line.design_effect)}"
            )
            yield parameter_row(name, line.estimates()["slope"], line, method, "section 1", note)
            yield from _others(f"zipf_{prefix}_logrank_slope", "slope", label, fit)


def shape_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    """Return zeros, concentration, and the Vuong statistics of the rivals."""
    held = fit.concentration
    values = {
        "share_zero": held.share_zero,
        "gini": held.gini,
        "top1pct_share": held.top_1pct,
        "hhi": held.hhi,
        "largest_share": held.largest_share,
    }
    for name, value in values.items():
        row = parameter_row(
            f"shape_{prefix}_{name}", Estimate(value=value), fit.tail, "all items", ""
        )
        yield row | {"n_used": fit.tail.n_obs, "notes": ""}
    for rival in fit.comparisons:
        name = f"tail_{prefix}_vuong_{rival.alternative}"
        method = "Vuong statistic, power law against rival; positive favours the power law"
        note = "items taken as independent" + ("; rival at its boundary" * rival.at_boundary)
        yield parameter_row(name, Estimate(value=rival.vuong), fit.tail, method, "18-19, 39", note)
