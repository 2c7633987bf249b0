/** The exact core in WebAssembly (core/core.c): calls, and memory that a task takes and gives back. */

export class Core {
  /** @param {WebAssembly.Module} module */
  constructor(module) {
    this.calls = new WebAssembly.Instance(module).exports;
  }

  /**
   * Does something, and gives back what memory it took; its arrays are copies afterwards, or gone.
   * @template T
   * @param {() => T} work
   * @returns {T}
   */
  task(work) {
    const before = this.calls.mark();
    try {
      return work();
    } finally {
      this.calls.give_back(before);
    }
  }

  /** @param {number} pointer what a call returned @returns {number} @throws {Error} if it is 0 */
  #there(pointer) {
    if (!pointer) throw new Error("there is not enough memory for this picture");
    return pointer;
  }

  /** Room for so many bytes, of any content. @param {number} bytes @returns {number} its address */
  room(bytes) {
    return this.#there(this.calls.take(bytes));
  }

  /** A copy of an array, as the core takes it. @param {ArrayBufferView | null} values @returns {number} its address; 0 for null */
  copy(values) {
    if (values === null) return 0;
    const at = this.room(values.byteLength);
    new Uint8Array(this.calls.memory.buffer, at, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return at;
  }

  /**
   * A copy of what lies in the core.
   * @template {Uint8ArrayConstructor | Int32ArrayConstructor | Uint32ArrayConstructor} C
   * @param {C} type @param {number} at @param {number} length
   * @returns {InstanceType<C>}
   */
  read(type, at, length) {
    return new type(this.calls.memory.buffer, at, length).slice();
  }

  /** A grid of zeros. @param {number} rows @param {number} columns @param {number} channels @param {number} border */
  grid(rows, columns, channels, border) {
    const at = this.#there(this.calls.grid(rows, columns, channels, border));
    return { at, rows, columns, channels, border };
  }

  /** Calls what returns 0 without memory. @param {string} name @param {...number} args */
  run(name, ...args) {
    this.#there(this.calls[name](...args));
  }
}
