"""The bibliography: complete, used, of one form; citations lead to it and to nothing else."""

from __future__ import annotations

import re
import unicodedata

import pytest

from baimo.pipeline.report.references import (
    CITATION,
    Reference,
    cited,
    link_citations,
    read_bibtex,
    references,
)
from tests.structure import PARTS, ROOT

BIBLIOGRAPHY = (ROOT / "pipeline" / "report" / "references.bib").read_text(encoding="utf-8")
WORKS = references()
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *(p for part in PARTS for p in sorted((ROOT / part).rglob("*.*"))),
        *sorted((ROOT / ".baimo").glob("*.py")),
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "tests").rglob("*")),
    )
    if path.suffix in {".py", ".md", ".html"} and path.name != "test_references.py"
}
SHIPPED = {name: text for name, text in TEXTS.items() if not name.startswith("tests/")}


NEEDED = {
    "article": {"author", "title", "journal", "volume", "pages", "year"},
    "book": {"author", "title", "publisher", "year"},
    "incollection": {"author", "title", "booktitle", "editor", "publisher", "pages", "year"},
    "techreport": {"author", "title", "institution", "year"},
    "misc": {"author", "title", "year"},
}
ORDER = (
    "author", "title", "journal", "booktitle", "editor", "publisher", "institution", "volume",
    "number", "pages", "year", "doi", "eprint",
)  # fmt: skip

# --- citations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, text in TEXTS.items() if CITATION.search(text)])
def test_what_is_cited_is_in_the_bibliography(name: str) -> None:
    assert set(CITATION.findall(TEXTS[name])) <= set(WORKS)


def test_what_is_in_the_bibliography_is_cited() -> None:
    found = {key for text in SHIPPED.values() for key in CITATION.findall(text)}
    assert set(WORKS) <= found


INLINE = re.compile(
    r"(?:&|\bet al\.?,?) ?(?:[A-Z]\w+,? )?\(?(?:19|20)\d\d\b"  # A & B (2009); A et al. 2009
    r"|\b[A-Z]\w*[a-zà-ž](?:'s)? \((?:19|20)\d\d[,;)]"  # A (2009, ...)
    r"|\((?!March |August )[A-Z]\w*[a-zà-ž],? (?:19|20)\d\d[,;)]"  # (A 2009)
)
NAMES_OF_PAPERS = "pipeline/claims/claim.py"  # the two papers, as the report's reader sees them


@pytest.mark.parametrize(
    "text",
    ["by Clauset, Shalizi & Newman (2009, SIAM Review 51)", "Vuong (1989, Econometrica 57)",
     "(Loader 2000)", "Pesaran's (2004) CD", "Drees et al. 2020", "(Hill 1975, eq. 3)",
     "law (Harris & Tzavalis 1999)"],
)  # fmt: skip
def test_a_citation_of_another_form_is_seen(text: str) -> None:
    assert INLINE.search(text)
    assert not CITATION.search(text)


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {NAMES_OF_PAPERS}))
def test_works_are_cited_by_key_only(name: str) -> None:
    flat = " ".join(SHIPPED[name].split())
    assert INLINE.findall(flat) == []


# --- entries -------------------------------------------------------------------------------------


def plain_ascii(name: str) -> str:
    """Return a name without accents, spaces and hyphens, each part with a capital."""
    split = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    parts = re.findall(r"\w+", "".join(c for c in split if not unicodedata.combining(c)))
    return "".join(part[0].upper() + part[1:] for part in parts)


@pytest.mark.parametrize("key", sorted(WORKS))
def test_an_entry_has_what_its_type_needs(key: str) -> None:
    work = WORKS[key]
    assert NEEDED[work.kind] <= set(work.fields)
    assert list(work.fields) == [name for name in ORDER if name in work.fields]
    for person in (*work.authors, *work.fields.get("editor", "").split(" and ")):
        assert re.fullmatch(r"([^\W\d_][\w'.-]*[ ,]*)+, [^\W\d].*|", person), person


@pytest.mark.parametrize("key", sorted(WORKS))
def test_a_key_is_made_of_authors_and_year(key: str) -> None:
    work = WORKS[key]
    names = [plain_ascii(author.partition(",")[0]) for author in work.authors]
    stem = "".join(names) if len(names) <= 2 else names[0] + "EtAl"
    assert key == stem + work.fields["year"]


