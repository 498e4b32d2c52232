"""Compiled kernels for what the compiler of PyTorch does slowly; every one has a plain PyTorch equivalent."""

from .attention import attention, usable

__all__ = ["attention", "usable"]
