from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from vaecodec.picture import Picture, apply_orientation, exif_orientation, strip_metadata

RGB = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def exif_with(orientation: int, order: str = "<") -> bytes:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_as_pillow_does(orientation: int, order: str) -> None:
    exif = exif_with(orientation, order)
    assert exif_orientation(exif) == orientation
    image = Image.fromarray(RGB)
    image.info["exif"] = exif
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(apply_orientation(RGB, orientation), expected)


@pytest.mark.parametrize(
    "exif", [None, b"", b"II*\0", b"Exif", exif_with(0), exif_with(9), exif_with(6)[:-8], bytes(30)]
)
def test_a_broken_or_absent_tag_means_as_it_lies(exif: bytes | None) -> None:
    assert exif_orientation(exif) == 1


def test_stripping_turns_the_picture_upright_and_drops_everything() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stripped = strip_metadata(Picture(RGB, icc=icc, exif=exif_with(6), xmp=b"<x/>"))
    assert (stripped.icc, stripped.exif, stripped.xmp) == (None, None, None)
    np.testing.assert_array_equal(stripped.samples, np.rot90(RGB, -1))


def profile_with_swapped_channels() -> bytes:
    """SRGB with its red and blue primaries exchanged: to be seen right, red and blue have to change places."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert icc.count(b"rXYZ") == icc.count(b"bXYZ") == 1
    swapped = icc.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))


def test_stripping_another_colour_space_keeps_the_look() -> None:
    stripped = strip_metadata(Picture(RGB, icc=profile_with_swapped_channels()))
    difference = stripped.samples.astype(int) - RGB[:, :, ::-1]
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("icc", [b"not a profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()])
def test_a_profile_that_does_not_fit_is_left_out_of_account_and_that_is_said(icc: bytes) -> None:
    stripped = strip_metadata(Picture(RGB, icc=icc))
    np.testing.assert_array_equal(stripped.samples, RGB)
    assert any("profile" in note for note in stripped.notes)
