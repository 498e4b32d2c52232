"""Phase diagrams: training step against beta, coloured by algorithm (figure 3); the looks of developmental cases."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullLocator

from ..algorithms.order_parameters import PHASES
from ..development import CASE_NAMES, CASES, boundary, check_sweep, phase_grid, representatives
from . import style

COLUMNS = 6
WIDTH, CELL, HEIGHT = 8.0, 1.2, 0.85  # inches: figure, from panel to panel, panel height
LEFT = WIDTH - COLUMNS * CELL  # of the first panel

# Hue is not the only channel: memorised assignments are solid lines with dots, the others dashed with diamonds.
CASE_LOOKS = {
    case.name: {
        "color": colour,
        "linestyle": "-" if "memorised" in case.description else (0, (4, 1.5)),
        "marker": "o" if "memorised" in case.description else "D",
    }
    for case, colour in zip(CASES, style.CASES, strict=True)
}


def edges(values: np.ndarray) -> np.ndarray:
    """Edges ``(N + 1,)`` of cells around positive ``values`` ``(N,)``, half way between them on a logarithmic axis."""
    logs = np.log(np.asarray(values, dtype=float))
    half = np.diff(logs) / 2 if len(logs) > 1 else np.array([0.5])
    return np.exp(np.concatenate([[logs[0] - half[0]], logs[:-1] + half[: len(logs) - 1], [logs[-1] + half[-1]]]))


def final(sweep: pd.DataFrame) -> pd.DataFrame:
    """Rows at the last step of every seed, by seed and beta."""
    check_sweep(sweep, ("seed", "step", "beta"))
    return sweep[sweep["step"] == sweep.groupby("seed")["step"].transform("max")].sort_values(["seed", "beta"])


def groups(cases: pd.DataFrame) -> dict[str, list[int]]:
    """Case -> its seeds, for the cases that are present, in the order of `hyperlib.development.CASES`.

    Raises:
        ValueError: not a table of `hyperlib.development.cases`, or an empty one.
    """
    if not {"seed", "case"} <= set(cases) or not len(cases) or not set(cases["case"]) <= set(CASE_NAMES):
        raise ValueError("cases is not a table of hyperlib.development.cases with at least one seed")
    by_case = cases.groupby("case")["seed"].apply(list)
    return {name: sorted(by_case[name]) for name in CASE_NAMES if name in by_case}


def case_legend(fig: Figure, cases: pd.DataFrame) -> None:
    """The cases that are present, with their counts, below the axes."""
    handles = [
        Line2D([], [], label=f"{name} ({len(seeds)})", linewidth=2, **CASE_LOOKS[name])
        for name, seeds in groups(cases).items()
    ]
    columns = min(3 if fig.get_figwidth() >= WIDTH else 2, len(handles))
    fig.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=10, columnspacing=1.5)


def by_case(table: pd.DataFrame, cases: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The numbers of a figure: ``seed``, its ``case``, and ``columns`` of ``table``, case by case as in `groups`."""
    present = groups(cases)
    names = {seed: name for name, seeds in present.items() for seed in seeds}
    named = table.assign(case=table["seed"].map(names)).dropna(subset="case")
    place = named["case"].map(list(present).index)
    return named.iloc[np.argsort(place, kind="stable")][["seed", "case", *columns]]


def count(number: int, total: int) -> str:
    """``3 of 33 seeds``."""
    return f"{number} of {total} seed{'s' if total != 1 else ''}"


def beta_axis(axis: Axis) -> None:
    """Logarithmic ticks every fourth power of ten, without minor ones."""
    axis.set_major_locator(LogLocator(base=1e4, numticks=6))
    axis.set_minor_locator(NullLocator())


def plain_ticks(axis: Axis, limits: tuple[float, float], steps: Sequence[int] = (1, 2, 5)) -> None:
    """Ticks such as 1, 2, 5, 10, ..., written as plain numbers, on a logarithmic axis."""
    ticks = [step * 10.0**power for power in range(-4, 5) for step in steps]
    ticks = [tick for tick in ticks if limits[0] <= tick <= limits[1]]
    axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.set_minor_locator(NullLocator())


def phase_legend(fig: Figure, y: float | None = None) -> None:
    """The three algorithms in one line below the panels."""
    handles = [Patch(color=colour, label=name) for name, colour in style.PHASES.items()]
    place = {"loc": "outside lower center"} if y is None else {"loc": "center", "bbox_to_anchor": (0.5, y)}
    fig.legend(handles=handles, ncols=len(handles), **place)


