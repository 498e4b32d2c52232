"""What the hidden neurons of a network read from its inputs, and whether a hidden layer is more than a relay."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import silu

from ..checks import as_generator
from ..network import Network

READS = 0.8  # share of a neuron's squared weights along a direction from which on it reads that direction
KINDS = ("one input", "sum", "difference", "mixed")
SAMPLES = 8192


def _single(net: Network) -> None:
    if net.batch_shape or len(net.shape) < 3:
        raise ValueError(
            f"the network has shape {net.shape} and batch axes {tuple(net.batch_shape)}; "
            "expected a single one with a hidden layer"
        )


def readings(net: Network, generator: torch.Generator | int = 0) -> pd.DataFrame:
    """What each neuron of the first hidden layer reads: one input, the sum of all, a difference of two, or a mixture.

    Args:
        net: one network with a hidden layer, without batch axes.
        generator: draws the inputs on which activations are measured; a ``torch.Generator`` or an integer seed.

    Returns:
        One row per neuron: ``neuron``; shares of its squared weights along its strongest ``input`` (``single``), along
        the direction of the ``sum`` and along the best ``difference`` of two inputs; ``bias``; ``mean`` of its
        activation; ``strength``, the standard deviation of its activation times the length of its outgoing weights, as
        a share of all; ``reads``, the one of `KINDS` whose share is at least `READS`.

    Raises:
        ValueError: the network has batch axes or no hidden layer.
    """
    _single(net)
    W, b, out = (t.detach().double() for t in (net.weights[0], net.biases[0], net.weights[1]))
    n, power = W.shape[0], W.square().sum(0).clamp_min(torch.finfo(torch.float64).tiny)
    shares = {
        "one input": W.square().amax(0) / power,
        "sum": W.sum(0).square() / (n * power),
        "difference": (W.amax(0) - W.amin(0)).square() / (2 * power),
    }
    best, kind = torch.stack(list(shares.values())).max(0)
    x = torch.randn(SAMPLES, n, generator=as_generator(generator), dtype=torch.float64)
    activation = silu(x @ W + b)
    strength = activation.std(0) * out.norm(dim=-1)
    columns = {
        "neuron": torch.arange(W.shape[1]),
        "input": W.abs().argmax(0),
        "single": shares["one input"],
        "sum": shares["sum"],
        "difference": shares["difference"],
        "bias": b,
        "mean": activation.mean(0),
        "strength": strength / strength.sum().clamp_min(torch.finfo(torch.float64).tiny),
    }
    table = pd.DataFrame({name: column.numpy() for name, column in columns.items()})
    table["reads"] = [KINDS[k] if share >= READS else "mixed" for k, share in zip(kind, best, strict=True)]
    return table


def reading_shares(net: Network) -> dict[str, float]:
    """Share of the strength of all first-layer neurons in each of `KINDS` (see `readings`)."""
    sums = readings(net).groupby("reads")["strength"].sum()
    return {kind: float(sums.get(kind, 0.0)) for kind in KINDS}


def straightened(net: Network, layer: int, x: Tensor) -> Tensor:
    """Outputs ``(batch, n_N)`` if the neurons of one hidden layer were affine.

    The activation of each is replaced by its best affine function of the pre-activation, in the sense of least squares
    on x. A layer that only relays what it is given loses nothing by it.

    Args:
        net: one network, without batch axes.
        layer: the hidden layer, from 1.
        x: inputs ``(batch, n_0)``.

    Raises:
        ValueError: the network has batch axes, or no such hidden layer.
    """
    _single(net)
    if not 1 <= layer < len(net.weights):
        last = len(net.weights) - 1
        raise ValueError(f"layer is {layer}; the network of shape {net.shape} has hidden layers 1 to {last}")
    z = x @ net.weights[0] + net.biases[0]
    for k in range(1, len(net.weights)):
        a = silu(z)
        if k == layer:
            centred = z - z.mean(0)
            slope = (centred * a).mean(0) / centred.square().mean(0).clamp_min(torch.finfo(z.dtype).tiny)
            a = a.mean(0) + slope * centred
        z = a @ net.weights[k] + net.biases[k]
    return z
