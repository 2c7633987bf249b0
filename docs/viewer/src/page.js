/** The page: takes files, shows pictures, says what it cannot open. */

import workerSource from "worker:./worker.js";
import { bytesOf, decode } from "./decode.js";
import { embedded, unpackFiles } from "./embedded.js";
import { FileError } from "./errors.js";
import { orientation, upright } from "./exif.js";
import { jpegOfSize } from "./jpeg.js";
import { Sha256 } from "./sha256.js";
import { encodePng } from "./png.js";
import { Pool } from "./pool.js";

/** Each worker takes some 200 MB. */
const MAX_WORKERS = 4;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const sha256 = (bytes) => {
  const hash = new Sha256();
  hash.update(bytesOf(bytes));
  return hash.hex();
};

class Decoder {
  #ready;

  constructor() {
    const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
    const wanted = Number(new URLSearchParams(location.search).get("workers")) || (navigator.hardwareConcurrency || 2) - 1;
    const limit = Math.max(1, Math.min(MAX_WORKERS, wanted));
    this.pool = new Pool(() => new Worker(url), () => this.parts(), limit);
  }

  /** What a worker needs. */
  async parts() {
    this.loaded ??= (async () => {
      const [wasm, model, answer] = await Promise.all(["wasm", "model", "known-answer"].map(embedded));
      const files = unpackFiles(model);
      const { model_id, halo, settings } = JSON.parse(new TextDecoder().decode(files["decoder.json"]));
      return { wasm: wasm.buffer, model: files, facts: { modelId: model_id, halo, latents: settings.latents }, answer: unpackFiles(answer) };
    })();
    return this.loaded;
  }

  /** Decodes a file whose integers are known, once: a browser that computes otherwise decodes nothing. */
  async #test() {
    const { facts, answer } = await this.parts();
    const expected = JSON.parse(new TextDecoder().decode(answer["expected.json"]));
    const picture = await decode(answer["known.vaec"], facts, this.pool, { digest: true });
    if (picture.latentsSha256 !== expected.latents_sha256 || sha256(picture.samples) !== expected.samples_sha256) {
      throw new Error("This browser does not compute exactly, so it would show wrong pictures. Try another one.");
    }
  }

  /** Loads the model and tests the browser, once. */
  ready() {
    this.#ready ??= this.#test().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** @param {Uint8Array} bytes @param {object} [options] as for decode */
  async decode(bytes, options) {
    await this.ready();
    return decode(bytes, (await this.parts()).facts, this.pool, options);
  }
}

const decoder = new Decoder();
let current = null;

function show(state) {
  document.body.dataset.state = state;
}

function fail(name, error) {
  const sentence = error instanceof FileError ? error.message : `The picture could not be decoded: ${error?.message ?? error}`;
  $("failure").textContent = name ? `${name}: ${sentence}` : sentence;
  show("failed");
}

/** Where windows are drawn as they come, turned upright. */
class Display {
  constructor(header, turn) {
    const { matrix, width, height } = upright(turn, header.width, header.height);
    this.canvas = $("picture");
    this.canvas.width = width;
    this.canvas.height = height;
    $("stage").style.setProperty("--ratio", `${width} / ${height}`);
    $("stage").style.setProperty("--width", `${width}px`);
    this.context = this.canvas.getContext("2d");
    if (!this.context) throw new FileError(`This picture of ${width} × ${height} is too large for this browser to show.`);
    this.context.setTransform(...matrix);
    $("stage").hidden = false;
  }

  paint({ samples, alpha, header: { width, channels, bitDepth } }, r) {
    const scale = bitDepth === 16 ? 257 : 1;
    const image = new ImageData(r.width, r.height);
    for (let i = 0, to = 0; i < r.height; i++) {
      for (let j = 0; j < r.width; j++, to += 4) {
        const n = (r.top + i) * width + r.left + j;
        for (let c = 0; c < 3; c++) image.data[to + c] = Math.round(samples[n * channels + (channels === 3 ? c : 0)] / scale);
        image.data[to + 3] = alpha ? alpha[n] : 255;
      }
    }
    const piece = new OffscreenCanvas(r.width, r.height);
    piece.getContext("2d").putImageData(image, 0, 0);
    this.context.drawImage(piece, r.left, r.top);
  }
}

