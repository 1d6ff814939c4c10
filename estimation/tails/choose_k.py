"""How many items belong to the tail: the double bootstrap, and what to take where it fails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.tails import _tail_index
from baimo.estimation.tails._tail_index import TieEnds
from baimo.estimation.tails.power_law import fit_tail

SMALLEST_SCAN = 50  # fewer items hardly determine an exponent


@registered("KChoice")
@dataclass(frozen=True, eq=False, kw_only=True)
class KChoice(FitResult):
    """The k of least mean squared error for Hill, by the double bootstrap.

    Parameters
    ----------
    k, zeta, std_error, threshold
        Chosen k0 (end of a group of ties) and Hill at it; the choice of k is not in std_error.
    k1, k2
        Minimisers in resamples of n1 and n2 = n1^2/n items (expected items above a threshold).
    rho
        Second-order parameter that k1 implies, < 0.
    criterion
        R(n1) = Q(n1, k1)^2 / Q(n2, k2) of each n1 with interior minima; n1 has the smallest.
    """

    k: int
    zeta: float
    std_error: float
    threshold: float
    n1: int
    n2: int
    k1: float
    k2: float
    rho: float
    criterion: dict[int, float]
    n_replications: int

    title: ClassVar[str] = "Choice of k (double bootstrap)"

    @property
    def k0(self) -> int:
        """The chosen k, as the paper calls it."""
        return self.k

    def estimates(self) -> dict[str, Estimate]:
        """Return k0, zeta, rho and the threshold."""
        return {
            "k0": Estimate(value=float(self.k0), unit="items"),
            "zeta": Estimate(value=self.zeta, std_error=self.std_error),
            "rho": Estimate(value=self.rho),
            "threshold": Estimate(value=self.threshold, unit="data"),
        }


def choose_k(
    data: Counts | ArrayLike, *, discrete: bool, n_replications: int = 500, seed: int = 0
) -> KChoice:
    """Choose k for Hill by the double bootstrap of [DanielssonEtAl2001].

    Q(m, k) is the mean of (M_2 - 2 M_1^2)^2 over resamples of m items, k1 and k2 minimise it at
    m = n1 and n2 = n1^2/n, and

        k0 = k1^2/k2 [log k1 / (2 log n1 - log k1)]^(2 (log n1 - log k1)/log n1),

    rho = log k1 / (2 log k1 - 2 log n1) (their section 4). n1 is that of n^.8, n^.85, n^.9 and
    n^.95 with the smallest R = Q(n1, k1)^2 / Q(n2, k2), as they propose.

    n counts the positive items. Resamples are multinomial draws over the distinct values of the
    upper half of them; the rest is one class, so k stays below m/2. Q is taken at thresholds
    fixed in the sample (k is the expected number above), so a group of ties is never split.

    Unstable: k0 spreads over a decade, because argmins of flat curves are squared and divided.
    60 samples of 7,000, 200 replications, 10 to 90 % of k0 (in brackets the k of least error),
    then root mean squared relative error of zeta (in brackets with that k):

        Frechet, zeta 1     446 to 1,960 (747)    .073 (.038)
        Burr, zeta 1, rho -1    211 to 1,244 (453)    .128 (.057)
        Burr, zeta 1, rho -1/2  35 to 470 (112)       .147 (.101)
        |Student t|, 3 df   42 to 448 (146)       .207 (.094)

    On exact Pareto it fails in 26 of 60, on a lognormal it gives a k0 (median 37) and a zeta
    that mean nothing. n1 whose k1 does not exceed k2, or whose k0 is outside the data, are
    passed over; `notes` counts the ones left.

    `data` and `discrete` as in `fit_hill`; n_replications is the number of resamples of each
    size, at least 2, of which replicate i uses child i of `seed`.

    Raises
    ------
    DataError
        Fewer than 100 positive items, or too few distinct ones.
    ConvergenceError
        No n1 with an interior minimum at both sizes; it carries the minima found.
    """
    ends = TieEnds(data, discrete)
    if ends.n < 100 or n_replications < 2:
        raise DataError(
            f"{ends.n} positive items, {n_replications} replications: the double bootstrap needs "
            "100 and 2; give k yourself"
        )
    found, minima = _tail_index.double_bootstrap(ends, n_replications, seed)
    if not found:
        raise ConvergenceError(
            "the double bootstrap has no usable interior minimum (an exact power law far down, or "
            "too few distinct values): give k yourself, or take `scan_k`",
            last={f"k at m = {m}": k for m, (k, _) in minima.items()},
        )
    best = min(found, key=lambda b: b.criterion)
    j, notes = ends.index(round(best.k0))
    zeta = 1 / float(ends.moment(1)[j])
    return KChoice(
        n_used=int(ends.k[j]),
        notes=(f"{len(found)} of {len(_tail_index.EXPONENTS)} resample sizes were usable", *notes),
        zeta=zeta,
        std_error=zeta / math.sqrt(ends.k[j]),
        n1=best.n1,
        n2=best.n2,
        k1=best.k1,
        k2=best.k2,
        rho=best.rho,
        criterion={b.n1: b.criterion for b in found},
        n_replications=n_replications,
        **ends.place(j),
    )


def scan_k(data: Counts | ArrayLike, *, discrete: bool) -> int:
    """Return the size of the tail that the scan of [ClausetEtAl2009] finds.

    What to take where the double bootstrap fails: it fails on exact power laws first, which are
    what the scan (`baimo.estimation.tails.power_law.fit_tail`) is right about. At least 50 items,
    of fewer than 100 positive ones half; at an end of ties. Of counts only those from 10 on, where
    they are enough: the scan has the exact law of counts, Hill and its kin have v - 1/2, which is
    coarse below (see `baimo.estimation.tails.tail_index`).

    Parameters
    ----------
    data, discrete
        As in `baimo.estimation.tails.tail_index.fit_hill`.

    Raises
    ------
    DataError
        Too few distinct values for any tail.
    """
    counts = as_counts(data)
    ends = TieEnds(counts, discrete)
    smallest = max(2, min(SMALLEST_SCAN, ends.n // 2))
    found = fit_tail(counts, discrete=discrete, n_tail_min=smallest)
    usable = ends.k[ends.first :]
    fine = usable[ends.value[ends.first :] >= _tail_index.COARSE]
    if discrete and fine.size and fine[-1] >= smallest:
        usable = fine
    return int(usable[int(_tail_index.nearest(usable, np.array([found.n_tail]))[0])])
