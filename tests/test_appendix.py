"""The tables of the appendices."""

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
    assert appendix.regained(pd.concat(rows)) == (2, 1)  # seed 0 pays from the end of the warm-up on


def bench_rows(ms: float) -> dict:
    row = {"kind": "compiled", "shape": "16-48-1", "seeds": 4, "cores": 2, "ms": ms, "first_call_s": 80.0}
    row |= {"peak_mb": 500.0, "gflops": 200.0, "floor_ms": 0.5, "over_floor": ms / 0.5, "times_plain": 12 / ms}
    return {"hardware": {"processor": "P"}, "rows": [row, row | {"seeds": 1, "ms": 2 * ms}]}


def test_best_of_the_bench_is_the_fastest_on_all_cores(tmp_path):
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(bench_rows(1.2)))
    rows, machine = appendix.read_bench(path)
    assert appendix.best(rows)["ms"] == 1.2 and appendix.best(rows)["seeds"] == 4
    assert machine["hardware"]["processor"] == "P"


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bench\.json"):
        appendix.read_bench(tmp_path / "bench.json")
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(RunError, match="has no rows"):
        appendix.read_bench(tmp_path / "bench.json")
    with pytest.raises(FileNotFoundError, match=r"design\.parquet"):
        appendix.read(tmp_path / "design.parquet")
