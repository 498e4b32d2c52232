"""What a claim is made of: estimates with intervals, checks against criteria, and the verdict that follows."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

REPRODUCED, PARTLY, UNDECIDED = "reproduced", "partly", "undecided"
NOT_REPRODUCED, NOT_MEASURABLE = "not reproduced", "not measurable"
VERDICTS = (REPRODUCED, PARTLY, UNDECIDED, NOT_REPRODUCED, NOT_MEASURABLE)
HOLDS, FAILS, OPEN, ABSENT, REPORTED = "holds", "fails", "open", "absent", "reported"
OUTCOMES = (HOLDS, FAILS, OPEN, ABSENT, REPORTED)

LEVEL = 0.95
LEAST = 6  # samples below which an interval decides nothing: the bootstrap is too narrow for so few
RESAMPLES = 4000
SEED = 20231206  # of the resampling
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median, "sum": np.sum}
PERCENT = {"share": "%", "points": "percentage points"}  # units that are shown as a hundred times the number
RELATIONS = {"at least": operator.ge, "at most": operator.le, "more than": operator.gt}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the estimate.
        low, high: ends of the 95 % bootstrap interval; both equal to the value if there is one sample only.
        samples: how many samples it rests on; with two groups, those of the smaller one.
        basis: the samples in words, such as ``33 seeds``.
    """

    value: float
    low: float
    high: float
    samples: int
    basis: str


def estimate(
    values: ArrayLike,
    statistic: str = "mean",
    minus: ArrayLike | None = None,
    of: str = "seed",
    minus_of: str = "seed",
) -> Estimate | None:
    """A statistic of independent samples with its percentile bootstrap interval, or None where there are no samples.

    Samples are resampled, not the numbers behind them: with one value per seed, the interval is over seeds. Where all
    samples agree, or a group has one sample, the interval has no width: a limit of the bootstrap, not certainty.

    Args:
        values: one number per sample.
        statistic: ``mean``, ``median`` or ``sum``.
        minus: a second group of samples; the estimate is then the difference of the two groups' statistics, and the
            groups are resampled each on its own.
        of, minus_of: what a sample of each group is.

    Raises:
        KeyError: unknown statistic.
        ValueError: a value is not a finite number.
    """
    groups = [np.asarray(group, dtype=float) for group in (values, minus) if group is not None]
    function = STATISTICS[statistic]
    if not all(np.isfinite(group).all() for group in groups):
        raise ValueError(f"the values are {[group.tolist() for group in groups]}; expected finite numbers")
    if not all(len(group) for group in groups):
        return None

    def measure(first: np.ndarray, second: np.ndarray | None = None, *, axis: int = -1) -> np.ndarray:
        return function(first, axis=axis) - (0 if second is None else function(second, axis=axis))

    value = float(measure(*groups))
    counted = [f"{len(g)} {name}{'s' * (len(g) != 1)}" for g, name in zip(groups, (of, minus_of), strict=False)]
    basis = " against ".join(counted)
    samples = min(len(group) for group in groups)
    if samples < 2:
        return Estimate(value, value, value, samples, basis)
    interval = bootstrap(
        groups,
        measure,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), samples, basis)


@dataclass(frozen=True)
class Criterion:
    """What a quantity has to be, fixed before it was measured.

    Attributes:
        relation: one of `RELATIONS`.
        threshold: in the unit of the quantity.
        by_value: whether the value decides alone, as for "is there any"; otherwise the whole interval has to meet the
            criterion for it to hold, and the whole interval has to miss it for it to fail.
    """

    relation: str
    threshold: float
    by_value: bool = False

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS:
            raise ValueError(f"relation is {self.relation!r}; expected one of {', '.join(RELATIONS)}")

    def judge(self, found: Estimate) -> str:
        """``holds``, ``fails``, or ``open``: the interval straddles the threshold or has too few samples."""
        if self.by_value:
            return HOLDS if self._met(found.value) else FAILS
        met = [self._met(end) for end in (found.low, found.high)]
        if found.samples < LEAST:
            return OPEN
        return HOLDS if all(met) else OPEN if any(met) else FAILS

    def needed(self, found: Estimate) -> int | None:
        """How many samples would decide, at the present value and spread; None if no number would.

        The width of an interval falls with the square root of the number of samples, so that the end that is on the
        wrong side of the threshold comes to it when there are as many times more as the square of the ratio of its
        distance to the value and the threshold's.
        """
        end = found.low if found.value > self.threshold else found.high
        if found.value == self.threshold:
            return None
        ratio = (end - found.value) / (self.threshold - found.value)
        return max(LEAST, math.ceil(found.samples * ratio**2))

    def _met(self, number: float) -> bool:
        return bool(RELATIONS[self.relation](number, self.threshold))


