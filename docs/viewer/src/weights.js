/**
 * Weights as the page carries them: the integers of a weights file, in an order that packs well.
 *
 *   a line of JSON: {metadata, tensors: [[name, "I16" or "I32", shape, planes], …]}
 *   then of each tensor its planes: of every number the lowest byte, then of every number the next one
 *
 * Before that, tables over quality and the table `asinh` are differences of neighbours, and the sign of a number becomes its lowest bit.
 */

const ARRAYS = { I16: Int16Array, I32: Int32Array };

/** How far the number lies from which one is subtracted; 0 for none. @param {string} name @param {number[]} shape */
const distance = (name, shape) => (name.includes("/table/") ? (shape.length === 2 ? shape[1] : 1) : 0);

/**
 * @typedef {Record<string, {shape: number[], values: Int16Array | Int32Array}>} Tensors
 */

/**
 * Reads the integer tensors of a safetensors file.
 * @param {Uint8Array} bytes
 * @returns {{metadata: Record<string, string>, tensors: Tensors}}
 */
export function readSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = Number(view.getBigUint64(0, true));
  const { __metadata__: metadata, ...entries } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(entries)) {
    // A copy: the values may lie anywhere, and typed arrays want multiples of their size.
    if (dtype in ARRAYS) tensors[name] = { shape, values: new ARRAYS[dtype](Uint8Array.from(bytes.subarray(8 + size + start, 8 + size + end)).buffer) };
  }
  return { metadata, tensors };
}

/** @param {Record<string, string>} metadata @param {Tensors} tensors @returns {Uint8Array} */
export function packWeights(metadata, tensors) {
  const entries = [];
  const parts = [];
  for (const name of Object.keys(tensors).sort()) {
    const { shape, values } = tensors[name];
    const back = distance(name, shape);
    const folded = new Uint32Array(values.length);
    let all = 0;
    values.forEach((value, n) => {
      const change = back && n >= back ? (value - values[n - back]) | 0 : value;
      folded[n] = (change << 1) ^ (change >> 31);
      all |= folded[n];
    });
    let planes = 0;
    for (; planes < 4 && all >>> (8 * planes); planes++) parts.push(Uint8Array.from(folded, (value) => value >>> (8 * planes)));
    entries.push([name, values instanceof Int16Array ? "I16" : "I32", shape, planes]);
  }
  const head = new TextEncoder().encode(`${JSON.stringify({ metadata, tensors: entries })}\n`);
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, head.length));
  whole.set(head);
  let at = head.length;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What packed weights say about themselves, and where their planes begin. @param {Uint8Array} bytes */
function headOf(bytes) {
  const line = bytes.indexOf(10);
  return { ...JSON.parse(new TextDecoder().decode(bytes.subarray(0, line))), start: line + 1 };
}

/** @param {Uint8Array} bytes packed weights @returns {Record<string, string>} */
export const metadataOf = (bytes) => headOf(bytes).metadata;

/** @param {Uint8Array} bytes @returns {{metadata: Record<string, string>, tensors: Tensors}} */
export function unpackWeights(bytes) {
  const { metadata, tensors: entries, start } = headOf(bytes);
  const tensors = {};
  let at = start;
  for (const [name, type, shape, planes] of entries) {
    const values = new ARRAYS[type](shape.reduce((product, side) => product * side, 1));
    const back = distance(name, shape);
    for (let n = 0; n < values.length; n++) {
      let folded = 0;
      for (let plane = 0; plane < planes; plane++) folded |= bytes[at + plane * values.length + n] << (8 * plane);
      const change = (folded >>> 1) ^ -(folded & 1);
      values[n] = back && n >= back ? values[n - back] + change : change;
    }
    at += planes * values.length;
    tensors[name] = { shape, values };
  }
  return { metadata, tensors };
}
