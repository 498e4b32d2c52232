"""The page of claims: the ledger as Markdown that the book's theme sets, so that it fits phones, paper and both themes.

The Markdown is MyST with admonitions; a notebook cell that shows it carries ``mystnb: {markdown_format: myst}``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..claims import VERDICTS, Check, Claim
from ..claims.claim import ABSENT, FAILS, HOLDS, NOT_MEASURABLE, NOT_REPRODUCED, OPEN, PARTLY, REPORTED, REPRODUCED

SYMBOLS = {HOLDS: "\u00a0✓", FAILS: "\u00a0✗", OPEN: "\u00a0≈", ABSENT: "", REPORTED: ""}
BOXES = {REPRODUCED: "tip", PARTLY: "warning", NOT_REPRODUCED: "danger", NOT_MEASURABLE: "note"}  # of the theme


@dataclass(frozen=True)
class Page:
    """Markdown as a notebook cell's value."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def overview(claims: Sequence[Claim]) -> Page:
    """How many claims have which verdict, and a table of all of them with links to their boxes."""
    counts = Counter(claim.verdict for claim in claims)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    rows = [f"| {claim.section} | [{claim.title}](#claim-{claim.id}) | {claim.verdict} |" for claim in claims]
    table = ["| Section | Claim | Verdict |", "|:--|:--|:--|", *rows]
    return Page(f"Of {len(claims)} claims: **{said}**.\n\n" + "\n".join(table))


def boxes(claims: Sequence[Claim], section: str) -> Page:
    """One box per claim of a section: verdict, sentence, what was measured, what was asked, and where it is shown.

    Args:
        claims: of `hyperlib.claims.ledger`.
        section: such as ``2.3``; a claim of several sections stands under the first.

    Raises:
        ValueError: no claim belongs to the section.
    """
    chosen = [claim for claim in claims if claim.section.split(",")[0] == section]
    if not chosen:
        known = sorted({claim.section.split(",")[0] for claim in claims})
        raise ValueError(f"no claim belongs to section {section!r}; there are {', '.join(known)}")
    return Page("\n\n".join(_box(claim) for claim in chosen))


def slug(heading: str) -> str:
    """The anchor that MyST gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(claim: Claim) -> str:
    """MyST link to the figure or to the part of a notebook that shows a claim."""
    if claim.place.startswith("fig-"):
        return f"{{numref}}`{claim.place}`"
    return f"[{claim.place}]({claim.notebook}.ipynb#{slug(claim.place)})"


def _box(claim: Claim) -> str:
    lines = [
        f":::{{admonition}} {claim.verdict.capitalize()}: {claim.title}",
        f":class: {BOXES[claim.verdict]}",
        f":name: claim-{claim.id}",
        "",
        f"{claim.sentence} *Section {claim.section} of the paper; shown in* {link(claim)}.",
        "",
        *(_line(check) for check in claim.checks),
    ]
    return "\n".join([*lines, *(("", claim.note) if claim.note else ()), ":::"])


def _line(check: Check) -> str:
    asked = f"; asked: {check.asked}{SYMBOLS[check.outcome]}" if check.criterion else ""
    measured = f"**{check.measured}**{check.interval}" if check.found else f"not measurable: {check.absent}"
    return f"- {check.quantity[0].upper()}{check.quantity[1:]}: {measured}{asked}"
