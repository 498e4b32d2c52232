"""Confusion matrices of classifiers, and their accuracy on constructed networks under noise (section 2.2)."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hyperlib.algorithms.order_parameters import PHASES
from hyperlib.figures import style

from .shared import WIDTH

CLASSIFIERS = {"order_parameters": "order parameters", "explanation": "best explanation"}
COLOURS = {"order parameters": "#b07d00", "best explanation": "#8a63d2"}
RESAMPLES, SEED = 400, 0  # of the bands
SHADES = ("#d3e5f2", style.PHASES["double-sided"])  # of the share of a row, from little to all


@style.figure
def confusion_heatmap(matrix: pd.DataFrame, rows: str, columns: str) -> Figure:
    """A matrix of `hyperbook.studies.calibration.confusion` with its counts; shades are shares of a row.

    Rows without any count are left out; ``rows`` and ``columns`` are what stands at the axes.
    """
    matrix = matrix[matrix.sum(axis=1) > 0]
    totals = matrix.sum(axis=1)
    shades = LinearSegmentedColormap.from_list("shares", ("white", *SHADES))
    fig, ax = style.subplots(figsize=(1.6 + 1.15 * matrix.shape[1], 0.9 + 0.62 * matrix.shape[0]))
    shares = matrix.div(totals, axis=0)
    sns.heatmap(shares, annot=matrix, fmt="d", cmap=shades, vmin=0, vmax=1, cbar=False, linewidths=1, ax=ax)
    ax.set_yticklabels([f"{name} ({total})" for name, total in totals.items()], rotation=0)
    ax.set(xlabel=columns, ylabel=rows)
    ax.tick_params(length=0)
    fig.table = matrix.rename_axis(index="row", columns="column").stack().rename("networks").reset_index()
    return fig


@style.figure
def accuracy_against_noise(table: pd.DataFrame) -> Figure:
    """Share of constructed networks that each classifier names rightly, against noise, a panel per algorithm.

    Bands are 95 % bootstrap intervals over the networks of `hyperbook.studies.calibration.calibrate`.
    """
    right = table[["truth", "noise", "case"]].assign(**{n: table[c] == table["truth"] for c, n in CLASSIFIERS.items()})
    right = right.melt(["truth", "noise", "case"], var_name="classifier", value_name="right").astype({"right": float})
    sizes = table.groupby("truth")["case"].nunique()
    present = [name for name in PHASES if name in sizes.index]
    fig, axes = style.subplots(1, len(present), figsize=(WIDTH, 3.3), sharex=True, sharey=True, squeeze=False)
    for ax, name in zip(axes[0], present, strict=True):
        kinds = {"hue": "classifier", "style": "classifier", "palette": COLOURS, "markers": True}
        rows, bands = right[right["truth"] == name], {"n_boot": RESAMPLES, "seed": SEED}
        sns.lineplot(rows, x="noise", y="right", ax=ax, legend=ax is axes[0, 0], **kinds, **bands)
        ax.set(title=f"{name}\n{sizes[name]} constructed networks", xlabel="noise / RMS weight")
        ax.grid(True)
    axes[0, 0].set(ylabel="share named rightly", ylim=(-0.04, 1.04))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].get_legend().remove()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    fig.table = right.groupby(["truth", "noise", "classifier"], as_index=False)["right"].mean()
    return fig
