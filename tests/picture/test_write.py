from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from vaecodec.errors import OutputExistsError, UsageError
from vaecodec.picture import (
    OUTPUT_FORMATS,
    Picture,
    encode_picture,
    lost_metadata,
    output_format,
    read_picture,
    write_picture,
)
from vaecodec.picture.png_rows import png_strategy

RGB = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta \xff not even text/>"
FULL = Picture(RGB, icc=ICC, exif=EXIF, xmp=XMP)


@pytest.mark.parametrize("name", [name for name, output in OUTPUT_FORMATS.items() if output.lossless])
@pytest.mark.parametrize("samples", [RGB, RGB[:, :, :1]])
def test_lossless_formats_keep_the_samples(name: str, samples: np.ndarray) -> None:
    data = encode_picture(Picture(samples), OUTPUT_FORMATS[name])
    back = read_picture(data).samples
    # Some formats know colour only.
    np.testing.assert_array_equal(back, np.broadcast_to(samples, back.shape))


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_metadata_is_written_byte_for_byte(name: str) -> None:
    back = read_picture(encode_picture(FULL, OUTPUT_FORMATS[name]))
    assert (back.icc, back.exif, back.xmp) == (ICC, EXIF, XMP)


def test_tiff_keeps_orientation_profile_and_xmp() -> None:
    with Image.open(io.BytesIO(encode_picture(FULL, OUTPUT_FORMATS["tiff"]))) as image:
        assert image.tag_v2[0x0112] == 6  # type: ignore[attr-defined]
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP


def test_exif_of_a_camera_goes_through_tiff() -> None:
    tags = Image.Exif()
    tags[271] = "Maker"
    tags[0x8769] = {0x829A: (1, 250), 0x9003: "2026:01:02 03:04:05"}
    picture = Picture(RGB, exif=tags.tobytes().removeprefix(b"Exif\0\0"))
    back = read_picture(encode_picture(picture, OUTPUT_FORMATS["tiff"])).exif
    assert back is not None
    read = Image.Exif()
    read.load(back)
    assert read[271] == "Maker"
    assert read.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"


def test_what_a_format_cannot_hold_is_named() -> None:
    assert lost_metadata(FULL, OUTPUT_FORMATS["png"]) == ()
    assert lost_metadata(FULL, OUTPUT_FORMATS["bmp"]) == ("icc", "exif", "xmp")
    assert lost_metadata(Picture(RGB, exif=EXIF), OUTPUT_FORMATS["ppm"]) == ("exif",)


def test_the_format_follows_from_the_name() -> None:
    assert output_format("a.JPG").name == "jpeg"
    assert output_format("a.tif").name == "tiff"
    assert output_format("a").name == "png"
    assert output_format("a.jpg", "webp").name == "webp"
    assert output_format(None, "TIF").name == "tiff"
    with pytest.raises(UsageError, match=r"a\.doc"):
        output_format("a.doc")
    with pytest.raises(UsageError, match="'doc'"):
        output_format(None, "doc")


def test_a_picture_is_written_to_a_path_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    write_picture(FULL, path)
    assert path.read_bytes()[:2] == b"BM"
    with pytest.raises(OutputExistsError):
        write_picture(FULL, path)
    write_picture(FULL, path, "png", overwrite=True)
    assert path.read_bytes()[1:4] == b"PNG"
    buffer = io.BytesIO()
    write_picture(FULL, buffer)
    assert buffer.getvalue()[1:4] == b"PNG"


def test_a_picture_that_does_not_fit_the_format_is_refused() -> None:
    with pytest.raises(UsageError, match="use png"):
        encode_picture(Picture(np.zeros((1, 16384, 3), np.uint8)), OUTPUT_FORMATS["webp"])


def test_metadata_that_are_too_large_for_a_format_are_left_out_and_named() -> None:
    large = Picture(RGB, exif=EXIF + bytes(70_000), xmp=bytes(70_000))
    assert lost_metadata(large, OUTPUT_FORMATS["jpeg"]) == ("exif", "xmp")
    back = read_picture(encode_picture(large, OUTPUT_FORMATS["jpeg"]))
    assert (back.exif, back.xmp) == (None, None)


def rendered_text() -> np.ndarray:
    """uint8 [256, 384, 3]."""
    image = Image.new("RGB", (384, 256), "white")
    for top in range(2, 250, 12):
        ImageDraw.Draw(image).text((4, top), "vaecodec compresses photographs, and pages as well", "black")
    return np.asarray(image)


@pytest.mark.parametrize("wide", [False, True])
def test_a_png_of_a_photograph_is_written_without_a_search_for_repetitions(photograph: np.ndarray, wide: bool) -> None:
    samples = photograph[::2, ::2]
    if wide:
        samples = samples * np.uint16(256) + np.random.default_rng(0).integers(0, 256, samples.shape, np.uint16)
    assert png_strategy(samples) == zlib.Z_RLE
    written = encode_picture(Picture(samples), OUTPUT_FORMATS["png"])
    np.testing.assert_array_equal(read_picture(written).samples, samples)


@pytest.mark.parametrize(
    "samples", [rendered_text(), np.full((40, 50, 1), 7, np.uint8), np.zeros((30, 1, 3), np.uint8)]
)
def test_a_png_of_text_or_flat_colour_is_as_small_as_the_search_makes_it(samples: np.ndarray) -> None:
    assert png_strategy(samples) == zlib.Z_DEFAULT_STRATEGY
    searched = io.BytesIO()
    Image.fromarray(samples.squeeze(2) if samples.shape[2] == 1 else samples).save(searched, "PNG", compress_level=3)
    written = encode_picture(Picture(samples), OUTPUT_FORMATS["png"])
    assert len(written) <= len(searched.getvalue())
    np.testing.assert_array_equal(read_picture(written).samples, samples)
