"""Decoding: known constructions give exactly their constants; the order of neurons and inputs does not matter."""

import math
import re

import numpy as np
import pytest
import torch
from specimens import perturb, specimens

import hyperlib as hl
from hyperbook.studies.programs import curve
from hyperlib.decoding.activations import ACTIVATIONS as PAIRS
from hyperlib.decoding.groups import assignment_bits, draw
from hyperlib.decoding.program import LABELS, KeepsLittle
from hyperlib.network import ACTIVATIONS
from hyperlib.problems import l1_moments


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def permuted(net: hl.Network, inputs: torch.Tensor, hidden: torch.Tensor) -> hl.Network:
    (W, v), (b, c) = net.weights, net.biases
    return hl.Network([W[inputs][:, hidden], v[hidden]], [b[hidden], c])


def memorised(seed: int, sharp: float = 6.0, noise: float = 0.02) -> hl.Network:
    """A double-sided network as training leaves it: 48 neurons, uneven copies, a little noise everywhere."""
    return perturb(hl.construct.double_sided(16, sharpness=sharp, hidden=48), noise, generator(seed))


def distinct(net: hl.Network) -> int:
    """Different numbers other than 0 in a network, up to their sign within weights, biases and output weights."""
    kinds = (net.weights[0], net.biases[0], net.weights[1], net.biases[1])
    return sum(len({f"{abs(value):.6g}" for value in kind.flatten().tolist() if value}) for kind in kinds)


def test_the_formula_of_a_double_sided_network_can_be_checked_by_hand():
    program = hl.decode(hl.construct.double_sided(n=16, sharpness=5))
    assert program.text == "y = -5 + 0.083 sum_i swish(-5 x_i) + 0.083 sum_i swish(5 x_i)"
    assert program.latex == (
        r"y = -5 + 0.083 \sum_i \operatorname{swish}(-5 x_i) + 0.083 \sum_i \operatorname{swish}(5 x_i)"
    )
    assert (program.numbers, program.label, program.random) == (3, "double-sided", False)
    x = torch.randn(10, 16, generator=generator())
    by_hand = -5 + 0.083 * (5 * x * (5 * x).sigmoid() - 5 * x * (-5 * x).sigmoid()).sum(-1, keepdim=True)
    torch.testing.assert_close(program.network()(x), by_hand)


@pytest.mark.parametrize("n", [4, 8, 16])
@pytest.mark.parametrize("sign", [-1, 1])
def test_pudding_gives_its_constants(n, sign):
    net = hl.construct.pudding(n, sign=sign, hidden=3 * n, sharpness=7, shared=0.25)
    program = hl.decode(net)
    groups = program.groups.set_index("reads")
    assert program.label == "pudding" and program.kept > 0.998
    assert groups.loc["one input", "own"] == pytest.approx([-sign * 7], rel=0.06)
    assert groups.loc["one input", "others"] == 0
    assert groups.loc["one input", "count"] == n and groups.loc["sum", "count"] == 2 * n
    assert groups.loc["sum", "others"] == pytest.approx(sign * 0.25, abs=0.2)  # its linear range is what counts
    assert program.numbers <= 6


@pytest.mark.parametrize("n", [4, 8, 16])
@pytest.mark.parametrize("hidden", [2, 3])
def test_double_sided_gives_its_constants(n, hidden):
    program = hl.decode(hl.construct.double_sided(n, sharpness=6, hidden=hidden * n))
    assert program.label == "double-sided" and program.numbers == hidden + 1 and program.kept > 0.999
    assert sorted(own for (own,) in program.groups["own"]) == [-6, 6]


@pytest.mark.parametrize("bimodal", [False, True])
def test_random_weights_are_said_to_be_random(bimodal):
    net = hl.construct.convexity(16, 48, generator(3), bimodal=bimodal)
    program = hl.decode(net)
    assert program.label == "convexity" and program.random and program.numbers <= 5
    (part,) = program.parts
    assert part.family == ("two-valued" if bimodal else "normal")
    assert part.levels[1] == pytest.approx(float(net.weights[0].std()), rel=0.05)
    x, y = hl.get_task("l1").sample(4096, 16, generator(1))
    assert program.loss(x, y) == pytest.approx(float(net.loss(x, y)), abs=0.05)  # other weights do as well
    assert 0.3 < program.kept < 0.7  # although they give other outputs
    first, second = program.network(1).weights[0], program.network(2).weights[0]
    assert not torch.equal(first, second) and torch.equal(first, program.network(1).weights[0])


