"""The measurements that several claims share, each made once per run and seed, and when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hyperlib.algorithms.order_parameters import PUDDING
from hyperlib.algorithms.structure import modes, structure
from hyperlib.baseline import Baseline, load_baseline
from hyperlib.development import LOW, algorithm, cases, lasting, phase_grid
from hyperlib.generalization import OUTER, size_table
from hyperlib.network import Network
from hyperlib.runs import Run, load_run
from hyperlib.sweeps import GENERATIONS

from ..studies.calibration import compare
from ..studies.interventions import replacements
from ..studies.kinks import KinkAnalysis, kink_analysis

RANDOM = ("random pudding",)  # the paper's case 3d
MEMORISED_PUDDING = ("pudding at low beta", "pudding at all beta", "pudding, then double-sided")
MEMORISED = (*MEMORISED_PUDDING, "double-sided at low beta")

NO_RANDOM = "the run has no seed of case 3d (random pudding)"
NO_MEMORISED = "the run has no seed that memorised an assignment"
NO_MODELS = "the run keeps no hyperhypernetworks of such seeds"
WORKING = 0.5  # normalised MSE below which a network works: it explains half of the variance
ACCURATE = OUTER

INPUT_SEED = 20240105  # of the inputs on which this module measures losses
SAMPLES = 4096
DRAWS = 16  # generation seeds
FRESH = 272  # seeds from this one on were read after the last change of the rules that bears on them
STEADY = 3  # last snapshots over which a loss has to be steady
SIZE_FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)  # of the trained number of inputs and of hidden neurons
PARTNERS = ("memorised", "narrow", "sizes", "longer")  # of a run, in folders beside it


class Trained:
    """Tables of one run, restricted to some of its seeds. What is measured is shared by all restrictions of a run.

    Attributes:
        run: the run.
        seeds: the seeds that count.
        sweep: their rows of the run's sweep, with the columns ``algorithm`` (`hyperlib.development.algorithm`) and
            ``drawn``: whether training had drawn so large a beta by then. While beta warms up, networks at larger ones
            are what a hyperhypernetwork extrapolates, and no evidence.
        last: rows of the last step, by seed and beta.
        cases: developmental case of every seed (`hyperlib.development.cases`), indexed by seed.
        low: the lowest third of the betas.
    """

    def __init__(self, run: Run, seeds: Sequence[int] | None = None, store: dict[Any, Any] | None = None):
        self.run, self.store = run, {} if store is None else store
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

    def once(self, name: Any, measure: Callable[[], Any]) -> Any:
        """What ``measure`` returns, called once per run for a name."""
        if name not in self.store:
            self.store[name] = measure()
        return self.store[name]

    def only(self, seeds: Iterable[int]) -> Trained:
        """The run restricted to those of its seeds."""
        return Trained(self.run, sorted(set(seeds).intersection(self.seeds)), self.store)

    @property
    def explainable(self) -> bool:
        """Whether the constructions can be fitted to networks of this run's shape."""
        shape = self.run.config.shape
        return len(shape) == 3 and shape[0] >= 3 and shape[1] >= 2 and shape[2] == 1

    def of(self, names: Sequence[str]) -> list[int]:
        """Seeds of the given developmental cases."""
        return [int(seed) for seed in self.cases.index[self.cases["case"].isin(names)]]

    def with_model(self, seeds: Sequence[int]) -> list[int]:
        """Those of the seeds whose hyperhypernetwork the run keeps."""
        return [seed for seed in seeds if seed in self.run.modelled]

    def lowest(self, name: str) -> list[int]:
        """Seeds whose networks at low beta are mostly of one algorithm at the last step."""
        return [int(seed) for seed in self.cases.index[self.cases["phase_low"] == name]]

    @property
    def pays(self) -> list[int]:
        """Seeds that react to beta: their KL is not closed."""
        return [int(seed) for seed in self.cases.index[~self.cases["collapsed"]]]

    def at_low(self, column: str, seeds: Sequence[int], snapshots: int = 1) -> list[float]:
        """Geometric mean of a positive column over the low betas, one number per seed.

        With several snapshots it is the median of these means over the last ones: a loss that is steady.
        """
        steps = sorted(self.sweep["step"].unique())[-snapshots:]
        rows = self.sweep[self.sweep["beta"].isin(self.low) & self.sweep["step"].isin(steps)]
        means = np.log(rows[column].clip(lower=1e-300)).groupby([rows["seed"], rows["step"]]).mean()
        return [float(np.exp(means.loc[seed].median())) for seed in seeds]

    def grid(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Phases of a seed and where they count, each steps x betas: they last, and training had drawn that beta."""

        def both() -> tuple[pd.DataFrame, pd.DataFrame]:
            grid = phase_grid(self.run.sweep, seed)
            rows = self.sweep[self.sweep["seed"] == seed]
            return grid, lasting(grid) & rows.pivot(index="step", columns="beta", values="drawn")

        return self.once(("grid", seed), both)

    def network(self, seed: int) -> Network:
        """The stored network of the lowest beta."""
        return self.once(("network", seed), lambda: self.run.networks(seed)[0])

    def draws(self, seed: int, beta: float, encoder: bool | None = None) -> Network:
        """Networks of `DRAWS` generation seeds at one beta."""

        def generate() -> Network:
            with torch.no_grad():
                return self.run.model(seed).generate(beta, generator=INPUT_SEED, count=DRAWS, encoder=encoder)

        return self.once(("draws", seed, beta, encoder), generate)

    def distribution(self, seed: int, beta: float) -> tuple[int, float]:
        """Number of modes of the first-layer weights of `draws`, and how far half of them are from being positive."""

        def measure() -> tuple[int, float]:
            weights = self.draws(seed, beta).weights[0].double().numpy()
            return modes(weights), abs(float((weights > 0).mean()) - 0.5)

        return self.once(("distribution", seed, beta), measure)

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the trained size, the same at every call."""
        generator = torch.Generator().manual_seed(INPUT_SEED)
        return self.run.task.sample(SAMPLES, self.run.config.shape[0], generator)

    def replaced(self, seed: int) -> pd.Series:
        """Losses at the lowest beta of a network and of what can stand in for it: replacement -> smallest loss.

        Where the KL is closed they are means over `DRAWS` generation seeds, else of the stored network.
        """

        def measure() -> pd.Series:
            closed = bool(self.cases.loc[seed, "collapsed"]) and seed in self.run.modelled
            nets = self.draws(seed, self.run.betas[0]) if closed else self.network(seed).map(lambda t: t[None])
            x, y = (tensor.to(nets.weights[0].dtype) for tensor in self.inputs())
            tables = [replacements(nets[k], x, y, seed) for k in range(nets.batch_shape[0])]
            losses = pd.DataFrame([table.groupby("replacement")["loss"].min() for table in tables])
            return losses.mean()

        return self.once(("replaced", seed), measure)

    def labels(self, seed: int) -> pd.Series:
        """What the constructions explain of the lowest beta's network (`hyperbook.studies.calibration.compare`)."""

        def measure() -> pd.Series:
            return compare(self.run.networks(seed)[:1]).iloc[0]

        return self.once(("labels", seed), measure)

    def pudding_without_encoder(self, seed: int) -> float:
        """Share of the networks at low beta that are pudding when they are generated without the encoder."""

        def measure() -> float:
            with torch.no_grad():
                nets = self.run.model(seed).generate(self.low, generator=0, encoder=False)
            return float((np.asarray(structure(nets)) == PUDDING).mean())

        return self.once(("pudding without encoder", seed), measure)

    def kept_order(self, seed: int) -> float:
        """`same_order` of the networks of two generation seeds at the lowest beta."""

        def measure() -> float:
            with torch.no_grad():
                W, V = (self.run.model(seed).generate(self.run.betas[0], generator=g).weights[0] for g in (0, 1))
            return same_order(W, V)

        return self.once(("kept order", seed), measure)

    def sizes(self, seed: int) -> pd.DataFrame:
        """Losses at other sizes, encoder off: columns of `size_table`, of closed seeds means over `DRAWS` networks."""
        n, m = self.run.config.shape[:2]
        count = DRAWS if self.cases.loc[seed, "collapsed"] else GENERATIONS
        inputs, hiddens = ([max(1, round(factor * size)) for factor in SIZE_FACTORS] for size in (n, m))

        def measure() -> pd.DataFrame:
            beta, task = self.run.betas[0], self.run.config.task
            return size_table(self.run.model(seed), beta, inputs, hiddens, count=count, task=task)

        return self.once(("sizes", seed), measure)


class Evidence:
    """Everything the claims are judged on.

    Args:
        main: the run with the paper's setting.
        memorised, narrow, sizes, longer: further runs, or None: one in which more seeds memorise, one with too few
            hidden neurons for double-sided, one that was trained on several sizes, and one in which the main run's
            seeds of case 3d went on for as many steps again.
        baseline: networks trained with Adam, or None.

    Attributes:
        parts: name of an argument -> run, for the runs that are there.
    """

    def __init__(
        self,
        main: Trained,
        memorised: Trained | None = None,
        narrow: Trained | None = None,
        sizes: Trained | None = None,
        longer: Trained | None = None,
        baseline: Baseline | None = None,
    ):
        given = {"main": main, "memorised": memorised, "narrow": narrow, "sizes": sizes, "longer": longer}
        self.parts = {name: part for name, part in given.items() if part is not None}
        self._baseline = baseline
        self.read: set[str] = set()  # the runs that were asked for

    @classmethod
    def of(cls, run: Run) -> Evidence:
        """The evidence of one run on its own."""
        return cls(Trained(run))

    @property
    def memorising(self) -> Trained:
        """The run in which claims about memorised assignments are looked at: of one setting, the one with most."""
        return self.memorised or self.main

    @property
    def fresh(self) -> Trained:
        """Of the run in `memorising` the seeds read after the last change of the rules; of a run alone, all."""
        part = self.memorised
        return self.main if part is None else part.only(seed for seed in part.seeds if seed >= FRESH)

    @property
    def settings(self) -> list[Trained]:
        """The runs of the paper's shape, for claims about networks whatever the setting: one, or two of other seeds."""
        return [part for part in (self.main, self.memorised) if part is not None]

    def _part(self, name: str) -> Trained | None:
        self.read.add(name)
        return self.parts.get(name)

    @property
    def main(self) -> Trained:
        """The run with the paper's setting."""
        self.read.add("main")
        return self.parts["main"]

    @property
    def memorised(self) -> Trained | None:
        """The run in which more seeds memorise."""
        return self._part("memorised")

    @property
    def narrow(self) -> Trained | None:
        """The run with too few hidden neurons for double-sided."""
        return self._part("narrow")

    @property
    def sizes(self) -> Trained | None:
        """The run that was trained on several sizes."""
        return self._part("sizes")

    @property
    def longer(self) -> Trained | None:
        """The run in which the main run's seeds of case 3d went on for as many steps again."""
        return self._part("longer")

    def without(self, name: str, seed: int) -> Evidence:
        """The evidence without one seed of the run ``name`` (a key of `parts`), or of the ``baseline``."""
        if name == "baseline":
            return Evidence(**self.parts, baseline=self._baseline and self._baseline.without(seed))
        part = self.parts[name]
        parts: dict[str, Any] = {**self.parts, name: part.only(one for one in part.seeds if one != seed)}
        return Evidence(**parts, baseline=self._baseline)

    @property
    def baseline(self) -> Baseline | None:
        """Networks trained with Adam, or None."""
        self.read.add("baseline")
        return self._baseline

    def adam_kinks(self) -> list[KinkAnalysis]:
        """Analysis of kinks of each of Adam's networks (section 2.5)."""
        if self.baseline is None:
            return []
        part, nets = self.parts["main"], self.baseline.networks  # the run's store outlives the evidence
        return [part.once(("kinks", s), partial(kink_analysis, nets[k])) for k, s in enumerate(self.baseline.seeds)]

    def adam_labels(self) -> pd.DataFrame:
        """What the constructions explain of Adam's networks; only with a baseline."""
        assert self.baseline is not None
        part, nets = self.parts["main"], self.baseline.networks
        rows = [
            part.once(("adam label", seed), partial(compare, nets[k : k + 1]))
            for k, seed in enumerate(self.baseline.seeds)
        ]
        return pd.concat(rows, ignore_index=True)


def gather(run: Run) -> Evidence:
    """The evidence of a run: the run itself, its partners in the folders beside it, and the baseline beside them.

    The partners of ``results/l1`` are ``results/l1-memorised``, ``-narrow``, ``-sizes`` and ``-longer``; the
    baseline is in ``results/adam``. Each may be absent.
    """
    folder = Path(run.path)
    found = {name: folder.with_name(f"{folder.name}-{name}") for name in PARTNERS}
    partners = {name: Trained(load_run(path)) for name, path in found.items() if (path / "manifest.json").exists()}
    return Evidence(Trained(run), **partners, baseline=load_baseline(folder.with_name("adam")))


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
