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
from vaecodec.jpeg_xl_header import read_jpeg_xl_header
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
# Where a PNG says how many bits its samples have.
_PNG_DEPTH = 24
_MODES_16_BIT = frozenset({"I;16", "I;16B"})
_JXL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n"
# The step between samples, and how many bits say which it is: black and white, and 4 or 16 evenly spaced greys.
_JXL_LEVELS = ((255, 1), (85, 2), (17, 4))


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
        jxl = [_encode_jpeg_xl(codec, samples, effort) for effort in sorted(efforts)]
        if height * width <= _JXL_SMALL[0][0]:
            jxl += _jpeg_xl_of_levels(codec, samples, max(efforts))
        files.append(min(jxl, key=_size))
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


def _encode_jpeg_xl(codec: Any, samples: Samples, effort: int, **options: int) -> LosslessPlanes:
    planes = samples.squeeze(2) if samples.shape[2] == 1 else samples
    # Of 16 bits libjxl makes a file of boxes, which decoders do without.
    return LosslessPlanes(
        "JXL", _codestream(bytes(codec.jpegxl_encode(planes, lossless=True, effort=effort, **options)))
    )


def _jpeg_xl_of_levels(codec: Any, samples: Samples, effort: int) -> list[LosslessPlanes]:
    """Grey of 2, 4 or 16 levels with as few bits per sample as they need: 10 bytes less than a palette takes. Empty for others."""
    if samples.dtype != np.uint8 or samples.shape[2] != 1:
        return []
    for step, bits in _JXL_LEVELS:
        if not (samples % step).any():
            return [_encode_jpeg_xl(codec, samples // step, effort, bitspersample=bits)]
    return []


def _codestream(data: bytes) -> bytes:
    """A codestream, taken out of its boxes where it has some."""
    if not data.startswith(_JXL_BOXES):
        return data
    return next((content for kind, content in boxes(data) if kind == b"jxlc"), data)


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
    # Pillow rounds 16 bits, and of a lossy WebP gives what its decoder makes of it, which no other need give.
    if planes.kind == "PNG" and planes.data[_PNG_DEPTH] > 8:
        raise _wrong(what, f"has {planes.data[_PNG_DEPTH]} bits per sample")
    if planes.kind == "WEBP" and not _is_lossless_webp(planes.data):
        raise _wrong(what, "is no single picture without loss")
    with Image.open(io.BytesIO(planes.data), formats=[planes.kind]) as image:
        if image.size != (width, height):
            raise _wrong(what, "has the wrong size")
        if image.mode not in _MODES[planes.kind, channels in (2, 4)]:
            raise _wrong(what, f"has samples of the kind {image.mode}")
        if planes.kind == "PNG" and image.mode in ("LA", "RGBA") and len(image.mode) != channels:
            raise _wrong(what, f"has {len(image.mode)} channels")
        if channels == 2:
            return np.array(image) if image.mode == "LA" else np.array(image.convert("RGBA"))[:, :, [1, 3]]
        if channels > 2:
            return np.array(image.convert("RGB" if channels == 3 else "RGBA"))
        grey = np.array(image)[:, :, 1] if image.mode == "RGB" else np.array(image.convert("L"))
        return grey[:, :, np.newaxis]


def _is_lossless_webp(data: bytes) -> bool:
    """Whether all that it has of pixels is one chunk VP8L."""
    kinds, at = [], 12
    while at + 8 <= len(data):
        kinds.append(data[at : at + 4])
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        at += at % 2
    return kinds.count(b"VP8L") == 1 and not {b"VP8 ", b"ANMF", b"ALPH"} & set(kinds)


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
    header = read_jpeg_xl_header(_codestream(planes.data))
    if header is None or (header.width, header.height) != (width, height):
        raise _wrong(what, "has the wrong size")
    few = bit_depth == 8 and channels == 1 and header.bits in {bits for _, bits in _JXL_LEVELS}
    if header.bits != bit_depth and not few:
        raise _wrong(what, f"has {header.bits or 'an unknown number of'} bits per sample")
    decoded = codec.jpegxl_decode(planes.data)
    if decoded.shape[:2] != (height, width) or decoded.size != width * height * channels:
        raise _wrong(what, "has the wrong size")
    if decoded.dtype != (np.uint8 if bit_depth == 8 else np.uint16):
        raise _wrong(what, f"has samples of the kind {decoded.dtype}")
    samples = np.ascontiguousarray(decoded).reshape(height, width, channels)
    for step, bits in _JXL_LEVELS:
        # Not where the library has made 8 bits of them already.
        if header.bits == bits and samples.max() < 1 << bits:
            samples *= np.uint8(step)
    return samples
