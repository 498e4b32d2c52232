"""Order parameters on weights where the answer is known by hand (equations 5 to 7)."""

import math

import numpy as np
import pytest
import torch
from specimens import specimens

from hyperlib.algorithms.order_parameters import (
    PHASES,
    THRESHOLDS,
    Thresholds,
    classify,
    double_sidedness,
    order_parameters,
    phase,
    seed_dependence,
    strongest_connection,
)
from hyperlib.network import Network

# Sides of input 0: 4 and 3; of input 1: 1 and 6. |W| sorted: 0.5 1 1 3 4 6, so that the median is 2.
BY_HAND = torch.tensor([[3.0, -4.0, 1.0], [-1.0, 6.0, 0.5]])


def test_alpha_1_and_alpha_2_by_hand():
    assert double_sidedness(BY_HAND).item() == 1 / 2
    assert strongest_connection(BY_HAND).item() == 6


def test_median_of_an_odd_count_is_the_middle_one():
    assert double_sidedness(torch.tensor([[1.5, -3.0, 4.0, -1.0, 2.0]])).item() == 3 / 2


def test_an_input_with_one_sign_only_has_negative_double_sidedness():
    assert double_sidedness(torch.tensor([[3.0, -3.0], [1.0, 2.0]])).item() == pytest.approx(-1 / 2.5)


def test_the_median_agrees_with_numpy():
    W = torch.randn(7, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weaker = np.minimum(-W.numpy().min(-1), W.numpy().max(-1)).min(-1)
    np.testing.assert_allclose(double_sidedness(W), weaker / np.median(np.abs(W.numpy()), axis=(1, 2)), rtol=1e-12)


@pytest.mark.parametrize(("weak", "alpha_1"), [(3.0, math.inf), (1.0, 0.0), (0.0, 0.0)])
def test_zero_median_compares_the_weaker_side_with_the_strongest(weak, alpha_1):
    W = torch.zeros(1, 7)
    W[0, :2] = torch.tensor([5.0, -weak])
    assert double_sidedness(W).item() == alpha_1


def test_alpha_3_by_hand():
    W, V = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, -2.0]])
    assert seed_dependence(W, V).item() == pytest.approx(16 / 10)
    assert seed_dependence(W, W).item() == 0
    assert seed_dependence(W, -W).item() == pytest.approx(2)
    assert seed_dependence(0 * W, 0 * W).item() == 0


def test_alpha_3_of_independent_weights_is_about_one():
    g = torch.Generator().manual_seed(0)
    assert seed_dependence(torch.randn(16, 48, generator=g), torch.randn(16, 48, generator=g)).item() == pytest.approx(
        1, abs=0.1
    )


def test_batch_axes_give_what_single_networks_give():
    g = torch.Generator().manual_seed(1)
    W, V = torch.randn(2, 3, 4, 5, generator=g), torch.randn(2, 3, 4, 5, generator=g)
    batched = order_parameters(W, V)
    for a in range(2):
        for b in range(3):
            single = order_parameters(W[a, b], V[a, b])
            torch.testing.assert_close(torch.stack([alpha[a, b] for alpha in batched]), torch.stack(single))


def test_permuting_hidden_neurons_changes_nothing():
    g = torch.Generator().manual_seed(2)
    W, V, order = torch.randn(6, 9, generator=g), torch.randn(6, 9, generator=g), torch.randperm(9, generator=g)
    torch.testing.assert_close(
        torch.stack(order_parameters(W, V)), torch.stack(order_parameters(W[:, order], V[:, order]))
    )


def test_alpha_3_notices_that_only_one_network_is_permuted():
    W = torch.eye(4)
    assert seed_dependence(W, W.roll(1, 1)).item() == pytest.approx(1)


@pytest.mark.parametrize("case", specimens((4, 16)), ids=lambda case: case.name)
def test_cases_have_their_known_order_parameters_and_phase(case):
    net = case.build()
    assert classify(net) == case.phase
    if case.alpha_1 is not None:
        assert double_sidedness(net.weights[0]).item() == pytest.approx(case.alpha_1)
        assert strongest_connection(net.weights[0]).item() == pytest.approx(case.alpha_2)


def test_phase_rule():
    names = phase([0.0, 9.0, 1.0, 9.0, math.inf], [1.0, 1.9, 2.0, 2.0, 5.0], Thresholds(strongest=2, double_sided=3))
    assert names.tolist() == ["convexity", "convexity", "pudding", "double-sided", "double-sided"]
    assert set(names) == set(PHASES)


def test_phase_broadcasts():
    assert phase(0.0, np.full((2, 3), 5.0)).shape == (2, 3)


def test_classify_batched_networks():
    weak, strong = torch.full((4, 12), 0.1), torch.tensor([5.0, -5.0] * 6).expand(4, 12)
    W = torch.stack([weak, strong])[None]
    net = Network([W, torch.ones(1, 2, 12, 1)], [torch.zeros(1, 2, 12), torch.zeros(1, 2, 1)])
    assert classify(net).tolist() == [["convexity", "pudding"]]
    assert classify(net[0, 1]) == "pudding"
    assert isinstance(classify(net[0, 1]), str)


def test_classify_uses_the_thresholds_that_it_is_given():
    net = specimens((4,))[0].build()
    assert classify(net, Thresholds(strongest=100, double_sided=THRESHOLDS.double_sided)) == "convexity"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: double_sidedness([[1.0]]), TypeError, "W is list"),
        (lambda: strongest_connection(torch.ones(2, 2, dtype=torch.long)), TypeError, "int64"),
        (lambda: double_sidedness(torch.ones(3)), ValueError, r"\(3,\)"),
        (lambda: double_sidedness(torch.ones(3, 0)), ValueError, r"\(3, 0\)"),
        (lambda: seed_dependence(torch.ones(2, 3), torch.ones(3, 2)), ValueError, "equal shapes"),
        (lambda: phase([1.0, math.nan], [1.0, 1.0]), ValueError, "alpha_1 is NaN in 1 of 2"),
        (lambda: classify(torch.ones(2, 2)), TypeError, "net is Tensor"),
        (lambda: Thresholds(strongest=0, double_sided=1), ValueError, "strongest is 0"),
        (lambda: Thresholds(strongest=1, double_sided=math.nan), ValueError, "double_sided is nan"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
