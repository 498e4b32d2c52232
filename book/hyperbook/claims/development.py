"""Claims of sections 2.3 and 4 about the way in which algorithms develop along training and beta."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.algorithms.structure import HEAVY
from hyperlib.development import STRAY, boundary, crossing, paths, rate_distortion

from .algorithms import main_run
from .claim import Check, Claim, Criterion, estimate, shown_in
from .evidence import MEMORISED, NO_MEMORISED, STEADY, WORKING, Evidence, Trained

FEW_NATS, MANY_NATS = 400.0, 3000.0  # KL at which pudding and double-sided are compared: a little, and plenty
KLS = tuple(np.geomspace(100, 10_000, 41))  # nats
NOT_BOTH = "the run has not both algorithms"
PANELS = {
    "pudding at low beta": "seeds in which pudding develops at low beta only, with memorised assignments",
    "pudding at all beta": "seeds in which pudding develops at all beta, with memorised assignments",
    "random pudding": "seeds in which pudding develops at all beta without KL (case 3d)",
    "pudding, then double-sided": "seeds in which pudding turns into double-sided",
    "double-sided at low beta": "seeds in which convexity turns into double-sided",
}


@shown_in("04_phase_diagrams")
def convexity_first(e: Evidence) -> Claim:
    """Section 2.3: the convexity algorithm always develops first."""
    first = {seed: e.main.once(("first", seed), partial(_first_working, e.main, seed)) for seed in e.main.seeds}
    works = [names for names in first.values() if len(names)]
    shares = [float((names == CONVEXITY).mean()) for names in works]
    random = [float(names.isin((CONVEXITY, HEAVY)).mean()) for names in works]
    return Claim(
        "convexity-first",
        "2.3",
        "Convexity comes first",
        "Whatever a hypernetwork ends with, the first algorithm that it generates is convexity.",
        "the convexity algorithm always develops first, and that other algorithms differentiate away from there",
        (
            Check(
                f"networks (seed, beta) that are convexity at the first snapshot with a loss below {WORKING}",
                "share",
                estimate(shares),
                Criterion("at least", 0.95),
                "no network of the run works",
                paper="always",
            ),
            Check(
                "the same, with random weights of heavy tails counted as convexity",
                "share",
                estimate(random),
                None,
                "no network of the run works",
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="By structure: no single connections that cover the inputs, and no heavy tails. Snapshots before a "
        "network works are left out.",
    )


def _first_working(part: Trained, seed: int) -> pd.Series:
    """The algorithm of the first network that works, by beta."""
    table = part.sweep[(part.sweep["seed"] == seed) & part.sweep["drawn"]].sort_values("step")
    return table[table["loss"] < WORKING].groupby("beta")["algorithm"].first()


def _paths(part: Trained, seed: int) -> list[list[str]]:
    """The lasting algorithms of a seed at every beta in their order."""
    return part.once(("paths", seed), lambda: paths(*part.grid(seed)))


@shown_in("04_phase_diagrams")
def no_way_back(e: Evidence) -> Claim:
    """Section 2.3: convexity turns into pudding or double-sided, pudding sometimes into double-sided."""
    back, turns, moved = [], [], False
    rank = {name: place for place, name in enumerate(PHASES)}
    for seed in e.main.seeds:
        ways = [path for path in _paths(e.main, seed) if path]
        back.append(float(np.mean([rank[way[-1]] < max(rank[name] for name in way) for way in ways])))
        turns.append({turn for way in ways for turn in pairwise(way)})
        moved |= any(rank[name] for way in ways for name in way)

    def seeds_with(before: str, after: str, least: int, paper: str) -> Check:
        found = estimate([float((before, after) in one) for one in turns], "sum")
        criterion = Criterion("at least", least, by_value=True)
        return Check(f"seeds in which {before} turns into {after}", "", found, criterion, paper=paper)

    return Claim(
        "no-way-back",
        "2.3",
        "Development has a direction",
        "Convexity turns into pudding or into double-sided, pudding sometimes into double-sided, and nothing back.",
        "The convexity algorithm can evolve into either the pudding or double-sided algorithms, and the pudding "
        "algorithm sometimes also transitions into the double-sided algorithm.",
        (
            seeds_with(CONVEXITY, PUDDING, 2, "can"),
            seeds_with(CONVEXITY, DOUBLE_SIDED, 2, "can"),
            seeds_with(PUDDING, DOUBLE_SIDED, 1, "sometimes"),
            Check(
                "networks (seed, beta) that end in an earlier algorithm than one they had",
                "share",
                estimate(back) if moved else None,
                Criterion("at most", 0.05),
                "no network ever leaves convexity",
                paper="not mentioned",
            ),
        ),
        "04_phase_diagrams",
        "Transitions",
        note="An algorithm counts if it lasts for two snapshots. A stage shorter than that is not seen.",
    )


@shown_in("04_phase_diagrams")
def five_ways(e: Evidence) -> Claim:
    """Section 2.3, figure 3: five ways to develop, one by one."""
    found = pd.concat([part.cases["case"] for part in e.settings])
    checks = [
        Check(text, "", estimate(found == name, "sum"), Criterion("at least", 1, by_value=True), paper="a panel")
        for name, text in PANELS.items()
    ]
    rest = found[~found.isin(list(PANELS))]
    return Claim(
        "five-ways",
        "2.3, figure 3",
        "Five ways to develop",
        "There are five ways in which the algorithms develop; each of them is found.",
        "Five ways to develop the three algorithms through training",
        (
            *checks,
            Check("seeds of another kind", "", estimate(~found.isin(list(PANELS)), "sum")),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="The paper's text identifies panel (d) only; that the other four are these follows from its description. "
        + (f"Other kinds found: {', '.join(sorted(set(rest)))}." if len(rest) else "No other kind was found."),
    )


def _pudding_range(part: Trained, seed: int) -> str:
    """At which betas pudding ever counts: ``all``, ``low``, ``else``, or nothing if it does not."""
    grid, counts = part.grid(seed)
    ever = ((grid == PUDDING) & counts).any().to_numpy()
    if ever.sum() <= STRAY * len(ever):
        return ""
    if ever[-1] and ever.mean() >= 0.9:
        return "all"
    return "low" if ever[: len(part.low)].any() and not ever[-1] else "else"


@shown_in("04_phase_diagrams")
def pudding_range(e: Evidence) -> Claim:
    """Section 2.3: transitions to pudding happen at low beta only or at all beta."""
    ranges = [
        part.once(("range", seed), partial(_pudding_range, part, seed)) for part in e.settings for seed in part.seeds
    ]
    found, here = np.array([one for one in ranges if one]), np.array(ranges[: len(e.main.seeds)])
    none = "no seed has a lasting pudding stage"
    return Claim(
        "pudding-range",
        "2.3",
        "Pudding comes at low beta or at all beta",
        "Where a hypernetwork turns to pudding, it does so either for low beta only or for all beta.",
        "Transitions to the pudding algorithm can happen either for only low β or for all β.",
        (
            Check("seeds with pudding at low beta only", "", estimate(found == "low", "sum"), _any(), none, "can"),
            Check("seeds with pudding at all beta", "", estimate(found == "all", "sum"), _any(), none, "can"),
            Check(
                "seeds with pudding that are of one of these two kinds",
                "share",
                estimate(found != "else"),
                Criterion("at least", 0.8),
                none,
                "either ... or",
            ),
            *main_run(e, "share", estimate(here[here != ""] != "else")),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="All beta: pudding counts at the highest beta and at nine tenths of them at some time. A beta counts from "
        "the step on at which training has drawn one as large.",
    )


@shown_in("04_phase_diagrams")
def high_beta_convexity(e: Evidence) -> Claim:
    """Section 2.3: the high beta regime oftentimes retains convexity while low beta evolves."""
    ends: list[str] = []
    several: list[bool] = []
    here = 0  # those of the main run, which is first
    for part in e.settings:
        pays = part.cases.loc[part.pays]
        evolved = pays[pays["phase_low"].isin((PUDDING, DOUBLE_SIDED))]
        ends += evolved["phase_high"].tolist()
        several += [any(len(set(path)) > 2 for path in _paths(part, seed)[: len(part.low)]) for seed in evolved.index]
        here = len(ends) if part is e.main else here
    none = "no seed that pays KL left convexity at low beta"
    return Claim(
        "high-beta-convexity",
        "2.3",
        "High beta often keeps convexity",
        "While the low beta regime moves on to other algorithms, the high beta regime often stays with convexity.",
        "Oftentimes, the high β regime retains the convexity algorithm while the low β regime evolves through multiple "
        "algorithms",
        (
            Check(
                "seeds with convexity at the highest beta, of those that react to beta and have another algorithm at "
                "low beta",
                "share",
                estimate([name == CONVEXITY for name in ends]),
                Criterion("at least", 0.5),
                none,
                "oftentimes",
            ),
            *main_run(e, "share", estimate([name == CONVEXITY for name in ends[:here]])),
            *main_run(
                e,
                "share",
                estimate([name in (CONVEXITY, HEAVY) for name in ends[:here]]),
                "random weights with heavy tails counted as convexity,",
            ),
            Check(
                "seeds that go through all three algorithms",
                "share",
                estimate(several),
                None,
                none,
                "evolves through multiple algorithms",
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Seeds whose KL is closed do not react to beta and are left out.",
    )


@shown_in("04_phase_diagrams")
def boundary_rises(e: Evidence) -> Claim:
    """Section 2.3: the beta of the boundary increases over time and then stabilises."""

    def movements(part: Trained) -> tuple[list[float], list[float]]:
        rise, late = [], []
        for seed in part.of(MEMORISED):
            path = np.log10(part.once(("boundary", seed), partial(boundary, part.run.sweep, seed))).dropna()
            path = path[path.index >= part.run.config.beta_warmup]
            if len(path) > 2:
                half = path[path.index >= path.index[-1] / 2]
                rise.append(path.iloc[-1] - path.iloc[0])
                late.append(abs(half.iloc[-1] - half.iloc[0]))
        return rise, late

    rise, late = movements(e.memorising)
    return Claim(
        "boundary-rises",
        "2.3",
        "The boundary in beta rises, then settles",
        "The beta below which networks have left convexity grows during training, and then stays where it is.",
        "the β value of the transition boundary increases over time and then stabilizes",
        (
            Check(
                "rise of the boundary from its first appearance, or the end of beta's warm-up, to the last step",
                "decades",
                estimate(rise, "median"),
                Criterion("at least", 1.0),
                NO_MEMORISED,
                "increases",
            ),
            Check(
                "movement of the boundary over the second half of the steps, up or down",
                "decades",
                estimate(late, "median"),
                Criterion("at most", 0.5),
                NO_MEMORISED,
                "stabilizes",
            ),
            *main_run(e, "decades", estimate(movements(e.main)[0], "median"), "the rise"),
        ),
        "04_phase_diagrams",
        "The boundary in beta",
        note="Medians over seeds that memorised; without KL there is no boundary. The grid of betas has steps of 0.41 "
        "decades. Before the end of the warm-up the larger betas have never been drawn; networks there mean nothing.",
    )


@shown_in("04_phase_diagrams")
def most_accurate(e: Evidence) -> Claim:
    """Sections 2.1 and 4: double-sided is the most accurate algorithm, convexity the least."""
    part = e.memorising

    def losses(name: str) -> list[float]:
        seeds = [seed for seed in part.lowest(name) if seed in part.pays]
        return np.log10(part.at_low("loss", seeds, STEADY)).tolist()

    random = part.last[part.last["algorithm"] == CONVEXITY]
    convexity = np.log10(random["loss"]).groupby(random["seed"]).mean().tolist()
    more = Criterion("more than", 0.0)
    return Claim(
        "double-sided-most-accurate",
        "2.1, 4",
        "Double-sided is the most accurate",
        "The algorithm that people expect is more accurate than pudding, and pudding more than convexity.",
        "The algorithm most expected by humans is the double-sided algorithm, which is the hardest to learn and the "
        "most accurate.",
        (
            Check(
                "loss of memorised pudding over that of double-sided, at low beta",
                "decades",
                estimate(losses(PUDDING), minus=losses(DOUBLE_SIDED)),
                more,
                NOT_BOTH,
                "more than 0",
            ),
            Check(
                "loss of convexity, at any beta, over that of memorised pudding, at low beta",
                "decades",
                estimate(convexity, minus=losses(PUDDING)),
                more,
                NOT_BOTH,
                '"an imperfect random algorithm"',
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Memorising seeds, by their algorithm at low beta. Losses are geometric means over the lowest third of "
        f"the betas, and of these the median of the last {STEADY} snapshots. Ratios in decades.",
    )


def _first_steps(part: Trained, seed: int) -> dict[str, float]:
    """Algorithm -> decimal logarithm of the step at which it first lasts at any beta."""
    grid, counts = part.grid(seed)
    held = {name: ((grid == name) & counts).any(axis=1) for name in PHASES}
    return {name: float(np.log10(grid.index[rows.to_numpy()][0])) for name, rows in held.items() if rows.any()}


@shown_in("04_phase_diagrams")
def comes_last(e: Evidence) -> Claim:
    """Sections 2.1 and 4: double-sided is the hardest to learn: it comes last."""
    part = e.memorising
    first: dict[str, list[float]] = {name: [] for name in PHASES}
    ends: dict[str, list[float]] = {PUDDING: [], DOUBLE_SIDED: []}
    for seed in part.pays:
        steps = part.once(("first steps", seed), partial(_first_steps, part, seed))
        for name, step in steps.items():
            first[name].append(step)
        if (end := part.cases.loc[seed, "phase_low"]) in ends and end in steps:
            ends[end].append(steps[end])
    more = Criterion("more than", 0.0)
    return Claim(
        "double-sided-comes-last",
        "2.3, 4",
        "Double-sided comes last",
        "The algorithm that people expect is the hardest to learn: it appears after the others.",
        "the convexity algorithm is the easiest to learn, simplest, and the one that develops at greatest β, followed "
        "by the pudding algorithm, followed by the double-sided algorithm",
        (
            Check(
                "first step of pudding over that of convexity",
                "decades",
                estimate(first[PUDDING], minus=first[CONVEXITY]),
                more,
                NOT_BOTH,
                "more than 0",
            ),
            Check(
                "first step of double-sided over that of pudding",
                "decades",
                estimate(first[DOUBLE_SIDED], minus=first[PUDDING]),
                more,
                NOT_BOTH,
                "more than 0",
            ),
            Check(
                "the same, of seeds that end with the algorithm at low beta",
                "decades",
                estimate(ends[DOUBLE_SIDED], minus=ends[PUDDING]),
                None,
                NOT_BOTH,
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Memorising seeds that have the algorithm; steps count from the first lasting appearance at any beta.",
    )


@shown_in("04_phase_diagrams")
def order_in_beta(e: Evidence) -> Claim:
    """Section 4: convexity reigns at the greatest beta, then pudding, then double-sided."""
    part = e.memorising
    last = part.last[part.last["seed"].isin(part.pays)]
    highest = np.log10(last.groupby(["algorithm", "seed"])["beta"].max())

    def compare(quantity: str, more: str, less: str) -> Check:
        groups = [highest[name].tolist() if name in highest.index else [] for name in (more, less)]
        found = estimate(groups[0], minus=groups[1])
        return Check(quantity, "decades", found, Criterion("more than", 0.0), NOT_BOTH, "more than 0")

    return Claim(
        "order-in-beta",
        "2.3, 4",
        "From high to low beta: convexity, pudding, double-sided",
        "The simplest algorithm is generated at the greatest beta, the most accurate one at the lowest.",
        "the three algorithms develop in different β regimes [...] the convexity algorithm is [...] the one that "
        "develops at greatest β, followed by the pudding algorithm, followed by the double-sided algorithm",
        (
            compare("highest beta of convexity over that of pudding", CONVEXITY, PUDDING),
            compare("highest beta of pudding over that of double-sided", PUDDING, DOUBLE_SIDED),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="The last step of seeds that pay KL; seeds that have the algorithm are compared with seeds that have the "
        "other one.",
    )


@shown_in("05_encoder_ablation")
def less_information(e: Evidence) -> Claim:
    """Section 4: at equal KL pudding is better with few nats, double-sided with many."""
    part, fresh = e.memorising, e.fresh
    every = part.once("rate-distortion", lambda: rate_distortion(part.run.sweep, (FEW_NATS, MANY_NATS, *KLS)))
    every = every[every["seed"].isin(part.pays)]
    compared = every["kl"].astype(float).round(6).isin((FEW_NATS, MANY_NATS))
    curves, whole = every[compared], every[~compared]

    def gap(kl: float, worse: str, better: str, criterion: Criterion | None) -> Check:
        at = curves[np.isclose(curves["kl"].astype(float), kl)]
        groups = [np.log10(at.loc[at["algorithm"] == name, "loss"].astype(float)).tolist() for name in (worse, better)]
        quantity = f"loss of {worse} over that of {better}, at {kl:,.0f} nats"
        found = estimate(groups[0], minus=groups[1])
        return Check(quantity, "decades", found, criterion, NOT_BOTH, "more than 0")

    paid = fresh.last[fresh.last["seed"].isin(fresh.pays)]
    fewest = np.log10(paid["kl"].clip(lower=1.0)).groupby([paid["algorithm"], paid["seed"]]).min()
    least = [fewest[name].tolist() if name in fewest.index else [] for name in (DOUBLE_SIDED, PUDDING)]
    met = crossing(whole)
    return Claim(
        "less-information",
        "2.3, 4",
        "Pudding needs less information than double-sided",
        "Pudding is generated with fewer nats than double-sided; with plenty, double-sided is the more accurate one.",
        "they represent different tradeoffs between their errors and the model simplicity",
        (
            Check(
                "fewest nats of a double-sided network over those of a pudding network, seeds read since the rule",
                "decades",
                estimate(least[0], "median", minus=least[1]),
                Criterion("more than", 0.0),
                NOT_BOTH,
                "more than 0",
            ),
            gap(MANY_NATS, PUDDING, DOUBLE_SIDED, Criterion("more than", 0.0)),
            gap(FEW_NATS, DOUBLE_SIDED, PUDDING, None),
            Check(
                "KL from which on double-sided is the better one (medians over seeds)",
                "nats",
                estimate([met], of="crossing") if np.isfinite(met) else None,
                None,
                "the curves do not cross where both algorithms are found",
            ),
        ),
        "05_encoder_ablation",
        "fig-rate-distortion",
        note="The last step. The fewest nats are the smallest KL along beta at which a seed generates the algorithm, "
        "at least 1. Losses are interpolated between the networks of a seed that are of one algorithm.",
    )


@shown_in("05_encoder_ablation")
def beta_controls(e: Evidence) -> Claim:
    """Section 4: beta trades error for simplicity."""
    part = e.main
    rows = part.last[part.last["seed"].isin(part.pays)]

    def ranks(name: str) -> list[float]:
        return [float(spearmanr(table["beta"], table[name]).statistic) for _, table in rows.groupby("seed")]

    return Claim(
        "beta-controls",
        "4, 2",
        "Beta trades error for simplicity",
        "With growing beta, networks become simpler and less accurate.",
        "This tradeoff can be manipulated by the β hyperparameter, which controls the relative weight of error vs. "
        "simplicity.",
        (
            Check(
                "rank correlation of beta and KL",
                "",
                estimate(ranks("kl")),
                Criterion("at most", -0.5),
                NO_MEMORISED,
                "negative",
            ),
            Check(
                "rank correlation of beta and loss",
                "",
                estimate(ranks("loss")),
                Criterion("at least", 0.5),
                NO_MEMORISED,
                "positive",
            ),
        ),
        "05_encoder_ablation",
        "fig-kl",
        note="Seeds that pay KL, last step. A KL that is bought for less than 1e-8 a nat is free, so that losses are "
        "flat at the lowest betas.",
    )


def _any() -> Criterion:
    return Criterion("at least", 1, by_value=True)


CLAIMS = (
    beta_controls,
    convexity_first,
    no_way_back,
    five_ways,
    pudding_range,
    high_beta_convexity,
    boundary_rises,
    most_accurate,
    comes_last,
    order_in_beta,
    less_information,
)
