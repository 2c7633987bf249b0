"""One JPEG for each of the eight orientations, all of the same upright picture: never turned twice, never forgotten."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vaecodec.api import Codec
from vaecodec.picture import OUTPUT_FORMATS, encode_picture, exif_orientation, read_picture, strip_metadata

FOLDER = Path(__file__).parent / "orientation"
UPRIGHT = np.asarray(Image.open(FOLDER / "upright.png").convert("RGB")).astype(float)


def away(image: np.ndarray) -> float:
    """Root mean square difference from the upright picture."""
    assert image.shape == UPRIGHT.shape
    return float(np.sqrt(np.mean((image - UPRIGHT) ** 2)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_seen_upright_after_compression(codec: Codec, orientation: int) -> None:
    source = read_picture(FOLDER / f"{orientation}.jpg")
    assert exif_orientation(source.exif) == orientation
    # As it lies in the file, not turned on the way in.
    with Image.open(FOLDER / f"{orientation}.jpg") as image:
        np.testing.assert_array_equal(source.samples, np.asarray(image))
    back = codec.decompress(codec.compress(source, quality=95))
    assert back.exif == source.exif
    assert back.samples.shape == source.samples.shape
    for name in ("png", "jpeg", "webp", "tiff"):
        with Image.open(io.BytesIO(encode_picture(back, OUTPUT_FORMATS[name]))) as image:
            seen = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(float)
        assert away(seen) < 20, name
        if orientation > 1:
            assert UPRIGHT.shape != source.samples.shape or away(source.samples.astype(float)) > 50


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stripping_turns_it_upright_once(codec: Codec, orientation: int) -> None:
    stripped = strip_metadata(read_picture(FOLDER / f"{orientation}.jpg"))
    assert stripped.exif is None
    back = codec.decompress(codec.compress(stripped, quality=95))
    assert back.exif is None
    assert away(back.samples.astype(float)) < 20
