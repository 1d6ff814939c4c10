"""Increments under a kernel of attachment, simulated into a file: (d + a)^theta age^phi."""

from __future__ import annotations

import numpy as np
import polars as pl

from baimo.pipeline.models.ages import AGES, AGES_MEANING
from baimo.pipeline.models.base import FileModel, Values, file_model
from baimo.pipeline.models.yule import YULE_FILE
from baimo.pipeline.variables import LIKES
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    stock = YULE_FILE.sample(v, n, rng)
    params = KernelParams(theta=v["theta"], offset=v["offset"], phi=v["phi"])
    authors = rng.integers(0, max(1, n // 4), n)
    increments = simulate_increments(
        params,
        stock[LIKES.name].to_numpy(),
        v["gain"] * n,
        rng,
        ages=stock["age"].to_numpy(),
        fitness_sd=v["author_sd"],
        clusters=authors,
    )
    return pl.DataFrame(
        {
            "before": stock[LIKES.name],
            "after": stock[LIKES.name] + pl.Series(increments),
            "age": stock["age"],
            "author": authors,
        }
    )


file_model(
    FileModel(
        name="kernel",
        order=30,
        prefix="pa",
        defaults={
            "theta": 1.0,
            "offset": 1.0,
            "phi": 0.0,
            "gain": 1.0,
            "author_sd": 0.5,
            "gamma": 1.0,
            "a": 1.0,
            **AGES,
        },
        meaning={
            "theta": "exponent of size",
            "offset": "appeal without success, > 0",
            "phi": "exponent of age",
            "gain": "mean gain of an item",
            "author_sd": "sd of log fitness between authors",
            "gamma": "growth of the first stock, 1/yr",
            "a": "appeal in the first stock",
            **AGES_MEANING,
        },
        refit="baimo fit attachment FILE --before before --after after --age age --author author",
        sample=_sample,
    )
)
