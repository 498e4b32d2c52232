"""The sentences of the appendices follow from their tables."""

import json

import pandas as pd
import pytest

from hyperlib.files import RunError
from hyperlib.project.design import settings
from hyperlib.report import appendix


def design_table(decisive: str = "random_scale") -> pd.DataFrame:
    """Every setting with four seeds at two steps; at the second, all memorise at the low level of one knob."""
    table = pd.concat([settings().assign(seed=seed) for seed in range(4)], ignore_index=True)
    low = table[decisive] == table[decisive].min()
    early = table.assign(step=10, memorised=False, assembled=False, loss=0.9)
    late = table.assign(step=2000, memorised=low, assembled=~low & (table["seed"] < 2), loss=0.3)
    return pd.concat([early, late], ignore_index=True)


@pytest.mark.parametrize(
    ("knob", "words"), [("random_scale", "scale of the random block"), ("learning_rate", "learning rate")]
)
def test_the_decisive_knob_is_named(knob, words):
    text = appendix.decisive(design_table(knob)).data
    assert "After 2,000 steps 50 % of 32 seeds" in text and "25 % have assembled" in text
    assert f"share of seeds that memorise most is the {words}: 100 % at" in text and "and 0 % at" in text
    assert f"assemble a network without KL most is the {words}: 0 % at" in text and "and 50 % at" in text
    assert text.count(f"significant at 5 %: {words}") == 2


def test_tables_have_a_row_per_setting_and_effect():
    assert appendix.settings(design_table()).data.count("\n") == 1 + 8
    assert appendix.knobs(design_table()).data.count("\n") == 1 + 15
    rows = appendix.over_steps(design_table("beta_warmup")).data.split("\n")[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[1] == ["1,000", "2,000", "1.0", "0"] and cells[3] == ["4,000", "2,000", "0", "0.50"]


def test_kl_that_is_lost_and_got_back_is_counted_after_the_warm_up():
    table = settings().iloc[[0]].assign(seed=0, beta_warmup=1000)
    paths = {0: [False, True, True], 1: [True, True, False], 2: [True, False, True], 3: [True, True, True]}
    rows = [
        table.assign(seed=seed, step=step, memorised=pays)
        for seed, path in paths.items()
        for step, pays in zip((10, 2000, 3000), path, strict=True)
    ]
    text = appendix.regained(pd.concat(rows)).data
    assert "2 seeds lost the KL" in text and "1 got it back" in text  # seed 0 pays from the end of the warm-up on


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
