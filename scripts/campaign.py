"""What a hostile tester does to the library, as campaigns that a maintainer runs; not in continuous integration.

* `kill`: trainings are killed at random moments, and the same command has to end with the same bytes.
* `flip`: single bits of finished and unfinished runs are flipped, and every one has to be refused or harmless.

Each returns a table with one row per attempt and the column ``ok``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
import tyro

from hyperlib import experiment
from hyperlib.cluster import one_thread
from hyperlib.commands import at_least, script
from hyperlib.config import TrainConfig
from hyperlib.experiment import train
from hyperlib.files import RunError, sha256
from hyperlib.runs import FILES, Run, load_run
from hyperlib.sweeps import BETAS, sweep
from hyperlib.training import Ensemble

CONFIG = TrainConfig(seeds=(0, 1), steps=200, shape=(2, 3, 1), batch=8, snapshots=2)
QUIET: dict[str, Any] = {"workers": 0, "compiled": False, "progress": False}
TRAINING = """
import sys
from campaign import CONFIG, QUIET, light, train
with light():
    train(CONFIG, sys.argv[1], checkpoint_steps=10, **QUIET)
"""


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


def conclude(name: str, table: pd.DataFrame) -> None:
    """Print what failed, and end with status 1 if anything did."""
    failed = table[~table["ok"]]
    if len(failed):
        print(failed.drop(columns="ok").to_string(index=False))
    print(f"{name}: {len(table)} attempts, {len(failed)} failed")
    raise SystemExit(1 if len(failed) else 0)


def main(name: tyro.conf.Positional[Literal["kill", "flip"]], times: int | None = None, seed: int = 0) -> None:
    """Kill trainings, or flip bits, at random. Takes minutes.

    Args:
        name: the campaign.
        times: number of attempts (default: 40 kills, 200 bits).
        seed: of what is chosen at random.
    """
    at_least(1, times=times)
    conclude(name, {"kill": kill, "flip": flip}[name](**{"seed": seed} | ({} if times is None else {"times": times})))


if __name__ == "__main__":
    script(main)
