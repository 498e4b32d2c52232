"""Force-directed drawing of a network: every neuron gets a place in the plane (appendix B.1).

The energy is 1/r for every pair of neurons, |w| r^2 for every edge and r^2 for every neuron's distance from the origin.
Gradient descent in the plane gets stuck where two modules are tangled: it starts in four dimensions, where they slide
past one another, and a growing penalty on the two excess ones presses the arrangement flat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .checks import as_generator, check_type, check_whole
from .network import Network, Shape, check_network

PLANE, SPACE = 2, 4  # dimensions of the drawing and of the descent
STEPS = 1000
RATE = 0.9  # share of the stability limit that a step takes, see `descend`
CLOSEST = 1e-3  # distance below which repulsion grows no further, so that two neurons may start in one place
HEAVIEST = 1e30  # forces of larger weights are no numbers in single precision
JITTER = 0.1  # standard deviation of what a warm start adds to all four coordinates
FREE, RAMP = 0.1, 0.7  # shares of the steps before the penalty sets in and while it grows; then it stays
PENALTY = (0.1, 30.0)  # a cold start grows it over this range: from too weak to matter to flat in every case tried
WARM_PENALTY = (3.0, 30.0)  # a warm start keeps nearly flat throughout, so that neurons stay near where they were


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of the neurons of one network or of a batch of networks.

    Attributes:
        positions: one tensor ``(..., n_l, 2)`` per level of neurons, inputs first. A single output lies at the origin.

    Example:
        >>> import hyperlib as hl
        >>> hl.layout(hl.construct.pudding(n=3)).shape
        (3, 4, 1)
    """

    positions: list[Tensor]

    @property
    def shape(self) -> Shape:
        """Layer sizes ``(n_0, ..., n_N)``."""
        return tuple(level.shape[-2] for level in self.positions)

    def __getitem__(self, index: Any) -> Layout:
        """The layouts at ``index`` of the leading batch axes."""
        return Layout([level[index] for level in self.positions])


def attraction(net: Network) -> Tensor:
    """|w| between every two neurons, numbered level by level, ``(..., N, N)``: symmetric, zero where is no edge."""
    sizes = net.shape
    strength = net.weights[0].new_zeros(*net.batch_shape, sum(sizes), sum(sizes))
    first = 0
    for weight in net.weights:
        n, m = weight.shape[-2:]
        rows, columns = slice(first, first + n), slice(first + n, first + n + m)
        strength[..., rows, columns] = weight.detach().abs()
        strength[..., columns, rows] = weight.detach().abs().mT
        first += n
    return strength


def _distances(places: Tensor) -> tuple[Tensor, Tensor]:
    """Squared and inverse distances ``(..., N, N)``, the latter with zeros on the diagonal."""
    square = torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist").square()
    inverse = square.clamp(min=CLOSEST**2).rsqrt()
    return square, inverse - torch.diag_embed(inverse.diagonal(dim1=-2, dim2=-1))


def energy(places: Tensor, strength: Tensor) -> Tensor:
    """Energy ``(...)`` of neurons at ``places`` ``(..., N, d)`` with edges of ``strength`` ``(..., N, N)`` (B.1)."""
    square, inverse = _distances(places)
    return (inverse + strength * square).sum((-2, -1)) / 2 + places.square().sum((-2, -1))


def descend(places: Tensor, strength: Tensor, penalty: Tensor) -> Tensor:
    """Gradient descent on the energy plus ``penalty`` times the squares of all coordinates but the first two.

    Every neuron has a step size of its own, the inverse of the sum of the absolute values in its row of the Hessian,
    which no eigenvalue exceeds: hubs and lone neurons arrive together. From ``places`` ``(..., N, d)`` to the last
    ones, with ``strength`` |w| ``(..., N, N)`` and a penalty per step ``(steps,)``.
    """
    ones = places.new_ones(places.shape[-1])
    flat = (ones.cumsum(0) > PLANE).to(ones)  # which coordinates are in excess
    for weight in penalty.tolist():
        _, inverse = _distances(places)
        push, pull = inverse.pow(3), 2 * strength
        centre = 2 * (ones + weight * flat)  # of r^2 and the penalty
        coupling = pull - push
        gradient = (coupling.sum(-1, keepdim=True) + centre) * places - coupling @ places
        places = places - RATE / (2 * (pull + push).sum(-1, keepdim=True) + centre) * gradient
    return places


def _schedule(steps: int, penalty: tuple[float, float], free: float) -> Tensor:
    start, end = (math.log10(value) for value in penalty)
    idle, grow = int(free * steps), int(RAMP * steps)
    ramp = torch.logspace(start, end, grow, dtype=torch.float64, device="cpu")
    return torch.cat([ramp.new_zeros(idle), ramp, ramp.new_full((steps - idle - grow,), penalty[1])])


def layout(
    net: Network, generator: torch.Generator | int = 0, start: Layout | None = None, steps: int = STEPS
) -> Layout:
    """Force-directed drawing in the plane of a network with any batch axes ``(...)`` (B.1).

    Args:
        generator: a ``torch.Generator`` or an integer seed for the start. All networks of a batch start alike.
        start: a drawing of a similar network to start from, so that drawings of neighbours resemble each other; its
            batch axes must broadcast to those of ``net``.
        steps: steps of gradient descent, at least 10. The default is enough for a hundred neurons.

    A single output is put at the origin. TypeError for arguments of other kinds, ValueError for a weight that is not
    finite, too few steps or a ``start`` of another shape.

    Example:
        >>> import hyperlib as hl
        >>> drawing = hl.layout(hl.construct.pudding(n=3))
        >>> [tuple(level.shape) for level in drawing.positions]
        [(3, 2), (4, 2), (1, 2)]
    """
    check_network(net)
    if start is not None:
        check_type("start", start, Layout, "a Layout, such as layout returns")
    steps = check_whole("steps", steps, least=10)
    for number, weight in enumerate(net.weights):
        if not bool(weight.isfinite().all()):
            raise ValueError(f"weights of layer {number} hold a value that is not finite; cannot draw it")
        if (largest := float(weight.abs().max())) > HEAVIEST:
            raise ValueError(f"weights of layer {number} reach {largest:.3g}; expected {HEAVIEST:g} at most")
    generator = as_generator(generator)
    if net.weights[0].itemsize < 4:
        net = net.map(Tensor.float)  # distances are not implemented in half precision
    sizes, strength = net.shape, attraction(net)
    count = sum(sizes)
    noise = torch.randn(count, SPACE, generator=generator, dtype=torch.float32, device=generator.device).to(strength)
    if start is None:
        # The r^2 and 1/r forces of N neurons balance at a radius of about N^(1/3).
        places, penalty = noise * count ** (1 / 3), _schedule(steps, PENALTY, FREE)
    else:
        if start.shape != sizes:
            raise ValueError(f"start is a drawing of shape {start.shape}; expected {sizes}, the shape of the network")
        flat = torch.cat(start.positions, dim=-2).to(strength)
        flat = torch.nn.functional.pad(flat, (0, SPACE - PLANE))
        places, penalty = flat + JITTER * noise, _schedule(steps, WARM_PENALTY, 0.0)
    places = descend(places.expand(*net.batch_shape, count, SPACE), strength, penalty)[..., :PLANE]
    if sizes[-1] == 1:
        places = places - places[..., -1:, :]
    return Layout(list(places.split(sizes, dim=-2)))
