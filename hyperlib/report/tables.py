"""Tables of the notebooks: what a run is, which networks it has, what they measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown

from ..algorithms import construct
from ..algorithms.calibration import confusion
from ..algorithms.explain import explain
from ..algorithms.interventions import replacements
from ..algorithms.order_parameters import (
    PHASES,
    classify,
    double_sidedness,
    strongest_connection,
)
from ..baseline import kink_analysis
from ..development import CASES, LABELS, boundary
from ..network import Network
from ..runs import Run
from ..task import L1, isotropic_floor
from .examples import AGREEMENT, INAPPLICABLE, Example, explained_by, is_l1
from .text import note, number, percent, table

SAMPLES = 8192  # inputs on which losses are measured
READABILITY = {
    "network": "network",
    "loss": "loss",
    "explained": "explained",
    "best": "best fit",
    "assigned": "assigned",
    "per_input": "per input",
    "both_signs": "both signs",
    "kink_own": "own kinks",
    "correction": "corrected",
}  # columns of `readability` and their headings


def case_counts(cases: pd.DataFrame) -> Markdown:
    """How many seeds develop in each way, absent ones included, and what each way is."""
    counts = cases["case"].value_counts()
    rows = [(one.panel, one.name, int(counts.get(one.name, 0)), one.description) for one in CASES]
    return table(pd.DataFrame(rows, columns=["Figure 3", "case", "seeds", "what happens"]))


def example_table(found: Sequence[Example]) -> Markdown:
    """Where the examples are from, and how far their constructions explain their weights."""
    rows = [(e.kind, str(e.seed), number(e.beta), e.loss, e.kl, *explained_by(e)) for e in found]
    return table(pd.DataFrame(rows, columns=["algorithm", "seed", r"$\beta$", "loss", "KL", "explained", "best fit"]))


def construction_check(make: Callable[..., Network], exact: bool = True, **arguments: Any) -> Markdown:
    """How a construction approaches the L1 norm as swish approaches ReLU (equations 1 to 3).

    Args:
        make: a function of `hyperlib.algorithms.construct` that takes a sharpness s, as in swish(s x) / s.
        exact: whether to compare with the closed form, `hyperlib.algorithms.construct.swish_loss`.
        arguments: further arguments of ``make``.
    """
    rows = []
    for s in (5.0, 20.0, 80.0):
        net = make(sharpness=s, **arguments).map(lambda tensor: tensor.double())
        x, y = L1.sample(65536, net.shape[0], torch.Generator().manual_seed(0), dtype=torch.float64)
        row = {"sharpness": int(s), "hidden neurons": net.shape[1], "loss": float(net.loss(x, y))}
        rows.append(row | ({"expected": construct.swish_loss(s)} if exact else {}))
    return table(pd.DataFrame(rows))


def convexity_check(n: int, widths: Sequence[int] = (48, 192, 768, 3072)) -> Markdown:
    """Loss of random convexity networks against their width, beside the level that no isotropic one can pass."""
    rows = []
    for hidden in widths:
        nets = [
            construct.convexity(n, hidden, generator=seed, bimodal=two) for two in (False, True) for seed in range(5)
        ]
        x, y = L1.sample(8192, n, torch.Generator().manual_seed(100))
        losses = np.array([float(net.loss(x, y)) for net in nets])
        rows.append((hidden, losses[:5].mean(), losses[5:].mean(), isotropic_floor(n)))
    return table(pd.DataFrame(rows, columns=["hidden neurons", "one mode", "two modes", "isotropic limit"]))


def constructed_order_parameters(n: int = 16) -> Markdown:
    """alpha_1, alpha_2 and phase of the table of cases with n inputs."""
    rows = []
    for case in construct.cases((n,)):
        net = case.build()
        W = net.weights[0]
        rows.append((case.name, float(double_sidedness(W)), float(strongest_connection(W)), case.phase, classify(net)))
    columns = ["network", r"$\alpha_1$", r"$\alpha_2$", "truth", "classified as"]
    return table(pd.DataFrame(rows, columns=columns))


def agreement(explained: pd.DataFrame) -> Markdown:
    """Counts of generated networks: named by order parameters (rows), by fitted constructions (columns)."""
    if explained.empty:
        return note(INAPPLICABLE)
    counts = confusion(explained, *AGREEMENT).loc[list(PHASES)]
    return table(counts.rename_axis("order parameters"), index=True)


def case_medians(cases: pd.DataFrame) -> Markdown:
    """Medians over the seeds of each case at the lowest beta: KL, loss with and without encoder, alpha_3."""
    columns = {
        "kl_low": "KL",
        "loss_low": "loss",
        "loss_without_encoder_low": "loss without encoder",
        "alpha_3_low": r"$\alpha_3$",
    }
    order = [one.name for one in CASES if (cases["case"] == one.name).any()]
    groups = cases.groupby("case")
    medians = groups[list(columns)].median().loc[order]
    medians.insert(0, "seeds", groups.size().loc[order])
    return table(medians.reset_index(), {"case": "case", "seeds": "seeds", **columns})


def boundaries(run: Run, cases: pd.DataFrame) -> Markdown:
    """The boundary in beta of the seeds that pay for information: where it first appears, half-way, and at the end."""
    rows = []
    for seed, case in cases.loc[~cases["collapsed"], ["seed", "case"]].itertuples(index=False):
        line = boundary(run.sweep, seed)
        known = line.dropna()
        if len(known):
            half = line[line.index <= run.config.steps / 2]
            ends = (known.iloc[0], half.iloc[-1] if len(half) else np.nan, line.iloc[-1])
            rows.append((str(seed), LABELS[case], int(known.index[0]), *(number(beta) for beta in ends)))
    columns = ["seed", "case", "step when it appears", r"$\beta$ then", "half-way", "at the end"]
    return table(pd.DataFrame(rows, columns=columns)) if rows else note("No seed of this run has a boundary.")


def same_assignment(run: Run, cases: pd.DataFrame) -> Markdown:
    """Share of hidden neurons whose strongest input stays the same under another generation seed, at the lowest beta.

    Medians over the seeds of a case, beside the share that chance gives.
    """
    shares = {}
    for seed in cases["seed"]:
        nets = run.model(seed).generate(run.betas[0], count=2)
        first, second = nets.weights[0].abs().argmax(-2)
        shares[seed] = float((first == second).double().mean())
    medians = cases.assign(share=cases["seed"].map(shares)).groupby("case")["share"].agg(["size", "median"])
    order = [one.name for one in CASES if one.name in medians.index]
    rows = [(case, int(medians.loc[case, "size"]), percent(medians.loc[case, "median"])) for case in order]
    chance = percent(1 / run.config.shape[0])
    return table(pd.DataFrame(rows, columns=["case", "seeds", f"same strongest input (chance: {chance})"]))


def readability(run: Run, named: Sequence[tuple[str, Network]]) -> pd.DataFrame:
    """How readable networks are, next to how good: loss, explained share, and the kinks of section 2.5.

    Args:
        run: the run that the networks belong to or are compared with.
        named: names and networks, none of them with batch axes.

    Returns:
        Empty if the constructions do not apply to the run. Otherwise one row per network: ``network``; ``loss``
        (normalised MSE); ``explained`` and ``best`` fit; ``assigned``, the share of hidden neurons with one dominant
        input; ``per_input``, how many of them an input has on average; ``both_signs``, the share of inputs that have
        some of either sign; ``kink_own``, the mean share of a kink that the input's own neurons make; ``correction``,
        the share of their average slopes that the others remove.
    """
    rows = []
    for name, net in named if is_l1(run) else []:
        x, y = L1.sample(SAMPLES, net.shape[0], torch.Generator().manual_seed(1))
        fits, kinks = explain(net), kink_analysis(net)
        inputs = kinks.inputs
        rows.append(
            {
                "network": name,
                "loss": float(net.loss(x, y)),
                "explained": max(fits.scores.values()),
                "best": fits.label,
                "assigned": kinks.neurons["assigned"].mean(),
                "per_input": (inputs["positive"] + inputs["negative"]).mean(),
                "both_signs": ((inputs["positive"] > 0) & (inputs["negative"] > 0)).mean(),
                "kink_own": inputs["kink_own"].mean(),
                "correction": kinks.correction,
            }
        )
    return pd.DataFrame(rows)


def causal_table(run: Run, named: Sequence[tuple[str, Network]]) -> pd.DataFrame:
    """Loss of networks and of their replacements (`replacements`): one row per replacement, one column per network.

    Of the other algorithms' constructions it is the best one that stands in the table. The table is empty if the
    constructions do not apply to the run.
    """
    columns = {}
    for name, net in named if is_l1(run) else []:
        x, y = L1.sample(SAMPLES, net.shape[0], torch.Generator().manual_seed(1))
        found = replacements(net, x, y)
        columns[name] = found.groupby("replacement", sort=False)["loss"].min()
    return pd.DataFrame(columns).rename_axis("replaced by")
