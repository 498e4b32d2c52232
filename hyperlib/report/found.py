"""What the notebooks found, in words that follow from the tables: the same code says that a claim fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown

from ..algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS
from ..development import COLLAPSED_KL, boundary
from ..runs import Run
from ..task import isotropic_floor
from .examples import AGREEMENT, FIGURE, INAPPLICABLE, Example, explained_by, is_l1
from .tables import algorithm_table
from .text import count, listing, note, number, percent, say

NEAR = 1.25  # factor within which a network is near a boundary


def one_of_each(run: Run) -> list[str]:
    """Sentences on which algorithms a run has at its last step, which is the most common, and how accurate each is."""
    facts = algorithm_table(run)
    present = [name for name in PHASES if facts.loc[name, "seeds"]]
    absent = [name for name in PHASES if name not in present]
    common = facts["share"].idxmax()
    other = facts.loc[[PUDDING, DOUBLE_SIDED], "share"]
    best = facts["loss"].idxmin()
    losses = listing([f"{number(facts.loc[name, 'loss'])} for {name}" for name in present])
    missing = f"; {listing(absent)} {'is' if len(absent) == 1 else 'are'} absent" if absent else ""
    sentences = [
        f"At the last step the run has {listing(present)}{missing}.",
        f"Over all seeds and values of $\\beta$, {common} is the most common algorithm "
        f"({percent(facts.loc[common, 'share'])} of the networks).",
        f"The lowest loss is {losses}: {best} is the most accurate.",
    ]
    if common == CONVEXITY and other.any():
        sentences[1] += f" Of those beyond convexity it is {other.idxmax()} ({percent(other.max() / other.sum())})."
    return sentences


def overall(run: Run, cases: pd.DataFrame) -> Markdown:
    """The headline result."""
    random = cases["case"].str.startswith("random")
    paid = cases[~cases["collapsed"]]
    memory = f"{count(len(paid), 'seed')} of {len(cases)} pay for information"
    if len(paid):
        memory += f", with a median of {number(paid['kl_low'].median())} nats at the lowest $\\beta$"
    drawn = (
        f"{count(int(random.sum()), 'seed')} draw the assignment of hidden neurons to inputs at random and pay nothing"
    )
    if random.any():
        drawn += f"; their networks reach a loss of {number(cases.loc[random, 'loss_low'].min())}"
    return say(*one_of_each(run), f"{memory}.", f"{drawn}.")


def in_training(run: Run) -> Markdown:
    """How low the loss gets, where, and what is paid for it."""
    low, high = (run.final[run.final["beta"] == beta] for beta in (run.betas[0], run.betas[-1]))
    below = None
    if is_l1(run):
        limit = isotropic_floor(run.config.shape[0])
        share = (low["loss"] < limit).mean()
        below = (
            f"{percent(share)} of the seeds end below {number(limit)} there, the level that no isotropic convexity "
            "network can pass."
        )
    return say(
        f"{count(len(run.seeds), 'seed')} finished, {count(len(run.failed), 'seed')} diverged.",
        f"At the lowest $\\beta$ the median loss over seeds is {number(low['loss'].median())}, from "
        f"{number(low['loss'].min())} to {number(low['loss'].max())}; at the highest it is "
        f"{number(high['loss'].median())}.",
        f"The median KL is {number(low['kl'].median())} nats at the lowest $\\beta$ and "
        f"{number(high['kl'].median())} at the highest.",
        below,
    )


def interpretation(run: Run, examples: Sequence[Example]) -> Markdown:
    """Which kinds of networks there are, and how far the constructions explain those that are shown."""
    absent = [kind for kind in FIGURE if kind not in {example.kind for example in examples}] if is_l1(run) else []
    said = [(example.kind, *explained_by(example)) for example in examples if example.construction is not None]
    shares = listing([f"{percent(share)} for {kind}" for kind, share, _ in said])
    differ = [f"{kind} (taken for {label})" for kind, _, label in said if not kind.endswith(label)]
    n = run.config.shape[0]
    return say(
        *one_of_each(run),
        f"Of the kinds of networks in Figure 1 of the paper, this run has no {listing(absent)}." if absent else None,
        f"The construction explains {shares} of the weights' variance in the networks shown." if said else None,
        f"The independent fit disagrees on {listing(differ)}." if differ else None,
        f"For {n} inputs the exact pudding network has {n + 1} hidden neurons and the double-sided one {2 * n}, at the "
        "same loss." if is_l1(run) else None,
    )  # fmt: skip


def order_space(run: Run, calibrated: pd.DataFrame, explained: pd.DataFrame) -> Markdown:
    """How clear the clusters are and how far the two classifiers can be trusted."""
    final = run.final
    strong = final["alpha_2"] >= THRESHOLDS.strongest
    near = np.abs(np.log(final["alpha_2"] / THRESHOLDS.strongest)) < np.log(NEAR)
    clipped = final["alpha_1"].clip(lower=1e-9)
    near |= strong & (np.abs(np.log(clipped / THRESHOLDS.double_sided)) < np.log(NEAR))
    right = {name: calibrated[name] == calibrated["truth"] for name in AGREEMENT}
    clean, noisy = (calibrated["noise"] == value for value in (calibrated["noise"].min(), calibrated["noise"].max()))
    words = {"order_parameters": "the order parameters", "explanation": "the fitted constructions"}
    accuracy = listing(
        [
            f"{percent(right[name][clean].mean())} of the clean networks and "
            f"{percent(right[name][noisy].mean())} of the noisiest for {text}"
            for name, text in words.items()
        ]
    )
    groups = {f"above {COLLAPSED_KL:g} nats": final["kl"] >= COLLAPSED_KL, "below": final["kl"] < COLLAPSED_KL}
    medians = [
        f"{number(final.loc[rows, 'alpha_3'].median())} where the KL is {where}"
        for where, rows in groups.items()
        if rows.any()
    ]
    agreed = none = None
    if len(explained):
        same = (explained["order_parameters"] == explained["explanation"]).mean()
        answered = explained[explained["explanation"] != "none"]
        none = f"The fits answer *none* for {percent((explained['explanation'] == 'none').mean())} of them."
        agreed = f"On {number(len(explained))} generated networks the two classifiers agree in {percent(same)}"
        if len(answered):
            same = (answered["order_parameters"] == answered["explanation"]).mean()
            agreed += f", and in {percent(same)} of those for which the fits have an answer"
        agreed += "."
    return say(
        f"{percent(near.mean())} of the networks lie within a factor of {NEAR} of a boundary, "
        f"{percent(1 - near.mean())} do not.",
        f"On constructed networks the answer is right for {accuracy}.",
        agreed,
        none,
        f"The median of $\\alpha_3$ is {listing(medians)}.",
    )


def development(run: Run, cases: pd.DataFrame, moves: pd.DataFrame) -> Markdown:
    """Order of the algorithms, ways back, high beta, and the boundary between convexity and the rest."""
    forward = {(a, b): int(moves.loc[a, b]) for k, a in enumerate(PHASES) for b in PHASES[k + 1 :]}
    back = {(b, a): int(moves.loc[b, a]) for k, a in enumerate(PHASES) for b in PHASES[k + 1 :]}
    top = (cases["phase_high"] == CONVEXITY).mean()
    ahead, behind = sum(forward.values()), sum(back.values())
    ways = listing([f"{number(n)} from {a} to {b}" for (a, b), n in forward.items() if n])
    returns = listing([f"{number(n)} from {a} to {b}" for (a, b), n in back.items() if n])
    return say(
        f"Convexity comes first at every $\\beta$ in {percent(cases['convexity_first'].mean())} of the seeds.",
        f"Of {number(ahead + behind)} lasting changes, {number(ahead)} go forward: {ways}." if ahead else
        "No network changes its algorithm for good.",
        f"{number(behind)} go back: {returns}." if behind else "None goes back." if ahead else None,
        f"At the highest $\\beta$, {percent(top)} of the seeds end as convexity.",
        boundary_sentence(run, cases),
        f"{count(int((cases['case'] == 'random pudding').sum()), 'seed')} of {len(cases)} "
        "develop as in case 3d of the paper.",
    )  # fmt: skip


def boundary_sentence(run: Run, cases: pd.DataFrame) -> str:
    """Whether the boundary in beta rises and then settles, over the seeds that memorise."""
    rises, late = [], []
    for seed in cases.loc[~cases["collapsed"], "seed"]:
        line = np.log10(boundary(run.sweep, seed).dropna())
        half = line[line.index >= run.config.steps / 2]
        if len(half) > 1:
            rises.append(line.iloc[-1] - line.iloc[0])
            late.append(half.iloc[-1] - half.iloc[0])
    if not rises:
        return "No seed has a boundary in $\\beta$ that could be followed."
    return (
        f"The boundary moves by a median of {number(float(np.median(rises)))} decades of $\\beta$ from where it first "
        f"appears to the end, of which {number(float(np.median(late)))} in the second half of the training "
        f"({count(len(rises), 'seed')})."
    )


def without_encoder(cases: pd.DataFrame) -> Markdown:
    """KL, loss with and without encoder and seed dependence of the seeds that memorise and of those that do not."""
    random = cases[cases["case"].str.startswith("random")]
    groups = {
        "memorise": cases[~cases["collapsed"]],
        "draw their assignment at random": random,
        "are convexity without KL": cases[cases["collapsed"] & (cases["case"] == "convexity only")],
    }
    sentences = []
    for words, group in groups.items():
        if group.empty:
            sentences.append(f"Seeds that {words}: none.")
            continue
        low = group[["kl_low", "loss_low", "loss_without_encoder_low", "alpha_3_low"]].median()
        factor = (group["loss_without_encoder_low"] / group["loss_low"]).median()
        kl, loss, bare, alpha_3 = (number(value) for value in low)
        sentences.append(
            f"Seeds that {words}: {len(group)}. At the lowest $\\beta$ their medians are: KL {kl} nats, loss {loss} "
            f"with the encoder and {bare} without it, a factor of {number(factor)}; $\\alpha_3$ {alpha_3}."
        )
    return say(*sentences)


def other_sizes(
    run: Run, one: pd.DataFrame, every: pd.DataFrame, contrast: pd.DataFrame, level: float = 0.15
) -> Markdown:
    """Where networks of other sizes work: for one seed of case 3d, the mean over such seeds, and a memorising seed.

    Args:
        run: the run.
        one, every, contrast: tables of `hyperlib.report.examples.size_tables`; empty where the run has no such seed.
        level: loss below which a network works, the paper's outer contour.
    """
    n, m = run.config.shape[:2]
    sentences = [
        None if len(one) else "No seed of this run develops as in case 3d, so the claim cannot be judged on it."
    ]
    for name, table in (("case 3d", one), ("mean over case 3d", every), ("memorising", contrast)):
        if table.empty:
            continue
        seeds = sorted(table["seed"].unique().tolist())
        mean = table.groupby(["n_0", "n_1"], as_index=False)[["loss", "loss_rescaled"]].mean()
        works = mean[mean["loss_rescaled"] < level]
        words = f"{name}, {f'seed {seeds[0]}' if len(seeds) == 1 else count(len(seeds), 'seed')}: "
        at = mean[(mean["n_0"] == n) & (mean["n_1"] == m)]
        if len(at):
            raw, rescaled = at[["loss", "loss_rescaled"]].iloc[0]
            words += f"at {(n, m)} the loss is {number(raw)}, rescaled {number(rescaled)}; "
        words += (
            f"of {len(mean)} sizes, {len(works)} have a rescaled loss below {level} "
            f"({int((mean['loss'] < level).sum())} a raw one)"
        )
        larger = works[(works["n_0"] >= n) & (works["n_1"] >= m) & ((works["n_0"] > n) | (works["n_1"] > m))]
        if len(larger):
            words += f", the largest {listing([str((int(a), int(b))) for a, b in frontier(larger)])}"
        sentences.append(words + ".")
    return say(*sentences)


def frontier(sizes: pd.DataFrame) -> list[tuple[int, int]]:
    """The sizes (n_0, n_1) that no other one exceeds in both directions."""
    pairs = sorted(zip(sizes["n_0"], sizes["n_1"], strict=True))
    return [p for p in pairs if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in pairs)]


def adam(table: pd.DataFrame, causal: pd.DataFrame, trained: Sequence[str]) -> Markdown:
    """Whether Adam's networks are better and harder to read.

    Args:
        table: of `hyperlib.report.readability`.
        causal: of `hyperlib.report.causal_table`.
        trained: names of Adam's networks in both; the other names are generated networks.
    """
    if table.empty:
        return note(INAPPLICABLE)
    direct, generated = table[table["network"].isin(trained)], table[~table["network"].isin(trained)]
    sentences = []
    if len(generated):
        lower = direct["loss"].min() < generated["loss"].min()
        sentences += [
            f"Adam's best network has a loss of {number(direct['loss'].min())}, the best generated one of "
            f"{number(generated['loss'].min())}: Adam's is {'lower' if lower else 'not lower'}.",
            f"The best-fitting construction explains {percent(direct['explained'].max())} of the weights' variance in "
            f"Adam's network at most, and {percent(generated['explained'].min())} to "
            f"{percent(generated['explained'].max())} in the generated ones.",
        ]
    sentences.append(
        f"In Adam's networks {percent(direct['assigned'].mean())} of the hidden neurons are assigned to one input, "
        f"{number(direct['per_input'].mean())} per input; {percent(direct['both_signs'].mean())} of the inputs have "
        f"some of either sign. They make {percent(direct['kink_own'].mean())} of the kinks, and the other neurons "
        f"remove {percent(direct['correction'].mean())} of the average slopes that they make."
    )
    for name in causal:
        column = causal[name].dropna()
        if "own construction" in column:
            sentences.append(
                f"Replacing {name} by its own fitted construction takes the loss from "
                f"{number(column['network itself'])} to {number(column['own construction'])}, by the best of the "
                f"others to {number(column.get('other construction', float('nan')))}, and shuffling its weights to "
                f"{number(column['weights shuffled'])}."
            )
    return say(*sentences)
