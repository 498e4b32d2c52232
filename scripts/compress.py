"""Compress Adam's networks for the tasks of the book: ``python scripts/compress.py --help``.

Criteria stand in `hyperbook.studies.compression`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from hyperlib.baseline import train_adam
from hyperlib.cluster import one_thread
from hyperlib.commands import script
from hyperlib.compression import compress, from_tensors, path
from hyperlib.files import read_tensors, write_table, write_tensors
from hyperlib.runs import load_run, pack_given
from hyperlib.task import Task
from keep import keep_models

SHAPES = {
    "pairs": ("pairs", (8, 24, 1)),
    "positives": ("positives", (8, 24, 1)),
    "l1-large": ("l1", (16, 48, 1)),
    "l1": ("l1", (8, 24, 1)),
    "l2": ("l2", (8, 24, 1)),
    "max": ("max", (8, 24, 1)),
    "l1-sum": ("l1-sum", (8, 24, 2)),
}
RELEASED = ("pairs", "positives", "l1-large")
OTHERS = ("diabetes, tanh", "wine, logistic", "diabetes, relu, two layers")
SEEDS = range(3000, 3008)
# Where 24,000 steps of 256 inputs end above the given networks. Chosen on seeds 3100 to 3103, so others are released.
LONGER = {"pairs": {"seeds": range(3200, 3208), "steps": 48_000, "batch": 1024}}
ADAM_STEPS = 12_000


def train_all(names: tuple[str, ...], runs: Path, steps: int, workers: int) -> None:
    """Train what is not there yet."""
    for name in names:
        task, shape = SHAPES[name]
        settings: dict[str, Any] = {"seeds": SEEDS, "steps": steps} | LONGER.get(name, {})
        stored = runs / f"{name}-given.safetensors"
        if not stored.exists():
            runs.mkdir(parents=True, exist_ok=True)
            with one_thread(True):
                net, _ = train_adam(shape, task, ADAM_STEPS, settings["seeds"])
            write_tensors(stored, pack_given(net))
        net = from_tensors(read_tensors(stored), "swish", str(stored))
        run = compress(net, task, runs / name, workers=workers, **settings)
        print(f"{name}: {run.short_hash}", flush=True)


def other_network(name: str) -> tuple[Any, Task]:
    """A network of scikit-learn, fitted to one of its tables in standardised units, and that table as a task."""
    from sklearn.datasets import load_diabetes, load_wine
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    data, activation, *deep = name.split(", ")
    table = load_diabetes() if data == "diabetes" else load_wine()
    classes = data == "wine"
    columns = pd.DataFrame(table.data, columns=table.feature_names)
    task = Task.from_data(columns, table.target, "cross-entropy" if classes else "squared error", 0.25, data)
    assert task.table is not None
    x, y = task.table.x.numpy(), task.table.y.numpy()
    kind, sizes = (MLPClassifier if classes else MLPRegressor), (12, 8) if deep else (12,)
    model = kind(hidden_layer_sizes=sizes, activation=activation, alpha=1.0, max_iter=4000, random_state=0)
    return model.fit(x, y.argmax(1) if classes else y[:, 0]), task


def others(runs: Path, out: Path, steps: int, workers: int) -> None:
    """Networks that scikit-learn has trained, compressed on the task and faithfully: the table of their paths."""
    tables = []
    for name in OTHERS:
        net, task = other_network(name)
        for faithful in (False, True):
            objective = "faithful" if faithful else "simple"
            folder = runs / f"{name.replace(', ', '-').replace(' ', '-')}-{objective}"
            run = compress(net, task, folder, steps=steps, faithful=faithful, workers=workers)
            with one_thread(True):
                rows = path(run, betas=run.betas[::2])
            rows.insert(0, "objective", objective)
            rows.insert(0, "network", name)
            tables.append(rows)
            out.parent.mkdir(parents=True, exist_ok=True)
            write_table(out, pd.concat(tables, ignore_index=True))
            print(f"{name}, {objective}: {run.short_hash}", flush=True)


def measure(names: tuple[str, ...], runs: Path, out: Path, every: int) -> None:
    """The paths of the runs that are there, as one table: rows of other tasks stay."""
    table = pd.read_parquet(out) if out.exists() else pd.DataFrame()
    for name in names:
        if (runs / name / "manifest.json").exists():
            run = load_run(runs / name)
            with one_thread(True):
                rows = path(run, betas=run.betas[::every])
            rows.insert(0, "task", name)
            others = table[table["task"] != name] if len(table) else table
            table = pd.concat([others, rows], ignore_index=True) if len(others) else rows
            out.parent.mkdir(parents=True, exist_ok=True)
            write_table(out, table.astype(dict.fromkeys(table.select_dtypes("float32"), "float64")))


def release(names: tuple[str, ...], runs: Path, results: Path, every: int) -> None:
    """Copy finished runs to the released results: one hyperhypernetwork and every so manieth price, compactly."""
    for name in names:
        if (runs / name / "manifest.json").exists() and not (results / name).exists():
            run = load_run(runs / name)
            keep_models(run.path, results / name, run.seeds[:1], compact=True, betas=run.betas[::every])


def main(
    names: tuple[str, ...] = tuple(SHAPES),
    runs: Path = Path("runs/compress"),
    out: Path = Path("results/compress/paths.parquet"),
    steps: int = 24_000,
    workers: int = 1,
    every: int = 3,
    train: bool = True,
    foreign: bool = False,
) -> None:
    """Train Adam's networks, compress them, and write the table of their paths.

    Args:
        names: which of the tasks.
        runs: folder for the runs.
        out: the table.
        steps: of each compression but those of `LONGER`.
        workers: processes.
        every: measure, and release, every so manieth price.
        train: train what is not there; else only measure.
        foreign: compress networks that scikit-learn has trained instead; ``names`` and ``every`` do not count.
    """
    if unknown := [name for name in names if name not in SHAPES]:
        raise ValueError(f"names holds {unknown}; expected some of {', '.join(SHAPES)}")
    if foreign:
        others(runs, out, steps, workers)
        return
    if train:
        train_all(names, runs, steps, workers)
    measure(names, runs, out, every)
    release(tuple(name for name in names if name in RELEASED), runs, out.parent, every)


if __name__ == "__main__":
    script(main)
