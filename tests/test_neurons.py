"""What hidden neurons read and whether a hidden layer is more than a relay, on networks where the answer is known."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import silu

from hyperlib.algorithms import construct
from hyperlib.algorithms.neurons import KINDS, reading_shares, readings, straightened
from hyperlib.network import Network

X = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))


def network(*columns: list[float], out: list[float] | None = None) -> Network:
    """A network of one output whose hidden neurons have these weights."""
    W = torch.tensor(columns, dtype=torch.float32).T
    v = torch.ones(W.shape[1]) if out is None else torch.tensor(out)
    return Network([W, v[:, None]], [torch.zeros(W.shape[1]), torch.zeros(1)])


def test_neurons_of_each_kind_are_told_apart_whatever_their_sign_and_size():
    net = network([0, -3, 0.1, 0], [0.2, 0.2, 0.2, 0.2], [-5, -5, -5, -4], [2, 0, 0, -2], [1, 1, -1, -1], [2, 3, 0, 0])
    table = readings(net)
    assert table["reads"].tolist() == ["one input", "sum", "sum", "difference", "mixed", "mixed"]
    assert table["input"].tolist()[:1] == [1]
    assert table["sum"].iloc[1] == pytest.approx(1) and table["difference"].iloc[3] == pytest.approx(1)
    assert table["strength"].sum() == pytest.approx(1)
    assert sum(reading_shares(net).values()) == pytest.approx(1)


def test_strength_counts_what_reaches_the_output():
    shares = reading_shares(network([1, 0, 0, 0], [1, 1, 1, 1], out=[1.0, 0.0]))
    assert tuple(shares) == KINDS
    assert shares["one input"] == pytest.approx(1)
    first, second = readings(network([1, 0, 0, 0], [1, 0, 0, 0], out=[1.0, -3.0]))["strength"]
    assert second == pytest.approx(3 * first)


def test_constructions_read_as_they_were_made():
    assert reading_shares(construct.double_sided(8))["one input"] == pytest.approx(1)
    assert reading_shares(construct.convexity(8, 200, generator=0))["mixed"] > 0.95
    pudding = readings(construct.pudding(8, +1))
    assert (pudding["reads"] == "sum").any()  # its shared neurons


def test_a_relay_loses_nothing_when_it_is_straightened():
    g = torch.Generator().manual_seed(1)
    W = torch.randn(4, 6, generator=g)
    # Large biases keep the second layer on the straight part of swish.
    relay = Network(
        [W, torch.full((6, 3), 0.1), torch.ones(3, 1)], [torch.zeros(6), torch.full((3,), 40.0), torch.zeros(1)]
    )
    torch.testing.assert_close(straightened(relay, 2, X), relay(X), rtol=1e-3, atol=1e-3)
    assert float((straightened(relay, 1, X) - relay(X)).std()) > 0.2 * float(relay(X).std())


def test_straightening_takes_the_best_affine_function():
    net = network([1, 0, 0, 0])
    straight, z = straightened(net, 1, X)[:, 0], X[:, 0]
    columns = torch.stack([z, torch.ones_like(z)], 1)
    best = columns @ torch.linalg.lstsq(columns, silu(z)[:, None]).solution
    torch.testing.assert_close(straight, best[:, 0], rtol=1e-4, atol=1e-5)


def test_networks_that_cannot_be_read_are_errors():
    net = network([1, 0, 0, 0])
    with pytest.raises(ValueError, match=r"layer is 2; the network of shape \(4, 1, 1\) has hidden layers 1 to 1"):
        straightened(net, 2, X)
    with pytest.raises(ValueError, match="expected a single one with a hidden layer"):
        readings(net.map(lambda t: t[None]))
    with pytest.raises(ValueError, match="expected a single one with a hidden layer"):
        readings(Network([torch.ones(4, 1)], [torch.zeros(1)]))
