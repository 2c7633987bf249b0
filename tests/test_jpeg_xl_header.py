"""The header of a JPEG XL codestream, read without its library."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from vaecodec.jpeg_xl_header import LONGEST_HEADER, read_jpeg_xl_header


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (256, 256), (8, 7), (720, 1280), (300, 400), (1, 20000), (70000, 3)])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_size_and_bits_are_read_from_the_first_bytes(size: tuple[int, int], bits: int) -> None:
    options = {} if bits == 8 else {"bitspersample": bits}
    data = bytes(imagecodecs.jpegxl_encode(np.zeros(size, np.uint8), lossless=True, effort=1, **options))
    assert read_jpeg_xl_header(data) == read_jpeg_xl_header(data[:LONGEST_HEADER]) == (*size[::-1], bits)


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_8_bits(bits: int) -> None:
    data = bytes(
        imagecodecs.jpegxl_encode(np.zeros((9, 7), np.uint16), lossless=True, bitspersample=bits, usecontainer=False)
    )
    assert read_jpeg_xl_header(data) == (7, 9, bits)


def packed(*fields: tuple[int, int]) -> bytes:
    """A codestream of values and how many bits each takes."""
    value = place = 0
    for number, bits in fields:
        value |= number << place
        place += bits
    return b"\xff\x0a" + value.to_bytes(-(-place // 8), "little")


LARGEST = ((0, 1), (3, 2), (2**30 - 1, 30), (0, 3), (3, 2), (2**30 - 1, 30))


def test_the_longest_header_fits() -> None:
    data = packed(*LARGEST, (0, 1), (1, 1), (7, 3), (0, 3), (0, 1), (3, 2), (31, 6))
    assert len(data) == LONGEST_HEADER
    assert read_jpeg_xl_header(data) == (2**30, 2**30, 32)


def test_what_no_file_of_ours_has_is_of_no_known_depth() -> None:
    for field in ((1, 3), (2, 3), (4, 3)):
        assert read_jpeg_xl_header(packed(*LARGEST, (0, 1), (1, 1), (0, 3), field, (0, 9))) == (2**30, 2**30, None)
    assert read_jpeg_xl_header(packed(*LARGEST, (0, 1), (0, 1), (1, 1), (0, 9))) == (2**30, 2**30, None)


def test_others_and_cut_ones_are_none() -> None:
    data = packed(*LARGEST, (1, 1))
    assert read_jpeg_xl_header(data) == (2**30, 2**30, 8)
    for end in range(len(data)):
        assert read_jpeg_xl_header(data[:end]) is None
    assert read_jpeg_xl_header(b"\x89PNG\r\n\x1a\n" + bytes(20)) is None
