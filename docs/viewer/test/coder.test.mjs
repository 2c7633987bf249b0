/**
 * Golden streams and others, symbol by symbol, both ways. tests/viewer/test_viewer.py runs this: VAECODEC_CORE names core.wasm,
 * VAECODEC_STREAMS a file of streams.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Core } from "../src/core.js";

const { VAECODEC_CORE, VAECODEC_STREAMS } = process.env;
const skip = VAECODEC_CORE && VAECODEC_STREAMS ? false : "VAECODEC_CORE and VAECODEC_STREAMS are not set: run it through pytest tests/viewer";
const streams = skip ? [] : JSON.parse(readFileSync(VAECODEC_STREAMS));
const core = skip ? null : new Core(new WebAssembly.Module(readFileSync(VAECODEC_CORE)));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const int32 = (text) => new Int32Array(bytes(text).buffer);

const tablesOf = ({ half_widths, counts }) => core.calls.tables(core.copy(Int32Array.from(half_widths)), core.copy(int32(counts)), int32(counts).length);

/** The symbols of all groups, or null where the core refuses the stream. */
const read = (stream, data = bytes(stream.payload)) =>
  core.task(() => {
    const tables = tablesOf(stream);
    const decoder = core.calls.open_stream(core.copy(data), data.length);
    if (!decoder) return null;
    const groups = [];
    for (const { indices } of stream.groups) {
      const from = bytes(indices);
      const to = core.room(4 * from.length);
      if (!core.calls.pop(decoder, tables, core.copy(from), from.length, to)) return null;
      groups.push(core.read(Int32Array, to, from.length));
    }
    return core.calls.used_up(decoder) ? groups : null;
  });

/** The bytes of all groups. */
const write = (stream) =>
  core.task(() => {
    const encoder = core.calls.begin_stream(1 << 16);
    const tables = tablesOf(stream);
    for (const { indices, symbols } of stream.groups) {
      const from = bytes(indices);
      assert.ok(core.calls.push(encoder, tables, core.copy(int32(symbols)), core.copy(from), from.length));
    }
    const words = core.calls.finish_stream(encoder);
    return core.read(Uint8Array, core.calls.stream_words(encoder), 4 * words);
  });

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

test("symbols encode to the bytes that constriction gives", { skip }, () => {
  for (const stream of streams) assert.deepEqual(write(stream), bytes(stream.payload), stream.name);
});

test("streams that are longer, or shorter by what was needed, are refused", { skip }, () => {
  for (const stream of streams.filter(({ payload }) => payload.length > 0)) {
    const data = bytes(stream.payload);
    // One word of zeros may be what reads as 0 past the end anyway.
    assert.equal(read(stream, Uint8Array.from([...data, 0, 0, 0, 0, 0, 0, 0, 0])), null, stream.name);
    assert.equal(read(stream, data.subarray(1)), null, stream.name);
  }
});

test("a stream of nothing has to be empty", { skip }, () => {
  const stream = { ...streams[0], groups: [] };
  assert.deepEqual(read(stream, new Uint8Array(0)), []);
  assert.equal(read(stream, new Uint8Array(8)), null);
  assert.equal(write(stream).length, 0);
});

test("what a task takes it gives back", { skip }, () => {
  const before = core.calls.mark();
  for (let n = 0; n < 3; n++) read(streams[0]);
  assert.equal(core.calls.mark(), before);
  assert.throws(() => core.room(2 ** 32 - 1), /not enough memory/);
});
