"""The independent classifier: it recovers constructions, can say none, and its fits run (section 2.1)."""

import pytest
import torch
from specimens import perturb, specimens

from hyperbook.studies.explain import explain
from hyperlib.algorithms.construct import convexity, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.network import Network
from hyperlib.problems import L1


def permuted(net: Network, seed: int = 0) -> Network:
    order = torch.randperm(net.shape[1], generator=torch.Generator().manual_seed(seed))
    W, v = net.weights
    return Network([W[:, order], v[order]], [net.biases[0][order], net.biases[1]])


def loss(net: Network) -> float:
    x, y = L1.sample(8192, net.shape[0], torch.Generator().manual_seed(5), dtype=net.weights[0].dtype)
    return net.loss(x, y).item()


@pytest.mark.parametrize("case", specimens((8, 16)), ids=lambda case: case.name)
def test_constructions_are_recognised_in_any_order(case):
    found = explain(permuted(case.build()))
    assert found.label == case.phase
    assert list(found.scores) == list(PHASES)
    others = [share for name, share in found.scores.items() if name != case.phase]
    if case.phase == CONVEXITY:  # chance makes the profile of sorted magnitudes, and centring removes the mean
        assert found.scores[case.phase] > 0.75
        assert max(others) < 0.5
    else:
        assert found.scores[case.phase] == pytest.approx(1)
        assert max(others) < 0.75


@pytest.mark.parametrize("case", specimens((16,)), ids=lambda case: case.name)
def test_the_fitted_construction_replaces_the_network(case):
    net = permuted(case.build())
    found = explain(net)
    fitted = found.fitted[case.phase]
    assert fitted.shape == net.shape
    assert fitted.weights[0].dtype == net.weights[0].dtype
    if case.phase == CONVEXITY:  # another draw of random directions: as good a network, though not the same function
        assert loss(fitted) == pytest.approx(loss(net), abs=0.1)
    else:
        assert loss(fitted) == pytest.approx(loss(net), rel=0.02)


def test_another_construction_does_not_replace_the_network():
    found = explain(pudding(16, hidden=48))
    assert loss(found.fitted[DOUBLE_SIDED]) > 0.2
    assert loss(found.fitted[CONVEXITY]) > 0.2


@pytest.mark.parametrize("sign", [+1, -1])
def test_equation_3_with_its_common_vector_is_explained(sign):
    found = explain(permuted(pudding(16, sign, hidden=48, mixing=0.04)))
    assert found.label == PUDDING
    assert found.scores[PUDDING] == pytest.approx(1)


def test_copies_on_one_side_split_the_slope():
    net = double_sided(8, hidden=16)
    W, v = net.weights
    # Neuron 0 becomes two, with 30 and 70 % of its slope; their weights on the input differ too.
    first = torch.cat([W, 2 * W[:, :1]], 1)
    second = torch.cat([v, 0.7 / 2 * v[:1]])
    second[0] *= 0.3
    found = explain(Network([first, second], [torch.zeros(17), net.biases[1]]))
    assert found.scores[DOUBLE_SIDED] == pytest.approx(1)


def test_unequal_sides_are_not_double_sided():
    """A slope of 2 on one side and 0.2 on the other is not an absolute value: the score drops as computed by hand."""
    net = double_sided(8)
    v = net.weights[1].clone()
    v[8:] *= 0.1
    # One slope for all sides fits the mean: explained is (1.1 / 2)^2 2 / (1 + 0.01).
    expected = 2 * 0.55**2 / 1.01
    found = explain(Network([net.weights[0], v], net.biases))
    assert found.scores[DOUBLE_SIDED] == pytest.approx(expected, rel=1e-5)


