"""Functions side by side: how far hypernetworks get on each, beside networks that Adam trains with the same steps."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from hyperlib.network import ACTIVATIONS, Network
from hyperlib.runs import Run
from hyperlib.sweeps import INPUT_SEED, SAMPLES

from .programs import decoded

NEAR = 3.0  # times Adam's median loss up to which a seed is as good,
EXACT = 1e-4  # and the loss up to which it is wherever Adam's is lower; set after Adam's on signs, 1e-7, had been seen
RANDOM = 4096  # hidden neurons with random weights, for what chance gives
ENOUGH = 0.25  # share of such seeds from which on a training has not failed


def lowest(run: Run) -> pd.DataFrame:
    """The rows of a run's seeds at the last step and the lowest beta, by loss."""
    return run.final[run.final["beta"] == run.betas[0]].sort_values("loss", kind="stable")


def standing(runs: Mapping[str, Run], adam: pd.DataFrame) -> pd.DataFrame:
    """One row per run: its target, the seeds that finished, their losses and KL at the lowest beta, and Adam's.

    Adam's table has columns ``run, seed, loss``; a run that it lacks has no Adam beside it. Columns ``target, seeds,
    loss, kl, adam`` (medians), ``near`` (share of all seeds within `NEAR` times Adam's median or `EXACT`) and
    ``training``, "failed" where fewer than `ENOUGH` are.
    """
    rows = {}
    for name, run in runs.items():
        low, peer = lowest(run), adam.loc[adam["run"] == name, "loss"].median()
        near = float((low["loss"] <= max(NEAR * peer, EXACT)).sum() / len(run.config.seeds)) if peer == peer else peer
        said = "–" if near != near else "failed" if near < ENOUGH else "as good as Adam's"
        target, seeds = "-".join(map(str, run.config.shape)), f"{len(low)} of {len(run.config.seeds)}"
        rows[name] = {"target": f"{run.config.task.title}, {target}", "seeds": seeds, "loss": low["loss"].median()}
        rows[name] |= {"kl": low["kl"].median(), "adam": peer, "near": near, "training": said}
    return pd.DataFrame(rows).T.rename_axis("run")


def best_networks(runs: Mapping[str, Run]) -> dict[str, Network]:
    """Per run the networks of the seed with the lowest loss, batch axis: beta."""
    return {name: run.networks(int(lowest(run)["seed"].iloc[0])) for name, run in runs.items()}


