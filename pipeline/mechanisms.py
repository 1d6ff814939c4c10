"""Every mechanism on equal terms: drawn at the observed size, ages and total, cohort by cohort.

Parameters are drawn from their sampling distribution anew in each replication, so that the spread
of the replications holds what is not known of them. What comes out is a histogram for each age
cohort, which goes through the same fits as the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.predictive.replicate import replicate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.drawn import UNDATED, Drawn, Refits, Statistics, measure_drawn
from baimo.pipeline.measures import MEASURES, cohort_edges
from baimo.pipeline.models import AttachmentCalibration, GrowthCalibration
from baimo.simulation.attachment.simon_yule import (
    SimonParams,
    YuleParams,
    simulate_simon,
    simulate_yule,
)
from baimo.simulation.demand.ces import DemandParams, simulate_demand
from baimo.simulation.growth.gbm import GrowthParams, simulate_growth
from baimo.simulation.heterogeneity.poisson_rates import simulate_poisson_rates
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts

Draw = Callable[[np.random.Generator], Drawn]
MOST_LATER = 50  # samples whose following interval is drawn too


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Age cohorts of the items of a cross-section, from young (0) to old.

    Parameters
    ----------
    edges : (c + 1,)
        Ages in years at which cohorts begin, and the end of the last.
    ages, cohort : (dated items,)
        Age and cohort of each dated item, young to old.
    n_undated
        Items whose age is not known; they make a cohort of their own, -1.
    """

    edges: Floats
    ages: Floats
    cohort: Ints
    n_undated: int

    @property
    def n_items(self) -> int:
        """Return the number of items, undated ones included."""
        return self.ages.size + self.n_undated


def cohorts_of(attachment: AttachmentCalibration) -> Cohorts:
    """Cut the dated items into cohorts of about equal numbers."""
    ages, n = attachment.ages, attachment.n_models
    edges = cohort_edges(ages, n)
    every = np.repeat(ages, n)
    return Cohorts(
        edges=edges,
        ages=every,
        cohort=np.searchsorted(edges, every, side="right") - 1,
        n_undated=attachment.simon_likes.n_obs - every.size,
    )


def observed_cohorts(frequency: pl.DataFrame, measure: str, cohorts: Cohorts) -> Drawn:
    """Return the data in the form in which models are drawn; `frequency` has `age` (null: none)."""
    where = np.searchsorted(cohorts.edges, frequency["age"].fill_null(-1.0), side="right") - 1
    table = frequency.with_columns(cohort=pl.Series(where, dtype=pl.Int64))
    sums = table.group_by("cohort", measure).agg(pl.col("n_models").sum()).sort("cohort", measure)
    return {
        int(str(c)): Counts.from_pairs(rows[measure].to_numpy(), rows["n_models"].to_numpy())
        for (c,), rows in sums.group_by("cohort", maintain_order=True)
    }


def _split(sizes: Ints, cohorts: Cohorts) -> Drawn:
    """Cut sizes, undated items first and the others young to old, into cohorts."""
    ends = np.searchsorted(cohorts.cohort, np.arange(cohorts.edges.size)) + cohorts.n_undated
    out = {UNDATED: sizes[: cohorts.n_undated]} if cohorts.n_undated else {}
    out |= {c: sizes[ends[c] : ends[c + 1]] for c in range(ends.size - 1)}
    return {c: Counts.from_sample(part) for c, part in out.items() if part.size}


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
        draws["Simon", measure] = _simon(simon, positive_by_cohort[measure])
    if attachment.entry.rate > 0:  # without growing entry or exit no mixture of ages has a tail
        draws["Yule", "likes"] = _yule(attachment, demand["likes"].zeta, cohorts)
    for measure, fit in demand.items():
        draws["CES", measure] = _demand(fit, cohorts)
    for (model, measure), law in births.items():
        draws[model, measure] = _birth(law, cohorts)
    for measure, rates in fitness.items():
        draws["fitness", measure] = _fitness(rates, attachment, cohorts)
    draws["GBM", "tvl"] = _growth(growth, drawn_growth)
    draws["GBM survivors", "tvl"] = _growth(growth, drawn_survivors)
    return draws


def _simon(fit: Any, positive: Mapping[int, int]) -> Draw:
    # Old to young, undated items (the floor day and before) first.
    order = [UNDATED, *sorted((c for c in positive if c != UNDATED), reverse=True)]
    shares = np.cumsum([positive.get(c, 0) for c in order]) / sum(positive.values())

    def draw(rng: np.random.Generator) -> Drawn:
        p = min(max(rng.normal(fit.p, fit.std_error), 1e-12), 1.0 - 1e-9)
        sizes = simulate_simon(SimonParams(p=p), fit.total, rng)
        ends = [0, *np.rint(shares * sizes.size).astype(int).tolist()]
        parts = {c: sizes[a:b] for c, a, b in zip(order, ends[:-1], ends[1:], strict=True)}
        return {c: Counts.from_sample(part) for c, part in parts.items() if part.size}

    return draw


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


def _yule(attachment: AttachmentCalibration, zeta: float, cohorts: Cohorts) -> Draw:
    params = tuned_yule(attachment, zeta)
    oldest = np.full(cohorts.n_undated, attachment.entry.horizon)
    ages = np.concatenate([oldest, cohorts.ages])
    return lambda rng: _split(simulate_yule(params, ages, rng), cohorts)


