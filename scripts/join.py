"""Finished runs of one configuration made into one: seeds that were trained in portions, or on several machines."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tyro

from hyperlib import files
from hyperlib.commands import script
from hyperlib.files import RunError
from hyperlib.runs import CURVE_COLUMNS, CURVES, FILES, MODELS, NETWORKS, SNAPSHOTS, SWEEP, SWEEP_COLUMNS, Run, load_run


def join_runs(folders: Sequence[Path], out: Path) -> Run:
    """Make one finished run folder of two or more that differ in nothing but their seeds. They stay as they are.

    Tensors are taken over as they are stored, and tables become as exact as the most exact of them: join first and call
    `hyperlib.runs.keep_models` with ``compact`` last. ``betas`` is the exception, networks have to be stored at the
    same betas before they are joined. The new folder is there when it is finished, and not before.

    RunError for a folder that is no finished run, a seed in two, another configuration, task or version of PyTorch,
    other steps or betas, or something in ``out``; ValueError for fewer than two.
    """
    if len(folders) < 2:
        raise ValueError(f"folders is {[str(path) for path in folders]}; expected two run folders or more")
    target = out.absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise RunError(f"{target} is there already; expected a new or an empty folder")
    runs = [load_run(path) for path in folders]
    seen: dict[int, Path] = {}
    for run in runs:
        if twice := [seed for seed in run.config.seeds if seed in seen]:
            where = f"in {seen[twice[0]]} and in {run.path}"
            raise RunError(f"seed {twice[0]} is {where}; expected every seed in one folder")
        seen |= dict.fromkeys(run.config.seeds, run.path)
        check_alike(runs[0], run)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.tmp")  # always the same, so that what a kill leaves is removed next time
    with files.locked(target.parent):
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir()
            write_joined(runs, made)
            made.replace(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return load_run(target)


def check_alike(first: Run, other: Run) -> None:
    """Raise RunError for a run that differs from the first one in more than its seeds."""
    mine, theirs = facts(first), facts(other)
    if changed := [name for name in mine if mine[name] != theirs[name]]:
        name = changed[0]
        raise RunError(f"{other.path} has {name} {theirs[name]!r}, {first.path} has {mine[name]!r}; expected the same")
    if first.config.task != other.config.task:
        raise RunError(f"{other.path} was trained on another task than {first.path}: their records of it differ")
    if first.network_betas != other.network_betas:
        counts = f"{len(other.network_betas)} betas, {first.path} of {len(first.network_betas)}"
        said = "not all of them the same; first remove the others with hyperlib.runs.keep_models(..., betas=...)"
        raise RunError(f"{other.path} has networks of {counts}, {said}")


def facts(run: Run) -> dict[str, Any]:
    """Name -> value of what runs to be joined have in common."""
    settings = run.config.to_dict()
    del settings["seeds"], settings["task"]
    return {
        **settings.pop("architecture"),
        **settings,
        "PyTorch": run.manifest.get("versions", {}).get("torch"),
        "steps of the sweep": run.steps,
        "betas of the sweep": run.betas,
        "columns of the sweep": sorted(run.sweep.columns),
        "columns of the curves": sorted(run.curves.columns),
    }


def write_joined(runs: Sequence[Run], folder: Path) -> None:
    """Write the files of a joined run, the manifest last."""
    names = [*FILES, *([SNAPSHOTS] if any(SNAPSHOTS in run.manifest["files"] for run in runs) else [])]
    seeds = [seed for run in runs for seed in run.config.seeds]
    files.write_json(folder / "config.json", runs[0].config.to_dict() | {"seeds": seeds})
    for name, columns in ((SWEEP, SWEEP_COLUMNS), (CURVES, CURVE_COLUMNS)):
        files.write_table(folder / name, pd.concat([files.read_table(run.path / name, columns) for run in runs]))
    for name in set(names) & {MODELS, NETWORKS, SNAPSHOTS}:
        holding = [run.path / name for run in runs if name in run.manifest["files"]]
        files.write_tensors(folder / name, {key: t for path in holding for key, t in files.read_tensors(path).items()})
    entries = [run.manifest for run in runs]
    joined = {
        "command": " && ".join(str(entry.get("command")) for entry in entries),
        "wall_s": round(sum(entry.get("wall_s", 0.0) for entry in entries), 1),
        "groups": [group for entry in entries for group in entry.get("groups", [])],
        "failed": {seed: reason for entry in entries for seed, reason in entry["failed"].items()},
        "hardware": told_by([entry.get("hardware", {}) for entry in entries]),
        "versions": told_by([entry.get("versions", {}) for entry in entries]),
        "files": files.checksums(folder, names),
    }
    files.write_signed(folder / "manifest.json", entries[0] | joined)


def told_by(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One record of several: each value once, those that differ joined by semicolons."""
    found = {}
    for name in dict.fromkeys(name for record in records for name in record):
        values = list(dict.fromkeys(record[name] for record in records if name in record))
        found[name] = values[0] if len(values) == 1 else "; ".join(map(str, values))
    return found


def main(folders: tyro.conf.Positional[tuple[Path, ...]], out: Path) -> None:
    """Make one run folder of several finished ones that differ in nothing but their seeds.

    Args:
        folders: two or more finished run folders.
        out: the new run folder.
    """
    run = join_runs(folders, out)
    print(f"{out}: {len(run.seeds)} seeds, run {run.short_hash}")


if __name__ == "__main__":
    script(main)
