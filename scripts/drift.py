"""How far trainings of the same seeds part when nothing but the rounding differs."""

from __future__ import annotations

from pathlib import Path

from hyperbook.studies import replay
from hyperlib.commands import TABLES, RunFolder, at_least, check_out, export, script, show


def main(run: RunFolder, seeds: tuple[int, ...], steps: int = 600, out: Path | None = None) -> None:
    """Measure how far trainings of the same seeds part when nothing but the rounding differs. Takes minutes.

    Args:
        run: a finished run.
        seeds: two of its seeds or more.
        steps: how far to follow all of them but the one that is compared with the released table.
        out: a file for the table, .csv or .parquet.
    """
    check_out(out, *TABLES)
    at_least(1, steps=steps)
    table = replay.drift(run.open(), seeds, steps)
    if out is not None:
        export(out, table)
    show(table[table["step"] == table.groupby("variant")["step"].transform("max")])


if __name__ == "__main__":
    script(main)
