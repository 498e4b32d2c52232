"""A slider over beta or over training steps that shows one seed's network change its algorithm."""

import base64
import html as markup
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from hyperlib import drawing
from hyperlib.drawing import Layout
from hyperlib.figures import style
from hyperlib.figures.networks import edge_table, legend, paint, panels
from hyperlib.figures.path import chosen, network_at
from hyperlib.network import Network, joined
from hyperlib.runs import Run

from ..report.text import number, plain
from . import packed

SCRIPT = "../_static/slider.js"  # where the book keeps it, seen from a notebook's page


@dataclass(frozen=True)
class Interactive:
    """A figure that a script draws in the page; the picture for where none runs is what it offers, see `Shown`."""

    alt: str
    html: str = field(repr=False)
    still: style.Shown = field(repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/html": self.html, "text/plain": self.alt} | self.still._repr_mimebundle_()


def picture(fig: Figure, dpi: float = 110) -> str:
    """A matplotlib figure as a PNG data address for an ``<img>``."""
    buffer = io.BytesIO()
    # Without a date and a version the same figure gives the same bytes.
    fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def slider(
    networks: Network,
    along: str,
    values: Sequence[float],
    losses: Sequence[float],
    labels: Sequence[str],
    notes: Sequence[str] | None = None,
) -> Interactive:
    """The networks of one seed with a slider over ``along``, which is ``β`` or ``step``.

    Drawings are computed from the highest value down, each from its neighbour's, so that neurons keep their places.

    Args:
        networks: one network per value, batch axes ``(B,)``; at least one.
        values: of beta or of the step ``(B,)``; a beta of 0 is a given network, before any price.
        losses, labels: normalised MSE of each network, and what it is classified as ``(B,)``.
        notes: further words about each ``(B,)``.
    """
    batch, counts = tuple(networks.batch_shape), [len(values), len(losses), len(labels)]
    if {batch} != {(count,) for count in counts} or not counts[0]:
        found = f"{counts[0]} values of {along}, {counts[1]} losses and {counts[2]} labels"
        raise ValueError(f"got networks with batch axes {batch}, {found}; expected batch axes (B,) and B of each")
    if along == "β":
        places = [f"β = {plain(number(float(beta), 1))}" if beta else "given network" for beta in values]
    else:
        places = [f"step {step:,}" for step in values]
    order = sorted(range(len(values)), key=lambda k: -values[k])
    layouts: list[Layout] = []
    for k in order:
        layouts.append(drawing.layout(networks[k], start=layouts[-1] if layouts else None))
    order, layouts = order[::-1], layouts[::-1]
    nets = [networks[k] for k in order]
    told = [place for place, value in zip(places, values, strict=True) if value]
    ways = ", then ".join(label for label, _ in itertools.groupby(labels[k] for k in order))
    ends = [", ".join([*filter(None, [labels[k]]), f"loss {losses[k]:.2g}"]) for k in (order[0], order[-1])]
    finding = f"From {ends[0]} ({places[order[0]]}) to {ends[1]} ({places[order[-1]]})"
    alt = (
        f"Force-directed drawings of one seed's network at {len(told)} values of {along} from "
        f"{places[order[0]] if values[order[0]] else told[0]} to {places[order[-1]]}, with a slider over {along}: dots "
        f"are neurons, lines weights, coloured by the sign of their effect. In this order the algorithm is {ways}; the "
        f"loss goes from {losses[order[0]]:.2g} to {losses[order[-1]]:.2g}."
    )
    notes = [""] * len(values) if notes is None else [note and f" &nbsp; {note.lstrip(', ')}" for note in notes]
    captions = []
    for k in order:
        dot = f'<span style="color:{style.PHASES.get(labels[k], style.OTHER)}">●</span>'
        captions.append(f"{places[k]} &nbsp; {dot} {labels[k]} &nbsp; loss {losses[k]:.2g}{notes[k]}")
    drawings = [packed.pack(net, drawn) for net, drawn in zip(nets, layouts, strict=True)]
    said = markup.escape(alt)
    titles = [f"{places[k]}\n{labels[k]}\nloss {losses[k]:.2g}" for k in order]
    still = _still(nets, layouts, titles, finding=finding)
    html = (
        f'<div class="hl-figure hl-waiting"><div class="hl-live" role="figure" aria-label="{said}">'
        f'<div class="hl-slider"><strong>{markup.escape(finding)}</strong>'
        f'<canvas class="hl-drawing" role="img"></canvas>{packed.KEY}'
        f'<label>{along} <input type="range" min="0" value="0"></label><p class="hl-chosen" aria-live="polite"></p>'
        f"{packed.data(networks.shape, {'captions': captions, 'drawings': drawings})}</div>"
        f'<script src="{packed.SCRIPT}"></script><script src="{SCRIPT}"></script></div>'
        f'<img class="hl-still" src="{picture(still)}" alt="{said}"></div>'
    )
    return Interactive(alt, html, still)


@style.figure
def _still(nets: Sequence[Network], layouts: Sequence[Layout], names: Sequence[str]) -> style.Shown:
    """Five of the slider's drawings in a row; its table has the edges of all."""
    shown = np.unique(np.linspace(0, len(nets) - 1, 5).round().astype(int))
    fig, axes = panels(1, len(shown), 2.0, lines=3)
    for ax, k in zip(axes[0], shown, strict=True):
        paint(ax, nets[k], layouts[k], 2.0)
        ax.set_title(names[k], fontsize=11)
    legend(fig)
    fig.table = edge_table(zip(names, nets, layouts, strict=True))
    return fig


def path_slider(run: Run, table: pd.DataFrame | None = None, seed: int | None = None) -> Interactive:
    """A slider over the price, from the given network to the simplest; arguments as for `hyperlib.figures.path`."""
    _, seed, rows = chosen(run, table, seed)
    rows = rows[rows["beta"].isin([0.0, *run.network_betas])]
    nets = [network_at(run, seed, beta) for beta in rows["beta"]]
    stacked = joined([Network(net.weights, net.biases, activation=net.activation) for net in nets], torch.stack)
    labels = rows["label"].tolist() if "label" in rows else [""] * len(rows)
    notes = []
    for _, row in rows.iterrows():
        kept = f", {100 * row['kept']:.3g} % of the given output kept" if np.isfinite(row.get("kept", np.nan)) else ""
        notes.append(("" if row["beta"] == 0 else f"{row['nats']:,.0f} nats") + kept)
    shown = slider(stacked, "β", rows["beta"].tolist(), rows["loss"].tolist(), labels, notes)
    shown.still.source = rows.attrs.get("source")
    return shown
