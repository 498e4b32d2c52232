"""The functions that the book trains on: the paper's L1 norm, others of its kind, and tasks of the field.

Where there is a closed form, mean and standard deviation of the targets are given; a test compares them with a sample.
"""

import importlib
import math

import torch
from torch import Tensor

from . import inputs
from .losses import CROSS_ENTROPY
from .task import Task


def l1_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of the L1 norm of n standard normal numbers: E|x_i| = sqrt(2/pi), E x_i^2 = 1."""
    return n * math.sqrt(2 / math.pi), math.sqrt(n * (1 - 2 / math.pi))


def l2_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of ||x||_2 for x ~ N(0, I_n): those of the chi distribution, E r^2 = n."""
    mean = math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))
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


def modular_addition(p: int) -> Task:
    """The sum of two numbers modulo p, both one of p, as classes."""

    def classes(x: Tensor) -> Tensor:
        first, second = (part.argmax(-1) for part in x.split(p, dim=-1))
        return ((first + second) % p)[..., None].eq(torch.arange(p, device=x.device)).to(x.dtype)

    return Task(
        f"mod{p}", f"sum modulo {p}", classes, outputs=p, inputs=inputs.one_of(p), loss=CROSS_ENTROPY, size=2 * p
    )


L1 = Task("l1", "L1 norm", lambda x: x.abs().sum(-1, keepdim=True), l1_moments)
L2 = Task("l2", "L2 norm", lambda x: x.norm(dim=-1, keepdim=True), l2_moments)
MAX = Task("max", "largest entry", lambda x: x.amax(-1, keepdim=True), max_moments)
PAIRS = Task(
    "pairs",
    "sum of pairwise products",
    lambda x: (x.sum(-1, keepdim=True).square() - x.square().sum(-1, keepdim=True)) / 2,
    lambda n: (0.0, math.sqrt(n * (n - 1) / 2)),  # uncorrelated terms of variance 1
)
POSITIVES = Task(
    "positives",
    "number of positive entries",
    lambda x: (x > 0).to(x.dtype).sum(-1, keepdim=True),
    lambda n: (n / 2, math.sqrt(n) / 2),  # a binomial of n fair coins
)
L1_SUM = Task(
    "l1-sum",
    "L1 norm and sum",
    lambda x: torch.stack([x.abs().sum(-1), x.sum(-1)], dim=-1),
    lambda n: ((l1_moments(n)[0], 0.0), (l1_moments(n)[1], math.sqrt(n))),
    outputs=2,
)
PRODUCTS = Task(
    "products",
    "sum of products of two",
    lambda x: (x[..., 0 : x.shape[-1] // 2 * 2 : 2] * x[..., 1::2]).sum(-1, keepdim=True),
    lambda n: (0.0, math.sqrt(n // 2)),
)
MAX3 = Task("max3", "maximum of three", lambda x: x.amax(-1, keepdim=True), max_moments, size=3)
VELOCITIES = Task(
    "velocities",
    "relativistic sum of velocities",
    lambda x: ((x[..., 0] + x[..., 1]) / (1 + x[..., 0] * x[..., 1]))[..., None],
    inputs=inputs.uniform(-0.9, 0.9),
    size=2,
)
MAJORITY = Task("majority", "majority of signs", lambda x: x.sum(-1, keepdim=True).sign(), inputs=inputs.signs())
PARITY = Task(
    "parity", "parity of signs", lambda x: x.prod(-1, keepdim=True), lambda n: (0.0, 1.0), inputs=inputs.signs()
)

_BOOK = (L1, L2, MAX, PAIRS, POSITIVES, L1_SUM, PRODUCTS, MAX3, VELOCITIES, MAJORITY, PARITY, modular_addition(5))
TASKS: dict[str, Task] = {task.name: task for task in _BOOK}


def get_task(name: str | Task) -> Task:
    """The task of the book with this name, or ValueError, which lists the names; a task is returned as it is.

    Example:
        >>> import hyperlib as hl
        >>> hl.get_task("l1").title
        'L1 norm'
    """
    if isinstance(name, Task):
        return name
    if not isinstance(name, str) or name not in TASKS:
        known = f"{', '.join(sorted(TASKS))} (on the command line also module:name of a Task)"
        raise ValueError(f"task is {name!r}; expected a Task or the name of one: {known}")
    return TASKS[name]


def import_task(name: str | Task) -> Task:
    """The task that the command line names: one of the book's, or ``module:name``; ValueError if there is none such."""
    if isinstance(name, Task) or ":" not in name:
        return get_task(name)
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"task is {name!r}; expected module:name of a Task: {error}") from None
    if not isinstance(found, Task):
        raise ValueError(f"task is {name!r}, which is {type(found).__name__}; expected module:name of a Task")
    return found
