import assert from "node:assert/strict";
import test from "node:test";
import { readContainer, writeContainer } from "../src/container.js";
import { fromText, toText } from "../src/embedded.js";
import { readVarint, writeVarint } from "../src/varint.js";
import { packWeights, unpackWeights } from "../src/weights.js";

test("bytes come back from text of which HTML changes nothing", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + length * 7) & 255);
    const text = toText(bytes);
    assert.deepEqual(fromText(text), bytes);
    assert.doesNotMatch(text, /[\0\r<]/);
  }
  const all = Uint8Array.from({ length: 7 * 256 }, (_, i) => (i * 37) >> 3);
  assert.deepEqual(fromText(toText(all)), all);
});

test("weights come back from the order in which they are packed", () => {
  const tensors = {
    "exact/a/weight": { shape: [2, 3], values: Int16Array.of(0, -1, 1, 32767, -32768, 5) },
    "exact/a/bias": { shape: [3], values: Int32Array.of(2 ** 31 - 1, -(2 ** 31), 0) },
    "exact/table/q": { shape: [3, 2], values: Int32Array.of(5, 6, 2 ** 31 - 1, 8, -(2 ** 31), 9) },
    "exact/table/asinh": { shape: [4], values: Int16Array.of(-511, -500, 0, 511) },
    "exact/zeros": { shape: [3], values: new Int16Array(3) },
  };
  const { metadata, tensors: back } = unpackWeights(packWeights({ id: "x" }, tensors));
  assert.deepEqual(metadata, { id: "x" });
  for (const [name, tensor] of Object.entries(tensors)) assert.deepEqual(back[name], tensor, name);
});

test("numbers and containers that are written are read", () => {
  for (const value of [0, 1, 127, 128, 300, 2 ** 28, 2 ** 35 - 1]) {
    assert.deepEqual(readVarint(Uint8Array.from(writeVarint(value)), 0), [value, writeVarint(value).length]);
  }
  const header = { modelId: "0123456789abcdef", width: 300, height: 200, channels: 3, bitDepth: 8, quality16: 1296, tileExponent: 8 };
  const payloads = [Uint8Array.of(1, 2, 3, 4), new Uint8Array(0)];
  const alpha = { mode: 3, data: Uint8Array.of(9) };
  const container = readContainer(writeContainer(header, payloads, alpha));
  assert.deepEqual(container.header, header);
  assert.deepEqual(container.tiles.map(({ payload }) => [...payload]), [[1, 2, 3, 4], []]);
  assert.deepEqual([...container.alpha.data], [9]);
});
