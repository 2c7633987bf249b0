/** Writes PNG files: the samples as they are, which a canvas does not promise where there is transparency, with profile and EXIF. */

import { crc32 } from "./crc32.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PAETH = 4;
/** Colour types by the number of channels, alpha included. */
const COLOUR_TYPE = { 1: 0, 2: 4, 3: 2, 4: 6 };

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

async function deflate(bytes) {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** Each row by the Paeth filter: photographs pack well with it. `depth` is in bytes per pixel. */
function filtered(pixels, width, height, depth) {
  const stride = width * depth;
  const out = new Uint8Array((stride + 1) * height);
  for (let row = 0, to = 0; row < height; row++) {
    out[to++] = PAETH;
    const at = row * stride;
    for (let i = 0; i < stride; i++) {
      const a = i < depth ? 0 : pixels[at + i - depth];
      const b = row === 0 ? 0 : pixels[at + i - stride];
      const c = i < depth || row === 0 ? 0 : pixels[at + i - stride - depth];
      const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
      out[to++] = pixels[at + i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
    }
  }
  return out;
}

/**
 * @param {import("./decode.js").Picture} picture
 * @returns {Promise<Blob>}
 */
export async function encodePng({ header: { width, height, channels, bitDepth }, samples, alpha, icc, exif }) {
  const depth = channels + (alpha ? 1 : 0);
  let pixels = samples;
  if (alpha) {
    pixels = new samples.constructor(width * height * depth);
    for (let n = 0; n < width * height; n++) {
      for (let c = 0; c < channels; c++) pixels[n * depth + c] = samples[n * channels + c];
      pixels[n * depth + channels] = bitDepth === 16 ? 257 * alpha[n] : alpha[n];
    }
  }
  if (bitDepth === 16) {
    const view = new DataView(new ArrayBuffer(2 * pixels.length));
    pixels.forEach((sample, n) => view.setUint16(2 * n, sample));
    pixels = new Uint8Array(view.buffer);
  }
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([bitDepth, COLOUR_TYPE[depth]], 8);
  const parts = [new Uint8Array(SIGNATURE), chunk("IHDR", head)];
  if (icc) {
    const name = new TextEncoder().encode("ICC profile\0\0");
    const packed = await deflate(icc);
    const data = new Uint8Array(name.length + packed.length);
    data.set(name);
    data.set(packed, name.length);
    parts.push(chunk("iCCP", data));
  }
  if (exif) parts.push(chunk("eXIf", exif));
  parts.push(chunk("IDAT", await deflate(filtered(pixels, width, height, (depth * bitDepth) / 8))), chunk("IEND", new Uint8Array(0)));
  return new Blob(parts, { type: "image/png" });
}
