"""Figures made from tables: order-parameter space, phase diagrams, encoder, sizes and curves."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from synthetic import BETAS, STEPS, make_sweep

from hyperbook.figures import curves, phases, seeds, shared, sizes
from hyperbook.studies.development import CASE_NAMES, LABELS, boundary, cases, phase_grid
from hyperbook.studies.generalization import CONVENTIONS
from hyperlib.algorithms.order_parameters import PHASES, THRESHOLDS
from hyperlib.algorithms.structure import STRUCTURES
from hyperlib.figures import style

STEP = STEPS[-1]


@pytest.fixture(scope="module")
def sweep():
    return make_sweep([*CASE_NAMES, "random pudding"])


@pytest.fixture(scope="module")
def found(sweep):
    return cases(sweep)


@pytest.fixture(scope="module")
def small():
    """One seed, few betas and steps, one case."""
    table = make_sweep(["convexity only"], steps=(10, 20), betas=(1e-6, 1e-3))
    return table, cases(table)


@pytest.fixture(scope="module")
def table():
    """Sizes with losses that cross both contours after rescaling and none before."""
    rows = [(n, m, 5.0, 0.03 * (1 + abs(np.log(m / n / 4))) ** 2) for n in (4, 8, 16, 32) for m in (12, 24, 48, 96)]
    return pd.DataFrame(rows, columns=["n_0", "n_1", "loss", "loss_rescaled"]).assign(loss_mean=2.0, seed=0)


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    assert not plt.get_fignums()


def draw(fig):
    fig.canvas.draw()  # raises what only drawing finds
    return fig


def labels(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def titles(fig):
    return [ax.get_title() for ax in fig.axes if ax.get_title()]


def coloured_lines(ax):
    """Lines of data, without the boundary's grey ones."""
    return [line for line in ax.lines if to_hex(line.get_color()) != style.TEXT and len(line.get_xdata()) > 1]


def all_figures(sweep, found):
    yield seeds.order_space(sweep)
    yield phases.phase_diagrams(sweep, found)
    yield phases.phase_diagram_examples(sweep, found)
    yield seeds.encoder_ablation(sweep, found)
    yield curves.kl_against_beta(sweep, found)
    yield curves.pareto_front(sweep, found)
    yield curves.learning_curves(sweep, found)
    yield phases.boundary_lines(sweep, found)


def ratio_rows(seed: int, training: str, scale: float) -> pd.DataFrame:
    rows = [(n, n * r, r, scale * 0.04 * n / 8) for n in (8, 16, 32) for r in (2, 3)]
    return pd.DataFrame(rows, columns=["n_0", "n_1", "ratio", "loss"]).assign(seed=seed, training=training)


def test_sizes_in_proportion_show_the_median_of_each_training():
    parts = [ratio_rows(seed, "several", seed) for seed in (1, 2, 3)] + [ratio_rows(9, "one", 10.0)]
    fig = draw(sizes.ratio_heatmap(pd.concat(parts), {"one": [(16, 48, 1)], "several": [(8, 16, 1), (8, 999, 1)]}))
    shown = [[text.get_text() for text in ax.texts] for ax in fig.axes]
    assert shown[1][:3] == [".08", ".16", ".32"] and shown[0][0] == ".40"
    frames = [sum(patch.get_linewidth() == 2.2 for patch in ax.patches) for ax in fig.axes]
    assert frames == [1, 1] and "median of 3 seeds" in fig.axes[1].get_title()


def test_every_figure_offers_its_drawing_and_its_numbers(sweep, found, table):
    for fig in (*all_figures(sweep, found), sizes.size_heatmap(table, (16, 48, 1), {"": 0})):
        offer = fig._repr_mimebundle_()[style.OFFER]
        assert ET.fromstring(offer["svg"]).tag.endswith("svg")
        rows = pd.read_csv(io.StringIO(offer["csv"]))
        assert list(rows.columns) == list(fig.table.columns) and len(rows) == len(fig.table)
        assert len(rows) and not any(name.startswith("Unnamed") for name in rows.columns)
        assert rows.notna().any().all() and not rows.duplicated().any()
        assert all(len(part) < 1e6 for part in (offer["svg"], offer["csv"]))
    again = seeds.encoder_ablation(sweep, found).offer(), seeds.encoder_ablation(sweep, found).offer()
    assert again[0] == again[1], "two runs of one notebook would differ"


