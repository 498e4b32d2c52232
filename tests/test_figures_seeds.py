"""Figures with one line per seed."""

import numpy as np
import pandas as pd
import pytest

from hyperbook.figures.seeds import family, plateau


def sweep(seeds: int = 2) -> pd.DataFrame:
    rows = [
        {"seed": seed, "step": step, "beta": beta, "loss": 0.1 * (seed + 1) / step, "kl": -np.log10(beta)}
        for seed in range(seeds)
        for step in (10, 20)
        for beta in (1e-12, 1e-6, 1.0)
    ]
    return pd.DataFrame(rows)


def test_family_draws_the_last_step_of_every_seed():
    fig = family(sweep())
    lines = fig.axes[0].get_lines()
    assert len(lines) == 2
    np.testing.assert_allclose(lines[1].get_ydata(), 0.2 / 20)
    np.testing.assert_allclose(fig.axes[1].get_lines()[0].get_ydata(), [12, 6, 0])
    assert len(fig.table) == 6 and list(fig.table) == ["seed", "beta", "loss", "kl"]


def test_plateau_has_a_panel_per_cell_and_a_line_per_seed():
    table = pd.concat([sweep().assign(cell=cell) for cell in ("one", "two", "three")])
    fig = plateau(table, ["one", "two"])
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert [len(ax.get_lines()) for ax in fig.axes] == [3, 3]  # two seeds, and where the plateau ends


def test_tables_of_something_else_are_errors():
    with pytest.raises(ValueError, match="no column kl"):
        family(sweep().drop(columns="kl"))
