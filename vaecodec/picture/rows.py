"""Pictures too large for memory, read from files and written to files by rows.

::

    TIFF, BigTIFF, .npy ─► PictureRows: size, metadata, blocks of rows ─► tiles …
    … tiles ─► PictureRows ─► PNG, TIFF, .npy

Formats that Pillow decodes come whole: they are limited by Pillow and by memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vaecodec.errors import (
    LimitError,
    MissingExtraError,
    PictureError,
    UnreadablePictureError,
)
from vaecodec.picture.picture_rows import PictureRows, check_size, plain_blocks
from vaecodec.picture.png_rows import write_png
from vaecodec.picture.tiff_write import write_tiff
from vaecodec.sources import opened

DEFAULT_MAX_ROW_PIXELS = 1 << 30
"""One gigapixel: of a picture that is read by rows only some lie in memory."""

LARGE_PIXELS = 1 << 23
"""From this on the commands work by rows where the file allows it; below, a picture in memory is no burden."""
_LARGE_FILE = 1 << 24
"""A TIFF file of fewer bytes may well be small, and is left to Pillow where tifffile is missing."""

NPY_MAGIC = b"\x93NUMPY"


@contextmanager
def open_rows(
    path: str | Path, *, max_pixels: int = DEFAULT_MAX_ROW_PIXELS, first_frame: bool = False
) -> Iterator[PictureRows | None]:
    """Opens a picture to be read by rows: TIFF, BigTIFF or ``.npy`` of grey or RGB samples of 8 or 16 bits.

    Yields:
        None where the file is of another kind, which may be readable as a whole.

    Raises:
        PictureNotFoundError, UnreadablePictureError, AnimatedPictureError, LimitError: as `read_picture`.
        MissingExtraError: a TIFF file needs the extra ``formats``.
    """
    from vaecodec.picture.tiff_read import TIFF_MAGICS, has_tifffile, tiff_rows

    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        # A pipe can be opened once only, and waits for its writer.
        yield None
        return
    with opened(path) as file:
        head = file.read(8) if file.seekable() else b""
        if head.startswith(NPY_MAGIC):
            yield npy_rows(file, str(path), max_pixels)
        elif head.startswith(TIFF_MAGICS) and (has_tifffile() or path.stat().st_size >= _LARGE_FILE):
            yield tiff_rows(file, str(path), max_pixels, first_frame)
        else:
            yield None


def is_picture_array(path: str | Path) -> bool:
    """Tells whether a file is ``.npy`` of samples in colour: uint8 or uint16 (H, W, 3)."""
    try:
        with open_rows(path, max_pixels=sys.maxsize) as rows:
            return rows is not None and Path(path).suffix.lower() == ".npy" and rows.channels == 3
    except (PictureError, LimitError, MissingExtraError, OSError):
        return False


def npy_rows(file: BinaryIO, name: str, max_pixels: int) -> PictureRows | None:
    """An array file of uint8 or uint16 (H, W), (H, W, 1) or (H, W, 3); None where it is another, such as with alpha."""
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
    except (ValueError, EOFError) as error:
        raise UnreadablePictureError(f"{name}: not an array file, or damaged") from error
    if len(shape) == 2:
        shape = (*shape, 1)
    if fortran or len(shape) != 3 or shape[2] not in (1, 3) or dtype not in (np.dtype("u1"), np.dtype("u2")):
        return None
    height, width, channels = shape
    check_size(width, height, max_pixels, name)
    start = file.tell()
    return PictureRows(
        width, height, channels, 8 * dtype.itemsize, plain_blocks(file, name, start, (height, width, channels), dtype)
    )


ROW_FORMATS = ("png", "tiff", "npy")
"""What can be written by rows."""


def write_rows(rows: PictureRows, file: BinaryIO, format: str) -> None:
    """Writes a picture row by row as one of ROW_FORMATS.

    PNG and TIFF keep all metadata that they have places for, ``.npy`` none; `lost_metadata` names the others.
    """
    {"png": _write_png, "tiff": _write_tiff, "npy": _write_npy}[format](rows, file)


def rows_hold(format: str) -> frozenset[str]:
    """Those of "icc", "exif", "xmp" that `write_rows` keeps."""
    return frozenset[str]() if format == "npy" else frozenset({"icc", "exif", "xmp"})


def _write_npy(rows: PictureRows, file: BinaryIO) -> None:
    header = {
        "descr": f"<u{rows.bit_depth // 8}" if rows.bit_depth > 8 else "|u1",
        "fortran_order": False,
        "shape": (rows.height, rows.width, rows.channels),
    }
    np.lib.format.write_array_header_1_0(file, header)
    file.writelines(np.ascontiguousarray(block, dtype=np.dtype(str(header["descr"]))).data for block in rows.blocks)


def _write_tiff(rows: PictureRows, file: BinaryIO) -> None:
    write_tiff(
        file, rows.width, rows.height, rows.bit_depth, rows.blocks, channels=rows.channels, metadata=rows.metadata
    )


def _write_png(rows: PictureRows, file: BinaryIO) -> None:
    write_png(
        file, rows.width, rows.height, rows.bit_depth, rows.blocks, channels=rows.channels,
        metadata=rows.metadata,
    )  # fmt: skip
