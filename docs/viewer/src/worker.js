/** A worker: holds the model and the core, and does one task at a time. */

import { Core } from "./core.js";
import { Model } from "./codec.js";
import { FileError } from "./errors.js";
import { unpackWeights } from "./weights.js";

/** @type {Model} */
let model;

const TASKS = {
  start({ wasm, weights, encoder }) {
    const { metadata, tensors } = unpackWeights(weights);
    if (encoder) Object.assign(tensors, unpackWeights(encoder).tensors);
    model = new Model(new Core(wasm), { metadata, tensors });
    return { result: null, transfer: [] };
  },
  latents(task) {
    const result = model.decode(task);
    return { result, transfer: [result.z.buffer, result.y16.buffer] };
  },
  samples(task) {
    const result = model.synthesise(task);
    return { result, transfer: [result.buffer] };
  },
  encode(task) {
    const result = model.encode(task);
    return { result, transfer: [result.buffer] };
  },
};

self.onmessage = ({ data: { id, kind, task } }) => {
  try {
    const { result, transfer } = TASKS[kind](task);
    self.postMessage({ id, result }, { transfer });
  } catch (error) {
    self.postMessage({ id, failure: String(error?.message ?? error), aboutFile: error instanceof FileError });
  }
};
