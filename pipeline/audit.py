"""The papers' empirical claims, one entry each: what is said, how it is tested, what came out.

Criteria stand here, not in the code that reports: they may not follow the figures. A verdict
is one of: holds, holds in part, fails, cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from estimation.results import registered
from pipeline.fits import SizeFits
from pipeline.measures import DAYS_PER_YEAR
from pipeline.models import AttachmentCalibration, PrintedEquation

HOLDS, PART, FAILS, UNTOLD = "holds", "holds in part", "fails", "cannot be told"
SLOPE_MARGIN = 0.1
COUNT_MARGIN = 0.1
CLAIMED_MODELS = 700_000
PAPER_DATE = date(2024, 5, 7)  # on the paper's first page
NO_TAIL = 5.0


@registered
@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a paper with its test and verdict."""

    name: str
    text: str
    where: str
    statistic: str
    criterion: str
    verdict: str
    evidence: str


@dataclass(frozen=True)
class Evidence:
    """What the tests may look at."""

    fits: dict[str, SizeFits]
    attachment: AttachmentCalibration
    day: date
    printed: PrintedEquation


def audit_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Test every claim."""
    return tuple(_judge(entry, evidence) for entry in _CLAIMS)


@dataclass(frozen=True)
class _Entry:
    name: str
    text: str
    where: str
    statistic: str
    criterion: str
    test: Callable[[Evidence], tuple[str, str]]


def _judge(entry: _Entry, evidence: Evidence) -> Claim:
    verdict, shown = entry.test(evidence)
    return Claim(
        name=entry.name,
        text=entry.text,
        where=entry.where,
        statistic=entry.statistic,
        criterion=entry.criterion,
        verdict=verdict,
        evidence=shown,
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
            f"{_spoken(label)} ({line.k:,}) {line.slope:.3f} [{interval[0]:.2f}, {interval[1]:.2f}]"
        )
    verdict = HOLDS if all(near) else PART if any(near) else FAILS
    return verdict, "; ".join(parts)


def _spoken(label: str) -> str:
    share = {"top10pct": "top 10 %", "top1pct": "top 1 %", "top0.1pct": "top 0.1 %"}
    return share.get(label.removesuffix("_all"), label.replace("top", "top "))


def _downloads_slope(e: Evidence) -> tuple[str, str]:
    return _slope_is_one(e.fits["downloads"])


def _likes_slope(e: Evidence) -> tuple[str, str]:
    verdict, shown = _slope_is_one(e.fits["likes"])
    rival = next(c for c in e.fits["likes"].comparisons if c.alternative == "lognormal")
    if rival.vuong is not None:
        shown += (
            f"; on the CSN tail against a lognormal, items taken as independent: {rival.verdict} "
            f"(Vuong {rival.vuong:.2f})"
        )
    return verdict, shown


def _likes_fatter(e: Evidence) -> tuple[str, str]:
    parts, signs = [], []
    for label in ("top1pct_all", "top0.1pct_all", "top100"):
        d, k = e.fits["downloads"].zipf.get(label), e.fits["likes"].zipf.get(label)
        if d is None or k is None:
            continue
        gap = k.slope - d.slope  # zeta_downloads - zeta_likes
        error = (d.std_error_clustered**2 + k.std_error_clustered**2) ** 0.5
        signs.append(0 if abs(gap) < 1.96 * error else (1 if gap > 0 else -1))
        parts.append(
            f"{_spoken(label)}: zeta likes {-k.slope:.2f}, downloads {-d.slope:.2f} "
            f"(z = {-gap / error:.1f})"
        )
    if not signs:
        return UNTOLD, "too few items"
    if all(s > 0 for s in signs):
        return HOLDS, "; ".join(parts)
    if any(s > 0 for s in signs):
        return PART, "; ".join(parts)
    if any(s < 0 for s in signs):
        return FAILS, "; ".join(parts)
    return UNTOLD, "; ".join(parts)


def _number_of_models(e: Evidence) -> tuple[str, str]:
    total = e.attachment.simon_likes.n_obs
    age_then = (e.day - PAPER_DATE).days / DAYS_PER_YEAR
    younger = int(e.attachment.n_models[e.attachment.ages < age_then].sum())
    then = total - younger
    shown = (
        f"{total:,} models on {e.day}, of which {then:,} were created by {PAPER_DATE}, the "
        "paper's date (deleted ones unseen)"
    )
    near = [abs(n / CLAIMED_MODELS - 1.0) <= COUNT_MARGIN for n in (total, then)]
    return (HOLDS if any(near) else FAILS), shown


def _tvl_power_law(e: Evidence) -> tuple[str, str]:
    fits = e.fits["tvl"]
    slopes = {label: line.slope for label, line in fits.zipf.items() if label.endswith("_positive")}
    lognormal = next(c for c in fits.comparisons if c.alternative == "lognormal")
    shown = (
        "rank-size slope by cut-off: "
        + ", ".join(f"{_spoken(k.removesuffix('_positive'))} {v:.2f}" for k, v in slopes.items())
        + f"; CSN tail holds {fits.tail.n_tail:,} of {fits.tail.n_obs:,} protocols"
        + f" (zeta {fits.tail.zeta:.2f}); against a lognormal there: {lognormal.verdict}"
    )
    if lognormal.vuong is not None:
        shown += f" (Vuong {lognormal.vuong:.2f}, p {lognormal.p_value:.2f})"
    share = fits.tail.n_tail / fits.tail.n_obs
    bends = max(slopes.values()) - min(slopes.values()) > 2 * SLOPE_MARGIN if slopes else False
    if lognormal.verdict == "lognormal" or (bends and share < 0.05):
        return FAILS, shown
    return (PART if bends or share < 0.5 else HOLDS), shown


def _printed_equation(e: Evidence) -> tuple[str, str]:
    p = e.printed
    each = zip(p.noise, p.zetas, p.skewness, p.excess_kurtosis, strict=True)
    shown = (
        f"{p.n_items:,} items from equal starts over {p.days:.0f} days; noise (in starts), "
        "exponent of the top 1 %, skewness, excess kurtosis (a normal distribution has 0 and 0): "
        + "; ".join(f"{s:g}: {z:.1f}, {a:.3f}, {k:.3f}" for s, z, a, k in each)
    )
    return (FAILS if min(p.zetas) > NO_TAIL else HOLDS), shown


_CLAIMS = (
    _Entry(
        "downloads_zipf",
        "Downloads of open models follow Zipf's law: the log-log rank-size slope is close to -1.",
        "section 1",
        "slope of log(rank - 1/2) on log(downloads), author-clustered 95 % interval",
        "holds if within 0.1 of -1 at the top 10 %, 1 %, 0.1 % and the top 100; in part if at some",
        _downloads_slope,
    ),
    _Entry(
        "likes_zipf",
        "Likes follow Zipf's law as well: their log-log rank-size slope is close to -1.",
        "section 1 and eq 18-19",
        "slope of log(rank - 1/2) on log(likes), author-clustered 95 % interval",
        "holds if within 0.1 of -1 at the top 1 %, 0.1 % and the top 100; in part if at some",
        _likes_slope,
    ),
    _Entry(
        "likes_fatter",
        "Likes have an even fatter tail than downloads.",
        "section 1",
        "difference of the rank-size exponents at equal cut-offs, clustered errors",
        "holds if likes' zeta is smaller (|z| > 1.96) at the top 1 %, 0.1 % and the top 100",
        _likes_fatter,
    ),
    _Entry(
        "number_of_models",
        "The Hub holds about 700,000 open models.",
        "section 1",
        "number of models by day of creation",
        "holds if the snapshot's total or that of the paper's date is within 10 % of 700,000",
        _number_of_models,
    ),
    _Entry(
        "tvl_power_law",
        "TVL of DeFi protocols is distributed as a power law.",
        "section 11.2, eq 39",
        "slopes over cut-offs, share of protocols in the CSN tail, Vuong against the lognormal",
        "fails if the lognormal wins, or the slope bends by over 0.2 and the tail holds under 5 %; "
        "in part if it bends or the tail holds under half",
        _tvl_power_law,
    ),
    _Entry(
        "printed_equation",
        "The preferential-attachment process of eq 19 generates a power law.",
        "section 7.3, eq 19",
        "Hill exponent, skewness and kurtosis of the printed equation, stepped at full size",
        "fails if the exponent of the top 1 % exceeds 5 at every volatility tried",
        _printed_equation,
    ),
)
