// Networks on a canvas: the one renderer of the book's interactive figures, with the looks of hyperlib/figures/networks.py.
globalThis.hyperlib ??= {};

hyperlib.network = (() => {
  const FAINT = 0.08; // edges below this share of the strongest effect are not drawn
  const INK = 60; // sum of the relative strengths of all edges above which a drawing is thinned out
  const RADII = { input: 0.019, hidden: 0.01, output: 0.02 }; // of neurons, in parts of the drawing's width
  const MARGIN = 1.09; // of the outermost neuron
  const REACH = 0.05; // parts of the width within which pointing finds a neuron

  const total = (shape) => shape.reduce((a, b) => a + b, 0);
  const kind = (shape, level) => (level === 0 ? "input" : level === shape.length - 1 ? "output" : "hidden");
  const strongest = (numbers) => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;

  // Level and place in it, from 0, of neuron number `index`, counted level by level.
  function locate(shape, index) {
    let level = 0;
    for (; index >= shape[level]; level++) index -= shape[level];
    return { level, index, kind: kind(shape, level) };
  }

  // What an edge does to the output: its weight times the absolute weights behind it, relative to the strongest. Those
  // of the last layer, which are nearly alike in many networks, are drawn as hairlines.
  function edgesOf({ shape, weights }) {
    let behind = new Float64Array(shape.at(-1)).fill(1);
    let first = total(shape) - shape.at(-1);
    const edges = [];
    for (let l = weights.length - 1; l >= 0; l--) {
      const [n, m] = [shape[l], shape[l + 1]];
      const effect = Float64Array.from(weights[l], (w, e) => w * behind[e % m]);
      const most = strongest(effect);
      const hairline = l > 0 && l === weights.length - 1;
      first -= n;
      effect.forEach((value, e) => {
        const strength = Math.abs(value) / most;
        if (!hairline && strength < FAINT) return;
        const ends = [first + Math.floor(e / m), first + n + (e % m)];
        edges.push({ ends, strength, sign: Math.sign(value), hairline });
      });
      behind = Float64Array.from({ length: n }, (_, i) => {
        let sum = 0;
        for (let j = 0; j < m; j++) sum += Math.abs(weights[l][i * m + j]) * behind[j];
        return sum;
      });
    }
    return edges.sort((a, b) => b.hairline - a.hairline || a.strength - b.strength);
  }

  // Size a canvas for the screen's pixels; returns its context, in CSS pixels, cleared, and its width and height.
  function prepare(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const pixels = globalThis.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * pixels), Math.round(height * pixels)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    const context = canvas.getContext("2d");
    context.setTransform(pixels, 0, 0, pixels, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, width, height };
  }

  // The page's colours, which follow its theme.
  function colours(element) {
    const style = getComputedStyle(element);
    const of = (name) => style.getPropertyValue(`--hl-${name}`).trim();
    return {
      positive: of("positive"),
      negative: of("negative"),
      text: style.color,
      hidden: of("hidden"),
      line: of("line"),
    };
  }

  // Call `paint` when the element gets another size or the page another theme.
  function redraw(element, paint) {
    new ResizeObserver(paint).observe(element);
    const theme = new MutationObserver(paint);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  }

  class Drawing {
    constructor(canvas) {
      this.canvas = canvas;
      redraw(canvas, () => this.paint());
    }

    // Show a network at `positions`, x and y of each neuron, perhaps with the neuron `marked`.
    show(net, positions, marked = null) {
      if (net !== this.net) this.edges = edgesOf(net);
      Object.assign(this, { net, positions, marked });
      this.paint();
    }

    // The square on the canvas: middle and scale.
    frame(width, height) {
      let radius = 1e-9;
      for (let k = 0; k < this.positions.length; k += 2) {
        radius = Math.max(radius, Math.hypot(this.positions[k], this.positions[k + 1]));
      }
      return { x: width / 2, y: height / 2, scale: Math.min(width, height) / 2 / (MARGIN * radius) };
    }

    paint() {
      if (!this.net || !this.canvas.clientWidth) return;
      const { context, width, height } = prepare(this.canvas);
      const colour = colours(this.canvas);
      const size = Math.min(width, height);
      const { x, y, scale } = this.frame(width, height);
      const at = (a) => [x + scale * this.positions[2 * a], y - scale * this.positions[2 * a + 1]];
      const ink = this.edges.reduce((sum, edge) => sum + (edge.hairline ? 0 : edge.strength), 0);
      const thin = Math.min(1, INK / ink);
      context.lineCap = "round";
      for (const { ends, strength, sign, hairline } of this.edges) {
        const touched = this.marked === null || ends.includes(this.marked);
        const alpha = hairline ? 0.35 : strength * (0.25 + 0.7 * thin);
        context.globalAlpha = this.marked === null ? alpha : touched ? Math.max(alpha, 0.6) : alpha / 5;
        context.strokeStyle = hairline ? colour.line : sign > 0 ? colour.positive : colour.negative;
        context.lineWidth = hairline ? 0.6 : size * (0.0012 + strength * (0.002 + 0.0105 * thin));
        context.beginPath();
        context.moveTo(...at(ends[0]));
        context.lineTo(...at(ends[1]));
        context.stroke();
      }
      context.globalAlpha = 1;
      const { shape } = this.net;
      for (let a = 0; a < total(shape); a++) this.neuron(context, at(a), locate(shape, a).kind, size, a, colour);
    }

    neuron(context, [x, y], what, size, number, colour) {
      const radius = Math.max(1.8, RADII[what] * size);
      context.fillStyle = what === "hidden" ? colour.hidden : colour.text;
      context.beginPath();
      if (what === "output") context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
      if (number !== this.marked) return;
      context.strokeStyle = colour.text;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, radius + 5, 0, 2 * Math.PI);
      context.stroke();
    }

    // The neuron at a point of the canvas, or null.
    find(px, py) {
      if (!this.net) return null;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      const { x, y, scale } = this.frame(width, height);
      let [found, least] = [null, (REACH * Math.min(width, height)) ** 2];
      for (let a = 0; 2 * a < this.positions.length; a++) {
        const square =
          (x + scale * this.positions[2 * a] - px) ** 2 + (y - scale * this.positions[2 * a + 1] - py) ** 2;
        if (square < least) [found, least] = [a, square];
      }
      return found;
    }
  }

  // A network and its positions from the text that `pack` in hyperlib/figures/networks.py makes.
  function unpack(text, { shape, digits, levels }) {
    const digit = Array.from(text, (c) => digits.indexOf(c));
    let k = 0;
    const weights = shape
      .slice(1)
      .map((m, l) => Float64Array.from({ length: shape[l] * m }, () => digit[k++] / levels - 1));
    const positions = Float64Array.from({ length: 2 * total(shape) }, () => {
      const number = digits.length * digit[k++] + digit[k++];
      return (2 * number) / (digits.length ** 2 - 1) - 1;
    });
    return { net: { shape, weights }, positions };
  }

  return { Drawing, colours, locate, prepare, redraw, strongest, total, unpack };
})();
