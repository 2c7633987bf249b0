"""Reads TIFF and BigTIFF: by rows where the samples are plain, by Pillow where it is right, by tifffile in all other cases.

::

    directories ─► depth, kind, pages ─┬─► 8 bits or fewer: Pillow, samples as they lie ─┐
                                       └─► what it refuses, and more bits: tifffile ─────┴─► samples, alpha
"""

from __future__ import annotations

import importlib.util
import io
import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from vaecodec.errors import (
    AnimatedPictureError,
    LimitError,
    MissingExtraError,
    PictureError,
    UnreadablePictureError,
    UnsupportedPictureError,
)
from vaecodec.picture.colour import INKS_CONVERTED, to_srgb
from vaecodec.picture.picture import Planes, Samples
from vaecodec.picture.picture_rows import PictureRows, check_size, plain_blocks
from vaecodec.picture.recognise import CAMERA_RAW, is_camera_raw
from vaecodec.picture.tiff_directories import Directories, read_directories
from vaecodec.picture.tiff_metadata import ICC_TAG, tiff_metadata
from vaecodec.picture.wide_numbers import DIVIDED, rounded_to_8_bit, scaled, sixteen_bits, straight

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_NEW_SUBFILE_TYPE, _BITS, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 254, 258, 338, 339
_SMALLER_COPY, _MASK = 1, 4
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG_COMPRESSIONS = (7, 33007)
_UNCOMPRESSED = 1
_LARGEST_SEGMENT = 1 << 26
"""Pixels of a tile or strip that are always taken: tiles may be larger than their picture."""
_MOST_SAMPLES = 16
"""Samples per pixel; more is a measurement, not a picture."""
_PREMULTIPLIED, _STRAIGHT = 1, 2


class TiffAsItLies(TiffImagePlugin.TiffImageFile):
    """Pillow's reader without what it does to the loaded picture: it turns it, and stumbles over odd tags on the way."""

    def load_end(self) -> None:
        """Undoes what was announced: the orientation stays in EXIF."""
        self._size = self.im.size


def check_pages(found: Directories, name: str, first_frame: bool) -> tuple[str, ...]:
    """Refuses several pages, unless the first is asked for; smaller copies and masks are a note.

    Raises:
        AnimatedPictureError: several pages.
    """
    kinds = [(found.numbers(_NEW_SUBFILE_TYPE, page) or (0,))[0] for page in range(len(found.pages))]
    beside = [kind for kind in kinds[1:] if kind & (_SMALLER_COPY | _MASK)]
    pages = len(kinds) - len(beside)
    if pages > 1 and not first_frame:
        raise AnimatedPictureError(f"{name}: {pages} frames or pages: ask for the first, or extract one")
    return ("smaller copies or masks beside it are not kept",) if beside else ()


def is_shallow(found: Directories) -> bool:
    """Whether all samples of the first page are whole numbers of 8 bits or fewer, colours or alpha: Pillow reads those without loss."""
    bits = found.numbers(_BITS) or (1,)
    formats = found.numbers(_SAMPLE_FORMAT) or (1,)
    return (
        max(bits) <= 8 and set(formats) <= {1, 4} and set(found.numbers(_EXTRA_SAMPLES)) <= {_PREMULTIPLIED, _STRAIGHT}
    )


def has_tifffile() -> bool:
    """Whether the package that reads all other TIFF files is here."""
    return importlib.util.find_spec("tifffile") is not None


def _tifffile(name: str) -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: large, 16-bit and rare TIFF files need the packages tifffile and imagecodecs: pip install 'vaecodec[formats]'"
        ) from error
    # It logs what is odd about tags; without a handler Python would print that.
    logger = logging.getLogger("tifffile")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return tifffile


def tiff_planes(file: BinaryIO, name: str, max_pixels: int, page_number: int = 0) -> Planes:
    """The samples of one page of any kind that tifffile decodes.

    Raises:
        MissingExtraError: needs the extra ``formats``.
        UnreadablePictureError, UnsupportedPictureError, LimitError: as `read_picture`.
    """
    tifffile = _tifffile(name)
    file.seek(0)
    try:
        page: Any = tifffile.TiffFile(file).pages[page_number]
        width, height, samples = int(page.imagewidth), int(page.imagelength), int(page.samplesperpixel)
        check_size(width, height, max_pixels, name)
        if samples > _MOST_SAMPLES or page.imagedepth != 1:
            raise UnsupportedPictureError(f"{name}: {samples} samples per pixel are no picture: choose three of them")
        segment = int(page.tilewidth) * int(page.tilelength) if page.is_tiled else 1
        check_size(segment, 1, max(max_pixels, _LARGEST_SEGMENT), f"{name}: a tile")
        _check_segments(page, file, name)
        decoded = page.asarray()
        planes = decoded.reshape(samples, height, width) if page.planarconfig == 2 else None
        planes = decoded.reshape(height, width, samples) if planes is None else np.moveaxis(planes, 0, -1)
        return _planes_of(page, planes, name)
    except (PictureError, LimitError, MemoryError, MissingExtraError):
        raise
    except Exception as error:
        raise unreadable(name, error) from error


def _check_segments(page: Any, file: BinaryIO, name: str) -> None:
    """Refuses a page of which a compressed strip or tile is not all there: decoders fill in what they miss, without a word."""
    size = file.seek(0, io.SEEK_END)
    ends = (at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=False) if count)
    if page.compression != _UNCOMPRESSED and max(ends, default=0) > size:
        raise UnreadablePictureError(f"{name}: damaged or cut short: its samples end after the file")


