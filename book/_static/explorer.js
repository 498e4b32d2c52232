// The phase diagrams to point at: draws the network of the chosen seed and beta, see hyperlib/figures/explorer.py.
(() => {
  function start(root) {
    const plot = root.closest(".hl-live").querySelector(".plotly-graph-div");
    const data = JSON.parse(root.querySelector("script").textContent);
    const select = root.querySelector("select");
    const beta = root.querySelector("input[name=beta]");
    const step = root.querySelector("input[name=step]");
    const said = root.querySelector("p");
    const drawing = new hyperlib.network.Drawing(root.querySelector("canvas")).follow();
    const number = (value) => value.toLocaleString("en");
    const power = (value) => value.toExponential(1).replace("-", "−");
    const last = data.steps.length - 1;
    beta.max = data.seeds[0].drawings.length - 1; // of larger runs, every `stride`-th beta is drawn
    step.max = step.value = last;

    // Algorithm, loss and KL of the chosen seed at the beta and the step of these numbers.
    function cell(b, s) {
      const { z, customdata } = plot._fullData[select.selectedIndex];
      const [loss, kl] = customdata[b][s];
      return { phase: data.phases[Math.floor(z[b][s] / data.shades)], loss, kl };
    }

    function show() {
      const seed = data.seeds[select.selectedIndex];
      const [k, s] = [Number(beta.value), Number(step.value)];
      const facts = ({ phase, loss, kl }) => `${phase}, loss ${loss}, KL ${number(kl)} nats`;
      const value = data.betas[k * data.stride];
      const end = { phase: seed.phase[k], loss: seed.loss[k], kl: seed.kl[k] };
      const drawn = `seed ${seed.seed} at β = ${power(value)} and the last step, ${number(data.steps[last])}: ${facts(end)}`;
      const { net, positions } = hyperlib.network.unpack(seed.drawings[k], data);
      drawing.glide(net, positions);
      drawing.canvas.setAttribute("aria-label", `Force-directed drawing of the network of ${drawn}.`);
      said.textContent = `Drawn: ${drawn}.`;
      // A run keeps the weights of its last step only. Of an earlier network of another kind the drawing would tell nothing: it fades.
      const chosen = cell(k * data.stride, s);
      const other = s < last && chosen.phase !== end.phase;
      drawing.canvas.classList.toggle("hl-other", other);
      if (s < last) {
        const [loss, kl] = [chosen.loss, chosen.kl].map((x) => Number(x.toPrecision(3)));
        said.textContent +=
          ` You chose step ${number(data.steps[s])}, where it was ${other ? "still" : "already"} ` +
          `${facts({ ...chosen, loss, kl })}; a run keeps the weights of its last step only.`;
      }
      beta.setAttribute("aria-valuetext", `${power(value)}, ${chosen.phase}`);
      step.setAttribute("aria-valuetext", `${number(data.steps[s])}, ${chosen.phase}`);
      mark(value, s);
    }

    // A line through the networks of the same beta, frames around the one that is chosen and the one that is drawn: white
    // on black, to be seen on any shade.
    function mark(value, s) {
      const half = data.betas.length > 1 ? Math.sqrt(data.betas[1] / data.betas[0]) : 3;
      const frame = (at) => {
        const x = data.steps[at];
        const left = at ? Math.sqrt(data.steps[at - 1] * x) : last ? x / Math.sqrt(data.steps[1] / x) : x / 2;
        const right = at < last ? Math.sqrt(data.steps[at + 1] * x) : (x * x) / left;
        return { type: "rect", x0: left, x1: right, y0: value / half, y1: value * half };
      };
      const across = { type: "line", xref: "x domain", x0: 0, x1: 1, y0: value, y1: value };
      const shapes = [
        { ...across, line: { color: "#000000", width: 1 } },
        { ...across, line: { color: "#ffffff", width: 1, dash: "dot" } },
      ];
      for (const at of s < last ? [s, last] : [last]) {
        shapes.push({ ...frame(at), line: { color: "#000000", width: 4 } });
        shapes.push({ ...frame(at), line: { color: "#ffffff", width: 2 } });
      }
      Plotly.relayout(plot, { shapes });
    }

    // Hovering names the algorithm too.
    function name(k) {
      const text = plot._fullData[k].z.map((row) => Array.from(row, (z) => data.phases[Math.floor(z / data.shades)]));
      Plotly.restyle(plot, { text: [text], hovertemplate: `%{text}<br>${plot._fullData[k].hovertemplate}` }, [k]);
    }

    select.addEventListener("change", () => {
      const chosen = select.selectedIndex;
      Plotly.restyle(plot, { visible: data.seeds.map((_, k) => k === chosen) });
      if (!plot._fullData[chosen].text) name(chosen);
      show();
    });
    for (const range of [beta, step]) range.addEventListener("input", show);
    plot.on("plotly_click", (event) => {
      const [b, s] = event.points[0].pointIndex;
      beta.value = Math.round(b / data.stride);
      step.value = s;
      show();
    });
    Plotly.relayout(plot, { sliders: [] }); // the list of seeds is in its place
    Plotly.Plots.resize(plot); // it was made before there was anything beside it
    name(0);
    show();
  }

  for (const root of document.querySelectorAll(".hl-explorer:not([data-ready])")) {
    root.dataset.ready = "";
    start(root);
  }
})();
