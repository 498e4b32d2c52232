"""The package as a user meets it: start-up, optional parts, what is installed, what the metadata says."""

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hyperlib as hl
import pins as pinning
from hyperlib.__main__ import app

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What takes long to import and nobody needs who only loads, generates and classifies: half a second each, and more for
# the compiler. torch itself takes longer than all of hyperlib may.
SLOW = ("torch._dynamo", "sympy", "scipy", "pandas", "pyarrow", "matplotlib", "distributed", "IPython")
OPTIONAL = (
    "matplotlib",
    "seaborn",
    "papermill",
    "nbformat",
    "IPython",
    "jupyter_book",
    "pytest",
)

# Imports of these names fail, as if the packages were not installed.
BLOCK = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def run(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def slow_modules(code: str) -> list[str]:
    """Which of the slow modules a fresh process has loaded after ``code``, beyond what torch itself loads."""
    report = f"import torch, sys; before = set(sys.modules)\n{code}\n"
    report += f"print(*(name for name in {SLOW} if name in sys.modules and name not in before))"
    done = run(report)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# --- start-up --------------------------------------------------------------------------------------------------------


def test_import_loads_nothing_slow():
    assert slow_modules("import hyperlib") == []


def test_generating_and_classifying_loads_nothing_slow():
    code = """
import hyperlib as hl
from hyperlib.__main__ import app
model = hl.Ensemble(hl.TrainConfig(shape=(3, 8, 1)), [0], compiled=False).model(0)
net = model.generate(1e-6)
hl.classify(net), hl.layout(net, steps=10), hl.construct.pudding
"""
    assert slow_modules(code) == []


def test_command_line_help_loads_nothing_slow():
    assert slow_modules("import hyperlib.__main__") == []


def test_every_setting_of_a_training_is_a_flag(capsys):
    with pytest.raises(SystemExit):
        app.cli(args=["train", "--help"])
    said, settings = capsys.readouterr().out, dataclasses.fields(hl.TrainConfig) + dataclasses.fields(hl.Architecture)
    # Three are not for typing: `train` fills in the digests, and networks to be faithful to are given as objects.
    for name in {field.name for field in settings} - {"architecture", "start_sha256", "given_sha256", "faithful"}:
        assert re.search(rf"--{name.replace('_', '-')}[ ,]", said), name


def test_public_names_are_there_and_listed():
    assert set(hl.__all__) <= set(dir(hl))
    assert all(getattr(hl, name) is not None for name in hl.__all__)
    with pytest.raises(AttributeError, match="module 'hyperlib' has no attribute 'nothing'"):
        _ = hl.nothing


def test_functions_are_not_hidden_by_modules_of_their_name():
    code = "import hyperlib as hl; hl.train; import hyperlib.sweeps, hyperlib.algorithms.order_parameters; "
    assert run(code + "assert callable(hl.sweep) and callable(hl.order_parameters)").returncode == 0


def test_type_checkers_see_what_is_loaded_late():
    tree = ast.parse(Path(hl.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {alias.name: node.module for node in block.body for alias in node.names}
    assert declared == hl._LATER


# --- rooms -----------------------------------------------------------------------------------------------------------


def modules() -> dict[str, Path]:
    """Name of a module -> its file, for the library, the book's package and the scripts."""
    found = {}
    for folder, pattern in (
        (ROOT, "hyperlib/**/*.py"),
        (ROOT / "book", "hyperbook/**/*.py"),
        (ROOT / "scripts", "*.py"),
    ):
        for path in folder.glob(pattern):
            found[".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imports() -> dict[str, set[str]]:
    """Module -> those of the other modules that it imports anywhere, also inside functions and for type checkers."""
    every, graph = modules(), {}
    for module, path in every.items():
        package, found = module.split(".")[: None if path.stem == "__init__" else -1], set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                home = ".".join(base + ([node.module] if node.module else []))
                inner = {name.name: f"{home}.{name.name}" for name in node.names}
                found |= {full if full in every else home for full in inner.values()}
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
        graph[module] = found & set(every)
    return graph


def rooms(house: str) -> dict[str, int]:
    """Modules and packages directly below a house -> their row in the map of CONTRIBUTING.md."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split(f"{house}/` |")[1].split("\n\n")[0]
    rows = [re.findall(r"`(\w+)/?`", row.split("|")[1]) for row in table.splitlines()[2:]]
    return {name: number for number, row in enumerate(rows) for name in row}


@pytest.mark.parametrize("house", ["hyperlib", "hyperbook"])
def test_imports_run_down_the_map(house):
    place, graph = rooms(house), imports()
    inside = {name for name in graph if name.startswith(f"{house}.")}
    assert {name.split(".")[1] for name in inside} == set(place)
    wrong = [
        f"{name} imports {other}"
        for name in inside
        for other in graph[name] & inside
        if place[other.split(".")[1]] > place[name.split(".")[1]]
    ]
    assert not wrong


def test_no_imports_run_in_circles():
    graph = imports()
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)  # raises CycleError otherwise


def test_the_library_knows_nothing_of_the_book_or_the_scripts():
    graph = imports()
    assert all(other.startswith("hyperlib") for name in graph if name.startswith("hyperlib") for other in graph[name])
    assert all(other.startswith("hyper") for name in graph if name.startswith("hyperbook") for other in graph[name])


# --- without the extras ----------------------------------------------------------------------------------------------


def test_minimum_loads_generates_and_trains(tmp_path):
    code = f"""{BLOCK}
import hyperlib as hl
from hyperlib.__main__ import app
run = hl.load_run("results/l1")
net = run.model(run.seeds[0]).generate(1e-6)
assert hl.classify(net) in hl.PHASES and len(run.sweep)
mine = hl.train(hl.TrainConfig(shape=(3, 8, 1), steps=5, snapshots=1), sys.argv[1], workers=0, compiled=False)
assert mine.seeds == [0] and len(mine.sweep) == len(hl.BETAS)
"""
    done = run(code, str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", ["hl.figures", "from hyperlib.figures.networks import draw_network"])
def test_figures_say_what_to_install(code):
    done = run(f"{BLOCK}\nimport hyperlib as hl\n{code}")
    assert "hyperlib.figures needs matplotlib" in done.stderr.splitlines()[-1]
    assert "pip install matplotlib" in done.stderr.splitlines()[-1]
    assert 'extra figures: pip install ".[figures]"' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["draw", "results/l1", "--seed", "0", "--out", "x.svg"], "pip install matplotlib"),
    ],
)
def test_commands_without_their_extra_end_in_one_line(arguments, said):
    code = f"{BLOCK}\nsys.argv[0] = 'hyperlib'\nfrom hyperlib.__main__ import main\nmain()"
    done = run(code, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and said in done.stderr and len(done.stderr.splitlines()) == 1


# --- what is installed -----------------------------------------------------------------------------------------------


def test_wheel_holds_the_whole_library(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hyperlib", "book/hyperbook", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = run("import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])", "..", cwd=source)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        facts = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    assert held == {
        path.relative_to(source).as_posix()
        for path in (source / "hyperlib").rglob("*")
        if path.is_file() and path.suffix in (".py", ".cpp", ".typed")
    }
    assert {"hyperlib/py.typed", "hyperlib/fast/attention.cpp"} <= held
    assert "License-Expression: MIT" in facts


def test_source_distribution_holds_no_tests_without_their_helpers(tmp_path):
    """Tests need results, notebooks and the book, which a distribution does not have."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hyperlib", "tests", "book/hyperbook"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = run("import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])", "..", cwd=source)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert "hyperlib/experiment.py" in held and not any(name.startswith(("tests", "book")) for name in held)


def pins() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if line)}


def required() -> list[Requirement]:
    """What hyperlib and its extras ask for, apart from the extras that name each other."""
    lists = [PROJECT["dependencies"], *EXTRAS.values()]
    return [r for group in lists for r in map(Requirement, group) if r.name != PROJECT["name"]]


def test_pins_meet_what_the_package_asks_for():
    pinned = pins()
    wrong = [str(r) for r in required() if not r.specifier.contains(pinned.get(canonicalize_name(r.name), "0"))]
    assert not wrong, f"requirements.txt has no fitting pin for {wrong}"


def test_every_pin_is_needed_and_everything_needed_is_pinned():
    """From what pyproject.toml asks for, the installed packages' metadata lead to the others."""
    reached, open_ends = set(), [(canonicalize_name(r.name), extra) for r in required() for extra in ("", *r.extras)]
    while open_ends:
        name, extra = open_ends.pop()
        if (name, extra) in reached:
            continue
        reached.add((name, extra))
        for r in map(Requirement, metadata.requires(name) or []):
            if r.marker is None or r.marker.evaluate({"extra": extra}):
                open_ends += [(canonicalize_name(r.name), e) for e in ("", *r.extras)]
    of_cuda = {name for name, _ in reached if re.match("nvidia-|cuda-|triton$", name)}
    assert {name for name, _ in reached} - of_cuda == set(pins())


def test_pins_that_are_older_than_what_is_asked_for_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(pinning, "ROOT", tmp_path)
    text = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(text)
    pinning.main(check=True)
    (tmp_path / "pyproject.toml").write_text(text.replace('"numpy>=', '"another", "numpy>='))
    with pytest.raises(SystemExit, match="run: make pins"):
        pinning.main(check=True)


# --- metadata --------------------------------------------------------------------------------------------------------


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == hl.__version__ == citation["version"]


def test_citation_has_the_fields_of_its_format():
    """The fields that Citation File Format 1.2.0 requires, and the licence by its SPDX name."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["license"] == PROJECT["license"] == "MIT"
    for entry in (citation, *citation["references"]):
        assert entry["authors"] and entry["title"]
        for person in entry["authors"]:
            assert {"name"} == set(person) or {"family-names", "given-names"} <= set(person)
    (paper,) = citation["references"]
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])


def test_hooks_run_the_pinned_tools_of_lint():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    tools = {hook["entry"].split()[0] for repository in config["repos"] for hook in repository["hooks"]}
    pinned, lint = pins(), (ROOT / "Makefile").read_text()
    for tool in tools:
        folder, _, name = tool.rpartition("/")
        assert folder == ".venv/bin" and name in pinned, tool
        assert name == "nbstripout" or f"-m {name} " in lint or f"-m {name}\n" in lint, tool
