"""Sentences made of typed results, for the terminal, the report and the tables.

Words are made here and nowhere read back: whoever needs a verdict reads its fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from baimo.estimation.predictive.joint import JointVerdict, Outcome
from baimo.estimation.predictive.replicate import Replicated
from baimo.pipeline.statistics import STATISTICS

if TYPE_CHECKING:
    from baimo.estimation.tails.thresholds import ThresholdRange

NO_PREDICTION = "no prediction"
NOTHING_LEFT = "fitted to all that it predicts"
_LEADS = {
    Outcome.EXPLAINS: "explains ",
    Outcome.CONTRADICTED: "contradicted by ",
    Outcome.UNDECIDED: "cannot be told: ",
}


def joined(parts: Iterable[str]) -> str:
    """Join what there is to say."""
    return "; ".join(part for part in parts if part)


def cutoff_words(label: str) -> str:
    """Return the words for a cut-off."""
    share = {"top10pct": "top 10 %", "top1pct": "top 1 %", "top0.1pct": "top 0.1 %"}
    bare = label.removesuffix("_all").removesuffix("_positive")
    return share.get(bare, bare.replace("top", "top "))


def cutoff_title(label: str) -> str:
    """Return a cut-off as a heading: top1pct_positive is "top 1 % of positive"."""
    base, _, of = label.partition("_")
    words = base.removeprefix("top").replace("pct", " %")
    return f"top {words}" + (" of positive" if of == "positive" else "")


def list_cutoffs(labels: Sequence[str]) -> str:
    """Return cut-offs as a list in a sentence: top 10 %, 1 % and the top 100."""
    *shares, last = (cutoff_words(label) for label in labels)
    first, *others = shares
    return (
        ", ".join([first, *(words.removeprefix("top ") for words in others)]) + f" and the {last}"
    )


def bare(value: float) -> str:
    """Return a number between 0 and 1 without its leading zero."""
    return f"{value:g}".removeprefix("0")


def clustered_words(design_effect: float | None) -> str:
    """Say whether errors know that items of one author are not independent."""
    if design_effect is None:
        return "items taken as independent"
    return f"author-clustered, design effect {design_effect:.3g}"


def items_words(clustered: bool) -> str:
    """Say what a test takes as independent of each other."""
    return "owners as clusters" if clustered else "items as independent"


def threshold_words(found: ThresholdRange) -> str:
    """Say between which x_min the KS distance is near-minimal, and what zeta they give."""
    return (
        f"zeta {found.zeta_lowest:.3f} to {found.zeta_highest:.3f} from x_min "
        f"{_size_words(found.x_min_lowest)} to {_size_words(found.x_min_highest)} "
        f"({found.n_tail_highest:,} to {found.n_tail_lowest:,} items)"
    )


def _size_words(value: float) -> str:
    """Return a size to six digits, large ones in full."""
    return f"{value:,.0f}" if 1e5 <= value < 1e15 else f"{value:,.6g}"


def outcome_words(joint: JointVerdict | None) -> str:
    """Say what the statistics say together of a model, with all on which it rests."""
    if joint is None:
        return NO_PREDICTION
    return _LEADS[joint.outcome] + (", ".join(_statistic_words(joint.reasons)) or NOTHING_LEFT)


def short_outcome_words(outcome: str | None, reasons: Sequence[str]) -> str:
    """Say the same with the first of the reasons, and how many more there are."""
    if outcome is None:
        return NO_PREDICTION
    first, *more = _statistic_words(reasons) or [NOTHING_LEFT]
    return _LEADS[Outcome(outcome)] + first + (f" + {len(more)}" if more else "")


def joint_words(joint: JointVerdict | None) -> str:
    """Say how unlikely the distance is, with and without the largest cluster, and what is absent.

    And, where the verdict is open, how large a difference would have been seen.
    """
    if joint is None or not joint.deciding:
        return ""
    parts = [f"p {p_words(joint.p_value)} beyond the margins"]
    if joint.p_without_largest is not None:
        parts.append(f"{p_words(joint.p_without_largest)} without the largest cluster")
    parts.append(f"{p_words(joint.p_equal)} of no difference at all")
    seen = [
        f"{STATISTICS[a.name].words} {a.detectable:.2g}"
        for a in joint.deciding
        if a.detectable is not None and a.name in joint.reasons
    ]
    if joint.outcome is Outcome.UNDECIDED and seen:
        parts.append("would have been seen four times in five: " + ", ".join(seen))
    fitted = [a.name for a in joint.agreements if not a.decides]
    if fitted:
        parts.append("fitted, not tested: " + ", ".join(_statistic_words(fitted)))
    if joint.absent:
        parts.append("the model has no " + ", ".join(_statistic_words(joint.absent)))
    return "; ".join(parts)


def p_words(p: float) -> str:
    """Return a p-value without its leading zero."""
    return f"{p:.3f}".removeprefix("0")


def comparison_words(compared: Mapping[str, Replicated], remark: str) -> str:
    """Say the observed and the simulated value of every statistic that is shown."""
    if not compared:
        return f"could not be drawn ({remark})"
    parts = []
    for statistic in STATISTICS.values():
        found = compared.get(statistic.name)
        if found is None:
            continue
        values = found.observed, found.mean
        if statistic.is_log10:
            items = " / ".join(f"{10**v - 1:,.0f}" for v in values)
            parts.append(f"{items} {statistic.words}")
        else:
            parts.append(f"{statistic.words} {values[0]:.3f} / {values[1]:.3f}")
    n = max(c.n_replications for c in compared.values())
    return f"{', '.join(parts)} (observed / mean of {n} simulated){'; ' * bool(remark)}{remark}"


def _statistic_words(names: Iterable[str]) -> list[str]:
    return [STATISTICS[name].words for name in names]
