"""Programs of many networks as a table: those of a run, along beta and along training, and those of the baseline."""

import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from hyperlib.algorithms.order_parameters import classify
from hyperlib.algorithms.structure import structure
from hyperlib.checks import as_generator
from hyperlib.decoding.decode import numbers_of, program_of, search, simplified
from hyperlib.decoding.description import TOLERANCE, subject_of
from hyperlib.decoding.program import KeepsLittle, Program
from hyperlib.files import MANIFEST, locked, read_table, write_table
from hyperlib.network import Network
from hyperlib.problems import get_task
from hyperlib.runs import Run, find_folder, load_run
from hyperlib.task import Task

from .baseline import Baseline, load_baseline

TABLE = "results/programs.parquet"
SAMPLES = 8192
LOSSES = ("loss", "program_loss")
FEW, WELL = 10, 0.99  # constants, and share of the output's variance


def curve(net: Network) -> pd.DataFrame:
    """What programs of ever fewer constants lose: where does a network stop compressing?

    For each number of constants the best program found with at most so many: ``numbers``, ``bits``, ``lost`` (share of
    the output's variance on the inputs of the fits), ``total`` (description length with the loss).
    """
    subject = subject_of(net, None, TOLERANCE, as_generator(0))
    tied = [one for start in search(subject) for one in simplified(subject, start, math.inf, tries=1)]
    found = [(numbers_of(one), subject.bits(one), one.lost, subject.total(one)) for one in tied]
    table = pd.DataFrame(found, columns=["numbers", "bits", "lost", "total"])
    table = table.sort_values(["numbers", "lost"]).drop_duplicates("numbers")
    return table[table["lost"] < table["lost"].cummin().shift(fill_value=math.inf)].reset_index(drop=True)


def decoded(net: Network, task: Task) -> Program:
    """The program of a network, without a warning where it keeps little."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KeepsLittle)
        return program_of(net, task)


def row(net: Network, task: Task) -> dict[str, Any]:
    """What decoding says of one network.

    ``label`` (form of the program), ``order_parameters`` and ``structure`` (what these say of the first layer),
    ``numbers``, ``bits``, ``kept``, ``random``, ``loss`` of the network and ``program_loss`` (NaN where the task's
    function or rows are not known), ``weights`` (how many numbers the network holds), ``kl`` in nats and ``text``.
    """
    program = decoded(net, task)
    losses = dict.fromkeys(LOSSES, math.nan)
    if task.record is None:
        x, y = task.sample(SAMPLES, net.shape[0], torch.Generator().manual_seed(0), dtype=net.weights[0].dtype)
        errors = task.errors(net.shape[0])
        losses["loss"] = float(errors(net(x), y).mean())
        losses["program_loss"] = program.loss(x, y, loss=lambda out, y: errors(out, y).mean())
    return {
        "label": program.label,
        "order_parameters": classify(net),
        "structure": structure(net) if net.weights[0].any() else "unclear",
        **{fact: getattr(program, fact) for fact in ("numbers", "bits", "kept", "random")},
        **losses,
        "weights": sum(t.numel() for t in (*net.weights, *net.biases)),
        "kl": math.nan if net.kl is None else float(net.kl),
        "text": program.text,
    }


def of_run(run: Run, points: int = 1) -> Iterator[dict[str, Any]]:
    """Rows of a run's seeds, with ``seed``, ``step`` and ``beta``.

    At the last step there are rows at so many values of beta, from the lowest up; of stored snapshots, at the lowest.
    A run with several hidden layers has none.
    """
    if len(run.config.shape) != 3:
        return
    task, betas = run.task, run.network_betas
    places = np.linspace(0, len(betas) - 1, points).round().astype(int)
    for seed in run.seeds:
        nets = run.networks(seed)
        for place in dict.fromkeys(places.tolist()):
            yield {"seed": seed, "step": run.config.steps, "beta": betas[place]} | row(nets[place], task)
        for step in run.stored_steps(seed)[:-1]:
            net = run.model(seed, step).generate(betas[0], generator=0)
            yield {"seed": seed, "step": step, "beta": betas[0]} | row(net, task)


def of_baseline(found: Baseline) -> Iterator[dict[str, Any]]:
    """Rows of the networks that Adam trained directly (section 2.5), with ``seed`` and ``step``."""
    for seed, net in zip(found.seeds, found.networks, strict=True):
        yield {"seed": seed, "step": found.settings["steps"]} | row(net, get_task("l1"))


def name_of(folder: str | Path, table: str | Path = TABLE) -> str:
    """What a table calls the run in a folder: its path from where the table is, as ``l1`` or ``tasks/l2``."""
    place = find_folder(Path(table).parent).resolve()
    return Path(os.path.relpath(find_folder(folder).resolve(), place)).as_posix()


def of_folder(folder: str | Path, points: int = 1) -> Iterator[tuple[Path, Iterator[dict[str, Any]]]]:
    """Folders and rows of what a folder holds: a run, a baseline, or several runs in subfolders."""
    path = find_folder(folder)
    subs = [] if (path / MANIFEST).exists() else [file.parent for file in sorted(path.glob(f"*/{MANIFEST}"))]
    for sub in subs or [path]:
        baseline = None if (sub / "config.json").exists() else load_baseline(sub)
        yield sub, of_baseline(baseline) if baseline else of_run(load_run(sub), points)


def replace_rows(out: Path, new: pd.DataFrame, column: str) -> None:
    """Put rows into the table at ``out``, or begin it, in place of those with the same values in a column."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out.parent, wait_s=60):
        table = read_table(out, {column}) if out.exists() else new.iloc[:0]
        others = table[~table[column].isin(new[column])]
        write_table(out, new if others.empty else pd.concat([others, new], ignore_index=True))


def update(out: Path, folder: Path, rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Replace the rows of one source in the table at ``out`` and return them; several processes may do so at once."""
    new = pd.DataFrame(rows)
    if len(new):
        out.parent.mkdir(parents=True, exist_ok=True)
        new.insert(0, "run", name_of(folder, out))
        replace_rows(out, new, "run")
    return new


def few_constants(table: pd.DataFrame) -> pd.DataFrame:
    """For how many networks a program of at most `FEW` constants keeps `WELL` of the output's variance.

    One row per label: ``networks``, ``few`` (how many), medians of ``numbers, bits, kept, loss`` and ``program_loss``.
    """
    marked = table.assign(networks=1, few=(table["numbers"] <= FEW) & (table["kept"] >= WELL))
    how = {"networks": "sum", "few": "sum"} | dict.fromkeys(("numbers", "bits", "kept", *LOSSES), "median")
    return marked.groupby("label", sort=False).agg(how).sort_values("networks", ascending=False)


def load_programs(path: str | Path = TABLE) -> pd.DataFrame:
    """The table of `update`, looked for from the working directory upwards."""
    file = find_folder(Path(path).parent) / Path(path).name
    if not file.is_file():
        raise FileNotFoundError(f"no table at {str(path)!r}; make one with: python scripts/decode.py RUN --out {path}")
    table = read_table(file, {"run", "seed", "step", "label", "numbers", "bits", "kept", *LOSSES})
    table.attrs["source"] = "programs of the released networks"
    return table
