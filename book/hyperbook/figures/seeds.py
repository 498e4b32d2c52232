"""Seeds side by side: the encoder's share (figure 4), how training starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hyperlib.figures import style

from ..studies.development import LOW
from ..studies.settings import OFF
from .shared import CASE_COLOURS, CASE_LOOKS, WIDTH, by_case, by_payment, case_legend, count, final, groups, plain_ticks


@style.figure
def bend(starts: Mapping[float, pd.DataFrame]) -> Figure:
    """What three hidden neurons offer before any training, by gain (`hyperbook.studies.settings.at_the_start`)."""
    fig, axes = style.subplots(1, len(starts), figsize=(WIDTH, 2.9), squeeze=False)
    for ax, (gain, table) in zip(axes.flat, starts.items(), strict=True):
        for neuron, line in table.groupby("neuron"):
            ax.plot(line["z"], line["response"], color=CASE_COLOURS[neuron], linewidth=1.6)
        ax.set(xlabel="pre-activation of the neuron", title=f"gain {gain:g}")
        ax.grid(True, which="major")
    axes[0, 0].set_ylabel("activation less a line")
    fig.finding = "At the start: a parabola with gain 1, a kink with a larger one"
    fig.table = pd.concat([table.assign(gain=gain) for gain, table in starts.items()])
    return fig


@style.figure
def plateau(table: pd.DataFrame, cells: Sequence[str]) -> Figure:
    """Loss against the step, a panel per cell of the design, a line per seed; dotted, where the plateau ends."""
    lowest = table[table["beta"] == table["beta"].min()]
    fig, axes = style.subplots(1, len(cells), figsize=(WIDTH, 3.2), sharex=True, sharey=True, squeeze=False)
    for ax, cell in zip(axes.flat, cells, strict=True):
        for number, (_, line) in enumerate(lowest[lowest["cell"] == cell].groupby("seed")):
            ax.plot(line["step"], line["loss"], linewidth=1.4, color=CASE_COLOURS[number % len(CASE_COLOURS)])
        ax.axhline(OFF, color=style.TEXT, linestyle=":", linewidth=1.2)
        ax.set(yscale="log", xlabel="training step", title=cell)
        ax.grid(True, which="major")
    axes[0, 0].set_ylabel("loss (normalised MSE)")
    last = lowest[lowest["step"] == lowest.groupby(["cell", "seed"])["step"].transform("max")]
    below = [(last.loc[last["cell"] == cell, "loss"] < OFF, cell) for cell in cells]
    fig.finding = "Off the plateau: " + ", ".join(
        f"{count(int(left.sum()), len(left))} ({cell})" for left, cell in below
    )
    plain_ticks(axes[0, 0].yaxis, axes[0, 0].get_ylim())
    fig.table = lowest[lowest["cell"].isin(cells)][["cell", "seed", "step", "loss"]]
    return fig


@style.figure
def encoder_ablation(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Loss without the encoder against loss with it, a line per seed along beta, coloured by case (figure 4).

    On the dotted diagonal the encoder does not matter: the network is assembled without memorised information.
    Networks without a finite loss are left out.
    """
    last = final(sweep).replace([np.inf, -np.inf], np.nan).dropna(subset=["loss", "loss_without_encoder"])
    fig, ax = style.subplots(figsize=(6.4, 5.6))
    for name, seeds in groups(cases).items():
        looks = CASE_LOOKS[name]
        for seed in seeds:
            line = last[last["seed"] == seed]
            ax.plot(line["loss"], line["loss_without_encoder"], linewidth=1, markersize=3, alpha=0.75, **looks)
            ax.plot(line["loss"][:1], line["loss_without_encoder"][:1], **looks | {"linestyle": ""}, markersize=6)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="loss with the encoder", ylabel="loss without the encoder")
    ax.axline((1, 1), (10, 10), color=style.TEXT, linestyle=":", linewidth=1.3, zorder=1)
    ax.grid(True, which="major")
    ax.annotate("large marker: lowest β", (0.98, 0.02), xycoords="axes fraction", ha="right", va="bottom", fontsize=9.5)
    case_legend(fig, cases)
    betas = np.sort(last["beta"].unique())
    low = last[last["beta"].isin(betas[: max(1, round(LOW * len(betas)))])]
    factors = np.exp(np.log(low["loss_without_encoder"] / low["loss"]).groupby(low["seed"]).mean())  # as the claims do
    fig.finding = f"Without the encoder the loss at low β is multiplied by {by_payment(cases, factors)}"
    fig.table = by_case(last, cases, "beta", "loss", "loss_without_encoder")
    return fig
