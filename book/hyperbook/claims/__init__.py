"""The judge: every claim of the paper in every setting, by rules that were fixed before the runs they judge were read.

A claim is a function that takes one setting and yields a few numbers (`algorithms`, `development`, `assignments`,
`beyond`), and its words in ``claims.toml``: sentence, section, place, criteria, how it is judged, and what was changed
against the rules of the first release. `hyperbook.claims.claim` holds the one rule by which verdicts follow. A setting
is judged by itself: *reproduced* needs the main release, and another setting that disagrees beyond its interval makes a
claim *depend on the setting*. All seeds of the first release are the development set: boundaries and yardsticks were
chosen on it. The verdicts of a release are its ledger, stored in ``results/claims``: ten pages show it, and measuring
takes minutes.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

import hyperlib as hl
from hyperlib.files import RunError, read_signed, write_signed
from hyperlib.problems import L1

from . import algorithms, assignments, beyond, development
from .claim import EXISTENCE, NOT_REPRODUCED, REPRODUCED, VERDICTS, Check, Claim, Criterion, Estimate
from .evidence import Evidence, Setting, gather

__all__ = ["NOT_REPRODUCED", "REPRODUCED", "VERDICTS", "Check", "Claim", "Evidence", "gather"]

FILE = "ledger.json"
RULES = "2279bf9"  # commit that fixed the rules, before the second release was read
DEVELOPMENT = range(1000)  # seeds of the first release, on which boundaries and yardsticks were chosen
SETTINGS = ("main", "warm", "memorised")  # where a claim is judged that says nothing else
WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("claims.toml").read_text(encoding="utf-8"))
UNJUDGED = pd.DataFrame(WORDS.pop("unjudged"))  # sentences of the paper that no claim judges: section, paper, why
CHANGED = {name: one["changed"] for name, one in WORDS.items() if one.get("changed")}  # against the first release


def _checks(name: str, part: Setting | None) -> Iterator[Check]:
    """The checks of a claim in one setting, in the order of its words."""
    words, at = WORDS[name], name.replace("-", "_")
    measure = next(getattr(one, at) for one in (algorithms, development, assignments, beyond) if hasattr(one, at))
    found = dict(measure(part)) if part else {}
    if unknown := set(found) - set(words["checks"]):
        raise KeyError(f"claim {name!r} yields {', '.join(sorted(unknown))}, which claims.toml has no words for")
    absent = words.get("absent", "the run does not show it") if part else "there is no such run"
    for key, one in words["checks"].items():
        relation, _, number = one.get("asked", "").rpartition(" ")
        criterion = Criterion(relation, float(number), words["kind"] == EXISTENCE) if number else None
        yield Check(key, one["quantity"], one.get("unit", ""), found.get(key), criterion, absent, one.get("paper", ""))


def claim_of(name: str, evidence: Evidence) -> Claim:
    """One claim, judged in every setting that is there; the first decides, and is always listed. Or KeyError."""
    if name not in WORDS:
        raise KeyError(f"there is no claim {name!r}; there are {', '.join(WORDS)}")
    words = WORDS[name]
    names, parts = words.get("settings", SETTINGS), evidence.parts
    settings = {one: tuple(_checks(name, parts.get(one))) for one in names if one in parts or one == names[0]}
    texts = ("section", "title", "sentence", "paper", "kind", "notebook", "place", "judged", "changed")
    return Claim(name, **{key: words.get(key, "") for key in texts}, settings=settings)


def judge(run: str | Path, name: str) -> Claim:
    """One claim on the run in a folder and those beside it, measured anew, as ``judge("results/l1", "clusters")``."""
    return claim_of(name, gather(hl.load_run(run)))


def store(run: hl.Run, folder: Path, only: Iterable[str] = ()) -> list[Claim]:
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


def stored(evidence: Evidence | hl.Run, notebook: str | None = None) -> list[Claim]:
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
