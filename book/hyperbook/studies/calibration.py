"""How far classifications can be trusted: on networks whose algorithm is known, under noise (section 2.2)."""

from collections.abc import Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from hyperlib.algorithms.construct import SCALE, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING, classify
from hyperlib.algorithms.structure import HEAVY, UNCLEAR, structure
from hyperlib.checks import as_generator
from hyperlib.network import Network

KINDS = {
    "double-sided": DOUBLE_SIDED,
    "pudding": PUDDING,
    "pudding, drawn at random": PUDDING,
    "convexity, normal": CONVEXITY,
    "convexity, two values": CONVEXITY,
    "heavy-tailed, few strong": HEAVY,
    "heavy-tailed, Student": HEAVY,
    "half way: convexity to pudding": UNCLEAR,
    "half way: pudding to double-sided": UNCLEAR,
}


def known(kind: str, generator: torch.Generator) -> Tensor:
    """First layer ``(16, 48)`` of a network of one of `KINDS`, drawn anew at every call.

    * ``double-sided`` and ``pudding`` (of either sign): as constructed, with sharpness 3 to 6 and, for pudding, the
      mixing of equation 3. Drawn at random, a pudding has two neurons in three read an input that is drawn too, with
      half to all of the sharpness, and the others are dense.
    * ``convexity``: normal or two-valued D. ``heavy-tailed``: dense weights of both signs, one in 20 to 40 of which is
      as strong as in pudding, or Student's t with 1.5 to 2.5 degrees of freedom.
    * ``half way``: a third to two thirds of the inputs have a neuron of their own, the other neurons being convexity;
      and a pudding in which a third to two thirds of the inputs have their second side.
    """

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    n, hidden = 16, 48
    truth, some = KINDS[kind], round(n * uniform(1 / 3, 2 / 3))
    sharpness = float(round(uniform(3, 6)))
    dense = torch.randn(n, hidden, generator=generator)
    dense = uniform(0.5, 1.5) * SCALE * (dense.sign() if kind.endswith("values") else dense)
    if truth == CONVEXITY:
        return dense
    if kind == "heavy-tailed, few strong":
        strong = torch.rand(n, hidden, generator=generator) < uniform(1 / 40, 1 / 20)
        sides = torch.randn(n, hidden, generator=generator).sign()
        return torch.where(strong, sharpness * sides, dense)
    if truth == HEAVY:
        degrees = uniform(1.5, 2.5)
        chi = torch._standard_gamma(torch.full((n, hidden), degrees / 2), generator=generator) * 2
        return dense * (degrees / chi).sqrt()
    if truth == DOUBLE_SIDED:
        return double_sided(n, sharpness, hidden).weights[0]
    sign = 1 if uniform(0, 1) < 0.5 else -1
    W = pudding(n, sign, hidden, sharpness, shared=uniform(0.2, 0.6), mixing=uniform(0, 0.5) / n).weights[0].clone()
    if kind == "pudding, drawn at random":
        W[:, :] = dense / 3
        for neuron in range(2 * hidden // 3):
            i = neuron if neuron < n else int(torch.randint(n, (), generator=generator))
            W[i, neuron] = sign * sharpness * uniform(0.5, 1)
    elif kind == "half way: convexity to pudding":
        W[:, some:] = dense[:, some:]
    elif kind == "half way: pudding to double-sided":
        W[:, n : n + some] = -W[:, :some]
    return W


def validate(noise_levels: Sequence[float], generator: torch.Generator | int, count: int = 20) -> pd.DataFrame:
    """The paper's classification and the one by structure on first layers whose algorithm is known, under noise.

    One row per network, ``count`` per kind and noise level (relative to the root mean square weight): ``kind``,
    ``truth``, ``noise``, ``order_parameters`` (the paper's), ``structure``.
    """
    g, rows = as_generator(generator), []
    for kind, noise, _ in product(KINDS, noise_levels, range(count)):
        W = known(kind, g)
        W = W + noise * W.square().mean().sqrt() * torch.randn(W.shape, generator=g)
        net = Network([W, torch.ones(W.shape[1], 1)], [torch.zeros(W.shape[1]), torch.zeros(1)])
        rows.append((kind, KINDS[kind], float(noise), str(classify(net)), str(structure(net))))
    return pd.DataFrame(rows, columns=["kind", "truth", "noise", "order_parameters", "structure"])
