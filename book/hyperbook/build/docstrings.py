"""Docstrings keep their plain notation."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

PAIR = re.compile(r"^( +)(\w+), (\w+): (.*)$")
LITERAL = re.compile(r"(``.+?``|`.+?`)")
KEPT: dict[str, list[str]] = {}  # docstrings of properties and attributes between the two listeners


def plain_notation(lines: list[str]) -> None:
    """Escape the bars of |x|, which reStructuredText takes for a substitution, outside literals and examples."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = LITERAL.split(line)
            lines[number] = "".join(p if p.startswith("`") else p.replace("|", r"\|") for p in parts)


def before_napoleon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking the words before a colon for a type; types are in the annotations here."""
    plain_notation(lines)
    if what in ("property", "attribute"):
        KEPT[name] = list(lines)
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            lines[number + 1] = re.sub(": ", " – ", lines[number + 1], count=1)
    # Two attributes on one line: napoleon takes the first for the type of the second.
    lines[:] = [part for line in lines for part in PAIR.sub(r"\1\2: \4\n\1\3: \4", line).split("\n")]


def after_napoleon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put back what napoleon must not touch at all."""
    lines[:] = KEPT.pop(name, lines)
