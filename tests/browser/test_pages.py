"""Every page of the built book, opened from disk in headless Chromium, in light and dark mode, wide and narrow."""

import io
from pathlib import Path

import pytest
from pages import NARROW, OVERFLOW, WIDE, contrast, opened
from PIL import Image
from playwright.sync_api import Browser, Page


def blank_figures(page: Page) -> list[str]:
    """Interactive figures that show (almost) one colour only."""
    blank = []
    for number, figure in enumerate(page.query_selector_all("canvas.hl-drawing")):
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        with Image.open(io.BytesIO(figure.screenshot())) as image:
            colours = image.convert("RGB").getcolors(maxcolors=2**24)
        if len(colours) < 20:
            blank.append(f"figure {number} has {len(colours)} colours")
    return blank


# Code and text outputs that are wider than their column.
CUT = """Array.from(document.querySelectorAll(".bd-article pre"))
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `wider than its column: ${one.textContent.slice(0, 60)}`)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page(chromium: Browser, book: Path, page_name: str, scheme: str) -> None:
    with opened(chromium, book / page_name, scheme, WIDE) as (page, wrong):
        assert page.evaluate("document.documentElement.dataset.theme || 'redirected'") in (scheme, "redirected")
        assert page.locator("mjx-merror").count() == 0, "an equation has an error"
        if page.locator(".math").count():
            assert page.locator("mjx-container").count() > 0, "mathematics is not typeset"
        wrong += page.evaluate(CUT)
        wrong += blank_figures(page)
        wrong += contrast(page)
    assert not wrong, "\n".join(wrong)


def test_page_fits_a_phone(chromium: Browser, book: Path, page_name: str) -> None:
    with opened(chromium, book / page_name, "light", NARROW) as (page, wrong):
        assert page.evaluate(OVERFLOW) <= 0, "the page is wider than the screen"
    assert not wrong, "\n".join(wrong)


def test_search_finds_pudding(chromium: Browser, book: Path) -> None:
    with opened(chromium, book / "search.html", "light", WIDE, query="?q=pudding") as (page, wrong):
        page.wait_for_selector("#search-results li", timeout=5000)
        assert page.locator("#search-results li a").count() > 0
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<script src='https://example.org/a.js'></script>", "outgoing"),
        ("<script src='missing.js'></script>", "failed"),
        ("<script>throw Error('no')</script>", "exception"),
        ("<canvas class='hl-drawing' style='width:300px;height:200px'></canvas>", "figure 0"),
        ("<p style='color:#aaa'>pale</p>", "color-contrast"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"),
    ],
)
def test_the_checks_see_faults(chromium: Browser, tmp_path: Path, body: str, expected: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        f"<!DOCTYPE html><html lang='en' style='background:#fff'><title>t</title><body>{body}</body></html>"
    )
    with opened(chromium, file, "light", WIDE) as (page, wrong):
        wrong += blank_figures(page)
        wrong += contrast(page)
    assert any(expected in line for line in wrong), wrong


def test_the_check_sees_a_page_that_is_too_wide(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!DOCTYPE html><html><body><div style='width:500px'>wide</div></body></html>")
    with opened(chromium, file, "light", NARROW) as (page, _):
        assert page.evaluate(OVERFLOW) > 0
