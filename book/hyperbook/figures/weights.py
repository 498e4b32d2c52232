"""First layers: heat maps (figure 6), which neurons read one input, and the distributions of weights (section 2.1)."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from scipy.stats import norm, zscore
from torch import Tensor

from hyperlib.figures import style
from hyperlib.figures.networks import FAINT, to_numpy
from hyperlib.network import Network

from ..claims.evidence import modes

READS = 0.5  # share of a neuron's squared weights along a direction from which on the neuron is that direction's own


def role_order(weight: Tensor) -> tuple[Tensor, int]:
    """Order ``(n_1,)`` of the hidden neurons by role, for ``weight`` ``(n_0, n_1)``, and how many are assigned.

    `assigned` neurons come first, by their strongest input and of one input by falling weight; those that all inputs
    share follow, from the strongest to the weakest: by their largest weight, they would make a diagonal.
    """
    own, strongest = assigned(weight), weight.abs().argmax(0)
    place = torch.where(own, strongest, len(weight))
    size = torch.where(own, weight.gather(0, strongest[None])[0], weight.square().sum(0))
    return torch.from_numpy(np.lexsort((-to_numpy(size), to_numpy(place)))), int(own.sum())


def assigned(weight: Tensor) -> Tensor:
    """Which hidden neurons ``(n_1,)`` have over `READS` of their squared weights on one input and are not faint."""
    squares = weight.square()
    return (squares.amax(0) > READS * squares.sum(0)) & (squares.amax(0) > FAINT**2 * squares.max())


def diverging() -> LinearSegmentedColormap:
    """Negative to positive weights; zero is transparent, so that it is the page's own colour."""
    ends = [to_rgba(style.NEGATIVE), to_rgba(style.NEGATIVE, 0), to_rgba(style.POSITIVE, 0), to_rgba(style.POSITIVE)]
    return LinearSegmentedColormap.from_list("weights", list(zip([0, 0.5, 0.5, 1], ends, strict=True)), N=512)


def heat_map(
    ax: plt.Axes, weight: np.ndarray, inputs: Sequence[int], hidden: Sequence[int], **said: str
) -> pd.DataFrame:
    """Draw weights of some inputs, in rows, to hidden neurons, in columns, relative to the largest of all.

    Returns their numbers, with a column for each of the further arguments, too.
    """
    matrix, look = weight[np.ix_(inputs, hidden)], {"aspect": "auto", "interpolation": "nearest"}
    ax.imshow(matrix / (np.abs(weight).max() or 1.0), cmap=diverging(), vmin=-1, vmax=1, **look)
    row, column = (place.ravel() for place in np.indices(matrix.shape))
    cells = {"input": np.array(inputs)[row] + 1, "hidden": np.array(hidden)[column] + 1, "column": column + 1}
    return pd.DataFrame(said | cells | {"weight": matrix.ravel()})


@style.figure
def weight_maps(nets: Sequence[Network], titles: Sequence[str]) -> plt.Figure:
    """First-layer matrices as heat maps: inputs in rows, hidden neurons in columns (figure 6).

    Columns are in `role_order`; colours are relative to each matrix's largest weight.
    """
    heights = [min(3.0, 5.2 * net.shape[0] / net.shape[1]) for net in nets]
    size = (7.4, sum(heights) + 0.9 * len(nets))
    fig, axes = style.subplots(len(nets), 1, figsize=size, squeeze=False, height_ratios=heights)
    tables, own = [], []
    for ax, net, title in zip(axes[:, 0], nets, titles, strict=True):
        weight = net.weights[0].detach()
        order, first = role_order(weight)
        own.append(first)
        name = title.replace("\n", ", ")
        tables.append(heat_map(ax, to_numpy(weight), range(len(weight)), order.tolist(), network=name))
        ax.set(ylabel="input", xticks=[])
        ax.set_yticks([0, len(weight) - 1], labels=["1", str(len(weight))])
        ax.set_title(title, loc="left")
        ax.set_title(f"largest |weight| {weight.abs().max():.2g}", loc="right", fontsize=10)
        ax.spines[["top", "right"]].set_visible(True)
        if 0 < first < len(order):  # a line between assigned and shared neurons
            ax.axvline(first - 0.5, color=style.TEXT, linewidth=1.5)
        for begin, count, kind in ((0, first, "assigned"), (first, len(order) - first, "shared")):
            text = f"{count} {kind}" if count >= len(order) / 6 else f"{count or ''}"
            below = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top"}
            ax.annotate(text, (begin + (count - 1) / 2, -0.03), **below)
    inset = fig.colorbar(ax.images[0], ax=ax, ticks=[-1, 0, 1], location="bottom", shrink=0.4, aspect=22, pad=0.22)
    inset.set_label("weight / largest |weight|")
    inset.outline.set_edgecolor(style.LINE)
    fig.finding = f"Hidden neurons that read a single input: {', '.join(map(str, own))}"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig


@style.figure
def weight_distributions(weights: Sequence[tuple[str, Tensor]]) -> plt.Figure:
    """Densities of first-layer weights, a panel each, beside the normal one (equation 4: W ~ D).

    Weights, of any shape under a title each, are in units of their standard deviation. A logarithmic axis shows tails.
    """
    samples = {title: zscore(to_numpy(values).astype(float), axis=None).ravel() for title, values in weights}
    reach = max(4.0, *(float(np.abs(values).max()) for values in samples.values()))
    grid, edges = np.linspace(-3.5, 3.5, 141), np.linspace(-reach, reach, 2 * math.ceil(3 * reach) + 1)
    fig, axes = style.subplots(1, len(samples), figsize=(8.0, 3.3), sharex=True, sharey=True, squeeze=False)
    tables = []
    for ax, (title, values) in zip(axes[0], samples.items(), strict=True):
        colour = style.STRUCTURES.get(title, style.OTHER)
        density, _ = np.histogram(values, edges, density=True)
        ax.stairs(density, edges, fill=True, color=colour, alpha=0.45)
        ax.plot(grid, norm.pdf(grid), color=style.TEXT, linestyle=":", linewidth=1.6)
        ax.set(title=title, xlabel="weight / standard deviation", ylabel="density", yscale="log")
        ax.set_ylim(0.2 / len(values), 1.5)
        tables.append(pd.DataFrame({"network": title, "from": edges[:-1], "to": edges[1:], "density": density}))
    axes[0, 0].annotate("dotted: normal", (0.02, 0.98), xycoords="axes fraction", ha="left", va="top", fontsize=10)
    number = ", ".join(str(modes(values)) for values in samples.values())
    kurtosis = ", ".join(f"{(values**4).mean():.2g}" for values in samples.values())
    fig.finding = f"Modes of D: {number}; kurtosis: {kurtosis}, where a normal D has 3"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig
