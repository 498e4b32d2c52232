"""From the network one has to the rule behind it: a hypernetwork that begins as the memory of a given network.

The memory first learns the given weights, then the usual objective follows with the price rising: at its low end stands
the given network, improved; above, ever simpler ones. In every table the given network is the row whose beta is 0.
"""

import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from .checks import check_seeds, check_whole
from .config import TrainConfig
from .decoding.decode import program_of
from .decoding.program import KeepsLittle
from .experiment import train
from .hypernetwork import Architecture
from .losses import CROSS_ENTROPY
from .network import Network, check_activation, check_network
from .problems import get_task
from .runs import Run, load_run
from .sweeps import CLOSED_KL, SAMPLES
from .task import Task
from .training import distance

OUTSIDE = 2.0  # factor on the inputs that takes them out of the range that was trained on
LOST = 0.5  # normalised loss from which on a given network is said not to do the task
FRESH_SEED = 20231207  # of the inputs of a path; sweeps have other ones
MOST_TURNS = 20  # over the hidden layers, until neurons are matched
DOUBLED = 2.0  # factor by which loss rises from one price to the next where the path breaks
OWN = 0.5  # share of a neuron's squared weights on one input above which it is that input's own
SLIGHT = 0.2  # share of the strongest effect below which an input's own neurons are passed over
GAIN = 4.0  # of `compress`: with 1, networks begin where their activation has no kink


def compress(
    net: Network | nn.Module | Any,
    task: Task | str,
    out: str | os.PathLike,
    *,
    steps: int = 24_000,
    seeds: Sequence[int] | None = None,
    match: int | None = None,
    faithful: bool = False,
    gain: float = GAIN,
    snapshots: int = 8,
    batch: int = 256,
    **options: Any,
) -> Run:
    """Train a family of ever simpler networks that begins as a given one, and leave a finished run folder.

    Args:
        net: the given network; a batch of them is one per seed. A ``torch.nn.Sequential`` is taken as well, and an
            ``MLPRegressor`` or ``MLPClassifier`` of scikit-learn. On a table it works in standardised units.
        task: what it does: a `Task`, also a table of examples, or the name of one of the book's.
        out: the run folder. Run again, it resumes.
        steps: of training. Beta warms up over the first three quarters; the learning rate ends at 2 %.
        seeds: one per given network, or any number for a single one; by default from 0 on.
        match: first steps, in which the memory learns the given weights, by default a quarter.
        faithful: learn the given network's outputs in place of the task's targets: the simplest explanation of this
            network, not the simplest network for its task.
        gain, snapshots, batch: as in `Architecture` and `TrainConfig`.
        options: further arguments of `train`, such as ``workers`` and ``compiled``.

    TypeError for what is no network (see `Network.from_module`), ValueError for one that does not fit the task or the
    seeds, is not finite, or has a layer of zeros or an unknown activation; RunError as for `train`. A network that does
    not do the task is warned of, with its loss.

    Example:
        >>> import tempfile
        >>> import hyperlib as hl
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     options = {"steps": 8, "workers": 0, "compiled": False, "progress": False}
        ...     run = hl.compress(hl.construct.pudding(n=3, hidden=6), "l1", folder, **options)
        ...     run.given.shape, run.config.match_steps
        ((3, 6, 1), 2)
    """
    net, task = check_given(net), get_task(task)
    task.check_shape(net.shape)
    seeds = check_seeds(range(len(net) if net.batch_shape else 1) if seeds is None else seeds)
    if net.batch_shape not in ((), (len(seeds),)):
        found = f"net has batch axes {tuple(net.batch_shape)}, seeds is {seeds}"
        raise ValueError(f"{found}; expected one network, or one per seed")
    steps = check_whole("steps", steps, least=4)
    x, y = fresh(task, net)
    losses = task.errors(net.shape[0])(net(x), y).mean(-1).reshape(-1)
    if faithful and not bool(net(x).var(-2).any(-1).all()):
        raise ValueError("faithful is True, but net gives the same output for all inputs; there is nothing to learn")
    if losses.max() > LOST:
        found = f"its loss is {', '.join(f'{loss:.3g}' for loss in losses.tolist())}, where 1 is what a constant gives"
        said = f"the given network does not do the task {task.name!r}: {found}"
        warnings.warn(f"{said}; is its output normalised as the task's targets are?", stacklevel=2)
    config = TrainConfig(
        seeds=seeds,
        steps=steps,
        shape=net.shape,
        task=task,
        batch=batch,
        learning_rate_end=0.02,
        beta_warmup=3 * steps // 4,
        snapshots=snapshots,
        architecture=Architecture(gain=gain),
        activation=net.activation,
        match_steps=steps // 4 if match is None else match,
        faithful=faithful,
    )
    return train(config, out, given=net, **options)


