"""Tables about several tasks: what the hypernetworks found for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from torch import Tensor

from ..algorithms.dependence import dependence, floors
from ..algorithms.neurons import reading_shares, straightened
from ..baseline import train_adam
from ..generalization import rescaled_loss, size_table
from ..network import Network
from ..runs import Run, find_folder, load_run
from .text import table

ORDER = ("l1", "l2", "max", "pairs", "positives", "l1-sum", "l1-deep")
SAMPLES = 8192
Runs = Mapping[str, Run]


def load(folder: str | Path) -> dict[str, Run]:
    """The runs in the subfolders of a folder by name: those of `ORDER` first, then any others.

    Raises:
        FileNotFoundError: no such folder.
        RunError: a subfolder is not a finished run.
    """
    found = [path.name for path in sorted(find_folder(folder).iterdir()) if path.is_dir()]
    names = sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return {name: load_run(find_folder(folder) / name) for name in names}


def final(runs: Runs) -> pd.DataFrame:
    """The sweeps of all runs at their last steps, with a column ``run`` in front."""
    parts = [run.final.assign(run=name) for name, run in runs.items()]
    joined = pd.concat(parts, ignore_index=True)
    joined.attrs["source"] = "; ".join(f"run {name}, version {run.short_hash}" for name, run in runs.items())
    return joined[["run", *(column for column in joined.columns if column != "run")]]


def overview(runs: Runs) -> Markdown:
    """What was trained: task, shape, seeds, steps, minutes."""
    rows = [
        (f"`{name}`", run.task_title, "-".join(map(str, run.config.shape)), len(run.seeds),
         run.config.steps, run.manifest["wall_s"] / 60)
        for name, run in runs.items()
    ]  # fmt: skip
    return table(pd.DataFrame(rows, columns=["run", "task", "target", "seeds", "steps", "minutes"]))


def levels(runs: Runs) -> pd.DataFrame:
    """Loss of the best function of each part of the input (`floors`), one row per run."""
    rows = {name: floors(run.task, run.config.shape[0]) for name, run in runs.items()}
    return pd.DataFrame(rows).T


def shares(values: pd.DataFrame, first: str = "run") -> Markdown:
    """A table of shares or losses to two decimals, the index as first column."""
    rounded = values.map(lambda value: "–" if np.isnan(value) else f"{value:.2f}")
    return table(rounded.rename_axis(first), index=True)


def ends(runs: Runs) -> Markdown:
    """Medians over the seeds at the lowest and the highest beta: KL, losses and order parameters."""
    columns = ["kl", "loss", "loss_without_encoder", "alpha_1", "alpha_2", "alpha_3"]
    rows = []
    for name, run in runs.items():
        for beta in (run.betas[0], run.betas[-1]):
            rows.append((name, beta, *run.final[run.final["beta"] == beta][columns].median()))
    heads = ["KL", "loss", "loss without encoder", r"$\alpha_1$", r"$\alpha_2$", r"$\alpha_3$"]
    return table(pd.DataFrame(rows, columns=["run", r"$\beta$", *heads]))


def best(run: Run) -> int:
    """The seed with the lowest loss at the lowest beta."""
    low = run.final[run.final["beta"] == run.betas[0]]
    return int(low.loc[low["loss"].idxmin(), "seed"])


def networks(runs: Runs, places: Sequence[int] = (0, -1)) -> list[tuple[str, Network]]:
    """The best seed's networks at some places in the betas of the sweep, by default the lowest and the highest."""
    found = []
    for name, run in runs.items():
        nets = run.networks(best(run))
        found += [(f"{name}, β = {run.betas[place]:.0g}", nets[place]) for place in places]
    return found


def per_network(runs: Runs, measure: Callable[[Run, Network], Mapping[str, float]], place: int = 0) -> pd.DataFrame:
    """What ``measure`` says of every seed's network at one place in the betas: columns ``run, seed`` and its keys."""
    rows = [
        {"run": name, "seed": seed, **measure(run, run.networks(seed)[place])}
        for name, run in runs.items()
        for seed in run.seeds
    ]
    return pd.DataFrame(rows)


