"""The hypernetwork that training uses: the state is ``(seeds, features, sides, edges)``, features first.

So every block of a hyperlayer is contiguous and one matrix product per hyperlayer serves all edges and sides. Three
things are not computed, because they are known beforehand:

* The first hyperlayer has no input, so its linear map is a bias, the same on every edge. Its elementwise block is one
  constant vector, its attention depends on the layer alone, and its KL is zero since q and p coincide.
* Positions are known per input, output and layer, and so is what a hyperlayer makes of them (and of those constants):
  `FastHypernetwork.spread` adds it to the edges, instead of a matrix product over all edges and both sides.
* Only the decoder side is read out at the end, so the last hyperlayer's encoder side needs just mu and sigma.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus

from ..hypernetwork import DECODER, ENCODER, SIGMA_FLOOR, Hypernetwork, encode
from .attention import attention, usable


def softmax_attend(query: Tensor, key: Tensor, value: Tensor, last: bool) -> Tensor:
    """One attention head per neuron over its T edges.

    Query, key and value are ``(seeds, d, sides, neurons, T)`` if ``last``, else ``(seeds, d, sides, T, neurons)``. The
    sum over the few features is written out, which the compiler fuses with the softmax.
    """
    ask, give = (-1, -2) if last else (-2, -3)
    terms = [query[:, d].unsqueeze(ask) * key[:, d].unsqueeze(give) for d in range(query.shape[1])]
    weight = (sum(terms) / math.sqrt(query.shape[1])).softmax(ask)  # type: ignore[union-attr]
    return torch.stack([(weight * value[:, d].unsqueeze(give)).sum(ask) for d in range(value.shape[1])], dim=1)


class FastHypernetwork(Hypernetwork):
    """A `Hypernetwork` that gives the same networks sooner."""

    def codes(self, like: Tensor) -> Tensor:
        """Codes of every input i, every output j and every layer l, ``(3 position, n_0 + n_N + layers)``.

        The blocks stand on the diagonal: rows of the position of i, j and l, zeros elsewhere.
        """
        kind: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
        counts = (self.shape[0], self.shape[-1], len(self.layers))
        return torch.block_diag(*(encode(torch.arange(n, **kind), self.architecture.periods) for n in counts))

    def spread(self, at: Tensor, per_layer: Tensor | float = 0.0) -> Tensor:
        """From numbers per input, output and layer, as the columns of `codes`, to ``(seeds, features, edges)``.

        An edge gets the number of its layer, to which ``per_layer`` is added, in the first layer plus that of its input
        i, in the last plus that of its output j.
        """
        depth, rows = len(self.layers), []
        of_i, of_j, of_layer = at.split([self.shape[0], self.shape[-1], depth], dim=2)
        of_layer = of_layer + per_layer
        for layer, (_, n, m) in enumerate(self.layers):
            value = of_layer[:, :, layer, None, None]
            if layer == 0:
                value = value + of_i[:, :, :, None]
            if layer == depth - 1:
                value = value + of_j[:, :, None]
            rows.append(value.expand(-1, -1, n, m).flatten(2))
        return torch.cat(rows, dim=2)

    def attention(self, heads: Tensor) -> Tensor:
        """Self-attention at every neuron over the edges that touch it, as `hyperlib.fast.attention.attention`."""
        if usable(heads):
            return attention(heads, self.shape)
        d = self.architecture.attention
        seeds, _, sides, _ = heads.shape
        front = [heads[:, : 3 * d, :, e : e + n * m].reshape(seeds, 3 * d, sides, n, m) for e, n, m in self.layers]
        back = [heads[:, 3 * d :, :, e : e + n * m].reshape(seeds, 3 * d, sides, n, m) for e, n, m in self.layers]
        depth = len(self.layers)
        from_front: list[Tensor] = [heads] * depth
        from_back: list[Tensor] = [heads] * depth
        for level, neurons in enumerate(self.shape):
            incoming = front[level - 1] if level else None
            outgoing = back[level] if level < depth else None
            split = self.shape[level - 1] if incoming is not None else 0
            last = neurons < split + (self.shape[level + 1] if outgoing is not None else 0)
            parts = []
            if incoming is not None:
                parts.append(incoming.mT if last else incoming)
            if outgoing is not None:
                parts.append(outgoing if last else outgoing.mT)
            tokens = torch.cat(parts, dim=-1 if last else -2) if len(parts) == 2 else parts[0]
            result = softmax_attend(tokens[:, :d], tokens[:, d : 2 * d], tokens[:, 2 * d :], last)
            if incoming is not None:
                from_front[level - 1] = result[..., :split].mT if last else result[..., :split, :]
            if outgoing is not None:
                from_back[level] = result[..., split:] if last else result[..., split:, :].mT
        ends = [[part.reshape(seeds, d, sides, -1) for part in side] for side in (from_front, from_back)]
        return torch.cat([torch.cat(parts, dim=-1) for parts in ends], dim=1)

    def constant_attention(self, heads: Tensor) -> Tensor:
        """Self-attention when all edges carry the same six vectors: ``(seeds, 6 d)`` -> ``(seeds, 2 d, layers)``.

        A neuron then sees two kinds of tokens, n_{l-1} alike in front and n_{l+1} alike behind.
        """
        qf, kf, vf, qb, kb, vb = heads.unflatten(1, (6, -1)).unbind(1)
        root, depth = math.sqrt(qf.shape[1]), len(self.layers)
        columns = []
        for layer in range(depth):
            ends = []
            for query, level in ((qf, layer + 1), (qb, layer)):
                before = self.shape[level - 1] if level else 0
                behind = self.shape[level + 1] if level < depth else 0
                if not before or not behind:
                    ends.append(vf if before else vb)
                    continue
                gap = (query * (kf - kb)).sum(1, keepdim=True) / root + math.log(before / behind)
                share = gap.sigmoid()
                ends.append(share * vf + (1 - share) * vb)
            columns.append(torch.cat(ends, dim=1))
        return torch.stack(columns, dim=-1)

    def generate(
        self, hyperweights: Mapping[str, Tensor], noise: Tensor, encoder: bool = True
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """As `Hypernetwork.generate`."""
        a, h, depth = self.architecture, hyperweights, len(self.layers)
        seeds, edges, sides = noise.shape[0], self.edges, 2 if encoder else 1
        draws = self.noise_views(noise)
        codes = self.codes(noise)
        kl = noise.new_zeros(seeds)

        # First hyperlayer: constants, apart from noise, learned vectors and positions.
        swish, heads, latent = (a.place(name, out=False) for name in ("elementwise", "attention", "channel"))
        mu, spread = h["bias1"][:, latent].chunk(2, dim=1)
        channel, random = draws[0]
        sample = mu[..., None] + self._sigma(spread)[..., None] * channel
        elementwise = silu(h["bias1"][:, swish])[..., None].expand(-1, -1, depth)
        constants = torch.cat([elementwise, self.constant_attention(h["bias1"][:, heads])], dim=1)
        state = self._collect([], sample, random, h, 1, encoder)

        moving = a.place("position of i").start  # hyperfeatures in front of the positions
        for k in range(2, a.hyperdepth + 1):
            weight, bias = h[f"weight{k}"], h[f"bias{k}"][..., None]
            first = 0
            if k == 2:  # the constants are no rows of the state
                first = a.place("channel").start
                bias = bias + weight[:, :, :first] @ constants
            still = self.spread(weight[:, :, moving:] @ codes, bias)
            weight = weight[:, :, first:moving]
            channel, random = draws[k - 1]
            if k < a.hyperdepth:
                inner = (weight @ state.flatten(2)).unflatten(2, (sides, edges)) + still[:, :, None]
                both = inner[:, latent]
            else:
                inner = (weight @ state[:, :, -1] + still)[:, :, None]
                both = inner[:, latent]
                if encoder:
                    q = weight[:, latent] @ state[:, :, ENCODER] + still[:, latent]
                    both = torch.cat([q[:, :, None], both], dim=2)
            sample, paid = self._channel(both, channel, encoder)
            kl = kl + paid
            computed = [silu(inner[:, swish]), self.attention(inner[:, heads])]
            if k < a.hyperdepth:
                state = self._collect(computed, sample, random, h, k, encoder)
        decoder = torch.cat([part[:, :, 0] for part in computed] + [sample, a.random_scale * random[:, :, 0]], dim=1)
        weight = h["weight_out"]
        still = self.spread(weight[:, :, moving:] @ codes, h["bias_out"][..., None])
        out = weight[:, :, : decoder.shape[1]] @ decoder + still
        weights = [out[:, 0, e : e + n * m].reshape(seeds, n, m) for e, n, m in self.layers]
        biases = [out[:, 1, e : e + n * m].reshape(seeds, n, m).mean(1) for e, n, m in self.layers]
        return *self.scaled(weights, biases), kl

    def _sigma(self, spread: Tensor) -> Tensor:
        return softplus(spread + self.architecture.sigma_shift) + SIGMA_FLOOR

    def _channel(self, latent: Tensor, noise: Tensor, encoder: bool) -> tuple[Tensor, Tensor]:
        """The KL channel: a sample ``(seeds, channel, edges)`` for both sides and KL(q‖p) in nats ``(seeds,)``."""
        mu, spread = latent.chunk(2, dim=1)
        sigma = self._sigma(spread)
        if not encoder:
            return mu[:, :, -1] + sigma[:, :, -1] * noise, noise.new_zeros(noise.shape[0])
        sample = mu[:, :, ENCODER] + sigma[:, :, ENCODER] * noise
        paid = kl_divergence(mu[:, :, ENCODER], sigma[:, :, ENCODER], mu[:, :, DECODER], sigma[:, :, DECODER])
        return sample, paid.sum((1, 2))

    def _collect(
        self, computed: list[Tensor], sample: Tensor, random: Tensor, h: Mapping[str, Tensor], k: int, encoder: bool
    ) -> Tensor:
        """Blocks of one hyperlayer but the positions ``(seeds, features, sides, edges)``, in the order of `blocks`."""
        seeds, sides = sample.shape[0], 2 if encoder else 1
        random = random if encoder else random[:, :, -1:]
        if encoder:
            learned = torch.stack([h[f"learned{k}"], torch.zeros_like(h[f"learned{k}"])], dim=2)
        else:
            learned = sample.new_zeros(seeds, self.architecture.learned, 1, self.edges)
        both = sample[:, :, None].expand(-1, -1, sides, -1)
        return torch.cat([*computed, both, self.architecture.random_scale * random, learned], dim=1)


def kl_divergence(mu_q: Tensor, sigma_q: Tensor, mu_p: Tensor, sigma_p: Tensor) -> Tensor:
    """KL(q‖p) in nats between normal distributions, elementwise (B.2.1)."""
    ratio = (sigma_q / sigma_p).square()
    return 0.5 * (ratio + ((mu_q - mu_p) / sigma_p).square() - 1 - ratio.log())
