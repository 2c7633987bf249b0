"""What the image trainer minimises: bits per pixel + λ·distortion, evened out over qualities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vaecodec.models.image import ImageModel
from vaecodec.models.perceptual import Distortion, score_of_error
from vaecodec.models.tunes import TUNES, DistortionWeights


@dataclass
class Losses:
    """Per picture: what is minimised and what it consists of; every field is [B]."""

    loss: Tensor
    bpp: Tensor
    bpp_z: Tensor
    mse: Tensor
    score: Tensor
    """SSIMULACRA2; NaN where the squared error alone is minimised."""


def distortion_of(settings: Mapping[str, Any]) -> DistortionWeights:
    """What a run minimises beside bits, by its settings as a checkpoint has them; those from before ``tune`` are for squared error."""
    own = TUNES[settings.get("tune", "psnr")].distortion
    if own.squared == 1:
        return own
    # A part that a run's settings do not know had no weight in it.
    return replace(own, **{part.name: settings.get(part.name, part.default) for part in fields(own)})


def loss_weight(lam: Tensor) -> Tensor:
    """About one over the rate at this λ, so that a per cent of bits counts the same at every quality.

    1/(0.15 + 2.5 t²), t = 0 at λ = 0.0007 (0.1 bits per pixel on photographs) and 1 at 0.6 (2.5 bits).
    """
    t = (lam / 0.0007).log() / math.log(0.6 / 0.0007)
    return 1 / (0.15 + 2.5 * t * t)


def losses(model: ImageModel, x: Tensor, q: Tensor, distortion: Distortion, *, quantise: bool) -> Losses:
    """One pass over a batch.

    Args:
        model: see :meth:`ImageModel.forward`, as for ``x``, ``q`` and ``quantise``.
        x: uint8 [B, H, W, 3].
        q: [B], 0..1.
        distortion: what is weighed against bits.
        quantise: as a file would have it: real rounding, samples rounded to 8 bits.
    """
    output = model(x, q, quantise=quantise)
    pixels = x.shape[1] * x.shape[2]
    x_hat = output.x_hat.clamp(0, 255).round() if quantise else output.x_hat
    lam = model.lambda_at(q)
    total, mse, error = distortion(x.float(), x_hat, lam)
    score = torch.full_like(mse, math.nan) if error is None else score_of_error(error.detach())
    bpp = (output.bits_y + output.bits_z) / pixels
    return Losses(loss_weight(lam) * (bpp + lam * total), bpp, output.bits_z / pixels, mse, score)
