"""The path of a CUDA device, as far as a machine without one can tell.

`Ensemble` captures one step as a CUDA graph. A graph repeats kernels on the memory that they had when they were
recorded: whatever the step computes in Python is frozen, and whatever waits for the device is forbidden. Both are
properties of the operations that a step asks for, and these are the same on every device. The tests record them.
Kernels, memory and speed of a real device are not tested here.
"""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import hyperlib as hl
from hyperlib import training
from hyperlib.training import Ensemble

CONFIG = hl.TrainConfig(seeds=(3, 5), steps=50, shape=(4, 6, 1), batch=8, beta_warmup=5, learning_rate_warmup=4)
DEEP = dataclasses.replace(CONFIG, shape=(3, 5, 4, 1))

# What a captured step may not hold: a result on the host, a shape that depends on numbers, random numbers of generators
# (a step's own are computed from its number) and tensors made of Python's numbers, which are
# copied from the host.
REFUSED = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded}
COPIES = {torch.ops.aten.lift_fresh.default}


class Recorder(TorchDispatchMode):
    """What a CUDA graph is: the list of operations on the tensors that they had while it was recorded.

    `replay` does every operation again and puts its result where it was put then. Numbers that Python computed
    meanwhile are frozen in the arguments, as they are in a graph.
    """

    def __init__(self):
        super().__init__()
        self.calls: list[tuple] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in COPIES or REFUSED.intersection(function.tags):
            raise AssertionError(f"{function.name()} in a captured step")
        out = function(*args, **(kwargs or {}))
        if not function.is_view:
            # Another object over the same memory: autograd lets go of some, and the step may hold on to others.
            self.calls.append((function, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for function, args, kwargs, out in self.calls:
            again = function(*args, **kwargs)
            if not function._schema.is_mutable:
                tree_map(lambda kept, new: kept.copy_(new) if isinstance(kept, torch.Tensor) else kept, out, again)


class OnDevice(TorchDispatchMode):
    """Refuses tensors that are not on the device ``meta``, which has shapes and no numbers: an operation that needs a
    number fails there by itself."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, out)):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != "meta":
                raise AssertionError(f"{function.name()} with a tensor on {tensor.device}")
        return out


@pytest.mark.parametrize("config", [CONFIG, DEEP], ids=["two layers", "three layers"])
@pytest.mark.parametrize("task", sorted(hl.TASKS))
def test_a_step_stays_on_its_device_and_waits_for_nothing(config, task):
    task = hl.TASKS[task]
    shape = (task.size or config.shape[0], *config.shape[1:-1], task.outputs)
    config = dataclasses.replace(config, task=task, shape=shape)
    ensemble = captured(config)
    with Recorder() as recorder, torch.no_grad():
        ensemble._run(0)
    assert len(recorder.calls) > 100, "the step was not seen"
    ensemble.state = {name: tensor.to("meta") for name, tensor in ensemble.state.items()}
    ensemble.normals = [normal.to("meta") for normal in ensemble.normals]
    ensemble.seed_numbers, ensemble.device = ensemble.seed_numbers.to("meta"), torch.device("meta")
    shapes = {name: tensor.shape for name, tensor in ensemble.state.items()}
    with OnDevice(), torch.no_grad():
        ensemble._run(0)
    assert {name: tensor.shape for name, tensor in ensemble.state.items()} == shapes


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda value: float(value.sum()), "_local_scalar_dense"),
        (lambda value: value[value > 0].sum(), "aten::index"),
        (lambda value: value + torch.tensor(1.0, device=value.device), "lift_fresh"),
        (lambda value: value + torch.randn_like(value), "randn_like"),
    ],
    ids=["item", "mask", "copy from the host", "noise"],
)
def test_the_recorder_refuses_what_a_graph_may_not_hold(fault, message):
    with pytest.raises(AssertionError, match=message), Recorder():
        fault(torch.ones(3))


def test_a_forgotten_device_is_seen():
    with pytest.raises((AssertionError, RuntimeError), match="cpu"), OnDevice():
        torch.ones(3, device="meta") + torch.ones(3)


class Stream:
    """A stream that has nothing to order."""

    def wait_stream(self, other: Stream) -> None:
        assert isinstance(other, Stream)


@pytest.fixture
def fake_cuda(monkeypatch) -> list[str]:
    """The parts of `torch.cuda` that capture uses, on the CPU. Gives what was asked of them, in order."""
    asked: list[str] = []

    class Graph:
        def __init__(self):
            self.recorder = Recorder()

        def replay(self) -> None:
            asked.append("replay")
            self.recorder.replay()

    @contextlib.contextmanager
    def stream(_: Stream):
        asked.append("side stream")
        yield

    @contextlib.contextmanager
    def graph(recorded: Graph):
        asked.append("capture")
        with recorded.recorder:
            yield

    fakes = {"Stream": Stream, "current_stream": Stream, "stream": stream, "CUDAGraph": Graph, "graph": graph}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    # a device computes its random numbers in plain PyTorch, which rounds unlike the kernel
    monkeypatch.setattr(training.kernel, "usable", lambda out: False)
    return asked


def captured(config: hl.TrainConfig = CONFIG) -> Ensemble:
    """An ensemble on the CPU that believes to be on a CUDA device."""
    ensemble = Ensemble(config, config.seeds, compiled=False)
    ensemble.device = torch.device("cuda")
    return ensemble


def same(one: Ensemble, other: Ensemble) -> None:
    left, right = one.checkpoint(), other.checkpoint()
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def test_replayed_steps_give_the_numbers_of_plain_steps(fake_cuda):
    """Bit for bit, over warm-ups and decays: nothing that changes from step to step is frozen in the graph."""
    plain, graphed = Ensemble(CONFIG, CONFIG.seeds, compiled=False), captured()
    for steps in (1, 6, 3):
        plain.advance(steps)
        graphed.advance(steps)
        assert graphed.step == plain.step
        same(plain, graphed)
        assert torch.equal(plain.read_sums(), graphed.read_sums())
    assert fake_cuda == ["side stream", "capture", *["replay"] * 10]


def test_capture_leaves_no_trace(fake_cuda):
    """The steps that warm up the graph and the one that is recorded are undone; no random number is used up."""
    before, after = captured(), captured()
    after.advance(0)
    assert fake_cuda == ["side stream", "capture"]
    same(before, after)


def test_a_checkpoint_continues_under_a_graph(fake_cuda):
    """Also into an ensemble whose graph exists: restoring writes into the memory that the graph knows."""
    plain, graphed, late = Ensemble(CONFIG, CONFIG.seeds, compiled=False), captured(), captured()
    plain.advance(8)
    graphed.advance(5)
    late.advance(2)
    late.restore(graphed.checkpoint())
    late.advance(3)
    same(plain, late)
    fresh = captured()
    fresh.restore(graphed.checkpoint())
    fresh.advance(3)
    same(plain, fresh)


def test_a_frozen_seed_stays_frozen_under_a_graph(fake_cuda):
    """What is written into the state between steps, the graph sees."""
    ensemble = captured()
    ensemble.advance(2)
    ensemble.state["alive"][0] = False
    frozen, other = (ensemble.parameters(seed)["map"] for seed in CONFIG.seeds)
    ensemble.advance(2)
    assert torch.equal(ensemble.parameters(3)["map"], frozen)
    assert not torch.equal(ensemble.parameters(5)["map"], other)


def test_the_recorder_notices_a_frozen_number(fake_cuda, monkeypatch):
    """A schedule computed in Python would be recorded once: the comparison above has to fail then."""
    real = training.schedule
    monkeypatch.setattr(training, "schedule", lambda config, step: real(config, torch.full((1,), float(step.max()))))
    with pytest.raises(AssertionError, match="_local_scalar_dense in a captured step"):
        captured().advance(1)
    monkeypatch.setattr(training, "schedule", lambda config, step: real(config, torch.ones(1, dtype=torch.float64)))
    graphed = captured()
    graphed.advance(3)
    plain = Ensemble(CONFIG, CONFIG.seeds, compiled=False)
    monkeypatch.setattr(training, "schedule", real)
    plain.advance(3)
    with pytest.raises(AssertionError):
        same(plain, graphed)


def test_without_a_device_the_message_says_so():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ValueError, match="device is 'cuda'; PyTorch finds no CUDA device"):
        Ensemble(CONFIG, CONFIG.seeds, device="cuda")
    with pytest.raises(ValueError, match=r"device is 'gpu'; expected cpu, cuda or cuda:number"):
        Ensemble(CONFIG, CONFIG.seeds, device="gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_on_a_real_device_the_graph_follows_the_cpu(compiled):
    """The random numbers are a function of seed and step on every device."""
    graphed, plain = Ensemble(CONFIG, CONFIG.seeds, compiled, "cuda"), Ensemble(CONFIG, CONFIG.seeds, compiled=False)
    for ensemble in (graphed, plain):
        ensemble.advance(10)
    assert graphed.step == plain.step == 10
    for name in training.PARAMETERS:
        torch.testing.assert_close(graphed.state[name].cpu(), plain.state[name], rtol=1e-3, atol=1e-5)
