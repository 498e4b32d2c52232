"""How wrong a network can be: the largest error against the exact L1 norm for *all* inputs in a box.

A program whose neurons read one input each, beside the sum of all, is a sum of functions of one input once the sum is
fixed. So is the L1 norm, and so is their difference: its maximum over the box is a maximum of one-dimensional pieces.
What a network does beyond its program is bounded neuron by neuron with the mean value theorem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperlib.checks import as_generator
from hyperlib.decoding.activations import ACTIVATIONS, Activation
from hyperlib.decoding.program import Program
from hyperlib.network import Network
from hyperlib.problems import L1, l1_moments

SIDE = 3.0  # inputs between -SIDE and SIDE
POINTS = 1201  # of the grid over an input, an odd number so that 0 is one
COARSE = 601  # the same where there is a grid over sums, too
SUMS = 801  # of the grid over the sum of the inputs
STARTS = 64  # of a search, for either sign of the error
MULTIPLIERS = 41  # on the sum, up to twice the slope of the norm


@dataclass(frozen=True)
class Guarantee:
    """Errors against the normalised L1 norm for all inputs of the box, in standard deviations of the norm."""

    program: float  #: no input has a larger error of the program than this
    reached: float  #: largest error of the program that was found: at most `program`
    network: float  #: no input has a larger error of the network than this
    found: float  #: largest error of the network that gradient ascent found: at most `network`
    worst: Tensor  #: ``(n,)``, where the network's error was `found`


def guarantee(net: Network, program: Program) -> Guarantee:
    """Bounds on the largest error of a network and of its program against the L1 norm, and what a search finds.

    The network ``(n, m, 1)`` is meant to compute the normalised L1 norm; every neuron of its program has to read one
    input, beside the sum of all, or the sum, else ValueError.
    """
    if program.shape != net.shape or net.batch_shape or net.shape[-1] != 1:
        shapes = f"shape {net.shape} and batch axes {tuple(net.batch_shape)}, the program {program.shape}"
        raise ValueError(f"the network has {shapes}; expected a single network and its program, of one shape (n, m, 1)")
    for part in program.parts:
        if part.family or len(part.own) > 1 or any(at.shape[1] > 1 for _, at in part.own):
            what = f"a group of {len(part.neurons)} neurons reads {part.reads}"
            raise ValueError(f"{what}; expected a program whose neurons each read one input, or the sum of all")
    own = program.network().map(lambda t: t.detach().double().cpu())
    exact = net.map(lambda t: t.detach().double().cpu())
    pieces, level = _Pieces.of(program), np.zeros(net.shape[0])
    largest = max(pieces.bound(sign, level) for sign in (+1, -1))

    # the network with each neuron reading what its group reads, with its own numbers
    W, v = exact.weights[0].numpy(), exact.weights[1].numpy()[:, 0]
    rows, away = [], np.zeros_like(W)
    reads: dict[int, int | None] = {j: int(np.abs(W[:, j]).argmax()) for j in range(net.shape[1])}
    summing = set()
    for part in program.parts:
        reads |= {j: int(part.own[0][1][k, 0]) if part.own else None for k, j in enumerate(part.neurons)}
        summing |= set(part.neurons) if part.levels[part.background] else set()
    for j, i in reads.items():
        others = np.delete(W[:, j], [] if i is None else [i])
        c = float(np.median(others)) if j in summing and len(others) else 0.0
        kept = np.full(len(W), c)
        if i is not None:
            kept[i] = W[i, j]
        away[:, j] = W[:, j] - kept  # what the mean value theorem has to bound
        rows.append(_Neuron(i, c if i is None else float(W[i, j]), c, float(exact.biases[0][j]), float(v[j])))
    low, high = ACTIVATIONS[net.activation].slopes
    middle, radius = (low + high) / 2, (high - low) / 2
    rest = radius * SIDE * float(np.abs(away).sum(0) @ np.abs(v))
    own_pieces = _Pieces(ACTIVATIONS[net.activation], rows, float(exact.biases[1][0]), len(W))
    bounds = [own_pieces.bound(sign, away @ v * middle) + rest for sign in (+1, -1)]
    g = as_generator(0)
    found, worst = search(exact, g)
    return Guarantee(largest, search(own, g)[0], max(bounds), found, worst)


@dataclass(frozen=True)
class _Neuron:
    """Output weight v times f(a x_i + c (sum of all others) + b); with i None, f(c (sum of all) + b)."""

    i: int | None
    a: float
    c: float
    b: float
    v: float


@dataclass(frozen=True)
class _Pieces:
    """A sum of such neurons less the normalised L1 norm: functions of one input each, for a given sum."""

    activation: Activation
    neurons: list[_Neuron]
    bias: float
    n: int

    @classmethod
    def of(cls, program: Program) -> _Pieces:
        rows = []
        for part in program.parts:
            c = part.levels[part.background]
            for k in range(len(part.neurons)):
                i = int(part.own[0][1][k, 0]) if part.own else None
                rows.append(_Neuron(i, part.own[0][0] if part.own else c, c, part.bias, float(part.output[0])))
        return cls(ACTIVATIONS[program.net.activation], rows, float(program.bias[0]), program.shape[0])

    def bound(self, sign: int, linear: np.ndarray) -> float:
        """No x of the box has sign * (neurons(x) - L1(x) + linear @ x) above this.

        For a fixed sum s of the inputs, the pieces' maxima with a multiplier on sum_i x_i = s bound the maximum from
        above, whatever the multiplier. Between grid points, the distance from a chord bounds what is missed,
        between two sums the slope.
        """
        mean, std = l1_moments(self.n)
        act = self.activation.pair
        coupled = any(neuron.c for neuron in self.neurons)
        x = np.linspace(-SIDE, SIDE, COARSE if coupled else POINTS)
        sums = np.linspace(-self.n * SIDE, self.n * SIDE, SUMS) if coupled else np.zeros(1)
        step, width = x[1] - x[0], sums[1] - sums[0] if coupled else 0.0
        total = np.full(len(sums), sign * (self.bias + mean / std))
        own: list[list[_Neuron]] = [[] for _ in range(self.n)]
        for neuron in self.neurons:
            if neuron.i is None:
                total += sign * neuron.v * act(neuron.c * sums + neuron.b)[0]
            else:
                own[neuron.i].append(neuron)
        kinds: dict[tuple, int] = {}
        for i, neurons in enumerate(own):
            kind = (tuple(sorted((q.a, q.c, q.b, q.v) for q in neurons)), float(linear[i]))
            kinds[kind] = kinds.get(kind, 0) + 1
        steepest, pieces = max(map(abs, self.activation.slopes)), []
        missed = sum(abs(q.v * q.c) for q in self.neurons) * steepest * width / 2
        for (neurons, tilt), count in kinds.items():
            piece = np.tile(sign * (tilt * x - np.abs(x) / std), (len(sums), 1))
            for a, c, b, v in neurons:
                piece += sign * v * act((a - c) * x + c * sums[:, None] + b)[0]
                missed += count * abs(v) * float(self.activation.missed((a - c) * step))
            pieces.append((count, piece))
        multipliers = np.linspace(-1, 1, MULTIPLIERS) * 2 / std if coupled else np.zeros(1)
        best = np.full(len(sums), np.inf)
        for multiplier in multipliers:
            value = sum(count * (piece + multiplier * x).max(1) for count, piece in pieces) - multiplier * sums
            best = np.minimum(best, value)
        return float((total + best).max() + missed)


def search(net: Network, generator: torch.Generator | int = 0) -> tuple[float, Tensor]:
    """Largest |network - L1 norm| of a network ``(n, m, 1)`` that a search in the box finds, and where.

    From points whose inputs are zero, negative or positive with different chances, one input after the other goes to
    the best of a grid; gradient ascent then moves all. The generator draws where it starts.
    """
    g, n = as_generator(generator), net.shape[0]
    kind: dict[str, Any] = {"dtype": net.weights[0].dtype, "device": "cpu"}
    grid = torch.linspace(-SIDE, SIDE, 61, **kind)
    positive = torch.rand(STARTS, n, generator=g, **kind) < torch.linspace(0, 1, STARTS, **kind)[:, None]
    corners = torch.where(positive, SIDE, -SIDE).to(grid)
    x = corners * torch.rand(STARTS, n, generator=g, **kind).round()
    x[::2] = corners[::2]
    x, sign = torch.cat([x, x]), torch.ones(2 * STARTS, 1, **kind)
    sign[STARTS:] = -1

    def error(at: Tensor) -> Tensor:
        return (net(at) - L1.targets(at))[..., 0]

    for _ in range(4):
        for i in torch.randperm(n, generator=g).tolist():
            tried = x[:, None].repeat(1, len(grid), 1)
            tried[:, :, i] = grid
            value = sign * error(tried.flatten(0, 1)).reshape(len(x), -1)
            x[:, i] = grid[value.argmax(1)]
    best, where = -math.inf, x[0]
    for step in range(100):
        x.requires_grad_()
        value = error(x)
        (gradient,) = torch.autograd.grad((sign[:, 0] * value).sum(), x)
        x, value = x.detach(), value.detach().abs()
        if float(value.max()) > best:
            best, where = float(value.max()), x[int(value.argmax())].clone()
        x = (x + SIDE * 0.02 * 0.95**step * gradient.sign()).clamp(-SIDE, SIDE)
    return best, where
