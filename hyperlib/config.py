"""Everything that decides the numbers of a training run, in one frozen dataclass."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .checks import BETA_MIN, check_numbers, check_seeds, check_type, expect
from .hypernetwork import Architecture
from .network import Shape, check_activation, check_shape
from .problems import TASKS, get_task
from .task import Task, recorded


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the numbers of a training run.

    Attributes:
        seeds: training seeds, one hyperhypernetwork each.
        steps: optimisation steps per seed.
        shape: layer sizes of the target network.
        task: a `Task`, or the name of one of the book's.
        batch: fresh inputs per step and seed.
        learning_rate: Adam's, after the linear warm-up and before the cosine decay.
        learning_rate_warmup: steps of linear warm-up.
        learning_rate_end: final learning rate as a fraction of `learning_rate`.
        beta_warmup: steps over which the upper end of log10(beta) rises from `log_beta_start` to 0.
        log_beta_start: upper end of log10(beta) at step 0; beta is log-uniform between 1e-12 and the upper end.
        clip: largest gradient norm of one seed.
        snapshots: number of steps at which the family of networks is measured, spaced geometrically.
        architecture: sizes and scales of the hypernetwork.
        sizes: further shapes, trained in turn with `shape`, a step each, with the encoder off: the learned vectors
            belong to `shape`.
        start: a run folder. Seeds of it go on from its hyperhypernetworks; those that it does not have are drawn.
        start_sha256: digest of what `start` held, which `train` fills in.
        encoder: whether there is a memory; without one, the decoder alone makes networks from random numbers.
        activation: between the layers of the target network, a name in `hyperlib.network.ACTIVATIONS`.
        match_steps: first steps, in which the memory is matched to networks before it is trained on the task: to given
            ones, or to random ones, in which nothing is trained. 0 begins with the task.
        given_sha256: digest of the given networks, which `train` fills in; empty for random ones.
        faithful: learn the given networks' outputs in place of the task's targets.

    Example:
        >>> import hyperlib as hl
        >>> config = hl.TrainConfig(seeds=range(3), steps=1000, snapshots=4)
        >>> config.snapshot_steps()
        [2, 16, 126, 1000]
        >>> hl.TrainConfig.from_dict(config.to_dict()) == config
        True
    """

    seeds: tuple[int, ...] = (0,)
    steps: int = 2000
    shape: Shape = (16, 48, 1)
    task: Task = "l1"  # type: ignore[assignment]  # a name becomes the task of that name
    batch: int = 256
    learning_rate: float = 1.5e-3
    learning_rate_warmup: int = 200
    learning_rate_end: float = 0.2
    beta_warmup: int = 1000
    log_beta_start: float = -10.0
    clip: float = 1.0
    snapshots: int = 28
    architecture: Architecture = field(default_factory=Architecture)
    sizes: tuple[Shape, ...] = ()
    start: str = ""
    start_sha256: str = ""
    encoder: bool = True
    activation: str = "swish"
    match_steps: int = 0
    given_sha256: str = ""
    faithful: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        object.__setattr__(self, "shape", check_shape(self.shape))
        check_numbers(self)
        check_type("architecture", self.architecture, Architecture, "an Architecture")
        check_activation(self.activation)
        object.__setattr__(self, "sizes", tuple(check_shape(size) for size in self.sizes))
        for name in ("steps", "batch", "snapshots"):
            expect(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("learning_rate", "learning_rate_end", "clip"):
            expect(getattr(self, name) > 0, name, getattr(self, name), "a positive number")
        for name in ("learning_rate_warmup", "beta_warmup", "match_steps"):
            expect(getattr(self, name) >= 0, name, getattr(self, name), "0 or more steps")
        for name in ("start", "start_sha256", "given_sha256"):
            expect(isinstance(getattr(self, name), str), name, getattr(self, name), "text")
        for name in ("start_sha256", "given_sha256"):
            right = re.fullmatch("([0-9a-f]{64})?", getattr(self, name))
            expect(right is not None, name, getattr(self, name), "64 hexadecimal digits, or none")
        lowest = math.log10(BETA_MIN)
        expect(lowest <= self.log_beta_start <= 0, "log_beta_start", self.log_beta_start, "a number from -12 to 0")
        for size in self.sizes:
            if len(size) != len(self.shape) or size[-1] != self.shape[-1]:
                raise ValueError(f"sizes holds {size}; expected shapes of the depth and outputs of {self.shape}")
        expect(not (self.faithful and self.sizes), "faithful", self.faithful, f"False with sizes, {self.sizes}")
        object.__setattr__(self, "task", task := get_task(self.task))
        for shape in self.shapes:
            task.check_shape(shape)

    def to_dict(self) -> dict:
        """The configuration as plain JSON values, with what `Task.fingerprint` records of the task."""
        task = self.task.fingerprint(self.shape[0])
        return vars(self) | {"architecture": dataclasses.asdict(self.architecture), "task": task}

    @classmethod
    def from_dict(cls, values: Mapping, task: Task | None = None) -> TrainConfig:
        """The configuration from plain values, as `to_dict` gives them; TypeError or ValueError if they make no sense.

        ``task`` is the one that they record; by default the book's of that name, or else what is recorded of it.
        """
        values = dict(values)
        known = {f.name for f in dataclasses.fields(cls)}
        inner = {f.name for f in dataclasses.fields(Architecture)}
        if unknown := sorted(set(values) - known) + sorted(set(values.get("architecture", {})) - inner):
            all_known = ", ".join(sorted(known | inner))
            raise ValueError(f"unknown configuration key {', '.join(unknown)}; known keys are {all_known}")
        if "architecture" in values:
            values["architecture"] = Architecture(**{"gain": 1.0} | values["architecture"])  # 1 where it is not told
        if isinstance(record := values.get("task"), Mapping):
            n = record.get("n")
            expect(type(n) is int and n == check_shape(values["shape"])[0], "n of the task", n, f"{values['shape']}'s")
            ours = TASKS.get(str(record.get("name")))
            if task is not None:
                values["task"] = recorded(task, record)
            elif ours is not None and ours.agrees(record):
                values["task"] = ours
            else:
                values["task"] = Task.from_record(record)
        elif task is not None:
            values["task"] = task
        return cls(**values)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that the steps take in turn: `shape` first, then `sizes`."""
        return (self.shape, *self.sizes)

    @property
    def needs_given(self) -> bool:
        """Whether a step needs the networks to which the memory is matched."""
        return self.match_steps > 0 or self.faithful

    def snapshot_steps(self) -> list[int]:
        """Steps at which the networks are measured: geometric from `steps`/500 to `steps`, so denser early on."""
        first, n = self.steps / 500, self.snapshots
        ratios = [i / (n - 1) for i in range(n)] if n > 1 else [1.0]
        return sorted({max(1, round(first * (self.steps / first) ** ratio)) for ratio in ratios})
