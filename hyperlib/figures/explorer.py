"""Phase diagrams to point at: one seed at a time, and a click on a network shows its drawing (figures 1 and 3).

The book's page has the weights of all networks at the last step in a short form (`hyperlib.figures.packed`), and
`book/_static/explorer.js` has them drawn.
"""

from __future__ import annotations

import html as markup
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .. import drawing
from ..algorithms.structure import STRUCTURES
from ..development import algorithm, phase_grid
from ..network import Network
from . import packed, style
from .phases import numbers, phase_diagram_examples
from .shared import by_case, count, final, groups

SCRIPT = "../_static/explorer.js"  # where the book keeps it, seen from a notebook's page
LAYOUT_STEPS = 300  # of the drawings: within 1 % of the energy that the usual number of steps reaches
LONGEST = 2_000_000  # characters of all drawings: a run with more or larger networks has every second beta drawn, say


def phase_explorer(sweep: pd.DataFrame, cases: pd.DataFrame, networks: Mapping[int, Network]) -> style.Interactive:
    """Phase diagrams of one seed at a time; hovering gives step, beta, algorithm, loss and KL.

    In the book, a click on a network draws the one of the same seed and beta at the last step, the only step whose
    weights a run keeps; seed and beta can also be chosen with the keyboard.

    Args:
        sweep: table of a run.
        cases: its developmental cases, of `hyperlib.development.cases`.
        networks: seed -> its networks at the last step, batch axes: the betas of the sweep, ascending.

    Raises:
        KeyError: a seed of ``cases`` has no networks, or see `hyperlib.figures.phases.phase_diagrams`.
        ValueError: a seed has another number of networks than betas, or see `hyperlib.figures.phases.phase_diagrams`.
    """
    present = groups(cases)
    fig = _diagrams(sweep, present)
    below = _controls(present) + _drawings(sweep, present, networks)
    still = phase_diagram_examples(sweep, cases)
    still.table = by_case(sweep, cases, "step", "beta", "phase", "loss", "kl")
    total = sum(map(len, present.values()))
    alt = (
        f"Phase diagrams, training step against beta, of {total} seeds, one of which is chosen. "
        + "; ".join(f"{name}: {count(len(seeds), total)}" for name, seeds in present.items())
        + ". Beside it a force-directed drawing of the chosen seed's network at the chosen beta and the last step."
    )
    scripts = f'<script src="{packed.SCRIPT}"></script><script src="{SCRIPT}"></script>'
    return style.html(fig, alt, still, f'<div class="hl-explorer">{below}</div>{scripts}')


def _diagrams(sweep: pd.DataFrame, present: Mapping[str, list[int]]) -> go.Figure:
    """A heat map per seed, of which a slider shows one; the book's script puts a list of seeds in its place."""
    order = [(name, seed) for name, seeds in present.items() for seed in seeds]
    scale = [
        [(k + end) / len(STRUCTURES), style.STRUCTURES[name]] for k, name in enumerate(STRUCTURES) for end in (0, 1)
    ]
    bar = {"orientation": "h", "y": 1, "yanchor": "bottom", "outlinewidth": 0, "thickness": 12, "ticks": ""}
    bar |= {"tickvals": list(range(len(STRUCTURES))), "ticktext": list(STRUCTURES)}
    bar |= {"tickangle": 0, "tickfont": {"size": 12}}
    traces, steps = [], []
    for place, (name, seed) in enumerate(order):
        grid = phase_grid(sweep, seed)
        rows = sweep[sweep["seed"] == seed].sort_values(["beta", "step"])
        traces.append(
            go.Heatmap(
                x=grid.index.to_numpy(),
                y=grid.columns.to_numpy(),
                z=numbers(grid).astype(np.int8),
                customdata=rows[["loss", "kl"]].to_numpy(dtype=np.float32).reshape(*grid.shape[::-1], 2),
                zmin=-0.5,
                zmax=len(STRUCTURES) - 0.5,
                colorscale=scale,
                colorbar=bar,
                hovertemplate="step %{x}<br>β %{y:.1e}<br>loss %{customdata[0]:.3g}<br>"
                "KL %{customdata[1]:.3~g} nats<extra></extra>",
                visible=place == 0,
            )
        )
        shown = [other == place for other in range(len(order))]
        steps.append({"method": "restyle", "label": f"seed {seed}: {name}", "args": [{"visible": shown}]})
    layout = go.Layout(
        template=style.template(),
        height=440,
        margin={"t": 0},
        dragmode=False,
        xaxis={"type": "log", "title": "training step", "dtick": 1, "showgrid": False, "fixedrange": True},
        yaxis={"type": "log", "title": "β", "dtick": 4, "exponentformat": "power", "showgrid": False}
        | {"fixedrange": True},
        sliders=[style.slider(steps)],
    )
    return go.Figure(traces, layout)


def _controls(present: Mapping[str, list[int]]) -> str:
    """A list of seeds, grouped by case, and a range of betas: what the mouse does, for the keyboard."""
    options = ""
    for name, seeds in present.items():
        inside = "".join(f"<option>{seed}</option>" for seed in seeds)
        options += f'<optgroup label="{markup.escape(name)}">{inside}</optgroup>'
    return (
        f'<div class="hl-controls"><label>seed <select>{options}</select></label> '
        '<label>β <input type="range" min="0" value="0"></label></div>'
        f'<div class="hl-drawn"><canvas class="hl-drawing" role="img"></canvas>{packed.KEY}</div>'
        '<p class="hl-chosen" aria-live="polite"></p>'
    )


def _drawings(sweep: pd.DataFrame, present: Mapping[str, list[int]], networks: Mapping[int, Network]) -> str:
    """What the script draws from, as JSON in the order of the heat maps."""
    order = [seed for seeds in present.values() for seed in seeds]
    last, steps = final(sweep), sweep["step"].unique()
    betas = np.sort(last["beta"].unique())
    for seed in order:
        if networks[seed].batch_shape != (len(betas),):
            found = tuple(networks[seed].batch_shape)
            raise ValueError(f"networks of seed {seed} have batch axes {found}; expected ({len(betas)},), one per beta")
    shape = networks[order[0]].shape
    stride = math.ceil(len(order) * len(betas) * packed.length(shape) / LONGEST)
    chosen = list(range(0, len(betas), stride))
    seeds = []
    for seed in order:
        nets, rows = networks[seed][chosen], last[last["seed"] == seed].sort_values("beta").iloc[chosen]
        layouts = drawing.layout(nets, steps=LAYOUT_STEPS)
        facts = {name: [float(f"{value:.3g}") for value in rows[name]] for name in ("loss", "kl")}
        drawings = [packed.pack(nets[k], layouts[k]) for k in range(len(chosen))]
        seeds.append({"seed": seed, "phase": list(rows[algorithm(sweep)]), **facts, "drawings": drawings})
    data = {
        "steps": sorted(int(step) for step in steps),
        "phases": STRUCTURES,
        "stride": stride,
        "betas": [float(f"{beta:.3g}") for beta in betas],
        "seeds": seeds,
    }
    return packed.data(shape, data)
