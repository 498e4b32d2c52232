"""Seeds side by side: their order parameters (figure 2), the encoder's share (figure 4), how training starts."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING, THRESHOLDS
from hyperlib.figures import style
from hyperlib.hypernetwork import Architecture

from ..studies.development import LOW, algorithm
from ..studies.settings import OFF
from . import shared
from .shared import WIDTH, count

OFFERED = ("seed", "beta", "alpha_1", "alpha_2", "alpha_3", "phase", "loss", "kl")  # the numbers under the figure
SMALLEST, LARGEST = 0.1, 1e4  # alpha_1 may be negative, and infinite where most weights are 0: drawn at these ends


@style.figure
def bend(starts: Mapping[float, pd.DataFrame]) -> plt.Figure:
    """What three hidden neurons offer before any training, by gain (`hyperbook.studies.settings.at_the_start`)."""
    fig, axes = style.subplots(1, len(starts), figsize=(WIDTH, 2.9), squeeze=False)
    for ax, (gain, table) in zip(axes.flat, starts.items(), strict=True):
        for neuron, line in table.groupby("neuron"):
            ax.plot(line["z"], line["response"], color=shared.CASE_COLOURS[neuron], linewidth=1.6)
        ax.set(xlabel="pre-activation of the neuron", title=f"gain {gain:g}")
        ax.grid(True, which="major")
    axes[0, 0].set_ylabel("activation less a line")
    fig.finding = "At the start: a parabola with gain 1, a kink with a larger one"
    fig.table = pd.concat([table.assign(gain=gain) for gain, table in starts.items()])
    return fig


@style.figure
def plateau(table: pd.DataFrame, cells: Sequence[str]) -> plt.Figure:
    """Loss against the step, a panel per cell of the design, a line per seed; dotted, where the plateau ends."""
    lowest = table[table["beta"] == table["beta"].min()]
    fig, axes = style.subplots(1, len(cells), figsize=(WIDTH, 3.2), sharex=True, sharey=True, squeeze=False)
    for ax, cell in zip(axes.flat, cells, strict=True):
        for number, (_, line) in enumerate(lowest[lowest["cell"] == cell].groupby("seed")):
            ax.plot(
                line["step"], line["loss"], linewidth=1.4, color=shared.CASE_COLOURS[number % len(shared.CASE_COLOURS)]
            )
        ax.axhline(OFF, color=style.TEXT, linestyle=":", linewidth=1.2)
        ax.set(yscale="log", xlabel="training step", title=cell)
        ax.grid(True, which="major")
    axes[0, 0].set_ylabel("loss (normalised MSE)")
    last = lowest[lowest["step"] == lowest.groupby(["cell", "seed"])["step"].transform("max")]
    left = (last["loss"] < OFF).groupby(last["cell"]).agg(["sum", "size"])
    fig.finding = "Off the plateau: " + ", ".join(f"{count(*left.loc[cell])} ({cell})" for cell in cells)
    shared.plain_ticks(axes[0, 0].yaxis)
    fig.table = lowest[lowest["cell"].isin(cells)][["cell", "seed", "step", "loss"]]
    return fig


@style.figure
def reading(table: pd.DataFrame) -> plt.Figure:
    """What hyperlayers read of random numbers (`hyperbook.studies.agreement`): a panel per run, a line per seed."""
    runs = table.groupby("run", sort=False)
    fig, axes = style.subplots(1, len(runs), figsize=(WIDTH, 3.2), sharey=True, squeeze=False)
    said = []
    for ax, (name, rows) in zip(axes.flat, runs, strict=True):
        for _, line in rows.groupby("seed"):
            ax.plot(line["hyperlayer"], line["weight"], "o-", color=style.NEGATIVE, alpha=0.45, linewidth=1.2)
        middle, losses = rows.groupby("hyperlayer")["weight"].median(), rows.groupby("seed")["loss"].first()
        ax.plot(middle.index, middle, color=style.TEXT, linewidth=2.2)
        ax.axhline(Architecture().width_out ** -0.5, color=style.OTHER, linestyle=":")
        ax.set(xlabel="hyperlayer", xticks=middle.index, yscale="log", title=f"{name}: loss {losses.median():.2g}")
        said.append(f"{name} {', '.join(f'{weight:.2g}' for weight in middle)}")
    axes[0, 0].set(ylabel="weight on random numbers")
    fig.finding = f"Read at hyperlayers {', '.join(map(str, middle.index))}: {'; '.join(said)}"
    fig.table = table
    return fig


@style.figure
def encoder_ablation(sweep: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """Loss without the encoder against loss with it, a line per seed along beta, coloured by case (figure 4).

    On the dotted diagonal the encoder does not matter: the network is assembled without memorised information.
    Networks without a finite loss are left out.
    """
    last = shared.final(sweep).replace([np.inf, -np.inf], np.nan).dropna(subset=["loss", "loss_without_encoder"])
    fig, ax = style.subplots(figsize=(6.4, 5.6))
    fig.table = shared.by_case(last, cases, "beta", "loss", "loss_without_encoder")
    shared.case_lines(ax, fig.table, "loss", "loss_without_encoder", alpha=0.75)
    for name, ends in fig.table.groupby("seed").head(1).groupby("case"):
        ax.plot(ends["loss"], ends["loss_without_encoder"], **shared.CASE_LOOKS[name] | {"linestyle": ""}, markersize=6)
    ax.set(xscale="log", yscale="log", xlabel="loss with the encoder", ylabel="loss without the encoder")
    ax.axline((1, 1), (10, 10), color=style.TEXT, linestyle=":", linewidth=1.3, zorder=1)
    ax.grid(True, which="major")
    ax.annotate("large marker: lowest β", (0.98, 0.02), xycoords="axes fraction", ha="right", va="bottom", fontsize=9.5)
    shared.case_legend(fig, cases)
    low = last[last["beta"].rank(method="dense") <= max(1, round(LOW * last["beta"].nunique()))]
    factors = np.exp(np.log(low["loss_without_encoder"] / low["loss"]).groupby(low["seed"]).mean())  # as the claims do
    fig.finding = f"Without the encoder the loss at low β is multiplied by {shared.by_payment(cases, factors)}"
    return fig


@style.figure
def order_space(sweep: pd.DataFrame) -> plt.Figure:
    """alpha_2 against alpha_1 and alpha_3 at the last step: points are networks, lines seeds along beta (figure 2).

    Colours are those of the structure of the first layer, or of the phase where a run has no structures; large dots are
    the lowest beta. Dotted lines are the boundaries. An alpha_1 below 0.1 or above 10,000 is drawn at that end.
    """
    last = shared.final(sweep)
    name_of, drawn = algorithm(last), last.assign(alpha_1=last["alpha_1"].clip(SMALLEST, LARGEST))
    kinds = last[name_of].value_counts().reindex(style.STRUCTURES).dropna().astype(int)
    fig, axes = style.subplots(1, 2, figsize=(8, 4.5), sharey=True, width_ratios=(1.25, 1))
    dotted = {"color": style.TEXT, "linestyle": ":", "linewidth": 1.3, "zorder": 1}
    for ax, name in zip(axes, ("alpha_1", "alpha_3"), strict=True):
        for _, line in drawn.groupby("seed"):
            ax.plot(line[name], line["alpha_2"], color=style.LINE, linewidth=0.6, alpha=0.4, zorder=2)
            dots = {"c": line[name_of].map(style.STRUCTURES), "s": [34, *[9] * (len(line) - 1)], "linewidths": 0}
            ax.scatter(line[name], line["alpha_2"], zorder=3, rasterized=True, **dots)
        ax.set_yscale("log")
        ax.grid(True, which="major")
    axes[0].set(xscale="log", xlabel="double-sidedness $\\alpha_1$", ylabel="strongest connection $\\alpha_2$")
    axes[1].set_xlabel("seed dependence $\\alpha_3$")
    (bottom, top), (left, right), gap = axes[0].get_ylim(), axes[0].get_xlim(), THRESHOLDS.double_sided
    bottom, top = min(bottom, 0.8 * THRESHOLDS.strongest), max(top, 1.6 * THRESHOLDS.strongest)
    left, right = min(left, gap / 5), max(right, gap * 5)
    axes[0].set(xlim=(left, right), ylim=(bottom, top))
    for ax in axes:
        ax.axhline(THRESHOLDS.strongest, **dotted)
    axes[0].plot([gap, gap], [THRESHOLDS.strongest, top], **dotted)
    shared.plain_ticks(axes[0].yaxis)
    shared.plain_ticks(axes[0].xaxis, 1, 3)
    inside = {"fontsize": 9.5, "fontstyle": "italic", "alpha": 0.9}
    axes[0].text(gap * 0.92, top * 0.96, PUDDING, ha="right", va="top", **inside)
    axes[0].text(gap * 1.08, top * 0.96, DOUBLE_SIDED, ha="left", va="top", **inside)
    axes[0].text(right, bottom * 1.03, CONVEXITY, ha="right", va="bottom", **inside)
    for kind, number in kinds.items():
        axes[0].plot([], [], "o", markersize=6, color=style.STRUCTURES[kind], label=f"{kind} ({number})")
    axes[0].plot([], [], color=style.TEXT, linestyle=":", label="hand-picked boundary")
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    ends = last.groupby("seed")["phase"].agg(["first", "last"])
    fig.finding = f"{count(int((ends['first'] != ends['last']).sum()), len(ends))} changed their algorithm along β"
    fig.table = last[list(dict.fromkeys([*OFFERED, name_of]))]
    return fig
