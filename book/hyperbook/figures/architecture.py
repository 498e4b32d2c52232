"""The architecture in one picture (our own version of figure 7)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from hyperlib.figures import style
from hyperlib.hyperhypernetwork import HIDDEN
from hyperlib.hypernetwork import Architecture, Hypernetwork

# Inches. Narrow, so that the text is still legible where the page is as wide as a phone.
WIDTH, HEIGHT = 5.2, 9.45
ROW, GAP = 0.4, 0.24  # of the hyperlayers
ENCODER, DECODER, CHANNEL = "#8a63d2", "#b07d00", "#c44e9b"
SMALL, NORMAL = 9.5, 10.5  # points


def _box(
    ax: plt.Axes, x: float, y: float, w: float, h: float, colour: str, text: str = "", fill: float = 0.1, **font: Any
) -> None:
    """A rounded box with its lower left corner at (x, y) and text in its middle."""
    shape = {"boxstyle": "round,pad=0,rounding_size=0.07", "linewidth": 1.3, "mutation_aspect": 1}
    ax.add_patch(FancyBboxPatch((x, y), w, h, facecolor=(colour, fill), edgecolor=colour, **shape))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", linespacing=1.35, **{"fontsize": NORMAL} | font)


def _arrow(ax: plt.Axes, start: Sequence[float], end: Sequence[float], colour: str = style.LINE) -> None:
    looks = {"arrowstyle": "-|>", "mutation_scale": 11, "linewidth": 1.3, "color": colour, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=looks)


# Of each block the beginning of its name, its title, its operation, its colour; the three positions are one row.
SAID = (
    ("elementwise", "elementwise", "swish", style.LINE),
    ("attention", "attention", "a head at both neurons of the edge", style.NEGATIVE),
    ("channel", "KL channel", "a sample of q, for both sides", CHANNEL),
    ("random", "random", "standard normal numbers", style.LINE),
    ("learned", "learned", "encoder side only", ENCODER),
    ("position", "positions", "codes of i, j and the layer", style.LINE),
)


def _blocks(a: Architecture) -> Iterator[tuple[str, int, int, str, str]]:
    """Blocks of a hyperlayer: name, features in, features out, operation, colour."""
    for name, title, operation, colour in SAID:
        part = [block for block in a.blocks if block.name.startswith(name)]
        yield title, sum(block.width_in for block in part), sum(block.width_out for block in part), operation, colour


def _hypernetwork(ax: plt.Axes, top: float, a: Architecture) -> float:
    """The two sides of the KL axis, hyperlayer by hyperlayer. Returns the height of its lower edge."""
    height = 0.86 + a.hyperdepth * (ROW + GAP) - GAP
    _box(ax, 0.1, top - height, WIDTH - 0.2, height, style.LINE, fill=0.04)
    ax.text(0.25, top - 0.22, "hypernetwork", fontsize=NORMAL, weight="bold", va="center")
    ax.text(WIDTH - 0.25, top - 0.22, "the same at every edge", fontsize=SMALL, ha="right", va="center")
    left, right, w = 0.3, 3.3, 1.6
    for x, side, colour in ((left, "encoder side q", ENCODER), (right, "decoder side p", DECODER)):
        ax.text(x + w / 2, top - 0.53, side, fontsize=NORMAL, ha="center", va="center", color=colour)
        for k in range(a.hyperdepth):
            y = top - 0.72 - ROW - k * (ROW + GAP)
            _box(ax, x, y, w, ROW, colour, f"hyperlayer {k + 1}")
            if k > 0:
                _arrow(ax, (x + w / 2, y + ROW + GAP - 0.02), (x + w / 2, y + ROW + 0.02), colour)
            if x == left:
                _arrow(ax, (left + w + 0.04, y + ROW / 2), (right - 0.04, y + ROW / 2), CHANNEL)
                ax.text((left + w + right) / 2, y + ROW / 2 + 0.08, "sample, KL", fontsize=SMALL, ha="center")
    return top - height


@style.figure
def architecture() -> plt.Figure:
    """The way from beta to the objective (figure 7; B.2 to B.2.2), with the numbers of the paper's sizes."""
    hypernetwork = Hypernetwork((16, 48, 1))
    a = hypernetwork.architecture
    fig = plt.figure(figsize=(WIDTH, HEIGHT), layout="none")
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    y = HEIGHT - 0.72
    _box(ax, 0.1, y, 0.5, 0.62, CHANNEL, r"$\beta$", fontsize=14)
    _arrow(ax, (0.62, y + 0.31), (0.92, y + 0.31))
    layers = r" $\to$ ".join([r"$\log\,\beta$", *map(str, HIDDEN)])
    _box(ax, 0.95, y, 2.05, 0.62, style.LINE, f"hyperhypernetwork\n{layers}")
    _arrow(ax, (3.02, y + 0.31), (3.32, y + 0.31))
    count = hypernetwork.count(hypernetwork.sizes)
    _box(ax, 3.35, y, 1.75, 0.62, style.LINE, f"$a\\,\\sigma(b)$\n{count:,} hyperweights")
    _arrow(ax, (4.22, y - 0.02), (4.22, y - 0.36))
    bottom = _hypernetwork(ax, HEIGHT - 1.1, a)
    _arrow(ax, (4.1, bottom + 0.12), (4.1, bottom - 0.3), DECODER)
    ax.text(4.0, bottom - 0.15, "weights, biases", fontsize=SMALL, ha="right", va="center")
    _arrow(ax, (2.6, bottom - 0.02), (2.6, bottom - 1.23), CHANNEL)
    paid = "$D_\\mathrm{KL}$, summed over\nhyperlayers and edges"
    ax.text(2.5, bottom - 0.6, paid, fontsize=SMALL, ha="right", va="center")
    _box(ax, 3.1, bottom - 0.85, 2.0, 0.52, style.NEGATIVE, r"network, loss $L$")
    _arrow(ax, (4.1, bottom - 0.87), (4.1, bottom - 1.23))
    _box(ax, 0.95, bottom - 1.8, 4.15, 0.55, style.LINE, r"objective  $\log(L + \beta\,D_\mathrm{KL})$", fontsize=12)

    top, say = bottom - 2.2, partial(ax.text, fontsize=SMALL, va="center")
    say(0.1, top, "Inside a hyperlayer", fontsize=NORMAL, weight="bold")
    say(0.1, top - 0.27, rf"linear map on the hyperfeatures: {a.width_out} $\to$ {a.width_in}, cut into blocks")
    y = top - 0.72
    for name, before, after, operation, colour in _blocks(a):
        _box(ax, 0.1, y, 1.15, 0.27, colour, name, fontsize=SMALL)
        for x, text, side in ((1.62, before, "right"), (1.77, r"$\to$", "center"), (2.12, after, "right")):
            say(x, y + 0.13, str(text), ha=side)
        say(2.35, y + 0.13, operation)
        y -= 0.33
    say(0.1, y + 0.08, f"concatenated to {a.width_out} hyperfeatures for the next hyperlayer")
    return fig
