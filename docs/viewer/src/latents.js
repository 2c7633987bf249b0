/** From a tile's stream to its integers: section 5.2 of docs/format.md, with the graphs of docs/onnx.md. */

import { RangeDecoder, decodeGroup, makeTables } from "./range_decoder.js";
import { readSafetensors } from "./safetensors.js";

export const STRIDE = 16;
const STEPS = 4;
const STEP_ORDER = [0, 3, 1, 2];
const Z_STRIDE = 4;
const MEAN_UNIT = 16;
const CERTAIN_BELOW = 3;
const LEVELS = 64;
const QUALITIES = 101;

/** What of a model is not in its graphs. */
export class ModelTables {
  /** @param {{settings: Record<string, number>, model_id: string, halo: number}} configuration @param {Uint8Array} tables */
  constructor(configuration, tables) {
    this.modelId = configuration.model_id;
    this.halo = configuration.halo;
    this.latents = configuration.settings.latents;
    this.hyperLatents = configuration.settings.hyper_latents;
    this.tensors = readSafetensors(tables);
    this.coder = makeTables(this.tensors.half_widths.values, this.tensors.counts.values);
  }

  /**
   * A row at quality, section 5.1.
   * @param {string} name @param {number} quality16
   * @returns {Int32Array}
   */
  at(name, quality16) {
    const { shape, values } = this.tensors[name];
    const width = shape[1];
    const i = quality16 >> 4;
    const r = quality16 & 15;
    const following = Math.min(i + 1, QUALITIES - 1);
    return Int32Array.from({ length: width }, (_, c) => (values[i * width + c] * (16 - r) + values[following * width + c] * r + 8) >> 4);
  }

  /** The table indices of z: [Z, rows, columns]. @param {number} quality16 @param {number} cells rows · columns */
  hyperIndices(quality16, cells) {
    const indices = new Uint8Array(this.hyperLatents * cells);
    this.at("hyper_index", quality16).forEach((fine, c) => {
      const level = Math.min(Math.max((fine + 16) >> 5, 0), LEVELS - 1);
      indices.fill(level < CERTAIN_BELOW ? 0 : level, c * cells, (c + 1) * cells);
    });
    return indices;
  }
}

/**
 * @typedef {(name: string, inputs: Record<string, any>) => Promise<Record<string, any>>} RunGraph
 *   runs a graph; inputs and outputs are {type, data, dims}
 */

const int32 = (data, dims) => ({ type: "int32", data, dims });

/**
 * The integers of a tile.
 * @param {ModelTables} model
 * @param {RunGraph} run
 * @param {{payload: Uint8Array, quality16: number, height: number, width: number}} tile height and width in latents
 * @returns {Promise<{z: Int32Array, y16: Int32Array}>} z [Z, rows, columns]; y16 [M, height, width] in sixteenths of a step
 */
export async function decodeLatents(model, run, { payload, quality16, height, width }) {
  const decoder = new RangeDecoder(payload);
  const rows = Math.ceil(height / Z_STRIDE);
  const columns = Math.ceil(width / Z_STRIDE);
  const [H, W] = [rows * Z_STRIDE, columns * Z_STRIDE];
  const group = model.latents / STEPS;
  const row = (name) => {
    const values = model.at(name, quality16);
    return int32(values, [values.length]);
  };

  const z = decodeGroup(decoder, model.coder, model.hyperIndices(quality16, rows * columns));
  let { features } = await run("prior_start", { z: int32(z, [model.hyperLatents, rows, columns]), prior_vector: row("prior_vector") });
  const [mean_factor, index_offset] = [row("mean_factor"), row("index_offset")];
  const y16 = new Int32Array(model.latents * height * width);
  const indices = new Uint8Array(group * height * width);
  let previous = {};
  for (let k = 0; k < STEPS; k++) {
    const out = await run(`prior_step_${k}`, { features, mean_factor, index_offset, ...previous });
    features = out.features_out;
    const mean = out.mean.data;
    // Only positions inside the tile are coded.
    for (let m = 0, n = 0; m < group; m++) {
      for (let i = 0; i < height; i++, n += width) {
        const from = (m * H + i) * W;
        indices.set(out.index.data.subarray(from, from + width), n);
      }
    }
    const symbols = decodeGroup(decoder, model.coder, indices);
    const decoded = new Int32Array(group * H * W);
    for (let m = 0, n = 0; m < group; m++) {
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++, n++) {
          const at = (m * H + i) * W + j;
          const latent = symbols[n] * MEAN_UNIT + mean[at];
          decoded[at] = latent;
          const g = (2 * (i & 1) + (j & 1)) ^ STEP_ORDER[k];
          y16[((g * group + m) * height + i) * width + j] = latent;
        }
      }
    }
    previous = { y16: int32(decoded, [group, H, W]) };
  }
  decoder.close();
  return { z, y16 };
}

/**
 * Section 5.3.
 * @param {ModelTables} model
 * @param {RunGraph} run
 * @param {{y16: Int32Array, quality16: number, height: number, width: number, bitDepth: number}} window y16 [M, height, width]
 * @returns {Promise<Uint8Array | Int32Array>} RGB, [16·height, 16·width, 3]; Int32Array with 16 bits
 */
export async function synthesise(model, run, { y16, quality16, height, width, bitDepth }) {
  const row = (name) => {
    const values = model.at(name, quality16);
    return int32(values, [values.length]);
  };
  const { samples } = await run(bitDepth === 16 ? "synthesis_deep" : "synthesis", {
    y16: int32(y16, [model.latents, height, width]),
    latent_factor: row("latent_factor"),
    feature_factor: row("feature_factor"),
  });
  return samples.data;
}
