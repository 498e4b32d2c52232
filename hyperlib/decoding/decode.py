"""From weights to a program: the fewest numbers that still do what a network with one hidden layer does."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from ..checks import as_generator
from ..network import Network
from ..task import Task
from .description import RANDOM, TOLERANCE, Subject, constant_bits, nothing, subject_of
from .program import KeepsLittle, Program
from .terms import Part
from .tied import Tied

FRESH = 8192  # other inputs, on which a program is measured
GROUPS = 10  # most groups that are tried
LEVELS = 3  # most levels of a neuron's weights
MANY = 8  # neurons from which on a distribution of their weights is thought of
PATIENCE = 30.0  # bits by which a description may grow before simplification stops
LEAST = 1e-6  # of the largest constant in such a place: what single precision has left of 0
STALE = 3  # how often another group may be tried in vain


def decode(net: Network, x: Any = None, tolerance: float = TOLERANCE, generator: torch.Generator | int = 0) -> Program:
    """The program of a network: the fewest numbers that still do what it does.

    Args:
        net: one network ``(n, m, K)`` with one hidden layer, without batch axes.
        x: the inputs ``(batch, n)`` that matter, on which the program is fitted and measured: a tensor or whatever
            NumPy takes as numbers. Standard normal ones if not given.
        tolerance: share of the output's variance down to which accuracy is wanted.
        generator: draws the inputs of the fits and random weights; a ``torch.Generator`` or an integer seed.

    TypeError if ``net`` is not a `Network` or the generator neither kind, ValueError for batch axes, another depth,
    weights that are not finite, a tolerance outside 0 to 1, or an x of another width, with few rows, or that does not
    vary. Warns with `KeepsLittle` if less than half of the variance is kept (of a random program: less than nothing).

    Example:
        >>> import hyperlib as hl
        >>> program = hl.decode(hl.construct.double_sided(n=4))
        >>> print(program.text)
        y = -2.49 + 0.166 sum_i swish(-5 x_i) + 0.166 sum_i swish(5 x_i)
        >>> program.numbers, program.label
        (3, 'double-sided')
    """
    g = as_generator(generator)
    subject = subject_of(net, x, tolerance, g)
    best: list[Tied] = []  # of 1, 2, ... groups
    for start in search(subject):
        best.append(min(simplified(subject, start, PATIENCE), key=subject.total))
        if subject.total(best[-1 - STALE :][0]) <= min(map(subject.total, best[-STALE:])) and len(best) > STALE:
            break
    program = _program(subject, net, min(best, key=subject.total))
    inputs = fresh(subject, g)
    left = [1 - kept(net, program.network(seed, torch.float64), inputs) for seed in range(8 if program.random else 1)]
    if np.mean(left) > 1 and not program.random:  # worse than its mean: then that
        program = _program(subject, net, subject.start([]).fitted(subject.target))
        left = [1.0]
    program = replace(program, kept=1 - float(np.mean(left)))
    if program.kept < (0 if program.random else 0.5):
        said = f"the {program.label} program keeps {100 * program.kept:.0f} % of the variance of the network's output"
        warnings.warn(f"{said} on {'normal inputs' if x is None else 'x'}", KeepsLittle, stacklevel=2)
    return program


def program_of(net: Network, task: Task, seed: int = 0) -> Program:
    """The program of a network on the inputs of its task (if they are known), in the names and units of its table."""
    other = task.record is None and (task.table is not None or task.inputs.name != "normal")
    program = decode(net, task.measured(FRESH, net.shape[0], seed)[0] if other else None)
    table = task.table or task.record
    return program.in_units(table) if task.table or "names" in (task.record or {}) else program


def kept(net: Network, other: Network, x: Tensor) -> float:
    """Share of the variance of a network's outputs (or of their squares) that another keeps on x ``(batch, n)``."""
    outputs, instead = (one.map(lambda tensor: tensor.detach().double().cpu())(x) for one in (net, other))
    left, variance = (instead - outputs).square().sum(-1).mean(), outputs.var(0, correction=0).sum()
    size = outputs.square().sum(-1).mean()
    share = left / (variance if variance > nothing(net) ** 2 * size else size)
    return float(1 - share) if left else 1.0


def fresh(subject: Subject, generator: torch.Generator) -> Tensor:
    """Inputs to measure on: normal ones that no fit has seen, or as many as there are, the unseen first."""
    if subject.given is not None:
        return torch.from_numpy(subject.given[::-1][:FRESH].copy())
    drawn = torch.randn(FRESH, len(subject.W), generator=generator, dtype=torch.float64, device="cpu")
    return drawn[:, torch.from_numpy(np.argsort(subject.inputs))]


def numbers_of(tied: Tied) -> int:
    """Constants, and degrees of freedom of heavy-tailed distributions."""
    return len(tied.constants) + sum(group.family == "heavy-tailed" for group in tied.groups)


