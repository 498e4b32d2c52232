"""Colours and settings of all figures.

Pictures are drawn for a white page, with nearly black text. On a dark page the book's style sheet mirrors their
lightness and keeps their hues, so that text is as clear there. Interactive figures are not mirrored: their text takes
the page's own colour, and every hue here has a contrast of at least 3 to 1 with both pages. Hues follow the palette of
Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html as markup
import io
import json
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from ..checks import expect

TEXT = "#262626"
LINE = "#8c8c8c"

# The paper's red, green and blue (figure 3).
PHASES = {"convexity": "#d55e00", "pudding": "#009e73", "double-sided": "#0072b2"}
# What a first layer's structure can be: the algorithms, a kind of convexity, and what lies between two of them.
STRUCTURES = {"convexity": PHASES["convexity"], "random, heavy-tailed": "#99724d"}
STRUCTURES |= {"pudding": PHASES["pudding"], "double-sided": PHASES["double-sided"], "unclear": "#bdbdbd"}
POSITIVE, NEGATIVE = "#d1495b", "#3b82c4"
OTHER = LINE  # seeds or networks that belong to no phase or case
# Developmental cases, in the order of `hyperlib.development.CASES`.
CASES = ("#009e73", "#b07d00", "#8a63d2", "#c44e9b", "#0072b2", "#2a93a3", "#99724d", "#d55e00", OTHER)

PLOTLY_JS = "../_static/plotly.min.js"  # where the book keeps it, seen from a notebook's page
LATER_JS = "../_static/later.js"
OFFER = "application/vnd.hyperlib.figure+json"  # what a figure offers for download, see `Shown`
LONGEST_CSV = 250_000  # characters; a longer table is offered as Parquet

HEADLINE = 13  # points

SETTINGS = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "legend.facecolor": "none",
    "legend.edgecolor": "none",
    "legend.frameon": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": LINE,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
}


class Shown(Figure):
    """A matplotlib figure that knows the numbers it shows, which the book offers under it.

    As a notebook cell's value it leaves, beside its picture, what it offers, as an output of the type `OFFER`.

    Attributes:
        table: the numbers, tidy: one row per thing drawn. A figure without a table offers nothing.
        source: where they came from, such as ``run l1, version 8f6fa2e3``, if the figure's function was given a table
            that says so in its ``attrs`` under ``source``, as those of a run do.
        finding: its headline, a sentence with numbers from the data that are drawn.
    """

    table: pd.DataFrame | None = None
    source: str | None = None
    finding: str = ""

    def offer(self) -> dict[str, str | None]:
        """The figure as ``svg``, its ``source``, and its table with at least six significant digits.

        The table is text under ``csv``, or if that is longer than `LONGEST_CSV`, a file in base64 under ``parquet``.
        """
        if self.table is None:
            raise ValueError("the figure has no table; expected the numbers that it shows, as its attribute table")
        buffer = io.StringIO()
        # Without a date and with fixed names inside, the same figure gives the same text. Under the setting that is
        # off here, saving would give a layout engine to a figure that has none.
        fixed = {"svg.hashsalt": "hyperlib", "figure.constrained_layout.use": False}
        with matplotlib.rc_context(SETTINGS | fixed):
            self.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        csv = self.table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        table = {"csv": csv} if len(csv) <= LONGEST_CSV else {"parquet": _parquet(self.table)}
        return {"svg": buffer.getvalue(), "source": self.source, **table}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, dict]:
        return {} if self.table is None else {OFFER: self.offer()}


def _parquet(table: pd.DataFrame) -> str:
    """A table as a Parquet file in base64, in single precision."""
    single = table.astype(dict.fromkeys(table.select_dtypes("float64"), "float32"))
    return base64.b64encode(single.to_parquet(None, index=False, compression="zstd")).decode()


def subplots(*args: Any, **kwargs: Any) -> tuple[Shown, Any]:
    """``matplotlib.pyplot.subplots`` on a figure that can offer its numbers."""
    return plt.subplots(*args, FigureClass=Shown, **kwargs)


def blank(**kwargs: Any) -> Shown:
    """``matplotlib.pyplot.figure``, one that can offer its numbers."""
    return plt.figure(FigureClass=Shown, **kwargs)


def _source(values: Iterable[Any]) -> str | None:
    """Where the tables among ``values`` say they came from."""
    tables = [value for value in values if isinstance(value, pd.DataFrame)]
    return "; ".join(dict.fromkeys(t.attrs["source"] for t in tables if t.attrs.get("source"))) or None


def figure(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: run a function that makes a matplotlib figure under the book's settings, which end with it.

    A figure made in the call is taken out of pyplot's list, so that a notebook shows it once, as the cell's value. It
    learns where the tables that the function was given came from. Its headline is what the function has found in them;
    the further argument ``finding`` is another one, or "" for none.
    """

    @functools.wraps(make)
    def made(*args: Any, finding: str | None = None, **kwargs: Any) -> Figure:
        before = set(plt.get_fignums())
        try:
            with matplotlib.rc_context(SETTINGS):
                fig = make(*args, **kwargs)
                if finding := getattr(fig, "finding", "") if finding is None else finding:
                    headline(fig, finding)
            if isinstance(fig, Shown):
                fig.source = _source((*args, *kwargs.values()))
            return fig
        finally:  # also after an error
            for number in set(plt.get_fignums()) - before:
                plt.close(number)

    return made


def headline(fig: Figure, text: str) -> None:
    """Write what a figure shows above it, in one line or several; the figure grows by as much."""
    width, height = fig.get_size_inches()
    text = textwrap.fill(text, int(9 * width))
    room = 0.12 + HEADLINE * 1.3 / 72 * (text.count("\n") + 1)
    fig.set_size_inches(width, height + room)
    if fig.get_layout_engine() is None:
        for ax in fig.axes:
            left, bottom, across, up = ax.get_position().bounds
            ax.set_position((left, bottom * height / (height + room), across, up * height / (height + room)))
        for other in fig.texts:
            other.set_y(other.get_position()[1] * height / (height + room))
        fig.text(0.01, 1 - 0.04 / (height + room), text, ha="left", va="top", fontsize=HEADLINE, fontweight="bold")
    else:
        fig.suptitle(text, x=0.01, ha="left", fontsize=HEADLINE, fontweight="bold")


def diverging() -> LinearSegmentedColormap:
    """Negative to positive weights; zero is transparent, so that it is the page's own colour."""
    ends = [to_rgba(NEGATIVE), to_rgba(NEGATIVE, 0), to_rgba(POSITIVE, 0), to_rgba(POSITIVE)]
    return LinearSegmentedColormap.from_list("weights", list(zip([0, 0.5, 0.5, 1], ends, strict=True)), N=512)


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


def slider(steps: list[dict]) -> dict:
    """A plotly slider below a figure; it shows the label of the step that it stands at."""
    return {
        "steps": steps,
        "currentvalue": {"xanchor": "center", "font": {"color": TEXT, "size": 16}},
        "font": {"color": "rgba(0, 0, 0, 0)"},  # no labels below the ticks: they would overlap
        "pad": {"t": 65, "b": 10},
        "ticklen": 0,
        "minorticklen": 0,
        "bgcolor": "rgba(140, 140, 140, 0.3)",
        "activebgcolor": LINE,
        "bordercolor": LINE,
    }


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

    Args:
        fig: plotly figure; it takes the width of the page.
        alt: what the figure shows, in a sentence.
        still: matplotlib figure that says the same without interaction.
        below: HTML that belongs to the interactive figure and follows it.
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
