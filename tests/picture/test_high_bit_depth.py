"""Pictures of 16 bits per sample: read without a bit lost, reduced only when that is asked for."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from vaecodec.errors import (
    BitDepthError,
    LimitError,
    PictureError,
    UnreadablePictureError,
    UnsupportedPictureError,
    UsageError,
)
from vaecodec.picture import (
    OUTPUT_FORMATS,
    Picture,
    encode_picture,
    fill_transparent,
    lost_metadata,
    read_picture,
    strip_metadata,
)

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 65536, (7, 9, 3), dtype=np.uint16)
GREY = RGB[:, :, :1]
ALPHA = RNG.integers(0, 256, (7, 9), dtype=np.uint8)


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    options.setdefault("photometric", "rgb" if samples.ndim == 3 else "minisblack")
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def pnm(samples: np.ndarray, maxval: int = 65535) -> bytes:
    height, width, channels = samples.shape
    return (
        f"P{5 if channels == 1 else 6}\n# comment\n{width} {height}\n{maxval}\n".encode()
        + samples.astype(">u2").tobytes()
    )


FILES: dict[str, tuple[Any, np.ndarray]] = {
    "PNG RGB": (imagecodecs.png_encode(RGB), RGB),
    "PNG grey": (imagecodecs.png_encode(GREY[:, :, 0].copy()), GREY),
    "TIFF RGB": (tiff(RGB), RGB),
    "TIFF grey": (tiff(GREY[:, :, 0]), GREY),
    "TIFF LZW, as cameras write it": (tiff(RGB, compression="lzw", predictor=True), RGB),
    "PPM": (pnm(RGB), RGB),
    "PGM": (pnm(GREY), GREY),
    "array": (RGB, RGB),
    "Pillow": (Image.fromarray(GREY[:, :, 0]), GREY),
}


@pytest.mark.parametrize("name", FILES)
def test_every_bit_is_read(name: str) -> None:
    source, expected = FILES[name]
    picture = read_picture(source)
    assert picture.bit_depth == 16
    np.testing.assert_array_equal(picture.samples, expected)


@pytest.mark.parametrize("name", FILES)
def test_eight_bits_on_request_are_rounded(name: str) -> None:
    source, expected = FILES[name]
    samples = read_picture(source, reduce_to_8_bit=True).samples
    np.testing.assert_array_equal(samples, np.rint(expected / 257).astype(np.uint8))


def test_shallower_pnm_is_scaled() -> None:
    picture = read_picture(pnm(np.array([[[0], [1], [1023]]]), 1023))
    assert picture.samples.ravel().tolist() == [0, 64, 65535]


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_kept_in_eight_bits_where_that_is_enough_and_else_in_sixteen(channels: int) -> None:
    planes = np.dstack([RGB[:, :, :channels], ALPHA.astype(np.uint16) * 257])
    for source in (imagecodecs.png_encode(planes), planes):
        picture = read_picture(source)
        np.testing.assert_array_equal(picture.alpha, ALPHA)
        np.testing.assert_array_equal(np.asarray(picture), planes)
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["png"]))
    np.testing.assert_array_equal(np.asarray(back), planes)
    planes[3, 3, -1] += 1 if planes[3, 3, -1] < 65535 else -1
    picture = read_picture(imagecodecs.png_encode(planes))
    assert picture.alpha is not None
    assert picture.alpha.dtype == np.uint16
    for source in (planes, tiff(planes, extrasamples=["unassalpha"]) if channels == 3 else planes, picture):
        np.testing.assert_array_equal(np.asarray(read_picture(source)), planes)
    for name in ("png", "tiff"):
        np.testing.assert_array_equal(np.asarray(read_picture(encode_picture(picture, OUTPUT_FORMATS[name]))), planes)
    assert read_picture(picture, reduce_to_8_bit=True).alpha.dtype == np.uint8  # type: ignore[union-attr]


def test_a_colour_declared_transparent_becomes_alpha() -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = struct.pack(">BHHH", 0, 5, 1000, 65535)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">H", 1000)) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    picture = read_picture(data)
    assert picture.samples.ravel().tolist() == [5, 1000, 65535]
    assert picture.alpha is not None
    assert picture.alpha.ravel().tolist() == [255, 0, 255]


def high_bit_depth_files() -> dict[str, tuple[bytes, np.ndarray]]:
    ten = RGB >> 6
    scaled = ((ten.astype(np.uint32) * 65535 + 511) // 1023).astype(np.uint16)
    assert scaled.max() > 65000
    planes = np.dstack([RGB, np.full((7, 9), 700 * 257 % 65536, np.uint16)])
    separate = np.ascontiguousarray(np.moveaxis(RGB, -1, 0))
    signed = np.array([[0, 5], [32767, 9]], np.int16)
    return {
        "JPEG 2000 of 10 bits": (
            imagecodecs.jpeg2k_encode(ten, bitspersample=10, reversible=True, codecformat="jp2", level=0),
            scaled,
        ),
        "JPEG 2000 of 9 bits, grey": (
            imagecodecs.jpeg2k_encode(
                ten[:, :, 0].copy() >> 1, bitspersample=9, reversible=True, codecformat="j2k", level=0
            ),
            ((ten[:, :, :1].astype(np.uint32) // 2 * 65535 + 255) // 511).astype(np.uint16),
        ),
        "JPEG XL": (imagecodecs.jpegxl_encode(RGB, lossless=True), RGB),
        "TIFF with alpha": (tiff(planes, extrasamples=["unassalpha"]), RGB),
        "TIFF in planes": (tiff(separate, planarconfig="separate"), RGB),
        "TIFF big endian": (tiff(RGB, byteorder=">"), RGB),
        "TIFF of signed numbers above 0": (tiff(signed), signed[:, :, np.newaxis].astype(np.uint16)),
        "TIFF of 32 bits": (tiff(RGB.astype(np.uint32)), RGB),
        "PPM in digits": (
            b"P3\n# a\n9 7\n65535\n" + b"\n".join(b"%d # x" % v for v in RGB.ravel().tolist()),
            RGB,
        ),
    }


@pytest.mark.parametrize("name", high_bit_depth_files())
def test_rarer_files_of_16_bits_are_read_too(name: str) -> None:
    data, expected = high_bit_depth_files()[name]
    np.testing.assert_array_equal(read_picture(data).samples, expected)


def test_avif_and_jpeg_of_high_bit_depth_are_read() -> None:
    ten = np.full((16, 24, 3), 700, np.uint16)
    avif = read_picture(imagecodecs.avif_encode(ten, bitspersample=10, level=100))
    jpeg = read_picture(imagecodecs.jpeg8_encode(ten * 4, bitspersample=12, level=99))
    for picture in (avif, jpeg):
        assert picture.bit_depth == 16
        assert np.abs(picture.samples.astype(int) - 700 * 65535 // 1023).max() < 200


def pfm(values: np.ndarray, order: str) -> bytes:
    kind = b"PF" if values.ndim == 3 else b"Pf"
    scale = b"-1.0" if order == "<" else b"1.0"
    return kind + b"\n%d %d\n" % values.shape[1::-1] + scale + b"\n" + values[::-1].astype(order + "f4").tobytes()


FRACTIONS = (RGB / 65535).astype(np.float32)
DEGREES = np.array([[-3.5, 16.5], [0.0, 6.5]], np.float32)


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_of_0_to_1_become_16_bits(order: str) -> None:
    for source in (tiff(FRACTIONS, byteorder=order), pfm(FRACTIONS, order)):
        np.testing.assert_array_equal(read_picture(source).samples, RGB)
        assert read_picture(source).notes == ()
    np.testing.assert_array_equal(read_picture(pfm(FRACTIONS[:, :, 0], order)).samples, GREY)
    eight = read_picture(tiff(FRACTIONS, byteorder=order), reduce_to_8_bit=True)
    np.testing.assert_array_equal(eight.samples, np.rint(RGB / 257).astype(np.uint8))


def test_floats_that_sixteen_bits_cannot_hold_are_said_to_be_rounded() -> None:
    for values in (FRACTIONS * np.float32(0.7), FRACTIONS.astype(np.float64) ** 2):
        picture = read_picture(tiff(values))
        assert picture.notes == ("its floats were rounded to 16 bits",)
        assert np.abs(picture.samples / 65535 - values).max() < 0.51 / 65535


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "i2"])
def test_numbers_of_another_range_are_scaled_and_that_is_said(dtype: str) -> None:
    values = DEGREES.astype(dtype)
    picture = read_picture(tiff(values))
    low, high = float(values.min()), float(values.max())
    np.testing.assert_array_equal(
        picture.samples[:, :, 0], np.rint((values.astype(float) - low) / (high - low) * 65535)
    )
    assert picture.notes == (f"its samples, {low:g} to {high:g}, became 0 to 65535",)


def test_what_is_no_number_is_no_reason_to_refuse() -> None:
    values = np.array([[np.nan, 2.0], [np.inf, 4.0]], np.float32)
    picture = read_picture(tiff(values))
    assert picture.samples.ravel().tolist() == [0, 0, 65535, 65535]
    assert len(picture.notes) == 2
    with pytest.raises(UnreadablePictureError, match="no numbers"):
        read_picture(tiff(np.full((2, 2), np.nan, np.float32)))


def test_colours_that_were_multiplied_by_alpha_are_divided() -> None:
    alpha = np.full((7, 9), 128 * 257, np.uint16)
    multiplied = (RGB.astype(np.uint64) * alpha[:, :, np.newaxis] // 65535).astype(np.uint16)
    picture = read_picture(tiff(np.dstack([multiplied, alpha]), extrasamples=["assocalpha"]))
    assert picture.alpha is not None
    assert (picture.alpha == 128).all()
    assert np.abs(picture.samples.astype(int) - RGB).max() <= 2
    assert picture.notes == ("its colours were divided by their alpha",)


def test_inks_of_16_bits_need_a_profile() -> None:
    with pytest.raises(UnsupportedPictureError, match="CMYK without an ICC profile"):
        read_picture(tiff(np.dstack([RGB, GREY]), photometric="separated"))


def test_metadata_come_along() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(RGB, icc=icc, exif=b"II*\0\x08\0\0\0\0\0\0\0", xmp=b"<x/>")
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["png"]))
    assert (back.icc, back.exif, back.xmp) == (picture.icc, picture.exif, picture.xmp)
    assert lost_metadata(picture, OUTPUT_FORMATS["png"]) == ()
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["tiff"]))
    assert (back.icc, back.xmp) == (picture.icc, picture.xmp)
    assert lost_metadata(picture, OUTPUT_FORMATS["tiff"]) == ()
    np.testing.assert_array_equal(back.samples, RGB)


def test_what_knows_eight_bits_only_refuses() -> None:
    picture = Picture(RGB)
    with pytest.raises(BitDepthError):
        picture.to_pil()
    assert Picture(GREY).to_pil().mode == "I;16"
    with pytest.raises(UsageError, match="16 bits"):
        encode_picture(picture, OUTPUT_FORMATS["jpeg"])
    assert strip_metadata(Picture(RGB)).bit_depth == 16


def test_hidden_colour_is_filled_in_sixteen_bits() -> None:
    filled = fill_transparent(Picture(np.full((8, 8, 3), 40000, np.uint16), alpha=np.eye(8, dtype=np.uint8) * 255))
    assert (filled == 40000).all()
    assert (fill_transparent(Picture(RGB, alpha=np.zeros((7, 9), np.uint8))) == 128 * 257).all()


@pytest.mark.parametrize("name", [name for name, (source, _) in FILES.items() if isinstance(source, bytes)])
def test_damage_gives_a_picture_or_an_error_of_ours(name: str) -> None:
    source = FILES[name][0]
    rng = np.random.default_rng(11)
    failed = 0
    for _ in range(60):
        bad = bytearray(source)
        for _ in range(rng.integers(1, 4)):
            # Headers lie at the beginning, of TIFF sometimes at the end.
            at = int(rng.integers(min(len(bad), 200))) if rng.random() < 0.7 else int(rng.integers(len(bad)))
            bad[at] = int(rng.integers(256))
        if rng.random() < 0.2:
            del bad[int(rng.integers(len(bad))) :]
        try:
            read_picture(bytes(bad), max_pixels=10**6)
        except (PictureError, LimitError) as error:
            failed += 1
            assert "\n" not in str(error)
    assert failed > 5
