"""Is an explanation causal? A network's weights are replaced by what the explanation says, and the loss is measured.

The interpretation of section 2.1 says that a network *is* a construction plus a residual that does not matter. Then
the fitted construction must do the network's work, another algorithm's must not, and it must not matter which input
of a neuron the residual sits on.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from ..checks import as_generator
from ..network import Network
from .explain import explain
from .order_parameters import CONVEXITY

NETWORK = "network itself"
OWN = "own construction"
OTHER = "other construction"
REMOVED = "residual removed"
SHUFFLED = "residual shuffled"
DESTROYED = "weights shuffled"


def replacements(net: Network, x: Tensor, y: Tensor, generator: torch.Generator | int = 0) -> pd.DataFrame:
    """Loss of a network and of what can stand in for it (section 2.1).

    Args:
        net: one network ``(n, m, 1)`` without batch axes.
        x, y: inputs ``(batch, n)`` and normalised targets ``(batch, 1)``.
        generator: draws the shuffles, the inputs of the fit and fresh convexity weights; a ``torch.Generator`` or an
            integer seed.

    Returns:
        Columns ``replacement``, ``algorithm``, ``loss`` (normalised MSE), in this order of rows:

        * ``network itself``;
        * ``own construction``: the fitted construction that explains most, with its own fitted output layer;
        * ``other construction``: those of the other algorithms that the network has neurons enough for;
        * ``residual removed``: the first layer of the own construction, all else the network's own;
        * ``residual shuffled``: what the own construction leaves of the first layer is permuted among the inputs of
          each hidden neuron, and added to it;
        * ``weights shuffled``: the whole first layer is permuted among the inputs of each hidden neuron, which keeps
          every number of the network and destroys the algorithm.

        A convexity network has no rows for its residual: its construction is a fresh draw and fits no weight.

    Raises:
        TypeError, ValueError: see `hyperlib.algorithms.explain.explain`; it is a ValueError too if the network is dead.
    """
    g = as_generator(generator)
    found = explain(net, generator=g)
    if not found.fitted:
        raise ValueError("the network is dead (all its effective weights are 0): there is nothing to replace")
    own = max(found.fitted, key=found.scores.__getitem__)
    rows = [(NETWORK, own, net), (OWN, own, found.fitted[own])]
    rows += [(OTHER, name, other) for name, other in found.fitted.items() if name != own]
    W = net.weights[0]
    if own != CONVEXITY:
        fit = found.fitted[own].weights[0]
        rows.append((REMOVED, own, _with_first_layer(net, fit)))
        rows.append((SHUFFLED, own, _with_first_layer(net, fit + _shuffled(W - fit, g))))
    rows.append((DESTROYED, own, _with_first_layer(net, _shuffled(W, g))))
    return pd.DataFrame(
        [{"replacement": kind, "algorithm": name, "loss": float(one.loss(x, y))} for kind, name, one in rows]
    )


def _with_first_layer(net: Network, W: Tensor) -> Network:
    return Network([W, *net.weights[1:]], net.biases)


def _shuffled(W: Tensor, generator: torch.Generator) -> Tensor:
    """``W`` ``(n, m)`` with the entries of each column permuted."""
    order = torch.rand(W.shape, generator=generator).argsort(0)
    return W.gather(0, order.to(W.device))
