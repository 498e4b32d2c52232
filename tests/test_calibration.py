"""Networks whose algorithm is known, and how often the two classifications name it (section 2.2)."""

import pandas as pd
import torch

from hyperbook.studies.calibration import KINDS, known, validate
from hyperlib.algorithms.order_parameters import CONVEXITY, PHASES, PUDDING
from hyperlib.algorithms.structure import HEAVY


def test_networks_of_every_kind_are_first_layers():
    for kind in KINDS:
        W = known(kind, torch.Generator().manual_seed(0))
        assert W.shape == (16, 48) and W.isfinite().all() and W.abs().max() > 0


def test_structure_names_what_order_parameters_cannot_tell():
    table = validate((0.0, 0.1), generator=0, count=5)
    assert len(table) == 2 * 5 * len(KINDS)
    pd.testing.assert_frame_equal(table, validate((0.0, 0.1), generator=0, count=5))
    right = (table["structure"] == table["truth"]).groupby(table["truth"]).mean()
    assert right[list(PHASES)].min() > 0.9
    heavy = table[table["truth"] == HEAVY]
    assert (heavy["structure"] == HEAVY).mean() > 0.8 and (heavy["order_parameters"] == PUDDING).mean() > 0.8
    assert (table.loc[table["truth"] == CONVEXITY, "order_parameters"] == CONVEXITY).all()
