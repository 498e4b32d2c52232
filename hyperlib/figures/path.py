"""Loss against nats: of a run, with drawings and formulas where its path breaks, and of an estimator."""

import math
import re
import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import compression, drawing
from ..network import Network
from ..runs import Run
from ..sweeps import CLOSED_KL
from . import style
from .networks import paint

SHOWN = 4  # drawings, of which the first is the given network
LINES = 5  # of a formula below a drawing; of a longer one just the size
KL_LINEAR = 1.0  # nats: below it the axes of the KL are linear, since a collapsed KL is next to 0
COLOURS = style.STRUCTURES | style.PHASES
LEAST = 0.5  # nats at the left end: less is drawn there


def chosen(run: Run, table: pd.DataFrame | None, seed: int | None) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """The table, the seed to show and its rows, the given network's first."""
    table = compression.path(run, None if seed is None else [seed]) if table is None else table
    if seed is None:  # a typical one: with the median loss at the lowest price
        lowest = table[table["beta"] > 0].sort_values("beta").drop_duplicates("seed").sort_values("loss")
        seed = int(lowest["seed"].iloc[(len(lowest) - 1) // 2])
    rows = table[table["seed"] == seed].sort_values("beta").reset_index(drop=True)
    if rows.empty:
        raise KeyError(f"the table has no seed {seed!r}; it has {sorted(set(table['seed']))}")
    return table, seed, rows


def network_at(run: Run, seed: int, beta: float) -> Network:
    if beta == 0 and run.given is not None:
        return run.given[run.config.seeds.index(seed)]
    return run.networks(seed)[run.network_betas.index(beta)]


@style.figure
def path(run: Run, table: pd.DataFrame | None = None, seed: int | None = None) -> Figure:
    """Loss against nats of every seed of a run of `hyperlib.compress`, and one seed's networks where its path breaks.

    The ``table`` of `hyperlib.compression.path` is made if it is not given. The ``seed`` whose networks are drawn is by
    default the one with the median loss at the lowest price.
    """
    table, seed, rows = chosen(run, table, seed)
    breaks = compression.transitions(rows)
    mine = rows[rows["beta"] > 0]
    at = [beta for beta in dict.fromkeys([mine["beta"].min(), *breaks["above"]]) if beta in run.network_betas]
    if len(at) > SHOWN - 1:  # the first, and those with the largest rise of the loss
        rise = (breaks["loss_above"] / breaks["loss_below"]).set_axis(breaks["above"])
        at = sorted([at[0], *rise[rise.index.isin(at[1:])].nlargest(SHOWN - 2).index])
    given = rows[rows["beta"] == 0]
    shown = [*([0.0] if len(given) else []), *at]

    width, low, cell = 8.0, 3.0, 8.0 / SHOWN
    height = low + cell + 2.0
    fig = style.blank(figsize=(width, height), layout="none")
    ax = fig.add_axes((0.09, (height - low) / height, 0.89, (low - 0.15) / height))
    along = table[table["beta"] > 0].sort_values("beta")
    for other, group in along.groupby("seed"):
        nats = group["nats"].clip(LEAST)
        ax.plot(nats, group["loss"], color=style.LINE, linewidth=1, alpha=0.9 if other == seed else 0.45, zorder=1)
    labels = mine["label"] if "label" in mine else pd.Series("", mine.index)
    ax.scatter(mine["nats"].clip(LEAST), mine["loss"], s=34, c=labels.map(COLOURS).fillna(style.OTHER), zorder=3)
    if len(given):
        ax.axhline(float(given["loss"].iloc[0]), color=style.TEXT, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    ax.axvline(CLOSED_KL, color=style.LINE, linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", yscale="log", xlabel="memory (nats), from a high price to a low one", ylabel="loss")
    named = [label for label in dict.fromkeys(labels) if label]
    dot = {"linestyle": "", "marker": "o"}
    handles = [Line2D([], [], color=COLOURS.get(label, style.OTHER), label=label, **dot) for label in named]
    if len(given):
        handles.append(Line2D([], [], color=style.TEXT, linewidth=1, linestyle=(0, (4, 2)), label="given network"))
    ax.legend(handles=handles, fontsize=9.5, loc="upper right")

    for column, beta in enumerate(shown):
        row, net = rows[rows["beta"] == beta].iloc[0], network_at(run, seed, beta)
        x = column * cell / width
        below = fig.add_axes((x, 1.0 / height, cell / width, cell / height))
        paint(below, net, drawing.layout(net), cell)
        name = "given network" if beta == 0 else f"price {_power(beta)}, {row['nats']:,.0f} nats"
        label = row["label"] if "label" in rows else ""
        below.set_title(f"{name}\n{label}, loss {row['loss']:.2g}".replace("\n, ", "\n"), fontsize=10, pad=3)
        if "text" in rows:
            fig.text(x + cell / width / 2, 0.97 / height, _formula(row), fontsize=10, ha="center", va="top")
    last = mine.iloc[0]
    before = f" (given {given['loss'].iloc[0]:.2g})" if len(given) else ""
    at_first = f"Seed {seed}: loss {last['loss']:.2g}{before} at {last['nats']:,.0f} nats"
    fig.finding = f"{at_first}; breaks: {len(breaks)}"
    fig.table = table.drop(columns="text", errors="ignore").reset_index(drop=True)
    return fig


def _power(value: float) -> str:
    """A power of ten with one digit before it, typeset."""
    digit, power = f"{value:.0e}".split("e")
    return f"${digit}{{\\times}}10^{{{int(power)}}}$".replace("1{\\times}", "")


def _formula(row: pd.Series) -> str:
    """The formula in a few short lines, or its size if it is longer."""
    text = re.sub("([-+*]) ", "\\1\xa0", str(row["text"]))  # a sign stays with what follows
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 23)]
    return "\n".join(lines) if len(lines) <= LINES else f"{row['numbers']:.0f} numbers, {row['bits']:.0f} bits"


def kl_scale(ax: Axes, which: str, largest: float) -> None:
    """Linear up to `KL_LINEAR` nats, logarithmic above."""
    scale, limits = (ax.set_xscale, ax.set_xlim) if which == "x" else (ax.set_yscale, ax.set_ylim)
    scale("symlog", linthresh=KL_LINEAR, linscale=0.5)
    limits(-0.4, 2 * max(largest, 10 * CLOSED_KL))
    axis = ax.xaxis if which == "x" else ax.yaxis
    powers = range(math.ceil(math.log10(max(largest, 10 * CLOSED_KL))) + 1)
    axis.set_ticks([0.0, *(10.0**p for p in powers)])


@style.figure
def held_out(table: pd.DataFrame, price: float = math.nan) -> Figure:
    """Loss against nats of an estimator's ``path_``, on rows trained on and on others; the chosen price is marked."""
    table = table.sort_values("price")
    fig, ax = style.subplots(figsize=(6.0, 3.6))
    looks = {"loss": ("trained on", style.NEGATIVE), "loss_held_out": ("held out", style.POSITIVE)}
    for column, (label, colour) in looks.items():
        ax.plot(table["nats"], table[column], color=colour, linewidth=2, label=label)
    low, high = (table["loss_held_out"] + sign * table["loss_held_out_se"] for sign in (-1, 1))
    ax.fill_between(table["nats"], low, high, color=style.POSITIVE, alpha=0.2, linewidth=0)
    kl_scale(ax, "x", table["nats"].max())
    ax.set(xlabel="information in nats", ylabel="loss", yscale="log")
    if math.isfinite(price):
        row = table.iloc[int((table["price"] - price).abs().argmin())]
        ax.plot(row["nats"], row["loss_held_out"], "o", color=style.POSITIVE, markersize=8)
        fig.finding = f"{row['nats']:,.0f} nats predict best: held-out loss {row['loss_held_out']:.2g}"
    if ax.get_ylim()[1] < 10 * ax.get_ylim()[0]:  # plain numbers within a power of ten
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    ax.grid(True, which="major")
    fig.legend(loc="outside lower center", ncols=2)
    fig.table = table
    return fig
