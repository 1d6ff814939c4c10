"""`baimo fit attachment|demand|growth FILE`: the mechanisms, measured on a stranger's file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baimo.pipeline.errors import SourceError
from baimo.pipeline.terminal import (
    JSON,
    aligned,
    one_line_errors,
    options,
    print_json,
    print_notes,
    shown_interval,
    shown_number,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from baimo.estimation.results import Result
    from baimo.pipeline.columns import FileTable

DAYS_PER_YEAR = 365.25
WINDOW_DAYS = 30.0
OLDEST_YEARS = 100.0  # an age beyond is in another unit
FEWEST_WITHOUT_ZERO = 200
LONE_AGE = 1.25  # the oldest stands alone when so much older than 99.9 % of the items

_FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
_AUTHOR = click.option("--author", help="Column with each item's author: clusters for the errors.")


@click.command("attachment")
@options(
    _FILE,
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

    from baimo.pipeline.columns import read_table

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
    with _quiet():
        if likes:
            results = _cross_section(table.numbers(likes), ages, labels, horizon, notes)
        else:
            given = days is not None
            start, end, ages, days = _two_dates(
                table, (before, after), (all_time, window), ages, days, notes
            )
            per = "day" if given or all_time else "interval"
            results = _increments(start, end, ages, labels, days, per, offset, notes)
    _print_results("pa", results, notes, as_json)


def _two_dates(
    table: FileTable,
    dates: tuple[str | None, str | None],
    crawl: tuple[str | None, str | None],
    ages: NDArray[Any] | None,
    days: float | None,
    notes: list[str],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, float]:
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
    sizes: NDArray[Any],
    ages: NDArray[Any] | None,
    labels: NDArray[Any] | None,
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
    start: NDArray[Any],
    end: NDArray[Any],
    ages: NDArray[Any] | None,
    labels: NDArray[Any] | None,
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


@click.command("demand")
@options(
    _FILE,
    click.option("--demand", required=True, help="Column with the demand of each item."),
    click.option("--cost", help="Column with its cost (bytes, memory, price): gives sigma."),
    click.option("--family", help="Column with what shares one quality (base model by task)."),
    *JSON,
)
@one_line_errors
def fit_demand_command(
    file: Path, demand: str, cost: str | None, family: str | None, as_json: bool
) -> None:
    """CES demand: the exponent zeta; with costs within families sigma and the tastes' alpha."""
    import numpy as np

    from baimo.estimation.demand.ces import fit_demand
    from baimo.estimation.demand.cost_elasticity import fit_cost_elasticity
    from baimo.estimation.samples.counts import LARGEST_EXACT
    from baimo.pipeline.columns import read_table

    if bool(cost) != bool(family):
        raise SourceError("sigma comes from costs within families: give --cost and --family")
    table = read_table(file)
    sizes = table.numbers(demand)
    if np.any(sizes < 0):
        row = int((sizes < 0).argmax()) + 1
        raise SourceError(f"negative demand, the first in row {row}: correct or remove it")
    if np.any(sizes > LARGEST_EXACT):
        raise SourceError("demand beyond 2^53 is no count: rescale it")
    notes: list[str] = []
    found: list[Result] = []
    with _quiet():
        elasticity, families = None, None
        if cost is not None and family is not None:
            families = table.labels(family)
            elasticity = fit_cost_elasticity(sizes, table.numbers(cost), families)
            found.append(elasticity)
        tail, how = _demand_tail(sizes, families)
        found.insert(0, fit_demand(sizes, tail, cost_elasticity=elasticity))
    notes.append(
        f"zeta above x_min = {tail.x_min:g} ({tail.n_tail:,} of {tail.n_obs:,} items), {how}"
    )
    _print_results("ces", found, notes, as_json)


def _demand_tail(sizes: Any, families: Any) -> tuple[Any, str]:
    """Return the tail of demand, and how it was fitted."""
    from baimo.estimation.demand.counts import fit_demand_tail
    from baimo.estimation.errors import DataError
    from baimo.estimation.samples.counts import Counts
    from baimo.estimation.tails.power_law import fit_tail

    counted = Counts.from_sample(sizes).is_integer
    if counted:
        with suppress(DataError):  # too few for a law of counts
            tail = fit_demand_tail(sizes, clusters=families)
            return tail, "as Poisson counts of Pareto demand"
    return (
        fit_tail(sizes, discrete=counted, clusters=families),
        "which its error takes as given",
    )


