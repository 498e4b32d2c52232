"""The page of claims: the ledger as Markdown that the book's theme sets, so that it fits phones, paper and both themes.

The Markdown is MyST with admonitions; a notebook cell that shows it carries ``mystnb: {markdown_format: myst}``.
"""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hyperlib.figures import style
from hyperlib.problems import L1
from hyperlib.runs import Run

from ..claims import CHANGED, DEVELOPMENT, RULES, UNJUDGED, VERDICTS, WORDS, Check, Claim, stored
from ..claims import claim as rule
from .shared import CASE_COLOURS

SYMBOLS = {rule.HOLDS: "\u00a0✓", rule.FAILS: "\u00a0✗", rule.OPEN: "\u00a0≈"}
BOXES = {rule.REPRODUCED: "tip", rule.UNDECIDED: "seealso", rule.NOT_REPRODUCED: "danger"}  # of the theme
BOXES |= dict.fromkeys((rule.PARTLY, rule.DEPENDS), "warning")
BOXES |= dict.fromkeys((rule.NOT_MEASURABLE, rule.CONSTRUCTION), "note")
# Colours of the verdicts and outcomes in the picture, of others grey: words say the same.
COLOURS = dict.fromkeys((rule.REPRODUCED, rule.HOLDS), style.PHASES["pudding"])
COLOURS |= dict.fromkeys((rule.NOT_REPRODUCED, rule.FAILS), style.POSITIVE) | {rule.DEPENDS: CASE_COLOURS[4]}
COLOURS |= dict.fromkeys((rule.PARTLY, rule.OPEN), CASE_COLOURS[1])
COLOURS |= {rule.NOT_MEASURABLE: style.STRUCTURES["unclear"]}
NONE = "*There is nothing to judge: the paper's claims are about the L1 norm.*"
WIDTH, HEIGHT, MIDDLE = 180, 16, 90  # of a strip, and where on it the criterion is


@dataclass(frozen=True, repr=False)
class Page:
    """A notebook cell's value: Markdown, or HTML and what it says in words."""

    text: str
    html: str | None = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text} | ({"text/html": self.html} if self.html else {"text/markdown": self.text})

    def __repr__(self) -> str:
        return self.text


def _dot(verdict: str) -> str:
    return f"<span class='hl-dot' style='background:{COLOURS.get(verdict, style.LINE)}'></span>"


def at_a_glance(claims: Sequence[Claim], page: str = "") -> Page:
    """The ledger at a glance: for every criterion a strip with the measured value, its interval and what was asked.

    The criterion is the line in the middle and what meets it is on its right: an interval wholly on the right holds,
    wholly on the left fails, and across the line decides nothing. Claims are linked to their boxes on ``page``.
    """
    if not claims:
        return Page(NONE)
    parts = []
    for claim in claims:
        strips = "".join(_strip_row(check) for check in claim.checks if check.criterion and check.found)
        missing = dict.fromkeys(check.absent for check in claim.checks if check.criterion and not check.found)
        strips += "".join(f"<li class='hl-absent'>not measurable: {html.escape(text)}</li>" for text in missing)
        name = f"<a href='{page}#claim-{claim.id}'>{html.escape(claim.title)}</a>"
        said = f"<p>{_dot(claim.verdict)}{name} <span class='hl-verdict'>{claim.verdict}</span></p>"
        parts.append(f"<li>{said}<ul>{strips}</ul></li>")
    return Page(_said(claims), f"<ul class='hl-ledger'>{''.join(parts)}</ul>")


def _said(claims: Sequence[Claim]) -> str:
    parts = []
    for kind in (rule.FREQUENCY, rule.EXISTENCE):
        counts = Counter(claim.verdict for claim in claims if claim.kind == kind)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
        parts += [f"{counts.total()} claims of {kind}: {verdicts}"] if counts else []
    built = sum(claim.kind == rule.BUILT for claim in claims)
    return "; ".join([*parts, *([f"{built} true by construction, not counted"] if built else [])])


