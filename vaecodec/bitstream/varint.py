"""Unsigned LEB128 numbers, *varints*: seven bits a byte, lowest first, bit 7 set on every byte but the last.

At most five bytes (values below 2^35), and only the shortest form: each value has exactly one spelling.
"""

from __future__ import annotations

from vaecodec.errors import TruncatedFileError, damaged_file

MAX_BYTES = 5
MAX_VALUE = 2 ** (7 * MAX_BYTES) - 1


def write_varint(value: int) -> bytes:
    """Return ``value`` (0 .. 2^35 − 1) in its shortest form.

    Raises:
        ValueError: the value is negative or does not fit five bytes.
    """
    if not 0 <= value <= MAX_VALUE:
        raise ValueError(f"varint {value} is outside 0..{MAX_VALUE}")
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return the value that starts at byte ``position`` and the position of the byte after it.

    Raises:
        TruncatedFileError: the data end inside the number.
        DamagedFileError: more than five bytes, or not the shortest form.
    """
    value = 0
    for count in range(MAX_BYTES):
        if position + count >= len(data):
            raise TruncatedFileError(f"the file ends inside a number at byte {position}: get the whole file")
        byte = data[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count > 0:
                raise damaged_file(f"the number at byte {position} is not in its shortest form")
            return value, position + count + 1
    raise damaged_file(f"the number at byte {position} has more than {MAX_BYTES} bytes")
