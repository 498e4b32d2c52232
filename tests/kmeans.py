"""A baseline for decoding: weights tied by size alone, with as many constants."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from hyperlib.decoding.decode import fresh, kept
from hyperlib.decoding.description import DIGITS, TOLERANCE, Subject, constant_bits, subject_of
from hyperlib.decoding.groups import Group, segments
from hyperlib.decoding.tied import Tied
from hyperlib.network import Network

REFITTED = 3  # ways to share out the constants that are refitted, the best as they stand


@dataclass(frozen=True, eq=False)
class Clustered:
    """A network whose numbers are tied by their size.

    Attributes:
        net: the tied network.
        numbers: of constants in it.
        bits: that write down the constants and, number by number, which of them stands where.
        kept: share of the variance of the outputs that it keeps, measured as for a program.
    """

    net: Network
    numbers: int
    bits: float
    kept: float


def kmeans(net: Network, numbers: int) -> Clustered:
    """The network with its weights, hidden biases and output weights tied to a few sizes each, refitted to its outputs.

    Sizes of each kind are clustered by least squares; one cluster is 0 and costs nothing, nor do signs, as in programs.
    How many of the constants each kind gets is tried out; the output biases are the rest.

    Args:
        net: as for `hyperlib.decoding.decode.decode`.
        numbers: of constants in all, at least two more than outputs.
    """
    g = torch.Generator().manual_seed(0)
    subject = subject_of(net, None, TOLERANCE, g)
    free = numbers - len(subject.c)
    shares = [(free - b - v, b, v) for b in range(free - 1) for v in range(1, free - b)]
    found = sorted((_tied(subject, share) for share in shares), key=lambda pair: pair[0].lost)
    fitted = [(tied.fitted(subject.target, rounds=10), bits) for tied, bits in found[:REFITTED]]
    best, bits = min(fitted, key=lambda pair: pair[0].lost)
    *values, bias = best.values
    W, b, v = np.empty_like(subject.W), np.empty_like(subject.b), np.empty_like(subject.v)
    for j, (group, value) in enumerate(zip(best.groups, values, strict=True)):
        levels = len(group.parts)
        W[subject.inputs, subject.neurons[j]] = value[group.level[:, 0]]
        b[subject.neurons[j]], v[subject.neurons[j]] = value[levels], value[levels + 1 :]
    gain, scale = subject.gain, subject.scale
    arrays = W * gain / subject.unit, v * scale / gain, b * gain, bias * scale
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    tied = Network(tensors[:2], tensors[2:], activation=net.activation)
    bits += numbers * constant_bits(DIGITS)
    return Clustered(tied.map(lambda t: t.to(net.weights[0])), numbers, bits, kept(net, tied, fresh(subject, g)))


def _tied(subject: Subject, share: tuple[int, int, int]) -> tuple[Tied, float]:
    """Every neuron a group, with so many sizes of weights, biases and output weights in all groups together; and the
    bits that say which number has which size and sign."""
    outputs, kinds, bits = len(subject.c), [], 0.0
    sizes: list[float] = []
    for array, count in zip((subject.W, subject.b, subject.v), share, strict=True):
        values = np.sort(np.abs(array).ravel())
        cuts = segments(values, min(count, len(values)), zero=True)
        which = np.searchsorted([values[cut] for cut in cuts[:-1]], np.abs(array), "right")  # 0 for 0, else from 1
        kinds.append(np.sign(array).astype(int) * np.where(which > 0, which + len(sizes), 0))
        often = np.unique(kinds[-1], return_counts=True)[1]
        bits -= float(often @ np.log2(often / often.sum()))
        sizes += [values[i:j].mean() for i, j in pairwise(cuts)]
    weights, biases, given = kinds
    groups, found = [], []
    for j in range(len(subject.b)):
        names, level = np.unique(weights[:, j], return_inverse=True)
        parts = tuple((subject.x @ (level == k)[:, None]).astype(subject.dtype) for k in range(len(names)))
        aim = subject.activations[:, [j]] * subject.v[j]
        start, copies = np.zeros(len(names) + 1 + outputs), np.ones(1, subject.dtype)
        groups.append(Group((j,), level[:, None], start, None, 0.0, 0.0, parts, copies, aim - aim.mean(0)))
        found += [*names, biases[j], *given[j]]
    slots = np.array([*found, *range(len(sizes) + 1, len(sizes) + 1 + outputs)])
    ties = np.zeros((len(slots), len(sizes) + outputs))
    ties[np.flatnonzero(slots), np.abs(slots[slots != 0]) - 1] = np.sign(slots[slots != 0])
    tied = replace(subject.start(groups), ties=ties, constants=np.array([*sizes, *subject.c]))
    tied.constants[-outputs:] += (subject.target - tied.run(len(subject.x))[0]).mean(0)
    return tied.measured(subject.target), bits
