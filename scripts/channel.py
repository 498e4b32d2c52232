"""Seeds of case 3d, trained on with and without the encoder: see `hyperbook.studies.channel`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hyperbook.studies.channel import carried, further
from hyperlib.commands import check_out, export, script
from hyperlib.runs import load_run


def main(out: Path, run: Path = Path("results/l1"), runs: Path = Path("runs/channel"), workers: int = 1) -> None:
    """Train on and write what the channels carry, before and afterwards.

    Args:
        out: a file for the table, .parquet.
        run: a run with seeds of case 3d.
        runs: folder for the new runs.
        workers: processes; 0 trains in this one.
    """
    check_out(out, ".parquet")
    before = load_run(run)
    made = {name: further(before, runs / name, name == "on", workers=workers) for name in ("on", "off")}
    tables = [carried(one).assign(encoder=name) for name, one in {"before": before, **made}.items()]
    export(out, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    script(main)
