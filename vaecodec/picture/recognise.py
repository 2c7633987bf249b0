"""Tells by its first bytes what a file is that cannot be read here, so that each kind gets a line of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vaecodec.picture.tiff_directories import Directories


@dataclass(frozen=True)
class Foreign:
    """A kind of file that is not read.

    Attributes:
        what: it is, with its article.
        advice: what to do about it.
        picture: whether it is a picture at all.
    """

    what: str
    advice: str
    picture: bool = True

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}"


_EXPORT = "export it as PNG, TIFF or JPEG first"
_DEVELOP = "develop it to TIFF or JPEG first"
_RAW = Foreign("a camera raw file", _DEVELOP)
_VIDEO = Foreign("a video", "extract a frame first", picture=False)
_ARCHIVE = Foreign("an archive", "unpack it first", picture=False)
_PAGE = Foreign("a web page, not the picture that it may show", "download the picture itself", picture=False)
_TEXT = Foreign("a text, not a picture", "look what it says", picture=False)

# Longer beginnings before the shorter ones that they begin with.
_MAGICS: tuple[tuple[bytes, Foreign], ...] = (
    (b"FUJIFILMCCD-RAW", _RAW), (b"IIRO", _RAW), (b"IIRS", _RAW), (b"MMOR", _RAW), (b"IIU\0", _RAW), (b"FOVb", _RAW),
    (b"\0MRM", _RAW), (b"8BPS", Foreign("a Photoshop document", _EXPORT)), (b"gimp xcf", Foreign("a GIMP document", _EXPORT)),
    (b"%PDF", Foreign("a PDF document", "export its pages as PNG first")),
    (b"%!PS", Foreign("a PostScript document", _EXPORT)), (b"\xc5\xd0\xd3\xc6", Foreign("a PostScript document", _EXPORT)),
    (b"\0\0\1\0", Foreign("an icon (ICO)", _EXPORT)), (b"\0\0\2\0", Foreign("a cursor (CUR)", _EXPORT)),
    (b"icns", Foreign("an icon (ICNS)", _EXPORT)), (b"v/1\1", Foreign("an OpenEXR picture", _EXPORT)),
    (b"#?RADIANCE", Foreign("a Radiance HDR picture", _EXPORT)), (b"#?RGBE", Foreign("a Radiance HDR picture", _EXPORT)),
    (b"P7\n", Foreign("a PAM picture", _EXPORT)), (b"farbfeld", Foreign("a farbfeld picture", _EXPORT)),
    (b"\x8aMNG", Foreign("an MNG animation", _EXPORT)), (b"\x8bJNG", Foreign("a JNG picture", _EXPORT)),
    (b"\x59\xa6\x6a\x95", Foreign("a Sun raster picture", _EXPORT)), (b"/* XPM", Foreign("an XPM picture", _EXPORT)),
    (b"qoif", Foreign("a QOI picture", _EXPORT)), (b"DDS ", Foreign("a DirectDraw texture", _EXPORT)),
    (b"BPG\xfb", Foreign("a BPG picture", _EXPORT)), (b"FLIF", Foreign("a FLIF picture", _EXPORT)),
    (b"II\xbc\1", Foreign("a JPEG XR picture", _EXPORT)), (b"AT&TFORM", Foreign("a DjVu document", _EXPORT)),
    (b"SIMPLE  =", Foreign("a FITS picture", _EXPORT)), (b"\x89HDF\r\n", Foreign("an HDF5 file", _EXPORT)),
    (b"\x0a\5\1", Foreign("a PCX picture", _EXPORT)), (b"\xd7\xcd\xc6\x9a", Foreign("a Windows metafile", _EXPORT)),
    (b"\x89VAEC", Foreign("a .vaec file already", "decompress it instead")),
    (b"\x1a\x45\xdf\xa3", _VIDEO), (b"\0\0\1\xba", _VIDEO), (b"PK\3\4", _ARCHIVE), (b"\x1f\x8b", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE), (b"Rar!", _ARCHIVE), (b"\x28\xb5\x2f\xfd", _ARCHIVE), (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"version https://git-lfs", Foreign("a pointer of Git LFS, not the picture itself", "run git lfs pull", picture=False)),
)  # fmt: skip

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1", b"mif2", b"mif3"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_VIDEO_BRANDS = frozenset(
    {
        b"isom",
        b"iso2",
        b"iso3",
        b"iso4",
        b"iso5",
        b"iso6",
        b"mp41",
        b"mp42",
        b"mp71",
        b"avc1",
        b"qt  ",
        b"M4V ",
        b"M4A ",
        b"MSNV",
    }
    | {b"3gp4", b"3gp5", b"3gp6", b"3g2a", b"dash", b"f4v ", b"F4V ", b"XAVC"}
)
_JPEG_XL_MAGICS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<(?:svg:)?svg[\s>]", re.DOTALL
)
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|script)\b", re.DOTALL | re.IGNORECASE
)
_XML_OR_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml|[{\[]\s*[\"{\[}\]])")

_DNG_VERSION, _SUB_DIRECTORIES, _NEW_SUBFILE_TYPE, _MAKE, _COMPRESSION, _PHOTOMETRIC = 50706, 330, 254, 271, 259, 262
_RAW_COMPRESSIONS = frozenset({32767, 32769, 34713, 65000, 65535})
_SENSOR_PHOTOMETRICS = frozenset({32803, 34892})


def is_heif(head: bytes) -> bool:
    """Whether a file says that it is HEIF or HEIC, and not that it is AVIF."""
    brands = _brands(head)
    return bool(brands and not _AVIF_BRANDS & brands and _HEIF_BRANDS & brands)


def is_avif(head: bytes) -> bool:
    """Whether a file says that it is AVIF."""
    return bool(_AVIF_BRANDS & _brands(head))


def is_jpeg_xl(head: bytes) -> bool:
    """Whether a file is JPEG XL, bare or in boxes."""
    return head.startswith(_JPEG_XL_MAGICS)


def _brands(head: bytes) -> frozenset[bytes]:
    """All brands of a file in boxes; empty for others."""
    if head[4:8] != b"ftyp":
        return frozenset()
    size = min(int.from_bytes(head[:4], "big"), 256)
    return frozenset(head[at : at + 4] for at in (8, *range(16, size - 3, 4)))


def foreign_kind(head: bytes) -> Foreign | None:
    """What a file is that is not read here; None where the bytes do not tell."""
    for magic, kind in _MAGICS:
        if head.startswith(magic):
            return kind
    brands = _brands(head)
    if b"crx " in brands or head[6:14] == b"HEAPCCDR":
        return _RAW
    if _VIDEO_BRANDS & brands and not (_AVIF_BRANDS | _HEIF_BRANDS) & brands:
        return _VIDEO
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return _VIDEO
    start = head[:1024]
    if _SVG.match(start):
        return Foreign("an SVG drawing", _EXPORT)
    if _HTML.match(start):
        return _PAGE
    return _TEXT if _XML_OR_JSON.match(start) else None


def is_camera_raw(found: Directories | None, head: bytes) -> bool:
    """Whether a TIFF file is a camera's raw file, whose first page is a thumbnail or what a sensor saw."""
    if head[8:10] == b"CR" and head[10:11] == b"\2":
        return True
    if found is None:
        return False
    first = found.pages[0].entries
    if _DNG_VERSION in first or set(found.numbers(_COMPRESSION)) & _RAW_COMPRESSIONS:
        return True
    if set(found.numbers(_PHOTOMETRIC)) & _SENSOR_PHOTOMETRICS:
        return True
    thumbnail = found.numbers(_NEW_SUBFILE_TYPE)[:1] == (1,)
    return thumbnail and _SUB_DIRECTORIES in first and _MAKE in first


CAMERA_RAW = _RAW
