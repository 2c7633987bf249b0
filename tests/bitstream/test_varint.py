from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaecodec.bitstream.varint import MAX_VALUE, read_varint, write_varint
from vaecodec.errors import DamagedFileError, TruncatedFileError


@given(st.integers(0, MAX_VALUE), st.binary(max_size=3))
def test_what_is_written_is_read_wherever_it_lies(value: int, before: bytes) -> None:
    written = write_varint(value)
    assert read_varint(before + written + b"\xff", len(before)) == (value, len(before) + len(written))


@pytest.mark.parametrize(
    ("value", "written"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (MAX_VALUE, "ffffffff7f")]
)
def test_known_values_have_the_bytes_of_leb128(value: int, written: str) -> None:
    assert write_varint(value).hex() == written


@pytest.mark.parametrize("spelling", ["8000", "ff00", "80808000"])
def test_a_spelling_that_is_not_the_shortest_is_damage(spelling: str) -> None:
    with pytest.raises(DamagedFileError, match="shortest"):
        read_varint(bytes.fromhex(spelling), 0)


@pytest.mark.parametrize("spelling", ["808080808001", "ffffffffff"])
def test_more_than_five_bytes_are_damage(spelling: str) -> None:
    with pytest.raises(DamagedFileError, match="more than 5 bytes"):
        read_varint(bytes.fromhex(spelling), 0)


@pytest.mark.parametrize("spelling", ["", "80", "ffffffff"])
def test_a_number_that_is_cut_off_is_truncation(spelling: str) -> None:
    with pytest.raises(TruncatedFileError):
        read_varint(bytes.fromhex(spelling), 0)


@pytest.mark.parametrize("value", [-1, MAX_VALUE + 1])
def test_a_value_that_does_not_fit_is_not_written(value: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        write_varint(value)
