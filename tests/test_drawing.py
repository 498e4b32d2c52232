"""Force-directed drawings (appendix B.1): the energy, its descent, and what the drawings show."""

from itertools import pairwise

import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage

from hyperlib.drawing import PENALTY, Layout, _schedule, attraction, descend, energy, layout
from hyperlib.network import Network


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_network(shape, seed, scale=1.0, batch=()):
    g = seeded(seed)
    weights = [torch.randn(*batch, n, m, generator=g) * scale for n, m in pairwise(shape)]
    return Network(weights, [torch.zeros(*batch, m) for m in shape[1:]])


def modular_network(modules, shape, seed):
    """Block-diagonal weights: ``modules`` networks of ``shape`` side by side, and the module of every neuron."""
    parts = [random_network(shape, seed * 100 + k, scale=2.0) for k in range(modules)]
    weights = [torch.block_diag(*[part.weights[layer] for part in parts]) for layer in range(len(shape) - 1)]
    labels = torch.cat([torch.arange(modules).repeat_interleave(n) for n in shape])
    return Network(weights, [torch.zeros(w.shape[-1]) for w in weights]), labels


def double_sided(n=16, hidden=48):
    first, second = torch.zeros(n, hidden), torch.zeros(hidden, 1)
    i = torch.arange(n)
    first[i, 2 * i], first[i, 2 * i + 1], second[: 2 * n] = 5.0, -5.0, 0.3
    return Network([first, second], [torch.zeros(hidden), torch.zeros(1)])


def test_energy_by_hand():
    # Two inputs at distance 2 and one output at distance 1 from both; weights 3 and -4.
    net = Network([torch.tensor([[3.0], [-4.0]])], [torch.zeros(1)])
    places = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    repulsion, springs, centre = 1 / 2 + 1 + 1, 3 * 1 + 4 * 1, 1 + 1
    assert energy(places, attraction(net)).item() == pytest.approx(repulsion + springs + centre)


def test_attraction_is_symmetric_and_links_only_neighbouring_levels():
    net = random_network((2, 3, 4, 1), 0)
    strength = attraction(net)
    assert torch.equal(strength, strength.mT)
    levels = torch.arange(4).repeat_interleave(torch.tensor(net.shape))
    apart = (levels[:, None] - levels).abs()
    assert bool((strength[apart == 1] > 0).all()) and bool((strength[apart != 1] == 0).all())
    assert torch.equal(strength[2:5, 5:9], net.weights[1].abs())


@pytest.mark.parametrize("dimensions", [2, 4])
def test_energy_falls_at_every_step(dimensions):
    strength = attraction(random_network((8, 20, 2), 1)).double()
    start = torch.randn(30, dimensions, generator=seeded(2), dtype=torch.float64) * 3
    energies = [first := energy(start, strength)]
    for _ in range(300):
        start = descend(start, strength, torch.zeros(1))
        energies.append(energy(start, strength))
    assert bool((torch.stack(energies).diff() <= 1e-9).all())
    assert energies[-1] < 0.5 * first


def test_descent_ends_where_the_gradient_vanishes():
    net = double_sided(4, 8)
    strength = attraction(net).double()
    start = torch.randn(13, 4, generator=seeded(0), dtype=torch.float64)
    places = descend(start, strength, _schedule(3000, PENALTY, 0.1))
    end = places[:, :2].clone().requires_grad_()
    energy(end, strength).backward()
    assert end.grad.abs().max() < 1e-3


def test_descent_ends_flat_and_below_its_start():
    net = double_sided()
    strength, start = attraction(net), torch.randn(65, 4, generator=seeded(0)) * 65 ** (1 / 3)
    end = descend(start, strength, _schedule(1000, PENALTY, 0.1))
    assert end[:, 2:].square().sum(1).mean().sqrt() < 1e-3
    assert energy(end, strength) < energy(start, strength)
    places = torch.cat(layout(net).positions)
    assert energy(places - places.mean(0), strength) < 1.01 * energy(end, strength)


