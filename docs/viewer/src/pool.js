/** Workers, each with a copy of the model: more are started while tasks wait, up to a limit. */

import { FileError } from "./errors.js";

export class Pool {
  #waiting = [];
  #idle = [];
  /** @type {Set<Worker>} */
  #workers = new Set();
  #next = 0;
  #running = new Map();

  /** @param {() => Worker} make @param {() => Promise<object>} parts what each worker is started with @param {number} limit */
  constructor(make, parts, limit) {
    this.make = make;
    this.parts = parts;
    this.limit = limit;
  }

  /**
   * Does a task in some worker.
   * @param {string} kind @param {object | (() => object)} task or what makes it, once a worker is free
   * @returns {Promise<any>}
   */
  run(kind, task) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ kind, task, resolve, reject });
      this.#deal();
    });
  }

  /** Forgets the tasks that wait; those that run are finished. */
  clear() {
    for (const { reject } of this.#waiting.splice(0)) reject(new DOMException("another file came", "AbortError"));
  }

  /** Ends all workers. */
  close() {
    this.#fail(new DOMException("the workers were ended", "AbortError"));
  }

  #deal() {
    while (this.#waiting.length && this.#idle.length) this.#send(this.#idle.pop(), this.#waiting.shift());
    if (this.#waiting.length > 0 && this.#workers.size < this.limit) this.#start();
  }

  async #start() {
    const worker = this.make();
    this.#workers.add(worker);
    worker.onmessage = ({ data }) => this.#finish(worker, data);
    worker.onerror = (event) => this.#fail(new Error(event.message || "a worker could not be started"));
    try {
      const task = await this.parts();
      if (!this.#workers.has(worker)) return;
      this.#send(worker, { kind: "start", task, resolve: () => {}, reject: (error) => this.#fail(error) });
    } catch (error) {
      this.#fail(error);
    }
  }

  #send(worker, job) {
    const id = this.#next++;
    this.#running.set(id, job);
    worker.postMessage({ id, kind: job.kind, task: typeof job.task === "function" ? job.task() : job.task });
  }

  #finish(worker, { id, result, failure, aboutFile }) {
    const job = this.#running.get(id);
    this.#running.delete(id);
    this.#idle.push(worker);
    this.#deal();
    if (failure === undefined) job.resolve(result);
    else job.reject(aboutFile ? new FileError(failure) : new Error(failure));
  }

  /** A worker that cannot start, or died, for want of memory perhaps: all begin anew with the next task. */
  #fail(error) {
    for (const worker of this.#workers) worker.terminate();
    this.#workers.clear();
    this.#idle = [];
    const jobs = [...this.#waiting.splice(0), ...this.#running.values()];
    this.#running.clear();
    for (const { reject } of jobs) reject(error);
  }
}
