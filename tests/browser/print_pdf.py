"""Print the book, built as one page, into one PDF: ``print_pdf.py SINGLEHTML_FOLDER OUTPUT``."""

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
  const words = (heading) => {
    const copy = heading.cloneNode(true);
    copy.querySelectorAll(".headerlink").forEach((link) => link.remove());
    return copy.textContent.trim();
  };
  // Sphinx marks where every page begins: <span id="document-executed/01_training"></span><section>...
  const root = document.querySelector("article section, .bd-article section");
  const chapters = [];
  for (const mark of document.querySelectorAll("span[id^='document-']")) {
    const section = mark.nextElementSibling;
    if (leftOut.some((name) => mark.id.split("/").slice(1).includes(name))) section.remove();
    else chapters.push(section);
  }
  document.querySelector("#jb-print-docs-body")?.remove(); // the theme repeats the title there
  const title = root.querySelector("h1");
  const cover = document.createElement("div");
  cover.className = "hl-cover";
  cover.innerHTML = `<p class="hl-title"></p><p>${subtitle}</p>`;
  cover.firstChild.textContent = words(title);
  const contents = document.createElement("nav");
  contents.className = "hl-contents";
  const link = (section, heading) => `<a href="#${section.id}">${heading.replace(/</g, "&lt;")}</a>`;
  const entry = (section) => {
    const parts = [...section.children].filter((part) => part.matches("section") && part.querySelector("h3"));
    const inside = parts.map((part) => `<li>${link(part, words(part.querySelector("h3")))}</li>`);
    return `<li>${link(section, words(section.querySelector("h2")))}<ol>${inside.join("")}</ol></li>`;
  };
  contents.innerHTML = `<p class="hl-title">Contents</p><ol>${chapters.map(entry).join("")}</ol>`;
  chapters.forEach((section) => section.classList.add("hl-chapter"));
  root.before(cover, contents);
  return chapters.length;
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
