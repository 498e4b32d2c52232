"""Networks of sizes that were never trained on (section 2.4, figure 5), in three readings of the output's scale."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from hyperlib.checks import DOUBLE, as_generator
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.problems import get_task
from hyperlib.task import Task

INNER, OUTER = 0.07, 0.15  # normalised MSE on the contours of the paper's figure 5, "reasonable accuracy" within
CHUNK = 4_000_000  # logits of one attention step held at once: n_0 n_1^2 per network, 16 MB a copy
CONVENTIONS = {
    "loss": "as generated",
    "loss_mean": "hidden neurons averaged",
    "loss_rescaled": "after the best shift and scale",
}


def rescaled_loss(out: Tensor, y: Tensor) -> Tensor:
    """Normalised MSE after the best shift and scale of every output: 1 - R^2 in units of the targets' variance.

    The raw output grows with the number of hidden neurons while its output bias, an average over edges, cannot follow,
    so that the raw loss is large away from the trained size even where the algorithm generalises. Of outputs ``(...,
    batch, outputs)`` and normalised targets y ``(batch, outputs)`` it is ``(...)``; the variance of y for a constant
    output.
    """
    out, y = out - out.mean(-2, keepdim=True), y - y.mean(-2, keepdim=True)
    power = out.square().mean(-2)
    explained = (out * y).mean(-2).square() / torch.where(power == 0, 1.0, power)
    return (y.square().mean(-2) - explained).mean(-1)


def size_table(
    model: ParetoHypernetwork,
    beta: float,
    inputs: Sequence[int],
    hiddens: Sequence[int],
    count: int = 4,
    samples: int = 4096,
    generator: torch.Generator | int = 0,
    task: Task | str = "l1",
) -> pd.DataFrame:
    """Losses of generated networks over input dimension n_0 x hidden dimension n_1, with the encoder off.

    Further layers keep their size. Losses (normalised MSE) are measured on so many ``samples`` and averaged over
    ``count`` networks per size, both drawn with the generator.

    One row per size: ``n_0, n_1`` and, because the paper does not say what becomes of the scale when the size changes,
    ``loss`` as generated, ``loss_mean`` with the hidden neurons' sum turned into a mean (times the trained n_1),
    ``loss_rescaled`` (`rescaled_loss`); and as generated, of targets with the shift and scale of the trained size,
    ``loss_trained_units`` and ``best_trained_units``, the lowest of the networks.
    """
    first, _, *rest = model.shape
    goal, g, rows = get_task(task), as_generator(generator), []
    for n, m in product(inputs, hiddens):
        x, y = goal.sample(samples, n, g)
        y = y.double()
        together = max(1, CHUNK // (n * m**2))
        (own_shift, own_scale), (shift, scale) = (torch.tensor(goal.moments_at(k), **DOUBLE) for k in (n, first))
        wanted = (y * own_scale + own_shift - shift) / scale
        losses = []
        for start in range(0, count, together):
            with torch.no_grad():
                net = model.generate(beta, (n, m, *rest), g, encoder=False, count=min(together, count - start))
                # Float64 from here on: the rescaled loss is a small difference where outputs are large.
                out, bias = net(x).double(), net.biases[-1][..., None, :].double()
            averaged = bias + (out - bias) * (model.shape[-2] / net.shape[-2])
            raw, mean, trained = (e.square().mean((-2, -1)) for e in (out - y, averaged - y, out - wanted))
            losses.append(torch.stack([raw, mean, rescaled_loss(out, y), trained]))
        every = torch.cat(losses, 1)  # (kinds, networks)
        rows.append((n, m, *every.mean(1).tolist(), every[-1].min().item()))
    kinds = ["loss", "loss_mean", "loss_rescaled", "loss_trained_units", "best_trained_units"]
    return pd.DataFrame(rows, columns=["n_0", "n_1", *kinds])


def ratio_table(
    model: ParetoHypernetwork, beta: float, inputs: Sequence[int], ratios: Sequence[float] = (2, 3, 4, 5), **given: Any
) -> pd.DataFrame:
    """`size_table` at shapes ``(n_0, round(ratio n_0), ...)``, with a column ``ratio``; more arguments are its own."""
    g, pairs = torch.Generator().manual_seed(0), list(product(inputs, ratios))
    tables = [size_table(model, beta, [n], [round(ratio * n)], generator=g, **given) for n, ratio in pairs]
    return pd.concat(tables, ignore_index=True).assign(ratio=[ratio for _, ratio in pairs])


def median_and_best(cases: pd.DataFrame) -> dict[str, int]:
    """The seeds of the median and of the lowest loss at the trained size, chosen without a look at other sizes.

    Of rows of `hyperbook.studies.development.cases` to name -> seed, as ``median seed (123)``, ``best seed (111)``. The
    median of an even number is the better of the middle two; of one row there is only ``seed 111``.
    """
    seeds = cases.sort_values("loss_low", kind="stable")["seed"].astype(int).tolist()
    if len(seeds) < 2:
        return {f"seed {seed}": seed for seed in seeds}
    best, median = seeds[0], seeds[(len(seeds) - 1) // 2]
    return {f"median seed ({median})": median, f"best seed ({best})": best}
