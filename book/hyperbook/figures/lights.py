"""What words of a page speak of, in its pictures: `book/_static/lights.js` lights it up when one points at a word.

In the text, ``[such neurons]{.hl-says-kinks}`` speaks of what is lit under ``kinks`` in any picture of the page. Places
are those of the picture as a notebook shows it, cropped to what is drawn.
"""

import json
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib import rcParams
from matplotlib.collections import PathCollection

import hyperlib as hl

from .weights import assigned

Lit = tuple[plt.Axes, np.ndarray, float]  # axes, segments (K, 2, 2) and how wide they are lit, in units of the data
THICK = 0.045  # width of what is lit in a drawing, in parts of the drawing's


def neurons(ax: plt.Axes, net: hl.Network, hidden: Sequence[int] | None = None) -> list[Lit]:
    """Hidden neurons of a drawing, those that read one input with that input; these alone by default."""
    inputs, places, *_ = (c.get_offsets() for c in ax.collections if isinstance(c, PathCollection))
    W, own = net.weights[0].detach(), assigned(net.weights[0]).numpy()
    chosen = np.asarray(np.flatnonzero(own) if hidden is None else hidden, dtype=int)
    ends = np.where(own[chosen, None], inputs[W.abs().argmax(0).numpy()[chosen]], places[chosen])
    return [(ax, np.stack([ends, places[chosen]], 1), THICK * float(np.ptp(ax.get_xlim())))]


def columns(ax: plt.Axes, places: Sequence[float]) -> list[Lit]:
    """Columns of a heat map, each one wide, by the places of their middles."""
    return [(ax, np.array([[(x, y) for y in ax.get_ylim()] for x in places]).reshape(-1, 2, 2), 1.0)]


def in_maps(maps: plt.Figure, hidden: Sequence[int]) -> list[Lit]:
    """Hidden neurons in every heat map of `hyperbook.figures.programs.sorted_by_program`."""
    chosen = maps.table[maps.table["hidden"].isin([j + 1 for j in hidden])]
    places = {title: rows["column"].unique() - 1 for title, rows in chosen.groupby("order")}
    return [lit for ax in maps.axes for lit in columns(ax, places.get(ax.get_title(), []))]


def sorts(program: hl.Program) -> dict[str, list[int]]:
    """Hidden neurons by what a program says of them: ``own``, they read one input, with its sign (``up``) or against it
    (``down``); ``line``, they read many; ``idle``, they do nothing.
    """
    found: dict[str, list[int]] = {word: [] for word in ("own", "up", "down", "line", "idle")}
    for reads, weights, hidden in program.groups[["reads", "own", "neurons"]].itertuples(index=False):
        words = {"one input": ["own", "up" if [*weights, 0][0] > 0 else "down"], "nothing": ["idle"]}
        for word in words.get(reads, ["line"]):
            found[word] += hidden
    return found


def lights(figure: str, fig: plt.Figure, words: Mapping[str, Sequence[Lit]]) -> HTML:
    """For the page: what every word lights up in the figure of that name."""
    fig.draw_without_rendering()
    box = fig.get_tightbbox().padded(rcParams["savefig.pad_inches"])

    def drawn(ax: plt.Axes, segments: np.ndarray, width: float) -> tuple[float, str]:
        (left, _), (right, _) = ax.transData.transform([(0, 0), (width, 0)])
        x, y = (ax.transData.transform(segments.reshape(-1, 2)) / fig.dpi - (box.x0, box.y0)).T
        ends = [f"{across:.3f} {box.height - up:.3f}" for across, up in zip(x, y, strict=True)]
        path = (f"M{one}L{other}" for one, other in zip(ends[::2], ends[1::2], strict=True))
        return round((right - left) / fig.dpi, 3), "".join(path)

    found = {word: [drawn(*one) for one in lit] for word, lit in words.items()}
    data = json.dumps({"size": [round(box.width, 3), round(box.height, 3)], "words": found})
    return HTML(f'<script type="application/json" class="hl-lights" data-figure="{figure}">{data}</script>')
