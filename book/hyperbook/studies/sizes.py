"""Which seeds are shown at other sizes, and how far their networks work in three readings of the output's scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

CONVENTIONS = {
    "loss": "as generated",
    "loss_mean": "hidden neurons averaged",
    "loss_rescaled": "after the best shift and scale",
}
SIMILAR = 1.5  # ratio to the loss at the trained size up to which a network performs similarly


def median_and_best(cases: pd.DataFrame) -> dict[str, int]:
    """The seeds of the median and of the lowest loss at the trained size, chosen without a look at other sizes.

    From rows of `hyperlib.development.cases` to name -> seed, such as ``median seed (123)`` and ``best seed (111)``.
    The median of an even number is the better of the middle two; of one row there is only ``seed 111``.
    """
    seeds = cases.sort_values("loss_low", kind="stable")["seed"].astype(int).tolist()
    if len(seeds) < 2:
        return {f"seed {seed}": seed for seed in seeds}
    median, best = seeds[(len(seeds) - 1) // 2], seeds[0]
    return {f"median seed ({median})": median, f"best seed ({best})": best}


def conventions(table: pd.DataFrame, trained: Sequence[int], seeds: Mapping[str, int]) -> pd.DataFrame:
    """How far networks of other sizes work, in the three readings of the output's scale.

    From a `hyperlib.generalization.size_table` with a column ``seed``, the trained shape, whose size is in it, and name
    -> seed. One row per name and convention: ``seed`` (the name), ``output`` (the convention), ``loss at the trained
    size``, ``smallest at a larger size`` (in both dimensions; NaN if there is none) and ``similar sizes``, the share of
    the other sizes with at most `SIMILAR` times the loss at the trained size.
    """
    rows = []
    for name, seed in seeds.items():
        sizes = table[table["seed"] == seed]
        here = (sizes["n_0"] == trained[0]) & (sizes["n_1"] == trained[1])
        larger = (sizes["n_0"] > trained[0]) & (sizes["n_1"] > trained[1])
        if not here.any():
            raise ValueError(f"the table has no row of seed {seed} at the trained size {tuple(trained[:2])}")
        for column, said in CONVENTIONS.items():
            at = float(sizes.loc[here, column].iloc[0])
            similar = float((sizes.loc[~here, column] <= SIMILAR * at).mean())
            rows.append((name, said, at, float(sizes.loc[larger, column].min()), similar))
    columns = ["seed", "output", "loss at the trained size", "smallest at a larger size", "similar sizes"]
    return pd.DataFrame(rows, columns=columns)
