// The phase diagrams to point at: draws the network of the chosen seed and beta, see hyperlib/figures/explorer.py.
(() => {
  function start(root) {
    const plot = root.closest(".hl-live").querySelector(".plotly-graph-div");
    const data = JSON.parse(root.querySelector("script").textContent);
    const select = root.querySelector("select");
    const range = root.querySelector("input");
    const said = root.querySelector("p");
    const drawing = new hyperlib.network.Drawing(root.querySelector("canvas")).follow();
    const number = (value) => value.toLocaleString("en");
    const power = (value) => value.toExponential(1).replace("-", "−");
    const last = data.steps[data.steps.length - 1];
    range.max = data.seeds[0].drawings.length - 1; // of larger runs, every `stride`-th beta is drawn

    // `clicked` is a point of the heat map, or nothing.
    function show(clicked) {
      const seed = data.seeds[select.selectedIndex];
      const k = Number(range.value);
      const facts = `${seed.phase[k]}, loss ${seed.loss[k]}, KL ${number(seed.kl[k])} nats`;
      const beta = power(data.betas[k * data.stride]);
      const drawn = `seed ${seed.seed} at β = ${beta} and the last step, ${number(last)}: ${facts}`;
      const { net, positions } = hyperlib.network.unpack(seed.drawings[k], data);
      drawing.glide(net, positions);
      drawing.canvas.setAttribute("aria-label", `Force-directed drawing of the network of ${drawn}.`);
      range.setAttribute("aria-valuetext", `${beta}, ${seed.phase[k]}`);
      said.textContent = `Drawn: ${drawn}.`;
      // A run keeps the weights of its last step only. Of an earlier network of another kind the drawing would tell nothing: it fades.
      const other = clicked && clicked.x !== last && data.phases[clicked.z] !== seed.phase[k];
      drawing.canvas.classList.toggle("hl-other", Boolean(other));
      if (clicked && clicked.x !== last)
        said.textContent +=
          ` You chose step ${number(clicked.x)}, where it was ${other ? "still " : "already "}` +
          `${data.phases[clicked.z]}; a run keeps the weights of its last step only.`;
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
