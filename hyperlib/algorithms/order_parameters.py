"""Order parameters of a network and the algorithm that they tell (section 2.2, equations 5 to 7)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..checks import check_floating, expect
from ..network import Network, check_network

CONVEXITY, PUDDING, DOUBLE_SIDED = "convexity", "pudding", "double-sided"
PHASES = (CONVEXITY, PUDDING, DOUBLE_SIDED)  # in the order in which they develop (section 2.3)


@dataclass(frozen=True)
class Thresholds:
    """Hand-picked boundaries between the phases (the dotted lines of figure 2).

    Attributes:
        strongest: alpha_2 below which a network is convexity.
        double_sided: alpha_1 above which any other network is double-sided; what remains is pudding.

    Example:
        >>> import hyperlib as hl
        >>> net = hl.construct.pudding(n=16, sharpness=5.0)
        >>> hl.classify(net, hl.Thresholds(strongest=6.0, double_sided=4.0))
        'convexity'
    """

    strongest: float
    double_sided: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            expect(value > 0, f"threshold {name}", value, "a positive number")


# Set on the first release: alpha_2's after a look at its first eight seeds (2 before); alpha_1's in the valley of its
# networks, which lies from 7 to 9 in both settings (4 before, on the flank of a peak, and 3 before that).
THRESHOLDS = Thresholds(strongest=2.5, double_sided=8.0)


def check_first_layer(weight: Tensor, name: str = "W") -> None:
    """Raise TypeError unless ``weight`` is a floating point tensor, ValueError unless it is ``(..., n_0, n_1)``."""
    check_floating(name, weight, "(..., n_0, n_1)")
    if weight.ndim < 2 or 0 in weight.shape[-2:]:
        raise ValueError(f"{name} has shape {tuple(weight.shape)}; expected (..., n_0, n_1) with n_0, n_1 >= 1")


def double_sidedness(W: Tensor) -> Tensor:
    """alpha_1 of equation 5 ``(...)``, of W's dtype: the weaker side of the weakest input over the median connection.

    The equation prints the inner minimum as min_j; it is read as the smaller of the two numbers in its brackets:
    alpha_1 = min_i min(-min_j W_ij, max_j W_ij) / median_ij |W_ij|, negative where an input has weights of one sign.

    Where the median is 0, as in an exact construction, alpha_1 is infinite if the weaker side exceeds half of the
    strongest connection, else 0. It tells pudding from double-sided only for n_1 > 2 n_0, where the shared neurons of
    pudding hold most of the connections.
    """
    check_first_layer(W)
    weaker = torch.minimum(-W.amin(-1), W.amax(-1)).amin(-1)
    ordered = W.abs().flatten(-2).sort(-1).values  # torch.median takes the lower of the middle two
    count = ordered.shape[-1]
    median = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    sparse = torch.where(2 * weaker > ordered[..., -1], torch.inf, 0.0).to(W.dtype)
    return torch.where(median == 0, sparse, weaker / torch.where(median == 0, 1.0, median))


def strongest_connection(W: Tensor) -> Tensor:
    """alpha_2 of equation 6: max_ij |W_ij| of a first-layer weight ``(..., n_0, n_1)``, as ``(...)``."""
    check_first_layer(W)
    return W.abs().amax((-2, -1))


def seed_dependence(W: Tensor, V: Tensor) -> Tensor:
    """alpha_3 of equation 7: ||W - V||_F^2 / (||W||_F^2 + ||V||_F^2).

    0 for equal weights (two zero matrices included), about 1 for independent ones, 2 for V = -W. W and V are
    first-layer weights of one shape ``(..., n_0, n_1)``; it is ``(...)``.
    """
    check_first_layer(W, "W")
    check_first_layer(V, "V")
    if W.shape != V.shape:
        raise ValueError(f"W has shape {tuple(W.shape)} and V {tuple(V.shape)}; expected equal shapes")
    total = W.square().sum((-2, -1)) + V.square().sum((-2, -1))
    return (W - V).square().sum((-2, -1)) / torch.where(total == 0, 1.0, total)


def order_parameters(W: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``(alpha_1, alpha_2, alpha_3)`` of equations 5 to 7, each ``(...)``; alpha_1 and alpha_2 are those of W.

    Args:
        W, V: first-layer weights of one shape ``(..., n_0, n_1)`` from two generation seeds at the same beta.

    Example:
        >>> import hyperlib as hl
        >>> W = hl.construct.pudding(n=16, hidden=48).weights[0]
        >>> [round(float(alpha), 3) for alpha in hl.order_parameters(W, -W)]
        [1.0, 5.0, 2.0]
    """
    return double_sidedness(W), strongest_connection(W), seed_dependence(W, V)


def phase(alpha_1: ArrayLike, alpha_2: ArrayLike, thresholds: Thresholds = THRESHOLDS) -> np.ndarray:
    """Names of the algorithms, elementwise, from the hand-picked boundaries of section 2.2, for arrays that broadcast.

    See `Thresholds`. NaN, of a diverged network, is a ValueError.
    """
    alpha_1, alpha_2 = np.asarray(alpha_1, dtype=float), np.asarray(alpha_2, dtype=float)
    for name, values in (("alpha_1", alpha_1), ("alpha_2", alpha_2)):
        if wrong := int(np.isnan(values).sum()):
            raise ValueError(f"{name} is NaN in {wrong} of {values.size} places; expected numbers")
    rest = np.where(alpha_1 > thresholds.double_sided, DOUBLE_SIDED, PUDDING)
    return np.where(alpha_2 < thresholds.strongest, CONVEXITY, rest)


def classify(net: Network, thresholds: Thresholds = THRESHOLDS) -> str | np.ndarray:
    """The algorithm of a network by its order parameters: one of `PHASES`, or an array of them along batch axes.

    With one or two inputs a double-sided network is called pudding, too. TypeError if ``net`` is not a `Network`,
    ValueError if a first-layer weight is not finite.

    Example:
        >>> import hyperlib as hl
        >>> hl.classify(hl.construct.double_sided(n=16))
        'double-sided'
    """
    check_network(net)
    W = net.weights[0].detach()
    W = W.float() if W.itemsize < 4 else W  # NumPy knows not every half precision
    if infinite := W.numel() - int(W.isfinite().sum()):
        raise ValueError(f"{infinite} of {W.numel()} first-layer weights are not finite; the network has no algorithm")
    names = phase(double_sidedness(W).cpu().numpy(), strongest_connection(W).cpu().numpy(), thresholds)
    return names if net.batch_shape else str(names)
