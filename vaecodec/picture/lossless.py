"""Planes of samples as small PNG, WebP or JPEG XL files, exactly: what alpha, lossless tiles and lossless pictures are stored as (docs/format.md).

None of these is our own coding: the bytes are made by zlib, libwebp and libjxl.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from vaecodec.errors import DamagedFileError, LimitError, MissingExtraError
from vaecodec.picture.isobmff import boxes
from vaecodec.picture.picture import Samples

Kind = Literal["PNG", "WEBP", "JXL"]

# The largest side of a WebP.
_WEBP_MAX_SIDE = 16383
# Of more pixels PNG never was smaller than WebP, on the screen content of bench/, and took three times as long.
_PNG_PIXELS = 1 << 14
# Method 6 gains 3 % on photographs and nothing on graphics, for eleven times the processor time of method 5: 40 s a megapixel.
_WEBP_SLOW = 1.04
_WEBP_SLOW_PIXELS = 1 << 14
_JXL_EFFORT = 7
_MOST_EFFORT = 9
# Pictures of so few pixels are tried with these efforts too. PngSuite gains 30 % and takes 20 ms a picture.
_JXL_SMALL = ((1 << 14, 9), (1 << 12, 10))
# Those whose samples, converted to grey or RGB, with alpha or without, are neither cut nor scaled.
_MODES: dict[tuple[Kind, bool], frozenset[str]] = {
    ("PNG", False): frozenset({"1", "L", "P", "RGB"}), ("PNG", True): frozenset({"LA", "RGBA"}),
    ("WEBP", False): frozenset({"RGB"}), ("WEBP", True): frozenset({"RGB", "RGBA"}),
}  # fmt: skip
_MODES_16_BIT = frozenset({"I;16", "I;16B"})
_JXL_MAGICS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


@dataclass(frozen=True)
class LosslessPlanes:
    """Samples as a file: its kind, as Pillow calls it, and its bytes."""

    kind: Kind
    data: bytes


def encode_lossless(samples: Samples) -> LosslessPlanes:
    """Returns the smaller of PNG and lossless WebP, quickly: what screen content and alpha are stored as.

    Args:
        samples: uint8 [H, W, C], C = 1 or 3, or uint16 for PNG alone.
    """
    height, width = samples.shape[:2]
    files = []
    if samples.dtype == np.uint8 and max(width, height) <= _WEBP_MAX_SIDE:
        files.append(_webp(samples, quality=75, method=4))
    if not files or height * width <= _PNG_PIXELS:
        files.append(_png(samples))
    return min(files, key=_size)


def encode_smallest(samples: Samples, *, effort: int = _JXL_EFFORT) -> LosslessPlanes:
    """Returns the smallest of `encode_each`."""
    return min(encode_each(samples, effort=effort), key=_size)


def encode_each(samples: Samples, *, effort: int = _JXL_EFFORT) -> list[LosslessPlanes]:
    """Returns the smallest JPEG XL, where imagecodecs is installed, WebP and PNG, as far as they may be smallest.

    Args:
        samples: uint8 or uint16 [H, W, C], C = 1 or 3, or 2 or 4, the last of which is alpha.
        effort: of JPEG XL, 1 to 9.
    """
    height, width = samples.shape[:2]
    files = []
    codec = _jpeg_xl()
    if codec is not None:
        efforts = {effort, *(more for pixels, more in _JXL_SMALL if height * width <= pixels)}
        files.append(min((_encode_jpeg_xl(codec, samples, effort) for effort in sorted(efforts)), key=_size))
    if samples.dtype == np.uint8 and max(width, height) <= _WEBP_MAX_SIDE:
        webp = _webp(samples, quality=100, method=5)
        near = not files or len(webp.data) <= _WEBP_SLOW * len(files[0].data)
        if height * width <= _WEBP_SLOW_PIXELS or (near and effort == _MOST_EFFORT):
            webp = min(webp, _webp(samples, quality=100, method=6), key=_size)
        files.append(webp)
    if len(files) < 2 or height * width <= _PNG_PIXELS:
        files.append(_png(samples))
    return files


def _size(planes: LosslessPlanes) -> int:
    return len(planes.data)


def _jpeg_xl() -> Any:
    """The package imagecodecs, or None where it, or its part for JPEG XL, is missing."""
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs if imagecodecs.JPEGXL.available else None


def _encode_jpeg_xl(codec: Any, samples: Samples, effort: int) -> LosslessPlanes:
    data = bytes(
        codec.jpegxl_encode(samples.squeeze(2) if samples.shape[2] == 1 else samples, lossless=True, effort=effort)
    )
    # Of 16 bits libjxl makes a file of boxes, which decoders do without.
    codestreams = (
        [content for kind, content in boxes(data) if kind == b"jxlc"] if data.startswith(_JXL_MAGICS[1]) else []
    )
    return LosslessPlanes("JXL", codestreams[0] if codestreams else data)


def _webp(samples: Samples, *, quality: int, method: int) -> LosslessPlanes:
    channels = {1: (0, 0, 0), 2: (0, 0, 0, 1)}.get(samples.shape[2])
    planes = samples if channels is None else samples[:, :, channels]
    image = Image.fromarray(np.ascontiguousarray(planes))
    return LosslessPlanes("WEBP", _saved(image, "WEBP", lossless=True, quality=quality, method=method, exact=True))


def _png(samples: Samples) -> LosslessPlanes:
    if samples.dtype == np.uint8:
        image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    else:
        # Pillow has no mode for colour of 16 bits, nor with alpha: one channel below the other.
        image = Image.fromarray(np.ascontiguousarray(np.moveaxis(samples, -1, 0)).reshape(-1, samples.shape[1]))
    return LosslessPlanes("PNG", _saved(image, "PNG", optimize=True))


def _saved(image: Image.Image, kind: Kind, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode_lossless(
    planes: LosslessPlanes, width: int, height: int, channels: int, what: str, *, bit_depth: int = 8
) -> Samples:
    """The inverse of :func:`encode_lossless` and :func:`encode_smallest`, for bytes from anywhere.

    Args:
        planes: the file.
        width: which it must have; checked before samples are decoded.
        height: the same.
        channels: 1 or 3, with alpha 2 or 4. Of a WebP, which knows colour only, one channel is the green one.
        what: names the file in messages.
        bit_depth: 8 or 16.

    Returns:
        uint8 or uint16 [height, width, channels].

    Raises:
        DamagedFileError: not such a file, or a broken one, or of another size.
        LimitError: larger than Pillow decodes.
        MissingExtraError: JPEG XL, and imagecodecs is not installed.
    """
    decode = {"JXL": _decode_jpeg_xl}.get(planes.kind, _decode_png_16_bit if bit_depth > 8 else _decode_8_bit)
    try:
        return decode(planes, width, height, channels, what, bit_depth)
    except (DamagedFileError, MissingExtraError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(f"{what} has more pixels than Pillow decodes: {error}") from error
    except Exception as error:
        # Parsers that are fed any bytes fail in any way.
        raise DamagedFileError(f"{what} cannot be read: the file is damaged, get it again") from error


def _wrong(what: str, is_wrong: str) -> DamagedFileError:
    return DamagedFileError(f"{what} {is_wrong}: the file is damaged, get it again")


def _decode_8_bit(planes: LosslessPlanes, width: int, height: int, channels: int, what: str, _: int) -> Samples:
    with Image.open(io.BytesIO(planes.data), formats=[planes.kind]) as image:
        if image.size != (width, height):
            raise _wrong(what, "has the wrong size")
        if image.mode not in _MODES[planes.kind, channels in (2, 4)]:
            raise _wrong(what, f"has samples of the kind {image.mode}")
        if channels == 2:
            return np.array(image) if image.mode == "LA" else np.array(image.convert("RGBA"))[:, :, [1, 3]]
        if channels > 2:
            return np.array(image.convert("RGB" if channels == 3 else "RGBA"))
        grey = np.array(image)[:, :, 1] if image.mode == "RGB" else np.array(image.convert("L"))
        return grey[:, :, np.newaxis]


def _decode_png_16_bit(planes: LosslessPlanes, width: int, height: int, channels: int, what: str, _: int) -> Samples:
    if planes.kind != "PNG":
        raise _wrong(what, "has 16 bits per sample and is no PNG")
    with Image.open(io.BytesIO(planes.data), formats=["PNG"]) as image:
        if image.size != (width, channels * height):
            raise _wrong(what, "has the wrong size")
        if image.mode not in _MODES_16_BIT:
            raise _wrong(what, f"has samples of the kind {image.mode}")
        stacked = np.asarray(image).astype(np.uint16).reshape(channels, height, width)
    return np.ascontiguousarray(np.moveaxis(stacked, 0, -1))


def _decode_jpeg_xl(
    planes: LosslessPlanes, width: int, height: int, channels: int, what: str, bit_depth: int
) -> Samples:
    codec = _jpeg_xl()
    if codec is None:
        raise MissingExtraError(
            f"{what} is JPEG XL, which needs the package imagecodecs: pip install 'vaecodec[formats]'"
        )
    if not planes.data.startswith(_JXL_MAGICS) or jpeg_xl_size(planes.data) != (width, height):
        raise _wrong(what, "has the wrong size")
    decoded = codec.jpegxl_decode(planes.data)
    if decoded.shape[:2] != (height, width) or decoded.size != width * height * channels:
        raise _wrong(what, "has the wrong size")
    if decoded.dtype != (np.uint8 if bit_depth == 8 else np.uint16):
        raise _wrong(what, f"has samples of the kind {decoded.dtype}")
    return np.ascontiguousarray(decoded).reshape(height, width, channels)


def jpeg_xl_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in the header of a codestream, bare or in a box (ISO/IEC 18181-1, 5.2), before anything is decoded; None where it is none."""
    if data.startswith(_JXL_MAGICS[1]):
        data = next((content for kind, content in boxes(data) if kind == b"jxlc"), b"")
    if not data.startswith(_JXL_MAGICS[0]):
        return None
    bits, at = int.from_bytes(data[2:18], "little"), 0

    def take(count: int) -> int:
        nonlocal at
        value = bits >> at & ((1 << count) - 1)
        at += count
        return value

    def side(small: int) -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side(small)
    ratio = take(3)
    if ratio == 0:
        return side(small), height
    top, bottom = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height * top // bottom, height
