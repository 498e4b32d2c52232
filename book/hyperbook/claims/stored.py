"""The judged ledger on disk: ten pages show verdicts, and each would judge again, which takes about half a minute."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hyperlib.files import read_signed, write_signed, write_table
from hyperlib.problems import L1
from hyperlib.runs import Run

from . import leave_one_out, ledger, on_fresh_seeds
from .claim import Check, Claim, Criterion, Estimate
from .evidence import Evidence, gather

FILE = "ledger.json"


def store(run: Run, folder: Path) -> list[Claim]:
    """Judge every claim, without each of the seeds, and on the fresh seeds alone; leave all of it in a folder.

    Args:
        run: partners and baseline are taken from the folders beside it.
        folder: gets ``ledger.json``, ``leave_one_out.parquet`` and ``fresh.parquet``.

    Raises:
        ValueError: the run computes something other than the L1 norm.
    """
    evidence = gather(run)
    claims = ledger(evidence)
    if not claims:
        raise ValueError(f"the run computes {run.config.task.name!r}; the paper's claims are about {L1.name!r}")
    folder.mkdir(parents=True, exist_ok=True)
    write_signed(folder / FILE, {"of": origin(evidence), "claims": [asdict(claim) for claim in claims]})
    write_table(folder / "leave_one_out.parquet", leave_one_out(evidence))
    write_table(folder / "fresh.parquet", on_fresh_seeds(evidence))
    return claims


def stored(evidence: Evidence | Run, notebook: str | None = None) -> list[Claim]:
    """The ledger of a run: as stored in the folder ``claims`` beside it, or judged now if that is of other runs.

    Args:
        evidence: of `gather`, or a run, whose evidence is then gathered.
        notebook: only the claims that this notebook shows (its name without ending).

    Raises:
        RunError: the stored ledger is damaged.
    """
    evidence = evidence if isinstance(evidence, Evidence) else gather(evidence)
    path = Path(evidence.main.run.path).with_name("claims") / FILE
    if path.exists() and (found := read_signed(path))["of"] == origin(evidence):
        claims = [_claim(entry) for entry in found["claims"]]
        return [claim for claim in claims if notebook in (None, claim.notebook)]
    return ledger(evidence, notebook)


def origin(evidence: Evidence) -> dict:
    """What the ledger was judged on: the version of each run, and how Adam's networks were trained."""
    runs = {name: part.run.short_hash for name, part in evidence.parts.items()}
    return {**runs, "baseline": evidence.baseline and evidence.baseline.settings}


def _claim(entry: dict) -> Claim:
    return Claim(**entry | {"checks": tuple(_check(check) for check in entry["checks"])})


def _check(entry: dict) -> Check:
    found, criterion = entry["found"], entry["criterion"]
    made = {"found": found and Estimate(**found), "criterion": criterion and Criterion(**criterion)}
    return Check(**entry | made)
