"""What PyTorch's compiler is told about the kernel; imported only while it traces, because the marks import it."""

import torch
from torch import Tensor

from .operator import apply_operator, can_compile


@torch.compiler.assume_constant_result
def available(d: int) -> bool:
    """`can_compile`: the compiler takes the answer and does not look into how it is found."""
    return can_compile(d)


@torch.compiler.allow_in_graph
def apply(heads: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`apply_operator`, traced below dynamo: its own way with autograd.Function emits a deprecation warning."""
    return apply_operator(heads, shape)
