"""Is an explanation causal? A network's weights are replaced by what the explanation says, and the loss is measured.

The interpretation of section 2.1 says that a network *is* a construction plus a residual that does not matter. Then
the fitted construction must do the network's work, another algorithm's must not, and it must not matter which input
of a neuron the residual sits on.
"""

from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from hyperlib.algorithms.order_parameters import CONVEXITY
from hyperlib.algorithms.structure import single_connections
from hyperlib.checks import as_generator
from hyperlib.network import Network
from hyperlib.problems import L1
from hyperlib.runs import Run

from .explain import explain

NETWORK = "network itself"
OWN = "own construction"
OTHER = "other construction"
REMOVED = "residual removed"
SHUFFLED = "residual shuffled"
DESTROYED = "weights shuffled"


def is_l1(run: Run) -> bool:
    """Whether the paper's constructions apply to a run, and can be fitted: the L1 norm with one hidden layer."""
    shape = run.config.shape
    return run.config.task == L1 and len(shape) == 3 and shape[0] >= 3 and shape[1] >= 2


def replacements(net: Network, x: Tensor, y: Tensor, generator: torch.Generator | int = 0) -> pd.DataFrame:
    """Loss of a network and of what can stand in for it (section 2.1).

    Of one network ``(n, m, 1)``, not dead, on inputs x ``(batch, n)`` and normalised targets y ``(batch, 1)``; the
    generator draws the shuffles, the inputs of the fit and fresh convexity weights. Columns ``replacement``,
    ``algorithm``, ``loss`` (normalised MSE), in this order of rows:

    * ``network itself``;
    * ``own construction``: the fitted construction that explains most, with its own fitted output layer;
    * ``other construction``: those of the other algorithms that the network has neurons enough for;
    * ``residual removed``: the first layer of the own construction, all else the network's own;
    * ``residual shuffled``: what that leaves of the first layer, permuted within each hidden neuron, added to it;
    * ``weights shuffled``: the whole first layer permuted within each hidden neuron.

    A convexity network has no rows for its residual: its construction is a fresh draw and fits no weight.
    """
    g = as_generator(generator)
    found = explain(net, generator=g)
    own = max(found.fitted, key=found.scores.__getitem__)
    rows = [(NETWORK, own, net), (OWN, own, found.fitted[own])]
    rows += [(OTHER, name, other) for name, other in found.fitted.items() if name != own]
    W, fit = net.weights[0], found.fitted[own].weights[0]
    layers = {} if own == CONVEXITY else {REMOVED: fit, SHUFFLED: fit + _shuffled(W - fit, g)}
    layers[DESTROYED] = _shuffled(W, g)
    rows += [(kind, own, replace(net, weights=[layer, *net.weights[1:]])) for kind, layer in layers.items()]
    measured = [(kind, name, float(one.loss(x, y))) for kind, name, one in rows]
    return pd.DataFrame(measured, columns=["replacement", "algorithm", "loss"])


def _shuffled(W: Tensor, generator: torch.Generator) -> Tensor:
    """``W`` ``(n, m)`` with the entries of each column permuted."""
    order = torch.rand(W.shape, generator=generator).argsort(0)
    return W.gather(0, order.to(W.device))


def owners(W: Tensor) -> Tensor:
    """Which hidden neurons read which input alone ``(n, m)``."""
    single, at = single_connections(W)
    return single & (at == torch.arange(W.shape[0])[:, None])


def kink_sums(net: Network) -> pd.DataFrame:
    """How the neurons that share an input split its kink between them.

    One row per input: ``neurons`` (that read it alone), ``kink`` (the sum of theirs) and ``each``, their
    mean, NaN where no neuron reads the input. A neuron with weight w on its own input and output weight v adds |w| v to
    the difference in slope between the two sides of that input, as far as swish is a rectifier. The target, the
    normalised L1 norm, needs a kink of 2 / sqrt(n (1 - 2 / pi)) at every input.
    """
    W, v = net.weights[0].detach().double(), net.weights[1].detach().double()[:, 0]
    neurons, total = owners(W).sum(1), torch.where(owners(W), W.abs() * v, 0.0).sum(1)
    return pd.DataFrame({"neurons": neurons.numpy(), "kink": total.numpy(), "each": (total / neurons).numpy()})


def strengths(net: Network, x: Tensor, y: Tensor, generator: torch.Generator | int = 0) -> pd.Series:
    """Losses of a network taken as pudding with a strength per neuron, each with the best output bias.

    A neuron with an input of its own reads w_j x_i + c_j sum of the other inputs, any other neuron c_j sum of all, as
    they are in the network; biases and output weights are its own. Rows: ``network``; ``template``, made of strengths
    and backgrounds alone; ``residual shuffled``, the template and what it leaves of the first layer, permuted among the
    inputs of each neuron; ``strengths shuffled``, with the strengths of the owning neurons permuted among them, which
    keeps who reads which input; ``one strength``, with their mean absolute strength.
    """
    g, W = as_generator(generator), net.weights[0].detach().double()
    owner = owners(W)
    own, mine = torch.where(owner, W, 0.0).sum(0), owner.any(0)
    rest = torch.where(owner, 0.0, W).sum(0) / (~owner).sum(0)

    template, shuffled = torch.where(owner, own, rest), own.clone()
    size = own[mine].abs()
    shuffled[mine] = own[mine].sign() * size[torch.randperm(int(mine.sum()), generator=g)]
    layers = {"network": W, "template": template, "strengths shuffled": torch.where(owner, shuffled, rest)}
    layers["residual shuffled"] = template + _shuffled(W - template, g)
    layers["one strength"] = torch.where(owner, own.sign() * (size.mean() if mine.any() else 0.0), rest)
    losses = {}
    for name, layer in layers.items():
        one = replace(net, weights=[layer.to(net.weights[0]), *net.weights[1:]])
        shift = (y - one(x)).mean(0)  # so that a change of mean does not count as harm
        losses[name] = float(replace(one, biases=[*net.biases[:-1], net.biases[-1] + shift]).loss(x, y))
    return pd.Series(losses)
