"""From a snapshot's rows to frequency tables: small, anonymous, and enough for every fit.

The bundled reference was made by these functions; a live or recorded snapshot goes through the
same ones on its way to the fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.samples.clusters import design_effect
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail, tail_design_effect
from baimo.estimation.tails.rank_size import fit_zipf, zipf_design_effect
from baimo.pipeline.errors import SourceError
from baimo.pipeline.measures import (
    DOWNLOADS,
    EXCLUDED_CATEGORIES,
    LIKES,
    Measure,
    cohort_edges,
    cohort_label,
    cutoffs,
    hub_ages,
    naming,
)
from baimo.pipeline.tables import TABLES

N_LABELS = 50
SMALLEST_GROUP = 20
FEWEST_CLUSTERS = 10

_LICENCE_FAMILIES = (
    ("non-commercial", r"-nc\b|-nc-|noncommercial|non-commercial"),
    ("openrail or community", r"openrail|llama|gemma|community|bigscience|bigcode|falcon"),
    ("copyleft", r"gpl|^mpl|-sa\b|-sa-|^eupl|^epl|^cecill|^osl|^odbl|^gfdl"),
    (
        "permissive",
        r"^apache|^mit|^bsd|^cc-by-[0-9]|^cc-by$|^cc0|^unlicense|^wtfpl|^artistic|^isc|^zlib|^afl|"
        r"^pddl|^cdla|^boost|^bsl|^odc-by|^ncsa|^postgresql|^ecl|^ms-pl",
    ),
)


def tabulate_hub(models: pl.DataFrame, day: date) -> dict[str, pl.DataFrame]:
    """Return every Hub frequency table of a snapshot that carries authors and names."""
    return {
        "hub_frequency": frequency_of_models(models),
        "hub_authors": frequency_of_authors(models),
        "hub_design_effects": measure_design_effects(models, day),
        "hub_derivatives": frequency_of_derivatives(models),
        "hub_totals": totals_by_group(models),
        "hub_top": largest_models(models),
    }


def frequency_of_models(models: pl.DataFrame) -> pl.DataFrame:
    """Count models by day of creation, downloads and likes."""
    key = ["created_on", "downloads", "likes"]
    return (
        models.with_columns(created_on=pl.col("created_at").dt.date())
        .group_by(key)
        .agg(n_models=pl.len().cast(pl.Int64))
        .sort(key)
    )


def frequency_of_authors(models: pl.DataFrame) -> pl.DataFrame:
    """Count authors by the number of their models."""
    return (
        models.drop_nulls("author")
        .group_by("author")
        .agg(n_models=pl.len().cast(pl.Int64))
        .group_by("n_models")
        .agg(n_authors=pl.len().cast(pl.Int64))
        .sort("n_models")
    )


def frequency_of_derivatives(models: pl.DataFrame) -> pl.DataFrame:
    """Count base models by the number of models that name them; one row may name several."""
    return (
        models.drop_nulls("base_model")
        .select("hub_id", base=pl.col("base_model").str.split(","))
        .explode("base")
        .with_columns(pl.col("base").str.strip_chars(" []'\""))
        .filter(pl.col("base") != "")
        .unique()
        .group_by("base")
        .agg(n_derivatives=pl.len().cast(pl.Int64))
        .group_by("n_derivatives")
        .agg(n_bases=pl.len().cast(pl.Int64))
        .sort("n_derivatives")
    )


def licence_family() -> pl.Expr:
    """Classify the declared licence: permissive, copyleft, openrail or community, ..."""
    text = pl.col("license").str.to_lowercase()
    undeclared = pl.when(text.is_null() | (text == "")).then(pl.lit("none"))
    named = [pl.when(text.str.contains(p)).then(pl.lit(name)) for name, p in _LICENCE_FAMILIES]
    return pl.coalesce(undeclared, *named, pl.lit("other"))


def totals_by_group(models: pl.DataFrame) -> pl.DataFrame:
    """Sum models, downloads and likes by licence family and by task."""
    sums = (
        pl.len().cast(pl.Int64).alias("n_models"),
        pl.col("downloads").sum(),
        pl.col("likes").sum(),
    )
    parts = []
    for kind, group in (
        ("licence_family", licence_family()),
        ("pipeline_tag", pl.col("pipeline_tag").fill_null("none")),
    ):
        named = models.select("downloads", "likes", name=group)
        small = pl.len().over("name") < SMALLEST_GROUP
        named = named.with_columns(
            name=pl.when(small).then(pl.lit("other")).otherwise(pl.col("name"))
        )
        totals = named.group_by("name").agg(sums).sort("name")
        parts.append(totals.select(pl.lit(kind).alias("kind"), pl.all()))
    return pl.concat(parts)


def largest_models(models: pl.DataFrame) -> pl.DataFrame:
    """Return the 50 largest models by downloads and by likes, with their names."""
    parts = []
    for measure in (DOWNLOADS.name, LIKES.name):
        top = models.sort([measure, "hub_id"], descending=[True, False]).head(N_LABELS)
        parts.append(
            top.select(
                pl.lit(measure).alias("measure"),
                pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank"),
                "model_id",
                pl.col(measure).alias("size"),
            )
        )
    return pl.concat(parts)


def measure_design_effects(models: pl.DataFrame, day: date) -> pl.DataFrame:
    """Measure how much authors inflate the variance of each tail statistic and of mean age."""
    if 2 * models["author"].null_count() > models.height:
        return pl.DataFrame(schema=TABLES["hub_design_effects"].schema)  # nothing to cluster by
    unnamed = pl.concat_str(pl.lit("no author: "), pl.col("hub_id"))
    known = models.with_columns(pl.coalesce("author", unnamed).alias("author"))
    authors = known["author"].rank("dense").to_numpy().astype(np.int64)
    rows: list[dict[str, object]] = []

    def add(
        measure: str,
        statistic: str,
        cutoff: str,
        k: int,
        threshold: float,
        effect: tuple[float, int],
    ) -> None:
        if effect[1] < FEWEST_CLUSTERS:
            return  # too few owners to learn a variance from
        rows.append(
            {
                "measure": measure,
                "statistic": statistic,
                "cutoff": cutoff,
                "k": k,
                "threshold": threshold,
                "design_effect": effect[0],
                "n_clusters": effect[1],
            }
        )

    for measure in (DOWNLOADS, LIKES):
        with naming(measure):
            sizes = known[measure.name].to_numpy().astype(np.float64)
            counts = Counts.from_sample(known[measure.name].to_numpy())
            tail = fit_tail(counts)
            add(
                measure.name,
                "alpha",
                "x_min",
                tail.n_tail,
                tail.x_min,
                tail_design_effect(sizes, authors, tail),
            )
            for label, k in cutoffs(counts).items():
                line = fit_zipf(counts, k=k)
                add(
                    measure.name,
                    "slope",
                    label,
                    k,
                    line.threshold,
                    zipf_design_effect(sizes, authors, line),
                )
    dated, _ = hub_ages(
        known.select(
            "downloads",
            "likes",
            created_on=pl.col("created_at").dt.date(),
            author=pl.Series(authors),
        ),
        day,
    )
    ages = dated["age"].to_numpy()
    owners = dated["author"].to_numpy()
    for measure in (DOWNLOADS, LIKES):
        for label, k, threshold, effect in _cohort_effects(known, dated, measure):
            add(measure.name, "cohort_alpha", label, k, threshold, effect)
    if ages.size > 1 and ages.std() > 0:
        add(
            "age",
            "mean",
            "dated",
            ages.size,
            0.0,
            (design_effect(ages - ages.mean(), owners), int(np.unique(owners).size)),
        )
    return pl.DataFrame(rows, schema=TABLES["hub_design_effects"].schema)


def _cohort_effects(
    known: pl.DataFrame, dated: pl.DataFrame, measure: Measure
) -> Iterator[tuple[str, int, float, tuple[float, int]]]:
    """Yield label, tail, x_min and (design effect, owners) of each age cohort's zeta."""
    by_age = dated.group_by("age").len().sort("age")
    if by_age.height < 2:
        return
    edges = cohort_edges(by_age["age"].to_numpy(), by_age["len"].to_numpy())
    x_min = fit_tail(Counts.from_sample(known[measure.name].to_numpy())).x_min
    sizes, owners = dated[measure.name].to_numpy().astype(np.float64), dated["author"].to_numpy()
    where = np.searchsorted(edges, dated["age"].to_numpy(), side="right") - 1
    for c in range(edges.size - 1):
        inside = where == c
        tail = inside & (sizes >= x_min)
        if np.unique(sizes[tail]).size < 2 or np.unique(owners[tail]).size < FEWEST_CLUSTERS:
            continue
        fit = fit_tail(sizes[inside], x_min=x_min)
        effect = tail_design_effect(sizes[inside], owners[inside], fit)
        yield cohort_label(c), fit.n_tail, x_min, effect


