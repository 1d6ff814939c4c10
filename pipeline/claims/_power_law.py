"""Whether a size is a power law: one rule for TVL and for members' contributions.

A scan of x_min finds a tail that is one in nearly every sample, so a tail alone shows little. The
law is therefore asked for over a share of the items: over the scanned tail where that holds the
share, else over the top of exactly that share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import (
    FEWEST,
    SIGNIFICANT,
    Comparison,
    compare_tail,
)
from baimo.estimation.tails.bootstrap import GoodnessOfFit, goodness_of_fit
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.estimation.tails.rank_size import share_to_k
from baimo.pipeline.claims.claim import Number, Verdict
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import bare, joined

HALF, FEW = 0.5, 0.05  # of the positive items
P_REPLICATIONS = 1000
STATISTIC = (
    "zeta, p of the CSN fit, Vuong against the lognormal on the tail and share of the positive "
    "items in it, {}"
)
CRITERION = (
    f"holds if a power law of the top half or more is not rejected (p >= {bare(SIGNIFICANT)}) and "
    f"no lognormal preferred (Vuong, {bare(SIGNIFICANT)}); in part if so of the top "
    f"{100 * FEW:g} % or more; fails otherwise; {FEWEST} items at least"
)


@dataclass(frozen=True, kw_only=True)
class TriedTail:
    """A power law of the items at or above an x_min, with what speaks against it.

    Parameters
    ----------
    tail
        The fit.
    goodness
        p of the fit; the one that knows clusters where they are known.
    lognormal
        The power law against a lognormal on the same tail.
    """

    tail: TailFit
    goodness: GoodnessOfFit
    lognormal: Comparison

    @property
    def share(self) -> float:
        """Share of the positive items in the tail."""
        return self.tail.n_tail / (self.tail.n_obs - self.tail.n_zero)

    @property
    def verdict(self) -> Verdict:
        """Fails where rejected or a lognormal is preferred; told of 50 items or more only."""
        if self.lognormal.verdict == self.lognormal.alternative:
            return Verdict.FAILS
        if not self.goodness.decided or (self.tail.n_tail < FEWEST and not self.goodness.rejected):
            return Verdict.UNTOLD
        return Verdict.FAILS if self.goodness.rejected else Verdict.HOLDS

    def words(self) -> str:
        """Say zeta, the tail, p and Vuong's ratio."""
        low, high = self.tail.conf_int()["zeta"] or (math.nan, math.nan)
        vuong, p = self.lognormal.vuong, self.lognormal.p_value
        ratio = "" if vuong is None or p is None else f" (Vuong {vuong:.2f}, p {p:.2g})"
        return (
            f"from {self.tail.x_min:,.0f} on ({self.tail.n_tail:,} items, {self.share:.1%} of the "
            f"positive) zeta {self.tail.zeta:.2f} [{low:.2f}, {high:.2f}], p "
            f"{self.goodness.shown}, against a lognormal {self.lognormal.verdict}{ratio}"
        )

    def numbers(self) -> tuple[Number, ...]:
        """Return zeta, p, Vuong's ratio and the share."""
        return (
            Number(
                name="zeta",
                value=self.tail.zeta,
                std_error=self.tail.std_error_clustered,
                interval=self.tail.conf_int()["zeta"],
            ),
            Number(
                name="p",
                value=self.goodness.p_value,
                std_error=self.goodness.mc_error,
                held_against=SIGNIFICANT,
            ),
            Number(name="Vuong against a lognormal", value=self.lognormal.vuong),
            Number(name="share of the positive items", value=self.share, held_against=HALF),
        )


def lognormal_of(comparisons: tuple[Comparison, ...]) -> Comparison:
    """Return the comparison with a lognormal."""
    return next(c for c in comparisons if c.alternative == "lognormal")


def power_law_of(counts: Counts, scanned: TriedTail) -> tuple[Verdict, str]:
    """Return whether a size is a power law, and what was tested.

    Parameters
    ----------
    counts
        The sample.
    scanned
        The tail of the best x_min.
    """
    words = [scanned.words()]
    passed = scanned.verdict is not Verdict.FAILS
    for share, verdict in ((HALF, Verdict.HOLDS), (FEW, Verdict.PART)):
        tested = scanned
        if not passed or scanned.share < share:
            tested = over(counts, share, scanned.tail.discrete)
            words.append(f"of the top {100 * share:g} %: {tested.words()}")
        if tested.verdict is not Verdict.FAILS:
            told = tested.verdict is Verdict.HOLDS
            return verdict if told else Verdict.UNTOLD, joined(words)
    return Verdict.FAILS, joined(words)


def over(counts: Counts, share: float, discrete: bool) -> TriedTail:
    """Test a power law of the largest positive items, a share of them and ties of its smallest."""
    positive = counts.positive()
    smallest = positive.largest(share_to_k(positive.n_obs, share))[-1]
    x_min = min(float(smallest), float(positive.values[-2]))  # equal sizes have no exponent
    tail = fit_tail(counts, discrete=discrete, x_min=x_min)
    return TriedTail(
        tail=tail,
        goodness=goodness_of_fit(counts, tail, n_replications=P_REPLICATIONS, seed=SEED),
        lognormal=lognormal_of(compare_tail(counts, tail, ("lognormal",))),
    )
