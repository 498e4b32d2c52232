"""Arguments of the command line that make no sense: one line that names them, before any work."""

import importlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import hyperlib as hl
from hyperlib import machine
from hyperlib.__main__ import main
from hyperlib.commands import script

ROOT = Path(__file__).parents[1]
TINY = hl.TrainConfig(seeds=(0, 1), steps=4, shape=(2, 3, 1), batch=8, snapshots=1)
SCRIPTS = "auction", "bench", "campaigns", "decode", "design", "judge", "penalty", "replay"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return hl.train(TINY, tmp_path_factory.mktemp("runs") / "tiny", workers=0, compiled=False, progress=False).path


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call a command, or a script, in this process, in an empty folder: its exit status and what it prints."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[object, str, str]:
        name, own = arguments[0], arguments[0] in SCRIPTS
        monkeypatch.setattr(sys, "argv", [f"{name}.py" if own else "hyperlib", *map(str, arguments[own:])])
        status: object = 0
        try:
            script(importlib.import_module(name).main) if own else main()
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return command


NONSENSE = {
    "design --out x.txt": "expected a file name that ends in .parquet",
    "design --out x.parquet --cells nothing": "cells holds 'nothing'; expected some of",
    "bench --out x.csv": "expected a file name that ends in .json",
    "sweep RUN --seed 0 --points 0": "points is 0; expected at least 1",
    "sweep RUN --seed 0 --out x.txt": "expected a file name that ends in .csv or .parquet",
    "sweep RUN --seed 7": "has no seed 7",
    "draw RUN --seed 0 --out x": "expected a file name that ends in .svg or .png or .pdf",
    "draw RUN --seed 0 --out x.svg --beta -1": "beta is -1.0; expected positive finite numbers",
    "draw RUN --seed 0 --out x.svg --generator -1": "generator is -1; expected",
    "replay RUN --seeds 0 --steps 0": "steps is 0; expected at least 1",
    "info no/such/run": "no run folder at 'no/such/run'",
    "replay RUN --seeds": "seeds is (); expected distinct whole numbers, at least one",
    "replay RUN --seeds -1": "seeds is (-1,); expected distinct whole numbers",
    "decode RUN --points 0": "points is 0; expected at least 1",
    "train --out x --seeds 0": "seeds is 0; expected at least 1",
    "train --out x --seeds -1": "seeds is -1; expected at least 1",
    "train --out x --workers 0 --scheduler tcp://a:1": "scheduler is 'tcp://a:1'; expected none beside workers=0",
    "train --out x --steps 0": "steps is 0; expected at least 1",
    "train --out x --workers -1": "workers is -1; expected a whole number, 0 or more",
    "train --out x --shape 3": "shape is (3,)",
    "train --out x --task nonsense": "also module:name of a Task",
    "train --out x --task no_such_module:task": "expected module:name of a Task: No module named 'no_such_module'",
    "train --out x --task math:pi": "which is float; expected module:name of a Task",
    "train --out x --task math:nothing": "has no attribute 'nothing'",
    "train --out x --device tpu": "device is 'tpu'",
    "campaigns --names kill --times 0": "times is 0; expected at least 1",
}


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_is_told_in_one_line(line, call, run, tmp_path):
    status, out, err = call(*line.replace("RUN", str(run)).split())
    assert isinstance(status, str) and status.startswith("error: ") and "\n" not in status, (status, err)
    assert NONSENSE[line] in status
    assert out == "" and not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["info", "sweep", "draw", "replay"])
def test_every_command_takes_its_run_in_the_same_place(command, call, tmp_path):
    rest = {"sweep": ["--seed", 0], "draw": ["--seed", 0, "--out", "x.svg"], "info": []}.get(command, ["--seeds", 0])
    status, _, _ = call(command, tmp_path / "nowhere", *rest)
    assert str(status).startswith("error: no run folder at")


def test_the_ending_of_a_table_decides_its_format(call, run, tmp_path):
    for name, read in (("x.csv", pd.read_csv), ("below/x.parquet", pd.read_parquet)):
        status, _, err = call("sweep", run, "--seed", 0, "--points", 2, "--out", name)
        assert status == 0, err
        assert list(read(tmp_path / name)["beta"]) == pytest.approx([1e-12, 1])


def test_a_file_where_a_folder_should_be_is_told(call, run, tmp_path):
    (tmp_path / "file").touch()
    status, _, _ = call("sweep", run, "--seed", 0, "--points", 2, "--out", "file/x.csv")
    assert str(status).startswith("error: ") and "file" in str(status)


def test_a_task_of_ones_own_from_the_command_line(call, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_tasks.py").write_text(
        "import hyperlib as hl\ncubes = hl.Task('cubes', 'sum of cubes', lambda x: x.pow(3).sum(-1, keepdim=True))\n"
    )
    flags = [
        "--seeds=1",
        "--steps=2",
        "--shape",
        "2",
        "3",
        "1",
        "--batch=4",
        "--snapshots=1",
        "--workers=0",
        "--no-compiled",
    ]
    status, out, err = call("train", "--out", "own", "--task", "own_tasks:cubes", "--shape", "2", "3", "1", *flags)
    assert status == 0 and out.startswith("own: 1 seeds"), (status, err)
    assert call("info", "own")[0] == 0
    status, _, _ = call("sweep", "own", "--seed", 0, "--points", 2)
    assert "--task module:name" in str(status)
    status, out, _ = call("sweep", "own", "--seed", 0, "--points", 2, "--task=own_tasks:cubes")
    assert status == 0 and "loss" in out
    shutil.rmtree(tmp_path / "own")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_takes(call, name):
    status, out, _ = call(name, "--help")
    assert status == 0 and "usage: " in out and "Args" not in out


@pytest.mark.filterwarnings("always")
def test_a_warning_is_one_line(call, run):
    status, _, err = call("draw", run, "--seed", 0, "--out", "x.svg", "--beta", "1e-30")
    assert status == 0 and err.startswith("warning: beta = 1e-30 lies far outside") and len(err.splitlines()) == 1


LITTLE_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(run: Path, line: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell in which ``hyperlib`` stands for the command and RUN for the run."""
    text = line.replace("hyperlib", f"{shlex.quote(sys.executable)} -m hyperlib").replace("RUN", shlex.quote(str(run)))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | changes
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, env=environment)


def test_a_reader_that_has_enough_is_no_error(run):
    done = shell(run, "set -o pipefail; hyperlib info RUN | head -1; echo ${PIPESTATUS[0]}; hyperlib info RUN | true")
    first, status = done.stdout.splitlines()
    assert first.startswith("seeds") and status in ("0", "141") and done.stderr == "" and done.returncode in (0, 141)


def test_a_terminal_without_greek_letters(run):
    lines = "hyperlib decode RUN --seed 0; hyperlib info RUN; hyperlib sweep nowhere-\u03b2 --seed 0"
    done = shell(run, lines, **LITTLE_LOCALE)
    assert "numbers" in done.stdout and "networks measured" in done.stdout, done.stderr
    assert done.stderr.startswith("error: no run folder at") and len(done.stderr.splitlines()) == 1


def test_the_manifest_tells_what_was_run(monkeypatch):
    for argv, told in {
        ("/somewhere/hyperlib/__main__.py", "info", "my run"): "python -m hyperlib info 'my run'",
        ("/somewhere/mine.py", "3"): "python mine.py 3",
        ("-c",): "python -c",
        ("",): "python",
        ("/somewhere/ipykernel_launcher.py", "-f", "/root/kernel.json"): "a notebook",
    }.items():
        monkeypatch.setattr(sys, "argv", list(argv))
        assert machine.command() == told
