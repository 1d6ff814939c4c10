"""Calibrations of a made-up day and the draws of all models on it, to be read only."""

import polars as pl
import pytest

from baimo.estimation.demand.ces import DemandFit
from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import CohortSample
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT, AttachmentCalibration
from baimo.pipeline.models.base import Sampler
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.gbm import GROWTH_FIT, GrowthCalibration
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from tests.pipeline.synthetic import DAY, day_of, draws_of, results_of_a_day


@pytest.fixture(scope="session")
def day() -> Day:
    return day_of(results_of_a_day())


@pytest.fixture(scope="session")
def frequency(day: Day) -> pl.DataFrame:
    return day.table(HUB_FREQUENCY)


@pytest.fixture(scope="session")
def attachment(day: Day) -> AttachmentCalibration:
    return day.read(ATTACHMENT_FIT)


@pytest.fixture(scope="session")
def demand(day: Day) -> dict[str, DemandFit]:
    return day.read(DEMAND_FIT)


@pytest.fixture(scope="session")
def growth(day: Day) -> GrowthCalibration:
    return day.read(GROWTH_FIT)


@pytest.fixture(scope="session")
def kernel(day: Day) -> KernelCalibration:
    found = day.read(KERNEL_FIT)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def law(day: Day) -> WholeSampleFit:
    """Return the law of the whole sample of likes."""
    (law,) = day.read(TAILS["likes"]).whole.fits
    return law


@pytest.fixture(scope="session")
def seen(frequency: pl.DataFrame, attachment: AttachmentCalibration) -> dict[str, CohortSample]:
    return observed_by_cohort(frequency, attachment.cohorts, DAY)


@pytest.fixture(scope="session")
def draws(day: Day) -> dict[tuple[str, str], Sampler]:
    return {key: drawn.sampler for key, drawn in draws_of(day).items()}
