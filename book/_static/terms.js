// Notes for terms of the glossary: pointing at a link or reaching it with the keyboard shows the definition that is its
// title. Escape closes the note, and one can point at it. A tap follows the link, as without this script.
(() => {
  const note = document.createElement("div");
  note.id = "hl-note";
  note.setAttribute("role", "tooltip");
  note.hidden = true;
  let shown = null,
    closing = 0;

  function close() {
    if (shown) shown.removeAttribute("aria-describedby");
    note.hidden = true;
    shown = null;
  }

  function later() {
    clearTimeout(closing);
    closing = setTimeout(close, 200);
  }

  // Below the word, or above it where the window ends; never beyond the window's sides.
  function place() {
    const word = shown.getClientRects()[0],
      gap = 6,
      edge = 12;
    const width = document.documentElement.clientWidth;
    const left = Math.max(edge, Math.min(word.left, width - note.offsetWidth - edge));
    const fits = word.bottom + gap + note.offsetHeight < window.innerHeight;
    note.style.left = `${left}px`;
    note.style.top = `${fits ? word.bottom + gap : word.top - gap - note.offsetHeight}px`;
  }

  function open(link) {
    clearTimeout(closing);
    if (shown && shown !== link) close();
    shown = link;
    note.textContent = link.dataset.note;
    note.hidden = false;
    link.setAttribute("aria-describedby", note.id);
    place();
  }

  // Reaching a link with the keyboard scrolls to it after the note is open: that note goes along.
  function scrolled() {
    if (!shown) return;
    if (shown === document.activeElement) place();
    else close();
  }

  function start() {
    document.body.append(note);
    for (const link of document.querySelectorAll("a.hl-term[title]")) {
      link.dataset.note = link.title;
      link.removeAttribute("title"); // the browser would show it too
      link.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && open(link));
      link.addEventListener("pointerleave", later);
      link.addEventListener("focus", () => link.matches(":focus-visible") && open(link));
      link.addEventListener("blur", close);
    }
    note.addEventListener("pointerenter", () => clearTimeout(closing));
    note.addEventListener("pointerleave", later);
    document.addEventListener("keydown", (event) => event.key === "Escape" && close());
    document.addEventListener("scroll", scrolled, { passive: true, capture: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
