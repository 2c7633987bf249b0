/**
 * From samples to a file: tiles, each seen with its neighbours, coded by the workers.
 *
 *     picture ─► tiles with a halo ─► streams ─► container
 *
 * The file is the one that `vaecodec compress --strip` writes for these samples, as long as nothing in them is drawn: text and flat
 * graphics it may keep without loss, which this page does not.
 */

import { tileGrid, writeContainer } from "./container.js";
import { STRIDE } from "./codec.js";
import { encodePng } from "./png.js";

/** Larger pictures are cut into tiles of 2^10. */
const ONE_TILE_PIXELS = 2_000_000;
const TILE_EXPONENT = 10;
const OPAQUE = 255;
const ALPHA_PNG = 1;
const ALPHA_CONSTANT = 3;

/**
 * @param {{width: number, height: number, channels: number, samples: Uint8Array, alpha: Uint8Array | null}} picture
 *   samples [height, width, channels]; alpha [height, width]
 * @param {{modelId: string, analysisHalo: number}} model
 * @param {import("./pool.js").Pool} pool
 * @param {{quality: number, effort?: number, progress?: (part: number) => void}} options quality 0..100, effort 0 or 1
 * @returns {Promise<Uint8Array>}
 */
export async function encode(picture, model, pool, { quality, effort = 1, progress = () => {} }) {
  const { width, height, channels } = picture;
  const quality16 = Math.round(16 * quality);
  const tileExponent = width * height <= ONE_TILE_PIXELS ? 0 : TILE_EXPONENT;
  const [rows, columns] = [Math.ceil(height / STRIDE), Math.ceil(width / STRIDE)];
  const alpha = await packAlpha(picture);
  let done = 0;
  const payloads = await Promise.all(
    [...tileGrid(width, height, tileExponent)].map(async (tile) => {
      const cells = { top: tile.top / STRIDE, left: tile.left / STRIDE, height: Math.ceil(tile.height / STRIDE), width: Math.ceil(tile.width / STRIDE) };
      const [top, left] = [Math.max(0, cells.top - model.analysisHalo), Math.max(0, cells.left - model.analysisHalo)];
      const bottom = Math.min(rows, cells.top + cells.height + model.analysisHalo);
      const right = Math.min(columns, cells.left + cells.width + model.analysisHalo);
      const seen = { top, left, rows: bottom - top, columns: right - left };
      // Cut when a worker is free, so that not all tiles are in memory twice.
      const task = () => ({
        ...cells, rgb: cut(picture, seen), rows: seen.rows, columns: seen.columns, top: cells.top - top, left: cells.left - left, quality16, effort,
      });
      const payload = await pool.run("encode", task);
      done += tile.width * tile.height;
      progress(done / (width * height));
      return payload;
    }),
  );
  return writeContainer({ modelId: model.modelId, width, height, channels, bitDepth: 8, quality16, tileExponent }, payloads, alpha);
}

/** Some cells of 16 × 16 pixels as RGB; beyond the picture its edges are repeated. */
function cut({ width, height, channels, samples }, { top, left, rows, columns }) {
  const [h, w] = [rows * STRIDE, columns * STRIDE];
  const rgb = new Uint8Array(h * w * 3);
  for (let i = 0, to = 0; i < h; i++) {
    const row = Math.min(top * STRIDE + i, height - 1) * width;
    for (let j = 0; j < w; j++) {
      const from = (row + Math.min(left * STRIDE + j, width - 1)) * channels;
      for (let c = 0; c < 3; c++) rgb[to++] = samples[channels === 3 ? from + c : from];
    }
  }
  return rgb;
}

async function packAlpha({ width, height, alpha }) {
  if (!alpha || alpha.every((a) => a === OPAQUE)) return null;
  if (alpha.every((a) => a === alpha[0])) return { mode: ALPHA_CONSTANT, data: alpha.subarray(0, 1) };
  const png = await encodePng({ header: { width, height, channels: 1, bitDepth: 8 }, samples: alpha, alpha: null, icc: null, exif: null });
  return { mode: ALPHA_PNG, data: new Uint8Array(await png.arrayBuffer()) };
}
