"""A Pillow plugin: after ``import vaecodec.pillow`` whatever is built on Pillow opens and writes ``.vaec``.

    >>> from PIL import Image
    >>> import vaecodec.pillow
    >>> Image.linear_gradient("L").save("gradient.vaec", quality=90)
    >>> with Image.open("gradient.vaec") as image:
    ...     print(image.format, image.size, image.mode)
    VAEC (256, 256) L

::

    open ─► magic, header, metadata          (no torch)
    load ─► the codec of the file's model ─► samples
    crop ─► before load: only the tiles that it needs
    save ─► planes of the image ─► codec ─► file

As with Pillow's own plugins the orientation is left to ``ImageOps.exif_transpose``, and EXIF and XMP are written only where
``save`` is given them: an image that was turned upright and saved is not turned a second time. Density is written where ``dpi``
is given. What of an image is changed or left out is a warning.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from PIL import Image, ImageFile, UnidentifiedImageError

from vaecodec.bitstream.container import (
    EXTENSION,
    KIND_PICTURE,
    LATEST_VERSION,
    MAGIC,
    Container,
    Limits,
    is_vaecodec_file,
    read_container,
    read_front,
    tile_count,
)
from vaecodec.codec.options import Access
from vaecodec.codec.rate_control import MEASURES
from vaecodec.errors import FileFormatError, UsageError, VaecodecError

if TYPE_CHECKING:
    from vaecodec.api import Codec
    from vaecodec.bitstream.features import DensityFields
    from vaecodec.picture import Density, Picture

FORMAT = "VAEC"
MIME_TYPE = "image/x-vaec"

# How many pixels are too many is said by Image.MAX_IMAGE_PIXELS, for this format as for the others.
_LIMITS = Limits(max_pixels=sys.maxsize)
_ACCESS = Access(limits=_LIMITS)
# Those of `compress` that `save` hands on.
_OPTIONS = ("quality", "lossless", "model", "effort", "check", *MEASURES)
_EXIF_PREFIX = b"Exif\0\0"
_MODES = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}


class VaecImageFile(ImageFile.ImageFile):
    """A ``.vaec`` file that Pillow has opened; ``info`` has ``icc_profile``, ``exif`` and ``xmp`` as bytes."""

    format = FORMAT
    format_description = "vaecodec picture"

    def _open(self) -> None:
        assert self.fp is not None
        try:
            front = read_front(cast(BinaryIO, self.fp), limits=_LIMITS)
        except FileFormatError as error:
            raise UnidentifiedImageError(str(error)) from error
        except VaecodecError as error:
            raise OSError(str(error)) from error
        header = front.header
        if header.kind != KIND_PICTURE:
            raise UnidentifiedImageError("this .vaec file holds an array, not a picture")
        self._size = (header.width, header.height)
        self._mode = _MODES[header.channels, front.has_alpha]
        if header.bit_depth > 8 and self._mode == "L":
            self._mode = "I;16"
        for key, value in (("icc_profile", front.icc), ("exif", front.exif), ("xmp", front.xmp)):
            if value is not None:
                self.info[key] = value
        if front.density is not None and front.density.unit:
            self.info["dpi"] = _dots_per_inch(front.density)
        self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
        self._tiled = tile_count(header.width, header.height, header.tile_exponent) > 1
        self._cropped_pixels = 0

    def load(self) -> Any:
        """Decodes the picture, once.

        Raises:
            OSError: the file is damaged, or no weights here have the id that it names. With
                ``ImageFile.LOAD_TRUNCATED_IMAGES`` damaged tiles are grey in place of that.
        """
        if self.tile and self._im is None:
            data = self._bytes()
            with _errors_of_pillow():
                picture = _decode(data)
            if self._exclusive_fp and self.fp:
                self.fp.close()
            self.fp = BytesIO(_planes(picture, self.mode).tobytes())
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Nothing: the samples are in memory; without this Pillow would map the file and take it for samples."""

    def crop(self, box: tuple[float, float, float, float] | None = None) -> Image.Image:
        """As in Pillow; before ``load`` it decodes only the tiles that it needs.

        Once the parts that were asked for add up to the whole picture, that is decoded and kept.
        """
        if box is not None and self.tile and self._im is None and self._tiled:
            left, top, right, bottom = (round(edge) for edge in box)
            inside = 0 <= left < right <= self.width and 0 <= top < bottom <= self.height
            self._cropped_pixels += (right - left) * (bottom - top)
            if inside and self._cropped_pixels < self.width * self.height:
                data, region = self._bytes(), (left, top, right - left, bottom - top)
                with _errors_of_pillow():
                    container, codec = _opened(data)
                    part = codec.decompress_region(container, region)
                image = Image.frombytes(self.mode, region[2:], _planes(part, self.mode).tobytes())
                image.info = self.info.copy()
                return image
        return super().crop(box)

    def _bytes(self) -> bytes:
        assert self.fp is not None
        self.fp.seek(0)
        return self.fp.read()


def register() -> None:
    """Makes Pillow open and write ``.vaec``; importing this module has done it already, and twice does no harm."""
    Image.register_open(FORMAT, VaecImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME_TYPE)


