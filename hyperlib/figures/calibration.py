"""Confusion matrices of classifiers, and their accuracy on constructed networks under noise (section 2.2)."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from ..order_parameters import PHASES
from ..phases import check_sweep
from . import style
from .phases import WIDTH

CLASSIFIERS = {
    "order_parameters": {"label": "order parameters", "color": "#b07d00", "linestyle": "-", "marker": "o"},
    "explanation": {"label": "best explanation", "color": "#8a63d2", "linestyle": (0, (4, 1.5)), "marker": "s"},
}


@style.figure
def confusion_heatmap(matrix: pd.DataFrame, rows: str, columns: str) -> Figure:
    """A confusion matrix with its counts; colours are shares of a row.

    Args:
        matrix: counts, of `hyperlib.explain.confusion`.
        rows, columns: what they are, for the axes.

    Raises:
        ValueError: the matrix is empty.
    """
    if not matrix.size:
        raise ValueError(f"the matrix has shape {matrix.shape}; expected counts")
    counts = matrix.to_numpy()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    colour = style.PHASES["double-sided"]
    colours = LinearSegmentedColormap.from_list("shares", [to_rgba(colour, 0), to_rgba(colour)])
    height, width = counts.shape
    fig, ax = plt.subplots(figsize=(1.6 + 0.95 * width, 1.1 + 0.62 * height))
    ax.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (i, j), number in np.ndenumerate(counts):
        dense = shares[i, j] > 0.45
        faint = 0.45 if number == 0 else 1.0
        ax.text(j, i, f"{number}", ha="center", va="center", color="white" if dense else style.TEXT, alpha=faint)
    ax.set_xticks(range(width), list(matrix.columns))
    ax.set_yticks(range(height), [f"{name} ({total})" for name, total in zip(matrix.index, counts.sum(1), strict=True)])
    ax.set(xlabel=columns, ylabel=rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xticks(np.arange(1, width) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, height) - 0.5, minor=True)
    ax.grid(which="minor")
    ax.tick_params(which="minor", length=0)
    return fig


@style.figure
def accuracy_against_noise(table: pd.DataFrame) -> Figure:
    """Share of constructed networks that each classifier names rightly, against noise, a panel per algorithm.

    Args:
        table: of `hyperlib.explain.calibrate`.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(table, ("truth", "noise", *CLASSIFIERS))
    right = pd.DataFrame({name: table[name] == table["truth"] for name in CLASSIFIERS})
    shares = right.groupby([table["truth"], table["noise"]]).mean()
    sizes = table.groupby("truth")["case"].nunique()
    present = [name for name in PHASES if name in sizes.index]
    fig, axes = plt.subplots(1, len(present), figsize=(WIDTH, 3.3), sharex=True, sharey=True, squeeze=False)
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
    return fig
