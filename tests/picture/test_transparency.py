from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vaecodec.errors import DamagedFileError, UnsupportedPictureError, UsageError
from vaecodec.picture import (
    OUTPUT_FORMATS,
    LosslessPlanes,
    Picture,
    apply_orientation,
    decode_lossless,
    encode_lossless,
    encode_picture,
    fill_transparent,
    read_picture,
    strip_metadata,
)

PLANES = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)
RGB, ALPHA = PLANES[:, :, :3], PLANES[:, :, 3]
GREY = RGB[:, :, :1]
TURN = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_read_apart_from_the_samples(format: str, options: dict[str, Any], channels: int) -> None:
    planes = np.dstack([RGB[:, :, :channels], ALPHA])
    picture = read_picture(saved(Image.fromarray(planes), format, **options))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, ALPHA)
    # WebP has no grey.
    expected = RGB[:, :, :1].repeat(3, axis=2) if format == "WEBP" and channels == 1 else RGB[:, :, :channels]
    np.testing.assert_array_equal(picture.samples, expected)


def test_opaque_alpha_is_none() -> None:
    assert read_picture(saved(Image.new("RGBA", (3, 2), (1, 2, 3, 255)), "PNG")).alpha is None
    assert read_picture(np.full((2, 3, 2), 255, np.uint8)).alpha is None


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_have_alpha_in_their_last_channel_both_ways(channels: int) -> None:
    planes = np.dstack([RGB[:, :, :channels], ALPHA])
    picture = read_picture(planes)
    assert picture.channels == channels
    np.testing.assert_array_equal(np.asarray(picture), planes)
    np.testing.assert_array_equal(np.asarray(picture.to_pil()), planes)
    assert picture.to_pil().mode == {1: "LA", 3: "RGBA"}[channels]
    with pytest.raises(ValueError, match="copy"):
        np.array(picture, copy=False)


@pytest.mark.parametrize(
    ("image", "transparency", "hidden"),
    [
        (Image.fromarray(np.array([[0, 1]], np.uint8)), 1, [[False, True]]),
        (Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), (4, 5, 6), [[False, True]]),
        (Image.fromarray(np.array([[0, 200]], np.uint8)).convert("P"), 200, [[False, True]]),
        (Image.fromarray(np.array([[False, True]])), 0, [[True, False]]),
    ],
)
def test_a_colour_that_is_declared_transparent_becomes_alpha(
    image: Image.Image, transparency: Any, hidden: list[list[bool]]
) -> None:
    picture = read_picture(saved(image, "PNG", transparency=transparency))
    assert picture.alpha is not None
    assert (picture.alpha == 0).tolist() == hidden


def test_the_transparent_grey_of_a_four_bit_png_is_found() -> None:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0))
    data += chunk(b"tRNS", b"\0\x07") + chunk(b"IDAT", zlib.compress(b"\0\x7f")) + chunk(b"IEND", b"")
    picture = read_picture(data)
    assert np.asarray(picture).tolist() == [[[0x77, 0], [0xFF, 255]]]


def test_palettes_with_alpha_become_rgb_with_alpha() -> None:
    image = Image.new("PA", (2, 1))
    assert read_picture(image).alpha is not None
    gif = Image.fromarray(np.array([[0, 9]], np.uint8)).convert("P")
    alpha = read_picture(saved(gif, "GIF", transparency=9)).alpha
    assert alpha is not None
    assert alpha.tolist() == [[255, 0]]


def test_alpha_of_another_size_is_refused() -> None:
    with pytest.raises(UnsupportedPictureError, match="alpha"):
        Picture(RGB, alpha=ALPHA[1:])
    with pytest.raises(UnsupportedPictureError, match="alpha"):
        Picture(RGB, alpha=ALPHA.astype(np.uint16))


@pytest.mark.parametrize("name", ["png", "webp", "tiff"])
@pytest.mark.parametrize("samples", [RGB, GREY])
def test_formats_with_transparency_keep_it_and_the_colours_below(name: str, samples: np.ndarray) -> None:
    picture = Picture(samples, alpha=ALPHA // 64 * 64)
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS[name]))
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, picture.alpha)
    np.testing.assert_array_equal(np.broadcast_to(samples, back.samples.shape), back.samples)


@pytest.mark.parametrize("name", ["jpeg", "bmp", "ppm"])
def test_formats_without_transparency_refuse_it(name: str) -> None:
    with pytest.raises(UsageError, match="transparency"):
        encode_picture(Picture(RGB, alpha=ALPHA), OUTPUT_FORMATS[name])
    encode_picture(Picture(RGB), OUTPUT_FORMATS[name])


def test_stripping_turns_alpha_with_the_samples() -> None:
    stripped = strip_metadata(Picture(RGB, exif=TURN, alpha=ALPHA))
    np.testing.assert_array_equal(np.asarray(stripped), apply_orientation(PLANES, 6))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (37, 50), (64, 33)])
def test_hidden_colours_continue_the_visible_ones(size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramp = (60 + 100 * columns / size[1] + 20 * rows / size[0]).astype(np.uint8)[:, :, np.newaxis]
    alpha = np.where(random.random(size) < 0.5, 0, 200).astype(np.uint8)
    alpha[0, 0] = 1
    noisy = np.where(alpha[:, :, np.newaxis] == 0, random.integers(0, 256, (*size, 1)), ramp).astype(np.uint8)
    filled = fill_transparent(Picture(noisy, alpha=alpha))
    np.testing.assert_array_equal(filled[alpha > 0], noisy[alpha > 0])
    assert np.abs(filled.astype(int) - ramp).max() < 60


def test_nothing_is_filled_where_nothing_is_hidden() -> None:
    picture = Picture(RGB, alpha=np.maximum(ALPHA, 1))
    assert fill_transparent(picture) is picture.samples
    assert fill_transparent(Picture(RGB)) is not None
    assert fill_transparent(Picture(RGB, alpha=np.zeros_like(ALPHA))).std() == 0


@pytest.mark.parametrize("samples", [RGB, GREY, np.zeros((40, 30, 1), np.uint8), np.zeros((40, 30, 3), np.uint8)])
def test_lossless_planes_are_lossless(samples: np.ndarray) -> None:
    height, width, channels = samples.shape
    back = decode_lossless(encode_lossless(samples), width, height, channels, "it")
    np.testing.assert_array_equal(back, samples)


def test_what_is_no_lossless_plane_is_damage() -> None:
    good = encode_lossless(RGB)
    wide = LosslessPlanes("PNG", saved(Image.fromarray(np.zeros((5, 7), np.uint16)), "PNG"))
    transparent = LosslessPlanes("PNG", saved(Image.fromarray(PLANES), "PNG"))
    cut = LosslessPlanes(good.kind, good.data[: len(good.data) // 2])
    other = LosslessPlanes("WEBP" if good.kind == "PNG" else "PNG", good.data)
    for bad in (wide, transparent, cut, other, LosslessPlanes("PNG", b""), LosslessPlanes("WEBP", b"RIFF")):
        with pytest.raises(DamagedFileError, match="it "):
            decode_lossless(bad, 7, 5, 3, "it")
    with pytest.raises(DamagedFileError, match="size"):
        decode_lossless(good, 5, 7, 3, "it")
