"""What a hostile tester does to the library, at random; for maintainers, before a release.

Works that write are disturbed: killed at a random moment (``kill``) or where they are about to change the disk
(``change``), out of disk (``full``), or two at once (``pair``). What they leave has to be a work unfinished or the work
done; the same call again has to end with the same numbers and to leave nothing else. Finished and unfinished runs are
changed in a bit (``flip``) or changed and signed again (``forge``), and have to be refused in one line or to give the
same numbers. One process does everything many times (``worker``) and has to stay as it was. Every attempt is a fork of
this process, in which the library is as it is.
"""

import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

import hyperlib
from hyperbook.studies.baseline import load_baseline, make_baseline
from hyperbook.studies.programs import update
from hyperlib.checks import expect
from hyperlib.cluster import one_thread
from hyperlib.commands import at_least, check_out, export, script, show
from hyperlib.config import TrainConfig
from hyperlib.experiment import train
from hyperlib.files import MANIFEST, RunError, checksums, digest, read_json, read_table, write_signed, write_table
from hyperlib.runs import FILES, load_run
from keep import keep_models

CONFIG = TrainConfig(seeds=(0, 1), steps=60, shape=(2, 3, 1), batch=8, snapshots=1)
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
UNFINISHED = "unfinished"


class Fork(ForkProcess):
    """A fork of this process that does some work, which may be refused in one line where that is foreseen."""

    def __init__(self, work: Callable[[], object], refusal: bool = False):
        super().__init__()
        self.work, self.refusal = work, refusal
        self.start()

    def run(self) -> None:
        with warnings.catch_warnings(action="ignore"):
            try:
                self.work()
            except (RunError, OSError) as error:
                if not self.refusal or "\n" in str(error):
                    raise

    def end(self) -> int | None:
        """Wait for its end: its status, negative for a signal, 1 for an error, which it prints."""
        self.join()
        return self.exitcode


def die_at(moment: int, work: Callable[[], object]) -> None:
    """Do the work, but end this process, without any clean-up, where it changes the disk for this number of times."""
    changes = count(1)

    def hook(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in CHANGES) and next(changes) == moment:
            os._exit(9)

    sys.addaudithook(hook)
    work()


def make_run(out: Path) -> None:
    """Train in this process."""
    with one_thread(True):
        train(CONFIG, out, workers=0, compiled=False, progress=False, checkpoint_steps=10)


def read_run(path: Path, settings: bool = True) -> str:
    """Settings, tables, models and networks of a run."""
    run = load_run(path)
    said: list[Any] = [settings and run.config.to_dict(), run.seeds, run.failed, run.modelled, run.network_betas]
    said += [table.to_json(double_precision=15) for table in (run.sweep, run.curves)]
    said += [digest(run.networks(seed).named()) for seed in run.seeds]
    return repr([*said, *(digest(run.model(seed).parameters) for seed in run.modelled)])


def read_baseline(path: Path) -> str:
    """Curves and settings but for the time that they took."""
    found = load_baseline(path)
    return f"{found.curves.to_json()} {found.seeds} {found.networks.weights[0].tolist()}" if found else UNFINISHED


def keep(place: Path, run: Path) -> None:
    """A smaller copy of the run, if there is none."""
    if not (place / "small").exists():
        keep_models(run, place / "small", [1], compact=True, learned=[], betas=load_run(run).network_betas[:2])


def decode(place: Path, run: Path) -> None:
    """Rows in a table of programs."""
    update(place / "table.parquet", place, [{"seed": seed, "kept": 0.5} for seed in range(3)])


# Name -> what writes into a folder, beside a finished run, and again goes on or finds nothing left to do; and what
# reads all numbers that it leaves, as text.
WORKS: dict[str, tuple[Callable[[Path, Path], object], Callable[[Path], str]]] = {
    "train": (lambda place, run: make_run(place), read_run),
    "keep": (keep, lambda place: read_run(place / "small")),
    "adam": (lambda place, run: make_baseline(place, 30, range(2), 8), read_baseline),
    "decode": (decode, lambda place: read_table(place / "table.parquet", {"seed"}).to_json()),
}


