"""The loss with the encoder against the loss without it (figure 4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hyperlib.development import check_sweep
from hyperlib.figures import style
from hyperlib.figures.shared import CASE_LOOKS, by_case, by_payment, case_legend, final, groups


@style.figure
def encoder_ablation(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Loss without the encoder against loss with it, a line per seed along beta, coloured by case (figure 4).

    On the dotted diagonal the encoder does not matter: the network is assembled without memorised information.
    Networks without a finite loss are left out.

    Raises:
        ValueError: see `hyperlib.development.check_sweep` and `hyperlib.figures.shared.groups`.
    """
    check_sweep(sweep, ("seed", "step", "beta", "loss", "loss_without_encoder"))
    last = final(sweep).replace([np.inf, -np.inf], np.nan).dropna(subset=["loss", "loss_without_encoder"])
    fig, ax = style.subplots(figsize=(6.4, 5.6))
    for name, seeds in groups(cases).items():
        looks = CASE_LOOKS[name]
        for seed in seeds:
            line = last[last["seed"] == seed]
            ax.plot(line["loss"], line["loss_without_encoder"], linewidth=1, markersize=3, alpha=0.75, **looks)
            ax.plot(line["loss"][:1], line["loss_without_encoder"][:1], **looks | {"linestyle": ""}, markersize=6)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="loss with the encoder", ylabel="loss without the encoder")
    ax.axline((1, 1), (10, 10), color=style.TEXT, linestyle=":", linewidth=1.3, zorder=1)
    ax.grid(True, which="major")
    ax.annotate("large marker: lowest β", (0.98, 0.02), xycoords="axes fraction", ha="right", va="bottom", fontsize=9.5)
    case_legend(fig, cases)
    lowest = last[last["beta"] == last["beta"].min()].set_index("seed")
    worse = by_payment(cases, lowest["loss_without_encoder"] / lowest["loss"])
    fig.finding = f"Without the encoder the loss is multiplied by {worse}"
    fig.table = by_case(last, cases, "beta", "loss", "loss_without_encoder")
    return fig
