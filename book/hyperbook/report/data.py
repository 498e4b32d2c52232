"""What the page on data says of the tables that ``scripts/data.py`` writes."""

from pathlib import Path

import pandas as pd

from .text import percent

PEERS = ["linear", "boosting", "MLP"]
AS_GOOD = 1.05  # of the best peer's error
UNUSED = 0.01  # share of the output's variance that shuffling an input changes, up to which it counts as left out


def read(folder: str) -> dict[str, pd.DataFrame]:
    """``errors``, ``path`` and ``programs``; without rows where the script has not run."""
    files = {kind: Path(folder) / f"{kind}.parquet" for kind in ("errors", "path", "programs")}
    none = pd.DataFrame(columns=["data", "kind"])
    return {kind: pd.read_parquet(file) if file.exists() else none for kind, file in files.items()}


def beside_peers(errors: pd.DataFrame) -> pd.DataFrame:
    """A row per table: the error of every method, and whether the network's is at most `AS_GOOD` of the best peer's."""
    if errors.empty:
        return errors
    found = errors.pivot(index="data", columns="method", values="error")
    found = found.loc[errors["data"].drop_duplicates(), ["hypernetwork", *PEERS]]
    ratio = found["hypernetwork"] / found[PEERS].min(axis=1)
    return found.assign(**{"of the best": ratio, "as good": (ratio <= AS_GOOD).map({True: "yes", False: "no"})})


def verdict(errors: pd.DataFrame) -> str:
    """A sentence on how many tables the network's error is as good on, and which it is not."""
    if errors.empty:
        return "The tables have not been measured here: run scripts/data.py."
    table = beside_peers(errors)
    worse = table[table["as good"] == "no"]
    text = f"On {len(table) - len(worse)} of {len(table)} tables the error is within 5 % of the best peer's or better"
    gaps = [f"{name} ({row['hypernetwork']:.3g} against {row[PEERS].min():.3g})" for name, row in worse.iterrows()]
    return f"{text}; not on {', '.join(gaps)}." if gaps else f"{text}."


def inputs_used(programs: pd.DataFrame, name: str) -> str:
    """A sentence on which inputs the simplest good network of a table uses."""
    rows = programs[(programs["data"] == name) & (programs["kind"] == "simplest")]
    if rows.empty:
        return f"The table {name} is not there."
    row = rows.iloc[0]
    shares = dict(zip(row["inputs"], row["importance"], strict=True))
    used = ", ".join(f"{key} {percent(share)}" for key, share in shares.items() if share > UNUSED)
    gone = ", ".join(key for key, share in shares.items() if share <= UNUSED) or "none"
    return f"Shuffling an input changes so much of the network's variance: {used}. At most 1 %, so left out: {gone}."
