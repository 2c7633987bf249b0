"""EXIF and TIFF's own tags say the same things in two places: one becomes the other, value by value as it lies.

::

    TIFF ─► descriptive tags, EXIF, GPS, Interop ─► EXIF block, ICC, XMP, density
    EXIF block, ICC, XMP, density ─► tags of a TIFF file, in the byte order of the block
"""

from __future__ import annotations

import contextlib
import struct
from typing import BinaryIO

from PIL import Image

from vaecodec.picture.metadata import Density, DensityUnit, Metadata, density, listed
from vaecodec.picture.orientation import ORIENTATION_TAG
from vaecodec.picture.tiff_directories import (
    BYTE,
    LONG8,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directories,
    Directory,
    Entry,
    exif_block,
    rationals_of,
    read_directories,
    walk,
)

XMP_TAG, ICC_TAG = 700, 34675
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_UNITS: dict[int, DensityUnit] = {1: "none", 2: "inch", 3: "centimetre"}
_LAYERS_TAG = 37724
_DIRECTORY_TAGS = (0x8769, 0x8825)
# What Pillow raises over tags of another type than the standard's.
_PILLOW_STUMBLES = (
    TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError, SyntaxError, OSError,
    struct.error, RuntimeError,
)  # fmt: skip

# Tags that say how the samples of one file are laid out, and hold for that file only; and those that have sections of their own.
_LAYOUT_TAGS = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 297, 317, *range(320, 326)}
    | {*range(326, 329), 330, *range(332, 348), 351, *range(512, 522), *range(529, 533), 559, XMP_TAG, ICC_TAG}
    | {32995, 32996, 32997, 32998, 34232, 37439, 37440, 50674, 50838, 50839}
)
# More is not EXIF but a second picture; readers of our files limit the section to 2^24 bytes.
_LARGEST_VALUE = 1 << 20
_LARGEST_BLOCK = 1 << 24


def tiff_metadata(file: BinaryIO, page: int = 0, *, orientation: bool = True) -> Metadata:
    """Reads the metadata of a TIFF or BigTIFF file.

    Args:
        file: which can seek.
        page: of several.
        orientation: keep it; where Pillow has decoded the samples it may have applied it.
    """
    found = read_directories(file, most_pages=page + 1)
    if found is None or page >= len(found.pages):
        return Metadata()
    directory = found.pages[page]
    block, notes = _exif_of(found, directory, orientation=orientation)
    icc, xmp = directory.entries.get(ICC_TAG), directory.entries.get(XMP_TAG)
    return Metadata(
        icc=icc.value or None if icc else None,
        exif=block,
        xmp=xmp.value or None if xmp else None,
        density=_density_of(directory, found.order),
        notes=tuple(notes),
    )


def _exif_of(found: Directories, directory: Directory, *, orientation: bool) -> tuple[bytes | None, list[str]]:
    unwanted = _LAYOUT_TAGS if orientation else _LAYOUT_TAGS | {ORIENTATION_TAG}
    chosen, large = _portable(directory, unwanted)
    if chosen.entries.get(ORIENTATION_TAG) == Entry(SHORT, 1, struct.pack(found.order + "H", 1)):
        del chosen.entries[ORIENTATION_TAG]
    notes = []
    layers = _LAYERS_TAG in large
    if layers:
        notes.append("Photoshop layers are not kept")
        large.remove(_LAYERS_TAG)
    # Of broken tags only those count that would have been kept.
    broken = [tag for tag in directory.all_broken() if tag not in _LAYOUT_TAGS]
    if broken:
        notes.append(f"tags that are broken in the file are not kept: {listed(broken)}")
    block = exif_block(found.order, chosen) if chosen else None
    if block is not None and len(block) > _LARGEST_BLOCK:
        block, large = None, [*large, *(tag for tag, _ in walk(chosen))]
    if large:
        notes.append(f"tags that are too large are not kept: {listed(large)}")
    return block, notes


def _portable(directory: Directory, unwanted: frozenset[int]) -> tuple[Directory, list[int]]:
    """The entries that make sense elsewhere, and the tags of those that are too large."""
    chosen, large = Directory(), []
    for tag, entry in directory.entries.items():
        if tag in unwanted:
            continue
        if len(entry.value) > _LARGEST_VALUE or LONG8 <= entry.kind <= 18 or tag == _LAYERS_TAG:
            # EXIF has no 64 bits.
            large.append(tag)
        else:
            chosen.entries[tag] = entry
    for tag, below in directory.below.items():
        chosen.below[tag], more = _portable(below, frozenset())
        large += more
    return chosen, large


