"""The shortest description of what a network with one hidden layer does: which neurons and weights to tie.

Hidden neurons that do alike with their inputs in order of weight are grouped; within a group, weights are tied by their
place in that order, and so are biases and output weights; the tied values are fitted to the network's own outputs. A
program pays bits for its constants, for what sits where, and for the share L of the outputs' variance that it loses

    PRICE (weights of the network) log2(1 + (L + FAITH M) / tolerance),

as if the network were known from half as many values as it has weights, each wanted to within the tolerance. M is by
how much the groups' own shares of the outputs differ from those in the network.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from ..checks import expect
from ..network import Network, check_single
from .activations import ACTIVATIONS, Pair
from .groups import DRAWS, Group, make_group
from .tied import FAITH, Tied

SAMPLES = 1024  # inputs of the fits, at most
ROWS = 16  # at least, if they are given
TOLERANCE = 0.01  # share of the output's variance that may be lost cheaply
PRICE = 0.25  # bits per weight of the network and doubling of what is lost
SMALL = 400  # weights that a smaller network counts as: else nothing would be worth saying of it
DIGITS = 3  # of a constant while programs are compared
RANDOM = -1  # in place of a number of levels: drawn at random


def constant_bits(digits: int) -> float:
    """Bits of a constant of so many significant digits: these, a sign, and one of eight powers of ten."""
    return digits * math.log2(10) + 4


@dataclass(frozen=True, eq=False)
class Subject:
    """A network as arrays, with inputs and neurons in an order that does not depend on the order they came in.

    Inputs have unit variance, variances of the outputs sum to 1. Hidden weights of extreme size are divided by a gain,
    and the activation f is f(gain z) / gain.
    """

    W: np.ndarray  # (n, m)
    b: np.ndarray  # (m,)
    v: np.ndarray  # (m, K)
    c: np.ndarray  # (K,)
    x: np.ndarray  # (samples, n)
    target: np.ndarray  # (samples, K)
    activations: np.ndarray  # (samples, m)
    name: str  # of the activation
    still: bool  # whether the outputs do not vary
    dtype: np.dtype  # of preactivations
    scale: float  # of outputs in the network's units
    unit: float  # of inputs
    gain: float
    inputs: np.ndarray  # index in the network of each input here
    neurons: np.ndarray
    tolerance: float
    chance: np.ndarray  # numbers between 0 and 1, for random programs
    given: np.ndarray | None  # inputs from outside, in the network's units and order, shuffled
    _groups: dict[tuple[tuple[int, ...], int], Group] = field(default_factory=dict, init=False)

    @property
    def homogeneous(self) -> bool:
        """Whether neurons can be scaled: relu, or what looks like it at the size of the weights."""
        return self.gain > 1 or self.name == "relu"

    def group(self, neurons: tuple[int, ...], levels: int) -> Group:
        if (neurons, levels) not in self._groups:
            family = _family(self.W[:, list(neurons)]) if levels == RANDOM else None
            arrays = self.W, self.b, self.v, self.x, self.activations
            self._groups[neurons, levels] = make_group(neurons, *arrays, levels, family, self.chance, self.dtype)
        return self._groups[neurons, levels]

    def tied(self, levels: dict[tuple[int, ...], int]) -> Tied:
        """Fitted network of these groups; those of 0 levels are left out."""
        groups = [self.group(neurons, count) for neurons, count in levels.items() if count]
        idle = [self.group(neurons, 1).aim for neurons, count in levels.items() if not count]
        return self.start(groups, sum(float((aim**2).sum(1).mean()) for aim in idle)).fitted(self.target)

    def start(self, groups: Sequence[Group], idle: float = 0.0) -> Tied:
        """A network in which every slot is a constant of its own, at its starting value."""
        plain = ACTIVATIONS[self.name].pair
        activation = plain if self.gain == 1 else partial(_scaled, plain, self.gain)
        values = np.concatenate([*(group.start for group in groups), self.c])
        return Tied(tuple(groups), activation, len(self.c), np.eye(len(values)), values, idle)

    def bits(self, tied: Tied, digits: int = DIGITS) -> float:
        """Description length of the program alone: constants, the slots they stand in, which inputs at which level."""
        slots, constants = tied.ties.shape
        again = int(np.count_nonzero(tied.ties)) - constants
        ties = 2 * slots + again * math.log2(max(constants, 1))
        return constants * constant_bits(digits) + ties + sum(group.bits for group in tied.groups)

    def total(self, tied: Tied, digits: int = DIGITS) -> float:
        """Description length of the program and of what it loses."""
        price = PRICE * max(sum(a.size for a in (self.W, self.b, self.v, self.c)), SMALL)
        return self.bits(tied, digits) + price * math.log2(1 + (tied.lost + FAITH * tied.strayed) / self.tolerance)


def subject_of(net: Network, x: Any, tolerance: float, generator: torch.Generator) -> Subject:
    """The network of `hyperlib.decoding.decode.decode` as it is looked at, on inputs x or else normal ones."""
    check_single(net)
    if len(net.shape) != 3:
        raise ValueError(f"the network has shape {net.shape}; expected one hidden layer, as in (16, 48, 1)")
    expect(0 < tolerance < 1, "tolerance", tolerance, "a share of the output's variance between 0 and 1")
    W, b, v, c = (t.detach().double().cpu().numpy() for pair in zip(net.weights, net.biases, strict=True) for t in pair)
    for name, array in {"first weights": W, "hidden biases": b, "output weights": v, "output biases": c}.items():
        if not np.isfinite(array).all():
            raise ValueError(f"the network's {name} are not all finite; expected numbers")
    given = None if x is None else _checked(x, len(W))[torch.randperm(len(x), generator=generator).numpy()]
    unit = 1.0 if given is None else float(np.sqrt(given.var(0).mean()))
    W = W * unit
    sizes = np.sqrt((W**2).sum(0) + b**2)
    gain = float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0
    gain = 1.0 if 1e-3 < gain < 1e3 else gain
    W, b, v = W / gain, b / gain, v * gain
    neurons = np.lexsort((b, W.max(0), sizes / gain * np.abs(v).sum(1)))
    inputs = np.lexsort(((W**3 @ np.abs(v)).sum(1), (W**2 @ np.abs(v)).sum(1)))
    W, b, v = W[np.ix_(inputs, neurons)], b[neurons], v[neurons]
    if given is None:
        x = torch.randn(SAMPLES, len(W), generator=generator, dtype=torch.float64, device="cpu").numpy()
    else:
        x = given[:SAMPLES, inputs] / unit
    chance = torch.rand(len(W) * len(b) * DRAWS, generator=generator, dtype=torch.float64, device="cpu").numpy()
    f = _scaled(ACTIVATIONS[net.activation].pair, gain, x @ W + b)[0]
    target, most = f @ v + c, float((np.abs(f) @ np.abs(v)).max() + np.abs(c).max())
    scale = float(np.sqrt(target.var(0).sum()))
    still = scale <= nothing(net) * most
    scale = (most if still else scale) or 1.0
    kind = np.dtype("float32" if scale > 1e-4 * most else "float64")  # single precision is too little if much cancels
    arrays = W, b, v / scale, c / scale, x, target / scale, f
    return Subject(*arrays, net.activation, still, kind, scale, unit, gain, inputs, neurons, tolerance, chance, given)


def nothing(net: Network) -> float:
    """A share of a network's outputs that is less than the rounding of its numbers."""
    return max(torch.finfo(net.weights[0].dtype).eps / 100, 1e-12)


