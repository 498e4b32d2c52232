"""Pages work from disk: none asks the network for anything, and no file is there that no page asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

SOURCE_BUTTON = re.compile(r'(<a [^>]*)(class="[^"]*btn-download-source-button)')
FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>\n?')


def drop_remote_files(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take scripts and style sheets with an address on the network out of a page's head.

    Jupyter Book adds some for widgets, and thebe for code that runs in the page. The book uses neither.
    """
    for kind in ("script_files", "css_files"):
        files = [(file, f"{file} {getattr(file, 'attributes', '')}") for file in context.get(kind, [])]
        context[kind] = [file for file, text in files if "://" not in text and "thebe" not in text]


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Take the theme's preloading of icon fonts out of the pages, and let its button for the notebook download it.

    A browser refuses the preloading on a page opened from disk, and would show the notebook as text. Out go two
    megabytes of the theme that no page loads, too: maps for a browser's debugger, and fonts that are there a second
    time, in a format that browsers prefer.
    """
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = FONT_PRELOAD.sub("", page.read_text(encoding="utf-8"))
            page.write_text(SOURCE_BUTTON.sub(r"\1download \2", text), encoding="utf-8")
        for file in (Path(app.outdir) / "_static").rglob("*"):
            if file.suffix == ".map" or (file.suffix == ".ttf" and file.with_suffix(".woff2").exists()):
                file.unlink()
