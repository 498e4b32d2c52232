"""How far trainings of one seed drift apart through rounding, for the appendix on speed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from hyperlib.figures import style
from hyperlib.figures.shared import WIDTH

LOOKS = {
    "released": {"color": style.CASES[4], "label": "in a group (the run itself)"},
    "side by side": {"color": style.CASES[0], "label": "side by side"},
    "eager": {"color": style.CASES[7], "label": "not compiled"},
    "two threads": {"color": style.CASES[3], "label": "on two threads"},
}
PANELS = {"parameters": "relative distance of parameters", "loss": "loss: median |log ratio| over β"}
SMALLEST = 1e-8  # no difference at all is drawn here


@style.figure
def drift(table: pd.DataFrame) -> Figure:
    """Distance to the seed trained alone against the step, a line per seed, coloured by what else differs.

    Args:
        table: what `hyperbook.studies.replay.drift` returns.

    Raises:
        ValueError: the table has an unknown variant.
    """
    unknown = sorted(set(table["variant"]) - set(LOOKS))
    if unknown:
        raise ValueError(f"the table has the variants {unknown}; expected some of {list(LOOKS)}")
    fig, axes = style.subplots(1, 2, figsize=(WIDTH, 3.9))
    for ax, (quantity, label) in zip(axes, PANELS.items(), strict=True):
        some = table[table["quantity"] == quantity]
        for (variant, _), line in some.groupby(["variant", "seed"]):
            ax.plot(line["step"], line["median"].clip(lower=SMALLEST), linewidth=1.3, alpha=0.9, **LOOKS[variant])
        ax.set(xscale="log", yscale="log", xlabel="training step", ylabel=label)
        ax.grid(True, which="major")
    handles, labels = axes[1].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    fig.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=4, fontsize=9)
    fig.table = table[table["quantity"].isin(PANELS)][["variant", "seed", "step", "quantity", "median"]]
    return fig
