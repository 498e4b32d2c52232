"""The built book as files: links, images, sizes, nothing from the network. `tests/browser` looks at it in a browser."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}


@cache
def read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    return {tag[key] for key in ("id", "name") for tag in read(path).find_all(attrs={key: True})}


@pytest.fixture(scope="session")
def pages(book: Path) -> list[Path]:
    return sorted(path for path in book.rglob("*.html") if "_static" not in path.relative_to(book).parts)


def chapters() -> list[str]:
    """Files that the table of contents names."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(page["file"] for chapter in listed for page in (chapter, *chapter.get("sections", ())))]


def test_contents_list_every_notebook_once_in_reading_order():
    listed = [Path(name).name for name in chapters() if name.startswith("executed/")]
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_contents_list_every_page_of_prose():
    listed = {Path(name).name for name in chapters() if name.startswith("book/")}
    assert listed == {path.stem for path in (ROOT / "book").rglob("*.md")}


def test_api_reference_documents_every_module():
    pages = "".join(path.read_text() for path in (ROOT / "book" / "api").glob("*.md"))
    named = set(re.findall(r"automodule:: ([\w.]+)", pages))
    modules = {f"hyperlib.{path.stem}" for path in (ROOT / "hyperlib").glob("*.py") if not path.stem.startswith("_")}
    for room in ("studies", "figures"):
        stems = {path.stem for path in (ROOT / "book" / "hyperbook" / room).glob("*.py")} - {"__init__"}
        modules |= {f"hyperbook.{room}.{stem}" for stem in stems}
    assert modules - named == set(), "add these modules to a page in book/api"


def test_every_chapter_is_built(book):
    assert [name for name in chapters() if not (book / f"{name}.html").exists()] == []


def test_internal_links_lead_somewhere(pages):
    broken = []
    for page in pages:
        for link in read(page).find_all("a", href=True):
            target = urlsplit(link["href"])
            if target.scheme or target.netloc:
                continue
            path = (page.parent / unquote(target.path)).resolve() if target.path else page
            path = path / "index.html" if path.is_dir() else path
            missing = not path.exists()
            if not missing and target.fragment and path.suffix == ".html":
                missing = unquote(target.fragment) not in anchors(path)
            if missing:
                broken.append(f"{page.name}: {link['href']}")
    assert not broken, "\n".join(broken)


def test_pages_load_nothing_from_the_network(pages):
    remote = []
    for page in pages:
        for tag, key in LOADED.items():
            remote += [
                f"{page.name}: {t[key]}" for t in read(page).find_all(tag, attrs={key: True}) if "//" in t[key][:8]
            ]
        for link in read(page).find_all("link", href=True):
            if not {"canonical", "author"} & set(link.get("rel", [])) and "//" in link["href"][:8]:
                remote.append(f"{page.name}: {link['href']}")
    assert not remote, "\n".join(remote)


def test_images_have_alternative_text(pages):
    silent = [
        f"{page.name}: {image.get('src', '')[:60]}"
        for page in pages
        for image in read(page).find_all("img")
        # the text of a card says what its picture shows
        if not image.find_parent(class_="sd-card")
        if not image.get("alt", "").strip() or image["alt"].startswith(("../_images", "_images"))
    ]
    assert not silent, "\n".join(silent)


def test_size_of_site_and_pages(book, pages):
    total = sum(path.stat().st_size for path in book.rglob("*") if path.is_file())
    assert total < 60 * MEGABYTE  # a third of it models for the running hypernetwork, each loaded when it is chosen
    assert {page.name: page.stat().st_size for page in pages if page.stat().st_size > 5 * MEGABYTE} == {}


def test_mathematics_and_the_architecture_are_at_hand(book):
    for name in ("mathjax/tex-mml-chtml.js", "architecture.svg"):
        assert (book / "_static" / name).stat().st_size > 1000


def test_no_term_of_a_failed_cell_is_in_the_book(pages):
    notebooks = [page for page in pages if page.parent.name == "executed"]  # a docstring may well show an error
    assert [page.name for page in notebooks if "Traceback (most recent call last)" in read(page).get_text()] == []
