"""Words that several rooms use for the same thing."""

from __future__ import annotations

from collections.abc import Iterable


def cutoff_words(label: str) -> str:
    """Return the words for a cut-off."""
    share = {"top10pct": "top 10 %", "top1pct": "top 1 %", "top0.1pct": "top 0.1 %"}
    bare = label.removesuffix("_all").removesuffix("_positive")
    return share.get(bare, bare.replace("top", "top "))


def joined(parts: Iterable[str]) -> str:
    """Join what there is to say."""
    return "; ".join(part for part in parts if part)
