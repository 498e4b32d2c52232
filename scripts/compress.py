"""Compress Adam's networks for the tasks of the book: ``python scripts/compress.py --help``.

Criteria stand in `hyperbook.studies.compression`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import load_diabetes, load_wine
from sklearn.neural_network import MLPClassifier, MLPRegressor

from hyperbook.studies.compression import minority
from hyperbook.studies.programs import replace_rows
from hyperlib.baseline import train_adam
from hyperlib.checks import expect
from hyperlib.cluster import one_thread
from hyperlib.commands import script
from hyperlib.compression import compress, describe, from_tensors, path
from hyperlib.experiment import train
from hyperlib.files import read_tensors, write_tensors
from hyperlib.network import Network, Shape
from hyperlib.runs import pack_given
from hyperlib.task import Task
from keep import keep_models
from tasks import RUNS

# Name -> task and shape of the network.
NAMES = ("pairs", "positives", "l1-large", "l1", "l2", "max", "l1-sum")
SHAPES: dict[str, tuple[str, Shape]] = {name: RUNS.get(name, ("l1", (16, 48, 1))) for name in NAMES}
RELEASED = ("pairs", "positives", "l1-large")
# Name -> table, whether it has classes, activation and hidden layers.
OTHERS: dict[str, tuple[Any, bool, str, tuple[int, ...]]] = {
    "diabetes, tanh": (load_diabetes, False, "tanh", (12,)),
    "wine, logistic": (load_wine, True, "logistic", (12,)),
    "diabetes, relu, two layers": (load_diabetes, False, "relu", (12, 8)),
}
SEEDS = range(3000, 3008)
# Where 24,000 steps of 256 inputs end above the given networks. Chosen on seeds 3100 to 3103, so others are released.
LONGER = {"pairs": {"seeds": range(3200, 3208), "steps": 48_000, "batch": 1024}}
STEPS, ADAM_STEPS = 24_000, 12_000
EVERY = 3  # every so manieth price is measured, and released
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


def prices(runs: Path, out: Path, workers: int) -> None:
    """Whether slower or cyclic prices let private signs go: the table of all ways.

    A cycle begins with the hypernetworks that the one before left; price and learning rate start anew.
    """
    given = given_networks("l1-large", runs, WAYS_SEEDS)
    for way in WAYS:
        folder, steps = runs / way.replace(" ", "-"), STEPS * (4 if way == "four times slower" else 1)
        run = compress(given, "l1", folder, steps=steps, seeds=WAYS_SEEDS, workers=workers)
        for cycle in (2, 3, 4) if way == "four cycles" else ():
            again = replace(run.config, match_steps=0, start=str(run.path))
            run = train(again, runs / f"{folder.name}-{cycle}", workers=workers)
        rows = []
        for seed in run.seeds:
            nets, net_given = run.networks(seed), given[WAYS_SEEDS.index(seed)]
            assert nets.kl is not None
            for net, beta, nats in zip(nets, run.network_betas, nets.kl.tolist(), strict=True):
                columns = describe(net, net_given, run.task, programs=False) | {"minority": minority(net)}
                rows.append({"way": way, "seed": seed, "beta": beta, "nats": nats, **columns})
        replace_rows(out, pd.DataFrame(rows), "way")
        print(f"{way}: {run.short_hash}", flush=True)


def other_network(name: str) -> tuple[Any, Task]:
    """A network of scikit-learn, fitted to one of its tables in standardised units, and that table as a task."""
    load, classes, activation, sizes = OTHERS[name]
    table = load()
    columns = pd.DataFrame(table.data, columns=table.feature_names)
    loss = "cross-entropy" if classes else "squared error"
    task = Task.from_data(columns, table.target, loss, 0.25, name.split(",")[0])
    assert task.table is not None
    x, y = task.table.x.numpy(), task.table.y.numpy()
    kind = MLPClassifier if classes else MLPRegressor
    model = kind(hidden_layer_sizes=sizes, activation=activation, alpha=1.0, max_iter=4000, random_state=0)
    return model.fit(x, y.argmax(1) if classes else y[:, 0]), task


def others(runs: Path, out: Path, workers: int) -> None:
    """Networks that scikit-learn has trained, compressed on the task and faithfully: the table of their paths."""
    for name in OTHERS:
        net, task = other_network(name)
        tables = []
        for objective in ("simple", "faithful"):
            folder = runs / f"{name.replace(', ', '-').replace(' ', '-')}-{objective}"
            run = compress(net, task, folder, steps=STEPS, faithful=objective == "faithful", workers=workers)
            with one_thread(True):
                tables.append(path(run, betas=run.betas[::2]))
            tables[-1].insert(0, "objective", objective)
            tables[-1].insert(0, "network", name)
            print(f"{name}, {objective}: {run.short_hash}", flush=True)
        replace_rows(out, pd.concat(tables, ignore_index=True), "network")


def main(
    names: tuple[str, ...] = tuple(SHAPES),
    runs: Path = Path("runs/compress"),
    out: Path = Path("results/compress"),
    workers: int = 1,
    foreign: bool = False,
    ways: bool = False,
) -> None:
    """Train Adam's networks and compress them, unless that is done, and write the table of their paths, paths.parquet.

    Beside it come the runs that are released: one hyperhypernetwork and networks at some prices.

    Args:
        names: which of the tasks.
        runs: folder for the runs.
        out: folder for the tables; rows of other tasks stay.
        workers: processes.
        foreign: compress networks that scikit-learn has trained instead, for others.parquet.
        ways: compress the networks of the large L1 norm along other prices instead, for prices.parquet.
    """
    expect(set(names) <= set(SHAPES), "names", names, f"some of {', '.join(SHAPES)}")
    if foreign:
        return others(runs, out / "others.parquet", workers)
    if ways:
        return prices(runs / "prices", out / "prices.parquet", workers)
    for name in names:
        settings: dict[str, Any] = {"seeds": SEEDS, "steps": STEPS} | LONGER.get(name, {})
        net = given_networks(name, runs, settings["seeds"])
        run = compress(net, SHAPES[name][0], runs / name, workers=workers, **settings)
        with one_thread(True):
            rows = path(run, betas=run.betas[::EVERY])
        rows.insert(0, "task", name)
        rows = rows.astype(dict.fromkeys(rows.select_dtypes("float32"), "float64"))
        replace_rows(out / "paths.parquet", rows, "task")
        if name in RELEASED and not (out / name).exists():
            keep_models(run.path, out / name, run.seeds[:1], compact=True, betas=run.betas[::EVERY])
        print(f"{name}: {run.short_hash}", flush=True)


if __name__ == "__main__":
    script(main)
