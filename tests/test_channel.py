"""What channels carry where memory is closed, and seeds that are trained on without their encoder."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import hyperlib as hl
from hyperbook.studies.channel import _Muted, carried, further, muted
from hyperlib.hyperhypernetwork import ParetoHypernetwork, initial_parameters
from hyperlib.hypernetwork import Hypernetwork


def run_of(shift: float, kl: float = 0.0) -> SimpleNamespace:
    """What `carried` reads of a run with one seed, whose channels begin at this shift of sigma."""
    shape, architecture = (4, 12, 1), hl.Architecture(sigma_shift=shift)
    parameters = initial_parameters(Hypernetwork(shape, architecture), seed=3)
    sweep = pd.DataFrame({"seed": [3], "step": [5], "beta": [1e-12], "kl": [kl], "loss": [0.2]})
    model = ParetoHypernetwork(parameters, shape, architecture)
    return SimpleNamespace(sweep=sweep, config=SimpleNamespace(steps=5), modelled=[3], model=lambda seed: model)


@pytest.mark.parametrize(("shift", "low", "high"), [(-14.0, 0.99, 1.0), (30.0, 0.0, 0.15)])
def test_channels_carry_where_their_noise_is_small_and_not_where_it_is_large(shift, low, high):
    table = carried(run_of(shift))
    assert table["hyperlayer"].tolist() == [2, 3, 4]
    assert table["carried"].between(low, high).all()
    assert (table["loss"] == 0.2).all()


def test_seeds_that_pay_for_memory_are_left_out():
    assert carried(run_of(0.0, kl=1000.0)).empty


def test_seeds_of_case_3d_go_on_from_where_they_were(tmp_path):
    before = hl.load_run("results/l1")
    run = further(before, tmp_path, encoder=False, seeds=1, steps=1, workers=0, compiled=False)
    parameters = before.model(1004).parameters
    assert run.seeds == [1004]
    assert not run.config.encoder and run.config.start_sha256
    moved = max(float((t - parameters[k]).abs().max()) for k, t in run.model(1004).parameters.items())
    assert moved < 0.01  # one step of Adam


def test_a_muted_channel_gives_noise_alone():
    hypernetwork = _Muted((4, 12, 1), hl.Architecture())
    g = torch.Generator().manual_seed(0)
    latent, noise = torch.randn(2, 8, 1, 60, generator=g), torch.randn(2, 4, 60, generator=g)
    sample, _ = hypernetwork._channel(latent, noise, encoder=False)
    other, _ = hypernetwork._channel(torch.cat([latent[:, :4] + 5, latent[:, 4:]], 1), noise, encoder=False)
    assert torch.equal(sample, other)
    assert (sample / noise > 0).all()  # sigma


def test_muted_decoders_are_trained_and_told_of():
    config = hl.TrainConfig(shape=(3, 6, 1), steps=5, batch=16, encoder=False, snapshots=1)
    table = muted(SimpleNamespace(config=config), [4, 5], every=2, compiled=False)
    assert table["step"].tolist() == [2, 2, 4, 4, 5, 5]
    assert table["seed"].tolist() == [4, 5] * 3
    assert table["loss"].between(0.01, 1000).all()