def test_a_figure_offers_the_numbers_that_it_shows(sweep, found, table):
    final = sweep[sweep["step"] == STEP]
    rows = curves.kl_against_beta(sweep, found).table
    assert list(rows.columns) == ["seed", "case", "beta", "kl"] and len(rows) == len(final)
    line = coloured_lines(curves.kl_against_beta(sweep, found).axes[0])[0]
    np.testing.assert_allclose(line.get_ydata(), rows[rows["seed"] == 0]["kl"], rtol=1e-5)
    assert dict(zip(found["seed"], found["case"], strict=True)) == rows.groupby("seed")["case"].first().to_dict()

    rows = seeds.order_space(sweep).table
    np.testing.assert_allclose(rows["alpha_1"], final["alpha_1"], rtol=1e-5)
    rows = phases.phase_diagrams(sweep, found).table
    assert len(rows) == len(sweep) and set(rows["phase"]) == set(PHASES)
    rows = phases.phase_diagram_examples(sweep, found).table
    assert rows["seed"].nunique() == len(CASE_NAMES) and len(rows) == len(CASE_NAMES) * len(STEPS) * len(BETAS)
    rows = phases.boundary_lines(sweep, found).table
    memorising = found.loc[~found["collapsed"], "seed"]
    assert set(rows["seed"]) == set(memorising)
    line = boundary(sweep, int(memorising.iloc[0])).dropna()
    shown = rows[rows["seed"] == memorising.iloc[0]].set_index("step")["boundary"]
    np.testing.assert_allclose(shown[line.index], line)
    both = pd.concat([table, table.assign(seed=1, loss=7.0)])
    assert len(sizes.size_heatmap(both, (16, 48), {"one": 0, "two": 1}).table) == 32
    smooth = curves.learning_curves(sweep, found)
    line, rows = smooth.axes[0].lines[0], smooth.table
    np.testing.assert_allclose(line.get_ydata(), rows[rows["seed"] == 0]["loss"], rtol=1e-5)


def test_a_long_table_is_offered_as_parquet(sweep, found, monkeypatch):
    fig = seeds.encoder_ablation(sweep, found)
    monkeypatch.setattr(style, "LONGEST_CSV", 1000)
    offer = fig.offer()
    assert "csv" not in offer
    rows = pd.read_parquet(io.BytesIO(base64.b64decode(offer["parquet"])))
    pd.testing.assert_frame_equal(rows, fig.table.reset_index(drop=True), check_dtype=False, rtol=1e-6)


def test_a_figure_says_where_its_tables_came_from(sweep, found):
    named = sweep.copy()
    named.attrs["source"] = "run mine, version 01234567"
    for fig in all_figures(named, found):
        assert fig.source == "run mine, version 01234567"
    assert seeds.encoder_ablation(sweep, found).source is None
    assert seeds.encoder_ablation(named, found).offer()["source"] == "run mine, version 01234567"


def test_every_case_has_looks_of_its_own():
    assert list(shared.CASE_LOOKS) == list(CASE_NAMES)
    assert len({looks["color"] for looks in shared.CASE_LOOKS.values()}) == len(CASE_NAMES)


def test_small_runs_with_one_case_draw(small):
    for fig in all_figures(*small):
        draw(fig)


def test_a_run_with_all_cases_draws(sweep, found):
    for fig in all_figures(sweep, found):
        draw(fig)


def test_order_space_has_a_line_per_seed_and_the_colour_of_every_structure(sweep):
    fig = draw(seeds.order_space(sweep))
    left, right = fig.axes
    for ax in (left, right):
        assert len(coloured_lines(ax)) == 10
    final = sweep[sweep["step"] == STEP]
    rows = final[final["seed"] == 2]  # double-sided at the lowest beta, convexity at the highest
    np.testing.assert_allclose(coloured_lines(right)[2].get_xdata(), rows["alpha_3"])
    np.testing.assert_allclose(coloured_lines(right)[2].get_ydata(), rows["alpha_2"])
    colours = [to_hex(colour) for colour in right.collections[2].get_facecolors()]
    assert colours == [style.STRUCTURES[name] for name in rows["structure"]] and len({colours[0], colours[-1]}) == 2
    assert sum(int(label.split("(")[1].strip(")")) for label in labels(fig)[:-1]) == len(final)


def test_order_space_takes_what_a_logarithmic_axis_cannot_hold(small):
    table = small[0].copy()
    table.loc[table["step"] == 20, "alpha_1"] = [-0.5, np.inf]
    line = coloured_lines(draw(seeds.order_space(table)).axes[0])[0]
    assert list(line.get_xdata()) == [seeds.SMALLEST, seeds.LARGEST]


