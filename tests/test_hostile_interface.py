"""Every argument of the public interface, replaced by values that make no sense: it works, or the error names it."""

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hyperlib as hl
from hyperlib.fast.build import BuildError
from hyperlib.files import RunError

HOSTILE: dict[str, Any] = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "nan": math.nan,
    "inf": math.inf,
    "2^64": 2**64,
    "1j": 1j,
    "text": "nonsense",
    "no text": "",
    "bytes": b"x",
    "empty list": [],
    "list of text": ["a"],
    "nested list": [[1.0]],
    "dictionary": {"a": 1},
    "object": object(),
    "class": int,
    "array of whole numbers": np.arange(3),
    "array of nan": np.array([math.nan]),
    "empty tensor": torch.zeros(0),
    "tensor of nan": torch.full((4, 4), math.nan),
    "tensor of whole numbers": torch.ones(4, 4, dtype=torch.int64),
    "tensor of booleans": torch.ones(4, 4, dtype=torch.bool),
    "complex tensor": torch.ones(4, 4, dtype=torch.complex64),
    "scalar tensor": torch.tensor(1.0),
}
TOLD = (ValueError, TypeError, KeyError, IndexError, FileNotFoundError, ModuleNotFoundError, BuildError)


def interface() -> dict[str, tuple[Callable, dict[str, Any]]]:
    """Public callables with arguments that work: name -> function, arguments by keyword."""
    model = hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), [0], compiled=False).model(0)
    net = model.generate(1e-3)
    x, y = hl.get_task("l1").sample(8, 3, torch.Generator().manual_seed(0))
    W = net.weights[0]
    config = {
        "seeds": (0, 1),
        **{"steps": 10, "shape": (3, 8, 1), "task": "l1", "batch": 4, "learning_rate": 1e-3, "learning_rate_warmup": 5},
        **{"learning_rate_end": 0.2, "beta_warmup": 3, "log_beta_start": -10.0, "clip": 1.0, "snapshots": 2},
    }
    settings = {"hyperdepth": 3, "elementwise": 4, "random": 2, "attention": 2, "learned": 2, "channel": 2}
    settings |= {"periods": (2.0,), "random_scale": 0.7, "sigma_shift": -0.5, "output_scale": 0.5}  # type: ignore[dict-item]
    tiny = hl.TrainConfig(shape=(3, 8, 1), batch=4)
    return {
        "TrainConfig": (hl.TrainConfig, config),
        "Architecture": (hl.Architecture, settings),
        "Hypernetwork": (hl.Hypernetwork, {"shape": (3, 8, 1)}),
        "Ensemble": (functools.partial(hl.Ensemble, compiled=False), {"config": tiny, "seeds": [0], "device": "cpu"}),
        "Ensemble.advance": (lambda steps: hl.Ensemble(tiny, [0], compiled=False).advance(steps), {"steps": 1}),
        "model.generate": (model.generate, {"beta": 1e-3, "shape": (4, 6, 1), "generator": 0, "count": 2}),
        "model.hyperweights": (model.hyperweights, {"beta": 1e-3}),
        "sweep": (hl.sweep, {"model": model, "task": "l1", "betas": [1e-3], "samples": 16}),
        "Network": (hl.Network, {"weights": net.weights, "biases": net.biases, "kl": None}),
        "net": (net.__call__, {"x": x}),
        "net.loss": (net.loss, {"x": x, "y": y}),
        "classify": (hl.classify, {"net": net}),
        "order_parameters": (hl.order_parameters, {"W": W, "V": -W}),
        "layout": (hl.layout, {"net": net, "generator": 0, "steps": 10}),
        "double_sided": (hl.construct.double_sided, {"n": 3, "sharpness": 5.0, "hidden": 8}),
        "pudding": (
            hl.construct.pudding,
            {"n": 3, "sign": 1, "hidden": 8, "sharpness": 5.0, "shared": 0.5, "mixing": 0.1},
        ),
        "convexity": (hl.construct.convexity, {"n": 3, "hidden": 8, "generator": 0, "scale": 0.3}),
        "get_task": (lambda task: hl.get_task(task), {"task": "l1"}),
        "targets": (hl.get_task("l1").targets, {"x": x}),
        "sample": (hl.get_task("l1").sample, {"batch": 4, "n": 3, "generator": torch.Generator()}),
        "load_run": (hl.load_run, {"path": "no/such/folder"}),
    }


INTERFACE = interface()


def tell(function: Callable, good: dict[str, Any], argument: str, value: object) -> None:
    """Call with one hostile value. An error has to be of a kind that says whose fault it was, and name the argument."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            function(**good | {argument: value})
    except TOLD as error:
        text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
        stems = argument, argument[:-1], argument[:-2]  # "weight of layer 0" names one of the weights
        assert isinstance(error, RunError | FileNotFoundError) or any(len(s) and f"{s} " in text for s in stems), text


@pytest.mark.parametrize("name", INTERFACE)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_hostile_value_is_told(name, data):
    function, good = INTERFACE[name]
    argument = data.draw(st.sampled_from(sorted(good)))
    tell(function, good, argument, HOSTILE[data.draw(st.sampled_from(sorted(HOSTILE)))])


def test_what_is_not_told_is_seen():
    def breaks(argument):
        raise AttributeError("no such thing")

    def silent(argument):
        raise ValueError("something is wrong")

    with pytest.raises(AttributeError):
        tell(breaks, {"argument": 1}, "argument", None)
    with pytest.raises(AssertionError, match="something is wrong"):
        tell(silent, {"argument": 1}, "argument", None)
