"""The path of an estimator along the price: loss against nats."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..sweeps import CLOSED_KL
from . import style

KL_LINEAR = 1.0  # nats: below it the axes of the KL are linear, since a collapsed KL is next to 0


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
        fig.finding = f"{row['nats']:.3g} nats predict best: held-out loss {row['loss_held_out']:.2g}"
    ax.grid(True, which="major")
    fig.legend(loc="outside lower center", ncols=2)
    fig.table = table
    return fig
