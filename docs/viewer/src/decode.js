/**
 * From a file to samples: the tiles' integers by the workers, then windows of samples, each with a halo of latents around it.
 *
 *     file ─► container ─► latents of every tile ─► windows of samples ─► picture
 */

import { LATENTS, readContainer, tileGrid, unpack } from "./container.js";
import { crc32 } from "./crc32.js";
import { FileError, damaged } from "./errors.js";
import { STRIDE } from "./codec.js";
import { Sha256 } from "./sha256.js";

const LATENT_CLAMP = 32767;
const OPAQUE = 255;
/** Of tiles, transparency and overlay without loss, by mode. */
const TYPES = { 1: "image/png", 2: "image/webp" };
/** Windows of samples are at most 2^10 pixels wide and high. */
const WINDOW_EXPONENT = 10;

/**
 * @typedef {import("./container.js").Header} Header
 * @typedef {{header: Header, samples: Uint8Array | Uint16Array, alpha: Uint8Array | null, icc: Uint8Array | null, exif: Uint8Array | null,
 *   xmp: Uint8Array | null, latentsSha256: string | null}} Picture
 *   samples [height, width, channels]; alpha [height, width]
 */

/**
 * @param {Uint8Array} bytes
 * @param {{modelId: string, halo: number, latents: number}} model
 * @param {import("./pool.js").Pool} pool
 * @param {{progress?: (part: number) => void, painted?: (picture: Picture, r: import("./container.js").Rectangle) => void,
 *   digest?: boolean}} [options]
 * @returns {Promise<Picture>}
 */
export async function decode(bytes, model, pool, { progress = () => {}, painted = () => {}, digest = false } = {}) {
  const container = readContainer(bytes);
  const { header, tiles } = container;
  if (header.modelId !== model.modelId) {
    throw new FileError(`This file was made with the model ${header.modelId}; this page has only ${model.modelId}. Get the page that came with that model.`);
  }
  const { width, height, channels, bitDepth } = header;
  const picture = {
    header,
    samples: new (bitDepth === 16 ? Uint16Array : Uint8Array)(width * height * channels),
    icc: await unpack(container.packed.icc),
    exif: await unpack(container.packed.exif),
    xmp: await unpack(container.packed.xmp),
    alpha: await decodeAlpha(container.alpha, header),
    latentsSha256: null,
  };

  const [rows, columns] = [Math.ceil(height / STRIDE), Math.ceil(width / STRIDE)];
  const M = model.latents;
  const y16 = new Int16Array(rows * columns * M);
  const coded = tiles.filter((tile) => tile.mode === LATENTS);
  const windows = coded.flatMap((tile) =>
    [...tileGrid(tile.width, tile.height, WINDOW_EXPONENT)].map((r) => ({ ...r, left: r.left + tile.left, top: r.top + tile.top })),
  );
  const pixels = (all) => all.reduce((sum, r) => sum + r.width * r.height, 0);
  const total = pixels(coded) + pixels(windows) || 1;
  let done = 0;
  const advance = (r) => progress((done += r.width * r.height) / total);

  /** @type {Map<object, {z: Int32Array, y16: Int32Array}>} */
  const forDigest = new Map();
  await Promise.all(
    coded.map(async (tile) => {
      const [h, w] = [Math.ceil(tile.height / STRIDE), Math.ceil(tile.width / STRIDE)];
      const latents = await pool.run("latents", { payload: tile.payload.slice(), quality16: header.quality16, height: h, width: w });
      if (digest) forDigest.set(tile, { z: latents.z, y16: byChannel(latents.y16, h * w, M) });
      const [top, left] = [tile.top / STRIDE, tile.left / STRIDE];
      for (let i = 0, n = 0; i < h; i++) {
        const to = ((top + i) * columns + left) * M;
        for (let j = 0; j < w * M; j++, n++) y16[to + j] = Math.min(Math.max(latents.y16[n], -LATENT_CLAMP), LATENT_CLAMP);
      }
      advance(tile);
    }),
  );
  if (digest) picture.latentsSha256 = digestOf(coded.map((tile) => forDigest.get(tile)));

  const overlay = container.overlay && (await decodeLossless(container.overlay.data, TYPES[container.overlay.mode], width, height, "the overlay"));
  if (overlay && overlay.some((value, n) => n % 4 === 3 && value !== 0 && value !== OPAQUE)) throw damaged("its overlay is translucent");
  const show = (r) => {
    if (overlay) cover(picture, r, overlay);
    painted(picture, r);
  };
  for (const tile of tiles) {
    if (tile.mode !== LATENTS) {
      put(picture, tile, await decodeLossless(tile.payload, TYPES[tile.mode], tile.width, tile.height, "a tile"), 4, 0, tile.width);
      show(tile);
    }
  }
  await Promise.all(
    windows.map(async (r) => {
      const [top, left] = [r.top / STRIDE, r.left / STRIDE];
      const from = { top: Math.max(0, top - model.halo), left: Math.max(0, left - model.halo) };
      const bottom = Math.min(rows, top + Math.ceil(r.height / STRIDE) + model.halo);
      const right = Math.min(columns, left + Math.ceil(r.width / STRIDE) + model.halo);
      const [h, w] = [bottom - from.top, right - from.left];
      const piece = new Int32Array(h * w * M);
      for (let i = 0; i < h; i++) {
        const at = ((from.top + i) * columns + from.left) * M;
        piece.set(y16.subarray(at, at + w * M), i * w * M);
      }
      const rgb = await pool.run("samples", { y16: piece, quality16: header.quality16, height: h, width: w, bitDepth });
      const first = (top - from.top) * STRIDE * w * STRIDE + (left - from.left) * STRIDE;
      put(picture, r, rgb, 3, first, w * STRIDE);
      show(r);
      advance(r);
    }),
  );
  if (container.check !== null && crc32(bytesOf(picture.samples)) !== container.check) {
    throw damaged("the picture that comes out does not match its checksum");
  }
  return picture;
}

