"""The hyperhypernetwork and the networks that a trained model generates."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from hyperlib.config import TrainConfig
from hyperlib.hyperhypernetwork import (
    HIDDEN,
    ParetoHypernetwork,
    as_generator,
    check_beta,
    gate,
    hidden_state,
    hyperweights,
    initial_parameters,
)
from hyperlib.hypernetwork import Architecture, Hypernetwork

SHAPE = (3, 4, 1)


@pytest.fixture
def model() -> ParetoHypernetwork:
    """A model in float64 with random parameters, none of them zero."""
    parameters = initial_parameters(Hypernetwork(SHAPE), seed=0, dtype=torch.float64)
    g = torch.Generator().manual_seed(1)
    parameters = {k: v + 0.1 * torch.randn(v.shape, generator=g, dtype=v.dtype) for k, v in parameters.items()}
    return ParetoHypernetwork(parameters, SHAPE, Architecture())


def as_module(parameters: dict[str, Tensor]) -> torch.nn.Sequential:
    """The hyperhypernetwork of B.2.2 as plain torch layers: z -> 100 -> 10 -> (a, b), swish on hidden layers."""
    tables = [
        (parameters["weight1"][:, None], parameters["bias1"]),
        (parameters["weight2"], parameters["bias2"]),
        (parameters["map"][:-1].T, parameters["map"][-1]),
    ]
    module = torch.nn.Sequential()
    for weight, bias in tables:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        linear.load_state_dict({"weight": weight, "bias": bias})
        module.extend([linear, torch.nn.SiLU()])
    return module[:-1]


def networks_close(one, other, rtol=1e-12) -> None:
    for a, b in zip([*one.weights, *one.biases, one.kl], [*other.weights, *other.biases, other.kl], strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=1e-10)


# --- hyperhypernetwork -----------------------------------------------------------------------------------------------


def test_hyperweights_are_a_times_sigmoid_of_b(model):
    assert HIDDEN == (100, 10)
    log_beta = torch.tensor([-12.0, -7.3, 0.0], dtype=torch.float64)
    module = as_module(model.parameters)
    assert [layer.out_features for layer in module if isinstance(layer, torch.nn.Linear)][:-1] == list(HIDDEN)
    # log10(beta) of -12 to 0 becomes -1 to 1.
    ab = module(torch.tensor([[-1.0], [-7.3 / 6 + 1], [1.0]], dtype=torch.float64))
    count = Hypernetwork.count(Hypernetwork(SHAPE).sizes)
    a, b = ab[:, :count], ab[:, count:]
    expected = a / (1 + torch.exp(-b))
    assert expected.shape == (3, count)
    torch.testing.assert_close(model.hyperweights(10**log_beta), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gate(ab), expected)
    # The same through the seed axis that training uses.
    ensemble = {name: tensor.expand(3, *tensor.shape) for name, tensor in model.parameters.items()}
    torch.testing.assert_close(hyperweights(ensemble, log_beta), expected, rtol=1e-10, atol=1e-12)


def test_hidden_state_equals_a_sequential_module_for_every_seed():
    seeds = [initial_parameters(Hypernetwork(SHAPE), seed, dtype=torch.float64) for seed in range(3)]
    stacked = {name: torch.stack([p[name] for p in seeds]) for name in seeds[0]}
    log_beta = torch.tensor([-11.0, -4.5, -0.1], dtype=torch.float64)
    state = hidden_state(stacked, log_beta)
    assert state.shape == (3, HIDDEN[1] + 1)
    assert state[:, -1].eq(1).all()
    for s, parameters in enumerate(seeds):
        expected = as_module(parameters)[:-1](log_beta[s].reshape(1, 1) / 6 + 1)
        torch.testing.assert_close(state[s, :-1], expected[0])


def test_initial_parameters_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    one, same, other = (initial_parameters(Hypernetwork(SHAPE), seed) for seed in (5, 5, 6))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["map"], other["map"])
    assert torch.equal(torch.get_rng_state(), state)


def test_initial_hyperweights_have_the_scale_that_the_hypernetwork_asks_for():
    hypernetwork = Hypernetwork((16, 48, 1))
    drawn = torch.stack(
        [ParetoHypernetwork(initial_parameters(hypernetwork, s), (16, 48, 1), Architecture()).hyperweights(1e-6)
         for s in range(20)]
    )  # fmt: skip
    named = hypernetwork.unflatten(drawn, hypernetwork.sizes)
    scale = hypernetwork.unflatten(hypernetwork.initial_scale()[None], hypernetwork.sizes)
    for name, values in named.items():
        wanted = scale[name].mean()
        if wanted == 0:
            assert values.eq(0).all(), name
        else:
            # b and the 10 hidden features add to the bias row's scale: 1 to 1.4 times as wide.
            assert 0.9 < values.square().mean().sqrt() / wanted < 1.5, name


# --- generated networks ----------------------------------------------------------------------------------------------


def test_network_is_that_of_the_hypernetwork_at_these_hyperweights(model):
    hypernetwork = Hypernetwork(SHAPE)
    noise = torch.randn(1, hypernetwork.noise_size, generator=torch.Generator().manual_seed(2)).double()
    named = hypernetwork.unflatten(model.hyperweights(1e-5)[None], hypernetwork.sizes)
    for encoder in (True, False):
        weights, biases, kl = hypernetwork.generate(named, noise, encoder)
        net = model.generate(1e-5, generator=2, encoder=encoder)
        for layer in range(2):
            torch.testing.assert_close(net.weights[layer], weights[layer][0])
            torch.testing.assert_close(net.biases[layer], biases[layer][0])
        torch.testing.assert_close(net.kl, kl[0])


@pytest.mark.parametrize("beta", [1e-6, [1e-9, 1e-3], torch.logspace(-12, 0, 6).reshape(2, 3)], ids=["()", "2", "2x3"])
@pytest.mark.parametrize("count", [None, 1, 4])
def test_batch_axes_are_count_then_those_of_beta(model, beta, count):
    net = model.generate(beta, count=count)
    lead = (() if count is None else (count,)) + torch.as_tensor(beta).shape
    assert net.batch_shape == lead and net.kl.shape == lead and net.shape == SHAPE
    assert [tuple(w.shape) for w in net.weights] == [(*lead, 3, 4), (*lead, 4, 1)]
    assert [tuple(b.shape) for b in net.biases] == [(*lead, 4), (*lead, 1)]


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
def test_many_betas_and_copies_at_once_equal_one_at_a_time(model, encoder):
    betas = torch.tensor([[1e-11, 1e-7, 1e-5], [1e-4, 1e-2, 1.0]], dtype=torch.float64)
    size = Hypernetwork(SHAPE).noise_size
    noise = torch.randn(2, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = model.generate(betas, count=2, noise=noise, encoder=encoder)
    for c in range(2):
        for r in range(2):
            for s in range(3):
                alone = model.generate(betas[r, s].item(), noise=noise[c : c + 1], encoder=encoder)
                networks_close(together[c, r, s], alone)


def test_all_betas_share_the_noise_and_copies_do_not(model):
    same = model.generate([1e-6, 1e-6], generator=0)
    networks_close(same[0], same[1])
    copies = model.generate(1e-6, generator=0, count=2)
    assert (copies.weights[0][0] - copies.weights[0][1]).abs().max() > 1e-3


def test_same_generator_gives_the_same_network(model):
    state = torch.get_rng_state()
    one, same = model.generate(1e-6, generator=3), model.generate(1e-6, generator=torch.Generator().manual_seed(3))
    assert torch.equal(one.weights[0], same.weights[0])
    other = model.generate(1e-6, generator=4)
    assert (one.weights[0] - other.weights[0]).abs().max() > 1e-3
    g = torch.Generator().manual_seed(3)
    first, second = model.generate(1e-6, generator=g), model.generate(1e-6, generator=g)
    assert torch.equal(first.weights[0], one.weights[0]) and not torch.equal(second.weights[0], one.weights[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_encoder_is_on_for_the_trained_shape_and_off_for_others(model):
    networks_close(model.generate(1e-6), model.generate(1e-6, encoder=True))
    networks_close(model.generate(1e-6, shape=list(SHAPE)), model.generate(1e-6, encoder=True))
    assert model.generate(1e-6).kl > 0
    off = model.generate(1e-6, encoder=False)
    assert off.kl == 0 and (off.weights[0] - model.generate(1e-6).weights[0]).abs().max() > 1e-3
    other = model.generate(1e-6, shape=(5, 2, 3, 2), count=2)
    assert other.shape == (5, 2, 3, 2) and torch.equal(other.kl, torch.zeros(2, dtype=torch.float64))
    networks_close(other, model.generate(1e-6, shape=(5, 2, 3, 2), count=2, encoder=False))


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
def test_permuting_hidden_neurons_in_the_parameters_permutes_the_network(model, encoder):
    # With the noise, and with the columns of the last map that make the learned vectors.
    hypernetwork, permutation = Hypernetwork(SHAPE), [2, 0, 3, 1]
    edges = [(layer, i, j) for layer, (n, m) in enumerate([(3, 4), (4, 1)]) for i in range(n) for j in range(m)]
    edge = {key: number for number, key in enumerate(edges)}
    levels = [range(3), permutation, range(1)]
    index = torch.tensor([edge[n, levels[n][i], levels[n + 1][j]] for n, i, j in edge])
    count = hypernetwork.count(hypernetwork.sizes)
    named = hypernetwork.unflatten(torch.arange(count)[None], hypernetwork.sizes)
    columns = torch.cat([(c[..., index] if name.startswith("learned") else c).flatten() for name, c in named.items()])
    table = model.parameters["map"][:, torch.cat([columns, columns + count])]
    moved = ParetoHypernetwork(model.parameters | {"map": table}, SHAPE, model.architecture)
    noise = torch.randn(1, hypernetwork.noise_size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moved_noise = noise.unflatten(1, (-1, hypernetwork.edges))[..., index].flatten(1)
    net = model.generate(1e-6, noise=noise, encoder=encoder)
    other = moved.generate(1e-6, noise=moved_noise, encoder=encoder)
    torch.testing.assert_close(other.weights[0], net.weights[0][:, permutation])
    torch.testing.assert_close(other.biases[0], net.biases[0][permutation])
    torch.testing.assert_close(other.weights[1], net.weights[1][permutation])
    torch.testing.assert_close(other.biases[1], net.biases[1])
    torch.testing.assert_close(other.kl, net.kl)


def test_double_gives_the_same_networks_in_float64():
    single = ParetoHypernetwork(initial_parameters(Hypernetwork(SHAPE), seed=0), SHAPE, Architecture())
    low, high = single.generate([1e-9, 1e-3], count=2), single.map(torch.Tensor.double).generate([1e-9, 1e-3], count=2)
    assert {t.dtype for t in [*low.weights, *low.biases, low.kl]} == {torch.float32}
    assert {t.dtype for t in [*high.weights, *high.biases, high.kl]} == {torch.float64}
    for a, b in zip([*low.weights, *low.biases, low.kl], [*high.weights, *high.biases, high.kl], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)
    assert {t.dtype for t in single.parameters.values()} == {torch.float32}


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, -1e-3, math.nan, math.inf, [1e-3, -1.0]], ids=str)
def test_beta_that_is_not_positive_and_finite_is_an_error(model, beta):
    with pytest.raises(ValueError, match=r"beta is .*; expected positive finite numbers"):
        check_beta(beta)
    with pytest.raises(ValueError, match="expected positive finite numbers"):
        model.generate(beta)


def test_check_beta_keeps_small_values_exactly():
    assert check_beta(1e-12).item() == 1e-12
    assert check_beta([[1e-12, 1.0]]).dtype == torch.float64 and check_beta([[1e-12, 1.0]]).shape == (1, 2)


def test_encoder_with_another_shape_is_an_error(model):
    with pytest.raises(ValueError, match=r"encoder=True with shape \(5, 4, 1\): .* trained shape \(3, 4, 1\)"):
        model.generate(1e-6, shape=(5, 4, 1), encoder=True)


def test_impossible_shape_is_an_error(model):
    with pytest.raises(ValueError, match=r"shape is \(16, 0, 1\); expected at least two positive whole numbers"):
        model.generate(1e-6, shape=(16, 0, 1))


@pytest.mark.parametrize("generator", [True, 1.5, None, "0"], ids=repr)
def test_generator_of_another_kind_is_an_error(generator):
    with pytest.raises(TypeError, match=r"expected a torch.Generator or an integer seed"):
        as_generator(generator)


@pytest.mark.parametrize("rows", [2, 0])
def test_noise_of_another_size_is_an_error(model, rows):
    size = Hypernetwork(SHAPE).noise_size
    with pytest.raises(ValueError, match=rf"noise is .* \({rows}, {size}\); expected .* \(1, {size}\)"):
        model.generate(1e-6, noise=torch.zeros(rows, size, dtype=torch.float64))


def test_a_model_of_the_first_release_generates_what_it_did():
    """Architectures of that time have no gain. The file holds such a model, and what it generated then."""
    data = Path(__file__).parent / "data"
    told = json.loads((data / "first_release.json").read_text())
    architecture = TrainConfig.from_dict({"architecture": told}).architecture
    assert architecture.gain == 1 and Architecture().gain > 1
    stored = load_file(data / "first_release.safetensors")
    parameters = {name.removeprefix("model."): t.float() for name, t in stored.items() if name.startswith("model.")}
    net = ParetoHypernetwork(parameters, (3, 6, 2), architecture).generate([1e-6, 1e-2], generator=3, count=2)
    found = {f"weight{k}": w for k, w in enumerate(net.weights)} | {f"bias{k}": b for k, b in enumerate(net.biases)}
    for name, tensor in (found | {"kl": net.kl}).items():
        torch.testing.assert_close(tensor, stored[name], rtol=1e-5, atol=1e-6)
