"""Models of the whole sample: every item, zeros included, by maximum likelihood.

A tail index describes the few largest items; half of all downloads on the Hub are zero. These
models put a probability on every count, so that body, zeros and tail are judged together:
(zero-inflated) negative binomial and Poisson-lognormal, and a lognormal or double Pareto-lognormal
size rounded to whole numbers, P(x) = F(x + 1/2) - F(x - 1/2). Sizes that are not counts get the
last two as densities over the positive values. Counts without a single zero, as words of a text
are, get the laws of the positive counts. The formulas stand in `count_densities`.

The likelihood is maximised on the log scale of positive parameters and the logit scale of shares,
from several starts, then by Newton steps; the standard error is the delta method on the observed
information (fourth-order differences over a tenth of a standard error), the interval the image of
the one on the log or logit scale. A parameter whose limit (no dispersion, no extra zeros, no
Pareto tail) is no worse than any value inside is reported at that limit, without an error.

A density gives no single value a probability. Where a share s of the items are equal, every
continuous law is at a Kolmogorov-Smirnov distance of s/2 or more, and a sharp enough density on the
tie wins a likelihood that says nothing. Where s/2 is beyond chance (1.63/sqrt(n), the 1 % point),
the fit of a density is marked as refuted by ties and not converged, and left out of the ranking.
A fit that did not converge for another reason stays in it: its likelihood can only be too low.

Coverage of the 95 % intervals, 2,000 samples each, n = 200 / 2,000. Negative binomial, mean and
dispersion: (5, 2) .949 .952 / .953 .952; (100, 15) .944 .953 / .943 .949. Poisson-lognormal, mu
and sigma: (0, 2) .947 .950 / .944 .948; (-3, 3), where 77 % are zero, .937 .945 / .955 .950. A
plain value +- 1.96 errors covers the mean of (100, 15) in .915 of the samples of 200.
1,000 samples each, n = 500 / 2,000: discretised lognormal (-1, 2.5) .952 .951 / .956 .968, (2, 1)
.953 .955 / .958 .951; lognormal (14, 3) .957 .938 / .954 .954; zero-inflated negative binomial
(40, 1, pi .3) .946 .949 .951 / .948 .947 .960; zero-inflated Poisson-lognormal (2, 1.2, pi .4)
.938 .951 .958 / .961 .953 .954; rounded double Pareto-lognormal (2, .6, 1.2, .8) .945 .933 .955
.948 / .950 .949 .952 .969, where sigma has no interval in 2.6 % of the samples of 500 (it is at 0).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.distributions._likelihood import SAME, Likelihood, named
from baimo.estimation.distributions._models import (
    COUNT_MODELS,
    MODELS,
    SIZE_MODELS,
    ZERO_INFLATED,
    Model,
    Vector,
    model_of,
)
from baimo.estimation.errors import ConvergenceError, ConvergenceWarning, DataError
from baimo.estimation.laws import chi2_sf, normal_sf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.samples.influence import likelihood_influence

_COUNT_CLASSES = ((0, "0"), (1, "1"), (9, "2-9"), (99, "10-99"), (999, "100-999"))
_Z95 = 1.959964
_ATOM = 1.63  # 1 % point of sqrt(n) times Kolmogorov's distance
_MOST_CLASSES = 8
_DOUBTFUL, _FAILED = 1e-6, 0.1  # remaining gain of a Newton step, in log-likelihood


@registered("WholeSampleFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class WholeSampleFit(FitResult):
    """One model of the whole sample.

    Parameters
    ----------
    model
        A name from `COUNT_MODELS` or `SIZE_MODELS`.
    parameters, std_errors, intervals
        By parameter; error and 95 % interval None where unknown (at a boundary).
    log_likelihood, aic, bic
        Of all items used.
    observed_zeros, expected_zeros
        Share of zeros in the data and under the model; the latter None for sizes, whose zeros
        are left out, and for counts without zeros.
    tail_exponent
        zeta of P(X > x) ~ x^-zeta; None for a model, or a fit, without a power tail.
    at_boundary
        Some parameter lies at its limit or at the edge of the search; `notes` says which.
    classes, observed_shares, expected_shares
        Size classes with the share of the items used in each, seen and expected.
    ks_distance
        Largest gap between the two distribution functions.
    zero_truncated
        Counts without any zero: probabilities are those given X > 0, parameters those of X.
    refuted_by_ties
        A density of sizes too many of which are equal: its likelihood does not compare.
    """

    model: str
    parameters: dict[str, float]
    std_errors: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]
    log_likelihood: float
    aic: float
    bic: float
    observed_zeros: float
    expected_zeros: float | None
    tail_exponent: float | None
    at_boundary: bool
    classes: tuple[str, ...]
    observed_shares: tuple[float, ...]
    expected_shares: tuple[float, ...]
    ks_distance: float
    zero_truncated: bool = False
    refuted_by_ties: bool = False
    title: ClassVar[str] = "Model of the whole sample"

    def estimates(self) -> dict[str, Estimate]:
        """Return the parameters, then the share of zeros under the model."""
        out = {
            name: Estimate(value=v, std_error=self.std_errors[name], interval=self.intervals[name])
            for name, v in self.parameters.items()
        }
        if self.expected_zeros is not None:
            out["expected_zeros"] = Estimate(value=self.expected_zeros)
        return out

    def log_probability(self, x: ArrayLike) -> Floats:
        """Return the log pmf of counts, or the log density of positive sizes."""
        return self._model.log_probability(self._inside(), np.asarray(x, dtype=float))

    def with_parameters(self, changed: Mapping[str, float]) -> WholeSampleFit:
        """Return the same law at other parameters; what was measured at these is kept."""
        return replace(self, parameters={**self.parameters, **changed})

    def cdf(self, x: ArrayLike) -> Floats:
        """Return P(X <= x), at whole x for counts."""
        return self._model.cdf(self._inside(), np.asarray(x, dtype=float))

    @property
    def _model(self) -> Model:
        return model_of(self.model, self.zero_truncated)

    def _inside(self) -> Vector:
        """Return the parameters, limits replaced by the numbers that stand for them."""
        table = MODELS[self.model].parameters
        return tuple(p.natural(p.working(self.parameters[p.name])) for p in table)


@registered("WholeSampleVuong")
@dataclass(frozen=True, eq=False, kw_only=True)
class WholeSampleVuong:
    """The model with the lowest BIC against one rival.

    Parameters
    ----------
    best, rival
        Their names.
    log_likelihood_ratio
        Log-likelihood of the best less that of the rival.
    vuong, p_value
        Vuong's statistic and two-sided normal p; None when nothing separates the two item by
        item, or when one contains the other.
    p_nested
        When one contains the other: p of "the smaller one suffices". Extra zeros: half
        chi-square with one degree, pi = 0 being a boundary. Pareto tails on a lognormal:
        chi-square with two degrees, an upper bound (the information is singular there).
    """

    best: str
    rival: str
    log_likelihood_ratio: float
    vuong: float | None
    p_value: float | None
    p_nested: float | None

    @property
    def verdict(self) -> str:
        """Name the model that the data prefer at the 5 % level."""
        if self.p_nested is not None:
            smaller, larger = sorted((self.best, self.rival), key=lambda m: MODELS[m].size)
            return larger if self.p_nested < 0.05 else f"{smaller} suffices"
        if self.p_value is None or self.p_value >= 0.05:
            return "cannot tell"
        return self.best if self.log_likelihood_ratio > 0 else self.rival


@registered("WholeSampleComparison")
@dataclass(frozen=True, eq=False, kw_only=True)
class WholeSampleComparison:
    """Models of one sample, lowest BIC first, with tests of the first against each other one.

    Densities refuted by ties, whose likelihoods do not compare, come last and are not tested.
    """

    fits: tuple[WholeSampleFit, ...]
    tests: tuple[WholeSampleVuong, ...]

    @property
    def best(self) -> WholeSampleFit:
        """The fit with the lowest BIC of those not refuted by ties; of all, where all are."""
        return self.fits[0]

    def verdict(self, fit: WholeSampleFit) -> str:
        """Say in words where one of the fits stands."""
        if fit.refuted_by_ties:
            return "excluded: a density on ties"
        if fit is self.best:
            verdict = "lowest BIC"
        else:
            verdict = next(t.verdict for t in self.tests if t.rival == fit.model)
        if verdict == fit.model:
            verdict = "preferred by the test, not by BIC"
        return verdict if fit.converged else f"{verdict} (did not converge)"

    def summary(self) -> str:
        """Return a table for a terminal: fit, zeros, tail, and shares by size class."""
        head = f"{'model':<37}{'BIC - best':>12}{'KS':>8}{'zeros':>8}{'tail':>8}  verdict"
        lines = [head]
        for fit in self.fits:
            zeros = "-" if fit.expected_zeros is None else f"{fit.expected_zeros:.4f}"
            tail = "-" if fit.tail_exponent is None else f"{fit.tail_exponent:.3f}"
            gap = f"{fit.bic - self.best.bic:,.1f}" if not fit.refuted_by_ties else "-"
            lines.append(
                f"{fit.model:<37}{gap:>12}{fit.ks_distance:>8.4f}{zeros:>8}{tail:>8}  "
                f"{self.verdict(fit)}"
            )
        left_out = self.best.n_used < self.best.n_obs
        what = f"share of {'positive ' if left_out else ''}items in"
        lines.append(f"{what:<37}" + "".join(f"{c:>16}" for c in self.best.classes))
        rows = [("observed", self.best.observed_shares)]
        rows += [(fit.model, fit.expected_shares) for fit in self.fits]
        lines += [f"{name:<37}" + "".join(f"{s:>16.5f}" for s in shares) for name, shares in rows]
        doubtful = [fit for fit in self.fits if not fit.converged]
        lines += [f"note: {fit.model} did not converge: {'; '.join(fit.notes)}" for fit in doubtful]
        return "\n".join(lines)


def fit_whole_sample(
    data: Counts | ArrayLike, model: str, *, discrete: bool = True
) -> WholeSampleFit:
    """Fit one model to all items.

    Parameters
    ----------
    data
        One element per item, zeros included, or Counts.
    model
        A name from `COUNT_MODELS`, or from `SIZE_MODELS` with `discrete=False`.
    discrete
        Counts (True) or sizes, of which only the positive ones are used.

    Raises
    ------
    DataError
        Unknown model; values that are not counts; all zero or all equal.
    ConvergenceError
        No start led to an optimum; `last` holds the best point reached.
    """
    return _fit(model, *_prepare(data, discrete, (model,)))


def law_influence(law: WholeSampleFit, values: Floats, multiplicities: Floats) -> dict[str, Floats]:
    """Return the influence of one item of each value on every parameter with an error.

    Parameters
    ----------
    values, multiplicities : (n,)
        The sample of the fit: distinct values, and items of each.
    """
    free = {name: error for name, error in law.std_errors.items() if error}

    def log_likelihood(at: Floats) -> Floats:
        moved = dict(zip(free, at.tolist(), strict=True))
        return law.with_parameters(moved).log_probability(values)

    at = np.array([law.parameters[name] for name in free])
    influence = likelihood_influence(
        log_likelihood, at, np.array(list(free.values())), multiplicities
    )
    return dict(zip(free, influence.T, strict=True))


def compare_whole_sample(
    data: Counts | ArrayLike, *, discrete: bool = True, models: tuple[str, ...] | None = None
) -> WholeSampleComparison:
    """Fit `models` and test the lowest BIC against each other one.

    Default: all of the kind; for counts without zeros, all but the zero-inflated ones. Other
    parameters and errors as `fit_whole_sample`.
    """
    names = models if models is not None else COUNT_MODELS if discrete else SIZE_MODELS
    used, whole = _prepare(data, discrete, names)
    if models is None and used.n_zero == 0:
        names = tuple(name for name in names if name not in ZERO_INFLATED)
    found = [_fit(name, used, whole) for name in dict.fromkeys(names)]
    fits = sorted(found, key=lambda fit: (fit.refuted_by_ties, fit.bic))
    rivals = (fit for fit in fits[1:] if not fit.refuted_by_ties)
    tests = tuple(_vuong(used, fits[0], rival) for rival in rivals)
    return WholeSampleComparison(fits=tuple(fits), tests=tests)


def _prepare(
    data: Counts | ArrayLike, discrete: bool, models: tuple[str, ...]
) -> tuple[Counts, Counts]:
    """Return the items used and all items; refuse what cannot be fitted."""
    known = COUNT_MODELS if discrete else SIZE_MODELS
    if not models or not set(models) <= set(known):
        raise DataError(f"unknown model in {models} for discrete={discrete}; choose from {known}")
    whole = as_counts(data)
    largest = float(whole.values[-1])
    if largest == 0.0:
        raise DataError("all values are zero: there is no model to fit; check the column")
    if discrete:
        whole.refuse_fractions()
    used = whole if discrete else whole.positive()
    if used.n_unique == 1:
        raise DataError(f"all values used are equal to {largest:g}; give a sample that varies")
    return used, whole


def _fit(name: str, used: Counts, whole: Counts) -> WholeSampleFit:
    truncated = MODELS[name].discrete and used.n_zero == 0
    model = model_of(name, truncated)
    best = Likelihood(model, used).maximise()
    parameters = named(model, best.theta)
    errors: dict[str, float | None] = dict.fromkeys(parameters)
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(parameters)
    notes, doubts = [], []
    for i, (p, t) in enumerate(zip(model.parameters, best.theta.tolist(), strict=True)):
        if not best.free[i]:
            notes.append(f"{p.name} is at its limit {parameters[p.name]:g}: its error is unknown")
        elif not p.low + 1e-3 < t < p.high - 1e-3:
            doubts.append(f"{p.name} ran to the edge of the search")
        elif best.covariance is not None:
            place = int(best.free[:i].sum())
            half = _Z95 * math.sqrt(best.covariance[place, place])
            errors[p.name], value = half / _Z95 * p.slope(t), p.natural(t)
            low, high = p.reported(t - half), p.reported(t + half)
            if half > 2.0 and p.at_low is not None:  # the log scale says nothing near a limit of 0
                low, high = max(value - half * p.slope(t), p.at_low), value + half * p.slope(t)
            intervals[p.name] = (low, high)
    if best.free.sum() < model.size - 2:
        doubts.append("all spread is at its limit: the data do not identify it")
    if best.covariance is None:
        doubts.append("the information is singular: the data do not identify all parameters")
    elif best.gain > _FAILED and not doubts:  # at an edge the top lies beyond
        says = f"{name}: the search stopped {best.gain:.3g} below the top; try a simpler model"
        raise ConvergenceError(says, parameters)
    elif best.gain > _DOUBTFUL:
        doubts.append(f"the search stopped {best.gain:.1g} below the top")
    ties = [] if model.discrete else _ties(used)
    doubts += ties
    if doubts:
        warnings.warn(f"{name}: {'; '.join(doubts)}", ConvergenceWarning, stacklevel=3)
    k, n, zeros, alpha = model.size, used.n_obs, whole.n_zero / whole.n_obs, parameters.get("alpha")
    if whole.n_obs > n:
        notes.append(f"{whole.n_zero:,} zeros ({zeros:.1%}) are left out: a density has none")
    if truncated:
        notes.append("no zeros in the data: the model is that of the positive counts")
    p_hat = tuple(q.natural(float(t)) for q, t in zip(model.parameters, best.theta, strict=True))
    classes, seen, predicted = _shares(model, p_hat, used)
    return WholeSampleFit(
        n_obs=whole.n_obs,
        n_used=n,
        converged=not doubts,
        notes=(*doubts, *notes),
        model=name,
        parameters=parameters,
        std_errors=errors,
        intervals=intervals,
        log_likelihood=best.log_likelihood,
        aic=2.0 * (k - best.log_likelihood),
        bic=k * math.log(n) - 2.0 * best.log_likelihood,
        observed_zeros=zeros,
        expected_zeros=predicted[0] if model.discrete and not truncated else None,
        tail_exponent=None if alpha == math.inf else alpha,
        at_boundary=not bool(best.free.all()) or any("edge" in d for d in doubts),
        classes=classes,
        observed_shares=seen,
        expected_shares=predicted,
        ks_distance=_ks(model, p_hat, used),
        zero_truncated=truncated,
        refuted_by_ties=bool(ties),
    )


def _ties(used: Counts) -> list[str]:
    """Say so where equal items refute every density at once."""
    largest = int(used.multiplicities.argmax())
    share = float(used.multiplicities[largest]) / used.n_obs
    if share / 2.0 <= _ATOM / math.sqrt(used.n_obs):
        return []
    return [
        f"{share:.1%} of the items equal {used.values[largest]:g}: a density has no such ties, its "
        "likelihood is no measure of fit; fit whole numbers as counts, or leave the tied values out"
    ]


def _shares(model: Model, p: Vector, c: Counts) -> tuple[tuple[str, ...], Vector, Vector]:
    """Return size classes with observed and expected shares; decades for sizes."""
    if model.discrete:
        edges = np.array([cut for cut, _ in _COUNT_CLASSES], dtype=float)
        classes = (*(name for _, name in _COUNT_CLASSES), f">= {edges[-1] + 1:g}")
    else:
        first, last = (math.floor(math.log10(c.quantile(q))) for q in (0.02, 0.98))
        last = max(last, first + 1)
        powers = range(first + 1, last + 1, 1 + (last - first) // _MOST_CLASSES)
        edges = 10.0 ** np.array(powers)
        classes = (*(f"<= 1e{k}" for k in powers), f"> 1e{powers[-1]}")
    upto = np.concatenate([[0], np.cumsum(c.multiplicities)])
    seen = upto[np.searchsorted(c.values, edges, side="right")] / c.n_obs
    both = (np.diff(f, prepend=0.0, append=1.0).tolist() for f in (seen, model.cdf(p, edges)))
    return classes, tuple(next(both)), tuple(next(both))


def _ks(model: Model, p: Vector, c: Counts) -> float:
    """Return the largest |F - ECDF|, also just below each value, where the ECDF is one lower."""
    upto = np.cumsum(c.multiplicities) / c.n_obs
    before = np.concatenate([[0.0], upto[:-1]])
    below = np.maximum(c.values - 1.0, 0.0) if model.discrete else c.values
    gap = np.abs(model.cdf(p, below) - before)
    if model.discrete and c.values[0] == 0.0:
        gap[0] = 0.0
    return float(max(gap.max(), np.abs(model.cdf(p, c.values) - upto).max()))


def _vuong(c: Counts, best: WholeSampleFit, rival: WholeSampleFit) -> WholeSampleVuong:
    ratio = best.log_likelihood - rival.log_likelihood
    vuong = p_value = p_nested = None
    ours, theirs = MODELS[best.model], MODELS[rival.model]
    if rival.model == ours.nested or best.model == theirs.nested:
        gained = 2.0 * (ratio if ours.size > theirs.size else -ratio)
        extra = abs(ours.size - theirs.size)
        p_nested = chi2_sf(gained, extra) / (2.0 if extra == 1 else 1.0)
        p_nested = p_nested if gained > 2.0 * SAME else 1.0
    else:
        gaps = best.log_probability(c.values) - rival.log_probability(c.values)
        variance = c.sum((gaps - ratio / c.n_obs) ** 2) / c.n_obs
        if variance > 1e-12:
            vuong = ratio / math.sqrt(c.n_obs * variance)
            p_value = float(2.0 * normal_sf(abs(vuong)))
    return WholeSampleVuong(
        best=best.model,
        rival=rival.model,
        log_likelihood_ratio=ratio,
        vuong=vuong,
        p_value=p_value,
        p_nested=p_nested,
    )
