"""What a human would guess for several tasks, and how the runs compare with it."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from ..algorithms.neurons import reading_shares
from ..development import COLLAPSED_KL
from .tasks import Runs
from .text import count, listing, number, percent, say, table

FUNCTION_OF, MOSTLY, ALL = 0.9, 0.5, 0.99  # shares of an output's variance, of the first layer's strength
WITHIN = {"sum": ["affine"], "entries": ["affine"], "sum and length": ["sum", "length"]}  # parts that hold others
GUESSES: dict[
    str, list[tuple[str, str | None, str]]
] = {  # run -> (algorithm, what the output is a function of, what neurons read)
    "l1": [("convexity", "length", "mixed"), ("pudding or double-sided", "entries", "one input")],
    "l2": [("convexity", "length", "mixed"), ("a square per input", "entries", "one input")],
    "max": [
        ("convexity and a linear term", "sum and length", "mixed"),
        ("a rectifier per input", "entries", "one input"),
        ("a tournament", None, "difference"),
    ],
    "pairs": [
        ("square of the sum less that of the length", "sum and length", "sum"),
        ("square of the sum alone", "sum", "sum"),
    ],
    "positives": [("steps", "entries", "one input"), ("the sum alone", "affine", "sum")],
    "l1-sum": [("pudding or double-sided", "entries", "one input"), ("the sum alone", "affine", "sum")],
    "l1-deep": [("convexity", "length", "mixed"), ("pudding or double-sided", "entries", "one input")],
}
WORSE = 1.5  # times the loss of the trained size, up to which another size is about as good


def guessed(depends: pd.DataFrame, reads: pd.DataFrame) -> pd.DataFrame:
    """How many seeds are as guessed: columns ``run, algorithm, output, neurons, seeds, of``.

    The output has to be a function of the guessed part of the input to `FUNCTION_OF` of its variance, and of no part
    within it to as much; the neurons that read as guessed have to make up `MOSTLY` of the first layer's strength.
    """
    reads, rows = reads.set_index(["run", "seed"]), []
    for name, shares in depends.set_index(["run", "seed"]).groupby("run", sort=False):
        for algorithm, part, kind in GUESSES.get(str(name), []):
            fits = reads.loc[shares.index, kind] >= MOSTLY
            if part is not None:
                fits &= (shares[part] >= FUNCTION_OF) & (shares[WITHIN.get(part, [])] < FUNCTION_OF).all(axis=1)
            rows.append((name, algorithm, part or "anything", kind, int(fits.sum()), len(fits)))
    return pd.DataFrame(rows, columns=["run", "algorithm", "output", "neurons", "seeds", "of"])


def guess_table(low: pd.DataFrame, high: pd.DataFrame) -> Markdown:
    """`guessed` at the lowest and the highest beta, side by side."""
    heads = ["run", "algorithm", "output is a function of", "neurons read mostly", "lowest", "highest"]
    lowest, highest = (frame["seeds"].astype(str) + " of " + frame["of"].astype(str) for frame in (low, high))
    rows = low[["run", "algorithm", "output", "neurons"]].assign(low=lowest, high=highest)
    return table(rows.set_axis(heads, axis=1))


def relay(table: pd.DataFrame) -> Markdown:
    """Whether the second hidden layer is more than a relay.

    Args:
        table: of `hyperlib.report.tasks.layers`, with a row at least.
    """
    worse = table["layer 2 affine"] / table["as generated"]
    relays = int((worse <= WORSE).sum())
    return Markdown(
        f"In {relays} of {count(len(table), 'seed')} the second hidden layer is a relay: with straight lines in place "
        f"of its swish, the loss is at most {WORSE} times as large. The largest ratio is {number(worse.max())}: "
        + ("some seed does use it." if relays < len(table) else "none uses it much.")
    )


def named(guesses: pd.DataFrame, run: str) -> str:
    """The guesses that fit some seed of a run, with their counts."""
    fits = guesses[(guesses["run"] == run) & (guesses["seeds"] > 0)]
    return listing([f"{row.algorithm} in {row.seeds} of {row.of}" for row in fits.itertuples()] or ["no guess fits"])


def found(runs: Runs, low: pd.DataFrame, high: pd.DataFrame, adam: pd.DataFrame, other: pd.DataFrame) -> Markdown:
    """A few sentences per run, and one on what the runs have in common.

    Args:
        runs: as `hyperlib.report.tasks.load` gives them.
        low, high: of `guessed`, at the lowest and at the highest beta.
        adam: of `hyperlib.report.tasks.baseline`.
        other: of `hyperlib.report.tasks.sizes`.
    """
    said, paid, shared = [], 0, 0
    for name, run in runs.items():
        rows = run.final.set_index("seed")
        first, last = (rows[rows["beta"] == run.betas[place]] for place in (0, -1))
        memorised = int((first["kl"] > COLLAPSED_KL).sum())
        paid += memorised
        shared += sum(reading_shares(run.networks(seed)[0])["sum"] > ALL for seed in run.seeds)
        better = int((first["loss"] < last["loss"] / 2).sum())
        said.append(
            f"`{name}`: at the lowest $\\beta$ {named(low, name)}, at the highest {named(high, name)}. Losses at the "
            f"lowest from {number(first['loss'].min())} to {number(first['loss'].max())} (Adam: "
            f"{number(adam.loc[name, 'Adam'])}); {memorised} of {count(len(first), 'seed')} pay for information, and "
            f"{better} have less than half of the loss of the highest $\\beta$. {_other_sizes(first, other, name)}"
        )
    seeds = sum(len(run.seeds) for run in runs.values())
    return say(
        *said,
        f"Of all {seeds} seeds, {percent(paid / seeds)} pay for information. In {percent(shared / seeds)} all neurons "
        "read the sum with nearly equal weights, which needs neither information nor random numbers. The setting was "
        "chosen on another task and shape: where seeds stay with a simple function, that shows what this setting does, "
        "not what is possible.",
    )


def _other_sizes(first: pd.DataFrame, other: pd.DataFrame, name: str) -> str:
    """At how many sizes networks without the encoder are about as good as those of the lowest beta with it."""
    losses = other[other["run"] == name].groupby("n_0")["loss_rescaled"].median()
    good = losses.index[losses <= WORSE * first["loss"].median()]
    sizes = f" (input {'dimensions' if len(good) > 1 else 'dimension'} {listing([str(n) for n in good])})"
    return (
        f"Without the encoder, {len(good)} of {count(len(losses), 'size')} come within {WORSE} times that loss"
        f"{sizes if len(good) else ''}."
    )
