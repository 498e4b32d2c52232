"""Tables of the notebooks: what a run is, which networks it has, what they measure."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from IPython.display import Markdown

from ..algorithms.explain import explain
from ..algorithms.interventions import replacements
from ..baseline import kink_analysis
from ..network import Network
from ..task import L1
from .examples import Example, explained_by
from .text import number, table

SAMPLES = 8192  # inputs on which losses are measured
READABILITY = {
    "network": "network",
    "loss": "loss",
    "explained": "explained",
    "best": "best fit",
    "assigned": "assigned",
    "per_input": "per input",
    "both_signs": "both signs",
    "kink_own": "own kinks",
    "correction": "corrected",
}  # columns of `readability` and their headings


def example_table(found: Sequence[Example]) -> Markdown:
    """Where the examples are from, and how far their constructions explain their weights."""
    rows = [(e.kind, str(e.seed), number(e.beta), e.loss, e.kl, *explained_by(e)) for e in found]
    return table(pd.DataFrame(rows, columns=["algorithm", "seed", r"$\beta$", "loss", "KL", "explained", "best fit"]))


def readability(named: Sequence[tuple[str, Network]]) -> pd.DataFrame:
    """How readable networks are, next to how good: loss, explained share, and the kinks of section 2.5.

    Args:
        named: names and networks ``(n, m, 1)`` of the L1 norm, none of them with batch axes.

    Returns:
        One row per network: ``network``; ``loss`` (normalised MSE); ``explained`` and ``best`` fit; ``assigned``, the
        share of hidden neurons with one dominant input; ``per_input``, how many of them an input has on average;
        ``both_signs``, the share of inputs that have some of either sign; ``kink_own``, the mean share of a kink that
        the input's own neurons make; ``correction``, the share of their average slopes that the others remove.
    """
    rows = []
    for name, net in named:
        x, y = L1.sample(SAMPLES, net.shape[0], torch.Generator().manual_seed(1))
        fits, kinks = explain(net), kink_analysis(net)
        inputs = kinks.inputs
        rows.append(
            {
                "network": name,
                "loss": float(net.loss(x, y)),
                "explained": max(fits.scores.values()),
                "best": fits.label,
                "assigned": kinks.neurons["assigned"].mean(),
                "per_input": (inputs["positive"] + inputs["negative"]).mean(),
                "both_signs": ((inputs["positive"] > 0) & (inputs["negative"] > 0)).mean(),
                "kink_own": inputs["kink_own"].mean(),
                "correction": kinks.correction,
            }
        )
    return pd.DataFrame(rows)


def causal_table(named: Sequence[tuple[str, Network]]) -> pd.DataFrame:
    """Loss of networks and of their replacements (`replacements`): one row per replacement, one column per network.

    Of the other algorithms' constructions it is the best one that stands in the table.
    """
    columns = {}
    for name, net in named:
        x, y = L1.sample(SAMPLES, net.shape[0], torch.Generator().manual_seed(1))
        found = replacements(net, x, y)
        columns[name] = found.groupby("replacement", sort=False)["loss"].min()
    return pd.DataFrame(columns).rename_axis("replaced by")
