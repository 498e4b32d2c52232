"""What a hostile tester does to the library, as three campaigns that a maintainer runs; not in continuous integration.

* `kill`: trainings are killed at random moments, and the same command has to end with the same bytes.
* `flip`: single bits of finished and unfinished runs are flipped, and every one has to be refused or harmless.
* `probe`: every argument of the public interface is replaced by values that make no sense, and every call has to work
  or to end in an error that names the argument.

Each returns a table with one row per attempt and the column ``ok``.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import experiment
from ..algorithms import construct
from ..algorithms.order_parameters import classify, order_parameters
from ..cluster import one_thread
from ..config import TrainConfig
from ..drawing import layout
from ..experiment import train
from ..fast.build import BuildError
from ..files import RunError, sha256
from ..hypernetwork import Architecture, Hypernetwork
from ..network import Network
from ..runs import FILES, Run, load_run
from ..sweeps import BETAS, sweep
from ..task import get_task
from ..training import Ensemble

CONFIG = TrainConfig(seeds=(0, 1), steps=200, shape=(2, 3, 1), batch=8, snapshots=2)
QUIET: dict[str, Any] = {"workers": 0, "compiled": False, "progress": False}
TRAINING = """
import sys
from hyperlib.project.campaigns import CONFIG, QUIET, light, train
with light():
    train(CONFIG, sys.argv[1], checkpoint_steps=10, **QUIET)
"""
PATIENCE_S = 30  # of one probe


def sums(run: Run) -> dict[str, str]:
    """Checksums of all files that hold numbers."""
    return {name: sha256(run.path / name) for name in FILES}


@contextlib.contextmanager
def light() -> Iterator[None]:
    """One thread, and snapshots of a few networks: here it matters that they are measured, not how well."""
    before = experiment.sweep
    experiment.sweep = functools.partial(sweep, betas=BETAS[::10], samples=32, generations=2)
    try:
        with one_thread(True):
            yield
    finally:
        experiment.sweep = before


@contextlib.contextmanager
def undisturbed() -> Iterator[tuple[Path, Run]]:
    """An empty folder, and a run that nobody disturbed."""
    with tempfile.TemporaryDirectory(prefix="hyperlib-campaign-") as folder, light():
        yield Path(folder), train(CONFIG, Path(folder) / "undisturbed", checkpoint_steps=10, **QUIET)


# --- kill ------------------------------------------------------------------------------------------------------------


def kill(times: int = 40, seed: int = 0) -> pd.DataFrame:
    """Kill trainings at random moments and let them go on. Columns: attempt, moment (s), step (of the ledger), ok.

    Args:
        times: number of trainings, each killed up to three times; about fifteen seconds each.
        seed: of the moments.
    """
    chance, rows = random.Random(seed), []
    with undisturbed() as (folder, expected):
        command = [sys.executable, "-P", "-c", TRAINING]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        started = time.monotonic()
        subprocess.run([*command, str(folder / "timed")], env=environment, check=True)
        whole = time.monotonic() - started
        for attempt in range(times):
            out = folder / f"killed-{attempt}"
            moments = [chance.uniform(0, 1.1 * whole) for _ in range(chance.randint(1, 3))]
            for moment in moments:
                process = subprocess.Popen([*command, str(out)], env=environment, start_new_session=True)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(moment)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            left = sorted(path.name for path in out.glob("parts/*/checkpoint-*"))
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a kill is no damage
                run = train(CONFIG, out, checkpoint_steps=10, **QUIET)
            ok = sums(run) == sums(expected) and not list(out.glob("**/.*"))
            rows.append({"attempt": attempt, "moments": [round(m, 2) for m in moments], "left": left, "ok": ok})
            shutil.rmtree(out)
    return pd.DataFrame(rows)


# --- flip ------------------------------------------------------------------------------------------------------------


def flip(times: int = 200, seed: int = 0) -> pd.DataFrame:
    """Flip single bits. Columns: attempt, file, byte, bit, outcome ("refused", "told", "harmless" or "wrong"), ok.

    Half of the attempts are on a finished run, which is then read, and half on an unfinished one, which is then trained
    to its end.

    Args:
        times: number of attempts, about a second each.
        seed: of the places.
    """
    chance, rows = random.Random(seed), []
    with undisturbed() as (folder, expected):
        halfway = unfinished(folder / "halfway")
        for attempt in range(times):
            source = (expected.path, halfway)[attempt % 2]
            out = Path(shutil.copytree(source, folder / "flipped"))
            victim = chance.choice(sorted(path for path in out.glob("**/*") if path.is_file()))
            content = bytearray(victim.read_bytes())
            place, bit = chance.randrange(len(content)), chance.randrange(8)
            content[place] ^= 1 << bit
            victim.write_bytes(content)
            outcome = consequence(out, expected, finished=attempt % 2 == 0)
            name = victim.relative_to(out).as_posix()
            row = {"attempt": attempt, "file": name, "byte": place, "bit": bit, "outcome": outcome}
            rows.append(row | {"ok": outcome in ("refused", "told", "harmless")})
            shutil.rmtree(out)
    return pd.DataFrame(rows)


def unfinished(out: Path) -> Path:
    """A training that stopped in the middle."""

    class Stopped(Exception):
        pass

    def advance(self: Ensemble, steps: int) -> None:
        if self.step >= CONFIG.steps // 2:
            raise Stopped
        original(self, steps)

    original = Ensemble.advance
    Ensemble.advance = advance  # type: ignore[method-assign]
    try:
        train(CONFIG, out, checkpoint_steps=10, **QUIET)
    except Stopped:
        return out
    finally:
        Ensemble.advance = original  # type: ignore[method-assign]
    raise AssertionError("the training was not stopped")


def consequence(out: Path, expected: Run, finished: bool) -> str:
    """What reading a flipped run, or training it to its end, came to."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run = load_run(out) if finished else train(CONFIG, out, checkpoint_steps=10, **QUIET)
            same = run.config == expected.config and run.seeds == expected.seeds and run.failed == expected.failed
            same &= run.sweep.equals(expected.sweep) and run.curves.equals(expected.curves)
            for seed in expected.seeds:
                mine, other = run.model(seed).parameters, expected.model(seed).parameters
                same &= all(torch.equal(mine[name], other[name]) for name in other)
                same &= torch.equal(run.networks(seed).weights[0], expected.networks(seed).weights[0])
    except RunError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "wrong" if not same else "told" if said else "harmless"


