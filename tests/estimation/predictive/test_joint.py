"""Joint verdicts: what decides, what they rest on, and how often they err."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.joint import (
    Agrees,
    Contrast,
    JointVerdict,
    Outcome,
    judge_jointly,
)

MARGIN = 0.1


def contrast(
    observed: Mapping[str, float],
    *,
    sd: float | Mapping[str, float] = 0.01,
    n: int = 199,
    covariance: np.ndarray | None = None,
    shift: Sequence[float] | None = None,
    covariance_without: np.ndarray | None = None,
    seed: int = 1,
) -> Contrast:
    """Return statistics whose draws are normal around 1, their mean exactly 1."""
    k = len(observed)
    spread = np.array([sd[name] if isinstance(sd, Mapping) else sd for name in observed])
    noise = np.random.default_rng(seed).standard_normal((n, k))
    draws = 1.0 + spread * (noise - noise.mean(axis=0))
    return Contrast(
        names=tuple(observed),
        observed=np.array(list(observed.values())),
        draws=draws,
        covariance=np.zeros((k, k)) if covariance is None else covariance,
        shift=None if shift is None else np.array(shift),
        covariance_without=covariance_without,
    )


def judged(c: Contrast, margin: float = MARGIN, in_sample: Collection[str] = ()) -> JointVerdict:
    return judge_jointly(c, dict.fromkeys(c.names, margin), in_sample=in_sample)


def said(joint: JointVerdict) -> str:
    """Return outcome and reasons on one line."""
    return f"{joint.outcome.value}: {', '.join(joint.reasons)}"


# --- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "sd", "verdict"),
    [
        (1.0, 0.001, "explains: zeta"),
        (1.05, 0.001, "explains: zeta"),
        (1.3, 0.001, "contradicted: zeta"),
        (0.7, 0.001, "contradicted: zeta"),
        (1.1, 0.01, "cannot be told: zeta"),  # at the margin
        (1.0, 0.5, "cannot be told: zeta"),  # a wide spread
        (9.0, 0.5, "contradicted: zeta"),
        (1.0, 0.0, "explains: zeta"),  # never varies: judged alone
        (1.2, 0.0, "contradicted: zeta"),
    ],
    ids=["equal", "near", "above", "below", "margin", "wide", "far", "exact", "exactly-off"],
)
def test_one_statistic(observed: float, sd: float, verdict: str) -> None:
    assert said(judged(contrast({"zeta": observed}, sd=sd))) == verdict


@pytest.mark.parametrize("observed", [1.0, 9.0])
def test_one_sample_has_no_spread_and_tells_nothing(observed: float) -> None:
    joint = judged(contrast({"zeta": observed}, n=1))
    assert said(joint) == "cannot be told: zeta"
    assert math.isnan(joint.p_value)
    assert joint.agreements[0].interval == (-math.inf, math.inf)


def test_all_must_lie_within_and_the_farthest_are_named() -> None:
    sd = {"a": 0.01, "b": 0.01, "c": 0.01, "d": 5.0}

    def verdict(**observed: float) -> str:
        return said(judged(contrast(observed, sd=sd)))

    assert verdict(a=1.0, b=1.0) == "explains: a, b"
    assert verdict(a=1.0, b=1.0, d=1.0) == "cannot be told: d"
    assert verdict(a=1.0, b=1.0, c=2.0, d=1.0) == "contradicted: c"
    assert verdict(a=1.4, b=1.3, c=2.0, d=1.0) == "contradicted: c, a, b"


def test_what_a_model_was_fitted_to_is_shown_and_does_not_decide() -> None:
    joint = judged(contrast({"fitted": 9.0, "free": 1.0}), in_sample={"fitted"})
    assert said(joint) == "explains: free"
    fitted, free = joint.agreements
    assert (fitted.decides, free.decides) == (False, True)
    assert fitted.agrees is Agrees.BEYOND
    assert fitted.distance_share == 0.0
    only = judged(contrast({"fitted": 9.0}), in_sample={"fitted"})
    assert only.outcome is Outcome.UNDECIDED  # nothing is left to decide
    assert math.isnan(only.p_value)


def test_only_what_has_a_margin_is_judged() -> None:
    found = judge_jointly(contrast({"a": 1.0, "b": 5.0}), {"a": MARGIN})
    assert [a.name for a in found.agreements] == ["a"]
    assert found.outcome is Outcome.EXPLAINS
    assert found.agreements[0].compared.observed == 1.0


def test_a_contradiction_must_stand_without_the_largest_cluster() -> None:
    seen, zero = {"a": 2.0, "b": 1.0}, np.zeros((2, 2))
    stands = judged(contrast(seen, shift=[0.1, 0.0], covariance_without=zero))
    falls = judged(contrast(seen, shift=[-0.95, 0.0], covariance_without=zero))
    assert said(stands) == "contradicted: a"
    assert stands.p_without_largest == pytest.approx(1 / 200)
    assert falls.outcome is Outcome.UNDECIDED
    assert (falls.p_value, falls.p_without_largest) == (pytest.approx(1 / 200), 1.0)
    assert falls.reasons == ("a",)


def test_the_margins_are_taken_off_and_without_them_stands_beside() -> None:
    joint = judged(contrast({"a": 1.09, "b": 1.0}, sd=0.001))
    assert joint.outcome is Outcome.EXPLAINS
    assert joint.p_value == 1.0
    assert joint.p_equal == pytest.approx(1 / 200)


# --- the distance ------------------------------------------------------------------------------


def test_the_floor_of_p_is_one_over_the_samples_plus_one() -> None:
    for n in (19, 99):
        assert judged(contrast({"a": 9.0}, n=n)).p_value == pytest.approx(1 / (n + 1))


def test_p_is_the_rank_of_the_distance_by_brute_force() -> None:
    c = contrast({"a": 1.13, "b": 0.95}, sd={"a": 0.02, "b": 0.2}, n=60)
    cloud = c.draws - c.draws.mean(axis=0)
    root = np.linalg.cholesky(np.linalg.inv(np.cov(cloud.T)))
    beyond = np.array([0.13 - 0.1, 0.0])  # the draws are all but uncorrelated: see below
    white, point = cloud @ root, beyond @ root
    far = np.mean([np.linalg.norm(point - w) for w in white])
    own = [
        np.mean([np.linalg.norm(w - v) for j, v in enumerate(white) if j != i])
        for i, w in enumerate(white)
    ]
    p = (1 + sum(d >= far for d in own)) / 61
    # b may move freely within its margin, which takes off what correlation is left
    assert judged(c).p_value == pytest.approx(p, abs=2 / 61)


def test_the_nearest_point_of_the_box_is_that_of_quadratic_programming() -> None:
    from scipy.optimize import lsq_linear

    from baimo.estimation.predictive import joint

    rng = np.random.default_rng(3)
    for _ in range(20):
        k = int(rng.integers(2, 7))
        root = rng.standard_normal((k, k))
        cloud = rng.standard_normal((300, k)) @ root
        margins = rng.uniform(0.1, 2.0, k)
        gap = 3.0 * rng.standard_normal(k)
        test = joint._Test(
            names=tuple("abcdefg"[:k]), gap=gap, cloud=cloud, n_lost=0, margins=margins, fixed={}
        )
        upper = np.linalg.cholesky(test.precision).T
        best = lsq_linear(upper, upper @ gap, bounds=(-margins, margins), tol=1e-13)
        ours = test.beyond(gap[None, :])[0]
        cost = float(ours @ test.precision @ ours)
        assert np.all(np.abs(gap - ours) <= margins * (1 + 1e-12))
        assert cost <= 2.0 * best.cost * (1 + 1e-4) + 1e-9


def test_an_error_of_the_data_widens_the_cloud() -> None:
    wide = contrast({"a": 1.25}, sd=0.01, covariance=np.array([[0.2**2]]), n=1999)
    joint = judged(wide)
    assert joint.outcome is Outcome.UNDECIDED
    assert joint.agreements[0].std_error == pytest.approx(math.hypot(0.2, 0.01), rel=0.06)
    # one statistic: the distance from a normal cloud ranks as |z| does
    p = 2 * stats.norm.sf(0.15 / math.hypot(0.2, 0.01))
    assert joint.p_value == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 2000) + 0.01)


def test_a_known_error_that_is_correlated_is_taken_as_it_is() -> None:
    # a and b err together: an equal deviation of both is likely, an opposite one is not
    covariance = np.array([[1.0, 0.99], [0.99, 1.0]])
    together = judged(contrast({"a": 2.5, "b": 2.5}, covariance=covariance, n=999))
    apart = judged(contrast({"a": 2.5, "b": -0.5}, covariance=covariance, n=999))
    assert together.outcome is Outcome.UNDECIDED
    assert apart.outcome is Outcome.CONTRADICTED


def test_units_change_nothing() -> None:
    c = contrast({"a": 1.15, "b": 1.3}, sd={"a": 0.05, "b": 0.2})
    scale = np.array([1000.0, 0.001])
    scaled = Contrast(
        names=c.names,
        observed=c.observed * scale,
        draws=c.draws * scale,
        covariance=c.covariance,
    )
    plain = judge_jointly(c, {"a": 0.1, "b": 0.1})
    other = judge_jointly(scaled, {"a": 100.0, "b": 0.0001})
    assert other.p_value == plain.p_value
    assert other.p_equal == plain.p_equal
    shares = [[a.distance_share for a in j.agreements] for j in (plain, other)]
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)
    assert sum(shares[0]) == pytest.approx(1.0)


# --- samples that lack a statistic ---------------------------------------------------------------


def test_a_sample_without_a_statistic_counts_as_further_away() -> None:
    c = contrast({"a": 9.0, "b": 1.0}, n=199)
    c.draws[:8, 1] = np.nan  # 4 %
    joint = judged(c)
    assert joint.absent == ()
    assert joint.p_value == pytest.approx(9 / 200)
    c.draws[:10, 1] = np.nan  # 5.03 %: then the model lacks it
    joint = judged(c)
    assert joint.absent == ("b",)
    assert joint.p_value == pytest.approx(1 / 200)
    assert [a.name for a in joint.agreements] == ["a"]


def test_a_statistic_that_no_sample_has_is_absent() -> None:
    c = contrast({"a": 1.0, "b": 1.0})
    c.draws[:, 1] = np.nan
    joint = judged(c)
    assert joint.absent == ("b",)
    assert said(joint) == "explains: a"


def test_what_never_varies_is_judged_alone() -> None:
    c = contrast({"a": 1.0, "b": 1.05}, sd={"a": 0.01, "b": 0.0})
    assert said(judged(c)) == "explains: a, b"
    beyond = contrast({"a": 1.0, "b": 1.2}, sd={"a": 0.01, "b": 0.0})
    assert said(judged(beyond)) == "contradicted: b"


# --- what would have been seen -------------------------------------------------------------------


def test_the_smallest_difference_that_would_have_been_seen() -> None:
    joint = judged(contrast({"a": 1.0}, sd=1.0, n=1999, seed=5))
    assert joint.outcome is Outcome.UNDECIDED
    # one normal statistic, a margin of .1 of its sd: |z| > 1.96 beyond it, four times in five
    expected = 0.1 + 1.96 + stats.norm.ppf(0.8)
    # quantiles of 1,999 draws: errors .06 (of 1.96) and .03 (of the power)
    assert joint.agreements[0].detectable == pytest.approx(expected, abs=4 * math.hypot(0.06, 0.03))


def test_it_is_told_of_what_is_open_only() -> None:
    told = judged(contrast({"a": 9.0}))
    assert told.agreements[0].detectable is None
    few = judged(contrast({"a": 9.0}, n=9))  # p is at least .1: nothing can be seen
    assert few.outcome is Outcome.UNDECIDED
    assert few.agreements[0].detectable == math.inf


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margins", "says"),
    [
        ({"b": 0.1}, "b not compared: measure it"),
        ({"a": 0.0}, "a margin must be positive"),
        ({"a": -1.0}, "a margin must be positive"),
        ({"a": math.nan}, "a margin must be positive"),
        ({}, "nothing to judge"),
    ],
    ids=["unknown", "zero", "negative", "nan", "none"],
)
def test_refusals(margins: dict[str, float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        judge_jointly(contrast({"a": 1.0}), margins)


# --- how often it errs ---------------------------------------------------------------------------


def outcomes(shift: Sequence[float], margin: float, runs: int, seed: int) -> dict[Outcome, float]:
    """Judge data of a shifted mean whose error, half draws and half clusters, is known."""
    rng, k = np.random.default_rng(seed), len(shift)
    root = np.linalg.cholesky(0.5 * np.eye(k) + 0.5)
    counts = dict.fromkeys(Outcome, 0)
    for i in range(runs):
        draws = rng.standard_normal((99, k)) @ root.T
        seen = np.array(shift) + root @ rng.standard_normal(k) + root @ rng.standard_normal(k)
        c = Contrast(
            names=tuple("abcdefg"[:k]), observed=seen, draws=draws, covariance=root @ root.T
        )
        joint = judge_jointly(c, dict.fromkeys(c.names, margin), seed=i)
        counts[joint.outcome] += 1
    return {outcome: n / runs for outcome, n in counts.items()}


@pytest.mark.parametrize(
    ("shift", "margin"),
    [((0.0, 0.0, 0.0), 1e-3), ((2.0, 0.0, 0.0), 2.0), ((6.0, -6.0, 6.0), 6.0)],
    ids=["equality", "one-at-its-margin", "all-at-their-margins"],
)
def test_a_true_model_is_contradicted_once_in_twenty(
    shift: tuple[float, ...], margin: float
) -> None:
    runs = 300
    found = outcomes(shift, margin, runs, 7)[Outcome.CONTRADICTED]
    allowed = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert found <= 0.05 + allowed
    if margin < 0.01:  # exact where the margin is nothing
        assert found >= 0.05 - allowed


def test_a_false_model_is_explained_at_most_once_in_twenty() -> None:
    # Two statistics agree exactly, the third is off by its margin: it decides.
    runs = 200
    found = outcomes((0.0, 0.0, 8.0), 8.0, runs, 10)
    assert found[Outcome.EXPLAINS] <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert outcomes((0.0, 0.0, 0.0), 9.0, 50, 11)[Outcome.EXPLAINS] == 1.0
    assert outcomes((9.0, 0.0, 0.0), 1.0, 50, 12)[Outcome.CONTRADICTED] > 0.95
