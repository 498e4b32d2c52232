"""What stands under figures, notes for terms, and the search, in the built book."""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from pages import NARROW, OVERFLOW, WIDE, contrast, opened
from PIL import Image
from playwright.sync_api import Browser

from hyperlib.figures.style import OFFER

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
DIAGRAMS, INTRODUCTION = "executed/04_phase_diagrams.html", "executed/00_introduction.html"


def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_has_its_source_and_its_files(book: Path, name: str) -> None:
    page = book / "executed" / f"{name}.html"
    for figure in soup(page).select("figure"):
        line = figure.select_one(".hl-source")
        assert line, f"{figure.get('id')} has nothing under it: does its function set the figure's table?"
        assert re.match(
            rf"Made by cell \[\d+\] of {name}\.ipynb from \S.*\. Download: SVG, (CSV|Parquet)\.$", line.get_text()
        )
        notebook, svg, table = [(page.parent / unquote(link["href"])).resolve() for link in line.select("a")]
        assert notebook.suffix == ".ipynb" and notebook.is_file()
        assert ET.parse(svg).getroot().tag.endswith("svg") and svg.suffix == ".svg"
        rows = pd.read_csv(table) if table.suffix == ".csv" else pd.read_parquet(table)
        assert len(rows) and len(rows.columns) > 1 and not any(name.startswith("Unnamed") for name in rows.columns)