def _dependence(run: Run, net: Network) -> Mapping[str, float]:
    return dependence(net.map(Tensor.double), run.config.shape[0])


def depends(runs: Runs, place: int = 0) -> pd.DataFrame:
    """`dependence` of every seed's network: columns ``run, seed`` and a share per part."""
    return per_network(runs, _dependence, place)


def reads(runs: Runs, place: int = 0) -> pd.DataFrame:
    """`reading_shares` of every seed's network: columns ``run, seed`` and a share per kind."""
    return per_network(runs, lambda _, net: reading_shares(net), place)


def sizes(runs: Runs, inputs: Sequence[int], beta: float, count: int = 2) -> pd.DataFrame:
    """Losses of networks of other sizes, encoder off, widths in the trained ratio: columns ``run, seed`` and those of
    `hyperlib.generalization.size_table`. Seeds whose hyperhypernetworks the runs hold.
    """
    parts = []
    for name, run in runs.items():
        n, m = run.config.shape[:2]
        for seed in run.modelled:
            for k in inputs:
                part = size_table(
                    run.model(seed), beta, [k], [round(k * m / n)], count=count, samples=2048, task=run.config.task
                )
                parts.append(part.assign(run=name, seed=seed))
    return pd.concat(parts, ignore_index=True)


def layers(runs: Runs, place: int = 0) -> pd.DataFrame:
    """What the hidden layers of runs with several are for: columns ``run, seed`` and losses after the best shift and
    scale, as generated and with each hidden layer made affine (`hyperlib.algorithms.neurons.straightened`).
    """

    def losses(run: Run, net: Network) -> Mapping[str, float]:
        x, y = _inputs(run)
        hidden = range(1, len(net.weights))
        straight = {f"layer {layer} affine": straightened(net, layer, x) for layer in hidden}
        return {name: float(rescaled_loss(out, y)) for name, out in ({"as generated": net(x)} | straight).items()}

    return per_network({name: run for name, run in runs.items() if len(run.config.shape) > 3}, losses, place)


def outputs(runs: Runs, place: int = 0) -> pd.DataFrame:
    """Loss per output of every seed's network, of runs with several outputs: columns ``run, seed, output 1, ...``."""

    def losses(run: Run, net: Network) -> Mapping[str, float]:
        x, y = _inputs(run)
        return {f"output {k}": loss for k, loss in enumerate((net(x) - y).square().mean(0).tolist(), start=1)}

    return per_network({name: run for name, run in runs.items() if run.config.shape[-1] > 1}, losses, place)


def _inputs(run: Run) -> tuple[Tensor, Tensor]:
    goal = run.task
    return goal.sample(SAMPLES, run.config.shape[0], torch.Generator().manual_seed(1))


def baseline(runs: Runs, steps: int) -> pd.DataFrame:
    """Losses of networks that Adam trained (four seeds) beside those of the generated networks of the lowest beta.

    Both are medians over seeds; one row per run.
    """
    rows = {}
    for name, run in runs.items():
        _, curve = train_adam(run.config.shape, run.config.task, steps)
        low = run.final[run.final["beta"] == run.betas[0]]
        rows[name] = {"Adam": curve[curve["step"] == steps]["loss"].median(), "generated": low["loss"].median()}
    return pd.DataFrame(rows).T


def means(values: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds, one row per run."""
    return values.drop(columns="seed").groupby("run", sort=False).mean()


def beside(depends: pd.DataFrame, levels: pd.DataFrame) -> Markdown:
    """Shares of the networks' outputs, means over the seeds, and in brackets those of the task."""
    averages, goals = means(depends), 1 - levels
    cells = {
        part: [f"{averages.loc[name, part]:.2f} ({goals.loc[name, part]:.2f})" for name in averages.index]
        for part in averages.columns
    }
    return table(pd.DataFrame(cells, index=averages.index), index=True)
