"""Figures of claims: each is drawn from the day, from nothing but what it declares."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from baimo.estimation.tails.cohorts import fit_cohorts
from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import Simulated
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.figures.of_claims import (
    AGE_COHORTS,
    BY_AGE,
    KERNEL,
    VERDICTS,
    ClaimFigure,
    index_path_of,
    rank_size_of,
)
from baimo.pipeline.lake.results import UndeclaredError, names_of
from baimo.pipeline.predictive.simulate import REFITS
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.statistics import zeta_of_cohort
from baimo.pipeline.variables import LIKES
from tests.pipeline.synthetic import (
    comparison_of,
    day_of,
    fits_of,
    hub_frequency,
    judged,
    kernel_of,
    likes_of_two_days,
)


@pytest.fixture(scope="module")
def evidence() -> dict[Any, Any]:
    rng = np.random.default_rng(1)
    sizes, ages = rng.zipf(2.0, 10_000), rng.uniform(0.1, 3.0, 10_000)
    samples = ({zeta_of_cohort(c): 1.0 + c / 4 for c in range(5)},)
    row = judged("Yule", "likes", "explains", "zeros") | {"zeta_low": 0.9, "zeta_high": 1.1}
    return {
        TAILS[LIKES.name]: fits_of(sizes - 1),
        COHORTS: {"likes": fit_cohorts(sizes, ages, x_min=5.0)},
        KERNEL_FIT: kernel_of(likes_of_two_days(1.0, 0.0, n=4_000), hub_frequency(300, 1)),
        COMPARISON: comparison_of(row).with_columns(zeta_low=0.9, zeta_high=1.1),
        **{stored: {} for stored in REFITS.values()},
        REFITS[BY_AGE[0].name]: {("Yule", "likes"): Simulated(samples=samples, slopes={})},
    }


FIGURES = {
    "rank-size": rank_size_of(LIKES),
    "index": index_path_of(LIKES),
    "cohorts": AGE_COHORTS,
    "kernel": KERNEL,
    "verdicts": VERDICTS,
}


def labels(figure: Figure | None) -> list[str]:
    assert isinstance(figure, Figure)
    return [str(ln.get_label()) for axes in figure.axes for ln in axes.get_lines()]


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_drawn_from_what_it_declares_and_each_of_it_is_needed(
    name: str, evidence: dict[Any, Any]
) -> None:
    figure = FIGURES[name]
    day = day_of(evidence).only(figure.needs)
    assert day.needs == names_of(figure.needs)
    assert isinstance(figure.plot(day), Figure)
    for need in figure.needs:
        less = day.only([other for other in figure.needs if other.name != need.name])
        with pytest.raises(UndeclaredError, match=need.name):
            figure.plot(less)


def test_a_variable_is_drawn_with_its_own_sample(evidence: dict[Any, Any]) -> None:
    fits = evidence[TAILS[LIKES.name]]
    drawn = rank_size_of(LIKES).plot(day_of(evidence))
    slope = fits.zipf["top100"].slope
    assert f"top 100: {slope:.2f}" in labels(drawn)
    assert "hill, corrected" in labels(index_path_of(LIKES).plot(day_of(evidence)))


def test_cohorts_are_drawn_with_the_models_that_have_them(evidence: dict[Any, Any]) -> None:
    figure = AGE_COHORTS.plot(day_of(evidence))
    assert figure is not None
    (yule,) = [ln for ln in figure.axes[0].get_lines() if ln.get_label() == "Yule"]
    assert np.asarray(yule.get_ydata()).tolist() == [1.0, 1.25, 1.5, 1.75, 2.0]


def test_a_day_without_a_kernel_has_none_to_show(evidence: dict[Any, Any]) -> None:
    assert KERNEL.plot(day_of(evidence | {KERNEL_FIT: None})) is None


def test_every_claim_with_a_figure_reads_named_results_only() -> None:
    shown = [claim.figure for claim in ALL_CLAIMS.values() if claim.figure is not None]
    assert len(shown) > 5
    for figure in shown:
        assert isinstance(figure, ClaimFigure)
        assert figure.needs


def test_nothing_that_draws_is_loaded_before_it_draws() -> None:
    code = (
        "import sys, baimo.pipeline.figures.of_claims\n"
        "print([m for m in sys.modules if m.startswith('matplotlib')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
