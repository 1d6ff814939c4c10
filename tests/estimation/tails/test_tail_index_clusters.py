"""The tests of Pareto and of Zipf where items come in clusters: limits, size and power."""

import functools
from typing import Any

import numpy as np
import pytest
from scipy import special

from baimo.estimation.errors import DataError
from baimo.estimation.tails.tail_index import pareto_lognormal_test, zipf_lm_test


@pytest.mark.parametrize("test", [pareto_lognormal_test, zipf_lm_test])
def test_clusters_of_one_are_near_the_exact_test_and_copies_change_nothing(test: Any) -> None:
    x = (1 - np.random.default_rng(1).random(4_000)) ** -1.0
    own, labels = np.arange(4_000), np.repeat(np.arange(4_000), 3)
    alone = test(x, k=1_000, discrete=False)
    known = test(x, k=1_000, discrete=False, clusters=own)
    assert known.p_independent == alone.p_value
    assert (known.n_clusters, known.statistic) == (1_000, alone.statistic)
    assert 10 < known.effective_clusters < 1_000  # squared scores are very uneven themselves
    assert known.p_value == pytest.approx(alone.p_value, abs=0.05)
    copies = test(np.repeat(x, 3), k=3_000, discrete=False, clusters=labels)
    assert copies.p_value == pytest.approx(known.p_value, rel=1e-9)
    assert copies.effective_clusters == pytest.approx(known.effective_clusters, rel=1e-9)
    with pytest.raises(DataError, match="in one cluster"):
        test(x, k=1_000, discrete=False, clusters=np.zeros(4_000))


@pytest.mark.parametrize(("null", "power"), [("Pareto", 0.6), ("Zipf", 0.9)])
def test_size_and_power_with_clusters(null: str, power: float) -> None:
    labels = np.repeat(np.arange(1_000), 4)
    rng, p, alone, other = np.random.default_rng(2), [], [], []
    for _ in range(300):
        z = 0.6**0.5 * rng.standard_normal(1_000)[labels] + 0.4**0.5 * rng.standard_normal(4_000)
        u = special.ndtr(z)
        pareto = (1 - u) ** -1.0
        if null == "Pareto":
            test = functools.partial(pareto_lognormal_test, k=4_000, discrete=False)
            far = np.exp(2.5 * special.ndtri(0.5 + 0.5 * u))
        else:
            test = functools.partial(zipf_lm_test, k=4_000, discrete=False)
            far = pareto ** (1 / 1.2)
        found = test(np.append(pareto, 1.0), clusters=np.append(labels, 1_000))
        p.append(found.p_value)
        alone.append(found.p_independent)
        other.append(test(np.append(far, 1.0), clusters=np.append(labels, 1_000)).p_value)
    error = np.sqrt(0.05 * 0.95 / 300)
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 3 * error
    assert np.mean(np.array(alone) < 0.05) > 0.05 + 3 * error
    assert np.mean(np.array(other) < 0.05) > power
