"""The measurements that several claims share, each made once and when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from ..algorithms.calibration import compare
from ..algorithms.interventions import replacements
from ..algorithms.order_parameters import CONVEXITY, classify
from ..baseline import kink_analysis, train_adam
from ..development import LOW, cases, lasting, phase_grid
from ..generalization import size_table
from ..network import Network
from ..runs import Run
from ..task import get_task

RANDOM = ("random pudding",)  # the paper's case 3d
MEMORISED_PUDDING = ("pudding at low beta", "pudding at all beta", "pudding, then double-sided")
MEMORISED = (*MEMORISED_PUDDING, "double-sided at low beta")

NO_RANDOM = "the run has no seed of case 3d (random pudding)"
NO_MEMORISED = "the run has no seed that memorised an assignment"
WORKING = 0.5  # normalised MSE below which a network works: it explains half of the variance

INPUT_SEED = 20240105  # of the inputs on which this module measures losses
SAMPLES = 4096
EVERY = 3  # betas: the independent classifier looks at every third network of the last step
SIZE_SEEDS = 3  # seeds of case 3d, and as many memorising ones, that generate other sizes: the first ones of the run
SIZE_FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)  # of the trained number of inputs and of hidden neurons
REPLACED = ("seed", "replacement", "algorithm", "loss")  # columns
ADAM_SEEDS = (0, 1, 2, 3)
ADAM_STEPS = 5000


class Evidence:
    """Tables of one run, measured on demand.

    Attributes:
        run: the run.
        last: rows of the sweep at the last step, by seed and beta.
        cases: developmental case of every seed (`hyperlib.development.cases`), indexed by seed.
        low: the lowest third of the betas.
    """

    def __init__(self, run: Run):
        self.run = run
        self.last = run.sweep[run.sweep["step"] == run.sweep["step"].max()].sort_values(["seed", "beta"])
        self.cases = cases(run.sweep).set_index("seed")
        self.low = run.betas[: max(1, round(LOW * len(run.betas)))]

    @property
    def explainable(self) -> bool:
        """Whether the constructions can be fitted to networks of this run's shape."""
        shape = self.run.config.shape
        return len(shape) == 3 and shape[0] >= 3 and shape[1] >= 2 and shape[2] == 1

    def seeds(self, names: Sequence[str]) -> list[int]:
        """Seeds of the given developmental cases."""
        return [int(seed) for seed in self.cases.index[self.cases["case"].isin(names)]]

    def at_low(self, column: str, seeds: Sequence[int]) -> list[float]:
        """Geometric mean of a positive column over the low betas at the last step, one number per seed."""
        rows = self.last[self.last["beta"].isin(self.low)]
        means = np.log(rows[column].clip(lower=1e-300)).groupby(rows["seed"]).mean()
        return np.exp(means.loc[list(seeds)]).tolist()

    @cached_property
    def grids(self) -> dict[int, tuple[pd.DataFrame, pd.DataFrame]]:
        """Seed -> phases and where they count, each steps x betas."""
        grids = {seed: phase_grid(self.run.sweep, seed) for seed in self.cases.index}
        return {seed: (grid, lasting(grid)) for seed, grid in grids.items()}

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Both classifiers on every third network of the last step: ``seed``, ``beta`` and columns of `compare`."""
        tables = []
        for seed in self.run.seeds:
            table = compare(self.run.networks(seed)[::EVERY])
            tables.append(table.assign(seed=seed, beta=self.run.betas[::EVERY]))
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def replaced(self) -> pd.DataFrame:
        """Losses of the lowest beta's network of every seed that left convexity, and of what can stand in for it."""
        x, y = self.inputs()
        tables = []
        for seed in self.cases.index:
            net = self.run.networks(seed)[0]
            if classify(net) != CONVEXITY:
                table = replacements(net, x.to(net.weights[0].dtype), y.to(net.weights[0].dtype), seed)
                tables.append(table.assign(seed=seed))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=REPLACED)

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of the trained size, the same at every call."""
        generator = torch.Generator().manual_seed(INPUT_SEED)
        return get_task(self.run.config.task).sample(SAMPLES, self.run.config.shape[0], generator)

    def without_encoder(self, seeds: Sequence[int]) -> list[np.ndarray]:
        """Per seed the phases of the networks at low beta generated without the encoder."""
        with torch.no_grad():
            nets = [self.run.model(seed).generate(self.low, generator=0, encoder=False) for seed in seeds]
        return [np.asarray(classify(net)) for net in nets]

    def kept_order(self, seeds: Sequence[int]) -> list[float]:
        """Per seed, how much of the order of the hidden neurons at the lowest beta survives another generation seed.

        It is the share of the hidden neurons assigned to an input (with a connection of at least half of the strongest
        one) whose strongest connection has the same input and sign in the network of another generation seed.
        """
        shares = []
        for seed in seeds:
            with torch.no_grad():
                W, V = (self.run.model(seed).generate(self.run.betas[0], generator=g).weights[0] for g in (0, 1))
            shares.append(same_order(W, V))
        return shares

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """Losses at other sizes, encoder off: columns of `size_table`, ``seed`` and ``case``; empty if none."""
        n, m = self.run.config.shape[:2]
        inputs, hiddens = ([max(1, round(factor * size)) for factor in SIZE_FACTORS] for size in (n, m))
        tables = []
        for name, group in (("random", RANDOM), ("memorised", MEMORISED)):
            for seed in self.seeds(group)[:SIZE_SEEDS]:
                model = self.run.model(seed)
                table = size_table(model, inputs=inputs, hiddens=hiddens, beta=self.run.betas[0])
                tables.append(table.assign(seed=seed, case=name))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["seed", "case"])

    @cached_property
    def adam(self) -> Network:
        """Networks trained with Adam alone, batch axis: `ADAM_SEEDS`."""
        config = self.run.config
        return train_adam(config.shape, config.task, steps=ADAM_STEPS, seeds=ADAM_SEEDS)[0]

    @cached_property
    def adam_labels(self) -> pd.DataFrame:
        """The classifiers on Adam's networks."""
        return compare(self.adam)

    @cached_property
    def kinks(self) -> list[pd.DataFrame]:
        """Analysis of kinks of each of Adam's networks (section 2.5)."""
        return [kink_analysis(self.adam[index]) for index in range(len(ADAM_SEEDS))]


def same_order(W: torch.Tensor, V: torch.Tensor) -> float:
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
