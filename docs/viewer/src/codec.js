/**
 * A model: from a tile's stream to its integers and samples, and from samples to a stream; section 5 of docs/format.md, by the core.
 *
 * The encoding half is that of vaecodec/backends/native_encoder.py and vaecodec/models/encoder_data.py: the same integers, the same file.
 */

import { damaged, FileError } from "./errors.js";

export const STRIDE = 16;
/** Sides of the squares of samples that the last layer draws, without and with a part at 1/4. */
const [PATCH, QUAD] = [8, 4];
const STEPS = 4;
const STEP_ORDER = [0, 3, 1, 2];
const Z_STRIDE = 4;
const CERTAIN_BELOW = 3;
const LEVELS = 64;
const QUALITIES = 101;
const FEATURE_SHIFT = 14;
const CONTEXT_CLAMP = 16383;
const HYPER_BORDER = 1;
const DEEP_SHIFT = 8;
const DIGIT_SHIFT = 7;
/** A coded symbol takes 24 bits, and 26 more where it is an escape. */
const MAX_SYMBOL_BITS = 50;

/** @param {string} name of blocks @param {number} count */
const numbered = (name, count) => Array.from({ length: count }, (_, i) => `${name}.${i}`);

/**
 * Sizes of a model, and what it is tuned for.
 * @param {Record<string, string>} metadata of its weights
 * @returns {Record<string, any>}
 */
export function settingsOf(metadata) {
  const { layers, ...analysis } = JSON.parse(metadata.encoder);
  return { ...JSON.parse(metadata.decoder).settings, ...analysis };
}

/** Latents around a window that its samples depend on. @param {Record<string, number>} settings */
export const synthesisHalo = ({ kernel8, kernel16, synthesis_blocks4 = 0, synthesis_blocks8, synthesis_blocks16 }) =>
  synthesis_blocks16 * (kernel16 >> 1) + Math.ceil(((kernel8 >> 1) * (2 * synthesis_blocks8 + synthesis_blocks4)) / 4);

/** Cells of 16 × 16 pixels around a tile that its latents depend on. @param {Record<string, number>} settings */
export const analysisHalo = ({ kernel8, kernel16, analysis_blocks8, analysis_blocks16 }) =>
  analysis_blocks16 * (kernel16 >> 1) + Math.ceil((analysis_blocks8 * (kernel8 >> 1)) / 2);

export class Model {
  /**
   * @param {import("./core.js").Core} core
   * @param {{metadata: Record<string, string>, tensors: import("./weights.js").Tensors}} weights without those of the encoder it only
   *   decodes
   */
  constructor(core, { metadata, tensors }) {
    this.core = core;
    this.settings = settingsOf(metadata);
    this.tensors = tensors;
    this.layers = {};
    for (const [name, clamps] of Object.entries(JSON.parse(metadata.decoder).layers)) this.#ready(name, `exact/${name}`, clamps);
    this.#deepPatches();
    const coder = [tensors["coder/half_widths"].values, tensors["coder/counts"].values].map((values) => Int32Array.from(values));
    this.tables = this.#pack("tables", core.copy(coder[0]), core.copy(coder[1]), coder[1].length);
    this.asinh = core.copy(Int16Array.from(tensors["exact/table/asinh"].values));
    this.finer = core.room(2 * 2 * 16 * CONTEXT_CLAMP);
    core.calls.finer_lookup(this.asinh, CONTEXT_CLAMP, this.finer);
    if (!("encoder/exact/table/dead_zone" in tensors)) return;
    for (const [name, clamps] of Object.entries(JSON.parse(metadata.encoder).layers)) this.#ready(name, `encoder/exact/${name}`, clamps);
    this.deadZone = core.copy(Int32Array.from(tensors["encoder/exact/table/dead_zone"].values));
  }

