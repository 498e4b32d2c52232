"""The hyperhypernetwork: beta in, hyperweights out (B.2.2), and the trained model that a reader generates from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import silu

from .checks import FLOAT, as_generator, check_beta, check_type, check_whole
from .fast.hypernetwork import FastHypernetwork
from .hypernetwork import Architecture, Hypernetwork
from .network import Network, Shape, check_activation, check_shape

HIDDEN = (100, 10)  # hidden layers of the hyperhypernetwork (B.2.2)
Parameters = dict[str, Tensor]


def parameter_shapes(hypernetwork: Hypernetwork) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of one hyperhypernetwork, see `initial_parameters`."""
    wide, narrow = HIDDEN
    ends = {"map": (narrow + 1, 2 * hypernetwork.count(hypernetwork.sizes))}
    return {"weight1": (wide,), "bias1": (wide,), "weight2": (narrow, wide), "bias2": (narrow,)} | ends


def initial_parameters(hypernetwork: Hypernetwork, seed: int, dtype: torch.dtype = torch.float32) -> Parameters:
    """Parameters of one hyperhypernetwork, without a seed axis.

    The last map is one matrix ``map`` ``(10 + 1, 2 count)``: its last row is the bias, its columns are a and b of every
    hyperweight a sigmoid(b). As b is near 0 at the start, a is drawn at twice the hyperweight's initial scale.
    """
    g = torch.Generator("cpu").manual_seed(seed)
    scale = 2 * hypernetwork.initial_scale()
    wide, narrow = HIDDEN

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=g, **FLOAT)

    parameters = {
        "weight1": normal(wide) * math.sqrt(2),
        "bias1": normal(wide),
        "weight2": normal(narrow, wide) * math.sqrt(2 / wide),
        "bias2": torch.zeros(narrow, **FLOAT),
    }
    rows_a = normal(narrow, len(scale)) * scale * (0.3 / math.sqrt(narrow))
    bias_a = normal(1, len(scale)) * scale
    rows_b = normal(narrow, len(scale)) * (0.3 / math.sqrt(narrow))
    parameters["map"] = torch.cat([torch.cat([rows_a, bias_a]), torch.cat([rows_b, torch.zeros_like(bias_a)])], dim=1)
    return {name: tensor.to(dtype) for name, tensor in parameters.items()}


def hidden_state(small: Mapping[str, Tensor], log_beta: Tensor) -> Tensor:
    """Last hidden layer ``(seeds, 10 + 1)`` of the hyperhypernetwork, with a constant 1 that carries the bias.

    From its other tensors with a leading seed axis, and log10(beta) ``(seeds,)``, of which [-12, 0] becomes [-1, 1].
    """
    z = log_beta[:, None] / 6 + 1
    first = silu(z * small["weight1"] + small["bias1"])
    second = silu((small["weight2"] * first[:, None]).sum(-1) + small["bias2"])
    return torch.cat([second, torch.ones_like(z)], dim=1)


def gate(ab: Tensor) -> Tensor:
    """Flattened hyperweights a sigmoid(b) ``(seeds, count)`` from a and b side by side ``(seeds, 2 count)``."""
    a, b = ab.chunk(2, dim=1)
    return a * b.sigmoid()


def hyperweights(parameters: Parameters, log_beta: Tensor) -> Tensor:
    """Flattened hyperweights ``(seeds, count)`` at log10(beta) ``(seeds,)``."""
    return gate((hidden_state(parameters, log_beta)[:, None] @ parameters["map"])[:, 0])


