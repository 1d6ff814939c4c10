"""The tail index of a file: every estimate that exists, a note where one does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.choose_k import choose_k, scan_k
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.estimation.tails.tail_index import (
    fit_moment,
)
from baimo.pipeline.cli.fit.index import chosen_k, index_fits, index_tests
from tests.pipeline.cli.round_trip import strict
from tests.pipeline.command import baimo


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_index_answers_whatever_the_bootstrap_does(
    recording: Callable[[str], Path], seed: int
) -> None:
    path = recording("tails/continuous_data.txt")
    answer = strict(baimo("fit", "index", path, "--seed", seed, "--json"))
    assert answer["k_method"] in ("double_bootstrap", "scan")
    if answer["k_method"] == "scan":  # the tail of the maintainers' fit, but for its lowest
        assert answer["k_chosen"] == 5844
        assert any("did not settle: k = 5,844" in note for note in answer["notes"])
    # zeta 1.533 by CSN: bias correction included, no estimator is far from it
    for name in ("hill", "hill_corrected", "moment", "kernel", "rank_size"):
        assert answer["estimators"][name]["zeta"] == pytest.approx(1.533, abs=0.05)


def test_clusters_reach_every_estimator(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sizes = np.repeat((1 - rng.random(300)) ** -1.0, 3) * rng.uniform(1, 1.1, 900)
    labels = np.repeat(np.arange(300), 3)
    path = tmp_path / "x.parquet"
    pl.DataFrame({"size": sizes, "owner": labels}).write_parquet(path)
    options = ("--column", "size", "--clusters", "owner", "--top", 200, "--json")
    line = strict(baimo("fit", "zipf", path, *options))
    direct = fit_zipf(sizes, k=200, clusters=labels)
    assert line["design_effect"] == pytest.approx(direct.design_effect)
    assert line["std_error"] == pytest.approx(direct.cluster_error)
    assert line["std_error_naive"] == pytest.approx(direct.std_error)
    assert line["n_clusters"] == direct.n_clusters
    answer = strict(baimo("fit", "index", path, *options))
    found = answer["estimators"]
    moment = fit_moment(sizes, k=200, discrete=False, clusters=labels)
    assert found["moment"]["design_effect"] == pytest.approx(moment.design_effect)
    assert found["moment"]["std_error"] == pytest.approx(moment.cluster_error)
    assert 2 < found["hill"]["design_effect"] < 4  # near three copies of each item
    assert found["rank_size"]["design_effect"] == line["design_effect"]
    assert "design_effect" not in found["pickands"]
    assert any("Pickands is known: its interval takes items as" in n for n in answer["notes"])


# Sizes at the quantiles of P(X > x) = 1/x: no sampling error, zeta 1.
PARETO = 2_000.0 / (np.arange(1, 2_001) - 0.5)


def test_every_estimator_finds_the_index_of_an_exact_pareto() -> None:
    notes: list[str] = []
    found = index_fits(Counts.from_sample(PARETO), 400, False, notes)
    assert list(found) == ["hill", "hill_corrected", "moment", "kernel", "pickands", "rank_size"]
    for name, fit in found.items():
        zeta = fit.estimates()["zeta"].value
        assert zeta == pytest.approx(1.0, abs=0.1), name
        assert fit.k == 400


def test_what_k_does_not_allow_is_left_out_and_said() -> None:
    notes: list[str] = []
    found = index_fits(Counts.from_sample(PARETO), 3, False, notes)
    assert list(found) == ["hill", "hill_corrected", "moment", "kernel", "rank_size"]
    assert any(note.startswith("pickands: k = 3") for note in notes)


def test_a_k_that_is_wrong_itself_is_refused() -> None:
    with pytest.raises(DataError):
        index_fits(Counts.from_sample(PARETO), 0, False, [])


@pytest.mark.parametrize(
    ("sizes", "passes", "words"),
    [
        (PARETO, True, "Pareto is not rejected against a lognormal at 0.1 from "),
        (np.exp(np.random.default_rng(2).normal(0, 1, 2_000)), False, "Pareto is not rejected"),
    ],
    ids=["Pareto", "lognormal"],
)
def test_the_tests_tell_a_pareto_from_a_lognormal(
    sizes: np.ndarray, passes: bool, words: str
) -> None:
    notes: list[str] = []
    tests = index_tests(Counts.from_sample(sizes), 1_000, False, notes)
    assert list(tests) == ["pareto_lognormal", "zipf"]
    assert (tests["pareto_lognormal"].p_value > 0.1) is passes
    assert (tests["zipf"].p_value > 0.1) is passes
    assert notes[-1].startswith(words)


def test_k_is_that_of_the_scan_where_the_bootstrap_cannot_tell() -> None:
    notes: list[str] = []
    few = Counts.from_sample(PARETO[:60])
    k, record = chosen_k(few, False, 0, notes)
    assert record == {"k_chosen": k, "k_method": "scan", "rho": None}
    assert k == scan_k(few, discrete=False)
    assert notes[0].startswith(f"the double bootstrap needs more items: k = {k:,} is the tail")


def test_k_is_that_of_the_double_bootstrap_where_it_settles() -> None:
    sizes = Counts.from_sample(np.abs(np.random.default_rng(3).standard_t(3, 3_000)))
    notes: list[str] = []
    k, record = chosen_k(sizes, False, 5, notes)
    best = choose_k(sizes, discrete=False, seed=5)
    assert record == {"k_chosen": best.k0, "k_method": "double_bootstrap", "rho": best.rho}
    assert k == best.k0
    assert notes == ["k by the double bootstrap, which is unstable; try --top around it"]


def test_few_clusters_are_told_and_copies_multiply_the_variance() -> None:
    sizes, labels = np.repeat(PARETO[:40], 5), np.repeat(np.arange(40), 5)
    notes: list[str] = []
    found = index_fits(sizes, 100, False, notes, labels)
    assert found["hill"].design_effect == pytest.approx(5.0)  # five copies of each item are one
    few = "only 20 clusters in the tail: the clustered error is itself uncertain"
    assert notes.count(few) == 5
    assert sum("no influence of clusters on Pickands" in note for note in notes) == 1
    assert found["rank_size"].cluster_error == fit_zipf(sizes, k=100, clusters=labels).cluster_error
    assert found["pickands"].cluster_error is None
