"""Figures of several tasks side by side: loss along beta and KL, other sizes, first layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..algorithms.neurons import KINDS, readings
from ..development import check_sweep
from ..network import Network
from . import style
from .networks import matched_order, to_numpy
from .shared import WIDTH, beta_axis, plain_ticks

COLUMNS = 3
LINES = {"affine": ":", "sum and length": "--", "entries": "-."}  # reference levels and how they are drawn
SHOWN = (1e-3, 0.999)  # levels outside are the trivial ones: 1 is what predicting the mean gives, 0 is no limit


def _grid(count: int, height: float, **shared: Any) -> tuple[style.Shown, list[Axes]]:
    """A figure with ``count`` panels in rows of `COLUMNS`; what remains of the last row is empty."""
    rows = math.ceil(count / COLUMNS)
    fig, axes = style.subplots(rows, COLUMNS, figsize=(WIDTH, height * rows + 0.7), squeeze=False, **shared)
    for number, ax in enumerate(axes.flat):
        if number >= count:
            ax.axis("off")
        elif number + COLUMNS >= count:
            ax.tick_params(labelbottom=True)  # nothing below it
    return fig, list(axes.flat[:count])


def _check(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    check_sweep(table, columns)
    return {str(name): rows for name, rows in table.groupby("run", sort=False)}


def _seed_handles(table: pd.DataFrame) -> dict[int, Line2D]:
    seeds = sorted(table["seed"].unique())
    colours = [style.CASES[k % len(style.CASES)] for k in range(len(seeds))]
    return {seed: Line2D([], [], color=c, label=f"seed {seed}") for seed, c in zip(seeds, colours, strict=True)}


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
    if x not in ("beta", "kl"):
        raise ValueError(f"x is {x!r}; expected 'beta' or 'kl'")
    runs, handles = _check(table, ("run", "seed", "beta", "kl", "loss")), _seed_handles(table)
    fig, axes = _grid(len(runs), 2.4, sharex=True, sharey=True)
    for ax, (name, rows) in zip(axes, runs.items(), strict=True):
        for seed, line in rows.sort_values("beta").groupby("seed"):
            ax.plot(line[x], line["loss"], color=handles[seed].get_color(), linewidth=1.2, marker=".", markersize=3)
        for part, dashes in LINES.items():
            if SHOWN[0] < levels.loc[name, part] < SHOWN[1]:
                ax.axhline(levels.loc[name, part], color=style.TEXT, linestyle=dashes, linewidth=1.2)
        ax.set_title(name)
        ax.grid(True, which="major")
    axes[0].set_yscale("log")
    plain_ticks(axes[0].yaxis, axes[0].get_ylim(), (1, 3))
    if x == "beta":
        axes[0].set_xscale("log")
        beta_axis(axes[0].xaxis)
    else:
        axes[0].set_xscale("symlog", linthresh=1, linscale=0.5)
        axes[0].set_xlim(-0.3, 2 * max(10.0, float(table["kl"].max())))
        axes[0].set_xticks([0, 1, 100, 10000])
    _label(axes, "β" if x == "beta" else "KL in nats", "loss")
    drawn = [Line2D([], [], color=style.TEXT, linestyle=dashes, label=part) for part, dashes in LINES.items()]
    fig.legend(handles=[*handles.values(), *drawn], loc="outside lower center", ncols=4)
    fig.table = table[["run", "seed", "beta", "kl", "loss"]]
    return fig


@style.figure
def sizes_by_task(table: pd.DataFrame, trained: Mapping[str, int]) -> Figure:
    """Loss after the best shift and scale against the number of inputs, a panel per run, a line per seed.

    Args:
        table: columns ``run, seed, n_0, loss_rescaled``.
        trained: number of inputs in training, which a vertical line marks, by run.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    runs, handles = _check(table, ("run", "seed", "n_0", "loss_rescaled")), _seed_handles(table)
    fig, axes = _grid(len(runs), 2.2, sharex=True, sharey=True)
    for ax, (name, rows) in zip(axes, runs.items(), strict=True):
        for seed, line in rows.sort_values("n_0").groupby("seed"):
            looks = {"color": handles[seed].get_color(), "linewidth": 1.2, "marker": "o", "markersize": 3}
            ax.plot(line["n_0"], line["loss_rescaled"], **looks)
        ax.axvline(trained[name], color=style.TEXT, linestyle=":", linewidth=1.2)
        ax.set_title(name)
        ax.grid(True, which="major")
    axes[0].set(xscale="log", yscale="log")
    sizes = sorted(table["n_0"].unique())
    axes[0].xaxis.set_ticks(sizes, labels=[str(size) for size in sizes])
    axes[0].xaxis.minorticks_off()
    plain_ticks(axes[0].yaxis, axes[0].get_ylim(), (1, 3))
    _label(axes, "input dimension $n_0$", "loss, rescaled")
    fig.legend(handles=list(handles.values()), loc="outside lower center", ncols=4)
    fig.table = table
    return fig


def _label(axes: Sequence[Axes], x: str, y: str) -> None:
    for number, ax in enumerate(axes):
        if number + COLUMNS >= len(axes):
            ax.set_xlabel(x)
        if number % COLUMNS == 0:
            ax.set_ylabel(y)


def reading_order(net: Network) -> tuple[np.ndarray, list[int]]:
    """Hidden neurons by what they read, and within a kind as in `matched_order`; and the number of each of `KINDS`."""
    reads = readings(net)["reads"].to_numpy()
    matched = to_numpy(matched_order(net.weights[0]))
    order = [neuron for kind in KINDS for neuron in matched if reads[neuron] == kind]
    return np.array(order), [int((reads == kind).sum()) for kind in KINDS]


@style.figure
def first_layers(networks: Sequence[tuple[str, Network]]) -> Figure:
    """First-layer matrices in a grid: inputs in rows, hidden neurons in columns, ordered by what they read.

    Colours are relative to the largest absolute weight of each matrix; lines separate the kinds of `reading_order`.

    Raises:
        ValueError: no networks, or one with batch axes or without a hidden layer.
    """
    if not networks:
        raise ValueError("got no networks; expected at least one")
    fig, axes = _grid(len(networks), 1.35)
    tables = []
    for ax, (title, net) in zip(axes, networks, strict=True):
        order, counts = reading_order(net)
        weight = to_numpy(net.weights[0])[:, order]
        largest = np.abs(weight).max()
        looks = {"cmap": style.diverging(), "vmin": -1, "vmax": 1, "aspect": "auto", "interpolation": "none"}
        image = ax.imshow(weight / largest, **looks)
        for edge in np.unique(np.cumsum(counts)[:-1]):
            if 0 < edge < len(order):
                ax.axvline(edge - 0.5, color=style.TEXT, linewidth=1.2)
        ax.set(xticks=[], yticks=[], title=title)
        ax.set_xlabel(f"largest |weight| {largest:.2g}", fontsize=9)
        ax.spines[["top", "right"]].set_visible(True)
        i, column = (index.ravel() for index in np.indices(weight.shape))
        cells = {"network": title, "input": i + 1, "hidden": order[column] + 1, "column": column + 1}
        tables.append(pd.DataFrame(cells | {"weight": weight.ravel()}))
    bar = fig.colorbar(image, ax=axes, ticks=[-1, 0, 1], aspect=40, pad=0.02)
    bar.set_label("weight / largest |weight|")
    bar.outline.set_edgecolor(style.LINE)
    fig.table = pd.concat(tables, ignore_index=True)
    return fig
