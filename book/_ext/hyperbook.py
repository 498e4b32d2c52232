"""Sphinx extension of this book: no page asks the network for anything, and docstrings keep their plain notation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

Kept = dict[str, list[str]]
FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>\n?')
PAIR = re.compile(r"^( +)(\w+), (\w+): (.*)$")
LITERAL = re.compile(r"(``.+?``|`.+?`)")


def drop_remote_files(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take scripts and style sheets with an address on the network out of a page's head.

    Jupyter Book adds some for widgets, and thebe for code that runs in the page. The book uses neither.
    """
    for kind in ("script_files", "css_files"):
        files = [(file, f"{file} {getattr(file, 'attributes', '')}") for file in context.get(kind, [])]
        context[kind] = [file for file, text in files if "://" not in text and "thebe" not in text]


def drop_font_preloads(app: Sphinx, exception: Exception | None) -> None:
    """Take the theme's preloading of icon fonts out of the pages.

    It is a request across origins, which a browser refuses on a page opened from disk; the style sheet's own is not.
    """
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            page.write_text(FONT_PRELOAD.sub("", text), encoding="utf-8")


def plain_notation(lines: list[str]) -> None:
    """Escape the bars of |x|, which reStructuredText takes for a substitution, outside literals and examples."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = LITERAL.split(line)
            lines[number] = "".join(p if p.startswith("`") else p.replace("|", r"\|") for p in parts)


def before_napoleon(kept: Kept, what: str, name: str, lines: list[str]) -> None:
    """Keep napoleon from taking the words before a colon for a type; types are in the annotations here."""
    plain_notation(lines)
    if what in ("property", "attribute"):
        kept[name] = list(lines)
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            lines[number + 1] = re.sub(": ", " – ", lines[number + 1], count=1)
    # Two attributes on one line: napoleon takes the first for the type of the second.
    lines[:] = [part for line in lines for part in PAIR.sub(r"\1\2: \4\n\1\3: \4", line).split("\n")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    kept: Kept = {}

    def before(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        before_napoleon(kept, what, name, lines)

    def after(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = kept.pop(name, lines)

    app.connect("html-page-context", drop_remote_files, priority=900)
    app.connect("build-finished", drop_font_preloads)
    app.connect("autodoc-process-docstring", before, priority=100)
    app.connect("autodoc-process-docstring", after, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
