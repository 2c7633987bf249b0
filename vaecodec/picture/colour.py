"""Colours from one space to another, by ICC profiles."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from vaecodec.errors import BitDepthError, UnreadablePictureError
from vaecodec.picture.picture import Samples

_BROKEN = "the ICC profile is broken or does not fit the picture"
# Where a conversion moves nothing by more than that, the profile means sRGB, and rounding is all that it would do.
_SAME_LEVELS = 1
# A grey whose three channels come out closer than that is one.
_NEUTRAL_LEVELS = 2


def to_srgb(image: Image.Image, icc: bytes) -> Samples:
    """Converts to sRGB with the profile's own rendering intent.

    Args:
        image: of mode ``L``, ``RGB`` or ``CMYK``.
        icc: the profile that its samples are meant in.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadablePictureError: the profile is broken or does not fit the mode.
    """
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB", renderingIntent=intent)
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
    grey = samples.shape[2] == 1
    if grey and _colour_space(icc) == "RGB":
        samples = np.repeat(samples, 3, axis=2)
    if samples.dtype == np.uint16:
        converted = _deep_to_srgb(samples, icc)
    else:
        converted = to_srgb(Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples), icc)
    if not grey:
        return converted
    spread = converted.max(axis=2).astype(int) - converted.min(axis=2)
    limit = _NEUTRAL_LEVELS * (1 if converted.dtype == np.uint8 else 257)
    return converted[:, :, 1:2] if int(spread.max()) <= limit else converted


def _colour_space(icc: bytes) -> str:
    """The four letters in its header (ICC.1, 7.2.6)."""
    return icc[16:20].decode("latin-1").strip()


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether RGB samples come out as they go in: greys, and a grid of colours."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    probe = np.concatenate([grid, greys])[np.newaxis]
    moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
    assert moved is not None
    return int(np.abs(np.asarray(moved).astype(int) - probe).max()) <= _SAME_LEVELS


def _deep_to_srgb(samples: Samples, icc: bytes) -> Samples:
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
            colorspace=mode, outcolorspace="rgb", outdtype=np.uint16, intent=intent,
        )  # fmt: skip
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, RuntimeError) as error:
        raise UnreadablePictureError(_BROKEN) from error
    return np.asarray(converted, dtype=np.uint16)
