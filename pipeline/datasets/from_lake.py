"""The lake as a source: the snapshots that were published for a day.

Growth of DeFi is measured from an earlier published day to this one: the day nearest to a year
before, at least thirty days, taken live (a past rebuilt from histories holds survivors only). As
long as there is none, and for the survivors' weekly panel, the bundled reference stands in, and
that is said. So it is with the likes of two days: the day nearest to thirty before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from baimo.pipeline.datasets.external import tabulate_increments
from baimo.pipeline.datasets.panels import both_ends
from baimo.pipeline.errors import LakeError, SourceError
from baimo.pipeline.lake.atomic import read_file
from baimo.pipeline.lake.receipts import published_days, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import lake_dir
from baimo.pipeline.sources.defillama.api import SOURCE as LIVE
from baimo.pipeline.sources.defillama.histories import scan_histories
from baimo.pipeline.sources.reference import load_reference
from baimo.pipeline.sources.snapshot import LAKE, Input, Snapshots
from baimo.pipeline.sources.weekly import weekly_growth
from baimo.pipeline.variables import BIRTH_TRANSIENT_WEEKS, HEADLINE

SHORTEST_GROWTH = timedelta(days=30)
MONTH = timedelta(days=30)
YEAR = timedelta(days=365)
PANEL_PROTOCOLS, FEWEST_IN_PANEL, FEWEST_WEEKS = 100, 20, 26
HUB_COLUMNS = (
    "hub_id",
    "model_id",
    "downloads",
    "likes",
    "created_at",
    "author",
    "pipeline_tag",
    "license",
    "base_model",
    "source",
)


def published_day(lake: Lake, day: date | None = None) -> date:
    """Return the day, or the newest day that has both sources, as the receipts tell it.

    Raises
    ------
    SourceError
        The day is not published.
    """
    hub, defi = (published_days(lake, t) for t in ("hub_models", "defillama_protocols"))
    both = sorted(set(hub) & set(defi))
    if day is None:
        if not both:
            raise SourceError(
                f"the lake {lake.root} holds no day with both sources; fill it: baimo refresh"
            )
        day = both[-1]
    for name, days in (("hub_models", hub), ("defillama_protocols", defi)):
        if day not in days:
            raise SourceError(
                f"{name} of {day} is not published; today's: baimo refresh, a past day's: "
                "baimo backfill"
            )
    return day


def load_published(day: date | None = None) -> Snapshots:
    """Load the snapshots of a day, or of the newest day that has both sources.

    Raises
    ------
    SourceError
        The day is not published.
    """
    lake = Lake(lake_dir())
    day = published_day(lake, day)
    hub, defi = (published_days(lake, t) for t in ("hub_models", "defillama_protocols"))
    models = read_file(lake.path("hub_models", day), list(HUB_COLUMNS))
    protocols = lake.read_table("defillama_protocols", day)
    reference = load_reference()
    inputs = [_input(lake, "hub_models", day), _input(lake, "defillama_protocols", day)]
    notes: list[str] = []
    weekly = _weekly(lake, protocols, day)
    if isinstance(weekly, str):
        notes.append(f"{weekly}: the bundled weekly panel stands in")
        weekly = reference.frames["tvl_weekly"]
        inputs += [i for i in reference.inputs if i.table == "tvl_weekly"]
    before = _earlier(lake, [d for d in defi if day - d >= SHORTEST_GROWTH], day)
    if before is None:
        pair = reference.frames["defillama_protocols"]
        inputs += [i for i in reference.inputs if i.table == "defi_population"]
        notes.append(
            f"no day of DeFi taken live at least {SHORTEST_GROWTH.days} days before {day} in the "
            "lake: growth is that of the bundled reference"
        )
    else:
        earlier = lake.read_table("defillama_protocols", before)
        pair = pl.concat([earlier, protocols], how="diagonal")  # columns were added since
        inputs.append(_input(lake, "defillama_protocols", before))
    found = _increments(lake, [d for d in hub if d < day], day, notes)
    if found is None:
        gains = reference.frames.get("hub_increments")
        inputs += [i for i in reference.inputs if i.table == "hub_increments"]
        notes.append(
            f"no earlier day of the Hub than {day} in the lake: the kernel of attachment is that "
            "of the bundled recording of new models"
        )
    else:
        gains = found[0]
        inputs.append(found[1])
    return replace(
        reference,
        day=day,
        source=LAKE,
        frames={
            "hub_models": models,
            "defillama_protocols": pair,
            "defi_day": protocols,
            "tvl_weekly": weekly,
            **({} if gains is None else {"hub_increments": gains}),
        },
        inputs=tuple(inputs),
        ignored=tuple(notes),
    )


def _weekly(lake: Lake, protocols: pl.DataFrame, day: date) -> pl.DataFrame | str:
    """Return the weekly growth of the day's largest protocols, or why there is none.

    They are chosen by their size today, as those of the bundled panel were: survivors only.
    """
    try:
        histories = scan_histories(lake)
    except LakeError:
        return "no histories in the lake (baimo backfill --source defillama fetches them)"
    defi = protocols.filter(HEADLINE.holds()).sort(
        "tvl_usd", "protocol_id", descending=[True, False]
    )
    chosen = defi.head(PANEL_PROTOCOLS)["protocol_id"].implode()
    points = (
        histories.filter(pl.col("protocol_id").is_in(chosen), pl.col("day") <= day)
        .select(date="day", protocol="protocol_id", tvl_usd="tvl_usd")
        .collect(engine="streaming")
    )
    if points.is_empty():
        return f"the histories in the lake hold no day of these protocols up to {day}"
    weekly = weekly_growth(points)
    grown = weekly.filter(pl.col("age_weeks") >= BIRTH_TRANSIENT_WEEKS)
    long = grown.group_by("protocol_number").len().filter(pl.col("len") >= FEWEST_WEEKS)
    if long.height < FEWEST_IN_PANEL:
        return (
            f"{long.height} protocols have {FEWEST_WEEKS} weeks of history after their launch, "
            f"{FEWEST_IN_PANEL} are needed"
        )
    return weekly


def _increments(
    lake: Lake, days: list[date], day: date, notes: list[str]
) -> tuple[pl.DataFrame, Input] | None:
    """Return the likes of this day and of the one nearest to a month before, and the earlier.

    A day that cannot be read is named in `notes`, and the next nearest is taken.
    """
    for before in sorted(days, key=lambda d: (abs(day - d - MONTH), d)):
        try:
            rows = both_ends(lake, before, day).select(
                "hub_id",
                "author",
                "age",
                likes_before="likes_from",
                likes_after="likes_to",
                before_on=pl.lit(before),
                after_on=pl.lit(day),
            )
            gains = tabulate_increments(rows.collect(engine="streaming"))
        except (LakeError, SourceError, pl.exceptions.PolarsError, OSError) as error:
            first = (str(error).splitlines() or [""])[0]
            notes.append(f"hub_models of {before} passed over for the kernel: {first}")
            continue
        return gains, replace(_input(lake, "hub_models", before), table="hub_increments")
    return None


def _earlier(lake: Lake, days: list[date], day: date) -> date | None:
    live = [
        d for d in days if (r := read_receipt(lake, "defillama_protocols", d)) and r.source == LIVE
    ]
    return min(live, key=lambda d: abs(day - d - YEAR), default=None)


def _input(lake: Lake, table: str, day: date) -> Input:
    receipt = read_receipt(lake, table, day)
    assert receipt is not None
    name = lake.path(table, day).relative_to(lake.root).as_posix()
    return Input(table, name, receipt.sha256, receipt.rows, receipt.rows, day.isoformat())
