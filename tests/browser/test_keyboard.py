"""Every figure that can be operated, found by its class: from the keyboard, for screen readers, and on paper."""

from pathlib import Path

from pages import WIDE, opened
from playwright.sync_api import Browser, ElementHandle, Page

CONTROLS = "a[href], button, input, select, summary, [tabindex='0']"
# A number for an element, the same whatever else the page draws or removes meanwhile.
NUMBER = """(one) => {
  const known = (window.met ??= []);
  return known.includes(one) ? known.indexOf(one) : known.push(one) - 1;
}"""
# What is focused in a figure, or null: its number, what it is called, what it is set to, and whether a ring is seen.
FOCUSED = f"""(figure) => {{
  const at = document.activeElement;
  if (at === figure || !figure.contains(at)) return null;
  const {{ outlineStyle, outlineWidth, boxShadow }} = getComputedStyle(at);
  const labels = Array.from(at.labels ?? [], (label) => label.textContent).join(" ");
  return {{
    number: ({NUMBER})(at),
    kind: at.matches("input") ? at.type : at.localName,
    name: (at.getAttribute("aria-label") || labels || at.textContent).trim(),
    value: at.type === "checkbox" ? String(at.checked) : at.value,
    last: at.matches("select") ? at.selectedIndex === at.options.length - 1 : at.value === at.max,
    said: at.getAttribute("aria-valuetext"),
    ring: (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none",
  }};
}}"""
# Numbers of what ought to be reached: of radio buttons one of a group.
REACHABLE = f"""(figure) => {{
  const groups = new Set();
  return Array.from(figure.querySelectorAll("{CONTROLS}")).filter((one) => {{
    if (one.disabled || one.tabIndex < 0 || !one.checkVisibility()) return false;
    return one.type !== "radio" || (one.checked && !groups.has(one.name) && groups.add(one.name));
  }}).map({NUMBER});
}}"""
SAID = "(figure) => Array.from(figure.querySelectorAll('[aria-live], [role=status]'), (one) => one.textContent).join()"
KEYS = {"range": ("ArrowRight", "ArrowLeft"), "select": ("ArrowDown", "ArrowUp"), "checkbox": ("Space", "Space")}
PAPER = """(figure) => {
  const still = figure.closest(".hl-figure")?.querySelector(".hl-still")
    ?? document.querySelector(".hl-stills :is(img, table)");
  return !figure.checkVisibility() && still.checkVisibility() && (still.alt ?? still.textContent).length > 20;
}"""


def operate(page: Page, figure: ElementHandle) -> list[int]:
    """Walk through a figure with the tab key, try each control, and return the numbers of those that were met."""
    met: list[int] = []
    figure.evaluate("(figure) => { figure.tabIndex = -1; figure.focus(); }")
    while True:
        page.keyboard.press("Tab")
        found = figure.evaluate(FOCUSED)
        if found is None or found["number"] in met:
            return met
        met.append(found["number"])
        assert found["name"] and found["ring"], f"a control without a name or without a ring: {found}"
        if found["kind"] in KEYS:
            page.keyboard.press(KEYS[found["kind"]][found["last"]])
            after = figure.evaluate(FOCUSED)
            assert after["value"] != found["value"], f"a key does not move {found}"
            if found["kind"] == "range":
                assert after["said"] and after["said"] != found["said"], f"nothing is read out for {after}"


def test_live_figures_can_be_used_without_a_mouse(chromium: Browser, book: Path, live_page: str) -> None:
    with opened(chromium, book / live_page, "light", WIDE) as (page, wrong):
        page.set_default_timeout(60000)  # three dimensions without a graphics card take their time
        page.wait_for_selector(".hl-live :is(input, select)")
        figures = page.query_selector_all(".hl-live")
        assert figures, "no figure that can be operated"
        for figure in figures:
            assert figure.get_attribute("role") in ("figure", "group") and figure.get_attribute("aria-label")
            page.wait_for_function(f"(figure) => ({SAID})(figure).length > 20", arg=figure)
            before, reachable = figure.evaluate(SAID), figure.evaluate(REACHABLE)
            met = operate(page, figure)
            still = set(reachable).intersection(figure.evaluate(REACHABLE))  # trying one may hide or disable another
            assert met and still <= set(met), "a control cannot be reached"
            page.wait_for_function(f"([figure, before]) => ({SAID})(figure) !== before", arg=[figure, before])
            labels = figure.eval_on_selector_all("canvas", "all => all.map((one) => one.getAttribute('aria-label'))")
            assert all(labels), "a drawing without words"
        page.emulate_media(media="print")
        assert all(figure.evaluate(PAPER) for figure in figures), "no picture stands in on paper"
    assert not wrong, "\n".join(wrong)
