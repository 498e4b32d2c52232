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
from synthetic import BETAS, STRUCTURE, make_sweep

from hyperbook.claims import (
    COLUMNS,
    NOT_MEASURABLE,
    NOT_REPRODUCED,
    OUTCOMES,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    algorithms,
    assignments,
    beyond,
    development,
    evidence,
    leave_one_out,
    ledger,
    on_fresh_seeds,
    to_table,
)
from hyperbook.claims.claim import Check, Claim, Criterion, Estimate, estimate
from hyperbook.claims.evidence import Evidence, Trained, same_order
from hyperbook.claims.stored import store, stored
from hyperbook.figures.claims import (
    COLOURS,
    MIDDLE,
    WIDTH,
    boxes,
    fragile,
    link,
    picture,
    places,
    replicated,
    rules,
    tally,
    verdicts,
)
from hyperbook.studies.interventions import replacements
from hyperlib import TrainConfig, get_task
from hyperlib.algorithms.construct import convexity, double_sided, pudding
from hyperlib.algorithms.order_parameters import CONVEXITY, DOUBLE_SIDED, PHASES, PUDDING, THRESHOLDS, phase
from hyperlib.algorithms.structure import FEATURES, HEAVY, label
from hyperlib.baseline import Baseline, train_adam
from hyperlib.hyperhypernetwork import ParetoHypernetwork, initial_parameters
from hyperlib.hypernetwork import Architecture, Hypernetwork
from hyperlib.network import Network
from hyperlib.runs import Run

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
FOUND = [
    *("pudding at low beta",) * 6,
    *("pudding at all beta",) * 2,
    *("random pudding",) * 6,
    *("pudding, then double-sided",) * 2,
    *("double-sided at low beta",) * 6,
]


def stack(nets: list[Network]) -> Network:
    return Network(
        [torch.stack(parts) for parts in zip(*(net.weights for net in nets), strict=True)],
        [torch.stack(parts) for parts in zip(*(net.biases for net in nets), strict=True)],
    )


def fake_run(
    sweep: pd.DataFrame,
    shape=(16, 48, 1),
    task: str = "l1",
    path: Path = Path("made-up"),
    version: str = "0",
    beta_warmup: int = 0,
) -> SimpleNamespace:
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
        made = {name: build(name) for name in rows["structure"].unique()}
        return stack([made[name] for name in rows["structure"]])

    def model(seed: int) -> ParetoHypernetwork:
        return ParetoHypernetwork(initial_parameters(Hypernetwork(shape, architecture), seed), shape, architecture)

    return SimpleNamespace(
        config=TrainConfig(seeds=seeds, shape=shape, task=task, steps=40, batch=8, beta_warmup=beta_warmup),
        task=get_task(task),
        path=path,
        short_hash=version,
        seeds=seeds,
        modelled=seeds,
        betas=sorted(sweep["beta"].unique().tolist()),
        sweep=sweep,
        networks=networks,
        model=model,
    )


@pytest.fixture
def cheap(monkeypatch):
    """Short versions of what is expensive: sizes and draws."""
    monkeypatch.setattr(evidence, "SIZE_FACTORS", (1.0, 2.0))
    monkeypatch.setattr(evidence, "DRAWS", 2)


@pytest.fixture(scope="module")
def sweep():
    table = make_sweep(FOUND, noise=0.02)
    for name in PHASES:  # well away from the boundaries, wherever they are
        table = repainted(table, table["phase"] == name, name)
    return table


def evidence_of(sweep: pd.DataFrame, **partners) -> Evidence:
    return Evidence(Trained(fake_run(sweep)), **partners)


