"""The baseline of section 2.5 and the hypothesis about how it works."""

import math

import numpy as np
import pytest
import torch

from hyperbook.studies.baseline import load_baseline, make_baseline
from hyperbook.studies.kinks import kink_analysis
from hyperlib.algorithms import construct
from hyperlib.baseline import INTERVAL, train_adam
from hyperlib.files import RunError, locked, read_manifest, write_signed
from hyperlib.problems import L1
from penalty import absolute, spacings


@pytest.fixture(scope="module")
def trained():
    return train_adam((4, 12, 1), steps=450, seeds=(3, 8), batch=128)


def test_training_lowers_the_loss_on_fresh_inputs(trained):
    net, curve = trained
    assert net.shape == (4, 12, 1) and net.batch_shape == (2,)
    x, y = L1.sample(4096, 4, torch.Generator().manual_seed(0))
    loss = net.loss(x, y)
    assert (loss < 0.1).all()
    last = curve[curve["step"] == 450].set_index("seed")["loss"]
    np.testing.assert_allclose(last[[3, 8]], loss, rtol=0.25)
    assert (curve.groupby("seed")["loss"].first() > 2 * last).all()


def test_curve_averages_over_intervals(trained):
    _, curve = trained
    assert sorted(curve["step"].unique()) == [INTERVAL, 2 * INTERVAL, 3 * INTERVAL, 4 * INTERVAL, 450]
    assert curve["seed"].tolist()[:2] == [3, 8]


def test_a_seed_does_not_depend_on_its_company():
    both, _ = train_adam((3, 5, 1), steps=20, seeds=(1, 2), batch=16)
    alone, curve = train_adam((3, 5, 1), steps=20, seeds=(2,), batch=16)
    for a, b in zip(both.weights + both.biases, alone.weights + alone.biases, strict=True):
        torch.testing.assert_close(a[1], b[0], rtol=1e-4, atol=1e-5)
    again, same = train_adam((3, 5, 1), steps=20, seeds=(2,), batch=16)
    assert torch.equal(again.weights[0], alone.weights[0]) and same.equals(curve)


@pytest.mark.parametrize("penalty", [absolute, spacings])
def test_what_is_paid_for_gets_smaller_and_other_seeds_are_left_alone(penalty):
    prices = torch.tensor([0.0, 0.05, 0.0])
    net, _ = train_adam((4, 8, 1), "l1", 300, (0, 0, 1), 32, penalty=lambda weights: prices * penalty(weights))
    free, _ = train_adam((4, 8, 1), steps=300, seeds=(0, 1), batch=32)
    found = penalty(net.weights)
    assert found[1] < 0.7 * found[0]
    torch.testing.assert_close(net.weights[0][[0, 2]], free.weights[0])


def test_spacings_see_groups_and_nothing_else():
    one, other = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.4], [1.0, 0.6]])
    assert spacings([one]) == pytest.approx(math.log(21.0)) and spacings([one]) < spacings([other])
    assert spacings([one.flip(0) + 3, one]) == pytest.approx(2 * math.log(21.0), rel=1e-5)


