"""The works cited in docstrings, documents and the report: `references.bib`, and how it is read.

A work is cited by its key in brackets, [Vuong1989]; a page, an equation or a theorem follows it.
The key is made of the authors' surnames, of the first and "EtAl" from three on, and of the year.

The file is our own and of one form, an entry a paragraph and a field a line, which two patterns
read; anything else is refused. A parser of all of BibTeX would be a dependency for what is not
there. Any BibTeX program reads the file too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CITATION = re.compile(r"\[([A-Z][A-Za-z]*\d{4}[a-z]?)\]")
"""A citation in a text; its group is the key."""

_ENTRY = re.compile(r"@([a-z]+)\{(\w+),\n((?:  [a-z]+ = \{.+\},\n)*  [a-z]+ = \{.+\}\n)\}")
_FIELD = re.compile(r"  ([a-z]+) = \{(.+)\},?\n")
_MARKS = {"{": "", "}": "", r"\&": "&", "--": "–", "``": "“", "''": "”"}
_TAG_OR_CITATION = re.compile(rf"<[^>]*>|{CITATION.pattern}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One work.

    Parameters
    ----------
    key
        By which it is cited.
    kind
        Type of the entry: article, book, incollection, techreport or misc.
    fields
        As in the file, without braces; authors and editors are "Surname, Names and Surname, ...".
    """

    key: str
    kind: str
    fields: Mapping[str, str]

    @property
    def authors(self) -> list[str]:
        """Authors in their order, each "Surname, Names"."""
        return self.fields["author"].split(" and ")

    def text(self) -> str:
        """Return authors, year, title, where it appeared and its identifiers, in one line."""
        get = self.fields.get
        names = " and ".join(filter(None, ["; ".join(self.authors[:-1]), self.authors[-1]]))
        place = get("journal") or get("booktitle") or get("institution") or get("publisher", "")
        volume = get("volume", "") + (f"({get('number')})" if "number" in self.fields else "")
        where = ", ".join(filter(None, [f"{place} {volume}".strip(), get("pages")]))
        known = {"doi": "doi", "arXiv": "eprint"}
        found = ", ".join(f"{label}:{get(name)}" for label, name in known.items() if get(name))
        parts = (f"{names} ({get('year')})", get("title"), where, found)
        return ". ".join(part.rstrip(".") for part in parts if part)


def read_bibtex(text: str) -> dict[str, Reference]:
    """Return the works of a bibliography by key.

    Raises
    ------
    ValueError
        A key or a field that comes twice, or anything that is not `@kind{key,`, lines of
        `  field = {value},` with no comma after the last, and `}`, entries parted by empty lines.
    """
    found: dict[str, Reference] = {}
    for block in text.strip().split("\n\n"):
        entry = _ENTRY.fullmatch(block.strip("\n"))
        if entry is None:
            raise ValueError(f"no entry of the form that is read: {block[:60]!r}")
        kind, key, body = entry.groups()
        fields = [(name, _plain(value)) for name, value in _FIELD.findall(body)]
        if key in found or len(dict(fields)) < len(fields):
            raise ValueError(f"{key}: an entry or a field comes twice")
        found[key] = Reference(key=key, kind=kind, fields=dict(fields))
    return found


def _plain(value: str) -> str:
    """Return a value without the marks of BibTeX."""
    for mark, plain in _MARKS.items():
        value = value.replace(mark, plain)
    return value


@cache
def references() -> Mapping[str, Reference]:
    """Return every work of the bibliography by key, in the order of the keys."""
    path = Path(__file__).with_name("references.bib")
    return dict(sorted(read_bibtex(path.read_text(encoding="utf-8")).items()))


def cited(text: str) -> list[Reference]:
    """Return the works that a text cites, in the order of the keys."""
    keys = set(CITATION.findall(text))
    return [work for key, work in references().items() if key in keys]


def link_citations(page: str) -> str:
    """Return HTML in which each citation leads to the work under its key on the same page.

    Tags with their attributes, and brackets that hold no key of the bibliography, stay as they are.
    """

    def link(found: re.Match[str]) -> str:
        key = found[1]
        return f'<a href="#{key}">{found[0]}</a>' if key in references() else found[0]

    return _TAG_OR_CITATION.sub(link, page)
