import { damaged } from "./errors.js";

const MAX_BYTES = 5;

/**
 * Unsigned LEB128, section 1 of docs/format.md.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {[number, number]} the number, below 2^35, and where the next byte is
 */
export function readVarint(bytes, at) {
  let value = 0;
  for (let i = 0; i < MAX_BYTES; i++) {
    if (at + i >= bytes.length) throw damaged("it ends inside a number");
    const byte = bytes[at + i];
    // No shifts: they end at 32 bits.
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) {
      if (byte === 0 && i > 0) throw damaged("a number is not in its shortest form");
      return [value, at + i + 1];
    }
  }
  throw damaged("a number has more than five bytes");
}

/** The inverse. @param {number} value @returns {number[]} its bytes */
export function writeVarint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}
