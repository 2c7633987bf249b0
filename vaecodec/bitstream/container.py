"""The container: the sections of a .vaec file, written and read without looking inside the tiles (docs/format.md).

::

    89 56 41 45 43 | 01 | HEADER | TILES, ICC, EXIF, XMP, ALPHA, CHECK, ARRAY | DATA: tile payloads to the end
                          └── section = tag, length, payload, crc ────────────┘
    89 56 41 45 43 | 02 | the short form of small pictures without loss (short.py)

Everything that a file declares is checked against the limits and against the bytes that are there before anything of
that size is allocated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

from vaecodec.bitstream.features import (
    ALPHA_16_BIT,
    ALPHA_WITH_SAMPLES,
    JPEG_XL_ALPHA,
    JPEG_XL_TILES,
    LOSSLESS_TILES_16_BIT,
    NO_MODEL,
    DensityFields,
    check_features,
    density_payload,
    features_payload,
    read_density,
)
from vaecodec.bitstream.header import (
    DEFAULT_LIMITS,
    KIND_LOSSLESS_ARRAY,
    KIND_LOSSY_ARRAY,
    KIND_PICTURE,
    MAX_QUALITY16,
    MAX_TILE_EXPONENT,
    MIN_TILE_EXPONENT,
    MODEL_ID_BYTES,
    Header,
    Limits,
    check_header,
    check_pixels,
    header_payload,
    parse_header,
    tile_count,
)
from vaecodec.bitstream.packed import check_metadata_size, pack, unpack
from vaecodec.bitstream.planes import (
    ALPHA_CONSTANT,
    ALPHA_IN_TILE,
    ALPHA_JPEG_XL,
    ALPHA_PNG,
    ALPHA_PNG_16_BIT,
    ALPHA_WEBP,
    alpha_payload,
    check_alpha,
    check_alpha_in_tile,
    check_overlay,
    overlay_payload,
    read_alpha,
    read_overlay,
)
from vaecodec.bitstream.short import SHORT_VERSION, ShortFront, read_short_file, read_short_front, short_file
from vaecodec.bitstream.tile_table import (
    CRC_BYTES,
    TILE_JPEG_XL,
    TILE_LATENTS,
    TILE_PNG,
    TILE_WEBP,
    WITHOUT_MODEL,
    Tile,
    read_tiles,
    tiles_payload,
)
from vaecodec.bitstream.varint import MAX_BYTES, read_varint, write_varint
from vaecodec.errors import (
    FileFormatError,
    LimitError,
    NewerVersionError,
    NotVaecodecFileError,
    TruncatedFileError,
    UnknownSectionError,
    damaged_file,
)

__all__ = [
    "ALPHA_CONSTANT", "ALPHA_IN_TILE", "ALPHA_JPEG_XL", "ALPHA_PNG", "ALPHA_PNG_16_BIT", "ALPHA_WEBP", "DEFAULT_LIMITS",
    "EXTENSION", "KIND_LOSSLESS_ARRAY", "KIND_LOSSY_ARRAY", "KIND_PICTURE", "LATEST_VERSION", "MAGIC", "MAX_QUALITY16",
    "MAX_TILE_EXPONENT", "MIN_TILE_EXPONENT", "MODEL_ID_BYTES", "SHORT_VERSION", "TILE_JPEG_XL", "TILE_LATENTS", "TILE_PNG",
    "TILE_WEBP", "VERSION", "WITHOUT_MODEL", "Container", "Front", "Header", "Limits", "Tile", "file_version",
    "is_vaecodec_file", "read_container", "read_front", "read_header", "tile_count", "write_container",
]  # fmt: skip

MAGIC: Final = b"\x89VAEC"
VERSION: Final = 1
LATEST_VERSION: Final = SHORT_VERSION
EXTENSION: Final = ".vaec"

TAG_ICC: Final = 0x03
TAG_EXIF: Final = 0x04
TAG_XMP: Final = 0x05
TAG_CHECK: Final = 0x08
TAG_DENSITY: Final = 0x09
TAG_EXTENDED_XMP: Final = 0x0A
TAG_DATA: Final = 0x80
TAG_HEADER: Final = 0x81
TAG_TILES: Final = 0x82
TAG_ALPHA: Final = 0x86
TAG_ARRAY: Final = 0x87
TAG_FEATURES: Final = 0x89
TAG_OVERLAY: Final = 0x8A
CRITICAL_BIT: Final = 0x80

_START: Final = len(MAGIC) + 1
# The header, of whatever version, lies in so many.
_HEADER_BYTES: Final = 64
# A section may declare 32 GiB: so much is asked for at a time.
_READ_BYTES: Final = 1 << 16

_NAMES: Final = {
    TAG_HEADER: "HEADER",
    TAG_TILES: "TILES",
    TAG_ICC: "ICC",
    TAG_EXIF: "EXIF",
    TAG_XMP: "XMP",
    TAG_ALPHA: "ALPHA",
    TAG_CHECK: "CHECK",
    TAG_DENSITY: "DENSITY",
    TAG_EXTENDED_XMP: "EXTENDED XMP",
    TAG_ARRAY: "ARRAY",
    TAG_FEATURES: "FEATURES",
    TAG_OVERLAY: "OVERLAY",
    TAG_DATA: "DATA",
}


@dataclass(frozen=True)
class Container:
    """A whole file.

    Attributes:
        header: the HEADER section.
        tiles: in raster order; exactly one for arrays.
        icc: colour profile, inflated.
        exif: EXIF block from the TIFF header on, inflated.
        xmp: XMP packet, inflated.
        alpha: (``ALPHA_PNG`` | ``ALPHA_WEBP`` | ``ALPHA_CONSTANT`` | ``ALPHA_PNG_16_BIT`` | ``ALPHA_JPEG_XL`` | ``ALPHA_IN_TILE``, bytes); a
            constant is one byte, and of a tile that has it there are none here.
        check: CRC-32 of the decoded samples.
        array: what arrays need to know about themselves; None for pictures.
        density: pixels per unit.
        extended_xmp: the packet that the main XMP packet points to, inflated.
        overlay: a PNG or WebP with alpha, as a tile of the whole picture: where it is opaque it takes the place of the tiles' samples.
    """

    header: Header
    tiles: tuple[Tile, ...]
    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    alpha: tuple[int, bytes] | None = field(default=None, repr=False)
    check: int | None = None
    array: bytes | None = field(default=None, repr=False)
    density: DensityFields | None = None
    extended_xmp: bytes | None = field(default=None, repr=False)
    overlay: Tile | None = None

    @property
    def features(self) -> frozenset[int]:
        """What a reader must know beyond the first version 1."""
        modes, is_16_bit = {tile.mode for tile in self.tiles}, self.header.bit_depth > 8
        found = {
            JPEG_XL_TILES: TILE_JPEG_XL in modes,
            LOSSLESS_TILES_16_BIT: is_16_bit and bool(modes - {TILE_LATENTS}),
        }
        mode = None if self.alpha is None else self.alpha[0]
        found |= {ALPHA_16_BIT: mode == ALPHA_PNG_16_BIT, JPEG_XL_ALPHA: mode == ALPHA_JPEG_XL}
        found |= {ALPHA_WITH_SAMPLES: mode == ALPHA_IN_TILE}
        found |= {NO_MODEL: self.header.kind == KIND_PICTURE and self.header.model_id == WITHOUT_MODEL}
        return frozenset(feature for feature, needed in found.items() if needed)

    @property
    def is_short(self) -> bool:
        """Whether the short form says it all: a tile without loss and, in it, alpha."""
        bare = Container(self.header, self.tiles, alpha=self.alpha)
        form = Header(KIND_PICTURE, WITHOUT_MODEL, quality16=MAX_QUALITY16)
        fits = form == replace(self.header, width=0, height=0, channels=0, bit_depth=0) and len(self.tiles) == 1
        return (
            fits
            and self.tiles[0].mode in (TILE_PNG, TILE_WEBP, TILE_JPEG_XL)
            and self == bare
            and (self.alpha is None or self.alpha[0] == ALPHA_IN_TILE)
        )


@dataclass(frozen=True)
class Front:
    """What lies before the tiles, for those who show a file without decoding it.

    Attributes:
        header: the HEADER section.
        icc: colour profile, inflated.
        exif: EXIF block from the TIFF header on, inflated.
        xmp: XMP packet, inflated.
        has_alpha: whether there is an ALPHA section.
        density: pixels per unit.
    """

    header: Header
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    has_alpha: bool
    density: DensityFields | None = None


def is_vaecodec_file(prefix: bytes) -> bool:
    """Return whether the first five bytes are those of a .vaec file, of whatever version."""
    return prefix[: len(MAGIC)] == MAGIC


def file_version(prefix: bytes) -> int:
    """The version that the first six bytes name."""
    return prefix[len(MAGIC)]


# --- writing ---------------------------------------------------------------------------------------------------------


def write_container(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a file, in the short form where that holds it. Metadata are stored or deflated, whichever is smaller.

    Raises:
        ValueError: the container contradicts itself or the format.
        LimitError: a reader with these limits would refuse the file.
    """
    header = container.header
    check_header(header, ValueError, ValueError)
    check_pixels(header, limits)
    _check_consistency(container, limits, ValueError)
    expected = tile_count(header.width, header.height, header.tile_exponent)
    if len(container.tiles) != expected:
        raise ValueError(f"{len(container.tiles)} tiles given where the grid has {expected}")
    if container.is_short:
        front = ShortFront(header, container.tiles[0].mode, container.alpha is not None)
        short = short_file(front, container.tiles[0].payload)
        if short is not None:
            return MAGIC + bytes((SHORT_VERSION,)) + short

    sections = [(TAG_HEADER, header_payload(header))]
    if container.array is not None:
        sections.append((TAG_ARRAY, container.array))
    if container.features:
        sections.append((TAG_FEATURES, features_payload(container.features)))
    packed = ((TAG_ICC, container.icc), (TAG_EXIF, container.exif), (TAG_XMP, container.xmp))
    for tag, metadata in (*packed, (TAG_EXTENDED_XMP, container.extended_xmp)):
        if metadata is not None:
            check_metadata_size(_name(tag), len(metadata), limits)
            sections.append((tag, pack(metadata)))
    if container.density is not None:
        sections.append((TAG_DENSITY, density_payload(container.density)))
    if container.alpha is not None:
        sections.append((TAG_ALPHA, alpha_payload(container.alpha)))
    if container.overlay is not None:
        sections.append((TAG_OVERLAY, overlay_payload(container.overlay)))
    if container.check is not None:
        if not 0 <= container.check < 2**32:
            raise ValueError(f"check {container.check} is not a CRC-32")
        sections.append((TAG_CHECK, container.check.to_bytes(4, "little")))
    sections.append((TAG_TILES, tiles_payload(container.tiles)))

    return b"".join(
        [
            MAGIC,
            bytes((VERSION,)),
            *(_section(tag, payload) for tag, payload in sections),
            bytes((TAG_DATA,)),
            *(tile.payload for tile in container.tiles),
        ]
    )


