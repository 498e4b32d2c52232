"""What a link to the book shows elsewhere: a title, a sentence, and the picture of the introduction."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image
from sphinx.application import Sphinx

SIZE = (1200, 630)  # pixels that services which show links ask for
MARGIN = 24
PICTURE = "_static/overview.png"
FIGURE = "fig-overview"
SENTENCE = "Hypernetworks that pay for information generate networks that can be read: an open reproduction, with code."


def overview(notebook: Path) -> bytes | None:
    """The picture of the figure `FIGURE` of an executed notebook on white, as PNG; None if it has none."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") != FIGURE:
            continue
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                return framed(base64.b64decode(picture))
    return None


def framed(picture: bytes) -> bytes:
    """A PNG scaled into the middle of a white one of `SIZE`."""
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    image.thumbnail((SIZE[0] - 2 * MARGIN, SIZE[1] - 2 * MARGIN), Image.Resampling.LANCZOS)
    page = Image.new("RGBA", SIZE, "white")
    page.alpha_composite(image, ((SIZE[0] - image.width) // 2, (SIZE[1] - image.height) // 2))
    buffer = io.BytesIO()
    page.convert("RGB").save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def add_tags(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Tags that services read. Their picture's address is absolute if ``html_baseurl`` says where the book lies."""
    title = html.escape(f"{context.get('title') or app.config.project}", quote=True)
    base = app.config.html_baseurl
    picture = f"{base.rstrip('/')}/{PICTURE}" if base else context["pathto"](PICTURE, resource=True)
    tags = {"og:type": "article", "og:title": title, "og:site_name": html.escape(app.config.project, quote=True)}
    tags |= {"og:description": SENTENCE, "og:image": picture}
    tags |= {"og:image:width": str(SIZE[0]), "og:image:height": str(SIZE[1])}
    lines = [f'<meta property="{name}" content="{text}" />' for name, text in tags.items()]
    lines += [f'<meta name="description" content="{SENTENCE}" />']
    lines += ['<meta name="twitter:card" content="summary_large_image" />']
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def write_overview(app: Sphinx, exception: Exception | None) -> None:
    """Write the picture of the introduction as this build has it."""
    if exception is None and app.builder.format == "html":
        notebook = Path(app.srcdir) / f"{app.config.root_doc}.ipynb"
        picture = overview(notebook) if notebook.is_file() else None
        if picture:
            (Path(app.outdir) / PICTURE).write_bytes(picture)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", write_overview)
