"""KL and loss along beta, the front between them, also of tables of data, and learning curves (section 2.3)."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hyperlib.figures import style
from hyperlib.figures.path import kl_scale
from hyperlib.sweeps import CLOSED_KL

from ..studies.development import STRAY
from . import shared
from .shared import WIDTH, count

POINTS = 80  # of a learning curve
PEERS = {"linear": ":", "boosting": "--", "MLP": "-."}  # and how they are drawn


@style.figure
def kl_against_beta(sweep: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """KL at the last step against beta, a line per seed, coloured by case; dotted: where a seed counts as collapsed."""
    last = shared.final(sweep)
    fig, ax = style.subplots(figsize=(WIDTH, 4.8))
    fig.table = shared.by_case(last, cases, "beta", "kl")
    shared.case_lines(ax, fig.table, "beta", "kl")
    ax.set(xscale="log", xlabel="β", ylabel="KL in nats")
    shared.beta_axis(ax.xaxis)
    ax.grid(True, which="major")
    kl_scale(ax, "y", float(last["kl"].max()))
    ax.axhline(CLOSED_KL, color=style.TEXT, linestyle=":", linewidth=1.3)
    shared.case_legend(fig, cases)
    paid = cases.loc[~cases["collapsed"], "kl_low"]
    fig.finding = f"{count(len(paid), len(cases))} pay for information"
    fig.finding += f", {paid.median():,.0f} nats at the lowest price (median)" if len(paid) else ""
    return fig


@style.figure
def pareto_front(sweep: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """Loss against KL at the last step, a panel per case, a line per seed along beta.

    Where the KL has collapsed a front is a point (section 2.3, case 3d).
    """
    last, present = shared.final(sweep), shared.groups(cases)
    rows, columns = shared.rows_and_columns(len(present))
    width = {1: 4.6, 2: 6.4}.get(columns, WIDTH)
    fig, axes = style.subplots(rows, columns, figsize=(width, 2.7 * rows), sharex=True, sharey=True, squeeze=False)
    fig.table = shared.by_case(last, cases, "beta", "kl", "loss")
    for ax, (name, seeds) in zip(axes.flat, present.items(), strict=False):
        shared.case_lines(ax, fig.table[fig.table["case"] == name], "kl", "loss")
        ax.set(title=f"{name}\n{count(len(seeds), len(cases))}", xlabel="KL in nats", ylabel="loss", yscale="log")
        kl_scale(ax, "x", float(last["kl"].max()))
        ax.grid(True, which="major")
        ax.label_outer()
    shared.plain_ticks(axes[0, 0].yaxis, 1, 3)
    for ax in axes.flat[len(present) :]:
        ax.axis("off")
    losses = last.groupby("seed")["loss"]
    fig.finding = f"Along β the loss changes by a factor of {shared.by_payment(cases, losses.max() / losses.min())}"
    return fig


@style.figure
def rate_distortion(curves: pd.DataFrame, met: float = math.nan) -> plt.Figure:
    """Loss at equal KL, a line per seed and algorithm, and the median of each algorithm (section 4).

    The curves are of `hyperbook.studies.development.rate_distortion`; ``met``, the KL at which medians cross, of
    `crossing`.
    """
    fig, ax = style.subplots(figsize=(WIDTH * 0.75, 3.6))
    for name in [name for name in style.PHASES if (curves["algorithm"] == name).any()]:
        rows = curves[curves["algorithm"] == name]
        for _, line in rows.groupby("seed"):
            ax.plot(line["kl"], line["loss"], color=style.PHASES[name], linewidth=0.8, alpha=0.35)
        median = rows.groupby("kl")["loss"].agg(["median", "count"]).query("count > 2")["median"]
        ax.plot(median.index, median, color=style.PHASES[name], linewidth=2.6, label=f"{name} (median)")
    if math.isfinite(met):
        ax.axvline(met, color=style.TEXT, linestyle=":", linewidth=1.3)
        fig.finding = f"From {shared.short(met)} nats on double-sided has the lower loss, below pudding (medians)"
    ax.set(xscale="log", yscale="log", xlabel="KL in nats", ylabel="loss")
    ax.grid(True, which="major")
    fig.legend(loc="outside lower center", ncols=3)
    fig.table = curves
    return fig


@style.figure
def learning_curves(curves: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """Loss and KL along training, averaged over the betas that were drawn, a line per seed, coloured by case.

    A point is a mean over all steps since the point before; there are `POINTS` of them, spaced logarithmically.
    """
    fig, axes = style.subplots(1, 2, figsize=(WIDTH, 3.9))
    bins = np.searchsorted(np.geomspace(curves["step"].min(), curves["step"].max(), POINTS), curves["step"])
    means = curves.groupby(["seed", bins])[["step", "loss", "kl"]].mean().reset_index("seed")
    fig.table = shared.by_case(means, cases, "step", "loss", "kl")
    for ax, column, label in zip(axes, ("loss", "kl"), ("loss (normalised MSE)", "KL in nats"), strict=True):
        shared.case_lines(ax, fig.table, "step", column, markers=False)
        ax.set(xscale="log", xlabel="training step", ylabel=label)
        ax.grid(True, which="major")
    axes[0].set_yscale("log")
    shared.plain_ticks(axes[0].yaxis, 1, 3)
    kl_scale(axes[1], "y", float(curves["kl"].max()))
    shared.case_legend(fig, cases)
    ever = (cases[["pudding_share", "double_sided_share"]] > STRAY).any(axis=1)
    fig.finding = f"{count(ever.sum(), len(cases))} found pudding or double-sided"
    return fig


@style.figure
def data_paths(path: pd.DataFrame, errors: pd.DataFrame) -> plt.Figure:
    """Error on rows that were not trained on, against nats; horizontal lines are the peers' (``scripts/data.py``)."""
    parts = dict(iter(path.groupby("data", sort=False)))
    rows, columns = shared.rows_and_columns(len(parts))
    fig, axes = style.subplots(rows, columns, figsize=(WIDTH, 2.5 * rows + 0.6), squeeze=False)
    for ax, (name, part) in zip(axes.flat, parts.items(), strict=False):
        line = part.sort_values("price")
        looks = {"color": style.NEGATIVE, "linewidth": 2, "label": "networks along the price"}
        ax.plot(line["nats"].clip(lower=1), line["error"], **looks)
        most = 10 ** math.ceil(math.log10(max(10, line["nats"].max())))
        for peer, look in PEERS.items():
            found = errors.loc[(errors["data"] == name) & (errors["method"] == peer), "error"]
            ax.hlines(found, 1, most, color=style.TEXT, linestyle=look, linewidth=1, label=peer)
        ax.set(title=name, xscale="log", xlabel="nats", xlim=(1, most), ylim=(0, min(1.2, 1.1 * line["error"].max())))
        ax.grid(True, which="major")
    for ax in axes.flat[len(parts) :]:
        ax.axis("off")
    plt.setp(axes[:, 0], ylabel="error")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    lowest = path.loc[path.groupby("data", sort=False)["error"].idxmin()]
    places = (f"{name} {max(nats, 1):,.0f}" for name, nats in zip(lowest["data"], lowest["nats"], strict=True))
    fig.finding = f"The error is lowest at these nats: {', '.join(places)}"
    fig.table = path
    return fig
