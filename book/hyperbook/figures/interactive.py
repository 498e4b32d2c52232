"""Interactive figures of the book's pages: plotly or a script of `book/_static`, with a picture for where none runs."""

from __future__ import annotations

import base64
import hashlib
import html as markup
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from matplotlib.figure import Figure

from hyperlib.checks import expect
from hyperlib.figures.style import CASES, LINE, TEXT, Shown

PLOTLY_JS = "../_static/plotly.min.js"  # where the book keeps it, seen from a notebook's page
LATER_JS = "../_static/later.js"


def template() -> go.layout.Template:
    """Plotly template: transparent, with the text and lines of the matplotlib figures."""
    faint = "rgba(140, 140, 140, 0.3)"
    axis = {"gridcolor": faint, "zerolinecolor": faint, "linecolor": LINE, "tickcolor": LINE, "automargin": True}
    space = {"backgroundcolor": "rgba(0, 0, 0, 0)", "gridcolor": faint, "zerolinecolor": faint, "linecolor": LINE}
    space["color"] = "#7a7a7a"  # of WebGL's text, which no style sheet reaches: on white and on black 4.3 to 1
    clear = "rgba(0, 0, 0, 0)"
    return go.layout.Template(
        layout={
            "paper_bgcolor": clear,
            "plot_bgcolor": clear,
            "font": {"color": TEXT, "size": 14},
            "colorway": list(CASES),
            "xaxis": axis,
            "yaxis": axis,
            "scene": {"xaxis": space, "yaxis": space, "zaxis": space},
            "legend": {"bgcolor": clear},
            "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
        }
    )


@dataclass(frozen=True)
class Interactive:
    """An interactive figure as a notebook cell's value: HTML for the book, and perhaps plotly's own data for Jupyter.

    Its picture is what the book offers for download, see `Shown`.
    """

    alt: str
    html: str = field(repr=False)
    data: dict | None = field(repr=False)
    still: Figure = field(repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        shown: dict[str, Any] = {"text/html": self.html, "text/plain": self.alt}
        if self.data is not None:
            shown["application/vnd.plotly.v1+json"] = self.data
        return shown | (self.still._repr_mimebundle_() if isinstance(self.still, Shown) else {})


# Text takes the theme's own colour. The theme lightens the background of cell outputs in dark mode, for pictures; what
# is drawn here live has none. The picture stands in where scripts do not run, and on paper.
_CSS = """
.hl-figure .hl-still { display: none; max-width: 100%; height: auto; }
.hl-figure.hl-waiting .hl-live { display: none; }
.hl-figure.hl-waiting .hl-still { display: block; }
.hl-figure .hl-live text { fill: var(--pst-color-text-base, currentColor) !important; }
.hl-figure .hl-live .hoverlayer text { fill: #ffffff !important; }
html[data-theme] .bd-content div.cell_output .output.text_html:has(.hl-figure) {
  background: none; color: inherit; padding: 0;
}
@media print { .hl-figure .hl-live { display: none; } .hl-figure .hl-still { display: block; } }
"""
_WITHOUT_SCRIPT = ".hl-figure .hl-live { display: none; } .hl-figure .hl-still { display: block; }"


def picture(fig: Figure, dpi: float = 110) -> str:
    """A matplotlib figure as a PNG data address for an ``<img>``."""
    buffer = io.BytesIO()
    # Without a date and a version the same figure gives the same bytes.
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def html(fig: go.Figure, alt: str, still: Figure, below: str = "") -> Interactive:
    """An interactive figure for the book, with a picture for readers without JavaScript and for paper.

    Plotly is large: it is loaded, and the figure made, when its place comes into view (`book/_static/later.js`).
    ``alt`` says what the figure shows, ``still`` says the same without interaction, and HTML ``below`` follows the
    figure.
    """
    data = json.loads(fig.to_json())
    name = "hl-" + hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
    live = fig.to_html(
        full_html=False,
        include_plotlyjs=PLOTLY_JS,
        include_mathjax=False,
        div_id=name,
        default_width="100%",
        config={"responsive": True, "displayModeBar": False},
        auto_play=False,
    )
    later = f'<template class="hl-later">{live}{below}</template><script src="{LATER_JS}"></script>'
    return interactive(later, alt, still, data)


def interactive(live: str, alt: str, still: Figure, data: dict | None = None) -> Interactive:
    """An interactive figure from its own HTML; `still` is shown until its script has started."""
    expect(bool(alt.strip()), "alt", alt, "a sentence that says what the figure shows")
    text = markup.escape(alt)
    return Interactive(
        alt,
        f'<div class="hl-figure hl-waiting"><style>{_CSS}</style><noscript><style>{_WITHOUT_SCRIPT}</style></noscript>'
        f'<div class="hl-live" role="figure" aria-label="{text}">{live}</div>'
        f'<img class="hl-still" src="{picture(still)}" alt="{text}"></div>',
        data,
        still,
    )


def seed_list(groups: Mapping[str, Sequence[int]]) -> str:
    """A list of seeds to choose from, by groups."""
    options = ""
    for name, seeds in groups.items():
        inside = "".join(f"<option>{seed}</option>" for seed in seeds)
        options += f'<optgroup label="{markup.escape(name)}">{inside}</optgroup>'
    return f"<label>seed <select>{options}</select></label> "
