"""A program's groups of neurons, the terms that they add up to, and the units in which it is printed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Part:
    """Neurons that hold the same numbers, in the units and the order of the network."""

    neurons: tuple[int, ...]  #: indices of its neurons in the network
    levels: tuple[float, ...]  #: values of the levels of their weights; of a random group the mean and the spread
    level: np.ndarray  #: ``(n, neurons)``, of every weight, in the order of the network's inputs
    bias: float  #: of each neuron
    output: np.ndarray  #: ``(K,)`` weights of each neuron to the outputs
    family: str | None = None  #: distribution of a random group (`hyperlib.decoding.groups.FAMILIES`), else None
    tail: float = math.inf  #: degrees of freedom of a heavy-tailed one
    bend: float = 1.0  #: spread of what a neuron gives beyond an affine function of its inputs, in that of the outputs

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


@dataclass(frozen=True, eq=False)
class Term:
    """``output * copies * sum over neurons of activation(bias + weights on inputs)``."""

    output: np.ndarray  #: ``(K,)``
    copies: int  #: of each of the neurons, which all differ if there is more than one copy
    neurons: int  #: how many are summed
    own: tuple[tuple[float, np.ndarray], ...]  #: weights, strongest first, and their inputs ``(neurons, count)``
    rest: float  #: weight on all other inputs; of a random term the mean
    bias: float  #: of each neuron
    family: str | None = None  #: distribution of a random term's weights, or None
    spread: float = 0.0  #: its standard deviation
    tail: float = math.inf  #: its degrees of freedom, where heavy-tailed
    drawn: np.ndarray | None = None  #: ``(n, neurons)`` one draw of its weights


def term_of(part: Part, W: np.ndarray) -> Term:
    """The term of a group, whose weights in a network with first layer W ``(n, m)`` are those drawn if it is random."""
    size = len(part.neurons)
    if part.family:
        mean, spread = part.levels
        drawn = W[:, list(part.neurons)]
        return Term(part.output, 1, size, (), mean, part.bias, part.family, spread, part.tail, drawn)
    patterns, first, often = np.unique(part.level.T, axis=0, return_index=True, return_counts=True)
    copies = int(often[0]) if len(set(often.tolist())) == 1 else 1
    chosen = sorted(first.tolist()) if copies > 1 else list(range(size))
    if copies > 1 or len(patterns) == size:  # in the order of their inputs, if they differ
        chosen.sort(key=lambda j: [at[j].tolist() for _, at in part.own])
    own = tuple((value, at[chosen]) for value, at in part.own)
    return Term(part.output, copies, len(chosen), own, part.levels[part.background], part.bias)


@dataclass(frozen=True)
class Units:
    """What a table calls its columns, and where a network was given standardised ones, their means and deviations."""

    names: Sequence[str] = ()  #: of the inputs; empty for x_1, x_2, ...
    output_names: Sequence[str] = ()  #: of the outputs; empty for y or y_1, y_2, ...
    input_mean: Sequence[float] = ()  #: of each input; the network reads (input - mean) / std, or inputs as they are
    input_std: Sequence[float] = ()  #: likewise
    output_mean: Sequence[float] = ()  #: of each output, which is mean + std times what the network gives
    output_std: Sequence[float] = ()  #: likewise

    def check(self, n: int, outputs: int) -> None:
        """Raise ValueError unless everything fits so many inputs and outputs."""
        for name, values in vars(self).items():
            count = outputs if "output" in name else n
            if len(values) not in (0, count):
                raise ValueError(f"{name} has {len(values)} entries; expected {count}")
            if "mean" in name or "std" in name:
                low = 0.0 if "std" in name else -math.inf
                if wrong := [value for value in values if not low < value < math.inf]:
                    raise ValueError(f"{name} holds {wrong[0]}; expected {'positive ' if low == 0 else ''}numbers")
        for both in ("input", "output"):
            if bool(len(getattr(self, f"{both}_mean"))) != bool(len(getattr(self, f"{both}_std"))):
                raise ValueError(f"{both}_mean and {both}_std go together; one is missing")

    def affine(self, n: int, outputs: int) -> tuple[np.ndarray, ...]:
        """Means and deviations of inputs and outputs as arrays; 0 and 1 where there are none."""
        given = (self.input_mean, 0.0, n), (self.input_std, 1.0, n), (self.output_mean, 0.0, outputs)
        return tuple(
            np.asarray(values, float) if len(values) else np.full(count, other)
            for values, other, count in (*given, (self.output_std, 1.0, outputs))
        )
