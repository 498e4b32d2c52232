"""Checks of arguments that several modules share; their errors name the argument, its value and what was expected."""

import dataclasses
import math
import operator
import sys
import warnings
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

# Tensors are made so where nothing else says how: torch's default dtype and device are the user's.
FLOAT: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
DOUBLE: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}

BETA_MIN, BETA_MAX = 1e-12, 1.0  # range of beta in training
SEED_BITS = 63  # seeds are whole numbers of so many bits, which a tensor of int64 can hold
FAR = 10.0  # factor beyond the trained range of beta from which on a value is warned of


def expect(right: bool, name: str, value: object, expected: str) -> None:
    """Raise ValueError with the name of an argument, its value and what was expected, unless the value is right."""
    if not right:
        raise ValueError(f"{name} is {value!r}; expected {expected}")


def not_installed(error: ModuleNotFoundError, module: str, extra: str, package: str) -> ModuleNotFoundError:
    """What a module raises if a package of its extra cannot be imported: it says what to install."""
    said = f"{module} needs {error.name}, which is not installed; it comes with the extra {extra}: "
    said += f'pip install ".[{extra}]" in a checkout, or pip install {package}'
    return ModuleNotFoundError(said, name=error.name)


def check_numbers(settings: Any) -> None:
    """Make fields of a frozen dataclass declared int or float plain finite numbers, or ValueError; bool is checked."""
    for entry in dataclasses.fields(settings):
        value, name = getattr(settings, entry.name), getattr(entry.type, "__name__", entry.type)
        kind = {"int": int, "float": float}.get(str(name))
        expect(name != "bool" or isinstance(value, bool), entry.name, value, "True or False")
        if kind is None:
            continue
        expected, most = (Integral, 2**53) if kind is int else (Real, sys.float_info.max)
        plain = int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else math.nan
        right = isinstance(value, expected) and not isinstance(value, bool) and abs(plain) <= most
        expect(right, entry.name, value, f"a {'whole' if kind is int else 'finite'} number")
        object.__setattr__(settings, entry.name, kind(plain))


def check_whole(name: str, value: object, least: int, most: int = 2**31 - 1) -> int:
    """``value`` as a plain whole number from ``least`` to ``most``, or ValueError; no memory holds more of anything."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise ValueError(f"{name} is {value!r}; expected a whole number, {least} or more, at most {most}")
    return int(value)


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """``seeds`` as plain whole numbers from 0 to 2^63 - 1, at least one, none twice; or ValueError."""
    try:
        found = tuple(operator.index(seed) for seed in seeds)
    except TypeError:
        raise ValueError(f"seeds is {seeds!r}; expected whole numbers, such as range(33)") from None
    right = len(set(found)) == len(found) > 0 and min(found) >= 0 and max(found) < 2**SEED_BITS
    expect(right, "seeds", found, f"distinct whole numbers, at least one, none negative, all below 2^{SEED_BITS}")
    return found


def check_type(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Raise TypeError with the name of an argument, its type and what was expected, unless it is of this kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {type(value).__name__}; expected {expected}")


def check_floating(name: str, value: object, shape: str) -> None:
    """Raise TypeError unless ``value`` is a floating point tensor, which is expected to have this shape."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"{name} is {found}; expected a floating point tensor {shape}")


def check_beta(beta: float | Sequence[float] | Tensor) -> Tensor:
    """``beta`` as a float64 tensor, or ValueError if a value is not positive and finite; one far out is warned of."""
    try:
        device = beta.device if isinstance(beta, Tensor) else "cpu"
        given = torch.as_tensor(beta, device=device)
        real = given.dtype != torch.bool and not given.is_complex()
        tensor = torch.as_tensor(beta, dtype=torch.float64, device=device) if real else None  # never through float32
    except (TypeError, ValueError, RuntimeError):
        tensor = None
    if tensor is None or not tensor.numel() or not bool(((tensor > 0) & tensor.isfinite()).all()):
        raise ValueError(f"beta is {beta!r}; expected positive finite numbers (the trained range is 1e-12 to 1)")
    far = (tensor < BETA_MIN / FAR) | (tensor > BETA_MAX * FAR)
    if bool(far.any()):
        first = float(tensor[far].flatten()[0])
        message = f"beta = {first:g} lies far outside the trained range from {BETA_MIN:g} to {BETA_MAX:g}"
        warnings.warn(message, stacklevel=3)
    return tensor


def as_generator(generator: torch.Generator | int) -> torch.Generator:
    """A generator, or a new one on the CPU from an integer seed, 0 to 2^63 - 1; else TypeError or ValueError."""
    if isinstance(generator, torch.Generator):
        return generator
    if not isinstance(generator, Integral) or isinstance(generator, bool):
        raise TypeError(f"generator is {generator!r}; expected a torch.Generator or an integer seed")
    return torch.Generator("cpu").manual_seed(check_whole("generator", generator, 0, 2**SEED_BITS - 1))
