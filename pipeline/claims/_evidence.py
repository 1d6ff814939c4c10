"""The tests of the papers' claims: each returns (verdict, evidence, sensitivity).

Criteria stand in `baimo.pipeline.claims.claim`, margins here, both set before looking.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.estimation.tails.tail_index import fit_hill
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims import robustness as beside
from baimo.pipeline.claims.mirror import (
    ZETA_MARGIN,
    decide,
    mirror_tests,
    other_ecosystems,
    zeta_gap,
)
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.gbm import GrowthCalibration
from baimo.pipeline.models.printed import PrintedEquation
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import cutoff_words, joined
from baimo.pipeline.variables import DAYS_PER_YEAR
from baimo.simulation.demand.ces import DemandParams, ces_demand
from baimo.simulation.demand.printed import printed_tail_index

HOLDS, PART, FAILS, UNTOLD = "holds", "holds in part", "fails", "cannot be told"
SLOPE_MARGIN = 0.1
COUNT_MARGIN = 0.1
CLAIMED_MODELS = 700_000
PAPER_DATE = date(2024, 5, 7)  # on the paper's first page
NO_TAIL = 5.0
P_AUTHORS = 1000  # replications of the p-value of contributions
SIGNIFICANT = 1.96

Found = tuple[str, str, str]
"""Verdict, evidence, sensitivity."""


@dataclass(frozen=True)
class Evidence:
    """What the tests may look at."""

    fits: dict[str, SizeFits]
    attachment: AttachmentCalibration
    growth: GrowthCalibration
    day: date
    printed: PrintedEquation
    cohorts: dict[str, CohortsFit]
    comparison: pl.DataFrame
    authors: pl.DataFrame
    kernel: KernelCalibration | None = None
    beside: CompanionFits | None = None
    population: pl.DataFrame = field(default_factory=pl.DataFrame)
    variants: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=SIZE_VARIANTS.schema)
    )


def _slope_is_one(fits: SizeFits) -> tuple[str, str]:
    parts, near = [], []
    for label in ("top10pct_all", "top1pct_all", "top0.1pct_all", "top100"):
        line = fits.zipf.get(label)
        if line is None:
            continue
        interval = line.conf_int()["slope"]
        assert interval is not None
        near.append(abs(line.slope + 1.0) < SLOPE_MARGIN)
        parts.append(
            f"{cutoff_words(label)} ({line.k:,}) {line.slope:.3f} "
            f"[{interval[0]:.2f}, {interval[1]:.2f}]"
        )
    verdict = HOLDS if all(near) else PART if any(near) else FAILS
    return verdict, "; ".join(parts)


def _without_largest(fits: SizeFits) -> str:
    """Return the slopes at the same cut-offs when the largest item is left out."""
    trimmed = fits.counts.without_largest()
    parts = []
    for label in ("top1pct_all", "top0.1pct_all", "top100"):
        line = fits.zipf.get(label)
        if line is not None and line.k <= trimmed.n_obs - trimmed.n_zero:
            parts.append(f"{cutoff_words(label)} {fit_zipf(trimmed, k=line.k).slope:.3f}")
    return "without the largest item: " + ", ".join(parts) if parts else ""


def _slopes_cut_otherwise(e: Evidence, measure: str) -> str:
    return joined(
        [
            _without_largest(e.fits[measure]),
            beside.slopes_of_families(e.variants, measure),
            beside.slopes_of_datasets(e.beside, measure),
        ]
    )


def downloads_slope(e: Evidence) -> Found:
    """Whether the slope of downloads is -1 at every cut-off."""
    verdict, shown = _slope_is_one(e.fits["downloads"])
    return verdict, shown, _slopes_cut_otherwise(e, "downloads")


def likes_slope(e: Evidence) -> Found:
    """Whether the slope of likes is -1 at every cut-off."""
    verdict, shown = _slope_is_one(e.fits["likes"])
    rival = next(c for c in e.fits["likes"].comparisons if c.alternative == "lognormal")
    if rival.vuong is not None:
        shown += (
            f"; on the CSN tail against a lognormal, items taken as independent: {rival.verdict} "
            f"(Vuong {rival.vuong:.2f})"
        )
    return verdict, shown, _slopes_cut_otherwise(e, "likes")


def likes_fatter(e: Evidence) -> Found:
    """Whether likes have the smaller exponent."""
    parts, signs = [], []
    for label in ("top1pct_all", "top0.1pct_all", "top100"):
        d, k = e.fits["downloads"].zipf.get(label), e.fits["likes"].zipf.get(label)
        if d is None or k is None:
            continue
        gap = k.slope - d.slope  # zeta_downloads - zeta_likes
        error = (d.std_error_clustered**2 + k.std_error_clustered**2) ** 0.5
        signs.append(0 if abs(gap) < 1.96 * error else (1 if gap > 0 else -1))
        parts.append(
            f"{cutoff_words(label)}: zeta likes {-k.slope:.2f}, downloads {-d.slope:.2f} "
            f"(z = {-gap / error:.1f})"
        )
    trimmed = (
        f"zeta of the CSN tails without the largest item: likes "
        f"{e.fits['likes'].tail_without_largest.zeta:.2f}, downloads "
        f"{e.fits['downloads'].tail_without_largest.zeta:.2f}"
    )
    if not signs:
        return UNTOLD, "too few items", ""
    if all(s > 0 for s in signs):
        return HOLDS, "; ".join(parts), trimmed
    if any(s > 0 for s in signs):
        return PART, "; ".join(parts), trimmed
    if any(s < 0 for s in signs):
        return FAILS, "; ".join(parts), trimmed
    return UNTOLD, "; ".join(parts), trimmed


def number_of_models(e: Evidence) -> Found:
    """Whether the Hub holds as many models as said."""
    total = e.attachment.simon_likes.n_obs
    age_then = (e.day - PAPER_DATE).days / DAYS_PER_YEAR
    younger = int(e.attachment.n_models[e.attachment.ages < age_then].sum())
    then = total - younger
    shown = (
        f"{total:,} models on {e.day}, of which {then:,} were created by {PAPER_DATE}, the "
        "paper's date (deleted ones unseen)"
    )
    near = [abs(n / CLAIMED_MODELS - 1.0) <= COUNT_MARGIN for n in (total, then)]
    return (HOLDS if any(near) else FAILS), shown, ""


def tvl_power_law(e: Evidence) -> Found:
    """Whether TVL is a power law."""
    fits = e.fits["tvl"]
    slopes = {label: line.slope for label, line in fits.zipf.items() if label.endswith("_positive")}
    lognormal = next(c for c in fits.comparisons if c.alternative == "lognormal")
    shown = (
        "rank-size slope by cut-off: "
        + ", ".join(f"{cutoff_words(k)} {v:.2f}" for k, v in slopes.items())
        + f"; CSN tail holds {fits.tail.n_tail:,} of {fits.tail.n_obs:,} protocols"
        + f" (zeta {fits.tail.zeta:.2f}); against a lognormal there: {lognormal.verdict}"
    )
    if lognormal.vuong is not None:
        shown += f" (Vuong {lognormal.vuong:.2f}, p {lognormal.p_value:.2f})"
    judged = fits.judged_without_largest
    trimmed = (
        f"without the largest protocol: zeta {judged.tail.zeta:.2f}, support {judged.support.level}"
    )
    trimmed = joined([trimmed, beside.tvl_cut_otherwise(e.variants), beside.other_tvl(e.beside)])
    share = fits.tail.n_tail / fits.tail.n_obs
    bends = max(slopes.values()) - min(slopes.values()) > 2 * SLOPE_MARGIN if slopes else False
    if lognormal.verdict == "lognormal" or (bends and share < 0.05):
        return FAILS, shown, trimmed
    return (PART if bends or share < 0.5 else HOLDS), shown, trimmed


def printed_equation(e: Evidence) -> Found:
    """Whether eq 19 as printed makes a tail."""
    p = e.printed
    each = zip(p.noise, p.zetas, p.skewness, p.excess_kurtosis, strict=True)
    shown = (
        f"{p.n_items:,} items from equal starts over {p.days:.0f} days; noise (in starts), "
        "exponent of the top 1 %, skewness, excess kurtosis (a normal distribution has 0 and 0): "
        + "; ".join(f"{s:g}: {z:.1f}, {a:.3f}, {k:.3f}" for s, z, a, k in each)
    )
    return (FAILS if min(p.zetas) > NO_TAIL else HOLDS), shown, ""


def fat_tail_is_diversity(e: Evidence) -> Found:
    """Whether the size with the heavier tail is the less concentrated one."""
    heavy, light = sorted((e.fits["downloads"], e.fits["likes"]), key=lambda f: f.tail.zeta)
    gap = heavy.concentration.top_1pct - light.concentration.top_1pct
    shown = "; ".join(
        f"{f.measure}: zeta {f.tail.zeta:.2f}, top 1 % hold {f.concentration.top_1pct:.1%}, Gini "
        f"{f.concentration.gini:.3f}, effective number {1.0 / f.concentration.hhi:,.0f}"
        for f in (heavy, light)
    )
    trimmed = "without the largest item the top 1 % hold " + ", ".join(
        f"{f.concentration_without_largest.top_1pct:.1%} ({f.measure})" for f in (heavy, light)
    )
    return (FAILS if gap > 0 else HOLDS), shown + "; of a Pareto, Gini = 1/(2 zeta - 1)", trimmed


def contributions(e: Evidence) -> Found:
    """Whether models per author have a Pareto tail with alpha > 1."""
    if e.authors.height < 2:
        return UNTOLD, "the snapshot names no authors", ""
    counts = Counts.from_pairs(e.authors["n_models"].to_numpy(), e.authors["n_authors"].to_numpy())
    fit = fit_tail(counts)
    p = goodness_of_fit(counts, fit, n_replications=P_AUTHORS, seed=SEED)
    low, high = fit.conf_int()["zeta"] or (math.nan, math.nan)
    shown = (
        f"models per author, {counts.n_obs:,} authors: zeta {fit.zeta:.2f} [{low:.2f}, {high:.2f}] "
        f"from {fit.x_min:,.0f} models on ({fit.n_tail:,} authors), p {p.shown}"
    )
    slopes = [f"top {k:,} {fit_zipf(counts, k=k).slope:.2f}" for k in (100, 1000) if k < fit.n_obs]
    kept = "rank-size slope: " + ", ".join(slopes)
    if low <= 1.0:
        return FAILS, shown, kept
    return (PART if p.rejected else HOLDS), shown, kept


def _models(e: Evidence, models: tuple[str, ...], measures: tuple[str, ...]) -> tuple[str, str]:
    """Return the verdict on models from the comparison, and what each is contradicted by."""
    rows = e.comparison.filter(pl.col("model").is_in(models) & pl.col("measure").is_in(measures))
    if rows.is_empty():
        return UNTOLD, "no model was simulated"
    said = [
        f"{r['model']} of {r['measure']}: {r['verdict']} ({r['evidence']})"
        for r in rows.iter_rows(named=True)
    ]
    verdicts = rows["verdict"].to_list()
    if all(v.startswith("contradicted") for v in verdicts):
        verdict = FAILS
    elif all(v.startswith("explains") for v in verdicts):
        verdict = HOLDS
    else:
        verdict = PART if any(v.startswith("explains") for v in verdicts) else UNTOLD
    return verdict, "; ".join(said)


def _cohorts(e: Evidence) -> str:
    parts = []
    for name, fit in e.cohorts.items():
        zetas = ", ".join(
            f"{z:.2f} ({s:.2f})" for z, s in zip(fit.zeta, fit.std_error, strict=True)
        )
        parts.append(
            f"{name} from {fit.x_min:,.0f} on, cohorts from young to old: zeta {zetas}; equal with "
            f"p = {fit.p_value:.2g}"
        )
    return "; ".join(parts) or "too few dated items in the tails for cohorts"


def attachment_explains(e: Evidence) -> Found:
    """Whether an attachment process gives the data in all that it speaks of."""
    verdict, shown = _models(e, ("Simon", "Yule"), ("downloads", "likes"))
    return verdict, f"{shown}; {_cohorts(e)}", ""


def demand_explains(e: Evidence) -> Found:
    """Whether CES demand with common Pareto tastes gives the data."""
    verdict, shown = _models(e, ("CES",), ("downloads", "likes"))
    return (
        verdict,
        f"{shown}; {_cohorts(e)}",
        joined(
            ["the same at every rho: only alpha moves with it", beside.lasting_tastes(e.beside)]
        ),
    )


def growth_explains(e: Evidence) -> Found:
    """Whether GBM with entry and exit gives the TVL."""
    verdict, shown = _models(e, ("GBM",), ("tvl",))
    fit = e.growth
    return (
        verdict,
        f"{shown}; Kolmogorov-Smirnov distance of the mixture {fit.ks_growth:.3f}, of the entry "
        f"sizes as if nothing had grown {fit.ks_entry_only:.3f}",
        joined(
            [
                "growth is that of the interval after the snapshot",
                _models(e, ("GBM survivors",), ("tvl",))[1],
            ]
        ),
    )


def attachment_kernel(e: Evidence) -> Found:
    """Whether likes go to the liked, in proportion, and whatever their age."""
    fit = e.kernel
    wanted = (
        f"theta of all models of {e.day} needs their likes on an earlier day too; with two days "
        "in the lake: baimo run --source lake"
    )
    if fit is None or fit.kernel is None:
        return UNTOLD, wanted + "".join(f"; {note}" for note in (fit.notes if fit else ())), ""
    found, errors = fit.statistics()
    shown = (
        f"{fit.kernel.n_used:,} models of known age, {fit.before_on} to {fit.after_on}: "
        + ", ".join(f"{name} {value:.2f} ({errors[name]:.2f})" for name, value in found.items())
        + f"; {fit.kernel.n_clusters:,} authors as clusters"
    )
    kept = ""
    if fit.without_largest is not None:
        small = fit.without_largest
        kept = (
            f"without the three authors of the largest gains theta {small.theta:.2f}, phi "
            f"{small.phi:.2f}; "
        )
    if fit.kernel.nb2_theta is not None:
        kept += f"with the weights of a negative binomial theta {fit.kernel.nb2_theta:.2f}"
    if not fit.whole:
        return UNTOLD, f"{wanted}. Of another population: {shown}", kept
    tests = [
        margin_tests(found[name] - under, ZETA_MARGIN, errors[name])
        for name, under in (("theta", 1.0), ("phi", 0.0))
    ]
    equal, different = (holm([t[i] for t in tests]) for i in (0, 1))
    if any(p < LEVEL for p in different):
        return FAILS, shown, kept
    return (HOLDS if all(p < LEVEL for p in equal) else UNTOLD), shown, kept


def printed_index(_: Evidence) -> Found:
    """Whether demand has the exponent that section 8.3 prints."""
    rng = np.random.default_rng([SEED, 24])
    parts, near = [], []
    for alpha, rho in ((3.0, 0.5), (4.0, 0.6), (2.5, 0.3)):
        params = DemandParams(alpha=alpha, rho=rho)
        demand = np.exp(params.kappa * rng.standard_exponential(400_000) / alpha)
        fit = fit_hill(demand, k=4000, discrete=False)
        printed = printed_tail_index(alpha, rho)
        zeta, error = fit.zeta or math.nan, fit.std_error or math.nan
        near.append(abs(zeta - printed) < 3.0 * error)
        parts.append(
            f"alpha {alpha:g}, rho {rho:g}: simulated {zeta:.2f} ({error:.2f}), printed "
            f"{printed:.2f}, alpha (1 - rho)/rho = {params.zeta:.2f}"
        )
    return (HOLDS if all(near) else PART if any(near) else FAILS), "; ".join(parts), ""


def rho_and_substitution(_: Evidence) -> Found:
    """Whether goods become more substitutable as rho falls."""
    responses = []
    for rho in (0.3, 0.6, 0.9):
        before = ces_demand([1.0, 1.0], [1.0, 1.0], 1.0, rho)[0]
        after = ces_demand([1.0, 1.0], [1.01, 1.0], 1.0, rho)[0]
        ratio = math.log(after[0] / after[1]) - math.log(before[0] / before[1])
        responses.append((rho, -ratio / math.log(1.01)))
    rising = responses[0][1] < responses[1][1] < responses[2][1]
    shown = "elasticity of substitution of the demand system: " + ", ".join(
        f"{s:.2f} at rho {rho:g}" for rho, s in responses
    )
    return (FAILS if rising else HOLDS), shown, ""


def independent_shocks(e: Evidence) -> Found:
    """Whether the W_i of eq 36 are independent."""
    panel = e.growth.panel
    pairs = panel.n_items * (panel.n_items - 1) / 2.0
    cd = panel.mean_correlation * math.sqrt(26.0 * pairs)  # every pair has 26 weeks or more
    shown = (
        f"{panel.n_items} protocols, {panel.n_weeks} weeks: mean pairwise correlation "
        f"{panel.mean_correlation:.2f} (Pesaran's CD at least {cd:.0f}, standard normal if "
        f"independent), first principal component {panel.factor_share:.0%}, excess kurtosis "
        f"{panel.excess_kurtosis:.0f}"
    )
    return (FAILS if abs(cd) > SIGNIFICANT else HOLDS), shown, "survivors only"


def rich_get_richer(e: Evidence) -> Found:
    """Whether the large grow faster, as eq 38 is said to imply."""
    parts, signs = [], []
    for title, fit in (("all", e.growth.population), ("above 10,000 USD", e.growth.alive)):
        z = fit.size_slope / fit.size_slope_std_error
        signs.append(0 if abs(z) < SIGNIFICANT else int(math.copysign(1, z)))
        parts.append(
            f"{title}: {fit.size_slope:+.3f} a year per log USD ({fit.size_slope_std_error:.3f}) "
            f"over {fit.n_used:,} protocols"
        )
    verdict = HOLDS if all(s > 0 for s in signs) else FAILS if all(s <= 0 for s in signs) else PART
    return (
        verdict,
        "slope of log growth on log size: " + "; ".join(parts) + "; inflow split by size gives "
        "every protocol the same lambda and moves no share",
        joined(
            [
                beside.growth_of_the_large(e.population),
                beside.floor_on_both_dates(e.growth, e.population),
                "survivors of one interval; a common shock is not in the errors",
                beside.growth_of_downloads(e.beside),
            ]
        ),
    )


def mirror(e: Evidence) -> Found:
    """Whether TVL has the tail and the shape of downloads and likes."""
    tests, shown = mirror_tests(e.fits)
    gap, error = zeta_gap(e.fits["downloads"], e.fits["likes"])
    best = ", ".join(f"{f.measure} {f.whole.best.model.replace('_', ' ')}" for f in e.fits.values())
    shown += (
        f"; downloads and likes differ themselves by {gap:+.2f} ({error:.2f}); best law of the "
        f"whole sample: {best}"
    )
    others = other_ecosystems(e.fits, e.beside)
    equal, different = decide(tests)
    if all(equal):
        return HOLDS, shown, others
    if all(different):
        return FAILS, shown, others
    return (PART if any(different) or any(equal) else UNTOLD), shown, others
