"""Sweeps over beta: one row per network, the table behind figures 2 to 4 (sections 2.2 and 2.3).

Columns: ``beta``; ``loss`` (normalised MSE with the encoder); ``loss_without_encoder``; ``kl`` (nats);
``alpha_1``, ``alpha_2``, ``alpha_3`` (equations 5 to 7); ``spread`` (standard deviation of the network's output over
the inputs, next to 0 for a dead one); ``phase`` (the algorithm, by the hand-picked boundaries).

The network measured is that of generation seed 0; generation seed 1 gives the second matrix of equation 7. The inputs
are the same for every network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from .mlp import Network
from .order_parameters import order_parameters, phase
from .pareto import BETA_MAX, BETA_MIN, ParetoHypernetwork, check_beta
from .task import get_task

if TYPE_CHECKING:
    import pandas as pd

BETAS: tuple[float, ...] = tuple(np.geomspace(BETA_MIN, BETA_MAX, 30).tolist())
SAMPLES = 4096
INPUT_SEED = 20231206
CHUNK = 10  # betas generated at once: more do not go faster, and need more memory


def sweep(
    model: ParetoHypernetwork, task: str = "l1", betas: Sequence[float] = BETAS, samples: int = SAMPLES
) -> tuple[pd.DataFrame, Network]:
    """Measure the networks of one model along beta.

    Returns:
        The table described above, one row per beta, and the measured networks with the betas as batch axis.

    Raises:
        TypeError: ``model`` is not a `ParetoHypernetwork`.
        ValueError: an unknown task, a beta that is not positive and finite, or fewer than 2 samples.

    Example:
        >>> import hyperlib as hl
        >>> model = hl.load_run("results/l1").model(seed=0)
        >>> table, networks = hl.sweep(model, betas=[1e-9, 1e-3], samples=256)
        >>> networks.batch_shape, table[["loss", "kl"]].shape
        (torch.Size([2]), (2, 2))
    """
    import pandas as pd  # here, because it takes half a second to import

    if not isinstance(model, ParetoHypernetwork):
        raise TypeError(f"model is {type(model).__name__}; expected a ParetoHypernetwork, such as run.model(seed)")
    betas = check_beta(betas).reshape(-1).tolist()
    if samples < 2:
        raise ValueError(f"samples is {samples}; expected at least 2 inputs")
    goal = get_task(task)
    x, y = goal.sample(samples, model.shape[0], torch.Generator().manual_seed(INPUT_SEED))
    tables, networks = [], []
    with torch.no_grad():
        for start in range(0, len(betas), CHUNK):
            some = torch.tensor(betas[start : start + CHUNK], dtype=torch.float64)
            net, other = (model.generate(some, generator=seed) for seed in (0, 1))
            bare = model.generate(some, generator=0, encoder=False)
            out = net(x)
            alphas = order_parameters(net.weights[0], other.weights[0])
            tables.append(
                pd.DataFrame(
                    {
                        "beta": some.numpy(),
                        "loss": (out - y).square().mean((-2, -1)).double().numpy(),
                        "loss_without_encoder": bare.loss(x, y).double().numpy(),
                        "kl": cast(Tensor, net.kl).double().numpy(),
                        **{f"alpha_{k}": alpha.double().numpy() for k, alpha in enumerate(alphas, start=1)},
                        "spread": out.std(-2).amax(-1).double().numpy(),
                    }
                )
            )
            networks.append(net)
    table = pd.concat(tables, ignore_index=True)
    known = table[["alpha_1", "alpha_2"]].notna().all(axis=1)  # a diverged network has no algorithm
    table["phase"] = "none"
    table.loc[known, "phase"] = phase(table.loc[known, "alpha_1"].to_numpy(), table.loc[known, "alpha_2"].to_numpy())
    joined = Network(
        [torch.cat(parts) for parts in zip(*(net.weights for net in networks), strict=True)],
        [torch.cat(parts) for parts in zip(*(net.biases for net in networks), strict=True)],
        torch.cat([cast(Tensor, net.kl) for net in networks]),
    )
    return table, joined
