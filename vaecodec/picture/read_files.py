"""Reads a file by what its first bytes say it is."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vaecodec.errors import (
    AnimatedPictureError,
    BitDepthError,
    LimitError,
    MissingExtraError,
    PictureError,
    UnreadablePictureError,
    UnsupportedPictureError,
)
from vaecodec.forks import ForkSafeLock
from vaecodec.picture.bit_depth import HEADER_BYTES, bits_per_sample, high_bit_depth_jpeg
from vaecodec.picture.coded_colour import Colour
from vaecodec.picture.coded_colour import of_bmp as colour_of_bmp
from vaecodec.picture.coded_colour import of_boxes as colour_of_boxes
from vaecodec.picture.coded_colour import of_jpeg_2000 as colour_of_jpeg_2000
from vaecodec.picture.coded_colour import of_png as colour_of_png
from vaecodec.picture.heif import read_heif
from vaecodec.picture.high_bit_depth import read_high_bit_depth, read_pfm
from vaecodec.picture.isobmff import has_tone_map
from vaecodec.picture.jpeg_segments import embedded, has_profile, jpeg_metadata, without_short_segments
from vaecodec.picture.jpeg_xl import read_jpeg_xl
from vaecodec.picture.metadata import GAIN_MAP_NOTE, Metadata, density
from vaecodec.picture.picture import Picture, Planes
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.pillow_images import (
    GREY_MODES,
    SHALLOW_MODES,
    WIDE_MODES,
    as_bytes,
    check_mode,
    exif_in_info,
    head_of,
    planes_in_memory,
)
from vaecodec.picture.png_chunks import png_metadata
from vaecodec.picture.png_repair import repaired_png
from vaecodec.picture.recognise import CAMERA_RAW, foreign_kind, is_avif, is_camera_raw, is_heif, is_jpeg_xl
from vaecodec.picture.rows import NPY_MAGIC, npy_rows
from vaecodec.picture.tiff_directories import read_directories
from vaecodec.picture.tiff_metadata import tiff_metadata
from vaecodec.picture.tiff_read import (
    TIFF_MAGICS,
    TiffAsItLies,
    check_pages,
    has_tifffile,
    is_shallow,
    tiff_planes,
    unreadable,
)

# Imported for what they register: without them Pillow would import all of its formats, one after the other, when it meets one.
_PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

# Formats that hold photographs and that Pillow reads; TIFF goes another way. Pillow knows more, among them some that start
# other programs (EPS) or accept nearly any bytes (TGA). What this build of Pillow lacks is left out. (MPO is opened as JPEG.)
_PILLOW_FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "PPM", "JPEG2000") if name in Image.OPEN
)
_JPEG_MAGIC = b"\xff\xd8\xff"
_OUR_MAGICS = (
    _JPEG_MAGIC, b"\x89PNG", b"RIFF", b"BM", b"GIF8", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51", b"P1", b"P2", b"P3", b"P4",
    b"P5", b"P6",
)  # fmt: skip

# Python's warning filters are one per process; two threads that change them at once would leave them changed.
_WARNING_FILTERS = ForkSafeLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Pillow's warnings back: they are of odd metadata; what is wrong with samples is an error."""
    with _WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class _Request:
    """One file, and how it is to be read."""

    file: BinaryIO
    head: bytes
    name: str
    max_pixels: int
    first_frame: bool
    reduce: bool


def may_be_picture(head: bytes) -> bool:
    """Whether a file that begins so may be one that `read_file` reads."""
    magics = (*_OUR_MAGICS, *TIFF_MAGICS, NPY_MAGIC, b"PF", b"Pf")
    return head.startswith(magics) or is_heif(head) or is_avif(head) or is_jpeg_xl(head)


def read_file(file: BinaryIO, name: str, max_pixels: int, first_frame: bool, reduce: bool) -> Picture | None:
    """Reads a file that can seek.

    Returns:
        None for ``.npy`` whose array does not come by rows; the file is at its beginning then.

    Raises:
        PictureError, LimitError, MissingExtraError: as `read_picture`.
    """
    head = head_of(file, HEADER_BYTES)
    request = _Request(file, head, name, max_pixels, first_frame, reduce)
    if not head:
        raise UnreadablePictureError(f"{name}: empty, not a picture: get the file again")
    if head.startswith(NPY_MAGIC):
        rows = npy_rows(file, name, max_pixels)
        if rows is not None:
            return rows.picture()
        file.seek(0)
        return None
    if head.startswith(TIFF_MAGICS):
        return _read_tiff(request)
    if is_heif(head):
        return read_heif(file, name, max_pixels)
    if is_jpeg_xl(head):
        return read_jpeg_xl(file, name, max_pixels)
    kind = foreign_kind(head)
    if kind is not None:
        raise (UnsupportedPictureError if kind.picture else UnreadablePictureError)(f"{name}: {kind}")
    if head[:2] in (b"PF", b"Pf"):
        file.seek(0)
        planes = read_pfm(file.read(), name, max_pixels)
        if planes is not None:
            return Picture.of(planes[0], Metadata(notes=planes[2]))
    try:
        return _read_with_pillow(request)
    except UnreadablePictureError:
        repaired = _repaired(file, head)
        if repaired is None:
            raise
    data, notes = repaired
    picture = _read_with_pillow(replace(request, file=io.BytesIO(data)))
    return replace(picture, notes=(*picture.notes, *notes))


