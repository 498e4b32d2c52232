"""Claims of sections 2.3 and 4 about the way in which algorithms develop along training and beta."""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.algorithms.structure import HEAVY

from ..studies.development import CASES, STRAY, boundary, crossing, rate_distortion
from .claim import Found, contrast, estimate, paired
from .evidence import MEMORISED, STEADY, WORKING, Setting

FEW_NATS, MANY_NATS = 400.0, 3000.0  # KL at which pudding and double-sided are compared: a little, and plenty
KLS = tuple(np.geomspace(100, 10_000, 41))  # nats
PANELS = {case.panel: case.name for case in CASES if case.panel}  # of figure 3


def convexity_first(part: Setting) -> Found:
    drawn = part.sweep[part.sweep["drawn"] & (part.sweep["loss"] < WORKING)].sort_values("step")
    first = drawn.groupby(["seed", "beta"])["algorithm"].first()
    yield "convexity", estimate((first == CONVEXITY).groupby("seed").mean())
    yield "heavy", estimate(first.isin((CONVEXITY, HEAVY)).groupby("seed").mean())


def turns(part: Setting) -> Found:
    found = [{turn for path in part.paths(seed) for turn in pairwise(path)} for seed in part.seeds]
    for before, after in ((CONVEXITY, PUDDING), (CONVEXITY, DOUBLE_SIDED), (PUDDING, DOUBLE_SIDED)):
        yield f"{before}-{after}", estimate([(before, after) in one for one in found], "sum")
    rank = {name: place for place, name in enumerate(PHASES)}
    ways = [[path for path in part.paths(seed) if path] for seed in part.seeds]
    back = [np.mean([rank[way[-1]] < max(rank[name] for name in way) for way in one]) for one in ways if one]
    yield "back", estimate(back)


def five_ways(part: Setting) -> Found:
    for letter, name in PANELS.items():
        yield letter, estimate(part.cases["case"] == name, "sum")
    yield "others", estimate(~part.cases["case"].isin(list(PANELS.values())), "sum")


def pudding_range(part: Setting) -> Found:
    found = []
    for seed in part.seeds:
        grid, counts = part.grid(seed)
        ever = ((grid == PUDDING) & counts).any().to_numpy()
        if ever.sum() > STRAY * len(ever):
            everywhere = ever[-1] and ever.mean() >= 0.9
            found.append("all" if everywhere else "low" if ever[: len(part.low)].any() and not ever[-1] else "else")
    ranges = np.array(found)
    yield "either", estimate(ranges != "else" if found else [])
    for name in ("low", "all"):
        yield name, estimate(ranges == name, "sum") if len(ranges) else None


def high_beta_convexity(part: Setting) -> Found:
    pays = part.cases.loc[part.pays]
    evolved = pays[pays["phase_low"].isin((PUDDING, DOUBLE_SIDED))]
    stages = [max(len(set(path) - {CONVEXITY}) for path in part.paths(s)[: len(part.low)]) for s in evolved.index]
    yield "kept", estimate(evolved["phase_high"] == CONVEXITY)
    yield "several", estimate(np.array(stages) >= 2 if stages else [])
    yield "heavy", estimate(evolved["phase_high"].isin((CONVEXITY, HEAVY)))


def boundary_rises(part: Setting) -> Found:
    rise, late, seen = {}, {}, []
    for seed in part.of(MEMORISED):
        path = np.log10(boundary(part.rows(seed), seed)).dropna()
        measured = path[path.index >= part.run.config.beta_warmup]
        if len(measured) > 2:
            half = measured[measured.index >= measured.index[-1] / 2]
            seen.append(path.index[0] == measured.index[0])  # else it was there before all betas had been drawn
            rise[seed] = measured.iloc[-1] - measured.iloc[0] if seen[-1] else np.nan
            late[seed] = abs(half.iloc[-1] - half.iloc[0])
    rises = pd.Series(rise, dtype=float).dropna()
    yield "rise", estimate(rises, "median") if 2 * sum(seen) >= len(seen) else None
    yield "late", estimate(pd.Series(late, dtype=float), "median")
    yield "rising", estimate(rises > 0)
    yield "seen", estimate(seen, "sum")


