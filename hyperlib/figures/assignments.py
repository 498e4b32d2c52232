"""How networks of case 3d work: what neurons that share an input make of it, and what their loss consists of."""

from __future__ import annotations

import math

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..algorithms.interventions import PARTS
from ..development import check_sweep
from . import style
from .shared import WIDTH

SHADES = ("#c8553d", "#e0a458", "#7aa6c2", "#b8b8b8")  # of the parts


@style.figure
def shared_kinks(table: pd.DataFrame) -> Figure:
    """Kinks against the number of neurons that share an input: of a single neuron, and of all together.

    Args:
        table: of `hyperlib.algorithms.interventions.kink_sums`, of one network or many of a size. A dotted line is the
            kink that the L1 norm of so many inputs has.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(table, ("input", "neurons", "kink", "each"))
    needed = 2 / math.sqrt(table["input"].nunique() * (1 - 2 / math.pi))
    rows = table[table["neurons"] > 0].rename(columns={"kink": "of all together", "each": "of each neuron"})
    kinds = ["of all together", "of each neuron"]
    long = rows.melt(["neurons"], kinds, var_name="kink", value_name="value")
    fig, ax = style.subplots(figsize=(WIDTH * 0.7, 3.2))
    colours = dict(zip(kinds, (style.PHASES["pudding"], style.LINE), strict=True))
    sns.pointplot(long, x="neurons", y="value", hue="kink", errorbar="sd", capsize=0.1, palette=colours, ax=ax)
    ax.axhline(needed, color=style.TEXT, linestyle=":", linewidth=1.3)
    ax.set(xlabel="neurons that read the input alone", ylabel="|w| v", ylim=(0, None))
    sns.despine(ax=ax)
    fig.table = long.groupby(["neurons", "kink"])["value"].agg(["mean", "std", "count"]).reset_index()
    return fig


@style.figure
def parts_of_the_loss(table: pd.DataFrame) -> Figure:
    """What the loss of every seed consists of, and a mark where shuffling the neurons between the inputs takes it.

    Args:
        table: of `hyperlib.algorithms.interventions.dissect`, with a column ``seed``; medians over its networks.

    Raises:
        ValueError: a column is missing, or there are no rows.
    """
    check_sweep(table, ("seed", *PARTS, "loss", "shuffled"))
    medians = table.groupby("seed").median().sort_values("loss")
    fig, ax = style.subplots(figsize=(WIDTH, 3.2))
    places, bottom = range(len(medians)), 0.0
    for name, colour in zip(PARTS, SHADES, strict=True):
        ax.bar(places, medians[name], bottom=bottom, color=colour, label=name)
        bottom = bottom + medians[name].clip(lower=0)
    ax.plot(places, medians["shuffled"], "x", color=style.TEXT, label="neurons shuffled")
    ax.set_xticks(places, labels=[str(seed) for seed in medians.index])
    ax.set(xlabel="seed", ylabel="loss")
    fig.legend(loc="outside lower center", ncols=3)
    fig.table = medians.reset_index()
    return fig
