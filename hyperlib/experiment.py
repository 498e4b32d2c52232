"""From a configuration to a finished run folder: train, measure, checkpoint, resume, on one machine or many.

A run is split into groups of a few seeds, each an ensemble of its own. Killed at any moment, a group continues from its
last checkpoint, with the same numbers.
"""

import contextlib
import dataclasses
import math
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from . import files, runs
from .checks import DOUBLE, check_type, check_whole, expect
from .cluster import Report, distribute
from .config import TrainConfig
from .fast.build import BuildError
from .fast.operator import functions
from .files import GOES_ON, Parts, RunError, digest, read_tensors, write_table, write_tensors
from .hyperhypernetwork import ParetoHypernetwork, parameter_shapes
from .hypernetwork import Hypernetwork
from .machine import cores
from .network import Network, check_network
from .runs import CURVES, GIVEN, MODELS, NETWORKS, SWEEP, Run, load_run, pack_given, pack_networks, pack_parameters
from .sweeps import sweep
from .table import Table
from .task import same_task, with_rows, without_rows
from .training import Ensemble, check_device

ROWS = "rows.safetensors"  # of a table, for the workers
START = "start.safetensors"  # hyperhypernetworks from which a training starts, likewise
CHECKPOINT_STEPS = 2000  # most steps lost by a kill
CURVE_POINTS = 400  # intervals over which the learning curves are averaged
WITHOUT = "to go without a compiler, train with compiled=False (--no-compiled on the command line)"
DEAD_SPREAD = 1e-4  # standard deviation of a normalised output below which it does not depend on the input


def half_precision(model: ParetoHypernetwork) -> ParetoHypernetwork:
    """The model as a run folder stores it: parameters rounded to half precision."""
    return model.map(lambda tensor: tensor.half().float())


def group_seeds(seeds: Sequence[int], size: int, workers: int) -> list[list[int]]:
    """Split seeds into groups of at most ``size``, nearly equal, so that every worker gets as many groups."""
    count = math.ceil(len(seeds) / size)
    count = min(len(seeds), math.ceil(count / workers) * workers)
    return [part.tolist() for part in np.array_split(np.asarray(seeds), count)]


