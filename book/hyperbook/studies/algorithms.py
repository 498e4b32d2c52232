"""Numbers of the paper's algorithms: how imperfect a pudding is, and how well each can do (section 2.1)."""

import math

import torch
from torch import Tensor

from hyperlib.algorithms.construct import check_positive, smoothing_error
from hyperlib.algorithms.order_parameters import check_first_layer
from hyperlib.algorithms.structure import single_connections
from hyperlib.problems import l2_moments


def mixing(W: Tensor) -> Tensor:
    """d of equation 3 ``(...)``: how much of the sum of all inputs the neurons that read a single input see besides.

    It is the mean of a neuron's weights on other inputs, over minus its weight on its own input (exactly -+ (1 - d)
    there), and of W ``(..., n_0, n_1)``, n_0 > 1, the median over those neurons; NaN if there are none.
    """
    check_first_layer(W)
    W = W.detach().double()
    single, at = single_connections(W)
    own = W.gather(-2, at[..., None, :])[..., 0, :]
    others = (W.sum(-2) - own) / (W.shape[-2] - 1)
    d = -others / torch.where(single, own - others, 1.0)
    return torch.where(single, d, torch.nan).nanmedian(-1).values


def isotropic_floor(n: int) -> float:
    """Normalised MSE of the best function of ||x||_2 alone, for the L1 norm.

    For isotropic x the radius r and the direction u are independent, ||x||_1 = r ||u||_1, and the best function of r
    is r E||u||_1 = r n sqrt(2/pi) / E r. What it leaves is E[r^2] Var ||u||_1 = n (E||u||_1^2 - (E||u||_1)^2), with
    E||x||_1^2 = n + n (n - 1) 2/pi. About 0.111 for n = 16: the level of a perfectly isotropic convexity network.
    """
    second = (n + n * (n - 1) * 2 / math.pi) / n
    first = n * math.sqrt(2 / math.pi) / l2_moments(n)[0]
    return n * (second - first**2) / (n * (1 - 2 / math.pi))


def quadratic_floor() -> float:
    """Normalised MSE of the best affine function of ||x||_2^2, for the L1 norm: about 0.124 for every n.

    1 - corr(|x|, x^2)^2 term by term: Cov(|x|, x^2) = sqrt(2/pi), Var x^2 = 2, Var |x| = 1 - 2/pi.
    """
    return 1 - (2 / math.pi) / (2 * (1 - 2 / math.pi))


def swish_loss(sharpness: float) -> float:
    """Normalised MSE of the exact double-sided and pudding networks of any size; it falls as 1/s^3.

    The errors of the n inputs are independent and the output bias removes their mean: n Var(error) / (n (1 - 2/pi)).
    """
    return smoothing_error(check_positive("sharpness", sharpness))[1] / (1 - 2 / math.pi)
