"""From a configuration to a finished run folder: train, measure, checkpoint, resume, on one machine or many.

Seeds are independent, so a run is split into groups of a few seeds, each an ensemble of its own and one task of
`dask.distributed`. A task killed at any moment is started again, here or by the scheduler on another worker, and
continues from its last checkpoint with the same numbers.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from .cluster import Report, distribute
from .config import TrainConfig
from .files import RunError, read_json, read_tensors, remove_leftovers, write_json, write_table, write_tensors
from .hyperhypernetwork import ParetoHypernetwork
from .runs import Run, load_run, pack_networks, pack_parameters, write_manifest
from .sweeps import sweep
from .task import get_task
from .training import Ensemble, check_device

CHECKPOINT_STEPS = 2000  # most steps lost by a kill
CURVE_POINTS = 400  # intervals over which the learning curves are averaged
DEAD_SPREAD = 1e-4  # standard deviation of a normalised output below which it does not depend on the input


def half_precision(model: ParetoHypernetwork) -> ParetoHypernetwork:
    """The model as a run folder stores it: parameters rounded to half precision."""
    rounded = {name: tensor.half().float() for name, tensor in model.parameters.items()}
    return ParetoHypernetwork(rounded, model.shape, model.architecture)


def group_seeds(seeds: Sequence[int], size: int, workers: int) -> list[list[int]]:
    """Split seeds into groups of at most ``size``, nearly equal, so that every worker gets as many groups."""
    count = math.ceil(len(seeds) / size)
    count = min(len(seeds), math.ceil(count / workers) * workers)
    return [part.tolist() for part in np.array_split(np.asarray(seeds), count)]


class Group:
    """Training of a few seeds inside a run folder; resumes from what the folder holds.

    Args:
        config: the run's configuration.
        seeds: the group's seeds.
        out: the run folder; parts go to ``out/parts/<first seed>-<last seed>``.
        compiled, device: as in `Ensemble`.
    """

    def __init__(self, config: TrainConfig, seeds: Sequence[int], out: Path, compiled: bool, device: str):
        self.config, self.seeds = config, list(seeds)
        self.folder = out / "parts" / "-".join(str(seed) for seed in seeds)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        self.ensemble = Ensemble(config, seeds, compiled, device)
        self.dead = torch.zeros(len(seeds), dtype=torch.float64)  # step at which a sweep found it dead, else 0
        self.curve: list[Tensor] = []  # per interval: step, then the means of every seed
        self.wall_s = 0.0
        self.resume()

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one, else from the run that the configuration starts from."""
        if not self.checkpoint.exists():
            if self.config.start:
                self.start_from(load_run(self.config.start))
            return
        saved = read_tensors(self.checkpoint)
        try:
            self.ensemble.restore(saved)
            self.dead, self.wall_s = saved["dead"], float(saved["wall_s"])
            self.curve = list(saved["curve"].unbind(0))
        except (KeyError, ValueError) as error:
            raise RunError(
                f"{self.checkpoint} does not fit this run: {error}; remove the folder to start anew"
            ) from None

    def start_from(self, run: Run) -> None:
        """Take over the hyperhypernetworks of the seeds that another run has.

        Raises:
            RunError: they are of another shape or architecture.
        """
        for seed in sorted(set(self.seeds).intersection(run.modelled)):
            try:
                self.ensemble.start_from(seed, run.model(seed).parameters)
            except ValueError as error:
                raise RunError(f"{self.config.start} cannot start this run: seed {seed}: {error}") from None

    def save(self) -> None:
        """Write the checkpoint."""
        width = 1 + 3 * len(self.seeds)
        curve = torch.stack(self.curve) if self.curve else torch.zeros(0, width, dtype=torch.float64)
        extra = {"dead": self.dead, "wall_s": torch.tensor(self.wall_s, dtype=torch.float64), "curve": curve}
        write_tensors(self.checkpoint, self.ensemble.checkpoint() | extra)

    def failed(self) -> dict[int, dict]:
        """Seed -> step and reason, for the seeds that diverged."""
        failed = {
            seed: {"step": step, "reason": "loss or gradient is not finite"}
            for seed, step in self.ensemble.diverged().items()
        }
        for seed, step in zip(self.seeds, self.dead.tolist(), strict=True):
            if step:
                failed.setdefault(
                    seed,
                    {
                        "step": int(step),
                        "reason": "the generated networks are dead (output independent of the input) or not finite",
                    },
                )
        return failed

    def measure(self, step: int) -> None:
        """Sweep every living seed over beta and write the tables of this step; at the last step the models too."""
        last = step == self.config.steps
        models, networks, tables = {}, {}, []
        for row, seed in enumerate(self.seeds):
            if seed in self.failed():
                continue
            model = half_precision(self.ensemble.model(seed)) if last else self.ensemble.model(seed)
            table, networks[seed] = sweep(model, self.config.task, device=self.ensemble.device)
            alive = (table["spread"] >= DEAD_SPREAD).any()
            if not alive or not np.isfinite(table[["loss", "kl", "alpha_2"]].to_numpy()).all():
                self.dead[row] = step
                self.ensemble.state["alive"][row] = False
                continue
            models[seed] = model
            table.insert(0, "step", step)
            table.insert(0, "seed", seed)
            tables.append(table)
        if tables:
            write_table(self.folder / f"sweep-{step}.parquet", pd.concat(tables, ignore_index=True))
        if last:
            write_tensors(self.folder / "hyperhypernetworks.safetensors", pack_parameters(models))
            write_tensors(self.folder / "networks.safetensors", dict(pack_networks({s: networks[s] for s in models})))

    def run(self, report: Report, checkpoint_steps: int = CHECKPOINT_STEPS, stop: int | None = None) -> None:
        """Train to the end, pausing at snapshots, at checkpoints and where a point of the learning curves ends.

        Args:
            report: called with the seeds and the step reached.
            checkpoint_steps: steps between checkpoints.
            stop: end at this step instead of the last one.
        """
        total, interval = stop or self.config.steps, max(10, self.config.steps // CURVE_POINTS)
        snapshots = self.config.snapshot_steps()
        started, spent = time.monotonic(), self.wall_s
        report(self.seeds, self.ensemble.step)
        while (step := self.ensemble.step) < total:
            ends = (step // interval + 1) * interval, (step // checkpoint_steps + 1) * checkpoint_steps, total
            pause = min([*ends, *(s for s in snapshots if s > step)])
            self.ensemble.advance(pause - step)
            if pause % interval == 0 or pause == total:
                since = pause - int(self.curve[-1][0]) if self.curve else pause
                means = self.ensemble.read_sums() / since
                self.curve.append(torch.cat([torch.tensor([pause], dtype=torch.float64), means.flatten()]))
            if pause in snapshots:
                self.measure(pause)
            self.wall_s = spent + time.monotonic() - started
            if pause % checkpoint_steps == 0 or pause == total:
                self.save()
            report(self.seeds, pause)

    def curves(self) -> pd.DataFrame:
        """The learning curves as a table: seed, step, objective, loss, kl."""
        values = torch.stack(self.curve)
        parts = []
        for row, seed in enumerate(self.seeds):
            means = values[:, 1 + 3 * row : 4 + 3 * row].numpy()
            table = pd.DataFrame(means, columns=["objective", "loss", "kl"])
            table.insert(0, "step", values[:, 0].long().numpy())
            table.insert(0, "seed", seed)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)


def finish_group(
    config: TrainConfig,
    seeds: Sequence[int],
    out: Path,
    compiled: bool,
    device: str,
    checkpoint_steps: int,
    report: Report,
) -> dict[int, dict]:
    """Train a group unless its results are there already; returns its failed seeds."""
    group = Group(config, seeds, out, compiled, device)
    group.run(report, checkpoint_steps)
    write_table(group.folder / "curves.parquet", group.curves())
    failed = group.failed()
    write_json(group.folder / "done.json", {"wall_s": group.wall_s, "failed": {str(k): v for k, v in failed.items()}})
    return failed


def collect(config: TrainConfig, out: Path, groups: Sequence[Sequence[int]], command: str | None) -> Run:
    """Merge the parts of all groups into a finished run folder and remove them."""
    folders = [out / "parts" / "-".join(str(seed) for seed in seeds) for seeds in groups]
    done = [read_json(folder / "done.json") for folder in folders]
    failed = {int(seed): reason for part in done for seed, reason in part["failed"].items()}
    if len(failed) == len(config.seeds):
        raise RunError(f"every seed of {out} diverged: {failed}; no run was written. Try a smaller learning rate")
    sweeps = [pd.read_parquet(path) for folder in folders for path in sorted(folder.glob("sweep-*.parquet"))]
    table = pd.concat(sweeps).sort_values(["seed", "step", "beta"], ignore_index=True)
    write_table(out / "sweep.parquet", table)
    write_table(out / "curves.parquet", pd.concat([pd.read_parquet(f / "curves.parquet") for f in folders]))
    for name in ("hyperhypernetworks.safetensors", "networks.safetensors"):
        write_tensors(out / name, {key: t for folder in folders for key, t in read_tensors(folder / name).items()})
    write_manifest(out, sum(part["wall_s"] for part in done), failed, groups, command)
    shutil.rmtree(out / "parts")
    return load_run(out.absolute())


def train(
    config: TrainConfig,
    out: str | os.PathLike,
    *,
    workers: int | None = None,
    ensemble: int = 4,
    scheduler: str | None = None,
    compiled: bool = True,
    device: str = "cpu",
    checkpoint_steps: int = CHECKPOINT_STEPS,
    progress: bool = True,
    command: str | None = None,
) -> Run:
    """Train all seeds of a configuration and leave a finished run folder. Run again, it resumes.

    Args:
        config: what to train.
        out: the run folder; made if it is not there. A finished run of the same configuration is returned as it is.
        workers: processes of one core each; by default one per core. 0 trains in this process, all seeds in one
            ensemble, which is also what a CUDA device does.
        ensemble: most seeds per group.
        scheduler: address of a dask scheduler, such as ``tcp://host:8786``, whose workers see the folder ``out``.
        compiled: compile the training step.
        device: "cpu" or a CUDA device.
        checkpoint_steps: steps between checkpoints.
        progress: show a progress bar in a terminal.
        command: the command to record in the manifest.

    Raises:
        RunError: ``out`` belongs to another configuration, or every seed diverged.
        TypeError: ``config`` is not a `TrainConfig`.
        ValueError: a number of workers or seeds per group that makes no sense, or a device that is not there.

    Example:
        >>> import tempfile
        >>> import hyperlib as hl
        >>> config = hl.TrainConfig(seeds=range(2), steps=5, shape=(3, 8, 1), snapshots=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = hl.train(config, folder, workers=0, compiled=False, progress=False)
        ...     len(run.sweep)  # 2 seeds, 30 values of beta, 1 snapshot
        60
    """
    if not isinstance(config, TrainConfig):
        raise TypeError(f"config is {type(config).__name__}; expected a TrainConfig")
    check_device(device)
    if ensemble < 1 or checkpoint_steps < 1 or (workers is not None and workers < 0):
        given = f"ensemble={ensemble}, checkpoint_steps={checkpoint_steps}, workers={workers}"
        raise ValueError(f"got {given}; expected at least 1, 1 and 0")
    out = Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder")
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    values, settings = config.to_dict(), out / "config.json"
    if settings.exists():
        found = TrainConfig.from_dict(read_json(settings))
        if found != config:
            changed = [key for key, value in values.items() if found.to_dict()[key] != value]
            raise RunError(f"{out} was started with another {', '.join(changed)}; choose a new folder or remove it")
        if (out / "manifest.json").exists():
            return load_run(out)
    elif any(out.iterdir()):
        raise RunError(f"{out} is not empty and is not a run folder; choose a new folder")
    write_json(settings, values)

    workers = (os.cpu_count() or 1) if workers is None else workers
    here = workers == 0 or device != "cpu"
    plan = out / "parts" / "groups.json"
    if plan.exists():  # a resumed run keeps its groups: their checkpoints belong to them
        groups = read_json(plan)["groups"]
    else:
        groups = [list(config.seeds)] if here else group_seeds(config.seeds, ensemble, 1 if scheduler else workers)
        plan.parent.mkdir(exist_ok=True)
        write_json(plan, {"groups": groups})
    pending = [group for group in groups if not (plan.parent / "-".join(map(str, group)) / "done.json").exists()]

    total = config.steps * len(config.seeds)
    reached = {seed: config.steps for seed in config.seeds} | {seed: 0 for group in pending for seed in group}
    with tqdm(total=total, unit="step", disable=None if progress else True, smoothing=0.05) as bar:

        def report(seeds: Sequence[int], step: int) -> None:
            reached.update(dict.fromkeys(seeds, step))
            bar.n = max(bar.n, sum(reached.values()))
            bar.refresh()

        if here:
            for group in pending:
                finish_group(config, group, out, compiled, device, checkpoint_steps, report)
        else:
            work = partial(
                finish_group, config, out=out, compiled=compiled, device=device, checkpoint_steps=checkpoint_steps
            )
            distribute(work, get_task(config.task), pending, report, scheduler, workers)
    return collect(config, out, groups, command)
