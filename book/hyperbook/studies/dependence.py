"""What a function of normal inputs depends on: shares of its variance that parts of the input explain.

The best prediction of f(x) from a part p(x) of the input is E[f | p]. Two inputs x and x' that agree in p and are
independent otherwise give its variance, Var E[f | p] = Cov(f(x), f(x')), without fitting anything; where p is a single
entry, that would take too many inputs, and a sum of functions of single entries is fitted instead. f may be a task or
a network. One minus the share of a task is a floor: the loss of the best function of that part alone.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from hyperlib.task import Task

SAMPLES, FITTED = 2**17, 2**15  # inputs that are compared in pairs, and those that functions are fitted to
KNOTS = 15  # bends of a function of a single entry, at quantiles; one is at 0

Function = Callable[[Tensor], Tensor]


def same_sum(x: Tensor, z: Tensor) -> Tensor:
    """Inputs with the sums of ``x`` and otherwise the independent normal ``z``, all ``(samples, n)``."""
    return z + (x - z).mean(-1, keepdim=True)


def same_length(x: Tensor, z: Tensor) -> Tensor:
    """Inputs with the lengths of ``x`` in the directions of ``z``, all ``(samples, n)``."""
    return z * (x.norm(dim=-1, keepdim=True) / z.norm(dim=-1, keepdim=True))


def same_sum_and_length(x: Tensor, z: Tensor) -> Tensor:
    """Inputs with the sums and the lengths of ``x``, in directions that ``z`` decides, all ``(samples, n)``."""
    mean = x.mean(-1, keepdim=True)
    return mean + same_length(x - mean, z - z.mean(-1, keepdim=True))


KEPT = {"sum": same_sum, "length": same_length, "sum and length": same_sum_and_length}
PARTS = ("affine", "sum", "entries", "length", "sum and length")


def explained(columns: Tensor, y: Tensor) -> Tensor:
    """Share ``(outputs,)`` of the variance of y that the best linear function of ``columns`` ``(samples, k)`` explains.

    Adjusted for the number of columns, which would fit some of anything.
    """
    columns, y = columns - columns.mean(0), y - y.mean(0)
    left = y - columns @ torch.linalg.lstsq(columns, y).solution
    samples, k = columns.shape
    return 1 - left.square().sum(0) / y.square().sum(0) * (samples / (samples - k))


def entry_functions(x: Tensor) -> Tensor:
    """Functions of single entries ``(samples, n (KNOTS + 2))``: their sums are piecewise linear, with a jump at 0."""
    knots = torch.special.ndtri(torch.arange(1, KNOTS + 1, dtype=x.dtype) / (KNOTS + 1))
    return torch.cat([x, (x > 0).to(x.dtype), (x[..., None] - knots).relu().flatten(1)], dim=1)


def dependence(function: Function, n: int) -> dict[str, float]:
    """Shares of the variance of a function of n normal entries, at least 2, that parts of the input explain.

    The function maps inputs ``(samples, n)`` in float64 to ``(samples, outputs)``. For each of `PARTS` a share in [0,
    1], averaged over the outputs: what the best ``affine`` function of x explains, the best function of the ``sum`` of
    the entries, the best sum of functions of single ``entries``, the best function of the ``length`` ||x||_2, and of
    ``sum and length``. Statistical errors are below 0.01; NaN for a function that does not vary.
    """
    g = torch.Generator().manual_seed(0)
    x, z = (torch.randn(SAMPLES, n, generator=g, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        y = function(x)
        variance = y.var(0)
        some = slice(FITTED)
        shares = {"affine": explained(x[some], y[some]), "entries": explained(entry_functions(x[some]), y[some])}
        for name, keep in KEPT.items():
            other = function(keep(x, z))
            shares[name] = 1 - (y - other).square().mean(0) / (variance + other.var(0))
    return {name: float(shares[name].clamp(0, 1).mean()) for name in PARTS}


def floors(task: Task, n: int) -> pd.Series:
    """Normalised MSE of the best function of each of `PARTS` for a task at size n (see `dependence`)."""
    return 1 - pd.Series(dependence(task.normalised(n), n), name=task.name)
