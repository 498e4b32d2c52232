"""Phase diagrams: training step against beta, coloured by algorithm and shaded by loss (figure 3); boundaries and
transitions.

What is wrong with a sweep or with its cases, `hyperbook.studies.development.phase_grid` and `groups` say (KeyError,
ValueError).
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hyperlib.algorithms.structure import STRUCTURES
from hyperlib.figures import style

from ..report.text import number, plain
from ..studies.development import LABELS, boundary, phase_grid, representatives
from .shared import CASE_LOOKS, WIDTH, beta_axis, by_case, case_legend, columns_for, count, edges, groups

COLUMNS = 5
DEPTH = (0.01, 0.5)  # losses at which a phase diagram's colours are full and at their palest
KEY = (0.3, 0.1, 0.03, 0.01)  # losses named below the key of the shades
PALEST = 0.18  # share of the full colour
CELL, HEIGHT = 1.44, 0.85  # inches: from panel to panel, panel height
LEFT = WIDTH - COLUMNS * CELL  # of the first panel


def numbers(grid: pd.DataFrame) -> np.ndarray:
    """A phase grid as places in `STRUCTURES`, betas x steps."""
    return pd.Index(STRUCTURES).get_indexer(grid.to_numpy().ravel()).reshape(grid.shape).T


def shades(grid: pd.DataFrame, losses: pd.DataFrame | None = None) -> np.ndarray:
    """Colours ``(betas, steps, 3)`` of a phase grid: the hue is the algorithm, the depth how well it works.

    Full depth is a loss of `DEPTH`'s first value or less, the palest shade one of its second or more; without losses
    every colour is full.
    """
    hues = np.array([to_rgb(style.STRUCTURES[name]) for name in STRUCTURES])[numbers(grid)]
    if losses is None:
        return hues
    found = depth(losses.reindex(index=grid.index, columns=grid.columns).to_numpy(dtype=float).T)
    return 1 - (PALEST + (1 - PALEST) * found[..., None]) * (1 - hues)


def depth(losses: np.ndarray) -> np.ndarray:
    """How deep the colour of a loss is, from 0, the palest, to 1, along the logarithm between the ends of `DEPTH`."""
    best, worst = np.log(DEPTH)
    return np.nan_to_num(np.clip((worst - np.log(losses)) / (worst - best), 0, 1))


def paint_phases(ax: Axes, sweep: pd.DataFrame, seed: int) -> None:
    """One phase diagram: step against beta, coloured by algorithm and, where the sweep has losses, shaded by them."""
    grid = phase_grid(sweep, seed)
    rows = sweep[sweep["seed"] == seed]
    losses = rows.pivot(index="step", columns="beta", values="loss") if "loss" in rows else None
    steps, betas = np.array([0.0, *grid.index]), edges(grid.columns.to_numpy())  # a cell ends at its snapshot
    ax.pcolormesh(steps, betas, shades(grid, losses), rasterized=True)
    ax.set(yscale="log", xlim=(0, steps[-1]), ylim=(betas[0], betas[-1]))
    beta_axis(ax.yaxis)
    ax.set_xticks([0, steps[-1]], labels=["0", thousands(steps[-1])])


def thousands(step: float) -> str:
    """``36k`` for 36,000; small numbers as they are."""
    return f"{step / 1000:g}k" if step >= 1000 else f"{step:g}"


def shade_key(fig: Figure, place: tuple[float, float, float, float]) -> None:
    """What hue and depth mean: a strip per algorithm, from the palest to the full colour, with losses below."""
    ax = fig.add_axes(place)
    losses = np.geomspace(DEPTH[1], DEPTH[0], 24)
    frame = pd.DataFrame([[name] * len(losses) for name in STRUCTURES], columns=losses)
    values = pd.DataFrame([losses] * len(STRUCTURES), columns=losses)
    ax.imshow(shades(frame.T, values.T), aspect="auto", extent=(0, 1, len(STRUCTURES), 0))
    ax.set_yticks(np.arange(len(STRUCTURES)) + 0.5, labels=list(STRUCTURES))
    where = [np.log(DEPTH[1] / loss) / np.log(DEPTH[1] / DEPTH[0]) for loss in KEY]
    ax.set_xticks(where, labels=[f"{loss:g}" for loss in KEY])
    ax.tick_params(length=0, labelsize=10)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("loss", labelpad=1, fontsize=10.5)


@style.figure
def phase_diagrams(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """Phase diagrams of all seeds of a sweep, by case (`hyperbook.studies.development.cases`), with counts."""
    present = groups(cases)
    gap, heading, ticks, below = 0.3, 0.34, 0.34, 1.6  # inches: seed titles, case titles, tick labels, key
    rows = {name: math.ceil(len(seeds) / COLUMNS) for name, seeds in present.items()}
    height = below + sum(heading + ticks + n * (HEIGHT + gap) for n in rows.values())
    fig = style.blank(figsize=(WIDTH, height), layout="none")
    top = height
    for name, seeds in present.items():
        title = f"{LABELS[name]}: {count(len(seeds), len(cases))}"
        fig.text(LEFT / WIDTH, (top - 0.75 * heading) / height, title, va="center", fontsize=12, weight="bold")
        top -= heading
        for k, seed in enumerate(seeds):
            row, column = divmod(k, COLUMNS)
            x, y = LEFT + column * CELL, top - (row + 1) * (HEIGHT + gap)
            ax = fig.add_axes((x / WIDTH, y / height, (CELL - 0.14) / WIDTH, HEIGHT / height))
            paint_phases(ax, sweep, seed)
            ax.set_title(f"seed {seed}", fontsize=10, pad=3)
            # A panel has labels of the steps if there is none below it.
            ax.tick_params(labelsize=10, labelleft=column == 0, labelbottom=k + COLUMNS >= len(seeds), length=2)
            for label, side in zip(ax.get_xticklabels(), ("left", "right"), strict=False):
                label.set_horizontalalignment(side)
            if column == 0:
                ax.set_ylabel("β", rotation=0, labelpad=8)
        top -= rows[name] * (HEIGHT + gap) + ticks
    fig.text((LEFT + WIDTH) / 2 / WIDTH, (below - 0.12) / height, "training step", ha="center", va="center")
    shade_key(fig, (0.38, 0.48 / height, 0.34, 0.85 / height))
    alike = sum(phase_grid(sweep, seed).iloc[-1].nunique() == 1 for seed in cases["seed"])
    fig.finding = f"{count(alike, len(cases))} end with one algorithm at every price, {len(cases) - alike} with several"
    fig.table = by_case(sweep, cases, *[name for name in ("step", "beta", "phase", "loss") if name in sweep])
    return fig


@style.figure
def phase_diagram_examples(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """One phase diagram per developmental case that is present, of the seed that stands for it (figure 3)."""
    present, chosen = groups(cases), representatives(cases)
    columns = columns_for(len(present))
    rows = math.ceil(len(present) / columns)
    left, cell, high, heading, below = 0.85, 2.38, 1.7, 0.62, 1.65  # inches
    width, height = max(left + columns * cell, 5.2), below + rows * (high + heading + 0.25)
    fig = style.blank(figsize=(width, height), layout="none")
    for k, (name, seeds) in enumerate(present.items()):
        row, column = divmod(k, columns)
        x, y = left + column * cell, height - (row + 1) * (high + heading + 0.25) + 0.25
        ax = fig.add_axes((x / width, y / height, (cell - 0.25) / width, high / height))
        paint_phases(ax, sweep, chosen[name])
        ax.set_title(f"{LABELS[name]}\nseed {chosen[name]}; {count(len(seeds), len(cases))}", fontsize=11.5)
        ax.tick_params(labelleft=column == 0)
        if column == 0:
            ax.set_ylabel("β")
        if k + columns >= len(present):
            ax.set_xlabel("training step", labelpad=-4)
    shade_key(fig, (0.36, 0.48 / height, 0.34, 0.85 / height))
    fig.finding = f"{count(int(cases['convexity_first'].sum()), len(cases))} began as convexity at every price"
    parts = [sweep[sweep["seed"] == chosen[name]] for name in present]
    fig.table = by_case(pd.concat(parts), cases, *[name for name in ("step", "beta", "phase", "loss") if name in sweep])
    return fig


@style.figure
def boundary_lines(sweep: pd.DataFrame, cases: pd.DataFrame) -> Figure:
    """The boundary in beta along training, a thin line per seed that pays for information, and their median (2.3)."""
    paid = cases[~cases["collapsed"]]
    lines = pd.DataFrame({int(seed): boundary(sweep, seed) for seed in paid["seed"]})
    fig, ax = style.subplots(figsize=(WIDTH, 3.8))
    for seed, name in zip(paid["seed"], paid["case"], strict=True):
        looks = CASE_LOOKS[name] | {"marker": "", "linestyle": "-"}
        ax.plot(lines.index, lines[seed], drawstyle="steps-pre", linewidth=1, alpha=0.6, **looks)
    # A seed that is convexity everywhere has its boundary below all betas, which a median may count so.
    median = lines.fillna(0.0).median(axis=1) if len(lines.columns) else pd.Series(dtype=float)
    median = median.where(median > 0)
    if median.notna().any():
        half = median[median.index <= max(median.index[-1] / 2, median.index[0])]
        ends = (median.dropna().iloc[0], half.iloc[-1], median.iloc[-1])
        first, middle, last = (plain(number(beta, 1)) if beta > 0 else "below all prices" for beta in ends)
        fig.finding = f"Median boundary in β: first {first}, half-way {middle}, last {last}"
        ax.plot(median.index, median, drawstyle="steps-pre", color=style.TEXT, linewidth=2.6)
        ax.annotate("median", (median.index[-1], median.iloc[-1]), (6, 0), textcoords="offset points", va="center")
    else:
        ax.text(0.5, 0.5, "no seed of this run has a boundary", transform=ax.transAxes, ha="center")
    ax.set(yscale="log", xlabel="training step", ylabel="β below which convexity ends")
    betas = sweep["beta"]
    ax.set_ylim(betas.min(), betas.max())
    ax.set_xlim(0, sweep["step"].max() * 1.09)
    beta_axis(ax.yaxis)
    ax.xaxis.set_major_formatter(lambda step, _: thousands(step))
    ax.grid(True)
    if len(paid):
        case_legend(fig, paid, markers=False)
    long = lines.rename_axis("step").melt(var_name="seed", value_name="boundary", ignore_index=False).reset_index()
    fig.table = long[["seed", "step", "boundary"]] if len(long) else pd.DataFrame(columns=["seed", "step", "boundary"])
    return fig
