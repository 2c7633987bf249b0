"""PngSuite by Willem van Schaik, whole (his licence is in the archive): every file works, or gets its one line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from vaecodec.api import Codec
from vaecodec.errors import PictureError
from vaecodec.picture import Picture, read_picture

with zipfile.ZipFile(Path(__file__).parent / "pngsuite.zip") as archive:
    SUITE = {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}

# Only the checksum of its samples is wrong, which Pillow does not look at; zlib's own is right.
SAMPLES_SOUND = {"xcsn0g01.png"}
BROKEN = {name for name in SUITE if name.startswith("x")} - SAMPLES_SOUND


def rgba(planes: np.ndarray) -> np.ndarray:
    """Any of grey, grey and alpha, RGB, RGBA -> RGBA, of the same depth; colour under alpha 0 is 0."""
    if planes.ndim == 2:
        planes = planes[:, :, np.newaxis]
    channels = planes.shape[2]
    alpha = planes[:, :, -1:] if channels in (2, 4) else np.full_like(planes[:, :, :1], np.iinfo(planes.dtype).max)
    colour = np.broadcast_to(planes[:, :, : 3 if channels > 2 else 1], (*planes.shape[:2], 3))
    return np.concatenate([np.where(alpha == 0, 0, colour), alpha], axis=2)


def test_the_suite_is_whole() -> None:
    assert len(SUITE) == 175
    assert len(BROKEN) == 13


@pytest.mark.parametrize("name", sorted(set(SUITE) - BROKEN - SAMPLES_SOUND))
def test_sound_files_are_read_as_libpng_reads_them(name: str) -> None:
    picture = read_picture(SUITE[name])
    expected = imagecodecs.png_decode(SUITE[name])
    assert (picture.bit_depth == 16) == (expected.dtype == np.uint16)
    np.testing.assert_array_equal(rgba(np.asarray(picture)), rgba(expected))


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_others_get_one_line(name: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_picture(SUITE[name])
    assert "\n" not in str(caught.value)


def test_all_of_them_go_through_the_codec(codec: Codec) -> None:
    errors = []
    for name in sorted(set(SUITE) - BROKEN):
        picture = read_picture(SUITE[name])
        back = codec.decompress(codec.compress(picture, quality=90, check=True))
        assert back.samples.shape == picture.samples.shape, name
        assert back.samples.dtype == picture.samples.dtype, name
        if picture.alpha is None:
            assert back.alpha is None, name
        else:
            assert back.alpha is not None, name
            np.testing.assert_array_equal(back.alpha, picture.alpha, name)
        assert (back.icc, back.exif, back.xmp) == (picture.icc, picture.exif, picture.xmp), name
        error = visible(back) - visible(picture)
        errors.append(float(np.sqrt(np.mean(error**2))))
    # Of test patterns: some have nothing that a photograph has.
    assert np.median(errors) < 4
    assert np.quantile(errors, 0.9) < 13


def visible(picture: Picture) -> np.ndarray:
    """In 0..255, nothing where nothing is seen."""
    samples = picture.samples / (1 if picture.bit_depth == 8 else 257)
    return samples if picture.alpha is None else samples * (picture.alpha > 0)[:, :, np.newaxis]
