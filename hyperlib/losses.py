"""Losses per example: mean squared error, cross-entropy, or one's own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A loss that is positive and can be differentiated.

    Attributes:
        name: tells it from others in a run's record.
        function: maps outputs and targets, both ``(..., batch, outputs)``, to one number per example ``(..., batch)``.

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> absolute = hl.losses.Loss("absolute error", lambda out, y: (out - y).abs().mean(-1))
        >>> hl.losses.as_loss(absolute) is absolute, hl.losses.as_loss("cross-entropy").name
        (True, 'cross-entropy')
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]

    def check(self, y: Tensor) -> None:
        """Try the loss on targets ``(batch, outputs)``; ValueError if it is not what a loss has to be."""
        g = torch.Generator("cpu").manual_seed(0)
        out = torch.randn(y.shape, generator=g, dtype=torch.float32, device="cpu").to(y).requires_grad_()
        with torch.enable_grad():
            each = self.function(out, y)
        found, expected = getattr(each, "shape", type(each).__name__), y.shape[:-1]
        if found != expected:
            raise ValueError(f"loss {self.name!r} gives {found}; expected one number per example, {expected}")
        if not each.requires_grad:
            raise ValueError(f"loss {self.name!r} cannot be differentiated; expected a function of torch operations")
        if not bool((each >= 0).all()) or not bool(each.isfinite().all()):
            least = each.min().item()  # the objective is the logarithm of loss and price
            raise ValueError(f"loss {self.name!r} gives {least:g} on a batch; expected finite numbers of at least 0")


def squared_error(out: Tensor, y: Tensor) -> Tensor:
    """Squared error of every example, a mean over outputs."""
    return (out - y).square().mean(-1)


def cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy in nats of every example: ``out`` are logits, ``y`` probabilities of the classes (one is 1)."""
    return -(y * out.log_softmax(-1)).sum(-1)


SQUARED, CROSS_ENTROPY = Loss("squared error", squared_error), Loss("cross-entropy", cross_entropy)
LOSSES = {loss.name: loss for loss in (SQUARED, CROSS_ENTROPY)}


def as_loss(loss: object) -> Loss:
    """A `Loss`, the loss of a name, or that of a function, whose name it gets; else ValueError or TypeError."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}; expected one of {', '.join(map(repr, LOSSES))}, or a function")
        return LOSSES[loss]
    if not callable(loss):
        raise TypeError(f"loss is {type(loss).__name__}; expected a name, a Loss or a function of outputs and targets")
    return Loss(getattr(loss, "__name__", type(loss).__name__), loss)
