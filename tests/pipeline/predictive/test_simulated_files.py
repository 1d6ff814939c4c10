"""Parameters come from defaults, a file and settings, in that order; rows are written whole."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.estimation.distributions.fit import compare_whole_sample
from baimo.estimation.results import plain
from baimo.pipeline.errors import LakeError, SourceError
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import FileModel
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import CALIBRATIONS, FILE_MODELS
from baimo.pipeline.predictive.simulated_files import (
    choose_parameters,
    find_model,
    read_parameters,
    write_simulated,
)
from tests.pipeline.synthetic import results_of_a_day


def no_rows(values: object, n: int, rng: np.random.Generator) -> pl.DataFrame:
    raise AssertionError("nothing is drawn here")


TOY = FileModel(
    name="toy",
    order=1,
    prefix="pre",
    defaults={"a": 1.0, "b": 2.0, "c": math.inf},
    meaning={},
    refit="",
    sample=no_rows,
    also_called={"b": ("beta", "old_b")},
)


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


class TestNames:
    @pytest.mark.parametrize("name", FILE_MODELS)
    def test_a_model_is_found_by_each_of_its_names(self, name: str) -> None:
        model = FILE_MODELS[name]
        assert all(find_model(word) is model for word in (name, *model.aliases))

    def test_an_unknown_name_is_refused_with_those_that_there_are(self) -> None:
        with pytest.raises(SourceError, match="no model is called 'nope'; there are simon, yule"):
            find_model("nope")


class TestRead:
    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ({"a": 1, "b": 2.5}, {"a": 1.0, "b": 2.5}),
            ({"a": 1, "b": None, "c": True, "d": "5", "e": [1]}, {"a": 1.0}),
            ({"parameters": [{"name": "a", "value": 1}, {"name": "b", "value": None}, 7]},
             {"a": 1.0}),
            ({"parameters": {"a": -3}, "other": 1}, {"a": -3.0}),
            ([{"name": "a", "value": 4}, {"value": 5}, {"name": 6, "value": 7}], {"a": 4.0}),
            ('{"a": 1, "b": NaN, "c": Infinity, "d": 1e301}', {"a": 1.0}),
        ],
    )  # fmt: skip
    def test_numbers_by_name_are_taken_and_nothing_else(
        self, content: object, found: dict[str, float], tmp_path: Path
    ) -> None:
        assert read_parameters(written(tmp_path / "p.json", content)) == found

    def test_the_best_law_of_a_comparison_that_has_a_size_at_birth_is_taken(
        self, tmp_path: Path
    ) -> None:
        sizes = np.random.default_rng(1).lognormal(1.0, 1.0, 500).round()
        found = compare_whole_sample(sizes, discrete=True)
        laws = {law.model: {"parameters": law.parameters} for law in found.fits}
        assert next(iter(laws)) == found.fits[0].model
        given = {"alpha": 9.0, "whole_sample": {"none": {"parameters": {"mean": 3.0}}, **laws}}
        best = next(law for law in found.fits if {"mu", "sigma"} <= law.parameters.keys())
        read = read_parameters(written(tmp_path / "c.json", plain(given)))
        assert read == {k: v for k, v in best.parameters.items() if math.isfinite(v)}
        # without such a law the numbers around it are what there is
        other = {"mu": 2.0, "whole_sample": {"negative_binomial": {"parameters": {"mean": 3.0}}}}
        assert read_parameters(written(tmp_path / "d.json", other)) == {"mu": 2.0}

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("{", "cannot be read as JSON"),
            ({}, "holds no parameter by name"),
            ([1, 2], "holds no parameter by name"),
            ("7", "holds no parameter by name"),
            ({"parameters": []}, "holds no parameter by name"),
            ({"a": None}, "holds no parameter by name"),
        ],
    )
    def test_what_holds_no_numbers_is_refused_by_its_path(
        self, content: object, why: str, tmp_path: Path
    ) -> None:
        path = written(tmp_path / "p.json", content)
        with pytest.raises(SourceError, match=why) as refused:
            read_parameters(path)
        assert str(refused.value).startswith(str(path))

    def test_a_file_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"none\.json: cannot be read"):
            read_parameters(tmp_path / "none.json")


class TestChoose:
    @pytest.mark.parametrize(
        ("files", "settings", "changed"),
        [
            ({}, (), {}),
            ({"a": 5.0}, (), {"a": 5.0}),
            ({"pre_a": 6.0, "a": 5.0}, (), {"a": 6.0}),  # the exported name comes first
            ({"old_b": 7.0, "else": 1.0}, (), {"b": 7.0}),
            ({"beta": 8.0, "old_b": 7.0}, (), {"b": 8.0}),
            ({"a": 5.0, "b": 3.0}, ("a=9",), {"a": 9.0, "b": 3.0}),  # settings come last
            ({}, ("pre_a = 4e0", " beta =-1"), {"a": 4.0, "b": -1.0}),
            ({}, ("a=1.5", "a=2.5"), {"a": 2.5}),
            ({}, ("c=inf",), {"c": math.inf}),
            ({}, ("a=1",), {"a": 1.0}),  # the default, said aloud
        ],
    )
    def test_settings_come_before_the_file_and_the_file_before_defaults(
        self, files: dict[str, float], settings: tuple[str, ...], changed: dict[str, float]
    ) -> None:
        values, taken = choose_parameters(TOY, files, settings)
        assert values == {"a": 1.0, "b": 2.0, "c": math.inf, **changed}
        assert taken == sorted(changed)
        assert TOY.defaults == {"a": 1.0, "b": 2.0, "c": math.inf}

    @pytest.mark.parametrize(
        ("files", "settings", "why"),
        [
            ({"other": 1.0}, (), "the file has no parameter of toy: a, b, c, with or without pre_"),
            ({}, ("a",), "--set a: write name=number"),
            ({}, ("a=",), "--set a=: write name=number"),
            ({}, ("a=much",), "--set a=much: write name=number"),
            ({}, ("a=nan",), "--set a=nan: write name=number"),
            ({}, ("a=inf",), "--set a=inf: give a finite number"),
            ({}, ("a=1e999",), "--set a=1e999: give a finite number"),
            ({}, ("d=1",), "toy has no parameter 'd'; it has a, b, c"),
            ({}, ("=1",), "toy has no parameter ''; it has a, b, c"),
        ],
    )
    def test_what_is_no_setting_of_the_model_is_refused(
        self, files: dict[str, float], settings: tuple[str, ...], why: str
    ) -> None:
        with pytest.raises(SourceError) as refused:
            choose_parameters(TOY, files, settings)
        assert str(refused.value) == why

    @pytest.mark.parametrize("model", FILE_MODELS.values(), ids=lambda m: m.name)
    def test_no_two_parameters_share_a_spelling(self, model: FileModel) -> None:
        also = model.also_called or {}
        assert also.keys() <= model.defaults.keys()
        for parameter in model.defaults:
            for spelled in (f"{model.prefix}_{parameter}", parameter, *also.get(parameter, ())):
                values, taken = choose_parameters(model, {spelled: 0.125}, ())
                assert (values[parameter], taken) == (0.125, [parameter])
                assert choose_parameters(model, {}, (f"{spelled}=0.125",)) == (values, taken)

    def test_what_a_run_exports_is_what_is_simulated(self, tmp_path: Path) -> None:
        results: dict[str, Any] = {k.name: v for k, v in results_of_a_day().items()}
        rows = [
            {"name": row["name"], "value": row["value"]}
            for c in CALIBRATIONS
            if c.stored.name in results
            for row in c.parameters(results[c.stored.name])
        ]
        files = read_parameters(written(tmp_path / "parameters.json", {"parameters": rows}))
        attachment = results[ATTACHMENT_FIT.name]
        rates, demand = results[RATES_FIT.name]["likes"], results[DEMAND_FIT.name]["downloads"]
        expected: dict[str, dict[str, float]] = {
            "simon": {"simon_p": attachment.simon_likes.p},
            "yule": {
                "gamma": attachment.yule_likes.gamma,
                "a": attachment.yule_likes.a,
                "entry_growth_plus_exit": attachment.entry.rate,
            },
            "ces": {"alpha": demand.params().alpha, "rho": demand.params().rho},
            "fitness": {"mu": rates.mu, "sigma": rates.sigma, "phi": rates.phi},
        }
        for name, chosen in expected.items():
            values, taken = choose_parameters(FILE_MODELS[name], files, ())
            assert {p: values[p] for p in chosen} == pytest.approx(chosen, rel=1e-12), name
            assert set(taken) >= chosen.keys(), name


class TestWrite:
    FRAME = pl.DataFrame({"likes": [0, 3, 7], "age": [0.5, 1.25, math.pi]})

    @pytest.mark.parametrize("name", ["rows.csv", "ROWS.CSV", "rows.parquet", "rows.pq"])
    def test_rows_come_back_as_they_were(self, name: str, tmp_path: Path) -> None:
        path = tmp_path / name
        write_simulated(self.FRAME, path)
        read = pl.read_csv if path.suffix.lower() == ".csv" else pl.read_parquet
        assert read(path).equals(self.FRAME)
        write_simulated(self.FRAME[:1], path)  # another takes its place
        assert read(path).equals(self.FRAME[:1])
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["rows", "rows.txt", "rows.csv.gz"])
    def test_another_kind_of_file_is_refused_and_not_written(
        self, name: str, tmp_path: Path
    ) -> None:
        with pytest.raises(SourceError, match=r"give a name that ends in \.csv or \.parquet"):
            write_simulated(self.FRAME, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_write_that_fails_leaves_what_was_there(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        write_simulated(self.FRAME, path)
        nested = pl.DataFrame({"a": [[1, 2]]})  # no CSV holds lists
        with pytest.raises(LakeError, match="nothing was changed"):
            write_simulated(nested, path)
        assert pl.read_csv(path).equals(self.FRAME)
        assert list(tmp_path.iterdir()) == [path]
