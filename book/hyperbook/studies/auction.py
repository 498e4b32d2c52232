"""How the hidden neurons of case 3d come by their inputs: in an auction, held through attention (section 2.3).

Independent draws would leave many inputs without a hidden neuron and crowd others; the generated networks are far more
even. Edges know of each other through attention alone: a `Silenced` hypernetwork shows what each of these conversations
is worth (`conversations`), a linear readout of the features on the way shows what is decided when (`auction`).

Predicted of the second release before any of its auctions was read: among the decoders alone of `results/l1-scratch`,
seeds with more rounds have lower losses; with five hyperlayers in place of four (`results/l1-scratch-5`, and
`results/l1-scratch-6` with six) the most common number of rounds is one (two) more, and the median loss is lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from hyperlib.algorithms.structure import single_connections
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.hypernetwork import DECODER, Architecture, Hypernetwork
from hyperlib.network import Network, Shape
from hyperlib.problems import L1

LEVELS = ("inputs", "hidden neurons", "outputs")  # neurons at which edges attend to each other, of one hidden layer
COUNTS = 1.5  # factor on the loss from which on a conversation counts
OPEN = 0.5  # share of the final assignment that the features of a hyperlayer tell, from which on the bids are in
FITTED = 3 / 4  # share of the networks on which a readout is fitted; it is looked at on the others


def neurons_per_input(net: Network) -> Tensor:
    """How many hidden neurons read each input alone ``(..., n_0)`` (`structure.single_connections`)."""
    W = net.weights[0].detach().double()
    single, at = single_connections(W)
    return torch.zeros(*W.shape[:-1], dtype=W.dtype).scatter_add(-1, at, single.double())


class Silenced(Hypernetwork):
    """A hypernetwork in which the edges at the neurons of one level learn nothing of each other in one hyperlayer.

    What attention gives to an edge is replaced by its mean over all edges and neurons of the level: as much as before
    on average, and nothing about any of them. Hyperlayers count from 1, levels from the inputs, which are 0.
    """

    def __init__(self, shape: Shape, architecture: Architecture | None = None, *, hyperlayer: int, level: int):
        super().__init__(shape, architecture)
        self.silenced = hyperlayer, level

    def heard(self, k: int, level: int, tokens: Tensor) -> Tensor:
        heard = super().heard(k, level, tokens)
        return heard.mean((2, 3), keepdim=True).expand_as(heard) if (k, level) == self.silenced else heard


def generate_with(
    hypernetwork: Hypernetwork, model: ParetoHypernetwork, beta: float, noise: Tensor | int = 0, count: int = 16
) -> Network:
    """Networks ``(count,)`` of a changed hypernetwork with the hyperweights of a trained one, encoder off.

    The changed one has the model's architecture; the noise ``(count, noise_size)`` may also be the seed from which
    `ParetoHypernetwork.generate` draws it.
    """
    if isinstance(noise, int):
        noise = torch.randn(count, hypernetwork.noise_size, generator=torch.Generator().manual_seed(noise))
    trained, flat = Hypernetwork(model.shape, model.architecture), model.hyperweights(beta).expand(len(noise), -1)
    with torch.no_grad():
        return Network(*hypernetwork.generate(trained.unflatten(flat, trained.sizes), noise.to(flat), False))


def conversations(
    model: ParetoHypernetwork, beta: float, count: int = 16, levels: Sequence[str] = LEVELS
) -> pd.DataFrame:
    """What the attention at every kind of neuron, or at some, is worth, hyperlayer by hyperlayer, encoder off.

    Of a seed with one hidden layer for the L1 norm; all rows have the same noise. One row for the whole hypernetwork
    (``hyperlayer`` 0, ``at`` empty) and one per silenced conversation: ``hyperlayer`` (not the first, which has no
    input), ``at`` (of `LEVELS`) and ``loss`` (normalised MSE, median over networks).
    """
    g = torch.Generator().manual_seed(0)
    seed = int(torch.randint(2**31, (1,), generator=g))
    x, y = L1.sample(2048, model.shape[0], g)
    changed: dict[tuple[int, str], Hypernetwork] = {(0, ""): Hypernetwork(model.shape, model.architecture)}
    for k, name in product(range(2, model.architecture.hyperdepth + 1), levels):
        changed[k, name] = Silenced(model.shape, model.architecture, hyperlayer=k, level=LEVELS.index(name))
    losses = {at: generate_with(one, model, beta, seed, count).loss(x, y) for at, one in changed.items()}
    rows = [(k, name, float(loss.median())) for (k, name), loss in losses.items()]
    return pd.DataFrame(rows, columns=["hyperlayer", "at", "loss"])


def rounds(table: pd.DataFrame) -> int:
    """How many hyperlayers of `conversations` negotiate: silenced at the inputs, the loss rises by `COUNTS` or more."""
    whole = table.loc[table["hyperlayer"] == 0, "loss"].iloc[0]
    return int((table.loc[table["at"] == LEVELS[0], "loss"] >= COUNTS * whole).sum())


class _Watched(Hypernetwork):
    """A hypernetwork that keeps the decoder's features of the first layer's edges after every hyperlayer."""

    features: tuple[Tensor, ...] = ()  # per hyperlayer (networks, n_0, n_1, hyperfeatures)

    def hyperlayer(self, *arguments: object) -> tuple[list[Tensor], Tensor]:
        state, kl = super().hyperlayer(*arguments)  # type: ignore[arg-type]
        self.features += (state[0][:, DECODER],)
        return state, kl


@dataclass(frozen=True)
class Auction:
    """What a linear readout tells of the assignment before it is made, on networks that it was not fitted on."""

    net: Network  # a batch (count,)
    told: list[float]  # after every hyperlayer, the share of the neurons with an input of their own whose bid tells it
    opened: int  # the first hyperlayer after which at least `OPEN` of them is told
    bids: Tensor  # the readout there (count, n_0, n_1), signed so that the largest is the strongest
    noise: Tensor  # what the networks were drawn from (count, noise_size)

    def neurons(self) -> pd.DataFrame:
        """Every hidden neuron of every network as a bidder.

        ``network``, ``neuron``, ``favourite`` (the input of its largest bid), ``rank`` (how many neurons with the same
        favourite bid more), ``wins`` (whether it reads a single input in the end) and ``input`` (which one).
        """
        highest, favourite = self.bids.max(1)  # (count, n_1)
        rival = (favourite[:, None] == favourite[:, :, None]) & (highest[:, None] > highest[:, :, None])
        single, at = single_connections(self.net.weights[0].detach().double())
        network, neuron = torch.meshgrid(*map(torch.arange, favourite.shape), indexing="ij")
        columns = {"network": network, "neuron": neuron, "favourite": favourite, "rank": rival.sum(2), "wins": single}
        return pd.DataFrame({name: value.flatten().numpy() for name, value in (columns | {"input": at}).items()})

    def unasked(self) -> tuple[float, float]:
        """Share of the inputs that are nobody's favourite, and of these the share that is served in the end."""
        unasked = torch.ones(self.bids.shape[:2], dtype=torch.bool).scatter(1, self.bids.argmax(1), False)
        served = neurons_per_input(self.net) > 0
        return float(unasked.double().mean()), float(served[unasked].double().mean())


