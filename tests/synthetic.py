"""Made-up sweeps, with the columns of `hyperlib.sweeps`, in which the developmental case of every seed is known."""

import numpy as np
import pandas as pd

from hyperbook.studies.development import CASE_NAMES
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING, phase
from hyperlib.algorithms.structure import FEATURES, HEAVY, label

STEPS = tuple(np.geomspace(80, 40000, 12).round().astype(int).tolist())
BETAS = tuple(np.geomspace(1e-12, 1, 30).tolist())

# Typical order parameters and losses of trained networks.
ALPHA = {CONVEXITY: (2.6, 1.0), HEAVY: (3.0, 3.2), PUDDING: (1.5, 3.2), DOUBLE_SIDED: (15.0, 4.0)}
LOSS = {CONVEXITY: 0.34, PUDDING: 0.03, DOUBLE_SIDED: 0.008}
RANDOM_LOSS = {CONVEXITY: 0.34, HEAVY: 0.31, PUDDING: 0.15, DOUBLE_SIDED: 0.12}
# Features of the first layer, in the order of `hyperlib.algorithms.structure.FEATURES`.
STRUCTURE = {
    CONVEXITY: (0.0, 0.0, 0.0, 0.0, 3.0),
    HEAVY: (0.3, 0.1, 0.5, 0.2, 12.0),
    PUDDING: (1 / 3, -1.0, 1.0, 0.0, 45.0),
    DOUBLE_SIDED: (2 / 3, 0.0, 1.0, 1.0, 25.0),
}


def develop(case: str, time: float, place: float) -> str:
    """Phase at ``time`` and ``place`` along beta, both from 0 to 1, of a seed of this case."""
    edge = 0.7 * min(1.0, 1.6 * (time - 0.25))  # the boundary rises, then settles
    if case == "pudding at low beta":
        return PUDDING if place < edge else CONVEXITY
    if case == "pudding at all beta":
        return PUDDING if time > 0.5 else CONVEXITY
    if case == "random pudding":
        return PUDDING if time > 0.8 else CONVEXITY
    if case == "random double-sided":
        return DOUBLE_SIDED if time > 0.8 else CONVEXITY
    if case == "random, heavy-tailed":
        return HEAVY if time > 0.8 else CONVEXITY
    if case == "double-sided at low beta":
        return DOUBLE_SIDED if place < edge else CONVEXITY
    if case == "pudding, then double-sided":
        return CONVEXITY if place > edge else DOUBLE_SIDED if place < edge - 0.3 else PUDDING
    if case == "other":  # collapsed, with pudding at a third of the betas
        return PUDDING if time > 0.6 and place < 0.34 else CONVEXITY
    return CONVEXITY


def make_sweep(cases=CASE_NAMES, steps=STEPS, betas=BETAS, noise=0.08) -> pd.DataFrame:
    """A sweep with one seed per entry of ``cases``, numbered from 0."""
    rows, g = [], np.random.default_rng(0)
    for seed, case in enumerate(cases):
        free = case.startswith("random") or case in ("convexity only", "other")
        level = g.normal()
        for t, step in enumerate(steps):
            for b, beta in enumerate(betas):
                time, place = (t / max(len(steps) - 1, 1), b / max(len(betas) - 1, 1))
                name = develop(case, time, place)
                alpha_1, alpha_2 = (a * np.exp(noise * (level + g.normal() / 2)) for a in ALPHA[name])
                kl = 1e-4 if free else max(7000 * (1 - place) ** 3 - 200, 1e-5) * (name != CONVEXITY) + 1e-5
                loss = (RANDOM_LOSS if free else LOSS)[name] * np.exp(3 * noise * (level + g.normal() / 3))
                worse = 1 + 0.02 * g.random() if free or name == CONVEXITY else 100.0
                alpha_3 = 1 + 0.1 * g.normal() if free or name == CONVEXITY else 0.02 + 0.3 * place
                numbers = (loss, loss * worse, kl, alpha_1, alpha_2, alpha_3, 1.0, *STRUCTURE[name])
                rows.append((seed, step, beta, *numbers))
    columns = ["loss", "loss_without_encoder", "kl", "alpha_1", "alpha_2", "alpha_3", "spread", *FEATURES]
    table = pd.DataFrame(rows, columns=["seed", "step", "beta", *columns])
    table["phase"] = phase(table["alpha_1"], table["alpha_2"])
    return table.assign(structure=label(table), generations=4, loss_se=0.01 * table["loss"])
