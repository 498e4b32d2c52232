// The page of functions: choose a function and a price, see the network, its response and its formula.
//
// book/hyperbook/build/functions.py writes what is shown, `hyperlib.functions`. Nothing is computed here.
(() => {
  const { Response, LINES, format, power } = hyperlib.views;

  function start(root) {
    const part = Object.fromEntries(Array.from(root.querySelectorAll("[data-part]"), (e) => [e.dataset.part, e]));
    const { all, packed } = hyperlib.functions;
    const drawing = new hyperlib.network.Drawing(part.drawing).follow();
    const response = new Response(part.response, part.legend, { ...LINES, target: "the function" });
    let shown = all.find(({ name }) => `#${name}` === location.hash) ?? all[0];

    function show() {
      const { beta, loss, kl, label, formula, numbers, bits, kept, drawn, lines, counts } =
        shown.prices[Number(part.price.value)];
      const { net, positions } = hyperlib.network.unpack(drawn, { ...packed, shape: shown.shape });
      drawing.glide(net, positions);
      response.show({ lines, counts, label: shown.along });
      part["price-value"].innerHTML = `<i>β</i> = ${power(beta)}`;
      part.price.setAttribute("aria-valuetext", power(beta));
      part.title.textContent = `${shown.title}: a ${shown.shape.join(" × ")} network`;
      part.drawing.setAttribute("aria-label", `Force-directed drawing of the network for the ${shown.title}`);
      part.along.textContent = shown.along;
      part.label.textContent = part.label.dataset.algorithm = label;
      part.loss.textContent = format(loss);
      part.kl.textContent = format(kl, 3);
      part.formula.innerHTML = formula;
      part["program-of"].textContent =
        `${numbers} constants in place of ${shown.weights} weights, ${bits} bits; keeps ${kept} % of the output's variance.`;
    }

    for (const one of all) {
      const label = document.createElement("label");
      const radio = Object.assign(document.createElement("input"), { type: "radio", name: "hl-function" });
      Object.assign(radio, { value: one.name, checked: one === shown });
      radio.dataset.part = one.name;
      label.append(radio, one.title);
      part.functions.append(label);
    }
    part.functions.addEventListener("change", (event) => {
      shown = all.find(({ name }) => name === event.target.value);
      show();
    });
    part.price.addEventListener("input", show);
    part.price.max = shown.prices.length - 1;
    part.price.value = 0;
    root.dataset.ready = "";
    show();
  }

  const begin = () => hyperlib.functions.all.length && start(document.querySelector(".hl-functions"));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
