"""Phase grids and developmental cases: how the algorithms develop along training and beta (section 2.3, figure 3).

All functions take the table of a run (`hyperlib.sweeps`, with the columns ``seed`` and ``step``). An algorithm is what
the structure of the first layer says (`hyperlib.algorithms.structure`). The rule that sorts seeds into cases uses
structures and KL only, never the loss:

1. A phase *counts* at a beta if it holds there at two consecutive snapshots, or at the last one.
2. A seed is *collapsed* if its KL at the last step is below `CLOSED_KL` nats at every beta.
3. Collapsed, and pudding at more than half of the betas at the last step: ``random pudding``, the paper's case 3d.
4. Collapsed, and double-sided at more than half of them: ``random double-sided``.
5. Collapsed, and random with heavy tails at more than half of them: ``random, heavy-tailed``, which the paper counts as
   convexity (a D with two modes).
6. Else ``convexity only``, if pudding and double-sided ever count at no more than 2 of 30 betas.
7. Else, if not collapsed, by the phase at low beta, which is the most common one among the lowest third of the betas at
   the last step: pudding is ``pudding at all beta`` if the highest beta ends as pudding too and ``pudding at low beta``
   if not; double-sided is ``pudding, then double-sided`` if pudding counts before at more than half of those low
   betas that end as double-sided, and ``double-sided at low beta`` if not.
8. What remains is ``other``: collapsed with no algorithm at more than half of the betas, or back at convexity.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.algorithms.structure import HEAVY, STRUCTURES
from hyperlib.sweeps import CLOSED_KL

LOW = 1 / 3  # share of the betas that are low
STRAY = 2 / 30  # share of the betas at which a seed of convexity only may be something else


class DevelopmentalCase(NamedTuple):
    """A way to develop (figure 3): its name, what happens in a line, and its panel there, empty for those of our own.

    The paper's text names (d) alone; the letters of the other four ways, which it describes, are in the order of
    `CASES`.
    """

    name: str
    description: str
    panel: str = ""


CASES = (
    DevelopmentalCase("pudding at low beta", "memorised pudding at low beta, something else at the highest", "a"),
    DevelopmentalCase("pudding at all beta", "memorised pudding at low beta, pudding up to the highest", "b"),
    DevelopmentalCase("pudding, then double-sided", "memorised; pudding turns into double-sided at low beta", "c"),
    DevelopmentalCase("random pudding", "pudding with a random assignment: almost no KL at any beta", "d"),
    DevelopmentalCase("double-sided at low beta", "memorised; convexity turns into double-sided at low beta", "e"),
    DevelopmentalCase("random double-sided", "double-sided with a random assignment: almost no KL at any beta"),
    DevelopmentalCase("random, heavy-tailed", "few strong connections of both signs among many weak ones, no KL"),
    DevelopmentalCase("convexity only", "hardly any pudding or double-sided: convexity, or on the way out of it"),
    DevelopmentalCase("other", "collapsed with no prevailing algorithm, or back at convexity"),
)
RANDOM = {PUDDING: "random pudding", DOUBLE_SIDED: "random double-sided", HEAVY: "random, heavy-tailed"}
CASE_NAMES = tuple(case.name for case in CASES)
# The name behind its letter, if there is one: ``(d) random pudding``.
LABELS = {case.name: f"({case.panel}) {case.name}" if case.panel else case.name for case in CASES}


def algorithm(sweep: pd.DataFrame) -> str:
    """The column that says which algorithm a network computes: ``structure``, or ``phase`` where there is none."""
    return "structure" if "structure" in sweep else "phase"


def phase_grid(sweep: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Names of the phases of one seed (see `algorithm`), steps x betas, both ascending: a panel of figure 3."""
    return sweep[sweep["seed"] == seed].pivot(index="step", columns="beta", values=algorithm(sweep))


def lasting(grid: pd.DataFrame) -> pd.DataFrame:
    """Where a phase counts, bool: where it is that of the snapshot before or after, and at the last snapshot."""
    counts = (grid == grid.shift()) | (grid == grid.shift(-1))
    counts.iloc[-1] = True
    return counts


def cases(sweep: pd.DataFrame) -> pd.DataFrame:
    """The developmental case of every seed, by the rule at the head of this module.

    One row per seed, ascending: ``seed``; ``case``, one of `CASES`; ``collapsed``; ``phase_low``, ``phase_high``, the
    phase at low beta and at the highest one; ``pudding_share``, ``double_sided_share``: shares of the betas at which
    the phase ever counts; ``convexity_first``: whether all betas start as convexity; at the last step ``kl_max``, the
    largest KL in nats, and values at the lowest beta, ``kl_low, loss_low, loss_without_encoder_low, alpha_3_low``.
    """
    values, rows = ["kl", "loss", "loss_without_encoder", "alpha_3"], []
    for seed, table in sweep.groupby("seed"):
        last = table[table["step"] == table["step"].max()].sort_values("beta")
        grid = phase_grid(table, seed)
        names, counts, kl_max = grid.to_numpy(), lasting(grid).to_numpy(), float(last["kl"].max())
        end, low = names[-1], max(1, round(LOW * names.shape[1]))
        ever = {name: ((names == name) & counts).any(0) for name in (PUDDING, DOUBLE_SIDED)}
        doubles, collapsed = end == DOUBLE_SIDED, kl_max < CLOSED_KL
        phase_low = max(STRUCTURES, key=[*end[:low]].count)
        prevailing = [case for name, case in RANDOM.items() if collapsed and (end == name).mean() > 0.5]
        if prevailing:
            case = prevailing[0]
        elif (ever[PUDDING] | ever[DOUBLE_SIDED]).mean() <= STRAY:
            case = "convexity only"
        elif collapsed or phase_low not in ever:
            case = "other"
        elif phase_low == PUDDING:
            case = "pudding at all beta" if end[-1] == PUDDING else "pudding at low beta"
        else:
            # Pudding that counts at a beta whose last snapshot is double-sided has come before it.
            after_pudding = (ever[PUDDING] & doubles)[:low].sum() > doubles[:low].sum() / 2
            case = "pudding, then double-sided" if after_pudding else "double-sided at low beta"
        shares = [counted.mean() for counted in ever.values()]
        first, lowest = (names[0] == CONVEXITY).all(), last[values].iloc[0]
        rows.append((seed, case, collapsed, phase_low, end[-1], *shares, first, kl_max, *lowest))
    columns = ["seed", "case", "collapsed", "phase_low", "phase_high", "pudding_share", "double_sided_share"]
    return pd.DataFrame(rows, columns=[*columns, "convexity_first", "kl_max", *(f"{name}_low" for name in values)])


