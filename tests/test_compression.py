"""From a given network to ever simpler ones: what goes in, what it begins with, what the path's table says."""

import itertools
import types
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import hyperlib as hl
from hyperbook.figures.slider import path_slider
from hyperbook.studies.compression import given_up, verdicts
from hyperlib import compression, experiment
from hyperlib.__main__ import app
from hyperlib.baseline import train_adam
from hyperlib.runs import pack_given
from hyperlib.training import distance

QUIET = {"workers": 0, "compiled": False, "progress": False, "snapshots": 1}


def random_net(shape=(4, 12, 1), activation="swish", seed=0, batch=()) -> hl.Network:
    g = torch.Generator().manual_seed(seed)
    layers = list(itertools.pairwise(shape))
    weights = [torch.randn(*batch, n, m, generator=g) for n, m in layers]
    return hl.Network(weights, [torch.randn(*batch, m, generator=g) for _, m in layers], activation=activation)


def as_relu(net: hl.Network) -> hl.Network:
    return hl.Network(net.weights, net.biases, activation="relu")


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("activation", ["swish", "relu"])
def test_a_small_network_is_compressed(activation, tmp_path):
    net, _ = train_adam((4, 12, 1), "l1", 300, (0,), activation=activation)
    run = hl.compress(net, "l1", tmp_path / "run", steps=160, match=120, **QUIET)
    assert (run.config.activation, run.config.architecture.gain) == (activation, 4)
    assert torch.equal(run.given.weights[0], net.weights[0])
    table = compression.path(run, programs=False)
    assert table["beta"].tolist() == [0.0, *run.betas]
    given, lowest = table.iloc[0], table.iloc[1]
    assert (given["kept"], given["distance"], given["signs"]) == (1, 0, 1)
    other = compression.compare(run.networks(0)[0], random_net(activation=activation).map(lambda t: 0.5 * t))
    assert lowest["distance"] < 0.7 * other["distance"] and lowest["nats"] > 100


@pytest.mark.usefixtures("light")
def test_a_network_of_two_hidden_layers_from_torch_with_a_seed_of_its_own(tmp_path):
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)).eval()
    with pytest.warns(UserWarning, match=r"does not do the task 'l1': its loss is \d"):
        run = hl.compress(module, "l1", tmp_path / "run", steps=8, seeds=[7], **QUIET)
    assert run.given.shape == (3, 5, 4, 1) and run.seeds == [7]
    assert "label" not in compression.path(run)


@pytest.mark.usefixtures("light")
def test_an_interrupted_compression_goes_on_with_the_same_numbers(tmp_path, monkeypatch):
    net = hl.construct.pudding(n=3, hidden=6)
    whole = hl.compress(net, "l1", tmp_path / "whole", steps=40, checkpoint_steps=10, **QUIET)
    done, save = [], experiment.Group.save

    def once(self):
        save(self)
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiment.Group, "save", once)
    with pytest.raises(KeyboardInterrupt):
        hl.compress(net, "l1", tmp_path / "run", steps=40, checkpoint_steps=10, **QUIET)
    again = hl.compress(net, "l1", tmp_path / "run", steps=40, checkpoint_steps=10, **QUIET)
    assert len(done) == 4 and again.networks(0) == whole.networks(0)
    with pytest.raises(hl.RunError, match="was started with another given_sha256"):
        hl.compress(net.map(lambda t: 1.01 * t), "l1", tmp_path / "run", steps=40, **QUIET)


def test_a_faithful_training_looks_at_inputs_and_not_at_targets():
    given, found = random_net(batch=(1,)), {}
    for faithful in (True, False):
        for task in ("l1", "max"):
            config = hl.TrainConfig(shape=(4, 12, 1), task=task, batch=16, match_steps=0, faithful=faithful)
            ensemble = hl.Ensemble(config, [0], compiled=False, given=given)
            ensemble.advance(2)
            found[faithful, task] = ensemble.model(0).parameters["map"]
    assert torch.equal(found[True, "l1"], found[True, "max"])
    assert not torch.equal(found[False, "l1"], found[False, "max"])


