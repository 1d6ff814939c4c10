"""Rows as a source sends them: nothing is known yet of what they hold."""

from __future__ import annotations

RawRow = dict[str, object]
"""A JSON object by field."""
RawRows = list[RawRow]
"""Several of them."""
