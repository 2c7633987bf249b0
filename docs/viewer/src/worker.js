/** A worker: holds the model in onnxruntime-web's WebAssembly, and does one task at a time. */

import * as ort from "onnxruntime-web/wasm";
import { ModelTables, decodeLatents, synthesise } from "./latents.js";
import { FileError } from "./errors.js";

/** @type {ModelTables} */
let model;
/** @type {Record<string, Promise<ort.InferenceSession>>} */
const sessions = {};
let files;

function session(name) {
  if (!files[`${name}.onnx`]) throw new FileError("This picture has 16 bits per sample, and the model of this page only 8.");
  // Made when it is first needed: the first picture does not wait for all.
  sessions[name] ??= ort.InferenceSession.create(files[`${name}.onnx`], { executionProviders: ["wasm"] });
  return sessions[name];
}

async function run(name, inputs) {
  const feeds = {};
  for (const [key, value] of Object.entries(inputs)) feeds[key] = new ort.Tensor(value.type, value.data, value.dims);
  return (await session(name)).run(feeds);
}

const TASKS = {
  async start({ wasm, model: parts }) {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = wasm;
    ort.env.logLevel = "error";
    files = parts;
    model = new ModelTables(JSON.parse(new TextDecoder().decode(parts["decoder.json"])), parts["tables.safetensors"]);
    return { result: null, transfer: [] };
  },
  async latents(task) {
    const result = await decodeLatents(model, run, task);
    return { result, transfer: [result.z.buffer, result.y16.buffer] };
  },
  async samples(task) {
    const result = (await synthesise(model, run, task)).slice();
    return { result, transfer: [result.buffer] };
  },
};

self.onmessage = async ({ data: { id, kind, task } }) => {
  try {
    const { result, transfer } = await TASKS[kind](task);
    self.postMessage({ id, result }, { transfer });
  } catch (error) {
    self.postMessage({ id, failure: String(error?.message ?? error), aboutFile: error instanceof FileError });
  }
};
