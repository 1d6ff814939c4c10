"""Likes gained between two days: the kernel of attachment in the data, and under each mechanism.

A mechanism calibrated on one cross-section says what items of given likes and age gain next.
Yule's process and Simon's urn: in proportion to likes (plus a). CES and rates drawn at birth: at a
rate of one's own, of which the likes so far are the evidence, so that it is drawn from what is
known of it given likes (and age). All are brought to the observed total, and refitted alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.inflow import InflowFit, fit_inflow
from baimo.estimation.attachment.kernel import KernelFit, fit_attachment_kernel, kernel_point
from baimo.estimation.attachment.kernel_bins import KernelBinsFit
from baimo.estimation.attachment.noise import NoiseFit, around_kernel, fit_noise
from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.results import registered
from baimo.pipeline.drawn import Statistics
from baimo.pipeline.measures import DAYS_PER_YEAR, expand
from baimo.pipeline.mechanisms import tuned_yule
from baimo.pipeline.models import AttachmentCalibration

WHOLE = 0.9  # of the models of a day: then they stand for all
LARGEST_AUTHORS = 3  # left out to see how much hangs on them
ALONE_FROM = 10.0  # likes from which an item is a cell of its own (its scatter is measured)
GRID, REACH = 96, 7.0  # of a log rate: points, and standard deviations on either side of its mode

DrawGains = Callable[[np.random.Generator], Statistics]


@registered("KernelCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class KernelCalibration:
    """Kernel of attachment between two days.

    Parameters
    ----------
    before_on, after_on
        The two days, ISO.
    whole
        Whether the models stand for the whole Hub of the later day.
    inflow, kernel, noise, shape
        Fits, author-clustered; None where the data refuse one, with the reason in `notes`.
    without_largest
        The kernel without the three authors of the largest gains.
    stock, age, items : (cells,)
        Likes on the earlier day and age in years of models of known age, and how many share them.
    total_gain
        What these gained in sum.
    """

    before_on: str
    after_on: str
    whole: bool
    inflow: InflowFit
    kernel: KernelFit | None
    noise: NoiseFit | None
    shape: KernelBinsFit | None
    without_largest: KernelFit | None
    stock: Floats
    age: Floats
    items: Ints
    total_gain: float
    notes: tuple[str, ...] = ()

    @property
    def years(self) -> float:
        """Time between the two days."""
        return self.days / DAYS_PER_YEAR

    @property
    def days(self) -> int:
        """Days between the two."""
        return (date.fromisoformat(self.after_on) - date.fromisoformat(self.before_on)).days

    def statistics(self) -> tuple[Statistics, dict[str, float]]:
        """Return theta, phi and psi as far as they are known, and their standard errors."""
        found: Statistics = {}
        errors: dict[str, float] = {}
        for fit in (self.kernel, self.noise):
            for name, e in fit.estimates().items() if fit else ():
                if name in ("theta", "phi", "psi") and e.value is not None:
                    found[name], errors[name] = e.value, e.std_error or 0.0
        return found, errors


def calibrate_gains(
    increments: pl.DataFrame, frequency: pl.DataFrame, day: date
) -> KernelCalibration | None:
    """Fit the kernel to the likes of two days, None without such a table.

    Parameters
    ----------
    increments
        `hub_increments`.
    frequency
        `hub_frequency` of `day`: what the models are held against to see if they are all.
    """
    if increments.is_empty():
        return None
    before_on, after_on = increments["before_on"][0], increments["after_on"][0]
    rows = expand(increments, "n_models")
    before, after = (_floats(rows[f"likes_{side}"]) for side in ("before", "after"))
    ages, authors = _floats(rows["age"]), _own_labels(rows["author"])
    days = (after_on - before_on).days
    notes: list[str] = []

    def kernel(what: str, keep: NDArray[np.bool_]) -> KernelFit | None:
        try:
            return fit_attachment_kernel(
                before[keep], after[keep], ages=ages[keep], days=days, clusters=authors[keep]
            )
        except EstimationError as error:
            notes.append(f"no {what}: {error}")
            return None

    fit = kernel("kernel", np.ones(before.size, dtype=np.bool_))
    shape = noise = trimmed = None
    if fit is not None:
        shape, noise, refused = around_kernel(fit, before, after, ages=ages, clusters=authors)
        notes += refused
        trimmed = kernel("kernel without the largest", ~_largest(authors, after - before))
    there = int(np.isfinite(before).sum())
    then = int(frequency.filter(pl.col("created_on") <= before_on)["n_models"].sum())
    cells, gain = _cells(before, after, ages)
    return KernelCalibration(
        before_on=before_on.isoformat(),
        after_on=after_on.isoformat(),
        whole=after_on == day and there >= WHOLE * then,
        inflow=fit_inflow(before, after, days=days, clusters=authors),
        kernel=fit,
        noise=noise,
        shape=shape,
        without_largest=trimmed,
        stock=cells[0],
        age=cells[1],
        items=cells[2].astype(np.int64),
        total_gain=gain,
        notes=tuple(notes),
    )


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(math.nan).to_numpy()


def _own_labels(authors: pl.Series) -> Ints:
    """Return author codes; a model without an author is a cluster of its own."""
    codes = authors.fill_null(-1).to_numpy().astype(np.int64)
    own = codes < 0
    return np.where(own, codes.max(initial=0) + 1 + np.cumsum(own), codes)


def _largest(authors: Ints, gains: Floats) -> NDArray[np.bool_]:
    """Mark the models of the authors of the largest gains."""
    _, codes = np.unique(authors, return_inverse=True)
    sums = np.bincount(codes, weights=np.nan_to_num(gains))
    return np.isin(codes, np.argsort(-sums, kind="stable")[:LARGEST_AUTHORS])


def _cells(before: Floats, after: Floats, ages: Floats) -> tuple[Floats, float]:
    """Return (stock, age, items) of cells as rows, small stocks together, and the total gain."""
    used = np.isfinite(before) & np.isfinite(after) & np.isfinite(ages)
    small = used & (before < ALONE_FROM)
    keys, n = np.unique(np.column_stack([before, ages])[small], axis=0, return_counts=True)
    alone = used & ~small
    rows = np.column_stack([np.append(keys[:, i], v[alone]) for i, v in enumerate((before, ages))])
    items = np.append(n, np.ones(int(alone.sum())))
    return np.vstack([rows.T, items]), float((after - before)[used].sum())


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
    draws["Simon", "likes"] = _measured(c, lambda rng: rng.poisson(_shared(c, c.items * c.stock)))
    if attachment.entry.rate > 0:
        draws["Yule", "likes"] = _measured(c, _yule(c, attachment, demand["likes"].zeta))
    draws["CES", "likes"] = _measured(c, _demand(c, demand["likes"], attachment))
    if "likes" in fitness:
        draws["fitness", "likes"] = _measured(c, _rates(c, fitness["likes"]))
    return draws


def _shared(c: KernelCalibration, rates: Floats) -> Floats:
    """Bring rates to the observed total."""
    return rates * (c.total_gain / max(float(rates.sum()), 1e-300))


def _measured(c: KernelCalibration, draw: Callable[[np.random.Generator], Ints]) -> DrawGains:
    items, alone = c.items.astype(np.float64), c.stock >= ALONE_FROM

    def statistics(rng: np.random.Generator) -> Statistics:
        gains = draw(rng).astype(np.float64)
        theta, offset, phi = kernel_point(c.stock, c.age, gains, items)
        found = {"theta": theta, "phi": phi}
        if math.isfinite(theta):
            rates = items * (c.stock + offset) ** theta * c.age**phi
            expected = rates * (gains.sum() / rates.sum())
            stock = c.stock[alone]
            try:
                found["psi"] = fit_noise(stock, stock + gains[alone], expected[alone]).psi
            except DataError:
                found["psi"] = math.nan
        return found

    return statistics


def _yule(
    c: KernelCalibration, attachment: AttachmentCalibration, zeta: float
) -> Callable[[np.random.Generator], Ints]:
    """Draw births of a Yule process with immigration: negative binomial given the stock."""
    weight = c.items * (c.stock + tuned_yule(attachment, zeta).a)
    growth = c.total_gain / float(weight.sum())  # e^(gamma h) - 1
    return lambda rng: rng.negative_binomial(weight, 1.0 / (1.0 + growth))


def _rates(c: KernelCalibration, fit: PoissonRatesFit) -> Callable[[np.random.Generator], Ints]:
    """Draw Poisson gains at lognormal rates, each drawn from what its likes and age leave of it."""
    prior = fit.mu + fit.phi * np.log(c.age)
    variance = max(fit.sigma, 1e-6) ** 2
    x = _mode(c.stock, prior, variance)
    sd = 1.0 / np.sqrt(np.exp(x) + 1.0 / variance)
    grid = x[:, None] + sd[:, None] * np.linspace(-REACH, REACH, GRID)
    log_density = c.stock[:, None] * grid - np.exp(grid)
    log_density -= (grid - prior[:, None]) ** 2 / (2.0 * variance)
    chances = _normalised(log_density)
    onward = (1.0 + c.years / c.age) ** fit.phi - 1.0  # of the rate so far, in the years to come

    def draw(rng: np.random.Generator) -> Ints:
        numbers = rng.multinomial(c.items, chances)
        return rng.poisson(_shared(c, onward * np.sum(numbers * np.exp(grid), axis=1)))

    return draw


def _mode(stock: Floats, prior: Floats, variance: float) -> Floats:
    """Return the mode of L x - e^x - (x - m)^2/(2 v) by Newton's method (concave)."""
    x = np.where(stock > 0, np.log(np.maximum(stock, 1.0)), np.minimum(prior, 0.0))
    for _ in range(50):
        slope = stock - np.exp(x) - (x - prior) / variance
        step = slope / (np.exp(x) + 1.0 / variance)
        x = x + np.clip(step, -2.0, 2.0)
        if np.max(np.abs(step)) < 1e-10:
            break
    return x


