"""From a snapshot's rows to frequency tables: small, anonymous, and enough for every fit.

The bundled reference was made by these functions; a live or recorded snapshot goes through the
same ones on its way to the fits.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from baimo.pipeline.datasets.clustered_tests import (
    measure_clustered_tests,
    measure_threshold_spreads,
)
from baimo.pipeline.datasets.design_effects import measure_design_effects
from baimo.pipeline.datasets.owner_sampling import measure_owner_sampling
from baimo.pipeline.variables import DOWNLOADS, LIKES

N_LABELS = 50
SMALLEST_GROUP = 20


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
        **measure_owner_sampling(models, day),
        "hub_clustered_tests": measure_clustered_tests(models),
        "hub_threshold_spreads": measure_threshold_spreads(models),
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
