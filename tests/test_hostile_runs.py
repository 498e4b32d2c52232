"""Run folders that were tampered with and signed again: every refusal is a `RunError` that names the file."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import hyperlib as hl
from hyperlib.files import sha256, write_signed, write_table

TINY = hl.TrainConfig(seeds=(0, 1, 2), steps=6, shape=(2, 3, 1), batch=8, snapshots=2)
pytestmark = pytest.mark.usefixtures("light")
MODELS, NETWORKS = "hyperhypernetworks.safetensors", "networks.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return hl.train(TINY, out, workers=0, compiled=False, progress=False).path


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def sign(folder: Path, **changes) -> Path:
    """Write the manifest again, with checksums that fit, its own too, and with some entries changed."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name, entry in manifest["files"].items():
        entry |= {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
    write_signed(path, manifest | changes)
    return folder


def change(folder: Path, name: str, key: str, function) -> Path:
    """Change one tensor and sign."""
    tensors = load_file(folder / name)
    value = function(tensors.pop(key))
    save_file(tensors | ({} if value is None else {key: value.contiguous()}), folder / name)
    return sign(folder)


# --- tensors ---------------------------------------------------------------------------------------------------------

WRONG = {
    "too short": lambda t: t.flatten()[:1],
    "another axis": lambda t: t[None],
    "another dtype": lambda t: t.double(),
    "whole numbers": lambda t: t.to(torch.int32),
    "missing": lambda t: None,
    "not finite": lambda t: t.flatten().index_fill(0, torch.tensor([0]), math.nan).reshape(t.shape),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("name", ["weight1", "bias1", "weight2", "bias2", "map"])
def test_a_hyperhypernetwork_with_a_wrong_tensor_is_refused(folder, name, what):
    change(folder, MODELS, f"1.{name}", WRONG[what])
    with pytest.raises(hl.RunError, match=rf"{MODELS}.*1\.{name}.*expected"):
        hl.load_run(folder).model(1)


@pytest.mark.parametrize("what", [*WRONG, "fewer betas"])
@pytest.mark.parametrize("name", ["weight0", "weight1", "bias0", "bias1", "kl"])
def test_networks_with_a_wrong_tensor_are_refused(folder, name, what):
    change(folder, NETWORKS, f"1.{name}", (WRONG | {"fewer betas": lambda t: t[:2]})[what])
    with pytest.raises(hl.RunError, match=rf"{NETWORKS}.*1\.{name}.*expected"):
        hl.load_run(folder).networks(1)


@pytest.mark.parametrize(
    "betas",
    [
        torch.tensor([], dtype=torch.float64),
        torch.tensor(1e-12, dtype=torch.float64),
        torch.tensor([[1e-12]], dtype=torch.float64),
        torch.tensor([1e-12]),  # in single precision
        torch.tensor([0]),
        torch.tensor([1e-12, math.nan], dtype=torch.float64),
        torch.tensor([1e-12, 1e-12], dtype=torch.float64),
        torch.tensor([1e-12, 0.5], dtype=torch.float64),  # not of the sweep
        torch.tensor(hl.BETAS[::10][1:], dtype=torch.float64),  # without the lowest
        torch.tensor(hl.BETAS[::10][::-1], dtype=torch.float64),
    ],
)
def test_odd_betas_of_the_networks_are_refused(folder, betas):
    save_file(load_file(folder / NETWORKS) | {"betas": betas}, folder / NETWORKS)
    run = hl.load_run(sign(folder))
    for read in (lambda: run.network_betas, lambda: run.networks(1)):
        with pytest.raises(hl.RunError, match=rf"{NETWORKS}: betas is .*; expected torch\.float64"):
            read()


def test_networks_of_other_betas_than_the_file_says_are_refused(folder):
    save_file(load_file(folder / NETWORKS) | {"betas": torch.tensor([1e-12], dtype=torch.float64)}, folder / NETWORKS)
    with pytest.raises(hl.RunError, match=rf"{NETWORKS}: 1\.weight0 is .*expected finite torch.float32 \[1, 2, 3\]"):
        hl.load_run(sign(folder)).networks(1)


def test_yes_is_no_seed(finished):
    with pytest.raises(KeyError, match="has no seed True"):
        hl.load_run(finished).model(True)


def test_other_seeds_of_such_a_run_are_read(folder):
    change(folder, NETWORKS, "1.bias1", lambda t: t * math.nan)
    assert hl.load_run(folder).networks(0).batch_shape == (3,)


def test_what_training_writes_passes_these_checks(finished):
    run = hl.load_run(finished)
    for seed in run.seeds:
        run.model(seed), run.networks(seed)


@pytest.mark.parametrize("name", [MODELS, NETWORKS])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"\xff" * 64, b'\x10\x00\x00\x00\x00\x00\x00\x00{"a": 1        }']
)
def test_a_file_that_is_no_safetensors_is_refused(folder, name, content):
    (folder / name).write_bytes(content)
    sign(folder)
    with pytest.raises(hl.RunError, match=f"{name} is damaged"):
        run = hl.load_run(folder)
        _ = run.model(1) if name == MODELS else run.networks(1)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["sweep", "curves"])
