"""Inputs of a task, made of the step's standard normal numbers, so that a step stays a function of seed and step."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from .checks import check_whole, expect


@dataclass(frozen=True)
class Inputs:
    """A distribution of input vectors.

    Attributes:
        name: tells it from others in a run's record.
        transform: maps standard normal numbers ``(..., n / block)`` to inputs ``(..., n)``.
        block: inputs that one normal number gives.

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> hl.inputs.signs().transform(torch.tensor([[-1.0, 0.3]]))
        tensor([[-1.,  1.]])
    """

    name: str
    transform: Callable[[Tensor], Tensor]
    block: int = 1

    def draws(self, n: int) -> int:
        """Normal numbers of which one input of size n is made, or ValueError if n is no multiple of the block."""
        if n % self.block:
            raise ValueError(f"n is {n}; inputs {self.name} come in blocks of {self.block}")
        return n // self.block


def normal() -> Inputs:
    """Independent standard normal entries, as in the paper."""
    return Inputs("normal", _same)


def uniform(low: float = -1.0, high: float = 1.0) -> Inputs:
    """Independent entries, uniform between two finite numbers, the first below the second; else ValueError."""
    if not all(isinstance(x, Real) and math.isfinite(x) for x in (low, high)) or low >= high:
        raise ValueError(f"low is {low!r}, high is {high!r}; expected two finite numbers, the first below the second")
    return Inputs(f"uniform({low:g}, {high:g})", lambda z: low + (high - low) * torch.special.ndtr(z))


def signs(positive: float = 0.5) -> Inputs:
    """Independent entries of -1 and 1; ``positive`` is the probability of 1, between 0 and 1, or ValueError."""
    right = isinstance(positive, Real) and 0 < positive < 1
    expect(right, "positive", positive, "a probability between 0 and 1")
    return Inputs(f"signs({positive:g})", lambda z: 1 - 2 * (torch.special.ndtr(-z) >= positive).to(z.dtype))


def one_of(k: int) -> Inputs:
    """Blocks of k entries, at least 2 (else ValueError), in each of which one, any, is 1 and all others are 0."""
    k = check_whole("k", k, least=2)

    def transform(z: Tensor) -> Tensor:
        chosen = (torch.special.ndtr(z) * k).floor().clamp(0, k - 1)
        return (chosen[..., None] == torch.arange(k, device=z.device)).to(z.dtype).flatten(-2)

    return Inputs(f"one_of({k})", transform, k)


def _same(z: Tensor) -> Tensor:
    return z
