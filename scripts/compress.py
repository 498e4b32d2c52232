"""Compress Adam's networks for the tasks of the book: ``python scripts/compress.py --help``.

Criteria stand in `hyperbook.studies.compression`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hyperlib.baseline import train_adam
from hyperlib.cluster import one_thread
from hyperlib.commands import script
from hyperlib.compression import compress, from_tensors, path
from hyperlib.files import read_tensors, write_table, write_tensors
from hyperlib.runs import load_run, pack_given

SHAPES = {
    "pairs": ("pairs", (8, 24, 1)),
    "positives": ("positives", (8, 24, 1)),
    "l1-large": ("l1", (16, 48, 1)),
    "l1": ("l1", (8, 24, 1)),
    "l2": ("l2", (8, 24, 1)),
    "max": ("max", (8, 24, 1)),
    "l1-sum": ("l1-sum", (8, 24, 2)),
}
SEEDS = range(3000, 3008)
ADAM_STEPS = 12_000


def train_all(names: tuple[str, ...], runs: Path, steps: int, workers: int) -> None:
    """Train what is not there yet."""
    for name in names:
        task, shape = SHAPES[name]
        stored = runs / f"{name}-given.safetensors"
        if not stored.exists():
            runs.mkdir(parents=True, exist_ok=True)
            with one_thread(True):
                net, _ = train_adam(shape, task, ADAM_STEPS, SEEDS)
            write_tensors(stored, pack_given(net))
        net = from_tensors(read_tensors(stored), "swish", str(stored))
        run = compress(net, task, runs / name, steps=steps, seeds=SEEDS, workers=workers)
        print(f"{name}: {run.short_hash}", flush=True)


def measure(names: tuple[str, ...], runs: Path, out: Path, every: int) -> pd.DataFrame:
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
    return table


def main(
    names: tuple[str, ...] = tuple(SHAPES),
    runs: Path = Path("runs/compress"),
    out: Path = Path("results/compress/paths.parquet"),
    steps: int = 24_000,
    workers: int = 1,
    every: int = 1,
    train: bool = True,
) -> None:
    """Train Adam's networks, compress them, and write the table of their paths.

    Args:
        names: which of the tasks.
        runs: folder for the runs.
        out: the table.
        steps: of each compression.
        workers: processes.
        every: measure every so manieth price.
        train: train what is not there; else only measure.
    """
    if unknown := [name for name in names if name not in SHAPES]:
        raise ValueError(f"names holds {unknown}; expected some of {', '.join(SHAPES)}")
    if train:
        train_all(names, runs, steps, workers)
    measure(names, runs, out, every)


if __name__ == "__main__":
    script(main)