def tally(claims: Sequence[Claim]) -> Page:
    """One bar for all claims that are counted, a piece per verdict as long as it is frequent, and words below.

    Claims of frequency and of existence are counted apart in the words, with the number of rules that were changed
    against those of the first release; what is true by construction is not counted.
    """
    if not claims:
        return Page(NONE)
    counts, pieces, words = Counter(claim.verdict for claim in claims if claim.kind != rule.BUILT), "", ""
    for verdict in sorted(counts, key=VERDICTS.index):
        pieces += f"<span style='flex:{counts[verdict]};background:{COLOURS.get(verdict, style.LINE)}'></span>"
        words += f"<span>{_dot(verdict)}<b>{counts[verdict]}</b> {verdict}</span>"
    changed = sum(bool(claim.changed) for claim in claims)
    said = f"{_said(claims)}; the rules of {changed} were changed against those of the first release"
    bar = f"<div class='hl-bar' role='img' aria-label='{said}'>{pieces}</div><p class='hl-words'>{words}</p>"
    parts = "".join(f"<li>{html.escape(part)}</li>" for part in said.split("; "))
    return Page(said, f"<div class='hl-tally'>{bar}<ul>{parts}</ul></div>")


def failing(claims: Sequence[Claim]) -> Page:
    """The claims that do not hold, named by verdict and linked to their boxes; for introductions."""
    parts = []
    for said in (rule.NOT_REPRODUCED, rule.PARTLY, rule.DEPENDS, rule.UNDECIDED, rule.NOT_MEASURABLE):
        named = [f"[{one.title}](#claim-{one.id})" for one in claims if one.verdict == said]
        parts += [f"- **{said.capitalize()}:** {'; '.join(named)}."] if named else []
    return Page("\n".join(parts) if parts else "Every claim is reproduced." if claims else NONE)


def places(check: Check) -> tuple[float, float, float]:
    """Value and interval of a check as places on its strip, 0 to `WIDTH`; the criterion is at `MIDDLE`."""
    assert check.found and check.criterion
    asked, side = check.criterion.threshold, -1.0 if check.criterion.relation == "at most" else 1.0
    gaps = [side * (number - asked) for number in (check.found.value, check.found.low, check.found.high)]
    reach = max(*map(abs, gaps), 0.25 * abs(asked), 1e-9)
    value, low, high = (MIDDLE + gap / reach * (MIDDLE - 6) for gap in gaps)
    return value, min(low, high), max(low, high)


def _strip_row(check: Check) -> str:
    (value, low, high), colour, y = places(check), COLOURS.get(check.outcome, style.LINE), HEIGHT / 2
    text = f"{check.quantity}: {check.measured}{check.interval}; asked: {check.asked}"
    strip = (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' role='img'>"
        f"<title>{html.escape(text)}</title>"
        f"<rect x='{MIDDLE}' width='{WIDTH - MIDDLE}' height='{HEIGHT}' fill='{style.LINE}' opacity='.15'/>"
        f"<line x1='{MIDDLE}' x2='{MIDDLE}' y2='{HEIGHT}' stroke='currentColor'/>"
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='4' opacity='.6'/>"
        f"<circle cx='{value:.1f}' cy='{y}' r='5' fill='{colour}'/></svg>"
    )
    said = f"{check.quantity}: <b>{html.escape(check.measured)}</b>, asked {html.escape(check.asked)}"
    return f"<li>{strip}<span>{said[0].upper()}{said[1:]}</span></li>"


def boxes(claims: Sequence[Claim], section: str) -> Page:
    """One box per claim of a section: verdict, sentence, what was measured, what was asked, and where it is shown.

    A claim of several sections stands under the first.
    """
    return Page("\n\n".join(_box(claim) for claim in claims if claim.section.split(",")[0] == section))


def verdicts(run: Run, notebook: str) -> Page:
    """The boxes of the claims that a notebook shows, for its end; a note for a run that the claims are not about."""
    if run.config.task != L1:
        return Page(f"*The paper's claims are about the L1 norm; this run computes {run.config.task.title}.*")
    return Page("\n\n".join(_box(claim, inside=True) for claim in stored(run, notebook)))


def link(claim: Claim) -> str:
    """MyST link to the figure or to the part of a notebook that shows a claim."""
    if claim.place.startswith("fig-"):
        return f"{{numref}}`{claim.place}`"
    anchor = re.sub(r"[^\w\- ]", "", claim.place.lower()).replace(" ", "-")  # that MyST gives to a heading
    return f"[{claim.place}]({claim.notebook}.ipynb#{anchor})"


