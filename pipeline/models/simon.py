"""Simon's urn: each event founds an item with probability p, else joins one in proportion to size.

Eq 19 with entry: zeta = 1/(1 - p), no item without an event, and only the old are large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.arrays import Ints
from baimo.estimation.results import Estimate
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import (
    ATTACHMENT,
    FileModel,
    FittedModel,
    IncrementSampler,
    Prediction,
    Sampler,
    Values,
    file_model,
    fitted_model,
)
from baimo.pipeline.models.increments import MeasuredIncrements, at_observed_total, whole_hub_kernel
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.statistics import KERNEL, TAIL, ZETA
from baimo.pipeline.variables import HUB, LIKES, Variable
from baimo.simulation.attachment.simon_yule import SimonParams, simulate_simon


@dataclass(frozen=True)
class SimonSampler:
    """Draws the urn; the items are cut into cohorts in order of entry, old to young.

    Parameters
    ----------
    p
        Chance that an event founds an item.
    total
        Number of events.
    cohorts, shares
        Cohorts in order of entry, undated items (the floor day and before) first, and the share
        of the items that each ends at.
    """

    p: float
    total: int
    cohorts: tuple[int, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, p: float, total: int, positive: CohortSample) -> SimonSampler:
        """Return the urn that has the observed share of positive items in each cohort."""
        order = [UNDATED, *sorted((c for c in positive if c != UNDATED), reverse=True)]
        n = {c: counts.n_obs - counts.n_zero for c, counts in positive.items()}
        shares = np.cumsum([n.get(c, 0) for c in order]) / sum(n.values())
        return cls(p, total, tuple(order), tuple(shares.tolist()))

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample by cohort."""
        sizes = simulate_simon(SimonParams(p=self.p), self.total, rng)
        ends = [0, *np.rint(np.array(self.shares) * sizes.size).astype(int).tolist()]
        parts = zip(self.cohorts, ends[:-1], ends[1:], strict=True)
        return {c: Counts.from_sample(sizes[a:b]) for c, a, b in parts if b > a}


@dataclass(frozen=True, eq=False)
class SimonIncrements:
    """Draws Poisson increments in proportion to the stock."""

    observed: KernelCalibration

    def __call__(self, rng: np.random.Generator) -> Ints:
        """Return the increment of each cell."""
        c = self.observed
        return rng.poisson(at_observed_total(c, c.items * c.stock))


@fitted_model
class Simon(FittedModel):
    """Simon's urn of downloads and likes."""

    name = "simon"
    label = "Simon"
    colour = "#2563eb"
    equations = "18-19 with entry"
    order = 10
    family = ATTACHMENT
    variables = HUB
    judged = (ZETA, *TAIL, *KERNEL)
    needs = (ATTACHMENT_FIT, HUB_FREQUENCY, KERNEL_FIT, *(TAILS[v.name] for v in HUB))

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate]:
        """Return p and the log of the total."""
        fit = day.read(ATTACHMENT_FIT).simon(variable)
        return {
            "simon_p": Estimate(value=fit.p, std_error=fit.std_error),
            "log_total": Estimate(value=math.log(fit.total)),
        }

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return the urn with the observed cohorts."""
        cohorts, total = day.read(ATTACHMENT_FIT).cohorts, math.exp(values["log_total"])
        seen = observed_by_cohort(day.table(HUB_FREQUENCY), cohorts, day.date)
        p = min(max(values["simon_p"], 2.0 / total), 1.0 - 1e-9)
        return SimonSampler.of(p, round(total), seen[variable.name])

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler | None:
        """Return increments in proportion to likes."""
        c = whole_hub_kernel(day) if variable == LIKES else None
        return MeasuredIncrements(c, SimonIncrements(c)) if c else None

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return 1/(1 - p)."""
        return Prediction(day.read(ATTACHMENT_FIT).simon(variable).params.zeta)

    def predicted_ccdf(self, day: Day, variable: Variable) -> Line:
        """Return the Yule-Simon law of the positive items."""
        counts = day.read(TAILS[variable.name]).counts
        zeta = day.read(ATTACHMENT_FIT).simon(variable).params.zeta
        return yule_simon_ccdf(zeta, 1.0 - counts.n_zero / counts.n_obs, float(counts.values[-1]))


def yule_simon_ccdf(zeta: float, share_positive: float, largest: float) -> Line:
    """Return Simon's stationary law (x, P(X >= x)), scaled to the share of positive items."""
    from scipy.special import gammaln

    x = np.unique(np.floor(np.geomspace(1.0, largest, 80)))
    y = np.exp(gammaln(x) + math.lgamma(zeta + 1.0) - gammaln(x + zeta))
    return x, share_positive * y


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = SimonParams(p=v["simon_p"])
    return pl.DataFrame({LIKES.name: simulate_simon(params, max(1, round(n / params.p)), rng)})


file_model(
    FileModel(
        name="simon",
        order=10,
        prefix="pa",
        defaults={"simon_p": 0.1},
        meaning={"simon_p": "share of events that found an item, (0, 1)"},
        refit="baimo fit attachment FILE --likes likes",
        sample=_sample,
        also_called={"simon_p": ("pa_simon_likes_p", "p")},
    )
)
