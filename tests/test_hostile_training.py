"""What can happen to a training: plain scripts, two at once, damage, full and removed folders, lost workers, Ctrl-C."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

import hyperlib as hl
from hyperlib import experiment

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("light")
TINY = hl.TrainConfig(seeds=(0, 1, 2), steps=40, shape=(2, 3, 1), batch=8, snapshots=2)
QUIET = {"workers": 0, "compiled": False, "progress": False, "checkpoint_steps": 15}
HERE = ["--workers", "0", "--no-compiled"]
FLAGS = ["--seeds", "3", "--steps", "40", "--shape", "2", "3", "1", "--batch", "8", "--snapshots", "2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> hl.Run:
    return hl.train(TINY, tmp_path_factory.mktemp("runs") / "tiny", **QUIET)


def same_numbers(one: hl.Run, other: hl.Run) -> None:
    pd.testing.assert_frame_equal(one.sweep, other.sweep, check_exact=True)
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    for name in ("hyperhypernetworks.safetensors", "networks.safetensors"):
        left, right = load_file(one.path / name), load_file(other.path / name)
        assert left.keys() == right.keys() and all(left[key].equal(right[key]) for key in left)


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | changes


def shell(*arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """``python -m hyperlib`` with these arguments."""
    command = [sys.executable, "-m", "hyperlib", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(**changes))


def one_line(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """It failed and said so in one line, which holds all of ``said``."""
    assert done.returncode not in (0, -signal.SIGKILL)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for text in said:
        assert re.search(text, lines[0]), (text, lines[0])


# --- from a plain script ---------------------------------------------------------------------------------------------


def test_the_readme_saved_as_a_script_trains(tmp_path):
    """Without ``if __name__ == "__main__"``: workers do not import the caller's script."""
    script, loads = tmp_path / "script.py", tmp_path / "loads"
    script.write_text(
        textwrap.dedent(f"""
        import hyperlib as hl

        open({str(loads)!r}, "a").write("x")
        scale = 2.0
        task = hl.Task("mine", "a lambda of a script", lambda x: scale * x.abs().sum(-1, keepdim=True))
        config = hl.TrainConfig(seeds=range(2), steps=20, shape=(2, 3, 1), batch=8, snapshots=2, task=task)
        run = hl.train(config, out={str(tmp_path / "run")!r}, workers=2, ensemble=1, compiled=False)
        print(run.seeds)
        """)
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == "[0, 1]\n", done.stderr
    assert done.stderr == "" and loads.read_text() == "x"


def test_workers_end_with_the_process_that_started_them(tmp_path):
    """kill -9 of a training leaves no worker behind."""
    code = """
        import sys, time
        from hyperlib.cluster import local_client
        with local_client(2) as client:
            print(*client.run(__import__("os").getpid).values(), flush=True)
            time.sleep(300)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        workers = [int(word) for word in process.stdout.readline().split()]
        process.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 600
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    """Whether a process is there and not merely unburied."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- two trainings on one folder -------------------------------------------------------------------------------------


def test_a_second_training_on_a_folder_is_refused_and_names_the_first(finished, tmp_path, monkeypatch):
    out, seen = tmp_path / "run", []

    def second(self, steps, advance=hl.Ensemble.advance):
        if not seen:
            for config in (TINY, dataclasses.replace(TINY, learning_rate=1e-4)):
                with pytest.raises(hl.RunError) as refused:
                    hl.train(config, out, **QUIET)
                seen.append(str(refused.value))
        advance(self, steps)

    monkeypatch.setattr(hl.Ensemble, "advance", second)
    same_numbers(hl.train(TINY, out, **QUIET), finished)
    assert len(seen) == 2 and all(str(out) in text for text in seen)
    assert f"is in use by process {os.getpid()} on " in seen[0]
    assert "was started with another learning_rate" in seen[1]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_many_trainings_started_at_once_leave_one_run(tmp_path):
    """Two rates, one folder: one process trains, the other is refused in one line, and the run is the trainer's."""
    out, rates = tmp_path / "run", ["0.001", "0.002"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "hyperlib", "train", "--out", str(out), *FLAGS, *HERE, "--learning-rate", rate],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for rate in rates
    ]
    ended = [process.communicate() for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 1], ended
    winner = codes.index(0)
    assert hl.load_run(out).config.learning_rate == float(rates[winner])
    refusal = ended[1 - winner][1].splitlines()
    assert len(refusal) == 1 and re.search("is in use by process|was started with another", refusal[0])


