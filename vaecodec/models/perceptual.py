"""Distortion for the eye, differentiable: SSIMULACRA2's error, the error of contrasts and a little squared error; for the trainer and for long searches of an encoder.

::

    sRGB ─► linear light ─┬─► XYB ─► means, variances, covariance of a Gaussian window ─► 3 errors a channel ─► weighted sum
                          ├─► halve, and again at five coarser scales
                          └─► luminance ─► contrasts in five octaves ─► their errors, in steps that are just seen ─► sum

Sources: J. Sneyers, SSIMULACRA 2.1, 2023 (constants and weights in ``vaecodec.metrics.ssimulacra2``); for contrasts Burt and Adelson, "The Laplacian
pyramid as a compact image code", 1983, Legge and Foley, "Contrast masking in human vision", 1980, and Barten, *Contrast sensitivity of the human
eye*, 1999. A crop of 256 pixels has all six scales and all five octaves.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.metrics.ssimulacra2 import (
    C2,
    EXPONENT,
    LINEAR_FROM_SRGB,
    OPSIN,
    OPSIN_BIAS,
    POLYNOMIAL,
    RADIUS,
    SCALES,
    SHORTEST_SIDE,
    SIGMA,
    TOTAL_WEIGHT,
    WEIGHTS,
    XYB_OFFSETS,
)
from vaecodec.models.distortion import error_factor
from vaecodec.models.tunes import DistortionWeights

FOURTH_POWER_FLOOR = 1e-20
"""Under the fourth root, whose slope at 0 is infinite."""
SENSITIVITY = (12.0, 50.0, 130.0, 190.0, 170.0)
"""One over the contrast that is just seen, for each octave, the finest first: about 27, 13, 7, 3.4 and 1.7 periods a degree, a 4K screen at arm's length."""
MASKING = 0.3
"""What is there hides errors: a contrast of n just visible steps makes the step √(1 + (0.3·n)²) times as large."""
DARKEST = 0.004
"""Added to the luminance (white is 1) that a contrast is relative to: stray light."""
MSE_OF_CONTRAST = 46.87
CONTRAST_POWER = 0.784
"""MSE = 46.87·c^0.784 on photographs, c the error of contrasts, along the curve of the weights d7aa08289bd79538."""
LUMINANCE = (0.2126, 0.7152, 0.0722)


def _window() -> tuple[float, ...]:
    kernel = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    return tuple((kernel / kernel.sum()).tolist())


GAUSSIAN = _window()
"""The metric's window."""
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""The low pass between two octaves."""


@lru_cache(maxsize=64)
def _blur_matrix(size: int, kernel: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """[size, size]: a window along one dimension, mirrored at both ends (edge sample repeated)."""
    matrix, radius = np.zeros((size, size)), len(kernel) // 2
    for row in range(size):
        for offset, value in zip(range(-radius, radius + 1), kernel, strict=True):
            column = row + offset
            column = -1 - column if column < 0 else column
            matrix[row, 2 * size - 1 - column if column >= size else column] += value
    with torch.inference_mode(False):
        return torch.from_numpy(matrix).to(device, dtype)


@lru_cache(maxsize=64)
def _constant(name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One of the loss's constants, put on a device once."""
    values = {"weights": WEIGHTS, "opsin": OPSIN, "luminance": LUMINANCE}[name]
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


def blur(x: Tensor, kernel: tuple[float, ...] = GAUSSIAN) -> Tensor:
    """A window, of σ 1.5 if none is named, over [..., H, W]: two products with banded matrices, faster than one-channel convolutions and their gradients."""
    rows, columns = (_blur_matrix(x.shape[side], kernel, x.dtype, x.device) for side in (-2, -1))
    return rows @ (x @ columns.T)


def _linear_light(x: Tensor) -> Tensor:
    """SRGB samples 0..255, [B, 3, H, W] -> linear 0..1."""
    table, offset, exponent, slope = LINEAR_FROM_SRGB
    x = (x / 255).clamp(0, 1)
    return torch.where(x <= table, x / slope, ((x.clamp_min(table) + offset) / (1 + offset)) ** exponent)


def _xyb(x: Tensor) -> Tensor:
    """Linear RGB, [B, 3, H, W] -> the metric's positive XYB."""
    B, _, H, W = x.shape
    opsin = _constant("opsin", x.dtype, x.device)
    mixed = (opsin @ x.reshape(B, 3, H * W) + OPSIN_BIAS).clamp_min(1e-6)
    # exp(log/3): half the time of a power.
    root = ((mixed.log() / 3).exp() - OPSIN_BIAS ** (1 / 3)).reshape(B, 3, H, W)
    half_sum = 0.5 * (root[:, 0] + root[:, 1])
    a, b, c = XYB_OFFSETS
    return torch.stack([7 * (root[:, 0] - root[:, 1]) + a, half_sum + b, root[:, 2] - half_sum + c], 1)


def _norms(error: Tensor) -> Tensor:
    """[B, 3, H, W], not negative -> mean and 4-norm, [B, 3, 2]."""
    flat = error.flatten(2)
    square = flat * flat
    return torch.stack([flat.mean(2), ((square * square).mean(2) + FOURTH_POWER_FLOOR) ** 0.25], 2)


