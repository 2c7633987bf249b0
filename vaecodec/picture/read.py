"""Reads what people have into a `Picture`: paths, bytes, open files, Pillow images and arrays.

::

    path ─┐
    bytes ├─► Pillow image ─► checks: size, frames, depth, mode ─► samples, alpha ────────┐
    file ─┘                                                                               ├─► Picture
                              icc, exif, xmp, byte for byte ─────────────────────────────┘
"""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
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
    PictureNotFoundError,
    UnreadablePictureError,
    UnsupportedPictureError,
)
from vaecodec.picture.bit_depth import HEADER_BYTES, bits_per_sample, is_deep_jpeg
from vaecodec.picture.colour import to_srgb
from vaecodec.picture.deep import alpha_in_8_bit, read_deep, to_8_bit
from vaecodec.picture.picture import Picture, Samples
from vaecodec.picture.rows import NPY_MAGIC, npy_rows
from vaecodec.picture.tiff_metadata import exif_from_tiff

PictureSource = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[Any] | Picture

# Above twice Image.MAX_IMAGE_PIXELS Pillow refuses by itself; this is that number, so that one limit is met, not two.
DEFAULT_MAX_PIXELS = 178_956_970

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

# Formats that hold photographs. Pillow knows more, among them some that start other programs (EPS) or accept nearly any bytes (TGA).
# What this build of Pillow lacks is left out. (MPO is opened as JPEG.)
READABLE_FORMATS = tuple(
    name for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "PPM", "JPEG2000") if name in Image.OPEN
)

# File name extensions of those formats, for those who look for pictures in a folder.
READABLE_EXTENSIONS = frozenset(
    {".avif", ".bmp", ".gif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)

_GREY_MODES = ("1", "L", "LA", "La")
_MODES = (*_GREY_MODES, "P", "PA", "RGB", "RGBA", "RGBa")
_PNG_DEPTH_BYTE = 24
_DEEP = 16

_EXIF_PREFIX = b"Exif\0\0"

# Python's warning filters are one per process; two threads that change them at once would leave them changed.
_WARNING_FILTERS = threading.Lock()


def read_picture(
    source: PictureSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    first_frame: bool = False,
    reduce_to_8_bit: bool = False,
) -> Picture:
    """Reads a picture of 8 or 16 bits, grey or RGB, with or without transparency.

    Palettes become RGB, black and white becomes grey; a colour that is declared transparent becomes alpha 0.
    CMYK becomes sRGB by the ICC profile that the file brings, which is then dropped: it no longer holds. Orientation is not applied. Of an MPO file (a JPEG with further
    views behind it) the first view is read. TIFF has no EXIF block of its own: one is built from its descriptive tags, and
    Pillow has applied its orientation; of TIFF with 16 bits the samples are as they lie.

    Args:
        source: a path, the bytes of a file, a binary file, a Pillow image, or a uint8 or uint16 array (H, W) or (H, W, C) with C = 1 grey,
            2 grey and alpha, 3 RGB, 4 RGB and alpha. Files are of READABLE_FORMATS, or ``.npy`` with such an array.
            A `Picture` is given back as it is.
        max_pixels: the largest width × height that is taken. Checked before samples are decoded.
        first_frame: take the first of several frames or pages, and let the others go.
        reduce_to_8_bit: round samples of more than 8 bits to 8.

    Raises:
        PictureNotFoundError: there is no such file, or it may not be read.
        UnreadablePictureError: not a picture, or a broken one.
        AnimatedPictureError: several frames or pages, unless the first is asked for.
        BitDepthError: more than 8 bits per sample, but for 16 in PNG, TIFF and PNM, and not ``reduce_to_8_bit``.
        MissingExtraError: 16 bits in PNG and TIFF need the extra ``formats``.
        UnsupportedPictureError: CMYK without a profile, or another kind that is not supported.
        LimitError: more than max_pixels.
    """
    picture = _read(source, max_pixels, first_frame, reduce_to_8_bit)
    return to_8_bit(picture) if reduce_to_8_bit else picture


def _read(source: PictureSource, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    if isinstance(source, Picture):
        _check_size(source.width, source.height, max_pixels, "the picture")
        return source
    if isinstance(source, np.ndarray):
        return _read_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "the image")
        return _read_image(source, _head_of(getattr(source, "fp", None)), name, max_pixels, first_frame, reduce)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_file(io.BytesIO(source), "the data", max_pixels, first_frame, reduce)
    if isinstance(source, (str, Path)):
        return _read_path(Path(source), max_pixels, first_frame, reduce)
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "the file"))
        return _read_file(io.BytesIO(source.read()), name, max_pixels, first_frame, reduce)
    raise UnsupportedPictureError(
        f"a {type(source).__name__} is not a picture: give a path, bytes, a binary file, a Pillow image or a uint8 array"
    )


