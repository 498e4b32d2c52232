"""Execution of notebooks: parameters, when a notebook is executed again, what a failure leaves, what nbval compares."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from hyperbook.build import notebooks
from hyperbook.build.environment import environment

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST, MOST_FIRST = 24_000, 1_600  # words of the book's text without the API, and of its first page
CHECKED = ["nbval-check-output"]  # the tag of cells whose output nbval compares
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write(path: Path, *code: str, parameters: str = 'data = "../data"\nsteps = 3\nrate = 0.5\nname = "l1"') -> Path:
    """A small notebook: text, a parameters cell and code cells."""
    cells = [
        new_markdown_cell("# A notebook"),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *[new_code_cell(source, metadata={"tags": CHECKED} if source.startswith("print(") else {}) for source in code],
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with results, a notebooks folder and one notebook that reads the results."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.txt").write_text("0.125\n")
    write(
        tmp_path / "notebooks" / "01_first.ipynb",
        "from pathlib import Path\nvalue = float((Path(data) / 'table.txt').read_text())",
        "print(value * steps)",
    )
    return tmp_path


def test_parameters_are_read_with_their_defaults(project):
    expected = {"data": "../data", "steps": 3, "rate": 0.5, "name": "l1"}
    assert notebooks.parameters(project / "notebooks" / "01_first.ipynb") == expected


def test_parameter_that_is_no_literal_is_an_error(tmp_path):
    path = write(tmp_path / "a.ipynb", parameters="steps = 2 * other")
    with pytest.raises(ValueError, match="parameter steps is 2 \\* other; expected a literal"):
        notebooks.parameters(path)


def test_given_values_take_the_types_of_the_defaults(project, monkeypatch):
    monkeypatch.chdir(project)
    path = Path("notebooks/01_first.ipynb")
    given = {"data": "other/run", "steps": "7", "rate": "2", "name": "12"}
    assert notebooks.check_parameters(path, given) == {"data": "../other/run", "steps": 7, "rate": 2.0, "name": "12"}
    assert notebooks.check_parameters(path, {"rate": "1e-6"}) == {"rate": 1e-6}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", "7", "no parameter 'step'; its parameters are: data, name, rate, steps"),
        ("steps", "many", "steps is 'many'; expected int, such as 3"),
        ("steps", "7.5", "steps is '7.5'; expected int"),
        ("rate", "True", "rate is 'True'; expected float"),
    ],
)
def test_bad_parameters_are_errors_that_say_what_was_expected(project, name, value, message):
    with pytest.raises(ValueError, match=message):
        notebooks.check_parameters(project / "notebooks" / "01_first.ipynb", {name: value})


def test_command_line_names_the_known_parameters_and_executes_nothing(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit) as stopped:
        notebooks.main(["01", "-p", "stpes", "5"])
    assert stopped.value.code == 2
    assert "its parameters are: data, name, rate, steps" in capsys.readouterr().err
    assert not (project / "executed").exists()


def test_selection_by_beginning_of_name(project):
    write(project / "notebooks" / "02_second.ipynb")
    folder = project / "notebooks"
    assert [path.stem for path in notebooks.select(folder)] == ["01_first", "02_second"]
    assert [path.stem for path in notebooks.select(folder, ["02"])] == ["02_second"]
    with pytest.raises(ValueError, match="starts with '09'; the notebooks are: 01_first, 02_second"):
        notebooks.select(folder, ["09"])
    with pytest.raises(ValueError, match=r"no notebook in .*nowhere; expected to be in a checkout"):
        notebooks.select(project / "nowhere")


def test_fingerprint_follows_what_stands_beside_a_run(project):
    """Pages about a run read its partners and the ledger, which no parameter names."""
    path, seen = project / "notebooks" / "01_first.ipynb", set()
    seen.add(notebooks.fingerprint(path))
    (project / "data-sizes").mkdir()
    assert notebooks.fingerprint(path) in seen  # the folder of the parameter is no run
    (project / "data" / "manifest.json").write_text("{}")
    seen.add(notebooks.fingerprint(path))
    for name in ("data-sizes", "claims"):
        (project / name).mkdir(exist_ok=True)
        (project / name / "new.txt").write_text("x")
        seen.add(notebooks.fingerprint(path))
    assert len(seen) == 4
    (project / "data-other").mkdir()
    (project / "data-other" / "new.txt").write_text("x")
    assert notebooks.fingerprint(path) in seen


def test_fingerprint_follows_what_matters_and_nothing_else(project, monkeypatch):
    path = project / "notebooks" / "01_first.ipynb"
    before = notebooks.fingerprint(path)

    stored = nbformat.read(path, as_version=4)
    stored.cells[-1].outputs = [nbformat.v4.new_output("stream", text="9\n")]
    stored.cells[-1].execution_count = 4
    stored.cells[-1].metadata["tags"] = [*CHECKED, notebooks.KEEP]
    stored.cells[-1].metadata["execution"] = {"iopub.status.busy": "2020"}
    nbformat.write(stored, path)
    (project / "unrelated.txt").write_text("x")
    assert notebooks.fingerprint(path) == before
    assert notebooks.fingerprint(path, {"steps": 3}) == before

    seen = {before, notebooks.fingerprint(path, {"steps": 4})}
    (project / "data" / "table.txt").write_text("0.250\n")
    seen.add(notebooks.fingerprint(path))
    (project / "data" / "more").mkdir()
    (project / "data" / "more" / "new.txt").write_text("")
    seen.add(notebooks.fingerprint(path))
    stored.cells[0].source += "."
    nbformat.write(stored, path)
    seen.add(notebooks.fingerprint(path))
    monkeypatch.setattr(notebooks.metadata, "distributions", lambda path: [])
    seen.add(notebooks.fingerprint(path))
    library = project / "library"
    library.mkdir()
    (library / "a.py").write_text("")
    monkeypatch.setattr(notebooks, "HOUSES", (library,))
    seen.add(notebooks.fingerprint(path))
    (library / "a.py").write_text("x = 1")
    seen.add(notebooks.fingerprint(path))
    assert len(seen) == 8


def test_what_an_import_puts_on_the_path_is_no_input(project, tmp_path, monkeypatch):
    """As setuptools does, with packages of its own."""
    path = project / "notebooks" / "01_first.ipynb"
    before = notebooks.fingerprint(path)
    (tmp_path / "own" / "thing-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "own" / "thing-1.0.dist-info" / "METADATA").write_text("Name: thing\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "own")
    assert notebooks.fingerprint(path) == before


def test_where_a_notebook_writes_is_no_input(project):
    path = write(project / "notebooks" / "a.ipynb", parameters='out = "../runs"')
    before = notebooks.fingerprint(path)
    (project / "runs").mkdir()
    (project / "runs" / "made.txt").write_text("by the notebook")
    assert notebooks.fingerprint(path) == before


def run(project: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own: the kernels' clients leave open sockets to the garbage collector."""
    command = [sys.executable, notebooks.__file__, *arguments]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "book")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **changes}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_executed_once_then_again_only_after_a_change(project):
    out = project / "executed" / "01_first.ipynb"
    assert run(project).returncode == 0
    first, stamp = out.read_bytes(), (project / "executed" / ".stamp").stat().st_mtime_ns
    again = run(project)
    assert again.returncode == 0
    assert "01_first: up to date" in again.stdout
    assert out.read_bytes() == first
    assert (project / "executed" / ".stamp").stat().st_mtime_ns == stamp
    assert nbformat.read(out, as_version=4).cells[-1].outputs[0].text == "0.375\n"
    assert "papermill" not in first.decode()

    assert run(project, "--force").returncode == 0
    assert out.read_bytes() == first, "two runs of the same notebook differ"

    (project / "data" / "table.txt").write_text("0.250\n")
    assert run(project, "-p", "steps", "8", "-p", "rate", "-1e-6").returncode == 0
    done = nbformat.read(out, as_version=4)
    assert done.cells[-1].outputs[0].text == "2.0\n"
    assert done.metadata["hyperlib"]["parameters"] == {"steps": 8, "rate": -1e-6}


