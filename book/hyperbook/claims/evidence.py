"""The measurements that several claims share, each made once per run and seed, and when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.signal import find_peaks
from scipy.stats import gaussian_kde
from torch import Tensor

import hyperlib as hl
from hyperlib.algorithms.order_parameters import CONVEXITY, PUDDING
from hyperlib.algorithms.structure import HEAVY, structure
from hyperlib.checks import DOUBLE
from hyperlib.files import read_table
from hyperlib.training import schedule

from .. import PARTNERS
from ..studies.baseline import Baseline, load_baseline
from ..studies.development import LOW, algorithm, cases, lasting, paths, phase_grid
from ..studies.generalization import size_table
from ..studies.interventions import is_l1, replacements

RANDOM = ("random pudding",)  # the paper's case 3d
MEMORISED_PUDDING = ("pudding at low beta", "pudding at all beta", "pudding, then double-sided")
MEMORISED = (*MEMORISED_PUDDING, "double-sided at low beta")
WORKING = 0.5  # normalised MSE below which a network works: it explains half of the variance

INPUT_SEED = 20240105  # of the inputs on which this module measures losses
SAMPLES = 4096
DRAWS = 16  # generation seeds
STEADY = 3  # last snapshots over which a loss has to be steady
SIZE_FACTORS = (1 / 2, 3 / 4, 1, 5 / 4, 3 / 2, 7 / 4, 2)  # of the trained number of inputs
VALLEY, STEP = (2 / 3, 3 / 2), 4  # ends of the hidden neurons tried, relative to the trained number, and their distance
DISTRIBUTIONS = 4  # betas at which the distribution D of a seed is looked at

NEEDED = {"run", "seed", "step", "beta", "label", "structure", "numbers", "bits", "kept", "kl", "loss", "program_loss"}


class Setting:
    """One run, judged by itself.

    Attributes:
        sweep: the run's sweep with the columns ``algorithm`` (`hyperbook.studies.development.algorithm`) and
            ``drawn``: whether training had drawn so large a beta by then. While beta warms up, networks at larger ones
            are what a hyperhypernetwork extrapolates, and no evidence.
        last: rows of the last step, by seed and beta.
        cases: developmental case of every seed (`hyperbook.studies.development.cases`), indexed by seed.
        low: the lowest third of the betas.
        baseline: networks of the same shape trained with Adam, or None.
        plain: whether the paper's constructions apply to its networks.
    """

    def __init__(self, run: hl.Run, baseline: Baseline | None = None):
        self.run, self.baseline, self.seeds, self.plain = run, baseline, sorted(run.seeds), is_l1(run)
        for name in ("grid", "paths", "network", "distributions", "sizes", "programs"):  # made once, when asked for
            setattr(self, name, cache(getattr(self, name)))
        steps = run.sweep["step"].unique()
        highest = {step: 10 ** float(schedule(run.config, torch.tensor([step], **DOUBLE))[0]) for step in steps}
        drawn = run.sweep["beta"] <= run.sweep["step"].map(highest) * (1 + 1e-9)
        self.sweep = run.sweep.assign(algorithm=run.sweep[algorithm(run.sweep)], drawn=drawn)
        self.last = self.sweep[self.sweep["step"] == self.sweep["step"].max()].sort_values(["seed", "beta"])
        self.cases = cases(run.sweep).set_index("seed").loc[self.seeds]
        self.low = run.betas[: max(1, round(LOW * len(run.betas)))]

    def of(self, names: Sequence[str]) -> list[int]:
        """Seeds of the given developmental cases."""
        return self.cases.index[self.cases["case"].isin(names)].tolist()

    def with_model(self, seeds: Iterable[int]) -> list[int]:
        """Those of the seeds whose hyperhypernetwork the run keeps."""
        return [seed for seed in seeds if seed in self.run.modelled]

    @property
    def pays(self) -> list[int]:
        """Seeds that react to beta: their KL is not closed."""
        return self.cases.index[~self.cases["collapsed"]].tolist()

    def lowest(self, name: str, paying: bool = False) -> list[int]:
        """Seeds whose networks at low beta are mostly of one algorithm at the end, of those that pay or of all."""
        return self.cases.index[(self.cases["phase_low"] == name) & ~(paying & self.cases["collapsed"])].tolist()

    def at_low(self, column: str, seeds: Sequence[int], snapshots: int = 1) -> pd.Series:
        """Geometric mean of a positive column over the low betas, by seed.

        With several snapshots it is the median of these means over the last ones: a loss that is steady.
        """
        steps = sorted(self.sweep["step"].unique())[-snapshots:]
        rows = self.sweep[self.sweep["beta"].isin(self.low) & self.sweep["step"].isin(steps)]
        means = np.log(rows[column].clip(lower=1e-300)).groupby([rows["seed"], rows["step"]]).mean()
        return np.exp(means.groupby("seed").median()).reindex(list(seeds))

    def extreme(self, column: str, name: str, end: str) -> pd.Series:
        """Decimal logarithm of the smallest (``min``) or largest value at which seeds that pay have an algorithm.

        At the last step, along beta; a value below 1e-12 counts as that, fewer nats than 1 as 1.
        """
        rows = self.last[self.last["seed"].isin(self.pays) & (self.last["algorithm"] == name)]
        values = np.log10(rows[column].clip(lower=1.0 if column == "kl" else 1e-12))
        return values.groupby(rows["seed"]).agg(end)

    def rows(self, seed: int) -> pd.DataFrame:
        """A seed's rows of the sweep."""
        return self.sweep[self.sweep["seed"] == seed]

    def grid(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Phases of a seed and where they count, each steps x betas: they last, and training had drawn that beta."""
        grid = phase_grid(self.rows(seed), seed)
        return grid, lasting(grid) & self.rows(seed).pivot(index="step", columns="beta", values="drawn")

    def paths(self, seed: int) -> list[list[str]]:
        """The lasting algorithms of a seed at every beta in their order."""
        return paths(*self.grid(seed))

    def network(self, seed: int) -> hl.Network:
        """The stored network of the lowest beta."""
        return self.run.networks(seed)[0]

    def draws(self, seed: int, beta: float, step: int | None = None) -> hl.Network:
        """Networks of `DRAWS` generation seeds at one beta."""
        return self.run.model(seed, step).generate(beta, generator=INPUT_SEED, count=DRAWS)

    def distributions(self) -> list[list[tuple[int, float]]]:
        """By seed, of every distribution D: its modes, and how far half of its weights are from being positive.

        D are the first-layer weights of `draws` of convexity, at the last step over the betas and of the stored
        snapshots at the lowest beta; seeds without any are left out.
        """
        last, betas, every = self.sweep["step"].max(), self.run.betas, []
        for seed in self.with_model(self.seeds):
            places = [(last, beta) for beta in betas[:: -max(1, len(betas) // DISTRIBUTIONS)]]
            places += [(step, betas[0]) for step in self.run.stored_steps(seed)[:-1]]
            found = []
            for row in self.rows(seed).itertuples():
                if (row.step, row.beta) in places and row.algorithm in (CONVEXITY, HEAVY):
                    net = self.draws(seed, row.beta, None if row.step == last else row.step)
                    lean = abs(float((net.weights[0].double() > 0).double().mean()) - 0.5)
                    found.append((modes(net.weights[0].double().flatten()[:SAMPLES].numpy()), lean))
            every += [found] if found else []
        return every

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the trained size, the same at every call."""
        return self.run.task.sample(SAMPLES, self.run.config.shape[0], torch.Generator().manual_seed(INPUT_SEED))

    def replaced(self, seed: int) -> pd.Series:
        """Losses at the lowest beta of a network and of what can stand in for it: replacement -> smallest loss."""
        return self.losses(seed, lambda *given: replacements(*given).groupby("replacement")["loss"].min())

    def losses(self, seed: int, measure: Callable[[hl.Network, Tensor, Tensor, int], pd.Series]) -> pd.Series:
        """Mean over `DRAWS` networks at the lowest beta where the KL is closed, else of the stored network."""
        closed = bool(self.cases.loc[seed, "collapsed"]) and seed in self.run.modelled
        nets = self.draws(seed, self.run.betas[0]) if closed else self.network(seed).map(lambda t: t[None])
        x, y = (tensor.to(nets.weights[0].dtype) for tensor in self.inputs())
        return pd.DataFrame([measure(nets[k], x, y, seed) for k in range(nets.batch_shape[0])]).mean()

    def without_encoder(self, seed: int) -> float:
        """Share of the networks at low beta that are pudding when they are generated without the encoder."""
        nets = self.run.model(seed).generate(self.low, generator=0, encoder=False)
        return float((np.asarray(structure(nets)) == PUDDING).mean())

    def kept_order(self, seed: int) -> float:
        """`same_order` of the networks of two generation seeds at the lowest beta."""
        nets = (self.run.model(seed).generate(self.run.betas[0], generator=g) for g in (0, 1))
        return same_order(*(net.weights[0] for net in nets))

    def sizes(self, seed: int) -> pd.DataFrame:
        """`size_table` at the lowest beta, by `SIZE_FACTORS` and in steps of `STEP` hidden neurons, `DRAWS` each."""
        n, m = self.run.config.shape[:2]
        low, high = (m + STEP * round((end - 1) * m / STEP) for end in VALLEY)
        inputs = sorted({max(1, round(factor * n)) for factor in SIZE_FACTORS})
        hiddens = list(range(max(1, low), high + 1, STEP))
        model, task = self.run.model(seed), self.run.config.task
        return size_table(model, self.run.betas[0], inputs, hiddens, count=DRAWS, task=task)

    def programs(self, name: str = "") -> pd.DataFrame:
        """Rows of ``programs.parquet`` beside the run: its own, of the last step, or those of another folder there."""
        path = Path(self.run.path).with_name("programs.parquet")
        if not path.exists():
            return pd.DataFrame(columns=[*NEEDED, "ratio"])
        table = read_table(path, NEEDED)
        rows = table[table["run"] == (name or Path(self.run.path).name)]
        rows = rows[(rows["step"] == rows["step"].max()) & (rows["seed"].isin(self.seeds) | bool(name))]
        return rows.assign(ratio=rows["program_loss"] / rows["loss"])


@dataclass(frozen=True)
class Evidence:
    """Everything the claims are judged on: a run by the name of its setting; all but the first may be absent."""

    main: Setting  # the paper's setting, the main release
    warm: Setting | None = None  # a longer warm-up of beta: nearly all seeds memorise, most of them double-sided
    memorised: Setting | None = None  # of the first release and another start: many seeds memorise pudding
    narrow: Setting | None = None  # too few hidden neurons for double-sided
    scratch: Setting | None = None  # the decoder alone, which draws every assignment
    sizes: Setting | None = None  # trained on several sizes

    @property
    def parts(self) -> dict[str, Setting]:
        """The settings that are there, by name."""
        return {one.name: part for one in fields(self) if (part := getattr(self, one.name)) is not None}

    @property
    def memorising(self) -> Setting:
        """The setting in which most seeds memorise pudding."""
        return self.memorised or self.main


def gather(run: hl.Run) -> Evidence:
    """The evidence of a run: the run itself, its partners in the folders beside it, and the baseline beside them.

    The partners of ``results/l1`` are ``results/l1-memorised`` and so on; the baseline is in ``results/adam``.
    """
    folder = Path(run.path)
    baseline = load_baseline(folder.with_name("adam"))
    found = {name: folder.with_name(f"{folder.name}-{name}") for name in PARTNERS}
    there = {name: hl.load_run(path) for name, path in found.items() if (path / "manifest.json").exists()}
    return Evidence(Setting(run, baseline), **{name: Setting(one, baseline) for name, one in there.items()})


def same_order(W: Tensor, V: Tensor) -> float:
    """Share of W's assigned hidden neurons whose strongest connection V has at the same place with the same sign.

    Of first-layer weights ``(n, m)`` a neuron is assigned if its strongest connection is half of W's strongest or more.
    """
    strongest = W.abs().argmax(0, keepdim=True)
    size = W.gather(0, strongest)[0]
    assigned = size.abs() >= W.abs().max() / 2
    same = (V.abs().argmax(0) == strongest[0]) & (V.gather(0, strongest)[0].sign() == size.sign())
    return float(same[assigned].double().mean())


def modes(values: np.ndarray) -> int:
    """Maxima of a sample's density (kernels of 0.15 standard deviations) that stand out by 1/20 of the highest."""
    sample = (values - values.mean()) / values.std()
    density = gaussian_kde(sample, bw_method=0.15)(np.linspace(sample.min() - 1, sample.max() + 1, 801))
    return len(find_peaks(density, prominence=0.05 * density.max())[0])
