"""The campaigns of `campaign`, each with a few attempts."""

from __future__ import annotations

import campaign as campaigns


def test_a_killed_training_ends_with_the_same_bytes():
    table = campaigns.kill(times=1, seed=1)
    assert len(table) == 1 and table["ok"].all(), table.to_string()


def test_a_flipped_bit_is_refused_or_harmless():
    table = campaigns.flip(times=6, seed=1)
    assert len(table) == 6 and table["ok"].all(), table.to_string()
    assert set(table["outcome"]) <= {"refused", "told", "harmless"} and "refused" in set(table["outcome"])
