"""Models held against data whose truth is known: what decides, and what is published of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from baimo.estimation.predictive.joint import Contrast, JointVerdict, Outcome
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.sampling import Sampling
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import Simulated, Statistics
from baimo.pipeline.models.base import Prediction
from baimo.pipeline.models.registry import MODELS, pairs
from baimo.pipeline.predictive.compare import (
    comparison_table,
    contrast_of,
    judge,
    judge_models,
    verdicts_table,
)
from baimo.pipeline.schema.results import COMPARISON, VERDICTS
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.variables import LIKES, VARIABLES
from tests.pipeline.synthetic import fits_of

MODEL = {model.label: model for model in MODELS}
N = 199
LEADS = {
    "explains": "explains ",
    "contradicted": "contradicted by ",
    "cannot be told": "cannot be told: ",
}


def said(joint: JointVerdict) -> str:
    return LEADS[joint.outcome.value] + ", ".join(joint.reasons)


def around(means: Statistics, sd: Mapping[str, float] | float = 0.002) -> Simulated:
    """Return samples whose mean is exact and whose spread is normal."""
    spread = np.array([sd[k] if isinstance(sd, Mapping) else sd for k in means])
    noise = np.random.default_rng(3).standard_normal((N, len(means)))
    draws = np.array(list(means.values())) + spread * (noise - noise.mean(axis=0))
    samples = tuple(dict(zip(means, row, strict=True)) for row in draws.tolist())
    return Simulated(samples=samples, slopes={})


def held_against(
    model: str, seen: Statistics, simulated: Simulated, sampling: Sampling | None = None
) -> JointVerdict:
    return judge(MODEL[model], contrast_of(MODEL[model], simulated, seen, {}, sampling))


@pytest.fixture(scope="module")
def fits() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 200_000) - 1)


# What every model of likes is judged by, observed: a simulated sample that agrees in all.
SEEN = {
    "zeta": 1.0,
    "share_zero": 0.5,
    "top_1pct": 0.3,
    "tail_items": 3.0,
    "items_1000": 2.0,
    "items_4000": 1.5,
    "young_in_tail": 0.4,
    "zeta_gap": 0.1,
}


class TestVerdicts:
    @pytest.mark.parametrize(
        ("model", "simulated", "verdict"),
        [
            ("Yule", {}, "explains share_zero, top_1pct, tail_items, items_1000, items_4000, "
             "young_in_tail, zeta_gap"),
            ("Yule", {"zeta": 2.0}, "explains share_zero, top_1pct"),  # its zeta is tuned
            ("Yule", {"zeta_gap": 0.5}, "contradicted by zeta_gap"),
            ("Yule", {"share_zero": 0.9, "top_1pct": 0.6}, "contradicted by share_zero, top_1pct"),
            ("CES", {"zeta": 2.0}, "explains share_zero, top_1pct, items_1000"),
            ("CES", {"tail_items": 9.0}, "explains share_zero, top_1pct, items_1000"),  # its scale
            ("CES", {"young_in_tail": 0.1}, "contradicted by young_in_tail"),
            ("Simon", {"share_zero": 0.0}, "explains zeta, top_1pct"),  # begins at one
            ("Simon", {"zeta": 1.3}, "contradicted by zeta"),
            ("dPlN", {"items_4000": 2.5}, "contradicted by items_4000"),
            ("fitness", {"zeta": 1.3}, "explains top_1pct, items_1000"),  # tuned to it
            ("fitness", {"zeta_gap": -0.4}, "contradicted by zeta_gap"),
        ],
    )  # fmt: skip
    def test_each_model_is_held_to_what_it_speaks_of(
        self, model: str, simulated: dict[str, float], verdict: str
    ) -> None:
        found = held_against(model, SEEN, around(SEEN | simulated))
        assert said(found).startswith(verdict)
        if found.outcome is Outcome.CONTRADICTED:
            assert said(found) == verdict  # nothing else has a share in it
        judged = tuple(s for s in MODEL[model].judged if s.name in SEEN)
        assert [(a.name, a.margin) for a in found.agreements] == [
            (s.name, s.margin) for s in judged
        ]
        tuned = {s.name for s in MODEL[model].tuned}
        assert {a.name for a in found.deciding} == {s.name for s in judged} - tuned

    def test_protocols_are_judged_by_sizes_of_their_own(self) -> None:
        seen = {"zeta": 1.0, "top_1pct": 0.3, "tail_items": 3.0, "items_1000000000": 1.0}
        drawn = seen | {"share_zero": 0.0, "young_in_tail": 0.1}  # neither is spoken of
        found = held_against("GBM", seen | {"share_zero": 0.5}, around(drawn))
        assert said(found) == "explains zeta, top_1pct, tail_items, items_1000000000"

    @pytest.mark.parametrize(
        ("model", "name", "gap"),
        [("Yule", "phi", -1.0), ("fitness", "theta", 0.3), ("GBM", "size_slope", -0.08)],
    )
    def test_what_happens_next_is_judged_where_it_is_known(
        self, model: str, name: str, gap: float
    ) -> None:
        values = SEEN | dict.fromkeys((s.name for s in MODEL[model].judged), 0.5)
        simulated = around(values)
        assert held_against(model, values, simulated).outcome is Outcome.EXPLAINS
        other = held_against(model, values | {name: 0.5 + gap}, simulated)
        assert said(other) == f"contradicted by {name}"

    def test_a_wide_spread_cannot_tell(self) -> None:
        spread = dict.fromkeys(SEEN, 0.002) | {"share_zero": 0.3}
        found = held_against("Yule", SEEN, around(SEEN, spread))
        assert said(found) == "cannot be told: share_zero"

    def test_the_errors_of_the_data_count(self) -> None:
        known = Sampling(
            names=("zeta",),
            covariance=np.array([[0.2**2]]),
            independent=np.array([[0.002**2]]),
            clusters="owners",
        )
        assert held_against("Simon", SEEN, around(SEEN)).outcome is Outcome.EXPLAINS
        found = held_against("Simon", SEEN, around(SEEN), known)
        assert said(found) == "cannot be told: zeta"
        error = {a.name: a.std_error for a in found.agreements}
        assert error["zeta"] == pytest.approx(0.2, rel=4 / np.sqrt(2 * N))
        assert error["top_1pct"] == pytest.approx(0.002, rel=4 / np.sqrt(2 * N))

    def test_what_rests_on_one_owner_does_not_contradict(self) -> None:
        simulated = around(SEEN | {"zeta": 1.3})
        moved = Sampling(
            names=("zeta",),
            covariance=np.array([[0.002**2]]),
            independent=np.array([[0.002**2]]),
            shift=np.array([0.3]),  # without it the data are as the model says
            covariance_without=np.array([[0.002**2]]),
            clusters="owners",
        )
        found = held_against("Simon", SEEN, simulated, moved)
        assert found.p_value == 1 / (N + 1)
        assert found.p_without_largest is not None
        assert found.p_without_largest > 0.5
        assert found.outcome is Outcome.UNDECIDED
        still = held_against("Simon", SEEN, simulated, replace(moved, shift=np.array([0.0])))
        assert still.outcome is Outcome.CONTRADICTED

    def test_what_samples_lack_is_absent(self) -> None:
        without = around({k: v for k, v in SEEN.items() if k != "items_4000"})
        found = held_against("Simon", SEEN, without)
        assert found.absent == ("items_4000",)
        assert "items_4000" not in {a.name for a in found.agreements}


class TestContrast:
    """Yule in two statistics and three parameters, of which one has no error with clusters."""

    MODEL = MODEL["Yule"]
    SEEN: ClassVar[Statistics] = {"share_zero": 0.5, "top_1pct": 0.3, "tail_items": float("nan")}
    NAMES = ("top_1pct", "entry_rate", "share_zero", "yule_gamma")
    SLOPES: ClassVar[dict[str, Statistics]] = {
        "entry_rate": {"share_zero": 2.0, "top_1pct": -1.0, "zeta": 9.0},
        "yule_gamma": {"share_zero": 0.5, "top_1pct": float("nan")},  # one side had none
        "yule_a": {"share_zero": 3.0, "top_1pct": 4.0},
    }
    PARAMETERS: ClassVar[dict[str, Estimate]] = {
        "entry_rate": Estimate(value=1.3, std_error=99.0),  # of independent items
        "yule_gamma": Estimate(value=0.8, std_error=99.0),
        "yule_a": Estimate(value=2.0, std_error=0.5),
    }

    def matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        roots = np.random.default_rng(1).standard_normal((3, 4, 4))
        one, two, three = (root @ root.T for root in roots)
        return one, two, three

    def found(self, *, slopes: bool = True) -> Contrast:
        covariance, independent, without = self.matrices()
        sampling = Sampling(
            names=self.NAMES,
            covariance=covariance,
            independent=independent,
            shift=np.array([0.1, 0.2, 0.3, 0.4]),
            covariance_without=without,
            clusters="owners",
        )
        simulated = replace(around({"share_zero": 0.4, "top_1pct": 0.2}), slopes=self.SLOPES)
        if not slopes:
            simulated = replace(simulated, slopes={})
        return contrast_of(self.MODEL, simulated, self.SEEN, self.PARAMETERS, sampling)

    def test_it_holds_what_is_seen_and_drawn_in_the_order_of_the_model(self) -> None:
        found = self.found()
        order = [s.name for s in self.MODEL.judged if s.name in ("share_zero", "top_1pct")]
        assert found.names == tuple(order) == ("share_zero", "top_1pct")
        assert found.observed.tolist() == [0.5, 0.3]
        assert found.draws.shape == (N, 2)
        assert found.draws.mean(axis=0) == pytest.approx([0.4, 0.2])

    def test_parameters_of_the_same_data_take_their_part_with_them(self) -> None:
        # by hand: [I, -J] S [I, -J]' over (share_zero, top_1pct; entry, gamma, a), less what the
        # draws hold
        order = [2, 0, 1, 3]
        turn = np.array([[1, 0, -2.0, -0.5, -3.0], [0, 1, 1.0, 0.0, -4.0]])
        found = self.found()
        covariance, independent, without = (m[np.ix_(order, order)] for m in self.matrices())

        def expected(known: np.ndarray) -> np.ndarray:
            every = np.zeros((5, 5))
            every[:4, :4], every[4, 4] = known, 0.5**2
            return np.asarray(turn @ every @ turn.T - independent[:2, :2])

        assert found.covariance == pytest.approx(expected(covariance))
        assert found.covariance_without == pytest.approx(expected(without))
        assert found.shift == pytest.approx(turn[:, :4] @ np.array([0.3, 0.1, 0.2, 0.4]))

    def test_without_slopes_it_is_the_error_of_the_data_alone(self) -> None:
        covariance, independent, _ = self.matrices()
        at = np.ix_([2, 0], [2, 0])
        found = self.found(slopes=False)
        assert found.covariance == pytest.approx(covariance[at] - independent[at])
        assert found.shift == pytest.approx([0.3, 0.1])

    def test_of_what_a_parameter_is_fitted_to_no_error_is_left(self) -> None:
        # the mean of a statistic is twice the parameter, which is half the observed statistic
        error = 0.3
        half = np.array([[1.0, 0.5], [0.5, 0.25]]) * error**2
        sampling = Sampling(
            names=("share_zero", "yule_a"),
            covariance=half,
            independent=np.zeros((2, 2)),
            clusters="owners",
        )
        simulated = replace(around({"share_zero": 0.5}), slopes={"yule_a": {"share_zero": 2.0}})
        parameters = {"yule_a": Estimate(value=0.25, std_error=1.0)}
        found = contrast_of(self.MODEL, simulated, {"share_zero": 0.5}, parameters, sampling)
        assert found.covariance == pytest.approx(np.zeros((1, 1)), abs=1e-12)
        # were the parameter of other data, both errors would add
        other = contrast_of(
            self.MODEL, simulated, {"share_zero": 0.5},
            {"yule_a": Estimate(value=0.25, std_error=error / 2)},
            replace(sampling, names=("share_zero", "else")),
        )  # fmt: skip
        assert other.covariance == pytest.approx(np.array([[2 * error**2]]))

    def test_where_nothing_is_known_parameters_have_the_errors_of_their_fits(self) -> None:
        simulated = replace(around({"share_zero": 0.4, "top_1pct": 0.2}), slopes=self.SLOPES)
        found = contrast_of(self.MODEL, simulated, self.SEEN, self.PARAMETERS, None)
        j = np.array([[2.0, 0.5, 3.0], [-1.0, 0.0, 4.0]])
        assert found.covariance == pytest.approx(j @ np.diag([99.0, 99.0, 0.5]) ** 2 @ j.T)
        assert found.shift is found.covariance_without is None

    def test_nothing_to_compare_makes_no_contrast_and_no_verdict(self) -> None:
        found = contrast_of(self.MODEL, around({"gini": 0.5}), {"gini": 0.5}, {}, None)
        assert found.names == ()
        assert found.covariance.shape == (0, 0)
        verdicts = judge_models(
            {("Yule", "likes"): around({"gini": 0.5})},
            {(m.label, v.name): Prediction(None) for m, v in pairs()},
            {(m.label, v.name): {} for m, v in pairs()},
            {name: {"gini": 0.5} for name in VARIABLES},
            {},
        )
        assert {v.joint for v in verdicts} == {None}
        assert [v.model.label for v in verdicts if v.compared] == ["Yule"]


class TestTables:
    def test_the_headline_table(self, fits: SizeFits) -> None:
        # Replicates that are the data but for noise explain them; others are contradicted in words.
        observed = SEEN | {"zeta": fits.tail.zeta, "zeta_scanned": fits.tail.zeta}
        scanned = {"zeta_scanned": fits.tail.zeta + 0.5}
        verdicts = judge_models(
            {
                ("Simon", "likes"): around(observed | scanned),
                ("Yule", "likes"): around(observed | {"zeta_gap": 0.6, "young_in_tail": 0.1}),
            },
            {
                (model.label, variable.name): Prediction(
                    {"Simon": 1.1, "Yule": 1.2}.get(model.label),
                    {"Yule": "tuned", "CES": "not run"}.get(model.label, ""),
                )
                for model, variable in pairs()
            },
            {(model.label, variable.name): {} for model, variable in pairs()},
            dict.fromkeys(VARIABLES, observed),
            {},
        )
        of_likes = [v for v in verdicts if v.variable == LIKES]
        table = comparison_table(of_likes, {"likes": fits})
        assert table.schema == pl.Schema(COMPARISON.schema)
        assert validate(table, COMPARISON).quarantine.is_empty()
        by_model = {r["model"]: r for r in table.iter_rows(named=True)}
        simon, yule, ces = (by_model[name] for name in ("Simon", "Yule", "CES"))
        assert simon["verdict"] == (
            "explains zeta, top 1 %, size of the tail, models of 1,000, models of 4,000, "
            "age of the tail, zeta of the oldest less the youngest"
        )
        assert simon["outcome"] == "explains"
        assert simon["p_value"] > 0.05
        assert yule["outcome"] == "contradicted"
        assert sorted(yule["reasons"]) == ["young_in_tail", "zeta_gap"]
        assert yule["verdict"].startswith("contradicted by ")
        assert yule["p_value"] == yule["p_equal"] == 1 / (N + 1)
        assert yule["p_without_largest"] is None
        assert yule["evidence"].startswith("p .005 beyond the margins; ")
        assert yule["evidence"].endswith(f"(observed / mean of {N} simulated); tuned")
        assert ces["verdict"] == "no prediction"
        assert ces["evidence"] == "could not be drawn (not run)"
        for column in ("outcome", "simulated_zeta", "scanned_zeta", "p_value", "p_equal"):
            assert ces[column] is None
        assert ces["reasons"] == ces["absent"] == []
        assert simon["predicted_zeta"] == 1.1
        # at the x_min of the data, and at one of each sample's own
        assert simon["simulated_zeta"] == pytest.approx(fits.tail.zeta)
        assert simon["scanned_zeta"] == pytest.approx(fits.tail.zeta + 0.5)
        assert simon["zeta"] == fits.tail.zeta

    def test_each_statistic_is_published_with_its_test(self) -> None:
        known = Sampling(
            names=("share_zero",),
            covariance=np.array([[0.03**2]]),
            independent=np.zeros((1, 1)),
            clusters="owners",
        )
        drawn = SEEN | {"share_zero": 0.8}
        verdicts = judge_models(
            {("Yule", "likes"): around(drawn)},
            {(m.label, v.name): Prediction(None) for m, v in pairs()},
            {(m.label, v.name): {} for m, v in pairs()},
            dict.fromkeys(VARIABLES, SEEN),
            {"likes": known},
        )
        table = verdicts_table(verdicts)
        assert table.schema == pl.Schema(VERDICTS.schema)
        assert validate(table, VERDICTS).quarantine.is_empty()
        assert table["statistic"].to_list() == list(SEEN)
        rows = {r["statistic"]: r for r in table.iter_rows(named=True)}
        shown = ("judged", "in_sample", "decides", "margin", "agrees", "distance_share")
        assert [rows["zeta"][c] for c in shown] == [False, True, False, None, None, None]
        zeros = rows["share_zero"]
        assert [zeros[c] for c in shown[:-1]] == [True, False, True, 0.05, "beyond"]
        assert zeros["distance_share"] == pytest.approx(1.0, abs=1e-6)
        assert (zeros["observed"], zeros["simulated"]) == (0.5, pytest.approx(0.8))
        assert zeros["n_replications"] == N
        spread = np.hypot(0.03, 0.002)
        assert zeros["std_error"] == pytest.approx(spread, rel=4 / np.sqrt(2 * N))
        # nine tenths of the cloud lie within 1.645 errors
        middle = (zeros["difference_low"] + zeros["difference_high"]) / 2
        half = (zeros["difference_high"] - zeros["difference_low"]) / 2
        assert middle == pytest.approx(-0.3, abs=0.01)
        assert half == pytest.approx(1.645 * spread, rel=0.2)
        # what is contradicted needs not say what would have been seen
        assert table["detectable"].null_count() == table.height
        joint = next(v.joint for v in verdicts if v.joint)
        for a in joint.agreements:
            assert rows[a.name]["std_error"] == a.std_error
            assert (rows[a.name]["difference_low"], rows[a.name]["difference_high"]) == a.interval
            assert rows[a.name]["distance_share"] == a.distance_share

    def test_an_open_verdict_says_what_would_have_been_seen(self) -> None:
        spread = dict.fromkeys(SEEN, 0.002) | {"share_zero": 0.3}
        verdicts = judge_models(
            {("Yule", "likes"): around(SEEN, spread)},
            {(m.label, v.name): Prediction(None) for m, v in pairs()},
            {(m.label, v.name): {} for m, v in pairs()},
            dict.fromkeys(VARIABLES, SEEN),
            {},
        )
        rows = {r["statistic"]: r for r in verdicts_table(verdicts).iter_rows(named=True)}
        assert rows["zeta"]["detectable"] is None  # it decides nothing
        # more than a spread beyond the margin; of what hardly varies, little more than the margin
        assert rows["share_zero"]["detectable"] > 0.05 + 0.3
        assert 0.3 < rows["items_1000"]["detectable"] < 0.3 + 20 * 0.002
