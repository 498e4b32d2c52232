"""How long the pages are: words of prose, printed by the build and held by a test."""

from __future__ import annotations

from pathlib import Path

import nbformat
import yaml
from sphinx.application import Sphinx

MOST, MOST_FIRST = 24_000, 1_600  # in all without the API, and on the first page


def count(root: str | Path) -> dict[str, int]:
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


def report(app: Sphinx, exception: Exception | None) -> None:
    """Print the words of every page, and their sum."""
    if exception is None and (Path(app.srcdir) / "_toc.yml").is_file():
        found = count(app.srcdir)
        print("\n".join(f"{words:7,} words  {page}" for page, words in found.items()))
        print(f"{sum(found.values()):7,} words in all (at most {MOST:,})", flush=True)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("build-finished", report)
