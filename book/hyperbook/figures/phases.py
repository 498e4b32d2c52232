"""Phase diagrams: training step against beta, coloured by algorithm and shaded by loss (figure 3); boundaries."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from hyperlib.algorithms.structure import STRUCTURES
from hyperlib.figures import style

from ..report.text import number, plain
from ..studies.development import LABELS, boundary, phase_grid, representatives
from .shared import CASE_LOOKS, WIDTH, beta_axis, by_case, case_legend, count, groups, rows_and_columns

COLUMNS = 5
DEPTH = (0.01, 0.5)  # losses at which a phase diagram's colours are full and at their palest
KEY = (0.3, 0.1, 0.03, 0.01)  # losses named below the key of the shades
PALEST = 0.18  # share of the full colour
CELL, HEIGHT = 1.44, 0.85  # inches: from panel to panel, panel height
THOUSANDS = EngFormatter(sep="")  # 36k for 36,000 steps
LEFT = WIDTH - COLUMNS * CELL  # of the first panel


def shades(names: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Colours ``(..., 3)`` of algorithms and losses ``(...)``: the hue is the algorithm, the depth how well it works.

    On a logarithmic scale; a loss of `DEPTH`'s first value or less is full, one of its second or more the palest.
    """
    hues = np.stack(np.vectorize(lambda name: to_rgb(style.STRUCTURES[name]))(names), -1)
    best, worst = np.log(DEPTH)
    depth = np.nan_to_num(np.clip((worst - np.log(losses)) / (worst - best), 0, 1))[..., None]
    return 1 - (PALEST + (1 - PALEST) * depth) * (1 - hues)


def paint_phases(fig: Figure, place: Sequence[float], sweep: pd.DataFrame, seed: int, first: bool) -> Axes:
    """One phase diagram: step against beta, coloured by algorithm and shaded by loss.

    The place is left, bottom, width and height in inches; the ``first`` of a row has labels of beta.
    """
    grid = phase_grid(sweep, seed)
    losses = sweep[sweep["seed"] == seed].pivot(index="step", columns="beta", values="loss")
    ax = fig.add_axes(np.array(place) / np.tile(fig.get_size_inches(), 2))
    steps, betas = np.array([0.0, *grid.index]), grid.columns.to_numpy()  # a cell ends at its snapshot
    inner = np.sqrt(betas[1:] * betas[:-1])
    edges = [betas[0] ** 2 / inner[0], *inner, betas[-1] ** 2 / inner[-1]]
    ax.pcolormesh(steps, edges, shades(grid.to_numpy().T, losses.to_numpy().T), rasterized=True)
    ax.set(yscale="log", xlim=(0, steps[-1]), ylim=(edges[0], edges[-1]))
    beta_axis(ax.yaxis)
    ax.set_ylabel("β" if first else "", rotation=0, labelpad=8)
    ax.set_xticks([0, steps[-1]])
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.tick_params(labelleft=first)
    return ax


def shade_key(fig: Figure) -> None:
    """What hue and depth mean: a strip per algorithm, from the palest to the full colour, with losses below."""
    height = fig.get_figheight()
    ax = fig.add_axes((0.37, 0.48 / height, 0.34, 0.85 / height))
    losses = np.geomspace(DEPTH[1], DEPTH[0], 24)
    ax.imshow(shades(np.array(STRUCTURES)[:, None], losses), aspect="auto", extent=(0, 1, len(STRUCTURES), 0))
    ax.set_yticks(np.arange(len(STRUCTURES)) + 0.5, labels=list(STRUCTURES))
    ax.set_xticks(np.log(DEPTH[1] / np.array(KEY)) / np.log(DEPTH[1] / DEPTH[0]), labels=[f"{loss:g}" for loss in KEY])
    ax.tick_params(length=0, labelsize=10)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("loss", labelpad=1, fontsize=10.5)


