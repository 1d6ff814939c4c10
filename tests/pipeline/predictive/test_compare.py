"""Models held against data whose truth is known: what decides, and what is published of it."""

import numpy as np
import polars as pl
import pytest

from baimo.estimation.predictive.joint import JointVerdict, Outcome
from baimo.estimation.predictive.replicate import Replicated
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.models.base import Prediction
from baimo.pipeline.models.registry import MODELS, pairs
from baimo.pipeline.predictive.compare import (
    comparison_table,
    judge,
    judge_models,
    verdicts_table,
)
from baimo.pipeline.schema.results import COMPARISON, VERDICTS
from baimo.pipeline.variables import LIKES, VARIABLES
from tests.pipeline.synthetic import fits_of

MODEL = {model.label: model for model in MODELS}
LEADS = {
    "explains": "explains ",
    "contradicted": "contradicted by ",
    "cannot be told": "cannot be told: ",
}


def said(joint: JointVerdict) -> str:
    return LEADS[joint.outcome.value] + ", ".join(joint.reasons)


def replicated(observed: float, mean: float, sd: float) -> Replicated:
    z = (observed - mean) / sd if sd else None
    return Replicated(observed=observed, mean=mean, sd=sd, z=z, n_replications=20)


@pytest.fixture(scope="module")
def fits() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 200_000) - 1)


# What every model is judged by, observed: a simulated sample that agrees in all.
SEEN = {
    "zeta": 1.0,
    "share_zero": 0.5,
    "top_1pct": 0.3,
    "tail_items": 3.0,
    "young_in_tail": 0.4,
    "zeta_oldest": 1.0,
}


