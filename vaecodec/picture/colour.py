"""Colours from one space to another, by ICC profiles."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from vaecodec.errors import UnreadablePictureError
from vaecodec.picture.picture import Samples


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
        if image.mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(profile):
            return np.asarray(image)
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, renderingIntent=intent, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UnreadablePictureError(
            "the ICC profile is broken or does not fit the picture: remove or replace it, or keep the metadata"
        ) from error
    assert converted is not None  # only in-place conversion returns nothing
    return np.asarray(converted, dtype=np.uint8)
