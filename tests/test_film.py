"""The film of a seed: a group trained again gives the networks that its run has at the end."""

import torch

import hyperlib as hl
from hyperbook.studies import film
from hyperbook.studies.replay import trained_again
from hyperlib.files import write_tensors


def test_a_film_ends_with_the_networks_of_the_run(tmp_path):
    config = hl.TrainConfig(seeds=[3, 4, 5], steps=12, shape=(3, 5, 1), batch=8, snapshots=4)
    run = hl.train(config, tmp_path / "run", workers=0, compiled=False, progress=False)
    again = list(trained_again(run, [4], run.steps, compiled=False))
    assert [(seed, step) for seed, step, _ in again] == [(4, step) for step in run.steps]
    for name, tensor in run.model(4).parameters.items():
        assert torch.equal(again[-1][2].parameters[name], tensor)
    write_tensors(tmp_path / "film.safetensors", film.make_film(run, again))
    (found,) = film.read_films(tmp_path / "film.safetensors").values()
    assert found.steps == run.steps and found.betas[0] == run.betas[0] and found.betas[-1] == run.betas[-1]
    assert found.networks.batch_shape == (len(run.steps), film.PLACES)
    places = [run.betas.index(beta) for beta in found.betas]
    expected = run.networks(4)[places]
    for kept, whole in zip(found.networks[-1].weights, expected.weights, strict=True):
        torch.testing.assert_close(kept, whole, rtol=2e-3, atol=1e-6)
    assert not torch.equal(found.networks[0].weights[0], found.networks[-1].weights[0])
