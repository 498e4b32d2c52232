"""What the page with the running hypernetwork loads: trained models as scripts, and a picture for where none run.

A page that is opened from disk may not fetch data, but it may load scripts: ``book/_static/live/data/<name>.js``, a
file per seed and stored snapshot with the parameters in half precision as base64, and ``models.js``, which says what
there is. `live.js` loads the rest when it needs it.
"""

import base64
import dataclasses
import json
import shutil
import tomllib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sphinx.application import Sphinx

import hyperlib as hl
from hyperlib.algorithms import structure
from hyperlib.decoding.program import KeepsLittle
from hyperlib.files import write_atomic

from ..studies import development
from ..studies.generalization import rescaled_loss
from .formula import markup

DATA = Path("book/_static/live/data")
RESULTS = Path("results")
MODEL = ["network.js", *(f"live/{name}.js" for name in ("hypernetwork", "layout", "views", "data/models", "live"))]
FUNCTIONS = ["network.js", *(f"live/{name}.js" for name in ("views", "data/functions/functions", "functions"))]
SCRIPTS = {"book/live": MODEL, "book/functions": FUNCTIONS, "first": [*MODEL, "lights.js"]}  # by page
TRAINED, SIZED = ("l1", "l1-memorised"), "l1-sizes"  # runs at one size, where there are any, and at several
LIMITS = ("SINGLE", "STRONG", "COVERED", "STRAY", "TAILS", "ONE_SIGN", "FEW")  # of `hyperlib.algorithms.structure`
MOST_STEPS = 4  # snapshots of a seed: each is 1.4 MB
POINTS = 13  # values of beta along which a seed's networks are decoded
CLOSED = 1.0  # nats: what pays less at every price has no use for a price
FIRST = 1e-8  # beta with which the page begins; as in live.js
INPUTS = 2048  # of its loss; as in live.js
BETAS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-10)  # of the picture
SAMPLES = 4096  # inputs on which its losses are measured


class Kind(NamedTuple):
    """A kind of seed that the page offers, see ``kinds.toml``."""

    title: str
    cases: Sequence[str]
    about: str
    sizes: Sequence[Sequence[int]] | None = None
    encoder: bool = True


WORDS = Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8")
KINDS = [Kind(**kind) for kind in tomllib.loads(WORDS)["kinds"]]


