"""Figures of several tasks, and runs that keep some of their models: on tiny runs, trained for a few steps."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from hyperbook.studies.generalization import size_table
from hyperbook.studies.tasks import (
    best_programs,
    guesses,
    read_guesses,
    share_of_products,
    share_read,
    signed_pairs,
    standing,
)
from hyperlib import TrainConfig, load_run, train
from hyperlib.files import RunError
from hyperlib.hypernetwork import Hypernetwork
from hyperlib.network import Network
from keep import keep_models

QUIET = {"workers": 0, "compiled": False, "progress": False}
SHAPES = {"l1-sum": ("l1-sum", (3, 4, 2)), "l1-deep": ("l1", (3, 4, 2, 1)), "mine": ("max", (3, 4, 1))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tasks")
    for name, (task, shape) in SHAPES.items():
        config = TrainConfig(seeds=(0, 1), steps=10, shape=shape, task=task, batch=8, snapshots=1)
        train(config, path / name, **QUIET)
    return path


@pytest.fixture(scope="module")
def runs(folder):
    return {name: load_run(folder / name) for name in SHAPES}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    assert not plt.get_fignums()


def test_models_of_some_seeds_can_be_left_out(runs, tmp_path):
    before = runs["mine"].networks(1)
    run = keep_models(runs["mine"].path, tmp_path / "kept", [0])
    assert run.modelled == [0] and run.seeds == [0, 1] and runs["mine"].modelled == [0, 1]
    assert run.short_hash != runs["mine"].short_hash
    assert torch.equal(run.networks(1).weights[0], before.weights[0])
    assert run.model(0).shape == (3, 4, 1)
    with pytest.raises(KeyError, match=r"keeps no hyperhypernetwork of seed 1, only of \[0\]"):
        run.model(1)
    with pytest.raises(KeyError, match=r"keeps no hyperhypernetworks of \[1\], only of \[0\]"):
        keep_models(run.path, tmp_path / "again", [0, 1])
    (tmp_path / ".lock").touch()  # as after a kill behind the rename
    with pytest.raises(RunError, match="is there already"):
        keep_models(runs["mine"].path, run.path, [0])
    assert not (tmp_path / ".lock").exists()
    assert size_table(run.model(0), 1e-6, [6], [8], count=1, task="max")["loss"].notna().all()


def test_a_compact_run_has_the_same_networks_and_tables_to_its_precision(folder, tmp_path):
    run = load_run(folder / "l1-deep")
    small = keep_models(run.path, tmp_path / "small", [1], compact=True)
    bytes_of = [sum(entry["bytes"] for entry in one.manifest["files"].values()) for one in (run, small)]
    assert bytes_of[1] < bytes_of[0]
    x, _ = run.task.sample(256, run.config.shape[0], torch.Generator().manual_seed(0))
    for seed in run.seeds:
        torch.testing.assert_close(small.networks(seed)(x), run.networks(seed)(x), rtol=3e-3, atol=3e-3)
        assert small.networks(seed).weights[0].dtype == torch.float32
        torch.testing.assert_close(small.networks(seed).kl, run.networks(seed).kl, rtol=0, atol=0)
    for before, after in ((run.sweep, small.sweep), (run.curves, small.curves)):
        pd.testing.assert_frame_equal(before, after, rtol=1e-6)
        assert after.select_dtypes("float").dtypes.eq("float64").all()


def test_without_learned_vectors_the_decoder_is_the_same_and_the_encoder_knows_nothing(folder, tmp_path):
    run = load_run(folder / "l1-deep")
    before = {seed: run.model(seed) for seed in run.seeds}
    once = keep_models(run.path, tmp_path / "once", [0, 1], learned=[1])
    small = keep_models(once.path, tmp_path / "twice", [0, 1], learned=[1])
    for seed in (0, 1):
        alone = [m.generate(1e-6, count=2, encoder=False).weights[0] for m in (before[seed], small.model(seed))]
        torch.testing.assert_close(*alone, rtol=0, atol=0)
    told, kept = before[0].hyperweights(1e-6), small.model(0).hyperweights(1e-6)
    hypernetwork = Hypernetwork(run.config.shape, run.config.architecture)
    shared = hypernetwork.count(hypernetwork.shared_sizes)
    assert torch.equal(told[:shared], kept[:shared]) and told[shared:].abs().sum() > 0 == kept[shared:].abs().sum()
    assert torch.equal(before[1].parameters["map"], small.model(1).parameters["map"])


def test_networks_of_some_betas_can_be_left_out(folder, tmp_path):
    run = thin = load_run(folder / "l1-deep")
    before = {seed: run.networks(seed) for seed in run.seeds}
    assert run.network_betas == run.betas
    for count, chosen in enumerate(([0, 6, 3, 29], [0, 3])):  # in any order, and again of what is left
        thin = keep_models(thin.path, tmp_path / str(count), [0, 1], betas=[run.betas[place] for place in chosen])
        assert thin.network_betas == [run.betas[place] for place in sorted(chosen)] and thin.betas == run.betas
        for seed, nets in before.items():
            same(thin.networks(seed), nets[sorted(chosen)])
    for wrong in ([], [run.betas[3]], [run.betas[0], run.betas[3], run.betas[6]]):
        with pytest.raises(ValueError, match=r"betas is \[.*\]; expected some of .*, with the lowest among them"):
            keep_models(thin.path, tmp_path / "no", [0], betas=wrong)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def test_a_thinned_run_can_be_compacted_and_keeps_its_betas(folder, tmp_path):
    path = folder / "l1-deep"
    betas = load_run(path).betas[::7]
    once = keep_models(path, tmp_path / "once", [0], compact=True, betas=betas)
    half = keep_models(path, tmp_path / "half", [0], compact=True)
    twice = keep_models(half.path, tmp_path / "twice", [0], betas=betas)
    again = keep_models(once.path, tmp_path / "again", [0], compact=True)
    assert once.network_betas == twice.network_betas == again.network_betas == betas
    for seed in once.seeds:
        same(once.networks(seed), twice.networks(seed))


def same(one, other) -> None:
    """Two networks are the same, bit for bit."""
    for mine, theirs in zip(
        [*one.weights, *one.biases, one.kl], [*other.weights, *other.biases, other.kl], strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_standing_tells_a_failed_training_from_one_that_is_as_good_as_adams(runs):
    losses = {name: run.final.loc[run.final["beta"] == run.betas[0], "loss"] for name, run in runs.items()}
    names = list(runs)
    adam = pd.DataFrame({"run": names, "seed": 0, "loss": [losses[name].max() for name in names]})
    adam.loc[adam["run"] == names[0], "loss"] = losses[names[0]].min() / 10
    table = standing(runs, adam[adam["run"] != names[-1]])
    assert table["training"].tolist() == ["failed", *["as good as Adam's"] * (len(names) - 2), "–"]
    assert table.loc[names[0], "near"] == 0 and table.loc[names[1], "near"] == 1
    for name in names:
        assert table.loc[name, "loss"] == losses[name].median()


def test_the_best_programs_are_those_of_the_lowest_loss(runs):
    found = best_programs(runs).set_index("run")
    assert list(found.index) == [name for name, run in runs.items() if len(run.config.shape) == 3]
    assert found["text"].str.startswith("y").all()


def test_sums_and_differences_of_pairs_are_read_off_the_weights():
    """Squares of random features that read pairs as sums, less those that read differences, make products."""
    g = torch.Generator().manual_seed(0)
    sign = torch.tensor([1.0, -1.0]).repeat(4000)
    r = torch.randn(2, 8000, generator=g)
    W = torch.stack([r, sign * r], 1).flatten(0, 1)
    x = torch.randn(512, 4, generator=g)
    made = ((x @ W).square() * sign).mean(-1)
    wanted = 2 * (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3])
    assert (made - wanted).square().mean() < 0.02 * wanted.square().mean()

    noise = 0.1 * torch.randn(W.shape, generator=g)
    noisy = Network([W + noise, sign[:, None]], [torch.zeros(8000), torch.zeros(1)])
    found, alike, equal = signed_pairs(noisy)
    assert (found == sign).float().mean() > 0.98 and 0.9 < alike.median() < 1
    assert torch.allclose(equal.weights[0][0], found * equal.weights[0][1])
    assert (equal.weights[0] - W).square().mean() < 0.7 * noise.square().mean()


def test_networks_built_by_the_guesses_are_recognised_and_others_are_not():
    g, expected = torch.Generator().manual_seed(0), guesses()
    signs = torch.randn(100, 8, generator=g).sign()
    one_sum = Network([torch.ones(8, 2), torch.tensor([[1.0], [-1.0]])], [torch.tensor([2.0, -2.0]), torch.zeros(1)])
    assert share_read(one_sum, signs, expected["majority"]) == pytest.approx(1)
    one_input = Network([torch.eye(8), torch.ones(8, 1)], [torch.zeros(8), torch.zeros(1)])
    assert share_read(one_input, signs, expected["majority"]) == pytest.approx(1 / 8)
    tournament = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.0, -1.0]])
    x = torch.randn(100, 3, generator=g)
    assert share_read(
        Network([tournament, torch.ones(2, 1)], [torch.zeros(2), torch.zeros(1)]), x, expected["max3"]
    ) == (pytest.approx(1))
    turn = 2 * torch.pi / 5 * torch.arange(5)
    clock = torch.stack([torch.cat([(k * turn).cos(), (k * turn + 1).cos() + 3]) for k in (1, 2)], 1)
    nets = {k: Network([clock[:, [k]], torch.ones(1, 5)], [torch.zeros(1), torch.zeros(5)]) for k in (0, 1)}
    numbers = torch.eye(5)[torch.randint(5, (100, 2), generator=g)].flatten(-2)
    assert [share_read(net, numbers, expected["mod5"], 5) for net in nets.values()] == pytest.approx([1, 1])
    both = Network([clock.sum(1, keepdim=True), torch.ones(1, 5)], [torch.zeros(1), torch.zeros(5)])  # two frequencies
    assert share_read(both, numbers, expected["mod5"], 5) == pytest.approx(0.5, abs=0.01)


def test_a_rectifier_correlates_negatively_with_the_product_of_four_signs():
    signs = torch.tensor([[1.0 - 2 * (k >> i & 1) for i in range(4)] for k in range(16)])
    assert float((signs.sum(1).relu() * signs.prod(1)).mean()) == pytest.approx(-1 / 4)
    W = signs.T  # a neuron per pattern
    net = Network([W, -W.prod(0)[:, None]], [torch.zeros(16), torch.zeros(1)], activation="relu")
    out = net(signs)[:, 0]
    assert float((out * signs.prod(1)).sum() / (out.norm() * 4)) == pytest.approx(1)  # it is the parity
    assert share_of_products(net, signs) == pytest.approx(1)
    net.weights[1][:8] *= -1
    assert share_of_products(net, signs) == pytest.approx(0.5)


def test_guesses_are_read_per_run_seed_and_price(tmp_path):
    config = TrainConfig(seeds=(0, 1), steps=4, shape=(10, 4, 5), task="mod5", batch=8, snapshots=1)
    run = train(config, tmp_path / "mod5", **QUIET)
    table = read_guesses({"mod5": run, "other": run})
    assert len(table) == 2 * len(run.network_betas) and set(table["run"]) == {"mod5"}
    assert table["share"].between(0, 1).all() and table["chance"].iloc[0] == pytest.approx(0.6, abs=0.1)
