"""How training starts: the design of the development runs, and what is said of it."""

import numpy as np
import pandas as pd
import pytest
import torch

from hyperbook.studies import settings
from hyperbook.studies.agreement import reading
from hyperbook.studies.settings import CELLS, at_the_start, configuration, run_cell, summary
from hyperlib.hyperhypernetwork import ParetoHypernetwork, initial_parameters
from hyperlib.hypernetwork import Architecture, Hypernetwork


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_a_configuration_of_at_least_four_seeds_that_are_not_released(cell):
    config = configuration(cell)
    assert len(config.seeds) >= 4 and max(config.seeds) < 1000
    assert config.architecture.gain == CELLS[cell]["gain"]


def test_a_cell_is_measured_on_the_way(monkeypatch):
    small = {"gain": 4.0, "shape": (3, 8, 1), "steps": 5, "batch": 16, "match_steps": 2}
    monkeypatch.setitem(settings.CELLS, "small", small)
    table = pd.concat(run_cell("small", compiled=False, every=3))
    assert sorted(table["step"].unique()) == [3, 5] and len(table) == 2 * 4 * len(settings.BETAS)
    assert np.isfinite(table[["loss", "kl"]]).all().all()


def test_summary_tells_when_half_of_the_seeds_are_there():
    losses = {0: [0.5, 0.09, 0.05], 1: [0.5, 0.4, 0.08], 2: [0.5, 0.4, 0.2], 3: [0.5, 0.4, 0.35]}
    rows = [
        ("one", step, seed, 1e-10, loss, 20.0 * (seed == 0))
        for seed, line in losses.items()
        for step, loss in zip((1, 2, 3), line, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["cell", "step", "seed", "beta", "loss", "kl"])
    (found,) = summary(table).to_dict("records")
    assert found == pytest.approx(
        {"cell": "one", "seeds": 4, "steps": 3, "left": 0.75, "solved": 3.0, "loss": 0.14, "memorise": 0.25}
    )


def test_gain_moves_preactivations_beyond_the_bend():
    """What a straight line leaves of a response is a parabola within a percent with gain 1; with 8 it is not."""
    for gain, within in ((1.0, True), (8.0, False)):
        _, table = at_the_start(gain)
        for _, line in table.groupby("neuron"):
            fit = np.polyval(np.polyfit(line["z"], line["response"], 2), line["z"])
            left = np.var(line["response"] - fit) / np.var(line["response"])
            assert (left < 0.01) == within


def test_a_cell_may_go_on_without_its_encoder(monkeypatch):
    """Until then it is the same training; after it nothing is paid."""
    small = {"gain": 4.0, "shape": (3, 8, 1), "steps": 4, "batch": 16}
    found = {}
    for alone_from in (None, 2):
        monkeypatch.setitem(settings.CELLS, "small", small | ({"alone_from": alone_from} if alone_from else {}))
        found[alone_from] = pd.concat(run_cell("small", compiled=False, every=1))
    table = found[2].merge(found[None], on=["seed", "step", "beta"], suffixes=("", "_with"))
    assert (table["kl"] > 0).eq(table["step"] < 2).all() and (table["kl_with"] > 0).all()
    assert table.loc[table["step"] <= 2, "reading"].equals(table.loc[table["step"] <= 2, "reading_with"])
    assert (table.loc[table["step"] == 4, "reading"] != table.loc[table["step"] == 4, "reading_with"]).all()


def test_reading_is_of_the_random_block_alone():
    architecture = Architecture(random_scale=1.0)
    hypernetwork = Hypernetwork((3, 8, 1), architecture)
    model = ParetoHypernetwork(initial_parameters(hypernetwork, 0), (3, 8, 1), architecture)
    usual = reading(model)
    assert usual["hyperlayer"].tolist() == [2, 3, 4]
    assert usual["weight"].between(0.08, 0.2).all()  # 1/sqrt(62) is 0.127
    maps = {name: torch.zeros(size) for name, size in hypernetwork.sizes.items()}
    for k in (2, 3, 4):
        maps[f"weight{k}"][:, architecture.place("random")] = k
    model.hyperweights = lambda beta: torch.cat([tensor.flatten() for tensor in maps.values()])
    assert reading(model)["weight"].tolist() == [2, 3, 4]
