"""A size is a power law where none of its top half is rejected, in part where none of its top."""

from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.arrays import Floats
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import FEWEST, SIGNIFICANT, compare_tail
from baimo.estimation.tails.bootstrap import REJECTED_BELOW, GoodnessOfFit, goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.claims import _power_law as module
from baimo.pipeline.claims._power_law import (
    CRITERION,
    FEW,
    HALF,
    TriedTail,
    lognormal_of,
    over,
    power_law_of,
)
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.text import bare
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART, UNTOLD, numbers_in, zeta_quantiles

PLACES = (np.arange(20_000) + 0.5) / 20_000
PARETO = PLACES**-0.8


@pytest.fixture(autouse=True)
def _few_replications(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let p rest on few replications."""
    monkeypatch.setattr(module, "P_REPLICATIONS", 100)


def scanned(counts: Counts, *, discrete: bool = False) -> TriedTail:
    tail = fit_tail(counts, discrete=discrete)
    return TriedTail(
        tail=tail,
        goodness=goodness_of_fit(counts, tail, n_replications=60, seed=1),
        lognormal=lognormal_of(compare_tail(counts, tail)),
    )


def verdict_of(sizes: Floats, *, discrete: bool = False) -> Verdict:
    counts = Counts.from_sample(sizes)
    return power_law_of(counts, scanned(counts, discrete=discrete))[0]


def exponential_below(share: float) -> Floats:
    """Return sizes that are Pareto in their top share and nearly of one size below."""
    top = PARETO[share >= PLACES]
    return np.append(top, top.min() * (1.0 - 0.1 * PLACES[share < PLACES]))


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    assert numbers_in(CRITERION) == [
        bare(SIGNIFICANT), bare(SIGNIFICANT), f"{100 * FEW:g}", str(FEWEST),
    ]  # fmt: skip
    assert numbers_in(CRITERION) == [".1", ".1", "5", "50"]
    assert "top half" in CRITERION
    assert HALF == 1 / 2
    assert SIGNIFICANT == REJECTED_BELOW


def test_a_pareto_holds() -> None:
    assert verdict_of(PARETO) is HOLDS
    assert verdict_of(np.append(PARETO, np.zeros(90_000))) is HOLDS  # zeros are no sizes


def test_a_pareto_tail_of_a_tenth_is_part_and_one_of_a_hundredth_is_not() -> None:
    assert verdict_of(exponential_below(0.1)) is PART
    assert verdict_of(exponential_below(0.01)) is FAILS


def test_a_lognormal_fails() -> None:
    assert verdict_of(np.exp(np.random.default_rng(2).normal(0.0, 1.0, 20_000))) is FAILS


def test_counts_are_tested_by_their_own_law() -> None:
    assert verdict_of(zeta_quantiles(1.5, 20_000), discrete=True) is HOLDS


def test_no_power_law_fails_though_a_scan_finds_a_tail_in_it() -> None:
    poisson = np.random.default_rng(3).poisson(6.0, 20_000) + 1.0
    found = scanned(Counts.from_sample(poisson), discrete=True)
    assert found.verdict is HOLDS  # in the scanned tail nothing speaks against a power law
    assert found.share < FEW
    assert verdict_of(poisson, discrete=True) is FAILS


def test_few_items_are_not_enough_to_hold() -> None:
    few = ((np.arange(40) + 0.5) / 40) ** -1.0
    assert verdict_of(few) is UNTOLD


def test_what_the_tail_says_alone() -> None:
    tested = scanned(Counts.from_sample(PARETO))
    assert tested.verdict is HOLDS

    def with_p(p: float, n: int = 1_000) -> Verdict:
        goodness = GoodnessOfFit(p_value=p, mc_error=0.01, n_replications=n)
        return replace(tested, goodness=goodness).verdict

    assert with_p(0.5) is HOLDS
    assert with_p(0.01) is FAILS
    assert with_p(0.1) is with_p(0.2, n=20) is UNTOLD  # Monte Carlo error leaves it open
    lost = replace(
        tested.lognormal,
        log_likelihood_ratio=-9.0,
        vuong=-3.0,
        p_value=0.01,
        at_boundary=False,
    )
    assert replace(tested, lognormal=lost).verdict is FAILS
    won = replace(lost, log_likelihood_ratio=9.0, vuong=3.0)
    assert replace(tested, lognormal=won).verdict is HOLDS


def test_the_top_of_a_share_holds_that_share_and_the_ties_of_its_smallest() -> None:
    assert over(Counts.from_sample(PARETO), 0.05, discrete=False).tail.n_tail == 1_000
    tied = Counts.from_pairs([1.0, 2.0, 3.0, 9.0], [500, 300, 100, 100])
    tested = over(tied, 0.3, discrete=True)
    assert (tested.tail.x_min, tested.tail.n_tail, tested.share) == (2.0, 500, 0.5)
    assert tested.tail.x_min_given


def test_words_and_numbers_are_those_of_the_fit() -> None:
    counts = Counts.from_sample(exponential_below(0.1))
    tested = scanned(counts)
    low, high = tested.tail.conf_int()["zeta"] or (0.0, 0.0)
    assert tested.words().startswith(
        f"from {tested.tail.x_min:,.0f} on ({tested.tail.n_tail:,} items, {tested.share:.1%} of "
        f"the positive) zeta {tested.tail.zeta:.2f} [{low:.2f}, {high:.2f}], p "
        f"{tested.goodness.shown}, against a lognormal "
    )
    zeta, p, vuong, share = tested.numbers()
    assert (zeta.value, zeta.interval) == (tested.tail.zeta, (low, high))
    assert (p.value, p.held_against) == (tested.goodness.p_value, SIGNIFICANT)
    assert vuong.value == tested.lognormal.vuong
    assert (share.value, share.held_against) == (tested.share, HALF)
    _, shown = power_law_of(counts, tested)
    assert shown == f"{tested.words()}; of the top 50 %: {over(counts, HALF, False).words()}"
