"""`baimo fit tail|zipf|index|compare`: answers of the estimators themselves, one-line refusals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.pipeline.cli.round_trip import strict
from tests.pipeline.command import baimo, refused


# Clauset, Shalizi & Newman (2009), Table 6.1, and the maintainers' fits of the plfit samples.
@pytest.mark.parametrize(
    ("name", "options", "x_min", "alpha", "n_tail"),
    [
        ("words", (), 7, 1.95, 2958),
        ("terrorism", (), 12, 2.4, 547),
        ("cities", ("--continuous",), 52_457, 2.37, 580),
        ("discrete_data", (), 2, 2.58330, 5457),
        ("continuous_data", (), 1.43628, 2.53282, 5844),
    ],
)
def test_classic_samples(
    recording: Callable[[str], Path],
    name: str,
    options: tuple[str, ...],
    x_min: float,
    alpha: float,
    n_tail: int,
) -> None:
    result = baimo("fit", "tail", recording(f"tails/{name}.txt"), "--json", *options)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["x_min"] == pytest.approx(x_min, abs=5e-6)
    digits = len(str(alpha).split(".")[1])
    assert round(answer["alpha"], digits) == pytest.approx(alpha)
    assert answer["n_tail"] == n_tail


class TestASmallSample:
    VALUES = np.array([1, 1, 1, 2, 2, 3, 4, 5, 7, 9, 12, 20, 33, 70])

    def test_the_p_value_is_printed_with_its_error(self, tmp_path: Path) -> None:
        path = tmp_path / "sample.txt"
        path.write_text("\n".join(map(str, self.VALUES)))
        first = baimo("fit", "tail", path, "--p-value", 50)
        assert first.exit_code == 0
        assert "p_value " in first.stdout
        assert "p_value_mc_error" in first.stdout
        assert baimo("fit", "tail", path, "--p-value", 50).stdout == first.stdout

    def test_zipf_prints_the_slope(self, tmp_path: Path) -> None:
        path = tmp_path / "sample.txt"
        path.write_text("\n".join(map(str, self.VALUES)))
        answer = json.loads(baimo("fit", "zipf", path, "--top", 8, "--json").stdout)
        x = np.log(np.sort(self.VALUES)[::-1][:8])
        y = np.log(np.arange(1, 9) - 0.5)
        assert answer["slope"] == pytest.approx(np.polyfit(x, y, 1)[0])
        assert answer["std_error"] == pytest.approx(-answer["slope"] * (2 / 8) ** 0.5)


class TestFits:
    """Every option reaches its estimator: the answer is that of the function itself."""

    @pytest.fixture
    def table(self, tmp_path: Path) -> tuple[Path, pl.DataFrame]:
        rng = np.random.default_rng(3)
        sizes = np.floor((1 - rng.random(1200)) ** (-1 / 1.3)).astype(np.int64)
        frame = pl.DataFrame({"size": sizes, "owner": [f"o{i % 90}" for i in range(1200)]})
        path = tmp_path / "models.parquet"
        frame.write_parquet(path)
        return path, frame

    def test_tail_with_every_option(self, table: tuple[Path, pl.DataFrame]) -> None:
        from baimo.estimation.tails.bootstrap import bootstrap_tail, goodness_of_fit
        from baimo.estimation.tails.clustered import clustered_goodness_of_fit
        from baimo.estimation.tails.power_law import fit_tail

        path, frame = table
        answer = json.loads(
            baimo(
                "fit", "tail", path, "--column", "size", "--clusters", "owner", "--x-max", 500,
                "--n-tail-min", 40, "--ks", "two-sided", "--p-value", 80, "--bootstrap", 60,
                "--seed", 5, "--json",
            ).stdout
        )  # fmt: skip
        sizes, owners = frame["size"].to_numpy(), frame["owner"].to_numpy()
        options = {"x_max": 500, "n_tail_min": 40, "ks": "two-sided"}
        fit = fit_tail(sizes, clusters=owners, **options)  # type: ignore[arg-type]
        assert answer["alpha"] == fit.alpha
        assert answer["alpha_interval"] == list(fit.interval())
        assert answer["std_error"] == fit.std_error_clustered
        assert answer["std_error_naive"] == fit.std_error
        assert answer["design_effect"] == fit.design_effect
        assert answer["n_clusters"] == fit.n_clusters
        assert answer["effective_clusters"] == fit.effective_clusters
        p = goodness_of_fit(sizes, fit, n_replications=80, seed=5)
        assert answer["p_value_independent"] == p.p_value
        known = clustered_goodness_of_fit(sizes, fit, owners, n_replications=80, seed=5)
        assert answer["p_value"] == known.p_value
        assert any(known.condition in note for note in answer["notes"])
        resampled = bootstrap_tail(sizes, fit, clusters=owners, n_replications=60, seed=5)
        interval = resampled.conf_int()["x_min"]
        assert interval is not None
        assert answer["x_min_bootstrap_interval"] == list(interval)

    def test_other_thresholds_are_told_where_x_min_was_scanned(
        self, table: tuple[Path, pl.DataFrame]
    ) -> None:
        from baimo.estimation.tails.power_law import fit_tail, tail_path
        from baimo.estimation.tails.thresholds import clustered_spread, threshold_range
        from baimo.pipeline.text import threshold_words

        path, frame = table
        command = ("fit", "tail", path, "--column", "size", "--n-tail-min", 40)
        sizes = frame["size"].to_numpy()
        near = threshold_range(tail_path(sizes, fit_tail(sizes, n_tail_min=40)))
        answer = json.loads(baimo(*command, "--json").stdout)
        assert answer["near_minimal"] == {
            "zeta": [near.zeta_lowest, near.zeta_highest],
            "x_min": [near.x_min_lowest, near.x_min_highest],
            "n_tail": [near.n_tail_lowest, near.n_tail_highest],
            "share": near.share,
        }
        shown = baimo(*command).stdout.splitlines()
        (line,) = [line for line in shown if line.startswith("near_minimal")]
        assert line.endswith(threshold_words(near))
        labelled = json.loads(baimo(*command, "--clusters", "owner", "--json").stdout)
        owners = frame["owner"].to_numpy()
        fit = fit_tail(sizes, n_tail_min=40)
        spread = clustered_spread(sizes, fit, owners, tail_path(sizes, fit))
        near = threshold_range(tail_path(sizes, fit), spread=spread)
        assert labelled["near_minimal"]["zeta"] == [near.zeta_lowest, near.zeta_highest]
        assert "near_minimal knows clusters" in labelled["notes"]
        given = baimo(*command, "--x-min", 2, "--json").stdout
        assert "near_minimal" not in given

    def test_index(self, table: tuple[Path, pl.DataFrame]) -> None:
        from baimo.estimation.tails.tail_index import fit_hill, fit_moment

        path, frame = table
        sizes = frame["size"].to_numpy()
        answer = json.loads(
            baimo("fit", "index", path, "--column", "size", "--top", 100, "--json").stdout
        )
        assert answer["estimators"]["hill"]["zeta"] == fit_hill(sizes, k=100).zeta
        assert answer["estimators"]["moment"]["zeta"] == fit_moment(sizes, k=100).zeta
        assert 0 <= answer["tests"]["zipf"]["p_value"] <= 1
        shown = baimo("fit", "index", path, "--column", "size", "--top", 100)
        assert shown.exit_code == 0
        for name in ("Hill, bias-corrected", "Pickands", "Pareto against lognormal"):
            assert name in shown.stdout

    def test_compare(self, table: tuple[Path, pl.DataFrame]) -> None:
        from baimo.estimation.tails.alternatives import compare_tail
        from baimo.estimation.tails.power_law import fit_tail

        path, frame = table
        command = ("fit", "compare", path, "--column", "size", "--p-value", 60)
        answer = json.loads(baimo(*command, "--tail-only", "--json").stdout)
        sizes = frame["size"].to_numpy()
        for found in compare_tail(sizes, fit_tail(sizes)):
            rival = answer["rivals"][found.alternative]
            assert rival["log_likelihood_ratio"] == found.log_likelihood_ratio
            assert rival["std_errors"] == found.std_errors
        levels = ("none", "weak", "moderate", "good", "with cut-off", "cannot tell")
        assert answer["support"]["level"] in levels
        shown = baimo(*command)
        assert shown.exit_code == 0
        assert "stretched exponential" in shown.stdout
        assert "lowest BIC" in shown.stdout
        assert max(len(x) for x in shown.stdout.splitlines() if not x.startswith("note")) < 140

    def test_clusters_are_in_every_test_and_the_other_p_stands_beside(
        self, table: tuple[Path, pl.DataFrame]
    ) -> None:
        from baimo.estimation.tails.alternatives import compare_tail
        from baimo.estimation.tails.clustered import clustered_goodness_of_fit
        from baimo.estimation.tails.power_law import fit_tail

        path, frame = table
        sizes, owners = frame["size"].to_numpy(), frame["owner"].to_numpy()
        fit = fit_tail(sizes, clusters=owners)
        columns = ("--column", "size", "--clusters", "owner")
        command = ("fit", "compare", path, *columns, "--p-value", 60, "--tail-only")
        answer = json.loads(baimo(*command, "--json").stdout)
        known = clustered_goodness_of_fit(sizes, fit, owners, n_replications=60)
        assert answer["p_value"] == known.p_value
        assert answer["std_error"] == fit.std_error_clustered
        for found in compare_tail(sizes, fit, clusters=owners):
            rival = answer["rivals"][found.alternative]
            assert rival["vuong"] == found.vuong
            assert rival["p_independent"] == found.p_independent
            assert rival["effective_clusters"] == found.effective_clusters
        shown = baimo(*command).stdout
        assert f"with {known.effective_clusters:.3g} effective clusters" in shown
        assert "Vuong ind." in shown
        tail = baimo("fit", "tail", path, *columns, "--p-value", 60).stdout
        assert f"{fit.effective_clusters:.3g} of {fit.n_clusters}" in tail
        assert "n_clusters" not in tail
        assert tail.index("p_value ") < tail.index("p_value_independent ")
        index = baimo("fit", "index", path, *columns, "--top", 100).stdout
        assert "p independent" in index
        assert "naive" in index

    def test_zipf_takes_one_cut_off(self, table: tuple[Path, pl.DataFrame]) -> None:
        path, _ = table
        for options in ((), ("--top", 50, "--share", 0.1)):
            line = refused(baimo("fit", "zipf", path, "--column", "size", *options))
            assert "--top K or --share S" in line


class TestWhatItSays:
    """Output for a reader: nothing claimed beyond the data, and JSON that any parser takes."""

    @pytest.fixture
    def ties(self, tmp_path: Path) -> Path:
        """Return whole numbers, two thirds of them 1."""
        sizes = np.floor((1 - np.random.default_rng(1).random(1500)) ** (-1 / 1.6))
        path = tmp_path / "ties.txt"
        path.write_text("\n".join(f"{x:.0f}" for x in sizes))
        return path

    def test_a_density_on_ties_is_never_the_best(self, ties: Path) -> None:
        command = ("fit", "compare", ties, "--continuous", "--p-value", 20)
        shown = baimo(*command)
        assert shown.exit_code == 0
        assert "lowest BIC" not in shown.stdout
        assert "a density has no such ties" in shown.stdout
        assert shown.stderr == ""
        models = strict(baimo(*command, "--json"))["whole_sample"]
        assert not any(m["converged"] for m in models.values())
        # beta is infinite there: null, and a note that says so
        dpln = models["double_pareto_lognormal"]
        assert dpln["parameters"]["beta"] is None
        assert any("beta is at its limit inf" in note for note in dpln["notes"])

    @pytest.mark.parametrize(
        ("largest", "discrete", "note"),
        [
            (2**53, True, "fitted as counts"),
            (2**53 + 1, False, "beyond 2^53, where counts are not exact: fitted as sizes"),
            (2**63 + 1, False, "beyond 2^53"),
            (10**20 - 1, False, "beyond 2^53"),
            ("1e300", False, "beyond 2^53"),
            (2.5, False, "not all whole numbers: fitted as sizes"),
        ],
    )
    def test_whole_numbers_beyond_exact_floats(
        self, tmp_path: Path, largest: object, discrete: bool, note: str
    ) -> None:
        path = tmp_path / "x.txt"
        path.write_text(f"1\n1\n2\n3\n7\n{largest}\n")
        answer = strict(baimo("fit", "tail", path, "--x-min", 1, "--json"))
        assert answer["discrete"] is discrete
        assert note in answer["notes"][-1]
        if not discrete:
            line = refused(baimo("fit", "tail", path, "--discrete"))
            assert "continuous sizes" in line

    def test_p_from_few_replications(self, ties: Path) -> None:
        # 20 replications cannot tell .05 from .15: the exact interval of 1 in 20 holds .1
        answer = strict(baimo("fit", "tail", ties, "--p-value", 20, "--json"))
        low, high = answer["p_value_mc_interval"]
        assert low <= answer["p_value"] <= high
        open_ = low <= 0.1 <= high
        assert (answer["rejected"] is None) is open_
        body = "\n".join(["3"] * 400 + ["4"] * 30 + ["9"] * 300)
        ties.write_text(body)
        shown = baimo("fit", "tail", ties, "--x-min", 3, "--p-value", 10).stdout
        assert "p_value                                <0.1" in shown
        assert "cannot tell at this number of replications" in shown

    def test_huge_numbers_stay_narrow(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        body = np.exp(np.random.default_rng(3).exponential(1.0, 400))
        path.write_text("\n".join(f"{x!r}" for x in [*body.tolist(), 1e250, 1e300]))
        shown = baimo("fit", "compare", path, "--p-value", 20)
        assert shown.exit_code == 0
        assert shown.stderr == ""
        assert max(len(x) for x in shown.stdout.splitlines() if not x.startswith("note")) < 160

    def test_a_count_is_printed_in_full(self, tmp_path: Path) -> None:
        path = tmp_path / "x.txt"
        path.write_text("\n".join(map(str, [1036650, 1036650, 1500000, 2000000, 9000000])))
        assert "1,036,650" in baimo("fit", "tail", path, "--x-min", 1036650).stdout


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("tail", "--seed", 3), "give --p-value N or --bootstrap N"),
            (("tail", "--stop-early"), "give --p-value N too"),
            (("index", "--top", 5, "--seed", 3), "leave out --top"),
            (("tail", "--x-min", 2, "--bootstrap", 5), "leave x_min out"),
        ],
    )
    def test_options_without_what_they_act_on(
        self, tmp_path: Path, options: tuple[object, ...], message: str
    ) -> None:
        path = tmp_path / "sample.txt"
        path.write_text("\n".join(map(str, range(1, 40))))
        line = refused(baimo("fit", options[0], path, *options[1:]))
        assert message in line
        assert "conf_int" not in line

    def test_one_cluster(self, tmp_path: Path) -> None:
        pl.DataFrame({"n": [1, 2, 3, 5, 9], "a": ["k"] * 5}).write_csv(tmp_path / "x.csv")
        for command in (("tail",), ("tail", "--bootstrap", 5), ("zipf", "--top", 4)):
            options = ("--column", "n", "--clusters", "a", *command[1:])
            line = refused(baimo("fit", command[0], tmp_path / "x.csv", *options))
            assert "in one cluster" in line

    def test_fractions_given_as_counts(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_text("1.5\n2\n3\n")
        line = refused(baimo("fit", "tail", tmp_path / "x.txt", "--discrete"))
        assert "continuous" in line