def test_a_faithful_training_of_classes_learns_the_outputs():
    given = random_net((10, 6, 5), batch=(1,))
    config = hl.TrainConfig(shape=(10, 6, 5), task="mod5", batch=16, faithful=True)
    ensemble = hl.Ensemble(config, [0], compiled=False, given=given)
    ensemble.advance(3)
    assert not ensemble.diverged()


@pytest.mark.parametrize(
    ("net", "task", "options", "words"),
    [
        (random_net((4, 6, 2)), "l1", {}, r"shape \(4, 6, 2\); task 'l1' has 1 output"),
        (random_net((4, 6, 1)), "max3", {}, "n is 4; task 'max3' has 3 inputs"),
        (random_net(batch=(2,)), "l1", {"seeds": [1]}, r"batch axes \(2,\), seeds is \(1,\); expected one network"),
        (random_net(batch=(2, 1)), "l1", {}, r"batch axes \(2, 1\), .*; expected one network, or one"),
        (random_net().map(lambda t: t / 0), "l1", {}, "numbers in layer 0 that are not finite"),
        (random_net().map(torch.zeros_like), "l1", {}, "only zeros as weights of layer 0"),
        (random_net(), "l1", {"steps": 2}, "steps is 2"),
        (random_net().map(lambda t: t - 1e4), "l1", {"faithful": True}, "gives the same output for all inputs"),
    ],
)
def test_what_does_not_fit_is_named(net, task, options, words, tmp_path):
    if options.get("faithful"):
        net = hl.Network([w.abs() * 0 + 1e-3 for w in net.weights], net.biases, activation="relu")
    with pytest.raises(ValueError, match=words):
        hl.compress(net, task, tmp_path / "run", **{**QUIET, **options})
    assert not (tmp_path / "run").exists()


def test_what_is_no_network_is_named(tmp_path):
    with pytest.raises(TypeError, match="net is str; expected a Network"):
        hl.compress("model", "l1", tmp_path / "run")
    with pytest.raises(TypeError, match="layer 0 of the module is LSTM"):
        hl.compress(nn.LSTM(3, 3), "l1", tmp_path / "run")


def test_a_model_of_another_library_gives_its_own_outputs():
    g = np.random.default_rng(0)
    sizes, x = [(4, 6), (6, 1)], g.normal(size=(16, 4))
    model = types.SimpleNamespace(activation="logistic", out_activation_="logistic")
    model.coefs_, model.intercepts_ = [g.normal(size=size) for size in sizes], [g.normal(size=m) for _, m in sizes]
    net = compression.check_given(model)
    hidden = 1 / (1 + np.exp(-(x @ model.coefs_[0] + model.intercepts_[0])))
    chance = 1 / (1 + np.exp(-(hidden @ model.coefs_[1] + model.intercepts_[1])))[:, 0]
    assert net.shape == (4, 6, 2) and np.allclose(net(torch.tensor(x).float()).softmax(-1)[:, 1], chance, atol=1e-5)
    model.activation = "identity"
    with pytest.raises(ValueError, match="the model has activation 'identity'; expected one of logistic, tanh, relu"):
        compression.check_given(model)


# --- files -----------------------------------------------------------------------------------------------------------


def test_networks_come_from_our_names_and_from_torch(tmp_path):
    net = random_net((3, 5, 4, 1), "tanh", batch=(2,))
    save_file(pack_given(net), tmp_path / "ours.safetensors")
    assert compression.read_network(str(tmp_path / "ours.safetensors"), "tanh") == net
    wide = nn.Sequential(*(layer for _ in range(11) for layer in (nn.Linear(2, 2), nn.ReLU())), nn.Linear(2, 1))
    save_file(wide.state_dict(), tmp_path / "torch.safetensors")  # layer 10 comes after layer 2
    found = compression.read_network(str(tmp_path / "torch.safetensors"), "relu")
    assert found == hl.Network.from_module(wide)
    save_file(nn.Linear(2, 1, bias=False).state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match="holds 'weight'; expected weight0, bias0"):
        compression.read_network(str(tmp_path / "bare.safetensors"))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"0.weight": torch.ones(3)}, "0. has no weight matrix"),
        ({"0.bias": torch.ones(3)}, "0. has no weight matrix"),
        ({"running_mean": torch.ones(3)}, "holds 'running_mean'"),
        ({"weight0": torch.ones(3, 4), "weight1": torch.ones(5, 1)}, "takes 5 inputs, but the layer before gives 4"),
    ],
)
def test_files_that_hold_no_network_are_named(tensors, words):
    with pytest.raises(ValueError, match=words):
        compression.from_tensors(tensors, "swish")


