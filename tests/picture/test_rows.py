"""Pictures that are read and written by rows."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from vaecodec.errors import AnimatedPictureError, LimitError, UnreadablePictureError
from vaecodec.picture import Picture, PictureRows, RowWindow, open_rows, read_picture, write_rows

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (150, 90, 3), dtype=np.uint8)
WIDE = RNG.integers(0, 65536, (150, 90, 3), dtype=np.uint16)
SAMPLES = {"RGB": RGB, "grey": RGB[:, :, :1], "RGB 16": WIDE, "grey 16": WIDE[:, :, :1]}
LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 32},
    "big endian": {"byteorder": ">"},
    "BigTIFF tiles": {"tile": (64, 32), "bigtiff": True},
    "deflated tiles": {"tile": (32, 64), "compression": "zlib", "predictor": True},
    "LZW strips": {"rowsperstrip": 40, "compression": "lzw"},
}


def save_tiff(path: Path, samples: np.ndarray, **layout: Any) -> None:
    opening = {key: layout.pop(key) for key in ("byteorder", "bigtiff") if key in layout}
    with tifffile.TiffWriter(path, **opening) as writer:
        planes = samples[:, :, 0] if samples.shape[2] == 1 else samples
        writer.write(planes, photometric="rgb" if planes.ndim == 3 else "minisblack", metadata=None, **layout)


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiff_comes_by_rows_as_it_lies(tmp_path: Path, kind: str, layout: str) -> None:
    path = tmp_path / "a.tiff"
    save_tiff(path, SAMPLES[kind], **LAYOUTS[layout])
    with open_rows(path) as rows:
        assert rows is not None
        blocks = list(rows.blocks)
    assert all(len(block) < 150 for block in blocks) or layout in ("one strip", "big endian", "strips")
    np.testing.assert_array_equal(np.concatenate(blocks), SAMPLES[kind])
    assert rows.bit_depth == 8 * SAMPLES[kind].dtype.itemsize


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB[:, :, 0], photometric="miniswhite", metadata=None)
    with open_rows(tmp_path / "a.tif") as rows:
        assert rows is not None
        np.testing.assert_array_equal(rows.picture().samples[:, :, 0], 255 - RGB[:, :, 0])


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("format", ["png", "tiff", "npy"])
def test_what_is_written_by_rows_comes_back(tmp_path: Path, kind: str, format: str) -> None:
    samples = SAMPLES[kind]
    height, width, channels = samples.shape
    blocks = [samples[:64], samples[64:65], samples[65:]]
    rows = PictureRows(width, height, channels, 8 * samples.dtype.itemsize, blocks)
    path = tmp_path / f"a.{format}"
    with path.open("wb") as file:
        write_rows(rows, file, format)
    np.testing.assert_array_equal(read_picture(path).samples, samples)


def test_png_by_rows_keeps_metadata_byte_for_byte() -> None:
    exif, xmp, icc = b"II*\0\x08\0\0\0\0\0\0\0", "<x:xmpmeta>ü</x:xmpmeta>".encode(), b"profile" * 99
    file = io.BytesIO()
    write_rows(PictureRows(90, 150, 3, 8, [RGB], icc, exif, xmp), file, "png")
    back = read_picture(file.getvalue())
    assert (back.icc, back.exif, back.xmp) == (icc, exif, xmp)
    np.testing.assert_array_equal(back.samples, RGB)


def test_tiff_by_rows_keeps_icc_xmp_and_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    path = tmp_path / "a.tif"
    with path.open("wb") as file:
        write_rows(PictureRows(90, 150, 3, 8, [RGB], b"profile" * 99, block, b"<x/>"), file, "tiff")
    with open_rows(path) as rows:
        assert rows is not None
        assert (rows.icc, rows.xmp) == (b"profile" * 99, b"<x/>")
        back = Image.Exif()
        back.load(rows.exif or b"")
    assert back[0x0112] == 6


def test_a_window_slides_over_blocks_of_any_size() -> None:
    cuts = [0, 1, 7, 64, 64, 65, 150]
    window = RowWindow(RGB[a:b] for a, b in itertools.pairwise(cuts))
    for top in range(0, 150, 16):
        np.testing.assert_array_equal(window.take(max(0, top - 5), min(150, top + 21)), RGB[max(0, top - 5) : top + 21])


def test_what_cannot_come_by_rows_is_left_to_others(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    Image.fromarray(np.dstack([RGB, RGB[:, :, :1]])).save(tmp_path / "a.tif")
    np.save(tmp_path / "a.npy", np.zeros((3, 3)))
    for name in ("a.png", "a.tif", "a.npy"):
        with open_rows(tmp_path / name) as rows:
            assert rows is None


def test_refusals(tmp_path: Path) -> None:
    save_tiff(tmp_path / "a.tif", RGB, tile=(32, 64), compression="zlib")
    whole = (tmp_path / "a.tif").read_bytes()
    with pytest.raises(LimitError), open_rows(tmp_path / "a.tif", max_pixels=150 * 90 - 1):
        pass
    np.save(tmp_path / "a.npy", RGB)
    with pytest.raises(LimitError), open_rows(tmp_path / "a.npy", max_pixels=150 * 90 - 1):
        pass
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(UnreadablePictureError, match="cut short"), open_rows(tmp_path / "cut.npy") as rows:
        assert rows is not None
        rows.picture()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset = tiff.pages[0].dataoffsets[3]
    (tmp_path / "bad.tif").write_bytes(whole[:offset] + b"\xff" * 64 + whole[offset + 64 :])
    with pytest.raises(UnreadablePictureError), open_rows(tmp_path / "bad.tif") as rows:
        assert rows is not None
        rows.picture()
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(RGB)
        writer.write(RGB)
    with pytest.raises(AnimatedPictureError), open_rows(tmp_path / "two.tif"):
        pass
    with open_rows(tmp_path / "two.tif", first_frame=True) as rows:
        assert rows is not None


@pytest.mark.parametrize("head", [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\0", b"II*\0\x10\0\0\0" + bytes(8)])
def test_a_tiff_without_a_picture_says_so(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(head)
    for read in (read_picture, lambda path: open_rows(path).__enter__()):
        with pytest.raises(UnreadablePictureError, match="damaged or cut short: it has no directory"):
            read(path)


def test_a_picture_by_rows_is_a_picture() -> None:
    picture = PictureRows(90, 150, 3, 16, iter([WIDE[:70], WIDE[70:]])).picture()
    assert isinstance(picture, Picture)
    np.testing.assert_array_equal(picture.samples, WIDE)
