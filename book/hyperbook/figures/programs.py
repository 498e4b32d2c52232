"""Figures of programs: how few numbers networks come down to (from weights to a program)."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

import hyperlib as hl
from hyperlib.decoding.description import DIGITS, constant_bits
from hyperlib.decoding.program import LABELS
from hyperlib.figures import style
from hyperlib.sweeps import CLOSED_KL

from ..studies.programs import FEW, WELL
from .shared import WIDTH, count, plain_ticks
from .weights import heat_map

COLOURS = style.STRUCTURES | {"pudding, mixed signs": "#a6d854", "sum": "#8a63d2", "linear": "#2a93a3"}
COLOURS |= {"constant": "#8c8c8c", "other": "#bdbdbd"}
LEAST = 1e-5  # share of the output's variance below which all is drawn alike


@style.figure
def sorted_by_program(net: hl.Network, program: hl.Program) -> plt.Figure:
    """First-layer weights times the size of each neuron's output weight, as stored and sorted by a program's groups.

    Columns begin with the neurons that read one input, group by group, and rows follow them.
    """
    effective = (net.weights[0] * net.weights[1][:, 0].abs()).detach().double().numpy()
    strongest = np.abs(effective).argmax(0).tolist()
    one, neurons = program.groups["reads"] == "one input", program.groups["neurons"]
    own = [j for group in neurons[one] for j in sorted(group, key=lambda j: (strongest[j], j))]
    rest = [j for group in neurons[~one] for j in group]
    columns = list(dict.fromkeys([*own, *rest, *range(effective.shape[1])]))
    rows = list(dict.fromkeys([*(strongest[j] for j in own), *range(effective.shape[0])]))
    fig, axes = style.subplots(2, 1, figsize=(WIDTH, 4.8))
    orders = {"as stored": (sorted(rows), sorted(columns)), "sorted by its program": (rows, columns)}
    tables = []
    for ax, (title, (at, across)) in zip(axes, orders.items(), strict=True):
        tables.append(heat_map(ax, effective, at, across, order=title))
        ax.set(title=title, xticks=[], ylabel="input")
        ax.set_yticks(range(len(at)), labels=[i + 1 for i in at], fontsize=7)
    axes[1].axvline(len(own) - 0.5, color=style.LINE)
    axes[1].set_xlabel("hidden neurons")
    fig.finding = f"{len(own)} of {len(columns)} hidden neurons read one input each; the others come after the line"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig


@style.figure
def constants_against_loss(curves: Mapping[str, pd.DataFrame]) -> plt.Figure:
    """What is lost of the output's variance, against the number of constants (`hyperbook.studies.programs.curve`)."""
    fig, ax = style.subplots(figsize=(WIDTH, 3.8))
    joined = pd.concat(curves, names=["network"]).reset_index("network")
    kinds = {"hue": "network", "style": "network", "markers": True, "dashes": False, "palette": "colorblind"}
    sns.lineplot(joined.assign(lost=joined["lost"].clip(LEAST, 1)), x="numbers", y="lost", ax=ax, **kinds)
    ax.axhline(1 - WELL, color=style.LINE, linestyle=":", zorder=0)
    ax.axvline(FEW, color=style.LINE, linestyle=":", zorder=0)
    ax.set(yscale="log", xscale="log", xlabel="constants", ylabel="share of variance lost")
    plain_ticks(ax.xaxis)
    _legend_below(fig, ax)
    enough = joined[joined["lost"] <= 1 - WELL].groupby("network")["numbers"].min()
    words = (f"{enough[name]:.0f} ({name})" if name in enough else f"none ({name})" for name in curves)
    fig.finding = f"Constants that lose at most {100 * (1 - WELL):.0f} % of the variance: {', '.join(words)}"
    fig.table = joined[["network", "numbers", "bits", "lost", "total"]]
    return fig


def _legend_below(fig: plt.Figure, ax: plt.Axes) -> None:
    """The legend that seaborn has made for the axes, below them."""
    ax.get_legend().remove()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)


@style.figure
def bits_and_nats(table: pd.DataFrame) -> plt.Figure:
    """Bits of the programs against what the hypernetwork paid for the networks, in bits, coloured by form.

    Dotted: where both are equal; dashed: what all numbers of a network, which are of one size, take at that precision.
    """
    points = table.assign(paid=(table["kl"] / math.log(2)).clip(lower=0.1))
    fig, ax = style.subplots(figsize=(WIDTH, 3.8))
    present = [label for label in LABELS if label in set(points["label"])]
    looks = {"hue": "label", "hue_order": present, "palette": COLOURS, "s": 26, "alpha": 0.7}
    sns.scatterplot(points, x="paid", y="bits", ax=ax, **looks)
    _legend_below(fig, ax)
    ax.axline((10, 10), (100, 100), color=style.LINE, linestyle=":", zorder=0)
    whole = float(table["weights"].max()) * constant_bits(DIGITS)
    ax.axhline(whole, color=style.LINE, linestyle="--", zorder=0)
    ax.set_ylim(0.7 * points["bits"].min(), 2 * whole)
    ax.set(xscale="log", yscale="log", xlabel="KL that the hypernetwork paid, in bits", ylabel="program, in bits")
    paid = points[points["kl"] > CLOSED_KL]
    if len(paid):
        bits, held = paid["paid"].median(), paid["bits"].median()
        fig.finding = f"Networks that are paid for cost {bits:,.0f} bits, their programs have {held:,.0f} (medians)"
    fig.table = table.filter(["run", "seed", "beta", "label", "bits", "kl", "loss"])
    return fig


@style.figure
def bits_against_loss(generated: pd.DataFrame, penalised: pd.DataFrame) -> plt.Figure:
    """Is a hypernetwork needed? Programs of generated networks along beta beside those of ``scripts/penalty.py``."""
    enough = 0.01  # loss of a program for which the title says how few bits do
    kinds = {"hypernetworks, along β": generated}
    kinds |= {f"Adam, price on {name}": table for name, table in penalised.groupby("penalty")}
    joined = pd.concat(kinds, names=["networks"]).reset_index("networks")
    fig, ax = style.subplots(figsize=(WIDTH, 3.8))
    looks = {"hue": "networks", "style": "networks", "palette": "colorblind", "s": 30, "alpha": 0.7}
    sns.scatterplot(joined, x="program_loss", y="bits", ax=ax, **looks)
    ax.axvline(enough, color=style.LINE, linestyle=":", zorder=0)
    ax.set(xscale="log", yscale="log", xlabel="loss of the program", ylabel="program, in bits")
    plain_ticks(ax.yaxis)
    _legend_below(fig, ax)
    said = []
    for name, table in kinds.items():
        fewest = table[table["program_loss"] <= enough].groupby("seed")["bits"].min()  # along each seed's prices
        some = f"{fewest.median():,.0f}" if len(fewest) else "none"
        who = name.split(", ")[-1 if "price" in name else 0]
        said.append(f"{some} ({who}, {count(len(fewest), table['seed'].nunique())})")
    fig.finding = f"Median of the fewest bits with a loss of {enough:g}: {', '.join(said)}"
    fig.table = joined.filter(["networks", "seed", "beta", "price", "label", "bits", "program_loss"])
    return fig
