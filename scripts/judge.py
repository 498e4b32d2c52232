"""Every claim of the paper judged on a run and those beside it, and stored as the ledger."""

from pathlib import Path

from hyperbook.claims import store
from hyperlib.commands import RunFolder, script


def main(run: RunFolder, out: Path = Path("results/claims"), only: tuple[str, ...] = ()) -> None:
    """Judge every claim of the paper, each setting by itself, and store the ledger. Takes about ten minutes.

    Args:
        run: a finished run; partners, baseline and programs are taken from the folders beside it.
        out: folder for ledger.json, which pages read if it is the folder ``claims`` beside the run.
        only: claims to judge anew; the others stay as they are stored.
    """
    for claim in store(run.open(), out, only):
        there = ", ".join(f"{name}: {said}" for name, said in claim.verdicts.items())
        print(f"{claim.verdict:>22}  {claim.title} ({there})")


if __name__ == "__main__":
    script(main)
