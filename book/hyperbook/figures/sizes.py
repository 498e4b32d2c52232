"""Loss over input dimension x hidden dimension (figure 5)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patheffects import withStroke

from hyperlib.figures import style

from ..studies.generalization import CONVENTIONS, INNER, OUTER
from .shared import WIDTH

CONTOURS = {INNER: ("#b3123b", "-"), OUTER: ("#1f4e9c", "--")}  # the paper's red and blue
RANGE = (0.02, 1.0)  # losses that the shades tell apart; at 1 a network is no better than the mean
INSET = 0.1  # of the frame around a trained size, in cells: the contours stay visible
SHADES = ("#00563f", "#009e73", "#8fcfb6", "#f1f6f4")  # deep where networks work


@style.figure
def size_heatmap(
    table: pd.DataFrame, trained: Sequence[int], seeds: Mapping[str, int], measures: Sequence[str] = tuple(CONVENTIONS)
) -> plt.Figure:
    """Loss of generated networks over sizes: a row per reading of the output's scale, a column per seed (figure 5).

    Lines enclose cells below the paper's contours; a frame marks the size of training. The table is of
    `hyperbook.studies.generalization.size_table`, with a column ``seed``; ``seeds`` are heading -> seed.
    """
    size = (WIDTH + 1, 2.75 * len(measures) + 1.1)
    fig, axes = style.subplots(len(measures), len(seeds), figsize=size, sharex=True, sharey=True, squeeze=False)
    for line, measure in zip(axes, measures, strict=True):
        for ax, (name, seed) in zip(line, seeds.items(), strict=True):
            grid = table[table["seed"] == seed].pivot(index="n_1", columns="n_0", values=measure)
            _heat(ax, grid, [trained[:2]])
            ax.set_title(CONVENTIONS[measure] if ax not in axes[0] else f"{name}\n{CONVENTIONS[measure]}".strip())
            ax.label_outer()
    _legend(fig, f"trained: ({trained[0]}, {trained[1]})")
    fig.table = table.loc[table["seed"].isin(seeds.values()), ["seed", "n_0", "n_1", *measures]]
    within = (fig.table[measure] < OUTER).groupby(fig.table["seed"]).agg(["sum", "size"])
    counts = ", ".join(f"{within['sum'][seed]}{name and f' for {name}'}" for name, seed in seeds.items())
    fig.finding = f"Of {within['size'].max()} sizes, below a loss of {OUTER} {CONVENTIONS[measure]}: {counts}"
    return fig


@style.figure
def ratio_heatmap(table: pd.DataFrame, trained: dict[str, Sequence[Sequence[int]]]) -> plt.Figure:
    """Loss over inputs x hidden neurons per input, median over seeds, a panel per way of training.

    The table is of `hyperbook.studies.generalization.ratio_table`, with columns ``seed`` and ``training``, whose values
    ``trained`` gives in the order of the panels, with their shapes. Lines and frames as in `size_heatmap`.
    """
    size = (WIDTH + 1, 2.1 * len(trained) + 0.9)
    fig, axes = style.subplots(len(trained), 1, figsize=size, sharex=True, squeeze=False)
    within = {}
    for ax, (name, shapes) in zip(axes.flat, trained.items(), strict=True):
        rows = table[table["training"] == name]
        grid = rows.pivot_table(index="ratio", columns="n_0", values="loss", aggfunc="median")
        _heat(ax, grid, [(n, m / n) for n, m, *_ in shapes])
        within[name] = int((grid < OUTER).sum().sum())
        ax.set(title=f"{name}: median of {rows['seed'].nunique()} seeds", ylabel="$n_1 / n_0$")
        ax.label_outer()
    _legend(fig, "trained")
    counts = ", ".join(f"{number} after training at {name}" for name, number in within.items())
    fig.finding = f"Of {grid.size} sizes, below a loss of {OUTER} as generated: {counts}"
    fig.table = table[["training", "seed", "n_0", "n_1", "ratio", "loss"]]
    return fig


def shown(loss: float) -> str:
    """A loss in few characters, as it stands in a cell."""
    if not math.isfinite(loss):
        return ""
    if loss >= 999.5:
        return f"{shown(loss / 1000)}k"
    return f"{loss:.2f}".removeprefix("0") if loss < 0.995 else f"{loss:.1f}" if loss < 9.95 else f"{loss:.0f}"


def heat(ax: plt.Axes, grid: pd.DataFrame, **looks: Any) -> None:
    """Losses of a grid as a heat map with numbers in its cells, the first row on top."""
    shades = LinearSegmentedColormap.from_list("losses", SHADES)
    sns.heatmap(grid, norm=LogNorm(*RANGE), cmap=shades, cbar=False, linewidths=0.6, linecolor="white", ax=ax, **looks)
    light = 0.06  # from this loss on black numbers stand out more than white ones
    size = 10.5 if grid.shape[1] < 9 else 9.5 if grid.shape[1] < 10 else 8.5
    for (row, column), loss in np.ndenumerate(grid.to_numpy(dtype=float)):
        colour, other = ("black", "white") if loss > light else ("white", "black")
        halo = [withStroke(linewidth=1.2, foreground=other, alpha=0.3)]  # for pages on which lightness is mirrored
        looks = {"ha": "center", "va": "center", "color": colour, "fontsize": size, "path_effects": halo}
        ax.text(column + 0.5, row + 0.5, shown(loss), **looks)
    ax.tick_params(length=0, labelrotation=0)


def _heat(ax: plt.Axes, grid: pd.DataFrame, trained: Iterable[Sequence[float]]) -> None:
    """Cells with their losses, outlines of the paper's levels, and frames around some (column, row) of the grid."""
    heat(ax, grid)
    ax.invert_yaxis()
    ax.set(xlabel="inputs $n_0$", ylabel="hidden neurons $n_1$")
    for level, (colour, line) in sorted(CONTOURS.items(), reverse=True):  # the lower one on top
        looks = {"colors": colour, "linestyles": line, "linewidths": 2.6, "capstyle": "projecting", "zorder": 4}
        ax.add_collection(LineCollection(outline(grid.to_numpy() < level), **looks))
    for n, m in trained:
        if n in grid.columns and m in grid.index:
            place = (grid.columns.get_loc(n) + INSET, grid.index.get_loc(m) + INSET)
            frame = {"fill": False, "edgecolor": style.TEXT, "linewidth": 2.2, "zorder": 5}
            ax.add_patch(plt.Rectangle(place, 1 - 2 * INSET, 1 - 2 * INSET, **frame))


def _legend(fig: plt.Figure, trained: str) -> None:
    """The lines of the levels and the frame of the trained sizes, below all panels."""
    looks = {f"loss {level:g}": {"color": colour, "linestyle": line} for level, (colour, line) in CONTOURS.items()}
    handles = [plt.Line2D([], [], linewidth=2.2, label=label, **look) for label, look in looks.items()]
    frame = {"marker": "s", "markersize": 12, "color": "none", "markeredgecolor": style.TEXT, "markeredgewidth": 2.2}
    fig.legend(handles=[*handles, plt.Line2D([], [], label=trained, **frame)], loc="outside lower center", ncols=3)


def outline(inside: np.ndarray) -> list[list[tuple[int, int]]]:
    """Segments, of two ends each, between cells that are inside ``(rows, columns)`` and others; none along the rim."""
    upright = [[(c + 1, r), (c + 1, r + 1)] for r, c in np.argwhere(inside[:, 1:] != inside[:, :-1])]
    return upright + [[(c, r + 1), (c + 1, r + 1)] for r, c in np.argwhere(inside[1:] != inside[:-1])]
