"""Evidence that takes long to make and is made once for the tests of all claims."""

import warnings
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import ConvergenceWarning
from baimo.estimation.growth.two_windows import TwoWindowsFit
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.populations import CompanionFits, fit_equal_cutoffs, fit_waves
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.claims.claim import TestedClaim
from baimo.pipeline.claims.registry import audit
from baimo.pipeline.models.attachment import (
    ATTACHMENT_FIT,
    AttachmentCalibration,
    calibrate_attachment,
)
from baimo.pipeline.models.gbm import GROWTH_FIT, GrowthCalibration, calibrate_growth
from baimo.pipeline.models.printed import (
    PRINTED_EQUATION,
    PrintedEquation,
    simulate_printed_equation,
)
from baimo.pipeline.schema.derived import HUB_AUTHORS, HUB_FREQUENCY
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL, Variable
from tests.pipeline.claims.evidence import (
    EXPLAINS,
    NOTHING_BESIDE,
    THIN,
    ZIPF,
    Evidence,
)
from tests.pipeline.synthetic import (
    DAY,
    NO_EFFECTS,
    comparison_of,
    day_of,
    fits_of,
    hub_frequency,
    judged,
    listing,
    population,
    two_windows,
    weekly,
)


def _fits_of_counts(sizes: Floats, measure: Variable) -> SizeFits:
    with warnings.catch_warnings():  # no negative binomial is near a Pareto: one is at its edge
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fits_of(sizes, measure)


@pytest.fixture(scope="session")
def zipf_downloads() -> SizeFits:
    """Return fits of downloads with P(X > x) = 1/x."""
    return _fits_of_counts(ZIPF, DOWNLOADS)


@pytest.fixture(scope="session")
def zipf_likes(zipf_downloads: SizeFits) -> SizeFits:
    """Return the same fits as those of likes."""
    return replace(zipf_downloads, measure=LIKES.name)


@pytest.fixture(scope="session")
def thin_likes() -> SizeFits:
    """Return fits of likes with P(X > x) ~ x^-2."""
    return _fits_of_counts(THIN, LIKES)


@pytest.fixture(scope="session")
def thin_downloads(thin_likes: SizeFits) -> SizeFits:
    """Return the same fits as those of downloads."""
    return replace(thin_likes, measure=DOWNLOADS.name)


@pytest.fixture(scope="session")
def pareto_tvl() -> SizeFits:
    """Return fits of TVL with P(X > x) = 10,000/x."""
    return fits_of(1e4 * 3e3 / (np.arange(1, 3_001) - 0.5), TVL)


@pytest.fixture(scope="session")
def lognormal_tvl() -> SizeFits:
    """Return fits of a lognormal TVL, sigma 3."""
    return fits_of(np.exp(np.random.default_rng(4).normal(12, 3, 3_000)), TVL)


@pytest.fixture(scope="session")
def attachment() -> AttachmentCalibration:
    """Return attachment on a made-up Hub, of a number of models that is that of the samples."""
    downloads, likes = Counts.from_sample(ZIPF), Counts.from_sample(THIN)
    return calibrate_attachment(hub_frequency(3_000, 11), downloads, likes, NO_EFFECTS, DAY)


@pytest.fixture(scope="session")
def printed(attachment: AttachmentCalibration) -> PrintedEquation:
    """Return what eq 19 as printed gives."""
    return simulate_printed_equation(attachment, 1)


@pytest.fixture(scope="session")
def protocols() -> pl.DataFrame:
    """Return protocols of two dates."""
    return population(800, 7)


@pytest.fixture(scope="session")
def growth(protocols: pl.DataFrame) -> GrowthCalibration:
    """Return the GBM of these protocols."""
    return calibrate_growth(protocols, listing(protocols), weekly(6))


@pytest.fixture(scope="session")
def waves() -> TwoWindowsFit:
    """Return the growth of downloads that halve in the small and stay in the large."""
    rng = np.random.default_rng(8)
    before = np.floor(20 / rng.random(2_000)).astype(int)
    after = rng.poisson(before * np.where(before > 200, 1.0, 0.5))
    return fit_waves(two_windows(before.tolist(), after.tolist()))


@pytest.fixture(scope="session")
def companions(
    zipf_likes: SizeFits,
    thin_downloads: SizeFits,
    pareto_tvl: SizeFits,
    lognormal_tvl: SizeFits,
    protocols: pl.DataFrame,
    waves: TwoWindowsFit,
) -> CompanionFits:
    """Return populations beside the three sizes, all there."""
    return CompanionFits(
        sizes={
            "datasets_downloads": thin_downloads,
            "datasets_likes": zipf_likes,
            "chains_tvl": lognormal_tvl,
            "tvl_later": pareto_tvl,
        },
        equal_cutoffs=fit_equal_cutoffs(protocols, []),
        waves={"models": waves},
        taken_on={
            "datasets_downloads": "2024-01-02",
            "datasets_likes": "2024-01-03",
            "chains_tvl": "2024-01-04",
            "tvl_before": "2023-06-27",
            "tvl_later": "2025-12-17",
            "waves_models": "2022-07-02 to 2024-07-02",
        },
    )


@pytest.fixture(scope="session")
def evidence(
    zipf_downloads: SizeFits,
    thin_likes: SizeFits,
    lognormal_tvl: SizeFits,
    attachment: AttachmentCalibration,
    growth: GrowthCalibration,
    printed: PrintedEquation,
) -> Evidence:
    """Return what all claims read: a Hub of one day, with Zipf downloads and thin likes."""
    return {
        **NOTHING_BESIDE,
        TAILS[DOWNLOADS.name]: zipf_downloads,
        TAILS[LIKES.name]: thin_likes,
        TAILS[TVL.name]: lognormal_tvl,
        ATTACHMENT_FIT: attachment,
        GROWTH_FIT: growth,
        PRINTED_EQUATION: printed,
        HUB_FREQUENCY: hub_frequency(3_000, 11),
        COMPARISON: comparison_of(judged("Yule", "likes", EXPLAINS, "zeros")),
        HUB_AUTHORS: pl.DataFrame({"n_models": [1, 2], "n_authors": [1, 0]})[:1],
    }


@pytest.fixture(scope="session")
def audited(evidence: Evidence) -> tuple[TestedClaim, ...]:
    """Return all claims tested on this evidence."""
    return audit(day_of(evidence))
