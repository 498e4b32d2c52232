"""Tables and sentences of the two appendices: how the setting was chosen, and what a training step costs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from ..development import COLLAPSED_KL
from ..files import RunError
from ..project.design import LEVELS, RESPONSES, effects
from ..project.replay import SAME_PHASE, TOLERANCES, typical
from .text import count, listing, number, percent
from .text import table as markdown

LABELS = {
    "random_scale": "scale of the random block",
    "sigma_shift": "shift c of sigma",
    "beta_warmup": "beta warm-up (steps)",
    "output_scale": "scale of the output map",
    "learning_rate": "learning rate",
    "memorised": "share of seeds that memorise",
    "assembled": "share that assemble without KL",
    "loss": "loss at the lowest beta",
    "alpha_2": "alpha_2 at the lowest beta",
}


def read(path: str | Path) -> pd.DataFrame:
    """A table of results.

    Raises:
        FileNotFoundError: it is not there; the message names the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no table at {str(path)!r}; the page on rerunning says which command makes it")
    return pd.read_parquet(path)


def _explored_low(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the exploration at the lowest beta and the last recorded step of each setting."""
    end = table[table["step"] == table.groupby("random_scale")["step"].transform("max")]
    return end[end["beta"] == end["beta"].min()]


def exploration(table: pd.DataFrame) -> Markdown:
    """One row per explored setting and seed at its last recorded step, at the lowest beta."""
    low = _explored_low(table).rename(columns=LABELS | {"kl": "KL (nats)"})
    low = low.astype({"seed": str})  # a name, not a number
    named = ["seed", LABELS["random_scale"], LABELS["sigma_shift"], "step"]
    return markdown(low[[*named, LABELS["loss"], "KL (nats)", "alpha_1", LABELS["alpha_2"], "alpha_3"]])


def explored(table: pd.DataFrame) -> Markdown:
    """How many seeds of each explored setting still paid KL at the lowest beta."""
    said = [
        f"with a random block of {number(scale)}, {int((rows['kl'] > COLLAPSED_KL).sum())} of "
        f"{count(len(rows), 'seed')} had memorised an assignment by step {number(int(rows['step'].iloc[0]))}"
        for scale, rows in _explored_low(table).groupby("random_scale")
    ]
    return Markdown(f"At the lowest beta, {listing(said)}; the others had lost their KL.")


def last(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last step."""
    return table[table["step"] == table["step"].max()]


def settings(table: pd.DataFrame) -> Markdown:
    """One row per setting of the designed experiment: levels, and means over its seeds at the last step."""
    means = last(table).groupby(list(LEVELS), as_index=False)[list(RESPONSES)].mean()
    return markdown(means.sort_values(["memorised", "assembled"], ascending=False).rename(columns=LABELS))


def knobs(table: pd.DataFrame) -> Markdown:
    """One row per knob and response: means at both levels and the permutation p-value."""
    found = effects(table).replace({"knob": LABELS, "response": LABELS})
    return markdown(found[["knob", "response", "low level", "high level", "mean at low", "mean at high", "p"]])


def decisive(table: pd.DataFrame) -> Markdown:
    """Which knob moves the shares of memorising and of assembling seeds most, and whether that could be chance."""
    end, found = last(table), effects(table)
    sentences = [
        f"After {number(int(end['step'].iloc[0]))} steps {percent(end['memorised'].mean())} of "
        f"{count(len(end), 'seed')} have memorised an assignment, {percent(end['assembled'].mean())} have assembled a "
        "network without KL, and "
        f"{percent(1 - end['memorised'].mean() - end['assembled'].mean())} are still convexity networks."
    ]
    for response, does in (("memorised", "memorise"), ("assembled", "assemble a network without KL")):
        some = found[found["response"] == response].sort_values("effect", key=abs, ascending=False)
        first, likely = some.iloc[0], some.loc[some["p"] < 0.05, "knob"].map(LABELS).tolist()
        verdict = f"significant at 5 %: {listing(likely)}" if likely else "no effect is significant at 5 %"
        sentences.append(
            f"The knob that moves the share of seeds that {does} most is the {LABELS[first['knob']]}: "
            f"{percent(first['mean at low'])} at {number(first['low level'])} and {percent(first['mean at high'])} at "
            f"{number(first['high level'])} (p = {number(first['p'])}; {verdict})."
        )
    return Markdown(" ".join(sentences))


def over_steps(table: pd.DataFrame) -> Markdown:
    """Shares of memorising and assembling seeds at the last four steps, by the length of the warm-up of beta."""
    some = table[table["step"].isin(sorted(table["step"].unique())[-4:])]
    means = some.groupby(["beta_warmup", "step"], as_index=False)[["memorised", "assembled"]].mean()
    return markdown(means.rename(columns=LABELS))


def regained(table: pd.DataFrame) -> Markdown:
    """How many seeds of the design lose their KL at all betas after the warm-up, and how many get it back."""
    lost = back = 0
    for _, rows in table.groupby([*LEVELS, "seed"]):
        pays = rows.sort_values("step").loc[lambda part: part["step"] >= part["beta_warmup"], "memorised"].astype(bool)
        lost += int(not pays.all())
        back += int((pays & ~pays.shift(fill_value=True)).any())
    return Markdown(
        f"After the warm-up {count(lost, 'seed')} lost the KL at all $\\beta$; {back or 'none'} got it back."
    )


def read_bench(path: str | Path) -> tuple[pd.DataFrame, dict]:
    """The rows that ``python -m hyperlib bench --out`` wrote, and the machine they were measured on.

    Raises:
        FileNotFoundError: the file is not there.
        RunError: it is not such a file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no table at {str(path)!r}; make one with: python -m hyperlib bench --out {path}")
    values = json.loads(Path(path).read_text())
    if "rows" not in values:
        raise RunError(f"{path} has no rows; expected what python -m hyperlib bench --out writes")
    return pd.DataFrame(values["rows"]), values


def bench_rows(rows: pd.DataFrame, shape: str | None = None) -> Markdown:
    """The measurements of one shape (or of every shape at one ensemble size) as a table."""
    some = rows[rows["shape"] == shape] if shape else rows[(rows["kind"] == "compiled") & (rows["seeds"] == 4)]
    columns = {
        "kind": "path",
        "shape": "target",
        "seeds": "seeds",
        "cores": "cores",
        "ms": "ms per step and seed",
        "over_floor": "times the floor",
        "times_plain": "times faster than plain",
        "peak_mb": "peak memory (MB)",
        "first_call_s": "first call (s)",
    }
    return markdown(some[list(columns)].rename(columns=columns))


def bench_summary(rows: pd.DataFrame, machine: dict) -> Markdown:
    """The best ensemble size on the whole machine, against plain PyTorch and the floor."""
    first = rows["shape"].iloc[0]
    compiled = rows[(rows["kind"] == "compiled") & (rows["shape"] == first)]
    whole = compiled[compiled["cores"] == compiled["cores"].max()]
    best = whole.loc[whole["ms"].idxmin()]
    met = best["times_plain"] >= 6 and best["over_floor"] <= 3
    cores, seeds = count(int(best["cores"]), "core"), count(int(best["seeds"]), "seed")
    return Markdown(
        f"On {machine['hardware']['processor']} with {cores} the best ensemble has {seeds}: {number(best['ms'])} ms "
        f"per step and seed, {number(best['times_plain'])} times faster than plain PyTorch on as many cores and "
        f"{number(best['over_floor'])} times the floor. The goals of six times faster and three times the floor are "
        f"{'both met' if met else 'not both met'}. The first step took {number(compiled['first_call_s'].max())} s "
        "where it had to be compiled."
    )


def replay_summary(table: pd.DataFrame) -> Markdown:
    """Whether replayed seeds agree with the released table, and for how long they stay together."""
    seeds = table["seed"].unique().tolist()
    exact = table.groupby("seed")["identical"].all()
    losses = table[table["quantity"] == "loss"]
    return Markdown(
        f"Of {count(len(seeds), 'replayed seed')} {int(exact.sum()) or 'none'} came out the same bit for bit; "
        f"{percent(table['agrees'].mean())} of the comparisons lie within their tolerance. The losses stay within one "
        f"per cent of the released ones up to step {number(int(losses['within 1 % until step'].min()))} at least."
        + ("" if exact.all() else " Where they part, the sums of this training were ordered differently.")
    )


def replay_rows(table: pd.DataFrame) -> Markdown:
    """The comparison, quantity by quantity."""
    columns = ["seed", "quantity", "identical", "median", "largest", "within 1 % until step", "tolerance", "agrees"]
    return markdown(table[columns])


DRIFT_APART = 0.01  # in the logarithm of the loss: one per cent
DRIFT_LABELS = {
    "released": "in a group, as released",
    "side by side": "side by side",
    "eager": "not compiled",
    "two threads": "on two threads",
}


def drift_rows(table: pd.DataFrame) -> Markdown:
    """One row per variant and seed: when the losses part, and how far things are apart at the end.

    Args:
        table: what `hyperlib.project.replay.drift` returns.
    """
    rows = []
    for (variant, seed), part in table.groupby(["variant", "seed"], sort=False):
        wide = part.pivot(index="step", columns="quantity", values="median")
        parted = wide.index[wide["loss"] > DRIFT_APART]
        rows.append(
            {
                "what differs": DRIFT_LABELS[variant],
                "seed": seed,
                "losses 1 % apart at step": int(parted[0]) if len(parted) else "never",
                "compared up to step": int(wide.index[-1]),
                **{f"{name}, at the end": float(wide[name].iloc[-1]) for name in ("loss", "kl", "alpha_2", "phase")},
            }
        )
    return markdown(pd.DataFrame(rows).rename(columns={"kl, at the end": "KL, at the end"}))


def drift_summary(table: pd.DataFrame) -> Markdown:
    """How fast rounding grows, when the losses part, and what is left in common at the end."""
    distances = table[table["quantity"] == "parameters"]
    first = distances[distances["step"] == distances["step"].min()]["median"]
    largest = distances[distances["step"] == distances["step"].max()]["median"]
    losses = table[table["quantity"] == "loss"]
    parted = losses[losses["median"] > DRIFT_APART].groupby(["variant", "seed"])["step"].min()
    long = table[table["variant"] == "released"]
    end = long[long["step"] == long["step"].max()].set_index(["quantity", "seed"])["median"]
    seeds = long["seed"].nunique()
    when = (
        f"The median loss over $\\beta$ is one per cent apart between steps {number(int(parted.min()))} and "
        f"{number(int(parted.max()))}"
        if len(parted)
        else "The losses stay within one per cent"
    )
    return Markdown(
        f"After step {number(int(distances['step'].min()))} the parameters differ by {number(float(first.min()))} to "
        f"{number(float(first.max()))} of their norm, which is the rounding of single precision; at step "
        f"{number(int(distances['step'].max()))} by {number(float(largest.min()))} to {number(float(largest.max()))}. "
        f"{when}. At step {number(int(long['step'].max()))}, the end of the released run, the "
        f"{count(seeds, 'seed')} trained alone and in a group differ in the median by factors of "
        f"{listing([number(math.exp(value)) for value in end['loss']])} in the loss, and "
        f"{listing([percent(value) for value in end['phase']])} of their networks are in another phase."
    )


def drift_tolerances(table: pd.DataFrame) -> Markdown:
    """What was measured of each quantity, and what a replay tolerates.

    Args:
        table: what `hyperlib.project.replay.drift` returns.
    """
    found = typical(table)
    allowed = TOLERANCES | {"phase": 1 - SAME_PHASE}
    rows = [{"quantity": name, "measured": found[name], "tolerance": value} for name, value in allowed.items()]
    return markdown(pd.DataFrame(rows).replace({"quantity": {"kl": "KL", "phase": "share in another phase"}}))
