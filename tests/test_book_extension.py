"""The book's Sphinx extension: what stands under figures, notes for terms, docstrings."""

import base64
import hashlib
import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from docutils import nodes
from nbformat.v4 import new_code_cell, new_notebook, new_output
from sphinx import addnodes

import hyperlib as hl
from hyperbook.build import figures, functions, live, notebooks, pages
from hyperbook.build.formula import markup
from hyperbook.studies.development import CASE_NAMES
from hyperlib.figures.style import OFFER
from hyperlib.files import write_signed, write_tensors
from hyperlib.runs import SNAPSHOTS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
OFFERED = {"svg": "<svg/>", "csv": "a,b\n1,2\n", "source": None}


def shown(name: str, offered: dict, tag: str | None = None):
    """A cell that shows a figure."""
    data = {"text/plain": "<Shown>", "image/png": "aaaa", OFFER: offered}
    metadata = {"mystnb": {"figure": {"name": name, "caption": "c"}}} | ({"tags": [tag]} if tag else {})
    return new_code_cell("draw()", metadata=metadata, outputs=[new_output("display_data", data=data)])


def write(path: Path, parameters: str, *cells) -> Path:
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=[first, *cells], metadata={"kernelspec": kernel}), path)
    return path


def make_run(folder: Path) -> None:
    """As much of a run folder as its name and version need."""
    from hyperlib.config import TrainConfig
    from hyperlib.runs import FILES, FORMAT

    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text("{}")
    (folder / "config.json").write_text(json.dumps(TrainConfig(seeds=[0], steps=10).to_dict()))
    files = {name: {"sha256": hashlib.sha256(f"{folder}{name}".encode()).hexdigest(), "bytes": 2} for name in FILES}
    write_signed(folder / "manifest.json", {"format": FORMAT, "failed": {}, "files": files})


def test_sources_are_the_runs_and_files_that_parameters_name(tmp_path):
    from hyperlib.runs import load_run

    make_run(tmp_path / "results" / "one")
    make_run(tmp_path / "results" / "many" / "a")
    make_run(tmp_path / "results" / "many" / "b")
    (tmp_path / "table.parquet").write_bytes(b"abc")
    values = (
        'run = "../results/one"\ntables = "../results/many"\nfile = "../table.parquet"\nout = "../results/one"\nn = 3'
    )
    notebook = write(tmp_path / "executed" / "a.ipynb", values)
    one, a, b = (load_run(tmp_path / "results" / name, verify=False).source for name in ("one", "many/a", "many/b"))
    assert one.startswith("run one, version ") and len({one, a, b}) == 3
    expected = f"{one}; {a}; {b}; table.parquet, SHA-256 {hashlib.sha256(b'abc').hexdigest()[:8]}"
    assert figures.sources(notebook) == expected
    assert figures.sources(write(notebook, "n = 3")) == "what the notebook computes"


def test_sources_follow_the_values_that_papermill_was_given(tmp_path):
    make_run(tmp_path / "results" / "one")
    make_run(tmp_path / "results" / "other")
    path = write(tmp_path / "notebooks" / "a.ipynb", 'run = "../results/one"')
    notebook = tmp_path / "executed" / "a.ipynb"
    notebooks.execute(path, notebook, {"run": "../results/other"})
    assert figures.sources(notebook).startswith("run other, version ")


def test_figures_of_a_notebook_are_found_with_the_numbers_of_their_cells(tmp_path):
    known = {"svg": "<svg/>", "parquet": "YWJj", "source": "run l1, version 01234567"}
    cells = [shown("fig-one", OFFERED), new_code_cell("1"), shown("fig-two", known)]
    found = figures.read(write(tmp_path / "a.ipynb", "n = 3", *cells), "executed/a")
    assert [(one.name, one.cell, one.source) for one in found] == [
        ("fig-one", 2, "what the notebook computes"),
        ("fig-two", 4, "run l1, version 01234567"),
    ]
    assert found[0].files == {"svg": b"<svg/>", "csv": b"a,b\n1,2\n"} and found[1].files["parquet"] == b"abc"
    assert found[0].path("svg") == "_downloads/figures/a/fig-one.svg"


def test_line_has_links_on_a_page_and_none_in_print():
    made = figures.Made("executed/a", "fig-one", 4, "run l1, version 01234567", {"svg": b"", "csv": b""})
    text = "Made by cell [4] of a.ipynb from run l1, version 01234567."
    line = figures.line(made, links=False)
    assert line.astext() == text and not list(line.findall(addnodes.download_reference))
    line = figures.line(made, links=True)
    assert line.astext() == text + " Download: SVG, CSV."
    assert [link["refuri"] for link in line.findall(addnodes.download_reference)] == [
        "../_sources/executed/a.ipynb",
        "../_downloads/figures/a/fig-one.svg",
        "../_downloads/figures/a/fig-one.csv",
    ]


