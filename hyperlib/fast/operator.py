"""The operators of `hyperlib.fast.attention` as PyTorch and its compiler see them: calls into C++, shapes, gradient."""

import ctypes
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .build import BuildError, load

STATISTICS = 2  # per edge and end, the forward pass keeps the largest logit and 1 / sum of exponentials

_library = torch.library.Library("hyperlib", "DEF")
_library.define("attention(Tensor heads, int[] shape) -> (Tensor, Tensor)")
_library.define(
    "attention_backward(Tensor slope, Tensor heads, Tensor result, Tensor statistics, int[] shape) -> Tensor"
)


@functools.cache
def functions(d: int) -> tuple[Callable[..., int], Callable[..., int]]:
    """The compiled forward and backward functions for keys, queries and values of size ``d``, or BuildError."""
    library = load(Path(__file__).with_name("attention.cpp"), (f"HEAD_SIZE={d}",))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    sizes = (pointer, number, number, number, number)
    library.attention.argtypes = [pointer, number, pointer, pointer, *sizes]
    library.attention_backward.argtypes = [pointer, number, pointer, number, pointer, pointer, pointer, *sizes]
    return library.attention, library.attention_backward


@functools.cache
def can_compile(d: int) -> bool:
    """Whether the kernel for heads of this size is compiled, or can be; warns the first time that it cannot."""
    try:
        functions(d)
    except BuildError as error:
        warnings.warn(f"attention runs in plain PyTorch, which is slower: {error}", stacklevel=2)
        return False
    return True


@functools.cache
def _sizes(shape: tuple[int, ...]) -> ctypes.Array:
    return (ctypes.c_int64 * len(shape))(*shape)


def _rows(tensor: Tensor) -> Tensor:
    """The tensor with everything but the batch axis contiguous, as the kernel wants it."""
    _, _, sides, edges = tensor.shape
    return tensor if tensor.stride()[1:] == (sides * edges, edges, 1) else tensor.contiguous()


def _check(status: int) -> None:
    if status:
        raise MemoryError("attention: no memory for the tokens of one neuron")


@torch.library.impl(_library, "attention", "CPU")
def _forward(heads: Tensor, shape: list[int]) -> tuple[Tensor, Tensor]:
    heads = _rows(heads)
    seeds, features, sides, edges = heads.shape
    result = heads.new_empty(seeds, features // 3, sides, edges)
    statistics = heads.new_empty(seeds, 2 * STATISTICS, sides, edges)
    sizes = (_sizes(tuple(shape)), len(shape), seeds, sides, edges)
    pointers = (heads.data_ptr(), heads.stride(0), result.data_ptr(), statistics.data_ptr())
    _check(functions(features // 6)[0](*pointers, *sizes))
    return result, statistics


@torch.library.impl(_library, "attention_backward", "CPU")
def _backward(slope: Tensor, heads: Tensor, result: Tensor, statistics: Tensor, shape: list[int]) -> Tensor:
    slope, heads, result, statistics = _rows(slope), _rows(heads), result.contiguous(), statistics.contiguous()
    seeds, features, sides, edges = heads.shape
    gradient = heads.new_empty(seeds, features, sides, edges)
    sizes = (_sizes(tuple(shape)), len(shape), seeds, sides, edges)
    pointers = (slope.data_ptr(), slope.stride(0), heads.data_ptr(), heads.stride(0), result.data_ptr())
    outputs = (statistics.data_ptr(), gradient.data_ptr())
    _check(functions(features // 6)[1](*pointers, *outputs, *sizes))
    return gradient


@torch.library.register_fake("hyperlib::attention", lib=_library)
def _forward_fake(heads: Tensor, shape: list[int]) -> tuple[Tensor, Tensor]:
    seeds, features, sides, edges = heads.shape
    kept = heads.new_empty(seeds, 2 * STATISTICS, sides, edges)
    return heads.new_empty(seeds, features // 3, sides, edges), kept


@torch.library.register_fake("hyperlib::attention_backward", lib=_library)
def _backward_fake(slope: Tensor, heads: Tensor, result: Tensor, statistics: Tensor, shape: list[int]) -> Tensor:
    return heads.new_empty(heads.shape)


class _Attention(torch.autograd.Function):
    """The operator with its gradient, in the form that torch.func.grad takes."""

    @staticmethod
    def forward(heads: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        return torch.ops.hyperlib.attention(heads, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        heads, ctx.shape = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(heads, *output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, _: Tensor) -> tuple[Tensor, None]:
        return torch.ops.hyperlib.attention_backward(slope, *ctx.saved_tensors, ctx.shape), None


def apply_operator(heads: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The operator on heads that belong to a network of this shape; `attention` checks that they do."""
    return _Attention.apply(heads, shape)[0]
