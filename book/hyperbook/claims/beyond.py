"""Claims of sections 2.5 and 4: the baseline, how hard networks are to read, and what compression does to that."""

from dataclasses import replace

import numpy as np
import torch
from scipy.stats import spearmanr

from hyperlib.algorithms.order_parameters import DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.network import Network

from ..studies.kinks import kink_analysis
from .claim import SEED, Found, contrast, estimate
from .evidence import RANDOM, Setting

MIDDLE = (0.25, 0.75)  # share of a neuron's squared weights on one input that is neither "single" nor "all"
WELL, FEW = 2.0, 10  # program's loss over the network's up to which it stands for it, and constants that are few


def adam_is_lower(part: Setting) -> Found:
    adam, best = {}, np.log10(part.last.groupby("seed")["loss"].min())
    if part.baseline:
        x, y = part.inputs()
        losses = np.log10(part.baseline.networks.loss(x, y).double().numpy())
        adam = {("adam", seed): loss for seed, loss in zip(part.baseline.seeds, losses, strict=True)}
        yield "cost", estimate([part.baseline.settings["cpu_s"]], of="training of all networks")
    groups = {"pudding": part.lowest(PUDDING, True), "double": part.lowest(DOUBLE_SIDED, True)}
    for name, seeds in (groups | {"random": part.of(RANDOM)}).items():
        mine = {("seed", seed): best[seed] for seed in seeds}
        yield name, contrast(mine, adam, of=("seeds", "networks"))
        yield f"{name}-compute", estimate([loss - min(adam.values()) for loss in mine.values()]) if adam else None


def adam_is_harder(part: Setting) -> Found:
    rows, adam = part.programs(), part.programs("adam")
    rows = rows[(rows["beta"] == rows["beta"].min()) & rows["structure"].isin((PUDDING, DOUBLE_SIDED))]
    for key, name in (("bits", "bits"), ("constants", "numbers"), ("loss", "ratio")):
        theirs, mine = (np.log10(table[name].astype(float)).tolist() for table in (adam, rows))
        first, second = ({(who, k): v for k, v in enumerate(g)} for who, g in (("adam", theirs), ("seed", mine)))
        found = contrast(first, second, of=("of Adam's networks", "generated"))
        yield key, found and replace(found, value=10**found.value, low=10**found.low, high=10**found.high)
        yield f"adam-{key}", estimate(adam[name], "median", "network")
    yield "mixed", estimate(adam["label"] == "pudding, mixed signs", of="network")


def adam_unnecessarily_complex(part: Setting) -> Found:
    rows, adam = part.programs(), part.programs("adam")
    rows = rows[(rows["beta"] == rows["beta"].min()) & bool(len(adam))]
    simpler = (rows["loss"] <= adam["loss"].median()) & (rows["bits"] <= adam["bits"].median() / 2)
    yield "simpler", estimate(simpler, "sum")
    yield "share", estimate(simpler)


def _networks(part: Setting) -> list[Network]:
    """The networks of the baseline, where they can be compared."""
    nets = part.baseline.networks if part.baseline and part.plain else None
    return [nets[k] for k in range(nets.batch_shape[0])] if nets else []


def adam_kinks(part: Setting) -> Found:
    found = [kink_analysis(net) for net in _networks(part)]
    yield "kink", estimate([float(kink.inputs["kink_own"].mean()) for kink in found], of="network")
    yield "slope", estimate([kink.correction for kink in found if np.isfinite(kink.correction)], of="network")
    between = [kink.neurons["strength"][kink.neurons["share"].between(*MIDDLE)].sum() for kink in found]
    yield "middle", estimate(between, of="network")
    owned = [kink.inputs[["positive", "negative"]].sum(axis=1).mean() for kink in found]
    yield "owned", estimate(owned, of="network")


def signs_in_common(net: Network, generator: torch.Generator) -> float:
    """How far leftover neurons agree on one sign per input, 0 as by chance, 1 entirely.

    A neuron is leftover if no input has half of its squared weights. Each has a sign of its own as a whole; the signs
    of inputs that agree best with all of them are found in turns, and agreement is weighted by the size of the weights.
    By chance is the same after the signs were drawn anew.
    """
    W = net.weights[0].double()
    left = W[:, W.square().amax(0) <= W.square().sum(0) / 2]
    if not left.numel():
        return float("nan")

    def agreement(A: torch.Tensor) -> float:
        signs = torch.linalg.svd(A).U[:, 0].sign()
        for _ in range(20):
            signs = (A @ (signs @ A).sign()).sign()
        return float((signs @ A).abs().sum() / A.abs().sum())

    coins = [torch.randint(0, 2, left.shape, generator=generator).double() * 2 - 1 for _ in range(50)]
    chance = float(np.mean([agreement(left.abs() * coin) for coin in coins]))
    return (agreement(left) - chance) / (1 - chance)


def adam_signs_random(part: Setting) -> Found:
    g = torch.Generator().manual_seed(SEED)
    values = [signs_in_common(net, g) for net in _networks(part)]
    yield "common", estimate([value for value in values if np.isfinite(value)], of="network")


def interpretable_in_hindsight(part: Setting) -> Found:
    rows = part.programs()
    read = (rows["numbers"] <= FEW) & (rows["ratio"] <= WELL)
    yield "read", estimate(read.groupby(rows["seed"]).mean())
    for name in PHASES:
        yield name, estimate(read[rows["structure"] == name], of="network")
    yield "kept", estimate(rows["kept"] >= 0.99, of="network")


def simpler_is_more_readable(part: Setting) -> Found:
    rows = part.programs()
    rows = rows[rows["seed"].isin(part.pays) & (rows["kl"] > 1)]
    ranks = [float(spearmanr(one["kl"], one["bits"]).statistic) for _, one in rows.groupby("seed") if len(one) > 2]
    yield "ranks", estimate([rank for rank in ranks if np.isfinite(rank)])
    among = [spearmanr(one["kl"], one["bits"]).statistic for _, one in rows.groupby("structure") if len(one) >= 12]
    yield "within", estimate(among, of="algorithm")