def verdict(claim, sweep: pd.DataFrame) -> str:
    return claim(evidence_of(sweep)).verdict


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
        ("hof", PARTLY),
        ("ha", UNDECIDED),
        ("o", UNDECIDED),
        ("ho", UNDECIDED),
        ("oa", UNDECIDED),
        ("of", NOT_REPRODUCED),
    ],
)
def test_verdicts(outcomes, expected):
    yes, no, both = (Estimate(v, low, high, 7, "7 seeds") for v, low, high in ((3, 2, 4), (0, -1, 0.5), (1, 0, 2)))
    found = {"h": yes, "f": no, "o": both, "r": no}
    asked = Criterion("at least", 1.0)
    checks = tuple(Check("quantity", "", found.get(o), None if o == "r" else asked, "absent") for o in outcomes)
    assert Claim("id", "2.1", "title", "sentence", "words", checks, "notebook", "fig-x").verdict == expected


def test_few_samples_decide_nothing():
    asked = Criterion("at least", 1.0)
    assert [asked.judge(Estimate(3, 2, 4, count, "")) for count in (5, 6)] == ["open", "holds"]
    assert Criterion("at least", 1.0, by_value=True).judge(Estimate(3, 2, 4, 1, "")) == "holds"


def test_how_many_samples_would_decide():
    """The interval of the mean of as many samples as are said to be needed just clears the threshold."""
    values = np.random.default_rng(0).normal(0.3, 1, 20)
    found = estimate(values)
    needed = Criterion("more than", 0.0).needed(found)
    assert Criterion("more than", 0.0).judge(found) == "open"
    expected = 20 * (1.96 * values.std() / np.sqrt(20) / found.value) ** 2
    assert needed == pytest.approx(expected, rel=0.25)
    assert Criterion("more than", found.value).needed(found) is None
    few = Check("what", "", Estimate(3, 2, 4, 3, "3 seeds"), Criterion("at least", 1.0))
    assert (few.outcome, few.needed) == ("open", 6)
    assert Check("what", "", Estimate(3, 2, 4, 9, "9 seeds"), Criterion("at least", 1.0)).needed is None


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
        (algorithms.clusters, REPRODUCED),
        (algorithms.classifiers_agree, REPRODUCED),
        (algorithms.neurons_needed, NOT_MEASURABLE),
        (development.beta_controls, UNDECIDED),  # losses are flat and noisy where an algorithm does not change
        (development.convexity_first, REPRODUCED),
        (development.no_way_back, REPRODUCED),
        (development.five_ways, REPRODUCED),
        (development.pudding_range, REPRODUCED),
        (development.high_beta_convexity, REPRODUCED),
        (development.boundary_rises, REPRODUCED),
        (development.most_accurate, REPRODUCED),
        (development.comes_last, UNDECIDED),  # the time of arrival is the same for all of these seeds
        (development.order_in_beta, REPRODUCED),
        (assignments.kl_of_case_3d, REPRODUCED),
        (assignments.accuracy_of_case_3d, NOT_REPRODUCED),
    ],
)
def test_a_sweep_made_as_the_paper_says(sweep, claim, expected):
    assert verdict(claim, sweep) == expected


