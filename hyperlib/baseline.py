"""The baseline: the target network trained directly with Adam, and how it works (section 2.5)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from .checks import DOUBLE, FLOAT, as_generator, check_seeds
from .files import (
    MANIFEST,
    RunError,
    checksums,
    locked,
    read_manifest,
    read_table,
    read_tensors,
    write_signed,
    write_table,
    write_tensors,
)
from .network import Network, check_shape, forward
from .problems import get_task, l1_moments
from .task import Task

NETWORKS, CURVES = "networks.safetensors", "curves.parquet"
INTERVAL = 100  # steps over which the curve averages
ASSIGNED = 0.5  # share of a hidden neuron's squared weights on one input above which it is assigned to it


def train_adam(
    shape: Sequence[int] = (16, 48, 1),
    task: Task | str = "l1",
    steps: int = 5000,
    seeds: Sequence[int] = (0, 1, 2, 3),
    batch: int = 256,
    learning_rate: float = 1e-2,
    activation: str = "swish",
) -> tuple[Network, pd.DataFrame]:
    """Train target networks directly, all seeds at once, with Adam and a cosine decay of the learning rate to 0.

    Weights and biases start as in ``torch.nn.Linear``, uniform in +-1/sqrt(n_l). Seeds share nothing: the sum of
    their losses is minimised elementwise, and every seed draws from its own stream.

    Args:
        shape: layer sizes.
        task: a `Task`, or the name of one of the book's.
        steps: optimisation steps, each on fresh inputs.
        seeds: one network each.
        batch: inputs per step and seed.
        learning_rate: at the start.
        activation: between the layers.

    Returns:
        The networks, with the seeds as batch axis, and a table ``seed, step, loss``: the normalised MSE on fresh
        inputs, averaged over the `INTERVAL` steps that end at ``step``, or a 400th of all if that is more.

    Raises:
        ValueError: an argument out of range, or an unknown task.
    """
    shape, goal = check_shape(shape), get_task(task)
    if shape[-1] != goal.outputs:
        raise ValueError(f"shape is {shape}; task {goal.name!r} has {goal.outputs} output(s)")
    examples, errors, draws = goal.examples(shape[0]), goal.errors(shape[0]), goal.draws(shape[0])
    if steps < 1 or batch < 1 or not seeds or not 0 < learning_rate < math.inf:
        raise ValueError(
            f"steps is {steps}, batch is {batch}, seeds is {seeds}, learning_rate is {learning_rate}; "
            "expected at least one step, input and seed, and a positive rate"
        )
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
        loss.sum().backward()
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
    """Networks trained with Adam alone, as a folder keeps them.

    Attributes:
        networks: batch axis: the seeds.
        curves: table ``seed, step, loss`` of `train_adam`.
        settings: its arguments, and ``cpu_s``, what all seeds together took of one core.
    """

    networks: Network
    curves: pd.DataFrame
    settings: dict

    @property
    def seeds(self) -> list[int]:
        """Seeds of the networks."""
        return self.settings["seeds"]

    def without(self, seed: int) -> Baseline:
        """The baseline without one of its seeds."""
        rows = [row for row, one in enumerate(self.seeds) if one != seed]
        cost = self.settings["cpu_s"] * len(rows) / len(self.seeds)
        settings = self.settings | {"seeds": [self.seeds[row] for row in rows], "cpu_s": cost}
        return Baseline(self.networks.map(lambda t: t[rows]), self.curves[self.curves["seed"] != seed], settings)


def make_baseline(
    out: str | os.PathLike, steps: int, seeds: Sequence[int], batch: int, learning_rate: float = 1e-2
) -> Baseline:
    """Train the baseline and leave it in a folder: ``networks.safetensors``, ``curves.parquet``, ``manifest.json``.

    Args:
        out: the folder; made if it is not there. A baseline of the same settings that it holds is returned as it is.
        steps, seeds, batch, learning_rate: as in `train_adam`; a fair baseline has the hypernetworks' steps and batch.

    Raises:
        RunError: ``out`` holds something else, or another process writes in it.
    """
    folder = Path(out)
    settings = {"steps": steps, "seeds": list(seeds), "batch": batch, "learning_rate": learning_rate}
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if found := load_baseline(folder):
            if changed := [name for name, value in settings.items() if found.settings[name] != value]:
                was, name = found.settings[changed[0]], changed[0]
                raise RunError(f"{folder} has a baseline with {name} {was}, not {settings[name]}; choose a new folder")
            return found
        started = time.process_time()
        networks, curves = train_adam(steps=steps, seeds=seeds, batch=batch, learning_rate=learning_rate)
        settings["cpu_s"] = round(time.process_time() - started, 1)
        tensors = {f"weight{layer}": weight for layer, weight in enumerate(networks.weights)}
        write_tensors(folder / NETWORKS, tensors | {f"bias{k}": b for k, b in enumerate(networks.biases)})
        write_table(folder / CURVES, curves)
        write_signed(folder / MANIFEST, {"settings": settings, "files": checksums(folder, (NETWORKS, CURVES))})
    return Baseline(networks, curves, settings)


def load_baseline(folder: str | os.PathLike) -> Baseline | None:
    """The baseline in a folder that `make_baseline` left, or None if there is none.

    Raises:
        RunError: it is damaged, or the folder is of another kind.
    """
    path = Path(folder)
    if not (path / MANIFEST).exists():
        return None
    settings: Any = read_manifest(path, (NETWORKS, CURVES)).get("settings")
    tensors, curves = read_tensors(path / NETWORKS), read_table(path / CURVES, {"seed", "step", "loss"})
    layers = range(len(tensors) // 2)
    try:
        seeds = check_seeds(settings["seeds"])
        networks = Network([tensors[f"weight{k}"] for k in layers], [tensors[f"bias{k}"] for k in layers])
        if networks.batch_shape != (len(seeds),) or {*curves["seed"]} != {*seeds} or not settings["cpu_s"] >= 0:
            raise ValueError(f"settings has seeds {seeds}; networks have batch axes {networks.batch_shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no baseline: {error}") from None
    return Baseline(networks, curves, settings)


@dataclass(frozen=True)
class KinkAnalysis:
    """How one network makes its kinks, for the hypothesis of section 2.5.

    The hypothesis holds where hidden neurons are either assigned or attached to all inputs, ``kink_own`` is near 1,
    and ``slope_shared`` cancels ``slope_own``, so that `correction` is near 1.

    Attributes:
        neurons: one row per hidden neuron: ``neuron``; ``input``, the one with the largest weight; ``share`` of its
            squared weights that lies on that input; ``assigned``, whether that is more than half; ``sign`` of that
            weight; ``strength``, its share of the network's squared effective weights W_ij v_j.
        inputs: one row per input: ``input``; ``positive`` and ``negative``, the numbers of neurons assigned to it by
            the sign of their weight; and what the neurons assigned to it (``own``), those assigned to other inputs
            (``other``) and those assigned to none (``shared``) contribute to the difference in slope between its
            positive and its negative side (``kink_own, kink_other, kink_shared``, in units of what |x_i| needs: they
            should add up to 1) and to its average slope (``slope_own, slope_other, slope_shared``, in units of the
            slope of |x_i|: they should add up to 0).
        correction: share of the squared average slopes made by own neurons that all others remove; 1 if they cancel
            them, negative if they add to them, NaN if no neuron is assigned.
    """

    neurons: pd.DataFrame
    inputs: pd.DataFrame
    correction: float


def kink_analysis(net: Network, samples: int = 8192, generator: torch.Generator | int = 0) -> KinkAnalysis:
    """Test the paper's hypothesis about Adam's network: kinks from assigned neurons, slopes corrected by shared ones.

    Neuron j adds v_j W_ij swish'(z_j) to the slope of the output along input i. Its mean over inputs is the average
    slope; its mean where x_i > 0 less its mean where x_i < 0 is the kink. Both are sums over neurons, so that every
    neuron's part is known. The target, the normalised L1 norm, has kink 2/std and average slope 0 along every input.

    Args:
        net: one network ``(n, m, 1)``, without batch axes.
        samples: normal inputs over which slopes are averaged.
        generator: draws them; a ``torch.Generator`` or an integer seed.

    Raises:
        ValueError: the network has batch axes or another depth, or there are fewer than 16 samples.
    """
    if net.batch_shape or len(net.shape) != 3 or net.shape[2] != 1:
        raise ValueError(
            f"the network has shape {net.shape} and batch axes {tuple(net.batch_shape)}; expected (n, m, 1) and none"
        )
    if samples < 16:
        raise ValueError(f"samples is {samples}; expected at least 16")
    W, b, v = (t.detach().double() for t in (net.weights[0], net.biases[0], net.weights[1][:, 0]))
    n = W.shape[0]
    x = torch.randn(samples, n, generator=as_generator(generator), **DOUBLE)
    z = x @ W + b
    gain = z.sigmoid() * (1 + z * (1 - z.sigmoid()))  # swish'
    side = (x > 0).double()
    rise = side.T @ gain / side.sum(0)[:, None] - (1 - side).T @ gain / (1 - side).sum(0)[:, None]
    _, std = l1_moments(n)
    parts = {"kink": W * v * rise * (std / 2), "slope": W * v * gain.mean(0) * std}  # each (n, m)

    squares = W.square()
    share = squares.amax(0) / squares.sum(0).clamp_min(torch.finfo(W.dtype).tiny)
    largest = squares.argmax(0)
    sign = W.gather(0, largest[None])[0].sign()
    assigned = share > ASSIGNED
    effective = (W * v).square().sum(0)
    owner = assigned & (largest == torch.arange(n, device=largest.device)[:, None])  # (n, m)
    groups = {"own": owner, "other": assigned & ~owner, "shared": ~assigned.expand(n, -1)}
    neurons = {"input": largest, "share": share, "assigned": assigned, "sign": sign.long()}
    neurons["strength"] = effective / effective.sum().clamp_min(torch.finfo(W.dtype).tiny)
    counts = {"positive": (owner & (sign > 0)).sum(1), "negative": (owner & (sign < 0)).sum(1)}
    sums = {f"{kind}_{name}": (part * group).sum(1) for kind, part in parts.items() for name, group in groups.items()}
    remaining = parts["slope"].sum(1).square().sum() / sums["slope_own"].square().sum()
    correction = float(1 - remaining) if assigned.any() else math.nan
    return KinkAnalysis(_frame("neuron", neurons), _frame("input", counts | sums), correction)


def _frame(index: str, columns: dict[str, Tensor]) -> pd.DataFrame:
    table = pd.DataFrame({name: tensor.cpu().numpy() for name, tensor in columns.items()})
    return table.rename_axis(index).reset_index()
