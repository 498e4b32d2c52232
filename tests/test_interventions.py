"""Replacing a network by its explanation: the loss follows the explanation, not the residual (section 2.1)."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from specimens import perturb

from hyperbook.studies.interventions import (
    DESTROYED,
    NETWORK,
    OTHER,
    OWN,
    REMOVED,
    SHUFFLED,
    _shuffled,
    kink_sums,
    replacements,
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