@pytest.mark.parametrize("case", specimens((8, 16)), ids=lambda case: case.name)
def test_the_form_of_a_constructions_program_is_its_algorithm(case):
    program = hl.decode(case.build())
    assert program.label == case.phase and program.numbers <= 6


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_does_not_change_the_program(noise):
    for net in (hl.construct.double_sided(16, hidden=48), hl.construct.pudding(16, hidden=48)):
        program, noisy = hl.decode(net), hl.decode(perturb(net, noise, generator(1)))
        assert noisy.label == program.label and noisy.kept > 0.97
        assert abs(noisy.numbers - program.numbers) <= 4


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_halfway_from_pudding_to_double_sided_there_is_one_change(share):
    """Inputs are double-sided one after the other, by swish(-z) = swish(z) - z; the sum carries the rest."""
    n, std = 16, l1_moments(16)[1]
    both = round(share * n)
    own = torch.cat([-6 * torch.eye(n), 6 * torch.eye(n)[:, :both]], 1)
    out = torch.full((n + both,), 2 / (6 * std))
    out[:both] = out[n:] = 1 / (6 * std)
    rest = torch.zeros(n, 1)
    rest[both:] = 0.3
    net = hl.Network(
        [torch.cat([own, rest], 1), torch.cat([out, torch.tensor([1 / (0.3 * std)])])[:, None]],
        [torch.cat([torch.zeros(n + both), torch.tensor([9.0])]), torch.zeros(1)],
    )
    program = hl.decode(net)
    assert program.kept > 0.999
    assert program.label == ("double-sided" if share > 0.5 else "pudding") or share == 0.5


@pytest.mark.parametrize(("seed", "which"), [(1, 0), (2, 0), (3, 1), (4, 2)])
def test_order_of_neurons_and_inputs_does_not_matter(seed, which):
    g = generator(seed)
    pudding = perturb(hl.construct.pudding(16, hidden=48), 0.05, generator())
    net = [memorised(1), hl.construct.convexity(16, 48, 5), pudding]
    inputs, hidden = torch.randperm(16, generator=g), torch.randperm(48, generator=g)
    program, moved = hl.decode(net[which]), hl.decode(permuted(net[which], inputs, hidden))
    assert (moved.numbers, moved.label, moved.digits) == (program.numbers, program.label, program.digits)
    assert moved.bits == pytest.approx(program.bits) and moved.kept == pytest.approx(program.kept, abs=1e-4)
    assert [p.levels for p in moved.parts] == [p.levels for p in program.parts]
    for part, other in zip(program.parts, moved.parts, strict=True):
        assert {int(hidden[j]) for j in other.neurons} == set(part.neurons)
    again = permuted(program.network(), inputs, hidden)
    torch.testing.assert_close(moved.network().weights, again.weights)


def test_the_same_network_gives_the_same_program():
    first, second = hl.decode(memorised(2)), hl.decode(memorised(2))
    assert first.text == second.text and first.bits == second.bits and first.kept == second.kept
    torch.testing.assert_close(first.network().weights, second.network().weights, rtol=0, atol=0)


def test_several_outputs():
    net = hl.construct.double_sided(8)
    linear = torch.zeros(16, 1)
    linear[:8], linear[8:] = 0.07, -0.07  # swish(z) - swish(-z) = z: the second output is the sum of the inputs
    both = hl.Network(
        [net.weights[0], torch.cat([net.weights[1], linear], 1)], [net.biases[0], torch.tensor([-1.0, 0.0])]
    )
    program = hl.decode(both)
    assert program.label == "double-sided" and program.kept > 0.999
    assert program.text.splitlines()[1] == "y_2 = -0.07 sum_i swish(-5 x_i) + 0.07 sum_i swish(5 x_i)"
    assert "aligned" in program.latex
    assert program.network().shape == (8, 16, 2)


def test_what_does_nothing_becomes_part_of_the_bias():
    net = hl.construct.double_sided(4)
    W = torch.cat([net.weights[0], torch.zeros(4, 2)], 1)  # two constant neurons
    v = torch.cat([net.weights[1], torch.ones(2, 1)])
    padded = hl.Network([W, v], [torch.cat([net.biases[0], torch.full((2,), 3.0)]), net.biases[1]])
    program = hl.decode(padded)
    assert program.numbers == 3
    assert program.groups.iloc[-1]["reads"] == "nothing" and program.groups.iloc[-1]["neurons"] == [8, 9]
    constant = 2 * 3 / (1 + math.exp(-3))
    assert program.bias[0] == pytest.approx(float(net.biases[1]) + constant, rel=0.01)


