"""Pictures too large for memory: their rows in blocks from the top, read from files and written to files.

::

    TIFF, BigTIFF, .npy ─► PictureRows: size, metadata, blocks of rows ─► tiles …
    … tiles ─► PictureRows ─► PNG, TIFF, .npy

Formats that Pillow decodes come whole: they are limited by Pillow and by memory.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from vaecodec.errors import (
    AnimatedPictureError,
    LimitError,
    MissingExtraError,
    PictureError,
    PictureNotFoundError,
    UnreadablePictureError,
)
from vaecodec.picture.orientation import exif_orientation
from vaecodec.picture.picture import Picture, Samples
from vaecodec.picture.tiff_metadata import exif_from_tiff

DEFAULT_MAX_ROW_PIXELS = 1 << 30
"""One gigapixel: of a picture that is read by rows only some lie in memory."""

LARGE_PIXELS = 1 << 23
"""From this on the commands work by rows where the file allows it; below, a picture in memory is no burden."""
_LARGE_FILE = 1 << 24
"""A TIFF file of fewer bytes may well be small, and is left to Pillow where tifffile is missing."""

NPY_MAGIC = b"\x93NUMPY"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_BLOCK_ROWS = 256
"""Rows read at once where the file does not say."""
_TIFF_TILE = 512
_LARGEST_SEGMENT = 1 << 26
"""Pixels of a tile or strip that are always taken: tiles may be larger than their picture."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_JPEG = 7
_XMP_TAG, _ORIENTATION_TAG = 700, 274
_BYTE, _SHORT = 1, 3


@dataclass(frozen=True)
class PictureRows:
    """A picture that comes in blocks of rows.

    Attributes:
        width: in samples.
        height: in rows.
        channels: 1 grey, 3 RGB.
        bit_depth: 8 or 16.
        blocks: uint8 or uint16 [n, width, channels] from the top, any n; may be gone through once.
        icc: as in `Picture`.
        exif: as in `Picture`.
        xmp: as in `Picture`.
    """

    width: int
    height: int
    channels: int
    bit_depth: int
    blocks: Iterable[Samples]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def alpha(self) -> None:
        """Pictures with transparency do not come by rows."""
        return None

    def picture(self) -> Picture:
        """All rows together."""
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        samples: Samples = np.empty((self.height, self.width, self.channels), dtype)
        top = 0
        for block in self.blocks:
            samples[top : top + len(block)] = block
            top += len(block)
        return Picture(samples, icc=self.icc, exif=self.exif, xmp=self.xmp)


