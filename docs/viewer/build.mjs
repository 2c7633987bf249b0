/**
 * Builds the viewer: one HTML file that opens files, from the file system and without a network, and beside it `encoder.js`, the half of
 * the weights that makes files, which the page loads when it is first given a picture.
 *
 *     npm install && node build.mjs [MODEL]
 *
 * MODEL is the name of installed weights, by default `eye`, or a weights file. CLANG names the compiler, which needs lld beside it.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { toText } from "./src/embedded.js";
import { packWeights, readSafetensors } from "./src/weights.js";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "src");
const dist = join(here, "dist");
const root = join(here, "../..");
const model = process.argv[2] ?? "eye";
const GOLDEN = join(root, "tests/golden");
const KERNELS = join(root, "vaecodec/exact/kernels");
const BITSTREAM = join(root, "vaecodec/bitstream");

/** The C of the package, and what the page adds to it, to WebAssembly with SIMD; no C library. */
function compileCore() {
  const target = join(dist, "core.wasm");
  const sources = [
    ...readdirSync(KERNELS).filter((name) => name.endsWith(".c") && !name.startsWith("module")).map((name) => join(KERNELS, name)),
    ...["core.c", "coder.c", "libc/libc.c"].map((name) => join(here, "core", name)),
  ];
  const flags = ["--target=wasm32", "-msimd128", "-mbulk-memory", "-std=c11", "-O3", "-ffreestanding", "-nostdlib", "-Wno-pass-failed"];
  const linker = ["-fuse-ld=lld", "-Wl,--no-entry,--strip-all,-z,stack-size=65536"];
  const include = [join(here, "core/libc"), KERNELS, BITSTREAM].map((folder) => `-I${folder}`);
  execFileSync(process.env.CLANG ?? "clang", [...flags, ...include, ...linker, ...sources, "-o", target], { stdio: "inherit" });
  return readFileSync(target);
}

/** What of a weights file the page needs: all integers, and what they are; those of the encoder apart. */
function pack(path) {
  const { metadata, tensors } = readSafetensors(readFileSync(path));
  const { decoder, encoder, id } = metadata;
  if (!JSON.parse(encoder).layers) throw new Error(`${path} has its encoder in floats only: the page encodes in integers`);
  const half = (isEncoder) => Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith("encoder/") === isEncoder));
  return { id, decoder: packWeights({ decoder, encoder, id }, half(false)), encoder: packWeights({ id }, half(true)) };
}

mkdirSync(dist, { recursive: true });
const weights = pack(model.includes(".") ? model : join(root, "vaecodec/weights", `${model}.safetensors`));

// A file of the model whose integers are known: each page decodes it first.
const answers = JSON.parse(readFileSync(join(GOLDEN, "expected.json"), "utf8"));
const known = Object.entries(answers)
  .map(([name, answer]) => ({ file: readFileSync(join(GOLDEN, `${name}.vaec`)), name, answer }))
  .find(({ file, name }) => /(^|-)small$/.test(name) && file.includes(Buffer.from(weights.id, "hex")));
if (!known) throw new Error(`${GOLDEN} has no small file of the model ${weights.id}: run tests/golden/make.py with it first`);

const common = { bundle: true, write: false, minify: true, format: "iife", target: "es2022", legalComments: "inline", logLevel: "error" };
const workerAsText = {
  name: "worker as text",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => ({ path: join(resolveDir, path.slice("worker:".length)), namespace: "worker" }));
    onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const { outputFiles } = await build({ ...common, entryPoints: [path] });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};
const page = await build({ ...common, entryPoints: [join(source, "page.js")], plugins: [workerAsText] });

const parts = { core: compileCore(), weights: weights.decoder, known: known.file, answer: Buffer.from(JSON.stringify(known.answer)) };
const embedded = Object.entries(parts)
  .map(([id, bytes]) => `<script type="text/plain" id="${id}">${toText(gzipSync(bytes, { level: 9 }))}</script>`)
  .join("\n");

// Functions as replacements: their text has dollar signs.
const html = readFileSync(join(source, "page.html"), "utf8")
  .replace("/* STYLE */", () => readFileSync(join(source, "page.css"), "utf8"))
  .replace("<!-- EMBEDDED -->", () => embedded)
  .replace("/* SCRIPT */", () => page.outputFiles[0].text.replaceAll("</script", "<\\/script"));
const target = join(dist, "index.html");
writeFileSync(target, html);
const beside = `globalThis.vaecodecEncoder="${gzipSync(weights.encoder, { level: 9 }).toString("base64")}";\n`;
writeFileSync(join(dist, "encoder.js"), beside);
writeFileSync(join(dist, "model.json"), JSON.stringify({ model_id: weights.id }));
const megabytes = (text) => (Buffer.byteLength(text) / 1e6).toFixed(2);
console.log(`${target}: ${megabytes(html)} MB, encoder.js: ${megabytes(beside)} MB, model ${weights.id}`);
