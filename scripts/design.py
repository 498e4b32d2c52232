"""The designed experiment behind the choice of settings."""

from __future__ import annotations

from pathlib import Path

from hyperbook.studies import settings
from hyperlib.commands import TABLES, at_least, check_out, export, script, show


def main(out: Path, steps: int = settings.STEPS, workers: int | None = None) -> None:
    """Run the designed experiment behind the choice of settings and print the effects of the knobs.

    Args:
        out: a file for the table, one row per setting and seed, .csv or .parquet.
        steps: steps per seed.
        workers: processes of one core each (default: one per core).
    """
    check_out(out, *TABLES)
    at_least(1, steps=steps, workers=workers)
    table = settings.run_design(steps=steps, workers=workers)
    export(out, table)
    show(settings.effects(table))


if __name__ == "__main__":
    script(main)