def test_a_side_with_twice_the_slope_costs_what_it_does_by_hand():
    """Neuron 0 doubled: in units of the slope one total is 2, of two neurons, and 15 are 1, of one neuron each."""
    net = double_sided(8)
    W, v = net.weights
    slope = (2 / 2 + 15) / (1 / 2 + 15)
    lost = (slope - 2) ** 2 / 2 + 15 * (slope - 1) ** 2
    found = explain(Network([torch.cat([W, W[:, :1]], 1), torch.cat([v, v[:1]])], [torch.zeros(17), net.biases[1]]))
    assert found.scores[DOUBLE_SIDED] == pytest.approx(1 - lost / 17)


def test_a_common_sign_is_not_explained_by_chance():
    """Neurons that all inputs reach alike have the magnitudes of a two-valued distribution, but not its signs."""
    net = Network([torch.ones(8, 24), torch.ones(24, 1)], [torch.zeros(24), torch.zeros(1)])
    assert explain(net).scores[CONVEXITY] == pytest.approx(0)


def test_dead_neurons_do_not_count():
    net, g = pudding(8, hidden=20), torch.Generator().manual_seed(0)
    W = torch.cat([net.weights[0], 3 * torch.randn(8, 30, generator=g)], 1)
    v = torch.cat([net.weights[1], torch.zeros(30, 1)])
    found = explain(permuted(Network([W, v], [torch.cat([net.biases[0], torch.ones(30)]), net.biases[1]])))
    assert found.scores[PUDDING] == pytest.approx(1)


def test_scale_of_input_against_output_weights_does_not_matter():
    net = pudding(8, hidden=24)
    factor = torch.linspace(0.5, 4, 24)
    other = Network([net.weights[0] * factor, net.weights[1] / factor[:, None]], net.biases)
    one, two = explain(net).scores, explain(other).scores
    assert two == pytest.approx(one, abs=1e-4)


def test_no_explanation_of_random_signs_at_the_output():
    g = torch.Generator().manual_seed(0)
    net = Network(
        [torch.randn(16, 48, generator=g), torch.randn(48, 1, generator=g)], [torch.zeros(48), torch.zeros(1)]
    )
    assert explain(net).label == "none"


def test_no_explanation_of_concave_or_dead_networks():
    net = double_sided(8)
    concave = explain(Network([net.weights[0], -net.weights[1]], net.biases))
    assert concave.label == "none"
    assert max(concave.scores.values()) < 0.1
    dead = explain(Network([net.weights[0], 0 * net.weights[1]], net.biases))
    assert (dead.label, dead.fitted) == ("none", {})


def test_too_few_hidden_neurons_for_a_construction():
    found = explain(pudding(8))
    assert found.scores[DOUBLE_SIDED] == 0
    assert DOUBLE_SIDED not in found.fitted


def test_scores_of_normal_weights_stay_at_chance():
    """The largest of 16 normal magnitudes holds about a quarter of a neuron's variance; no fit may do much better."""
    scores = explain(convexity(16, 48, 7)).scores
    assert scores[DOUBLE_SIDED] < 0.35
    assert scores[PUDDING] < 0.35


def test_bad_input():
    with pytest.raises(ValueError, match=r"batch axes \(1,\)"):
        explain(double_sided(4).map(lambda t: t[None]))


def test_noise_takes_its_share_of_the_explanation():
    net, g = double_sided(16, hidden=48), torch.Generator().manual_seed(0)
    noise = perturb(net, 0.5, g).weights[0] - net.weights[0]
    assert (noise.norm() / net.weights[0].norm()).item() == pytest.approx(0.5, rel=0.1)
    shares = {level: explain(perturb(net, level, g)).scores[DOUBLE_SIDED] for level in (0.0, 0.3, 3.0)}
    # noise of variance 0.09 takes about 0.09 / 1.09 from the share
    assert shares[0.0] == pytest.approx(1) and shares[0.3] == pytest.approx(1 / 1.09, abs=0.02)
    assert shares[3.0] < 0.35


@pytest.mark.parametrize("case", specimens((16,)), ids=lambda case: case.name)
def test_a_little_noise_changes_no_label(case):
    assert explain(perturb(case.build(), 0.3, torch.Generator().manual_seed(1))).label == case.phase
