"""Tables and figures of several tasks: on tiny runs that were trained for a few steps."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from hyperlib import TrainConfig, load_run, train
from hyperlib.algorithms.neurons import KINDS
from hyperlib.figures.tasks import LINES, first_layers, losses_by_task, reading_order, sizes_by_task
from hyperlib.network import Network
from hyperlib.report import tasks
from hyperlib.runs import keep_models

QUIET = {"workers": 0, "compiled": False, "progress": False, "command": "test"}
SHAPES = {"l1-sum": ("l1-sum", (3, 4, 2)), "l1-deep": ("l1", (3, 4, 2, 1)), "mine": ("max", (3, 4, 1))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks")
    for name, (task, shape) in SHAPES.items():
        config = TrainConfig(seeds=(0, 1), steps=10, shape=shape, task=task, batch=8, snapshots=1)
        train(config, path / name, **QUIET)
    return path


@pytest.fixture(scope="module")
def runs(folder):
    return tasks.load(folder)


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    assert not plt.get_fignums()


def test_runs_are_loaded_in_the_order_of_the_book(runs):
    assert list(runs) == ["l1-sum", "l1-deep", "mine"]
    assert "3-4-2-1" in tasks.overview(runs).data
    assert set(tasks.final(runs)["run"]) == set(runs)
    assert tasks.final(runs).attrs["source"].count("version") == 3


def test_every_seed_is_measured(runs):
    reads, depends = tasks.reads(runs), tasks.depends(runs)
    assert len(reads) == len(depends) == 6
    assert reads[list(KINDS)].sum(axis=1).tolist() == pytest.approx([1] * 6)
    levels = tasks.levels(runs)
    assert levels.index.tolist() == list(runs)
    assert f"({1 - levels.loc['mine', 'affine']:.2f})" in tasks.beside(depends, levels).data
    assert tasks.means(reads).shape == (3, len(KINDS))
    assert tasks.ends(runs).data.count("\n") == 1 + 2 * 3
    assert tasks.baseline(runs, 20).shape == (3, 2)


def test_losses_by_output_are_those_of_the_table(runs):
    run = runs["l1-sum"]
    by_output = tasks.outputs(runs).set_index(["run", "seed"]).mean(axis=1)
    final = run.final[run.final["beta"] == run.betas[0]].set_index("seed")["loss"]
    assert by_output.to_numpy() == pytest.approx(final.to_numpy(), rel=0.2)  # other inputs


def test_every_hidden_layer_is_straightened(runs):
    table = tasks.layers(runs)
    assert list(table.columns) == ["run", "seed", "as generated", "layer 1 affine", "layer 2 affine"]
    assert set(table["run"]) == {"l1-deep"}
    assert len(table) == 2


def test_models_of_some_seeds_can_be_removed(runs, folder):
    before = runs["mine"].networks(1)
    run = keep_models(folder / "mine", [0])
    assert run.modelled == [0] and run.seeds == [0, 1] and runs["l1-deep"].modelled == [0, 1]
    assert run.short_hash != runs["mine"].short_hash
    assert torch.equal(load_run(folder / "mine").networks(1).weights[0], before.weights[0])
    assert run.model(0).shape == (3, 4, 1)
    with pytest.raises(KeyError, match=r"keeps no hyperhypernetwork of seed 1, only of \[0\]"):
        run.model(1)
    with pytest.raises(KeyError, match=r"keeps no hyperhypernetworks of \[1\], only of \[0\]"):
        keep_models(folder / "mine", [0, 1])
    sizes = tasks.sizes({"mine": run}, [3, 6], 1e-6)
    assert sizes[["n_0", "n_1", "seed"]].to_numpy().tolist() == [[3, 4, 0], [6, 8, 0]]


def test_figures_show_every_run_and_seed(runs):
    measured, levels = tasks.final(runs), tasks.levels(runs)
    for x in ("beta", "kl"):
        fig = losses_by_task(measured, levels, x)
        fig.canvas.draw()
        assert [ax.get_title() for ax in fig.axes if ax.axison] == list(runs)
        assert len(fig.axes[0].lines) == 2 + sum(0.001 < levels.loc["l1-sum", part] < 0.999 for part in LINES)
        assert len(fig.table) == len(measured) and "mine" in fig.source
    with pytest.raises(ValueError, match="x is 'loss'"):
        losses_by_task(measured, levels, "loss")
    sizes = pd.DataFrame({"run": "mine", "seed": 0, "n_0": [3, 6], "loss_rescaled": [0.1, 0.2]})
    sizes_by_task(sizes, {"mine": 3}).canvas.draw()


def test_first_layers_are_ordered_by_what_is_read(runs):
    W = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 2.0], [-1.0, 1.0, 0.0]])  # mixed, the sum, one input
    net = Network([W, torch.ones(3, 1)], [torch.zeros(3), torch.zeros(1)])
    order, counts = reading_order(net)
    assert order.tolist() == [2, 1, 0] and counts == [1, 1, 0, 1]
    fig = first_layers([("made up", net), *tasks.networks(runs, places=[0])])
    fig.canvas.draw()
    assert fig.table["network"].nunique() == 4
    first = fig.table[(fig.table["network"] == "made up") & (fig.table["column"] == 1)]
    assert first["hidden"].unique().tolist() == [3] and first["weight"].tolist() == [0, 2, 0]
    with pytest.raises(ValueError, match="got no networks"):
        first_layers([])