def numbers(grid: pd.DataFrame) -> np.ndarray:
    """A phase grid as places in `PHASES`, betas x steps."""
    return pd.Index(PHASES).get_indexer(grid.to_numpy().ravel()).reshape(grid.shape).T


def paint(ax: Axes, grid: pd.DataFrame) -> None:
    """One phase diagram: step against beta."""
    colours = ListedColormap([style.PHASES[name] for name in PHASES])
    steps, betas = edges(grid.index.to_numpy()), edges(grid.columns.to_numpy())
    ax.pcolormesh(steps, betas, numbers(grid), cmap=colours, vmin=-0.5, vmax=len(PHASES) - 0.5, rasterized=True)
    ax.set(xscale="log", yscale="log", xlim=(steps[0], steps[-1]), ylim=(betas[0], betas[-1]))
    beta_axis(ax.yaxis)
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_minor_locator(NullLocator())


@style.figure
def phase_diagrams(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Phase diagrams of all seeds, sorted into developmental cases with their counts (figure 3).

    Args:
        sweep: table of a run.
        cases: its developmental cases, of `hyperlib.development.cases`.

    Raises:
        KeyError, ValueError: see `hyperlib.development.phase_grid` and `groups`.
    """
    present = groups(cases)
    gap, heading, ticks, below = 0.3, 0.3, 0.34, 0.72  # inches: seed titles, case titles, tick labels, legend
    rows = {name: math.ceil(len(seeds) / COLUMNS) for name, seeds in present.items()}
    height = below + sum(heading + ticks + n * (HEIGHT + gap) for n in rows.values())
    fig = style.blank(figsize=(WIDTH, height), layout="none")
    top = height
    for name, seeds in present.items():
        panel = CASES[CASE_NAMES.index(name)].panel
        paper = f" (the paper's case {panel})" if panel else ""
        title = f"{name}{paper}: {count(len(seeds), len(cases))}"
        fig.text(LEFT / WIDTH, (top - 0.75 * heading) / height, title, va="center", fontsize=12, weight="bold")
        top -= heading
        for k, seed in enumerate(seeds):
            row, column = divmod(k, COLUMNS)
            x, y = LEFT + column * CELL, top - (row + 1) * (HEIGHT + gap)
            ax = fig.add_axes((x / WIDTH, y / height, (CELL - 0.12) / WIDTH, HEIGHT / height))
            paint(ax, phase_grid(sweep, seed))
            ax.set_title(f"seed {seed}", fontsize=9, pad=3)
            # A panel has labels of the steps if there is none below it.
            ax.tick_params(labelsize=9, labelleft=column == 0, labelbottom=k + COLUMNS >= len(seeds), length=2)
            if column == 0:
                ax.set_ylabel("β", rotation=0, labelpad=8)
        top -= rows[name] * (HEIGHT + gap) + ticks
    fig.text((LEFT + WIDTH) / 2 / WIDTH, 0.55 / height, "training step", ha="center", va="center")
    phase_legend(fig, y=0.22 / height)
    fig.table = by_case(sweep, cases, "step", "beta", "phase")
    return fig


@style.figure
def phase_diagram_examples(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """One phase diagram per developmental case that is present, of the seed that stands for it (figure 3).

    The line is the boundary between convexity and the other algorithms (`hyperlib.development.boundary`).

    Raises:
        KeyError, ValueError: see `phase_diagrams`.
    """
    present, chosen = groups(cases), representatives(cases)
    columns = min(3, len(present))
    rows = math.ceil(len(present) / columns)
    width = {1: 4.6, 2: 6.4}.get(columns, WIDTH)
    fig, axes = style.subplots(
        rows, columns, figsize=(width, 2.6 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    parts = []
    for ax, (name, seeds) in zip(axes.flat, present.items(), strict=False):
        paint(ax, phase_grid(sweep, chosen[name]))
        edge = boundary(sweep, chosen[name])
        rows_of_seed = sweep[sweep["seed"] == chosen[name]]
        parts.append(rows_of_seed.assign(boundary=rows_of_seed["step"].map(edge)))
        ax.plot(edge.index, edge, color="white", linewidth=1.2, linestyle=":")
        panel = CASES[CASE_NAMES.index(name)].panel
        ax.set_title(f"{name}{f' ({panel})' if panel else ''}\nseed {chosen[name]}; {count(len(seeds), len(cases))}")
    for ax in axes.flat[len(present) :]:
        ax.axis("off")
    for ax in axes[-1, : len(present) - columns * (rows - 1)]:
        ax.set_xlabel("training step")
    for ax in axes[:, 0]:
        ax.set_ylabel("β")
    phase_legend(fig)
    fig.table = by_case(pd.concat(parts), cases, "step", "beta", "phase", "boundary")
    return fig
