import assert from "node:assert/strict";
import test from "node:test";
import { jpegOfSize } from "../src/jpeg.js";

/** A canvas whose JPEGs have these sizes, by quality. */
function canvasOf(sizeOf) {
  const tried = [];
  return {
    tried,
    convertToBlob: async ({ quality }) => {
      tried.push(Math.round(100 * quality));
      return { size: sizeOf(Math.round(100 * quality)) };
    },
  };
}

test("the best JPEG that fits is found, in few tries", async () => {
  const growing = (quality) => Math.floor(1000 * 1.05 ** quality) + (quality > 90 ? 20_000 : 0);
  for (let quality = 0; quality < 100; quality++) {
    for (const bytes of [growing(quality), growing(quality + 1) - 1]) {
      const canvas = canvasOf(growing);
      const found = await jpegOfSize(canvas, bytes);
      assert.deepEqual([found.quality, found.fits, found.blob.size], [quality, true, growing(quality)]);
      assert.ok(canvas.tried.length <= 12, `${canvas.tried}`);
    }
  }
  assert.equal((await jpegOfSize(canvasOf(growing), 10 ** 6)).quality, 100);
});

test("where none is so small, the smallest is", async () => {
  const found = await jpegOfSize(canvasOf((quality) => 1000 + quality), 999);
  assert.deepEqual([found.quality, found.fits], [0, false]);
});
