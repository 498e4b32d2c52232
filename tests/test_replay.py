"""How far trainings of one seed part, the tolerances of a replay, and what the book says about both."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch

import hyperlib as hl
from hyperbook.figures.seeds import VARIANTS, drift_curves
from hyperbook.studies import replay
from hyperlib.experiment import train

TINY = hl.TrainConfig(seeds=(0, 1), steps=20, shape=(2, 3, 1), batch=8, snapshots=3)
ROOT = Path(__file__).parents[1]
TOLD = ["released", "side by side", "eager", "two threads"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> hl.Run:
    with replay.one_thread(True):
        return train(TINY, tmp_path_factory.mktemp("runs") / "tiny", workers=0, compiled=False, progress=False)


@pytest.fixture(scope="module")
def table(run) -> pd.DataFrame:
    """The drift of a tiny run; uncompiled throughout, which the tests below allow for."""
    with pytest.MonkeyPatch.context() as patch:
        follow = replay.follow
        patch.setattr(replay, "follow", lambda config, seeds, steps, compiled=True: follow(config, seeds, steps, False))
        threads = torch.get_num_threads()
        found = replay.drift(run, [0, 1], steps=10)
        assert torch.get_num_threads() == threads
    return found


def test_drift_follows_every_variant(table, run):
    assert table["variant"].drop_duplicates().tolist() == TOLD == list(VARIANTS)
    steps = {name: sorted(part["step"].unique().tolist()) for name, part in table.groupby("variant")}
    assert steps["released"] == run.steps
    assert steps["eager"] == steps["side by side"] == steps["two threads"] == [1, 10]
    assert set(table["quantity"]) == {*replay.TOLERANCES, "phase", "parameters"}
    assert (table["median"] <= table["largest"]).all() and (table["median"] >= 0).all()


def test_the_same_operations_do_not_drift(table):
    """Uncompiled, alone and on one thread again is the reference itself: not a bit of difference."""
    assert (table.loc[table["variant"] == "eager", "largest"] == 0).all()


def test_rounding_stays_small_for_a_few_steps(table):
    """Side by side the products are batched otherwise; after a few steps that is still rounding."""
    assert table.loc[table["quantity"] == "parameters", "largest"].max() < 1e-4


def test_another_training_is_apart(run):
    """`apart` sees a training that differs in more than its rounding."""
    one = run.sweep[run.sweep["seed"] == 0]
    other = run.sweep[run.sweep["seed"] == 1].assign(seed=0)
    far = replay.apart("x", one, other).set_index(["quantity", "step"])["median"]
    assert far.loc["alpha_2"].min() > 0.01
    doubled = replay.apart("x", one, one.assign(loss=2 * one["loss"], phase="none")).set_index("quantity")["median"]
    assert doubled["loss"].tolist() == pytest.approx([math.log(2)] * len(run.steps)) and (doubled["phase"] == 1).all()
    assert (doubled.drop(["loss", "phase"]) == 0).all()


def test_drift_asks_for_what_it_needs(run):
    with pytest.raises(ValueError, match=r"seeds is \[1, 1\]; expected two different ones"):
        replay.drift(run, [1, 1])
    with pytest.raises(ValueError, match="steps is 21; expected 1 to 20"):
        replay.drift(run, [0, 1], steps=21)
    with pytest.raises(KeyError, match="has no seed 7"):
        replay.drift(run, [0, 7])


def test_the_figure_has_a_line_per_variant_and_seed(table):
    figure = drift_curves(table)
    assert [len(ax.lines) for ax in figure.axes] == [2 * (len(VARIANTS) - 1), 2 * len(VARIANTS)]


def test_tolerances_are_twice_what_was_measured():
    """Measured again with another result, the tolerances have to be set anew."""
    measured = replay.typical(pd.read_parquet(ROOT / "results" / "speed" / "drift.parquet"))
    for name, tolerance in replay.TOLERANCES.items():
        rule = max(2 * measured[name], 0.05)
        assert rule <= tolerance <= 1.25 * rule, name
    assert measured["phase"] <= 1 - replay.SAME_PHASE
