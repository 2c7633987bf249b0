"""Writes ICC profiles for colour that files describe in other ways: primaries, white and a curve (ICC.1:2022)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Chromaticity = tuple[float, float]

_D50 = np.array([0.9642, 1.0, 0.8249])
# Bradford's cone responses, as the specification wants them (annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

D65: Chromaticity = (0.3127, 0.3290)
_C, _E, _DCI = (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)


@dataclass(frozen=True)
class Primaries:
    """Chromaticities x, y of red, green, blue and white."""

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity = D65

    def near(self, other: Primaries, within: float = 0.003) -> bool:
        """Whether all lie within a distance that nobody sees."""
        pairs = zip(self.flat(), other.flat(), strict=True)
        return all(abs(a - b) <= within for a, b in pairs)

    def flat(self) -> tuple[float, ...]:
        """All eight numbers."""
        return (*self.red, *self.green, *self.blue, *self.white)


@dataclass(frozen=True)
class Curve:
    """From a sample to light: (a·x + b)^gamma from d on, c·x below (type 3 of parametricCurveType)."""

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
BT709_CURVE = Curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)

BT709 = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = Primaries((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
ADOBE_CURVE = Curve(563 / 256)

# Code points of ITU-T H.273, which PNG (cICP), AVIF, HEIC and JPEG XL use.
PRIMARIES_BY_CODE = {
    1: BT709,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: Primaries((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    10: Primaries((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
CURVES_BY_CODE = {
    1: BT709_CURVE, 4: Curve(2.2), 5: Curve(2.8), 6: BT709_CURVE, 8: Curve(1.0), 13: SRGB_CURVE, 14: BT709_CURVE,
    15: BT709_CURVE, 17: Curve(2.6),
}  # fmt: skip


def rgb_profile(primaries: Primaries, curve: Curve, name: str) -> bytes:
    """A profile of three primaries and one curve.

    Raises:
        ValueError: the primaries span no triangle, or the white lies outside.
    """
    colours = np.array([_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)]).T
    white = _xyz(primaries.white)
    try:
        weights = np.linalg.solve(colours, white)
    except np.linalg.LinAlgError as error:
        raise ValueError("the primaries lie on one line") from error
    if not (weights > 0).all():
        raise ValueError("white is no mixture of the primaries")
    adapt = _adaptation(white)
    columns = adapt @ (colours * weights)
    tags = {f"{letter}XYZ".encode(): _xyz_type(columns[:, i]) for i, letter in enumerate("rgb")}
    tags |= {f"{letter}TRC".encode(): _curve_type(curve) for letter in "rgb"}
    return _profile(b"RGB ", tags | {b"chad": _matrix_type(adapt)}, name)


def grey_profile(curve: Curve, name: str) -> bytes:
    """A profile of a curve alone."""
    return _profile(b"GRAY", {b"kTRC": _curve_type(curve)}, name)


def _xyz(point: Chromaticity) -> npt.NDArray[np.float64]:
    x, y = point
    # The primaries of code 10 are X, Y and Z themselves, two of which have no luminance.
    return np.array([x / y, 1.0, (1 - x - y) / y]) if y > 0 else np.array([x, 0.0, 1 - x])


def _adaptation(white: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: npt.NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return adapted


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz_type(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*map(float, values))


def _matrix_type(matrix: npt.NDArray[np.float64]) -> bytes:
    return b"sf32\0\0\0\0" + _fixed(*map(float, matrix.ravel()))


def _curve_type(curve: Curve) -> bytes:
    if curve == Curve(curve.gamma):
        return b"para\0\0\0\0\0\0\0\0" + _fixed(curve.gamma)
    return b"para\0\0\0\0\0\3\0\0" + _fixed(curve.gamma, curve.a, curve.b, curve.c, curve.d)


def _text_type(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words


def _profile(space: bytes, tags: dict[bytes, bytes], name: str) -> bytes:
    white = _xyz_type(_D50)
    tags = {b"desc": _text_type(name), b"cprt": _text_type("CC0"), b"wtpt": white} | tags
    at, body, places = 132 + 12 * len(tags), b"", dict[bytes, int]()
    directory = struct.pack(">I", len(tags))
    for tag, content in tags.items():
        # Tags of one content share it.
        if content not in places:
            places[content] = at + len(body)
            body += content.ljust(-(-len(content) // 4) * 4, b"\0")
        directory += struct.pack(">4sII", tag, places[content], len(content))
    head = struct.pack(
        ">I4sI4s4s4s6H4s",
        at + len(body),
        b"\0\0\0\0",
        0x04200000,
        b"mntr",
        space,
        b"XYZ ",
        2026,
        1,
        1,
        0,
        0,
        0,
        b"acsp",
    )
    head += bytes(28) + _fixed(*_D50)
    return head.ljust(128, b"\0") + directory + body
