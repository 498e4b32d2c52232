// Words that speak of a picture: pointing at one, reaching it with the keyboard or tapping it veils the picture but for
// what it speaks of (book/hyperbook/figures/lights.py). A tap, or the enter key, keeps it so, and brings the picture into
// view. Without this script they are words like any other.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WORD = "[class*='hl-says-']";
  const nameOf = (word) => word.className.match(/hl-says-([\w-]+)/)[1];
  let shown = null, // the word whose lights are on
    kept = null; // and whether they stay

  function make(name, attributes, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // A picture under a veil; returns the function that lifts it over what a word speaks of, if it speaks of this picture.
  function veil(script) {
    const { figure } = script.dataset;
    const { size, words } = JSON.parse(script.textContent);
    const [width, height] = size;
    const image = document.querySelector(`#${figure} img`);
    const holes = make("g", { fill: "none", stroke: "black", "stroke-linecap": "round" });
    const all = { width, height, fill: "white" };
    const cloth = make("svg", { class: "hl-veil", viewBox: `0 0 ${width} ${height}`, "aria-hidden": true });
    cloth.append(make("mask", { id: `hl-veil-${figure}` }, make("rect", all), holes));
    cloth.append(make("rect", { width, height, mask: `url(#hl-veil-${figure})` }));
    const frame = document.createElement("span");
    frame.className = "hl-lit";
    image.replaceWith(frame);
    frame.append(image, cloth);
    return (name) => {
      const paths = words[name] ?? [];
      holes.replaceChildren(...paths.map(([wide, d]) => make("path", { d, "stroke-width": wide })));
      cloth.classList.toggle("hl-on", paths.length > 0);
      return paths.length > 0 && image;
    };
  }

  function start() {
    const veils = Array.from(document.querySelectorAll("script.hl-lights"), veil);

    function light(word) {
      shown?.setAttribute("aria-pressed", false);
      shown = word;
      if (word !== kept) kept = null;
      word?.setAttribute("aria-pressed", true);
      return veils.map((lift) => lift(word && nameOf(word))).filter(Boolean);
    }

    function press(word) {
      const [...pictures] = light(kept === word ? null : word);
      kept = shown;
      pictures.at(-1)?.scrollIntoView({ block: "nearest" });
    }

    for (const word of veils.length ? document.querySelectorAll(WORD) : []) {
      Object.assign(word, { tabIndex: 0, title: "Shows it in the picture" });
      word.setAttribute("role", "button");
      word.setAttribute("aria-pressed", false);
      const rest = () => shown === word && kept !== word && light(null);
      word.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && light(word));
      word.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && rest());
      word.addEventListener("focus", () => word.matches(":focus-visible") && light(word));
      word.addEventListener("blur", () => shown === word && light(null));
      word.addEventListener("click", () => press(word));
      word.addEventListener("keydown", (event) => {
        if (event.key === "Escape") light(null);
        else if (event.key === "Enter" || event.key === " ") press(word);
        else return;
        event.preventDefault();
      });
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
