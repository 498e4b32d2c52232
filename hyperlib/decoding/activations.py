"""Activations of `hyperlib.network.ACTIVATIONS` for arrays, with derivatives, bounds, and how they are written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Activation:
    """A function of a preactivation z."""

    pair: Callable[[np.ndarray], Pair]  #: its values and its derivatives, of the dtype of z
    slopes: tuple[float, float]  #: between these lies its derivative
    bend: float  #: largest absolute second derivative; infinite for relu, which has a kink instead
    python: str  #: source text in z, for NumPy as ``np``
    symbolic: str  #: what sympy parses, in z; exact, and finite in floating point for every z

    def missed(self, width: np.ndarray | float) -> np.ndarray | float:
        """How far it can lie from its chord between two points of this distance at most."""
        width = np.abs(width)
        return width * np.minimum((self.slopes[1] - self.slopes[0]) / 4, self.bend * width / 8)


def _swish(z: np.ndarray) -> Pair:
    gate = (1 + np.tanh(z / 2)) / 2
    value = z * gate
    return value, gate * (1 + z - value)


def _gelu(z: np.ndarray) -> Pair:
    gate = ndtr(z)
    return z * gate, gate + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi).astype(z.dtype)


def _tanh(z: np.ndarray) -> Pair:
    value = np.tanh(z)
    return value, 1 - value * value


def _sigmoid(z: np.ndarray) -> Pair:
    value = (1 + np.tanh(z / 2)) / 2
    return value, value * (1 - value)


ACTIVATIONS = {
    "swish": Activation(_swish, (-0.0999, 1.0999), 0.5, "z * (1 + np.tanh(z / 2)) / 2", "z*(1 + tanh(z/2))/2"),
    "relu": Activation(
        lambda z: (np.maximum(z, 0), (z > 0).astype(z.dtype)), (0, 1), np.inf, "np.maximum(z, 0)", "(z + Abs(z))/2"
    ),
    "gelu": Activation(
        _gelu, (-0.1290, 1.1290), 0.7979, "z * (1 + np.vectorize(math.erf)(z / 2**0.5)) / 2", "z*(1 + erf(z/sqrt(2)))/2"
    ),
    "tanh": Activation(_tanh, (0, 1), 0.7699, "np.tanh(z)", "tanh(z)"),
    "sigmoid": Activation(_sigmoid, (0, 0.25), 0.0963, "(1 + np.tanh(z / 2)) / 2", "(1 + tanh(z/2))/2"),
    "softplus": Activation(
        lambda z: (np.logaddexp(0, z), _sigmoid(z)[0]),
        (0, 1),
        0.25,
        "np.logaddexp(0, z)",
        "(z + Abs(z))/2 + log(1 + exp(-Abs(z)))",
    ),
}