def _box(claim: Claim, inside: bool = False) -> str:
    """A claim as an admonition: on the page of claims, with a name that links lead to, or ``inside`` where it is shown.

    There it has the setting that decides and what others say against it; on the page of claims all else, too.
    """
    checks = [one for one in claim.checks if one.criterion or not inside or claim.verdict == rule.CONSTRUCTION]
    shown = f"*{claim.place}*" if inside and not claim.place.startswith("fig-") else link(claim)
    lines = [
        f":::{{admonition}} {claim.verdict.capitalize()}: {claim.title}",
        f":class: {BOXES[claim.verdict]}",
        *([] if inside else [f":name: claim-{claim.id}"]),
        "",
        f"{claim.sentence} *{_section(claim.section)} of the paper; shown in* {shown}.",
        "",
        f"> {claim.paper}",
        "",
        *map(_line, checks),
    ]
    decides = next(iter(claim.settings))
    lines += [] if decides == "main" else ["", f"Decided in `{decides}`; the main run has no such networks."]
    if claim.verdict == rule.UNDECIDED:
        needed = max((check.needed for check in claim.checks if check.needed), default=None)
        missing = "Undecided: at the present values no number of seeds would decide."
        missing = f"At the present spread about {needed:,} units of its kind would decide." if needed else missing
        unmeasured = any(check.outcome == rule.ABSENT for check in claim.checks if check.criterion)
        lines += ["", "Undecided because a criterion could not be measured." if unmeasured else missing]
    for name, one, other in claim.disagreements:
        there = f"**{other.measured}**{other.interval} there"
        lines += ["", f"`{name}` disagrees: {one.quantity} {one.measured} here, {there}."]
    if inside:
        return "\n".join([*lines, "", "{doc}`08_claims` has every setting, and how it is judged.", ":::"])
    for name, others in list(claim.settings.items())[1:]:
        lines += ["", f"*By itself, `{name}`: {claim.verdicts[name]}.*", "", *map(_line, others)]
    lines += ["", claim.judged, *(("", f"*Changed since the first release:* {claim.changed}") if claim.changed else ())]
    code = f'from hyperbook.claims import judge; print(judge("results/l1", "{claim.id}"))'
    return "\n".join([*lines, "", "```python", code, "```", ":::"])


def _section(places: str) -> str:
    """``Section 2.1``, ``Sections 2.3, 4`` or ``Abstract, section 4``."""
    first, *more = places.split(", ")
    if first == "abstract":
        return ", section ".join(["Abstract", *more])
    sections = more and not more[0].startswith("figure")
    return f"{'Appendix' if first[0].isalpha() else 'Sections' if sections else 'Section'} {places}"


def _line(check: Check) -> str:
    asked = f"; asked: {check.asked}{SYMBOLS.get(check.outcome, '')}" if check.criterion else ""
    measured = f"**{check.measured}**{check.interval}" if check.found else f"not measurable: {check.absent}"
    paper = f"; the paper: {check.paper}" if check.paper else ""
    return f"- {check.quantity[0].upper()}{check.quantity[1:]}: {measured}{asked}{paper}"


def rules(seeds: Sequence[int] = ()) -> Page:
    """Which commit fixed the rules, whether the run of these seeds is blind to them, and what they changed and why."""
    seen = "**The run that is judged here is the development set itself: its verdicts were not made blind.**"
    fixed = f"The rules were fixed in commit `{RULES}`. "
    fixed += seen if set(seeds) & set(DEVELOPMENT) else "The runs that are judged were read afterwards."
    said = f"They differ from those of the first release in {len(CHANGED)} claims, and in all: settings are not pooled."
    rows = [(f"[{WORDS[name]['title']}](#claim-{name})", changed) for name, changed in CHANGED.items()]
    headings = ["Claim", "What was changed against the rules of the first release, and why"]
    return Page(f"{fixed} {said}\n\n{pd.DataFrame(rows, columns=headings).to_markdown(index=False)}")


def sentences_without() -> Page:
    """Sentences of the paper that no claim judges, and why."""
    headings = {"section": "Section", "paper": "The paper", "why": "Why no claim"}
    return Page(UNJUDGED.rename(columns=headings).to_markdown(index=False, disable_numparse=True))
