"""Claims of sections 2.1, 2.2 and 4: the three algorithms, how they are told apart, and whether they are the cause."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from hyperlib.algorithms.construct import SHARPNESS, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS
from hyperlib.algorithms.structure import HEAVY, UNCLEAR, features, mixing
from hyperlib.development import STRAY, algorithm
from hyperlib.problems import L1

from ..studies.calibration import validate
from ..studies.interventions import DESTROYED, NETWORK, OTHER, OWN, SHUFFLED
from .claim import Check, Claim, Criterion, Estimate, estimate, shown_in
from .evidence import (
    ACCURATE,
    INPUT_SEED,
    NO_MEMORISED,
    NO_MODELS,
    NO_RANDOM,
    RANDOM,
    SAMPLES,
    STEADY,
    Evidence,
    Trained,
)

NOISE = (0.0, 0.1, 0.2, 0.3)  # of the validation, relative to the root mean square weight
MARGIN = 1.25  # factor around a boundary within which a network counts as near it
IMPERFECT = 0.005  # d of equation 3 from which on a pudding is imperfect; a construction has 0
SHAPE = "the run's networks do not have the shape (n, m, 1) that the constructions have"
NO_PUDDING = "the run has no seed that is pudding at low beta"
NO_NARROW = "there is no run with too few hidden neurons for double-sided"


def shares(part: Trained, rows: pd.DataFrame) -> pd.DataFrame:
    """Share of every algorithm among the rows of each seed, seeds x algorithms."""
    found = rows.groupby("seed")["algorithm"].value_counts(normalize=True).unstack(fill_value=0.0)
    return found.reindex(index=part.seeds, fill_value=0.0)


def main_run(e: Evidence, unit: str, found: Estimate | None, quantity: str = "the same") -> list[Check]:
    """The quantity above in the main run alone, only reported: where two runs are pooled, they may differ."""
    return [Check(f"{quantity} in the main run", unit, found)] if e.memorised is not None and found else []


def column(table: pd.DataFrame, name: str) -> pd.Series:
    """A column of `shares`, zeros if no network is of that algorithm."""
    return table[name] if name in table else pd.Series(0.0, index=table.index)


@shown_in("02_interpretation")
def three_algorithms(e: Evidence) -> Claim:
    """Section 2.1: the networks compute the norm by one of three algorithms."""
    found = pd.concat([shares(part, part.last) for part in e.settings]).fillna(0.0)
    checks = [
        Check(
            f"seeds with {name} at the last step, at more than two betas in thirty",
            "",
            estimate(column(found, name) > STRAY, "sum"),
            Criterion("at least", 2, by_value=True),
            paper="three main algorithms",
        )
        for name in PHASES
    ]
    unclear = estimate(column(shares(e.main, e.main.last), UNCLEAR))
    return Claim(
        "three-algorithms",
        "2.1",
        "Three algorithms",
        "Among the networks that hypernetworks generate there are three algorithms: convexity, pudding, double-sided, "
        "and next to nothing else.",
        "we found that networks generally compute the L1 norm using one of three main algorithms",
        (
            *checks,
            Check(
                "networks at the last step that are neither of the three nor random weights with heavy tails",
                "share",
                estimate(column(found, UNCLEAR)),
                Criterion("at most", 0.1),
                paper="generally",
            ),
            *main_run(e, "share", unclear),
            Check(
                "networks at the last step that are random weights with heavy tails",
                "share",
                estimate(column(found, HEAVY)),
                paper="counted as convexity",
            ),
        ),
        "02_interpretation",
        "fig-interpretation",
        note="By the structure of the first layer. The paper's D with two modes belongs to convexity.",
    )


@shown_in("04_phase_diagrams")
def memorised_pudding_most_common(e: Evidence) -> Claim:
    """Section 2.1: among memorising hypernetworks, pudding is the most common algorithm."""

    def lead(part: Trained) -> tuple[pd.Series, pd.Series]:
        ends = part.cases.loc[part.pays, "phase_low"]
        return ends, (ends == PUDDING).astype(float) - (ends == DOUBLE_SIDED).astype(float)

    ends, ahead = lead(e.memorising)
    share = shares(e.main, e.main.last[e.main.last["beta"].isin(e.main.low)])
    # the runner-up is that of all seeds together, so that seeds stay independent samples
    rest = share.drop(columns=[PUDDING], errors="ignore").mean()
    all_ahead = column(share, PUDDING) - column(share, str(rest.idxmax()) if len(rest) else "")
    return Claim(
        "memorised-pudding-most-common",
        "2.1",
        "Memorising hypernetworks mostly find pudding",
        "Where a hypernetwork memorises which hidden neuron serves which input, it most often settles on pudding: the "
        "paper says it of hard-coded assignments.",
        "The hypernetwork uses a hard-coded assignment of pairs of hidden neurons to input neurons; changing the "
        "generation seed does not change the order of the hidden neurons. This is the most common algorithm found in "
        "our experiments.",
        (
            Check(
                "memorising seeds that end as pudding at low beta, less those that end as double-sided",
                "points",
                estimate(ahead),
                Criterion("more than", 0.0),
                NO_MEMORISED,
                paper="most common",
            ),
            Check("memorising seeds that end as pudding", "share", estimate(ends == PUDDING), None, NO_MEMORISED),
            Check(
                "memorising seeds that end as double-sided", "share", estimate(ends == DOUBLE_SIDED), None, NO_MEMORISED
            ),
            *main_run(e, "points", estimate(lead(e.main)[1]), "pudding less double-sided"),
            Check(
                "main run, random and memorised together: share of pudding among networks at low beta, less that of "
                "the most common other algorithm",
                "points",
                estimate(all_ahead),
            ),
        ),
        "04_phase_diagrams",
        "fig-phases-all",
        note="Seeds that pay KL, by the most common algorithm among the lowest third of the betas at the last step. "
        "The other reading of the sentence, all pudding together, decides nothing.",
    )


@shown_in("02_interpretation")
def pudding_assignment(e: Evidence) -> Claim:
    """Section 2.1: pudding assigns one hidden neuron to each input and the leftover ones to all."""
    part = e.memorising
    seeds = [seed for seed in part.lowest(PUDDING) if seed in part.pays]
    singles, once, summed = [], [], []
    for seed in seeds:
        W = part.network(seed).weights[0].double()
        n, m = W.shape
        singles.append(float(features(W)["single"]) * m / n)
        at = W.abs().argmax(0)
        own = W.square().amax(0) > W.square().sum(0) / 2
        own &= W.abs().amax(0) >= W.abs().max() / 4
        once.append(float((torch.bincount(at[own], minlength=n) == 1).double().mean()))
        left = W[:, ~own]
        power = left.square().sum(0).clamp_min(1e-30)
        weight = power / power.sum()
        summed.append(float((weight * left.sum(0).square() / (n * power)).sum()) if left.numel() else 0.0)
    return Claim(
        "pudding-assignment",
        "2.1",
        "One hidden neuron per input, the rest for the sum",
        "A memorised pudding assigns one hidden neuron to each input, and its leftover neurons read the sum of all.",
        "assigns one hidden neuron to each input neuron i to compute the first summation, and uses the leftover hidden "
        "neurons to compute the second summation term",
        (
            Check(
                "hidden neurons that read a single input, per input",
                "",
                estimate(singles, "median"),
                Criterion("at most", 1.25),
                NO_PUDDING,
                paper="1",
            ),
            Check(
                "inputs with exactly one neuron of their own",
                "share",
                estimate(once),
                Criterion("at least", 0.9),
                NO_PUDDING,
                paper="each",
            ),
            Check(
                "leftover neurons: squared weights in the direction of the sum of all inputs",
                "share",
                estimate(summed, "median"),
                Criterion("at least", 0.8),
                NO_PUDDING,
                paper="all, 32 of 48",
            ),
        ),
        "02_interpretation",
        "The pudding algorithm",
        note="Seeds that pay KL and are pudding at low beta; the network of the lowest beta.",
    )


@shown_in("02_interpretation")
def pudding_imperfect(e: Evidence) -> Claim:
    """Section 2.1: pudding is almost always imperfect, as in equation 3."""
    found = {
        (name, seed): float(mixing(part.network(seed).weights[0]))
        for name, part in {"main": e.main, "memorising": e.memorising}.items()
        for seed in part.lowest(PUDDING)
    }
    if e.memorised is None:  # the two are one run
        found = {key: d for key, d in found.items() if key[0] == "main"}
    values = [d for d in found.values() if np.isfinite(d)]
    return Claim(
        "pudding-imperfect",
        "2.1",
        "Pudding is almost always imperfect",
        "The neurons assigned to an input also see the sum of all inputs, with the opposite sign: equation 3 instead "
        "of equation 2.",
        "The pudding algorithm is almost always implemented imperfectly, as in Equation 3.",
        (
            Check(
                f"pudding networks with a mixing d of at least {IMPERFECT}",
                "share",
                estimate([float(d >= IMPERFECT) for d in values]),
                Criterion("at least", 0.8),
                NO_PUDDING,
                paper="almost always",
            ),
            Check("mixing d", "", estimate(values, "median"), None, NO_PUDDING, paper="1, as equation 3 is printed"),
        ),
        "02_interpretation",
        "The pudding algorithm",
        note="Both kinds of pudding, at the lowest beta. An assigned neuron reads -+ x_i +- d sum_j x_j; d = 0 is "
        "exact.",
    )


@shown_in("02_interpretation")
def signed_pudding(e: Evidence) -> Claim:
    """Section 2.1 and figure 1: pudding comes in two signs."""
    signs: list[float] = []
    for part in e.settings:
        signs += [float(features(part.network(seed).weights[0])["sign"]) for seed in part.lowest(PUDDING)]
    none = None if not signs else np.array(signs)
    return Claim(
        "signed-pudding",
        "2.1, figure 1",
        "Pudding comes in both signs",
        "Some hypernetworks find the positive pudding (assigned neurons with negative weights), others the negative "
        "one; within a network all have one sign.",
        'which holds for both signs ± (hence the name "signed pudding")',
        (
            Check(
                "seeds with the positive pudding",
                "",
                None if none is None else estimate(none < 0, "sum"),
                Criterion("at least", 1, by_value=True),
                NO_PUDDING,
                paper="some (figure 1, center bottom)",
            ),
            Check(
                "seeds with the negative pudding",
                "",
                None if none is None else estimate(none > 0, "sum"),
                Criterion("at least", 1, by_value=True),
                NO_PUDDING,
                paper="some (figure 1, center top)",
            ),
            Check(
                "assigned neurons that have their network's sign",
                "share",
                None if none is None else estimate((1 + np.abs(none)) / 2),
                Criterion("at least", 0.95),
                NO_PUDDING,
                paper="all",
            ),
        ),
        "02_interpretation",
        "The pudding algorithm",
        note="Networks of the lowest beta of seeds that are pudding at low beta.",
    )


@shown_in("02_interpretation")
def neurons_needed(e: Evidence) -> Claim:
    """Sections 2.1 and 4: pudding needs n + 1 hidden neurons, double-sided 2 n."""
    found = works = None
    if e.narrow is not None:
        losses = pd.Series(e.narrow.at_low("loss", e.narrow.seeds, STEADY), index=e.narrow.seeds)
        is_pudding = e.narrow.cases["phase_low"] == PUDDING
        found = estimate(is_pudding)
        works = estimate(is_pudding & (losses <= ACCURATE), "sum")
    n = e.main.run.config.shape[0]
    x, y = L1.sample(SAMPLES, n, torch.Generator().manual_seed(INPUT_SEED))
    small, large = pudding(n), double_sided(n)
    return Claim(
        "neurons-needed",
        "2.1, 4",
        "Pudding needs fewer neurons",
        "Pudding computes the L1 norm of n numbers with n + 1 hidden neurons, double-sided needs 2 n: hypernetworks "
        "for a hidden layer in between find pudding.",
        "this algorithm can actually be implemented with n + 1 hidden neurons, which is more efficient than the 2n "
        "needed for the double-sided algorithm",
        (
            Check(
                f"narrow run: seeds that are pudding at low beta with a loss of at most {ACCURATE}",
                "",
                works,
                Criterion("at least", 2, by_value=True),
                NO_NARROW,
                f"n + 1 = {n + 1} neurons against 2n = {2 * n}",
            ),
            Check("narrow run: seeds that are pudding at low beta", "share", found, None, NO_NARROW),
            Check(
                f"exact constructions: loss of pudding with {small.shape[1]} hidden neurons over that of double-sided "
                f"with {large.shape[1]}",
                "",
                estimate([float(small.loss(x, y) / large.loss(x, y))], of="pair"),
                paper="1 (equations 1 and 2)",
            ),
        ),
        "02_interpretation",
        "The pudding algorithm",
        note="Double-sided does not fit into the narrow run's networks. The constructions have connections of strength "
        f"{SHARPNESS:g}; that they are equally accurate is an identity and decides nothing.",
    )


@shown_in("02_interpretation")
def convexity_distribution(e: Evidence) -> Claim:
    """Section 2.1: the distribution D of convexity has one mode or two and is typically symmetric."""
    part, beta = e.main, e.main.run.betas[-1]
    rows = part.last[(part.last["beta"] == beta) & part.last["algorithm"].isin((CONVEXITY, HEAVY))]
    seeds = part.with_model(rows["seed"].tolist())
    counts, lean = np.array([part.distribution(seed, beta) for seed in seeds]).reshape(-1, 2).T
    none = "no seed is convexity at the highest beta" if not len(rows) else NO_MODELS
    heavy = rows["algorithm"].eq(HEAVY)
    return Claim(
        "convexity-distribution",
        "2.1",
        "Convexity: D has one mode or two",
        "The weights of a convexity network are drawn from one distribution D, in some seeds with one mode, in others "
        "with two, and typically symmetric.",
        "D some distribution that is typically symmetric. Sometimes the distribution of D is unimodal, and sometimes "
        "it is bimodal.",
        (
            Check(
                "seeds whose D has one mode",
                "",
                estimate(counts == 1, "sum") if len(counts) else None,
                Criterion("at least", 1, by_value=True),
                none,
                paper="sometimes",
            ),
            Check(
                "seeds whose D has two modes",
                "",
                estimate(counts == 2, "sum") if len(counts) else None,
                Criterion("at least", 1, by_value=True),
                none,
                paper="sometimes",
            ),
            Check(
                "share of positive weights less a half, in absolute value",
                "points",
                estimate(lean, "median"),
                Criterion("at most", 0.1),
                none,
                paper="typically symmetric",
            ),
            Check("seeds whose D has heavy tails of both signs", "", estimate(heavy, "sum"), None, none),
        ),
        "02_interpretation",
        "The convexity algorithm",
        note="First-layer weights of 16 generation seeds at the highest beta. Modes are local maxima of a kernel "
        "density that stand out by a twentieth of the highest.",
    )


@shown_in("03_order_parameters")
def clusters(e: Evidence) -> Claim:
    """Section 2.2: three clusters in order-parameter space, separated by hand-picked boundaries."""
    last = pd.concat([part.last for part in e.settings], keys=range(len(e.settings)))
    double, strongest = last["alpha_1"], last["alpha_2"]
    near = _near(strongest, THRESHOLDS.strongest) | (
        _near(double, THRESHOLDS.double_sided) & (strongest >= THRESHOLDS.strongest)
    )
    share = near.groupby([near.index.get_level_values(0), last["seed"]]).mean()
    here = share.loc[0]
    return Claim(
        "clusters",
        "2.2",
        "Three clusters with boundaries between them",
        "Drawn by their order parameters, networks fall into clusters, one per algorithm, and few lie near a boundary.",
        "The networks divide themselves roughly into three clusters in order parameter space, each corresponding to "
        "one algorithm",
        (
            Check(
                f"networks at the last step within a factor of {MARGIN} of a boundary",
                "share",
                estimate(share),
                Criterion("at most", 0.1),
                paper="roughly three clusters",
            ),
            *main_run(e, "share", estimate(here)),
        ),
        "03_order_parameters",
        "fig-order-space",
        note="By the paper's order parameters alpha_1 and alpha_2 and hand-picked boundaries.",
    )


@shown_in("03_order_parameters")
def classifiers_agree(e: Evidence) -> Claim:
    """Section 2.2: what the boundaries say agrees with the structure of the weights."""
    last = pd.concat([part.last for part in e.settings], keys=range(len(e.settings)))
    agree = kappa = here = None
    absent = "the run was measured before there was a classification by structure"
    if algorithm(last) == "structure":  # else the boundaries would be compared with themselves
        absent = "both classifications give one and the same answer throughout"
        same = last["phase"].eq(last["algorithm"])
        same = same.groupby([same.index.get_level_values(0), last["seed"]]).mean()
        chance = sum(float((last["phase"] == name).mean() * (last["algorithm"] == name).mean()) for name in PHASES)
        # Cohen's kappa is linear in the agreement once the chance level is taken as known
        agree, kappa = estimate(same), estimate((same - chance) / (1 - chance)) if chance < 1 else None
        here = estimate(same.loc[0])
    known = _known()
    accuracy = [
        Check(
            f"networks with a known algorithm that {who} get right",
            "share",
            estimate(rows[name] == rows["truth"], of="network"),
            criterion,
        )
        for who, name, rows, criterion in (
            (
                "the order parameters",
                "order_parameters",
                known[known["truth"].isin(PHASES)],
                Criterion("at least", 0.9),
            ),
            ("structure", "structure", known, Criterion("at least", 0.9)),
        )
    ]
    missed = known[known["truth"] == HEAVY]
    return Claim(
        "classifiers-agree",
        "2.2",
        "The hand-picked boundaries name the right algorithm",
        "The algorithm that the order parameters name is the one that the structure of the first layer shows.",
        "we construct a number of order parameters below to distinguish the three algorithms apart from one another",
        (
            Check(
                "networks at the last step on which both classifications agree",
                "share",
                agree,
                Criterion("at least", 0.8),
                absent,
            ),
            *main_run(e, "share", here),
            Check(
                "agreement beyond chance (Cohen's kappa)",
                "",
                kappa,
                Criterion("at least", 0.6),
                absent,
            ),
            *accuracy,
            Check(
                "random weights with heavy tails that the order parameters take for pudding",
                "share",
                estimate(missed["order_parameters"] == PUDDING, of="network"),
            ),
        ),
        "03_order_parameters",
        "By structure",
        note="Networks with a known algorithm are constructed, with noise of up to 30 % of the root mean square "
        "weight. The order parameters are judged on the three algorithms only, structure also on random weights with "
        "heavy tails and on networks half way between two algorithms.",
    )


@lru_cache
def _known() -> pd.DataFrame:
    return validate(NOISE, INPUT_SEED, count=5)


def _near(values: pd.Series, boundary: float) -> pd.Series:
    return (values > boundary / MARGIN) & (values < boundary * MARGIN)


def replaced(part: Trained, seeds: list[int]) -> pd.DataFrame:
    """One row per seed: the losses of `Trained.replaced`; none where constructions cannot be fitted."""
    return pd.DataFrame([part.replaced(seed) for seed in seeds] if part.explainable else [])


def _excess(table: pd.DataFrame, kind: str) -> Estimate | None:
    """Median over seeds of the loss that a replacement adds."""
    return estimate((table[kind] - table[NETWORK]).dropna() if {kind, NETWORK} <= set(table) else [], "median")


def _ratio(table: pd.DataFrame) -> Estimate | None:
    return estimate((table[OTHER] / table[OWN]).dropna() if {OTHER, OWN} <= set(table) else [], "median")


def _causal(
    key: str, title: str, group: str, choose: Callable[[Evidence], tuple[Trained, list[int]]], absent: str
) -> Callable[[Evidence], Claim]:
    """A claim about the causal replacement of the networks of one group of seeds."""

    @shown_in("07_adam_baseline")
    def claim(e: Evidence) -> Claim:
        part, seeds = choose(e)
        table = replaced(part, seeds)
        none = absent if part.explainable else SHAPE

        def excess(kind: str, criterion: Criterion, quantity: str, paper: str = "") -> Check:
            return Check(quantity, "", _excess(table, kind), criterion, none, paper)

        later = replaced(e.longer, e.longer.seeds) if part is e.main and e.longer else table.iloc[:0]
        after = {
            "loss of the best other construction over that of the fitted": _ratio(later),
            "loss added by shuffling the residual": _excess(later, SHUFFLED),
        }

        return Claim(
            f"causal-{key}",
            "2.1",
            title,
            f"A {group} network can be replaced by the construction that was fitted to its weights with little harm, "
            "not by another algorithm's, and what the construction leaves out does not matter in its details.",
            "we deconstruct the algorithms performed by the networks generated by our hypernetworks",
            (
                excess(OWN, Criterion("at most", 0.05), "loss added by the fitted construction", "0"),
                Check(
                    "loss of the best other construction over that of the fitted",
                    "",
                    _ratio(table),
                    Criterion("at least", 2),
                    none,
                ),
                excess(SHUFFLED, Criterion("at most", 0.05), "loss added by shuffling the residual"),
                excess(DESTROYED, Criterion("at least", 0.5), "loss added by shuffling all first-layer weights"),
                *(Check(f"after as many steps again: {name}", "", found) for name, found in after.items() if found),
            ),
            "07_adam_baseline",
            "Is the interpretation causal?",
            note="At the lowest beta; losses are normalised, of case 3d means over 16 networks a seed; medians over "
            "seeds. A construction's output weights are the network's, scaled by a fitted factor per role.",
        )

    claim.__doc__ = f"Section 2.1: the interpretation of {group} networks is causal."
    claim.__name__ = f"causal_{key.replace('-', '_')}"
    return claim


causal_random = _causal(
    "case-3d",
    "The interpretation of case 3d is causal",
    "random pudding",
    lambda e: (e.main, e.main.of(RANDOM)),
    NO_RANDOM,
)
causal_pudding = _causal(
    "pudding",
    "The interpretation of memorised pudding is causal",
    "memorised pudding",
    lambda e: (e.memorising, [s for s in e.memorising.pays if s in e.memorising.lowest(PUDDING)]),
    NO_PUDDING,
)
causal_double_sided = _causal(
    "double-sided",
    "The interpretation of double-sided is causal",
    "double-sided",
    lambda e: (e.memorising, [s for s in e.memorising.pays if s in e.memorising.lowest(DOUBLE_SIDED)]),
    "the run has no seed that is double-sided at low beta",
)

CLAIMS = (
    three_algorithms,
    memorised_pudding_most_common,
    pudding_assignment,
    pudding_imperfect,
    signed_pudding,
    neurons_needed,
    convexity_distribution,
    causal_random,
    causal_pudding,
    causal_double_sided,
    clusters,
    classifiers_agree,
)
