"""Tables of data: error against nats, a panel per table, beside what people use."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperlib.figures import style

from .shared import WIDTH

PEERS = {"linear": ":", "boosting": "--", "MLP": "-."}  # and how they are drawn
COLUMNS = 3


@style.figure
def paths(path: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Error on rows that were not trained on, against nats; horizontal lines are the peers' (``scripts/data.py``)."""
    parts = dict(iter(path.groupby("data", sort=False)))
    rows = math.ceil(len(parts) / COLUMNS)
    fig, axes = style.subplots(rows, COLUMNS, figsize=(WIDTH, 2.5 * rows + 0.6), squeeze=False)
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
    fig.table = path
    return fig
