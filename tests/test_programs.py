"""Tables and figures of programs."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

import hyperlib as hl
from hyperbook.figures import programs as figures
from hyperbook.studies import programs
from hyperlib.decoding.decode import program_of
from hyperlib.problems import L1

ROOT = Path(__file__).parents[1]
QUIET = {"workers": 0, "compiled": False, "progress": False}


@pytest.fixture(scope="module")
def table():
    nets = {"pudding": hl.construct.pudding(4, hidden=8), "double-sided": hl.construct.double_sided(4)}
    rows = [{"seed": k, "step": 10, "beta": beta} | programs.row(net, L1)
            for k, net in enumerate(nets.values()) for beta in (1e-12, 1.0)]  # fmt: skip
    return pd.DataFrame(rows).assign(run="l1", kl=[10.0, 0.0, 20.0, 0.0])


def test_a_row_says_what_decoding_says(table):
    assert table["label"].tolist() == ["pudding"] * 2 + ["double-sided"] * 2
    assert (table["weights"] == [49, 49, 49, 49]).all() and (table["kept"] > 0.99).all()
    assert (table["program_loss"] - table["loss"]).abs().max() < 0.02
    counted = programs.few_constants(table)
    assert counted["networks"].tolist() == counted["few"].tolist() == [2, 2]


def test_rows_of_one_folder_are_replaced_and_others_stay(tmp_path, table):
    out, rows = tmp_path / "deep" / "programs.parquet", table.drop(columns="run").to_dict("records")
    folders = [tmp_path / name for name in ("a/mine", "b/mine", "deep/tasks/l2")]
    for folder in folders:
        folder.mkdir(parents=True)
        programs.update(out, folder, rows)
    programs.update(out, folders[0], rows[:1])
    names = ["../b/mine", "tasks/l2", "../a/mine"]  # two of the same name are two
    assert pd.read_parquet(out)["run"].drop_duplicates().tolist() == names
    loaded = programs.load_programs(out)
    assert loaded.attrs["source"]
    assert loaded.loc[loaded["run"] == programs.name_of(folders[0], out), "label"].tolist() == ["pudding"]
    with pytest.raises(FileNotFoundError, match=r"make one with: python scripts/decode\.py"):
        programs.load_programs(tmp_path / "none.parquet")
    pd.read_parquet(out).assign(kept=1.0).to_parquet(out)
    for read in (lambda: programs.load_programs(out), lambda: programs.update(out, folders[0], rows)):
        with pytest.raises(hl.RunError, match="its contents differ from the checksum in it"):
            read()


WRITER = """
import sys
from pathlib import Path
from hyperbook.studies import programs
out, folders = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
sys.stdin.read()  # until both are here
for folder in folders:
    programs.update(out, folder, [{"seed": 0, "text": folder.name}])
"""


def test_two_writers_of_one_table_lose_nothing(tmp_path):
    names = [[f"{writer}{k}" for k in range(8)] for writer in "ab"]
    started = []
    for some in names:
        for name in some:
            (tmp_path / name).mkdir()
        command = [sys.executable, "-c", WRITER, tmp_path / "all.parquet", *(tmp_path / name for name in some)]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'book'}"}
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))
    for process in started:
        process.stdin.close()
    assert [process.wait() for process in started] == [0, 0]
    assert sorted(pd.read_parquet(tmp_path / "all.parquet")["run"]) == sorted([*names[0], *names[1]])
    assert not list(tmp_path.glob(".*"))


def test_programs_of_a_table_are_in_its_units():
    x = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) * 100
    task = hl.Task.from_data(pd.DataFrame(x.numpy(), columns=["age", "bmi", "dose"]), x.sum(1).numpy())
    net = hl.construct.double_sided(3)
    program = program_of(net, task)
    known = programs.row(net, task)
    assert "(age - " in program.text and known["text"] == program.text and known["loss"] > 0
    without = hl.Task.from_record(task.fingerprint(3))
    assert "(age - " in program_of(net, without).text and math.isnan(programs.row(net, without)["loss"])
    uniform = hl.Task("mine", "sum", lambda x: x.sum(-1, keepdim=True), inputs=hl.inputs.uniform(2, 3))
    assert program_of(net, uniform).label == "linear"


def test_runs_and_folders_of_runs_are_decoded(tmp_path):
    for name, shape in {"flat": (3, 4, 1), "deep": (3, 4, 2, 1)}.items():
        hl.train(hl.TrainConfig(seeds=(0,), steps=4, shape=shape, batch=8, snapshots=1), tmp_path / name, **QUIET)
    found = {path.name: list(rows) for path, rows in programs.of_folder(tmp_path, points=2)}
    assert len(found["flat"]) == 2 and found["deep"] == []
    assert {row["beta"] for row in found["flat"]} == {1e-12, 1.0}


def test_figures_show_the_tables(table):
    net = hl.construct.pudding(4, hidden=8)
    curves = {"pudding": programs.curve(net)}
    for fig in (figures.constants_against_loss(curves), figures.bits_and_nats(table)):
        fig.canvas.draw()
        assert len(fig.table)
    assert not plt.get_fignums()


def test_the_readme_shows_the_formula_that_its_lines_give():
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for line in block[1].splitlines() if "hl.train(" not in line and "draw_network" not in line]
    names = {}
    exec("\n".join(lines), names)  # runs as it stands
    shown = re.search(r"hl\.decode\(net\)\.text  # (.*)", block[1])[1]
    found, number = names["hl"].decode(names["net"]).text, r"-?\d+\.?\d*"
    assert re.sub(number, "#", found) == re.sub(number, "#", shown)
    numbers = [[float(one) for one in re.findall(number, formula)] for formula in (found, shown)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02)  # to what another machine's rounding may change
    assert names["larger"].shape == (20, 60, 1)


def test_programs_of_penalised_networks_stand_beside_generated_ones():
    generated = pd.DataFrame({"seed": [1, 2], "beta": 1e-6, "bits": [84.0, 49.0], "program_loss": [1e-3, 0.3]})
    names = ["absolute values", "absolute values", "spacings"]
    penalised = pd.DataFrame({"penalty": names, "seed": 0, "price": [0.0, 1e-4, 0.0]})
    penalised = penalised.assign(bits=[254.0, 120.0, 200.0], program_loss=[5e-3, 0.02, 0.02])
    fig = figures.bits_against_loss(generated, penalised)
    assert fig.finding == (
        "Median of the fewest bits with a loss of 0.01: 84 (hypernetworks, 1 of 2 seeds), "
        "254 (price on absolute values, 1 of 1 seed), none (price on spacings, 0 of 1 seed)"
    )
    assert len(fig.table) == 5
