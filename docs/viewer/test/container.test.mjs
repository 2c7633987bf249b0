import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { deflateSync } from "node:zlib";
import { readContainer, tileGrid, unpack } from "../src/container.js";
import { crc32 } from "../src/crc32.js";
import { FileError } from "../src/errors.js";
import { orientation } from "../src/exif.js";
import { Sha256 } from "../src/sha256.js";
import { readVarint } from "../src/varint.js";

const GOLDEN = new URL("../../../tests/golden/", import.meta.url);
const EXPECTED = JSON.parse(readFileSync(new URL("expected.json", GOLDEN)));
const golden = (name) => new Uint8Array(readFileSync(new URL(`${name}.vaec`, GOLDEN)));

const le32 = (n) => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const section = (tag, payload) => {
  const bytes = [tag, payload.length, ...payload];
  return [...bytes, ...le32(crc32(Uint8Array.from(bytes)))];
};
const MAGIC = [0x89, 0x56, 0x41, 0x45, 0x43, 1];
const HEADER = { kind: 0, width: 20, height: 10, channels: 3, depth: 8, quality: [0x20], exponent: 0 };
const header = (changes = {}) => {
  const h = { ...HEADER, ...changes };
  return section(0x81, [h.kind, 1, 2, 3, 4, 5, 6, 7, 8, h.width, h.height, h.channels, h.depth, ...h.quality, h.exponent]);
};
const tile = (payload, mode = 0) => [mode, payload.length, ...le32(crc32(Uint8Array.from(payload)))];
const PAYLOAD = [1, 2, 3, 4];
const file = ({ head = header(), tiles = section(0x82, tile(PAYLOAD)), more = [], data = PAYLOAD, magic = MAGIC } = {}) =>
  Uint8Array.from([...magic, ...head, ...more, ...tiles, 0x80, ...data]);
const refused = (bytes, about) => assert.throws(() => readContainer(bytes), (error) => error instanceof FileError && about.test(error.message));

test("varints are read in their shortest form only", () => {
  assert.deepEqual(readVarint(Uint8Array.of(0), 0), [0, 1]);
  assert.deepEqual(readVarint(Uint8Array.of(9, 0x80, 1), 1), [128, 3]);
  assert.deepEqual(readVarint(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f), 0), [2 ** 35 - 1, 5]);
  for (const bytes of [[], [0x80], [0x80, 0], [0x80, 0x80, 0x80, 0x80, 0x80, 1]]) {
    assert.throws(() => readVarint(Uint8Array.from(bytes), 0), FileError);
  }
});

test("CRC-32 and SHA-256 are those of others", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 37) & 255);
  for (let length = 0; length <= 300; length += 7) {
    const hash = new Sha256();
    for (let at = 0, step = 1; at < length; at += step++) hash.update(bytes.subarray(at, Math.min(at + step, length)));
    assert.equal(hash.hex(), createHash("sha256").update(bytes.subarray(0, length)).digest("hex"));
  }
});

test("golden files have the sizes that they should", () => {
  assert.ok(readdirSync(GOLDEN).filter((name) => name.endsWith(".vaec")).length >= 6);
  for (const [name, { shape, bit_depth }] of Object.entries(EXPECTED)) {
    const { header, tiles } = readContainer(golden(name));
    assert.deepEqual([header.height, header.width, header.channels], shape);
    assert.equal(header.bitDepth, bit_depth);
    assert.equal(tiles.length, [...tileGrid(header.width, header.height, header.tileExponent)].length);
    assert.equal(tiles.reduce((sum, t) => sum + t.width * t.height, 0), shape[0] * shape[1]);
  }
});

test("a golden file with any byte changed, or cut anywhere, is refused with a sentence", () => {
  const bytes = golden("pixel");
  for (let i = 0; i < bytes.length; i++) {
    const changed = bytes.slice();
    changed[i] ^= 0x55;
    refused(changed, /\.$/);
    refused(bytes.subarray(0, i), /\.$/);
  }
  refused(Uint8Array.from([...bytes, 0]), /more bytes/);
});

test("what was added later is refused with what it is and what to do", () => {
  const folder = new URL("added/", GOLDEN);
  const names = readdirSync(folder).filter((name) => name.endsWith(".vaec") && !name.includes("overlay"));
  assert.ok(names.length >= 9);
  const parts = { "jpeg-xl": /JPEG XL/, "png-deep": /16 bits without loss/, webp: /has pixels without loss,/, latents: /has transparency of 16 bits,/,
    short: /has pixels without loss,/, brief: /has pixels without loss,/, together: /transparency beside pixels without loss/ };
  for (const name of names) {
    const bytes = new Uint8Array(readFileSync(new URL(name, folder)));
    const [, words] = Object.entries(parts).find(([start]) => name.startsWith(start));
    refused(bytes, words);
    refused(bytes, /cannot show: turn it into a PNG with "vaecodec decompress"\.$/);
  }
  refused(file({ more: section(0x89, [9]) }), /feature 9.*newer page/);
});

