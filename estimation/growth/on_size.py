"""Growth against size between two dates: the slope, the spread, and who stays ahead.

    g_i = a + b log s_i + u_i,   g_i = log(s_i' / s_i) / years

b = 0, and a spread of u that does not depend on s, is Gibrat's law, which a geometric Brownian
motion obeys. The choice of items decides much: those above a size on the *earlier* date leave b as
it is; a floor on both dates lowers it, for the small that fell are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.samples.clusters import jackknife_covariance
from baimo.estimation.samples.labels import label_codes

FEWEST = 20
_ROUNDING = 1e-12
Errors = Literal["HC1", "HC3"]


@dataclass(frozen=True, kw_only=True)
class GrowthOnSize:
    """Regression of yearly log growth on earlier log size, over items large enough on both dates.

    Parameters
    ----------
    slope, std_error
        Of yearly log growth on log size, 1/yr, and its error, clustered where labels are given,
        else robust to heteroskedasticity.
    spread_slope
        Slope of log |residual| on log size.
    autocorrelation
        Of log sizes on the two dates.
    n_used
        Items chosen.
    n_clusters
        Clusters among them, None without labels.
    """

    slope: float
    std_error: float
    spread_slope: float
    autocorrelation: float
    n_used: int
    n_clusters: int | None = None


def fit_growth_on_size(
    before: ArrayLike,
    after: ArrayLike,
    *,
    years: float,
    above: float = 0.0,
    floor: float = 0.0,
    errors: Errors = "HC3",
    fewest: int = FEWEST,
    clusters: ArrayLike | None = None,
) -> GrowthOnSize:
    """Regress yearly log growth on log size, among the items that were and are large enough.

    Parameters
    ----------
    before, after : (n,)
        Size on the earlier and the later date; NaN in `after`: the item is gone.
    years
        Between the dates, > 0.
    above
        Items beyond this size on the earlier date are chosen.
    floor
        Items beyond this size on the later date are chosen: smaller ones are gone.
    errors
        "HC1" ([White1980] with n/(n - 2)) or "HC3" [MacKinnonWhite1985], which is safer in small
        samples and with a few very large items.
    fewest
        Fewest items that make a regression.
    clusters : (n,), optional
        Labels (owners): the error is then the one-step jackknife over them (CR3).

    Raises
    ------
    DataError
        Sizes of different number, `years` not positive, fewer items than that, all of one size, or
        all but one: its growth alone would be the slope.
    """
    start, end = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if not (years > 0 and math.isfinite(years)):
        raise DataError(
            f"years = {years:g} must be positive and finite: the time between the dates"
        )
    if start.shape != end.shape or start.ndim != 1:
        raise DataError(f"before and after must match; got shapes {start.shape}, {end.shape}")
    chosen = (start > above) & (end > floor)
    n = int(chosen.sum())
    if n < fewest:
        raise DataError(
            f"{n} items exceed {above:g} before and {floor:g} after; at least {fewest} are needed"
        )
    x, y = np.log(start[chosen]), np.log(end[chosen])
    if np.ptp(x) == 0:
        raise DataError("all sizes before are equal: growth cannot depend on size; check the data")
    if _one_minus_leverage(x).min() < _ROUNDING:
        raise DataError(
            "all sizes before but one are equal: one item's growth alone would be the slope; "
            "check the data"
        )
    growth = (y - x) / years
    slope, level = np.polyfit(x, growth, 1)
    residual = growth - slope * x - level
    moved = np.abs(residual) > _ROUNDING * np.abs(growth).max()
    varied = moved.any() and np.ptp(x[moved]) > 0
    spread = np.polyfit(x[moved], np.log(np.abs(residual[moved])), 1)[0] if varied else 0.0
    labels = label_codes(clusters, start.size)
    return GrowthOnSize(
        slope=float(slope),
        std_error=_robust_error(x, residual, errors)
        if labels is None
        else _clustered_error(x, residual, labels[chosen]),
        spread_slope=float(spread),
        autocorrelation=float(np.corrcoef(x, y)[0, 1]),
        n_used=n,
        n_clusters=None if labels is None else int(np.unique(labels[chosen]).size),
    )


def _clustered_error(x: Floats, residual: Floats, codes: Ints) -> float:
    design = np.column_stack([np.ones(x.size), x - x.mean()])
    return math.sqrt(float(jackknife_covariance(design, 1.0, residual, codes)[1, 1]))


def _one_minus_leverage(x: Floats) -> Floats:
    """Return the share of each item's growth that does not move its own fitted one, 0 to 1."""
    centred = x - x.mean()
    return np.asarray(1.0 - 1.0 / x.size - centred**2 / float(centred @ centred))


def _robust_error(x: Floats, residual: Floats, errors: Errors) -> float:
    """Return the standard error of a simple regression's slope."""
    centred = x - x.mean()
    square = float(centred @ centred)
    if errors == "HC1":
        weighted = residual * math.sqrt(x.size / (x.size - 2.0))
    else:
        weighted = residual / _one_minus_leverage(x)
    return math.sqrt(float(np.sum((centred * weighted) ** 2))) / square


def bootstrap_growth_on_size(
    before: Floats,
    after: Floats,
    groups: Sequence[Ints],
    *,
    years: float,
    floor: float,
    rng: np.random.Generator,
    n_replications: int = 400,
) -> dict[str, float]:
    """Return standard errors of slope, spread_slope and autocorrelation, groups resampled whole.

    Parameters
    ----------
    before, after : (n,)
        As for `fit_growth_on_size`, with one floor for both dates.
    groups
        Rows of each group of items that share shocks.

    Returns
    -------
    dict
        By name; empty where too few resamples can be fitted.
    """
    found = []
    for _ in range(n_replications):
        rows = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        try:
            fit = fit_growth_on_size(
                before[rows], after[rows], years=years, above=floor, floor=floor
            )
        except DataError:
            continue
        found.append([fit.slope, fit.spread_slope, fit.autocorrelation])
    if len(found) < FEWEST:
        return {}
    errors = np.std(found, axis=0, ddof=1).tolist()
    return dict(zip(("slope", "spread_slope", "autocorrelation"), errors, strict=True))
