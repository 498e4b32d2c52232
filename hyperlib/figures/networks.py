"""Drawings of networks, what they do to one input, and heat maps of their first layers (figures 1 and 6).

A drawing shows the first layer by the *effect* of its weights on the output, ``W_ij |v_j|``, and everything behind it
as hairlines: a network with one output has as many nearly equal weights to it as it has hidden neurons.
"""

from __future__ import annotations

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
from ..checks import expect
from ..drawing import Layout
from ..network import ACTIVATIONS, Network, check_single
from ..problems import get_task
from ..task import Task
from . import style

FAINT = 0.08  # edges below this share of their layer's strongest one are not drawn
INK = 110.0  # sum of the relative strengths of all edges above which a drawing is thinned out
SINGLE = 4.8  # inches of a drawing on its own
READS = 0.5  # share of a neuron's squared weights along a direction from which on the neuron is that direction's own
REACH = 3.0  # responses are drawn for inputs between -REACH and REACH
SUM = "sum"  # the direction along which all inputs grow alike
PARTS = {
    "target": {"color": "#c9c9c9", "linewidth": 7, "solid_capstyle": "round"},
    "own": {"color": "#8a63d2", "linewidth": 1.8},
    "own, weight > 0": {"color": style.POSITIVE, "linewidth": 1.8},
    "own, weight < 0": {"color": style.NEGATIVE, "linewidth": 1.8},
    "all others": {"color": "#b07d00", "linewidth": 1.8, "linestyle": (0, (5, 1.5))},
    "network": {"color": style.TEXT, "linewidth": 1.6, "linestyle": (0, (2, 1.2))},
}  # the lines of a response, in the order in which they are drawn


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


@style.figure
def draw_network(
    net: Network, layout: Layout | None = None, ax: Axes | None = None, title: str | None = None
) -> Figure:
    """Force-directed drawing of one network without batch axes (figures 1 and 6, appendix B.1).

    First-layer edges are coloured by the sign of their effect (see `effects`); width and opacity grow with its size
    relative to the strongest one, and edges below 8 % of it are left out. Later edges are hairlines.

    Args:
        layout: places of its neurons; computed if not given.
        ax: axes to draw on; a new figure with a legend if not given.
        title: text above the drawing.

    TypeError if ``net`` is not a `Network`, ValueError for batch axes or a layout of another shape.

    Example:
        >>> import hyperlib as hl
        >>> figure = hl.figures.draw_network(hl.construct.pudding(n=4), title="pudding")
        >>> figure.axes[0].get_title()
        'pudding'
    """
    drawn = placed(net, layout)
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


def placed(net: Network, layout: Layout | None = None) -> Layout:
    """The layout of a single network, checked or computed."""
    check_single(net)
    if layout is not None and (layout.shape != net.shape or layout.positions[0].ndim != 2):
        batch = tuple(layout.positions[0].shape[:-2])
        raise ValueError(f"layout has shape {layout.shape} and batch axes {batch}; expected {net.shape} and none")
    return drawing.layout(net) if layout is None else layout


def named_edges(drawings: Iterable[tuple[str, Network, Layout]]) -> pd.DataFrame:
    """The `edge_table` of several drawings, under their titles in the column ``network``."""
    parts = [edge_table(net, drawn).assign(network=title.replace("\n", ", ")) for title, net, drawn in drawings]
    return pd.concat(parts, ignore_index=True)


@style.figure
def draw_networks(networks: Sequence[tuple[str, Network]], columns: int = 4) -> Figure:
    """Drawings of several networks, at least one, in a grid, row by row, each under its title."""
    networks = list(networks)
    if not networks or columns < 1:
        raise ValueError(f"got {len(networks)} networks and columns={columns}; expected at least one of each")
    columns = min(columns, len(networks))
    size = max(2.4, 8 / columns) if columns > 1 else SINGLE
    fig, axes = panels(math.ceil(len(networks) / columns), columns, size)
    legend(fig)
    drawings = [(title, net, placed(net)) for title, net in networks]
    for ax, (title, net, drawn) in zip(axes.flat, drawings, strict=False):
        paint(ax, net, drawn, size)
        ax.set_title(title)
    fig.table = named_edges(drawings)
    return fig


