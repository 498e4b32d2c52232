"""Tables of examples: what `Task.from_data` promises, and trainings on them from end to end."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

import hyperlib as hl
from hyperlib.experiment import train
from hyperlib.files import RunError
from hyperlib.sweeps import sweep

QUIET = {"compiled": False, "progress": False}
ROWS = 60


def numbers(rows: int = ROWS, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


X = numbers()
Y = 5 + 2 * X[:, 0] - X[:, 1] ** 2


# --- what it takes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, pd.DataFrame, lambda X: X.astype(np.float32)])
def test_arrays_tensors_and_tables_give_the_same_rows(convert):
    table = hl.Task.from_data(convert(X), convert(Y[:, None])).table
    torch.testing.assert_close(table.x, torch.from_numpy((X - X.mean(0)) / X.std(0)).float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(table.y[:, 0], torch.from_numpy((Y - Y.mean()) / Y.std()).float(), rtol=1e-4, atol=1e-5)
    assert table.x.dtype == table.y.dtype == torch.float32 and table.y.shape == (ROWS, 1)


def test_standardisation_is_that_of_the_rows_to_train_on_and_can_be_undone():
    task = hl.Task.from_data(100 * X + 7, np.stack([Y, 1e-6 * Y + 3], 1), held_out=0.25)
    table = task.table
    assert task.outputs == 2 and table.output_names == ("y_1", "y_2") and table.names == ("x_1", "x_2", "x_3")
    torch.testing.assert_close(table.x.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(table.y.std(0, correction=0), torch.ones(2), rtol=1e-4, atol=0)
    both = torch.cat([table.x, table.held_x]).double().numpy() * table.input_std + table.input_mean
    assert {tuple(row) for row in both.round(2)} == {tuple(row) for row in (100 * X + 7).round(2)}
    back = torch.cat([table.y, table.held_y]).double().numpy() * table.output_std + table.output_mean
    np.testing.assert_allclose(np.sort(back[:, 1]), np.sort(1e-6 * Y + 3), rtol=1e-9)


def test_one_axis_of_targets_is_one_output_with_the_name_of_the_series():
    assert hl.Task.from_data(X, Y).table.output_names == ("y",)
    assert hl.Task.from_data(X, pd.Series(Y, name="price")).table.output_names == ("price",)
    assert hl.Task.from_data(X, pd.DataFrame({"a": Y, "b": -Y})).table.output_names == ("a", "b")


def test_columns_of_a_pandas_table_keep_their_names_and_become_numbers():
    data = pd.DataFrame(
        {
            "age": np.arange(ROWS),
            "smokes": np.arange(ROWS) % 3 == 0,
            "colour": pd.Categorical(np.array(["red", "green", "blue"])[np.arange(ROWS) % 3]),
            "sex": pd.Categorical(np.array(["f", "m"])[np.arange(ROWS) // 30], categories=["f", "m", "unused"]),
            "level": pd.array(np.arange(ROWS) % 5, dtype="Int64"),
        }
    )
    table = hl.Task.from_data(data, Y).table
    assert table.names == ("age", "smokes", "colour=blue", "colour=green", "colour=red", "sex=m", "level")
    undone = table.x.numpy() * table.input_std + table.input_mean
    np.testing.assert_allclose(undone[:, 1], data["smokes"], atol=1e-6)
    np.testing.assert_allclose(undone[:, 2:5].sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(undone[:, 5], data["sex"] == "m", atol=1e-6)


@pytest.mark.parametrize(
    "y",
    [
        np.arange(ROWS) % 3,
        np.array(["a", "b", "c"])[np.arange(ROWS) % 3],
        pd.Series(pd.Categorical(np.array(["a", "b", "c"])[np.arange(ROWS) % 3])),
        pd.Series(np.array(["a", "b", "c"], dtype=object)[np.arange(ROWS) % 3]),
        pd.DataFrame({"kind": np.array(["a", "b", "c"])[np.arange(ROWS) % 3]}),
        torch.arange(ROWS) % 3,
        (np.arange(ROWS) % 3).astype(float),
    ],
)
def test_labels_of_any_kind_become_classes(y):
    task = hl.Task.from_data(X, y, loss="cross-entropy")
    assert task.outputs == 3 and torch.equal(task.table.y.argmax(1), torch.arange(ROWS) % 3)
    assert len(task.table.output_names) == 3 and bool((task.table.y.sum(1) == 1).all())
    assert float(task.errors(3)(torch.zeros(ROWS, 3), task.table.y).mean()) == pytest.approx(1, abs=1e-6)


def test_truth_is_a_label_and_whole_numbers_are_targets_of_a_regression():
    assert hl.Task.from_data(X, Y > 5, loss="cross-entropy").table.output_names == ("False", "True")
    assert hl.Task.from_data(X, np.arange(ROWS)).table.y.dtype == torch.float32


# --- rows held out ----------------------------------------------------------------------------------------------------


def test_rows_held_out_are_chosen_by_the_seed_and_of_every_class_the_same_share():
    labels = np.repeat([0, 1], [40, 20])
    tasks = [hl.Task.from_data(X, labels, "cross-entropy", held_out=0.25, seed=seed) for seed in (0, 0, 1)]
    assert tasks[0] == tasks[1] != tasks[2]
    for task in tasks:
        assert task.table.held_y.sum(0).tolist() == [10, 5] and task.table.y.sum(0).tolist() == [30, 15]
    assert len(hl.Task.from_data(X, Y).table.held_x) == 0


def test_a_step_draws_every_row_alike_and_nothing_else():
    task = hl.Task.from_data(X, Y, held_out=0.5)
    x, y = task.sample(30_000, 3, torch.Generator().manual_seed(0))
    rows = (x[:, None] == task.table.x).all(-1)
    assert bool((rows.sum(1) == 1).all())
    share = rows.double().mean(0)
    assert float(share.min()) > 0.8 / 30 and float(share.max()) < 1.2 / 30
    assert torch.equal(y, task.table.y[rows.to(torch.int8).argmax(1)])


# --- what it refuses --------------------------------------------------------------------------------------------------


def changed(value: float, row: int = 0, column: int = 1) -> np.ndarray:
    other = X.copy()
    other[row, column] = value
    return other


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (changed(np.nan), Y, {}, r"column 'x_2' of X has 1 missing value\(s\)"),
        (changed(np.inf), Y, {}, "column 'x_2' of X holds an infinite value"),
        (X, np.where(np.arange(ROWS) == 3, np.nan, Y), {}, "column 'y' of y has 1 missing value"),
        (np.where(np.arange(3) == 1, 4.0, X), Y, {}, "column 'x_2' of X is constant on the rows to train on"),
        (X, np.ones(ROWS), {}, "column 'y' of y is constant"),
        (X[:1], Y[:1], {}, r"X has 1 row\(s\), of which 1 to train on; expected at least 2"),
        (X, Y, {"held_out": 0.999}, r"expected at least 2"),
        (X, Y, {"held_out": 1}, "held_out is 1; expected a share from 0 to below 1"),
        (X, Y, {"held_out": -0.1}, "held_out is -0.1"),
        (X, Y[:-1], {}, "X has 60 rows and y 59; expected as many"),
        (X[:, 0], Y, {}, r"X has shape \(60,\); expected \(rows, columns\)"),
        (X[:, :0], Y, {}, "X has no columns"),
        (pd.DataFrame(X).astype(str), Y, {}, "column '0' of X holds .*; expected numbers. Make text categories"),
        (X.astype(str), Y, {}, "X holds <U32; expected numbers"),
        (X.astype(object), Y, {}, "X holds object; expected numbers"),
        (X, np.array(["a", "b"])[np.arange(ROWS) % 2], {}, "y holds <U1; expected numbers"),
        (X, Y, {"loss": "cross-entropy"}, "y has 60 different labels in 60 rows"),
        (X, np.zeros(ROWS), {"loss": "cross-entropy"}, "y has 1 different labels"),
        (X, X[:, :2], {"loss": "cross-entropy"}, r"y has shape \(60, 2\); expected one label per row"),
        (X, [None, "a"] * 30, {"loss": "cross-entropy"}, "y has missing labels"),
        (X, Y, {"loss": "hinge"}, "loss is 'hinge'; expected one of 'squared error', 'cross-entropy'"),
        (X, Y, {"loss": lambda out, y: (out - y).mean(-1)}, "expected finite numbers of at least 0"),
    ],
)
def test_what_cannot_be_learnt_from_is_named_in_one_line(X, y, options, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        hl.Task.from_data(X, y, **options)
    assert "\n" not in str(caught.value)


def test_missing_values_of_pandas_are_named():
    data = pd.DataFrame({"a": X[:, 0], "kind": pd.Categorical([None, *"xy" * 29, "x"])})
    with pytest.raises(ValueError, match=r"column 'kind' of X has 1 missing value"):
        hl.Task.from_data(data, Y)
    with pytest.raises(ValueError, match=r"column 'n' of X has 2 missing value"):
        hl.Task.from_data(pd.DataFrame({"n": pd.array([None, None, *range(58)], dtype="Int64")}), Y)
    with pytest.raises(ValueError, match="y has missing labels"):
        hl.Task.from_data(X, pd.Series(["a", None] * 30, dtype="category"), "cross-entropy")


def test_a_task_of_data_has_one_size():
    with pytest.raises(ValueError, match=r"n is 4; task 'data' has 3 inputs"):
        hl.TrainConfig(task=hl.Task.from_data(X, Y), shape=(4, 8, 1))
    with pytest.raises(ValueError, match=r"task 'data' has 1 output"):
        hl.TrainConfig(task=hl.Task.from_data(X, Y), shape=(3, 8, 2))
    with pytest.raises(ValueError, match="is a table; it has targets for its own rows only"):
        hl.Task.from_data(X, Y).targets(torch.zeros(2, 3))


# --- identity and runs ------------------------------------------------------------------------------------------------


def test_the_same_rows_are_the_same_task_and_others_are_not():
    task = hl.Task.from_data(X, Y)
    assert task == hl.Task.from_data(X.copy(), Y.copy()) and hash(task) == hash(hl.Task.from_data(X, Y))
    assert task.agrees(hl.Task.from_data(torch.from_numpy(X), Y).fingerprint(3))
    for other in (hl.Task.from_data(changed(0.5), Y), hl.Task.from_data(X, -Y), hl.Task.from_data(X, Y, held_out=0.1)):
        assert task != other and not task.agrees(other.fingerprint(3))
    record = task.fingerprint(3)
    assert record["rows"] == ROWS and record["names"] == ["x_1", "x_2", "x_3"] and len(record["sha256"]) == 64


@pytest.fixture(scope="module")
def runs(tmp_path_factory, light):
    """The same training on a table in this process and in two, and its task."""
    folder = tmp_path_factory.mktemp("table")
    task = hl.Task.from_data(pd.DataFrame(X, columns=["age", "weight", "dose"]), Y, held_out=0.25)
    config = hl.TrainConfig(task=task, seeds=(0, 1), steps=20, shape=(3, 4, 1), batch=16, snapshots=1)
    made = {w: train(config, folder / str(w), workers=w, ensemble=1, **QUIET) for w in (0, 2)}
    return made, task


def test_a_training_on_a_table_gives_the_same_numbers_in_one_process_and_in_two(runs):
    made, _ = runs
    pd.testing.assert_frame_equal(made[0].curves, made[2].curves, rtol=1e-3)
    for seed in (0, 1):
        one, two = (made[workers].model(seed).parameters for workers in (0, 2))
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=2e-3, atol=2e-3)
    assert made[0].final["loss_held_out"].notna().all() and "accuracy" not in made[0].final
    assert not list(made[2].path.rglob("rows.safetensors"))  # the user's rows do not stay in the run


def test_a_run_of_data_is_read_drawn_and_decoded_without_the_data(runs):
    made, task = runs
    run = hl.load_run(made[0].path)
    assert run.config.task.record and run.config.to_dict() == made[0].config.to_dict() and run.config.task == task
    assert run.config.task.record["names"] == ["age", "weight", "dose"]
    net = run.model(0).generate(1e-6)
    assert hl.layout(net, steps=10).positions and hl.decode(net).shape == (3, 4, 1)
    with pytest.raises(RunError, match=r"task 'data', a table of 45 rows that is not known here; give it to the run"):
        _ = run.task
    with pytest.raises(ValueError, match="give it to the run"):
        sweep(run.model(0), run.config.task)
    assert hl.load_run(made[0].path, task=task).task is task
    with pytest.raises(RunError, match="another task is given as 'data' than the run was trained on"):
        hl.load_run(made[0].path, task=hl.Task.from_data(X, Y))


# --- from end to end --------------------------------------------------------------------------------------------------


def best(task: hl.Task, steps: int = 150, **settings) -> float:
    """Train a seed for a few steps without a compiler; the lowest loss over prices."""
    n = task.size or 4
    config = hl.TrainConfig(
        task=task,
        steps=steps,
        shape=(n, 8, task.outputs),
        batch=64,
        learning_rate=5e-3,
        learning_rate_warmup=20,
        beta_warmup=steps // 2,
        architecture=hl.Architecture(gain=4.0, hyperdepth=2),
        **settings,
    )
    ensemble = hl.Ensemble(config, [0], compiled=False)
    ensemble.advance(steps)
    table, networks = sweep(ensemble.model(0), task, betas=hl.BETAS[::8], samples=512, generations=2)
    assert networks.activation == config.activation
    return table.set_index("loss").sort_index().iloc[0].to_dict() | {"loss": table["loss"].min()}


def test_classes_of_a_table_are_learnt():
    labels = np.where(X[:, 0] + X[:, 1] > 0, "up", "down")
    found = best(hl.Task.from_data(X, labels, "cross-entropy", held_out=0.25))
    assert found["loss"] < 0.5 and found["accuracy"] > 0.85 and 0 <= found["accuracy_held_out"] <= 1


def test_a_network_of_another_activation_is_trained_and_measured():
    task = hl.Task("sum", "sum", lambda x: x.sum(-1, keepdim=True))
    assert best(task, activation="relu")["loss"] < 0.4


def test_uniform_inputs_are_trained_on():
    task = hl.Task("uniform", "sum", lambda x: x.sum(-1, keepdim=True), inputs=hl.inputs.uniform(0, 1))
    assert best(task)["loss"] < 0.4


def test_ones_own_loss_is_what_is_minimised():
    loss = hl.losses.Loss("absolute error", lambda out, y: (out - y).abs().mean(-1))
    task = hl.Task.from_data(X, 3 * X[:, 0], loss=loss)
    assert best(task)["loss"] < 0.5 and dataclasses.replace(task) == task
