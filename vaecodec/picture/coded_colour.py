"""Colour that a file describes outside an ICC profile becomes one: PNG's chunks, AVIF's and HEIC's code points, BMP's headers.

What means sRGB, as nearly as nobody can see, gives no profile: that is what an untagged picture is taken for.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from vaecodec.errors import UnsupportedPictureError
from vaecodec.picture.icc_profiles import (
    BT709,
    CURVES_BY_CODE,
    PRIMARIES_BY_CODE,
    SRGB_CURVE,
    Curve,
    Primaries,
    grey_profile,
    rgb_profile,
)
from vaecodec.picture.isobmff import jpeg_2000_icc, primary_properties
from vaecodec.picture.png_chunks import PngColour

_UNSPECIFIED = 2
_HDR = {16: "PQ", 18: "HLG"}
# Curves that everyone shows as they show sRGB's where the primaries are those of sRGB.
_LIKE_SRGB = (1, 6, 13, 14, 15, _UNSPECIFIED)
# libpng's threshold: nobody sees less.
_SAME_GAMMA = 0.05
_SRGB_GAMMA = 1 / 2.2
_GAMMA_RANGE = (0.1, 10.0)
_CALIBRATED, _EMBEDDED = 0, 0x4D424544  # "MBED"
_LARGEST_PROFILE = 1 << 24

Colour = tuple[bytes | None, tuple[str, ...]]
"""A profile, and notes about what does not become one."""


def of_code_points(primaries: int, transfer: int, *, grey: bool) -> Colour:
    """The profile for code points of ITU-T H.273.

    Raises:
        UnsupportedPictureError: PQ or HLG, whose light no profile describes.
    """
    if transfer in _HDR:
        raise UnsupportedPictureError(f"an HDR picture ({_HDR[transfer]}) is not supported: convert it to SDR first")
    if primaries in (1, _UNSPECIFIED) and transfer in _LIKE_SRGB:
        return None, ()
    curve = SRGB_CURVE if transfer == _UNSPECIFIED else CURVES_BY_CODE.get(transfer)
    points = BT709 if primaries == _UNSPECIFIED else PRIMARIES_BY_CODE.get(primaries)
    if curve is None or points is None:
        return None, (f"its colours (code points {primaries} and {transfer}) are not known and taken for sRGB",)
    return _profile(points, curve, f"H.273 primaries {primaries}, transfer {transfer}", grey=grey)


def of_png(said: PngColour, *, grey: bool) -> Colour:
    """The profile for the chunks of a PNG, by the order of precedence of PNG 3, section 4.3.

    Raises:
        UnsupportedPictureError: as `of_code_points`.
    """
    if said.cicp is not None and len(said.cicp) == 4 and said.cicp[0] and said.cicp[1]:
        profile, notes = of_code_points(said.cicp[0], said.cicp[1], grey=grey)
        return profile, notes if said.cicp[3] else (
            *notes,
            "its samples are of video's narrow range, and kept as they are",
        )
    if said.icc or said.srgb or (said.gamma is None and said.chromaticities is None):
        return None, ()
    exponent = int.from_bytes(said.gamma[:4], "big") / 100_000 if said.gamma else _SRGB_GAMMA
    points = BT709
    if said.chromaticities is not None and len(said.chromaticities) == 32:
        white, red, green, blue = (
            (x / 100_000, y / 100_000) for x, y in struct.iter_unpack(">II", said.chromaticities)
        )
        points = Primaries(red, green, blue, white)
    if not _GAMMA_RANGE[0] <= exponent <= _GAMMA_RANGE[1]:
        return None, (f"its gamma of {exponent:g} makes no sense and is left out",)
    like_srgb = abs(exponent / _SRGB_GAMMA - 1) <= _SAME_GAMMA
    if like_srgb and (grey or points.near(BT709)):
        return None, ()
    curve = SRGB_CURVE if like_srgb and said.gamma is None else Curve(1 / exponent)
    return _profile(points, curve, f"PNG gamma {exponent:.5f}", grey=grey)


def of_boxes(file: BinaryIO, *, grey: bool) -> Colour:
    """The profile for the code points of an AVIF or HEIC file; ICC profiles in it are others' business.

    Raises:
        UnsupportedPictureError: as `of_code_points`.
    """
    coded = None
    for kind, content in primary_properties(file):
        if kind == b"colr" and content[:4] in (b"prof", b"rICC"):
            return None, ()
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
            coded = struct.unpack_from(">HH", content, 4)
    return (None, ()) if coded is None else of_code_points(*coded, grey=grey)


def of_bmp(file: BinaryIO, *, grey: bool) -> Colour:
    """The profile in the header of a BMP, version 4 (primaries and gamma) or 5 (an ICC profile too)."""
    file.seek(14)
    header = file.read(124)
    if len(header) < 108 or struct.unpack_from("<I", header)[0] not in (108, 124):
        return None, ()
    (space,) = struct.unpack_from("<I", header, 56)
    if space == _EMBEDDED and len(header) == 124 and header[0] == 124:
        offset, size = struct.unpack_from("<II", header, 112)
        file.seek(14 + offset)
        profile = file.read(size) if size <= _LARGEST_PROFILE else b""
        return (profile, ()) if len(profile) == size and size else (None, ("its ICC profile is broken and left out",))
    if space != _CALIBRATED:
        return None, ()
    numbers = struct.unpack_from("<12i", header, 60)
    points = [(numbers[i] / 2**30, numbers[i + 1] / 2**30, numbers[i + 2] / 2**30) for i in (0, 3, 6)]
    gammas = [number / 65536 for number in numbers[9:]]
    if not all(sum(point) > 0 for point in points) or not all(_GAMMA_RANGE[0] <= g <= _GAMMA_RANGE[1] for g in gammas):
        # Most writers fill this with zeros.
        return None, ()
    white = [sum(values) for values in zip(*points, strict=True)]
    red, green, blue, neutral = ((x / (x + y + z), y / (x + y + z)) for x, y, z in (*points, white))
    primaries, gamma = Primaries(red, green, blue, neutral), sum(gammas) / 3
    if primaries.near(BT709) and abs(gamma * _SRGB_GAMMA - 1) <= _SAME_GAMMA:
        return None, ()
    return _profile(primaries, Curve(gamma), "BMP calibrated RGB", grey=grey)


def of_jpeg_2000(file: BinaryIO) -> Colour:
    """The ICC profile in a JP2 file."""
    return jpeg_2000_icc(file), ()


def _profile(points: Primaries, curve: Curve, name: str, *, grey: bool) -> Colour:
    if grey:
        return grey_profile(curve, name), ()
    try:
        return rgb_profile(points, curve, name), ()
    except ValueError as error:
        return None, (f"its description of colour is left out: {error}",)