@dataclass
class ParetoHypernetwork:
    """One trained seed: hyperhypernetwork and hypernetwork together.

    Attributes:
        parameters: the hyperhypernetwork's tensors, without a seed axis.
        shape: the target's shape in training.
        architecture: sizes and scales of the hypernetwork.
        activation: of the target network, a name in `hyperlib.network.ACTIVATIONS`.
        encoder: whether it was trained with one; without, samples come from p.

    Example:
        >>> import hyperlib as hl
        >>> model = hl.load_run("results/l1").model(seed=1007)
        >>> net = model.generate(beta=1e-6)
        >>> hl.classify(net) in hl.PHASES
        True
    """

    parameters: Parameters
    shape: Shape
    architecture: Architecture
    activation: str = "swish"
    encoder: bool = True

    def __post_init__(self) -> None:
        self.shape = check_shape(self.shape)
        check_activation(self.activation)
        hypernetwork = Hypernetwork(self.shape, self.architecture)
        for name, expected in parameter_shapes(hypernetwork).items():
            found = tuple(self.parameters[name].shape) if name in self.parameters else None
            if found != expected:
                needs = f"shape {self.shape} with this architecture needs {expected}"
                raise ValueError(f"parameters[{name!r}] has shape {found}; {needs}")

    def hyperweights(self, beta: float | Sequence[float] | Tensor) -> Tensor:
        """Flattened hyperweights ``(*beta.shape, count)``."""
        log_beta = check_beta(beta).log10().to(self.parameters["map"])
        flat = {name: tensor[None] for name, tensor in self.parameters.items()}
        out = gate(torch.einsum("bk,km->bm", hidden_state(flat, log_beta.reshape(-1)), self.parameters["map"]))
        return out.reshape(*log_beta.shape, -1)

    def generate(
        self,
        beta: float | Sequence[float] | Tensor,
        shape: Sequence[int] | None = None,
        generator: torch.Generator | int = 0,
        encoder: bool | None = None,
        count: int | None = None,
        noise: Tensor | None = None,
    ) -> Network:
        """Generate networks at one or many values of beta, which share the noise.

        Args:
            beta: price of one nat of KL, a number or a tensor ``(...)``.
            shape: layer sizes; the trained shape by default.
            generator: a ``torch.Generator`` or an integer generation seed.
            encoder: sample from q (True) or p (False). By default on for the trained shape and off for others.
            count: number of networks per beta, at least 1; adds an axis in front.
            noise: ``(count or 1, noise_size)`` numbers to use instead of drawing them.

        Returns:
            A `Network` with batch axes ``(count, *beta.shape)`` (``count`` only if given) and its KL in nats.

        TypeError for a generator or noise of another kind, ValueError for a beta that is not positive and finite, a
        shape that is none, or ``encoder=True`` with a shape or a model that has no learned vectors.

        Example:
            >>> import hyperlib as hl
            >>> model = hl.load_run("results/l1").model(seed=1007)
            >>> net = model.generate(beta=[1e-9, 1e-6, 1e-3], generator=0)
            >>> net.batch_shape, net.shape
            (torch.Size([3]), (16, 48, 1))
            >>> model.generate(beta=1e-6, shape=(24, 96, 1)).shape  # with the encoder off
            (24, 96, 1)
        """
        shape = self.shape if shape is None else check_shape(shape)
        encoder = self.encoder and shape == self.shape if encoder is None else encoder
        if encoder and not self.encoder:
            raise ValueError("encoder=True, but the hypernetwork was trained without one; use encoder=False")
        if encoder and shape != self.shape:
            why = f"the learned vectors belong to the trained shape {self.shape}; use encoder=False (section 2.4)"
            raise ValueError(f"encoder=True with shape {shape}: {why}")
        flat = self.hyperweights(beta)
        betas, copies = flat.shape[:-1], 1 if count is None else check_whole("count", count, least=1)
        trained, target = (FastHypernetwork(s, self.architecture) for s in (self.shape, shape))
        size = copies, target.noise_size
        if noise is None:
            drawn = as_generator(generator)
            noise = torch.randn(size, generator=drawn, device=drawn.device, dtype=torch.float32).to(flat)
        check_type("noise", noise, Tensor, "a torch.Tensor")
        if noise.shape != size or noise.dtype != flat.dtype:
            raise ValueError(f"noise is {noise.dtype} {tuple(noise.shape)}; expected {flat.dtype} {size}")
        flat = flat.reshape(1, -1, flat.shape[-1])
        pairs = copies * flat.shape[1]
        noise = noise[:, None].expand(-1, flat.shape[1], -1).reshape(pairs, -1)
        named = trained.unflatten(flat.expand(copies, -1, -1).reshape(pairs, -1), trained.sizes)
        weights, biases, kl = target.generate(named, noise, encoder)
        lead = betas if count is None else (copies, *betas)
        weights = [w.reshape(*lead, *w.shape[1:]) for w in weights]
        return Network(weights, [b.reshape(*lead, -1) for b in biases], kl.reshape(lead), self.activation)

    def to(self, device: str | torch.device) -> ParetoHypernetwork:
        """This model on another device; noise that it draws from integer seeds stays that of the CPU."""
        return self.map(lambda tensor: tensor.to(device))

    def map(self, function: Callable[[Tensor], Tensor]) -> ParetoHypernetwork:
        """This model with ``function`` applied to every tensor."""
        return replace(self, parameters={name: function(tensor) for name, tensor in self.parameters.items()})