def repainted(sweep: pd.DataFrame, rows: pd.Series, name: str) -> pd.DataFrame:
    double, strongest = THRESHOLDS.double_sided, THRESHOLDS.strongest
    alphas = {CONVEXITY: (double / 2, strongest / 2), PUDDING: (double / 2, 2 * strongest)}
    alphas[DOUBLE_SIDED] = (4 * double, 2 * strongest)
    alphas[HEAVY] = alphas[PUDDING]
    changed = sweep.copy()
    changed.loc[rows, ["alpha_1", "alpha_2"]] = alphas[name]
    changed.loc[rows, FEATURES] = STRUCTURE[name]
    return changed.assign(phase=phase(changed["alpha_1"], changed["alpha_2"]), structure=label(changed))


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
        algorithms.memorised_pudding_most_common,
        lambda s: repainted(s, is_last(s) & (s["beta"] < 0.1), PUDDING),
        REPRODUCED,
    ),
    "no pudding at the end": (
        algorithms.memorised_pudding_most_common,
        lambda s: repainted(s, is_last(s) & (s["structure"] == PUDDING), DOUBLE_SIDED),
        NOT_REPRODUCED,
    ),
    "all near a boundary": (
        algorithms.clusters,
        lambda s: s.assign(alpha_2=1.05 * THRESHOLDS.strongest),
        NOT_REPRODUCED,
    ),
    "double-sided is worse": (
        development.most_accurate,
        lambda s: scaled(scaled(s, s["phase"] == DOUBLE_SIDED, "loss", 1e4), s["phase"] == PUDDING, "loss", 1e3),
        NOT_REPRODUCED,
    ),
    "heavy tails are no pudding": (
        algorithms.classifiers_agree,
        lambda s: repainted(s, is_last(s) & (s["beta"] > 1e-7), HEAVY),
        PARTLY,
    ),
    "no seed turns to double-sided": (
        development.five_ways,
        lambda s: repainted(s, s["structure"] == DOUBLE_SIDED, PUDDING),
        PARTLY,
    ),
    "beta does nothing": (
        development.beta_controls,
        lambda s: s.assign(loss=s["loss"].sample(frac=1, random_state=0).to_numpy()),
        PARTLY,
    ),
    "case 3d gets there": (
        assignments.accuracy_of_case_3d,
        lambda s: scaled(s, s["kl"] < 1, "loss", 0.3),
        REPRODUCED,
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
    before, after = (claim(evidence_of(table)) for table in (sweep, change(sweep)))
    assert after.verdict == expected
    assert [check.measured for check in before.checks] != [check.measured for check in after.checks]


def test_encoder_claims_follow_the_tables(sweep, monkeypatch):
    monkeypatch.setattr(Trained, "pudding_without_encoder", lambda self, seed: 1.0)
    assert verdict(assignments.encoder_ablation, sweep) == REPRODUCED
    ignored = sweep.assign(loss_without_encoder=sweep["loss"])
    assert verdict(assignments.encoder_ablation, ignored) == PARTLY
    broken = sweep.assign(loss_without_encoder=5.0)
    assert verdict(assignments.encoder_ablation, broken) == PARTLY


def test_order_of_hidden_neurons(sweep, monkeypatch):
    random = {seed for seed, case in enumerate(FOUND) if case.startswith("random")}
    monkeypatch.setattr(Trained, "kept_order", lambda self, seed: 0.1 if seed in random else 1.0)
    assert verdict(assignments.seed_dependence, sweep) == REPRODUCED
    assert verdict(assignments.seed_dependence, sweep.assign(alpha_3=1.0)) == PARTLY


def test_memorised_pudding_as_it_is_constructed(sweep):
    e = evidence_of(sweep)
    assert algorithms.pudding_assignment(e).verdict == REPRODUCED
    assert algorithms.pudding_imperfect(e).verdict == NOT_REPRODUCED  # the constructions are perfect
    signed = algorithms.signed_pudding(e)
    assert [check.outcome for check in signed.checks] == ["holds", "fails", "holds"]


def test_a_narrow_run_shows_whether_pudding_needs_fewer_neurons(sweep):
    narrow = Trained(fake_run(make_sweep(["pudding at low beta"] * 4)))
    assert algorithms.neurons_needed(evidence_of(sweep, narrow=narrow)).verdict == REPRODUCED
    narrow = Trained(fake_run(make_sweep(["convexity only"] * 4)))
    assert algorithms.neurons_needed(evidence_of(sweep, narrow=narrow)).verdict == NOT_REPRODUCED


def test_memorising_seeds_come_from_the_run_that_has_most(sweep):
    memorised = Trained(fake_run(make_sweep(["pudding at low beta"] * 9 + ["double-sided at low beta"])))
    claim = algorithms.memorised_pudding_most_common(evidence_of(sweep, memorised=memorised))
    assert claim.verdict == REPRODUCED and claim.checks[0].found.samples == 10
    assert algorithms.memorised_pudding_most_common(evidence_of(sweep)).verdict == UNDECIDED


def test_seeds_of_two_settings_are_samples_of_one_claim(sweep):
    """The same seed numbers in both runs are two samples each, and every pooled value is the mean over both runs."""
    other = repainted(sweep, is_last(sweep) & (sweep["seed"] == sweep["seed"].min()), HEAVY)
    seeds = sweep["seed"].nunique()
    pooled = evidence_of(sweep, memorised=Trained(fake_run(other)))
    for function in (algorithms.three_algorithms, algorithms.clusters, algorithms.classifiers_agree):
        alone = [{c.quantity: c for c in function(evidence_of(table)).checks} for table in (sweep, other)]
        for check in function(pooled).checks:
            if check.found is not None and check.found.basis == f"{2 * seeds} seeds" and "kappa" not in check.quantity:
                both = [one[check.quantity].found.value for one in alone]
                expected = sum(both) if check.quantity.startswith("seeds") else sum(both) / 2
                assert check.found.value == pytest.approx(expected), check.quantity
        assert any(c.found and c.found.basis == f"{2 * seeds} seeds" for c in function(pooled).checks)
    for function in (development.pudding_range, development.high_beta_convexity):
        first, second, both = (
            next(check.found.samples for check in function(e).checks if check.unit == "share" and check.criterion)
            for e in (evidence_of(sweep), evidence_of(other), pooled)
        )
        assert both == first + second


def test_a_main_run_without_such_seeds_reports_nothing_of_its_own():
    memorised = Trained(fake_run(make_sweep(["pudding at low beta"] * 7)))
    alone = evidence_of(make_sweep(["convexity only"] * 7), memorised=memorised)
    for function in (development.high_beta_convexity, development.pudding_range):
        checks = function(alone).checks
        assert any(check.found for check in checks) and not any("main run" in check.quantity for check in checks)


def test_loss_at_equal_information(sweep):
    """Pudding is made better below 1,000 nats, double-sided above."""
    pays = sweep["kl"] > 1
    loss = np.where(
        sweep["structure"] == PUDDING, 3 / np.sqrt(sweep["kl"].clip(lower=1)), 100 / sweep["kl"].clip(lower=1)
    )
    claim = development.less_information(evidence_of(sweep.assign(loss=np.where(pays, loss, sweep["loss"]))))
    assert claim.checks[1].outcome == "holds" and claim.checks[2].found.low > 0
    assert claim.checks[3].found.value == pytest.approx(1111, rel=0.15)


def test_fewest_nats_of_each_algorithm_on_fresh_seeds(sweep):
    """Nats are made a hundred times fewer for one of the two algorithms, in the seeds that count."""
    paid = sweep["structure"].isin((PUDDING, DOUBLE_SIDED)) & (sweep.groupby("seed")["kl"].transform("max") > 1)
    nats = sweep.assign(kl=np.where(paid, 5000.0, sweep["kl"]))
    for name, outcome, decades in ((PUDDING, "holds", 2), (DOUBLE_SIDED, "fails", -2)):
        table = scaled(nats, paid & (nats["structure"] == name), "kl", 1e-2)
        late = Trained(fake_run(table.assign(seed=table["seed"] + evidence.FRESH)))
        early = Trained(fake_run(table))
        found = [development.less_information(evidence_of(sweep, memorised=part)).checks[0] for part in (late, early)]
        assert found[0].outcome == outcome and found[0].found.value == pytest.approx(decades)
        assert found[1].outcome == "absent"
        assert development.less_information(evidence_of(table)).checks[0].outcome == outcome  # a run alone is fresh


def test_a_beta_counts_once_it_is_drawn():
    """All of pudding comes and goes at large betas that the warm-up reaches only later."""
    sweep = make_sweep(["convexity only"] * 7)
    early = (sweep["beta"] > 1e-5) & sweep["step"].between(700, 4000)
    sweep = repainted(repainted(sweep, early, PUDDING), is_last(sweep) & (sweep["beta"] < 1e-8), PUDDING)
    found = {}
    for warmup in (0, 10_000):
        part = Trained(fake_run(sweep, beta_warmup=warmup))
        steps = sorted(sweep["step"].unique())
        assert part.sweep.groupby("step")["drawn"].sum().tolist() == [
            7 * sum(beta <= part.run.config.highest_beta(step) * 1.001 for beta in BETAS) for step in steps
        ]
        found[warmup] = development.pudding_range(Evidence(part)).checks
    assert found[0][0].found.value == 0 and found[10_000][0].found.value == 7


def test_the_boundary_is_followed_from_the_end_of_the_warm_up_on():
    sweep = make_sweep(["pudding at low beta"] * 7)
    high = repainted(sweep, sweep["step"] < 1000, PUDDING)  # at every beta, which would be a boundary that falls
    rises = [
        development.boundary_rises(Evidence(Trained(fake_run(table, beta_warmup=warmup)))).checks[0].found.value
        for table, warmup in ((sweep, 1000), (high, 0), (high, 1000))
    ]
    assert rises[0] == rises[2] > 0 > rises[1]


def test_verdicts_on_fresh_seeds_alone(sweep, cheap):
    """The seeds of before are all double-sided, the fresh ones pudding."""
    other = make_sweep(["double-sided at low beta"] * 7 + ["pudding at low beta"] * 7)
    seeds = other["seed"].where(other["seed"] < 7, other["seed"] - 7 + evidence.FRESH)
    pooled = evidence_of(sweep, memorised=Trained(fake_run(other.assign(seed=seeds))))
    table = on_fresh_seeds(pooled).set_index("claim")
    assert table.loc["memorised-pudding-most-common", ["verdict", "before", "alone"]].tolist() == [
        UNDECIDED,
        NOT_REPRODUCED,
        REPRODUCED,
    ]
    assert "convexity-first" not in table.index and "three-algorithms" in table.index
    assert on_fresh_seeds(evidence_of(sweep)).empty
    otherwise = (table["alone"] != table["verdict"]) & (table["alone"] != UNDECIDED)
    assert f"decide otherwise in {otherwise.sum()} of {len(table)} claims" in str(replicated(table.reset_index()))
    assert f"| {NOT_REPRODUCED} | {REPRODUCED} | {UNDECIDED} |" in str(replicated(table.reset_index()))
    assert "No verdict is contradicted" in str(replicated(table[~otherwise].reset_index()))
    assert "no seeds that were added later" in str(replicated(None))


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
    found = evidence_of(sweep).main.at_low("loss", [2, 0])
    rows = sweep[is_last(sweep) & sweep["beta"].isin(BETAS[:10])]
    assert found[0] == pytest.approx(np.exp(np.log(rows[rows["seed"] == 2]["loss"]).mean()))
    assert found[1] == pytest.approx(np.exp(np.log(rows[rows["seed"] == 0]["loss"]).mean()))


def test_causal_claims_on_constructions(sweep):
    e = evidence_of(sweep)
    e.main.run.modelled = []  # the constructed networks, also of seeds whose hypernetworks draw others
    for claim in (algorithms.causal_random, algorithms.causal_pudding, algorithms.causal_double_sided):
        fitted, _, *shuffled = [check.outcome for check in claim(e).checks]
        assert [fitted, *shuffled] == ["holds"] * 3, claim.__name__


def test_closed_seeds_are_replaced_and_grown_over_several_draws(sweep, cheap, monkeypatch):
    """What stands in for a network is the mean over networks where each draw gives another one, else one network's."""
    part = Trained(fake_run(sweep))
    closed, pays = (next(iter(part.of([case]))) for case in ("random pudding", "pudding at low beta"))
    x, y = part.inputs()
    drawn = part.draws(closed, part.run.betas[0])
    each = [replacements(drawn[k], x, y, closed).groupby("replacement")["loss"].min() for k in range(2)]
    pd.testing.assert_series_equal(part.replaced(closed), (each[0] + each[1]) / 2, check_names=False)
    one = replacements(part.network(pays), x, y, pays).groupby("replacement")["loss"].min()
    assert part.replaced(pays)["network itself"] == pytest.approx(one["network itself"], rel=1e-4)
    counts = {}
    for seed in (closed, pays):
        monkeypatch.setattr(evidence, "size_table", lambda *a, count, seed=seed, **k: counts.setdefault(seed, count))
        part.sizes(seed)
    assert counts == {closed: 2, pays: 4}


def test_a_baseline_without_a_seed(sweep):
    network, curves = train_adam(steps=2, seeds=(3, 4, 5), batch=8)
    settings = {"steps": 2, "seeds": [3, 4, 5], "batch": 8, "cpu_s": 6.0}
    rest = evidence_of(sweep, baseline=Baseline(network, curves, settings)).without("baseline", 4).baseline
    assert rest.seeds == [3, 5] == sorted(rest.curves["seed"].unique()) and rest.settings["cpu_s"] == 4.0
    assert torch.equal(rest.networks.weights[0], network.weights[0][[0, 2]])


def table_of_sizes(raw: float, rescaled: float) -> pd.DataFrame:
    """Losses at the trained size and at one that is larger in both dimensions."""
    rows = [(16, 48, 0.1, 0.1, 0.1), (32, 96, raw, raw, rescaled)]
    return pd.DataFrame(rows, columns=["n_0", "n_1", "loss", "loss_mean", "loss_rescaled"])


@pytest.mark.parametrize(
    ("losses", "expected"), [((0.1, 0.1), REPRODUCED), ((5.0, 0.1), PARTLY), ((5.0, 0.4), NOT_REPRODUCED)]
)
def test_other_sizes(sweep, monkeypatch, losses, expected):
    monkeypatch.setattr(Trained, "sizes", lambda self, seed: table_of_sizes(*losses))
    assert verdict(beyond.other_sizes, sweep) == expected
    kept = REPRODUCED if losses[1] > 0.15 else NOT_REPRODUCED
    assert verdict(beyond.memorised_sizes, sweep) == kept


def baseline_of(networks: Network) -> Baseline:
    seeds = list(range(networks.batch_shape[0]))
    return Baseline(networks, pd.DataFrame(), {"steps": 40, "batch": 8, "seeds": seeds, "cpu_s": 1.0})


def test_adam_claims(sweep, monkeypatch):
    x, y = evidence_of(sweep).main.inputs()
    good = stack([double_sided(16, 40.0, 48), pudding(16, hidden=48, sharpness=40.0)] * 4)
    assert float(good.loss(x, y).max()) < 1e-3
    adam = baseline_of(good)
    assert beyond.adam_is_lower(evidence_of(sweep, baseline=adam)).verdict == REPRODUCED
    assert beyond.adam_is_lower(evidence_of(sweep.assign(loss=1e-6), baseline=adam)).verdict == NOT_REPRODUCED
    assert verdict(beyond.adam_is_lower, sweep) == NOT_MEASURABLE
    monkeypatch.setattr(Trained, "labels", lambda self, seed: pd.Series({"share_pudding": 0.99}))
    assert beyond.adam_is_harder(evidence_of(sweep, baseline=adam)).verdict == NOT_REPRODUCED
    labels = pd.DataFrame({"share_convexity": [0.5] * 8})
    monkeypatch.setattr(Evidence, "adam_labels", lambda self: labels)
    assert beyond.adam_is_harder(evidence_of(sweep, baseline=adam)).verdict == REPRODUCED


# --- the whole ledger and its page -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(sweep):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "SIZE_FACTORS", (1.0, 1.5))
        patch.setattr(evidence, "DRAWS", 2)
        adam = train_adam(steps=20, seeds=range(6))[0]
        return ledger(evidence_of(sweep, baseline=baseline_of(adam)))


def test_ledger_is_complete_and_in_order(whole):
    functions = (*algorithms.CLAIMS, *development.CLAIMS, *assignments.CLAIMS, *beyond.CLAIMS)
    assert len(whole) == len(functions) == len({claim.id for claim in whole})
    sections = [claim.section for claim in whole]
    assert sections == sorted(sections, key=lambda section: section.split(",")[0])
    assert all(claim.verdict in VERDICTS for claim in whole)
    marked = {function.notebook for function in functions}
    assert marked == {claim.notebook for claim in whole}
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
        assert claim.sentence in page and claim.paper in page
        for check in claim.checks:
            assert check.measured in page
            assert check.asked in page
    assert str(tally(whole)).startswith(f"{len(whole)} claims: ") == str(picture(whole)).startswith(
        f"{len(whole)} claims"
    )
    with pytest.raises(ValueError, match="section '9'"):
        boxes(whole, "9")


def test_picture_has_a_strip_per_criterion_and_links_to_the_boxes(whole):
    page = picture(whole, page="08_claims.html").html
    assert page.count("<svg") == sum(bool(check.criterion and check.found) for claim in whole for check in claim.checks)
    for claim in whole:
        assert f"href='08_claims.html#claim-{claim.id}'" in page and claim.verdict in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("relation", "threshold", "low", "value", "high", "outcome"),
    [
        ("at least", 0.9, 0.92, 0.95, 1.0, "holds"),
        ("at most", 10.0, 1.0, 2.0, 3.0, "holds"),
        ("at most", 10.0, 11.0, 20.0, 30.0, "fails"),
        ("more than", 0.0, -0.5, 1.0, 2.0, "open"),
    ],
)
def test_what_meets_a_criterion_is_on_the_right_of_its_strip(relation, threshold, low, value, high, outcome):
    check = Check("q", "", Estimate(value, low, high, 20, "20 seeds"), Criterion(relation, threshold))
    at, left, right = places(check)
    assert check.outcome == outcome and 0 <= left <= at <= right <= WIDTH
    assert (left >= MIDDLE) == (outcome == "holds") and (right <= MIDDLE) == (outcome == "fails")


