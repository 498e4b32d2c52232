"""What a hostile tester does to the library, at random; for maintainers, before a release.

Works that write are disturbed: killed at a random moment (``kill``) or where they are about to change the disk
(``change``), out of disk (``full``), or two at once (``pair``). What they leave has to be what was there before, a work
unfinished, or the work done; the same call again has to end with the same bytes and to leave nothing else. Finished and
unfinished runs are changed in a bit (``flip``) or changed and signed again (``forge``), and have to be refused in one
line or to give the same numbers. One process does everything many times (``worker``) and has to stay as it was. Every
attempt is a fork of this process, in which the library is as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

import hyperlib
from hyperbook.studies.programs import update
from hyperlib.baseline import load_baseline, make_baseline
from hyperlib.cluster import one_thread
from hyperlib.commands import at_least, check_out, export, script, show
from hyperlib.config import TrainConfig
from hyperlib.experiment import train
from hyperlib.files import RunError, checksums, read_table, write_signed, write_table
from hyperlib.runs import FILES, load_run
from keep import keep_models

CONFIG = TrainConfig(seeds=(0, 1), steps=60, shape=(2, 3, 1), batch=8, snapshots=1)
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
UNFINISHED = "unfinished"


class Fork:
    """A fork of this process that does some work. Its errors are what it says: "told: ..." if in one line."""

    def __init__(self, work: Callable[[], object]):
        reading, writing = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(writing)
            self.pipe = reading
            return
        said = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
        except (RunError, OSError) as error:
            said = f"told: {error}"
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said.encode()[-30_000:])
        os._exit(0)

    def end(self) -> tuple[int, str]:
        """Wait for its end: its status, negative for a signal, and what it said."""
        with open(self.pipe, encoding="utf-8", errors="replace") as file:
            said = file.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), said


def die_at(moment: int, work: Callable[[], object]) -> None:
    """Do the work, but end this process, without any clean-up, where it changes the disk for this number of times."""
    left = moment

    def hook(event: str, arguments: tuple) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in CHANGES:
            left -= 1
            if not left:
                os._exit(9)

    sys.addaudithook(hook)
    work()


# --- works -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """Something that writes.

    Attributes:
        begin: makes a folder what it is before.
        do: the work in that folder; again, it goes on or finds that nothing is left to do.
        read: text that tells all numbers that it leaves.
    """

    begin: Callable[[Path], object]
    do: Callable[[Path], object]
    read: Callable[[Path], str]

    def look(self, folder: Path) -> str:
        """What the folder holds, as a reader finds it."""
        try:
            return self.read(folder)
        except (RunError, FileNotFoundError) as error:
            assert "damaged" not in str(error), error
            return UNFINISHED


def make_run(out: Path, config: TrainConfig = CONFIG) -> None:
    """Train in this process."""
    with one_thread(True):
        train(config, out, workers=0, compiled=False, progress=False, checkpoint_steps=10)


def read_run(path: Path) -> str:
    """Settings, tables, models and networks of a run."""
    run = load_run(path)
    found = hashlib.sha256(
        repr((run.config.to_dict(), run.seeds, run.failed, run.modelled, run.network_betas)).encode()
    )
    for table in (run.sweep, run.curves):
        found.update(table.to_json(double_precision=15).encode())
    for seed in run.seeds:
        nets = run.networks(seed)
        parameters = run.model(seed).parameters.values() if seed in run.modelled else []
        for tensor in (*nets.weights, *nets.biases, *parameters):
            found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def read_baseline(path: Path) -> str:
    """Curves and settings but for the time that they took."""
    found = load_baseline(path)
    if found is None:
        return UNFINISHED
    weights = hashlib.sha256(found.networks.weights[0].numpy().tobytes()).hexdigest()
    return f"{found.curves.to_json()} {found.seeds} {weights}"


def works(run: Path) -> dict[str, Work]:
    """The works; ``run`` is a finished run."""
    rows = [{"seed": seed, "kept": 0.5} for seed in range(3)]

    def keep(place: Path) -> None:
        if not (place / "small").exists():
            betas = load_run(run).network_betas[:2]
            keep_models(run, place / "small", [1], compact=True, learned=[], betas=betas)

    return {
        "train": Work(Path.mkdir, make_run, read_run),
        "keep": Work(Path.mkdir, keep, lambda place: read_run(place / "small")),
        "adam": Work(Path.mkdir, lambda place: make_baseline(place, 30, range(2), 8), read_baseline),
        "decode": Work(
            Path.mkdir,
            lambda place: update(place / "table.parquet", place, rows),
            lambda place: read_table(place / "table.parquet", {"seed"}).to_json(),
        ),
    }


# --- disturbances ----------------------------------------------------------------------------------------------------


def kill(chance: random.Random, work: Callable[[], object]) -> None:
    """Up to three kills at random moments."""
    for _ in range(chance.randint(1, 3)):
        fork = Fork(work)
        time.sleep(chance.uniform(0, 1.5) ** 2)
        with contextlib.suppress(ProcessLookupError):
            os.kill(fork.process, signal.SIGKILL)
        fork.end()


def change(chance: random.Random, work: Callable[[], object]) -> None:
    """A kill where the disk is about to change."""
    moment = int(2 ** chance.uniform(0, 7))
    Fork(partial(die_at, moment, work)).end()


def full(chance: random.Random, work: Callable[[], object]) -> None:
    """No file may be larger than so much."""
    size = int(2 ** chance.uniform(4, 18))

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        work()

    said = Fork(limited).end()[1]
    assert not said or (said.startswith("told: ") and "\n" not in said), said


def pair(chance: random.Random, work: Callable[[], object]) -> None:
    """Two at once: one may be refused, in one line."""
    first = Fork(work)
    time.sleep(chance.uniform(0, 0.3))
    for fork in (first, Fork(work)):
        said = fork.end()[1]
        assert not said or (said.startswith("told: ") and "\n" not in said), said


DISTURBANCES = {"kill": kill, "change": change, "full": full, "pair": pair}


def disturb(name: str, chance: random.Random, folder: Path, known: dict[str, Work]) -> Iterator[str]:
    """Disturb works again and again; yields what was done, and raises AssertionError where it was not withstood."""
    expected: dict[str, tuple[str, str]] = {}
    while True:
        what = chance.choice(list(known))
        work, place = known[what], folder / what
        if what not in expected:
            work.begin(place)
            before = work.look(place)
            assert Fork(partial(work.do, place)).end() == (0, ""), f"{what}: undisturbed, it fails"
            expected[what] = before, work.look(place)
        old, new = expected[what]
        shutil.rmtree(place, ignore_errors=True)
        work.begin(place)
        DISTURBANCES[name](chance, partial(work.do, place))
        left = work.look(place)
        assert left in (old, UNFINISHED, new), f"{what}: neither the old nor the new numbers are left"
        status, said = Fork(partial(work.do, place)).end()
        assert not said and not status, f"{what}: again, it ends with {status} {said}"
        assert work.look(place) == new, f"{what}: again, it ends with other numbers"
        hidden = [path.name for path in place.glob("**/.*")]
        assert not hidden, f"{what}: leaves {hidden}"
        yield what


# --- damage and forgery ----------------------------------------------------------------------------------------------


def flip(chance: random.Random, folder: Path, known: dict[str, Work]) -> Iterator[str]:
    """Flip a bit of a finished run, which is read, or of an unfinished one, which is trained to its end."""
    whole, halfway, place = folder / "whole", folder / "halfway", folder / "flipped"
    Fork(partial(make_run, whole)).end()
    expected = read_run(whole)
    Fork(partial(die_at, 40, partial(make_run, halfway))).end()
    assert list(halfway.glob("parts/*/checkpoint-*"))
    while True:
        finished = chance.random() < 0.5
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole if finished else halfway, place)
        victim = chance.choice(sorted(path for path in place.glob("**/*") if path.is_file()))
        content = bytearray(victim.read_bytes())
        spot, bit = chance.randrange(len(content)), chance.randrange(8)
        content[spot] ^= 1 << bit
        victim.write_bytes(content)
        same(place, expected, f"bit {bit} of byte {spot} of {victim.name}", read_run if finished else make_run)
        yield victim.name


def same(place: Path, expected: str, what: str, act: Callable[[Path], object]) -> None:
    """``act`` refuses in one line, or the numbers are what they were."""

    def compare() -> None:
        act(place)
        assert read_run(place) == expected, "other numbers"

    status, said = Fork(compare).end()
    assert not status and (not said or (said.startswith("told: ") and "\n" not in said)), f"{what}: {status} {said}"


VALUES: list[Any] = [None, True, -1, 0, 1.5, math.nan, 2**70, "", "text", [], ["a"], [[]], {}, {"a": None}]
TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "cut": lambda t: t.flatten()[:-1],
    "one more axis": lambda t: t[None],
    "doubles": lambda t: t.double(),
    "whole numbers": lambda t: t.to(torch.int32),
    "gone": lambda t: None,
    "not a number": lambda t: t * math.nan,
}
TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "a row gone": lambda t: t.iloc[1:],
    "a row twice": lambda t: pd.concat([t, t.iloc[:1]]),
    "a column gone": lambda t: t.drop(columns="loss"),
    "text": lambda t: t.astype({"loss": str}),
    "not a number": lambda t: t.assign(loss=math.nan),
    "negative": lambda t: t.assign(kl=-1 - t["kl"]),
    "another seed": lambda t: t.assign(seed=t["seed"] + 1),
}


def forge(chance: random.Random, folder: Path, known: dict[str, Work]) -> Iterator[str]:
    """Change a run so that its numbers are others or make no sense, and sign it again."""
    whole, place = folder / "whole", folder / "forged"
    Fork(partial(make_run, whole)).end()
    expected = read_run(whole)
    while True:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, place)
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        kind = chance.choice(["tensor", "table", "manifest", "config"])
        if kind == "tensor":
            path = place / chance.choice([name for name in FILES if name.endswith("safetensors")])
            tensors, how = load_file(path), chance.choice(list(TENSORS))
            key = chance.choice(sorted(tensors))
            changed = TENSORS[how](tensors.pop(key))
            save_file(tensors | ({} if changed is None else {key: changed.contiguous()}), path)
            what = f"{path.name}: {key} {how}"
        elif kind == "table":
            path, how = place / chance.choice(["sweep.parquet", "curves.parquet"]), chance.choice(list(TABLES))
            write_table(path, TABLES[how](pd.read_parquet(path)))
            what = f"{path.name}: {how}"
        else:
            entries = manifest if kind == "manifest" else config
            key, value = chance.choice(sorted(set(entries) - {"sha256"})), chance.choice(VALUES)
            entries[key] = value
            what = f"{kind}.json: {key} is {value!r}"
            (place / "config.json").write_text(json.dumps(config), encoding="utf-8")
        if not what.startswith("manifest.json: files"):
            manifest["files"] = checksums(place, FILES)
        write_signed(place / "manifest.json", manifest)
        same(place, expected, what, read_run)
        yield what


def worker(chance: random.Random, folder: Path, known: dict[str, Work]) -> Iterator[str]:
    """One process that does all works many times: the same numbers, no more memory, files and threads."""

    def long_life() -> None:
        seen = []
        for life in range(5):
            for what, work in known.items():
                place = folder / what
                shutil.rmtree(place, ignore_errors=True)
                work.begin(place)
                work.do(place)
                seen.append((what, work.look(place)))
            memory, files = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(os.listdir("/proc/self/fd"))
            if life == 1:
                first = memory, files
        assert len(set(seen)) == len(known), "other numbers"
        assert memory < 1.2 * first[0] and files <= first[1], f"KiB and open files were {first}, are {memory, files}"

    while True:
        status, said = Fork(long_life).end()
        assert not status and not said, f"{status} {said}"
        yield "all works five times"


# --- the whole -------------------------------------------------------------------------------------------------------

CAMPAIGNS: dict[str, Callable[..., Iterator[str]]] = {name: partial(disturb, name) for name in DISTURBANCES}
CAMPAIGNS |= {"flip": flip, "forge": forge, "worker": worker}


def campaign(name: str, folder: Path, times: int, seconds: float, seed: int) -> tuple[int, list[str]]:
    """Make attempts until there are so many or so much time has passed: how many there were, and what failed."""
    deadline, attempts, failed = time.monotonic() + seconds, 0, []
    known = works(folder / "run")
    while attempts < times and (not attempts or time.monotonic() < deadline):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                for _ in CAMPAIGNS[name](random.Random(f"{seed} {attempts}"), Path(place), known):
                    attempts += 1
                    if attempts >= times or time.monotonic() >= deadline:
                        break
            except AssertionError as error:
                attempts += 1
                failed.append(str(error))
    return attempts, failed


def main(
    names: tuple[str, ...] = tuple(CAMPAIGNS),
    times: int = 100,
    seconds: float = 60,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Run campaigns one after the other and print how many attempts failed.

    Args:
        names: of the campaigns.
        times: attempts of each at most.
        seconds: time for each, about.
        seed: of what is chosen at random.
        out: a file for the table, .csv or .parquet.
    """
    at_least(1, times=times)
    at_least(0, seed=seed)
    check_out(out, ".csv", ".parquet")
    if unknown := sorted(set(names) - set(CAMPAIGNS)):
        raise ValueError(f"names holds {unknown[0]!r}; expected some of {', '.join(CAMPAIGNS)}")
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # where there is one
    rows, now = (
        [],
        {"date": datetime.now(UTC).date().isoformat(), "version": f"{hyperlib.__version__} {commit}".strip()},
    )
    with tempfile.TemporaryDirectory(prefix="hyperlib-campaign-") as made:
        assert Fork(partial(make_run, Path(made) / "run")).end() == (0, "")
        for name in names:
            attempts, failed = campaign(name, Path(made), times, seconds, seed)
            for said in failed:
                print(f"{name}: {said}", file=sys.stderr, flush=True)
            rows.append({"campaign": name, "attempts": attempts, "failed": len(failed), **now})
            show(pd.DataFrame(rows[-1:]))
            if out is not None:
                export(out, pd.DataFrame(rows))
    if any(row["failed"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    script(main)
