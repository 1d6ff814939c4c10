"""Joint verdicts: of one statistic and of several, corrected together, and how often they err."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.joint import JointVerdict, Outcome, judge_jointly
from baimo.estimation.predictive.replicate import Replicated, compare_replicates


def replicated(observed: float, mean: float, sd: float | None, n: int = 10_000) -> Replicated:
    return Replicated(observed=observed, mean=mean, sd=sd, z=None, n_replications=n)


# --- verdicts ----------------------------------------------------------------------------------


def said(joint: JointVerdict) -> str:
    """Return outcome and reasons on one line."""
    return f"{joint.outcome.value}: {', '.join(joint.reasons)}"


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
        (1.0, 0.0, "explains: zeta"),
        (1.2, 0.0, "contradicted: zeta"),
        (1.0, None, "cannot be told: zeta"),  # one replication has no spread
        (9.0, None, "cannot be told: zeta"),
    ],
    ids=["equal", "near", "above", "below", "margin", "wide", "far", "exact", "exactly-off",
         "single", "single-far"],
)  # fmt: skip
def test_one_statistic(observed: float, sd: float | None, verdict: str) -> None:
    compared = {"zeta": replicated(observed, 1.0, sd, 1 if sd is None else 10_000)}
    assert said(judge_jointly(compared, {"zeta": 0.1})) == verdict


def test_all_must_match_and_one_miss_is_enough() -> None:
    compared = {
        "a": replicated(1.0, 1.0, 0.01),
        "b": replicated(1.0, 1.0, 0.01),
        "c": replicated(2.0, 1.0, 0.01),
        "d": replicated(1.0, 1.0, 5.0),
    }
    margins = dict.fromkeys("abcd", 0.1)

    def verdict(names: str) -> str:
        return said(judge_jointly(compared, {n: margins[n] for n in names}))

    assert verdict("ab") == "explains: a, b"
    assert verdict("abd") == "cannot be told: d"
    assert verdict("abcd") == "contradicted: c"
    judged = judge_jointly(compared, {"b": 0.1})  # what has no margin is not judged
    assert [a.name for a in judged.agreements] == ["b"]
    assert judged.agreements[0].compared == compared["b"]


def test_p_values_are_corrected_over_the_statistics_of_the_model() -> None:
    compared = {f"s{i}": replicated(0.0, 0.0, 1.0) for i in range(4)}
    margins = {f"s{i}": 2.0 + 0.3 * i for i in range(4)}
    found = judge_jointly(compared, margins).agreements
    raw = [float(stats.norm.cdf(-m / math.sqrt(1.0001))) for m in margins.values()]
    assert [a.p_matches for a in found] == pytest.approx(
        multipletests(raw, method="holm")[1], rel=5e-3
    )
    assert [a.p_matches_alone for a in found] == pytest.approx(raw, rel=5e-3)
    assert all(a.p_misses == 1.0 for a in found)
    # one alone matches at 2.0 sd; beside three others at 5 % it does not
    assert said(judge_jointly(compared, {"s0": 2.0})) == "explains: s0"
    four = judge_jointly(compared, dict.fromkeys(compared, 2.0))
    assert four.outcome is Outcome.UNDECIDED
    assert four.reasons == tuple(compared)


def test_errors_of_the_data_widen_the_spread() -> None:
    compared = {"zeta": replicated(1.0, 1.0, 0.03)}
    margins = {"zeta": 0.1}
    assert said(judge_jointly(compared, margins)) == "explains: zeta"
    wide = judge_jointly(compared, margins, {"zeta": 0.08})
    assert said(wide) == "cannot be told: zeta"
    assert wide.agreements[0].std_error == 0.08
    spread = math.hypot(0.08, 0.03)
    assert wide.agreements[0].p_matches == pytest.approx(stats.norm.cdf(-0.1 / spread), rel=1e-3)


def test_few_replications_know_their_spread_badly() -> None:
    # Welch-Satterthwaite: without an error of the data, t with n - 1 degrees.
    found = judge_jointly({"a": replicated(0.0, 0.0, 1.0, 5)}, {"a": 3.0}).agreements[0]
    assert found.p_matches == pytest.approx(stats.t(4).cdf(-3.0 / math.sqrt(1.2)), rel=1e-12)
    # with one that dwarfs it, the normal distribution
    found = judge_jointly({"a": replicated(0.0, 0.0, 0.01, 5)}, {"a": 3.0}, {"a": 1.0}).agreements[
        0
    ]
    assert found.p_matches == pytest.approx(stats.norm.cdf(-3.0), rel=1e-2)


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
        judge_jointly({"a": replicated(1.0, 1.0, 0.1)}, margins)


# --- how often it errs ---------------------------------------------------------------------------


def verdicts(difference: float, margin: float, n_replications: int, runs: int, seed: int) -> dict:
    """Judge data and simulations of unit spread whose means differ by a known amount."""
    rng = np.random.default_rng(seed)
    counts: dict[str, int] = {}
    for _ in range(runs):
        drawn = [{"s": float(v)} for v in rng.standard_normal(n_replications)]
        compared = compare_replicates({"s": difference + float(rng.standard_normal())}, drawn)
        word = judge_jointly(compared, {"s": margin}).outcome.value
        counts[word] = counts.get(word, 0) + 1
    return {word: count / runs for word, count in counts.items()}


@pytest.mark.parametrize("n_replications", [5, 20, 200])
@pytest.mark.parametrize("margin", [0.2, 1.0, 4.0])
def test_a_difference_of_exactly_the_margin(margin: float, n_replications: int) -> None:
    # "matches" and "misses" are both wrong or both right there: each at most once in twenty.
    runs = 1_000
    limit = 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    for sign in (1.0, -1.0):
        found = verdicts(sign * margin, margin, n_replications, runs, 7)
        assert found.get("explains", 0.0) <= limit
        assert found.get("contradicted", 0.0) <= limit
        if margin == 4.0 and n_replications == 200:  # and no less where the tests are sharp
            assert found["explains"] == pytest.approx(0.05, abs=limit - 0.05)
            assert found["contradicted"] == pytest.approx(0.05, abs=limit - 0.05)


def test_equal_is_told_where_the_margin_is_wide_and_far_where_it_is_not() -> None:
    # power: P(|Z| < (6 - 1.645)) = 1 and P(Z > 1.645 - 4) = .99, sd and mean known to 1 %
    assert verdicts(0.0, 6.0, 200, 400, 8) == {"explains": 1.0}
    assert verdicts(6.0, 2.0, 200, 400, 9)["contradicted"] > 0.97


def test_a_false_model_is_explained_jointly_at_most_once_in_twenty() -> None:
    # Three statistics of four agree exactly; the fourth is off by the margin: it decides.
    rng = np.random.default_rng(10)
    runs, wrong, unjust = 600, 0, 0
    names = ("a", "b", "c", "d")
    shift = np.array([0.0, 0.0, 0.0, 5.0])
    for _ in range(runs):
        drawn = [dict(zip(names, v, strict=True)) for v in rng.standard_normal((20, 4)).tolist()]
        seen = dict(zip(names, (shift + rng.standard_normal(4)).tolist(), strict=True))
        joint = judge_jointly(compare_replicates(seen, drawn), dict.fromkeys(names, 5.0))
        wrong += joint.outcome is Outcome.EXPLAINS
        unjust += joint.outcome is Outcome.CONTRADICTED
    limit = 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert wrong / runs <= limit
    assert unjust / runs <= limit