def _demand(fit: DemandFit, cohorts: Cohorts) -> Draw:
    rho = fit.params().rho

    def draw(rng: np.random.Generator) -> Drawn:
        zeta = max(rng.normal(fit.zeta, fit.std_error), 0.05)
        params = DemandParams(alpha=zeta * rho / (1.0 - rho), rho=rho)
        return _split(simulate_demand(params, cohorts.n_items, fit.total, rng), cohorts)

    return draw


def birth_params(law: WholeSampleFit) -> StaticSizeParams:
    """Return the law of the size at birth for `simulate_static_counts`."""
    p = law.parameters
    return StaticSizeParams(
        mu=p["mu"],
        sigma=p["sigma"],
        alpha=p.get("alpha", math.inf),
        beta=p.get("beta", math.inf),
    )


def _birth(law: WholeSampleFit, cohorts: Cohorts) -> Draw:
    params = birth_params(law)
    return lambda rng: _split(simulate_static_counts(params, cohorts.n_items, rng), cohorts)


def _fitness(fit: PoissonRatesFit, attachment: AttachmentCalibration, cohorts: Cohorts) -> Draw:
    ages = np.concatenate([np.full(cohorts.n_undated, attachment.entry.horizon), cohorts.ages])
    return lambda rng: _split(simulate_poisson_rates(fit.params, ages, rng), cohorts)


def drawn_growth(calibration: GrowthCalibration, rng: np.random.Generator) -> GrowthParams:
    """Draw drift and volatility from their sampling distribution."""
    fit = calibration.alive
    spread = np.linalg.cholesky(fit.covariance + 1e-15 * np.eye(2))
    m, s2 = np.array([fit.m, fit.sigma**2]) + spread @ rng.standard_normal(2)
    s2 = max(float(s2), 1e-6)
    return GrowthParams(
        mu=float(m) + 0.5 * s2, sigma=math.sqrt(s2), exit_rate=calibration.params.exit_rate
    )


def drawn_survivors(calibration: GrowthCalibration, rng: np.random.Generator) -> GrowthParams:
    """Draw what the panel of today's largest says of growth: winners only, and none exits.

    Beside the population it shows what the choice of survivors does.
    """
    p, panel = calibration.survivors, calibration.panel
    shift = panel.drift_survivors_std_error * float(rng.standard_normal())
    return GrowthParams(mu=p.mu + shift, sigma=p.sigma)


def _growth(
    calibration: GrowthCalibration,
    params: Callable[[GrowthCalibration, np.random.Generator], GrowthParams],
) -> Draw:
    def draw(rng: np.random.Generator) -> Drawn:
        drawn = params(calibration, rng)
        sizes = simulate_growth(drawn, calibration.log_entry, calibration.ages, rng)
        return {UNDATED: Counts.from_sample(sizes)}

    return draw


def simulate_models(
    draws: Mapping[tuple[str, str], Draw], *, n_replications: int, seed: int
) -> pl.DataFrame:
    """Draw every model and return histograms: model, measure, replicate, cohort, value, n_items."""
    parts = []
    for key, draw in draws.items():
        samples = replicate(draw, n_replications=n_replications, seed=seed_of(seed, key))
        for i, drawn in enumerate(samples):
            parts += [_histogram(*key, i, cohort, counts) for cohort, counts in drawn.items()]
    return pl.concat(parts)


def refit_models(
    draws: Mapping[tuple[str, str], Draw],
    x_min: Mapping[str, float],
    *,
    n_replications: int,
    seed: int,
) -> Refits:
    """Draw every model and send each sample through the fits of the data; `x_min` by measure.

    The samples are those of `simulate_models` with the same seed, and are not kept.
    """

    def measured(draw: Draw, measure: str) -> Callable[[np.random.Generator], Statistics]:
        discrete = MEASURES[measure].discrete
        return lambda rng: measure_drawn(draw(rng), discrete=discrete, x_min=x_min[measure])

    return {
        key: replicate(
            measured(draw, key[1]), n_replications=n_replications, seed=seed_of(seed, key)
        )
        for key, draw in draws.items()
    }


def refit_later(
    refits: Refits,
    draws: Mapping[tuple[str, str], Callable[[np.random.Generator], Statistics]],
    *,
    seed: int,
) -> Refits:
    """Add to simulated samples what the same model gives over the following interval.

    To the first fifty: over a whole Hub theta, phi and psi hardly differ between draws.
    """

    def added(key: tuple[str, str]) -> tuple[Statistics, ...]:
        before = refits[key]
        n, seeds = min(len(before), MOST_LATER), seed_of(seed, (*key, "later"))
        later = replicate(draws[key], n_replications=n, seed=seeds)
        together = (sizes | moves for sizes, moves in zip(before[:n], later, strict=True))
        return (*together, *before[n:])

    return refits | {key: added(key) for key in draws if key in refits}


def seed_of(seed: int, key: Sequence[str]) -> list[int]:
    """Return the seed of one model: its name moves no other's draws."""
    return [seed, *"/".join(key).encode()]


def _histogram(model: str, measure: str, i: int, cohort: int, counts: Counts) -> pl.DataFrame:
    frame = pl.DataFrame({"value": counts.values, "n_items": counts.multiplicities})
    return frame.select(
        pl.lit(model).alias("model"),
        pl.lit(measure).alias("measure"),
        pl.lit(i, dtype=pl.Int32).alias("replicate"),
        pl.lit(cohort, dtype=pl.Int8).alias("cohort"),
        "value",
        "n_items",
    )
