"""Loss over input dimension x hidden dimension (figure 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from ..development import check_sweep
from . import style
from .phases import WIDTH, edges

CONTOURS = {0.07: (style.POSITIVE, "-"), 0.15: (style.NEGATIVE, "--")}  # the paper's red and blue
RANGE = (0.03, 10.0)  # losses that the shades tell apart
SHADES = ("#ffffff", "#ccd4dc", "#8391a1", "#3f4a5a")  # neutral, so that the contours keep their colours


@style.figure
def size_heatmap(table: pd.DataFrame, trained: Sequence[int]) -> Figure:
    """Loss of generated networks over sizes, raw and after the best shift and scale of the output (figure 5).

    Contours are the paper's; the star is the size of training. Several rows per size (seeds, say) are averaged.

    Args:
        table: of `hyperlib.generalization.size_table`.
        trained: shape, or ``(n_0, n_1)``, at which the hypernetwork was trained.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    columns = {"loss": "raw", "loss_rescaled": "after the best shift and scale"}
    check_sweep(table, ("n_0", "n_1", *columns))
    mean = table.groupby(["n_0", "n_1"])[list(columns)].mean().reset_index()
    fig, axes = style.subplots(1, 2, figsize=(WIDTH, 4.4), sharex=True, sharey=True)
    for ax, (column, title) in zip(axes, columns.items(), strict=True):
        grid = mean.pivot(index="n_1", columns="n_0", values=column)
        image = _heat(ax, grid)
        drawn = _contours(ax, grid)
        ax.plot(trained[0], trained[1], marker="*", markersize=15, color="#ffd447", markeredgecolor="black")
        missing = " or ".join(f"{level:g}" for level in CONTOURS if level not in drawn)
        ax.set_title(f"{title}\n({missing} is nowhere crossed)" if missing else title)
        ax.set_xlabel("input dimension $n_0$")
    axes[0].set_ylabel("hidden dimension $n_1$")
    bar = fig.colorbar(image, ax=axes.tolist(), extend="both", aspect=30, pad=0.02)
    bar.set_label("loss (normalised MSE)")
    bar.set_ticks(ticks := [0.03, 0.1, 0.3, 1, 3, 10], labels=[f"{tick:g}" for tick in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.outline.set_edgecolor(style.LINE)
    for level, (colour, line) in CONTOURS.items():
        bar.ax.axhline(level, color=colour, linestyle=line, linewidth=2)
    handles = [
        Line2D([], [], color=colour, linestyle=line, linewidth=2, label=f"loss {level:g}")
        for level, (colour, line) in CONTOURS.items()
    ]
    star = {"marker": "*", "markersize": 13, "color": "#ffd447", "markeredgecolor": style.LINE, "linestyle": ""}
    handles.append(Line2D([], [], label=f"trained: ({trained[0]}, {trained[1]})", **star))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    fig.table = mean
    return fig


def _heat(ax: Axes, grid: pd.DataFrame) -> QuadMesh:
    """Cells on logarithmic axes with a tick at every other size."""
    x, y = grid.columns.to_numpy(dtype=float), grid.index.to_numpy(dtype=float)
    values = np.ma.masked_invalid(grid.to_numpy(dtype=float))
    shades = LinearSegmentedColormap.from_list("losses", SHADES)
    image = ax.pcolormesh(edges(x), edges(y), values, norm=LogNorm(*RANGE), cmap=shades, rasterized=True)
    ax.set(xscale="log", yscale="log")
    for axis, sizes in ((ax.xaxis, grid.columns), (ax.yaxis, grid.index)):
        every = math.ceil(len(sizes) / 6)
        axis.set_ticks(sizes[::every], labels=[str(size) for size in sizes[::every]])
        axis.set_minor_locator(NullLocator())
    return image


def _contours(ax: Axes, grid: pd.DataFrame) -> list[float]:
    """Draw the contours that the losses cross, labelled, and return their levels."""
    values = np.ma.masked_invalid(grid.to_numpy(dtype=float))
    levels = [level for level in CONTOURS if min(values.shape) > 1 and values.min() < level < values.max()]
    halo = [patheffects.withStroke(linewidth=3.5, foreground="white")]
    for level in levels:
        colour, line = CONTOURS[level]
        # Losses vary over decades: interpolate their logarithm.
        drawn = ax.contour(
            grid.columns, grid.index, np.log(values), [math.log(level)], colors=colour, linestyles=line, linewidths=2
        )
        drawn.set_path_effects(halo)
        for text in ax.clabel(drawn, fmt=lambda _, level=level: f"{level:g}", fontsize=10, inline_spacing=2):
            text.set(path_effects=halo, weight="bold")
    return levels
