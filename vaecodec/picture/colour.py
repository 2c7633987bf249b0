"""Colours from one space to another, by ICC profiles."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vaecodec.errors import BitDepthError, UnreadablePictureError
from vaecodec.picture.picture import Samples

if TYPE_CHECKING:
    from PIL import ImageCms

_BROKEN = "the ICC profile is broken or does not fit the picture"
# Where a conversion moves nothing by more than that, the profile means sRGB, and rounding is all that it would do.
_SAME_LEVELS = 1
# A grey whose three channels come out closer than that is one.
_NEUTRAL_LEVELS = 2


INKS_CONVERTED = "its inks became sRGB by their profile"
"""What is said about a CMYK picture."""


def to_srgb(image: Image.Image, icc: bytes, *, precise: bool = False) -> Samples:
    """Converts to sRGB with the profile's own rendering intent.

    Args:
        image: of mode ``L``, ``RGB`` or ``CMYK``.
        icc: the profile that its samples are meant in.
        precise: compute every sample, without the tables that make it fast and shadows coarse.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadablePictureError: the profile is broken or does not fit the mode.
    """
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
        srgb = ImageCms.createProfile("sRGB")
        flags = ImageCms.Flags.NOOPTIMIZE if precise else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB", renderingIntent=intent, flags=flags)
        if image.mode == "RGB" and _changes_nothing(transform):
            return np.asarray(image)
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise UnreadablePictureError(_BROKEN) from error
    assert converted is not None  # only in-place conversion returns nothing
    return np.asarray(converted, dtype=np.uint8)


def samples_to_srgb(samples: Samples, icc: bytes) -> Samples:
    """uint8 or uint16 [H, W, 1 or 3] -> the same type and shape in sRGB; grey in an RGB profile stays grey where that is neutral.

    Raises:
        UnreadablePictureError: the profile is broken or does not fit the samples.
        BitDepthError: 16 bits, and imagecodecs is not installed.
    """
    if samples.shape[2] == 3:
        return _to_srgb_16_bit(samples, icc) if samples.dtype == np.uint16 else to_srgb(Image.fromarray(samples), icc)
    levels = np.arange(np.iinfo(samples.dtype).max + 1, dtype=samples.dtype).reshape(1, -1, 1)
    if _colour_space(icc) == "RGB":
        levels = np.repeat(levels, 3, axis=2)
    if samples.dtype == np.uint16:
        table = _to_srgb_16_bit(levels, icc)[0]
    else:
        table = to_srgb(Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels), icc, precise=True)[0]
    spread = table.max(axis=1).astype(int) - table.min(axis=1)
    limit = _NEUTRAL_LEVELS * (1 if table.dtype == np.uint8 else 257)
    converted: Samples = table[:, 1:2][samples[:, :, 0]] if int(spread.max()) <= limit else table[samples[:, :, 0]]
    return converted


def _colour_space(icc: bytes) -> str:
    """The four letters in its header (ICC.1, 7.2.6)."""
    return icc[16:20].decode("latin-1").strip()


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether RGB samples come out as they go in: greys, and a grid of colours."""
    from PIL import ImageCms

    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    probe = np.concatenate([grid, greys])[np.newaxis]
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
    assert moved is not None
    return int(np.abs(np.asarray(moved).astype(int) - probe).max()) <= _SAME_LEVELS


def _to_srgb_16_bit(samples: Samples, icc: bytes) -> Samples:
    from PIL import ImageCms

    try:
        import imagecodecs
    except ImportError as error:
        raise BitDepthError(
            "colours of 16 bits per sample are converted by the package imagecodecs: pip install 'vaecodec[formats]'"
        ) from error
    mode = "gray" if samples.shape[2] == 1 else "rgb"
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        intent = int(ImageCms.getDefaultIntent(profile))
        planes = samples[:, :, 0] if mode == "gray" else samples
        converted = imagecodecs.cms_transform(
            np.ascontiguousarray(planes), icc, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
            colorspace=mode, outcolorspace="rgb", outdtype=np.uint16, intent=intent, flags=int(ImageCms.Flags.NOOPTIMIZE),
        )  # fmt: skip
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise UnreadablePictureError(_BROKEN) from error
    return np.asarray(converted, dtype=np.uint16)
