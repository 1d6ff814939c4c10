"""Normal, Student and chi-square laws: the bits of `scipy.stats`, from `scipy.special`.

`scipy.stats` takes a quarter of a second to import, at each start of a command; these few functions
of it are all that every estimator needs. Arguments are as there: probability or value first.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from scipy import special

from baimo.estimation.arrays import Floats


@overload
def normal_cdf(x: float) -> float: ...
@overload
def normal_cdf(x: Floats) -> Floats: ...
def normal_cdf(x: float | Floats) -> float | Floats:
    """Return P(Z <= x) of the standard normal law."""
    value = special.ndtr(x)
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def normal_sf(x: float) -> float:
    """Return P(Z > x) of the standard normal law."""
    return float(special.ndtr(-x))


def normal_pdf(x: float) -> float:
    """Return the density of the standard normal law."""
    return float(np.exp(-(x**2) / 2.0) / math.sqrt(2.0 * math.pi))


def normal_ppf(p: float) -> float:
    """Return the quantile of the standard normal law."""
    return float(special.ndtri(p))


def t_cdf(x: float, df: float) -> float:
    """Return P(T <= x) of Student's law; with infinite degrees of freedom the normal one."""
    return float(special.stdtr(df, x))


def t_sf(x: float, df: float) -> float:
    """Return P(T > x) of Student's law; with infinite degrees of freedom the normal one."""
    return t_cdf(-x, df)


def t_ppf(p: float, df: float) -> float:
    """Return the quantile of Student's law; with infinite degrees of freedom the normal one."""
    return float(special.stdtrit(df, p))


def chi2_sf(x: float, df: float) -> float:
    """Return P(X > x) of the chi-square law, x >= 0."""
    return float(special.chdtrc(df, x))


def chi2_ppf(p: float, df: float) -> float:
    """Return the quantile of the chi-square law."""
    return float(2.0 * special.gammaincinv(df / 2.0, p))
