"""Photographs without loss: every sample of 8 or 16 bits, hidden ones too, and what lies beside them."""

from __future__ import annotations

import dataclasses
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import vaecodec
from vaecodec.api import Codec, EncodeOptions, Limits, find_codec_for, info
from vaecodec.bitstream.container import ALPHA_IN_TILE, WITHOUT_MODEL, read_container
from vaecodec.errors import DamagedFileError, UsageError
from vaecodec.picture import Density, Picture, PictureRows, read_picture

PNG_SUITE = Path(__file__).parents[1] / "picture" / "pngsuite.zip"


def same(ours: Picture, theirs: Picture) -> None:
    assert ours.samples.dtype == theirs.samples.dtype
    np.testing.assert_array_equal(ours.samples, theirs.samples)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert dataclasses.replace(ours.metadata, notes=()) == dataclasses.replace(theirs.metadata, notes=())


@pytest.mark.parametrize("without_jpeg_xl", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["grey", "RGB", "grey with alpha", "RGB with alpha"])
def test_every_sample_comes_back(
    codec: Codec, photograph: np.ndarray, kind: str, depth: int, without_jpeg_xl: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_jpeg_xl:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    samples = photograph[40:104, 180:276, : 1 if "grey" in kind else 3]
    ramp = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    if depth == 16:
        samples = samples.astype(np.uint16) * 257 - (samples > 3) * np.uint16(77)
        ramp = ramp.astype(np.uint16) * 200
    density = Density(Fraction(300), Fraction(599, 2))
    picture = Picture(
        samples, b"profile", b"II*\0exif", b"<x/>", ramp if "alpha" in kind else None, density, b"<more/>"
    )
    encoded = codec.encode(picture, lossless=True, check=True)
    container = read_container(encoded.data)
    assert container.header.model_id == WITHOUT_MODEL
    assert 1 not in container.features or not without_jpeg_xl
    np.testing.assert_array_equal(encoded.samples, picture.samples)
    same(vaecodec.decompress(encoded.data), picture)
    same(codec.decompress(encoded.data), picture)
    facts = info(encoded.data)
    assert (facts["lossless"], facts["model"], facts["density"]) == (True, None, [300.0, 299.5, "inch"])
    np.testing.assert_array_equal(
        codec.decompress_region(encoded.data, (10, 20, 30, 25)).samples, picture.samples[20:45, 10:40]
    )


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_with_transparency_it_is_no_larger_than_one_library_makes_of_all_channels(
    codec: Codec, photograph: np.ndarray, channels: int, depth: int
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    samples = np.ascontiguousarray(photograph[:256, 100:400, :channels])
    soft = photograph[:256, 100:400].astype(np.float64).mean(axis=2) / 255
    alpha = np.rint(np.clip(1.6 * soft - 0.2, 0, 1) * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    if depth == 16:
        samples = np.rint((samples / 255.0) ** 2.2 * 65535).astype(np.uint16)
    picture = Picture(samples, alpha=alpha)
    data = codec.compress(picture, lossless=True)
    same(codec.decompress(data), picture)
    assert len(data) < 1.005 * len(imagecodecs.jpegxl_encode(np.asarray(picture), lossless=True, effort=7))


def test_small_pictures_are_no_larger_than_one_library_makes_them(codec: Codec) -> None:
    """13 bytes about the picture, less what the library's file repeats of them."""
    imagecodecs = pytest.importorskip("imagecodecs")
    names = ("basn4a16", "basi0g16", "tbwn0g16", "tbbn3p08", "tm3n3p02", "tp1n3p08", "basn6a08", "g10n0g16", "s09n3p02")
    with zipfile.ZipFile(PNG_SUITE) as archive:
        pictures = [read_picture(archive.read(f"{name}.png")) for name in names]
    for bare in [Picture(picture.samples, alpha=picture.alpha) for picture in pictures]:
        planes = np.asarray(bare)
        planes = planes.squeeze(2) if planes.shape[2] == 1 else planes
        least = min(
            len(imagecodecs.jpegxl_encode(planes, lossless=True, effort=7)),
            len(imagecodecs.png_encode(planes, level=9)),
        )
        if bare.bit_depth == 8:
            least = min(least, len(imagecodecs.webp_encode(planes, lossless=True, level=100, method=5)))
        data = codec.compress(bare, lossless=True)
        same(codec.decompress(data), bare)
        assert len(data) <= least


@pytest.mark.parametrize("without_jpeg_xl", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_that_follows_the_samples_lies_in_their_tile(
    codec: Codec, photograph: np.ndarray, depth: int, without_jpeg_xl: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_jpeg_xl:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    samples = photograph[:270, 100:400]
    samples = samples.astype(np.uint16) * 257 - (samples > 3) * np.uint16(77) if depth == 16 else samples
    alpha = samples[:, :, 1].copy()
    alpha[40:60] = 0
    picture = Picture(samples, icc=b"profile", alpha=alpha)
    data = codec.compress(picture, lossless=True, check=True)
    container = read_container(data)
    assert container.alpha == (ALPHA_IN_TILE, b"")
    assert 6 in container.features
    same(codec.decompress(data), picture)
    np.testing.assert_array_equal(codec.decompress_region(data, (10, 20, 30, 25)).alpha, alpha[20:45, 10:40])
    damaged = codec.salvage(data[:-5] + bytes((data[-5] ^ 1,)) + data[-4:])
    assert list(damaged.damaged) == [0]
    assert damaged.picture.alpha is None
    assert (damaged.picture.samples == (128 if depth == 8 else 128 * 257)).all()


def test_the_suite_of_png_comes_back(codec: Codec) -> None:
    with zipfile.ZipFile(PNG_SUITE) as archive:
        names = [name for name in archive.namelist() if name.endswith(".png") and not name.startswith("x")]
        pictures = [read_picture(archive.read(name)) for name in names]
    assert len(pictures) > 150
    for picture in pictures:
        same(codec.decompress(codec.compress(picture, lossless=True)), picture)


def test_large_pictures_come_in_tiles_and_by_rows(
    codec: Codec, monkeypatch: pytest.MonkeyPatch, photograph: np.ndarray
) -> None:
    monkeypatch.setattr("vaecodec.codec.lossless_encoder.DEFAULT_LIMITS", Limits(max_tile_pixels=100_000))
    monkeypatch.setattr("vaecodec.codec.lossless_encoder._LOSSLESS_TILE_EXPONENT", 7)
    monkeypatch.setattr("vaecodec.codec.lossless_encoder._LOSSLESS_EFFORT", {1: 1})
    samples = np.ascontiguousarray(photograph[:300, :400] // 16 * 16)
    whole = codec.compress(Picture(samples), lossless=True, check=True)
    rows = PictureRows(400, 300, 3, 8, iter([samples[:77], samples[77:90], samples[90:]]))
    assert codec.encode_rows(rows, lossless=True, check=True).data == whole
    assert len(read_container(whole).tiles) == 12
    np.testing.assert_array_equal(codec.decompress(whole).samples, samples)
    np.testing.assert_array_equal(np.concatenate(list(codec.decode_rows(whole).blocks)), samples)
    np.testing.assert_array_equal(codec.decompress_region(whole, (100, 90, 150, 120)).samples, samples[90:210, 100:250])


def test_it_excludes_a_quality_and_targets() -> None:
    for other in ({"quality": 50}, {"psnr": 40}):
        with pytest.raises(UsageError, match=r"lossless and .* exclude each other"):
            EncodeOptions(lossless=True).changed(**other)


def test_damage_is_found(codec: Codec, photograph: np.ndarray) -> None:
    for picture in (Picture(photograph[:64, :64]), Picture(photograph[:64, :64], xmp=b"<x/>")):
        data = bytearray(codec.compress(picture, lossless=True))
        data[-5] ^= 1
        with pytest.raises(DamagedFileError):
            codec.decompress(bytes(data))
    assert codec.salvage(bytes(data)).damaged


def test_any_codec_reads_them(photograph: np.ndarray) -> None:
    data = vaecodec.compress(Picture(photograph[:64, :64]), lossless=True)
    np.testing.assert_array_equal(find_codec_for(data).decompress(data).samples, photograph[:64, :64])


def test_more_effort_is_never_larger(codec: Codec, photograph: np.ndarray) -> None:
    crop = Picture(np.ascontiguousarray(photograph[:48, 150:214]))
    assert len(codec.compress(crop, lossless=True, effort=9)) <= len(codec.compress(crop, lossless=True, effort=0))
