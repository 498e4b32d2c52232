"""Headless Chromium for the tests of the built book."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

LIVE = re.compile(r'class="[^"]*\bhl-live\b')  # the class of all figures that can be operated
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Quiet, without access to the network, and with WebGL in software for three-dimensional figures.
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def find_chromium() -> str | None:
    """Path of the first Chromium on the search path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser; without one the tests are skipped, except in continuous integration, where they fail."""
    path = find_chromium()
    if path is None:
        message = f"none of {', '.join(NAMES)} found; install one, on Debian: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per page of the book that is built when the tests are collected, or per page with live figures."""
    if "page_name" in metafunc.fixturenames:
        html = Path(__file__).parents[2] / "_build" / "html"
        names = sorted(
            path.relative_to(html).as_posix() for path in html.rglob("*.html") if "_static" not in path.parts
        )
        metafunc.parametrize("page_name", names or ["index.html"])
    if "live_page" in metafunc.fixturenames:
        html = Path(__file__).parents[2] / "_build" / "html"
        pages = sorted([*html.glob("executed/*.html"), *html.glob("book/*.html")])
        live = [page for page in pages if LIVE.search(page.read_text(encoding="utf-8"))]
        metafunc.parametrize("live_page", [page.relative_to(html).as_posix() for page in live] or ["index.html"])
