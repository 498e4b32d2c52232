"""Is a hypernetwork needed? Adam with a price on size or spacings of the weights, decoded: bits against loss."""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hyperbook.studies.programs import row
from hyperlib.baseline import train_adam
from hyperlib.checks import FLOAT
from hyperlib.commands import script, show
from hyperlib.files import write_table
from hyperlib.problems import get_task

GAP = 0.05  # weights that are closer count as nearly tied
SEEDS, STEPS, BATCH = range(8), 10_000, 128  # networks per price; of Adam; inputs per step and network
PRICES = [0.0, *np.logspace(-7, -2, 29).tolist()]


def absolute(weights: Sequence[Tensor]) -> Tensor:
    """Sum of the weights' absolute values, from layers ``(..., n_l, n_{l+1})`` to ``(...)``."""
    return torch.stack([w.abs().sum((-2, -1)) for w in weights]).sum(0)


def spacings(weights: Sequence[Tensor]) -> Tensor:
    """Entropy of each layer's weights, by the logarithm of their spacings (Vasicek 1976): groups of equals cost least.

    The sum of ``log(1 + gap / GAP)`` over neighbours by size, from layers ``(..., n_l, n_{l+1})`` to ``(...)``.
    """
    return torch.stack([torch.log1p(w.flatten(-2).sort(-1)[0].diff() / GAP).sum(-1) for w in weights]).sum(0)


def main(out: Path = Path("results/penalty.parquet")) -> None:
    """Train networks for the L1 norm at many prices of either kind, all at once, and decode each.

    A row per network: ``penalty``, ``price`` (of `PRICES`), ``seed`` (the same start and inputs at every price),
    ``steps`` and what decoding says of it (`hyperbook.studies.programs.row`).

    Args:
        out: table to write.
    """
    pairs, rows = list(product(PRICES, SEEDS)), []
    each, seeds = torch.tensor([price for price, _ in pairs], **FLOAT), [seed for _, seed in pairs]
    for name, size in {"absolute values": absolute, "spacings": spacings}.items():
        paid = partial(lambda size, weights: each * size(weights), size)
        nets, _ = train_adam(steps=STEPS, batch=BATCH, seeds=seeds, penalty=paid)
        for k, (price, seed) in enumerate(pairs):
            facts = {"penalty": name, "price": price, "seed": seed, "steps": STEPS}
            rows.append(facts | row(nets[k], get_task("l1")))
            show(pd.DataFrame(rows[-1:])[["penalty", "price", "seed", "loss", "bits"]])
        write_table(out, pd.DataFrame(rows))


if __name__ == "__main__":
    script(main)