def look(what: str, place: Path) -> str:
    """What a work left in a folder, as a reader finds it."""
    try:
        return WORKS[what][1](place)
    except (RunError, FileNotFoundError) as error:
        assert "damaged" not in str(error), error
        return UNFINISHED


@cache
def undisturbed(what: str, run: Path) -> str:
    """What is read after a work."""
    with tempfile.TemporaryDirectory() as folder:
        assert Fork(partial(WORKS[what][0], Path(folder), run)).end() == 0, f"{what}: undisturbed, it fails"
        return look(what, Path(folder))


def kill(chance: random.Random, work: Callable[[], object]) -> None:
    """Up to three kills at random moments."""
    for _ in range(chance.randint(1, 3)):
        fork = Fork(work)
        time.sleep(chance.uniform(0, 1.5) ** 2)
        fork.kill()
        fork.end()


def change(chance: random.Random, work: Callable[[], object]) -> None:
    """A kill where the disk is about to change."""
    Fork(partial(die_at, int(2 ** chance.uniform(0, 7)), work)).end()


def full(chance: random.Random, work: Callable[[], object]) -> None:
    """No file may be larger than so much."""
    size = int(2 ** chance.uniform(4, 18))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))  # Python ignores the signal, so that writing fails
        work()

    assert Fork(limited, refusal=True).end() == 0, "on a full disk it fails"


def pair(chance: random.Random, work: Callable[[], object]) -> None:
    """Two at once: one may be refused, in one line."""
    first = Fork(work, refusal=True)
    time.sleep(chance.uniform(0, 0.3))
    assert [Fork(work, refusal=True).end(), first.end()] == [0, 0], "one of two fails"


def disturb(disturbance: Callable[..., None], chance: random.Random, place: Path, run: Path) -> None:
    """Disturb a work in an empty folder; AssertionError where that is not withstood."""
    what = chance.choice(list(WORKS))
    work, done = partial(WORKS[what][0], place, run), undisturbed(what, run)
    disturbance(chance, work)
    assert look(what, place) in (UNFINISHED, done), f"{what}: what it leaves is neither unfinished nor done"
    assert Fork(work).end() == 0, f"{what}: again, it fails"
    assert look(what, place) == done, f"{what}: again, it ends with other numbers"
    assert not (hidden := [path.name for path in place.glob("**/.*")]), f"{what}: leaves {hidden}"


def same(place: Path, run: Path, what: str, act: Callable[[Path], object] = read_run, settings: bool = True) -> None:
    """``act`` refuses in one line, or the numbers, and perhaps the settings, are those of the run."""

    def compare() -> None:
        act(place)
        assert read_run(place, settings) == read_run(run, settings), "other numbers"

    assert Fork(compare, refusal=True).end() == 0, what


@cache
def halfway(run: Path) -> Path:
    """An unfinished run, beside a finished one."""
    place = run.with_name("halfway")
    Fork(partial(die_at, 40, partial(make_run, place))).end()
    assert list(place.glob("parts/*/checkpoint-*"))
    return place


def flip(chance: random.Random, place: Path, run: Path) -> None:
    """Flip a bit of a finished run, which is read, or of an unfinished one, which is trained to its end."""
    finished = chance.random() < 0.5
    shutil.copytree(run if finished else halfway(run), place, dirs_exist_ok=True)
    victim = chance.choice(sorted(path for path in place.glob("**/*") if path.is_file()))
    content = bytearray(victim.read_bytes())
    spot, bit = chance.randrange(len(content)), chance.randrange(8)
    content[spot] ^= 1 << bit
    victim.write_bytes(content)
    same(place, run, f"bit {bit} of byte {spot} of {victim.name}", read_run if finished else make_run)


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


