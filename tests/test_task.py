"""Tasks: closed-form moments and reference losses against sampling and against known distributions."""

import math
import pickle

import cloudpickle
import pytest
import torch
from scipy import stats
from torch import Tensor

from hyperbook.studies.algorithms import isotropic_floor, quadratic_floor
from hyperlib import inputs
from hyperlib.losses import CROSS_ENTROPY
from hyperlib.problems import (
    L1,
    MAX,
    PAIRS,
    POSITIVES,
    TASKS,
    get_task,
    l1_moments,
    l2_moments,
    max_moments,
)
from hyperlib.task import Task


def sample(n: int, batch: int = 200_000) -> tuple[Tensor, Tensor]:
    return L1.sample(batch, n, torch.Generator().manual_seed(n), dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 16, 40])
def test_targets_have_zero_mean_and_unit_variance(n):
    x, y = sample(n)
    assert x.shape == (200_000, n) and y.shape == (200_000, 1)
    standard_error = 1 / math.sqrt(len(y))
    assert abs(y.mean()) < 5 * standard_error
    # Var of the sample variance is (kurtosis - 1) / batch, and the half-normal's kurtosis of 3.9 is the largest here.
    assert abs(y.var() - 1) < 5 * math.sqrt(2.9) * standard_error
    raw = x.abs().sum(-1)
    mean, std = l1_moments(n)
    torch.testing.assert_close(y[:, 0], (raw - mean) / std)


@pytest.mark.parametrize("n", [1, 3, 16, 100])
def test_moments_are_those_of_the_half_normal_and_chi_distributions(n):
    mean, std = l1_moments(n)
    assert mean == pytest.approx(n * stats.halfnorm.mean(), rel=1e-12)
    assert std == pytest.approx(math.sqrt(n) * stats.halfnorm.std(), rel=1e-12)
    assert l2_moments(n)[0] == pytest.approx(stats.chi(n).mean(), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8, 40])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_moments_of_every_task_are_those_of_a_sample(name, n):
    task = TASKS[name]
    n = task.size or n
    y = task.sample(200_000, n, torch.Generator().manual_seed(n), dtype=torch.float64)[1]
    assert y.shape == (200_000, task.outputs)
    if task.loss == CROSS_ENTROPY:  # classes stay as they are
        assert set(y.unique().tolist()) == {0, 1} and bool((y.sum(1) == 1).all())
        return
    for output in y.T:
        kurtosis = float(((output - output.mean()) ** 4).mean() / output.var() ** 2)
        assert abs(float(output.mean())) < 5 / math.sqrt(len(y))
        assert abs(float(output.var()) - 1) < 5 * math.sqrt((kurtosis - 1) / len(y))


def test_every_task_of_one_number_is_a_number_or_an_error():
    for task in TASKS.values():
        if task in (PAIRS, TASKS["products"]):  # there is no pair
            with pytest.raises(ValueError, match=rf"'{task.name}' has targets with standard deviation 0\.0 at n = 1"):
                task.normalised(1)
        elif task.size:
            with pytest.raises(ValueError, match=f"n is 1; task '{task.name}' has {task.size} inputs"):
                task.examples(1)
        else:
            assert bool(task.sample(100, 1, torch.Generator().manual_seed(0))[1].isfinite().all())


@pytest.mark.parametrize("n", [1, 2, 16, 1000])
def test_moments_of_the_length_are_those_of_the_chi_distribution(n):
    assert l2_moments(n) == pytest.approx((stats.chi(n).mean(), stats.chi(n).std()), rel=1e-8)


