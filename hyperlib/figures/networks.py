"""Drawings of networks (figures 1 and 6).

A drawing shows the first layer by the *effect* of its weights on the output, ``W_ij |v_j|``, and everything behind it
as hairlines: a network with one output has as many nearly equal weights to it as it has hidden neurons.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from .. import drawing
from ..drawing import Layout
from ..network import Network, check_single
from . import style

FAINT = 0.08  # edges below this share of their layer's strongest one are not drawn
INK = 110.0  # sum of the relative strengths of all edges above which a drawing is thinned out
SINGLE = 4.8  # inches of a drawing on its own


def effects(net: Network) -> Tensor:
    """What the first-layer weights do to the output, ``(..., n_0, n_1)``: ``W_ij |v_j|``.

    ``|v_j|`` is the length of neuron j's outgoing weights; behind several layers the product of their sizes, a bound.
    """
    reach = net.weights[-1].norm(dim=-1)
    for weight in reversed(net.weights[1:-1]):
        reach = (weight.abs() @ reach[..., None])[..., 0]
    return net.weights[0] * (reach[..., None, :] if len(net.weights) > 1 else 1.0)


def edges(weight: Tensor, levels: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Ends ``(E, 2, 2)`` and relative weights ``(E,)`` of a layer's edges to draw, the strongest last."""
    w = to_numpy(weight)
    w = w / max(np.abs(w).max(), np.finfo(w.dtype).tiny)
    i, j = np.nonzero(np.abs(w) > FAINT)
    front, back = (to_numpy(level) for level in levels)
    order = np.argsort(np.abs(w[i, j]), kind="stable")
    return np.stack([front[i], back[j]], axis=1)[order], w[i, j][order]


def to_numpy(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def edge_table(drawings: Iterable[tuple[str, Network, Layout]]) -> pd.DataFrame:
    """The numbers of drawings, a row per edge: ``layer``, its neurons ``i`` and ``j`` (from 1), ``weight`` W_ij, the
    places of the two neurons, ``x_i, y_i, x_j, y_j``, and the drawing's title, ``network``.
    """
    parts = []
    for title, net, drawn in drawings:
        for layer, weight in enumerate(net.weights):
            w = to_numpy(weight)
            i, j = (index.ravel() for index in np.indices(w.shape))
            before, after = (to_numpy(level) for level in drawn.positions[layer : layer + 2])
            edge = {"layer": layer + 1, "i": i + 1, "j": j + 1, "weight": w.ravel()}
            ends = {"x_i": before[i, 0], "y_i": before[i, 1], "x_j": after[j, 0], "y_j": after[j, 1]}
            parts.append(pd.DataFrame(edge | ends).assign(network=title.replace("\n", ", ")))
    return pd.concat(parts, ignore_index=True)


def paint(ax: Axes, net: Network, drawn: Layout, size: float) -> None:
    """Draw a network on axes that are ``size`` inches wide."""
    ends, values = edges(effects(net), drawn.positions[:2])
    strength = np.abs(values)
    thin = min(1.0, INK / max(strength.sum(), 1e-9))
    colours = np.array([to_rgba(style.POSITIVE if value > 0 else style.NEGATIVE) for value in values]).reshape(-1, 4)
    colours[:, 3] = strength * (0.3 + 0.65 * thin)
    widths = size * (0.15 + strength * (0.2 + 0.9 * thin))
    ax.add_collection(LineCollection(ends, colors=colours, linewidths=widths, capstyle="round", zorder=2))
    later = [edges(*layer) for layer in zip(net.weights[1:], pairwise(drawn.positions[1:]), strict=True)]
    count = sum(len(values) for _, values in later)
    for ends, values in later:
        faded = np.tile(to_rgba(style.LINE), (len(ends), 1))
        faded[:, 3] = np.abs(values) * 0.5 * min(1.0, 60 / max(count, 1))
        ax.add_collection(LineCollection(ends, colors=faded, linewidths=0.12 * size, zorder=1))
    for kind, level in zip(["input", *["hidden"] * (len(net.shape) - 2), "output"], drawn.positions, strict=True):
        x, y = to_numpy(level).T
        ax.scatter(x, y, s=size**2 * AREAS[kind], zorder=3, **MARKS[kind])
    # The output is at the origin, and where it is not in the middle of the others, these decide what is in view.
    places = torch.cat(drawn.positions)
    low, high = (to_numpy(ends) for ends in (places.amin(0), places.amax(0)))
    (x, y), reach = (low + high) / 2, 1.1 * max(float((high - low).max()) / 2, 1e-6)
    ax.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach), aspect="equal")
    ax.axis("off")