def test_boundaries_are_the_thresholds(sweep):
    ax = seeds.order_space(sweep).axes[0]
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_ydata()[0] == THRESHOLDS.strongest and dotted[1].get_xdata()[0] == THRESHOLDS.double_sided
    assert min(dotted[1].get_ydata()) == THRESHOLDS.strongest


def test_phase_diagrams_show_every_seed_under_its_case(sweep, found):
    fig = draw(phases.phase_diagrams(sweep, found))
    assert sorted(titles(fig)) == sorted(f"seed {seed}" for seed in range(10))
    headings = [text.get_text() for text in fig.texts]
    assert "(d) random pudding: 2 of 10 seeds" in headings
    assert "other: 1 of 10 seeds" in headings
    assert [text.get_text() for text in fig.axes[-1].get_yticklabels()] == list(STRUCTURES)


def test_phase_diagram_has_the_hue_of_the_phase_and_the_depth_of_the_loss(sweep, found):
    ax = phases.phase_diagrams(sweep, found).axes[2]
    shown = ax.collections[0].get_array().reshape(len(BETAS), len(STEPS), 3)
    grid = phase_grid(sweep, 2)
    losses = sweep[sweep["seed"] == 2].pivot(index="step", columns="beta", values="loss")
    np.testing.assert_allclose(shown, phases.shades(grid.to_numpy().T, losses.to_numpy().T))
    names = {(0, len(STEPS) - 1): "double-sided", (len(BETAS) - 1, 0): "convexity"}
    for (beta, step), name in names.items():
        hue = 1 - np.array(to_rgb(style.PHASES[name]))
        depth = (1 - shown[beta, step]) / hue  # the same share of the hue in every channel
        assert np.ptp(depth) < 1e-6 and phases.PALEST - 1e-6 <= depth[0] <= 1 + 1e-6
    assert ax.get_xlim() == (0, STEPS[-1]) and ax.get_ylim()[1] > BETAS[-1]


def test_depth_falls_with_the_loss_between_its_two_ends():
    losses = np.array([1e-4, phases.DEPTH[0], 0.05, 3.0, np.inf])
    shown = phases.shades(np.full(5, "pudding"), losses)
    depth = (1 - shown[:, 0]) / (1 - to_rgb(style.PHASES["pudding"])[0])
    np.testing.assert_allclose(depth[[0, 1, 3, 4]], [1, 1, phases.PALEST, phases.PALEST])
    assert phases.PALEST < depth[2] < 1
    np.testing.assert_allclose(shown[0], to_rgb(style.PHASES["pudding"]))


def test_boundary_lines_have_one_line_per_memorising_seed_and_their_median(sweep, found, small):
    fig = draw(phases.boundary_lines(sweep, found))
    paid = int((~found["collapsed"]).sum())
    assert len(fig.axes[0].lines) == paid + 1
    assert "median" in [text.get_text() for text in fig.axes[0].texts]


def test_headlines_are_computed_from_what_is_drawn(sweep, found):
    paid = int((~found["collapsed"]).sum())
    assert curves.kl_against_beta(sweep, found).finding.startswith(f"{paid} of 10 seeds pay for information, ")
    assert curves.kl_against_beta(sweep, found.assign(collapsed=True)).finding == "0 of 10 seeds pay for information"
    ratios = found.set_index("seed")["loss_without_encoder_low"] / found.set_index("seed")["loss_low"]
    said = re.findall(r"[\d,.]*\d", shared.by_payment(found, ratios))
    medians = [ratios[found.loc[found["collapsed"] == free, "seed"]].median() for free in (False, True)]
    assert [float(number.replace(",", "")) for number in said] == pytest.approx(medians, rel=6e-3)
    assert curves.kl_against_beta(sweep, found, finding="").get_suptitle() == ""


def test_examples_and_fronts_have_a_panel_per_present_case(sweep, found):
    for fig in (phases.phase_diagram_examples(sweep, found), curves.pareto_front(sweep, found)):
        names = [title.split("\n")[0] for title in titles(fig)]
        assert names in (list(CASE_NAMES), list(LABELS.values()))
        assert titles(fig)[3].endswith("2 of 10 seeds")


