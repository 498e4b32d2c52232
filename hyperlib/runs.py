"""Run folders: what a training leaves on disk, written atomically and verified when read.

A finished run folder holds

* ``config.json``: the `TrainConfig`;
* ``sweep.parquet``: one row per seed, step and beta (`hyperlib.sweeps`);
* ``curves.parquet``: the objective, loss and KL along training, averaged over intervals of steps;
* ``hyperhypernetworks.safetensors``: the final parameters of every seed, in half precision;
* ``networks.safetensors``: the networks generated at the last step, one per seed and beta;
* ``snapshots.safetensors``, in some folders: parameters of some seeds at earlier steps, in half precision, under
  ``<seed>.<step>.<name>``;
* ``manifest.json``: format, SHA-256 of the files above, failed seeds, versions, hardware, wall time, command.

Nothing in a folder is executed when it is loaded: tensors are safetensors, tables Parquet, the rest JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import cast

import pandas as pd
import torch
from safetensors import safe_open
from torch import Tensor

from .algorithms.order_parameters import phase
from .config import TrainConfig
from .files import RunError, read_json, read_tensors, sha256, write_json, write_tensors
from .hyperhypernetwork import ParetoHypernetwork
from .network import Network
from .training import PARAMETERS

FORMAT = 1
FILES = ("config.json", "sweep.parquet", "curves.parquet", "hyperhypernetworks.safetensors", "networks.safetensors")
SNAPSHOTS = "snapshots.safetensors"
PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "distributed")


def hardware() -> dict[str, str | int]:
    """The machine that this process runs on, as far as it can be read without privileges."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    found: dict[str, str | int] = {"processor": model, "cores": os.cpu_count() or 1, "system": platform.system()}
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def write_manifest(
    folder: Path,
    wall_s: float,
    failed: Mapping[int, Mapping],
    groups: Sequence[Sequence[int]],
    command: str | None = None,
) -> None:
    """Write the manifest last: a folder without one is not a finished run.

    Args:
        wall_s: seconds of training and measuring, over all workers and restarts.
        failed: seed -> step and reason, for seeds that diverged.
        groups: the seeds that were trained side by side; a replay groups them alike.
        command: what was run; the command line of this process by default.
    """
    write_json(
        folder / "manifest.json",
        {
            "format": FORMAT,
            "command": command or " ".join(["python", "-m", "hyperlib", *sys.argv[1:]]),
            "wall_s": round(wall_s, 1),
            "groups": [list(group) for group in groups],
            "failed": {str(seed): dict(reason) for seed, reason in failed.items()},
            "hardware": hardware(),
            "versions": versions(),
            "files": {
                name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in FILES
            },
        },
    )


def find_folder(path: str | os.PathLike) -> Path:
    """The folder at ``path``; a relative one is looked for from the working directory upwards.

    Notebooks run in a folder of their own, so ``results/l1`` has to be found one level up.

    Raises:
        FileNotFoundError: there is none; the message says how to make one.
    """
    asked = Path(path)
    places = [asked] if asked.is_absolute() else [folder / asked for folder in (Path.cwd(), *Path.cwd().parents)]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"no run folder at {str(path)!r} in {Path.cwd()} or above; make one with: python -m hyperlib train --out {path}"
    )


