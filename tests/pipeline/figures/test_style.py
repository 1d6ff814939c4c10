"""Figures become SVG whose ids are of one figure alone, and pictures of the same bytes twice."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.figure import Figure

from baimo.pipeline.figures.style import STYLE, to_png, to_svg

XLINK = "{http://www.w3.org/1999/xlink}href"
NAMES = {"point-1": 'the "first" <model>', "point-2": "the second"}


def drawn() -> Figure:
    """Return a figure with two named points and something that is clipped."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.plot([1, 2, 3], [4, 6, 5], ".")
        for i, handle in enumerate(NAMES):
            axes.plot(i + 1, 4 + i, "o", gid=handle)
        axes.set_xlabel("items")
    return figure


def parsed(svg: str) -> ElementTree.Element:
    """Return the SVG as XML; a page in HTML declares the namespace of links by itself."""
    declared = svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
    return ElementTree.fromstring(declared if "xmlns:xlink" not in svg else svg)


def ids_and_references(svg: str) -> tuple[list[str], set[str]]:
    nodes = list(parsed(svg).iter())
    ids = [node.attrib["id"] for node in nodes if "id" in node.attrib]
    links = {node.attrib[XLINK].removeprefix("#") for node in nodes if XLINK in node.attrib}
    return ids, links | set(re.findall(r"url\(#([^)]+)\)", svg))


def test_every_id_occurs_once_and_every_reference_is_there() -> None:
    ids, references = ids_and_references(to_svg(drawn(), "likes: rank & size", NAMES))
    assert len(ids) == len(set(ids)) > 10
    assert references
    assert references <= set(ids)


def test_two_figures_in_one_page_share_no_id() -> None:
    one, other = (ids_and_references(to_svg(drawn(), title, {}))[0] for title in ("one", "other"))
    assert not set(one) & set(other)
    assert len(one) == len(other)


def test_a_named_point_keeps_its_id_and_shows_its_name() -> None:
    nodes = [n for n in parsed(to_svg(drawn(), "t", NAMES)).iter() if "data-name" in n.attrib]
    assert {n.attrib["id"]: n.attrib["data-name"] for n in nodes} == NAMES
    assert all(n.attrib["class"] == "named" and n.attrib["tabindex"] == "0" for n in nodes)


def test_it_scales_with_the_page_and_says_what_it_shows() -> None:
    root = parsed(to_svg(drawn(), 'rank "of" <likes>', {}))
    assert "width" not in root.attrib
    assert "height" not in root.attrib
    assert root.attrib["viewBox"].startswith("0 0 216 ")
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'rank "of" <likes>'


def test_words_stay_words_and_nothing_tells_when_it_was_drawn() -> None:
    svg = to_svg(drawn(), "t", {})
    assert svg.startswith("<svg ")
    assert ">items</text>" in svg
    assert "<metadata" not in svg


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_figure_has_the_same_bytes(kind: str) -> None:
    def made() -> object:
        return to_svg(drawn(), "t", NAMES) if kind == "svg" else to_png(drawn())

    assert made() == made()


def test_a_png_has_the_size_of_the_figure() -> None:
    png = to_png(drawn())
    assert png.startswith(b"\x89PNG\r\n")
    assert [int.from_bytes(png[i : i + 4], "big") for i in (16, 20)] == [240, 160]  # 80 an inch
    assert b"Software" not in png
