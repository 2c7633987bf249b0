"""The EXIF orientation tag, read without trusting the block it lies in, and what it does to samples."""

from __future__ import annotations

import struct

import numpy as np

from vaecodec.picture.picture import Samples

ORIENTATION_TAG = 0x0112
_SHORT = 3


def exif_orientation(exif: bytes | None) -> int:
    """Reads the orientation from an EXIF block.

    Args:
        exif: the block from its TIFF header on, or None.

    Returns:
        1..8 as in the EXIF standard (2.32, 4.6.4 A). 1, "as it lies", where the tag is absent, impossible, or the block is broken.
    """
    found = _find(exif)
    return 1 if found is None else found[1]


def upright_exif(exif: bytes | None) -> bytes | None:
    """The same block with its orientation set to 1: for samples that a decoder has turned upright."""
    found = _find(exif)
    if exif is None or found is None:
        return exif
    at, _ = found
    return exif[:at] + struct.pack("<H" if exif[:2] == b"II" else ">H", 1) + exif[at + 2 :]


def _find(exif: bytes | None) -> tuple[int, int] | None:
    """Where the value of the orientation lies in a block, and the value; None where there is no possible one."""
    if exif is None or exif[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == ORIENTATION_TAG:
                return (entry + 8, int(value)) if kind == _SHORT and 1 <= value <= 8 else None
    except struct.error:
        return None
    return None


def apply_orientation(samples: Samples, orientation: int) -> Samples:
    """Turns and mirrors samples so that they lie as they are to be seen.

    Args:
        samples: uint8 [H, W, C].
        orientation: 1..8 as in EXIF.

    Returns:
        uint8 [H, W, C] for 1..4, [W, H, C] for 5..8, contiguous.
    """
    if orientation >= 5:
        samples = samples.transpose(1, 0, 2)
    # After the transposition 5, 6, 7, 8 want what 1, 2, 3, 4 want: nothing, mirror, half turn, flip.
    match (orientation - 1) % 4:
        case 1:
            samples = samples[:, ::-1]
        case 2:
            samples = samples[::-1, ::-1]
        case 3:
            samples = samples[::-1]
    return np.ascontiguousarray(samples)
