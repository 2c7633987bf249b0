/** The best JPEG of at most so many bytes that the browser makes of a canvas. */

const FIRST = 60;
const STEP = 20;
const MAX = 100;

function encode(canvas, quality) {
  const options = { type: "image/jpeg", quality: quality / 100 };
  if (canvas.convertToBlob) return canvas.convertToBlob(options);
  return new Promise((resolve) => canvas.toBlob(resolve, options.type, options.quality));
}

/**
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {number} bytes
 * @returns {Promise<{blob: Blob, quality: number, fits: boolean}>} if none is so small, the smallest there is
 */
export async function jpegOfSize(canvas, bytes) {
  /** The best that fits, and the smallest known that does not. @type {{blob: Blob, quality: number} | null} */
  let fit = null;
  let over = null;
  for (let quality = FIRST; ; ) {
    const tried = { blob: await encode(canvas, quality), quality };
    if (tried.blob.size <= bytes) fit = tried;
    else over = tried;
    if (fit?.quality === MAX || (fit && over?.quality === fit.quality + 1)) return { ...fit, fits: true };
    if (over?.quality === 0) return { ...over, fits: false };
    if (!over) quality = Math.min(MAX, fit.quality + STEP);
    else if (!fit) quality = Math.max(0, over.quality - STEP);
    else {
      // The size grows about exponentially with the quality.
      const part = Math.log(bytes / fit.blob.size) / Math.log(over.blob.size / fit.blob.size);
      const guess = fit.quality + Math.floor(part * (over.quality - fit.quality));
      quality = Math.min(Math.max(guess, fit.quality + 1), over.quality - 1);
    }
  }
}
