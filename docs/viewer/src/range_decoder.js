/**
 * The entropy decoder: section 4 of docs/format.md.
 *
 * JavaScript has no fast integers of 64 bits. Kept are `range` and `difference` = point − lower, each as two halves of 32 bits, and
 * numbers below 2^53 are exact: scale has 40 bits, its product with a count 64, computed in two parts.
 */

import { damaged } from "./errors.js";

export const TABLES = 63;
const PRECISION = 24;
const TOTAL = 2 ** PRECISION;
const BUCKET = 16;
const HALF = 2 ** 32;
const LENGTH_BITS = 5;
const MAX_LENGTH = 20;
const impossible = () => damaged("a tile's stream has an impossible state");

/** A frozen table: sums of counts, and in which entry each 2^16-th place lies. */
export class Table {
  /** @param {number} halfWidth @param {ArrayLike<number>} counts */
  constructor(halfWidth, counts) {
    this.halfWidth = halfWidth;
    this.sums = new Uint32Array(counts.length + 1);
    for (let k = 0; k < counts.length; k++) this.sums[k + 1] = this.sums[k] + counts[k];
    if (counts.length !== 2 * halfWidth + 2 || this.sums[counts.length] !== TOTAL) throw new Error("not a table of counts");
    this.first = new Uint16Array((TOTAL >>> BUCKET) + 1);
    for (let bucket = 0, k = 0; bucket < this.first.length - 1; bucket++) {
      while (this.sums[k + 1] <= bucket << BUCKET) k++;
      this.first[bucket] = k;
    }
    this.first[this.first.length - 1] = counts.length - 1;
  }

  /** @param {number} quantile @returns {number} the entry with sums[k] <= quantile < sums[k + 1] */
  find(quantile) {
    const bucket = quantile >>> BUCKET;
    let low = this.first[bucket];
    let high = this.first[bucket + 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.sums[middle] <= quantile) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/**
 * The tables of a model, by index; index 0 has none.
 * @param {ArrayLike<number>} halfWidths @param {Int32Array} counts one table after the other
 * @returns {Table[]}
 */
export function makeTables(halfWidths, counts) {
  const tables = [null];
  let at = 0;
  for (let i = 0; i < TABLES; i++) {
    const length = 2 * halfWidths[i] + 2;
    tables.push(new Table(halfWidths[i], counts.subarray(at, at + length)));
    at += length;
  }
  if (at !== counts.length) throw new Error("not the counts of 63 tables");
  return tables;
}

export class RangeDecoder {
  #view;
  #position = 0;
  #rangeHigh = 0xffffffff;
  #rangeLow = 0xffffffff;
  #high;
  #low;
  #used = false;
  // The product of the last multiplication.
  #productHigh = 0;
  #productLow = 0;

  /** @param {Uint8Array} payload */
  constructor(payload) {
    if (payload.length % 4) throw damaged("a tile's stream is not made of whole words");
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    this.#high = this.#word();
    this.#low = this.#word();
  }

  #word() {
    const at = this.#position;
    this.#position += 4;
    return at < this.#view.byteLength ? this.#view.getUint32(at, true) : 0;
  }

  /** scale · n, with scale = ⌊range / 2^24⌋ and n <= 2^24. */
  #multiply(n) {
    const top = (this.#rangeHigh >>> 8) * n;
    const rest = (((this.#rangeHigh & 255) << 8) | (this.#rangeLow >>> 24)) * n;
    const low = (top & 0xffff) * 0x10000 + rest;
    this.#productLow = low >>> 0;
    this.#productHigh = Math.floor(top / 0x10000) + Math.floor(low / HALF);
  }

  /** Whether the difference is below the product. */
  #below() {
    return this.#high < this.#productHigh || (this.#high === this.#productHigh && this.#low < this.#productLow);
  }

  /** ⌊difference / scale⌋. */
  #quantile() {
    const scale = this.#rangeHigh * 256 + (this.#rangeLow >>> 24);
    let quantile = Math.floor((this.#high * HALF + this.#low) / scale);
    if (quantile > TOTAL) throw impossible();
    // The quotient of rounded numbers may be one off.
    this.#multiply(quantile);
    if (this.#below()) quantile--;
    else if (quantile < TOTAL) {
      this.#multiply(quantile + 1);
      if (!this.#below()) quantile++;
    }
    if (quantile >= TOTAL) throw impossible();
    return quantile;
  }

  /** Steps 3 and 4 of section 4.2. */
  #take(left, count) {
    this.#multiply(left);
    this.#low -= this.#productLow;
    this.#high -= this.#productHigh;
    if (this.#low < 0) {
      this.#low += HALF;
      this.#high--;
    }
    this.#multiply(count);
    this.#rangeHigh = this.#productHigh;
    this.#rangeLow = this.#productLow;
    if (this.#rangeHigh === 0) {
      this.#rangeHigh = this.#rangeLow;
      this.#rangeLow = 0;
      this.#high = this.#low;
      this.#low = this.#word();
    }
    this.#used = true;
  }

  /** @param {Table} table @returns {number} the next entry */
  entry(table) {
    const k = table.find(this.#quantile());
    this.#take(table.sums[k], table.sums[k + 1] - table.sums[k]);
    return k;
  }

  /** The next entry of a uniform table of size 2^bits. @param {number} bits */
  uniform(bits) {
    const count = 2 ** (PRECISION - bits);
    const k = Math.floor(this.#quantile() / count);
    this.#take(k * count, count);
    return k;
  }

  /** Section 4.5. @throws {FileError} unless the stream is used up */
  close() {
    const length = this.#view.byteLength;
    const left = this.#high * HALF + this.#low;
    if (this.#used ? this.#position < length || left >= 2 ** 33 - 1 : length > 0) {
      throw damaged("a tile's stream goes on after its last symbol");
    }
  }
}

/**
 * Sections 4.3 and 4.4.
 * @param {RangeDecoder} decoder
 * @param {Table[]} tables
 * @param {Uint8Array} indices the table index of each symbol
 * @returns {Int32Array} the symbols
 */
export function decodeGroup(decoder, tables, indices) {
  const starts = new Int32Array(TABLES + 2);
  for (let i = 0; i < indices.length; i++) starts[indices[i] + 1]++;
  for (let index = 1; index < starts.length; index++) starts[index] += starts[index - 1];
  const order = new Int32Array(indices.length);
  const next = starts.slice();
  for (let i = 0; i < indices.length; i++) order[next[indices[i]]++] = i;

  const symbols = new Int32Array(indices.length);
  const escaped = [];
  for (let index = 1; index <= TABLES; index++) {
    const table = tables[index];
    for (let n = starts[index]; n < starts[index + 1]; n++) {
      const k = decoder.entry(table);
      if (k > 2 * table.halfWidth) escaped.push(order[n]);
      else symbols[order[n]] = k - table.halfWidth;
    }
  }
  for (const i of escaped) {
    const length = decoder.uniform(LENGTH_BITS);
    if (length > MAX_LENGTH) throw impossible();
    const rest = length > 0 ? decoder.uniform(length) : 0;
    const magnitude = tables[indices[i]].halfWidth + 2 ** length + rest;
    symbols[i] = decoder.uniform(1) ? -magnitude : magnitude;
  }
  return symbols;
}
