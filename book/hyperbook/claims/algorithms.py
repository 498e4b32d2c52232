"""Claims of sections 2.1 and 2.2: the three algorithms, how they are told apart, and whether they are the cause."""

from functools import cache

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter1d

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS, phase
from hyperlib.algorithms.structure import HEAVY, UNCLEAR, features, structure

from ..studies.algorithms import mixing
from ..studies.calibration import validate
from ..studies.development import STRAY
from ..studies.generalization import OUTER
from ..studies.interventions import DESTROYED, NETWORK, OTHER, OWN, SHUFFLED, strengths
from .claim import Estimate, Found, estimate
from .evidence import INPUT_SEED, RANDOM, STEADY, Setting

NOISE = (0.0, 0.1, 0.2, 0.3)  # of the validation, relative to the root mean square weight
IMPERFECT = 0.005  # d of equation 3 from which on a pudding is imperfect; a construction has 0
BINS, WIDTH = np.linspace(-4, 6, 501), 0.1  # decades of an order parameter, and the width of the kernel

VALIDATED = cache(validate)  # the same networks in every setting


def share(part: Setting, name: str) -> pd.Series:
    """Share of an algorithm among each seed's networks at the last step, as the sweep has them: medians over draws."""
    return part.last["algorithm"].eq(name).groupby(part.last["seed"]).mean()


def three_algorithms(part: Setting) -> Found:
    for name in PHASES:
        yield name, estimate(share(part, name) > STRAY, "sum")


def generally_one_of_three(part: Setting) -> Found:
    # Of each stored network: one draw each, where a sweep has medians over several.
    labels = [np.asarray(structure(part.run.networks(seed))) for seed in part.seeds]
    for key, name in (("unclear", UNCLEAR), ("heavy", HEAVY)):
        yield key, estimate([(names == name).mean() for names in labels])
    yield "medians", estimate(share(part, UNCLEAR))


def most_common(part: Setting) -> Found:
    ends = part.cases.loc[part.pays, "phase_low"]
    yield "lead", estimate((ends == PUDDING).astype(float) - (ends == DOUBLE_SIDED))
    yield "pudding", estimate(ends == PUDDING)
    yield "double", estimate(ends == DOUBLE_SIDED)
    every = part.cases["phase_low"]
    yield "all", estimate((every == PUDDING).astype(float) - (every == every[every != PUDDING].mode().get(0, "")))


def pudding_assignment(part: Setting) -> Found:
    singles, once, summed = [], [], []
    for seed in part.lowest(PUDDING, paying=True):
        W = part.network(seed).weights[0].double()
        n, m = W.shape
        singles.append(float(features(W)["single"]) * m / n)
        own = W.square().amax(0) > W.square().sum(0) / 2
        own &= W.abs().amax(0) >= W.abs().max() / 4
        once.append(float((torch.bincount(W.abs().argmax(0)[own], minlength=n) == 1).double().mean()))
        left = W[:, ~own]
        summed.append(float(left.sum(0).square().sum() / (n * left.square().sum()).clamp_min(1e-30)))
    yield "neurons", estimate(singles, "median")
    yield "once", estimate(once)
    yield "summed", estimate(summed, "median")


def pudding_imperfect(part: Setting) -> Found:
    found = np.array([float(mixing(part.network(seed).weights[0])) for seed in part.lowest(PUDDING)])
    values = found[np.isfinite(found)]
    yield "imperfect", estimate(values >= IMPERFECT)
    yield "mixing", estimate(values, "median")


def signed_pudding(part: Setting) -> Found:
    signs = np.array([float(features(part.network(seed).weights[0])["sign"]) for seed in part.lowest(PUDDING)])
    yield "positive", estimate(signs < 0, "sum")
    yield "negative", estimate(signs > 0, "sum")
    yield "same", estimate((1 + np.abs(signs)) / 2)


def neurons_needed(part: Setting) -> Found:
    n, m = part.run.config.shape[:2]
    works = (part.cases["phase_low"] == PUDDING) & (part.at_low("loss", part.seeds, STEADY) <= OUTER)
    yield "fewest", estimate(works, "sum") if m == n + 1 else None
    yield "narrow", estimate(works, "sum") if n + 1 < m < 2 * n else None
    yield "hidden", Estimate(m, m, m, 1, "the run's shape")


def convexity_modes(part: Setting) -> Found:
    counts = [np.array([modes for modes, _ in found]) for found in part.distributions()]
    for count, key in ((1, "one"), (2, "two")):
        yield key, estimate([(modes == count).any() for modes in counts], "sum")
    yield "share", estimate([(modes == 2).mean() for modes in counts])
    looked = sum(map(len, counts))
    yield "looked", Estimate(looked, looked, looked, 1, "snapshots and betas") if looked else None


