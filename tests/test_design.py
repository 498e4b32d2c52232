"""The designed experiment behind the choice of settings."""

import itertools

import numpy as np
import pandas as pd
import pytest

from hyperbook.studies.settings import LEVELS, RESPONSES, configuration, effects, responses, settings


def test_design_is_orthogonal():
    table = settings()
    assert len(table) == 8 and not table.duplicated().any()
    for one, other in itertools.combinations(LEVELS, 2):
        assert (table.groupby([one, other]).size() == 2).all()


def test_configuration_takes_every_knob():
    setting = settings().iloc[5].to_dict()
    config = configuration(setting, seeds=(7,), steps=10)
    assert (config.beta_warmup, config.learning_rate) == (setting["beta_warmup"], setting["learning_rate"])
    for name in ("random_scale", "sigma_shift", "output_scale"):
        assert getattr(config.architecture, name) == setting[name]
    assert config.seeds == (7,) and config.steps == 10


def test_effects_find_the_knob_that_matters_and_only_it():
    base = settings()
    table = pd.concat([base.assign(seed=seed) for seed in range(4)], ignore_index=True)
    table["memorised"] = (table["random_scale"] < 0.7).astype(float)
    table["loss"], table["assembled"], table["step"] = 0.3, False, 100
    early = table.assign(step=10, memorised=0.0)
    table = pd.concat([early, table], ignore_index=True)
    found = effects(table).set_index(["knob", "response"])
    assert found.loc[("random_scale", "memorised"), "effect"] == pytest.approx(-1)
    assert found.loc[("random_scale", "memorised"), "p"] < 0.05
    others = [knob for knob in LEVELS if knob != "random_scale"]
    np.testing.assert_allclose(found.loc[[(knob, "memorised") for knob in others], "effect"], 0, atol=1e-12)
    assert len(found) == len(LEVELS) * len(RESPONSES)


def test_responses_are_those_of_the_lowest_beta_and_the_largest_kl():
    rows = [
        # step, seed, beta, loss, kl, phase
        (5, 0, 1e-12, 0.1, 2.0, "pudding"),
        (5, 0, 1.0, 0.4, 3.0, "convexity"),
        (5, 1, 1e-12, 0.2, 0.0, "pudding"),
        (5, 1, 1e-6, 0.3, 900.0, "convexity"),
        (5, 1, 1.0, 0.5, 0.0, "convexity"),
    ]
    sweep = pd.DataFrame(rows, columns=["step", "seed", "beta", "loss", "kl", "phase"]).assign(alpha_1=1.0, alpha_2=3.0)
    found = responses(sweep.sample(frac=1, random_state=0))
    assert found["memorised"].tolist() == [False, True] and found["assembled"].tolist() == [True, False]
    assert found["loss"].tolist() == [0.1, 0.2] and found["loss_high"].tolist() == [0.4, 0.5]


def test_a_table_of_something_else_is_an_error():
    with pytest.raises(ValueError, match="no column beta_warmup"):
        effects(pd.DataFrame({"random_scale": [1], "sigma_shift": [0]}))
