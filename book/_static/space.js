// The space of order parameters: turned, and asked for its numbers, with keys; see book/hyperbook/figures/order_space.py.
(() => {
  const DEGREE = Math.PI / 180;
  const RING = { symbol: "circle-open", size: 9, color: "#8c8c8c", line: { width: 3 } }; // around the chosen network

  function start(root) {
    const plot = root.closest(".hl-live").querySelector(".plotly-graph-div");
    const [turn, tilt, beta] = ["turn", "tilt", "beta"].map((name) => root.querySelector(`input[name=${name}]`));
    const select = root.querySelector("select");
    const said = root.querySelector("p");
    const networks = plot.data.length; // lines; the ring comes after them
    let distance;

    function name(range) {
      range.setAttribute("aria-valuetext", `${range.value} degrees`);
    }

    // The sliders follow the camera, whose place is an angle around the vertical axis, one above the ground, and a distance.
    function follow({ x, y, z }) {
      distance = Math.hypot(x, y, z);
      turn.value = Math.atan2(y, x) / DEGREE;
      tilt.value = Math.asin(z / distance) / DEGREE;
      for (const range of [turn, tilt]) name(range);
    }

    function move() {
      const [around, above] = [turn, tilt].map((range) => Number(range.value) * DEGREE);
      const [across, z] = [distance * Math.cos(above), distance * Math.sin(above)];
      Plotly.relayout(plot, { "scene.camera.eye": { x: across * Math.cos(around), y: across * Math.sin(around), z } });
    }

    function show() {
      const { x, y, z, text } = plot._fullData[select.selectedIndex];
      beta.max = text.length - 1;
      const k = Number(beta.value);
      const [where, ...facts] = text[k].split("<br>");
      said.textContent = `Ringed: ${[where, ...facts].join("; ")}.`;
      beta.setAttribute("aria-valuetext", `${where.split(", ").at(-1)}, ${facts[0]}`);
      Plotly.restyle(plot, { x: [[x[k]]], y: [[y[k]]], z: [[z[k]]] }, [networks]);
    }

    for (const range of [turn, tilt]) {
      range.addEventListener("input", () => {
        name(range);
        move();
      });
    }
    for (const control of [beta, select]) control.addEventListener("input", show);
    plot.on("plotly_relayout", (change) => change["scene.camera"] && follow(change["scene.camera"].eye));
    const ring = { type: "scatter3d", mode: "markers", marker: RING, x: [], y: [], z: [] };
    follow(plot.layout.scene.camera.eye);
    Plotly.addTraces(plot, { ...ring, showlegend: false, hoverinfo: "skip" }).then(show);
  }

  for (const root of document.querySelectorAll(".hl-space:not([data-ready])")) {
    root.dataset.ready = "";
    start(root);
  }
})();
