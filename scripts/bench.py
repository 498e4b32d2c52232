"""What a training step costs on this machine, next to what it could cost: ``python scripts/bench.py --help``.

Everything a step does is counted: noise, data, gradient, clipping, optimiser. Each measurement runs in a process of
its own on one core, so that peak memory is its own; "all cores" runs one such process per core at the same time. A
millisecond means little on a machine that others share, so every number also stands as a ratio to what was measured
just before it.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from hyperlib.cluster import WORKER_ENVIRONMENT
from hyperlib.commands import check_out, script, show
from hyperlib.config import TrainConfig
from hyperlib.files import write_json
from hyperlib.hyperhypernetwork import hyperweights, initial_parameters
from hyperlib.hypernetwork import Hypernetwork
from hyperlib.machine import cores, hardware, versions
from hyperlib.task import Task
from hyperlib.training import BETA_DECAY, EPSILON, Ensemble, objective

SHAPES = {(16, 48, 1): (1, 2, 4, 8, 16, 33), (32, 96, 1): (4,), (64, 192, 1): (4,)}  # of the target -> ensembles
SECONDS = 4.0  # for each measurement
MATRIX = 1024
ROWS, FOREVER = 2**14, 2**40  # of the table; steps of matching


class PlainTraining:
    """What an author would write first: the plain hypernetwork, autograd and PyTorch's Adam, one seed at a time."""

    def __init__(self, config: TrainConfig, seed: int):
        self.config, self.hypernetwork = config, Hypernetwork(config.shape, config.architecture)
        drawn = initial_parameters(self.hypernetwork, seed)
        self.parameters = {name: tensor[None].requires_grad_() for name, tensor in drawn.items()}
        self.adam = torch.optim.Adam(self.parameters.values(), lr=config.learning_rate, betas=BETA_DECAY, eps=EPSILON)
        self.generator = torch.Generator().manual_seed(seed)

    def step(self) -> float:
        """One step with beta log-uniform on the whole range; returns log(L + beta KL)."""
        config = self.config
        log_beta = 12 * torch.rand(1, generator=self.generator) - 12
        noise = torch.randn(1, self.hypernetwork.noise_size, generator=self.generator)
        x = torch.randn(1, config.batch, config.shape[0], generator=self.generator)
        named = self.hypernetwork.unflatten(hyperweights(self.parameters, log_beta), self.hypernetwork.sizes)
        value, _ = objective(self.hypernetwork, named, noise, x, config.task.targets(x), 10**log_beta)
        self.adam.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), config.clip)
        self.adam.step()
        return float(value.detach())


def step_flops(config: TrainConfig) -> int:
    """Floating-point operations of the matrix products in one step of one seed, forward and backward.

    Attention, exponentials, noise and the optimiser are not counted, so that the floor is a true one.
    """
    training = PlainTraining(config, 0)
    with FlopCounterMode(display=False) as counter:
        training.step()
    return counter.get_total_flops()


def seconds_of(work: Callable[[], object], seconds: float) -> float:
    """Median duration of some work, measured for so long."""
    return Timer("work()", globals={"work": work}).blocked_autorange(min_run_time=seconds).median


def measure(kind: str, shape: Sequence[int], seeds: int, seconds: float) -> dict[str, float]:
    """Cost of a step in this process, on one thread: ms per step and seed, first call (s), peak memory (MB).

    And what products of 1024 x 1024 matrices in single precision reach on this thread, in ``gflops``.
    """
    torch.set_num_threads(1)
    config = TrainConfig(seeds=tuple(range(seeds)), shape=tuple(shape), match_steps=FOREVER * (kind == "matching"))
    if kind == "table":
        rows = torch.randn(ROWS, shape[0] + shape[-1], generator=torch.Generator().manual_seed(0))
        config = replace(config, task=Task.from_data(rows[:, : shape[0]], rows[:, shape[0] :]))
    a, b = torch.randn(2, MATRIX, MATRIX)
    product = seconds_of(partial(torch.mm, a, b, out=a @ b), 0.5)
    before = time.perf_counter()
    if kind == "plain":
        step: Callable[[], object] = PlainTraining(config, 0).step
    else:
        step = partial(Ensemble(config, config.seeds, compiled=kind != "eager").advance, 1)
    step()
    return {
        "first_call_s": time.perf_counter() - before,
        "ms": 1e3 * seconds_of(step, seconds) / seeds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "gflops": 2e-9 * MATRIX**3 / product,
    }


def measure_apart(kind: str, shape: Sequence[int], seeds: int, copies: int) -> dict:
    """`measure` in ``copies`` processes at once. The time is that of the whole machine: per process, over copies."""
    with ProcessPoolExecutor(copies, get_context("spawn")) as pool:
        running = [pool.submit(measure, kind, shape, seeds, SECONDS) for _ in range(copies)]
        found = pd.DataFrame([process.result() for process in running])
    about = {"kind": kind, "shape": "-".join(map(str, shape)), "seeds": seeds, "cores": copies}
    about |= {"ms": found["ms"].mean() / copies, "first_call_s": found["first_call_s"].max()}
    return about | found[["peak_mb", "gflops"]].sum().to_dict()


def main(out: Path | None = None) -> None:
    """Measure the training step on this machine and print a row for each measurement. Takes a quarter of an hour.

    Columns: ms per step and seed, the floor (counted operations over the matrix rate measured in the same process),
    the ratio to the floor, how many times faster than the plain implementation on as many cores, peak memory, seconds
    of the first call (compilation included; the later of two calls with the same code finds it cached).

    Args:
        out: a JSON file for the table.
    """
    check_out(out, ".json")
    most, rows = cores(), []
    with tempfile.TemporaryDirectory(prefix="hyperlib-bench-") as cache:
        os.environ |= {name: str(value) for name, value in WORKER_ENVIRONMENT.items()}
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for shape, ensembles in SHAPES.items():
            flops = step_flops(TrainConfig(shape=shape))
            plain: dict[int, float] = {}
            plan = [("plain", 1, 1), ("plain", 1, most), ("eager", 1, 1), ("eager", 4, 1)]
            plan += [("compiled", size, count) for size in ensembles for count in (1, most)]
            plan += [("table", 4, 1), ("matching", 4, 1)] if len(ensembles) > 1 else []
            for kind, size, count in dict.fromkeys(plan):
                row = measure_apart(kind, shape, size, count)
                row["floor_ms"] = 1e-6 * flops / row["gflops"]
                row["over_floor"] = row["ms"] / row["floor_ms"]
                row["times_plain"] = plain.setdefault(count, row["ms"]) / row["ms"]  # it comes first
                rows.append(row)
                show(pd.DataFrame(rows[-1:]))
    if out is not None:
        write_json(out, {"hardware": hardware(), "versions": versions(), "rows": rows})


if __name__ == "__main__":
    script(main)
