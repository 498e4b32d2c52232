"""A slider over beta or over training steps that shows one seed's network change its algorithm."""

import base64
import html as markup
import io
import itertools
import json
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hyperlib import drawing
from hyperlib.drawing import Layout
from hyperlib.figures import style
from hyperlib.figures.networks import edge_table, legend, paint, panels, to_numpy
from hyperlib.figures.path import chosen, network_at
from hyperlib.network import Network
from hyperlib.runs import Run

from ..report.text import number, plain

SCRIPTS = '<script src="../_static/network.js"></script><script src="../_static/slider.js"></script>'
KEY = (
    '<ul class="hl-key"><li class="input">input</li><li class="hidden">hidden</li><li class="output">output</li>'
    '<li class="positive">effect &gt; 0</li><li class="negative">effect &lt; 0</li></ul>'
)  # what marks and colours of a drawing mean
DIGITS = string.ascii_letters + string.digits + "-_"
LEVELS = 31  # a weight is a whole number of these parts of its layer's strongest one, between -31 and 31
GRID = len(DIGITS) ** 2 - 1  # a coordinate is a whole number up to this


def pack(net: Network, drawn: Layout) -> str:
    """A drawing of one network as text.

    A digit per weight, layer by layer, row by row: its place in `DIGITS`, less `LEVELS`, is the weight in parts of the
    layer's strongest one. Then two digits per coordinate, x and y of every neuron, level by level, the higher digit
    first: 0 is the left or lower edge of the drawing and `GRID` the right or upper one.
    """
    weights = [to_numpy(weight).ravel() for weight in net.weights]
    tiny = np.finfo(np.float32).tiny
    levels = np.concatenate([np.round(LEVELS * w / max(np.abs(w).max(), tiny)) for w in weights]).astype(int) + LEVELS
    places = np.concatenate([to_numpy(level) for level in drawn.positions])
    reach = max(float(np.linalg.norm(places, axis=-1).max()), tiny)
    grid = np.round((places / reach + 1) / 2 * GRID).astype(int).ravel()
    digits = np.stack([grid // len(DIGITS), grid % len(DIGITS)], axis=-1).ravel()
    return "".join(DIGITS[k] for k in np.concatenate([levels, digits]))


@dataclass(frozen=True)
class Interactive:
    """A figure that a script draws in the page; the picture for where none runs is what it offers, see `Shown`."""

    alt: str
    html: str = field(repr=False)
    still: style.Shown = field(repr=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict:
        return {"text/html": self.html, "text/plain": self.alt} | self.still._repr_mimebundle_()


def slider(networks: Iterable[Network], along: str, rows: pd.DataFrame) -> Interactive:
    """The networks of one seed with a slider over ``along``, which is ``beta`` or ``step``.

    A row per network, ascending, with that column, ``loss``, ``label`` and perhaps ``note``; a beta of 0 is a network
    before any price. So that neurons keep their places, a drawing begins with that of the next higher value.
    """
    values, losses, labels = (rows[name].tolist() for name in (along, "loss", "label"))
    if along == "beta":
        along, places = "β", [f"β = {plain(number(beta, 1))}" if beta else "given network" for beta in values]
    else:
        places = [f"step {step:,}" for step in values]
    nets, layouts = list(networks), list[Layout]()
    for net in reversed(nets):
        layouts.insert(0, drawing.layout(net, start=layouts[0] if layouts else None))
    told = [place for place, value in zip(places, values, strict=True) if value]
    first, last = (f"{labels[k]}, loss {losses[k]:.2g} ({places[k]})".removeprefix(", ") for k in (0, -1))
    finding = f"From {first} to {last}"
    alt = (
        f"Force-directed drawings of one seed's network at {len(told)} values of {along} from {told[0]} to {told[-1]}, "
        f"with a slider over {along}: dots are neurons, lines weights, coloured by the sign of their effect. In this "
        f"order the algorithm is {', then '.join(label for label, _ in itertools.groupby(labels))}; the loss goes from "
        f"{losses[0]:.2g} to {losses[-1]:.2g}."
    )
    captions, titles = [], []
    for place, label, loss, note in zip(places, labels, losses, rows.get("note", [""] * len(rows)), strict=True):
        dot = f'<span style="color:{style.PHASES.get(label, style.OTHER)}">●</span>'
        captions.append(" &nbsp; ".join([place, f"{dot} {label}", f"loss {loss:.2g}", *filter(None, [note])]))
        titles.append(f"{place}\n{label}\nloss {loss:.2g}")
    still, picture = _still(nets, layouts, titles, finding=finding), io.BytesIO()
    still.savefig(picture, format="png", dpi=110, metadata={"Software": None})  # without a version: the same bytes
    image = base64.b64encode(picture.getvalue()).decode()
    data = {"shape": nets[0].shape, "digits": DIGITS, "levels": LEVELS, "captions": captions}
    data["drawings"] = [pack(net, drawn) for net, drawn in zip(nets, layouts, strict=True)]
    text, said = json.dumps(data, separators=(",", ":")).replace("</", "<\\/"), markup.escape(alt)
    html = (
        f'<div class="hl-figure hl-waiting"><div class="hl-live" role="figure" aria-label="{said}">'
        f'<div class="hl-slider"><strong>{markup.escape(finding)}</strong>'
        f'<canvas class="hl-drawing" role="img"></canvas>{KEY}'
        f'<label>{along} <input type="range" min="0" value="0"></label><p class="hl-chosen" aria-live="polite"></p>'
        f'<script type="application/json">{text}</script></div>{SCRIPTS}</div>'
        f'<img class="hl-still" src="data:image/png;base64,{image}" alt="{said}"></div>'
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
    notes = []
    for _, row in rows.iterrows():
        kept = f"{100 * row['kept']:.3g} % of the given output kept" if np.isfinite(row.get("kept", np.nan)) else ""
        notes.append(", ".join(filter(None, ["" if row["beta"] == 0 else f"{row['nats']:,.0f} nats", kept])))
    shown = slider(nets, "beta", rows.assign(label=rows.get("label", ""), note=notes))
    shown.still.source = rows.attrs.get("source")
    return shown