def test_moments_of_the_maximum_are_known_for_few_numbers_and_extreme_values_for_many():
    # E max of two is 1/sqrt(pi), of three 3/(2 sqrt(pi)); max(x, y)^2 + min(x, y)^2 = x^2 + y^2 gives the variances.
    assert max_moments(1) == pytest.approx((0, 1), abs=1e-12)
    assert max_moments(2) == pytest.approx((1 / math.sqrt(math.pi), math.sqrt(1 - 1 / math.pi)), rel=1e-10)
    third = 1.5 / math.sqrt(math.pi)
    assert max_moments(3) == pytest.approx((third, math.sqrt(1 + math.sqrt(3) / (2 * math.pi) - third**2)), rel=1e-10)
    # Quantiles of the maximum of a million bracket its mean, and the Gumbel limit gives its spread.
    mean, std = max_moments(10**6)
    low, high = (stats.norm.ppf(q ** (1 / 10**6)) for q in (0.5, 0.65))
    assert low < mean < high
    assert std == pytest.approx(math.pi / math.sqrt(6) / stats.norm.ppf(1 - 1e-6), rel=0.1)


def test_targets_of_a_known_input():
    x = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    values = {"l1": [6], "l2": [math.sqrt(14)], "max": [3], "pairs": [-2 + 3 - 6], "positives": [2], "l1-sum": [6, 2]}
    assert set(values) <= set(TASKS)
    for name, expected in values.items():
        raw = TASKS[name].function(x)
        assert raw.dtype == x.dtype
        torch.testing.assert_close(raw, torch.tensor([expected], dtype=x.dtype))
    assert float(POSITIVES.function(torch.zeros(1, 3))) == 0
    assert float(MAX.function(-x.abs())) == -1


