const ORIENTATION = 0x0112;
const SHORT = 3;

/**
 * The orientation in an EXIF block, 1 to 8; 1 where it says nothing that makes sense.
 * @param {Uint8Array | null} exif from its TIFF header on
 * @returns {number}
 */
export function orientation(exif) {
  try {
    const view = new DataView(exif.buffer, exif.byteOffset, exif.length);
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    for (let n = view.getUint16(start, little), at = start + 2; n > 0; n--, at += 12) {
      if (view.getUint16(at, little) === ORIENTATION && view.getUint16(at + 2, little) === SHORT) {
        const value = view.getUint16(at + 8, little);
        return value >= 1 && value <= 8 ? value : 1;
      }
    }
  } catch {
    // None, or one that ends too early.
  }
  return 1;
}

/**
 * The matrix that turns a picture as stored upright, for a canvas, and the size that it has then.
 * @param {number} value of the orientation @param {number} width @param {number} height as stored
 * @returns {{matrix: number[], width: number, height: number}}
 */
export function upright(value, width, height) {
  const matrix = {
    1: [1, 0, 0, 1, 0, 0],
    2: [-1, 0, 0, 1, width, 0],
    3: [-1, 0, 0, -1, width, height],
    4: [1, 0, 0, -1, 0, height],
    5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, height, 0],
    7: [0, -1, -1, 0, height, width],
    8: [0, -1, 1, 0, 0, width],
  }[value];
  return value >= 5 ? { matrix, width: height, height: width } : { matrix, width, height };
}
