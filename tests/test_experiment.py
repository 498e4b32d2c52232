"""Run folders and faults: resume, kill, full disk, lost worker, divergence, damage (issue: results one can trust)."""

import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import hyperlib as hl
from hyperbook.studies.replay import QUANTITIES, compare, replay
from hyperlib import cluster, experiment, files, machine
from hyperlib.experiment import Group, group_seeds, half_precision, train
from hyperlib.files import RunError, write_atomic, write_tensors
from hyperlib.runs import FILES, load_run

TINY = hl.TrainConfig(seeds=(0, 1), steps=40, shape=(2, 3, 1), batch=8, snapshots=3)
QUIET = {"workers": 0, "compiled": False, "progress": False}


def silent(seeds, step):
    """A progress report that nobody reads."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums of several threads round differently from those of one, and the tests compare bit for bit."""
    with cluster.one_thread(True):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> hl.Run:
    return train(TINY, tmp_path_factory.mktemp("runs") / "tiny", checkpoint_steps=15, **QUIET)


def same_numbers(one: hl.Run, other: hl.Run) -> None:
    pd.testing.assert_frame_equal(one.sweep, other.sweep, check_exact=True)
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)
    for name in ("hyperhypernetworks.safetensors", "networks.safetensors"):
        left, right = load_file(one.path / name), load_file(other.path / name)
        assert left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_a_finished_run_holds_what_it_promises(finished):
    assert finished.seeds == [0, 1] and finished.failed == {} and finished.config == TINY
    assert finished.steps == TINY.snapshot_steps() and len(finished.betas) == 30
    assert len(finished.sweep) == 2 * len(finished.steps) * 30
    assert not (finished.path / "parts").exists()
    assert {path.name for path in finished.path.iterdir()} == {*FILES, "manifest.json"}
    manifest = json.loads((finished.path / "manifest.json").read_text())
    assert manifest["command"] == machine.command() and manifest["groups"] == [[0, 1]] and manifest["wall_s"] > 0
    assert manifest["versions"]["torch"] == torch.__version__
    assert len(finished.short_hash) == 8


