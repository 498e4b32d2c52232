"""The attention kernel: equal to plain PyTorch in values and gradients, and replaced by it where it cannot be built."""

import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hyperlib.fast import build
from hyperlib.fast.attention import attention, usable
from hyperlib.fast.hypernetwork import FastHypernetwork, softmax_attend
from hyperlib.fast.operator import can_compile, functions
from hyperlib.hypernetwork import Architecture

ROOT = Path(__file__).parents[1]
SHAPES = [(16, 48, 1), (3, 4, 1), (2, 3, 2), (2, 5, 4, 3), (1, 1), (40, 20, 3), (1, 17, 33, 1)]
BOUND = 2e-6  # relative error of float32, in the Frobenius norm


@pytest.fixture(autouse=True)
def compiled(tmp_path_factory, monkeypatch):
    """One cache folder for all tests of this file, apart from the user's."""
    monkeypatch.setenv("HYPERLIB_CACHE", str(tmp_path_factory.getbasetemp() / "kernels"))
    try:
        functions(5)
    except build.BuildError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def forgetful():
    """Forgets before and after the test which kernels are compiled."""
    for cached in (functions, can_compile):
        cached.cache_clear()
    yield
    for cached in (functions, can_compile):
        cached.cache_clear()


def plain(heads: Tensor, shape) -> Tensor:
    """The definition, neuron by neuron."""
    d = heads.shape[1] // 6
    first = [sum(n * m for n, m in itertools.pairwise(shape[: k + 1])) for k in range(len(shape))]
    out = heads.new_zeros(heads.shape[0], 2 * d, *heads.shape[2:])
    for level, neurons in enumerate(shape):
        for neuron in range(neurons):
            ends = []
            if level:
                ends.append((0, [first[level - 1] + i * neurons + neuron for i in range(shape[level - 1])]))
            if level + 1 < len(shape):
                behind = shape[level + 1]
                ends.append((1, [first[level] + neuron * behind + j for j in range(behind)]))
            tokens = torch.cat([heads[:, end * 3 * d : (end + 1) * 3 * d, :, edges] for end, edges in ends], dim=-1)
            query, key, value = (part[..., None, :] for part in tokens.split(d, dim=1))
            mixed = softmax_attend(query, key, value, last=True)[..., 0, :]
            done = 0
            for end, edges in ends:
                index = torch.tensor(edges)
                out = out.index_add(3, index, pad(mixed[..., done : done + len(edges)], end, d))
                done += len(edges)
    return out


def pad(mixed: Tensor, end: int, d: int) -> Tensor:
    zeros = torch.zeros_like(mixed)
    return torch.cat([zeros, mixed] if end else [mixed, zeros], dim=1)


def with_gradient(function, heads: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    heads = heads.detach().requires_grad_()
    result = function(heads)
    return result.detach(), torch.autograd.grad(result, heads, slope)[0]


def assert_close(found: Tensor, expected: Tensor, what: str, bound: float = BOUND) -> None:
    error = (found.double() - expected).norm() / expected.norm().clamp(min=1e-30)
    assert error <= bound, f"{what}: relative error {error:.2e}, expected at most {bound:.0e}"


def check(shape, heads: Tensor, bound: float = BOUND, reference=plain) -> None:
    d = heads.shape[1] // 6
    g = torch.Generator().manual_seed(1)
    slope = torch.randn(heads.shape[0], 2 * d, *heads.shape[2:], generator=g)
    result, gradient = with_gradient(lambda heads: attention(heads, shape), heads, slope)
    expected = with_gradient(lambda heads: reference(heads, shape), heads.double(), slope.double())
    assert_close(result, expected[0], "value", bound)
    assert_close(gradient, expected[1], "gradient", bound)


def draw(shape, seeds: int = 1, sides: int = 1, d: int = 5, scale: float = 1.0) -> Tensor:
    edges = sum(n * m for n, m in itertools.pairwise(shape))
    return torch.randn(seeds, 6 * d, sides, edges, generator=torch.Generator().manual_seed(0)) * scale


def by_library(heads: Tensor, shape) -> Tensor:
    """`FastHypernetwork.attention` in float64, which is plain PyTorch."""
    return FastHypernetwork(shape, Architecture(attention=heads.shape[1] // 6)).attention(heads)


# --- values and gradients --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("seeds", "sides"), [(1, 1), (3, 2)])
def test_equal_to_the_plain_path(shape, seeds, sides):
    check(shape, draw(shape, seeds, sides), reference=by_library)


@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 5, 4, 3), (1, 1), (2, 18, 2)], ids=str)
def test_equal_to_the_definition(shape):
    check(shape, draw(shape, 2, 2))


