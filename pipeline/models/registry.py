"""All models, and what they predict."""

from __future__ import annotations

from collections.abc import Mapping

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.pipeline.analysis.cohorts import cohorts_of
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import Draw, DrawGains, at_observed_total, measured_increments
from baimo.pipeline.models.ces import sample_demand, sample_demand_increments
from baimo.pipeline.models.gbm import (
    GrowthCalibration,
    sample_growth,
    sample_growth_params,
    sample_survivor_params,
)
from baimo.pipeline.models.poisson_rates import sample_poisson_rates, sample_rate_increments
from baimo.pipeline.models.simon import sample_simon
from baimo.pipeline.models.static_sizes import sample_static_sizes
from baimo.pipeline.models.yule import sample_yule, sample_yule_increments
from baimo.simulation.growth.gbm import GrowthParams


def draw_gains(
    calibration: KernelCalibration | None,
    attachment: AttachmentCalibration,
    demand: Mapping[str, DemandFit],
    fitness: Mapping[str, PoissonRatesFit],
) -> dict[tuple[str, str], DrawGains]:
    """Return, by (model, measure), a draw of gains that is measured as the data were.

    Empty unless the models of the two days stand for the whole Hub. Sizes that are settled at
    birth say nothing of what is gained later and are not here.
    """
    if calibration is None or not calibration.whole or not calibration.total_gain > 0:
        return {}
    c, draws = calibration, {}
    draws["Simon", "likes"] = measured_increments(
        c, lambda rng: rng.poisson(at_observed_total(c, c.items * c.stock))
    )
    if attachment.entry.rate > 0:
        draws["Yule", "likes"] = measured_increments(
            c, sample_yule_increments(c, attachment, demand["likes"].zeta)
        )
    draws["CES", "likes"] = measured_increments(
        c, sample_demand_increments(c, demand["likes"], attachment)
    )
    if "likes" in fitness:
        draws["fitness", "likes"] = measured_increments(
            c, sample_rate_increments(c, fitness["likes"])
        )
    return draws


def _zeta(p: GrowthParams) -> float | None:
    return p.zeta if p.exit_rate + p.entry_growth > 0 else None


def predicted_zetas(
    attachment: AttachmentCalibration, demand: Mapping[str, DemandFit], growth: GrowthCalibration
) -> dict[tuple[str, str], tuple[float | None, str]]:
    """Return each model's closed-form zeta, or None where it has none; and a remark."""
    yule = attachment.yule_likes
    tuned = (
        "" if yule.params else "gamma and a tuned to zeta and the total; " + "; ".join(yule.notes)
    )
    born, grown = "fitted to the whole sample", "fitted to sizes and ages"
    return {
        ("Simon", "downloads"): (attachment.simon_downloads.params.zeta, ""),
        ("CES", "downloads"): (demand["downloads"].zeta, ""),
        ("lognormal", "downloads"): (None, born),
        ("dPlN", "downloads"): (None, born),
        ("fitness", "downloads"): (None, grown),
        ("Simon", "likes"): (attachment.simon_likes.params.zeta, ""),
        ("Yule", "likes"): (yule.params.zeta if yule.params else demand["likes"].zeta, tuned),
        ("CES", "likes"): (demand["likes"].zeta, ""),
        ("lognormal", "likes"): (None, born),
        ("dPlN", "likes"): (None, born),
        ("fitness", "likes"): (None, grown),
        ("GBM", "tvl"): (growth.zeta.value, ""),
        ("GBM survivors", "tvl"): (_zeta(growth.survivors), "drift of today's largest, no exits"),
    }


def draw_mechanisms(
    attachment: AttachmentCalibration,
    demand: Mapping[str, DemandFit],
    births: Mapping[tuple[str, str], WholeSampleFit],
    fitness: Mapping[str, PoissonRatesFit],
    positive_by_cohort: Mapping[str, Mapping[int, int]],
    growth: GrowthCalibration,
) -> dict[tuple[str, str], Draw]:
    """Return every model to simulate: (model, measure) -> draw.

    Parameters
    ----------
    births
        By (model, measure): fitted laws of the size at birth.
    fitness
        By measure: rates drawn at birth that work over time.
    positive_by_cohort
        By measure: items with at least one in each cohort, for Simon's urn, which has no others.
    """
    cohorts = cohorts_of(attachment)
    draws: dict[tuple[str, str], Draw] = {}
    for measure, simon in (
        ("downloads", attachment.simon_downloads),
        ("likes", attachment.simon_likes),
    ):
        draws["Simon", measure] = sample_simon(simon, positive_by_cohort[measure])
    if attachment.entry.rate > 0:  # without growing entry or exit no mixture of ages has a tail
        draws["Yule", "likes"] = sample_yule(attachment, demand["likes"].zeta, cohorts)
    for measure, fit in demand.items():
        draws["CES", measure] = sample_demand(fit, cohorts)
    for (model, measure), law in births.items():
        draws[model, measure] = sample_static_sizes(law, cohorts)
    for measure, rates in fitness.items():
        draws["fitness", measure] = sample_poisson_rates(rates, attachment, cohorts)
    draws["GBM", "tvl"] = sample_growth(growth, sample_growth_params)
    draws["GBM survivors", "tvl"] = sample_growth(growth, sample_survivor_params)
    return draws
