"""The target network: a plain MLP whose weights are tensors with leading batch axes (section 2 and B.2)."""

from __future__ import annotations

import contextlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import check_type, expect

Shape = tuple[int, ...]

# Between the layers of a target network: the function, and the module that torch has for it.
_KNOWN: dict[str, tuple[Callable[[Tensor], Tensor], type[nn.Module]]] = {
    "swish": (F.silu, nn.SiLU),
    "relu": (F.relu, nn.ReLU),
    "gelu": (F.gelu, nn.GELU),
    "tanh": (torch.tanh, nn.Tanh),
    "sigmoid": (torch.sigmoid, nn.Sigmoid),
    "softplus": (F.softplus, nn.Softplus),
}
ACTIVATIONS = {name: function for name, (function, _) in _KNOWN.items()}
TRANSPOSE = "the transpose of torch.nn.Linear.weight"
MODULES = {name: module for name, (_, module) in _KNOWN.items()}


def check_activation(name: object) -> str:
    """``name`` itself, or ValueError if it names no activation of `ACTIVATIONS`."""
    expect(isinstance(name, str) and name in ACTIVATIONS, "activation", name, f"one of {', '.join(ACTIVATIONS)}")
    return str(name)


def check_shape(shape: Sequence[int]) -> Shape:
    """``shape`` as a tuple of at least two positive layer sizes ``(n_0, ..., n_N)``, or ValueError."""
    with contextlib.suppress(TypeError):  # one number is no sequence, and what is no whole number has no index
        sizes = tuple(shape)
        whole = tuple(operator.index(n) for n in sizes if not isinstance(n, bool))
        if len(whole) == len(sizes) >= 2 and min(whole) >= 1:
            return whole
    raise ValueError(f"shape is {shape!r}; expected at least two positive whole numbers, such as (16, 48, 1)")