class Group:
    """Training of a few seeds inside the run folder ``out``, resumed from its `part_folder`; RunError if damaged."""

    def __init__(self, config: TrainConfig, seeds: Sequence[int], out: Path, compiled: bool, device: str):
        self.config, self.seeds = config, list(seeds)
        self.folder = part_folder(out, seeds)
        self.folder.mkdir(parents=True, exist_ok=True)
        files.remove_leftovers(self.folder)
        self.parts = Parts(self.folder)
        given = None
        if config.given_sha256:
            nets = runs.unpack_given(read_tensors(out / GIVEN), config, out / GIVEN)
            given = nets[torch.tensor([config.seeds.index(seed) for seed in seeds], device="cpu")]
        self.ensemble = Ensemble(config, seeds, compiled, device, given=given)
        self.dead = torch.zeros(len(seeds), **DOUBLE)  # step at which a sweep found it dead, else 0
        self.curve: list[Tensor] = []  # per interval: step, then the means of every seed
        self.wall_s = 0.0
        self.resume()

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one, else from the run that the configuration starts from."""
        name = self.parts.facts.get("checkpoint")
        if name is None:
            if (path := self.folder.with_name(START)).exists():
                self.start_from(read_tensors(path), path)
            return
        saved = read_tensors(self.folder / name)
        try:
            self.ensemble.restore(saved)
            self.dead, self.wall_s = saved["dead"], float(saved["wall_s"])
            self.curve = list(saved["curve"].unbind(0))
        except (KeyError, ValueError) as error:
            what = f"{self.folder / name} does not fit this run"
            raise RunError(f"{what}: {error}; remove the folder to start anew") from None

    def start_from(self, packed: Mapping[str, Tensor], path: Path) -> None:
        """Take over the hyperhypernetworks that `prepare` has put aside, if they are those of the configuration."""
        if digest(dict(sorted(packed.items()))) != self.config.start_sha256:
            raise RunError(f"{path} holds other hyperhypernetworks than the configuration says; remove {path.parent}")
        for seed in self.seeds:
            prefix = f"{seed}."
            found = {k.removeprefix(prefix): t.float() for k, t in packed.items() if k.startswith(prefix)}
            if found:
                self.ensemble.start_from(seed, found)

    def save(self) -> None:
        """Write a checkpoint beside the last one, then the list of parts, which makes it count; remove the last one."""
        width = 1 + 3 * len(self.seeds)
        curve = torch.stack(self.curve) if self.curve else torch.zeros(0, width, **DOUBLE)
        extra = {"dead": self.dead, "wall_s": torch.tensor(self.wall_s, **DOUBLE), "curve": curve}
        name, last = f"checkpoint-{self.ensemble.step}.safetensors", self.parts.facts.get("checkpoint")
        write_tensors(self.folder / name, self.ensemble.checkpoint() | extra)
        self.parts.add(name)
        if last not in (None, name):
            del self.parts.files[last]
        self.parts.write(checkpoint=name)
        if last not in (None, name):
            (self.folder / last).unlink(missing_ok=True)

    def failed(self) -> dict[int, dict]:
        """Seed -> step and reason, for the seeds that diverged."""
        dead = {seed: int(step) for seed, step in zip(self.seeds, self.dead.tolist(), strict=True) if step}
        found = {"the generated networks are dead (output independent of the input) or not finite": dead}
        found["loss or gradient is not finite"] = self.ensemble.diverged()
        return {seed: {"step": step, "reason": why} for why, steps in found.items() for seed, step in steps.items()}

    def measure(self, step: int) -> None:
        """Sweep every living seed over beta and write the tables of this step; at the last step the models too."""
        last = step == self.config.steps
        models, networks, tables = {}, {}, []
        for row, seed in enumerate(self.seeds):
            if seed in self.failed():
                continue
            model = half_precision(self.ensemble.model(seed)) if last else self.ensemble.model(seed)
            table, networks[seed] = sweep(model, self.config.task, device=self.ensemble.device)
            finite = np.isfinite(table[["loss", "kl", "alpha_2"]].to_numpy()).all()
            if not finite or not (table["spread"] >= DEAD_SPREAD).any():
                self.dead[row] = step
                self.ensemble.state["alive"][row] = False
                continue
            models[seed] = model
            table.insert(0, "step", step)
            table.insert(0, "seed", seed)
            tables.append(table)
        if tables:
            name = f"sweep-{step}.parquet"
            write_table(self.folder / name, pd.concat(tables, ignore_index=True))
            self.parts.add(name)
        if last:
            write_tensors(self.folder / MODELS, pack_parameters(models))
            write_tensors(self.folder / NETWORKS, pack_networks({s: networks[s] for s in models}))
            self.parts.add(MODELS, NETWORKS)

    def run(self, report: Report, checkpoint_steps: int | None = None, stop: int | None = None) -> None:
        """Train to the end, or to the step ``stop``."""
        checkpoint_steps = checkpoint_steps or max(1, min(CHECKPOINT_STEPS, self.config.steps // 10))
        total, interval = stop or self.config.steps, max(10, self.config.steps // CURVE_POINTS)
        snapshots = self.config.snapshot_steps()
        started, spent = time.monotonic(), self.wall_s
        report(self.seeds, self.ensemble.step)
        while (step := self.ensemble.step) < total:
            ends = (step // interval + 1) * interval, (step // checkpoint_steps + 1) * checkpoint_steps, total
            pause = min([*ends, *(s for s in snapshots if s > step)])
            self.ensemble.advance(pause - step)
            if not self.folder.is_dir():
                raise RunError(f"{self.folder} is gone: the folder was removed while it was trained in")
            if pause % interval == 0 or pause == total:
                since = pause - int(self.curve[-1][0]) if self.curve else pause
                means = self.ensemble.read_sums() / since
                self.curve.append(torch.cat([torch.tensor([pause], **DOUBLE), means.flatten()]))
            if pause in snapshots:
                self.measure(pause)
            self.wall_s = spent + time.monotonic() - started
            if pause % checkpoint_steps == 0 or pause == total:
                self.save()
            report(self.seeds, pause)

    def curves(self) -> pd.DataFrame:
        """The learning curves as a table: seed, step, objective, loss, kl."""
        steps, *means = torch.stack(self.curve).split([1, *[3] * len(self.seeds)], dim=1)
        table = pd.DataFrame(torch.cat(means).numpy(), columns=["objective", "loss", "kl"])
        table.insert(0, "step", np.tile(steps[:, 0].long().numpy(), len(self.seeds)))
        table.insert(0, "seed", np.repeat(self.seeds, len(steps)))
        return table


def finish_group(
    config: TrainConfig,
    out: Path,
    compiled: bool,
    device: str,
    checkpoint_steps: int | None,
    seeds: Sequence[int],
    report: Report,
) -> dict[int, dict]:
    """Train a group unless its results are there already; returns its failed seeds."""
    if (rows := out / "parts" / ROWS).exists():
        table = Table.from_tensors(read_tensors(rows), config.task.fingerprint(config.shape[0]))
        config = dataclasses.replace(config, task=with_rows(config.task, table))
    group = Group(config, seeds, out, compiled, device)
    with compiling():
        group.run(report, checkpoint_steps)
    write_table(group.folder / CURVES, group.curves())
    failed = group.failed()
    group.parts.add(CURVES)
    group.parts.write(done=True, wall_s=group.wall_s, failed={str(seed): why for seed, why in failed.items()})
    return failed


def part_folder(out: Path, seeds: Sequence[int]) -> Path:
    """Where the parts of a group are: the first and the last of its seeds tell it from the others."""
    return out / "parts" / "-".join(str(seed) for seed in sorted({seeds[0], seeds[-1]}, key=list(seeds).index))


def pending_groups(out: Path, groups: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """The groups that are still to be trained. Damaged parts are removed, with a warning, and count as not trained."""
    pending = []
    for seeds in groups:
        folder = part_folder(out, seeds)
        try:
            if Parts(folder).facts.get("done"):
                continue
        except RunError as error:
            warnings.warn(f"{error}; seeds {', '.join(map(str, seeds))} are trained again", stacklevel=3)
            shutil.rmtree(folder)
        pending.append(seeds)
    return pending


def collect(config: TrainConfig, out: Path, plan: Mapping) -> Run:
    """Merge the parts of all groups into a finished run folder and remove them."""
    folders = [part_folder(out, seeds) for seeds in plan["groups"]]
    parts = [Parts(folder) for folder in folders]
    failed = {int(seed): reason for group in parts for seed, reason in group.facts["failed"].items()}
    if len(failed) == len(config.seeds):
        why = "; ".join(f"seed {seed} at step {reason['step']}, {reason['reason']}" for seed, reason in failed.items())
        hint = "Try a smaller learning rate in a new folder, or remove this one"
        raise RunError(f"every seed of {out} diverged, so that there is no run: {why[:300]}. {hint}")
    sweeps = [group.path.parent / name for group in parts for name in sorted(group.files) if name.startswith("sweep-")]
    table = pd.concat(map(pd.read_parquet, sweeps)).sort_values(["seed", "step", "beta"], ignore_index=True)
    write_table(out / SWEEP, table)
    write_table(out / CURVES, pd.concat([pd.read_parquet(folder / CURVES) for folder in folders]))
    for name in (MODELS, NETWORKS):
        write_tensors(out / name, {key: t for folder in folders for key, t in read_tensors(folder / name).items()})
    runs.write_manifest(out, sum(group.facts["wall_s"] for group in parts), failed, plan["groups"])
    shutil.rmtree(out / "parts")
    return load_run(out.absolute(), task=config.task)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Raise BuildError for all that a compiler raises: what it could not do in one line, and the way out."""
    try:
        yield
    except Exception as error:
        if isinstance(error, BuildError):
            raise BuildError(f"{' '.join(str(error).split())}; {WITHOUT}") from error
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line.lower()), lines[0] if lines else type(error).__name__)
        raise BuildError(f"the training step could not be compiled: {first}; {WITHOUT}") from error


