"""Is a hypernetwork needed? Adam with a price on size or spacings of the weights, decoded: bits against loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hyperbook.studies.programs import row
from hyperlib.baseline import absolute, spacings, train_adam
from hyperlib.commands import script
from hyperlib.files import write_table
from hyperlib.problems import get_task

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
    for name in penalties:
        choice = {"prices": [p for p, _ in pairs], "penalty": PENALTIES[name]}
        nets, _ = train_adam(steps=steps, batch=batch, seeds=[s for _, s in pairs], **choice)  # type: ignore[arg-type]
        for k, (price, seed) in enumerate(pairs):
            facts = {"penalty": name, "price": price, "seed": seed, "steps": steps}
            rows.append(facts | row(nets[k], get_task("l1")))
            say = f"{name} at {price:.1e}, seed {seed}: loss {rows[-1]['loss']:.2e}, {rows[-1]['bits']:.0f} bits"
            print(say, flush=True)
        write_table(out, pd.DataFrame(rows))


if __name__ == "__main__":
    script(main)
