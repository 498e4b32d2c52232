"""Tables of the two appendices: how the setting was chosen, and what a training step costs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from ..files import RunError
from ..project.design import LEVELS, RESPONSES, effects
from ..project.replay import SAME_PHASE, TOLERANCES, typical
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


def exploration(table: pd.DataFrame) -> Markdown:
    """One row per explored setting and seed at its last recorded step, at the lowest beta."""
    end = table[table["step"] == table.groupby("random_scale")["step"].transform("max")]
    low = end[end["beta"] == end["beta"].min()].rename(columns=LABELS | {"kl": "KL (nats)"})
    low = low.astype({"seed": str})  # a name, not a number
    named = ["seed", LABELS["random_scale"], LABELS["sigma_shift"], "step"]
    return markdown(low[[*named, LABELS["loss"], "KL (nats)", "alpha_1", LABELS["alpha_2"], "alpha_3"]])


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


def over_steps(table: pd.DataFrame) -> Markdown:
    """Shares of memorising and assembling seeds at the last four steps, by the length of the warm-up of beta."""
    some = table[table["step"].isin(sorted(table["step"].unique())[-4:])]
    means = some.groupby(["beta_warmup", "step"], as_index=False)[["memorised", "assembled"]].mean()
    return markdown(means.rename(columns=LABELS))


def regained(table: pd.DataFrame) -> tuple[int, int]:
    """How many seeds of the design lose their KL at all betas after the warm-up, and how many get it back."""
    lost = back = 0
    for _, rows in table.groupby([*LEVELS, "seed"]):
        pays = rows.sort_values("step").loc[lambda part: part["step"] >= part["beta_warmup"], "memorised"].astype(bool)
        lost += int(not pays.all())
        back += int((pays & ~pays.shift(fill_value=True)).any())
    return lost, back


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


def best(rows: pd.DataFrame) -> pd.Series:
    """The fastest compiled ensemble of the first shape on all cores."""
    some = rows[(rows["kind"] == "compiled") & (rows["shape"] == rows["shape"].iloc[0])]
    whole = some[some["cores"] == some["cores"].max()]
    return whole.loc[whole["ms"].idxmin()]


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


def drift_tolerances(table: pd.DataFrame) -> Markdown:
    """What was measured of each quantity, and what a replay tolerates.

    Args:
        table: what `hyperlib.project.replay.drift` returns.
    """
    found = typical(table)
    allowed = TOLERANCES | {"phase": 1 - SAME_PHASE}
    rows = [{"quantity": name, "measured": found[name], "tolerance": value} for name, value in allowed.items()]
    return markdown(pd.DataFrame(rows).replace({"quantity": {"kl": "KL", "phase": "share in another phase"}}))
