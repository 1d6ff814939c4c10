"""Ages of items that entered at a growing rate are truncated exponential, uniform at no growth."""

import math

import numpy as np
import pytest
from scipy import stats

from baimo.pipeline.errors import SourceError
from baimo.pipeline.models.ages import AGES, AGES_MEANING, sample_ages
from baimo.pipeline.models.registry import FILE_MODELS


@pytest.mark.parametrize(
    ("rate", "horizon"), [(1.2, 4.0), (0.01, 4.0), (-0.8, 2.0), (40.0, 1.0), (0.0, 3.0)]
)
def test_ages_have_the_law_of_entry_at_a_growing_rate(rate: float, horizon: float) -> None:
    ages = sample_ages(rate, horizon, 20_000, np.random.default_rng(1))
    assert ages.shape == (20_000,)
    assert 0 <= ages.min() < ages.max() <= horizon

    def law(age: np.ndarray) -> np.ndarray:
        if rate == 0.0:
            return age / horizon
        share: np.ndarray = np.expm1(-rate * age) / math.expm1(-rate * horizon)
        return share

    assert stats.kstest(ages, law).pvalue > 1e-3


def test_a_rate_next_to_zero_draws_what_zero_draws() -> None:
    still, nearly = (
        sample_ages(rate, 3.0, 1_000, np.random.default_rng(2)) for rate in (0.0, 1e-8)
    )
    assert nearly == pytest.approx(still, abs=1e-6)


@pytest.mark.parametrize("horizon", [0.0, -1.0, math.inf, math.nan])
def test_a_history_without_length_is_refused(horizon: float) -> None:
    with pytest.raises(SourceError, match="must be a positive number of years"):
        sample_ages(1.0, horizon, 10, np.random.default_rng(3))


def test_models_of_ages_have_its_parameters_each_with_its_meaning() -> None:
    assert AGES.keys() == AGES_MEANING.keys()
    with_ages = [m for m in FILE_MODELS.values() if AGES.items() <= m.defaults.items()]
    assert {m.name for m in with_ages} >= {"yule", "kernel", "fitness"}
    for model in with_ages:
        assert AGES_MEANING.items() <= model.meaning.items()
        rows = model.sample(
            {**model.defaults, "horizon": 0.5, "entry_growth_plus_exit": 0.01},
            400,
            np.random.default_rng(4),
        )
        assert 0.4 < rows["age"].max() < 0.5, model.name  # type: ignore[operator]