MARKS: dict[str, dict] = {
    "input": {"marker": "o", "color": style.TEXT, "linewidths": 0.5, "edgecolors": "white"},
    "hidden": {"marker": "o", "color": style.LINE, "linewidths": 0},
    "output": {"marker": "s", "color": style.TEXT, "linewidths": 0.5, "edgecolors": "white"},
}
AREAS = {"input": 6.5, "hidden": 1.9, "output": 11}  # square points at one inch


def legend(fig: Figure) -> None:
    """What marks and colours mean, in one line below the drawings."""
    looks = {kind: {"linestyle": "", "marker": m["marker"], "color": m["color"]} for kind, m in MARKS.items()}
    looks |= {"effect > 0": {"color": style.POSITIVE}, "effect < 0": {"color": style.NEGATIVE}}
    handles = [Line2D([], [], linewidth=3, markersize=6, label=label, **look) for label, look in looks.items()]
    size = 9.5 if fig.get_size_inches()[0] < 6 else 11
    tight = {"handlelength": 1, "handletextpad": 0.4, "columnspacing": 1}
    fig.legend(handles=handles, loc="lower center", ncols=5, fontsize=size, **tight)


def panels(rows: int, columns: int, size: float, lines: int = 1) -> tuple[style.Shown, np.ndarray]:
    """A figure with ``rows x columns`` square axes of ``size`` inches below ``lines`` of title, and a legend's room."""
    below, cell = 0.35, size + 0.1 + 0.2 * lines
    width, height = size * columns, below + cell * rows
    fig = style.blank(figsize=(width, height), layout="none")
    axes = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x, y = size * column, below + cell * (rows - 1 - row)
        ax = axes[row, column] = fig.add_axes((x / width, y / height, size / width, size / height))
        ax.axis("off")
    return fig, axes


def placed(net: Network, layout: Layout | None = None) -> Layout:
    """The layout of a single network, checked or computed."""
    check_single(net)
    if layout is not None and (layout.shape != net.shape or layout.positions[0].ndim != 2):
        batch = tuple(layout.positions[0].shape[:-2])
        raise ValueError(f"layout has shape {layout.shape} and batch axes {batch}; expected {net.shape} and none")
    return drawing.layout(net) if layout is None else layout


def _grid(drawings: Sequence[tuple[str, Network, Layout]], columns: int) -> Figure:
    """Drawings row by row, each under its title, above what marks and colours mean."""
    size = max(2.4, 8 / columns) if columns > 1 else SINGLE
    fig, axes = panels(math.ceil(len(drawings) / columns), columns, size)
    legend(fig)
    for ax, (title, net, drawn) in zip(axes.flat, drawings, strict=False):
        paint(ax, net, drawn, size)
        ax.set_title(title)
    fig.table = edge_table(drawings)
    return fig


@style.figure
def draw_network(net: Network, layout: Layout | None = None, title: str = "") -> Figure:
    """Force-directed drawing of one network without batch axes (figures 1 and 6, appendix B.1).

    First-layer edges are coloured by the sign of their effect (see `effects`); width and opacity grow with its size
    relative to the strongest one, and edges below 8 % of it are left out. Later edges are hairlines. The ``layout`` is
    computed if not given. TypeError if ``net`` is not a `Network`, ValueError for batch axes or a layout of another
    shape.

    Example:
        >>> import hyperlib as hl
        >>> figure = hl.figures.draw_network(hl.construct.pudding(n=4), title="pudding")
        >>> figure.axes[0].get_title()
        'pudding'
    """
    return _grid([(title, net, placed(net, layout))], 1)


@style.figure
def draw_networks(networks: Sequence[tuple[str, Network]], columns: int = 4) -> Figure:
    """Drawings of several networks, at least one, in a grid, row by row, each under its title."""
    if not networks or columns < 1:
        raise ValueError(f"got {len(networks)} networks and columns={columns}; expected at least one of each")
    return _grid([(title, net, placed(net)) for title, net in networks], min(columns, len(networks)))
