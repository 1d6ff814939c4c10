"""Columns of a stranger's file: every format is one sample, what is odd is named with its row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.cli.fit.read_columns import FileTable, read_sample, read_table
from baimo.pipeline.errors import SourceError
from tests.pipeline.cli.round_trip import strict
from tests.pipeline.command import baimo, refused

VALUES = np.array([1, 1, 1, 2, 2, 3, 4, 5, 7, 9, 12, 20, 33, 70])


@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv", "parquet", "json", "jsonl"])
def test_every_format_gives_the_same_fit(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"n": VALUES, "label": ["x"] * VALUES.size})
    path = tmp_path / f"sample.{suffix}"
    if suffix == "txt":
        path.write_text("\n".join(map(str, VALUES)) + "\n\n")
    elif suffix == "csv":
        frame.write_csv(path)
    elif suffix == "tsv":
        frame.write_csv(path, separator="\t")
    elif suffix == "parquet":
        frame.write_parquet(path)
    elif suffix == "json":
        path.write_text(json.dumps(VALUES.tolist()))
    else:
        frame.write_ndjson(path)
    answer = json.loads(baimo("fit", "tail", path, "--json").stdout)
    from baimo.estimation.tails.power_law import fit_tail

    fit = fit_tail(VALUES)
    assert answer["alpha"] == fit.alpha
    assert answer["x_min"] == fit.x_min
    assert answer["discrete"] is True


@pytest.mark.parametrize(
    "text", ["\ufeff1\n2\n7\n7\n", '"1"\n"2"\n"7"\n"7"\n', "1\n2\n7\n7\n\n\n"],
    ids=["byte order mark", "quoted", "blank end"],
)  # fmt: skip
def test_the_first_number_is_no_header(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(text, encoding="utf-8")
    answer = json.loads(baimo("fit", "tail", path, "--json").stdout)
    assert answer["n_obs"] == 4


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, pl.DataFrame]:
    rng = np.random.default_rng(3)
    sizes = np.floor((1 - rng.random(1200)) ** (-1 / 1.3)).astype(np.int64)
    frame = pl.DataFrame({"size": sizes, "owner": [f"o{i % 90}" for i in range(1200)]})
    path = tmp_path / "models.parquet"
    frame.write_parquet(path)
    return path, frame


def test_a_frequency_table(table: tuple[Path, pl.DataFrame], tmp_path: Path) -> None:
    path, frame = table
    counted = tmp_path / "counted.csv"
    frame.group_by("size").len("times").write_csv(counted)
    plain = baimo("fit", "tail", path, "--column", "size", "--json")
    weighed = baimo("fit", "tail", counted, "--weights", "times", "--json")
    assert json.loads(plain.stdout) == json.loads(weighed.stdout)


def test_clusters_and_weights_exclude_each_other(table: tuple[Path, pl.DataFrame]) -> None:
    path, _ = table
    line = refused(
        baimo("fit", "tail", path, "--column", "size", "--weights", "size", "--clusters", "owner")
    )
    assert "no clusters" in line


def test_missing_labels(table: tuple[Path, pl.DataFrame], tmp_path: Path) -> None:
    _, frame = table
    path = tmp_path / "gaps.parquet"
    owner = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise("owner")
    frame.with_columns(owner=owner).write_parquet(path)
    line = refused(baimo("fit", "tail", path, "--column", "size", "--clusters", "owner"))
    assert "1 of 1200 labels" in line


def test_standard_input() -> None:
    text = "\n".join(map(str, VALUES))
    result = baimo("fit", "tail", "-", "--json", text=text)
    assert strict(result)["n_obs"] == VALUES.size
    for wrong in ("", "1 2 3\n", "1\nx\n"):
        line = refused(baimo("fit", "tail", "-", text=wrong))
        assert "standard input" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("0\n0\n0\n", "all values are zero"),
        ("5\n", "two distinct values"),
        ("5\n5\n5\n", "all 3 positive values equal 5"),
        (
            "1\n-2\n3\n",
            "1 of 3 values of 'value' are negative, a size cannot be; the first is -2 in row 2",
        ),
        ("1\nnan\n3\n", "are NaN or infinite; the first is nan in row 2"),
        ("1\ninf\n3\n", "NaN or infinite"),
        ("v\n1\nfoo\n3\n", "first other value is 'foo' in row 2"),
        ("v\n1\n\n3\n", "1 of 3 values of 'v' are missing, the first in row 2"),
        ("1\n\n3\n", "1 of 3 values of 'value' are missing"),
        ("x,y\n1,2\n3,4\n", "choose one with --column: x, y"),
        ("1 2 3\n4 5 6\n", "numbers separated by blanks"),
    ],
    ids=[
        "empty",
        "zeros",
        "one",
        "equal",
        "negative",
        "nan",
        "inf",
        "text",
        "gap",
        "hole",
        "two",
        "blanks",
    ],
)
def test_bad_numbers(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(content)
    assert message in refused(baimo("fit", "tail", path))


@pytest.mark.parametrize(("name", "text"), [("x.json", "[]"), ("x.jsonl", "\n\n")])
def test_empty_records(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert "holds no rows; give" in refused(baimo("fit", "tail", tmp_path / name))


def test_missing_file_and_column(tmp_path: Path) -> None:
    assert "no such file" in refused(baimo("fit", "tail", tmp_path / "none.csv"))
    path = tmp_path / "sample.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    line = refused(baimo("fit", "zipf", path, "--column", "c", "--top", 2))
    assert "no column 'c'; it has a, b" in line


@pytest.mark.parametrize("name", ["x.parquet", "x.json", "x.jsonl"])
def test_rubbish_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\xff rubbish {")
    assert "cannot be read" in refused(baimo("fit", "tail", tmp_path / name))


@pytest.mark.parametrize("blank", ["", "NA", "null", " "])
def test_a_blank_label_is_a_label_of_its_own(blank: str, tmp_path: Path) -> None:
    pl.DataFrame({"f": ["a", blank, "b", blank, "a"], "x": range(5)}).write_csv(
        tmp_path / "f.csv", quote_style="always"
    )
    labels = read_table(tmp_path / "f.csv").labels("f")
    assert labels[0] == labels[4]
    assert len(set(labels.tolist())) == 4


class TestSample:
    """One column, with weights or labels beside it."""

    def test_the_only_column_of_numbers_is_taken(self, tmp_path: Path) -> None:
        pl.DataFrame({"name": ["a", "b", "c"], "n": [3, 1, 2]}).write_csv(tmp_path / "x.csv")
        found = read_sample(tmp_path / "x.csv", None)
        assert found.sizes.tolist() == [3, 1, 2]
        assert found.labels is None
        assert found.counts.values.tolist() == [1, 2, 3]

    def test_weights_compress_and_labels_stay_beside_their_items(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"n": [5, 2, 5], "times": [1, 4, 2], "who": ["x", "y", "x"]})
        frame.write_parquet(tmp_path / "x.parquet")
        weighed = read_sample(tmp_path / "x.parquet", "n", weights="times")
        assert weighed.counts.values.tolist() == [2, 5]
        assert weighed.counts.multiplicities.tolist() == [4, 3]
        labelled = read_sample(tmp_path / "x.parquet", "n", clusters="who")
        assert labelled.sizes.tolist() == [5, 2, 5]
        assert labelled.labels is not None
        assert labelled.labels[0] == labelled.labels[2] != labelled.labels[1]

    def test_counts_beyond_exact_floats_do_not_pass_for_exact(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_text(f"1\n{2**53 + 1}\n")
        found = read_sample(tmp_path / "x.txt", None)
        assert not found.counts.is_integer
        (tmp_path / "x.txt").write_text(f"1\n{2**53}\n")
        assert read_sample(tmp_path / "x.txt", None).counts.is_integer


class TestTable:
    """Columns by name, side by side."""

    def table(self, path: Path, **columns: list[object]) -> FileTable:
        pl.DataFrame(columns).write_parquet(path / "t.parquet")
        return read_table(path / "t.parquet")

    def test_missing_numbers_are_refused_or_nan(self, tmp_path: Path) -> None:
        found = self.table(tmp_path, x=["1.5", "", "na", "4"])
        assert found.numbers("x", missing=True).tolist()[::3] == [1.5, 4.0]
        assert np.isnan(found.numbers("x", missing=True)[1:3]).all()
        with pytest.raises(SourceError, match="the first other value is '' in row 2"):
            found.numbers("x")

    def test_no_number_is_infinite(self, tmp_path: Path) -> None:
        found = self.table(tmp_path, x=[1.0, float("inf")])
        for missing in (False, True):
            with pytest.raises(SourceError, match=r"1 values of 'x' are no finite .* row 2"):
                found.numbers("x", missing=missing)

    def test_labels_are_codes_and_each_missing_one_its_own(self, tmp_path: Path) -> None:
        codes = self.table(tmp_path, who=["b", None, "a", None, "b"]).labels("who").tolist()
        assert codes[0] == codes[4]
        assert len(set(codes)) == 4

    def test_dates_are_years_apart(self, tmp_path: Path) -> None:
        texts: list[object] = ["2024-01-01", "2025-01-01", "2024-01-01"]
        found = self.table(tmp_path, day=texts, when=[2024, 2025, 2024], t=["0", "1", "0"])
        for name, year in (("day", 366 / 365.25), ("when", 1.0), ("t", 1.0)):
            years = found.dates(name)
            assert np.diff(years).tolist() == pytest.approx([year, -year])

    def test_a_file_without_rows_holds_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b\n")
        with pytest.raises(SourceError, match="holds no rows"):
            read_table(tmp_path / "x.csv")

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is a folder; give a file"):
            read_table(tmp_path)
