"""The rule that sorts seeds into developmental cases, transitions and boundaries (section 2.3)."""

import numpy as np
import pandas as pd
import pytest
from synthetic import BETAS, STEPS, make_sweep

from hyperbook.studies.development import (
    CASE_NAMES,
    boundary,
    cases,
    crossing,
    lasting,
    paths,
    phase_grid,
    rate_distortion,
    representatives,
    transitions,
)
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING
from hyperlib.algorithms.structure import HEAVY, UNCLEAR

LETTERS = {"c": CONVEXITY, "p": PUDDING, "d": DOUBLE_SIDED}


def painted(rows, kl=1000.0, seed=0):
    """A sweep of one seed from strings of c, p and d: one string per step, one letter per beta, ascending."""
    betas = np.geomspace(1e-12, 1, len(rows[0]))
    table = [
        (seed, 10 * t, beta, LETTERS[letter])
        for t, row in enumerate(rows)
        for beta, letter in zip(betas, row, strict=True)
    ]
    sweep = pd.DataFrame(table, columns=["seed", "step", "beta", "phase"])
    numbers = ("kl", "loss", "loss_without_encoder", "alpha_1", "alpha_2", "alpha_3")
    return sweep.assign(**dict.fromkeys(numbers, 1.0)).assign(kl=kl)


def case_of(rows, kl=1000.0):
    return cases(painted(rows, kl))["case"].item()


@pytest.fixture(scope="module")
def sweep():
    return make_sweep()


def test_every_case_is_found_where_it_was_put(sweep):
    table = cases(sweep)
    assert table["seed"].tolist() == list(range(len(CASE_NAMES)))
    assert tuple(table["case"]) == CASE_NAMES
    assert table["convexity_first"].all()
    collapsed = {"random pudding", "random double-sided", "random, heavy-tailed", "convexity only", "other"}
    assert set(table["case"][table["collapsed"]]) == collapsed


def test_cases_do_not_depend_on_the_order_of_rows(sweep):
    shuffled = sweep.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(cases(sweep), cases(shuffled))


def test_a_phase_counts_only_if_it_lasts():
    grid = phase_grid(painted(["cpp", "pcp", "ccd"]), 0)
    assert lasting(grid).to_numpy().tolist() == [[False, False, True], [False, True, True], [True, True, True]]
    flash = ["c" * 30, "p" * 30, "c" * 30, "c" * 30]
    assert case_of(flash) == "convexity only"
    assert case_of([flash[0], flash[1], flash[1], flash[3]]) == "other"


def test_strays_are_two_of_thirty():
    assert case_of(["c" * 30, "pp" + "c" * 28]) == "convexity only"
    assert case_of(["c" * 30, "pppppp" + "c" * 24]) == "pudding at low beta"
    # fewer betas: in proportion, so that a single one of six counts
    assert case_of(["c" * 6, "p" + "c" * 5]) == "other"
    assert case_of(["c" * 6, "pp" + "c" * 4]) == "pudding at low beta"


@pytest.mark.parametrize(("kl", "found"), [(9.9, "random pudding"), (10.0, "pudding at all beta")])
def test_collapse_is_below_ten_nats(kl, found):
    assert case_of(["c" * 30, "p" * 30], kl) == found


def test_one_costly_beta_is_no_collapse():
    sweep = painted(["c" * 30, "p" * 30], 0.0)
    sweep.loc[sweep.index[-30], "kl"] = 50.0  # the lowest beta at the last step
    assert cases(sweep)["case"].item() == "pudding at all beta"
    sweep.loc[sweep["step"] == 0, "kl"] = 1e4  # what was paid before does not matter
    sweep.loc[sweep["step"] == 10, "kl"] = 0.0
    assert cases(sweep)["case"].item() == "random pudding"


def test_collapsed_seeds_need_more_than_half_of_the_betas():
    assert case_of(["c" * 30, "p" * 16 + "c" * 14], 0.0) == "random pudding"
    assert case_of(["c" * 30, "p" * 15 + "c" * 15], 0.0) == "other"
    assert case_of(["c" * 30, "d" * 16 + "c" * 14], 0.0) == "random double-sided"


def test_pudding_has_to_come_first_at_the_same_beta():
    start, end = "c" * 30, "d" * 10 + "c" * 20
    assert case_of([start, "p" * 10 + "c" * 20, "p" * 10 + "c" * 20, end]) == "pudding, then double-sided"
    assert case_of([start, "c" * 10 + "p" * 20, "c" * 10 + "p" * 20, end]) == "double-sided at low beta"
    assert case_of([start, "p" * 5 + "c" * 25, "p" * 5 + "c" * 25, end]) == "double-sided at low beta"
    assert case_of([start, "p" * 6 + "c" * 24, "p" * 6 + "c" * 24, end]) == "pudding, then double-sided"


