"""Records of fits: each value is the fit's own, unknown ones are left out or null."""

from __future__ import annotations

import json

import numpy as np
import pytest

from baimo.estimation.attachment.cross_section import fit_simon
from baimo.estimation.distributions.fit import compare_whole_sample
from baimo.estimation.growth.entry import fit_entry_growth
from baimo.estimation.results import plain
from baimo.estimation.tails.alternatives import compare_tail, judge_support
from baimo.estimation.tails.bootstrap import GoodnessOfFit
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.estimation.tails.tail_index import fit_hill, zipf_lm_test
from baimo.pipeline.cli.fit.records import (
    exported_name,
    index_record,
    index_test_record,
    model_record,
    p_record,
    support_record,
    tail_record,
    whole_record,
    zipf_record,
)

SIZES = np.random.default_rng(3).zipf(2.2, 1_500)
LABELS = np.arange(1_500) % 90


@pytest.fixture(scope="module")
def tail() -> TailFit:
    return fit_tail(SIZES)


def test_a_tail_without_clusters_and_upper_end_says_nothing_of_them(tail: TailFit) -> None:
    record = tail_record(tail)
    low, high = tail.profile_interval()
    assert record["zeta"] == tail.alpha - 1.0
    assert record["zeta_interval"] == (low - 1.0, high - 1.0)
    for name in ("x_min", "alpha", "std_error", "ks", "n_tail", "n_distinct", "n_obs", "discrete"):
        assert record[name] == getattr(tail, name)
    assert record.keys().isdisjoint({"x_max", "design_effect", "std_error_naive", "n_clusters"})


def test_clusters_and_an_upper_end_are_added() -> None:
    found = fit_tail(SIZES, x_max=500, clusters=LABELS)
    record = tail_record(found)
    assert record["x_max"] == 500
    assert record["design_effect"] == found.design_effect
    assert record["std_error"] == found.std_error_clustered
    assert record["std_error_naive"] == found.std_error
    assert record["alpha_interval"] == found.conf_int()["alpha"]
    assert record["n_clusters"] == found.n_clusters
    assert record["effective_clusters"] == found.effective_clusters


@pytest.mark.parametrize(
    ("p", "n", "rejected"), [(0.0, 1000, True), (0.5, 1000, False), (0.1, 20, None)]
)
def test_a_verdict_is_null_where_few_replications_leave_it_open(
    p: float, n: int, rejected: bool | None
) -> None:
    goodness = GoodnessOfFit(p_value=p, mc_error=(p * (1 - p) / n) ** 0.5, n_replications=n)
    record = p_record(goodness)
    assert record["rejected"] is rejected
    assert record["p_value"] == p
    assert record["n_replications"] == n
    low, high = record["p_value_mc_interval"]
    assert low <= p <= high


def test_the_p_that_knows_clusters_comes_first_and_the_other_is_named() -> None:
    found = fit_tail(SIZES, clusters=LABELS)
    by_cluster = clustered_goodness_of_fit(SIZES, found, LABELS, n_replications=99)
    alone = GoodnessOfFit(p_value=0.0, mc_error=0.01, n_replications=1000)
    record = p_record(alone, by_cluster)
    assert next(iter(record)) == "p_value"
    assert record["p_value"] == by_cluster.p_value
    assert record["p_value_independent"] == 0.0
    assert record["rejected_independent"] is True
    assert record["p_value_conditional_on_x_min"] == found.x_min


def test_a_rank_size_line_and_an_index_speak_of_one_zeta() -> None:
    line = fit_zipf(SIZES, k=100)
    record = zipf_record(line)
    assert record["zeta"] == -record["slope"] == -line.slope
    assert record["slope_interval"] == line.conf_int()["slope"]
    assert (record["k"], record["n_obs"]) == (100, 1_500)
    as_index = index_record(line)
    assert as_index["zeta"] == record["zeta"]
    assert as_index["zeta_interval"] == line.conf_int()["zeta"]
    hill = fit_hill(SIZES, k=100, discrete=True, design_effect=4.0)
    assert index_record(hill)["zeta"] == hill.zeta
    assert index_record(hill)["std_error"] == pytest.approx(2 * (hill.std_error or 0))
    assert index_record(hill)["std_error_naive"] == hill.std_error
    assert "design_effect" not in as_index
    clustered = zipf_record(fit_zipf(SIZES, k=100, design_effect=4.0))
    assert clustered["std_error"] == pytest.approx(2 * line.std_error)
    assert clustered["std_error_naive"] == line.std_error


def test_a_test_is_its_statistic_and_p() -> None:
    found = zipf_lm_test(SIZES, k=100, discrete=True)
    record = index_test_record(found)
    assert record == {"k": found.k, "threshold": found.threshold, "statistic": found.statistic,
                      "p_value": found.p_value}  # fmt: skip
    clustered = zipf_lm_test(SIZES, k=100, discrete=True, clusters=LABELS)
    assert index_test_record(clustered) == {
        **record,
        "p_value": clustered.p_value,
        "p_value_independent": found.p_value,
        "effective_clusters": clustered.effective_clusters,
        "n_clusters": clustered.n_clusters,
    }


def test_the_verdict_names_the_rivals_it_rests_on(tail: TailFit) -> None:
    rivals = compare_tail(SIZES, tail)
    goodness = GoodnessOfFit(p_value=0.5, mc_error=0.01, n_replications=1000)
    support = judge_support(tail, goodness, rivals)
    record = support_record(support, rivals)
    assert record["support"] == {"level": support.level, "reason": support.reason}
    assert list(record["rivals"]) == [c.alternative for c in rivals]
    for c in rivals:
        assert record["rivals"][c.alternative]["prefers"] == c.verdict
        assert record["rivals"][c.alternative]["aic_difference"] == c.aic_difference


def test_models_of_the_whole_sample_by_name() -> None:
    counts = np.random.default_rng(4).negative_binomial(1.5, 0.2, 800)
    models = compare_whole_sample(counts, discrete=True, models=("negative_binomial",))
    record = whole_record(models)
    (model,) = models.fits
    assert list(record) == ["negative_binomial"]
    assert record["negative_binomial"]["bic"] == model.bic
    assert record["negative_binomial"]["verdict"] == models.verdict(model)


def test_a_mechanism_is_exported_under_its_prefix_the_first_of_two_that_agree() -> None:
    simon, entry = fit_simon([1, 1, 2, 4]), fit_entry_growth([3, 5, 6, 9, 14], step_years=0.5)
    assert exported_name("pa", simon, "p") == "pa_simon_p"
    assert exported_name("pa", entry, "entry_growth") == "pa_entry_growth"
    record = model_record("pa", [simon, entry, fit_entry_growth([9, 5, 3, 2, 1], step_years=0.5)])
    assert record["pa_simon_p"] == 0.5
    assert record["pa_simon_zeta"] == 2.0
    assert record["pa_entry_growth"] == entry.rate
    assert record["pa_entry_growth_interval"] == entry.interval
    assert (record["n_obs"], record["n_used"], record["converged"]) == (4, simon.n_used, True)
    json.dumps(plain(record), allow_nan=False)
