"""Training an ensemble of seeds at once: objective, gradients and step (sections 2 and B.2.2).

One step draws one beta and a fresh batch per seed, generates one network per seed and follows the gradient of log(L +
beta KL) with Adam. It is two functions of tensors, `gradients` and `adam`, each of which compiles into one graph on a
CPU; on a CUDA device the whole step is captured once and replayed. Seeds never mix: each has its own random stream,
gradient norm and place in every tensor.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from .checks import BETA_MIN, DOUBLE, FLOAT, check_seeds, check_type, check_whole, expect
from .config import TrainConfig
from .fast import noise as kernel
from .fast.hypernetwork import FastHypernetwork
from .hyperhypernetwork import Parameters, ParetoHypernetwork, gate, hidden_state, initial_parameters
from .hypernetwork import Hypernetwork
from .losses import squared_error
from .network import Network, Shape, forward, joined
from .noise import normals

BETA_DECAY = (0.9, 0.999)  # Adam's two decay rates
EPSILON = 1e-8
GRAPHS = 256  # most graphs of one function that the compiler keeps
State = dict[str, Tensor]


def learning_rate(config: TrainConfig, step: Tensor) -> Tensor:
    """Learning rate at ``step`` (1-based): linear warm-up, then cosine decay to ``learning_rate_end`` of it."""
    warm = (step / max(1, config.learning_rate_warmup)).clamp(max=1)
    span = max(1, config.steps - config.learning_rate_warmup)
    progress = ((step - config.learning_rate_warmup) / span).clamp(0, 1)
    cosine = config.learning_rate_end + (1 - config.learning_rate_end) * 0.5 * (1 + (math.pi * progress).cos())
    return config.learning_rate * warm * cosine


def draw_log_beta(upper: Tensor, normal: Tensor) -> Tensor:
    """log10(beta) per seed, uniform on [-12, upper], from standard normal numbers."""
    lowest = math.log10(BETA_MIN)
    return lowest + (upper - lowest) * torch.special.ndtr(normal)


def distance(weights: Sequence[Tensor], biases: Sequence[Tensor], given: Sequence[Tensor]) -> Tensor:
    """How far networks are from given ones (all weights, then all biases): a mean over tensors ``(seeds,)``.

    Squared distances are in units of the mean square of the given tensor, of a bias at least a hundredth of that of its
    layer's weights.
    """
    parts, depth = [], len(weights)
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        size = given[layer].square().mean((-2, -1))
        bias_size = torch.maximum(given[depth + layer].square().mean(-1), 0.01 * size)
        parts.append((weight - given[layer]).square().mean((-2, -1)) / size)
        parts.append((bias - given[depth + layer]).square().mean(-1) / bias_size)
    return torch.stack(parts).mean(0)


def objective(
    hypernetwork: Hypernetwork,
    hyperweights: Mapping[str, Tensor],
    noise: Tensor,
    x: Tensor,
    y: Tensor,
    beta: Tensor,
    errors: Callable[[Tensor, Tensor], Tensor] = squared_error,
    encoder: bool = True,
    activation: str = "swish",
    given: Sequence[Tensor] = (),
    matching: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Sum over seeds of log(L + beta KL) (B.2.2), and per seed that logarithm, the loss L and KL (nats).

    While the memory is matched to given networks (``matching`` ``()`` is 1), the `distance` from them stands in place
    of L in the logarithm. Hyperweights, noise and encoder are those of `Hypernetwork.generate`, ``errors`` that of the
    task, beta is ``(seeds,)``, inputs x and normalised targets y ``(seeds, batch, n_0)`` and ``(seeds, batch, n_N)``.
    """
    weights, biases, kl = hypernetwork.generate(hyperweights, noise, encoder)
    loss = errors(forward(weights, biases, x, activation), y).mean(-1)
    error = loss if matching is None else torch.where(matching > 0, distance(weights, biases, given), loss)
    value = (error + beta * kl).log()
    return value.sum(), (value, loss, kl)


RANDOM_NETWORK = 0x52414E44  # sets the stream of a seed's random network apart from that of its hyperhypernetwork


