"""Networks in the space of their order parameters (figure 2) and the data behind the hand-picked boundaries.

A sweep that lacks a column, or has no rows, is a ValueError: see `hyperbook.studies.development.check_sweep`.
"""

from __future__ import annotations

import math
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS
from hyperlib.figures import style

from ..studies.development import algorithm, check_sweep
from .interactive import Interactive, html, seed_list, template
from .shared import count, final, plain_ticks

NEEDED = ("seed", "step", "beta", "loss", "kl", "alpha_1", "alpha_2", "alpha_3", "phase")
OFFERED = ("seed", "beta", "alpha_1", "alpha_2", "alpha_3", "phase", "loss", "kl")  # the numbers under the figures
SCRIPT = "../_static/space.js"  # where the book keeps it, seen from a notebook's page
SMALLEST, LARGEST = 0.1, 1e4  # alpha_1 may be negative, and infinite where most weights are 0: drawn at these ends

# Colours of the ways from the lowest to the highest beta; those that stay what they are have their phase's.
WAYS = dict.fromkeys(product(PHASES, PHASES), style.OTHER)
WAYS |= {(name, name): colour for name, colour in style.PHASES.items()}
WAYS |= {(PUDDING, CONVEXITY): "#b07d00", (DOUBLE_SIDED, CONVEXITY): "#8a63d2", (DOUBLE_SIDED, PUDDING): "#c44e9b"}


def _lines(sweep: pd.DataFrame) -> tuple[dict[int, pd.DataFrame], dict[int, tuple[str, str]]]:
    """Seed -> rows at the last step along beta, and seed -> phases at the lowest and the highest beta."""
    check_sweep(sweep, NEEDED)
    lines = dict(iter(final(sweep).groupby("seed")))
    return lines, {seed: (line["phase"].iloc[0], line["phase"].iloc[-1]) for seed, line in lines.items()}