def _density_of(directory: Directory, order: str) -> Density | None:
    found = Directories("<" if order == "<" else ">", [directory])
    x, y = (
        rationals_of(entry, found.order) if (entry := directory.entries.get(tag)) else ()
        for tag in (_X_RESOLUTION, _Y_RESOLUTION)
    )
    unit = _UNITS.get((found.numbers(_RESOLUTION_UNIT) or (2,))[0])
    return density(x[0], y[0], unit) if len(x) == len(y) == 1 and unit else None


def tiff_tags(metadata: Metadata) -> tuple[Directories, tuple[str, ...]]:
    """What a TIFF file with these metadata is to have as tags, and what of them it cannot have.

    Returns:
        One page, in the byte order of the EXIF block, and names for what is lost: "exif" where the block cannot be
        read, "broken tags", "thumbnail".
    """
    found = None if metadata.exif is None else read_directories(metadata.exif)
    lost = []
    if metadata.exif is not None and found is None:
        lost.append("exif")
    directory, order = Directory(), "<" if found is None else found.order
    if found is not None:
        directory, _ = _portable(found.pages[0], _LAYOUT_TAGS)
        lost += ["broken tags"] * bool(found.pages[0].all_broken())
        lost += ["thumbnail"] * (len(found.pages) > 1)
    for tag, kind, value in ((XMP_TAG, BYTE, metadata.xmp), (ICC_TAG, UNDEFINED, metadata.icc)):
        if value is not None:
            directory.entries[tag] = Entry(kind, len(value), value)
    if metadata.density is not None and not {_X_RESOLUTION, _Y_RESOLUTION} & set(directory.entries):
        _add_density(directory, metadata.density, order)
    return Directories("<" if order == "<" else ">", [directory]), tuple(lost)


def _add_density(directory: Directory, given: Density, order: str) -> None:
    unit: DensityUnit = "centimetre" if given.unit == "metre" else given.unit
    for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), given.per(unit), strict=True):
        limited = value.limit_denominator(1 << 16)
        if limited.numerator >> 32:
            return
        pair = struct.pack(order + "II", limited.numerator, limited.denominator)
        directory.entries[tag] = Entry(RATIONAL, 1, pair)
    number = {name: number for number, name in _UNITS.items()}[unit]
    directory.entries[_RESOLUTION_UNIT] = Entry(SHORT, 1, struct.pack(order + "H", number))


def exif_says_density(exif: bytes | None) -> bool:
    """Whether an EXIF block has both resolutions."""
    found = None if exif is None else read_directories(exif, most_pages=1)
    return found is not None and {_X_RESOLUTION, _Y_RESOLUTION} <= set(found.pages[0].entries)


def exif_in_memory(image: Image.Image) -> tuple[bytes | None, tuple[str, ...]]:
    """The EXIF block of a TIFF image whose file is closed: what Pillow has read of it.

    Pillow reads text as Latin 1 and would write it as ASCII; as bytes it comes back as it lay.
    """
    known: dict[int, object] = {}
    below: dict[int, dict[int, object]] = {}
    with contextlib.suppress(*_PILLOW_STUMBLES):
        exif = image.getexif()
        known = {tag: exif[tag] for tag in exif if tag not in _LAYOUT_TAGS and tag not in _DIRECTORY_TAGS}
        below = {tag: dict(exif.get_ifd(tag)) for tag in _DIRECTORY_TAGS}
    kept, lost = Image.Exif(), list[int]()
    for tag, value in known.items():
        if not _put(kept, tag, _as_it_lay(value)):
            lost.append(tag)
    for directory, entries in below.items():
        good = {}
        for tag, value in entries.items():
            if _put(Image.Exif(), directory, {tag: _as_it_lay(value)}):
                good[tag] = _as_it_lay(value)
            else:
                lost.append(tag)
        if good:
            kept[directory] = good
    notes = (f"tags that Pillow cannot write are not kept: {listed(lost)}",) if lost else ()
    return (kept.tobytes().removeprefix(b"Exif\0\0") if len(kept) else None), notes


def _as_it_lay(value: object) -> object:
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def _put(exif: Image.Exif, tag: int, value: object) -> bool:
    """Adds a tag if Pillow can write it."""
    alone = Image.Exif()
    alone[tag] = value
    try:
        alone.tobytes()
    except _PILLOW_STUMBLES:
        return False
    exif[tag] = value
    return True
