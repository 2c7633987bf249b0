/** The container: sections 1 to 3 of docs/format.md. */

import { crc32 } from "./crc32.js";
import { FileError, damaged } from "./errors.js";
import { readVarint, writeVarint } from "./varint.js";

const MAGIC = [0x89, 0x56, 0x41, 0x45, 0x43];
const VERSION = 1;
/** The short form of small pictures without loss. */
const SHORT = 2;
const DATA = 0x80;
const HEADER = 0x81;
const TILES = 0x82;
const ICC = 0x03;
const EXIF = 0x04;
const XMP = 0x05;
const ALPHA = 0x86;
const CHECK = 0x08;
const ARRAY = 0x87;
const FEATURES = 0x89;
const OVERLAY = 0x8a;
/** What was added to the format later and this page has not got, by the number in the section FEATURES. */
const ADDED = { 1: "JPEG XL tiles", 2: "pixels of 16 bits without loss", 3: "transparency of 16 bits", 4: "pixels without loss", 5: "JPEG XL transparency", 6: "transparency beside pixels without loss" };
const KNOWN = new Set([HEADER, TILES, ICC, EXIF, XMP, ALPHA, CHECK, ARRAY, OVERLAY]);

export const LATENTS = 0;
const MAX_TILE_MODE = 2;
const MAX_QUALITY16 = 1600;
const MAX_PIXELS = 2 ** 28;
const MAX_TILE_PIXELS = 2 ** 24;
const MAX_METADATA = 2 ** 24;
const TILE_ENTRY_BYTES = 6;

/**
 * @typedef {{left: number, top: number, width: number, height: number}} Rectangle
 * @typedef {{mode: number, payload: Uint8Array} & Rectangle} Tile
 * @typedef {{modelId: string, width: number, height: number, channels: number, bitDepth: number,
 *   quality16: number, tileExponent: number}} Header
 * @typedef {{header: Header, tiles: Tile[], alpha: {mode: number, data: Uint8Array} | null, check: number | null,
 *   overlay: {mode: number, data: Uint8Array} | null,
 *   packed: {icc?: Uint8Array, exif?: Uint8Array, xmp?: Uint8Array}}} Container
 */

