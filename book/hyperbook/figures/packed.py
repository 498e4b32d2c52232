"""Drawings as text, for figures that are drawn in the book's page by `book/_static/network.js`.

A character per weight and two per coordinate: a run's networks at all values of beta fit into a page.
"""

import json
import string
from collections.abc import Mapping
from typing import Any

import numpy as np

import hyperlib as hl
from hyperlib.figures.networks import to_numpy
from hyperlib.network import Shape

SCRIPT = "../_static/network.js"  # where the book keeps the renderer, seen from a notebook's page
KEY = (
    '<ul class="hl-key"><li class="input">input</li><li class="hidden">hidden</li><li class="output">output</li>'
    '<li class="positive">effect &gt; 0</li><li class="negative">effect &lt; 0</li></ul>'
)  # what marks and colours of a drawing mean
DIGITS = string.ascii_letters + string.digits + "-_"
LEVELS = 31  # a weight is a whole number of these parts of its layer's strongest one, between -31 and 31
GRID = len(DIGITS) ** 2 - 1  # a coordinate is a whole number up to this


def pack(net: hl.Network, drawn: hl.Layout) -> str:
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


def data(shape: Shape, values: Mapping[str, Any]) -> str:
    """``values`` as JSON in a script element, with what `unpack` in the page needs to know."""
    everything = {"shape": shape, "digits": DIGITS, "levels": LEVELS, **values}
    text = json.dumps(everything, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json">{text}</script>'