def forge(chance: random.Random, place: Path, run: Path) -> None:
    """Change a run so that its numbers are others or make no sense, and sign it again."""
    shutil.copytree(run, place, dirs_exist_ok=True)
    path = place / chance.choice([MANIFEST, *FILES])
    if path.suffix == ".safetensors":
        tensors, how = load_file(path), chance.choice(list(TENSORS))
        key = chance.choice(sorted(tensors))
        changed = TENSORS[how](tensors.pop(key))
        save_file(tensors | ({} if changed is None else {key: changed.contiguous()}), path)
        what = f"{key} {how}"
    elif path.suffix == ".parquet":
        what = chance.choice(list(TABLES))
        write_table(path, TABLES[what](pd.read_parquet(path)))
    else:
        entries = read_json(path)
        key, value = chance.choice(sorted(set(entries) - {"sha256"})), chance.choice(VALUES)
        path.write_text(json.dumps(entries | {key: value}), encoding="utf-8")
        what = f"{key} is {value!r}"
    signed = {} if what.startswith("files is") else {"files": checksums(place, FILES)}
    write_signed(place / MANIFEST, read_json(place / MANIFEST) | signed)
    # Another setting that makes sense, signed: nothing can tell.
    same(place, run, f"{path.name}: {what}", settings=path.name != "config.json")


def worker(chance: random.Random, place: Path, run: Path) -> None:
    """One process that does all works five times: the same numbers, no more memory, files and threads."""

    def long_life() -> None:
        seen = set()
        for life in range(5):
            for what, (work, _) in WORKS.items():
                with tempfile.TemporaryDirectory(dir=place) as folder:
                    work(Path(folder), run)
                    seen.add((what, look(what, Path(folder))))
            memory, files = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(os.listdir("/proc/self/fd"))
            if life == 1:
                first = memory, files
        assert len(seen) == len(WORKS), "other numbers"
        assert memory < 1.2 * first[0] and files <= first[1], f"KiB and open files were {first}, are {memory, files}"

    assert Fork(long_life).end() == 0, "it does not stay as it was"


CAMPAIGNS: dict[str, Callable[[random.Random, Path, Path], None]] = {
    **{disturbance.__name__: partial(disturb, disturbance) for disturbance in (kill, change, full, pair)},
    **{campaign.__name__: campaign for campaign in (flip, forge, worker)},
}


def main(
    names: tuple[str, ...] = tuple(CAMPAIGNS), times: int = 100, seconds: float = 60, out: Path | None = None
) -> None:
    """Run campaigns one after the other and print how many attempts failed.

    Args:
        names: of the campaigns.
        times: attempts of each at most.
        seconds: time for each, about.
        out: a file for the table, .csv or .parquet.
    """
    at_least(1, times=times)
    check_out(out, ".csv", ".parquet")
    expect(set(names) <= set(CAMPAIGNS), "names", names, f"some of {', '.join(CAMPAIGNS)}")
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # where there is one
    now = {"date": datetime.now(UTC).date().isoformat(), "version": f"{hyperlib.__version__} {commit}".strip()}
    rows: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="hyperlib-campaign-") as made:
        run = Path(made) / "run"
        assert Fork(partial(make_run, run)).end() == 0
        for name in names:
            deadline, attempts, failed = time.monotonic() + seconds, 0, 0
            while attempts < times and (not attempts or time.monotonic() < deadline):
                with tempfile.TemporaryDirectory(dir=made) as place:
                    try:
                        CAMPAIGNS[name](random.Random(f"0 {attempts}"), Path(place), run)
                    except AssertionError as error:
                        failed += 1
                        print(f"{name}: {error}", file=sys.stderr, flush=True)
                attempts += 1
            rows.append({"campaign": name, "attempts": attempts, "failed": failed, **now})
            show(pd.DataFrame(rows[-1:]))
            if out is not None:
                export(out, pd.DataFrame(rows))
    if any(row["failed"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    script(main)