def test_same_generator_gives_the_same_inputs_and_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    one, other = (L1.sample(5, 3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert one[0].dtype == one[1].dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n", [2, 5, 16])
def test_isotropic_floor_is_the_variance_left_by_the_radius(n):
    # The best function of the radius is the mean of y at that radius: here the mean in each of many narrow bins.
    x, y = sample(n, batch=400_000)
    bins = y[x.norm(dim=-1).argsort(), 0].reshape(400, -1)
    left = bins.var(dim=1).mean().item()
    assert isotropic_floor(n) == pytest.approx(left, abs=0.003)


@pytest.mark.parametrize("n", [2, 5, 16])
def test_quadratic_floor_is_what_regression_on_the_squared_radius_leaves(n):
    x, y = sample(n, batch=400_000)
    correlation = torch.corrcoef(torch.stack([x.square().sum(-1), y[:, 0]]))[0, 1].item()
    assert quadratic_floor() == pytest.approx(1 - correlation**2, abs=0.003)


def test_floors_at_the_size_of_the_paper():
    assert isotropic_floor(16) == pytest.approx(0.111, abs=5e-4)
    assert quadratic_floor() == pytest.approx(0.124, abs=5e-4)


def test_floors_order_and_limits():
    # |x| is a function of the radius when n = 1; a function of r can only beat an affine function of r^2.
    assert isotropic_floor(1) == pytest.approx(0, abs=1e-12)
    floors = [isotropic_floor(n) for n in (1, 2, 4, 16, 64, 1024)]
    assert floors == sorted(floors)
    assert all(isotropic_floor(n) < quadratic_floor() for n in (1, 2, 16, 1024))
    # In many dimensions the radius fluctuates so little that r^2 is as good as r.
    assert isotropic_floor(4096) == pytest.approx(quadratic_floor(), abs=1e-4)


def test_tasks_with_several_outputs_are_normalised_per_output():
    # x_1^2 and the sum of all entries: means 1 and 0, variances 2 and n.
    two = Task(
        "two",
        "two outputs",
        lambda x: torch.stack([x[..., 0].square(), x.sum(-1)], dim=-1),
        lambda n: ((1.0, 0.0), (math.sqrt(2), math.sqrt(n))),
        outputs=2,
    )
    y = two.sample(200_000, 4, torch.Generator().manual_seed(0))[1]
    assert y.shape == (200_000, two.outputs)
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=0.02, rtol=0)
    torch.testing.assert_close(y.var(0), torch.ones(2), atol=0.05, rtol=0)


def test_moments_without_a_closed_form_are_measured_once():
    measured = Task("measured", "L1 norm, measured", L1.function)
    x = torch.randn(1000, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(measured.targets(x), L1.targets(x), rtol=0.01, atol=0.02)
    assert torch.equal(measured.targets(x), measured.normalised(16)(x))


def test_a_function_of_the_wrong_shape_or_without_variance_is_an_error():
    with pytest.raises(
        ValueError, match=r"'flat' maps inputs .* to torch.float64 \(262144,\); expected .* \(262144, 1\)"
    ):
        Task("flat", "no output axis", lambda x: x.sum(-1)).normalised(3)
    with pytest.raises(ValueError, match=r"standard deviation \(0.0,\) at n = 3; they do not vary"):
        Task("constant", "constant", lambda x: 0 * x[..., :1]).normalised(3)


def test_unknown_task_is_an_error_that_lists_the_known_ones():
    assert get_task("l1") is L1
    with pytest.raises(ValueError, match=r"task is 'l7'; expected a Task or the name of one: .*l1"):
        get_task("l7")


def test_a_task_defined_twice_is_the_same_and_another_under_its_name_is_not():
    def define(power: int, **more) -> Task:
        return Task("power", "sum of powers", lambda x: (x**power).sum(-1, keepdim=True), **more)

    assert define(3) == define(3) and hash(define(3)) == hash(define(3))
    assert define(3) != define(5)
    assert define(3) != define(3, inputs=inputs.uniform(-1, 1))
    assert define(3) != define(3, loss=lambda out, y: (out - y).abs().mean(-1))
    assert define(3) == pickle.loads(cloudpickle.dumps(define(3)))


def test_a_task_that_does_not_fit_is_refused_with_what_was_expected():
    def integers(x: Tensor) -> Tensor:
        return (x > 0).sum(-1, keepdim=True)

    def in_place(x: Tensor) -> Tensor:
        return x.abs_().sum(-1, keepdim=True)

    for function, message in [
        (integers, "torch.int64"),
        (lambda x: 3, "to int"),
        (lambda x: None, "to NoneType"),
        (in_place, "in place"),
    ]:
        with pytest.raises(ValueError, match=message):
            Task("odd", "odd", function).normalised(3)
    for loss, message in [
        (lambda out, y: (out - y).mean(-1), "expected finite numbers of at least 0"),
        (lambda out, y: (out - y).square().mean(), "one number per example"),
        (lambda out, y: (out > y).float().mean(-1), "cannot be differentiated"),
    ]:
        with pytest.raises(ValueError, match=message):
            Task("odd", "odd", L1.function, loss=loss).normalised(3)


@pytest.mark.parametrize(
    ("made", "mean", "variance"),
    [(inputs.normal(), 0, 1), (inputs.uniform(-1, 3), 1, 16 / 12), (inputs.signs(0.25), -0.5, 0.75)],
)
def test_inputs_have_the_moments_of_their_distribution(made, mean, variance):
    x = made.transform(torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert float(x.mean()) == pytest.approx(mean, abs=0.02)
    assert float(x.var()) == pytest.approx(variance, abs=0.03)


def test_one_of_k_is_uniform_over_the_classes_and_blocks_are_independent():
    made = inputs.one_of(3)
    assert made.draws(6) == 2
    x = made.transform(torch.randn(90_000, 2, generator=torch.Generator().manual_seed(0)))
    assert x.shape == (90_000, 6) and bool((x.unflatten(-1, (2, 3)).sum(-1) == 1).all())
    joint = torch.einsum("bi,bj->ij", x[:, :3], x[:, 3:]) / len(x)
    torch.testing.assert_close(joint, torch.full((3, 3), 1 / 9), atol=0.005, rtol=0)
    with pytest.raises(ValueError, match="n is 7; inputs one_of"):
        made.draws(7)
