"""Printers: what sympy and Python make of a program evaluates to its network; text and LaTeX name what is in it."""

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hyperlib as hl
from hyperlib.decoding.groups import FAMILIES
from hyperlib.decoding.printers import in_lines
from hyperlib.decoding.program import Program
from hyperlib.decoding.terms import Part, Units
from hyperlib.network import ACTIVATIONS

NUMBERS = st.sampled_from([-300.0, -2.5, -1.0, -0.001, 0.0, 0.04, 1.0, 3.7, 4.2e-9, 1250.0])


@st.composite
def programs(draw) -> Program:
    """Any program of a few groups, of every kind, in any units."""
    n, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 2))
    parts, hidden = [], 0
    for _ in range(draw(st.integers(0, 3))):
        size, count = draw(st.integers(1, 3)), draw(st.integers(1, min(3, n)))
        order = draw(st.permutations(range(n)))
        column = np.array([min(place, count - 1) for place in range(n)])
        level = np.stack([column[np.roll(order, j * draw(st.integers(0, 1)))] for j in range(size)], 1)
        family = draw(st.sampled_from([None, None, *FAMILIES]))
        levels = draw(st.lists(NUMBERS, min_size=count, max_size=count))
        if family:
            levels, level = [levels[0], abs(levels[-1])], np.zeros_like(level)
        output = np.array(draw(st.lists(NUMBERS, min_size=outputs, max_size=outputs)))
        neurons = tuple(range(hidden, hidden + size))
        parts.append(Part(neurons, tuple(levels), level, draw(NUMBERS), output, family, 5.0))
        hidden += size
    shape = (n, max(hidden, 1), outputs)
    zeros = [torch.zeros(*pair, dtype=torch.float64) for pair in pairwise(shape)]
    activation = draw(st.sampled_from(sorted(ACTIVATIONS)))
    net = hl.Network(zeros, [torch.zeros(k, dtype=torch.float64) for k in shape[1:]], activation=activation)
    bias = np.array(draw(st.lists(NUMBERS, min_size=outputs, max_size=outputs)))
    program = Program(tuple(parts), bias, net, 1, 1.0, draw(st.sampled_from([1.0, 0.3])), 3, 1.0, np.arange(n))
    units = {}
    if draw(st.booleans()):
        units |= {"names": [f"a {'é_%$'[i]} \\" for i in range(n)], "output_names": ["y'", "z"][:outputs]}
    if draw(st.booleans()):
        units |= {"input_mean": [0.0, 3.0, -0.5, 1.0][:n], "input_std": [2.0, 0.1, 1.0, 30.0][:n]}
        units |= {"output_mean": [5.0, 0.0][:outputs], "output_std": [0.1, 7.0][:outputs]}
    return program.in_units(**units)


def expected(program: Program, x: np.ndarray) -> np.ndarray:
    mean, std, output_mean, output_std = program.units.affine(program.shape[0], program.shape[-1])
    return output_mean + output_std * program.network()(torch.from_numpy((x - mean) / std)).numpy()


@settings(deadline=None, max_examples=60)
@given(programs(), st.integers(0, 100))
def test_sympy_and_python_evaluate_to_the_programs_outputs(program, seed):
    x = np.random.default_rng(seed).normal(size=(7, program.shape[0])) * 3
    wanted = expected(program, x)
    scale = {"rtol": 1e-9, "atol": 1e-9 * (1 + float(np.abs(wanted).max()))}
    names: dict = {}
    exec(program.python(), names)
    np.testing.assert_allclose(names["program"](x), wanted, **scale)
    np.testing.assert_allclose(names["program"](x[0]), wanted[0], **scale)
    found = program.sympy()
    symbols = [sympy.Symbol(name) for name in program.units.names or [f"x_{i + 1}" for i in range(program.shape[0])]]
    for k, expression in enumerate(found if isinstance(found, list) else [found]):
        values = sympy.lambdify(symbols, expression)(*x.T)
        np.testing.assert_allclose(np.broadcast_to(values, len(x)), wanted[:, k], **scale)


