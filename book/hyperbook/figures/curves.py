"""KL and loss along beta, the Pareto front between them, and learning curves (section 2.3)."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from hyperlib.figures import style
from hyperlib.figures.path import kl_scale
from hyperlib.sweeps import CLOSED_KL

from ..studies.development import STRAY, check_sweep
from . import shared
from .shared import CASE_LOOKS, WIDTH, by_case, case_legend, columns_for, count, final, groups, plain_ticks

POINTS = 80  # of a learning curve


@style.figure
def kl_against_beta(sweep: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """KL at the last step against beta, a line per seed, coloured by case; dotted: where a seed counts as collapsed."""
    check_sweep(sweep, ("seed", "step", "beta", "kl"))
    last = final(sweep)
    fig, ax = style.subplots(figsize=(WIDTH, 4.8))
    fig.table = by_case(last, cases, "beta", "kl")
    _lines(ax, fig.table, "beta", "kl")
    ax.set(xscale="log", xlabel="β", ylabel="KL in nats")
    shared.beta_axis(ax.xaxis)
    ax.grid(True, which="major")
    kl_scale(ax, "y", float(last["kl"].max()))
    ax.axhline(CLOSED_KL, color=style.TEXT, linestyle=":", linewidth=1.3)
    case_legend(fig, cases)
    paid = cases.loc[~cases["collapsed"], "kl_low"]
    fig.finding = f"{count(len(paid), len(cases))} pay for information"
    fig.finding += f", {paid.median():,.0f} nats at the lowest price (median)" if len(paid) else ""
    return fig


def _lines(ax: plt.Axes, table: pd.DataFrame, x: str, y: str, markers: bool = True) -> None:
    """A line per seed in the looks of its case, in the order of the rows; ``table`` is of `by_case`."""
    looks = {
        "palette": {name: look["color"] for name, look in CASE_LOOKS.items()},
        "dashes": {name: "" if look["linestyle"] == "-" else look["linestyle"][1] for name, look in CASE_LOOKS.items()},
        "markers": {name: look["marker"] for name, look in CASE_LOOKS.items()} if markers else None,
    }
    per_seed = {"units": "seed", "estimator": None, "sort": False, "legend": False}
    thin = {"linewidth": 1, "alpha": 0.8, "markersize": 3, "markeredgewidth": 0}
    sns.lineplot(table, x=x, y=y, hue="case", style="case", ax=ax, **looks, **per_seed, **thin)


@style.figure
def pareto_front(sweep: pd.DataFrame, cases: pd.DataFrame) -> plt.Figure:
    """Loss against KL at the last step, a panel per case, a line per seed along beta.

    Where the KL has collapsed a front is a point (section 2.3, case 3d).
    """
    check_sweep(sweep, ("seed", "step", "beta", "loss", "kl"))
    last, present = final(sweep), groups(cases)
    columns = columns_for(len(present))
    rows = math.ceil(len(present) / columns)
    width = {1: 4.6, 2: 6.4}.get(columns, WIDTH)
    fig, axes = style.subplots(rows, columns, figsize=(width, 2.7 * rows), sharex=True, sharey=True, squeeze=False)
    fig.table = by_case(last, cases, "beta", "kl", "loss")
    for ax, (name, seeds) in zip(axes.flat, present.items(), strict=False):
        _lines(ax, fig.table[fig.table["case"] == name], "kl", "loss")
        ax.set(title=f"{name}\n{count(len(seeds), len(cases))}", xlabel="KL in nats", ylabel="loss", yscale="log")
        kl_scale(ax, "x", float(last["kl"].max()))
        ax.grid(True, which="major")
        ax.label_outer()
    plain_ticks(axes[0, 0].yaxis, 1, 3)
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
    check_sweep(curves, ("seed", "algorithm", "kl", "loss"))
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
    check_sweep(curves, ("seed", "step", "loss", "kl"))
    fig, axes = style.subplots(1, 2, figsize=(WIDTH, 3.9))
    lines = []
    for seed, part in curves.groupby("seed"):
        step = part["step"].to_numpy(dtype=float)
        bins = np.searchsorted(np.geomspace(step.min(), step.max(), POINTS), step)
        lines.append(part.groupby(bins)[["step", "loss", "kl"]].mean().assign(seed=seed))
    fig.table = by_case(pd.concat(lines), cases, "step", "loss", "kl")
    for ax, column, label in zip(axes, ("loss", "kl"), ("loss (normalised MSE)", "KL in nats"), strict=True):
        _lines(ax, fig.table, "step", column, markers=False)
        ax.set(xscale="log", xlabel="training step", ylabel=label)
        ax.grid(True, which="major")
    axes[0].set_yscale("log")
    plain_ticks(axes[0].yaxis, 1, 3)
    kl_scale(axes[1], "y", float(curves["kl"].max()))
    case_legend(fig, cases)
    ever = cases[["pudding_share", "double_sided_share"]].max(axis=1) > STRAY
    fig.finding = f"{count(int(ever.sum()), len(cases))} found pudding or double-sided"
    return fig
