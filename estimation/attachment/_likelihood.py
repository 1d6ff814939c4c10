"""Poisson pseudo likelihood of the kernel of attachment, and its maximum by Newton's method.

    E[y_i] = exp(c + theta log(L_i + a) + phi log(age_i)),

in (c, theta, log a, phi), log a and phi where they are free. The offset makes the model nonlinear:
Fisher scoring, which leaves out the residuals' part of the Hessian, crawls there, so that Newton
takes the Hessian itself wherever that is positive definite.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.samples.clusters import refuse_few

OFFSETS = (1e-3, 1e2)  # times the smallest and the mean positive stock: where the offset is sought
RIDGE = 0.05  # of the upper end: five times the mean stock
# Beyond [Satterthwaite1946], whose cover .97 to .98 where a few clusters decide (2,000 runs)
MORE_DEGREES = 2.0
_STEPS = 200


class Spread(NamedTuple):
    """Errors of an estimate: covariance (k, k), degrees of freedom (k,), and what decides.

    `largest_share` is the share of one cluster in the information on theta.
    """

    covariance: Floats
    degrees: Floats
    largest_share: float


class KernelLikelihood:
    """Poisson pseudo likelihood of gains y; the offset is free unless given or held at an end.

    With `items` a row stands for so many items of one stock and age, and y for their sum: the
    optimum is that of the items one by one.
    """

    def __init__(
        self,
        y: Floats,
        stock: Floats,
        log_age: Floats | None,
        offset: float | None,
        items: Floats | None = None,
    ):
        if offset is not None and not (math.isfinite(offset) and offset > 0):
            raise DataError(f"offset = {offset:g} must be positive")
        self.y, self.stock, self.log_age = y, stock, log_age
        self.given = offset
        self.held: float | None = None
        self._log_items = 0.0 if items is None else np.log(items)
        positive = stock > 0
        mean = np.average(stock[positive], weights=None if items is None else items[positive])
        self.ends = (
            OFFSETS[0] * float(stock[positive].min(initial=math.inf)),
            OFFSETS[1] * float(mean),
        )

    @property
    def _fixed(self) -> float | None:
        return self.given if self.given is not None else self.held

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of the estimate."""
        free = () if self._fixed is not None else ("offset",)
        return ("constant", "theta", *free, *(() if self.log_age is None else ("phi",)))

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return len(self.names)

    def offset_at(self, beta: Floats) -> float:
        """Return the offset, given, held or free."""
        if self._fixed is not None:
            return self._fixed
        return math.exp(float(beta[self.names.index("offset")]))

    def natural(self, beta: Floats) -> Floats:
        """Return the parameters with the offset itself instead of its logarithm."""
        values = beta.copy()
        if self._fixed is None:
            values[self.names.index("offset")] = self.offset_at(beta)
        return values

    def _linear(self, beta: Floats) -> tuple[Floats, Floats]:
        """Return (linear predictor, log(L + a))."""
        logs = np.log(self.stock + self.offset_at(beta))
        eta = beta[0] + beta[1] * logs + self._log_items
        if self.log_age is not None:
            eta += beta[-1] * self.log_age
        return eta, logs

    def mean(self, beta: Floats) -> Floats:
        """Return the expected gains."""
        return np.asarray(np.exp(np.clip(self._linear(beta)[0], -700.0, 700.0)))

    def _design(self, beta: Floats) -> Floats:
        """Return the derivatives of the linear predictor, (n, k)."""
        a = self.offset_at(beta)
        columns = [np.ones(self.y.size), np.log(self.stock + a)]
        if self._fixed is None:
            columns.append(beta[1] * a / (self.stock + a))
        if self.log_age is not None:
            columns.append(self.log_age)
        return np.column_stack(columns)

    def maximise(self, weights: Floats, start: Floats | None = None) -> Floats:
        """Return the optimum of the weighted Poisson likelihood."""
        if start is None:
            beta = np.zeros(self.n_free)
            beta[1] = 0.8
            if self._fixed is None:
                beta[2] = 0.5 * math.log(self.ends[0] * self.ends[1])
            beta[0] = math.log(self.y.sum()) - math.log(self.mean(beta).sum())
        else:
            beta = start.copy()
        for _ in range(3):
            found = self._newton(beta, weights)
            if self._fixed is not None or self._inside(found):
                return found
            where = self.names.index("offset")
            self.held = self.ends[0] if math.exp(found[where]) <= self.ends[0] else self.ends[1]
            beta = np.delete(found, where)
            beta[0] = 0.0
            beta[0] = math.log(self.y.sum()) - math.log(self.mean(beta).sum())
        raise AssertionError("unreachable")

    def _inside(self, beta: Floats) -> bool:
        return self.ends[0] < self.offset_at(beta) < self.ends[1]

    def _newton(self, beta: Floats, weights: Floats) -> Floats:
        value = self._cost(beta, weights)
        for _ in range(_STEPS):
            mean, design = self.mean(beta), self._design(beta)
            score = design.T @ (weights * (self.y - mean))
            information = self._information(beta, mean, design, weights)
            ridge = 1e-12 * np.diag(information).max() * np.eye(beta.size)
            step = np.linalg.solve(information + ridge, score)
            largest = float(np.max(np.abs(step)))
            step *= min(1.0, 3.0 / largest) if largest > 0 else 1.0
            for _ in range(40):
                tried = beta + step
                cost = self._cost(tried, weights)
                if cost <= value + 1e-12 * abs(value):
                    break
                step *= 0.5
            else:
                break
            done = float(step @ score) < 1e-13 * (abs(value) + 1.0)
            beta, value = tried, cost
            if done or (self._fixed is None and not self._inside(beta)):
                return beta
        if self._fixed is None and self.offset_at(beta) > RIDGE * self.ends[1]:
            # Beyond all stocks the kernel is exponential in L, and only theta/a counts: a ridge
            # along which Newton creeps. It leads to the upper end.
            beta[self.names.index("offset")] = math.log(2.0 * self.ends[1])
            return beta
        raise ConvergenceError(
            "the kernel has no optimum: a few items may hold all gains; leave them out, or give "
            "the offset",
            dict(zip(self.names, self.natural(beta).tolist(), strict=True)),
        )

    def _information(self, beta: Floats, mean: Floats, design: Floats, weights: Floats) -> Floats:
        """Return the Hessian of the cost where it is positive definite, else its expectation."""
        expected: Floats = design.T @ (design * (weights * mean)[:, None])
        if self._fixed is not None:
            return expected
        a, residual = self.offset_at(beta), weights * (self.y - mean)
        share, k = a / (self.stock + a), self.names.index("offset")
        observed = expected.copy()
        observed[1, k] -= float(residual @ share)
        observed[k, 1] = observed[1, k]
        observed[k, k] -= beta[1] * float(residual @ (share * (1.0 - share)))
        return observed if np.linalg.eigvalsh(observed)[0] > 0 else expected

    def _cost(self, beta: Floats, weights: Floats) -> float:
        eta = self._linear(beta)[0]
        if np.any(eta > 700.0):
            return math.inf
        return float(np.sum(weights * (np.exp(eta) - self.y * eta)))

    def sandwich(self, beta: Floats, labels: NDArray[np.int64] | None) -> Spread:
        """Return the errors of the natural parameters, clustered where labels are given.

        With heavy-tailed stocks a few clusters hold much of the information, and the plain sandwich
        covers 70 % where it says 95 %. So each cluster's score is divided by the information
        of all others: the jackknife over clusters in one step (CR3, [MacKinnonWhite1985]). The
        spread is then right on average, but known from a few clusters only: Student's t with the
        degrees of freedom that clusters of a common luck and Poisson counts would give.
        """
        design, mean = self._design(beta), self.mean(beta)
        residual = self.y - mean
        n, k = design.shape
        codes = np.arange(n)
        if labels is not None:
            _, codes = np.unique(labels, return_inverse=True)
            n = int(codes.max()) + 1
            refuse_few(n, self.y.size, "the sample")

        def by_cluster(columns: Floats) -> Floats:
            return np.column_stack([np.bincount(codes, weights=c) for c in columns.T])

        held = np.empty((n, k, k))  # information of each cluster
        for i in range(k):
            for j in range(i + 1):
                products = design[:, i] * design[:, j] * mean
                held[:, i, j] = held[:, j, i] = np.bincount(codes, weights=products, minlength=n)
        total = held.sum(axis=0)
        scores = by_cluster(design * residual[:, None])
        try:
            inverse = np.linalg.inv(total)
            moves = np.linalg.solve(total - held, scores[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            raise DataError(
                "without one item or cluster the kernel cannot be measured: its error is not "
                "known; take more items, or leave the ages out"
            ) from None
        influence = (design @ inverse) * mean[:, None]
        luck = max(float(residual @ residual - mean.sum()) / float(mean @ mean), 0.0)
        variance = luck * by_cluster(influence) ** 2 + by_cluster(influence**2 / mean[:, None])
        degrees = variance.sum(axis=0) ** 2 / np.sum(variance**2, axis=0) + MORE_DEGREES
        theta = inverse[1]
        scale = np.ones(k)
        if self._fixed is None:
            scale[self.names.index("offset")] = self.offset_at(beta)
        return Spread(
            covariance=moves.T @ moves * ((n - 1.0) / n) * np.outer(scale, scale),
            degrees=degrees,
            largest_share=float(((held @ theta) @ theta).max() / theta[1]),
        )