@dataclass(frozen=True)
class Check:
    """One quantity of a claim.

    Attributes:
        quantity: what is measured, in words.
        unit: ``share``, ``points`` (a difference of shares), ``""`` for a plain number, or the name of a unit.
        found: the measured value; None if it could not be measured.
        criterion: what decides; None for a quantity that is only reported.
        absent: why it could not be measured.
        paper: the paper's own number or words for this quantity, if it gives any.
    """

    quantity: str
    unit: str
    found: Estimate | None
    criterion: Criterion | None = None
    absent: str = ""
    paper: str = ""

    def __post_init__(self) -> None:
        if self.found is None and not self.absent:
            raise ValueError(f"check {self.quantity!r} has neither a value nor a reason why it is absent")

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`."""
        if self.found is None:
            return ABSENT
        return REPORTED if self.criterion is None else self.criterion.judge(self.found)

    @property
    def needed(self) -> int | None:
        """Samples that would decide an open check at the present spread; None if it is not open or none would."""
        if self.outcome != OPEN or self.found is None or self.criterion is None:
            return None
        return self.criterion.needed(self.found)

    @property
    def measured(self) -> str:
        """The value with its unit; empty if there is none."""
        return self.show(self.found.value) if self.found else ""

    @property
    def interval(self) -> str:
        """The interval and what it rests on, in brackets; empty if there is no value."""
        if self.found is None:
            return ""
        low, high = self.number(self.found.low), self.show(self.found.high)
        return f" (95 %: {low} to {high}; {self.found.basis})" if self.found.samples > 1 else f" ({self.found.basis})"

    @property
    def asked(self) -> str:
        """The criterion in words; empty if there is none."""
        return f"{self.criterion.relation} {self.show(self.criterion.threshold)}" if self.criterion else ""

    def number(self, number: float) -> str:
        """A number in the unit of this check, without the unit."""
        number = 100 * number if self.unit in PERCENT else number
        return f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"

    def show(self, number: float) -> str:
        """A number with the unit of this check."""
        shown, unit = self.number(number), PERCENT.get(self.unit, self.unit)
        return f"{shown} {unit.removesuffix('s') if shown == '1' else unit}".rstrip()


T = TypeVar("T", bound=Callable)


def shown_in(notebook: str) -> Callable[[T], T]:
    """Mark a claim's function with the notebook that shows it, so that a notebook need not judge all claims."""

    def mark(function: T) -> T:
        function.notebook = notebook  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with its evidence.

    Attributes:
        id: short name, also the anchor on the page.
        section: of the paper.
        title: the claim in a few words.
        sentence: the claim in words of this book.
        paper: the claim in the paper's own words.
        checks: the quantities that decide, and others that are only reported.
        notebook: the notebook that shows it, without ending.
        place: the figure there (its name, such as ``fig-encoder``) or the heading of the part that shows it.
        note: what a reader has to know about the measurement.
    """

    id: str
    section: str
    title: str
    sentence: str
    paper: str
    checks: tuple[Check, ...]
    notebook: str
    place: str
    note: str = ""

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, by one rule for all claims.

        Reproduced if every criterion holds; not measurable if none of the quantities could be measured; partly if some
        criteria hold and others fail; not reproduced if some fail and none holds; undecided if none fails, but one is
        open or could not be measured.
        """
        outcomes = {check.outcome for check in self.checks if check.criterion is not None}
        if outcomes == {HOLDS}:
            return REPRODUCED
        if outcomes == {ABSENT}:
            return NOT_MEASURABLE
        if FAILS in outcomes:
            return PARTLY if HOLDS in outcomes else NOT_REPRODUCED
        return UNDECIDED

    @property
    def needed(self) -> int | None:
        """Samples that would decide an undecided claim: the most that one of its open checks needs; None if unknown."""
        counts = [check.needed for check in self.checks if check.outcome == OPEN]
        return max((count for count in counts if count is not None), default=None)
