"""Eq 19 exactly as printed, run at the size of the data: it makes a normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.results import registered
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import FileModel, Values, file_model
from baimo.pipeline.variables import DAYS_PER_YEAR
from baimo.simulation.attachment.printed import (
    PrintedAttachmentParams,
    simulate_printed,
    simulate_printed_steps,
)


@registered("PrintedEquation")
@dataclass(frozen=True, kw_only=True)
class PrintedEquation:
    """What eq 19 as printed yields from equal starts, at full size, for several volatilities.

    Parameters
    ----------
    n_items, days
        Size and horizon of the simulation; total inflow is that of the data.
    noise : tuple
        Volatilities, as the standard deviation over the horizon in units of the start.
    zetas : tuple
        CCDF exponent of the largest items for each: large means no tail.
    skewness, excess_kurtosis : tuple
        0 and 0 for the normal distribution that the theory predicts.
    share_negative : tuple
        Share of items driven below zero, which the printed equation allows.
    """

    n_items: int
    days: float
    noise: tuple[float, ...]
    zetas: tuple[float, ...]
    skewness: tuple[float, ...]
    excess_kurtosis: tuple[float, ...]
    share_negative: tuple[float, ...]


PRINTED_NOISE = (0.1, 0.5, 1.0)
PRINTED_STEPS = 24


PRINTED_EQUATION: Stored[PrintedEquation] = Stored("printed_equation", PrintedEquation)


def simulate_printed_equation(calibration: AttachmentCalibration, seed: int) -> PrintedEquation:
    """Run eq 19 step by step at the Hub's number of models and total likes; measure the result.

    Half of the observed total is there at the start, in equal parts, so that every inequality
    comes from the equation.
    """
    from scipy import stats

    from baimo.estimation.tails.power_law import fit_tail

    n, total = calibration.simon_likes.n_obs, calibration.simon_likes.total
    days = calibration.entry.horizon * DAYS_PER_YEAR
    start = np.full(n, 0.5 * total / n)
    rows = []
    for i, noise in enumerate(PRINTED_NOISE):
        params = PrintedAttachmentParams(
            eta=0.5 * total / days, sigma=noise * float(start[0]) / math.sqrt(days)
        )
        rng = np.random.default_rng([seed, 19, i])
        sizes = simulate_printed_steps(params, start, days, PRINTED_STEPS, rng)
        upper = np.sort(sizes[sizes > 0])[-max(min(n // 2, 100), n // 100) :]
        tail = fit_tail(upper, discrete=False, x_min=float(upper[0]))
        rows.append(
            (
                tail.zeta,
                float(stats.skew(sizes)),
                float(stats.kurtosis(sizes)),
                float(np.mean(sizes < 0)),
            )
        )
    zetas, skewness, kurtosis, negative = zip(*rows, strict=True)
    return PrintedEquation(
        n_items=n,
        days=days,
        noise=PRINTED_NOISE,
        zetas=zetas,
        skewness=skewness,
        excess_kurtosis=kurtosis,
        share_negative=negative,
    )


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    if not v["days"] > 0:
        raise SourceError(f"days = {v['days']:g} must be positive")
    params = PrintedAttachmentParams(eta=v["eta"], sigma=v["sigma"])
    start = np.full(n, v["start"])
    return pl.DataFrame({"size": simulate_printed(params, start, v["days"], rng)})


file_model(
    FileModel(
        name="printed",
        order=40,
        prefix="pa",
        defaults={"eta": 1000.0, "sigma": 1.0, "start": 10.0, "days": 365.0},
        meaning={
            "eta": "total inflow a day",
            "sigma": "noise of an item, per root day",
            "start": "size of every item at first",
            "days": "horizon",
        },
        refit="baimo fit index FILE --column size, negative sizes taken out before",
        sample=_sample,
    )
)