def test_settings_of_a_user_have_no_say(project, tmp_path):
    """IPython's start-up files, kernels, matplotlibrc, Python's settings, the locale."""
    path = project / "notebooks" / "01_first.ipynb"
    look = "import matplotlib, locale\nprint(matplotlib.rcParams['text.usetex'], locale.getencoding(), sum([1, 2]))"
    write(path, look, parameters="steps = 3")
    assert run(project).returncode == 0
    out = project / "executed" / path.name
    undisturbed, home = out.read_bytes(), tmp_path / "home"
    assert "False UTF-8 3" in undisturbed.decode()
    for name, content in {
        ".ipython/profile_default/startup/00.py": "import builtins; builtins.sum = max",
        ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "a", "language": "R"}',
        ".jupyter/jupyter_config.json": '{"KernelSpecManager": {"allowed_kernelspecs": ["other"]}}',
        ".config/matplotlib/matplotlibrc": "text.usetex: True",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content)
    named = {"IPYTHONDIR": ".ipython", "JUPYTER_PATH": ".local/share/jupyter", "MPLCONFIGDIR": ".config/matplotlib"}
    changes = {
        "HOME": str(home),
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "MPLBACKEND": "svg",
    }
    for more in ({}, {name: str(home / place) for name, place in named.items()}):
        done = run(project, "--force", **changes, **more)
        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == undisturbed