  #pack(name, ...args) {
    const at = this.core.calls[name](...args);
    if (!at) throw new Error("the weights of this page are damaged, or there is not enough memory for them");
    return at;
  }

  /** Makes a layer ready. @param {string} name @param {string} prefix of its tensors @param {object} clamps */
  #ready(name, prefix, { limit, input_limit, leaky }) {
    const [weight, bias, shift] = ["weight", "bias", "shift"].map((part) => this.tensors[`${prefix}/${part}`]);
    this.#make(name, weight, bias.values, shift.values, limit, input_limit, leaky);
  }

  #make(name, weight, bias, shift, limit, inputLimit, leaky) {
    const numbers = [weight.values, bias, shift].flatMap((values) => [this.core.copy(values), values.BYTES_PER_ELEMENT]);
    const at =
      leaky === undefined
        ? this.#pack("depthwise", ...numbers, weight.shape[0], weight.shape[1], limit, inputLimit)
        : this.#pack("linear", ...numbers, ...weight.shape, limit, inputLimit, leaky);
    this.layers[name] = { at, limit, inputLimit };
  }

  /** The last layer with the bits that samples of 16 bits need, where it has them: section 5.3. */
  #deepPatches() {
    const [weight, bias, shift] = ["weight", "bias", "shift"].map((part) => this.tensors[`exact/g_s.patches/${part}`]);
    if (shift.values.some((s) => s < DEEP_SHIFT + DIGIT_SHIFT)) return;
    const finer = Int32Array.from(bias.values, (b, n) => b - (1 << (shift.values[n] - 1)) + (1 << (shift.values[n] - DEEP_SHIFT - 1)));
    const { limit, inputLimit } = this.layers["g_s.patches"];
    this.#make("deep", weight, finer, Int32Array.from(shift.values, (s) => s - DEEP_SHIFT), limit << DEEP_SHIFT, inputLimit, 0);
  }

  /**
   * A row of a table at quality, section 5.1.
   * @param {string} name @param {number} quality16 @param {string} [half] `encoder/` for its tables
   * @returns {Int32Array}
   */
  at(name, quality16, half = "") {
    const { shape, values } = this.tensors[`${half}exact/table/${name}`];
    const width = shape[1];
    const i = quality16 >> 4;
    const r = quality16 & 15;
    const following = Math.min(i + 1, QUALITIES - 1);
    return Int32Array.from({ length: width }, (_, c) => (values[i * width + c] * (16 - r) + values[following * width + c] * r + 8) >> 4);
  }

  /** The table indices of z: [Z, rows, columns]. @param {number} quality16 @param {number} cells rows · columns */
  #hyperIndices(quality16, cells) {
    const indices = new Uint8Array(this.settings.hyper_latents * cells);
    this.at("hyper_index", quality16).forEach((fine, c) => {
      const level = Math.min(Math.max((fine + 16) >> 5, 0), LEVELS - 1);
      indices.fill(level < CERTAIN_BELOW ? 0 : level, c * cells, (c + 1) * cells);
    });
    return indices;
  }

  /** A grid after residual blocks; it is written over. */
  #blocks(names, x) {
    const { core, layers } = this;
    let y = names.length ? core.grid(x.rows, x.columns, x.channels, x.border) : x;
    for (const name of names) {
      const parts = ["depthwise", "expand", "project"].map((part) => layers[`${name}.${part}`].at);
      core.run("block", ...parts, x.at, y.at);
      [x, y] = [y, x];
    }
    return x;
  }

  /** A linear layer from x to y, with `side` times the rows and columns. */
  #unfold(name, x, y, limit, { side = 2, factor = null, offset = null } = {}) {
    const { core } = this;
    core.run("unfold", this.layers[name].at, x.at, y.at, side, core.copy(factor), factor ? FEATURE_SHIFT : 1, core.copy(offset), limit);
    return y;
  }

  /** A linear layer from 2 × 2 cells of x to one of y. */
  #fold(name, x, y) {
    this.core.run("fold", this.layers[name].at, x.at, y.at, this.layers[name].limit);
    return y;
  }

  // --- Prior ---------------------------------------------------------------------------------------------------------

  /**
   * Goes through the steps of the prior.
   * @param {number} z its symbols, in the core: [Z, rows, columns]
   * @param {{quality16: number, height: number, width: number}} tile in latents
   * @param {(k: number, mean: number, indices: number) => number} code codes a step: where its symbols then lie, [M/4, height, width]
   * @returns {number} where y16 lies, [height, width, M] in sixteenths of a step
   */
  #prior(z, { quality16, height, width }, code) {
    const { core, settings: s } = this;
    const [rows, columns] = [Math.ceil(height / Z_STRIDE), Math.ceil(width / Z_STRIDE)];
    let f = core.grid(rows, columns, s.hyper_latents, 0);
    core.calls.put_hyper(z, s.hyper_latents, f.at);
    f = this.#unfold("h_s.up32", f, core.grid(2 * rows, 2 * columns, s.prior_width, HYPER_BORDER), this.layers["h_s.up32"].limit);
    f = this.#blocks(["h_s.block32"], f);
    const limit = this.layers["h_s.up16"].limit;
    const grid = core.grid(4 * rows, 4 * columns, s.prior_width, s.prior_kernel >> 1);
    f = this.#unfold("h_s.up16", f, grid, limit, { offset: this.at("prior_vector", quality16) });

    const group = s.latents / STEPS;
    const [factors, offsets] = [this.at("mean_factor", quality16), this.at("index_offset", quality16)];
    // By position, of the group that it codes.
    const rowsOf = (table, k) => {
      const row = new Int32Array(s.latents);
      for (let p = 0; p < STEPS; p++) row.set(table.subarray((p ^ STEP_ORDER[k]) * group, ((p ^ STEP_ORDER[k]) + 1) * group), p * group);
      return core.copy(row);
    };
    const size = group * height * width;
    const [mean, indices, y16] = [core.room(4 * size), core.room(size), core.room(4 * STEPS * size)];
    for (let k = 0, latents = 0; k < STEPS; k++) {
      core.task(() => {
        if (k) core.run("enter", this.layers[`context.${k}.enter`].at, latents, height, width, this.asinh, CONTEXT_CLAMP, f.at, limit);
      });
      f = this.#blocks(numbered(`context.${k}.blocks`, s.prior_blocks), f);
      core.run("leave", this.layers[`context.${k}.leave`].at, f.at, rowsOf(factors, k), rowsOf(offsets, k), mean, indices, height, width);
      latents = code(k, mean, indices);
      core.calls.latents(latents, mean, k, height, width, s.latents, y16);
    }
    return y16;
  }

  /**
   * The integers of a tile.
   * @param {{payload: Uint8Array, quality16: number, height: number, width: number}} tile height and width in latents
   * @returns {{z: Int32Array, y16: Int32Array}} z [Z, rows, columns]; y16 [height, width, M] in sixteenths of a step
   */
  decode({ payload, ...tile }) {
    const { core } = this;
    return core.task(() => {
      const { height, width, quality16 } = tile;
      const stream = core.calls.open_stream(core.copy(payload), payload.length);
      if (!stream) throw damaged("a tile's stream is not made of whole words");
      const pop = (indices, count, symbols) => {
        const done = core.calls.pop(stream, this.tables, indices, count, symbols);
        if (done < 0) throw new Error("there is not enough memory for this picture");
        if (!done) throw damaged("a tile's stream has an impossible state");
      };
      const hyper = this.#hyperIndices(quality16, Math.ceil(height / Z_STRIDE) * Math.ceil(width / Z_STRIDE));
      const z = core.room(4 * hyper.length);
      pop(core.copy(hyper), hyper.length, z);
      const count = (this.settings.latents / STEPS) * height * width;
      const symbols = core.room(4 * count);
      const y16 = this.#prior(z, tile, (_, __, indices) => {
        pop(indices, count, symbols);
        return symbols;
      });
      if (!core.calls.used_up(stream)) throw damaged("a tile's stream goes on after its last symbol");
      return { z: core.read(Int32Array, z, hyper.length), y16: core.read(Int32Array, y16, STEPS * count) };
    });
  }

  // --- Synthesis -----------------------------------------------------------------------------------------------------

  /**
   * Section 5.3.
   * @param {{y16: Int32Array, quality16: number, height: number, width: number, bitDepth: number}} window y16 [height, width, M]
   * @returns {Uint8Array | Int32Array} RGB, [16·height, 16·width, 3]; Int32Array with 16 bits
   */
  synthesise({ y16, quality16, height, width, bitDepth }) {
    const { core, settings: s } = this;
    const last = this.layers[bitDepth === 16 ? "deep" : "g_s.patches"];
    if (!last) throw new FileError("This picture has 16 bits per sample, and the model of this page only 8.");
    return core.task(() => {
      let f = core.grid(height, width, s.latents, s.kernel16 >> 1);
      const shift = core.copy(Int32Array.from(this.tensors["exact/table/latent_shift"].values));
      const factor = core.copy(this.at("latent_factor", quality16));
      core.calls.scale(core.copy(y16), factor, shift, this.layers["g_s.pairs"].inputLimit, f.at, s.latents);
      f = this.#blocks(numbered("g_s.blocks16", s.synthesis_blocks16), f);
      const grid = core.grid(2 * height, 2 * width, s.features, s.kernel8 >> 1);
      const options = { factor: this.at("feature_factor", quality16) };
      const leaving8 = this.layers[s.features4 ? "g_s.quads" : "g_s.patches"];
      f = this.#unfold("g_s.pairs", f, grid, leaving8.inputLimit, options);
      f = this.#blocks(numbered("g_s.blocks8", s.synthesis_blocks8), f);
      if (s.features4) {
        f = this.#unfold("g_s.quads", f, core.grid(4 * height, 4 * width, s.features4, s.kernel8 >> 1), leaving8.limit);
        f = this.#blocks(numbered("g_s.blocks4", s.synthesis_blocks4), f);
      }
      const count = STRIDE * height * STRIDE * width * 3;
      const to = core.room(bitDepth === 16 ? 4 * count : count);
      core.run(bitDepth === 16 ? "deep_samples" : "samples", last.at, f.at, s.features4 ? QUAD : PATCH, to);
      return core.read(bitDepth === 16 ? Int32Array : Uint8Array, to, count);
    });
  }

  // --- Analysis ------------------------------------------------------------------------------------------------------

  /**
   * The stream of a tile.
   * @param {{rgb: Uint8Array, rows: number, columns: number, top: number, left: number, height: number, width: number,
   *   quality16: number, effort: number}} tile rgb [16·rows, 16·columns, 3], the tile and its neighbours; the others are in latents,
   *   where the tile lies in it; effort 0, or 1 for rounding with a dead zone
   * @returns {Uint8Array}
   */
  encode({ rgb, rows, columns, top, left, effort, ...tile }) {
    const { core, settings: s } = this;
    return core.task(() => {
      const { height, width, quality16 } = tile;
      const v = core.room(4 * height * width * s.latents);
      core.task(() => this.#analyse(rgb, { rows, columns, top, left, ...tile }, v));
      const [zRows, zColumns] = [Math.ceil(height / Z_STRIDE), Math.ceil(width / Z_STRIDE)];
      const hyper = this.#hyperIndices(quality16, zRows * zColumns);
      const [indices, z] = [core.copy(hyper), core.room(4 * hyper.length)];
      core.task(() => core.calls.hyper_symbols(this.#hyperAnalyse(v, tile).at, s.hyper_latents, indices, z));

      const count = (s.latents / STEPS) * height * width;
      const words = Math.ceil(((STEPS * count + hyper.length) * MAX_SYMBOL_BITS) / 32) + 4;
      const stream = core.calls.begin_stream(words);
      const push = (symbols, from, length) => core.run("push", stream, this.tables, symbols, from, length);
      push(z, indices, hyper.length);
      const symbols = core.room(4 * count);
      this.#prior(z, tile, (k, mean, from) => {
        core.calls.round_step(v, mean, from, effort > 0 ? this.deadZone : 0, k, height, width, s.latents, symbols);
        push(symbols, from, count);
        return symbols;
      });
      const used = core.calls.finish_stream(stream);
      if (used < 0) throw new Error("the stream of a tile has no room");
      return core.read(Uint8Array, core.calls.stream_words(stream), 4 * used);
    });
  }

  /** g_a: samples to v, [height, width, M] in 256ths of a step. */
  #analyse(rgb, { rows, columns, top, left, height, width, quality16 }, v) {
    const { core, settings: s } = this;
    let f = core.grid(2 * rows, 2 * columns, 3 * 8 * 8, 0);
    core.calls.patches(core.copy(rgb), f.at);
    const options = { side: 1, factor: this.at("analysis_factor", quality16, "encoder/") };
    const grid = core.grid(2 * rows, 2 * columns, s.features, s.kernel8 >> 1);
    f = this.#unfold("g_a.patches", f, grid, this.layers["g_a.pairs"].inputLimit, options);
    f = this.#blocks(numbered("g_a.blocks8", s.analysis_blocks8), f);
    f = this.#fold("g_a.pairs", f, core.grid(rows, columns, s.latents, s.kernel16 >> 1));
    f = this.#blocks(numbered("g_a.blocks16", s.analysis_blocks16), f);
    const factor = core.copy(this.at("gain_factor", quality16, "encoder/"));
    const shift = core.copy(Int32Array.from(this.tensors["encoder/exact/table/gain_shift"].values));
    core.calls.gain(f.at, factor, shift, top, left, height, width, s.latents, v);
  }

  /** h_a: v to a grid of the symbols of z. */
  #hyperAnalyse(v, { height, width }) {
    const { core, settings: s } = this;
    const [rows, columns] = [Math.ceil(height / Z_STRIDE), Math.ceil(width / Z_STRIDE)];
    const border = s.prior_kernel >> 1;
    let f = core.grid(4 * rows, 4 * columns, s.latents, 0);
    core.calls.seen(v, height, width, s.latents, this.finer, CONTEXT_CLAMP, f.at);
    const grid = core.grid(4 * rows, 4 * columns, s.prior_width, border);
    f = this.#unfold("h_a.enter", f, grid, this.layers["h_a.enter"].limit, { side: 1 });
    f = this.#blocks(["h_a.block16"], f);
    f = this.#blocks(["h_a.block32"], this.#fold("h_a.down32", f, core.grid(2 * rows, 2 * columns, s.prior_width, border)));
    return this.#fold("h_a.down64", f, core.grid(rows, columns, s.hyper_latents, 0));
  }
}