def list_protocols(protocols: pl.DataFrame) -> pl.DataFrame:
    """Count the protocols of one day by category, quarter of listing and TVL."""
    key = ["category", "listed_on", "tvl_usd", "observed_on"]
    return (
        protocols.filter(_is_defi())
        .with_columns(listed_on=pl.col("listed_at").dt.truncate("1q"))
        .group_by(key)
        .agg(n_protocols=pl.len().cast(pl.Int64))
        .sort(key, nulls_last=True)
    )


def _is_defi() -> pl.Expr:
    return ~pl.col("category").fill_null("").is_in(EXCLUDED_CATEGORIES)


def join_population(protocols: pl.DataFrame) -> pl.DataFrame:
    """Join the earliest and the latest date of DeFi protocols.

    They are joined by DeFiLlama's id, or by name where a recording has no ids; a name that two
    protocols of one date share is left out then. Categories that are no DeFi protocols (CEX,
    Chain, Canonical Bridge) are left out on both sides; listing dates are cut to the quarter.
    """
    dates = protocols["observed_on"].unique().sort()
    if dates.len() < 2:
        raise SourceError("DeFi growth needs protocol tables of two dates; add a second one")
    has_ids = not (protocols["protocol_id"] == protocols["name"]).any()
    on = "protocol_id" if has_ids else "name"
    kept = protocols.filter(_is_defi()).unique(
        ["observed_on", on], keep="none", maintain_order=True
    )
    sides = [
        kept.filter(pl.col("observed_on") == dates[i]).select(
            pl.col(on).alias("key"), "category", pl.col("listed_at").dt.truncate("1q"), "tvl_usd"
        )
        for i in (0, -1)
    ]
    joined = sides[0].join(sides[1], on="key", how="full", suffix="_later")
    key = ["category", "listed_on", "tvl_before", "tvl_after", "entrant", "unmatched"]
    return (
        joined.select(
            category=pl.coalesce("category", "category_later"),
            listed_on=pl.col("listed_at"),
            tvl_before=pl.col("tvl_usd"),
            tvl_after=pl.col("tvl_usd_later"),
            entrant=pl.col("key").is_null(),
            unmatched=pl.col("key_later").is_null(),
            before_on=pl.lit(dates[0]),
            after_on=pl.lit(dates[-1]),
        )
        .group_by([*key, "before_on", "after_on"])
        .agg(n_protocols=pl.len().cast(pl.Int64))
        .sort(key, nulls_last=True)
    )