@pytest.mark.usefixtures("light")
def test_the_command_line_compresses_files_and_runs(tmp_path, capsys):
    save_file(hl.construct.pudding(n=3, hidden=6).to_module().state_dict(), tmp_path / "net.safetensors")
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    common = ["--task", "l1", "--steps", "8", "--workers", "0", "--no-compiled", "--no-programs"]
    app.cli(args=["compress", str(tmp_path / "net.safetensors"), "--out", first, *common])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eight steps do not make a network that does the task
        app.cli(args=["compress", f"{first}:0", "--out", second, *common])
    assert "kept" in capsys.readouterr().out
    run = hl.load_run(second)
    assert torch.equal(run.given.weights[0][0], hl.load_run(first).networks(0).weights[0][0])
    with pytest.raises(FileNotFoundError, match="expected a safetensors file, or RUN:SEED"):
        compression.read_network(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="activation is 'relu'"):
        compression.read_network(f"{first}:0", "relu")


# --- the path --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["swish", "tanh", "sigmoid"])
@pytest.mark.parametrize("shape", [(4, 12, 2), (3, 8, 7, 1)])
def test_matching_recovers_a_permuted_network(activation, shape):
    given, g = random_net(shape, activation), torch.Generator().manual_seed(1)
    weights, biases = list(given.weights), list(given.biases)
    for layer in range(len(shape) - 2):
        order = torch.randperm(shape[layer + 1], generator=g)
        sign = torch.ones(len(order))
        if activation != "swish":
            sign = 1 - 2 * torch.randint(0, 2, (len(order),), generator=g).float()
        if activation == "sigmoid":
            biases[layer + 1] = biases[layer + 1] + weights[layer + 1][order][sign < 0].sum(0)
        weights[layer], biases[layer] = weights[layer][:, order] * sign, biases[layer][order] * sign
        weights[layer + 1] = weights[layer + 1][order] * sign[:, None]
    net = hl.Network(weights, biases, activation=activation)
    x = torch.randn(64, shape[0], generator=g)
    assert torch.allclose(net(x), given(x), atol=1e-4)
    found = compression.matched(net, given)
    assert float(distance(found.weights, found.biases, [*given.weights, *given.biases])) < 1e-10
    assert torch.allclose(found(x), given(x), atol=1e-4)


def test_matching_refuses_other_networks():
    with pytest.raises(ValueError, match="expected single ones of one kind"):
        compression.matched(random_net(), random_net(activation="relu"))


def test_an_order_of_neurons_and_their_scale_are_told_apart():
    given = hl.construct.pudding(n=4, hidden=12)
    turned = given.map(lambda t: t.flip(-1) if t.shape[-1] == 12 else t.flip(0) if t.ndim == 2 else t)
    assert compression.compare(turned, given)["distance"] == 0
    soft = hl.Network([0.5 * given.weights[0], 2 * given.weights[1]], given.biases)
    found = compression.compare(soft, given)
    assert found["sharpness"] == pytest.approx(0.5) and (found["assignment"], found["signs"]) == (1, 1)
    mirrored = hl.Network([-given.weights[0], given.weights[1]], given.biases)
    assert compression.compare(mirrored, given)["signs"] == 0


def fake_run(nets: list[hl.Network], betas: list[float], kl: list[float]) -> types.SimpleNamespace:
    stacked = hl.Network(
        [torch.stack([net.weights[k] for net in nets]) for k in range(2)],
        [torch.stack([net.biases[k] for net in nets]) for k in range(2)],
        torch.tensor(kl),
    )
    given = nets[0].map(lambda t: t[None])
    config = types.SimpleNamespace(seeds=(3,))
    parts = {
        "task": hl.get_task("l1"),
        "given": given,
        "seeds": [3],
        "config": config,
        "networks": lambda seed: stacked,
    }
    return types.SimpleNamespace(**parts, network_betas=betas, source="a hand-made run", path="nowhere")