@dataclass(eq=False)
class Network:
    """An MLP of shape ``(n_0, ..., n_N)``, one activation between its layers and none on the output.

    Networks are equal if all numbers and the activation are.

    Attributes:
        weights: one tensor ``(..., n_l, n_{l+1})`` per layer, ``W_ij`` from neuron i to neuron j as in equations 4 to
            7: the transpose of ``torch.nn.Linear.weight``.
        biases: one tensor ``(..., n_{l+1})`` per layer.
        kl: accumulated KL divergence in nats, shape ``(...)``, or None for a network that no hypernetwork generated.
        activation: a name in `ACTIVATIONS`.

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
    activation: str = "swish"

    def __post_init__(self) -> None:
        check_activation(self.activation)
        for name in ("weights", "biases"):
            check_type(name, getattr(self, name), (list, tuple), "a list with a tensor per layer")
        self.weights, self.biases = list(self.weights), list(self.biases)
        if len(self.weights) != len(self.biases) or not self.weights:
            found = f"{len(self.weights)} weight and {len(self.biases)} bias tensors"
            raise ValueError(f"got {found}; expected one of each per layer")
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            for kind, tensor in (("weight", weight), ("bias", bias)):
                name, expected = f"{kind} of layer {layer}", "a dense tensor of floating point numbers, 16 bits or more"
                check_type(name, tensor, Tensor, expected)
                dense = tensor.layout == torch.strided and not tensor.is_meta
                if not dense or not tensor.is_floating_point() or tensor.itemsize < 2:
                    found = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
                    raise TypeError(f"{name} is {found}; expected {expected}")
            if weight.ndim < 2 or weight.shape[:-2] + weight.shape[-1:] != bias.shape:
                found = f"layer {layer}: weight has shape {tuple(weight.shape)} and bias {tuple(bias.shape)}"
                raise ValueError(f"{found}; expected (..., n_in, n_out), {TRANSPOSE}, and (..., n_out)")
            if weight.dtype != bias.dtype:
                raise TypeError(f"layer {layer}: weight is {weight.dtype} and bias {bias.dtype}; expected one dtype")
            of, first = ((tuple(one.shape[:-2]), one.dtype) for one in (weight, self.weights[0]))
            expect(of == first, f"layer {layer}: (batch axes, dtype)", of, f"those of layer 0, {first}")
            if layer and (before := self.weights[layer - 1].shape[-1]) != weight.shape[-2]:
                found = f"layer {layer} takes {weight.shape[-2]} inputs, but the layer before gives {before}"
                raise ValueError(f"{found} (weights are (n_in, n_out), {TRANSPOSE})")
        if self.kl is not None:
            kl = tuple(self.kl.shape) if isinstance(self.kl, Tensor) else self.kl
            expect(kl == tuple(self.batch_shape), "kl", kl, f"a tensor {tuple(self.batch_shape)}, a value per network")

    @property
    def shape(self) -> Shape:
        """Layer sizes ``(n_0, ..., n_N)``."""
        return (self.weights[0].shape[-2], *(weight.shape[-1] for weight in self.weights))

    @property
    def batch_shape(self) -> torch.Size:
        """The leading axes that all tensors share: one network per index."""
        return self.weights[0].shape[:-2]

    def __getitem__(self, index: Any) -> Network:
        """The networks at ``index`` of the leading batch axes; IndexError without such axes, or outside them."""
        if not self.batch_shape:
            raise IndexError("the network has no batch axes; it is a single one")
        return self.map(lambda tensor: tensor[index])

    def __len__(self) -> int:
        """The length of the first batch axis; TypeError if there is none."""
        if not self.batch_shape:
            raise TypeError("the network has no batch axes; it is a single one, and has no length")
        return self.batch_shape[0]

    def __bool__(self) -> bool:
        return True  # also a single network, which has no length

    def __iter__(self) -> Iterator[Network]:
        return (self[index] for index in range(len(self)))

    def _tensors(self) -> list[Tensor]:
        return [*self.weights, *self.biases, *([] if self.kl is None else [self.kl])]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        mine, theirs = self._tensors(), other._tensors()
        same = self.activation == other.activation and len(mine) == len(theirs)
        return same and all(map(torch.equal, mine, theirs))

    def __hash__(self) -> int:
        return hash((self.shape, self.batch_shape, self.activation))

    def map(self, function: Callable[[Tensor], Tensor]) -> Network:
        """The network with ``function`` applied to every tensor."""
        kl = None if self.kl is None else function(self.kl)
        weights, biases = [function(w) for w in self.weights], [function(b) for b in self.biases]
        return Network(weights, biases, kl, self.activation)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs ``(..., batch, n_N)`` of inputs ``(batch, n_0)`` or ``(..., batch, n_0)``.

        TypeError for another dtype than that of the weights, ValueError if the last axis of x is not n_0.
        """
        self._check_dtype("x", x)
        if x.ndim < 2 or x.shape[-1] != self.shape[0]:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., batch, {self.shape[0]})")
        return forward(self.weights, self.biases, x, self.activation)

    def _check_dtype(self, name: str, value: Tensor) -> None:
        check_type(name, value, Tensor, "a torch.Tensor")
        if value.dtype != self.weights[0].dtype:
            raise TypeError(f"{name} is {value.dtype}; expected {self.weights[0].dtype}, the dtype of the weights")

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Normalised mean squared error ``(...)`` against targets y ``(batch, n_N)``; errors as for a call."""
        self._check_dtype("y", y)
        out = self(x)
        if y.shape[-2:] != out.shape[-2:]:
            raise ValueError(f"y has shape {tuple(y.shape)}; expected (..., {out.shape[-2]}, {out.shape[-1]})")
        return (out - y).square().mean((-2, -1))

    def named(self) -> dict[str, Tensor]:
        """The tensors of the layers under the names that files give them: ``weight0``, ``bias0``, ``weight1``, ..."""
        layers = enumerate(zip(self.weights, self.biases, strict=True))
        return {f"{kind}{k}": t for k, pair in layers for kind, t in zip(("weight", "bias"), pair, strict=True)}

    @classmethod
    def of_named(cls, tensors: Mapping[str, Tensor], kl: Tensor | None = None, activation: str = "swish") -> Network:
        """The network that has the tensors of `named`; KeyError if one of a layer is missing."""
        layers = range(sum(name.startswith("weight") for name in tensors))
        weights, biases = ([tensors[f"{kind}{k}"] for k in layers] for kind in ("weight", "bias"))
        return cls(weights, biases, kl, activation)

    @classmethod
    def from_json(cls, text: str, dtype: torch.dtype = torch.float32) -> Network:
        """The network from the JSON of the book's running hypernetwork, weights and biases per layer; or ValueError."""
        try:
            found = json.loads(text)
            tensor = partial(torch.tensor, dtype=dtype)
            weights, biases = (list(map(tensor, found[name])) for name in ("weights", "biases"))
            kl = None if found.get("kl") is None else tensor(found["kl"])
            return cls(weights, biases, kl, found.get("activation", "swish"))
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"the text is no network ({error}); expected JSON with weights and biases") from None

    def to_module(self) -> torch.nn.Sequential:
        """A single network (else ValueError) as ``torch.nn.Sequential``, whose weights are transposed."""
        check_single(self)
        layers: list[nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            linear = nn.utils.skip_init(nn.Linear, *weight.shape, dtype=weight.dtype, device=weight.device)
            linear.weight = nn.Parameter(weight.detach().mT.clone(memory_format=torch.contiguous_format))
            linear.bias = nn.Parameter(bias.detach().clone(memory_format=torch.contiguous_format))
            layers += [linear, MODULES[self.activation]()]
        return nn.Sequential(*layers[:-1])

    @classmethod
    def from_module(cls, module: nn.Module) -> Network:
        """The network that a ``torch.nn.Sequential`` of linear layers and one activation computes in evaluation.

        ``Dropout``, ``Identity`` and ``Flatten`` change nothing and are left out; linear layers and ``BatchNorm1d``
        without an activation between them become one layer. Tensors are copied.

        TypeError for a layer of another kind, ValueError for a module that trains, or whose layers come in another
        order or have several activations.
        """
        check_type("module", module, nn.Module, "a torch.nn.Sequential")
        names = {kind: name for name, kind in MODULES.items()}
        maps: list[tuple[Tensor, Tensor]] = []  # weights and biases, in order
        found: list[str] = []  # activations, in order
        for place, layer in module.named_modules(remove_duplicate=False):
            if isinstance(layer, nn.Sequential):
                continue
            what = f"layer {place or 0} of the module is {layer}"
            if isinstance(layer, nn.BatchNorm1d | nn.Linear):
                weight, bias = _affine(layer, what)
                if len(maps) > len(found):  # what comes before has no activation
                    before, shift = maps.pop()
                    weight, bias = before @ weight, shift @ weight + bias
                maps.append((weight, bias))
            elif type(layer) in names:
                plain = getattr(layer, "approximate", "none") == "none" and getattr(layer, "beta", 1) == 1
                if len(maps) != len(found) + 1 or not plain:
                    raise ValueError(f"{what}; expected one plain activation behind every linear layer but the last")
                found.append(names[type(layer)])
            elif not isinstance(layer, nn.Dropout | nn.Identity | nn.Flatten):
                known = ", ".join(kind.__name__ for kind in names)
                raise TypeError(f"{what}; expected Linear, one of {known}, BatchNorm1d or Dropout")
            elif isinstance(layer, nn.Dropout) and layer.training and layer.p:
                raise ValueError(f"{what}, in training; call module.eval() first")
        if len(set(found)) > 1:
            raise ValueError(f"the module has the activations {', '.join(dict.fromkeys(found))}; expected one kind")
        if len(maps) != len(found) + 1:
            last = found[-1] if found else "nothing"
            raise ValueError(f"the module ends with {last}; expected a linear layer at the end, without activation")
        weights, biases = ([pair[side] for pair in maps] for side in (0, 1))
        return cls(weights, biases, activation=found[0] if found else "swish")


def _affine(layer: nn.BatchNorm1d | nn.Linear, what: str) -> tuple[Tensor, Tensor]:
    """Weight ``(n_in, n_out)`` and bias of a layer, as copies."""
    if isinstance(layer, nn.Linear):
        weight = layer.weight.detach().mT.clone(memory_format=torch.contiguous_format)
        return weight, weight.new_zeros(weight.shape[-1]) if layer.bias is None else layer.bias.detach().clone()
    if layer.training or layer.running_mean is None or layer.running_var is None:
        raise ValueError(f"{what}, in training; call module.eval() first, with statistics of its own")
    factor = (layer.running_var + layer.eps).rsqrt()
    if not layer.affine:
        return factor.diag(), -layer.running_mean * factor
    factor = factor * layer.weight.detach()
    return factor.diag(), layer.bias.detach() - layer.running_mean * factor


def check_network(value: object) -> None:
    """Raise TypeError unless ``value`` is a `Network`."""
    check_type("net", value, Network, "a Network, such as model.generate(...) returns")


def check_single(value: object, name: str = "the network") -> None:
    """Raise TypeError unless ``value`` is a `Network`, and ValueError unless it is a single one."""
    check_network(value)
    if batch := tuple(value.batch_shape):  # type: ignore[attr-defined]
        raise ValueError(f"{name} has batch axes {batch}; index one network, as in net[0]")


def joined(nets: Sequence[Network], join: Callable[[list[Tensor]], Tensor] = torch.cat) -> Network:
    """Networks of one kind as a batch: ``torch.cat`` along their first batch axis, ``torch.stack`` along a new one."""
    parts = [join(list(tensors)) for tensors in zip(*(net._tensors() for net in nets), strict=True)]
    depth = len(nets[0].weights)
    weights, biases, kl = parts[:depth], parts[depth : 2 * depth], parts[2 * depth :]
    return Network(weights, biases, kl[0] if kl else None, nets[0].activation)


def forward(weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor, activation: str = "swish") -> Tensor:
    """a^(l+1)_j = activation(b^(l)_j + sum_i W^(l)_ij a^(l)_i), without activation at the output (B.2)."""
    act = ACTIVATIONS[activation]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = (act(x) if layer else x) @ weight + bias.unsqueeze(-2)
    return x
