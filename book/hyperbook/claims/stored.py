"""The ledger of a release, stored: ten pages show verdicts and numbers of it, and measuring takes minutes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from hyperlib.files import RunError, read_signed, write_signed
from hyperlib.problems import L1
from hyperlib.runs import Run, find_folder

from . import RULES, claim_of, ids, ledger
from .claim import Check, Claim, Criterion, Estimate
from .evidence import Evidence, gather

FILE = "ledger.json"
RELEASE = "results/claims"


def store(run: Run, folder: Path, only: Iterable[str] = ()) -> list[Claim]:
    """Judge every claim and leave the ledger in a folder as ``ledger.json``.

    Args:
        run: partners and baseline are taken from the folders beside it.
        only: claims to judge anew; the others stay as the folder has them.

    Raises:
        KeyError: ``only`` names no claim.
        ValueError: the run computes something other than the L1 norm.
    """
    evidence, path, names = gather(run), folder / FILE, list(only)
    if run.config.task != L1:
        raise ValueError(f"the run computes {run.config.task.name!r}; the paper's claims are about {L1.name!r}")
    old = {claim.id: claim for claim in read(path)} if names and path.exists() else {}
    claims = [old[name] if name in old and name not in names else claim_of(name, evidence) for name in ids()]
    folder.mkdir(parents=True, exist_ok=True)
    write_signed(path, {"of": origin(evidence), "claims": [asdict(claim) for claim in claims]})
    return claims


def read(path: str | Path = Path(RELEASE) / FILE) -> list[Claim]:
    """The ledger in a file, looked for from the working directory upwards.

    Raises:
        RunError: it is damaged, or was judged by other rules.
    """
    file = find_folder(Path(path).parent) / Path(path).name
    found = read_signed(file)
    if found["of"].get("rules") != RULES:
        raise RunError(f"{file} was judged by other rules than those of commit {RULES}; make it with scripts/judge.py")
    return [_claim(entry) for entry in found["claims"]]


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
    if path.exists() and read_signed(path)["of"] == origin(evidence):
        return [claim for claim in read(path) if notebook in (None, claim.notebook)]
    return ledger(evidence, notebook)


def verdict(name: str, path: str | Path = Path(RELEASE) / FILE) -> Claim:
    """A claim of the stored ledger, for titles and prose: ``verdict("boundary-rises").first.measured``.

    ``verdict(id).verdict`` is the verdict, ``.first`` the first check that decides, ``[key]`` any check of the setting
    that decides; a check has ``measured`` and ``interval`` in words, and ``found`` with value, interval and seeds.

    Raises:
        KeyError: the ledger has no such claim.
        RunError: the ledger is damaged.
    """
    found = {claim.id: claim for claim in read(path)}
    if name not in found:
        raise KeyError(f"the ledger has no claim {name!r}; it has {', '.join(found)}")
    return found[name]


def origin(evidence: Evidence) -> dict:
    """What the ledger was judged by and on: rules, the version of each run, how Adam's networks were trained."""
    runs = {name: part.run.short_hash for name, part in evidence.parts.items()}
    return {"rules": RULES, **runs, "baseline": evidence.main.baseline and evidence.main.baseline.settings}


def _claim(entry: dict) -> Claim:
    settings = {name: tuple(_check(check) for check in checks) for name, checks in entry["settings"].items()}
    return Claim(**entry | {"settings": settings})


def _check(entry: dict) -> Check:
    found, criterion = entry["found"], entry["criterion"]
    made = {"found": found and Estimate(**found), "criterion": criterion and Criterion(**criterion)}
    return Check(**entry | made)
