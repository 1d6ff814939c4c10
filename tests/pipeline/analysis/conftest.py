"""A made-up Hub, its data by cohort, and the fits of a size whose design effects are known."""

import numpy as np
import polars as pl
import pytest

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.tail_index import fit_hill
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.sizes import SizeFits, fit_sizes
from baimo.pipeline.analysis.summary_statistics import CohortSample
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.schema.derived import HUB_DESIGN_EFFECTS
from baimo.pipeline.variables import LIKES
from tests.pipeline.synthetic import DAY, calibrated, hub_with_old


@pytest.fixture(scope="session")
def frequency() -> pl.DataFrame:
    return hub_with_old(6_000, 3)


@pytest.fixture(scope="session")
def attachment(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrated(frequency)


@pytest.fixture(scope="session")
def seen(frequency: pl.DataFrame, attachment: AttachmentCalibration) -> dict[str, CohortSample]:
    return observed_by_cohort(frequency, attachment.cohorts, DAY)


@pytest.fixture(scope="session")
def counts() -> Counts:
    """Return 4,000 counts with a tail, three fifths of them zero."""
    return Counts.from_sample(np.random.default_rng(1).zipf(2.0, 4_000) - 1)


@pytest.fixture(scope="session")
def effects(counts: Counts) -> pl.DataFrame:
    """Return design effects, of which those of the tail and of the top hundred fit these items."""
    n_tail = fit_tail(counts).n_tail
    rows = [
        ("likes", "alpha", "x_min", n_tail, 4.0),
        ("likes", "slope", "top100", 100, 9.0),
        ("likes", "hill", "top100", fit_hill(counts, k=100).k, 16.0),
        ("likes", "slope", "top10pct_all", 399, 25.0),  # of 400
        ("likes", "alpha", "top1pct_all", 40, 36.0),  # of another statistic
        ("downloads", "slope", "top1pct_all", 40, 49.0),  # of another size
    ]
    return pl.DataFrame(
        [(*row[:4], 1.0, 0.9, 0.1 * row[4], row[4], 10, 3.0, 0.8) for row in rows],
        schema=HUB_DESIGN_EFFECTS.schema,
        orient="row",
    )


@pytest.fixture(scope="session")
def likes(counts: Counts, effects: pl.DataFrame) -> SizeFits:
    return fit_sizes(counts, LIKES, effects, n_replications=50)
