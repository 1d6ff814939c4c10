"""The report: one file that asks for nothing, every figure with its table, every number a fit's."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import AUDIT, Kind
from baimo.pipeline.models.registry import pairs
from baimo.pipeline.predictive.simulate import in_overview, read_simulations
from baimo.pipeline.report import tables
from baimo.pipeline.report.needs import NEEDS
from baimo.pipeline.report.page import overview, render_report
from baimo.pipeline.report.references import CITATION, references
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, VERDICTS
from baimo.pipeline.variables import VARIABLES
from tests.pipeline.report.measured import STATED, measured_day, values


class Tags(HTMLParser):
    """Ids, links and cells of a page, and its tags that were not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: dict[str, str] = {}
        self.cells: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.append(found["id"])
        self.links += [found[n] for n in ("src", "href", "xlink:href", "data") if n in found]
        if "data-name" in found:
            self.names[found["id"]] = found["data-name"]
        if tag == "td":
            self.cells.append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    path = render_report(folder, measured_day().only(NEEDS), STATED)
    assert path == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    return (out / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def tags(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    return found


def words(page: str) -> str:
    """Return what is read of a page, pictures left out."""
    return re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)


def test_it_asks_for_nothing_from_outside_and_no_id_comes_twice(page: str, tags: Tags) -> None:
    assert tags.links
    assert all(link.startswith("#") for link in tags.links)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(tags.ids) == len(set(tags.ids)) > 100


def test_it_shows_every_part_and_four_figures_a_size(page: str, tags: Tags) -> None:
    for part in ("headline", "mechanisms", "others", "audit", "calibration", "distrust"):
        assert part in tags.ids
    assert page.count("<svg ") == 1 + 4 * len(VARIABLES) + 2  # overview, cohorts, kernel
    assert "nan" not in words(page).lower().split()


def test_every_claim_stands_there_with_verdict_criterion_and_evidence(page: str) -> None:
    tested = values()[AUDIT]
    assert page.count('class="claim"') == len(tested)
    assert tables.lead(tested) in page
    n_algebra = sum(claim.kind is Kind.ALGEBRA for claim in tested)
    assert page.count("; algebra, not measured)") == n_algebra == 3
    for claim in tested:
        for text in (claim.text, claim.where, claim.evidence, claim.statistic, claim.criterion):
            assert str(escape(text)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page


def test_cells_are_those_of_the_tables(tags: Tags) -> None:
    cells = " | ".join(tags.cells)
    fits = {name: values()[stored] for name, stored in TAILS.items()}
    for rows in (
        tables.table_rows(values()[COMPARISON]),
        tables.tail_rows(fits),
        tables.mechanism_rows(values()[COMPARISON]),
        tables.calibration_rows(measured_day()),
        *(tables.slope_rows(fit) for fit in fits.values()),
    ):
        assert len(rows) > 1
        for row in rows:
            assert " | ".join(row) in cells


def test_the_largest_are_named_on_hover_in_text(tags: Tags, page: str) -> None:
    assert tags.names["rank-likes-1"] == "1. a/<largest>: 900 likes"
    assert tags.names["ccdf-likes-2"] == "2. b/next: 800 likes"
    assert "a/<largest>" not in page


def test_it_lists_the_works_that_it_cites_and_no_others(page: str, tags: Tags) -> None:
    body, listed = page.split('<h2 id="references">')
    found = set(CITATION.findall(body))
    assert {"ClausetEtAl2009", "Ruan2024", "Vuong1989", "ZhangZhang2025"} <= found
    assert re.findall(r'<li id="(\w+)">', listed) == sorted(found)
    for key in found:
        assert f'<a href="#{key}">[{key}]</a>' in body
        assert str(escape(references()[key].text(), quote=False)) in listed


def test_it_says_what_went_in(page: str) -> None:
    for text in ("models.parquet", "7,000", "Quarantined in hub_models: 3 rows",
                 "likes is below 0: 3", "old.parquet", "Seed 1, 3 simulated samples",
                 "left empty: author"):  # fmt: skip
        assert text in page


def test_the_overview_beside_it_is_the_one_in_it(out: Path, page: str) -> None:
    assert (out / "overview.svg").read_text("utf-8") in page


def test_the_overview_shows_each_size_with_the_models_that_belong_there() -> None:
    day = measured_day()
    figure = overview(day, read_simulations(day))
    for axes, variable in zip(figure.axes, VARIABLES.values(), strict=True):
        assert axes.get_title(loc="left").startswith(variable.title)
        labels = {str(line.get_label()) for line in axes.get_lines()}
        expected = {m.label for m, v in pairs() if v is variable and m.label in in_overview()}
        assert labels >= expected
        assert not labels & ({m.label for m, _ in pairs()} - in_overview())


def test_every_figure_has_its_table(out: Path) -> None:
    found = {path.stem: pl.read_parquet(path) for path in (out / "tables").iterdir()}
    for table in (COMPARISON, VERDICTS, CLAIMS, CLAIM_NUMBERS):
        assert found[table.name].equals(values()[table])
    for name, stored in TAILS.items():
        counts = values()[stored].counts
        frequency = found[f"{name}_frequency"]
        assert frequency["value"].to_list() == counts.values.tolist()
        assert frequency["n_items"].to_list() == counts.multiplicities.tolist()
    assert found["simulated"].equals(read_simulations(measured_day()))
    for name in ("likes_predicted_simon", "tvl_predicted_gbm"):
        assert found[name].columns == ["value", "ccdf"]
        assert found[name]["ccdf"].is_between(0, 1).all()


def test_the_table_of_slopes_holds_every_regression(out: Path) -> None:
    zipf = pl.read_parquet(out / "tables" / "zipf.parquet")
    lines = [
        (name, label, line.k, line.slope, line.intercept)
        for name, stored in TAILS.items()
        for label, line in values()[stored].zipf.items()
    ]
    assert zipf.select("measure", "cutoff", "k", "slope", "intercept").rows() == lines