def auction(model: ParetoHypernetwork, beta: float, count: int = 64) -> Auction:
    """Read the assignment off a seed of case 3d while it is being made, encoder off.

    After every hyperlayer the first layer's weights are predicted from the decoder's features of their edges by least
    squares, one readout for all edges, fitted on three in four of ``count`` networks with one hidden layer.
    """
    watched = _Watched(model.shape, model.architecture)
    noise = torch.randn(count, watched.noise_size, generator=torch.Generator().manual_seed(0))
    nets = generate_with(watched, model, beta, noise)
    W, fitted = nets.weights[0].double(), round(FITTED * count)
    single, at = single_connections(W)
    signs = W.gather(1, at[:, None])[:, 0].sign() * single
    direction = signs.sum().sign() if single.any() else 1.0
    told, readouts = [], []
    for features in watched.features:
        x = torch.cat([features.double(), torch.ones_like(features[..., :1]).double()], dim=-1)
        solution = torch.linalg.lstsq(x[:fitted].flatten(0, 2), W[:fitted].reshape(-1, 1), driver="gelsd").solution
        readouts.append(direction * (x[fitted:] @ solution)[..., 0])
        told.append(float((readouts[-1].argmax(1) == at[fitted:])[single[fitted:]].double().mean()))
    opened = next((k for k, share in enumerate(told, start=1) if share >= OPEN), len(told))
    return Auction(nets.map(lambda tensor: tensor[fitted:]), told, opened, readouts[opened - 1], noise[fitted:])


def swaps(model: ParetoHypernetwork, beta: float, count: int = 64) -> pd.DataFrame:
    """Does the highest bid win because it is the highest? Two bids at an input exchange their noise, all else stays.

    At every input of the networks that the readout was not fitted on, the highest bids of a neuron that wins the input
    (reads it alone) and of one that does not exchange the noise of their connections, in all hyperlayers. If bids
    decide, the winner changes. As a control two losers exchange theirs: the winner should stay.

    One row per input, ``network, input, served`` (somebody won), and with two losers: ``highest``, whether the winner's
    bid was that; ``swapped`` (the loser wins the input and the winner does not) and ``kept`` (the winner still does)
    after the exchange, ``control_swapped`` and ``control_kept`` after the control.
    """
    found, whole, rows = auction(model, beta, count), Hypernetwork(model.shape, model.architecture), []
    single, at = single_connections(found.net.weights[0].double())
    owner = single[:, None] & (at[:, None] == torch.arange(model.shape[0])[:, None])  # (networks, n_0, n_1)
    for k, (bids, wins) in enumerate(zip(found.bids, owner, strict=True)):
        plans: list[tuple[dict, int, int, int, int]] = []
        for i in range(len(bids)):
            order = bids[i].argsort(descending=True).tolist()
            winners, losers = ([j for j in order if wins[i, j] == won] for won in (True, False))
            rows.append({"network": k, "input": i, "served": bool(winners)})
            if winners and len(losers) > 1:
                rows[-1] |= {"highest": order[0] == winners[0]}
                plans += [(rows[-1], i, winners[0], losers[0], other) for other in (winners[0], losers[1])]
        noise = found.noise[k].reshape(-1, whole.edges).repeat(len(plans), 1, 1)
        for one, (_, i, _, *pair) in zip(noise, plans, strict=True):
            edges = i * model.shape[1] + torch.tensor(pair)
            one[:, edges] = one[:, edges.flip(0)]
        alone, reads = single_connections(generate_with(whole, model, beta, noise.flatten(1)).weights[0].double())
        for place, (row, i, winner, loser, other) in enumerate(plans):
            still, new = (bool(alone[place, j] and reads[place, j] == i) for j in (winner, loser))
            name = "" if other == winner else "control_"
            row |= {f"{name}swapped": new and not still, f"{name}kept": still}
    return pd.DataFrame(rows)
