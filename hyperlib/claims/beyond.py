"""Claims of sections 2.4 and 2.5: sizes that were never trained on, and the baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from .algorithms import SHAPE
from .claim import Check, Claim, Criterion, estimate
from .evidence import ADAM_SEEDS, ADAM_STEPS, NO_MEMORISED, NO_RANDOM, SIZE_SEEDS, Evidence

CONTOUR = 0.15  # the outer contour of the paper's figure 5
FEW_LAYERS = "the run's networks have no hidden layer"
MIDDLE = (0.25, 0.75)  # share of a neuron's squared weights on one input that is neither "single" nor "all"


def other_sizes(e: Evidence) -> Claim:
    """Section 2.4: a hypernetwork generates working networks for other sizes, towards larger ones."""
    n, m = e.run.config.shape[:2]
    table = e.sizes if len(e.run.config.shape) > 2 else pd.DataFrame(columns=["seed", "case"])
    absent = {"random": NO_RANDOM, "memorised": NO_MEMORISED}
    if len(e.run.config.shape) < 3:
        absent = dict.fromkeys(absent, FEW_LAYERS)

    def per_seed(case: str, measure: Callable[[pd.DataFrame], float]) -> list[float]:
        return [float(measure(rows)) for _, rows in table[table["case"] == case].groupby("seed")]

    def larger(column: str) -> Callable[[pd.DataFrame], float]:
        return lambda rows: rows[(rows["n_0"] > n) & (rows["n_1"] > m)][column].min()

    def reach(rows: pd.DataFrame) -> float:
        return rows.loc[rows["loss_rescaled"] <= CONTOUR, "n_0"].max() / n if _any_low(rows) else 0.0

    return Claim(
        "other-sizes",
        "2.4",
        "Networks of other sizes",
        f"A hypernetwork of case 3d that was trained at ({n}, {m}) generates networks of other sizes that work, "
        "and the region of low loss extends towards more inputs and more hidden neurons.",
        (
            Check(
                "case 3d: smallest loss at a size larger in both dimensions, after the best shift and scale",
                "",
                estimate(per_seed("random", larger("loss_rescaled"))),
                Criterion("at most", CONTOUR),
                absent["random"],
            ),
            Check(
                "case 3d: the same as generated, without shift and scale",
                "",
                estimate(per_seed("random", larger("loss"))),
                Criterion("at most", CONTOUR),
                absent["random"],
            ),
            Check(
                f"case 3d: largest number of inputs with a loss of at most {CONTOUR} after shift and scale, "
                "over the trained number",
                "",
                estimate(per_seed("random", reach)),
                Criterion("at least", 1.25),
                absent["random"],
            ),
            Check(
                "memorised: smallest loss at a size larger in both dimensions, after the best shift and scale",
                "",
                estimate(per_seed("memorised", larger("loss_rescaled"))),
                Criterion("at least", CONTOUR),
                absent["memorised"],
            ),
        ),
        "06_generalization",
        "fig-sizes",
        note=f"The first {SIZE_SEEDS} seeds of each kind, at the lowest beta, encoder off; sizes from half to three "
        "times the trained one. The output bias cannot follow the number of hidden neurons, so that the loss as "
        "generated is large where the algorithm is right: both are given.",
    )


def _any_low(rows: pd.DataFrame) -> bool:
    return bool((rows["loss_rescaled"] <= CONTOUR).any())


def adam_is_lower(e: Evidence) -> Claim:
    """Section 2.5: Adam reaches a lower loss."""
    x, y = e.inputs()
    adam = np.log10(e.adam.loss(x, y).numpy())
    best = np.log10(e.last.groupby("seed")["loss"].min())
    return Claim(
        "adam-is-lower",
        "2.5",
        "Adam reaches a lower loss",
        "Trained directly with Adam, the same network is more accurate than those that hypernetworks generate.",
        (
            Check(
                "lowest loss over beta of a seed, over the loss of Adam's network",
                "decades",
                estimate(best, minus=adam, minus_of="network"),
                Criterion("more than", 0.0),
            ),
            Check(
                "lowest loss of any generated network, over the loss of Adam's network",
                "decades",
                estimate(best.min() - adam, of="network"),
                Criterion("more than", 0.0),
            ),
        ),
        "07_adam_baseline",
        "Training directly",
        note=f"{len(ADAM_SEEDS)} networks of {ADAM_STEPS} steps.",
    )


def adam_is_harder(e: Evidence) -> Claim:
    """Section 2.5: Adam's network is harder to interpret."""
    lead = adam = generated = None
    if e.explainable:
        rows = e.labels[e.labels["beta"] == e.run.betas[0]]
        generated, adam = ([*_explained(table)] for table in (rows, e.adam_labels))
        lead = estimate(generated, minus=adam, minus_of="network")
    return Claim(
        "adam-is-harder",
        "2.5",
        "Adam's network is harder to interpret",
        "Harder means here that the construction which fits best explains less of what the weights do.",
        (
            Check(
                "share of the weights' variance explained, generated at the lowest beta less Adam's",
                "points",
                lead,
                Criterion("at least", 0.1),
                SHAPE,
            ),
            Check("explained of generated networks", "share", estimate(generated or []), None, SHAPE),
            Check("explained of Adam's networks", "share", estimate(adam or [], of="network"), None, SHAPE),
        ),
        "07_adam_baseline",
        "Harder to read, in numbers",
    )


def _explained(table: pd.DataFrame) -> list[float]:
    return table.filter(like="share_").max(axis=1).tolist()


def adam_kinks(e: Evidence) -> Claim:
    """Section 2.5, the paper's hypothesis about Adam's network."""
    found = e.kinks if e.explainable else []
    middle = [float(kink.neurons.loc[kink.neurons["share"].between(*MIDDLE), "strength"].sum()) for kink in found]
    return Claim(
        "adam-kinks",
        "2.5",
        "How Adam's network works: the paper's hypothesis",
        "Some hidden neurons belong to a single input each and make its kink; the others are attached to all inputs "
        "and correct the average slope.",
        (
            Check(
                "kink of |x_i| that the neurons assigned to input i make",
                "share",
                estimate([float(kink.inputs["kink_own"].mean()) for kink in found], of="network"),
                Criterion("at least", 0.8),
                SHAPE,
            ),
            Check(
                "average slope left by those neurons that the others remove",
                "share",
                estimate([kink.correction for kink in found if np.isfinite(kink.correction)], of="network"),
                Criterion("at least", 0.8),
                SHAPE if not e.explainable else "no neuron is assigned to an input",
            ),
            Check(
                "effective weight of neurons of neither group (a quarter to three quarters on one input)",
                "share",
                estimate(middle, of="network"),
                Criterion("at most", 0.2),
                SHAPE,
            ),
            Check(
                "neurons assigned to an input",
                "",
                estimate([float(k.inputs[["positive", "negative"]].sum(axis=1).mean()) for k in found], of="network"),
                None,
                SHAPE,
            ),
        ),
        "07_adam_baseline",
        "Harder to read, in numbers",
    )


CLAIMS = (other_sizes, adam_is_lower, adam_is_harder, adam_kinks)