@pytest.mark.parametrize("modules", [2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_disconnected_modules_become_separate_groups(modules, seed):
    net, labels = modular_network(modules, (3, 4, 2), seed)
    places = torch.cat(layout(net, generator=seed).positions)
    found = fcluster(linkage(places.numpy(), "single"), modules, "maxclust")
    assert len(set(zip(found.tolist(), labels.tolist(), strict=True))) == modules == len(set(found.tolist()))


def test_deep_modules_become_separate_groups():
    net, labels = modular_network(3, (2, 3, 3, 1), 0)
    places = torch.cat(layout(net).positions)
    found = fcluster(linkage(places.numpy(), "single"), 3, "maxclust")
    assert len(set(zip(found.tolist(), labels.tolist(), strict=True))) == 3


def test_four_dimensions_beat_two_on_average():
    ends = {2: 0.0, 4: 0.0}
    for seed in range(6):
        net, _ = modular_network(3, (3, 4, 2), seed)
        start = torch.randn(27, 4, generator=seeded(seed)) * 3
        for dimensions in ends:
            strength = attraction(net)
            places = descend(start[:, :dimensions], strength, _schedule(1000, PENALTY, 0.1))
            ends[dimensions] += energy(places, strength).item()
    assert ends[4] < ends[2]


def test_permuted_hidden_neurons_have_permuted_places():
    net = random_network((4, 6, 2), 3)
    order = torch.randperm(6, generator=seeded(4))
    permuted = Network([net.weights[0][:, order], net.weights[1][order]], net.biases)
    everyone = torch.cat([torch.arange(4), 4 + order, torch.arange(10, 12)])
    start, penalty = torch.randn(12, 4, generator=seeded(5), dtype=torch.float64), _schedule(200, PENALTY, 0.1)
    places = descend(start, attraction(net).double(), penalty)
    again = descend(start[everyone], attraction(permuted).double(), penalty)
    torch.testing.assert_close(again, places[everyone])


def test_batch_equals_each_network_alone():
    nets = random_network((3, 5, 1), 6, batch=(2, 3))
    drawn = layout(nets, steps=100)
    assert [tuple(level.shape) for level in drawn.positions] == [(2, 3, 3, 2), (2, 3, 5, 2), (2, 3, 1, 2)]
    alone = layout(nets[1, 2], steps=100)
    for level, expected in zip(drawn[1, 2].positions, alone.positions, strict=True):
        torch.testing.assert_close(level, expected, rtol=1e-3, atol=1e-3)


def test_single_output_is_the_origin_and_seeds_decide_the_drawing():
    net = double_sided(4, 10)
    one, same, other = layout(net, generator=1), layout(net, generator=seeded(1)), layout(net, generator=2)
    assert torch.equal(one.positions[-1], torch.zeros(1, 2))
    assert torch.equal(one.positions[0], same.positions[0])
    assert not torch.equal(one.positions[0], other.positions[0])


def test_warm_start_stays_close():
    net = double_sided()
    first = layout(net, generator=0)
    near = Network([net.weights[0] * 1.1, net.weights[1]], net.biases)
    moved = torch.cat(layout(near, start=first).positions) - torch.cat(first.positions)
    fresh = torch.cat(layout(near, generator=1).positions) - torch.cat(first.positions)
    assert moved.norm(dim=-1).mean() < 0.5 < 1.5 < fresh.norm(dim=-1).mean()


def test_warm_start_separates_neurons_in_one_place():
    net = random_network((2, 3, 1), 7)
    together = Layout([torch.zeros(n, 2) for n in net.shape])
    places = torch.cat(layout(net, start=together).positions)
    assert bool(places.isfinite().all())
    assert torch.pdist(places).min() > 0.05


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 3, 4, 5, 2)])
def test_any_shape_and_zero_weights(shape):
    net = Network([torch.zeros(n, m) for n, m in pairwise(shape)], [torch.zeros(m) for m in shape[1:]])
    drawn = layout(net)
    assert drawn.shape == shape
    places = torch.cat(drawn.positions)
    assert bool(places.isfinite().all()) and torch.pdist(places).min() > 0.3


def test_two_unlinked_neurons_rest_where_the_forces_balance():
    # Energy 1/(2s) + 2 s^2 of two neurons at distance s from the origin, opposite each other: s^3 = 1/8.
    places = descend(torch.tensor([[1.0, 0.3], [-1.0, 0.0]]), torch.zeros(2, 2), torch.zeros(500))
    assert places.norm(dim=-1).tolist() == pytest.approx([0.5, 0.5], abs=1e-4)


def test_bad_input_is_named():
    net = random_network((2, 3, 1), 8)
    with pytest.raises(ValueError, match=r"weights of layer 1 hold a value that is not finite"):
        layout(Network([net.weights[0], net.weights[1] * float("nan")], net.biases))
    with pytest.raises(ValueError, match=r"steps is 5; expected a whole number, 10 or more"):
        layout(net, steps=5)
    with pytest.raises(ValueError, match=r"start is a drawing of shape \(2, 2, 1\); expected \(2, 3, 1\)"):
        layout(net, start=layout(random_network((2, 2, 1), 0), steps=10))
    with pytest.raises(TypeError, match=r"generator is 'x'"):
        layout(net, generator="x")
