"""Networks of sizes never trained on (section 2.4)."""

import numpy as np
import pandas as pd
import pytest
import torch

from hyperbook.studies import generalization
from hyperbook.studies.development import representatives
from hyperbook.studies.generalization import (
    median_and_best,
    ratio_table,
    rescaled_loss,
    size_table,
)
from hyperlib.algorithms import construct
from hyperlib.hyperhypernetwork import ParetoHypernetwork, initial_parameters
from hyperlib.hypernetwork import Architecture, Hypernetwork
from hyperlib.problems import L1, get_task

SHAPE = (4, 6, 1)


@pytest.fixture(scope="module")
def model():
    architecture = Architecture()
    return ParetoHypernetwork(initial_parameters(Hypernetwork(SHAPE, architecture), 3), SHAPE, architecture)


def test_rescaled_loss_ignores_shift_and_scale():
    x, y = L1.sample(4096, 8, torch.Generator().manual_seed(0), dtype=torch.float64)
    out = construct.convexity(8, 24, 0, dtype=torch.float64)(x)
    loss = rescaled_loss(out, y)
    assert loss <= (out - y).square().mean()
    torch.testing.assert_close(rescaled_loss(7 - 30 * out, y), loss)
    correlation = np.corrcoef(out[:, 0], y[:, 0])[0, 1]
    assert loss.item() == pytest.approx((1 - correlation**2) * y.var(correction=0).item(), rel=1e-9)


def test_rescaled_loss_of_a_constant_is_the_variance_and_of_the_target_zero():
    _, y = L1.sample(512, 8, torch.Generator().manual_seed(0), dtype=torch.float64)
    assert rescaled_loss(torch.full_like(y, 5.0), y).item() == pytest.approx(y.var(correction=0).item())
    assert rescaled_loss(3 * y + 1, y).item() == pytest.approx(0, abs=1e-12)
    batch = torch.stack([y, -y + 2, torch.zeros_like(y)])
    assert rescaled_loss(batch, y).shape == (3,)


def test_table_has_a_row_per_size_and_never_more_loss_after_rescaling(model):
    table = size_table(model, 1e-6, [2, 4, 8], [3, 6], samples=256)
    kinds = ["loss", "loss_mean", "loss_rescaled", "loss_trained_units", "best_trained_units"]
    assert list(table.columns) == ["n_0", "n_1", *kinds]
    assert table[["n_0", "n_1"]].to_numpy().tolist() == [[n, m] for n in (2, 4, 8) for m in (3, 6)]
    assert (table["loss_rescaled"] <= table["loss"] + 1e-6).all() and np.isfinite(table).all(axis=None)
    trained = table[table["n_1"] == model.shape[1]]
    assert np.allclose(trained["loss"], trained["loss_mean"]) == (len(trained) > 0)
    pd.testing.assert_frame_equal(table, size_table(model, 1e-6, [2, 4, 8], [3, 6], samples=256))
    assert not table.equals(size_table(model, 1e-6, [2, 4, 8], [3, 6], samples=256, generator=1))


@pytest.mark.parametrize("n", [4, 5])
def test_table_is_the_mean_over_networks_without_the_encoder_at_the_trained_size_too(model, n):
    g = torch.Generator().manual_seed(5)
    x, y = L1.sample(300, n, g)
    net = model.generate(1e-3, (n, 6, 1), g, encoder=False, count=3)
    row = size_table(model, 1e-3, [n], [6], count=3, samples=300, generator=5).iloc[0]
    assert row["loss"] == pytest.approx(net.loss(x, y).mean().item(), rel=1e-5)


def test_targets_of_the_trained_size_are_shifted_and_scaled_as_there(model):
    """At the trained size both units are one; elsewhere the outputs meet the same sums, less 4 sqrt(2 / pi)."""
    table = size_table(model, 1e-3, [4, 8], [6], count=2, samples=300, generator=5).set_index("n_0")
    assert table.loc[4, "loss_trained_units"] == pytest.approx(table.loc[4, "loss"], rel=1e-6)
    assert (table["best_trained_units"] <= table["loss_trained_units"]).all()
    (mean, std), (shift, scale) = (get_task("l1").moments_at(n) for n in (8, 4))
    g = torch.Generator().manual_seed(5)
    get_task("l1").sample(300, 4, g)
    with torch.no_grad():
        model.generate(1e-3, (4, 6, 1), g, encoder=False, count=2)
        x, y = get_task("l1").sample(300, 8, g)
        net = model.generate(1e-3, (8, 6, 1), g, encoder=False, count=2)
        losses = (net(x) - (y * std + mean - shift) / scale).square().mean((-2, -1))
    assert table.loc[8, "loss_trained_units"] == pytest.approx(float(losses.mean()), rel=1e-4)


def test_chunks_bound_the_memory_and_change_nothing_but_the_draws(model, monkeypatch):
    monkeypatch.setattr(generalization, "CHUNK", 5 * 7**2)
    counts = []
    generate = ParetoHypernetwork.generate

    def counted(self, *args, count, **kwargs):
        counts.append(count)
        return generate(self, *args, count=count, **kwargs)

    monkeypatch.setattr(ParetoHypernetwork, "generate", counted)
    size_table(model, 1e-3, [5], [7, 3], count=3, samples=64)
    assert counts == [1, 1, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hiddens": [4, -1]}, "positive whole numbers"),
        ({"task": "l7"}, "the name of one"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        size_table(model, 1e-6, **{"inputs": [2], "hiddens": [3], "samples": 16} | arguments)


def test_ratios_are_sizes_in_proportion(model):
    table = ratio_table(model, 1e-6, [3, 5], ratios=(1.5, 2), count=2, samples=64)
    assert list(zip(table["n_0"], table["n_1"], table["ratio"], strict=True)) == [
        (3, 4, 1.5),
        (3, 6, 2),
        (5, 8, 1.5),
        (5, 10, 2),
    ]
    first = size_table(model, 1e-6, [3], [4], count=2, samples=64)
    assert table["loss"][0] == first["loss"][0] and (table["loss_rescaled"] <= table["loss"] + 1e-9).all()


@pytest.mark.parametrize("losses", [(0.3, 0.1, 0.2), (0.4, 0.1, 0.3, 0.2)])
def test_median_and_best_seed_are_those_of_the_loss_at_the_trained_size(losses):
    cases = pd.DataFrame({"seed": [7, 8, 9, 6][: len(losses)], "case": "random pudding", "loss_low": losses})
    median = {3: 9, 4: 6}[len(losses)]
    assert median_and_best(cases) == {f"median seed ({median})": median, "best seed (8)": 8}
    assert representatives(cases)["random pudding"] == median


def test_one_seed_is_neither_median_nor_best():
    cases = pd.DataFrame({"seed": [7], "loss_low": [0.1]})
    assert median_and_best(cases) == {"seed 7": 7} and median_and_best(cases[:0]) == {}
