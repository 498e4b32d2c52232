"""Claims of sections 2.1, 2.2 and 4: the three algorithms, how they are told apart, and whether they are the cause."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from ..algorithms.calibration import calibrate
from ..algorithms.construct import SHARPNESS, double_sided, pudding
from ..algorithms.construct import cases as constructions
from ..algorithms.explain import NONE
from ..algorithms.interventions import DESTROYED, NETWORK, OTHER, OWN, SHUFFLED
from ..algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS
from ..task import L1
from .claim import Check, Claim, Criterion, estimate
from .evidence import INPUT_SEED, NO_RANDOM, RANDOM, REPLACED, SAMPLES, Evidence

NOISE = (0.0, 0.1, 0.2, 0.3)  # of the calibration, relative to the root mean square weight
MARGIN = 1.25  # factor around a boundary within which a network counts as near it
SHAPE = "the run's networks do not have the shape (n, m, 1) that the constructions have"
CONVEX_ONLY = "the network of the lowest beta is convexity in every seed"


def three_algorithms(e: Evidence) -> Claim:
    """Section 2.1: the networks compute the norm by one of three algorithms."""
    shares = e.last.groupby("seed")["phase"].value_counts(normalize=True).unstack(fill_value=0.0)
    checks = [
        Check(
            f"seeds with {name} at the last step, at more than one beta in thirty",
            "",
            estimate(shares.get(name, pd.Series(0.0, shares.index)) > 1 / 30, "sum"),
            Criterion("at least", 2, by_value=True),
        )
        for name in PHASES
    ]
    return Claim(
        "three-algorithms",
        "2.1",
        "Three algorithms",
        "Among the networks that hypernetworks generate there are three algorithms: convexity, pudding, double-sided.",
        tuple(checks),
        "02_interpretation",
        "fig-interpretation",
    )


def pudding_most_common(e: Evidence) -> Claim:
    """Section 2.1: pudding is the most common algorithm."""

    def lead(rows: pd.DataFrame) -> list[float]:
        share = rows.groupby("seed")["phase"].value_counts(normalize=True).unstack(fill_value=0.0)
        share = share.reindex(columns=PHASES, fill_value=0.0)
        # the runner-up is that of all seeds together, so that seeds stay independent samples
        runner_up = share.drop(columns=PUDDING).mean().idxmax()
        return (share[PUDDING] - share[runner_up]).tolist()

    low = e.last[e.last["beta"].isin(e.low)]
    return Claim(
        "pudding-most-common",
        "2.1",
        "Pudding is the most common algorithm",
        "Of the three algorithms, hypernetworks generate pudding most often.",
        (
            Check(
                "networks at the last step: share of pudding less that of the most common other algorithm",
                "points",
                estimate(lead(e.last)),
                Criterion("more than", 0.0),
            ),
            Check(
                "the same at low beta (the lowest third)",
                "points",
                estimate(lead(low)),
                Criterion("more than", 0.0),
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="The paper does not say what it counts. Here it is networks (seed, beta) at the last step.",
    )


def clusters(e: Evidence) -> Claim:
    """Section 2.2: three clusters in order-parameter space, separated by hand-picked boundaries."""
    double, strongest = e.last["alpha_1"].to_numpy(), e.last["alpha_2"].to_numpy()
    near = _near(strongest, THRESHOLDS.strongest) | (
        _near(double, THRESHOLDS.double_sided) & (strongest >= THRESHOLDS.strongest)
    )
    share = pd.Series(near).groupby(e.last["seed"].to_numpy()).mean()
    return Claim(
        "clusters",
        "2.2",
        "Three clusters with boundaries between them",
        "Drawn by their order parameters, networks fall into clusters, one per algorithm, and few lie near a boundary.",
        (
            Check(
                f"networks at the last step within a factor of {MARGIN} of a boundary",
                "share",
                estimate(share),
                Criterion("at most", 0.1),
            ),
        ),
        "03_order_parameters",
        "fig-order-space",
    )


def classifiers_agree(e: Evidence) -> Claim:
    """Section 2.2: what the boundaries say agrees with what explains the weights."""
    none = "" if e.explainable else SHAPE
    agree = kappa = unexplained = None
    if e.explainable:
        table = e.labels
        same = (table["order_parameters"] == table["explanation"]).groupby(table["seed"]).mean()
        agree = estimate(same)
        unexplained = estimate((table["explanation"] == NONE).groupby(table["seed"]).mean())
        chance = sum(
            (table["order_parameters"] == name).mean() * (table["explanation"] == name).mean() for name in PHASES
        )
        # Cohen's kappa is linear in the agreement once the chance level is taken as known
        kappa = estimate((same - chance) / (1 - chance)) if chance < 1 else None
    n = e.run.config.shape[0]
    known = None
    if e.explainable and n >= 4:
        known = calibrate(NOISE, INPUT_SEED, [case for case in constructions((n,)) if case.hidden > 2 * n])
    accuracy = [
        Check(
            f"constructed networks with noise of up to {100 * NOISE[-1]:.0f} % that {who} get right",
            "share",
            None if known is None else estimate(known[column] == known["truth"], of="network"),
            Criterion("at least", 0.95),
            SHAPE,
        )
        for who, column in (("the order parameters", "order_parameters"), ("the constructions", "explanation"))
    ]
    return Claim(
        "classifiers-agree",
        "2.2",
        "Boundaries and constructions agree",
        "The hand-picked boundaries name the algorithm that also explains the weights best: a classifier that fits "
        "each construction to the network, and may answer that none fits, comes to the same result.",
        (
            Check(
                "networks at the last step on which both classifiers agree",
                "share",
                agree,
                Criterion("at least", 0.8),
                none,
            ),
            Check(
                "agreement beyond chance (Cohen's kappa)",
                "",
                kappa,
                Criterion("at least", 0.6),
                none or "both classifiers give one and the same answer throughout",
            ),
            Check("networks that no construction explains", "share", unexplained, None, none),
            *accuracy,
        ),
        "03_order_parameters",
        "A second opinion",
        note="Generated networks: every third beta of the last step. Constructed ones: those with more than 2 n hidden "
        "neurons, as the paper's have; with fewer, alpha_1 has no background to compare with. Their noise is relative "
        "to the root mean square weight.",
    )


def double_sided_best_and_last(e: Evidence) -> Claim:
    """Sections 2.1 and 4: double-sided is the most accurate algorithm and the last to develop."""
    memorised = e.last["beta"].isin(e.low) & ~e.last["seed"].map(e.cases["collapsed"])
    rows = e.last[memorised | (e.last["phase"] == CONVEXITY)]
    losses = np.log10(rows["loss"]).groupby([rows["phase"], rows["seed"]]).mean()
    loss = {name: losses[name].tolist() if name in losses.index else [] for name in PHASES}
    first: dict[str, list[float]] = {name: [] for name in PHASES}
    for grid, counts in e.grids.values():
        for name in PHASES:
            held = ((grid == name) & counts).any(axis=1)
            if held.any():
                first[name].append(float(np.log10(held.index[held.to_numpy()][0])))
    absent = "the run has not both algorithms"

    def compare(quantity: str, found: dict[str, list[float]], better: str, worse: str) -> Check:
        difference = estimate(found[worse], minus=found[better])
        return Check(quantity, "decades", difference, Criterion("more than", 0.0), absent)

    return Claim(
        "double-sided-best-and-last",
        "2.1, 4",
        "Double-sided is most accurate and comes last",
        "The algorithm that people expect is the hardest to learn: it appears after the others, and is more accurate.",
        (
            compare("loss of memorised pudding over that of double-sided, at low beta", loss, DOUBLE_SIDED, PUDDING),
            compare(
                "loss of convexity, at any beta, over that of memorised pudding, at low beta", loss, PUDDING, CONVEXITY
            ),
            compare("first step of double-sided over that of pudding", first, PUDDING, DOUBLE_SIDED),
            compare("first step of pudding over that of convexity", first, CONVEXITY, PUDDING),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Ratios in decades, over seeds that have the algorithm. Losses leave seeds without KL out: "
        "their pudding is another construction. Steps count from the first lasting appearance at any beta.",
    )


def neurons_needed(e: Evidence) -> Claim:
    """Section 2.1: pudding needs n + 1 hidden neurons, double-sided 2 n."""
    n = e.run.config.shape[0]
    x, y = L1.sample(SAMPLES, n, torch.Generator().manual_seed(INPUT_SEED))
    small, large = pudding(n), double_sided(n)
    ratio = float(small.loss(x, y) / large.loss(x, y))
    return Claim(
        "neurons-needed",
        "2.1",
        "Pudding needs fewer neurons",
        "Pudding computes the L1 norm of n numbers with n + 1 hidden neurons, as well as double-sided does with 2 n.",
        (
            Check(
                f"loss of pudding with {small.shape[1]} hidden neurons over that of double-sided with {large.shape[1]}",
                "",
                estimate([ratio], of="pair"),
                Criterion("at most", 1.1),
            ),
        ),
        "02_interpretation",
        "The pudding algorithm",
        note=f"Exact constructions with connections of strength {SHARPNESS:g}; nothing is drawn at random or trained.",
    )


def causal(e: Evidence) -> Claim:
    """Section 2.1: the interpretation is causal."""
    table = e.replaced if e.explainable else pd.DataFrame(columns=REPLACED)
    absent = CONVEX_ONLY if e.explainable else SHAPE

    def losses(kind: str) -> pd.Series:
        rows = table[table["replacement"] == kind]
        return rows.groupby("seed")["loss"].min() if len(rows) else pd.Series(dtype=float)

    added = (losses(OWN) - losses(NETWORK)).dropna()
    random = added[added.index.isin(e.seeds(RANDOM))]

    def excess(kind: str, over: str, criterion: Criterion, quantity: str) -> Check:
        values = (losses(kind) - losses(over)).dropna()
        return Check(quantity, "", estimate(values, "median"), criterion, absent)

    return Claim(
        "causal",
        "2.1",
        "The interpretation is causal",
        "A network can be replaced by the construction that was fitted to its weights with little harm, "
        "not by another algorithm's, and what the construction leaves out does not matter in its details.",
        (
            excess(OWN, NETWORK, Criterion("at most", 0.05), "loss added by the fitted construction"),
            Check("the same in case 3d alone", "", estimate(random, "median"), None, NO_RANDOM),
            excess(
                OTHER, OWN, Criterion("at least", 0.05), "loss of the best other construction less that of the fitted"
            ),
            excess(SHUFFLED, NETWORK, Criterion("at most", 0.05), "loss added by shuffling the residual"),
            excess(DESTROYED, NETWORK, Criterion("at least", 0.5), "loss added by shuffling all first-layer weights"),
        ),
        "07_adam_baseline",
        "Is the interpretation causal?",
        note="The network of the lowest beta of every seed where it is not convexity; losses are normalised.",
    )


def _near(values: np.ndarray, boundary: float) -> np.ndarray:
    return (values > boundary / MARGIN) & (values < boundary * MARGIN)


CLAIMS = (
    three_algorithms,
    pudding_most_common,
    clusters,
    classifiers_agree,
    double_sided_best_and_last,
    neurons_needed,
    causal,
)
