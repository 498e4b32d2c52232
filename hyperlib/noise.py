"""The random numbers of training: a function of seed and step, nothing to store, one stream for all devices.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns the counter (index, step) and
the seed as key into four 32-bit numbers, and Box and Muller's transform turns these into four standard normals. A step
is repeated from its number alone, on a CPU or a GPU, in any order; only logarithm, sine and cosine round differently.
"""

import math

import torch
from torch import Tensor

MASK = 2**32 - 1
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
STREAM = 1  # the counter's last word, so that other uses of a seed can have streams of their own


def _multiply(factor: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a product of 32-bit numbers, in int64 without its overflow."""
    low = (factor & 0xFFFF) * x
    high = (factor >> 16) * x + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four 32-bit numbers from four words of counter and two of key, all int64 tensors that broadcast."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        (high0, low0), (high1, low1) = _multiply(MULTIPLIERS[0], c0), _multiply(MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + INCREMENTS[0]) & MASK, (k1 + INCREMENTS[1]) & MASK
    return c0, c1, c2, c3


def normals(seeds: Tensor, step: Tensor, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers ``(seeds, count)`` of every int64 seed at one step ``(1,)``, whole, of any dtype."""
    index = torch.arange(-(-count // 4), device=seeds.device)[None]
    zero = torch.zeros_like(index)
    key = ((seeds & MASK)[:, None], ((seeds >> 32) & MASK)[:, None])
    words = philox((index, zero + step.long() % 2**32, zero, zero + STREAM), key)
    parts = []
    for first, second in (words[:2], words[2:]):
        radius = (-2 * (((first >> 8) + 1).to(dtype) * 2.0**-24).log()).sqrt()
        angle = (second >> 8).to(dtype) * (2 * math.pi * 2.0**-24)
        parts += [radius * angle.cos(), radius * angle.sin()]
    return torch.cat(parts, dim=1)[:, :count]
