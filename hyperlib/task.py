"""Tasks: what the target network has to compute (section 2 of the paper).

A task draws inputs and gives targets that are shifted and rescaled to zero mean and unit variance, so that the
mean squared error is a *normalised* MSE: 1.0 is what predicting the mean gives, for every task and every size.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_whole

Moment = float | tuple[float, ...]  # one number, or one per output
GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, fill the unit interval evenly
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

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> norm = hl.Task("l4", "L4 norm", lambda x: x.norm(p=4, dim=-1, keepdim=True))
        >>> x, y = norm.sample(10_000, 16, torch.Generator().manual_seed(0))
        >>> bool(y.mean().abs() < 0.05), bool((y.std() - 1).abs() < 0.05)
        (True, True)
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor]
    moments: Callable[[int], tuple[Moment, Moment]] | None = None
    outputs: int = 1

    def moments_at(self, n: int) -> tuple[Moment, Moment]:
        """Mean and standard deviation of the raw targets of n inputs, in closed form or as measured.

        Raises:
            ValueError: the function does not give ``outputs`` values per input, or they do not vary.
        """
        return _moments(self, n)

    def normalised(self, n: int) -> Callable[[Tensor], Tensor]:
        """The function from inputs ``(..., n)`` to normalised targets ``(..., outputs)``.

        Raises:
            ValueError: the function does not give ``outputs`` values per input, or they do not vary.
        """
        mean, std = _moments(self, n)

        def targets(x: Tensor) -> Tensor:
            shift, scale = (_filled(moment, x) for moment in (mean, std))
            return (self.function(x) - shift) / scale

        return targets

    def targets(self, x: Tensor) -> Tensor:
        """Normalised targets ``(..., outputs)`` of inputs ``x`` with shape ``(..., n)``.

        Raises:
            TypeError: ``x`` is not a floating point tensor. Whole numbers would round what the task computes of them.
        """
        if not isinstance(x, Tensor) or not x.is_floating_point():
            found = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x is {found}; expected a floating point tensor (..., n)")
        if not x.ndim or not x.shape[-1]:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., n) with n of at least 1")
        return self.normalised(x.shape[-1])(x)

    def fingerprint(self, n: int) -> dict:
        """What a run records of its task, as plain JSON values: its name, title and outputs, and its targets.

        These are the normalised ``targets`` of 16 fixed inputs of size ``n``, which tell functions and their moments
        apart. The inputs are normal quantiles of a sequence of fractions, the same for every version of PyTorch.
        """
        count = torch.arange(1, 16 * n + 1, dtype=torch.float64)
        x = torch.special.ndtri((count * GOLDEN) % 1).reshape(16, n)
        targets = [float(f"{value:.6g}") for value in self.targets(x).flatten().tolist()]
        return {"name": self.name, "title": self.title, "outputs": self.outputs, "n": n, "targets": targets}

    def agrees(self, fingerprint: Mapping) -> bool:
        """Whether this is the task that left the fingerprint, up to rounding."""
        return same_targets(self.fingerprint(fingerprint["n"]), fingerprint)

    def sample(
        self, batch: int, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Fresh inputs ``(batch, n)`` and their normalised targets ``(batch, outputs)``.

        Raises:
            TypeError: the generator is not a ``torch.Generator``.
            ValueError: batch or n is no positive whole number.
        """
        if not isinstance(generator, torch.Generator):
            raise TypeError(f"generator is {generator!r}; expected a torch.Generator")
        batch, n = check_whole("batch", batch, least=1), check_whole("n", n, least=1)
        x = torch.randn(batch, n, generator=generator, dtype=dtype)
        return x, self.targets(x)


def same_targets(one: Mapping, other: Mapping) -> bool:
    """Whether two fingerprints are of one task, up to rounding."""
    if one["outputs"] != other["outputs"]:
        return False
    pairs = zip(one["targets"], other["targets"], strict=True)
    return all(math.isclose(mine, theirs, rel_tol=1e-4, abs_tol=1e-4) for mine, theirs in pairs)


def _filled(moment: Moment, like: Tensor) -> Tensor:
    """The moment as a tensor ``()`` or ``(outputs,)``, made on the device: a CUDA graph may not copy from the host."""
    if isinstance(moment, tuple):
        return torch.stack([like.new_full((), value) for value in moment])
    return like.new_full((), moment)


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