def test_the_path_of_hand_made_networks():
    double, pudding = hl.construct.double_sided(n=4).map(lambda t: t.float()), hl.construct.pudding(n=4, hidden=8)
    nothing = pudding.map(lambda t: 0.01 * t)
    run = fake_run([double, double, pudding, nothing, nothing], [1e-9, 1e-6, 1e-3, 1e-2, 1.0], [900, 500, 90, 3, 0.1])
    table = compression.path(run)
    assert table["label"].tolist()[:4] == ["double-sided"] * 3 + ["pudding"]
    assert table["kept"].tolist()[:3] == [1, 1, 1] and table["kept"].is_monotonic_decreasing
    assert table["kept_outside"][3] > table["kept_outside"][4]
    assert table["program_loss"][1] == pytest.approx(table["loss"][1], abs=0.01)
    assert compression.path(run, betas=[1e-3], programs=False)["nats"].tolist()[1:] == [90]
    with pytest.raises(ValueError, match=r"betas holds \[0.5\]"):
        compression.path(run, betas=[0.5])


def test_breaks_are_found_and_named():
    table = pd.DataFrame({"seed": 0, "beta": [0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3]})
    table["loss"] = [0.01, 0.01, 0.011, 0.05, 0.055, 0.4, 0.5, 0.5]
    table["nats"] = [np.nan, 5000, 4000, 3000, 2000, 100, 5, 1]
    table["label"] = ["a", "a", "b", "a", "a", "c", "c", "c"]  # b is there at one price only
    table["kept"] = 1 - table["loss"]
    found = compression.transitions(table)
    assert found["above"].tolist() == [1e-7, 1e-5, 1e-4]
    assert found["what"][0] == "loss times 4.5; distance from the given output times 4.5"
    assert found["what"][1].startswith("a becomes c; loss times 7.3") and found["what"][2] == "memory ends"
    assert compression.transitions(table.head(1)).empty


def test_the_figure_of_a_path_shows_the_given_network_first():
    double, pudding = hl.construct.double_sided(n=4).map(lambda t: t.float()), hl.construct.pudding(n=4, hidden=8)
    nothing = pudding.map(lambda t: 0.01 * t)
    run = fake_run([double, double, pudding, nothing, nothing], [1e-9, 1e-6, 1e-3, 1e-2, 1.0], [900, 500, 90, 3, 0.1])
    table = compression.path(run)
    figure = hl.figures.path(run, table)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[1].startswith("given") and any("pudding" in title for title in titles)
    assert len(figure.table) == len(table) and "nats" in figure.finding
    live = path_slider(run, table)
    assert "given network" in live.html and live.alt.endswith(".")


def test_criteria_are_judged_seed_by_seed():
    rows = pd.DataFrame({"task": "t", "seed": 1, "beta": [0, 1e-9, 1e-6, 1e-3, 1]})
    rows["loss"], rows["nats"] = [0.1, 0.05, 0.15, 0.5, 0.9], [np.nan, 900, 300, 20, 0]
    rows["label"] = ["other", "double-sided", "pudding", "convexity", "convexity"]
    rows["sharpness"], rows["assignment"], rows["signs"] = [1, 0.9, 0.4, 1, 1], np.nan, [1, 1, 1, 0.95, 0.5]
    other = rows.assign(seed=2, loss=0.2, nats=5.0, label=["other", "convexity", "pudding", "pudding", "linear"])
    found = verdicts(pd.concat([rows, other])).set_index("seed")
    assert found["done"].tolist() == [True, True] and found["memory"].tolist() == [True, False]
    assert found["rule"].tolist() == ["convexity", "pudding"] and found["in_order"].tolist() == [True, False]
    lost = given_up(rows).set_index("what")
    assert lost["nats"].to_dict() == {"precision": 300, "sharpness": 900, "signs": 20}
    assert given_up(rows.assign(sharpness=[1, 0, 1, 1, 1])).set_index("what")["beta"]["sharpness"] == 0
