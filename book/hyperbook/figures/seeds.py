"""Seeds side by side, one colour each: a run of one's own along beta, the designed experiment along its steps."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.development import check_sweep
from hyperlib.figures import style
from hyperlib.figures.shared import WIDTH, beta_axis, final, plain_ticks

from ..studies.settings import LEVELS

OUTCOMES: dict[str, dict[str, Any]] = {
    "memorised": {"color": style.CASES[4], "linestyle": "-"},
    "assembled without KL": {"color": style.CASES[3], "linestyle": (0, (4, 1.5))},
    "convexity": {"color": style.CASES[7], "linestyle": ":"},
}


@style.figure
def family(sweep: pd.DataFrame) -> Figure:
    """Loss and KL at the last step of a run against beta, a line per seed.

    Args:
        sweep: the table of a run, or the rows of one step.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(sweep, ("seed", "step", "beta", "loss", "kl"))
    last = final(sweep)
    fig, axes = style.subplots(1, 2, figsize=(WIDTH, 3.4))
    for number, (seed, line) in enumerate(last.groupby("seed")):
        looks = {"color": style.CASES[number % len(style.CASES)], "marker": "o", "markersize": 3, "linewidth": 1.3}
        axes[0].plot(line["beta"], line["loss"], label=f"seed {seed}", **looks)
        axes[1].plot(line["beta"], line["kl"], **looks)
    axes[0].set(yscale="log", ylabel="loss (normalised MSE)")
    plain_ticks(axes[0].yaxis, axes[0].get_ylim())
    axes[1].set_ylabel("KL in nats")
    axes[1].set_yscale("symlog", linthresh=1)
    for ax in axes:
        ax.set(xscale="log", xlabel="β")
        beta_axis(ax.xaxis)
        ax.grid(True, which="major")
    fig.legend(loc="outside lower center", ncols=6)
    fig.table = last[["seed", "beta", "loss", "kl"]]
    return fig


@style.figure
def design_paths(table: pd.DataFrame) -> Figure:
    """Loss at the lowest beta against the step, a panel per length of the warm-up, a line per setting and seed.

    Args:
        table: what `hyperbook.studies.settings.run_design` returns.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(table, ("seed", "step", "loss", "memorised", "assembled", *LEVELS))
    levels = sorted(table["beta_warmup"].unique())
    fig, axes = style.subplots(1, len(levels), figsize=(WIDTH, 3.6), sharex=True, sharey=True, squeeze=False)
    for ax, level in zip(axes.flat, levels, strict=True):
        for _, line in table[table["beta_warmup"] == level].groupby([*LEVELS, "seed"]):
            line = line.sort_values("step")
            ax.plot(line["step"], line["loss"], linewidth=1.2, alpha=0.85, **OUTCOMES[outcome(line)])
        ax.set(xscale="log", yscale="log", xlabel="training step", title=f"warm-up of β: {level:,g} steps")
        ax.grid(True, which="major")
    axes[0, 0].set_ylabel("loss at the lowest β")
    plain_ticks(axes[0, 0].yaxis, axes[0, 0].get_ylim())
    handles = [Line2D([], [], label=name, **looks) for name, looks in OUTCOMES.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    fig.table = table[[*LEVELS, "seed", "step", "loss", "memorised", "assembled"]]
    return fig


def outcome(rows: pd.DataFrame) -> str:
    """What one seed of the design has become at its last row: a key of `OUTCOMES`."""
    end = rows.iloc[-1]
    return "memorised" if end["memorised"] else "assembled without KL" if end["assembled"] else "convexity"
