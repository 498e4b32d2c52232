"""Networks of sizes that were never trained on (section 2.4, figure 5), in three readings of the output's scale."""

from collections.abc import Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor

from hyperlib.checks import DOUBLE, as_generator, expect
from hyperlib.hyperhypernetwork import ParetoHypernetwork
from hyperlib.network import check_shape
from hyperlib.problems import get_task
from hyperlib.task import Task

INNER, OUTER = 0.07, 0.15  # normalised MSE on the contours of the paper's figure 5, "reasonable accuracy" within

RATIOS = (2, 3, 4, 5)  # hidden neurons per input
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
    """Losses of generated networks over input dimension x hidden dimension, with the encoder off.

    Args:
        inputs, hiddens: values of n_0 and of n_1. Further layers keep their size.
        count: networks per size, over which the losses are averaged (arithmetic means).
        samples: inputs on which a loss is measured.
        generator: draws networks and inputs; a ``torch.Generator`` or an integer seed.

    Returns:
        One row per size: ``n_0, n_1`` and losses (normalised MSE), because the paper does not say what becomes of the
        scale when the size changes: ``loss`` as generated, ``loss_mean`` with the hidden neurons' sum turned into a
        mean (times the trained n_1), ``loss_rescaled`` (`rescaled_loss`); and as generated, of targets with the shift
        and scale of the trained size, ``loss_trained_units`` and ``best_trained_units``, the lowest of the networks.
    """
    expect(bool(inputs and hiddens), "inputs, hiddens", (inputs, hiddens), "sizes")
    expect(count >= 1, "count", count, "at least 1 network")
    first, _, *rest = model.shape
    shapes = [check_shape((n, m, *rest)) for n in inputs for m in hiddens]
    goal, g, rows = get_task(task), as_generator(generator), []
    shift, scale = (torch.tensor(moment, **DOUBLE) for moment in goal.moments_at(first))
    for shape in shapes:
        x, y = goal.sample(samples, shape[0], g)
        y = y.double()
        together = max(1, CHUNK // (shape[0] * shape[1] ** 2))
        own_shift, own_scale = (torch.tensor(moment, **DOUBLE) for moment in goal.moments_at(shape[0]))
        wanted = (y * own_scale + own_shift - shift) / scale
        losses = []
        for start in range(0, count, together):
            with torch.no_grad():
                net = model.generate(beta, shape, g, encoder=False, count=min(together, count - start))
                # Float64 from here on: the rescaled loss is a small difference where outputs are large.
                out, bias = net(x).double(), net.biases[-1][..., None, :].double()
            averaged = bias + (out - bias) * (model.shape[-2] / shape[-2])
            raw, mean, trained = (e.square().mean((-2, -1)) for e in (out - y, averaged - y, out - wanted))
            losses.append(torch.stack([raw, mean, rescaled_loss(out, y), trained]))
        every = torch.cat(losses, 1)  # (kinds, networks)
        rows.append((*shape[:2], *every.mean(1).tolist(), every[-1].min().item()))
    kinds = ["loss", "loss_mean", "loss_rescaled", "loss_trained_units", "best_trained_units"]
    return pd.DataFrame(rows, columns=["n_0", "n_1", *kinds])


def ratio_table(
    model: ParetoHypernetwork,
    beta: float,
    inputs: Sequence[int],
    ratios: Sequence[float] = RATIOS,
    count: int = 4,
    samples: int = 4096,
) -> pd.DataFrame:
    """`size_table` at shapes ``(n_0, round(ratio n_0), ...)``, with a column ``ratio``."""
    g = torch.Generator().manual_seed(0)
    tables = [
        size_table(model, beta, [n], [round(ratio * n)], count, samples, g).assign(ratio=ratio)
        for n, ratio in product(inputs, ratios)
    ]
    return pd.concat(tables, ignore_index=True)


def median_and_best(cases: pd.DataFrame) -> dict[str, int]:
    """The seeds of the median and of the lowest loss at the trained size, chosen without a look at other sizes.

    From rows of `hyperbook.studies.development.cases` to name -> seed, such as ``median seed (123)`` and ``best seed
    (111)``. The median of an even number is the better of the middle two; of one row there is only ``seed 111``.
    """
    seeds = cases.sort_values("loss_low", kind="stable")["seed"].astype(int).tolist()
    if len(seeds) < 2:
        return {f"seed {seed}": seed for seed in seeds}
    named = {"median": seeds[(len(seeds) - 1) // 2], "best": seeds[0]}
    return {f"{name} seed ({seed})": seed for name, seed in named.items()}