def convexity_symmetric(part: Setting) -> Found:
    yield "lean", estimate([np.median([lean for _, lean in found]) for found in part.distributions()], "median")


def _counts(rows: pd.DataFrame, column: str, *kinds: pd.Series) -> np.ndarray:
    """Histogram of an order parameter of each kind of networks, by seed: seeds x kinds x bins."""
    values = np.log10(rows[column].clip(1.001 * 10 ** BINS[0], 0.999 * 10 ** BINS[-1]))
    seeds = [np.flatnonzero(rows["seed"] == seed) for seed in rows["seed"].unique()]
    masks = [kind.to_numpy() for kind in kinds]
    return np.array([[np.histogram(values.iloc[at[mask[at]]], BINS)[0] for mask in masks] for at in seeds])


def _valley(rows: pd.DataFrame, column: str, one: tuple[str, ...], other: tuple[str, ...]) -> Estimate | None:
    """Lowest density between the modes of two kinds of networks, over the lower density at these modes."""
    kinds = [rows["algorithm"].isin(names) for names in (one, other)]
    width = WIDTH / (BINS[1] - BINS[0])

    def ratio(counts: np.ndarray) -> float:
        first, second, every = gaussian_filter1d(counts, width, axis=-1)
        ends = sorted((int(first.argmax()), int(second.argmax())))
        return float(every[ends[0] : ends[1] + 1].min() / max(min(every[ends]), 1e-9))

    there = all(kind.any() for kind in kinds)
    return estimate(_counts(rows, column, *kinds, kinds[0] | True), ratio) if there else None


def clusters(part: Setting) -> Found:
    yield "strongest", _valley(part.last, "alpha_2", (CONVEXITY,), (PUDDING, DOUBLE_SIDED))
    strong = part.last[part.last["alpha_2"] >= THRESHOLDS.strongest]
    yield "double", _valley(strong, "alpha_1", (PUDDING,), (DOUBLE_SIDED,))


def classifiers_agree(part: Setting) -> Found:
    last = part.last.assign(phase=phase(part.last["alpha_1"], part.last["alpha_2"]))
    same = last["phase"].eq(last["algorithm"]).groupby(last["seed"]).mean()
    chance = sum(float((last["phase"] == name).mean() * (last["algorithm"] == name).mean()) for name in PHASES)
    yield "agree", estimate(same)
    # Cohen's kappa is linear in the agreement once the chance level is taken as known
    yield "kappa", estimate((same - chance) / (1 - chance)) if chance < 1 else None
    known = VALIDATED(NOISE, INPUT_SEED, count=5)
    named = known[known["truth"].isin(PHASES)]
    yield "parameters", estimate(named["order_parameters"] == named["truth"], of="network")
    yield "structure", estimate(known["structure"] == known["truth"], of="network")
    missed = known[known["truth"] == HEAVY]
    yield "missed", estimate(missed["order_parameters"] == PUDDING, of="network")


def weak_strongest(part: Setting) -> Found:
    """Area under the curve of alpha_2 for convexity against the other two, from histograms by seed."""

    def area(*names: str) -> Estimate | None:
        kinds = [part.last["algorithm"].isin(kind) for kind in (names, (PUDDING, DOUBLE_SIDED))]

        def measure(counts: np.ndarray) -> float:
            weak, other = counts
            pairs = weak.sum() * other.sum()
            return float((weak * (other.sum() - np.cumsum(other) + other / 2)).sum() / pairs) if pairs else np.nan

        return estimate(_counts(part.last, "alpha_2", *kinds), measure) if all(kind.any() for kind in kinds) else None

    yield "area", area(CONVEXITY)
    yield "heavy", area(CONVEXITY, HEAVY)


def _causal(part: Setting, seeds: list[int]) -> Found:
    table = pd.DataFrame([part.replaced(seed) for seed in seeds] if part.plain else [])

    def added(kind: str) -> Estimate | None:
        return estimate((table[kind] - table[NETWORK]).dropna(), "median") if kind in table else None

    yield "own", added(OWN)
    yield "other", estimate((table[OTHER] / table[OWN]).dropna(), "median") if OTHER in table else None
    yield "residual", added(SHUFFLED)
    yield "destroyed", added(DESTROYED)


def causal_pudding(part: Setting) -> Found:
    yield from _causal(part, part.lowest(PUDDING, paying=True))


def causal_double_sided(part: Setting) -> Found:
    yield from _causal(part, part.lowest(DOUBLE_SIDED, paying=True))


def causal_case_3d(part: Setting) -> Found:
    seeds = part.of(RANDOM) if part.plain else []
    losses = pd.DataFrame([part.losses(seed, strengths) for seed in seeds])
    for name in ("template", "strengths shuffled", "residual shuffled", "one strength"):
        yield name.replace(" ", "-"), estimate(losses[name] - losses["network"], "median") if len(losses) else None
