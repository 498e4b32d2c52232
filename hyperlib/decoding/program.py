"""A program: the formula of few constants that decoding finds in a network with one hidden layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ..algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from ..algorithms.structure import HEAVY
from ..checks import as_generator
from ..network import Network
from .formula import formula
from .groups import draw
from .parts import Part

STRAIGHT = 0.01  # bend, as a share of what is affine, up to which a program is linear
MIXED, SUM, LINEAR, OTHER = "pudding, mixed signs", "sum", "linear", "other"
LABELS = (CONVEXITY, PUDDING, MIXED, DOUBLE_SIDED, HEAVY, SUM, LINEAR, OTHER)


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
        return formula(self.parts, self.bias, self.digits, latex=False)

    @property
    def latex(self) -> str:
        """The formula as LaTeX, without dollar signs; several outputs in an ``aligned`` environment."""
        return formula(self.parts, self.bias, self.digits, latex=True)

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