def _program(subject: Subject, net: Network, tied: Tied) -> Program:
    """The program with as few digits as pay, in the units and the order of the network."""
    roles = [tied.slots[np.flatnonzero(column)[0]][1] for column in tied.ties.T]  # of every constant
    gain, scale = subject.gain, subject.scale
    unit = {"weight": gain / subject.unit, "bias": gain, "output": scale / gain, "constant": scale}
    factor, inner = np.array([unit[role] for role in roles]), np.array([role != "constant" for role in roles])
    largest = {role: np.abs(tied.constants[[r == role for r in roles]]).max(initial=0.0) for role in unit}
    largest |= {"bias": max(largest["weight"], largest["bias"]), "constant": 1.0}
    least = LEAST * np.array([largest[role] for role in roles])

    def cut(values: np.ndarray, digits: int) -> np.ndarray:
        """Rounded in the network's units; biases far above the outputs' spread with as many digits as resolve it."""
        kept = np.where(np.abs(values) > least, values, 0)
        more = np.where(inner, 0, np.maximum(np.floor(np.log10(np.abs(values) + 1)) - 2, 0)).astype(int)
        return np.array([float(f"{v:.{digits - 1 + d}e}") for v, d in zip(kept * factor, more, strict=True)])

    def rounded(digits: int) -> tuple[Tied, np.ndarray]:
        constants = np.where(inner, cut(tied.constants, digits), tied.constants * factor)
        new = replace(tied, constants=constants / factor)
        shift = (subject.target - new.run(len(subject.x))[0]).mean(0) @ new.ties[-new.outputs :]  # what rounding moved
        constants = np.where(inner, constants, cut(new.constants + shift, digits))
        return replace(new, constants=constants / factor).measured(subject.target), constants

    found = {d: rounded(d) for d in range(2, 7)}
    digits = min(found, key=lambda d: subject.total(found[d][0], d))
    if digits == max(found):  # small differences of large numbers
        found |= {d: rounded(d) for d in range(7, 16)}
        digits = min(found, key=lambda d: subject.total(found[d][0], d))
    final, constants = found[digits]
    *values, bias = replace(final, constants=constants).values
    bends, bent = _bends(final, len(subject.x))
    back, parts = np.argsort(subject.inputs), []
    for group, value, bend in zip(final.groups, values, bends, strict=True):
        levels, output = tuple(value[: len(group.parts)].tolist()), value[-final.outputs :]
        place = tuple(subject.neurons[list(group.neurons)].tolist())
        inner_bias = float(value[len(group.parts)])
        parts.append(Part(place, levels, group.level[back], inner_bias, output, group.family, group.tail, bend))
    parts.sort(key=lambda part: (-float(f"{len(part.neurons) * part.bend:.3g}"), part.levels, part.bias))
    bits = subject.bits(final, digits) + sum(constant_bits(digits) for g in final.groups if g.family == "heavy-tailed")
    return Program(tuple(parts), bias, net, numbers_of(final), bits, 1.0, digits, bent, subject.inputs)


def _bends(tied: Tied, samples: int) -> tuple[list[float], float]:
    """How far each group's neurons (`Part.bend`), and all together (`Program.bent`), are from their affine parts."""
    bends, affine = [], np.zeros((samples, tied.outputs))
    for group, value in zip(tied.groups, tied.values, strict=False):
        one, v = group.drawn(0), value[-tied.outputs :]
        z = tied.preactivation(one, value, samples).astype(float)
        f = tied.activation(z)[0]
        z, f = z - z.mean(0), f - f.mean(0)
        straight = z * (f * z).sum(0) / np.maximum((z * z).sum(0), 1e-300)
        affine += (straight @ one.copies)[:, None] * v
        share = one.copies / one.copies.sum()
        bends.append(float(np.sqrt(((f - straight) ** 2).mean(0) @ share) * np.linalg.norm(v)))
    out = replace(tied, groups=tuple(g.drawn(0) for g in tied.groups)).run(samples)[0]
    out = out - out.mean(0)
    return bends, float(((out - affine) ** 2).sum() / max((out**2).sum(), 1e-300))


def search(subject: Subject) -> Iterator[Tied]:
    """Good programs of 1, 2, ... groups, each constant in one slot; the levels of each group by description length.

    Groups are those of Ward's hierarchy by what neurons give to the outputs when their inputs come in order of weight.
    """
    neurons = len(subject.b)
    if subject.still:
        yield subject.start([]).fitted(subject.target)
        return
    f, _ = subject.start([]).activation(subject.x @ -np.sort(-subject.W, axis=0) + subject.b)
    given = (f - f.mean(0)).T[:, :, None] * subject.v[:, None, :]
    hierarchy = linkage(given.reshape(neurons, -1), "ward") if neurons > 1 else None
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
    if subject.homogeneous:  # what only moves size from one layer to the other is no way to be rid of a constant
        H = H + np.diag(1e-3 / (tied.constants**2 + 1e-9))
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
    merged = [tied.merged(gone, into, sign, tied.constants - step) for _, gone, into, sign, step in foreseen[:tries]]
    return min((one.fitted(subject.target, rounds=3) for one in merged), key=subject.total, default=None)


def simplified(subject: Subject, tied: Tied, patience: float, tries: int = 2) -> Iterator[Tied]:
    """The program and ever simpler ones, until the description has grown by more than the patience."""
    least, current = subject.total(tied), tied
    while subject.total(current) <= least + patience:
        yield current
        least = min(least, subject.total(current))
        if (simpler := _simpler(subject, current, tries)) is None:
            return
        current = simpler