def _planes_of(page: Any, planes: npt.NDArray[Any], name: str) -> Planes:
    colours = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _PALETTE: 1, _RGB: 3, _INKS: 4}.get(int(page.photometric))
    if int(page.photometric) == _YCBCR and int(page.compression) in _JPEG_COMPRESSIONS:
        colours = 3
    if colours is None or planes.shape[2] < colours:
        kind = getattr(page.photometric, "name", page.photometric)
        raise UnsupportedPictureError(f"{name}: colours of the kind {kind} are not supported: convert it to RGB first")
    bits, notes = int(page.bitspersample), tuple[str, ...]()
    if planes.dtype == bool:
        planes, bits = planes.astype(np.uint8), 1
    colour, rest = planes[:, :, :colours], planes[:, :, colours:]
    kinds = [int(kind) for kind in page.extrasamples]
    at = next((i for i, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _STRAIGHT)), None)
    if planes.shape[2] - colours - (at is not None) > 0:
        notes = (f"{planes.shape[2] - colours - (at is not None)} extra channels are not kept",)
    alpha = None if at is None else rest[:, :, at]
    if int(page.photometric) == _PALETTE:
        return _from_palette(page, colour[:, :, 0]), None, notes
    if planes.dtype.kind == "u" and bits <= 16:
        colour = scaled(colour, 2**bits - 1)
        alpha = None if alpha is None else scaled(alpha, 2**bits - 1)
    else:
        colour, said = sixteen_bits(colour)
        notes = (*notes, *said)
        alpha = None if alpha is None else sixteen_bits(alpha)[0]
    if alpha is not None and kinds[at or 0] == _PREMULTIPLIED:
        notes = (*notes, DIVIDED) if alpha.min() < np.iinfo(alpha.dtype).max else notes
        colour = straight(colour, alpha)
    if int(page.photometric) == _WHITE_IS_ZERO:
        colour = ~colour
    if int(page.photometric) == _INKS:
        colour, said = _from_inks(page, colour, name)
        notes = (*notes, *said)
    return colour, alpha, notes


def _from_palette(page: Any, indices: npt.NDArray[Any]) -> Samples:
    table = np.asarray(page.colormap).T
    # Colours of 16 bits, nearly always made of 8.
    return np.ascontiguousarray((table >> 8 if table.max() > 255 else table).astype(np.uint8)[indices])


def _from_inks(page: Any, inks: Samples, name: str) -> tuple[Samples, tuple[str, ...]]:
    tag = page.tags.get(ICC_TAG)
    if tag is None:
        raise UnsupportedPictureError(
            f"{name}: CMYK without an ICC profile, so its colours are not known: convert it to RGB first"
        )
    is_16_bit = inks.dtype == np.uint16
    image = Image.fromarray(rounded_to_8_bit(inks) if is_16_bit else inks, "CMYK")
    notes = (INKS_CONVERTED, "inks of 16 bits were converted with 8") if is_16_bit else (INKS_CONVERTED,)
    return to_srgb(image, bytes(tag.value)), notes


def tiff_rows(file: BinaryIO, name: str, max_pixels: int, first_frame: bool = False) -> PictureRows | None:
    """A TIFF file of grey or RGB samples of 8 or 16 bits without alpha; None where it is another.

    Samples are as they lie; the orientation is in ``exif``.

    Raises:
        MissingExtraError: needs the extra ``formats``.
        UnreadablePictureError, AnimatedPictureError, LimitError: as `read_picture`.
    """
    tifffile = _tifffile(name)
    file.seek(0)
    try:
        tiff = tifffile.TiffFile(file)
        page: Any = tiff.pages[0]
        if not _is_plain(page):
            return None
        width, height, channels = int(page.imagewidth), int(page.imagelength), int(page.samplesperpixel)
        segment = int(page.tilewidth) * int(page.tilelength) if page.is_tiled else width * int(page.rowsperstrip)
        check_size(width, height, max_pixels, name)
        if page.is_contiguous:
            dtype = np.dtype(f"{tiff.byteorder}u{page.bitspersample // 8}")
            blocks = plain_blocks(file, name, page.dataoffsets[0], (height, width, channels), dtype)
        else:
            check_size(segment, 1, max(max_pixels, _LARGEST_SEGMENT), f"{name}: a tile or strip")
            _check_segments(page, file, name)
            blocks = _segment_blocks(page, name)
        if page.photometric == _WHITE_IS_ZERO:
            blocks = (~block for block in blocks)
        found = read_directories(file)
        if is_camera_raw(found, _head(file)):
            raise UnsupportedPictureError(f"{name}: {CAMERA_RAW}")
        beside = () if found is None else check_pages(found, name, first_frame)
        metadata = tiff_metadata(file)
    except (PictureError, LimitError, MemoryError, MissingExtraError):
        raise
    except Exception as error:
        raise unreadable(name, error) from error
    return PictureRows(
        width, height, channels, int(page.bitspersample), blocks, metadata.icc, metadata.exif, metadata.xmp,
        metadata.density, metadata.extended_xmp, (*metadata.notes, *beside),
    )  # fmt: skip


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(16)


def _is_plain(page: Any) -> bool:
    return bool(
        page.bitspersample in (8, 16)
        and page.sampleformat == 1
        and page.planarconfig == 1
        and page.samplesperpixel in (1, 3)
        and not page.extrasamples
        and page.imagedepth == 1
        and (
            page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
            or (page.photometric == _YCBCR and page.compression in _JPEG_COMPRESSIONS)
        )
    )


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
        raise unreadable(name, error) from error
    if done != height:
        raise UnreadablePictureError(f"{name}: cut short in row {done} of {height}")


def unreadable(name: str, error: Exception) -> UnreadablePictureError:
    """One line for what any parser may raise."""
    return UnreadablePictureError(
        f"{name}: damaged or cut short: {' '.join(str(error).split()) or type(error).__name__}"
    )
