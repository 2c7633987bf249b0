"""Each kind of file is recognised by its first bytes and gets its own line; "damaged" is for damage."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import IcoImagePlugin, Image, ImageOps, PdfImagePlugin

from vaecodec.errors import LimitError, MissingExtraError, PictureError, UnreadablePictureError, UnsupportedPictureError
from vaecodec.picture import exif_orientation, read_picture, strip_metadata

assert IcoImagePlugin, PdfImagePlugin
RGB = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
SMOOTH = np.dstack(np.broadcast_arrays(np.arange(48), np.arange(32)[:, np.newaxis] * 4, 90)).astype(np.uint8)


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def saved(format: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(RGB)).save(file, format, **options)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a.png", b"")
    return file.getvalue()


def tiff_with(*tags: tuple[int, int, int, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, RGB, photometric="rgb", metadata=None, extratags=[(*tag, True) for tag in tags], **options)
    return file.getvalue()


def thumbnail_first() -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(
            RGB, photometric="rgb", metadata=None, subifds=1, subfiletype=1, extratags=[(271, 2, 0, "NIKON", True)]
        )
        writer.write(RGB, photometric="rgb", metadata=None)
    return file.getvalue()


FOREIGN = {
    "camera raw": [
        tiff_with((50706, 1, 4, (1, 4, 0, 0))),
        thumbnail_first(),
        b"II*\0\x10\0\0\0CR\2\0\0\0\0\0",
        b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"FOVb\3\0", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    ],
    "Photoshop": [b"8BPS\0\1\0\0\0\0\0\0\0\3"],
    "SVG": [
        b'<svg xmlns="http://www.w3.org/2000/svg"/>', b'<?xml version="1.0"?>\n<!-- a -->\n<svg >',
        b'\xef\xbb\xbf<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y">\n<svg\n>', b"  <svg>", b"<svg:svg xmlns:svg='x'>",
    ],
    "PDF": [saved("PDF"), b"%PDF-1.7"],
    "ICO": [saved("ICO")],
    "Git LFS": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"],
    "web page": [b"<!DOCTYPE html>\n<html>", b"<html><head>", b"\n <HTML>", b"<!-- x --><!doctype HTML>", b"<head><title>404"],
    "a text": [b'{"error": "not found"}', b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', b"[]"],
    "video": [b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", b"\0\0\0\x14ftypqt  ", b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI "],
    "an archive": [archive(), b"\x1f\x8b\x08\0", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\7"],
    "OpenEXR": [b"v/1\1\2\0\0\0"], "Radiance": [b"#?RADIANCE\n"], "QOI": [b"qoif\0\0\0\1"], "PAM": [b"P7\nWIDTH 1\n"], "XPM": [b"/* XPM */"], "MNG": [b"\x8aMNG\r\n\x1a\n"], "GIMP": [b"gimp xcf file"],
    "PostScript": [b"%!PS-Adobe-3.0 EPSF"], "DjVu": [b"AT&TFORM\0\0"], "JPEG XR": [b"II\xbc\1\x20\0\0\0"],
    "decompress it": [b"\x89VAEC\1"],
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_each_kind_has_its_line(name: str) -> None:
    for data in FOREIGN[name]:
        for padded in (data, data.ljust(600, b"\0")):
            with pytest.raises((UnsupportedPictureError, UnreadablePictureError), match=name) as caught:
                read_picture(padded)
            message = str(caught.value)
            assert "\n" not in message
            assert "damaged" not in message
            assert "--" not in message


@pytest.mark.parametrize("data", [b"hello", bytes(100), b"\x7fELF", b"MZ\x90"])
def test_what_nobody_knows_is_not_called_damaged(data: bytes) -> None:
    with pytest.raises(UnreadablePictureError, match=r"not a picture of a known format$"):
        read_picture(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "JPEG2000", "TIFF"])
def test_damage_is_called_damage(format: str) -> None:
    data = saved(format)
    with pytest.raises(UnreadablePictureError, match="damaged or cut short"):
        read_picture(data[:20])


def heic(**options: Any) -> bytes:
    file = io.BytesIO()
    samples = options.pop("samples", SMOOTH)
    if samples.dtype == np.uint16:
        image = pillow_heif.from_bytes("RGB;16", (samples.shape[1], samples.shape[0]), samples.tobytes())
    else:
        image = pillow_heif.from_pillow(Image.fromarray(samples))
    image.save(file, **({"quality": 100, "chroma": 444} | options))
    return file.getvalue()


def test_heic_is_read_with_profile_exif_and_xmp() -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    icc = b"\0\0\0\0profile of some length" * 20
    picture = read_picture(heic(exif=exif.tobytes(), xmp=b"<x/>"))
    assert np.abs(picture.samples.astype(int) - SMOOTH).mean() < 2
    assert picture.xmp == b"<x/>"
    assert picture.exif is not None
    assert b"Maker" in picture.exif
    assert picture.notes == ()
    assert read_picture(heic(icc_profile=icc)).icc == icc


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_upright_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(SMOOTH)
    picture = read_picture(heic(exif=exif.tobytes()))
    lying.info["exif"] = exif.tobytes()
    upright = np.asarray(ImageOps.exif_transpose(lying)).astype(int)
    assert exif_orientation(picture.exif) == 1
    assert np.abs(picture.samples - upright).mean() < 3
    assert np.abs(strip_metadata(picture).samples - upright).mean() < 3


@pytest.mark.parametrize("kind", ["RGBA", "L", "LA"])
def test_heic_of_other_modes(kind: str) -> None:
    image = Image.fromarray(SMOOTH).convert(kind)
    if kind.endswith("A"):
        image.putalpha(Image.fromarray(SMOOTH[:, :, 0]))
    picture = read_picture(heic(samples=np.asarray(image)))
    assert picture.channels == (1 if kind.startswith("L") else 3) or kind.startswith("L")
    assert (picture.alpha is not None) == kind.endswith("A")


def test_heic_of_ten_bits_has_them() -> None:
    ramp = np.dstack([np.broadcast_to(np.linspace(0, 65535, 256), (16, 256))] * 3).astype(np.uint16)
    picture = read_picture(heic(samples=ramp))
    assert picture.bit_depth == 16
    assert len(np.unique(picture.samples)) > 256 // 2
    assert np.abs(picture.samples.astype(int) - ramp).mean() < 600


def test_display_p3_by_code_points_and_hdr_in_heic() -> None:
    data = heic()
    at = data.index(b"colrnclx") + 8
    p3 = read_picture(data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :])
    assert p3.icc is not None
    assert read_picture(data).icc is None
    with pytest.raises(UnsupportedPictureError, match="HDR"):
        read_picture(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])


def test_further_pictures_in_a_heic_are_named() -> None:
    both = pillow_heif.from_pillow(Image.fromarray(SMOOTH))
    both.add_from_pillow(Image.fromarray(RGB))
    file = io.BytesIO()
    both.save(file, quality=100)
    picture = read_picture(file.getvalue())
    assert picture.notes == ("1 further pictures in it are not kept",)


def test_damage_to_heic_and_limits() -> None:
    data = heic()
    with pytest.raises(LimitError):
        read_picture(data, max_pixels=100)
    rng = np.random.default_rng(3)
    for _ in range(40):
        bad = bytearray(data)
        for at in rng.integers(12, len(bad), 3):
            bad[at] = rng.integers(256)
        try:
            read_picture(bytes(bad), max_pixels=10**6)
        except (PictureError, LimitError) as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("package", "data", "words"),
    [
        ("pillow_heif", heic(), "pip install 'vaecodec"),
        ("pillow_jxl", imagecodecs.jpegxl_encode(RGB, lossless=True), "pip install pillow-jxl-plugin"),
        ("tifffile", saved("TIFF", Image.fromarray(RGB[:, :, 0].astype(np.float32))), "pip install 'vaecodec"),
    ],
)
def test_without_its_package_a_format_is_one_line_that_says_what_to_install(
    package: str, data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.JpegXLImagePlugin", None)
    with pytest.raises(MissingExtraError) as caught:
        read_picture(data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_jpeg_xl_is_read_exactly(channels: int, dtype: type) -> None:
    samples = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (20, 30, channels), dtype=dtype)
    if channels == 4:
        samples[:, :, 3] = samples[:, :, 3] if dtype == np.uint8 else (samples[:, :, 3] % 256) * 257
    picture = read_picture(imagecodecs.jpegxl_encode(samples.squeeze(), lossless=True))
    np.testing.assert_array_equal(np.asarray(picture), samples)


def test_jpeg_xl_with_metadata_is_upright_once() -> None:
    from pillow_jxl import JpegXLImagePlugin

    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Maker"
    file = io.BytesIO()
    image = Image.fromarray(RGB)
    image.encoderinfo = {"lossless": True, "exif": exif.tobytes()}  # type: ignore[attr-defined]
    image.encoderconfig = ()  # type: ignore[attr-defined]
    JpegXLImagePlugin._save(image, file, "")
    picture = read_picture(file.getvalue())
    assert exif_orientation(picture.exif) == 1
    assert picture.exif is not None
    assert b"Maker" in picture.exif


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 8}], ids=["whole", "tiles", "strips"])
@pytest.mark.parametrize(
    "compression", [None, "lzw", "deflate", "packbits", "jpeg", "jpeg2000", "jpegxl", "webp", "zstd", "lzma"]
)
def test_a_tiff_that_is_cut_short_is_never_a_picture(
    compression: str | None, layout: dict[str, Any], depth: int
) -> None:
    """Decoders of JPEG fill in what is missing, and say nothing."""
    if depth == 16 and compression in ("jpeg", "webp"):
        pytest.skip("8 bits only")
    samples = RGB if depth == 8 else RGB.astype(np.uint16) * 257
    data = tiff(samples, photometric="rgb", compression=compression, **layout)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        first = file.pages.first
        end = max(at + count for at, count in zip(first.dataoffsets, first.databytecounts, strict=True))
    assert end == len(data)
    read_picture(data)
    for length in (end - 1, end - 9, first.dataoffsets[0] + first.databytecounts[0] // 2):
        with pytest.raises(UnreadablePictureError, match="damaged or cut short"):
            read_picture(data[:length])


def test_complex_numbers_are_no_picture() -> None:
    with pytest.raises(UnsupportedPictureError, match="complex numbers: save their magnitude"):
        read_picture(tiff(SMOOTH[:, :, 0].astype(np.complex64)))