def _repaired(file: BinaryIO, head: bytes) -> tuple[bytes, tuple[str, ...]] | None:
    """A file without what lies beside its samples and makes no sense, and notes about that; None where there is nothing of the kind."""
    if head.startswith(b"\x89PNG"):
        return repaired_png(file)
    if not head.startswith(_JPEG_MAGIC):
        return None
    file.seek(0)
    found = without_short_segments(file.read())
    return None if found is None else (found[0], (found[1],))


def _too_many(error: Image.DecompressionBombError, max_pixels: int) -> str:
    """How large a picture is that Pillow refuses, and the limit that counts: it tells both in its message alone."""
    numbers = [int(number) for number in re.findall("[0-9]+", str(error))]
    if len(numbers) != 2:
        return "more pixels than the limit"
    pixels, pillows = numbers
    if pixels > max_pixels:
        return f"{pixels} pixels, more than the limit of {max_pixels}"
    return f"{pixels} pixels, more than Pillow's limit of {pillows}"


def _read_with_pillow(request: _Request) -> Picture:
    name, head = request.name, request.head
    try:
        # Pillow warns at half of its limit; ours is checked below and says so by an error.
        with quiet():
            request.file.seek(0)
            image = Image.open(request.file, formats=_PILLOW_FORMATS)
    except Image.DecompressionBombError as error:
        raise LimitError(
            f"{name}: {_too_many(error, request.max_pixels)}: scale it down, or raise the limit"
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        # Parsers that are fed any bytes fail in any way: OSError, SyntaxError, struct.error, KeyError, ...
        pass_on_real_input_errors(error)
        request.file.seek(0)
        frame = high_bit_depth_jpeg(request.file.read()) if head.startswith(_JPEG_MAGIC) else None
        if frame is not None:
            return _read_high_bit_depth_jpeg(request, *frame)
        if head.startswith(_OUR_MAGICS) or is_avif(head):
            raise UnreadablePictureError(f"{name}: damaged or cut short, or a rare kind of its format") from error
        raise UnreadablePictureError(f"{name}: not a picture of a known format") from error
    with image:
        return _read_opened(image, request)


def _read_opened(image: Image.Image, request: _Request) -> Picture:
    name = request.name
    check_size(image.width, image.height, request.max_pixels, name)
    with errors_of(name):
        if request.first_frame and getattr(image, "n_frames", 1) > 1:
            image.seek(0)
        check_frames(image, name, request.first_frame)
        planes = _high_bit_depth_planes(image, request)
        if planes is None:
            check_mode(image, name)
        with quiet():
            image.load()
        if planes is None:
            planes = planes_in_memory(image)
        # Some formats keep metadata behind the samples, so it is complete only now.
        return Picture.of(planes[0], _metadata_of(image, request, planes), planes[1])


def _metadata_of(image: Image.Image, request: _Request, planes: Planes) -> Metadata:
    """What Pillow has found, and what lies in the file beside it."""
    file, grey = request.file, image.mode in GREY_MODES or planes[0].shape[2] == 1
    beside = Metadata()
    colour: Colour = (None, ())
    match image.format:
        case "JPEG" | "MPO":
            file.seek(0)
            data = file.read()
            beside = jpeg_metadata(data)
            if not image.info.get("icc_profile") and has_profile(data):
                beside = replace(beside, notes=(*beside.notes, "its ICC profile is broken and left out"))
            views = getattr(image, "n_frames", 1) - 1
            if views > 0 and GAIN_MAP_NOTE not in beside.notes:
                beside = replace(beside, notes=(*beside.notes, f"further pictures in it are not kept: {views}"))
        case "PNG":
            beside, said = png_metadata(file)
            colour = colour_of_png(replace(said, icc=said.icc or bool(beside.icc)), grey=grey)
        case "AVIF":
            colour = colour_of_boxes(file, grey=grey)
            beside = Metadata(notes=(GAIN_MAP_NOTE,) if has_tone_map(file) else ())
        case "BMP":
            colour = colour_of_bmp(file, grey=grey)
            beside = Metadata(density=_bmp_density(request.head))
        case "JPEG2000":
            colour = colour_of_jpeg_2000(file)
        case "GIF" if image.info.get("comment"):
            beside = Metadata(notes=("a comment is not kept",))
    icc, said_of_colour = colour
    # Inks were converted by their profile, which no longer holds.
    icc = None if image.mode == "CMYK" else as_bytes(image.info.get("icc_profile")) or beside.icc or icc
    return Metadata(
        icc=icc,
        exif=exif_in_info(image) or beside.exif,
        xmp=as_bytes(image.info.get("xmp")) or beside.xmp,
        extended_xmp=beside.extended_xmp,
        density=beside.density,
        notes=(*planes[2], *beside.notes, *said_of_colour),
    )


def _bmp_density(head: bytes) -> Any:
    if int.from_bytes(head[14:18], "little") < 40:
        return None
    x, y = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (38, 42))
    return density(x, y, "metre")


