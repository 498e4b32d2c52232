"""Claims of section 2.3: how the algorithms develop along training and beta, and what the encoder does for them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from ..phases import STRAY, boundary, transitions
from .claim import Check, Claim, Criterion, estimate
from .evidence import MEMORISED, MEMORISED_PUDDING, RANDOM, Evidence

WORKING = 0.5  # normalised MSE below which a network works: it explains half of the variance
NO_RANDOM = "the run has no seed of case 3d (random pudding)"
NO_MEMORISED = "the run has no seed that memorised an assignment"
PHASE_PAGE, ENCODER_PAGE = "04_phase_diagrams", "05_encoder_ablation"


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
        PHASE_PAGE,
        note="Snapshots before a network works are left out, because anything with small weights is called convexity.",
    )


def no_way_back(e: Evidence) -> Claim:
    """Section 2.3: convexity turns into pudding or double-sided, pudding sometimes into double-sided."""
    back, ways, moved = [], [], False
    for seed, (grid, counts) in e.grids.items():
        ranks = grid.apply(lambda column: pd.Index(PHASES).get_indexer(column)).where(counts, -1)
        back.append(float((ranks.iloc[-1] < ranks.max()).mean()))
        moved |= bool(ranks.to_numpy().max() > 0)
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
        PHASE_PAGE,
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
        PHASE_PAGE,
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
        PHASE_PAGE,
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
        PHASE_PAGE,
        note="Seeds that memorised; without KL there is no boundary. The grid of betas has steps of 0.41 decades.",
    )


def kl_of_case_3d(e: Evidence) -> Claim:
    """Section 2.3: in case 3d the KL is nearly zero, the Pareto front a point; elsewhere the KL grows."""
    last = e.last.pivot(index="seed", columns="beta", values=["loss", "kl"])
    spread = last["loss"].max(axis=1) / last["loss"].min(axis=1)
    growth = last["kl"].iloc[:, 0] - last["kl"].iloc[:, -1]
    random, memorised = e.seeds(RANDOM), e.seeds(MEMORISED_PUDDING)
    other = "the run has no seed that memorised a pudding assignment"
    return Claim(
        "kl-of-case-3d",
        "2.3",
        "Case 3d pays no KL, and its Pareto front is a point",
        "Some pudding hypernetworks do not react to beta: hardly any KL at any beta, and one loss for all. "
        "In the other pudding cases the KL grows considerably towards low beta.",
        (
            Check("seeds of case 3d", "", estimate(e.cases["case"].isin(RANDOM), "sum")),
            Check("case 3d: largest KL over beta", "nats", estimate(e.cases["kl_max"][random]), None, NO_RANDOM),
            Check(
                "case 3d: largest over smallest loss along beta",
                "",
                estimate(spread[random]),
                Criterion("at most", 1.25),
                NO_RANDOM,
            ),
            Check(
                "other pudding cases: KL at the lowest less that at the highest beta",
                "nats",
                estimate(growth[memorised], "median"),
                Criterion("at least", 100),
                other,
            ),
            Check(
                "other pudding cases: largest over smallest loss along beta",
                "",
                estimate(spread[memorised], "median"),
                Criterion("at least", 2),
                other,
            ),
        ),
        ENCODER_PAGE,
        note="A KL below 10 nats at all beta is part of the rule for case 3d; it is reported and decides nothing.",
    )


def encoder_ablation(e: Evidence) -> Claim:
    """Section 2.3, figure 4: without the encoder case 3d keeps working, the others do not."""
    random, memorised = e.seeds(RANDOM), e.seeds(MEMORISED)
    without, with_encoder = (dict(zip(e.cases.index, e.at_low(name, e.cases.index), strict=True)) for name in _LOSSES)
    kept = [float((phases == PUDDING).mean()) for phases in e.without_encoder(random)]
    return Claim(
        "encoder-ablation",
        "2.3",
        "Only case 3d works without the encoder",
        "Generated by the decoder alone, the networks of case 3d keep their loss and are still pudding; "
        "those of the other cases no longer compute the L1 norm.",
        (
            Check(
                "case 3d: loss without the encoder over loss with it, at low beta",
                "",
                estimate([without[seed] / with_encoder[seed] for seed in random]),
                Criterion("at most", 1.2),
                NO_RANDOM,
            ),
            Check(
                "case 3d: networks without the encoder that are pudding, at low beta",
                "share",
                estimate(kept),
                Criterion("at least", 0.8),
                NO_RANDOM,
            ),
            Check(
                "other cases: loss without the encoder over loss with it, at low beta",
                "",
                estimate([without[seed] / with_encoder[seed] for seed in memorised], "median"),
                Criterion("at least", 10),
                NO_MEMORISED,
            ),
            Check(
                f"other cases: seeds whose loss without the encoder is above {WORKING}, at low beta",
                "share",
                estimate([float(without[seed] > WORKING) for seed in memorised]),
                Criterion("at least", 0.9),
                NO_MEMORISED,
            ),
        ),
        ENCODER_PAGE,
        note="Losses at low beta are geometric means over the lowest third of the betas, at the last step.",
    )


def seed_dependence(e: Evidence) -> Claim:
    """Sections 2.1 and 2.2: memorised assignments do not change with the generation seed."""
    random, memorised = e.seeds(RANDOM), e.seeds(MEMORISED)
    alpha_3 = e.cases["alpha_3_low"]
    return Claim(
        "seed-dependence",
        "2.1, 2.2",
        "Memorised assignments keep the order of hidden neurons",
        "A hypernetwork that memorised which hidden neuron serves which input generates the same assignment from every "
        "generation seed; one of case 3d draws it anew.",
        (
            Check(
                "memorised: seed dependence alpha_3 at the lowest beta",
                "",
                estimate(alpha_3[memorised]),
                Criterion("at most", 0.2),
                NO_MEMORISED,
            ),
            Check(
                "memorised: assigned neurons that keep input and sign",
                "share",
                estimate(e.kept_order(memorised)),
                Criterion("at least", 0.9),
                NO_MEMORISED,
            ),
            Check(
                "case 3d: seed dependence alpha_3 at the lowest beta",
                "",
                estimate(alpha_3[random]),
                Criterion("at least", 0.5),
                NO_RANDOM,
            ),
            Check(
                "case 3d: assigned neurons that keep input and sign",
                "share",
                estimate(e.kept_order(random)),
                Criterion("at most", 0.5),
                NO_RANDOM,
            ),
        ),
        ENCODER_PAGE,
    )


_LOSSES = ("loss_without_encoder", "loss")


def _any() -> Criterion:
    return Criterion("at least", 1, by_value=True)


CLAIMS = (
    convexity_first,
    no_way_back,
    pudding_range,
    high_beta_convexity,
    boundary_rises,
    kl_of_case_3d,
    encoder_ablation,
    seed_dependence,
)
