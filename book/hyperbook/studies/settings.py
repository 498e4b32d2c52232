"""What was tried before the second release: how training starts, on seeds that are not released.

Two things are varied. The `gain` with which networks are generated: with 1 their pre-activations stay within the bend
of the activation, where there is no kink to be had. And how memory starts: with a warm-up of beta alone, or matched to
a random network first. A cell is one setting with four or eight seeds; what is measured on the way is kept.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from hyperlib.checks import FLOAT
from hyperlib.config import TrainConfig
from hyperlib.hypernetwork import Architecture
from hyperlib.network import ACTIVATIONS, Network
from hyperlib.training import Ensemble

from .agreement import OFF, reading
from .replay import trained

SEEDS = tuple(range(900, 908))
BETAS = (1e-10, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
EVERY, SAMPLES, DRAWS = 1000, 2048, 4  # steps between measurements; inputs; networks of which a loss is the mean
SOLVED = 0.1
ALONE: dict[str, Any] = {"encoder": False, "beta_warmup": 0, "log_beta_start": 0.0}
SMALL: dict[str, Any] = {"shape": (8, 24, 1), "match_steps": 3000, "beta_warmup": 18000}
NARROW: dict[str, Any] = {"gain": 4.0, "sigma_shift": -3.0}  # the channel begins with little noise
RELEASED: dict[str, Any] = {"gain": 4.0, "beta_warmup": 550, "seeds": 8, "steps": 30000}
COMMON: dict[str, Any] = {"steps": 24000, "learning_rate_end": 0.02}

# Name -> settings that differ from `COMMON` and the defaults; those of `OF_ARCHITECTURE` are the architecture's,
# ``seeds`` a number, ``alone_from`` the step after which the encoder is taken away.
OF_ARCHITECTURE = {"gain", "sigma_shift", "shared_random"}
CELLS: dict[str, dict[str, Any]] = {
    "decoder alone, gain 1": ALONE | {"gain": 1.0},
    "decoder alone, gain 4": ALONE | {"gain": 4.0},
    "decoder alone, gain 8": ALONE | {"gain": 8.0},
    "decoder alone, gain 16": ALONE | {"gain": 16.0},
    "decoder alone, gain 8, lower rate": ALONE | {"gain": 8.0, "learning_rate": 1e-3},
    "decoder alone, (8, 24, 1), gain 1": ALONE | {"gain": 1.0, "shape": (8, 24, 1)},
    "decoder alone, (8, 24, 1), gain 8": ALONE | {"gain": 8.0, "shape": (8, 24, 1)},
    "decoder alone, (4, 12, 1), gain 8": ALONE | {"gain": 8.0, "shape": (4, 12, 1)},
    "decoder alone, (8, 24, 24, 1), gain 8": ALONE | {"gain": 8.0, "shape": (8, 24, 24, 1), "steps": 12000},
    "memory, gain 4, warm-up 300": {"gain": 4.0, "beta_warmup": 300, "seeds": 8, "steps": 7000},
    "memory, gain 4, warm-up 700": {"gain": 4.0, "beta_warmup": 700, "seeds": 8, "steps": 4000},
    "decoder alone, narrow channel": ALONE | NARROW | {"seeds": 8},
    "decoder alone, narrow channel, 48,000 steps": ALONE | NARROW | {"seeds": 8, "steps": 48000},
    "memory, warm-up 550, narrow channel": RELEASED | NARROW,
    "memory, warm-up 150, narrow channel": RELEASED | NARROW | {"beta_warmup": 150},
    "memory, warm-up 550": RELEASED,
    "memory, warm-up 550, alone from 2,000": RELEASED | {"alone_from": 2000},
    "memory, warm-up 150, narrow, alone from 2,000": RELEASED | NARROW | {"beta_warmup": 150, "alone_from": 2000},
    "memory, warm-up 550, shared random numbers": RELEASED | {"shared_random": True},
    "memory, warm-up 150": RELEASED | {"beta_warmup": 150},
    "memory, warm-up 150, shared random numbers": RELEASED | {"shared_random": True, "beta_warmup": 150},
    "memory matched, gain 4": {"gain": 4.0, "match_steps": 2000, "beta_warmup": 8000, "steps": 16000},
    "pairs, memory matched, gain 4": SMALL | {"gain": 4.0, "task": "pairs"},
    "positives, memory matched, gain 4": SMALL | {"gain": 4.0, "task": "positives"},
}


def configuration(cell: str) -> TrainConfig:
    """The training configuration of a cell."""
    chosen = COMMON | CELLS[cell]
    seeds = SEEDS[: chosen.pop("seeds", 4)]
    chosen.pop("alone_from", None)
    scales = {name: chosen.pop(name) for name in OF_ARCHITECTURE & set(chosen)}
    return TrainConfig(seeds=seeds, architecture=Architecture(**scales), **chosen)


def run_cell(cell: str, compiled: bool = True, every: int = EVERY) -> Iterator[pd.DataFrame]:
    """Train a cell in this process; yields what is measured, a table per seed, all ``every`` steps.

    Columns: ``seed``, ``beta``, ``loss`` (normalised, mean over `DRAWS` networks), ``kl`` (nats), ``cell``, ``step``,
    ``reading`` (of hyperlayer 2, see `agreement`).
    """
    config = configuration(cell)
    (x, y), betas = config.task.measured(SAMPLES, config.shape[0], seed=5), BETAS if config.encoder else BETAS[:1]
    steps = [*range(every, config.steps, every), config.steps]
    for seed, step, model in trained(config, config.seeds, steps, compiled, CELLS[cell].get("alone_from")):
        with torch.no_grad():
            net = model.generate(betas, count=DRAWS)
            loss = config.task.errors(config.shape[0])(net(x), y).mean((0, -1)).tolist()
        assert net.kl is not None
        columns = {"beta": betas, "loss": loss, "kl": net.kl.mean(0).tolist(), "cell": cell, "step": step}
        columns |= {"reading": reading(model)["weight"].iloc[0]}
        yield pd.DataFrame({"seed": seed} | columns)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: seeds, steps, and of its seeds at the lowest beta and the last step what became of them.

    ``left``: share with a loss below `OFF`; ``solved``: steps until half of the seeds are below `SOLVED`, NaN if they
    never are; ``loss``: the median; ``memorise``: share that pays more than 10 nats.
    """
    rows = []
    for cell, found in table[table["beta"] == table["beta"].min()].groupby("cell", sort=False):
        solved = (found["loss"] < SOLVED).groupby(found["step"]).mean() >= 0.5
        end = found[found["step"] == found["step"].max()]
        about = {"cell": cell, "seeds": found["seed"].nunique(), "steps": int(end["step"].iloc[0])}
        about |= {"left": (end["loss"] < OFF).mean(), "solved": float(solved.idxmax()) if solved.any() else np.nan}
        rows.append(about | {"loss": end["loss"].median(), "memorise": (end["kl"] > 10).mean()})
    return pd.DataFrame(rows)


def at_the_start(gain: float, seed: int = SEEDS[0]) -> tuple[Network, pd.DataFrame]:
    """A network before any training, and what its hidden neurons make of their pre-activations.

    That is a table ``neuron, z, response``: for three neurons z over two standard deviations of their pre-activation on
    either side, and the activation less the straight line through its ends.
    """
    shape = (16, 48, 1)
    ensemble = Ensemble(TrainConfig(shape=shape, architecture=Architecture(gain=gain)), [seed], compiled=False)
    net = ensemble.model(seed).generate(1e-6, generator=0)
    spread, act = net.weights[0].square().sum(0).sqrt(), ACTIVATIONS[net.activation]
    rows = []
    for neuron in range(3):
        side = 2 * float(spread[neuron])
        z = float(net.biases[0][neuron]) + torch.linspace(-side, side, 61, **FLOAT)
        line = torch.lerp(act(z[0]), act(z[-1]), (z - z[0]) / (z[-1] - z[0]))
        rows.append(pd.DataFrame({"neuron": neuron, "z": z.numpy(), "response": (act(z) - line).numpy()}))
    return net, pd.concat(rows, ignore_index=True)
