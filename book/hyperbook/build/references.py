"""Entries of the bibliography are labelled as the text cites them: authors and year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from string import ascii_lowercase
from typing import Any

from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx

NAME = "author_year_labels"  # in _config.yml


def cite(people: list[str], year: str) -> str:
    """``Liao et al., 2023``, ``Kingma and Ba, 2014``, ``Kobourov, 2012``."""
    who = (
        people[0] if len(people) == 1 else f"{people[0]} and {people[1]}" if len(people) == 2 else f"{people[0]} et al."
    )
    return f"{who}, {year}"


class Labels(BaseLabelStyle):
    """Labels of `cite`, with a letter where two would be the same."""

    def format_labels(self, entries: Iterable[Any]) -> Iterator[str]:
        """One label per entry, in order."""
        names = []
        for entry in entries:
            people = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
            names.append(cite(people, entry.fields.get("year", "")))
        counts, seen = Counter(names), Counter[str]()
        for name in names:
            yield name + (ascii_lowercase[seen[name]] if counts[name] > 1 else "")
            seen[name] += 1


class Style(PlainStyle):
    """The plain style, sorted by author, with these labels."""

    default_label_style = Labels


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    register_plugin("pybtex.style.formatting", NAME, Style)
