"""The method once more, in plain PyTorch: one seed, features last, everything computed as the paper's text says.

Nothing in the library uses it. It is what an author would write first, the yardstick of ``python -m hyperlib bench``,
and an independent check: given the same parameters and noise it generates the same network as `Hypernetwork`.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import linear, scaled_dot_product_attention, silu, softplus

from ..config import TrainConfig
from ..hyperhypernetwork import Parameters
from ..hypernetwork import DECODER, ENCODER, SIGMA_FLOOR, Hypernetwork, encode
from ..network import Network
from ..task import get_task
from ..training import BETA_DECAY, EPSILON


class PlainHypernetwork(nn.Module):
    """Hyperhypernetwork and hypernetwork of one seed.

    Args:
        config: shape, task and architecture are used.
        parameters: the hyperhypernetwork's tensors without a seed axis, as `initial_parameters` returns them.
    """

    def __init__(self, config: TrainConfig, parameters: Parameters):
        super().__init__()
        self.config, self.layout = config, Hypernetwork(config.shape, config.architecture)
        self.parameters_by_name = nn.ParameterDict({name: nn.Parameter(t.clone()) for name, t in parameters.items()})

    def hyperweights(self, log_beta: Tensor) -> dict[str, Tensor]:
        """Named hyperweights at one log10(beta)."""
        p = self.parameters_by_name
        z = (log_beta / 6 + 1).reshape(1)
        first = silu(linear(z, p["weight1"][:, None], p["bias1"]))
        second = silu(linear(first, p["weight2"], p["bias2"]))
        a, b = (second @ p["map"][:-1] + p["map"][-1]).chunk(2)
        named = self.layout.unflatten((a * b.sigmoid())[None], self.layout.sizes)
        return {name: tensor[0] for name, tensor in named.items()}

    def positions(self, layer: int, n: int, m: int, like: Tensor) -> Tensor:
        """Codes of i, j and l on the edges of one layer, ``(n, m, 3 position)``."""
        periods, width = self.config.architecture.periods, self.config.architecture.position
        i, j = (encode(torch.arange(size).to(like), periods).T for size in (n, m))
        i = i if layer == 0 else torch.zeros(n, width).to(like)
        j = j if layer == len(self.layout.layers) - 1 else torch.zeros(m, width).to(like)
        code = encode(torch.tensor(float(layer)).to(like), periods)
        parts = (i[:, None].expand(n, m, -1), j.expand(n, m, -1), code.expand(n, m, -1))
        return torch.cat(parts, dim=-1)

    def attention(self, heads: list[Tensor]) -> list[Tensor]:
        """Self-attention at every neuron; ``heads[l]`` is ``(2 sides, n, m, 6 d)``, the result ``(2, n, m, 2 d)``."""
        d, depth = self.config.architecture.attention, len(heads)
        front: list[Tensor] = []  # per layer of the target, as is back
        back: list[Tensor] = []
        for level in range(depth + 1):
            tokens = []  # (2 sides, neurons, edges that touch them, 3 d)
            if level:
                tokens.append(heads[level - 1][..., : 3 * d].transpose(1, 2))
            if level < depth:
                tokens.append(heads[level][..., 3 * d :])
            query, key, value = torch.cat(tokens, dim=2).split(d, dim=-1)
            result = scaled_dot_product_attention(query, key, value)
            if level:
                front.append(result[:, :, : tokens[0].shape[2]].transpose(1, 2))
            if level < depth:
                back.append(result[:, :, -tokens[-1].shape[2] :])
        return [torch.cat(pair, dim=-1) for pair in zip(front, back, strict=True)]

    def generate(self, hyperweights: dict[str, Tensor], noise: Tensor) -> Network:
        """One network with the encoder on, from named hyperweights and ``(noise_size,)`` standard normals."""
        a, h, layers = self.config.architecture, hyperweights, self.layout.layers
        draws = self.layout.noise_views(noise[None])
        state: list[Tensor] = [noise] * len(layers)  # overwritten by the first hyperlayer, which has no input
        kl = noise.new_zeros(())
        for k in range(1, a.hyperdepth + 1):
            if k == 1:
                y = [h["bias1"].expand(2, n, m, -1) for _, n, m in layers]
            else:
                y = [linear(x, h[f"weight{k}"], h[f"bias{k}"]) for x in state]
            blocks = [part.split([a.elementwise, 6 * a.attention, a.channel, a.channel], dim=-1) for part in y]
            attended = self.attention([part[1] for part in blocks])
            for layer, (first, n, m) in enumerate(layers):
                span = slice(first, first + n * m)
                elementwise, _, mu, spread = blocks[layer]
                sigma = softplus(spread + a.sigma_shift) + SIGMA_FLOOR
                q, p = (Normal(mu[side], sigma[side], validate_args=False) for side in (ENCODER, DECODER))
                kl = kl + kl_divergence(q, p).sum()
                channel, random = draws[k - 1]
                sample = q.loc + q.scale * channel[0, :, span].T.reshape(n, m, -1)
                random = random[0, :, :, span].permute(1, 2, 0).reshape(-1, n, m, a.random)
                learned = noise.new_zeros(2, n, m, a.learned)
                if k < a.hyperdepth:
                    learned[ENCODER] = h[f"learned{k}"][:, span].T.reshape(n, m, -1)
                state[layer] = torch.cat(
                    [
                        silu(elementwise),
                        attended[layer],
                        sample.expand(2, -1, -1, -1),
                        a.random_scale * random.expand(2, -1, -1, -1),
                        learned,
                        self.positions(layer, n, m, noise).expand(2, -1, -1, -1),
                    ],
                    dim=-1,
                )
        out = [linear(x[DECODER], h["weight_out"], h["bias_out"]) for x in state]
        return Network([part[..., 0] for part in out], [part[..., 1].mean(0) for part in out], kl)

    def objective(self, log_beta: Tensor, noise: Tensor, x: Tensor) -> tuple[Tensor, Network]:
        """log(L + beta KL) of one network on inputs ``(batch, n_0)``."""
        net = self.generate(self.hyperweights(log_beta), noise)
        loss = net.loss(x, get_task(self.config.task).targets(x))
        return (loss + 10**log_beta * cast(Tensor, net.kl)).log(), net


class PlainTraining:
    """Adam on a `PlainHypernetwork`, one seed at a time, with the library's own optimiser and clipping."""

    def __init__(self, config: TrainConfig, parameters: Parameters, seed: int):
        self.model = PlainHypernetwork(config, parameters)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, betas=BETA_DECAY, eps=EPSILON)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self) -> float:
        """One step with beta log-uniform on the whole range; returns the objective."""
        config = self.model.config
        log_beta = 12 * torch.rand((), generator=self.generator) - 12
        noise = torch.randn(self.model.layout.noise_size, generator=self.generator)
        x = torch.randn(config.batch, config.shape[0], generator=self.generator)
        objective, _ = self.model.objective(log_beta, noise, x)
        self.adam.zero_grad()
        objective.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.adam.step()
        return float(objective.detach())