def check_compiler(config: TrainConfig) -> None:
    """Raise BuildError, which says how to go without, if a training on the CPU cannot be compiled."""
    with compiling():
        functions(config.architecture.attention)


def train(
    config: TrainConfig,
    out: str | os.PathLike,
    *,
    workers: int | None = None,
    ensemble: int = 4,
    scheduler: str | None = None,
    compiled: bool = True,
    device: str = "cpu",
    checkpoint_steps: int | None = None,
    progress: bool = True,
    given: Network | None = None,
) -> Run:
    """Train all seeds of a configuration and leave a finished run folder. Run again, it resumes.

    Args:
        out: the run folder; made if it is not there. A finished run of the same configuration is returned as it is.
        workers: processes of one core each; by default one per core. 0 trains in this process, all seeds in one
            ensemble, which is also what a CUDA device does.
        ensemble: most seeds per group.
        scheduler: address of a dask scheduler, such as ``tcp://host:8786``, whose workers see the folder ``out``.
        compiled: compile the training step.
        device: "cpu" or a CUDA device.
        checkpoint_steps: steps between checkpoints, by default a tenth of all and at most 2,000.
        progress: show a progress bar in a terminal.
        given: the networks to which the memory is matched for the first ``config.match_steps``: one for all seeds, or
            one per seed as batch axis. By default random ones.

    RunError if ``out`` belongs to another configuration, another process trains in it, the disk refuses a file, the
    workers or the scheduler are lost, or every seed diverged. BuildError without a C++ compiler, or if it fails.
    TypeError or ValueError for an argument of another kind or out of range, or a device that is not there.

    Example:
        >>> import tempfile
        >>> import hyperlib as hl
        >>> config = hl.TrainConfig(seeds=range(2), steps=5, shape=(3, 8, 1), snapshots=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = hl.train(config, folder, workers=0, compiled=False, progress=False)
        ...     len(run.sweep)  # 2 seeds, 30 values of beta, 1 snapshot
        60
    """
    check_type("config", config, TrainConfig, "a TrainConfig")
    check_device(device)
    counts = {"ensemble": (ensemble, 1), "checkpoint_steps": (checkpoint_steps, 1), "workers": (workers, 0)}
    for name, (value, least) in counts.items():
        if value is not None:
            check_whole(name, value, least)
    here = workers == 0 or device != "cpu"
    expect(not (scheduler and here), "scheduler", scheduler, f"none beside workers={workers}, device={device}")
    check_type("out", out, (str, os.PathLike), "the path of a run folder")
    out = Path(out).absolute()
    config, started = from_start(config)
    config, given = from_given(config, given)
    if (done := finished(config, out)) is not None:
        return done
    workers = cores() if workers is None else workers
    if compiled and not scheduler and device == "cpu":
        check_compiler(config)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with files.locked(out):
            if (done := finished(config, out)) is not None:  # by a process that had the lock until now
                return done
            size = len(config.seeds) if here else ensemble
            plan = prepare(config, out, size, 1 if here or scheduler else workers, started, given)
            pending = pending_groups(out, plan["groups"])
            sent = dataclasses.replace(config, task=without_rows(config.task, config.shape[0]))
            work = partial(finish_group, sent, out, compiled, device, checkpoint_steps)
            with reporting(config, pending, progress) as report:
                if here:
                    for seeds in pending:
                        work(seeds=seeds, report=report)
                else:
                    distribute(work, pending, report, scheduler, workers)
            return collect(config, out, plan)
    except OSError as error:
        raise RunError(f"{files.told(error)}; {GOES_ON}") from error


