"""Each table described once: column, type, unit, key, bounds, meaning.

The description drives the Parquet schema, the blocking checks (`baimo.pipeline.schema.validate`),
and the column documentation in the Dagster UI.
"""

from __future__ import annotations

from baimo.pipeline.schema.defillama import (
    DEFILLAMA_CHAINS,
    DEFILLAMA_HISTORIES,
    DEFILLAMA_PROTOCOLS,
)
from baimo.pipeline.schema.derived import (
    DEFI_LISTING,
    DEFI_POPULATION,
    HUB_AUTHORS,
    HUB_BEFORE_FLOOR,
    HUB_CLUSTERED_TESTS,
    HUB_COVARIANCES,
    HUB_DERIVATIVES,
    HUB_DESIGN_EFFECTS,
    HUB_FREQUENCY,
    HUB_INCREMENTS,
    HUB_SAMPLING,
    HUB_THRESHOLD_SPREADS,
    HUB_TOP,
    HUB_TOTALS,
    HUB_WAVES,
    OTHER_DESIGN_EFFECTS,
    OTHER_INCREMENTS,
    OTHER_SIZES,
    SIZE_VARIANTS,
    TVL_GROWTH_PERIODS,
    TVL_WEEKLY,
)
from baimo.pipeline.schema.hub import HUB_DOWNLOADS_DAILY, HUB_MODELS
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, PARAMETERS, VERDICTS
from baimo.pipeline.schema.table import Table

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        HUB_MODELS,
        HUB_DOWNLOADS_DAILY,
        DEFILLAMA_PROTOCOLS,
        DEFILLAMA_CHAINS,
        DEFILLAMA_HISTORIES,
        TVL_WEEKLY,
        HUB_FREQUENCY,
        HUB_AUTHORS,
        HUB_COVARIANCES,
        HUB_DESIGN_EFFECTS,
        HUB_SAMPLING,
        HUB_CLUSTERED_TESTS,
        HUB_THRESHOLD_SPREADS,
        HUB_DERIVATIVES,
        HUB_TOTALS,
        HUB_TOP,
        DEFI_POPULATION,
        DEFI_LISTING,
        HUB_BEFORE_FLOOR,
        HUB_INCREMENTS,
        OTHER_INCREMENTS,
        HUB_WAVES,
        OTHER_SIZES,
        OTHER_DESIGN_EFFECTS,
        SIZE_VARIANTS,
        TVL_GROWTH_PERIODS,
        COMPARISON,
        VERDICTS,
        CLAIMS,
        CLAIM_NUMBERS,
        PARAMETERS,
    )
}
