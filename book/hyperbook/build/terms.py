"""Every link to a term of the glossary carries the term's definition, which `book/_static/terms.js` shows as a note.

The definition is the link's title, so that it is there without scripts too.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
# A title is plain text: mathematics of the glossary as people would type it.
PLAIN = {rf"\{name}": name for name in ("ln", "log")} | {r"\operatorname{ReLU}": "ReLU", "-x": "−x"}
PLAIN |= {r"\beta": "β", r"\alpha": "α", "_1": "₁", "_2": "₂", "_3": "₃"}


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
    """The definitions of one build, read when the first page is written."""

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
