"""The Yule process with immigration (eq 19 with entry)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from baimo.estimation.arrays import Ints
from baimo.pipeline.analysis.cohorts import Cohorts, split_into_cohorts
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import Draw
from baimo.simulation.attachment.simon_yule import (
    YuleParams,
    simulate_yule,
)


def sample_yule_increments(
    c: KernelCalibration, attachment: AttachmentCalibration, zeta: float
) -> Callable[[np.random.Generator], Ints]:
    """Draw births of a Yule process with immigration: negative binomial given the stock."""
    weight = c.items * (c.stock + tuned_yule(attachment, zeta).a)
    growth = c.total_gain / float(weight.sum())  # e^(gamma h) - 1
    return lambda rng: rng.negative_binomial(weight, 1.0 / (1.0 + growth))


def tuned_yule(attachment: AttachmentCalibration, zeta: float) -> YuleParams:
    """Return the Yule process of the observed ages whose tail is the fitted one.

    Where the likelihood of (gamma, a) has no usable optimum, gamma is what (n + delta)/gamma = zeta
    asks for, and a what the observed total asks for.
    """
    if attachment.yule_likes.params is not None:
        return attachment.yule_likes.params
    gamma = attachment.entry.rate / zeta
    growth = float(np.sum(np.expm1(gamma * attachment.ages) * attachment.n_models))
    return YuleParams(
        entry_plus_exit=attachment.entry.rate,
        gamma=gamma,
        a=attachment.simon_likes.total / growth,
    )


def sample_yule(attachment: AttachmentCalibration, zeta: float, cohorts: Cohorts) -> Draw:
    """Return a draw of the Yule process over the observed ages, by cohort."""
    params = tuned_yule(attachment, zeta)
    oldest = np.full(cohorts.n_undated, attachment.entry.horizon)
    ages = np.concatenate([oldest, cohorts.ages])
    return lambda rng: split_into_cohorts(simulate_yule(params, ages, rng), cohorts)