def representatives(table: pd.DataFrame) -> dict[str, int]:
    """Case -> seed that stands for it, in the order of `CASES`: neither the best nor the worst.

    It has the median loss at the lowest beta (of an even number, the lower of the middle two).
    """
    groups = table.sort_values("loss_low", kind="stable").groupby("case")["seed"]
    chosen = {name: int(seeds.iloc[(len(seeds) - 1) // 2]) for name, seeds in groups}
    return {name: chosen[name] for name in CASE_NAMES if name in chosen}


def paths(grid: pd.DataFrame, kept: pd.DataFrame) -> list[list[str]]:
    """The algorithms that every beta goes through, in their order; with several snapshots of one, it stands repeatedly.

    Of the snapshots of a `phase_grid`, those that are ``kept`` count (`lasting`). Random weights with heavy tails count
    as convexity, as in the paper; what is unclear is left out.
    """
    names = grid.replace(HEAVY, CONVEXITY).where(kept)
    return [[name for name in names[beta] if name in PHASES] for beta in names.columns]


def transitions(sweep: pd.DataFrame) -> pd.DataFrame:
    """Counts of what the networks do between consecutive snapshots at a fixed seed and beta, all seeds together.

    Phase before (rows) x phase after (columns), both all of `PHASES`: below the diagonal are the ways back. Snapshots
    are those whose phase counts, so that a network that flickers on a boundary does not look like one that turns back.
    """
    grids = [phase_grid(sweep, seed) for seed in sweep["seed"].unique()]
    counts = Counter(pair for grid in grids for path in paths(grid, lasting(grid)) for pair in pairwise(path))
    return pd.DataFrame([[counts[before, after] for after in PHASES] for before in PHASES], PHASES, PHASES)


def boundary(sweep: pd.DataFrame, seed: int) -> pd.Series:
    """Largest beta below which the networks have an algorithm, per step; NaN where none has (section 2.3).

    The boundary is the cut that most betas agree with: pudding or double-sided (or between the two) up to it, random
    weights above. Of equally good cuts it is the highest.
    """
    # Agreement of a cut after each beta, up to a constant; it is 0 before the lowest.
    agreement = (1 - 2 * phase_grid(sweep, seed).isin((CONVEXITY, HEAVY))).cumsum(axis=1)
    agreement.insert(0, np.nan, 0)
    return agreement.iloc[:, ::-1].idxmax(axis=1).rename("boundary")


def rate_distortion(sweep: pd.DataFrame, kls: Iterable[float]) -> pd.DataFrame:
    """Loss at given KLs, in nats, of every seed and algorithm: what an algorithm makes of the information it is given.

    Columns ``seed, algorithm, kl, loss``: interpolated, linearly in the logarithms, between the networks of a seed that
    are of one algorithm at the last step, and only where the KL lies between that of two of them.
    """
    rows, points = [], np.log([*kls])
    last = sweep[(sweep["step"] == sweep["step"].max()) & (sweep["kl"] > 0)]
    for (seed, kind), part in last.groupby(["seed", algorithm(sweep)]):
        part = part.sort_values("kl")
        kl, loss = np.log(part["kl"].to_numpy()), np.log(part["loss"].to_numpy())
        inside = points[(points >= kl[0]) & (points <= kl[-1])]
        rows += [(seed, kind, np.exp(k), np.exp(v)) for k, v in zip(inside, np.interp(inside, kl, loss), strict=True)]
    return pd.DataFrame(rows, columns=["seed", "algorithm", "kl", "loss"])


def crossing(curves: pd.DataFrame) -> float:
    """KL in nats above which double-sided has the lower median loss, and below which pudding has.

    It is the cut that most KLs of the curves of `rate_distortion` agree with, where both have three seeds, or NaN.
    """
    if not {PUDDING, DOUBLE_SIDED} <= set(curves["algorithm"]):
        return float("nan")
    counted = curves.groupby(["kl", "algorithm"])["loss"].agg(["median", "count"]).unstack()
    medians = counted["median"][(counted["count"][[PUDDING, DOUBLE_SIDED]] >= 3).all(axis=1)]
    sides = np.where(medians[DOUBLE_SIDED] < medians[PUDDING], -1, 1)
    cut = int(np.concatenate([[0], sides.cumsum()]).argmax())
    return float(medians.index[cut]) if 0 < cut < len(sides) else float("nan")
