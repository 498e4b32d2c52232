"""From weights to a program: the fewest numbers that still do what a network with one hidden layer does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..checks import as_generator
from ..network import Network
from .description import PATIENCE, SAMPLES, STALE, TOLERANCE, Subject, constant_bits, search, simplified, subject_of
from .formula import formula
from .order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from .structure import HEAVY
from .tied import Tied, draw, swish

FRESH = 8192  # other inputs, on which a program is measured
STRAIGHT = 0.01  # bend, as a share of what is affine, up to which a program is linear
MIXED, SUM, LINEAR, OTHER = "pudding, mixed signs", "sum", "linear", "other"
LABELS = (CONVEXITY, PUDDING, MIXED, DOUBLE_SIDED, HEAVY, SUM, LINEAR, OTHER)


@dataclass(frozen=True, eq=False)
class Part:
    """A group of neurons as it stands in a program.

    Attributes:
        neurons: indices of its neurons in the network.
        levels: values of the levels of their weights; of a random group the mean and the spread.
        level: ``(n, neurons)`` the level of every weight, in the order of the network's inputs.
        bias: of each neuron.
        output: ``(K,)`` weights of each neuron to the outputs.
        family: distribution of a random group (`hyperlib.algorithms.tied.FAMILIES`), else None.
        tail: degrees of freedom of a heavy-tailed one.
    """

    neurons: tuple[int, ...]
    levels: tuple[float, ...]
    level: np.ndarray
    bias: float
    output: np.ndarray
    family: str | None = None
    tail: float = math.inf

    @cached_property
    def background(self) -> int:
        """The level of most inputs; among equals the weakest."""
        counts = np.bincount(self.level[:, 0], minlength=len(self.levels))
        return max(range(len(self.levels)), key=lambda k: (counts[k], -abs(self.levels[k])))

    @cached_property
    def own(self) -> list[tuple[float, np.ndarray]]:
        """Levels other than the background, strongest first: value, and ``(neurons, count)`` the inputs there."""
        found = []
        for k in sorted(set(range(len(self.levels))) - {self.background}, key=lambda k: -abs(self.levels[k])):
            found.append((self.levels[k], np.stack([np.flatnonzero(column == k) for column in self.level.T])))
        return found

    @property
    def reads(self) -> str:
        """``random``, ``sum``, ``few inputs``, ``many inputs``, or ``one input`` if it has most of the squared weights.

        Many are more than a quarter, counted as (sum w^2)^2 / sum w^4.
        """
        if self.family:
            return "random"
        if len(self.levels) == 1:
            return "sum" if len(self.level) > 1 else "one input"
        squares = np.array(self.levels)[self.level[:, 0]] ** 2
        if squares.max() > squares.sum() / 2:
            return "one input"
        return "many inputs" if squares.sum() ** 2 > len(squares) / 4 * (squares**2).sum() else "few inputs"

    @cached_property
    def strength(self) -> tuple[float, float]:
        """Standard deviations of what a neuron gives to the outputs: as affine function of its inputs, and beyond."""
        u, weight = np.polynomial.hermite_e.hermegauss(60)
        weight = weight / weight.sum()
        n = len(self.level)
        w = np.array(self.levels)[self.level[:, 0]] if not self.family else math.hypot(*self.levels) * np.ones(n)
        f, _ = swish(self.bias + np.linalg.norm(w) * u)
        slope, size = (weight * f * u).sum(), float(np.linalg.norm(self.output))
        rest = f - (weight * f).sum() - slope * u
        return abs(float(slope)) * size, float(np.sqrt((weight * rest**2).sum())) * size

    @property
    def bend(self) -> float:
        """The second of `strength`: what makes the outputs more than an affine function."""
        return self.strength[1]


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """What `decode` finds: a formula of few constants.

    Example:
        >>> import hyperlib as hl
        >>> program = hl.decode(hl.construct.pudding(n=8, hidden=24))
        >>> program.label, program.network().shape
        ('pudding', (8, 24, 1))
        >>> program.groups["reads"].tolist()
        ['one input', 'sum']

    Attributes:
        parts: the groups of neurons, the strongest first.
        bias: ``(K,)`` biases of the outputs.
        shape: of the network.
        numbers: how many different constants the formula holds; the same one in several places counts once.
        bits: description length: constants, their places, and which inputs each neuron reads.
        kept: share of the variance of the network's output that the program keeps, on fresh inputs; of a random
            program the mean over draws.
        digits: significant digits of the constants.
    """

    parts: tuple[Part, ...]
    bias: np.ndarray
    shape: tuple[int, ...]
    numbers: int
    bits: float
    kept: float
    digits: int
    dtype: torch.dtype
    order: np.ndarray  # the inputs in the order in which random weights are drawn

    @property
    def random(self) -> bool:
        """Whether some weights are left to chance."""
        return any(part.family for part in self.parts)

    def network(self, generator: torch.Generator | int = 0) -> Network:
        """The network that holds only the program's numbers; neurons in no group are 0.

        Args:
            generator: draws the weights of a random group; a ``torch.Generator`` or an integer seed.
        """
        n, m, outputs = self.shape
        g = as_generator(generator)
        W, b, v = np.zeros((n, m)), np.zeros(m), np.zeros((m, outputs))
        for part in self.parts:
            js = np.array(part.neurons)
            if part.family:
                uniform = torch.rand(n * len(js), generator=g, dtype=torch.float64).numpy()
                z = draw(part.family, part.tail, (n, 1, len(js)), uniform)
                W[np.ix_(self.order, js)] = part.levels[0] + part.levels[1] * z
            else:
                W[:, js] = np.array(part.levels)[part.level]
            b[js], v[js] = part.bias, part.output
        tensors = (torch.from_numpy(np.array(a)).to(self.dtype) for a in (W, v, b, self.bias))
        return Network([next(tensors), next(tensors)], [next(tensors), next(tensors)])

    def loss(self, x: Tensor, y: Tensor, draws: int = 8) -> float:
        """Normalised mean squared error against targets y ``(batch, K)``; of a random program the mean over draws."""
        seeds = range(draws if self.random else 1)
        return float(np.mean([float(self.network(seed).loss(x, y)) for seed in seeds]))

    @property
    def label(self) -> str:
        """The form of the program, one of `LABELS`.

        What bends the output decides, more than half of it: neurons that read many inputs or are random (convexity,
        unless the distribution has heavy tails), those that read the sum, or those that read one input each. The last
        are double-sided if most of what they bend is matched on the other side of the same input, pudding if most of
        it lies on one side of all inputs, and pudding of mixed signs if on one side of each.
        """
        total = sum(len(part.neurons) * part.bend for part in self.parts)
        if total <= STRAIGHT * sum(len(part.neurons) * part.strength[0] for part in self.parts):
            return LINEAR
        share = {kind: 0.0 for kind in ("random", "sum", "one input", "few inputs", "many inputs")}
        sides = np.zeros((self.shape[0], 2))
        for part in self.parts:
            share[part.reads] += len(part.neurons) * part.bend / total
            if part.reads == "one input":
                inputs = np.abs(np.array(part.levels)[part.level]).argmax(0)
                for i, j in zip(inputs, range(len(part.neurons)), strict=True):
                    sides[i, int(part.levels[part.level[i, j]] > 0)] += part.bend
        if share["random"] + share["many inputs"] > 0.5:
            heavy = sum(len(p.neurons) * p.bend for p in self.parts if p.family == "heavy-tailed")
            return HEAVY if heavy > total / 2 else CONVEXITY
        if share["sum"] > 0.5:
            return SUM
        if share["one input"] <= 0.5:
            return OTHER
        if 2 * sides.min(1).sum() > sides.sum() / 2:
            return DOUBLE_SIDED
        if sides.sum(0).max() > 0.75 * sides.sum():
            return PUDDING
        return MIXED if sides.max(1).sum() > 0.75 * sides.sum() else OTHER

    @property
    def text(self) -> str:
        """The formula, a line per output; inputs count from 1."""
        return formula(self, latex=False)

    @property
    def latex(self) -> str:
        """The formula as LaTeX, without dollar signs; several outputs in an ``aligned`` environment."""
        return formula(self, latex=True)

    def __repr__(self) -> str:
        return f"Program of {self.numbers} numbers, {self.label}: {self.text}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    @property
    def groups(self) -> pd.DataFrame:
        """One row per group, and one of neurons that do nothing, if there are any.

        Columns: ``neurons`` (indices from 0), ``count``, ``reads``, ``inputs`` (for each neuron its own inputs, from
        0), ``own`` (weights on them), ``others`` (weight on all other inputs), ``bias``, ``output`` (weights to the
        outputs). For a random group ``others`` is the mean and ``own`` the standard deviation of the weights.
        """
        rows = []
        for part in self.parts:
            own = [(part.levels[1], None)] if part.family else part.own
            inputs = (
                [] if part.family else [[int(i) for _, at in part.own for i in at[j]] for j in range(len(part.neurons))]
            )
            rows.append(
                {
                    "neurons": sorted(part.neurons),
                    "count": len(part.neurons),
                    "reads": f"random, {part.family}" if part.family else part.reads,
                    "inputs": inputs,
                    "own": [value for value, _ in own],
                    "others": part.levels[0 if part.family else part.background],
                    "bias": part.bias,
                    "output": [float(value) for value in part.output],
                }
            )
        if dead := sorted(set(range(self.shape[1])) - {j for part in self.parts for j in part.neurons}):
            rows.append({"neurons": dead, "count": len(dead), "reads": "nothing"} | {"inputs": [], "own": []})
        return pd.DataFrame(rows, columns=["neurons", "count", "reads", "inputs", "own", "others", "bias", "output"])


def decode(net: Network, tolerance: float = TOLERANCE, generator: torch.Generator | int = 0) -> Program:
    """The program of a network: the fewest numbers that still do what it does.

    Args:
        net: one network ``(n, m, K)`` with one hidden layer, without batch axes.
        tolerance: share of the output's variance down to which accuracy is wanted. The larger, the shorter the
            program.
        generator: draws the inputs of the fits and random weights; a ``torch.Generator`` or an integer seed. The task
            is not looked at.

    Raises:
        TypeError: ``net`` is not a `Network`, or the generator is neither.
        ValueError: batch axes, another depth, weights that are not finite, or a tolerance outside 0 to 1.

    Example:
        >>> import hyperlib as hl
        >>> program = hl.decode(hl.construct.double_sided(n=4))
        >>> print(program.text)
        y = -2.49 + 0.166 sum_i swish(-5 x_i) + 0.166 sum_i swish(5 x_i)
        >>> program.numbers, program.label
        (3, 'double-sided')
    """
    g = as_generator(generator)
    subject = subject_of(net, tolerance, g)
    best: list[Tied] = []  # of 1, 2, ... groups
    for start in search(subject):
        best.append(min(simplified(subject, start, PATIENCE), key=subject.total))
        if subject.total(best[-1 - STALE :][0]) <= min(map(subject.total, best[-STALE:])) and len(best) > STALE:
            break
    return _program(subject, net, min(best, key=subject.total), g)


def curve(net: Network, tolerance: float = TOLERANCE, generator: torch.Generator | int = 0) -> pd.DataFrame:
    """What programs of ever fewer constants lose: where does a network stop compressing?

    Args:
        net, tolerance, generator: as for `decode`.

    Returns:
        For each number of constants the best program found with at most so many: ``numbers``, ``bits``, ``lost`` and
        ``kept`` (shares of the output's variance on the inputs of the fits) and ``total`` (description length with
        what is lost).

    Raises:
        TypeError, ValueError: as `decode`.
    """
    subject = subject_of(net, tolerance, generator)
    found: list[tuple[int, float, float, float]] = []
    for start in search(subject):
        for tied in simplified(subject, start, math.inf, tries=1):
            found.append((_numbers(tied), subject.bits(tied), tied.lost, subject.total(tied)))
    table = pd.DataFrame(found, columns=["numbers", "bits", "lost", "total"])
    table = table.sort_values(["numbers", "lost"]).drop_duplicates("numbers")
    table = table[table["lost"] < table["lost"].cummin().shift(fill_value=math.inf)].reset_index(drop=True)
    table["kept"] = 1 - table["lost"]
    return table


def _numbers(tied: Tied) -> int:
    """Constants, and degrees of freedom of heavy-tailed distributions."""
    return len(tied.constants) + sum(group.family == "heavy-tailed" for group in tied.groups)


def _program(subject: Subject, net: Network, tied: Tied, generator: torch.Generator) -> Program:
    """The program with as few digits as pay, in the units and the order of the network."""
    roles = [role for _, role in tied.slots]
    units = np.array([subject.scale if role in ("output", "constant") else 1.0 for role in roles])
    factor = np.array([units[np.flatnonzero(column)[0]] for column in tied.ties.T])
    inner = ["constant" not in {roles[s] for s in np.flatnonzero(column)} for column in tied.ties.T]

    def rounded(digits: int) -> Tied:
        def cut(values: np.ndarray) -> np.ndarray:
            return np.array(_exact(values * factor, digits)) / factor

        new = replace(tied, constants=np.where(inner, cut(tied.constants), tied.constants))
        shift = (subject.target - new.run(SAMPLES)[0]).mean(0) @ new.ties[-new.outputs :]  # what rounding moved
        new.constants = np.where(inner, new.constants, cut(new.constants + shift))
        return new.measured(subject.target)

    digits = min(range(2, 7), key=lambda d: subject.total(rounded(d), d))
    final = rounded(digits)
    *values, bias = final.values
    back, parts = np.argsort(subject.inputs), []
    for group, value in zip(final.groups, values, strict=True):
        levels, rest = value[: len(group.parts)], value[len(group.parts) :]
        place = subject.neurons[list(group.neurons)]
        parts.append(
            Part(
                tuple(place.tolist()),
                tuple(_exact(levels, digits)),
                group.level[back],
                _exact(rest[:1], digits)[0],
                np.array(_exact(rest[1:] * subject.scale, digits)),
                group.family,
                group.tail,
            )
        )
    parts.sort(key=lambda part: (-len(part.neurons) * part.bend, part.levels, part.bias))
    bias = np.array(_exact(bias * subject.scale, digits))
    bits = subject.bits(final, digits) + sum(constant_bits(digits) for g in final.groups if g.family == "heavy-tailed")
    dtype = net.weights[0].dtype
    program = Program(tuple(parts), bias, net.shape, _numbers(final), bits, 1.0, digits, dtype, subject.inputs)
    x = torch.empty(FRESH, net.shape[0], dtype=torch.float64)
    x[:, torch.from_numpy(subject.inputs.copy())] = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    x = x.to(dtype)
    outputs = net(x)
    left = [(program.network(seed)(x) - outputs).square().sum(-1).mean() for seed in range(8 if program.random else 1)]
    variance = float(outputs.var(0, correction=0).sum())
    return replace(program, kept=1 - float(torch.stack(left).mean()) / variance if variance else 1.0)


def _exact(values: np.ndarray, digits: int) -> list[float]:
    """Rounded to significant digits; what single precision alone has left of 0 is 0."""
    return [float(f"{value:.{digits - 1}e}") if abs(value) > 1e-6 else 0.0 for value in values]