def check_given(net: Network | nn.Module | Any) -> Network:
    """The given networks in single precision, on the CPU; TypeError or ValueError if they are none to begin with."""
    if isinstance(net, nn.Module):
        net = Network.from_module(net)
    elif hasattr(net, "coefs_"):
        net = from_sklearn(net)
    check_network(net)
    net = Network(net.weights, net.biases, activation=net.activation).map(lambda t: t.detach().cpu().float())
    for layer, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        if not bool(weight.isfinite().all()) or not bool(bias.isfinite().all()):
            raise ValueError(f"net holds numbers in layer {layer} that are not finite")
        if not bool(weight.flatten(-2).any(-1).all()):
            raise ValueError(f"net has only zeros as weights of layer {layer}; nothing depends on its inputs")
    return net


def from_sklearn(model: Any) -> Network:
    """The network of a fitted ``MLPRegressor`` or ``MLPClassifier``; of two classes both get an output."""
    known = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
    if model.activation not in known:
        raise ValueError(f"the model has activation {model.activation!r}; expected one of {', '.join(known)}")
    weights, biases = ([torch.tensor(part) for part in parts] for parts in (model.coefs_, model.intercepts_))
    if model.out_activation_ == "logistic":  # sigmoid(z) is softmax of 0 and z
        weights[-1], biases[-1] = (torch.cat([torch.zeros_like(t), t], -1) for t in (weights[-1], biases[-1]))
    return Network(weights, biases, activation=known[model.activation])


def fresh(task: Task, net: Network) -> tuple[Tensor, Tensor]:
    """Inputs ``(SAMPLES, n)`` and targets on which networks are judged: new ones, or a table's held-out rows."""
    if task.table and len(task.table.held_x):
        return task.table.held_x, task.table.held_y
    return task.measured(SAMPLES, net.shape[0], FRESH_SEED)


def read_network(source: str, activation: str | None = None) -> Network:
    """A network from a file or from a run.

    The file is a safetensors one: tensors ``weight0, bias0, ...`` as a run stores given networks, perhaps with a batch
    axis, or the ``state_dict`` of a torch module of linear layers, ``0.weight, 0.bias, 2.weight, ...``; its activation
    is swish by default. ``RUN:SEED`` is the seed's network at the lowest beta.

    FileNotFoundError or KeyError if there is no such file, run or seed, ValueError if it holds no such network.
    """
    if Path(source).is_file():
        try:
            tensors = load_file(source)
        except SafetensorError as error:
            raise ValueError(f"{source} is no safetensors file: {error}") from None
        return from_tensors(tensors, "swish" if activation is None else check_activation(activation), source)
    if not (found := re.fullmatch(r"(.+):(\d+)", source)):
        raise FileNotFoundError(f"no file {source!r}; expected a safetensors file, or RUN:SEED")
    run = load_run(found[1])
    if activation not in (None, run.config.activation):
        raise ValueError(f"activation is {activation!r}; {found[1]} has {run.config.activation!r}")
    return run.networks(int(found[2]))[0]


