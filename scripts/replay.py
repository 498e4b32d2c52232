"""Released seeds trained again and compared with the released table, number by number."""

from pathlib import Path

from hyperbook.studies import replay
from hyperlib.checks import check_seeds
from hyperlib.commands import TABLES, RunFolder, at_least, check_out, export, script, show


def main(run: RunFolder, seeds: tuple[int, ...], steps: int | None = None, out: Path | None = None) -> None:
    """Train released seeds again and count the numbers that come out the same; exit status 1 if not all do.

    Args:
        run: a finished run.
        seeds: which of its seeds.
        steps: stop after so many steps (default: the whole training).
        out: a file for the comparison, .csv or .parquet.
    """
    check_out(out, *TABLES)
    check_seeds(seeds)
    at_least(1, steps=steps)
    table = replay.replay(run.open(), seeds, steps)
    if out is not None:
        export(out, table)
    show(table)
    if (table["same"] < table["numbers"]).any():
        raise SystemExit(1)


if __name__ == "__main__":
    script(main)