def offered(results: Path) -> list[tuple[Kind, hl.Run, int]]:
    """A seed for each kind, by rule: of those with snapshots, if there are any, else of all, the median one.

    That is the median loss at the lowest beta, of an even number the lower of the middle two, with the encoder off for
    runs at several sizes, as such runs are trained.
    """
    runs = [hl.load_run(results / name) for name in (*TRAINED, SIZED) if (results / name / "manifest.json").is_file()]
    if not runs:
        return []
    tables = []
    for place, run in enumerate(runs):
        if run.path.name == SIZED:
            table = run.final[run.final["beta"] == run.final["beta"].min()]
            table = table.assign(case=SIZED, loss_low=table["loss_without_encoder"])
        else:
            table = development.cases(run.sweep)
        table = table[table["seed"].isin(run.modelled)]
        tables.append(table.assign(place=place, early=[len(run.stored_steps(seed)) < 2 for seed in table["seed"]]))
    every, chosen = pd.concat(tables), []
    for kind in KINDS:
        rows = every[every["case"].isin(kind.cases)]
        for (_, place), group in list(rows.groupby(["early", "place"]))[:1]:
            ordered = group.sort_values(["loss_low", "seed"], kind="stable")["seed"]
            chosen.append((kind, runs[place], int(ordered.iloc[(len(group) - 1) // 2])))
    return chosen


def spread(values: Sequence[Any], count: int) -> list[Any]:
    """So many of the values, or all if there are no more, the first and the last one included."""
    return [values[k] for k in np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)]


def tensors(model: hl.ParetoHypernetwork) -> dict[str, str]:
    """Parameters in half precision, little endian, in base64."""
    halves = {name: tensor.half().numpy().astype("<f2") for name, tensor in model.parameters.items()}
    return {name: base64.b64encode(half.tobytes()).decode() for name, half in halves.items()}


def program(net: hl.Network, beta: float, x: torch.Tensor | None = None) -> dict[str, Any]:
    """What decoding makes of one network, on normal inputs or on others."""
    with warnings.catch_warnings(action="ignore", category=KeepsLittle):  # what is kept is shown
        found = hl.decode(net, x)
    size = {"numbers": found.numbers, "bits": round(found.bits), "kept": float(f"{100 * found.kept:.3g}")}
    return {"beta": beta, "label": found.label, "formula": markup(found.text)} | size


def describe(kind: Kind, run: hl.Run, seed: int) -> dict[str, Any]:
    """What the page has to know of a seed; ``closed`` is one that buys nothing at any price."""
    steps, architecture = spread(run.stored_steps(seed), MOST_STEPS), run.config.architecture
    return kind._asdict() | {
        "name": f"{run.path.name}-{seed}",
        "run": f"{run.path.parent.name}/{run.path.name}",
        "seed": seed,
        "shape": run.config.shape,
        "architecture": dataclasses.asdict(architecture) | {"blocks": architecture.blocks},
        "closed": not kind.encoder or bool(run.final.loc[run.final["seed"] == seed, "kl"].max() < CLOSED),
        "narrowest": min(m / n for n, m, *_ in [*run.config.sizes, run.config.shape]),
        "steps": steps,
        "files": [f"{run.path.name}-{seed}-{step}" for step in steps],
    }


def first(kind: Kind, run: hl.Run, seed: int) -> dict[str, Any]:
    """The network with which the page begins, drawn and measured: it stands there before any model is loaded."""
    net = run.model(seed).generate(FIRST, encoder=kind.encoder)
    n = net.shape[0]
    x = torch.randn(INPUTS * n, generator=torch.Generator().manual_seed(0)).reshape(INPUTS, n)
    y = run.task.targets(x)

    def short(tensor: torch.Tensor) -> list[float]:
        return [float(f"{value:.4g}") for value in tensor.flatten().tolist()]

    assert net.kl is not None
    return {
        "weights": [short(weight) for weight in net.weights],
        "biases": [short(bias) for bias in net.biases],
        "positions": short(torch.cat(hl.layout(net).positions)),
        "kl": float(net.kl),
        "loss": float(net.loss(x, y)),
        "fitted": float(rescaled_loss(net(x), y)),
    }


def stills(run: hl.Run, seed: int) -> Figure:
    """Networks of one seed from high to low beta, in a row."""
    nets = run.model(seed).generate(beta=BETAS)
    x, y = run.task.sample(SAMPLES, run.config.shape[0], torch.Generator().manual_seed(0))
    said = zip(BETAS, structure.structure(nets), nets.loss(x, y).tolist(), strict=True)
    named = [(f"β = {beta:.0e}\n{name}\nloss {loss:.2g}", nets[k]) for k, (beta, name, loss) in enumerate(said)]
    return hl.figures.draw_networks(named, columns=len(named))


def write_models(results: Path, folder: Path) -> None:
    """Write all files into ``folder``, unless they are there already, made from the same runs."""
    seeds = offered(results)
    thresholds = {"strongest": hl.THRESHOLDS.strongest, "double_sided": hl.THRESHOLDS.double_sided}
    limits = {name: getattr(structure, name) for name in LIMITS}
    models = [describe(*seed) for seed in seeds]
    made_from = sorted({run.source for _, run, _ in seeds})
    shown = {"models": models, "thresholds": thresholds, "structure": limits, "made_from": made_from}
    start = f"globalThis.hyperlib ??= {{}};\nhyperlib.tensors = {{}};\nhyperlib.live = {json.dumps(shown)};\n"
    last = folder / "models.js"  # written last
    if last.is_file() and last.read_text(encoding="utf-8").startswith(start):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for (_, run, seed), model in zip(seeds, models, strict=True):
        for step, file in zip(model["steps"], model["files"], strict=True):
            content = f"hyperlib.tensors[{json.dumps(file)}] = {json.dumps(tensors(run.model(seed, step)))};\n"
            (folder / f"{file}.js").write_text(content, encoding="utf-8")
    if seeds:
        stills(*seeds[0][1:]).savefig(folder / "stills.png", dpi=110, bbox_inches="tight", transparent=True)
        start += f"hyperlib.live.first = {json.dumps(first(*seeds[0]))};\n"
    for k, (kind, run, seed) in enumerate(seeds):
        betas = spread(run.network_betas, 1 if models[k]["closed"] else POINTS)  # at which a closed one is the same
        nets = run.model(seed).generate(beta=betas, encoder=kind.encoder)
        found = [program(net, beta) for net, beta in zip(nets, betas, strict=True)]
        start += f"hyperlib.live.models[{k}].programs = {json.dumps(found, ensure_ascii=False)};\n"
    write_atomic(last, lambda file: file.write_text(start, encoding="utf-8"))


def add_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Add style and scripts to the pages that draw networks, and only there."""
    if scripts := SCRIPTS.get("first" if page == app.config.root_doc else page):
        app.add_css_file("live/live.css")
        for script in scripts:  # before MathJax, so that nothing waits for formulas
            app.add_js_file(script, priority=400, loading_method="defer")
