"""The container: the sections of a .vaec file, written and read without looking inside the tiles (docs/format.md).

::

    89 56 41 45 43 | version | HEADER | TILES, ICC, EXIF, XMP, ALPHA, CHECK, ARRAY | DATA: tile payloads to the end
                               └── section = tag, length, payload, crc ────────────┘

Everything that a file declares is checked against the limits and against the bytes that are there before anything of
that size is allocated.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from vaecodec.bitstream.features import (
    DEEP_ALPHA,
    DEEP_LOSSLESS_TILES,
    JPEG_XL_TILES,
    NO_MODEL,
    DensityFields,
    check_features,
    density_payload,
    features_payload,
    read_density,
)
from vaecodec.bitstream.varint import MAX_BYTES, read_varint, write_varint
from vaecodec.errors import (
    DamagedFileError,
    FileFormatError,
    LimitError,
    NewerVersionError,
    NotVaecodecFileError,
    TruncatedFileError,
    UnknownSectionError,
)

MAGIC: Final = b"\x89VAEC"
VERSION: Final = 1
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
CRITICAL_BIT: Final = 0x80

KIND_PICTURE: Final = 0
KIND_LOSSLESS_ARRAY: Final = 1
KIND_LOSSY_ARRAY: Final = 2

TILE_LATENTS: Final = 0
TILE_PNG: Final = 1
TILE_WEBP: Final = 2
TILE_JPEG_XL: Final = 3

ALPHA_PNG: Final = 1
ALPHA_WEBP: Final = 2
ALPHA_CONSTANT: Final = 3
ALPHA_DEEP_PNG: Final = 4

MODEL_ID_BYTES: Final = 8
WITHOUT_MODEL: Final = bytes(MODEL_ID_BYTES)
"""The model id of files that have no latents."""
MAX_QUALITY16: Final = 1600
MIN_TILE_EXPONENT: Final = 6
MAX_TILE_EXPONENT: Final = 15
_TILE_MODES: Final = (TILE_LATENTS, TILE_PNG, TILE_WEBP, TILE_JPEG_XL)
# mode(1), the shortest length(1), crc(4): what one tile takes in TILES at least.
_MIN_TILE_ENTRY_BYTES: Final = 6
_CRC_BYTES: Final = 4
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
    TAG_DATA: "DATA",
}


@dataclass(frozen=True)
class Limits:
    """What a reader takes at most; a file that declares more is a ``LimitError`` before anything is allocated.

    Attributes:
        max_pixels: width · height. The default is 2^30, a gigapixel.
        max_tile_pixels: of one tile; latents and features of a whole tile are in memory at once. The default, 2^24, is eight
            times what the encoder makes.
        max_metadata: bytes of ICC, EXIF and XMP, each, after inflating. The default is 16 MiB: profiles of printers
            take about 3 MiB and extended XMP up to some more.
    """

    max_pixels: int = 2**30
    max_tile_pixels: int = 2**24
    max_metadata: int = 2**24


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Header:
    """The HEADER section.

    Attributes:
        kind: ``KIND_PICTURE``, ``KIND_LOSSLESS_ARRAY`` or ``KIND_LOSSY_ARRAY``. Arrays leave all but the model id 0.
        model_id: 8 bytes, see section 6 of docs/format.md.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
        channels: 1 grey, 3 RGB.
        bit_depth: bits per sample, 8 or 16.
        quality16: quality in sixteenths, 0..1600.
        tile_exponent: 0 for one tile, else tiles of 2^n × 2^n pixels, n in 6..15.
    """

    kind: int
    model_id: bytes
    width: int = 0
    height: int = 0
    channels: int = 0
    bit_depth: int = 0
    quality16: int = 0
    tile_exponent: int = 0


@dataclass(frozen=True)
class Tile:
    """One tile's bytes.

    Attributes:
        mode: ``TILE_LATENTS`` (a stream of the range coder), ``TILE_PNG``, ``TILE_WEBP`` or ``TILE_JPEG_XL`` (lossless).
        payload: the bytes.
        damaged: the checksum is wrong or bytes are missing; only ever set by ``read_container(keep_damaged=True)``.
    """

    mode: int
    payload: bytes
    damaged: bool = False


@dataclass(frozen=True)
class Container:
    """A whole file.

    Attributes:
        header: the HEADER section.
        tiles: in raster order; exactly one for arrays.
        icc: colour profile, inflated.
        exif: EXIF block from the TIFF header on, inflated.
        xmp: XMP packet, inflated.
        alpha: (``ALPHA_PNG`` | ``ALPHA_WEBP`` | ``ALPHA_CONSTANT`` | ``ALPHA_DEEP_PNG``, bytes); a constant is one byte.
        check: CRC-32 of the decoded samples.
        array: what arrays need to know about themselves; None for pictures.
        density: pixels per unit.
        extended_xmp: the packet that the main XMP packet points to, inflated.
    """

    header: Header
    tiles: tuple[Tile, ...]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    alpha: tuple[int, bytes] | None = None
    check: int | None = None
    array: bytes | None = None
    density: DensityFields | None = None
    extended_xmp: bytes | None = None

    @property
    def features(self) -> frozenset[int]:
        """What a reader must know beyond the first version 1."""
        modes, deep = {tile.mode for tile in self.tiles}, self.header.bit_depth > 8
        found = {JPEG_XL_TILES: TILE_JPEG_XL in modes, DEEP_LOSSLESS_TILES: deep and bool(modes - {TILE_LATENTS})}
        found |= {DEEP_ALPHA: self.alpha is not None and self.alpha[0] == ALPHA_DEEP_PNG}
        found |= {NO_MODEL: self.header.kind == KIND_PICTURE and self.header.model_id == WITHOUT_MODEL}
        return frozenset(feature for feature, needed in found.items() if needed)


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


def tile_count(width: int, height: int, exponent: int) -> int:
    """Return how many tiles a picture has: rows of tiles from the top, each from the left; those at the right and the bottom are cut off."""
    if exponent == 0:
        return 1
    return -(-width >> exponent) * -(-height >> exponent)


def is_vaecodec_file(prefix: bytes) -> bool:
    """Return whether the first five bytes are those of a .vaec file, of whatever version."""
    return prefix[: len(MAGIC)] == MAGIC


# --- writing ---------------------------------------------------------------------------------------------------------


def write_container(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a file. Metadata are stored or deflated, whichever is smaller.

    Raises:
        ValueError: the container contradicts itself or the format.
        LimitError: a reader with these limits would refuse the file.
    """
    header = container.header
    _check_header(header, ValueError, ValueError)
    _check_pixels(header, limits)
    _check_consistency(header, container.alpha, container.array, ValueError)
    expected = tile_count(header.width, header.height, header.tile_exponent)
    if len(container.tiles) != expected:
        raise ValueError(f"{len(container.tiles)} tiles given where the grid has {expected}")

    sections = [(TAG_HEADER, _header_payload(header))]
    if container.array is not None:
        sections.append((TAG_ARRAY, container.array))
    if container.features:
        sections.append((TAG_FEATURES, features_payload(container.features)))
    packed = ((TAG_ICC, container.icc), (TAG_EXIF, container.exif), (TAG_XMP, container.xmp))
    for tag, metadata in (*packed, (TAG_EXTENDED_XMP, container.extended_xmp)):
        if metadata is not None:
            _check_metadata_size(tag, len(metadata), limits)
            sections.append((tag, _metadata_payload(metadata)))
    if container.density is not None:
        sections.append((TAG_DENSITY, density_payload(container.density)))
    if container.alpha is not None:
        mode, alpha = container.alpha
        sections.append((TAG_ALPHA, bytes((mode,)) + alpha))
    if container.check is not None:
        if not 0 <= container.check < 2**32:
            raise ValueError(f"check {container.check} is not a CRC-32")
        sections.append((TAG_CHECK, container.check.to_bytes(4, "little")))
    sections.append((TAG_TILES, _tiles_payload(container.tiles)))

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
    return covered + zlib.crc32(covered).to_bytes(_CRC_BYTES, "little")


