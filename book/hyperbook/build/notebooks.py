"""Execution of the notebooks by papermill: each one again when something it depends on has changed, and only then.

An unknown parameter is an error, a failed notebook leaves no file behind, what is stored does not change from run to
run, and an executed notebook carries the fingerprint of everything that went into it.

A notebook names what it reads in its cell tagged ``parameters``: a text value that is the path of an existing file or
folder. Such defaults start with ``../``, because a notebook runs in its own folder. ``out`` is where a notebook writes.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

import hyperbook
import hyperlib
from hyperbook.build.environment import SETTINGS, own_environment
from hyperbook.claims.evidence import PARTNERS
from hyperlib.files import write_atomic
from hyperlib.machine import cores

HOUSES = Path(hyperlib.__file__).parent, Path(hyperbook.__file__).parent
KEEP, OUTPUT = "keep_output", "out"  # the tag that nbstripout honours; the parameter that says where to write
CORES = cores()


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def parameters(path: str | Path) -> dict[str, Any]:
    """Names and defaults of a notebook's parameters, from its cell tagged ``parameters``; empty without such a cell.

    Of an executed notebook, the values that it was executed with. Raises ValueError if a default is no literal.
    """
    given = nbformat.read(path, as_version=4).metadata.get("hyperlib", {}).get("parameters", {})
    found = {}
    for name, entry in papermill.inspect_notebook(str(path)).items():
        try:
            found[name] = ast.literal_eval(entry["default"])
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{path}: parameter {name} is {entry['default']}; expected a literal value") from error
    return found | given


def check_parameters(path: str | Path, given: Mapping[str, str]) -> dict[str, Any]:
    """The values of ``given``, as typed in a shell, in the types that the notebook's defaults have.

    Text stays text, all else is read as a Python literal; a relative path, where the default starts with ``../``, is
    rewritten for the notebook's folder. ValueError if there is no such parameter, or one of another type.
    """
    known = parameters(path)
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise ValueError(f"{Path(path).name} has no parameter {name!r}; its parameters are: {names}")
        default = known[name]
        if isinstance(default, str):
            values[name] = os.path.relpath(text, Path(path).parent) if default.startswith("../") else text
            continue
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if default is not None and not number and type(value) is not type(default):
            raise ValueError(
                f"{Path(path).name}: {name} is {text!r}; expected {type(default).__name__}, such as {default!r}"
            )
        values[name] = float(value) if number else value
    return values


def _add_files(digest: hashlib._Hash, root: Path, files: Iterable[Path]) -> None:
    for file in sorted(files):
        digest.update(f"{file.relative_to(root).as_posix()}\n".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())


def fingerprint(path: str | Path, values: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over all that decides what executing the notebook gives.

    Its code, text and cell tags, the two houses, the parameters and every file or folder that one names, what belongs
    to a run beside it, the versions of Python and of the installed packages, and the `environment`.
    """
    path = Path(path)
    digest = hashlib.sha256()
    notebook = nbformat.read(path, as_version=4)
    _strip_times(notebook)
    cells = []
    for cell in notebook.cells:
        tags = [tag for tag in _tags(cell) if tag != KEEP]  # which `store_outputs` adds, and nothing depends on
        cells.append((cell.cell_type, cell.source, {**cell.metadata, "tags": tags}))
    values = parameters(path) | dict(values or {})
    installed = sorted({f"{item.metadata['Name']}=={item.version}" for item in metadata.distributions()})
    digest.update(json.dumps([cells, values, sys.version, installed, SETTINGS], sort_keys=True, default=repr).encode())
    for house in HOUSES:
        files = (file for file in house.rglob("*") if file.suffix in (".py", ".cpp"))
        # What renders the book has no say in what a notebook computes.
        _add_files(digest, house, (file for file in files if file.relative_to(house).parts[0] != "build"))
    inputs = [value for name, value in values.items() if isinstance(value, str) and value and name != OUTPUT]
    for value in inputs:
        # The folder above is tried as well: `load_run("results/l1")` finds the checkout's runs from a notebook.
        for place in (path.parent, path.parent.parent):
            source = place / value
            for folder in [source, *_beside(source)] if source.is_dir() else []:
                _add_files(digest, folder, (file for file in folder.rglob("*") if file.is_file()))
            if source.is_file():
                _add_files(digest, source.parent, [source])
    return digest.hexdigest()


def _beside(run: Path) -> list[Path]:
    """The folders beside a run that pages about it read, too: its partners in the claims, the baseline, the ledger."""
    if not (run / "manifest.json").is_file():
        return []
    folders = [run.with_name(name) for name in (*(f"{run.name}-{partner}" for partner in PARTNERS), "adam", "claims")]
    return [folder for folder in folders if folder.is_dir()]


def _write(notebook: nbformat.NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: nbformat.write(notebook, file))


