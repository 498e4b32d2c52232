"""Figures of several tasks side by side: loss along beta and KL."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.development import check_sweep
from hyperlib.figures import style
from hyperlib.figures.shared import WIDTH, beta_axis, plain_ticks

COLUMNS = 3
LINES = {"affine": ":", "sum and length": "--", "entries": "-."}  # reference levels and how they are drawn
SHOWN = (1e-3, 0.999)  # levels outside are the trivial ones: 1 is what predicting the mean gives, 0 is no limit


def _panels(
    table: pd.DataFrame, x: str, y: str, labels: tuple[str, str], levels: tuple[str, ...] = ()
) -> tuple[style.Shown, dict[str, Axes]]:
    """A figure with a panel per run in rows of `COLUMNS`, in each a line per seed in the order of the table's rows.

    The vertical axis is logarithmic. The legend names the seeds and some of `LINES`.
    """
    check_sweep(table, ("run", "seed", x, y))
    runs = {str(name): rows for name, rows in table.groupby("run", sort=False)}
    colours = {seed: style.CASES[k % len(style.CASES)] for k, seed in enumerate(sorted(table["seed"].unique()))}
    rows = math.ceil(len(runs) / COLUMNS)
    looks = {"figsize": (WIDTH, 2.4 * rows + 0.7), "sharex": True, "sharey": True, "squeeze": False}
    fig, axes = style.subplots(rows, COLUMNS, **looks)
    for ax, (name, part) in zip(axes.flat, runs.items(), strict=False):
        for seed, line in part.groupby("seed"):
            ax.plot(line[x], line[y], color=colours[seed], linewidth=1.2, marker=".", markersize=4)
        ax.set_title(name)
        ax.grid(True, which="major")
    for number, ax in enumerate(axes.flat):
        if number >= len(runs):
            ax.axis("off")
        elif number + COLUMNS >= len(runs):  # nothing below it
            ax.tick_params(labelbottom=True)
            ax.set_xlabel(labels[0])
        if number % COLUMNS == 0:
            ax.set_ylabel(labels[1])
    axes[0, 0].set_yscale("log")
    plain_ticks(axes[0, 0].yaxis, axes[0, 0].get_ylim(), (1, 3))
    handles = [Line2D([], [], color=colour, label=f"seed {seed}") for seed, colour in colours.items()]
    handles += [Line2D([], [], color=style.TEXT, linestyle=LINES[name], label=name) for name in levels]
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    return fig, dict(zip(runs, axes.flat, strict=False))


@style.figure
def losses_by_task(table: pd.DataFrame, levels: pd.DataFrame, x: str = "beta") -> Figure:
    """Loss against beta or KL, a panel per run, a line per seed along beta.

    Args:
        table: columns ``run, seed, beta, kl, loss``.
        levels: reference levels, a row per run and a column for each key of `LINES`.
        x: ``"beta"`` or ``"kl"``.

    Raises:
        ValueError: a column is missing, there are no rows, or x is neither.
    """
    names = {"beta": "β", "kl": "KL in nats"}
    if x not in names:
        raise ValueError(f"x is {x!r}; expected 'beta' or 'kl'")
    check_sweep(table, ("run", "seed", "beta", "kl", "loss"))
    fig, panels = _panels(table.sort_values("beta", kind="stable"), x, "loss", (names[x], "loss"), tuple(LINES))
    for name, ax in panels.items():
        for part, dashes in LINES.items():
            if SHOWN[0] < levels.loc[name, part] < SHOWN[1]:
                ax.axhline(levels.loc[name, part], color=style.TEXT, linestyle=dashes, linewidth=1.2)
    first = next(iter(panels.values()))
    if x == "beta":
        first.set_xscale("log")
        beta_axis(first.xaxis)
    else:
        first.set_xscale("symlog", linthresh=1, linscale=0.5)
        first.set_xlim(-0.3, 2 * max(10.0, float(table["kl"].max())))
        first.set_xticks([0, 1, 100, 10000])
    fig.table = table[["run", "seed", "beta", "kl", "loss"]]
    return fig
