"""A Pillow image is what it has in memory; its file counts only as long as nobody has touched it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

import vaecodec.pillow  # noqa: F401  registers the format
from vaecodec.picture import read_picture

WIDE = np.random.default_rng(1).integers(0, 65536, (32, 48, 3), dtype=np.uint16)


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    options.setdefault("photometric", "rgb" if samples.ndim == 3 else "minisblack")
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, kind: int, lines: bytes, clear: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"tRNS", clear) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


FILES = {
    "TIFF, LZW": tiff(WIDE, compression="lzw"),
    "TIFF, Deflate": tiff(WIDE, compression="zlib"),
    "TIFF, plain": tiff(WIDE),
    "TIFF, big endian": tiff(WIDE, byteorder=">", compression="zlib"),
    "TIFF, with alpha": tiff(np.dstack([WIDE, WIDE[:, :, :1]]), extrasamples=["unassalpha"]),
    "PNG": imagecodecs.png_encode(WIDE),
    "PNG, with alpha": imagecodecs.png_encode(np.dstack([WIDE, WIDE[:, :, :1]])),
}
EDITS: dict[str, Callable[[Image.Image], object]] = {
    "drawn on": lambda image: ImageDraw.Draw(image).rectangle((0, 0, 9, 9), fill=(255, 0, 0)),
    "pasted": lambda image: image.paste((255, 0, 0), (0, 0, 10, 10)),
    "a pixel": lambda image: [image.putpixel((x, 5), (255, 0, 0)) for x in range(10)],
    "through load()": lambda image: [image.load().__setitem__((x, 5), (255, 0, 0)) for x in range(10)],  # type: ignore[union-attr]
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("closed", [False, True])
def test_edits_count(tmp_path: Path, name: str, edit: str, closed: bool) -> None:
    (tmp_path / "a").write_bytes(FILES[name])
    image = Image.open(tmp_path / "a") if closed else Image.open(io.BytesIO(FILES[name]))
    EDITS[edit](image)
    assert read_picture(image).samples[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", FILES)
def test_an_untouched_image_has_all_bits_of_its_file_and_can_still_be_loaded(name: str) -> None:
    image = Image.open(io.BytesIO(FILES[name]))
    np.testing.assert_array_equal(read_picture(image).samples, WIDE)
    assert np.abs(np.asarray(image)[:, :, :3].astype(int) - WIDE // 257).max() <= 1


@pytest.mark.parametrize("change", ["rotate", "resize", "crop", "convert", "copy"])
def test_what_pillow_makes_of_an_image_counts(change: str) -> None:
    image = Image.open(io.BytesIO(FILES["TIFF, LZW"]))
    made = {
        "rotate": lambda: image.rotate(90, expand=True),
        "resize": lambda: image.resize((10, 8)),
        "crop": lambda: image.crop((0, 0, 10, 10)),
        "convert": lambda: image.convert("L"),
        "copy": image.copy,
    }[change]()
    picture = read_picture(made)
    np.testing.assert_array_equal(picture.samples.squeeze(), np.asarray(made))


def test_another_frame_counts() -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200)]
    file = io.BytesIO()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    image = Image.open(file)
    image.seek(1)
    assert read_picture(image.copy()).samples.mean() == 200


@pytest.mark.parametrize("name", FILES)
def test_pillow_saves_what_it_has_loaded(name: str, tmp_path: Path) -> None:
    with Image.open(io.BytesIO(FILES[name])) as image:
        image.save(tmp_path / "a.vaec", quality=10)
        expected = image.mode
    with Image.open(tmp_path / "a.vaec") as back:
        assert (back.mode, back.size) == (expected, (48, 32))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I"])
def test_16_bit_grey_is_saved_in_every_byte_order(mode: str, tmp_path: Path) -> None:
    grey = np.tile(np.linspace(0, 65535, 48).astype(np.uint16), (32, 1))
    if mode == "I":
        image = Image.fromarray(grey.astype(np.int32))
    else:
        image = Image.frombytes(mode, (48, 32), grey.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    np.testing.assert_array_equal(read_picture(image).samples[:, :, 0], grey)
    image.save(tmp_path / "a.vaec", quality=95)
    with Image.open(tmp_path / "a.vaec") as back:
        assert back.mode == "I;16"


LEVELS = {1: b"\0\x50", 2: b"\0\x1b\x1b", 4: b"\0\x01\x45\xf5\x01"}


@pytest.mark.parametrize("source", ["closed", "path", "bytes"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_level_of_a_shallow_grey_png(bits: int, source: str, tmp_path: Path) -> None:
    width = 8 * (len(LEVELS[bits]) - 1) // bits
    clear = {1: 1, 2: 1, 4: 5}[bits]
    data = png(width, 1, bits, 0, LEVELS[bits], struct.pack(">H", clear))
    expected = read_picture(data)
    assert expected.alpha is not None
    assert (expected.alpha == 0).any()
    (tmp_path / "a.png").write_bytes(data)
    image = Image.open(tmp_path / "a.png") if source == "path" else Image.open(io.BytesIO(data))
    if source == "closed":
        # Neither file nor name: what its samples say.
        image.load()
    image.load()
    picture = read_picture(image)
    np.testing.assert_array_equal(picture.alpha, expected.alpha)
    np.testing.assert_array_equal(picture.samples, expected.samples)
    image.save(tmp_path / "a.vaec")
    with Image.open(tmp_path / "a.vaec") as back:
        assert back.mode == "LA"


def test_a_transparent_colour_of_16_bits() -> None:
    lines = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 1, 2, 3)
    data = png(2, 1, 16, 2, lines, struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    image = Image.open(io.BytesIO(data))
    image.load()
    for picture in (read_picture(data), read_picture(image)):
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [[0, 255]]
    grey = png(3, 1, 16, 0, struct.pack(">BHHH", 0, 5, 1000, 65535), struct.pack(">H", 1000))
    image = Image.open(io.BytesIO(grey))
    image.load()
    assert read_picture(image).alpha.tolist() == [[255, 0, 255]]  # type: ignore[union-attr]


def test_a_profile_that_was_removed_or_given_counts() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG", icc_profile=b"profile")
    image = Image.open(file)
    assert read_picture(image).icc == b"profile"
    del image.info["icc_profile"]
    assert read_picture(image).icc is None
