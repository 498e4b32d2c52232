"""Pages of the built book, opened from disk in a browser: helpers of the tests in `tests/browser`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "image-alt", "link-name"]}}
# How far elements reach beyond the right edge of the page.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
READY = "window.MathJax === undefined || window.MathJax.startup === undefined || window.MathJax.startup.promise"


@contextmanager
def opened(chromium: Browser, file: Path, scheme: str, viewport: dict[str, int], query: str = "") -> Iterator[tuple]:
    """The page and a growing list of what went wrong: console errors, exceptions, failed and outgoing requests."""
    context = chromium.new_context(color_scheme=scheme, viewport=viewport)
    page, wrong = context.new_page(), []
    page.set_default_timeout(180_000)  # other processes may take the core for a while
    page.on("console", lambda message: message.type == "error" and wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:120]}"))
    page.on("request", lambda r: r.url.startswith(("http", "ws")) and wrong.append(f"outgoing: {r.url[:120]}"))
    page.goto(file.as_uri() + query, wait_until="load")
    page.wait_for_function(
        "document.readyState === 'complete' && !document.querySelector('meta[http-equiv=Refresh i]')"
    )
    page.evaluate(READY)
    page.wait_for_timeout(200)
    yield page, wrong
    context.close()


def contrast(page: Page) -> list[str]:
    """Violations of WCAG AA contrast, images without text and links without a name, one line per element."""
    found = Axe().run(page, options=CONTRAST).response["violations"]
    return [f"{item['id']}: {node['html'][:150]}" for item in found for node in item["nodes"]]
