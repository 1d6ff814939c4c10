"""How all figures look, and how they become SVG and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK, FIT, GUIDE = "#1f2933", "#c2410c", "#9aa5b1"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#52606d",
    "axes.labelcolor": INK,
    "xtick.color": "#52606d",
    "ytick.color": "#52606d",
    "svg.fonttype": "none",
    "svg.hashsalt": "baimo",
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
}


def to_png(figure: Figure) -> bytes:
    """Return a small PNG for the Dagster UI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure, title: str, names: Mapping[str, str]) -> str:
    """Return an inline SVG that scales with the page; `names` maps handle ids to hover texts."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", title.lower())
    text = _unique_ids(text, prefix, set(names))
    for handle, name in names.items():
        text = text.replace(
            f'id="{handle}"', f'id="{handle}" class="named" tabindex="0" data-name="{escape(name)}"'
        )
    return text


def _unique_ids(text: str, prefix: str, keep: set[str]) -> str:
    """Prefix the ids inside one SVG, so that several live in one page."""
    ids = set(re.findall(r'id="([^"]+)"', text)) - keep
    text = re.sub(
        r'id="([^"]+)"', lambda m: m[0] if m[1] in keep else f'id="{prefix}-{m[1]}"', text
    )
    return re.sub(
        r'(href="#|url\(#)([^")]+)',
        lambda m: f"{m[1]}{prefix}-{m[2]}" if m[2] in ids else m[0],
        text,
    )