def _accept(prefix: bytes) -> bool | str:
    if is_vaecodec_file(prefix) and prefix[len(MAGIC) :][:1] > bytes((LATEST_VERSION,)):
        return "a .vaec file of a newer format version: update vaecodec"
    return is_vaecodec_file(prefix)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Writes an image for ``Image.save``.

    Options: ``quality`` (0 to 100), or ``lossless=True``, or a target such as ``psnr=40``, ``model`` (name or weights file), ``effort``, ``check``, ``icc_profile`` (by default the
    image's own), ``exif`` (bytes or ``Image.Exif``), ``xmp``, ``dpi`` (across and down).
    """
    with _errors_of_pillow():
        data = _encode(image, image.encoderinfo)
    file.write(data)


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Writes the one frame that there is.

    Raises:
        OSError: there are several.
    """
    more = list(image.encoderinfo.get("append_images", ()))
    frames = getattr(image, "n_frames", 1) + sum(getattr(other, "n_frames", 1) for other in more)
    if frames > 1:
        raise OSError(f"cannot write {frames} frames as {FORMAT}, which holds one picture: save them one by one")
    _save(image, file, filename)


def _encode(image: Image.Image, options: dict[str, Any]) -> bytes:
    from vaecodec.api import compress
    from vaecodec.errors import PictureError
    from vaecodec.picture import read_picture

    # A frame of several is written by itself, as the other formats without animation do.
    frame = image.copy() if getattr(image, "n_frames", 1) > 1 else image
    try:
        picture = read_picture(frame, max_pixels=sys.maxsize)
    except PictureError as error:
        raise OSError(f"cannot write mode {image.mode} as {FORMAT}: {error}") from error
    xmp = options.get("xmp")
    picture = dataclasses.replace(
        picture,
        icc=_bytes_of(options.get("icc_profile", picture.icc), "icc_profile"),
        exif=_exif_bytes(options.get("exif")),
        xmp=_bytes_of(xmp.encode() if isinstance(xmp, str) else xmp, "xmp"),
        extended_xmp=None,
        density=_density_of(options.get("dpi")),
    )
    for note in picture.notes:
        warnings.warn(f"{FORMAT}: {note}", stacklevel=5)
    given = {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    return compress(picture, **given)


def _decode(data: bytes) -> Picture:
    container, codec = _opened(data, keep_damaged=ImageFile.LOAD_TRUNCATED_IMAGES)
    return codec.salvage(container).picture if ImageFile.LOAD_TRUNCATED_IMAGES else codec.decompress(container)


def _opened(data: bytes, *, keep_damaged: bool = False) -> tuple[Container, Codec]:
    """A file, read, and the codec that it needs."""
    from vaecodec.api import find_codec_for

    container = read_container(data, limits=_LIMITS, keep_damaged=keep_damaged)
    return container, find_codec_for(container, _ACCESS)


def _planes(picture: Picture, mode: str) -> Any:
    """Samples as Pillow packs them: uint8 [H, W, C], with alpha where the mode has it, opaque if all of it is.

    16 bits are kept in grey; of others Pillow has 8, as of its own formats.
    """
    import numpy as np

    from vaecodec.picture import to_8_bit

    if mode == "I;16":
        return picture.samples.astype("<u2")
    picture = to_8_bit(picture)
    if mode.endswith("A") and picture.alpha is None:
        return np.dstack([picture.samples, np.full(picture.samples.shape[:2], 255, np.uint8)])
    return np.asarray(picture)


def _dots_per_inch(density: DensityFields) -> tuple[float, float]:
    inch = {1: 1.0, 2: 2.54, 3: 0.0254}[density.unit]
    return density.x[0] / density.x[1] * inch, density.y[0] / density.y[1] * inch


def _density_of(dpi: object) -> Density | None:
    from vaecodec.picture import Density

    if dpi is None:
        return None
    try:
        x, y = (Fraction(float(value)).limit_denominator(1 << 16) for value in cast("tuple[float, float]", dpi))
        if not 0 < x < 1 << 32 or not 0 < y < 1 << 32:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"dpi {dpi!r} is not a pair of numbers above 0") from None
    return Density(x, y, "inch")


def _exif_bytes(exif: bytes | Image.Exif | None) -> bytes | None:
    block = _bytes_of(exif.tobytes() if isinstance(exif, Image.Exif) else exif, "exif")
    return None if block is None else block.removeprefix(_EXIF_PREFIX) or None


def _bytes_of(value: object, name: str) -> bytes | None:
    """What `save` was given as metadata; None for nothing.

    Raises:
        UsageError: it is no bytes.
    """
    if value is None:
        return None
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise UsageError(f"{name} is a {type(value).__name__}: give its bytes")
    return bytes(value) or None


@contextmanager
def _errors_of_pillow() -> Iterator[None]:
    """What callers of Pillow catch: ValueError for an argument, OSError for all else."""
    try:
        yield
    except UsageError as error:
        raise ValueError(str(error)) from error
    except VaecodecError as error:
        raise OSError(str(error)) from error


register()
