"""Drops metadata from a picture so that it still looks the same: what it said about the samples is applied to them."""

from __future__ import annotations

import numpy as np

from vaecodec.errors import UnreadablePictureError
from vaecodec.picture.colour import samples_to_srgb
from vaecodec.picture.icc_profiles import ADOBE_CURVE, ADOBE_RGB, rgb_profile
from vaecodec.picture.orientation import apply_orientation, exif_orientation
from vaecodec.picture.picture import Picture
from vaecodec.picture.tiff_directories import EXIF_DIRECTORY, INTEROP_DIRECTORY, numbers_of, read_directories

_COLOUR_SPACE_TAG, _INTEROP_INDEX_TAG = 0xA001, 1
_ADOBE_RGB_NUMBER, _ADOBE_RGB_INDEX = 2, b"R03"


def strip_metadata(picture: Picture) -> Picture:
    """Returns the picture without metadata, turned upright and converted to sRGB.

    A profile that is broken or meant for another kind of samples is left out of account, as viewers do, and ``notes`` say so.
    """
    samples, notes = picture.samples, picture.notes
    icc = picture.icc if picture.icc is not None else _profile_that_exif_names(picture)
    if icc is not None:
        try:
            samples = samples_to_srgb(samples, icc)
        except UnreadablePictureError as error:
            notes = (*notes, f"{error}: its samples are taken for sRGB")
    orientation = exif_orientation(picture.exif)
    alpha = None if picture.alpha is None else apply_orientation(picture.alpha[:, :, np.newaxis], orientation)[:, :, 0]
    return Picture(apply_orientation(samples, orientation), alpha=alpha, notes=notes)


def _profile_that_exif_names(picture: Picture) -> bytes | None:
    """Cameras say "Adobe RGB" in EXIF alone (Exif 2.32, 4.6.5; DCF 2.0)."""
    if picture.exif is None or picture.channels == 1:
        return None
    found = read_directories(picture.exif, most_pages=1)
    below = found.pages[0].below.get(EXIF_DIRECTORY) if found is not None else None
    if found is None or below is None:
        return None
    space = below.entries.get(_COLOUR_SPACE_TAG)
    index = below.below[INTEROP_DIRECTORY].entries.get(_INTEROP_INDEX_TAG) if INTEROP_DIRECTORY in below.below else None
    named = index is not None and index.value.startswith(_ADOBE_RGB_INDEX)
    if named or (space is not None and numbers_of(space, found.order) == (_ADOBE_RGB_NUMBER,)):
        return rgb_profile(ADOBE_RGB, ADOBE_CURVE, "Adobe RGB (1998)")
    return None