@settings(deadline=None, max_examples=60)
@given(programs())
def test_text_and_latex_say_what_there_is(program):
    text, latex = program.text, program.latex
    assert len(text.splitlines()) == program.shape[-1] and latex.count("{") == latex.count("}")
    assert text.splitlines()[0].startswith(f"{program.units.output_names[0] if program.units.output_names else 'y'}")
    living = [part for part in program.parts if part.output.any()]
    for part in living:
        assert f"{program.net.activation}(" in text and rf"\operatorname{{{program.net.activation}}}" in latex
        if part.family:
            sign = {"normal": "~ N(", "two-valued": "= ", "heavy-tailed": "~ t(5)"}[part.family]
            assert f"_kj {sign}" in text
    assert ("keeps 30 %" in text) == ("keeps 30" in latex) == (program.kept < 0.9)


def test_long_formulas_are_broken_before_signs_outside_of_brackets():
    short = r"y = 1 + 2 \operatorname{swish}(x_1 - 1)"
    assert in_lines(short) == short
    long = short + r" - 3 \operatorname{swish}(x_1 + \sum_{k \ne 1} x_k)" * 9 + r", \quad x_1 = 2 (a - 1)"
    lines = in_lines(long).removeprefix(r"\begin{aligned} ").removesuffix(r" \end{aligned}").split(r" \\ ")
    assert len(lines) > 3 and all(line.count("(") == line.count(")") for line in lines)
    joined = " ".join(lines).replace(" ={}& ", " = ").replace(" & ", " ")
    assert joined.replace(r" \quad", "") == long.replace(r" \quad", "")


def one(weights: list[float], bias: float = 0.0) -> Program:
    W = torch.tensor([weights]).T.double()
    return hl.decode(
        hl.Network([W, torch.ones(1, 1).double()], [torch.tensor([bias]).double(), torch.zeros(1).double()])
    )


def test_names_and_units_of_a_table():
    program = one([1.5, 0.0, 0.0], -2.0).in_units(
        names=["bmi", "age", "s_1"], output_names=["risk"], input_mean=[26.4, 48.5, 0], input_std=[4.4, 13.1, 1],
        output_mean=[152.1], output_std=[77.0],
    )  # fmt: skip
    assert program.text == "risk = 152 + 77 swish(0.34 (bmi - 26.4) - 2)"
    assert program.latex.startswith(r"\text{risk} = 152 + 77 \operatorname{swish}(0.34 (\text{bmi} - 26.4) - 2)")
    assert "columns of x: 'bmi', 'age', 's_1'" in program.python()
    both = hl.decode(hl.construct.double_sided(3)).in_units(names=["bmi", "age", "s_1"])
    assert "sum_i swish(-5 x_i)" in both.text
    shared = both.in_units(names=["bmi", "age", "s_1"], input_mean=[26.4, 48.5, 0], input_std=[4.4, 13.1, 1])
    assert "x_bmi = 0.227 (bmi - 26.4),  x_age = 0.0763 (age - 48.5),  x_s_1 = s_1" in shared.text
    assert r"x_{\text{s\_1}}" in shared.latex


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"names": ["a"]}, "names has 1 entries; expected 3"),
        ({"input_mean": [0.0] * 3}, "go together"),
        ({"input_mean": [0.0] * 3, "input_std": [1, 0, 1]}, "input_std holds 0; expected positive numbers"),
        ({"output_mean": [math.nan], "output_std": [1.0]}, "output_mean holds nan"),
    ],
)
def test_units_that_do_not_fit_are_refused(values, said):
    program = hl.decode(hl.construct.double_sided(3))
    with pytest.raises(ValueError, match=said):
        program.in_units(Units(**values))


def test_a_table_hands_on_its_units():
    x = np.random.default_rng(0).normal(size=(200, 3)) * [1, 20, 300] + [5, 50, 500]
    task = hl.Task.from_data(x, np.abs(x[:, 0] - 5))
    net = hl.construct.double_sided(3)
    program = hl.decode(net, task.table.x).in_units(task.table)
    mean, std = np.array(task.table.input_mean), np.array(task.table.input_std)
    expected = program.network()(torch.from_numpy((x - mean) / std).float()).numpy() * task.table.output_std
    names: dict = {}
    exec(program.python(), names)
    np.testing.assert_allclose(names["program"](x), expected + task.table.output_mean, rtol=1e-4, atol=1e-4)
