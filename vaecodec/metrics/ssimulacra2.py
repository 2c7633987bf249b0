"""SSIMULACRA2: how close a picture looks to its original; 100 equal, 90 hardly to be told apart, 70 high, 50 medium, below 30 poor.

::

    sRGB ─► linear light ─┬─► XYB ─► means, variances, covariance of a Gaussian window ─► 3 errors a channel ─► weighted sum ─► score
                          └─► halve, and again at five coarser scales

Numpy alone. Constants and weights also serve the loss of the trainer (`vaecodec.models.perceptual`).
Source: J. Sneyers, SSIMULACRA 2.1, 2023, as the Python package ssimulacra2 0.3 computes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
"""uint8 or uint16."""
Plane = npt.NDArray[np.float32]

SCALES = 6
SHORTEST_SIDE = 8
"""Of a scale in pixels: coarser ones are left out."""
SIGMA = 1.5
"""Of the Gaussian window, in pixels."""
RADIUS = 5
C2 = 0.0009
"""Keeps the quotient of covariance and variances finite on flat ground."""
OPSIN = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.55180986650955360),
)
"""Linear RGB to cone responses."""
OPSIN_BIAS = 0.0037930732552754493
XYB_OFFSETS = (0.42, 0.01, 0.55)
"""Make X, Y and B − Y positive."""
LINEAR_FROM_SRGB = (0.04045, 0.055, 2.4, 12.92)
"""Threshold, offset, exponent and slope of IEC 61966-2-1."""
TOTAL_WEIGHT = 0.9562382616834844
WEIGHTS = np.array(
    [
        [
            [[0.0, 0.0007376606707406586, 0.0], [0.0, 0.0007793481682867309, 0.0]],
            [[0.0, 0.0004371155730107379, 0.0], [1.1041726426657346, 0.00066284834129271, 0.00015231632783718752]],
            [[0.0, 0.0016406437456599754, 0.0], [1.8422455520539298, 11.441172603757666, 0.0]],
            [[0.0007989109436015163, 0.000176816438078653, 0.0], [1.8787594979546387, 10.94906990605142, 0.0]],
            [
                [0.0007289346991508072, 0.9677937080626833, 0.0],
                [0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053],
            ],
            [[0.0004550992113792063, 0.0, 0.0], [0.0013648766163243398, 0.0, 0.0]],
        ],
        [
            [[0.0, 0.0, 0.0], [7.466890328078848, 0.0, 17.445833984131262]],
            [[0.0006235601634041466, 0.0, 0.0], [6.683678146179332, 0.00037724407979611296, 1.027889937768264]],
            [[225.20515300849274, 0.0, 0.0], [19.213238186143016, 0.0011401524586618361, 0.001237755635509985]],
            [[176.39317598450694, 0.0, 0.0], [24.43300999870476, 0.28520802612117757, 0.0004485436923833408]],
            [[0.0, 0.0, 0.0], [34.77906344483772, 44.835625328877896, 0.0]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        ],
        [
            [[0.0, 0.0008680556573291698, 0.0], [0.0, 0.0, 0.0]],
            [[0.0, 0.0005313191874358747, 0.0], [0.00016533814161379112, 0.0, 0.0]],
            [[0.0, 0.0, 0.0], [0.0004179171803251336, 0.0017290828234722833, 0.0]],
            [[0.0020827005846636437, 0.0, 0.0], [8.826982764996862, 23.19243343998926, 0.0]],
            [
                [95.1080498811086, 0.9863978034400682, 0.9834382792465353],
                [0.0012286405048278493, 171.2667255897307, 0.9807858872435379],
            ],
            [[0.0, 0.0, 0.0], [0.0005130064588990679, 0.0, 0.00010854057858411537]],
        ],
    ]
)
"""[channel X Y B, scale, mean and 4-norm, (structure, artefact, lost detail)]."""

POLYNOMIAL = (2.326765642916932, -0.020884521182843837, 6.248496625763138e-05)
EXPONENT = 0.6276336467831387

KEPT_PIXELS = 1 << 22
"""A reference of more pixels keeps nothing: it would take 32 bytes for each of them."""

BLOCK = 64
"""Columns of a picture that one product with a banded matrix blurs."""


def ssimulacra2(reference: Samples, decoded: Samples) -> float | None:
    """SSIMULACRA2 of two pictures.

    Equals the package ssimulacra2 0.3 within 0.01 (a test holds it), borders included: mirrored above and below, zeros at the sides.

    Args:
        reference: uint8 or uint16 [H, W, 1 or 3], sRGB.
        decoded: the same type and shape.

    Returns:
        At most 100, which equal pictures have; below 0 for very poor ones. None where the shorter side is under SHORTEST_SIDE.

    Raises:
        ValueError: another dtype, or shapes that differ.
    """
    error = Reference(reference).weighted_error(decoded)
    return None if error is None else score_of_error(error)


def score_of_error(error: float) -> float:
    """The metric's last polynomial: weighted error -> score."""
    first, second, third = POLYNOMIAL
    error = first * error + second * error**2 + third * error**3
    return 100.0 - 10.0 * error**EXPONENT if error > 0 else 100.0