def test_a_lock_left_by_a_killed_process_does_not_hold(finished, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").write_text("process 1 on nowhere")
    same_numbers(hl.train(TINY, out, **QUIET), finished)


# --- names and numbers -----------------------------------------------------------------------------------------------


def test_a_hundred_seeds_in_one_process(tmp_path):
    config = hl.TrainConfig(seeds=range(100, 200), steps=1, shape=(1, 1, 1), batch=1, snapshots=1)
    run = hl.train(config, tmp_path / "run", **QUIET)
    assert len(run.seeds) + len(run.failed) == 100


# --- damage ----------------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """Stands for a kill."""


def stop_at(monkeypatch, step: int) -> None:
    """Let trainings end when they have reached a step."""

    def advance(self, steps, advance=hl.Ensemble.advance):
        if self.step >= step:
            raise Stopped
        advance(self, steps)

    monkeypatch.setattr(hl.Ensemble, "advance", advance)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory) -> Path:
    """A training stopped behind its second checkpoint, with one snapshot measured."""
    out = tmp_path_factory.mktemp("unfinished") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.suppress(Stopped):
        stop_at(monkeypatch, 30)
        hl.train(TINY, out, **QUIET)
    assert list(out.glob("parts/*/checkpoint-30.safetensors")) and list(out.glob("parts/*/sweep-*.parquet"))
    return out


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["checkpoint-30.safetensors", "sweep-*.parquet"])
@pytest.mark.parametrize("how", [0.0, 0.03, 0.5, "removed"])
def test_a_damaged_part_is_told_and_trained_again(finished, unfinished, tmp_path, name, how):
    out = Path(shutil.copytree(unfinished, tmp_path / "run"))
    (part,) = sorted(out.glob(f"parts/*/{name}"))[:1]
    if how == "removed":
        part.unlink()
    elif how == "emptied":
        part.write_bytes(b"")
    else:
        flip(part, how)
    with pytest.warns(UserWarning, match=rf"{part.name} is (damaged|missing).*seeds 0, 1, 2 are trained again"):
        run = hl.train(TINY, out, **QUIET)
    same_numbers(run, finished)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["parts.json", "groups.json", "config.json"])
def test_damaged_parts_never_gives_another_run(finished, unfinished, tmp_path, name, place):
    out = Path(shutil.copytree(unfinished, tmp_path / "run"))
    (part,) = out.glob(f"**/{name}")
    flip(part, place)
    try:
        if name == "parts.json":
            with pytest.warns(UserWarning, match=r"parts\.json is damaged.*trained again"):
                run = hl.train(TINY, out, **QUIET)
        else:
            run = hl.train(TINY, out, **QUIET)
    except hl.RunError as error:
        assert name in str(error) or "was started with another" in str(error)
        assert name != "parts.json"
    else:
        same_numbers(run, finished)


def test_only_the_damaged_group_is_trained_again(finished, tmp_path, monkeypatch):
    """Two groups are done when the third part is found damaged at the end; the next start trains that one alone."""
    out = tmp_path / "run"
    monkeypatch.setattr(experiment, "distribute", in_this_process)
    options = QUIET | {"workers": 2, "ensemble": 1}
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(experiment, "collect", stopped)
        hl.train(TINY, out, **options)
    flip(out / "parts" / "1" / "curves.parquet", 0.5)
    trained = []

    def advance(self, steps, advance=hl.Ensemble.advance):
        trained.append(tuple(self.seeds))
        advance(self, steps)

    monkeypatch.setattr(hl.Ensemble, "advance", advance)
    with pytest.warns(UserWarning, match=r"curves\.parquet is damaged.*seeds 1 are trained again"):
        run = hl.train(TINY, out, **options)
    assert set(trained) == {(1,)} and run.seeds == [0, 1, 2]


def stopped(*arguments, **named):
    raise Stopped


def in_this_process(work, groups, report, scheduler, workers):
    """What `distribute` does, without a cluster."""
    return [work(seeds=group, report=report) for group in groups]


def test_a_kill_during_the_clean_up_leaves_a_finished_run(finished, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(experiment.shutil, "rmtree", stopped)
        hl.train(TINY, out, **QUIET)
    assert (out / "parts").exists()
    assert hl.load_run(out).seeds == [0, 1, 2]
    same_numbers(hl.train(TINY, out, **QUIET), finished)
    assert not (out / "parts").exists()


def test_a_finished_run_in_a_folder_that_cannot_be_written_is_returned(finished, tmp_path, monkeypatch):
    out = Path(shutil.copytree(finished.path, tmp_path / "run"))
    monkeypatch.setattr("pathlib.Path.replace", stopped)
    assert hl.train(TINY, out, **QUIET).short_hash == finished.short_hash


# --- disks -----------------------------------------------------------------------------------------------------------

GOES_ON = "the same command goes on"


def failing(number: int, path: str = "x"):
    def fail(*arguments, **named):
        raise OSError(number, os.strerror(number), path)

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("place", ["pathlib.Path.replace", "hyperlib.files.os.fsync"])
def test_a_disk_that_refuses_is_told_with_path_reason_and_remedy(finished, tmp_path, monkeypatch, number, place):
    out = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(hl.RunError) as told:
        patch.setattr(place, failing(number))
        hl.train(TINY, out, **QUIET)
    text = str(told.value)
    assert str(out) in text and os.strerror(number) in text and GOES_ON in text and "\n" not in text
    same_numbers(hl.train(TINY, out, **QUIET), finished)


def test_a_full_disk_inside_safetensors_and_parquet(finished, tmp_path, monkeypatch):
    """Both write by themselves, and tell a full disk in ways of their own: here by a limit on the size of a file."""
    code = f"""
        import resource, signal, hyperlib as hl
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({{size}}, {{size}}))
        from hyperlib.__main__ import main
        import sys
        sys.argv = ["hyperlib", "train", "--out", {str(tmp_path / "run")!r}, *{[*HERE, *FLAGS]!r}]
        main()
    """
    for size in (100, 30_000):
        command = [sys.executable, "-c", textwrap.dedent(code.format(size=size))]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        one_line(done, str(tmp_path / "run"), "File too large", GOES_ON)
    assert hl.train(TINY, tmp_path / "run", **QUIET).seeds == finished.seeds


def test_a_removed_folder_ends_the_training_soon(tmp_path, monkeypatch):
    out, steps = tmp_path / "run", []

    def advance(self, steps_, advance=hl.Ensemble.advance):
        steps.append(self.step)
        if self.step >= 40:
            shutil.rmtree(out, ignore_errors=True)
        advance(self, steps_)

    monkeypatch.setattr(hl.Ensemble, "advance", advance)
    config = dataclasses.replace(TINY, steps=4000, snapshots=1)
    with pytest.raises(hl.RunError, match=f"{out}.* is gone"):
        hl.train(config, out, **QUIET | {"checkpoint_steps": 4000})
    assert max(steps) <= 60 and not out.exists()


@pytest.mark.parametrize("below", ["file/x", "file"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    (tmp_path / "file").write_text("thesis")
    done = shell("train", "--out", tmp_path / below, *FLAGS, *HERE)
    one_line(done, str(tmp_path / "file"), "file|Not a directory")
    assert (tmp_path / "file").read_text() == "thesis"


# --- clusters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "http://127.0.0.1:9"])
def test_an_unreachable_scheduler_is_told_in_one_line(tmp_path, address):
    done = shell(
        *("train", "--out", tmp_path / "run", *FLAGS, "--no-compiled", "--scheduler", address),
        DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s",
    )
    one_line(done, re.escape(address), "scheduler")


def test_workers_that_keep_dying_are_told_in_one_line(tmp_path):
    preload = tmp_path / "deadly.py"
    preload.write_text(
        "import os, signal\nfrom hyperlib import experiment\n"
        "experiment.Group.measure = lambda self, step: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = shell(
        *("train", "--out", tmp_path / "run", *FLAGS, "--no-compiled", "--workers", "1", "--ensemble", "3"),
        DASK_DISTRIBUTED__WORKER__PRELOAD=str(preload),
    )
    one_line(done, "seeds 0, 1, 2", "worker", "memory", GOES_ON)


def test_an_error_in_a_worker_is_told_once(tmp_path):
    """No retries: what fails for a reason fails again."""
    preload, calls = tmp_path / "broken.py", tmp_path / "calls"
    preload.write_text(
        f"from hyperlib import experiment\n\ndef broken(self, step):\n    open({str(calls)!r}, 'a').write('x')\n"
        "    raise OSError(28, 'No space left on device', 'somewhere')\n\nexperiment.Group.measure = broken\n"
    )
    done = shell(
        *("train", "--out", tmp_path / "run", *FLAGS, "--no-compiled", "--workers", "1", "--ensemble", "3"),
        DASK_DISTRIBUTED__WORKER__PRELOAD=str(preload),
    )
    one_line(done, "No space left on device", "somewhere", GOES_ON)
    assert calls.read_text() == "x"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_control_c_is_told_in_one_line_and_the_same_command_goes_on(tmp_path, workers):
    """The signal goes to the whole process group, as from a terminal."""
    out = tmp_path / "run"
    flags = [*FLAGS, "--no-compiled", "--workers", workers, "--steps", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "hyperlib", "train", "--out", str(out), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        # a shell's job in the background ignores Ctrl-C, and so would what it starts
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 600
        while not list(out.glob("parts/*/sweep-*.parquet")) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert len(said.splitlines()) == 1 and said.startswith("error: interrupted") and GOES_ON in said


# --- compilers -------------------------------------------------------------------------------------------------------


def test_without_a_compiler_one_line_names_the_option(tmp_path):
    done = shell("train", "--out", tmp_path / "run", *FLAGS, "--workers", "1", CXX="/no/such/compiler")
    one_line(done, "/no/such/compiler", "--no-compiled")
    assert not (tmp_path / "run").exists()


def test_a_broken_compiler_is_told_in_one_line(tmp_path):
    fake = tmp_path / "c++"
    fake.write_text("#!/bin/sh\necho 'internal compiler error: out of luck' >&2\nexit 1\n")
    fake.chmod(0o755)
    done = shell(
        *("train", "--out", tmp_path / "run", *FLAGS, "--workers", "0"),
        CXX=str(fake),
        HYPERLIB_CACHE=str(tmp_path / "cache"),
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "inductor"),
    )
    one_line(done, "internal compiler error: out of luck", "--no-compiled")


@pytest.mark.parametrize("name", ["encoder", "faithful"])
@pytest.mark.parametrize("value", [0, 1, None, float("nan"), "no"])
def test_switches_are_true_or_false(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*; expected True or False"):
        hl.TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"out": None}, "out is NoneType; expected the path of a run folder"),
        ({"workers": 1.5}, "workers is 1.5; expected a whole number, 0 or more"),
        ({"ensemble": 0}, "ensemble is 0; expected a whole number, 1 or more"),
        ({"scheduler": "tcp://a:1"}, "scheduler is 'tcp://a:1'; expected none beside workers=0"),
    ],
)
def test_odd_arguments_are_named(tmp_path, named, said):
    with pytest.raises((TypeError, ValueError), match=said):
        hl.train(TINY, **{"out": tmp_path / "run", **QUIET, **named})
    assert not (tmp_path / "run").exists()


def test_the_library_names_the_argument(tmp_path):
    """In a process of its own: this one may have compiled already."""
    script = "import hyperlib as hl; hl.train(hl.TrainConfig(shape=(2, 3, 1)), 'run', workers=0, progress=False)"
    said = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(CXX="/no/such/compiler", HYPERLIB_CACHE=str(tmp_path)),
    )
    assert said.returncode and "compiled=False" in said.stderr.splitlines()[-1]


# --- every seed fails ------------------------------------------------------------------------------------------------


def test_when_every_seed_fails_the_advice_can_be_followed(tmp_path):
    config = dataclasses.replace(TINY, learning_rate=1e6, learning_rate_warmup=0)
    with pytest.raises(hl.RunError, match="smaller learning rate") as told:
        hl.train(config, tmp_path / "run", **QUIET)
    assert "new folder" in str(told.value)
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert record["learning_rate"] == 1e6
