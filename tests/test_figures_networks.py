"""Drawings of networks, heat maps, the slider over beta, the architecture, and the style that they share."""

import html
import json
import re
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb, to_rgba

import hyperlib as hl
from hyperbook.figures import responses, slider, weights
from hyperbook.figures.architecture import _blocks, architecture
from hyperbook.figures.shared import CASE_COLOURS
from hyperlib import figures
from hyperlib.drawing import Layout, layout
from hyperlib.figures import networks, style
from hyperlib.hypernetwork import Architecture
from hyperlib.network import Network


def toy(weights0, weights1):
    first, second = torch.tensor(weights0), torch.tensor(weights1)
    return Network([first, second], [torch.zeros(first.shape[1]), torch.zeros(second.shape[1])])


def double_sided(n=4):
    first, i = torch.zeros(n, 2 * n), torch.arange(n)
    first[i, 2 * i], first[i, 2 * i + 1] = 5.0, -5.0
    return Network([first, torch.full((2 * n, 1), 0.3)], [torch.zeros(2 * n), torch.zeros(1)])


def batch_of(nets):
    return Network(
        [torch.stack(parts) for parts in zip(*(net.weights for net in nets), strict=True)],
        [torch.stack(parts) for parts in zip(*(net.biases for net in nets), strict=True)],
    )


def lines(ax):
    return next(child for child in ax.get_children() if isinstance(child, LineCollection))


def luminance(colour):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


# --- style ------------------------------------------------------------------------------------------------------------


def test_colours_stand_out_on_both_pages():
    colours = [*style.PHASES.values(), *CASE_COLOURS, style.POSITIVE, style.NEGATIVE]
    for colour in [*colours, style.LINE]:
        assert contrast(colour, "#ffffff") >= 3 and contrast(colour, "#14181e") >= 3, colour
    assert contrast(style.TEXT, "#ffffff") >= 12  # and as much when the page's style sheet has mirrored it


def test_figures_leave_the_settings_of_matplotlib_alone():
    before, open_before = dict(matplotlib.rcParams), plt.get_fignums()
    fig = figures.draw_network(double_sided())
    assert dict(matplotlib.rcParams) == before and plt.get_fignums() == open_before
    assert fig.get_facecolor() == to_rgba("white")
    assert all(text.get_color() == style.TEXT for text in fig.legends[0].get_texts())


def test_zero_weight_is_transparent_and_the_ends_have_the_colours_of_their_signs():
    colours = weights.diverging()
    assert colours(0.5)[3] < 0.01
    assert colours(0.0) == pytest.approx(to_rgba(style.NEGATIVE))
    assert colours(1.0) == pytest.approx(to_rgba(style.POSITIVE))


# --- drawings ---------------------------------------------------------------------------------------------------------


def test_edges_are_coloured_by_effect_strong_ones_last_faint_ones_dropped_and_later_ones_hairlines():
    net = toy([[2.0, -4.0, 0.1], [1.0, 0.0, 3.0]], [[0.5], [-0.5], [0.25]])
    torch.testing.assert_close(networks.effects(net), torch.tensor([[1.0, -2.0, 0.025], [0.5, 0.0, 0.75]]))
    ends, values = networks.edges(networks.effects(net), layout(net).positions[:2])
    assert values.tolist() == pytest.approx([0.25, 0.375, 0.5, -1.0])
    first, later = [c for c in figures.draw_network(net).axes[0].collections if isinstance(c, LineCollection)]
    assert len(first.get_segments()) == len(ends) == 4 and len(later.get_segments()) == 3
    drawn = [tuple(colour[:3]) for colour in first.get_colors()]
    assert drawn == [to_rgba(style.POSITIVE if value > 0 else style.NEGATIVE)[:3] for value in values]
    alpha, width = first.get_colors()[:, 3], first.get_linewidths()
    assert (alpha[1:] >= alpha[:-1]).all() and list(width) == sorted(width) and alpha[-1] > alpha[0]
    assert {tuple(colour[:3]) for colour in later.get_colors()} == {to_rgba(style.LINE)[:3]}
    assert max(later.get_linewidths()) < min(width)


