"""What a JPEG file says beside its samples, and Pillow does not hand on: extended XMP, density, and what is not kept."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator

from vaecodec.picture.metadata import GAIN_MAP_NOTE, Density, Metadata, density, listed

_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_ICC = b"ICC_PROFILE\0"
_IPTC_RESOURCE = b"8BIM\x04\x04"
# Google and Apple write the first two into XMP, the third says the same in a segment.
_GAIN_MAP_WORDS = (b"hdrgm:Version", b"hdrgainmap", b"HDRGainMap")
_VIDEO = re.compile(rb"MotionPhoto_Data|\0\0\0[\x10-\x40]ftyp(?:mp4|iso|avc|qt  |3gp|M4V|MSNV)")
_APP0, _APP1, _APP2, _APP11, _APP13, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xFE
_APP14 = 0xEE
# Segments, how they begin, and the fewest bytes that they have: shorter ones keep Pillow from the samples.
_LEAST = ((_APP0, b"JFIF", 12), (_APP2, b"ICC_PROFILE\0", 14), (_APP14, b"Adobe", 12))
_START_OF_SCAN, _END = 0xDA, 0xD9
_DENSITY_UNITS = {0: "none", 1: "inch", 2: "centimetre"}
# A segment's length, which counts itself, has 16 bits.
_LONGEST_PART = 65000
_LARGEST_EXTENDED = 1 << 24


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the first scan; ends where the file is broken."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (_START_OF_SCAN, _END):
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def jpeg_metadata(data: bytes) -> Metadata:
    """Density and extended XMP of a file, and notes about the rest; ICC, EXIF and XMP are Pillow's."""
    found: Density | None = None
    parts: dict[bytes, dict[int, bytes]] = {}
    totals: dict[bytes, int] = {}
    notes, gain_map = [], False
    for marker, content in segments(data):
        if marker == _APP0 and content.startswith(b"JFIF\0") and len(content) >= 12:
            unit, x, y = struct.unpack_from(">BHH", content, 7)
            found = density(x, y, _DENSITY_UNITS.get(unit, "none"))  # type: ignore[arg-type]
        elif marker == _APP1 and content.startswith(_EXTENDED_XMP) and len(content) > len(_EXTENDED_XMP) + 40:
            body = content[len(_EXTENDED_XMP) :]
            total, offset = struct.unpack_from(">II", body, 32)
            parts.setdefault(body[:32], {})[offset] = body[40:]
            totals[body[:32]] = total
        elif marker == _APP1 and content.startswith(_XMP):
            gain_map |= any(word in content for word in _GAIN_MAP_WORDS)
        elif marker == _APP2 and content.startswith(_ISO_GAIN_MAP):
            gain_map = True
        elif marker == _APP13 and content.startswith(_PHOTOSHOP) and _IPTC_RESOURCE in content:
            notes.append("IPTC is not kept")
        elif marker == _APP11 and content.startswith(b"JP"):
            notes.append("content credentials (C2PA) are not kept")
        elif marker == _COMMENT:
            notes.append("a comment is not kept")
    if gain_map or any(word in data for word in _GAIN_MAP_WORDS[1:]):
        notes.append(GAIN_MAP_NOTE)
    if _VIDEO.search(data) is not None:
        notes.append("the video of the motion photo is not kept")
    extended, trouble = _extended_xmp(parts, totals)
    return Metadata(density=found, extended_xmp=extended, notes=tuple(dict.fromkeys(notes + trouble)))


def has_profile(data: bytes) -> bool:
    """Whether some segment says that it is a part of an ICC profile."""
    return any(marker == _APP2 and content.startswith(_ICC) for marker, content in segments(data))


def without_short_segments(data: bytes) -> tuple[bytes, str] | None:
    """The file without segments that are too short for what they say they are, and a note; None where it has none."""
    pieces, at, odd = [data[:2]], 2, []
    for marker, content in segments(data):
        start = data.index(bytes((0xFF, marker)), at)
        end = start + 4 + len(content)
        least = next((least for app, name, least in _LEAST if app == marker and content.startswith(name)), 0)
        if len(content) < least:
            odd.append(f"APP{marker - _APP0}")
        else:
            pieces.append(data[start:end])
        at = end
    if not odd:
        return None
    return b"".join(pieces) + data[at:], f"segments that make no sense are left out ({listed(odd)})"


def embedded(data: bytes) -> Metadata:
    """Profile, EXIF and XMP of a JPEG that Pillow does not open."""
    found = list(segments(data))
    exif = next((c[6:] for m, c in found if m == _APP1 and c.startswith(b"Exif\0\0")), None)
    xmp = next((c[len(_XMP) :] for m, c in found if m == _APP1 and c.startswith(_XMP)), None)
    parts = sorted((c[12], c[14:]) for m, c in found if m == _APP2 and c.startswith(_ICC) and len(c) > 14)
    return Metadata(icc=b"".join(part for _, part in parts) or None, exif=exif or None, xmp=xmp or None)


def _extended_xmp(parts: dict[bytes, dict[int, bytes]], totals: dict[bytes, int]) -> tuple[bytes | None, list[str]]:
    """Puts the one extended packet together (XMP specification, part 3, 1.1.3.1)."""
    whole = []
    for identity, pieces in parts.items():
        packet = b"".join(pieces[offset] for offset in sorted(pieces))
        if len(packet) == totals[identity] <= _LARGEST_EXTENDED and _digest(packet) == identity.upper():
            whole.append(packet)
    trouble = [] if len(whole) == len(parts) <= 1 else ["extended XMP is damaged and not kept"]
    return (whole[0] if len(whole) == 1 else None), trouble


def _digest(packet: bytes) -> bytes:
    return hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()


def extended_xmp_segments(packet: bytes) -> bytes:
    """The segments that carry an extended packet, whose digest its main packet names."""
    out = []
    for offset in range(0, len(packet), _LONGEST_PART):
        part = packet[offset : offset + _LONGEST_PART]
        content = _EXTENDED_XMP + _digest(packet) + struct.pack(">II", len(packet), offset) + part
        out.append(struct.pack(">BBH", 0xFF, _APP1, len(content) + 2) + content)
    return b"".join(out)