def best_programs(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Per run with one hidden layer the program of the best network: ``label, numbers, bits, kept, text``."""
    flat = {name: nets[0] for name, nets in best_networks(runs).items() if len(nets.shape) == 3}
    found = {name: decoded(net, runs[name].task) for name, net in flat.items()}
    facts = ("label", "numbers", "bits", "kept", "text")
    return pd.DataFrame([{"run": name} | {fact: getattr(p, fact) for fact in facts} for name, p in found.items()])


def guesses() -> dict[str, list[Tensor]]:
    """Which weights of a hidden neuron the guesses expect: per function subspaces, as orthonormal bases ``(k, n_0)``.

    A neuron reads the sum; differences alone; or, one of five twice, a wave of one frequency in either number.
    """
    found = {name: [torch.full((1, n), n**-0.5)] for name, n in {"velocities": 2, "majority": 8, "parity": 4}.items()}
    turns = [2 * torch.pi / 5 * frequency * torch.arange(5) for frequency in (1, 2)]
    waves = [torch.stack([turn.cos(), turn.sin()]) * 0.4**0.5 for turn in turns]
    differences = torch.linalg.svd(torch.ones(1, 3))[2][1:]
    return found | {"max3": [differences], "mod5": [torch.block_diag(wave, wave) for wave in waves]}


def share_read(net: Network, x: Tensor, bases: Sequence[Tensor], block: int = 1) -> float:
    """Share of the squared first-layer weights in a subspace, each neuron's best one, from 0 to 1.

    Neurons count by how much what they add to the outputs varies over the inputs ``x`` ``(rows, n_0)``. Of inputs that
    are one of ``block``, weights count from their mean in the block, which acts as a bias.
    """
    W, added = net.weights[0], effect(net, x)
    if block > 1:
        W = W - W.unflatten(0, (-1, block)).mean(1).repeat_interleave(block, 0)
    inside = torch.stack([(basis @ W).square().sum(0) for basis in bases]).amax(0) / W.square().sum(0)
    return float((inside * added).sum() / added.sum())


def share_of_products(net: Network, x: Tensor) -> float:
    """Share of the hidden neurons, as in `share_read`, whose output weight has the sign against their input weights'.

    So a rectifier goes into the parity of four signs, with whose product it correlates negatively; chance is 1/2.
    """
    W, v, added = net.weights[0], net.weights[1][:, 0], effect(net, x)
    return float((added * (v.sign() == -W.sign().prod(0))).sum() / added.sum())


def effect(net: Network, x: Tensor) -> Tensor:
    """How much what a hidden neuron adds to the outputs varies over inputs ``(rows, n_0)``: variances ``(n_1,)``."""
    hidden = ACTIVATIONS[net.activation](x @ net.weights[0] + net.biases[0])
    return hidden.var(0) * net.weights[1].square().sum(1)


def read_guesses(runs: Mapping[str, Run]) -> pd.DataFrame:
    """How far the guesses hold: a row per run that has one, seed and stored price, in the columns ``run, seed, price``.

    ``loss, share`` (`share_read`), ``chance``, that of random weights, and ``products`` (`share_of_products`).
    """
    rows, g = [], torch.Generator().manual_seed(0)
    for name, bases in ((name, bases) for name, bases in guesses().items() if name in runs):
        run, (n, _, outputs) = runs[name], runs[name].config.shape
        x, y = run.task.measured(SAMPLES, n, INPUT_SEED)
        expected = x, bases, run.task.inputs.block
        weights = [torch.randn(n, RANDOM, generator=g), torch.randn(RANDOM, outputs, generator=g)]
        chance = share_read(Network(weights, [torch.zeros(RANDOM), torch.zeros(outputs)]), *expected)
        for seed in run.seeds:
            for price, net in zip(run.network_betas, run.networks(seed), strict=True):
                row = {"run": name, "seed": seed, "price": price, "loss": float(run.task.errors(n)(net(x), y).mean())}
                row |= {"share": share_read(net, *expected), "chance": chance}
                rows.append(row | {"products": share_of_products(net, x)})
    return pd.DataFrame(rows)


def signed_pairs(net: Network) -> tuple[Tensor, Tensor, Network]:
    """Does a neuron read inputs 1 and 2, 3 and 4, ... as sums or as differences, all pairs alike?

    Returns per hidden neuron the sign, 1 for sums, and how alike the two weights of its pairs are up to it, 1 for equal
    ones, both ``(n_1,)``; and the network in which they are equal.
    """
    W = net.weights[0]
    a, b = W[0::2], W[1::2]
    product = 2 * (a * b).sum(0) / (a.square() + b.square()).sum(0)
    sign = product.sign()
    equal = torch.stack([(a + sign * b) / 2, (b + sign * a) / 2], 1).flatten(0, 1)
    return sign, product.abs(), Network([equal, *net.weights[1:]], net.biases, activation=net.activation)


def read_pairs(run: Run) -> pd.DataFrame:
    """`signed_pairs` of a run of sums of products: a row per seed and stored price.

    Columns ``seed, price, agree`` (share of the neurons whose output weight has the sign), ``sums`` (share of the
    neurons that read sums), ``alike`` (median over neurons), ``loss`` and ``equal``, the loss with equal pairs.
    """
    (x, y), rows = run.task.measured(SAMPLES, run.config.shape[0], INPUT_SEED), []
    for seed in run.seeds:
        for price, net in zip(run.network_betas, run.networks(seed), strict=True):
            sign, alike, equal = signed_pairs(net)
            row = {"agree": (sign == net.weights[1][:, 0].sign()).float().mean(), "sums": (sign > 0).float().mean()}
            row |= {"alike": alike.median(), "loss": net.loss(x, y), "equal": equal.loss(x, y)}
            rows.append({"seed": seed, "price": price} | {name: float(value) for name, value in row.items()})
    return pd.DataFrame(rows)
