"""A small designed experiment: what decides whether seeds memorise an assignment or lose their KL.

Five knobs that the paper leaves open are set to two levels each, in eight of the 32 combinations: a fractional
factorial of resolution III, in which every level of every knob meets every level of every other equally often, so that
the effect of a knob is the difference of two means over four settings each. Resolution III means that an effect could
also be an interaction of two other knobs: this screens, it does not prove. The seeds are not among the released ones.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hyperlib.algorithms.order_parameters import DOUBLE_SIDED, PUDDING
from hyperlib.cluster import local_client, one_thread
from hyperlib.config import TrainConfig
from hyperlib.development import COLLAPSED_KL
from hyperlib.experiment import train
from hyperlib.hypernetwork import Architecture

SEEDS = (1000, 1001, 1002, 1003)
STEPS = 24000
SNAPSHOTS = 12  # five of them in the last nine tenths of the training
LEVELS: dict[str, tuple[float, float]] = {
    "random_scale": (0.6, 0.8),
    "sigma_shift": (-1.0, -0.5),
    "beta_warmup": (1000, 4000),
    "output_scale": (0.5, 1.0),
    "learning_rate": (1e-3, 2e-3),
}
IN_ARCHITECTURE = ("random_scale", "sigma_shift", "output_scale")
RESPONSES = ("memorised", "assembled", "loss")


def settings() -> pd.DataFrame:
    """The eight settings, one row each: a full factorial of the first three knobs, the last two from their products."""
    rows = []
    for a, b, c in itertools.product((0, 1), repeat=3):
        chosen = (a, b, c, a ^ b ^ 1, a ^ c ^ 1)
        rows.append({name: levels[level] for (name, levels), level in zip(LEVELS.items(), chosen, strict=True)})
    return pd.DataFrame(rows)


def configuration(setting: dict[str, float], seeds: Sequence[int] = SEEDS, steps: int = STEPS) -> TrainConfig:
    """The training configuration of one row of `settings`; whatever is not a knob has its default."""
    inner: dict[str, Any] = {name: float(setting[name]) for name in IN_ARCHITECTURE}
    return TrainConfig(
        seeds=tuple(seeds),
        steps=steps,
        snapshots=SNAPSHOTS,
        beta_warmup=int(setting["beta_warmup"]),
        learning_rate=float(setting["learning_rate"]),
        architecture=Architecture(**inner),
    )


def responses(sweep: pd.DataFrame) -> pd.DataFrame:
    """What is measured of every seed and step; columns as in `run_design`, without the knobs.

    Args:
        sweep: the table of a run.
    """
    by = sweep.sort_values("beta").groupby(["step", "seed"])
    low, high, most = by.first(), by.last(), by["kl"].max()
    memorised = most > COLLAPSED_KL
    table = pd.DataFrame(
        {
            "kl": low["kl"],
            "memorised": memorised,
            "assembled": ~memorised & low["phase"].isin([PUDDING, DOUBLE_SIDED]),
            "phase": low["phase"],
            "loss": low["loss"],
            "alpha_1": low["alpha_1"],
            "alpha_2": low["alpha_2"],
            "loss_high": high["loss"],
        }
    )
    return table.reset_index()


def run_setting(setting: dict[str, float], seeds: Sequence[int], steps: int, compiled: bool = True) -> pd.DataFrame:
    """Train one setting in this process, on one thread; columns as in `run_design`, one row per step and seed."""
    with tempfile.TemporaryDirectory(prefix="hyperlib-design-") as folder, one_thread(True):
        config = configuration(setting, seeds, steps)
        run = train(config, Path(folder) / "run", workers=0, compiled=compiled, progress=False)
        return responses(run.sweep).assign(**setting)


def run_design(
    seeds: Sequence[int] = SEEDS, steps: int = STEPS, workers: int | None = None, compiled: bool = True
) -> pd.DataFrame:
    """Train every setting and return one row per setting, seed and recorded step.

    Columns: the five knobs; step; seed; ``kl`` at the lowest beta (nats); ``memorised``: whether the largest KL of any
    beta exceeds 10 nats; ``assembled``: whether it does not, and yet the network at the lowest beta is no longer
    convexity, but pudding or double-sided assembled from random numbers (case 3d and its like); ``phase``, ``loss``
    (normalised MSE), ``alpha_1`` and ``alpha_2`` at the lowest beta; ``loss_high`` at beta = 1.

    Args:
        seeds: training seeds.
        steps: steps per seed.
        workers: processes of one core each, one per core by default.
        compiled: compile the training step.
    """
    rows = settings().to_dict("records")
    with local_client(workers) as client:
        tables = client.gather(client.map(run_setting, rows, seeds=seeds, steps=steps, compiled=compiled))
        return pd.concat(tables, ignore_index=True)


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Per knob and response at the last step: means at both levels, their difference, and a permutation p-value.

    Settings, not seeds, are permuted: seeds of one setting share everything that is under test.

    Args:
        table: what `run_design` returns, or the rows of it up to some step.

    Raises:
        ValueError: a column is missing.
    """
    missing = [name for name in (*LEVELS, "step", *RESPONSES) if name not in table]
    if missing:
        raise ValueError(f"the table has no column {missing[0]}; expected what run_design returns")
    means = table[table["step"] == table["step"].max()].groupby(list(LEVELS), as_index=False)[list(RESPONSES)].mean()
    rows = []
    for knob, (low, high) in LEVELS.items():
        for response in RESPONSES:
            parts = [means.loc[np.isclose(means[knob], level), response].astype(float) for level in (low, high)]
            test = stats.permutation_test(parts, lambda x, y: np.mean(y) - np.mean(x), rng=0)
            rows.append(
                {
                    "knob": knob,
                    "response": response,
                    "low level": low,
                    "high level": high,
                    "mean at low": parts[0].mean(),
                    "mean at high": parts[1].mean(),
                    "effect": parts[1].mean() - parts[0].mean(),
                    "p": test.pvalue,
                }
            )
    return pd.DataFrame(rows)
