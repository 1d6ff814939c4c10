"""TVL is a power law by the rule for all sizes; other cuts and populations stand beside it."""

from dataclasses import replace

import numpy as np

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits, judge_tail
from baimo.pipeline.claims._power_law import CRITERION, TriedTail, lognormal_of, power_law_of
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.robustness import other_tvl, tvl_cut_otherwise
from baimo.pipeline.variables import TVL
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART, decided, variants_of

CLAIM = "tvl_power_law"


def test_a_pareto_holds_and_a_lognormal_fails(
    pareto_tvl: SizeFits, lognormal_tvl: SizeFits
) -> None:
    assert decided(CLAIM, tvl=pareto_tvl).verdict is HOLDS
    many = Counts.from_sample(np.exp(np.random.default_rng(4).normal(12, 1, 20_000)))
    judged = judge_tail(many, fit_tail(many, discrete=False), TVL, 50)
    fits = replace(lognormal_tvl, counts=many, judged=judged)
    assert decided(CLAIM, tvl=fits).verdict is FAILS


def test_the_top_of_few_lognormal_protocols_cannot_be_told_from_a_power_law(
    lognormal_tvl: SizeFits,
) -> None:
    found = decided(CLAIM, tvl=lognormal_tvl)
    assert found.verdict is PART
    assert "against a lognormal cannot tell" in found.evidence


def test_the_rule_is_that_of_members_contributions(lognormal_tvl: SizeFits) -> None:
    assert ALL_CLAIMS[CLAIM].criterion == CRITERION
    assert ALL_CLAIMS["contributions"].criterion.startswith(CRITERION)
    scanned = TriedTail(
        tail=lognormal_tvl.tail,
        goodness=lognormal_tvl.judged.goodness,
        lognormal=lognormal_of(lognormal_tvl.comparisons),
    )
    found = decided(CLAIM, tvl=lognormal_tvl)
    assert (found.verdict, found.evidence) == power_law_of(lognormal_tvl.counts, scanned)
    assert found.numbers == scanned.numbers()


def test_slopes_other_cuts_and_other_populations_are_said(
    pareto_tvl: SizeFits, companions: CompanionFits
) -> None:
    exchanges = variants_of(tvl_with_exchanges=pareto_tvl.counts.values[1_000:])
    found = decided(CLAIM, tvl=pareto_tvl, variants=exchanges, populations=companions)
    without = pareto_tvl.judged_without_largest
    ten, one = (pareto_tvl.zipf[f"top{share}pct_positive"].slope for share in (10, 1))
    assert found.sensitivity == "; ".join(
        (
            f"without the largest protocol: zeta {without.tail.zeta:.2f}, p "
            f"{without.goodness.shown}, support {without.support.level}",
            f"rank-size slope by cut-off: top 10 % {ten:.2f}, top 1 % {one:.2f}",
            tvl_cut_otherwise(exchanges),
            other_tvl(companions),
        )
    )
    assert "with centralised exchanges (2,000)" in found.sensitivity
    assert "chains on 2024-01-04" in found.sensitivity