def test_a_check_without_a_value_has_no_strip():
    with pytest.raises(ValueError, match="no value or no criterion"):
        places(Check("q", "", None, Criterion("at least", 1.0), absent="no seeds"))


def test_tally_has_a_piece_per_verdict_as_long_as_it_is_frequent(whole):
    page = tally(whole).html
    for verdict in {claim.verdict for claim in whole}:
        number = sum(claim.verdict == verdict for claim in whole)
        assert f"flex:{number};" in page and f"<b>{number}</b> {verdict}" in page
    assert set(COLOURS) <= {*VERDICTS, *OUTCOMES}


def test_page_changes_with_the_results(sweep):
    """No sentence about a result is written by hand: another sweep gives another page."""
    changed = repainted(sweep, is_last(sweep) & (sweep["structure"] == PUDDING), DOUBLE_SIDED)
    claim = algorithms.memorised_pudding_most_common
    pages = [str(boxes([claim(evidence_of(table))], "2.1")) for table in (sweep, changed)]
    assert "Not reproduced: Memorising hypernetworks mostly find pudding" not in pages[0]
    assert "Not reproduced: Memorising hypernetworks mostly find pudding" in pages[1]


def test_a_notebook_ends_with_the_boxes_of_what_it_shows(whole, monkeypatch):
    monkeypatch.setattr(
        "hyperbook.figures.claims.stored", lambda run, notebook: [c for c in whole if c.notebook == notebook]
    )
    for notebook in {claim.notebook for claim in whole}:
        page = str(verdicts(fake_run(make_sweep(["convexity only"])), notebook))
        assert page.count(":::{admonition}") == sum(claim.notebook == notebook for claim in whole)
        assert ":name:" not in page  # names are on the page of claims
        source = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"][-1]["source"]
        assert "".join(source).endswith(f'verdicts(trained, "{notebook}")')