def test_columns_of_the_case_table(sweep):
    table = cases(sweep).set_index("case")
    final = sweep[(sweep["step"] == STEPS[-1]) & (sweep["seed"] == 2)].set_index("beta")
    row = table.loc["pudding, then double-sided"]
    assert row["loss_low"] == final.loc[BETAS[0], "loss"] and row["alpha_3_low"] == final.loc[BETAS[0], "alpha_3"]
    assert row["kl_low"] == final.loc[BETAS[0], "kl"] == row["kl_max"]
    assert row["phase_low"] == DOUBLE_SIDED and row["phase_high"] == CONVEXITY
    assert table.loc["convexity only", "pudding_share"] == 0
    assert table.loc["pudding at all beta", "pudding_share"] == 1


def test_representatives_are_medians_of_their_cases(sweep):
    table = cases(make_sweep(["random pudding"] * 5 + ["convexity only"] * 2))
    chosen = representatives(table)
    assert list(chosen) == ["random pudding", "convexity only"]
    losses = table.set_index("seed")["loss_low"]
    assert losses[chosen["random pudding"]] == losses[:5].median()
    assert losses[chosen["convexity only"]] == losses[5:].min()


def test_transitions_in_one_direction(sweep):
    counts = transitions(sweep)
    assert 0 < counts.to_numpy().sum() <= len(CASE_NAMES) * (len(STEPS) - 1) * len(BETAS)
    assert (np.tril(counts, -1) == 0).all()  # nothing turns back in this sweep
    assert counts.loc[CONVEXITY, PUDDING] > 0 and counts.loc[PUDDING, DOUBLE_SIDED] > 0


def test_transitions_back_and_flicker():
    rows = ["cc", "pc", "cc", "cp", "pp", "cd", "cd"]
    kept = transitions(painted(rows))
    # at the first beta pudding never lasts, at the second it does
    assert kept.loc[PUDDING, CONVEXITY] == 0 and kept.loc[CONVEXITY, PUDDING] == 1
    assert list(kept.index) == list(kept.columns) == list(PHASES)


def test_boundary_is_the_cut_that_most_betas_agree_with():
    betas = np.geomspace(1e-12, 1, 6)
    found = boundary(painted(["cccccc", "pccccc", "pppccc", "cpdccc", "pppppp", "cccccp"]), 0)
    assert found.index.tolist() == [0, 10, 20, 30, 40, 50]
    np.testing.assert_allclose(found, [np.nan, betas[0], betas[2], betas[2], betas[5], np.nan])


def information(slope_of, kls, seed):
    """A last step at which the loss of one algorithm falls with the KL as a power of it."""
    rows = [
        (seed, 1, beta, name, kl, scale * kl**-power) for name, (scale, power) in slope_of.items() for beta, kl in kls
    ]
    return pd.DataFrame(rows, columns=["seed", "step", "beta", "structure", "kl", "loss"])


def test_loss_at_equal_information_and_where_it_crosses():
    """Pudding 1 / sqrt(KL) and double-sided 30 / KL cross at 900 nats."""
    kls = [(1e-3 / kl, kl) for kl in np.geomspace(100, 5000, 15)]
    made = pd.concat([information({PUDDING: (1, 0.5), DOUBLE_SIDED: (30, 1)}, kls, seed) for seed in range(3)])
    curves = rate_distortion(made, np.geomspace(50, 10_000, 60))
    assert curves["kl"].between(100, 5000).all() and curves.groupby("seed").size().nunique() == 1
    rows = curves[curves["algorithm"] == PUDDING]
    np.testing.assert_allclose(rows["loss"], rows["kl"] ** -0.5, rtol=1e-6)
    assert crossing(curves) == pytest.approx(900, rel=0.1)
    assert np.isnan(crossing(curves[curves["algorithm"] == PUDDING])) and np.isnan(crossing(curves[curves["seed"] > 0]))


def test_random_weights_with_heavy_tails_are_a_kind_of_convexity():
    grid = pd.DataFrame({1e-9: [CONVEXITY, HEAVY, UNCLEAR, PUDDING]})
    assert paths(grid, grid.notna()) == [[CONVEXITY, CONVEXITY, PUDDING]]
