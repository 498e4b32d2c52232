"""Runs trained in portions and joined: the joined run has what its parts have, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import hyperlib as hl
import join as joining
from hyperlib.files import sha256, write_signed, write_table
from hyperlib.runs import MODELS, SNAPSHOTS, keep_models
from join import join_runs

SEEDS = {"a": (3, 1), "b": (7,), "c": (5, 4)}
TINY = hl.TrainConfig(seeds=(0,), steps=6, shape=(2, 3, 1), batch=8, snapshots=2)
QUIET = {"workers": 0, "compiled": False, "progress": False}
pytestmark = pytest.mark.usefixtures("light")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> dict[str, Path]:
    """Folders with the same configuration but for the seeds; each was started by a command of its own."""
    folder = tmp_path_factory.mktemp("portions")
    return {
        name: hl.train(dataclasses.replace(TINY, seeds=seeds), folder / name, command=f"train {name}", **QUIET).path
        for name, seeds in SEEDS.items()
    }


@pytest.fixture
def parts(finished, tmp_path) -> dict[str, Path]:
    return {name: Path(shutil.copytree(path, tmp_path / name)) for name, path in finished.items()}


def change(folder: Path, **changes: object) -> Path:
    """Change entries of the manifest, list all files of the folder anew, and sign."""
    path = folder / "manifest.json"
    names = [file.name for file in folder.iterdir() if file != path]
    entries = {name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    write_signed(path, json.loads(path.read_text()) | {"files": entries} | changes)
    return folder


def rows(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    return table[table["seed"] == seed].reset_index(drop=True)


def same(run: hl.Run, part: hl.Run) -> None:
    """What the joined run has of a part's seeds is what the part has, bit for bit."""
    for seed in part.seeds:
        for table in ("sweep", "final", "curves"):
            mine, theirs = (rows(getattr(one, table), seed) for one in (run, part))
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        mine, theirs = run.networks(seed), part.networks(seed)
        pairs = [*zip([*mine.weights, *mine.biases], [*theirs.weights, *theirs.biases], strict=True)]
        assert all(torch.equal(one, other) for one, other in [*pairs, (mine.kl, theirs.kl)])
        assert (seed in run.modelled) == (seed in part.modelled)
        if seed in part.modelled:
            assert run.stored_steps(seed) == part.stored_steps(seed)
            for step in part.stored_steps(seed):
                found = run.model(seed, step).parameters
                assert all(torch.equal(found[key], t) for key, t in part.model(seed, step).parameters.items())


def test_a_joined_run_has_what_its_parts_have(parts, tmp_path):
    (tmp_path / "all").mkdir()
    run = join_runs([parts["a"], parts["b"], parts["c"]], tmp_path / "all")
    assert run.path == tmp_path / "all" and run.seeds == [3, 1, 7, 5, 4] and run.failed == {}
    assert run.config == dataclasses.replace(TINY, seeds=(3, 1, 7, 5, 4))
    loaded = {name: hl.load_run(path) for name, path in parts.items()}
    for part in loaded.values():
        same(run, part)
    assert len(run.sweep) == sum(len(part.sweep) for part in loaded.values())
    assert run.steps == TINY.snapshot_steps() and run.network_betas == run.betas == list(hl.BETAS[::10])
    manifest = run.manifest
    assert manifest["command"] == "train a && train b && train c" and manifest["groups"] == [[3, 1], [7], [5, 4]]
    assert manifest["wall_s"] == pytest.approx(sum(part.manifest["wall_s"] for part in loaded.values()), abs=0.2)
    for key in ("hardware", "versions", "format"):
        assert manifest[key] == loaded["a"].manifest[key]
    assert {path.name for path in tmp_path.iterdir()} == {*SEEDS, "all"}  # nothing was left behind


def test_a_joined_run_goes_on_like_one_trained_at_once(parts, tmp_path):
    """The same configuration finds it finished."""
    run = join_runs([parts["a"], parts["b"]], tmp_path / "all")
    assert hl.train(run.config, run.path, **QUIET).short_hash == run.short_hash


def test_compact_and_full_runs_join_and_compacting_again_changes_nothing(parts, tmp_path):
    small = keep_models(parts["a"], [3], compact=True)
    run = join_runs([parts["a"], parts["b"]], tmp_path / "all")
    same(run, small)
    same(run, hl.load_run(parts["b"]))
    assert run.modelled == [3, 7]
    assert pd.read_parquet(run.path / "sweep.parquet")["loss"].dtype == "float64"
    again = keep_models(run.path, [3], compact=True)
    same(again, small)
    assert pd.read_parquet(run.path / "sweep.parquet")["loss"].dtype == "float32"


def test_thinned_runs_join_at_their_betas(parts, tmp_path):
    betas = list(hl.BETAS[:20:10])
    thin = keep_models(parts["a"], [1], betas=betas)
    for order in (["a", "b"], ["b", "a"]):
        with pytest.raises(hl.RunError, match=r"networks of [23] betas, .* of [23], .*keep_models\(\.\.\., betas="):
            join_runs([parts[name] for name in order], tmp_path / "all")
    other = keep_models(parts["b"], [7], betas=betas)
    run = join_runs([parts["a"], parts["b"]], tmp_path / "all")
    assert run.network_betas == betas
    same(run, thin)
    same(run, other)


