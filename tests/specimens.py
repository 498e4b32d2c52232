"""Constructed networks whose algorithm, order parameters and loss are known beforehand."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from hyperbook.studies.algorithms import swish_loss
from hyperlib.algorithms.construct import SHARPNESS, convexity, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.network import Network


@dataclass(frozen=True)
class Specimen:
    """A constructed network with what is known about it beforehand."""

    name: str  # such as ``pudding + (16, 48, 1)``
    build: Callable[[], Network]
    phase: str
    n: int
    hidden: int  # neurons that the construction promises
    alpha_1: float | None  # None where W is drawn at random
    alpha_2: float | None
    loss_bound: float  # normalised MSE that the network does not exceed


def specimens(sizes: tuple[int, ...] = (4, 8, 16, 32)) -> list[Specimen]:
    """Specimens of every algorithm: for every n the fewest hidden neurons that an algorithm needs, and the paper's 3 n.

    The bound of the exact constructions is `swish_loss` with 15 % for the sampling error of a few thousand test inputs;
    that of convexity, whose loss depends on the draw, is 0.45. Of n below 4 alpha_1 takes other values than those
    stated.
    """
    table, exact = [], 1.15 * swish_loss(SHARPNESS)

    def add(label: str, make: Callable[..., Network], *facts: Any, **arguments: Any) -> None:
        n, hidden = facts[1:3]
        table.append(Specimen(f"{label} ({n}, {hidden}, 1)", partial(make, n, hidden=hidden, **arguments), *facts))

    for n in sizes:
        for hidden in (2 * n, 3 * n):
            add("double-sided", double_sided, DOUBLE_SIDED, n, hidden, math.inf, SHARPNESS, exact)
        for sign, symbol in ((+1, "+"), (-1, "-")):
            # With 3 n hidden neurons most weights belong to shared neurons, which are also every input's weaker side.
            for hidden, alpha_1 in ((n + 1, 0.0), (3 * n, 1.0)):
                add(f"pudding {symbol}", pudding, PUDDING, n, hidden, alpha_1, SHARPNESS, exact, sign=sign)
        for bimodal, kind in ((False, "unimodal"), (True, "bimodal")):
            add(f"convexity, {kind}", convexity, CONVEXITY, n, 3 * n, None, None, 0.45, generator=n, bimodal=bimodal)
    return table


def perturb(net: Network, noise: float, generator: torch.Generator) -> Network:
    """The network with normal noise on its first layer's weights, in units of their root mean square."""
    W = net.weights[0]
    draw = torch.randn(W.shape, generator=generator, dtype=W.dtype)
    noisy = W + noise * W.square().mean((-2, -1), keepdim=True).sqrt() * draw
    return Network([noisy, *net.weights[1:]], net.biases, activation=net.activation)
