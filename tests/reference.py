"""The KL attentional hypernetwork of B.2 and B.2.1, edge by edge: plain, slow and complete.

Written from the paper's text and kept apart from ``hyperlib.hypernetwork``: loops over hyperlayers, sides of the KL
axis, neurons and edges, with vectors of one edge as the only tensors. Nothing is left out because its value is known
beforehand: the first hyperlayer has an input of no features, attends and pays its KL, and the last hyperlayer has an
encoder side like every other. The tests hold values and gradients of the library to it in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperlib.hypernetwork import SIGMA_FLOOR, Architecture

Edge = tuple[int, int, int]  # layer l (from 0), input neuron i, output neuron j
SIDES = ("q", "p")  # the KL axis: encoder, decoder
FRONT, BEHIND = "front", "behind"  # where a neuron lies, seen from an edge that touches it


@dataclass
class Inputs:
    """What the blocks without input take, per hyperlayer k = 1 ... N'."""

    channel: dict[tuple[int, Edge], Tensor]  # noise of the KL channel, (channel,), one for both sides
    random: dict[tuple[int, str, Edge], Tensor]  # random block, (random,), before its scale
    learned: dict[tuple[int, Edge], Tensor]  # learned vectors of the encoder side, (learned,)


@dataclass
class Generated:
    """One generated network, with the KL that each hyperlayer paid in nats."""

    weights: list[Tensor]  # (n_l, n_{l+1}) each
    biases: list[Tensor]  # (n_{l+1},) each
    paid: list[Tensor]

    @property
    def kl(self) -> Tensor:
        """The accumulator: KL in nats of all hyperlayers together."""
        return torch.stack(self.paid).sum()


def edges_of(shape: Sequence[int]) -> list[Edge]:
    """All edges of an MLP, layer by layer, ordered by input and then by output neuron."""
    return [
        (layer, i, j) for layer in range(len(shape) - 1) for i in range(shape[layer]) for j in range(shape[layer + 1])
    ]


def inputs_of(
    shape: Sequence[int], a: Architecture, hyperweights: dict[str, Tensor], noise: Tensor, spare: torch.Generator
) -> Inputs:
    """Hand the numbers of one generated network out to its edges.

    Args:
        hyperweights: named tensors without a seed axis; learned vectors may be absent.
        noise: ``(noise_size,)``: rows of one number per edge. Each hyperlayer takes the rows of the channel, then for
            each random hyperfeature one row per side.
        spare: gives what the library keeps no numbers for: learned vectors that are absent, and random features on
            the encoder side of the last hyperlayer. Whatever it gives must not change the network.
    """
    edges = edges_of(shape)
    rows = iter(noise.reshape(-1, len(edges)))
    inputs = Inputs({}, {}, {})
    for k in range(1, a.hyperdepth + 1):
        stored = SIDES if k < a.hyperdepth else SIDES[1:]
        channel = [next(rows) for _ in range(a.channel)]
        random = {(feature, side): next(rows) for feature in range(a.random) for side in stored}
        for number, edge in enumerate(edges):
            inputs.channel[k, edge] = torch.stack([row[number] for row in channel])
            for side in SIDES:
                inputs.random[k, side, edge] = (
                    torch.stack([random[feature, side][number] for feature in range(a.random)])
                    if side in stored
                    else torch.randn(a.random, generator=spare, dtype=noise.dtype)
                )
            name = f"learned{k}"
            inputs.learned[k, edge] = (
                torch.stack([hyperweights[name][feature, number] for feature in range(a.learned)])
                if name in hyperweights
                else torch.randn(a.learned, generator=spare, dtype=noise.dtype)
            )
    assert next(rows, None) is None, "noise is left over"
    return inputs


def code(index: int, a: Architecture) -> Tensor:
    """Sinusoidal code of one index: a sine per period, then a cosine per period."""
    angles = [2 * math.pi * index / period for period in a.periods]
    return torch.tensor([math.sin(v) for v in angles] + [math.cos(v) for v in angles], dtype=torch.float64)


def positions(edge: Edge, shape: Sequence[int], a: Architecture) -> Tensor:
    """Positional encodings of an edge (B.2): i at the first layer, j at the last, l everywhere."""
    layer, i, j = edge
    nothing = torch.zeros(2 * len(a.periods), dtype=torch.float64)
    of_i = code(i, a) if layer == 0 else nothing
    of_j = code(j, a) if layer == len(shape) - 2 else nothing
    return torch.cat([of_i, of_j, code(layer, a)])