@pytest.mark.parametrize("d", [1, 3, 8])
def test_any_head_size(d):
    check((3, 20, 2), draw((3, 20, 2), 2, 2, d))


def test_input_may_be_a_slice_and_the_slope_may_be_anything():
    shape = (4, 20, 1)
    state = draw(shape, 2, 2, d=10)
    check(shape, state[:, 20:50])
    heads = state[:, 20:50].clone().requires_grad_()
    (attention(heads, shape).sum() * 2).backward()  # a slope without strides
    twos = torch.full((2, 10, 2, 100), 2.0, dtype=torch.float64)
    assert_close(heads.grad, with_gradient(lambda x: by_library(x, shape), heads.double(), twos)[1], "gradient")


def test_large_logits():
    # The rounding of a logit of 50 alone changes its weight by 2e-6 to 4e-6, but then the softmax is nearly saturated.
    shape = (16, 48, 1)
    heads = draw(shape, 2, 2, scale=3.0)
    logits = (heads[:, :5].unsqueeze(-1) * heads[:, 5:10].unsqueeze(-2)).sum(1) / 5**0.5
    assert logits.abs().max() > 50
    check(shape, heads)


def test_equal_tokens_are_averaged_and_one_token_is_kept():
    shape = (5, 7, 2)
    heads = draw(shape)[..., :1].expand(-1, -1, -1, 49).contiguous()
    check(shape, heads)
    alone = draw((1, 1), 4, 2)
    values = torch.cat([alone[:, 10:15], alone[:, 25:30]], dim=1)
    assert torch.equal(attention(alone, (1, 1)), values)


@pytest.mark.parametrize("best", [0, 1])
def test_weight_of_a_far_smaller_logit_is_zero(best):
    heads = draw((1, 2)).abs()
    heads[:, 15:20], heads[:, 20:25] = 100, -100
    heads[:, 20:25, :, best] = 100
    result = attention(heads, (1, 2))
    assert torch.equal(result[:, 5:, :, 0], heads[:, 25:, :, best])
    assert torch.equal(result[:, 5:, :, 1], heads[:, 25:, :, best])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("feature", [0, 5, 10, 15, 20, 25])
def test_nan_stays_nan(bad, feature):
    shape = (3, 18, 1)
    heads = draw(shape)
    heads[0, feature, 0, 40] = bad
    result, gradient = with_gradient(lambda x: attention(x, shape), heads, torch.ones(1, 10, 1, 72))
    expected, its_gradient = with_gradient(
        lambda x: by_library(x, shape), heads.double(), torch.ones_like(result).double()
    )
    assert torch.equal(result.isfinite(), expected.isfinite())
    assert not result.isfinite().all()
    assert torch.equal(gradient.isnan(), its_gradient.isnan())


# --- as an operator --------------------------------------------------------------------------------------------------


def test_torch_func_and_fullgraph_compilation():
    shape = (2, 3, 1)
    heads, slope = draw(shape, 2, 2), torch.randn(2, 10, 2, 9, generator=torch.Generator().manual_seed(1))

    def objective(heads: Tensor) -> Tensor:
        chosen = attention if usable(heads) else by_library
        return (chosen(heads.sin(), shape) * slope).sum()

    expected = torch.func.grad(lambda heads: (by_library(heads.sin(), shape) * slope.double()).sum())(heads.double())
    assert_close(torch.func.grad(objective)(heads), expected, "eager")
    compiled = torch.compile(torch.func.grad(objective), fullgraph=True, dynamic=False, backend="aot_eager")
    assert_close(compiled(heads), expected, "compiled")


def test_operators_describe_their_outputs():
    heads = draw((2, 3, 1), 2, 2)
    result, statistics = torch.ops.hyperlib.attention(heads, (2, 3, 1))
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.hyperlib.attention.default, (heads, (2, 3, 1)), test_utils=checks)
    arguments = (result, heads, result, statistics, (2, 3, 1))
    torch.library.opcheck(torch.ops.hyperlib.attention_backward.default, arguments, test_utils=checks)


