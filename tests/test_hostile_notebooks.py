"""Notebooks that take a run take any run: of failed seeds, of another task, of deep networks; each here one of them.

The cells are executed in this process instead of in kernels, which take longer to start than these runs to look at.
"""

import dataclasses
import itertools
import math
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

import hyperlib as hl
from hyperlib import training
from hyperlib.cluster import one_thread
from hyperlib.hyperhypernetwork import initial_parameters
from keep import keep_models

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
SMALL = hl.TrainConfig(seeds=range(6), shape=(4, 12, 1), batch=32, steps=60, snapshots=3)
RUNS = {
    "failed seeds": SMALL,  # two of them, see `spoiled`
    "another task": dataclasses.replace(SMALL, seeds=(7, 3), task="positives", snapshots=1),
    "two outputs": dataclasses.replace(SMALL, seeds=(5,), task="l1-sum", shape=(4, 12, 2)),
    "thinned": dataclasses.replace(SMALL, seeds=(7, 3)),  # networks at some betas only
    "deep": dataclasses.replace(SMALL, seeds=(5,), shape=(4, 12, 6, 1)),
}


def cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def is_parameters(cell: nbformat.NotebookNode) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def defaults(path: Path) -> dict[str, object]:
    """Name -> default of a notebook's parameters."""
    space: dict[str, object] = {}
    for cell in cells(path):
        if is_parameters(cell):
            exec(cell.source, space)
    return {name: value for name, value in space.items() if not name.startswith("__")}


def spoiled(hypernetwork, seed, dtype):
    """Initial parameters of the runs; those of two seeds of one run are no numbers, so that these fail at once."""
    drawn = initial_parameters(hypernetwork, seed, dtype)
    return {name: tensor * math.nan if seed in (1, 4) else tensor for name, tensor in drawn.items()}


TAKING_RUNS = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "run" in defaults(path)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    with one_thread(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "initial_parameters", spoiled)
        made = {
            name: hl.train(config, folder / name, workers=0, compiled=False, progress=False).path
            for name, config in RUNS.items()
        }
    for name, betas in (("another task", None), ("thinned", hl.BETAS[:-1:3])):
        made[name] = keep_models(made[name], folder / f"{name} kept", [3], betas=betas).path
    return made


def test_the_runs_are_what_they_are_called(runs):
    failed = hl.load_run(runs["failed seeds"])
    assert failed.failed and failed.seeds and failed.seeds != list(range(len(failed.seeds)))


def test_there_are_such_notebooks():
    assert len(TAKING_RUNS) >= 8


@pytest.mark.parametrize(("notebook", "run"), list(zip(TAKING_RUNS, itertools.cycle(RUNS), strict=False)))
def test_a_notebook_takes_any_run(notebook, run, runs, tmp_path, monkeypatch):
    path = NOTEBOOKS / f"{notebook}.ipynb"
    given = {"run": str(runs[run]), "out": str(tmp_path / "out"), "steps": 40}
    sooner = {"15_every_size": {"inputs": [8, 12], "large": [(8, 64)], "count": 1}, "16_auction": {"count": 8}}
    given |= sooner.get(notebook, {})
    given = {name: value for name, value in given.items() if name in defaults(path)}
    monkeypatch.chdir(NOTEBOOKS)
    space: dict[str, object] = {"__name__": "__main__", "display": lambda *things, **named: None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for cell in cells(path):
                exec(compile(cell.source, f"{notebook}: {cell.source.splitlines()[0][:60]}", "exec"), space)
                if is_parameters(cell):
                    space.update(given)
    finally:
        plt.close("all")