def test_a_stored_ledger_is_read_where_it_is_of_these_runs(cheap, tmp_path, monkeypatch):
    run = fake_run(make_sweep(FOUND[:2]), path=tmp_path / "l1")
    claims = store(run, tmp_path / "claims")
    monkeypatch.setattr("hyperbook.claims.stored.ledger", lambda *_: pytest.fail("judged again"))
    assert stored(run) == claims
    shown = claims[0].notebook
    assert stored(run, shown) == [claim for claim in claims if claim.notebook == shown]
    monkeypatch.setattr("hyperbook.claims.stored.ledger", lambda *_: [])
    assert stored(fake_run(make_sweep(FOUND[:2]), path=tmp_path / "l1", version="another")) == []


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
    assert links["causal-pudding"].endswith("(07_adam_baseline.ipynb#is-the-interpretation-causal)")


@pytest.mark.parametrize("case", ["convexity only", "random pudding", "double-sided at low beta"])
def test_absent_cases_are_said_and_do_not_fail(cheap, case):
    claims = ledger(fake_run(make_sweep([case])))
    verdicts = {claim.id: claim.verdict for claim in claims}
    if case == "convexity only":
        assert verdicts["encoder-ablation"] == verdicts["causal-case-3d"] == verdicts["other-sizes"] == NOT_MEASURABLE
    page = str(boxes(claims, "2.3"))
    assert "not measurable: the run has no seed" in page