def test_offered_notebook_keeps_everything_but_the_figures(tmp_path):
    notebook = write(tmp_path / "a.ipynb", "n = 3", shown("fig-one", OFFERED))
    content = nbformat.read(notebook, as_version=4)
    content.cells.append(new_code_cell("2", outputs=[new_output("display_data", data={"image/png": "aaaa"})]))
    nbformat.write(content, notebook)
    figures.strip(notebook)
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    assert content.cells[1].outputs[0].data == {"text/plain": "<Shown>"}
    assert content.cells[1].source == "draw()" and content.cells[2].outputs[0].data == {"image/png": "aaaa"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_committed_notebook_stores_what_figures_offer(path):
    assert OFFER not in path.read_text(encoding="utf-8"), (
        "a cell that nbval compares shows a figure: print numbers there"
    )


def test_definitions_are_plain_text():
    definition = nodes.definition(
        "", nodes.paragraph("", "", nodes.Text("Price\n of "), nodes.math("", r"\alpha_1"), nodes.Text(" per nat."))
    )
    item = nodes.definition_list_item("", nodes.term("", "Beta", ids=["term-Beta"]), definition)
    glossary = nodes.section("", addnodes.glossary("", nodes.definition_list("", item)))
    assert pages.definitions(glossary) == {"term-Beta": "Price of α₁ per nat."}


def test_every_term_that_only_the_paper_uses_is_in_the_glossary():
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").lower()
    for term in ("pudding", "convexity", "double-sided", "kl axis", "kl channel", "hyperfeature", "hyperlayer"):
        assert f"\n{term}\n  " in text, term
    for term in ("hyperhypernetwork", "hyperweights", "hyperactivation", "order parameter", "encoder", "decoder"):
        assert f"\n{term}\n  " in text, term


def test_bars_of_absolute_values_survive_in_docstrings():
    lines = ["the norm |x| of ``|y|``", ">>> a | b"]
    pages.plain_notation(lines)
    assert lines == [r"the norm \|x\| of ``|y|``", ">>> a | b"]


# --- the running hypernetwork -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of results with one small run, of which one seed has a snapshot."""
    results = tmp_path_factory.mktemp("results")
    config = hl.TrainConfig(
        seeds=[0, 1], steps=4, shape=(4, 6, 1), batch=8, snapshots=2, architecture=hl.Architecture(gain=1.0)
    )
    run = hl.train(config, results / "l1", progress=False, compiled=False, workers=1)
    earlier = {f"1.2.{name}": tensor.half() for name, tensor in run.model(0).parameters.items()}
    write_tensors(run.path / SNAPSHOTS, earlier)
    return results


def test_snapshots_of_a_run_are_models(trained):
    run = hl.load_run(trained / "l1")
    assert run.stored_steps(0) == [4] and run.stored_steps(1) == [2, 4]
    for step, seed in ((2, 0), (4, 1)):
        expected = run.model(seed).parameters["map"]
        assert (run.model(1, step=step).parameters["map"] == expected).all()
    with pytest.raises(KeyError, match=r"no model of seed 0 at step 2, only at \[4\]"):
        run.model(0, step=2)


def test_models_become_scripts_once(trained, tmp_path, monkeypatch):
    run = hl.load_run(trained / "l1")
    kind = live.Kind("any", CASE_NAMES, "What to expect.", ((2, 5), (3, 9)))
    model = live.describe(kind, run, 1)
    assert model["files"] == ["l1-1-2", "l1-1-4"] and model["steps"] == [2, 4] and model["name"] == "l1-1"
    half = np.frombuffer(base64.b64decode(live.tensors(run.model(1))["map"]), dtype="<f2")
    np.testing.assert_array_equal(half, run.model(1).parameters["map"].numpy().ravel())
    folder = tmp_path / "data"
    monkeypatch.setattr(live, "KINDS", (kind,))
    assert [seed for _, _, seed in live.offered(trained)] == [1]  # of the two it is the one with a snapshot
    live.write_models(trained, folder)
    written = (folder / "models.js").stat().st_mtime_ns
    live.write_models(trained, folder)
    assert (folder / "models.js").stat().st_mtime_ns == written
    text = (folder / "models.js").read_text()
    assert "hyperlib.live = {" in text and "hyperlib.live.first = {" in text and "[0].programs = [" in text


def test_functions_are_shown_with_their_formulas(trained, tmp_path):
    functions.write_functions(trained, tmp_path)
    written = (tmp_path / "functions.js").stat().st_mtime_ns
    functions.write_functions(trained, tmp_path)
    assert (tmp_path / "functions.js").stat().st_mtime_ns == written
    shown = json.loads((tmp_path / "functions.js").read_text().partition("hyperlib.functions = ")[2].rstrip(";\n"))
    (one,) = shown["all"]
    assert one["shape"] == [4, 6, 1] and one["weights"] == 4 * 6 + 6 + 6 + 1 and len(one["prices"]) == functions.PRICES
    assert one["prices"][0]["formula"] in (tmp_path / "table.html").read_text()
    functions.write_functions(tmp_path / "nothing", tmp_path / "empty")
    assert "<tbody>" in (tmp_path / "empty" / "table.html").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = -1e-05\n3 * x_12", "<i>y</i> = −1·10<sup>−5</sup><br>3 · <i>x</i><sub>12</sub>"),
        ("sum_{k!=i} 7,  w_kj ~ N(0, 2^2)", "∑<sub>k ≠ i</sub> 7,  <i>w</i><sub>kj</sub> ~ N(0, 2<sup>2</sup>)"),
        ("sum_{k not in A_j} x_k", "∑<sub>k ∉ <i>A</i><sub>j</sub></sub> <i>x</i><sub>k</sub>"),
    ],
)
def test_formulas_are_marked_up(text, expected):
    assert markup(text) == expected


def test_a_run_at_several_sizes_is_offered_without_encoder(trained, tmp_path):
    shutil.copytree(trained / "l1", tmp_path / "l1-sizes")
    ((kind, run, seed),) = live.offered(tmp_path)
    assert kind is live.KINDS[-1] and run.path.name == "l1-sizes" and seed in (0, 1)
    assert live.describe(kind, run, seed)["encoder"] is False


def test_long_histories_are_thinned():
    steps = live.spread(range(1, 101), live.MOST_STEPS)
    assert live.spread([1, 2], live.MOST_STEPS) == [1, 2]
    assert len(steps) == live.MOST_STEPS and steps[0] == 1 and steps[-1] == 100
