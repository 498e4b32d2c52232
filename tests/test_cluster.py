"""Training on somebody else's dask cluster: a scheduler and workers of their own, and jobs of a batch system."""

import contextlib
import importlib.util
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
from hyperlib.cluster import STARTED, WORKER_ENVIRONMENT, local_client, one_thread
from hyperlib.experiment import train
from hyperlib.files import RunError

ROOT = Path(hl.__file__).parents[1]
SCRIPT = ROOT / "scripts" / "jobqueue.py"
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
        marker.write_text("\\n".join(f"{{name}}={{value}}" for name, value in os.environ.items()))
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


# --- jobs of a batch system ------------------------------------------------------------------------------------------

# What dask-jobqueue needs of SLURM: sbatch keeps a copy of a script, starts it in the background and says its number,
# and scancel kills it.
SBATCH = """#!/bin/sh
cp "$1" "{folder}/job-$$.sh"
setsid bash "{folder}/job-$$.sh" >> "{folder}/jobs.log" 2>&1 &
echo "Submitted batch job $!"
echo "$!" >> "{folder}/jobs"
"""
SCANCEL = '#!/bin/sh\nkill -9 -- "-$1" 2> /dev/null || true\n'


def jobqueue():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("jobqueue_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def batch_system(tmp_path) -> Path:
    """A folder with the commands of a batch system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH.format(folder=tmp_path)), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_workers_do_not_start_workers(monkeypatch):
    monkeypatch.setenv(STARTED, "1")
    with pytest.raises(RunError, match="workers were asked for by workers"), local_client(1):
        pass


def test_a_cancelled_job_is_replaced_and_the_numbers_stay(expected, tmp_path, batch_system):
    """The documented script, end to end; the first job is killed whole in the middle of the training."""
    preload, marker = tmp_path / "deadly.py", tmp_path / "killed"
    preload.write_text(DEADLY.format(marker=str(marker)))
    environment = {
        "PATH": f"{batch_system}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(preload),
        "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "100ms",
    }
    training = ["--seeds=2", "--steps=40", "--shape", "2", "3", "1", "--batch=8", "--snapshots=3", "--no-compiled"]
    command = [sys.executable, str(SCRIPT), "--queue", "any", "--", "--out", str(tmp_path / "run"), *training]
    unset = {name: value for name, value in os.environ.items() if name not in WORKER_ENVIRONMENT}
    done = subprocess.run(command, env=unset | environment, capture_output=True, text=True)
    jobs = (tmp_path / "jobs").read_text().split()
    assert done.returncode == 0, done.stderr
    assert len(jobs) == 2, f"{len(jobs)} jobs were started; expected one and its replacement"
    seen = dict(line.split("=", 1) for line in marker.read_text().splitlines() if "=" in line)
    assert {name: seen.get(name) for name in WORKER_ENVIRONMENT} == {k: str(v) for k, v in WORKER_ENVIRONMENT.items()}
    same_numbers(hl.load_run(tmp_path / "run"), expected)
    deadline = time.monotonic() + 600
    while any(Path(f"/proc/{job}").exists() for job in jobs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{job}").exists() for job in jobs), "a job outlived the script"


@pytest.mark.parametrize(
    ("system", "lines"),
    [
        ("slurm", ["#SBATCH -p night", "#SBATCH --cpus-per-task=3", "#SBATCH --mem=6G", "#SBATCH -t 02:00:00"]),
        ("pbs", ["#PBS -q night", "#PBS -l walltime=02:00:00"]),
        ("lsf", ["#BSUB -q night", "#BSUB -n 3", "#BSUB -W 02:00:00"]),
        ("sge", ["#$ -q night", "#$ -l h_rt=02:00:00"]),
    ],
)
def test_job_scripts_ask_for_what_was_said(system, lines, capsys):
    site = f"--system {system} --queue night --cores 3 --memory 6GB --walltime 02:00:00".split()
    assert jobqueue().main([*site, "--directive=--account=me", "--prologue", "module load gcc", "--show"]) == 0
    script = capsys.readouterr().out
    assert all(line in script.splitlines() for line in lines)
    assert all(f"export {name}={value}" in script for name, value in WORKER_ENVIRONMENT.items())
    assert "--account=me" in script and "\nmodule load gcc\n" in script
    assert "--nthreads 1" in script and "--nworkers 3" in script


def test_the_script_says_what_is_missing(capsys):
    with pytest.raises(SystemExit):
        jobqueue().main(["--queue", "night", "--", "--seeds", "3"])
    assert "no --out behind the two dashes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        jobqueue().main(["--system", "cron", "--", "--out", "x"])
    assert "invalid choice: 'cron'" in capsys.readouterr().err


def test_the_book_shows_the_script_that_is_tested():
    page = (ROOT / "book" / "reproduce.md").read_text()
    assert "```{literalinclude} ../scripts/jobqueue.py" in page
    assert "python scripts/jobqueue.py" in page
