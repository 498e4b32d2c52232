"""A program: the formula of few constants that decoding finds in a network with one hidden layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from ..algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from ..algorithms.structure import HEAVY
from ..checks import as_generator
from ..network import Network
from .groups import draw
from .printers import Formula, in_lines, python_of, sympy_of
from .terms import Part, Term, Units, term_of

STRAIGHT = 1e-4  # share of the variance beyond an affine function up to which a program is linear
LITTLE = 0.9  # share of the variance below which the text says what is kept
MIXED, SUM, LINEAR, CONSTANT, OTHER = "pudding, mixed signs", "sum", "linear", "constant", "other"
LABELS = (CONVEXITY, PUDDING, MIXED, DOUBLE_SIDED, HEAVY, SUM, LINEAR, CONSTANT, OTHER)

Loss = Callable[[Tensor, Tensor], Tensor]


class KeepsLittle(UserWarning):
    """A program does less than half of what the network does, or a random one worse than its mean."""


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
        net: the network.
        numbers: how many different constants the formula holds; the same one in several places counts once.
        bits: description length: constants, their places, and which inputs each neuron reads.
        kept: share of the variance of the network's output that it keeps, of a random program in the mean over draws.
        digits: significant digits of the constants.
        bent: share of the variance of the program's outputs beyond an affine function of what the neurons read.
        order: the inputs in the order in which random weights are drawn.
        units: names and units in which it is printed (`in_units`).
    """

    parts: tuple[Part, ...]
    bias: np.ndarray
    net: Network
    numbers: int
    bits: float
    kept: float
    digits: int
    bent: float
    order: np.ndarray
    units: Units = field(default_factory=Units)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the network."""
        return self.net.shape

    @property
    def random(self) -> bool:
        """Whether some weights are left to chance."""
        return any(part.family for part in self.parts)

    def network(self, generator: torch.Generator | int = 0, dtype: torch.dtype | None = None) -> Network:
        """The network that holds only the program's numbers; the generator draws the weights of random groups."""
        n, m, outputs = self.shape
        g = as_generator(generator)
        W, b, v = np.zeros((n, m)), np.zeros(m), np.zeros((m, outputs))
        for part in self.parts:
            js = np.array(part.neurons)
            if part.family:
                uniform = torch.rand(n * len(js), generator=g, dtype=torch.float64, device="cpu").numpy()
                z = draw(part.family, part.tail, (n, 1, len(js)), uniform)
                W[np.ix_(self.order, js)] = part.levels[0] + part.levels[1] * z
            else:
                W[:, js] = np.array(part.levels)[part.level]
            b[js], v[js] = part.bias, part.output
        dtype = dtype or self.net.weights[0].dtype
        tensors = [torch.from_numpy(np.array(a)).to(dtype) for a in (W, v, b, self.bias)]
        return Network(tensors[:2], tensors[2:], activation=self.net.activation)

    def loss(self, x: Tensor, y: Tensor, draws: int = 8, loss: Loss = mse_loss) -> float:
        """Loss of outputs against targets y ``(batch, K)``; of a random program the mean over draws."""
        seeds = range(draws if self.random else 1)
        return float(np.mean([float(loss(self.network(seed)(x), y)) for seed in seeds]))

    @property
    def label(self) -> str:
        """The form of the program, one of `LABELS`, by what bends more than half of the output.

        Neurons that read many inputs or are random, the sum, or one input each: then double-sided if most of what they
        bend is matched on the other side of the same input, pudding if most of it lies on one side of all inputs, of
        mixed signs if on one side of each.
        """
        if not self.parts:
            return CONSTANT
        if self.bent <= STRAIGHT:
            return LINEAR
        total = sum(len(part.neurons) * part.bend for part in self.parts)
        share = {kind: 0.0 for kind in ("random", "sum", "one input", "few inputs", "many inputs")}
        sides = np.zeros((self.shape[0], 2))
        for part in self.parts:
            share[part.reads] += len(part.neurons) * part.bend / total
            if part.reads == "one input":
                inputs = np.abs(np.array(part.levels)[part.level]).argmax(0)
                for j, i in enumerate(inputs):
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

    def in_units(self, table: Any = None, **values: Sequence[Any]) -> Program:
        """The same program, printed in the names and units of a table.

        Args:
            table: what has the attributes of `hyperlib.decoding.terms.Units`, such as ``task.table``, or a mapping.
            values: instead, or in its place, any of ``names``, ``output_names``, ``input_mean``, ``input_std``,
                ``output_mean``, ``output_std``.

        ValueError for too few or too many of something, and for what is no number where one is expected.

        Example:
            >>> import hyperlib as hl
            >>> program = hl.decode(hl.Network([torch.tensor([[2.0]]), torch.ones(1, 1)], [torch.zeros(1)] * 2))
            >>> program.in_units(names=["age"], input_mean=[48.5], input_std=[13.1]).text
            'y = swish(0.15 (age - 48.5))'
        """
        of = table.__getitem__ if isinstance(table, Mapping) else partial(getattr, table)
        given = {} if table is None else {one.name: of(one.name) for one in fields(Units)}
        units = Units(**given | values)
        units.check(self.shape[0], self.shape[-1])
        return replace(self, units=units)

    def terms(self, generator: torch.Generator | int = 0) -> list[Term]:
        """What the program adds up, a term per group; the generator draws what is random, as for `network`."""
        W = self.network(generator, torch.float64).weights[0].numpy()
        return [term_of(part, W) for part in self.parts]

    def _formula(self, latex: bool) -> str:
        arguments = self.terms(), self.bias, self.shape[0], self.net.activation, self.digits, self.units, latex
        little = [f"keeps {100 * self.kept:.0f} % of the network's variance"] if self.kept < LITTLE else []
        return Formula(*arguments).written(*little)

    @property
    def text(self) -> str:
        """The formula, a line per output; inputs count from 1 or have the names of the units."""
        return self._formula(latex=False)

    @property
    def latex(self) -> str:
        """The formula as LaTeX, without dollar signs; several outputs in an ``aligned`` environment."""
        return self._formula(latex=True)

    def sympy(self, generator: torch.Generator | int = 0) -> Any:
        """The output as an expression of sympy, or a list of several, in x_1, x_2, ... or the names of the units."""
        found = sympy_of(self.network(generator, torch.float64), self.units)
        return found[0] if len(found) == 1 else found

    def python(self, generator: torch.Generator | int = 0) -> str:
        """Source text of ``program(x)`` of inputs ``(..., n)`` for NumPy, with one draw of random weights."""
        arguments = self.terms(generator), self.bias, self.shape[0], self.net.activation, self.units
        return python_of(*arguments, self.text)

    def __repr__(self) -> str:
        return f"Program of {self.numbers} numbers, {self.label}: {self.text}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {in_lines(self.latex)}$"

    @property
    def groups(self) -> pd.DataFrame:
        """One row per group, and one of neurons that do nothing, if there are any.

        Columns: ``neurons``, ``count``, ``reads``; ``inputs``, for each neuron its own; ``own``, the weights on them;
        ``others``, the weight on all other inputs (of a random group deviation and mean); ``bias``, ``output``.
        """
        rows: list[list] = []
        for part in self.parts:
            neurons, ends = sorted(part.neurons), [part.bias, part.output.tolist()]
            if part.family:
                mean, spread = part.levels
                rows.append([neurons, len(neurons), f"random, {part.family}", [], [spread], mean, *ends])
                continue
            inputs = [[int(i) for _, at in part.own for i in at[j]] for j in range(len(neurons))]
            own, others = [value for value, _ in part.own], part.levels[part.background]
            rows.append([neurons, len(neurons), part.reads, inputs, own, others, *ends])
        if dead := sorted(set(range(self.shape[1])) - {j for part in self.parts for j in part.neurons}):
            rows.append([dead, len(dead), "nothing", [], [], math.nan, math.nan, math.nan])
        return pd.DataFrame(rows, columns=["neurons", "count", "reads", "inputs", "own", "others", "bias", "output"])
