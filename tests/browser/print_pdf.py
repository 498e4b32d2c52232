"""Print the book, built as one page, into one PDF: ``print_pdf.py SINGLEHTML_FOLDER OUTPUT``."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path

from conftest import FLAGS, find_chromium
from playwright.sync_api import sync_playwright

# Pages that a reader of paper has no use for: what is generated from docstrings, and what has changed.
LEFT_OUT = ("api", "changelog", "contributing", "genindex")
# The single page becomes a book: a title page, contents from its headings, and a new page for every chapter.
BIND = """([leftOut, subtitle]) => {
  const article = document.querySelector("article, .bd-article");
  const chapters = [...document.querySelectorAll("section")].filter((one) => one.querySelector(":scope > h1"));
  const kept = chapters.filter((one) => {
    const file = one.closest("[id^='document-']")?.id ?? one.previousElementSibling?.id ?? "";
    const gone = leftOut.some((name) => `${file}/`.includes(`/${name}/`) || one.id.startsWith(name));
    if (gone) one.remove();
    return !gone;
  });
  const title = kept[0].querySelector("h1").cloneNode(true);
  title.querySelectorAll(".headerlink").forEach((link) => link.remove());
  const cover = document.createElement("div");
  cover.className = "hl-cover";
  cover.innerHTML = `<h1>${title.innerHTML}</h1><p>${subtitle}</p>`;
  const contents = document.createElement("nav");
  contents.className = "hl-contents";
  const words = (heading) => {
    const copy = heading.cloneNode(true);
    copy.querySelectorAll(".headerlink").forEach((link) => link.remove());
    return copy.textContent.trim();
  };
  const line = (one, heading) => `<a href="#${one.id}">${words(heading)}</a>`;
  const item = (one) => {
    const parts = [...one.querySelectorAll(":scope > section")].filter((part) => part.querySelector(":scope > h2"));
    const inside = parts.map((part) => `<li>${line(part, part.querySelector("h2"))}</li>`).join("");
    return `<li>${line(one, one.querySelector("h1"))}<ol>${inside}</ol></li>`;
  };
  contents.innerHTML = `<h2>Contents</h2><ol>${kept.map(item).join("")}</ol>`;
  kept.slice(1).forEach((one) => one.classList.add("hl-chapter"));
  article.prepend(cover, contents);
  return kept.length;
}"""
FOOTER = "<div style='font-size:8px;width:100%;text-align:center'><span class='pageNumber'></span></div>"


def main(folder: Path, output: Path) -> None:
    """Print the single page of ``folder``, with its mathematics typeset, into ``output``."""
    path = find_chromium()
    if path is None:
        sys.exit("make pdf needs chromium; on Debian: apt-get install chromium")
    # Sphinx puts the page into the root document's folder, while its links start from the folder above.
    page_file = folder / "print.html"
    shutil.copy(next(folder.glob("*/*_introduction.html")), page_file)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(color_scheme="light")
        page.goto(page_file.resolve().as_uri(), wait_until="load")
        page.evaluate("window.MathJax && window.MathJax.startup && window.MathJax.startup.promise")
        page.wait_for_timeout(1000)
        today = date.fromtimestamp(page_file.stat().st_mtime)
        page.evaluate(BIND, [list(LEFT_OUT), f"An open reproduction. {today:%B %Y}"])
        margin = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
        page.pdf(
            path=output,
            format="A4",
            margin=margin,
            display_header_footer=True,
            header_template="<div></div>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
