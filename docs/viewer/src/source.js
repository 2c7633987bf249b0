/** Pictures that people have, decoded by the browser: upright, in sRGB, 8 bits per sample. */

import { FileError } from "./errors.js";

/** Canvases of most browsers end here. */
const MAX_PIXELS = 2 ** 28;

const startsWith = (bytes, signature) => signature.every((byte, n) => bytes[n] === byte);
const isPng = (bytes) => startsWith(bytes, [0x89, 0x50, 0x4e, 0x47]);
const isJpeg = (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff]);

/** Whether a PNG or JPEG says that it has no colour. @param {Uint8Array} bytes */
function isGrey(bytes) {
  if (isPng(bytes)) return bytes[25] === 0 || bytes[25] === 4;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + bytes[at + 2] * 256 + bytes[at + 3]) {
    const marker = bytes[at + 1];
    // Start of frame, of whatever kind; C4, C8 and CC are something else.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return bytes[at + 9] === 1;
  }
  return false;
}

/** Whether this page makes a file of such bytes. @param {Uint8Array} bytes */
export const isPicture = (bytes) => isPng(bytes) || isJpeg(bytes);

/**
 * @param {Uint8Array} bytes a PNG or a JPEG
 * @returns {Promise<{width: number, height: number, channels: number, samples: Uint8Array, alpha: Uint8Array | null}>}
 * @throws {FileError}
 */
export async function readPicture(bytes) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), { premultiplyAlpha: "none" });
  } catch {
    throw new FileError("This picture cannot be decoded; it may be damaged.");
  }
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new FileError(`This picture of ${width} × ${height} is too large for this page.`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const channels = isGrey(bytes) ? 1 : 3;
  const samples = new Uint8Array(width * height * channels);
  let alpha = null;
  for (let n = 0, from = 0, to = 0; n < width * height; n++, from += 4) {
    for (let c = 0; c < channels; c++) samples[to++] = data[from + c];
    if (data[from + 3] !== 255) {
      alpha ??= new Uint8Array(width * height).fill(255);
      alpha[n] = data[from + 3];
    }
  }
  return { width, height, channels, samples, alpha };
}
