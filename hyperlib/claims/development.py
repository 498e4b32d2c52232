"""Claims of section 2.3 about the way in which algorithms develop along training and beta."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from ..development import STRAY, boundary, transitions
from .claim import Check, Claim, Criterion, estimate
from .evidence import MEMORISED, NO_MEMORISED, WORKING, Evidence


def convexity_first(e: Evidence) -> Claim:
    """Section 2.3: the convexity algorithm always develops first."""
    shares = []
    for _, table in e.run.sweep.sort_values("step").groupby("seed"):
        first = table[table["loss"] < WORKING].groupby("beta")["phase"].first()
        if len(first):
            shares.append(float((first == CONVEXITY).mean()))
    return Claim(
        "convexity-first",
        "2.3",
        "Convexity comes first",
        "Whatever a hypernetwork ends with, the first algorithm that it generates is convexity.",
        (
            Check(
                f"networks (seed, beta) that are convexity at the first snapshot with a loss below {WORKING}",
                "share",
                estimate(shares),
                Criterion("at least", 0.95),
                "no network of the run works",
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Snapshots before a network works are left out, because anything with small weights is called convexity.",
    )


def no_way_back(e: Evidence) -> Claim:
    """Section 2.3: convexity turns into pudding or double-sided, pudding sometimes into double-sided."""
    back, ways, moved = [], [], False
    for seed, (grid, counts) in e.grids.items():
        ranks = pd.Index(PHASES).get_indexer(grid.to_numpy().ravel()).reshape(grid.shape)
        furthest = np.where(counts, ranks, 0).max(axis=0)  # an algorithm that does not last does not count
        back.append(float((ranks[-1] < furthest).mean()))
        moved |= bool(furthest.max() > 0)
        ways.append(transitions(e.run.sweep[e.run.sweep["seed"] == seed], only_lasting=True))

    def seeds_with(before: str, after: str, least: int) -> Check:
        found = estimate([float(way.loc[before, after] > 0) for way in ways], "sum")
        return Check(f"seeds in which {before} turns into {after}", "", found, Criterion("at least", least, True))

    return Claim(
        "no-way-back",
        "2.3",
        "Development has a direction",
        "Convexity turns into pudding or into double-sided, pudding sometimes into double-sided, and nothing back.",
        (
            seeds_with(CONVEXITY, PUDDING, 2),
            seeds_with(CONVEXITY, DOUBLE_SIDED, 2),
            seeds_with(PUDDING, DOUBLE_SIDED, 1),
            Check(
                "networks (seed, beta) that end in an earlier algorithm than one they had",
                "share",
                estimate(back) if moved else None,
                Criterion("at most", 0.05),
                "no network ever leaves convexity",
            ),
        ),
        "04_phase_diagrams",
        "Transitions",
        note="An algorithm counts if it lasts for two snapshots. A stage shorter than that is not seen.",
    )


def pudding_range(e: Evidence) -> Claim:
    """Section 2.3: transitions to pudding happen at low beta only or at all beta."""
    ranges = []
    for grid, counts in e.grids.values():
        ever = ((grid == PUDDING) & counts).any().to_numpy()
        if ever.sum() <= STRAY * len(ever):
            continue
        everywhere = ever[-1] and ever.mean() >= 0.9
        ranges.append("all" if everywhere else "low" if ever[: len(e.low)].any() and not ever[-1] else "else")
    found = np.array(ranges)
    none = "no seed has a lasting pudding stage"
    return Claim(
        "pudding-range",
        "2.3",
        "Pudding comes at low beta or at all beta",
        "Where a hypernetwork turns to pudding, it does so either for low beta only or for all beta.",
        (
            Check("seeds with pudding at low beta only", "", estimate(found == "low", "sum"), _any(), none),
            Check("seeds with pudding at all beta", "", estimate(found == "all", "sum"), _any(), none),
            Check(
                "seeds with pudding that are of one of these two kinds",
                "share",
                estimate(found != "else"),
                Criterion("at least", 0.8),
                none,
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="All beta: pudding counts at the highest beta and at nine tenths of them at some time.",
    )


def high_beta_convexity(e: Evidence) -> Claim:
    """Section 2.3: the high beta regime oftentimes retains convexity while low beta evolves."""
    evolved = e.cases[e.cases["phase_low"] != CONVEXITY]
    return Claim(
        "high-beta-convexity",
        "2.3",
        "High beta often keeps convexity",
        "While the low beta regime moves on to other algorithms, the high beta regime often stays with convexity.",
        (
            Check(
                "seeds with convexity at the highest beta, of those with another algorithm at low beta",
                "share",
                estimate(evolved["phase_high"] == CONVEXITY),
                Criterion("at least", 0.5),
                "no seed left convexity at low beta",
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
    )


def boundary_rises(e: Evidence) -> Claim:
    """Section 2.3: the beta of the boundary increases over time and then stabilises."""
    rise, late = [], []
    for seed in e.seeds(MEMORISED):
        path = np.log10(boundary(e.run.sweep, seed)).dropna()
        if len(path) > 2:
            half = path[path.index >= path.index[-1] / 2]
            rise.append(path.iloc[-1] - path.iloc[0])
            late.append(abs(half.iloc[-1] - half.iloc[0]))
    return Claim(
        "boundary-rises",
        "2.3",
        "The boundary in beta rises, then settles",
        "The beta below which networks have left convexity grows during training, and then stays where it is.",
        (
            Check(
                "rise of the boundary from its first appearance to the last step",
                "decades",
                estimate(rise),
                Criterion("at least", 1.0),
                NO_MEMORISED,
            ),
            Check(
                "movement of the boundary over the second half of the steps, up or down",
                "decades",
                estimate(late),
                Criterion("at most", 0.5),
                NO_MEMORISED,
            ),
        ),
        "04_phase_diagrams",
        "The boundary in beta",
        note="Seeds that memorised; without KL there is no boundary. The grid of betas has steps of 0.41 decades.",
    )


def order_in_beta(e: Evidence) -> Claim:
    """Section 4: convexity is the simplest and reigns at the greatest beta, then pudding, then double-sided."""
    last = e.last[~e.last["seed"].map(e.cases["collapsed"])]
    highest = np.log10(last.groupby(["phase", "seed"])["beta"].max())
    low = last[last["beta"].isin(e.low)]
    kl = low.groupby(["phase", "seed"])["kl"].mean()
    absent = "the seeds that pay KL do not have both algorithms"

    def compare(quantity: str, unit: str, table: pd.Series, more: str, less: str) -> Check:
        groups = [table[name].tolist() if name in table.index else [] for name in (more, less)]
        return Check(quantity, unit, estimate(groups[0], minus=groups[1]), Criterion("more than", 0.0), absent)

    return Claim(
        "order-in-beta",
        "2.3, 4",
        "From high to low beta: convexity, pudding, double-sided",
        "The simplest algorithm is generated at the greatest beta; the more accurate ones need more information and a "
        "lower beta.",
        (
            compare("highest beta of convexity over that of pudding", "decades", highest, CONVEXITY, PUDDING),
            compare("highest beta of pudding over that of double-sided", "decades", highest, PUDDING, DOUBLE_SIDED),
            compare("KL of double-sided less that of pudding, at low beta", "nats", kl, DOUBLE_SIDED, PUDDING),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="The last step of seeds that pay KL; seeds that have the algorithm are compared with seeds that have the "
        "other one.",
    )


def _any() -> Criterion:
    return Criterion("at least", 1, by_value=True)


CLAIMS = (
    convexity_first,
    no_way_back,
    pudding_range,
    high_beta_convexity,
    boundary_rises,
    order_in_beta,
)
