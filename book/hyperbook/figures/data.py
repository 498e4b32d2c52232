"""Tables of data: error against nats, a panel per table, beside what people use."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.figures import style

from .shared import WIDTH, columns_for

PEERS = {"linear": ":", "boosting": "--", "MLP": "-."}  # and how they are drawn


@style.figure
def paths(path: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Error on rows that were not trained on, against nats; horizontal lines are the peers' (``scripts/data.py``)."""
    parts = dict(iter(path.groupby("data", sort=False)))
    columns = columns_for(len(parts))
    rows = math.ceil(len(parts) / columns)
    fig, axes = style.subplots(rows, columns, figsize=(WIDTH, 2.5 * rows + 0.6), squeeze=False)
    for ax, (name, part) in zip(axes.flat, parts.items(), strict=False):
        line = part.sort_values("price")
        ax.plot(line["nats"].clip(lower=1), line["error"], color=style.NEGATIVE, linewidth=2)
        for peer, look in PEERS.items():
            for error in errors[(errors["data"] == name) & (errors["method"] == peer)]["error"]:
                ax.axhline(error, color=style.TEXT, linestyle=look, linewidth=1)
        most = 10 ** math.ceil(math.log10(max(10, line["nats"].max())))
        ax.set(title=name, xscale="log", xlabel="nats", xlim=(1, most), ylim=(0, min(1.2, 1.1 * line["error"].max())))
        ax.grid(True, which="major")
    for ax in axes[:, 0]:
        ax.set_ylabel("error")
    for ax in axes.flat[len(parts) :]:
        ax.axis("off")
    handles = [Line2D([], [], color=style.NEGATIVE, linewidth=2, label="networks along the price")]
    handles += [Line2D([], [], color=style.TEXT, linestyle=look, label=peer) for peer, look in PEERS.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    lowest = path.loc[path.groupby("data", sort=False)["error"].idxmin()]
    places = (f"{name} {max(nats, 1):,.0f}" for name, nats in zip(lowest["data"], lowest["nats"], strict=True))
    fig.finding = f"The error is lowest at these nats: {', '.join(places)}"
    fig.table = path
    return fig
