"""What a function depends on: against closed forms, for functions that are of one part only, and for networks."""

from __future__ import annotations

import math

import pytest
import torch

from hyperbook.studies.dependence import KEPT, PARTS, dependence, entry_functions, explained, floors
from hyperlib.algorithms import construct
from hyperlib.problems import L1, L1_SUM, L2, MAX, PAIRS, POSITIVES, isotropic_floor, max_moments, mean_l2

N = 8
NEAR = 0.01  # the stated statistical error


def test_partners_keep_what_they_are_said_to_keep_and_nothing_else():
    x, z = (torch.randn(2000, N, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    parts = {"sum": [lambda v: v.sum(-1)], "length": [lambda v: v.norm(dim=-1)]}
    parts["sum and length"] = parts["sum"] + parts["length"]
    for name, keep in KEPT.items():
        other = keep(x, z)
        for part in parts[name]:
            torch.testing.assert_close(part(other), part(x))
        centred, moved = x - x.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
        cosine = torch.nn.functional.cosine_similarity(centred, moved, dim=-1)
        assert abs(float(cosine.mean())) < 0.05  # directions are new
        torch.testing.assert_close(other.var(0), torch.ones(N, dtype=x.dtype), atol=0.15, rtol=0)  # and still normal


@pytest.mark.parametrize(
    ("part", "function", "others"),
    [
        ("affine", lambda x: x[..., :1] - 2 * x[..., 1:2] + 3, {"entries": 1, "length": 0}),
        ("sum", lambda x: x.sum(-1, keepdim=True).sin(), {"length": 0}),
        ("entries", lambda x: (x[..., :1] > 0) + x[..., 3:4].abs(), {"length": None}),
        ("length", lambda x: x.norm(dim=-1, keepdim=True).cos(), {"affine": 0, "sum and length": 1}),
        ("sum and length", lambda x: x.sum(-1, keepdim=True) * x.norm(dim=-1, keepdim=True), {"entries": None}),
    ],
)
def test_a_function_of_one_part_is_explained_by_it(part, function, others):
    shares = dependence(lambda x: function(x).double(), N)
    assert tuple(shares) == PARTS
    assert shares[part] == pytest.approx(1, abs=NEAR)
    for other, expected in others.items():
        if expected is not None:
            assert shares[other] == pytest.approx(expected, abs=NEAR)
    assert all(0 <= share <= 1 for share in shares.values())


def test_floors_of_the_tasks_are_those_of_theory():
    mean, std = max_moments(N)
    # The best function of sum and length for the maximum is linear in |x - mean(x)|, whose length is a chi of N - 1.
    centred = std**2 + mean**2 - 1 / N
    isotropic_max = (centred - (N - 1) * (mean / mean_l2(N - 1)) ** 2) / std**2
    squared_length = 1 - mean_l2(N) ** 2 / (2 * N * (N - mean_l2(N) ** 2))  # Cov(r, r^2) = E r, Var r^2 = 2 n
    expected = {
        (L1, "affine"): 1,
        (L1, "entries"): 0,
        (L1, "length"): isotropic_floor(N),
        (L2, "length"): 0,
        (MAX, "affine"): 1 - 1 / (N * std**2),  # Cov(max, sum) = 1
        (MAX, "sum and length"): isotropic_max,
        (PAIRS, "affine"): 1,
        (PAIRS, "sum"): 1 / N,
        (PAIRS, "sum and length"): 0,
        (PAIRS, "length"): 1,
        (POSITIVES, "affine"): 1 - 2 / math.pi,
        (POSITIVES, "entries"): 0,
        (L1_SUM, "affine"): 0.5,
        (L1_SUM, "length"): (isotropic_floor(N) + 1) / 2,
    }
    measured = {task: floors(task, N) for task in (L1, L2, MAX, PAIRS, POSITIVES, L1_SUM)}
    for (task, part), value in expected.items():
        assert measured[task][part] == pytest.approx(value, abs=NEAR), (task.name, part)
    assert 0 < measured[L2]["entries"] < squared_length  # the squared length is a sum over entries


def test_parts_that_hold_others_explain_no_less():
    for task in (L1, L2, MAX, PAIRS, POSITIVES):
        floor = floors(task, N)
        assert floor["entries"] <= floor["affine"] + NEAR
        assert floor["sum and length"] <= min(floor["sum"], floor["length"]) + NEAR


def test_constructed_networks_depend_on_what_their_algorithm_reads():
    double_sided = dependence(construct.double_sided(N).map(torch.Tensor.double), N)
    convexity = dependence(construct.convexity(N, 256, generator=0).map(torch.Tensor.double), N)
    assert double_sided["entries"] == pytest.approx(1, abs=NEAR)
    assert convexity["length"] > 0.95 and double_sided["length"] < 0.95


def test_fit_is_adjusted_for_its_columns():
    g = torch.Generator().manual_seed(0)
    columns, noise = (torch.randn(2000, k, generator=g, dtype=torch.float64) for k in (500, 1))
    assert abs(float(explained(columns, noise))) < 0.1  # unadjusted it would be 0.25
    assert entry_functions(columns[:10, :N]).shape[0] == 10


def test_constant_function():
    assert all(math.isnan(share) for share in dependence(lambda x: 0 * x[..., :1], 3).values())
