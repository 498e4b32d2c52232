"""The training step: gradients, optimiser, schedules, independence of seeds (sections 2 and B.2.2)."""

import itertools
import math

import pytest
import torch
from torch import nn

from hyperlib.hyperhypernetwork import hyperweights
from hyperlib.hypernetwork import Architecture, Hypernetwork
from hyperlib.training import (
    PARAMETERS,
    Ensemble,
    TrainConfig,
    compile_apart,
    draw_log_beta,
    draws,
    flush_denormals,
    gradients,
    learning_rate,
    many_graphs,
    objective,
    schedule,
)

SMALL = TrainConfig(seeds=(3, 4, 5), steps=50, shape=(3, 4, 1), batch=8, learning_rate_warmup=5, beta_warmup=10)


def small(**changes) -> TrainConfig:
    return TrainConfig.from_dict(SMALL.to_dict() | {"task": "l1"} | changes)


def step_tensor(step: int) -> torch.Tensor:
    return torch.tensor([float(step)], dtype=torch.float64)


def test_ensemble_step_equals_the_same_seeds_alone():
    together = Ensemble(SMALL, SMALL.seeds, compiled=False, dtype=torch.float64)
    together.advance(7)
    for row, seed in enumerate(SMALL.seeds):
        alone = Ensemble(SMALL, [seed], compiled=False, dtype=torch.float64)
        alone.advance(7)
        for name in PARAMETERS:
            torch.testing.assert_close(together.state[name][row], alone.state[name][0], rtol=1e-8, atol=1e-11)


def test_compiled_step_equals_the_eager_one():
    """Gradients are compared, not parameters: Adam turns the sign of a gradient of 1e-12 into a full step."""
    eager, compiled = (Ensemble(small(shape=(2, 3, 1)), [0, 1], compiled=flag) for flag in (False, True))
    parameters = {name: eager.state[name] for name in PARAMETERS}
    normal = eager.normals[0].normal_(generator=torch.Generator().manual_seed(0))
    knobs = schedule(SMALL, step_tensor(1)).float()
    with torch.no_grad():
        (expected, logged, _), (found, logged_too, _) = (
            e._gradients[0](parameters, normal, knobs) for e in (eager, compiled)
        )
    torch.testing.assert_close(logged_too, logged, rtol=1e-5, atol=1e-5)
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 1e-5 * gradient.norm(), name
    compiled.advance(2)
    assert compiled.step == 2 and compiled.read_sums().isfinite().all()


def test_steps_equal_plain_autograd_with_torch_adam_and_clipping():
    """Rank-one gradient, norm by product, fused Adam and fast path against autograd on the plain hypernetwork."""
    config = small(seeds=(2,), clip=0.05)
    ensemble, plain = Ensemble(config, [2], compiled=False, dtype=torch.float64), Hypernetwork(config.shape)
    parameters = {name: tensor[None].requires_grad_() for name, tensor in ensemble.parameters(2).items()}
    adam = torch.optim.Adam(parameters.values(), lr=1.0)
    sizes = [plain.noise_size, config.batch * config.shape[0], 1]
    for step in range(1, 6):
        ensemble.advance(1)
        noise, x, uniform = ensemble.normals[0].split(sizes, dim=1)
        x = x.unflatten(1, (config.batch, -1))
        log_beta = draw_log_beta(schedule(config, step_tensor(step))[0], uniform[:, 0])
        targets = config.task.targets(x)
        named = plain.unflatten(hyperweights(parameters, log_beta), plain.sizes)
        value, _ = objective(plain, named, noise, x, targets, 10**log_beta)
        adam.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(parameters.values(), config.clip)
        assert norm > config.clip
        adam.param_groups[0]["lr"] = float(learning_rate(config, step_tensor(step)))
        adam.step()
        for name in PARAMETERS:
            torch.testing.assert_close(ensemble.state[name], parameters[name].detach(), rtol=1e-6, atol=1e-8)


