"""Samples as files of well-kept libraries, bit for bit, of 8 and 16 bits; and what is no such file is refused before it is decoded."""

from __future__ import annotations

import sys

import imagecodecs
import numpy as np
import pytest

from vaecodec.errors import DamagedFileError, MissingExtraError, VaecodecError
from vaecodec.jpeg_xl_header import read_jpeg_xl_header
from vaecodec.picture.lossless import LosslessPlanes, decode_lossless, encode_lossless, encode_smallest

RNG = np.random.default_rng(7)


def smooth(height: int, width: int, channels: int, dtype: type) -> np.ndarray:
    top = np.iinfo(dtype).max
    ramp = np.add.outer(np.linspace(0, 0.6, height), np.linspace(0, 0.3, width))[:, :, np.newaxis]
    noise = RNG.random((height, width, channels)) * 0.02
    return ((ramp + noise) * top).astype(dtype)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 48), (1, 17000), (90, 70)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("without_jpeg_xl", [False, True])
def test_samples_come_back(
    size: tuple[int, int], channels: int, dtype: type, without_jpeg_xl: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = smooth(*size, channels, dtype)
    if without_jpeg_xl:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for planes in (encode_lossless(samples), encode_smallest(samples)):
        assert not (without_jpeg_xl and planes.kind == "JXL")
        back = decode_lossless(planes, size[1], size[0], channels, "it", bit_depth=8 * samples.itemsize)
        assert back.dtype == samples.dtype
        np.testing.assert_array_equal(back, samples)


def test_the_smallest_is_no_larger_than_any(photograph: np.ndarray) -> None:
    for samples in (
        photograph[:128, :128],
        photograph[:128, :128].astype(np.uint16) * 257,
        np.zeros((64, 64, 3), np.uint8),
    ):
        size = len(encode_smallest(np.ascontiguousarray(samples)).data)
        assert size <= len(imagecodecs.jpegxl_encode(samples, lossless=True, effort=7))
        assert size <= len(imagecodecs.png_encode(samples, level=9))
        if samples.dtype == np.uint8:
            assert size <= len(imagecodecs.webp_encode(samples, lossless=True, level=100, method=6)) * 1.005


def levels(count: int, size: tuple[int, int]) -> np.ndarray:
    return (RNG.integers(0, count, (*size, 1)) * (255 // (count - 1))).astype(np.uint8)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_greys_of_few_levels_take_fewer_bits_per_sample(count: int) -> None:
    for samples in (levels(count, (32, 32)), np.zeros((32, 32, 1), np.uint8), levels(count, (1, 1))):
        planes = encode_smallest(samples)
        np.testing.assert_array_equal(decode_lossless(planes, *samples.shape[1::-1], 1, "it"), samples)
    samples = levels(count, (32, 32))
    planes = encode_smallest(samples)
    header = read_jpeg_xl_header(planes.data)
    assert header == (32, 32, {2: 1, 4: 2, 16: 4}[count])
    assert len(planes.data) < len(imagecodecs.jpegxl_encode(samples[:, :, 0], lossless=True, effort=10))


@pytest.mark.parametrize(
    ("bits", "channels", "depth"), [(3, 1, 8), (5, 1, 8), (7, 1, 8), (1, 3, 8), (4, 3, 8), (12, 1, 16)]
)
def test_other_numbers_of_bits_are_damage(bits: int, channels: int, depth: int) -> None:
    samples = np.ones((20, 30, channels), np.uint8 if depth == 8 else np.uint16).squeeze()
    data = bytes(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=bits, usecontainer=False))
    with pytest.raises(DamagedFileError):
        decode_lossless(LosslessPlanes("JXL", data), 30, 20, channels, "it", bit_depth=depth)


def test_a_library_that_makes_8_bits_of_fewer_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = levels(4, (20, 30))
    planes, decode = encode_smallest(samples), imagecodecs.jpegxl_decode
    monkeypatch.setattr(imagecodecs, "jpegxl_decode", lambda data: decode(data) * np.uint8(85))
    np.testing.assert_array_equal(decode_lossless(planes, 30, 20, 1, "it"), samples)


def test_other_sizes_depths_and_kinds_are_damage() -> None:
    eight, sixteen = smooth(20, 30, 3, np.uint8), smooth(20, 30, 3, np.uint16)
    files = [encode_smallest(eight), encode_smallest(sixteen), encode_lossless(eight), encode_lossless(sixteen)]
    depths = [8, 16, 8, 16]
    for planes, depth in zip(files, depths, strict=True):
        for width, height, channels, bits in ((31, 20, 3, depth), (30, 21, 3, depth), (30, 20, 3, 24 - depth)):
            with pytest.raises(DamagedFileError):
                decode_lossless(planes, width, height, channels, "it", bit_depth=bits)
    with pytest.raises(DamagedFileError):
        decode_lossless(LosslessPlanes("WEBP", files[2].data), 30, 20, 3, "it", bit_depth=16)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damage_is_an_error_of_ours(dtype: type) -> None:
    samples = smooth(24, 40, 3, dtype)
    for planes in (encode_smallest(samples), encode_lossless(samples)):
        for _ in range(40):
            bad = bytearray(planes.data)
            for at in RNG.integers(0, len(bad), 3):
                bad[at] = RNG.integers(256)
            try:
                back = decode_lossless(
                    LosslessPlanes(planes.kind, bytes(bad)), 40, 24, 3, "it", bit_depth=8 * samples.itemsize
                )
                assert back.shape == samples.shape
            except VaecodecError as error:
                assert "\n" not in str(error)


def test_without_its_library_jpeg_xl_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = LosslessPlanes("JXL", bytes(imagecodecs.jpegxl_encode(np.zeros((8, 8), np.uint8), lossless=True)))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        decode_lossless(planes, 8, 8, 1, "it")
