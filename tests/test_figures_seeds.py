"""Figures with one line per seed."""

import numpy as np
import pandas as pd
import pytest

from hyperbook.figures.seeds import OUTCOMES, design_paths, family, outcome
from hyperbook.studies.settings import settings


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


def test_design_paths_take_the_looks_of_how_a_seed_ends():
    table = pd.concat([settings().assign(seed=seed) for seed in range(2)])
    early = table.assign(step=10, loss=0.9, memorised=False, assembled=False)
    late = table.assign(step=100, loss=0.1, memorised=table["seed"] == 0, assembled=table["seed"] == 1)
    fig = design_paths(pd.concat([late, early], ignore_index=True))
    assert [ax.get_title() for ax in fig.axes] == ["warm-up of β: 1,000 steps", "warm-up of β: 4,000 steps"]
    for ax in fig.axes:
        assert len(ax.get_lines()) == 8  # four settings, two seeds
        colours = [line.get_color() for line in ax.get_lines()]
        assert colours.count(OUTCOMES["memorised"]["color"]) == 4
        assert colours.count(OUTCOMES["assembled without KL"]["color"]) == 4
        assert all(list(line.get_xdata()) == [10, 100] for line in ax.get_lines())
    assert outcome(early) == "convexity"


def test_tables_of_something_else_are_errors():
    with pytest.raises(ValueError, match="no column kl"):
        family(sweep().drop(columns="kl"))
    with pytest.raises(ValueError, match="no column memorised, assembled"):
        design_paths(settings().assign(seed=0, step=1, loss=1.0))
