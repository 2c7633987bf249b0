/**
 * Reads a safetensors file of int32 tensors.
 * @param {Uint8Array} bytes
 * @returns {Record<string, {shape: number[], values: Int32Array}>}
 */
export function readSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    if (dtype !== "I32") throw new Error(`${name} is not of int32`);
    // A copy: the values may lie anywhere, and Int32Array wants multiples of 4.
    const values = new Int32Array(bytes.slice(8 + size + start, 8 + size + end).buffer);
    tensors[name] = { shape, values };
  }
  return tensors;
}
