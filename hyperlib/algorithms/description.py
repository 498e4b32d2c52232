"""The shortest description of what a network with one hidden layer does: which neurons and weights to tie.

Nothing is assumed about the algorithm. Hidden neurons that do alike with their inputs in order of weight are grouped;
within a group, weights are tied by their place in that order, and so are biases and output weights; the tied values are
fitted to the network's own outputs. How much to tie is decided by the shortest description: bits for the constants and
for what sits where, and bits for what is lost. A program that loses a share L of the variance of the outputs pays

    PRICE (weights of the network) log2(1 + (L + FAITH M) / tolerance),

as if the network were known from half as many values as it has weights, each wanted to within the tolerance. M is by
how much the groups' own shares of the outputs differ from those in the network: the program has to do it in its way.
With twice the price, the chance weights of a random network are worth writing down; with a quarter, halfway networks
are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from ..checks import as_generator
from ..network import Network, check_network
from .tied import DRAWS, FAITH, Group, Tied, make_group, swish

SAMPLES = 1024  # inputs of the fits
TOLERANCE = 0.01  # share of the output's variance that may be lost cheaply
PRICE = 0.25  # bits per weight of the network and doubling of what is lost
SMALL = 400  # weights that a smaller network counts as: else nothing would be worth saying of it
DIGITS = 3  # of a constant while programs are compared
GROUPS = 10  # most groups that are tried
LEVELS = 3  # most levels of a neuron's weights
PATIENCE = 30.0  # bits by which a description may grow before simplification stops
STALE = 3  # how often another group may be tried in vain
MANY = 8  # neurons from which on a distribution of their weights is thought of
RANDOM = -1  # in place of a number of levels: drawn at random


def constant_bits(digits: int) -> float:
    """Bits of a constant of so many significant digits: these, a sign, and one of eight powers of ten."""
    return digits * math.log2(10) + 4


@dataclass(frozen=True, eq=False)
class Subject:
    """A network as arrays, with inputs and neurons in an order that does not depend on the order they came in.

    Outputs are in units in which their variances sum to 1.
    """

    W: np.ndarray  # (n, m)
    b: np.ndarray  # (m,)
    v: np.ndarray  # (m, K)
    c: np.ndarray  # (K,)
    x: np.ndarray  # (samples, n)
    target: np.ndarray  # (samples, K)
    scale: float
    inputs: np.ndarray  # index in the network of each input here
    neurons: np.ndarray
    tolerance: float
    chance: np.ndarray  # numbers between 0 and 1, for random programs

    @property
    def size(self) -> int:
        return sum(a.size for a in (self.W, self.b, self.v, self.c))

    @cached_property
    def activations(self) -> np.ndarray:
        return swish(self.x @ self.W + self.b)[0]

    @cached_property
    def _groups(self) -> dict[tuple[tuple[int, ...], int], Group]:
        return {}

    def group(self, neurons: tuple[int, ...], levels: int) -> Group:
        if (neurons, levels) not in self._groups:
            family = _family(self.W[:, list(neurons)]) if levels == RANDOM else None
            arrays = self.W, self.b, self.v, self.x, self.activations
            self._groups[neurons, levels] = make_group(neurons, *arrays, levels, family, self.chance)
        return self._groups[neurons, levels]

    def tied(self, levels: dict[tuple[int, ...], int]) -> Tied:
        """Fitted network of these groups; those of 0 levels are left out."""
        groups = [self.group(neurons, count) for neurons, count in levels.items() if count]
        idle = [self.group(neurons, 1).aim for neurons, count in levels.items() if not count]
        return self.fitted(Tied.of(groups, self.c, sum(float((aim**2).sum(1).mean()) for aim in idle)))

    def fitted(self, tied: Tied, rounds: int = 4) -> Tied:
        return tied.fitted(self.target, rounds)

    def bits(self, tied: Tied, digits: int = DIGITS) -> float:
        """Description length of the program alone: constants, the slots they stand in, which inputs at which level."""
        slots, constants = tied.ties.shape
        again = int(np.count_nonzero(tied.ties)) - constants
        ties = 2 * slots + again * math.log2(max(constants, 1))
        return constants * constant_bits(digits) + ties + sum(group.bits for group in tied.groups)

    def total(self, tied: Tied, digits: int = DIGITS) -> float:
        """Description length of the program and of what it loses."""
        price = PRICE * max(self.size, SMALL)
        return self.bits(tied, digits) + price * math.log2(1 + (tied.lost + FAITH * tied.strayed) / self.tolerance)


def subject_of(net: Network, tolerance: float, generator: torch.Generator | int) -> Subject:
    check_network(net)
    if net.batch_shape:
        raise ValueError(f"the network has batch axes {tuple(net.batch_shape)}; index one network, as in net[0]")
    if len(net.shape) != 3:
        raise ValueError(f"the network has shape {net.shape}; expected one hidden layer, as in (16, 48, 1)")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}; expected a share of the output's variance between 0 and 1")
    tensors = (net.weights[0], net.biases[0], net.weights[1], net.biases[1])
    W, b, v, c = (t.detach().double().cpu().numpy() for t in tensors)
    for name, array in zip(
        ("first weights", "hidden biases", "output weights", "output biases"), (W, b, v, c), strict=True
    ):
        if not np.isfinite(array).all():
            raise ValueError(f"the network's {name} are not all finite; expected numbers")
    rms = np.sqrt((W**2).sum(0) + b**2)
    neurons = np.lexsort((b, W.max(0), rms * np.abs(v).sum(1)))
    inputs = np.lexsort(((W**3 @ np.abs(v)).sum(1), (W**2 @ np.abs(v)).sum(1)))
    W, b, v = W[np.ix_(inputs, neurons)], b[neurons], v[neurons]
    g = as_generator(generator)
    x = torch.randn(SAMPLES, len(W), generator=g, dtype=torch.float64).numpy()
    chance = torch.rand(len(W) * len(b) * DRAWS, generator=g, dtype=torch.float64).numpy()
    target = swish(x @ W + b)[0] @ v + c
    scale = float(np.sqrt(target.var(0).sum())) or 1.0
    return Subject(W, b, v / scale, c / scale, x, target / scale, scale, inputs, neurons, tolerance, chance)


def _family(W: np.ndarray) -> tuple[str, float]:
    """The distribution that weights are from, by their kurtosis, and its degrees of freedom.

    Normal unless the kurtosis differs from 3 by more than four times the standard error of as many normal numbers.
    """
    centred = W - W.mean(1, keepdims=True)
    kurtosis = float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-300))
    excess = kurtosis - 3
    if abs(excess) <= 4 * math.sqrt(24 / W.size):
        return "normal", math.inf
    return ("heavy-tailed", 4 + 6 / excess) if excess > 0 else ("two-valued", math.inf)


def _clusters(subject: Subject) -> np.ndarray:
    """Ward's hierarchy of the neurons by what they give to the outputs when their inputs come in order of weight."""
    f, _ = swish(subject.x @ -np.sort(-subject.W, axis=0) + subject.b)
    given = (f - f.mean(0)).T[:, :, None] * subject.v[:, None, :]
    return linkage(given.reshape(len(given), -1), "ward")


