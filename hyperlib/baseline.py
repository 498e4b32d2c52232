"""The baseline: the target network trained directly with Adam, and how it works (section 2.5)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from . import files
from .checks import FLOAT, check_seeds, check_whole, expect
from .files import MANIFEST, RunError
from .network import Network, check_shape, forward
from .problems import get_task
from .task import Task

NETWORKS, CURVES = "networks.safetensors", "curves.parquet"
INTERVAL = 100  # steps over which the curve averages


def train_adam(
    shape: Sequence[int] = (16, 48, 1),
    task: Task | str = "l1",
    steps: int = 5000,
    seeds: Sequence[int] = (0, 1, 2, 3),
    batch: int = 256,
    learning_rate: float = 1e-2,
    activation: str = "swish",
    penalty: Callable[[Sequence[Tensor]], Tensor] | None = None,
) -> tuple[Network, pd.DataFrame]:
    """Train target networks directly, all seeds at once, with Adam and a cosine decay of the learning rate to 0.

    Weights and biases start as in ``torch.nn.Linear``, uniform in +-1/sqrt(n_l). Seeds share nothing: the sum of their
    losses is minimised, and every seed draws ``batch`` fresh inputs per step from its own stream. A ``penalty`` is
    added to the losses: a function of the weight matrices ``(seeds, n_l, n_{l+1})`` to ``(seeds,)``.

    Returns:
        The networks, with the seeds as batch axis, and a table ``seed, step, loss``: the normalised MSE on fresh
        inputs, averaged over the `INTERVAL` steps that end at ``step``, or a 400th of all if that is more.
    """
    shape, goal = check_shape(shape), get_task(task)
    goal.check_shape(shape)
    examples, errors, draws = goal.examples(shape[0]), goal.errors(shape[0]), goal.draws(shape[0])
    steps, batch = check_whole("steps", steps, least=1), check_whole("batch", batch, least=1)
    expect(len(seeds) > 0, "seeds", seeds, "at least one")
    expect(0 < learning_rate < math.inf, "learning_rate", learning_rate, "a positive finite number")
    streams = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def uniform(*size: int, bound: float) -> Tensor:
        return torch.stack([bound * (2 * torch.rand(size, generator=g, **FLOAT) - 1) for g in streams]).requires_grad_()

    layers = list(pairwise(shape))
    weights = [uniform(n, m, bound=1 / math.sqrt(n)) for n, m in layers]
    biases = [uniform(m, bound=1 / math.sqrt(n)) for n, m in layers]
    optimiser = torch.optim.Adam([*weights, *biases], lr=learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    total, since, rows, interval = torch.zeros(len(seeds), **FLOAT), 0, [], max(INTERVAL, steps // 400)
    for step in range(1, steps + 1):
        x, y = examples(torch.stack([torch.randn(batch, draws, generator=g, **FLOAT) for g in streams]))
        loss = errors(forward(weights, biases, x, activation), y).mean(-1)
        optimiser.zero_grad()
        (loss if penalty is None else loss + penalty(weights)).sum().backward()
        optimiser.step()
        decay.step()
        total, since = total + loss.detach(), since + 1
        if step % interval == 0 or step == steps:
            rows += [(int(seed), step, value) for seed, value in zip(seeds, (total / since).tolist(), strict=True)]
            total, since = torch.zeros(len(seeds), **FLOAT), 0
    net = Network([w.detach() for w in weights], [b.detach() for b in biases], activation=activation)
    return net, pd.DataFrame(rows, columns=["seed", "step", "loss"])


@dataclass(frozen=True)
class Baseline:
    """Networks trained with Adam alone, as a folder keeps them."""

    networks: Network  #: batch axis: the seeds
    curves: pd.DataFrame  #: table ``seed, step, loss`` of `train_adam`
    settings: dict  #: its arguments, and ``cpu_s``, what all seeds together took of one core

    @property
    def seeds(self) -> list[int]:
        """Seeds of the networks."""
        return self.settings["seeds"]


def make_baseline(
    out: str | os.PathLike, steps: int, seeds: Sequence[int], batch: int, learning_rate: float = 1e-2
) -> Baseline:
    """Train the baseline and leave it in a folder: ``networks.safetensors``, ``curves.parquet``, ``manifest.json``.

    A baseline of the same settings that ``out`` holds is returned as it is, another one is a RunError. For the settings
    see `train_adam`; a fair baseline has the hypernetworks' steps and batch.
    """
    folder = Path(out)
    settings = {"steps": steps, "seeds": list(seeds), "batch": batch, "learning_rate": learning_rate}
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder):
        if found := load_baseline(folder):
            for name, value in settings.items():
                if (was := found.settings[name]) != value:
                    raise RunError(f"{folder} has a baseline with {name} {was}, not {value}; choose a new folder")
            return found
        started = time.process_time()
        networks, curves = train_adam(steps=steps, seeds=seeds, batch=batch, learning_rate=learning_rate)
        settings["cpu_s"] = round(time.process_time() - started, 1)
        files.write_tensors(folder / NETWORKS, networks.named())
        files.write_table(folder / CURVES, curves)
        listed = files.checksums(folder, (NETWORKS, CURVES))
        files.write_signed(folder / MANIFEST, {"settings": settings, "files": listed})
    return Baseline(networks, curves, settings)


def load_baseline(folder: str | os.PathLike) -> Baseline | None:
    """The baseline that `make_baseline` left in a folder, None if there is none, RunError if it is damaged."""
    path = Path(folder)
    if not (path / MANIFEST).exists():
        return None
    settings: Any = files.read_manifest(path, (NETWORKS, CURVES)).get("settings")
    tensors, curves = files.read_tensors(path / NETWORKS), files.read_table(path / CURVES, {"seed", "step", "loss"})
    try:
        seeds = check_seeds(settings["seeds"])
        networks = Network.of_named(tensors)
        if networks.batch_shape != (len(seeds),) or {*curves["seed"]} != {*seeds} or not settings["cpu_s"] >= 0:
            raise ValueError(f"settings has seeds {seeds}; networks have batch axes {networks.batch_shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no baseline: {error}") from None
    return Baseline(networks, curves, settings)
