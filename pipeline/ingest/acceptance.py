"""What a snapshot must satisfy before it is published: each check by name, with its numbers.

A refused snapshot carries its checks, which the UI shows; a published one keeps them in its
receipt. Limits that need an earlier snapshot are not applied to the first; limits on shares are
not applied to fewer than a thousand rows, where one row may move them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from baimo.pipeline.errors import IncompleteError
from baimo.pipeline.schema.table import Table

MAX_QUARANTINE, BORNE_QUARANTINE = 0.01, 20
SHRINK, SHRINK_PER_DAY = 0.02, 0.002
GROWTH, GROWTH_PER_DAY = 0.05, 0.01
SLACK_ROWS = 10  # a few rows more or less are no sign of anything
SHORTEST_GAP = 50
ZEROS_DRIFT, ALMOST_ALL = 0.1, 0.999
LARGEST_SHARE = 0.9
TOTAL_RATIO = 5.0
FEWEST_FOR_SHARES = 1000


TRUST = "if it is right: baimo refresh --trust"


@dataclass(frozen=True)
class Check:
    """One check: `why` says what is wrong in a sentence, empty when it holds."""

    name: str
    why: str
    numbers: dict[str, float | int]

    @property
    def passed(self) -> bool:
        """Return whether it holds."""
        return not self.why


class RefusedSnapshotError(IncompleteError):
    """A snapshot did not pass its checks; nothing was published."""

    def __init__(self, checks: list[Check]) -> None:
        failed = [c.why for c in checks if not c.passed]
        super().__init__(f"{'; '.join(failed)}; nothing published, the last snapshot stays")
        self.checks = checks


def refuse_if_failed(checks: Iterable[Check]) -> list[Check]:
    """Return the checks, all passed.

    Raises
    ------
    RefusedSnapshotError
        One of them failed.
    """
    listed = list(checks)
    if any(not c.passed for c in listed):
        raise RefusedSnapshotError(listed)
    return listed


def tolerance(days: int) -> tuple[float, float]:
    """Return the smallest and largest N, relative to a snapshot so many days before."""
    low = max(0.5, 1 - SHRINK - SHRINK_PER_DAY * days)
    return low, 1 + GROWTH + GROWTH_PER_DAY * days


def fits_the_table(rows: pl.DataFrame, table: Table) -> Check:
    """Check types, bounds and key of the columns that are there."""
    columns = [c for c in table.columns if c.name in rows.columns]
    faults = [c.name for c in columns if rows.schema[c.name] != c.dtype]
    faults += [c.name for c in columns if not c.nullable and rows[c.name].null_count()]
    for c in columns:
        low, high = rows[c.name].min(), rows[c.name].max()
        if (c.low is not None and low is not None and low < c.low) or (  # type: ignore[operator]
            c.high is not None and high is not None and high > c.high  # type: ignore[operator]
        ):
            faults.append(c.name)
    if rows.select(k for k in table.key if k in rows.columns).is_duplicated().any():
        faults.append(f"key {', '.join(table.key)}")
    why = f"{', '.join(dict.fromkeys(faults))} does not fit {table.name}" if faults else ""
    return Check("fits_the_table", why, {"rows": rows.height})


def few_in_quarantine(reasons: Mapping[str, int], n_rows: int) -> Check:
    """Check that no more than 1 % of the rows are odd; twenty are borne, a third never.

    `reasons` counts the rows that were left out.
    """
    n_odd = sum(reasons.values())
    limit = min(max(MAX_QUARANTINE * n_rows, BORNE_QUARANTINE), n_rows / 3)
    why = ""
    if n_odd > limit:
        most = max(reasons, key=lambda reason: reasons[reason])
        why = (
            f"{n_odd:,} of {n_rows:,} rows are not valid (most often: {most}); "
            "they stand in quarantine"
        )
    return Check("few_in_quarantine", why, {"rows": n_rows, "quarantined": n_odd})


def size_against_the_last(n: int, n_before: int | None, days: int, when: str) -> Check:
    """Check that the number of rows is near that of the last snapshot."""
    if n_before is None:
        return Check("size_against_the_last", "", {"rows": n})
    low, high = tolerance(days)
    why = ""
    if abs(n - n_before) > SLACK_ROWS and not low <= n / n_before <= high:
        why = (
            f"{n:,} rows, but {n_before:,} on {when}: outside {low:.3f} to {high:.3f} times that "
            f"({TRUST})"
        )
    return Check("size_against_the_last", why, {"rows": n, "rows_before": n_before})


def no_gap(ids: pl.Series, before: pl.Series | None, page_rows: int, when: str) -> Check:
    """Check that no run of neighbours of the last snapshot is missing: a page was skipped."""
    if before is None:
        return Check("no_gap", "", {})
    gone = ~before.is_in(ids.implode())
    runs = gone.rle().struct.unnest().filter(pl.col("value"))["len"]
    longest = int(runs.max() or 0)  # type: ignore[arg-type]
    why = ""
    if longest >= max(SHORTEST_GAP, page_rows // 2):
        why = (
            f"{longest:,} models in a row that were there on {when} are missing: a page was lost "
            f"({TRUST})"
        )
    return Check("no_gap", why, {"gone": int(gone.sum()), "longest_run": longest})


def zeros_share(values: pl.Series, before: pl.Series | None) -> Check:
    """Check that the share of zeros is near that of the last snapshot, and not everything."""
    name = f"zeros_share_of_{values.name}"
    share = _zeros(values)
    if len(values) < FEWEST_FOR_SHARES:
        return Check(name, "", {"zeros": share})
    if before is None:
        bad = share > ALMOST_ALL
        return Check(
            name, f"{share:.1%} of {values.name} are zero" if bad else "", {"zeros": share}
        )
    earlier = _zeros(before)
    why = ""
    if abs(share - earlier) > ZEROS_DRIFT:
        why = f"{share:.1%} of {values.name} are zero, {earlier:.1%} were before ({TRUST})"
    return Check(name, why, {"zeros": share, "zeros_before": earlier})


def no_absurd_total(values: pl.Series, before: pl.Series | None) -> Check:
    """Check that no single value is nearly all, and that the sum is near the last one."""
    name = f"total_of_{values.name}"
    total, largest = float(values.sum()), float(values.max() or 0.0)  # type: ignore[arg-type]
    numbers: dict[str, float | int] = {"total": total, "largest": largest}
    if len(values) < FEWEST_FOR_SHARES:
        return Check(name, "", numbers)
    if total > 0 and largest > LARGEST_SHARE * total:
        return Check(name, f"one row holds {largest / total:.1%} of all {values.name}", numbers)
    earlier = float(before.sum()) if before is not None else 0.0
    why = ""
    if earlier > 0 and not 1 / TOTAL_RATIO <= total / earlier <= TOTAL_RATIO:
        why = f"{values.name} add up to {total:.4g}, to {earlier:.4g} before ({TRUST})"
    return Check(name, why, numbers | ({"total_before": earlier} if earlier else {}))


def _zeros(values: pl.Series) -> float:
    return float((values == 0).mean() or 0.0)  # type: ignore[arg-type]


HUB_CHECKS = {
    "fits_the_table": "Types, bounds and key hold.",
    "walked_to_the_end": "Every page was fetched, and nothing follows the last.",
    "few_in_quarantine": "At most 1 % of the rows are not valid (twenty are borne).",
    "size_against_the_last": "The number of models is near that of the last snapshot.",
    "no_gap": "No run of neighbouring models of the last snapshot is missing.",
    "zeros_share_of_downloads": "The share of zeros is near that of the last snapshot.",
    "zeros_share_of_likes": "The share of zeros is near that of the last snapshot.",
    "total_of_downloads": "No model holds nearly all; the sum is near the last one.",
    "total_of_likes": "No model holds nearly all; the sum is near the last one.",
}
DEFILLAMA_CHECKS = {
    "fits_the_table": "Types, bounds and key hold.",
    "few_in_quarantine": "At most 1 % of the rows are not valid (twenty are borne).",
    "size_against_the_last": "The number of protocols is near that of the last snapshot.",
    "zeros_share_of_tvl_usd": "The share of zeros is near that of the last snapshot.",
    "total_of_tvl_usd": "No protocol holds nearly all; the sum is near the last one.",
}
