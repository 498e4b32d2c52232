"""What a claim is made of: estimates with intervals, checks against criteria, and the verdict that follows."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest

REPRODUCED, PARTLY, DEPENDS, UNDECIDED = "reproduced", "partly", "depends on the setting", "undecided"
NOT_REPRODUCED, NOT_MEASURABLE, CONSTRUCTION = "not reproduced", "not measurable", "true by construction"
VERDICTS = (REPRODUCED, PARTLY, DEPENDS, UNDECIDED, NOT_REPRODUCED, NOT_MEASURABLE, CONSTRUCTION)
HOLDS, FAILS, OPEN, ABSENT, REPORTED = "holds", "fails", "open", "absent", "reported"
FREQUENCY, EXISTENCE, BUILT = "frequency", "existence", "construction"

LEVEL = 0.95
ENDS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)  # quantiles at which an interval ends
LEAST = 6  # units below which an interval decides nothing: the bootstrap is too narrow for so few
RESAMPLES = 2000
SEED = 20231206  # of the resampling
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.nanmean, "median": np.nanmedian, "sum": np.nansum}
PERCENT = {"share": "%", "points": "percentage points"}  # units that are shown as a hundred times the number
RELATIONS = {"at least": operator.ge, "at most": operator.le, "more than": operator.gt}


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; of one unit only, the ends are the value."""

    value: float
    low: float
    high: float
    samples: int  # independent units that it rests on; of two groups, those of the smaller one
    basis: str  # the units in words, such as ``33 seeds``


Found = Iterator[tuple[str, Estimate | None]]  # what a claim's function makes of one setting: key -> number


def estimate(
    values: ArrayLike, statistic: str | Callable[[np.ndarray], float] = "mean", of: str = "seed"
) -> Estimate | None:
    """A statistic of independent units with its interval, or None where there are no units.

    Of values that are all 0 or 1, mean and sum have the interval of Clopper and Pearson; everything else the percentile
    bootstrap over units ``of`` a kind. The statistic is ``mean``, ``median`` or ``sum``, or a function of the units'
    counts added up; values are then an array of counts per unit. ValueError if one is not finite.
    """
    rows = np.asarray(values, dtype=float)
    if not np.isfinite(rows).all():
        raise ValueError(f"the values are {rows.tolist()}; expected finite numbers")
    if not (count := len(rows)):
        return None
    basis = f"{count} {of}{'s' * (count != 1)}"
    if callable(statistic):
        value = float(statistic(rows.sum(0)))
        often = np.array([np.bincount(row, minlength=count) for row in _resampled(count)], dtype=float)
        found = np.array([statistic(total) for total in np.tensordot(often, rows, 1)])
    else:
        value = float(STATISTICS[statistic](rows))
        if statistic != "median" and count > 1 and np.isin(rows, (0, 1)).all():
            interval = binomtest(int(rows.sum()), count).proportion_ci(LEVEL)
            scale = count if statistic == "sum" else 1
            return Estimate(value, float(interval.low) * scale, float(interval.high) * scale, count, basis)
        found = STATISTICS[statistic](rows[_resampled(count)], axis=1)
    low, high = np.nanquantile(found, ENDS).tolist()
    return Estimate(value, low, high, count, basis)


def _resampled(count: int) -> np.ndarray:
    """Places of units drawn with replacement ``(RESAMPLES, count)``."""
    return np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))


def contrast(
    first: Mapping | pd.Series, second: Mapping | pd.Series, statistic: str = "mean", of: Sequence[str] = ("seeds", "")
) -> Estimate | None:
    """How much larger a statistic of the first group is than of the second; None if a group is empty.

    A seed may be in both groups: seeds are resampled, each with all it has, so that groups that overlap are not taken
    for independent ones. Where every seed of a comparison has both, take `paired`.
    """
    groups = [pd.Series(group, dtype=float).dropna() for group in (first, second)]
    sizes = [len(group) for group in groups]
    if not all(sizes):
        return None
    rows, measure = pd.concat(groups, axis=1).to_numpy(), STATISTICS[statistic]
    drawn = rows[_resampled(len(rows))]
    drawn = drawn[np.isfinite(drawn).any(1).all(1)]  # both groups are there
    low, high = np.nanquantile(np.subtract(*np.moveaxis(measure(drawn, axis=1), -1, 0)), ENDS).tolist()
    both = sum(sizes) - len(rows)
    basis = f"{sizes[0]} {of[0]} against {sizes[1]} {of[1]}".rstrip() + (f", {both} of them in both" if both else "")
    return Estimate(float(np.subtract(*measure(rows, axis=0))), low, high, min(sizes), basis)


def paired(first: Mapping | pd.Series, second: Mapping | pd.Series, statistic: str = "median") -> Estimate | None:
    """How much larger the first is than the second within seeds that have both; None if none has."""
    gaps = (pd.Series(first, dtype=float) - pd.Series(second, dtype=float)).dropna()
    return estimate(gaps.to_numpy(), statistic, "pair")


@dataclass(frozen=True)
class Criterion:
    """What a quantity has to be, fixed before it was measured; ``by_value`` for a question such as "is there any"."""

    relation: str  # one of `RELATIONS`
    threshold: float
    by_value: bool = False

    def met(self, number: float) -> bool:
        """Whether a number meets it."""
        return bool(RELATIONS[self.relation](number, self.threshold))

    def judge(self, found: Estimate) -> str:
        """``holds`` if the whole interval meets it, ``fails`` if the whole misses it; else, or of few units, ``open``.

        ``by_value`` the value decides alone.
        """
        met = {self.met(end) for end in ((found.value,) if self.by_value else (found.low, found.high))}
        decided = self.by_value or (len(met) == 1 and found.samples >= LEAST)
        return (HOLDS if met == {True} else FAILS) if decided else OPEN