function showFacts(name, bytes, picture, seconds) {
  const { width, height, channels, bitDepth, quality16 } = picture.header;
  const kind = [channels === 1 ? ", grey" : "", bitDepth === 16 ? ", 16 bits per sample" : "", picture.alpha ? ", with transparency" : ""].join("");
  const facts = {
    File: name,
    Picture: `${width} × ${height}${kind}`,
    Size: `${number.format(bytes.length)} bytes`,
    Rate: `${((8 * bytes.length) / (width * height)).toFixed(3)} bpp`,
    Quality: `${quality16 / 16}`,
    Decoded: `in ${seconds.toFixed(1)} s`,
  };
  if (picture.icc) facts.Colours = "has a profile, which this page does not apply; a saved PNG has it";
  $("facts").replaceChildren(
    ...Object.entries(facts).flatMap(([term, value]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = term;
      dd.textContent = value;
      return [dt, dd];
    }),
  );
}

/** A JPEG of the picture as it is shown, on white: JPEG has no transparency. */
async function showJpeg(canvas, bytes, isCurrent) {
  $("jpeg-note").textContent = "Making a JPEG of the same size …";
  const flat = document.createElement("canvas");
  [flat.width, flat.height] = [canvas.width, canvas.height];
  const context = flat.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, flat.width, flat.height);
  context.drawImage(canvas, 0, 0);
  const { blob, quality, fits } = await jpegOfSize(flat, bytes.length);
  if (!isCurrent()) return;
  URL.revokeObjectURL($("jpeg").src);
  $("jpeg").src = URL.createObjectURL(blob);
  await $("jpeg").decode();
  $("jpeg-note").textContent =
    `Right of the line: this picture as a JPEG of ${number.format(blob.size)} bytes, quality ${quality}` +
    (fits ? "." : `, the smallest that this browser makes. The file has ${number.format(bytes.length)}.`);
  document.body.dataset.jpeg = "ready";
}

function slide(part) {
  $("stage").style.setProperty("--cut", `${100 * part}%`);
  $("slider").value = String(Math.round(1000 * part));
}

async function open(file) {
  const mine = (current = {});
  const isCurrent = () => current === mine;
  decoder.pool.clear();
  delete document.body.dataset.jpeg;
  try {
    $("progress").value = 0;
    $("stage").hidden = true;
    $("doing").textContent = "Starting the decoder …";
    show("working");
    const bytes = new Uint8Array(await file.arrayBuffer());
    await decoder.ready();
    if (!isCurrent()) return;
    $("doing").textContent = "Decoding …";
    const start = performance.now();
    let display = null;
    const picture = await decoder.decode(bytes, {
      progress: (part) => isCurrent() && ($("progress").value = part),
      painted: (so_far, r) => {
        if (!isCurrent()) return;
        display ??= new Display(so_far.header, orientation(so_far.exif));
        display.paint(so_far, r);
      },
    });
    if (!isCurrent()) return;
    mine.picture = picture;
    mine.name = file.name;
    showFacts(file.name, bytes, picture, (performance.now() - start) / 1000);
    slide(0.5);
    show("shown");
    await showJpeg($("picture"), bytes, isCurrent);
  } catch (error) {
    if (isCurrent()) fail(file.name, error);
  }
}

async function save() {
  const url = URL.createObjectURL(await encodePng(current.picture));
  const link = document.createElement("a");
  link.href = url;
  link.download = current.name.replace(/\.vaec$/i, "") + ".png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function listen() {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.dataset.over = "";
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? delete document.body.dataset.over);
  addEventListener("drop", (event) => {
    event.preventDefault();
    delete document.body.dataset.over;
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      if (input.files.length) open(input.files[0]);
      input.value = "";
    });
  }
  $("slider").addEventListener("input", () => slide($("slider").value / 1000));
  const drag = (event) => {
    if (event.buttons !== 1) return;
    const box = $("stage").getBoundingClientRect();
    slide(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1));
  };
  $("stage").addEventListener("pointerdown", drag);
  $("stage").addEventListener("pointermove", drag);
  $("save").addEventListener("click", () => save().catch((error) => fail(current.name, error)));
  $("zoom").addEventListener("click", () => {
    const whole = $("zoom").getAttribute("aria-pressed") !== "true";
    $("zoom").setAttribute("aria-pressed", String(whole));
    document.body.classList.toggle("full-size", whole);
  });
}

listen();
show("empty");

/** For tests and for the console: decodes bytes, shows nothing. */
globalThis.vaecodecViewer = {
  ready: () => decoder.ready(),
  decode: (bytes, options) => decoder.decode(bytes, options),
  fingerprint: async (bytes) => {
    const picture = await decoder.decode(bytes, { digest: true });
    const { width, height, channels, bitDepth } = picture.header;
    return {
      latents_sha256: picture.latentsSha256,
      samples_sha256: sha256(picture.samples),
      alpha_sha256: picture.alpha && sha256(picture.alpha),
      shape: [height, width, channels],
      bit_depth: bitDepth,
    };
  },
  png: encodePng,
};