def test_small_and_strange_networks():
    one = hl.Network([torch.tensor([[2.0]]), torch.tensor([[1.0]])], [torch.zeros(1), torch.zeros(1)])
    assert hl.decode(one).text == "y = swish(2 x_1)"
    dead = hl.Network([torch.zeros(3, 4), torch.zeros(4, 1)], [torch.zeros(4), torch.full((1,), 2.5)])
    program = hl.decode(dead)
    assert (program.text, program.label, program.numbers, program.kept) == ("y = 2.5", "constant", 1, 1.0)
    relay = hl.Network([torch.full((5, 3), 0.01), torch.ones(3, 1)], [torch.full((3,), 20.0), torch.zeros(1)])
    assert hl.decode(relay).label == "linear"


def test_the_programs_network_holds_only_its_numbers():
    for net in (memorised(4), perturb(hl.construct.pudding(16, hidden=48), 0.05, generator())):
        program = hl.decode(net)
        assert distinct(program.network()) <= program.numbers
        assert program.network().weights[0].dtype == net.weights[0].dtype
        x = torch.randn(4096, 16, generator=generator(9))
        left = (program.network()(x) - net(x)).square().mean() / net(x).var()
        assert 1 - float(left) == pytest.approx(program.kept, abs=2e-3)


def test_a_large_tolerance_gives_a_short_program():
    net = perturb(hl.construct.double_sided(8, hidden=24), 0.1, generator(2))
    assert hl.decode(net, tolerance=1e-4).bits >= hl.decode(net).bits >= hl.decode(net, tolerance=0.5).bits


def test_curve_loses_more_with_fewer_constants():
    table = curve(memorised(3))
    assert table["numbers"].is_monotonic_increasing and table["lost"].is_monotonic_decreasing
    assert table.loc[table["numbers"] <= 4, "lost"].min() < 0.01


def test_errors_name_what_is_wrong():
    net = hl.construct.double_sided(4)
    with pytest.raises(TypeError, match="expected a Network"):
        hl.decode("network")
    with pytest.raises(ValueError, match="batch axes"):
        hl.decode(net.map(lambda t: t[None]))
    deep = hl.Network([torch.ones(2, 2)] * 3, [torch.ones(2)] * 3)
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2, 2\); expected one hidden layer"):
        hl.decode(deep)
    with pytest.raises(ValueError, match="not all finite"):
        hl.decode(net.map(lambda t: t * math.nan))
    with pytest.raises(ValueError, match="tolerance is 2"):
        hl.decode(net, tolerance=2)


def test_assignments_cost_what_a_count_of_possibilities_says():
    every = np.ones(4)
    assert assignment_bits((1, 3), 4, every) == 1  # each input once
    assert assignment_bits((1, 3), 2, np.array([2.0])) == pytest.approx(1 + math.log2(10))  # 2 of 4 with repetition
    assert assignment_bits((4,), 7, np.array([7.0])) == 1


@pytest.mark.parametrize("family", ["two-valued", "normal", "heavy-tailed"])
def test_draws_are_centred_and_of_unit_variance(family):
    z = draw(family, 5.0, (8, 3, 20), np.random.default_rng(0).random(480)).reshape(8, 3, 20)
    np.testing.assert_allclose(z.mean(-1), 0, atol=1e-12)
    np.testing.assert_allclose((z**2).mean((0, 2)), 1)


def test_a_pudding_whose_inputs_choose_their_signs():
    net = hl.construct.pudding(8, hidden=24)
    signs = torch.tensor([1.0, -1, 1, 1, -1, -1, 1, -1])
    program = hl.decode(hl.Network([net.weights[0] * signs[:, None], net.weights[1]], net.biases))
    assert program.label == "pudding, mixed signs" and program.label in LABELS
    assert program.kept > 0.99 and program.numbers <= 7


def test_a_program_prints_as_its_formula():
    program = hl.decode(hl.construct.double_sided(n=4))
    assert repr(program) == f"Program of {program.numbers} numbers, double-sided: {program.text}"


def rescaled(net: hl.Network, inputs: float = 1.0, outputs: float = 1.0, offset: float = 0.0) -> hl.Network:
    (W, v), (b, c) = net.weights, net.biases
    return hl.Network([W / inputs, v * outputs], [b, c * outputs + offset], activation=net.activation)


