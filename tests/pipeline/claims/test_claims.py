"""The audit: each claim against made-up evidence for which its verdict is known."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.predictive.equivalence import margin_tests
from baimo.estimation.results import from_dict, to_dict
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims import _evidence as audit_tests
from baimo.pipeline.claims.claim import CLAIMS, FAILS, HOLDS, PART, UNTOLD, Evidence, audit_claims
from baimo.pipeline.claims.mirror import decide, mirror_tests
from baimo.pipeline.models.attachment import calibrate_attachment
from baimo.pipeline.models.gbm import calibrate_growth
from baimo.pipeline.models.printed import simulate_printed_equation
from baimo.pipeline.report.tables import undated
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL
from tests.pipeline.synthetic import (
    DAY,
    NO_EFFECTS,
    fits_of,
    hub_frequency,
    listing,
    population,
    weekly,
)

# Sizes at the quantiles of P(X > x) = 1/x and x^-2: no sampling error.
RANK = np.arange(1, 40_001) - 0.5
ZIPF, THIN = np.floor(4e4 / RANK), np.floor((4e4 / RANK) ** 0.5 * 50)
VERDICTS = (HOLDS, PART, FAILS, UNTOLD)


@pytest.fixture(scope="module")
def sizes() -> dict[str, SizeFits]:
    return {
        "zipf downloads": fits_of(ZIPF, DOWNLOADS),
        "thin downloads": fits_of(THIN, DOWNLOADS),
        "zipf likes": fits_of(ZIPF, LIKES),
        "thin likes": fits_of(THIN, LIKES),
        "tvl": fits_of(np.exp(np.random.default_rng(4).normal(12, 3, 3_000)), TVL),
        "pareto tvl": fits_of(1e4 * 3e3 / (np.arange(1, 3_001) - 0.5), TVL),
    }


def judged(model: str, measure: str, verdict: str) -> dict[str, str]:
    return {"model": model, "measure": measure, "verdict": verdict, "evidence": "zeta 1 / 2"}


@pytest.fixture(scope="module")
def evidence(sizes: dict[str, SizeFits]) -> Evidence:
    frequency = hub_frequency(3_000, 11)
    attachment = calibrate_attachment(
        frequency, Counts.from_sample(ZIPF), Counts.from_sample(THIN), NO_EFFECTS, DAY
    )
    table = population(800, 7)
    return Evidence(
        fits={"downloads": sizes["zipf downloads"], "likes": sizes["thin likes"],
              "tvl": sizes["tvl"]},
        attachment=attachment,
        growth=calibrate_growth(table, listing(table), weekly(6)),
        day=DAY,
        printed=simulate_printed_equation(attachment, 1),
        cohorts={},
        comparison=pl.DataFrame([judged("Yule", "likes", "explains share_zero")]),
        authors=pl.DataFrame({"n_models": [1, 2], "n_authors": [1, 0]})[:1],
    )  # fmt: skip


def test_every_claim_is_told_with_its_criterion(evidence: Evidence) -> None:
    claims = audit_claims(evidence)
    assert [c.name for c in claims] == [e.name for e in CLAIMS]
    assert len({c.name for c in claims}) == len(claims)
    for claim, entry in zip(claims, CLAIMS, strict=True):
        assert claim.verdict in VERDICTS, claim.name
        assert claim.evidence, claim.name
        assert (claim.text, claim.where) == (entry.text, entry.where)
        assert (claim.statistic, claim.criterion) == (entry.statistic, entry.criterion)
        assert from_dict(to_dict(claim)) == claim
    verdicts = {c.name: c.verdict for c in claims}
    assert verdicts["downloads_zipf"] == HOLDS
    assert verdicts["likes_zipf"] == FAILS
    assert verdicts["likes_fatter"] == FAILS
    assert verdicts["printed_equation"] == FAILS
    assert verdicts["number_of_models"] == FAILS
    assert verdicts["attachment_kernel"] == UNTOLD  # one day has no increments
    assert verdicts["contributions"] == UNTOLD  # one number of models is no distribution


def test_fatter_likes_are_seen_too(evidence: Evidence, sizes: dict[str, SizeFits]) -> None:
    swapped = replace(
        evidence,
        fits=evidence.fits | {"downloads": sizes["thin downloads"], "likes": sizes["zipf likes"]},
    )
    assert audit_tests.likes_fatter(swapped)[0] == HOLDS
    assert audit_tests.likes_slope(swapped)[0] == HOLDS
    assert audit_tests.downloads_slope(swapped)[0] == FAILS
    # With the heavier tail goes the larger share of the top: no sign of diversity.
    assert audit_tests.fat_tail_is_diversity(swapped)[0] == FAILS
    assert audit_tests.fat_tail_is_diversity(evidence)[0] == FAILS


def test_the_papers_number_of_models(evidence: Evidence) -> None:
    def verdict(n: int) -> str:
        simon = replace(evidence.attachment.simon_likes, n_obs=n)
        e = replace(evidence, attachment=replace(evidence.attachment, simon_likes=simon))
        return audit_tests.number_of_models(e)[0]

    assert verdict(700_000) == verdict(640_000) == HOLDS
    assert verdict(600_000) == verdict(1_000_000) == FAILS
    # some models came after the paper's date: the number of that date counts as well
    age = 65 / 365.25
    later = int(evidence.attachment.n_models[evidence.attachment.ages < age].sum())
    assert 0 < later < 1_000
    assert verdict(770_000 + later // 2) == HOLDS


def test_tvl(evidence: Evidence, sizes: dict[str, SizeFits]) -> None:
    assert audit_tests.tvl_power_law(evidence)[0] in (FAILS, PART)  # a lognormal
    pareto = replace(evidence, fits=evidence.fits | {"tvl": sizes["pareto tvl"]})
    assert audit_tests.tvl_power_law(pareto)[0] == HOLDS


class TestModels:
    """What the comparison says of the models decides, by the words set beforehand."""

    @pytest.mark.parametrize(
        ("words", "verdict"),
        [
            (("contradicted by zeta", "contradicted by zeros"), FAILS),
            (("explains zeta", "explains zeta, zeros"), HOLDS),
            (("explains zeta", "contradicted by zeta"), PART),
            (("explains zeta", "cannot be told: zeta"), PART),
            (("cannot be told: zeta", "contradicted by zeta"), UNTOLD),
            (("no prediction", "no prediction"), UNTOLD),
            ((), UNTOLD),
        ],
    )
    def test_demand(self, evidence: Evidence, words: tuple[str, ...], verdict: str) -> None:
        rows = [judged("CES", m, w) for m, w in zip(("downloads", "likes"), words, strict=False)]
        rows.append(judged("Simon", "likes", "explains zeta"))  # another claim's model
        found = audit_tests.demand_explains(replace(evidence, comparison=pl.DataFrame(rows)))
        assert found[0] == verdict
        if words:
            assert f"CES of downloads: {words[0]} (zeta 1 / 2)" in found[1]

    def test_attachment_has_three_models_to_its_name(self, evidence: Evidence) -> None:
        def verdict(*words: str) -> str:
            keys = [("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes")]
            rows = [judged(*key, word) for key, word in zip(keys, words, strict=True)]
            e = replace(evidence, comparison=pl.DataFrame(rows))
            return audit_tests.attachment_explains(e)[0]

        assert verdict(*["contradicted by zeta"] * 3) == FAILS
        assert verdict(*["explains zeta"] * 3) == HOLDS
        assert verdict("contradicted by zeta", "contradicted by zeta", "explains zeta") == PART

    def test_growth(self, evidence: Evidence) -> None:
        for word, verdict in (("explains zeta, top 1 %", HOLDS), ("contradicted by zeta", FAILS),
                              ("cannot be told: zeta", UNTOLD)):  # fmt: skip
            e = replace(evidence, comparison=pl.DataFrame([judged("GBM", "tvl", word)]))
            assert audit_tests.growth_explains(e)[0] == verdict

    def test_the_report_says_what_the_cohorts_leave_out(self, sizes: dict[str, SizeFits]) -> None:
        fits = sizes["zipf likes"]
        dated, x_min = ZIPF[500:], fits.tail.x_min  # the 500 largest have no age
        ages = np.random.default_rng(9).permutation(np.linspace(0.1, 2.0, dated.size))
        fit = fit_cohorts(dated, ages, n_cohorts=3, x_min=x_min)
        lost = int((x_min <= ZIPF).sum() - (dated >= x_min).sum())
        assert lost == 500
        said = undated({"likes": fit}, {"likes": fits})
        assert f"{lost} of the {fits.tail.n_tail:,} of the tail of likes" in said
        assert f"without {fit.pooled_zeta:.2f})" in said

    def test_cohorts_are_quoted(self, evidence: Evidence) -> None:
        assert "too few dated items" in audit_tests.attachment_explains(evidence)[1]
        rng = np.random.default_rng(5)
        fit: CohortsFit = fit_cohorts(
            np.floor(9.5 * (1 - rng.random(900)) ** -1.0 + 0.5), rng.random(900), x_min=10,
            n_cohorts=3,
        )  # fmt: skip
        shown = audit_tests.attachment_explains(replace(evidence, cohorts={"likes": fit}))[1]
        assert "likes from 10 on, cohorts from young to old: zeta" in shown
        for zeta, error in zip(fit.zeta, fit.std_error, strict=True):
            assert f"{zeta:.2f} ({error:.2f})" in shown
        assert f"equal with p = {fit.p_value:.2g}" in shown


class TestContributions:
    def authors(self, zeta: float, n: int = 3_000) -> pl.DataFrame:
        sizes = np.floor(0.5 + 0.5 * ((np.arange(n) + 0.5) / n) ** (-1 / zeta))
        values, numbers = np.unique(sizes, return_counts=True)
        return pl.DataFrame({"n_models": values, "n_authors": numbers}).cast(pl.Int64)

    def test_alpha_above_and_below_one(
        self, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_tests, "P_AUTHORS", 60)
        # numbers at the quantiles of a power law: no test rejects them
        above = audit_tests.contributions(replace(evidence, authors=self.authors(1.8)))
        assert above[0] == HOLDS
        assert "3,000 authors" in above[1]
        below = audit_tests.contributions(replace(evidence, authors=self.authors(0.7)))
        assert below[0] == FAILS

    def test_no_power_law_is_half_the_claim(
        self, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Powers of two only, as many of each as a Pareto of 1.8 has up to the next.
        monkeypatch.setattr(audit_tests, "P_AUTHORS", 60)
        k = np.arange(6)
        n = np.rint(30_000 * 2.0 ** (-1.8 * k) * (1 - 2.0**-1.8))
        table = pl.DataFrame({"n_models": 2**k, "n_authors": n}).cast(pl.Int64)
        verdict, shown, _ = audit_tests.contributions(replace(evidence, authors=table))
        assert verdict == PART, shown

    def test_without_authors(self, evidence: Evidence) -> None:
        assert audit_tests.contributions(evidence)[0] == UNTOLD


class TestTheory:
    """Claims that need no data: their verdict is that of algebra (THEORY A)."""

    def test_the_printed_index_is_not_that_of_demand(self, evidence: Evidence) -> None:
        verdict, shown, _ = audit_tests.printed_index(evidence)
        assert verdict == FAILS
        # alpha 3, rho .5: printed (3 x .5 - 1)/.5 = 1, true 3 x .5/.5 = 3
        assert "alpha 3, rho 0.5" in shown
        assert "printed 1.00, alpha (1 - rho)/rho = 3.00" in shown

    def test_substitution_rises_with_rho(self, evidence: Evidence) -> None:
        verdict, shown, _ = audit_tests.rho_and_substitution(evidence)
        assert verdict == FAILS
        for rho in (0.3, 0.6, 0.9):
            assert f"{1 / (1 - rho):.2f} at rho {rho:g}" in shown

    def test_a_printed_equation_with_a_tail_would_hold(self, evidence: Evidence) -> None:
        heavy = replace(evidence, printed=replace(evidence.printed, zetas=(1.1, 9.0, 9.0)))
        assert audit_tests.printed_equation(heavy)[0] == HOLDS


class TestGrowth:
    def test_independent_shocks_by_hand(self, evidence: Evidence) -> None:
        # Pesaran: CD = sqrt(2 T/(N (N - 1))) x sum of correlations, of N (N - 1)/2 pairs.
        def found(n: int, mean: float) -> tuple[str, str]:
            panel = replace(evidence.growth.panel, n_items=n, mean_correlation=mean)
            e = replace(evidence, growth=replace(evidence.growth, panel=panel))
            return audit_tests.independent_shocks(e)[:2]

        pairs = 10 * 9 / 2
        cd = math.sqrt(2 * 26 / (10 * 9)) * pairs * 0.2
        verdict, shown = found(10, 0.2)
        assert verdict == FAILS
        assert f"at least {cd:.0f}" in shown
        assert found(10, 0.01)[0] == HOLDS
        assert found(10, -0.2)[0] == FAILS

    @pytest.mark.parametrize(
        ("everyone", "alive", "verdict"),
        [(3.0, 3.0, HOLDS), (3.0, 0.5, PART), (-3.0, 3.0, PART), (-3.0, 0.5, FAILS)],
    )
    def test_rich_get_richer(
        self, evidence: Evidence, everyone: float, alive: float, verdict: str
    ) -> None:
        g = evidence.growth
        moved = replace(
            g,
            population=replace(g.population, size_slope=everyone, size_slope_std_error=1.0),
            alive=replace(g.alive, size_slope=alive, size_slope_std_error=1.0),
        )
        assert audit_tests.rich_get_richer(replace(evidence, growth=moved))[0] == verdict


class TestMirror:
    """Tests are pairs of p: at least the margin, at most the margin."""

    SAME, APART, OPEN = (1e-6, 1.0), (1.0, 1e-6), (0.6, 0.7)

    @pytest.mark.parametrize(
        ("downloads", "likes", "verdict"),
        [
            ((SAME, SAME), (SAME, SAME), HOLDS),
            ((SAME, APART), (APART, SAME), FAILS),
            ((APART, OPEN), (OPEN, OPEN), PART),
            ((SAME, SAME), (OPEN, OPEN), PART),
            ((SAME, OPEN), (OPEN, SAME), UNTOLD),
            ((SAME, None), (SAME, None), UNTOLD),  # without shapes nothing is shown to be equal
            ((APART, None), (OPEN, None), PART),
        ],
    )
    def test_the_verdict_follows_the_tests(
        self,
        evidence: Evidence,
        monkeypatch: pytest.MonkeyPatch,
        downloads: tuple,
        likes: tuple,
        verdict: str,
    ) -> None:
        tests = {
            (size, kind): p
            for size, both in (("downloads", downloads), ("likes", likes))
            for kind, p in zip(("zeta", "shape"), both, strict=True)
            if p is not None
        }
        monkeypatch.setattr(audit_tests, "mirror_tests", lambda _: (tests, "so"))
        assert audit_tests.mirror(evidence)[0] == verdict

    def test_noise_alone_contradicts_at_most_once_in_twenty(self) -> None:
        # Equal exponents, errors far beyond the margin: a difference "beyond" is a false alarm.
        rng = np.random.default_rng(6)
        runs = 4_000
        alarms = 0
        for _ in range(runs):
            gaps = 0.28 * rng.standard_normal(2)
            tests = {
                (name, "zeta"): margin_tests(float(gap), 0.1, 0.28)
                for name, gap in zip(("downloads", "likes"), gaps, strict=True)
            }
            alarms += any(decide(tests)[1])
        assert alarms / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)

    def test_the_same_sample_has_one_tail_and_one_shape(self, evidence: Evidence) -> None:
        likes = evidence.fits["likes"]
        tests, shown = mirror_tests({"downloads": likes, "likes": likes, "tvl": likes})
        assert all(p_misses > 0.99 for _, p_misses in tests.values())
        assert "zeta of likes less that of TVL +0.00" in shown
        assert "0.000 apart" in shown