def finished(config: TrainConfig, out: Path) -> Run | None:
    """The finished run of this configuration in ``out``, None if none is there yet, RunError if something else is."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder")
    settings = out / "config.json"
    if not settings.exists():
        return None
    found, values = runs.read_config(settings).to_dict(), config.to_dict()
    changed = [key for key, value in values.items() if key != "task" and found[key] != value]
    if not same_task(found["task"], values["task"]) or found["task"]["name"] != values["task"]["name"]:
        changed.append("task")
    if changed:
        raise RunError(f"{out} was started with another {', '.join(changed)}; choose a new folder or remove it")
    if not (out / "manifest.json").exists():
        return None
    shutil.rmtree(out / "parts", ignore_errors=True)  # left by a kill during the clean-up
    return load_run(out, task=config.task)


def from_start(config: TrainConfig) -> tuple[TrainConfig, dict[str, Tensor]]:
    """The hyperhypernetworks that a training starts from, and the configuration with their digest; else RunError."""
    if not config.start:
        return dataclasses.replace(config, start_sha256=""), {}
    try:
        run = load_run(config.start)
    except (OSError, RunError) as error:
        raise RunError(f"start is {config.start!r}: {error}") from None
    found, expected = (parameter_shapes(Hypernetwork(c.shape, c.architecture))["map"] for c in (run.config, config))
    if found != expected:
        raise RunError(f"{config.start} cannot start this run: its map has shape {found}; expected {expected}")
    models = {seed: run.model(seed) for seed in config.seeds if seed in run.modelled}
    if not models:
        raise RunError(f"{config.start} cannot start this run: it has models of {run.modelled}, not of {config.seeds}")
    packed = dict(sorted(pack_parameters(models).items()))
    return dataclasses.replace(config, start_sha256=digest(packed)), packed


def from_given(config: TrainConfig, given: Network | None) -> tuple[TrainConfig, Network | None]:
    """The given networks, one per seed, and the configuration with their digest; else TypeError or ValueError."""
    if given is None:
        if config.faithful:
            raise ValueError("faithful is True, but no network is given; expected given=net")
        return dataclasses.replace(config, given_sha256=""), None
    check_network(given)
    if not config.needs_given:
        raise ValueError("a network is given, but match_steps is 0 and faithful is False; nothing would use it")
    kind, expected = ((one.shape, one.activation) for one in (given, config))
    expect(kind == expected, "(shape, activation) of given", kind, f"the configuration's, {expected}")
    seeds = (len(config.seeds),)
    if given.batch_shape not in ((), seeds):
        raise ValueError(f"given has batch axes {tuple(given.batch_shape)}; expected none, or {seeds}: one per seed")
    given = given.map(lambda t: t.detach().cpu())
    given = given if given.batch_shape else given.map(lambda t: t.expand(*seeds, *t.shape).contiguous())
    return dataclasses.replace(config, given_sha256=digest(dict(sorted(pack_given(given).items())))), given


def prepare(
    config: TrainConfig, out: Path, size: int, workers: int, started: Mapping[str, Tensor], given: Network | None
) -> dict:
    """Make ``out`` the folder of this training, else RunError, and say which ``groups`` of seeds it trains."""
    files.remove_leftovers(out)
    if not (out / "config.json").exists():
        if any(path.name != files.LOCK for path in out.iterdir()):
            raise RunError(f"{out} is not empty and is not a run folder; choose a new folder")
        files.write_json(out / "config.json", config.to_dict())
    path = out / "parts" / "groups.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        if started:
            write_tensors(path.with_name(START), started)
        if given is not None:
            write_tensors(out / GIVEN, pack_given(given))
        if config.task.table:
            write_tensors(path.with_name(ROWS), config.task.table.tensors)
        files.write_signed(path, {"groups": group_seeds(config.seeds, size, workers)})
    try:
        return files.read_signed(path)
    except RunError as error:
        raise RunError(f"{error}; remove {path.parent} to train all seeds again") from None


@contextlib.contextmanager
def reporting(config: TrainConfig, pending: Sequence[Sequence[int]], progress: bool) -> Iterator[Report]:
    """A function that takes the seeds and the step of a group, and shows a progress bar in a terminal."""
    total = config.steps * len(config.seeds)
    reached = {seed: config.steps for seed in config.seeds} | {seed: 0 for group in pending for seed in group}
    with tqdm(total=total, unit="step", disable=None if progress else True, smoothing=0.05) as bar:

        def report(seeds: Sequence[int], step: int) -> None:
            reached.update(dict.fromkeys(seeds, step))
            bar.n = max(bar.n, sum(reached.values()))
            bar.refresh()

        yield report
