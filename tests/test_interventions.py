"""Replacing a network by its explanation: the loss follows the explanation, not the residual (section 2.1)."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from specimens import perturb

from hyperbook.figures.assignments import parts_of_the_loss, shared_kinks
from hyperbook.studies.interventions import (
    DESTROYED,
    NETWORK,
    OTHER,
    OWN,
    PARTS,
    REMOVED,
    SHUFFLED,
    _shuffled,
    dissect,
    kink_sums,
    loss_parts,
    replacements,
    with_shuffled_owners,
)
from hyperlib.algorithms.construct import convexity, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.network import Network
from hyperlib.problems import L1


def measured(net: Network, seed: int = 0) -> pd.Series:
    x, y = L1.sample(4096, net.shape[0], torch.Generator().manual_seed(3), dtype=net.weights[0].dtype)
    table = replacements(net, x, y, seed)
    assert table["algorithm"][0] == table["algorithm"][1]
    return table.groupby("replacement")["loss"].min()


@pytest.mark.parametrize("net", [pudding(16, hidden=48), pudding(16, -1, 48), double_sided(16, hidden=48)])
def test_an_exact_construction_has_no_residual(net):
    loss = measured(net)
    for kind in (OWN, REMOVED, SHUFFLED):
        assert loss[kind] == pytest.approx(loss[NETWORK], abs=1e-4)
    assert loss[OTHER] > loss[NETWORK] + 0.1
    assert loss[DESTROYED] > loss[NETWORK] + 0.1


def test_a_residual_of_noise_does_not_matter_where_it_sits():
    noisy = perturb(double_sided(16, hidden=48), 0.05, torch.Generator().manual_seed(1))
    loss = measured(noisy)
    assert loss[REMOVED] < loss[NETWORK]  # noise only does harm
    assert loss[SHUFFLED] == pytest.approx(loss[NETWORK], rel=0.2)
    assert loss[SHUFFLED] != loss[NETWORK]


def test_a_residual_that_does_the_work_is_missed():
    """Half the neurons are pudding of one sign and half of the other: no single construction is the whole of it."""
    one, two = pudding(16, +1, 24), pudding(16, -1, 24)
    net = Network(
        [torch.cat([one.weights[0], two.weights[0]], 1), torch.cat([one.weights[1], two.weights[1]]) / 2],
        [torch.cat([one.biases[0], two.biases[0]]), (one.biases[1] + two.biases[1]) / 2],
    )
    x, y = L1.sample(4096, 16, torch.Generator().manual_seed(3))
    table = replacements(net, x, y)
    loss = table[table["algorithm"] == PUDDING].set_index("replacement")["loss"]
    assert loss.drop(NETWORK, errors="ignore").min() > 0.1
    assert float(net.loss(x, y)) < 0.01


def test_rows_of_each_algorithm():
    x, y = L1.sample(256, 16, torch.Generator().manual_seed(3))
    rows = replacements(double_sided(16, hidden=48), x, y)
    assert list(rows["replacement"]) == [NETWORK, OWN, OTHER, OTHER, REMOVED, SHUFFLED, DESTROYED]
    assert set(rows.loc[rows["replacement"] == OTHER, "algorithm"]) == {CONVEXITY, PUDDING}
    assert set(rows.loc[rows["replacement"] != OTHER, "algorithm"]) == {DOUBLE_SIDED}
    drawn = replacements(convexity(16, 48, 0), x, y)
    assert set(drawn["replacement"]) == {NETWORK, OWN, OTHER, DESTROYED}
    pd.testing.assert_frame_equal(rows, replacements(double_sided(16, hidden=48), x, y))


def test_shuffling_moves_weights_among_the_inputs_of_a_neuron_only():
    W = torch.arange(24.0).reshape(6, 4)
    moved = _shuffled(W, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, W)
    assert torch.equal(moved.sort(0).values, W)


# --- how case 3d works -----------------------------------------------------------------------------------------------


def shared_pudding() -> Network:
    """A pudding in which input 0 is read by two neurons, each with half of the kink."""
    net = pudding(4, hidden=12, sharpness=8.0)
    W, v = net.weights[0].clone(), net.weights[1].clone()
    W[:, 4] = W[:, 0]
    v[[0, 4]] = v[0] / 2
    return Network([W, v], net.biases)


def test_neurons_that_share_an_input_split_its_kink():
    table = kink_sums(shared_pudding())
    assert table["neurons"].tolist() == [2, 1, 1, 1]
    np.testing.assert_allclose(table["kink"], 2 / math.sqrt(4 * (1 - 2 / math.pi)), rtol=1e-5)
    np.testing.assert_allclose(table["each"] * table["neurons"], table["kink"])
    np.testing.assert_allclose(table["weight"], 8.0, rtol=1e-6)


def test_parts_of_the_loss_add_up_and_are_what_was_put_in():
    x, y = L1.sample(20_000, 4, torch.Generator().manual_seed(0))
    net = double_sided(4, sharpness=50.0)
    parts = loss_parts(net, x, y)
    assert sum(parts[name] for name in PARTS) == pytest.approx(parts["loss"]) and parts["loss"] < 1e-4
    smaller = Network([net.weights[0], 0.8 * net.weights[1]], net.biases)
    assert loss_parts(smaller, x, y)["kinks off on average"] == pytest.approx(0.04, abs=2e-3)
    v = net.weights[1].clone()
    v[[0, 4]] *= 1.4  # input 0 has another kink: the mean is off by 0.1, the variance is 0.03
    parts = loss_parts(Network([net.weights[0], v], net.biases), x, y)
    assert parts["kinks unequal"] == pytest.approx(0.4**2 * 3 / 16, abs=2e-3)
    assert parts["slopes left"] == pytest.approx(0, abs=1e-3)


def test_what_swish_rounds_is_told_from_what_mixes_inputs():
    """Swish rounds a kink by a function of its input alone; a neuron that reads two inputs is no sum over inputs."""
    x, y = L1.sample(20_000, 4, torch.Generator().manual_seed(0))
    round_ones = loss_parts(double_sided(4, sharpness=2.0), x, y)
    assert round_ones["kinks rounded"] > 0.01 > 20 * abs(round_ones["inputs mixed"])
    net = double_sided(4, sharpness=50.0)
    random = convexity(4, 8, 0)
    W, v = torch.cat([net.weights[0], random.weights[0]], 1), torch.cat([net.weights[1], random.weights[1]])
    mixed = Network([W, v], [torch.zeros(W.shape[1], dtype=W.dtype), net.biases[1]])
    parts = loss_parts(mixed, x, y)
    assert parts["inputs mixed"] > 0.01 and sum(parts[name] for name in PARTS) == pytest.approx(parts["loss"])


def test_shuffled_owners_keep_weights_and_counts_and_lose_the_agreement():
    net = shared_pudding()
    counts = kink_sums(net)["neurons"].tolist()
    shuffled = [with_shuffled_owners(net, seed) for seed in range(8)]
    for other in shuffled:
        assert torch.equal(other.weights[0].sort(0).values, net.weights[0].sort(0).values)
        assert kink_sums(other)["neurons"].tolist() == counts
    assert max(float(kink_sums(other)["kink"].std()) for other in shuffled) > 0.1
    x, y = L1.sample(2000, 4, torch.Generator().manual_seed(0))
    batch = Network([w.expand(2, -1, -1) for w in net.weights], [b.expand(2, -1) for b in net.biases])
    table = dissect(batch, x, y)
    assert list(table.columns) == [*PARTS, "loss", "shuffled"] and len(table) == 2


def test_kinks_are_drawn_per_seed_with_the_median_of_the_seeds():
    """Each kink is shared in full, at 0.6, 0.7, ... of a seed; what few inputs or seeds have makes no point."""
    rows = [(s, i, k, kink) for s, kink in enumerate((0.6, 0.7, 0.9)) for k in (0, 1, 2) for i in range(4)]
    rows += [(0, i, 3, 0.6) for i in range(4)] + [(1, i, 4, 0.7) for i in range(2)]
    table = pd.DataFrame(rows, columns=["seed", "input", "neurons", "kink"])
    table["each"] = table["kink"] / table["neurons"]
    fig = shared_kinks(table)
    drawn = fig.table.set_index(["of", "seed", "neurons"])["kink"]
    assert sorted(set(fig.table["neurons"])) == [1, 2, 3] and drawn["each of them", 2, 2] == pytest.approx(0.45)
    thick = [line for line in fig.axes[0].lines if line.get_linewidth() > 2]
    assert [line.get_ydata().tolist() for line in thick] == [pytest.approx([0.7, 0.7]), pytest.approx([0.7, 0.35])]
    assert "0.70; of two" in fig.finding and not shared_kinks(table[table["neurons"] == 1]).finding


def test_shares_of_the_loss_are_of_the_mean_loss():
    parts = {name: [0.01 * k, 0.03 * k] for k, name in enumerate(PARTS, 1)}
    table = pd.DataFrame(parts | {"loss": [0.15, 0.45], "shuffled": [0.6, 1.2], "seed": 7})
    fig = parts_of_the_loss(table)
    bars = fig.axes[1].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([k / 15 for k in range(1, 6)])
    assert fig.table["loss"].tolist() == pytest.approx([0.3]) and "13%" in fig.finding and "3.0-fold" in fig.finding