def _strip_times(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs between two identical runs: papermill's times and paths, the cells' execution times."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)


def is_current(path: str | Path, out: str | Path, values: Mapping[str, Any] | None = None) -> bool:
    """Whether ``out`` holds what executing the notebook now would give."""
    if not Path(out).is_file():
        return False
    stored = nbformat.read(out, as_version=4).metadata.get("hyperlib", {}).get("fingerprint")
    return stored == fingerprint(path, values)


def execute(path: str | Path, out: str | Path, values: Mapping[str, Any] | None = None) -> Path:
    """Execute a notebook with papermill, in its own folder, and write the result to ``out``.

    An older file stays as it is when the execution fails, which papermill tells with the cell and its traceback.
    """
    path, out = Path(path), Path(out)
    before = fingerprint(path, values)
    notebook = papermill.execute_notebook(
        str(path),
        None,
        parameters=dict(values or {}),
        progress_bar=False,
        # Not `cwd`, for which papermill moves this whole process; other threads execute other notebooks meanwhile.
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[
            "--log-level=CRITICAL"
        ],  # otherwise each kernel warns that its local sockets are not encrypted
    )
    _strip_times(notebook)
    notebook.metadata["hyperlib"] = {"fingerprint": before, "parameters": dict(values or {})}
    _write(notebook, out)
    return out


def is_checked(cell: nbformat.NotebookNode) -> bool:
    """Whether nbval compares this cell's output with the stored one."""
    return cell.cell_type == "code" and "nbval-check-output" in _tags(cell)


def store_outputs(path: str | Path, executed: str | Path) -> int:
    """Copy the outputs that nbval compares from an executed notebook into its source, and clear all others.

    Returns how many. Raises ValueError if the executed notebook was made from other cells.
    """
    source, done = nbformat.read(path, as_version=4), nbformat.read(executed, as_version=4)
    if [cell.source for cell in source.cells] != [cell.source for cell in done.cells]:
        raise ValueError(f"{executed} was made from another version of {path}; execute it again, without parameters")
    stored = 0
    for cell, result in zip(source.cells, done.cells, strict=True):
        if cell.cell_type != "code":
            continue
        cell.execution_count, cell.outputs = None, []
        if is_checked(cell):
            cell.metadata["tags"] = [*dict.fromkeys([*_tags(cell), KEEP])]
            cell.outputs = [nbformat.from_dict({**output}) for output in result.outputs]
            for part in (cell, *(output for output in cell.outputs if "execution_count" in output)):
                part.execution_count = 1  # nbval takes a cell with outputs and without a count for broken
            stored += bool(cell.outputs)
    _strip_times(source)
    _write(source, Path(path))
    return stored


def select(folder: str | Path, names: Sequence[str] = ()) -> list[Path]:
    """Notebooks of a folder, in reading order; with ``names``, those whose file names start with one of them.

    Raises ValueError if there is none, or a name fits no notebook.
    """
    every = sorted(Path(folder).glob("*.ipynb"))
    if not every:
        raise ValueError(f"there is no notebook in {Path(folder).absolute()}; expected to be in a checkout")
    for name in names:
        if not any(path.stem.startswith(name) for path in every):
            known = ", ".join(path.stem for path in every) or "none"
            raise ValueError(f"no notebook in {folder} starts with {name!r}; the notebooks are: {known}")
    return [path for path in every if not names or any(path.stem.startswith(name) for name in names)]


def execute_all(
    paths: Sequence[Path], out: str | Path, given: Mapping[str, str], jobs: int, force: bool = False
) -> tuple[list[Path], list[Path]]:
    """Execute those notebooks that are not up to date, several at once: those that were executed, those that failed.

    From threads of one process, because kernels of several processes may be given the same port. Nothing is executed if
    one of the notebooks does not know a parameter.
    """
    tasks = [(path, Path(out) / path.name, check_parameters(path, given)) for path in paths]
    waiting = [task for task in tasks if force or not is_current(*task)]
    for path, _, _ in tasks:
        if path not in {task[0] for task in waiting}:
            print(f"{path.stem}: up to date")
    done, failed = [], []

    def timed(task: tuple[Path, Path, dict[str, Any]]) -> float:
        start = time.monotonic()
        execute(*task)
        return time.monotonic() - start

    with own_environment(Path(out) / ".environment"), ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(timed, task): task[0] for task in waiting}
        for future in as_completed(futures):
            path = futures[future]
            try:
                print(f"{path.stem}: executed in {future.result():.0f} s", flush=True)
                done.append(path)
            except PapermillExecutionError as error:
                print(f"{path.stem}: FAILED\n{error}", file=sys.stderr, flush=True)
                failed.append(path)
    return done, failed


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of this file; returns the exit status."""
    parser = argparse.ArgumentParser(prog="notebooks.py", description="Execute notebooks that are out of date.")
    parser.add_argument("names", nargs="*", help="beginnings of file names, such as 03; all notebooks by default")
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="given", help="a parameter"
    )
    parser.add_argument("--folder", default="notebooks", help="folder of the notebooks")
    parser.add_argument("--out", default="executed", help="folder for the executed notebooks")
    parser.add_argument("--jobs", type=int, default=CORES, help="notebooks to run at once")
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    parser.add_argument("--store", action="store_true", help="then keep the outputs that nbval compares in the sources")
    words = list(sys.argv[1:] if argv is None else argv)
    for place in [place for place, word in enumerate(words) if word == "-p"]:
        words[place + 2 : place + 3] = [f" {value}" for value in words[place + 2 : place + 3]]  # -1e-6 is no option
    options = parser.parse_args(words)
    given = {name: value.removeprefix(" ") for name, value in options.given}
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; expected at least 1")
    # Kernels inherit this: notebooks that run side by side share the cores instead of each claiming all of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, CORES // options.jobs)))
    try:
        paths = select(options.folder, options.names)
        done, failed = execute_all(paths, options.out, given, options.jobs, options.force)
        if options.store:
            for path in paths:
                if path not in failed:
                    print(f"{path.stem}: {store_outputs(path, Path(options.out) / path.name)} outputs stored")
    except ValueError as error:
        parser.error(str(error))
    stamp = Path(options.out) / ".stamp"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if done or not (failed or stamp.exists()):
        stamp.touch()  # its time tells make whether the book has to be rendered again
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
