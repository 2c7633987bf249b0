"""The page that reads and writes files: its parts in node, its core in WebAssembly, and the page in Chromium. Each is skipped where its tools are not."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaecodec.api import Codec
from vaecodec.bitstream.coder import SymbolDecoder, SymbolEncoder
from vaecodec.bitstream.container import TILE_LATENTS, read_container, read_header
from vaecodec.bitstream.tables import FrozenTables
from vaecodec.codec.rectangle import tile_grid
from vaecodec.models.coding import decode_tile
from vaecodec.picture import Picture

ROOT = Path(__file__).parents[2]
VIEWER = ROOT / "docs" / "viewer"
PAGE = VIEWER / "dist" / "index.html"
ENCODER = PAGE.with_name("encoder.js")
CORE = VIEWER / "dist" / "core.wasm"
MAX_PAGE_BYTES = 6_000_000
GOLDEN = ROOT / "tests" / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


BYTES = "Uint8Array.from(atob(data), c => c.charCodeAt(0))"
ENCODE = f"""async ([data, width, height, channels, quality, effort]) => {{
    const file = await vaecodecViewer.encode({{width, height, channels, samples: {BYTES}, alpha: null}}, {{quality, effort}});
    let text = "";
    for (const byte of file) text += String.fromCharCode(byte);
    return btoa(text);
}}"""
FINGERPRINT = f"async data => await vaecodecViewer.fingerprint({BYTES})"
SAVE = f"""async data => {{
    const blob = await vaecodecViewer.png(await vaecodecViewer.decode({BYTES}));
    const url = await new Promise(done => {{
        const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(blob);
    }});
    return url.slice(url.indexOf(",") + 1);
}}"""


def text(values: np.ndarray | bytes) -> str:
    return base64.b64encode(values if isinstance(values, bytes) else values.tobytes()).decode()


def stream(name: str, half_widths: np.ndarray, counts: np.ndarray, payload: bytes, groups: list[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "half_widths": half_widths.tolist(),
        "counts": text(counts.astype("<i4")),
        "payload": text(payload),
        "groups": [
            {"indices": text(indices.astype(np.uint8)), "symbols": text(symbols.astype("<i4"))}
            for indices, symbols in groups
        ],
    }


def golden_streams(codec: Codec) -> Iterator[dict[str, Any]]:
    weights = codec.model.weights
    for name in EXPECTED:
        if name.startswith("eye-") != (codec.model.name == "eye"):
            continue
        data = (GOLDEN / f"{name}.vaec").read_bytes()
        header, container = read_header(data), read_container(data)
        grid = tile_grid(header.width, header.height, header.tile_exponent)
        for number, (tile, r) in enumerate(zip(container.tiles, grid, strict=True)):
            if tile.mode != TILE_LATENTS:
                continue
            decoder = SymbolDecoder(codec.tables, tile.payload)
            groups: list[Any] = []

            def pop(indices: np.ndarray, decoder: SymbolDecoder = decoder, groups: list[Any] = groups) -> np.ndarray:
                groups.append((indices, decoder.pop(indices)))
                return groups[-1][1]

            decode_tile(codec.backend, header.quality16, -(-r.height // 16), -(-r.width // 16), pop)
            yield stream(f"{name} {number}", weights.half_widths, weights.counts, tile.payload, groups)


def strange_streams() -> Iterator[dict[str, Any]]:
    """Tables as wide as they may be, entries as rare and as frequent, symbols as large."""
    rng = np.random.default_rng(3)
    for seed in range(8):
        half_widths = rng.choice([0, 1, 5, 300, 4095], 63).astype(np.int32)
        tables = []
        for half_width in half_widths.tolist():
            counts = np.ones(2 * half_width + 2, np.int64)
            counts[rng.integers(len(counts))] += (1 << 24) - counts.sum()
            if seed % 2:
                counts = 1 + rng.multinomial((1 << 24) - len(counts), np.full(len(counts), 1 / len(counts)))
            tables.append(counts)
        counts = np.concatenate(tables).astype(np.uint32)
        encoder = SymbolEncoder(FrozenTables.from_arrays(half_widths, counts))
        groups = []
        for size in (0, 1, 700):
            indices = rng.integers(0, 64, size).astype(np.uint8)
            widths = np.concatenate([[0], half_widths])[indices]
            far = rng.choice([1, 2, 1 << 10, 1 << 20], size)
            symbols = rng.integers(-widths - far, widths + far + 1, size)
            symbols = np.where(indices == 0, 0, symbols).astype(np.int32)
            encoder.push(symbols, indices)
            groups.append((indices, symbols))
        yield stream(f"strange {seed}", half_widths, counts, encoder.finish(), groups)


def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node is too old: {version.strip()}, 20 is needed")
    return path


def test_the_parts_in_node(codec: Codec, tmp_path: Path) -> None:
    program = node()
    if not CORE.is_file():
        pytest.skip("the core is not built: docs/viewer/README.md says how")
    streams = [*golden_streams(codec), *strange_streams()]
    (tmp_path / "streams.json").write_text(json.dumps(streams))
    done = subprocess.run(
        [program, "--test", *map(str, sorted((VIEWER / "test").glob("*.test.mjs")))],
        capture_output=True, text=True, check=False,
        env=os.environ | {"VAECODEC_STREAMS": str(tmp_path / "streams.json"), "VAECODEC_CORE": str(CORE)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "skipped 0" in done.stdout


@pytest.fixture(scope="module")
def page(codec: Codec) -> Iterator[Any]:
    """The built page, opened from the file system, in a browser that notes every request."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no playwright: pip install 'vaecodec[viewer]'")
    if not PAGE.is_file():
        pytest.skip("the page is not built: docs/viewer/README.md says how")
    built = json.loads((PAGE.parent / "model.json").read_text())["model_id"]
    if built != codec.model.id_hex:
        pytest.skip(f"the page was built with the model {built}, not {codec.model.id_hex}: build it again")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.requests = []
        page.on("request", lambda request: page.requests.append(request.url))
        page.model_id = codec.model.id
        page.goto(PAGE.as_uri())
        yield page
        browser.close()


