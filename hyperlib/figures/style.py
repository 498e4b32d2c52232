"""Colours and settings of all figures.

The book's pages are white or nearly black, and a picture cannot know which. Figures are therefore transparent, their
text is a grey that both backgrounds allow, and every colour here has a contrast of at least 3 to 1 with either.
Hues follow the palette of Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html as markup
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import matplotlib
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

TEXT = "#767676"  # the darkest grey of text: 4.5 to 1 on white, 4 to 1 on the dark page
LINE = "#8c8c8c"

# The paper's red, green and blue (figure 3).
PHASES = {"convexity": "#d55e00", "pudding": "#009e73", "double-sided": "#0072b2"}
NEURONS = {"input": "#009e73", "hidden": LINE, "output": "#c44e9b"}
POSITIVE, NEGATIVE = "#d1495b", "#3b82c4"
OTHER = LINE  # seeds or networks that belong to no phase or case
# Developmental cases, in the order of `hyperlib.phases.CASES`.
CASES = ("#009e73", "#b07d00", "#c44e9b", "#8a63d2", "#0072b2", "#2a93a3", "#d55e00", OTHER)

PLOTLY_JS = "../_static/plotly.min.js"  # where the book keeps it, seen from a notebook's page

SETTINGS = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
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
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
}


def figure(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: run a function that makes a matplotlib figure under the book's settings, which end with it.

    A figure made in the call is taken out of pyplot's list, so that a notebook shows it once, as the cell's value.
    """

    @functools.wraps(make)
    def made(*args, **kwargs) -> Figure:
        before = set(plt.get_fignums())
        try:
            with matplotlib.rc_context(SETTINGS):
                return make(*args, **kwargs)
        finally:  # also after an error
            for number in set(plt.get_fignums()) - before:
                plt.close(number)

    return made


def diverging() -> LinearSegmentedColormap:
    """Negative to positive weights; zero is transparent, so that it is the page's own colour."""
    ends = [to_rgba(NEGATIVE), to_rgba(NEGATIVE, 0), to_rgba(POSITIVE, 0), to_rgba(POSITIVE)]
    return LinearSegmentedColormap.from_list("weights", list(zip([0, 0.5, 0.5, 1], ends, strict=True)), N=512)


def template() -> go.layout.Template:
    """Plotly template: transparent, with the text and lines of the matplotlib figures."""
    faint = "rgba(140, 140, 140, 0.3)"
    axis = {"gridcolor": faint, "zerolinecolor": faint, "linecolor": LINE, "tickcolor": LINE, "automargin": True}
    space = {"backgroundcolor": "rgba(0, 0, 0, 0)", "gridcolor": faint, "zerolinecolor": faint, "linecolor": LINE}
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
    """An interactive figure as a notebook cell's value: plotly's own data for Jupyter, HTML for the book."""

    alt: str
    html: str = field(repr=False)
    data: dict = field(repr=False)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"application/vnd.plotly.v1+json": self.data, "text/html": self.html, "text/plain": self.alt}


# Text takes the theme's own colour. The theme lightens the background of cell outputs in dark mode, for pictures that
# are not transparent; this one is. The picture stands in where scripts do not run, and on paper.
_CSS = """
.hl-figure .hl-still { display: none; max-width: 100%; height: auto; }
.hl-figure .hl-live text { fill: var(--pst-color-text-base, currentColor) !important; }
.hl-figure .hl-live .hoverlayer text { fill: #ffffff !important; }
html[data-theme] .bd-content div.cell_output .text_html:has(.hl-figure) { background: none; padding: 0; }
@media print { .hl-figure .hl-live { display: none; } .hl-figure .hl-still { display: block; } }
"""
_WITHOUT_SCRIPT = ".hl-figure .hl-live { display: none; } .hl-figure .hl-still { display: block; }"


def picture(fig: Figure, dpi: float = 110) -> str:
    """A matplotlib figure as a PNG data address for an ``<img>``."""
    buffer = io.BytesIO()
    # Without a date and a version the same figure gives the same bytes.
    fig.savefig(buffer, format="png", dpi=dpi, transparent=True, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def html(fig: go.Figure, alt: str, still: Figure) -> Interactive:
    """An interactive figure for the book, with a picture for readers without JavaScript and for paper.

    Args:
        fig: plotly figure; it takes the width of the page.
        alt: what the figure shows, in a sentence.
        still: matplotlib figure that says the same without interaction.

    Raises:
        ValueError: the alternative text is empty.
    """
    if not alt.strip():
        raise ValueError(f"alt is {alt!r}; expected a sentence that says what the figure shows")
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
    text = markup.escape(alt)
    return Interactive(
        alt,
        f'<div class="hl-figure"><style>{_CSS}</style><noscript><style>{_WITHOUT_SCRIPT}</style></noscript>'
        f'<div class="hl-live" role="figure" aria-label="{text}">{live}</div>'
        f'<img class="hl-still" src="{picture(still)}" alt="{text}"></div>',
        data,
    )
