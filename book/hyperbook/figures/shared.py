"""What figures of seeds share: width, axes, the looks of developmental cases, and the rows that they draw."""

import math
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullLocator

from hyperlib.figures import style

from ..studies.development import CASE_NAMES, CASES

WIDTH = 8.0  # inches, of a figure as wide as the page

CASE_COLOURS = ("#009e73", "#b07d00", "#8a63d2", "#c44e9b", "#0072b2", "#2a93a3", "#99724d", "#d55e00", style.OTHER)
CASE_LOOKS: dict[str, dict[str, Any]] = {}
for case, colour in zip(CASES, CASE_COLOURS, strict=True):  # hue is not the only channel
    line, marker = ("-", "o") if "memorised" in case.description else ((0, (4, 1.5)), "D")
    CASE_LOOKS[case.name] = {"color": colour, "linestyle": line, "marker": marker}


def final(sweep: pd.DataFrame) -> pd.DataFrame:
    """Rows at the last step of every seed, by seed and beta."""
    return sweep[sweep["step"] == sweep.groupby("seed")["step"].transform("max")].sort_values(["seed", "beta"])


def groups(cases: pd.DataFrame) -> dict[str, list[int]]:
    """Case -> its seeds, of a table of `hyperbook.studies.development.cases`, in the order of `CASES`."""
    by_case = cases.groupby("case")["seed"].apply(list)
    return {name: sorted(by_case[name]) for name in CASE_NAMES if name in by_case}


def case_lines(ax: plt.Axes, table: pd.DataFrame, x: str, y: str, markers: bool = True, **looks: Any) -> None:
    """A line per seed in the looks of its case, in the order of the rows; ``table`` is of `by_case`."""
    columns = pd.DataFrame(CASE_LOOKS).T
    kinds = {"palette": columns["color"].to_dict(), "markers": columns["marker"].to_dict() if markers else None}
    kinds["dashes"] = {name: "" if line == "-" else line[1] for name, line in columns["linestyle"].items()}
    per_seed = {"units": "seed", "estimator": None, "sort": False, "legend": False}
    thin = {"linewidth": 1, "alpha": 0.8, "markersize": 3, "markeredgewidth": 0} | looks
    sns.lineplot(table, x=x, y=y, hue="case", style="case", ax=ax, **kinds, **per_seed, **thin)


def case_legend(fig: plt.Figure, cases: pd.DataFrame, markers: bool = True) -> None:
    """The cases that are present, with their counts, below the axes."""
    plain = {} if markers else {"marker": ""}
    labels = {name: f"{name} ({len(seeds)})" for name, seeds in groups(cases).items()}
    handles = [plt.Line2D([], [], label=text, linewidth=2, **CASE_LOOKS[name] | plain) for name, text in labels.items()]
    columns = min(3 if fig.get_figwidth() >= WIDTH else 2, len(handles))
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=10, columnspacing=1.5)


def by_case(table: pd.DataFrame, cases: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The numbers of a figure: ``seed``, its ``case``, and ``columns`` of ``table``, case by case as in `groups`."""
    named = table.assign(case=table["seed"].map(cases.set_index("seed")["case"])).dropna(subset="case")
    named = named.sort_values("case", key=lambda case: case.map(CASE_NAMES.index), kind="stable")
    return named[["seed", "case", *columns]]


def count(number: int, total: int) -> str:
    """``3 of 33 seeds``."""
    return f"{number} of {total} seed{'s' if total != 1 else ''}"


def rows_and_columns(panels: int) -> tuple[int, int]:
    """Columns leave no row of panels nearly empty: three, but two for four panels or fewer than three."""
    columns = min(2 if panels == 4 else 3, panels)
    return math.ceil(panels / columns), columns


def by_payment(cases: pd.DataFrame, values: pd.Series) -> str:
    """Medians of ``values``, by seed, over the seeds that pay for information and over the others, in words."""
    parts = {"where information is paid for": ~cases["collapsed"], "where not": cases["collapsed"]}
    medians = {who: values.reindex(cases.loc[some, "seed"]).median() for who, some in parts.items() if some.any()}
    return ", ".join(f"{short(median)} {who}" for who, median in medians.items())


def short(value: float) -> str:
    """Three significant digits, in full: ``24,300`` rather than ``2.43e+04``."""
    return f"{float(f'{value:.3g}'):,.10g}"


def beta_axis(axis: Axis) -> None:
    """Logarithmic ticks every fourth power of ten, without minor ones."""
    axis.set_major_locator(LogLocator(base=1e4, numticks=6))
    axis.set_minor_locator(NullLocator())


def plain_ticks(axis: Axis, *steps: float) -> None:
    """Ticks such as 1, 2, 5, 10, ..., or at other steps, written as plain numbers, on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=steps or (1, 2, 5), numticks=99))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
