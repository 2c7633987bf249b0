"""A demonstration on one real photograph: our file and its picture, beside JPEG and AVIF at equal bytes.

::

    photograph ─► AVIF at two qualities ─► sizes ─► the best JPEG, and the best of ours, of at most those sizes ─► picture, table
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from vaecodec.atomic import check_output, new_folder, write_atomically
from vaecodec.evaluation.peers import AVIF, JPEG, SizeSearch
from vaecodec.evaluation.plots import grid
from vaecodec.evaluation.tables import Cell, text_table
from vaecodec.metrics.fidelity import Samples, bits_per_pixel, psnr
from vaecodec.metrics.ssimulacra2 import ssimulacra2
from vaecodec.picture import Picture, write_picture

SIZES = {"usual": 63.0, "small": 30.0}
"""AVIF's quality for a size that photographs are usually kept at, and for one well below it."""
OURS = "vaecodec"

_NAME = "parrots"
_PHOTOGRAPH = Path(__file__).with_name(f"{_NAME}.webp")
_SUFFIXES = {JPEG.name: ".jpg", AVIF.name: ".avif", OURS: ".vaec"}


class _Encoded(Protocol):
    @property
    def data(self) -> bytes: ...
    @property
    def quality(self) -> float: ...


class PictureCodec(Protocol):
    """The part of `vaecodec.Codec` that this needs."""

    def encode(self, picture: Picture, *, size: int) -> _Encoded:
        """Turns a picture into the best file of at most so many bytes."""

    def decompress(self, data: bytes) -> Picture:
        """Turns a file into a picture."""


@dataclass(frozen=True)
class CodedPicture:
    """One picture after one codec.

    Attributes:
        codec: the codec's name.
        quality: its setting.
        data: the file.
        samples: uint8 [H, W, 3], as decoded.
        psnr: in dB.
        ssimulacra2: the score, None where the picture is too small for one.
    """

    codec: str
    quality: float
    data: bytes
    samples: Samples
    psnr: float
    ssimulacra2: float | None

    @property
    def bpp(self) -> float:
        """Bits of the file per pixel."""
        return bits_per_pixel(len(self.data), self.samples.shape[1], self.samples.shape[0])


@dataclass(frozen=True)
class Demonstration:
    """What was measured and written.

    Attributes:
        coded: for each of `SIZES` JPEG, where it has a file so small, AVIF, and ours.
        table: the same for people.
        files: what was written; the first one is the picture to look at.
    """

    coded: tuple[tuple[CodedPicture, ...], ...]
    table: str
    files: tuple[Path, ...]


def photograph() -> Samples:
    """Returns uint8 [288, 416, 3]: two parrots, out of picture 23 of Kodak's, which Kodak released for unrestricted use."""
    with Image.open(_PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB"))


def demonstrate(codec: PictureCodec, folder: Path, *, overwrite: bool = False) -> Demonstration:
    """Compresses the photograph, restores it, compares, and writes all files into a folder, which is made if need be.

    Raises:
        OutputExistsError: a file is there already and overwrite is False.
    """
    with new_folder(folder):
        return _demonstrated(codec, folder, overwrite=overwrite)


def _demonstrated(codec: PictureCodec, folder: Path, *, overwrite: bool) -> Demonstration:
    original = photograph()
    sheet = folder / f"{_NAME}-side-by-side.png"
    check_output(sheet, overwrite=overwrite)

    coded = tuple(at_equal_bytes(codec, original, quality) for quality in SIZES.values())
    named = {
        folder / f"{_NAME}-{size}{_SUFFIXES[one.codec]}": one
        for size, row in zip(SIZES, coded, strict=True)
        for one in row
    }
    pictures = {folder / f"{_NAME}.png": original, sheet: sheet_of(original, coded)}
    for path in (*pictures, *named):
        check_output(path, overwrite=overwrite)
    with _all_or_none((*pictures, *named)):
        for path, one in named.items():
            write_atomically(path, one.data, overwrite=overwrite)
        for path, samples in pictures.items():
            write_picture(Picture(samples), path, overwrite=overwrite)
    return Demonstration(coded, table_of(coded), (sheet, *(path for path in (*pictures, *named) if path != sheet)))


@contextmanager
def _all_or_none(paths: Sequence[Path]) -> Iterator[None]:
    """Where the block fails or is interrupted, those of the files that were not there before are removed."""
    new = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def at_equal_bytes(codec: PictureCodec, original: Samples, avif_quality: float) -> tuple[CodedPicture, ...]:
    """AVIF's file of a quality, and the best of JPEG, where there is one, and of ours that take no more bytes than it."""
    avif = AVIF.encode(original, avif_quality).data
    row = []
    if (found := SizeSearch(JPEG, original).best_within(len(avif))) is not None:
        row.append(_measured(JPEG.name, *found, original, JPEG.decode(found[1])))
    row.append(_measured(AVIF.name, avif_quality, avif, original, AVIF.decode(avif)))
    ours = codec.encode(Picture(original), size=len(avif))
    row.append(_measured(OURS, ours.quality, ours.data, original, codec.decompress(ours.data).samples))
    return tuple(row)


def _measured(codec: str, quality: float, data: bytes, original: Samples, samples: Samples) -> CodedPicture:
    return CodedPicture(codec, quality, data, samples, psnr(original, samples), ssimulacra2(original, samples))


def table_of(coded: Sequence[Sequence[CodedPicture]]) -> str:
    """One line per file."""
    rows: list[list[Cell]] = []
    for row in coded:
        for one in row:
            score = None if one.ssimulacra2 is None else f"{one.ssimulacra2:.2f}"
            figures = [f"{one.quality:.0f}", f"{len(one.data):,}", f"{one.bpp:.2f}", score, f"{one.psnr:.2f} dB"]
            rows.append([one.codec, *figures])
    return text_table(["", "quality", "bytes", "bpp", "SSIMULACRA2", "PSNR"], rows)


def sheet_of(
    original: Samples,
    coded: Sequence[Sequence[CodedPicture]],
    crop: tuple[int, int, int, int] | None = None,
    zoom: int = 1,
) -> Samples:
    """Sets the original and each row's pictures next to each other.

    Args:
        original: uint8 [H, W, 3].
        coded: a row for each size.
        crop: left, top, width and height of the part that is shown; None for the whole.
        zoom: how many pixels on the sheet a pixel is wide.

    Returns:
        uint8 [H', W', 3].
    """
    height, width = original.shape[:2]
    left, top, w, h = crop or (0, 0, width, height)

    def part(samples: Samples) -> Samples:
        return samples[top : top + h, left : left + w].repeat(zoom, axis=0).repeat(zoom, axis=1)

    rows = []
    for row in coded:
        panels = [(f"original\n{width} x {height} pixels", part(original))]
        for one in row:
            figures = [f"{one.codec}, quality {one.quality:.0f}", f"{len(one.data):,} bytes, {one.bpp:.2f} bpp"]
            if one.ssimulacra2 is not None:
                figures.append(f"SSIMULACRA2 {one.ssimulacra2:.2f}")
            caption = "\n".join([*figures, f"PSNR {one.psnr:.2f} dB"])
            panels.append((caption, part(one.samples)))
        rows.append(panels)
    return grid(rows)
