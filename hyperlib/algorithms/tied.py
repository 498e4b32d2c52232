"""Networks with one hidden layer whose weights are tied: few constants, each in many places.

Hidden neurons come in groups. The neurons of a group hold the same numbers: one for each *level* of their weights, a
bias and an output weight per output. They differ only in which inputs sit at which level. A neuron that reads one input
has two levels, its own input and the others; one that reads the sum of all has one. Or a group is *random*: its levels
are the mean and the spread of a distribution, and which weights it draws is left to chance.

A number that stands in one place of a group is a *slot*. Slots are tied to constants, with either sign, or to nothing,
which is 0. With T the matrix ``(slots, constants)`` of -1, 0 and 1, a network is T @ constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.special import gammaln, stdtrit

DRAWS = 6  # networks over which a random program is averaged
FAITH = 0.1  # what a group gives to the outputs counts so much beside what all give together
FAMILIES = ("two-valued", "normal", "heavy-tailed")


def swish(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """swish(z) = z / (1 + exp(-z)) and its derivative."""
    gate = (1 + np.tanh(z / 2)) / 2
    value = z * gate
    return value, gate * (1 + z - value)


def draw(family: str, tail: float, shape: tuple[int, int, int], uniform: np.ndarray) -> np.ndarray:
    """Random patterns ``(n, draws * m)``: independent, of unit variance, and for each input of mean 0 over the neurons.

    Without the last, the linear part z / 2 of swish would leave a random linear function of the inputs.

    Args:
        family: one of `FAMILIES`.
        tail: degrees of freedom of Student's t, for the heavy-tailed.
        shape: ``(n, draws, m)``.
        uniform: at least ``n * draws * m`` numbers between 0 and 1.
    """
    u = uniform[: math.prod(shape)].reshape(shape)
    if family == "two-valued":
        z = np.sign(u - 0.5)
    elif family == "heavy-tailed":
        z = stdtrit(tail, u)
    else:
        z = stdtrit(np.inf, u)
    if shape[2] > 1:
        z = z - z.mean(-1, keepdims=True)
    z = z / np.sqrt((z**2).mean((0, 2), keepdims=True))
    return z.reshape(shape[0], -1)


def log_binomial(n: float, k: float) -> float:
    """Bits of a choice of k from n: log2 of n over k."""
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)) / math.log(2)


def assignment_bits(counts: Sequence[int], neurons: int, copies: np.ndarray) -> float:
    """Bits that say which inputs sit at which level of each neuron of a group, whose order does not matter.

    With N = n! / prod(counts!) patterns to choose from, the neurons are one of the (N + m - 1 over m) multisets. The
    case that every pattern occurs equally often gets the shorter half of the code: one bit.

    Args:
        counts: inputs per level.
        neurons: m.
        copies: how often each pattern that occurs does.
    """
    patterns = float(gammaln(sum(counts) + 1) - sum(gammaln(k + 1) for k in counts)) / math.log(2)
    if patterns < 40 and len(copies) == round(2**patterns) and len(set(copies)) == 1:
        return 1.0
    if patterns < 40:
        return 1 + log_binomial(round(2**patterns) + neurons - 1, neurons)
    return 1 + neurons * patterns - float(gammaln(neurons + 1)) / math.log(2)


@dataclass(frozen=True)
class Group:
    """Neurons that hold the same numbers.

    Attributes:
        neurons: their indices in the network.
        counts: inputs at each level, largest weight first; empty for a random group.
        level: ``(n, neurons)`` the level of every weight; for a random group all 0.
        start: values of the slots before any fit: levels, bias, output weights. For a random group the levels are mean
            and standard deviation.
        family: of a random group, one of `FAMILIES`; None for others.
        tail: degrees of freedom of a heavy-tailed one.
        bits: that say all but the constants.
        parts: per level ``(samples, columns)``, what it multiplies in the neurons' preactivations. Neurons that are
            alike share a column.
        copies: ``(columns,)`` how often each column counts.
        aim: ``(samples, K)`` what the neurons give to the outputs in the network itself, less its mean.
    """

    neurons: tuple[int, ...]
    counts: tuple[int, ...]
    level: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)
    family: str | None
    tail: float
    bits: float
    parts: tuple[np.ndarray, ...] = field(repr=False)
    copies: np.ndarray = field(repr=False)
    aim: np.ndarray = field(repr=False)

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
        return replace(self, parts=tuple(p[:, one] for p in self.parts), copies=np.ones(size, np.float32))


@dataclass
class Tied:
    """A network of groups and constants, with what it leaves of the outputs that it is fitted to.

    Attributes:
        groups: the living neurons.
        outputs: number of outputs K.
        ties: ``(slots, constants)``. Slots are, group by group, levels, bias and K output weights, and last K biases of
            the outputs.
        constants: ``(constants,)``.
        idle: variance of what groups that were left out, each by itself, give to the outputs.
        lost: mean squared error on the outputs, summed over outputs; of a random program the mean over draws.
        strayed: the mean squared difference between what a group gives to the outputs here and in the network, less
            their means, summed over groups and with `idle`: whether it is done in the same way.
    """

    groups: tuple[Group, ...]
    outputs: int
    ties: np.ndarray
    constants: np.ndarray
    idle: float = 0.0
    lost: float = math.inf
    strayed: float = math.inf

    @classmethod
    def of(cls, groups: Sequence[Group], bias: np.ndarray, idle: float = 0.0) -> Tied:
        """Every slot a constant of its own, at its starting value."""
        values = np.concatenate([*(g.start for g in groups), bias])
        return cls(tuple(groups), len(bias), np.eye(len(values)), values, idle)

    @property
    def slots(self) -> list[tuple[int, str]]:
        """Group (-1 for the outputs' biases) and role of every slot: weight, bias, output, or constant."""
        named = [
            (g, role) for g, group in enumerate(self.groups) for role in (*group.roles, *["output"] * self.outputs)
        ]
        return named + [(-1, "constant")] * self.outputs

    @property
    def values(self) -> list[np.ndarray]:
        """Slot values: an array per group, and one of the outputs' biases."""
        cuts = np.cumsum([len(g.roles) + self.outputs for g in self.groups])
        return np.split(self.ties @ self.constants, cuts)

    @property
    def random(self) -> bool:
        return any(group.family for group in self.groups)

    @property
    def free(self) -> np.ndarray:
        """``(constants,)`` whether a constant may be fitted: all but means and spreads of random groups."""
        held = [g >= 0 and self.groups[g].family is not None and role == "weight" for g, role in self.slots]
        return np.asarray(~self.ties[held].any(0))

    def run(self, samples: int, slopes: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outputs on the inputs that the groups' parts were made from, and how they depend on the slots.

        Returns:
            Outputs ``(samples, K)``; by how much each group misses its aim ``(groups, samples, K)``; and, if asked for,
            derivatives of the outputs by the slots ``(slots, samples, K)``.
        """
        *values, bias = self.values
        out, apart = np.tile(bias, (samples, 1)), np.empty((len(self.groups), samples, self.outputs))
        rows: list[np.ndarray] = []
        for g, (group, value) in enumerate(zip(self.groups, values, strict=True)):
            each, d = swish(self._preactivation(group, value, samples))
            f, v = (each @ group.copies)[:, None].astype(float), value[-self.outputs :]
            out += f * v
            apart[g] = (f - f.mean()) * v - group.aim
            if slopes:
                d *= group.copies
                rows += [np.einsum("sj,sj->s", d, part)[:, None] * v for part in group.parts]
                rows.append(d.sum(1)[:, None] * v)
                rows += [f * unit for unit in np.eye(self.outputs)]
        if slopes:
            rows += [np.tile(unit, (samples, 1)) for unit in np.eye(self.outputs)]
        return out, apart, np.array(rows)

    @staticmethod
    def _preactivation(group: Group, value: np.ndarray, samples: int) -> np.ndarray:
        z = np.full((samples, len(group.copies)), value[len(group.parts)], np.float32)
        for weight, part in zip(value, group.parts, strict=False):
            if weight:
                z += np.float32(weight) * part
        return z

    def fitted(self, target: np.ndarray, rounds: int = 4) -> Tied:
        """The constants of least squared error on the target ``(samples, K)``, and on the groups' aims with the weight
        `FAITH` (Levenberg and Marquardt).

        The mean and the spread of a random group stay as they are.
        """
        new, damping = replace(self), 1e-3
        cost = new._cost(target)
        for _ in range(rounds):
            H, gradient = new._normal(target)
            ridge = np.diag(H) + 1e-9 * np.trace(H) / len(H) + 1e-300
            for _ in range(4):
                step = np.linalg.solve(H + damping * np.diag(ridge), gradient)
                tried = replace(new, constants=new.constants + step)
                left = tried._cost(target)
                if left < cost:
                    break
                damping *= 8
            else:
                break
            gain, new, cost, damping = 1 - left / max(cost, 1e-300), tried, left, max(damping / 5, 1e-9)
            if gain < 1e-3:
                break
        return new.measured(target)

    def _cost(self, target: np.ndarray) -> float:
        out, apart, _ = self.run(len(target))
        return float(((target - out) ** 2).sum() + FAITH * (apart**2).sum()) / len(target)

    def _normal(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and right-hand side of the normal equations of `_cost`; what may not be fitted has no slope."""
        samples, slots = len(target), self.slots
        out, apart, slopes = self.run(samples, slopes=True)
        ties = self.ties * self.free
        J, centred = slopes.reshape(len(slots), -1), (slopes - slopes.mean(1, keepdims=True)).reshape(len(slots), -1)
        H, gradient = J @ J.T, J @ (target - out).ravel()
        for g in range(len(self.groups)):
            own = np.array([s for s, (at, _) in enumerate(slots) if at == g])
            H[np.ix_(own, own)] += FAITH * centred[own] @ centred[own].T
            gradient[own] -= FAITH * centred[own] @ apart[g].ravel()
        return ties.T @ H @ ties / samples, ties.T @ gradient / samples

    def measured(self, target: np.ndarray) -> Tied:
        """With `lost` and `strayed` on the target; of a random program the means over its draws."""
        draws = range(DRAWS if self.random else 1)
        lost, strayed = [], []
        for k in draws:
            out, apart, _ = replace(self, groups=tuple(g.drawn(k) for g in self.groups)).run(len(target))
            lost.append(((target - out) ** 2).sum(1).mean())
            strayed.append((apart**2).sum((0, 2)).mean())
        return replace(self, lost=float(np.mean(lost)), strayed=self.idle + float(np.mean(strayed)))

    def curvature(self, target: np.ndarray) -> np.ndarray:
        """Half the second derivative of what is lost by the constants, as far as first derivatives tell it."""
        J = self.ties.T @ self.run(len(target), slopes=True)[2].reshape(len(self.ties), -1)
        return J @ J.T / len(target) if self.random else self._normal(target)[0]

    def merged(self, gone: int, into: int | None, sign: int, constants: np.ndarray) -> Tied:
        """With constant ``gone`` replaced by 0, or by ``sign`` times the constant ``into``.

        Groups that are left without a weight, or without an output weight, go: they are constant.
        """
        ties = self.ties.copy()
        if into is not None:
            ties[:, into] += sign * ties[:, gone]
        left = np.arange(ties.shape[1]) != gone
        new = replace(self, ties=ties[:, left], constants=constants[left])
        lives, slots = [], new.slots
        for g, group in enumerate(new.groups):
            rows = {role: [s for s, slot in enumerate(slots) if slot == (g, role)] for role in ("weight", "output")}
            lives.append(all(new.ties[rows[role]].any() for role in rows) or group.family is not None)
        keep = [g < 0 or lives[g] for g, _ in slots]
        new.idle += sum(
            float((group.aim**2).sum(1).mean()) for group, alive in zip(new.groups, lives, strict=True) if not alive
        )
        new.groups = tuple(group for group, alive in zip(new.groups, lives, strict=True) if alive)
        new.ties = new.ties[keep]
        used = new.ties.any(0)
        new.ties, new.constants = new.ties[:, used], new.constants[used]
        return new

    def rounded(self, digits: int) -> Tied:
        """The constants rounded to so many significant digits."""
        return replace(self, constants=np.array([float(f"{value:.{digits - 1}e}") for value in self.constants]))


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
) -> Group:
    """The group of some neurons of a network, with its weights cut into levels or drawn at random.

    Args:
        neurons: their indices.
        W, b, v: weights ``(n, m)``, biases ``(m,)`` and output weights ``(m, K)`` of the whole network.
        x: inputs ``(samples, n)``.
        activations: of the network's hidden neurons ``(samples, m)``.
        levels: of the weights of each neuron; ignored for a random group.
        family: name and degrees of freedom of a random group's distribution, or None.
        uniform: numbers between 0 and 1, enough for any group, from which a random one is drawn.
    """
    js = np.array(neurons)
    (n, m), size, own = W.shape, len(js), W[:, js]
    tail = [b[js].mean(), *v[js].mean(0)]
    how_many = math.log2(m + 1)
    aim = activations[:, js] @ v[js]
    aim -= aim.mean(0)
    if family is not None:
        z = draw(*family, (n, DRAWS, size), uniform)
        drawn = tuple(a.astype(np.float32) for a in (np.repeat(x.sum(1)[:, None], z.shape[1], 1), x @ z))
        start = np.array([own.mean(), np.sqrt(((own - own.mean(1, keepdims=True)) ** 2).mean()), *tail])
        copies = np.full(z.shape[1], 1 / DRAWS, np.float32)
        return Group(tuple(neurons), (), np.zeros((n, size), int), start, *family, 2 + how_many, drawn, copies, aim)
    order = np.argsort(-own, axis=0, kind="stable")
    ordered = np.take_along_axis(own, order, 0)
    cuts = _segments(ordered.mean(1), levels)
    counts = tuple(np.diff(cuts).tolist())
    level = np.empty((n, size), int)
    np.put_along_axis(level, order, np.repeat(np.arange(levels), counts)[:, None].repeat(size, 1), 0)
    patterns, often = np.unique(level.T, axis=0, return_counts=True)
    parts = tuple((x @ (k == patterns.T)).astype(np.float32) for k in range(levels))
    start = np.array([*(ordered[i:j].mean() for i, j in pairwise(cuts)), *tail])
    bits = how_many + (levels - 1) * math.log2(n) + assignment_bits(counts, size, often)
    return Group(tuple(neurons), counts, level, start, None, 0.0, bits, parts, often.astype(np.float32), aim)


def _segments(profile: np.ndarray, pieces: int) -> list[int]:
    """Cuts ``[0, ..., n]`` of a sorted profile into pieces of least squared spread."""
    n = len(profile)
    first, second = np.r_[0, np.cumsum(profile)], np.r_[0, np.cumsum(profile**2)]
    best, back = np.r_[0.0, np.full(n, np.inf)], []
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
