"""The papers' empirical claims, one entry each: what is said, how it is tested, what came out.

Criteria stand here, not in the code that reports: they may not follow the figures. A verdict
is one of: holds, holds in part, fails, cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from baimo.estimation.results import registered
from baimo.pipeline.claims import _evidence as tests
from baimo.pipeline.claims._evidence import FAILS, HOLDS, PART, UNTOLD, Evidence, Found

__all__ = ["CLAIMS", "FAILS", "HOLDS", "PART", "UNTOLD", "Claim", "Evidence", "audit_claims"]


@registered("Claim")
@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a paper with its test and verdict.

    Parameters
    ----------
    name, text, where
        How it is called, what is said, in which section.
    statistic, criterion
        What is measured, and what was settled beforehand to follow from it.
    verdict, evidence, sensitivity
        What came out, with the numbers, and what it is without the outlier or otherwise cut.
    """

    name: str
    text: str
    where: str
    statistic: str
    criterion: str
    verdict: str
    evidence: str
    sensitivity: str = ""


@dataclass(frozen=True)
class Entry:
    """A claim before it is tested."""

    name: str
    text: str
    where: str
    statistic: str
    criterion: str
    test: Callable[[Evidence], Found]


def audit_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Test every claim."""
    return tuple(_judge(entry, evidence) for entry in CLAIMS)


def _judge(entry: Entry, evidence: Evidence) -> Claim:
    verdict, shown, sensitivity = entry.test(evidence)
    return Claim(
        name=entry.name,
        text=entry.text,
        where=entry.where,
        statistic=entry.statistic,
        criterion=entry.criterion,
        verdict=verdict,
        evidence=shown,
        sensitivity=sensitivity,
    )


CLAIMS = (
    Entry(
        "downloads_zipf",
        "Downloads of open models follow Zipf's law: the log-log rank-size slope is close to -1.",
        "section 1",
        "slope of log(rank - 1/2) on log(downloads), author-clustered 95 % interval",
        "holds if within 0.1 of -1 at the top 10 %, 1 %, 0.1 % and the top 100; in part if at some",
        tests.downloads_slope,
    ),
    Entry(
        "likes_zipf",
        "Likes follow Zipf's law as well: their log-log rank-size slope is close to -1.",
        "section 1 and eq 18-19",
        "slope of log(rank - 1/2) on log(likes), author-clustered 95 % interval",
        "holds if within 0.1 of -1 at the top 1 %, 0.1 % and the top 100; in part if at some",
        tests.likes_slope,
    ),
    Entry(
        "likes_fatter",
        "Likes have an even fatter tail than downloads.",
        "section 1",
        "difference of the rank-size exponents at equal cut-offs, clustered errors",
        "holds if likes' zeta is smaller (|z| > 1.96) at the top 1 %, 0.1 % and the top 100",
        tests.likes_fatter,
    ),
    Entry(
        "number_of_models",
        "The Hub holds about 700,000 open models.",
        "section 1",
        "number of models by day of creation",
        "holds if the snapshot's total or that of the paper's date is within 10 % of 700,000",
        tests.number_of_models,
    ),
    Entry(
        "tvl_power_law",
        "TVL of DeFi protocols is distributed as a power law.",
        "section 11.2, eq 39",
        "slopes over cut-offs, share of protocols in the CSN tail, Vuong against the lognormal",
        "fails if the lognormal wins, or the slope bends by over 0.2 and the tail holds under 5 %; "
        "in part if it bends or the tail holds under half",
        tests.tvl_power_law,
    ),
    Entry(
        "printed_equation",
        "The preferential-attachment process of eq 19 generates a power law.",
        "section 7.3, eq 19",
        "Hill exponent, skewness and kurtosis of the printed equation, stepped at full size",
        "fails if the exponent of the top 1 % exceeds 5 at every volatility tried",
        tests.printed_equation,
    ),
    Entry(
        "fat_tail_diversity",
        "A fat tail is a sign of diversity.",
        "sections 1 and 7.3",
        "concentration (top 1 %, Gini, Herfindahl) of the size with the heavier tail",
        "fails if the size with the smaller zeta has the larger share of its top 1 %",
        tests.fat_tail_is_diversity,
    ),
    Entry(
        "contributions",
        "Members' contributions follow a power law with alpha > 1.",
        "section 7.3, eq 18",
        "CSN fit of models per author, its p from 1,000 replications",
        "holds if zeta exceeds 1 (95 %) and p >= .1; in part if only the first",
        tests.contributions,
    ),
    Entry(
        "attachment_explains",
        "Preferential attachment explains the skew of popularity.",
        "section 7.3",
        "Simon's urn and the Yule process at full size, all that they speak of, jointly (Holm)",
        "fails if a statistic lies beyond its margin for every one; holds if all explain all",
        tests.attachment_explains,
    ),
    Entry(
        "attachment_kernel",
        "Popular models gain in proportion to their popularity.",
        "section 7.3, eq 19",
        "kernel exponents theta (size) and phi (age) by Poisson pseudo maximum likelihood",
        "holds if theta is within .1 of 1 and phi within .1 of 0",
        tests.attachment_kernel,
    ),
    Entry(
        "demand_explains",
        "CES demand with Pareto tastes explains the distribution.",
        "section 8.3, eq 20-24",
        "CES at full size, zeta tuned: zeros, top 1 %, age of the tail, oldest cohort (Holm)",
        "fails if a statistic lies beyond its margin for downloads and for likes",
        tests.demand_explains,
    ),
    Entry(
        "demand_index",
        "Demand has the tail index (alpha (1 - rho) - 1)/(1 - rho).",
        "section 8.3",
        "Hill exponent of simulated CES demand at three (alpha, rho)",
        "holds if the printed index is within three standard errors at each",
        tests.printed_index,
    ),
    Entry(
        "rho_substitution",
        "A lower rho makes models more substitutable.",
        "section 8.1",
        "elasticity of substitution of the demand system at rho .3, .6, .9",
        "fails if it rises with rho",
        tests.rho_and_substitution,
    ),
    Entry(
        "growth_explains",
        "Geometric Brownian growth gives TVL its power law.",
        "section 11.2, eq 36-39",
        "GBM over observed ages and entry sizes: zeta, top 1 %, size of the tail; growth over the "
        "next dates, its spread and persistence against size; jointly (Holm)",
        "fails if one lies beyond its margin; holds if all lie within",
        tests.growth_explains,
    ),
    Entry(
        "independent_shocks",
        "The shocks W_i of protocols are independent.",
        "section 11.2, eq 36",
        "mean pairwise correlation of weekly growth, Pesaran's CD",
        "fails if |CD| > 1.96",
        tests.independent_shocks,
    ),
    Entry(
        "rich_get_richer",
        "Inflow in proportion to TVL makes the rich richer.",
        "section 11.2, eq 38",
        "slope of log growth on log size over the population",
        "holds if positive (z > 1.96) for all and for those above 10,000 USD; fails if for neither",
        tests.rich_get_richer,
    ),
    Entry(
        "mirror",
        "The distribution of DeFi mirrors that of language models.",
        "section 11.3",
        "TVL against downloads and likes: zeta above each x_min, shapes up to a factor (Holm)",
        "holds if zeta (±.1) and shape (.05, tail ratios within 2) agree with both; fails if "
        "one lies beyond for either of them; in part if for one",
        tests.mirror,
    ),
)
