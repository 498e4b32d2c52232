"""The baseline as a folder keeps it, signed like a run: networks that Adam trained (section 2.5)."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hyperlib import files
from hyperlib.baseline import train_adam
from hyperlib.checks import check_seeds
from hyperlib.files import MANIFEST, RunError
from hyperlib.network import Network

NETWORKS, CURVES = "networks.safetensors", "curves.parquet"


@dataclass(frozen=True)
class Baseline:
    """Networks trained with Adam alone, as a folder keeps them."""

    networks: Network  #: batch axis: the seeds
    curves: pd.DataFrame  #: table ``seed, step, loss`` of `train_adam`
    settings: dict  #: its arguments, and ``cpu_s``, what all seeds together took of one core

    @property
    def seeds(self) -> list[int]:
        """Seeds of the networks."""
        return self.settings["seeds"]


def make_baseline(
    out: str | os.PathLike, steps: int, seeds: Sequence[int], batch: int, learning_rate: float = 1e-2
) -> Baseline:
    """Train the baseline and leave it in a folder: ``networks.safetensors``, ``curves.parquet``, ``manifest.json``.

    A baseline of the same settings that ``out`` holds is returned as it is, another one is a RunError. For the settings
    see `train_adam`; a fair baseline has the hypernetworks' steps and batch.
    """
    folder = Path(out)
    settings = {"steps": steps, "seeds": list(seeds), "batch": batch, "learning_rate": learning_rate}
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder):
        files.remove_leftovers(folder)
        if found := load_baseline(folder):
            for name, value in settings.items():
                if (was := found.settings[name]) != value:
                    raise RunError(f"{folder} has a baseline with {name} {was}, not {value}; choose a new folder")
            return found
        started = time.process_time()
        networks, curves = train_adam(steps=steps, seeds=seeds, batch=batch, learning_rate=learning_rate)
        settings["cpu_s"] = round(time.process_time() - started, 1)
        files.write_tensors(folder / NETWORKS, networks.named())
        files.write_table(folder / CURVES, curves)
        listed = files.checksums(folder, (NETWORKS, CURVES))
        files.write_signed(folder / MANIFEST, {"settings": settings, "files": listed})
    return Baseline(networks, curves, settings)


def load_baseline(folder: str | os.PathLike) -> Baseline | None:
    """The baseline that `make_baseline` left in a folder, None if there is none, RunError if it is damaged."""
    path = Path(folder)
    if not (path / MANIFEST).exists():
        return None
    settings: Any = files.read_manifest(path, (NETWORKS, CURVES)).get("settings")
    tensors, curves = files.read_tensors(path / NETWORKS), files.read_table(path / CURVES, {"seed", "step", "loss"})
    try:
        seeds = check_seeds(settings["seeds"])
        networks = Network.of_named(tensors)
        if networks.batch_shape != (len(seeds),) or {*curves["seed"]} != {*seeds} or not settings["cpu_s"] >= 0:
            raise ValueError(f"settings has seeds {seeds}; networks have batch axes {networks.batch_shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no baseline: {error}") from None
    return Baseline(networks, curves, settings)
