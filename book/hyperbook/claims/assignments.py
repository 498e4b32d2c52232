"""Claims of sections 2.1 to 2.4 about random and memorised assignments of hidden neurons to inputs."""

import numpy as np
import pandas as pd

from ..studies.generalization import INNER, OUTER
from .claim import Estimate, Found, estimate
from .evidence import MEMORISED, MEMORISED_PUDDING, RANDOM, STEADY, WORKING, Setting

MOST = 12  # seeds whose networks of other sizes are measured, the first by number: 77 sizes of 16 networks each


def kl_of_case_3d(part: Setting) -> Found:
    last = part.last.pivot(index="seed", columns="beta", values=["loss", "kl"])
    spread = last["loss"].max(axis=1) / last["loss"].min(axis=1)
    growth = last["kl"].iloc[:, 0] - last["kl"].iloc[:, -1]
    random, memorised = part.of(RANDOM), part.of(MEMORISED_PUDDING)
    yield "point", estimate(spread[random])
    yield "growth", estimate(growth[memorised], "median")
    yield "front", estimate(spread[memorised], "median")
    yield "seeds", estimate(part.cases["case"].isin(RANDOM), "sum")
    yield "kl", estimate(part.cases["kl_max"][random])


def encoder_ablation(part: Setting) -> Found:
    random, memorised = part.of(RANDOM), part.of(MEMORISED)
    bare, full = (part.at_low(column, part.seeds) for column in ("loss_without_encoder", "loss"))
    yield "others", estimate((bare / full)[memorised], "median")
    yield "broken", estimate(bare[memorised] > WORKING)
    yield "works", estimate(bare[random] <= WORKING)
    yield "pudding", estimate([part.without_encoder(seed) for seed in part.with_model(random)])


def seed_dependence(part: Setting) -> Found:
    for names, dependence, kept in ((MEMORISED, "memorised", "kept"), (RANDOM, "random", "drawn")):
        yield dependence, estimate(part.cases["alpha_3_low"][part.of(names)], "median")
        yield kept, estimate([part.kept_order(seed) for seed in part.with_model(part.of(names))])


def accuracy_of_case_3d(part: Setting) -> Found:
    losses = part.at_low("loss", part.of(RANDOM), STEADY)
    yield "typical", estimate(losses, "median")
    yield "outer", estimate(losses <= OUTER)
    yield "inner", estimate(losses <= INNER, "sum")
    best = float(losses.min())
    yield "best", Estimate(best, best, best, 1, f"best of {len(losses)} seeds") if len(losses) else None


def _sizes(part: Setting, column: str, seeds: list[int]) -> list[pd.DataFrame]:
    """Losses at other sizes of some seeds with a model, n_0 x n_1."""
    chosen = part.with_model(seeds)[:MOST] if part.plain else []
    return [part.sizes(seed).pivot(index="n_0", columns="n_1", values=column) for seed in chosen]


def _other_sizes(part: Setting, column: str) -> Found:
    n, m = part.run.config.shape[:2]
    tables = _sizes(part, column, part.of(RANDOM))
    valleys = [table.min(axis=1) for table in tables]
    places = [table.idxmin(axis=1) for table in tables]
    # a best n_1 that is the same at every n_0 has no direction
    turned = [0.0 if len(set(p)) < 2 else float(p.corr(p.index.to_series(), method="spearman")) for p in places]
    yield "direction", estimate(turned, "median")
    more = [table.loc[table.index > n, table.columns > m].min(axis=1) for table in tables]
    yield "larger", estimate([losses.iloc[0] for losses in more], "median")
    others = [valley.drop(n) for valley in valleys]
    yield "many", estimate([(losses <= OUTER).mean() for losses in others])
    yield "reach", estimate([max(valley.index[valley <= OUTER], default=0) for valley in valleys], "median")
    yield "trained", estimate([valley[n] for valley in valleys], "median")


def other_sizes(part: Setting) -> Found:
    yield from _other_sizes(part, "loss_trained_units")
    best = [table.min(axis=1) for table in _sizes(part, "best_trained_units", part.of(RANDOM))]
    yield "best-outer", estimate([max(valley.index[valley <= OUTER], default=0) for valley in best], "median")
    yield "best-inner", estimate([max(valley.index[valley <= INNER], default=0) for valley in best], "median")


def other_sizes_renormalised(part: Setting) -> Found:
    yield from _other_sizes(part, "loss")
    others = [table.stack().drop(part.run.config.shape[:2]) for table in _sizes(part, "loss_rescaled", part.of(RANDOM))]
    yield "fitted", estimate([float((one <= OUTER).mean()) for one in others])


def memorised_sizes(part: Setting) -> Found:
    n, m = part.run.config.shape[:2]
    tables = _sizes(part, "loss_rescaled", part.of(MEMORISED))
    larger = [table.loc[table.index > n, table.columns > m].to_numpy().min() for table in tables]
    yield "best", estimate(np.array(larger), "median")
