"""Sphinx extension of this book: pages that need no network, sources under figures, notes for terms, docstrings."""

from __future__ import annotations

from sphinx.application import Sphinx

from . import docstrings, figures, functions, live, offline, terms


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    for part in (offline, docstrings, terms, figures, live, functions):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
