"""Sentences are made from typed verdicts alone, and say the same in long and in short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.predictive.joint import Contrast, JointVerdict, Outcome, judge_jointly
from baimo.estimation.predictive.replicate import Replicated
from baimo.estimation.tails.thresholds import ThresholdRange
from baimo.pipeline.statistics import STATISTICS
from baimo.pipeline.text import (
    NO_PREDICTION,
    bare,
    clustered_words,
    comparison_words,
    cutoff_title,
    cutoff_words,
    items_words,
    joined,
    joint_words,
    list_cutoffs,
    outcome_words,
    p_words,
    short_outcome_words,
    threshold_words,
)
from baimo.pipeline.variables import DOWNLOADS, SHARES, TVL


def replicated(observed: float, mean: float = 1.0, sd: float | None = 0.001) -> Replicated:
    return Replicated(observed=observed, mean=mean, sd=sd, z=None, n_replications=200)


def judged(
    *, sd: float = 0.001, in_sample: tuple[str, ...] = (), missing: str = "", **observed: float
) -> JointVerdict:
    """Judge statistics whose simulated value is 1 in all samples but for a thousandth.

    Of one that is missing no sample has a value.
    """
    noise = np.random.default_rng(1).standard_normal((199, len(observed)))
    draws = 1.0 + sd * (noise - noise.mean(axis=0))
    names = tuple(observed)
    draws[:, [name == missing for name in names]] = np.nan
    k = len(names)
    contrast = Contrast(
        names=names,
        observed=np.array(list(observed.values())),
        draws=draws,
        covariance=np.zeros((k, k)),
    )
    margins = {name: STATISTICS[name].margin for name in names}
    return judge_jointly(contrast, margins, in_sample=in_sample)


# --- what statistics say of a model --------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "long", "short"),
    [
        ({"zeta": 1.0}, "explains zeta", "explains zeta"),
        ({"zeta": 1.0, "top_1pct": 1.0, "psi": 1.0}, "explains zeta, top 1 %, psi",
         "explains zeta + 2"),
        ({"zeta": 9.0, "top_1pct": 1.0}, "contradicted by zeta", "contradicted by zeta"),
        ({"zeta": 1.3, "top_1pct": 1.2, "share_zero": 1.0}, "contradicted by zeta, top 1 %",
         "contradicted by zeta + 1"),
        ({"share_zero": 1.05, "theta": 1.0}, "cannot be told: zeros", "cannot be told: zeros"),
        ({"share_zero": 1.05, "young_in_tail": 0.95},
         "cannot be told: zeros, age of the tail", "cannot be told: zeros + 1"),
    ],
)  # fmt: skip
def test_an_outcome_is_said_with_all_on_which_it_rests(
    observed: dict[str, float], long: str, short: str
) -> None:
    joint = judged(**observed)
    assert outcome_words(joint) == long
    assert short_outcome_words(joint.outcome.value, joint.reasons) == short


def test_without_a_verdict_there_was_no_prediction() -> None:
    assert outcome_words(None) == short_outcome_words(None, []) == NO_PREDICTION == "no prediction"


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_own_words(outcome: Outcome) -> None:
    words = {other: short_outcome_words(other.value, ["zeta"]) for other in Outcome}
    assert words[outcome].endswith("zeta")
    assert list(words.values()).count(words[outcome]) == 1


def test_an_outcome_that_is_none_is_not_put_into_words() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        short_outcome_words("perhaps", ["zeta"])


# --- how surely ---------------------------------------------------------------------------------


def test_it_is_said_how_unlikely_the_distance_is() -> None:
    words = joint_words(judged(zeta=1.3))
    assert words == "p .005 beyond the margins; .005 of no difference at all"
    without = replace(judged(zeta=1.3), p_without_largest=0.25)
    assert joint_words(without) == (
        "p .005 beyond the margins; .250 without the largest cluster; .005 of no difference at all"
    )


def test_what_was_fitted_and_what_the_model_lacks_is_named() -> None:
    joint = judged(
        zeta=1.0, top_1pct=1.0, share_zero=1.0, in_sample=("zeta",), missing="share_zero"
    )
    assert joint.outcome is Outcome.EXPLAINS
    words = joint_words(joint).split("; ")
    assert words[2:] == ["fitted, not tested: zeta", "the model has no zeros"]


def test_an_open_verdict_says_what_would_have_been_seen() -> None:
    joint = judged(sd=0.2, zeta=1.0, top_1pct=1.0)
    assert joint.outcome is Outcome.UNDECIDED
    seen = {a.name: a.detectable for a in joint.deciding}
    assert joint_words(joint).split("; ")[2] == (
        f"would have been seen four times in five: zeta {seen['zeta']:.2g}, "
        f"top 1 % {seen['top_1pct']:.2g}"
    )
    assert "would have been" not in joint_words(judged(zeta=1.0))


def test_where_nothing_decides_there_is_no_test_to_speak_of() -> None:
    assert joint_words(None) == joint_words(judged(zeta=1.0, in_sample=("zeta",))) == ""


@pytest.mark.parametrize(("p", "text"), [(0.005, ".005"), (0.0499, ".050"), (1.0, "1.000")])
def test_a_p_value_has_three_places_and_no_leading_zero(p: float, text: str) -> None:
    assert p_words(p) == text


def test_a_verdict_on_which_nothing_rests_is_said_in_long_and_in_short() -> None:
    joint = judged(zeta=1.0, in_sample=("zeta",))
    assert (joint.outcome, joint.reasons) == (Outcome.UNDECIDED, ())
    long = outcome_words(joint)
    assert not long.endswith(": ")
    assert short_outcome_words(joint.outcome.value, joint.reasons) == long


# --- observed and simulated ----------------------------------------------------------------------


def test_both_values_are_said_in_the_order_of_the_statistics() -> None:
    compared = {"top_1pct": replicated(0.5, 0.25), "zeta": replicated(1.2346, 1.0)}
    assert comparison_words(compared, "") == (
        "zeta 1.235 / 1.000, top 1 % 0.500 / 0.250 (observed / mean of 200 simulated)"
    )


def test_a_logarithm_of_items_is_said_as_items_and_a_remark_follows() -> None:
    compared = {"tail_items": replicated(4.0, 2.0)}
    assert comparison_words(compared, "fitted to 2024") == (
        "9,999 / 99 size of the tail (observed / mean of 200 simulated); fitted to 2024"
    )


def test_what_is_not_shown_is_left_out_and_counted_by_the_most_samples() -> None:
    some = Replicated(observed=1.0, mean=1.0, sd=None, z=None, n_replications=7)
    compared = {"zeta": some, "gini": replicated(0.9)}
    assert comparison_words(compared, "") == (
        "zeta 1.000 / 1.000 (observed / mean of 200 simulated)"
    )


def test_what_could_not_be_drawn_says_why() -> None:
    assert comparison_words({}, "no stationary law") == "could not be drawn (no stationary law)"


# --- cut-offs and numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("top10pct", "top 10 %"),
        ("top1pct_all", "top 1 %"),
        ("top0.1pct_positive", "top 0.1 %"),
        ("top100", "top 100"),
        ("x_min", "x_min"),
    ],
)
def test_a_cutoff_has_its_words(label: str, words: str) -> None:
    assert cutoff_words(label) == words


def test_every_share_that_is_measured_has_its_words() -> None:
    for name, share in SHARES.items():
        assert cutoff_words(name) == f"top {100 * share:g} %"


def test_a_title_says_what_it_is_a_share_of() -> None:
    assert cutoff_title(DOWNLOADS.headline_cutoff) == "top 1 %"
    assert cutoff_title(TVL.headline_cutoff) == "top 10 % of positive"
    assert cutoff_title("top0.1pct_positive") == "top 0.1 % of positive"


def test_what_is_independent_is_said() -> None:
    assert items_words(clustered=True) == "owners as clusters"
    assert items_words(clustered=False) == "items as independent"


def test_cutoffs_are_listed_in_a_sentence() -> None:
    assert (
        list_cutoffs(["top10pct_all", "top1pct_all", "top100"]) == "top 10 %, 1 % and the top 100"
    )
    assert list_cutoffs(["top1pct", "top100"]) == "top 1 % and the top 100"


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, ".05"), (0.5, ".5"), (1.0, "1"), (0.9375, ".9375")]
)
def test_a_share_is_said_without_its_leading_zero(value: float, text: str) -> None:
    assert bare(value) == text


def test_what_there_is_to_say_is_joined_without_gaps() -> None:
    assert joined(["a", "", "b; c", ""]) == "a; b; c"
    assert joined([]) == ""


def test_errors_say_whether_they_know_of_authors() -> None:
    assert clustered_words(None) == "items taken as independent"
    assert clustered_words(2.3456) == "author-clustered, design effect 2.35"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (9_218.0, 23_450_000.4, "9,218 to 23,450,000"),
        (0.0125, 1234.5678, "0.0125 to 1,234.57"),
        (1.0, 4e250, "1 to 4e+250"),
    ],
)
def test_near_minimal_thresholds_in_words(low: float, high: float, said: str) -> None:
    found = ThresholdRange(
        x_min_lowest=low,
        x_min_highest=high,
        n_tail_lowest=1_232,
        n_tail_highest=3_948,
        zeta_lowest=0.68133,
        zeta_highest=0.73072,
        share=0.01,
    )
    assert threshold_words(found) == (
        f"zeta 0.681 to 0.731 from x_min {said} (3,948 to 1,232 items)"
    )
