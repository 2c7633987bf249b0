"""Packed metadata: a flag, then the bytes or one zlib stream of them, whichever is smaller."""

from __future__ import annotations

import zlib

from vaecodec.bitstream.header import Limits
from vaecodec.errors import LimitError, damaged_file


def pack(metadata: bytes) -> bytes:
    """The payload of a section."""
    deflated = zlib.compress(metadata, 9)
    return b"\x01" + deflated if len(deflated) < len(metadata) else b"\x00" + metadata


def unpack(payload: memoryview, name: str, limits: Limits) -> bytes:
    """The inverse, for bytes from anywhere; ``name`` is the section's, for messages.

    Raises:
        DamagedFileError: neither stored nor exactly one zlib stream.
        LimitError: more than the limits allow; no more than that is inflated.
    """
    if len(payload) == 0 or payload[0] > 1:
        raise damaged_file(f"the {name} is neither stored nor deflated")
    body = payload[1:]
    if payload[0] == 0:
        check_metadata_size(name, len(body), limits)
        return bytes(body)
    inflater = zlib.decompressobj()
    try:
        metadata = inflater.decompress(body, limits.max_metadata + 1)
    except zlib.error:
        raise damaged_file(f"the {name} cannot be inflated") from None
    check_metadata_size(name, len(metadata), limits)
    if not inflater.eof or inflater.unused_data:
        raise damaged_file(f"the {name} is not exactly one zlib stream")
    return metadata


def check_metadata_size(name: str, size: int, limits: Limits) -> None:
    """Raises LimitError for more than the limits allow."""
    if size > limits.max_metadata:
        raise LimitError(
            f"the {name} takes more than the limit of {limits.max_metadata} bytes: this file cannot be read here"
        )