@style.figure
def phase_diagrams(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Phase diagrams of all seeds of a sweep, by case (`hyperbook.studies.development.cases`), with counts."""
    present = groups(cases)
    gap, heading, ticks, below = 0.3, 0.34, 0.34, 1.6  # inches: seed titles, case titles, tick labels, key
    rows = {name: math.ceil(len(seeds) / COLUMNS) for name, seeds in present.items()}
    top = height = below + sum(heading + ticks + n * (HEIGHT + gap) for n in rows.values())
    fig = style.blank(figsize=(WIDTH, height), layout="none")
    for name, seeds in present.items():
        title = f"{LABELS[name]}: {count(len(seeds), len(cases))}"
        fig.text(LEFT / WIDTH, (top - 0.75 * heading) / height, title, va="center", fontsize=12, weight="bold")
        top -= heading
        for k, seed in enumerate(seeds):
            row, column = divmod(k, COLUMNS)
            place = LEFT + column * CELL, top - (row + 1) * (HEIGHT + gap), CELL - 0.14, HEIGHT
            ax = paint_phases(fig, place, sweep, seed, column == 0)
            ax.set_title(f"seed {seed}", fontsize=10, pad=3)
            # A panel has labels of the steps if there is none below it.
            ax.tick_params(labelsize=10, labelbottom=k + COLUMNS >= len(seeds), length=2)
            for label, side in zip(ax.get_xticklabels(), ("left", "right"), strict=False):
                label.set_horizontalalignment(side)
        top -= rows[name] * (HEIGHT + gap) + ticks
    fig.text((LEFT + WIDTH) / 2 / WIDTH, (below - 0.12) / height, "training step", ha="center", va="center")
    shade_key(fig)
    alike = sum(phase_grid(sweep, seed).iloc[-1].nunique() == 1 for seed in cases["seed"])
    fig.finding = f"{count(alike, len(cases))} end with one algorithm at every price, {len(cases) - alike} with several"
    fig.table = by_case(sweep, cases, "step", "beta", "phase", "loss")
    return fig


@style.figure
def phase_diagram_examples(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """One phase diagram per developmental case that is present, of the seed that stands for it (figure 3)."""
    chosen, counts = representatives(cases), cases["case"].value_counts()
    rows, columns = rows_and_columns(len(chosen))
    left, cell, high, row, below = 0.85, 2.38, 1.7, 2.57, 1.65  # inches
    height = below + rows * row
    fig = style.blank(figsize=(max(left + columns * cell, 5.2), height), layout="none")
    for k, (name, seed) in enumerate(chosen.items()):
        place = left + k % columns * cell, height - (k // columns + 1) * row + 0.25, cell - 0.25, high
        ax = paint_phases(fig, place, sweep, seed, k % columns == 0)
        ax.set_title(f"{LABELS[name]}\nseed {seed}; {count(counts[name], len(cases))}", fontsize=11.5)
        if k + columns >= len(chosen):
            ax.set_xlabel("training step", labelpad=-4)
    shade_key(fig)
    fig.finding = f"{count(int(cases['convexity_first'].sum()), len(cases))} began as convexity at every price"
    fig.table = by_case(sweep[sweep["seed"].isin(chosen.values())], cases, "step", "beta", "phase", "loss")
    return fig


@style.figure
def boundary_lines(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """The boundary in beta along training, a thin line per seed that pays for information, and their median (2.3)."""
    paid = cases.loc[~cases["collapsed"], "seed"]
    lines = pd.DataFrame({seed: boundary(sweep, seed) for seed in paid}, sorted(sweep["step"].unique()), dtype=float)
    long = lines.rename_axis("step").melt(var_name="seed", value_name="boundary", ignore_index=False).reset_index()
    fig, ax = style.subplots(figsize=(WIDTH, 3.8))
    fig.table = by_case(long, cases, "step", "boundary")
    # A seed that is convexity everywhere has its boundary below all betas, which a median may count so.
    median = lines.fillna(0.0).median(axis=1)
    if (median > 0).any():
        half = median[median.index <= max(median.index[-1] / 2, median.index[0])]
        ends = (median[median > 0].iloc[0], half.iloc[-1], median.iloc[-1])
        first, middle, last = (plain(number(beta, 1)) if beta > 0 else "below all prices" for beta in ends)
        fig.finding = f"Median boundary in β: first {first}, half-way {middle}, last {last}"
        for (name, _), line in fig.table.groupby(["case", "seed"]):
            looks = CASE_LOOKS[name] | {"marker": "", "drawstyle": "steps-pre", "linewidth": 1, "alpha": 0.6}
            ax.plot(line["step"], line["boundary"], **looks)
        ax.plot(median.index, median.where(median > 0), drawstyle="steps-pre", color=style.TEXT, linewidth=2.6)
        ax.annotate("median", (median.index[-1], median.iloc[-1]), (6, 0), textcoords="offset points", va="center")
        case_legend(fig, cases[~cases["collapsed"]], markers=False)
    else:
        ax.text(0.5, 0.5, "no seed of this run has a boundary", transform=ax.transAxes, ha="center")
    ax.set(yscale="log", xlabel="training step", ylabel="β below which convexity ends")
    ax.set(ylim=(sweep["beta"].min(), sweep["beta"].max()), xlim=(0, sweep["step"].max() * 1.09))
    beta_axis(ax.yaxis)
    ax.xaxis.set_major_formatter(THOUSANDS)
    ax.grid(True)
    return fig
