"""Replay: train released seeds again and compare with the released table, quantity by quantity.

The same program on the same kind of processor gives the same numbers bit for bit. Another processor, another compiler
or another number of seeds side by side rounds differently, and training amplifies a difference in the last bit: early
on the trajectories stay together, later two trainings of one seed are as far apart as their noise makes them, though
they mostly end in the same algorithm. So the table is compared in two ways: exactly, and within tolerances that were
set from trainings that differed in rounding alone (`TOLERANCES`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from .experiment import Group, one_thread
from .runs import Run, RunError

# Quantity -> largest median, over steps and betas, of the difference relative to the released value (losses and KL
# on a logarithmic scale, alpha_3 absolute). Phases: smallest share of networks of the same phase at the last step.
TOLERANCES = {"loss": 0.35, "loss_without_encoder": 0.5, "kl": 0.5, "alpha_1": 0.4, "alpha_2": 0.35, "alpha_3": 0.1}
SAME_PHASE = 0.7
KL_FLOOR = 1.0  # nats: KL below one nat is noise around zero


def difference(name: str, released: pd.Series, found: pd.Series) -> pd.Series:
    """Distance of one quantity, elementwise: |difference| for alpha_3, |log ratio| for the others."""
    if name == "alpha_3":
        return (released - found).abs()
    floor = KL_FLOOR if name == "kl" else 1e-6
    return (np.log(found.clip(lower=floor)) - np.log(released.clip(lower=floor))).abs()


def compare(released: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """One row per seed and quantity: largest and median difference, steps until they part, and whether they agree.

    Args:
        released, found: sweep tables of the same seeds; rows that only one of them has are left out.

    Raises:
        ValueError: the tables share no row.
    """
    keys = ["seed", "step", "beta"]
    both = released.merge(found, on=keys, suffixes=("", "_found"))
    if both.empty:
        raise ValueError("the two tables share no seed, step and beta; nothing to compare")
    rows = []
    for seed, part in both.groupby("seed"):
        for name, tolerance in TOLERANCES.items():
            apart = difference(name, part[name], part[f"{name}_found"])
            early = part["step"][apart > 0.01]
            rows.append(
                {
                    "seed": seed,
                    "quantity": name,
                    "identical": bool((part[name] == part[f"{name}_found"]).all()),
                    "median": apart.median(),
                    "largest": apart.max(),
                    "within 1 % until step": int(part["step"].max() if early.empty else early.min() - 1),
                    "tolerance": tolerance,
                    "agrees": bool(apart.median() <= tolerance),
                }
            )
        last = part[part["step"] == part["step"].max()]
        same = float((last["phase"] == last["phase_found"]).mean())
        rows.append(
            {
                "seed": seed,
                "quantity": "phase at the last step",
                "identical": same == 1,
                "median": 1 - same,
                "largest": 1 - same,
                "within 1 % until step": int(part["step"].max()),
                "tolerance": 1 - SAME_PHASE,
                "agrees": same >= SAME_PHASE,
            }
        )
    return pd.DataFrame(rows)


def replay(run: Run, seeds: Sequence[int], steps: int | None = None, compiled: bool = True) -> pd.DataFrame:
    """Train ``seeds`` of a run again, in the groups in which they were trained, and compare.

    Args:
        run: a finished run.
        seeds: which of its seeds.
        steps: compare the snapshots up to this step only, and train no further (default: all).
        compiled: compile the training step, as the released run did.

    Raises:
        KeyError: the run has no such seed.
        RunError: there is no snapshot up to ``steps``.
    """
    wanted = {run.check_seed(seed) for seed in seeds}
    released = run.sweep[run.sweep["seed"].isin(wanted)]
    if steps is not None:
        released = released[released["step"] <= steps]
    if released.empty:
        raise RunError(f"run {run.path} has no snapshot up to step {steps}; its first is {run.steps[0]}")
    last = int(released["step"].max())
    groups = [group for group in run.manifest["groups"] if wanted & set(group)]
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="hyperlib-replay-") as folder,
        one_thread(True),
        tqdm(total=last * len(groups), unit="step", disable=None) as bar,
    ):
        for number, seeds_together in enumerate(groups):
            group = Group(run.config, seeds_together, Path(folder), compiled, "cpu")
            group.run(lambda _, step, done=number * last: bar.update(done + step - bar.n), stop=last)
            found += [pd.read_parquet(path) for path in group.folder.glob("sweep-*.parquet")]
    return compare(released, pd.concat(found))
