"""Sphinx extension of this book: pages that need no network, sources under figures, notes for terms, pages."""

from pathlib import Path

from sphinx.application import Sphinx

from . import figures, functions, live, pages


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    shown, root = figures.Figures(), Path(app.srcdir)
    app.connect("builder-inited", lambda _: live.write_models(root / live.RESULTS, root / live.DATA))
    app.connect("builder-inited", lambda _: functions.write_functions(root / functions.RESULTS, root / functions.DATA))
    app.connect("env-before-read-docs", shown.collect)
    app.connect("autodoc-process-docstring", pages.before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", pages.after_napoleon, priority=900)
    app.connect("doctree-resolved", pages.Notes().add)
    app.connect("doctree-resolved", shown.add, priority=900)
    app.connect("html-page-context", live.add_scripts)
    app.connect("html-page-context", pages.drop_remote_files, priority=900)
    app.connect("build-finished", pages.mend)
    app.connect("build-finished", shown.write)
    app.add_js_file("terms.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
