"""Whether the decoder alone needs channels that carry: see `hyperbook.studies.channel`."""

from __future__ import annotations

from pathlib import Path

from hyperbook.studies.channel import muted
from hyperbook.studies.settings import SEEDS
from hyperlib.cluster import one_thread
from hyperlib.commands import check_out, export, script
from hyperlib.runs import load_run


def main(out: Path, run: Path = Path("results/l1-scratch"), compiled: bool = True) -> None:
    """Train with channels of noise alone, on one core.

    Args:
        out: a file for the table, .parquet.
        run: of the decoder alone, whose settings are taken.
        compiled: compile the training step.
    """
    check_out(out, ".parquet")
    with one_thread(True):
        export(out, muted(load_run(run), SEEDS, compiled=compiled))


if __name__ == "__main__":
    script(main)