def test_gradient_norm_is_clipped_per_seed():
    ensemble = Ensemble(SMALL, SMALL.seeds, compiled=False, dtype=torch.float64)
    ensemble.normals[0].normal_(generator=torch.Generator().manual_seed(0))
    ensemble.state["map"][1] *= 3
    hypernetwork = Hypernetwork(SMALL.shape, SMALL.architecture)
    task = SMALL.task.examples(SMALL.shape[0]), SMALL.task.errors(SMALL.shape[0])
    parameters = {name: ensemble.state[name] for name in PARAMETERS}
    norms = []
    for clip in (1e9, 0.1):
        config = small(clip=clip)
        found, _, finite = gradients(
            config, hypernetwork, *task, parameters, ensemble.normals[0], schedule(config, step_tensor(1))
        )
        outer = found["map.input"].square().sum(1) * found["map.output"].square().sum(1)
        rest = sum(found[name].square().flatten(1).sum(1) for name in PARAMETERS[:-1])
        norms.append((outer + rest).sqrt())
        assert finite.all()
    assert norms[0].max() / norms[0].min() > 1.5
    torch.testing.assert_close(norms[1], norms[0].clamp(max=0.1))


def test_learning_rate_schedule():
    rates = [float(learning_rate(SMALL, step_tensor(step))) for step in range(1, 51)]
    assert rates[0] == pytest.approx(SMALL.learning_rate / 5)
    assert max(rates) == pytest.approx(SMALL.learning_rate) == rates[4]
    assert rates[-1] == pytest.approx(SMALL.learning_rate * SMALL.learning_rate_end)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:]))


def test_beta_is_log_uniform_below_a_rising_end():
    normal = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for step, upper in ((1, -9.0), (5, -5.0), (10, 0.0), (40, 0.0)):
        end = schedule(SMALL, step_tensor(step))[0]
        assert float(end) == pytest.approx(upper)
        drawn = draw_log_beta(end, normal)
        assert drawn.min() >= -12 and drawn.max() <= upper
        expected = torch.linspace(-12, upper, 11, dtype=torch.float64)
        found = drawn.quantile(torch.linspace(0, 1, 11, dtype=torch.float64))
        torch.testing.assert_close(found, expected, rtol=0, atol=0.15)


def test_a_seed_that_diverges_is_frozen_reported_and_leaves_the_others_alone():
    healthy, broken = (Ensemble(SMALL, SMALL.seeds, compiled=False) for _ in range(2))
    for ensemble in (healthy, broken):
        ensemble.advance(2)
    broken.state["map"][1, 0, 0] = math.nan
    frozen = broken.state["weight1"][1].clone()
    for ensemble in (healthy, broken):
        ensemble.advance(3)
    assert broken.diverged() == {4: 3} and healthy.diverged() == {}
    assert torch.equal(broken.state["weight1"][1], frozen)
    for name in PARAMETERS:
        for row in (0, 2):
            assert torch.equal(broken.state[name][row], healthy.state[name][row])
    sums = broken.read_sums()
    assert sums.isfinite().all()


def test_checkpoint_continues_with_the_same_numbers():
    whole = Ensemble(SMALL, SMALL.seeds, compiled=False)
    whole.advance(9)
    first = Ensemble(SMALL, SMALL.seeds, compiled=False)
    first.advance(4)
    saved = first.checkpoint()
    first.advance(2)  # goes on, and must not change what was saved
    second = Ensemble(SMALL, SMALL.seeds, compiled=False)
    second.restore(saved)
    assert second.step == 4
    second.advance(5)
    for name, tensor in whole.state.items():
        assert torch.equal(tensor, second.state[name]), name


def test_restore_refuses_what_does_not_fit():
    saved = Ensemble(SMALL, SMALL.seeds, compiled=False).checkpoint()
    with pytest.raises(ValueError, match=r"weight1 is .*\(3, 100\); expected .*\(2, 100\)"):
        Ensemble(SMALL, [3, 4], compiled=False).restore(saved)
    with pytest.raises(ValueError, match=r"seeds is \[3, 4, 5\]; expected \[3, 4, 7\]"):
        Ensemble(SMALL, [3, 4, 7], compiled=False).restore(saved)
    with pytest.raises(ValueError, match="map is missing"):
        Ensemble(SMALL, SMALL.seeds, compiled=False).restore({k: v for k, v in saved.items() if k != "state.map"})


def test_draws_account_for_noise_inputs_and_beta():
    hypernetwork = Hypernetwork((5, 4, 1), SMALL.architecture)
    assert draws(SMALL, hypernetwork) == hypernetwork.noise_size + 8 * 5 + 1


