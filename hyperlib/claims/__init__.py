"""The ledger: every claim of the paper, what was measured, the criterion fixed beforehand, and the verdict.

One function per claim, in `algorithms` (sections 2.1 and 2.2), `development` and `assignments` (2.3) and `beyond` (2.4
and 2.5). Each states its criteria beside the measurement. They were written before the released run was looked at and
follow from the paper's words ("always", "often", "nearly") and from what an exploratory implementation had shown, not
from that run; `hyperlib.claims.claim` holds the one rule by which all verdicts follow from them. Nothing is kept
between calls: `ledger` measures again every time.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ..runs import Run
from ..task import L1
from . import algorithms, assignments, beyond, development
from .claim import NOT_MEASURABLE, NOT_REPRODUCED, OUTCOMES, PARTLY, REPRODUCED, VERDICTS, Check, Claim
from .evidence import Evidence

__all__ = [
    "NOT_MEASURABLE",
    "NOT_REPRODUCED",
    "OUTCOMES",
    "PARTLY",
    "REPRODUCED",
    "VERDICTS",
    "Check",
    "Claim",
    "ledger",
    "to_table",
]


def ledger(run: Run, notebook: str | None = None) -> list[Claim]:
    """Every claim of the paper, judged on one run, in the order of the paper's sections.

    Takes about a minute for 33 seeds on one core. What a run cannot show, because a developmental case is absent or its
    networks have another shape, is stated in the checks and does not fail.

    Args:
        run: the run.
        notebook: only the claims that this notebook shows (its name without ending).

    Raises:
        ValueError: the run computes something other than the L1 norm, which is what the claims are about.
    """
    if run.config.task != L1.name:
        raise ValueError(f"the run computes {run.config.task!r}; the paper's claims are about {L1.name!r}")
    evidence = Evidence(run)
    functions = (*algorithms.CLAIMS, *development.CLAIMS, *assignments.CLAIMS, *beyond.CLAIMS)
    claims = (claim(evidence) for claim in functions)
    chosen = [claim for claim in claims if notebook in (None, claim.notebook)]
    return sorted(chosen, key=lambda claim: claim.section.split(",")[0])


def to_table(claims: Iterable[Claim]) -> pd.DataFrame:
    """The ledger as a table, one row per check.

    Returns:
        Columns ``claim, section, sentence, verdict, quantity, unit, value, low, high, basis, relation, threshold,
        by_value, outcome, absent, notebook, place``; empty (NaN or None) where a check has no value or no criterion.
    """
    rows = []
    for claim in claims:
        for check in claim.checks:
            found, criterion = check.found, check.criterion
            row: dict[str, object] = {"claim": claim.id, "section": claim.section, "sentence": claim.sentence}
            row |= {"verdict": claim.verdict, "quantity": check.quantity, "unit": check.unit}
            row |= {key: getattr(found, key, None) for key in ("value", "low", "high", "basis")}
            row |= {key: getattr(criterion, key, None) for key in ("relation", "threshold", "by_value")}
            row |= {"outcome": check.outcome, "absent": check.absent if found is None else ""}
            rows.append(row | {"notebook": claim.notebook, "place": claim.place})
    return pd.DataFrame(rows)
