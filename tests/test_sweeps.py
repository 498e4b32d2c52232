"""Sweeps: what a row of the table says about the networks that it was measured on."""

import numpy as np
import pytest
import torch

import hyperlib as hl
from hyperlib.algorithms.structure import structure
from hyperlib.sweeps import CLOSED_KL, GENERATIONS, GENERATIONS_CLOSED, INPUT_SEED

BETAS = [1e-9, 1e-4, 1e-1]


@pytest.fixture(scope="module")
def model() -> hl.ParetoHypernetwork:
    return hl.Ensemble(hl.TrainConfig(seeds=(0,), shape=(4, 6, 1)), [0], compiled=False).model(0)


def test_a_row_is_the_mean_over_generation_seeds(model):
    table, _ = hl.sweep(model, betas=BETAS, samples=128, generations=3)
    x, y = hl.get_task("l1").sample(128, 4, torch.Generator().manual_seed(INPUT_SEED))
    nets = [model.generate(BETAS, generator=seed) for seed in range(3)]
    losses = torch.stack([net.loss(x, y) for net in nets]).numpy()
    np.testing.assert_allclose(table["loss"], losses.mean(0), rtol=1e-5)
    np.testing.assert_allclose(table["loss_se"], losses.std(0, ddof=1) / np.sqrt(3), rtol=1e-4)
    np.testing.assert_allclose(table["kl"], torch.stack([net.kl for net in nets]).mean(0), rtol=1e-5)
    W = [net.weights[0] for net in nets]
    pairs = [hl.order_parameters(W[a], W[b])[2] for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(table["alpha_3"], torch.stack(pairs).mean(0), rtol=1e-5)
    alpha_1 = torch.stack([hl.order_parameters(w, w)[0] for w in W])
    np.testing.assert_allclose(table["alpha_1"], np.median(alpha_1, axis=0), rtol=1e-5)
    assert table["generations"].tolist() == [3, 3, 3]


def test_the_networks_are_those_of_generation_seed_0(model):
    _, networks = hl.sweep(model, betas=BETAS, samples=16)
    torch.testing.assert_close(networks.weights[0], model.generate(BETAS, generator=0).weights[0])
    assert networks.batch_shape == (3,) and networks.kl.shape == (3,)


def test_a_closed_kl_is_measured_over_more_generation_seeds(model):
    assert float(hl.sweep(model, betas=BETAS, samples=16)[0]["kl"].max()) > CLOSED_KL
    assert set(hl.sweep(model, betas=BETAS, samples=16)[0]["generations"]) == {GENERATIONS}
    # without anything learned the encoder has nothing to say
    named = {name: tensor.clone() for name, tensor in model.parameters.items()}
    named["map"] *= 0.01
    closed = hl.ParetoHypernetwork(named, model.shape, model.architecture)
    table, _ = hl.sweep(closed, betas=BETAS, samples=16)
    assert table["kl"].max() < CLOSED_KL and set(table["generations"]) == {GENERATIONS_CLOSED}


def test_standard_errors_shrink_with_what_they_are_about(model):
    few, many = (hl.sweep(model, betas=BETAS, samples=64, generations=count)[0] for count in (8, 128))
    assert 0.1 < many["loss_se"].mean() / few["loss_se"].mean() < 0.5  # a quarter is expected
    short, long = (hl.sweep(model, betas=BETAS, samples=size, generations=4)[0] for size in (64, 4096))
    assert 0.05 < long["loss_input_se"].mean() / short["loss_input_se"].mean() < 0.3  # an eighth


def test_labels_follow_from_the_columns(model):
    from hyperlib.algorithms.order_parameters import phase
    from hyperlib.algorithms.structure import label

    table, networks = hl.sweep(model, betas=BETAS, samples=16)
    assert (label(table) == table["structure"]).all()
    assert (phase(table["alpha_1"], table["alpha_2"]) == table["phase"]).all()
    assert table["agreement"].between(0, 1).all() and len(structure(networks)) == 3


@pytest.mark.parametrize("bad", [1, 0, 2.5, "4"])
def test_too_few_generation_seeds_are_refused(model, bad):
    with pytest.raises(ValueError, match=r"generations is .*expected a whole number, 2 or more"):
        hl.sweep(model, betas=BETAS, generations=bad)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_measures_the_same_networks(model):
    here, there = (hl.sweep(model, betas=BETAS, device=device)[0] for device in ("cpu", "cuda"))
    np.testing.assert_allclose(here["loss"], there["loss"], rtol=1e-4)
