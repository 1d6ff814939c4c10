"""Tails of the years before the Hub's first date: known exponents, and the bundled ones."""

import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.before_floor import (
    YEARS,
    fit_before_floor,
)
from baimo.pipeline.schema.derived import HUB_BEFORE_FLOOR
from baimo.pipeline.sources.reference import load_companions

X_MIN = {"downloads": 20.0, "likes": 1.0}


def made(zeta: float, year: int, n: int, seed: int) -> pl.DataFrame:
    """Return models of a year with a Pareto of downloads and few likes, three of each author."""
    rng = np.random.default_rng(seed)
    sizes = np.floor(10.0 * (1.0 - rng.random(n)) ** (-1.0 / zeta)).astype(np.int64)
    return pl.DataFrame(
        {"made_in": year, "author": np.arange(n) // 3, "downloads": sizes, "likes": 1,
         "n_models": 1},
        schema=HUB_BEFORE_FLOOR.schema,
    )  # fmt: skip


def test_each_year_has_its_own_exponent() -> None:
    table = pl.concat([made(0.7, 2019, 3_000, 1), made(1.2, 2021, 3_000, 2)])
    found = fit_before_floor(table, X_MIN)["downloads"]
    assert set(found) == {"until_2020", "2021"}  # nothing of 2022, and likes have no tail
    for cohort, zeta in (("until_2020", 0.7), ("2021", 1.2)):
        fit = found[cohort]
        assert fit.x_min == 20.0
        assert abs(fit.zeta - zeta) < 4 * fit.std_error_clustered
        assert fit.notes[-1] == "3,000 models of 1,000 authors"


def test_authors_make_the_errors() -> None:
    table = made(0.7, 2020, 900, 3)
    copies = pl.concat([table] * 4)  # the same models again under the same authors
    one, four = (fit_before_floor(t, X_MIN)["downloads"]["until_2020"] for t in (table, copies))
    assert four.std_error == pytest.approx(one.std_error / 2, rel=1e-6)
    # copies tell nothing new: a design effect of four times that of 300 authors, about one, and
    # the error of leaving out one author is what it was
    assert four.design_effect == pytest.approx(4.0, rel=4 * (2 / 300) ** 0.5)
    assert four.std_error_clustered == four.cluster_error
    assert four.cluster_error == pytest.approx(one.cluster_error, rel=1e-9)


def test_of_the_bundled_day() -> None:
    """Renamed models found, the years until 2020 have heavier tails than by the names alone."""
    table = load_companions()["hub_before_floor"]
    found = fit_before_floor(table, {"downloads": 9_326.0, "likes": 23.0})
    rounded = {
        name: {
            cohort: (f.n_tail, round(f.zeta, 2), round(f.std_error_clustered, 2))
            for cohort, f in by_year.items()
        }
        for name, by_year in found.items()
    }
    assert rounded == {
        "downloads": {
            "until_2020": (299, 0.42, 0.03), "2021": (366, 0.44, 0.03), "2022": (69, 0.49, 0.06)
        },
        "likes": {
            "until_2020": (189, 0.85, 0.08), "2021": (294, 1.12, 0.09), "2022": (46, 1.30, 0.25)
        },
    }  # fmt: skip
    assert list(YEARS) == list(rounded["likes"])
    # 2019 and 2020 alone, without the seven of 2018
    later = table.filter(pl.col("made_in").is_in([2019, 2020]))
    sizes = np.repeat(later["downloads"].to_numpy(), later["n_models"].to_numpy())
    assert fit_tail(sizes, x_min=9_326.0).zeta == pytest.approx(0.44, abs=0.005)
