"""Activations of `hyperlib.network.ACTIVATIONS` for arrays, with derivatives, and how they are written down."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Activation:
    """A function of a preactivation z."""

    pair: Callable[[np.ndarray], Pair]  #: its values and its derivatives, of the dtype of z
    python: str  #: source text in z, for NumPy as ``np``
    symbolic: str  #: what sympy parses, in z; exact, and finite in floating point for every z


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
    "swish": Activation(_swish, "z * (1 + np.tanh(z / 2)) / 2", "z*(1 + tanh(z/2))/2"),
    "relu": Activation(lambda z: (np.maximum(z, 0), (z > 0).astype(z.dtype)), "np.maximum(z, 0)", "(z + Abs(z))/2"),
    "gelu": Activation(_gelu, "z * (1 + np.vectorize(math.erf)(z / 2**0.5)) / 2", "z*(1 + erf(z/sqrt(2)))/2"),
    "tanh": Activation(_tanh, "np.tanh(z)", "tanh(z)"),
    "sigmoid": Activation(_sigmoid, "(1 + np.tanh(z / 2)) / 2", "(1 + tanh(z/2))/2"),
    "softplus": Activation(
        lambda z: (np.logaddexp(0, z), _sigmoid(z)[0]),
        "np.logaddexp(0, z)",
        "(z + Abs(z))/2 + log(1 + exp(-Abs(z)))",
    ),
}