def l2_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of ||x||_2: those of the chi distribution, E r^2 = n."""
    mean = mean_l2(n)
    return mean, math.sqrt(n - mean**2)


def max_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the largest of n standard normal numbers.

    Its density is n phi(x) Phi(x)^(n-1), integrated on both sides of its median by quadrature; beyond +-12 lies less
    than 1e-20 of it for any n that fits into memory.
    """
    from scipy.integrate import quad
    from scipy.special import log_ndtr, ndtri

    def moment(k: int) -> float:
        def integrand(x: float) -> float:
            return x**k * n * math.exp((n - 1) * log_ndtr(x) - x * x / 2) / math.sqrt(2 * math.pi)

        return quad(integrand, -12, 12, points=[ndtri(0.5 ** (1 / n))])[0]

    mean = moment(1)
    return mean, math.sqrt(moment(2) - mean**2)


def pairs_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of sum_{i<j} x_i x_j: n (n - 1) / 2 uncorrelated terms of variance 1."""
    return 0.0, math.sqrt(n * (n - 1) / 2)


def positives_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the number of positive entries: a binomial of n fair coins."""
    return n / 2, math.sqrt(n) / 2


def l1_sum_moments(n: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Means and standard deviations of the L1 norm and of the sum of the entries."""
    mean, std = l1_moments(n)
    return (mean, 0.0), (std, math.sqrt(n))


L1 = Task("l1", "L1 norm", lambda x: x.abs().sum(-1, keepdim=True), l1_moments)
L2 = Task("l2", "L2 norm", lambda x: x.norm(dim=-1, keepdim=True), l2_moments)
MAX = Task("max", "largest entry", lambda x: x.amax(-1, keepdim=True), max_moments)
PAIRS = Task(
    "pairs",
    "sum of pairwise products",
    lambda x: (x.sum(-1, keepdim=True).square() - x.square().sum(-1, keepdim=True)) / 2,
    pairs_moments,
)
POSITIVES = Task(
    "positives",
    "number of positive entries",
    lambda x: (x > 0).to(x.dtype).sum(-1, keepdim=True),
    positives_moments,
)
L1_SUM = Task(
    "l1-sum",
    "L1 norm and sum",
    lambda x: torch.stack([x.abs().sum(-1), x.sum(-1)], dim=-1),
    l1_sum_moments,
    outputs=2,
)

TASKS: dict[str, Task] = {task.name: task for task in (L1, L2, MAX, PAIRS, POSITIVES, L1_SUM)}


REGISTER = "make another known with hl.register(task), or on the command line with --task module:name"


def get_task(name: str) -> Task:
    """The task registered under ``name``.

    Raises:
        ValueError: unknown name; the message lists the known ones.

    Example:
        >>> import hyperlib as hl
        >>> hl.get_task("l1").title
        'L1 norm'
    """
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(f"task is {name!r}; known tasks are {', '.join(sorted(TASKS))}; {REGISTER}")
    return TASKS[name]


def find_task(name: str) -> Task | None:
    """The task registered under ``name``, or None."""
    return TASKS.get(name)


def register(task: Task) -> Task:
    """Make a task of one's own known to configurations under its name. Returns the task.

    Raises:
        TypeError: not a task.
        ValueError: another task already has that name.

    Example:
        >>> import hyperlib as hl
        >>> task = hl.register(hl.Task("sum", "sum", lambda x: x.sum(-1, keepdim=True)))
        >>> hl.TrainConfig(task="sum").task
        'sum'
    """
    if not isinstance(task, Task):
        raise TypeError(f"task is {task!r}; expected a Task")
    if TASKS.setdefault(task.name, task) is not task:
        raise ValueError(f"a task named {task.name!r} exists already; choose another name")
    return task


def import_task(name: str) -> Task:
    """Import and register the task that ``module:name`` names.

    Raises:
        ValueError: there is no such module or name, or it is no `Task`.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"task is {name!r}; expected module:name of a Task: {error}") from None
    if not isinstance(found, Task):
        raise ValueError(f"task is {name!r}, which is {type(found).__name__}; expected module:name of a Task")
    return register(found)


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
