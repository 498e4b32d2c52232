"""The examples in the docstrings are run, and the public interface has them."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import hyperlib as hl

ROOT = Path(__file__).parents[1]
NEEDS_AN_EXAMPLE = sorted(name for name in hl.__all__ if callable(getattr(hl, name)) and name != "RunError")


def examples_of(thing: object) -> list[doctest.Example]:
    """The examples in the docstring of a function, or of a class and its methods."""
    found = doctest.DocTestFinder(recurse=inspect.isclass(thing)).find(thing, module=False)
    return [example for test in found for example in test.examples]


def source(name: str) -> str:
    folder = Path(hl.__file__).parents[1]
    return (folder / name.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")


def modules() -> list[str]:
    """Modules that hold an example."""
    names = [info.name for info in pkgutil.walk_packages(hl.__path__, "hyperlib.") if not info.ispkg]
    return [name for name in names if ">>> " in source(name)]


@pytest.mark.parametrize("name", modules())
def test_examples_give_what_they_show(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert tried == len(re.findall(r"^ *>>> ", source(name), re.MULTILINE)), "not every example was found"


@pytest.mark.parametrize("name", NEEDS_AN_EXAMPLE)
def test_public_interface_has_examples(name):
    assert examples_of(getattr(hl, name)), f"the docstring of hyperlib.{name} has no example"


def test_constructions_and_drawings_have_examples():
    assert all(examples_of(getattr(hl.construct, name)) for name in ("double_sided", "pudding", "convexity"))
    assert examples_of(hl.figures.draw_network)


def test_examples_are_complete():
    """An example can be pasted into a shell: it imports what it uses."""
    for name in NEEDS_AN_EXAMPLE:
        text = "".join(example.source for example in examples_of(getattr(hl, name)))
        assert "import hyperlib as hl" in text, name


@pytest.mark.parametrize("page", sorted((ROOT / "book/api").glob("*.md")), ids=lambda page: page.stem)
def test_pages_of_the_interface_name_what_is_there(page):
    for module, options in re.findall(r"automodule:: (\S+)\n((?:   :.*\n)*)", page.read_text(encoding="utf-8")):
        named = re.findall(r"\w+", "".join(re.findall(r":members:(.*)", options)))
        assert not [name for name in named if not hasattr(importlib.import_module(module), name)], module