def test_a_file_that_is_no_table_is_refused(folder, table):
    (folder / f"{table}.parquet").write_bytes(b"PAR1 not a table PAR1")
    sign(folder)
    with pytest.raises(hl.RunError, match=rf"{table}\.parquet is damaged"):
        getattr(hl.load_run(folder), table)


@pytest.mark.parametrize(("table", "column"), [("sweep", "alpha_1"), ("sweep", "seed"), ("curves", "loss")])
def test_a_table_that_lacks_a_column_is_refused(folder, table, column):
    path = folder / f"{table}.parquet"
    write_table(path, pd.read_parquet(path).drop(columns=column))
    sign(folder)
    with pytest.raises(hl.RunError, match=rf"{table}\.parquet .*{column}"):
        getattr(hl.load_run(folder), table)


ODD_ROWS = {
    "a row is missing": lambda t: t.iloc[1:],
    "a row is there twice": lambda t: pd.concat([t, t.iloc[:1]]),
    "a seed is missing": lambda t: t[t["seed"] != 1],
    "a seed stands for another": lambda t: t.assign(seed=t["seed"].replace(1, 0)),
    "no rows": lambda t: t.iloc[:0],
    "text": lambda t: t.assign(loss=t["loss"].map(str)),
    "text for seeds": lambda t: t.assign(seed=t["seed"].map(str)),
    "yes or no": lambda t: t.assign(kl=t["kl"] > 0),
    "not a number": lambda t: t.assign(loss=t["loss"].where(t.index != 1, math.nan)),
    "infinite": lambda t: t.assign(kl=t["kl"].where(t.index != 1, math.inf)),
    "negative": lambda t: t.assign(loss=-t["loss"]),
    "a step beyond the end": lambda t: t.assign(step=t["step"] + 1),
    "a step before the start": lambda t: t.assign(step=t["step"] - 6),
    "the last step is missing": lambda t: t[t["step"] < t["step"].max()],
}


@pytest.mark.parametrize("how", ODD_ROWS)
@pytest.mark.parametrize("table", ["sweep", "curves"])
def test_a_table_with_other_rows_than_a_training_leaves_is_refused(folder, table, how):
    path = folder / f"{table}.parquet"
    write_table(path, ODD_ROWS[how](pd.read_parquet(path)))
    with pytest.raises(hl.RunError, match=rf"{table}\.parquet.* expected ") as told:
        getattr(hl.load_run(sign(folder)), table)
    assert "\n" not in str(told.value)


def test_a_negative_beta_is_refused(folder):
    path = folder / "sweep.parquet"
    write_table(path, pd.read_parquet(path).assign(beta=lambda t: -t["beta"]))
    with pytest.raises(hl.RunError, match=r"sweep\.parquet: beta is -.*; expected finite numbers, 0 or more"):
        _ = hl.load_run(sign(folder)).sweep


# --- manifest and configuration --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failed", [[], {"x": {}}, {"1": 3}, {"1": {}}, {"9": {"step": 1, "reason": "?"}}, None, "1"])
def test_odd_failed_seeds_are_refused(folder, failed):
    with pytest.raises(hl.RunError, match=r"manifest\.json.*failed"):
        hl.load_run(sign(folder, failed=failed))


@pytest.mark.parametrize("files", [[], None, "all", {}, {"config.json": 1}, {"config.json": {"sha256": 3}}])
def test_odd_lists_of_files_are_refused(folder, files):
    with pytest.raises(hl.RunError, match=r"manifest\.json.*config\.json"):
        hl.load_run(sign(folder, files=files))


