"""What the page of functions shows: of the runs of other tasks a network each at several prices, drawn and decoded."""

import json
from pathlib import Path
from typing import Any

import torch

import hyperlib as hl
from hyperlib.decoding.program import SUM as READS_SUM
from hyperlib.files import write_atomic
from hyperlib.inputs import normal

from ..figures.responses import SUM, response, typical_input
from ..figures.slider import DIGITS, LEVELS, pack
from ..studies.tasks import lowest
from . import live

RESULTS, DATA = Path("results/tasks"), live.DATA / "functions"
PRICES = 5  # values of beta along which networks are shown
SAMPLES = 8192  # inputs for decoding where they are not normal
# What the page calls parts of a response.
LINES = {"own, weight > 0": "positive", "own, weight < 0": "negative", "all others": "others"}


def describe_function(run: hl.Run) -> dict[str, Any]:
    """What the page has to know of a run."""
    seed, task, (n, *_, outputs) = int(lowest(run)["seed"].iloc[0]), run.task, run.config.shape
    nets, final = run.networks(seed), run.final[run.final["seed"] == seed].set_index("beta")
    x = None if task.inputs == normal() else task.sample(SAMPLES, n, torch.Generator().manual_seed(0))[0]
    drawn: hl.Layout | None = None
    along: int | str | None = None
    prices = []
    for place in live.spread(range(len(run.network_betas)), PRICES):
        net, beta = nets[place], run.network_betas[place]
        drawn = hl.layout(net, start=drawn)  # so that neurons keep their places
        found = live.program(net, beta, x)
        if along is None:
            along = SUM if found["label"] == READS_SUM else typical_input(net, task)
        lines = response(net, along, task, output=outputs - 1).replace({"part": LINES}).groupby("part", sort=False)
        found |= {name: float(final.loc[beta, name]) for name in ("loss", "kl")} | {"drawn": pack(net, drawn)}
        found["counts"] = lines["neurons"].first().to_dict()
        found["lines"] = {part: line.round(3).tolist() for part, line in lines["response"]}
        prices.append(found)
    return {
        "name": run.path.name,
        "title": run.config.task.title,
        "shape": run.config.shape,
        "weights": sum(tensor.numel() for tensor in (*net.weights, *net.biases)),
        "along": f"the sum of all inputs over √{n}" if along == SUM else f"input {int(along or 0) + 1}",
        "prices": prices,
    }


def write_functions(results: Path, folder: Path) -> None:
    """Write both files into ``folder``, unless they are there already, made from the same runs.

    Left out are runs of networks with several hidden layers, which decoding does not read, and those of which most
    seeds failed, which say nothing about the function.
    """
    runs = [hl.load_run(path.parent) for path in sorted(results.glob("*/manifest.json"))]
    runs = [run for run in runs if len(run.config.shape) == 3 and len(run.failed) < len(run.seeds)]
    made_from = json.dumps([run.source for run in runs])
    last, start = folder / "functions.js", f"// {made_from}\n"
    if last.is_file() and last.read_text(encoding="utf-8").startswith(start):
        return
    functions = [describe_function(run) for run in runs]
    shown = {"all": functions, "packed": {"digits": DIGITS, "levels": LEVELS}}
    text = f"{start}globalThis.hyperlib ??= {{}};\nhyperlib.functions = {json.dumps(shown, ensure_ascii=False)};\n"
    folder.mkdir(parents=True, exist_ok=True)
    # What stands there without scripts and on paper.
    row = "<tr><td>{title}</td><td>{formula}</td><td>{loss:.2g}</td></tr>\n"
    rows = "".join(row.format(title=one["title"], **one["prices"][0]) for one in functions)
    head = "<thead><tr><th>function</th><th>formula where information is cheap</th><th>loss</th></tr></thead>"
    table = f'<table class="table">\n{head}\n<tbody>\n{rows}</tbody>\n</table>\n'
    (folder / "table.html").write_text(table, encoding="utf-8")
    write_atomic(last, lambda file: file.write_text(text, encoding="utf-8"))
