"""Confusion matrices of classifiers, and their accuracy on constructed networks under noise (section 2.2)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..algorithms.order_parameters import PHASES
from ..development import check_sweep
from . import style
from .phases import WIDTH

CLASSIFIERS: dict[str, dict] = {
    "order_parameters": {"label": "order parameters", "color": "#b07d00", "linestyle": "-", "marker": "o"},
    "explanation": {"label": "best explanation", "color": "#8a63d2", "linestyle": (0, (4, 1.5)), "marker": "s"},
}
SHADES = ("#d3e5f2", style.PHASES["double-sided"])  # of the share of a row, from little to all


@style.figure
def confusion_heatmap(matrix: pd.DataFrame, rows: str, columns: str) -> Figure:
    """A confusion matrix with its counts; shades are shares of a row. Rows without any count are left out.

    Args:
        matrix: counts, of `hyperlib.algorithms.calibration.confusion`.
        rows, columns: what they are, for the axes.

    Raises:
        ValueError: the matrix holds no count.
    """
    matrix = matrix[matrix.sum(axis=1) > 0]
    if not matrix.size:
        raise ValueError("the matrix holds no count; expected at least one")
    counts = matrix.to_numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("shares", SHADES)
    height, width = counts.shape
    fig, ax = style.subplots(figsize=(1.6 + 1.15 * width, 0.9 + 0.62 * height))
    ax.imshow(np.ma.masked_equal(shares, 0), cmap=shades, vmin=0, vmax=1, aspect="auto")
    for (i, j), number in np.ndenumerate(counts):
        colour = style.TEXT if number == 0 else "black" if shares[i, j] < 0.7 else "white"
        ax.text(j, i, f"{number}", ha="center", va="center", color=colour)
    ax.set_xticks(range(width), list(matrix.columns))
    ax.set_yticks(range(height), [f"{name} ({total})" for name, total in zip(matrix.index, counts.sum(1), strict=True)])
    ax.set(xlabel=columns, ylabel=rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(1, width) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, height) - 0.5, minor=True)
    ax.grid(which="minor")
    ax.tick_params(which="minor", length=0)
    fig.table = matrix.rename_axis(index="row", columns="column").stack().rename("networks").reset_index()
    return fig


@style.figure
def accuracy_against_noise(table: pd.DataFrame) -> Figure:
    """Share of constructed networks that each classifier names rightly, against noise, a panel per algorithm.

    Args:
        table: of `hyperlib.algorithms.calibration.calibrate`.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(table, ("truth", "noise", *CLASSIFIERS))
    right = pd.DataFrame({name: table[name] == table["truth"] for name in CLASSIFIERS})
    shares = right.groupby([table["truth"], table["noise"]]).mean()
    sizes = table.groupby("truth")["case"].nunique()
    present = [name for name in PHASES if name in sizes.index]
    fig, axes = style.subplots(1, len(present), figsize=(WIDTH, 3.3), sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(axes[0], present, strict=True):
        for column, looks in CLASSIFIERS.items():
            line = shares.loc[name, column]
            ax.plot(line.index, line, markersize=5, linewidth=1.6, **looks)
        ax.set_title(f"{name}\n{sizes[name]} constructed networks")
        ax.set_xlabel("noise / RMS weight")
        ax.grid(True)
    axes[0, 0].set(ylabel="share named rightly", ylim=(-0.04, 1.04))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    fig.table = shares.rename_axis(columns="classifier").stack().rename("share_right").reset_index()
    return fig
