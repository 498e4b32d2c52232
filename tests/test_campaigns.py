"""The campaigns of `hyperlib.project.campaigns`, each with a few attempts."""

from __future__ import annotations

import pytest

from hyperlib.project import campaigns


def test_a_killed_training_ends_with_the_same_bytes():
    table = campaigns.kill(times=1, seed=1)
    assert len(table) == 1 and table["ok"].all(), table.to_string()


def test_a_flipped_bit_is_refused_or_harmless():
    table = campaigns.flip(times=6, seed=1)
    assert len(table) == 6 and table["ok"].all(), table.to_string()
    assert set(table["outcome"]) <= {"refused", "told", "harmless"} and "refused" in set(table["outcome"])


def test_every_hostile_value_is_told():
    table = campaigns.probe(times=60, seed=1)
    assert len(table) == 60 and table["ok"].all(), table[~table["ok"]].to_string()


def test_what_is_not_told_counts_as_a_failure():
    def breaks(argument):
        raise AttributeError("no such thing")

    def silent(argument):
        raise ValueError("something is wrong")

    for function in (breaks, silent):
        assert not campaigns.attempt("f", function, {"argument": 1}, "argument", "None")["ok"]


def test_patience_ends():
    with pytest.raises(TimeoutError), campaigns.patience(1):
        while True:
            pass
