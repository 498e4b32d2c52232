"""Does the highest bid win because it is the highest? Noise of two bids exchanged, over the seeds of case 3d."""

from pathlib import Path

import pandas as pd

from hyperbook.studies.auction import swaps
from hyperbook.studies.development import cases
from hyperlib.commands import RunFolder, script, show
from hyperlib.files import write_table


def main(run: RunFolder, out: Path = Path("results/auction.parquet")) -> None:
    """Exchange the noise of the highest winning and losing bid at every input of twelve seeds; count what happens.

    A row per seed: ``inputs`` with a winner and two losers, shares of them ``highest``, ``swapped``, ``kept``,
    ``control_swapped``, ``control_kept`` (`hyperbook.studies.auction.swaps`), and ``unserved``, the share of all inputs
    that nobody won, beside ``by_chance``, what as many independent draws leave.

    Args:
        run: a finished run with seeds of case 3d.
        out: table to write.
    """
    opened, rows = run.open(), []
    found = cases(opened.sweep)
    n, m = opened.config.shape[:2]
    for seed in [s for s in found.loc[found["case"] == "random pudding", "seed"] if s in opened.modelled][:12]:
        table = swaps(opened.model(seed), opened.betas[0])
        tried = table.dropna().drop(columns=["network", "input", "served"], errors="ignore").astype(float)
        row = {"run": opened.path.name, "seed": int(seed), "inputs": len(tried), **tried.mean()}
        rows.append(row | {"unserved": float((~table["served"]).mean()), "by_chance": (1 - 1 / n) ** m})
        show(pd.DataFrame(rows[-1:]))
    write_table(out, pd.DataFrame(rows))


if __name__ == "__main__":
    script(main)
