// Views of a network with one hidden layer beside its drawing: the first layer as a matrix, and what the network does
// to one input. Both are told the network and the neuron that is marked; the matrix says which one is pointed at.
globalThis.hyperlib ??= {};

hyperlib.views = (() => {
  const READS = 0.5; // share of a neuron's squared weights on one input from which on it is that input's own
  const REACH = 3; // responses are drawn for inputs between -REACH and REACH
  const POINTS = 49; // on a line
  const NODES = 25; // of the quadrature over what the other inputs do

  const swish = (x) => x / (1 + Math.exp(-x));

  // The input that each hidden neuron reads alone, or -1.
  function owners({ shape, weights }) {
    const [n, m] = shape;
    return Int32Array.from({ length: m }, (_, j) => {
      let [total, most, owner] = [0, 0, -1];
      for (let i = 0; i < n; i++) {
        const square = weights[0][i * m + j] ** 2;
        total += square;
        if (square > most) [most, owner] = [square, i];
      }
      return most > READS * total ? owner : -1;
    });
  }

  // Hidden neurons in the order of the matrix: those of an input's own first, from positive to negative, then the rest.
  function order(net) {
    const [n, m] = net.shape;
    const owner = owners(net);
    const key = (j) => (owner[j] < 0 ? n : owner[j]);
    const value = (j) => (owner[j] < 0 ? 0 : net.weights[0][owner[j] * m + j]);
    const sorted = Array.from({ length: m }, (_, j) => j);
    sorted.sort((a, b) => key(a) - key(b) || value(b) - value(a) || a - b);
    return { sorted, own: owner.filter((i) => i >= 0).length };
  }

  // --- the matrix ----------------------------------------------------------------------------------------------------

  class Matrix {
    constructor(canvas) {
      this.canvas = canvas;
      hyperlib.network.redraw(canvas, () => this.paint());
    }

    // `glide`, from 0 to 1, is how far the columns go towards their places.
    show(net, marked, glide = 1) {
      const { sorted, own } = order(net);
      if (this.columns?.length !== sorted.length) this.columns = Float64Array.from(sorted, () => 0);
      if (net.shape !== this.net?.shape) glide = 1;
      sorted.forEach((j, place) => {
        this.columns[j] += glide * (place - this.columns[j]);
      });
      Object.assign(this, { net, marked, sorted, own });
      this.paint();
    }

    paint() {
      if (!this.net || !this.canvas.clientWidth) return;
      const { context, width, height } = hyperlib.network.prepare(this.canvas);
      const colour = hyperlib.network.colours(this.canvas);
      const [n, m] = this.net.shape;
      const W = this.net.weights[0];
      const most = hyperlib.network.strongest(W);
      const [w, h] = [width / m, height / n];
      W.forEach((value, e) => {
        context.globalAlpha = Math.abs(value) / most;
        context.fillStyle = value > 0 ? colour.positive : colour.negative;
        context.fillRect(this.columns[e % m] * w, Math.floor(e / m) * h, w + 0.3, h + 0.3);
      });
      context.globalAlpha = 1;
      context.strokeStyle = colour.text;
      if (this.own > 0 && this.own < m) {
        context.setLineDash([3, 3]);
        context.beginPath();
        context.moveTo(this.own * w, 0);
        context.lineTo(this.own * w, height);
        context.stroke();
        context.setLineDash([]);
      }
      if (this.marked === null) return;
      const { level, index } = hyperlib.network.locate(this.net.shape, this.marked);
      context.lineWidth = 2;
      if (level === 0) context.strokeRect(1, index * h, width - 2, h);
      if (level === 1) context.strokeRect(this.columns[index] * w, 1, w, height - 2);
    }

    // The hidden neuron or, left of the matrix's first column, the input at a point, as a number of a neuron.
    find(x, y) {
      if (!this.net) return null;
      const [n, m] = this.net.shape;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (x < 0 || y < 0 || x >= width || y >= height) return null;
      const j = this.sorted[Math.floor((x / width) * m)];
      const i = Math.floor((y / height) * n);
      // A cell without colour belongs to its row.
      const weight = Math.abs(this.net.weights[0][i * m + j]);
      return weight > 0.2 * hyperlib.network.strongest(this.net.weights[0]) ? n + j : i;
    }
  }

  // --- the response to one input -----------------------------------------------------------------------------------------

  // Lines of what a network does to input `i` while the others are normal, as `response` in book/hyperbook/figures/responses.py:
  // the target |x|, the input's own neurons by the sign of their weight, all others, the network, and one neuron alone.
  // What the others add to a neuron's input is normal, so that the mean over them is an integral in one dimension.
  function responses(net, i, neuron = null) {
    const [n, m] = net.shape;
    const [W, v] = net.weights;
    const { mean, std } = hyperlib.math.moments(n);
    const owner = owners(net);
    const sums = { positive: null, negative: null, others: null, neuron: null, network: new Float64Array(POINTS) };
    const counts = { positive: 0, negative: 0, others: 0 };
    const nodes = Float64Array.from({ length: NODES }, (_, k) => (10 * k) / (NODES - 1) - 5);
    const density = nodes.map((z) => Math.exp((-z * z) / 2));
    const whole = density.reduce((a, b) => a + b, 0);
    for (let j = 0; j < m; j++) {
      let variance = 0;
      for (let k = 0; k < n; k++) variance += k === i ? 0 : W[k * m + j] ** 2;
      const spread = Math.sqrt(variance);
      const weight = W[i * m + j];
      const part = owner[j] !== i ? "others" : weight > 0 ? "positive" : "negative";
      counts[part] += 1;
      const line = Float64Array.from({ length: POINTS }, (_, p) => {
        const centre = net.biases[0][j] + weight * at(p);
        let sum = 0;
        for (let k = 0; k < NODES; k++) sum += density[k] * swish(centre + spread * nodes[k]);
        return (std * v[j] * sum) / whole;
      });
      for (const name of j === neuron ? [part, "network", "neuron"] : [part, "network"]) {
        sums[name] ??= new Float64Array(POINTS);
        for (let p = 0; p < POINTS; p++) sums[name][p] += line[p];
      }
    }
    // The target is 0 where the input is 0, and the network keeps its offset from it. Own neurons are shifted so that
    // their flat side is at 0, all others to 0 where the input is 0.
    const offset = std * net.biases[1][0] + mean - (n - 1) * Math.sqrt(2 / Math.PI);
    const middle = (POINTS - 1) / 2;
    const flat = {
      positive: 0,
      negative: POINTS - 1,
      others: middle,
      neuron: weightOf(net, i, neuron) > 0 ? 0 : POINTS - 1,
    };
    const lines = { target: Float64Array.from({ length: POINTS }, (_, p) => Math.abs(at(p))) };
    for (const [name, line] of Object.entries(sums)) {
      if (line) lines[name] = line.map((y) => y + (name === "network" ? offset : -line[flat[name]]));
    }
    if (!counts.positive && !counts.negative) delete lines.others; // they are the network
    return { lines, counts };
  }

  const at = (point) => REACH * ((2 * point) / (POINTS - 1) - 1);
  const weightOf = (net, i, j) => (j === null ? 0 : net.weights[0][i * net.shape[1] + j]);

  const NS = "http://www.w3.org/2000/svg";
  const LINES = {
    target: "|x|",
    positive: "own neurons, weight > 0",
    negative: "own neurons, weight < 0",
    own: "neurons that read the sum",
    others: "all other neurons",
    network: "the network",
    neuron: "the marked neuron",
  };

  // At most eight round numbers from low to high, 1 apart or more, however far these are from each other.
  const marks = (low, high) => {
    const apart = Math.max(1, (high - low) / 7);
    const unit = 10 ** Math.floor(Math.log10(apart));
    const step = unit * [1, 2, 5, 10].find((times) => times * unit >= apart);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, k) => (first + k) * step);
  };

  class Response {
    constructor(svg, list, labels = LINES) {
      Object.assign(this, { svg, list });
      legend(list, labels);
      new ResizeObserver(() => this.paint()).observe(svg);
    }

    // `lines` by name, each over inputs from -REACH to REACH; `counts` of neurons; what the inputs are called.
    show(shown) {
      this.shown = shown;
      this.paint();
    }

    paint() {
      const [width, height] = [this.svg.clientWidth, this.svg.clientHeight];
      if (!this.shown || !width) return;
      const { lines, counts, label } = this.shown;
      const all = Object.values(lines).flatMap((line) => [Math.min(...line), Math.max(...line)]);
      const [low, high] = [Math.min(-0.5, ...all), Math.max(3.2, ...all)];
      const [left, right, top, bottom] = [30, 8, 8, 34];
      const x = (value) => left + ((width - left - right) * (value + REACH)) / (2 * REACH);
      const y = (value) => top + ((height - top - bottom) * (high - value)) / (high - low);
      const ticks = marks(low, high);
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.replaceChildren(
        ...ticks.map((t) => element("line", { class: "grid", x1: left, x2: width - right, y1: y(t), y2: y(t) })),
        ...ticks.map((t) => text(left - 6, y(t) + 4, minus(t), "end")),
        ...[-3, -2, -1, 0, 1, 2, 3].map((t) => text(x(t), height - bottom + 16, minus(t), "middle")),
        text((left + width - right) / 2, height - 3, label, "middle"),
        ...Object.keys(LINES)
          .filter((name) => lines[name])
          .map((name) => {
            const at = (p) => REACH * ((2 * p) / (lines[name].length - 1) - 1);
            const points = Array.from(lines[name], (value, p) => `${x(at(p)).toFixed(1)},${y(value).toFixed(1)}`);
            return element("polyline", { class: `line ${name}`, points: points.join(" ") });
          }),
      );
      for (const item of this.list.children) {
        const name = item.dataset.line;
        item.hidden = !lines[name];
        item.querySelector(".count").textContent = counts[name] && name !== "network" ? ` (${counts[name]})` : "";
      }
    }
  }

  const minus = (number) => String(number).replace("-", "−");

  function element(name, attributes) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function text(x, y, content, anchor) {
    const made = element("text", { x, y, "text-anchor": anchor });
    made.textContent = content;
    return made;
  }

  // The legend of a response: one item per line, with a sample.
  function legend(list, labels) {
    for (const [name, label] of Object.entries(labels)) {
      const item = document.createElement("li");
      item.dataset.line = name;
      const sample = element("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" });
      sample.append(element("line", { class: `line ${name}`, x1: 2, x2: 22, y1: 4, y2: 4 }));
      const count = document.createElement("span");
      count.className = "count";
      item.append(sample, label, count);
      list.append(item);
    }
  }

  // Numbers to read: with few digits, and as a power of ten.
  const format = (number, digits = 2) =>
    (Math.abs(number) >= 1000
      ? Math.round(number).toLocaleString("en")
      : String(Number(number.toPrecision(digits)))
    ).replace("-", "−");
  const power = (number) => {
    const [digits, exponent] = number.toExponential(1).split("e");
    const raised = Array.from(String(Number(exponent)), (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("");
    return number === 1 ? "1" : `${digits === "1.0" ? "" : `${digits} · `}10${raised}`;
  };

  return { LINES, Matrix, Response, format, marks, owners, power, responses };
})();
