"""The measurements that several claims share, each made once per run and seed, and when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hyperlib.algorithms.order_parameters import CONVEXITY, PUDDING
from hyperlib.algorithms.structure import HEAVY, modes, structure
from hyperlib.baseline import Baseline, load_baseline
from hyperlib.development import LOW, algorithm, boundary, cases, lasting, paths, phase_grid
from hyperlib.files import read_table
from hyperlib.generalization import OUTER, size_table
from hyperlib.network import Network
from hyperlib.runs import Run, load_run

from ..studies.interventions import replacements, strengths

RANDOM = ("random pudding",)  # the paper's case 3d
MEMORISED_PUDDING = ("pudding at low beta", "pudding at all beta", "pudding, then double-sided")
MEMORISED = (*MEMORISED_PUDDING, "double-sided at low beta")
WORKING = 0.5  # normalised MSE below which a network works: it explains half of the variance
ACCURATE = OUTER

INPUT_SEED = 20240105  # of the inputs on which this module measures losses
SAMPLES = 4096
DRAWS = 16  # generation seeds
STEADY = 3  # last snapshots over which a loss has to be steady
SIZE_FACTORS = (1 / 2, 3 / 4, 1, 5 / 4, 3 / 2, 7 / 4, 2)  # of the trained number of inputs
VALLEY, STEP = (2 / 3, 3 / 2), 4  # ends of the hidden neurons tried, relative to the trained number, and their distance
DISTRIBUTIONS = 4  # betas at which the distribution D of a seed is looked at

# Columns that are read of the table of programs.
PROGRAMS = [
    "run",
    "seed",
    "step",
    "beta",
    "label",
    "structure",
    "numbers",
    "bits",
    "kept",
    "kl",
    "loss",
    "program_loss",
]


class Setting:
    """One run, restricted to some of its seeds, judged by itself. Measurements are shared by all its restrictions.

    Attributes:
        run: the run.
        seeds: the seeds that count.
        sweep: their rows of the run's sweep, with the columns ``algorithm`` (`hyperlib.development.algorithm`) and
            ``drawn``: whether training had drawn so large a beta by then. While beta warms up, networks at larger ones
            are what a hyperhypernetwork extrapolates, and no evidence.
        last: rows of the last step, by seed and beta.
        cases: developmental case of every seed (`hyperlib.development.cases`), indexed by seed.
        low: the lowest third of the betas.
        baseline: networks of the same shape trained with Adam, or None.
    """

    def __init__(
        self,
        run: Run,
        seeds: Sequence[int] | None = None,
        store: dict[Any, Any] | None = None,
        baseline: Baseline | None = None,
    ):
        self.run, self.baseline, self.store = run, baseline, {} if store is None else store
        self.seeds = sorted(run.seeds if seeds is None else seeds)
        table = self.once("sweep", self._table)
        found = self.once("cases", lambda: cases(run.sweep).set_index("seed"))
        self.sweep = table[table["seed"].isin(self.seeds)]
        self.last = self.sweep[self.sweep["step"] == table["step"].max()].sort_values(["seed", "beta"])
        self.cases = found.loc[self.seeds]
        self.low = run.betas[: max(1, round(LOW * len(run.betas)))]

    def _table(self) -> pd.DataFrame:
        table = self.run.sweep
        highest = table["step"].map({step: self.run.config.highest_beta(step) for step in table["step"].unique()})
        return table.assign(algorithm=table[algorithm(table)], drawn=table["beta"] <= highest * (1 + 1e-9))

    def once(self, name: Any, measure: Callable[..., Any], *args: Any) -> Any:
        """What ``measure`` returns, called once per run for a name and arguments."""
        if (name, *args) not in self.store:
            self.store[(name, *args)] = measure(*args)
        return self.store[(name, *args)]

    def only(self, seeds: Iterable[int]) -> Setting:
        """The run restricted to those of its seeds."""
        return Setting(self.run, sorted(set(seeds).intersection(self.seeds)), self.store, self.baseline)

    @property
    def plain(self) -> bool:
        """Whether its networks have one hidden layer and one output, as the constructions have."""
        shape = self.run.config.shape
        return len(shape) == 3 and shape[0] >= 3 and shape[1] >= 2 and shape[2] == 1

    # --- groups of seeds ----------------------------------------------------------------------------------------------

    def of(self, names: Sequence[str]) -> list[int]:
        """Seeds of the given developmental cases."""
        return [int(seed) for seed in self.cases.index[self.cases["case"].isin(names)]]

    def with_model(self, seeds: Iterable[int]) -> list[int]:
        """Those of the seeds whose hyperhypernetwork the run keeps."""
        return [seed for seed in seeds if seed in self.run.modelled]

    @property
    def pays(self) -> list[int]:
        """Seeds that react to beta: their KL is not closed."""
        return [int(seed) for seed in self.cases.index[~self.cases["collapsed"]]]

    def lowest(self, name: str, paying: bool = False) -> list[int]:
        """Seeds whose networks at low beta are mostly of one algorithm at the end, of those that pay or of all."""
        found = self.cases[(self.cases["phase_low"] == name) & ~(paying & self.cases["collapsed"])]
        return [int(seed) for seed in found.index]

    # --- numbers per seed ---------------------------------------------------------------------------------------------

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
        return self.once("rows", lambda: dict(iter(self.once("sweep", self._table).groupby("seed"))))[seed]

    def grid(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Phases of a seed and where they count, each steps x betas: they last, and training had drawn that beta."""

        def both(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
            grid = phase_grid(self.rows(seed), seed)
            return grid, lasting(grid) & self.rows(seed).pivot(index="step", columns="beta", values="drawn")

        return self.once("grid", both, seed)

    def paths(self, seed: int) -> list[list[str]]:
        """The lasting algorithms of a seed at every beta in their order."""
        return self.once("paths", lambda seed: paths(*self.grid(seed)), seed)

    def boundary(self, seed: int) -> pd.Series:
        """Decimal logarithm of the beta below which networks have left convexity, by step (`boundary`)."""
        return self.once("boundary", lambda seed: np.log10(boundary(self.rows(seed), seed)).dropna(), seed)

    # --- networks -----------------------------------------------------------------------------------------------------

    def network(self, seed: int) -> Network:
        """The stored network of the lowest beta."""
        return self.once("network", lambda seed: self.run.networks(seed)[0], seed)

    def single(self, seed: int) -> np.ndarray:
        """Structure of each stored network of a seed: one draw each, where a sweep has medians over several."""
        return self.once("single", lambda seed: np.asarray(structure(self.run.networks(seed))), seed)

    def draws(self, seed: int, beta: float, encoder: bool | None = None, step: int | None = None) -> Network:
        """Networks of `DRAWS` generation seeds at one beta."""

        def generate(*_: Any) -> Network:
            with torch.no_grad():
                model = self.run.model(seed, step)
                return model.generate(beta, generator=INPUT_SEED, count=DRAWS, encoder=encoder)

        return self.once("draws", generate, seed, beta, encoder, step)

    def distributions(self, seed: int) -> list[tuple[int, float]]:
        """Of every distribution D of a seed: its modes, and how far half of its weights are from being positive.

        D are the first-layer weights of `draws` of convexity, at the last step over the betas and of the stored
        snapshots at the lowest beta.
        """

        def measure(seed: int) -> list[tuple[int, float]]:
            last, betas = self.sweep["step"].max(), self.run.betas
            places = [(last, beta) for beta in betas[:: -max(1, len(betas) // DISTRIBUTIONS)]]
            places += [(step, betas[0]) for step in self.run.stored_steps(seed)[:-1]]
            found = []
            for row in self.rows(seed).itertuples():
                if (row.step, row.beta) in places and row.algorithm in (CONVEXITY, HEAVY):
                    step = None if row.step == last else row.step
                    weights = self.draws(seed, row.beta, None, step).weights[0].double()
                    lean = abs(float((weights > 0).double().mean()) - 0.5)
                    found.append((modes(weights.flatten()[:SAMPLES].numpy()), lean))
            return found

        return self.once("distributions", measure, seed)

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the trained size, the same at every call."""
        generator = torch.Generator().manual_seed(INPUT_SEED)
        return self.run.task.sample(SAMPLES, self.run.config.shape[0], generator)

    def _of_networks(self, seed: int, measure: Callable[[Network, Tensor, Tensor], pd.Series]) -> pd.Series:
        """Mean over `DRAWS` networks at the lowest beta where the KL is closed, else of the stored network."""
        closed = bool(self.cases.loc[seed, "collapsed"]) and seed in self.run.modelled
        nets = self.draws(seed, self.run.betas[0]) if closed else self.network(seed).map(lambda t: t[None])
        x, y = (tensor.to(nets.weights[0].dtype) for tensor in self.inputs())
        return pd.DataFrame([measure(nets[k], x, y) for k in range(nets.batch_shape[0])]).mean()

    def replaced(self, seed: int) -> pd.Series:
        """Losses at the lowest beta of a network and of what can stand in for it: replacement -> smallest loss."""

        def losses(net: Network, x: Tensor, y: Tensor) -> pd.Series:
            return replacements(net, x, y, seed).groupby("replacement")["loss"].min()

        return self.once("replaced", lambda seed: self._of_networks(seed, losses), seed)

    def strengths(self, seed: int) -> pd.Series:
        """Losses at the lowest beta of a network as pudding with a strength per neuron (`strengths`)."""

        def losses(net: Network, x: Tensor, y: Tensor) -> pd.Series:
            return strengths(net, x, y, seed)

        return self.once("strengths", lambda seed: self._of_networks(seed, losses), seed)

    def without_encoder(self, seed: int) -> float:
        """Share of the networks at low beta that are pudding when they are generated without the encoder."""

        def measure(seed: int) -> float:
            with torch.no_grad():
                nets = self.run.model(seed).generate(self.low, generator=0, encoder=False)
            return float((np.asarray(structure(nets)) == PUDDING).mean())

        return self.once("pudding without encoder", measure, seed)

    def kept_order(self, seed: int) -> float:
        """`same_order` of the networks of two generation seeds at the lowest beta."""

        def measure(seed: int) -> float:
            with torch.no_grad():
                W, V = (self.run.model(seed).generate(self.run.betas[0], generator=g).weights[0] for g in (0, 1))
            return same_order(W, V)

        return self.once("kept order", measure, seed)

    def sizes(self, seed: int) -> pd.DataFrame:
        """`size_table` at the lowest beta, by `SIZE_FACTORS` and in steps of `STEP` hidden neurons, `DRAWS` each."""
        n, m = self.run.config.shape[:2]
        ends = (m + STEP * round((end - 1) * m / STEP) for end in VALLEY)

        def measure(seed: int) -> pd.DataFrame:
            inputs = sorted({max(1, round(factor * n)) for factor in SIZE_FACTORS})
            low, high = ends
            hiddens = range(max(1, low), high + 1, STEP)
            model, task = self.run.model(seed), self.run.config.task
            return size_table(model, self.run.betas[0], inputs, list(hiddens), count=DRAWS, task=task)

        return self.once("sizes", measure, seed)

    def programs(self, name: str = "") -> pd.DataFrame:
        """Rows of ``programs.parquet`` beside the run: its own, of the last step, or those of another folder there."""

        def read(name: str) -> pd.DataFrame:
            path = Path(self.run.path).with_name("programs.parquet")
            if not path.exists():
                return pd.DataFrame(columns=[*PROGRAMS, "ratio"])
            table = read_table(path, set(PROGRAMS))
            rows = table[table["run"] == (name or Path(self.run.path).name)]
            rows = rows[rows["step"] == rows["step"].max()]
            return rows.assign(ratio=rows["program_loss"] / rows["loss"])

        rows = self.once("programs", read, name)
        return rows if name else rows[rows["seed"].isin(self.seeds)]


@dataclass(frozen=True)
class Evidence:
    """Everything the claims are judged on: a run by the name of its setting; all but the first may be absent.

    Attributes:
        main: the paper's setting, the main release.
        memorised: a setting in which more seeds memorise.
        narrow: too few hidden neurons for double-sided.
        scratch: the decoder alone, which draws every assignment.
        sizes: trained on several sizes.
        longer: seeds of case 3d that went on for as many steps again.
    """

    main: Setting
    memorised: Setting | None = None
    narrow: Setting | None = None
    scratch: Setting | None = None
    sizes: Setting | None = None
    longer: Setting | None = None

    @property
    def parts(self) -> dict[str, Setting]:
        """The settings that are there, by name."""
        return {one.name: part for one in fields(self) if (part := getattr(self, one.name)) is not None}

    @property
    def memorising(self) -> Setting:
        """The setting with more memorising seeds."""
        return self.memorised or self.main


PARTNERS = tuple(one.name for one in fields(Evidence))[1:]  # of a run, in folders beside it


def gather(run: Run) -> Evidence:
    """The evidence of a run: the run itself, its partners in the folders beside it, and the baseline beside them.

    The partners of ``results/l1`` are ``results/l1-memorised``, ``-narrow``, ``-scratch``, ``-sizes`` and ``-longer``;
    the baseline is in ``results/adam``. Each may be absent.
    """
    folder = Path(run.path)
    found = {name: folder.with_name(f"{folder.name}-{name}") for name in PARTNERS}
    baseline = load_baseline(folder.with_name("adam"))
    parts = {
        name: Setting(load_run(path), baseline=baseline)
        for name, path in found.items()
        if (path / "manifest.json").exists()
    }
    return Evidence(Setting(run, baseline=baseline), **parts)


def same_order(W: Tensor, V: Tensor) -> float:
    """Share of W's assigned hidden neurons whose strongest connection V has at the same place with the same sign.

    Args:
        W, V: first-layer weights ``(n, m)``. A neuron is assigned if its strongest connection has at least half of the
            absolute value of W's strongest.
    """
    strongest = W.abs().argmax(0, keepdim=True)
    size = W.gather(0, strongest)[0]
    assigned = size.abs() >= W.abs().max() / 2
    same = (V.abs().argmax(0) == strongest[0]) & (V.gather(0, strongest)[0].sign() == size.sign())
    return float(same[assigned].double().mean())
