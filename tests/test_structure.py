"""The algorithm by the structure of the first layer, on networks whose algorithm is known."""

import numpy as np
import pytest
import torch
from specimens import specimens

import hyperlib as hl
from hyperbook.studies.algorithms import mixing
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.algorithms.structure import (
    FEATURES,
    HEAVY,
    STRUCTURES,
    UNCLEAR,
    features,
    label,
    structure,
)


@pytest.mark.parametrize("case", specimens(), ids=lambda case: case.name)
def test_constructions_are_what_they_are(case):
    assert structure(case.build()) == case.phase


@pytest.mark.parametrize("seed", range(5))
def test_dense_heavy_tails_of_both_signs_are_not_pudding(seed):
    """Two modes of the size of a weight, many small and few large: strong connections, and nothing organised."""
    g = torch.Generator().manual_seed(seed)
    W = 0.3 * torch.randn(16, 48, generator=g)
    strong = torch.rand(16, 48, generator=g) < 0.03
    W = torch.where(strong, 3 * torch.randn(16, 48, generator=g).sign(), W)
    net = hl.Network([W, torch.ones(48, 1)], [torch.zeros(48), torch.zeros(1)])
    assert structure(net) == HEAVY
    assert hl.classify(net) == PUDDING  # the paper's strongest connection cannot tell


def test_half_of_the_second_sides_is_neither_algorithm():
    W = hl.construct.pudding(n=16, hidden=48).weights[0].clone()
    for i in range(8):
        W[:, 16 + i] = 0.0
        W[i, 16 + i] = 5.0
    net = hl.Network([W, torch.ones(48, 1)], [torch.zeros(48), torch.zeros(1)])
    assert structure(net) == UNCLEAR


def test_weak_connections_of_the_other_sign_make_no_double_sided():
    """A pudding whose leftover neurons read one input each, twenty times more weakly (seed 6 of the first release)."""
    W = 0.01 * torch.randn(16, 48, generator=torch.Generator().manual_seed(0))
    for i in range(16):
        W[i, i], W[i, 16 + i] = -5.4, 0.25
    net = hl.Network([W, torch.ones(48, 1)], [torch.zeros(48), torch.zeros(1)])
    assert structure(net) == PUDDING and hl.classify(net) == DOUBLE_SIDED


def test_scale_and_order_of_neurons_do_not_matter():
    g = torch.Generator().manual_seed(1)
    for net in (hl.construct.pudding(16, hidden=48), hl.construct.convexity(16, 48, generator=0)):
        W = net.weights[0]
        there = features(3.0 * W[:, torch.randperm(48, generator=g)][torch.randperm(16, generator=g)])
        for name, value in features(W).items():
            torch.testing.assert_close(value, there[name], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(features(-W)["sign"], -features(W)["sign"])


def test_many_networks_at_once():
    nets = [case.build() for case in specimens((16,)) if case.hidden == 48]
    W = torch.stack([net.weights[0] for net in nets])
    found = features(W)
    assert set(found) == set(FEATURES) and all(value.shape == (len(nets),) for value in found.values())
    assert label({k: v.numpy() for k, v in found.items()}).tolist() == [structure(net) for net in nets]
    assert set(STRUCTURES) >= {CONVEXITY, PUDDING, DOUBLE_SIDED}


def test_a_dead_network_has_no_algorithm():
    dead = hl.Network([torch.zeros(4, 6), torch.zeros(6, 1)], [torch.zeros(6), torch.zeros(1)])
    with pytest.raises(ValueError, match="kurtosis is NaN"):
        structure(dead)
    with pytest.raises(KeyError):
        label({"single": np.zeros(2)})


def test_mixing_of_constructions_is_what_they_were_built_with():
    for d in (0.0, 0.02, 0.05):
        W = hl.construct.pudding(16, sign=-1, hidden=48, mixing=d).weights[0]
        assert float(mixing(W)) == pytest.approx(d, abs=1e-6)
    assert mixing(torch.ones(4, 8)).isnan()