class RowWindow:
    """A window that slides down the blocks of a picture and keeps no more rows than it was asked for."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = iter(blocks)
        self._rows: list[Samples] = []
        self._top = self._bottom = 0

    def take(self, top: int, bottom: int) -> Samples:
        """Rows ``top`` to ``bottom``, [bottom − top, W, C]; ``top`` never goes back up."""
        while self._bottom < bottom:
            block = next(self._blocks)
            self._rows.append(block)
            self._bottom += len(block)
        while self._rows and self._top + len(self._rows[0]) <= top:
            self._top += len(self._rows.pop(0))
        start = self._top
        parts = []
        for block in self._rows:
            part = block[max(0, top - start) : max(0, bottom - start)]
            if len(part):
                parts.append(part)
            start += len(block)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


# --- reading ---------------------------------------------------------------------------------------------------------


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
    path = Path(path)
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        raise PictureNotFoundError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        head = file.read(8) if file.seekable() else b""
        if head.startswith(NPY_MAGIC):
            yield npy_rows(file, str(path), max_pixels)
        elif head.startswith(TIFF_MAGICS) and (_has_tifffile() or path.stat().st_size >= _LARGE_FILE):
            yield tiff_rows(file, str(path), max_pixels, first_frame)
        else:
            yield None


def _has_tifffile() -> bool:
    return importlib.util.find_spec("tifffile") is not None


def is_picture_array(path: str | Path) -> bool:
    """Tells whether a file is ``.npy`` of samples in colour: uint8 or uint16 (H, W, 3)."""
    try:
        with open_rows(path, max_pixels=sys.maxsize) as rows:
            return rows is not None and Path(path).suffix.lower() == ".npy" and rows.channels == 3
    except (PictureError, LimitError, MissingExtraError):
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
    _check_size(width, height, max_pixels, name)
    start = file.tell()
    return PictureRows(
        width, height, channels, 8 * dtype.itemsize, _plain_blocks(file, name, start, (height, width, channels), dtype)
    )


def _plain_blocks(
    file: BinaryIO, name: str, start: int, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Iterator[Samples]:
    height, width, channels = shape
    file.seek(start)
    for top in range(0, height, _BLOCK_ROWS):
        rows = min(_BLOCK_ROWS, height - top)
        data = file.read(rows * width * channels * dtype.itemsize)
        if len(data) != rows * width * channels * dtype.itemsize:
            raise UnreadablePictureError(f"{name}: cut short in row {top} of {height}")
        yield np.frombuffer(data, dtype).reshape(rows, width, channels).astype(dtype.newbyteorder("="), copy=False)


def tiff_rows(file: BinaryIO, name: str, max_pixels: int, first_frame: bool = False) -> PictureRows | None:
    """A TIFF file of grey or RGB samples without alpha; None where it is another.

    Samples are as they lie; the orientation is in ``exif``.

    Raises:
        MissingExtraError: needs the extra ``formats``.
        UnreadablePictureError, AnimatedPictureError, LimitError: as `read_picture`.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: large and deep TIFF files need the packages tifffile and imagecodecs: pip install 'vaecodec[formats]'"
        ) from error
    file.seek(0)
    try:
        tiff = tifffile.TiffFile(file)
        page: Any = tiff.pages[0]
        pages = len(tiff.pages)
        plain = (
            page.bitspersample in (8, 16)
            and page.sampleformat == 1
            and page.planarconfig == 1
            and page.samplesperpixel in (1, 3)
            and not page.extrasamples
            and page.imagedepth == 1
            and (
                page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
                or (page.photometric == _YCBCR and page.compression == _JPEG)
            )
        )
        if not plain:
            return None
        width, height, channels = int(page.imagewidth), int(page.imagelength), int(page.samplesperpixel)
        segment = int(page.tilewidth) * int(page.tilelength) if page.is_tiled else width * int(page.rowsperstrip)
        _check_size(width, height, max_pixels, name)
        if page.is_contiguous:
            dtype = np.dtype(f"{tiff.byteorder}u{page.bitspersample // 8}")
            blocks = _plain_blocks(file, name, page.dataoffsets[0], (height, width, channels), dtype)
        else:
            _check_size(segment, 1, max(max_pixels, _LARGEST_SEGMENT), f"{name}: a tile or strip")
            blocks = _segment_blocks(page, name)
        if page.photometric == _WHITE_IS_ZERO:
            blocks = (~block for block in blocks)
        file.seek(0)
        image = TiffImagePlugin.TiffImageFile(file)
        exif, icc, xmp = exif_from_tiff(image, orientation=True), image.info.get("icc_profile"), image.info.get("xmp")
    except (PictureError, LimitError, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    if pages > 1 and not first_frame:
        raise AnimatedPictureError(
            f"{name}: {pages} frames or pages: ask for the first with --first-frame, or extract one"
        )
    return PictureRows(width, height, channels, int(page.bitspersample), blocks, icc or None, exif, xmp or None)


def _segment_blocks(page: Any, name: str) -> Iterator[Samples]:
    """Rows of tiles, or strips, decoded one after the other."""
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    across = -(-width // page.tilewidth) if page.is_tiled else 1
    block: Samples | None = None
    count = done = 0
    try:
        # One thread, and little read ahead: segments come in order and only some are in memory.
        for segment, (_, _, top, left, _), shape in page.segments(maxworkers=1, buffersize=1 << 22):
            if block is None:
                block = np.zeros((min(rows, height - done), width, channels), page.dtype)
            if segment is not None:
                tall, wide = shape[1], shape[2]
                part = segment.reshape(segment.shape[1:])[: height - top, : width - left]
                block[: min(tall, len(part)), left : left + min(wide, part.shape[1])] = part[: len(block)]
            count += 1
            if count == across:
                yield block
                done += len(block)
                block, count = None, 0
    except (PictureError, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    if done != height:
        raise UnreadablePictureError(f"{name}: cut short in row {done} of {height}")


def _unreadable(name: str, error: Exception) -> UnreadablePictureError:
    return UnreadablePictureError(
        f"{name}: damaged or cut short: {' '.join(str(error).split()) or type(error).__name__}"
    )


def _check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    if width < 1 or height < 1:
        raise UnreadablePictureError(f"{name}: {width} × {height} pixels, not a picture")
    if width * height > max_pixels:
        raise LimitError(
            f"{name}: {width} × {height} pixels, more than the limit of {max_pixels}: scale it down, or raise the limit (max_pixels, --limit)"
        )


# --- writing ---------------------------------------------------------------------------------------------------------

ROW_FORMATS = ("png", "tiff", "npy")
"""What can be written by rows."""


def write_rows(rows: PictureRows, file: BinaryIO, format: str) -> None:
    """Writes a picture row by row as one of ROW_FORMATS.

    PNG keeps all metadata, TIFF all but EXIF (of which it keeps the orientation), ``.npy`` none.

    Raises:
        MissingExtraError: TIFF needs the extra ``formats``.
    """
    {"png": _write_png, "tiff": _write_tiff, "npy": _write_npy}[format](rows, file)


def rows_hold(format: str) -> frozenset[str]:
    """Those of "icc", "exif", "xmp" that `write_rows` keeps."""
    return {"png": frozenset({"icc", "exif", "xmp"}), "tiff": frozenset({"icc", "xmp"}), "npy": frozenset[str]()}[
        format
    ]


def _write_npy(rows: PictureRows, file: BinaryIO) -> None:
    header = {
        "descr": f"<u{rows.bit_depth // 8}" if rows.bit_depth > 8 else "|u1",
        "fortran_order": False,
        "shape": (rows.height, rows.width, rows.channels),
    }
    np.lib.format.write_array_header_1_0(file, header)
    file.writelines(np.ascontiguousarray(block, dtype=np.dtype(str(header["descr"]))).data for block in rows.blocks)


def _write_tiff(rows: PictureRows, file: BinaryIO) -> None:
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError("large and deep TIFF needs tifffile: pip install 'vaecodec[formats]'") from error
    tags: list[tuple[int, int, int, Any, bool]] = []
    if rows.xmp is not None:
        tags.append((_XMP_TAG, _BYTE, len(rows.xmp), rows.xmp, True))
    orientation = exif_orientation(rows.exif)
    if orientation != 1:
        tags.append((_ORIENTATION_TAG, _SHORT, 1, orientation, True))

    def tiles() -> Iterator[npt.NDArray[Any]]:
        window = RowWindow(rows.blocks)
        for top in range(0, rows.height, _TIFF_TILE):
            band = window.take(top, min(rows.height, top + _TIFF_TILE))
            for left in range(0, rows.width, _TIFF_TILE):
                part = band[:, left : left + _TIFF_TILE]
                tall, wide = part.shape[:2]
                tile = np.pad(part, ((0, _TIFF_TILE - tall), (0, _TIFF_TILE - wide), (0, 0)))
                yield tile if rows.channels == 3 else tile[:, :, 0]

    size = rows.width * rows.height * rows.channels * rows.bit_depth // 8
    with tifffile.TiffWriter(file, bigtiff=size > 2**32 - 2**25) as writer:
        writer.write(
            tiles(),
            shape=(rows.height, rows.width, 3) if rows.channels == 3 else (rows.height, rows.width),
            dtype=f"u{rows.bit_depth // 8}",
            tile=(_TIFF_TILE, _TIFF_TILE),
            photometric="rgb" if rows.channels == 3 else "minisblack",
            iccprofile=rows.icc,
            extratags=tags,
            metadata=None,
            software=False,
        )


def _write_png(rows: PictureRows, file: BinaryIO) -> None:
    from vaecodec.picture.png_rows import write_png

    write_png(
        file, rows.width, rows.height, rows.bit_depth, rows.blocks, channels=rows.channels,
        icc=rows.icc, exif=rows.exif, xmp=rows.xmp,
    )  # fmt: skip
