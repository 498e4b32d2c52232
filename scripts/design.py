"""What was tried before the second release: see `hyperbook.studies.settings`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hyperbook.studies.settings import CELLS, run_cell, summary
from hyperlib.commands import check_out, export, script, show


def main(out: Path, cells: tuple[str, ...] = tuple(CELLS), compiled: bool = True) -> None:
    """Train cells of the design, or all, one after the other on one core, and print what became of them.

    Args:
        out: a file for the table, .parquet; what it holds of other cells stays.
        cells: their names.
        compiled: compile the training step.
    """
    check_out(out, ".parquet")
    for cell in cells:
        if cell not in CELLS:
            raise ValueError(f"cells holds {cell!r}; expected some of {', '.join(CELLS)}")
    for cell in cells:
        found = pd.concat(run_cell(cell, compiled), ignore_index=True)
        others = pd.read_parquet(out) if out.exists() else found.iloc[:0]
        table = pd.concat([others[others["cell"] != cell], found], ignore_index=True) if len(others) else found
        export(out, table)
        show(summary(found))


if __name__ == "__main__":
    script(main)