@dataclass(frozen=True)
class Check:
    """One quantity of a claim in one setting."""

    key: str  # its name in the table of words
    quantity: str  # in words
    unit: str  # ``share``, ``points`` (a difference of shares), empty for a plain number, or the name of a unit
    found: Estimate | None  # None if it could not be measured
    criterion: Criterion | None = None  # None for a quantity that is only reported
    absent: str = ""  # why it could not be measured
    paper: str = ""  # the paper's own number or words

    @property
    def outcome(self) -> str:
        """``holds``, ``fails``, ``open``, ``absent`` or ``reported``."""
        if self.found is None:
            return ABSENT
        return REPORTED if self.criterion is None else self.criterion.judge(self.found)

    @property
    def needed(self) -> int | None:
        """Units that would decide an open check at the present spread; None if it is not open or none would."""
        if self.outcome != OPEN or not self.found or not self.criterion:
            return None
        gap, found = self.criterion.threshold - self.found.value, self.found
        end = found.low if gap < 0 else found.high  # whose distance falls with the square root of the number of units
        return max(LEAST, math.ceil(found.samples * ((end - found.value) / gap) ** 2)) if gap else None

    def against(self, other: Check) -> bool:
        """Whether two settings disagree beyond their intervals: on different sides of what is asked, and disjoint.

        Where the question is whether there is any, they do if it is only found in the other one.
        """
        if self.found is None or other.found is None or self.criterion is None:
            return False
        met, there = (self.criterion.met(found.value) for found in (self.found, other.found))
        if self.criterion.by_value:
            return there and not met
        apart = self.found.high < other.found.low or other.found.high < self.found.low
        return met != there and apart and min(self.found.samples, other.found.samples) >= LEAST

    @property
    def measured(self) -> str:
        """The value with its unit; empty if there is none."""
        return self.show(self.found.value) if self.found else ""

    @property
    def interval(self) -> str:
        """The interval and what it rests on, in brackets; empty if there is no value."""
        if self.found is None:
            return ""
        low, high = self.show(self.found.low).split()[0], self.show(self.found.high)
        return f" (95 %: {low} to {high}; {self.found.basis})" if self.found.samples > 1 else f" ({self.found.basis})"

    @property
    def asked(self) -> str:
        """The criterion in words; empty if there is none."""
        return f"{self.criterion.relation} {self.show(self.criterion.threshold)}" if self.criterion else ""

    def show(self, number: float) -> str:
        """A number with the unit of this check."""
        number, unit = (100 * number, PERCENT[self.unit]) if self.unit in PERCENT else (number, self.unit)
        shown = f"{number:,.0f}" if abs(number) >= 999.5 else f"{number:.3g}"
        return f"{shown} {unit.removesuffix('s') if shown == '1' else unit}".rstrip()

    def __str__(self) -> str:
        asked = f"; asked: {self.asked}, {self.outcome}" if self.criterion else ""
        return f"{self.quantity}: {self.measured or 'not measurable, ' + self.absent}{self.interval}{asked}"


def verdict_of(checks: tuple[Check, ...]) -> str:
    """The verdict in one setting, by one rule for all claims.

    Reproduced if every criterion holds; not measurable if none of the quantities could be measured; partly if some
    criteria hold and others fail; not reproduced if some fail and none holds; else undecided.
    """
    outcomes = {check.outcome for check in checks if check.criterion is not None}
    if outcomes == {HOLDS}:
        return REPRODUCED
    if outcomes <= {ABSENT}:
        return NOT_MEASURABLE
    if FAILS in outcomes:
        return PARTLY if HOLDS in outcomes else NOT_REPRODUCED
    return UNDECIDED


@dataclass(frozen=True)
class Claim:
    """A claim of the paper with its evidence in every setting."""

    id: str  # also the anchor on the page
    section: str  # of the paper
    title: str  # in a few words
    sentence: str  # in words of this book
    paper: str  # in the paper's own words
    kind: str  # ``frequency``, ``existence`` (is there any) or ``construction`` (true by the way it is measured)
    notebook: str  # that shows it, without ending
    place: str  # the figure there, such as ``fig-encoder``, or the heading of the part
    judged: str = ""  # what a reader has to know about the measurement
    changed: str = ""  # against the rules of the first release, and why
    settings: dict[str, tuple[Check, ...]] = field(default_factory=dict)  # the one that decides first

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of the setting that decides."""
        return next(iter(self.settings.values()))

    def __getitem__(self, key: str) -> Check:
        """A check of the setting that decides, by its key."""
        return next(check for check in self.checks if check.key == key)

    @property
    def verdicts(self) -> dict[str, str]:
        """Name of a setting -> verdict there."""
        return {name: verdict_of(checks) for name, checks in self.settings.items()}

    @property
    def disagreements(self) -> list[tuple[str, Check, Check]]:
        """Name of another setting, check that decides, and its counterpart there, where they disagree."""
        others = {name: zip(self.checks, checks, strict=True) for name, checks in self.settings.items()}
        return [(name, one, two) for name, pairs in others.items() for one, two in pairs if one.against(two)]

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`: that of the main release, unless another setting disagrees beyond its interval."""
        if self.kind == BUILT:
            return CONSTRUCTION
        return DEPENDS if self.disagreements else verdict_of(self.checks)

    def __str__(self) -> str:
        parts = [f"{self.verdict}: {self.sentence}"]
        for name, checks in self.settings.items():
            parts += [f"  {name} ({self.verdicts[name]})", *(f"    {check}" for check in checks)]
        return "\n".join(parts)
