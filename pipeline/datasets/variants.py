"""The same sizes cut otherwise: families merged, exchanges in, DeFi by another definition."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.datasets.views import family
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.sources.reference import latest
from baimo.pipeline.variables import BROAD, DEFINITIONS, HEADLINE

DEEPEST = 32  # generations a model may stand below its root; longer chains are cut there


def model_variants(models: pl.DataFrame) -> pl.DataFrame:
    """Count downloads and likes of model families (`SIZE_VARIANTS`), none without base models."""
    if models["base_model"].null_count() == models.height:
        return pl.DataFrame(schema=SIZE_VARIANTS.schema)
    families = model_families(models)
    return pl.concat(
        [_counted(f"{name}_families", families[name]) for name in ("downloads", "likes")]
    )


def protocol_variants(protocols: pl.DataFrame) -> pl.DataFrame:
    """Count the TVL of protocols with exchanges, and of families where parents are named."""
    exchanges = pl.col("category") == "CEX"
    parts = [_counted("tvl_with_exchanges", protocols.filter(BROAD.holds() | exchanges)["tvl_usd"])]
    if protocols["parent_protocol"].null_count() < protocols.height:
        counted = protocols.filter(HEADLINE.holds())
        merged = counted.group_by(family(counted)).agg(pl.col("tvl_usd").sum())
        parts.append(_counted("tvl_families", merged["tvl_usd"]))
    return pl.concat(parts)


def definition_variants(day: pl.DataFrame, dates: pl.DataFrame) -> pl.DataFrame:
    """Count the TVL of DeFi by each of `DEFINITIONS` (`SIZE_VARIANTS`).

    Parameters
    ----------
    day, dates
        Protocols of the day that is fitted, and of two dates: the later gives `tvl_later_…`
        where it is another day.
    """
    sides = [("tvl", day)]
    later = latest(dates)
    if later["observed_on"][0] != day["observed_on"][0]:
        sides.append(("tvl_later", later))
    return pl.concat(
        _counted(f"{name}_{d.name}", rows.filter(d.holds())["tvl_usd"])
        for name, rows in sides
        for d in DEFINITIONS
    )


def model_families(models: pl.DataFrame) -> pl.DataFrame:
    """Return downloads and likes summed over a root and all that declare to derive from it.

    The first of several base models counts as the parent. A base that is not listed is a root all
    the same; models that name each other are cut after `DEEPEST` generations.
    """
    first = pl.col("base_model").str.split(",").list.first().str.strip_chars(" []'\"")
    rows = models.select("model_id", "downloads", "likes", parent=first).with_columns(
        parent=pl.when((pl.col("parent") == "") | (pl.col("parent") == pl.col("model_id")))
        .then(None)
        .otherwise("parent")
    )
    above = rows.drop_nulls("parent").unique("model_id").select(root="model_id", up="parent")
    rows = rows.with_columns(root=pl.coalesce("parent", "model_id"))
    for _ in range(DEEPEST):
        climbed = rows.join(above, on="root", how="left")
        if climbed["up"].null_count() == rows.height:
            break
        rows = climbed.with_columns(root=pl.coalesce("up", "root")).drop("up")
    return rows.group_by("root").agg(pl.col("downloads", "likes").sum())


def _counted(population: str, sizes: pl.Series) -> pl.DataFrame:
    counts = sizes.cast(pl.Float64).alias("size").value_counts(name="n_items").sort("size")
    return counts.select(
        pl.lit(population).alias("population"), "size", pl.col("n_items").cast(pl.Int64)
    )