class TestVerdicts:
    @pytest.mark.parametrize(
        ("model", "simulated", "verdict"),
        [
            ("Yule", {}, "explains share_zero, top_1pct, tail_items, young_in_tail, zeta_oldest"),
            ("Yule", {"zeta": 2.0}, "explains"),  # its zeta is tuned
            ("Yule", {"zeta_oldest": 1.3}, "contradicted by zeta_oldest"),
            ("Yule", {"share_zero": 0.9, "top_1pct": 0.6}, "contradicted by share_zero, top_1pct"),
            ("CES", {"zeta": 2.0}, "explains"),
            ("CES", {"young_in_tail": 0.1}, "contradicted by young_in_tail"),
            ("Simon", {"share_zero": 0.0}, "explains zeta, top_1pct"),  # begins at one
            ("Simon", {"zeta": 1.3}, "contradicted by zeta"),
            ("GBM", {"share_zero": 0.0, "young_in_tail": 0.1}, "explains zeta, top_1pct, tail"),
            ("dPlN", {"tail_items": 3.5}, "contradicted by tail_items"),
            ("fitness", {"zeta": 1.3}, "contradicted by zeta"),
            ("lognormal", {}, "explains zeta, share_zero, top_1pct"),
        ],
    )
    def test_each_model_is_held_to_what_it_speaks_of(
        self, model: str, simulated: dict[str, float], verdict: str
    ) -> None:
        drawn = SEEN | simulated
        compared = {name: replicated(SEEN[name], drawn[name], 0.002) for name in SEEN}
        found = judge(MODEL[model], compared, {})
        assert isinstance(found, JointVerdict)
        assert said(found).startswith(verdict)
        judged = tuple(s for s in MODEL[model].judged if s.name in SEEN)
        assert [(a.name, a.margin) for a in found.agreements] == [
            (s.name, s.margin) for s in judged
        ]

    @pytest.mark.parametrize(
        ("model", "name", "gap"),
        [("Yule", "phi", -1.0), ("fitness", "theta", 0.3), ("GBM", "size_slope", -0.08)],
    )
    def test_what_happens_next_is_judged_where_it_is_known(
        self, model: str, name: str, gap: float
    ) -> None:
        values = SEEN | dict.fromkeys((s.name for s in MODEL[model].judged), 0.5)
        compared = {k: replicated(v, v, 0.002) for k, v in values.items()}
        found = judge(MODEL[model], compared, {})
        assert found is not None
        assert found.outcome is Outcome.EXPLAINS
        compared[name] = replicated(0.5 + gap, 0.5, 0.002)
        found = judge(MODEL[model], compared, {})
        assert found is not None
        assert said(found) == f"contradicted by {name}"

    def test_a_wide_spread_cannot_tell(self) -> None:
        compared = {name: replicated(v, v, 0.002) for name, v in SEEN.items()}
        compared["share_zero"] = replicated(0.5, 0.5, 0.3)
        found = judge(MODEL["Yule"], compared, {})
        assert found is not None
        assert said(found) == "cannot be told: share_zero"

    def test_the_errors_of_the_data_count(self) -> None:
        compared = {name: replicated(v, v, 0.002) for name, v in SEEN.items()}
        found = judge(MODEL["Simon"], compared, {"zeta": 0.2})
        assert found is not None
        assert said(found) == "cannot be told: zeta"

    def test_nothing_to_compare_is_no_verdict(self) -> None:
        assert judge(MODEL["Yule"], {"gini": replicated(0.5, 0.5, 0.1)}, {}) is None

    def test_the_headline_table(self, fits: SizeFits) -> None:
        # Replicates that are the data but for noise explain them; others are contradicted in words.
        observed = SEEN | {"zeta": fits.tail.zeta, "zeta_oldest": fits.tail.zeta}
        rng = np.random.default_rng(3)

        def around(shift: dict[str, float]) -> tuple[dict[str, float], ...]:
            return tuple(
                {k: v + shift.get(k, 0.0) + 0.002 * rng.standard_normal()
                 for k, v in observed.items()}
                for _ in range(30)
            )  # fmt: skip

        verdicts = judge_models(
            {
                ("Simon", "likes"): around({}),
                ("Yule", "likes"): around({"zeta_oldest": 0.5, "young_in_tail": -0.3}),
            },
            {
                (model.label, variable.name): Prediction(
                    {"Simon": 1.1, "Yule": 1.2}.get(model.label),
                    {"Yule": "tuned", "CES": "not run"}.get(model.label, ""),
                )
                for model, variable in pairs()
            },
            dict.fromkeys(VARIABLES, observed),
            {"likes": {"zeta": fits.tail.std_error_clustered, "zeta_oldest": 0.01}},
        )
        of_likes = [v for v in verdicts if v.variable == LIKES]
        table = comparison_table(of_likes, {"likes": fits})
        assert table.schema == pl.Schema(COMPARISON.schema)
        by_model = {r["model"]: r for r in table.iter_rows(named=True)}
        assert by_model["Simon"]["verdict"] == (
            "explains zeta, top 1 %, size of the tail, age of the tail, zeta of the oldest"
        )
        assert by_model["Simon"]["outcome"] == "explains"
        assert by_model["Yule"]["outcome"] == "contradicted"
        assert by_model["Yule"]["reasons"] == ["young_in_tail", "zeta_oldest"]
        assert by_model["Yule"]["verdict"] == "contradicted by age of the tail, zeta of the oldest"
        assert by_model["Yule"]["evidence"].endswith("(observed / mean of 30 simulated); tuned")
        assert by_model["CES"]["verdict"] == "no prediction"
        assert by_model["CES"]["outcome"] is None
        assert by_model["CES"]["evidence"] == "could not be drawn (not run)"
        assert by_model["CES"]["simulated_zeta"] is None
        assert by_model["Simon"]["predicted_zeta"] == 1.1
        assert by_model["Simon"]["simulated_zeta"] == pytest.approx(fits.tail.zeta, abs=0.002)
        assert by_model["Simon"]["zeta"] == fits.tail.zeta

    def test_each_statistic_is_published_with_its_tests(self, fits: SizeFits) -> None:
        samples = tuple({k: v + 0.002 * i for k, v in SEEN.items()} for i in range(-5, 6))
        verdicts = judge_models(
            {("Yule", "likes"): samples},
            {(m.label, v.name): Prediction(None) for m, v in pairs()},
            dict.fromkeys(VARIABLES, SEEN),
            {"likes": {"share_zero": 0.03}},
        )
        table = verdicts_table(verdicts)
        assert table.schema == pl.Schema(VERDICTS.schema)
        assert table["statistic"].to_list() == list(SEEN)
        rows = {r["statistic"]: r for r in table.iter_rows(named=True)}
        assert (rows["zeta"]["judged"], rows["zeta"]["in_sample"]) == (False, True)
        assert rows["zeta"]["p_matches"] is None
        zeros = rows["share_zero"]
        assert (zeros["judged"], zeros["in_sample"], zeros["margin"]) == (True, False, 0.05)
        assert (zeros["observed"], zeros["std_error"]) == (0.5, 0.03)
        assert zeros["simulated_sd"] == pytest.approx(
            np.std([s["share_zero"] for s in samples], ddof=1)
        )
        joint = next(v.joint for v in verdicts if v.joint)
        alone = {a.name: (a.p_matches_alone, a.p_matches) for a in joint.agreements}
        assert alone["share_zero"] == (zeros["p_matches_alone"], zeros["p_matches"])
        assert zeros["p_matches"] >= zeros["p_matches_alone"]
