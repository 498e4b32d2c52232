"""How a network makes its kinks: the paper's hypothesis about networks trained directly with Adam (section 2.5)."""

import math
from typing import NamedTuple

import pandas as pd
import torch

from hyperlib.checks import DOUBLE
from hyperlib.network import Network
from hyperlib.problems import l1_moments


class KinkAnalysis(NamedTuple):
    """How one network makes its kinks (section 2.5).

    The paper's hypothesis holds where hidden neurons are either assigned or attached to all inputs, ``kink_own`` is
    near 1, and the others cancel ``slope_own``, so that `correction` is near 1.

    Attributes:
        neurons: one row per hidden neuron: ``share`` of its squared weights that lies on the input with the largest;
            ``assigned`` to that input, whether that is more than half; ``strength``, its share of the network's squared
            effective weights W_ij v_j.
        inputs: one row per input: ``positive`` and ``negative``, the numbers of neurons assigned to it by the sign of
            their weight; its ``kink``, in units of what |x_i| needs, so that it should be 1, and its average ``slope``,
            in units of the slope of |x_i|, which should be 0; and what its own neurons contribute, ``kink_own`` and
            ``slope_own``.
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

    tiny, squares, effective = torch.finfo(W.dtype).tiny, W.square(), (W * v).square().sum(0)
    share = squares.amax(0) / squares.sum(0).clamp_min(tiny)
    assigned = share > 0.5
    owner = assigned & (squares.argmax(0) == torch.arange(n)[:, None])  # (n, m)
    neurons = {"share": share, "assigned": assigned, "strength": effective / effective.sum().clamp_min(tiny)}
    inputs = {"positive": (owner & (W > 0)).sum(1), "negative": (owner & (W < 0)).sum(1)}
    for kind, part in parts.items():
        inputs |= {kind: part.sum(1), f"{kind}_own": (part * owner).sum(1)}
    remaining = inputs["slope"].square().sum() / inputs["slope_own"].square().sum()
    correction = float(1 - remaining) if assigned.any() else math.nan
    tables = [pd.DataFrame({name: column.numpy() for name, column in one.items()}) for one in (neurons, inputs)]
    return KinkAnalysis(tables[0], tables[1], correction)
