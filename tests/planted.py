"""How well decoding finds what was planted: networks of known groups, shuffled, with noise on every number."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.algorithms.structure import HEAVY
from hyperlib.decoding.decode import decode
from hyperlib.decoding.program import LINEAR, MIXED, OTHER, SUM
from hyperlib.network import Network

NOISE = 0.02  # standard deviation of what is added to weights, biases and output weights, in their root mean squares
CLOSE = 0.1  # relative error up to which a constant counts as found


@dataclass(frozen=True)
class Planted:
    """A formula as a network.

    Attributes:
        name: what it computes.
        label: the form of its program (`hyperlib.decoding.program.LABELS`).
        activation: of its hidden neurons.
        groups: of each, first-layer weights ``(n, neurons)``, bias and output weights. Neurons without weights are
            idle and no part of the formula.
        random: whether the first layer is chance, so that only mean and spread of its weights are constants.
    """

    name: str
    label: str
    activation: str
    groups: tuple[tuple[np.ndarray, float, tuple[float, ...]], ...]
    random: bool = False

    @property
    def living(self) -> list[int]:
        """Places of the groups that are not idle."""
        return [k for k, (W, _, _) in enumerate(self.groups) if W.any()]

    @property
    def constants(self) -> list[float]:
        """Sizes of all its numbers, each once, but for 0 and the output biases."""
        living = [self.groups[k] for k in self.living]
        first = [float(W.std()) for W, _, _ in living] if self.random else [w for W, _, _ in living for w in W.flat]
        found = [*first, *(number for _, b, v in living for number in (b, *v))]
        return sorted({round(abs(float(number)), 6) for number in found} - {0.0})

    def network(self, generator: torch.Generator) -> tuple[Network, np.ndarray]:
        """The network, shuffled and with noise, and the group of every hidden neuron, -1 for idle ones."""
        W = np.concatenate([W for W, _, _ in self.groups], 1)
        group = np.repeat(np.arange(len(self.groups)), [W.shape[1] for W, _, _ in self.groups])
        b = np.array([self.groups[k][1] for k in group])
        v = np.array([self.groups[k][2] for k in group])
        inputs, hidden = (torch.randperm(k, generator=generator).numpy() for k in W.shape)
        tensors = [torch.from_numpy(array).float() for array in (W[inputs][:, hidden], v[hidden], b[hidden])]
        for tensor in tensors:
            tensor += NOISE * tensor.square().mean().sqrt() * torch.randn(tensor.shape, generator=generator)
        bias = torch.zeros(v.shape[1])
        return Network(tensors[:2], [tensors[2], bias], activation=self.activation), np.where(
            np.isin(group, self.living), group, -1
        )[hidden]


def planted() -> list[Planted]:
    """The formulas of the benchmark."""
    g, one = np.random.default_rng(0), np.eye(8)
    pairs = one[:, ::2] + one[:, 1::2]
    apart = one[:, ::2] - one[:, 1::2]
    signs = np.diag([1.0, -1, 1, 1, -1, -1, 1, -1])
    total, dead = np.full((8, 4), 0.4), 0 * one[:, :4]
    chance = g.normal(size=(16, 48))
    two = np.sign(chance)
    tails = g.standard_t(3, size=(16, 48))
    chance, two, tails = (w - w.mean(1, keepdims=True) for w in (chance, two, tails))
    return [
        Planted("sum of |x|", DOUBLE_SIDED, "swish", ((4 * one, 0, (0.3,)), (-4 * one, 0, (0.3,)))),
        Planted("sum of |x| with kinks", DOUBLE_SIDED, "relu", ((one, -0.5, (1.0,)), (-one, -0.5, (1.0,)))),
        Planted("sum of x^2", DOUBLE_SIDED, "softplus", ((1.5 * one, 0, (1.0,)), (-1.5 * one, 0, (1.0,)))),
        Planted("negative parts", PUDDING, "swish", ((-5 * one, 0, (0.25,)), (total, 12, (0.15,)))),
        Planted("negative parts beside idle neurons", PUDDING, "gelu", ((-3 * one, 0, (0.5,)), (dead, 1, (0.2,)))),
        Planted("parts with a sign each", MIXED, "gelu", ((4 * signs, 0.3, (0.3,)),)),
        Planted("steps", PUDDING, "tanh", ((2 * one, 1.0, (0.7,)), (2 * one, -1.0, (0.4,)))),
        Planted("gates", PUDDING, "sigmoid", ((3 * one, -2.0, (1.0,)),)),
        Planted("kink of the sum", SUM, "relu", ((total, -0.6, (1.0,)),)),
        Planted("the sum alone", LINEAR, "swish", ((total, 20, (0.5,)),)),
        Planted("products of neighbours", OTHER, "softplus",
                ((2 * pairs, 0, (0.5,)), (-2 * pairs, 0, (0.5,)), (2 * apart, 0, (-0.5,)), (-2 * apart, 0, (-0.5,)))),
        Planted("two outputs", DOUBLE_SIDED, "swish", ((5 * one, 0, (0.3, 0.1)), (-5 * one, 0, (0.3, -0.1)))),
        Planted("chance", CONVEXITY, "swish", ((0.8 * chance, 0, (0.1,)),), random=True),
        Planted("signs by chance", CONVEXITY, "relu", ((0.8 * two, 0, (0.1,)),), random=True),
        Planted("chance with heavy tails", HEAVY, "gelu", ((0.5 * tails, 0, (0.1,)),), random=True),
    ]  # fmt: skip


def benchmark() -> pd.DataFrame:
    """Every planted formula beside what is found.

    Returns:
        Columns ``formula``, ``activation``, ``label`` and ``label found``; ``groups`` and ``groups found``, how many;
        ``together``, share of the pairs of neurons that the program puts together or apart as planted;
        ``constants`` and ``constants found``, sizes; ``recovered``, the share of them that a constant of the program is
        close to; ``bits``, ``kept``; and ``score``, the mean of right label, ``together`` and ``recovered``.
    """
    rows = []
    for case in planted():
        net, group = case.network(torch.Generator().manual_seed(0))
        program = decode(net)
        found = np.full(len(group), -1)
        for k, part in enumerate(program.parts):
            found[list(part.neurons)] = k
        alike = (group[:, None] == group) == (found[:, None] == found)
        upper = np.triu_indices(len(group), 1)
        numbers = [*(n for p in program.parts for n in (*p.levels, p.bias, *p.output))]
        sizes = sorted({float(abs(n)) for n in numbers} - {0.0})
        near = [any(abs(size - true) <= CLOSE * true for size in sizes) for true in case.constants]
        row = {"formula": case.name, "activation": case.activation, "label": case.label, "label found": program.label}
        row |= {"groups": len(case.living), "groups found": len(program.parts), "together": alike[upper].mean()}
        row |= {"constants": case.constants, "constants found": sizes, "recovered": np.mean(near)}
        row |= {"bits": program.bits, "kept": program.kept}
        rows.append(row | {"score": np.mean([case.label == program.label, row["together"], row["recovered"]])})
    return pd.DataFrame(rows)
