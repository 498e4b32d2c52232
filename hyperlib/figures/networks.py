"""Drawings of networks and heat maps of their first-layer matrices (figures 1 and 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from .. import drawing
from ..drawing import Layout
from ..network import Network, check_network
from . import style

FAINT = 0.08  # edges below this share of their layer's strongest weight are not drawn
INK = 110.0  # sum of the relative strengths of all edges above which a drawing is thinned out
SINGLE = 4.8  # inches of a drawing on its own


def visible_edges(net: Network, drawn: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Ends ``(E, 2, 2)`` and relative signed weights ``(E,)`` of the edges to draw, the strongest last.

    Strength is relative to the strongest weight of the edge's layer, so that the small weights to the output show too.
    """
    ends, values = [], []
    for layer, weight in enumerate(net.weights):
        w = to_numpy(weight)
        w = w / max(np.abs(w).max(), np.finfo(w.dtype).tiny)
        i, j = np.nonzero(np.abs(w) > FAINT)
        front, back = (to_numpy(level) for level in drawn.positions[layer : layer + 2])
        ends.append(np.stack([front[i], back[j]], axis=1))
        values.append(w[i, j])
    places, strengths = np.concatenate(ends), np.concatenate(values)
    order = np.argsort(np.abs(strengths), kind="stable")
    return places[order], strengths[order]


def to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def edge_table(net: Network, drawn: Layout) -> pd.DataFrame:
    """The numbers of a drawing, a row per edge: ``layer``, its neurons ``i`` and ``j`` (from 1), ``weight`` W_ij, and
    the places of the two neurons, ``x_i, y_i, x_j, y_j``.
    """
    parts = []
    for layer, weight in enumerate(net.weights):
        w = to_numpy(weight)
        i, j = (index.ravel() for index in np.indices(w.shape))
        before, after = (to_numpy(level) for level in drawn.positions[layer : layer + 2])
        ends = {"x_i": before[i, 0], "y_i": before[i, 1], "x_j": after[j, 0], "y_j": after[j, 1]}
        parts.append(pd.DataFrame({"layer": layer + 1, "i": i + 1, "j": j + 1, "weight": w.ravel()} | ends))
    return pd.concat(parts, ignore_index=True)


def named_edges(drawings: Sequence[tuple[str, Network, Layout]]) -> pd.DataFrame:
    """The `edge_table` of several drawings, under their titles in the column ``network``."""
    parts = [edge_table(net, drawn).assign(network=title.replace("\n", ", ")) for title, net, drawn in drawings]
    return pd.concat(parts, ignore_index=True)


def level_names(net: Network) -> list[str]:
    """What the neurons of each level are called."""
    return ["input", *["hidden"] * (len(net.shape) - 2), "output"]


def radius(drawn: Layout) -> float:
    """Largest distance of a neuron from the origin."""
    return max(float(level.norm(dim=-1).max()) for level in drawn.positions)


def paint(ax: Axes, net: Network, drawn: Layout, size: float) -> None:
    """Draw a network on axes that are ``size`` inches wide."""
    ends, values = visible_edges(net, drawn)
    strength = np.abs(values)
    thin = min(1.0, INK / max(strength.sum(), 1e-9))
    colours = np.array([to_rgba(style.POSITIVE if value > 0 else style.NEGATIVE) for value in values]).reshape(-1, 4)
    colours[:, 3] = strength * (0.25 + 0.65 * thin)
    widths = size * (0.15 + strength * (0.2 + 0.6 * thin))
    ax.add_collection(LineCollection(ends, colors=colours, linewidths=widths, capstyle="round"))
    for kind, level in zip(level_names(net), drawn.positions, strict=True):
        x, y = to_numpy(level).T
        area = size**2 * {"input": 7, "hidden": 2.6, "output": 12}[kind]
        ax.scatter(x, y, s=area, color=style.NEURONS[kind], linewidths=0, zorder=3)
    reach = 1.07 * radius(drawn)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.axis("off")


