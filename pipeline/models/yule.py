"""The Yule process with immigration: items grow in proportion to their size plus a (eq 19, entry).

Given its age an item is negative binomial: tails are light within a cohort, and the mixture of ages
makes zeta = (n + delta)/gamma.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.ages import AGES, AGES_MEANING, AgedSampler, sample_ages
from baimo.pipeline.models.attachment import ATTACHMENT_FIT, AttachmentCalibration
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
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.increments import MeasuredIncrements, whole_hub_kernel
from baimo.pipeline.statistics import KERNEL, SHARE_ZERO, TAIL, ZETA
from baimo.pipeline.variables import LIKES, Variable
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule


@dataclass(frozen=True, eq=False)
class YuleIncrements:
    """Draws births of a Yule process with immigration: negative binomial given the stock.

    Parameters
    ----------
    weight : (cells,)
        Items times (stock + a).
    growth
        e^(gamma h) - 1 over the interval.
    """

    weight: Floats
    growth: float

    def __call__(self, rng: np.random.Generator) -> Ints:
        """Return the increment of each cell."""
        return rng.negative_binomial(self.weight, 1.0 / (1.0 + self.growth))


def yule_at(attachment: AttachmentCalibration, values: Values) -> YuleParams:
    """Return the Yule process of the observed ages at given parameters.

    Where the likelihood of (gamma, a) has no usable optimum, gamma is what (n + delta)/gamma = zeta
    asks for, and a what the total asks for.
    """
    rate = values["entry_rate"]
    if "yule_gamma" in values:
        return YuleParams(entry_plus_exit=rate, gamma=values["yule_gamma"], a=values["yule_a"])
    gamma = rate / values["ces_zeta"]
    growth = float(np.sum(np.expm1(gamma * attachment.ages) * attachment.n_models))
    return YuleParams(entry_plus_exit=rate, gamma=gamma, a=math.exp(values["log_total"]) / growth)


@fitted_model
class Yule(FittedModel):
    """The Yule process of likes; downloads are no stock that grows."""

    name = "yule"
    label = "Yule"
    colour = "#0d9488"
    equations = "19 with entry"
    order = 20
    family = ATTACHMENT
    variables = (LIKES,)
    judged = (SHARE_ZERO, *TAIL, *KERNEL)
    tuned = (ZETA,)
    needs = (ATTACHMENT_FIT, DEMAND_FIT, KERNEL_FIT)

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        """Return gamma and a, or zeta and total to which they are tuned, and the rate of entry.

        None where entry does not grow: ages then have no tail to give.
        """
        attachment = day.read(ATTACHMENT_FIT)
        entry, yule = attachment.entry, attachment.yule_likes
        if entry.rate <= 0:
            return None
        found = {"entry_rate": Estimate(value=entry.rate, std_error=entry.std_error)}
        if yule.params is not None:
            return found | {f"yule_{name}": yule.estimates()[name] for name in ("gamma", "a")}
        demand = day.read(DEMAND_FIT)[LIKES.name]
        return found | {
            "ces_zeta": demand.estimates()["zeta"],
            "log_total": Estimate(value=math.log(attachment.simon_likes.total)),
        }

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return the process over the observed ages."""
        attachment = day.read(ATTACHMENT_FIT)
        params = yule_at(attachment, values)
        return AgedSampler(simulate_yule, params, attachment.cohorts, attachment.entry.horizon)

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler | None:
        """Return births over the interval."""
        c = whole_hub_kernel(day)
        if c is None:
            return None
        params = yule_at(day.read(ATTACHMENT_FIT), values)
        weight = c.items * (c.stock + params.a)
        growth = c.total_gain / float(weight.sum())
        return MeasuredIncrements(c, YuleIncrements(weight, growth))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return (n + delta)/gamma, or the zeta to which gamma was tuned."""
        yule = day.read(ATTACHMENT_FIT).yule_likes
        if yule.params:
            return Prediction(yule.params.zeta)
        remark = "gamma and a tuned to zeta and the total; " + "; ".join(yule.notes)
        return Prediction(day.read(DEMAND_FIT)[variable.name].zeta, remark)


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    ages = sample_ages(v["entry_growth_plus_exit"], v["horizon"], n, rng)
    params = YuleParams(entry_plus_exit=v["entry_growth_plus_exit"], gamma=v["gamma"], a=v["a"])
    return pl.DataFrame({LIKES.name: simulate_yule(params, ages, rng), "age": ages})


YULE_FILE = file_model(
    FileModel(
        name="yule",
        order=20,
        prefix="pa",
        defaults={"gamma": 1.0, "a": 1.0, **AGES},
        meaning={
            "gamma": "growth rate of items, 1/yr",
            "a": "appeal without success",
            **AGES_MEANING,
        },
        refit="baimo fit attachment FILE --likes likes --age age",
        sample=_sample,
        aliases=("attachment", "pa"),
        also_called={"gamma": ("pa_yule_likes_gamma",), "a": ("pa_yule_likes_a",)},
    )
)
