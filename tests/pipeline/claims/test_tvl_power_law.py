"""TVL is a power law where its slope does not bend, its tail is long and no lognormal wins."""

from dataclasses import replace

import pytest

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.robustness import other_tvl, tvl_cut_otherwise
from baimo.pipeline.claims.tvl_power_law import FEW, HALF, LARGEST_BEND
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    decided,
    numbers_in,
    variants_of,
    with_slopes,
)

CLAIM = "tvl_power_law"


def cut(fits: SizeFits, bend: float, share: float) -> SizeFits:
    """Return fits whose slopes differ by `bend` and whose tail holds a share of the protocols."""
    tail = replace(fits.tail, n_tail=round(share * fits.tail.n_obs))
    slopes = {"top10pct_positive": -1.0, "top1pct_positive": -1.0 - bend, "top100": -9.0}
    return replace(with_slopes(fits, slopes), judged=replace(fits.judged, tail=tail))


def against_lognormal(fits: SizeFits, ratio: float, p: float) -> SizeFits:
    """Return fits whose comparison with a lognormal has this ratio and p."""
    rivals = tuple(
        replace(c, log_likelihood_ratio=ratio, vuong=ratio / 2, p_value=p, at_boundary=False)
        if c.alternative == "lognormal"
        else c
        for c in fits.comparisons
    )
    return replace(fits, judged=replace(fits.judged, comparisons=rivals))


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    assert numbers_in(criterion) == [f"{LARGEST_BEND:g}", f"{100 * FEW:g}"]
    assert numbers_in(criterion) == ["0.2", "5"]
    assert "under half" in criterion
    assert HALF == 1 / 2


def test_a_pareto_holds_and_a_lognormal_does_not(
    pareto_tvl: SizeFits, lognormal_tvl: SizeFits
) -> None:
    assert decided(CLAIM, tvl=lognormal_tvl).verdict in (FAILS, PART)
    assert decided(CLAIM, tvl=pareto_tvl).verdict is HOLDS


@pytest.mark.parametrize(
    ("bend", "share", "verdict"),
    [
        (0.1, 0.6, HOLDS),
        (0.19, 0.5, HOLDS),
        (0.1, 0.4, PART),
        (0.1, 0.01, PART),
        (0.3, 0.6, PART),
        (0.21, 0.06, PART),
        (0.21, 0.04, FAILS),
        (-0.21, 0.04, FAILS),
    ],
)
def test_bend_and_share_of_the_tail_decide(
    pareto_tvl: SizeFits, bend: float, share: float, verdict: Verdict
) -> None:
    found = decided(CLAIM, tvl=cut(pareto_tvl, bend, share))
    assert found.verdict is verdict
    assert found.numbers[0].value == pytest.approx(abs(bend))
    assert found.numbers[1].value == pytest.approx(share)
    assert [n.held_against for n in found.numbers] == [0.2, 0.5, None]


def test_a_long_tail_without_a_cutoff_to_bend_at_holds(pareto_tvl: SizeFits) -> None:
    found = decided(CLAIM, tvl=replace(pareto_tvl, zipf={}))
    assert found.verdict is HOLDS
    assert found.numbers[0].value == 0.0


def test_a_lognormal_that_wins_is_enough_to_fail(pareto_tvl: SizeFits) -> None:
    wins = against_lognormal(pareto_tvl, -8.0, 0.01)
    found = decided(CLAIM, tvl=wins)
    assert found.verdict is FAILS
    assert "against a lognormal there: lognormal (Vuong -4.00, p 0.01)" in found.evidence
    assert found.numbers[2].value == -4.0
    assert decided(CLAIM, tvl=against_lognormal(pareto_tvl, -8.0, 0.2)).verdict is HOLDS
    assert decided(CLAIM, tvl=against_lognormal(pareto_tvl, 8.0, 0.01)).verdict is HOLDS


def test_slopes_and_tail_are_said(lognormal_tvl: SizeFits) -> None:
    fits = lognormal_tvl
    ten, one = (fits.zipf[f"top{share}pct_positive"].slope for share in (10, 1))
    shown = decided(CLAIM, tvl=fits).evidence
    assert f"rank-size slope by cut-off: top 10 % {ten:.2f}, top 1 % {one:.2f}; " in shown
    assert f"CSN tail holds {fits.tail.n_tail} of 3,000 protocols" in shown
    assert f"(zeta {fits.tail.zeta:.2f})" in shown


def test_other_cuts_and_other_populations_are_said(
    pareto_tvl: SizeFits, companions: CompanionFits
) -> None:
    exchanges = variants_of(tvl_with_exchanges=pareto_tvl.counts.values[1_000:])
    found = decided(CLAIM, tvl=pareto_tvl, variants=exchanges, populations=companions)
    without = pareto_tvl.judged_without_largest
    assert found.sensitivity == "; ".join(
        (
            f"without the largest protocol: zeta {without.tail.zeta:.2f}, support "
            f"{without.support.level}",
            tvl_cut_otherwise(exchanges),
            other_tvl(companions),
        )
    )
    assert "with centralised exchanges (2,000)" in found.sensitivity
    assert "chains on 2024-01-04" in found.sensitivity