@dataclass
class Run:
    """A finished training. Tables and tensors are read when they are first used.

    Attributes:
        path: the run folder.
        config: the configuration it was trained with.
        manifest: contents of ``manifest.json``.
        seeds: seeds that finished; the others are in `failed`.

    Example:
        >>> import hyperlib as hl
        >>> run = hl.load_run("results/l1")
        >>> run.config.shape, run.config.task
        ((16, 48, 1), 'l1')
        >>> run.networks(seed=0).batch_shape  # one per beta of the sweep, at the last step
        torch.Size([30])
    """

    path: Path
    config: TrainConfig
    manifest: dict = field(repr=False)
    seeds: list[int] = field(repr=False)

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
        """Name and version of the run, as it stands under figures made from it; also in its tables' ``attrs``."""
        return f"run {self.path.name}, version {self.short_hash}"

    @cached_property
    def sweep(self) -> pd.DataFrame:
        """One row per seed, step and beta; columns as described in `hyperlib.sweeps`.

        The phase follows from alpha_1 and alpha_2 by the boundaries of this version of the library.
        """
        table = pd.read_parquet(self.path / "sweep.parquet")
        table["phase"] = phase(table["alpha_1"].to_numpy(), table["alpha_2"].to_numpy())
        table.attrs["source"] = self.source
        return table

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Means over intervals of training steps: seed, step (end of the interval), objective, loss, kl."""
        table = pd.read_parquet(self.path / "curves.parquet")
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

    @property
    def final(self) -> pd.DataFrame:
        """The rows of the sweep at the last step."""
        return self.sweep[self.sweep["step"] == self.config.steps].reset_index(drop=True)

    def check_seed(self, seed: int) -> int:
        """``seed`` itself.

        Raises:
            KeyError: the run has no such seed, or it diverged.
        """
        if seed in self.failed:
            raise KeyError(f"seed {seed} failed at step {self.failed[seed]['step']}: {self.failed[seed]['reason']}")
        if seed not in self.seeds:
            raise KeyError(f"run {self.path} has no seed {seed!r}; it has {self.seeds}")
        return seed

    @cached_property
    def modelled(self) -> list[int]:
        """Seeds whose hyperhypernetworks the folder holds: all, unless `keep_models` has removed some."""
        with safe_open(self.path / "hyperhypernetworks.safetensors", framework="pt") as file:
            names = set(file.keys())
        return [seed for seed in self.seeds if f"{seed}.{PARAMETERS[0]}" in names]

    def stored_steps(self, seed: int) -> list[int]:
        """Steps at which the folder holds the hyperhypernetwork of ``seed``, ascending; the last is the end."""
        self.check_seed(seed)
        earlier: set[int] = set()
        if (file := self.path / SNAPSHOTS).is_file():
            with safe_open(file, framework="pt") as stored:
                earlier = {int(key.split(".")[1]) for key in stored.keys() if key.startswith(f"{seed}.")}  # noqa: SIM118
        return sorted(earlier | {self.config.steps})

    def model(self, seed: int, step: int | None = None) -> ParetoHypernetwork:
        """The Pareto hypernetwork of ``seed``, trained to the end or as it was at an earlier ``step``.

        Raises:
            KeyError: no such seed, or no model of it at that step; see `modelled` and `stored_steps`.
        """
        if self.check_seed(seed) not in self.modelled:
            raise KeyError(f"run {self.path} keeps no hyperhypernetwork of seed {seed}, only of {self.modelled}")
        file, prefix = "hyperhypernetworks.safetensors", f"{seed}"
        if step is not None and step != self.config.steps:
            if step not in (steps := self.stored_steps(seed)):
                raise KeyError(f"run {self.path} has no model of seed {seed} at step {step!r}, only at {steps}")
            file, prefix = SNAPSHOTS, f"{seed}.{step}"
        with safe_open(self.path / file, framework="pt") as stored:
            parameters = {name: stored.get_tensor(f"{prefix}.{name}").float() for name in PARAMETERS}
        return ParetoHypernetwork(parameters, self.config.shape, self.config.architecture)

    def networks(self, seed: int) -> Network:
        """The networks measured at the last step, batch axis: the betas of the sweep, ascending."""
        self.check_seed(seed)
        layers = range(len(self.config.shape) - 1)
        with safe_open(self.path / "networks.safetensors", framework="pt") as file:
            get = {kind: [file.get_tensor(f"{seed}.{kind}{layer}") for layer in layers] for kind in ("weight", "bias")}
            return Network(get["weight"], get["bias"], file.get_tensor(f"{seed}.kl"))


def load_run(path: str | os.PathLike, verify: bool = True) -> Run:
    """Open a finished run folder.

    Args:
        path: the folder; a relative path is looked for from the working directory upwards.
        verify: compare every file with its SHA-256 in the manifest.

    Raises:
        FileNotFoundError: no such folder.
        RunError: not a run folder, unfinished, of another format version, or a file is missing or damaged.

    Example:
        >>> import hyperlib as hl
        >>> run = hl.load_run("results/l1")
        >>> len(run.sweep) == len(run.seeds) * len(run.steps) * len(run.betas)
        True
        >>> hl.load_run("tests")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        hyperlib.files.RunError: ...manifest.json is missing; expected a finished run folder...
    """
    folder = find_folder(path)
    manifest = read_json(folder / "manifest.json")
    if manifest.get("format") != FORMAT:
        raise RunError(f"{folder} has run format {manifest.get('format')!r}; this version of hyperlib reads {FORMAT}")
    for name in FILES:
        entry, file = manifest.get("files", {}).get(name), folder / name
        if entry is None:
            raise RunError(f"{folder / 'manifest.json'} does not list {name}; expected one entry for each of {FILES}")
        if not file.is_file():
            raise RunError(f"{file} is missing; the manifest lists it")
        if verify and sha256(file) != entry["sha256"]:
            raise RunError(f"{file} is damaged: its SHA-256 differs from the one in manifest.json")
    config = TrainConfig.from_dict(read_json(folder / "config.json"))
    failed = {int(seed) for seed in manifest.get("failed", {})}
    return Run(folder, config, manifest, [seed for seed in config.seeds if seed not in failed])


def keep_models(path: str | os.PathLike[str], seeds: Sequence[int]) -> Run:
    """Remove the hyperhypernetworks of all but some seeds from a finished run folder, to save space. Returns the run.

    Tables and measured networks of all seeds stay.

    Raises:
        KeyError: the run has no such seed, or its hyperhypernetwork is gone already.
    """
    run = load_run(path)
    if missing := sorted(set(seeds) - set(run.modelled)):
        raise KeyError(f"run {run.path} keeps no hyperhypernetworks of {missing}, only of {run.modelled}")
    file = run.path / "hyperhypernetworks.safetensors"
    kept = {name: tensor for name, tensor in read_tensors(file).items() if int(name.split(".")[0]) in seeds}
    write_tensors(file, kept)
    entry = {"sha256": sha256(file), "bytes": file.stat().st_size}
    write_json(run.path / "manifest.json", run.manifest | {"files": run.manifest["files"] | {file.name: entry}})
    return load_run(run.path)


def pack_parameters(models: Mapping[int, ParetoHypernetwork]) -> dict[str, Tensor]:
    """Named tensors of several seeds, in half precision."""
    return {f"{seed}.{name}": t.half() for seed, model in models.items() for name, t in model.parameters.items()}


def pack_networks(networks: Mapping[int, Network]) -> Iterator[tuple[str, Tensor]]:
    """Named tensors of the networks of several seeds."""
    for seed, net in networks.items():
        for layer, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            yield f"{seed}.weight{layer}", weight
            yield f"{seed}.bias{layer}", bias
        yield f"{seed}.kl", cast(Tensor, net.kl)