# --- probe -----------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Any] = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "2^64": 2**64,
    "1j": 1j,
    "text": "nonsense",
    "no text": "",
    "bytes": b"x",
    "empty list": [],
    "list of text": ["a"],
    "nested list": [[1.0]],
    "dictionary": {"a": 1},
    "object": object(),
    "class": int,
    "array of whole numbers": np.arange(3),
    "array of nan": np.array([math.nan]),
    "empty tensor": torch.zeros(0),
    "tensor of nan": torch.full((4, 4), math.nan),
    "tensor of whole numbers": torch.ones(4, 4, dtype=torch.int64),
    "tensor of booleans": torch.ones(4, 4, dtype=torch.bool),
    "complex tensor": torch.ones(4, 4, dtype=torch.complex64),
    "scalar tensor": torch.tensor(1.0),
}
TOLD = (ValueError, TypeError, KeyError, IndexError, FileNotFoundError, ModuleNotFoundError, BuildError)


def interface() -> dict[str, tuple[Callable, dict[str, Any]]]:
    """Public callables with arguments that work: name -> function, arguments by keyword."""
    model = Ensemble(TrainConfig(shape=(3, 8, 1)), [0], compiled=False).model(0)
    net = model.generate(1e-3)
    x, y = get_task("l1").sample(8, 3, torch.Generator().manual_seed(0))
    W = net.weights[0]
    config = {
        "seeds": (0, 1),
        **{"steps": 10, "shape": (3, 8, 1), "task": "l1", "batch": 4, "learning_rate": 1e-3, "learning_rate_warmup": 5},
        **{"learning_rate_end": 0.2, "beta_warmup": 3, "log_beta_start": -10.0, "clip": 1.0, "snapshots": 2},
    }
    settings = {"hyperdepth": 3, "elementwise": 4, "random": 2, "attention": 2, "learned": 2, "channel": 2}
    settings |= {"periods": (2.0,), "random_scale": 0.7, "sigma_shift": -0.5, "output_scale": 0.5}  # type: ignore[dict-item]
    tiny = TrainConfig(shape=(3, 8, 1), batch=4)
    return {
        "TrainConfig": (TrainConfig, config),
        "Architecture": (Architecture, settings),
        "Hypernetwork": (Hypernetwork, {"shape": (3, 8, 1)}),
        "Ensemble": (functools.partial(Ensemble, compiled=False), {"config": tiny, "seeds": [0], "device": "cpu"}),
        "Ensemble.advance": (lambda steps: Ensemble(tiny, [0], compiled=False).advance(steps), {"steps": 1}),
        "model.generate": (model.generate, {"beta": 1e-3, "shape": (4, 6, 1), "generator": 0, "count": 2}),
        "model.hyperweights": (model.hyperweights, {"beta": 1e-3}),
        "sweep": (sweep, {"model": model, "task": "l1", "betas": [1e-3], "samples": 16}),
        "Network": (Network, {"weights": net.weights, "biases": net.biases, "kl": None}),
        "net": (net.__call__, {"x": x}),
        "net.loss": (net.loss, {"x": x, "y": y}),
        "classify": (classify, {"net": net}),
        "order_parameters": (order_parameters, {"W": W, "V": -W}),
        "layout": (layout, {"net": net, "generator": 0, "steps": 10}),
        "double_sided": (construct.double_sided, {"n": 3, "sharpness": 5.0, "hidden": 8}),
        "pudding": (
            construct.pudding,
            {"n": 3, "sign": 1, "hidden": 8, "sharpness": 5.0, "shared": 0.5, "mixing": 0.1},
        ),
        "convexity": (construct.convexity, {"n": 3, "hidden": 8, "generator": 0, "scale": 0.3}),
        "get_task": (lambda task: get_task(task), {"task": "l1"}),
        "targets": (get_task("l1").targets, {"x": x}),
        "sample": (get_task("l1").sample, {"batch": 4, "n": 3, "generator": torch.Generator()}),
        "load_run": (load_run, {"path": "no/such/folder"}),
    }


