"""Run folders: what a training leaves on disk, written atomically and verified when read.

A finished run folder holds

* ``config.json``: the `TrainConfig`;
* ``sweep.parquet``: one row per seed, step and beta (`hyperlib.sweeps`);
* ``curves.parquet``: the objective, loss and KL along training, averaged over intervals of steps;
* ``hyperhypernetworks.safetensors``: the final parameters of every seed, in half precision;
* ``networks.safetensors``: the networks generated at the last step, one per seed and beta, in single precision;
* ``given.safetensors``, where the memory was matched to given networks: those, one per seed;
* ``snapshots.safetensors``, in some folders: parameters of some seeds at earlier steps, in half precision, under
  ``<seed>.<step>.<name>``;
* ``manifest.json``: format, SHA-256 of the files above, failed seeds, versions, hardware, wall time, command.

To save space (``scripts/keep.py``), hyperhypernetworks of some seeds can be left out, and of others the part that gives
learned vectors: ``shared_map`` then stands for ``map``. Networks can be in half and tables in single precision; where
networks of some betas only are kept, ``betas`` holds these, in double precision.

Nothing in a folder is executed when it is loaded: tensors are safetensors, tables Parquet, the rest JSON.
"""

import contextlib
import hashlib
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from . import files, machine
from .algorithms.order_parameters import phase
from .checks import check_type
from .config import TrainConfig
from .files import MANIFEST, RunError, digest, read_table, read_tensors
from .hyperhypernetwork import ParetoHypernetwork, parameter_shapes
from .hypernetwork import Hypernetwork
from .network import Network
from .task import Task

FORMAT = 1
SWEEP, CURVES = "sweep.parquet", "curves.parquet"
MODELS, NETWORKS = "hyperhypernetworks.safetensors", "networks.safetensors"
FILES = ("config.json", SWEEP, CURVES, MODELS, NETWORKS)
SWEEP_COLUMNS = {"seed", "step", "beta", "loss", "loss_without_encoder", "kl", "alpha_1", "alpha_2", "alpha_3"}
FINITE = {"loss", "kl", "alpha_2", "beta"}  # what a seed that finished has as finite numbers, none below 0
CURVE_COLUMNS = {"seed", "step", "objective", "loss", "kl"}
SNAPSHOTS = "snapshots.safetensors"
GIVEN = "given.safetensors"
SHARED_MAP = "shared_map"  # the columns of ``map`` that give the hyperweights of every shape
KEPT = "betas"  # those of the stored networks, where they are not all of the sweep's


def write_manifest(folder: Path, wall_s: float, failed: Mapping[int, Mapping], groups: Sequence[Sequence[int]]) -> None:
    """Write the manifest, last: a folder without one is not a finished run.

    ``wall_s`` counts all workers and restarts; ``groups`` are the seeds that were trained side by side.
    """
    files.write_signed(
        folder / MANIFEST,
        {
            "format": FORMAT,
            "command": machine.command(),
            "wall_s": round(wall_s, 1),
            "groups": [list(group) for group in groups],
            "failed": {str(seed): dict(reason) for seed, reason in failed.items()},
            "hardware": machine.hardware(),
            "versions": machine.versions(),
            "files": files.checksums(folder, [*FILES, *(name for name in [GIVEN] if (folder / name).exists())]),
        },
    )


def find_folder(path: str | os.PathLike) -> Path:
    """The folder at ``path``; a relative one is looked for from the working directory upwards, or FileNotFoundError."""
    check_type("path", path, (str, os.PathLike), "the path of a run folder")
    asked = Path(path)
    places = [asked] if asked.is_absolute() else [folder / asked for folder in (Path.cwd(), *Path.cwd().parents)]
    for place in places:
        if place.is_dir():
            return place
    missing = f"no run folder at {str(path)!r} in {Path.cwd()} or above"
    released = "the released runs in results/ come with a checkout of the project, not with the installed package"
    raise FileNotFoundError(f"{missing}; make one with: python -m hyperlib train --out {path} ({released})")


