"""The ledger: intervals, the rule for verdicts, and verdicts that follow the tables (every section of the paper)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import BETAS, make_sweep

from hyperlib import TrainConfig
from hyperlib.algorithms.construct import convexity, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS, phase
from hyperlib.claims import (
    NOT_MEASURABLE,
    NOT_REPRODUCED,
    OUTCOMES,
    PARTLY,
    REPRODUCED,
    VERDICTS,
    algorithms,
    assignments,
    beyond,
    development,
    evidence,
    ledger,
    to_table,
)
from hyperlib.claims.claim import Check, Claim, Criterion, Estimate, estimate
from hyperlib.claims.evidence import Evidence, same_order
from hyperlib.figures.claims import boxes, link, overview, verdicts
from hyperlib.hyperhypernetwork import ParetoHypernetwork, initial_parameters
from hyperlib.hypernetwork import Architecture, Hypernetwork
from hyperlib.network import Network
from hyperlib.runs import Run

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
FOUND = [
    *("pudding at low beta",) * 3,
    *("pudding at all beta",) * 2,
    *("random pudding",) * 3,
    *("pudding, then double-sided",) * 2,
    *("double-sided at low beta",) * 3,
]


def stack(nets: list[Network]) -> Network:
    return Network(
        [torch.stack(parts) for parts in zip(*(net.weights for net in nets), strict=True)],
        [torch.stack(parts) for parts in zip(*(net.biases for net in nets), strict=True)],
    )


def fake_run(sweep: pd.DataFrame, shape=(16, 48, 1), task: str = "l1") -> SimpleNamespace:
    """A run with a made-up sweep, constructed networks of the phases in it, and untrained hypernetworks."""
    seeds = sorted(sweep["seed"].unique().tolist())
    architecture = Architecture()
    n, m = shape[:2]

    def build(name: str) -> Network:
        if len(shape) != 3:
            g = torch.Generator().manual_seed(0)
            weights = [torch.randn(a, b, generator=g) for a, b in itertools.pairwise(shape)]
            return Network(weights, [torch.zeros(b) for b in shape[1:]])
        return {CONVEXITY: convexity(n, m, 0), PUDDING: pudding(n, hidden=m), DOUBLE_SIDED: double_sided(n, hidden=m)}[
            name
        ]

    def networks(seed: int) -> Network:
        rows = sweep[(sweep["seed"] == seed) & (sweep["step"] == sweep["step"].max())].sort_values("beta")
        made = {name: build(name) for name in rows["phase"].unique()}
        return stack([made[name] for name in rows["phase"]])

    def model(seed: int) -> ParetoHypernetwork:
        return ParetoHypernetwork(initial_parameters(Hypernetwork(shape, architecture), seed), shape, architecture)

    return SimpleNamespace(
        config=SimpleNamespace(shape=shape, task=task),
        seeds=seeds,
        betas=sorted(sweep["beta"].unique().tolist()),
        sweep=sweep,
        networks=networks,
        model=model,
    )


@pytest.fixture
def cheap(monkeypatch):
    """Short versions of what is expensive: the baseline and the sizes."""
    monkeypatch.setattr(evidence, "ADAM_STEPS", 20)
    monkeypatch.setattr(evidence, "SIZE_FACTORS", (1.0, 2.0))
    monkeypatch.setattr(evidence, "SIZE_SEEDS", 1)


@pytest.fixture(scope="module")
def sweep():
    table = make_sweep(FOUND, noise=0.02)
    for name in PHASES:  # well away from the boundaries, wherever they are
        table = repainted(table, table["phase"] == name, name)
    return table


def verdict(claim, sweep: pd.DataFrame) -> str:
    return claim(Evidence(fake_run(sweep))).verdict


# --- the rule --------------------------------------------------------------------------------------------------------


def test_interval_of_a_mean_is_close_to_the_normal_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = estimate(values)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)
    assert (found.samples, found.basis) == (400, "400 seeds")
    assert found == estimate(values)  # the resampling has a seed of its own


def test_interval_of_a_difference_of_two_groups():
    g = np.random.default_rng(1)
    first, second = g.normal(5, 1, 300), g.normal(3, 1, 200)
    found = estimate(first, minus=second, minus_of="network")
    half = 1.96 * np.hypot(first.std() / np.sqrt(300), second.std() / np.sqrt(200))
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)
    assert (found.samples, found.basis) == (200, "300 seeds against 200 networks")


@pytest.mark.parametrize(("statistic", "value"), [("mean", 4.0), ("median", 2.0), ("sum", 12.0)])
def test_statistics(statistic, value):
    assert estimate([1, 2, 9], statistic).value == value


def test_few_samples():
    assert estimate([]) is None
    assert estimate([1.0], minus=[]) is None
    alone = estimate([2.0])
    assert (alone.low, alone.high, alone.basis) == (2.0, 2.0, "1 seed")
    with pytest.raises(ValueError, match="finite"):
        estimate([1.0, np.nan])


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.6, 0.9, "holds"), (0.1, 0.4, "fails"), (0.4, 0.6, "open"), (0.5, 0.7, "holds")]
)
def test_the_interval_decides(low, high, outcome):
    found = Estimate((low + high) / 2, low, high, 9, "9 seeds")
    assert Criterion("at least", 0.5).judge(found) == outcome
    assert Criterion("more than", 0.5).judge(found) == ("open" if low == 0.5 else outcome)
    turned = {"holds": "fails", "fails": "holds", "open": "open"}[outcome]
    assert Criterion("at most", 0.499).judge(found) == turned


def test_the_value_decides_where_the_question_is_whether_there_is_any():
    found = Estimate(2.0, 0.0, 5.0, 9, "9 seeds")
    assert Criterion("at least", 1).judge(found) == "open"
    assert Criterion("at least", 1, by_value=True).judge(found) == "holds"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ("hh", REPRODUCED),
        ("hhr", REPRODUCED),
        ("ff", NOT_REPRODUCED),
        ("fa", NOT_REPRODUCED),
        ("aa", NOT_MEASURABLE),
        ("aar", NOT_MEASURABLE),
        ("hf", PARTLY),
        ("ha", PARTLY),
        ("o", PARTLY),
        ("of", PARTLY),
    ],
)
def test_verdicts(outcomes, expected):
    yes, no, both = (Estimate(v, low, high, 5, "5 seeds") for v, low, high in ((3, 2, 4), (0, -1, 0.5), (1, 0, 2)))
    found = {"h": yes, "f": no, "o": both, "r": no}
    asked = Criterion("at least", 1.0)
    checks = tuple(Check("quantity", "", found.get(o), None if o == "r" else asked, "absent") for o in outcomes)
    assert Claim("id", "2.1", "title", "sentence", checks, "notebook", "fig-x").verdict == expected


def test_numbers_are_shown_in_their_units():
    found = Estimate(0.5, 0.25, 1.0, 3, "3 seeds")
    check = Check("what", "share", found, Criterion("at least", 0.95))
    assert (check.measured, check.asked) == ("50 %", "at least 95 %")
    assert check.interval == " (95 %: 25 to 100 %; 3 seeds)"
    assert Check("what", "nats", Estimate(6789.1, 1, 2, 3, "")).measured == "6,789 nats"
    assert Check("what", "", Estimate(0.01234, 1, 2, 3, "")).measured == "0.0123"
    assert Check("what", "decades", found, Criterion("at least", 1)).asked == "at least 1 decade"
    with pytest.raises(ValueError, match="neither a value nor a reason"):
        Check("what", "", None)
    with pytest.raises(ValueError, match="relation is 'above'"):
        Criterion("above", 1.0)


# --- verdicts follow the tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (algorithms.three_algorithms, REPRODUCED),
        (algorithms.double_sided_best_and_last, PARTLY),  # the time of arrival is the same for all of these seeds
        (algorithms.clusters, REPRODUCED),
        (algorithms.classifiers_agree, REPRODUCED),
        (algorithms.neurons_needed, REPRODUCED),
        (development.convexity_first, REPRODUCED),
        (development.no_way_back, REPRODUCED),
        (development.pudding_range, REPRODUCED),
        (development.high_beta_convexity, PARTLY),  # 8 of 13: the interval reaches below a half
        (development.boundary_rises, REPRODUCED),
        (development.order_in_beta, PARTLY),  # in the made-up sweeps both algorithms pay the same KL
        (assignments.kl_of_case_3d, REPRODUCED),
    ],
)
def test_a_sweep_made_as_the_paper_says(sweep, claim, expected):
    assert verdict(claim, sweep) == expected


def repainted(sweep: pd.DataFrame, rows: pd.Series, name: str) -> pd.DataFrame:
    double, strongest = THRESHOLDS.double_sided, THRESHOLDS.strongest
    alphas = {CONVEXITY: (double / 2, strongest / 2), PUDDING: (double / 2, 2 * strongest)}
    alphas[DOUBLE_SIDED] = (4 * double, 2 * strongest)
    changed = sweep.copy()
    changed.loc[rows, ["alpha_1", "alpha_2"]] = alphas[name]
    changed["phase"] = phase(changed["alpha_1"], changed["alpha_2"])
    return changed


def scaled(sweep: pd.DataFrame, rows: pd.Series, column: str, factor: float) -> pd.DataFrame:
    changed = sweep.copy()
    changed.loc[rows, column] *= factor
    return changed


def is_last(sweep: pd.DataFrame) -> pd.Series:
    return sweep["step"] == sweep["step"].max()


CHANGES = {
    "no pudding": (
        algorithms.three_algorithms,
        lambda s: repainted(s, s["phase"] == PUDDING, DOUBLE_SIDED),
        PARTLY,
    ),
    "much more pudding": (
        algorithms.pudding_most_common,
        lambda s: repainted(s, is_last(s) & (s["beta"] < 0.1), PUDDING),
        REPRODUCED,
    ),
    "no pudding at the end": (
        algorithms.pudding_most_common,
        lambda s: repainted(s, is_last(s), CONVEXITY),
        NOT_REPRODUCED,
    ),
    "all near a boundary": (
        algorithms.clusters,
        lambda s: s.assign(alpha_2=1.05 * THRESHOLDS.strongest),
        NOT_REPRODUCED,
    ),
    "double-sided is worse": (
        algorithms.double_sided_best_and_last,
        lambda s: scaled(scaled(s, s["phase"] == DOUBLE_SIDED, "loss", 1e4), s["phase"] == PUDDING, "loss", 1e3),
        PARTLY,
    ),
    "pudding first": (
        development.convexity_first,
        lambda s: repainted(s, s["phase"] == CONVEXITY, PUDDING),
        NOT_REPRODUCED,
    ),
    "all go back": (
        development.no_way_back,
        lambda s: repainted(s, is_last(s), CONVEXITY),
        PARTLY,
    ),
    "pudding at high beta only": (
        development.pudding_range,
        lambda s: repainted(repainted(s, s["beta"] > 0, CONVEXITY), (s["beta"] > 1e-2) & (s["step"] > 1000), PUDDING),
        NOT_REPRODUCED,
    ),
    "nothing at high beta stays": (
        development.high_beta_convexity,
        lambda s: repainted(s, is_last(s) & (s["beta"] == BETAS[-1]), PUDDING),
        NOT_REPRODUCED,
    ),
    "the boundary falls": (
        development.boundary_rises,
        lambda s: repainted(repainted(s, s["phase"] == CONVEXITY, PUDDING), is_last(s) & (s["beta"] > 1e-8), CONVEXITY),
        NOT_REPRODUCED,
    ),
    "case 3d has a front": (
        assignments.kl_of_case_3d,
        lambda s: scaled(s, (s["kl"] < 1) & (s["beta"] < 1e-6), "loss", 0.1),
        PARTLY,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_results_change_the_verdict(sweep, name):
    claim, change, expected = CHANGES[name]
    before, after = (claim(Evidence(fake_run(table))) for table in (sweep, change(sweep)))
    assert after.verdict == expected
    assert [check.measured for check in before.checks] != [check.measured for check in after.checks]


def test_encoder_claims_follow_the_tables_and_the_networks(sweep, monkeypatch):
    monkeypatch.setattr(Evidence, "without_encoder", lambda self, seeds: [np.array([PUDDING] * 10) for _ in seeds])
    assert verdict(assignments.encoder_ablation, sweep) == REPRODUCED
    ignored = sweep.assign(loss_without_encoder=sweep["loss"])
    assert verdict(assignments.encoder_ablation, ignored) == PARTLY
    swapped = sweep.assign(loss=sweep["loss_without_encoder"], loss_without_encoder=sweep["loss"])
    assert verdict(assignments.encoder_ablation, swapped.assign(loss=swapped["loss"] + 1.0)) == PARTLY


def test_order_of_hidden_neurons(sweep, monkeypatch):
    random = {seed for seed, case in enumerate(FOUND) if case.startswith("random")}
    monkeypatch.setattr(Evidence, "kept_order", lambda self, seeds: [0.1 if s in random else 1.0 for s in seeds])
    assert verdict(assignments.seed_dependence, sweep) == REPRODUCED
    assert verdict(assignments.seed_dependence, sweep.assign(alpha_3=1.0)) == PARTLY


def test_same_order_counts_assigned_neurons_only():
    W = torch.tensor([[4.0, 0.0, 0.1, 0.1], [0.0, -4.0, 0.2, 0.1], [0.0, 0.0, 0.1, 3.0]])
    assert same_order(W, W) == 1
    assert same_order(W, -W) == 0
    V = W.clone()
    V[:, 2] = -1.0  # a shared neuron
    assert same_order(W, V) == 1
    V[:, 0] = V[[1, 0, 2], 0]  # neuron 0 now serves input 1
    assert same_order(W, V) == pytest.approx(2 / 3)


def test_low_beta_values_are_geometric_means(sweep):
    found = Evidence(fake_run(sweep)).at_low("loss", [2, 0])
    rows = sweep[is_last(sweep) & sweep["beta"].isin(BETAS[:10])]
    assert found[0] == pytest.approx(np.exp(np.log(rows[rows["seed"] == 2]["loss"]).mean()))
    assert found[1] == pytest.approx(np.exp(np.log(rows[rows["seed"] == 0]["loss"]).mean()))


def test_causal_claim_on_constructions(sweep):
    claim = algorithms.causal(Evidence(fake_run(sweep)))
    assert [check.outcome for check in claim.checks[:4]] == ["holds", "reported", "holds", "holds"]
    assert claim.checks[0].found.samples == len(FOUND)


def table_of_sizes(random: float, raw: float, memorised: float) -> pd.DataFrame:
    """Losses at the trained size and at one that is larger in both dimensions."""
    rows = []
    for seed in range(4):
        name, loss = ("random", random) if seed < 2 else ("memorised", memorised)
        for n, m in ((16, 48), (32, 96)):
            rows.append(
                {"n_0": n, "n_1": m, "loss": raw, "loss_rescaled": loss + 0.001 * seed, "seed": seed, "case": name}
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [((0.1, 0.1, 0.9), REPRODUCED), ((0.1, 5.0, 0.9), PARTLY), ((0.4, 5.0, 0.1), NOT_REPRODUCED)],
)
def test_other_sizes(sweep, monkeypatch, losses, expected):
    monkeypatch.setattr(Evidence, "sizes", table_of_sizes(*losses))
    assert verdict(beyond.other_sizes, sweep) == expected


def test_adam_claims(sweep, monkeypatch):
    x, y = Evidence(fake_run(sweep)).inputs()
    good = stack([double_sided(16, 40.0, 48), pudding(16, hidden=48, sharpness=40.0)])
    assert float(good.loss(x, y).max()) < 1e-3
    monkeypatch.setattr(Evidence, "adam", good)
    assert verdict(beyond.adam_is_lower, sweep) == REPRODUCED
    assert verdict(beyond.adam_is_lower, sweep.assign(loss=1e-6)) == NOT_REPRODUCED
    labels = pd.DataFrame({"beta": BETAS[0], "share_pudding": [0.8, 0.9, 0.9]})
    monkeypatch.setattr(Evidence, "labels", labels)
    monkeypatch.setattr(
        Evidence, "adam_labels", pd.DataFrame({"share_pudding": [0.4, 0.5], "share_convexity": [0.3, 0.3]})
    )
    assert verdict(beyond.adam_is_harder, sweep) == REPRODUCED
    monkeypatch.setattr(Evidence, "adam_labels", pd.DataFrame({"share_pudding": [1.0, 1.0]}))
    assert verdict(beyond.adam_is_harder, sweep) == NOT_REPRODUCED


# --- the whole ledger and its page -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(sweep):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "ADAM_STEPS", 20)
        patch.setattr(evidence, "SIZE_FACTORS", (1.0, 1.5))
        patch.setattr(evidence, "SIZE_SEEDS", 1)
        return ledger(fake_run(sweep))


def test_ledger_is_complete_and_in_order(whole):
    functions = (*algorithms.CLAIMS, *development.CLAIMS, *assignments.CLAIMS, *beyond.CLAIMS)
    assert len(whole) == len(functions) == len({claim.id for claim in whole})
    sections = [claim.section for claim in whole]
    assert sections == sorted(sections, key=lambda section: section.split(",")[0])
    assert all(claim.verdict in VERDICTS for claim in whole)
    assert all(any(check.criterion for check in claim.checks) for claim in whole)


def test_table_holds_the_ledger(whole):
    table = to_table(whole)
    assert len(table) == sum(len(claim.checks) for claim in whole)
    assert set(table["outcome"]) <= set(OUTCOMES)
    first = whole[0].checks[0]
    row = table.iloc[0]
    assert (row["value"], row["threshold"], row["relation"]) == (first.found.value, 2, "at least")
    assert table.groupby("claim")["verdict"].nunique().max() == 1
    measured = table.dropna(subset="value")
    assert ((measured["low"] <= measured["value"]) & (measured["value"] <= measured["high"])).mean() > 0.95


def test_page_says_what_the_ledger_says(whole):
    page = "\n".join(str(boxes(whole, section)) for section in sorted({c.section.split(",")[0] for c in whole}))
    for claim in whole:
        assert f"{{admonition}} {claim.verdict.capitalize()}: {claim.title}\n" in page
        assert f":name: claim-{claim.id}\n" in page
        assert claim.sentence in page
        for check in claim.checks:
            assert check.measured in page
            assert check.asked in page
    top = str(overview(whole))
    assert f"Of {len(whole)} claims" in top
    assert all(f"(#claim-{claim.id}) | {claim.verdict} |" in top for claim in whole)
    with pytest.raises(ValueError, match="section '9'"):
        boxes(whole, "9")


def test_page_changes_with_the_results(sweep):
    """No sentence about a result is written by hand: another sweep gives another page."""
    changed = repainted(sweep, is_last(sweep), CONVEXITY)
    pages = [
        str(boxes([algorithms.pudding_most_common(Evidence(fake_run(table)))], "2.1")) for table in (sweep, changed)
    ]
    assert "Not reproduced: Pudding is the most common" not in pages[0]
    assert "Not reproduced: Pudding is the most common" in pages[1]


def test_a_notebook_ends_with_the_boxes_of_what_it_shows(whole, monkeypatch):
    monkeypatch.setattr(
        "hyperlib.figures.claims.ledger", lambda run, notebook: [c for c in whole if c.notebook == notebook]
    )
    for notebook in {claim.notebook for claim in whole}:
        page = str(verdicts(fake_run(make_sweep(["convexity only"])), notebook))
        assert page.count(":::{admonition}") == sum(claim.notebook == notebook for claim in whole)
        assert ":name:" not in page  # names are on the page of claims
        source = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"][-1]["source"]
        assert "".join(source) == f'verdicts(trained, "{notebook}")'


def test_verdicts_of_another_task_or_notebook(cheap):
    assert "computes l2" in str(verdicts(fake_run(make_sweep(["convexity only"]), task="l2"), "04_phase_diagrams"))
    with pytest.raises(ValueError, match="'99_nothing'"):
        verdicts(fake_run(make_sweep(["convexity only"])), "99_nothing")


def test_the_notebook_shows_every_section(whole):
    notebook = json.loads((NOTEBOOKS / "08_claims.ipynb").read_text())
    source = "\n".join("".join(cell["source"]) for cell in notebook["cells"])
    for claim in whole:
        assert f'boxes(claims, "{claim.section.split(",")[0]}")' in source


def test_claims_lead_to_cells_that_exist(whole):
    for claim in whole:
        cells = json.loads((NOTEBOOKS / f"{claim.notebook}.ipynb").read_text())["cells"]
        figures = {cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") for cell in cells}
        lines = {line.strip() for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"]}
        assert claim.place in figures or f"## {claim.place}" in lines, claim.id


def test_links_to_figures_and_to_headings(whole):
    links = {claim.id: link(claim) for claim in whole}
    assert links["encoder-ablation"] == "{numref}`fig-encoder`"
    assert links["causal"].endswith("(07_adam_baseline.ipynb#is-the-interpretation-causal)")


@pytest.mark.parametrize("case", ["convexity only", "random pudding", "double-sided at low beta"])
def test_absent_cases_are_said_and_do_not_fail(cheap, case):
    claims = ledger(fake_run(make_sweep([case])))
    verdicts = {claim.id: claim.verdict for claim in claims}
    if case == "convexity only":
        assert verdicts["encoder-ablation"] == verdicts["causal"] == verdicts["other-sizes"] == NOT_MEASURABLE
    page = str(boxes(claims, "2.3"))
    assert "not measurable: the run has no seed" in page


@pytest.mark.parametrize("shape", [(6, 10, 4, 1), (2, 4, 1), (5, 12, 1)])
def test_other_shapes(cheap, shape):
    claims = ledger(fake_run(make_sweep(["convexity only", "convexity only"]), shape))
    verdicts = {claim.id: claim.verdict for claim in claims}
    assert (verdicts["adam-kinks"] == NOT_MEASURABLE) == (shape != (5, 12, 1))
    assert verdicts["convexity-first"] == REPRODUCED


def test_another_task_is_refused():
    with pytest.raises(ValueError, match="computes 'l2'"):
        ledger(fake_run(make_sweep(["convexity only"]), task="l2"))


def test_a_run_has_what_the_ledger_reads():
    """The made-up run stands for `hyperlib.runs.Run`."""
    fake = fake_run(make_sweep(["convexity only"]))
    assert {"sweep", "betas", "networks", "model"} <= set(dir(Run))
    assert {"config", "seeds"} <= set(Run.__dataclass_fields__)
    assert {"shape", "task"} <= set(TrainConfig.__dataclass_fields__)
    assert fake.networks(0).batch_shape == (len(fake.betas),)
