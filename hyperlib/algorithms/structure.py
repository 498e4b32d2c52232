"""The algorithm of a network by the structure of its first layer, beside the paper's order parameters (section 2.2).

The strongest connection, which the paper goes by, is fooled by a dense random layer with heavy tails. What counts here
are hidden neurons that read a single input: pudding has them for every input, all of one sign; double-sided for every
input in both signs; convexity has next to none. Neither scale nor order of the neurons matters. The thresholds were set
on constructed networks and on seeds 0 to 32 of the first release before any other training was looked at.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..network import Network, check_network
from .order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING, check_first_layer

HEAVY, UNCLEAR = "random, heavy-tailed", "unclear"
STRUCTURES = (CONVEXITY, HEAVY, PUDDING, DOUBLE_SIDED, UNCLEAR)
FEATURES = ("single", "sign", "covered", "both", "kurtosis")

SINGLE = 0.5  # share of a neuron's squared weights on one input above which it reads that input alone
STRONG = 0.25  # of the strongest connection: a single connection weaker than this makes no kink
COVERED = 7 / 8  # share of the inputs from which on an algorithm is complete: 14 of 16
STRAY = 1 / 8  # share of the inputs at which it may have what belongs to another one
TAILS = 7.5  # kurtosis of the first layer (3 for normal weights) above which its tails are heavy
ONE_SIGN = 0.5  # |sign| up to which single connections are of both signs
FEW = 1 / 4  # covered share of the inputs up to which the sign of single connections says nothing


def single_connections(W: Tensor) -> tuple[Tensor, Tensor]:
    """Which hidden neurons read a single input ``(..., n_1)`` (see `SINGLE`, `STRONG`), and their strongest input."""
    size, at = W.square().max(-2)
    single = (size > SINGLE * W.square().sum(-2)) & (size >= STRONG**2 * size.amax(-1, keepdim=True)) & (size > 0)
    return single, at


def features(W: Tensor) -> dict[str, Tensor]:
    """What the classification reads from first-layer weights ``(..., n_0, n_1)``, each ``(...)`` in float64.

    ``single``, share of the hidden neurons that read a single input (`single_connections`); ``sign``, mean sign of
    these connections (0 without any); ``covered``, share of the inputs that such neurons read with the sign that reads
    more of them; ``both``, share that they read with both signs; ``kurtosis``, mean(W^4) / mean(W^2)^2: 3 for normal
    weights, more for heavy tails, NaN where all are 0.
    """
    check_first_layer(W)
    W = W.detach().double()
    squares = W.square()
    single, at = single_connections(W)
    sign = W.gather(-2, at[..., None, :])[..., 0, :].sign() * single
    owner = at[..., None, :] == torch.arange(W.shape[-2], device=W.device)[:, None]  # (..., n_0, n_1)
    positive, negative = ((owner & (sign == s)[..., None, :]).any(-1) for s in (1, -1))  # (..., n_0)
    count = single.sum(-1)
    mean = squares.mean((-2, -1))
    return {
        "single": count.double() / W.shape[-1],
        "sign": sign.sum(-1) / count.clamp_min(1),
        "covered": torch.maximum(positive.double().mean(-1), negative.double().mean(-1)),
        "both": (positive & negative).double().mean(-1),
        "kurtosis": squares.square().mean((-2, -1)) / mean.square(),
    }


def label(found: Mapping[str, ArrayLike]) -> np.ndarray:
    """Names of the algorithms, elementwise, from `features` or from columns of a sweep with the same names.

    * Single connections of one sign cover at least 7 inputs of 8: ``double-sided`` if so many have both signs,
      ``pudding`` if no more than 1 of 8 has, ``unclear`` in between (a pudding that turns double-sided).
    * They do not, and the layer has no heavy tails: ``convexity``.
    * They do not, and the layer has heavy tails: ``random, heavy-tailed`` if its single connections are of both signs
      (or next to none), ``unclear`` if they are of one (a convexity that turns pudding).

    NaN, of a dead or diverged network, is a ValueError.
    """
    values = {name: np.asarray(found[name], dtype=float) for name in FEATURES}
    if wrong := [name for name, value in values.items() if np.isnan(value).any()]:
        raise ValueError(f"{', '.join(wrong)} is NaN somewhere; expected numbers")
    covered, both, sign = values["covered"], values["both"], np.abs(values["sign"])
    organised = np.where(both >= COVERED, DOUBLE_SIDED, np.where(both <= STRAY, PUDDING, UNCLEAR))
    tails = np.where((sign <= ONE_SIGN) | (covered <= FEW), HEAVY, UNCLEAR)
    random = np.where(values["kurtosis"] < TAILS, CONVEXITY, tails)
    return np.where(covered >= COVERED, organised, random)


def structure(net: Network) -> str | np.ndarray:
    """The algorithm of a network by its first layer's structure: one of `STRUCTURES`, or an array along batch axes.

    ValueError if the weights are not numbers, or all 0.
    """
    check_network(net)
    names = label({name: value.cpu().numpy() for name, value in features(net.weights[0]).items()})
    return names if net.batch_shape else str(names)