@contextlib.contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def probe(times: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Call everything with hostile values. Columns: function, argument, value, outcome, ok.

    Args:
        times: at most so many calls, chosen at random; all by default, which takes about a minute.
        seed: of that choice.
    """
    calls = [
        (name, function, good, argument, label)
        for name, (function, good) in interface().items()
        for argument in good
        for label in HOSTILE
    ]
    if times is not None:
        calls = random.Random(seed).sample(calls, min(times, len(calls)))
    return pd.DataFrame([attempt(*call) for call in calls])


def attempt(name: str, function: Callable, good: dict[str, Any], argument: str, label: str) -> dict[str, Any]:
    """One row of `probe`. An error has to be of a kind that says whose fault it was, and to name the argument."""
    row = {"function": name, "argument": argument, "value": label}
    try:
        with patience(PATIENCE_S), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            function(**good | {argument: HOSTILE[label]})
    except TOLD as error:
        text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        stems = argument, argument[:-1], argument[:-2]  # "weight of layer 0" names one of the weights
        named = isinstance(error, RunError | FileNotFoundError) or any(len(s) and f"{s} " in text for s in stems)
        return row | {"outcome": f"{type(error).__name__}: {text[:200]}", "ok": named}
    except Exception as error:
        return row | {"outcome": f"{type(error).__name__}: {str(error)[:200]}", "ok": False}
    return row | {"outcome": "worked", "ok": True}
