"""Groups of hidden neurons that hold the same numbers.

The numbers are one for each *level* of the neurons' weights, a bias and an output weight per output; neurons differ
only in which inputs sit at which level. One that reads one input has two levels, its own input and the others; one that
reads the sum of all has one. Or a group is *random*: its levels are the mean and the spread of a distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.special import gammaln, stdtrit

DRAWS = 6  # networks over which a random program is averaged
FAMILIES = ("two-valued", "normal", "heavy-tailed")


def draw(family: str, tail: float, shape: tuple[int, int, int], uniform: np.ndarray) -> np.ndarray:
    """Random patterns ``(n, draws * m)``: independent, of unit variance, and for each input of mean 0 over the neurons.

    Else the linear part of an activation would leave a random linear function. The shape is ``(n, draws, m)``, the tail
    degrees of freedom of Student's t; as many ``uniform`` numbers between 0 and 1 decide.
    """
    u = uniform[: math.prod(shape)].reshape(shape)
    z = np.sign(u - 0.5) if family == "two-valued" else stdtrit(tail if family == "heavy-tailed" else np.inf, u)
    if shape[2] > 1:
        z = z - z.mean(-1, keepdims=True)
    z = z / np.sqrt(np.maximum((z**2).mean((0, 2), keepdims=True), 1e-300))  # of few signs, all may be equal
    return z.reshape(shape[0], -1)


def assignment_bits(counts: Sequence[int], neurons: int, copies: np.ndarray) -> float:
    """Bits that say which inputs sit at which level of each neuron of a group, whose order does not matter.

    With N = n! / prod(counts!) patterns, counts being inputs per level, the m neurons are one of the (N + m - 1 over m)
    multisets. The case that all patterns have as many copies gets the shorter half of the code: one bit.
    """
    patterns = float(gammaln(sum(counts) + 1) - sum(gammaln(k + 1) for k in counts)) / math.log(2)
    if patterns < 40 and len(copies) == round(2**patterns) and len(set(copies)) == 1:
        return 1.0
    if patterns < 40:
        n = round(2**patterns) + neurons - 1
        return 1 + float(gammaln(n + 1) - gammaln(neurons + 1) - gammaln(n - neurons + 1)) / math.log(2)
    return 1 + neurons * patterns - float(gammaln(neurons + 1)) / math.log(2)


@dataclass(frozen=True)
class Group:
    """Neurons that hold the same numbers."""

    neurons: tuple[int, ...]  #: their indices in the network
    level: np.ndarray = field(repr=False)  #: ``(n, neurons)`` the level of every weight; for a random group all 0
    start: np.ndarray = field(repr=False)  #: slots before any fit: levels (or mean, spread), bias, output weights
    family: str | None  #: of a random group, one of `FAMILIES`; None for others
    tail: float  #: degrees of freedom of a heavy-tailed one
    bits: float  #: that say all but the constants
    parts: tuple[np.ndarray, ...] = field(repr=False)  #: per level, what it multiplies ``(samples, columns)``
    copies: np.ndarray = field(repr=False)  #: ``(columns,)`` how often each counts: neurons that are alike share one
    aim: np.ndarray = field(repr=False)  #: ``(samples, K)``, what they give to the network's outputs, less its mean

    @property
    def roles(self) -> tuple[str, ...]:
        """``"weight"`` per level and ``"bias"``; the output weights follow."""
        return ("weight",) * len(self.parts) + ("bias",)

    def drawn(self, k: int) -> Group:
        """A random group with its k-th draw alone; any other group itself."""
        if self.family is None:
            return self
        size = len(self.neurons)
        one = slice(k * size, (k + 1) * size)
        return replace(self, parts=tuple(p[:, one] for p in self.parts), copies=np.ones(size, self.copies.dtype))


def make_group(
    neurons: Sequence[int],
    W: np.ndarray,
    b: np.ndarray,
    v: np.ndarray,
    x: np.ndarray,
    activations: np.ndarray,
    levels: int,
    family: tuple[str, float] | None,
    uniform: np.ndarray,
    dtype: np.dtype,
) -> Group:
    """The group of some neurons of a network, with its weights cut into levels or drawn at random.

    W ``(n, m)``, b ``(m,)``, v ``(m, K)`` are of the whole network, x inputs ``(samples, n)`` with ``activations``
    ``(samples, m)``. A random group has a ``family``, name and degrees of freedom, and is drawn from ``uniform``
    numbers.
    """
    js = np.array(neurons)
    (n, m), size, own = W.shape, len(js), W[:, js]
    tail = [b[js].mean(), *v[js].mean(0)]
    how_many = math.log2(m + 1)
    aim = activations[:, js] @ v[js]
    aim -= aim.mean(0)
    if family is not None:
        z = draw(*family, (n, DRAWS, size), uniform)
        drawn = tuple(a.astype(dtype) for a in (np.repeat(x.sum(1)[:, None], z.shape[1], 1), x @ z))
        start = np.array([own.mean(), np.sqrt(((own - own.mean(1, keepdims=True)) ** 2).mean()), *tail])
        copies = np.full(z.shape[1], 1 / DRAWS, dtype)
        return Group(tuple(neurons), np.zeros((n, size), int), start, *family, 2 + how_many, drawn, copies, aim)
    order = np.argsort(-own, axis=0, kind="stable")
    ordered = np.take_along_axis(own, order, 0)
    cuts = segments(ordered.mean(1), levels)
    counts = tuple(np.diff(cuts).tolist())
    level = np.empty((n, size), int)
    np.put_along_axis(level, order, np.repeat(np.arange(levels), counts)[:, None].repeat(size, 1), 0)
    patterns, often = np.unique(level.T, axis=0, return_counts=True)
    parts = tuple((x @ (k == patterns.T)).astype(dtype) for k in range(levels))
    start = np.array([*(ordered[i:j].mean() for i, j in pairwise(cuts)), *tail])
    bits = how_many + (levels - 1) * math.log2(n) + assignment_bits(counts, size, often)
    return Group(tuple(neurons), level, start, None, 0.0, bits, parts, often.astype(dtype), aim)


def segments(profile: np.ndarray, pieces: int, zero: bool = False) -> list[int]:
    """Cuts ``[0, ..., n]`` of a sorted profile into pieces of least squared spread.

    With ``zero``, what lies before the first cut is replaced by 0, and the first cut is where that pays.
    """
    n = len(profile)
    first, second = np.r_[0, np.cumsum(profile)], np.r_[0, np.cumsum(profile**2)]
    best, back = second if zero else np.r_[0.0, np.full(n, np.inf)], []
    lengths = np.maximum(np.arange(n + 1)[None] - np.arange(n + 1)[:, None], 1)
    spread = (second[None] - second[:, None]) - (first[None] - first[:, None]) ** 2 / lengths  # from row to column
    spread[np.tril_indices(n + 1)] = np.inf
    for _ in range(pieces):
        total = best[:, None] + spread
        back.append(total.argmin(0))
        best = total.min(0)
    cuts = [n]
    for choice in reversed(back):
        cuts.append(int(choice[cuts[-1]]))
    return cuts[::-1]
