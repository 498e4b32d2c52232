"""Numbers do not depend on what the user has set in torch: default dtype and device, threads, determinism."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import hyperlib as hl
from hyperbook.studies.generalization import size_table
from hyperlib.baseline import train_adam
from hyperlib.hypernetwork import Hypernetwork

CONFIG = hl.TrainConfig(seeds=(0, 1), steps=4, shape=(3, 8, 1), batch=16, snapshots=1, match_steps=2)


@contextmanager
def other_settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")  # a tensor that is made there by mistake has no numbers
    torch.set_num_threads(threads + 1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)


def trained() -> hl.Ensemble:
    ensemble = hl.Ensemble(CONFIG, CONFIG.seeds, compiled=False)
    ensemble.advance(4)
    return ensemble


def numbers(net: hl.Network) -> list[torch.Tensor]:
    return [*net.weights, *net.biases]


CALLS = {
    "training": lambda _: list(trained().parameters(0).values()),
    "generate": lambda _: numbers(trained().model(1).generate([1e-6, 1e-3], generator=3, count=2)),
    "sweep": lambda _: [hl.sweep(trained().model(0), betas=[1e-6], samples=64)[0]],
    "other sizes": lambda _: [size_table(trained().model(0), 1e-3, [4], [8], count=2, samples=64)],
    "run": lambda folder: [hl.train(CONFIG, folder, workers=0, compiled=False, progress=False).sweep],
    "Adam": lambda _: numbers(train_adam((3, 8, 1), steps=5, seeds=(0, 1))[0]),
    "constructions": lambda _: [
        t
        for net in (hl.construct.double_sided(4), hl.construct.pudding(4), hl.construct.convexity(4, 12, 0))
        for t in numbers(net)
    ],
    "order parameters": lambda _: list(
        hl.order_parameters(*(hl.construct.convexity(4, 12, s).weights[0] for s in (0, 1)))
    ),
    "layout": lambda _: list(hl.layout(hl.construct.double_sided(4)).positions),
    "decode": lambda _: [hl.decode(hl.construct.double_sided(4)).text],
    "table": lambda _: list(hl.Task.from_data(np.eye(6)[:, :2], np.arange(6.0)).table.tensors.values()),
    "task": lambda _: [t for task in hl.TASKS.values() for t in task.measured(8, task.size or 4, 0)],
    "fingerprint": lambda _: [str(task.fingerprint(task.size or 4)) for task in hl.TASKS.values()],
    "hyperweights": lambda _: [Hypernetwork((3, 4, 1)).initial_scale()],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_numbers_are_the_same_under_other_settings_of_torch(name, tmp_path):
    expected = CALLS[name](tmp_path / "one")
    with other_settings():
        found = CALLS[name](tmp_path / "other")
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        if isinstance(mine, torch.Tensor):
            assert mine.dtype == theirs.dtype and mine.device.type == "cpu"
            torch.testing.assert_close(mine, theirs)
        elif isinstance(mine, str):
            assert mine == theirs
        else:
            np.testing.assert_allclose(
                mine.select_dtypes("number"), theirs.select_dtypes("number"), rtol=1e-4, atol=1e-6
            )
