"""The ledger of a release, stored: ten pages show verdicts and numbers of it, and measuring takes minutes."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hyperlib.files import RunError, read_signed, write_signed
from hyperlib.problems import L1
from hyperlib.runs import Run

from . import RULES, WORDS, claim_of
from .claim import Check, Claim, Criterion, Estimate
from .evidence import Evidence, gather

FILE = "ledger.json"
RELEASE = "results/claims"


def store(run: Run, folder: Path, only: Iterable[str] = ()) -> list[Claim]:
    """Judge every claim, or anew those of ``only``, and leave the ledger as ``ledger.json`` in a folder.

    ValueError for a run that computes something other than the L1 norm.
    """
    evidence, path, names = gather(run), folder / FILE, list(only)
    if run.config.task != L1:
        raise ValueError(f"the run computes {run.config.task.name!r}; the paper's claims are about {L1.name!r}")
    old = {claim.id: claim for claim in read(path)} if names and path.exists() else {}
    claims = [old[name] if name in old and name not in names else claim_of(name, evidence) for name in WORDS]
    folder.mkdir(parents=True, exist_ok=True)
    write_signed(path, {"of": origin(evidence), "claims": [asdict(claim) for claim in claims]})
    return claims


def read(path: Path) -> list[Claim]:
    """The ledger in a file; RunError if it is damaged, or was judged by other rules."""
    found = read_signed(path)
    if found["of"].get("rules") != RULES:
        raise RunError(f"{path} was judged by other rules than those of commit {RULES}; make it with scripts/judge.py")
    for entry in found["claims"]:
        entry["settings"] = {name: tuple(_check(**one) for one in of) for name, of in entry["settings"].items()}
    return [Claim(**entry) for entry in found["claims"]]


def stored(evidence: Evidence | Run, notebook: str | None = None) -> list[Claim]:
    """The ledger in the order of the paper's sections, or the claims that a notebook shows.

    As stored in the folder ``claims`` beside the run, or judged now if that is of other runs. Of a run that computes
    something other than the L1 norm there are no claims.
    """
    evidence = evidence if isinstance(evidence, Evidence) else gather(evidence)
    path = Path(evidence.main.run.path).with_name("claims") / FILE
    if path.exists() and read_signed(path)["of"] == origin(evidence):
        return [claim for claim in read(path) if notebook in (None, claim.notebook)]
    names = [name for name in WORDS if notebook in (None, WORDS[name]["notebook"])]
    return [claim_of(name, evidence) for name in names if evidence.main.run.config.task == L1]


def origin(evidence: Evidence) -> dict:
    """What the ledger was judged by and on: rules, the version of each run, how Adam's networks were trained."""
    runs = {name: part.run.short_hash for name, part in evidence.parts.items()}
    return {"rules": RULES, **runs, "baseline": evidence.main.baseline and evidence.main.baseline.settings}


def _check(found: Any, criterion: Any, **words: str) -> Check:
    return Check(found=found and Estimate(**found), criterion=criterion and Criterion(**criterion), **words)