class Reference:
    """A picture that others are compared with; up to KEPT_PIXELS what the metric needs of it is computed once.

    Attributes:
        samples: uint8 or uint16 [H, W, 1 or 3], sRGB.
    """

    def __init__(self, samples: Samples) -> None:
        """Raises ``ValueError`` for another dtype or number of dimensions."""
        if samples.dtype not in (np.uint8, np.uint16) or samples.ndim != 3:
            raise ValueError(f"metrics are for uint8 or uint16 [H, W, C], not {samples.dtype} {samples.shape}")
        self.samples = samples
        self._kept: list[_Scale] | None = None

    def weighted_error(self, decoded: Samples) -> float | None:
        """The metric before its last polynomial: 0 for equal pictures, and the larger the worse. Arguments as for :func:`ssimulacra2`."""
        if self.samples.dtype != decoded.dtype:
            raise ValueError(
                f"pictures of different dtypes cannot be compared: {self.samples.dtype} and {decoded.dtype}"
            )
        if self.samples.shape != decoded.shape:
            raise ValueError(
                f"pictures of different shapes cannot be compared: {self.samples.shape} and {decoded.shape}"
            )
        height, width = decoded.shape[:2]
        if min(height, width) < SHORTEST_SIDE:
            return None
        if self._kept is None and height * width <= KEPT_PIXELS:
            self._kept = list(_scales(self.samples))
        errors = []
        for linear, scale in zip(_halvings(decoded), self._kept or _scales(self.samples), strict=True):
            errors.append(_errors(scale, _xyb(linear)))
        # Where scales are missing the metric's own code hands the weights out in their order, without gaps; so do we.
        weights = WEIGHTS.reshape(-1)[: 18 * len(errors)].reshape(3, len(errors), 2, 3)
        return TOTAL_WEIGHT * float((np.stack(errors, 1) * weights).sum())


class _Scale(NamedTuple):
    """Of the reference at one scale: XYB, and its local means, both [3, H, W]."""

    xyb: Plane
    means: Plane


def _scales(samples: Samples) -> Iterator[_Scale]:
    for linear in _halvings(samples):
        xyb = _xyb(linear)
        yield _Scale(xyb, _blur(xyb))


def _halvings(samples: Samples) -> Iterator[Plane]:
    """Linear light at every scale that the metric looks at, the finest first."""
    linear = _linear_light(samples)
    yield linear
    for _ in range(SCALES - 1):
        if min(linear.shape[1:]) < 2 * SHORTEST_SIDE - 1:
            return
        linear = _halve(linear)
        yield linear


def _linear_light(samples: Samples) -> Plane:
    """[H, W, 1 or 3] -> linear light 0..1, float32 [3, H, W]."""
    threshold, offset, exponent, slope = LINEAR_FROM_SRGB
    levels = np.arange(int(np.iinfo(samples.dtype).max) + 1) / np.iinfo(samples.dtype).max
    table = np.where(levels <= threshold, levels / slope, ((levels + offset) / (1 + offset)) ** exponent)
    planes = table.astype(np.float32)[samples.transpose(2, 0, 1)]
    return np.broadcast_to(planes, (3, *planes.shape[1:]))