def test_heads_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"heads has shape \(1, 30, 1, 9\); expected \(seeds, 6 d, sides, 8\)"):
        attention(draw((2, 3, 1)), (2, 2, 2))


def test_second_derivative_is_refused():
    heads = draw((2, 3, 1)).requires_grad_()
    (slope,) = torch.autograd.grad(attention(heads, (2, 3, 1)).square().sum(), heads, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


# --- building --------------------------------------------------------------------------------------------------------


def test_usable_for_float32_on_the_cpu_only():
    heads = draw((2, 3, 1))
    assert usable(heads)
    assert not usable(heads.double())
    assert not usable(heads.to("meta"))


def test_without_a_compiler_plain_pytorch_is_used_and_said_once(monkeypatch, tmp_path, forgetful):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.warns(UserWarning, match=r"plain PyTorch.*install g\+\+ or set CXX"):
        assert not usable(draw((2, 3, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not usable(draw((2, 3, 1)))


def test_message_of_a_failing_compiler_is_passed_on(monkeypatch, tmp_path, forgetful):
    broken = tmp_path / "compiler"
    broken.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.warns(UserWarning, match="no such flag"):
        assert not usable(draw((2, 3, 1)))


def test_library_is_compiled_once_and_again_for_other_settings(monkeypatch, tmp_path):
    source = tmp_path / "one.cpp"
    source.write_text('extern "C" int one() { return NUMBER; }')
    monkeypatch.setenv("HYPERLIB_CACHE", str(tmp_path / "cache"))
    assert build.load(source, ("NUMBER=1",)).one() == 1
    (made,) = (tmp_path / "cache").iterdir()
    written = made.stat().st_mtime_ns
    build.load(source, ("NUMBER=1",))
    assert made.stat().st_mtime_ns == written
    assert build.load(source, ("NUMBER=2",)).one() == 2
    source.write_text('extern "C" int one() { return 3; }')
    assert build.load(source, ("NUMBER=1",)).one() == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_cache_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYPERLIB_CACHE", str(tmp_path / "file"))
    with pytest.raises(build.BuildError, match=r"could not be compiled and kept: .*file"):
        build.load(Path(build.__file__).with_name("attention.cpp"), ("HEAD_SIZE=2",))


@pytest.mark.parametrize("how", ["emptied", "cut", "flipped"])
def test_a_damaged_kernel_is_compiled_again(monkeypatch, tmp_path, how):
    """In a process of its own: a library that is loaded stays the one that was loaded."""
    source = tmp_path / "one.cpp"
    source.write_text('extern "C" int one() { return 1; }')
    monkeypatch.setenv("HYPERLIB_CACHE", str(tmp_path / "cache"))
    load = "import sys, pathlib; from hyperlib.fast.build import load; print(load(pathlib.Path(sys.argv[1])).one())"

    def one() -> str:
        done = subprocess.run([sys.executable, "-c", load, source], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done
        return done.stdout

    assert one() == "1\n"
    (made,) = (tmp_path / "cache").iterdir()
    whole = made.read_bytes()
    middle = len(whole) // 2
    damaged = {"emptied": b"", "cut": whole[:middle], "flipped": whole[:middle] + b"?" + whole[middle + 1 :]}
    made.write_bytes(damaged[how])
    assert one() == "1\n" and made.read_bytes() == whole


def test_a_compiler_may_be_a_command_of_several_words(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", f"'{build.compiler()[0]}' -DNUMBER=7")
    monkeypatch.setenv("HYPERLIB_CACHE", str(tmp_path / "a cache"))
    (tmp_path / "one.cpp").write_text('extern "C" int one() { return NUMBER; }')
    assert build.load(tmp_path / "one.cpp").one() == 7


@pytest.mark.parametrize("home", ["none", "a file"])
def test_without_a_home_kernels_are_compiled_by_every_process(monkeypatch, tmp_path, home):
    def nobody(*_):
        raise RuntimeError("Could not determine home directory.")

    (tmp_path / "file").touch()
    for name in ("HYPERLIB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody if home == "none" else lambda: tmp_path / "file")
    (tmp_path / "one.cpp").write_text('extern "C" int one() { return 1; }')
    assert build.cache_folder() is None and build.load(tmp_path / "one.cpp").one() == 1
