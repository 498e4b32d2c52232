"""What networks do to one input, beside their drawings (section 2.1)."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

import hyperlib as hl
from hyperlib.figures import style
from hyperlib.figures.networks import paint, placed
from hyperlib.network import ACTIVATIONS

from .weights import READS, assigned

REACH = 3.0  # responses are drawn for inputs between -REACH and REACH
SUM = "sum"  # the direction along which all inputs grow alike
PARTS = {
    "target": {"color": "#c9c9c9", "linewidth": 7, "solid_capstyle": "round"},
    "own": {"color": "#8a63d2", "linewidth": 1.8},
    "own, weight > 0": {"color": style.POSITIVE, "linewidth": 1.8},
    "own, weight < 0": {"color": style.NEGATIVE, "linewidth": 1.8},
    "all others": {"color": "#b07d00", "linewidth": 1.8, "linestyle": (0, (5, 1.5))},
    "network": {"color": style.TEXT, "linewidth": 1.6, "linestyle": (0, (2, 1.2))},
}  # the lines of a response, in the order in which they are drawn


def response(
    net: hl.Network, along: int | str, task: hl.Task | str = "l1", samples: int = 1024, output: int = 0
) -> pd.DataFrame:
    """What a network does to one input, from 0, or to the `SUM` of all, while the others are normal: means over them.

    Of a single network and in the raw units of the task; ``samples`` other inputs are drawn, each of which counts with
    either sign; ``output`` is one of several, from 0.

    Returns:
        Columns ``input``, the value; ``part``, one of `PARTS`; ``response``; ``neurons``, how many the part has.
        ``target`` is 0 where the input is 0 and ``network`` keeps its offset from it. ``own`` neurons, by the sign of
        their weight, are shifted so that their flat side is at 0, ``all others`` to 0 where the input is 0; both are
        absent without own neurons and with several hidden layers.
    """
    n = net.shape[0]
    exact = net.map(lambda tensor: tensor.detach().double().cpu())
    W, b, v = exact.weights[0], exact.biases[0], exact.weights[1][:, output]
    u = torch.full((n,), n**-0.5).double() if isinstance(along, str) else torch.eye(n, dtype=torch.float64)[along]
    half = torch.randn(samples, n, generator=torch.Generator("cpu").manual_seed(0)).double()
    half -= (half @ u)[:, None] * u
    t = torch.linspace(-REACH, REACH, 61, dtype=torch.float64)
    goal, middle = hl.get_task(task), len(t) // 2

    def mean_of(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([function(torch.cat([half, -half]) + value * u).mean(0) for value in t])

    each = mean_of(lambda x: ACTIVATIONS[net.activation](x @ W + b)) * v  # (t, n_1)
    whole = mean_of(exact)[:, output]
    lines, mean, std, zero = {}, 0.0, 1.0, whole[middle]
    if goal.function is not None:  # a table has no targets but for its rows
        targets = mean_of(goal.function)[:, output]
        mean, std = (m if isinstance(m, float) else m[output] for m in goal.moments_at(n))
        zero = targets[middle]
        lines["target"] = targets - zero, 0
    slope = u @ W
    own = (slope.square() > READS * W.square().sum(0)) & (len(net.shape) == 3)
    signed = {"own, weight > 0": (own & (slope > 0), 0), "own, weight < 0": (own & (slope < 0), -1)}
    parts = {"own": (own, middle)} if along == SUM else signed  # which neurons, and where their line is at 0
    for name, (chosen, flat) in {**parts, "all others": (~own, middle)}.items():
        if own.any() and (chosen.any() or name == "all others"):
            line = std * each[:, chosen].sum(1)
            lines[name] = line - line[flat], int(chosen.sum())
    lines["network"] = std * whole + mean - zero, net.shape[1]
    columns = ({"input": t, "part": name, "response": line, "neurons": k} for name, (line, k) in lines.items())
    return pd.concat(map(pd.DataFrame, columns), ignore_index=True)


def typical_input(net: hl.Network, task: hl.Task | str = "l1") -> int:
    """The input whose response is as far from the target as the median one's (of an even number, the lower middle)."""
    errors = []
    for i in range(net.shape[0]):
        lines = response(net, i, task, samples=128).pivot(index="input", columns="part", values="response")
        errors.append(float(((lines["network"] - lines.get("target", 0)) ** 2).mean()))
    return int(np.argsort(errors, kind="stable")[(len(errors) - 1) // 2])


@style.figure
def responses(
    net: hl.Network, input: int | str | None = None, task: hl.Task | str = "l1", title: str = ""
) -> plt.Figure:
    """What a network makes of one input: its own neurons, all others, their sum, and the target (section 2.1).

    Arguments as in `response`; the input is by default the `typical_input`.
    """
    fig, ax = style.subplots(figsize=(5.2, 3.8))
    fig.table = _respond(ax, net, input, task)
    _response_legend(fig)
    ax.set_title(title)
    return fig


def _respond(ax: plt.Axes, net: hl.Network, along: int | str | None, task: hl.Task | str) -> pd.DataFrame:
    """Draw a response and return its table."""
    chosen = typical_input(net, task) if along is None else along
    table = response(net, chosen, task)
    for name, looks in PARTS.items():
        line = table[table["part"] == name]
        ax.plot(line["input"], line["response"], **looks)
    own = table[table["part"].str.startswith("own")].groupby("part")["neurons"].first().sum()
    place = chosen + 1 if isinstance(chosen, int) else chosen
    said = f"$x_{{{place}}}$: {own or 'no'} neuron{'s' if own > 1 else ''} of its own"
    ax.set(xlabel=rf"$\sum_i x_i / \sqrt{{{net.shape[0]}}}$" if place == SUM else said, xticks=[-2, 0, 2])
    ax.grid(True)
    return table.assign(along=place)


def _response_legend(fig: plt.Figure) -> None:
    used = set(fig.table["part"])
    handles = [plt.Line2D([], [], label=name, **looks) for name, looks in PARTS.items() if name in used]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.8, columnspacing=1.4, fontsize=11)


@style.figure
def algorithms(networks: Sequence[tuple[str, hl.Network]], task: hl.Task | str = "l1") -> plt.Figure:
    """Networks side by side: above, the drawing; below, what the network does to a typical input (see `response`).

    ``networks`` are titles, of one or two lines, and networks made for the ``task``.
    """
    size = max(2.3, 8 / len(networks))
    shape = {"figsize": (size * len(networks), 1.62 * size + 1.8), "height_ratios": (1, 0.62), "squeeze": False}
    fig, axes = style.subplots(2, len(networks), **shape)
    fig.get_layout_engine().set(w_pad=0.1)
    for ax in axes[1, 1:]:
        ax.sharey(axes[1, 0])
        ax.tick_params(labelleft=False)
    tables = []
    for (title, net), above, ax in zip(networks, *axes, strict=True):
        paint(above, net, placed(net), size)
        above.set_title(title)
        tables.append(_respond(ax, net, None, task).assign(network=title.replace("\n", ", ")))
    fig.table = pd.concat(tables, ignore_index=True)
    _response_legend(fig)
    first = [net.weights[0] for _, net in networks]
    served = (str(len(W.abs().argmax(0)[assigned(W)].unique())) for W in first)
    fig.finding = f"Inputs with a neuron of their own: {', '.join(served)}"
    return fig
