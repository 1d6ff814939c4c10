"""CES demand explains the distribution only where it gives both downloads and likes."""

from dataclasses import replace

import pytest

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.claims.claim import Verdict
from tests.pipeline.claims.evidence import (
    CONTRADICTED,
    EXPLAINS,
    FAILS,
    HOLDS,
    PART,
    UNDECIDED,
    UNTOLD,
    decided,
)
from tests.pipeline.synthetic import comparison_of, judged

CLAIM = "demand_explains"


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ((CONTRADICTED, CONTRADICTED), FAILS),
        ((EXPLAINS, EXPLAINS), HOLDS),
        ((EXPLAINS, CONTRADICTED), PART),
        ((EXPLAINS, UNDECIDED), PART),
        ((UNDECIDED, CONTRADICTED), UNTOLD),
        ((None, None), UNTOLD),
        ((), UNTOLD),
    ],
)
def test_demand(outcomes: tuple[str | None, ...], verdict: Verdict) -> None:
    pairs = zip(("downloads", "likes"), outcomes, strict=False)
    rows = [judged("CES", m, outcome, "zeta") for m, outcome in pairs]
    rows.append(judged("Simon", "likes", EXPLAINS, "zeta"))  # another claim's model
    found = decided(CLAIM, comparison=comparison_of(*rows))
    assert found.verdict is verdict
    assert "too few dated items" in found.evidence
    if outcomes:
        assert f"CES of downloads: {rows[0]['verdict']} (zeta 1 / 2)" in found.evidence
        assert found.numbers[0].name == "zeta of downloads under CES"


def test_what_lasts_between_two_windows_is_said_beside_what_would(
    companions: CompanionFits,
) -> None:
    table = comparison_of(judged("CES", "likes", EXPLAINS, "zeta"))

    def kept(populations: CompanionFits) -> str:
        return decided(CLAIM, comparison=table, populations=populations).sensitivity

    waves = companions.waves["models"]
    assert kept(companions) == (
        "the same at every rho: only alpha moves with it; over 2.0 years log downloads of the "
        f"same 2,000 models correlate {waves.log_correlation:.2f}, and would "
        f"{waves.fixed_tastes_correlation:.2f} if tastes stayed as they were and windows held no "
        f"noise; noise of {waves.lasting_noise:.2f} in the logs of each window would make lasting "
        "rates look so, about 0.77 is measured"
    )
    alone = "the same at every rho: only alpha moves with it"
    without_tail = replace(
        companions, waves={"models": replace(waves, fixed_tastes_correlation=None)}
    )
    assert kept(without_tail) == alone
    assert kept(replace(companions, waves={})) == alone
