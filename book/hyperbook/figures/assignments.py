"""How networks of case 3d work: who reads which input, what neurons that share one make of it, and what is lost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from scipy.stats import binom

from hyperlib.figures import style

from ..studies.auction import LEVELS, Auction
from ..studies.interventions import PARTS
from . import sizes
from .shared import WIDTH, plain_ticks

SHADES = ("#c8553d", "#e0a458", "#7aa6c2", "#8d7bab", "#b8b8b8")  # of the parts
LEAST = 3  # inputs of a seed, and seeds, that a mean and a median of kinks are made of


@style.figure
def shared_kinks(table: pd.DataFrame) -> Figure:
    """Kinks against the number of neurons that share an input: of a single neuron, and of all together.

    A thin line is a seed of a table of `hyperbook.studies.interventions.kink_sums`, its means over inputs and networks;
    a thick one the median of the seeds. A seed has a point where it has `LEAST` such inputs, the median one where it
    has `LEAST` seeds (or all). Dotted is the kink that the L1 norm of so many inputs has.
    """
    needed = 2 / math.sqrt(table["input"].nunique() * (1 - 2 / math.pi))
    kinds = {"kink": "all together", "each": "each of them"}
    rows = table[table["neurons"] > 0].rename(columns=kinds)
    long = rows.melt(["seed", "neurons"], [*kinds.values()], var_name="of", value_name="kink")
    lines = long.groupby(["of", "seed", "neurons"])["kink"].agg(kink="mean", inputs="count").query("inputs >= @LEAST")
    middle = lines["kink"].groupby(["of", "neurons"]).agg(["median", "count"])
    middle = middle[middle["count"] >= min(LEAST, table["seed"].nunique())]["median"]
    fig, ax = style.subplots(figsize=(WIDTH * 0.75, 3.4))
    for name, colour in zip(kinds.values(), (style.PHASES["pudding"], style.PHASES["double-sided"]), strict=True):
        for _, line in lines.query("of == @name").reset_index().groupby("seed"):
            ax.plot(line["neurons"], line["kink"], ".-", color=colour, linewidth=0.8, alpha=0.35)
        line = middle[middle.index.get_level_values("of") == name].droplevel("of")
        ax.plot(line.index, line, "o-", color=colour, linewidth=2.6, label=f"{name} (median)")
    ax.axhline(needed, color=style.TEXT, linestyle=":", linewidth=1.3, label="exact")
    ax.set(xlabel="neurons that read the input alone", ylabel="kink, |w| v", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.legend(loc="outside lower center", ncols=3)
    fig.table = lines.reset_index()
    if {("each of them", 1), ("each of them", 2)} <= set(middle.index):
        one, two = middle["each of them", 1], middle["each of them", 2]
        fig.finding = f"Alone, a neuron makes a kink of {one:.2f}; of two on one input, each makes {two:.2f}"
    return fig


@style.figure
def parts_of_the_loss(table: pd.DataFrame) -> Figure:
    """The loss of every seed and what shuffling its neurons between the inputs makes of it; below, what it consists of.

    Means over networks (`hyperbook.studies.interventions.dissect`) are drawn, of which the parts add up to the loss.
    """
    means = table.groupby("seed")[[*PARTS, "loss", "shuffled"]].mean().sort_values("loss")
    fig, (upper, lower) = style.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True, height_ratios=(2, 3))
    places, bottom = range(len(means)), 0.0
    upper.plot(places, means["loss"], "o", color=style.TEXT, label="loss")
    upper.plot(places, means["shuffled"], "x", color=style.TEXT, label="neurons shuffled")
    shares = means[[*PARTS]].div(means["loss"], axis=0)
    for name, colour in zip(PARTS, SHADES, strict=True):
        lower.bar(places, shares[name], bottom=bottom, color=colour, label=name)
        bottom = bottom + shares[name].clip(lower=0)
    upper.set(yscale="log", ylabel="loss")
    plain_ticks(upper.yaxis, upper.get_ylim(), (1, 3))
    upper.grid(True, axis="y", which="major")
    lower.set_xticks(places, labels=[str(seed) for seed in means.index])
    lower.set(xlabel="seed", ylabel="share of the loss")
    lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    fig.legend(loc="outside lower center", ncols=4)
    fig.table = means.reset_index()
    spread, grown = shares["kinks unequal"].median(), (means["shuffled"] / means["loss"]).median()
    fig.finding = (
        f"Unequal kinks are {spread:.0%} of the loss; with neurons shuffled it grows {grown:.1f}-fold (medians)"
    )
    return fig


@style.figure
def neurons_against_chance(counts: Mapping[str, ArrayLike]) -> Figure:
    """How many hidden neurons read an input alone, and how many would if each had drawn its input on its own.

    A panel per title of `hyperbook.studies.auction.neurons_per_input` ``(networks, n_0)``.
    """
    tables = {title: np.asarray(count, dtype=int) for title, count in counts.items()}
    top = max(table.max() for table in tables.values()) + 1
    fig, axes = style.subplots(1, len(tables), figsize=(WIDTH, 2.9), sharey=True, squeeze=False)
    rows = []
    for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
        found = np.bincount(table.ravel(), minlength=top + 1) / table.size
        # independent draws: binomial in each network, with as many neurons as it has
        chance = binom.pmf(np.arange(top + 1), table.sum(1)[:, None], 1 / table.shape[1]).mean(0)
        ax.bar(range(top + 1), found, color=style.PHASES["pudding"], label="generated")
        ax.step(np.arange(-1, top + 2) - 0.5, [0, *chance, 0], where="post", color=style.TEXT, label="drawn apart")
        ax.set_xticks(range(top + 1))
        ax.set(title=title, xlabel="neurons that read the input alone", ylabel="share of the inputs")
        ax.label_outer()
        sns.despine(ax=ax)
        rows += [(title, k, found[k], chance[k]) for k in range(top + 1)]
    axes[0, -1].legend(frameon=False)
    fig.table = pd.DataFrame(rows, columns=["panel", "neurons", "generated", "drawn apart"])
    return fig


@style.figure
def loss_when_silenced(table: pd.DataFrame) -> Figure:
    """The loss of every seed without one of its `hyperbook.studies.auction.conversations`, the lowest on top."""
    grid = table.pivot(index="seed", columns=["hyperlayer", "at"], values="loss").sort_values((0, ""))
    grid = grid[sorted(grid.columns, key=lambda column: (column[0], ("", *LEVELS).index(column[1])))]
    fig, ax = style.subplots(figsize=(WIDTH, 1.3 + 0.33 * len(grid)))
    shades = {"norm": LogNorm(*sizes.RANGE), "cmap": LinearSegmentedColormap.from_list("losses", sizes.SHADES)}
    words, lines = grid.map(sizes.shown), {"linewidths": 0.6, "linecolor": "white"}
    sns.heatmap(grid, annot=words, fmt="", cbar=False, ax=ax, **shades, **lines)
    names = ["whole" if at == "" else at.replace(" ", "\n") for _, at in grid.columns]
    ax.set_xticks(np.arange(len(names)) + 0.5, labels=names, rotation=0)
    for k in sorted(set(grid.columns.get_level_values(0)) - {0}):
        places = np.flatnonzero(grid.columns.get_level_values(0) == k)
        ax.text(places.mean() + 0.5, -0.25, f"silenced in hyperlayer {k}", ha="center", va="bottom")
        ax.axvline(places[0], color="white", linewidth=5)
    ax.set_yticks(np.arange(len(grid)) + 0.5, labels=[str(seed) for seed in grid.index], rotation=0)
    ax.tick_params(length=0)
    ax.set(xlabel="", ylabel="seed")
    fig.table = table
    return fig


RANKS = 5  # bidders for an input that are told apart


@style.figure
def one_auction(held: Auction) -> Figure:
    """The bids for the inputs of the first network, and the first layer that comes of them.

    Hidden neurons are sorted by the input they favour, and among those by how much they bid, highest first. A dot marks
    a neuron that reads a single input in the end.
    """
    bids, W = held.bids[0], held.net.weights[0][0].detach().double()
    bidders = held.neurons().query("network == 0").sort_values(["favourite", "rank"])
    order = torch.tensor(bidders["neuron"].to_numpy())
    fig, axes = style.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True)
    wins = bidders["wins"].to_numpy()
    at = bidders["input"].to_numpy()[wins]
    sign = float(W[torch.tensor(at), order[torch.tensor(wins)]].sum().sign())  # that of the weights, back again
    panels = {f"read out after hyperlayer {held.opened}: bids": sign * bids, "first-layer weights": W}
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        top = float(matrix.abs().max())
        ax.pcolormesh(matrix[:, order].numpy(), cmap=style.diverging(), vmin=-top, vmax=top)
        ax.plot(np.flatnonzero(wins) + 0.5, at + 0.5, ".", color=style.TEXT, markersize=4)
        ax.set(title=title, ylabel="input")
        ax.invert_yaxis()
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    axes[1].set(xlabel="hidden neurons, by the input that they favour and by their bid")
    fig.table = bidders
    return fig


@style.figure
def winners(auctions: Mapping[int, Auction]) -> Figure:
    """Of every seed: who wins an input by rank among its bidders, and whether inputs that nobody favours are served."""
    tables = [held.neurons().assign(seed=seed, opened=held.opened) for seed, held in auctions.items()]
    table = pd.concat(tables).query("rank < @RANKS")
    served = [(seed, held.opened, *held.unasked()) for seed, held in auctions.items()]
    inputs = pd.DataFrame(served, columns=["seed", "opened", "unasked", "served"])
    hyperlayers = sorted(inputs["opened"].unique())
    colours = dict(zip(hyperlayers, sns.color_palette("crest_r", len(hyperlayers)), strict=True))
    fig, (left, right) = style.subplots(1, 2, figsize=(WIDTH, 3.1), width_ratios=(3, 2))
    for seed, rows in table.groupby("seed"):
        share, colour = rows.groupby("rank")["wins"].mean(), colours[rows["opened"].iloc[0]]
        left.plot(share.index + 1, share, marker="o", markersize=4, color=colour, label=f"{seed}")
    left.set(xlabel="place among the bidders for an input", ylabel="reads it alone")
    left.set(ylim=(0, 1), xticks=range(1, RANKS + 1))
    sns.stripplot(inputs, x="opened", y="served", hue="opened", palette=colours, legend=False, size=7, ax=right)
    right.set(xlabel="bids open after hyperlayer", ylabel="inputs without a bid\nthat are served", ylim=(0, 1.05))
    sns.despine(fig)
    shares = table.groupby(["seed", "opened", "rank"])["wins"].mean().reset_index()
    fig.table = shares.merge(inputs, on=["seed", "opened"])
    return fig