def double_sided_most_accurate(part: Setting) -> Found:
    losses = {name: np.log10(part.at_low("loss", part.lowest(name, True), STEADY)) for name in (PUDDING, DOUBLE_SIDED)}
    random = part.last[part.last["algorithm"] == CONVEXITY]
    convexity = np.log10(random["loss"]).groupby(random["seed"]).mean()
    yield "double", contrast(losses[PUDDING], losses[DOUBLE_SIDED])
    yield "convexity", contrast(convexity, losses[PUDDING])


def double_sided_comes_last(part: Setting) -> Found:
    counted = {seed: grid.where(counts).stack() for seed in part.pays for grid, counts in [part.grid(seed)]}
    steps = {seed: names.reset_index(0).groupby(names.array)["step"].min() for seed, names in counted.items()}
    first = dict(np.log10(pd.DataFrame(steps, PHASES, dtype=float)).iterrows())
    yield "pudding", paired(first[PUDDING], first[CONVEXITY], "mean")
    yield "double", contrast(first[DOUBLE_SIDED], first[PUDDING])
    yield "pairs", paired(first[DOUBLE_SIDED], first[PUDDING], "mean")


def order_in_beta(part: Setting) -> Found:
    highest = {name: part.extreme("beta", name, "max") for name in PHASES}
    yield "convexity", paired(highest[CONVEXITY], highest[PUDDING], "mean")
    yield "pudding", paired(highest[PUDDING], highest[DOUBLE_SIDED], "mean")
    yield "unpaired", contrast(highest[PUDDING], highest[DOUBLE_SIDED])


def ranked_by_complexity(part: Setting) -> Found:
    fewest = {name: part.extreme("kl", name, "min") for name in PHASES}
    yield "convexity", paired(fewest[PUDDING], fewest[CONVEXITY], "mean")
    yield "pudding", paired(fewest[DOUBLE_SIDED], fewest[PUDDING], "mean")
    bits = part.programs().groupby("structure")["bits"].apply(list)
    for name in PHASES:
        yield f"bits-{name}", estimate(bits.get(name, []), "median", "network")


def less_information(part: Setting) -> Found:
    fewest = {name: part.extreme("kl", name, "min") for name in (PUDDING, DOUBLE_SIDED)}
    curves = rate_distortion(part.run.sweep, (FEW_NATS, MANY_NATS, *KLS))
    curves = curves[curves["seed"].isin(part.pays)]

    def at(kl: float, name: str) -> pd.Series:
        rows = curves[np.isclose(curves["kl"].astype(float), kl) & (curves["algorithm"] == name)]
        return np.log10(rows.set_index("seed")["loss"].astype(float))

    yield "fewest", paired(fewest[DOUBLE_SIDED], fewest[PUDDING])
    yield "many", contrast(at(MANY_NATS, PUDDING), at(MANY_NATS, DOUBLE_SIDED))
    yield "few", contrast(at(FEW_NATS, DOUBLE_SIDED), at(FEW_NATS, PUDDING))
    yield "unpaired", contrast(fewest[DOUBLE_SIDED], fewest[PUDDING], "median")
    met = crossing(curves[~curves["kl"].astype(float).round(6).isin((FEW_NATS, MANY_NATS))])
    yield "crossing", estimate([met], of="crossing") if np.isfinite(met) else None


def beta_controls(part: Setting) -> Found:
    rows = part.last[part.last["seed"].isin(part.pays)]
    for name in ("kl", "loss"):
        ranks = [float(spearmanr(table["beta"], table[name]).statistic) for _, table in rows.groupby("seed")]
        yield name, estimate([rank for rank in ranks if np.isfinite(rank)])