def attend(heads: dict[tuple[Edge, str], tuple[Tensor, Tensor, Tensor]], shape: Sequence[int]):
    """A self-attention head at every neuron over the edges that touch it (B.2).

    Args:
        heads: (edge, where the neuron lies) -> query, key, value, each ``(attention,)``.

    Returns:
        (edge, where the neuron lies) -> what the edge receives from that neuron, ``(attention,)``.
    """
    received = {}
    for level, size in enumerate(shape):
        for neuron in range(size):
            touching = [(edge, FRONT) for edge in edges_of(shape) if edge[0] == level - 1 and edge[2] == neuron]
            touching += [(edge, BEHIND) for edge in edges_of(shape) if edge[0] == level and edge[1] == neuron]
            for asking in touching:
                query = heads[asking][0]
                scores = [torch.dot(query, heads[other][1]) / math.sqrt(len(query)) for other in touching]
                exponentials = [score.exp() for score in scores]
                total = sum(exponentials)
                received[asking] = sum(
                    e / total * heads[other][2] for e, other in zip(exponentials, touching, strict=True)
                )
    return received


def generate(
    shape: Sequence[int], a: Architecture, hyperweights: dict[str, Tensor], inputs: Inputs, encoder: bool
) -> Generated:
    """Weights, biases and KL of one network from hyperweights without a seed axis."""
    edges = edges_of(shape)
    d = a.attention
    # The first hyperlayer's input has no hyperfeatures.
    state = {(side, edge): torch.zeros(0, dtype=torch.float64) for side in SIDES for edge in edges}
    paid = []
    for k in range(1, a.hyperdepth + 1):
        weight = hyperweights[f"weight{k}"] if k > 1 else torch.zeros(a.width_in, 0, dtype=torch.float64)
        linear = {key: weight @ vector + hyperweights[f"bias{k}"] for key, vector in state.items()}
        sizes = [a.elementwise, *[d] * 6, a.channel, a.channel]
        blocks = {key: vector.split(sizes) for key, vector in linear.items()}

        attended = {}
        for side in SIDES:
            heads = {(edge, FRONT): blocks[side, edge][1:4] for edge in edges}
            heads |= {(edge, BEHIND): blocks[side, edge][4:7] for edge in edges}
            received = attend(heads, shape)
            attended |= {(side, edge): torch.cat([received[edge, FRONT], received[edge, BEHIND]]) for edge in edges}

        # KL channel: q and p from the two sides, a sample of q (of p without the encoder) for both.
        sample, price = {}, torch.zeros((), dtype=torch.float64)
        for edge in edges:
            mu = {side: blocks[side, edge][7] for side in SIDES}
            sigma = {side: (1 + (blocks[side, edge][8] + a.sigma_shift).exp()).log() + SIGMA_FLOOR for side in SIDES}
            source = "q" if encoder else "p"
            sample[edge] = mu[source] + sigma[source] * inputs.channel[k, edge]
            if encoder:
                spread = (sigma["q"] ** 2 + (mu["q"] - mu["p"]) ** 2) / (2 * sigma["p"] ** 2)
                price = price + ((sigma["p"] / sigma["q"]).log() + spread - 0.5).sum()
        paid.append(price)

        state = {}
        for side in SIDES:
            for edge in edges:
                swish = blocks[side, edge][0] / (1 + (-blocks[side, edge][0]).exp())
                learned = inputs.learned[k, edge]
                state[side, edge] = torch.cat(
                    [
                        swish,
                        attended[side, edge],
                        sample[edge],
                        a.random_scale * inputs.random[k, side, edge],
                        learned if side == "q" else torch.zeros_like(learned),
                        positions(edge, shape, a),
                    ]
                )

    out = {edge: hyperweights["weight_out"] @ state["p", edge] + hyperweights["bias_out"] for edge in edges}
    weights, biases = [], []
    for layer, (n, m) in enumerate(itertools.pairwise(shape)):
        weights.append(torch.stack([torch.stack([out[layer, i, j][0] for j in range(m)]) for i in range(n)]))
        biases.append(torch.stack([sum(out[layer, i, j][1] for i in range(n)) / n for j in range(m)]))
    return Generated(weights, biases, paid)
