"""Colours and settings of all figures.

Pictures are drawn for a white page, with nearly black text; on a dark page the book's style sheet mirrors their
lightness. Every hue has a contrast of at least 3 to 1 with both pages. Hues follow the palette of Okabe and Ito, which
colour-blind readers can tell apart.
"""

import base64
import functools
import io
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

TEXT = "#262626"
LINE = "#8c8c8c"

# The paper's red, green and blue (figure 3).
PHASES = {"convexity": "#d55e00", "pudding": "#009e73", "double-sided": "#0072b2"}
# What a first layer's structure can be: the algorithms, a kind of convexity, and what lies between two of them.
STRUCTURES = {"convexity": PHASES["convexity"], "random, heavy-tailed": "#99724d"}
STRUCTURES |= {"pudding": PHASES["pudding"], "double-sided": PHASES["double-sided"], "unclear": "#bdbdbd"}
POSITIVE, NEGATIVE = "#d1495b", "#3b82c4"
OTHER = LINE  # seeds or networks that belong to no phase or case

OFFER = "application/vnd.hyperlib.figure+json"  # what a figure offers for download, see `Shown`
LONGEST_CSV = 250_000  # characters; a longer table is offered as Parquet

HEADLINE = 13  # points

SETTINGS = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), TEXT),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), LINE),
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 12),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 11),
    **dict.fromkeys(("legend.frameon", "axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("legend.facecolor", "legend.edgecolor"), "none"),
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "figure.dpi": 144,
    "figure.constrained_layout.use": True,
}


class Shown(Figure):
    """A matplotlib figure that offers the numbers it shows, as an output of the type `OFFER` of its notebook cell.

    Attributes:
        table: the numbers, tidy: one row per thing drawn. A figure without a table offers nothing.
        source: where they came from, such as ``run l1, version 8f6fa2e3``: the ``attrs`` of a run's table say so.
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
        offered = {"svg": buffer.getvalue(), "source": self.source}
        if len(csv) <= LONGEST_CSV:
            return offered | {"csv": csv}
        single = self.table.astype(dict.fromkeys(self.table.select_dtypes("float64"), "float32"))
        file = single.to_parquet(None, index=False, compression="zstd")
        return offered | {"parquet": base64.b64encode(file).decode()}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, dict]:
        return {} if self.table is None else {OFFER: self.offer()}


def subplots(*args: Any, **kwargs: Any) -> tuple[Shown, Any]:
    """``matplotlib.pyplot.subplots`` on a figure that can offer its numbers."""
    return plt.subplots(*args, FigureClass=Shown, **kwargs)


def blank(**kwargs: Any) -> Shown:
    """``matplotlib.pyplot.figure``, one that can offer its numbers."""
    return plt.figure(FigureClass=Shown, **kwargs)


def figure(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: run a function that makes a matplotlib figure under the book's settings, which end with it.

    A figure made in the call is taken out of pyplot's list, so that a notebook shows it once. Its headline is its
    finding, or the further argument ``finding``; its source is that of the tables that were given.
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
                tables = [value for value in (*args, *kwargs.values()) if isinstance(value, pd.DataFrame)]
                sources = dict.fromkeys(t.attrs["source"] for t in tables if t.attrs.get("source"))
                fig.source = "; ".join(sources) or None
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
