"""A group of neurons as it stands in a program."""

from __future__ import annotations

import math
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
