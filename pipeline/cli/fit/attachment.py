"""`baimo fit attachment`: Simon and Yule from one date, the kernel of attachment from two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.cli.fit._output import FILE_ARGUMENT, print_results, quietly
from baimo.pipeline.console import JSON, one_line_errors, options
from baimo.pipeline.errors import SourceError

if TYPE_CHECKING:
    from baimo.estimation.arrays import Values
    from baimo.estimation.results import Result
    from baimo.pipeline.cli.fit.read_columns import FileTable

DAYS_PER_YEAR = 365.25
WINDOW_DAYS = 30.0
OLDEST_YEARS = 100.0  # an age beyond is in another unit
FEWEST_WITHOUT_ZERO = 200
LONE_AGE = 1.25  # the oldest stands alone when so much older than 99.9 % of the items


_AUTHOR = click.option("--author", help="Column with each item's author: clusters for the errors.")


@click.command("attachment")
@options(
    FILE_ARGUMENT,
    click.option("--likes", help="Column with the stock of each item: one cross-section."),
    click.option("--before", help="Column with the stock on the earlier of two dates."),
    click.option("--after", help="Column with the stock on the later date."),
    click.option("--all-time", help="Column with all downloads so far: one crawl, with --window."),
    click.option("--window", help="Column with the downloads of the last 30 days."),
    click.option("--age", help="Column with each item's age (on the earlier date)."),
    click.option(
        "--age-unit",
        type=click.Choice(["years", "days"]),
        default="years",
        show_default=True,
    ),
    _AUTHOR,
    click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Between the dates."),
    click.option(
        "--offset",
        type=click.FloatRange(min=0, min_open=True),
        help="Attractiveness of an item without success; default: estimated.",
    ),
    click.option(
        "--horizon",
        type=click.FloatRange(min=0, min_open=True),
        help="Years of history; default: the oldest age.",
    ),
    *JSON,
)
@one_line_errors
def fit_attachment_command(
    file: Path,
    likes: str | None,
    before: str | None,
    after: str | None,
    all_time: str | None,
    window: str | None,
    age: str | None,
    age_unit: str,
    author: str | None,
    days: float | None,
    offset: float | None,
    horizon: float | None,
    as_json: bool,
) -> None:
    """Preferential attachment: Simon and Yule from one date, the kernel of attachment from two.

    One cross-section: --likes C [--age C]. Two dates: --before C --after C [--age C] [--author C];
    an empty cell is an item that is not there. One crawl: --all-time C --window C.
    """
    import numpy as np

    from baimo.pipeline.cli.fit.read_columns import read_table

    ways = [bool(likes), bool(before or after), bool(all_time or window)]
    if sum(ways) != 1 or bool(before) != bool(after) or bool(all_time) != bool(window):
        raise SourceError(
            "give --likes (one date), or --before and --after (two), or --all-time and --window "
            "(one crawl)"
        )
    if likes and (days is not None or offset is not None):
        raise SourceError("--days and --offset are of two dates: leave them out, or give --before")
    table = read_table(file)
    ages = table.numbers(age, missing=True) if age else None
    if ages is not None:
        ages = ages / DAYS_PER_YEAR if age_unit == "days" else ages
        if ages.size and float(np.nanmax(ages, initial=0.0)) > OLDEST_YEARS:
            raise SourceError(
                f"ages reach {np.nanmax(ages):.4g} years: if they are days give --age-unit days, "
                "if dates or years of the calendar subtract them from the day of the snapshot"
            )
    labels = table.labels(author) if author else None
    notes: list[str] = []
    with quietly():
        if likes:
            results = _cross_section(table.numbers(likes), ages, labels, horizon, notes)
        else:
            given = days is not None
            start, end, ages, days = _two_dates(
                table, (before, after), (all_time, window), ages, days, notes
            )
            per = "day" if given or all_time else "interval"
            results = _increments(start, end, ages, labels, days, per, offset, notes)
    print_results("pa", results, notes, as_json)


def _two_dates(
    table: FileTable,
    dates: tuple[str | None, str | None],
    crawl: tuple[str | None, str | None],
    ages: Values | None,
    days: float | None,
    notes: list[str],
) -> tuple[Values, Values, Values | None, float]:
    """Return (before, after, ages on the earlier date, days between)."""
    import numpy as np

    from baimo.estimation.attachment.inflow import stock_before

    before, after = dates
    if before and after:
        start = table.numbers(before, missing=True)
        if days is None:
            notes.append("--days not given: rates are per interval, not per day")
        return start, table.numbers(after, missing=True), ages, days or 1.0
    all_time, window = crawl
    assert all_time is not None
    assert window is not None
    start, end, n_bad = stock_before(table.numbers(all_time), table.numbers(window))
    if n_bad:
        notes.append(f"{n_bad:,} items have more in the window than in all: left out")
    if ages is None:
        notes.append(
            "items younger than the window gain from birth on: give --age to leave them out"
        )
        return start, end, None, days or WINDOW_DAYS
    ages = ages - (days or WINDOW_DAYS) / DAYS_PER_YEAR
    young = ~(ages > 0)
    notes.append(f"{int(young.sum()):,} items younger than the window left out")
    start = np.where(young, np.nan, start)
    return start, end, np.where(young, np.nan, ages), days or WINDOW_DAYS


def _cross_section(
    sizes: Values,
    ages: Values | None,
    labels: Values | None,
    horizon: float | None,
    notes: list[str],
) -> list[Result]:
    import numpy as np

    from baimo.estimation.attachment.cross_section import fit_simon, fit_yule
    from baimo.estimation.attachment.entry import fit_entry
    from baimo.estimation.errors import DataError
    from baimo.estimation.tails.cohorts import fit_cohorts

    if sizes.size >= FEWEST_WITHOUT_ZERO and not np.any(sizes == 0):
        notes.append(
            "no item has zero: the Yule fit takes items to start at zero; where they start at one, "
            "subtract one"
        )
    if np.any(sizes < 0):
        row = int((sizes < 0).argmax()) + 1
        raise SourceError(f"negative likes, the first in row {row}: a stock cannot be negative")
    found: list[Result] = []
    if ages is None:
        notes.append("without ages neither growth nor cohorts can be measured: give --age")
    else:
        dated = np.isfinite(ages)
        if not dated.all():
            notes.append(f"{int((~dated).sum()):,} items without an age left out of the Yule fit")
        oldest = float(np.max(ages[dated], initial=0.0))
        entry = fit_entry(ages[dated], horizon=horizon or oldest)
        found += [entry, fit_yule(ages[dated], sizes[dated], entry=entry)]
        notes.append(
            "history begins "
            + ("" if horizon else "with the oldest item, ")
            + f"{entry.horizon:.4g} years ago"
        )
        lone = float(np.quantile(ages[dated], 0.999))
        if horizon is None and entry.horizon > LONE_AGE * lone:
            notes.append(
                f"but 99.9 % of the items are younger than {lone:.4g} years: entry and zeta hang "
                "on the few oldest; leave them out, or give --horizon"
            )
    found.append(fit_simon(sizes))
    if ages is not None:
        try:
            found.append(fit_cohorts(sizes, ages, clusters=labels))
        except DataError as error:
            notes.append(f"cohorts: {error}")
    return found


def _increments(
    start: Values,
    end: Values,
    ages: Values | None,
    labels: Values | None,
    days: float,
    per: str,
    offset: float | None,
    notes: list[str],
) -> list[Result]:
    from baimo.estimation.attachment.inflow import fit_inflow
    from baimo.estimation.attachment.kernel import fit_attachment_kernel
    from baimo.estimation.attachment.noise import around_kernel
    from baimo.estimation.errors import EstimationError

    kernel = fit_attachment_kernel(start, end, ages=ages, days=days, offset=offset, clusters=labels)
    found: list[Result] = [kernel]
    try:
        found.append(fit_inflow(start, end, days=days, per=per, clusters=labels))
    except EstimationError as error:
        notes.append(f"inflow: {error}")
    shape, noise, refused = around_kernel(kernel, start, end, ages=ages, clusters=labels)
    found += [fit for fit in (shape, noise) if fit is not None]
    notes += refused
    if ages is None:
        notes.append(
            "without ages theta is lowered by differences at birth, which look like attachment: "
            "give --age"
        )
    return found
