"""Colours are what profiles do and files say, not what they are called."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from vaecodec.errors import UnsupportedPictureError
from vaecodec.picture import Picture, read_picture, strip_metadata
from vaecodec.picture.icc_profiles import (
    ADOBE_CURVE,
    ADOBE_RGB,
    BT709,
    PRIMARIES_BY_CODE,
    SRGB_CURVE,
    Curve,
    Primaries,
    grey_profile,
    rgb_profile,
)

RGB = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LINEAR = rgb_profile(BT709, Curve(1.0), "GIMP built-in Linear sRGB")
P3 = rgb_profile(PRIMARIES_BY_CODE[12], SRGB_CURVE, "sRGB but for its primaries")


def to_linear(samples: np.ndarray) -> np.ndarray:
    v = samples / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def from_linear(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def converted(samples: np.ndarray, primaries: Primaries, decoded: np.ndarray) -> np.ndarray:
    """By definition, without a profile: light of the one space as light of the other."""

    def matrix(points: Primaries) -> np.ndarray:
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (points.red, points.green, points.blue)]).T
        x, y = points.white
        return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])

    return from_linear(decoded @ (np.linalg.inv(matrix(BT709)) @ matrix(primaries)).T)


@pytest.mark.parametrize(
    ("icc", "expected"),
    [
        (SRGB, RGB.astype(float)),
        (rgb_profile(BT709, SRGB_CURVE, "nothing like it"), RGB.astype(float)),
        (LINEAR, from_linear(RGB / 255)),
        (P3, converted(RGB, PRIMARIES_BY_CODE[12], to_linear(RGB))),
        (
            rgb_profile(ADOBE_RGB, ADOBE_CURVE, "sRGB IEC61966-2.1"),
            converted(RGB, ADOBE_RGB, (RGB / 255) ** (563 / 256)),
        ),
        (rgb_profile(PRIMARIES_BY_CODE[9], Curve(2.4), "x"), converted(RGB, PRIMARIES_BY_CODE[9], (RGB / 255) ** 2.4)),
    ],
)
def test_stripping_does_what_the_profile_does_whatever_it_is_called(icc: bytes, expected: np.ndarray) -> None:
    stripped = strip_metadata(Picture(RGB, icc=icc))
    assert stripped.icc is None
    assert np.abs(stripped.samples - expected).max() < 2.5
    wide = strip_metadata(Picture(RGB.astype(np.uint16) * 257, icc=icc))
    assert wide.bit_depth == 16
    assert np.abs(wide.samples / 257 - expected).max() < 2.5


@pytest.mark.parametrize("icc", [SRGB, P3, LINEAR, grey_profile(Curve(1.0), "g"), grey_profile(Curve(2.2), "g")])
@pytest.mark.parametrize("wide", [False, True])
def test_grey_stays_grey_under_any_profile(icc: bytes, wide: bool) -> None:
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16, 1)
    samples = grey * 257 if wide else grey.astype(np.uint8)
    stripped = strip_metadata(Picture(samples, icc=icc))
    assert stripped.samples.shape == (16, 16, 1)
    assert stripped.notes == ()
    gamma = {LINEAR: 1.0, grey_profile(Curve(1.0), "g"): 1.0, grey_profile(Curve(2.2), "g"): 2.2}.get(icc)
    light = to_linear(grey) if gamma is None else (grey / 255) ** gamma
    assert np.abs(stripped.samples / (257 if wide else 1) - from_linear(light)).max() < 2.5


@pytest.mark.parametrize("where", ["colour space", "interoperability"])
def test_adobe_rgb_that_exif_alone_names_is_converted(where: str) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2} if where == "colour space" else {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    stripped = strip_metadata(Picture(RGB, exif=block))
    assert np.abs(stripped.samples - converted(RGB, ADOBE_RGB, (RGB / 255) ** (563 / 256))).max() < 2.5
    exif[0x8769] = {0xA001: 1}
    np.testing.assert_array_equal(
        strip_metadata(Picture(RGB, exif=exif.tobytes().removeprefix(b"Exif\0\0"))).samples, RGB
    )


def png(chunks: dict[bytes, bytes], samples: np.ndarray = RGB) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    data = imagecodecs.png_encode(samples)
    return data[:33] + b"".join(chunk(name, content) for name, content in chunks.items()) + data[33:]


GAMMA = {value: struct.pack(">I", value) for value in (45455, 100000, 55556, 0)}
SRGB_POINTS = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize(
    ("chunks", "light", "primaries"),
    [
        ({b"gAMA": GAMMA[100000]}, RGB / 255, BT709),
        ({b"gAMA": GAMMA[55556]}, (RGB / 255) ** 1.8, BT709),
        ({b"gAMA": GAMMA[45455], b"cHRM": P3_POINTS}, (RGB / 255) ** 2.2, PRIMARIES_BY_CODE[12]),
        ({b"cHRM": P3_POINTS}, to_linear(RGB), PRIMARIES_BY_CODE[12]),
        ({b"cICP": b"\x0c\x0d\0\1"}, to_linear(RGB), PRIMARIES_BY_CODE[12]),
        ({b"cICP": b"\x09\x08\0\1"}, RGB / 255, PRIMARIES_BY_CODE[9]),
        ({b"cICP": b"\x0c\x0d\0\1", b"gAMA": GAMMA[100000], b"sRGB": b"\0"}, to_linear(RGB), PRIMARIES_BY_CODE[12]),
    ],
)
def test_colour_chunks_of_a_png_become_a_profile(
    chunks: dict[bytes, bytes], light: np.ndarray, primaries: Primaries
) -> None:
    picture = read_picture(png(chunks))
    np.testing.assert_array_equal(picture.samples, RGB)
    assert picture.icc is not None
    assert np.abs(strip_metadata(picture).samples - converted(RGB, primaries, light)).max() < 2.5
    if b"cICP" not in chunks:
        # Pillow has no place for cICP.
        assert read_picture(Image.open(io.BytesIO(png(chunks)))).icc == picture.icc


@pytest.mark.parametrize(
    "chunks",
    [
        {}, {b"gAMA": GAMMA[45455]}, {b"sRGB": b"\0", b"gAMA": GAMMA[100000]}, {b"gAMA": GAMMA[45455], b"cHRM": SRGB_POINTS},
        {b"cICP": b"\x01\x0d\0\1"}, {b"cICP": b"\x02\x02\0\1"}, {b"cHRM": SRGB_POINTS},
    ],
)  # fmt: skip
def test_what_means_srgb_needs_no_profile(chunks: dict[bytes, bytes]) -> None:
    picture = read_picture(png(chunks))
    assert (picture.icc, picture.notes) == (None, ())


@pytest.mark.parametrize(
    "chunks",
    [
        {b"gAMA": GAMMA[0]},
        {b"cHRM": bytes(32)},
        {b"gAMA": GAMMA[100000], b"cHRM": bytes(32)},
        {b"cICP": b"\x63\x0d\0\1"},
    ],
)
def test_colour_that_makes_no_sense_is_left_out_and_that_is_said(chunks: dict[bytes, bytes]) -> None:
    picture = read_picture(png(chunks))
    np.testing.assert_array_equal(picture.samples, RGB)
    assert picture.icc is None
    assert len(picture.notes) == 1


def test_samples_of_a_narrow_range_are_kept_and_that_is_said() -> None:
    for code in (1, 12):
        picture = read_picture(png({b"cICP": bytes([code, 13, 0, 0])}))
        np.testing.assert_array_equal(picture.samples, RGB)
        assert len(picture.notes) == 1
        assert "narrow range" in picture.notes[0]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(transfer: int, name: str) -> None:
    with pytest.raises(UnsupportedPictureError, match=name):
        read_picture(png({b"cICP": bytes([9, transfer, 0, 1])}))
    with pytest.raises(UnsupportedPictureError, match=name):
        read_picture(coded(avif(), 9, transfer))


def test_grey_with_gamma_has_a_grey_profile() -> None:
    grey = png({b"gAMA": GAMMA[100000]}, RGB[:, :, 0].copy())
    picture = read_picture(grey)
    assert picture.icc is not None
    assert picture.icc[16:20] == b"GRAY"
    assert np.abs(strip_metadata(picture).samples[:, :, 0] - from_linear(RGB[:, :, 0] / 255)).max() < 2.5


def avif(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "AVIF", **options)
    return file.getvalue()


def coded(data: bytes, primaries: int, transfer: int) -> bytes:
    """With other code points in its colour box."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.mark.parametrize(
    ("primaries", "transfer", "name"),
    [(12, 13, P3), (9, 1, None), (9, 8, None), (1, 13, b""), (1, 1, b""), (2, 2, b""), (11, 17, None), (5, 4, None)],
)
def test_code_points_of_an_avif_become_a_profile(primaries: int, transfer: int, name: bytes | None) -> None:
    picture = read_picture(coded(avif(), primaries, transfer))
    assert (picture.icc is None) == (name == b"")
    if picture.icc is not None:
        curve = {13: to_linear(RGB), 8: RGB / 255, 4: (RGB / 255) ** 2.2}.get(transfer)
        if curve is not None:
            own = Picture(RGB, icc=picture.icc)
            expected = converted(RGB, PRIMARIES_BY_CODE[primaries], curve)
            assert np.abs(strip_metadata(own).samples - expected).max() < 2.5