@style.figure
def algorithms(networks: Sequence[tuple[str, Network]], task: Task | str = "l1") -> Figure:
    """Networks side by side: above, the drawing; below, what the network does to a typical input (see `response`).

    ``networks`` are titles, of one or two lines, and networks, at least one, made for the ``task``.
    """
    if not networks:
        raise ValueError("got no networks; expected at least one")
    columns, lines = len(networks), max(title.count("\n") + 1 for title, _ in networks)
    size = max(2.3, 8 / columns)
    below, low, gap, heading = 0.68, 0.62 * size, 0.62, 0.12 + 0.24 * lines
    width, height = size * columns + 0.25, below + low + gap + size + heading
    fig = style.blank(figsize=(width, height), layout="none")
    tables, used, top = [], set(), None
    for column, (title, net) in enumerate(networks):
        x = 0.25 + size * column
        above = fig.add_axes((x / width, (below + low + gap) / height, size / width, size / height))
        paint(above, net, placed(net), size)
        above.set_title(title, pad=4)
        place = ((x + 0.28) / width, (below + gap - 0.14) / height, (size - 0.4) / width, low / height)
        ax = fig.add_axes(place, sharey=top)
        top = top or ax
        table, names = _respond(ax, net, None, task)
        tables.append(table.assign(network=title.replace("\n", ", ")))
        used |= names
        ax.tick_params(labelleft=column == 0)
    _response_legend(fig, used)
    served = [str(len(net.weights[0].abs().argmax(0)[assigned(net.weights[0])].unique())) for _, net in networks]
    fig.finding = f"Inputs with a neuron of their own: {', '.join(served)}"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig


def response(
    net: Network, along: int | str, task: Task | str = "l1", samples: int = 1024, output: int = 0
) -> pd.DataFrame:
    """What a network does to one input, or to the sum of all, while the others are normal: means over them.

    Args:
        along: the input, from 0, or `SUM`.
        task: what the network, a single one, was made for; responses are in its raw units.
        samples: how many other inputs are drawn; each counts with either sign.
        output: which of several outputs, from 0.

    Returns:
        Columns ``input``, the value; ``part``, one of `PARTS`; ``response``; ``neurons``, how many the part has.
        ``target`` is 0 where the input is 0 and ``network`` keeps its offset from it. ``own`` neurons, by the sign of
        their weight, are shifted so that their flat side is at 0, ``all others`` to 0 where the input is 0; both are
        absent without own neurons and with several hidden layers.

    ValueError if the network has batch axes, no hidden layer, or no such input.
    """
    check_single(net)
    expect(len(net.shape) >= 3, "shape of the network", net.shape, "(n, m, ...), with a hidden layer")
    n = net.shape[0]
    right = along == SUM or (isinstance(along, int) and 0 <= along < n)
    expect(right, "along", along, f"an input from 0 to {n - 1}, or {SUM!r}")
    W, b, v = (t.detach().double().cpu() for t in (net.weights[0], net.biases[0], net.weights[1][:, [output]]))
    u = torch.full((n,), n**-0.5).double() if isinstance(along, str) else torch.eye(n, dtype=torch.float64)[along]
    half = torch.randn(samples, n, generator=torch.Generator("cpu").manual_seed(0)).double()
    others = torch.cat([half, -half])
    others = others - (others @ u)[:, None] * u
    t = torch.linspace(-REACH, REACH, 61, dtype=torch.float64)
    goal, act = get_task(task), ACTIVATIONS[net.activation]
    each = torch.stack([act((others + value * u) @ W + b).mean(0) for value in t]) * v[:, 0]  # (t, n_1)
    exact = net.map(lambda tensor: tensor.detach().double().cpu())
    whole = torch.stack([exact(others + value * u)[:, output].mean() for value in t])
    lines, mean, std, zero = {}, 0.0, 1.0, whole[len(t) // 2]
    if goal.function is not None:  # a table has no targets but for its rows
        targets = torch.stack([goal.function(others + value * u)[:, output].mean() for value in t])
        mean, std = (m if isinstance(m, float) else m[output] for m in goal.moments_at(n))
        zero = targets[len(t) // 2]
        lines["target"] = targets - zero, 0
    slope = u @ W
    own = (slope.square() > READS * W.square().sum(0)) & (len(net.shape) == 3)
    parts = {"own": (own & (along == SUM), len(t) // 2)}  # which neurons, and where their line is at 0
    parts["own, weight > 0"] = own & (slope > 0) & (along != SUM), 0
    parts["own, weight < 0"] = own & (slope < 0) & (along != SUM), -1
    parts["all others"] = ~own, len(t) // 2
    for name, (chosen, flat) in parts.items():
        if own.any() and (chosen.any() or name == "all others"):
            line = std * each[:, chosen].sum(1)
            lines[name] = (line - line[flat], int(chosen.sum()))
    lines["network"] = (std * whole + mean - zero, net.shape[1])
    rows = [{"input": t.numpy(), "part": name, "response": line.numpy(), "neurons": count}
            for name, (line, count) in lines.items()]  # fmt: skip
    return pd.concat([pd.DataFrame(row) for row in rows], ignore_index=True)


def typical_input(net: Network, task: Task | str = "l1") -> int:
    """The input whose response is as far from the target as the median one's (of an even number, the lower middle)."""
    errors = []
    for i in range(net.shape[0]):
        lines = response(net, i, task, samples=128).pivot(index="input", columns="part", values="response")
        errors.append(float(((lines["network"] - lines.get("target", 0)) ** 2).mean()))
    return int(np.argsort(errors, kind="stable")[(len(errors) - 1) // 2])


@style.figure
def responses(
    net: Network, input: int | str | None = None, task: Task | str = "l1", title: str | None = None
) -> Figure:
    """What a network makes of one input: its own neurons, all others, their sum, and the target (section 2.1).

    Args:
        input: the input, from 0, or ``"sum"`` for the direction along which all grow alike; by default the input with
            the median error.
        task: what the network, without batch axes, was made for.
        title: text above.
    """
    fig, ax = style.subplots(figsize=(5.2, 3.8))
    fig.table, used = _respond(ax, net, input, task)
    _response_legend(fig, used, "outside lower center")
    if title is not None:
        ax.set_title(title)
    return fig


def _respond(ax: Axes, net: Network, along: int | str | None, task: Task | str) -> tuple[pd.DataFrame, set[str]]:
    """Draw a response and return its table and the parts that it has."""
    check_single(net)
    chosen = typical_input(net, task) if along is None else along
    table = response(net, chosen, task)
    for name, looks in PARTS.items():
        line = table[table["part"] == name]
        ax.plot(line["input"], line["response"], **looks)
    own = table[table["part"].str.startswith("own")].groupby("part")["neurons"].first().sum()
    neurons = "no neuron" if not own else "1 neuron" if own == 1 else f"{own} neurons"
    place = chosen + 1 if isinstance(chosen, int) else chosen
    total = rf"$\sum_i x_i / \sqrt{{{net.shape[0]}}}$"
    ax.set_xlabel(total if place == SUM else f"$x_{{{place}}}$: {neurons} of its own")
    ax.set_xticks([-2, 0, 2])
    ax.grid(True)
    return table.assign(along=place), set(table["part"])


def _response_legend(fig: Figure, used: set[str], loc: str = "lower center") -> None:
    handles = [Line2D([], [], label=name, **looks) for name, looks in PARTS.items() if name in used]
    fig.legend(handles=handles, loc=loc, ncols=3, handlelength=1.8, columnspacing=1.4, fontsize=11)


def role_order(weight: Tensor) -> tuple[Tensor, int]:
    """Order ``(n_1,)`` of the hidden neurons by role, for ``weight`` ``(n_0, n_1)``, and how many are assigned.

    `assigned` neurons come first, by their strongest input, and of one input from the most positive weight to the most
    negative; those that all inputs share follow, from the strongest to the weakest: by their largest weight, they would
    make a diagonal that is not there.
    """
    own, strongest = assigned(weight), weight.abs().argmax(0)
    place = torch.where(own, strongest, len(weight))
    size = torch.where(own, weight.gather(0, strongest[None])[0], weight.square().sum(0))
    return torch.from_numpy(np.lexsort((-to_numpy(size), to_numpy(place)))), int(own.sum())


def assigned(weight: Tensor) -> Tensor:
    """Which hidden neurons ``(n_1,)`` have over `READS` of their squared weights on one input and are not faint."""
    squares = weight.square()
    return (squares.amax(0) > READS * squares.sum(0)) & (squares.amax(0) > FAINT**2 * squares.max())


def _divide(ax: Axes, assigned: int, hidden: int) -> None:
    """A line between assigned and shared neurons, and what the two sides are, below a weight map."""
    if 0 < assigned < hidden:
        ax.axvline(assigned - 0.5, color=style.TEXT, linewidth=1.5)
    for first, count, kind in ((0, assigned, "assigned"), (assigned, hidden - assigned, "shared")):
        if count:
            text = str(count) if count < hidden / 6 else f"{count} {kind}"
            below = (first + (count - 1) / 2, -0.03)
            ax.annotate(text, below, xycoords=("data", "axes fraction"), ha="center", va="top")


@style.figure
def weight_maps(nets: Sequence[Network], titles: Sequence[str]) -> Figure:
    """First-layer matrices as heat maps: inputs in rows, hidden neurons in columns (figure 6).

    Columns are in `role_order`; colours are relative to each matrix's largest weight. Networks are single ones with a
    title each, or a ValueError.
    """
    if not nets or len(nets) != len(titles):
        raise ValueError(f"got {len(nets)} networks and {len(titles)} titles; expected a title for each network")
    heights = [min(3.0, 5.2 * net.shape[0] / net.shape[1]) for net in nets]
    size = (7.4, sum(heights) + 0.9 * len(nets))
    fig, axes = style.subplots(len(nets), 1, figsize=size, squeeze=False, height_ratios=heights)
    tables, own = [], []
    for ax, net, title in zip(axes[:, 0], nets, titles, strict=True):
        check_single(net, repr(title))
        weight = net.weights[0].detach()
        largest = float(weight.abs().max())
        order, first = role_order(weight)
        own.append(first)
        matrix = to_numpy(weight[:, order]) / (largest or 1.0)
        image = ax.imshow(matrix, cmap=style.diverging(), vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
        ax.set(ylabel="input", xticks=[], yticks=[0, weight.shape[0] - 1])
        ax.set_title(title, loc="left")
        ax.set_title(f"largest |weight| {largest:.2g}", loc="right", fontsize=10)
        ax.set_yticklabels(["1", str(weight.shape[0])])
        ax.spines[["top", "right"]].set_visible(True)
        _divide(ax, first, weight.shape[1])
        i, column = (index.ravel() for index in np.indices(matrix.shape))
        cells = {"input": i + 1, "hidden": to_numpy(order)[column] + 1, "column": column + 1}
        values = to_numpy(weight[:, order]).ravel()
        tables.append(pd.DataFrame({"network": title.replace("\n", ", ")} | cells | {"weight": values}))
    inset = fig.colorbar(image, ax=axes[-1, 0], ticks=[-1, 0, 1], location="bottom", shrink=0.4, aspect=22, pad=0.22)
    inset.set_label("weight / largest |weight|")
    inset.outline.set_edgecolor(style.LINE)
    fig.finding = f"Hidden neurons that read a single input: {', '.join(map(str, own))}"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig
