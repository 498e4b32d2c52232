"""The target network: a plain MLP whose weights are tensors with leading batch axes (section 2 and B.2)."""

from __future__ import annotations

import contextlib
import json
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from .checks import check_tensor

Shape = tuple[int, ...]


def check_shape(shape: Sequence[int]) -> Shape:
    """``shape`` as a tuple of layer sizes ``(n_0, ..., n_N)``.

    Raises:
        ValueError: fewer than two layers, or a size that is not a positive whole number.
    """
    with contextlib.suppress(TypeError):  # one number is no sequence, and what is no whole number has no index
        sizes = tuple(shape)
        whole = tuple(operator.index(n) for n in sizes if not isinstance(n, bool))
        if len(whole) == len(sizes) >= 2 and min(whole) >= 1:
            return whole
    raise ValueError(f"shape is {shape!r}; expected at least two positive whole numbers, such as (16, 48, 1)")


@dataclass
class Network:
    """An MLP of shape ``(n_0, ..., n_N)``, swish between its layers and none on the output.

    ``weights[l]`` has shape ``(..., n_l, n_{l+1})`` and is indexed ``W_ij`` with i the input neuron and j the output
    neuron, as in the paper's equations 4 to 7. This is the transpose of ``torch.nn.Linear.weight``.

    Attributes:
        weights: one tensor ``(..., n_l, n_{l+1})`` per layer.
        biases: one tensor ``(..., n_{l+1})`` per layer.
        kl: accumulated KL divergence in nats, shape ``(...)``, or None for a network that no hypernetwork generated.

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> weights, biases = [torch.eye(2), torch.ones(2, 1)], [torch.zeros(2), torch.zeros(1)]
        >>> net = hl.Network(weights, biases)
        >>> net.shape
        (2, 2, 1)
        >>> net(torch.zeros(5, 2)).shape
        torch.Size([5, 1])
    """

    weights: list[Tensor]
    biases: list[Tensor]
    kl: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("weights", "biases"):
            given = getattr(self, name)
            if isinstance(given, Tensor | str | bytes) or not isinstance(given, Iterable):
                what = "one tensor" if isinstance(given, Tensor) else type(given).__name__
                raise TypeError(f"{name} is {what}; expected a list with a tensor per layer")
        self.weights, self.biases = list(self.weights), list(self.biases)
        if len(self.weights) != len(self.biases) or not self.weights:
            raise ValueError(
                f"got {len(self.weights)} weight and {len(self.biases)} bias tensors; expected one of each per layer"
            )
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            for kind, tensor in (("weight", weight), ("bias", bias)):
                if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
                    found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                    raise TypeError(f"{kind} of layer {layer} is {found}; expected a floating point tensor")
            if weight.ndim < 2 or weight.shape[:-2] + weight.shape[-1:] != bias.shape:
                raise ValueError(
                    f"layer {layer}: weight has shape {tuple(weight.shape)} and bias {tuple(bias.shape)}; "
                    "expected (..., n_in, n_out), the transpose of torch.nn.Linear.weight, and (..., n_out)"
                )
            if weight.dtype != bias.dtype:
                raise TypeError(f"layer {layer}: weight is {weight.dtype} and bias {bias.dtype}; expected one dtype")
            first = self.weights[0]
            if weight.shape[:-2] != first.shape[:-2] or weight.dtype != first.dtype:
                raise ValueError(
                    f"layer {layer} has batch axes {tuple(weight.shape[:-2])} and {weight.dtype}; "
                    f"layer 0 has {tuple(first.shape[:-2])} and {first.dtype}"
                )
            if layer and self.weights[layer - 1].shape[-1] != weight.shape[-2]:
                raise ValueError(
                    f"layer {layer} takes {weight.shape[-2]} inputs, "
                    f"but the layer before gives {self.weights[layer - 1].shape[-1]} "
                    "(weights are (n_in, n_out), the transpose of torch.nn.Linear.weight)"
                )
        if self.kl is not None and (not isinstance(self.kl, Tensor) or self.kl.shape != self.batch_shape):
            kl = tuple(self.kl.shape) if isinstance(self.kl, Tensor) else self.kl
            raise ValueError(f"kl is {kl}; expected a tensor {tuple(self.batch_shape)}, one value per network")

    @property
    def shape(self) -> Shape:
        """Layer sizes ``(n_0, ..., n_N)``."""
        return (self.weights[0].shape[-2], *(weight.shape[-1] for weight in self.weights))

    @property
    def batch_shape(self) -> torch.Size:
        """The leading axes that all tensors share: one network per index."""
        return self.weights[0].shape[:-2]

    def __getitem__(self, index: Any) -> Network:
        """The networks at ``index`` of the leading batch axes.

        Raises:
            IndexError: there are no batch axes, or the index lies outside them.
        """
        if not self.batch_shape:
            raise IndexError("the network has no batch axes; it is a single one")
        return self.map(lambda tensor: tensor[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> Network:
        """The network with ``function`` applied to every tensor."""
        kl = None if self.kl is None else function(self.kl)
        return Network([function(w) for w in self.weights], [function(b) for b in self.biases], kl)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs ``(..., batch, n_N)`` of inputs ``(batch, n_0)`` or ``(..., batch, n_0)``.

        Raises:
            TypeError: x is no tensor, or has another dtype than the weights.
            ValueError: the last axis of x is not n_0.
        """
        check_tensor("x", x)
        if x.dtype != self.weights[0].dtype:
            raise TypeError(f"x is {x.dtype}; expected {self.weights[0].dtype}, the dtype of the weights")
        if x.ndim < 2 or x.shape[-1] != self.shape[0]:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., batch, {self.shape[0]})")
        return forward(self.weights, self.biases, x)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalised mean squared error ``(...)`` against normalised targets y ``(batch, n_N)``.

        Raises:
            TypeError: x or y is no tensor, or has another dtype than the weights.
            ValueError: y does not have the outputs' last two axes.
        """
        check_tensor("y", y)
        out = self(x)
        if y.shape[-2:] != out.shape[-2:]:
            raise ValueError(f"y has shape {tuple(y.shape)}; expected (..., {out.shape[-2]}, {out.shape[-1]})")
        return (out - y).square().mean((-2, -1))

    def _check_single(self) -> None:
        if self.batch_shape:
            raise ValueError(f"the network has batch axes {tuple(self.batch_shape)}; index one network, as in net[0]")

    def to_json(self) -> str:
        """A single network as JSON: an object with ``weights`` and ``biases``, lists per layer, and ``kl`` or null.

        Raises:
            ValueError: the network has batch axes; index it first.
        """
        self._check_single()
        kl = None if self.kl is None else self.kl.item()
        weights, biases = [w.tolist() for w in self.weights], [b.tolist() for b in self.biases]
        return json.dumps({"weights": weights, "biases": biases, "kl": kl})

    @classmethod
    def from_json(cls, text: str, dtype: torch.dtype = torch.float32) -> Network:
        """The network from the text that `to_json` gives, or that the book's running hypernetwork offers.

        Raises:
            ValueError: the text is no such JSON, or see `Network`.

        Example:
            >>> import hyperlib as hl
            >>> net = hl.construct.double_sided(n=2)
            >>> hl.Network.from_json(net.to_json()).shape
            (2, 4, 1)
        """
        try:
            found = json.loads(text)
            parts = {
                name: [torch.tensor(values, dtype=dtype) for values in found[name]] for name in ("weights", "biases")
            }
            kl = found.get("kl")
            return cls(**parts, kl=None if kl is None else torch.tensor(kl, dtype=dtype))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"the text is no network ({error}); expected a JSON object with weights and biases, lists per layer"
            ) from None

    def to_module(self) -> torch.nn.Sequential:
        """A single network as ``torch.nn.Sequential`` with the same outputs (weights are transposed).

        Raises:
            ValueError: the network has batch axes; index it first.

        Example:
            >>> import hyperlib as hl
            >>> hl.construct.double_sided(n=2).to_module()
            Sequential(
              (0): Linear(in_features=2, out_features=4, bias=True)
              (1): SiLU()
              (2): Linear(in_features=4, out_features=1, bias=True)
            )
        """
        self._check_single()
        layers: list[torch.nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = torch.nn.utils.skip_init(torch.nn.Linear, *weight.shape, dtype=weight.dtype)
            linear.weight = torch.nn.Parameter(weight.detach().mT.clone())
            linear.bias = torch.nn.Parameter(bias.detach().clone())
            layers += [linear, torch.nn.SiLU()]
        return torch.nn.Sequential(*layers[:-1])


def check_network(value: object) -> None:
    """Raise TypeError unless ``value`` is a `Network`."""
    if not isinstance(value, Network):
        raise TypeError(f"net is {type(value).__name__}; expected a Network, such as model.generate(...) returns")


def forward(weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor) -> Tensor:
    """a^(l+1)_j = swish(b^(l)_j + sum_i W^(l)_ij a^(l)_i), without swish at the output (B.2)."""
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = (silu(x) if layer else x) @ weight + bias.unsqueeze(-2)
    return x
