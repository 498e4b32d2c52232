"""The sentences of the appendices follow from their tables."""

import json

import pandas as pd
import pytest

from hyperlib.design import settings
from hyperlib.report import appendix
from hyperlib.runs import RunError


def design_table(decisive: str = "random_scale") -> pd.DataFrame:
    table = pd.concat([settings().assign(seed=seed) for seed in range(4)], ignore_index=True)
    return table.assign(memorised=table[decisive] == table[decisive].min(), loss=0.3, alpha_2=1.0)


@pytest.mark.parametrize(
    ("knob", "words"), [("random_scale", "scale of the random block"), ("learning_rate", "learning")]
)
def test_the_decisive_knob_is_named(knob, words):
    text = appendix.decisive(design_table(knob)).data
    assert f"that of the {words}" in text and "fewer seeds memorise (100 % against 0 %" in text


def test_tables_have_a_row_per_setting_and_effect():
    assert appendix.settings(design_table()).data.count("\n") == 1 + 8
    assert appendix.knobs(design_table()).data.count("\n") == 1 + 15


def bench_rows(ms: float) -> dict:
    row = {"kind": "compiled", "shape": "16-48-1", "seeds": 4, "cores": 2, "ms": ms, "first_call_s": 80.0}
    row |= {"peak_mb": 500.0, "gflops": 200.0, "floor_ms": 0.5, "over_floor": ms / 0.5, "times_plain": 12 / ms}
    return {"hardware": {"processor": "P"}, "rows": [row, row | {"seeds": 1, "ms": 2 * ms}]}


def test_bench_summary_says_whether_the_goals_are_met(tmp_path):
    for ms, verdict in ((1.2, "are both met"), (1.9, "are not both met")):
        path = tmp_path / "bench.json"
        path.write_text(json.dumps(bench_rows(ms)))
        text = appendix.bench_summary(*appendix.read_bench(path)).data
        assert verdict in text and f"{ms} ms per step" in text and "4 seeds" in text


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bench\.json"):
        appendix.read_bench(tmp_path / "bench.json")
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(RunError, match="has no rows"):
        appendix.read_bench(tmp_path / "bench.json")
    with pytest.raises(FileNotFoundError, match=r"design\.parquet"):
        appendix.read(tmp_path / "design.parquet")
