"""The KL attentional hypernetwork as appendices B.2 and B.2.1 say it: hyperweights in, weights of an MLP out.

The state is one hyperactivation vector per edge (l, i, j) of the target and per side of the KL axis: a list with a
tensor ``(seeds, 2 sides, n_l, n_{l+1}, hyperfeatures)`` per layer of the target, side 0 the encoder q and side 1 the
decoder p. What trains and generates is `hyperlib.fast.hypernetwork.FastHypernetwork`, which the tests hold to this one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import scaled_dot_product_attention, silu, softplus

from .checks import DOUBLE, FLOAT, check_numbers, expect
from .network import Shape, check_shape

ENCODER, DECODER = 0, 1
SIGMA_FLOOR = 1e-6  # keeps sigma^2 of the KL channel representable in float32 when softplus underflows


class Block(NamedTuple):
    """A block of a hyperlayer: hyperfeatures that the linear map gives it, and hyperfeatures that it gives on."""

    name: str
    width_in: int
    width_out: int


@dataclass(frozen=True)
class Architecture:
    """Sizes and initial scales of the hypernetwork; the defaults are the paper's where it gives a number.

    Attributes:
        hyperdepth: number of hyperlayers N'.
        elementwise: hyperfeatures of the elementwise (swish) block.
        random: hyperfeatures of the random block.
        attention: size of each key, query and value.
        learned: learned hyperfeatures per edge on the encoder side.
        channel: hyperfeatures of the KL channel.
        periods: periods of the sinusoidal positional encoding; each gives a sine and a cosine.
        random_scale: standard deviation of the random block.
        shared_random: whether both sides read the decoder's random numbers; otherwise each has its own, and what it
            makes of them is something the other cannot know, which has its price.
        sigma_shift: c in sigma = softplus(s + c).
        output_scale: initial scale of the last linear map, relative to 1/sqrt(fan in).
        reference_width: if positive, the last layer's weights are multiplied by ``reference_width / n_{N-1}``, so that
            the output is a mean over hidden neurons.
        gain: factor on the first layer's weights and all hidden biases, by which the last layer's weights are divided.
            At 1 a network begins within the bend of its activation, where it has no kink to offer.

    Example:
        >>> import hyperlib as hl
        >>> hl.Architecture(random_scale=0.6).width_out  # hyperfeatures that leave a hyperlayer
        62
    """

    hyperdepth: int = 4
    elementwise: int = 20
    random: int = 5
    attention: int = 5
    learned: int = 5
    channel: int = 4
    periods: tuple[float, ...] = (2.0, 4.0, 8.0)
    random_scale: float = 0.7
    sigma_shift: float = -0.75
    output_scale: float = 0.5
    reference_width: int = 0
    gain: float = 4.0
    shared_random: bool = False

    def __post_init__(self) -> None:
        try:
            periods = tuple(float(period) for period in self.periods)
        except (TypeError, ValueError):
            periods = ()
        right = not isinstance(self.periods, str) and periods and all(0 < period < math.inf for period in periods)
        expect(bool(right), "periods", self.periods, "positive finite numbers, at least one")
        object.__setattr__(self, "periods", periods)
        check_numbers(self)
        expect(self.hyperdepth >= 2, "hyperdepth", self.hyperdepth, "at least 2")
        for name in ("elementwise", "random", "attention", "learned", "channel"):
            expect(getattr(self, name) >= 1, name, getattr(self, name), "at least 1 hyperfeature")
        expect(self.reference_width >= 0, "reference_width", self.reference_width, "0 (off) or a number of neurons")
        expect(self.gain > 0, "gain", self.gain, "a positive number")

    @property
    def position(self) -> int:
        """Hyperfeatures of one positional encoding."""
        return 2 * len(self.periods)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of a hyperlayer in their order, from which everything takes its widths and offsets."""
        return (
            Block("elementwise", self.elementwise, self.elementwise),
            Block("attention", 6 * self.attention, 2 * self.attention),
            Block("channel", 2 * self.channel, self.channel),
            Block("random", 0, self.random),
            Block("learned", 0, self.learned),
            Block("position of i", 0, self.position),
            Block("position of j", 0, self.position),
            Block("position of l", 0, self.position),
        )

    @property
    def width_in(self) -> int:
        """Hyperfeatures that the linear map gives to the blocks."""
        return sum(block.width_in for block in self.blocks)

    @property
    def width_out(self) -> int:
        """Hyperfeatures that leave a hyperlayer: those of its blocks, concatenated."""
        return sum(block.width_out for block in self.blocks)

    def place(self, name: str, out: bool = True) -> slice:
        """Where a block stands among the hyperfeatures that leave a hyperlayer, or that enter the blocks."""
        first = 0
        for block in self.blocks:
            width = block.width_out if out else block.width_in
            if block.name == name:
                return slice(first, first + width)
            first += width
        raise KeyError(name)


