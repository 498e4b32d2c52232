"""A slider over beta that shows one seed's network change its algorithm."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from .. import drawing
from ..drawing import Layout
from ..network import Network
from . import style
from .networks import legend, level_names, named_edges, paint, panels, radius, to_numpy, visible_edges

GRID = 500  # coordinates of an interactive drawing are whole numbers up to this: half the bytes of decimal fractions
WIDTH_BINS = 4  # line widths of an interactive drawing: one trace per width and sign


def _chain(networks: Network) -> list[Layout]:
    """Layouts of a batch ``(B,)`` of networks, each started from the one before."""
    layouts: list[Layout] = []
    for index in range(networks.batch_shape[0]):
        layouts.append(drawing.layout(networks[index], start=layouts[-1] if layouts else None))
    return layouts


def _bins(net: Network, drawn: Layout) -> list[tuple[list, list]]:
    """Coordinates of the edges for plotly, one broken line per sign and width, weak before strong."""
    ends, values = visible_edges(net, drawn)
    width = np.minimum((np.abs(values) * WIDTH_BINS).astype(int), WIDTH_BINS - 1)
    lines = []
    for level in range(WIDTH_BINS):
        for sign in (-1, 1):
            chosen = ends[(width == level) & (np.sign(values) == sign)].round().astype(int).tolist()
            x = [number for (a, b) in chosen for number in (a[0], b[0], None)]
            y = [number for (a, b) in chosen for number in (a[1], b[1], None)]
            lines.append((x, y))
    return lines


def beta_slider(
    networks: Network, betas: Sequence[float], losses: Sequence[float], labels: Sequence[str]
) -> style.Interactive:
    """A slider over beta that shows one seed's network change its algorithm.

    Drawings are computed from the highest beta down, each from its neighbour's, so that neurons keep their places.

    Args:
        networks: one network per beta, batch axes ``(B,)``.
        betas: the values of beta ``(B,)``.
        losses: normalised MSE of each network ``(B,)``.
        labels: what each network is classified as ``(B,)``.

    Raises:
        ValueError: the lengths differ or there is no network.
    """
    counts = {tuple(networks.batch_shape), (len(betas),), (len(losses),), (len(labels),)}
    if len(counts) != 1 or not len(betas):
        raise ValueError(
            f"got networks with batch axes {tuple(networks.batch_shape)}, {len(betas)} betas, {len(losses)} losses "
            f"and {len(labels)} labels; expected batch axes (B,) and B of each"
        )
    order = sorted(range(len(betas)), key=lambda k: -betas[k])
    layouts = _chain(networks[order])[::-1]
    order = order[::-1]
    nets = [networks[k] for k in order]
    frames = []
    for number, (net, drawn) in enumerate(zip(nets, layouts, strict=True)):
        grid = replace(drawn, positions=[level * (GRID / radius(drawn)) for level in drawn.positions])
        traces = [go.Scatter(x=x, y=y) for x, y in _bins(net, grid)]
        for level in grid.positions:
            x, y = to_numpy(level).round().astype(int).T.tolist()
            traces.append(go.Scatter(x=x, y=y))
        frames.append(go.Frame(name=str(number), data=traces, traces=list(range(len(traces)))))
    names = [_caption(betas[k], losses[k], labels[k], markup=True) for k in order]
    fig = go.Figure(_first_traces(frames[0], nets[0]), _slider_layout(names), frames)
    alt = (
        f"Force-directed drawings of one seed's network at {len(betas)} values of beta from {min(betas):.0e} to "
        f"{max(betas):.0e}, with a slider over beta; from low to high beta the algorithm is {_runs(labels, order)}."
    )
    return style.html(fig, alt, _slider_still(nets, layouts, [_caption(betas[k], losses[k], labels[k]) for k in order]))


def _caption(beta: float, loss: float, label: str, markup: bool = False) -> str:
    if markup:
        colour = style.PHASES.get(label, style.OTHER)
        return f'β = {beta:.0e} &nbsp; <span style="color:{colour}">●</span> {label} &nbsp; loss {loss:.2g}'
    return f"β = {beta:.0e}\n{label}\nloss {loss:.2g}"


def _runs(labels: Sequence[str], order: Sequence[int]) -> str:
    """Labels in order of beta without repetitions, in words."""
    return ", then ".join(label for label, _ in itertools.groupby(labels[k] for k in order))


def _first_traces(frame: go.Frame, net: Network) -> list[go.Scatter]:
    """The traces of the first frame with the looks that all frames share."""
    traces = []
    for number, line in enumerate(frame.data[: 2 * WIDTH_BINS]):
        strength = (number // 2 + 1) / WIDTH_BINS
        red, green, blue, _ = to_rgba(style.POSITIVE if number % 2 else style.NEGATIVE, strength)
        colour = f"rgba({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f},{0.2 + 0.65 * strength:.2f})"
        looks: dict[str, object] = {
            "mode": "lines",
            "line": {"color": colour, "width": 0.5 + 2.5 * strength**2},
            "hoverinfo": "skip",
        }
        looks["name"] = "weight > 0" if number % 2 else "weight < 0"
        looks["showlegend"] = number >= 2 * (WIDTH_BINS - 1)
        traces.append(go.Scatter(line.to_plotly_json() | looks))
    named: set[str] = set()
    for kind, size, level in zip(level_names(net), net.shape, frame.data[2 * WIDTH_BINS :], strict=True):
        marker = {"color": style.NEURONS[kind], "size": {"input": 11, "hidden": 7, "output": 14}[kind]}
        looks = {"mode": "markers", "marker": marker, "hovertemplate": "%{text}<extra></extra>", "name": kind}
        text = [f"{kind} {k + 1}" for k in range(size)]
        traces.append(go.Scatter(level.to_plotly_json() | looks, text=text, showlegend=kind not in named))
        named.add(kind)
    return traces


def _slider_layout(names: Sequence[str]) -> go.Layout:
    show = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    hidden = {"visible": False, "range": [-1.06 * GRID, 1.06 * GRID], "fixedrange": True, "constrain": "domain"}
    return go.Layout(
        template=style.template(),
        height=600,
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 1, "yanchor": "bottom", "itemclick": False},
        dragmode=False,
        xaxis=hidden,
        yaxis=hidden | {"scaleanchor": "x"},
        sliders=[
            {
                "steps": [{"method": "animate", "label": n, "args": [[str(k)], show]} for k, n in enumerate(names)],
                "currentvalue": {"xanchor": "center", "font": {"color": style.TEXT, "size": 16}},
                "font": {"color": "rgba(0, 0, 0, 0)"},  # no labels below the ticks: they would overlap
                "pad": {"t": 10, "b": 10},
                "ticklen": 0,
                "minorticklen": 0,
                "bgcolor": "rgba(140, 140, 140, 0.3)",
                "activebgcolor": style.LINE,
                "bordercolor": style.LINE,
            }
        ],
    )


@style.figure
def _slider_still(nets: Sequence[Network], layouts: Sequence[Layout], names: Sequence[str]) -> Figure:
    """Five of the slider's drawings in a row; its table has the edges of all."""
    chosen = np.unique(np.linspace(0, len(nets) - 1, 5).round().astype(int))
    fig, axes = panels(1, len(chosen), 2.0, lines=3)
    for ax, k in zip(axes[0], chosen, strict=True):
        paint(ax, nets[k], layouts[k], 2.0)
        ax.set_title(names[k], fontsize=11)
    legend(fig)
    fig.table = named_edges(list(zip(names, nets, layouts, strict=True)))
    return fig
