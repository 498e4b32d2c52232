"""Files that are written at once or not at all, that are checked, and that one process at a time writes."""

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import hyperlib as hl
from hyperlib import files

ROOT = Path(__file__).parents[1]
QUIET = {"workers": 0, "compiled": False, "progress": False}
TINY = hl.TrainConfig(seeds=(0, 1), steps=6, shape=(2, 3, 1), batch=8, snapshots=2)


def script(code: str, *arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python that imports what the tests import."""
    paths = os.pathsep.join(str(ROOT / name) for name in ("", "book", "scripts"))
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | changes
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, light) -> Path:
    return hl.train(TINY, tmp_path_factory.mktemp("runs") / "tiny", **QUIET).path


# --- a kill at any moment --------------------------------------------------------------------------------------------

KEEP = """
    import itertools, shutil, sys
    from functools import partial
    from pathlib import Path
    import hyperlib as hl
    from campaigns import Fork, die_at
    from keep import keep_models

    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    out = folder / "small"
    work = lambda: keep_models(source, out, [1], compact=True, learned=[], betas=hl.BETAS[:20:10])
    seen = []
    for moment in itertools.count(1):
        folder.mkdir()
        status = Fork(partial(die_at, moment, work)).end()
        assert status in (0, 9), moment
        if not status:
            break
        seen.append(out.exists())
        if not out.exists():
            work()  # and the same call does it after all
        run = hl.load_run(out)
        run.sweep, run.curves, [run.networks(seed) for seed in run.seeds], [run.model(seed) for seed in run.modelled]
        assert {path.name for path in folder.glob(".*")} <= {".lock"}, moment
        shutil.rmtree(folder)
    assert seen == sorted(seen)
    print(len(seen))
"""


def test_a_kill_of_keep_models_leaves_the_whole_new_run_or_nothing(finished, tmp_path):
    done = script(KEEP, finished, tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


# --- tables ----------------------------------------------------------------------------------------------------------


def test_a_table_knows_its_contents(tmp_path):
    table = pd.DataFrame({"seed": [1, 2], "loss": [0.1, np.nan], "text": ["a", None]})
    path = tmp_path / "table.parquet"
    files.write_table(path, table)
    assert not files.read_table(path, {"seed"}).attrs
    for change in ({"loss": [0.1, 0.2]}, {"text": ["a", "b"]}, {"seed": [1, 1]}):
        forged = pd.read_parquet(path).assign(**change)  # keeps the attributes, among them the checksum
        forged.to_parquet(path, index=False)
        with pytest.raises(files.RunError, match=r"table\.parquet is damaged: its contents differ"):
            files.read_table(path, set())
        files.write_table(path, table)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_the_lock_names_the_other_process_and_leaves_nothing(tmp_path):
    said = rf"{tmp_path} is in use by process {os.getpid()} on "
    with files.locked(tmp_path), pytest.raises(files.RunError, match=said), files.locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())
    with files.locked(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_in_one_line(tmp_path, monkeypatch, number):
    def missing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "_acquire", missing)
    with (
        pytest.warns(UserWarning, match=rf"{tmp_path}: no locks here; .*{os.strerror(number)}"),
        files.locked(tmp_path),
    ):
        pass


# --- users -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o002, 0o664)])
def test_files_get_the_mode_that_the_user_asks_for(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        files.write_json(tmp_path / "a.json", {})
        files.write_table(tmp_path / "a.parquet", pd.DataFrame({"a": [1.0]}))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


def test_a_table_that_is_missing_is_not_called_damaged(tmp_path):
    with pytest.raises(files.RunError, match=r"table\.parquet is missing"):
        files.read_table(tmp_path / "table.parquet", {"seed"})
