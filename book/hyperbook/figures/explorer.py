"""Phase diagrams to point at: one seed at a time, and a click on a network shows its drawing (figures 1 and 3).

The book's page has the weights of all networks at the last step in a short form (`packed`), and
`book/_static/explorer.js` has them drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import to_rgb

from hyperlib import drawing
from hyperlib.algorithms.structure import STRUCTURES
from hyperlib.figures import style
from hyperlib.network import Network

from ..studies.development import LABELS, algorithm, phase_grid
from . import packed
from .interactive import Interactive, html, seed_list, template
from .phases import DEPTH, PALEST, depth, numbers, phase_diagram_examples
from .shared import by_case, count, final, groups

SHADES = 24  # of an algorithm's colour, from the loss of a network that hardly works to that of one that does
SCRIPT = "../_static/explorer.js"  # where the book keeps it, seen from a notebook's page
LAYOUT_STEPS = 300  # of the drawings: within 1 % of the energy that the usual number of steps reaches
LONGEST = 2_500_000  # characters of all drawings: a run with more or larger networks has every second beta drawn, say


def phase_explorer(sweep: pd.DataFrame, cases: pd.DataFrame, networks: Mapping[int, Network]) -> Interactive:
    """Phase diagrams of one seed at a time, shaded by loss; hovering gives step, beta, algorithm, loss and KL.

    In the book, a click on a network, or the keyboard, draws the one of the same seed and beta at the last step, of
    ``networks``: seed -> batch axes: the betas of the sweep, ascending.
    """
    present = groups(cases)
    fig = _diagrams(sweep, present)
    below = _controls(present) + _drawings(sweep, present, networks)
    still = phase_diagram_examples(sweep, cases)
    still.table = by_case(sweep, cases, "step", "beta", "phase", "loss", "kl")
    total = sum(map(len, present.values()))
    counts = "; ".join(f"{name}: {count(len(seeds), total)}" for name, seeds in present.items())
    alt = f"Phase diagrams, training step against beta, of {total} seeds, one of which is chosen. {counts}."
    alt += " Beside it a force-directed drawing of the chosen seed's network at the chosen beta and the last step."
    scripts = f'<script src="{packed.SCRIPT}"></script><script src="{SCRIPT}"></script>'
    return html(fig, alt, still, f'<div class="hl-explorer">{below}</div>{scripts}')


def _diagrams(sweep: pd.DataFrame, present: Mapping[str, list[int]]) -> go.Figure:
    """A heat map per seed, of which a slider shows one; the book's script puts a list of seeds in its place."""
    order = [(name, seed) for name, seeds in present.items() for seed in seeds]
    # A value is the number of the algorithm times `SHADES`, plus the shade: a stretch of the scale per algorithm.
    scale = [[(k + end) / len(STRUCTURES), faded(name, end)] for k, name in enumerate(STRUCTURES) for end in (0, 1)]
    traces, steps = [], []
    for place, (name, seed) in enumerate(order):
        grid = phase_grid(sweep, seed)
        rows = sweep[sweep["seed"] == seed].sort_values(["beta", "step"])
        losses = rows.pivot(index="step", columns="beta", values="loss").to_numpy(dtype=float)
        traces.append(
            go.Heatmap(
                x=grid.index.to_numpy(),
                y=grid.columns.to_numpy(),
                z=(SHADES * numbers(grid) + np.round((SHADES - 1) * depth(losses.T))).astype(np.int8),
                customdata=rows[["loss", "kl"]].to_numpy(dtype=np.float32).reshape(*grid.shape[::-1], 2),
                zmin=-0.5,
                zmax=SHADES * len(STRUCTURES) - 0.5,
                colorscale=scale,
                showscale=False,
                hovertemplate="step %{x}<br>β %{y:.1e}<br>loss %{customdata[0]:.3g}<br>"
                "KL %{customdata[1]:.3~g} nats<extra></extra>",
                visible=place == 0,
            )
        )
        shown = [other == place for other in range(len(order))]
        steps.append({"method": "restyle", "label": f"seed {seed}: {name}", "args": [{"visible": shown}]})
    slider = {
        "steps": steps,
        "currentvalue": {"xanchor": "center", "font": {"color": style.TEXT, "size": 16}},
        "font": {"color": "rgba(0, 0, 0, 0)"},  # no labels below the ticks: they would overlap
        "pad": {"t": 65, "b": 10},
        "ticklen": 0,
        "minorticklen": 0,
        "bgcolor": "rgba(140, 140, 140, 0.3)",
        "activebgcolor": style.LINE,
        "bordercolor": style.LINE,
    }
    layout = go.Layout(
        template=template(),
        height=440,
        margin={"t": 10},
        dragmode=False,
        xaxis={"type": "log", "title": "training step", "dtick": 1, "showgrid": False, "fixedrange": True},
        yaxis={"type": "log", "title": "β", "dtick": 4, "exponentformat": "power", "showgrid": False}
        | {"fixedrange": True},
        sliders=[slider],
    )
    return go.Figure(traces, layout)


def faded(name: str, share: float) -> str:
    """An algorithm's colour, as faint as in a diagram at 0 and full at 1; the page shines through, light or dark."""
    red, green, blue = (round(255 * part) for part in to_rgb(style.STRUCTURES[name]))
    return f"rgba({red}, {green}, {blue}, {PALEST + (1 - PALEST) * share:g})"


def _shade_key() -> str:
    """What hues and shades of the diagram mean."""
    strips = "".join(
        f'<li><span style="background: linear-gradient(90deg, {faded(name, 0)}, {faded(name, 1)})"></span>{name}</li>'
        for name in STRUCTURES
    )
    return f'<ul class="hl-shades">{strips}<li>faint: loss {DEPTH[1]:g} or more, full: {DEPTH[0]:g} or less</li></ul>'


def _controls(present: Mapping[str, list[int]]) -> str:
    """A list of seeds, grouped by case, and ranges of betas and steps: what the mouse does, for the keyboard."""
    seeds = seed_list({LABELS[name]: seeds for name, seeds in present.items()})
    return (
        f'<div class="hl-controls">{seeds}'
        '<label>β <input type="range" name="beta" min="0" value="0"></label> '
        f'<label>step <input type="range" name="step" min="0" value="0"></label>{_shade_key()}</div>'
        f'<div class="hl-drawn"><canvas class="hl-drawing" role="img"></canvas>{packed.KEY}</div>'
        '<p class="hl-chosen" aria-live="polite"></p>'
    )


def _drawings(sweep: pd.DataFrame, present: Mapping[str, list[int]], networks: Mapping[int, Network]) -> str:
    """What the script draws from, as JSON in the order of the heat maps."""
    order = [seed for seeds in present.values() for seed in seeds]
    last, steps = final(sweep), sweep["step"].unique()
    betas = np.sort(last["beta"].unique())
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
        "shades": SHADES,
        "stride": stride,
        "betas": [float(f"{beta:.3g}") for beta in betas],
        "seeds": seeds,
    }
    return packed.data(shape, data)
