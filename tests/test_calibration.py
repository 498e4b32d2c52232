"""The table that calibrates the classifiers, and its confusion matrix (section 2.2)."""

import math

import pandas as pd
import pytest
import torch

from hyperbook.studies.calibration import calibrate, compare, confusion, perturb
from hyperbook.studies.explain import LABELS
from hyperbook.studies.specimens import Specimen, specimens
from hyperlib.algorithms.construct import double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PUDDING
from hyperlib.network import Network


def test_perturb_has_the_stated_size():
    net = double_sided(16)
    noisy = perturb(net, 0.5, torch.Generator().manual_seed(0))
    noise = noisy.weights[0] - net.weights[0]
    assert (noise.norm() / net.weights[0].norm()).item() == pytest.approx(0.5, rel=0.1)
    assert noisy.weights[1] is net.weights[1]


def test_calibration_and_confusion():
    table = calibrate([0, 0.3], 1, specimens((16,)))
    assert len(table) == 2 * len(specimens((16,)))
    for found in ("order_parameters", "explanation"):
        counts = confusion(table, found=found)
        assert list(counts.index) == list(counts.columns) == list(LABELS)
        assert counts.to_numpy().sum() == counts.to_numpy().trace() == len(table)
    share = table[table.truth == DOUBLE_SIDED].groupby("noise")["share_double_sided"].mean()
    # noise of variance 0.09 takes about 0.09 / 1.09 from the share
    assert share[0.0] == pytest.approx(1)
    assert share[0.3] == pytest.approx(1 / 1.09, abs=0.02)
    pd.testing.assert_frame_equal(table, calibrate([0, 0.3], 1, specimens((16,))))


def test_confusion_counts_errors_off_the_diagonal():
    table = pd.DataFrame({"truth": [PUDDING, PUDDING, CONVEXITY], "explanation": [PUDDING, "none", DOUBLE_SIDED]})
    counts = confusion(table)
    assert counts.loc[PUDDING, "none"] == 1
    assert counts.loc[CONVEXITY, DOUBLE_SIDED] == 1
    assert counts.to_numpy().trace() == 1


def test_both_classifiers_on_a_batch():
    nets = [double_sided(8, hidden=24), pudding(8, hidden=24)]
    batch = Network(
        [torch.stack(parts) for parts in zip(*(net.weights for net in nets), strict=True)],
        [torch.stack(parts) for parts in zip(*(net.biases for net in nets), strict=True)],
    )
    table = compare(batch)
    assert list(table["order_parameters"]) == list(table["explanation"]) == [DOUBLE_SIDED, PUDDING]
    assert table["share_pudding"][1] == pytest.approx(1)


def test_much_noise_destroys_the_explanation():
    def build() -> Network:
        return double_sided(16, hidden=48)

    case = Specimen("x", build, DOUBLE_SIDED, 16, 48, math.inf, 5.0, 1.0)
    assert calibrate([3.0], 0, [case])["share_double_sided"].item() < 0.35
