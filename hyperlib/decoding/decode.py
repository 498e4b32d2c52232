"""From weights to a program: the fewest numbers that still do what a network with one hidden layer does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from ..checks import as_generator
from ..network import Network
from .description import RANDOM, SAMPLES, TOLERANCE, Subject, constant_bits, subject_of
from .groups import swish
from .parts import Part
from .program import Program
from .tied import Tied

FRESH = 8192  # other inputs, on which a program is measured
GROUPS = 10  # most groups that are tried
LEVELS = 3  # most levels of a neuron's weights
MANY = 8  # neurons from which on a distribution of their weights is thought of
PATIENCE = 30.0  # bits by which a description may grow before simplification stops
STALE = 3  # how often another group may be tried in vain


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
