"""Which networks of a run are shown, by rules that are written down (section 2.1, figure 1)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from IPython.display import Markdown

import hyperlib as hl
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.sweeps import CLOSED_KL

from ..studies.development import algorithm, representatives
from ..studies.explain import explain
from ..studies.interventions import is_l1
from .text import number, table

POSITIVE, NEGATIVE = "positive pudding", "negative pudding"
KINDS = (CONVEXITY, PUDDING, NEGATIVE, POSITIVE, DOUBLE_SIDED)  # pudding alone where the sign is not defined
INAPPLICABLE = "The paper's constructions compute the L1 norm with one hidden layer; they do not apply to this run."


@dataclass(frozen=True)
class Example:
    """A generated network that stands for its algorithm."""

    kind: str  # one of `KINDS`
    seed: int
    beta: float
    loss: float  # normalised MSE
    kl: float  # nats
    net: hl.Network
    explained: float  # share of the variance of its effective weights that its construction explains; NaN without one
    fit: str  # the construction that explains most; empty where none applies


def kind_of(net: hl.Network, phase: str) -> str:
    """The kind of a network whose phase is known: pudding with one hidden layer and one output gets its sign.

    That is the upper or the lower sign of equation 2. In positive pudding the kinks are ReLU(-x_i): the strongest
    effective connection W_ij |v_j| of most inputs is negative.
    """
    if phase != PUDDING or len(net.shape) != 3 or net.shape[2] != 1:
        return phase
    effective = (net.weights[0] * net.weights[1][:, 0].abs()).detach()
    strongest = effective.gather(1, effective.abs().argmax(1, keepdim=True))
    return NEGATIVE if float(strongest.sign().sum()) > 0 else POSITIVE


def one_per_kind(run: hl.Run) -> list[Example]:
    """One typical generated network per kind that the run has at its last step, in the order of `KINDS`.

    Only of seeds whose hyperhypernetworks, and of betas whose networks, the run keeps. For convexity it is one of the
    highest beta at which there is one, because that is what high beta keeps; for the others one of the lowest, and of
    those that pay for information if some do. Of what remains it is the network with the median loss (of an even
    number, the lower of the middle two): neither the best nor the worst.
    """
    table = run.final[run.final["seed"].isin(run.modelled) & run.final["beta"].isin(run.network_betas)].copy()
    table["place"] = table.groupby("seed")["beta"].rank().astype(int) - 1
    networks = {seed: run.networks(seed) for seed in run.modelled}
    rows = zip(table["seed"], table["place"], table[algorithm(table)], strict=True)
    table["kind"] = [kind_of(networks[seed][place], phase) for seed, place, phase in rows]
    found = []
    for kind, group in sorted(table[table["kind"].isin(KINDS)].groupby("kind"), key=lambda one: KINDS.index(one[0])):
        group = group[group["beta"] == group["beta"].agg("max" if kind == CONVEXITY else "min")]
        if kind != CONVEXITY and (group["kl"] > CLOSED_KL).any():
            group = group[group["kl"] > CLOSED_KL]
        row = group.sort_values("loss", kind="stable").iloc[(len(group) - 1) // 2]
        seed, net = int(row["seed"]), networks[int(row["seed"])][int(row["place"])]
        fits = explain(net) if is_l1(run) else None
        own = PUDDING if kind in (POSITIVE, NEGATIVE) else kind
        share, label = (fits.scores[own], fits.label) if fits else (math.nan, "")
        found.append(Example(kind, seed, float(row["beta"]), float(row["loss"]), float(row["kl"]), net, share, label))
    return found


def one_each(found: Sequence[Example]) -> list[Example]:
    """Of each algorithm one example: of the two signs of pudding that with the lower loss."""
    puddings = sorted((e for e in found if e.kind not in (CONVEXITY, DOUBLE_SIDED)), key=lambda e: e.loss)
    return [e for e in found if e.kind in (CONVEXITY, DOUBLE_SIDED) or e is puddings[0]]


def named(found: Sequence[Example]) -> list[tuple[str, hl.Network]]:
    """Kind and network of the examples."""
    return [(example.kind, example.net) for example in found]


def random_and_memorising(cases: pd.DataFrame) -> tuple[list[int], list[int]]:
    """Seeds of case 3d, that of the median loss first, and memorising seeds, that of the lowest loss first."""
    cases, first = cases.sort_values("loss_low"), representatives(cases).get("random pudding")
    random = cases.loc[cases["case"] == "random pudding", "seed"]
    return sorted(random.tolist(), key=lambda seed: seed != first), cases.loc[~cases["collapsed"], "seed"].tolist()


def listed(found: Sequence[Example]) -> Markdown:
    """Where the examples are from, and how far their constructions explain their weights."""
    rows = [(e.kind, str(e.seed), number(e.beta), e.loss, e.kl, e.explained, e.fit) for e in found]
    return table(pd.DataFrame(rows, columns=["algorithm", "seed", r"$\beta$", "loss", "KL", "explained", "best fit"]))
