"""Values that a hostile tester handed to the library: each gives the right number or an error that names it."""

import json
import math
import warnings

import numpy as np
import pytest
import torch
from scipy import integrate

import hyperlib as hl
from hyperbook.studies.algorithms import swish_loss
from hyperlib.checks import check_beta
from hyperlib.figures.networks import draw_network


def net_of(W: torch.Tensor) -> hl.Network:
    """A network with first-layer weight W and ones behind it."""
    hidden = W.shape[-1]
    ones = torch.ones(*W.shape[:-2], hidden, 1).to(W.dtype)
    return hl.Network([W, ones], [ones[..., 0] * 0, ones[..., 0, :] * 0])


# --- constructions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharpness", [1e-12, 1e-6, 1e-3, 0.02, 0.3, 5.0, 1e3, 1e9])
def test_loss_of_swish_constructions_at_any_sharpness(sharpness):
    """Against the same integral in units of x; as the sharpness falls, the error becomes |x| and the loss 1."""
    s, half = sharpness, math.sqrt(2 / math.pi)
    top = min(12, 60 / s)

    def moment(k):
        def f(x):
            return (2 * x / (1 + math.exp(min(s * x, 700)))) ** k * math.exp(-x * x / 2) * half

        return integrate.quad(f, 0, top, epsabs=0, epsrel=1e-11)[0]

    expected = (moment(2) - moment(1) ** 2) / (1 - 2 / math.pi)
    assert swish_loss(sharpness) == pytest.approx(expected, rel=1e-6)
    assert 0 < swish_loss(sharpness) <= 1 + 1e-9


def test_a_construction_of_tiny_sharpness_predicts_the_mean():
    x, y = hl.get_task("l1").sample(20_000, 8, torch.Generator().manual_seed(0), dtype=torch.float64)
    for make in (hl.construct.double_sided, hl.construct.pudding):
        net = make(8, sharpness=1e-4, dtype=torch.float64)
        assert float(net.loss(x, y)) == pytest.approx(1.0, abs=0.03)


# --- tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [torch.ones(3, 4, dtype=torch.int64), torch.ones(3, 4, dtype=torch.bool)])
def test_targets_of_whole_numbers_are_refused(x):
    with pytest.raises(TypeError, match=r"x is torch\.(int64|bool); expected a floating point tensor"):
        hl.get_task("l1").targets(x)


@pytest.mark.parametrize("x", [[1.0, 2.0], np.ones((3, 4)), None])
def test_targets_of_what_is_no_tensor_are_refused(x):
    with pytest.raises(TypeError, match=r"x is \w+; expected a"):
        hl.get_task("l1").targets(x)


# --- order parameters, classification, drawing -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_network_with_an_infinite_weight_has_no_algorithm(value):
    W = hl.construct.pudding(n=4, hidden=12).weights[0].clone()
    W[2] = value
    with pytest.raises(ValueError, match="not finite"):
        hl.classify(net_of(W))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_networks_are_classified_and_drawn(dtype):
    net = hl.construct.pudding(n=4, hidden=12).map(lambda tensor: tensor.to(dtype))
    assert hl.classify(net) == "pudding"
    drawing = hl.layout(net, steps=20)
    assert all(bool(level.isfinite().all()) for level in drawing.positions)
    draw_network(net).canvas.draw()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.to("meta"), ".*torch.strided, on meta; expected a dense tensor"),
        (lambda t: t.to_sparse(), ".*torch.sparse_coo, on cpu; expected a dense tensor"),
        (lambda t: t.to(torch.float8_e5m2), "torch.float8_e5m2.*; expected .* 16 bits or more"),
    ],
)
def test_tensors_that_nothing_can_be_computed_with_are_refused(change, said):
    with pytest.raises(TypeError, match=f"weight of layer 0 is {said}"):
        hl.construct.pudding(n=4).map(change)


