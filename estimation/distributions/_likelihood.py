"""The maximum of a whole-sample likelihood: several starts, Newton steps, limits of parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from baimo.estimation.arrays import Floats
from baimo.estimation.distributions._models import Model
from baimo.estimation.errors import ConvergenceError
from baimo.estimation.samples.counts import Counts

SAME = 1e-5  # a log-likelihood gain that no data could show
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Optimum:
    """The top, on the working scale.

    Parameters
    ----------
    theta : (d,)
        All parameters.
    free : (d,) bool
        False for those at a limit.
    log_likelihood
        There.
    gain
        What one more Newton step promises.
    covariance
        Of the free ones; None where the information is singular.
    """

    theta: Floats
    free: Flags
    log_likelihood: float
    gain: float
    covariance: Floats | None


class Likelihood:
    """The log-likelihood of one model on one sample, in working parameters."""

    def __init__(self, model: Model, c: Counts) -> None:
        self.model, self.c = model, c
        self.low, self.high = np.array([(p.low, p.high) for p in model.parameters]).T
        # Near a limit a log or logit is vague and the parameter is not; elsewhere vague is vague.
        limited = [p.at_low is not None or p.at_high is not None for p in model.parameters]
        self.vague = np.array([p.scale == "log" for p in model.parameters]) & ~np.array(limited)

    def logs(self, theta: Floats) -> Floats:
        """Return the log probability of each distinct value."""
        p = tuple(q.natural(float(t)) for q, t in zip(self.model.parameters, theta, strict=True))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.model.log_probability(p, self.c.values)

    def climb(self, start: Floats, free: Flags) -> Floats:
        """Return about where BFGS on the mean log-likelihood ends, ends of the ranges as walls."""
        theta = start.copy()

        def cost(t: Floats) -> float:
            theta[free] = np.clip(t, self.low[free], self.high[free])
            value = -self.c.sum(self.logs(theta)) / self.c.n_obs
            return value if math.isfinite(value) else 1e10

        cost(optimize.minimize(cost, start[free], method="BFGS", options={"gtol": 1e-4}).x)
        return theta

    def gain(self, theta: Floats, base: Floats) -> float:
        """Return the log-likelihood less that of `base`, value by value: no digits lost."""
        value = self.c.sum(self.logs(theta) - base)
        return value if math.isfinite(value) else -1e300

    def differences(self, theta: Floats, free: Flags, h: Floats) -> tuple[Floats, Floats]:
        """Return gradient and information of the free parameters by central differences."""
        base, index = self.logs(theta), np.flatnonzero(free)
        d = index.size
        moves = np.zeros((d, theta.size))
        moves[np.arange(d), index] = h

        def at(move: Floats) -> float:
            return self.gain(theta + move, base)

        gradient, information = np.empty(d), np.empty((d, d))
        for i in range(d):
            up, down, up2, down2 = (at(f * moves[i]) for f in (1.0, -1.0, 2.0, -2.0))
            gradient[i] = (8.0 * (up - down) - (up2 - down2)) / (12.0 * h[i])
            information[i, i] = ((up2 + down2) - 16.0 * (up + down)) / (12.0 * h[i] ** 2)
            for j in range(i):
                mixed = at(moves[i] + moves[j]) + at(-moves[i] - moves[j])
                mixed -= at(moves[i] - moves[j]) + at(moves[j] - moves[i])
                information[i, j] = information[j, i] = -mixed / (4.0 * h[i] * h[j])
        return gradient, information

    def steps(self, theta: Floats, free: Flags, h: Floats) -> Floats:
        """Return a tenth of the standard error of each free parameter, the others held."""
        base, out = self.logs(theta), h.copy()
        for place, i in enumerate(np.flatnonzero(free)):
            move = np.zeros_like(theta)
            move[i] = h[place]
            bend = -(self.gain(theta + move, base) + self.gain(theta - move, base))
            out[place] = h[place] * min(max(0.1 / math.sqrt(max(bend, 1e-12)), 1e-3), 100.0)
        return np.clip(out, 1e-6, 0.1)

    def polish(self, theta: Floats, free: Flags) -> Optimum:
        """Newton steps to the top, then the information there to fourth order."""
        h = self.steps(theta, free, np.full(int(free.sum()), 1e-3))
        for _ in range(50):
            h = self.steps(theta, free, h)
            gradient, information = self.differences(theta, free, h)
            values, vectors = np.linalg.eigh(information)
            step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-8))
            if 0.5 * float(gradient @ step) < 1e-10:
                break
            step *= min(1.0, 2.0 / float(np.max(np.abs(step))))
            base, moved = self.logs(theta), theta.copy()
            for _ in range(14):
                moved[free] = np.clip(theta[free] + step, self.low[free], self.high[free])
                if self.gain(moved, base) > 0.0:
                    break
                step /= 2.0
            else:
                break
            theta = moved
        h = self.steps(theta, free, h)
        gradient, fine = self.differences(theta, free, h)
        information = (4.0 * fine - self.differences(theta, free, 2.0 * h)[1]) / 3.0
        total, left = self.c.sum(self.logs(theta)), math.inf
        covariance: Floats | None = None
        scale = np.sqrt(np.abs(np.diag(information))) + 1e-300
        if np.linalg.eigvalsh(information / np.outer(scale, scale))[0] > 1e-8:
            covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
            left = 0.5 * float(gradient @ covariance @ gradient)
            if np.any(np.diag(covariance)[self.vague[free]] > 100.0):  # a factor of e^10
                covariance = None
        return Optimum(theta, free, total, left, covariance)

    def maximise(self) -> Optimum:
        """Search from all starts, then try the model inside and limits the data leave open."""
        free = np.ones(self.model.size, dtype=bool)
        reached = []
        for start in self.model.starts(self.c):
            pairs = zip(self.model.parameters, start, strict=True)
            theta = self.climb(np.array([p.working(v) for p, v in pairs]), free)
            reached.append((self.c.sum(self.logs(theta)), theta))
        value, theta = max(reached, key=lambda end: end[0] if math.isfinite(end[0]) else -math.inf)
        if not math.isfinite(value):
            says = "the likelihood is zero at every start; check the data for extreme values"
            raise ConvergenceError(says, named(self.model, theta))
        best = self.polish(theta, free)
        smaller = self.model.inside()
        if smaller is not None:
            inner = Likelihood(smaller, self.c).maximise()
            more = self.model.parameters[inner.theta.size :]
            ends = [p.high if p.at_low is None else p.low for p in more]
            inside = np.concatenate([inner.free, np.zeros(len(more), dtype=bool)])
            there = self.polish(np.concatenate([inner.theta, ends]), inside)
            best = max(best, there, key=lambda o: o.log_likelihood + SAME * (o is there))
        while (at_limit := self.at_some_limit(best)) is not None:
            best = at_limit
        return best

    def at_some_limit(self, best: Optimum) -> Optimum | None:
        """Return the optimum with one more parameter at a limit, if that costs nothing."""
        for place, i in enumerate(np.flatnonzero(best.free)):
            if best.covariance is not None and best.covariance[place, place] < 0.25:
                continue
            p = self.model.parameters[i]
            for end in [p.low] * (p.at_low is not None) + [p.high] * (p.at_high is not None):
                free, theta = best.free.copy(), best.theta.copy()
                free[i], theta[i] = False, end
                there = self.polish(self.climb(theta, free), free)
                if there.log_likelihood >= best.log_likelihood - SAME:
                    return there
        return None


def named(model: Model, theta: Floats) -> dict[str, float]:
    """Return the parameters on the reported scale by name."""
    return {p.name: p.reported(float(t)) for p, t in zip(model.parameters, theta, strict=True)}