def search(subject: Subject) -> Iterator[Tied]:
    """Good programs of 1, 2, ... groups, each constant in one slot; the levels of each group by description length."""
    neurons = len(subject.b)
    if not subject.target.var(0).any():
        yield subject.fitted(Tied.of([], subject.c))
        return
    hierarchy = _clusters(subject) if neurons > 1 else None
    chosen: dict[tuple[int, ...], int] = {}
    for count in range(1, min(GROUPS, neurons) + 1):
        names = np.ones(neurons) if hierarchy is None else fcluster(hierarchy, count, "maxclust")
        clusters = [tuple(np.flatnonzero(names == name).tolist()) for name in np.unique(names)]
        if len(clusters) < count:  # neurons that are exactly alike
            return
        fresh = [cluster for cluster in clusters if cluster not in chosen]
        for cluster in fresh:
            parents = [levels for other, levels in chosen.items() if set(cluster) < set(other)]
            usual = min(2, len(subject.W))  # where a whole does nothing or by chance, its parts may do something
            chosen[cluster] = max(parents[-1], usual) if parents else usual
        starts = [{cluster: chosen[cluster] for cluster in clusters}, dict.fromkeys(clusters, min(2, len(subject.W)))]
        best, levels = min(((subject.tied(start), start) for start in starts), key=lambda pair: subject.total(pair[0]))
        for cluster in fresh + [cluster for cluster in clusters if cluster not in fresh]:
            for tried in (0, *range(1, min(LEVELS, len(subject.W)) + 1), *([RANDOM] if len(cluster) >= MANY else [])):
                if tried != levels[cluster]:
                    other = subject.tied(levels | {cluster: tried})
                    if subject.total(other) < subject.total(best):
                        best, levels[cluster] = other, tried
        chosen |= levels
        yield best


def _simpler(subject: Subject, tied: Tied, tries: int) -> Tied | None:
    """One constant fewer: the best of a few refitted candidates, foreseen by the curvature of what is lost."""
    count, slots = len(tied.constants), tied.slots
    H = tied.curvature(subject.target)
    inverse = np.zeros_like(H)
    free = np.ix_(tied.free, tied.free)
    inverse[free] = np.linalg.pinv(H[free] + 1e-12 * np.trace(H) / count * np.eye(int(tied.free.sum())), hermitian=True)
    roles = [{slots[s][1] for s in np.flatnonzero(column)} for column in tied.ties.T]
    foreseen = []
    for gone, role in enumerate(roles):
        if role == {"constant"}:
            continue
        partners = [(None, 1)] + [(k, sign) for k in range(gone + 1, count) if roles[k] == role for sign in (1, -1)]
        for into, sign in partners:
            a = np.zeros(count)
            a[gone] = 1
            if into is not None:
                a[into] = -sign
            off, reach = float(a @ tied.constants), float(a @ inverse @ a)
            if reach > 0:  # the others make up for it as well as they can
                foreseen.append((off**2 / reach, gone, into, sign, inverse @ a * (off / reach)))
            else:
                foreseen.append((off**2 * float(a @ H @ a), gone, into, sign, np.zeros(count)))
    foreseen.sort(key=lambda candidate: candidate[0])
    found = [
        subject.fitted(tied.merged(gone, into, sign, tied.constants - step), rounds=3)
        for _, gone, into, sign, step in foreseen[:tries]
    ]
    return min(found, key=subject.total, default=None)


def simplified(subject: Subject, tied: Tied, patience: float, tries: int = 2) -> Iterator[Tied]:
    """The program and ever simpler ones, until the description has grown by more than the patience."""
    least, current = subject.total(tied), tied
    while subject.total(current) <= least + patience:
        yield current
        least = min(least, subject.total(current))
        simpler = _simpler(subject, current, tries)
        if simpler is None:
            return
        current = simpler
