"""How the hidden neurons of case 3d come by their inputs: drawn at random, then negotiated through attention (2.3).

Independent draws would leave many inputs without a hidden neuron and crowd others. The generated networks are far more
even. What an edge of an input neuron can know of the others at that neuron, it knows through attention; a `Silenced`
hypernetwork shows what each of these conversations is worth.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from .algorithms.structure import single_connections
from .checks import as_generator
from .hyperhypernetwork import ParetoHypernetwork
from .hypernetwork import Architecture, Hypernetwork
from .network import Network, Shape
from .task import get_task

LEVELS = ("inputs", "hidden neurons", "outputs")  # neurons at which edges attend to each other, of one hidden layer
COUNTS = 1.5  # factor on the loss from which on a conversation counts


def neurons_per_input(net: Network) -> Tensor:
    """How many hidden neurons read each input alone ``(..., n_0)`` (`structure.single_connections`)."""
    W = net.weights[0].detach().double()
    single, at = single_connections(W)
    return torch.zeros(*W.shape[:-1], dtype=W.dtype).scatter_add(-1, at, single.double())


class Silenced(Hypernetwork):
    """A hypernetwork in which the edges at the neurons of one level learn nothing of each other in one hyperlayer.

    What attention gives to an edge is replaced by its mean over all edges and neurons of the level: as much as before
    on average, and nothing about any of them.

    Args:
        hyperlayer: which one, from 1.
        level: which neurons: 0 the inputs, 1 the first hidden layer, and so on.

    Raises:
        ValueError: there is no such hyperlayer or level.
    """

    def __init__(self, shape: Shape, architecture: Architecture | None = None, *, hyperlayer: int, level: int):
        super().__init__(shape, architecture)
        if not (1 <= hyperlayer <= self.architecture.hyperdepth and 0 <= level < len(self.shape)):
            raise ValueError(
                f"hyperlayer is {hyperlayer}, level is {level}; "
                f"expected 1 to {self.architecture.hyperdepth} and 0 to {len(self.shape) - 1}"
            )
        self.silenced = hyperlayer, level

    def heard(self, k: int, level: int, tokens: Tensor) -> Tensor:
        """`Hypernetwork.heard`, or its mean where it is silenced."""
        heard = super().heard(k, level, tokens)
        return heard.mean((2, 3), keepdim=True).expand_as(heard) if (k, level) == self.silenced else heard


def generate_with(
    hypernetwork: Hypernetwork,
    model: ParetoHypernetwork,
    beta: float,
    generator: torch.Generator | int = 0,
    count: int = 16,
) -> Network:
    """Networks of a changed hypernetwork with the hyperweights of a trained one, encoder off.

    Args:
        hypernetwork: for the shape to generate, with the model's architecture.
        model: one trained seed.
        beta: price of a nat at which the networks are generated.
        generator: as in `ParetoHypernetwork.generate`: the same one gives the same noise.
        count: number of networks.

    Returns:
        A batch ``(count,)``.
    """
    trained = Hypernetwork(model.shape, model.architecture)
    flat = model.hyperweights(beta).expand(count, -1)
    noise = torch.randn(count, hypernetwork.noise_size, generator=as_generator(generator)).to(flat)
    with torch.no_grad():
        weights, biases, kl = hypernetwork.generate(trained.unflatten(flat, trained.sizes), noise, encoder=False)
    return Network(weights, biases, kl)


def conversations(
    model: ParetoHypernetwork,
    beta: float,
    count: int = 16,
    samples: int = 2048,
    generator: torch.Generator | int = 0,
    task: str = "l1",
) -> pd.DataFrame:
    """What the attention at every kind of neuron is worth, hyperlayer by hyperlayer, encoder off.

    The first hyperlayer has no input, so that its edges have nothing to say; it is left out.

    Args:
        model: one trained seed, of networks with one hidden layer.
        beta: price of a nat at which the networks are generated.
        count: networks per row, of the same noise in every row.
        samples: inputs on which losses are measured.
        generator: draws noise and inputs.
        task: name of a registered task.

    Returns:
        One row for the whole hypernetwork (``hyperlayer`` 0, ``at`` empty) and one per silenced conversation:
        ``hyperlayer``, ``at`` (of `LEVELS`), ``loss`` (normalised MSE, median over the networks), ``empty`` (share of
        the inputs that no hidden neuron reads alone) and ``unevenness`` (variance of the number of neurons per input
        over its mean; 1 - 1/n_0 for independent draws).

    Raises:
        ValueError: the networks do not have one hidden layer.
    """
    if len(model.shape) != 3:
        raise ValueError(f"shape is {model.shape}; expected one hidden layer")
    g = as_generator(generator)
    seed = int(torch.randint(2**31, (1,), generator=g))
    x, y = get_task(task).sample(samples, model.shape[0], g)
    whole: list[tuple[int, str, Hypernetwork]] = [(0, "", Hypernetwork(model.shape, model.architecture))]
    for k in range(2, model.architecture.hyperdepth + 1):
        for level, name in enumerate(LEVELS):
            whole.append((k, name, Silenced(model.shape, model.architecture, hyperlayer=k, level=level)))
    rows = []
    for k, name, hypernetwork in whole:
        net = generate_with(hypernetwork, model, beta, seed, count)
        loss = (net(x.to(net.weights[0])) - y).square().mean((-2, -1)).median()
        neurons = neurons_per_input(net)
        uneven = neurons.var(-1, correction=0) / neurons.mean(-1).clamp(min=1 / neurons.shape[-1])
        rows.append((k, name, float(loss), float((neurons == 0).double().mean()), float(uneven.mean())))
    return pd.DataFrame(rows, columns=["hyperlayer", "at", "loss", "empty", "unevenness"])


def rounds(table: pd.DataFrame) -> int:
    """Hyperlayers that negotiate: without their conversation at the inputs the loss is `COUNTS` times as large or more.

    Args:
        table: of `conversations`, of one seed.
    """
    whole = table.loc[table["hyperlayer"] == 0, "loss"].iloc[0]
    return int((table.loc[table["at"] == LEVELS[0], "loss"] >= COUNTS * whole).sum())
