"""Networks beside their constructions, and the distributions that first layers are drawn from (section 2.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from hyperlib.figures import style
from hyperlib.figures.networks import to_numpy

from ..claims.evidence import modes


@style.figure
def weight_distributions(weights: Sequence[tuple[str, Tensor]]) -> Figure:
    """Densities of first-layer weights, a panel each, beside the normal one (equation 4: W ~ D).

    Weights, of any shape under a title each, are in units of their standard deviation; all alike is a ValueError. The
    axis of the density is logarithmic, on which tails show; a normal density is a parabola there.
    """
    if not weights:
        raise ValueError("got no weights; expected those of at least one network")
    samples = {title: to_numpy(values).astype(float).ravel() for title, values in weights}
    if alike := [title for title, values in samples.items() if not values.std() > 0]:
        raise ValueError(f"the weights of {alike[0]!r} are all alike; expected at least two values")
    samples = {title: (values - values.mean()) / values.std() for title, values in samples.items()}
    reach = max(4.0, *(float(np.abs(values).max()) for values in samples.values()))
    grid, edges = np.linspace(-3.5, 3.5, 141), np.linspace(-reach, reach, 2 * math.ceil(3 * reach) + 1)
    fig, axes = style.subplots(1, len(samples), figsize=(8.0, 3.3), sharex=True, sharey=True, squeeze=False)
    tables = []
    for ax, (title, values) in zip(axes[0], samples.items(), strict=True):
        colour = style.STRUCTURES.get(title, style.OTHER)
        sns.histplot(x=values, bins=edges, stat="density", element="step", color=colour, alpha=0.45, ax=ax)
        ax.plot(grid, np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi), color=style.TEXT, linestyle=":", linewidth=1.6)
        ax.set(title=title, xlabel="weight / standard deviation", yscale="log")
        ax.set(ylim=(0.2 / len(values), 1.5), ylabel="density")
        density, _ = np.histogram(values, edges, density=True)
        tables.append(pd.DataFrame({"network": title, "from": edges[:-1], "to": edges[1:], "density": density}))
    axes[0, 0].annotate("dotted: normal", (0.02, 0.98), xycoords="axes fraction", ha="left", va="top", fontsize=10)
    found = [(modes(values), f"{(values**4).mean():.2g}") for values in samples.values()]
    number, kurtosis = (", ".join(map(str, column)) for column in zip(*found, strict=True))
    fig.finding = f"Modes of D: {number}; kurtosis: {kurtosis}, where a normal D has 3"
    fig.table = pd.concat(tables, ignore_index=True)
    return fig
