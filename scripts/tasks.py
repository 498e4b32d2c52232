"""The runs of `results/tasks`: hypernetworks and Adam on the book's functions, with the same steps and inputs."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from hyperbook.studies.programs import replace_rows
from hyperlib.baseline import train_adam
from hyperlib.commands import script
from hyperlib.config import TrainConfig
from hyperlib.experiment import train
from hyperlib.network import Shape
from hyperlib.problems import get_task
from hyperlib.sweeps import BETAS, INPUT_SEED, SAMPLES
from keep import keep_models

# Name of the folder -> task and shape of the target network.
RUNS: dict[str, tuple[str, Shape]] = {
    "l1": ("l1", (8, 24, 1)),
    "l2": ("l2", (8, 24, 1)),
    "max": ("max", (8, 24, 1)),
    "pairs": ("pairs", (8, 24, 1)),
    "positives": ("positives", (8, 24, 1)),
    "l1-sum": ("l1-sum", (8, 24, 2)),
    "l1-deep": ("l1", (8, 24, 12, 1)),
    "products": ("products", (8, 24, 1)),
    "velocities": ("velocities", (2, 12, 1)),
    "max3": ("max3", (3, 12, 1)),
    "majority": ("majority", (8, 24, 1)),
    "parity": ("parity", (4, 16, 1)),
    "mod5": ("mod5", (10, 24, 5)),
}
SEEDS = tuple(range(2000, 2008))
SETTINGS: dict[str, Any] = {"steps": 24_000, "match_steps": 3000, "beta_warmup": 18_000}
SETTINGS |= {"learning_rate_end": 0.02, "snapshots": 10}


def of_adam(name: str, config: TrainConfig) -> pd.DataFrame:
    """Losses of networks that Adam trains directly, with the steps and inputs of the run: ``run, seed, loss``."""
    net, _ = train_adam(config.shape, config.task, config.steps, SEEDS, config.batch)
    x, y = config.task.measured(SAMPLES, config.shape[0], INPUT_SEED)
    with torch.no_grad():
        losses = config.task.errors(config.shape[0])(net(x), y).mean(-1).tolist()
    return pd.DataFrame({"run": name, "seed": SEEDS, "loss": losses})


def main(out: Path = Path("results/tasks"), names: tuple[str, ...] = tuple(RUNS), workers: int | None = None) -> None:
    """Train the runs that are not there yet, into runs/tasks, and Adam beside them.

    Args:
        out: a folder per run, and adam.parquet.
        names: which of them.
        workers: processes of one core each.
    """
    for name in names:
        task, shape = RUNS[name]
        config = TrainConfig(SEEDS, shape=shape, task=get_task(task), **SETTINGS)
        if not (out / name).exists():
            run = train(config, Path("runs/tasks") / name, workers=workers, ensemble=len(SEEDS))
            compact = name != "mod5"  # its output weights are larger than half precision holds
            keep_models(run.path, out / name, run.seeds[:1], compact, betas=(*BETAS[::3], BETAS[-1]))
        replace_rows(out / "adam.parquet", of_adam(name, config), "run")


if __name__ == "__main__":
    script(main)
