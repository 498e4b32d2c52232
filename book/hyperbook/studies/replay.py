"""Replay: train released seeds again and compare with the released table, quantity by quantity.

The same program on the same kind of processor gives the same numbers bit for bit. Another processor, compiler or number
of seeds side by side rounds differently, which training amplifies: early on the trajectories stay together, later two
trainings of one seed are as far apart as their noise makes them, though they mostly end in the same algorithm. `drift`
measures this, and the table is compared exactly, and within tolerances that were set from it (`TOLERANCES`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from hyperlib.cluster import one_thread
from hyperlib.config import TrainConfig
from hyperlib.experiment import half_precision
from hyperlib.files import RunError
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.runs import Run
from hyperlib.sweeps import sweep
from hyperlib.training import PARAMETERS, Ensemble

# Quantity -> largest typical difference of a seed: the median over steps of the median over beta, see `difference`.
# Twice what `typical` finds in results/speed/drift.parquet, at least 0.05, and rounded up: two seeds do not show the
# worst case.
TOLERANCES = {"loss": 0.5, "loss_without_encoder": 0.5, "kl": 0.4, "alpha_1": 0.25, "alpha_2": 0.15, "alpha_3": 0.05}
# Smallest share of networks of the same phase at the last step. Not measured but allowed: a seed has one boundary or
# two along beta, and rounding may move each by a few of the 30 networks.
SAME_PHASE = 0.7
KL_FLOOR = 1.0  # nats: KL below one nat is noise around zero


def difference(name: str, released: pd.Series, found: pd.Series) -> pd.Series:
    """Distance of one quantity, elementwise: |difference| for alpha_3, |log ratio| for the others."""
    if name == "alpha_3":
        return (released - found).abs()
    floor = KL_FLOOR if name == "kl" else 1e-6
    return (np.log(found.clip(lower=floor)) - np.log(released.clip(lower=floor))).abs()


def differences(released: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """One row per seed and quantity: typical and largest difference, steps until they part, and whether they agree.

    Of two sweep tables of the same seeds; rows that only one of them has are left out. ValueError if they share none.
    """
    both = released.merge(found, on=["seed", "step", "beta"], suffixes=("", "_found"))
    if both.empty:
        raise ValueError("the two tables share no seed, step and beta; nothing to compare")
    rows = []
    for seed, part in both.groupby("seed"):
        end = int(part["step"].max())
        for name, tolerance in TOLERANCES.items():
            far = difference(name, part[name], part[f"{name}_found"])
            early = part["step"][far > 0.01]
            until = int(end if early.empty else early.min() - 1)
            usual = far.groupby(part["step"]).median().median()
            identical = bool((part[name] == part[f"{name}_found"]).all())
            rows.append((seed, name, identical, usual, far.max(), until, tolerance, bool(usual <= tolerance)))
        last = part[part["step"] == end]
        same = float((last["phase"] == last["phase_found"]).mean())
        facts = (same == 1, 1 - same, 1 - same, end, 1 - SAME_PHASE, same >= SAME_PHASE)
        rows.append((seed, "phase at the last step", *facts))
    measured = ["identical", "median", "largest", "within 1 % until step", "tolerance", "agrees"]
    return pd.DataFrame(rows, columns=["seed", "quantity", *measured])


def trained(
    config: TrainConfig, seeds: Sequence[int], steps: Sequence[int], compiled: bool = True
) -> Iterator[tuple[int, int, ParetoHypernetwork]]:
    """Train ``seeds`` side by side in this process: seed, step and model after each of ``steps`` (ascending)."""
    ensemble = Ensemble(config, seeds, compiled)
    for step in tqdm(steps, unit="snapshot", disable=None):
        ensemble.advance(step - ensemble.step)
        for seed in seeds:
            yield seed, step, ensemble.model(seed)


def measured(config: TrainConfig, seed: int, step: int, model: ParetoHypernetwork) -> pd.DataFrame:
    """The rows of a run's sweep: those of the last step are measured on what the run stores."""
    table, _ = sweep(half_precision(model) if step == config.steps else model, config.task)
    return table.assign(seed=seed, step=step)


