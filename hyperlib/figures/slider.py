"""Sliders over beta and over training steps that show one seed's network change its algorithm."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .. import drawing
from ..drawing import Layout
from ..network import Network
from . import packed, style
from .networks import legend, named_edges, paint, panels

SCRIPT = "../_static/slider.js"  # where the book keeps it, seen from a notebook's page


def _chain(networks: Network) -> list[Layout]:
    """Layouts of a batch ``(B,)`` of networks, each started from the one before."""
    layouts: list[Layout] = []
    for index in range(networks.batch_shape[0]):
        layouts.append(drawing.layout(networks[index], start=layouts[-1] if layouts else None))
    return layouts


def beta_slider(
    networks: Network,
    betas: Sequence[float],
    losses: Sequence[float],
    labels: Sequence[str],
    notes: Sequence[str] | None = None,
) -> style.Interactive:
    """A slider over beta that shows one seed's network change its algorithm.

    Drawings are computed from the highest beta down, each from its neighbour's, so that neurons keep their places.

    Args:
        networks: one network per beta, batch axes ``(B,)``; at least one.
        betas: the values of beta ``(B,)``; 0 is a given network, before any price.
        losses: normalised MSE of each network ``(B,)``.
        labels: what each network is classified as ``(B,)``.
        notes: further words about each ``(B,)``.
    """
    places = [f"β = {beta:.0e}" if beta else "given network" for beta in betas]
    return _slider(networks, "β", betas, places, losses, labels, notes)


def step_slider(
    networks: Network,
    steps: Sequence[int],
    losses: Sequence[float],
    labels: Sequence[str],
    notes: Sequence[str] | None = None,
) -> style.Interactive:
    """A slider over training steps that shows the networks of one seed and one beta develop; as `beta_slider`."""
    return _slider(networks, "step", steps, [f"step {step:,}" for step in steps], losses, labels, notes)


def _slider(
    networks: Network,
    along: str,
    values: Sequence[float],
    places: Sequence[str],
    losses: Sequence[float],
    labels: Sequence[str],
    notes: Sequence[str] | None,
) -> style.Interactive:
    batch, counts = tuple(networks.batch_shape), [len(values), len(losses), len(labels)]
    if {batch} != {(count,) for count in counts} or not counts[0]:
        found = f"{counts[0]} values of {along}, {counts[1]} losses and {counts[2]} labels"
        raise ValueError(f"got networks with batch axes {batch}, {found}; expected batch axes (B,) and B of each")
    order = sorted(range(len(values)), key=lambda k: -values[k])
    layouts = _chain(networks[order])[::-1]
    order = order[::-1]
    nets = [networks[k] for k in order]
    told = [place for place, value in zip(places, values, strict=True) if value]
    alt = (
        f"Force-directed drawings of one seed's network at {len(told)} values of {along} from "
        f"{places[order[0]] if values[order[0]] else told[0]} to {places[order[-1]]}, with a slider over {along}; "
        f"in this order the algorithm is {_runs(labels, order)}."
    )
    notes = [""] * len(values) if notes is None else [note and f" &nbsp; {note.lstrip(', ')}" for note in notes]
    captions = [_caption(places[k], losses[k], labels[k]) + notes[k] for k in order]
    drawings = [packed.pack(net, drawn) for net, drawn in zip(nets, layouts, strict=True)]
    live = (
        '<div class="hl-slider"><canvas class="hl-drawing" role="img"></canvas>'
        f"{packed.KEY}"
        f'<label>{along} <input type="range" min="0" value="0"></label><p class="hl-chosen" aria-live="polite"></p>'
        f"{packed.data(networks.shape, {'captions': captions, 'drawings': drawings})}</div>"
        f'<script src="{packed.SCRIPT}"></script><script src="{SCRIPT}"></script>'
    )
    still = _slider_still(nets, layouts, [f"{places[k]}\n{labels[k]}\nloss {losses[k]:.2g}" for k in order])
    return style.interactive(live, alt, still)


def _caption(place: str, loss: float, label: str) -> str:
    colour = style.PHASES.get(label, style.OTHER)
    return f'{place} &nbsp; <span style="color:{colour}">●</span> {label} &nbsp; loss {loss:.2g}'


def _runs(labels: Sequence[str], order: Sequence[int]) -> str:
    """Labels in this order without repetitions, in words."""
    return ", then ".join(label for label, _ in itertools.groupby(labels[k] for k in order))


@style.figure
def _slider_still(nets: Sequence[Network], layouts: Sequence[Layout], names: Sequence[str]) -> Figure:
    """Five of the slider's drawings in a row; its table has the edges of all."""
    chosen = np.unique(np.linspace(0, len(nets) - 1, 5).round().astype(int))
    fig, axes = panels(1, len(chosen), 2.0, lines=3)
    for ax, k in zip(axes[0], chosen, strict=True):
        paint(ax, nets[k], layouts[k], 2.0)
        ax.set_title(names[k], fontsize=11)
    legend(fig)
    fig.table = named_edges(zip(names, nets, layouts, strict=True))
    return fig