def test_weights_that_are_too_large_to_draw_are_refused():
    net = hl.construct.pudding(n=3)
    assert all(level.isfinite().all() for level in hl.layout(net.map(lambda t: t * 1e25), steps=20).positions)
    with pytest.raises(ValueError, match=r"weights of layer 0 reach \S+e\+37; expected 1e\+30 at most"):
        hl.layout(net.map(lambda t: t * 1e37), steps=20)


def test_a_drawing_is_equal_to_itself_alone():
    one, other = (hl.layout(hl.construct.pudding(n=3), steps=20) for _ in range(2))
    assert one == one and one != other and len({one, other}) == 2


# --- beta ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> hl.ParetoHypernetwork:
    return hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), [0], compiled=False).model(0)


@pytest.mark.parametrize("beta", [True, [True, False], np.array([True]), torch.tensor(True), 1 + 2j, "1e-3", None])
def test_a_beta_that_is_no_real_number_is_refused(model, beta):
    with pytest.raises(ValueError, match=r"beta is .*expected positive finite numbers"):
        model.generate(beta)


@pytest.mark.parametrize("beta", [1e-30, 1e3, [1e-6, 1e-20]])
def test_a_beta_far_outside_the_trained_range_is_a_warning(model, beta):
    with pytest.warns(UserWarning, match="beta .* outside the trained range from 1e-12 to 1"):
        model.generate(beta)


def test_a_beta_keeps_its_digits():
    assert check_beta([1e-12, 0.3]).tolist() == [1e-12, 0.3]


@pytest.mark.parametrize("beta", [1e-12, 1.0, 1, np.float32(1e-12), np.geomspace(1e-12, 1, 5)])
def test_a_beta_at_the_ends_of_the_range_is_none(model, beta):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.generate(beta)


# --- configurations --------------------------------------------------------------------------------------------------


def test_numpy_numbers_in_a_configuration_are_stored_as_plain_ones():
    plain = hl.TrainConfig(
        seeds=(3, 4), steps=10, shape=(4, 12, 1), learning_rate=0.5, architecture=hl.Architecture(random=4)
    )
    config = hl.TrainConfig(
        seeds=np.arange(3, 5),
        steps=np.int64(10),
        shape=np.array([4, 12, 1]),
        learning_rate=np.float32(0.5),
        architecture=hl.Architecture(random=np.int32(4), periods=np.array([2.0, 4.0, 8.0], dtype=np.float32)),
    )
    assert config == plain
    assert hl.TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == plain


@pytest.mark.parametrize("value", [10**400, math.inf, math.nan, True, "1", None, 1j])
@pytest.mark.parametrize("name", ["steps", "batch", "clip", "learning_rate"])
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is .*expected a (whole|finite) number"):
        hl.TrainConfig(**{name: value})


@pytest.mark.parametrize("seed", [2**64, 2**63])
def test_seeds_beyond_a_generator_are_refused(seed):
    with pytest.raises(ValueError, match=r"seeds .*expected .*below 2\^"):
        hl.TrainConfig(seeds=(seed,))


@pytest.mark.parametrize("periods", [(), (0.0,), (math.inf,), (math.nan, 2.0), "2", 4.0])
def test_periods_that_encode_nothing_are_refused(periods):
    with pytest.raises(ValueError, match=r"periods is .*expected"):
        hl.Architecture(periods=periods)


@pytest.mark.parametrize("seeds", [[0, 0], [1, 2, 1]])
def test_repeated_seeds_of_an_ensemble_are_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds .*expected distinct"):
        hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), seeds, compiled=False)


@pytest.mark.parametrize("seeds", [[-1], [2**64], [0.5], ["a"], 3])
def test_seeds_of_an_ensemble_that_are_no_seeds_are_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds .*expected"):
        hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), seeds, compiled=False)


@pytest.mark.parametrize("steps", [-1, 1.5, True, "3"])
def test_a_training_does_not_go_backwards(steps):
    ensemble = hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), [0], compiled=False)
    with pytest.raises(ValueError, match=r"steps is .*expected a whole number, 0 or more"):
        ensemble.advance(steps)
    assert ensemble.step == 0
