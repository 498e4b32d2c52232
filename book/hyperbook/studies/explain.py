"""A classifier that is independent of the order parameters: which construction explains a network's weights?

Each construction of section 2.1 is fitted to a network, with a free permutation of the hidden neurons and free scales
and signs, and is scored by the share of the weights' variance that it explains. The weights compared are *effective*:
U_ij = W_ij |v_j| with v_j the neuron's output weight. Where swish acts as ReLU, only this product matters, a dead
neuron (v_j = 0) does not count, and U_ij is the slope that the neuron gives to the output. A neuron with v_j < 0 is
concave; no construction has one except as a linear (shared) neuron of pudding.

* **double-sided**: every neuron has a single connection. Every input has neurons on its positive and on its negative
  side, whose slopes add up to the same a on all 2 n sides. Free: who is where, a, and how copies on one side share a.
* **pudding**: assigned neurons have one connection of the sign that all of them share, plus a multiple d of the
  all-ones vector (equation 3), the same for all; their slopes add up to the same a for all n inputs. The other
  neurons are shared: each any multiple of the all-ones vector. Free: who is where, the sign, a, d, the multiples,
  and how copies share a.
* **convexity**: the connections of every neuron are a sample of one symmetric distribution, normal or two-valued.
  Free: the scale, the order of each neuron's connections and their signs. What is compared is thus the profile of
  sorted magnitudes, after removal of the neuron's mean: a common sign is structure that chance does not make.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.special import ndtri

from hyperlib.algorithms.construct import convexity
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.checks import as_generator
from hyperlib.network import ACTIVATIONS, Network, check_single

Array = np.ndarray
# A fitted construction: its effective weights (n, m), which neurons are shared ones (pudding) and not assigned to an
# input (m,), and the share of the variance of the network's effective weights that it explains.
_Fit = tuple[Array, Array, float]
NONE = "none"
MIN_SHARE = 0.5  # a construction that explains less than half of the variance explains nothing


@dataclass(frozen=True)
class Explanation:
    """What the three constructions explain of one network."""

    label: str  # the best construction, or "none" if its score is below `MIN_SHARE`
    scores: dict[str, float]  # share of the variance of the effective weights, at most 1; 0 with too few hidden neurons
    fitted: dict[str, Network]  # the constructions that fit into the network's shape, in this shape


def explain(net: Network, generator: torch.Generator | int = 0) -> Explanation:
    """Fit the three constructions to a network and take the one that explains most.

    The fitted networks can stand in for the network ``(n, m, 1)`` with n >= 3 and m >= 2. Their first layer is the fit.
    Assigned neurons share their mean bias; a shared neuron, whose scale is free, keeps its own. The output weights are
    the network's own up to one factor per role (assigned, shared), which is fitted together with the output bias by
    least squares *to the network's own outputs* at 2048 normal inputs; the task is not looked at. For convexity the
    first layer is a fresh draw from the fitted distribution and all output weights are equal: any draw should do.

    ValueError for batch axes or an activation that is flat on both sides.
    """
    check_single(net)
    if net.activation in ("tanh", "sigmoid"):
        raise ValueError(f"the network has activation {net.activation}; the constructions need one like relu")
    W, b, v = (t.detach().double().cpu().numpy() for t in (net.weights[0], net.biases[0], net.weights[1][:, 0]))
    g = as_generator(generator)
    n, m = W.shape
    U, convex, reach = W * np.abs(v), v > 0, np.abs(v).mean()
    if not U.any():  # a dead network: there is nothing to explain
        return Explanation(NONE, dict.fromkeys(PHASES, 0.0), {})

    x = torch.randn(2048, n, generator=g, dtype=torch.float64)
    outputs = net.map(lambda tensor: tensor.detach().double().cpu())(x)
    scores, layers = dict.fromkeys(PHASES, 0.0), {}
    scores[CONVEXITY], size, bimodal = _fit_convexity(U, convex)
    if size > 0:
        drawn = convexity(n, m, g, size / reach, bimodal, torch.float64).weights[0].numpy()
        layers[CONVEXITY] = drawn, np.full(m, b.mean()), np.ones(m), np.zeros(m, dtype=bool)
    fits = {DOUBLE_SIDED: [_fit_double_sided(U, convex)]} if m >= 2 * n else {}
    fits |= {PUDDING: [_fit_signed_pudding(U, convex, side) for side in (-1, +1)]} if m > n else {}
    sizes = np.where(v == 0, reach, np.abs(v))
    for name, found in fits.items():
        effective, shared, scores[name] = max(found, key=lambda fit: fit[2])
        bias = np.where(shared, b, b[~shared].mean())
        layers[name] = effective / sizes, bias, np.where(shared & ~convex, -sizes, sizes), shared

    fitted = {}
    for name, (first, bias, second, shared) in layers.items():  # a factor per role of the neurons, and the output bias
        weight, shift, scale = (torch.from_numpy(layer) for layer in (first, bias, second))
        roles = torch.from_numpy(np.stack([role for role in (~shared, shared) if role.any()])).double()  # (roles, m)
        parts = (ACTIVATIONS[net.activation](x @ weight + shift) * scale) @ roles.T
        design = torch.cat([parts, torch.ones_like(outputs)], dim=1)
        # gelsd takes the smallest solution where a role gives a constant, as dead neurons do
        factors = torch.linalg.lstsq(design, outputs, driver="gelsd").solution[:, 0]
        last = (scale * (factors[:-1] @ roles))[:, None]
        single = Network([weight, last], [shift, factors[-1:]], activation=net.activation)
        fitted[name] = single.map(lambda tensor: tensor.to(net.weights[0]))
    best = max(scores, key=scores.__getitem__)
    return Explanation(best if scores[best] >= MIN_SHARE else NONE, scores, fitted)


def _fit_convexity(U: Array, convex: Array) -> tuple[float, float, bool]:
    """Share explained, scale of the distribution, and whether it is the two-valued one."""
    n, kept = U.shape[0], U[:, convex]
    magnitude = np.sort(np.abs(kept - kept.mean(0)), axis=0)
    # Expected sorted magnitudes of n draws of variance 1. Normal: quantiles at Blom's plotting positions.
    profiles = np.stack([ndtri((1 + (np.arange(1, n + 1) - 0.375) / (n + 0.25)) / 2), np.ones(n)])
    sizes = max(kept.shape[1], 1) * (profiles**2).sum(1)
    along = (magnitude * profiles[:, :, None]).sum((1, 2))
    best = int((along**2 / sizes).argmax())
    return float(along[best] ** 2 / sizes[best] / (U**2).sum()), float(along[best] / sizes[best]), best == 1


def _fit_double_sided(U: Array, convex: Array) -> _Fit:
    """Best double-sided network, with 2 n hidden neurons or more."""
    n, m = U.shape
    X = np.where(convex, U, 0)  # a concave neuron cannot be assigned: it looks dead to the fit
    sides = np.concatenate([X, -X])  # 2 n slots: the positive side of every input, then the negative
    # With the same slope on all sides, the best assignment is the one with the largest sum of slopes.
    slot = sides.argmax(0)
    slots, neurons = linear_sum_assignment(sides, maximize=True)
    slot[neurons] = slots
    return _assigned(U, X, sides, slot, np.zeros(m, dtype=bool), np.zeros((n, m)), np.repeat([1.0, -1.0], n))


def _fit_signed_pudding(U: Array, convex: Array, side: int) -> _Fit:
    """Best pudding network whose assigned connections have the sign ``side``: alternate assignment and (a, d)."""
    n, m = U.shape
    X, sums = np.where(convex, U, 0), U.sum(0)
    (slots, neurons), previous = linear_sum_assignment(side * X, maximize=True), np.array([])
    for _ in range(21):  # every round lowers the residual; in practice two or three rounds reach a fixed point
        entries = X[slots, neurons]
        mixing = (X[:, neurons].sum() - entries.sum()) / (n * (n - 1))
        if np.array_equal(previous, neurons):
            break
        slope, previous = (side * (entries - mixing)).mean(), neurons
        # What the neuron would explain as assigned to i, less what it would explain as a shared one.
        assigned = 2 * (side * slope * X + mixing * X.sum(0)) - slope**2 - 2 * side * slope * mixing - n * mixing**2
        slots, neurons = linear_sum_assignment(assigned - sums**2 / n, maximize=True)

    # The neurons left over are shared, unless one explains more as a further copy of an assigned one.
    loads = side * (X - mixing)
    copied = (X**2).sum(0) - ((X - mixing) ** 2).sum(0) + loads.max(0).clip(0) ** 2
    shared = (copied <= sums**2 / n) | ~convex
    shared[neurons] = False
    slot = loads.argmax(0)
    slot[neurons] = slots
    background = np.broadcast_to(np.where(shared, sums / n, mixing), (n, m))
    return _assigned(U, X, loads, slot, shared, background, np.full(n, float(side)))


def _assigned(U: Array, X: Array, loads: Array, slot: Array, shared: Array, background: Array, sign: Array) -> _Fit:
    """The fit that puts neuron j at ``slot[j]`` on top of a background, with the same total slope a on every slot.

    Least squares under the condition that the loads of a slot's k neurons add up to a: each neuron's load is moved by
    (a - T) / k, with T the slot's total, and a is the mean of the totals weighted by 1/k. X is U with concave neurons
    set to 0, ``loads`` ``(slots, m)`` what each neuron would carry at each slot; slot s belongs to input s mod n.
    """
    n = U.shape[0]
    neuron = np.flatnonzero(~shared)
    place = slot[neuron]
    load, count = loads[place, neuron], np.bincount(place, minlength=len(sign))
    total = np.bincount(place, load, minlength=len(sign))
    slope = (total / count).sum() / (1 / count).sum()
    effective = background.astype(float)
    effective[place % n, neuron] += sign[place] * (load + ((slope - total) / count)[place])
    target = np.where(shared, U, X)  # what is concave and not shared stays unexplained
    lost = ((target - effective) ** 2).sum() + ((U - target) ** 2).sum()
    return effective, shared, float(1 - lost / (U**2).sum())
