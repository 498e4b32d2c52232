"""Prose and tables of the notebooks: they follow the tables, and say what is absent."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from synthetic import make_sweep

from hyperlib.algorithms import construct
from hyperlib.algorithms.explain import explain
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, classify
from hyperlib.config import TrainConfig
from hyperlib.development import cases, transitions
from hyperlib.report import examples, found, tables, text
from hyperlib.runs import Run


def made_up_run(*names: str, config: TrainConfig | None = None) -> Run:
    """A run whose sweep is made up and which has no files."""
    sweep = make_sweep(names)
    config = config or TrainConfig(seeds=range(len(names)), steps=int(sweep["step"].max()))
    run = Run(None, config, {"failed": {}, "files": {}, "wall_s": 60.0}, list(config.seeds))
    run.__dict__["sweep"] = sweep
    return run


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        (36000, "36,000"),
        (0.0, "0"),
        (0.0342, "0.034"),
        (12.7, "13"),
        (5499.9, "5,500"),
        (1e-12, "$10^{-12}$"),
        (2.59e-5, r"$2.6 \times 10^{-5}$"),
        (math.inf, r"$\infty$"),
        (math.nan, "–"),
        ("none", "none"),
        (True, "yes"),
    ],
)
def test_numbers_in_sentences(value, expected):
    assert text.number(value) == expected


def test_words():
    assert [text.count(n, "seed") for n in (0, 1, 2)] == ["no seeds", "1 seed", "2 seeds"]
    assert [text.listing(list("abc")[:n]) for n in range(4)] == ["none", "a", "a and b", "a, b and c"]
    assert [text.percent(share) for share in (0, 0.5, 0.9996, 1)] == ["0 %", "50 %", "100.0 %", "100 %"]
    assert text.say("one", None, "two").data == "- One\n- Two"


def test_tables_are_markdown_with_the_chosen_columns():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.12345, math.inf], "c": ["x", "y"]})
    lines = text.table(frame, {"c": "name", "b": "loss"}).data.splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["name", "loss"]
    assert "0.12" in lines[2] and r"$\infty$" in lines[3]
    assert "Nothing" in text.table(frame.iloc[:0]).data


@pytest.mark.parametrize("sign", [+1, -1])
@pytest.mark.parametrize("hidden", [17, 48])
def test_sign_of_pudding(sign, hidden):
    net = construct.pudding(16, sign, hidden)
    assert examples.pudding_sign(net) == sign
    order = torch.randperm(hidden, generator=torch.Generator().manual_seed(0))
    weights, biases = [net.weights[0][:, order], net.weights[1][order]], [net.biases[0][order], net.biases[1]]
    assert examples.pudding_sign(type(net)(weights, biases)) == sign


def test_sign_of_a_deep_network_is_an_error():
    deep = type(construct.double_sided(4))(
        [torch.ones(3, 4), torch.ones(4, 4), torch.ones(4, 1)], [torch.ones(4)] * 2 + [torch.ones(1)]
    )
    with pytest.raises(ValueError, match=r"expected one \(n, m, 1\)"):
        examples.pudding_sign(deep)
    assert examples.kind_of(deep, PUDDING) == PUDDING


@pytest.mark.parametrize("kind", examples.FIGURE)
def test_construction_beside_a_network_is_of_its_kind(kind):
    shared = {"sharpness": 4.0, "shared": 0.2}
    net = {
        CONVEXITY: construct.convexity(16, 48, generator=1),
        examples.NEGATIVE: construct.pudding(16, -1, 48, **shared),
        examples.POSITIVE: construct.pudding(16, +1, 48, **shared),
        DOUBLE_SIDED: construct.pudding(16, +1, 48, **shared),
    }[kind]
    ideal = examples.construction(kind, net)
    assert ideal.shape == net.shape
    assert examples.kind_of(ideal, classify(ideal)) == kind
    if kind != CONVEXITY:
        assert float(ideal.weights[0].abs().max()) == pytest.approx(4.0)
    assert explain(ideal).label in kind
    assert examples.construction(DOUBLE_SIDED, construct.pudding(16)) is None  # too few hidden neurons


def test_sentences_follow_the_table():
    run = made_up_run("pudding at low beta", "double-sided at low beta", "random pudding")
    said = "\n".join(found.one_of_each(run))
    assert "has convexity, pudding and double-sided." in said
    assert "double-sided is the most accurate" in said
    run.sweep.loc[run.sweep["phase"] == DOUBLE_SIDED, "loss"] *= 1000
    assert "pudding is the most accurate" in "\n".join(found.one_of_each(run))
    alone = made_up_run("convexity only")
    assert "pudding and double-sided are absent" in "\n".join(found.one_of_each(alone))


def test_development_tells_ways_back():
    run = made_up_run("pudding at low beta", "pudding, then double-sided", "random pudding")
    table = cases(run.sweep)
    said = found.development(run, table, transitions(run.sweep, only_lasting=True)).data
    assert "from pudding to double-sided" in said and "None goes back" in said
    assert "1 seed of 3 develop" in said
    moves = pd.DataFrame(0, index=PHASES, columns=PHASES)
    moves.loc[PUDDING, CONVEXITY] = 7
    said = found.development(run, table, moves).data
    assert "7 go back: 7 from pudding to convexity" in said and "No network changes" in said


def test_absent_cases_are_said():
    table = cases(make_sweep(["convexity only"]))
    said = found.without_encoder(table).data
    assert "Seeds that memorise: none." in said
    assert examples.contrast(table) == ([], [])
    run = made_up_run("convexity only")
    absent = pd.DataFrame()
    assert found.other_sizes(run, absent, absent, absent).data.endswith("cannot be judged on it.")
    assert "has a boundary" in tables.boundaries(run, table).data


def test_contrast_starts_with_the_median_and_the_best():
    table = cases(make_sweep(["random pudding"] * 3 + ["pudding at low beta"] * 2))
    random, memorising = examples.contrast(table)
    low = table.set_index("seed")["loss_low"]
    assert random[0] == low.loc[[0, 1, 2]].sort_values().index[1] and set(random) == {0, 1, 2}
    assert memorising == low.loc[[3, 4]].sort_values().index.tolist()


def test_other_sizes_name_the_largest_that_work():
    rows = [(n, m, 9.0, 0.1 if m >= 2 * n else 0.5) for n in (8, 16, 32) for m in (16, 48, 64)]
    sizes = pd.DataFrame(rows, columns=["n_0", "n_1", "loss", "loss_rescaled"]).assign(seed=0)
    worse = sizes.assign(seed=1, loss_rescaled=sizes["loss_rescaled"] + 0.06)
    run = made_up_run("random pudding")
    said, mean = found.other_sizes(run, sizes, pd.concat([sizes, worse]), pd.DataFrame()).data.splitlines()
    assert said.startswith("- Case 3d, seed 0: ") and mean.startswith("- Mean over case 3d, 2 seeds: ")
    assert "the loss is 9.0, rescaled 0.13" in mean
    assert "at (16, 48) the loss is 9.0, rescaled 0.10" in said
    assert "of 9 sizes, 6 have" in said and "the largest (32, 64)" in said
    assert found.frontier(sizes) == [(32, 64)]


def test_constructions_do_not_apply_to_every_run():
    deep = made_up_run("convexity only", config=TrainConfig(seeds=[0], shape=(5, 7, 6, 1)))
    assert tables.readability(deep, [("a", None)]).empty and tables.causal_table(deep, [("a", None)]).empty
    assert "do not apply" in found.adam(pd.DataFrame(), pd.DataFrame(), []).data
    assert "do not apply" in tables.agreement(examples.explained_networks(deep)).data


def test_readable_networks_are_told_from_unreadable_ones():
    run = made_up_run("pudding at low beta")
    noise = torch.Generator().manual_seed(0)
    messy = construct.pudding(16, hidden=48).map(lambda t: t + 2 * torch.randn(t.shape, generator=noise))
    named = [("clean", construct.pudding(16, hidden=48)), ("messy", messy)]
    table = tables.readability(run, named).set_index("network")
    assert table.loc["clean", "explained"] > 0.99 > 0.6 > table.loc["messy", "explained"]
    assert table.loc["clean", "best"] == PUDDING
    causal = tables.causal_table(run, named[:1])["clean"]
    assert causal["own construction"] < 0.02 < 0.5 < causal["weights shuffled"]


def test_run_folder_depends_on_the_configuration():
    one, same, other = (TrainConfig(steps=steps) for steps in (10, 10, 11))
    assert tables.run_folder("runs", one) == tables.run_folder("runs", same) != tables.run_folder("runs", other)


def test_exact_constructions_meet_their_closed_form():
    rows = tables.construction_check(construct.double_sided, n=16).data.splitlines()[2:]
    assert len(rows) == 3
    assert all(row.split("|")[3].strip() == row.split("|")[4].strip() for row in rows), rows


def test_seed_dependence_is_told_by_what_was_paid():
    run = made_up_run("pudding at low beta", "random pudding")
    calibrated = pd.DataFrame(
        {"truth": [PUDDING], "noise": [0.0], "order_parameters": [PUDDING], "explanation": ["none"]}
    )
    said = found.order_space(run, calibrated, pd.DataFrame(columns=["seed", *examples.AGREEMENT])).data
    paid, free = (float(part.split()[-1]) for part in said.split("The median of")[1].split(" where the KL")[:2])
    assert paid < 0.5 < 0.8 < free
    assert "100 % of the clean networks" in said and "0 % of the clean networks" in said
