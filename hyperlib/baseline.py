"""The baseline: the target network trained directly with Adam (section 2.5)."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pandas as pd
import torch
from torch import Tensor

from .checks import FLOAT, check_whole, expect
from .network import Network, check_shape, forward
from .problems import get_task
from .task import Task

INTERVAL = 100  # steps over which the curve averages


def train_adam(
    shape: Sequence[int] = (16, 48, 1),
    task: Task | str = "l1",
    steps: int = 5000,
    seeds: Sequence[int] = (0, 1, 2, 3),
    batch: int = 256,
    learning_rate: float = 1e-2,
    activation: str = "swish",
    penalty: Callable[[Sequence[Tensor]], Tensor] | None = None,
) -> tuple[Network, pd.DataFrame]:
    """Train target networks directly, all seeds at once, with Adam and a cosine decay of the learning rate to 0.

    Weights and biases start as in ``torch.nn.Linear``, uniform in +-1/sqrt(n_l). Seeds share nothing: the sum of their
    losses is minimised, and every seed draws ``batch`` fresh inputs per step from its own stream. A ``penalty`` is
    added to the losses: a function of the weight matrices ``(seeds, n_l, n_{l+1})`` to ``(seeds,)``.

    Returns:
        The networks, with the seeds as batch axis, and a table ``seed, step, loss``: the normalised MSE on fresh
        inputs, averaged over the `INTERVAL` steps that end at ``step``, or a 400th of all if that is more.
    """
    shape, goal = check_shape(shape), get_task(task)
    goal.check_shape(shape)
    examples, errors, draws = goal.examples(shape[0]), goal.errors(shape[0]), goal.draws(shape[0])
    steps, batch = check_whole("steps", steps, least=1), check_whole("batch", batch, least=1)
    expect(len(seeds) > 0, "seeds", seeds, "at least one")
    expect(0 < learning_rate < math.inf, "learning_rate", learning_rate, "a positive finite number")
    streams = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def uniform(*size: int, bound: float) -> Tensor:
        return torch.stack([bound * (2 * torch.rand(size, generator=g, **FLOAT) - 1) for g in streams]).requires_grad_()

    layers = list(pairwise(shape))
    weights = [uniform(n, m, bound=1 / math.sqrt(n)) for n, m in layers]
    biases = [uniform(m, bound=1 / math.sqrt(n)) for n, m in layers]
    optimiser = torch.optim.Adam([*weights, *biases], lr=learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    total, since, rows, interval = torch.zeros(len(seeds), **FLOAT), 0, [], max(INTERVAL, steps // 400)
    for step in range(1, steps + 1):
        x, y = examples(torch.stack([torch.randn(batch, draws, generator=g, **FLOAT) for g in streams]))
        loss = errors(forward(weights, biases, x, activation), y).mean(-1)
        optimiser.zero_grad()
        (loss if penalty is None else loss + penalty(weights)).sum().backward()
        optimiser.step()
        decay.step()
        total, since = total + loss.detach(), since + 1
        if step % interval == 0 or step == steps:
            rows += [(int(seed), step, value) for seed, value in zip(seeds, (total / since).tolist(), strict=True)]
            total, since = torch.zeros(len(seeds), **FLOAT), 0
    net = Network([w.detach() for w in weights], [b.detach() for b in biases], activation=activation)
    return net, pd.DataFrame(rows, columns=["seed", "step", "loss"])
