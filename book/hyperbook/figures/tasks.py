"""Figures of several tasks side by side: loss along beta."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.figures import style

from .shared import WIDTH, beta_axis, plain_ticks

COLUMNS = 3
LINES = {"affine": ":", "sum and length": "--", "entries": "-."}  # reference levels and how they are drawn
SHOWN = (1e-3, 0.999)  # levels outside are the trivial ones: 1 is what predicting the mean gives, 0 is no limit


@style.figure
def losses_by_task(table: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """Loss against beta, a panel per run in rows of `COLUMNS`, a line per seed.

    The table has columns ``run, seed, beta, kl, loss``; reference levels are a row per run, a column per key of
    `LINES`.
    """
    runs = {str(name): rows for name, rows in table.sort_values("beta", kind="stable").groupby("run", sort=False)}
    colours = {seed: style.CASES[k % len(style.CASES)] for k, seed in enumerate(sorted(table["seed"].unique()))}
    rows = math.ceil(len(runs) / COLUMNS)
    looks = {"figsize": (WIDTH, 2.4 * rows + 0.7), "sharex": True, "sharey": True, "squeeze": False}
    fig, axes = style.subplots(rows, COLUMNS, **looks)
    for ax, (name, part) in zip(axes.flat, runs.items(), strict=False):
        for seed, line in part.groupby("seed"):
            ax.plot(line["beta"], line["loss"], color=colours[seed], linewidth=1.2, marker=".", markersize=4)
        ax.set_title(name)
        ax.grid(True, which="major")
    for number, ax in enumerate(axes.flat):
        if number >= len(runs):
            ax.axis("off")
        elif number + COLUMNS >= len(runs):  # nothing below it
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("β")
        if number % COLUMNS == 0:
            ax.set_ylabel("loss")
    axes[0, 0].set_yscale("log")
    plain_ticks(axes[0, 0].yaxis, axes[0, 0].get_ylim(), (1, 3))
    for ax, name in zip(axes.flat, runs, strict=False):
        for level, dashes in LINES.items():
            if SHOWN[0] < levels.loc[name, level] < SHOWN[1]:
                ax.axhline(levels.loc[name, level], color=style.TEXT, linestyle=dashes, linewidth=1.2)
    axes[0, 0].set_xscale("log")
    beta_axis(axes[0, 0].xaxis)
    handles = [Line2D([], [], color=colour, label=f"seed {seed}") for seed, colour in colours.items()]
    handles += [Line2D([], [], color=style.TEXT, linestyle=dashes, label=name) for name, dashes in LINES.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    fig.table = table[["run", "seed", "beta", "kl", "loss"]]
    return fig
