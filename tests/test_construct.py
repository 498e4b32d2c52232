"""The exact constructions compute the L1 norm, with the promised neurons and to the stated accuracy (section 2.1)."""

import math

import pytest
import torch
from specimens import specimens

from hyperbook.studies.algorithms import isotropic_floor, swish_loss
from hyperlib.algorithms.construct import (
    SHARPNESS,
    convexity,
    double_sided,
    pudding,
    smoothing_error,
)
from hyperlib.algorithms.order_parameters import double_sidedness, strongest_connection
from hyperlib.network import Network
from hyperlib.problems import L1, l1_moments


def sample(n: int, batch: int = 20_000, dtype=torch.float64):
    return L1.sample(batch, n, torch.Generator().manual_seed(11), dtype=dtype)


@pytest.mark.parametrize("case", specimens(), ids=lambda case: case.name)
def test_cases_keep_their_promises(case):
    net = case.build()
    assert net.shape == (case.n, case.hidden, 1)
    assert net.loss(*sample(case.n, 8192, torch.float32)).item() <= case.loss_bound


def test_cases_have_unique_names_and_every_phase_at_every_size():
    table = specimens((4, 7))
    assert len({case.name for case in table}) == len(table)
    assert {(case.n, case.phase) for case in table} == {
        (n, name) for n in (4, 7) for name in ("convexity", "pudding", "double-sided")
    }


@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_the_fewest_hidden_neurons_are_2n_and_n_plus_1(n):
    assert double_sided(n).shape == (n, 2 * n, 1)
    assert pudding(n).shape == (n, n + 1, 1)
    with pytest.raises(ValueError, match=f"hidden is .* expected a whole number, {2 * n} or more"):
        double_sided(n, hidden=2 * n - 1)
    with pytest.raises(ValueError, match=f"hidden is .* expected a whole number, {n + 1} or more"):
        pudding(n, hidden=n)


