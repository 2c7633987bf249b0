/** Golden streams and others, symbol by symbol. VAECODEC_STREAMS names a file that tests/viewer/test_viewer.py writes. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { FileError } from "../src/errors.js";
import { RangeDecoder, Table, decodeGroup, makeTables } from "../src/range_decoder.js";

const path = process.env.VAECODEC_STREAMS;
const skip = path && existsSync(path) ? false : "VAECODEC_STREAMS is not set: run it through pytest tests/viewer";
const streams = skip ? [] : JSON.parse(readFileSync(path));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const int32 = (text) => new Int32Array(bytes(text).buffer);

function read({ half_widths, counts, payload, groups }, data = bytes(payload)) {
  const tables = makeTables(half_widths, int32(counts));
  const decoder = new RangeDecoder(data);
  const symbols = groups.map(({ indices }) => decodeGroup(decoder, tables, bytes(indices)));
  decoder.close();
  return symbols;
}

test("streams decode to their symbols", { skip }, () => {
  assert.ok(streams.length > 10);
  let count = 0;
  for (const stream of streams) {
    read(stream).forEach((symbols, i) => {
      count += symbols.length;
      assert.deepEqual(symbols, int32(stream.groups[i].symbols), stream.name);
    });
  }
  assert.ok(count > 50_000);
});

test("streams that are longer, or shorter by what was needed, are refused", { skip }, () => {
  for (const stream of streams.filter(({ payload }) => payload.length > 0)) {
    const data = bytes(stream.payload);
    // One word of zeros may be what reads as 0 past the end anyway.
    assert.throws(() => read(stream, Uint8Array.from([...data, 0, 0, 0, 0, 0, 0, 0, 0])), FileError, stream.name);
    assert.throws(() => read(stream, data.subarray(1)), FileError, stream.name);
  }
});

test("random streams give symbols or a sentence", { skip }, () => {
  let seed = 1;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
  for (const stream of streams.slice(0, 6)) {
    for (let n = 0; n < 20; n++) {
      const data = Uint8Array.from({ length: bytes(stream.payload).length }, () => random() & 255);
      try {
        read(stream, data);
      } catch (error) {
        assert.ok(error instanceof FileError, String(error));
      }
    }
  }
});

test("a stream of nothing has to be empty", () => {
  new RangeDecoder(new Uint8Array(0)).close();
  assert.throws(() => new RangeDecoder(new Uint8Array(8)).close(), FileError);
  assert.throws(() => new RangeDecoder(new Uint8Array(3)), FileError);
});

test("a table finds the entry of every quantile", () => {
  const counts = [1, 2 ** 16 - 1, 2, 2 ** 24 - 2 ** 16 - 2 - 5, 4, 1];
  const table = new Table(2, counts);
  let left = 0;
  counts.forEach((count, k) => {
    for (const quantile of [left, left + count - 1]) assert.equal(table.find(quantile), k);
    left += count;
  });
  assert.throws(() => new Table(2, [1, 2, 3, 4, 5, 6]));
});
