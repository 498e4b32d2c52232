"""The attention of all neurons (B.2) as one operator on the CPU, with its gradient.

``attention.cpp`` does these many tiny attentions with one neuron per vector lane; `FastHypernetwork.attention` does
them in PyTorch, for every device and dtype.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from .operator import apply_operator, can_compile


def usable(heads: Tensor) -> bool:
    """Whether `attention` takes ``heads`` ``(seeds, 6 d, sides, edges)``: float32, on the CPU, with a compiler."""
    if heads.dtype != torch.float32 or heads.device.type != "cpu":
        return False
    if torch.compiler.is_compiling():
        from . import traced  # here, because it imports the compiler

        return traced.available(heads.shape[1] // 6)
    return can_compile(heads.shape[1] // 6)


def attention(heads: Tensor, shape: Sequence[int]) -> Tensor:
    """Self-attention at every neuron over the edges that touch it (B.2).

    From float32 heads ``(seeds, 6 d, sides, edges)``, query, key, value for the neuron in front, then for the one
    behind, to ``(seeds, 2 d, sides, edges)``, the result from the neuron in front, then from the one behind. A slice
    along the second axis of a larger tensor is not copied. It can be differentiated once. ValueError for other heads;
    BuildError without a compiler, so ask `usable` first.
    """
    edges = sum(n * m for n, m in itertools.pairwise(shape))
    if heads.ndim != 4 or heads.shape[1] % 6 or heads.shape[3] != edges:
        found = tuple(heads.shape)
        raise ValueError(f"heads has shape {found}; expected (seeds, 6 d, sides, {edges}) for {tuple(shape)}")
    if torch.compiler.is_compiling():
        from . import traced

        return traced.apply(heads, tuple(shape))
    return apply_operator(heads, tuple(shape))