def _normalised(log_density: Floats) -> Floats:
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    chances = density / density.sum(axis=1, keepdims=True)
    return np.asarray(chances * (1.0 - 1e-12))  # rounding must not exceed one


def _demand(
    c: KernelCalibration, fit: DemandFit, attachment: AttachmentCalibration
) -> Callable[[np.random.Generator], Ints]:
    """Draw Poisson gains at Pareto rates of no age, given the likes so far."""
    stocks, where = np.unique(c.stock, return_inverse=True)
    n, total = attachment.simon_likes.n_obs, attachment.simon_likes.total

    def draw(rng: np.random.Generator) -> Ints:
        zeta = max(rng.normal(fit.zeta, fit.std_error), 0.05)
        tastes = float(np.sum(np.exp(rng.standard_exponential(n) / zeta)))
        least = math.log(total / tastes)  # smallest rate: the observed total, shared by tastes
        top = np.log(stocks + REACH**2 + 4.0 * REACH * np.sqrt(stocks + 1.0))
        low = np.log(np.maximum(stocks - REACH * np.sqrt(stocks + 1.0), 1e-300))
        low, top = np.maximum(low, least), np.maximum(top, least + 1.0)
        grid = low[:, None] + (top - low)[:, None] * (np.arange(GRID) + 0.5) / GRID
        chances = _normalised((stocks - zeta)[:, None] * grid - np.exp(grid))
        numbers = rng.multinomial(c.items, chances[where])
        return rng.poisson(_shared(c, np.sum(numbers * np.exp(grid)[where], axis=1)))

    return draw
