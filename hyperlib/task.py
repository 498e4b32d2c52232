"""Tasks: what the target network has to compute (section 2 of the paper).

A task draws inputs and gives targets that are shifted and rescaled to zero mean and unit variance, so that the
mean squared error is a *normalised* MSE: 1.0 is what predicting the mean gives, for every task and every size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Moment = float | tuple[float, ...]  # one number, or one per output
MEASURED = 2**18  # inputs on which moments without a closed form are measured, once


@dataclass(frozen=True)
class Task:
    """A function of an input vector with i.i.d. standard normal entries.

    Attributes:
        name: the key under which a configuration refers to the task.
        title: what a figure calls it.
        function: maps inputs ``(..., n)`` to raw targets ``(..., outputs)``.
        moments: maps n to the mean and the standard deviation of the raw targets, in closed form. Each is a float, or
            a tuple of one float per output. By default both are measured once on 2^18 inputs from a fixed seed.
        outputs: number of target values per input.
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    moments: Callable[[int], tuple[Moment, Moment]] | None = None
    outputs: int = 1

    def normalised(self, n: int) -> Callable[[Tensor], Tensor]:
        """The function from inputs ``(..., n)`` to normalised targets ``(..., outputs)``.

        Raises:
            ValueError: the function does not give ``outputs`` values per input, or they do not vary.
        """
        mean, std = _moments(self, n)

        def targets(x: Tensor) -> Tensor:
            shift, scale = (torch.as_tensor(moment, dtype=x.dtype, device=x.device) for moment in (mean, std))
            return (self.function(x) - shift) / scale

        return targets

    def targets(self, x: Tensor) -> Tensor:
        """Normalised targets ``(..., outputs)`` of inputs ``x`` with shape ``(..., n)``."""
        return self.normalised(x.shape[-1])(x)

    def sample(self, batch: int, n: int, generator: torch.Generator, dtype=torch.float32) -> tuple[Tensor, Tensor]:
        """Fresh inputs ``(batch, n)`` and their normalised targets ``(batch, outputs)``."""
        x = torch.randn(batch, n, generator=generator, dtype=dtype)
        return x, self.targets(x)


@functools.cache
def _moments(task: Task, n: int) -> tuple[Moment, Moment]:
    """Mean and standard deviation of the raw targets at size ``n``, checked."""
    x = torch.randn(MEASURED if task.moments is None else 2, n, generator=torch.Generator().manual_seed(n)).double()
    y = task.function(x)
    if y.shape != (len(x), task.outputs):
        raise ValueError(
            f"task {task.name!r} maps inputs {tuple(x.shape)} to {tuple(y.shape)}; expected {(len(x), task.outputs)}"
        )
    mean, std = task.moments(n) if task.moments else (tuple(y.mean(0).tolist()), tuple(y.std(0).tolist()))
    spreads = std if isinstance(std, tuple) else (std,)
    if not all(0 < spread < math.inf for spread in spreads):
        raise ValueError(f"task {task.name!r} has targets with standard deviation {std} at n = {n}; they do not vary")
    return mean, std


def l1_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the L1 norm of n standard normal numbers.

    One |x_i| has mean sqrt(2/pi) and second moment 1, and the n terms are independent.
    """
    return n * math.sqrt(2 / math.pi), math.sqrt(n * (1 - 2 / math.pi))


def mean_l2(n: int) -> float:
    """E ||x||_2 for x ~ N(0, I_n): the mean of the chi distribution with n degrees of freedom."""
    return math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))


L1 = Task("l1", "L1 norm", lambda x: x.abs().sum(-1, keepdim=True), l1_moments)

TASKS: dict[str, Task] = {L1.name: L1}


def get_task(name: str) -> Task:
    """The task registered under ``name``.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in TASKS:
        raise ValueError(f"task is {name!r}; known tasks are {', '.join(sorted(TASKS))}")
    return TASKS[name]


def register(task: Task) -> Task:
    """Make a task of one's own known to configurations under its name. Returns the task.

    Raises:
        ValueError: another task already has that name.
    """
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(f"a task named {task.name!r} exists already; choose another name")
    return task


def isotropic_floor(n: int) -> float:
    """Normalised MSE of the best function of ||x||_2 alone, for the L1 norm.

    For isotropic x the radius r and the direction u are independent, ||x||_1 = r ||u||_1, and the best function of r
    is r E||u||_1 = r n sqrt(2/pi) / E r. What it leaves is E[r^2] Var ||u||_1 = n (E||u||_1^2 - (E||u||_1)^2), with
    E||x||_1^2 = n + n (n - 1) 2/pi. About 0.111 for n = 16: the level of a perfectly isotropic convexity network.
    """
    second = (n + n * (n - 1) * 2 / math.pi) / n
    first = n * math.sqrt(2 / math.pi) / mean_l2(n)
    return n * (second - first**2) / (n * (1 - 2 / math.pi))


def quadratic_floor() -> float:
    """Normalised MSE of the best affine function of ||x||_2^2, for the L1 norm: about 0.124 for every n.

    1 - corr(|x|, x^2)^2 term by term: Cov(|x|, x^2) = sqrt(2/pi), Var x^2 = 2, Var |x| = 1 - 2/pi.
    """
    return 1 - (2 / math.pi) / (2 * (1 - 2 / math.pi))