def replay(run: Run, seeds: Sequence[int], steps: int | None = None, compiled: bool = True) -> pd.DataFrame:
    """Train ``seeds`` of a run again, in the groups in which they were trained, up to a step, and compare.

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
    pauses, found = sorted(released["step"].unique().tolist()), []
    with one_thread(True):
        for group in run.manifest["groups"]:
            for seed, step, model in trained(run.config, group, pauses, compiled) if wanted & set(group) else ():
                if seed in wanted:
                    found.append(measured(run.config, seed, step, model))
    return differences(released, pd.concat(found))


# --- how far trainings of one seed part ------------------------------------------------------------------------------

DRIFT_COLUMNS = ("variant", "seed", "step", "quantity", "median", "largest")


def follow(
    config: TrainConfig, seeds: Sequence[int], steps: Sequence[int], compiled: bool = True
) -> tuple[pd.DataFrame, dict[tuple[int, int], Tensor]]:
    """The sweep table of `trained` seeds, and (seed, step) -> flattened parameters ``(count,)``."""
    tables, parameters = [], {}
    for seed, step, model in trained(config, seeds, steps, compiled):
        parameters[seed, step] = torch.cat([model.parameters[name].flatten() for name in PARAMETERS])
        tables.append(measured(config, seed, step, model))
    return pd.concat(tables, ignore_index=True), parameters


def apart(variant: str, one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """How far two trainings of the same seeds are apart: median and largest `difference` over beta at every step.

    Columns: `DRIFT_COLUMNS`, of which the variant is given. For the quantity ``phase`` the median is the share of
    networks in another phase.
    """
    both = one.merge(other, on=["seed", "step", "beta"], suffixes=("", "_other"))
    rows: list[tuple[str, int, int, str, float, float]] = []
    for (seed, step), part in both.groupby(["seed", "step"]):
        for name in TOLERANCES:
            found = difference(name, part[name], part[f"{name}_other"])
            rows.append((variant, seed, step, name, found.median(), found.max()))
        changed = part["phase"] != part["phase_other"]
        rows.append((variant, seed, step, "phase", changed.mean(), float(changed.any())))
    return pd.DataFrame(rows, columns=list(DRIFT_COLUMNS))


def drift(run: Run, seeds: Sequence[int], steps: int = 600) -> pd.DataFrame:
    """Measure how far trainings of two seeds or more part when nothing but the rounding differs.

    The reference trains each seed alone, compiled, on one thread, for as long as the run: about four minutes per 36,000
    steps. It is compared with the run's own table (``released``), whose seeds were trained in groups, and up to
    ``steps`` with the seeds as one ensemble (``side by side``), without the compiler (``eager``) and on ``two
    threads``. Columns of `apart`; the quantity ``parameters`` is the distance of the hyperhypernetworks, relative to
    the reference's norm.

    KeyError for another seed, ValueError for fewer than two, or steps that the run does not have.
    """
    seeds, config = [run.check_seed(seed) for seed in seeds], run.config
    if len(set(seeds)) < 2:
        raise ValueError(f"seeds is {seeds}; expected two different ones at least, to train them side by side")
    if not 1 <= steps <= config.steps:
        raise ValueError(f"steps is {steps}; expected 1 to {config.steps}, which is where the run ends")
    early = {2**power for power in range(steps.bit_length()) if 2**power < run.steps[0]}
    pauses = sorted(early | {step for step in run.steps if step < steps} | {steps})

    def follow_each(steps: Sequence[int], compiled: bool = True) -> tuple[pd.DataFrame, dict[tuple[int, int], Tensor]]:
        parts = [follow(config, [seed], steps, compiled) for seed in seeds]
        return pd.concat([table for table, _ in parts]), {key: t for _, found in parts for key, t in found.items()}

    with one_thread(True):
        table, parameters = follow_each(sorted({*pauses, *run.steps}))
        found = {"side by side": follow(config, seeds, pauses), "eager": follow_each(pauses, compiled=False)}
        torch.set_num_threads(2)  # until one_thread ends
        found["two threads"] = follow_each(pauses)
    tables = [apart("released", table, run.sweep[run.sweep["seed"].isin(seeds)])]
    for variant, (other, others) in found.items():
        tables.append(apart(variant, table, other))
        rows = []
        for (seed, step), tensor in others.items():
            reference = parameters[seed, step]
            far = float((tensor - reference).norm() / reference.norm())
            rows.append((variant, seed, step, "parameters", far, far))
        tables.append(pd.DataFrame(rows, columns=list(DRIFT_COLUMNS)))
    return pd.concat(tables, ignore_index=True)


def typical(table: pd.DataFrame) -> pd.Series:
    """How far a seed is from its released numbers after a training that rounds differently, by quantity of `drift`.

    The median over steps of the median over beta, and of several seeds the largest; of phases the share at the last
    step.
    """
    released = table[table["variant"] == "released"]
    steps = released.groupby(["quantity", "seed"])["median"]
    found = steps.median()
    found["phase"] = steps.last()["phase"]
    return found.groupby(level="quantity").max()
