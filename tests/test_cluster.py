"""Training on somebody else's dask cluster: a scheduler and workers of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import hyperlib as hl
from hyperlib.cluster import STARTED, local_client, one_thread
from hyperlib.experiment import train
from hyperlib.files import RunError

ROOT = Path(hl.__file__).parents[1]
TINY = hl.TrainConfig(seeds=(0, 1), steps=40, shape=(2, 3, 1), batch=8, snapshots=3)
QUIET = {"compiled": False, "progress": False}

# A worker that comes this far for the first time ends its whole process group, as a batch system does. Dask executes
# a preloaded file twice, in the same module: what is wrapped must not be a global of it.
DEADLY = """
import os, pathlib, signal
from hyperlib import experiment

marker = pathlib.Path({marker!r})

def deadly(self, step, measure=experiment.Group.measure):
    if step >= 6 and not marker.exists():
        marker.touch()
        os.killpg(os.getpgrp(), signal.SIGKILL)
    measure(self, step)

experiment.Group.measure = deadly
"""


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> hl.Run:
    """This training in this process, undisturbed."""
    with one_thread(True):
        return train(TINY, tmp_path_factory.mktemp("runs") / "here", workers=0, **QUIET)


def same_numbers(one: hl.Run, other: hl.Run) -> None:
    pd.testing.assert_frame_equal(one.sweep, other.sweep, check_exact=True)
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)


@contextlib.contextmanager
def process(module: str, *options: str, log: Path):
    """A dask command line as a process group of its own; ended afterwards, whatever happened."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(log, "wb") as file:
        command = [sys.executable, "-m", module, *options]
        started = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextlib.contextmanager
def scheduler(folder: Path):
    """A scheduler on a free port; gives its address."""
    file, port = folder / "scheduler.json", ["--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    with process(
        "distributed.cli.dask_scheduler", *port, "--scheduler-file", str(file), log=folder / "scheduler.log"
    ) as started:
        deadline = time.monotonic() + 600
        while not file.exists():
            assert started.poll() is None and time.monotonic() < deadline, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        yield json.loads(file.read_text())["address"]


def worker(address: str, folder: Path, name: str, *options: str):
    """A worker without a nanny: nobody starts it again."""
    return process(
        "distributed.cli.dask_worker",
        address,
        "--no-nanny",
        "--no-dashboard",
        "--name",
        name,
        *(options or ("--nthreads", "1")),
        log=folder / f"{name}.log",
    )


def test_a_killed_worker_of_an_existing_cluster_is_replaced_by_the_next(expected, tmp_path):
    """The first worker dies in the middle; the second one continues to the same numbers."""
    preload, marker = tmp_path / "deadly.py", tmp_path / "killed"
    preload.write_text(DEADLY.format(marker=str(marker)))
    with (
        scheduler(tmp_path) as address,
        worker(address, tmp_path, "first", "--nthreads", "1", "--preload", str(preload)) as first,
        worker(address, tmp_path, "second", "--nthreads", "1", "--preload", str(preload)) as second,
    ):
        run = train(TINY, tmp_path / "run", scheduler=address, checkpoint_steps=15, **QUIET)
        assert marker.exists() and {first.poll(), second.poll()} == {-signal.SIGKILL, None}
    same_numbers(run, expected)


def test_a_worker_of_many_threads_is_refused(tmp_path):
    """Groups in one process would share torch's thread pool, and its threads would round in another order."""
    with (
        scheduler(tmp_path) as address,
        worker(address, tmp_path, "wide", "--nthreads", "3"),
        pytest.raises(hl.RunError, match=r"has 3 threads; expected dask worker --nthreads 1"),
    ):
        train(TINY, tmp_path / "run", scheduler=address, **QUIET)


def test_workers_do_not_start_workers(monkeypatch):
    monkeypatch.setenv(STARTED, "1")
    with pytest.raises(RunError, match="workers were asked for by workers"), local_client(1):
        pass