def legend(fig: Figure) -> None:
    """What the colours mean, in one line below the drawings."""
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=6, color=colour, label=kind)
        for kind, colour in style.NEURONS.items()
    ]
    signs = (("weight > 0", style.POSITIVE), ("weight < 0", style.NEGATIVE))
    handles += [Line2D([], [], linewidth=2.5, color=colour, label=label) for label, colour in signs]
    size = 9 if fig.get_size_inches()[0] < 6 else 11
    tight = {"handlelength": 1, "handletextpad": 0.5, "columnspacing": 1}
    fig.legend(handles=handles, loc="lower center", ncols=5, fontsize=size, **tight)


def panels(rows: int, columns: int, size: float, lines: int = 1, left: float = 0.0) -> tuple[style.Shown, np.ndarray]:
    """A figure with ``rows x columns`` square axes, and room for titles, a legend and a margin on the left.

    Every place is known beforehand, and matplotlib's own layout takes no account of titles above square axes.

    Args:
        size: inches of one panel.
        lines: lines of title above each panel.
        left: inches of the left margin.
    """
    below, cell = 0.35, size + 0.1 + 0.2 * lines
    width, height = left + size * columns, below + cell * rows
    fig = style.blank(figsize=(width, height), layout="none")
    axes = np.empty((rows, columns), dtype=object)
    for row, column in np.ndindex(rows, columns):
        x, y = left + size * column, below + cell * (rows - 1 - row)
        ax = axes[row, column] = fig.add_axes((x / width, y / height, size / width, size / height))
        ax.axis("off")
    return fig, axes


