"""The judge: every claim of the paper in every setting, by rules that were fixed before the runs they judge were read.

A claim is a function that takes one setting and yields a few numbers (`algorithms`, `development`, `assignments`,
`beyond`), and its words in ``claims.toml``: sentence, section, place, criteria, how it is judged, and what was changed
against the rules of the first release. `hyperbook.claims.claim` holds the one rule by which verdicts follow. A setting
is judged by itself: *reproduced* needs the main release, and another setting that disagrees beyond its interval makes a
claim *depend on the setting*. All seeds of the first release are the development set: boundaries and yardsticks were
chosen on it. The verdicts of a release are its ledger, in ``results/claims`` (`hyperbook.claims.stored`).
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import hyperlib as hl

from . import algorithms, assignments, beyond, development
from .claim import EXISTENCE, NOT_REPRODUCED, REPRODUCED, VERDICTS, Check, Claim, Criterion
from .evidence import Evidence, Setting, gather

__all__ = ["NOT_REPRODUCED", "REPRODUCED", "VERDICTS", "Check", "Claim", "Evidence", "gather"]

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
    """One claim on the run in a folder and those beside it, measured anew; KeyError if there is no such claim.

    Such as ``print(judge("results/l1", "clusters"))``.
    """
    return claim_of(name, gather(hl.load_run(run)))