def weighted_error(reference: Tensor, decoded: Tensor) -> Tensor:
    """The metric before its last polynomial: a weighted sum of 108 errors, 0 for equal pictures.

    Args:
        reference: [B, 3, H, W] sRGB samples 0..255, float32; no gradient.
        decoded: the same shape; beyond 0..255 it is clipped.

    Returns:
        [B], float32. Scales whose shorter side is under 8 pixels are left out.
    """
    weights = _constant("weights", decoded.dtype, decoded.device)
    a, b = _linear_light(reference).detach(), _linear_light(decoded)
    total = torch.zeros(len(a), dtype=decoded.dtype, device=a.device)
    for scale in range(SCALES):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        if min(a.shape[-2:]) < SHORTEST_SIDE:
            break
        p, q = _xyb(a), _xyb(b)
        mean_p = blur(p)
        # The sum of both variances is all that is needed of them.
        mean_q, squares, product = blur(torch.cat([q, p * p + q * q, p * q], 1)).chunk(3, 1)
        means = mean_p * mean_q
        difference = mean_p - mean_q
        d_square = difference * difference
        covariance = 2 * (product - means) + C2
        variances = squares - 2 * means - d_square + C2
        structure = (1 - (1 - d_square) * covariance / variances).clamp_min(0)
        edges = (1 + (q - mean_q).abs()) / (1 + (p - mean_p).abs()) - 1
        for term, error in enumerate((structure, edges.clamp_min(0), (-edges).clamp_min(0))):
            total = total + (_norms(error) * weights[:, scale, :, term]).sum((1, 2))
    return total * TOTAL_WEIGHT


def contrast_error(reference: Tensor, decoded: Tensor) -> Tensor:
    """How visible the error of luminance is: the mean square error of contrasts in each of five octaves, in just visible steps, summed.

    Args:
        reference: [B, 3, H, W] sRGB samples 0..255, float32; no gradient.
        decoded: the same shape; beyond 0..255 it is clipped.

    Returns:
        [B], float32; 0 for equal pictures. Octaves after one whose shorter side is under 16 pixels are left out.
    """
    weights = _constant("luminance", decoded.dtype, decoded.device)[:, None, None]
    a, b = (weights * _linear_light(reference)).sum(1).detach(), (weights * _linear_light(decoded)).sum(1)
    total = torch.zeros(len(a), dtype=decoded.dtype, device=a.device)
    for sensitivity in SENSITIVITY:
        coarse_a, coarse_b = blur(a, BINOMIAL), blur(b, BINOMIAL)
        contrast = sensitivity * (a - coarse_a) / (coarse_a + DARKEST)
        error = contrast - sensitivity * (b - coarse_b) / (coarse_b + DARKEST)
        hidden = MASKING * blur(contrast.abs(), BINOMIAL)
        total = total + (error * error / (1 + hidden * hidden)).flatten(1).mean(1)
        if min(a.shape[-2:]) < 2 * SHORTEST_SIDE:
            break
        a, b = coarse_a[:, ::2, ::2], coarse_b[:, ::2, ::2]
    return total


def score(reference: Tensor, decoded: Tensor) -> Tensor:
    """SSIMULACRA2 of [B, 3, H, W] samples 0..255 -> [B]; 100 for equal pictures."""
    return score_of_error(weighted_error(reference, decoded))


def score_of_error(error: Tensor) -> Tensor:
    """The metric's last polynomial: weighted error -> score."""
    first, second, third = POLYNOMIAL
    s = first * error + second * error * error + third * error**3
    return 100 - 10 * s.clamp_min(1e-12) ** EXPONENT


class Distortion(DistortionWeights):
    """The distortion that some weights of its parts make."""

    @classmethod
    def of(cls, weights: DistortionWeights) -> Distortion:
        """With these weights."""
        return cls(weights.squared, weights.power, weights.colour, weights.contrast)

    def __call__(self, x: Tensor, x_hat: Tensor, lam: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Compares pictures.

        Args:
            x: float32 [B, H, W, 3], samples 0..255.
            x_hat: the same, decoded; not clipped.
            lam: [B], bits per pixel per unit of MSE.

        Returns:
            The distortion, [B], in units of MSE; the MSE; and the metric's weighted error, None where the squared error is all.
        """
        mse = ((x_hat - x) ** 2).flatten(1).mean(1)
        if self.squared == 1:
            return mse, mse, None
        with torch.autocast(x.device.type, enabled=False):
            planes, planes_hat = x.permute(0, 3, 1, 2).contiguous(), x_hat.permute(0, 3, 1, 2).contiguous()
            error = weighted_error(planes, planes_hat)
            scale = error_factor(lam, self.power)
            total = self.squared * mse + (1 - self.squared) * scale * (error + 1e-6) ** self.power
            if self.contrast:
                visible = contrast_error(planes, planes_hat)
                total = total + self.contrast * MSE_OF_CONTRAST * (visible + 1e-4) ** CONTRAST_POWER
            if self.colour:
                total = total + self.colour * _coarse_colour_error(planes, planes_hat)
        return total, mse, error


SQUARED_ERROR = Distortion(squared=1.0)


def _coarse_colour_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Squared error of Cb and Cr at 1/8 and 1/32: [B, 3, H, W] samples -> [B]."""
    d = x_hat - x
    luma = 0.299 * d[:, 0] + 0.587 * d[:, 1] + 0.114 * d[:, 2]
    at8 = F.avg_pool2d(torch.stack([0.713 * (d[:, 0] - luma), 0.564 * (d[:, 2] - luma)], 1), 8)
    return at8.square().flatten(1).mean(1) + F.avg_pool2d(at8, 4).square().flatten(1).mean(1)