@dataclass
class Run:
    """A finished training. Tables and tensors are read when they are first used.

    Attributes:
        path: the run folder.
        config, manifest: what it was trained with, and the contents of ``manifest.json``.
        seeds: seeds that finished; the others are in `failed`.

    Example:
        >>> import hyperlib as hl
        >>> run = hl.load_run("results/l1")
        >>> run.config.shape, run.config.task.name
        ((16, 48, 1), 'l1')
        >>> run.networks(seed=1007).batch_shape  # one per beta of the sweep, at the last step
        torch.Size([30])
    """

    path: Path
    config: TrainConfig
    manifest: dict = field(repr=False)
    seeds: list[int] = field(repr=False)

    @property
    def task(self) -> Task:
        """The task that the run was trained on; RunError, which says what to do, if this process does not know it."""
        try:
            self.config.task.check_known()
        except ValueError as error:
            raise RunError(f"{self.path}: {error}") from None
        return self.config.task

    @property
    def failed(self) -> dict[int, dict]:
        """Seed -> step and reason, for seeds that diverged."""
        return {int(seed): reason for seed, reason in self.manifest["failed"].items()}

    @property
    def short_hash(self) -> str:
        """First 8 characters of a SHA-256 over the checksums of all files: names this very run."""
        sums = "".join(entry["sha256"] for _, entry in sorted(self.manifest["files"].items()))
        return hashlib.sha256(sums.encode()).hexdigest()[:8]

    @property
    def source(self) -> str:
        """Name and version of the run, which stand under figures made from it."""
        return f"run {self.path.name}, version {self.short_hash}"

    @cached_property
    def sweep(self) -> pd.DataFrame:
        """One row per finished seed, step and beta, as `hyperlib.sweeps` says; the phase is by today's boundaries."""
        table = self._living(SWEEP, SWEEP_COLUMNS, ["seed", "step", "beta"])
        table["phase"] = phase(table["alpha_1"].to_numpy(), table["alpha_2"].to_numpy())
        return table

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Means over intervals of training: seed, step (the interval's end), objective, loss, kl; of finished seeds."""
        return self._living(CURVES, CURVE_COLUMNS, ["seed", "step"])

    def _living(self, name: str, columns: set[str], keys: list[str]) -> pd.DataFrame:
        """The rows of the seeds that finished, in double precision: one for every combination of the keys' values."""
        path, table = self.path / name, read_table(self.path / name, columns)
        if odd := sorted(column for column in columns if table[column].dtype.kind not in "iuf"):
            raise RunError(f"{path}: {odd[0]} is {table[odd[0]].dtype}; expected numbers")
        table = table.astype(dict.fromkeys(table.columns[table.dtypes == "float32"], "float64"))
        table = table[table["seed"].isin(self.seeds)].reset_index(drop=True)
        for column in sorted(FINITE & columns):
            if len(wrong := table[~(np.isfinite(table[column]) & (table[column] >= 0))]):
                seed, value = wrong.iloc[0][["seed", column]]
                raise RunError(f"{path}: {column} is {value} for seed {seed:.0f}; expected finite numbers, 0 or more")
        sizes, others = [table[key].nunique() for key in keys], " and ".join(keys[1:])
        if sizes[0] != len(self.seeds) or len(table) != math.prod(sizes) or table.duplicated(keys).any():
            found = f"{len(table)} rows of {sizes[0]} seeds"
            raise RunError(f"{path} has {found}; expected each of {len(self.seeds)} seeds once at every {others}")
        first, last = table["step"].min(), table["step"].max()
        if first < 1 or last != self.config.steps:
            raise RunError(f"{path} has steps from {first} to {last}; expected 1 or more, and {self.config.steps} last")
        table.attrs["source"] = self.source
        return table

    @property
    def steps(self) -> list[int]:
        """Training steps at which the networks were measured."""
        return sorted(int(step) for step in self.sweep["step"].unique())

    @property
    def betas(self) -> list[float]:
        """Values of beta of the sweep, ascending."""
        return sorted(float(beta) for beta in self.sweep["beta"].unique())

    @cached_property
    def network_betas(self) -> list[float]:
        """Values of beta whose networks the folder holds, ascending: all, unless some were left out to save space."""
        if KEPT not in self._names(NETWORKS):
            return self.betas
        with self._opened(NETWORKS) as file:
            kept = file.get_tensor(KEPT)
        found, betas = kept.flatten().tolist(), self.betas
        right = kept.dtype == torch.float64 and kept.ndim == 1 and found[:1] == betas[:1]
        if not right or found != sorted(set(found).intersection(betas)):
            what = f"{self.path / NETWORKS}: {KEPT} is {kept.dtype} {[*kept.shape]} {found[:5]}"
            raise RunError(f"{what}; expected torch.float64, one axis, values of the sweep's beta from {betas[:1]} up")
        return found

    @property
    def final(self) -> pd.DataFrame:
        """The rows of the sweep at the last step."""
        return self.sweep[self.sweep["step"] == self.config.steps].reset_index(drop=True)

    def check_seed(self, seed: int) -> int:
        """``seed`` itself, or KeyError if the run has no such seed, or it diverged."""
        if seed in self.failed:
            raise KeyError(f"seed {seed} failed at step {self.failed[seed]['step']}: {self.failed[seed]['reason']}")
        if seed not in self.seeds or isinstance(seed, bool):
            raise KeyError(f"run {self.path} has no seed {seed!r}; it has {self.seeds}")
        return seed

    @cached_property
    def modelled(self) -> list[int]:
        """Seeds whose hyperhypernetworks the folder holds: all, unless some were left out to save space."""
        held = {name.partition(".")[0] for name in self._names(MODELS)}
        return [seed for seed in self.seeds if str(seed) in held]

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        """A file of tensors, of which one reads what one wants; RunError if that cannot be read."""
        try:
            with safe_open(self.path / name, framework="pt") as file:
                yield file
        except (SafetensorError, OSError) as error:
            raise RunError(f"{self.path / name} is damaged: {error}") from None

    def _names(self, name: str) -> list[str]:
        """Names of the tensors in one file."""
        with self._opened(name) as file:
            return list(file.keys())

    def _tensors(self, name: str, prefix: str, shapes: Mapping[str, tuple[int, ...]], *dtypes: torch.dtype) -> dict:
        """The tensors of one file whose names have a prefix, checked, in single precision."""
        with self._opened(name) as file:
            held = set(file.keys())
            found = {key: file.get_tensor(f"{prefix}.{key}") for key in shapes if f"{prefix}.{key}" in held}
        for key, shape in shapes.items():
            if (tensor := found.get(key)) is None:
                what = "missing"
            elif tuple(tensor.shape) != shape or tensor.dtype not in dtypes:
                what = f"{tensor.dtype} {[*tensor.shape]}"
            elif not tensor.isfinite().all():
                what = "not finite"
            else:
                continue
            expected = f"finite {dtypes[0]} {[*shape]}"
            raise RunError(f"{self.path / name}: {prefix}.{key} is {what}; expected {expected}")
        return {key: tensor.float() for key, tensor in found.items()}

    def stored_steps(self, seed: int) -> list[int]:
        """Steps at which the folder holds the hyperhypernetwork of ``seed``, ascending; the last is the end."""
        self.check_seed(seed)
        held = self._names(SNAPSHOTS) if (self.path / SNAPSHOTS).is_file() else []
        earlier = {int(key.split(".")[1]) for key in held if key.startswith(f"{seed}.")}
        return sorted(earlier | {self.config.steps})

    def model(self, seed: int, step: int | None = None) -> ParetoHypernetwork:
        """The Pareto hypernetwork of ``seed``, trained to the end or as it was at an earlier ``step``.

        KeyError without such a seed or model (see `modelled`, `stored_steps`), RunError if it is damaged.
        """
        if self.check_seed(seed) not in self.modelled:
            raise KeyError(f"run {self.path} keeps no hyperhypernetwork of seed {seed}, only of {self.modelled}")
        file, prefix = MODELS, f"{seed}"
        if step is not None and step != self.config.steps:
            if step not in (steps := self.stored_steps(seed)):
                raise KeyError(f"run {self.path} has no model of seed {seed} at step {step!r}, only at {steps}")
            file, prefix = SNAPSHOTS, f"{seed}.{step}"
        hypernetwork = Hypernetwork(self.config.shape, self.config.architecture)
        shapes = parameter_shapes(hypernetwork)
        if shared := f"{prefix}.{SHARED_MAP}" in self._names(file):
            rows, _ = shapes.pop("map")
            shapes[SHARED_MAP] = rows, 2 * hypernetwork.count(hypernetwork.shared_sizes)
        parameters = self._tensors(file, prefix, shapes, torch.float16)
        if shared:  # learned vectors come last in both halves; without them they are zero
            learned = hypernetwork.count(hypernetwork.sizes) - hypernetwork.count(hypernetwork.shared_sizes)
            halves = parameters.pop(SHARED_MAP).chunk(2, dim=1)
            parameters["map"] = torch.cat([torch.nn.functional.pad(half, (0, learned)) for half in halves], dim=1)
        config = self.config
        return ParetoHypernetwork(parameters, config.shape, config.architecture, config.activation, config.encoder)

    @cached_property
    def given(self) -> Network | None:
        """The networks to which the memory was matched, one per seed of the configuration, or None."""
        if not self.config.given_sha256:
            return None
        return unpack_given(read_tensors(self.path / GIVEN), self.config, self.path / GIVEN)

    def networks(self, seed: int) -> Network:
        """The networks measured at the last step, batch axis: `network_betas`, all betas of the sweep as a rule.

        KeyError if there is no such seed, RunError if a tensor is not what this configuration and this sweep have.
        """
        self.check_seed(seed)
        betas, layers = (len(self.network_betas),), list(enumerate(itertools.pairwise(self.config.shape)))
        shapes: dict[str, tuple[int, ...]] = {f"weight{layer}": (*betas, n, m) for layer, (n, m) in layers}
        shapes |= {f"bias{layer}": (*betas, m) for layer, (_, m) in layers} | {"kl": betas}
        found = self._tensors(NETWORKS, str(seed), shapes, torch.float32, torch.float16)
        return Network.of_named(found, found["kl"], self.config.activation)


def load_run(path: str | os.PathLike, verify: bool = True, task: Task | None = None) -> Run:
    """Open a finished run folder.

    Args:
        path: the folder; a relative path is looked for from the working directory upwards.
        verify: compare every file with its SHA-256 in the manifest.
        task: the task of the run, if it is not one of the book's; without it all can be done that needs no examples.

    FileNotFoundError if there is no such folder, RunError if it is no run, unfinished, of another format, or damaged.

    Example:
        >>> import hyperlib as hl
        >>> run = hl.load_run("results/l1")
        >>> len(run.sweep) == len(run.seeds) * len(run.steps) * len(run.betas)
        True
    """
    folder = find_folder(path)
    manifest = files.read_manifest(folder, FILES, verify)
    if manifest.get("format") != FORMAT:
        raise RunError(f"{folder} has run format {manifest.get('format')!r}; this version of hyperlib reads {FORMAT}")
    record = manifest.get("task")
    if record is not None and not isinstance(record, dict):
        raise RunError(f"{folder / MANIFEST}: task is {record!r}; expected what is known of it")
    config = read_config(folder / "config.json", task, record)
    failed = manifest.setdefault("failed", {})
    known = {str(seed) for seed in config.seeds}
    right = isinstance(failed, dict) and set(failed) <= known
    if not right or not all(isinstance(why, dict) and {"step", "reason"} <= set(why) for why in failed.values()):
        raise RunError(f"{folder / MANIFEST}: failed is {failed!r}; expected seed -> step and reason")
    return Run(folder, config, manifest, [seed for seed in config.seeds if str(seed) not in failed])


def read_config(path: Path, task: Task | None = None, record: Mapping | None = None) -> TrainConfig:
    """The configuration of a run folder, whose task need not be known, or RunError.

    ``record`` is what the manifest of a run of the first release records of the task, whose file has just its name.
    """
    values = files.read_json(path)
    if record is not None and isinstance(values.get("task"), str):
        values["task"] = record
    try:
        return TrainConfig.from_dict(values, task)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no configuration: {error}") from None


def pack_given(net: Network) -> dict[str, Tensor]:
    """Named tensors of given networks, whose batch axis is the seeds."""
    return {name: tensor.detach().float() for name, tensor in net.named().items()}


def unpack_given(tensors: Mapping[str, Tensor], config: TrainConfig, path: Path) -> Network:
    """The networks that `pack_given` has packed, or RunError if they are not those of the configuration."""
    if digest(dict(sorted(tensors.items()))) != config.given_sha256:
        raise RunError(f"{path} holds other networks than {path.parent / 'config.json'} says; expected the given ones")
    return Network.of_named(tensors, activation=config.activation)


def pack_parameters(models: Mapping[int, ParetoHypernetwork]) -> dict[str, Tensor]:
    """Named tensors of several seeds, in half precision."""
    return {f"{seed}.{name}": t.half() for seed, model in models.items() for name, t in model.parameters.items()}


def pack_networks(networks: Mapping[int, Network]) -> dict[str, Tensor]:
    """Named tensors of the networks of several seeds."""
    each = {seed: net.named() | {"kl": cast(Tensor, net.kl)} for seed, net in networks.items()}
    return {f"{seed}.{name}": tensor for seed, tensors in each.items() for name, tensor in tensors.items()}