def test_figures_name_the_run_that_they_came_from(book: Path) -> None:
    page = soup(book / DIAGRAMS)
    other = page.select_one("#fig-phases-memorised .hl-source").extract().get_text()
    assert "from run l1-memorised, version" in other
    lines = [line.get_text() for line in page.select(".hl-source")]
    assert sum("film.safetensors" in line for line in lines) == 2
    run = re.search(r"from run (\S+), version (\w{8})", lines[0])
    assert run[1] == "l1" and all(
        f"from run {run[1]}, version {run[2]}." in line for line in lines if "film.safetensors" not in line
    )
    short = soup(book / "executed" / "01_training.html").select_one("#fig-short-curves .hl-source").get_text()
    assert run[2] not in short and "version" in short


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_offered_notebook_is_the_page_s_and_small(book: Path, name: str) -> None:
    notebook = nbformat.read(book / "_sources" / "executed" / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    source = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in source.cells]
    assert not any(OFFER in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


def test_every_link_to_a_term_carries_its_definition(book: Path) -> None:
    terms, silent = {}, []
    for item in soup(book / "book" / "glossary.html").select("dl.glossary dt"):
        terms[item["id"]] = item.find_next_sibling("dd").get_text()
    for path in sorted((book / "executed").glob("*.html")) + sorted((book / "book").glob("*.html")):
        for link in soup(path).select("a[href*='#term-']"):
            if link.select_one(".std-term"):
                note, name = link.get("title", ""), link["href"].split("#")[1]
                same = note.split()[:3] == terms[name].split()[:3] or "\\" in terms[name]
                if len(note) < 20 or "\\" in note or not same or "hl-term" not in link["class"]:
                    silent.append(f"{path.name}: {name}: {note!r}")
    assert not silent, "\n".join(silent)


def test_the_first_screen_has_no_code_and_no_hash(book: Path) -> None:
    article = soup(book / INTRODUCTION).select_one("article")
    before = article.get_text().split("Does the paper hold?")[0]
    assert not re.search(r"\b[0-9a-f]{8}\b(?!.*Download)", before.split("Made by")[0]) and "import" not in before
    picture = article.select_one("#fig-overview")
    assert not [code for code in article.select("div.highlight") if code.sourceline < picture.sourceline]


def test_chapters_have_the_numbers_of_their_notebooks(book: Path) -> None:
    for name in NOTEBOOKS[1:]:
        heading = soup(book / "executed" / f"{name}.html").select_one("h1 .section-number").get_text()
        assert int(heading.strip(". ")) == int(name[:2]), name


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_film_is_a_picture_without_scripts(chromium: Browser, book: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((book / DIAGRAMS).as_uri())
    figure = page.locator("#fig-film-memorised")
    assert figure.locator("img.hl-still").is_visible() and not figure.locator(".hl-live").is_visible()
    link = page.goto((book / INTRODUCTION).as_uri()) and page.locator("a.hl-term").first
    assert len(link.get_attribute("title")) > 20
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_note_appears_and_goes(chromium: Browser, book: Path, scheme: str, viewport: dict) -> None:
    with opened(chromium, book / INTRODUCTION, scheme, viewport) as (page, wrong):
        note, links = page.locator("#hl-note"), page.locator("a.hl-term")
        assert not note.is_visible()
        for k in range(links.count()):
            link = links.nth(k)
            link.scroll_into_view_if_needed()
            page.mouse.move(0, 0)
            page.wait_for_timeout(300)
            link.hover()
            assert note.is_visible() and len(note.inner_text()) > 20
            assert link.get_attribute("aria-describedby") == "hl-note" and not link.get_attribute("title")
            box = note.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]
            assert box["y"] >= 0 and box["y"] + box["height"] <= viewport["height"]
            assert page.evaluate(OVERFLOW) <= 0
        wrong += contrast(page)
        note.hover()  # one can point at the note itself
        page.wait_for_timeout(400)
        assert note.is_visible()
        page.keyboard.press("Escape")
        assert not note.is_visible()
    assert not wrong, "\n".join(wrong)


def test_note_appears_for_the_keyboard_and_a_tap_follows_the_link(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / INTRODUCTION, "light", WIDE) as (page, wrong):
        first = page.locator("a.hl-term").first
        page.locator("article h1").click()
        for _ in range(40):
            page.keyboard.press("Tab")
            if first.evaluate("link => link === document.activeElement"):
                break
        assert page.locator("#hl-note").is_visible()
        page.keyboard.press("Enter")
        page.wait_for_url("**/glossary.html#term-*")
    assert not wrong, "\n".join(wrong)
    context = chromium.new_context(has_touch=True, is_mobile=True, viewport=NARROW)
    page = context.new_page()
    page.goto((book / INTRODUCTION).as_uri())
    page.locator("a.hl-term").first.tap()
    page.wait_for_url("**/glossary.html#term-*")
    context.close()


# Of the pictures that are veiled: where they lie, where their veils do, and what these are lifted over.
LIT = """() => Array.from(document.querySelectorAll(".hl-veil.hl-on"), (veil) => {
  const place = (one) => ["x", "y", "width", "height"].map((key) => Math.round(one.getBoundingClientRect()[key]));
  const lit = Array.from(veil.querySelectorAll("path"), (path) => path.getTotalLength()).reduce((a, b) => a + b, 0);
  return { figure: veil.closest("figure").id, image: place(veil.previousElementSibling), veil: place(veil), lit };
})"""


def says(page: BeautifulSoup) -> list[str]:
    """What the words of a page that speak of pictures speak of."""
    found = [re.findall(r"hl-says-([\w-]+)", " ".join(word["class"])) for word in page.select("[class*=hl-says-]")]
    return list(dict.fromkeys(name for names in found for name in names))


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_answer_to_words(chromium: Browser, book: Path, viewport: dict) -> None:
    names = says(soup(book / INTRODUCTION))
    assert len(names) > 8
    context = chromium.new_context(has_touch=viewport == NARROW, viewport=viewport)
    page = context.new_page()
    page.goto((book / INTRODUCTION).as_uri())
    figures = set()
    for name in names:
        word = page.locator(f".hl-says-{name}").first
        word.tap() if viewport == NARROW else word.hover()
        assert word.get_attribute("aria-pressed") == "true"
        found = page.evaluate(LIT)
        assert found, f"nothing is lit for {name}"
        for one in found:
            assert one["image"] == one["veil"], f"the veil of {one['figure']} lies elsewhere than its picture"
        figures |= {one["figure"] for one in found}
        word.tap() if viewport == NARROW else page.mouse.move(0, 0)
        assert not page.evaluate(LIT) and word.get_attribute("aria-pressed") == "false"
        assert page.evaluate(OVERFLOW) <= 0
    assert figures == {"fig-tangle", "fig-sorted", "fig-overview", "fig-bids"}
    context.close()


def test_words_answer_to_the_keyboard_and_are_plain_without_scripts(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / INTRODUCTION, "dark", WIDE) as (page, wrong):
        word = page.locator(".hl-says-pudding")
        page.keyboard.press("Tab")
        word.focus()
        assert [one["figure"] for one in page.evaluate(LIT)] == ["fig-overview"]
        assert page.evaluate(LIT)[0]["lit"] > 0
        page.keyboard.press("Escape")
        assert not page.evaluate(LIT)
        page.keyboard.press("Enter")
        page.mouse.move(0, 0)
        assert page.evaluate(LIT)
        wrong += contrast(page)
        page.keyboard.press("Tab")
        assert not page.evaluate(LIT)
    assert not wrong, "\n".join(wrong)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((book / INTRODUCTION).as_uri())
    assert page.locator("[class*='hl-says-']").count() and not page.locator("[class*='hl-says-'][role]").count()
    context.close()


def test_page_offers_its_notebook(chromium: Browser, book: Path) -> None:
    name = NOTEBOOKS[2]
    with opened(chromium, book / "executed" / f"{name}.html", "light", WIDE) as (page, wrong):
        page.locator(".dropdown-download-buttons > button").click()
        button = page.locator(".dropdown-download-buttons a", has_text=".ipynb")
        assert button.get_attribute("download") is not None
        with page.context.expect_page() as opening:
            button.click()
        # Chromium shows what it is not allowed to save from disk.
        notebook = nbformat.reads(opening.value.locator("body").inner_text(), as_version=4)
        assert notebook.cells[0].source.startswith("# ")
    assert not wrong, "\n".join(wrong)


def test_search_from_its_own_page_finds_pudding(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / "search.html", "light", WIDE) as (page, wrong):
        box = page.locator("input[name=q]:visible").first
        box.fill("pudding")
        box.press("Enter")
        page.wait_for_selector("#search-results li", timeout=10000)
        found = page.locator("#search-results li a").all_inner_texts()
        assert any("Interpretation" in title or "Glossary" in title for title in found), found
    assert not wrong, "\n".join(wrong)


def test_formulas_are_no_stops_of_the_tab_key(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / "book" / "method.html", "light", WIDE) as (page, _):
        assert page.locator("mjx-container").count() > 10 and page.locator("mjx-container[tabindex='0']").count() == 0


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_labels_of_figures_can_be_read_on_a_phone(chromium: Browser, book: Path, name: str) -> None:
    """Labels are 11 points or more, at 144 dots an inch, so that at 0.4 of its dots a picture's are 9 pixels high."""
    with opened(chromium, book / "executed" / f"{name}.html", "light", NARROW) as (page, _):
        small = page.evaluate(
            "[...document.querySelectorAll('figure img:not(.hl-still)')].filter("
            "(one) => one.naturalWidth > 300 && one.width < 0.4 * one.naturalWidth).map((one) => one.alt)"
        )
    assert not small


def test_pictures_are_mirrored_in_dark_mode_and_keep_their_hues(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / INTRODUCTION, "dark", WIDE) as (page, _):
        figure = page.locator("#fig-overview img")
        figure.scroll_into_view_if_needed()
        with Image.open(io.BytesIO(figure.screenshot())) as shown:
            pixels = np.asarray(shown.convert("RGB")).reshape(-1, 3).astype(int)
        around = page.evaluate("getComputedStyle(document.body).backgroundColor")
    background = [int(part) for part in re.findall(r"\d+", around)[:3]]
    usual = np.median(pixels, axis=0)
    assert abs(usual - background).max() <= 3, "the picture's ground is not the page's"
    assert (pixels.min(1) > 170).any(), "text is light"
    blue = (pixels[:, 2] - pixels[:, 0] > 60).mean()
    red = (pixels[:, 0] - pixels[:, 2] > 60).mean()
    assert blue > 0.001 and red > 0.001
