"""Figures with one line per seed."""

import numpy as np
import pandas as pd

from hyperbook.figures.seeds import plateau


def sweep(seeds: int = 2) -> pd.DataFrame:
    rows = [
        {"seed": seed, "step": step, "beta": beta, "loss": 0.1 * (seed + 1) / step, "kl": -np.log10(beta)}
        for seed in range(seeds)
        for step in (10, 20)
        for beta in (1e-12, 1e-6, 1.0)
    ]
    return pd.DataFrame(rows)


def test_plateau_has_a_panel_per_cell_and_a_line_per_seed():
    table = pd.concat([sweep().assign(cell=cell) for cell in ("one", "two", "three")])
    fig = plateau(table, ["one", "two"])
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert [len(ax.get_lines()) for ax in fig.axes] == [3, 3]  # two seeds, and where the plateau ends
