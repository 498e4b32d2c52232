"""Is a hypernetwork needed? Adam with a price on the weights' absolute values, decoded: bits against loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hyperbook.studies.programs import row
from hyperlib.baseline import train_adam
from hyperlib.commands import script
from hyperlib.files import write_table
from hyperlib.problems import get_task


def main(
    out: Path = Path("results/penalty.parquet"),
    strengths: int = 30,
    seeds: int = 8,
    steps: int = 30_000,
    low: float = -7.0,
    high: float = -2.0,
) -> None:
    """Train networks for the L1 norm at many prices of an absolute weight, all at once, and decode each.

    A row per network: ``price`` (0, then ``strengths`` - 1 values, logarithmic), ``seed`` (the same start and inputs at
    every price), ``steps``, ``norm`` (sum of the weights' absolute values) and what decoding says of it
    (`hyperbook.studies.programs.row`).

    Args:
        out: table to write.
        strengths: how many prices.
        seeds: networks per price.
        steps: of Adam.
        low, high: decimal logarithms of the lowest and the highest price above 0.
    """
    prices = [0.0, *np.logspace(low, high, strengths - 1).tolist()]
    pairs = [(price, seed) for price in prices for seed in range(seeds)]
    nets, _ = train_adam(steps=steps, seeds=[s for _, s in pairs], penalties=[p for p, _ in pairs])
    rows = []
    for k, (price, seed) in enumerate(pairs):
        norm = sum(float(w.abs().sum()) for w in nets[k].weights)
        rows.append({"price": price, "seed": seed, "steps": steps, "norm": norm} | row(nets[k], get_task("l1")))
        print(f"price {price:.1e}, seed {seed}: loss {rows[-1]['loss']:.2e}, {rows[-1]['bits']:.0f} bits", flush=True)
    write_table(out, pd.DataFrame(rows))


if __name__ == "__main__":
    script(main)
