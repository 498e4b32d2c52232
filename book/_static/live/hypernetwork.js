// Hyperhypernetwork, hypernetwork and what is measured on a generated network: the method of appendix B.2 in JavaScript.
//
// The names, the layouts of all arrays and the order of the noise are those of hyperlib/hypernetwork.py; the tests hold
// the numbers to it. Arrays are flat and features come first: a feature's numbers for all sides and edges lie together.
// Everything stands in one function, because its text also runs in a worker, which a page opened from disk cannot load.
globalThis.hyperlib ??= {};

hyperlib.hypernetwork = () => {
  const ENCODER = 0;
  const SIGMA_FLOOR = 1e-6; // as in the library
  const HIDDEN = [100, 10]; // hidden layers of the hyperhypernetwork

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const swish = (x) => x / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const product = (size) => size.reduce((a, b) => a * b, 1);

  // --- numbers from text ---------------------------------------------------------------------------------------------

  // Half precision numbers, little endian, in base64.
  function decodeHalf(text) {
    const bytes = atob(text);
    const out = new Float64Array(bytes.length / 2);
    for (let k = 0; k < out.length; k++) {
      const half = bytes.charCodeAt(2 * k) | (bytes.charCodeAt(2 * k + 1) << 8);
      const sign = half & 0x8000 ? -1 : 1;
      const exponent = (half >> 10) & 31;
      const fraction = half & 1023;
      if (exponent === 31) out[k] = fraction ? NaN : sign * Infinity;
      else out[k] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
    }
    return out;
  }

  // --- random numbers ------------------------------------------------------------------------------------------------

  // The generator of torch on the CPU (the Mersenne Twister mt19937), so that a generation seed means the same here.
  class Generator {
    constructor(seed) {
      this.state = new Uint32Array(624);
      this.state[0] = seed;
      for (let k = 1; k < 624; k++) {
        const last = this.state[k - 1] ^ (this.state[k - 1] >>> 30);
        this.state[k] = Math.imul(1812433253, last) + k;
      }
      this.next = 624;
    }

    twist() {
      const s = this.state;
      for (let k = 0; k < 624; k++) {
        const y = (s[k] & 0x80000000) | (s[(k + 1) % 624] & 0x7fffffff);
        s[k] = s[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.next = 0;
    }

    // Uniform on [0, 1) with 24 bits, as torch draws a single precision number.
    uniform() {
      if (this.next === 624) this.twist();
      let y = this.state[this.next++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      y ^= y >>> 18;
      return (y & 0xffffff) / 0x1000000;
    }

    // What torch.randn(size) gives for a size of at least 16: pairs eight apart, by the method of Box and Muller.
    normal(size) {
      const padded = Math.max(size, 16);
      const out = new Float64Array(padded);
      for (let k = 0; k < padded; k++) out[k] = this.uniform();
      for (let k = 0; k + 16 <= padded; k += 16) boxMuller(out, k);
      if (padded % 16) {
        for (let k = padded - 16; k < padded; k++) out[k] = this.uniform();
        boxMuller(out, padded - 16);
      }
      return out.subarray(0, size);
    }
  }

  function boxMuller(out, first) {
    for (let k = first; k < first + 8; k++) {
      const radius = Math.sqrt(-2 * Math.log(1 - out[k]));
      const angle = 2 * Math.PI * out[k + 8];
      out[k] = radius * Math.cos(angle);
      out[k + 8] = radius * Math.sin(angle);
    }
  }

  // --- shapes --------------------------------------------------------------------------------------------------------

  // The layers of a target network: number of the first edge, n_l and n_{l+1}. Edge (i, j) is first + i n_{l+1} + j.
  function layersOf(shape) {
    let first = 0;
    return shape.slice(1).map((m, l) => {
      const layer = { first, n: shape[l], m };
      first += layer.n * m;
      return layer;
    });
  }

  const edgesOf = (shape) => shape.slice(1).reduce((sum, m, l) => sum + shape[l] * m, 0);

  // Hyperfeatures that the linear map gives to the blocks and that leave a hyperlayer, and where each block stands among
  // them: from the architecture's table of blocks, as the library has it.
  function widths({ blocks }) {
    const width = { in: 0, out: 0, from: {}, to: {} };
    for (const [name, taken, given] of blocks) {
      width.from[name] = width.in;
      width.to[name] = width.out;
      width.in += taken;
      width.out += given;
    }
    return width;
  }

  // Name and shape of all hyperweights in the order in which they are flattened.
  function sizesOf(shape, a) {
    const width = widths(a);
    const sizes = [["bias1", [width.in]]];
    for (let k = 2; k <= a.hyperdepth; k++) {
      sizes.push([`weight${k}`, [width.in, width.out]], [`bias${k}`, [width.in]]);
    }
    sizes.push(["weight_out", [2, width.out]], ["bias_out", [2]]);
    for (let k = 1; k < a.hyperdepth; k++) sizes.push([`learned${k}`, [a.learned, edgesOf(shape)]]);
    return sizes;
  }

  // Standard normal numbers that one generated network consumes.
  const noiseSize = (shape, a) => (a.hyperdepth * (a.channel + 2 * a.random) - a.random) * edgesOf(shape);

  // --- parts of a hyperlayer -------------------------------------------------------------------------------------------

  // out[o] = bias[o] + sum_f weight[o, f] x[f], for `rows` features o; x has a row of `columns` numbers per feature.
  // Two rows of sums and four features at a time, so that memory is read and written as little as possible.
  function linear(weight, bias, x, features, columns, rows) {
    const out = new Float64Array(rows * columns);
    const row = (all, k) => all.subarray(k * columns, (k + 1) * columns);
    for (let o = 0; o < rows; o += 2) {
      const sum = row(out, o).fill(bias[o]);
      const next = o + 1 < rows ? row(out, o + 1).fill(bias[o + 1]) : new Float64Array(columns);
      const v = weight.subarray(o * features, (o + 1) * features);
      const w = o + 1 < rows ? weight.subarray((o + 1) * features, (o + 2) * features) : v;
      let f = 0;
      for (; f + 4 <= features; f += 4) {
        const [v0, v1, v2, v3] = [v[f], v[f + 1], v[f + 2], v[f + 3]];
        const [w0, w1, w2, w3] = [w[f], w[f + 1], w[f + 2], w[f + 3]];
        const x0 = row(x, f);
        const x1 = row(x, f + 1);
        const x2 = row(x, f + 2);
        const x3 = row(x, f + 3);
        for (let c = 0; c < columns; c++) {
          sum[c] += v0 * x0[c] + v1 * x1[c] + v2 * x2[c] + v3 * x3[c];
          next[c] += w0 * x0[c] + w1 * x1[c] + w2 * x2[c] + w3 * x3[c];
        }
      }
      for (; f < features; f++) {
        const x0 = row(x, f);
        for (let c = 0; c < columns; c++) {
          sum[c] += v[f] * x0[c];
          next[c] += w[f] * x0[c];
        }
      }
    }
    return out;
  }

  // Self-attention at every neuron over the edges that touch it. `heads` has rows query, key, value (d each) for the
  // neuron in front of the edge, then for the one behind; the result has d rows from each.
  function attention(heads, shape, d, sides) {
    const layers = layersOf(shape);
    const edges = edgesOf(shape);
    const columns = sides * edges;
    const out = new Float64Array(2 * d * columns);
    const scale = 1 / Math.sqrt(d);
    for (let level = 0; level < shape.length; level++) {
      const before = level ? shape[level - 1] : 0;
      const tokens = before + (level + 1 < shape.length ? shape[level + 1] : 0);
      const edge = new Int32Array(tokens);
      const query = new Float64Array(tokens * d);
      const key = new Float64Array(tokens * d);
      const value = new Float64Array(tokens * d);
      const share = new Float64Array(tokens);
      for (let side = 0; side < sides; side++) {
        for (let neuron = 0; neuron < shape[level]; neuron++) {
          for (let t = 0; t < tokens; t++) {
            // Of an incoming edge this neuron is the one in front, of an outgoing edge the one behind.
            const incoming = t < before;
            const { first, m } = layers[incoming ? level - 1 : level];
            edge[t] = side * edges + first + (incoming ? t * m + neuron : neuron * m + t - before);
            const row = incoming ? 0 : 3 * d;
            for (let k = 0; k < d; k++) {
              query[t * d + k] = heads[(row + k) * columns + edge[t]] * scale;
              key[t * d + k] = heads[(row + d + k) * columns + edge[t]];
              value[t * d + k] = heads[(row + 2 * d + k) * columns + edge[t]];
            }
          }
          for (let t = 0; t < tokens; t++) {
            let largest = -Infinity;
            for (let u = 0; u < tokens; u++) {
              let score = 0;
              for (let k = 0; k < d; k++) score += query[t * d + k] * key[u * d + k];
              share[u] = score;
              if (score > largest) largest = score;
            }
            let total = 0;
            for (let u = 0; u < tokens; u++) total += share[u] = Math.exp(share[u] - largest);
            const row = t < before ? 0 : d;
            for (let k = 0; k < d; k++) {
              let sum = 0;
              for (let u = 0; u < tokens; u++) sum += share[u] * value[u * d + k];
              out[(row + k) * columns + edge[t]] = sum / total;
            }
          }
        }
      }
    }
    return out;
  }

  // Sinusoidal codes of i on edges of the first layer, of j on edges of the last, and of l: a state that holds no more.
  function positions(shape, a, sides) {
    const width = widths(a);
    const layers = layersOf(shape);
    const edges = edgesOf(shape);
    const out = new Float64Array(width.out * sides * edges);
    layers.forEach(({ first, n, m }, l) => {
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) {
          const coded = { "position of l": l };
          if (l === 0) coded["position of i"] = i;
          if (l === layers.length - 1) coded["position of j"] = j;
          Object.entries(coded).forEach(([block, index]) => {
            a.periods.forEach((period, p) => {
              const angle = (2 * Math.PI * index) / period;
              for (let side = 0; side < sides; side++) {
                const at = (row) => ((width.to[block] + row) * sides + side) * edges + first + i * m + j;
                out[at(p)] = Math.sin(angle);
                out[at(a.periods.length + p)] = Math.cos(angle);
              }
            });
          });
        }
      }
    });
    return out;
  }

  // The KL channel: samples for both sides, (channel, edges), and the sum of KL(q‖p) in nats. Without the encoder there
  // is one side, samples come from p and no KL is paid. Rows of `latent` are mu, then sigma before its softplus.
  function channel(latent, noise, a, edges, sides) {
    const decoder = sides - 1;
    const at = (row, side) => (row * sides + side) * edges;
    const sigma = (spread) => softplus(spread + a.sigma_shift) + SIGMA_FLOOR;
    const sample = new Float64Array(a.channel * edges);
    let kl = 0;
    for (let f = 0; f < a.channel; f++) {
      for (let e = 0; e < edges; e++) {
        const sigmaQ = sigma(latent[at(a.channel + f, ENCODER) + e]);
        const muQ = latent[at(f, ENCODER) + e];
        sample[f * edges + e] = muQ + sigmaQ * noise[f * edges + e];
        if (decoder === ENCODER) continue;
        const sigmaP = sigma(latent[at(a.channel + f, decoder) + e]);
        const ratio = (sigmaQ / sigmaP) ** 2;
        const shift = (muQ - latent[at(f, decoder) + e]) / sigmaP;
        kl += 0.5 * (ratio + shift * shift - 1 - Math.log(ratio));
      }
    }
    return { sample, kl };
  }

  // --- the model -----------------------------------------------------------------------------------------------------

  // One trained seed: hyperhypernetwork and hypernetwork together.
  class Model {
    // `tensors` are the parameters by name, as text; `shape` is the trained shape.
    constructor({ shape, architecture, tensors }) {
      this.shape = shape;
      this.architecture = architecture;
      this.parameters = Object.fromEntries(Object.entries(tensors).map(([name, text]) => [name, decodeHalf(text)]));
      this.places = new Map();
    }

    // Named hyperweights a sigmoid(b) at one beta.
    hyperweights(beta) {
      const { weight1, bias1, weight2, bias2, map } = this.parameters;
      const [wide, narrow] = HIDDEN;
      const z = Math.log10(beta) / 6 + 1; // beta from 1e-12 to 1 becomes -1 to 1
      const first = weight1.map((w, k) => swish(w * z + bias1[k]));
      const last = bias2.map((bias, k) => {
        let sum = bias;
        for (let n = 0; n < wide; n++) sum += weight2[k * wide + n] * first[n];
        return swish(sum);
      });
      const count = map.length / (narrow + 1) / 2;
      const ab = map.slice(narrow * 2 * count); // the last row is the bias
      for (let k = 0; k < narrow; k++) {
        const row = map.subarray(k * 2 * count, (k + 1) * 2 * count);
        for (let c = 0; c < 2 * count; c++) ab[c] += last[k] * row[c];
      }
      const flat = Float64Array.from({ length: count }, (_, c) => ab[c] * sigmoid(ab[count + c]));
      const named = {};
      let start = 0;
      for (const [name, size] of sizesOf(this.shape, this.architecture)) {
        named[name] = flat.subarray(start, start + product(size));
        start += product(size);
      }
      return named;
    }

    // Positions are the same for every network of a shape.
    positions(shape, sides) {
      const name = `${shape} ${sides}`;
      if (!this.places.has(name)) this.places.set(name, positions(shape, this.architecture, sides));
      return this.places.get(name);
    }

    // One network: weights and biases layer by layer, and the KL in nats.
    // `generator` is a generation seed; `noise` are numbers to use instead of it. The encoder belongs to the trained shape.
    generate({ beta, shape = this.shape, generator = 0, encoder = `${shape}` === `${this.shape}`, noise = null }) {
      const a = this.architecture;
      const h = this.hyperweights(beta);
      const edges = edgesOf(shape);
      const sides = encoder ? 2 : 1;
      const columns = sides * edges;
      const width = widths(a);
      const numbers = noise ?? new Generator(generator).normal(noiseSize(shape, a));
      let state = this.positions(shape, sides);
      let kl = 0;
      let drawn = 0; // rows of the noise that are used up
      for (let k = 1; k <= a.hyperdepth; k++) {
        // The first hyperlayer has no input: its linear map is a bias.
        const weight = h[`weight${k}`] ?? new Float64Array(0);
        const inner = linear(weight, h[`bias${k}`], state, k > 1 ? width.out : 0, columns, width.in);
        const next = this.positions(shape, sides).slice();
        const given = (name) => inner.subarray(width.from[name] * columns);
        const plain = given("elementwise").subarray(0, a.elementwise * columns);
        next.set(plain.map(swish), width.to.elementwise * columns);
        const read = attention(given("attention"), shape, a.attention, sides);
        next.set(read, width.to.attention * columns);
        const paid = channel(given("channel"), numbers.subarray(drawn * edges), a, edges, sides);
        drawn += a.channel;
        kl += paid.kl;
        const random = numbers.subarray(drawn * edges);
        const streams = k < a.hyperdepth ? 2 : 1; // of the random block: per side, at the end for the decoder alone
        drawn += streams * a.random;
        for (let side = 0; side < sides; side++) {
          const decoder = side === sides - 1;
          const at = (name, f) => ((width.to[name] + f) * sides + side) * edges;
          for (let f = 0; f < a.channel; f++) {
            next.set(paid.sample.subarray(f * edges, (f + 1) * edges), at("channel", f));
          }
          for (let f = 0; f < a.random; f++) {
            const source = (f * streams + (decoder || a.shared_random ? streams - 1 : 0)) * edges;
            for (let e = 0; e < edges; e++) {
              next[at("random", f) + e] = a.random_scale * random[source + e];
            }
          }
          if (!decoder && k < a.hyperdepth) {
            for (let f = 0; f < a.learned; f++) {
              const learned = h[`learned${k}`].subarray(f * edges, (f + 1) * edges);
              next.set(learned, at("learned", f));
            }
          }
        }
        state = next;
      }
      const out = linear(h.weight_out, h.bias_out, state, width.out, columns, 2);
      return { ...this.assemble(shape, out.subarray((sides - 1) * edges), out.subarray((2 * sides - 1) * edges)), kl };
    }

    // Weights from the first output feature, biases from the second, averaged over the input neurons.
    assemble(shape, first, second) {
      const weights = [];
      const biases = [];
      layersOf(shape).forEach(({ first: start, n, m }, l) => {
        const last = l === shape.length - 2;
        const gain = shape.length > 2 ? (this.architecture.gain ?? 1) : 1;
        // A network trained on several sizes takes the mean over its last hidden neurons, where others take the sum.
        const mean = last && this.architecture.reference_width ? this.architecture.reference_width / n : 1;
        const scale = (last ? mean / gain : 1) * (l === 0 ? gain : 1);
        weights.push(first.slice(start, start + n * m).map((w) => w * scale));
        const bias = new Float64Array(m);
        for (let e = 0; e < n * m; e++) bias[e % m] += (second[start + e] / n) * (last ? 1 : gain);
        biases.push(bias);
      });
      return { shape, weights, biases };
    }
  }

  // --- what is measured on a network -----------------------------------------------------------------------------------

  // Outputs of a network with one output for `count` inputs, which lie one after the other.
  function forward(net, x, count) {
    const out = new Float64Array(count);
    for (let s = 0; s < count; s++) {
      let a = x.subarray(s * net.shape[0], (s + 1) * net.shape[0]);
      net.weights.forEach((weight, l) => {
        const m = net.shape[l + 1];
        const sum = net.biases[l].slice();
        for (let i = 0; i < net.shape[l]; i++) {
          const value = l ? swish(a[i]) : a[i];
          for (let j = 0; j < m; j++) sum[j] += value * weight[i * m + j];
        }
        a = sum;
      });
      out[s] = a[0];
    }
    return out;
  }

  // Mean and standard deviation of the L1 norm of n standard normal numbers.
  const moments = (n) => ({ mean: n * Math.sqrt(2 / Math.PI), std: Math.sqrt(n * (1 - 2 / Math.PI)) });

  // Normalised mean squared error on `count` inputs x: as generated, and after the best shift and scale of the output.
  function losses(net, x, count) {
    const n = net.shape[0];
    const { mean, std } = moments(n);
    const out = forward(net, x, count);
    const sums = { error: 0, out: 0, y: 0, outOut: 0, outY: 0, yy: 0 };
    for (let s = 0; s < count; s++) {
      let norm = 0;
      for (let i = 0; i < n; i++) norm += Math.abs(x[s * n + i]);
      const y = (norm - mean) / std;
      sums.error += (out[s] - y) ** 2;
      sums.out += out[s];
      sums.y += y;
      sums.outOut += out[s] ** 2;
      sums.outY += out[s] * y;
      sums.yy += y ** 2;
    }
    const variance = sums.outOut - sums.out ** 2 / count;
    const covariance = sums.outY - (sums.out * sums.y) / count;
    const left = sums.yy - sums.y ** 2 / count - (variance > 0 ? covariance ** 2 / variance : 0);
    return { loss: sums.error / count, fitted: left / count };
  }

  // (alpha_1, alpha_2, alpha_3) of equations 5 to 7 for first-layer weights W and V of shape (n, m).
  function orderParameters(W, V, n, m) {
    const size = W.map(Math.abs).sort();
    const median = (size[(n * m - 1) >> 1] + size[(n * m) >> 1]) / 2;
    const strongest = size[n * m - 1];
    let weaker = Infinity;
    for (let i = 0; i < n; i++) {
      const row = W.subarray(i * m, (i + 1) * m);
      weaker = Math.min(weaker, -Math.min(...row), Math.max(...row));
    }
    let difference = 0;
    let total = 0;
    for (let e = 0; e < n * m; e++) {
      difference += (W[e] - V[e]) ** 2;
      total += W[e] ** 2 + V[e] ** 2;
    }
    const sparse = 2 * weaker > strongest ? Infinity : 0; // there is no background to compare with
    return [median ? weaker / median : sparse, strongest, total ? difference / total : 0];
  }

  // The algorithm by the structure of the first layer W of shape (n, m), as hyperlib/algorithms/structure.py has it, with
  // its limits; and the number of hidden neurons that read a single input.
  function structure(W, n, m, limits) {
    const seen = [new Set(), new Set()]; // inputs that have a neuron of their own with weight > 0, and < 0
    let single = 0;
    let signs = 0;
    let [squares, fourths] = [0, 0];
    const strongest = W.reduce((most, w) => Math.max(most, w * w), 0);
    for (let j = 0; j < m; j++) {
      let [power, own] = [0, 0];
      for (let i = 0; i < n; i++) {
        const square = W[i * m + j] ** 2;
        power += square;
        fourths += square ** 2;
        if (square > W[own * m + j] ** 2) own = i;
      }
      squares += power;
      const weight = W[own * m + j];
      if (!(weight ** 2 > limits.SINGLE * power && weight ** 2 >= limits.STRONG ** 2 * strongest)) continue;
      single += 1;
      signs += Math.sign(weight);
      seen[weight > 0 ? 0 : 1].add(own);
    }
    const covered = Math.max(seen[0].size, seen[1].size) / n;
    const both = [...seen[0]].filter((i) => seen[1].has(i)).length / n;
    const sign = Math.abs(signs) / Math.max(single, 1);
    const kurtosis = (fourths * n * m) / squares ** 2;
    if (covered >= limits.COVERED) {
      return { single, name: both >= limits.COVERED ? "double-sided" : both <= limits.STRAY ? "pudding" : "unclear" };
    }
    if (kurtosis < limits.TAILS) return { single, name: "convexity" };
    return { single, name: sign <= limits.ONE_SIGN || covered <= limits.FEW ? "random, heavy-tailed" : "unclear" };
  }

  return { Generator, Model, decodeHalf, edgesOf, forward, losses, moments, noiseSize, orderParameters, structure };
};
