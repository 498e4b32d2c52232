"""Claims of sections 2.4 and 2.5: sizes that were never trained on, and the baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from hyperlib.generalization import CONVENTIONS, SIMILAR

from .algorithms import SHAPE
from .claim import Check, Claim, Criterion, Estimate, estimate, shown_in
from .evidence import ACCURATE, MEMORISED, NO_MEMORISED, NO_MODELS, NO_RANDOM, RANDOM, Evidence, Trained

MANY = 0.25  # share of the other sizes that are many
FEW_LAYERS = "the run's networks have no hidden layer"
MIDDLE = (0.25, 0.75)  # share of a neuron's squared weights on one input that is neither "single" nor "all"
NO_BASELINE = "there is no baseline beside the run"


@shown_in("06_generalization")
def other_sizes(e: Evidence) -> Claim:
    """Section 2.4: a hypernetwork generates working networks for other sizes, towards larger ones."""
    part = e.main
    n, m = part.run.config.shape[:2]
    deep = len(part.run.config.shape) > 2
    random = part.with_model(part.of(RANDOM)) if deep else []
    absent = FEW_LAYERS if not deep else NO_MODELS if part.of(RANDOM) else NO_RANDOM

    def ratios(seed: int, name: str, part: Trained = part) -> pd.DataFrame:
        table = part.sizes(seed)
        trained = table.loc[(table["n_0"] == n) & (table["n_1"] == m), name].item()
        others = table[(table["n_0"] != n) | (table["n_1"] != m)]
        return others.assign(ratio=others[name] / trained)

    def each(seeds: list[int], name: str, measure: Callable[[pd.DataFrame], float], statistic: str) -> Estimate | None:
        return estimate([float(measure(ratios(seed, name))) for seed in seeds], statistic)

    def similar(table: pd.DataFrame) -> float:
        return (table["ratio"] <= SIMILAR).mean()

    def larger(table: pd.DataFrame) -> float:
        return table.loc[(table["n_0"] > n) & (table["n_1"] > m), "ratio"].min()

    checks = []
    for name, said in CONVENTIONS.items():
        judged = name != "loss_mean"
        checks += [
            Check(
                f"case 3d: other sizes with at most {SIMILAR} times the loss of the trained size, {said}",
                "share",
                each(random, name, similar, "mean"),
                Criterion("at least", MANY) if judged else None,
                absent,
                "many",
            ),
            Check(
                f"case 3d: smallest loss at a size larger in both dimensions over that at the trained size, {said}",
                "",
                each(random, name, larger, "median"),
                Criterion("at most", SIMILAR) if judged else None,
                absent,
                "similar to the original",
            ),
        ]
    if e.longer is not None and deep:
        last = next(reversed(CONVENTIONS))
        later = [ratios(seed, last, e.longer) for seed in e.longer.with_model(e.longer.seeds)]
        measured = {"share": estimate([similar(table) for table in later])}
        measured[""] = estimate([float(larger(table)) for table in later], "median")
        checks += [
            Check(f"after as many steps again: {old.quantity.removeprefix('case 3d: ')}", old.unit, measured[old.unit])
            for old in checks[-2:]
            if measured[old.unit]
        ]
    several = None
    if e.sizes is not None:
        tables = [e.sizes.sizes(seed) for seed in e.sizes.with_model(e.sizes.of(RANDOM))]
        double = [table[(table["n_0"] == 2 * n) & (table["n_1"] == 2 * m)]["loss"] for table in tables]
        several = estimate([float(loss.iloc[0]) for loss in double if len(loss)], "median")
    return Claim(
        "other-sizes",
        "2.4, figure 5",
        "Networks of other sizes",
        f"A hypernetwork of case 3d that was trained at ({n}, {m}) generates networks of many other sizes that perform "
        "similarly, and the region of low loss extends towards more inputs and more hidden neurons.",
        "many of these L1 networks perform similarly to the original (16, 48, 1) network. We find that there is a "
        "region of low loss which extends in the direction of increasing input dimension and hidden dimension",
        (
            *checks,
            Check(
                f"trained on several sizes: loss at ({2 * n}, {2 * m}), as generated",
                "",
                several,
                None,
                "there is no run that was trained on several sizes, with seeds of case 3d",
            ),
        ),
        "06_generalization",
        "fig-sizes",
        note="All seeds of case 3d, at the lowest beta, encoder off; sizes from half to three times the trained one. "
        "The paper does not say whether an output is shifted and scaled when the size changes. It matters: the output "
        "bias is an average over edges and cannot follow the number of inputs, whose mean the target subtracts.",
    )


@shown_in("06_generalization")
def memorised_sizes(e: Evidence) -> Claim:
    """Section 2.4: only a hypernetwork that draws its assignment can generate networks of other sizes."""
    part = e.main
    n, m = part.run.config.shape[:2]
    deep = len(part.run.config.shape) > 2
    seeds = part.with_model(part.of(MEMORISED)) if deep else []
    tables = [part.sizes(seed) for seed in seeds]
    best = [float(table.loc[(table["n_0"] > n) & (table["n_1"] > m), "loss_rescaled"].min()) for table in tables]
    others = [table[(table["n_0"] != n) | (table["n_1"] != m)] for table in tables]
    some = [float((table["loss_rescaled"] <= ACCURATE).mean()) for table in others]
    return Claim(
        "memorised-sizes",
        "2.4",
        "Memorised assignments do not reach other sizes",
        "A hypernetwork that memorised its assignment for the trained size generates no working networks of larger "
        "sizes.",
        "A key feature of the assignment generation hypothesis is that it implies hypernetworks in case (3d) can "
        "generate L1 networks of different layer sizes, because all the configurations of weights are automatically "
        "randomly generated instead of being memorized specifically for the (16, 48, 1) layer size structure.",
        (
            Check(
                "memorised: smallest loss at a size larger in both dimensions, after the best shift and scale",
                "",
                estimate(best, "median"),
                Criterion("at least", ACCURATE),
                FEW_LAYERS if not deep else NO_MODELS if part.of(MEMORISED) else NO_MEMORISED,
                "does not work",
            ),
            Check(
                f"memorised: other sizes with a loss of at most {ACCURATE}, after the best shift and scale",
                "share",
                estimate(some),
                None,
                FEW_LAYERS if not deep else NO_MODELS if part.of(MEMORISED) else NO_MEMORISED,
            ),
        ),
        "06_generalization",
        "fig-sizes",
        note="At the lowest beta, encoder off: the learned vectors belong to the trained size.",
    )


@shown_in("07_adam_baseline")
def adam_is_lower(e: Evidence) -> Claim:
    """Section 2.5: Adam reaches a lower loss."""
    found = all_found = cost = None
    if e.baseline is not None:
        x, y = e.main.inputs()
        adam = np.log10(e.baseline.networks.loss(x, y).double().numpy())
        best = np.log10(e.main.last.groupby("seed")["loss"].min())
        found = estimate(best, minus=adam, minus_of="network")
        all_found = estimate(best.min() - adam, of="network")
        cost = estimate([e.baseline.settings["cpu_s"] / len(adam)], of="training")
    steps = "" if e.baseline is None else f"{e.baseline.settings['steps']:,} steps"
    batch = "" if e.baseline is None else f", batches of {e.baseline.settings['batch']}"
    return Claim(
        "adam-is-lower",
        "2.5",
        "Adam reaches a lower loss",
        "Trained directly with Adam, for as many steps, the same network is more accurate than those that "
        "hypernetworks generate.",
        "The resulting network has a lower loss than the networks generated via hypernetwork",
        (
            Check(
                "lowest loss over beta of a seed, over the loss of Adam's network",
                "decades",
                found,
                Criterion("more than", 0.0),
                NO_BASELINE,
                "more than 0",
            ),
            Check(
                "lowest loss of any generated network, over the loss of Adam's network",
                "decades",
                all_found,
                Criterion("more than", 0.0),
                NO_BASELINE,
                "more than 0",
            ),
            Check("Adam: time of one core per network", "s", cost, None, NO_BASELINE),
        ),
        "07_adam_baseline",
        "Training directly",
        note=f"Adam: {steps}{batch}. Hypernetworks: {e.main.run.config.steps:,} steps, batches of "
        f"{e.main.run.config.batch}.",
    )


@shown_in("07_adam_baseline")
def adam_is_harder(e: Evidence) -> Claim:
    """Section 2.5: Adam's network is harder to interpret."""
    lead = adam = generated = None
    absent = NO_BASELINE if e.baseline is None else SHAPE
    if e.main.explainable and e.baseline is not None:
        generated = [_explained(e.main.labels(seed)) for seed in e.main.seeds]
        adam = e.adam_labels().apply(_explained, axis=1).tolist()
        lead = estimate(generated, minus=adam, minus_of="network")
    return Claim(
        "adam-is-harder",
        "2.5",
        "Adam's network is harder to interpret",
        "Harder means here that the construction which fits best explains less of what the weights do.",
        "but it is much more difficult to interpret",
        (
            Check(
                "share of the weights' variance explained, generated at the lowest beta less Adam's",
                "points",
                lead,
                Criterion("at least", 0.1),
                absent,
                "much more difficult",
            ),
            Check("explained of generated networks", "share", estimate(generated or []), None, absent),
            Check("explained of Adam's networks", "share", estimate(adam or [], of="network"), None, absent),
        ),
        "07_adam_baseline",
        "Harder to read, in numbers",
    )