def from_tensors(tensors: Mapping[str, Tensor], activation: str, source: str = "the file") -> Network:
    """The network of named tensors, see `read_network`, or ValueError."""
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"(?:(.*)\.)?(weight|bias)(\d*)", name)
        if found is None or (found[1] is None) == (not found[3]):
            expected = "weight0, bias0, ..., or the state of linear layers, 0.weight, ..."
            raise ValueError(f"{source} holds {name!r}; expected {expected}")
        layers.setdefault(found[3] or f"{found[1]}.", {})[found[2]] = tensor.float()
    weights, biases = [], []
    for place in sorted(layers, key=lambda place: [(not part.isdigit(), part.zfill(9)) for part in place.split(".")]):
        weight = layers[place].get("weight")
        if weight is None or weight.ndim < 2:
            raise ValueError(f"{source}: {place} has no weight matrix; expected linear layers only")
        weight = weight.mT.contiguous() if place.endswith(".") else weight  # a Linear keeps (n_out, n_in)
        weights.append(weight)
        biases.append(layers[place].get("bias", weight.new_zeros(weight.shape[:-2] + weight.shape[-1:])))
    try:
        return Network(weights, biases, activation=activation)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def path(
    run: Run, seeds: Sequence[int] | None = None, betas: Sequence[float] | None = None, programs: bool = True
) -> pd.DataFrame:
    """What a run gives up along the price: one row per seed and beta, and before them the given network, at beta 0.

    A row describes one network, that of generation seed 0, on fresh inputs, or on a table's held-out rows. By default
    rows are of all seeds and of all betas whose networks the run holds. ``programs`` decodes every network, about a
    second each, if it has one hidden layer. Without given networks the columns that compare with them are empty.

    Returns:
        ``seed``; ``beta``; ``loss`` on the task; ``nats``; ``kept``, the share of the variance of the given network's
        output that is kept, and ``kept_outside``, likewise with inputs twice as large (of classes, of their
        probabilities); ``distance`` of the weights from the given ones, relative and squared, hidden neurons
        `matched`; ``sharpness``, the size of the first layer's weights relative to the given; ``assignment``, the share
        of the inputs with given neurons of their own that still have some, and ``signs``, the share of the given
        `sides` of these that they keep; ``label``, ``numbers``, ``bits``, ``text`` and ``program_loss`` of the program.
    """
    task, held = run.task, run.network_betas
    betas = held if betas is None else [float(beta) for beta in betas]
    if gone := [beta for beta in betas if beta not in held]:
        raise ValueError(f"betas holds {gone}; run {run.path} has networks of {held}")
    rows: list[dict[str, Any]] = []
    for seed in run.seeds if seeds is None else seeds:
        nets, given = run.networks(seed), None
        if run.given is not None:
            given = run.given[run.config.seeds.index(seed)]
            rows.append({"seed": seed, "beta": 0.0, "nats": math.nan, **describe(given, given, task, programs)})
        for beta in betas:
            net = nets[held.index(beta)]
            nats = float(net.kl) if net.kl is not None else math.nan
            rows.append({"seed": seed, "beta": beta, "nats": nats, **describe(net, given, task, programs)})
    table = pd.DataFrame(rows)
    table.attrs["source"] = run.source
    return table


@torch.no_grad()
def describe(net: Network, given: Network | None, task: Task, programs: bool = True) -> dict[str, Any]:
    """One network beside the given one: the columns of `path` but for seed, beta and nats."""
    (x, y), errors = fresh(task, net), task.errors(net.shape[0])
    found: dict[str, Any] = {"loss": float(errors(net(x), y).mean())}
    if given is not None:
        found["kept"], found["kept_outside"] = (kept(net, given, z, task) for z in (x, OUTSIDE * x))
        found |= compare(net, given)
    if programs and len(net.shape) == 3:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeepsLittle)  # its loss says so
            program = program_of(net, task, FRESH_SEED)
        found |= {"label": program.label, "numbers": program.numbers, "bits": program.bits, "text": program.text}
        found["program_loss"] = program.loss(x, y, loss=lambda out, y: errors(out, y).mean())
    return found


def kept(net: Network, given: Network, x: Tensor, task: Task) -> float:
    """Share of the variance of the given network's output that a network keeps; of classes, of probabilities."""
    out, aim = (one(x).softmax(-1) if task.loss == CROSS_ENTROPY else one(x) for one in (net, given))
    return 1 - float((out - aim).square().mean() / aim.var(-2, correction=0).mean())


def compare(net: Network, given: Network) -> dict[str, float]:
    """Weights beside the given ones, hidden neurons `matched`, and inputs beside inputs: four columns of `path`."""
    near = matched(net, given)
    found = {"distance": float(distance(near.weights, near.biases, [*given.weights, *given.biases]))}
    found["sharpness"] = float(net.weights[0].norm() / given.weights[0].norm())
    had, has = sides(given), sides(net)
    still = had.any(1) & has.any(1)
    found["assignment"] = float(still.sum() / had.any(1).sum()) if had.any() else math.nan
    found["signs"] = float((had & has)[still].sum() / had[still].sum()) if still.any() else math.nan
    return found


def sides(net: Network) -> Tensor:
    """Whether an input has first-layer neurons of its own with a negative and with a positive weight ``(n, 2)``.

    A neuron is an input's own if more than half of its squared weights lie on it. Sides count whose neurons have at
    least `SLIGHT` of the strongest side's effect, `W_ij |v_j|` summed over neurons.
    """
    weight = net.weights[0]
    share, owner = (weight.square() / weight.square().sum(0).clamp_min(1e-30)).max(0)
    own = (owner == torch.arange(len(weight))[:, None]) & (share > OWN)
    reach = net.weights[1].norm(dim=-1) if len(net.weights) > 1 else weight.new_ones(weight.shape[1])
    effect = weight * reach * own
    each = torch.stack([-effect.clamp(max=0).sum(1), effect.clamp(min=0).sum(1)], 1)
    return each > SLIGHT * each.max().clamp_min(1e-30)


