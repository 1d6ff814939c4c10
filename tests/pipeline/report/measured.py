"""A made-up day measured to its end: all that the report and the exported parameters read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from baimo.pipeline.analysis.cohorts import COHORTS, measure_cohorts_of
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.kernels import KERNELS, fit_kernels
from baimo.pipeline.analysis.populations import COMPANION_FITS, fit_companions
from baimo.pipeline.analysis.sampling import SAMPLING
from baimo.pipeline.analysis.sizes import TAILS, fit_sizes, read_tails
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.claims.registry import audit, claims_table, numbers_table
from baimo.pipeline.datasets.load import PROVENANCE
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.attachment_variants import ATTACHMENT_VARIANTS, calibrate_variants
from baimo.pipeline.models.base import FAMILIES
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.gbm import GROWTH_FIT, calibrate_growth
from baimo.pipeline.models.gbm_calendar import CALENDAR_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.printed import PRINTED_EQUATION, simulate_printed_equation
from baimo.pipeline.predictive.compare import compare_models, comparison_table, verdicts_table
from baimo.pipeline.predictive.simulate import (
    REFITS,
    SIMULATIONS,
    refit_models,
    samplers_of,
    simulate_models,
)
from baimo.pipeline.schema.derived import (
    DEFI_POPULATION,
    HUB_AUTHORS,
    HUB_DESIGN_EFFECTS,
    HUB_FREQUENCY,
    HUB_TOP,
    HUB_TOTALS,
    OTHER_INCREMENTS,
    OTHER_SIZES,
    SIZE_VARIANTS,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, VERDICTS
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import HUB, TVL, hub_counts
from tests.pipeline.synthetic import (
    DAY,
    NO_EFFECTS,
    NO_OWNERS,
    calendar,
    calibrated,
    day_of,
    demand_of,
    fits_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
    listing,
    periods,
    population,
    rates_of,
    two_windows,
    weekly,
)

SEED = 1
PROVENANCE_OF_DAY: dict[str, Any] = {
    "source": "recordings",
    "day": DAY.isoformat(),
    "inputs": [
        {"table": "hub_models", "name": "models.parquet", "sha256": "f" * 64, "rows": 7_000,
         "rows_used": 6_700, "taken_on": DAY.isoformat()}
    ],
    "ignored": ["old.parquet: a newer or fuller model listing was taken"],
    "notes": ["hub_models: not in the source, left empty: author"],
    "quarantined": {"hub_models": {"rows": 3, "reasons": {"likes is below 0": 3}}},
}  # fmt: skip
STATED = PROVENANCE_OF_DAY | {"seed": SEED, "n_replications": 3}


@cache
def values() -> Mapping[Stored[Any] | Table, Any]:
    """Return everything by what it is stored under, to be read only."""
    frequency, table = hub_frequency(6_000, 3), population(800, 7)
    counts = {variable: hub_counts(frequency, variable) for variable in HUB}
    others = pl.DataFrame(schema=OTHER_INCREMENTS.schema)
    kernels = fit_kernels(likes_of_two_days(1.0, 0.0, n=6_000), others)
    found: dict[Stored[Any] | Table, Any] = {
        HUB_FREQUENCY: frequency,
        HUB_DESIGN_EFFECTS: NO_EFFECTS,
        **NO_OWNERS,
        SAMPLING: {},
        DEFI_POPULATION: table,
        ATTACHMENT_FIT: calibrated(frequency),
        DEMAND_FIT: {v.name: demand_of(c) for v, c in counts.items()},
        GROWTH_FIT: calibrate_growth(table, listing(table), weekly(6)),
        CALENDAR_FIT: calendar(),
        RATES_FIT: {v.name: rates_of(0.5, 1.0, 1.2) for v in HUB},
        KERNEL_FIT: kernel_of(likes_of_two_days(1.0, 0.0, n=6_000), frequency),
        KERNELS: kernels,
        TAILS[TVL.name]: fits_of(table["tvl_before"].to_numpy(), TVL),
        **{TAILS[v.name]: fit_sizes(c, v, None, n_replications=20) for v, c in counts.items()},
    }
    found[ATTACHMENT_VARIANTS] = calibrate_variants(day_of(found))
    found[COHORTS] = measure_cohorts_of(day_of(found))
    found[COMPANION_FITS] = fit_companions(
        two_windows([1, 3, 9, 20, 40] * 60, [2, 5, 5, 60, 30] * 60),
        other_sizes(),
        found[DEFI_POPULATION],
        pl.DataFrame(schema=SIZE_VARIANTS.schema),
        n_replications=20,
    )
    found[PRINTED_EQUATION] = simulate_printed_equation(found[ATTACHMENT_FIT], SEED)
    found[HUB_AUTHORS] = pl.DataFrame({"n_models": [1, 2, 5, 40], "n_authors": [300, 90, 20, 1]})
    found[TVL_GROWTH_PERIODS] = periods()
    found[SIZE_VARIANTS] = pl.DataFrame(schema=SIZE_VARIANTS.schema)
    found[HUB_TOTALS] = pl.DataFrame(
        [("licence_family", "permissive", 4_000, 9_000, 500),
         ("licence_family", "none", 5_000, 7_000, 100),
         ("pipeline_tag", "text-generation", 9_000, 16_000, 600)],
        schema=HUB_TOTALS.schema, orient="row",
    )  # fmt: skip
    x_min = {name: fits.tail.x_min for name, fits in read_tails(day_of(found)).items()}
    for family in FAMILIES:
        draws = samplers_of(day_of(found), family)
        found[SIMULATIONS[family.name]] = simulate_models(draws, n_replications=1, seed=SEED)
        found[REFITS[family.name]] = refit_models(draws, x_min, n_replications=3, seed=SEED)
    verdicts = compare_models(day_of(found))
    found[COMPARISON] = comparison_table(verdicts, read_tails(day_of(found)))
    found[VERDICTS] = verdicts_table(verdicts)
    tested = audit(day_of(found))
    found[AUDIT] = tested
    found[CLAIMS], found[CLAIM_NUMBERS] = claims_table(tested), numbers_table(tested)
    found[PROVENANCE] = PROVENANCE_OF_DAY
    found[HUB_TOP] = pl.DataFrame(
        [("likes", 1, "a/<largest>", 900), ("likes", 2, "b/next", 800)],
        schema=HUB_TOP.schema, orient="row",
    )  # fmt: skip
    return found


def measured_day() -> Day:
    """Return a reader of the day."""
    return day_of(values())


def other_sizes() -> pl.DataFrame:
    """Return 400 sizes of another population."""
    sizes, n = np.unique(np.random.default_rng(3).zipf(2.0, 400) - 1, return_counts=True)
    return pl.DataFrame(
        {"population": "datasets_likes", "size": sizes, "taken_on": date(2024, 7, 9), "n_items": n},
        schema=OTHER_SIZES.schema,
    )
