"""The film of a seed: its networks along training (section 2.2), from training its group once more.

A run keeps the networks of its last step, so its seeds are trained again (`hyperbook.studies.replay.trained_again`) and
looked at on the way; networks alone are kept, at some betas and at every snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hyperlib.experiment import half_precision
from hyperlib.files import read_tensors
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.network import Network
from hyperlib.runs import Run, pack_networks

PLACES = 8  # values of beta, from the lowest to the highest


@dataclass(frozen=True)
class Film:
    """Networks of one seed along training.

    Attributes:
        steps, betas: where they are from, ascending.
        networks: batch axes ``(steps, betas)``.
    """

    steps: list[int]
    betas: list[float]
    networks: Network


def make_film(run: Run, models: Iterable[tuple[int, int, ParetoHypernetwork]]) -> dict[str, Tensor]:
    """Named tensors, in half precision, of the films of all seeds among ``models`` (seed, step, model)."""
    places = torch.linspace(0, len(run.betas) - 1, min(PLACES, len(run.betas)), device="cpu").round().int().tolist()
    betas = [run.betas[place] for place in places]
    found: dict[int, dict[int, dict[str, Tensor]]] = {}
    for seed, step, model in models:
        with torch.no_grad():
            nets = half_precision(model).generate(betas, generator=0)
            found.setdefault(seed, {})[step] = dict(pack_networks({seed: nets}))
    tensors = {"betas": torch.tensor(betas, dtype=torch.float64, device="cpu")}
    for seed, at in found.items():
        tensors[f"{seed}.steps"] = torch.tensor(sorted(at), device="cpu")
        for name in at[max(at)]:
            stacked = torch.stack([at[step][name] for step in sorted(at)])
            tensors[name] = stacked if name.endswith(".kl") else stacked.half()
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