def test_a_notebook_of_another_environment_is_out_of_date(project, monkeypatch):
    path = project / "notebooks" / "01_first.ipynb"
    before = notebooks.fingerprint(path)
    monkeypatch.setattr(notebooks, "SETTINGS", ())
    assert notebooks.fingerprint(path) != before


def test_failure_is_reported_and_leaves_the_old_result(project):
    out = project / "executed" / "01_first.ipynb"
    out.parent.mkdir()
    out.write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    before = out.read_bytes()
    (project / "data" / "table.txt").write_text("no number")
    result = run(project)
    assert result.returncode == 1
    assert "could not convert string to float" in result.stderr
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir() if path.name != ".environment"] == ["01_first.ipynb"]


def test_killed_write_leaves_no_file_with_the_name(project, monkeypatch):
    def broken(notebook, file):
        file.write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(notebooks.nbformat, "write", broken)
    with pytest.raises(OSError, match="No space left on device"):
        notebooks._write(new_notebook(), project / "executed" / "a.ipynb")
    assert list((project / "executed").iterdir()) == []


def nbval(path: Path) -> subprocess.CompletedProcess[str]:
    """nbval as ``make nbval`` calls it, on one notebook."""
    options = [
        "--nbval-lax",
        "--nbval-current-env",
        "-p",
        "replayed",
        "--nbval-sanitize-with",
        str(ROOT / "tests" / "nbval_sanitize.cfg"),
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(path.parent), "-c"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run([*command, "/dev/null", *options, str(path)], env=environment, capture_output=True, text=True)


def test_nbval_fails_when_a_stored_number_is_changed(project):
    path = project / "notebooks" / "01_first.ipynb"
    assert run(project, "--store").returncode == 0
    assert "0.375" in path.read_text()
    assert notebooks.is_current(path, project / "executed" / path.name), "storing outputs made the notebook out of date"
    result = nbval(path)
    assert result.returncode == 0, result.stdout

    path.write_text(path.read_text().replace("0.375", "0.376"))
    result = nbval(path)
    assert result.returncode == 1
    assert "0.376" in result.stdout and "0.375" in result.stdout


def test_outputs_of_another_version_are_not_stored(project):
    path = project / "notebooks" / "01_first.ipynb"
    other = write(project / "executed" / "01_first.ipynb", "print(1)")
    with pytest.raises(ValueError, match="another version"):
        notebooks.store_outputs(path, other)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_committed_notebook_stores_what_nbval_compares_and_nothing_else(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        checked = notebooks.is_checked(cell)
        assert bool(cell.outputs) == checked, f"run make outputs; cell:\n{cell.source}"
        assert (cell.execution_count is not None) == checked, "run make outputs"
        assert notebooks.KEEP in cell.metadata.get("tags", []) or not checked
    assert not code or any(cell.outputs for cell in code), "nbval would compare nothing"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_committed_notebook_has_literal_parameters_and_short_cells(path):
    notebooks.parameters(path)
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= 20, f"a long cell:\n{cell.source}"


def word_counts(root: str | Path) -> dict[str, int]:
    """Page -> words that white space separates, in the order of the table of contents, without the API.

    Of a notebook its text cells; what a page includes or computes does not count.
    """
    root = Path(root)
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    found = {}
    for page in (toc["root"], *chapters):
        folder, name = page.split("/", 1)
        if folder == "executed":
            cells = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4).cells
            found[page] = len("\n".join(cell.source for cell in cells if cell.cell_type == "markdown").split())
        elif name != "api":
            found[page] = len((root / f"{page}.md").read_text(encoding="utf-8").split())
    return found


def test_the_book_is_short():
    found = word_counts(ROOT)
    assert found["executed/00_introduction"] <= MOST_FIRST and sum(found.values()) <= MOST, found
    assert all(found.values()) and not any("api" in page for page in found)


def test_words_are_those_of_text(project):
    (project / "_toc.yml").write_text(
        "root: executed/01_first\n"
        "parts: [{chapters: [{file: book/a}, {file: book/api, sections: [{file: book/api/b}]}]}]"
    )
    (project / "book").mkdir()
    (project / "book" / "a.md").write_text("# One\n\ntwo three\n")
    assert word_counts(project) == {"executed/01_first": 3, "book/a": 4}


def test_the_books_environment_keeps_where_programs_are(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("MPLBACKEND", "foreign")
    own = environment(tmp_path)
    assert own["PATH"] == "/somewhere" and "MPLBACKEND" not in own
