"""Training again: a seed's training is a function of its number, so that released seeds can be trained once more.

The same program on the same kind of processor gives the same numbers bit for bit. Another processor, compiler or number
of seeds side by side rounds differently, which training amplifies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from tqdm import tqdm

from hyperlib.cluster import one_thread
from hyperlib.config import TrainConfig
from hyperlib.experiment import half_precision
from hyperlib.files import RunError
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.runs import Run
from hyperlib.sweeps import sweep
from hyperlib.training import Ensemble

QUANTITIES = ("loss", "loss_without_encoder", "kl", "alpha_1", "alpha_2", "alpha_3")


def trained(
    config: TrainConfig,
    seeds: Sequence[int],
    steps: Sequence[int],
    compiled: bool = True,
    alone_from: int | None = None,
) -> Iterator[tuple[int, int, ParetoHypernetwork]]:
    """Train ``seeds`` side by side in this process: seed, step and model after each of ``steps`` (ascending).

    After the step ``alone_from``, one of ``steps``, training goes on without the encoder.
    """
    ensemble = Ensemble(config, seeds, compiled)
    for step in tqdm(steps, unit="snapshot", disable=None):
        ensemble.advance(step - ensemble.step)
        if step == alone_from:
            state, ensemble = ensemble.state, Ensemble(replace(config, encoder=False), seeds, compiled)
            ensemble.state = state
        for seed in seeds:
            yield seed, step, ensemble.model(seed)


def trained_again(
    run: Run, seeds: Sequence[int], steps: Sequence[int], compiled: bool = True
) -> Iterator[tuple[int, int, ParetoHypernetwork]]:
    """Seed, step and model, as `trained`, of some seeds of a run, in the groups in which they were trained.

    Models of the last step are as exact as those that a run stores.
    """
    with one_thread(True):
        for group in run.manifest["groups"]:
            for seed, step, model in trained(run.config, group, steps, compiled) if {*group} & {*seeds} else ():
                if seed in seeds:
                    yield seed, step, half_precision(model) if step == run.config.steps else model


def replay(run: Run, seeds: Sequence[int], steps: int | None = None, compiled: bool = True) -> pd.DataFrame:
    """Train ``seeds`` of a run again, up to a step, and compare with its table, in the precision of releases.

    A row per seed and quantity: ``seed``, ``quantity``, ``numbers`` (betas and steps), ``same`` (how many of them come
    out the same) and ``until``, the last step at which all numbers so far are the same, 0 if there is none.

    KeyError if the run has no such seed, RunError if there is no snapshot up to ``steps``.
    """
    wanted = [run.check_seed(seed) for seed in seeds]
    pauses = [step for step in run.steps if steps is None or step <= steps]
    if not pauses:
        raise RunError(f"run {run.path} has no snapshot up to step {steps}; its first is {run.steps[0]}")
    found = [
        sweep(model, run.config.task)[0].assign(seed=seed, step=step)
        for seed, step, model in trained_again(run, wanted, pauses, compiled)
    ]
    return compare(run.sweep, pd.concat(found))


def compare(released: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The table of `replay` from two sweep tables; rows that only one of them has are left out."""
    both = released.merge(found, on=["seed", "step", "beta"], suffixes=("", "_found")).sort_values("step")
    rows = []
    for (seed, part), name in product(both.groupby("seed"), QUANTITIES):
        same = part[name].astype(np.float32) == part[f"{name}_found"].astype(np.float32)
        so_far = same.groupby(part["step"]).all().cummin()
        until = int(so_far.index[so_far].max()) if so_far.any() else 0
        rows.append({"seed": seed, "quantity": name, "numbers": len(part), "same": int(same.sum()), "until": until})
    return pd.DataFrame(rows)
