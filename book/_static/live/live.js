// The page in which the hypernetwork runs: controls, a worker that generates networks, and views that follow it.
//
// book/hyperbook/build/live.py writes what is loaded: `hyperlib.live`, the models that can be chosen, and a file with the
// weights of each, which adds itself to `hyperlib.tensors`. A page opened from disk may load scripts, but nothing else.
(() => {
  const GLIDE = 90; // milliseconds in which what is shown comes closer to what it shows by a factor of e
  const BUDGET = 6; // milliseconds of a frame for the descent of the drawing, or half of a slow frame
  const INPUTS = 2048; // for the loss, always the same ones
  const WORSE = 1; // loss above which a network does worse than one that says nothing: it does not work
  const POOR = 0.5; // at sizes that were never trained the same, of the loss after the best shift and scale
  const SETTLE = 400; // milliseconds without change after which the address and what is read aloud follow

  hyperlib.math = hyperlib.hypernetwork();

  // --- the worker ------------------------------------------------------------------------------------------------------

  // Runs in a worker, with the text of `hyperlib.hypernetwork` before it: answers one question at a time.
  function serve(math, inputs) {
    const models = {};
    let x = []; // inputs, the same for every network of a size
    let last = null;
    return ({ name, model, settings, compare }) => {
      if (model) models[name] = new math.Model(model);
      const start = performance.now();
      const net = models[name].generate(settings);
      const time = performance.now() - start;
      if (!compare) last = net;
      const [n, m] = net.shape;
      const alphas = math.orderParameters(last.weights[0], net.weights[0], n, m);
      if (compare) return { alphas };
      if (x.length !== inputs * n) x = new math.Generator(0).normal(inputs * n);
      return { net, time, alphas, ...math.losses(net, x, inputs) };
    };
  }

  // A function from questions to promises of answers; without workers the page itself computes.
  function makeServer() {
    const source = `const answer = (${serve})((${hyperlib.hypernetwork})(), ${INPUTS});
      onmessage = ({ data }) => postMessage(answer(data));`;
    try {
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      return (question) =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(event);
          worker.postMessage(question);
        });
    } catch {
      const answer = serve(hyperlib.math, INPUTS);
      return async (question) => answer(question);
    }
  }

  // --- the state and the address -----------------------------------------------------------------------------------------

  const round = (number) => Number(number.toPrecision(3)); // so that a beta is short, and exactly the same in Python

  // The state that an address asks for, on top of the defaults; what makes no sense is left out.
  function fromAddress(hash, models) {
    const asked = new URLSearchParams(hash.replace(/^#/, ""));
    const state = { model: models[0], step: null, beta: 1e-8, generator: 0, encoder: true, shape: null, input: 0 };
    state.model = models.find((model) => model.name === asked.get("model")) ?? models[0];
    const { shape, steps, sizes } = state.model;
    const whole = (text, low, high) => {
      const number = Number(text);
      return text && Number.isInteger(number) && number >= low && number <= high ? number : null;
    };
    const beta = Number(asked.get("beta"));
    if (beta >= 1e-12 && beta <= 1) state.beta = round(beta);
    state.step = steps.includes(Number(asked.get("step"))) ? Number(asked.get("step")) : steps.at(-1);
    state.generator = whole(asked.get("generator"), 0, 2 ** 31) ?? 0;
    const size = (asked.get("size") ?? "").split("x").map((text) => whole(text, 1, 1000));
    const fits = sizes && size.length === 2 && size.every((n, k) => n >= sizes[k][0] && n <= sizes[k][1]);
    state.shape = fits ? [...size, 1] : shape;
    state.encoder = asked.get("encoder") !== "off";
    state.locked = state.shape[1] === Math.round(ratio(state.model) * state.shape[0]);
    state.input = (whole(asked.get("input"), 1, state.shape[0]) ?? 1) - 1;
    return state;
  }

  const trained = (state) => `${state.shape}` === `${state.model.shape}`;
  const encoded = (state) => state.encoder && state.model.encoder && trained(state);
  const ratio = ({ shape }) => shape[1] / shape[0]; // of hidden neurons to inputs

  function toAddress(state) {
    const { model, step, beta, generator, shape, input } = state;
    const asked = new URLSearchParams({ model: model.name, beta: beta.toExponential(), generator });
    if (model.steps.length > 1) asked.set("step", step);
    if (!state.encoder) asked.set("encoder", "off");
    if (!trained(state)) asked.set("size", `${shape[0]}x${shape[1]}`);
    if (input) asked.set("input", input + 1);
    return `#${asked}`;
  }

  // The Python line that makes the same network.
  function python(state) {
    const { model, step, beta, generator, shape } = state;
    const which = step === model.steps.at(-1) ? `seed=${model.seed}` : `seed=${model.seed}, step=${step}`;
    const settings = [`beta=${beta}`, `generator=${generator}`];
    if (!trained(state)) settings.push(`shape=(${shape.join(", ")})`);
    if (encoded(state) !== trained(state)) settings.push("encoder=False");
    return [
      "import hyperlib as hl",
      "",
      `model = hl.load_run("${model.run}").model(${which})`,
      `net = model.generate(${settings.join(", ")})`,
    ].join("\n");
  }

  // A network as text that `hl.Network.from_json` reads.
  function json({ shape, weights, biases, kl }) {
    const number = (x) => Number(x.toPrecision(9)); // single precision
    const rows = (weight, m) =>
      Array.from({ length: weight.length / m }, (_, i) => Array.from(weight.subarray(i * m, (i + 1) * m), number));
    return JSON.stringify({
      weights: weights.map((weight, l) => rows(weight, shape[l + 1])),
      biases: biases.map((bias) => Array.from(bias, number)),
      kl: number(kl),
    });
  }

  // --- the page ----------------------------------------------------------------------------------------------------------

  const { format, power } = hyperlib.views;

  // Why a network of this shape may not do what the model's others do, if there is a reason.
  function doubt({ model, shape: [n, m] }) {
    if (m <= n) return `${m} hidden neurons are too few for ${n} inputs: pudding takes one for each, and one more.`;
    if (m < model.narrowest * n) return `It was trained with ${model.narrowest} hidden neurons per input or more.`;
    return "";
  }

  class Page {
    constructor(root) {
      this.root = root;
      const parts = Object.fromEntries(Array.from(root.querySelectorAll("[data-part]"), (e) => [e.dataset.part, e]));
      // For a part that a smaller page leaves out there is an element that nobody sees.
      const unseen = (all, name) => {
        all[name] ??= document.createElement("select");
        return all[name];
      };
      this.part = new Proxy(parts, { get: unseen });
      this.addressed = "address" in root.dataset; // whether the page's address holds the state
      this.models = hyperlib.live.models;
      this.still = matchMedia("(prefers-reduced-motion: reduce)");
      this.ask = makeServer();
      this.loaded = new Map(); // promises of models' files
      this.sent = new Set(); // models that the worker has
      const generator = new hyperlib.math.Generator(0);
      this.layout = new hyperlib.layout.Layout((count) => generator.normal(count));
      this.drawing = new hyperlib.network.Drawing(this.part.drawing);
      this.matrix = new hyperlib.views.Matrix(this.part.matrix);
      this.response = new hyperlib.views.Response(this.part.response, this.part.legend);
      this.marked = null;
      this.link = location.hash; // the address that the state came from, or last went to
      this.state = fromAddress(this.addressed ? this.link : "", this.models);
      this.fill();
      this.listen();
      root.dataset.ready = "";
      this.follow();
      const { first } = hyperlib.live;
      if (!first || toAddress(this.state) !== toAddress(fromAddress("", this.models))) this.want();
      else {
        this.begin(first);
        if (!this.addressed) return; // a model is loaded when a reader asks for it
        this.busy = true; // until it has been painted: only then models are loaded
        requestAnimationFrame(() =>
          setTimeout(() => {
            this.busy = false;
            this.want();
          }),
        );
      }
    }

    // Shows the network that the book's build has made of the default state.
    begin({ weights, biases, kl, loss, fitted, positions }) {
      const { shape } = this.state.model;
      const flat = (arrays) => arrays.map((array) => Float64Array.from(array));
      const net = { shape, weights: flat(weights), biases: flat(biases), kl };
      const [double, strong] = hyperlib.math.orderParameters(net.weights[0], net.weights[0], ...shape.slice(0, 2));
      this.answer = { net, loss, fitted, alphas: [double, strong, null], state: { ...this.state } };
      this.places = Float64Array.from(positions);
      this.layout.rest(net, this.places);
      this.arrived();
      this.show();
      performance.mark("hl-first");
    }

    // Controls that depend on what there is.
    fill() {
      for (const model of this.models) {
        const label = document.createElement("label");
        const radio = Object.assign(document.createElement("input"), {
          type: "radio",
          name: "hl-model",
          value: model.name,
        });
        radio.dataset.part = model.name;
        label.append(radio, model.title);
        label.title = `seed ${model.seed} of ${model.run}`;
        this.part.models.append(label);
      }
    }

    listen() {
      const { part } = this;
      const on = (name, type, listener) => part[name].addEventListener(type, listener);
      on("models", "change", (event) => {
        const model = this.models.find(({ name }) => name === event.target.value);
        this.set({ model, step: model.steps.at(-1), shape: model.shape, locked: true, input: 0 });
      });
      on("beta", "input", () => this.set({ beta: round(10 ** Number(part.beta.value)) }));
      on("step", "input", () => this.set({ step: this.state.model.steps[Number(part.step.value)] }));
      on("encoder", "change", () => this.set({ encoder: part.encoder.checked }));
      on("again", "click", () => this.set({ generator: this.state.generator + 1 }));
      for (const name of ["size0", "size1", "lock"]) on(name, "input", () => this.resize());
      on("reset", "click", () => this.set({ shape: this.state.model.shape, locked: true, input: 0 }));
      on("input", "change", () => this.set({ input: Number(part.input.value) }));
      for (const name of ["drawing", "matrix"]) {
        const find = (event) => this[name].find(event.offsetX, event.offsetY);
        on(name, "pointermove", (event) => event.pointerType === "mouse" && this.mark(find(event)));
        on(name, "pointerleave", (event) => event.pointerType === "mouse" && this.mark(null));
        on(name, "click", (event) => this.pin(find(event)));
      }
      on("drawing", "keydown", (event) => this.key(event));
      on("drawing", "blur", () => this.mark(null));
      on("use", "toggle", () => this.offer());
      on("link", "click", () => this.copy(part.link, location.href));
      on("copy-python", "click", () => this.copy(part["copy-python"], part.python.textContent));
      on("copy-json", "click", () => this.copy(part["copy-json"], json(this.answer.net)));
      addEventListener("hashchange", () => {
        this.link = location.hash;
        if (!this.addressed || this.link === toAddress(this.state)) return;
        this.state = fromAddress(location.hash, this.models);
        this.changed();
      });
    }

    set(change) {
      Object.assign(this.state, change);
      this.marked = null;
      this.changed();
    }

    // Sizes follow their sliders; while the ratio is locked, the hidden neurons follow the inputs.
    resize() {
      const { part, state } = this;
      const locked = part.lock.checked;
      const n = Number(part.size0.value);
      const [low, high] = state.model.sizes[1];
      const follows = Math.min(high, Math.max(low, Math.round(ratio(state.model) * n)));
      const shape = [n, locked ? follows : Number(part.size1.value), 1];
      this.set({ shape, locked, input: Math.min(state.input, n - 1) });
    }

    changed() {
      this.follow();
      this.want();
    }

    // Controls follow the state.
    follow() {
      const { state, part } = this;
      const { model } = state;
      for (const radio of part.models.querySelectorAll("input")) radio.checked = radio.value === model.name;
      part.beta.value = Math.log10(state.beta);
      part.beta.disabled = model.closed;
      part.closed.hidden = !model.closed;
      part["beta-value"].innerHTML = `<i>β</i> = ${power(state.beta)}`;
      part.beta.setAttribute("aria-valuetext", power(state.beta));
      part.step.disabled = part.along.hidden = model.steps.length < 2;
      part.end.hidden = !part.along.hidden;
      part.step.max = model.steps.length - 1;
      part.step.value = model.steps.indexOf(state.step);
      const step = `step ${state.step.toLocaleString("en")}`;
      part["step-value"].textContent = step;
      part.step.setAttribute("aria-valuetext", step);
      part["sizes-row"].hidden = !model.sizes;
      model.sizes?.forEach(([low, high], k) => {
        Object.assign(part[`size${k}`], { min: low, max: high, value: state.shape[k] });
        part[`size${k}-value`].textContent = state.shape[k];
        part[`size${k}`].setAttribute("aria-valuetext", `${state.shape[k]} neurons`);
      });
      part.size1.disabled = state.locked;
      part.lock.checked = state.locked;
      part.ratio.textContent = format(ratio(model));
      part.reset.disabled = trained(state);
      part["encoder-row"].hidden = !model.encoder;
      part.encoder.disabled = !trained(state);
      part.encoder.checked = encoded(state);
      part.generator.textContent = state.generator;
      part.about.textContent = model.about;
      this.program();
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settled(), SETTLE);
    }

    settled() {
      const address = toAddress(this.state);
      this.part.whole.hash = address;
      if (location.hash !== this.link) return; // a reader has changed it, and the page is about to follow
      if (this.addressed && address !== this.link) {
        try {
          history.replaceState(null, "", address);
        } catch {
          location.replace(address); // where a page from disk may not change its history
        }
        this.link = location.hash;
      }
      if (!this.answer || this.busy) return;
      const { kl } = this.answer.net;
      this.part.said.textContent = `${this.algorithm()}, loss ${format(this.loss())}, KL ${format(kl, 3)} nats`;
    }

    // --- networks ----------------------------------------------------------------------------------------------------

    // Loads the file of a model at a step, once.
    load({ model, step }) {
      const file = model.files[model.steps.indexOf(step)];
      if (!this.loaded.has(file)) {
        const loading = new Promise((resolve, reject) => {
          const script = document.createElement("script");
          script.src = new URL(`data/${file}.js`, hyperlib.live.folder).href;
          script.onload = () =>
            resolve({ shape: model.shape, architecture: model.architecture, tensors: hyperlib.tensors[file] });
          script.onerror = () => reject(new Error(`${script.src} is missing`));
          document.head.append(script);
        });
        this.loaded.set(file, loading);
      }
      return this.loaded.get(file).then((content) => ({ file, content }));
    }

    // Asks for the network of the present state; while one is being made, only the last wish counts.
    async want() {
      if (this.busy) {
        this.again = true;
        return;
      }
      this.busy = true;
      this.root.setAttribute("aria-busy", "true");
      try {
        do {
          this.again = false;
          const { beta, generator, shape } = this.state;
          const state = { ...this.state };
          const { file, content } = await this.load(state);
          const settings = { beta, generator, shape, encoder: encoded(state) };
          const answer = await this.ask({ name: file, model: this.sent.has(file) ? null : content, settings });
          this.sent.add(file);
          answer.alphas[2] = null; // not known before there is a network to compare with
          this.answer = { ...answer, state };
          this.arrived();
          if (this.again) continue;
          const other = { ...settings, generator: generator + 1 };
          this.answer.alphas = (await this.ask({ name: file, settings: other, compare: true })).alphas;
          this.measured();
        } while (this.again);
      } catch (error) {
        this.part.problem.textContent = `The network could not be made: ${error.message ?? "the worker failed"}.`;
        this.part.problem.hidden = false;
      }
      this.busy = false;
      this.root.setAttribute("aria-busy", "false");
      this.settled();
    }

    // What the page calls the network: its algorithm, unless it does not work.
    algorithm() {
      return this.works() ? this.structure().name : "does not work";
    }

    works() {
      return this.loss() <= (trained(this.answer.state) ? WORSE : POOR);
    }

    // The loss that counts.
    loss() {
      const { loss, fitted, state } = this.answer;
      return trained(state) ? loss : fitted;
    }

    byBoundaries() {
      const [double, strong] = this.answer.alphas;
      const { strongest, double_sided } = hyperlib.live.thresholds;
      return strong < strongest ? "convexity" : double > double_sided ? "double-sided" : "pudding";
    }

    structure() {
      const { weights, shape } = this.answer.net;
      return hyperlib.math.structure(weights[0], shape[0], shape[1], hyperlib.live.structure);
    }

    arrived() {
      const { part } = this;
      const { net, loss, fitted, time, state } = this.answer;
      part.algorithm.textContent = part.algorithm.dataset.algorithm = this.algorithm();
      part.boundaries.textContent = part.boundaries.dataset.algorithm = this.byBoundaries();
      part.counts.textContent = trained(state) ? "loss" : "loss, shifted and scaled,";
      part.loss.textContent = format(this.loss());
      part.raw.textContent = format(loss);
      part.fitted.textContent = format(fitted);
      part.kl.textContent = format(net.kl, 3);
      const worse = "It does worse than a network that always says the mean, whose loss is 1.";
      part.doubt.textContent = trained(state) ? (this.works() ? "" : worse) : doubt(state);
      this.measured();
      part.time.textContent = time === undefined ? "…" : `${Math.round(time)} ms`;
      part.title.textContent = `${net.shape.join(" × ")} network`;
      if (part.input.options.length !== net.shape[0]) {
        part.input.replaceChildren(...Array.from({ length: net.shape[0] }, (_, i) => new Option(i + 1, i)));
      }
      part.input.value = this.answer.state.input;
      this.layout.aim(net);
      const size = hyperlib.network.total(net.shape);
      if (`${this.shown?.shape}` !== `${net.shape}`)
        this.shown = { ...net, weights: net.weights.map((w) => w.slice()) };
      if (this.places?.length !== 2 * size) this.places = null;
      this.describe();
      this.offer();
      this.moving = true;
      if (this.still.matches) this.arrive();
      else if (!this.frame) this.frame = requestAnimationFrame((now) => this.move(now, now));
    }

    // The program of the nearest beta that was decoded when the book was built, and what it is of.
    program() {
      const { state, part } = this;
      const { model, beta, step, generator } = state;
      const far = (one) => Math.abs(Math.log(one.beta / beta));
      const [nearest] = [...model.programs].sort((a, b) => far(a) - far(b));
      part.program.hidden = !nearest;
      if (!nearest) return;
      const other = [];
      if (generator) other.push("random numbers");
      if (!trained(state)) other.push("size");
      else if (encoded(state) !== model.encoder) other.push("source, p in place of q");
      if (step !== model.steps.at(-1)) other.push("training step");
      part.formula.innerHTML = nearest.formula;
      part.formula.classList.toggle("hl-other", other.length > 0);
      const price = model.closed
        ? "any β"
        : `β = ${power(round(nearest.beta))}, the nearest of ${model.programs.length}`;
      const size = `${nearest.numbers} constants, ${nearest.bits} bits, ${nearest.kept} % of the output's variance`;
      const differs = other.length ? ` The network that is drawn has another ${other.join(", another ")}.` : "";
      part["program-of"].textContent =
        `Decoded when the book was built: trained, ${model.shape.join(" × ")}, generation seed 0, ${price}; ${size}.${differs}`;
    }

    measured() {
      this.answer.alphas.forEach((alpha, k) => {
        const text = alpha === null ? "…" : alpha === Infinity ? "∞" : format(alpha, 3);
        this.part[`alpha${k + 1}`].textContent = alpha !== null && Math.abs(alpha) < 1e-3 ? "< 0.001" : text;
      });
    }

    // --- motion ------------------------------------------------------------------------------------------------------

    // Everything at its end at once.
    arrive() {
      while (!this.layout.resting) this.layout.step();
      this.places = this.layout.positions();
      this.shown = this.answer.net;
      this.show(1);
    }

    // What is shown glides towards the network, and the drawing descends towards its least energy.
    move(before, now) {
      const passed = Math.min(now - before, 200);
      const end = performance.now() + Math.max(BUDGET, passed / 2);
      while (!this.layout.resting && performance.now() < end) this.layout.step();
      const goal = this.layout.positions();
      this.places ??= goal;
      const glide = 1 - Math.exp(-passed / GLIDE);
      let distance = 0;
      const approach = (shown, target) => {
        const reach = hyperlib.network.strongest(target);
        for (let k = 0; k < target.length; k++) {
          distance = Math.max(distance, Math.abs(target[k] - shown[k]) / reach);
          shown[k] += glide * (target[k] - shown[k]);
        }
        return shown;
      };
      const { net } = this.answer;
      const parts = (kind) => net[kind].map((target, l) => approach(this.shown[kind][l].slice(), target));
      this.shown = { ...net, weights: parts("weights"), biases: parts("biases") };
      this.places = approach(this.places.slice(), goal);
      const arrived = this.layout.resting && distance < 1e-3;
      if (arrived) this.shown = net;
      this.show(arrived ? 1 : glide);
      this.frame = arrived ? null : requestAnimationFrame((next) => this.move(now, next));
    }

    show(glide = 1) {
      const { level, index } = this.marked === null ? {} : hyperlib.network.locate(this.shown.shape, this.marked);
      const owner = level === 1 ? hyperlib.views.owners(this.shown)[index] : -1;
      const input = level === 0 ? index : owner >= 0 ? owner : this.state.input;
      this.drawing.show(this.shown, this.places, this.marked);
      this.matrix.show(this.shown, this.marked, glide);
      const lines = hyperlib.views.responses(this.shown, input, level === 1 ? index : null);
      this.response.show({ ...lines, label: `input ${input + 1}` });
      this.part.input.value = input;
    }

    // --- neurons -----------------------------------------------------------------------------------------------------

    mark(neuron) {
      if (neuron === this.marked || !this.shown) return;
      this.marked = neuron;
      this.describe();
      if (!this.frame) this.show();
    }

    // A click on an input, or on a neuron that reads one input alone, keeps the response to it.
    pin(neuron) {
      this.mark(neuron);
      if (neuron === null) return;
      const { level, index } = hyperlib.network.locate(this.shown.shape, neuron);
      const input = level === 0 ? index : level === 1 ? hyperlib.views.owners(this.shown)[index] : -1;
      if (input >= 0) this.state.input = input;
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settled(), SETTLE);
    }

    key(event) {
      const count = hyperlib.network.total(this.shown?.shape ?? []);
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") this.mark(null);
      else if (event.key === "Enter" || event.key === " ") this.pin(this.marked);
      else if (event.key === "Home") this.mark(0);
      else if (event.key === "End") this.mark(count - 1);
      else if (move)
        this.mark(this.marked === null ? (move > 0 ? 0 : count - 1) : (this.marked + move + count) % count);
      else return;
      event.preventDefault();
    }

    // What is known of the marked neuron, in words.
    describe() {
      const { net } = this.answer;
      const [n, m] = net.shape;
      const say = (text) => {
        this.part.neuron.textContent = text;
      };
      if (this.marked === null) {
        say(
          `${this.structure().single} of ${m} hidden neurons read a single input. Point at a neuron, or step through them with the arrow keys.`,
        );
        return;
      }
      const { level, index } = hyperlib.network.locate(net.shape, this.marked);
      if (level === 2) say(`The output, the weighted sum of ${m} hidden neurons.`);
      if (level === 1) {
        const owner = hyperlib.views.owners(net)[index];
        const reads =
          owner < 0
            ? "reads many inputs"
            : `reads input ${owner + 1} with W = ${format(net.weights[0][owner * m + index])}`;
        say(`Hidden neuron ${index + 1} ${reads}; its weight to the output is ${format(net.weights[1][index])}.`);
      }
      if (level === 0) {
        const own = Array.from(hyperlib.views.owners(net)).flatMap((i, j) => (i === index ? [j + 1] : []));
        const signs = own.map((j) => `${j} (W = ${format(net.weights[0][index * m + j - 1])})`);
        say(
          `Input ${index + 1} of ${n}: ${own.length ? `read alone by hidden neuron${own.length > 1 ? "s" : ""} ${signs.join(", ")}` : "no hidden neuron of its own"}.`,
        );
      }
    }

    // --- to take away --------------------------------------------------------------------------------------------------

    offer() {
      if (!this.part.use.open || !this.answer) return;
      this.part.python.textContent = python(this.answer.state);
      if (this.address) URL.revokeObjectURL(this.address);
      this.address = URL.createObjectURL(new Blob([json(this.answer.net)], { type: "application/json" }));
      this.part.save.href = this.address;
    }

    async copy(button, content) {
      this.settled();
      try {
        await navigator.clipboard.writeText(content);
      } catch {
        // Where the clipboard is closed to pages, a selected text field is not.
        const field = document.createElement("textarea");
        field.value = content;
        document.body.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
      }
      button.dataset.label ??= button.textContent;
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = button.dataset.label;
      }, 1500);
    }
  }

  hyperlib.page = { Page, fromAddress, json, python, toAddress };
  hyperlib.live.folder = new URL(".", document.currentScript.src).href;
  const start = () => {
    const root = document.querySelector(".hl-hypernetwork");
    if (root) hyperlib.page.shown = new Page(root);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
