"""Checks of arguments that several modules share; their errors name the argument, its value and what was expected."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor


def check_numbers(settings: Any) -> None:
    """Raise ValueError unless the fields of a dataclass that are declared int or float hold such finite numbers."""
    for entry in dataclasses.fields(settings):
        value, kind = getattr(settings, entry.name), {"int": Integral, "float": Real}.get(str(entry.type))
        if kind and (isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value)):
            whole = "whole" if kind is Integral else "finite"
            raise ValueError(f"{entry.name} is {value!r}; expected a {whole} number")


def check_tensor(name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is {type(value).__name__}; expected a torch.Tensor")


def check_beta(beta: float | Sequence[float] | Tensor) -> Tensor:
    """``beta`` as a float64 tensor.

    Raises:
        ValueError: a value is not a positive finite number.
    """
    try:
        tensor = torch.as_tensor(beta, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"beta is {beta!r}; expected positive finite numbers") from None
    if not tensor.numel() or not bool(((tensor > 0) & tensor.isfinite()).all()):
        raise ValueError(f"beta is {beta}; expected positive finite numbers (the trained range is 1e-12 to 1)")
    return tensor


def as_generator(generator: torch.Generator | int) -> torch.Generator:
    """A generator, or a new one on the CPU from an integer seed.

    Raises:
        TypeError: neither of the two.
        ValueError: a seed outside 0 to 2^63 - 1.
    """
    if isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, bool) or not hasattr(generator, "__index__"):
        raise TypeError(f"generator is {generator!r}; expected a torch.Generator or an integer seed")
    seed = operator.index(generator)
    if not 0 <= seed < 2**63:
        raise ValueError(f"generator is {seed}; expected an integer seed from 0 to 2^63 - 1")
    return torch.Generator().manual_seed(seed)
