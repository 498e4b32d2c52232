// The phase diagrams to point at: draws the network of the chosen seed and beta, see hyperlib/figures/explorer.py.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const RADII = { input: 3.7, hidden: 2.2, output: 4.8 };

  function element(parent, name, attributes) {
    const made = parent.appendChild(document.createElementNS(NS, name));
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  }

  // The text that `pack` in explorer.py makes, as signed relative weights per edge and places of the neurons.
  function unpack(text, data) {
    const digit = Array.from(text, (c) => data.digits.indexOf(c));
    const first = data.shape.map((_, level) => data.shape.slice(0, level).reduce((a, b) => a + b, 0));
    const edges = [];
    let k = 0;
    for (let l = 0; l + 1 < data.shape.length; l++)
      for (let i = 0; i < data.shape[l]; i++)
        for (let j = 0; j < data.shape[l + 1]; j++)
          edges.push([first[l] + i, first[l + 1] + j, digit[k++] / data.levels - 1]);
    const base = data.digits.length,
      places = [];
    const coordinate = () => 200 * ((base * digit[k++] + digit[k++]) / (base * base - 1)) - 100;
    while (k < digit.length) places.push([coordinate(), -coordinate()]);
    return { edges: edges.filter((e) => Math.abs(e[2]) > data.faint), places };
  }

  // The looks of `paint` in hyperlib/figures/networks.py, in a drawing that is 200 wide.
  function draw(svg, text, data) {
    const { edges, places } = unpack(text, data);
    const ink = edges.reduce((sum, e) => sum + Math.abs(e[2]), 0);
    const thin = Math.min(1, data.ink / Math.max(ink, 1e-9));
    svg.replaceChildren();
    edges.sort((a, b) => Math.abs(a[2]) - Math.abs(b[2]));
    for (const [i, j, value] of edges) {
      const strength = Math.abs(value);
      element(svg, "line", {
        x1: places[i][0],
        y1: places[i][1],
        x2: places[j][0],
        y2: places[j][1],
        stroke: value > 0 ? data.colours.positive : data.colours.negative,
        "stroke-width": (2.8 * (0.15 + strength * (0.2 + 0.6 * thin))).toFixed(2),
        "stroke-opacity": (strength * (0.25 + 0.65 * thin)).toFixed(3),
      });
    }
    let k = 0;
    data.shape.forEach((size, level) => {
      const kind = data.kinds[level];
      for (let n = 1; n <= size; n++) {
        const [cx, cy] = places[k++];
        const dot = element(svg, "circle", { cx, cy, r: RADII[kind], fill: data.colours[kind] });
        element(dot, "title", {}).textContent = `${kind} ${n}`;
      }
    });
  }

  function start(root) {
    const plot = root.closest(".hl-live").querySelector(".plotly-graph-div");
    const data = JSON.parse(root.querySelector("script").textContent);
    const select = root.querySelector("select"),
      range = root.querySelector("input");
    const svg = root.querySelector("svg"),
      said = root.querySelector("p");
    const number = (value) => value.toLocaleString("en");
    const power = (value) => value.toExponential(1).replace("-", "−");
    const last = data.steps[data.steps.length - 1];
    range.max = data.seeds[0].drawings.length - 1; // of larger runs, every `stride`-th beta is drawn

    // `clicked` is a point of the heat map, or nothing.
    function show(clicked) {
      const seed = data.seeds[select.selectedIndex],
        k = Number(range.value);
      const facts = `${seed.phase[k]}, loss ${seed.loss[k]}, KL ${number(seed.kl[k])} nats`;
      const beta = power(data.betas[k * data.stride]);
      const drawn = `seed ${seed.seed} at β = ${beta} and the last step, ${number(last)}: ${facts}`;
      draw(svg, seed.drawings[k], data);
      svg.setAttribute("aria-label", `Force-directed drawing of the network of ${drawn}.`);
      range.setAttribute("aria-valuetext", `${beta}, ${seed.phase[k]}`);
      said.textContent = `Drawn: ${drawn}.`;
      if (clicked && clicked.x !== last)
        said.textContent += ` You chose step ${number(clicked.x)}; a run keeps the weights of its last step only.`;
      mark(data.betas[k * data.stride]);
    }

    // A frame around the network that is drawn, and a line through those of the same beta.
    function mark(beta) {
      const half = data.betas.length > 1 ? Math.sqrt(data.betas[1] / data.betas[0]) : 3;
      const left = data.steps.length > 1 ? Math.sqrt(data.steps[data.steps.length - 2] * last) : last / 2;
      const line = { color: "#ffffff", width: 2 };
      const across = { type: "line", xref: "x domain", x0: 0, x1: 1, y0: beta, y1: beta };
      const frame = { type: "rect", x0: left, x1: (last * last) / left, y0: beta / half, y1: beta * half };
      Plotly.relayout(plot, {
        shapes: [
          { ...across, line: { ...line, width: 1, dash: "dot" } },
          { ...frame, line },
        ],
      });
    }

    select.addEventListener("change", () => {
      Plotly.restyle(plot, { visible: data.seeds.map((_, k) => k === select.selectedIndex) });
      show();
    });
    range.addEventListener("input", () => show());
    plot.on("plotly_click", (event) => {
      const point = event.points[0];
      range.value = Math.round(point.pointIndex[0] / data.stride);
      show(point);
    });
    Plotly.relayout(plot, { sliders: [] }); // the list of seeds is in its place
    Plotly.Plots.resize(plot); // it was made before there was anything beside it
    show();
  }

  for (const root of document.querySelectorAll(".hl-explorer:not([data-ready])")) {
    root.dataset.ready = "";
    start(root);
  }
})();