def test_snapshots_and_failed_seeds_are_joined(parts, tmp_path):
    early = {key.replace("3.", "3.2.", 1): t for key, t in load_file(parts["a"] / MODELS).items() if key[0] == "3"}
    save_file(early, parts["a"] / SNAPSHOTS)
    failure = {"step": 5, "reason": "loss or gradient is not finite"}
    change(parts["a"])
    change(parts["c"], failed={"4": failure})
    run = join_runs([parts["c"], parts["a"]], tmp_path / "all")
    assert run.failed == {4: failure} and run.seeds == [5, 3, 1]
    assert run.stored_steps(3) == [2, 6] and run.stored_steps(5) == [6]
    for name in ("c", "a"):
        same(run, hl.load_run(parts[name]))
    assert SNAPSHOTS not in join_runs([parts["b"], parts["c"]], tmp_path / "none").manifest["files"]


def test_both_machines_are_named(parts, tmp_path):
    manifest = hl.load_run(parts["b"]).manifest
    change(parts["b"], hardware=manifest["hardware"] | {"processor": "abacus", "accelerator": "beads"})
    run = join_runs([parts["a"], parts["b"], parts["c"]], tmp_path / "all")
    first = manifest["hardware"]
    assert run.manifest["hardware"] == first | {"processor": f"{first['processor']}; abacus", "accelerator": "beads"}


def test_odd_arguments_are_refused(parts, tmp_path):
    for few in ([], [parts["a"]]):
        with pytest.raises(ValueError, match=r"folders is \[.*\]; expected two run folders or more"):
            join_runs(few, tmp_path / "all")
    with pytest.raises(hl.RunError, match=r"seed 3 is in .*a and in .*a; expected every seed in one folder"):
        join_runs([parts["a"], parts["b"], parts["a"]], tmp_path / "all")
    with pytest.raises(FileNotFoundError, match="no run folder"):
        join_runs([parts["a"], tmp_path / "nowhere"], tmp_path / "all")
    (tmp_path / "file").touch()
    for taken in ("file", "c"):
        with pytest.raises(hl.RunError, match=rf"{taken} is there already; expected a new or an empty folder"):
            join_runs([parts["a"], parts["b"]], tmp_path / taken)
    (parts["b"] / "manifest.json").unlink()
    with pytest.raises(hl.RunError, match=r"manifest\.json is missing"):
        join_runs([parts["a"], parts["b"]], tmp_path / "all")
    assert not (tmp_path / "all").exists()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("learning_rate", 0.5, r"b has learning_rate 0\.5, .*a has 0\.00\d+; expected the same"),
        ("sizes", [[4, 6, 1]], r"b has sizes \(\(4, 6, 1\),\), .*a has \(\)"),
        ("architecture", {"hyperdepth": 2}, r"b has hyperdepth 2, .*a has 4"),
    ],
)
def test_another_configuration_is_refused_by_name(parts, tmp_path, key, value, said):
    path = parts["b"] / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {key: values[key] | value if isinstance(value, dict) else value}))
    with pytest.raises(hl.RunError, match=said):
        join_runs([parts["a"], change(parts["b"])], tmp_path / "all")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table[table["step"] == table["step"].max()], r"steps of the sweep \[6\], .* has \[\d, 6\]"),
        (lambda table: table.assign(beta=2 * table["beta"]), r"betas of the sweep \[2e-12, .* has \[1e-12, "),
        (lambda table: table.assign(more=1), r"columns of the sweep .*'more'"),
    ],
)
def test_other_measurements_are_refused(parts, tmp_path, spoil, said):
    path = parts["b"] / "sweep.parquet"
    write_table(path, spoil(pd.read_parquet(path)))
    with pytest.raises(hl.RunError, match=said):
        join_runs([parts["a"], change(parts["b"])], tmp_path / "all")


def test_another_version_of_pytorch_is_refused(parts, tmp_path):
    change(parts["b"], versions={"torch": "0.1"})
    with pytest.raises(hl.RunError, match=r"b has PyTorch '0\.1', .*a has "):
        join_runs([parts["a"], parts["b"]], tmp_path / "all")


def test_another_function_of_the_same_name_is_refused(tmp_path):
    """Also where this process knows neither."""
    paths = []
    for seed, power in enumerate((3, 5, 3)):
        task = hl.Task("powers", "sum of powers", lambda x, power=power: x.pow(power).sum(-1, keepdim=True))
        config = dataclasses.replace(TINY, seeds=(seed,), task=task)
        paths.append(hl.train(config, tmp_path / str(seed), **QUIET).path)
    with pytest.raises(hl.RunError, match=r"1 was trained on another task than .*0"):
        join_runs(paths[:2], tmp_path / "all")
    assert join_runs([paths[0], paths[2]], tmp_path / "all").config.task.name == "powers"


def test_what_a_kill_left_is_removed(parts, tmp_path):
    (tmp_path / ".all.tmp").mkdir()
    (tmp_path / ".all.tmp" / "config.json").touch()
    join_runs([parts["a"], parts["b"]], tmp_path / "all")
    assert {path.name for path in tmp_path.iterdir()} == {*SEEDS, "all"}


@pytest.mark.parametrize("writer", ["write_json", "write_table", "write_tensors", "write_signed"])
def test_a_full_disk_leaves_nothing(parts, tmp_path, monkeypatch, writer):
    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(joining.files, writer, full)
        join_runs([parts["a"], parts["b"]], tmp_path / "all")
    assert {path.name for path in tmp_path.iterdir()} == set(SEEDS)
    assert join_runs([parts["a"], parts["b"]], tmp_path / "all").seeds == [3, 1, 7]