const uint32 = (bytes, at) => (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
const tagName = (tag) => tag.toString(16).padStart(2, "0");

/**
 * Reads and checks everything but what the entropy coder and the model say.
 * @param {Uint8Array} bytes the whole file
 * @returns {Container}
 * @throws {FileError}
 */
export function readContainer(bytes) {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw new FileError("This is neither a .vaec file nor a PNG or JPEG.");
  if (bytes.length < 6) throw damaged("it ends after its first bytes");
  if (bytes[5] === SHORT) throw new FileError(cannotShow("pixels without loss"));
  if (bytes[5] > SHORT) throw new FileError(`This file is of version ${bytes[5]}; this page reads up to ${SHORT}. Get a newer page.`);
  if (bytes[5] === 0) throw damaged("there is no version 0");

  /** @type {Map<number, Uint8Array>} */
  const sections = new Map();
  let at = 6;
  for (;;) {
    if (at >= bytes.length) throw damaged("it is cut off before its data");
    const tag = bytes[at];
    if (sections.size === 0 && tag !== HEADER) throw damaged("its first section is not the header");
    if (tag === DATA) break;
    const [length, start] = readVarint(bytes, at + 1);
    const end = start + length;
    if (end + 4 > bytes.length) throw damaged("it is cut off");
    if (crc32(bytes.subarray(at, end)) !== uint32(bytes, end)) throw damaged(`section ${tagName(tag)} has a wrong checksum`);
    if (sections.has(tag)) throw damaged(`section ${tagName(tag)} is there twice`);
    if (tag === FEATURES) throw new FileError(needs(bytes.subarray(start, end)));
    if (tag >= 0x80 && !KNOWN.has(tag)) {
      throw new FileError(`This file needs something that this page does not know (section ${tagName(tag)}). Get a newer page.`);
    }
    sections.set(tag, bytes.subarray(start, end));
    at = end + 4;
  }

  const header = readHeader(sections.get(HEADER));
  if (sections.has(ARRAY)) throw damaged("a picture has a section that only arrays have");
  const table = sections.get(TILES);
  if (!table) throw damaged("its list of tiles is missing");
  const tiles = readTiles(bytes.subarray(at + 1), table, header);
  const check = sections.get(CHECK);
  if (check && check.length !== 4) throw damaged("its checksum has a wrong length");
  return {
    header,
    tiles,
    alpha: readAlpha(sections.get(ALPHA)),
    overlay: readOverlay(sections.get(OVERLAY), header, tiles),
    check: check ? uint32(check, 0) : null,
    packed: { icc: sections.get(ICC), exif: sections.get(EXIF), xmp: sections.get(XMP) },
  };
}

/** @param {Uint8Array} features @returns {string} */
function needs(features) {
  const unknown = features.find((number) => !ADDED[number]);
  if (features.length === 0) throw damaged("its list of features is empty");
  if (unknown !== undefined) return `This file needs something that this page does not know (feature ${unknown}). Get a newer page.`;
  const what = [...features].map((number) => ADDED[number]).join(", ");
  return cannotShow(what);
}

/** @param {string} what @returns {string} */
const cannotShow = (what) => `This file has ${what}, which this page cannot show: turn it into a PNG with "vaecodec decompress".`;

/** @param {Uint8Array} payload @returns {Header} */
function readHeader(payload) {
  if (payload.length < 9) throw damaged("its header is too short");
  const kind = payload[0];
  if (kind > 2) throw new FileError(`This file holds something that this page does not know (kind ${kind}). Get a newer page.`);
  if (kind !== 0) throw new FileError("This file holds an array of numbers, not a picture; this page shows pictures.");
  const modelId = [...payload.subarray(1, 9)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let at = 9;
  let width, height, quality16;
  [width, at] = readVarint(payload, at);
  [height, at] = readVarint(payload, at);
  const channels = payload[at];
  const bitDepth = payload[at + 1];
  [quality16, at] = readVarint(payload, at + 2);
  const tileExponent = payload[at];
  if (at + 1 !== payload.length) throw damaged("its header has a wrong length");
  if (width < 1 || height < 1) throw damaged("it has no pixels");
  if (channels !== 1 && channels !== 3) throw damaged(`it says that it has ${channels} channels`);
  if (bitDepth >= 9 && bitDepth <= 15) throw new FileError(`This picture has ${bitDepth} bits per sample; this page knows 8 and 16.`);
  if (bitDepth !== 8 && bitDepth !== 16) throw damaged(`it says that it has ${bitDepth} bits per sample`);
  if (quality16 > MAX_QUALITY16) throw damaged("its quality is out of range");
  if (tileExponent !== 0 && (tileExponent < 6 || tileExponent > 15)) throw damaged("the size of its tiles is out of range");
  if (width * height > MAX_PIXELS) throw new FileError(`This picture of ${width} × ${height} is too large for this page.`);
  const side = tileExponent ? 2 ** tileExponent : Math.max(width, height);
  if (Math.min(side, width) * Math.min(side, height) > MAX_TILE_PIXELS) {
    throw new FileError(`This picture of ${width} × ${height} is in too large pieces for this page.`);
  }
  return { modelId, width, height, channels, bitDepth, quality16, tileExponent };
}

/**
 * Where the tiles lie, in raster order.
 * @param {number} width @param {number} height @param {number} exponent
 * @returns {Generator<Rectangle>}
 */
export function* tileGrid(width, height, exponent) {
  const side = exponent ? 2 ** exponent : Math.max(width, height);
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      yield { left, top, width: Math.min(side, width - left), height: Math.min(side, height - top) };
    }
  }
}

