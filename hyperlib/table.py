"""A table of examples: rows of inputs and targets, standardised, with what undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checks import expect
from .files import digest


@dataclass(frozen=True, eq=False)
class Table:
    """Rows to train on and rows held out, in standardised units."""

    x: Tensor  #: rows to train on: inputs ``(rows, n)``, float32
    y: Tensor  #: their targets ``(rows, outputs)``, float32
    held_x: Tensor  #: inputs of rows held out, none if there are no such
    held_y: Tensor  #: their targets
    names: tuple[str, ...]  #: of the inputs
    input_mean: tuple[float, ...]  #: in the user's units, on the rows to train on
    input_std: tuple[float, ...]  #: likewise
    output_names: tuple[str, ...]  #: of the targets, or the labels of the classes
    output_mean: tuple[float, ...]  #: in the user's units; 0 for classes
    output_std: tuple[float, ...]  #: likewise; 1 for classes

    @classmethod
    def from_data(cls, X: Any, y: Any, classes: bool, held_out: float, seed: int) -> Table:
        """A table of the user's data; see `hyperlib.Task.from_data`."""
        values, names = _columns("X", X)
        targets, outputs = _labels(y) if classes else _columns("y", y)
        if len(values) != len(targets):
            raise ValueError(f"X has {len(values)} rows and y {len(targets)}; expected as many")
        train, held = _split(len(values), held_out, seed, targets.argmax(1) if classes else None)
        mean, std = values[train].mean(0), values[train].std(0)
        _varying("X", names, std, np.abs(mean))
        out_mean, out_std = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
        if not classes:
            out_mean, out_std = targets[train].mean(0), targets[train].std(0)
            _varying("y", outputs, out_std, np.abs(out_mean))
        parts = {"x": (values - mean) / std, "y": (targets - out_mean) / out_std}
        tensors = {
            f"{prefix}{name}": torch.from_numpy(part[rows].astype(np.float32))
            for prefix, rows in (("", train), ("held_", held))
            for name, part in parts.items()
        }
        return cls.from_tensors(tensors, dict(zip(UNITS, (names, mean, std, outputs, out_mean, out_std), strict=True)))

    def examples(self, device: str | torch.device = "cpu") -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The function from one standard normal number ``(..., 1)`` per example to a row's inputs and targets."""
        x, y = self.x.to(device), self.y.to(device)

        def examples(numbers: Tensor) -> tuple[Tensor, Tensor]:
            index = self.row(torch.special.ndtr(numbers[..., 0]))
            return x[index].to(numbers.dtype), y[index].to(numbers.dtype)

        return examples

    def row(self, share: Tensor) -> Tensor:
        """Which row stands at a share from 0 to 1 of the rows that are trained on."""
        return (share * len(self.x)).long().clamp(0, len(self.x) - 1)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The rows by name."""
        return {name: getattr(self, name) for name in ("x", "y", "held_x", "held_y")}

    def record(self) -> dict:
        """What a run records of the table, as plain JSON values: a digest of the rows, names and units."""
        facts = {"rows": len(self.x), "held_out": len(self.held_x), "sha256": digest(self.tensors)}
        return facts | {name: list(getattr(self, name)) for name in UNITS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], record: Mapping) -> Table:
        """The table of these rows, with the units of a `record`."""
        units = {name: tuple(np.asarray(record[name]).tolist()) for name in UNITS}
        return cls(**{**tensors, **units})  # type: ignore[arg-type]


UNITS = ("names", "input_mean", "input_std", "output_names", "output_mean", "output_std")


def _columns(what: str, data: Any) -> tuple[np.ndarray, list[str]]:
    """Numbers ``(rows, columns)`` of the user's table and the columns' names."""
    if hasattr(data, "to_frame"):  # a pandas Series
        data = data.to_frame(data.name if data.name is not None else what)
    if hasattr(data, "columns"):
        found = [_column(what, str(label), data[label]) for label in data.columns]
        values = np.concatenate([np.empty((len(data), 0)), *(numbers for numbers, _ in found)], axis=1)
        names = [name for _, some in found for name in some]
    else:
        values = _numeric(what, data.numpy(force=True) if isinstance(data, Tensor) else np.asarray(data))
        values = values[:, None] if values.ndim == 1 and what == "y" else values
        if values.ndim != 2:
            raise ValueError(f"{what} has shape {values.shape}; expected (rows, columns)")
        single = what == "y" and values.shape[1] == 1
        names = ["y"] if single else [f"{what.lower()}_{k}" for k in range(1, values.shape[1] + 1)]
    if not values.shape[1]:
        raise ValueError(f"{what} has no columns; expected at least one")
    missing, wrong = (bad(values).sum(0).tolist() for bad in (np.isnan, lambda v: ~np.isfinite(v)))  # along rows
    for name, count, infinite in zip(names, missing, wrong, strict=True):
        if count:
            raise ValueError(f"column {name!r} of {what} has {count} missing value(s); fill them or leave the rows out")
        if infinite:
            raise ValueError(f"column {name!r} of {what} holds an infinite value; expected finite numbers")
    return values, names


def _column(what: str, name: str, column: Any) -> tuple[np.ndarray, list[str]]:
    """One column of a pandas table as numbers: a categorical one becomes a column per category."""
    if hasattr(column, "cat"):
        if column.isna().any():
            raise ValueError(f"column {name!r} of {what} has {int(column.isna().sum())} missing value(s)")
        kinds = list(column.cat.remove_unused_categories().cat.categories)
        kinds = kinds[1:] if len(kinds) == 2 else kinds  # of two, one says it all
        return np.stack([(column == kind).to_numpy(np.float64) for kind in kinds], 1), [f"{name}={k}" for k in kinds]
    if column.dtype.kind not in "biuf" and str(column.dtype) not in ("boolean", "Int64", "Float64"):
        hint = "Make text categories with astype('category'), or leave the column out"
        raise TypeError(f"column {name!r} of {what} holds {column.dtype}; expected numbers. {hint}")
    return _numeric(what, column.to_numpy(dtype=np.float64, na_value=np.nan))[:, None], [name]


def _numeric(what: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{what} holds {values.dtype}; expected numbers")
    return values.astype(np.float64)


def _labels(y: Any) -> tuple[np.ndarray, list[str]]:
    """Labels of classes as probabilities ``(rows, classes)`` of 0 and 1, and what they are called."""
    values = y.numpy(force=True) if isinstance(y, Tensor) else np.asarray(y)
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim != 1:
        raise ValueError(f"y has shape {values.shape}; expected one label per row, (rows,)")
    if values.dtype.kind in "fO" and any(label is None or label != label for label in values):
        raise ValueError("y has missing labels; leave those rows out")
    labels, index = np.unique(values, return_inverse=True)
    if not 2 <= len(labels) <= max(2, len(values) // 2):
        found = f"{len(labels)} different labels in {len(values)} rows"
        raise ValueError(f"y has {found}; expected at least two classes of several rows")
    return np.eye(len(labels))[index], [str(label) for label in labels]


def _split(rows: int, held_out: float, seed: int, classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out, in the table's order; of every class the same share."""
    right = isinstance(held_out, int | float) and not isinstance(held_out, bool) and 0 <= held_out < 1
    expect(right, "held_out", held_out, "a share from 0 to below 1")
    g = np.random.default_rng(seed)
    held = np.zeros(rows, bool)
    for kind in [None] if classes is None else range(classes.max() + 1):
        members = np.arange(rows) if kind is None else np.flatnonzero(classes == kind)
        held[g.permutation(members)[: round(held_out * len(members))]] = True
    if rows - held.sum() < 2:
        raise ValueError(f"X has {rows} row(s), of which {rows - held.sum()} to train on; expected at least 2")
    return np.flatnonzero(~held), np.flatnonzero(held)


def _varying(what: str, names: Sequence[str], std: np.ndarray, size: np.ndarray) -> None:
    for name, spread, mean in zip(names, std, size, strict=True):
        if not spread > 1e-12 * mean:
            raise ValueError(f"column {name!r} of {what} is constant on the rows to train on; leave it out")
