/** The page: takes files, shows pictures, makes files of pictures, says what it cannot open. */

import workerSource from "worker:./worker.js";
import { bytesOf, decode } from "./decode.js";
import { beside, embedded } from "./embedded.js";
import { analysisHalo, settingsOf, synthesisHalo } from "./codec.js";
import { encode } from "./encode.js";
import { FileError } from "./errors.js";
import { orientation, upright } from "./exif.js";
import { jpegOfSize } from "./jpeg.js";
import { Sha256 } from "./sha256.js";
import { encodePng } from "./png.js";
import { Pool } from "./pool.js";
import { isPicture, readPicture } from "./source.js";
import { metadataOf } from "./weights.js";

/** Each worker takes some 100 MB. */
const MAX_WORKERS = 4;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const sha256 = (bytes) => {
  const hash = new Sha256();
  hash.update(bytesOf(bytes));
  return hash.hex();
};

/** What looks like a JPEG of quality 85, by what weights are tuned for: as in vaecodec/codec/options.py. */
const QUALITIES = { eye: 81, psnr: 61 };

/** What the page has to know of a model; the workers have the rest. */
function modelFacts(weights) {
  const metadata = metadataOf(weights);
  const settings = settingsOf(metadata);
  return {
    modelId: metadata.id,
    latents: settings.latents,
    halo: synthesisHalo(settings),
    analysisHalo: analysisHalo(settings),
    quality: QUALITIES[settings.tune],
  };
}

class Decoder {
  #ready;
  #encoder;

  constructor() {
    this.pool = this.#workers();
  }

  /** @param {Uint8Array} [encoder] the half of the weights that makes files */
  #workers(encoder) {
    const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
    const wanted = Number(new URLSearchParams(location.search).get("workers")) || (navigator.hardwareConcurrency || 2) - 1;
    const limit = Math.max(1, Math.min(MAX_WORKERS, wanted));
    const start = async () => {
      const { wasm, weights } = await this.parts();
      return { wasm, weights, encoder };
    };
    return new Pool(() => new Worker(url), start, limit);
  }

  /** Loads what lies beside the page, once, and has workers that know it in place of those that do not. */
  #readyToEncode() {
    this.#encoder ??= (async () => {
      const encoder = await beside("encoder.js", "vaecodecEncoder");
      if (metadataOf(encoder).id !== (await this.parts()).facts.modelId) {
        throw new FileError("The page and the encoder.js beside it are of two models: take both from the same place.");
      }
      this.pool.close();
      this.pool = this.#workers(encoder);
    })().catch((error) => {
      this.#encoder = undefined;
      throw error;
    });
    return this.#encoder;
  }

  /** What a worker needs, and what the page has to know of it. */
  async parts() {
    this.loaded ??= (async () => {
      const [wasm, weights, known, answer] = await Promise.all(["core", "weights", "known", "answer"].map(embedded));
      return { wasm: await WebAssembly.compile(wasm), weights, known, facts: modelFacts(weights), answer: JSON.parse(new TextDecoder().decode(answer)) };
    })();
    return this.loaded;
  }

  /** Decodes a file whose integers are known, once: a browser that computes otherwise decodes nothing. */
  async #test() {
    const { facts, known, answer } = await this.parts();
    const picture = await decode(known, facts, this.pool, { digest: true });
    if (picture.latentsSha256 !== answer.latents_sha256 || sha256(picture.samples) !== answer.samples_sha256) {
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

  /** @param {object} picture of readPicture @param {object} options as for encode */
  async encode(picture, options) {
    await this.ready();
    await this.#readyToEncode();
    return encode(picture, (await this.parts()).facts, this.pool, options);
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
    $("shown").style.setProperty("--ratio", `${width} / ${height}`);
    $("shown").style.setProperty("--width", `${width}px`);
    this.context = this.canvas.getContext("2d");
    if (!this.context) throw new FileError(`This picture of ${width} × ${height} is too large for this browser to show.`);
    this.context.setTransform(...matrix);
    $("stage").hidden = false;
  }

  paint({ samples, alpha, header: { width, channels, bitDepth } }, r) {
    const deep = bitDepth === 16;
    const image = new ImageData(r.width, r.height);
    const { data } = image;
    for (let i = 0, to = 0; i < r.height; i++) {
      for (let j = 0; j < r.width; j++, to += 4) {
        const n = (r.top + i) * width + r.left + j;
        for (let c = 0; c < 3; c++) {
          const sample = samples[channels === 3 ? 3 * n + c : n];
          data[to + c] = deep ? Math.round(sample / 257) : sample;
        }
        data[to + 3] = alpha ? alpha[n] : 255;
      }
    }
    const piece = new OffscreenCanvas(r.width, r.height);
    piece.getContext("2d").putImageData(image, 0, 0);
    this.context.drawImage(piece, r.left, r.top);
  }
}