@pytest.mark.parametrize("shape", [(6, 10, 4, 1), (2, 4, 1), (5, 12, 1)])
def test_other_shapes(cheap, shape):
    claims = ledger(fake_run(make_sweep(["convexity only", "convexity only"]), shape))
    verdicts = {claim.id: claim.verdict for claim in claims}
    assert verdicts["adam-kinks"] == NOT_MEASURABLE  # there is no baseline
    assert verdicts["convexity-first"] == UNDECIDED  # two seeds decide nothing


def test_leaving_one_seed_out(cheap, monkeypatch):
    """One seed alone turns to double-sided: the claim that some do hangs on it."""
    monkeypatch.setattr("hyperbook.claims.FUNCTIONS", (development.five_ways, development.convexity_first))
    cases = [name for name in dict.fromkeys(FOUND) for _ in range(2)][:-1]
    found = leave_one_out(evidence_of(make_sweep(cases)))
    assert found[["claim", "run", "seed", "verdict", "without"]].to_numpy().tolist() == [
        ["five-ways", "main", len(cases) - 1, REPRODUCED, PARTLY]
    ]


def test_another_task_has_no_claims_and_is_not_stored(tmp_path):
    run = fake_run(make_sweep(["convexity only"]), task="l2")
    assert ledger(run) == stored(run) == [] and to_table([]).columns.tolist() == COLUMNS
    assert "L1 norm" in str(tally([])) and str(picture([])) == str(tally([])) and not str(boxes([], "2.1"))
    with pytest.raises(ValueError, match="computes 'l2'"):
        store(run, tmp_path)


