"""The same sizes cut otherwise: families merged, exchanges included; for sensitivities only."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.variables import EXCLUDED_CATEGORIES

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
    defi = ~pl.col("category").fill_null("").is_in(EXCLUDED_CATEGORIES)
    exchanges = pl.col("category") == "CEX"
    parts = [_counted("tvl_with_exchanges", protocols.filter(defi | exchanges)["tvl_usd"])]
    if protocols["parent_protocol"].null_count() < protocols.height:
        family = pl.coalesce("parent_protocol", "protocol_id").alias("family")
        merged = protocols.filter(defi).group_by(family).agg(pl.col("tvl_usd").sum())
        parts.append(_counted("tvl_families", merged["tvl_usd"]))
    return pl.concat(parts)


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
