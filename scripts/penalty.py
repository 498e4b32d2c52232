"""Is a hypernetwork needed? Adam with a price on size or spacings of the weights, decoded: bits against loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hyperbook.studies.programs import row
from hyperlib.baseline import train_adam
from hyperlib.checks import FLOAT
from hyperlib.commands import script
from hyperlib.files import write_table
from hyperlib.problems import get_task

GAP = 0.05  # weights that are closer count as nearly tied


def absolute(weights: Sequence[Tensor]) -> Tensor:
    """Sum of the weights' absolute values, from layers ``(..., n_l, n_{l+1})`` to ``(...)``."""
    return torch.stack([w.abs().sum((-2, -1)) for w in weights]).sum(0)


def spacings(weights: Sequence[Tensor]) -> Tensor:
    """Entropy of each layer's weights, by the logarithm of their spacings (Vasicek 1976): groups of equals cost least.

    The sum of ``log(1 + gap / GAP)`` over neighbours by size, from layers ``(..., n_l, n_{l+1})`` to ``(...)``.
    """
    return torch.stack([torch.log1p(w.flatten(-2).sort(-1)[0].diff() / GAP).sum(-1) for w in weights]).sum(0)


def priced(penalty: Callable[[Sequence[Tensor]], Tensor], prices: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """What the networks pay, each at its own price ``(seeds,)``."""
    return prices * penalty(weights)


PENALTIES = {"absolute values": absolute, "spacings": spacings}


def main(
    out: Path = Path("results/penalty.parquet"),
    penalties: tuple[str, ...] = tuple(PENALTIES),
    strengths: int = 30,
    seeds: int = 8,
    steps: int = 10_000,
    batch: int = 128,
    low: float = -7.0,
    high: float = -2.0,
) -> None:
    """Train networks for the L1 norm at many prices, all at once, and decode each.

    A row per network: ``penalty``, ``price`` (0, then ``strengths`` - 1 values, logarithmic), ``seed`` (the same start
    and inputs at every price), ``steps`` and what decoding says of it (`hyperbook.studies.programs.row`).

    Args:
        out: table to write.
        penalties: what is paid for, names in `PENALTIES`.
        strengths: how many prices.
        seeds: networks per price.
        steps: of Adam.
        batch: inputs per step and network.
        low, high: decimal logarithms of the lowest and the highest price above 0.
    """
    prices = [0.0, *np.logspace(low, high, strengths - 1).tolist()]
    pairs = [(price, seed) for price in prices for seed in range(seeds)]
    rows = []
    each = torch.tensor([price for price, _ in pairs], **FLOAT)
    if unknown := [name for name in penalties if name not in PENALTIES]:
        raise ValueError(f"penalties holds {unknown}; expected some of {', '.join(PENALTIES)}")
    for name in penalties:
        paid = partial(priced, PENALTIES[name], each)
        nets, _ = train_adam(steps=steps, batch=batch, seeds=[seed for _, seed in pairs], penalty=paid)
        for k, (price, seed) in enumerate(pairs):
            facts = {"penalty": name, "price": price, "seed": seed, "steps": steps}
            rows.append(facts | row(nets[k], get_task("l1")))
            say = f"{name} at {price:.1e}, seed {seed}: loss {rows[-1]['loss']:.2e}, {rows[-1]['bits']:.0f} bits"
            print(say, flush=True)
        write_table(out, pd.DataFrame(rows))


if __name__ == "__main__":
    script(main)
