// Figures that need a large script are made when they come into view: what they are made of waits in a template, and
// their still picture stands in its place. Before printing, nothing is made: paper has the stills.
(() => {
  const SCRIPTS = "script:not([type='application/json'])";
  const HELD = "hyperlib/held";

  // The scripts of a template would all start as they are put in, before the large one is there. So they are held, and
  // copies run one after the other.
  async function run(root) {
    for (const old of root.querySelectorAll(`script[type='${HELD}']`)) {
      const script = document.createElement("script");
      for (const { name, value } of old.attributes) if (name !== "type") script.setAttribute(name, value);
      script.textContent = old.textContent;
      await new Promise((resolve) => {
        script.onload = script.onerror = resolve;
        old.replaceWith(script);
        if (!script.src) resolve();
      });
    }
  }

  function make(figure) {
    const waiting = figure.querySelector("template.hl-later");
    if (!waiting) return;
    const live = waiting.parentElement;
    figure.classList.remove("hl-waiting");
    for (const script of waiting.content.querySelectorAll(SCRIPTS)) script.type = HELD;
    waiting.replaceWith(waiting.content);
    run(live).then(() => figure.dispatchEvent(new CustomEvent("hl-made")));
  }

  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        make(entry.target);
      }
    },
    { rootMargin: "400px 0px" },
  );
  for (const figure of document.querySelectorAll(".hl-figure:has(template.hl-later)")) seen.observe(figure);
})();