/** The bytes of an array; of wide numbers the lower ones first, as on every machine that has a browser. */
export const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Copies RGB or RGBA pixels, `stride` a row, from pixel `first` on, into a rectangle of the picture. */
function put(picture, r, pixels, depth, first, stride) {
  const { samples, header: { width, channels } } = picture;
  for (let i = 0; i < r.height; i++) {
    let from = (first + i * stride) * depth;
    let to = ((r.top + i) * width + r.left) * channels;
    for (let j = 0; j < r.width; j++, from += depth) {
      if (channels === 3) {
        samples[to++] = pixels[from];
        samples[to++] = pixels[from + 1];
        samples[to++] = pixels[from + 2];
      } else if (depth === 4) samples[to++] = pixels[from];
      else samples[to++] = Math.floor((pixels[from] + pixels[from + 1] + pixels[from + 2] + 1) / 3);
    }
  }
}

/** Puts RGBA of the whole picture, where it is opaque, over the samples of a rectangle. */
function cover({ samples, header: { width, channels } }, r, overlay) {
  for (let i = r.top; i < r.top + r.height; i++) {
    for (let n = i * width + r.left; n < i * width + r.left + r.width; n++) {
      if (overlay[4 * n + 3] !== OPAQUE) continue;
      for (let c = 0; c < channels; c++) samples[channels * n + c] = overlay[4 * n + c];
    }
  }
}

/** A PNG or WebP by the browser, its colours as they are stored. Opaque or with nothing to be seen, so that RGBA comes back as it was. */
async function decodeLossless(bytes, type, width, height, what) {
  let bitmap;
  try {
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "none" };
    bitmap = await createImageBitmap(new Blob([bytes], { type }), options);
  } catch {
    throw damaged(`${what} without loss cannot be decoded`);
  }
  if (bitmap.width !== width || bitmap.height !== height) throw damaged(`${what} without loss has a wrong size`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height).data;
}

async function decodeAlpha(alpha, { width, height }) {
  if (!alpha) return null;
  if (alpha.mode === 3) return new Uint8Array(width * height).fill(alpha.data[0]);
  const rgba = await decodeLossless(alpha.data, TYPES[alpha.mode], width, height, "the transparency");
  return Uint8Array.from({ length: width * height }, (_, n) => rgba[4 * n + 1]);
}

/** [cells, channels] -> [channels, cells]. */
function byChannel(values, cells, channels) {
  const turned = new Int32Array(values.length);
  for (let i = 0, n = 0; i < cells; i++) for (let c = 0; c < channels; c++, n++) turned[c * cells + i] = values[n];
  return turned;
}

/** Section 7. @param {{z: Int32Array, y16: Int32Array}[]} tiles */
function digestOf(tiles) {
  const hash = new Sha256();
  for (const { z, y16 } of tiles) for (const values of [z, y16]) hash.update(bytesOf(values));
  return hash.hex();
}