def test_a_profile_in_an_avif_stands_before_code_points() -> None:
    assert read_picture(avif(icc_profile=P3)).icc == P3


def test_the_profile_of_a_jpeg_2000_is_kept() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG2000")
    data = file.getvalue()
    at = data.index(b"colr") - 4
    (size,) = struct.unpack_from(">I", data, at)
    box = struct.pack(">I4sBBB", 11 + len(P3), b"colr", 2, 0, 0) + P3
    data = data[:at] + box + data[at + size :]
    head = data.index(b"jp2h") - 4
    data = data[:head] + struct.pack(">I", struct.unpack_from(">I", data, head)[0] + len(box) - size) + data[head + 4 :]
    assert read_picture(data).icc == P3


def bmp(version: int, gamma: float = 1.0, icc: bytes = b"") -> bytes:
    size = {4: 108, 5: 124}[version]
    space = 0x4D424544 if icc else 0
    rows = RGB[::-1, :, ::-1].tobytes()
    head = (
        struct.pack("<IiiHHIIiiII", size, 48, 32, 1, 24, 0, len(rows), 11811, 11811, 0, 0)
        + bytes(16)
        + struct.pack("<I", space)
    )
    x, y = zip(*[(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], strict=True)
    columns = np.array([[a / b, 1, (1 - a - b) / b] for a, b in zip(x, y, strict=True)]).T
    light = (columns * np.linalg.solve(columns, [0.9505, 1, 1.089])).T
    head += struct.pack("<9i", *[round(v * 2**30) for v in light.ravel()]) + struct.pack(
        "<3i", *[round(gamma * 65536)] * 3
    )
    if version == 5:
        head += struct.pack("<IIII", 4, size + len(rows), len(icc), 0)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows) + len(icc), 0, 0, 14 + size) + head + rows + icc


def test_profiles_in_bmp_headers() -> None:
    assert read_picture(bmp(5, icc=P3)).icc == P3
    linear = read_picture(bmp(4))
    np.testing.assert_array_equal(linear.samples, RGB)
    assert np.abs(strip_metadata(linear).samples - from_linear(RGB / 255)).max() < 2.5
    assert read_picture(bmp(4, 2.2)).icc is None
