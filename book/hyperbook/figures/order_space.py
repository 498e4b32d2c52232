"""Networks in the space of their order parameters, with the hand-picked boundaries (figure 2)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING, THRESHOLDS
from hyperlib.figures import style

from ..studies.development import algorithm, check_sweep
from .shared import count, final, plain_ticks

NEEDED = ("seed", "step", "beta", "loss", "kl", "alpha_1", "alpha_2", "alpha_3", "phase")
OFFERED = ("seed", "beta", "alpha_1", "alpha_2", "alpha_3", "phase", "loss", "kl")  # the numbers under the figure
SMALLEST, LARGEST = 0.1, 1e4  # alpha_1 may be negative, and infinite where most weights are 0: drawn at these ends


@style.figure
def order_space(sweep: pd.DataFrame) -> Figure:
    """alpha_2 against alpha_1 and alpha_3 at the last step: points are networks, lines seeds along beta (figure 2).

    Colours are those of the structure of the first layer, or of the phase where a run has no structures; large dots are
    the lowest beta. Dotted lines are the boundaries. An alpha_1 below 0.1 or above 10,000, which a logarithmic axis
    cannot hold, is drawn at that end. ValueError for a sweep that lacks a column or has no rows.
    """
    check_sweep(sweep, NEEDED)
    last = final(sweep)
    lines = [line for _, line in last.groupby("seed")]
    kinds = last[algorithm(last)].value_counts().reindex(style.STRUCTURES).dropna().astype(int)
    fig, axes = style.subplots(1, 2, figsize=(8, 4.5), sharey=True, width_ratios=(1.25, 1))
    for ax, name in zip(axes, ("alpha_1", "alpha_3"), strict=True):
        for line in lines:
            x, y = (line[name].clip(SMALLEST, LARGEST) if name == "alpha_1" else line[name]), line["alpha_2"]
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
    dotted = {"color": style.TEXT, "linestyle": ":", "linewidth": 1.3, "zorder": 1}
    for ax in axes:
        ax.axhline(THRESHOLDS.strongest, **dotted)
    corner = [THRESHOLDS.strongest, axes[0].get_ylim()[1]]
    axes[0].plot([THRESHOLDS.double_sided] * 2, corner, scaley=False, **dotted)
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
    changed = sum(line["phase"].iloc[0] != line["phase"].iloc[-1] for line in lines)
    fig.finding = f"{count(changed, len(lines))} changed their algorithm along β"
    fig.table = last[[*OFFERED, *({algorithm(last)} - {*OFFERED})]]
    return fig