@pytest.mark.parametrize("sharpness", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("n", [1, 3, 16])
@pytest.mark.parametrize(
    "build",
    [double_sided, pudding, lambda n, **keys: pudding(n, sign=-1, hidden=3 * n, **keys)],
    ids=["2n", "n+1", "-"],
)
def test_loss_is_the_closed_form(build, n, sharpness):
    net = build(n, sharpness=sharpness, dtype=torch.float64)
    x, y = sample(n, 100_000)
    error = net(x) - y
    # five standard errors of a mean of squares
    tolerance = 5 * error.square().std().item() / math.sqrt(len(x))
    assert net.loss(x, y).item() == pytest.approx(swish_loss(sharpness), abs=tolerance)
    assert tolerance < 0.25 * swish_loss(sharpness)


def test_smoothing_error_against_a_fine_sum():
    x = torch.linspace(-12, 12, 2_000_001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    error = x.abs() - x * torch.tanh(SHARPNESS * x / 2)
    mean = (error * density).sum()
    variance = (error.square() * density).sum() - mean**2
    assert smoothing_error(SHARPNESS) == pytest.approx((mean.item(), variance.item()), rel=1e-8)


def test_very_sharp_networks_are_exact():
    x, y = sample(16)
    for net in (double_sided(16, 1e4, dtype=torch.float64), pudding(16, sharpness=1e4, dtype=torch.float64)):
        assert net.loss(x, y).item() < 1e-10


@pytest.mark.parametrize("sign", [+1, -1])
def test_pudding_and_double_sided_are_the_same_function(sign):
    x, _ = sample(16)
    one = double_sided(16, dtype=torch.float64)(x)
    torch.testing.assert_close(pudding(16, sign, dtype=torch.float64)(x), one, atol=1e-3, rtol=0)


def test_single_precision_costs_nothing():
    x, y = sample(32)
    for build in (double_sided, pudding):
        single, double = build(32), build(32, dtype=torch.float64)
        assert single.weights[0].dtype == torch.float32
        assert single.loss(x.float(), y.float()).item() == pytest.approx(double.loss(x, y).item(), rel=1e-3)


@pytest.mark.parametrize("sign", [+1, -1])
def test_signs_of_pudding(sign):
    W = pudding(5, sign, hidden=9).weights[0]
    assert torch.equal(W[:, :5], -sign * SHARPNESS * torch.eye(5))
    assert bool((sign * W[:, 5:] > 0).all())


@pytest.mark.parametrize("sign", [+1, -1])
def test_equation_3_is_imperfect_and_unbiased(sign):
    x, y = sample(16)
    mean, std = l1_moments(16)
    for mixing in (1 / 32, 1 / 16):
        net = pudding(16, sign, mixing=mixing, sharpness=500.0, dtype=torch.float64)
        exact = ((x - mixing * x.sum(1, keepdim=True)).abs()).sum(1, keepdim=True)  # the same with ReLU
        scale = math.sqrt(1 - 2 * mixing + 16 * mixing**2)
        torch.testing.assert_close(net(x), (exact - scale * mean) / std, atol=0.01, rtol=0)
        assert net(x).mean().item() == pytest.approx(y.mean().item(), abs=0.01)
        assert 10 * swish_loss(500.0) < net.loss(x, y).item() < 0.2


def test_at_mixing_1_over_n_the_shared_neurons_are_idle():
    assert not pudding(8, mixing=1 / 8).weights[1][8:].any()


@pytest.mark.parametrize("bimodal", [False, True])
def test_convexity(bimodal):
    net = convexity(16, 480, 3, scale=0.5, bimodal=bimodal, dtype=torch.float64)
    W, alpha = net.weights
    assert W.std().item() == pytest.approx(0.5, rel=0.05)
    torch.testing.assert_close(W.mean(1), torch.zeros(16, dtype=torch.float64), atol=1e-12, rtol=0)
    assert len(alpha.unique()) == 1
    assert alpha[0] > 0
    x, y = sample(16)
    # Many random directions come near the best function of the length, but cannot do better.
    assert 0.95 * isotropic_floor(16) < net.loss(x, y).item() < 2 * isotropic_floor(16)


def test_bimodal_magnitudes_are_alike_and_unimodal_ones_are_not():
    for bimodal, low, high in ((True, 0, 0.3), (False, 0.6, 0.9)):
        magnitude = convexity(16, 480, 0, bimodal=bimodal).weights[0].abs()
        assert low <= (magnitude.std() / magnitude.mean()).item() < high


def test_convexity_repeats_with_its_seed():
    assert torch.equal(convexity(8, 24, 1).weights[0], convexity(8, 24, 1).weights[0])
    assert not torch.equal(convexity(8, 24, 1).weights[0], convexity(8, 24, 2).weights[0])


@pytest.mark.parametrize("case", specimens((8,)), ids=lambda case: case.name)
def test_permuting_hidden_neurons_changes_nothing(case):
    net = case.build()
    order = torch.randperm(case.hidden, generator=torch.Generator().manual_seed(0))
    W, v = net.weights
    other = Network([W[:, order], v[order]], [net.biases[0][order], net.biases[1]])
    x, _ = sample(8, 256, torch.float32)
    torch.testing.assert_close(other(x), net(x), atol=1e-4, rtol=0)
    for alpha in (double_sidedness, strongest_connection):
        assert alpha(other.weights[0]).item() == alpha(W).item()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: double_sided(0), ValueError, "n is 0"),
        (lambda: double_sided(2.0), ValueError, "n is 2.0"),
        (lambda: double_sided(4, sharpness=-1), ValueError, "sharpness is -1"),
        (lambda: swish_loss(math.inf), ValueError, "sharpness is inf"),
        (lambda: pudding(4, sign=0), ValueError, "sign is 0"),
        (lambda: pudding(4, shared=0), ValueError, "shared is 0"),
        (lambda: pudding(4, mixing=0.3), ValueError, "mixing is 0.3"),
        (lambda: convexity(4, 1, 0), ValueError, "expected a whole number, 2 or more"),
        (lambda: convexity(4, 8, 0, scale=0), ValueError, "scale is 0"),
        (lambda: convexity(4, 8, "0"), TypeError, "generator is '0'"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
