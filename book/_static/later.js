// Figures that need a large script are made when they come into view: what they are made of waits in a template, and
// their still picture stands in its place. Before printing, nothing is made: paper has the stills.
(() => {
  // Scripts that are put in by another script do not run; copies do. They run one after the other.
  async function run(root) {
    for (const old of root.querySelectorAll("script:not([type='application/json'])")) {
      const script = document.createElement("script");
      for (const { name, value } of old.attributes) script.setAttribute(name, value);
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
