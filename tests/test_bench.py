"""What the measurement of speed counts, and what it refuses. Speed itself is never asserted."""

import math

import torch

import hyperlib as hl
from bench import PlainTraining, measure, step_flops


def test_flops_of_a_step_are_those_of_its_matrix_products():
    """By hand: a product of sizes (n, k) and (k, m) is 2 n k m operations, and its two gradients as many each."""
    config = hl.TrainConfig(shape=(3, 4, 1), batch=8)
    hypernetwork = hl.Hypernetwork(config.shape, config.architecture)
    a, edges = config.architecture, 3 * 4 + 4 * 1
    hyperlayers = (a.hyperdepth - 1) * 2 * edges * a.width_in * a.width_out  # the first has no input; both sides
    readout = edges * a.width_out * 2  # weight and bias, on the decoder side
    last_map = 11 * 2 * sum(math.prod(size) for size in hypernetwork.sizes.values())
    without_gradient_of_x = 2 * config.batch * 3 * 4 + 3 * config.batch * 4 * 1
    assert step_flops(config) == 2 * (3 * (hyperlayers + readout + last_map) + without_gradient_of_x)


def test_plain_training_follows_the_objective_down():
    torch.manual_seed(0)
    training = PlainTraining(hl.TrainConfig(shape=(3, 8, 1), batch=64, learning_rate=3e-3), 0)
    values = [training.step() for _ in range(40)]
    assert sum(values[-10:]) < sum(values[:10])


def test_a_measurement_says_what_it_promises():
    found = measure("eager", (3, 4, 1), 2, 0.01)
    assert set(found) == {"ms", "first_call_s", "peak_mb", "gflops"} and all(value > 0 for value in found.values())


def test_steps_on_a_table_and_of_matching_are_measured_too():
    for kind in ("table", "matching"):
        assert measure(kind, (3, 4, 1), 2, 0.01)["ms"] > 0