/** @param {Uint8Array} data @param {Uint8Array} table @param {Header} header @returns {Tile[]} */
function readTiles(data, table, header) {
  const side = header.tileExponent ? 2 ** header.tileExponent : Math.max(header.width, header.height);
  const count = Math.ceil(header.width / side) * Math.ceil(header.height / side);
  // Before anything is made of that size.
  if (table.length < count * TILE_ENTRY_BYTES) throw damaged("its list of tiles is too short");
  const tiles = [];
  let at = 0;
  let start = 0;
  for (const rectangle of tileGrid(header.width, header.height, header.tileExponent)) {
    const mode = table[at];
    if (mode > MAX_TILE_MODE || (mode !== LATENTS && header.bitDepth !== 8)) throw damaged(`a tile has the unknown mode ${mode}`);
    const [length, next] = readVarint(table, at + 1);
    if (next + 4 > table.length) throw damaged("its list of tiles is too short");
    if (start + length > data.length) throw damaged("it is cut off");
    const payload = data.subarray(start, start + length);
    if (crc32(payload) !== uint32(table, next)) throw damaged(`tile ${tiles.length} has a wrong checksum`);
    tiles.push({ mode, payload, ...rectangle });
    at = next + 4;
    start += length;
  }
  if (at !== table.length) throw damaged("its list of tiles is too long");
  if (start !== data.length) throw damaged("it has more bytes than its tiles");
  return tiles;
}

/** @param {Uint8Array | undefined} payload */
function readAlpha(payload) {
  if (!payload) return null;
  const mode = payload[0];
  const data = payload.subarray(1);
  if (!(mode >= 1 && mode <= 3) || data.length < 1 || (mode === 3 && data.length !== 1)) {
    throw damaged("its transparency is not of a known form");
  }
  return { mode, data };
}

/** @param {Uint8Array | undefined} payload @param {Header} header @param {Tile[]} tiles */
function readOverlay(payload, { width, height, bitDepth }, tiles) {
  if (!payload) return null;
  const mode = payload[0];
  if (!(mode === 1 || mode === 2) || payload.length < 2) throw damaged("its overlay is not of a known form");
  if (bitDepth !== 8 || tiles.every((tile) => tile.mode !== LATENTS)) throw damaged("its overlay has nothing to lie over");
  if (width * height > MAX_TILE_PIXELS) throw new FileError(`This picture of ${width} × ${height} has a too large overlay for this page.`);
  return { mode, data: payload.subarray(1) };
}

/**
 * Section 2, packed metadata.
 * @param {Uint8Array | undefined} packed
 * @returns {Promise<Uint8Array | null>}
 */
export async function unpack(packed) {
  if (!packed) return null;
  if (packed[0] === 0) {
    if (packed.length - 1 > MAX_METADATA) throw new FileError("This file has more metadata than this page takes.");
    return packed.subarray(1);
  }
  if (packed[0] !== 1) throw damaged("its metadata are packed in an unknown way");
  return inflate(packed.subarray(1), MAX_METADATA);
}

/** Exactly one zlib stream, of at most `limit` bytes. @param {Uint8Array} bytes @param {number} limit */
async function inflate(bytes, limit) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const pieces = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw damaged("its metadata cannot be unpacked");
    });
    if (done) break;
    size += value.length;
    if (size > limit) {
      await reader.cancel();
      throw new FileError("This file has more metadata than this page takes.");
    }
    pieces.push(value);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** One file of pieces. @param {...ArrayLike<number>} pieces @returns {Uint8Array} */
function joined(...pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const littleEndian = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];

function section(tag, payload) {
  const bytes = joined([tag], writeVarint(payload.length), payload);
  return joined(bytes, littleEndian(crc32(bytes)));
}

/**
 * A file of tiles in latents, with the sections in the order of vaecodec/bitstream/container.py.
 * @param {Header} header
 * @param {Uint8Array[]} payloads of the tiles, in raster order
 * @param {{mode: number, data: Uint8Array} | null} alpha
 * @returns {Uint8Array}
 */
export function writeContainer(header, payloads, alpha) {
  const id = header.modelId.match(/../g).map((digits) => parseInt(digits, 16));
  const sizes = [...writeVarint(header.width), ...writeVarint(header.height)];
  const rest = [header.channels, header.bitDepth, ...writeVarint(header.quality16), header.tileExponent];
  const entries = payloads.flatMap((payload) => [LATENTS, ...writeVarint(payload.length), ...littleEndian(crc32(payload))]);
  return joined(
    [...MAGIC, VERSION],
    section(HEADER, Uint8Array.from([0, ...id, ...sizes, ...rest])),
    ...(alpha ? [section(ALPHA, joined([alpha.mode], alpha.data))] : []),
    section(TILES, Uint8Array.from(entries)),
    [DATA],
    ...payloads,
  );
}
