// Force-directed drawing (appendix B.1), the energy and the descent of hyperlib/drawing.py, a few steps at a time.
globalThis.hyperlib ??= {};

hyperlib.layout = (() => {
  const [PLANE, SPACE] = [2, 4]; // dimensions of the drawing and of the descent
  const RATE = 0.9; // share of the stability limit that a step takes
  const CLOSEST = 1e-3; // distance below which repulsion grows no further
  const SAME = 1e-3; // of the strongest weight: networks that differ by less have the same drawing
  const JITTER = 0.1; // what a warm start adds to all four coordinates
  // Steps, share of them before the penalty on the excess dimensions sets in, and what it grows from and to. A warm
  // start keeps nearly flat, so that neurons stay near where they were; both end with a rest of 30 % at the last value.
  const COLD = { steps: 1000, free: 0.1, penalty: [0.1, 30] };
  const WARM = { steps: 400, free: 0, penalty: [1, 30] };
  const RAMP = 0.7;

  const total = (shape) => shape.reduce((a, b) => a + b, 0);

  // |w| between every two neurons, numbered level by level.
  function attraction({ shape, weights }) {
    const count = total(shape);
    const strength = new Float64Array(count * count);
    let first = 0;
    weights.forEach((weight, l) => {
      const [n, m] = [shape[l], shape[l + 1]];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) {
          const [a, b] = [first + i, first + n + j];
          strength[a * count + b] = strength[b * count + a] = Math.abs(weight[i * m + j]);
        }
      }
      first += n;
    });
    return strength;
  }

  class Layout {
    // `normal` gives that many standard normal numbers.
    constructor(normal) {
      this.normal = normal;
      this.count = 0;
      this.done = 0;
      this.schedule = COLD;
    }

    // Go on towards the best drawing of a network: from where the neurons are, or anew for another number of them.
    aim(net) {
      this.single = net.shape.at(-1) === 1;
      const strength = attraction(net);
      const near = SAME * hyperlib.network.strongest(strength);
      const same = (w, k) => Math.abs(w - this.strength[k]) < near;
      if (strength.length === this.strength?.length && strength.every(same)) return;
      this.strength = strength;
      const count = total(net.shape);
      const noise = this.normal(count * SPACE);
      if (count === this.count) {
        // The descent before has flattened the excess coordinates: their noise lets modules slide past one another.
        for (let k = 0; k < noise.length; k++) this.places[k] += JITTER * noise[k];
        this.schedule = WARM;
      } else {
        // The r^2 and 1/r forces of N neurons balance at a radius of about N^(1/3).
        this.places = noise.map((x) => x * count ** (1 / 3));
        this.schedule = COLD;
      }
      this.count = count;
      this.done = 0;
    }

    // A finished drawing, from x and y of every neuron; the output is at the origin.
    rest(net, positions) {
      this.aim(net);
      this.places.fill(0);
      positions.forEach((x, k) => {
        this.places[SPACE * Math.floor(k / PLANE) + (k % PLANE)] = x;
      });
      this.done = this.schedule.steps;
    }

    get resting() {
      return this.done >= this.schedule.steps;
    }

    get penalty() {
      const { steps, free, penalty } = this.schedule;
      if (this.done < free * steps) return 0;
      const grown = Math.min(1, (this.done - free * steps) / (RAMP * steps - 1));
      return penalty[0] * (penalty[1] / penalty[0]) ** grown;
    }

    // One step of gradient descent. Every neuron has its own step size: the inverse of the sum of the absolute values in
    // its row of the Hessian.
    step() {
      const { count, places, strength, penalty } = this;
      const moved = new Float64Array(places.length);
      const force = new Float64Array(SPACE);
      for (let a = 0; a < count; a++) {
        force.fill(0);
        let curvature = 0;
        for (let b = 0; b < count; b++) {
          if (a === b) continue;
          const [p, q] = [a * SPACE, b * SPACE];
          const d0 = places[p] - places[q];
          const d1 = places[p + 1] - places[q + 1];
          const d2 = places[p + 2] - places[q + 2];
          const d3 = places[p + 3] - places[q + 3];
          const square = Math.max(d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3, CLOSEST * CLOSEST);
          const push = 1 / (square * Math.sqrt(square));
          const pull = 2 * strength[a * count + b];
          const coupling = pull - push;
          force[0] += coupling * d0;
          force[1] += coupling * d1;
          force[2] += coupling * d2;
          force[3] += coupling * d3;
          curvature += pull + push;
        }
        for (let k = 0; k < SPACE; k++) {
          const centre = 2 * (1 + (k < PLANE ? 0 : penalty));
          const here = places[a * SPACE + k];
          moved[a * SPACE + k] = here - (RATE / (2 * curvature + centre)) * (force[k] + centre * here);
        }
      }
      this.places = moved;
      this.done += 1;
    }

    // Energy of the arrangement (B.1).
    energy() {
      const { count, places, strength } = this;
      let sum = 0;
      for (let a = 0; a < count; a++) {
        for (let k = 0; k < SPACE; k++) sum += places[a * SPACE + k] ** 2;
        for (let b = 0; b < a; b++) {
          let square = 0;
          for (let k = 0; k < SPACE; k++) square += (places[a * SPACE + k] - places[b * SPACE + k]) ** 2;
          sum += 1 / Math.max(Math.sqrt(square), CLOSEST) + strength[a * count + b] * square;
        }
      }
      return sum;
    }

    // x and y of every neuron; a single output lies at the origin.
    positions() {
      const last = (this.count - 1) * SPACE;
      const origin = this.single ? this.places.subarray(last, last + PLANE) : [0, 0];
      const flat = new Float64Array(this.count * PLANE);
      for (let a = 0; a < this.count; a++) {
        for (let k = 0; k < PLANE; k++) flat[a * PLANE + k] = this.places[a * SPACE + k] - origin[k];
      }
      return flat;
    }
  }

  return { Layout };
})();
