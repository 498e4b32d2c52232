// Networks on a canvas: the one renderer of the book's interactive figures, with the looks of hyperlib/figures/networks.py.
globalThis.hyperlib ??= {};

hyperlib.network = (() => {
  const FAINT = 0.08; // edges below this share of their layer's strongest one are not drawn
  const INK = 110; // sum of the relative strengths of all edges above which a drawing is thinned out
  const HAIRLINES = 60; // number of hairlines above which they are thinned out
  const RADII = { input: 0.018, hidden: 0.0096, output: 0.021 }; // of neurons, in parts of the drawing's width
  const MARGIN = 1.09; // of the outermost neuron
  const REACH = 0.05; // parts of the width within which pointing finds a neuron
  const GLIDE = 300; // milliseconds from one network to the next

  const total = (shape) => shape.reduce((a, b) => a + b, 0);
  const kind = (shape, level) => (level === 0 ? "input" : level === shape.length - 1 ? "output" : "hidden");
  const strongest = (numbers) => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;

  // Level and place in it, from 0, of neuron number `index`, counted level by level.
  function locate(shape, index) {
    let level = 0;
    for (; index >= shape[level]; level++) index -= shape[level];
    return { level, index, kind: kind(shape, level) };
  }

  // The edges to draw, hairlines first, then from weak to strong. Those of the first layer are drawn by their effect on
  // the output, W_ij |v_j|, and later ones, which are nearly alike in many networks, as hairlines.
  function edgesOf({ shape, weights }) {
    const reach = behind({ shape, weights });
    const effect = Float64Array.from(weights[0], (w, e) => w * reach[e % shape[1]]);
    const edges = [];
    let first = 0;
    weights.forEach((weight, l) => {
      const [n, m] = [shape[l], shape[l + 1]];
      const values = l ? weight : effect;
      const most = strongest(values);
      values.forEach((value, e) => {
        const strength = Math.abs(value) / most;
        const ends = [first + Math.floor(e / m), first + n + (e % m)];
        if (strength > FAINT) edges.push({ ends, strength, sign: Math.sign(value), hairline: l > 0 });
      });
      first += n;
    });
    return edges.sort((a, b) => b.hairline - a.hairline || a.strength - b.strength);
  }

  // |v_j| of each neuron of the first hidden layer: the length of its weights to the output, or with several hidden
  // layers a bound on its effect. 1 where there is no hidden layer.
  function behind({ shape, weights }) {
    let reach = new Float64Array(shape[1]).fill(1);
    for (let l = weights.length - 1; l > 0; l--) {
      const m = shape[l + 1];
      const row = (j) => weights[l].subarray(j * m, (j + 1) * m);
      const after = reach;
      const last = l === weights.length - 1;
      const length = (j) => Math.hypot(...row(j));
      const bound = (j) => row(j).reduce((sum, w, k) => sum + Math.abs(w) * after[k], 0);
      reach = Float64Array.from({ length: shape[l] }, (_, j) => (last ? length(j) : bound(j)));
    }
    return reach;
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

    // Move smoothly from the network that is shown to another one of the same shape.
    glide(net, positions) {
      cancelAnimationFrame(this.gliding);
      const before = { net: this.net, positions: this.positions };
      const alike = this.net && `${this.net.shape}` === `${net.shape}`;
      if (!alike || matchMedia("(prefers-reduced-motion: reduce)").matches) {
        this.show(net, positions);
        return;
      }
      const between = (a, b, share) => b.map((value, k) => a[k] + share * (value - a[k]));
      const start = performance.now();
      const move = (now) => {
        const time = Math.min(1, Math.max(0, (now - start) / GLIDE));
        const share = time * time * (3 - 2 * time);
        const weights = net.weights.map((weight, l) => between(before.net.weights[l], weight, share));
        this.show(time < 1 ? { ...net, weights } : net, between(before.positions, positions, share), this.marked);
        if (time < 1) this.gliding = requestAnimationFrame(move);
      };
      this.gliding = requestAnimationFrame(move);
    }

    // Mark and name the neuron that is pointed at.
    follow() {
      const mark = (marked) => {
        if (marked === this.marked || !this.net) return;
        const { kind, index } = marked === null ? {} : locate(this.net.shape, marked);
        this.canvas.title = marked === null ? "" : `${kind} ${index + 1}`;
        this.marked = marked;
        this.paint();
      };
      this.canvas.addEventListener("pointermove", (event) => mark(this.find(event.offsetX, event.offsetY)));
      this.canvas.addEventListener("pointerleave", () => mark(null));
      return this;
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
      const faint = 0.5 * Math.min(1, HAIRLINES / this.edges.filter((edge) => edge.hairline).length);
      context.lineCap = "round";
      for (const { ends, strength, sign, hairline } of this.edges) {
        const alpha = strength * (hairline ? faint : 0.3 + 0.65 * thin);
        const touched = ends.includes(this.marked);
        context.globalAlpha = this.marked === null ? alpha : touched ? Math.max(alpha, 0.6) : alpha / 4;
        context.strokeStyle = hairline ? colour.line : sign > 0 ? colour.positive : colour.negative;
        context.lineWidth = hairline ? 0.0017 * size : (size * (0.15 + strength * (0.2 + 0.9 * thin))) / 72;
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

  // A network and its positions from the text that `pack` in book/hyperbook/figures/slider.py makes.
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
