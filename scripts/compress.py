"""Compress Adam's networks for the tasks of the book: ``python scripts/compress.py --help``.

Criteria stand in `hyperbook.studies.compression`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from hyperbook.studies.compression import minority
from hyperlib.baseline import train_adam
from hyperlib.cluster import one_thread
from hyperlib.commands import script
from hyperlib.compression import GAIN, compress, describe, from_tensors, path
from hyperlib.config import TrainConfig
from hyperlib.experiment import train
from hyperlib.files import read_tensors, write_table, write_tensors
from hyperlib.hypernetwork import Architecture
from hyperlib.network import Network
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


WAYS = ("as released", "four times slower", "four cycles")  # along which the price of l1-large rises
WAYS_SEEDS = range(3000, 3004)


def given_networks(name: str, runs: Path, seeds: range) -> Network:
    """Adam's networks, trained if they are not there yet."""
    task, shape = SHAPES[name]
    stored = runs / f"{name}-given.safetensors"
    if not stored.exists():
        runs.mkdir(parents=True, exist_ok=True)
        with one_thread(True):
            net, _ = train_adam(shape, task, ADAM_STEPS, seeds)
        write_tensors(stored, pack_given(net))
    return from_tensors(read_tensors(stored), "swish", str(stored))


def prices(runs: Path, out: Path, steps: int, workers: int) -> None:
    """Whether slower or cyclic prices let private signs go: the table of all ways.

    A cycle begins with the hypernetworks that the one before left; price and learning rate start anew.
    """
    task, shape = SHAPES["l1-large"]
    runs, rows = runs / "prices", []
    given = given_networks("l1-large", runs, WAYS_SEEDS)
    for way in WAYS:
        folder, slow = runs / way.replace(" ", "-"), 4 if way == "four times slower" else 1
        run = compress(given, task, folder, steps=slow * steps, seeds=WAYS_SEEDS, workers=workers)
        for cycle in range(2, 5 if way == "four cycles" else 2):
            again = TrainConfig(
                seeds=WAYS_SEEDS,
                steps=steps,
                shape=shape,
                task=task,
                learning_rate_end=0.02,
                beta_warmup=3 * steps // 4,
                snapshots=8,
                architecture=Architecture(gain=GAIN),
                start=str(run.path),
            )
            run = train(again, runs / f"{folder.name}-{cycle}", workers=workers)
        for seed in run.seeds:
            nets, net_given = run.networks(seed), given[WAYS_SEEDS.index(seed)]
            for net, beta in zip(nets, run.network_betas, strict=True):
                columns = describe(net, net_given, run.task, programs=False) | {"minority": minority(net)}
                rows.append({"way": way, "seed": seed, "beta": beta, "nats": float(net.kl), **columns})
        write_table(out, pd.DataFrame(rows))
        print(f"{way}: {run.short_hash}", flush=True)


def train_all(names: tuple[str, ...], runs: Path, steps: int, workers: int) -> None:
    """Train what is not there yet."""
    for name in names:
        settings: dict[str, Any] = {"seeds": SEEDS, "steps": steps} | LONGER.get(name, {})
        net = given_networks(name, runs, settings["seeds"])
        run = compress(net, SHAPES[name][0], runs / name, workers=workers, **settings)
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
    ways: bool = False,
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
        ways: compress the networks of the large L1 norm along other prices instead; likewise.
    """
    if unknown := [name for name in names if name not in SHAPES]:
        raise ValueError(f"names holds {unknown}; expected some of {', '.join(SHAPES)}")
    if foreign:
        others(runs, out, steps, workers)
        return
    if ways:
        prices(runs, out, steps, workers)
        return
    if train:
        train_all(names, runs, steps, workers)
    measure(names, runs, out, every)
    release(tuple(name for name in names if name in RELEASED), runs, out.parent, every)


if __name__ == "__main__":
    script(main)