@style.figure
def draw_network(
    net: Network, layout: Layout | None = None, ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Force-directed drawing of one network (figures 1 and 6, appendix B.1).

    Edges are coloured by sign; width and opacity grow with |w| relative to the strongest weight of the same layer, and
    edges below 8 % of it are left out.

    Args:
        net: one network, without batch axes.
        layout: places of its neurons; computed if not given.
        ax: axes to draw on; a new figure with a legend if not given.
        title: text above the drawing.

    Raises:
        TypeError: ``net`` is not a `Network`.
        ValueError: the network has batch axes, or the layout belongs to another shape.

    Example:
        >>> import hyperlib as hl
        >>> figure = hl.figures.draw_network(hl.construct.pudding(n=4), title="pudding")
        >>> figure.axes[0].get_title()
        'pudding'
    """
    drawn = _placed(net, layout)
    if ax is None:
        fig, axes = panels(1, 1, SINGLE)
        ax, size = axes[0, 0], SINGLE
        legend(fig)
        fig.table = edge_table(net, drawn)
    else:
        fig = ax.figure
        size = ax.get_window_extent().width / fig.dpi
    paint(ax, net, drawn, size)
    if title is not None:
        ax.set_title(title)
    return fig


def _placed(net: Network, layout: Layout | None) -> Layout:
    """The layout of a single network, checked or computed."""
    check_network(net)
    if net.batch_shape:
        raise ValueError(f"the network has batch axes {tuple(net.batch_shape)}; index one network, as in net[0]")
    if layout is not None and (layout.shape != net.shape or layout.energy.ndim != 1):
        batch = tuple(layout.energy.shape[:-1])
        raise ValueError(f"layout has shape {layout.shape} and batch axes {batch}; expected {net.shape} and none")
    return drawing.layout(net) if layout is None else layout


@style.figure
def draw_networks(networks: Sequence[tuple[str, Network]], columns: int = 4) -> Figure:
    """Drawings of several networks in a grid, row by row, each under its title.

    Raises:
        ValueError: no networks, or fewer than one column.
    """
    networks = list(networks)
    if not networks or columns < 1:
        raise ValueError(f"got {len(networks)} networks and columns={columns}; expected at least one of each")
    columns = min(columns, len(networks))
    size = max(2.4, 8 / columns) if columns > 1 else SINGLE
    fig, axes = panels(math.ceil(len(networks) / columns), columns, size)
    drawings = [(title, net, _placed(net, None)) for title, net in networks]
    for ax, (title, net, drawn) in zip(axes.flat, drawings, strict=False):
        paint(ax, net, drawn, size)
        ax.set_title(title)
    legend(fig)
    fig.table = named_edges(drawings)
    return fig


@style.figure
def compare_construction(
    generated: Sequence[tuple[str, Network]], constructed: Sequence[tuple[str, Network]]
) -> Figure:
    """Generated networks above, below each its exact construction (figure 1, equations 1 to 4).

    Raises:
        ValueError: the two lists are empty or differ in length.
    """
    if not generated or len(generated) != len(constructed):
        raise ValueError(
            f"got {len(generated)} generated and {len(constructed)} constructed networks; expected a pair of each"
        )
    columns = len(generated)
    size = max(2.4, 8 / columns) if columns > 1 else SINGLE
    fig, axes = panels(2, columns, size, left=0.3)
    tables = []
    for row, (kind, networks) in enumerate((("generated", generated), ("constructed", constructed))):
        drawings = [(title, net, _placed(net, None)) for title, net in networks]
        for ax, (title, net, drawn) in zip(axes[row], drawings, strict=True):
            paint(ax, net, drawn, size)
            ax.set_title(title)
        tables.append(named_edges(drawings).assign(kind=kind))
        # The axes are off, and with them their labels.
        axes[row, 0].text(-0.02, 0.5, kind, transform=axes[row, 0].transAxes, rotation=90, ha="right", va="center")
    legend(fig)
    fig.table = pd.concat(tables, ignore_index=True)
    return fig


def matched_order(weight: Tensor) -> Tensor:
    """Order ``(n_1,)`` of the hidden neurons by the input that each is assigned to, for ``weight`` ``(n_0, n_1)``.

    A hidden neuron is assigned to its strongest input. Those of one input are ordered from the most positive weight to
    the most negative, so that the matrices of one algorithm look alike however their hidden neurons are numbered.
    """
    assigned = weight.abs().argmax(0)
    value = weight.gather(0, assigned[None])[0]
    by_value = value.argsort(descending=True, stable=True)
    return by_value[assigned[by_value].argsort(stable=True)]


@style.figure
def weight_maps(nets: Sequence[Network], titles: Sequence[str]) -> Figure:
    """First-layer matrices as heat maps: inputs in rows, hidden neurons in columns (figure 6).

    Columns are ordered by `matched_order`, so that matrices can be compared. Colours are relative to the largest
    absolute weight of each matrix, which stands below it.

    Raises:
        ValueError: no networks, as many titles as networks were not given, or a network has batch axes.
    """
    if not nets or len(nets) != len(titles):
        raise ValueError(f"got {len(nets)} networks and {len(titles)} titles; expected a title for each network")
    shapes = [net.shape for net in nets]
    heights = [min(4.0, 7 * n / m) for n, m, *_ in shapes]
    fig, axes = style.subplots(
        len(nets), 1, figsize=(7.4, sum(heights) + 0.9 * len(nets)), squeeze=False, height_ratios=heights
    )
    tables = []
    for ax, net, title in zip(axes[:, 0], nets, titles, strict=True):
        if net.batch_shape:
            raise ValueError(f"{title!r} has batch axes {tuple(net.batch_shape)}; index one network, as in net[0]")
        weight = net.weights[0].detach()
        largest = float(weight.abs().max())
        order = matched_order(weight)
        matrix = to_numpy(weight[:, order]) / (largest or 1.0)
        image = ax.imshow(matrix, cmap=style.diverging(), vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        ax.set(title=title, ylabel="input neuron", xticks=[], yticks=[0, weight.shape[0] - 1])
        ax.set_yticklabels(["1", str(weight.shape[0])])
        ax.set_xlabel(f"hidden neurons, by assigned input; largest |weight| {largest:.2g}")
        ax.spines[["top", "right"]].set_visible(True)
        i, column = (index.ravel() for index in np.indices(matrix.shape))
        cells = {"input": i + 1, "hidden": to_numpy(order)[column] + 1, "column": column + 1}
        values = to_numpy(weight[:, order]).ravel()
        tables.append(pd.DataFrame({"network": title.replace("\n", ", ")} | cells | {"weight": values}))
    bar = fig.colorbar(image, ax=axes[:, 0].tolist(), ticks=[-1, 0, 1], aspect=30, pad=0.02)
    bar.set_label("weight / largest |weight|")
    bar.outline.set_edgecolor(style.LINE)
    fig.table = pd.concat(tables, ignore_index=True)
    return fig