def encode(index: Tensor, periods: Sequence[float]) -> Tensor:
    """Sinusoidal code ``(2 len(periods), ...)`` of whole numbers ``index`` ``(...)``."""
    angle = torch.stack([2 * math.pi * index / period for period in periods])
    return torch.cat([angle.sin(), angle.cos()])


def linear(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """A linear map of the last axis of x ``(seeds, ..., in)``, with weights ``(seeds, out, in)`` for every seed."""
    return (x.flatten(1, -2) @ weight.mT + bias[:, None]).unflatten(1, x.shape[1:-1])


class Hypernetwork:
    """The hypernetwork for targets of one shape. It holds no parameters: hyperweights are handed to it.

    Attributes:
        shape: layer sizes of the target network.
        edges: number of edges of the target network.
        layers: per layer of the target the number of its first edge, n_l and n_{l+1}; j counts faster than i.
        shared_sizes: name -> shape of the hyperweights that do not depend on the target's shape.
        sizes: the same for all hyperweights, learned vectors last, in the order in which they are flattened.

    Example:
        >>> import hyperlib as hl
        >>> hypernetwork = hl.Hypernetwork((16, 48, 1))
        >>> hypernetwork.edges == 16 * 48 + 48
        True
        >>> hypernetwork.count(hypernetwork.sizes)  # hyperweights, which the hyperhypernetwork gives
        23386
    """

    def __init__(self, shape: Shape, architecture: Architecture | None = None):
        self.shape = check_shape(shape)
        self.architecture = a = architecture or Architecture()
        first = [0, *accumulate(n * m for n, m in pairwise(self.shape))]
        self.layers = [(edge, n, m) for edge, (n, m) in zip(first, pairwise(self.shape), strict=False)]
        self.edges = first[-1]
        self.shared_sizes: dict[str, tuple[int, ...]] = {"bias1": (a.width_in,)}
        for k in range(2, a.hyperdepth + 1):
            self.shared_sizes |= {f"weight{k}": (a.width_in, a.width_out), f"bias{k}": (a.width_in,)}
        self.shared_sizes |= {"weight_out": (2, a.width_out), "bias_out": (2,)}
        # The last hyperlayer has no learned vectors: its encoder side is never read.
        learned = {f"learned{k}": (a.learned, self.edges) for k in range(1, a.hyperdepth)}
        self.sizes = self.shared_sizes | learned

    @staticmethod
    def count(sizes: Mapping[str, tuple[int, ...]]) -> int:
        """Number of scalars in tensors of these sizes."""
        return sum(math.prod(size) for size in sizes.values())

    def unflatten(self, flat: Tensor, sizes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """Named views ``(seeds, *size)`` of a flattened vector ``(seeds, count)``."""
        parts = flat[:, : self.count(sizes)].split([math.prod(size) for size in sizes.values()], dim=1)
        return {name: part.reshape(-1, *size) for (name, size), part in zip(sizes.items(), parts, strict=True)}

    def initial_scale(self) -> Tensor:
        """Standard deviation at the start of each flattened hyperweight ``(count,)``; of maps 1/sqrt(fan in)."""
        a = self.architecture
        scale = {name: 0.1 if name.startswith("bias") else 1 / math.sqrt(a.width_out) for name in self.sizes}
        scale |= {name: 1.0 for name in self.sizes if name.startswith("learned")}
        scale |= {"bias1": 1.0, "bias_out": 0.0}  # the first alone tells the features of its hyperlayer apart
        scale["weight_out"] *= a.output_scale
        return torch.cat([torch.full((math.prod(size),), scale[name], **FLOAT) for name, size in self.sizes.items()])

    def scaled(self, weights: list[Tensor], biases: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """What the last hyperlayer gives, with the factors of `Architecture`: ``gain`` and ``reference_width``."""
        a = self.architecture
        last = a.reference_width / self.shape[-2] if a.reference_width else 1.0
        if len(weights) > 1 and a.gain != 1:
            weights = [weights[0] * a.gain, *weights[1:]]
            biases = [*(bias * a.gain for bias in biases[:-1]), biases[-1]]
            last /= a.gain
        return [*weights[:-1], weights[-1] * last], biases

    @property
    def noise_size(self) -> int:
        """Standard normal numbers that one generated network consumes."""
        a = self.architecture
        return (a.hyperdepth * (a.channel + 2 * a.random) - a.random) * self.edges

    def noise_views(self, noise: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Noise ``(seeds, noise_size)`` by hyperlayer: of the channel ``(seeds, channel, edges)`` and the random block.

        The latter is ``(seeds, random, sides, edges)``, at the last hyperlayer for the decoder only.
        """
        a, rows, first = self.architecture, noise.unflatten(1, (-1, self.edges)), 0
        views = []
        for k in range(1, a.hyperdepth + 1):
            sides = 1 if k == a.hyperdepth else 2
            channel, random = rows[:, first : (first := first + a.channel)], rows[:, first : first + sides * a.random]
            first += sides * a.random
            of_sides = random.reshape(-1, a.random, sides, self.edges)
            views.append((channel, of_sides[:, :, -1:].expand_as(of_sides) if a.shared_random else of_sides))
        return views

    def of_layer(self, rows: Tensor, layer: int) -> Tensor:
        """One layer's part ``(seeds, ..., n_l, n_{l+1}, hyperfeatures)`` of ``(seeds, hyperfeatures, ..., edges)``."""
        first, n, m = self.layers[layer]
        return rows[..., first : first + n * m].unflatten(-1, (n, m)).movedim(1, -1)

    def generate(
        self, hyperweights: Mapping[str, Tensor], noise: Tensor, encoder: bool = True
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Weights, biases and accumulated KL (nats) of one generated network per seed.

        Args:
            hyperweights: named tensors with a leading seed axis; learned vectors may be absent with the encoder off.
            noise: ``(seeds, noise_size)`` standard normal numbers.
            encoder: whether samples come from q. Without the encoder they come from p and no KL is paid (2.3).

        Returns:
            Per layer of the target weights ``(seeds, n_l, n_{l+1})`` and biases ``(seeds, n_{l+1})``; KL ``(seeds,)``.
        """
        seeds, kl = noise.shape[0], noise.new_zeros(noise.shape[0])
        state = [noise.new_zeros(seeds, 2, n, m, 0) for _, n, m in self.layers]  # the first hyperlayer has no input
        for k, (channel_noise, random) in enumerate(self.noise_views(noise), start=1):
            state, paid = self.hyperlayer(k, state, hyperweights, channel_noise, random, encoder)
            kl = kl + paid
        # Two hyperfeatures per edge, from the decoder side: the weight, and the bias before it is averaged over i.
        out = [linear(hyperweights["weight_out"], hyperweights["bias_out"], x[:, DECODER]) for x in state]
        weights, biases = [x[..., 0] for x in out], [x[..., 1].mean(1) for x in out]
        return *self.scaled(weights, biases), kl

    def hyperlayer(
        self,
        k: int,
        state: list[Tensor],
        hyperweights: Mapping[str, Tensor],
        channel_noise: Tensor,
        random: Tensor,
        encoder: bool,
    ) -> tuple[list[Tensor], Tensor]:
        """Hyperlayer k = 1 ... N': a linear map, cut into blocks, every block through its operation, concatenated.

        Args:
            state: per layer of the target ``(seeds, 2, n, m, hyperfeatures)``.
            channel_noise, random: its part of `noise_views`.

        Returns:
            The next state, and the KL in nats that this hyperlayer adds to the accumulator ``(seeds,)``.
        """
        a, h = self.architecture, hyperweights
        weight = h[f"weight{k}"] if k > 1 else h["bias1"].new_zeros(*h["bias1"].shape, 0)
        inner = [linear(weight, h[f"bias{k}"], x) for x in state]  # the same map for all edges and both sides
        swish, heads, latent = ([x[..., a.place(b.name, out=False)] for x in inner] for b in a.blocks if b.width_in)
        mu, spread = zip(*(x.chunk(2, dim=-1) for x in latent), strict=True)
        attended = self.attend(k, heads)
        blank = channel_noise.new_zeros(channel_noise.shape[0], a.learned, self.edges)
        on_encoder = h.get(f"learned{k}", blank) if encoder else blank  # at the last hyperlayer there are none
        learned = torch.stack([on_encoder, blank], dim=2)  # zeros on the decoder side

        new_state, kl = [], channel_noise.new_zeros(channel_noise.shape[0])
        for layer, both_sides in enumerate(swish):
            sample, paid = self.channel(mu[layer], spread[layer], self.of_layer(channel_noise, layer), encoder)
            kl = kl + paid
            made = {
                "elementwise": silu(both_sides),
                "attention": attended[layer],
                "channel": sample[:, None],
                "random": a.random_scale * self.of_layer(random, layer),
                "learned": self.of_layer(learned, layer),
            } | {f"position of {of}": code.to(sample) for of, code in zip("ijl", self.positions(layer), strict=True)}
            blocks = [made[b.name].expand(*both_sides.shape[:-1], b.width_out) for b in a.blocks]
            new_state.append(torch.cat(blocks, dim=-1))
        return new_state, kl

    def attend(self, k: int, heads: Sequence[Tensor]) -> list[Tensor]:
        """Self-attention of hyperlayer k at every neuron over the edges that touch it.

        Heads are per layer of the target ``(seeds, 2, n, m, 6 d)``: query, key and value (d each) for the neuron in
        front, then for the one behind; so is what the two neurons give ``(seeds, 2, n, m, 2 d)``.
        """
        d, depth = self.architecture.attention, len(self.layers)
        front: list[Tensor] = []  # per layer (seeds, 2, n, m, d), as is behind
        behind: list[Tensor] = []
        for level, _ in enumerate(self.shape):
            tokens = []  # per side of the neurons of this level (seeds, 2, neurons, edges, 3 d)
            if level > 0:
                tokens.append(heads[level - 1][..., : 3 * d].transpose(2, 3))
            if level < depth:
                tokens.append(heads[level][..., 3 * d :])
            result = self.heard(k, level, torch.cat(tokens, dim=3))
            if level > 0:
                front.append(result[..., : tokens[0].shape[3], :].transpose(2, 3))
            if level < depth:
                behind.append(result[..., -tokens[-1].shape[3] :, :])
        return [torch.cat(pair, dim=-1) for pair in zip(front, behind, strict=True)]

    def heard(self, k: int, level: int, tokens: Tensor) -> Tensor:
        """What the edges at the neurons of a level learn of each other: ``(seeds, 2, neurons, edges, 3 d)`` to d."""
        query, key, value = tokens.flatten(0, 1).chunk(3, dim=-1)
        return scaled_dot_product_attention(query, key, value).unflatten(0, (-1, 2))  # softmax(q k / sqrt(d)) v

    def channel(self, mu: Tensor, spread: Tensor, noise: Tensor, encoder: bool) -> tuple[Tensor, Tensor]:
        """The KL channel (B.2.1): a sample ``(seeds, n, m, channel)`` for both sides, and KL(q‖p) in nats ``(seeds,)``.

        mu and spread are ``(seeds, 2, n, m, channel)``, sigma = softplus(spread + c); noise ``(seeds, n, m, channel)``.
        """
        sigma = softplus(spread + self.architecture.sigma_shift) + SIGMA_FLOOR
        q, p = (Normal(mu[:, side], sigma[:, side], validate_args=False) for side in (ENCODER, DECODER))
        if not encoder:
            return p.loc + p.scale * noise, noise.new_zeros(noise.shape[0])
        return q.loc + q.scale * noise, kl_divergence(q, p).sum((1, 2, 3))

    def positions(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes of i (at the first layer, else zeros), j (at the last) and l, each ``(n_l, n_{l+1}, position)``."""
        periods, (_, n, m) = self.architecture.periods, self.layers[layer]
        of_i, of_j = (encode(torch.arange(size, **DOUBLE), periods).T for size in (n, m))
        of_l = encode(torch.tensor(layer, **DOUBLE), periods)
        of_i, of_j = of_i * (layer == 0), of_j * (layer == len(self.layers) - 1)
        return of_i[:, None].expand(n, m, -1), of_j.expand(n, m, -1), of_l.expand(n, m, -1)