def test_a_run_has_what_the_ledger_reads():
    """The made-up run stands for `hyperlib.runs.Run`."""
    fake = fake_run(make_sweep(["convexity only"]))
    assert {"sweep", "betas", "networks", "model"} <= set(dir(Run))
    assert {"config", "seeds"} <= set(Run.__dataclass_fields__)
    assert {"shape", "task"} <= set(TrainConfig.__dataclass_fields__)
    assert fake.networks(0).batch_shape == (len(fake.betas),)


def test_the_page_says_when_the_rules_were_fixed_and_what_hangs_on_a_seed():
    changed = pd.DataFrame([("clusters", "a", "b", "c")], columns=["claim", "change", "reason", "effect"])
    blind, seen = (str(rules("abc", changed, seeds)) for seeds in (range(100, 133), range(33)))
    assert "`abc`" in blind and "| clusters | a | b | c |" in blind and "afterwards" in blind
    assert "not made blind" in seen and "Nothing was changed" in str(rules("abc", changed[:0]))
    row = ("five-ways", "Five ways", "main", 3, REPRODUCED, PARTLY)
    table = pd.DataFrame([row], columns=["claim", "title", "run", "seed", "verdict", "without"])
    assert "[Five ways](#claim-five-ways) | reproduced | partly | main: 3 |" in str(fragile(table))
    assert "No verdict" in str(fragile(table[:0])) and "not computed" in str(fragile(None))
