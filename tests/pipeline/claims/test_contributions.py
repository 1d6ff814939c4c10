"""Contributions follow a power law with alpha above one where zeta and p of the authors say so."""

import numpy as np
import polars as pl
import pytest

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import compare_tail
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.pipeline.claims import _power_law, contributions as module
from baimo.pipeline.claims._power_law import CRITERION, TriedTail, lognormal_of
from baimo.pipeline.claims.contributions import CLAIMED
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.settings import SEED
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    UNTOLD,
    decided,
    numbers_in,
    zeta_quantiles,
)

CLAIM = "contributions"
FEW_REPLICATIONS = 60


@pytest.fixture
def _few_replications(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let p rest on few replications."""
    for where in (module, _power_law):
        monkeypatch.setattr(where, "P_REPLICATIONS", FEW_REPLICATIONS)


def authors(zeta: float, n: int = 3_000) -> pl.DataFrame:
    """Return authors whose numbers of models lie at the quantiles of a power law."""
    values, numbers = np.unique(zeta_quantiles(zeta, n), return_counts=True)
    return pl.DataFrame({"n_models": values, "n_authors": numbers}).cast(pl.Int64)


def test_text_and_criterion_quote_the_numbers_of_the_rule() -> None:
    claim = ALL_CLAIMS[CLAIM]
    assert claim.criterion.startswith(CRITERION)
    assert numbers_in(claim.criterion.removeprefix(CRITERION)) == [f"{CLAIMED:g}", "95"]
    assert numbers_in(claim.text) == [f"{CLAIMED:g}"] == ["1"]


@pytest.mark.usefixtures("_few_replications")
def test_alpha_above_and_below_one() -> None:
    # numbers at the quantiles of a power law: no test rejects them
    above = decided(CLAIM, authors=authors(1.8))
    assert above.verdict is HOLDS
    assert "3,000 authors" in above.evidence
    below = decided(CLAIM, authors=authors(0.7))
    assert below.verdict is FAILS


@pytest.mark.usefixtures("_few_replications")
def test_an_exponent_above_one_by_less_than_its_error_is_not_enough() -> None:
    many, few = (decided(CLAIM, authors=authors(1.05, n=n)) for n in (20_000, 400))
    assert many.verdict is HOLDS
    assert few.verdict is UNTOLD
    zeta = few.numbers[0]
    assert zeta.value is not None
    assert zeta.interval is not None
    assert zeta.interval[0] < 1.0 < zeta.value


@pytest.mark.usefixtures("_few_replications")
def test_an_exponent_above_one_of_no_power_law_fails() -> None:
    # Powers of two only, as many of each as a Pareto of 1.8 has up to the next.
    k = np.arange(6)
    n = np.rint(30_000 * 2.0 ** (-1.8 * k) * (1 - 2.0**-1.8))
    table = pl.DataFrame({"n_models": 2**k, "n_authors": n}).cast(pl.Int64)
    found = decided(CLAIM, authors=table)
    assert found.verdict is FAILS, found.evidence
    assert found.numbers[0].interval is not None
    assert found.numbers[0].interval[0] > CLAIMED
    assert found.numbers[1].value == 0.0


@pytest.mark.usefixtures("_few_replications")
def test_a_power_law_of_the_most_active_tenth_is_part_of_the_claim() -> None:
    tail = zeta_quantiles(1.8, 200_000)
    values, numbers = np.unique(tail[tail >= 20], return_counts=True)
    top = pl.DataFrame({"n_models": values, "n_authors": numbers}).cast(pl.Int64)
    body = pl.DataFrame({"n_models": np.arange(1, 20), "n_authors": [80] * 19}).cast(pl.Int64)
    assert decided(CLAIM, authors=pl.concat([body, top])).verdict is PART


@pytest.mark.usefixtures("_few_replications")
def test_numbers_and_words_are_those_of_the_fit() -> None:
    table = authors(1.8)
    counts = Counts.from_pairs(table["n_models"].to_numpy(), table["n_authors"].to_numpy())
    tail = fit_tail(counts)
    scanned = TriedTail(
        tail=tail,
        goodness=goodness_of_fit(counts, tail, n_replications=FEW_REPLICATIONS, seed=SEED),
        lognormal=lognormal_of(compare_tail(counts, tail)),
    )
    found = decided(CLAIM, authors=table)
    assert found.numbers == scanned.numbers()
    assert found.evidence.startswith("models per author, 3,000 authors; " + scanned.words())
    slopes = ", ".join(f"top {k:,} {fit_zipf(counts, k=k).slope:.2f}" for k in (100, 1_000))
    assert found.sensitivity == f"rank-size slope: {slopes}"
    fewer = decided(CLAIM, authors=authors(1.8, n=900)).sensitivity
    assert fewer.startswith("rank-size slope: top 100 -1.")
    assert "1,000" not in fewer


@pytest.mark.usefixtures("_few_replications")
def test_the_largest_all_equal_have_no_slope_and_stop_nothing() -> None:
    table = pl.DataFrame({"n_models": [1, 2], "n_authors": [2_000, 1_000]})
    assert "slope" not in decided(CLAIM, authors=table).sensitivity


def test_without_authors() -> None:
    one_number = pl.DataFrame({"n_models": [1], "n_authors": [1]})
    assert decided(CLAIM, authors=one_number).verdict is UNTOLD
    assert decided(CLAIM, authors=one_number[:0]).verdict is UNTOLD
    assert decided(CLAIM, authors=one_number[:0]).numbers == ()


@pytest.mark.usefixtures("_few_replications")
def test_authors_of_two_numbers_of_models_are_a_distribution() -> None:
    table = pl.DataFrame({"n_models": [1, 2], "n_authors": [90, 9]})
    found = decided(CLAIM, authors=table)
    assert found.verdict is not UNTOLD
    assert "99 authors" in found.evidence