@pytest.mark.chromium
def test_golden_files_are_the_same_in_chromium(page: Any) -> None:
    mine = golden_of(page.model_id)
    assert len(mine) >= 6
    for name, data in mine.items():
        assert page.evaluate(FINGERPRINT, text(data)) == EXPECTED[name], name
    assert requested(page) == {PAGE.as_uri()}, "who only opens files loads nothing more"


@pytest.mark.chromium
@pytest.mark.parametrize("name", ["eye-overlay", "eye-overlay-grey-alpha"])
def test_what_lies_over_photographs_is_the_same_in_chromium(page: Any, name: str) -> None:
    expected = json.loads((GOLDEN / "added" / "expected.json").read_text())[name]
    assert page.evaluate(FINGERPRINT, text((GOLDEN / "added" / f"{name}.vaec").read_bytes())) == expected


def golden_of(model_id: bytes) -> dict[str, bytes]:
    """The golden files of a model."""
    files = {name: (GOLDEN / f"{name}.vaec").read_bytes() for name in EXPECTED}
    return {name: data for name, data in files.items() if model_id in data}


def requested(page: Any) -> set[str]:
    return {url for url in page.requests if not url.startswith(("blob:", "data:"))}


@pytest.mark.chromium
def test_the_page_is_small() -> None:
    if not PAGE.is_file():
        pytest.skip("the page is not built")
    assert PAGE.stat().st_size <= MAX_PAGE_BYTES


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("size", "channels", "quality", "effort"),
    [((300, 512), 3, 81, 1), ((97, 50), 3, 20, 0), ((64, 64), 1, 60, 1), ((1, 1), 3, 100, 0), ((1500, 1400), 3, 40, 1)],
)
def test_files_that_the_page_makes_are_those_of_the_package(
    codec: Codec, page: Any, photograph: np.ndarray, size: tuple[int, int], channels: int, quality: float, effort: int
) -> None:
    height, width = size
    again = np.tile(photograph, (-(-height // photograph.shape[0]), -(-width // photograph.shape[1]), 1))
    samples = np.ascontiguousarray(again[:height, :width, :channels])
    expected = codec.compress(Picture(samples), quality=quality, effort=effort)
    made = page.evaluate(ENCODE, [text(samples), width, height, channels, quality, effort])
    assert base64.b64decode(made) == expected


@pytest.mark.chromium
def test_the_encoder_lies_beside_the_page(page: Any, codec: Codec, photograph: np.ndarray, tmp_path: Path) -> None:
    """From a server too; where it is missing a sentence says so, and files are opened all the same."""
    from PIL import Image

    samples = np.ascontiguousarray(photograph[:40, :50])
    Image.fromarray(samples).save(tmp_path / "photo.png")
    shutil.copy(PAGE, tmp_path)
    asked = [text(samples), 50, 40, 3, 81, 1]
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(PAGE.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = page.context.browser.new_page()
        other.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        assert base64.b64decode(other.evaluate(ENCODE, asked)) == codec.compress(Picture(samples), quality=81)
        server.shutdown()
    other.goto((tmp_path / "index.html").as_uri())
    other.set_input_files("#empty input", tmp_path / "photo.png")
    other.wait_for_selector("[data-state=failed]", timeout=60_000)
    assert "photo.png: To make files the page needs encoder.js beside it" in other.inner_text("#failure")
    name, data = next(iter(golden_of(page.model_id).items()))
    assert other.evaluate(FINGERPRINT, text(data)) == EXPECTED[name]
    other.close()


@pytest.mark.chromium
def test_a_picture_that_is_dropped_becomes_a_file(
    codec: Codec, page: Any, photograph: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    samples = np.ascontiguousarray(photograph[:200, :333])
    Image.fromarray(samples).save(tmp_path / "photo.png")
    page.set_input_files("input[type=file] >> nth=0", tmp_path / "photo.png")
    page.wait_for_selector("[data-made][data-state=shown]", timeout=60_000)
    made = _saved(page, tmp_path / "made.vaec")
    assert made == codec.compress(Picture(samples))
    # Another quality makes another file.
    page.fill("#quality", "30")
    page.wait_for_function("() => document.getElementById('facts').textContent.includes('Quality30')")
    assert _saved(page, tmp_path / "made.vaec") == codec.compress(Picture(samples), quality=30)
    # A file that is opened has nothing to be made of.
    page.set_input_files("#shown input[type=file]", GOLDEN / "eye-small.vaec")
    page.wait_for_selector("body:not([data-made])[data-state=shown]", timeout=60_000)
    assert not page.is_visible("#save-file")


@pytest.mark.chromium
def test_pictures_keep_grey_transparency_and_are_upright(
    codec: Codec, page: Any, photograph: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    samples = np.ascontiguousarray(photograph[:100, :150])
    alpha = np.tile(np.arange(150, dtype=np.uint8), (100, 1)) + np.uint8(100)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.dstack([samples, alpha])).save(tmp_path / "alpha.png")
    Image.fromarray(samples[:, :, 0]).save(tmp_path / "grey.png")
    Image.fromarray(samples).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    made = {}
    for name in ("alpha.png", "grey.png", "turned.jpg"):
        page.evaluate("delete document.body.dataset.jpeg")
        page.set_input_files("input[type=file] >> nth=0", tmp_path / name)
        page.wait_for_selector("[data-made][data-jpeg=ready]", timeout=60_000)
        made[name] = codec.decompress(_saved(page, tmp_path / "made.vaec"))
    assert np.array_equal(made["alpha.png"].alpha, alpha)
    assert made["grey.png"].channels == 1
    assert made["turned.jpg"].samples.shape == (150, 100, 3)


def _saved(page: Any, path: Path) -> bytes:
    with page.expect_download() as download:
        page.click("#save-file")
    download.value.save_as(path)
    return path.read_bytes()


@pytest.mark.chromium
def test_a_file_is_shown_and_saved_and_nothing_is_requested(page: Any, tmp_path: Path) -> None:
    from PIL import Image

    page.set_input_files("#empty input", GOLDEN / "eye-tiles.vaec")
    page.wait_for_selector("[data-jpeg=ready]", timeout=60_000)
    assert "150 × 130" in page.inner_text("#facts")
    assert f"{(GOLDEN / 'eye-tiles.vaec').stat().st_size:,} bytes" in page.inner_text("#facts")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "saved.png")
    samples = np.array(Image.open(tmp_path / "saved.png"))
    assert hashlib.sha256(samples.tobytes()).hexdigest() == EXPECTED["eye-tiles"]["samples_sha256"]
    # What an earlier test made took the encoder.
    assert requested(page) <= {PAGE.as_uri(), ENCODER.as_uri()}


@pytest.mark.chromium
def test_what_cannot_be_opened_gets_a_sentence(page: Any, tmp_path: Path) -> None:
    good = (GOLDEN / "eye-small.vaec").read_bytes()
    model = good.index(bytes.fromhex(read_header(good).model_id.hex()))
    header_end = model - 3 + 2 + good[model - 2]
    other = bytearray(good)
    other[model] ^= 1
    other[header_end : header_end + 4] = zlib.crc32(other[6:header_end]).to_bytes(4, "little")
    unknown = b"\x8f\x01\x00"
    files = {
        "damaged": (good[:-3] + bytes(3), "damaged"),
        "short": (good[: len(good) // 2], "cut off"),
        "text": (b"GIF89a", "neither a .vaec file nor"),
        "picture.png": (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        "model": (bytes(other), "made with the model"),
        "section": (
            good[: header_end + 4] + unknown + zlib.crc32(unknown).to_bytes(4, "little") + good[header_end + 4 :],
            "section 8f",
        ),
    }
    for name, (data, sentence) in files.items():
        (tmp_path / name).write_bytes(data)
        page.set_input_files("input[type=file] >> nth=0", tmp_path / name)
        page.wait_for_function(
            "([name]) => document.getElementById('failure').textContent.startsWith(name)", arg=[name]
        )
        assert page.get_attribute("body", "data-state") == "failed"
        assert sentence in page.inner_text("#failure")


@pytest.mark.chromium
def test_tiles_without_loss_and_transparency_are_the_same_in_chromium(
    codec: Codec, page: Any, photograph: np.ndarray
) -> None:
    """And the saved PNG has them, with the profile and EXIF."""
    from PIL import Image, ImageCms

    rng = np.random.default_rng(1)
    drawing = photograph[:300, :512].copy()
    drawing[:, 256:] = 255
    for _ in range(60):
        y, x = rng.integers(0, 290), rng.integers(260, 500)
        drawing[y : y + 6, x : x + 9] = rng.integers(0, 256, 3)
    alpha = np.tile(np.arange(512, dtype=np.uint16) // 2, (300, 1)).astype(np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif_bytes = exif.tobytes().removeprefix(b"Exif\0\0")
    modes, overlays = set(), 0
    for picture in (
        Picture(drawing, alpha=alpha, icc=profile, exif=exif_bytes),
        Picture(drawing, alpha=np.full((300, 512), 99, np.uint8)),
        Picture(drawing[:, :, :1]),
        Picture(np.tile(drawing[:, 256:], (1, 2, 1))),
    ):
        data = codec.compress(picture, quality=60, check=True)
        modes |= {tile.mode for tile in read_container(data).tiles}
        overlays += read_container(data).overlay is not None
        expected = codec.decompress(data)
        got = page.evaluate(FINGERPRINT, text(data))
        assert got["latents_sha256"] == codec.latents_digest(data)
        assert got["samples_sha256"] == hashlib.sha256(expected.samples.tobytes()).hexdigest()
        png = Image.open(io.BytesIO(base64.b64decode(page.evaluate(SAVE, text(data)))))
        stored = np.array(png).reshape(300, 512, -1)
        assert np.array_equal(stored[:, :, : expected.channels], expected.samples)
        if expected.alpha is not None:
            assert np.array_equal(stored[:, :, -1], expected.alpha)
        assert png.info.get("icc_profile") == expected.icc
        assert png.getexif().get(0x0112) == (6 if expected.exif else None)
    assert len(modes) >= 2
    assert overlays == 3
