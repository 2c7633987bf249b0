/** The best JPEG of at most so many bytes that the browser makes of a canvas. */

const encode = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality / 100));

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} bytes
 * @returns {Promise<{blob: Blob, quality: number, fits: boolean}>} if none is so small, the smallest there is
 */
export async function jpegOfSize(canvas, bytes) {
  let [low, high] = [0, 100];
  let best = { blob: await encode(canvas, 0), quality: 0, fits: false };
  if (best.blob.size > bytes) return best;
  best.fits = true;
  while (low < high) {
    const quality = Math.ceil((low + high) / 2);
    const blob = await encode(canvas, quality);
    if (blob.size <= bytes) {
      best = { blob, quality, fits: true };
      low = quality;
    } else high = quality - 1;
  }
  return best;
}
