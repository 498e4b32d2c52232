"""A task: what the target network has to compute (section 2 of the paper).

A function of random inputs or a table of examples, and a loss. Targets are shifted and rescaled to zero mean and unit
variance, so that the mean squared error is a *normalised* one: 1.0 is what predicting the mean gives, for every task
and every size. Cross-entropy is normalised by the entropy of the classes: 1.0 is what their frequencies give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .checks import DOUBLE, FLOAT, check_floating, check_type, check_whole, expect
from .inputs import Inputs, normal
from .losses import CROSS_ENTROPY, SQUARED, Loss, as_loss
from .table import Table

Moment = float | tuple[float, ...]  # one number, or one per output
GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, fill the unit interval evenly
MEASURED = 2**18  # inputs on which moments without a closed form are measured, once


@dataclass(frozen=True, eq=False)
class Task:
    """A function of random inputs, or a table of examples, and a loss. Tasks are equal if their records are.

    Attributes:
        name: what a run's record calls the task.
        title: what a figure calls it.
        function: maps inputs ``(..., n)`` to raw targets ``(..., outputs)``; None for a table.
        moments: maps n to the mean and the standard deviation of the raw targets, in closed form. Each is a float, or
            a tuple of one float per output. By default both are measured once on 2^18 inputs from a fixed seed.
        outputs: number of target values per input.
        inputs: their distribution, standard normal by default; see `hyperlib.inputs`.
        loss: "squared error", "cross-entropy" (targets are probabilities of the classes), a function of outputs and
            targets that gives one number per example, or a `hyperlib.losses.Loss`.
        size: the only number of inputs that makes sense, or None.
        table: the examples, if it is a table; made by `from_data`.
        record: what a run has recorded of a task that this process does not know.

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> norm = hl.Task("l4", "L4 norm", lambda x: x.norm(p=4, dim=-1, keepdim=True))
        >>> x, y = norm.sample(10_000, 16, torch.Generator("cpu").manual_seed(0))
        >>> bool(y.mean().abs() < 0.05), bool((y.std() - 1).abs() < 0.05)
        (True, True)
    """

    name: str
    title: str
    function: Callable[[Tensor], Tensor] | None = None
    moments: Callable[[int], tuple[Moment, Moment]] | None = None
    outputs: int = 1
    inputs: Inputs = field(default_factory=normal)
    loss: Loss = SQUARED
    size: int | None = None
    table: Table | None = field(default=None, repr=False)
    record: Mapping | None = field(default=None, repr=False)
    _measured: dict = field(default_factory=dict, init=False, repr=False)  # moments and entropies, by size

    def __post_init__(self) -> None:
        for name in ("name", "title"):
            value = getattr(self, name)
            expect(isinstance(value, str) and value != "", name, value, "text")
        if self.function is not None and not callable(self.function):
            raise TypeError(f"function is {self.function!r}; expected a function of inputs (..., n)")
        check_type("inputs", self.inputs, Inputs, "an Inputs, such as hl.inputs.uniform(-1, 1)")
        object.__setattr__(self, "outputs", check_whole("outputs", self.outputs, least=1))
        object.__setattr__(self, "loss", as_loss(self.loss))
        if sum(part is not None for part in (self.function, self.table, self.record)) != 1:
            raise ValueError(f"task {self.name!r} needs a function; make one of a table with hl.Task.from_data")

    @classmethod
    def from_data(
        cls,
        X: Any,
        y: Any,
        loss: str | Loss | Callable = SQUARED,
        held_out: float = 0.0,
        name: str = "data",
        title: str | None = None,
        seed: int = 0,
    ) -> Task:
        """A table of examples as a task: a step draws rows of it.

        Columns and numeric targets are standardised on the rows that are trained on; formulas undo it. Of a categorical
        column of a pandas table every category becomes a column.

        Args:
            X: inputs ``(rows, n)``: a NumPy array, a pandas table or a tensor.
            y: targets ``(rows,)`` or ``(rows, outputs)``. For cross-entropy labels of the classes, of any kind.
            loss: as in `Task`.
            held_out: share of the rows that are kept from training, for the held-out loss of sweeps.
            seed: of the split.

        TypeError for other kinds of ``X`` and ``y`` and a column of text, ValueError for missing or infinite values, a
        constant column, too few rows, and rows that do not fit.

        Example:
            >>> import numpy as np
            >>> import hyperlib as hl
            >>> X = np.random.default_rng(0).normal(size=(200, 3))
            >>> task = hl.Task.from_data(X, X[:, 0] + X[:, 1] ** 2, held_out=0.25)
            >>> task.table.x.shape, task.table.held_x.shape
            (torch.Size([150, 3]), torch.Size([50, 3]))
        """
        loss = as_loss(loss)
        table = Table.from_data(X, y, loss == CROSS_ENTROPY, held_out, seed)
        loss.check(table.y[:16])
        return cls(name, title or name, outputs=table.y.shape[1], loss=loss, size=table.x.shape[1], table=table)

    @classmethod
    def from_record(cls, record: Mapping) -> Task:
        """The task of a run that this process does not know, all but its numbers: from its `fingerprint`."""
        inputs, loss = Inputs(record.get("inputs", "normal"), _unknown), record.get("loss", SQUARED.name)
        return cls(
            str(record["name"]),
            str(record.get("title", record["name"])),
            outputs=record["outputs"],
            inputs=normal() if inputs.name == "normal" else inputs,
            loss=as_loss(loss) if loss in (SQUARED.name, CROSS_ENTROPY.name) else Loss(loss, _unknown),
            size=record["n"] if "rows" in record else None,
            record=dict(record),
        )

    def check_known(self) -> None:
        """Raise ValueError if only the record of the task is there."""
        if self.record is not None:
            what = f"a table of {self.record['rows']} rows" if "rows" in self.record else "a function"
            hint = "give it to the run: hl.load_run(folder, task=...), or --task module:name on the command line"
            raise ValueError(f"the run was trained on the task {self.name!r}, {what} that is not known here; {hint}")

    def check_size(self, n: int) -> int:
        """``n`` itself, or ValueError if the task has another number of inputs."""
        if self.size is not None and n != self.size:
            raise ValueError(f"n is {n}; task {self.name!r} has {self.size} inputs")
        self.inputs.draws(n)
        return n

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless networks of this shape have the task's numbers of inputs and outputs."""
        if shape[-1] != self.outputs:
            raise ValueError(f"the network has shape {shape}; task {self.name!r} has {self.outputs} output(s)")
        self.check_size(shape[0])

    def moments_at(self, n: int) -> tuple[Moment, Moment]:
        """Mean and standard deviation of the raw targets of n inputs, in closed form or as measured, and checked."""
        return self._once(_moments, n)

    def _once(self, measure: Callable[[Task, int], Any], n: int) -> Any:
        if (key := (measure.__name__, n)) not in self._measured:
            self._measured[key] = measure(self, n)
        return self._measured[key]

    def normalised(self, n: int) -> Callable[[Tensor], Tensor]:
        """The function from inputs ``(..., n)`` to normalised targets ``(..., outputs)``; else ValueError."""
        self.check_known()
        if self.function is None:
            raise ValueError(f"task {self.name!r} is a table; it has targets for its own rows only")
        function = self.function
        mean, std = self.moments_at(n)
        if self.loss == CROSS_ENTROPY:
            return function

        def targets(x: Tensor) -> Tensor:
            shift, scale = (_filled(moment, x) for moment in (mean, std))
            return (function(x) - shift) / scale

        return targets

    def targets(self, x: Tensor) -> Tensor:
        """Normalised targets ``(..., outputs)`` of inputs ``x`` ``(..., n)``, a floating point tensor, or TypeError."""
        check_floating("x", x, "(..., n)")
        expect(x.ndim > 0 and x.shape[-1] > 0, "shape of x", tuple(x.shape), "(..., n) with n of at least 1")
        return self.normalised(x.shape[-1])(x)

    def draws(self, n: int) -> int:
        """Standard normal numbers of which one example with n inputs is made."""
        return 1 if self.table else self.inputs.draws(n)

    def examples(self, n: int, device: str | torch.device = "cpu") -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The function from standard normal numbers ``(..., draws)`` on a device to inputs ``(..., n)`` and targets."""
        self.check_known()
        self.check_size(n)
        if self.table:
            return self.table.examples(device)
        transform, targets = self.inputs.transform, self.normalised(n)

        def examples(numbers: Tensor) -> tuple[Tensor, Tensor]:
            x = transform(numbers)
            return x, targets(x)

        return examples

    def errors(self, n: int) -> Callable[[Tensor, Tensor], Tensor]:
        """The normalised loss: outputs and targets ``(..., batch, outputs)`` to one per example ``(..., batch)``."""
        each = self.loss.function
        if self.loss != CROSS_ENTROPY:
            return each
        unit = self._once(_entropy, n)
        return lambda out, y: each(out, y) / unit

    def sample(
        self, batch: int, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Fresh inputs ``(batch, n)`` and their normalised targets ``(batch, outputs)``; of a table rows at random."""
        check_type("generator", generator, torch.Generator, "a torch.Generator")
        batch, n = check_whole("batch", batch, least=1), check_whole("n", n, least=1)
        examples, device = self.examples(n, generator.device), generator.device
        return examples(torch.randn(batch, self.draws(n), generator=generator, dtype=dtype, device=device))

    def measured(self, most: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Examples to measure on: all rows of a table if they are at most ``most``, else ``most`` of `sample`."""
        if self.table and len(self.table.x) <= most:
            return self.table.x, self.table.y
        return self.sample(most, n, torch.Generator("cpu").manual_seed(seed))

    def fingerprint(self, n: int) -> dict:
        """What a run records of its task, as plain JSON values: a table's digest and units, or a function's targets.

        These are of 16 fixed inputs of size ``n``, normal quantiles of fractions, the same for every PyTorch.
        """
        if self.record is not None:
            return dict(self.record)
        facts = {"name": self.name, "title": self.title, "outputs": self.outputs, "n": n}
        facts |= {"inputs": self.inputs.name, "loss": self.loss.name}
        if self.table:
            return facts | self.table.record()
        self.check_size(n)
        draws = self.inputs.draws(n)
        count = torch.arange(1, 16 * draws + 1, **DOUBLE)
        _, y = self.examples(n)(torch.special.ndtri((count * GOLDEN) % 1).reshape(16, draws))
        found = {"targets": y, "errors": self.errors(n)(0.5 * y.flip(0), y)}
        return facts | {k: [float(f"{value:.6g}") for value in v.flatten().tolist()] for k, v in found.items()}

    def agrees(self, fingerprint: Mapping) -> bool:
        """Whether this is the task that left the fingerprint, up to rounding."""
        return same_task(self.fingerprint(fingerprint["n"]), fingerprint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return NotImplemented
        if self is other:
            return True
        n = next((t.record["n"] for t in (self, other) if t.record), self.size or 4 * self.inputs.block)
        alike = (self.name, self.size) == (other.name, other.size)
        return alike and same_task(self.fingerprint(n), other.fingerprint(n))

    def __hash__(self) -> int:
        return hash((self.name, self.outputs))


# Keys that a record of the first release lacks, and what they were then.
FORMERLY = {"inputs": "normal", "loss": SQUARED.name}


def same_task(one: Mapping, other: Mapping) -> bool:
    """Whether two records are of one task, up to rounding."""
    plain = ("outputs", "inputs", "loss", "sha256")
    if any(one.get(key, FORMERLY.get(key)) != other.get(key, FORMERLY.get(key)) for key in plain):
        return False
    numbers = [(one[key], other[key]) for key in ("targets", "errors") if key in one and key in other]
    near = partial(math.isclose, rel_tol=1e-4, abs_tol=1e-4)
    return all(len(a) == len(b) and all(map(near, a, b)) for a, b in numbers)


def _unknown(*_: Tensor) -> Tensor:
    raise ValueError("this task is known by its record alone")


def _filled(moment: Moment, like: Tensor) -> Tensor:
    """The moment as a tensor ``()`` or ``(outputs,)``, made on the device: a CUDA graph may not copy from the host."""
    if isinstance(moment, tuple):
        return torch.stack([like.new_full((), value) for value in moment])
    return like.new_full((), moment)


def _numbers(task: Task, count: int, n: int) -> Tensor:
    """Inputs of a function on which it is tried ``(count, n)``."""
    g = torch.Generator("cpu").manual_seed(n)
    z = torch.randn(count, task.inputs.draws(n), generator=g, **FLOAT)
    return task.inputs.transform(z.double())


def _moments(task: Task, n: int) -> tuple[Moment, Moment]:
    """Mean and standard deviation of the raw targets at size ``n``, checked."""
    assert task.function is not None
    x = _numbers(task, MEASURED if task.moments is None else 2, n)
    before = x.clone()
    y = task.function(x)
    if not isinstance(y, Tensor) or y.shape != (len(x), task.outputs) or y.dtype != x.dtype:
        found = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        what = f"task {task.name!r} maps inputs {x.dtype} {tuple(x.shape)} to {found}"
        raise ValueError(f"{what}; expected {x.dtype} {(len(x), task.outputs)}")
    if not torch.equal(x, before):
        raise ValueError(f"task {task.name!r} changes its inputs in place; expected a function that leaves them alone")
    task.loss.check(y[:16])
    if task.loss == CROSS_ENTROPY and not bool(((y >= 0).all(-1) & ((y.sum(-1) - 1).abs() < 1e-6)).all()):
        raise ValueError(f"task {task.name!r} has targets that are no probabilities of classes, as cross-entropy needs")
    mean, std = task.moments(n) if task.moments else (tuple(y.mean(0).tolist()), tuple(y.std(0).tolist()))
    spreads = std if isinstance(std, tuple) else (std,)
    if not all(0 < spread < math.inf for spread in spreads):
        raise ValueError(f"task {task.name!r} has targets with standard deviation {std} at n = {n}; they do not vary")
    return mean, std


def _entropy(task: Task, n: int) -> float:
    """Entropy in nats of the classes: the cross-entropy of predicting their frequencies."""
    task.check_known()
    if task.table:
        shares = task.table.y.double().mean(0)
    else:
        assert task.function is not None
        shares = task.function(_numbers(task, MEASURED, n)).double().mean(0)
    return float(-(shares * shares.clamp_min(1e-300).log()).sum())


def recorded(task: Task, record: Mapping | None) -> Task:
    """``task``, or ValueError if it is another one than that of a run's record."""
    if record is not None and not task.agrees(record):
        raise ValueError(f"another task is given as {task.name!r} than the run was trained on")
    return task


def without_rows(task: Task, n: int) -> Task:
    """The task without its rows, which travel by themselves."""
    return Task.from_record(task.fingerprint(n)) if task.table else task


def with_rows(task: Task, table: Table) -> Task:
    """The task with its rows back, or ValueError if they are others."""
    return recorded(replace(task, record=None, table=table), task.record)