@pytest.mark.parametrize("content", ["[]", "3", "null", '"a"', "{", "", '{"format": {}}', '{"format": "1"}', "\x00"])
def test_odd_manifests_are_refused(folder, content):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(hl.RunError, match=r"manifest\.json|run format"):
        hl.load_run(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": "many"},
        {"seeds": None},
        {"seeds": 3},
        {"shape": [2]},
        {"shape": "2-3-1"},
        {"architecture": []},
        {"architecture": {"hyperdepth": "deep"}},
        {"architecture": {"periods": None}},
        {"architecture": None},
        {"nonsense": 1},
        {"task": 5},
        {"learning_rate": None},
    ],
)
def test_odd_configurations_are_refused(folder, changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(hl.RunError, match=r"config\.json"):
        hl.load_run(sign(folder))


@pytest.mark.parametrize(
    ("old", "new"), [('"failed"', '"fbiled"'), ('"sha256": "', '"sha257": "'), ('"wall_s": ', '"wall_s": 1')]
)
def test_a_changed_manifest_is_refused(folder, old, new):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(hl.RunError, match=r"manifest\.json is damaged"):
        hl.load_run(folder)


def test_a_folder_instead_of_a_file_is_refused(folder):
    for name in (*json.loads((folder / "manifest.json").read_text())["files"], "manifest.json"):
        path = folder / name
        content = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises(hl.RunError, match=name):
            hl.load_run(folder)
        path.rmdir()
        path.write_bytes(content)
    assert hl.load_run(folder).seeds == [0, 1, 2]


# --- failed seeds ----------------------------------------------------------------------------------------------------


def test_tables_of_a_run_hold_only_seeds_that_finished(folder):
    """A seed that fails late has rows of earlier steps on disk; the run's tables are about the living."""
    sign(folder, failed={"1": {"step": 5, "reason": "loss or gradient is not finite"}})
    run = hl.load_run(folder)
    assert run.seeds == [0, 2] and set(pd.read_parquet(folder / "sweep.parquet")["seed"]) == {0, 1, 2}
    for table in (run.sweep, run.final, run.curves):
        assert sorted(table["seed"].unique()) == [0, 2]
        assert list(table.index) == list(range(len(table)))


# --- tasks -----------------------------------------------------------------------------------------------------------


def cubes(function=lambda x: x.pow(3).sum(-1, keepdim=True)) -> hl.Task:
    return hl.Task("cubes", "sum of cubes", function)


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A run of a task that this process does not know."""
    config = dataclasses.replace(TINY, task=cubes())
    return hl.train(config, tmp_path / "foreign", workers=0, compiled=False, progress=False).path


def test_loading_generating_drawing_and_classifying_need_no_task(foreign):
    run = hl.load_run(foreign)
    assert run.config.task.name == "cubes" and run.config.task.title == "sum of cubes" and len(run.final) == 3 * 3
    net = run.model(0).generate(1e-6)
    assert hl.classify(net) in hl.PHASES
    assert hl.layout(net, steps=20).shape == (2, 3, 1)
    assert hl.classify(run.networks(1)).shape == (3,)


def test_what_needs_the_task_says_how_to_give_it(foreign):
    run = hl.load_run(foreign)
    with pytest.raises(hl.RunError, match=r"task 'cubes', a function that is not known.*task=.*--task module:name"):
        _ = run.task
    with pytest.raises(ValueError, match=r"task 'cubes', a function that is not known.*task="):
        hl.sweep(run.model(0), run.config.task)
    with pytest.raises(ValueError, match="expected a Task or the name of one"):
        hl.TrainConfig(task="cubes")


def test_a_run_takes_the_task_that_it_was_trained_on(foreign):
    run = hl.load_run(foreign, task=cubes(lambda x: (x * x * x).sum(-1, keepdim=True)))
    table, _ = hl.sweep(run.model(0), run.task, run.betas, samples=32, generations=2)
    expected = run.final[run.final["seed"] == 0]["loss"].to_numpy()
    assert table["loss"].to_numpy() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        lambda x: x.abs().sum(-1, keepdim=True),
        lambda x: (x.pow(3) + 1e-2 * x).sum(-1, keepdim=True),
        lambda x: -x.pow(3).sum(-1, keepdim=True),
    ],
)
def test_another_function_under_the_name_is_refused(foreign, other):
    with pytest.raises(hl.RunError, match="another task is given as 'cubes'"):
        hl.load_run(foreign, task=cubes(other))


@pytest.mark.parametrize("record", [{}, {"n": 3}, {"n": 2**34}, {"n": 2.0}, {"n": True}, {"n": "2"}, {"n": None},
    {"targets": None}, {"targets": ["a"] * 16}, {"outputs": None}])  # fmt: skip
def test_odd_records_of_a_task_are_refused(folder, record):
    values = json.loads((folder / "config.json").read_text())
    values["task"] = values["task"] | record if record else {"name": "l1"}
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(hl.RunError, match=r"config\.json is no configuration") as told:
        hl.load_run(sign(folder))
    assert "\n" not in str(told.value)


def test_training_goes_on_only_with_the_function_that_it_began_with(tmp_path, monkeypatch):
    def stopped(*arguments, **named):
        raise KeyboardInterrupt

    config = dataclasses.replace(TINY, task=cubes())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(hl.Ensemble, "advance", stopped)
        hl.train(config, tmp_path / "run", workers=0, compiled=False, progress=False)
    config = dataclasses.replace(TINY, task=cubes(lambda x: x.abs().sum(-1, keepdim=True)))
    with pytest.raises(hl.RunError, match="was started with another task"):
        hl.train(config, tmp_path / "run", workers=0, compiled=False, progress=False)


def test_the_released_runs_know_their_tasks():
    for manifest in sorted((Path(__file__).parents[1] / "results" / "tasks").glob("*/manifest.json")):
        run = hl.load_run(manifest.parent)
        assert run.task is hl.TASKS[run.task.name] and run.config.task.title == run.task.title