def _explained(row: pd.Series) -> float:
    return float(row.filter(like="share_").max())


@shown_in("07_adam_baseline")
def adam_kinks(e: Evidence) -> Claim:
    """Section 2.5, the paper's hypothesis about Adam's network."""
    found = e.adam_kinks() if e.main.explainable else []
    absent = NO_BASELINE if e.baseline is None else SHAPE
    middle = [float(kink.neurons.loc[kink.neurons["share"].between(*MIDDLE), "strength"].sum()) for kink in found]
    return Claim(
        "adam-kinks",
        "2.5",
        "How Adam's network works: the paper's hypothesis",
        "Some hidden neurons belong to a single input each and make its kink; the others are attached to all inputs "
        "and correct the average slope.",
        "hidden neurons are split into two groups: some that are assigned to a single input neuron, and the leftover "
        "hidden neurons that are attached to all input neurons. [...] uses any of its assigned hidden neuron(s) to "
        "create a kink [...] and the leftover hidden neurons are used to correct the average slope",
        (
            Check(
                "kink of |x_i| that the neurons assigned to input i make",
                "share",
                estimate([float(kink.inputs["kink_own"].mean()) for kink in found], of="network"),
                Criterion("at least", 0.8),
                absent,
                "all",
            ),
            Check(
                "average slope left by those neurons that the others remove",
                "share",
                estimate([kink.correction for kink in found if np.isfinite(kink.correction)], of="network"),
                Criterion("at least", 0.8),
                absent if not found else "no neuron is assigned to an input",
                "all",
            ),
            Check(
                "effective weight of neurons of neither group (a quarter to three quarters on one input)",
                "share",
                estimate(middle, of="network"),
                Criterion("at most", 0.2),
                absent,
                "0, two groups",
            ),
            Check(
                "neurons assigned to an input",
                "",
                estimate([float(k.inputs[["positive", "negative"]].sum(axis=1).mean()) for k in found], of="network"),
                None,
                absent,
                "e.g. 5",
            ),
        ),
        "07_adam_baseline",
        "Harder to read, in numbers",
    )


CLAIMS = (other_sizes, memorised_sizes, adam_is_lower, adam_is_harder, adam_kinks)
