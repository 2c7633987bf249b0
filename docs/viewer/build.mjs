/**
 * Builds the viewer: everything in one HTML file that works from the file system and without a network.
 *
 *     npm install && node build.mjs [MODEL]
 *
 * MODEL is what `vaecodec export-onnx` takes, by default `fast`. PYTHON names the interpreter that has vaecodec[onnx].
 */

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "src");
const dist = join(here, "dist");
const model = process.argv[2] ?? "fast";
const GOLDEN = join(here, "../../tests/golden");
/** A file whose integers are known: each page decodes it first. */
const KNOWN = "small";

mkdirSync(dist, { recursive: true });
const exported = join(dist, "model");
execFileSync(process.env.PYTHON ?? "python3", ["-m", "vaecodec", "export-onnx", model, "-o", exported, "-f", "--quiet"], { stdio: "inherit" });

const common = { bundle: true, write: false, minify: true, format: "iife", target: "es2022", legalComments: "inline", logLevel: "error" };
const workerAsText = {
  name: "worker as text",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => ({ path: join(resolveDir, path.slice("worker:".length)), namespace: "worker" }));
    onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const { outputFiles } = await build({ ...common, entryPoints: [path], define: { "import.meta.url": "self.location.href" } });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};
const page = await build({ ...common, entryPoints: [join(source, "page.js")], plugins: [workerAsText] });

const packed = (files) => {
  const index = JSON.stringify(Object.entries(files).map(([name, bytes]) => [name, bytes.length]));
  return Buffer.concat([Buffer.from(`${index}\n`), ...Object.values(files)]);
};
const known = readFileSync(join(GOLDEN, `${KNOWN}.vaec`));
const modelId = JSON.parse(readFileSync(join(exported, "decoder.json"), "utf8")).model_id;
if (!known.includes(Buffer.from(modelId, "hex"))) {
  throw new Error(`${GOLDEN}/${KNOWN}.vaec is not of the model ${modelId}: run tests/golden/make.py with it first`);
}
const expected = JSON.parse(readFileSync(join(GOLDEN, "expected.json"), "utf8"))[KNOWN];
const parts = {
  wasm: readFileSync(join(here, "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm")),
  model: packed(Object.fromEntries(readdirSync(exported).map((name) => [name, readFileSync(join(exported, name))]))),
  "known-answer": packed({
    "known.vaec": known,
    "expected.json": Buffer.from(JSON.stringify(expected)),
  }),
};
const embedded = Object.entries(parts)
  .map(([id, bytes]) => `<script type="text/plain" id="${id}">${gzipSync(bytes, { level: 9 }).toString("base64")}</script>`)
  .join("\n");

// Functions as replacements: their text has dollar signs.
const html = readFileSync(join(source, "page.html"), "utf8")
  .replace("/* STYLE */", () => readFileSync(join(source, "page.css"), "utf8"))
  .replace("<!-- EMBEDDED -->", () => embedded)
  .replace("/* SCRIPT */", () => page.outputFiles[0].text.replaceAll("</script", "<\\/script"));
const target = join(dist, "index.html");
writeFileSync(target, html);
console.log(`${target}: ${(html.length / 1e6).toFixed(1)} MB`);