def _section(tag: int, payload: bytes) -> bytes:
    covered = bytes((tag,)) + write_varint(len(payload)) + payload
    return covered + zlib.crc32(covered).to_bytes(CRC_BYTES, "little")


# --- reading ---------------------------------------------------------------------------------------------------------


def read_header(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Return the header alone; the first 64 bytes of a file are always enough.

    Raises:
        FileFormatError: as ``read_container``, as far as the header goes.
        LimitError: the declared size is over the limit.
    """
    view = memoryview(data)
    if _read_magic(view) == SHORT_VERSION:
        return read_short_front(view[_START:], limits)[0].header
    return _read_header_section(view, _START, limits)[0]


def read_front(file: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Front:
    """Read what lies before the tiles, and no further; the tiles need not be there.

    Args:
        file: an open file at the start of a .vaec file; left behind the DATA tag, or somewhere in a short file.
        limits: declared sizes over these are refused.

    Raises:
        FileFormatError, LimitError: as ``read_container``, as far as the front goes.
    """
    front = bytearray(file.read(_START))
    if _read_magic(memoryview(bytes(front))) == SHORT_VERSION:
        short, _ = read_short_front(memoryview(file.read(_HEADER_BYTES)), limits)
        return Front(short.header, None, None, None, short.alpha)
    _copy_section(file, front)
    # A file that is not to be read is refused before its other sections are copied.
    header, position = _read_header_section(memoryview(bytes(front)), _START, limits)
    while _copy_section(file, front):
        pass
    sections, _ = _read_sections(memoryview(bytes(front)), position)
    check_features(sections.get(TAG_FEATURES), damaged_file)
    icc, exif, xmp = (_read_metadata(tag, sections, limits) for tag in (TAG_ICC, TAG_EXIF, TAG_XMP))
    density = read_density(sections[TAG_DENSITY], damaged_file) if TAG_DENSITY in sections else None
    return Front(header, icc, exif, xmp, TAG_ALPHA in sections, density)


def _copy_section(file: BinaryIO, front: bytearray) -> bool:
    """Append the next section, or the DATA tag; return whether another may follow."""
    tag = file.read(1)
    front += tag
    if not tag or tag[0] == TAG_DATA:
        return False
    start = len(front)
    while True:
        byte = file.read(1)
        front += byte
        if not byte or byte[0] < 0x80 or len(front) - start == MAX_BYTES:
            break
    missing = read_varint(bytes(front), start)[0] + CRC_BYTES
    while missing and (piece := file.read(min(missing, _READ_BYTES))):
        front += piece
        missing -= len(piece)
    return missing == 0


def read_container(data: bytes, *, limits: Limits = DEFAULT_LIMITS, keep_damaged: bool = False) -> Container:
    """Read a whole file, checking every checksum.

    Args:
        data: the file.
        limits: declared sizes over these are refused before anything is allocated.
        keep_damaged: hand out tiles that are cut off or whose checksum is wrong, marked, instead of raising.

    Raises:
        NotVaecodecFileError: the first bytes are others.
        NewerVersionError: a version byte over 2.
        UnknownSectionError: a critical section that this reader does not know.
        TruncatedFileError: the file ends too early.
        DamagedFileError: a wrong checksum or an impossible value.
        FileFormatError: a kind or bit depth that this version does not support.
        LimitError: a declared size is over the limit.
    """
    view = memoryview(data)
    if _read_magic(view) == SHORT_VERSION:
        short, tile = read_short_file(view[_START:], limits)
        return Container(short.header, (Tile(short.mode, tile),), alpha=(ALPHA_IN_TILE, b"") if short.alpha else None)
    header, position = _read_header_section(view, _START, limits)
    sections, position = _read_sections(view, position)
    declared = check_features(sections.get(TAG_FEATURES), damaged_file)
    if TAG_TILES not in sections:
        raise damaged_file("the file has no TILES section")
    array = bytes(sections[TAG_ARRAY]) if TAG_ARRAY in sections else None
    _check_array(header, array, damaged_file)
    container = Container(
        header=header,
        tiles=read_tiles(header, sections[TAG_TILES], view[position:], keep_damaged),
        icc=_read_metadata(TAG_ICC, sections, limits),
        exif=_read_metadata(TAG_EXIF, sections, limits),
        xmp=_read_metadata(TAG_XMP, sections, limits),
        alpha=read_alpha(sections[TAG_ALPHA]) if TAG_ALPHA in sections else None,
        check=_read_check(sections[TAG_CHECK]) if TAG_CHECK in sections else None,
        array=array,
        density=read_density(sections[TAG_DENSITY], damaged_file) if TAG_DENSITY in sections else None,
        extended_xmp=_read_metadata(TAG_EXTENDED_XMP, sections, limits),
        overlay=read_overlay(sections[TAG_OVERLAY]) if TAG_OVERLAY in sections else None,
    )
    _check_consistency(container, limits, damaged_file)
    if container.features != declared:
        raise damaged_file("the FEATURES section does not say what the file needs")
    return container


def _name(tag: int) -> str:
    return f"{_NAMES[tag]} section" if tag in _NAMES else f"section {tag:02x}"


def _read_magic(view: memoryview) -> int:
    """Check magic and version; return the version."""
    start = bytes(view[: len(MAGIC)])
    if start != MAGIC:
        if start and MAGIC.startswith(start):
            raise TruncatedFileError(f"the file ends after {len(start)} bytes: get the whole file")
        raise NotVaecodecFileError("not a .vaec file")
    if len(view) <= len(MAGIC):
        raise TruncatedFileError(f"the file ends after {len(MAGIC)} bytes: get the whole file")
    version = view[len(MAGIC)]
    if version > LATEST_VERSION:
        raise NewerVersionError(
            f"the file has format version {version}, this vaecodec reads {LATEST_VERSION}: update it"
        )
    if version < VERSION:
        raise damaged_file(f"the file has format version {version}, no such version exists")
    return version


def _read_section(view: memoryview, position: int) -> tuple[int, memoryview, int]:
    """Return tag, payload and the position after the section that starts at ``position``, its checksum checked."""
    tag = view[position]
    length, start = read_varint(view, position + 1)
    end = start + length
    if end + CRC_BYTES > len(view):
        raise TruncatedFileError(
            f"the {_name(tag)} at byte {position} needs {end + CRC_BYTES - len(view)} bytes more than the file has: "
            "get the whole file"
        )
    if zlib.crc32(view[position:end]) != int.from_bytes(view[end : end + CRC_BYTES], "little"):
        raise damaged_file(f"the {_name(tag)} at byte {position} has a wrong checksum")
    return tag, view[start:end], end + CRC_BYTES


def _read_header_section(view: memoryview, position: int, limits: Limits) -> tuple[Header, int]:
    if position >= len(view):
        raise TruncatedFileError(f"the file ends after {position} bytes, before its header: get the whole file")
    if view[position] != TAG_HEADER:
        raise damaged_file(f"the file starts with the {_name(view[position])} in place of HEADER")
    _, payload, position = _read_section(view, position)
    header = parse_header(payload)
    check_header(header, damaged_file, FileFormatError)
    check_pixels(header, limits)
    return header, position


def _read_sections(view: memoryview, position: int) -> tuple[dict[int, memoryview], int]:
    """Return the payloads of the known sections between HEADER and DATA, and the position of the first tile."""
    sections: dict[int, memoryview] = {}
    seen = {TAG_HEADER}
    while True:
        if position >= len(view):
            raise TruncatedFileError(f"the file ends after {position} bytes, before its DATA: get the whole file")
        if view[position] == TAG_DATA:
            return sections, position + 1
        start = position
        tag, payload, position = _read_section(view, position)
        if tag in seen:
            raise damaged_file(f"the {_name(tag)} at byte {start} is there a second time")
        seen.add(tag)
        if tag in _NAMES:
            sections[tag] = payload
        elif tag & CRITICAL_BIT:
            raise UnknownSectionError(f"the file needs {_name(tag)}, which this vaecodec does not know: update it")


def _read_metadata(tag: int, sections: dict[int, memoryview], limits: Limits) -> bytes | None:
    return unpack(sections[tag], _name(tag), limits) if tag in sections else None


def _read_check(payload: memoryview) -> int:
    if len(payload) != CRC_BYTES:
        raise damaged_file(f"the CHECK section has {len(payload)} bytes in place of 4")
    return int.from_bytes(payload, "little")


# --- what holds for writers and readers ------------------------------------------------------------------------------


def _check_consistency(container: Container, limits: Limits, wrong: Callable[[str], Exception]) -> None:
    """Raises ``wrong`` where sections do not fit, and LimitError where an overlay is larger than a tile may be."""
    header, tiles = container.header, container.tiles
    _check_array(header, container.array, wrong)
    check_alpha(header, container.alpha, wrong)
    check_alpha_in_tile(container.alpha, tiles, wrong)
    check_overlay(header, container.overlay, tiles, wrong)
    pixels = header.width * header.height
    if container.overlay is not None and pixels > limits.max_tile_pixels:
        raise LimitError(
            f"an overlay has {pixels} pixels, over the limit of {limits.max_tile_pixels}: it cannot be read"
        )


def _check_array(header: Header, array: bytes | None, wrong: Callable[[str], Exception]) -> None:
    if (array is None) != (header.kind == KIND_PICTURE):
        raise wrong("an ARRAY section belongs to arrays, and to them only")