@pytest.mark.parametrize("key", sorted(WORKS))
def test_years_pages_and_identifiers_look_right(key: str) -> None:
    fields = WORKS[key].fields
    assert 1900 <= int(fields["year"]) <= 2026
    assert re.fullmatch(r"\d+", fields.get("volume", "1"))
    assert re.fullmatch(r"\d+(–\d+)?", fields.get("number", "1"))
    first, _, last = fields.get("pages", "1").partition("–")
    assert re.fullmatch(r"e?\d+", first)  # a page, or the number of an article
    assert not last or int(first) < int(last) < int(first) + 100
    assert re.fullmatch(r"10\.\d{4,5}/[^\s{}]+", fields.get("doi", "10.1000/1"))
    eprint = fields.get("eprint", "")
    assert re.fullmatch(r"(\d{4}\.\d{4,5}|cond-mat/\d{7}|)", eprint)
    if eprint:  # the first four digits are year and month of the preprint
        year = int(re.findall(r"\d\d", eprint)[0])
        assert 0 <= int(fields["year"]) - (2000 + year) <= 3


SPEAKING = re.compile(
    r"(?:biomet/|rest\.|qjec\.)(\d+)\.([\d-]+)\.(\d+)$|PhysRev\w+\.(\d+)()\.(\d+)$"
)


def test_identifiers_that_name_volume_and_page_agree_with_them() -> None:
    n_checked = 0
    for work in WORKS.values():
        match = SPEAKING.search(work.fields.get("doi", ""))
        if match:
            volume, number, page = (part for part in match.groups() if part is not None)
            assert work.fields["volume"] == volume, work.key
            assert number in ("", work.fields["number"].replace("–", "-")), work.key
            assert work.fields["pages"].partition("–")[0] in (page, page.lstrip("0")), work.key
            n_checked += 1
    assert n_checked >= 10


def test_the_file_is_sorted_and_its_braces_close() -> None:
    keys = re.findall(r"^@[a-z]+\{(\w+),$", BIBLIOGRAPHY, flags=re.MULTILINE)
    assert keys == sorted(WORKS, key=str.lower)
    for line in BIBLIOGRAPHY.splitlines():
        if line.startswith("  "):
            assert line.count("{") == line.count("}"), line


# --- reading and showing -------------------------------------------------------------------------

ENTRY = "@article{Doe1999,\n  author = {Doe, Jane},\n  year = {1999}\n}\n"


def test_an_entry_is_read() -> None:
    text = ENTRY.replace("1999}\n}", "1999},\n  title = {{Zipf}'s ``Law'' \\& Order, 1--2}\n}")
    fields = {"author": "Doe, Jane", "year": "1999", "title": "Zipf's “Law” & Order, 1–2"}
    found = read_bibtex(text + "\n" + ENTRY.replace("Doe1999", "Roe1999"))
    assert list(found) == ["Doe1999", "Roe1999"]
    assert found["Doe1999"] == Reference(key="Doe1999", kind="article", fields=fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ENTRY + "\n" + ENTRY,
        ENTRY.replace("year", "author"),
        ENTRY.replace("Jane},", "Jane}"),
        ENTRY.replace("1999}\n", "1999},\n"),
        ENTRY.replace("\n}", ""),
        ENTRY.replace("{1999}", "1999"),
        ENTRY + "a comment\n",
        ENTRY.replace("Doe, Jane", "Doe,\n    Jane"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"form that is read|twice"):
        read_bibtex(text)


def test_a_work_is_shown_in_one_line() -> None:
    assert WORKS["ClausetEtAl2009"].text() == (
        "Clauset, Aaron; Shalizi, Cosma Rohilla and Newman, M. E. J. (2009). Power-Law "
        "Distributions in Empirical Data. SIAM Review 51(4), 661–703. doi:10.1137/070710111, "
        "arXiv:0706.1062"
    )
    assert WORKS["Ruan2024"].text() == "Ruan, Qihong (2024). The War of Hundreds of Large Models"
    for work in WORKS.values():
        assert not re.search(r"[{}\\\n]|None|\.\.|  ", work.text()), work.key


def test_cited_gives_each_work_once_and_leaves_other_brackets() -> None:
    text = "[Vuong1989], eq. 4.6; [Hill1975] [Vuong1989] [0.56, 0.83] [Nobody1999] Holm1979"
    assert [work.key for work in cited(text)] == ["Hill1975", "Vuong1989"]


def test_links_stand_in_text_only() -> None:
    page = '<p title="[Vuong1989]">by [Vuong1989], [Nobody1999], a[1]</p>'
    linked = (
        '<p title="[Vuong1989]">by <a href="#Vuong1989">[Vuong1989]</a>, [Nobody1999], a[1]</p>'
    )
    assert link_citations(page) == linked
