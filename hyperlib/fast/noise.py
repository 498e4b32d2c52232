"""The random numbers of training (`hyperlib.noise`) in C++: 0.07 ms instead of 3 ms a step and seed."""

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from .build import BuildError, load


@functools.cache
def _function() -> Callable[..., None] | None:
    try:
        function = load(Path(__file__).with_name("noise.cpp")).normals
    except BuildError:
        return None  # the attention kernel says so
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    function.argtypes, function.restype = [pointer, number, number, number, pointer], None
    return function


def usable(out: Tensor) -> bool:
    """Whether `fill` can fill ``out``: a contiguous float32 tensor on the CPU, and a compiler was found."""
    return out.dtype == torch.float32 and out.device.type == "cpu" and out.is_contiguous() and _function() is not None


def fill(out: Tensor, seeds: Tensor, step: int) -> None:
    """Fill ``out`` ``(seeds, count)``, if `usable`, with `hyperlib.noise.normals` of int64 ``seeds`` at ``step``."""
    function = cast(Callable[..., None], _function())
    function(seeds.data_ptr(), *out.shape[:1], step, out.shape[1], out.data_ptr())
