"""Under each figure of a notebook: the cell that made it, the run it came from, and the figure and its data as files.

A figure offers these as outputs of the type `OFFER` (`hyperlib.figures.style.Shown`). They become files beside the
page, and leave the copy of the notebook that the page offers.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from hyperlib.figures.style import OFFER
from hyperlib.files import sha256
from hyperlib.runs import load_run

from .notebooks import OUTPUT, parameters

FOLDER = "_downloads/figures"
ENDINGS = {"svg": "SVG", "csv": "CSV", "parquet": "Parquet"}  # of the files, in the order of their links


@dataclass(frozen=True)
class Made:
    """A figure of a notebook."""

    docname: str  # the notebook's page
    name: str  # under which other pages refer to it
    cell: int  # the number that Jupyter writes beside its cell when all are run in order
    source: str  # what it was made from, as its own cell says or else the notebook's parameters
    files: dict[str, bytes]  # ending, one of `ENDINGS`, -> contents

    def path(self, ending: str) -> str:
        """Where a file lies in the built book."""
        return f"{FOLDER}/{Path(self.docname).name}/{self.name}.{ending}"


def sources(notebook: Path) -> str:
    """What the parameters of an executed notebook name: runs with their versions, other files with their checksums."""
    found = []
    for name, value in parameters(notebook).items():
        place = notebook.parent / value if isinstance(value, str) and value.startswith("../") else None
        if name == OUTPUT or place is None or not place.exists():
            continue
        if place.is_file():
            found.append(f"{place.name}, SHA-256 {sha256(place)[:8]}")
        else:
            runs = [place, *sorted(place.iterdir())]
            found += [load_run(run.resolve(), verify=False).source for run in runs if (run / "config.json").is_file()]
    return "; ".join(found) or "what the notebook computes"


def read(notebook: Path, docname: str) -> list[Made]:
    """The figures of an executed notebook that offer their data."""
    made = []
    code = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    whole = sources(notebook)
    for number, cell in enumerate(code, start=1):
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        offers = [output.data[OFFER] for output in cell.outputs if OFFER in output.get("data", {})]
        if name and offers:
            offered = {ending: offers[-1][ending] for ending in ENDINGS if ending in offers[-1]}
            files = {e: base64.b64decode(text) if e == "parquet" else text.encode() for e, text in offered.items()}
            made.append(Made(docname, name, number, offers[-1]["source"] or whole, files))
    return made


def strip(notebook: Path) -> None:
    """Take the figures, a quarter of the site, out of a notebook: its readers have them as files."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if OFFER in (data := output.get("data", {})):
                output["data"] = {"text/plain": data["text/plain"]}
    nbformat.write(content, notebook)


def line(made: Made, links: bool) -> nodes.paragraph:
    """The line under a figure; a printed book has no use for the links."""
    name = f"{Path(made.docname).name}.ipynb"

    def link(text: str, target: str) -> addnodes.download_reference:
        return addnodes.download_reference("", text, refuri="../" * made.docname.count("/") + target, reftarget=target)

    notebook = link(name, f"_sources/{made.docname}.ipynb") if links else nodes.Text(name)
    said = nodes.paragraph("", f"Made by cell [{made.cell}] of ", classes=["hl-source"])
    said += [notebook, nodes.Text(f" from {made.source}.")]
    if links:
        files = nodes.inline(classes=["hl-downloads"])
        for ending in made.files:
            files += [nodes.Text(", " if len(files) else " Download: "), link(ENDINGS[ending], made.path(ending))]
        files += nodes.Text(".")
        said += files
    return said


class Figures:
    """The figures of one build, by the page of their notebook."""

    made: dict[str, list[Made]]

    def collect(self, app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
        """Read all notebooks of the book, those too whose pages are not read again."""
        pages = {name: Path(env.doc2path(name)) for name in sorted(env.found_docs)}
        self.made = {name: read(path, name) for name, path in pages.items() if path.suffix == ".ipynb"}

    def add(self, app: Sphinx, page: nodes.document, docname: str) -> None:
        """Put the lines under the figures of a page. Other pictures stand beside text that says what they show."""
        for image in page.findall(nodes.image):
            image.setdefault("alt", "")
        made = {one.name: one for found in self.made.values() for one in found}
        for figure in page.findall(nodes.figure):
            for name in set(figure["ids"]) & set(made):
                figure += nodes.legend("", line(made[name], links=app.builder.name == "html"))

    def write(self, app: Sphinx, exception: Exception | None) -> None:
        """Write the files that the lines lead to."""
        if exception is None and app.builder.name == "html":
            for docname, found in self.made.items():
                for made in found:
                    for ending, data in made.files.items():
                        file = Path(app.outdir) / made.path(ending)
                        file.parent.mkdir(parents=True, exist_ok=True)
                        file.write_bytes(data)
                strip(Path(app.outdir) / "_sources" / f"{docname}.ipynb")