test("what the format forbids is refused", () => {
  assert.equal(readContainer(file()).tiles[0].payload.length, 4);
  refused(file({ magic: [1, 2, 3, 4, 5, 6] }), /neither a \.vaec/);
  refused(file({ magic: [...MAGIC.slice(0, 5), 3] }), /version 3/);
  refused(file({ magic: [...MAGIC.slice(0, 5), 0] }), /version 0/);
  refused(file({ head: section(0x82, [0]) }), /header/);
  refused(file({ head: header({ kind: 1 }) }), /array/);
  refused(file({ head: header({ kind: 3 }) }), /kind 3/);
  refused(file({ head: header({ channels: 2 }) }), /channels/);
  refused(file({ head: header({ depth: 12 }) }), /12 bits/);
  refused(file({ head: header({ depth: 17 }) }), /17 bits/);
  assert.equal(readContainer(file({ head: header({ depth: 16 }) })).header.bitDepth, 16);
  refused(file({ head: header({ depth: 16 }), tiles: section(0x82, tile(PAYLOAD, 1)) }), /mode 1/);
  refused(file({ head: header({ width: 0 }) }), /no pixels/);
  refused(file({ head: header({ quality: [0xc1, 0x0c] }) }), /quality/);
  refused(file({ head: header({ exponent: 5 }) }), /tiles/);
  refused(file({ head: header({ quality: [0x20, 7] }) }), /length/);
  refused(file({ more: section(0x8f, [1]) }), /section 8f/);
  refused(file({ more: section(0x87, [1]) }), /arrays/);
  refused(file({ more: [...section(0x0f, [1]), ...section(0x0f, [2])] }), /twice/);
  refused(file({ more: section(0x08, [1, 2, 3]) }), /checksum/);
  refused(file({ more: section(0x86, [4, 1]) }), /transparency/);
  assert.equal(readContainer(file({ more: section(0x8a, [2, 1]) })).overlay.mode, 2);
  refused(file({ more: section(0x8a, [3, 1]) }), /overlay/);
  refused(file({ more: section(0x8a, [2]) }), /overlay/);
  refused(file({ more: section(0x8a, [2, 1]), tiles: section(0x82, tile(PAYLOAD, 2)) }), /overlay has nothing/);
  refused(file({ more: section(0x8a, [2, 1]), head: header({ depth: 16 }) }), /overlay has nothing/);
  refused(file({ tiles: section(0x82, [...tile(PAYLOAD), 0]) }), /too long/);
  refused(file({ tiles: section(0x82, tile(PAYLOAD, 3)) }), /mode 3/);
  refused(file({ tiles: [] }), /missing/);
  refused(file({ data: [1, 2, 3] }), /cut off/);
  refused(file({ data: [1, 2, 3, 5] }), /tile 0/);
});

test("sections that are not critical are skipped, and their checksum is checked all the same", () => {
  assert.equal(readContainer(file({ more: section(0x0f, [1, 2]) })).header.width, 20);
  const more = section(0x0f, [1, 2]);
  more[2] ^= 1;
  refused(file({ more }), /checksum/);
});

test("metadata are unpacked, one stream and no more than the limit", async () => {
  const text = new TextEncoder().encode("some profile, some profile, some profile");
  assert.deepEqual(await unpack(Uint8Array.of(0, ...text)), text);
  assert.deepEqual(await unpack(Uint8Array.of(1, ...deflateSync(text))), text);
  assert.equal(await unpack(undefined), null);
  await assert.rejects(unpack(Uint8Array.of(2, ...text)), FileError);
  await assert.rejects(unpack(Uint8Array.of(1, ...text)), FileError);
  await assert.rejects(unpack(Uint8Array.of(1, ...deflateSync(Buffer.alloc(2 ** 24 + 1)))), FileError);
});

test("EXIF orientation", () => {
  const big = Uint8Array.of(0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0);
  assert.equal(orientation(big), 6);
  assert.equal(orientation(Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0)), 8);
  assert.equal(orientation(big.subarray(0, 15)), 1);
  assert.equal(orientation(null), 1);
});