@pytest.mark.parametrize("inputs", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("outputs", [1e-30, 1e-8, 1e8, 1e30])
def test_units_of_inputs_and_outputs_change_nothing_but_constants(inputs, outputs):
    net, x = (
        perturb(hl.construct.pudding(8, hidden=24), 0.02, generator(3)),
        torch.randn(3000, 8, generator=generator()),
    )
    program, other = hl.decode(net, x), hl.decode(rescaled(net, inputs, outputs), x * inputs)
    assert (other.label, other.numbers, other.digits) == (program.label, program.numbers, program.digits)
    assert other.bits == pytest.approx(program.bits) and other.kept == pytest.approx(program.kept, abs=1e-5)
    for part, same in zip(program.parts, other.parts, strict=True):
        assert same.neurons == part.neurons and same.bias == pytest.approx(part.bias, rel=0.02)
        np.testing.assert_allclose(np.array(same.levels) * inputs, part.levels, rtol=0.02)
        np.testing.assert_allclose(same.output / outputs, part.output, rtol=0.02)


@pytest.mark.parametrize("first", [1e-4, 1e-2, 1e6, 1e20, 1e30])
def test_first_layers_of_any_size(first):
    (W, v), (b, c) = hl.construct.double_sided(8).weights, hl.construct.double_sided(8).biases
    program = hl.decode(hl.Network([W * first, v], [b, c]))
    assert (program.label, program.numbers) == ("double-sided", 3) and program.kept > 0.999
    assert program.parts[0].levels[-1] == pytest.approx(-5 * first) or program.parts[0].levels[0] == pytest.approx(
        5 * first
    )


def test_outputs_far_from_zero():
    program = hl.decode(rescaled(hl.construct.double_sided(8).map(torch.Tensor.double), offset=1e6))
    assert program.kept > 0.999 and program.text.startswith("y = 99999")


def test_what_varies_less_than_single_precision_tells_is_constant():
    net = hl.construct.double_sided(4)
    program = hl.decode(hl.Network([net.weights[0] * 1e-9, net.weights[1]], net.biases))
    assert (program.label, program.parts) == ("constant", ()) and program.kept > 0.999


def test_a_program_is_fitted_to_the_inputs_that_are_given():
    net = hl.construct.double_sided(8)
    far = torch.rand(500, 8, generator=generator()) + 3  # where all inputs are positive, the sum is all there is
    program = hl.decode(net, far)
    assert program.label == "linear" and program.groups["reads"][0] == "sum" and program.kept > 0.999
    assert program.loss(far, net(far) + 0.1) == pytest.approx(0.01, rel=0.2)
    assert hl.decode(net, far.numpy()).text == program.text
    for wrong, said in ((far[:, 1:], "(batch, 8)"), (far[:3], "at least 16 rows"), (far * 0, "inputs that vary")):
        with pytest.raises(ValueError, match=re.escape(said)):
            hl.decode(net, wrong)


def test_a_program_that_keeps_little_says_so():
    g = generator(1)  # 8 neurons that have nothing in common
    net = hl.Network(
        [torch.randn(4, 6, generator=g), torch.randn(6, 1, generator=g)], [torch.randn(6, generator=g), torch.zeros(1)]
    )
    with pytest.warns(KeepsLittle, match=r"keeps \d+ % of the variance"):
        program = hl.decode(net, tolerance=0.999)
    assert 0 <= program.kept < 0.5 and f"keeps {100 * program.kept:.0f} %" in program.text
    assert program.label != "linear" or program.parts


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_networks(name):
    z = torch.linspace(-30, 30, 1201, dtype=torch.float64, requires_grad=True)
    values = ACTIVATIONS[name](z)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    mine, slope = PAIRS[name].pair(z.detach().numpy())
    np.testing.assert_allclose(mine, values.detach(), atol=3e-9)
    np.testing.assert_allclose(np.delete(slope, 600), np.delete(slopes.numpy(), 600), atol=3e-9)
    assert PAIRS[name].pair(z.detach().numpy().astype(np.float32))[1].dtype == np.float32


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_of_every_activation_are_decoded(name):
    net, bias = hl.construct.double_sided(8, hidden=16), torch.full((16,), 0.5)
    net = perturb(hl.Network(net.weights, [bias, net.biases[1]]), 0.01, generator())
    program = hl.decode(hl.Network(net.weights, net.biases, activation=name))
    assert program.kept > 0.99 and program.numbers <= 5 and program.network().activation == name
    assert f"{name}(" in program.text
