"""Tables, numbers and examples of the notebooks: they follow the run, and say what is absent."""

import math
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from synthetic import make_sweep

from hyperbook.report import examples, text
from hyperbook.studies.development import cases
from hyperbook.studies.explain import explain
from hyperlib.algorithms import construct
from hyperlib.algorithms.order_parameters import PUDDING
from hyperlib.config import TrainConfig
from hyperlib.network import Network
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


@pytest.mark.parametrize(("value", "expected"), [(2.59e-5, "2.6 × 10⁻⁵"), (1e7, "10⁷"), (math.inf, "∞"), (33, "33")])
def test_numbers_without_latex(value, expected):
    assert text.plain(text.number(value)) == expected


def test_glued_numbers_are_text(monkeypatch):
    kept = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: kept.update({name: value}))
    text.glue(loss=2.59e-5, seeds=33, share="39 %")
    assert kept == {"loss": "2.6 × 10⁻⁵", "seeds": "33", "share": "39 %"}


def test_shares_in_percent():
    assert [text.percent(share) for share in (0, 0.5, 0.9996, 1)] == ["0 %", "50 %", "100.0 %", "100 %"]


def test_tables_are_markdown_with_the_chosen_columns():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.12345, math.inf], "c": ["x", "y"]})
    lines = text.table(frame, {"c": "name", "b": "loss"}).data.splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["name", "loss"]
    assert "0.12" in lines[2] and r"$\infty$" in lines[3]
    assert "Nothing" in text.table(frame.iloc[:0]).data


@pytest.mark.parametrize("sign", [+1, -1])
@pytest.mark.parametrize("hidden", [17, 48])
def test_sign_of_pudding(sign, hidden):
    net, kind = construct.pudding(16, sign, hidden), {+1: examples.POSITIVE, -1: examples.NEGATIVE}[sign]
    assert examples.kind_of(net, PUDDING) == kind
    order = torch.randperm(hidden, generator=torch.Generator().manual_seed(0))
    weights, biases = [net.weights[0][:, order], net.weights[1][order]], [net.biases[0][order], net.biases[1]]
    assert examples.kind_of(type(net)(weights, biases), PUDDING) == kind


def test_pudding_of_a_deep_network_has_no_sign():
    deep = type(construct.double_sided(4))(
        [torch.ones(3, 4), torch.ones(4, 4), torch.ones(4, 1)], [torch.ones(4)] * 2 + [torch.ones(1)]
    )
    assert examples.kind_of(deep, PUDDING) == PUDDING


def test_absent_cases_are_said():
    table = cases(make_sweep(["convexity only"]))
    assert examples.random_and_memorising(table) == ([], [])


def example_run(losses: dict[int, tuple[float, float]], kls: dict[int, float], betas: tuple[float, ...] = (1e-6, 1.0)):
    """A run of double-sided networks at the lower of two betas and convexity at the higher, with these losses, KL.

    Of ``betas`` it has the networks.
    """
    nets = {True: construct.double_sided(4, hidden=24), False: construct.convexity(4, 24, generator=0)}
    rows = [
        {"seed": seed, "beta": beta, "loss": pair[k], "kl": kls[seed] * (1 - k), "phase": phase}
        for seed, pair in losses.items()
        for k, (beta, phase) in enumerate(((1e-6, "double-sided"), (1.0, "convexity")))
    ]
    weights = [torch.stack(parts) for parts in zip(nets[True].weights, nets[False].weights, strict=True)]
    biases = [torch.stack(parts) for parts in zip(nets[True].biases, nets[False].biases, strict=True)]
    config = SimpleNamespace(task="l1", shape=(4, 24, 1))
    kept = Network(weights, biases)[[beta in betas for beta in (1e-6, 1.0)]]
    held = {"modelled": list(losses), "networks": lambda seed: kept, "network_betas": list(betas)}
    return SimpleNamespace(final=pd.DataFrame(rows), config=config, **held)


def test_examples_are_typical_and_of_those_who_pay_if_there_are_any():
    losses = {0: (0.01, 0.3), 1: (0.02, 0.5), 2: (0.9, 0.4), 3: (0.001, 0.9)}
    found = examples.one_per_kind(example_run(losses, {0: 500.0, 1: 500.0, 2: 500.0, 3: 0.0}))
    assert [(e.kind, e.seed, e.beta) for e in found] == [("convexity", 2, 1.0), ("double-sided", 1, 1e-6)]
    found = examples.one_per_kind(example_run(losses, dict.fromkeys(losses, 0.0)))
    assert found[1].seed == 0  # of 3, 0, 1, 2 by loss
    assert examples.one_each(found) == found
    alone = examples.one_per_kind(example_run(losses, dict.fromkeys(losses, 0.0), betas=(1e-6,)))
    assert [example.seed for example in alone] == [found[-1].seed]  # of networks that the run keeps


def test_contrast_starts_with_the_median_and_the_best():
    table = cases(make_sweep(["random pudding"] * 3 + ["pudding at low beta"] * 2))
    random, memorising = examples.random_and_memorising(table)
    low = table.set_index("seed")["loss_low"]
    assert random[0] == low.loc[[0, 1, 2]].sort_values().index[1] and set(random) == {0, 1, 2}
    assert memorising == low.loc[[3, 4]].sort_values().index.tolist()


def test_constructions_do_not_apply_to_every_run():
    deep = made_up_run("convexity only", config=TrainConfig(seeds=[0], shape=(5, 7, 6, 1)))
    assert not examples.is_l1(deep)


def test_readable_networks_are_told_from_unreadable_ones():
    noise, pudding = torch.Generator().manual_seed(0), construct.pudding(16, hidden=48)
    messy = pudding.map(lambda t: t + 2 * torch.randn(t.shape, generator=noise))
    clean, noisy = explain(pudding), explain(messy)
    assert max(clean.scores.values()) > 0.99 > 0.6 > max(noisy.scores.values()) and clean.label == PUDDING