function showFacts({ name, sourceBytes, encodedIn }, bytes, picture, seconds) {
  const { width, height, channels, bitDepth, quality16 } = picture.header;
  const kind = [channels === 1 ? ", grey" : "", bitDepth === 16 ? ", 16 bits per sample" : "", picture.alpha ? ", with transparency" : ""].join("");
  const facts = {
    File: sourceBytes ? `${name}, ${number.format(sourceBytes)} bytes` : name,
    Picture: `${width} × ${height}${kind}`,
    Size: `${number.format(bytes.length)} bytes`,
    Rate: `${((8 * bytes.length) / (width * height)).toFixed(3)} bpp`,
    Quality: `${quality16 / 16}`,
    ...(encodedIn ? { Encoded: `in ${encodedIn.toFixed(1)} s` } : {}),
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

/** The source of a file that is made here, for its JPEG. */
function canvasOf({ width, height, channels, samples, alpha }) {
  const image = new ImageData(width, height);
  const { data } = image;
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) data[4 * n + c] = samples[channels === 3 ? 3 * n + c : n];
    data[4 * n + 3] = alpha ? alpha[n] : 255;
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A JPEG of the picture as it is shown, or of the one that the file was made of; on white: JPEG has no transparency. */
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

/** Shows a file, and of one that was made here the picture that it was made of. */
async function open(file) {
  const mine = (current = { name: file.name });
  start("Starting the decoder …");
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    await decoder.ready();
    if (current !== mine) return;
    // What another file still waits for. Not before: the decoder's own test may be waiting.
    decoder.pool.clear();
    if (isPicture(bytes)) {
      start("Reading the picture …");
      mine.source = await readPicture(bytes);
      mine.sourceBytes = bytes.length;
      mine.canvas = canvasOf(mine.source);
      setQuality((await decoder.parts()).facts.quality);
      await make(mine);
    } else await decodeAndShow(mine, bytes);
  } catch (error) {
    if (current === mine) fail(file.name, error);
  }
}

/** Makes a file of the source at the quality that is set, and shows it. */
async function make(mine) {
  start("Encoding …");
  const from = performance.now();
  const quality = $("quality").valueAsNumber;
  const file = await decoder.encode(mine.source, { quality, progress: (part) => current === mine && ($("progress").value = part) });
  if (current !== mine) return;
  mine.file = file;
  mine.encodedIn = (performance.now() - from) / 1000;
  await decodeAndShow(mine, file);
}

async function decodeAndShow(mine, bytes) {
  const isCurrent = () => current === mine;
  start("Decoding …");
  const from = performance.now();
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
  showFacts(mine, bytes, picture, (performance.now() - from) / 1000);
  document.body.toggleAttribute("data-made", Boolean(mine.source));
  slide(0.5);
  show("shown");
  await showJpeg(mine.canvas ?? $("picture"), bytes, isCurrent);
}

/** Says what is done now. */
function start(doing) {
  delete document.body.dataset.jpeg;
  $("progress").value = 0;
  $("stage").hidden = true;
  $("doing").textContent = doing;
  show("working");
}

function setQuality(quality) {
  $("quality").value = String(quality);
  $("quality-value").textContent = String(quality);
}

/** Encodes the picture that is shown once more. */
async function makeAgain() {
  const mine = (current = { ...current });
  decoder.pool.clear();
  try {
    await make(mine);
  } catch (error) {
    if (current === mine) fail(mine.name, error);
  }
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
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
  $("save-file").addEventListener("click", () => download(new Blob([current.file]), `${stem(current.name)}.vaec`));
  $("save").addEventListener("click", async () => {
    const { name, picture } = current;
    try {
      download(await encodePng(picture), `${stem(name)}.png`);
    } catch (error) {
      fail(name, error);
    }
  });
  $("quality").addEventListener("input", () => setQuality($("quality").value));
  $("quality").addEventListener("change", makeAgain);
  $("zoom").addEventListener("click", () => {
    const whole = $("zoom").getAttribute("aria-pressed") !== "true";
    $("zoom").setAttribute("aria-pressed", String(whole));
    document.body.classList.toggle("full-size", whole);
  });
}

listen();
show("empty");
// While a person looks for a file, the decoder gets ready; what goes wrong is said when there is one.
decoder.ready().catch(() => {});

/** For tests and for the console: decodes and encodes, shows nothing. */
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
  /** Samples [height, width, channels] to a file. */
  encode: (picture, options) => decoder.encode(picture, options),
  read: readPicture,
};
