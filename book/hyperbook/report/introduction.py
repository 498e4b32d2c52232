"""What the first page takes from tables that a checkout may lack."""

from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from ..studies import compression
from .data import PEERS, beside_peers, read, verdict
from .text import note, number, table

TASK = "l1-large"  # the first page's task and shape in the table of `scripts/compress.py`; another where it is absent


def given_up(folder: str, pages: str) -> Markdown:
    """What compressing Adam's networks (`scripts/compress.py`) keeps and gives up as the price rises.

    With a link to its page if that is in the folder of the notebooks.
    """
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
