// The slider over beta: draws the network of the chosen beta, see book/hyperbook/figures/slider.py.
(() => {
  function start(root) {
    const data = JSON.parse(root.querySelector("script").textContent);
    const range = root.querySelector("input");
    const said = root.querySelector(".hl-chosen");
    const drawing = new hyperlib.network.Drawing(root.querySelector("canvas")).follow();
    root.closest(".hl-figure").classList.remove("hl-waiting");

    function show() {
      const k = Number(range.value);
      const { net, positions } = hyperlib.network.unpack(data.drawings[k], data);
      drawing.glide(net, positions);
      said.innerHTML = data.captions[k];
      range.setAttribute("aria-valuetext", said.textContent);
      drawing.canvas.setAttribute("aria-label", `Force-directed drawing: ${said.textContent}`);
    }

    range.max = data.drawings.length - 1;
    range.addEventListener("input", show);
    show();
  }

  for (const root of document.querySelectorAll(".hl-slider:not([data-ready])")) {
    root.dataset.ready = "";
    start(root);
  }
})();