def test_encoder_figure_is_loss_with_against_loss_without(sweep, found):
    table = sweep.copy()
    gone = (table["seed"] == 4) & (table["beta"] == BETAS[3])
    table.loc[gone, "loss_without_encoder"] = np.inf
    fig = draw(seeds.encoder_ablation(table, found))
    assert (fig.axes[0].get_xscale(), fig.axes[0].get_yscale()) == ("log", "log")
    assert f"{CASE_NAMES[3]} (2)" in labels(fig)
    lines = {to_hex(line.get_color()): line for line in coloured_lines(fig.axes[0])}
    line = lines[shared.CASE_LOOKS[CASE_NAMES[4]]["color"]]
    rows = table[(table["seed"] == 4) & (table["step"] == STEP) & ~gone]
    np.testing.assert_allclose(line.get_xdata(), rows["loss"])
    np.testing.assert_allclose(line.get_ydata(), rows["loss_without_encoder"])


def test_learning_curves_average_logarithmic_intervals():
    steps = np.arange(10, 40010, 10)
    table = pd.DataFrame({"seed": 0, "step": steps, "loss": 2.0, "kl": steps % 20 / 10})
    seeds = pd.DataFrame({"seed": [0], "case": ["other"], "pudding_share": [0.5], "double_sided_share": [0.0]})
    fig = draw(curves.learning_curves(table, seeds))
    assert fig.finding == "1 of 1 seed found pudding or double-sided"
    line = fig.axes[0].lines[0]
    assert len(line.get_xdata()) <= curves.POINTS and np.all(line.get_ydata() == 2)
    assert fig.axes[1].lines[0].get_ydata()[-1] == pytest.approx(0.5, abs=0.02)


def test_size_figure_has_the_losses_in_its_cells_and_outlines_those_below_the_levels(table):
    fig = draw(sizes.size_heatmap(table, (16, 48, 1), {"": 0}))
    raw, _, rescaled = fig.axes
    assert [ax.get_title().strip() for ax in fig.axes] == list(CONVENTIONS.values())
    grid = table.pivot(index="n_1", columns="n_0", values="loss_rescaled").to_numpy()
    written = [text.get_text() for text in rescaled.texts]
    assert written == [sizes.shown(loss) for loss in grid.ravel()]
    outer, inner = (len(lines.get_segments()) for lines in rescaled.collections[1:])
    assert (outer, inner) == (len(sizes.outline(grid < 0.15)), len(sizes.outline(grid < 0.07)))
    assert not any(len(lines.get_segments()) for lines in raw.collections[1:])
    frame = next(patch for patch in rescaled.patches)
    assert [int(place) for place in frame.get_xy()] == [2, 2]
    assert fig.finding == f"Of 16 sizes, below a loss of 0.15 after the best shift and scale: {(grid < 0.15).sum()}"


def test_an_outline_separates_inside_from_outside():
    inside = np.array([[True, False], [True, True]])
    found = set(map(tuple, sizes.outline(inside)))
    assert found == {((1, 0), (1, 1)), ((1, 1), (2, 1))}


def test_losses_in_cells_are_short():
    numbers = (0.034, 0.95, 1.0, 4.26, 12.3, 999.0, 999.6, 1234.0, 25244.0, np.inf)
    assert [sizes.shown(n) for n in numbers] == [".03", ".95", "1.0", "4.3", "12", "999", "1.0k", "1.2k", "25k", ""]


def test_size_figure_has_a_row_per_convention_and_the_seeds_side_by_side(table):
    parts = [table.assign(seed=k, loss_rescaled=table["loss_rescaled"] + 0.02 * k) for k in (1, 0, 2)]
    fig = draw(sizes.size_heatmap(pd.concat(parts), (16, 48), {"median seed (1)": 1, "best seed (0)": 0}))
    assert [ax.get_title().split("\n")[0] for ax in fig.axes[:2]] == ["median seed (1)", "best seed (0)"]
    titles = [ax.get_title().split("\n")[-1] for ax in fig.axes]
    assert titles == [name for name in CONVENTIONS.values() for _ in range(2)]
    written = [float(ax.texts[6].get_text()) for ax in fig.axes[4:]]
    assert written[0] == pytest.approx(written[1] + 0.02, abs=0.011)
    assert set(fig.table["seed"]) == {0, 1} and len(fig.table) == 32
    assert fig.finding.count("for ") == 2
    broken = table.copy()
    broken.loc[3, "loss"] = np.inf
    draw(sizes.size_heatmap(broken, (16, 48), {"": 0}))
    draw(sizes.size_heatmap(table[:1], (16, 48), {"": 0}))