@click.command("growth")
@options(
    _FILE,
    click.option("--item", required=True, help="Column with the item (protocol)."),
    click.option("--date", required=True, help="Column with the date, or the time in years."),
    click.option("--value", required=True, help="Column with the size on that date."),
    click.option(
        "--exit-floor",
        type=click.FloatRange(min=0, min_open=True),
        help="Size below which an item is gone; gives the exit hazard.",
    ),
    click.option(
        "--loadings",
        is_flag=True,
        help="Add how unequally items follow the common shock, and the size slope net of it.",
    ),
    click.option(
        "--bootstrap",
        type=click.IntRange(min=100),
        metavar="N",
        help="Add intervals from N resamples of items and blocks of dates (1000 are usual).",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Of the bootstrap.  [default: 0]"),
    *JSON,
)
@one_line_errors
def fit_growth_command(
    file: Path,
    item: str,
    date: str,
    value: str,
    exit_floor: float | None,
    loadings: bool,
    bootstrap: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """GBM growth on a long panel: mu, sigma, its common part, exit, and whether size matters."""
    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.volatility import fit_growth_paths
    from baimo.pipeline.cli_growth import loading_results, resampled
    from baimo.pipeline.columns import read_table

    if seed is not None and bootstrap is None:
        raise SourceError("--seed is of the bootstrap: give --bootstrap N too")
    table = read_table(file)
    items, years = table.labels(item), table.dates(date)
    values = table.numbers(value, missing=True)
    notes: list[str] = []
    with _quiet():
        found: list[Result] = [fit_growth_paths(items, years, values, exit_floor=exit_floor)]
        found += _size_dependence(items, years, values, notes)
        if loadings:
            found += loading_results(items, years, values, notes)
        if bootstrap is not None:
            try:
                found.append(resampled(items, years, values, bootstrap, seed or 0))
            except EstimationError as error:
                notes.append(f"no bootstrap: {error}")
    _print_results("gbm", found, notes, as_json)


def _size_dependence(
    items: NDArray[Any], years: NDArray[Any], values: NDArray[Any], notes: list[str]
) -> list[Result]:
    """Regress growth between neighbouring dates on log size before, where the panel allows it."""
    import numpy as np

    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.size_dependence import fit_size_dependence

    order = np.lexsort((years, items))
    item, period = items[order], np.unique(years, return_inverse=True)[1][order]
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(values[order] > 0, values[order], np.nan))
    follows = (item[1:] == item[:-1]) & (period[1:] == period[:-1] + 1)
    try:
        fit = fit_size_dependence(
            item[1:][follows],
            period[1:][follows],
            logs[:-1][follows],
            np.diff(logs)[follows],
        )
    except EstimationError as error:
        notes.append(f"size dependence: {error}")
        return []
    return [fit]


# --- printing --------------------------------------------------------------------------------


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings out of the terminal: the notes of each fit, which are printed, say the same."""
    from baimo.estimation.errors import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _print_results(prefix: str, results: list[Result], notes: list[str], as_json: bool) -> None:
    """Print the estimates of all results under their exported names."""
    from baimo.pipeline.answers import model_answer

    said = [note for result in results for note in getattr(result, "notes", ())]
    notes = list(dict.fromkeys([*said, *notes]))
    if as_json:
        print_json(model_answer(prefix, results) | {"notes": notes})
        return
    for result in results:
        if not getattr(result, "converged", True):
            click.echo(f"{result.title}: DID NOT CONVERGE")
    click.echo(aligned(_rows(prefix, results), left=(0,)))
    print_notes(notes)


def _rows(prefix: str, results: list[Result]) -> list[tuple[str, ...]]:
    from baimo.pipeline.answers import exported_name

    rows: list[tuple[str, ...]] = [("", "estimate", "std error", "95 %", "unit")]
    for result in results:
        for name, e in result.estimates().items():
            if any(row[0] == exported_name(prefix, result, name) for row in rows):
                continue
            rows.append(
                (
                    exported_name(prefix, result, name),
                    shown_number(e.value),
                    shown_number(e.std_error, 3),
                    shown_interval(e.conf_int(), 5),
                    "" if e.unit == "1" else e.unit,
                )
            )
    return rows
