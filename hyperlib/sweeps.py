"""Sweeps over beta: one row per beta, the table behind figures 2 to 4 (sections 2.2 and 2.3).

At every beta networks are generated from several generation seeds (0, 1, ...): one draw is not a measurement. Columns:

* ``beta``; ``generations``, the number of generation seeds: 4, or 16 where the KL is closed (below `CLOSED_KL` nats at
  all betas), because the networks are then drawn at random;
* ``loss`` (normalised MSE with the encoder), ``loss_without_encoder``, ``kl`` (nats): means over generation seeds;
  ``loss_se``, ``loss_without_encoder_se``: their standard errors over generation seeds; ``loss_input_se``: the standard
  error of ``loss`` that comes from the choice of the inputs, which are the same for every network;
* ``alpha_1``, ``alpha_2`` (equations 5 and 6) and the features of `structure`: medians over generation seeds,
  so that they describe a typical network; ``alpha_3`` (equation 7): mean over all pairs of generation seeds;
* of a table with rows held out ``loss_held_out``, of classes ``accuracy`` and ``accuracy_held_out``: means likewise;
* ``spread``: standard deviation of the network's output over the inputs, next to 0 for a dead one, mean;
* ``phase``: the algorithm by the paper's hand-picked boundaries; ``structure``: by the structure of the first layer;
  ``agreement``: share of the generation seeds whose own structure is that of the row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from .algorithms.order_parameters import double_sidedness, phase, strongest_connection
from .algorithms.structure import FEATURES, features, label
from .checks import BETA_MAX, BETA_MIN, FLOAT, as_generator, check_beta, check_type, check_whole
from .hyperhypernetwork import ParetoHypernetwork
from .hypernetwork import Hypernetwork
from .losses import CROSS_ENTROPY
from .network import Network, joined
from .problems import get_task
from .task import Task

if TYPE_CHECKING:
    import pandas as pd

BETAS: tuple[float, ...] = tuple(np.geomspace(BETA_MIN, BETA_MAX, 30).tolist())
SAMPLES = 4096
INPUT_SEED = 20231206
GENERATIONS, GENERATIONS_CLOSED = 4, 16  # generation seeds per beta
CLOSED_KL = 10.0  # nats; memorised assignments cost hundreds to thousands
CHUNK = 10  # networks generated at once on a CPU: more do not go faster, and need more memory
CHUNK_CUDA = 480
NONE = "none"  # the algorithm of a network that diverged or is dead


def sweep(
    model: ParetoHypernetwork,
    task: Task | str = "l1",
    betas: Sequence[float] = BETAS,
    samples: int = SAMPLES,
    generations: int | None = None,
    device: str | torch.device = "cpu",
) -> tuple[pd.DataFrame, Network]:
    """Measure the networks of one model along beta.

    Args:
        model: of a trained seed; it may live on any device.
        task: a `Task`, or the name of one of the book's.
        samples: inputs on which losses are measured, the same for every network.
        generations: generation seeds per beta, at least 2; by default `GENERATIONS`, and `GENERATIONS_CLOSED` if the KL
            is below `CLOSED_KL` at all betas.
        device: where to measure. The noise is drawn on the CPU, so that the networks are the same on every device.

    Returns:
        The table described above, one row per beta, and the networks of generation seed 0, on the CPU, with the betas
        as batch axis.

    TypeError if ``model`` is not a `ParetoHypernetwork`, ValueError for an unknown task, a beta that is not positive
    and finite, or fewer than 2 samples or generation seeds.

    Example:
        >>> import hyperlib as hl
        >>> model = hl.load_run("results/l1").model(seed=1007)
        >>> table, networks = hl.sweep(model, betas=[1e-9, 1e-3], samples=256)
        >>> networks.batch_shape, table[["loss", "kl"]].shape
        (torch.Size([2]), (2, 2))
    """
    check_type("model", model, ParetoHypernetwork, "a ParetoHypernetwork, such as run.model(seed)")
    betas = check_beta(betas).reshape(-1).tolist()
    samples = check_whole("samples", samples, least=2)
    if generations is not None:
        generations = check_whole("generations", generations, least=2)
    task, n = get_task(task), model.shape[0]
    data = {"": task.measured(samples, n, INPUT_SEED)}
    if task.table and len(task.table.held_x):
        data["_held_out"] = task.table.held_x, task.table.held_y
    data = {name: (x.to(device), y.to(device)) for name, (x, y) in data.items()}
    model, errors = model.to(device), task.errors(n)
    accuracy = task.loss == CROSS_ENTROPY
    found, networks = _measure(model, betas, range(generations or GENERATIONS), data, errors, accuracy)
    if generations is None and bool((found["kl"].mean(0) < CLOSED_KL).all()):
        more, _ = _measure(model, betas, range(GENERATIONS, GENERATIONS_CLOSED), data, errors, accuracy)
        found = {name: torch.cat([found[name], more[name]]) for name in found}
    return _summary(betas, found), networks


def _measure(
    model: ParetoHypernetwork,
    betas: Sequence[float],
    seeds: Sequence[int],
    data: Mapping[str, tuple[Tensor, Tensor]],
    errors: Callable[[Tensor, Tensor], Tensor],
    accuracy: bool,
) -> tuple[dict[str, Tensor], Network]:
    """Every network on its own: tensors ``(seeds, betas, ...)`` on the CPU, and the networks of the first seed."""
    size, (x, y) = Hypernetwork(model.shape, model.architecture).noise_size, data[""]
    noise = torch.cat([torch.randn(1, size, generator=as_generator(seed), **FLOAT) for seed in seeds])
    noise = noise.to(x.device, model.parameters["map"].dtype)
    chunk = max(1, (CHUNK if x.device.type == "cpu" else CHUNK_CUDA) // len(seeds))
    parts: dict[str, list[Tensor]] = {}
    first = []
    with torch.no_grad():
        for start in range(0, len(betas), chunk):
            some = betas[start : start + chunk]
            nets, bare = (
                model.generate(some, count=len(seeds), noise=noise, encoder=on) for on in (model.encoder, False)
            )
            out, W = nets(x), nets.weights[0]
            each = errors(out, y).double()  # (seeds, betas, samples)
            measured = {
                "loss": each.mean(-1),
                "loss_without_encoder": errors(bare(x), y).double().mean(-1),
                "kl": cast(Tensor, nets.kl).double(),
                "errors": each.sum(0, keepdim=True),
                "alpha_1": double_sidedness(W).double(),
                "alpha_2": strongest_connection(W).double(),
                **features(W),
                "spread": out.std(-2).amax(-1).double(),
                "W": W.flatten(2).double(),
            }
            for name, (inputs, targets) in data.items():
                result = nets(inputs) if name else out
                if name:
                    measured[f"loss{name}"] = errors(result, targets).double().mean(-1)
                if accuracy:
                    measured[f"accuracy{name}"] = (result.argmax(-1) == targets.argmax(-1)).double().mean(-1)
            for name, values in measured.items():
                parts.setdefault(name, []).append(values.cpu())
            first.append(nets[0].map(Tensor.cpu))
    return {name: torch.cat(tensors, dim=1) for name, tensors in parts.items()}, joined(first)


def _summary(betas: Sequence[float], found: dict[str, Tensor]) -> pd.DataFrame:
    """The table of a sweep, from all its networks."""
    import pandas as pd  # here, because it takes half a second to import

    count = len(found["loss"])
    arrays = {name: tensor.numpy(force=True) for name, tensor in found.items()}
    columns: dict[str, Any] = {"beta": np.asarray(betas), "generations": np.full(len(betas), count)}
    for name in ("loss", "loss_without_encoder"):
        columns[name] = found[name].mean(0)
        columns[f"{name}_se"] = found[name].std(0) / math.sqrt(count)
    columns["loss_input_se"] = (found["errors"].sum(0) / count).std(-1) / math.sqrt(found["errors"].shape[-1])
    for name in ("loss_held_out", "accuracy", "accuracy_held_out"):
        if name in found:
            columns[name] = found[name].mean(0)
    columns["kl"] = found["kl"].mean(0)
    for name in ("alpha_1", "alpha_2"):
        columns[name] = np.median(arrays[name], axis=0)
    columns["alpha_3"] = _mean_seed_dependence(found["W"])
    for name in FEATURES:
        columns[name] = np.median(arrays[name], axis=0)
    columns["spread"] = found["spread"].mean(0)
    table = pd.DataFrame({name: np.asarray(values) for name, values in columns.items()})

    table["phase"] = table["structure"] = NONE
    table["agreement"] = np.nan
    # a diverged network has no algorithm
    known = table[["alpha_1", "alpha_2", *FEATURES]].notna().all(axis=1).to_numpy()
    rows = table[known]
    table.loc[known, "phase"] = phase(rows["alpha_1"].to_numpy(), rows["alpha_2"].to_numpy())
    table.loc[known, "structure"] = label({name: rows[name].to_numpy() for name in FEATURES})
    own = label({name: arrays[name][:, known] for name in FEATURES})
    table.loc[known, "agreement"] = (own == table.loc[known, "structure"].to_numpy()).mean(0)
    return table


def _mean_seed_dependence(W: Tensor) -> Tensor:
    """alpha_3 of equation 7, averaged over all pairs of generation seeds, for flattened layers ``(seeds, B, n m)``."""
    products = torch.einsum("sbe,tbe->bst", W, W)
    power = products.diagonal(dim1=1, dim2=2)
    total = power[:, :, None] + power[:, None]
    alpha = (total - 2 * products) / torch.where(total == 0, 1.0, total)
    first, second = torch.triu_indices(len(W), len(W), offset=1, device=W.device)
    return alpha[:, first, second].mean(1)