def _present(ways: dict[int, tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """Way -> its seeds, for those that are present, in the order of the phases."""
    return {way: found for way in WAYS if (found := [seed for seed, other in ways.items() if other == way])}


def _name(way: tuple[str, str]) -> str:
    return way[0] if way[0] == way[1] else f"{way[0]} → {way[1]}"


def _drawn(line: pd.DataFrame) -> pd.Series:
    """alpha_1 as it is drawn."""
    return line["alpha_1"].clip(SMALLEST, LARGEST)


def _dotted(ax: Axes, corner: bool) -> None:
    """Boundaries of `THRESHOLDS`, alpha_2 upwards and, with ``corner``, alpha_1 to the right, above alpha_2's only."""
    looks = {"color": style.TEXT, "linestyle": ":", "linewidth": 1.3, "zorder": 1}
    ax.axhline(THRESHOLDS.strongest, **looks)
    if corner:
        ax.plot([THRESHOLDS.double_sided] * 2, [THRESHOLDS.strongest, ax.get_ylim()[1]], scaley=False, **looks)


@style.figure
def order_space(sweep: pd.DataFrame) -> Figure:
    """alpha_2 against alpha_1 and alpha_3 at the last step: points are networks, lines seeds along beta (figure 2).

    Colours are those of the structure of the first layer, or of the phase where a run has no structures; large dots are
    the lowest beta. Dotted lines are the boundaries. An alpha_1 below 0.1 or above 10,000, which a logarithmic axis
    cannot hold, is drawn at that end.
    """
    lines, ways = _lines(sweep)
    last = final(sweep)
    kinds = last[algorithm(last)].value_counts().reindex(style.STRUCTURES).dropna().astype(int)
    fig, axes = style.subplots(1, 2, figsize=(8, 4.5), sharey=True, width_ratios=(1.25, 1))
    for ax, name in zip(axes, ("alpha_1", "alpha_3"), strict=True):
        for line in lines.values():
            x, y = (line["alpha_3"] if name == "alpha_3" else _drawn(line)), line["alpha_2"]
            colours = line[algorithm(line)].map(style.STRUCTURES)
            ax.plot(x, y, color=style.LINE, linewidth=0.6, alpha=0.4, zorder=2)
            ax.scatter(x, y, c=colours, s=[34, *[9] * (len(line) - 1)], linewidths=0, zorder=3, rasterized=True)
        ax.set_yscale("log")
        ax.grid(True, which="major")
    axes[0].set(xscale="log", xlabel="double-sidedness $\\alpha_1$", ylabel="strongest connection $\\alpha_2$")
    axes[1].set_xlabel("seed dependence $\\alpha_3$")
    low, high = axes[0].get_ylim()
    axes[0].set_ylim(min(low, 0.8 * THRESHOLDS.strongest), max(high, 1.6 * THRESHOLDS.strongest))
    plain_ticks(axes[0].yaxis, axes[0].get_ylim())
    for ax, corner in zip(axes, (True, False), strict=True):
        _dotted(ax, corner)
    left = min(axes[0].get_xlim()[0], THRESHOLDS.double_sided / 5)
    right = max(axes[0].get_xlim()[1], THRESHOLDS.double_sided * 5)
    axes[0].set_xlim(left, right)
    plain_ticks(axes[0].xaxis, (left, right), (1, 3))
    inside = {"fontsize": 9.5, "fontstyle": "italic", "alpha": 0.9}
    top, bottom = axes[0].get_ylim()[1] * 0.96, axes[0].get_ylim()[0] * 1.03
    gap = THRESHOLDS.double_sided
    axes[0].text(gap * 0.92, top, PUDDING, ha="right", va="top", **inside)
    axes[0].text(gap * 1.08, top, DOUBLE_SIDED, ha="left", va="top", **inside)
    axes[0].text(right, bottom, CONVEXITY, ha="right", va="bottom", **inside)
    handles = [
        Line2D([], [], linestyle="", color=style.STRUCTURES[kind], marker="o", markersize=6, label=f"{kind} ({number})")
        for kind, number in kinds.items()
    ]
    handles.append(Line2D([], [], color=style.TEXT, linestyle=":", label="hand-picked boundary"))
    fig.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=10)
    changed = sum(start != end for start, end in ways.values())
    fig.finding = f"{count(changed, len(ways))} changed their algorithm along β"
    fig.table = last[[*OFFERED, *({algorithm(last)} - {*OFFERED})]]
    return fig


def _log_ticks(low: float, high: float) -> dict:
    """Ticks 1, 3, 10, ... of a plotly axis, written as plain numbers; plotly leaves out those beyond the data."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 3)]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def order_space_3d(sweep: pd.DataFrame) -> Interactive:
    """The lines of `order_space` in three dimensions, to be turned; hovering gives seed, beta, algorithm, loss and KL.

    Sliders turn it and a list chooses a network from the keyboard, too, and tell the same numbers.
    On the logarithmic axis of alpha_1 nothing lies below 0.1; hovering gives the number itself.
    """
    lines, ways = _lines(sweep)
    present = _present(ways)
    traces = []
    for way, seeds in present.items():
        for seed in seeds:
            line = lines[seed]
            traces.append(
                go.Scatter3d(
                    x=_drawn(line).round(4),
                    y=line["alpha_3"].round(4),
                    z=line["alpha_2"].round(4),
                    mode="lines+markers",
                    line={"color": WAYS[way], "width": 3},
                    marker={"color": [style.PHASES[name] for name in line["phase"]], "size": 3},
                    name=f"{_name(way)} ({len(seeds)})",
                    legendgroup=_name(way),
                    showlegend=seed == seeds[0],
                    text=[
                        f"seed {seed}, β = {row.beta:.1e}<br>{row.phase}<br>loss {row.loss:.3g}<br>KL {row.kl:.3g} nats"
                        f"<br>α₁ = {row.alpha_1:.3g}, α₂ = {row.alpha_2:.3g}, α₃ = {row.alpha_3:.3g}"
                        for row in line.itertuples()
                    ],
                    hovertemplate="%{text}<extra></extra>",
                )
            )
    log = {"type": "log", "gridcolor": style.LINE}  # what is half transparent vanishes on a white page in WebGL
    fig = go.Figure(
        traces,
        go.Layout(
            template=template(),
            height=560,
            scene={
                "xaxis": {"title": "α₁", **log} | _log_ticks(SMALLEST, LARGEST),
                "yaxis": {"title": "α₃", "gridcolor": style.LINE},
                "zaxis": {"title": "α₂", **log} | _log_ticks(0.01, 100),
                "camera": {"eye": {"x": 1.75, "y": -1.85, "z": 0.75}, "center": {"z": -0.15}},
            },
            legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0.5, "xanchor": "center"},
        ),
    )
    listed = ", ".join(f"{_name(way)} {len(seeds)}" for way, seeds in present.items())
    alt = (
        f"Order parameters of the networks of {count(len(lines), len(lines))} along beta in three dimensions; lines by "
        f"phases at the lowest and the highest beta: {listed}."
    )
    return html(fig, alt, order_space(sweep), _controls(present))


def _controls(present: dict[tuple[str, str], list[int]]) -> str:
    """Sliders that turn the space, and a list of seeds and a slider of betas, in the order of the lines."""
    options = seed_list({_name(way): seeds for way, seeds in present.items()})
    ranges = ""
    for name, end in {"turn": 180, "tilt": 85}.items():  # degrees to either side
        ranges += f'<label>{name} <input type="range" name="{name}" min="-{end}" max="{end}" step="5"></label> '
    return (
        f'<div class="hl-space"><div class="hl-controls">{ranges}{options}'
        '<label>β <input type="range" name="beta" min="0" value="0"></label></div>'
        f'<p class="hl-chosen" aria-live="polite"></p></div><script src="{SCRIPT}"></script>'
    )


@style.figure
def threshold_histograms(sweep: pd.DataFrame) -> Figure:
    """Where the boundaries lie: alpha_2 of all networks at the last step, and alpha_1 of those beyond
    alpha_2's boundary, where it decides between pudding and double-sided.
    """
    check_sweep(sweep, NEEDED)
    last = final(sweep)
    beyond = last[last["alpha_2"] >= THRESHOLDS.strongest]
    fig, axes = style.subplots(1, 2, figsize=(8, 3.2))
    _histogram(axes[0], last, "alpha_2", THRESHOLDS.strongest)
    axes[0].set(xlabel="strongest connection $\\alpha_2$", ylabel="networks", title="all networks")
    _histogram(axes[1], beyond, "alpha_1", THRESHOLDS.double_sided)
    axes[1].set(
        xlabel="double-sidedness $\\alpha_1$", title=f"networks with $\\alpha_2 \\geq {THRESHOLDS.strongest:g}$"
    )
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, label=name) for name, colour in style.PHASES.items()]
    handles.append(Line2D([], [], color=style.TEXT, linestyle=":", label="hand-picked boundary"))
    fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=10)
    fig.table = last[["seed", "beta", "alpha_1", "alpha_2", "phase"]]
    return fig


def _histogram(ax: Axes, table: pd.DataFrame, name: str, threshold: float) -> None:
    """Logarithmic histogram, stacked by phase; what is below `SMALLEST` or above `LARGEST` goes to the ends."""
    values = table[name].clip(SMALLEST, LARGEST)
    low, high = min(values.min(), threshold / 2), max(values.max(), threshold * 2)
    if not len(values):
        low, high = threshold / 10, threshold * 10
        ax.text(0.96, 0.5, "none in this run", transform=ax.transAxes, ha="right", va="center")
        ax.set_yticks([])
    # The boundary is an edge between bins, so that no bar lies on both sides of it.
    width = np.log(high / low) / 40
    below, above = np.ceil(np.log(threshold / low) / width), np.ceil(np.log(high / threshold) / width)
    bins = threshold * np.exp(width * np.arange(-below, above + 1))
    looks = {"hue_order": PHASES, "palette": style.PHASES, "multiple": "stack", "alpha": 1, "linewidth": 0}
    if len(values):
        sns.histplot(x=values, hue=table["phase"], bins=bins, legend=False, ax=ax, **looks)
    ax.set(xscale="log", ylabel="")
    ax.axvline(threshold, color=style.TEXT, linestyle=":", linewidth=1.3)
    plain_ticks(ax.xaxis, (bins[0], bins[-1]), (1, 2, 5) if bins[-1] < 100 * bins[0] else (1,))