def _header_payload(header: Header) -> bytes:
    start = bytes((header.kind,)) + header.model_id
    if header.kind != KIND_PICTURE:
        return start
    return b"".join(
        [
            start,
            write_varint(header.width),
            write_varint(header.height),
            bytes((header.channels, header.bit_depth)),
            write_varint(header.quality16),
            bytes((header.tile_exponent,)),
        ]
    )


def _tiles_payload(tiles: tuple[Tile, ...]) -> bytes:
    entries = []
    for number, tile in enumerate(tiles):
        if tile.mode not in _TILE_MODES:
            raise ValueError(f"tile {number} has mode {tile.mode}")
        crc = zlib.crc32(tile.payload).to_bytes(_CRC_BYTES, "little")
        entries.append(bytes((tile.mode,)) + write_varint(len(tile.payload)) + crc)
    return b"".join(entries)


def _metadata_payload(metadata: bytes) -> bytes:
    deflated = zlib.compress(metadata, 9)
    return b"\x01" + deflated if len(deflated) < len(metadata) else b"\x00" + metadata


# --- reading ---------------------------------------------------------------------------------------------------------


def read_header(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Return the header alone; the first 64 bytes of a file are always enough.

    Raises:
        FileFormatError: as ``read_container``, as far as the header goes.
        LimitError: the declared size is over the limit.
    """
    view = memoryview(data)
    return _read_header_section(view, _read_magic(view), limits)[0]


def read_front(file: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> Front:
    """Read what lies before the tiles, and no further; the tiles need not be there.

    Args:
        file: an open file at the start of a .vaec file; left behind the DATA tag.
        limits: declared sizes over these are refused.

    Raises:
        FileFormatError, LimitError: as ``read_container``, as far as the front goes.
    """
    front = bytearray(file.read(len(MAGIC) + 1))
    position = _read_magic(memoryview(bytes(front)))
    _copy_section(file, front)
    # A file that is not to be read is refused before its other sections are copied.
    header, position = _read_header_section(memoryview(bytes(front)), position, limits)
    while _copy_section(file, front):
        pass
    sections, _ = _read_sections(memoryview(bytes(front)), position)
    check_features(sections.get(TAG_FEATURES), _damaged)
    icc, exif, xmp = (_read_metadata(tag, sections, limits) for tag in (TAG_ICC, TAG_EXIF, TAG_XMP))
    density = read_density(sections[TAG_DENSITY], _damaged) if TAG_DENSITY in sections else None
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
    missing = read_varint(bytes(front), start)[0] + _CRC_BYTES
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
        NewerVersionError: a version byte over 1.
        UnknownSectionError: a critical section that this reader does not know.
        TruncatedFileError: the file ends too early.
        DamagedFileError: a wrong checksum or an impossible value.
        FileFormatError: a kind or bit depth that this version does not support.
        LimitError: a declared size is over the limit.
    """
    view = memoryview(data)
    header, position = _read_header_section(view, _read_magic(view), limits)
    sections, position = _read_sections(view, position)
    declared = check_features(sections.get(TAG_FEATURES), _damaged)
    if TAG_TILES not in sections:
        raise _damaged("the file has no TILES section")
    alpha = _read_alpha(sections[TAG_ALPHA]) if TAG_ALPHA in sections else None
    array = bytes(sections[TAG_ARRAY]) if TAG_ARRAY in sections else None
    _check_consistency(header, alpha, array, _damaged)
    container = Container(
        header=header,
        tiles=_read_tiles(header, sections[TAG_TILES], view[position:], keep_damaged),
        icc=_read_metadata(TAG_ICC, sections, limits),
        exif=_read_metadata(TAG_EXIF, sections, limits),
        xmp=_read_metadata(TAG_XMP, sections, limits),
        alpha=alpha,
        check=_read_check(sections[TAG_CHECK]) if TAG_CHECK in sections else None,
        array=array,
        density=read_density(sections[TAG_DENSITY], _damaged) if TAG_DENSITY in sections else None,
        extended_xmp=_read_metadata(TAG_EXTENDED_XMP, sections, limits),
    )
    if container.features != declared:
        raise _damaged("the FEATURES section does not say what the file needs")
    return container


def _damaged(what: str) -> DamagedFileError:
    return DamagedFileError(f"{what}: the file is damaged, get it again")


def _name(tag: int) -> str:
    return f"{_NAMES[tag]} section" if tag in _NAMES else f"section {tag:02x}"


def _read_magic(view: memoryview) -> int:
    """Check magic and version; return the position after them."""
    start = bytes(view[: len(MAGIC)])
    if start != MAGIC:
        if start and MAGIC.startswith(start):
            raise TruncatedFileError(f"the file ends after {len(start)} bytes: get the whole file")
        raise NotVaecodecFileError("not a .vaec file: its first bytes are not those of one")
    if len(view) <= len(MAGIC):
        raise TruncatedFileError(f"the file ends after {len(MAGIC)} bytes: get the whole file")
    version = view[len(MAGIC)]
    if version > VERSION:
        raise NewerVersionError(f"the file has format version {version}, this vaecodec reads {VERSION}: update it")
    if version != VERSION:
        raise _damaged(f"the file has format version {version}, which there never was")
    return len(MAGIC) + 1


def _read_section(view: memoryview, position: int) -> tuple[int, memoryview, int]:
    """Return tag, payload and the position after the section that starts at ``position``, its checksum checked."""
    tag = view[position]
    length, start = read_varint(view, position + 1)
    end = start + length
    if end + _CRC_BYTES > len(view):
        raise TruncatedFileError(
            f"the {_name(tag)} at byte {position} needs {end + _CRC_BYTES - len(view)} bytes more than the file has: "
            "get the whole file"
        )
    if zlib.crc32(view[position:end]) != int.from_bytes(view[end : end + _CRC_BYTES], "little"):
        raise _damaged(f"the {_name(tag)} at byte {position} has a wrong checksum")
    return tag, view[start:end], end + _CRC_BYTES


def _read_header_section(view: memoryview, position: int, limits: Limits) -> tuple[Header, int]:
    if position >= len(view):
        raise TruncatedFileError(f"the file ends after {position} bytes, before its header: get the whole file")
    if view[position] != TAG_HEADER:
        raise _damaged(f"the file starts with the {_name(view[position])} in place of HEADER")
    _, payload, position = _read_section(view, position)
    header = _parse_header(payload)
    _check_header(header, _damaged, FileFormatError)
    _check_pixels(header, limits)
    return header, position


def _parse_header(payload: memoryview) -> Header:
    start = 1 + MODEL_ID_BYTES
    if len(payload) < start:
        raise _damaged(f"the HEADER section has only {len(payload)} bytes")
    kind, model_id = payload[0], bytes(payload[1:start])
    if kind != KIND_PICTURE:
        if kind in (KIND_LOSSLESS_ARRAY, KIND_LOSSY_ARRAY) and len(payload) != start:
            raise _damaged(f"the HEADER section of an array has {len(payload)} bytes")
        return Header(kind, model_id)
    try:
        width, position = read_varint(payload, start)
        height, position = read_varint(payload, position)
        channels, bit_depth = payload[position], payload[position + 1]
        quality16, position = read_varint(payload, position + 2)
        tile_exponent = payload[position]
    except (TruncatedFileError, IndexError):
        raise _damaged(f"the HEADER section has only {len(payload)} bytes") from None
    if position + 1 != len(payload):
        raise _damaged(f"the HEADER section has {len(payload) - position - 1} bytes too many")
    return Header(kind, model_id, width, height, channels, bit_depth, quality16, tile_exponent)


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
            raise _damaged(f"the {_name(tag)} at byte {start} is there a second time")
        seen.add(tag)
        if tag in _NAMES:
            sections[tag] = payload
        elif tag & CRITICAL_BIT:
            raise UnknownSectionError(f"the file needs {_name(tag)}, which this vaecodec does not know: update it")


def _read_tiles(header: Header, table: memoryview, data: memoryview, keep_damaged: bool) -> tuple[Tile, ...]:
    expected = tile_count(header.width, header.height, header.tile_exponent)
    if expected * _MIN_TILE_ENTRY_BYTES > len(table):
        raise _damaged(f"the TILES section is too short for {expected} tiles")
    entries: list[tuple[int, int, int]] = []
    position = total = 0
    for number in range(expected):
        try:
            mode = table[position]
            length, position = read_varint(table, position + 1)
        except (TruncatedFileError, IndexError):
            raise _damaged(f"the TILES section ends before tile {number} of {expected}") from None
        crc = table[position : position + _CRC_BYTES]
        position += _CRC_BYTES
        if mode not in _TILE_MODES:
            raise _damaged(f"tile {number} has the unknown mode {mode}")
        if mode == TILE_LATENTS and header.model_id == WITHOUT_MODEL:
            raise _damaged(f"tile {number} has latents, and the file names no model")
        entries.append((mode, length, int.from_bytes(crc, "little")))
        total += length
    if position != len(table):
        raise _damaged(f"the TILES section is not the size that {expected} tiles take")
    if total < len(data):
        raise _damaged(f"{len(data) - total} bytes follow the last tile")
    if total > len(data) and not keep_damaged:
        raise TruncatedFileError(f"the tiles need {total - len(data)} bytes more than the file has: get the whole file")

    tiles = []
    start = 0
    for number, (mode, length, crc_declared) in enumerate(entries):
        payload = data[start : start + length]
        start += length
        damaged = len(payload) != length or zlib.crc32(payload) != crc_declared
        if damaged and not keep_damaged:
            raise _damaged(f"tile {number} of {expected} has a wrong checksum")
        tiles.append(Tile(mode, bytes(payload), damaged))
    return tuple(tiles)


def _read_metadata(tag: int, sections: dict[int, memoryview], limits: Limits) -> bytes | None:
    if tag not in sections:
        return None
    payload = sections[tag]
    if len(payload) == 0 or payload[0] > 1:
        raise _damaged(f"the {_name(tag)} is neither stored nor deflated")
    body = payload[1:]
    if payload[0] == 0:
        _check_metadata_size(tag, len(body), limits)
        return bytes(body)
    inflater = zlib.decompressobj()
    try:
        metadata = inflater.decompress(body, limits.max_metadata + 1)
    except zlib.error:
        raise _damaged(f"the {_name(tag)} cannot be inflated") from None
    _check_metadata_size(tag, len(metadata), limits)
    if not inflater.eof or inflater.unused_data:
        raise _damaged(f"the {_name(tag)} is not exactly one zlib stream")
    return metadata


def _read_alpha(payload: memoryview) -> tuple[int, bytes]:
    if len(payload) == 0:
        raise _damaged("the ALPHA section is empty")
    return payload[0], bytes(payload[1:])


def _read_check(payload: memoryview) -> int:
    if len(payload) != _CRC_BYTES:
        raise _damaged(f"the CHECK section has {len(payload)} bytes in place of 4")
    return int.from_bytes(payload, "little")


# --- what holds for writers and readers ------------------------------------------------------------------------------


def _check_header(header: Header, wrong: Callable[[str], Exception], unsupported: Callable[[str], Exception]) -> None:
    if len(header.model_id) != MODEL_ID_BYTES:
        raise wrong(f"the model id has {len(header.model_id)} bytes in place of {MODEL_ID_BYTES}")
    if header.kind in (KIND_LOSSLESS_ARRAY, KIND_LOSSY_ARRAY):
        if header != Header(header.kind, header.model_id):
            raise wrong("the header of an array has no fields but kind and model id")
        return
    if header.kind != KIND_PICTURE:
        raise unsupported(f"the header says kind {header.kind}, which this vaecodec does not support: update it")
    if header.width < 1 or header.height < 1:
        raise wrong(f"the header says {header.width}x{header.height} pixels")
    if header.channels not in (1, 3):
        raise wrong(f"the header says {header.channels} channels, 1 or 3 are possible")
    if not 8 <= header.bit_depth <= 16:
        raise wrong(f"the header says {header.bit_depth} bits per sample, 8 to 16 are possible")
    if header.bit_depth not in (8, 16):
        raise unsupported(f"{header.bit_depth} bits per sample are not supported by this vaecodec: update it")
    if not 0 <= header.quality16 <= MAX_QUALITY16:
        raise wrong(f"the header says quality {header.quality16 / 16:g}, over {MAX_QUALITY16 // 16}")
    if header.tile_exponent != 0 and not MIN_TILE_EXPONENT <= header.tile_exponent <= MAX_TILE_EXPONENT:
        raise wrong(f"the header says tile exponent {header.tile_exponent}, 0 or 6..15 are possible")


def _check_pixels(header: Header, limits: Limits) -> None:
    if header.width * header.height > limits.max_pixels:
        raise LimitError(
            f"the picture has {header.width}x{header.height} pixels, over the limit of {limits.max_pixels}: "
            "raise the limit if you trust the file"
        )
    side = 1 << header.tile_exponent if header.tile_exponent else max(header.width, header.height)
    tile_pixels = min(side, header.width) * min(side, header.height)
    if tile_pixels > limits.max_tile_pixels:
        raise LimitError(
            f"a tile has {tile_pixels} pixels, over the limit of {limits.max_tile_pixels}: this file cannot be read here"
        )


def _check_metadata_size(tag: int, size: int, limits: Limits) -> None:
    if size > limits.max_metadata:
        raise LimitError(
            f"the {_name(tag)} is over the limit of {limits.max_metadata} bytes: raise the limit if you trust the file"
        )


def _check_consistency(
    header: Header, alpha: tuple[int, bytes] | None, array: bytes | None, wrong: Callable[[str], Exception]
) -> None:
    if (array is None) != (header.kind == KIND_PICTURE):
        raise wrong("an ARRAY section belongs to arrays, and to them only")
    if alpha is None:
        return
    mode, content = alpha
    if header.kind != KIND_PICTURE:
        raise wrong("arrays have no ALPHA section")
    if mode not in (ALPHA_PNG, ALPHA_WEBP, ALPHA_CONSTANT, ALPHA_DEEP_PNG):
        raise wrong(f"the ALPHA section has the unknown mode {mode}")
    if mode == ALPHA_DEEP_PNG and header.bit_depth == 8:
        raise wrong("the ALPHA section has 16 bits, the samples 8")
    if not content or (mode == ALPHA_CONSTANT and len(content) != 1):
        raise wrong(f"the ALPHA section has {len(content)} bytes after its mode")