def _halve(planes: Plane) -> Plane:
    """Means of 2×2 cells; at an odd edge of what is there."""
    _, H, W = planes.shape
    if H % 2 or W % 2:
        planes = np.pad(planes, ((0, 0), (0, H % 2), (0, W % 2)), mode="edge")
    rows = planes[:, ::2] + planes[:, 1::2]
    halved: Plane = (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
    return halved


def _xyb(linear: Plane) -> Plane:
    """Linear RGB -> positive XYB, both [3, H, W]."""
    _, H, W = linear.shape
    mixed = np.array(OPSIN, np.float32) @ linear.reshape(3, -1)
    mixed += np.float32(OPSIN_BIAS)
    np.log(np.maximum(mixed, np.float32(1e-12), out=mixed), out=mixed)
    mixed *= np.float32(1 / 3)
    np.exp(mixed, out=mixed)
    mixed -= np.float32(OPSIN_BIAS ** (1 / 3))
    x_offset, y_offset, b_offset = (np.float32(v) for v in XYB_OFFSETS)
    half_sum = np.float32(0.5) * (mixed[0] + mixed[1])
    xyb = np.empty_like(mixed)
    xyb[0] = np.float32(7) * (mixed[0] - mixed[1]) + x_offset
    xyb[1] = half_sum + y_offset
    xyb[2] = mixed[2] - half_sum + b_offset
    return xyb.reshape(3, H, W)


@lru_cache(maxsize=4)
def _band(size: int) -> Plane:
    """[size + 2·RADIUS, size]: the window as a banded matrix, for ``size`` outputs."""
    kernel = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    kernel /= kernel.sum()
    band = np.zeros((size + 2 * RADIUS, size), np.float32)
    for column in range(size):
        band[column : column + 2 * RADIUS + 1, column] = kernel
    return band


def _blur(planes: Plane) -> Plane:
    """Gaussian window over [N, H, W]: products with banded matrices, block by block. Mirrored above and below, zeros at the sides."""
    N, H, W = planes.shape
    padded = np.zeros((N, H + 2 * RADIUS, W + 2 * RADIUS), np.float32)
    padded[:, RADIUS : H + RADIUS, RADIUS : W + RADIUS] = planes
    padded[:, :RADIUS] = padded[:, 2 * RADIUS - 1 : RADIUS - 1 : -1]
    padded[:, H + RADIUS :] = padded[:, H + RADIUS - 1 : H - 1 : -1]
    across = np.empty((N, H + 2 * RADIUS, W), np.float32)
    for start in range(0, W, BLOCK):
        size = min(BLOCK, W - start)
        window = padded[:, :, start : start + size + 2 * RADIUS]
        np.matmul(window, _band(size), out=across[:, :, start : start + size])
    blurred = np.empty_like(planes)
    for start in range(0, H, BLOCK):
        size = min(BLOCK, H - start)
        window = across[:, start : start + size + 2 * RADIUS]
        np.matmul(_band(size).T, window, out=blurred[:, start : start + size])
    return blurred


def _norms(error: Plane) -> npt.NDArray[np.float64]:
    """[3, H, W], not negative -> mean and 4-norm, [3, 2]."""
    flat = error.reshape(3, -1)
    square = flat * flat
    fourth = np.einsum("cn,cn->c", square, square) / flat.shape[1]
    return np.stack([flat.mean(1, dtype=np.float64), np.asarray(fourth, np.float64) ** 0.25], 1)


def _errors(reference: _Scale, q: Plane) -> npt.NDArray[np.float64]:
    """The reference, and XYB of the other, [3, H, W] -> [channel 3, norm 2, (structure, artefact, lost detail)]."""
    p, mean_p = reference
    mean_q, squares, product = np.split(_blur(np.concatenate([q, p * p + q * q, p * q])), 3)
    means = mean_p * mean_q
    d_square = np.square(mean_p - mean_q)
    covariance = 2 * (product - means) + np.float32(C2)
    variances = squares - 2 * means - d_square + np.float32(C2)
    structure = np.maximum(1 - (1 - d_square) * covariance / variances, 0)
    edges = (1 + np.abs(q - mean_q)) / (1 + np.abs(p - mean_p)) - 1
    return np.stack([_norms(structure), _norms(np.maximum(edges, 0)), _norms(np.maximum(-edges, 0))], 2)