def weekly_growth(history: pl.DataFrame) -> pl.DataFrame:
    """Turn daily TVL (date, protocol, tvl_usd) into weekly log growth, protocols as numbers.

    Growth is taken between two positive values seven days apart; weeks that touch a zero are
    gaps. The transient of birth is kept, marked by `age_weeks`.
    """
    names = history.select(pl.col("protocol").unique().sort()).with_row_index("protocol_number")
    start = history["date"].min()
    weekly = (
        history.join(names, on="protocol")
        .with_columns(pl.col("protocol_number").cast(pl.Int32))
        .filter(pl.col("tvl_usd") > 0)
        .with_columns(born=pl.col("date").min().over("protocol_number"))
        .filter((pl.col("date") - pl.lit(start)).dt.total_days() % 7 == 0)
        .sort("protocol_number", "date")
        .with_columns(
            following=pl.col("date").shift(-1).over("protocol_number"),
            grown=pl.col("tvl_usd").shift(-1).over("protocol_number"),
        )
        .filter((pl.col("following") - pl.col("date")).dt.total_days() == 7)
        .with_columns(age_days=(pl.col("date") - pl.col("born")).dt.total_days())
    )
    return weekly.select(
        "protocol_number",
        week="date",
        log_growth=(pl.col("grown") / pl.col("tvl_usd")).log(),
        log_size=pl.col("tvl_usd").log(),
        age_weeks=(pl.col("age_days") // 7).cast(pl.Int32),
    )