def test_an_effect_goes_through_all_later_layers():
    first, second, last = (
        torch.tensor([[2.0, 0.0]]),
        torch.tensor([[3.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[-1.0], [5.0]]),
    )
    net = Network([first, second, last], [torch.zeros(2), torch.zeros(2), torch.zeros(1)])
    assert networks.effects(net).tolist() == [[6.0, 0.0]]


def test_an_edge_joins_its_two_neurons():
    net = toy([[2.0, 0.0], [0.0, 0.0]], [[1.0], [3.0]])
    levels = layout(net).positions
    ends, values = networks.edges(networks.effects(net), levels[:2])
    assert values.tolist() == [1.0] and ends[0].tolist() == [levels[0][0].tolist(), levels[1][0].tolist()]
    ends, values = networks.edges(net.weights[1], levels[1:])
    assert ends[-1].tolist() == [levels[1][1].tolist(), levels[2][0].tolist()] and values[-1] == 1.0


def test_output_is_at_the_origin_and_everything_is_in_view():
    ax = figures.draw_network(double_sided(), title="double-sided").axes[0]
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert right - left == pytest.approx(high - low) and ax.get_title() == "double-sided"
    for points in ax.collections[2:]:
        x, y = points.get_offsets().T
        assert left < x.min() and x.max() < right and low < y.min() and y.max() < high
    assert abs(ax.collections[-1].get_offsets()).max() == 0


def test_titles_and_legends_stay_inside_the_figure():
    net = double_sided()
    for fig in (
        figures.draw_network(net, title="one"),
        figures.draw_networks([("a", net), ("b", net), ("c", net)], columns=2),
        slider._still([net] * 5, [layout(net)] * 5, ["one\ntwo\nthree"] * 5),
    ):
        fig.canvas.draw()
        for item in [*(ax.title for ax in fig.axes), *fig.legends]:
            box = item.get_window_extent()
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1


def test_draws_with_a_given_layout():
    net = double_sided()
    places = Layout([torch.ones(n, 2) * k for k, n in enumerate(net.shape)])
    assert figures.draw_network(net, places).axes[0].collections[2].get_offsets().tolist() == [[0, 0]] * 4


def test_grid_has_a_panel_for_each_network():
    net = double_sided(2)
    fig = figures.draw_networks([(name, net) for name in "abcde"], columns=3)
    assert len(fig.axes) == 6
    assert [ax.get_title() for ax in fig.axes] == [*"abcde", ""]


def test_deep_networks_with_several_outputs_are_drawn():
    g = torch.Generator().manual_seed(0)
    shape = (3, 4, 5, 2)
    weights = [torch.randn(n, m, generator=g) for n, m in pairwise(shape)]
    ax = figures.draw_network(Network(weights, [torch.zeros(m) for m in shape[1:]])).axes[0]
    assert [len(points.get_offsets()) for points in ax.collections[-4:]] == list(shape)


def test_drawings_offer_every_edge_with_its_weight_and_its_ends():
    net = toy([[2.0, -4.0, 0.1], [1.0, 0.0, 3.0]], [[0.5], [-0.5], [0.25]])
    places = layout(net)
    rows = figures.draw_network(net, places).table
    assert len(rows) == 9  # those too that are too faint to be drawn
    edge = rows[(rows["layer"] == 1) & (rows["i"] == 1) & (rows["j"] == 2)].iloc[0]
    assert edge["weight"] == -4.0
    assert [edge["x_i"], edge["y_i"]] == places.positions[0][0].tolist()
    assert [edge["x_j"], edge["y_j"]] == places.positions[1][1].tolist()
    assert set(figures.draw_networks([("one", net), ("two", net)]).table["network"]) == {"one", "two"}


def test_weight_maps_offer_the_matrix_in_the_order_of_its_columns():
    net = toy([[2.0, -4.0, 0.1], [1.0, 0.0, 3.0]], [[0.5], [-0.5], [0.25]])
    fig = weights.weight_maps([net], ["one"])
    rows = fig.table.set_index(["input", "column"])
    shown = fig.axes[0].images[0].get_array() * 4
    for (i, column), row in rows.iterrows():
        assert row["weight"] == net.weights[0][i - 1, row["hidden"] - 1] == pytest.approx(shown[i - 1, column - 1])


def test_a_figure_without_a_table_offers_nothing():
    fig = architecture()
    assert not hasattr(fig, "_repr_mimebundle_")
    empty = style.figure(style.blank)()
    assert empty._repr_mimebundle_() == {}
    with pytest.raises(ValueError, match="the figure has no table"):
        empty.offer()


def test_saving_leaves_a_figure_without_a_layout_engine_without_one():
    fig = figures.draw_network(double_sided())
    fig.offer()
    assert fig.get_layout_engine() is None


# --- heat maps --------------------------------------------------------------------------------------------------------


def test_role_order_gathers_each_input_and_does_not_depend_on_numbering():
    weight = double_sided().weights[0]
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    for one in (weight, weight[:, order]):
        torch.testing.assert_close(one[:, weights.role_order(one)[0]], weight)


def test_role_order_has_assigned_neurons_first_and_shared_ones_by_strength():
    weight = torch.tensor([[0.1, 3.0, 0.0, 1.0, 0.01], [0.1, 0.0, -2.0, 1.0, 0.0], [0.1, 0.1, 0.0, -1.0, 0.0]])
    order, assigned = weights.role_order(weight)
    assert order.tolist() == [1, 2, 3, 0, 4] and assigned == 2  # the last one is faint, whatever it reads


def test_weight_maps_show_relative_weights_under_their_titles():
    net = double_sided()
    fig = weights.weight_maps([net, net], ["first", "second"])
    assert [ax.get_title(loc="left") for ax in fig.axes[:2]] == ["first", "second"]
    shown = fig.axes[0].images[0].get_array()
    assert shown.shape == (4, 8) and shown.max() == 1 and shown.min() == -1
    assert "5" in fig.axes[0].get_title(loc="right")
    assert [text.get_text() for text in fig.axes[0].texts if text.get_text()] == ["8 assigned"]
    assert fig.finding.endswith(": 8, 8")


def test_weight_distributions_are_densities_in_units_of_the_spread():
    normal = torch.randn(40000, generator=torch.Generator().manual_seed(0)).reshape(100, 20, 20)
    fig = weights.weight_distributions([("convexity", 7 * normal), ("random, heavy-tailed", normal**3)])
    assert fig.finding.startswith("Modes of D: 1, 1; kurtosis: 3, ")
    for _, rows in fig.table.groupby("network"):
        assert (rows["density"] * (rows["to"] - rows["from"])).sum() == pytest.approx(1)
    middle = fig.table.query("network == 'convexity' and `from` > -0.4 and to < 0.4")["density"]
    assert middle.between(0.36, 0.42).all()


# --- responses --------------------------------------------------------------------------------------------------------


def parts(net, along=0, task="l1"):
    return responses.response(net, along, task).pivot(index="input", columns="part", values="response")


def test_two_rectifiers_make_a_v_and_nothing_else_does():
    lines = parts(hl.construct.double_sided(n=4, sharpness=50.0))
    x = lines.index.to_numpy()
    assert lines["target"].to_numpy() == pytest.approx(abs(x))
    assert lines["own, weight > 0"].to_numpy() == pytest.approx(x.clip(min=0), abs=0.02)
    assert lines["own, weight < 0"].to_numpy() == pytest.approx((-x).clip(min=0), abs=0.02)
    assert lines["all others"].abs().max() < 1e-9
    assert lines["network"].to_numpy() == pytest.approx(abs(x), abs=0.08)


def test_pudding_is_a_kink_plus_a_line():
    lines = parts(hl.construct.pudding(n=4, sign=+1, sharpness=50.0))
    x = lines.index.to_numpy()
    assert "own, weight > 0" not in lines
    assert lines["own, weight < 0"].to_numpy() == pytest.approx(2 * (-x).clip(min=0), abs=0.03)
    assert lines["all others"].to_numpy() == pytest.approx(x, abs=0.03)


def test_convexity_has_no_neurons_of_its_own():
    net = hl.construct.convexity(32, 24, generator=0)
    assert set(responses.response(net, 1)["part"]) == {"target", "network"}


def test_the_response_of_a_deep_network_is_not_split():
    sums = hl.construct.double_sided(n=4, sharpness=50.0)
    behind = torch.cat([sums.weights[1], -sums.weights[1]], 1) * 50.0  # z = swish(s z) / s - swish(-s z) / s
    shift = torch.cat([sums.biases[1], -sums.biases[1]]) * 50.0
    last = torch.tensor([[1.0], [-1.0]]) / 50.0
    deep = Network([sums.weights[0], behind, last], [sums.biases[0], shift, torch.zeros(1)])
    lines = parts(deep)
    assert set(lines) == {"target", "network"}
    assert lines["network"].to_numpy() == pytest.approx(parts(sums)["network"].to_numpy(), abs=0.02)


def test_a_response_along_the_sum_is_a_bowl_for_pairs():
    n = 4
    weight = torch.full((n, 2), 1.0) * torch.tensor([1.0, -1.0])
    net = Network([weight, torch.ones(2, 1)], [torch.zeros(2), torch.zeros(1)])
    lines = parts(net, "sum", "pairs")
    t = lines.index.to_numpy()
    assert lines["target"].to_numpy() == pytest.approx(t**2 * (n - 1) / 2, abs=0.2)
    assert (lines["own"].to_numpy() >= -1e-9).all() and lines["own"].iloc[0] == pytest.approx(lines["own"].iloc[-1])


def test_response_figures_have_their_lines_and_numbers():
    net = double_sided()
    fig = responses.responses(net, input=2, title="one")
    assert len(fig.axes[0].lines) == 6 and fig.axes[0].get_title() == "one" and set(fig.table["along"]) == {3}
    fig = responses.algorithms([("a\nb", net), ("c", hl.construct.convexity(32, 24, generator=0))])
    assert [ax.get_title() for ax in fig.axes] == ["a\nb", "c", "", ""]
    assert "2 neurons of its own" in fig.axes[2].get_xlabel() and "no neuron" in fig.axes[3].get_xlabel()
    assert set(fig.table["network"]) == {"a, b", "c"}


def test_the_typical_input_is_neither_the_best_nor_the_worst():
    net = double_sided(3)
    net.weights[1][0] += 0.5  # worst: input 1
    net.weights[1][4] += 0.1
    assert responses.typical_input(net) == 2


def test_a_headline_makes_room_for_itself():
    plain = figures.draw_network(double_sided(), title="below")
    fig = figures.draw_network(double_sided(), title="below", finding="what is seen")
    assert fig.get_figheight() > plain.get_figheight()
    fig.canvas.draw()
    head = fig.texts[0].get_window_extent()
    assert head.y1 <= fig.bbox.y1 and not head.overlaps(fig.axes[0].title.get_window_extent())


# --- slider -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown():
    nets = [Network([w * scale for w in double_sided().weights], double_sided().biases) for scale in (1.0, 0.2, 0.05)]
    rows = {"beta": [1e-8, 1e-5, 1e-2], "loss": [0.01, 0.02, 0.3], "label": ["pudding", "pudding", "convexity"]}
    return slider.slider(batch_of(nets), "beta", pd.DataFrame(rows))


def test_slider_has_a_drawing_for_each_beta_in_order(shown):
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', shown.html, re.DOTALL)[1])
    captions = [re.sub(r"<[^>]+>|&nbsp;", "", caption) for caption in data["captions"]]
    assert [caption.split()[2] for caption in captions] == ["10⁻⁸", "10⁻⁵", "0.01"]
    assert "pudding" in captions[0] and "loss 0.01" in captions[0] and "convexity" in captions[2]
    assert data["shape"] == [4, 8, 1] and {len(text) for text in data["drawings"]} == {4 * 8 + 8 + 4 * 13}
    assert len(set(data["drawings"])) == 3
    assert "is pudding, then convexity" in shown.alt
    assert len(shown.html) < 1.5e6
    assert len(shown.still.table) == 3 * 40 and shown.still.table["network"].nunique() == 3


def test_slider_over_steps_begins_with_the_first():
    nets = batch_of(
        [Network([w * scale for w in double_sided().weights], double_sided().biases) for scale in (1.0, 0.1)]
    )
    rows = {"step": [60, 30000], "loss": [0.9, 0.01], "label": ["convexity", "double-sided"]}
    film = slider.slider(nets, "step", pd.DataFrame(rows | {"note": ["", "1,200 nats"]}))
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', film.html, re.DOTALL)[1])
    assert data["captions"][0].startswith("step 60") and data["captions"][1].endswith("1,200 nats")
    assert "<label>step" in film.html and "from step 60 to step 30,000" in film.alt


def test_slider_waits_for_its_script(shown):
    assert 'class="hl-figure hl-waiting"' in shown.html and "http" not in shown.html
    assert shown.html.count(f'alt="{html.escape(shown.alt)}"') == 1 == shown.html.count("data:image/png;base64,")
    assert sorted(shown._repr_mimebundle_()) == sorted(["text/html", "text/plain", style.OFFER])


def test_packed_drawing_holds_weights_and_places():
    g = torch.Generator().manual_seed(1)
    net = Network([torch.randn(4, 5, generator=g), torch.randn(5, 2, generator=g)], [torch.zeros(5), torch.zeros(2)])
    places = layout(net, steps=50)
    digit = [slider.DIGITS.index(c) for c in slider.pack(net, places)]
    assert len(digit) == 4 * 5 + 5 * 2 + 4 * 11
    for weight, digits in zip(net.weights, (digit[:20], digit[20:30]), strict=True):
        relative = (weight / weight.abs().max()).ravel()
        np.testing.assert_allclose(np.array(digits) / slider.LEVELS - 1, relative, atol=0.51 / slider.LEVELS)
        assert {0, 2 * slider.LEVELS} & set(digits), "the strongest weight of a layer"
    high, low = np.array(digit[30:]).reshape(-1, 2).T
    found = 2 * (high * 64 + low).reshape(-1, 2) / slider.GRID - 1
    every = torch.cat(places.positions)
    np.testing.assert_allclose(found, every / every.norm(dim=-1).max(), atol=1e-3)


def test_the_page_draws_with_the_looks_and_colours_of_the_pictures():
    static = Path(__file__).parents[1] / "book" / "_static"
    script, sheet = ((static / name).read_text(encoding="utf-8") for name in ("network.js", "book.css"))
    numbers = dict(re.findall(r"const ([A-Z]+) = ([\d.]+);", script))
    assert float(numbers["FAINT"]) == networks.FAINT and float(numbers["INK"]) == networks.INK
    colours = dict(re.findall(r"--hl-([a-z-]+): (#\w+);", sheet))
    assert colours["positive"] == style.POSITIVE and colours["negative"] == style.NEGATIVE
    assert colours["line"] == style.LINE and colours["others"] == responses.PARTS["all others"]["color"]
    assert {name: colours[name] for name in style.PHASES} == style.PHASES


# --- architecture -----------------------------------------------------------------------------------------------------


def test_architecture_reads_its_numbers_and_no_text_overlaps():
    fig = architecture()
    fig.canvas.draw()
    texts = [text for text in fig.axes[0].texts if text.get_text().strip()]
    said = " ".join(text.get_text() for text in texts)
    a = Architecture()
    assert f"{a.width_out} $\\to$ {a.width_in}" in said and f"hyperlayer {a.hyperdepth}" in said
    assert f"hyperlayer {a.hyperdepth + 1}" not in said
    boxes = [text.get_window_extent() for text in texts]
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1
    for (one, first), (other, second) in combinations(zip(boxes, texts, strict=True), 2):
        assert not one.overlaps(other), (first.get_text(), second.get_text())


def test_blocks_of_the_diagram_add_up():
    a = Architecture(channel=7, attention=3)
    assert sum(block[1] for block in _blocks(a)) == a.width_in
    assert sum(block[2] for block in _blocks(a)) == a.width_out


# --- errors -----------------------------------------------------------------------------------------------------------


def test_bad_input_is_named():
    net = double_sided()
    both = batch_of([net, net])
    with pytest.raises(ValueError, match=r"batch axes \(2,\); index one network"):
        figures.draw_network(both)
    with pytest.raises(ValueError, match=r"layout has shape \(2, 4, 1\) and batch axes \(\); expected \(4, 8, 1\)"):
        figures.draw_network(net, layout(double_sided(2), steps=10))
    with pytest.raises(ValueError, match=r"got 0 networks and columns=4"):
        figures.draw_networks([])
