"""Sizes fixed at entry have the fitted law at every age, and no exponent is predicted of them."""

import math

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.distributions.fit import WholeSampleFit, fit_whole_sample
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import CohortSample, pooled
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import Sampler, values_of
from baimo.pipeline.models.registry import FILE_MODELS
from baimo.pipeline.models.static_sizes import (
    DoubleParetoLognormal,
    Lognormal,
    StaticSizes,
    StaticSizeSampler,
)
from baimo.pipeline.variables import DOWNLOADS, LIKES, N_COHORTS
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams
from tests.pipeline.synthetic import day_of, results_of_a_day, some_fits, with_laws

Draws = dict[tuple[str, str], Sampler]


def test_as_many_items_as_the_data_in_every_cohort(
    draws: Draws, seen: dict[str, CohortSample]
) -> None:
    drawn = draws["dPlN", "likes"](np.random.default_rng(1))
    assert {c: k.n_obs for c, k in drawn.items()} == {c: k.n_obs for c, k in seen["likes"].items()}


def test_the_law_at_birth_does_not_change_with_age(draws: Draws) -> None:
    rng = np.random.default_rng(4)
    born = [draws["dPlN", "likes"](rng) for _ in range(6)]
    samples = [
        np.concatenate([np.repeat(one[c].values, one[c].multiplicities) for one in born])
        for c in range(N_COHORTS)
    ]
    cuts = np.unique(np.quantile(np.concatenate(samples), np.linspace(0, 1, 9)[1:-1]))
    table = [np.bincount(np.searchsorted(cuts, s), minlength=cuts.size + 1) for s in samples]
    table = np.array(table)[:, np.sum(table, axis=0) > 0]  # type: ignore[assignment]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def drawn_at(model: StaticSizes, day: Day) -> StaticSizeParams:
    """Return the parameters at which the estimates of a model are drawn."""
    found = model.parameters(day, LIKES)
    assert found is not None
    sampler = model.sampler(day, LIKES, values_of(found))
    assert isinstance(sampler, StaticSizeSampler)
    return sampler.params


def test_laws_at_birth_carry_their_parameters(day: Day, law: WholeSampleFit) -> None:
    named = law.parameters
    assert drawn_at(DoubleParetoLognormal(), day) == StaticSizeParams(
        mu=named["mu"], sigma=named["sigma"], alpha=named["alpha"], beta=named["beta"]
    )
    estimates = DoubleParetoLognormal().parameters(day, LIKES)
    assert estimates is not None
    assert {name: e.std_error for name, e in estimates.items()} == {
        f"dpln_{name}": law.estimates()[name].std_error for name in named
    }


def test_what_is_drawn_is_the_fitted_law(draws: Draws, law: WholeSampleFit) -> None:
    rng = np.random.default_rng(5)
    drawn = [pooled(draws["dPlN", "likes"](rng)) for _ in range(10)]
    n = sum(one.n_obs for one in drawn)
    for x in (0, 1, 2, 5, 20):
        share = sum(one.multiplicities[one.values <= x].sum() for one in drawn) / n
        expected = float(law.cdf([x])[0])
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n), x


def test_each_model_has_the_law_of_its_name_and_none_where_it_was_not_fitted(day: Day) -> None:
    sizes = np.random.default_rng(6).lognormal(1.0, 1.0, 500).round()
    laws = [
        fit_whole_sample(sizes, f"discretised_{name}")
        for name in ("lognormal", "double_pareto_lognormal")
    ]
    both = day_of({**results_of_a_day(), TAILS["likes"]: with_laws(some_fits(), *laws)})
    for model, fitted in zip((Lognormal(), DoubleParetoLognormal()), laws, strict=True):
        p = fitted.parameters
        assert drawn_at(model, both) == StaticSizeParams(
            mu=p["mu"],
            sigma=p["sigma"],
            alpha=p.get("alpha", math.inf),  # lognormal: no tails of its own
            beta=p.get("beta", math.inf),
        )
        assert model.parameters(both, DOWNLOADS) is None
        assert model.increments(both, LIKES, {}) is None
        assert model.predict(both, LIKES).zeta is None
    assert Lognormal().parameters(day, LIKES) is None


def test_the_file_holds_rounded_lognormal_sizes() -> None:
    values = {**FILE_MODELS["birth"].defaults, "mu": 1.0, "sigma": 1.5}
    rows = FILE_MODELS["birth"].sample(values, 20_000, np.random.default_rng(7))
    assert rows.columns == ["size"]
    for x in (0, 1, 5, 30):
        expected = stats.norm.cdf((math.log(x + 0.5) - 1.0) / 1.5)
        share = (rows["size"] <= x).mean()
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 20_000), x
    heavy = FILE_MODELS["birth"].sample(
        {**values, "alpha": 1.1, "sigma": 0.1}, 20_000, np.random.default_rng(8)
    )
    top = np.sort(heavy["size"].to_numpy())[-1_000:].astype(float)
    assert 1 / np.log(top / top[0])[1:].mean() == pytest.approx(1.1, abs=4 * 1.1 / math.sqrt(1_000))
