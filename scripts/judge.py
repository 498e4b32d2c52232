"""Every claim of the paper judged on a run, and stored beside it."""

from __future__ import annotations

from pathlib import Path

from hyperbook.claims.stored import store
from hyperlib.commands import RunFolder, script


def main(run: RunFolder, out: Path) -> None:
    """Judge every claim of the paper, and again without each of the seeds, and store both. Takes minutes.

    Args:
        run: a finished run; partners and baseline are taken from the folders beside it.
        out: folder for ledger.json, which pages read if it is the folder ``claims`` beside the run, and
            leave_one_out.parquet.
    """
    for claim in store(run.open(), out):
        print(f"{claim.verdict:>14}  {claim.title}")


if __name__ == "__main__":
    script(main)