def check_frames(image: Image.Image, name: str, first_frame: bool) -> None:
    """Refuses several frames, unless the first is asked for; an MPO's further views are another matter."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO" and not first_frame:
        raise AnimatedPictureError(f"{name}: {frames} frames or pages: ask for the first, or extract one")


def _high_bit_depth_planes(image: Image.Image, request: _Request) -> Planes | None:
    """The samples of a picture of more than 8 bits; None for others, and where Pillow's reduction to 8 was asked for and is all there is."""
    bits = bits_per_sample(image, request.head)
    if bits <= 8:
        return None
    possible = request.reduce and image.mode in SHALLOW_MODES
    try:
        planes = read_high_bit_depth(str(image.format), request.file, request.name, image.size, bits)
    except MissingExtraError:
        if possible:
            return None
        raise
    if planes is None and not possible and image.mode not in WIDE_MODES and not image.mode.startswith("I;16"):
        raise BitDepthError(
            f"{request.name}: {bits} bits per sample are not read from this format: reduce it to 8 bits, or convert it to 16 bits as PNG"
        )
    return planes


def _read_high_bit_depth_jpeg(request: _Request, bits: int, size: tuple[int, int]) -> Picture:
    """A JPEG of 12 bits, which Pillow does not open."""
    check_size(*size, request.max_pixels, request.name)
    try:
        planes = read_high_bit_depth("JPEG", request.file, request.name, size, bits)
        request.file.seek(0)
        data = request.file.read()
    except (PictureError, MissingExtraError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedPictureError(
            f"{request.name}: JPEG with {bits} bits per sample of this kind is not read: convert it to PNG first"
        ) from error
    if planes is None:
        raise UnsupportedPictureError(
            f"{request.name}: JPEG with {bits} bits per sample in inks: convert it to 8 bits first"
        )
    beside, inside = jpeg_metadata(data), embedded(data)
    metadata = replace(beside, icc=inside.icc, exif=inside.exif, xmp=inside.xmp, notes=(*planes[2], *beside.notes))
    return Picture.of(planes[0], metadata, planes[1])


def _read_tiff(request: _Request) -> Picture:
    file, name = request.file, request.name
    found = read_directories(file)
    if is_camera_raw(found, request.head):
        raise UnsupportedPictureError(f"{name}: {CAMERA_RAW}")
    if found is None:
        raise UnreadablePictureError(f"{name}: damaged or cut short: it has no directory")
    beside = check_pages(found, name, request.first_frame)
    planes = _tiff_by_pillow(request) if is_shallow(found) else None
    if planes is None:
        try:
            planes = tiff_planes(file, name, request.max_pixels)
        except MissingExtraError:
            planes = _tiff_by_pillow(request) if request.reduce else None
            if planes is None:
                raise
    metadata = tiff_metadata(file)
    # Inks were converted by their profile, which no longer holds.
    icc = None if (found.numbers(262) or (1,))[0] == 5 else metadata.icc
    notes = (*planes[2], *metadata.notes, *beside)
    return Picture.of(planes[0], replace(metadata, icc=icc, notes=notes), planes[1])


def _tiff_by_pillow(request: _Request) -> Planes | None:
    """The samples by Pillow; None where tifffile may do better.

    Raises:
        UnreadablePictureError, UnsupportedPictureError: tifffile is not here.
    """
    file, name = request.file, request.name
    try:
        with quiet():
            file.seek(0)
            image = TiffAsItLies(file)
            check_size(image.width, image.height, request.max_pixels, name)
            check_mode(image, name)
            image.load()
        return planes_in_memory(image)
    except (LimitError, MemoryError):
        raise
    except PictureError:
        if not has_tifffile():
            raise
        return None
    except Exception as error:
        pass_on_real_input_errors(error)
        if not has_tifffile():
            raise unreadable(name, error) from error
        return None


@contextmanager
def errors_of(name: str) -> Iterator[None]:
    """Names the picture in what is wrong with it, and makes one kind of error of all that parsers fail with."""
    try:
        yield
    except UnsupportedPictureError as error:
        raise error if name in str(error) else type(error)(f"{name}: {error}") from error
    except (PictureError, LimitError, MissingExtraError, MemoryError):
        raise
    except Exception as error:
        pass_on_real_input_errors(error)
        raise unreadable(name, error) from error


def pass_on_real_input_errors(error: Exception) -> None:
    """Raises again what the operating system said (a disk that fails), which says nothing about the picture."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error