def _checked(x: Any, n: int) -> np.ndarray:
    """Rows of inputs, as numbers."""
    found = np.asarray(x.detach().cpu() if isinstance(x, torch.Tensor) else x)
    if found.dtype.kind not in "fiub" or found.ndim != 2 or found.shape[1] != n or len(found) < ROWS:
        what = f"x has shape {found.shape} and dtype {found.dtype}"
        raise ValueError(f"{what}; expected numbers (batch, {n}) and at least {ROWS} rows")
    found = found.astype(float)
    if not np.isfinite(found).all() or not found.std(0).any():
        raise ValueError("x is not finite everywhere, or all its rows are equal; expected inputs that vary")
    return found


def _scaled(plain: Callable[[np.ndarray], Pair], gain: float, z: np.ndarray) -> Pair:
    """f(g z) / g of an activation f and a gain g, and its derivative."""
    value, slope = plain(z * z.dtype.type(gain))
    return value / z.dtype.type(gain), slope


def _family(W: np.ndarray) -> tuple[str, float]:
    """The distribution of weights, and its degrees of freedom: normal within four standard errors of its kurtosis."""
    centred = W - W.mean(1, keepdims=True)
    kurtosis = float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-300))
    excess = kurtosis - 3
    if abs(excess) <= 4 * math.sqrt(24 / W.size):
        return "normal", math.inf
    return ("heavy-tailed", 4 + 6 / excess) if excess > 0 else ("two-valued", math.inf)
