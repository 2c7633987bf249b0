"""Planes of samples as small PNG or WebP files, exactly: what alpha and lossless tiles are stored as (docs/format.md)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from vaecodec.errors import DamagedFileError, LimitError, damaged_file
from vaecodec.picture.picture import Samples

Kind = Literal["PNG", "WEBP"]

# The largest side of a WebP.
_WEBP_MAX_SIDE = 16383
# Those whose samples, converted to grey or RGB, are neither cut nor scaled.
_MODES: dict[Kind, frozenset[str]] = {"PNG": frozenset({"1", "L", "P", "RGB"}), "WEBP": frozenset({"RGB"})}


@dataclass(frozen=True)
class LosslessPlanes:
    """Samples as a file: its kind, as Pillow calls it, and its bytes."""

    kind: Kind
    data: bytes


def encode_lossless(samples: Samples) -> LosslessPlanes:
    """Returns the smaller of PNG and lossless WebP.

    Args:
        samples: uint8 [H, W, C], C = 1 or 3.
    """
    height, width, channels = samples.shape
    image = Image.fromarray(samples[:, :, 0] if channels == 1 else samples)
    files = [LosslessPlanes("PNG", _saved(image, "PNG", optimize=True))]
    if max(width, height) <= _WEBP_MAX_SIDE:
        files.append(LosslessPlanes("WEBP", _saved(image.convert("RGB"), "WEBP", lossless=True, quality=75, method=4)))
    return min(files, key=lambda file: len(file.data))


def _saved(image: Image.Image, kind: Kind, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode_lossless(planes: LosslessPlanes, width: int, height: int, channels: int, what: str) -> Samples:
    """The inverse of :func:`encode_lossless`, for bytes from anywhere.

    Args:
        planes: the file.
        width: which it must have; checked before samples are decoded.
        height: the same.
        channels: 1 or 3. Of a WebP, which knows colour only, one channel is the green one.
        what: names the file in messages.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DamagedFileError: not such a file, or a broken one, or of another size.
        LimitError: larger than Pillow decodes.
    """
    try:
        with Image.open(io.BytesIO(planes.data), formats=[planes.kind]) as image:
            if image.size != (width, height):
                raise damaged_file(f"{what} has the wrong size")
            if image.mode not in _MODES[planes.kind]:
                raise damaged_file(f"{what} has samples of the kind {image.mode}")
            if channels == 3:
                return np.array(image.convert("RGB"))
            grey = np.array(image)[:, :, 1] if image.mode == "RGB" else np.array(image.convert("L"))
            return grey[:, :, np.newaxis]
    except (DamagedFileError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(f"{what} has more pixels than Pillow decodes: {error}") from error
    except Exception as error:
        # Parsers that are fed any bytes fail in any way.
        raise damaged_file(f"{what} cannot be read") from error
