"""How a network makes its kinks: the paper's hypothesis about networks trained directly with Adam (section 2.5)."""

import math
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from hyperlib.checks import DOUBLE
from hyperlib.network import Network
from hyperlib.problems import l1_moments

ASSIGNED = 0.5  # share of a hidden neuron's squared weights on one input above which it is assigned to it


@dataclass(frozen=True)
class KinkAnalysis:
    """How one network makes its kinks, for the hypothesis of section 2.5.

    The hypothesis holds where hidden neurons are either assigned or attached to all inputs, ``kink_own`` is near 1,
    and ``slope_shared`` cancels ``slope_own``, so that `correction` is near 1.

    Attributes:
        neurons: one row per hidden neuron: ``neuron``; ``input``, the one with the largest weight; ``share`` of its
            squared weights that lies on that input; ``assigned``, whether that is more than half; ``sign`` of that
            weight; ``strength``, its share of the network's squared effective weights W_ij v_j.
        inputs: one row per input: ``input``; ``positive`` and ``negative``, the numbers of neurons assigned to it by
            the sign of their weight; and what the neurons assigned to it (``own``), those assigned to other inputs
            (``other``) and those assigned to none (``shared``) contribute to the difference in slope between its
            positive and its negative side (``kink_own, kink_other, kink_shared``, in units of what |x_i| needs: they
            should add up to 1) and to its average slope (``slope_own, slope_other, slope_shared``, in units of the
            slope of |x_i|: they should add up to 0).
        correction: share of the squared average slopes made by own neurons that all others remove; 1 if they cancel
            them, negative if they add to them, NaN if no neuron is assigned.
    """

    neurons: pd.DataFrame
    inputs: pd.DataFrame
    correction: float


def kink_analysis(net: Network) -> KinkAnalysis:
    """Test the paper's hypothesis about Adam's network: kinks from assigned neurons, slopes corrected by shared ones.

    Of one network ``(n, m, 1)``. Neuron j adds v_j W_ij swish'(z_j) to the slope of the output along input i. Its mean
    over inputs is the average slope; its mean where x_i > 0 less its mean where x_i < 0 is the kink. The target, the
    normalised L1 norm, has kink 2/std and average slope 0 along every input.
    """
    W, b, v = (t.detach().double() for t in (net.weights[0], net.biases[0], net.weights[1][:, 0]))
    n = W.shape[0]
    x = torch.randn(8192, n, generator=torch.Generator().manual_seed(0), **DOUBLE)
    z = x @ W + b
    gain = z.sigmoid() * (1 + z * (1 - z.sigmoid()))  # swish'
    side = (x > 0).double()
    rise = side.T @ gain / side.sum(0)[:, None] - (1 - side).T @ gain / (1 - side).sum(0)[:, None]
    _, std = l1_moments(n)
    parts = {"kink": W * v * rise * (std / 2), "slope": W * v * gain.mean(0) * std}  # each (n, m)

    squares = W.square()
    share = squares.amax(0) / squares.sum(0).clamp_min(torch.finfo(W.dtype).tiny)
    largest = squares.argmax(0)
    sign = W.gather(0, largest[None])[0].sign()
    assigned = share > ASSIGNED
    effective = (W * v).square().sum(0)
    owner = assigned & (largest == torch.arange(n, device=largest.device)[:, None])  # (n, m)
    groups = {"own": owner, "other": assigned & ~owner, "shared": ~assigned.expand(n, -1)}
    neurons = {"input": largest, "share": share, "assigned": assigned, "sign": sign.long()}
    neurons["strength"] = effective / effective.sum().clamp_min(torch.finfo(W.dtype).tiny)
    counts = {"positive": (owner & (sign > 0)).sum(1), "negative": (owner & (sign < 0)).sum(1)}
    sums = {f"{kind}_{name}": (part * group).sum(1) for kind, part in parts.items() for name, group in groups.items()}
    remaining = parts["slope"].sum(1).square().sum() / sums["slope_own"].square().sum()
    correction = float(1 - remaining) if assigned.any() else math.nan
    return KinkAnalysis(_frame("neuron", neurons), _frame("input", counts | sums), correction)


def _frame(index: str, columns: dict[str, Tensor]) -> pd.DataFrame:
    table = pd.DataFrame({name: tensor.cpu().numpy() for name, tensor in columns.items()})
    return table.rename_axis(index).reset_index()