def random_network(shape: Shape, seeds: Sequence[int], activation: str = "swish") -> Network:
    """Networks in which nothing is trained, one per seed: what the memory is matched to where no network is given.

    Weights are normal with standard deviation 1/sqrt(n_l), hidden biases with 0.1, the outputs' are 0.
    """
    layers, drawn = list(itertools.pairwise(shape)), []
    for seed in seeds:
        g = torch.Generator("cpu").manual_seed(seed ^ RANDOM_NETWORK)
        weights = [n**-0.5 * torch.randn((n, m), generator=g, **FLOAT) for n, m in layers]
        biases = [0.1 * torch.randn((m,), generator=g, **FLOAT) for _, m in layers]
        drawn.append(Network(weights, [*biases[:-1], 0 * biases[-1]], activation=activation))
    return joined(drawn, torch.stack)


PARAMETERS = ("weight1", "bias1", "weight2", "bias2", "map")
SMALL = PARAMETERS[:-1]


def initial_state(config: TrainConfig, seeds: Sequence[int], dtype: torch.dtype = torch.float32) -> State:
    """All tensors of a training: parameters and Adam's moments with a leading seed axis, counters and sums."""
    hypernetwork = Hypernetwork(config.shape, config.architecture)
    drawn = [initial_parameters(hypernetwork, seed, dtype) for seed in seeds]
    state = {name: torch.stack([parameters[name] for parameters in drawn]) for name in PARAMETERS}
    for moment in ("first", "second"):
        state |= {f"{moment}.{name}": torch.zeros_like(state[name]) for name in PARAMETERS}
    state["step"] = torch.zeros(1, **DOUBLE)  # one axis: the compiler does not write back to scalars
    state["alive"] = torch.ones(len(seeds), dtype=torch.bool, device="cpu")
    state["died"] = torch.zeros(len(seeds), **DOUBLE)  # step at which a seed diverged, 0 if it did not
    state["sums"] = torch.zeros(len(seeds), 3, **DOUBLE)  # of log(L + beta KL), L and KL since last read
    return state


def schedule(config: TrainConfig, step: Tensor) -> Tensor:
    """Upper end of log10(beta), Adam's step, its second moment's correction, whether the memory is matched ``(4,)``.

    At ``step`` (1-based), apart: the compiler would repeat these powers and cosines inside the innermost loops.
    """
    rise = (step / max(1, config.beta_warmup)).clamp(max=1)
    size = learning_rate(config, step) / (1 - BETA_DECAY[0] ** step)
    matching = (step <= config.match_steps).to(step.dtype)
    return torch.cat([config.log_beta_start * (1 - rise), size, 1 / (1 - BETA_DECAY[1] ** step), matching])