def test_sizes_are_trained_in_turn_without_the_encoder():
    """A step at another size is a step of the decoder alone there: learned vectors get no gradient."""
    config = small(sizes=((2, 5, 1), (4, 3, 1), (2, 5, 1)), seeds=(3,), learning_rate_warmup=0)
    ensemble = Ensemble(config, [3], compiled=False, dtype=torch.float64)
    learned = slice(Hypernetwork.count(Hypernetwork(config.shape, config.architecture).shared_sizes), None)
    for turn, shape in enumerate(config.shapes):
        before = ensemble.state["first.map"].chunk(2, dim=-1)[0][0, :, learned].clone()
        ensemble.advance(1)
        after = ensemble.state["first.map"].chunk(2, dim=-1)[0][0, :, learned]
        moved = not torch.allclose(after, 0.9 * before, rtol=1e-12, atol=0)
        assert moved == (shape == config.shape), (turn, shape)
        place = list(dict.fromkeys(config.shapes)).index(shape)
        assert ensemble.normals[place].shape[1] == draws(config, Hypernetwork(shape, config.architecture))
    assert ensemble.read_sums()[0, 2] > 0


def test_other_sizes_compile_too():
    config = small(sizes=((2, 5, 1),), shape=(2, 3, 1), seeds=(3, 4))
    eager, compiled = (Ensemble(config, config.seeds, compiled=flag) for flag in (False, True))
    for ensemble in (eager, compiled):
        ensemble.advance(4)
    torch.testing.assert_close(compiled.read_sums(), eager.read_sums(), rtol=1e-3, atol=1e-3)


def test_flush_denormals_is_undone():
    tiny = torch.tensor(1e-40)
    with flush_denormals():
        assert float(tiny * 1.0) == 0
    assert float(tiny * 1.0) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, "seeds is"),
        ({"seeds": [1, 1]}, "distinct"),
        ({"seeds": [-1]}, "none negative"),
        ({"steps": 0}, "steps is 0"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"clip": 0.0}, "clip is 0"),
        ({"start_sha256": "text"}, "start_sha256 is .text.; expected 64 hexadecimal digits, or none"),
        ({"beta_warmup": -1}, "beta_warmup is -1"),
        ({"log_beta_start": 1.0}, "log_beta_start is 1"),
        ({"shape": (16, 0, 1)}, r"shape is \(16, 0, 1\)"),
        ({"shape": (16, 48, 2)}, "1 output"),
        ({"task": "l7"}, "the name of one"),
        ({"stepz": 3}, "unknown configuration key stepz; known keys are .*steps"),
        ({"architecture": {"hyperdeep": 4}}, "unknown configuration key hyperdeep; known keys are .*hyperdepth"),
        ({"architecture": {"hyperdepth": 1}}, "hyperdepth is 1"),
        ({"architecture": {"reference_width": -1}}, "reference_width is -1"),
        ({"sizes": [(8, 24)]}, r"sizes holds \(8, 24\); expected shapes of the depth and outputs of \(16, 48, 1\)"),
        ({"sizes": [(8, 24, 2)]}, r"sizes holds \(8, 24, 2\)"),
        ({"start": 3}, "start is 3"),
    ],
)
def test_bad_configuration_is_an_error_that_names_it(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_dict(changes)


def test_configuration_survives_json():
    config = small(architecture=Architecture(hyperdepth=3, periods=(2.0, 5.0)).__dict__, sizes=((2, 5, 1),))
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_snapshots_are_denser_early_on_and_end_at_the_last_step():
    steps = TrainConfig(steps=45_000).snapshot_steps()
    assert len(steps) >= 25 and steps[-1] == 45_000
    gaps = [b - a for a, b in itertools.pairwise(steps)]
    assert gaps == sorted(gaps) and gaps[0] < gaps[-1] / 20
    assert TrainConfig(steps=3, snapshots=28).snapshot_steps() == [1, 2, 3]


def test_more_graphs_than_the_compiler_keeps_of_one_function():
    """It keeps eight of one code object; a training at nine sizes, or of nine groups in one process, needs more."""

    def scaled(factor, x):
        return factor * x

    x = torch.ones(2)
    with many_graphs():
        for factor in range(12):
            assert compile_apart(scaled, factor, backend="eager")(x).tolist() == [factor, factor]