@torch.no_grad()
def matched(net: Network, given: Network) -> Network:
    """A network with its hidden neurons in the order in which they are closest to the given one's.

    Several hidden layers are matched in turn until nothing changes. With tanh and sigmoid a neuron may also change its
    sign, and its output weights theirs. Both are single networks of one shape and activation, or a ValueError.
    """
    one, other = ((net.shape, tuple(net.batch_shape), net.activation) for net in (net, given))
    if one != other or net.batch_shape:
        found = f"networks with shape, batch axes and activation {one} and {other}"
        raise ValueError(f"got {found}; expected single ones of one kind")
    last = len(net.weights) - 2
    for turn in range(MOST_TURNS):
        before = net
        for layer in range(last + 1):
            net = _layer_matched(net, given, layer, behind=turn > 0 or layer == last)
        if last == 0 or (turn and net == before):
            break
    return Network(net.weights, net.biases, net.kl, net.activation)


def _layer_matched(net: Network, given: Network, layer: int, behind: bool) -> Network:
    """The neurons behind one layer in the closest order; ``behind``: the weights that leave them count, too."""
    parts = [(net.weights[layer], given.weights[layer]), (net.biases[layer][None], given.biases[layer][None])]
    parts += [(net.weights[layer + 1].T, given.weights[layer + 1].T)] if behind else []
    sizes = [given_part.square().sum() for _, given_part in parts]
    sizes[1] = torch.maximum(sizes[1], 0.01 * sizes[0] / len(parts[0][0]))  # as in `distance`: it may be next to 0
    costs = []
    for sign in (1, -1) if net.activation in ("tanh", "sigmoid") else (1,):
        each = [(sign * a.T[:, None] - b.T).square().sum(-1) / size for (a, b), size in zip(parts, sizes, strict=True)]
        costs.append(torch.stack(each).sum(0))
    cost, flip = torch.stack(costs).min(0)
    _, order = linear_sum_assignment(cost.T.double().numpy())
    signs = 1 - 2.0 * flip[order, torch.arange(len(order))]
    weights, biases = list(net.weights), list(net.biases)
    if net.activation == "sigmoid":  # sigmoid(-z) = 1 - sigmoid(z)
        biases[layer + 1] = biases[layer + 1] + weights[layer + 1][order][signs < 0].sum(0)
    weights[layer], biases[layer] = weights[layer][:, order] * signs, biases[layer][order] * signs
    weights[layer + 1] = weights[layer + 1][order] * signs[:, None]
    return Network(weights, biases, net.kl, net.activation)


def transitions(table: pd.DataFrame) -> pd.DataFrame:
    """Where a path breaks: pairs of neighbouring prices, in order, and what happens between them.

    A break is where the loss, or what is lost of the given network's output, rises by `DOUBLED` or more, and by more
    than at the prices next to it; where the program's label changes for more than one price; and where memory ends,
    below `CLOSED_KL` nats. The table is of `path`; the columns ``below`` and ``above`` hold beta, ``what`` the words.
    """
    rows = []
    for seed, group in table[table["beta"] > 0].groupby("seed"):
        group = group.sort_values("beta").reset_index(drop=True)
        said: dict[int, list[str]] = {}
        if "label" in group:
            labels = group["label"].tolist()
            after = [*labels[1:], labels[-1]]
            steady = [(k, name) for k, name in enumerate(labels) if name == after[k]]
            for (_, old), (at, new) in pairwise(steady):
                if old != new:
                    said.setdefault(at, []).append(f"{old} becomes {new}")
        for at in range(1, len(group)):
            if group["nats"][at] < CLOSED_KL <= group["nats"][at - 1]:
                said.setdefault(at, []).append("memory ends")
        lost = {"loss": group["loss"]}
        if "kept" in group:
            lost["distance from the given output"] = 1 - group["kept"]
        for name, values in lost.items():
            factor = (values / values.shift()).fillna(1.0)
            peak = (factor >= factor.shift(fill_value=0)) & (factor > factor.shift(-1, fill_value=0))
            for at in factor.index[peak & (factor >= DOUBLED)]:
                said.setdefault(at, []).append(f"{name} times {factor[at]:.2g}")
        for at, what in sorted(said.items()):
            values = [group[name][place] for name in ("beta", "nats", "loss") for place in (at - 1, at)]
            rows.append([seed, *values, "; ".join(what)])
    columns = ["seed", "below", "above", "nats_below", "nats_above", "loss_below", "loss_above", "what"]
    return pd.DataFrame(rows, columns=columns)