def test_the_released_model_regenerates_the_last_rows_of_the_table(finished):
    """Half precision is enough: the table's last step was measured on the stored numbers."""
    for seed in finished.seeds:
        table, networks = hl.sweep(finished.model(seed))
        released = finished.final[finished.final["seed"] == seed].reset_index(drop=True)
        pd.testing.assert_frame_equal(table, released[table.columns], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(networks.weights[0], finished.networks(seed).weights[0])


TABLES = {
    "floats": pd.DataFrame(
        {"a": [1.5, math.nan, math.inf, -0.0], "b": pd.Series([0.1, -math.inf, 0, 7], dtype="float32")}
    ),
    "no floats": pd.DataFrame({"seed": [1, 2], "phase": ["pudding", "convexity"]}),
    "nullable": pd.DataFrame(
        {"x": pd.array([0.1, None], "Float64"), "n": pd.array([1, None], "Int64"), "s": ["a", None]}
    ),
    "no rows": pd.DataFrame({"seed": pd.Series(dtype="int64"), "loss": pd.Series(dtype="float64")}),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_stored_bit_for_bit(name, tmp_path):
    files.write_table(tmp_path / "a.parquet", TABLES[name])
    found = files.read_table(tmp_path / "a.parquet", set(TABLES[name]))
    pd.testing.assert_frame_equal(found, TABLES[name], check_exact=True)
    for column in found.select_dtypes(["float64", "float32"]):
        assert found[column].to_numpy().tobytes() == TABLES[name][column].to_numpy().tobytes()  # -0.0 and NaN too


def test_tables_of_measured_numbers_take_less_space_than_usual(tmp_path):
    table = load_run("results/l1", verify=False).final
    files.write_table(tmp_path / "a.parquet", table)
    for dictionaries in (True, False):
        usual = {"compression": "zstd", "compression_level": 19, "use_dictionary": dictionaries}
        table.to_parquet(tmp_path / "b.parquet", index=False, **usual)
        small, large = ((tmp_path / f"{name}.parquet").stat().st_size for name in "ab")
        assert small < 0.95 * large
    assert files.read_table(tmp_path / "a.parquet", set()).equals(table)


def test_half_precision_changes_the_networks_little():
    ensemble = hl.Ensemble(hl.TrainConfig(seeds=(0,), shape=(4, 6, 1)), [0], compiled=False)
    model = ensemble.model(0)
    exact, rounded = (m.generate([1e-12, 1e-4, 1.0]).weights[0] for m in (model, half_precision(model)))
    assert (exact - rounded).norm() < 5e-3 * exact.norm()


def test_interrupted_training_ends_with_the_same_numbers(finished, tmp_path, monkeypatch):
    class Interrupted(Exception):
        pass

    def advance(self, steps, advance=hl.Ensemble.advance):
        if self.step >= 20:
            raise Interrupted
        advance(self, steps)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(hl.Ensemble, "advance", advance)
        train(TINY, folder, checkpoint_steps=15, **QUIET)
    assert Group(TINY, [0, 1], folder, False, "cpu").ensemble.step == 15
    same_numbers(train(TINY, folder, checkpoint_steps=15, **QUIET), finished)


KILLED = """
import torch
import hyperlib as hl
from hyperlib.experiment import train
if __name__ == "__main__":
    torch.set_num_threads(1)
    config = hl.TrainConfig(seeds=(0, 1), steps=40, shape=(2, 3, 1), batch=8, snapshots=3)
    train(config, {out!r}, workers=0, compiled=False, progress=False, checkpoint_steps=5)
"""


def test_kill_minus_nine_loses_at_most_the_steps_since_the_last_checkpoint(finished, tmp_path):
    out = tmp_path / "run"
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(KILLED.format(out=str(out))))
    process = subprocess.Popen([sys.executable, str(script)], cwd=Path(hl.__file__).parent.parent)
    parts = out / "parts" / "0-1" / "parts.json"
    deadline = time.monotonic() + 600
    while not parts.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if parts.exists():  # else it finished between two looks, which is no failure of the library
        checkpoint = parts.parent / files.Parts(parts.parent).facts["checkpoint"]
        assert int(load_file(checkpoint)["state.step"]) % 5 == 0
        with pytest.raises(RunError, match=r"manifest.json is missing; expected a finished run"):
            load_run(out)
    resumed = train(TINY, out, checkpoint_steps=5, **QUIET)
    same_numbers(resumed, finished)
    assert not list(out.glob("**/.*.tmp"))


def test_a_full_disk_leaves_the_old_file_and_no_part_of_a_new_one(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    write_tensors(path, {"a": torch.ones(3)})

    def full(tensors, file):
        Path(file).write_bytes(b"half a fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        write_tensors(path, {"a": torch.zeros(3)})
    assert torch.equal(load_file(path)["a"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_full_disk_during_training_resumes_to_the_same_numbers(finished, tmp_path, monkeypatch):
    calls, real = [], files.save_file

    def sometimes_full(tensors, file):
        calls.append(file)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(tensors, file)

    monkeypatch.setattr(files, "save_file", sometimes_full)
    with pytest.raises(RunError, match="No space left on device; the same command goes on"):
        train(TINY, tmp_path / "run", checkpoint_steps=15, **QUIET)
    same_numbers(train(TINY, tmp_path / "run", checkpoint_steps=15, **QUIET), finished)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="dask's nanny restarts workers on POSIX systems")
def test_a_lost_worker_does_not_lose_the_run(finished, tmp_path, monkeypatch):
    """The first worker to reach step 20 kills itself; the scheduler gives its group to another."""
    preload = tmp_path / "deadly.py"
    preload.write_text(
        textwrap.dedent(f"""
    import os, pathlib, signal
    from hyperlib import experiment

    marker = pathlib.Path({str(tmp_path / "killed")!r})

    def deadly(self, step, measure=experiment.Group.measure):
        if step >= 6 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        measure(self, step)

    experiment.Group.measure = deadly
    """)
    )
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", str(preload))
    run = train(TINY, tmp_path / "run", workers=1, ensemble=2, compiled=False, progress=False)
    assert (tmp_path / "killed").exists()
    same_numbers(run, finished)


def test_a_task_of_ones_own_reaches_the_workers(tmp_path):
    task = hl.Task("l1", "first input", lambda x: x[..., :1])  # not the one that the worker knows under this name
    config = dataclasses.replace(TINY, task=task)
    run = train(config, tmp_path / "run", **QUIET | {"workers": 1})
    assert run.config.task == task != hl.get_task("l1") and len(run.sweep) == 2 * len(run.steps) * 30
    apart = hl.load_run(run.path)
    with pytest.raises(RunError, match="a function that is not known here; give it to the run"):
        _ = apart.task
    assert apart.config.task.title == "first input"
    with pytest.raises(RunError, match="another task is given as 'l1'"):
        hl.load_run(run.path, task=hl.get_task("l1"))
    table, _ = hl.sweep(hl.load_run(run.path, task=task).model(0), task, betas=run.betas)
    here, _ = hl.sweep(run.model(0), "l1", betas=run.betas)
    rows = run.final[run.final["seed"] == 0]["loss"].to_numpy()
    assert abs(table["loss"].to_numpy() - rows).max() < 1e-6 < abs(here["loss"].to_numpy() - rows).max()
    with pytest.raises(RunError, match="was started with another task"):
        train(TINY, run.path, **QUIET)


def test_a_diverging_seed_is_reported_and_the_others_finish(tmp_path, monkeypatch, finished):
    advance = hl.Ensemble.advance

    def poisoned(self, steps):
        if self.step == 20:
            self.state["map"][1, 0, 0] = math.nan
        advance(self, steps)

    monkeypatch.setattr(hl.Ensemble, "advance", poisoned)
    run = train(TINY, tmp_path / "run", checkpoint_steps=20, **QUIET)
    assert run.seeds == [0] and run.failed == {1: {"step": 21, "reason": "loss or gradient is not finite"}}
    assert set(run.final["seed"]) == {0}
    expected = finished.final[finished.final["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(run.final, expected, check_exact=True)
    with pytest.raises(KeyError, match="seed 1 failed at step 21"):
        run.model(1)


def test_a_dead_output_is_a_failure(tmp_path, monkeypatch):
    initial = experiment.Ensemble.__init__

    def dead(self, *args, **kwargs):
        initial(self, *args, **kwargs)
        self.state["map"][0] = 0

    monkeypatch.setattr(experiment.Ensemble, "__init__", dead)
    config = hl.TrainConfig(seeds=(0, 1), steps=4, shape=(2, 3, 1), batch=8, snapshots=2, learning_rate=1e-12)
    run = train(config, tmp_path / "run", **QUIET)
    assert run.seeds == [1] and "dead" in run.failed[0]["reason"] and run.failed[0]["step"] == 1


def test_no_run_is_written_when_every_seed_diverges(tmp_path, monkeypatch):
    initial = experiment.Ensemble.__init__

    def broken(self, *args, **kwargs):
        initial(self, *args, **kwargs)
        self.state["map"].fill_(math.nan)

    monkeypatch.setattr(experiment.Ensemble, "__init__", broken)
    with pytest.raises(RunError, match=r"every seed .* diverged"):
        train(TINY, tmp_path / "run", **QUIET)
    with pytest.raises(RunError, match=r"manifest\.json is missing"):
        load_run(tmp_path / "run")


def test_training_again_returns_the_finished_run_and_refuses_another_configuration(finished):
    assert train(TINY, finished.path, **QUIET).short_hash == finished.short_hash
    other = hl.TrainConfig.from_dict(TINY.to_dict() | {"steps": 41})
    with pytest.raises(RunError, match="was started with another steps"):
        train(other, finished.path, **QUIET)


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(RunError, match="not empty and is not a run folder"):
        train(TINY, tmp_path, **QUIET)


def copy_of(run: hl.Run, folder: Path) -> Path:
    folder.mkdir()
    for path in run.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("name", FILES)
def test_damaged_or_missing_files_are_named(finished, tmp_path, name):
    folder = copy_of(finished, tmp_path / "run")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name} is damaged: its SHA-256 differs"):
        load_run(folder)
    (folder / name).unlink()
    with pytest.raises(RunError, match=f"{name} is missing"):
        load_run(folder)


def test_foreign_folders_are_refused(finished, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run folder at .*make one with"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"manifest\.json is missing"):
        load_run(tmp_path)
    folder = copy_of(finished, tmp_path / "run")
    manifest = json.loads((folder / "manifest.json").read_text())
    files.write_signed(folder / "manifest.json", manifest | {"format": 99})
    with pytest.raises(RunError, match=r"has run format 99; this version of hyperlib reads 1"):
        load_run(folder)
    (folder / "manifest.json").write_text("{broken")
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        load_run(folder)
    with pytest.raises(KeyError, match="has no seed 7"):
        finished.model(7)


def test_relative_paths_are_found_from_a_folder_below(finished, monkeypatch):
    below = finished.path.parent / "notebooks"
    below.mkdir(exist_ok=True)
    monkeypatch.chdir(below)
    assert load_run(finished.path.name).path.samefile(finished.path)


def test_write_atomic_survives_an_error_inside_the_writer(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")

    def failing(file):
        file.write_text("new, unfinished")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_atomic(path, failing)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_groups_fill_the_workers_evenly():
    groups = group_seeds(range(33), 4, 2)
    assert sorted(seed for group in groups for seed in group) == list(range(33))
    assert len(groups) == 10 and {len(group) for group in groups} == {3, 4}
    assert group_seeds([5], 4, 8) == [[5]]
    with pytest.raises(ValueError, match="ensemble is 0"):
        train(TINY, "nowhere", ensemble=0, **QUIET)


def test_replay_counts_the_numbers_that_are_the_same(finished):
    numbers = len(finished.sweep) // len(finished.seeds)
    assert (compare(finished.sweep, finished.sweep)["same"] == numbers).all()
    late = finished.sweep["step"] == finished.steps[-1]
    changed = finished.sweep.assign(loss=finished.sweep["loss"].where(~late, 3.0))
    table = compare(finished.sweep, changed).set_index(["seed", "quantity"])
    assert table.loc[(0, "loss"), "until"] == finished.steps[-2] and 0 < table.loc[(0, "loss"), "same"] < numbers
    assert table.loc[(0, "kl"), "until"] == finished.steps[-1]


def test_replay_on_this_machine_is_bit_for_bit(finished):
    threads = torch.get_num_threads()
    table = replay(finished, [1], steps=10, compiled=False)
    assert torch.get_num_threads() == threads
    assert (table["same"] == table["numbers"]).all() and set(table["seed"]) == {1} and len(table) == len(QUANTITIES)
    with pytest.raises(RunError, match="no snapshot up to step 0"):
        replay(finished, [1], steps=0)


def test_a_run_can_start_from_another_and_train_on_several_sizes(tmp_path):
    """Seeds that the other run has go on from it; the others are drawn."""
    settings = {"shape": (3, 6, 1), "batch": 16, "snapshots": 1}
    first = train(hl.TrainConfig(seeds=(1, 2), steps=30, **settings), tmp_path / "a", **QUIET)
    config = hl.TrainConfig(
        seeds=(2, 5),
        steps=1,
        learning_rate=1e-9,
        sizes=((2, 4, 1), (4, 9, 1)),
        start=str(first.path),
        architecture=hl.Architecture(reference_width=6),
        **settings,
    )
    second = train(config, tmp_path / "b", **QUIET)
    fresh = hl.Ensemble(config, [5], compiled=False).parameters(5)
    for name, tensor in second.model(2).parameters.items():
        torch.testing.assert_close(tensor, first.model(2).parameters[name], rtol=2e-3, atol=1e-5)
        torch.testing.assert_close(second.model(5).parameters[name], fresh[name], rtol=2e-3, atol=1e-3)
    net = second.model(2).generate(1e-6, (5, 12, 1))
    raw = first.model(2).generate(1e-6, (5, 12, 1))
    torch.testing.assert_close(net.weights[1], raw.weights[1] / 2, rtol=1e-2, atol=1e-4)
    other = hl.TrainConfig(seeds=(2,), steps=1, start=str(first.path), **settings | {"shape": (3, 7, 1)})
    with pytest.raises(RunError, match="cannot start this run: its map has shape"):
        train(other, tmp_path / "c", **QUIET)


def test_what_a_run_starts_from_is_in_it_by_content(tmp_path, monkeypatch):
    """A relative path means what it means where the command is given, and a start that has changed is refused."""
    settings = {"shape": (3, 6, 1), "batch": 16, "snapshots": 1}
    train(hl.TrainConfig(seeds=(1,), steps=3, **settings), tmp_path / "here" / "a", **QUIET)
    monkeypatch.chdir(tmp_path / "here")
    config = hl.TrainConfig(seeds=(1,), steps=2, start="a", **settings)
    run = train(config, tmp_path / "b", **QUIET | {"workers": 1})  # the worker has another working directory
    assert run.config.start == "a" and len(run.config.start_sha256) == 64
    assert not (run.path / "parts").exists()
    shutil.rmtree("a")
    train(hl.TrainConfig(seeds=(1,), steps=4, **settings), "a", **QUIET)
    with pytest.raises(RunError, match="was started with another start_sha256"):
        train(config, tmp_path / "b", **QUIET)
    shutil.rmtree("a")
    with pytest.raises(RunError, match="start is 'a'"):
        train(config, tmp_path / "c", **QUIET)
    assert not (tmp_path / "c").exists()


def test_a_released_seed_regenerates_its_stored_networks_and_their_kl():
    """A change of the library does not change the released numbers: generation seed 0, all betas of the sweep."""
    run = load_run(Path(__file__).parents[1] / "results" / "l1", verify=False)
    seed = run.modelled[0]
    stored, made = run.networks(seed), run.model(seed).generate(run.betas, generator=0)
    for old, new in zip(
        [*stored.weights, *stored.biases, stored.kl], [*made.weights, *made.biases, made.kl], strict=True
    ):
        assert (old - new).norm() <= 1e-3 * old.norm() + 1e-3  # stored in half precision
