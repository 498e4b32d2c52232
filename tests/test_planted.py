"""Decoding beside the truth, and beside weights that are tied by size alone."""

import pytest
import torch
from kmeans import kmeans
from planted import benchmark, planted

import hyperlib as hl


@pytest.fixture(scope="module")
def table():
    return benchmark()


def test_the_score_of_planted_formulas_does_not_fall(table):
    assert table["score"].mean() > 0.95 and table["score"].min() > 0.75
    assert (table["label"] == table["label found"]).all() and len(table) == len(planted()) >= 12


def test_what_is_not_left_to_chance_is_kept(table):
    random = table["formula"].str.contains("chance")
    assert table.loc[~random, "kept"].min() > 0.99 and random.sum() == 3
    assert table["bits"].max() < 200


@pytest.mark.parametrize("name", ["sum of |x|", "parts with a sign each", "products of neighbours", "two outputs"])
def test_tying_by_size_keeps_as_much_but_takes_more_bits(name):
    case = next(case for case in planted() if case.name == name)
    net, _ = case.network(torch.Generator().manual_seed(1))
    program = hl.decode(net)
    tied = kmeans(net, max(program.numbers, 2 + net.shape[-1]))
    sizes = {
        round(abs(n), 6) for tensor in (*tied.net.weights, *tied.net.biases) for n in tensor.flatten().tolist() if n
    }
    assert len(sizes) <= tied.numbers and tied.net.activation == net.activation
    assert 0.9 < tied.kept <= 1 and tied.bits > program.bits
