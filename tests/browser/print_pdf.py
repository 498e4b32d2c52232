"""Print the book, built as one page, into one PDF: ``print_pdf.py SINGLEHTML_FOLDER OUTPUT``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from conftest import FLAGS, find_chromium
from playwright.sync_api import sync_playwright

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
