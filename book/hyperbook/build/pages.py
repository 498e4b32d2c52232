"""What Sphinx has to be told of pages: docstrings keep their notation, terms carry notes, nothing needs a network."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

PAIR = re.compile(r"^( +)(\w+), (\w+): (.*)$")
LITERAL = re.compile(r"(``.+?``|`.+?`)")
KEPT: dict[str, list[str]] = {}  # docstrings of properties and attributes between the two listeners
GLOSSARY = "book/glossary"
# A title is plain text: mathematics of the glossary as people would type it.
PLAIN = {rf"\{name}": name for name in ("ln", "log")} | {r"\operatorname{ReLU}": "ReLU", "-x": "−x"}
PLAIN |= {r"\beta": "β", r"\alpha": "α", "_1": "₁", "_2": "₂", "_3": "₃"}
SOURCE_BUTTON = re.compile(r'(<a [^>]*)(class="[^"]*btn-download-source-button)')
FONT_PRELOAD = re.compile(r'<link rel="preload" as="font"[^>]*>\n?')


def plain_notation(lines: list[str]) -> None:
    """Escape the bars of |x|, which reStructuredText takes for a substitution, outside literals and examples."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = LITERAL.split(line)
            lines[number] = "".join(p if p.startswith("`") else p.replace("|", r"\|") for p in parts)


def before_napoleon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking the words before a colon for a type; types are in the annotations here."""
    plain_notation(lines)
    if what in ("property", "attribute"):
        KEPT[name] = list(lines)
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            lines[number + 1] = re.sub(": ", " – ", lines[number + 1], count=1)
    # Two attributes on one line: napoleon takes the first for the type of the second.
    lines[:] = [part for line in lines for part in PAIR.sub(r"\1\2: \4\n\1\3: \4", line).split("\n")]


def after_napoleon(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put back what napoleon must not touch at all."""
    lines[:] = KEPT.pop(name, lines)


def as_typed(definition: nodes.Element) -> str:
    """Text of a definition in one line."""
    parts = []
    for node in definition.findall(nodes.Text):
        parts.append(node.astext())
        if isinstance(node.parent, nodes.math):
            for latex, typed in PLAIN.items():
                parts[-1] = parts[-1].replace(latex, typed)
    return " ".join("".join(parts).split())


def definitions(glossary: nodes.document) -> dict[str, str]:
    """Of the glossary's page, references resolved: identifier of a term, such as ``term-Pudding``, -> definition."""
    items = [item for box in glossary.findall(addnodes.glossary) for item in box.findall(nodes.definition_list_item)]
    found = [(item.findall(nodes.term), as_typed(item.next_node(nodes.definition))) for item in items]
    return {name: text for terms, text in found for term in terms for name in term["ids"]}


class Notes:
    """Links to terms of the glossary carry the term's definition, which `book/_static/terms.js` shows as a note.

    The definition is the link's title, so that it is there without scripts too.
    """

    found: dict[str, str] | None = None

    def add(self, app: Sphinx, page: nodes.document, docname: str) -> None:
        """Give the links to terms on a page their titles."""
        if self.found is None:
            self.found = {}  # resolving the glossary calls this very function for the glossary
            if GLOSSARY in app.env.found_docs:
                self.found = definitions(app.env.get_and_resolve_doctree(GLOSSARY, app.builder))
        for link in page.findall(nodes.reference):
            name = link.get("refid") or link.get("refuri", "").rpartition("#")[2]
            if name in self.found:
                link["reftitle"] = self.found[name]
                link["classes"].append("hl-term")


def drop_remote_files(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take scripts and style sheets with an address on the network out of a page's head.

    Jupyter Book adds some for widgets, and thebe for code that runs in the page. The book uses neither.
    """
    for kind in ("script_files", "css_files"):
        files = [(file, f"{file} {getattr(file, 'attributes', '')}") for file in context.get(kind, [])]
        context[kind] = [file for file, text in files if "://" not in text and "thebe" not in text]


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Take the theme's preloading of icon fonts out of the pages, and let its button for the notebook download it.

    A browser refuses the preloading on a page opened from disk, and would show the notebook as text.
    """
    if exception is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = FONT_PRELOAD.sub("", page.read_text(encoding="utf-8"))
            page.write_text(SOURCE_BUTTON.sub(r"\1download \2", text), encoding="utf-8")