def gradients(
    config: TrainConfig,
    hypernetwork: Hypernetwork,
    examples: Callable[[Tensor], tuple[Tensor, Tensor]],
    errors: Callable[[Tensor, Tensor], Tensor],
    parameters: Parameters,
    normal: Tensor,
    rates: Tensor,
    given: Sequence[Tensor] = (),
) -> tuple[Parameters, Tensor, Tensor]:
    """Gradient of log(L + beta KL) for every seed of the ensemble, clipped to ``config.clip`` per seed.

    The encoder is off for the ``sizes`` of the configuration. The gradient of the hyperhypernetwork's last map is the
    outer product of its input (11 numbers) and the slope at its output: it is never stored.

    Args:
        hypernetwork: for one of ``config.shapes``; ``examples``, ``errors``: those of the task at its number of inputs.
        parameters: the hyperhypernetworks' tensors with a leading seed axis.
        normal: standard normals ``(seeds, draws(config, hypernetwork))``: noise, inputs, one number for beta.
        rates: what `schedule` returns.
        given: the networks to which the memory is matched, see `distance`; none without ``config.match_steps``.

    Returns:
        The clipped gradients, with the last map's as its two factors ``map.input`` ``(seeds, 11)`` and ``map.output``
        ``(seeds, 2 count)``; log(L + beta KL), L and KL ``(seeds, 3)``; and which seeds are finite ``(seeds,)``.
    """
    trained, each = Hypernetwork(config.shape, config.architecture), config.task.draws(hypernetwork.shape[0])
    noise, numbers, uniform = normal.split([hypernetwork.noise_size, config.batch * each, 1], dim=1)
    x, y = examples(numbers.unflatten(1, (config.batch, each)))
    log_beta = draw_log_beta(rates[0], uniform[:, 0])

    small = {name: parameters[name] for name in SMALL}
    hidden, pull_back = torch.func.vjp(lambda small: hidden_state(small, log_beta), small)  # type: ignore[misc]
    ab = (hidden[:, None] @ parameters["map"])[:, 0]
    own = hypernetwork.shape == config.shape
    encoder = own and config.encoder
    if config.faithful and own:
        depth = len(config.shape) - 1
        y = forward(given[:depth], given[depth:], x, config.activation)
        spread = y.var(1, correction=0).mean(-1)[:, None]
        errors = lambda out, y: squared_error(out, y) / spread  # noqa: E731  # also of classes: the outputs' distance

    def value(ab: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        named = trained.unflatten(gate(ab), trained.sizes)
        matching = rates[3] if given and own else None
        kind = (errors, encoder, config.activation)
        return objective(hypernetwork, named, noise, x, y, 10**log_beta, *kind, given, matching)

    slope, logged = torch.func.grad(value, has_aux=True)(ab)
    gradient = pull_back((parameters["map"] @ slope[..., None])[..., 0])[0]

    squared = slope.square().sum(1) * hidden.square().sum(1)
    squared = squared + sum(g.square().flatten(1).sum(1) for g in gradient.values())
    scale = (config.clip / squared.sqrt()).clamp(max=1)[:, None]
    clipped = {name: g * scale.reshape((-1,) + (1,) * (g.ndim - 1)) for name, g in gradient.items()}
    clipped |= {"map.input": hidden * scale, "map.output": slope}
    return clipped, torch.stack(logged, dim=1), squared.isfinite() & logged[0].isfinite()


def adam(state: State, gradient: Mapping[str, Tensor], logged: Tensor, finite: Tensor, rates: Tensor) -> None:
    """One step of Adam for every seed, in place; a seed that is not finite is frozen as it was before the step."""
    step = state["step"] + 1
    alive = state["alive"] & finite
    decay1, decay2 = BETA_DECAY
    size, correction = rates[1], rates[2]
    for name in PARAMETERS:
        outer = name == "map"
        g = gradient["map.input"][:, :, None] * gradient["map.output"][:, None] if outer else gradient[name]
        first = state[f"first.{name}"] * decay1 + g * (1 - decay1)
        second = state[f"second.{name}"] * decay2 + g.square() * (1 - decay2)
        value = state[name] - size * first / ((second * correction).sqrt() + EPSILON)
        keep = alive.reshape((-1,) + (1,) * (g.ndim - 1))
        for key, new in ((name, value), (f"first.{name}", first), (f"second.{name}", second)):
            state[key].copy_(torch.where(keep, new, state[key]))
    state["died"].copy_(torch.where(state["alive"] & ~alive, step, state["died"]))
    state["sums"].add_(torch.where(alive[:, None], logged, 0))
    state["alive"].copy_(alive)
    state["step"].copy_(step)


def draws(config: TrainConfig, hypernetwork: Hypernetwork) -> int:
    """Standard normal numbers that one step of one seed consumes at the hypernetwork's shape."""
    return hypernetwork.noise_size + config.batch * config.task.draws(hypernetwork.shape[0]) + 1


def fill_normals(out: Tensor, seeds: Tensor, step: Tensor) -> None:
    """Fill ``out`` ``(seeds, count)`` with the normals of ``step``."""
    out.copy_(normals(seeds, step, out.shape[1], out.dtype))


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Treat denormal numbers as zero meanwhile: gradients through a closed KL channel are full of them, and slow."""
    before = not bool(torch.full((1,), 1e-40, **FLOAT) * 1)  # there is no way to ask
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def compile_apart(function: Callable, *given: object, **options: object) -> Callable:
    """`torch.compile` of a function with its first arguments given."""

    def bound(*arguments: object) -> object:
        return function(*given, *arguments)

    return torch.compile(bound, fullgraph=True, dynamic=False, **options)  # type: ignore[call-overload]


def many_graphs() -> AbstractContextManager:
    """Let the compiler keep more than its eight graphs of one function: every shape of every ensemble needs its own."""
    import torch._dynamo  # here, because it takes seconds to import

    return torch._dynamo.config.patch(cache_size_limit=GRAPHS)


def check_device(device: str | torch.device) -> torch.device:
    """The device, or ValueError if it is neither the CPU nor a CUDA device that PyTorch finds."""
    try:
        found = torch.device(device)
    except (RuntimeError, ValueError, TypeError):
        found = torch.device("meta")
    expect(found.type in ("cpu", "cuda"), "device", str(device), "cpu, cuda or cuda:number")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device is {str(device)!r}; PyTorch finds {torch.cuda.device_count() or 'no'} CUDA device")
    return found


class Ensemble:
    """Seeds trained side by side on one device.

    Args:
        seeds: the seeds of this ensemble, some or all of the configuration's.
        compiled: compile the step (C++ compiler needed on a CPU); False runs the same code eagerly.
        device: "cpu" or a CUDA device. On CUDA the compiled step is captured into a graph once and replayed.
        given: the networks to which the memory is matched for the first ``config.match_steps``, one per seed as batch
            axis; by default `random_network`.

    ValueError as for `check_seeds`, for a device that is not there and for given networks of another shape.

    Example:
        >>> import hyperlib as hl
        >>> config = hl.TrainConfig(shape=(3, 8, 1), batch=32)
        >>> ensemble = hl.Ensemble(config, seeds=[0, 1], compiled=False)
        >>> ensemble.advance(5)
        >>> ensemble.step, ensemble.model(1).generate(beta=1e-3).shape
        (5, (3, 8, 1))
    """

    hypernetwork: type[Hypernetwork] = FastHypernetwork  # the plain one gives the same numbers later

    def __init__(
        self,
        config: TrainConfig,
        seeds: Sequence[int],
        compiled: bool = True,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        given: Network | None = None,
    ):
        check_type("config", config, TrainConfig, "a TrainConfig")
        seeds = check_seeds(seeds)
        self.config, self.seeds, self.device = config, list(seeds), check_device(device)
        self.compiled = compiled
        self.state = {name: tensor.to(self.device) for name, tensor in initial_state(config, seeds, dtype).items()}
        self.seed_numbers = torch.tensor(self.seeds, device=self.device)
        if given is None and config.match_steps:
            given = random_network(config.shape, self.seeds, config.activation)
        self._given: list[Tensor] = []
        if given is not None:
            found, wanted = (given.shape, tuple(given.batch_shape)), (config.shape, (len(self.seeds),))
            expect(found == wanted, "(shape, batch axes) of given", found, f"a network per seed, {wanted}")
            tensors = [*given.weights, *given.biases] if config.needs_given else []
            self._given = [tensor.to(self.device, dtype) for tensor in tensors]
        prepare = compile_apart if compiled else functools.partial
        self._adam = prepare(adam)
        # one buffer of random numbers and one function per shape; the steps take the shapes in turn
        kinds = list(dict.fromkeys(config.shapes))
        self._turns = [kinds.index(shape) for shape in config.shapes]
        self.normals, self._gradients = [], []
        for shape in kinds:
            hypernetwork = self.hypernetwork(shape, config.architecture)
            task = config.task.examples(shape[0], self.device), config.task.errors(shape[0])
            self._gradients.append(prepare(gradients, config, hypernetwork, *task))
            size = len(self.seeds), draws(config, hypernetwork)
            self.normals.append(torch.empty(size, device=self.device, dtype=dtype))
        self._fill = prepare(fill_normals)
        self._replays: list[Callable[[], None]] = []

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state["step"])

    def advance(self, steps: int) -> None:
        """Train for ``steps`` more steps. On a CUDA device nothing in here waits for the device."""
        steps = check_whole("steps", steps, least=0, most=2**53)
        with flush_denormals(), torch.no_grad(), many_graphs() if self.compiled else nullcontext():
            if not self._replays:
                self._replays = [functools.partial(self._run, kind) for kind in range(len(self.normals))]
                if self.device.type == "cuda":
                    self._replays = self._captured(self._replays)
            first = self.step
            for step in range(first, first + steps):
                self._replays[self._turns[step % len(self._turns)]]()

    def _run(self, kind: int) -> None:
        """One step at one of the shapes, a place in `normals`."""
        normal = self.normals[kind]
        if self.device.type == "cpu" and kernel.usable(normal):
            kernel.fill(normal, self.seed_numbers, self.step + 1)
        else:
            self._fill(normal, self.seed_numbers, self.state["step"] + 1)
        rates = schedule(self.config, self.state["step"] + 1).to(normal.dtype)
        parameters = {name: self.state[name] for name in PARAMETERS}
        gradient, logged, finite = self._gradients[kind](parameters, normal, rates, self._given)
        self._adam(self.state, gradient, logged, finite, rates)

    def _captured(self, runs: Sequence[Callable[[], None]]) -> list[Callable[[], None]]:
        """Record one step of every shape as a CUDA graph; the steps that warm them up are undone."""
        saved = {name: tensor.clone() for name, tensor in self.state.items()}
        graphs = []
        for run in runs:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    run()
            torch.cuda.current_stream().wait_stream(side)
            graphs.append(torch.cuda.CUDAGraph())
            with torch.cuda.graph(graphs[-1]):
                run()
        for name, tensor in saved.items():
            self.state[name].copy_(tensor)
        return [graph.replay for graph in graphs]

    def read_sums(self) -> Tensor:
        """Sums over the steps since the last call of log(L + beta KL), L and KL ``(seeds, 3)``; then starts anew."""
        sums = self.state["sums"].cpu().clone()
        self.state["sums"].zero_()
        return sums

    def diverged(self) -> dict[int, int]:
        """Seed -> step for the seeds whose loss or gradient stopped being finite. They are frozen at that step."""
        died = self.state["died"].tolist()
        return {seed: int(step) for seed, step in zip(self.seeds, died, strict=True) if step}

    def start_from(self, seed: int, parameters: Parameters) -> None:
        """Put another hyperhypernetwork in place of a seed's."""
        row = self._row(seed)
        for name in PARAMETERS:
            self.state[name][row] = parameters[name]

    def _row(self, seed: int) -> int:
        if seed not in self.seeds:
            raise KeyError(f"the ensemble has no seed {seed!r}; it has {self.seeds}")
        return self.seeds.index(seed)

    def parameters(self, seed: int) -> Parameters:
        """A copy, on the CPU, of one seed's hyperhypernetwork; KeyError if the ensemble has no such seed."""
        row = self._row(seed)
        return {name: self.state[name][row].detach().cpu().clone() for name in PARAMETERS}

    def model(self, seed: int) -> ParetoHypernetwork:
        """The seed's Pareto hypernetwork as it is now."""
        c = self.config
        return ParetoHypernetwork(self.parameters(seed), c.shape, c.architecture, c.activation, c.encoder)

    def checkpoint(self) -> State:
        """All that a later `restore` needs to continue with the same numbers, as CPU tensors."""
        saved = {f"state.{name}": tensor.cpu().clone() for name, tensor in self.state.items()}
        return saved | {"seeds": self.seed_numbers.cpu()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Continue from what `checkpoint` returned; ValueError if that is of other seeds or another configuration."""
        for name, tensor in self.state.items():
            found, expected = saved.get(f"state.{name}"), f"{tensor.dtype} {tuple(tensor.shape)}"
            what = "missing" if found is None else f"{found.dtype} {tuple(found.shape)}"
            if what != expected:
                raise ValueError(f"checkpoint: {name} is {what}; expected {expected}")
        held = saved["seeds"].tolist() if "seeds" in saved else None
        expect(held == self.seeds, "checkpoint: seeds", held, f"{self.seeds}")
        for name, tensor in self.state.items():
            tensor.copy_(saved[f"state.{name}"])
