"""How networks of case 3d are made: what a silenced conversation costs, and one auction."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hyperlib.figures import style
from hyperlib.figures.networks import to_numpy

from ..studies.auction import Auction
from .shared import WIDTH, short
from .sizes import heat
from .weights import diverging


@style.figure
def loss_when_silenced(table: pd.DataFrame) -> Figure:
    """The loss of every seed without one of its `hyperbook.studies.auction.conversations`, the lowest on top."""
    grid = table.pivot_table(index="seed", columns=["hyperlayer", "at"], values="loss", sort=False).sort_values((0, ""))
    fig, ax = style.subplots(figsize=(WIDTH, 1.3 + 0.33 * len(grid)))
    heat(ax, grid, xticklabels=[at.replace(" ", "\n") or "whole" for _, at in grid.columns], yticklabels=True)
    layers = grid.columns.get_level_values(0)
    for k in sorted({*layers} - {0}):
        places = np.flatnonzero(layers == k)
        ax.text(places.mean() + 0.5, -0.25, f"silenced in hyperlayer {k}", ha="center", va="bottom")
        ax.axvline(places[0], color="white", linewidth=5)
    ax.set(xlabel="", ylabel="seed")
    times = grid.div(grid[(0, "")], axis=0).median()
    (hyperlayer, at), most = times.idxmax(), times.max()
    fig.finding = f"Silenced at the {at} in hyperlayer {hyperlayer}, the loss is {short(most)} times as large (median)"
    fig.table = table
    return fig


@style.figure
def one_auction(held: Auction) -> Figure:
    """The bids for the inputs of the first network, and the first layer that comes of them.

    Hidden neurons are sorted by the input they favour, and among those by how much they bid, highest first. A dot marks
    a neuron that reads a single input in the end.
    """
    bids, W = held.bids[0].numpy(), to_numpy(held.net.weights[0][0])
    bidders = held.neurons().query("network == 0").sort_values(["favourite", "rank"])
    order, wins = bidders["neuron"].to_numpy(), bidders["wins"].to_numpy()
    fig, axes = style.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True)
    at = bidders["input"].to_numpy()[wins]
    sign = np.sign(W[at, order[wins]].sum())  # that of the weights, back again
    panels = {f"read out after hyperlayer {held.opened}: bids": sign * bids, "first-layer weights": W}
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        top = np.abs(matrix).max()
        ax.pcolormesh(matrix[:, order], cmap=diverging(), vmin=-top, vmax=top)
        ax.plot(np.flatnonzero(wins) + 0.5, at + 0.5, ".", color=style.TEXT, markersize=4)
        ax.set_yticks([0.5, len(W) - 0.5], labels=["1", str(len(W))])
        ax.set_xticks([0.5, W.shape[1] - 0.5], labels=["1", str(W.shape[1])])
        ax.set(title=title, ylabel="input")
        ax.invert_yaxis()
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    axes[1].set(xlabel="hidden neurons, by the input that they favour and by their bid")
    first = bidders[bidders["rank"] == 0]
    won = int((first["wins"] & (first["input"] == first["favourite"])).sum())
    fig.finding = f"{won} of {len(first)} highest bids win their input"
    fig.table = bidders
    return fig
