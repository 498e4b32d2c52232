"""The film of a seed: its networks along training (section 2.2), from training its group once more.

A run keeps the networks of its last step. So its seeds are trained again (`hyperbook.studies.replay.trained_again`),
and their networks are kept at some betas and at every snapshot.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hyperlib.experiment import half_precision
from hyperlib.files import read_tensors
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.network import Network, joined
from hyperlib.runs import Run, pack_networks

PLACES = 8  # values of beta, from the lowest to the highest


@dataclass(frozen=True)
class Film:
    """Networks of one seed along training, batch axes ``(steps, betas)``; both are ascending."""

    steps: list[int]
    betas: list[float]
    networks: Network


@torch.no_grad()
def make_film(run: Run, models: Iterable[tuple[int, int, ParetoHypernetwork]]) -> dict[str, Tensor]:
    """Named tensors, in half precision, of the films of all seeds among ``models`` (seed, step, model)."""
    places = np.linspace(0, len(run.betas) - 1, PLACES).round().astype(int)
    betas, found = [run.betas[place] for place in places], defaultdict[int, dict[int, Network]](dict)
    for seed, step, model in models:
        found[seed][step] = half_precision(model).generate(betas, generator=0)
    tensors = {"betas": torch.tensor(betas, dtype=torch.float64)}
    for seed, at in found.items():
        tensors[f"{seed}.steps"] = torch.tensor([*at])
        for name, tensor in pack_networks({seed: joined([*at.values()], torch.stack)}).items():
            tensors[name] = tensor if name.endswith(".kl") else tensor.half()
    return tensors


def read_films(path: str | Path) -> dict[int, Film]:
    """The films in a file of `make_film`, by seed; RunError if it is damaged."""
    tensors = read_tensors(Path(path))
    films = {}
    for seed in sorted({int(name.split(".")[0]) for name in tensors if "." in name}):
        mine = {name.split(".")[1]: t.float() for name, t in tensors.items() if name.startswith(f"{seed}.")}
        steps = mine.pop("steps").int().tolist()
        films[seed] = Film(steps, tensors["betas"].tolist(), Network.of_named(mine, mine["kl"]))
    return films
