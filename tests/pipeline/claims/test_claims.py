"""The audit: each claim against made-up evidence for which its verdict is known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.estimation.predictive.equivalence import margin_tests
from baimo.estimation.results import from_dict, to_dict
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.claims import contributions, mirror
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.mirror import decide, mirror_tests
from baimo.pipeline.claims.registry import ALL_CLAIMS, audit, claims_table, numbers_table
from baimo.pipeline.models.attachment import ATTACHMENT_FIT, calibrate_attachment
from baimo.pipeline.models.gbm import GROWTH_FIT, calibrate_growth
from baimo.pipeline.models.printed import PRINTED_EQUATION, simulate_printed_equation
from baimo.pipeline.report.tables import undated
from baimo.pipeline.schema.derived import DEFI_POPULATION, HUB_AUTHORS, SIZE_VARIANTS
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL
from tests.pipeline.synthetic import (
    DAY,
    NO_EFFECTS,
    NO_POPULATIONS,
    comparison_of,
    day_of,
    fits_of,
    hub_frequency,
    judged,
    listing,
    population,
    weekly,
)

HOLDS, PART, FAILS, UNTOLD = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTOLD
EXPLAINS, CONTRADICTED, UNDECIDED = "explains", "contradicted", "cannot be told"
Evidence = dict[Any, Any]


def decided(name: str, evidence: Evidence, **changed: Any) -> Finding:
    """Return what a claim finds; `changed` replaces evidence by the name of its constant."""
    named = {
        "downloads": TAILS[DOWNLOADS.name], "likes": TAILS[LIKES.name], "tvl": TAILS[TVL.name],
        "attachment": ATTACHMENT_FIT, "growth": GROWTH_FIT, "printed": PRINTED_EQUATION,
        "cohorts": COHORTS, "comparison": COMPARISON, "authors": HUB_AUTHORS,
    }  # fmt: skip
    values = evidence | {named[key]: value for key, value in changed.items()}
    claim = ALL_CLAIMS[name]
    return claim.test(day_of(values).only(claim.needs))


# Sizes at the quantiles of P(X > x) = 1/x and x^-2: no sampling error.
RANK = np.arange(1, 40_001) - 0.5
ZIPF, THIN = np.floor(4e4 / RANK), np.floor((4e4 / RANK) ** 0.5 * 50)


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


@pytest.fixture(scope="module")
def evidence(sizes: dict[str, SizeFits]) -> Evidence:
    frequency = hub_frequency(3_000, 11)
    attachment = calibrate_attachment(
        frequency, Counts.from_sample(ZIPF), Counts.from_sample(THIN), NO_EFFECTS, DAY
    )
    table = population(800, 7)
    return {
        TAILS[DOWNLOADS.name]: sizes["zipf downloads"],
        TAILS[LIKES.name]: sizes["thin likes"],
        TAILS[TVL.name]: sizes["tvl"],
        ATTACHMENT_FIT: attachment,
        GROWTH_FIT: calibrate_growth(table, listing(table), weekly(6)),
        PRINTED_EQUATION: simulate_printed_equation(attachment, 1),
        COHORTS: {},
        COMPARISON: comparison_of(judged("Yule", "likes", EXPLAINS, "zeros")),
        HUB_AUTHORS: pl.DataFrame({"n_models": [1, 2], "n_authors": [1, 0]})[:1],
        KERNEL_FIT: None,
        COMPANION_FITS: NO_POPULATIONS,
        DEFI_POPULATION: pl.DataFrame(),
        SIZE_VARIANTS: pl.DataFrame(schema=SIZE_VARIANTS.schema),
    }


def test_every_claim_is_told_with_its_criterion(evidence: Evidence) -> None:
    claims = audit(day_of(evidence))
    assert [c.name for c in claims] == list(ALL_CLAIMS)
    for tested in claims:
        claim = ALL_CLAIMS[tested.name]
        assert isinstance(tested.verdict, Verdict)
        assert tested.evidence, tested.name
        assert (tested.text, tested.where, tested.paper) == (claim.text, claim.where, claim.paper)
        assert (tested.statistic, tested.criterion) == (claim.statistic, claim.criterion)
        assert from_dict(to_dict(tested)) == tested
    verdicts = {c.name: c.verdict for c in claims}
    assert verdicts["downloads_zipf"] is HOLDS
    assert verdicts["likes_zipf"] is FAILS
    assert verdicts["likes_fatter"] is FAILS
    assert verdicts["printed_equation"] is FAILS
    assert verdicts["number_of_models"] is FAILS
    assert verdicts["attachment_kernel"] is UNTOLD  # one day has no increments
    assert verdicts["contributions"] is UNTOLD  # one number of models is no distribution


def test_verdicts_and_their_numbers_are_published_as_tables(evidence: Evidence) -> None:
    claims = audit(day_of(evidence))
    table, numbers = claims_table(claims), numbers_table(claims)
    assert table.schema == pl.Schema(CLAIMS.schema)
    assert numbers.schema == pl.Schema(CLAIM_NUMBERS.schema)
    assert table["claim"].to_list() == list(ALL_CLAIMS)
    assert table["verdict"].to_list() == [c.verdict.value for c in claims]
    slopes = numbers.filter(pl.col("claim") == "downloads_zipf")
    lines = evidence[TAILS[DOWNLOADS.name]].zipf
    wanted = ("top10pct_all", "top1pct_all", "top0.1pct_all", "top100")
    assert slopes["value"].to_list() == [lines[label].slope for label in wanted]
    assert set(slopes["held_against"]) == {-1.0}
    assert numbers.select("claim", "number").is_duplicated().sum() == 0


def test_fatter_likes_are_seen_too(evidence: Evidence, sizes: dict[str, SizeFits]) -> None:
    swapped = {"downloads": sizes["thin downloads"], "likes": sizes["zipf likes"]}
    assert decided("likes_fatter", evidence, **swapped).verdict is HOLDS
    assert decided("likes_zipf", evidence, **swapped).verdict is HOLDS
    assert decided("downloads_zipf", evidence, **swapped).verdict is FAILS
    # With the heavier tail goes the larger share of the top: no sign of diversity.
    assert decided("fat_tail_diversity", evidence, **swapped).verdict is FAILS
    assert decided("fat_tail_diversity", evidence).verdict is FAILS


def test_the_papers_number_of_models(evidence: Evidence) -> None:
    attachment = evidence[ATTACHMENT_FIT]

    def verdict(n: int) -> Verdict:
        simon = replace(attachment.simon_likes, n_obs=n)
        fit = replace(attachment, simon_likes=simon)
        return decided("number_of_models", evidence, attachment=fit).verdict

    assert verdict(700_000) is verdict(640_000) is HOLDS
    assert verdict(600_000) is verdict(1_000_000) is FAILS
    # some models came after the paper's date: the number of that date counts as well
    age = 65 / 365.25
    later = int(attachment.n_models[attachment.ages < age].sum())
    assert 0 < later < 1_000
    assert verdict(770_000 + later // 2) is HOLDS


def test_tvl(evidence: Evidence, sizes: dict[str, SizeFits]) -> None:
    assert decided("tvl_power_law", evidence).verdict in (FAILS, PART)  # a lognormal
    assert decided("tvl_power_law", evidence, tvl=sizes["pareto tvl"]).verdict is HOLDS


class TestModels:
    """What the comparison says of the models decides, by the words set beforehand."""

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
    def test_demand(
        self, evidence: Evidence, outcomes: tuple[str | None, ...], verdict: Verdict
    ) -> None:
        pairs = zip(("downloads", "likes"), outcomes, strict=False)
        rows = [judged("CES", m, outcome, "zeta") for m, outcome in pairs]
        rows.append(judged("Simon", "likes", EXPLAINS, "zeta"))  # another claim's model
        found = decided("demand_explains", evidence, comparison=comparison_of(*rows))
        assert found.verdict is verdict
        if outcomes:
            assert f"CES of downloads: {rows[0]['verdict']} (zeta 1 / 2)" in found.evidence
            assert found.numbers[0].name == "zeta of downloads under CES"

    def test_attachment_has_three_models_to_its_name(self, evidence: Evidence) -> None:
        def verdict(*outcomes: str) -> Verdict:
            keys = [("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes")]
            rows = [judged(*key, o, "zeta") for key, o in zip(keys, outcomes, strict=True)]
            table = comparison_of(*rows)
            return decided("attachment_explains", evidence, comparison=table).verdict

        assert verdict(*[CONTRADICTED] * 3) is FAILS
        assert verdict(*[EXPLAINS] * 3) is HOLDS
        assert verdict(CONTRADICTED, CONTRADICTED, EXPLAINS) is PART

    def test_growth(self, evidence: Evidence) -> None:
        for outcome, verdict in ((EXPLAINS, HOLDS), (CONTRADICTED, FAILS), (UNDECIDED, UNTOLD)):
            survivors = judged("GBM survivors", "tvl", EXPLAINS, "zeta")  # decides nothing
            table = comparison_of(judged("GBM", "tvl", outcome, "zeta"), survivors)
            assert decided("growth_explains", evidence, comparison=table).verdict is verdict

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
        assert "too few dated items" in decided("attachment_explains", evidence).evidence
        rng = np.random.default_rng(5)
        fit: CohortsFit = fit_cohorts(
            np.floor(9.5 * (1 - rng.random(900)) ** -1.0 + 0.5), rng.random(900), x_min=10,
            n_cohorts=3,
        )  # fmt: skip
        shown = decided("attachment_explains", evidence, cohorts={"likes": fit}).evidence
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
        monkeypatch.setattr(contributions, "P_REPLICATIONS", 60)
        # numbers at the quantiles of a power law: no test rejects them
        above = decided("contributions", evidence, authors=self.authors(1.8))
        assert above.verdict is HOLDS
        assert "3,000 authors" in above.evidence
        below = decided("contributions", evidence, authors=self.authors(0.7))
        assert below.verdict is FAILS

    def test_no_power_law_is_half_the_claim(
        self, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Powers of two only, as many of each as a Pareto of 1.8 has up to the next.
        monkeypatch.setattr(contributions, "P_REPLICATIONS", 60)
        k = np.arange(6)
        n = np.rint(30_000 * 2.0 ** (-1.8 * k) * (1 - 2.0**-1.8))
        table = pl.DataFrame({"n_models": 2**k, "n_authors": n}).cast(pl.Int64)
        found = decided("contributions", evidence, authors=table)
        assert found.verdict is PART, found.evidence

    def test_without_authors(self, evidence: Evidence) -> None:
        assert decided("contributions", evidence).verdict is UNTOLD


class TestTheory:
    """Claims that need no data: their verdict is that of algebra."""

    def test_the_printed_index_is_not_that_of_demand(self, evidence: Evidence) -> None:
        found = decided("demand_index", evidence)
        shown = found.evidence
        assert found.verdict is FAILS
        # alpha 3, rho .5: printed (3 x .5 - 1)/.5 = 1, true 3 x .5/.5 = 3
        assert "alpha 3, rho 0.5" in shown
        assert "printed 1.00, alpha (1 - rho)/rho = 3.00" in shown

    def test_substitution_rises_with_rho(self, evidence: Evidence) -> None:
        found = decided("rho_substitution", evidence)
        shown = found.evidence
        assert found.verdict is FAILS
        for rho in (0.3, 0.6, 0.9):
            assert f"{1 / (1 - rho):.2f} at rho {rho:g}" in shown

    def test_a_printed_equation_with_a_tail_would_hold(self, evidence: Evidence) -> None:
        heavy = replace(evidence[PRINTED_EQUATION], zetas=(1.1, 9.0, 9.0))
        assert decided("printed_equation", evidence, printed=heavy).verdict is HOLDS


class TestGrowth:
    def test_independent_shocks_by_hand(self, evidence: Evidence) -> None:
        # Pesaran: CD = sqrt(2 T/(N (N - 1))) x sum of correlations, of N (N - 1)/2 pairs.
        growth = evidence[GROWTH_FIT]

        def found(n: int, mean: float) -> Finding:
            panel = replace(growth.panel, n_items=n, mean_correlation=mean)
            return decided("independent_shocks", evidence, growth=replace(growth, panel=panel))

        pairs = 10 * 9 / 2
        cd = math.sqrt(2 * 26 / (10 * 9)) * pairs * 0.2
        assert found(10, 0.2).verdict is FAILS
        assert f"at least {cd:.0f}" in found(10, 0.2).evidence
        assert found(10, 0.2).numbers[0].value == pytest.approx(cd)
        assert found(10, 0.01).verdict is HOLDS
        assert found(10, -0.2).verdict is FAILS

    @pytest.mark.parametrize(
        ("everyone", "alive", "verdict"),
        [(3.0, 3.0, HOLDS), (3.0, 0.5, PART), (-3.0, 3.0, PART), (-3.0, 0.5, FAILS)],
    )
    def test_rich_get_richer(
        self, evidence: Evidence, everyone: float, alive: float, verdict: Verdict
    ) -> None:
        g = evidence[GROWTH_FIT]
        moved = replace(
            g,
            population=replace(g.population, size_slope=everyone, size_slope_std_error=1.0),
            alive=replace(g.alive, size_slope=alive, size_slope_std_error=1.0),
        )
        assert decided("rich_get_richer", evidence, growth=moved).verdict is verdict


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
        verdict: Verdict,
    ) -> None:
        tests = {
            (size, kind): p
            for size, both in (("downloads", downloads), ("likes", likes))
            for kind, p in zip(("zeta", "shape"), both, strict=True)
            if p is not None
        }
        monkeypatch.setattr(mirror, "mirror_tests", lambda _: (tests, "so", ()))
        assert decided("mirror", evidence).verdict is verdict

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
        likes = evidence[TAILS[LIKES.name]]
        tests, shown, numbers = mirror_tests({"downloads": likes, "likes": likes, "tvl": likes})
        assert all(p_misses > 0.99 for _, p_misses in tests.values())
        assert "zeta of likes less that of TVL +0.00" in shown
        assert "0.000 apart" in shown
        assert [n.value for n in numbers] == pytest.approx([0.0] * 4, abs=1e-12)