def _read_array(array: npt.NDArray[Any], max_pixels: int) -> Picture:
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim == 3 and array.shape[2] in (2, 4):
        alpha = array[:, :, -1]
        picture = Picture(
            array[:, :, :-1], alpha=alpha_in_8_bit(alpha, "the array") if array.dtype == np.uint16 else alpha
        )
    else:
        picture = Picture(array)
    _check_size(picture.width, picture.height, max_pixels, "the array")
    return picture


def _read_path(path: Path, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        raise PictureNotFoundError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        # A path can name a pipe.
        whole = file if file.seekable() else io.BytesIO(file.read())
        return _read_file(whole, str(path), max_pixels, first_frame, reduce)


def _read_file(file: BinaryIO, name: str, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    """Opens and decodes a file that can seek."""
    head = _head_of(file)
    if not head:
        raise UnreadablePictureError(f"{name}: empty, not a picture")
    if head.startswith(NPY_MAGIC):
        return _read_npy(file, name, max_pixels)
    try:
        with _WARNING_FILTERS, warnings.catch_warnings():
            # Pillow warns at half of its limit; ours is checked below and says so by an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=READABLE_FORMATS)
    except Image.DecompressionBombError as error:
        raise LimitError(f"{name}: more pixels than Pillow takes: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        # Parsers that are fed any bytes fail in any way: OSError, SyntaxError, struct.error, KeyError, ...
        _pass_on_real_input_errors(error)
        if is_deep_jpeg(head):
            raise BitDepthError(f"{name}: JPEG with more than 8 bits per sample: convert it to 8 bits first") from error
        raise UnreadablePictureError(f"{name}: not a picture of a known format, or damaged") from error
    with image:
        return _read_image(image, head, name, max_pixels, first_frame, reduce)


def _read_image(
    image: Image.Image, head: bytes, name: str, max_pixels: int, first_frame: bool, reduce: bool
) -> Picture:
    _check_size(image.width, image.height, max_pixels, name)
    try:
        if first_frame and getattr(image, "n_frames", 1) > 1:
            image.seek(0)
        _check_frames(image, name, first_frame)
        deep = None
        if bits_per_sample(image, head) > 8:
            deep = _read_deep(image, head, name, reduce)
            if deep is not None and isinstance(image, TiffImagePlugin.TiffImageFile):
                return deep
        _check_mode(image, name, deep)
        tiff_exif = exif_from_tiff(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
        image.load()
        samples, alpha = (deep.samples, deep.alpha) if deep is not None else _planes_of(image, head)
        icc = None if image.mode == "CMYK" else image.info.get("icc_profile") or None
        # Some formats keep metadata behind the samples, so it is complete only now.
        return Picture(
            samples,
            icc=icc,
            exif=tiff_exif or _exif_of(image),
            xmp=_as_bytes(image.info.get("xmp")),
            alpha=alpha,
        )
    except (UnsupportedPictureError, UnreadablePictureError, LimitError, MissingExtraError, MemoryError):
        raise
    except Exception as error:
        _pass_on_real_input_errors(error)
        raise UnreadablePictureError(f"{name}: damaged or cut short: {_one_line(error)}") from error


def _check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    if width * height > max_pixels:
        raise LimitError(
            f"{name}: {width} × {height} pixels, more than the limit of {max_pixels}: scale it down, or raise the limit (max_pixels, --limit)"
        )


def _check_frames(image: Image.Image, name: str, first_frame: bool) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO" and not first_frame:
        raise AnimatedPictureError(
            f"{name}: {frames} frames or pages: ask for the first with --first-frame, or extract one"
        )


def _read_deep(image: Image.Image, head: bytes, name: str, reduce: bool) -> Picture | None:
    """The samples of a picture of more than 8 bits; None where Pillow's reduction to 8 was asked for and is all there is."""
    try:
        deep = read_deep(image, getattr(image, "fp", None) if head else None, name)
    except (BitDepthError, MissingExtraError):
        if not reduce or image.mode not in _MODES:
            raise
        return None
    if deep is None and not (reduce and image.mode in _MODES):
        bits = bits_per_sample(image, head)
        what = "of this kind " if bits == _DEEP else ""
        raise BitDepthError(
            f"{name}: {bits} bits per sample {what}are not supported: use --to-8-bit, or convert it to 8 bits or to 16 as PNG"
        )
    return deep


def _read_npy(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    rows = npy_rows(file, name, max_pixels)
    if rows is not None:
        return rows.picture()
    file.seek(0)
    try:
        array = np.load(file, allow_pickle=False, mmap_mode=None)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadablePictureError(f"{name}: not an array of a picture, or damaged") from error
    return _read_array(array, max_pixels)


def _check_mode(image: Image.Image, name: str, deep: Picture | None) -> None:
    """Refuses what would lose something if it were read as 8 bit grey or RGB."""
    if deep is not None:
        return
    if image.mode == "CMYK":
        if not image.info.get("icc_profile"):
            raise UnsupportedPictureError(
                f"{name}: CMYK without an ICC profile, so its colours are not known: convert it to RGB first"
            )
    elif image.mode not in _MODES:
        raise UnsupportedPictureError(f"{name}: colour mode {image.mode} is not supported: convert it to RGB first")


def _planes_of(image: Image.Image, head: bytes) -> tuple[Samples, Samples | None]:
    """Returns samples, uint8 [H, W, 1] for grey and black and white, [H, W, 3] for RGB and palettes, and alpha, uint8 [H, W]."""
    if image.mode == "CMYK":
        return to_srgb(image, image.info["icc_profile"]), None
    grey = image.mode in _GREY_MODES
    if not image.has_transparency_data:
        planes = np.array(image.convert("L" if grey else "RGB"), dtype=np.uint8)
        return planes.reshape(image.height, image.width, -1), None
    if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
        # Pillow scales samples of two and four bits to eight, but not the one that is declared transparent.
        image = image.copy()
        image.info["transparency"] *= {2: 0x55, 4: 0x11}.get(head[_PNG_DEPTH_BYTE] if head else 8, 1)
    planes = np.array(image.convert("LA" if grey else "RGBA"), dtype=np.uint8)
    return planes[:, :, :-1], planes[:, :, -1]


def _exif_of(image: Image.Image) -> bytes | None:
    exif = _as_bytes(image.info.get("exif"))
    if exif is None and "Raw profile type exif" in image.info:
        # ImageMagick's way of keeping EXIF in PNG: three lines of header, then hexadecimal digits.
        exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return (exif.removeprefix(_EXIF_PREFIX) or None) if exif else None


def _as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value or None


def _head_of(file: Any) -> bytes:
    """Returns the first bytes of an open file without moving its position; b"" where there is no file."""
    if file is None or getattr(file, "closed", False):
        return b""
    position = file.tell()
    file.seek(0)
    head: bytes = file.read(HEADER_BYTES)
    file.seek(position)
    return head


def _pass_on_real_input_errors(error: Exception) -> None:
    """Raises again what the operating system said (a disk that fails), which says nothing about the picture."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
