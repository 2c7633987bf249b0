"""What a PNG file says beside its samples, and Pillow does not hand on as bytes: raw profiles, density, colour, and what is not kept."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from vaecodec.picture.metadata import Density, Metadata, density, listed

_SIGNATURE_BYTES = 8
# Chunks that are read here, and how many bytes of each: none is large in an honest file.
_READ = frozenset({b"gAMA", b"cHRM", b"cICP", b"sRGB", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"caBX"})
LARGEST_TEXT = 1 << 24
XMP_KEY = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
_EXIF_PREFIX, _XMP_PREFIX = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(frozen=True)
class PngColour:
    """What the chunks about colour say, as they lie: None where a chunk is absent."""

    cicp: bytes | None = None
    gamma: bytes | None = None
    chromaticities: bytes | None = None
    srgb: bool = False
    icc: bool = False


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the chunks that are read here; ends where the file is broken."""
    at = _SIGNATURE_BYTES
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind in _READ and length <= LARGEST_TEXT:
            yield kind, file.read(length)
        at += 12 + length


def png_metadata(file: BinaryIO) -> tuple[Metadata, PngColour]:
    """Raw profiles (ImageMagick's way), density, notes about the rest, and what the chunks about colour say."""
    raw: dict[str, bytes] = {}
    found: Density | None = None
    colour: dict[bytes, bytes] = {}
    texts, notes = [], []
    for kind, content in chunks(file):
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            key = content.split(b"\0", 1)[0].decode("latin-1")
            profile = _raw_profile(kind, key, content)
            if profile is not None:
                raw.setdefault(key.removeprefix(RAW_PROFILE).lower(), profile)
            elif key != XMP_KEY:
                texts.append(key)
        elif kind == b"pHYs" and len(content) >= 9:
            x, y, unit = struct.unpack_from(">IIB", content)
            found = density(x, y, "metre" if unit == 1 else "none")
        elif kind == b"caBX":
            notes.append("content credentials (C2PA) are not kept")
        elif kind == b"iCCP" and not iccp_is_whole(content):
            notes.append("its ICC profile is broken and left out")
        else:
            colour.setdefault(kind, content)
    if texts:
        notes.append(f"text is not kept ({listed(texts)})")
    if {"iptc", "8bim"} & set(raw):
        notes.append("IPTC is not kept")
    both = raw.get("app1", b"")
    exif = raw.get("exif") or (both if both.startswith(_EXIF_PREFIX) else None)
    xmp = raw.get("xmp") or (both if both.startswith(_XMP_PREFIX) else None)
    metadata = Metadata(
        icc=raw.get("icc") or raw.get("icm"),
        exif=exif.removeprefix(_EXIF_PREFIX) if exif else None,
        xmp=xmp.removeprefix(_XMP_PREFIX) if xmp else None,
        density=found,
        notes=tuple(notes),
    )
    said = PngColour(
        colour.get(b"cICP"), colour.get(b"gAMA"), colour.get(b"cHRM"), b"sRGB" in colour, b"iCCP" in colour
    )
    return metadata, said


def _raw_profile(kind: bytes, key: str, content: bytes) -> bytes | None:
    """The bytes of a text chunk "Raw profile type …": a name, a length and hexadecimal digits, each on lines of their own."""
    if not key.startswith(RAW_PROFILE):
        return None
    try:
        text = text_of(kind, content)
        lines = text.strip(b"\n").split(b"\n")
        # The length on the second line is often wrong.
        return binascii.unhexlify(b"".join(b"".join(lines[2:]).split())) or None
    except (ValueError, IndexError, zlib.error, binascii.Error):
        return None


def iccp_is_whole(content: bytes) -> bool:
    """Whether a chunk iCCP holds a profile."""
    try:
        _, rest = content.split(b"\0", 1)
        return rest[0] == 0 and 0 < len(_inflated(rest[1:])) < LARGEST_TEXT
    except (ValueError, IndexError, zlib.error):
        return False


def text_of(kind: bytes, content: bytes) -> bytes:
    """The text of a chunk tEXt, zTXt or iTXt, as it lies or inflated.

    Raises:
        ValueError, IndexError, zlib.error: it is broken.
    """
    _, rest = content.split(b"\0", 1)
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    packed, body = rest[0], rest[2:].split(b"\0", 2)[2]
    return _inflated(body) if packed else body


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, LARGEST_TEXT)
