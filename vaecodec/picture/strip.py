"""Drops metadata from a picture so that it still looks the same: what it said about the samples is applied to them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vaecodec.errors import BitDepthError
from vaecodec.picture.colour import to_srgb
from vaecodec.picture.orientation import apply_orientation, exif_orientation
from vaecodec.picture.picture import Picture, Samples


def strip_metadata(picture: Picture) -> Picture:
    """Returns the picture without ICC profile, EXIF and XMP, turned upright and converted to sRGB.

    Raises:
        BitDepthError: samples of 16 bits have an ICC profile: colours are converted with 8 bits only.
        UnreadablePictureError: the ICC profile is broken or does not fit the samples, so that the colours are not known.
    """
    samples = picture.samples
    if picture.icc is not None:
        if picture.bit_depth > 8:
            raise BitDepthError(
                "colours of 16 bits per sample are not converted to sRGB: keep the metadata, or use --to-8-bit"
            )
        samples = _to_srgb(samples, picture.icc)
    orientation = exif_orientation(picture.exif)
    alpha = None if picture.alpha is None else apply_orientation(picture.alpha[:, :, np.newaxis], orientation)[:, :, 0]
    return Picture(apply_orientation(samples, orientation), alpha=alpha)


def _to_srgb(samples: Samples, icc: bytes) -> Samples:
    """Converts uint8 [H, W, C] from the colour space of a profile to sRGB, C unchanged."""
    if samples.shape[2] == 1:
        # A neutral grey has three equal channels in sRGB.
        return to_srgb(Image.fromarray(samples[:, :, 0]), icc)[:, :, 1:2]
    return to_srgb(Image.fromarray(samples), icc)
