"""Attachment otherwise: with ageing, of another power of the stock, from unequal starts; of likes.

Simon's urn and the Yule process are linear kernels from equal starts, without ageing. Whether what
they miss hangs on that is a question of sensitivity: each variant is fitted by its likelihood, what
is given of it apart, and drawn a few times over the observed ages; its statistics stand beside
those of the data. None is judged as a model is: no error of owners is known of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType

import numpy as np
import polars as pl

from baimo.estimation.attachment.births import BirthsFit, fit_births, fit_unequal_births
from baimo.estimation.errors import EstimationError
from baimo.estimation.results import registered
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.cohorts import cut_cohorts, observed_by_cohort
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import Statistics, measure_sample
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import SHARE_ZERO, TAIL, Statistic
from baimo.pipeline.variables import LIKES, hub_ages
from baimo.simulation.attachment.births import simulate_births

# Chosen with the statistics of the bundled likes known, because they come near them.
SUPERLINEAR, FADING = 1.3, -0.95  # theta and phi
GROWTH = math.log(2.0)  # a large stock doubles in its first year
CHOSEN = "chosen to come near the statistics"
N_DRAWS = 3
COMPARED = (SHARE_ZERO, *TAIL)


@registered("AttachmentVariant")
@dataclass(frozen=True, eq=False, kw_only=True)
class AttachmentVariant:
    """One kind of attachment, fitted and drawn.

    Parameters
    ----------
    name
        In exports.
    words
        For a reader.
    fit
        Its process.
    statistics
        Means over the draws.
    """

    name: str
    words: str
    fit: BirthsFit
    statistics: Statistics


@registered("AttachmentVariants")
@dataclass(frozen=True, eq=False, kw_only=True)
class AttachmentVariants:
    """All variants beside the data.

    Parameters
    ----------
    observed
        Statistics of the data.
    variants
        Those that could be fitted.
    largest
        The largest size of the data, at which an item of a draw is left.
    without_attachment
        Log likelihood of unequal rates that stocks do not raise; None where it is not known.
    """

    observed: Statistics
    variants: tuple[AttachmentVariant, ...]
    largest: int
    without_attachment: float | None

    def beyond(self, variant: AttachmentVariant) -> list[Statistic]:
        """Return the statistics in which a variant lies beyond the margin, or has none."""
        return [
            s
            for s in self.compared
            if not abs(variant.statistics.get(s.name, math.nan) - self.observed[s.name]) <= s.margin
        ]

    @property
    def compared(self) -> list[Statistic]:
        """Return the statistics that the data have."""
        return [s for s in COMPARED if math.isfinite(self.observed.get(s.name, math.nan))]


ATTACHMENT_VARIANTS: Stored[AttachmentVariants | None] = Stored(
    "attachment_variants", AttachmentVariants, NoneType
)
"""None where no item of known age has a like."""


def _shown(found: AttachmentVariants | None) -> dict[str, float | str | None]:
    if found is None:
        return {"variants": "no likes of items of known age"}
    return {
        v.name: ", ".join(s.words for s in found.beyond(v)) or "within all margins"
        for v in found.variants
    }


def _parameters(found: AttachmentVariants | None) -> Iterator[Row]:
    for v in found.variants if found else ():
        for name, e in v.fit.estimates().items():
            full = f"pa_births_likes_{v.name}_{name}"
            yield parameter_row(full, e, v.fit, f"likelihood of likes over ages: {v.words}", "19")


@calibration(
    ATTACHMENT_VARIANTS,
    order=12,
    step="attachment_fit",
    description="Attachment of likes otherwise: with ageing, superlinear, from unequal starts; "
    "what each would give.",
    needs=(HUB_FREQUENCY, TAILS[LIKES.name], RATES_FIT),
    shown=_shown,
    parameters=_parameters,
)
def calibrate_variants(day: Day) -> AttachmentVariants | None:
    """Fit and draw the variants on the likes of a day."""
    frequency, tail = day.table(HUB_FREQUENCY), day.read(TAILS[LIKES.name]).tail
    cohorts = cut_cohorts(frequency, day.date)
    sample = observed_by_cohort(frequency, cohorts, day.date)[LIKES.name]
    dated, horizon = hub_ages(frequency, day.date)
    largest = max(int(counts.values.max()) for counts in sample.values())
    variants = []
    for i, (name, words, fit) in enumerate(_fits(dated)):
        rng = np.random.default_rng(i)
        ages = cohorts.age_of_each(horizon)
        draws = [
            measure_sample(
                cohorts.split(simulate_births(fit.params, ages, rng, largest=largest)),
                LIKES,
                tail.x_min,
            )
            for _ in range(N_DRAWS)
        ]
        means = {s.name: float(np.mean([d.get(s.name, math.nan) for d in draws])) for s in COMPARED}
        variants.append(AttachmentVariant(name=name, words=words, fit=fit, statistics=means))
    rates = day.read(RATES_FIT).get(LIKES.name)
    if not variants:
        return None
    return AttachmentVariants(
        observed=measure_sample(sample, LIKES, tail.x_min),
        variants=tuple(variants),
        largest=largest,
        without_attachment=None if rates is None else rates.log_likelihood,
    )


def _fits(dated: pl.DataFrame) -> Iterator[tuple[str, str, BirthsFit]]:
    """Give the name, words and fit of every variant that the data let be fitted."""
    size = LIKES.name
    table = dated.group_by("age", size).agg(pl.col("n_models").sum()).sort("age", size)
    profile = (table["age"].to_numpy(), table[size].to_numpy(), table["n_models"].to_numpy())
    for name, words, theta, phi in (
        ("linear", "linear, ageing, equal starts", 1.0, None),
        ("power", "any power, ageing, equal starts", None, None),
        (
            "superlinear",
            f"superlinear, equal starts, theta and phi {CHOSEN}",
            SUPERLINEAR,
            FADING,
        ),
    ):
        with suppress(EstimationError):
            yield name, words, fit_births(*profile, theta=theta, phi=phi)
    with suppress(EstimationError):
        fit = fit_unequal_births(*profile, growth=GROWTH)
        yield "unequal", f"linear, ageing, lognormal starts, gamma/(1 + phi) {CHOSEN}", fit
