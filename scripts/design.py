"""What was tried before the second release: see `hyperbook.studies.settings`."""

from pathlib import Path

import pandas as pd

from hyperbook.studies.programs import replace_rows
from hyperbook.studies.settings import CELLS, run_cell, summary
from hyperlib.commands import check_out, script, show


def main(out: Path, cells: tuple[str, ...] = tuple(CELLS), compiled: bool = True) -> None:
    """Train cells of the design, or all, one after the other on one core, and print what became of them.

    Args:
        out: a file for the table, .parquet; what it holds of other cells stays.
        cells: their names.
        compiled: compile the training step.
    """
    check_out(out, ".parquet")
    if unknown := [cell for cell in cells if cell not in CELLS]:
        raise ValueError(f"cells holds {unknown[0]!r}; expected some of {', '.join(CELLS)}")
    for cell in cells:
        found = pd.concat(run_cell(cell, compiled), ignore_index=True)
        replace_rows(out, found, "cell")
        show(summary(found))


if __name__ == "__main__":
    script(main)
