"""What pages say of tables that scripts write and a checkout may lack: of data, and of compression."""

from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from ..studies import compression
from .text import note, number, percent, table

PEERS = ["linear", "boosting", "MLP"]
AS_GOOD = 1.05  # of the best peer's error
UNUSED = 0.01  # share of the output's variance that shuffling an input changes, up to which it counts as left out
TASK = "l1-large"  # the first page's task and shape in the table of `scripts/compress.py`; another where it is absent


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
    found = beside_peers(errors)
    worse = found[found["as good"] == "no"]
    text = f"On {len(found) - len(worse)} of {len(found)} tables the error is within 5 % of the best peer's or better"
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


def given_up(folder: str, pages: str) -> Markdown:
    """What compressing Adam's networks keeps and gives up as the price rises, with its page if ``pages`` has it."""
    file = Path(folder) / "paths.parquet"
    if not file.is_file():
        return note(f"The table of compressed networks ({file.name}) is not here; scripts/compress.py makes it.")
    paths = pd.read_parquet(file)
    task = TASK if TASK in set(paths["task"]) else paths["task"].iloc[0]
    paths = paths[paths["task"] == task]
    found, stands = compression.verdicts(paths), compression.given_up(paths)
    stands["beta"] = stands["beta"].where(stands["beta"] > 0)
    medians = stands.groupby("what", sort=False)[["beta", "nats"]].median()
    medians.columns = ["stands up to a price of", "nats there"]
    page = next((f" [More.]({path.name})" for path in sorted(Path(pages).glob("17_*.ipynb"))), "")
    done, nats = f"{found['done'].sum()} of {len(found)}", number(found["nats"].median())
    said = f"Of networks for the task `{task}`, {done} have a loss at or below the given one's at the lowest price, "
    said += f"for {nats} nats (median). At a price of {number(compression.PRICE)} the program is most often: "
    said += f"{found['rule'].mode()[0]}.{page}"
    return Markdown(f"{table(medians, index=True).data}\n\n{said}")


def own_data(folder: str) -> Markdown:
    """Errors on tables beside what people use."""
    errors = read(folder)["errors"]
    shown = "" if errors.empty else table(beside_peers(errors)[["hypernetwork", *PEERS]], index=True).data
    return Markdown(f"{shown}\n\n{verdict(errors)}")
