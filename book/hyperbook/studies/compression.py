"""What compressed networks keep: criteria, fixed before any result of `scripts/compress.py` was looked at.

What counts as assignment and as signs was put in terms of inputs, not neurons, while the trainings ran.

For each task of the book Adam trains eight networks (seeds 3000 to 3007, 12,000 steps), and `hyperlib.compress` begins
with them (24,000 steps, gain 4). Each seed counts by itself. On `pairs` that left all eight seeds above the given
networks. On seeds 3100 to 3103 twice the steps brought two of four below, batches of 1,024 as well all four; so it has
48,000 steps of 1,024 inputs, and seeds that nobody had seen, 3200 to 3207.

1. *Done*: at the lowest price the loss is at or below the given network's, on the same fresh inputs. Asked: seven of
   eight seeds, on `pairs` and on `positives`.
2. *Memory is kept*: at the lowest price the network costs 100 nats or more.
3. *What goes first*: for precision, sharpness, assignment and signs the highest price up to which it stands, and the
   nats there. Precision stands while the loss is at most twice the given network's; sharpness while the first layer's
   weights have half of their size or more; assignment while half or more of the inputs with neurons of their own have
   some; signs while 90 % or more of the sides of these stay (`hyperlib.compression.sides`). The order holds if it is
   that of the medians of nats, and in six of eight seeds.
4. *Same rule*: at the price 1e-3 the program's label of a seed is the most frequent one of trainings from nothing at
   that price. Asked: six of eight.
5. *The paper's order*: labels along the rising price, repetitions and all but double-sided, pudding and convexity left
   out, are at least two, and none of them stands before one that is lower in this order. Asked: six of eight.
6. *Do slower or cyclic prices let private signs go?* On the L1 norm at (16, 48, 1), seeds 3000 to 3003: as released,
   with four times the steps, and in four cycles, each of which begins with the hypernetworks of the one before while
   price and learning rate start anew. Signs went in a seed if at some price its network does the task (loss 0.1 or
   less), half or more of the inputs that had neurons of their own have some, and of these at most one in eight has
   neurons on one side alone and on the side of the fewer (`minority`): one sign for all is left, or two for each. A way
   lets them go if it does in three of four seeds.
"""

from itertools import groupby

import pandas as pd

from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.compression import sides
from hyperlib.network import Network
from hyperlib.runs import Run

from .programs import decoded

MEMORY = 100.0  # nats
PRICE = 1e-3  # at which rules are compared
DOES = 0.1  # loss up to which a network does the L1 norm
PRIVATE = 1 / 8  # share of private signs up to which they are said to have gone
ORDER = (DOUBLE_SIDED, PUDDING, CONVEXITY)
STANDS = {
    "precision": lambda row, given: row["loss"] <= 2 * given["loss"],
    "sharpness": lambda row, given: row["sharpness"] >= 0.5,
    "assignment": lambda row, given: row["assignment"] >= 0.5,
    "signs": lambda row, given: row["signs"] >= 0.9,
}  # what can be given up, and while it stands


def verdicts(paths: pd.DataFrame) -> pd.DataFrame:
    """A row per task and seed, from a table of `hyperlib.compression.path` with the column ``task``.

    Columns: ``given`` (loss), ``loss`` and ``nats`` at the lowest price, ``done``, ``memory``, ``rule`` (the label at
    `PRICE`), ``order`` (labels of `ORDER` along the price), ``in_order``.
    """
    rows = []
    for (task, seed), group in paths.groupby(["task", "seed"], sort=False):
        given, along = group[group["beta"] == 0].iloc[0], group[group["beta"] > 0].sort_values("beta")
        lowest, at = along.iloc[0], (along["beta"] / PRICE - 1).abs().idxmin()
        labels = [label for label, _ in groupby(label for label in along["label"] if label in ORDER)]
        ordered = len(labels) > 1 and labels == sorted({*labels}, key=ORDER.index)
        row = {"task": task, "seed": seed, "given": given["loss"], "loss": lowest["loss"], "nats": lowest["nats"]}
        row |= {"done": lowest["loss"] <= given["loss"], "memory": lowest["nats"] >= MEMORY}
        rows.append(row | {"rule": along.loc[at, "label"], "order": ", ".join(labels), "in_order": ordered})
    return pd.DataFrame(rows)


def minority(net: Network) -> float:
    """Share of the inputs with neurons of their own whose sign is private: one side alone, and that of the fewer."""
    found = sides(net)
    negative, positive = (found & ~found.flip(1)).sum(0)
    return float(min(negative, positive) / found.any(1).sum().clamp_min(1))


def signs_went(prices: pd.DataFrame) -> pd.DataFrame:
    """A row per way and seed, whether signs ``went``, from the table of `scripts/compress.py` with ``--ways``."""
    goes = (prices["loss"] <= DOES) & (prices["assignment"] >= 0.5) & (prices["minority"] <= PRIVATE)
    return goes.groupby([prices["way"], prices["seed"]], sort=False).any().rename("went").reset_index()


def rule_from_nothing(run: Run) -> str:
    """The most frequent label of the programs of a run's seeds, at the stored price nearest to `PRICE`."""
    place = min(range(len(run.network_betas)), key=lambda k: abs(run.network_betas[k] / PRICE - 1))
    return pd.Series([decoded(run.networks(seed)[place], run.task).label for seed in run.seeds]).mode()[0]


def given_up(paths: pd.DataFrame) -> pd.DataFrame:
    """For every task, seed and thing of `STANDS` the highest price up to which it stands: ``beta`` and ``nats`` there.

    Nothing stands that does not at the lowest price: ``beta`` is then 0. What the given network does not have, such as
    neurons with an input of their own, has no row.
    """
    rows = []
    for (task, seed), group in paths.groupby(["task", "seed"], sort=False):
        given, along = group[group["beta"] == 0].iloc[0], group[group["beta"] > 0].sort_values("beta")
        for name, stands in STANDS.items():
            if pd.isna(given.get("loss" if name == "precision" else name)):
                continue
            last = along[stands(along, given).cummin()].tail(1)
            beta, nats = last["beta"].sum(), last["nats"].sum(min_count=1)
            rows.append({"task": task, "seed": seed, "what": name, "beta": beta, "nats": nats})
    return pd.DataFrame(rows)
