"""The statistics by which models are held against the data, with the margin of each.

A margin is the largest difference that counts as none. They were set before looking, with three
exceptions that `pipeline/README.md` names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistic:
    """One number that data and simulated samples are compared in.

    Parameters
    ----------
    name
        In records and tables.
    words
        For a reader.
    margin
        Largest difference that counts as none, in its own unit.
    is_log10
        Whether it is the decimal logarithm of a number of items plus one.
    """

    name: str
    words: str
    margin: float
    is_log10: bool = False


ZETA = Statistic("zeta", "zeta", margin=0.1)
SHARE_ZERO = Statistic("share_zero", "zeros", margin=0.05)
TOP_1PCT = Statistic("top_1pct", "top 1 %", margin=0.05)
# A factor of two.
TAIL_ITEMS = Statistic("tail_items", "size of the tail", margin=0.3, is_log10=True)
YOUNG_IN_TAIL = Statistic("young_in_tail", "age of the tail", margin=0.05)
# Two exponents, each within .1.
ZETA_GAP = Statistic("zeta_gap", "zeta of the oldest less the youngest", margin=0.2)
# What happens next: increments of likes between two days, growth of TVL between two dates.
THETA = Statistic("theta", "theta", margin=0.1)
PHI = Statistic("phi", "phi", margin=0.1)
PSI = Statistic("psi", "psi", margin=0.1)
# A year: a fifth of all gaps in a decade.
SIZE_SLOPE = Statistic("size_slope", "growth against size", margin=0.02)
SPREAD_SLOPE = Statistic("spread_slope", "spread of growth against size", margin=0.05)
AUTOCORRELATION = Statistic("autocorrelation", "autocorrelation of sizes", margin=0.05)
EXIT_SHARE = Statistic("exit_share", "share that is gone", margin=0.05)
SIZE_EXPONENT = Statistic("size_exponent", "exponent of the later in the earlier size", margin=0.1)
# A distance of distributions, as between the shapes of two samples.
MIXTURE_KS = Statistic("mixture_ks", "distance from the mixture", margin=0.05)


def _upper(cut: float, words: str) -> tuple[Statistic, float]:
    """Return the number of items from a fixed size on, and the size."""
    return Statistic(f"items_{cut:.0f}", words, margin=0.3, is_log10=True), cut


UPPER = {
    "downloads": (_upper(1e5, "models of 100,000"), _upper(1e6, "models of a million")),
    "likes": (_upper(1e3, "models of 1,000"), _upper(4e3, "models of 4,000")),
    "tvl": (_upper(1e9, "protocols of a billion"),),
}
"""By variable: numbers of items from fixed sizes on, which do not move with x_min."""

YOUNG_COHORTS = 2  # of five
_LARGEST = tuple(statistic for cuts in UPPER.values() for statistic, _ in cuts)
TAIL = (TOP_1PCT, TAIL_ITEMS, *_LARGEST, YOUNG_IN_TAIL, ZETA_GAP)
KERNEL = (THETA, PHI, PSI)
GROWTH = (SIZE_SLOPE, SPREAD_SLOPE, AUTOCORRELATION, EXIT_SHARE, SIZE_EXPONENT)
STATISTICS = {s.name: s for s in (ZETA, SHARE_ZERO, *TAIL, MIXTURE_KS, *KERNEL, *GROWTH)}
"""All of them by name, in the order in which they are shown."""


def zeta_of_cohort(cohort: int) -> str:
    """Return the name under which the zeta of a cohort is kept; 0 is the youngest."""
    return f"zeta_cohort_{cohort + 1}"
