"""Execution of the notebooks by papermill: each one again when something it depends on has changed, and only then.

A notebook names what it reads in its cell tagged ``parameters``: a text value that is the path of an existing file or
folder. Such defaults start with ``../``, because a notebook runs in its own folder. ``out`` is where a notebook writes.
"""

import argparse
import ast
import contextlib
import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

import hyperbook
import hyperlib
from hyperbook.build.environment import SETTINGS, environment
from hyperlib.files import sha256, write_atomic
from hyperlib.machine import cores

HOUSES = Path(hyperlib.__file__).parent, Path(hyperbook.__file__).parent
KEEP, OUTPUT = "keep_output", "out"  # the tag that nbstripout honours; the parameter that says where to write


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def parameters(path: Path) -> dict[str, Any]:
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


def check_parameters(path: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """The values of ``given``, as typed in a shell, in the types that the notebook's defaults have.

    Text stays text, all else is read as a Python literal; a relative path, where the default starts with ``../``, is
    rewritten for the notebook's folder. ValueError if there is no such parameter, or one of another type.
    """
    known, values = parameters(path), dict[str, Any](given)
    for name, text in given.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise ValueError(f"{path.name} has no parameter {name!r}; its parameters are: {names}")
        default = known[name]
        if isinstance(default, str):
            values[name] = os.path.relpath(text, path.parent) if default.startswith("../") else text
        else:
            with contextlib.suppress(ValueError, SyntaxError):
                values[name] = ast.literal_eval(text)
        if isinstance(default, float) and type(values[name]) is int:
            values[name] = float(values[name])
        if default is not None and type(values[name]) is not type(default):
            wanted = f"{type(default).__name__}, such as {default!r}"
            raise ValueError(f"{path.name}: {name} is {text!r}; expected {wanted}")
    return values


def fingerprint(path: Path, values: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over all that decides what executing the notebook gives.

    Its code, text and cell tags, the two houses, the parameters and every file or folder that one names, what belongs
    to a run beside it, the versions of Python and of the installed packages, and the `environment`.
    """
    notebook = nbformat.read(path, as_version=4)
    _strip_times(notebook)
    cells = []
    for cell in notebook.cells:
        tags = [tag for tag in _tags(cell) if tag != KEEP]  # which `store_outputs` adds, and nothing depends on
        cells.append((cell.cell_type, cell.source, {**cell.metadata, "tags": tags}))
    values = parameters(path) | dict(values or {})
    # Of the environment alone: what is imported, such as setuptools, may have put packages of its own on the path.
    places = list({sysconfig.get_path(name) for name in ("purelib", "platlib")})
    installed = sorted({f"{item.metadata['Name']}=={item.version}" for item in metadata.distributions(path=places)})
    said = json.dumps([cells, values, sys.version, installed, SETTINGS], sort_keys=True, default=repr)
    # What renders the book has no say in what a notebook computes.
    code = [(house, file) for house in HOUSES for end in ("py", "cpp") for file in house.rglob(f"*.{end}")]
    read = [(house, file) for house, file in code if file.relative_to(house).parts[0] != "build"]
    for name, value in values.items():
        # The folder above is tried as well: `load_run("results/l1")` finds the checkout's runs from a notebook.
        for place in (path.parent, path.parent.parent) if isinstance(value, str) and value and name != OUTPUT else ():
            source = place / value
            # Beside a run also what pages about it read there: partners, the baseline, the ledger.
            beside = [*(f"{source.name}-{partner}" for partner in hyperbook.PARTNERS), "adam", "claims"]
            near = map(source.with_name, beside) if (source / "manifest.json").is_file() else ()
            read += [(folder, file) for folder in (source, *near) for file in folder.rglob("*")]
            read += [(source.parent, source)]
    # By their names within the folders: the same, whether these were given as relative paths or not.
    facts = [(file.relative_to(folder).as_posix(), sha256(file)) for folder, file in read if file.is_file()]
    return hashlib.sha256(json.dumps([said, sorted(facts)]).encode()).hexdigest()


def _write(notebook: nbformat.NotebookNode, path: Path) -> None:
    _strip_times(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: nbformat.write(notebook, file))


def _strip_times(notebook: nbformat.NotebookNode) -> None:
    """Remove what differs between two identical runs: papermill's times and paths, the cells' execution times."""
    for part in (notebook, *notebook.cells):
        for key in ("papermill", "execution"):
            part.metadata.pop(key, None)


def is_current(path: Path, out: Path, values: Mapping[str, Any] | None = None) -> bool:
    """Whether ``out`` holds what executing the notebook now would give."""
    if not out.is_file():
        return False
    return nbformat.read(out, as_version=4).metadata.get("hyperlib", {}).get("fingerprint") == fingerprint(path, values)


def execute(path: Path, out: Path, values: Mapping[str, Any] | None = None) -> float:
    """Execute a notebook with papermill, in its own folder, and write the result to ``out``. Returns the seconds.

    An older file stays as it is when the execution fails, which papermill tells with the cell and its traceback.
    """
    before = fingerprint(path, values)
    notebook = papermill.execute_notebook(
        str(path),
        None,
        parameters=dict(values or {}),
        progress_bar=False,
        # Not `cwd`, for which papermill moves this whole process; other threads execute other notebooks meanwhile.
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=CRITICAL"],  # else each kernel warns that its local sockets are not encrypted
    )
    seconds = notebook.metadata["papermill"]["duration"]
    notebook.metadata["hyperlib"] = {"fingerprint": before, "parameters": dict(values or {})}
    _write(notebook, out)
    return seconds


def is_checked(cell: nbformat.NotebookNode) -> bool:
    """Whether nbval compares this cell's output with the stored one."""
    return cell.cell_type == "code" and "nbval-check-output" in _tags(cell)


def store_outputs(path: Path, executed: Path) -> None:
    """Copy the outputs that nbval compares from an executed notebook into its source, and clear all others.

    Raises ValueError if the executed notebook was made from other cells.
    """
    source, done = nbformat.read(path, as_version=4), nbformat.read(executed, as_version=4)
    if [cell.source for cell in source.cells] != [cell.source for cell in done.cells]:
        raise ValueError(f"{executed} was made from another version of {path}; execute it again, without parameters")
    for cell, result in zip(source.cells, done.cells, strict=True):
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []
        if is_checked(cell):
            cell.metadata["tags"] = [*dict.fromkeys([*_tags(cell), KEEP])]
            cell.outputs = [nbformat.from_dict({**output}) for output in result.outputs]
            for part in (cell, *(output for output in cell.outputs if "execution_count" in output)):
                part.execution_count = 1  # nbval takes a cell with outputs and without a count for broken
    _write(source, path)


def select(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Notebooks of a folder, in reading order; with ``names``, those whose file names start with one of them.

    Raises ValueError if there is none, or a name fits no notebook.
    """
    every = sorted(folder.glob("*.ipynb"))
    if not every:
        raise ValueError(f"there is no notebook in {folder.absolute()}; expected to be in a checkout")
    for name in names:
        if not any(path.stem.startswith(name) for path in every):
            known = ", ".join(path.stem for path in every)
            raise ValueError(f"no notebook in {folder} starts with {name!r}; the notebooks are: {known}")
    return [path for path in every if path.stem.startswith(tuple(names) or "")]


def execute_all(paths: Sequence[Path], out: Path, given: Mapping[str, str], force: bool) -> dict[Path, bool]:
    """Execute those notebooks that are not up to date, several at once: whether each of them succeeded.

    From threads of one process, because kernels of several processes may be given the same port.
    """
    tasks = {path: (path, out / path.name, check_parameters(path, given)) for path in paths}
    waiting = [path for path in paths if force or not is_current(*tasks[path])]
    for path in paths:
        if path not in waiting:
            print(f"{path.stem}: up to date")

    def attempt(path: Path) -> bool:
        try:
            print(f"{path.stem}: executed in {execute(*tasks[path]):.0f} s", flush=True)
        except PapermillExecutionError as error:
            print(f"{path.stem}: FAILED\n{error}", file=sys.stderr, flush=True)
            return False
        return True

    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(waiting, pool.map(attempt, waiting), strict=True))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of this file; returns the exit status."""
    parser = argparse.ArgumentParser(prog="notebooks.py", description="Execute notebooks that are out of date.")
    parser.add_argument("names", nargs="*", help="beginnings of file names, such as 03; all notebooks by default")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter")
    parser.add_argument("--out", type=Path, default=Path("executed"), help="folder for the executed notebooks")
    parser.add_argument("--force", action="store_true", help="execute also what is up to date")
    parser.add_argument("--store", action="store_true", help="then keep the outputs that nbval compares in the sources")
    words = list(sys.argv[1:] if argv is None else argv)
    # A value such as -1e-6 is no option.
    options = parser.parse_args([f" {one}" if words[k - 2 : k - 1] == ["-p"] else one for k, one in enumerate(words)])
    given = {name: value.removeprefix(" ") for name, value in options.p}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # kernels inherit it: each core has a notebook
    try:
        paths = select(Path("notebooks"), options.names)
        done = execute_all(paths, options.out, given, options.force)
        for path in paths if options.store else ():
            if done.get(path, True):
                store_outputs(path, options.out / path.name)
    except ValueError as error:
        parser.error(str(error))
    stamp = options.out / ".stamp"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    if any(done.values()) or not (done or stamp.exists()):
        stamp.touch()  # its time tells make whether the book has to be rendered again
    return not all(done.values())


if __name__ == "__main__":
    own = environment(Path("executed/.environment"))
    os.environ.clear()
    os.environ.update(own)
    sys.exit(main())