def test_a_baseline_is_kept_and_checked(tmp_path, monkeypatch):
    settings = {"steps": 5, "seeds": (1, 2), "batch": 8}
    made = make_baseline(tmp_path, **settings)
    found = load_baseline(tmp_path)
    assert found.seeds == [1, 2] and found.curves.equals(made.curves) and found.settings == made.settings
    assert all(torch.equal(a, b) for a, b in zip(found.networks.weights, made.networks.weights, strict=True))
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "networks.safetensors", "curves.parquet"}
    with monkeypatch.context() as patch:
        patch.setattr("hyperbook.studies.baseline.train_adam", None)  # it is there already
        assert make_baseline(tmp_path, **settings).settings == made.settings
    with pytest.raises(RunError, match=r"has a baseline with steps 5, not 6; choose a new folder"):
        make_baseline(tmp_path, **settings | {"steps": 6})
    with locked(tmp_path), pytest.raises(RunError, match="is in use by process"):
        make_baseline(tmp_path, **settings)
    for name in ("networks.safetensors", "curves.parquet", "manifest.json"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(RunError, match=f"{name} is damaged"):
            load_baseline(tmp_path)
        (tmp_path / name).write_bytes(content)
    manifest = read_manifest(tmp_path)
    for odd in ({}, None, {"seeds": [1]}, {"seeds": "12"}, {"cpu_s": "a"}):
        write_signed(tmp_path / "manifest.json", manifest | {"settings": odd and manifest["settings"] | odd})
        with pytest.raises(RunError, match="is no baseline"):
            load_baseline(tmp_path)


def test_a_baseline_without_its_manifest_is_none_and_is_made_again(tmp_path):
    settings = {"steps": 5, "seeds": (1, 2), "batch": 8}
    made = make_baseline(tmp_path, **settings)
    (tmp_path / "manifest.json").unlink()  # as after a kill: it comes last
    (tmp_path / ".manifest.json.0a1b2c3d.tmp").touch()
    assert load_baseline(tmp_path) is None
    assert make_baseline(tmp_path, **settings).curves.equals(made.curves)
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "networks.safetensors", "curves.parquet"}


def test_start_is_that_of_torch_linear():
    net, _ = train_adam((64, 100, 1), steps=1, seeds=(0,), batch=2, learning_rate=1e-12)
    weight, bias = net.weights[0], net.biases[0]
    bound = 1 / 8
    assert weight.abs().max() <= bound and bias.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"seeds": ()}, {"learning_rate": 0}, {"shape": (4, 12, 2)}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"expected|output"):
        train_adam(**{"shape": (4, 12, 1), "steps": 1} | arguments)


def test_pudding_makes_kinks_with_assigned_neurons_and_corrects_slopes_with_shared_ones():
    found = kink_analysis(construct.pudding(8, sign=-1, hidden=24, sharpness=20))
    assert found.neurons["assigned"].sum() == 8 and len(found.neurons) == 24
    inputs = found.inputs
    np.testing.assert_allclose(inputs["kink_own"], 1, atol=0.02)
    np.testing.assert_allclose(inputs["kink"], 1, atol=0.02)
    np.testing.assert_allclose(inputs["slope_own"], 1, atol=0.05)
    np.testing.assert_allclose(inputs["slope"], 0, atol=0.05)
    assert (inputs["positive"] == 1).all() and (inputs["negative"] == 0).all()
    assert found.correction > 0.99


def test_double_sided_needs_no_correction():
    found = kink_analysis(construct.double_sided(8, sharpness=20))
    assert found.neurons["assigned"].all()
    np.testing.assert_allclose(found.inputs["kink_own"], 1, atol=0.02)
    np.testing.assert_allclose(found.inputs[["slope_own", "slope"]], 0, atol=0.05)
    assert (found.inputs[["positive", "negative"]] == 1).all(axis=None)
    assert found.neurons["strength"].sum() == pytest.approx(1)


def test_convexity_assigns_no_neuron():
    found = kink_analysis(construct.convexity(8, 24, 0, bimodal=True))
    assert not found.neurons["assigned"].any() and np.isnan(found.correction)
    assert (found.inputs["kink_own"] == 0).all() and found.inputs["kink"].mean() > 0.3
    # normal weights of 16 inputs seldom put more than half of their squares on one of them
    assert kink_analysis(construct.convexity(16, 480, 0)).neurons["assigned"].mean() < 0.05


def test_kinks_and_slopes_are_those_of_the_network():
    net = train_adam((4, 12, 1), steps=30, seeds=(0,), batch=32)[0][0].map(lambda t: t.double())
    inputs = kink_analysis(net).inputs
    x = torch.randn(8192, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    slope = torch.autograd.grad(net(x).sum(), x)[0] * L1.moments(4)[1]
    np.testing.assert_allclose(inputs["slope"], slope.mean(0), rtol=1e-8, atol=1e-10)
    kink = [(slope[x[:, i] > 0, i].mean() - slope[x[:, i] < 0, i].mean()).item() / 2 for i in range(4)]
    np.testing.assert_allclose(inputs["kink"], kink, rtol=1e-8)
