/**
 * What the build put into the page: bytes packed with gzip, written as text of seven bits a character.
 *
 * HTML keeps 125 of the first 128 characters as they are, one byte each. The other three are written as characters from U+0100 on, of
 * two bytes: 17 % more than the bytes themselves, where base64 takes 33 %.
 */

import { FileError } from "./errors.js";

/** NUL and carriage return are changed by parsers, and `<` may begin a tag. */
const MOVED = [0, 13, 60];
const FAR = 0x100;

/** @param {Uint8Array} bytes @returns {string} */
export function toText(bytes) {
  const parts = [];
  let bits = 0;
  let held = 0;
  const put = (value) => parts.push(MOVED.includes(value) ? FAR + MOVED.indexOf(value) : value);
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 7; bits -= 7) put((held >> (bits - 7)) & 127);
    held &= 127;
  }
  if (bits) put((held << (7 - bits)) & 127);
  return parts.map((code) => String.fromCharCode(code)).join("");
}

/** The inverse. @param {string} text @returns {Uint8Array} */
export function fromText(text) {
  const bytes = new Uint8Array(Math.floor((7 * text.length) / 8));
  let bits = 0;
  let held = 0;
  for (let i = 0, at = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    held = ((held << 7) | (code < FAR ? code : MOVED[code - FAR])) & 0x7fff;
    bits += 7;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = held >> bits;
    }
  }
  return bytes;
}

/**
 * @param {string} id of the element that holds them
 * @returns {Promise<Uint8Array>}
 */
export async function embedded(id) {
  const element = document.getElementById(id);
  const packed = fromText(element.textContent);
  element.remove();
  return unpacked(packed);
}

/** @param {Uint8Array} packed with gzip @returns {Promise<Uint8Array>} */
async function unpacked(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * What the build put beside the page, as base64 in a script: also from the file system, where a page may fetch nothing.
 * @param {string} file @param {string} name of the global that the script sets
 * @returns {Promise<Uint8Array>}
 */
export async function beside(file, name) {
  const script = document.createElement("script");
  script.src = file;
  try {
    await new Promise((resolve, reject) => {
      Object.assign(script, { onload: resolve, onerror: reject });
      document.head.append(script);
    });
  } catch {
    throw new FileError(`To make files the page needs ${file} beside it, and it is not there: take both from the same place.`);
  } finally {
    script.remove();
  }
  const text = globalThis[name];
  delete globalThis[name];
  return unpacked(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
}

