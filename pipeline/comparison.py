"""Observed against simulated: the headline table."""

from __future__ import annotations

import polars as pl

from estimation.counts import Counts
from estimation.demand import DemandFit
from estimation.recovery import (
    Replicated,
    compare_replicates,
    judge_equivalence,
    measure_sizes,
)
from pipeline.fits import SizeFits
from pipeline.measures import MEASURES
from pipeline.models import AttachmentCalibration, GrowthCalibration
from pipeline.tables import COMPARISON

# Set before the first run: differences that count as none, with the statistic's name in words.
MARGINS = {
    "zeta": ("zeta", 0.1),
    "share_zero": ("zeros", 0.05),
    "top_1pct": ("top 1 %", 0.05),
}
# What a model has something to say about: Simon's items begin at one and a GBM is never zero,
# and the zeta of CES is tuned to the data.
JUDGED = {
    "Simon": ("zeta", "top_1pct"),
    "Yule": ("zeta", "share_zero", "top_1pct"),
    "CES": ("share_zero", "top_1pct"),
    "GBM": ("zeta", "top_1pct"),
}

Refits = dict[tuple[str, str], tuple[dict[str, float], ...]]
"""By (model, measure): the statistics of every simulated sample."""


def refit_models(simulated: pl.DataFrame) -> Refits:
    """Send every simulated sample through the fits of the data."""
    out: Refits = {}
    for (model, measure), rows in simulated.group_by("model", "measure", maintain_order=True):
        out[str(model), str(measure)] = tuple(
            measure_sizes(
                Counts(values=r["value"].to_numpy(), multiplicities=r["n_items"].to_numpy()),
                discrete=MEASURES[str(measure)].discrete,
            )
            for _, r in rows.group_by("replicate", maintain_order=True)
        )
    return out


def judge(model: str, compared: dict[str, Replicated], fits: SizeFits) -> tuple[str, str]:
    """Return (verdict, what it rests on) for one model of one size."""
    found = {}
    for name in JUDGED[model]:
        words, margin = MARGINS[name]
        error = fits.tail.std_error_clustered if name == "zeta" else 0.0
        found[words] = judge_equivalence(compared[name], margin, error)
    evidence = ", ".join(
        f"{words} {compared[name].observed:.3f} / {compared[name].mean:.3f}"
        for name, (words, _) in MARGINS.items()
    )
    missed = [words for words, verdict in found.items() if verdict == "misses"]
    open_ones = [words for words, verdict in found.items() if verdict == "cannot tell"]
    if missed:
        verdict = f"misses {', '.join(missed)}"
    elif open_ones:
        verdict = f"cannot tell: {', '.join(open_ones)}"
    else:
        verdict = f"reproduces {', '.join(found)}"
    return verdict, f"{evidence} (observed / simulated)"


def compare_models(
    fits: dict[str, SizeFits],
    refits: Refits,
    predicted: dict[tuple[str, str], tuple[float | None, str]],
) -> pl.DataFrame:
    """Return the headline table, one row per size and model.

    Parameters
    ----------
    fits
        By measure.
    refits
        By (model, measure): statistics of the simulated samples.
    predicted
        By (model, measure): the closed-form zeta, or None with the reason why there is none.
    """
    rows = []
    for (model, measure), (zeta, remark) in predicted.items():
        fit = fits[measure]
        line = fit.zipf.get(MEASURES[measure].headline_cutoff)
        interval = fit.tail.conf_int()["zeta"] or (None, None)
        slope = (line.conf_int()["slope"] if line else None) or (None, None)
        drawn = refits.get((model, measure))
        seen = measure_sizes(fit.counts, discrete=fit.tail.discrete)
        compared = compare_replicates(seen, drawn) if drawn else None
        verdict, evidence = judge(model, compared, fit) if compared else ("no prediction", remark)
        rows.append(
            {
                "measure": measure,
                "n_obs": fit.tail.n_obs,
                "x_min": fit.tail.x_min,
                "n_tail": fit.tail.n_tail,
                "zeta": fit.tail.zeta,
                "zeta_low": interval[0],
                "zeta_high": interval[1],
                "slope_cutoff": MEASURES[measure].headline_cutoff,
                "slope": line.slope if line else None,
                "slope_low": slope[0],
                "slope_high": slope[1],
                "model": model,
                "predicted_zeta": zeta,
                "simulated_zeta": compared["zeta"].mean if compared else None,
                "simulated_sd": compared["zeta"].sd if compared else None,
                "verdict": verdict,
                "evidence": evidence,
            }
        )
    return pl.DataFrame(rows, schema=COMPARISON.schema)


def predicted_zetas(
    attachment: AttachmentCalibration, demand: dict[str, DemandFit], growth: GrowthCalibration
) -> dict[tuple[str, str], tuple[float | None, str]]:
    """Return each model's closed-form zeta, or None with the reason why there is none."""
    yule = attachment.yule_likes
    remark = "; ".join(yule.notes)
    return {
        ("Simon", "downloads"): (attachment.simon_downloads.params.zeta, ""),
        ("CES", "downloads"): (demand["downloads"].zeta, ""),
        ("Simon", "likes"): (attachment.simon_likes.params.zeta, ""),
        ("Yule", "likes"): (yule.params.zeta if yule.params else None, remark),
        ("CES", "likes"): (demand["likes"].zeta, ""),
        ("GBM", "tvl"): (growth.zeta.value, ""),
    }
