"""Weekly growth of TVL from daily histories."""

from __future__ import annotations

import polars as pl


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
